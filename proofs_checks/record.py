"""Curves along one trajectory: the two sides of every relation, and the directions of the neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.extended import ScaledArray
from proofs_checks.batch import Float, StepContext
from proofs_checks.case import Case
from proofs_checks.measure import AnyCase, Measured, batch_of, measure_batch
from theory.statement import Statement


@dataclass(frozen=True)
class Curve:
    """One relation along a trajectory: times (m,), logarithms of both sides (m,).

    Attributes:
        resolution: of an equality; None for an inequality.
        log_gap, log_error: (m,) logarithms of |lhs - rhs| and of its error bound, relative to the larger side.
    """

    part: str
    times: Float
    log_lhs: Float
    log_rhs: Float
    log_gap: Float
    log_error: Float
    resolution: float | None = None


@dataclass(frozen=True)
class Recording:
    """A case followed in detail.

    Attributes:
        curves: one per part that has a domain.
        times: (m,). directions: (m, h, d) unit vectors w_j/‖w_j‖. log_norms: (m, h) log ‖w_j‖². signs: (h,).
            All are empty for a linear network, which has no neurons.
        measured: trackers, verdicts and the integrator's result.
    """

    statement: Statement
    case: AnyCase
    curves: tuple[Curve, ...]
    times: Float
    directions: Float
    log_norms: Float
    signs: Float
    measured: Measured


def record(statement: Statement, case: AnyCase, *, until: float | None = None) -> Recording:
    """Integrate one case and keep what figures and profiles need.

    Args:
        until: integrate at least up to here.
    """
    parts = [p for p in statement.parts if p.domain is not None]
    relations = [statement.expand(p.relation) for p in parts]
    rows: list[list[tuple[Float, ...]]] = [[] for _ in parts]
    states: list[tuple[Float, Float, Float]] = []

    def listen(context: StepContext) -> None:
        times = context.times
        env = context.environment(np.arange(context.lanes.size), times)
        if isinstance(case, Case):
            w = env.evaluate(["var", "w"])
            length = env.evaluate(["norm", ["var", "w"]])
            states.append(
                (
                    times.ravel(),
                    (w.m / length.m).reshape(times.size, *case.W0.shape),
                    _log(env.evaluate(["sqnorm", ["var", "w"]]), times.shape),
                )
            )
        for out, relation in zip(rows, relations, strict=True):
            with np.errstate(all="ignore"):
                lhs, rhs = (env.evaluate(q.to_data()) for q in (relation.lhs, relation.rhs))
                a, b = (_log(side, times.shape)[:, 0] for side in (lhs, rhs))
                gap = lhs - rhs
                error = ScaledArray(gap.r, np.zeros_like(gap.r), gap.e)
                size, bound = (
                    _log(side, times.shape)[:, 0] - np.maximum(a, b) for side in (gap.abs(), error)
                )
            out.append((times.ravel(), a, b, size, bound))

    measured = measure_batch(
        [statement],
        batch_of([case]),
        listeners=[listen],
        until=None if until is None else np.array([until]),
    )
    (tracker,) = measured.trackers
    reached = float(measured.result.t[0])
    curves = []
    for part, out in zip([p for p in tracker.parts if p.start is not None], rows, strict=True):
        t, *logs = (np.concatenate(c) for c in zip(*out, strict=True))
        start, end = part.interval(np.array([reached]))
        keep = (t >= start[0]) & (t <= end[0]) & ~np.isnan(logs[1])
        a, b, size, bound = (values[keep] for values in logs)
        curves.append(Curve(part.part.name, t[keep], a, b, size, bound, part.part.resolution))
    if isinstance(case, Case):
        times, directions, norms = (np.concatenate(c) for c in zip(*states, strict=True))
        shown = times <= reached
        times, directions, norms = times[shown], directions[shown], norms[shown]
        signs = np.sign(case.v0)
    else:
        times, directions, norms, signs = (np.empty(s) for s in ((0,), (0, 0, 0), (0, 0), (0,)))
    return Recording(statement, case, tuple(curves), times, directions, norms, signs, measured)


def _log(a: ScaledArray, shape: tuple[int, ...]) -> Float:
    """(steps · m, neurons) logarithms of an array with axes (steps, m, neurons, 1, 1); shape: (steps, m)."""
    mid = a.log_interval()[0][..., 0, 0]
    return np.broadcast_to(mid, (*shape, mid.shape[2])).reshape(-1, mid.shape[2])
