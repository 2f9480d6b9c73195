"""The search for a counterexample to a conjecture: generate, climb, shrink, certify.

Cases are drawn by Hypothesis and steered towards failure; then units of the batched search go through all structures
that were drawn, small ones first, again and again, until a case fails or the budget is spent. A failure counts when it
is confirmed exactly; it is shrunk and certified. See `proofs_checks.conjectures.free_constants` for conjectures with a
constant to be found.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from numerics.program_search import one_thread
from proofs_checks.conjectures.batches import Outcome
from proofs_checks.conjectures.budget import check_budget
from proofs_checks.conjectures.confirm import Confirm
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.free_constants import search_constant
from proofs_checks.conjectures.generation import FIRST_DRAWN, Drawn, draw, judge_drawn
from proofs_checks.conjectures.open_cases import DRAWN, MOST, Asked
from proofs_checks.conjectures.report import Progress, RefuteReport, conclude
from proofs_checks.conjectures.rounds import Budget, Rounds, movable, remark
from proofs_checks.conjectures.shrink import shrink
from proofs_checks.conjectures.workers import Workers
from theory.errors import LemmataError
from theory.tracing import FreeConstant

SECONDS = 60.0
PROBED, QUICK = 40, 0.5  # cases drawn, or seconds, to see which constants are free
RUN = 1000  # cases of one run of Hypothesis


def search(
    conjecture: Conjecture,
    *,
    seconds: float | None = None,
    cases: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> RefuteReport:
    """Search for a counterexample.

    Args:
        seconds: a budget of wall time; 60 where ``cases`` is not given either. Shrinking and the certificate come on
            top.
        cases: how many cases to judge before giving up; those that shrinking looks at are not counted. With the same
            seed and number of cases the report is the same, apart from its seconds, for any number of jobs.
        jobs: processes.
        progress: called with the share of the budget that is spent, from 0 to 1.

    Raises:
        LemmataError: bad arguments; a conjecture that cannot be evaluated, or is not a number on some case, with the
            line; a strategy that draws nothing.
    """
    check_budget(seconds, cases, seed, jobs)
    with one_thread(), Workers(jobs) as workers:
        # what is loaded on first use is not charged to the budget
        import proofs_checks.conjectures.judge
        import proofs_checks.conjectures.oracles  # noqa: F401

        budget = Budget(SECONDS if seconds is None and cases is None else seconds, cases, progress)
        probe = draw(conjecture, count=PROBED, seed=seed, deadline=budget.start + QUICK)
        if not probe.cases:
            raise LemmataError(f"{conjecture.name}: its strategy draws no case; loosen its filters")
        constants: dict[str, FreeConstant] = {}
        for group in probe.by_structure():  # perhaps only some shapes use them
            constants |= conjecture.trace(group[0]).constants
        if constants:
            report = search_constant(conjecture, constants, budget, seed, workers)
        else:
            report = _search(conjecture, budget, seed, workers)
        conjecture.again()
    if progress is not None:
        progress(1.0)
    return report


def _search(conjecture: Conjecture, budget: Budget, seed: int, workers: Workers) -> RefuteReport:
    confirm = Confirm(conjecture)
    asked = Asked(confirm)
    drawn = generate(conjecture, confirm, budget, seed, asked)
    found, outcome = drawn.violated, drawn.outcome
    structures = {case.structure for case in drawn.cases}
    if found is None:
        rounds = Rounds(conjecture, drawn, seed)
        while found is None and rounds.groups and not budget.over:
            for one in workers.run(rounds.tasks(budget, confirm)):
                budget.pay(one.cases + one.refused)
                outcome = outcome.plus(one)
                rounds.learn(one)
                if one.undefined is not None:
                    confirm.exact(one.undefined)  # raises, and says where
                if found is None:
                    found = next((case for case in one.violated if confirm.fails(case)), None)
                if found is None:
                    found, settled = asked.look(one.undecided)
                    outcome = outcome.plus(settled)
        structures |= rounds.searched
    counterexample = None
    if found is not None:
        small = shrink(confirm, found, drawn, seed=seed, timed=budget.cases is None)
        counterexample = confirm.counterexample(small)
    status, reason = conclude(
        refuted=counterexample is not None,
        cases=outcome.cases,
        deciding=outcome.deciding,
        vacuous=outcome.vacuous,
    )
    return RefuteReport(
        conjecture=conjecture.name,
        status=status,
        cases=outcome.cases,
        deciding=outcome.deciding,
        vacuous=outcome.vacuous,
        tightest=tightest(confirm, outcome),
        counterexample=counterexample,
        seconds=budget.elapsed,
        seed=seed,
        reason=reason or remark(outcome, confirm.phantoms),
        structures=len(structures),
    )


def generate(
    conjecture: Conjecture, confirm: Confirm, budget: Budget, seed: int, asked: Asked
) -> Drawn:
    """Hypothesis' share of the search: all of it where nothing that is drawn may be moved."""
    judge = judge_drawn(conjecture, confirm.fails, partial(asked.look, reserve=MOST - DRAWN))
    first = min(FIRST_DRAWN, max(budget.left // 4, 1))
    share = budget.start + (budget.seconds or 0.0) / 4
    deadline = float("inf") if budget.seconds is None else share
    drawn = draw(conjecture, count=first, seed=seed, judge=judge, deadline=deadline)
    budget.pay(drawn.outcome.cases)
    run = 0
    while drawn.violated is None and not budget.over and not any(map(movable, drawn.cases)):
        run += 1
        before = len(drawn.cases)
        drawn = draw(
            conjecture,
            count=min(RUN, budget.left),
            seed=seed + 104729 * run,
            judge=judge,
            deadline=budget.deadline,
            known=drawn,
        )
        budget.pay(len(drawn.cases) - before)
        if len(drawn.cases) == before:
            break  # the strategy has nothing new
    return drawn


def tightest(confirm: Confirm, outcome: Outcome) -> tuple[float, dict[str, Any]] | None:
    """(ratio, plain data of the case) of the tightest case that holds, judged again exactly."""
    if outcome.tightest is None:
        return None
    case = outcome.tightest[1]
    log_ratio = float(confirm.exact(case).log_ratio)
    return (math.exp(log_ratio) if log_ratio < 709 else math.inf), case.to_json()


__all__ = ["search"]
