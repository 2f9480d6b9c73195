"""Cases of the topic collapse, the intervals they are measured with, and verdicts on them."""

from __future__ import annotations

import json
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks import collapse_cases as cases
from proofs_checks.claims import collapse as claims
from proofs_checks.claims.collapse_bounds import merged_minority, without_class
from proofs_checks.collapse_cases import FeatureCase, GaussianCase
from proofs_checks.static import judge
from proofs_checks.verdict import Rigor, Status
from theory import collapse as c
from theory import collapse_thresholds as th
from theory.errors import LemmataError
from theory.statement import Statement

SOLVER = 1e-6  # what the independent conic solver is good to


def feature(model: str, loss: str, sizes: tuple[int, ...], L: float, **more: Any) -> FeatureCase:
    return FeatureCase.create(model, loss, sizes, lambda_W=2 * L, lambda_H=L / 2, **more)


# -- cases ----------------------------------------------------------------------------------------------------------
@given(
    st.sampled_from(cases.MODELS),
    st.sampled_from(("ce", "mse")),
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.fractions(Fraction(1, 1000), 5),
    st.floats(1e-6, 1e3),
    st.booleans(),
)
def test_a_feature_case_survives_json(
    model: str, loss: str, sizes: list[int], W: Fraction, H: float, bias: bool
) -> None:
    case = FeatureCase.create(model, loss, sizes, lambda_W=W, lambda_H=H, bias=bias, name="x")
    again = FeatureCase.from_json(json.loads(json.dumps(case.to_json())))
    assert again == case and again.hash == case.hash
    assert case.L_squared == W * Fraction(H) and sum(sizes) == case.N
    other = FeatureCase.create(model, loss, sizes, lambda_W=W, lambda_H=H, bias=not bias)
    assert other.hash != case.hash


def test_a_gaussian_case_survives_json() -> None:
    case = GaussianCase.create(K=3, n=4, d=8, samples=50, draw=7, comparisons=2, name="x", seed=1)
    again = GaussianCase.from_json(json.loads(json.dumps(case.to_json())))
    assert again == case and again.hash == case.hash
    moved = GaussianCase.create(K=3, n=4, d=8, samples=50, draw=8, comparisons=2)
    assert moved.hash != case.hash


@pytest.mark.parametrize(
    "change,match",
    [
        ({"model": "free"}, "use ufm or upfm"),
        ({"loss": "hinge"}, "use mse or ce"),
        ({"per_class": (3,)}, "two classes or more"),
        ({"per_class": (3, 0)}, "positive number of points"),
        ({"per_class": (3, 2.5)}, "positive number of points"),
        ({"per_class": (10**6, 10**6)}, "at most"),
        ({"per_class": 5}, "two classes or more"),
        ({"per_class": (1,) * 129}, "129 classes: use at most 128"),
        ({"lambda_W": 0}, "lambda_W = 0: give a positive number"),
        ({"lambda_H": -1.0}, "lambda_H = -1: give a positive number"),
        ({"lambda_H": math.nan}, "lambda_H is nan"),
        ({"lambda_W": math.inf}, "lambda_W is inf"),
        ({"width": 0}, "width = 0"),
        ({"bias": 1}, "True or False"),
    ],
)
def test_bad_feature_cases(change: dict[str, Any], match: str) -> None:
    good: dict[str, Any] = {
        "model": "ufm",
        "loss": "ce",
        "per_class": (2, 2),
        "lambda_W": 1,
        "lambda_H": 1,
    }
    good |= change
    with pytest.raises(LemmataError, match=match):
        FeatureCase.create(good.pop("model"), good.pop("loss"), good.pop("per_class"), **good)


@pytest.mark.parametrize(
    "change,match",
    [
        ({"K": 1}, "K = 1"),
        ({"n": 0}, "n = 0"),
        ({"d": 2.0}, "d = 2.0"),
        ({"samples": True}, "samples = True"),
        ({"draw": -1}, "draw = -1"),
        ({"comparisons": 0}, "comparisons = 0"),
    ],
)
def test_bad_gaussian_cases(change: dict[str, Any], match: str) -> None:
    good: dict[str, Any] = {"K": 2, "n": 3, "d": 4, "samples": 10}
    with pytest.raises(LemmataError, match=match):
        GaussianCase.create(**good | change)


