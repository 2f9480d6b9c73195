"""Running the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from lemmata.cli import main


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """``run("verify", "--cases", "3")`` -> exit code, standard output, standard error."""

    # Wide enough for every table, whatever the terminal or the test runner says.
    monkeypatch.setenv("COLUMNS", "140")

    def runner(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = exit_.value.code
        return Outcome(0 if code is None else int(code), captured.out, captured.err)

    return runner
