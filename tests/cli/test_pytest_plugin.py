"""`lemmata.assert_holds` and the plugin, in pytest runs of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lemmata as lm

TESTS = """
import lemmata as lm
import numpy as np
from lemmata import strategies as st
from hypothesis import given, settings, HealthCheck

@lm.conjecture(case=st.matrices(2, 2))
def frobenius(A):
    return lm.ops.norm(A, 2) <= lm.ops.norm(A)

@lm.conjecture(case=st.matrices(2, 2))
def wrong(A):
    return lm.ops.norm(A) <= lm.ops.norm(A, 2)

@lm.conjecture(case=st.matrices(2, 2))
def never(A):
    lm.assume(lm.ops.norm(A) <= -1)
    return lm.ops.norm(A) <= 1

@given(A=st.matrices(2, 2))
@settings(max_examples=10, database=None, suppress_health_check=[HealthCheck.too_slow])
def test_true(A):
    lm.assert_holds(frobenius, A)

@given(A=st.matrices(2, 2))
@settings(max_examples=50, database=None, suppress_health_check=[HealthCheck.too_slow])
def test_false(A):
    lm.assert_holds(wrong, A)

def test_vacuous():
    lm.assert_holds(never, np.eye(2))

def test_undecided():
    lm.assert_holds(frobenius, np.array([[1.0, 1.0], [0.0, 0.0]]))

def test_vacuous_allowed():
    lm.assert_holds(never, np.eye(2), allow_vacuous=True)

def test_statement():
    X, y = lm.cases.orthogonally_separable(n=3, d=2, seed=1)
    W0, signs = lm.cases.initialisation(h=2, d=2, seed=1)
    case = lm.Case.create(X, y, W0=W0, signs=signs, eps=1e-3, loss="exponential")
    lm.assert_holds("early-alignment/norm-bound", case)
"""


FIXTURES = """
import lemmata as lm
import numpy as np
import pytest
from lemmata import strategies as st
from lemmata import assert_holds

@lm.conjecture(case=st.matrices(2, 2))
def never(A):
    lm.assume(lm.ops.norm(A) <= -1)
    return lm.ops.norm(A) <= 1

@lm.conjecture(case=st.matrices(2, 2))
def wrong(A):
    return lm.ops.norm(A) <= lm.ops.norm(A, 2)

@pytest.fixture
def before():
    assert_holds(never, np.eye(2))

@pytest.fixture
def after():
    yield
    assert_holds(never, np.eye(2))

def test_before(before):
    pass

def test_after(after):
    pass

def test_expected():
    with pytest.raises(AssertionError):
        assert_holds(wrong, np.eye(2))

@pytest.mark.parametrize("size", [2, 3], ids=["a b", "a/b"])
def test_names(size):
    assert_holds(wrong, np.eye(size))
"""


def run(folder: Path, *options: str, tests: str = TESTS) -> tuple[int, str]:
    """Exit code and output of pytest on some tests, in a process of its own."""
    (folder / "test_own.py").write_text(tests)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_own.py",
        *options,
    ]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def check(folder: Path, code: int, out: str) -> None:
    """Both failing tests fail, the summary counts, and the report replays."""
    assert code == 1, out
    assert "3 failed, 3 passed" in out
    assert "wrong is violated" in out
    assert "never was vacuous, and no case of this test decided it" in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.endswith("%")}
    assert "frobenius was undecided, and no case of this test decided it" in out
    # where the rank is 1 the two norms are equal
    holds, violated, vacuous, undecided = map(int, rows["frobenius"][:4])
    assert holds >= 1 and undecided >= 1 and holds + undecided == 11 and violated == vacuous == 0
    assert rows["never"] == ["0", "0", "2", "0", "–", "100.0%"]
    assert int(rows["wrong"][1]) >= 1
    assert rows["early-alignment/norm-bound"][:4] == ["1", "0", "0", "0"]
    report = json.loads((folder / "report" / "report.json").read_text())
    assert set(report["checked"]) == set(rows)
    (failure,) = report["failures"].values()
    target = f"{folder / 'test_own.py'}::wrong"
    assert lm.replay(folder / "report" / failure, target=target).identical
    tight = report["checked"]["early-alignment/norm-bound"]["case"]
    assert lm.replay(folder / "report" / tight).identical


def test_summary_and_report(tmp_path: Path) -> None:
    check(tmp_path, *run(tmp_path, "--lemmata-report", "report"))


def test_with_several_processes(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    check(tmp_path, *run(tmp_path, "--lemmata-report", "report", "-n", "2"))


def test_fixtures_and_failures(tmp_path: Path) -> None:
    """What fixtures check counts; a violation that is expected is no failure; every failure has a file."""
    code, out = run(tmp_path, "--lemmata-report", "report", tests=FIXTURES)
    assert code == 1 and "3 failed, 2 passed, 1 error" in out
    assert out.count("never was vacuous, and no case of this test decided it") >= 2
    failures = json.loads((tmp_path / "report" / "report.json").read_text())["failures"]
    assert sorted(failures) == ["test_own.py::test_names[a b]", "test_own.py::test_names[a/b]"]
    cases = [json.loads((tmp_path / "report" / f).read_text()) for f in failures.values()]
    assert [len(c["case"]["values"]["case"]) for c in cases] == [4, 9]


def test_the_report_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    code, out = run(tmp_path, "--lemmata-report", "taken")
    assert code == 4 and "name a folder" in out
    code, out = run(tmp_path, "--lemmata-report", "taken/report")
    assert code == 4 and "cannot be written" in out and "Traceback" not in out


def test_a_conjecture_s_case_names_no_file(tmp_path: Path) -> None:
    """A case file is data: the file that is executed is named by the user alone."""
    run(tmp_path, "--lemmata-report", "report")
    (path,) = (tmp_path / "report" / "failures").glob("*.json")
    with pytest.raises(lm.LemmataError, match="--target"):
        lm.replay(path)
    with pytest.raises(lm.LemmataError, match="saved for the conjecture 'wrong'"):
        lm.replay(path, target=f"{tmp_path / 'test_own.py'}::frobenius")
