"""Solvers say nothing on stdout, and fail in one line of text."""

from __future__ import annotations

import sys
import threading

import cvxpy as cp
import pytest

from numerics.conic import _muted, attempt


class PanicException(BaseException):
    """Named as that of Clarabel."""


class Fails:
    """A program whose solver fails in a given way."""

    status = "solved"

    def __init__(self, error):
        self.error = error

    def solve(self, **options):
        raise self.error


def hopeless():
    x = cp.Variable(3)
    return cp.Problem(
        cp.Minimize(cp.sum(cp.exp(x)) * 1e-300 + cp.norm(x) * 1e290), [x[0] >= 1e-200]
    )


def test_scs_keeps_stdout_clean(capfd):
    assert attempt(hopeless(), "SCS", max_iters=50) != cp.OPTIMAL
    assert attempt(hopeless(), "CLARABEL") != cp.OPTIMAL
    assert capfd.readouterr().out == ""


def test_scs_would_have_written(capfd):
    """The fault that is kept away is still there."""
    with pytest.raises(cp.error.SolverError):
        hopeless().solve(solver="SCS", max_iters=50)
    assert capfd.readouterr().out != ""


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_a_solution_is_told_from_failures(solver):
    x = cp.Variable()
    assert attempt(cp.Problem(cp.Minimize((x - 1) ** 2)), solver) == "optimal"
    assert x.value == pytest.approx(1, abs=1e-3)
    assert attempt(cp.Problem(cp.Minimize(x), [x <= 1]), solver) == "unbounded"
    for error in (cp.error.SolverError("no"), ValueError("nan"), PanicException("Eigval error")):
        assert attempt(Fails(error), solver) == str(error)
    for error in (KeyboardInterrupt(), MemoryError()):
        with pytest.raises(type(error)):
            attempt(Fails(error), solver)


def test_only_one_thread_is_muted_and_stdout_is_put_back(capsys):
    before = sys.stdout
    with _muted():
        print("nothing")
        other = threading.Thread(target=print, args=("heard",))
        other.start()
        other.join()
    print("after")
    assert sys.stdout is before
    assert capsys.readouterr().out == "heard\nafter\n"
