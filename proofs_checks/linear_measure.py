"""Statements on linear cases: every lane is followed by itself, once per dynamics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from proofs_checks.batch import Float, StepContext
from proofs_checks.claims.linear_networks import LinearClaim
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.linear_batch import LinearBatch
from proofs_checks.tracker import Tracker
from proofs_checks.verdict import Verdict
from theory.errors import LemmataError
from theory.statement import Statement


@dataclass(frozen=True)
class Reached:
    """How far the lanes came: end times (B,), and for each lane whether it came to its end, or why not."""

    t: Float
    ok: np.ndarray
    reason: tuple[str, ...]


def follow(
    statements: Sequence[Statement],
    claims: Mapping[str, TrajectoryClaim],
    batch: LinearBatch,
    *,
    listeners: Sequence[Callable[[StepContext], None]],
    on_start: Callable[[list[Tracker]], object] | None,
    until: Float | None,
) -> tuple[list[Tracker], Reached, list[list[Verdict]]]:
    """Trackers, ends and verdicts per statement; arguments as those of `proofs_checks.measure.measure_batch`.

    Args:
        claims: "module:class" of every statement's claim -> the claim on this batch.
    """
    linear: dict[str, LinearClaim] = {}
    for path, claim in claims.items():
        if not isinstance(claim, LinearClaim):
            raise LemmataError(
                f"claim {path!r} does not measure linear networks; derive it from FlowClaim or DescentClaim of "
                "proofs_checks.claims.linear_networks"
            )
        linear[path] = claim
    trackers = [Tracker(s, linear[s.claim]) for s in statements]
    if on_start is not None:
        on_start(trackers)
    floor = np.zeros(batch.size) if until is None else until
    for claim in linear.values():
        own = [t for t in trackers if t.claim is claim]
        for lane in range(batch.size):
            end = max(float(floor[lane]), *(float(t.needed()[lane]) for t in own))
            for context in claim.follow(lane, end):
                claim.on_step(context)
                for tracker in own:
                    tracker.on_step(context)
                for listener in listeners:
                    listener(context)
        claim.finish(claim.reached)
    verdicts = []
    for tracker in trackers:
        claim = linear[tracker.statement.claim]
        verdicts.append(tracker.finish(claim.reached, tuple(claim.stopped)))
    ends = np.maximum.reduce([c.reached for c in linear.values()])
    reasons = tuple(
        "; ".join(filter(None, (c.stopped[lane] for c in linear.values())))
        for lane in range(batch.size)
    )
    return trackers, Reached(ends, np.array([not r for r in reasons]), reasons), verdicts
