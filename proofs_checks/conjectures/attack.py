"""Statements are conjectures too: the search for a case that violates a registered statement.

Small cases of the statement's model are drawn, then its default cases are measured, then the cases that are closest to
failing are moved about while others are still drawn. A violation counts only if it is found again when the case is
measured by itself, with a smaller tolerance or on fresh samples. Then the case is made small.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from proofs_checks import api
from proofs_checks import cases as case_sets
from proofs_checks.conjectures.attack_judging import NOT_MEASURED, Budget, Judge
from proofs_checks.conjectures.attack_models import Adaptor, adaptor
from proofs_checks.conjectures.attack_shrink import shrink
from proofs_checks.conjectures.budget import check_budget
from proofs_checks.conjectures.report import Counterexample, RefuteReport, conclude
from proofs_checks.conjectures.statement_certificate import certify_statement
from proofs_checks.conjectures.statement_sides import sides_of
from proofs_checks.measure import AnyCase
from proofs_checks.registry import statement as find
from proofs_checks.static_models import MODELS
from proofs_checks.verdict import Rigor, Status, Verdict
from theory.statement import Statement

SECONDS = 60.0  # where neither seconds nor cases are given
ROUND = 4  # batches of new cases in a round, and as many of moved ones
FIRST = 2  # rounds of simple cases before the default ones
ELITE = 6  # cases of each part that are moved about
ELITE_OF_SHAPE = 2  # of them of the same shapes
SCALES = (0.5, 0.1, 0.02, 0.004)
SHRINK_SECONDS = 15.0  # at most, where there is a budget of seconds
DEFAULT_CASES = 48


Scored = tuple[float, str, AnyCase, Verdict]  # -log of the ratio, hash, case, verdict


@dataclass
class _Seen:
    """What the search has learnt."""

    deciding: int = 0
    vacuous: int = 0
    groups: dict[tuple[str, str], dict[str, Scored]] = field(default_factory=dict)
    unconfirmed: int = 0
    refused: int = 0
    refusal: str = ""

    def add(self, case: AnyCase, verdict: Verdict, shapes: Mapping[str, Any]) -> None:
        """Count a judged case, and remember it if it is among the closest to failing."""
        if verdict.reason.startswith(NOT_MEASURED):
            self.refused, self.refusal = self.refused + 1, verdict.reason
        self.deciding += verdict.deciding
        self.vacuous += verdict.status is Status.VACUOUS
        score = verdict.log_tightness
        if verdict.deciding and score is not None and not math.isnan(score):
            # by part and shapes, as the search would otherwise forget all but the tightest of them
            group = self.groups.setdefault((verdict.part, str(shapes)), {})
            group[case.hash] = (-score, case.hash, case, verdict)
            if len(group) > ELITE_OF_SHAPE:
                del group[max(group.values(), key=lambda e: e[:2])[1]]

    @property
    def elite(self) -> list[Scored]:
        """The cases closest to failing, some of every part, the closest first."""
        out: list[Scored] = []
        for part in dict.fromkeys(part for part, _ in self.groups):
            own = [e for key, g in self.groups.items() if key[0] == part for e in g.values()]
            out += sorted(own, key=lambda e: e[:2])[:ELITE]
        return sorted(out, key=lambda e: e[:2])

    def remarks(self) -> Iterator[str]:
        """What a reader of the report should know."""
        if self.unconfirmed:
            yield f"{self.unconfirmed} violations were not found again at a second measurement"
        if self.refused:
            yield f"{self.refused} cases were not measured, the last one because {self.refusal}"


def attack(
    statement: Statement | str,
    *,
    seconds: float | None = None,
    cases: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[float], object] | None = None,
) -> RefuteReport:
    """Search for a case that violates a statement.

    Args:
        statement: a registered one, its id, or ``FILE.py::NAME``.
        seconds: a budget of time (60 if neither is given); shrinking a counterexample may take some more.
        cases: how many cases are judged at most. The same seed and number give the same report, apart from its seconds.
        seed: of everything that is drawn. jobs: processes; the answer does not depend on them.
        progress: called with the share of the budget that is spent, from 0 to 1.

    Raises:
        LemmataError: a budget, seed or number of processes out of range; a model without cases.
    """
    target = find(statement) if isinstance(statement, str) else statement
    check_budget(seconds, cases, seed, jobs)
    budget = Budget(SECONDS if seconds is None and cases is None else seconds, cases)
    own, seen = adaptor(target), _Seen()
    found: tuple[AnyCase, Verdict] | None = None
    with Judge(target, jobs, budget.seconds, budget.deadline) as judge:
        for round_ in _rounds(target, own, seen, seed):
            if budget.spent:
                break
            wanted = list(islice(round_, budget.left))
            found = _look(judge, own, wanted, budget, seen, progress)
            if found is not None:
                break
        if found is not None:
            limit = None if budget.seconds is None else time.monotonic() + SHRINK_SECONDS
            judge.until = limit
            found = shrink(judge, own, *found, deadline=limit)
    status, reason = conclude(
        refuted=found is not None,
        cases=budget.judged,
        deciding=seen.deciding,
        vacuous=seen.vacuous,
    )
    if found is None:
        reason = "; ".join(filter(None, [reason, *seen.remarks()]))
    tightest = None
    if seen.elite:
        score, _, case, verdict = seen.elite[0]
        tightest = (_exp(-score), api.casefile(case, {target.id: verdict}))
    return RefuteReport(
        target.id,
        status,
        budget.judged,
        seen.deciding,
        seen.vacuous,
        tightest,
        None if found is None else _counterexample(target, own, *found),
        time.monotonic() - budget.start,
        seed,
        reason=reason,
    )


def _look(
    judge: Judge,
    own: Adaptor,
    wanted: Sequence[AnyCase],
    budget: Budget,
    seen: _Seen,
    progress: Callable[[float], object] | None,
) -> tuple[AnyCase, Verdict] | None:
    """Judge the cases of a round; the first batch with a confirmed violation ends it."""
    for batch in judge.batches(wanted):
        budget.judged += len(batch)
        if progress is not None:
            progress(budget.share)
        hits = []
        for case, verdict in batch:
            if verdict.status is Status.VIOLATED:
                hits.append(case)
            else:
                seen.add(case, verdict, own.shapes(case))
        for case in sorted(hits, key=own.cost):
            confirmed = judge.violated(case, own.again(case))
            if confirmed is not None:
                seen.add(case, confirmed, own.shapes(case))
                return case, confirmed
            seen.unconfirmed += 1
        if budget.spent:
            break
    return None


def _rounds(
    statement: Statement, own: Adaptor, seen: _Seen, seed: int
) -> Iterator[Iterator[AnyCase]]:
    """Rounds of cases: simple ones, the default ones, then drawn and moved ones in turn."""
    rng = np.random.default_rng([seed, 21])
    for level in range(FIRST):
        first = [own.draw(rng, level) for _ in range(2 * ROUND)]
        yield (c for group in first for c in group)
    yield map(own.prepare, _defaults(statement, seed))
    level = FIRST - 1
    while True:
        level += 1
        groups = [own.draw(rng, level) for _ in range(ROUND)]
        for k, (_, _, case, _) in enumerate(seen.elite):
            groups.append(own.mutate(case, rng, SCALES[(level + k) % len(SCALES)]))
        if not any(groups):
            return  # the model has no more cases
        yield (c for group in groups for c in group)


def _defaults(statement: Statement, seed: int) -> Sequence[AnyCase]:
    """Default cases in the statement's own setting."""
    model = statement.setting.model
    count = min(DEFAULT_CASES, MODELS[model].count) if model in MODELS else DEFAULT_CASES
    setting = statement.setting
    return [
        c
        for c in case_sets.for_statement(statement, None, count=count, seed=seed)
        if c.loss in setting.losses and c.reduction == setting.reduction
    ]


# -- the counterexample -----------------------------------------------------------------------------------------------
def _counterexample(
    statement: Statement, own: Adaptor, case: AnyCase, verdict: Verdict
) -> Counterexample:
    certificate, reason = certify_statement(statement, case, verdict)
    rigor = Rigor.PROVED if certificate is not None else _at_most_numerical(verdict.rigor)
    sides = sides_of(statement, case, verdict)
    return Counterexample(
        case=api.casefile(case, {statement.id: verdict}),
        conclusion=verdict.part,
        lhs=sides.lhs,
        rhs=sides.rhs,
        error=sides.error,
        rigor=rigor,
        certificate=certificate,
        shapes=own.shapes(case),
        reason="; ".join(filter(None, [verdict.reason, reason])),
        log_sides=sides.logs,
    )


def _at_most_numerical(rigor: Rigor) -> Rigor:
    """Without a certificate that the kernel accepts nothing is proved."""
    return Rigor.NUMERICAL if rigor is Rigor.PROVED else rigor


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf
