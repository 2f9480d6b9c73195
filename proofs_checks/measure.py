"""Statements on cases: one integration per batch, shared by all statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

import numerics
from proofs_checks.batch import COARSE, Batch, Float, StepContext
from proofs_checks.blocks import part_of
from proofs_checks.case import Case
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.linear_batch import LinearBatch
from proofs_checks.linear_case import LinearCase
from proofs_checks.linear_measure import Reached, follow
from proofs_checks.named import load
from proofs_checks.static import StaticCase, judge
from proofs_checks.tracker import Tracker
from proofs_checks.verdict import Verdict
from theory.errors import LemmataError
from theory.statement import Statement

LANES = 64  # cases integrated together
LONGEST = 1e300  # stands for an infinite time
# numbers in an array over the instants of some steps: a block is looked at in parts of this size
ENTRIES = 1 << 18
Listener = Callable[[StepContext], None]  # sees blocks of steps, some beyond the end
STATIC_LANES = 4  # cases without time share nothing, so small batches spread better over processes
AnyCase = Case | LinearCase | StaticCase


@dataclass
class Measured:
    """The trackers of one batch after the integration; for callers that want more than verdicts."""

    batch: Batch
    trackers: list[Tracker]
    result: numerics.FlowResult | Reached
    verdicts: list[list[Verdict]] = field(default_factory=list)  # per statement, per lane


def has_time(case: AnyCase) -> bool:
    """Whether a case is a trajectory, or measured once (see `proofs_checks.static`)."""
    return isinstance(case, Case | LinearCase)


def batch_of(cases: Sequence[AnyCase]) -> Batch:
    """Cases of one group as a batch of their model."""
    if not all(map(has_time, cases)):
        raise LemmataError(
            f"cases of the model {cases[0].model} have no trajectories: there is nothing to follow; use lemmata.check"
        )
    linear = tuple(c for c in cases if isinstance(c, LinearCase))
    others = tuple(c for c in cases if isinstance(c, Case))
    if linear and others:
        raise LemmataError("a batch needs cases of one model")
    return LinearBatch(linear) if linear else Batch(others)


def chunks(cases: Sequence[AnyCase], lanes: int = LANES) -> list[list[int]]:
    """Positions of cases that can be measured together, at most ``lanes`` in each chunk."""
    groups: dict[object, list[int]] = {}
    for index, case in enumerate(cases):
        groups.setdefault((type(case), case.group()), []).append(index)
    out = []
    for members in groups.values():
        size = lanes if has_time(cases[members[0]]) else min(lanes, STATIC_LANES)
        out += [members[start : start + size] for start in range(0, len(members), size)]
    return out


def batches(cases: Sequence[AnyCase], lanes: int = LANES) -> list[tuple[list[int], Batch]]:
    """Group cases that can be measured together; each batch with the positions of its cases."""
    return [(chunk, batch_of([cases[i] for i in chunk])) for chunk in chunks(cases, lanes)]


def settle(statements: Sequence[Statement], cases: Sequence[StaticCase]) -> list[list[Verdict]]:
    """Verdicts on cases without time, one list per statement.

    Raises:
        LemmataError: a statement speaks of another model than the cases.
    """
    for s in statements:
        if s.setting.model != cases[0].model:
            raise LemmataError(f"{s.id}: {other_model(s, cases[0])}")
    rows = [judge(statements, case) for case in cases]
    return [list(column) for column in zip(*rows, strict=True)]


def measure_batch(
    statements: Sequence[Statement],
    batch: Batch,
    *,
    listeners: Sequence[Listener] = (),
    on_start: Callable[[list[Tracker]], object] | None = None,
    until: Float | None = None,
    options: numerics.FlowOptions | None = None,
) -> Measured:
    """Verdicts of all statements on one batch, from a single integration.

    Args:
        listeners: called with every block of steps after the statements have seen it.
        on_start: called with the trackers before the integration.
        until: (B,) times up to which to integrate even where no statement asks for it.

    Raises:
        LemmataError: a statement speaks of another model than the cases.
    """
    for s in statements:
        if s.setting.model != batch.cases[0].model:
            raise LemmataError(f"{s.id}: {other_model(s, batch.cases[0])}")
    claims: dict[str, TrajectoryClaim] = {}
    wanted = {name for s in statements for name in _variables(s)}
    for s in statements:
        if s.claim not in claims:
            claims[s.claim] = load(s.claim, "claim")(batch, wanted)
    if isinstance(batch, LinearBatch):
        found = follow(
            statements, claims, batch, listeners=listeners, on_start=on_start, until=until
        )
        return Measured(batch, *found)
    trackers = [Tracker(s, claims[s.claim]) for s in statements]
    if on_start is not None:
        on_start(trackers)
    floor = np.zeros(batch.size) if until is None else until

    def needed() -> Float:
        return np.maximum.reduce([floor, *(t.last for t in trackers)])

    class Watch:
        def on_step(self, step: numerics.StepView) -> None:
            for part in _parts(step):
                for claim in claims.values():
                    context = StepContext(batch, part, claim.numbers, claim.environment)
                    claim.on_step(context)
                    for tracker in trackers:
                        if tracker.claim is claim:
                            tracker.on_step(context)
                for listener in listeners:
                    listener(context)

    def horizon(step: numerics.StepView) -> Float:
        # what shortens the time that is needed is known from its own time on, so that nothing before it is lost
        return np.clip(needed(), 0.0, LONGEST)[np.asarray(step.lanes)]

    result = numerics.integrate(
        batch.problem(),
        until=np.clip(needed(), 0.0, LONGEST),
        observers=[Watch()],
        horizon=horizon,
        options=options or numerics.FlowOptions(),
    )
    # a block of steps may go on beyond what was needed, or stop there: neither is part of the result
    reached = np.minimum(result.t, np.maximum(needed(), 0.0))
    for claim in claims.values():
        claim.finish(reached)
    stopped = tuple(
        "" if ok or t >= end else reason
        for ok, t, end, reason in zip(result.ok, result.t, needed(), result.reason, strict=True)
    )
    measured = Measured(batch, trackers, result)
    measured.verdicts = [t.finish(reached, stopped) for t in trackers]
    return measured


def _parts(step: numerics.StepView) -> Iterator[numerics.StepView]:
    """A block in parts that are looked at one after the other, each not too large."""
    n, d, h = step.problem.shape
    size = max(ENTRIES // (COARSE * h * max(n, d)), 1)
    rows = len(step.lanes)
    count = -(-rows // size)
    for k in range(count):
        yield part_of(step, slice(k * rows // count, (k + 1) * rows // count))


def other_model(statement: Statement, case: AnyCase) -> str:
    """Why a statement says nothing about a case of another model."""
    return (
        f"the statement speaks of the model {statement.setting.model}, the case is of the model {case.model}; "
        "give a case of that model"
    )


def _variables(statement: Statement) -> set[str]:
    relations = [p.relation for p in statement.parts] + [h.relation for h in statement.hypotheses]
    relations += [p.touch.differential for p in statement.parts if p.touch]
    quantities = [
        q
        for p in statement.parts
        if p.domain
        for q in (p.domain.start, p.domain.end)
        if q is not None
    ]
    if statement.horizon is not None:
        quantities.append(statement.horizon)
    return {name for r in (*relations, *quantities) for name in statement.expand(r).variables()}
