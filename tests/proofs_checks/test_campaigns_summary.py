"""What a campaign says about its results: numbers against a brute-force count, figures, the command."""

from __future__ import annotations

import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer

from lemmata.cli import campaign as command
from proofs_checks.campaigns.figures import draw
from proofs_checks.campaigns.plan import plan
from proofs_checks.campaigns.run import Interrupted, campaign
from proofs_checks.campaigns.spec import parse
from proofs_checks.campaigns.store import Store, locked
from proofs_checks.campaigns.summary import STATUSES, Cell, Summary, summarise
from proofs_checks.cases import default
from theory.errors import LemmataError

SPEC = """
[campaign]
target = ["margins/perceptron-mistakes", "margins/parity-f1"]
replicates = 3
chunk = 7
[grid]
d = [1, 2, 3]
"""
PLANTED = {
    "campaign": {"target": "margins/telescoping", "replicates": 40, "chunk": 50},
    "grid": {"d": [1, 2, 5], "size": [1.0, 2.0]},
    "random": {"samples": 4, "eta": {"low": 0.01, "high": 1.0, "scale": "log"}},
}


def planted(folder: Path, *, leave_out: frozenset[int] = frozenset()) -> list[dict[str, Any]]:
    """Results that nobody measured: statuses and ratios by a rule, so that every count is known; returns the rows."""
    ready = plan(parse(PLANTED, Path("planted.toml")))
    rows = []
    with locked(folder):
        store = Store(folder, ready, "0")
        for unit in set(range(ready.units)) - leave_out:
            own = []
            for point, replicate, seed in ready.job(unit)["items"]:
                values = ready.point(point)
                status = STATUSES[(7 * point + replicate) % 4] if values["d"] < 5 else "vacuous"
                deciding = status in ("holds", "violated")
                log = (replicate - 30.0) / (1 + point % 3) * (1 if status == "holds" else -1)
                own.append(
                    {
                        "unit": unit,
                        "target": "margins/telescoping",
                        "point": point,
                        "replicate": replicate,
                        "seed": seed,
                        "case_hash": f"{point}-{replicate}",
                        "status": status,
                        "rigor": "numerical",
                        "tightness": math.exp(log) if deciding else None,
                        "log_tightness": log if deciding else None,
                        "error": None,
                        "reason": "" if status == "holds" else f"because of {point / 7:.3g}",
                        "seconds": 0.5,
                        "case": None,
                    }
                )
            store.write(unit, own)
            rows += [row | ready.point(row["point"]) for row in own]
    return rows


def brute(rows: list[dict[str, Any]]) -> dict[str, Any]:
    logs = sorted(r["log_tightness"] for r in rows if r["log_tightness"] is not None)
    counts = Counter(r["status"] for r in rows)
    found: dict[str, Any] = {"cases": len(rows), "deciding": len(logs)}
    found |= {s: counts[s] for s in STATUSES}
    pick = {
        q: logs[max(math.ceil(q * len(logs)) - 1, 0)] if logs else None for q in (0.5, 0.9, 1.0)
    }
    found["tightness"] = {f"{q:g}": None if v is None else math.exp(v) for q, v in pick.items()}
    return found


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return {k: found[k] for k in wanted} == wanted


def test_numbers_are_those_of_a_brute_force_count(tmp_path: Path) -> None:
    rows = planted(tmp_path)
    results = summarise(tmp_path)
    assert results.complete and results.rows == len(rows) == 3 * 2 * 4 * 40
    data = results.to_json()["targets"]["margins/telescoping"]
    assert same(data, brute(rows)) and data["seconds"] == pytest.approx(0.5 * len(rows))
    for axis in ("d", "size"):
        for value in {r[axis] for r in rows}:
            own = [r for r in rows if r[axis] == value]
            label = f"{value:.4g}" if isinstance(value, float) else str(value)
            assert same(data["axes"][axis][label], brute(own)), (axis, value)
    bins = results.axes["eta"]
    for k, label in enumerate(bins.labels):
        own = [r for r in rows if bins.edges[k] <= r["eta"] < bins.edges[k + 1]]
        assert (label in data["axes"]["eta"]) == bool(own)
        assert not own or same(data["axes"]["eta"][label], brute(own))
    target = results.targets["margins/telescoping"]
    assert (results.x, results.y) == ("eta", "d")
    for (i, j), cell in target.over.items():
        own = [r for r in rows if bins.index(r["eta"]) == i and r["d"] == (1, 2, 5)[j]]
        assert same(cell.to_json(), brute(own))
    deciding = [r for r in rows if r["log_tightness"] is not None]
    worst = sorted(
        deciding,
        key=lambda r: (
            -(
                math.inf
                if r["status"] == "violated" and r["log_tightness"] < 0
                else r["log_tightness"]
            )
        ),
    )
    assert [w["status"] for w in data["worst"]] == [r["status"] for r in worst[:5]]
    assert data["reasons"][0]["reason"] == "because of …"
    assert results.exit_code == 1


