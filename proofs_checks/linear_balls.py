"""Gradient descent of a linear network in ball arithmetic, and balls as scaled floats with a radius.

Why balls: rounding errors of the iterates would otherwise be those of the statement that is checked; in exact rationals
the numbers triple their length with every step. The precision is doubled until the radii are far below float64, and
below the change of the imbalance, which for a small step η is far smaller than the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import flint
import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from numerics.extended import ScaledArray, scaled
from proofs_checks.linear_case import Float, LinearCase

PRECISION, MOST = 192, 12288  # bits
WANTED = 80  # bits that the iterates, and the change of the imbalance with every step, must have
ROUNDING = 2.0**-52  # of a ball's midpoint as a float, relative
Balls = NDArray[np.object_]  # of arb, with the axes (lane, node, j, i, k) of `numerics.evaluate`


@dataclass(frozen=True)
class Iterate:
    """One iterate, as matrices of balls: layers W1 (n, h) and W2 (h, m), G = ∇f(W1 W2) (n, m)."""

    W1: arb_mat
    W2: arb_mat
    G: arb_mat

    @property
    def G1(self) -> arb_mat:
        """∇W2ᵀ, the gradient of the first layer."""
        return self.G * self.W2.transpose()

    @property
    def G2(self) -> arb_mat:
        """W1ᵀ∇, the gradient of the second layer."""
        return self.W1.transpose() * self.G

    @property
    def imbalance(self) -> arb_mat:
        """W1ᵀW1 - W2W2ᵀ, (h, h)."""
        return self.W1.transpose() * self.W1 - self.W2 * self.W2.transpose()

    @property
    def force(self) -> arb:
        """‖∇W2ᵀ‖² + ‖W1ᵀ∇‖², the square of the gradient of all weights."""
        return _square(self.G1) + _square(self.G2)


def descend(case: LinearCase) -> tuple[list[Iterate], int]:
    """The iterates 0 … ``steps`` of gradient descent, and the precision at which their numbers have WANTED bits.

    The list is shorter where even the largest precision does not give them.
    """
    bits = PRECISION
    while True:
        with flint.ctx.workprec(bits):
            iterates = _run(case)
        if len(iterates) == case.steps + 1 or bits >= MOST:
            return iterates, bits
        bits *= 2


def start(case: LinearCase) -> Iterate:
    """The start of a case."""
    M, N = (exact(a) for a in case.quadratic)
    W1, W2 = exact(case.W1), exact(case.W2)
    return Iterate(W1, W2, M * (W1 * W2) - N)


def _run(case: LinearCase) -> list[Iterate]:
    M, N = (exact(a) for a in case.quadratic)
    W1, W2, eta = exact(case.W1), exact(case.W2), arb(case.eta)
    out: list[Iterate] = []
    while len(out) <= case.steps:
        iterate = Iterate(W1, W2, M * (W1 * W2) - N)
        G1, G2 = iterate.G1, iterate.G2
        if not all(map(_sharp, (W1, W2, G1, G2))):
            break
        if out and not _resolved(out[-1], iterate, eta):
            break
        out.append(iterate)
        W1, W2 = W1 - eta * G1, W2 - eta * G2
    return out


def _sharp(a: arb_mat) -> bool:
    """Whether the radii are below 2**-WANTED of the largest entry."""
    entries = a.entries()
    largest = max(abs(x).mid() for x in entries)
    return all(x.is_finite() for x in entries) and all(
        x.rad() <= largest * arb(2) ** -WANTED for x in entries
    )


def _resolved(now: Iterate, after: Iterate, eta: arb) -> bool:
    """Whether the change of the imbalance is known to WANTED bits of η² ‖·‖² of the smaller gradient that is not 0."""
    squares = [_square(a) for a in (now.G1, now.G2)]
    smallest = min((x.lower() for x in squares if not x.is_zero()), default=arb(0))
    change = after.imbalance - now.imbalance
    return all(x.rad() <= eta * eta * smallest * arb(2) ** -WANTED for x in change.entries())


def _square(a: arb_mat) -> arb:
    return sum((x * x for x in a.entries()), arb(0))


def exact(a: Float) -> arb_mat:
    """Floats as exact balls."""
    return arb_mat([[arb(x) for x in row] for row in a.tolist()])


# -- balls in arrays, and as scaled floats ----------------------------------------------------------------------------
def ball_vectors(a: arb_mat) -> Balls:
    """The rows of a matrix as vectors, with axes (1, 1, row, 1, coordinate)."""
    return _array(a)[None, None, :, None, :]


def ball_matrix(a: arb_mat) -> Balls:
    """The entries of a matrix as numbers, with axes (1, 1, row, column, 1)."""
    return _array(a)[None, None, :, :, None]


def balls(a: ScaledArray) -> Balls:
    """Scaled floats as balls; every coordinate of a vector has the vector's radius."""
    parts = (np.broadcast_to(x, a.m.shape).ravel().tolist() for x in (a.m, a.r, a.e))
    out = np.empty(a.m.size, dtype=object)
    out[:] = [arb(m, r) * arb(2) ** e for m, r, e in zip(*parts, strict=True)]
    return out.reshape(a.m.shape)


def rounded(a: Balls) -> ScaledArray:
    """Balls as scaled floats: one exponent and one radius per vector (last axis)."""
    cells = [_floats(row) for row in a.reshape(-1, a.shape[-1]).tolist()]
    m = np.array([c[0] for c in cells]).reshape(a.shape)
    radius, e = (np.array([c[k] for c in cells]).reshape(*a.shape[:-1], 1) for k in (1, 2))
    return scaled(m, radius, e)


def matrix(a: arb_mat) -> ScaledArray:
    """The entries of a matrix as numbers, in scaled floats."""
    return rounded(ball_matrix(a))


def number(x: arb) -> ScaledArray:
    """A ball as a number."""
    return matrix(arb_mat([[x]]))


def _array(a: arb_mat) -> Balls:
    out = np.empty((a.nrows(), a.ncols()), dtype=object)
    for k, row in enumerate(a.tolist()):
        out[k] = row
    return out


def _floats(row: Sequence[arb]) -> tuple[list[float], float, int]:
    """Mantissas, Euclidean radius and common exponent; NaN where a ball is not finite."""
    if not all(x.is_finite() for x in row):
        return [math.nan] * len(row), math.inf, 0
    top = max((abs(x).upper() for x in row), key=lambda b: b.mid())
    if top == 0:
        return [0.0] * len(row), 0.0, 0
    exponent = sum(int(k) for k in _exponent(top))
    with flint.ctx.workprec(128):
        shifted = [x * arb(2) ** -exponent for x in row]
        mids = [float(x.mid()) for x in shifted]
        rads = [
            float(x.rad()) * (1 + ROUNDING) + ROUNDING * abs(m) + 2.0**-1000 * (not x.is_zero())
            for x, m in zip(shifted, mids, strict=True)
        ]
    return mids, math.hypot(*rads) * (1 + 2 * ROUNDING), exponent


def _exponent(x: arb) -> tuple[int, int]:
    """(bits of the mantissa, exponent) of a positive number that is exact."""
    mantissa, exponent = x.mid().man_exp()
    return int(mantissa).bit_length(), int(exponent)
