"""Cases of the topic convex-relu, how they are measured, and verdicts on them."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks import relu_cases, sign_tree
from proofs_checks.claims import convex_relu as claims
from proofs_checks.relu_cases import ReluCase
from proofs_checks.static import judge
from proofs_checks.verdict import Rigor, Status
from theory import convex_relu as cr
from theory.errors import LemmataError

SMALL = ReluCase.create(
    [[1, "1/2"], [-1, 2], [0.25, -1]],
    [1, -0.5, "1/3"],
    beta="1/10",
    W=[[1, 0], [0.5, -0.25]],
    v=[0.5, -1],
)


# -- cases ----------------------------------------------------------------------------------------------------------
def test_exact_numbers_of_a_small_network() -> None:
    def relu(a: Fraction) -> Fraction:
        return max(a, Fraction(0))

    outputs = []
    for x1, x2 in (
        (Fraction(1), Fraction(1, 2)),
        (Fraction(-1), Fraction(2)),
        (Fraction(1, 4), Fraction(-1)),
    ):
        outputs.append(relu(x1) / 2 - relu(x1 / 2 - x2 / 4))
    assert SMALL.outputs == tuple(outputs)
    y = (Fraction(1), Fraction(-1, 2), Fraction(1, 3))
    assert SMALL.residual == tuple(a - b for a, b in zip(y, outputs, strict=True))
    squares = 1 + Fraction(1, 4) + Fraction(1, 16) + Fraction(1, 4) + 1
    assert SMALL.objective == sum(a * a for a in SMALL.residual) / 2 + Fraction(1, 20) * squares


finite = st.floats(-1e6, 1e6)


@given(
    st.lists(st.tuples(finite, finite), min_size=1, max_size=4),
    st.data(),
    st.fractions(Fraction(1, 10**6), 100),
)
def test_a_case_survives_json(X: list[tuple[float, float]], data: Any, beta: Fraction) -> None:
    if not any(any(row) for row in X):
        X = [(1.0, 0.0), *X[1:]]
    y = data.draw(st.lists(finite, min_size=len(X), max_size=len(X)))
    W = data.draw(st.lists(st.tuples(finite, finite), min_size=1, max_size=3))
    v = data.draw(st.lists(finite, min_size=len(W), max_size=len(W)))
    case = ReluCase.create(X, y, beta=beta, W=W, v=v, name="x", seed=2)
    again = ReluCase.from_json(json.loads(json.dumps(case.to_json())))
    assert again == case and again.hash == case.hash
    assert ReluCase.create(X, y, beta=beta + 1, W=W, v=v).hash != case.hash


@pytest.mark.parametrize(
    "change,match",
    [
        ({"X": [[1, math.nan], [1, 2]]}, "nan"),
        ({"X": []}, "empty"),
        ({"X": [[1, 2], [3]]}, "complete the rows"),
        ({"X": [[0, 0], [0, 0]]}, "all points are zero"),
        ({"y": [1]}, "one target per point"),
        ({"y": [1, math.inf]}, "inf"),
        ({"beta": 0}, "beta = 0: give a positive number"),
        ({"beta": "-1/2"}, "give a positive number"),
        ({"W": [[1, 2, 3]]}, "as long as a point"),
        ({"v": [1, 2]}, "one outer weight each"),
    ],
)
def test_bad_cases(change: dict[str, Any], match: str) -> None:
    good: dict[str, Any] = {"X": [[1, 2], [3, 4]], "y": [1, 2], "beta": 1, "W": [[1, 1]], "v": [1]}
    good |= change
    with pytest.raises(LemmataError, match=match):
        ReluCase.create(good.pop("X"), good.pop("y"), **good)


def test_malformed_files() -> None:
    data = SMALL.to_json()
    for broken in (None, {}, data | {"format": "lemmata-case/1"}):
        with pytest.raises(LemmataError, match="not a ReLU case"):
            ReluCase.from_json(broken)
    for key, value in (
        ("X", 3),
        ("beta", 0.5),
        ("v", ["1/0"]),
        ("W", [["1e400", "1"]]),
        ("y", None),
    ):
        with pytest.raises(LemmataError):
            ReluCase.from_json(data | {key: value})


# -- what is measured -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(4))
def test_the_price_encloses_a_dense_sweep(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = ReluCase.create(
        rng.standard_normal((6, 2)), rng.standard_normal(6), beta=1, W=[[1, 0]], v=[0]
    )
    angle = np.linspace(0, 2 * math.pi, 200_001)
    u = np.stack([np.cos(angle), np.sin(angle)])
    best = np.abs(np.array(case.y, float) @ np.maximum(np.array(case.X, float) @ u, 0)).max()
    ball = claims.price(case)
    assert ball is not None and ball.rad() < 1e-9 * ball.mid()
    assert float(ball.upper()) >= best
    # between two angles the function moves by at most the step times its Lipschitz constant
    slope = np.abs(np.array(case.y, float)) @ np.linalg.norm(np.array(case.X, float), axis=1)
    assert float(ball.lower()) <= best + slope * angle[1]


def test_no_residual_has_no_price() -> None:
    case = ReluCase.create([[1, 0]], [1], beta=1, W=[[1, 0]], v=[1])
    ball = claims.price(case)
    assert ball is not None and ball.is_zero()
    (verdict,) = judge([cr.LOWER_BOUND], case)
    assert verdict.status is Status.VACUOUS and "a price" in verdict.reason


def test_labels_that_are_zero_have_the_optimum_zero() -> None:
    case = ReluCase.create([[1, 0], [0, 1]], [0, 0], beta=1, W=[[1, 0]], v=[1])
    found = claims.optimum(case.X, case.y, case.beta)
    assert found.values["F_best"].is_zero() and "length 0.0" in found.note


def test_a_price_that_is_not_proved_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_tree, "bound_witness", lambda *args, **more: None)
    (verdict,) = judge([cr.GLOBAL_CERTIFICATE], SMALL)
    assert verdict.status is Status.UNDECIDED and "not certified" in verdict.reason


def test_a_witness_of_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sign_tree.bound_witness

    def generous(X: Any, nu: Any, radius: Any, **more: Any) -> Any:
        return real(X, nu, 2 * radius, **more)

    assert claims.price(SMALL) is not None
    # half the maximum, with the witness of the maximum: only the kernel stands in the way
    value, direction = sign_tree.pricing_bound(SMALL.X, SMALL.residual)
    monkeypatch.setattr(sign_tree, "bound_witness", generous)
    monkeypatch.setattr(sign_tree, "pricing_bound", lambda *a, **k: (value / 2, direction))
    assert claims.price(SMALL) is None


def test_without_a_certified_optimum_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    from proofs_checks import relu_training

    real = relu_training.convex_relu

    def uncertified(*args: Any, **more: Any) -> Any:
        return replace(real(*args, **more), certificate=None, reason="it was lost")

    monkeypatch.setattr(relu_training, "convex_relu", uncertified)
    claims.optimum.cache_clear()
    (verdict,) = judge([cr.LOWER_BOUND], SMALL)
    claims.optimum.cache_clear()
    assert verdict.status is Status.UNDECIDED and "it was lost" in verdict.reason


# -- verdicts -------------------------------------------------------------------------------------------------------
def test_the_default_cases_decide_every_statement() -> None:
    seen: Counter[tuple[str, Status]] = Counter()
    for case in relu_cases.relu():
        for verdict in judge(cr.STATEMENTS, case):
            assert verdict.status in (Status.HOLDS, Status.VACUOUS), verdict.reason
            assert verdict.rigor is Rigor.PROVED
            seen[verdict.statement, verdict.status] += 1
    for s in cr.STATEMENTS:
        assert seen[s.id, Status.HOLDS] >= 4, s.id
    assert seen[cr.GLOBAL_CERTIFICATE.id, Status.VACUOUS] >= 4


def test_a_network_with_more_decay_is_told_how_far_it_is() -> None:
    """At the optimum for 0.9 β the certificate's bound is 0.1 βΩ, by Euler's relation."""
    case = relu_cases.relu(count=1)[0]
    (verdict,) = judge([cr.GLOBAL_CERTIFICATE], case)
    squares = sum(a * a for row in case.W for a in row) + sum(a * a for a in case.v)
    assert verdict.status is Status.HOLDS and verdict.log_rhs is not None
    assert math.exp(verdict.log_rhs) == pytest.approx(0.05 * float(case.beta * squares), rel=1e-6)


def test_scaled_data_give_the_same_verdicts() -> None:
    """X times s, y times t, weights and β to match: every side is t² times as large."""
    case = relu_cases.relu(count=1)[0]
    plain = judge(cr.STATEMENTS, case)
    for power in (-20, 20):
        s = Fraction(4) ** power
        scaled = ReluCase.create(
            [[a * s for a in row] for row in case.X],
            [a * s for a in case.y],
            beta=case.beta * s * s,
            W=case.W,
            v=case.v,
        )
        for a, b in zip(plain, judge(cr.STATEMENTS, scaled), strict=True):
            assert (a.status, a.rigor) == (b.status, b.rigor), b.reason
            assert a.tightness == pytest.approx(b.tightness, rel=1e-6)


def test_default_cases_are_reproducible() -> None:
    assert [c.hash for c in relu_cases.relu(count=5)] == [c.hash for c in relu_cases.relu(count=5)]
    with pytest.raises(LemmataError, match="at least one"):
        relu_cases.relu(count=0)
