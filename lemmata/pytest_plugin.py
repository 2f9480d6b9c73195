"""pytest's side of `lemmata.assert_holds`: a summary of what was checked, and ``--lemmata-report DIR``.

A test that decides nothing has checked nothing, and fails, unless it allows each of its cases. The report has
``report.json`` (counts, vacuous rates and tightest ratios, by target), ``tightest/`` and ``failures/`` with cases that
``lemmata replay`` reads.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Generator, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proofs_checks.conjectures.records import LISTENERS, Checked, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY = "lemmata"
MOST_FAILURES = 20  # cases saved for one test: Hypothesis meets many on its way to the smallest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--lemmata-report DIR``."""
    parser.getgroup("lemmata").addoption(
        "--lemmata-report",
        metavar="DIR",
        default=None,
        help="Write what lemmata.assert_holds has checked, with replayable cases.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Listen to every check."""
    target = config.getoption("--lemmata-report")
    if target is not None and not hasattr(config, "workerinput"):
        if Path(target).exists() and not Path(target).is_dir():
            raise pytest.UsageError(f"--lemmata-report {target}: a file; name a folder")
        try:
            Path(target).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=target):
                pass
        except OSError as error:
            raise pytest.UsageError(
                f"--lemmata-report {target}: cannot be written ({error.strerror}); name another folder"
            ) from error
    config.pluginmanager.register(Recorder(config), "lemmata-recorder")


class Recorder:
    """What was checked in this process, and (in the controller of pytest-xdist) in the others."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tallies: dict[str, Tally] = {}
        self.failures: dict[str, list[Mapping[str, Any]]] = {}
        self._test = ""
        self._open: list[Checked] = []
        self._decided: set[str] = set()
        self._failed: set[str] = set()
        LISTENERS.append(self.listen)

    def pytest_unconfigure(self) -> None:
        """Stop listening."""
        if self.listen in LISTENERS:
            LISTENERS.remove(self.listen)

    def listen(self, checked: Checked) -> None:
        """Count one check; keep the case of a failure."""
        self.tallies.setdefault(checked.target, Tally()).add(checked)
        if checked.deciding:
            self._decided.add(checked.target)
        elif not checked.allowed:
            self._open.append(checked)
        if checked.status == "violated" and self.config.getoption("--lemmata-report"):
            own = self.failures.setdefault(self._test, [])
            # the last ones, for those are the smallest
            own.append(checked.casefile())
            del own[:-MOST_FAILURES]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """What fixtures check counts for the test that they are set up for."""
        self._test, self._open, self._decided = item.nodeid, [], set()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """A test that has decided nothing fails."""
        result = yield
        self._judge()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """So does what is checked after the test."""
        result = yield
        self._judge()
        return result

    def _judge(self) -> None:
        open_, self._open = self._open, []
        for checked in open_:
            if checked.target not in self._decided:
                pytest.fail(
                    f"{checked.target} was {checked.status}, and no case of this test decided it, so nothing was "
                    f"checked: {checked.reason}; draw cases that satisfy the hypotheses, or set allow_vacuous=True "
                    "or allow_undecided=True",
                    pytrace=False,
                )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Forget the violations that a test expects: only those of a test that fails are failures."""
        report = yield
        if report.failed:
            self._failed.add(item.nodeid)
        if report.when == "teardown" and item.nodeid not in self._failed:
            self.failures.pop(item.nodeid, None)
        return report

    def pytest_collection_finish(self) -> None:
        """Load what judges conjectures before the first test: Hypothesis has deadlines for single cases."""
        if "proofs_checks.conjectures.conjecture" in sys.modules:
            import_module("proofs_checks.conjectures.testing")

    # -- several processes --------------------------------------------------------------------------------------
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over to the controller, or write the report."""
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            tallies = {name: tally.to_json() for name, tally in self.tallies.items()}
            output[_KEY] = json.dumps([tallies, self.failures])
            return
        target = self.config.getoption("--lemmata-report")
        if target is not None:
            self.write(Path(target))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a worker of pytest-xdist has counted."""
        text = getattr(node, "workeroutput", {}).get(_KEY)
        if text is None:
            return
        tallies, failures = json.loads(text)
        for name, tally in tallies.items():
            self.tallies.setdefault(name, Tally()).merge(tally)
        for test, cases in failures.items():
            self.failures.setdefault(test, []).extend(cases)

    # -- output -------------------------------------------------------------------------------------------------
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line per target."""
        if not self.tallies:
            return
        terminalreporter.section("lemmata")
        for line in summary(self.tallies):
            terminalreporter.write_line(line)

    def write(self, folder: Path) -> None:
        """Write the report, every file whole."""
        from proofs_checks.files import write_json

        report = {}
        files = _file_names(self.tallies)
        for name, tally in sorted(self.tallies.items()):
            row: dict[str, Any] = {
                "counts": tally.counts,
                "vacuous_rate": tally.vacuous_rate,
                "tightest": tally.tightest if tally.tightest != float("inf") else None,
                "case": None,
            }
            if tally.casefile is not None:
                path = folder / "tightest" / f"{files[name]}.json"
                write_json(path, dict(tally.casefile))
                row["case"] = os.path.relpath(path, folder)
            report[name] = row
        failures = {}
        files = _file_names(self.failures)
        for test, cases in sorted(self.failures.items()):
            path = folder / "failures" / f"{files[test]}.json"
            write_json(path, dict(cases[-1]))
            failures[test] = os.path.relpath(path, folder)
        write_json(folder / "report.json", {"checked": report, "failures": failures})


def summary(tallies: Mapping[str, Tally]) -> Sequence[str]:
    """The lines of the summary: tightest ratio and vacuous rate of every target."""
    width = max(len("checked"), *map(len, tallies))
    lines = [f"{'checked':{width}}  holds  violated  vacuous  undecided  tightest  vacuous rate"]
    for name, tally in sorted(tallies.items()):
        counts = [tally.counts.get(s, 0) for s in ("holds", "violated", "vacuous", "undecided")]
        tightest = "–" if tally.tightest is None else f"{tally.tightest:.4g}"
        lines.append(
            f"{name:{width}}  {counts[0]:5}  {counts[1]:8}  {counts[2]:7}  {counts[3]:9}  {tightest:>8}  "
            f"{tally.vacuous_rate:12.1%}"
        )
    return lines


def _file_names(texts: Iterable[str]) -> dict[str, str]:
    """A name for each text, no two of them equal where upper and lower case are."""
    out: dict[str, str] = {}
    taken: set[str] = set()
    for text in sorted(texts):
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:120] or "case"
        name, count = plain, 1
        while name.casefold() in taken:
            count += 1
            name = f"{plain}-{count}"
        taken.add(name.casefold())
        out[text] = name
    return out
