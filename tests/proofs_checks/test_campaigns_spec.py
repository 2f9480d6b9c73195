"""Designs of campaigns: what a SPEC.toml may say, and which points and seeds come out."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.campaigns import work
from proofs_checks.campaigns.levels import levels
from proofs_checks.campaigns.models import MODELS
from proofs_checks.campaigns.plan import Plan, plan
from proofs_checks.campaigns.rules import Rule
from proofs_checks.campaigns.spec import Range, parse, read
from theory.errors import LemmataError

UPDATE = '[campaign]\ntarget = "margins/telescoping"\n'


def ready(text: str, folder: Path = Path()) -> Plan:
    return plan(parse(tomllib.loads(text), folder / "spec.toml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs target"),
        ('[campaign]\ntarget = "margins/telescopin"', "did you mean margins/telescoping"),
        ("[campaign]\ntarget = 3", "list of them"),
        ('[campaign]\ntarget = ["a", "a"]', "twice"),
        ('[campaign]\ntarget = ["margins/telescoping", "margins"]', "named twice"),
        ('[campaign]\ntarget = "nowhere.py::x"', "cannot be read"),
        ('[campaign]\ntarget = "nowhere.py"', "nowhere.py::NAME"),
        (UPDATE + "replicate = 3", "did you mean replicates"),
        (UPDATE + "replicates = 0", "from 1 to"),
        (UPDATE + "chunk = 1.5", "whole number"),
        (UPDATE + "seed = -1", "from 0"),
        (UPDATE + "[gird]\nd = [1]", "did you mean grid"),
        (UPDATE + "[grid]\ndd = [1]", "no axis of the model update; did you mean d"),
        (UPDATE + "[grid]\nd = [1, 1]", "twice"),
        (UPDATE + "[grid]\nd = []", "0 values"),
        (UPDATE + "[grid]\nd = [1.5]", "not a whole number"),
        (UPDATE + "[grid]\nd = [0]", "outside"),
        (UPDATE + "[grid]\neta = [nan]", "finite"),
        (UPDATE + "[grid]\neta = [0]", "outside"),
        (UPDATE + "[grid]\nseed = [1]", "column"),
        (UPDATE + "[grid]\neta = {from = 1, to = 0.5, steps = 3}", "not below"),
        (UPDATE + '[grid]\neta = {from = -1, to = 2, steps = 3, scale = "log"}', "needs from > 0"),
        (UPDATE + "[grid]\neta = {from = 1, to = 2}", "steps"),
        (UPDATE + "[grid]\neta = {from = 1, to = 2, steps = 1}", "two ends"),
        (UPDATE + "[grid]\neta = {from = 1, to = 2, step = 3}", "did you mean steps"),
        (UPDATE + "[grid]\nd = {from = 1, to = 3, steps = 9}", "fewer steps"),
        (UPDATE + "[random]\nsamples = 3", "replicates"),
        (UPDATE + "[random]\nsamples = 3\neta = [1, 2]", "choices"),
        (UPDATE + '[random]\neta = {low = 1, high = 2, scale = "cubic"}', "linear or log"),
        (UPDATE + "[random]\nd = {low = 1, high = 2.5}", "whole number"),
        (UPDATE + "[grid]\nd = [1]\n[random]\nd = {choices = [1]}", "and of"),
        (UPDATE + "replicates = 100000000\n[grid]\nd = [1, 2]", "at most"),
        (
            '[campaign]\ntarget = "early-alignment/norm-bound"\n[grid]\nloss = ["hinge"]',
            "known: exponential",
        ),
        (
            '[campaign]\ntarget = "collapse/ufm-ce-value"\n[grid]\nlambda = [1]\nlambda_rel = [1]',
            "exclude",
        ),
        (
            '[campaign]\ntarget = ["margins/telescoping", "margins/xor-f1"]\n[grid]\neta = [1]',
            "no axis of the model parity",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_the_remedy(text: str, words: str) -> None:
    with pytest.raises(LemmataError, match=words):
        ready(text)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    long = b"#" * 10**6 + b"\n"
    for content, words in ((b"a = ", "no TOML"), (b"\xff\xfe", "no TOML"), (long, "bytes")):
        path.write_bytes(content)
        with pytest.raises(LemmataError, match=words):
            read(path)
    with pytest.raises(LemmataError, match="cannot be read"):
        read(tmp_path / "none.toml")
    with pytest.raises(LemmataError, match="--summary"):
        read(tmp_path)


def test_a_grid_has_every_combination_once() -> None:
    found = ready(UPDATE + "replicates = 3\nchunk = 4\n[grid]\nd = [1, 3]\neta = [0.5, 1, 2]")
    points = [found.point(p) for p in range(found.points)]
    assert [(p["d"], p["eta"]) for p in points] == list(itertools.product((1, 3), (0.5, 1.0, 2.0)))
    assert all(type(p["eta"]) is float for p in points)
    items = [tuple(i[:2]) for u in range(found.units) for i in found.job(u)["items"]]
    assert items == list(itertools.product(range(6), range(3)))
    assert [found.rows_of(u) for u in range(found.units)] == [4, 4, 4, 4, 2]
    assert found.rows == 18


def test_ranges_hit_their_ends_and_are_even_on_their_scale() -> None:
    found = ready(
        UPDATE + '[grid]\neta = {from = 0.001, to = 10, steps = 5, scale = "log"}\n'
        'd = {from = 2, to = 32, steps = 5, scale = "log"}'
    )
    etas = found.grid["eta"]
    assert etas[0] == 0.001 and etas[-1] == 10.0
    assert etas == pytest.approx((0.001, 0.01, 0.1, 1.0, 10.0), rel=1e-12)
    assert found.grid["d"] == (2, 4, 8, 16, 32)


def test_random_points_do_not_depend_on_the_order_and_fill_their_range() -> None:
    text = UPDATE + (
        "seed = 3\n[grid]\nsize = [1, 2]\n[random]\nsamples = 400\n"
        'eta = {low = 0.01, high = 1, scale = "log"}\nd = {low = 1, high = 4}'
    )
    first, again = ready(text), ready(text)
    backwards = [again.point(p) for p in reversed(range(again.points))]
    points = [first.point(p) for p in range(first.points)]
    assert points == backwards[::-1]
    assert first.points == 800 and {p["size"] for p in points[:400]} == {1.0}
    below = sum(p["eta"] < 0.1 for p in points) / 800  # the middle of the logarithmic range
    assert abs(below - 0.5) < 0.08
    shares = [sum(p["d"] == d for p in points) / 800 for d in (1, 2, 3, 4)]
    assert all(abs(s - 0.25) < 0.07 for s in shares)
    assert ready(text.replace("seed = 3", "seed = 4")).point(0) != points[0]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 50), st.integers(1, 50))
def test_random_whole_numbers_stay_in_their_range(share: float, low: int, more: int) -> None:
    rule = Rule(int)
    for scale in ("linear", "log"):
        value = rule.pick(Range(low, low + more, scale), share)
        assert type(value) is int and low <= value <= low + more


def test_seeds_differ_between_points_and_replicates_and_repeat_between_runs() -> None:
    text = UPDATE + "replicates = 50\n[grid]\nd = [1, 2, 3]"
    found = ready(text)
    seeds = {found.seed(p, r) for p in range(3) for r in range(50)}
    assert len(seeds) == 150 and all(0 <= s < 2**63 for s in seeds)
    assert ready(text).job(0) == found.job(0)
    assert ready(text.replace("replicates", "seed = 1\nreplicates")).seed(0, 0) != found.seed(0, 0)


def test_the_identity_sees_everything_that_changes_rows() -> None:
    base = UPDATE + "[grid]\nd = [1, 2]\neta = [1.0]\n"
    others = [
        base.replace("telescoping", "perceptron-mistakes").replace("eta = [1.0]", "n = [1]"),
        base.replace("[1, 2]", "[2, 1]"),
        base.replace("[1.0]", "[1.5]"),
        UPDATE + "[grid]\neta = [1.0]\nd = [1, 2]\n",
        UPDATE + "seed = 1\n[grid]\nd = [1, 2]\neta = [1.0]\n",
        UPDATE + "chunk = 2\n[grid]\nd = [1, 2]\neta = [1.0]\n",
        UPDATE + "[grid]\nd = [1, 2]\n[random]\neta = {choices = [1.0]}\n",
    ]
    hashes = [ready(t).hash for t in (base, *others)]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_has_cases_at_its_defaults(model: str) -> None:
    targets = {
        "two-layer-relu": "early-alignment/norm-bound",
        "neurons": "linear-networks/imbalance-flow-relu",
        "linear": "linear-networks/imbalance-descent",
        "ufm": "collapse/ufm-ce-value",
        "upfm": "collapse/upfm-ce-value",
        "gaussian-points": "collapse/cover-wendel",
        "convex-relu": "convex-relu/lower-bound",
        "parity": "margins/xor-f1",
        "perceptron": "margins/perceptron-mistakes",
        "update": "margins/telescoping",
    }
    found = ready(f'[campaign]\ntarget = "{targets[model]}"')
    assert found.groups[0].model == model
    (row,) = work.measure(found.job(0))
    assert row["status"] == "holds", row["reason"]


def measured(text: str) -> list[dict[str, Any]]:
    found = ready(text)
    return [row for u in range(found.units) for row in work.measure(found.job(u))]


def test_orthogonal_data_have_the_mu_that_is_asked_for() -> None:
    import numpy as np

    from proofs_checks.campaigns.cases_networks import two_layer
    from proofs_checks.campaigns.rules import Draw

    for mu in (0.01, 0.3, 0.95):
        values = {"mu": mu, "n": 5, "d": 3, "log10_eps": -3.0}
        draw = Draw("two-layer-relu", values, MODELS["two-layer-relu"].axes, 7, ("exponential",), 1)
        case = two_layer(draw)
        Z = case.y[:, None] * case.X / np.linalg.norm(case.X, axis=1, keepdims=True)
        assert (Z @ Z.T).min() == pytest.approx(mu, abs=1e-9)


def test_points_without_a_case_are_vacuous_and_say_why() -> None:
    rows = measured('[campaign]\ntarget = "margins/parity-f1"\n[grid]\nd = [2, 3]\nk = [2, 3]')
    assert [r["status"] for r in rows] == ["holds", "vacuous", "holds", "vacuous"]
    assert "1 <= k <= d" in rows[1]["reason"] and rows[1]["case_hash"] == ""
    assert "1 <= k <= d" not in rows[3]["reason"]  # k = 3 of 3 exists, and a hypothesis fails


def test_a_measurement_that_fails_is_undecided_and_spoils_no_other_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from proofs_checks.claims.margins import UpdateClaim

    found = ready(UPDATE + "replicates = 7")
    sound = work.measure(found.job(0))
    broken = sound[3]["case_hash"]
    measure = UpdateClaim.measure

    def failing(self: Any, wanted: frozenset[str]) -> Any:
        if self.case.hash == broken:
            raise ZeroDivisionError("planted")
        return measure(self, wanted)

    monkeypatch.setattr(UpdateClaim, "measure", failing)
    rows = work.measure(found.job(0))
    assert [r["status"] for r in rows] == ["holds"] * 3 + ["undecided"] + ["holds"] * 3
    assert "ZeroDivisionError: planted" in rows[3]["reason"]


def test_levels_of_axes() -> None:
    many = levels("n", list(range(100)))
    assert many.count == 10 and many.index(0) == 0 and many.index(99) == 9 and many.index(100) == -1
    drawn = levels("eta", {"low": 0.01, "high": 1.0, "scale": "log"})
    assert drawn.log and [drawn.index(v) for v in (0.01, 0.0999, 0.101, 1.0)] == [0, 4, 5, 9]
    few = levels("d", {"low": 2, "high": 5, "scale": "linear"}, whole=True)
    assert few.values == (2, 3, 4, 5) and few.index(5) == 3
    words = levels("loss", ["low", "high", "log"])
    assert not words.numeric and words.index("high") == 1
    assert levels("bias", [False, True]).labels == ["False", "True"]
    with pytest.raises(LemmataError, match="malformed"):
        levels("eta", {"low": 1})
