"""``lemmata refute``: the JSON contract, exit codes, files, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import lemmata as lm
from proofs_checks.conjectures import targets
from theory.quantity import quantity, var

CONJECTURES = '''
import lemmata as lm
import numpy as np
from lemmata import strategies as st


@lm.conjecture(case=st.matrices((1, 4), (1, 4)))
def frobenius(A):
    """The spectral norm is at most the Frobenius norm."""
    return np.linalg.norm(A, 2) <= np.linalg.norm(A)


@lm.conjecture(case=st.matrices((1, 4), (1, 4)))
def lost_factor(A):
    """The factor √rank is lost."""
    return np.linalg.norm(A) <= np.linalg.norm(A, 2)


@lm.conjecture(case=st.matrices((1, 3), (1, 3)))
def vacuous(A):
    lm.assume(np.linalg.norm(A) <= -1)
    return np.linalg.norm(A) <= 1


@lm.conjecture(case=st.matrices((1, 3), (1, 3)))
def undefined(A):
    return np.log(A[0, 0]) <= 10


@lm.conjecture(case=st.matrices(2, 2))
def best(A):
    return np.linalg.norm(A) <= lm.constant("c") * np.linalg.norm(A, 2)
'''
EXTREME = """
import lemmata as lm
from lemmata import strategies as st


@lm.conjecture(case=st.reals(1, 2))
def shrinks(x):
    return x <= lm.ops.exp(-1000 * x)
"""
LINE = 1 + next(k for k, text in enumerate(CONJECTURES.splitlines()) if "np.log" in text)
KEYS = {
    "conjecture",
    "status",
    "cases",
    "deciding",
    "vacuous_rate",
    "tightest",
    "counterexample",
    "seconds",
}
FOUND = {"case", "lhs", "rhs", "error", "rigor", "certificate", "shapes"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's file."""
    path = tmp_path_factory.mktemp("user") / "conjectures.py"
    path.write_text(CONJECTURES)
    return path


