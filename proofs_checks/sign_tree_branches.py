"""Trees of signs over the cells of an arrangement: balanced splits, and the rows that force a sign.

A node is a set of cells and the rows that have signs there.  A row whose sign is the same in all of
them is forced by the splits so far (Farkas): its signed row is a non-negative combination of theirs.  A
basic combination is found in floats, the exact kernel arithmetic decides whether it is one, and a
simplex method in rationals finds it where rounding misled.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements_exact import IntRow, Vectors
from proofs_checks.audit.branches import contradictory
from theory.errors import LemmataError

Signed = tuple[int, int]  # a row, and its sign


def branches(
    rows: Sequence[IntRow],
    cone: Sequence[IntRow],
    patterns: NDArray[np.bool_],
    names: Sequence[int],
    leaves: Sequence[list[Any]],
) -> list[Any]:
    """The nodes of a tree with these leaves, in preorder (see `audit.branches`).

    Args:
        rows: p non-zero integer rows; cone: r more, positive from the start.
        patterns: (P, p), the signs of the rows in each cell, no two equal.
        names: what the tree calls the rows, then the rows of the cone.
        leaves: the leaf of each cell.

    Raises:
        LemmataError: a sign is the same in all cells of a node, and nothing forces it: a cell is missing.
    """
    forced = _Forced([*rows, *cone], names)
    begin = [(len(rows) + k, 1) for k in range(len(cone))]
    nodes: list[Any] = []
    todo = [(np.arange(len(patterns)), np.arange(len(rows)), begin)]
    while todo:
        cells, free, splits = todo.pop()
        here = patterns[np.ix_(cells, free)]
        positive = here.sum(axis=0)
        same = (positive == 0) | (positive == len(cells))
        for j, plus in zip(free[same].tolist(), (positive[same] > 0).tolist(), strict=True):
            sign = 1 if plus else -1
            nodes.append([sign * (names[j] + 1), *forced.by(j, sign, splits)])
        if same.all():
            nodes.append(leaves[cells[0]])
            continue
        column = int(np.argmin(np.where(same, len(cells), np.abs(2 * positive - len(cells)))))
        j, plus_cells = int(free[column]), here[:, column]
        nodes.append(names[j])
        free = free[~same & (free != j)]
        todo.append((cells[~plus_cells], free, [*splits, (j, -1)]))
        todo.append((cells[plus_cells], free, [*splits, (j, 1)]))
    return nodes


class _Forced:
    """Which signed rows force the sign of another one."""

    def __init__(self, rows: Sequence[IntRow], names: Sequence[int]) -> None:
        from numerics.nonnegative import nonnegative_least_squares

        self.rows, self.names, self.nnls = rows, names, nonnegative_least_squares
        dim = len(rows[0]) if rows else 1
        floats = Vectors.of(list(rows), dim).floats
        self.unit = floats / np.linalg.norm(floats, axis=1, keepdims=True)

    def by(self, j: int, sign: int, splits: Sequence[Signed]) -> list[int]:
        """The names of split rows of which sign * row j is a non-negative combination."""
        chosen = [k for k, _ in splits]
        signed = np.array([s for _, s in splits], dtype=float)
        try:
            found = self.nnls((self.unit[chosen] * signed[:, None]).T, sign * self.unit[j])
        except (RuntimeError, ValueError):  # no convergence, or no splits at all
            found = np.zeros(len(chosen))
        support = [splits[k] for k in np.flatnonzero(found > 0).tolist()]
        if not self._contradict(j, sign, support):
            exact = conic_support(
                [[s * x for x in self.rows[k]] for k, s in splits],
                [sign * x for x in self.rows[j]],
            )
            support = [splits[k] for k in exact or []]
            if exact is None or not self._contradict(j, sign, support):
                raise LemmataError(
                    f"no proof that row {self.names[j]} has one sign: the list of cells is incomplete"
                )
        return [self.names[k] for k, _ in support]

    def _contradict(self, j: int, sign: int, support: Sequence[Signed]) -> bool:
        signed = [[s * x for x in self.rows[k]] for k, s in [(j, -sign), *support]]
        return contradictory(signed)


def conic_support(rows: Sequence[Sequence[int]], target: Sequence[int]) -> list[int] | None:
    """Independent rows of which the target is a positive combination, or None; the simplex method, exactly.

    Phase one over the rationals, with Bland's rule, which ends in every case.
    """
    count, dim = len(rows), len(target)
    table = []
    for c in range(dim):
        flip = -1 if target[c] < 0 else 1
        table.append([Fraction(flip * row[c]) for row in rows] + [Fraction(flip * target[c])])
    basis = list(range(count, count + dim))  # artificial variables
    while True:
        artificial = [c for c in range(dim) if basis[c] >= count]
        gain = [sum((table[c][k] for c in artificial), Fraction(0)) for k in range(count + 1)]
        if gain[count] == 0:
            return sorted(basis[c] for c in range(dim) if basis[c] < count and table[c][count] > 0)
        enter = next((k for k in range(count) if gain[k] > 0 and k not in basis), None)
        if enter is None:
            return None
        ratios = [
            (table[c][count] / table[c][enter], basis[c], c)
            for c in range(dim)
            if table[c][enter] > 0
        ]
        leave = min(ratios)[2]
        pivot = table[leave][enter]
        table[leave] = [x / pivot for x in table[leave]]
        for c in range(dim):
            if c != leave and table[c][enter]:
                factor = table[c][enter]
                table[c] = [x - factor * y for x, y in zip(table[c], table[leave], strict=True)]
        basis[leave] = enter
