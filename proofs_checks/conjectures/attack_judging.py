"""Cases judged in the order in which they come, by one process or several."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numerics
from proofs_checks import api
from proofs_checks.case import Case
from proofs_checks.measure import LANES, AnyCase, batch_of, chunks, measure_batch
from proofs_checks.verdict import Rigor, Status, Verdict
from theory.errors import LemmataError
from theory.statement import Statement

TIGHTER = 1e-2  # of the default tolerance of the flow, for the second measurement
STATIC_CHUNK = 8
NOT_MEASURED = "the case cannot be measured"

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

    The answers do not depend on the number of processes: batches are the same, and are looked at in their order.
    """

    statement: Statement
    jobs: int = 1
    _pool: Any = field(default=None, repr=False)

    def __enter__(self) -> Judge:
        if self.jobs > 1:
            self._pool = ProcessPoolExecutor(self.jobs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def batches(self, cases: Sequence[AnyCase]) -> Iterator[Judged]:
        """Batch after batch; a caller that has seen enough stops asking."""
        size = LANES if cases and isinstance(cases[0], Case) else STATIC_CHUNK
        parts = [[cases[k] for k in members] for members in chunks(cases, size)]
        if self._pool is None:
            answers: Iterator[list[Verdict]] = (_measure(self.statement, part) for part in parts)
        else:
            answers = self._pool.map(_measure, [self.statement] * len(parts), parts)
        for part, verdicts in zip(parts, answers, strict=True):
            yield list(zip(part, verdicts, strict=True))

    def check(self, case: AnyCase) -> Verdict:
        """The verdict on one case by itself, as `lemmata replay` measures it."""
        return _measure(self.statement, [case])[0]

    def sharper(self, case: AnyCase) -> Verdict:
        """The verdict at a smaller tolerance, where there is a tolerance."""
        if not isinstance(case, Case):
            return self.check(case)
        options = numerics.FlowOptions(rtol=TIGHTER * numerics.FlowOptions().rtol)
        return measure_batch([self.statement], batch_of([case]), options=options).verdicts[0][0]

    def violated(self, case: AnyCase, again: AnyCase) -> Verdict | None:
        """The verdict on the case by itself, if it is violated there and, measured once more, on ``again``."""
        first = self.check(case)
        if first.status is not Status.VIOLATED:
            return None
        return first if self.sharper(again).status is Status.VIOLATED else None


def _measure(statement: Statement, cases: Sequence[AnyCase]) -> list[Verdict]:
    """In whatever process. A case that the claim refuses is undecided, and says why."""
    try:
        return api.verdicts([statement], cases, workers=1)[0]
    except Exception as error:
        if len(cases) > 1:
            return [v for case in cases for v in _measure(statement, [case])]
        words = (
            str(error) if isinstance(error, LemmataError) else f"{type(error).__name__}: {error}"
        )
        return [
            Verdict(
                statement.id,
                cases[0].hash,
                Status.UNDECIDED,
                Rigor.NUMERICAL,
                reason=f"{NOT_MEASURED}: {words}",
            )
        ]
