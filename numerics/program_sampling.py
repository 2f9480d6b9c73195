"""Points for a search: drawn at random, simple and extreme ones alike, and moved without derivatives.

A point is the concatenation of the free arrays of a case, flat; points come in batches of shape (B, P). Every entry
has a *span* within which it may move: an object with ``low``, ``high`` (perhaps infinite), ``open_low``, ``open_high``
(whether the end itself is excluded) and ``log`` (sizes of all orders of magnitude are of interest).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Array = NDArray[np.float64]
Shape = tuple[int, ...]


class Span(Protocol):
    """Where an entry may lie."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def open_low(self) -> bool: ...
    @property
    def open_high(self) -> bool: ...
    @property
    def log(self) -> bool: ...


@dataclass(frozen=True)
class Space:
    """The free arrays of a case as one vector.

    Attributes:
        names, shapes, spans: of the arrays, in one order.
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    spans: tuple[Span, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.shapes) == len(self.spans):
            raise NumericsError("a space needs one shape and one span for every name")

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Entries of every array."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        """P: entries of all arrays."""
        return sum(self.sizes)

    @cached_property
    def owner(self) -> NDArray[np.intp]:
        """(P,): the number of the array that an entry belongs to."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def _spread(self, values: Sequence[float | bool]) -> NDArray[np.generic]:
        return np.repeat(np.asarray(values), self.sizes)

    @cached_property
    def _ends(self) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.bool_]]:
        columns = zip(*((s.low, s.high, s.open_low, s.open_high) for s in self.spans), strict=True)
        low, high, open_low, open_high = (self._spread(list(c)) for c in columns)
        return low.astype(float), high.astype(float), open_low.astype(bool), open_high.astype(bool)

    def flat(self, arrays: Mapping[str, Array]) -> Array:
        """(B, P) of arrays (B, *shape) by name."""
        parts = [np.asarray(arrays[name], dtype=float) for name in self.names]
        return np.concatenate([p.reshape(len(p), -1) for p in parts], axis=1)

    def arrays(self, points: Array) -> dict[str, Array]:
        """The inverse of `flat`."""
        parts = np.split(points, np.cumsum(self.sizes)[:-1], axis=1)
        return {
            name: part.reshape(len(points), *shape)
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }

    def project(self, points: Array) -> Array:
        """The nearest points within all spans; an excluded end is replaced by a number next to it."""
        low, high, open_low, open_high = self._ends
        points = np.clip(np.nan_to_num(points, nan=0.0, posinf=1e150, neginf=-1e150), low, high)
        with np.errstate(invalid="ignore"):
            width = np.where(np.isfinite(high - low), high - low, 2.0)
        points = np.where(open_low & (points <= low), low + np.minimum(width / 2, 1.0), points)
        return np.where(open_high & (points >= high), high - np.minimum(width / 2, 1.0), points)

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """(count, P) points: integers, zeros, ties, equal rows, rank one, Gaussians, all orders of magnitude."""
        parts = [
            _within(rng, _mixture(rng, count, shape), span).reshape(count, -1)
            for shape, span in zip(self.shapes, self.spans, strict=True)
        ]
        points = np.concatenate(parts, axis=1)
        # one scale for everything: many conjectures fail only where all is small, or all is large
        scaled = rng.random(count) < 0.15
        points[scaled] *= 10.0 ** rng.uniform(-4, 4, (int(scaled.sum()), 1))
        return self.project(points)

    def simple(self, rng: np.random.Generator, count: int) -> Array:
        """At most ``count`` points of simple numbers: all of a grid where they are few, otherwise drawn."""
        palettes = [
            p
            for p, size in zip(map(_palette, self.spans), self.sizes, strict=True)
            for _ in range(size)
        ]
        for digits in (4, 3):
            grid = [p[:digits] for p in palettes]
            if math.prod(map(len, grid)) <= count:
                points = np.array(list(product(*grid)), dtype=float).reshape(-1, self.size)
                return np.unique(self.project(points), axis=0)
        # mostly the first of a palette, or mostly others
        odds = rng.choice([0.2, 0.5, 0.8], (count, 1))
        short = rng.random(count) < 0.5
        columns = []
        for palette in palettes:
            values = np.array(palette)
            few, all_of = (rng.integers(1, n, count) for n in (min(3, len(values)), len(values)))
            columns.append(values[np.where(short, few, all_of)])
        other = np.stack(columns, axis=1) if columns else np.zeros((count, 0))
        first = np.array([p[0] for p in palettes])
        return self.project(np.where(rng.random(other.shape) < odds, other, first))

    def moves(self, rng: np.random.Generator, parents: Array, count: int) -> tuple[Array, Array]:
        """Children of parents (N, P) in the order of merit, better ones first.

        Returns:
            (count, P) points, and (count,) the number of the parent of each.
        """
        P, N = self.size, len(parents)
        of = np.minimum((N * rng.random(count) ** 2).astype(np.intp), N - 1)
        points = parents[of].copy()
        others = parents[rng.integers(N, size=(2, count))]
        kind = rng.integers(_KINDS, size=count)
        few = rng.random((count, P)) < np.maximum(
            1.0 / max(P, 1), rng.choice([0.0, 0.3, 1.0], (count, 1))
        )
        chosen = rng.random((count, max(len(self.sizes), 1))) < 0.5
        leaf = chosen[:, self.owner]
        size = np.abs(points)
        typical = np.sqrt(np.mean(points**2, axis=1, keepdims=True)) if P else size
        step = 10.0 ** rng.uniform(-6, 0.3, (count, 1))
        noise = step * np.maximum(size, 0.1 * typical + 1e-3) * rng.standard_normal((count, P))
        swap = np.take_along_axis(points, rng.integers(max(P, 1), size=(count, P)), axis=1)
        values = rng.choice([0.0, 1.0, -1.0, 2.0], (count, P))
        digits = 10.0 ** np.floor(np.log10(np.maximum(size, 1e-300)))
        candidates = (
            points + np.where(few, noise, 0.0),
            np.where(few, values, points),
            np.where(few, swap * rng.choice([1.0, -1.0], (count, 1)), points),
            points * np.where(leaf, 10.0 ** rng.uniform(-1.5, 1.5, (count, 1)), 1.0),
            np.where(leaf, others[0], points),
            points + rng.uniform(-1.2, 1.2, (count, 1)) * (others[0] - others[1]),
            np.where(few, np.round(points), points),
            np.where(few, np.round(points / digits) * digits, points),
            points + np.where(few, noise, 0.0) * 1e-3,
        )
        for k, candidate in enumerate(candidates):
            points = np.where((kind == k)[:, None], candidate, points)
        return self.project(points), of


