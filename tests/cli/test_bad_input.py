"""Bad usage and bad input: exit code 2, one clear line, no traceback, nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from theory.errors import LemmataError

GOOD = "a,b,kind\n1,2,cat\n3,-4,dog\n0.5,1e-3,cat\n"
CONTENTS = {
    "good.csv": GOOD,
    "nan.csv": GOOD.replace("-4", "nan"),
    "inf.csv": GOOD.replace("-4", "inf"),
    "empty.csv": "",
    "constant.csv": "a,b,kind\n1,2,cat\n3,2,dog\n",
    "one.csv": GOOD.replace("dog", "cat"),
    "three.csv": GOOD + "7,8,bird\n",
    "text.csv": GOOD.replace("-4", "four"),
    "escape.csv": GOOD.replace("-4", "\x1b[31mred"),
    "picture.csv": "\0\1\2",
    "case.json": "{}",
    "broken.json": "{",
    "broken.py": "import does_not_exist\n",
    "other.py": "NAME = 3\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in CONTENTS.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data(name: str) -> list[str]:
    return ["verify", "early-alignment/norm-bound", "--data", name, "--label", "kind", "-o", "new"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (data("nan.csv"), "line 3, column 'b': the value is missing: fill it in"),
        (data("inf.csv"), "'inf' is not finite: drop the row"),
        (data("empty.csv"), "is empty: give a header"),
        (data("constant.csv"), "1 feature is constant ('b'): drop"),
        (data("one.csv"), "has one class, 'cat': add points"),
        (data("three.csv"), "has 3 classes, 'bird', 'cat', 'dog': keep"),
        (data("text.csv"), "'four' is not a number: encode"),
        (data("picture.csv"), "is not CSV"),
        (data("god.csv"), "file not found: god.csv: did you mean 'good.csv'?"),
        (data("."), "is a folder"),
        (["verify", "--data", "good.csv", "--label", "knd"], "did you mean 'kind'?"),
        (["verify", "--data", "good.csv"], "--data needs --label COL"),
        (["verify", "--label", "kind"], "--label speaks of a data file: add --data"),
        (["verify", "--center"], "--center speaks of a data file"),
        (["verify", "--normalise"], "--normalise speaks of a data file"),
        (["profile", "early-alignment/norm-bound", "--exact-decimals"], "--exact-decimals speaks"),
        ([*data("good.csv"), "--normalise", "--exact-decimals"], "drop normalise"),
        (["verify", "early-alignment/norm-bond"], "did you mean early-alignment/norm-bound"),
        (["verify", "early-alignmnt"], "did you mean early-alignment"),
        (["verify", "early-alignment", "--all"], "--all and an ID exclude each other"),
        (["verify", "missing.py::X"], "missing.py"),
        (["verify", "broken.py::X"], "does_not_exist"),
        (["verify", "other.py::NAME"], "no statement 'NAME'"),
        (["verify", "-o", "good.csv"], "good.csv is a file: name a folder"),
        (["verify", "-o", "good.csv/deeper"], "cannot write to good.csv/deeper"),
        (["show", "nothing-like-it"], "unknown statement"),
        (["show", "early-alignment"], "name one of early-alignment/"),
        (["constants", "early-alignment/norm-bond"], "did you mean early-alignment/norm-bound"),
        (["profile", "early-alignment/norm-bound", "-o", "."], "is a folder: name a file"),
        (["profile", "early-alignment/norm-bound", "-o", "x.gif"], "end its name in .pdf, .png"),
        (["profile", "early-alignment/norm-bound", "-o", "no/x.png"], "create it first"),
        (["replay", "missing.json"], "missing.json"),
        (["replay", "case.json"], "case.json"),
        (["replay", "broken.json"], "broken.json"),
        (["replay", "."], "cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_line_with_the_remedy(run, folder: Path, arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("lemmata: ") and err.count("\n") == 1 and err.endswith("\n")
    assert words in err
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == set(CONTENTS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--cases", "0"],
        ["verify", "--cases", "many"],
        ["verify", "--seed", "-1"],
        ["verify", "--cses", "3"],
        ["constants", "--cases", "0"],
        ["verfy"],
        ["show"],
        ["audit"],
    ],
    ids=" ".join,
)
def test_bad_usage(run, folder: Path, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err and "Usage: lemmata" in err


def test_unreadable_certificates(run, folder: Path) -> None:
    code, out, _ = run("audit", "missing.json", "broken.json")
    assert code == 2
    assert "missing.json" in out and "broken.json" in out


def test_control_characters_do_not_reach_the_terminal(run, folder: Path) -> None:
    code, _, err = run(*data("escape.csv"))
    assert code == 2
    assert "\x1b" not in err and "red" in err


def test_folder_without_permission(run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    expected = "lemmata: cannot write to out: Permission denied: name another folder for the output"
    assert run("verify", "-o", "out") == (2, "", expected + "\n")


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
def test_defects_keep_their_traceback_and_look_like_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
    run,
    kind: type[Exception],
) -> None:
    def broken() -> None:
        raise kind("broken, not bad input")

    monkeypatch.setattr("proofs_checks.registry.all_statements", broken)
    code, out, err = run("list")
    assert code == 70 and out == "" and f"{kind.__name__}: broken" in err and "report it" in err


def test_numerics_errors_are_bad_input(monkeypatch: pytest.MonkeyPatch, run) -> None:
    from numerics.errors import NumericsError

    def refusing() -> None:
        raise NumericsError("two\nlines")

    monkeypatch.setattr("proofs_checks.registry.all_statements", refusing)
    assert run("list") == (2, "", "lemmata: two lines\n")
    assert not issubclass(NumericsError, LemmataError)


def test_the_process_itself_exits_with_two() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "lemmata", "verify", "no-such"], capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert ran.stdout == "" and ran.stderr.count("\n") == 1
