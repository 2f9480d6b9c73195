"""The commands on the topic linear-networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TOPIC = "linear-networks"
IDS = [f"{TOPIC}/imbalance-{name}" for name in ("flow", "flow-relu", "descent")]


def test_list_and_show(run) -> None:  # type: ignore[no-untyped-def]
    listed = {row["id"]: row for row in json.loads(run("list", "--json").out)}
    assert all(
        listed[id]["derivation"] == "derived" and listed[id]["kind"] == "equality" for id in IDS
    )
    for id in IDS:
        page = run("show", id)
        assert page.code == 0
        assert page.out.count("verified, ") == 1  # one chain serves every loss
        assert "does not verify" not in page.out
    descent = run("show", IDS[2]).out
    assert "S + max_j max_i |D_next,ji - D_ji - η²·(P_ji - Q_ji)| = S   for every step" in descent
    assert "0 < R_0" in descent and "0 < R_0" in run("show", IDS[0]).out
    assert "1/1000000 < moved" in run("show", IDS[1]).out


def test_verify_writes_what_replay_reads(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    done = run("verify", TOPIC, "--cases", 2, "--seed", 5, "--json", "-o", out)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert [s["id"] for s in report["statements"]] == IDS
    for s in report["statements"]:
        assert s["counts"] == {"holds": 2, "violated": 0, "vacuous": 0, "undecided": 0}
        assert s["constants"] and s["derivation"] == "verified"  # the definitions
    again = run("verify", TOPIC, "--cases", 2, "--seed", 5, "--json")
    for a, b in zip(report["statements"], json.loads(again.out)["statements"], strict=True):
        assert a["verdicts"] == b["verdicts"]
    for path in (out / "cases").iterdir():
        assert run("replay", path).code == 0


def test_a_planted_law_exits_with_1(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from theory import linear_networks as ln\n"
        "from theory.quantity import equals\n"
        "(part,) = ln.IMBALANCE_DESCENT.parts\n"
        "CONSERVED = replace(ln.IMBALANCE_DESCENT, id='mine/conserved', derivations={}, parts=(\n"
        "    replace(part, relation=equals(ln.S + ln.largest(ln.D_next - ln.D), ln.S)),))\n",
        encoding="utf-8",
    )
    out = tmp_path / "out"
    done = run("verify", f"{path}::CONSERVED", "--cases", 3, "--json", "-o", out)
    assert done.code == 1
    (row,) = json.loads(done.out)["statements"]
    assert row["counts"]["violated"] == 3 and row["derivation"] == "stated"
    assert all("fails with lhs" in v["reason"] for v in row["verdicts"])
    witness = next((out / "cases").iterdir())
    refused = run("replay", witness)
    # a case file is data: the user names the file that is executed
    assert refused.code == 2 and f"--target {path}::CONSERVED" in refused.err
    assert run("replay", witness, "--target", f"{path}::CONSERVED").code == 0


@pytest.mark.parametrize("id", [*IDS, TOPIC])
def test_constants_say_that_there_are_none(run, id: str) -> None:  # type: ignore[no-untyped-def]
    found = run("constants", id)
    assert found.code == 2 and "no named constants in linear-networks/" in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize("id", IDS)
def test_profiles_say_that_nothing_is_lost(run, id: str) -> None:  # type: ignore[no-untyped-def]
    found = run("profile", id)
    assert found.code == 2 and "no step gives a factor away" in found.err


def test_data(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "points.csv"
    rows = ["a,b,kind", "1,0.5,x", "0.25,2,y", "-1,0.25,x", "0.5,1,y"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = run("verify", TOPIC, "--data", path, "--label", "kind", "--cases", 2, "--json")
    assert done.code == 0, done.err
    assert all(s["counts"]["holds"] == 2 for s in json.loads(done.out)["statements"])
    header = ",".join(f"c{k}" for k in range(40)) + ",kind"
    rows = [header] + [
        ",".join(str((k * r) % 7 + r) for k in range(40)) + f",{'xy'[r % 2]}" for r in range(4)
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    wide = run("verify", IDS[0], "--data", path, "--label", "kind")
    assert wide.code == 2 and "use fewer columns" in wide.err
