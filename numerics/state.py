"""The state of a batch of lanes between steps, in scaled units, and arithmetic on it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# Mantissas are renormalised when their norm leaves [2**-LIMIT, 2**LIMIT].
LIMIT = 32


@dataclass
class State:
    """The lanes' states; every array has the lane as its first axis.

    Args:
        t, carry: (L,) time, and what it lacks of the true time (compensated summation).
        w: (L, h, d). v, exponent: (L, h).
        mask, order: (L, h, n) activations, and the order of vanishing of z at t (see
            ``numerics.events.locate``). fresh: crossed a kink and not yet clear of it.
        radius: (L, h). top, label, top_exponent: (L, h) the radius, the name and the unit of the
            neuron's component (``numerics.components``).
        dense: (L,) kinks follow each other closely, so that a low degree suffices.
    """

    t: Array
    carry: Array
    w: Array
    v: Array
    exponent: Ints
    mask: Bools
    order: Ints
    fresh: Bools
    radius: Array
    top: Array
    label: Ints
    top_exponent: Ints
    dense: Bools

    def take(self, rows: Ints | Bools) -> State:
        """A copy of some rows."""
        return State(**{name: value[rows] for name, value in vars(self).items()})

    def put(self, rows: Ints, other: State) -> None:
        """Overwrite some rows."""
        for name, value in vars(self).items():
            value[rows] = getattr(other, name)

    def normalise(self) -> None:
        """Move powers of two from mantissas that have become large or small to the exponents."""
        _, size = np.frexp(norms(self.w, self.v))
        shift = np.where(np.abs(size) > LIMIT, size, 0).astype(np.int64)
        if not shift.any():
            return
        self.exponent = self.exponent + shift
        back = (-shift).astype(np.int32)
        self.w = np.ldexp(self.w, back[:, :, None])
        self.v = np.ldexp(self.v, back)
        self.radius = np.ldexp(self.radius, back)


def eps_squared(log_eps: float) -> tuple[float, int]:
    """(m, e) with eps**2 = m * 4**e and 1/2 <= m <= 2, correctly rounded whatever the size."""
    with localcontext() as context:
        context.prec = 60
        log2 = Decimal(2).ln()
        exact = Decimal(log_eps) * 2
        exponent = int((exact / (2 * log2)).to_integral_value())
        return float((exact - 2 * exponent * log2).exp()), exponent


def norms(w: Array, v: Array) -> Array:
    """|(w_j, v_j)|: (L, h)."""
    return np.sqrt((w * w).sum(axis=2) + v * v)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b rounded, and what the rounding took."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def horner(a: Array, s: float) -> Array:
    """Value at s of polynomials with coefficients on axis 1."""
    value = a[:, -1].copy()
    for k in range(a.shape[1] - 2, -1, -1):
        value = value * s + a[:, k]
    return value
