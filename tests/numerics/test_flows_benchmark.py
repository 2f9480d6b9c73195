"""The benchmark of flows: its reference, its judgement of methods, its targets."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from benchmarks import flows_problem
from benchmarks.flows_figure import spread
from benchmarks.flows_growth import exponents, slope
from benchmarks.flows_methods import NAMES, Method, Outcome, method
from benchmarks.flows_numba import TABLEAU, pack, unpack
from benchmarks.flows_ours import flow_problem
from benchmarks.flows_problem import (
    Reference,
    Task,
    WrongPattern,
    across,
    benchmark_task,
    locate,
)
from benchmarks.flows_report import report, targets
from benchmarks.flows_run import extrapolated
from benchmarks.flows_worker import Batches, Singles, judged
from numerics import integrate

SMALL = (4, 3, 5)


def reference_of(task: Task) -> Reference:
    found = [locate(task, lane, task.T, rtol=1e-12, atol=1e-16) for lane in range(task.lanes)]
    return Reference(
        np.array([lane.W for lane in found]), np.array([lane.times.size for lane in found])
    )


def test_a_lane_is_the_same_for_every_number_of_lanes() -> None:
    many, few, later = benchmark_task(5), benchmark_task(2), benchmark_task(2, first=3)
    assert np.array_equal(many.W0[:2], few.W0) and np.array_equal(many.v0[3:], later.v0)
    assert np.array_equal(many.X, later.X)
    assert not np.array_equal(many.W0[0], many.W0[1])


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no processes")
def test_who_imports_the_worker_keeps_the_cores() -> None:
    code = "import os; import benchmarks.flows_worker; print(sorted(os.sched_getaffinity(0)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(sorted(os.sched_getaffinity(0)))


def test_reference_and_engine_agree_within_the_bound() -> None:
    task = benchmark_task(2, shape=SMALL)
    result = integrate(flow_problem(task), until=task.T)
    reference = reference_of(task)
    W = np.ldexp(result.W, result.exponent[:, :, None])
    radius = np.ldexp(result.radius, result.exponent)
    distance = np.linalg.norm(W - reference.W, axis=2)
    assert (distance <= radius + 1e-11 * np.linalg.norm(W, axis=2)).all()
    assert [len(result.kinks_of(lane)) for lane in range(2)] == reference.kinks.tolist()
    assert reference.kinks.min() > 0


def test_reference_and_a_general_solver_agree_as_far_as_kinks_let_it() -> None:
    task = benchmark_task(1, shape=SMALL)
    out = solve_ivp(across(task), (0, task.T), task.starts()[0], rtol=1e-9, atol=1e-13)
    error = reference_of(task).errors(task.unpack(out.y[:, -1][None]))
    assert 0 < error[0] < 1e-4


def test_a_kink_that_is_stepped_over_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(*args: Any, events: Any, **options: Any) -> Any:
        return solve_ivp(*args, **options)

    monkeypatch.setattr(flows_problem, "solve_ivp", blind)
    task = benchmark_task(1, shape=SMALL)
    with pytest.raises(WrongPattern):
        locate(task, 0, task.T, rtol=1e-10, atol=1e-14)


def test_planted_errors_and_missed_kinks_are_judged() -> None:
    reference = Reference(np.ones((3, 2, 2)), np.array([4, 5, 6]))
    W = np.ones((2, 2, 2))
    W[1, 0, 1] += 1e-3
    seen = judged(Outcome(W, 10.0, np.array([4, 4])), reference)
    assert seen["error"] == pytest.approx(1e-3) and seen["wrong_lanes"] == 1
    assert seen["lanes_run"] == 2
    W[0] = np.nan
    stopped = Outcome(W, None, np.array([1, 5]), 1e-2, undecided=1)
    assert judged(stopped, reference)["wrong_lanes"] == 0
    with pytest.raises(RuntimeError, match="not finite"):
        judged(Outcome(W, None, None), reference)


def test_batches_grow_within_the_budget_and_single_lanes_stop_at_it() -> None:
    task = benchmark_task(64, shape=(2, 2, 2))
    prepared: list[int] = []

    def prepare(task: Task, until: float) -> Any:
        prepared.append(task.lanes)
        return lambda task, rtol: Outcome(task.W0.copy())

    batched = Method("b", "b", "across", prepare)
    _, outcome = Batches(batched, task, task.T)(1e-8, 1e9)
    assert prepared == [4, 16, 64] and np.array_equal(outcome.W, task.W0)
    _, outcome = Batches(batched, task, task.T)(1e-8, -1.0)
    assert len(outcome.W) == 4
    _, outcome = Singles(batched, task, task.T)(1e-8, 1e9)
    assert np.array_equal(outcome.W, task.W0)
    _, outcome = Singles(batched, task, task.T)(1e-8, -1.0)
    assert len(outcome.W) == 1


@pytest.mark.parametrize("name", ["scipy-rk45", "scipy-events", "numba-tsit5", "lemmata-integrate"])
def test_methods_reach_their_accuracy(name: str) -> None:
    chosen = method(name)
    task = benchmark_task(2, shape=SMALL)
    outcome = chosen.prepare(task, task.T)(task, 1e-8)
    error = reference_of(task).errors(outcome.W).max()
    assert error < {"across": 1e-3, "yardstick": 1e-3, "events": 1e-7, "ours": 1e-8}[chosen.kind]
    if outcome.kinks is not None:
        assert not reference_of(task).wrong(outcome.kinks).any()
    if outcome.bound is not None:
        assert error <= outcome.bound + 1e-11


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="there are scipy-rk45"):
        method("scipy-rk46")


def test_layout_and_tableau_of_the_yardstick() -> None:
    task = benchmark_task(2, shape=SMALL)
    assert np.array_equal(unpack(task, pack(task)), task.W0)
    sums = TABLEAU.sum(axis=1)
    assert sums[:7] == pytest.approx([0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1], abs=1e-14)
    assert sums[7] == pytest.approx(0, abs=1e-15)
    nodes = sums[:7]
    for power in range(1, 5):  # b integrates powers up to the fourth exactly
        assert TABLEAU[6] @ nodes**power == pytest.approx(1 / (power + 1), abs=1e-13)


def record(label: str, kind: str, seconds: float, error: float, **point: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"lanes_run": 64, "evaluations": None, "bound": None, "undecided": 0}
    about |= {"rtol": 1e-8, "seconds": seconds, "error": error, "wrong_lanes": None} | point
    return {
        "method": label,
        "label": label,
        "kind": kind,
        "lanes": 64,
        "horizon": 1.0,
        "warm_up": 0.0,
        "points": [about],
    }


def measured() -> dict[str, Any]:
    return {
        "machine": {"processor": "p", "cores": 2, "python": "3", "versions": {}},
        "table": {
            "date": "today",
            "command": "c",
            "records": [
                record("slow", "across", 90.0, 1e-5),
                record("quick", "across", 9.0, 2e-5),
                record("events", "events", 6.0, 1e-9, wrong_lanes=0),
                record("coarse", "ours", 1.0, 1e-6, wrong_lanes=0, bound=1e-4),
                record("fine", "ours", 1.2, 1e-12, wrong_lanes=0, bound=1e-11),
            ],
        },
    }


def test_targets_compare_at_an_accuracy_no_worse() -> None:
    across_kinks, at_kinks, *rest = targets(measured())
    assert across_kinks.value == pytest.approx(9.0) and across_kinks.met
    assert at_kinks.value == pytest.approx(5.0) and at_kinks.met
    assert all(target.met for target in rest) and len(rest) == 2
    assert "quick" in report(measured())


@pytest.mark.parametrize(
    ("row", "change"),
    [
        (1, {"seconds": 7.9}),
        (2, {"seconds": 5.9}),
        (4, {"error": 1e-8, "bound": 1e-7}),
        (4, {"wrong_lanes": 1}),
        (3, {"undecided": 2}),
        (3, {"error": 1.1e-4}),
    ],
)
def test_targets_that_are_missed_say_so(row: int, change: dict[str, Any]) -> None:
    data = copy.deepcopy(measured())
    data["table"]["records"][row]["points"][0] |= change
    assert [target.met for target in targets(data)].count(False) >= 1
    assert "**missed**" in report(data)


def test_seconds_are_extrapolated_in_proportion() -> None:
    larger = extrapolated(record("slow", "across", 90.0, 1e-5), 1024)
    assert larger["points"][0]["seconds"] == pytest.approx(1440.0)
    assert larger["points"][0]["lanes_run"] == 64 and larger["lanes"] == 1024


def test_failed_methods_are_reported() -> None:
    data = measured()
    failed = {"method": "scipy-rk45", "lanes": 64, "horizon": 1.0, "failed": "no module"}
    data["table"]["records"].append(failed)
    assert "did not run: no module" in report(data)
    assert len(targets(data)) == len(targets(measured()))


def test_exponents_and_labels() -> None:
    assert slope([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2.0)
    points = [{"axis": "n", "value": n, "seconds": n**1.5, "kinks": float(n)} for n in (10, 20, 40)]
    assert exponents(points)["n"] == pytest.approx((1.5, 0.5))
    apart = np.sort(spread([0.0, 0.01, 0.02, 5.0], 0.3))
    assert (np.diff(apart) >= 0.3 - 1e-6).all() and apart[-1] == 5.0


def test_names_are_those_of_the_modules() -> None:
    for name in NAMES:
        if name.split("-")[0] in {"scipy", "numba", "lemmata"}:
            assert method(name).name == name
