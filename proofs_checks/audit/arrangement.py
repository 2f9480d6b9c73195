"""Kind "activation patterns": how many sign patterns the points have, and which.

    claim    {"points": [[number, ...], ...], "count": P, "patterns": [] or all P of them}
    inputs   {}
    witness  {"cells": [[int, ...], ...], "tree": [] or TREE}

A pattern is the text of the bits [x_i . u > 0], i = 1, ..., n, at a u with x_i . u != 0 for all points
x_i != 0; the bit of a zero point is 1.  "cells" holds such a u for one pattern of each pair u, -u: their
patterns and the opposite ones are at least P.  There are no more:

- without a tree, by deletion-restriction, r(A) = r(A - h) + r(A restricted to h), done here;
- with a tree of signs (see `branches`; a leaf is [""]), by its leaves.  Its rows are the distinct
  hyperplanes, in the order in which the points give them, each with its first non-zero entry
  positive; row 0 is positive from the start, since -u has the opposite signs.
"""

from __future__ import annotations

import math
from typing import Any

from flint import fmpz_mat

from proofs_checks.audit.branches import MAX_BITS, walk
from proofs_checks.audit.core import Clock, Rejected, exact, fields
from proofs_checks.audit.rationals import over_common

Plane = tuple[int, ...]
BLOCK = 256  # cells that are looked at between two looks at the clock


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if there are other patterns, or fewer, or not these."""
    points, count, listed = fields(claim, ("points", "count", "patterns"), "claim")
    fields(inputs, (), "inputs")
    cells, tree = fields(witness, ("cells", "tree"), "witness")
    if type(count) is not int or not isinstance(listed, list) or not isinstance(cells, list):
        raise Rejected("the count must be an integer, patterns and cells must be lists")
    rows = _rows(points, clock)
    planes = list(dict.fromkeys(p for row in rows if (p := _plane(row)) is not None))
    found = _patterns(rows, cells, clock)
    if len(found) != count:
        raise Rejected(f"the cells have {len(found)} patterns, not {count}")
    most = _leaves(planes, tree, clock) if tree != [] else _count(planes, clock)
    if most != count:
        raise Rejected(f"there are up to {most} patterns, not {count}")
    if listed:
        texts = {text for text in listed if isinstance(text, str)}
        if len(listed) != count or texts != found:
            raise Rejected("the list of patterns misses one, repeats one or has a wrong one")
    which = ": those listed" if listed else ""
    return f"proved: {len(rows)} points in R^{len(rows[0])} have exactly {count} activation patterns{which}"


def _rows(points: Any, clock: Clock) -> list[list[int]]:
    """Positive multiples of the points, in integers."""
    if not isinstance(points, list) or not points or not isinstance(points[0], list):
        raise Rejected("the points must be a non-empty matrix")
    rows = []
    for i, point in enumerate(points):
        clock.tick()
        if not isinstance(point, list) or len(point) != len(points[0]) or not point:
            raise Rejected(f"point {i} does not have as many entries as point 0")
        rows.append(over_common([exact(x, f"point {i}") for x in point], clock)[0])
    # the planes of restrictions have minors as entries
    bits = max(x.bit_length() for row in rows for x in row)
    if min(len(rows), len(rows[0])) * bits > MAX_BITS:
        raise Rejected(f"the minors of the points may have more than {MAX_BITS} bits")
    return rows


def _plane(row: list[int] | Plane) -> Plane | None:
    """The primitive normal of a hyperplane, its first non-zero entry positive; None for zero."""
    first = next((x for x in row if x), 0)
    if not first:
        return None
    divisor = math.gcd(*row) * (1 if first > 0 else -1)
    return tuple(x // divisor for x in row)


def _patterns(rows: list[list[int]], cells: list[Any], clock: Clock) -> set[str]:
    """The patterns at the cells and opposite to them, all distinct."""
    width = len(rows[0])
    zero = [not any(row) for row in rows]
    matrix = fmpz_mat(rows)
    found: set[str] = set()
    for start in range(0, len(cells), BLOCK):
        clock.tick()
        block = cells[start : start + BLOCK]
        for u in block:
            if not isinstance(u, list) or len(u) != width or any(type(x) is not int for x in u):
                raise Rejected("a cell is no list of integers, one for each column")
        products = (
            matrix * fmpz_mat([list(column) for column in zip(*block, strict=True)])
        ).tolist()
        for k, values in enumerate(zip(*products, strict=True), start):
            if any(v == 0 and not z for v, z in zip(values, zero, strict=True)):
                raise Rejected(f"cell {k} lies on the hyperplane of a point")
            here = "".join("1" if v >= 0 else "0" for v in values)
            there = "".join("1" if v <= 0 else "0" for v in values)
            if here in found:
                raise Rejected(f"cell {k} or its opposite occurs twice")
            found |= {here, there}
    return found


def _count(planes: list[Plane], clock: Clock) -> int:
    """Cells of distinct hyperplanes through 0, by deletion-restriction from the last to the first."""
    clock.tick()
    if not planes:
        return 1
    if len(planes[0]) <= 2:
        return 2 * len(planes)
    total = 1
    for k, h in enumerate(planes):
        c = next(i for i, x in enumerate(h) if x)  # eliminated on h; h[c] > 0
        rest = [(i, x) for i, x in enumerate(h) if i != c]
        below = set()
        for r in planes[:k]:
            clock.tick()
            below.add(_plane(tuple(r[i] * h[c] - r[c] * x for i, x in rest)))
        total += _count([p for p in below if p is not None], clock)
    return total


def _leaves(planes: list[Plane], tree: Any, clock: Clock) -> int:
    """Twice the leaves of a tree that gives every row a sign, row 0 being positive."""
    if not planes:
        raise Rejected("a tree for points that are all zero")
    leaves = 0

    def leaf(node: Any, signs: dict[int, int]) -> None:
        nonlocal leaves
        if node != [""] or len(signs) < len(planes):
            raise Rejected("a leaf must be [''], below signs for all rows")
        leaves += 1

    rows = [list(p) for p in planes]
    walk(rows, set(range(1, len(rows))), {0: 1}, tree, leaf, "tree", clock)
    return 2 * leaves
