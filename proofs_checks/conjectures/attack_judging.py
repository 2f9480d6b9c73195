"""Cases judged in the order in which they come, by one process or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numerics
from proofs_checks import api
from proofs_checks.case import Case
from proofs_checks.measure import LANES, AnyCase, batch_of, chunks, has_time, measure_batch
from proofs_checks.verdict import Rigor, Status, Verdict
from theory.errors import LemmataError
from theory.statement import Statement

TIGHTER = 1e-2  # of the default tolerance of the flow, for the second measurement
STATIC_CHUNK = 8
NOT_MEASURED = "the case cannot be measured"
# with a budget of seconds: cases of the first batch, and the parts of the budget that a batch should and may take
FIRST_LANES, FIRST_CHUNK = 8, 2
USUAL, MOST = 1 / 20, 1 / 3
LEAST_SECONDS = 3.0  # that a batch may take
CONFIRM_SECONDS = 15.0  # that a second measurement may take

Judged = list[tuple[AnyCase, Verdict]]


@dataclass
class Budget:
    """What may be spent: seconds, or cases, or both.

    Attributes:
        seconds, cases: how long, and how many cases; None: no limit. judged: how many were. start: of the search.
    """

    seconds: float | None
    cases: int | None
    judged: int = 0
    start: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float | None:
        """Of `time.monotonic`."""
        return None if self.seconds is None else self.start + self.seconds

    @property
    def share(self) -> float:
        """How much of it is spent, from 0 to 1."""
        parts = [0.0]
        if self.seconds is not None:
            parts.append((time.monotonic() - self.start) / self.seconds)
        if self.cases is not None:
            parts.append(self.judged / self.cases)
        return min(max(parts), 1.0)

    @property
    def spent(self) -> bool:
        """Nothing is left."""
        late = self.deadline is not None and time.monotonic() > self.deadline
        return late or self.left == 0

    @property
    def left(self) -> int | None:
        """How many cases may still be judged; None: no limit."""
        return None if self.cases is None else max(self.cases - self.judged, 0)


@dataclass
class Judge:
    """Verdicts of one statement, on batches, in this process or in others.

    The answers do not depend on the number of processes: batches are the same, and are looked at in their order. With
    a budget of seconds batches are as large as the time allows, and those that take too long are given up.

    Attributes:
        seconds: the whole budget, None: no limit. until: of `time.monotonic`; no batch goes on far beyond it.
    """

    statement: Statement
    jobs: int = 1
    seconds: float | None = None
    until: float | None = None
    _pool: Any = field(default=None, repr=False)
    _pace: float = field(default=0.0, repr=False)

    def __enter__(self) -> Judge:
        if self.jobs > 1:
            self._pool = ProcessPoolExecutor(self.jobs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def batches(self, cases: Sequence[AnyCase]) -> Iterator[Judged]:
        """Batch after batch; a caller that has seen enough stops asking."""
        most = LANES if cases and isinstance(cases[0], Case) else STATIC_CHUNK
        if self._pool is not None:
            parts = [[cases[k] for k in m] for m in chunks(cases, self._size(most))]
            jobs = [(self.statement, part, self._limit()) for part in parts]
            for part, (verdicts, spent) in zip(parts, self._pool.map(_timed, jobs), strict=True):
                self._pace = spent / len(part)
                yield list(zip(part, verdicts, strict=True))
            return
        for members in chunks(cases, len(cases)):
            rest = [cases[k] for k in members]
            while rest:
                size = self._size(most)
                part, rest = rest[:size], rest[size:]
                verdicts, spent = _timed((self.statement, part, self._limit()))
                self._pace = spent / len(part)
                yield list(zip(part, verdicts, strict=True))

    def _size(self, most: int) -> int:
        """How many cases a batch has."""
        if self.seconds is None:
            return most
        if not self._pace:
            return FIRST_LANES if most == LANES else FIRST_CHUNK
        return max(1, min(most, int(self.seconds * USUAL / self._pace)))

    def _limit(self) -> Limit | None:
        if self.seconds is None:
            return None
        return Limit(max(LEAST_SECONDS, self.seconds * MOST), self.until)

    def check(self, case: AnyCase) -> Verdict:
        """The verdict on one case by itself, as `lemmata replay` measures it."""
        return _measure(self.statement, [case], self._confirming)[0]

    @property
    def _confirming(self) -> Limit | None:
        return None if self.seconds is None else Limit(CONFIRM_SECONDS)

    def sharper(self, case: AnyCase) -> Verdict:
        """The verdict at a smaller tolerance, where there is a tolerance."""
        if not isinstance(case, Case):
            return self.check(case)
        options = numerics.FlowOptions(rtol=TIGHTER * numerics.FlowOptions().rtol)
        return _measure(self.statement, [case], self._confirming, options)[0]

    def violated(self, case: AnyCase, again: AnyCase) -> Verdict | None:
        """The verdict on the case by itself, if it is violated there and, measured once more, on ``again``."""
        first = self.check(case)
        if first.status is not Status.VIOLATED:
            return None
        return first if self.sharper(again).status is Status.VIOLATED else None


@dataclass(frozen=True)
class Limit:
    """Of the time for one batch: seconds from its start, and a time of `time.monotonic`, the same in all processes."""

    seconds: float
    until: float | None = None

    def clock(self) -> Callable[[object], None]:
        """To be called with every step; starts now.

        Raises:
            OutOfTime: when called later.
        """
        end = time.monotonic() + self.seconds
        if self.until is not None:
            end = min(end, max(self.until, time.monotonic() + LEAST_SECONDS))

        def look(_: object) -> None:
            if time.monotonic() > end:
                raise OutOfTime(f"it takes more than {self.seconds:.3g} s; give a longer budget")

        return look


class OutOfTime(LemmataError):
    """A batch that takes too long."""


def _timed(
    job: tuple[Statement, Sequence[AnyCase], Limit | None],
) -> tuple[list[Verdict], float]:
    """In whatever process: the verdicts and the seconds."""
    start = time.monotonic()
    return _measure(*job), time.monotonic() - start


def _measure(
    statement: Statement,
    cases: Sequence[AnyCase],
    limit: Limit | None = None,
    options: numerics.FlowOptions | None = None,
) -> list[Verdict]:
    """A case that the claim refuses, or that takes too long, is undecided, and says why."""
    try:
        if has_time(cases[0]) and (limit is not None or options is not None):
            listeners = [] if limit is None else [limit.clock()]
            found = measure_batch(
                [statement], batch_of(cases), listeners=listeners, options=options
            )
            return found.verdicts[0]
        return api.verdicts([statement], cases, workers=1)[0]
    except Exception as error:
        if len(cases) > 1 and not isinstance(error, OutOfTime):
            return [v for case in cases for v in _measure(statement, [case], limit)]
        words = (
            str(error) if isinstance(error, LemmataError) else f"{type(error).__name__}: {error}"
        )
        reason = f"{NOT_MEASURED}: {words}"
        return [
            Verdict(statement.id, c.hash, Status.UNDECIDED, Rigor.NUMERICAL, reason=reason)
            for c in cases
        ]
