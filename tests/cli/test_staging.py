"""Output appears complete or not at all; progress only on a terminal."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from lemmata.cli import terminal
from lemmata.cli.staging import figure_path, staged_directory
from theory.errors import LemmataError


def fill(folder: Path) -> None:
    (folder / "verdicts.json").write_text("new")
    (folder / "cases").mkdir()
    (folder / "cases" / "a.json").write_text("a")


def test_a_new_directory_appears_with_its_parents(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with staged_directory(target) as folder:
        assert folder is not None
        fill(folder)
        assert not target.exists()
    assert (target / "cases" / "a.json").read_text() == "a"
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        with staged_directory(tmp_path / "out") as folder:
            assert folder is not None
            fill(folder)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


def test_an_existing_directory_keeps_other_files(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "verdicts.json").write_text("old")
    (target / "notes.txt").write_text("mine")
    with staged_directory(target) as folder:
        assert folder is not None
        fill(folder)
        assert (target / "verdicts.json").read_text() == "old"
    assert (target / "verdicts.json").read_text() == "new"
    assert (target / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in target.iterdir()) == ["cases", "notes.txt", "verdicts.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_remains_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), staged_directory(tmp_path / "deep" / "out") as folder:
        assert folder is not None
        fill(folder)
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(LemmataError, match="is a file"), staged_directory(tmp_path / "out"):
        pytest.fail("the block must not run")


def test_a_folder_in_the_way_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "out" / "verdicts.json").mkdir(parents=True)
    with (
        pytest.raises(LemmataError, match="cannot write to"),
        staged_directory(tmp_path / "out") as folder,
    ):
        assert folder is not None
        fill(folder)


def test_without_a_target() -> None:
    with staged_directory(None) as folder:
        assert folder is None


def test_figure_path(tmp_path: Path) -> None:
    assert figure_path(None) is None
    assert figure_path(tmp_path / "x.PNG") == tmp_path / "x.PNG"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.progress("Verifying") as start:
        advance = start(3)
        advance(2)
        advance(1)
    assert "Verifying" in screen.getvalue() and "3/3" in screen.getvalue()


def test_progress_is_silent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with terminal.progress("Verifying") as start:
        start(3)(3)
    assert stream.getvalue() == ""


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"eps": "\u03b5"})
    assert capsys.readouterr().out.isascii()
    with pytest.raises(ValueError, match="JSON"):
        terminal.print_json({"x": float("nan")})


def test_a_folder_in_the_place_of_a_file_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "b.json").mkdir()
    with (
        pytest.raises(LemmataError, match=r"b\.json is a folder"),
        staged_directory(tmp_path) as folder,
    ):
        assert folder is not None
        for name in ("a.json", "b.json"):
            (folder / name).write_text("{}")
    assert [p.name for p in tmp_path.iterdir()] == ["b.json"]
