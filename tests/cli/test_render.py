"""What is printed and which code is returned for outcomes that true statements do not have."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lemmata.cli import render
from proofs_checks.registry import statement
from proofs_checks.report import Report, StatementReport
from proofs_checks.verdict import Rigor, Status, Verdict

ID = "early-alignment/norm-bound"


def verdict(status: Status, reason: str = "") -> Verdict:
    deciding = status in (Status.HOLDS, Status.VIOLATED)
    ratio = {Status.HOLDS: 0.25, Status.VIOLATED: 1.5}.get(status)
    return Verdict(
        statement=ID,
        case="0123456789abcdef",
        status=status,
        rigor=Rigor.NUMERICAL,
        tightness=ratio,
        log_tightness=math.log(ratio) if ratio else None,
        error=1e-12 if deciding else None,
        reason=reason,
    )


def report(*verdicts: Verdict, derivation: str = "stated", error: str = "") -> Report:
    row = StatementReport(statement(ID), verdicts, derivation, error, 0.5)
    return Report("0", 7, (row,), ())


def printed(blocks: Any, width: int = 140) -> str:
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as capture:
        for block in blocks:
            console.print(block, soft_wrap=True)
    return capture.get()


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch, run):
    """Run ``verify`` with a report that is given instead of measured."""

    def runner(given: Report, *options: str):
        monkeypatch.setattr("proofs_checks.api.verify", lambda *_, **__: given)
        return run("verify", ID, *options)

    return runner


HOLDS = verdict(Status.HOLDS)
VIOLATED = verdict(Status.VIOLATED, "lhs exceeds rhs at t = 3 [witness attached]")
VACUOUS = verdict(Status.VACUOUS, "hypothesis mu > 0 fails")
UNDECIDED = verdict(Status.UNDECIDED, "neuron 2 slides")


@pytest.mark.parametrize(
    ("verdicts", "options", "code"),
    [
        ([HOLDS], [], 0),
        ([HOLDS, VACUOUS], [], 0),
        ([HOLDS, VIOLATED], [], 1),
        ([UNDECIDED, VIOLATED, VACUOUS], ["--allow-vacuous"], 1),
        ([HOLDS, UNDECIDED], [], 3),
        ([HOLDS, UNDECIDED], ["--allow-vacuous"], 3),
        ([VACUOUS], [], 3),
        ([VACUOUS], ["--allow-vacuous"], 0),
    ],
)
def test_exit_codes_of_verify(outcome, verdicts, options, code) -> None:
    given = report(*verdicts)
    assert outcome(given, *options).code == code
    with_json = outcome(given, *options, "--json")
    assert with_json.code == code and json.loads(with_json.out) == given.to_json()


def test_the_closing_line_agrees_with_the_exit_code(outcome) -> None:
    assert "Violated." in outcome(report(VIOLATED)).out
    assert "Unfinished" in outcome(report(UNDECIDED)).out
    assert "Nothing violated" in outcome(report(HOLDS)).out
    assert "Unfinished" in outcome(report(VACUOUS)).out
    assert "Nothing violated" in outcome(report(VACUOUS), "--allow-vacuous").out


def test_reasons_are_printed_literally(outcome) -> None:
    assert "t = 3 [witness attached]" in outcome(report(HOLDS, VIOLATED)).out


@pytest.mark.parametrize("width", [80, 112, 140])
def test_the_table_keeps_its_numbers_at_every_width(width: int) -> None:
    page = render.verdict_page(report(HOLDS, UNDECIDED), code=3, out=Path("there"), width=width)
    text = printed(page, width)
    assert "norm-bound" in text and "0.25" in text and "undecided" in text
    assert "Written to there" in text
    assert all(len(line) <= width for line in text.splitlines() if "norm-bound " in line)


def test_statements_of_several_topics_keep_their_ids() -> None:
    import dataclasses

    other = dataclasses.replace(statement(ID), id="another/topic")
    rows = (
        StatementReport(statement(ID), (HOLDS,), "verified", "", 0.1),
        StatementReport(other, (HOLDS,), "stated", "", 0.1),
    )
    text = printed(render.verdict_page(Report("0", 0, rows, ()), code=0, out=None, width=80), 140)
    assert ID in text and "another/topic" in text


ROWS = [
    {
        "statement": ID,
        "constant": "C_w",
        "direction": "smaller",
        "stated": 2.0,
        "proof_sharp": 1.0001,
        "observed": 0.75,
        "observed_on": {"cases": 8, "seed": 0, "horizon": 1.5, "relation": "≤"},
        "by_loss": {"exponential": {"blocked_by": "the last step"}},
    },
    {
        "statement": ID,
        "constant": "K",
        "direction": "smaller",
        "stated": 4.0,
        "proof_sharp": None,
        "observed": None,
        "observed_on": {"cases": 0, "seed": 0, "horizon": None, "relation": "in hypotheses only"},
        "by_loss": {},
    },
]
PARETO = [
    {
        "statement": ID,
        "loss": "exponential",
        "constants": ["C_w", "c_T"],
        "pareto": [{"C_w": 1.0, "c_T": 3.0}, {"C_w": 2.0, "c_T": 2.0}],
    }
]


def test_constants(run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def constants(statements, **options):
        seen.update(options, ids=[s.id for s in statements])
        return PARETO if options["joint"] else ROWS

    monkeypatch.setattr("proofs_checks.api.constants", constants)
    code, out, _ = run("constants", ID, "--cases", "8", "--seed", "2", "--json")
    assert code == 0 and json.loads(out) == ROWS
    assert (seen["ids"], seen["cases"], seen["seed"], seen["joint"]) == ([ID], 8, 2, False)
    code, out, _ = run("constants", ID)
    first, second = (line for line in out.splitlines() if "smaller" in line)
    assert code == 0 and ID in out
    for cell in ("C_w", "1", "≤ 0.75", "8 cases, t to 1.5", "the last"):
        assert cell in first
    assert "K" in second and second.count(" - ") == 2
    code, out, _ = run("constants", ID, "--joint")
    assert code == 0 and "(C_w, c_T)" in out and "(1, 3)  (2, 2)" in out


@dataclass
class Profile:
    """A profile with the fields that the command prints."""

    written: list[Path] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        part = {
            "part": "norms",
            "time": 0.5,
            "neuron": 3,
            "log_measured": -2000.0,
            "log_stated": 0.0,
            "steps": [
                {"step": "growth", "label": "2nX", "factor": 3.25, "log_factor": 1.1786549},
                {"step": "closed form", "label": "", "factor": None, "log_factor": 1998.8213451},
            ],
            "total": None,
        }
        head = {"statement": ID, "case": "abc", "data": "digits", "loss": "exponential"}
        return head | {"parts": [part]}

    def figure(self, path: Path) -> None:
        self.written.append(path)


def test_profile(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = Profile()
    monkeypatch.setattr("proofs_checks.api.profile", lambda *_, **__: given)
    code, out, _ = run("profile", ID, "-o", tmp_path / "p.png")
    assert code == 0
    for cell in ("growth", "3.25", "1e+868", "1e+869", "neuron 3 at t = 0.5", "\u2588"):
        assert cell in out
    assert given.written == [tmp_path / "p.png"]
    code, out, _ = run("profile", ID, "--json")
    assert code == 0 and json.loads(out) == given.to_json()


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0.123456, "0.1235"), ("1.3e-768", "1.3e-768"), (3, "3")]
)
def test_numbers(value: object, shown: str) -> None:
    assert render.number(value) == shown
