"""Campaigns are run here: units are handed out, and written as they come back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs_checks.campaigns import work
from proofs_checks.campaigns.executors import Workers, workers
from proofs_checks.campaigns.plan import Plan, plan
from proofs_checks.campaigns.spec import Spec, read
from proofs_checks.campaigns.store import Store, locked
from theory.errors import LemmataError

LOOK = 5.0  # seconds without a result after which the workers are looked at
DEATHS = 2  # of its process while a unit runs alone, until it counts as undecided

Progress = Callable[[int], None]
Start = Callable[[int, int], Progress]


class Interrupted(KeyboardInterrupt):
    """Stopped by the user; what is written is safe."""

    def __init__(self, done: int, units: int) -> None:
        super().__init__(f"{done} of {units} units are written")
        self.done, self.units = done, units


@dataclass(frozen=True)
class CampaignRun:
    """What a run did.

    Attributes:
        folder: of the results. units, rows: of the whole campaign. found: units that were there before.
        seconds: of this run.
    """

    folder: Path
    units: int
    rows: int
    found: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "folder": str(self.folder),
            "units": self.units,
            "rows": self.rows,
            "found": self.found,
            "written": self.units - self.found,
            "seconds": self.seconds,
        }


def campaign(
    spec: Path | str | Spec,
    out: Path | str,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    executor: Executor | None = None,
    start: Start | None = None,
) -> CampaignRun:
    """Run a campaign to its end; what ``out`` already has is not repeated.

    Args:
        spec: a SPEC.toml. out: the folder for the results.
        jobs: processes, by default one per core. scheduler: ``tcp://HOST:PORT`` of dask.distributed.
        executor: of the caller, in place of both; it is not shut down.
        start: called with the number of rows in all and of those that are there; returns what is called with the
            number of every further row.

    Raises:
        LemmataError: a bad spec, a folder with another campaign or with damaged parts or that is in use, a disk that is
            full, a cluster that does not answer.
        Interrupted: Ctrl-C; everything that was finished is written.
    """
    began = time.perf_counter()
    ready = plan(spec if isinstance(spec, Spec) else read(Path(spec)))
    folder, version = Path(out), work.version()
    with locked(folder):
        store = Store(folder, ready, version)
        found = len(store.done)
        there = sum(map(ready.rows_of, store.done))
        progress = start(ready.rows, there) if start is not None else lambda count: None
        if found < ready.units:
            open_units = (u for u in range(ready.units) if u not in store.done)
            with workers(
                jobs=jobs,
                scheduler=scheduler,
                executor=executor,
                probe=work.version,
                wanted=version,
            ) as pool:
                _Run(ready, store, pool, progress).all(open_units)
    return CampaignRun(folder, ready.units, ready.rows, found, time.perf_counter() - began)


class _Run:
    """Hands out units, and writes what comes back."""

    def __init__(self, ready: Plan, store: Store, pool: Workers, progress: Progress) -> None:
        self.plan, self.store, self.pool, self.progress = ready, store, pool, progress
        self.pending: dict[Future[Any], int] = {}
        self.suspects: deque[int] = deque()  # in flight when a worker died: to be run alone

    def all(self, units: Iterable[int]) -> None:
        waiting = iter(units)
        try:
            more = True
            while more or self.pending or self.suspects:
                if self.suspects and not self.pending:
                    self._alone(self.suspects.popleft())
                    continue
                while more and not self.suspects and len(self.pending) < self.pool.width():
                    unit = next(waiting, None)
                    more = unit is not None
                    if unit is not None:
                        self._submit(unit)
                self._collect()
        except KeyboardInterrupt:
            for future in [f for f in self.pending if f.done() and not f.cancelled()]:
                if future.exception() is None:
                    self._write(future, future.result())
            raise Interrupted(len(self.store.done), self.plan.units) from None
        finally:
            for future in self.pending:
                future.cancel()

    def _submit(self, unit: int) -> None:
        try:
            self.pending[self.pool.submit(work.measure, self.plan.job(unit))] = unit
        except Exception as error:
            if not self.pool.lost(error):
                raise
            # a worker died since the last look; the others in flight will say so
            self.suspects.append(unit)
            if not self.pending:
                self.pool.restart()

    def _collect(self) -> None:
        done, _ = wait(self.pending, timeout=LOOK, return_when=FIRST_COMPLETED)
        if not done:
            self.pool.look()
        died = False
        for future in done:
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                self._write(future, future.result())
            elif self.pool.lost(error):
                self.suspects.append(self.pending.pop(future))
                died = True
            else:
                self._fail(future, error)
        if died and not self.pending:
            self.pool.restart()

    def _alone(self, unit: int) -> None:
        """A unit that was in flight when a worker died: if its process dies again and again, it is the culprit."""
        for _ in range(DEATHS):
            self._submit(unit)
            while self.pending:
                self._collect()
            if unit in self.store.done:
                return
            self.suspects.remove(unit)
        reason = (
            f"the process that measured these cases died {DEATHS + 1} times; it may lack memory"
        )
        self._keep(unit, work.failed(self.plan.job(unit), reason))

    def _fail(self, future: Future[Any], error: BaseException) -> None:
        if isinstance(error, CancelledError):
            raise LemmataError(
                f"the workers gave up the work; {len(self.store.done)} of {self.plan.units} units are written: run the "
                "same command again"
            ) from error
        raise error

    def _write(self, future: Future[Any], rows: list[dict[str, Any]]) -> None:
        self._keep(self.pending[future], rows)
        del self.pending[future]

    def _keep(self, unit: int, rows: list[dict[str, Any]]) -> None:
        if unit in self.store.done:
            return
        if len(rows) != self.plan.rows_of(unit):
            raise LemmataError(
                f"unit {unit} came back with {len(rows)} rows instead of {self.plan.rows_of(unit)}; please report this"
            )
        self.store.write(unit, rows)
        self.progress(len(rows))
