"""What was verified before: known again, and only for the same sources, statement and versions."""

from __future__ import annotations

import json
import os
import py_compile
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import theory
from proofs_checks import api, derivation_cache, derivations
from proofs_checks.registry import statement
from proofs_checks.verify_jobs import Job, run
from theory.errors import DerivationError, LemmataError

ROOT = Path(__file__).parents[2]
SMALL = statement("margins/telescoping")  # two steps
VERIFIED = ("verified", "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, whatever was edited while the tests ran."""
    monkeypatch.setenv(derivation_cache.VARIABLE, str(tmp_path))
    monkeypatch.setattr(theory, "LOADED_AT", time.time() + 3600)
    return tmp_path / "derivations"


@pytest.fixture
def entry(folder: Path) -> Path:
    """The entry of one verified statement."""
    assert derivations.known_status(SMALL) is None
    assert derivations.derivation_status(SMALL) == VERIFIED
    (path,) = folder.iterdir()
    return path


def test_what_was_verified_is_known(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derivations, "load_derivation", unwanted)
    assert derivations.known_status(SMALL) == VERIFIED
    (row,) = api.verify([SMALL], cases=1).statements
    assert (row.derivation, row.derivation_error) == VERIFIED


def unwanted(path: str) -> None:
    raise AssertionError(f"{path} was built although its verification is known")


def test_entries_are_data(entry: Path) -> None:
    data = json.loads(entry.read_text())
    assert data["statement"] == SMALL.id and data["derivations"] == dict(SMALL.derivations)
    assert not list(entry.parent.glob(".*"))  # nothing temporary is left


BROKEN = {
    "empty": b"",
    "cut off": b'{"format": ',
    "no object": b"[]",
    "no text": b"\xff\xfe\x00",
    "nested": b"[" * 50_000,
    "large": b" " * derivation_cache.MOST_BYTES + b"{}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_entry_is_not_there(entry: Path, content: bytes) -> None:
    entry.write_bytes(content)
    assert derivations.known_status(SMALL) is None
    assert derivations.derivation_status(SMALL) == VERIFIED  # and is written anew
    assert derivations.known_status(SMALL) == VERIFIED


@pytest.mark.parametrize("name", ["format", "statement", "derivations", "versions", "key"])
def test_an_entry_for_anything_else_is_not_there(entry: Path, name: str) -> None:
    data = json.loads(entry.read_text())
    for value in ("other", None, data["key"][:-1] + "g"):
        entry.write_text(json.dumps(data | {name: value}))
        assert derivations.known_status(SMALL) is None
    entry.write_text(json.dumps({k: v for k, v in data.items() if k != name}))
    assert derivations.known_status(SMALL) is None
    entry.write_text(json.dumps(data))
    assert derivations.known_status(SMALL) == VERIFIED


def test_other_versions_check_again(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in derivation_cache._versions():
        changed: Mapping[str, str] = derivation_cache._versions() | {name: "0"}
        with monkeypatch.context() as inner:
            inner.setattr(derivation_cache, "_versions", lambda changed=changed: changed)
            assert derivations.known_status(SMALL) is None
    assert derivations.known_status(SMALL) == VERIFIED


def test_other_statements_are_not_kept(entry: Path) -> None:
    before = {path: path.read_bytes() for path in entry.parent.iterdir()}
    for other in (
        replace(SMALL, title="another"),
        replace(SMALL, id="margins/another"),
        replace(SMALL, derivations={**SMALL.derivations, "more": "theory.margins:absent"}),
    ):
        assert derivations.known_status(other) is None
    for other in (replace(SMALL, title="another"), replace(SMALL, id="user/telescoping")):
        assert derivations.derivation_status(other) == VERIFIED  # they are checked, and not kept
    assert {path: path.read_bytes() for path in entry.parent.iterdir()} == before


def test_statements_of_files_are_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proofs_checks import registry

    monkeypatch.setitem(registry._origins, SMALL.id, "mine.py::TELESCOPING")
    assert derivations.derivation_status(SMALL) == VERIFIED
    assert not folder.exists()


def test_failures_are_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise DerivationError("step 'distance' does not verify")

    with monkeypatch.context() as inner:
        inner.setattr(derivations, "load_derivation", refuse)
        assert derivations.derivation_status(SMALL)[0] == "stated"
    assert not folder.exists() and derivations.known_status(SMALL) is None


def test_sources_that_changed_under_way_keep_nothing(
    entry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theory, "LOADED_AT", 0.0)
    assert derivations.known_status(SMALL) is None
    entry.unlink()
    assert derivations.derivation_status(SMALL) == VERIFIED
    assert not entry.exists()


def test_a_stale_compiled_file_is_another_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Python loads for a source whose size and time are those of an earlier one."""
    source = tmp_path / "theory" / "__init__.py"
    source.parent.mkdir()
    source.write_text("sign = -1\n")
    compiled = Path(py_compile.compile(str(source), doraise=True) or "")
    monkeypatch.setattr(theory, "__file__", str(source))
    monkeypatch.setattr(theory, "LOADED_AT", time.time() + 3600)
    stamp = source.stat()
    source.write_text("sign = +1\n")
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    stale = derivation_cache._sources()
    py_compile.compile(str(source), doraise=True)
    fresh = derivation_cache._sources()
    compiled.unlink()
    assert None not in (stale, fresh) and len({stale, fresh, derivation_cache._sources()}) == 3


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners")
def test_entries_of_others_are_not_there(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert derivations.known_status(SMALL) is None


def test_no_cache_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    for place in ("off", "OFF", str(occupied), "/proc/no/such/place"):
        monkeypatch.setenv(derivation_cache.VARIABLE, place)
        assert derivations.derivation_status(SMALL) == VERIFIED
        assert derivations.known_status(SMALL) is None


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(derivation_cache.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert derivation_cache.directory() == tmp_path / "lemmata" / "derivations"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the standard says: to be ignored
    monkeypatch.setenv("HOME", str(tmp_path))
    assert derivation_cache.directory() == tmp_path / ".cache" / "lemmata" / "derivations"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert derivation_cache.directory() == tmp_path.joinpath(
        "Library", "Caches", "lemmata", "derivations"
    )
    monkeypatch.setenv(derivation_cache.VARIABLE, str(tmp_path / "mine"))
    assert derivation_cache.directory() == tmp_path / "mine" / "derivations"
    monkeypatch.setenv(derivation_cache.VARIABLE, "off")
    assert derivation_cache.directory() is None


LOADED = """
from proofs_checks import api
from proofs_checks.registry import statement
import json, sys
(row,) = api.verify([statement("margins/telescoping")], cases=1).statements
heavy = {"cvxpy", "hypothesis", "matplotlib", "numba", "pyarrow", "scipy", "sympy", "torch"}
print(json.dumps([row.derivation, sorted(heavy & set(sys.modules))]))
"""
ASK = """
from proofs_checks.derivations import derivation_status, known_status
from proofs_checks.registry import statement
import json, theory
found = statement("margins/telescoping")
print(json.dumps([theory.__file__, known_status(found), derivation_status(found)]))
"""


def test_a_changed_derivation_is_checked_again_and_refused(tmp_path: Path) -> None:
    tree, cache = tmp_path / "tree", tmp_path / "cache"
    for room in ("theory", "numerics", "proofs_checks"):
        shutil.copytree(
            ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__", "*.npz")
        )

    def answer(script: str) -> list[Any]:
        environment = os.environ | {
            "PYTHONPATH": str(tree),
            "PYTHONDONTWRITEBYTECODE": "1",
            derivation_cache.VARIABLE: str(cache),
        }
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, cwd=tree, capture_output=True, check=True)
        found: list[Any] = json.loads(done.stdout)
        return found

    def ask() -> tuple[object, list[str]]:
        place, known, status = answer(ASK)
        assert Path(place).is_relative_to(tree)
        return known, status

    assert ask() == (None, ["verified", ""])
    assert ask() == (["verified", ""], ["verified", ""])
    assert answer(LOADED) == ["verified", []]  # neither algebra nor an engine
    source = tree / "theory" / "derivations_margins.py"
    right = source.read_text()
    wrong = right.replace("- 2 * eta * Inner(g, v - v_bar)", "- eta * Inner(g, v - v_bar)")
    assert wrong != right
    source.write_text(wrong)
    for _ in range(2):  # the failure is not kept either
        known, (status, reason) = ask()
        assert known is None and status == "stated" and "distance" in reason
    source.write_text(right + "# a word\n")
    assert ask() == (None, ["verified", ""])  # other bytes, whatever they say


# -- jobs -----------------------------------------------------------------------------------------------------------
def pid_and(value: int) -> tuple[int, int]:
    return os.getpid(), value


def refuse(value: int) -> None:
    raise LemmataError(f"{value} is refused; take another")


def test_jobs_are_done_wherever_they_may_be() -> None:
    for workers in (1, 2):
        done: dict[int, int] = {}

        def put(found: tuple[int, int], done: dict[int, int] = done) -> None:
            done[found[1]] = found[0]

        run([Job(pid_and, (k,), put, weight=k, here=k % 2 == 0) for k in range(6)], workers)
        assert sorted(done) == list(range(6))
        for k, process in done.items():
            assert (process == os.getpid()) == (workers == 1 or k % 2 == 0)


def test_the_heaviest_job_begins_first() -> None:
    order: list[int] = []
    run([Job(int, (k,), order.append, weight=k) for k in (3, 1, 4, 1, 5)], 1)
    assert order == [5, 4, 3, 1, 1]


def test_a_job_that_fails_ends_the_run() -> None:
    for workers in (1, 2):
        with pytest.raises(LemmataError, match="3 is refused"):
            run([Job(refuse, (3,), print, 1), Job(int, (2,), int, 0)], workers)


def test_known_or_not_the_report_is_the_same(folder: Path) -> None:
    statements = [SMALL, statement("margins/perceptron-mistakes")]
    first, second = (api.verify(statements, cases=2, seed=3).to_json() for _ in range(2))
    assert len(list(folder.iterdir())) == 2  # checked and kept by other processes
    for report in (first, second):
        for row in report["statements"]:
            del row["seconds"]
            assert row["derivation"] == "verified"
    assert first == second
