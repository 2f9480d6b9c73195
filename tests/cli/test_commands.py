"""The commands on real statements: JSON contract, exit codes, files, determinism."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import lemmata
from lemmata.cli import main

TWO = ("early-alignment/norm-bound", "early-alignment/phase-length")
KEYS = {
    "id",
    "kind",
    "source",
    "derivation",
    "constants",
    "counts",
    "rigor",
    "tightness",
    "error",
    "seconds",
    "verdicts",
}
VERDICT_KEYS = {
    "case",
    "status",
    "rigor",
    "tightness",
    "lhs",
    "rhs",
    "error",
    "horizon",
    "domain_covered",
    "reason",
}


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], Path]:
    """Exit code, JSON and output directory of one small run."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("verified") / "out"
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as exit_:
        main(["verify", *TWO, "--cases", "4", "--seed", "3", "--json", "-o", str(folder)])
    return int(exit_.value.code or 0), json.loads(out.getvalue()), folder


def test_verify_json_contract(verified) -> None:
    code, report, _ = verified
    assert code == 0
    assert report["lemmata"] == lemmata.__version__ and report["seed"] == 3
    assert tuple(statement["id"] for statement in report["statements"]) == TWO
    for statement in report["statements"]:
        assert set(statement) >= KEYS
        assert statement["derivation"] == "verified"
        assert set(statement["counts"]) == {"holds", "violated", "vacuous", "undecided"}
        assert sum(statement["counts"].values()) == len(statement["verdicts"]) == 4
        assert 0 < statement["tightness"] <= 1
        for verdict in statement["verdicts"]:
            assert set(verdict) >= VERDICT_KEYS
            assert re.fullmatch("[0-9a-f]{16,64}", verdict["case"])


def test_verify_writes_verdicts_cases_and_a_figure_each(verified) -> None:
    _, report, folder = verified
    written = json.loads((folder / "verdicts.json").read_text())
    assert [s["counts"] for s in written["statements"]] == [
        s["counts"] for s in report["statements"]
    ]
    hashes = {v["case"] for s in report["statements"] for v in s["verdicts"]}
    cases = [path for path in folder.rglob("*.json") if path.name != "verdicts.json"]
    assert {name for name in hashes if any(name in path.name for path in cases)} == hashes
    assert len([*folder.rglob("*.png"), *folder.rglob("*.svg"), *folder.rglob("*.pdf")]) >= len(TWO)
    assert [path for path in folder.parent.iterdir() if path != folder] == []


def test_replay_of_a_saved_case_is_identical(verified, run) -> None:
    _, report, folder = verified
    name = report["statements"][0]["verdicts"][0]["case"]
    (casefile,) = (path for path in folder.rglob("*.json") if name in path.name)
    code, out, err = run("replay", casefile, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["identical"] is True
    code, out, _ = run("replay", casefile)
    assert code == 0 and TWO[0] in out and "no" not in out.split()


def test_replay_notices_a_changed_verdict(verified, run, tmp_path: Path) -> None:
    _, report, folder = verified
    name = report["statements"][0]["verdicts"][0]["case"]
    (casefile,) = (path for path in folder.rglob("*.json") if name in path.name)
    saved = json.loads(casefile.read_text())
    saved["verdicts"][TWO[0]]["tightness"] *= 1 + 1e-15
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(saved))
    code, out, _ = run("replay", changed)
    assert code == 1 and "no" in out.split()


def test_verify_is_deterministic(verified, run) -> None:
    _, report, _ = verified
    code, out, err = run("verify", *TWO, "--cases", "4", "--seed", "3", "--json")
    assert (code, err) == (0, "")
    again = json.loads(out)
    for first, second in zip(report["statements"], again["statements"], strict=True):
        assert first["verdicts"] == second["verdicts"]


def test_verify_text_names_every_statement(run) -> None:
    code, out, _ = run("verify", TWO[0], "--cases", "2")
    assert code == 0
    assert TWO[0] in out and "verified" in out and "2 cases, seed 0" in out


def test_real_data_vacuous_needs_permission(run, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    # Two points of different classes in nearly one direction: not orthogonally separable.
    path.write_text("a,b,kind\n1,0.1,x\n1,0.2,y\n-0.5,1,y\n")
    options = ("early-alignment/alignment-time", "--data", path, "--label", "kind", "--cases", "2")
    code, out, err = run("verify", *options, "--json")
    assert (code, err) == (3, "")
    (statement,) = json.loads(out)["statements"]
    assert statement["counts"]["vacuous"] == 2
    assert all("cosine" in verdict["reason"] for verdict in statement["verdicts"])
    assert run("verify", *options, "--allow-vacuous").code == 0


def test_list(run) -> None:
    code, out, _ = run("list")
    assert code == 0 and TWO[0] in out
    code, out, _ = run("list", "--json")
    rows = json.loads(out)
    assert code == 0 and {row["id"] for row in rows} >= set(TWO)
    assert all(set(row) == {"id", "kind", "title", "source", "derivation"} for row in rows)


def test_show(run) -> None:
    code, out, _ = run("show", TWO[0])
    assert code == 0
    for words in (
        "Hypotheses",
        "Constants",
        "LaTeX",
        "C_w = 2",
        "source: Min",
        "verified,",
        r"\le",
    ):
        assert words in out


def test_version(run) -> None:
    assert run("--version") == (0, lemmata.__version__ + "\n", "")