def test_vacuous_verdicts_are_never_averaged_as_passed(tmp_path: Path) -> None:
    planted(tmp_path)
    data = summarise(tmp_path).to_json()["targets"]["margins/telescoping"]["axes"]["d"]["5"]
    assert data["deciding"] == 0 and data["vacuous"] == data["cases"] == 320
    assert data["tightness"] == {"0.5": None, "0.9": None, "1": None}


def test_exit_codes() -> None:
    def code(counts: dict[str, int], rows: int = 10) -> int:
        from proofs_checks.campaigns.summary import TargetSummary

        target = TargetSummary("t", Cell())
        target.all.counts.update(counts)
        return Summary(Path(), {"rows": 10}, {}, "", "", rows, {"t": target}).exit_code

    assert code({"holds": 9, "vacuous": 1}) == 0
    assert code({"holds": 9, "violated": 1}) == 1
    assert code({"holds": 8, "violated": 1, "undecided": 1}) == 1
    assert code({"holds": 9, "undecided": 1}) == 3
    assert code({"vacuous": 10}) == 3  # nothing was checked
    assert code({"holds": 5}, rows=5) == 3  # unfinished


def test_an_unfinished_campaign_is_summarised_as_such(tmp_path: Path) -> None:
    rows = planted(tmp_path, leave_out=frozenset({0, 3}))
    data = summarise(tmp_path).to_json()
    assert not data["complete"] and data["rows"] == len(rows) < data["planned"] == 960


@pytest.mark.parametrize(
    "change",
    [
        {"axes": {"d": "int"}, "identity": {}},
        {"axes": {"d": "complex"}},
        {"identity": {"grid": 3, "random": {}, "targets": []}},
        {"identity": {"grid": {}, "random": {}, "targets": [1]}, "axes": {}},
        {"rows": "many"},
    ],
)
def test_a_malformed_description_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    planted(tmp_path)
    head = tmp_path / "campaign.json"
    head.write_text(json.dumps(json.loads(head.read_text()) | change))
    with pytest.raises(LemmataError, match="malformed; restore it"):
        summarise(tmp_path)


def test_figures_are_drawn_over_the_axes_that_are_asked_for(tmp_path: Path) -> None:
    planted(tmp_path)
    results = summarise(tmp_path)
    files = draw(results, tmp_path / "figures")
    names = {f.name for f in files}
    assert names == {"margins-telescoping-violated.png", "margins-telescoping-tightness.png"}
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in files)
    other = summarise(tmp_path, x="d", y="size")
    assert (other.x, other.y) == ("d", "size")
    (one,) = draw(other, tmp_path / "figures", value="vacuous")
    assert one.name == "margins-telescoping-vacuous.png"
    with pytest.raises(LemmataError, match="use one of holds"):
        draw(results, tmp_path / "figures", value="nice")
    with pytest.raises(LemmataError, match="no axis of this campaign; it has: d, size, eta"):
        summarise(tmp_path, x="n")
    with pytest.raises(LemmataError, match="two axes"):
        summarise(tmp_path, x="d", y="d")


def test_colours_keep_extreme_and_exact_ratios_apart() -> None:
    import numpy as np

    from proofs_checks.campaigns.figures import _colours

    logs = np.array([[-1800.0, -3.0], [-math.inf, math.nan]])
    field, label, scale = _colours(logs, "tightness")
    assert "log" in label and scale["vmin"] == pytest.approx(-1800 / math.log(10))
    assert field[0, 0] == field[1, 0] and math.isnan(field[1, 1])
    field, label, scale = _colours(np.array([[math.log(0.5), math.log(2.0)]]), "tightness")
    assert field.tolist() == [pytest.approx([0.5, 2.0])] and scale == {"vmin": 0.0, "vmax": 2.0}


