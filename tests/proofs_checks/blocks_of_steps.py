"""An integration that is recorded first and then shown in blocks of any size, as a faster engine would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

import numerics
from proofs_checks.blocks import lasts, part_of

Rows = list[numerics.StepView]


def grouped(size: int, far: float, recorded: dict[str, Any] | None = None) -> Callable[..., Any]:
    """An integrator that shows up to ``size`` consecutive steps of every lane at a time.

    Steps do not end where a lane does, so that the end may lie inside a step, and steps beyond it are shown when they
    are in the same block.

    Args:
        far: every lane is recorded up to here. recorded: keeps the recording from one call to the next.
    """
    original = numerics.integrate
    kept = {} if recorded is None else recorded

    def integrate(
        problem: numerics.FlowProblem,
        *,
        until: Any,
        observers: Sequence[numerics.Observer] = (),
        horizon: numerics.Horizon | None = None,
        options: numerics.FlowOptions | None = None,
    ) -> numerics.FlowResult:
        if not kept:
            record = _Record(problem.lanes)
            kept["result"] = original(problem, until=far, observers=[record], options=options)
            kept["steps"] = record.steps
        steps, whole = kept["steps"], kept["result"]
        end = np.broadcast_to(np.asarray(until, dtype=float), (problem.lanes,)).copy()
        place = [0] * problem.lanes
        t, arrived = whole.t.copy(), np.zeros(problem.lanes, dtype=bool)
        running = list(range(problem.lanes))
        while running:
            shown: list[Rows] = []
            for lane in running:
                mine: Rows = []
                for step in steps[lane][place[lane] : place[lane] + size]:
                    mine.append(step)
                    if step.t1[0] >= end[lane]:
                        break
                place[lane] += len(mine)
                shown.append(mine)
            block = stacked([row for rows in shown for row in rows])
            for observer in observers:
                observer.on_step(block)
            if horizon is not None:
                moved, final = np.asarray(horizon(block)), lasts(block.lanes)
                end[block.lanes[final]] = moved[final]
            for lane in list(running):
                reaching = [s.t1[0] for s in steps[lane][: place[lane]] if s.t1[0] >= end[lane]]
                if reaching:
                    t[lane], arrived[lane] = reaching[0], True
                if reaching or place[lane] == len(steps[lane]):
                    assert arrived[lane] or not whole.ok[lane], "recorded for too short a time"
                    running.remove(lane)
        ok = numerics.FlowStatus.ok
        return replace(
            whole,
            t=t,
            status=tuple(ok if a else s for a, s in zip(arrived, whole.status, strict=True)),
            reason=tuple("" if a else r for a, r in zip(arrived, whole.reason, strict=True)),
        )

    return integrate


class _Record:
    def __init__(self, lanes: int) -> None:
        self.steps: list[Rows] = [[] for _ in range(lanes)]

    def on_step(self, step: numerics.StepView) -> None:
        for row, lane in enumerate(step.lanes.tolist()):
            self.steps[lane].append(part_of(step, slice(row, row + 1)))


def stacked(rows: Rows) -> numerics.StepView:
    """One block of these rows; dense output of a lower degree is filled up with zeros."""
    return _joined(rows)


def _joined(parts: Sequence[Any]) -> Any:
    first = parts[0]
    if isinstance(first, np.ndarray):
        if first.ndim > 1:
            longest = max(p.shape[1] for p in parts)
            parts = [
                np.concatenate([p, np.zeros((1, longest - p.shape[1], *p.shape[2:]), p.dtype)], 1)
                for p in parts
            ]
        return np.concatenate(parts)
    if isinstance(first, numerics.FlowProblem) or not is_dataclass(first):
        return first
    build: Any = type(first)
    names = [f.name for f in fields(first)]
    return build(**{k: _joined([getattr(p, k) for p in parts]) for k in names})
