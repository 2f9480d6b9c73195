"""Undecided cases that are worth an exact answer: the simplest ones that touch, and those beyond the floats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TOUCHING = -1e-9  # a slack above it: the sides are equal, as floats see it
EACH = 2  # kept of either kind


@dataclass
class Pool:
    """The simplest undecided lanes of a unit.

    Attributes:
        touching, beyond: (complexity, point, number of the base), ascending; beyond: sides or bounds that floats
            cannot hold.
    """

    touching: list[tuple[float, Array, int]] = field(default_factory=list)
    beyond: list[tuple[float, Array, int]] = field(default_factory=list)

    def look(self, judged: Any, points: Array, of: NDArray[np.intp]) -> None:
        """Keep what is simpler than what is kept."""
        from proofs_checks.conjectures.judge import UNDECIDED

        known = np.isfinite(judged.error) & np.isfinite(judged.slack)
        undecided = judged.status == UNDECIDED
        chosen = undecided & known & (judged.slack > TOUCHING)
        self.touching = _simplest(self.touching, chosen, points, of)
        self.beyond = _simplest(self.beyond, undecided & ~known, points, of)

    @property
    def lanes(self) -> list[tuple[Array, int]]:
        """(point, number of the base) of all that is kept."""
        return [(point, of) for _, point, of in (*self.touching, *self.beyond)]


def _simplest(
    kept: list[tuple[float, Array, int]],
    chosen: NDArray[np.bool_],
    points: Array,
    of: NDArray[np.intp],
) -> list[tuple[float, Array, int]]:
    at = np.flatnonzero(chosen)
    if not len(at):
        return kept
    costs = complexity(points[at])
    order = np.argsort(costs, kind="stable")[:EACH]
    new = [(float(costs[k]), points[at[k]], int(of[at[k]])) for k in order.tolist()]
    return sorted([*kept, *new], key=lambda item: item[0])[:EACH]


def complexity(points: Array) -> Array:
    """(B,) how far points (B, P) are from simple numbers: zeros, small integers, eighths."""
    size = 1 + abs(np.log2(np.maximum(abs(points), 1e-300)))
    cost = np.full(points.shape, 64.0)
    cost = np.where(points * 8 == np.round(points * 8), 4 + size, cost)
    cost = np.where(points == np.round(points), size, cost)
    return np.asarray(np.where(points == 0, 0.0, cost).sum(axis=1))


__all__ = ["Pool", "complexity"]
