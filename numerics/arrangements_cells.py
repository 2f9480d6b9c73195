"""The cells of a central arrangement, exactly, hyperplane by hyperplane.

Insert the hyperplanes one at a time.  The cells that h_k cuts correspond one to one to the cells of
the arrangement that h_1, ..., h_{k-1} leave on h_k, which is enumerated in one dimension less: a
point p of such a cell lies on h_k and strictly inside the cell that is cut, and p + eps x_k and
p - eps x_k lie in its two parts.  Points are integers; eps is a power of two from exact signs and
bounds, so nothing is decided by rounding.  In the plane the lines are sorted by angle instead.

``sides`` restricts the arrangement to an open cone: side 1 or -1 for a row keeps the cells where the
row has that sign (such rows come first), side 0 cuts.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements_exact import (
    Bools,
    IntRow,
    Vectors,
    canonical,
    lift,
    restrict,
    signs,
)
from numerics.errors import NumericsError


def cell_points(
    planes: Sequence[IntRow], sides: Sequence[int], dim: int, limit: int | None = None
) -> list[IntRow]:
    """One integer point inside each cell, for distinct canonical rows; no cells if the cone has no interior.

    Raises:
        NumericsError: more than ``limit`` cells.
    """
    if not planes:
        return [(0,) * dim]
    if dim == 1:
        return [(s,) for s in (1, -1) if sides[0] in (0, s)]
    if dim == 2:
        points = _sectors(planes)
        if any(sides):
            chosen = [(row, side) for row, side in zip(planes, sides, strict=True) if side]
            points = [
                p for p in points if all(s * (r[0] * p[0] + r[1] * p[1]) > 0 for r, s in chosen)
            ]
        return points
    return _insert(planes, sides, dim, limit)


def _sectors(planes: Sequence[IntRow]) -> list[IntRow]:
    """Points between neighbouring lines of the plane, counter-clockwise; canonical rows (a, b), a >= 0."""
    if len(planes) == 1:
        (row,) = planes
        return [row, (-row[0], -row[1])]
    # the ray (-b, a) of a canonical row has its angle in (0, pi], so a float sort is nearly right
    rays = [(-b, a) for a, b in planes]
    shifts = [max(abs(x).bit_length(), abs(y).bit_length()) for x, y in rays]
    angles = [
        math.atan2(y / (1 << e), x / (1 << e)) for (x, y), e in zip(rays, shifts, strict=True)
    ]
    order = sorted(range(len(rays)), key=angles.__getitem__)
    rays = [rays[i] for i in order]
    if any(_cross(rays[i], rays[i + 1]) <= 0 for i in range(len(rays) - 1)):
        rays.sort(key=functools.cmp_to_key(_clockwise))
    around = [*rays, (-rays[0][0], -rays[0][1])]
    half = [_middle(u, v) for u, v in itertools.pairwise(around)]
    return half + [(-x, -y) for x, y in half]


def _cross(u: IntRow, v: IntRow) -> int:
    return u[0] * v[1] - u[1] * v[0]


def _clockwise(u: IntRow, v: IntRow) -> int:
    return -1 if _cross(u, v) > 0 else 1


def _middle(u: IntRow, v: IntRow) -> IntRow:
    """A positive combination of two rays, of about equal weights."""
    more = max(abs(u[0]), abs(u[1])).bit_length() - max(abs(v[0]), abs(v[1])).bit_length()
    a, b = max(-more, 0), max(more, 0)
    return (u[0] << a) + (v[0] << b), (u[1] << a) + (v[1] << b)


class _Cells:
    """The cells so far: points, sign patterns, and a hash of each pattern that finds it."""

    def __init__(self, planes: Sequence[IntRow], dim: int) -> None:
        self.rows = Vectors.of(list(planes), dim)
        self.dim = dim
        self.ints: list[IntRow] = [(0,) * dim]
        self.floats = np.zeros((1, dim))
        self.exponents = np.zeros(1, dtype=np.int64)
        self.patterns = np.zeros((1, len(planes)), dtype=bool)
        self.hashes = np.zeros(1, dtype=np.uint64)
        # hashes only speed up the search: a found pattern is compared in full
        self.weights = np.random.default_rng(0).integers(
            1, 2**64, size=len(planes), dtype=np.uint64
        )

    def points(self) -> Vectors:
        return Vectors(self.ints, self.floats, self.exponents)

    def keep(self, chosen: Bools) -> None:
        self.ints = [p for p, c in zip(self.ints, chosen, strict=True) if c]
        self.floats, self.exponents = self.floats[chosen], self.exponents[chosen]
        self.patterns, self.hashes = self.patterns[chosen], self.hashes[chosen]

    def find(self, patterns: Bools, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The index of each pattern on the first k rows; every one is there."""
        order = np.argsort(self.hashes, kind="stable")
        at = np.searchsorted(self.hashes, hashes, sorter=order)
        found = order[np.minimum(at, len(order) - 1)]
        k = patterns.shape[1]
        wrong = (self.patterns[found, :k] != patterns).any(axis=1)
        for i in np.flatnonzero(wrong):  # two patterns with one hash
            found[i] = np.flatnonzero((self.patterns[:, :k] == patterns[i]).all(axis=1))[0]
        return found

    def beside(
        self, k: int, points: Vectors, logs: NDArray[np.float64], side: Sequence[int]
    ) -> Vectors:
        """The points moved off the hyperplane of row k, to the given side, across none of the first k rows.

        ``logs`` (S, k): lower bounds of log2 |point . row| in floats, as `signs` gives them.
        """
        row, floats, exponent = self.rows.ints[k], self.rows.floats[k], int(self.rows.exponents[k])
        reach = np.abs(self.rows.floats[:k] @ floats) + 2 * (self.dim + 3) * 2.0**-53
        # p 2^a + s row 2^b keeps the sign of row j if |p.x_j| 2^(a-b) > |row.x_j|
        need = (np.log2(reach) - logs).max(axis=1, initial=-1e6) + exponent - points.exponents
        moved = []
        for p, bits, s in zip(points.ints, need.tolist(), side, strict=True):
            more = math.floor(bits) + 2 if any(p) else 0
            a, b = max(more, 0), max(-more, 0)
            moved.append(tuple((x << a) + ((s * y) << b) for x, y in zip(p, row, strict=True)))
        return Vectors.of(moved, self.dim)


