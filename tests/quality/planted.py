"""Planted wrong versions of A1 to A6, each with a case that refutes it and both sides found independently."""

from __future__ import annotations

from tests.quality.planted_early import A1, A2, GENERIC, LARGE, UNBALANCED
from tests.quality.planted_late import (
    A3,
    A4,
    A5,
    A6,
    BOTH_ACTIVE,
    DYING,
    FAST,
    LINE,
    OPPOSITE,
    SPLIT,
)
from tests.quality.planted_tools import Planted

__all__ = [
    "ALL",
    "BOTH_ACTIVE",
    "DYING",
    "FAST",
    "GENERIC",
    "LARGE",
    "LINE",
    "OPPOSITE",
    "SPLIT",
    "UNBALANCED",
    "Planted",
]

ALL: tuple[Planted, ...] = (*A1, *A2, *A3, *A4, *A5, *A6)
