"""One method, measured alone in a process of its own on one thread: ``python -m benchmarks.flows_worker JSON``.

The program that starts it sets the environment of one thread; here the process is also bound to one core, where the
system can, so that no pool of threads is of use. Seconds are of the processor, without imports and without warm-up,
which is compiling and loading and is given apart. What does not fit in the budget is run on fewer lanes, and its
seconds are multiplied: ``lanes_run`` says so.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

# Importing numpy starts the threads of its linear algebra, so the process is bound before. Who only imports this module
# keeps the cores.
if (
    __name__ == "__main__"
    and hasattr(os, "sched_setaffinity")
    and not os.environ.get("FLOWS_ALL_CORES")
):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np

from benchmarks.flows_methods import Method, Outcome, Run, method
from benchmarks.flows_problem import Reference, Task, benchmark_task

PROBE = 4  # lanes with which a batched method begins
GROWTH = 4  # and by how much the batch grows while the next one fits in the budget


def clock(run: Any) -> tuple[float, Any]:
    """CPU seconds of the process, and the result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def joined(outcomes: list[Outcome]) -> Outcome:
    """Lanes that ran one by one, as one outcome."""
    first = outcomes[0]
    return Outcome(
        np.concatenate([o.W for o in outcomes]),
        None if first.evaluations is None else float(np.mean([o.evaluations for o in outcomes])),
        None if first.kinks is None else np.concatenate([o.kinks for o in outcomes]),
    )


class Singles:
    """A method that runs lane by lane."""

    def __init__(self, chosen: Method, task: Task, until: float) -> None:
        self.task = task
        self.warm_up, self.run = clock(lambda: chosen.prepare(task.first(1), until))

    def __call__(self, rtol: float, budget: float) -> tuple[float, Outcome]:
        """Seconds and outcome of as many lanes as fit in the budget, at least one."""
        task, spent, outcomes = self.task, 0.0, []
        for k in range(task.lanes):
            lane = Task(task.X, task.y, task.W0[k : k + 1], task.v0[k : k + 1], task.T)
            seconds, outcome = clock(lambda lane=lane: self.run(lane, rtol))
            spent += seconds
            outcomes.append(outcome)
            if spent * (1 + 1 / len(outcomes)) > budget:
                break
        return spent, joined(outcomes)


class Batches:
    """A method that takes all lanes at once: the batch grows while the next one is expected to fit in the budget."""

    def __init__(self, chosen: Method, task: Task, until: float) -> None:
        self.chosen, self.task, self.until = chosen, task, until
        self.runs: dict[int, Run] = {}
        self.warm_up = 0.0

    def at(self, lanes: int, rtol: float) -> tuple[float, Outcome]:
        """Seconds and outcome of the first lanes, prepared for their number."""
        few = self.task.first(lanes)
        if lanes not in self.runs:
            seconds, self.runs[lanes] = clock(lambda: self.chosen.prepare(few, self.until))
            self.warm_up = max(self.warm_up, seconds)  # some compile once, some for each size
        return clock(lambda: self.runs[lanes](few, rtol))

    def __call__(self, rtol: float, budget: float) -> tuple[float, Outcome]:
        """Seconds and outcome of the largest batch that fits in the budget."""
        lanes = min(PROBE, self.task.lanes)
        seconds, outcome = self.at(lanes, rtol)
        while lanes < self.task.lanes:
            larger = min(lanes * GROWTH, self.task.lanes)
            if seconds * larger / lanes > budget:
                break
            lanes = larger
            seconds, outcome = self.at(lanes, rtol)
        return seconds, outcome


def judged(outcome: Outcome, reference: Reference) -> dict[str, Any]:
    """What a point of the table says about the outcome, apart from its seconds."""
    errors = reference.errors(outcome.W)
    decided = np.isfinite(errors)
    if np.count_nonzero(~decided) != outcome.undecided:
        raise RuntimeError("weights are not finite in lanes that are said to have ended")
    wrong = None
    if outcome.kinks is not None:
        wrong = int(np.count_nonzero(reference.wrong(outcome.kinks) & decided))
    return {
        "lanes_run": len(errors),
        "evaluations": outcome.evaluations,
        "error": float(errors[decided].max(initial=0.0)),
        "bound": outcome.bound,
        "wrong_lanes": wrong,
        "undecided": outcome.undecided,
    }


def measure(order: dict[str, Any]) -> dict[str, Any]:
    """Run an order.

    Its entries: method, lanes, horizon (a multiple of T), rtols ("table" or "diagram"), budget
    (seconds per tolerance), seed, reference (a file with W and kinks of at least so many lanes).
    """
    chosen = method(order["method"])
    task = benchmark_task(order["lanes"], seed=order["seed"])
    with np.load(order["reference"]) as stored:
        reference = Reference(stored["W"], stored["kinks"])
    run = (Singles if chosen.single else Batches)(chosen, task, order["horizon"] * task.T)
    rtols = {"table": chosen.table, "diagram": chosen.tolerances}[order["rtols"]]
    points = []
    for rtol in rtols:
        seconds, outcome = run(rtol, order["budget"])
        whole = seconds * task.lanes / len(outcome.W)
        points.append({"rtol": rtol, "seconds": whole, **judged(outcome, reference)})
    return {
        "method": chosen.name,
        "label": chosen.label,
        "kind": chosen.kind,
        "lanes": task.lanes,
        "horizon": order["horizon"],
        "warm_up": run.warm_up,
        "points": points,
    }


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
