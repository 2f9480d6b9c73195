"""Activation patterns 1[Xu >= 0] of the cells of the arrangement {u: x_i . u = 0}, exactly.

Degenerate data are ordinary data: repeated, parallel and antiparallel rows cut once, a zero row cuts
nothing (its pattern is True), dependent columns are dropped.  The list is compared with the number
of cells that deletion-restriction gives; nobody gets a list that is silently incomplete.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements_cells import cell_points
from numerics.arrangements_exact import (
    Array,
    Bools,
    IntRow,
    Vectors,
    count_cells,
    hyperplanes,
    integer_rows,
    pivot_columns,
    primitive,
    signs,
)
from numerics.arrangements_points import blocks, centred, integers
from numerics.errors import NumericsError

LIMIT = 200_000


@dataclass(frozen=True)
class Arrangement:
    """Cells of a central arrangement.

    Attributes:
        patterns: (P, n) bool, 1[X u >= 0] on each open cell; no two equal, in lexicographic order,
            True first.
        points: integer vectors, strictly inside the cells (X's own coordinates).
        directions: (P, d) unit vectors: the points, rounded.
        complete: whether every cell is there (then P equals ``count``).
        count: the number of cells by deletion-restriction; None where it was not asked for.
        method: "angles" or "planes" (all cells), "cone" (all cells inside a cone) or "samples".
    """

    patterns: Bools
    points: tuple[IntRow, ...]
    directions: Array
    complete: bool
    count: int | None
    method: str


def count_bound(n: int, d: int) -> int:
    """Cover's bound 2 sum_{k<d} C(n-1, k) on the number of cells of n hyperplanes through 0 in R^d."""
    return 2 * sum(math.comb(n - 1, k) for k in range(min(d, n))) if n else 1


def count_patterns(X: Any) -> int:
    """The number of activation patterns of X (n, d), exactly, by deletion-restriction.

    Raises:
        NumericsError: X is no finite, non-empty matrix.
    """
    planes, _, _ = hyperplanes(integer_rows(X))
    return count_cells(_essential(planes)[0])


def enumerate_patterns(
    X: Any, *, limit: int = LIMIT, cone: Any = None, improve: bool = True
) -> Arrangement:
    """All activation patterns of X (n, d).

    Args:
        X: floats (taken exactly), ints or Fractions.
        limit: the greatest number of patterns that is enumerated.
        cone: optional rows (r, d); only the cells of X inside {u: cone u > 0}, none if that is empty.
            Their number is then not checked by deletion-restriction (``count`` is None), and the
            limit is only noticed on the way.
        improve: move the points towards the middle of their cells and shorten them; False is faster.

    Raises:
        NumericsError: X is no finite, non-empty matrix, or has more than ``limit`` patterns.
    """
    rows = integer_rows(X)
    planes, _, _ = hyperplanes(rows)
    if cone is not None:
        return _in_cone(rows, integer_rows(cone, "cone"), limit, improve)
    essential, columns = _essential(planes)
    count = _count_within(essential, limit)
    dim = len(columns)
    points = cell_points(essential, [1, *[0] * (len(essential) - 1)], dim)
    if essential:  # of each pair of opposite cells one has been found
        points += [tuple(-x for x in p) for p in points]
    return _arrangement(
        rows, points, columns, count, "angles" if dim <= 2 else "planes", improve=improve
    )


def sample_patterns(X: Any, *, samples: int, seed: int = 0) -> Arrangement:
    """The patterns of ``samples`` Gaussian directions and of their negatives: exact signs, incomplete.

    Directions are drawn for columns scaled to equal size.  A direction on a hyperplane is dropped.

    Raises:
        NumericsError: X is no finite, non-empty matrix, ``samples`` is not positive, or ``seed`` is negative.
    """
    if samples < 1:
        raise NumericsError(f"samples = {samples}: draw at least one direction")
    if seed < 0:
        raise NumericsError(f"seed = {seed}: give a whole number of at least 0")
    rows = integer_rows(X)
    planes, _, _ = hyperplanes(rows)
    essential, columns = _essential(planes)
    scale = np.abs(Vectors.of(essential, len(columns)).floats).max(axis=0, initial=0.0)
    scale[scale == 0] = 1.0  # an entry that underflows beside its row
    draws = np.random.default_rng(seed).standard_normal((samples, len(columns))) / scale
    points = [integers(u) for u in np.concatenate([draws, -draws])]
    inside = (
        signs(Vectors.of(points, len(columns)), Vectors.of(essential, len(columns)))[0] != 0
    ).all(axis=1)
    kept = [p for p, good in zip(points, inside, strict=True) if good]
    return _arrangement(rows, kept, columns, None, "samples", improve=False)


def _essential(planes: Sequence[IntRow]) -> tuple[list[IntRow], list[int]]:
    """The hyperplanes in columns of full rank; some column even where there is no hyperplane."""
    columns = pivot_columns(planes) or [0]
    # rows stay canonical: a first non-zero entry lies in a column that does not depend on those before it
    return [primitive([row[c] for c in columns]) for row in planes], columns


def _count_within(planes: Sequence[IntRow], limit: int) -> int:
    """The number of cells, or the error that says that there are too many."""
    n, dim = len(planes), len(planes[0]) if planes else 0
    # the fewest cells that n hyperplanes of rank d can have: d - 2 in general position to the lines of a plane
    fewest = 2 ** max(dim - 1, 0) * max(n - dim + 2, 2) if dim > 1 else 1
    exactly = dim <= 3 and n <= 1000  # to the end only where that costs next to nothing
    count = fewest
    if exactly or count <= limit:
        count = count_cells(planes, None if exactly else limit)
    if count > limit:
        how_many = "exactly" if exactly else "at least"
        raise NumericsError(
            f"more than {limit} activation patterns ({how_many} {count}; at most {count_bound(n, dim)}, "
            f"Cover's bound for {n} distinct hyperplanes in dimension {dim}): take fewer rows or columns, "
            "raise the limit, or sample, which gives at most two patterns per sample and no complete list"
        )
    return count


def _in_cone(rows: list[IntRow], cone: list[IntRow], limit: int, improve: bool) -> Arrangement:
    if len(cone[0]) != len(rows[0]):
        raise NumericsError(f"cone has {len(cone[0])} columns where X has {len(rows[0])}")
    planes, places, orientations = hyperplanes([*cone, *rows])
    if 0 in orientations[: len(cone)]:
        raise NumericsError("a row of the cone is zero: drop it")
    sides, empty = [0] * len(planes), False
    for place, sign in zip(places[: len(cone)], orientations, strict=False):
        empty |= sides[place] == -sign
        sides[place] = sign
    planes, columns = _essential(planes)
    points = [] if empty else cell_points(planes, sides, len(columns), limit)
    found = _arrangement([*cone, *rows], points, columns, None, "cone", improve=improve)
    return replace(found, patterns=found.patterns[:, len(cone) :])


def _arrangement(
    rows: list[IntRow],
    points: list[IntRow],
    columns: list[int],
    count: int | None,
    method: str,
    *,
    improve: bool,
) -> Arrangement:
    """Patterns at the points, which lie on no hyperplane; sorted, without repetitions, counted."""
    width, dim = len(rows[0]), len(columns)
    if points == [(0,) * dim]:  # no hyperplane at all
        points = [(1,) + (0,) * (dim - 1)]
    # sign vectors of a restriction to fewer columns: the rows there are not primitive, which is no matter
    there = Vectors.of([tuple(row[c] for c in columns) for row in rows], dim)
    zero = np.array([not any(row) for row in rows])
    at = Vectors.of(points, dim)
    patterns = np.ones((len(points), len(rows)), dtype=bool)
    for part in blocks(len(points), len(rows)):
        found, _ = signs(at[part], there)
        if (found[:, ~zero] == 0).any():
            raise NumericsError(
                "internal error: a point lies on a hyperplane; please report the data"
            )
        patterns[part] = found >= 0
    order = _distinct(patterns)
    if count is not None and not len(order) == len(points) == count:
        raise NumericsError(
            f"internal error: {len(order)} patterns found where there are {count}; please report the data"
        )
    patterns = patterns[order]
    at = Vectors.of([points[i] for i in order], dim)
    if improve:
        at = centred(at, there, patterns)
    full = at.ints
    if columns != list(range(width)):
        place = {c: k for k, c in enumerate(columns)}
        full = [tuple(p[place[c]] if c in place else 0 for c in range(width)) for p in at.ints]
    directions = np.zeros((len(full), width))
    directions[:, columns] = at.floats
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Arrangement(
        patterns, tuple(full), directions, count is not None or method == "cone", count, method
    )


def _distinct(patterns: Bools) -> NDArray[np.intp]:
    """Indices of the distinct rows, in lexicographic order, True first."""
    if not len(patterns):
        return np.zeros(0, dtype=np.intp)
    packed = np.packbits(~patterns, axis=1)
    packed = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    words = packed.view(">u8").astype(np.uint64)
    order = np.lexsort(words.T[::-1])
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    return order[fresh]
