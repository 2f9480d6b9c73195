"""Trees of signs of rows x_i . u, and why a sign is excluded.

    TREE            its nodes in preorder
    i               split on row i: first x_i . u > 0, then x_i . u < 0
    [i+1, j, ...]   x_i . u > 0, because x_i . u < 0 contradicts the signs of the rows j, ... here
    [-i-1, j, ...]  x_i . u < 0, likewise
    [text, ...]     a leaf, the end of a branch

A contradiction is a combination of the signed rows with coefficients that are non-negative and not all
zero, which vanishes: no u has all those signs strictly.  So every u that has the given signs, and
x_i . u != 0 for every row of the tree, goes down to a leaf, and has the signs on the way there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import fmpz_mat

from proofs_checks.audit.core import Clock, Rejected

MAX_COLUMNS, MAX_BITS = 64, 1 << 16  # one exact linear system must not outlast the clock


def contradictory(rows: list[list[int]]) -> bool:
    """Whether the integer rows have one linear relation, up to a factor, and it has no two signs."""
    if not rows or len(rows) > len(rows[0]) + 1:
        return False
    kernel, nullity = fmpz_mat([list(column) for column in zip(*rows, strict=True)]).nullspace()
    relation = [kernel[i, 0] for i in range(len(rows))]
    return bool(nullity == 1 and (min(relation) >= 0 or max(relation) <= 0))


def walk(
    rows: list[list[int]],
    allowed: set[int],
    given: dict[int, int],
    tree: Any,
    leaf: Callable[[list[Any], dict[int, int]], None],
    what: str,
    clock: Clock,
) -> None:
    """Check all nodes; ``leaf(node, signs)`` checks the leaves.  Raises Rejected.

    ``allowed``: the non-zero rows that the tree may name; ``given``: rows with signs from the start.
    """
    columns = max(map(len, rows), default=0)
    bits = max((x.bit_length() for row in rows for x in row), default=0)
    if columns > MAX_COLUMNS or columns * bits > MAX_BITS:
        raise Rejected(
            f"{what}: more than {MAX_COLUMNS} columns, or {MAX_BITS} bits in integers for a row"
        )
    signs = dict(given)
    trail: list[int] = []  # the rows that got signs, in order
    splits: list[tuple[int, int]] = []  # open: (length of the trail there, row)
    done = False
    for node in tree if isinstance(tree, list) else []:
        clock.tick()
        if done:
            raise Rejected(f"{what}: the tree goes on after its last leaf")
        if type(node) is int:
            _enter(node, allowed, signs, trail, what)
            splits.append((len(trail) - 1, node))
        elif isinstance(node, list) and node and type(node[0]) is int:
            row = abs(node[0]) - 1
            _enter(row, allowed, signs, trail, what)
            signs[row] = -1 if node[0] > 0 else 1
            _contradiction(rows, [row, *node[1:]], signs, what)
            signs[row] = -signs[row]
        elif isinstance(node, list) and node and isinstance(node[0], str):
            leaf(node, signs)
            done = not splits
            if splits:
                length, row = splits.pop()
                for i in trail[length:]:
                    del signs[i]
                trail[length:] = [row]
                signs[row] = -1
        else:
            raise Rejected(f"{what}: {node!a:.40} is no node")
    if not done:
        raise Rejected(f"{what}: the tree ends before its last leaf")


def _enter(row: int, allowed: set[int], signs: dict[int, int], trail: list[int], what: str) -> None:
    if row not in allowed or row in signs:
        raise Rejected(f"{what}: row {row} cannot be split on here")
    signs[row] = 1
    trail.append(row)


def _contradiction(
    rows: list[list[int]], names: list[Any], signs: dict[int, int], what: str
) -> None:
    """The named rows, with their signs, have a non-negative relation."""
    if len(names) > len(rows[0]) + 1 or any(type(i) is not int or i not in signs for i in names):
        raise Rejected(f"{what}: a contradiction names too many rows, or a row without a sign")
    if not contradictory([[signs[i] * x for x in rows[i]] for i in names]):
        raise Rejected(f"{what}: the rows {names} do not contradict each other")
