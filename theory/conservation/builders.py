"""Models by family, and what can be made of them: all public builders in one place."""

from __future__ import annotations

from theory.conservation.builders_combine import (
    MIRRORS,
    change_of_variables,
    direct_sum,
    with_mirror,
)
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
from theory.conservation.residual import residual

__all__ = [
    "MIRRORS",
    "attention",
    "change_of_variables",
    "conv",
    "cp",
    "diagonal",
    "direct_sum",
    "hadamard",
    "homogeneous",
    "icnn",
    "linear",
    "linear_conv",
    "matrix_factorisation",
    "nmf",
    "prelu",
    "relu",
    "residual",
    "with_mirror",
]
