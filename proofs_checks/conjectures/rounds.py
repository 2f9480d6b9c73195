"""What a search may spend, and which structures it searches next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from proofs_checks.conjectures.batches import Outcome, Task, width
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.confirm import Confirm
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.generation import Drawn, draw
from proofs_checks.conjectures.report import Progress
from proofs_checks.conjectures.samples import Structure

UNITS = 8  # of a round, whatever the number of processes
FIRST_COUNT, MOST_COUNT = 1024, 16384  # cases of a unit
SIMPLE_PASSES = 3
MORE_DRAWN, EXTENDING = 150, 0.05  # cases drawn for their structures; share of the seconds
BASES = 64  # drawn cases that a unit starts from
UNDECIDED_SHARE = 0.5
BARREN, SIT_OUT = (
    0.02,
    4,
)  # a structure with a smaller share of deciding cases sits out so many passes


@dataclass
class Budget:
    """What may be spent: seconds, or cases.

    Attributes:
        seconds, cases: exactly one is given. spent: cases judged.
    """

    seconds: float | None
    cases: int | None
    progress: Progress | None = None
    spent: int = 0
    start: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def deadline(self) -> float:
        """Of `time.monotonic`."""
        return float("inf") if self.seconds is None else self.start + self.seconds

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0 or time.monotonic() >= self.deadline

    @property
    def left(self) -> int:
        """Cases that may still be judged; many where seconds are counted."""
        return 1 << 62 if self.cases is None else max(self.cases - self.spent, 0)

    def pay(self, cases: int) -> None:
        """Count judged cases, and tell the share of the budget that is spent."""
        self.spent += cases
        if self.progress is not None:
            share = (
                self.spent / self.cases
                if self.cases is not None
                else self.elapsed / (self.seconds or 1.0)
            )
            self.progress(min(share, 1.0))


def movable(case: ConjectureCase) -> bool:
    """Whether a case has anything that the search may change."""
    return any(leaf.free and leaf.size for leaf in case.leaves.values())


class Rounds:
    """Which structures are searched next, and from where.

    A search that aims at failure draws some structures again and again, and others not at all; so more are drawn, with
    no aim, before the first round and then less and less often.

    Attributes:
        groups: cases of equal structure, in the order in which they were found, small ones first.
    """

    def __init__(self, conjecture: Conjecture, drawn: Drawn, seed: int) -> None:
        self.groups: list[list[ConjectureCase]] = []
        self._conjecture, self._seed = conjecture, seed
        self._drawn = Drawn(cases=list(drawn.cases))
        self._number: dict[Structure, int] = {}
        self._elites: list[tuple[ConjectureCase, ...]] = []
        self._best: list[float] = []
        # rounds to sit out: where nothing is decided, searching is vain
        self._idle: list[int] = []
        self._visits: list[int] = []
        self._asked: list[int] = []
        self._answers = 0
        self._round = 0
        self._add(drawn)

    @property
    def searched(self) -> set[Structure]:
        """The structures that had a turn."""
        return {s for s, k in self._number.items() if self._visits[k]}

    def _add(self, drawn: Drawn) -> None:
        for group in drawn.by_structure():
            if not movable(group[0]):
                continue
            k = self._number.setdefault(group[0].structure, len(self.groups))
            if k < len(self.groups):
                self.groups[k] += group
                continue
            self.groups.append(list(group))
            self._elites.append(())
            self._best.append(-float("inf"))
            self._idle.append(0)
            self._visits.append(0)

    def _extend(self, budget: Budget) -> None:
        """Draw more, for new structures."""
        before = len(self._drawn.cases)
        share = float("inf") if budget.seconds is None else EXTENDING * budget.seconds
        draw(
            self._conjecture,
            count=MORE_DRAWN,
            seed=self._seed + 15485863 * (self._round + 1),
            deadline=min(budget.deadline, time.monotonic() + share),
            known=self._drawn,
        )
        self._add(Drawn(cases=self._drawn.cases[before:]))

    def tasks(self, budget: Budget, confirm: Confirm) -> list[Task]:
        """The units of one round: the next structures, and the one that is closest to failing."""
        if self.groups and self._round & (self._round + 1) == 0:
            self._extend(budget)
        left = budget.left
        out: list[Task] = []
        self._asked, self._answers = [], 0
        for unit in range(UNITS):
            if left <= 0:
                break
            k = self._choose(unit)
            passes = max(self._visits[k] - 1, 0)
            bases = (*self._elites[k], *self._some(k))
            traced = self._conjecture.trace(bases[0])
            batches = min(FIRST_COUNT << (2 * min(passes, 8)), MOST_COUNT) // FIRST_COUNT
            count = min(batches * width(traced), left)
            deadline = None if budget.seconds is None else budget.deadline
            simple = passes < SIMPLE_PASSES
            at = (self._seed, self._round, unit)
            out.append(Task(traced, bases, count, at, confirm.constants, simple, deadline))
            self._asked.append(k)
            left -= count
        self._round += 1
        return out

    def _choose(self, unit: int) -> int:
        """The closest to failing in one unit of every other round, otherwise the one with the fewest turns."""
        if unit == UNITS - 1 and self._round % 2:
            return max(range(len(self.groups)), key=self._best.__getitem__)
        for k in sorted(range(len(self.groups)), key=lambda k: (self._visits[k], k)):
            self._visits[k] += 1
            if not self._idle[k]:
                return k
            self._idle[k] -= 1
        return k

    def _some(self, k: int) -> Sequence[ConjectureCase]:
        """Another part of the drawn cases in every round."""
        group = self.groups[k]
        start = self._round * BASES % len(group)
        return (*group[start:], *group[:start])[:BASES]

    def learn(self, outcome: Outcome) -> None:
        """The outcome of the next one of the tasks, in order."""
        k = self._asked[self._answers]
        self._answers += 1
        if outcome.elites:
            self._elites[k] = outcome.elites
        if outcome.deciding < BARREN * outcome.cases:
            self._idle[k] = SIT_OUT
        if outcome.tightest is not None:
            self._best[k] = max(self._best[k], outcome.tightest[0])


def remark(outcome: Outcome, phantoms: int) -> str:
    """What the reader of a survived conjecture should know."""
    words = []
    undecided = outcome.cases - outcome.deciding - outcome.vacuous
    if outcome.cases and undecided > UNDECIDED_SHARE * outcome.cases:
        words.append(
            f"{undecided} of {outcome.cases} cases are undecided: closer than the error bound, or infinite"
        )
    if phantoms:
        words.append(f"{phantoms} failures in floating point were not confirmed exactly")
    return "; ".join(words)


__all__ = ["Budget", "Rounds", "movable", "remark"]
