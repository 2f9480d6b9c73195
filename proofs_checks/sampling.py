"""Suprema of comparisons over a part of a step, with as many nodes as they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from numerics.evaluate import Key
from numerics.extended import ScaledArray
from numerics.supremum import (
    Scores,
    compare,
    compare_equal,
    limit_at_zeros,
    step_supremum,
)
from proofs_checks.batch import Float, Indices, StepContext

NODES = (
    6,
    31,
    181,
)  # equidistant instants per step, the next number where the one before does not resolve
RESOLVED = 1e-9  # relative: what nodes may miss of a supremum without asking for more of them

Sides = tuple[Key, Key]  # plain data of the left and the right side


@dataclass(frozen=True, slots=True)
class Supremum:
    """Suprema over one step for some lanes.

    Attributes:
        lanes: (L,) indices into the batch. top: their scores. at: (L,) where. log_lhs, log_rhs: (L,) the sides there.
    """

    lanes: Indices
    top: Scores
    at: Float
    log_lhs: Float
    log_rhs: Float


def suprema(
    context: StepContext,
    rows: Indices,
    low: Float,
    high: Float,
    sides: Sides,
    running: Callable[[Indices], Float],
    *,
    strict: bool = False,
    vanishing: bool = False,
    resolution: float | None = None,
) -> Iterator[Supremum]:
    """The suprema of ``lhs <= rhs`` between ``low`` and ``high``, (len of the step's lanes,), for some rows.

    Args:
        running: the supremum so far of given lanes; where nothing can exceed it, coarse samples will do.
        strict: the relation is ``<``. vanishing: see `numerics.supremum.limit_at_zeros`.
        resolution: the relation is an equality, checked with this resolution.
    """
    for nodes in NODES:
        if not rows.size:
            return
        times = uniform_nodes(low[rows], high[rows], nodes)
        env = context.environment(rows, times)
        lhs, rhs = env.evaluate(sides[0]), env.evaluate(sides[1])
        if resolution is not None:
            yield _equality(context.lanes[rows], times, lhs, rhs, resolution)
            return
        scores = compare(lhs, rhs, times.shape, strict=strict)
        top, where, missed = step_supremum(limit_at_zeros(scores) if vanishing else scores)
        lanes, pick = context.lanes[rows], (np.arange(rows.size), where)
        coarse = (missed > RESOLVED) & (top.mid + missed > running(lanes)) & (nodes < NODES[-1])
        done = ~coarse
        logs = [log_values(a, times.shape)[pick][done] for a in (lhs, rhs)]
        yield Supremum(lanes[done], top.take(done), times[pick][done], *logs)
        rows = rows[coarse]


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


def uniform_nodes(start: Float, end: Float, count: int = NODES[0]) -> Float:
    """(L, count) equidistant instants from start to end, both included exactly."""
    steps = np.linspace(0.0, 1.0, count)
    times = start[:, None] + (end - start)[:, None] * steps
    times[:, -1] = end
    return times
