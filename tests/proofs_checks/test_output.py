"""What `verify -o DIR` writes: whole files, certificates that the kernel accepts, figures that are images."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from proofs_checks import api
from proofs_checks.audit import audit_file
from proofs_checks.case import Case
from proofs_checks.files import replace_with, write_json
from proofs_checks.report import Report
from theory import early_alignment as ea
from theory.errors import LemmataError

PNG = b"\x89PNG\r\n\x1a\n"
STATED = [replace(s, derivations={}) for s in (ea.DIRECTION_BOUND, ea.ALIGNMENT_TIME)]
STATEMENTS = [ea.NORM_BOUND, *STATED]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("run") / "deep" / "out"
    return api.verify(STATEMENTS, cases=6, seed=1, out=out), out


def test_verdicts_are_those_of_the_report(written: tuple[Report, Path]) -> None:
    report, out = written
    assert json.loads((out / "verdicts.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(report.to_json())
    )


def test_every_case_is_written_with_all_its_verdicts(written: tuple[Report, Path]) -> None:
    report, out = written
    files = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in (out / "cases").iterdir()}
    assert set(files) == {c.hash for c in report.cases} and len(files) == 6
    for name, data in files.items():
        assert Case.from_json(data["case"]).hash == name
        assert set(data["verdicts"]) == {s.id for s in STATEMENTS}
        for row in report.statements:
            (own,) = [v for v in row.verdicts if v.case == name]
            assert data["verdicts"][row.statement.id] == json.loads(json.dumps(own.to_json()))


def test_certificates_are_accepted_by_the_kernel(written: tuple[Report, Path]) -> None:
    _, out = written
    files = sorted((out / "certificates" / ea.NORM_BOUND.id).glob("*.json"))
    assert {p.name.split("-")[0] for p in files} == set(ea.NORM_BOUND.derivations)
    for path in files:
        result = audit_file(path)
        assert result.accepted, (path.name, result.reason)
    # only what is derived has certificates
    assert [p.name for p in (out / "certificates").rglob("*") if p.is_dir()] == [
        "early-alignment",
        "norm-bound",
    ]


def test_there_is_a_figure_for_every_statement(written: tuple[Report, Path]) -> None:
    _, out = written
    names = {p.name for p in (out / "figures").iterdir()}
    assert names >= {s.id.replace("/", "-") + ".png" for s in STATEMENTS}
    for path in (out / "figures").iterdir():
        content = path.read_bytes()
        assert content.startswith(PNG) and len(content) > 5000


def test_nothing_temporary_is_left(written: tuple[Report, Path]) -> None:
    _, out = written
    assert {p.name for p in out.iterdir()} == {"verdicts.json", "cases", "certificates", "figures"}
    assert [p for p in out.rglob(".*")] == []


# -- files ----------------------------------------------------------------------------------------------------------
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})

    def fail(temporary: Path) -> None:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        replace_with(path, fail)
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_numbers_that_are_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LemmataError, match=r"cannot be written: .*; choose another place"):
        write_json(tmp_path / "file" / "a.json", {})


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640
