"""Batches of floats with error bounds, and when an operation on them is exact.

Arrays have the shape of the program with the batch as a last axis, of length 1 for constants. Radii are computed in
floating point and inflated by more than the rounding of that computation. Rounding is charged only where it happens: a
value that is a multiple of a power of two, its *grid*, and is small enough against it, is represented exactly, so that
small integers stay exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[Any]  # of bool

U = 2.0**-53  # of one rounding, relative
ELEMENTARY = 2.0**-50  # 4 units in the last place: more than any of numpy's functions is off
UP = 1.0 + 2.0**-48  # radii are themselves rounded, a few times per operation
ETA = 2.0**-1074  # the smallest float
FLOOR = 2.0**-960  # radii below it may have suffered from underflow
WIDTH = 2.0**52  # multiples of g up to WIDTH * g are floats, and so are their sums


class Bounded(NamedTuple):
    """``|true - m| <= r``; NaN in r: certainly undefined; inf in r: nothing is known, and m is NaN too.

    Attributes:
        m: (*shape, B) or (*shape, 1). r: the same shape as m or broadcastable to it, None for 0.
        g: (B,) or (1,): every entry of m in this lane is a multiple of it (inf: all are 0); 0 or None: not known.
    """

    m: Float
    r: Float | None = None
    g: Float | None = None


def grid(m: Float) -> Float:
    """The largest power of two of which all entries in a lane are multiples; inf where all are 0, 0 if not finite."""
    mantissa, exponent = np.frexp(np.where(np.isfinite(m), m, 0.0))
    whole = (mantissa * 2.0**53).astype(np.int64)
    lowest = np.ldexp((whole & -whole).astype(np.float64), exponent - 53)
    lowest = np.where(np.isfinite(m), np.where(m == 0, np.inf, lowest), 0.0)
    return lane_min(lowest)


def lane_min(a: Float) -> Float:
    """The smallest entry of each lane."""
    flat = a.reshape(-1, a.shape[-1])
    return flat.min(axis=0) if len(flat) else np.full(a.shape[-1], np.inf)


def lane_max(a: Float) -> Float:
    """The largest absolute value of each lane."""
    flat = a.reshape(-1, a.shape[-1])
    if not len(flat):
        return np.zeros(a.shape[-1])
    return np.maximum(flat.max(axis=0), -flat.min(axis=0))


def rounding(
    m: Float, size: Float, unit: float, g: Float | None
) -> tuple[Float | None, Float | None]:
    """(radius, grid) of a computed m: ``unit * size`` in lanes where it is not exact.

    Args:
        m: what was computed. size: of the terms, entry by entry, or |m|. g: the grid on which the exact result lies.
    """
    exact = exact_lanes(m, g)
    if exact is None:
        return size * unit, None
    if exact.all():
        return None, g
    return np.where(exact, 0.0, size * unit), np.where(exact, g, 0.0)  # type: ignore[arg-type]


def exact_lanes(m: Float, g: Float | None, factor: float = 1.0) -> Mask | None:
    """Lanes in which multiples of g, of the size of m times a factor, are floats; None if there are none."""
    if g is None:
        return None
    exact: Mask = (lane_max(m) * factor <= WIDTH * g) & (g > 0)  # a grid below the floats is 0
    return exact if exact.any() else None


def own_error(error: Float, g: Float | None) -> Float | None:
    """The error of rounding, 0 in lanes whose result has a grid."""
    if g is None:
        return error
    return None if (g > 0).all() else np.where(g > 0, 0.0, error)


def common(a: Float | None, b: Float | None) -> Float | None:
    """The grid of sums."""
    return None if a is None or b is None else np.minimum(a, b)


def product(a: Float | None, b: Float | None) -> Float | None:
    """The grid of products; where it is below the floats it is 0, and nothing is exact."""
    return None if a is None or b is None else a * b


def plus(a: Float | None, b: Float | None) -> Float | None:
    """The sum of radii."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def radius(a: Bounded) -> Float:
    """r as an array."""
    return np.zeros_like(a.m) if a.r is None else a.r


def nonzero(a: Bounded) -> Mask:
    """Where the true value may differ from 0."""
    out: Mask = a.m != 0
    return out if a.r is None else out | (a.r != 0)


def close(
    m: Float,
    r: Float | None,
    g: Float | None,
    args: Sequence[Bounded],
    *,
    terms: int = 1,
    inexact: Callable[[], Mask] | None = None,
    collect: Callable[[Bounded], Mask | None] | None = None,
    undefined: Mask | None = None,
) -> Bounded:
    """The result of an operation: radii inflated, underflow charged, and what is not finite put in order.

    Args:
        terms: how many rounded numbers were added to get a radius; 0 where it is as it should be.
        inexact: the entries at which a product may have been rounded below the smallest normal number.
        collect: the entries of the result that depend on an undefined entry of an argument; by default entry-wise.
        undefined: entries that this operation leaves undefined.
    """
    if r is not None:
        if terms:
            r = r * (UP if terms < 8 else 1.0 + (terms + 16) * 2.0**-51)
        if inexact is not None and not r.min(initial=1.0) >= FLOOR:
            r = np.where((r < FLOOR) & inexact(), r + (terms + 8) * ETA, r)
    if np.isfinite(m.sum()) and undefined is None and (r is None or np.isfinite(r.sum())):
        return Bounded(m, r, g)
    r = np.zeros(m.shape) if r is None else np.broadcast_to(r, np.broadcast(m, r).shape)
    m = np.broadcast_to(m, r.shape)
    lost = ~(
        np.isfinite(m) & np.isfinite(r)
    )  # NaN from now on, so that no bounded function hides it
    r = np.where(lost, np.inf, r)
    gone = (
        np.zeros(r.shape, dtype=bool) if undefined is None else np.broadcast_to(undefined, r.shape)
    )
    for a in args:
        own = (collect or missing)(a)
        if own is not None:
            gone = gone | own
    return Bounded(np.where(gone | lost, np.nan, m), np.where(gone, np.nan, r), None)


def missing(a: Bounded) -> Mask | None:
    """Where an argument is certainly undefined."""
    if a.r is None:
        return None
    out: Mask = np.isnan(a.r)
    return out if out.any() else None
