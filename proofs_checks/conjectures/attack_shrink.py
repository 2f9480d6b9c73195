"""A violating case made small: fewer points, neurons and coordinates, then simpler numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice

from proofs_checks.conjectures.attack_judging import Judge
from proofs_checks.conjectures.attack_models import Adaptor
from proofs_checks.measure import AnyCase
from proofs_checks.verdict import Status, Verdict

MOST = 600  # cases that are judged on the way
TOGETHER = 16


def shrink(
    judge: Judge, adaptor: Adaptor, case: AnyCase, verdict: Verdict, *, deadline: float | None
) -> tuple[AnyCase, Verdict]:
    """The simplest case found on which the statement is still violated, by more than the error bound, when measured
    twice; the given one where there is none.

    Args:
        deadline: of `time.monotonic`, or None for no limit but the number of cases.
    """
    seen = {case.hash}
    left = MOST
    improved = True
    while improved and left > 0:
        improved = False
        fresh = {}
        for c in adaptor.simpler(case):
            if c.hash not in seen and adaptor.cost(c) < adaptor.cost(case):
                fresh[c.hash] = c
        order = sorted(fresh.values(), key=adaptor.cost)
        while order and left > 0 and not improved:
            if deadline is not None and time.monotonic() > deadline:
                return case, verdict
            now, order = list(islice(order, min(TOGETHER, left))), order[min(TOGETHER, left) :]
            seen.update(c.hash for c in now)
            left -= len(now)
            found = _first(judge, adaptor, now)
            if found is not None:
                (case, verdict), improved = found, True
    return case, verdict


def _first(
    judge: Judge, adaptor: Adaptor, cases: Sequence[AnyCase]
) -> tuple[AnyCase, Verdict] | None:
    """The simplest violating case of the first batch that has one."""
    for batch in judge.batches(cases):
        hits = [c for c, v in batch if v.status is Status.VIOLATED]
        for case in sorted(hits, key=adaptor.cost):
            verdict = judge.violated(case, adaptor.again(case))
            if verdict is not None:
                return case, verdict
    return None
