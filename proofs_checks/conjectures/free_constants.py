"""The best value of a free constant that a search supports, and a better one that fails.

Every case has a threshold: the value of the constant at which it stops failing. The conjecture with value c survives
exactly where no threshold is beyond c, so the search looks for the extremal threshold: it searches for failures at the
best value known, and every failure gives a better one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from proofs_checks.conjectures.batches import Outcome
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.confirm import Confirm
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.generation import FIRST_DRAWN, Drawn, draw
from proofs_checks.conjectures.judge_codes import HOLDS, UNDECIDED
from proofs_checks.conjectures.lanes import Lanes
from proofs_checks.conjectures.report import (
    ConstantRange,
    Counterexample,
    RefuteReport,
    SearchStatus,
    conclude,
)
from proofs_checks.conjectures.rounds import Budget, Rounds, movable, remark
from proofs_checks.conjectures.shrink import shrink
from proofs_checks.conjectures.thresholds import (
    LARGEST,
    Slope,
    grid,
    rounded,
    slope,
    table,
    thresholds,
    towards,
)
from proofs_checks.conjectures.workers import Workers
from theory.errors import LemmataError
from theory.tracing import FreeConstant

LOOKED_AT = 48  # cases per structure from which the direction and the first value are taken
BEYOND = 1e-12  # the search looks for failures that improve the value by more than this share
NEAR = 1e-6  # shrinking may give away this share of the value, and usually wins it back
DIGITS = (13, 12, 10, 8, 6, 4, 3, 2)
KEPT = 200  # extremal cases, judged again at the end


def search_constant(
    conjecture: Conjecture,
    constants: Mapping[str, FreeConstant],
    budget: Budget,
    seed: int,
    workers: Workers,
) -> RefuteReport:
    """`search` for a conjecture with one free constant.

    Raises:
        LemmataError: more than one constant.
    """
    name = _only(conjecture, constants)
    quarter = budget.start + (budget.seconds or 0.0) / 4
    deadline = math.inf if budget.seconds is None else quarter
    count = min(FIRST_DRAWN, max(budget.left // 4, 1))
    drawn = draw(conjecture, count=count, seed=seed, deadline=deadline)
    if not any(map(movable, drawn.cases)):
        more = min(budget.left, 10 * FIRST_DRAWN)
        drawn = draw(conjecture, count=more, seed=seed + 1, deadline=deadline, known=drawn)
    for group in drawn.by_structure():
        _only(conjecture, {**constants, **conjecture.trace(group[0]).constants})
    return _Search(conjecture, constants[name], drawn, budget, seed).run(workers)


def _only(conjecture: Conjecture, constants: Mapping[str, FreeConstant]) -> str:
    if len(constants) > 1:
        raise LemmataError(
            f"{conjecture.name} has {len(constants)} free constants ({', '.join(constants)}), and a search finds one "
            "at a time; give numbers for all others"
        )
    return next(iter(constants))


class _Search:
    """The extremal threshold so far, with its case, and what is needed to improve on it."""

    def __init__(
        self,
        conjecture: Conjecture,
        constant: FreeConstant,
        drawn: Drawn,
        budget: Budget,
        seed: int,
    ) -> None:
        self.conjecture, self.name, self.drawn = conjecture, constant.name, drawn
        self.budget, self.seed = budget, seed
        self.confirm = Confirm(conjecture)
        self.at = grid(constant)
        self.better = ""
        self.sign = 1
        self.value: float | None = None
        self.case: ConjectureCase | None = None
        self.close: list[ConjectureCase] = []
        self.outcome = Outcome()

    def run(self, workers: Workers) -> RefuteReport:
        """The whole search."""
        groups = [self._looked_at(group) for group in self.drawn.by_structure()]
        found = Slope()
        for group in groups:
            found = found.plus(slope(self.conjecture.trace(group[0]), self.name, group, self.at))
        self.outcome = self._counted(groups)
        if not found.better:
            return self._without_direction(found, groups)
        self.better = found.better
        self.sign = 1 if self.better == "smaller" else -1
        hopeless = next(filter(None, map(self._offer, groups)), None) or self._improve(workers)
        return self._hopeless(hopeless) if hopeless is not None else self._survived()

    def _looked_at(self, group: Sequence[ConjectureCase]) -> list[ConjectureCase]:
        """Drawn cases of a structure, and some that are sampled."""
        lanes = Lanes(group[:LOOKED_AT])
        if not lanes.space.names:
            return list(group)  # nothing else will be searched
        rng = np.random.default_rng((self.seed, 104723, group[0].size))
        points = lanes.space.sample(rng, LOOKED_AT)
        sampled = [lanes.case(p, k % len(lanes.bases)) for k, p in enumerate(points)]
        return [*lanes.bases, *(case for case in sampled if case.admitted)]

    def _counted(self, groups: Sequence[Sequence[ConjectureCase]]) -> Outcome:
        """The cases that were looked at; vacuous are those whose hypotheses fail at every value."""
        cases = vacuous = 0
        for group in groups:
            _, slack = table(self.conjecture.trace(group[0]), self.name, group, self.at)
            cases += len(group)
            vacuous += int(np.isnan(slack).all(axis=1).sum())
        return Outcome(cases, cases - vacuous, vacuous)

    def _thresholds(self, cases: Sequence[ConjectureCase]) -> list[float]:
        traced = self.conjecture.trace(cases[0])
        return [float(x) for x in thresholds(traced, self.name, cases, self.at, self.better)]

    def _offer(self, cases: Sequence[ConjectureCase]) -> ConjectureCase | None:
        """Keep what is beyond the best known; a case that fails at every value, exactly judged, is returned at once."""
        for case, value in zip(cases, self._thresholds(cases), strict=True):
            if value == self.sign * math.inf:
                if self._fails_always(case):
                    return case
                continue
            best = -math.inf if self.value is None else self.sign * self.value
            if math.isfinite(value) and self.sign * value > best:
                self.value, self.case = value, case
                self.close = [case, *self.close][:KEPT]
        return None

    def _fails_always(self, case: ConjectureCase) -> bool:
        """Whether a case fails at the weakest of all values."""
        held = self.confirm.constants
        self.confirm.constants = {self.name: Fraction(float(self.at[-1 if self.sign > 0 else 0]))}
        found = self.confirm.fails(case)
        self.confirm.constants = held
        return found

    def _improve(self, workers: Workers) -> ConjectureCase | None:
        """Search for failures at the best value, again and again; a case that fails at every value ends it."""
        rounds = Rounds(self.conjecture, self.drawn, self.seed)
        strongest = float(self.at[0] if self.sign > 0 else self.at[-1])
        if rounds.groups and not self.budget.over:
            self.outcome = Outcome()  # what was looked at first is no part of the budget
        while rounds.groups and not self.budget.over:
            value = strongest if self.value is None else self.value
            # a shade weaker than what is known: equality at the threshold is no failure
            self.confirm.constants = {self.name: towards(value, self.better, -BEYOND)}
            for one in workers.run(rounds.tasks(self.budget, self.confirm)):
                self.budget.pay(one.cases + one.refused)
                self.outcome = self.outcome.plus(one)
                rounds.learn(one)
                if one.undefined is not None:
                    self.confirm.exact(one.undefined)  # raises, and says where
                hopeless = self._offer(one.violated) if one.violated else None
                if hopeless is not None:
                    return hopeless
        return None

    # -- what is said ------------------------------------------------------------------------------------------------
    def _survived(self) -> RefuteReport:
        """What is supported, and what fails."""
        tightest, counterexample, refuted = None, None, None
        supported = float(self.at[0] if self.sign > 0 else self.at[-1])
        if self.case is not None:
            self._settle()
            case = self._smallest(self.case)
            supported = self._supported()
            counterexample, refuted = self._failing(case)
            self.confirm.constants = {self.name: Fraction(supported)}
            judged = self.confirm.exact(case)
            # where a hypothesis asks for the constant, the deciding case may be vacuous there
            if judged.status in (HOLDS, UNDECIDED):
                tightest = (math.exp(min(float(judged.log_ratio), 709.0)), case.to_json())
        counts = self.outcome
        status, reason = conclude(
            refuted=False, cases=counts.cases, deciding=counts.deciding, vacuous=counts.vacuous
        )
        constant = ConstantRange(
            name=self.name,
            better=self.better,
            supported=supported,
            refuted=refuted,
            tightest=None if self.case is None else case.to_json(),
            counterexample=counterexample,
        )
        return RefuteReport(
            conjecture=self.conjecture.name,
            status=status,
            cases=counts.cases,
            deciding=counts.deciding,
            vacuous=counts.vacuous,
            tightest=tightest,
            counterexample=None,
            seconds=self.budget.elapsed,
            seed=self.seed,
            constants={self.name: constant},
            reason=reason or remark(counts, 0),
        )

    def _smallest(self, case: ConjectureCase) -> ConjectureCase:
        """The smallest and simplest case whose threshold is practically the extremal one."""
        self.confirm.constants = {self.name: towards(self.value or 0.0, self.better, NEAR)}
        if not self.confirm.fails(case):
            return case
        timed = self.budget.cases is None
        small = shrink(self.confirm, case, self.drawn, seed=self.seed, timed=timed)
        if not math.isfinite(self._thresholds([small])[0]):
            return case
        self.close = [small, *self.close]
        self._offer([small])
        self._settle()
        return small

    def _settle(self) -> None:
        """Move the value beyond those at which a case kept fails exactly, though floats cannot tell."""
        if self.case is None or self.conjecture.trace(self.case).program.oracles:
            return
        for case in self.close:
            value = self._beyond(case, self.value or 0.0)
            if value != self.value:
                self.value, self.case = value, case

    def _beyond(self, case: ConjectureCase, value: float) -> float:
        """The first value from here on, to twelve digits, at which a case does not fail."""

        def failing(x: float) -> bool:
            self.confirm.constants = {self.name: Fraction(x)}
            return self.confirm.fails(case)

        share = BEYOND
        bad, good = value, float(towards(value, self.better, -share))
        while failing(good):
            if share > 1:
                return good
            share *= 4
            bad, good = good, float(towards(value, self.better, -share))
        while abs(good - bad) > BEYOND * max(abs(good), 1e-9):
            middle = bad / 2 + good / 2
            bad, good = (middle, good) if failing(middle) else (bad, middle)
        return good if share > BEYOND else value

    def _supported(self) -> float:
        """The best value at which nothing that was seen fails: a simple number, where one is that close."""
        value = self.value or 0.0
        simple = Fraction(value).limit_denominator(1000)
        if abs(simple - Fraction(value)) <= Fraction(BEYOND) * max(abs(simple), Fraction(1, 1000)):
            self.confirm.constants = {self.name: simple}
            if not any(map(self.confirm.fails, self.close)):
                return float(simple)
        weaker = float(towards(value, self.better, -BEYOND))
        return float(rounded(weaker, "larger" if self.sign > 0 else "smaller", 12))

    def _failing(self, case: ConjectureCase) -> tuple[Counterexample | None, float | None]:
        """The best value at which a case certainly fails, with few digits, and its counterexample."""
        (value,) = self._thresholds([case])
        if not self.conjecture.trace(case).program.oracles:
            value = self._beyond(case, value)
        for digits in DIGITS:
            failing = rounded(value, self.better, digits)
            if failing == Fraction(value) or value == 0:
                failing = towards(value, self.better, 10.0 ** (1 - digits))
            self.confirm.constants = {self.name: failing}
            if self.confirm.fails(case):
                return self.confirm.counterexample(case), float(failing)
        return None, None

    def _without_direction(
        self, found: Slope, groups: Sequence[Sequence[ConjectureCase]]
    ) -> RefuteReport:
        """Cases disagree about the direction, or nothing depends on the constant."""
        for group in groups:
            failing, slack = table(self.conjecture.trace(group[0]), self.name, group, self.at)
            # failing wherever we looked proves nothing where the slack changes: it may hold in between
            every = failing.all(axis=1) & (np.ptp(slack, axis=1) == 0)
            for k in np.flatnonzero(every).tolist():
                self.confirm.constants = {self.name: Fraction(float(self.at[-1]))}
                if self.confirm.fails(group[k]):
                    return self._refuted(group[k])
        if found.eased or found.hurt or found.falls or found.rises:
            reason = (
                f"a larger {self.name} helps on {found.eased + found.falls} cases and hurts on "
                f"{found.hurt + found.rises}: there is no best value; ask about one side alone"
            )
        else:
            reason = f"no case depends on {self.name}; use it in the conclusion"
        return self._open(reason)

    def _open(self, reason: str, constant: ConstantRange | None = None) -> RefuteReport:
        return RefuteReport(
            conjecture=self.conjecture.name,
            status=SearchStatus.UNDECIDED,
            cases=self.outcome.cases,
            deciding=self.outcome.deciding,
            vacuous=self.outcome.vacuous,
            tightest=None,
            counterexample=None,
            seconds=self.budget.elapsed,
            seed=self.seed,
            constants={} if constant is None else {self.name: constant},
            reason=reason,
        )

    def _hopeless(self, case: ConjectureCase) -> RefuteReport:
        """A case fails at every value that was tried, so also at the weakest one."""
        weakest = float(self.at[-1] if self.sign > 0 else self.at[0])
        self.confirm.constants = {self.name: Fraction(weakest)}
        return self._refuted(case)

    def _refuted(self, case: ConjectureCase) -> RefuteReport:
        """No value of the constant helps; where its range has no end that is only what it looks like."""
        value = float(self.confirm.constants[self.name])
        timed = self.budget.cases is None
        small = shrink(self.confirm, case, self.drawn, seed=self.seed, timed=timed)
        found = self.confirm.counterexample(small)
        words = f"fails at every value of {self.name} that was tried, up to {value:g}"
        constant = ConstantRange(self.name, self.better, None, value, small.to_json(), found)
        if abs(value) == LARGEST and self.better and self._depends(small):
            return self._open(f"{words}; give constant(..., low=, high=)", constant)
        return RefuteReport(
            conjecture=self.conjecture.name,
            status=SearchStatus.REFUTED,
            cases=max(self.outcome.cases, 1),
            deciding=max(self.outcome.deciding, 1),
            vacuous=self.outcome.vacuous,
            tightest=None,
            counterexample=found,
            seconds=self.budget.elapsed,
            seed=self.seed,
            constants={self.name: constant},
            reason=words,
        )

    def _depends(self, case: ConjectureCase) -> bool:
        """Whether the conclusion that fails, or a hypothesis, depends on the constant."""
        program = self.conjecture.trace(case).program
        relations = [*program.hypotheses, program.conclusions[self.confirm.exact(case).conclusion]]
        needed = program.needed([k for r in relations for k in (r.lhs, r.rhs)])
        own = f"constant:{self.name}"
        return any(program.instructions[k].attributes.get("name") == own for k in needed)


__all__ = ["search_constant"]
