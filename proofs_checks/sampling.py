"""Suprema of comparisons over a part of each step, with as many nodes as they need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from numerics.evaluate import Key, freeze
from numerics.extended import ScaledArray
from numerics.supremum import (
    Scores,
    compare,
    compare_equal,
    limit_at_zeros,
    step_supremum,
)
from proofs_checks.batch import COARSE, Float, Indices, StepContext, uniform_nodes
from proofs_checks.blocks import highest_before, lasts
from theory.quantity import Relation

NODES = (
    COARSE,
    31,
    181,
)  # equidistant instants per step, the next number where the one before does not resolve
RESOLVED = 1e-9  # relative: what nodes may miss of a supremum without asking for more of them

Sides = tuple[Key, Key]  # plain data of the left and the right side


@lru_cache(maxsize=1024)
def sides_of(relation: Relation) -> Sides:
    """The two sides of a relation as plain data."""
    return freeze(relation.lhs.to_data()), freeze(relation.rhs.to_data())


@dataclass(frozen=True, slots=True)
class Supremum:
    """Suprema over steps, one per row.

    Attributes:
        lanes: (L,) indices into the batch, sorted; steps of one lane in order. top: the scores, each (L,).
        at: (L,) where. log_lhs, log_rhs: (L,) the sides there.
    """

    lanes: Indices
    top: Scores
    at: Float
    log_lhs: Float
    log_rhs: Float

    def put(self, rows: Indices, other: Supremum) -> None:
        """Overwrite some rows."""
        for mine, new in (
            (self.top.mid, other.top.mid),
            (self.top.low, other.top.low),
            (self.top.high, other.top.high),
            (self.at, other.at),
            (self.log_lhs, other.log_lhs),
            (self.log_rhs, other.log_rhs),
        ):
            mine[rows] = new


def suprema(
    context: StepContext,
    rows: Indices,
    low: Float,
    high: Float,
    sides: Sides,
    coarse: Float,
    *,
    strict: bool = False,
    vanishing: bool = False,
    resolution: float | None = None,
) -> Supremum:
    """The suprema of ``lhs <= rhs`` between ``low`` and ``high``, (R,), in some of the rows of a block.

    Args:
        coarse: (B,) the largest score so far at the first nodes of a step; updated. Where nothing in a step can exceed
            it, the first nodes will do. It depends on the steps alone, not on how they are grouped into blocks.
        strict: the relation is ``<``. vanishing: see `numerics.supremum.limit_at_zeros`.
        resolution: the relation is an equality, checked with this resolution.
    """

    def look(which: Indices, nodes: int) -> tuple[Supremum, Float]:
        whole = nodes == COARSE and bool(
            ((low[which] == context.start[which]) & (high[which] == context.end[which])).all()
        )
        if whole:
            times = context.times[which]
            lhs, rhs = context.sample(which, *sides)
        else:
            times = uniform_nodes(low[which], high[which], nodes)
            env = context.environment(which, times)
            lhs, rhs = env.evaluate(sides[0]), env.evaluate(sides[1])
        lanes = context.lanes[which]
        if resolution is not None:
            return _equality(lanes, times, lhs, rhs, resolution), np.zeros(lanes.size)
        scores = compare(lhs, rhs, times.shape, strict=strict)
        top, where, missed = step_supremum(limit_at_zeros(scores) if vanishing else scores)
        pick = (np.arange(lanes.size), where)
        logs = [log_values(a, times.shape)[pick] for a in (lhs, rhs)]
        return Supremum(lanes, top, times[pick], *logs), missed

    lanes = context.lanes[rows]
    whole = (low[rows] == context.start[rows]) & (high[rows] == context.end[rows])
    if whole.all() or not whole.any():
        found, missed = look(rows, COARSE)
    else:
        found, missed = _empty(lanes), np.empty(rows.size)
        for group in (np.flatnonzero(whole), np.flatnonzero(~whole)):
            some, missed[group] = look(rows[group], COARSE)
            found.put(group, some)
    bar = highest_before(lanes, found.top.mid, coarse)
    final = lasts(lanes)
    coarse[lanes[final]] = np.fmax(bar, found.top.mid)[final]
    if resolution is not None:
        return found
    unsure = np.arange(rows.size)
    for nodes in NODES[1:]:
        unsure = unsure[(missed > RESOLVED) & (found.top.mid[unsure] + missed > bar[unsure])]
        if not unsure.size:
            break
        some, missed = look(rows[unsure], nodes)
        found.put(unsure, some)
    return found


def _empty(lanes: Indices) -> Supremum:
    mid, low, high, at, log_lhs, log_rhs = (np.empty(lanes.size) for _ in range(6))
    return Supremum(lanes, Scores(mid, low, high), at, log_lhs, log_rhs)


def _equality(
    lanes: Indices, times: Float, lhs: ScaledArray, rhs: ScaledArray, resolution: float
) -> Supremum:
    """The worst node; a difference beyond its error anywhere is a violation, so more nodes cannot mend it."""
    scores = compare_equal(lhs, rhs, times.shape, resolution)
    pick = np.arange(lanes.size), np.argmax(scores.mid, axis=1)
    top = Scores(scores.mid[pick], scores.low.max(axis=1), scores.high.max(axis=1))
    logs = (log_values(a.abs(), times.shape)[pick] for a in (lhs, rhs))
    return Supremum(lanes, top, times[pick], *logs)


def log_values(a: ScaledArray, shape: tuple[int, ...]) -> Float:
    """(L, m) logarithms of a number."""
    return np.broadcast_to(a.log_interval()[0], (*shape, 1, 1, 1))[:, :, 0, 0, 0]
