"""Models by family, and what can be made of them: all public builders in one place."""

from __future__ import annotations

from theory.conservation.builders_linear import (
    attention,
    cp,
    diagonal,
    hadamard,
    linear,
    linear_conv,
    matrix_factorisation,
    nmf,
)
from theory.conservation.builders_units import conv, homogeneous, icnn, prelu, relu

__all__ = [
    "attention",
    "conv",
    "cp",
    "diagonal",
    "hadamard",
    "homogeneous",
    "icnn",
    "linear",
    "linear_conv",
    "matrix_factorisation",
    "nmf",
    "prelu",
    "relu",
]