def test_malformed_files() -> None:
    data = feature("ufm", "ce", (2, 2), 0.1).to_json()
    for broken in (None, [], {}, data | {"format": "lemmata-case/1"}):
        with pytest.raises(LemmataError, match="not a case of unconstrained features"):
            FeatureCase.from_json(broken)
    for key, value in (("per_class", 3), ("lambda_W", 0.5), ("lambda_H", "1/0"), ("seed", [])):
        with pytest.raises(LemmataError):
            FeatureCase.from_json(data | {key: value})
    other = GaussianCase.create(K=2, n=3, d=4, samples=10).to_json()
    with pytest.raises(LemmataError, match="not a case of Gaussian points"):
        GaussianCase.from_json(data)
    with pytest.raises(LemmataError, match="malformed"):
        GaussianCase.from_json({k: v for k, v in other.items() if k != "d"})


# -- intervals against a conic solver -------------------------------------------------------------------------------
def conic(case: FeatureCase, *, dead: int | None = None, merged: bool = False) -> float:
    """The optimum of the full lift (`upfm`) or of the nuclear-norm form (`ufm`), without symmetry."""
    K, N, L = case.K, case.N, math.sqrt(case.L_squared)
    y = np.repeat(np.arange(K), case.per_class)
    Z = cp.Variable((K, N))
    loss = sum(cp.log_sum_exp(Z[:, i]) - Z[y[i], i] for i in range(N)) / N
    if case.model == "ufm":
        small = [k for k in range(K) if case.per_class[k] == min(case.per_class)]
        points = [i for i in range(N) if y[i] in small]
        alike = [Z[small[0], :] == Z[k, :] for k in small[1:]]
        alike += [Z[:, points[0]] == Z[:, i] for i in points[1:]]
        problem = cp.Problem(cp.Minimize(loss + L * cp.normNuc(Z)), alike if merged else [])
    else:
        lift = cp.Variable((K + N, K + N), PSD=True)
        U, V = lift[:K, :K], lift[K:, K:]
        linked = [lift[:K, K:] == Z, V >= 0]
        if dead is not None:
            linked += [V[i, i] == 0 for i in range(N) if y[i] == dead]
        price = float(case.lambda_W) / 2 * cp.trace(U) + float(case.lambda_H) / 2 * cp.trace(V)
        problem = cp.Problem(cp.Minimize(loss + price), linked)
    problem.solve(solver="CLARABEL")
    if problem.status != "optimal":
        problem.solve(solver="SCS", eps=1e-9)
    assert problem.status == "optimal"
    return float(problem.value)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")  # then another solver is asked
@pytest.mark.parametrize("part", [0.6, 0.95, 1.1, 2.0])
@pytest.mark.parametrize("sizes", [(4, 1, 1), (3, 3, 2, 2)])
def test_the_merged_minority(sizes: tuple[int, ...], part: float) -> None:
    case = feature("ufm", "ce", sizes, part * math.sqrt(min(sizes)) / sum(sizes))
    ball = merged_minority(case)
    assert ball.rad() < 1e-8 * ball.mid()
    assert float(ball.mid()) == pytest.approx(conic(case, merged=True), rel=SOLVER)
    apart = float(ball.mid()) - conic(case)
    assert apart > 1e-3 if part < 0.9 else apart > 1e-4 if part < 1 else abs(apart) < SOLVER


@pytest.mark.parametrize("L", [0.1, 0.2, 0.5])
def test_a_class_without_features(L: float) -> None:
    case = feature("upfm", "ce", (3, 1), L)
    for dead in (0, 1):
        ball = without_class(case, dead)
        assert ball.rad() < 1e-12 * ball.mid()
        assert float(ball.mid()) == pytest.approx(conic(case, dead=dead), rel=10 * SOLVER)


