"""Errors of the rooms `theory` and `proofs_checks`; every message names the remedy."""

from __future__ import annotations


class LemmataError(ValueError):
    """Invalid input or an invalid request: nothing was computed."""


class DerivationError(LemmataError):
    """A derivation, or one of its steps, that could not be verified."""
