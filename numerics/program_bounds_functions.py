"""Elementary functions and powers of batches with error bounds.

Each is charged 4 units in the last place for the library's own error, and what the radius of the argument does to it:
for a monotone function by an upper bound of its slope between the argument and its farther end.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from numerics.program_bounds_arithmetic import div, mul, uncertain
from numerics.program_bounds_core import (
    ELEMENTARY,
    ETA,
    UP,
    Bounded,
    Float,
    Mask,
    U,
    close,
    exact_lanes,
    grid,
    nonzero,
    own_error,
    plus,
    product,
)


def _own(m: Float, size: Float, exact: Mask) -> Float:
    """The error of the library: relative, with a few of the smallest floats, 0 where the result is exact."""
    return np.where(exact, 0.0, size * ELEMENTARY + 4 * ETA)


def _exactly(m: Float, r: Float | None) -> Float | None:
    """The grid, in lanes where everything is exact."""
    if r is None:
        return grid(m)
    exact = (r == 0).reshape(-1, r.shape[-1]).all(axis=0)
    return np.where(exact, grid(m), 0.0) if exact.any() else None


def exp(a: Bounded) -> Bounded:
    """e^a."""
    m = np.exp(a.m)
    r = _own(m, m, a.m == 0)
    if a.r is not None:
        r = r + (m + ETA) * np.expm1(a.r) * (1 + 2 * ELEMENTARY)
    return close(m, r, _exactly(m, r), (a,))


def expm1(a: Bounded) -> Bounded:
    """e^a - 1."""
    m = np.expm1(a.m)
    r = _own(m, np.abs(m), a.m == 0)
    if a.r is not None:
        r = r + np.exp(a.m) * np.expm1(a.r) * (1 + 3 * ELEMENTARY) + 4 * ETA * (a.r > 0)
    return close(m, r, _exactly(m, r), (a,))


def log(a: Bounded) -> Bounded:
    """The logarithm; undefined at and below 0, not known where the argument may be there."""
    return _logarithm(a, a.m, np.log, a.m == 1)


def log1p(a: Bounded) -> Bounded:
    """log(1 + a)."""
    return _logarithm(a, 1.0 + a.m, np.log1p, a.m == 0)


def _logarithm(a: Bounded, above: Float, f: Callable[[Float], Float], exact: Mask) -> Bounded:
    """``above``: the distance of the argument from where f is undefined."""
    undefined = above <= 0 if a.r is None else above + a.r <= 0
    if above is not a.m:
        # 1 + a is rounded: at its edge only what is at most -1 itself is certain
        undefined = a.m <= -1 if a.r is None else (a.m <= -1) & (-1 - a.m >= a.r)
    inside = above > 0
    m = np.where(inside, f(np.where(inside, a.m, 1.0)), np.nan)
    r = _own(m, np.abs(m), exact)
    if a.r is not None:
        share = a.r / np.where(inside, above, 1.0) * (1 + 4 * U)
        r = r - np.log1p(-np.minimum(share, 1.0)) * (1 + 2 * ELEMENTARY) + 4 * ETA * (a.r > 0)
    gone = undefined if undefined.any() else None
    return close(m, r, _exactly(m, r), (a,), undefined=gone)


def sqrt(a: Bounded, nonnegative: bool) -> Bounded:
    """The root; undefined below 0, not known where the argument may be there and is not ``nonnegative``."""
    undefined = None
    if not nonnegative:
        below = a.m < 0 if a.r is None else a.m + a.r < 0
        undefined = below if below.any() else None
    inside = ~(a.m < 0)  # NaN stays NaN
    centre = np.where(inside, a.m, 0.0)
    m = np.sqrt(centre)
    if not nonnegative:
        m = np.where(inside, m, np.nan)
    g = None
    if a.g is not None:
        own_grid = grid(m)
        square = m * m
        lanes = exact_lanes(square, product(own_grid, own_grid))
        if lanes is not None:
            same = (square == a.m).reshape(-1, m.shape[-1]).all(axis=0)
            g = np.where(lanes & same, own_grid, 0.0)
    r = own_error(m * U, g)
    if a.r is not None:
        low = centre - a.r
        # a bound of both √(c + r) - √c and √c - √(c - r), or of √(c + r) where c - r is below 0
        slope = a.r / (m + np.sqrt(np.maximum(low, 0.0)))
        wide = np.sqrt(centre + a.r) if nonnegative else np.inf
        r = plus(r, np.where(a.r > 0, np.where(low >= 0, slope, wide), 0.0) * (1 + 8 * U))
        if not nonnegative:
            m = np.where((low < 0) & (a.r > 0), np.nan, m)
    return close(m, r, g, (a,), inexact=lambda: uncertain(g, a) & nonzero(a), undefined=undefined)


def tanh(a: Bounded) -> Bounded:
    """The hyperbolic tangent."""
    m = np.tanh(a.m)
    r = _own(m, np.abs(m), a.m == 0)
    if a.r is not None:
        nearest = np.maximum(np.abs(a.m) - a.r, 0.0)  # the slope is at most 4 e^(-2|x|)
        slope = np.minimum(1.0, 4.0 * np.exp(-2.0 * nearest) * (1 + 2 * ELEMENTARY))
        r = r + np.minimum(a.r * slope + 4 * ETA * (a.r > 0), 2.0)
    return close(m, r, _exactly(m, r), (a,))


def sin(a: Bounded) -> Bounded:
    """The sine."""
    m = np.sin(a.m)
    # next to a multiple of π libraries may lose relative, but not absolute accuracy
    r = plus(_own(m, np.minimum(np.abs(a.m), 1.0), a.m == 0), a.r)
    return close(m, r, _exactly(m, r), (a,))


def cos(a: Bounded) -> Bounded:
    """The cosine."""
    m = np.cos(a.m)
    r = plus(_own(m, np.ones_like(m), a.m == 0), a.r)
    return close(m, r, _exactly(m, r), (a,))


def acos(a: Bounded) -> Bounded:
    """The angle in [0, π]; undefined outside of [-1, 1], not known where the argument may be there."""
    size = np.abs(a.m)
    reach = size if a.r is None else size + a.r
    outside = size > 1 if a.r is None else size - a.r > 1
    inside = (size <= 1) if a.r is None else (size <= 1) & (a.r * UP <= 1 - size)
    m = np.where(inside, np.arccos(np.where(inside, a.m, 0.0)), np.nan)
    r = _own(m, m, a.m == 1)
    if a.r is not None:
        left = ((1 - size) - a.r - 2 * U) * (1 + reach)
        by_slope = a.r / np.sqrt(np.where(left > 0, left, 1.0))
        by_root = 1.5708 * np.sqrt(a.r)  # acos(1 - r) <= (π/2) √r, and acos is steepest at the ends
        r = r + np.where(left > 0, np.minimum(by_slope, by_root), by_root) * (1 + 8 * U)
    return close(m, r, None, (a,), undefined=outside if outside.any() else None)


def power(a: Bounded, q: Fraction, nonnegative: bool) -> Bounded:
    """a^q: products for whole q, products of a root for half ones."""
    if q.denominator == 1:
        positive = _whole(a, abs(q.numerator))
        one = Bounded(np.ones((1,) * a.m.ndim), None, np.ones(1))
        return positive if q >= 0 else div(one, positive)
    if q.denominator == 2:
        return power(sqrt(a, nonnegative), q * 2, True)
    below = a.m < 0 if a.r is None else a.m + a.r < 0
    certain = None if nonnegative else below
    if q < 0:
        zero = (a.m <= 0) if a.r is None else a.m + a.r <= 0
        certain = zero if certain is None else certain | zero
    inside = ~(a.m <= 0)  # NaN stays NaN
    centre = np.where(inside, a.m, 1.0)
    m = np.where(inside, np.power(centre, float(q)), 0.0)
    bend = np.abs(np.log(centre)) * abs(float(q)) * (2 * U)  # the exponent is rounded
    own = m * (ELEMENTARY + np.expm1(bend)) + 4 * ETA
    r = np.where(inside, own, 0.0)
    if a.r is not None:
        share = np.minimum(a.r / centre * (1 + 4 * U), 1.0)
        spread = np.expm1(-np.log1p(-share) * abs(float(q)) * (1 + 8 * ELEMENTARY))
        r = r + np.where(inside & (a.r > 0), (m + ETA) * spread * (1 + 4 * ELEMENTARY), 0.0)
        low = np.where(inside, a.m, 0.0) - a.r
        if q > 0 and nonnegative:  # from 0 to the power of the upper end
            end = np.power(np.maximum(a.m + a.r, 0.0) * (1 + 4 * U), float(q))
            end = end * (1 + 2 * ELEMENTARY + 2 * np.abs(np.log(np.maximum(end, ETA))) * U) + ETA
            r = np.where((low < 0) & (a.r > 0), np.maximum(end, m + own), r)
        else:
            r = np.where((low <= 0) & (a.r > 0), np.inf, r)
    if not nonnegative or q < 0:
        m = np.where(inside | ((a.m == 0) & (q > 0)), m, np.nan)
    undefined = certain if certain is not None and certain.any() else None
    return close(m, r, None, (a,), undefined=undefined)


def _whole(a: Bounded, n: int) -> Bounded:
    """a^n for n >= 0, by squaring."""
    if n == 0:
        m = np.where(np.isnan(a.m), np.nan, 1.0)
        return close(m, None, np.ones(1), (a,))
    if n == 1:
        return a
    root = _whole(a, n // 2)
    square = mul(root, root)
    return mul(square, a) if n % 2 else square