# -- verdicts -------------------------------------------------------------------------------------------------------
def status(statement: Statement, case: Any) -> Status:
    return judge([statement], case)[0].status


def test_the_default_cases_decide_every_statement() -> None:
    seen: Counter[tuple[str, Status]] = Counter()
    rigor: dict[str, set[Rigor]] = {}
    for kind, every in ((cases.ufm, 1), (cases.upfm, 1), (cases.gaussian, 2)):
        some = kind()[::every]
        own = [s for s in c.STATEMENTS if s.setting.model == some[0].model]
        for case in some:
            for verdict in judge(own, case):
                assert verdict.status in (Status.HOLDS, Status.VACUOUS), verdict.reason
                seen[verdict.statement, verdict.status] += 1
                if verdict.deciding:
                    rigor.setdefault(verdict.statement, set()).add(verdict.rigor)
    for s in c.STATEMENTS:
        assert seen[s.id, Status.HOLDS] >= 3, s.id
    for s in (c.UFM_CE_VALUE, c.UPFM_CE_VALUE, c.UFM_MSE_VALUE, c.UPFM_MSE_BIAS_VALUE):
        assert rigor[s.id] == {Rigor.PROVED}
    assert rigor[th.MINORITY.id] == {Rigor.NUMERICAL}
    assert rigor[th.COVER_WENDEL.id] == {Rigor.STATISTICAL}


@pytest.mark.parametrize(
    "statement,case,word",
    [
        (c.UFM_CE_VALUE, feature("ufm", "ce", (3, 2), 0.1), "balanced"),
        (c.UFM_CE_VALUE, feature("ufm", "ce", (2, 2), 0.1, width=1), "wide enough"),
        (c.UFM_CE_VALUE, feature("ufm", "mse", (2, 2), 0.1), "loss"),
        (c.UFM_MSE_VALUE, feature("ufm", "mse", (2, 2), 0.1, bias=True), "no bias"),
        (c.UFM_MSE_BIAS_VALUE, feature("ufm", "mse", (2, 2), 0.1), "free bias"),
        (c.UPFM_MSE_BIAS_VALUE, feature("upfm", "mse", (3, 2), 0.1, bias=True), "balanced"),
        (c.UPFM_CE_VALUE, feature("upfm", "ce", (3, 2), 0.1, bias=True), "balanced where"),
        (th.UPFM_CE_ZERO, feature("upfm", "ce", (2, 2), 0.1, bias=True), "no bias"),
        (th.MINORITY, feature("ufm", "ce", (4, 2, 1), 0.1), "two groups"),
        (th.MINORITY, feature("ufm", "ce", (2, 2, 2), 0.1), "a minority"),
        (th.MINORITY, feature("ufm", "ce", (3, 2), 0.1), "at least two minority"),
        (th.COVER_WENDEL, GaussianCase.create(K=2, n=5, d=4, samples=10), "enough coordinates"),
    ],
)
def test_where_a_hypothesis_fails_nothing_is_said(
    statement: Statement, case: Any, word: str
) -> None:
    (verdict,) = judge([statement], case)
    assert verdict.status is Status.VACUOUS and word in verdict.reason


@pytest.mark.parametrize("part,alive", [(0.8, True), (1.25, False)])
def test_thresholds_decide_on_both_sides(part: float, alive: bool) -> None:
    n, K = 4, 3
    free = feature("ufm", "ce", (n,) * K, part / (K * math.sqrt(n)))
    framed = feature("upfm", "ce", (n,) * K, part * math.sqrt(n) / (n * K) * math.sqrt((K - 1) / K))
    for statement, case in ((th.UFM_CE_ZERO, free), (th.UPFM_CE_ZERO, framed)):
        (verdict,) = judge([statement], case)
        assert verdict.status is Status.HOLDS, verdict.reason
        J = claims.optimum(case).values["J"]
        assert (math.log(K) - 1e-4 > J) is alive


