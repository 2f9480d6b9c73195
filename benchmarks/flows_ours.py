"""Our engine: a trajectory with every step seen by observers, and ensembles of which only the ends are kept.

The error bounds are part of the work in both. Ensembles take the closed form of the early phase for as long as its
bound stays within rtol, which at coarse tolerances is all the way to T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.flows_methods import Method, Outcome, Run
from benchmarks.flows_problem import Task
from numerics import FlowOptions, FlowProblem, integrate

TOLERANCES = (1e-4, 1e-6, 1e-7, 1e-8, 1e-10, FlowOptions().rtol)


def flow_problem(task: Task) -> FlowProblem:
    """The task as our engine takes it: the same binary64 start, to the bit."""
    return FlowProblem(
        X=task.X,
        y=task.y,
        loss="exponential",
        weight=1.0,
        W0=task.W0,
        v0=task.v0,
        log_eps=np.zeros(task.lanes),
    )


def outcome(result: Any, evaluations: float | None, kinks: Any) -> Outcome:
    """Final weights and the largest error bound over the largest weight of its lane, of the lanes that ended."""
    scale = result.exponent.astype(np.int32)
    W = np.ldexp(result.W, scale[:, :, None])
    bound = np.ldexp(result.radius, scale).max(axis=1) / np.abs(W).max(axis=(1, 2))
    undecided = ~result.ok
    W[undecided] = np.nan
    worst = float(bound[result.ok].max(initial=0.0))
    return Outcome(W, evaluations, kinks, worst, int(undecided.sum()))


def prepare_integrate(task: Task, until: float) -> Run:
    """``numerics.integrate``; compiles, or loads what is compiled, on the first lane."""
    integrate(flow_problem(task.first(1)), until=until / 100)

    def run(task: Task, rtol: float) -> Outcome:
        result = integrate(flow_problem(task), until=until, options=FlowOptions(rtol=rtol))
        kinks = np.bincount(result.kink_table.lane, minlength=task.lanes)
        return outcome(result, float(result.evaluations.mean()), kinks)

    return run


def prepare_ensemble(task: Task, until: float) -> Run:
    """``numerics.ensemble``: the same with nothing recorded; loaded on the first lane."""
    from numerics.ensemble import ensemble

    ensemble(flow_problem(task.first(1)), until=until / 100, quantities=())

    def run(task: Task, rtol: float) -> Outcome:
        result = ensemble(
            flow_problem(task), until=until, quantities=(), options=FlowOptions(rtol=rtol)
        )
        return outcome(result, None, result.kinks)

    return run


METHODS = (
    Method(
        "lemmata-integrate",
        "lemmata, integrate",
        "ours",
        prepare_integrate,
        table=(FlowOptions().rtol,),
        tolerances=TOLERANCES,
    ),
    Method(
        "lemmata-ensemble",
        "lemmata, ensemble",
        "ours",
        prepare_ensemble,
        table=(1e-4, 1e-7, FlowOptions().rtol),
        tolerances=TOLERANCES,
    ),
)
