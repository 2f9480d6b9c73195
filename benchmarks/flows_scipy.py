"""scipy, lane by lane: across the kinks, and with terminal events at each of them."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.flows_methods import ATOL, Method, Outcome, Run
from benchmarks.flows_problem import Task, across, locate


def prepare_across(task: Task, until: float, method: str) -> Run:
    """``solve_ivp`` on the field with its jumps."""

    def run(task: Task, rtol: float) -> Outcome:
        field, states, evaluations = across(task), [], 0
        for start in task.starts():
            out = solve_ivp(field, (0, until), start, method=method, rtol=rtol, atol=ATOL * rtol)
            states.append(out.y[:, -1])
            evaluations += out.nfev
        return Outcome(task.unpack(states), evaluations / task.lanes)

    return run


def prepare_events(task: Task, until: float) -> Run:
    """``solve_ivp`` between kinks: DOP853 with terminal events, as the reference but at the given tolerance."""

    def run(task: Task, rtol: float) -> Outcome:
        found = [
            locate(task, lane, until, rtol=rtol, atol=ATOL * rtol) for lane in range(task.lanes)
        ]
        return Outcome(
            np.array([lane.W for lane in found]),
            float(np.mean([lane.evaluations for lane in found])),
            np.array([lane.times.size for lane in found]),
        )

    return run


METHODS = (
    Method(
        "scipy-rk45",
        "scipy RK45",
        "across",
        partial(prepare_across, method="RK45"),
        single=True,
    ),
    Method(
        "scipy-dop853",
        "scipy DOP853",
        "across",
        partial(prepare_across, method="DOP853"),
        single=True,
    ),
    Method(
        "scipy-events",
        "scipy DOP853, terminal events",
        "events",
        prepare_events,
        single=True,
        tolerances=(1e-4, 1e-6, 1e-8, 1e-11),
    ),
)