def _insert(
    planes: Sequence[IntRow], sides: Sequence[int], dim: int, limit: int | None
) -> list[IntRow]:
    cells = _Cells(planes, dim)
    for k, row in enumerate(planes):
        if not cells.ints:
            return []
        first = cells.rows[:k]
        side = signs(cells.points(), cells.rows[k : k + 1])[0][:, 0].copy()
        flat = np.flatnonzero(side == 0)
        if flat.size:  # a point on the new hyperplane moves off it
            some = Vectors([cells.ints[i] for i in flat], cells.floats[flat], cells.exponents[flat])
            off = cells.beside(k, some, signs(some, first)[1], [1] * len(flat))
            for i, p in zip(flat, off.ints, strict=True):
                cells.ints[i] = p
            cells.floats[flat], cells.exponents[flat], side[flat] = off.floats, off.exponents, 1
        cells.patterns[:, k] = side > 0
        cut = Vectors.of(_on_hyperplane(planes[:k], sides[:k], row, dim), dim)
        if cut.ints:
            found, logs = signs(cut, first)
            hashes = (found > 0) @ cells.weights[:k] if k else np.zeros(len(found), dtype=np.uint64)
            at = cells.find(found > 0, hashes)
            other = -side[at]
            new = cells.beside(k, cut, logs, other.tolist())
            patterns = cells.patterns[at]
            patterns[:, k] = other > 0
            cells.hashes = np.concatenate([cells.hashes, cells.hashes[at]])
            cells.patterns = np.concatenate([cells.patterns, patterns])
            cells.floats = np.concatenate([cells.floats, new.floats])
            cells.exponents = np.concatenate([cells.exponents, new.exponents])
            cells.ints += new.ints
            if limit is not None and len(cells.ints) > limit:
                raise NumericsError(
                    f"more than {limit} activation patterns inside the cone: raise the limit, or take fewer rows"
                )
        cells.hashes = cells.hashes + cells.patterns[:, k] * cells.weights[k]
        if sides[k]:
            cells.keep(cells.patterns[:, k] == (sides[k] > 0))
    return cells.ints


def _on_hyperplane(
    planes: Sequence[IntRow], sides: Sequence[int], row: IntRow, dim: int
) -> list[IntRow]:
    """Points of the cells that the planes leave on the hyperplane of ``row``, within the cone's relative interior."""
    index: dict[IntRow, int] = {}
    for r, side in zip(restrict(planes, row), sides, strict=True):
        plane, sign = canonical(r)
        wanted = index.get(plane, 0)
        if wanted and side and wanted != sign * side:
            return []
        index[plane] = wanted or sign * side
    return lift(cell_points(list(index), list(index.values()), dim - 1), row)
