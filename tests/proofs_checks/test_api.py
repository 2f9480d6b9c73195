"""The front of the judging room: reports and exit codes, replay, statements of users, bad arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofs_checks import api
from proofs_checks.case import Case
from proofs_checks.data import shipped
from proofs_checks.report import Report, StatementReport
from proofs_checks.verdict import Rigor, Status, Verdict
from theory import early_alignment as ea
from theory.errors import LemmataError
from theory.statement import Statement

CASE = Case.create(
    [[1.0, 0.2], [-0.3, -1.0]],
    [1.0, -1.0],
    W0=[[0.5, 0.3], [-0.2, -0.6]],
    signs=[1.0, -1.0],
    eps=1e-3,
)


# -- reports --------------------------------------------------------------------------------------------------------
def verdict(status: Status, log_tightness: float | None = None, **changes: Any) -> Verdict:
    base = Verdict(
        "toy/one",
        "0" * 16,
        status,
        Rigor.NUMERICAL,
        log_tightness=log_tightness,
        reason=f"because {status}",
    )
    return replace(base, **changes)


def row(
    *verdicts: Verdict, error: str = "", statement: Statement = ea.NORM_BOUND
) -> StatementReport:
    return StatementReport(statement, verdicts, "verified" if not error else "stated", error, 0.5)


HOLDS, VIOLATED, VACUOUS, UNDECIDED = (
    verdict(s, -1.0) for s in (Status.HOLDS, Status.VIOLATED, Status.VACUOUS, Status.UNDECIDED)
)


@pytest.mark.parametrize(
    "rows,code,allowing",
    [
        ([row(HOLDS)], 0, 0),
        ([row(HOLDS, VACUOUS)], 0, 0),
        ([row(HOLDS), row(HOLDS)], 0, 0),
        ([row(VIOLATED)], 1, 1),
        ([row(HOLDS), row(HOLDS, VIOLATED, UNDECIDED)], 1, 1),
        ([row(VIOLATED), row(VACUOUS)], 1, 1),
        ([row(VACUOUS)], 3, 0),
        ([row(HOLDS), row(VACUOUS, VACUOUS)], 3, 0),
        ([row()], 3, 0),
        ([row(UNDECIDED)], 3, 3),
        ([row(HOLDS, UNDECIDED)], 3, 3),
        ([row(VACUOUS), row(HOLDS, UNDECIDED)], 3, 3),
        ([row(HOLDS, error="step 3 fails")], 3, 3),
        ([row(VIOLATED, error="step 3 fails")], 1, 1),
    ],
)
def test_exit_codes(rows: list[StatementReport], code: int, allowing: int) -> None:
    report = Report("1", 0, tuple(rows), ())
    assert report.exit_code() == code
    assert report.exit_code(allow_vacuous=True) == allowing


def test_summary_of_a_statement() -> None:
    found = row(
        verdict(Status.HOLDS, -2.0, tightness=0.1353, error=1e-12),
        verdict(Status.HOLDS, -0.5, tightness=0.6065, error=1e-13),
        verdict(Status.UNDECIDED, 3.0, tightness=20.0, error=5.0),
        verdict(Status.VACUOUS),
    )
    assert found.counts == {"holds": 2, "violated": 0, "vacuous": 1, "undecided": 1}
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["tightness"] == 0.6065 and data["error"] == 1e-12 and data["rigor"] == "numerical"
    assert data["constants"]["C_w"] == 2 and data["constants"]["T"].startswith("log(")
    assert len(data["verdicts"]) == 4


def test_a_ratio_of_one_is_the_tightest() -> None:
    """log 1 = 0 is a number, not a missing one."""
    touching = verdict(Status.HOLDS, 0.0, tightness=1.0)
    assert row(verdict(Status.HOLDS, -3.0, tightness=0.05), touching).tightest is touching


def test_the_weakest_rigour_is_reported() -> None:
    found = row(
        verdict(Status.HOLDS, -1.0, rigor=Rigor.PROVED),
        verdict(Status.HOLDS, -1.0, rigor=Rigor.STATISTICAL),
    )
    assert found.rigor is Rigor.STATISTICAL
    assert (
        row(verdict(Status.VACUOUS)).rigor is None
        and row(verdict(Status.VACUOUS)).to_json()["tightness"] is None
    )


def test_complaints_are_distinct_and_limited() -> None:
    many = [verdict(Status.UNDECIDED, reason=f"reason {k}") for k in range(8)] + [
        verdict(Status.UNDECIDED, reason="reason 0")
    ]
    lines = Report("1", 0, (row(*many),), ()).complaints()
    assert len(lines) == 6 and lines[-1] == "... and 3 more"
    assert "reason 0" in lines[0] and "undecided" in lines[0] and "0" * 16 in lines[0]
    # vacuous cases matter only where nothing decides
    assert Report("1", 0, (row(HOLDS, VACUOUS),), ()).complaints() == []
    assert len(Report("1", 0, (row(VACUOUS),), ()).complaints()) == 1
    assert "step 3" in Report("1", 0, (row(HOLDS, error="step 3 fails"),), ()).complaints()[0]


# -- verify ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"statements": []}, "no statement to verify; see `lemmata list`"),
        ({"cases": 0}, "at least one case is needed"),
        ({"cases": -3}, "at least one case is needed"),
        ({"seed": -1}, "a seed is a nonnegative integer"),
    ],
)
def test_bad_arguments_of_verify(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        api.verify(**{"statements": [ea.NORM_BOUND], **arguments})


def test_output_that_is_a_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(LemmataError, match="exists and is no directory"):
        api.verify([ea.NORM_BOUND], cases=1, out=tmp_path / "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_the_number_of_cases_is_known_beforehand() -> None:
    seen: list[int] = []
    report = api.verify([ea.PHASE_LENGTH], cases=7, progress=seen.append)
    assert sum(seen) == len(report.cases) == api.case_count([ea.PHASE_LENGTH], None, 7) == 7
    assert report.exit_code() == 0 and report.statements[0].derivation == "verified"
    assert api.case_count([ea.PHASE_LENGTH], None, None) >= 384
    assert api.case_count([ea.PHASE_LENGTH], shipped(), None) >= 64


def test_verify_is_deterministic() -> None:
    def strip(report: Report) -> list[Any]:
        return [{k: v for k, v in s.to_json().items() if k != "seconds"} for s in report.statements]

    first, again, other = (api.verify([ea.NORM_BOUND], cases=6, seed=seed) for seed in (5, 5, 6))
    assert strip(first) == strip(again) != strip(other)


def test_a_derivation_that_fails_is_said() -> None:
    """A statement whose constants are not those of its derivation cannot pass for derived."""
    broken = replace(
        ea.PHASE_LENGTH, id="toy/broken", derivations={"exponential": "theory.no_such:thing"}
    )
    with pytest.raises(
        LemmataError,
        match=r"derivation 'theory.no_such:thing' cannot be loaded: .*; give 'module:function'",
    ):
        api.verify([broken], cases=1)


# -- statements of users --------------------------------------------------------------------------------------------
USER = '''
"""The loss never exceeds twice the number of points: false as soon as the outputs have the wrong sign and are large."""
from theory.quantity import amax, quantity, var
from theory.statement import Domain, Hypothesis, Kind, Part, Source, Statement

n, eps, h = var("n"), var("eps"), var("h")
MINE = Statement(
    id="mine/loss", title="The loss stays below 2 n", kind=Kind.INEQUALITY, source=Source("notes", "1"),
    hypotheses=(
        Hypothesis("small", h * eps**2 * var("W_max")**2 * var("X_max") <= 1, "small outputs", "take a smaller eps"),
    ),
    parts=(Part("loss", var("loss") <= FACTOR * n, Domain(quantity(0), quantity(3), "for t <= 3")),),
)
'''


@pytest.fixture
def user(tmp_path: Path) -> Callable[[str], str]:
    """``user("2")``: FILE.py::MINE with the factor 2."""

    def write(factor: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(USER.replace("FACTOR", factor), encoding="utf-8")
        return f"{path}::MINE"

    return write


def test_a_user_checks_a_statement_of_their_own(user: Callable[[str], str]) -> None:
    good = api.check(user("2"), CASE)
    assert good.status is Status.HOLDS and good.statement == "mine/loss"
    assert (
        good.tightness == pytest.approx(0.5, rel=1e-3)
        and good.horizon == (0.0, 3.0)
        and good.domain_covered
    )
    bad = api.check(user("quantity(1) / 2"), CASE)
    assert bad.status is Status.VIOLATED
    assert bad.tightness == pytest.approx(2.0, rel=1e-3)
    vacuous = api.check(user("2"), CASE.replace(eps=100.0))
    assert vacuous.status is Status.VACUOUS and "hypothesis small fails" in vacuous.reason


def test_a_user_verifies_a_statement_of_their_own(
    user: Callable[[str], str], tmp_path: Path
) -> None:
    # two cases: both on separable data, where trajectories exist for as long as one likes
    report = api.verify([api.find(user("2"))], cases=2, out=tmp_path / "out")
    assert report.exit_code() == 0
    assert report.statements[0].derivation == "stated"
    assert (
        json.loads((tmp_path / "out" / "verdicts.json").read_text(encoding="utf-8"))["statements"][
            0
        ]["id"]
        == "mine/loss"
    )


# -- replay ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def casefile(tmp_path: Path) -> Path:
    """A case with its verdicts, as `verify` writes it."""
    statements = [ea.NORM_BOUND, ea.ALIGNMENT_TIME, ea.PHASE_LENGTH]
    found = {s.id: r[0] for s, r in zip(statements, api.verdicts(statements, [CASE]), strict=True)}
    path = tmp_path / "case.json"
    path.write_text(json.dumps(api.casefile(CASE, found)), encoding="utf-8")
    return path


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    edit(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_replay_gives_the_identical_verdicts(casefile: Path) -> None:
    report = api.replay(casefile)
    assert report.identical and report.saved == report.now and len(report.now) == 3
    assert report.case.hash == CASE.hash
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["identical"] is True


def test_every_case_of_a_run_replays(tmp_path: Path) -> None:
    """Measured among others, replayed alone: the same bits."""
    stated = [replace(s, derivations={}) for s in ea.STATEMENTS[:3]]  # no derivation to verify
    api.verify(stated, cases=9, seed=2, out=tmp_path)
    files = sorted((tmp_path / "cases").iterdir())
    assert len(files) == 9
    assert [api.replay(path).identical for path in files] == 9 * [True]


@pytest.mark.parametrize(
    "field,value",
    [
        ("status", "violated"),
        ("tightness", 0.123),
        ("horizon", [0.0, 1.0]),
        ("reason", "none"),
        ("at", None),
    ],
)
def test_replay_notices_a_changed_verdict(casefile: Path, field: str, value: Any) -> None:
    change(casefile, lambda data: data["verdicts"][ea.NORM_BOUND.id].update({field: value}))
    report = api.replay(casefile)
    assert not report.identical
    assert report.saved[ea.NORM_BOUND.id][field] == value != report.now[ea.NORM_BOUND.id][field]


def test_replay_notices_a_changed_case(casefile: Path) -> None:
    change(casefile, lambda data: data["case"].update(loss="logistic2"))
    assert not api.replay(casefile).identical


@pytest.mark.parametrize(
    "edit,message",
    [
        (lambda d: d.update(format="other"), "is no case file; expected an object with format"),
        (lambda d: d.update(verdicts={}), "has no verdicts to compare with"),
        (lambda d: d.update(verdicts=[1]), "has no verdicts to compare with"),
        (lambda d: d.pop("case"), "not a case: expected an object"),
        (lambda d: d["case"].pop("X"), "malformed case: KeyError"),
        (
            lambda d: d["verdicts"].update({"early-alignment/norm-bond": {}}),
            "did you mean early-alignment/norm-bound",
        ),
    ],
)
def test_a_bad_casefile_is_refused(
    casefile: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    change(casefile, edit)
    with pytest.raises(LemmataError, match=message):
        api.replay(casefile)


def test_a_file_that_is_no_casefile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LemmataError, match="cannot be read: No such file"):
        api.replay(tmp_path / "none.json")
    with pytest.raises(LemmataError, match="cannot be read"):
        api.replay(tmp_path)
    (tmp_path / "text.json").write_text("hello", encoding="utf-8")
    with pytest.raises(LemmataError, match="is no JSON"):
        api.replay(tmp_path / "text.json")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(LemmataError, match="is no case file"):
        api.replay(tmp_path / "list.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LemmataError, match="is no JSON"):
        api.replay(tmp_path / "bytes.json")