def test_without_a_certificate_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    from proofs_checks import features

    real = features.ufm

    def uncertified(**options: Any) -> Any:
        from dataclasses import replace

        return replace(real(**options), certificate=None, reason="it was lost")

    monkeypatch.setattr(features, "ufm", uncertified)
    claims.solved.cache_clear()
    (verdict,) = judge([c.UFM_CE_VALUE], feature("ufm", "ce", (2, 2), 0.1))
    claims.solved.cache_clear()
    assert verdict.status is Status.UNDECIDED and "it was lost" in verdict.reason


@pytest.mark.parametrize("factor", [Fraction(1, 10**6), Fraction(10**6)])
def test_the_scale_of_lambda_does_not_matter(factor: Fraction) -> None:
    L = Fraction(1, 8)
    for model, statement in (("ufm", c.UFM_CE_VALUE), ("upfm", c.UPFM_CE_VALUE)):
        case = FeatureCase.create(model, "ce", (2, 2), lambda_W=L * factor, lambda_H=L / factor)
        assert status(statement, case) is Status.HOLDS


def test_default_cases_are_reproducible_and_avoid_thresholds() -> None:
    assert [x.hash for x in cases.ufm(count=9, seed=3)] == [
        x.hash for x in cases.ufm(count=9, seed=3)
    ]
    assert cases.ufm(count=9, seed=3) != cases.ufm(count=9, seed=4)
    with pytest.raises(LemmataError, match="at least one"):
        cases.upfm(count=0)
    for case in cases.ufm():
        L = math.sqrt(case.L_squared)
        assert all(abs(L * case.N / math.sqrt(n) - 1) > 5e-3 for n in case.per_class)


# -- scales and widths ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("statement", [c.UFM_CE_VALUE, c.UPFM_CE_VALUE], ids=lambda s: s.id)
@pytest.mark.parametrize("L", [1e-100, 1e-290, 1e100, 1e300])
def test_values_are_judged_at_every_scale(statement: Statement, L: float) -> None:
    """Small entropies cancel in 1 - (K-1)t, which more digits mend."""
    case = feature(statement.setting.model, "ce", (3, 3, 3), L)
    (verdict,) = judge([statement], case)
    assert (verdict.status, verdict.rigor) == (Status.HOLDS, Rigor.PROVED), verdict.reason


@pytest.mark.parametrize("L", [1e-290, 1e-100, 1e100, 5e299])
def test_bounds_for_thresholds_exist_at_every_scale(L: float) -> None:
    with np.errstate(over="raise", invalid="raise"):
        upfm, ufm = (feature(m, "ce", (2, 1, 1), L) for m in ("upfm", "ufm"))
        without, merged = without_class(upfm, 1), merged_minority(ufm)
    assert without.is_finite() and without > -1e-9
    assert merged.is_finite() and merged.upper() < math.log(3) * 1.001
    if L > 1:
        assert without.overlaps(merged) and merged.lower() > math.log(3) * 0.999
        (verdict,) = judge([th.MINORITY], ufm)
        assert verdict.status is Status.HOLDS, verdict.reason


def test_a_value_that_is_certified_for_wider_features_alone_is_numerical() -> None:
    case = feature("upfm", "ce", (3, 3), 0.02)
    assert claims.optimum(case).rigor is Rigor.PROVED
    narrow = FeatureCase.create("upfm", "ce", (3, 3), lambda_W=1, lambda_H=1, width=1)
    assert claims.optimum(narrow).rigor is Rigor.PROVED  # zero at every width
    narrow = FeatureCase.create("upfm", "ce", (3, 3), lambda_W=0.02, lambda_H=0.02, width=1)
    found = claims.optimum(narrow)
    assert found.rigor is Rigor.NUMERICAL and "of 2 coordinates" in found.note


def test_what_stays_open_is_not_called_proved() -> None:
    (verdict,) = judge([c.UFM_MSE_VALUE], feature("ufm", "mse", (3, 3), 1e-30))
    assert (verdict.status, verdict.rigor) == (Status.UNDECIDED, Rigor.NUMERICAL)
