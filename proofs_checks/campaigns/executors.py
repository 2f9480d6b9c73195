"""Where units of work run: processes of this machine, a cluster of dask.distributed, or an executor of the caller.

This module is imported first in every process, before numpy: it imports nothing heavy.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from theory.errors import LemmataError

SCHEMES = ("tcp", "tls")  # of schedulers
TIMEOUT = 5.0  # seconds until a scheduler has to answer
PROBE = 60.0  # until a worker has imported the package
LONELY = 60.0  # without any worker until a run on a cluster gives up
AHEAD = 2  # units handed out per worker
TALKERS = ("distributed", "tornado", "asyncio")  # libraries that log
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Workers(Protocol):
    """What runs the units."""

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Start a call in a worker."""
        ...

    def width(self) -> int:
        """How many calls to hand out at a time."""
        ...

    def lost(self, error: BaseException) -> bool:
        """Whether an error says that a worker died, not that the call failed."""
        ...

    def restart(self) -> None:
        """Make calls possible again after a worker died."""
        ...

    def look(self) -> None:
        """Called while nothing happens; raises `LemmataError` where nothing will."""
        ...


class Given:
    """An executor of the caller, who shuts it down."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        return self.executor.submit(function, *args)

    def width(self) -> int:
        return AHEAD * (getattr(self.executor, "_max_workers", None) or os.cpu_count() or 1)

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def restart(self) -> None:
        raise LemmataError(
            "a worker of the executor died; make a new executor and run the campaign again: it goes on where it stopped"
        )

    def look(self) -> None:
        """Nothing to see."""


class Processes:
    """Fresh processes of this machine, one thread each."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._others = set(multiprocessing.active_children())
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.jobs, mp_context=context, initializer=_begin)

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        return self._pool.submit(function, *args)

    def width(self) -> int:
        return AHEAD * self.jobs

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def restart(self) -> None:
        self.stop()
        self._pool = self._new()

    def look(self) -> None:
        """The pool itself notices a process that dies."""

    def close(self) -> None:
        """Wait for the processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """End the processes, whatever they do."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - self._others:
            child.kill()


def _begin() -> None:
    """In a new process: one thread for linear algebra, Ctrl-C is for the parent, and no life without the parent."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


class Cluster:
    """The workers of a scheduler of dask.distributed."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            LemmataError: dask.distributed is not installed, nobody answers, or there are no workers.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise LemmataError(
                "--scheduler needs dask.distributed, which is not installed: pip install 'lemmata[cluster]'"
            ) from error
        self.address = address
        scheme, separator, place = address.partition("://")
        if scheme not in SCHEMES or not separator or not place.rpartition(":")[2].isdigit():
            raise LemmataError(f"--scheduler {address!r:.80}: give tcp://HOST:PORT")
        with _quiet():
            try:
                self._client = Client(address, timeout=TIMEOUT, set_as_default=False)
            except (OSError, ValueError, ImportError) as error:
                raise LemmataError(
                    f"no scheduler answers at {address} within {TIMEOUT:g} s; start one with `dask scheduler`, or "
                    "leave --scheduler out"
                ) from error
        try:
            self._client.wait_for_workers(1, timeout=TIMEOUT)
        except TimeoutError as error:
            self._client.close()
            raise LemmataError(
                f"the scheduler at {address} has no workers; start some with `dask worker {address} --nthreads 1`"
            ) from error
        self._executor = self._client.get_executor(pure=False)
        self._seen, self._count, self._asked = time.monotonic(), 1, -LONELY

    def probe(self, function: Callable[[], str], wanted: str) -> None:
        """Refuse a cluster whose workers have another version of the package, or none.

        Raises:
            LemmataError: with the remedy.
        """
        try:
            found = self._client.submit(function, pure=False).result(timeout=PROBE)
        except Exception as error:
            raise LemmataError(
                f"the workers of {self.address} cannot import lemmata ({type(error).__name__}: {error!s:.200}); "
                "install it in their environment"
            ) from error
        if found != wanted:
            raise LemmataError(
                f"the workers of {self.address} have lemmata {found}, and this is {wanted}; install the same version"
            )

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        found: Future[Any] = self._executor.submit(function, *args)
        return found

    def width(self) -> int:
        self._ask()
        return AHEAD * max(self._count, 1)

    def lost(self, error: BaseException) -> bool:
        return type(error).__name__ == "KilledWorker"

    def restart(self) -> None:
        """The scheduler starts new workers by itself."""

    def look(self) -> None:
        self._ask()
        if time.monotonic() - self._seen > LONELY:
            raise LemmataError(
                f"the scheduler at {self.address} has had no workers for {LONELY:g} s; start some and run the campaign "
                "again: it goes on where it stopped"
            )

    def _ask(self) -> None:
        now = time.monotonic()
        if now - self._asked < TIMEOUT:
            return
        self._asked = now
        try:
            self._count = len(self._client.nthreads())
        except Exception as error:
            raise LemmataError(
                f"the scheduler at {self.address} is gone ({type(error).__name__}); start it and run the campaign "
                "again: it goes on where it stopped"
            ) from error
        if self._count:
            self._seen = now

    def close(self) -> None:
        """Disconnect; what still runs is given up."""
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        with suppress(Exception):
            self._client.close(timeout=TIMEOUT)


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of the cluster's libraries on the terminal: what they say is said in our words.

    The library gives its parts handlers and levels of their own, so that each is asked to be silent.
    """
    import logging

    known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in TALKERS]
    before = {log: log.disabled for log in map(logging.getLogger, known)}
    for log in before:
        log.disabled = True
    try:
        yield
    finally:
        for log, disabled in before.items():
            log.disabled = disabled


@contextmanager
def workers(
    *,
    jobs: int | None,
    scheduler: str | None,
    executor: Executor | None,
    probe: Callable[[], str],
    wanted: str,
) -> Iterator[Workers]:
    """What runs the units: the executor, the cluster at ``scheduler``, or ``jobs`` processes.

    Raises:
        LemmataError: more than one of them, or a cluster that is of no use; see `Cluster`.
    """
    if sum(x is not None for x in (jobs, scheduler, executor)) > 1:
        raise LemmataError(
            "jobs, scheduler and executor exclude each other: give one; a cluster has its own number of workers"
        )
    if jobs is not None and jobs < 1:
        raise LemmataError(f"jobs = {jobs}: at least one process is needed")
    if executor is not None:
        yield Given(executor)
        return
    if scheduler is not None:
        cluster = Cluster(scheduler)
        with _quiet():  # a scheduler that goes away is noticed, and named once
            try:
                cluster.probe(probe, wanted)
                yield cluster
            finally:
                cluster.close()
        return
    pool = Processes(jobs or os.cpu_count() or 1)
    try:
        yield pool
    except BaseException:
        pool.stop()
        raise
    pool.close()