_KINDS = 9


def _palette(span: Span) -> tuple[float, ...]:
    """Simple numbers of a span, the simplest first; at least three."""
    if math.isfinite(span.low) and math.isfinite(span.high):
        width = span.high - span.low
        inside = [x for x in (0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -2.0) if span.low <= x <= span.high]
        parts = [span.low + width * share for share in (0.5, 0.25, 0.75, 0.0, 1.0, 0.125, 0.875)]
        return tuple(dict.fromkeys((*inside, *parts))) if width else (span.low,) * 3
    if math.isinf(span.low) and math.isinf(span.high):
        return (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5)
    end, sign = (span.low, 1.0) if math.isfinite(span.low) else (span.high, -1.0)
    steps = (1.0, 2.0, 0.5, 3.0, 0.25, 4.0, 0.125) if span.log else (0.0, 1.0, 2.0, 0.5, 3.0)
    return tuple(end + sign * step for step in steps)


def _mixture(rng: np.random.Generator, count: int, shape: Shape) -> Array:
    """(count, *shape): one of the recipes for every point."""
    full = (count, *shape)
    ones = (count,) + (1,) * len(shape)
    normal = rng.standard_normal(full)
    integers = rng.integers(-3, 4, full).astype(float)
    signs = rng.choice([-1.0, 1.0], full)
    rows = (count, shape[0], *(1,) * (len(shape) - 1)) if shape else ones
    recipes = [
        integers,
        np.where(rng.random(full) < 0.5, rng.choice([-1.0, 0.0, 1.0], full), 0.0),
        normal,
        normal * 10.0 ** rng.uniform(-3, 3, ones),
        normal * 10.0 ** rng.uniform(-3, 3, rows),
        signs * 10.0 ** rng.uniform(-3, 3, full),
        signs * rng.integers(1, 4, ones),
    ]
    if shape:
        # equal rows: in blocks, so that some are alike and some are not
        source = rng.integers(max(shape[0], 1), size=(count, shape[0]))
        base = np.where(rng.random(ones) < 0.5, normal, integers)
        index = source.reshape(count, shape[0], *(1,) * (len(shape) - 1))
        recipes.append(np.take_along_axis(base, np.broadcast_to(index, full), axis=1))
    if len(shape) == 2:
        left = rng.integers(-2, 3, (count, shape[0], 1)).astype(float)
        right = np.where(
            rng.random((count, 1, 1)) < 0.5,
            rng.standard_normal((count, 1, shape[1])),
            rng.integers(-2, 3, (count, 1, shape[1])).astype(float),
        )
        recipes.append(left * right)
        # nearly a multiple of the identity: where bounds on spectra touch
        identity = np.eye(*shape)[None] * rng.choice([1.0, 2.0, 0.5], ones)
        noise = 10.0 ** rng.uniform(-8, 0, ones) * (rng.random(ones) < 0.7)
        recipes.append(identity + noise * normal)
    which = rng.integers(len(recipes), size=count)
    out = recipes[0]
    for k, recipe in enumerate(recipes[1:], 1):
        out = np.where((which == k).reshape(ones), recipe, out)
    return out


def _within(rng: np.random.Generator, points: Array, span: Span) -> Array:
    """Carry points of the whole line over to a span."""
    low, high = span.low, span.high
    if math.isinf(low) and math.isinf(high):
        return points
    if math.isfinite(low) and math.isfinite(high):
        ones = (len(points),) + (1,) * (points.ndim - 1)
        share = rng.random(points.shape)
        near = 10.0 ** rng.uniform(-9, 0, points.shape)
        kind = rng.integers(5, size=ones)
        share = np.where(kind == 1, near, np.where(kind == 2, 1 - near, share))
        share = np.where(kind == 3, np.round(share), share)
        if span.log and low > 0:
            spread = low * (high / low) ** share
            return np.where(kind == 4, points, np.clip(spread, low, high))
        return np.where(kind == 4, points, low + (high - low) * share)
    return low + np.abs(points) if math.isfinite(low) else high - np.abs(points)