def test_a_wrong_conjecture_is_refuted_with_a_certificate(run, file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    target = f"{file}::lost_factor"
    code, text, _ = run("refute", target, "--cases", "20000", "--json", "-o", out)
    report = json.loads(text)
    assert code == 1 and set(report) >= KEYS and report["status"] == "refuted"
    assert report["conjecture"] == "lost_factor" and 0 < report["deciding"] <= report["cases"]
    found = report["counterexample"]
    assert set(found) >= FOUND and found["rigor"] == "proved" and found["lhs"] > found["rhs"]
    # rank 1 is the only equality, so 2 x 2 is the smallest shape
    assert found["shapes"] == {"case": [2, 2]}
    assert found["certificate"] == str(out / "certificate.json")
    assert run("audit", found["certificate"]).code == 0
    assert json.loads((out / "report.json").read_text()) == report
    assert run("replay", out / "counterexample.json", "--target", target).code == 0
    code, text, _ = run("replay", out / "counterexample.json")
    assert code == 2
    text = run("refute", target, "--cases", "20000").out
    assert "refuted" in text and "proved" in text


def test_a_true_conjecture_survives_the_same_way_every_time(run, file: Path) -> None:  # type: ignore[no-untyped-def]
    answers = []
    for jobs in ("1", "2"):
        arguments = (
            "refute",
            f"{file}::frobenius",
            "--cases",
            "3000",
            "--seed",
            "5",
            "--jobs",
            jobs,
        )
        code, text, _ = run(*arguments, "--json")
        report = json.loads(text)
        assert code == 0 and report["status"] == "survived" and report["counterexample"] is None
        assert report["deciding"] > 0 and report["tightest"]["ratio"] <= 1 + 1e-12
        report.pop("seconds")
        answers.append(report)
    assert answers[0] == answers[1]


def test_sides_that_no_float_holds_are_shown(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "extreme.py").write_text(EXTREME)
    code, text, _ = run("refute", tmp_path / "extreme.py", "--cases", "50", "--json")
    found = json.loads(text)["counterexample"]
    assert code == 1 and found["case"]["values"] == {"case": ["1"]}
    assert found["lhs"] == 1.0 and found["rhs"] == "5.075959e-435"


USER_CODE = """
import sys
import lemmata as lm
from lemmata import strategies as st


@lm.conjecture(case=st.matrices(2, 2))
def exits(A):
    sys.exit(0)


def leave(A):
    raise SystemExit(0)


@lm.conjecture(case=st.matrices(2, 2).filter(leave))
def strategy_exits(A):
    return A.sum() <= 1


def shown(A):
    print("a filter")
    return True


@lm.conjecture(case=st.matrices(2, 2).filter(shown))
def prints(A):
    print("a conjecture")
    return lm.ops.norm(A, 2) <= lm.ops.norm(A)
"""


def test_a_user_s_code_neither_ends_the_command_nor_speaks_for_it(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "user.py").write_text(USER_CODE)
    code, text, error = run("refute", f"{tmp_path}/user.py::exits", "--cases", "20", "--json")
    assert code == 2 and text == "" and "user.py, line 9: SystemExit: 0" in error
    code, text, error = run("refute", f"{tmp_path}/user.py::strategy_exits", "--cases", "20")
    assert code == 2 and text == "" and "its strategy exits" in error
    code, text, error = run("refute", f"{tmp_path}/user.py::prints", "--cases", "20", "--json")
    assert json.loads(text)["conjecture"] == "prints"
    assert "a filter" in error and "a conjecture" in error


def test_a_folder_holds_what_the_last_run_found(run, file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "notes.txt").write_text("mine")
    run("refute", f"{file}::lost_factor", "--cases", "2000", "-o", tmp_path)
    assert (tmp_path / "certificate.json").exists()
    run("refute", f"{file}::frobenius", "--cases", "200", "-o", tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"notes.txt", "report.json"}


def test_vacuous_is_not_survived(run, file: Path) -> None:  # type: ignore[no-untyped-def]
    code, text, _ = run("refute", f"{file}::vacuous", "--cases", "500", "--json")
    report = json.loads(text)
    assert code == 3 and report["status"] == "vacuous" and report["vacuous_rate"] == 1.0
    assert report["reason"]


def test_the_best_constant(run, file: Path) -> None:  # type: ignore[no-untyped-def]
    code, text, _ = run("refute", f"{file}::best", "--cases", "20000", "--json")
    report = json.loads(text)
    assert code == 0 and report["status"] == "survived"
    c = report["constants"]["c"]
    assert c["better"] == "smaller"
    assert c["refuted"] < 2**0.5 < c["supported"] + 1e-6
    assert c["supported"] - c["refuted"] < 1e-3


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("{file}::undefined", f"line {LINE} (return np.log"),
        ("{file}::missing", "it has: frobenius"),
        ("{file}", "name one of"),
        ("nothing.py::x", "no such file"),
        ("early-alignment/no-such", "unknown statement"),
        ("early-alignment", "name one of"),
    ],
)
def test_bad_targets(run, file: Path, target: str, words: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = run("refute", target.format(file=file), "--cases", "100")
    assert code == 2 and out == "" and words in err


@pytest.mark.parametrize(
    "options",
    [["--cases", "0"], ["--seconds", "0"], ["--seconds", "nan"], ["--jobs", "0"], ["--seed", "-1"]],
)
def test_bad_budgets(run, file: Path, options: list[str], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    code, _, _ = run("refute", f"{file}::frobenius", *options, "-o", out)
    assert code == 2 and not out.exists()


def test_statements_are_attacked(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from lemmata import statement\n"
        "WRONG = statement('early-alignment/norm-bound').with_constants(C_w='1/40')\n"
    )
    out = tmp_path / "out"
    code, text, _ = run("refute", wrong, "--cases", "400", "--json", "-o", out)
    report = json.loads(text)
    # it has the id of a statement that is not refuted
    assert report["conjecture"] == "wrong.py/WRONG"
    assert code == 1 and report["counterexample"]["rigor"] == "numerical"
    assert report["counterexample"]["certificate"] is None and report["counterexample"]["reason"]
    target = f"{wrong}::WRONG"
    assert run("replay", out / "counterexample.json", "--target", target).code == 0
    code, text, _ = run("refute", "margins/telescoping", "--cases", "60", "--json")
    assert code == 0 and json.loads(text)["status"] == "survived"


def test_a_changed_statement_is_not_taken_for_the_registered_one() -> None:
    known = lm.statement("margins/perceptron-mistakes")
    assert lm.refute(known, cases=4).conjecture == known.id
    part = replace(known.parts[0], relation=var("mistakes") <= quantity(-1))
    report = lm.refute(replace(known, parts=(part,)), cases=40)
    assert report.status == "refuted" and report.conjecture == f"{known.id}, changed"


def test_ctrl_c_says_that_nothing_is_written(
    run: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(targets, "refute", stopped)
    code, out, error = run("refute", "margins/telescoping", "-o", tmp_path / "out")
    assert (code, out) == (130, "") and "nothing is written" in error
    assert not (tmp_path / "out").exists()
