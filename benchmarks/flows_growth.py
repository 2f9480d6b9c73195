"""Our engine by itself: growth with B, n, d and h, all cores, memory of many trajectories, seconds to start.

    python -m benchmarks.flows_growth JSON

is one measurement in a process of its own, as ordered by `benchmarks.flows`.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.flows_problem import SHAPE

ENGINES = ("integrate", "ensemble")
# Values of one of B, n, d, h; the others are those of the benchmark, with 16 lanes.
AXES = {"B": (4, 16, 64, 256), "n": (10, 20, 40, 80), "d": (5, 10, 20, 40), "h": (25, 50, 100, 200)}
LANES = 16
MANY = 100_000
MODULE = "benchmarks.flows_growth"


def run_engine(name: str, task: Any, until: float) -> tuple[Any, int]:
    """A result, and its number of kinks."""
    from benchmarks.flows_ours import flow_problem

    problem = flow_problem(task)
    if name == "integrate":
        from numerics import integrate

        result = integrate(problem, until=until)
        return result, len(result.kinks)
    from numerics.ensemble import ensemble

    ends = ensemble(problem, until=until, quantities=())
    return ends, int(ends.kinks.sum())


def growth_point(order: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds to T at one shape, and kinks, per lane."""
    from benchmarks.flows_problem import benchmark_task

    sizes = dict(zip("ndh", SHAPE, strict=True)) | {"B": LANES, order["axis"]: order["value"]}
    task = benchmark_task(sizes["B"], shape=(sizes["n"], sizes["d"], sizes["h"]))
    run_engine(order["engine"], task.first(1), task.T / 100)
    start = time.process_time()
    result, kinks = run_engine(order["engine"], task, task.T)
    seconds = time.process_time() - start
    lanes = task.lanes
    return {
        **order,
        "seconds": seconds / lanes,
        "kinks": kinks / lanes,
        "undecided": int((~result.ok).sum()),
    }


def whole(order: dict[str, Any]) -> dict[str, Any]:
    """Wall seconds, CPU seconds and peak memory of an ensemble, nothing recorded."""
    from benchmarks.flows_problem import benchmark_task

    task = benchmark_task(order["lanes"])
    run_engine(order["engine"], task.first(2), task.T / 100)
    before, cpu = time.perf_counter(), time.process_time()
    result, _ = run_engine(order["engine"], task, order["horizon"] * task.T)
    return {
        **order,
        "wall": time.perf_counter() - before,
        "cpu": time.process_time() - cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "undecided": int((~result.ok).sum()),
    }


def slope(xs: list[float], ys: list[float]) -> float:
    """Least squares of log y against log x."""
    logs = [(math.log(x), math.log(y)) for x, y in zip(xs, ys, strict=True)]
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    top = sum((x - mean_x) * (y - mean_y) for x, y in logs)
    return top / sum((x - mean_x) ** 2 for x, _ in logs)


def growth(engine: str) -> Iterator[dict[str, Any]]:
    """Points of every axis."""
    from benchmarks.flows_run import ordered

    for axis, values in AXES.items():
        for value in values:
            order = {"kind": "growth", "engine": engine, "axis": axis, "value": value}
            yield ordered(MODULE, order, timeout=600)


def exponents(points: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """By axis: exponents of the seconds per lane and of the seconds per kink."""
    found = {}
    for axis in AXES:
        of_axis = [p for p in points if p.get("axis") == axis and p.get("kinks")]
        if len(of_axis) > 1:
            values = [p["value"] for p in of_axis]
            per_lane = slope(values, [p["seconds"] for p in of_axis])
            per_kink = slope(values, [p["seconds"] / p["kinks"] for p in of_axis])
            found[axis] = (per_lane, per_kink)
    return found


def all_cores(engine: str, lanes: int) -> dict[str, Any]:
    """Wall seconds of so many lanes to T with every core."""
    from benchmarks.flows_run import ordered

    order = {"kind": "cores", "engine": engine, "lanes": lanes, "horizon": 1.0}
    return ordered(MODULE, order, one_thread=False, timeout=900)


def memory(engine: str, horizon: float) -> dict[str, Any]:
    """Peak memory of 10^5 trajectories; it does not depend on how far they go."""
    from benchmarks.flows_run import ordered

    order = {"kind": "memory", "engine": engine, "lanes": MANY, "horizon": horizon}
    return ordered(MODULE, order, one_thread=False, timeout=3600)


# name, arguments, how often after the first time
COMMANDS = (
    ("one case", ("verify", "early-alignment/norm-bound", "--cases", "1"), 3),
    ("default cases", ("verify",), 1),
)


def start_up() -> list[dict[str, Any]]:
    """Wall seconds of commands, start of Python included: the first run, and the best of the next ones."""
    from benchmarks.flows_run import process

    records = []
    for name, arguments, times in COMMANDS:
        walls = []
        for _ in range(1 + times):
            before = time.perf_counter()
            code, _, errors = process(["-m", "lemmata", *arguments], one_thread=False, timeout=600)
            walls.append(time.perf_counter() - before)
            if code:
                break
        record = {"name": name, "command": "lemmata " + " ".join(arguments)}
        if code:
            record["failed"] = errors or f"exit code {code}"
        records.append({**record, "first": walls[0], "warm": min(walls[1:] or walls)})
    return records


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(growth_point(asked) if asked["kind"] == "growth" else whole(asked)))
