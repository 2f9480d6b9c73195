"""Solving a cvxpy program without a word on stdout and without a crash: every failure is one line of text."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ONE_AT_A_TIME = threading.Lock()


def load() -> None:
    """Import what solving needs, so that a clock started afterwards shows the work alone."""
    import cvxpy
    import scipy.optimize  # noqa: F401

    cvxpy.Variable()


def attempt(program: Any, solver: str, **options: Any) -> str:
    """Solve a cvxpy problem with one solver.

    Returns:
        The status of the problem ("optimal" is the only one that may be trusted), or how the solver failed.
    """
    import cvxpy as cp

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an inaccurate solution, which the status says
            if solver == "SCS":  # it reports failures on stdout, even where it is not to be verbose
                with _muted():
                    program.solve(solver=solver, **options)
            else:
                program.solve(solver=solver, **options)
    except (cp.error.SolverError, ArithmeticError, ValueError) as error:
        return f"{error!s:.80}"
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # Clarabel's, which is no Exception
            raise
        return f"{error!s:.80}"
    return str(program.status)


class _Mute:
    """Stands in for a stream: forwards everything but what one thread writes."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            self._stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _muted() -> Iterator[None]:
    """Nothing that this thread writes reaches ``sys.stdout``; one thread at a time, so that it is put back."""
    with _ONE_AT_A_TIME:
        before = sys.stdout
        sys.stdout = _Mute(before)
        try:
            yield
        finally:
            sys.stdout = before
