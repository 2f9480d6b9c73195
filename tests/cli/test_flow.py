"""``lemmata flow``: the report, its files, devices, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numerics
from proofs_checks.flow_ensemble import flow_ensemble
from theory.errors import LemmataError

SMALL = ("flow", "--reduction", "sum", "--width", "4", "--runs", "3", "--until", "0.2")


def report(run: Callable[..., Any], *more: str) -> dict[str, Any]:
    outcome = run(*SMALL, "--json", *more)
    assert outcome.code == 0, outcome
    return json.loads(outcome.out)


def test_the_report_agrees_with_the_integrator(run: Callable[..., Any], tmp_path: Path) -> None:
    answer = report(run, "-o", str(tmp_path / "out"))
    assert answer["status"] == {"ok": 3} and answer["reduction"] == "sum" and answer["weight"] == 1
    saved = np.load(tmp_path / "out" / "runs.npz")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == answer
    same = flow_ensemble(reduction="sum", h=4, runs=3, until=0.2)
    direct = numerics.integrate(same.problem, until=0.2)
    scale = np.exp2(saved["exponent"] - direct.exponent)[..., None]
    gap = np.sqrt(((saved["W"] * scale - direct.W) ** 2).sum(axis=2))
    assert (gap <= saved["radius"] * scale[..., 0] + direct.radius).all()
    assert answer["kinks"] == direct.kink_table.lane.size > 0
    largest = (direct.W**2).sum(axis=2) * np.exp2(2.0 * direct.exponent)
    at_end = np.log(largest.max()) + 2 * same.problem.log_eps[0]
    found = answer["quantities"]["max_weight_sq"]
    assert found["supremum"] >= at_end - found["error"]


def test_the_reduction_is_printed_and_scales_time(run: Callable[..., Any]) -> None:
    mean = json.loads(
        run(
            "flow", "--reduction", "mean", "--width", "4", "--runs", "3", "--until", "4", "--json"
        ).out
    )
    total = report(run)
    assert mean["weight"] == pytest.approx(1 / 20)
    a, b = (x["quantities"]["max_weight_sq"]["supremum"] for x in (mean, total))
    assert a == pytest.approx(b, abs=1e-9)
    assert (
        "mean, weight 0.05" in run("flow", "--reduction", "mean", "--runs", "2", "--width", "3").out
    )


def test_hidden_biases_add_a_coordinate(run: Callable[..., Any]) -> None:
    """Such data are not separable through the origin, and trajectories may slide."""
    answer = json.loads(run(*SMALL, "--json", "--bias").out)
    assert answer["d"] == 11 and answer["hidden_bias"] is True
    assert sum(answer["status"].values()) == 3


def test_without_a_device_the_fallback_is_visible(run: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    outcome = run(*SMALL, "--device", "cuda", "--json")
    assert outcome.code == 0 and json.loads(outcome.out)["device"] == "cpu"
    assert "CUDA" in outcome.err


def test_own_data_and_early_stops(run: Callable[..., Any], tmp_path: Path) -> None:
    """Points that are not separable: kinks face each other."""
    path = tmp_path / "points.csv"
    path.write_text("a,b,label\n1,0,1\n-0.5,1,1\n1,0.2,-1\n-1,0.3,-1\n0.1,-1,1\n")
    outcome = run(
        "flow", "--data", path, "--label", "label", "--reduction", "sum", "--until", "40",
        "--runs", "12", "--width", "6", "--eps", "0.1", "--json",
    )  # fmt: skip
    answer = json.loads(outcome.out)
    stopped = sum(k for name, k in answer["status"].items() if name != "ok")
    assert stopped > 0 and outcome.code == 3
    assert sum(answer["status"].values()) == 12
    assert set(answer["reasons"]) == set(answer["status"]) - {"ok"}
    assert all(len(words) > 20 for words in answer["reasons"].values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--reduction", "sum", "--until", "0"), "positive time"),
        (("--reduction", "sum", "--until", "nan"), "positive time"),
        (("--reduction", "sum", "--eps", "-1"), "positive number"),
        (("--reduction", "sum", "--eps", "3"), "give --until"),
        (("--reduction", "sum", "--rtol", "0"), "rtol"),
        (("--reduction", "sum", "--rtol", "-1"), "rtol"),
        (("--reduction", "sum", "--loss", "cross"), "unknown loss"),
        (("--reduction", "sum", "--device", "tpu"), "tpu"),
        (("--reduction", "max"), "max"),
        (("--reduction", "sum", "--runs", "1000000000"), "GB"),
        (("--reduction", "sum", "--until", "1", "--width", "1" + "0" * 25), "GB"),
        ((), "reduction"),
        (("--reduction", "sum", "--label", "y"), "--data"),
    ],
)
def test_bad_input(run: Callable[..., Any], arguments: tuple[str, ...], words: str) -> None:
    outcome = run("flow", *arguments)
    assert outcome.code == 2 and words in outcome.err and not outcome.out


def test_the_library_refuses_too() -> None:
    for options in (
        {"reduction": "total"},
        {"h": 0},
        {"runs": 0},
        {"seed": -1},
        {"eps": float("inf")},
    ):
        with pytest.raises(LemmataError):
            flow_ensemble(**({"reduction": "sum"} | options))
