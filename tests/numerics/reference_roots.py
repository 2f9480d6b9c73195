"""First roots of polynomials on [0, 1], for ``reference_flow``: bracketed in Bernstein form, enclosed in balls."""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
from flint import arb, arb_poly, ctx

Array = np.ndarray
# Rounding of a Bernstein form in float64 is far below this part of the sum of its coefficients.
MARGIN = 1e-12
DEPTH = 30


class Unresolved(ValueError):
    """A root is not simple, or not told apart from another, within the margins."""


@lru_cache
def _to_bernstein(degree: int) -> Array:
    return np.array(
        [
            [comb(i, k) / comb(degree, k) if k <= i else 0.0 for k in range(degree + 1)]
            for i in range(degree + 1)
        ]
    )


@lru_cache
def _halves(degree: int) -> tuple[Array, Array]:
    """Matrices of the Bernstein forms on [0, 1/2] and [1/2, 1] (de Casteljau)."""
    left = np.array(
        [
            [comb(i, k) / 2.0**i if k <= i else 0.0 for k in range(degree + 1)]
            for i in range(degree + 1)
        ]
    )
    return left, left[::-1, ::-1].copy()


def first_below(a: Array) -> tuple[float, float] | None:
    """An interval on which the polynomial with coefficients a falls through its first root, or None.

    Raises:
        Unresolved: the polynomial comes close to zero without clearly crossing it.
    """
    margin = MARGIN * float(np.abs(a).sum())
    return _search(_to_bernstein(len(a) - 1) @ a, 0.0, 1.0, margin, 0)


def _search(
    b: Array, low: float, high: float, margin: float, depth: int
) -> tuple[float, float] | None:
    if b.min() > margin:
        return None
    if b[0] > margin and b[-1] < -margin and bool((np.diff(b) < 0).all()):
        return low, high
    if depth == DEPTH:
        raise Unresolved("a kink is touched, or nearly so")
    middle = (low + high) / 2.0
    left, right = _halves(len(b) - 1)
    found = _search(left @ b, low, middle, margin, depth + 1)
    return found or _search(right @ b, middle, high, margin, depth + 1)


def enclose(polynomial: arb_poly, low: float, high: float, bits: int) -> arb:
    """A ball of radius below 2**-(bits - 8) around the root in [low, high], by interval Newton."""
    slope = polynomial.derivative()
    ball = arb(low).union(arb(high))
    with ctx.workprec(2 * bits):
        for _ in range(200):
            if ball.rad() < arb(2) ** (8 - bits):
                return ball
            middle = ball.mid()
            steep = slope(ball)
            if steep.contains(0):
                # Newton's step does not contract here; the sign at the middle says which half to keep
                value = polynomial(middle)
                ends = ball.lower(), ball.upper()
                ball = middle.union(ends[1] if value > 0 else ends[0])
                continue
            ball = (middle - polynomial(middle) / steep).intersection(ball)
    raise Unresolved("a root is not enclosed")
