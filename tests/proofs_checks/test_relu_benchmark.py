"""The benchmark of convex ReLU training: its tables, its judgement, and the record of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import convex_relu

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / convex_relu.FILE
FIRST = replace(convex_relu.SMALL[0], seconds=60.0)


@pytest.fixture(autouse=True)
def one_run(monkeypatch) -> None:
    monkeypatch.setattr(convex_relu, "RUNS", 1)


def test_the_first_instance_comes_out(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setattr(convex_relu, "SMALL", (FIRST,))
    assert convex_relu.main(["-o", str(tmp_path)]) == 0
    assert (tmp_path / convex_relu.FILE).read_text().strip() == capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"optimum": 1.899341383}, "optimum"),
        ({"patterns": 21}, "20 patterns, not 21"),
        ({"gap": 0.0}, "proved gap"),
        ({"ratio": 1e6}, "ratio"),
        ({"seconds": 0.0}, "certified in"),
    ],
)
def test_what_is_missed_makes_it_exit_with_1(monkeypatch, capsys, wrong, words) -> None:
    monkeypatch.setattr(convex_relu, "SMALL", (replace(FIRST, **wrong),))
    assert convex_relu.main([]) == 1
    assert words in capsys.readouterr().err


def test_a_peer_is_judged_by_what_its_answer_proves() -> None:
    ours = convex_relu.solve(FIRST, 1)
    assert convex_relu.judge(ours.found.p, ours.found.signs, ours) == pytest.approx(
        (0.0, 0.0), abs=1e-13
    )
    excess, gap = convex_relu.judge(1.001 * ours.found.p, ours.found.signs, ours)
    assert 0 < excess < gap < 1e-2


def test_the_data_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    raw = datasets.load_diabetes(scaled=False)
    for instance in convex_relu.SMALL + convex_relu.LARGE:
        X, y = instance.load()
        columns = [raw.feature_names.index(c) for c in ("bmi", "s5", "bp", "s4")[: X.shape[1]]]
        table = np.c_[raw.data[: len(y), columns], raw.target[: len(y)]]
        assert np.c_[X, y] == pytest.approx((table - table.mean(0)) / table.std(0), abs=1e-12)


def test_the_record_shows_every_instance() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    for instance in convex_relu.SMALL + convex_relu.LARGE:
        assert f"| {instance.name.replace('_', ',')} | {instance.patterns} |" in text
        assert instance.optimum is None or f"{instance.optimum:.9f}" in text
