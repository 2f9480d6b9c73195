"""The work of `lemmata verify` as jobs for processes: batches of cases, and derivations that are to be checked."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any

from proofs_checks.case import Case
from proofs_checks.derivations import derivation_status, known_status
from proofs_checks.measure import (
    LANES,
    AnyCase,
    batch_of,
    chunks,
    has_time,
    measure_batch,
    other_model,
    settle,
)
from proofs_checks.registry import origin
from proofs_checks.verdict import Rigor, Status, Verdict
from theory.statement import Statement

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """Work for some process, and what this one does with the result.

    Attributes:
        work, arguments: what is called, wherever that is. done: is called here with the result.
        weight: the heaviest begin first, so that all processes end together.
        here: it has to be done by this process.
    """

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    done: Callable[[Any], object]
    weight: float
    here: bool = False


def run(jobs: Sequence[Job], workers: int | None = None) -> None:
    """Do all jobs, the heaviest first, in this process where one is enough."""
    ordered = sorted(jobs, key=lambda job: -job.weight)
    count = min(workers or os.cpu_count() or 1, len(ordered))
    own = ordered if count <= 1 else [job for job in ordered if job.here]
    if len(own) == len(ordered):
        for job in own:
            job.done(job.work(*job.arguments))
        return
    with ProcessPoolExecutor(count) as pool:
        try:
            shared = (job for job in ordered if not job.here)
            running = {pool.submit(job.work, *job.arguments): job for job in shared}
            for job in own:
                job.done(job.work(*job.arguments))
            for future in as_completed(running):
                running[future].done(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun need not begin
            raise


class Table:
    """Verdicts of statements (rows) on cases (columns), filled in whatever order batches end."""

    def __init__(
        self, statements: Sequence[Statement], columns: int, progress: Progress | None
    ) -> None:
        self.statements = statements
        self.seconds = [0.0] * len(statements)
        self._rows: list[list[Verdict | None]] = [[None] * columns for _ in statements]
        self._progress = progress

    def jobs(self, cases: Sequence[AnyCase]) -> list[Job]:
        """The batches that fill the table."""
        found = []
        for members in chunks(cases, LANES):
            own = [cases[k] for k in members]
            found.append(
                Job(_measure, (self.statements, own), partial(self._put, members), _weight(own))
            )
        return found

    def _put(self, members: list[int], found: tuple[list[list[Verdict]], list[float]]) -> None:
        for row, batch_verdicts in zip(self._rows, found[0], strict=True):
            for index, verdict in zip(members, batch_verdicts, strict=True):
                row[index] = verdict
        for k, spent in enumerate(found[1]):
            self.seconds[k] += spent
        if self._progress is not None:
            self._progress(len(members))

    def rows(self) -> list[list[Verdict]]:
        """All verdicts, per statement."""
        return [[v for v in row if v is not None] for row in self._rows]


def _weight(cases: Sequence[AnyCase]) -> float:
    """How much work a batch is, roughly: the more and the larger points a network sees, the more kinks there are."""
    first = cases[0]
    return float(len(cases) * (first.X.size if isinstance(first, Case) else 1))


def _measure(
    statements: Sequence[Statement], cases: Sequence[AnyCase]
) -> tuple[list[list[Verdict]], list[float]]:
    """One batch, in whatever process; the shared integration is divided evenly."""
    start = time.perf_counter()
    fitting = [k for k, s in enumerate(statements) if s.setting.model == cases[0].model]
    found = [[_foreign(s, case) for case in cases] for s in statements]
    seconds = [0.0] * len(statements)
    if fitting and not has_time(cases[0]):
        rows = settle([statements[k] for k in fitting], cases)
        for k, row in zip(fitting, rows, strict=True):
            found[k], seconds[k] = row, (time.perf_counter() - start) / len(fitting)
    elif fitting:
        measured = measure_batch([statements[k] for k in fitting], batch_of(cases))
        own = [t.seconds for t in measured.trackers]
        rest = (time.perf_counter() - start - sum(own)) / len(own)
        for k, row, spent in zip(fitting, measured.verdicts, own, strict=True):
            found[k], seconds[k] = row, spent + rest
    return found, seconds


class Derivations:
    """The state of every statement's derivations, with the seconds that it took; see `derivation_status`."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.statements = statements
        self.found: dict[int, tuple[tuple[str, str], float]] = {}
        for k, statement in enumerate(statements):
            status = known_status(statement)
            if status is not None:
                self.found[k] = status, 0.0

    def jobs(self) -> list[Job]:
        """The checks that are to be made; statements whose derivations share steps are checked by one process."""
        groups: dict[tuple[str, bool], list[int]] = {}
        for k, statement in enumerate(self.statements):
            if k not in self.found:
                module = min(statement.derivations.values()).partition(":")[0]
                # what a user's file defines is known to the process that ran it
                here = origin(statement.id) != statement.id
                groups.setdefault((module, here), []).append(k)
        return [
            Job(
                _check_derivations,
                ([self.statements[k] for k in members],),
                partial(self._put, members),
                math.inf,  # they begin before any batch
                here,
            )
            for (_, here), members in groups.items()
        ]

    def _put(self, members: list[int], found: list[tuple[tuple[str, str], float]]) -> None:
        self.found.update(zip(members, found, strict=True))


def _check_derivations(statements: Sequence[Statement]) -> list[tuple[tuple[str, str], float]]:
    """States and seconds, in whatever process."""
    out = []
    for statement in statements:
        start = time.perf_counter()
        status = derivation_status(statement)
        out.append((status, time.perf_counter() - start))
    return out


def _foreign(statement: Statement, case: AnyCase) -> Verdict:
    """The verdict on a case of another model."""
    reason = other_model(statement, case)
    return Verdict(statement.id, case.hash, Status.VACUOUS, Rigor.NUMERICAL, reason=reason)
