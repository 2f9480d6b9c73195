"""Sums, products, quotients, maxima and steps of batches with error bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.program_bounds_core import (
    ETA,
    FLOOR,
    UP,
    Bounded,
    Float,
    Mask,
    U,
    close,
    common,
    exact_lanes,
    grid,
    lane_max,
    missing,
    nonzero,
    own_error,
    plus,
    product,
    radius,
    rounding,
)

SMALL = 16  # inner lengths up to which matrices are multiplied by passes along the batch


def add(a: Bounded, b: Bounded) -> Bounded:
    """a + b."""
    m = a.m + b.m
    own, g = rounding(m, np.abs(m), U, common(a.g, b.g))
    return close(m, plus(own, plus(a.r, b.r)), g, (a, b))


def sub(a: Bounded, b: Bounded) -> Bounded:
    """a - b."""
    return add(a, neg(b))


def neg(a: Bounded) -> Bounded:
    """-a."""
    return Bounded(-a.m, a.r, a.g)


def mul(a: Bounded, b: Bounded) -> Bounded:
    """a * b."""
    m = a.m * b.m
    own, g = rounding(m, np.abs(m), U, product(a.g, b.g))
    r = own
    if b.r is not None:
        r = plus(r, np.abs(a.m) * b.r)
    if a.r is not None:
        size = np.abs(b.m)
        r = plus(r, a.r * (size if b.r is None else size + b.r))
    return close(m, r, g, (a, b), inexact=lambda: nonzero(a) & nonzero(b) & uncertain(g, a, b))


def uncertain(g: Float | None, *args: Bounded) -> Mask:
    """Entries that do not come from exact arithmetic on exact numbers; g is the grid of the result."""
    out: Mask = np.array(True) if g is None else ~(g > 0)
    for a in args:
        if a.r is not None:
            out = out | (a.r > 0)
    return out


def div(a: Bounded, b: Bounded) -> Bounded:
    """a / b; undefined where b is 0, not known where it may be."""
    low = np.abs(b.m) if b.r is None else np.abs(b.m) - b.r
    nothing = low <= 0
    certain = (b.m == 0) if b.r is None else (b.m == 0) & (b.r == 0)
    m = a.m / np.where(nothing, 1.0, b.m)
    m = np.where(nothing, np.nan, m) if nothing.any() else m
    size = np.abs(m)
    g = None
    if a.g is not None and b.g is not None:
        own_grid = grid(m)
        back = m * b.m
        lanes = exact_lanes(back, product(own_grid, b.g))
        if lanes is not None:
            same = (back == a.m).reshape(-1, m.shape[-1]).all(axis=0)
            g = np.where(lanes & same, own_grid, 0.0)
    r = own_error(size * U, g)
    if a.r is not None:
        r = plus(r, a.r / low)
    if b.r is not None:
        r = plus(r, (size + ETA * nonzero(a)) * (b.r / low + ETA * (b.r > 0)))
    undefined = certain if certain.any() else None
    return close(
        m, r, g, (a, b), inexact=lambda: nonzero(a) & uncertain(g, a, b), undefined=undefined
    )


def absolute(a: Bounded) -> Bounded:
    """|a|."""
    return Bounded(np.abs(a.m), a.r, a.g)


def relu(a: Bounded) -> Bounded:
    """max(a, 0)."""
    m = np.maximum(a.m, 0.0)
    if a.r is None:
        return Bounded(m, None, a.g)
    # below 0 only what reaches above it counts
    r = np.where(a.m < 0, np.maximum(a.m + a.r, 0.0) * UP, a.r)
    return close(m, np.where(np.isinf(a.r), np.inf, r), a.g, (a,))


def maximum(a: Bounded, b: Bounded) -> Bounded:
    """The larger one."""
    m, g = np.maximum(a.m, b.m), common(a.g, b.g)
    if a.r is None and b.r is None:
        return Bounded(m, None, g)
    ra, rb = radius(a), radius(b)
    gap, reach = a.m - b.m, (ra + rb) * UP
    r = np.where(gap >= reach, ra, np.where(-gap >= reach, rb, np.maximum(ra, rb)))
    return close(m, r, g, (a, b))


def minimum(a: Bounded, b: Bounded) -> Bounded:
    """The smaller one."""
    return neg(maximum(neg(a), neg(b)))


def step(a: Bounded) -> Bounded:
    """1 where a > 0, else 0; [0, 1] where that is not known."""
    r = radius(a)
    above, below = a.m - r > 0, a.m + r <= 0
    return _choice(a, np.where(above, 1.0, np.where(below, 0.0, 0.5)), ~(above | below) * 0.5)


def sign(a: Bounded) -> Bounded:
    """-1, 0 or 1; between them where that is not known."""
    r = radius(a)
    above, below = a.m - r > 0, a.m + r < 0
    zero = (a.m == 0) & (r == 0)
    upper, lower = a.m - r >= 0, a.m + r <= 0
    half = np.where(upper, 0.5, np.where(lower, -0.5, 0.0))
    m = np.where(above, 1.0, np.where(below, -1.0, np.where(zero, 0.0, half)))
    known = above | below | zero
    return _choice(a, m, np.where(known, 0.0, np.where(half != 0, 0.5, 1.0)))


def _choice(a: Bounded, m: Float, r: NDArray[Any]) -> Bounded:
    """A choice between values; not known where nothing is known of a, which may be undefined."""
    if np.isfinite(a.m.sum()):
        return Bounded(m, r if r.any() else None, np.full(1, 0.5))
    lost = np.isnan(a.m)
    return close(np.where(lost, np.nan, m), np.where(lost, np.inf, r), None, (a,))


# -- reductions -------------------------------------------------------------------------------------------------------
def total(a: Bounded, axis: int) -> Bounded:
    """The sum over one axis."""
    n = a.m.shape[axis]
    m = a.m.sum(axis=axis)
    own: Float | None = None
    g = a.g
    if n > 1:
        lanes = exact_lanes(a.m, a.g, n)
        if lanes is None or not lanes.all():
            own = np.abs(a.m).sum(axis=axis) * (n * U)
            if lanes is not None:
                own = np.where(lanes, 0.0, own)
            g = None if lanes is None else np.where(lanes, a.g, 0.0)  # type: ignore[arg-type]
    r = plus(own, None if a.r is None else a.r.sum(axis=axis))
    return close(m, r, g, (a,), terms=n, collect=lambda x: _any(x, axis))


def _any(a: Bounded, axis: int) -> Mask | None:
    own = missing(a)
    return None if own is None else np.asarray(own.any(axis=axis))


def amax(a: Bounded, axis: int) -> Bounded:
    """The largest along one axis."""
    m = a.m.max(axis=axis)
    if a.r is None:
        return Bounded(m, None, a.g)
    # entries that cannot be the largest do not count
    least = (a.m - a.r).max(axis=axis, keepdims=True)
    candidate = ~(a.m + a.r + 4 * U * (np.abs(a.m) + a.r) < least)
    r = np.where(candidate, a.r, 0.0).max(axis=axis)
    return close(m, r, a.g, (a,), collect=lambda x: _any(x, axis))


def amin(a: Bounded, axis: int) -> Bounded:
    """The smallest along one axis."""
    return neg(amax(neg(a), axis))


# -- matrices ---------------------------------------------------------------------------------------------------------
def product_of(a: Float, b: Float) -> Float:
    """(n, k, B) times (k, m, B)."""
    k = a.shape[1]
    if k == 0:
        return np.zeros((a.shape[0], b.shape[1], 1))
    if k > SMALL:
        return np.moveaxis(np.moveaxis(a, -1, 0) @ np.moveaxis(b, -1, 0), 0, -1)
    out: Float = a[:, 0, None] * b[0]
    for j in range(1, k):
        out += a[:, j, None] * b[j]
    return out


def matmul(a: Bounded, b: Bounded) -> Bounded:
    """a @ b."""
    k = a.m.shape[1]
    m = product_of(a.m, b.m)
    g = product(a.g, b.g)
    exact = None
    if g is not None:
        exact = lane_max(a.m) * lane_max(b.m) * max(k, 1) <= np.ldexp(g, 52)
        exact = exact & (g > 0)
        g = np.where(exact, g, 0.0) if exact.any() else None
    every = exact is not None and bool(exact.all())
    r: Float | None = None
    if not every or b.r is not None:
        # |a| (rb + k u |b|): propagated and own errors together
        right = np.zeros(1) if every else np.abs(b.m) * ((k + 1) * U)
        if not every and not right.min(initial=1.0) >= FLOOR:
            right = right + ETA * (b.m != 0)  # a large factor would bring back what has underflowed
        if exact is not None and not every:
            right = np.where(exact, 0.0, right)
        if b.r is not None:
            right = right + b.r
        r = product_of(np.abs(a.m), np.broadcast_to(right, np.broadcast(right, b.m).shape))
    if a.r is not None:
        size = np.abs(b.m) if b.r is None else np.abs(b.m) + b.r
        r = plus(r, product_of(np.broadcast_to(a.r, a.m.shape), size))

    def inexact() -> Mask:
        found: Mask = np.asarray(product_of(nonzero(a) * 1.0, nonzero(b) * 1.0) > 0)
        if a.r is None and b.r is None:
            found = found & uncertain(g)
        return found

    def collect(x: Bounded) -> Mask | None:
        own = missing(x)
        if own is None:
            return None
        rows, columns = (np.asarray(own.any(axis=k)) for k in (1, 0))
        if a is b:
            return np.asarray(rows[:, None] | columns[None])
        return rows[:, None] if x is a else columns[None]

    return close(m, r, g, (a, b), terms=k, inexact=inexact, collect=collect)