# -- the command ------------------------------------------------------------------------------------------------------
@pytest.fixture
def lemmata(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """``lemmata("campaign", ...)`` -> exit code, standard output and error; processes are threads."""
    app = typer.Typer()
    app.command()(command.campaign)
    monkeypatch.setenv("COLUMNS", "140")

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            app([str(a) for a in arguments], standalone_mode=True)
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from proofs_checks.campaigns import run

    def inline(spec: Any, out: Any, *, jobs: Any, scheduler: Any, start: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return campaign(spec, out, executor=pool, start=start)

    monkeypatch.setattr(run, "campaign", inline)


def test_the_command_runs_and_summarises(
    lemmata: Callable[..., tuple[int, str, str]], tmp_path: Path, threads: None
) -> None:
    spec, out = tmp_path / "spec.toml", tmp_path / "out"
    spec.write_text(SPEC)
    code, text, error = lemmata(spec, "-o", out)
    assert "margins/perceptron-mistakes" in text and "--summary" in text and not error
    code, text, _ = lemmata(spec, "-o", out, "--json")
    data = json.loads(text)
    assert data["found"] == data["units"] and data["written"] == 0 and data["rows"] == 18
    assert code == 0 and data["summary"]["complete"]
    code, text, _ = lemmata(out, "--summary")
    assert code == 0 and "margins/parity-f1 along d" in text and "tightest cases" in text
    written = json.loads(lemmata(out, "--summary", "--json")[1])
    assert all(Path(f).is_file() for f in (*written["figures"], *written["cases"]))
    from proofs_checks.api import replay

    assert written["cases"] and all(replay(f).identical for f in written["cases"])


def test_the_command_refuses_options_that_do_not_fit(
    lemmata: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    for arguments, words in (
        (["spec.toml"], "-o DIR"),
        (["spec.toml", "-o", "x", "--x", "d"], "add --summary"),
        ([tmp_path, "--summary", "-o", "x"], "leave -o"),
        ([tmp_path, "--summary"], "no campaign.json"),
        ([tmp_path, "-o", "x"], "is a folder"),
    ):
        with pytest.raises(LemmataError, match=words):
            lemmata(*arguments)


def test_ctrl_c_says_how_to_go_on(
    lemmata: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proofs_checks.campaigns import run

    def stopped(*_: object, **__: object) -> None:
        raise Interrupted(3, 8)

    monkeypatch.setattr(run, "campaign", stopped)
    code, out, error = lemmata("spec.toml", "-o", tmp_path)
    assert (code, out) == (130, "")
    assert "3 of 8 units are written; run the same command again" in error


def test_progress_shows_the_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    import time

    with command._progress() as start:
        advance = start(100, 40)
        for _ in range(3):
            advance(10)
            time.sleep(0.15)
    shown = screen.getvalue()
    assert "70/100" in shown and "/s" in shown and "left" in shown


def test_default_cases_and_generated_ones_are_of_one_kind() -> None:
    """A campaign without axes is measured on networks like those of `lemmata verify`."""
    from proofs_checks.campaigns import work

    found = plan(parse({"campaign": {"target": "early-alignment/norm-bound"}}, Path("x.toml")))
    (row,) = work.measure(found.job(0))
    from proofs_checks.api import check
    from proofs_checks.case import Case

    saved = json.loads(row["case"])["case"]
    case = Case.from_json(saved)
    assert case.group()[3:] == default(count=1)[0].group()[3:]
    verdict = check("early-alignment/norm-bound", case)
    assert verdict.case == row["case_hash"]
    assert verdict.log_tightness == row["log_tightness"]


def test_parts_are_plain_parquet(tmp_path: Path) -> None:
    rows = planted(tmp_path)
    import pyarrow.dataset as ds

    table = ds.dataset(tmp_path / "parts", format="parquet").to_table()
    assert table.num_rows == len(rows) and {"d", "size", "eta"} <= set(table.column_names)
    assert pq.read_schema(tmp_path / "parts" / "part-00000000.parquet").field("d").type == "int64"
