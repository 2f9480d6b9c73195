"""Units of the batched search, in this process or in several; their order and number do not depend on that.

Tasks are plain data (traced programs and exact cases): a worker never runs the user's file again for them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from proofs_checks.conjectures.batches import Outcome, Task, explore
from theory.errors import LemmataError


class Workers:
    """Runs tasks; a context. With one job everything runs here, on one thread of torch."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, tasks: Sequence[Task]) -> list[Outcome]:
        """The outcomes, in the order of the tasks.

        Raises:
            LemmataError: worker processes cannot start, or one was killed.
        """
        # conditions of filters are the user's functions, which do not travel
        if self.jobs == 1 or any(base.guard for task in tasks for base in task.bases):
            return [explore(task) for task in tasks]
        if self._pool is None:
            # threads of torch do not survive a fork
            self._pool = ProcessPoolExecutor(
                self.jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare
            )
        try:
            return list(self._pool.map(explore, tasks))
        except BrokenProcessPool as error:
            raise LemmataError(
                f"a worker process ended early ({error}); call this under `if __name__ == '__main__':`, "
                "or use jobs=1"
            ) from error


def _prepare() -> None:
    from numerics.program_search import single_thread

    single_thread()


__all__ = ["Workers"]
