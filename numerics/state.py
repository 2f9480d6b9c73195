"""Scales of any size, and compensated sums."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Mantissas are renormalised when their norm leaves [2**-LIMIT, 2**LIMIT].
LIMIT = 32


def eps_squared(log_eps: float) -> tuple[float, int]:
    """(m, e) with eps**2 = m * 4**e and 1/2 <= m <= 2, correctly rounded whatever the size."""
    with localcontext() as context:
        context.prec = 60
        log2 = Decimal(2).ln()
        exact = Decimal(log_eps) * 2
        exponent = int((exact / (2 * log2)).to_integral_value())
        return float((exact - 2 * exponent * log2).exp()), exponent


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b rounded, and what the rounding took."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
