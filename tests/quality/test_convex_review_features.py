"""Unconstrained features and collapse, distrusted: other methods, extreme scales, degenerate points, forged claims."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import lemmata as lm
from proofs_checks.audit import audit_text
from proofs_checks.exact_data import exact_text
from theory.quantity import Quantity, minimum, sqrt, step, total, var

Data = dict[str, Any]


def _descent(
    Y: np.ndarray, counts: list[int], L: float, *, loss: str, bias: bool, positive: bool
) -> float:
    """The best value of a wide network from random starts; nothing is shared with the library."""
    c, (K, J) = np.array(counts, dtype=float), Y.shape
    N, d = c.sum(), max(Y.shape) + 2
    rng = np.random.default_rng(0)

    def objective(v: np.ndarray) -> tuple[float, np.ndarray]:
        W, H = v[: d * K].reshape(d, K), v[d * K : d * (K + J)].reshape(d, J)
        Z = W.T @ H / np.sqrt(c) + (v[d * (K + J) :, None] if bias else 0.0)
        if loss == "ce":
            top = Z.max(axis=0)
            parts = np.exp(Z - top)
            sums = parts.sum(axis=0)
            each, G = np.log(sums) + top - (Z * Y).sum(axis=0), parts / sums - Y
        else:
            each, G = ((Z - Y) ** 2).sum(axis=0) / 2, Z - Y
        G = G * c / N
        value = float(c @ each) / N + L / 2 * float((W * W).sum() + (H * H).sum())
        slopes = ((H / np.sqrt(c)) @ G.T + L * W, W @ G / np.sqrt(c) + L * H)
        tail = G.sum(axis=1) if bias else np.zeros(0)
        return value, np.concatenate([slopes[0].ravel(), slopes[1].ravel(), tail])

    best = math.inf
    for _ in range(5):
        v = 0.7 * rng.standard_normal(d * (K + J) + (K if bias else 0))
        bounds = None
        if positive:
            v[d * K : d * (K + J)] = np.abs(v[d * K : d * (K + J)])
            bounds = [(0.0 if d * K <= k < d * (K + J) else None, None) for k in range(len(v))]
        options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-16, "gtol": 1e-11}
        found = minimize(objective, v, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        best = min(best, float(found.fun))
    return best


@pytest.mark.parametrize("model", ["ufm", "upfm"])
@pytest.mark.parametrize("loss", ["ce", "mse"])
@pytest.mark.parametrize(
    ("counts", "bias", "share"),
    [([9, 2, 2], True, 0.6), ([1, 30, 5], False, 0.5), ([2, 1, 1, 1], True, 1.05)],
)
def test_imbalanced_optima_are_those_of_descent(
    model: str, loss: str, counts: list[int], bias: bool, share: float
) -> None:
    L = share * math.sqrt(min(counts)) / sum(counts)
    solve = lm.ufm if model == "ufm" else lm.upfm
    found = solve(
        classes=len(counts), per_class=counts, loss=loss, lambda_w=4 * L, lambda_h=L / 4, bias=bias
    )
    other = _descent(np.eye(len(counts)), counts, L, loss=loss, bias=bias, positive=model == "upfm")
    assert found.status == "solved" and found.tight == "proved"
    assert found.lower_bound * (1 - 1e-12) <= other <= found.upper_bound * (1 + 1e-7)


@pytest.mark.parametrize(("K", "J", "bias"), [(2, 6, True), (3, 7, False)])
def test_general_targets_are_not_improved_by_descent(K: int, J: int, bias: bool) -> None:
    Y = np.random.default_rng(K).standard_normal((K, J))
    found = lm.upfm(targets=Y.tolist(), loss="mse", lambda_w=0.05, lambda_h=0.05, bias=bias)
    other = _descent(Y, [1] * J, 0.05, loss="mse", bias=bias, positive=True)
    assert found.status == "solved" and found.rigor is lm.Rigor.PROVED
    assert found.lower_bound * (1 - 1e-12) <= other
    assert other >= found.upper_bound * (1 - 1e-6)


# -- extreme scales -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", ["ufm", "upfm"])
@pytest.mark.parametrize("decay", [1e-300, 1e-100, 1e-40, 1e300])
def test_a_closed_form_that_is_shown_lies_in_the_proved_interval(
    model: str, decay: float, capfd: pytest.CaptureFixture[str]
) -> None:
    solve = lm.ufm if model == "ufm" else lm.upfm
    found = solve(classes=3, per_class=3, loss="ce", lambda_w=decay, lambda_h=decay)
    if found.closed_form is not None and found.lower_bound is not None:
        assert found.lower_bound <= found.closed_form * (1 + 1e-12)
        assert found.closed_form <= found.upper_bound * (1 + 1e-12)
    assert capfd.readouterr().out == ""  # a solver that talks would spoil --json


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_targets_beyond_squares_are_an_error_or_an_answer(size: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            found = lm.upfm(targets=[[size, -size]], loss="mse", lambda_w=0.1, lambda_h=0.1)
        except lm.LemmataError as error:
            assert "rescale" in str(error)
        else:
            assert found.status in ("solved", "undecided")


@pytest.mark.parametrize(
    ("name", "model", "sizes"),
    [
        ("upfm-ce-zero-threshold", "upfm", (2, 2)),
        ("ufm-ce-minority-collapse", "ufm", (2, 1, 1)),
    ],
)
def test_thresholds_are_judged_at_enormous_decays(
    name: str, model: str, sizes: tuple[int, ...]
) -> None:
    case = lm.FeatureCase.create(model, "ce", sizes, lambda_W=1e300, lambda_H=1e300)
    assert lm.check(f"collapse/{name}", case).status in (lm.Status.HOLDS, lm.Status.UNDECIDED)


@pytest.mark.parametrize("K", [2, 3])
def test_a_proved_value_is_certified_at_the_width_of_the_case(K: int) -> None:
    case = lm.FeatureCase.create("ufm", "ce", (3,) * K, lambda_W=0.05, lambda_H=0.05)
    verdict = lm.check("collapse/ufm-ce-value", case)
    found = lm.ufm(classes=K, per_class=3, loss="ce", lambda_w=0.05, lambda_h=0.05)
    assert found.certificate is not None
    assert verdict.rigor is not lm.Rigor.PROVED or found.certificate.claim["width"] <= case.width


@pytest.mark.parametrize(
    ("points", "labels", "answers"),
    [
        ([[1e-6], [-1e300]], ["a", "b"], {"a": True, "b": True}),
        ([[-1e-90], [-1e109], [-1e38]], ["a", "c", "b"], dict.fromkeys("acb", False)),
        (
            [[1e-46, 0, 1e-130], [0, 1e113, -1e132], [-1e34, -1e-66, -1e-129], [0, -1e-120, 1e-62]],
            list("dcba"),
            None,
        ),
    ],
)
def test_feasibility_of_points_of_very_different_sizes(
    points: list[list[float]], labels: list[str], answers: dict[str, bool] | None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = lm.collapse_feasibility(points, labels)
    assert found.status == "solved" and found.rigor is lm.Rigor.PROVED
    assert answers is None or found.feasible == answers


# -- degenerate points ----------------------------------------------------------------------------------------------
def test_floats_do_not_contradict_exact_answers() -> None:
    sliver = ([[1, -1e-12], [1, 0.999999999999], [-1, -1.000000000001]], list("acb"))
    cases: list[tuple[Any, list[str]]] = [sliver]
    rng = np.random.default_rng(6)
    for _ in range(60):
        N, d = int(rng.integers(3, 9)), int(rng.integers(1, 5))
        X = rng.integers(-1, 2, (N, d)) + 1e-12 * rng.integers(-1, 2, (N, d))
        cases.append((X.tolist(), [f"c{k % 3}" for k in range(N)]))
    for X, labels in cases:
        exact = lm.collapse_feasibility(X, labels)
        floats = lm.collapse_feasibility(X, labels, certify=False)
        assert exact.status == "solved"
        for name, answer in floats.feasible.items():
            assert answer in (None, exact.feasible[name]), (X, labels, name)


def test_equal_labels_are_one_class() -> None:
    with pytest.raises(lm.LemmataError):
        lm.collapse_feasibility([[1, 0], [0, 1], [1, 1]], [1, 1.0, 2])


@pytest.mark.parametrize(
    "call",
    [
        lambda H, y: lm.neural_collapse_metrics(H, [0] * len(y)),
        lambda H, y: lm.neural_collapse_metrics(H, y[:-1]),
        lambda H, y: lm.neural_collapse_metrics(H * np.nan, y),
        lambda H, y: lm.neural_collapse_metrics(H, y, W=np.eye(2), b=["a", "b"]),
        lambda H, y: lm.phase_diagram(2, 5, [1], [0.1], 3),
        lambda H, y: lm.phase_diagram(2, 5, ["a"], [0.1], 3),
    ],
)
def test_users_see_one_kind_of_error(call: Callable[[np.ndarray, list[int]], Any]) -> None:
    H = np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 3.0]])
    with pytest.raises(lm.LemmataError):
        call(H, [0, 0, 1, 1])


# -- forged certificates --------------------------------------------------------------------------------------------
def _accepted(data: Data) -> bool | None:
    return audit_text(json.dumps(data)).accepted


def _number(text: str) -> Fraction:
    return Fraction(*float.fromhex(text).as_integer_ratio()) if "x" in text else Fraction(text)


def _with(data: Data, field: str, value: Any) -> Data:
    out = copy.deepcopy(data)
    out["claim"][field] = value
    return out


@pytest.mark.parametrize("model", ["ufm", "upfm"])
@pytest.mark.parametrize("loss", ["ce", "mse"])
@pytest.mark.parametrize("bias", [False, True])
def test_claims_a_little_too_strong_are_rejected(model: str, loss: str, bias: bool) -> None:
    solve = lm.ufm if model == "ufm" else lm.upfm
    found = solve(
        classes=3, per_class=[2, 2, 5], loss=loss, lambda_w="1/20", lambda_h="1/30", bias=bias
    )
    assert found.certificate is not None
    data = found.certificate.to_data()
    low, high = (_number(data["claim"][end]) for end in ("lower", "upper"))
    more = Fraction(1, 10**10)
    assert _accepted(data) is True
    for field, value in (
        ("lower", exact_text(high * (1 + more))),
        ("upper", exact_text(low * (1 - more))),
        ("lambda_w", "1/19"),
        ("lambda_w", "1/21"),
        ("lambda_h", "1/31"),
        ("multiplicities", [2, 2, 6]),
        ("multiplicities", [5, 2, 2]),
        ("multiplicities", [2, 2, True]),
        ("bias", not bias),
        ("loss", "mse" if loss == "ce" else "ce"),
        ("width", 1),
        ("targets", [["0", "1", "0"], ["1", "0", "0"], ["0", "0", "1"]]),
    ):
        assert _accepted(_with(data, field, value)) is False, (field, value)


def test_claims_of_a_gap_a_little_too_strong_are_rejected() -> None:
    found = lm.upfm(**lm.horn_instance())
    assert found.tight == "gap" and found.gap_certificate is not None
    data = found.gap_certificate.to_data()
    low, high = (_number(data["claim"][end]) for end in ("relaxation", "network"))
    assert float(low) < 8.821529 and float(high) > 8.830423 and _accepted(data) is True
    for field, value in (
        ("relaxation", exact_text(low * Fraction(99999, 100000))),
        ("relaxation", exact_text(high)),
        ("network", exact_text(high * Fraction(10**8 + 1, 10**8))),
        ("model", "ufm"),
        ("lambda_h", "9/10"),
        ("multiplicities", [1, 1, 1, 1, 2]),
    ):
        assert _accepted(_with(data, field, value)) is False, (field, value)


@pytest.mark.parametrize("hidden", [None, 6])
def test_answers_turned_round_are_rejected(hidden: int | None) -> None:
    points = [[1, 0], [1, 1], [2, 0], [2, 2], [-1, 3]]
    found = lm.collapse_feasibility(points, list("aabbc"), hidden=hidden, seed=1)
    assert found.certificate is not None
    data = found.certificate.to_data()
    assert _accepted(data) is True
    for name, answer in found.feasible.items():
        feasible = dict(data["claim"]["feasible"])
        assert _accepted(_with(data, "feasible", feasible | {name: not answer})) is False
        assert _accepted(_with(data, "feasible", feasible | {name: int(bool(answer))})) is False
    for labels in (list("babac"), list("aabba"), list("aabb"), list("aabbd")):
        assert _accepted(_with(data, "labels", labels)) is False


# -- statements with a slip -----------------------------------------------------------------------------------------
L, K, N, n, n_min = var("L"), var("K"), var("N"), var("n", "j"), var("n_min")
SLIPS = {
    "no root": ("ufm-ce-value", "t", minimum(L * n_min, 1 / K), (3, 3, 3)),
    "sum loss": ("ufm-ce-value", "t", minimum(N * L * sqrt(n_min), 1 / K), (3, 3, 3)),
    "frame": ("upfm-ce-value", "tau", minimum(1 / K, L * sqrt(n)), (4, 4)),
    "threshold of features >= 0": (
        "ufm-ce-zero-threshold",
        "L_0",
        sqrt(n_min) / N * sqrt((K - 1) / K),
        (4, 4),
    ),
    "threshold of squares": ("upfm-ce-zero-threshold", "L_0", sqrt(n) / N, (3, 3, 3)),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_in_a_definition_is_violated_near_the_threshold(name: str) -> None:
    short, letter, wrong, sizes = SLIPS[name]
    right = lm.statement(f"collapse/{short}")
    planted = _redefined(right, letter, wrong)
    statuses, k = set(), len(sizes)
    for share in (0.3, 0.75, 0.9):
        decay = share * math.sqrt(sizes[0]) / sum(sizes) * math.sqrt((k - 1) / k if k > 2 else 1.0)
        model = short.partition("-")[0]
        case = lm.FeatureCase.create(model, "ce", sizes, lambda_W=decay, lambda_H=decay)
        assert lm.check(right, case).status is lm.Status.HOLDS
        statuses.add(lm.check(planted, case).status)
    assert lm.Status.VIOLATED in statuses


def test_a_slip_in_the_exact_law_is_violated() -> None:
    terms = var("C", "j") * step(var("d") - var("n") - var("r", "j"))  # < for <=
    law = lm.statement("collapse/cover-wendel")
    wrong = _redefined(law, "P", total(terms, "j") / total(var("C", "j"), "j"))
    case = lm.GaussianCase.create(K=2, n=6, d=9, samples=1500, draw=7)
    assert lm.check(law, case).status is lm.Status.HOLDS
    assert lm.check(wrong, case).status is lm.Status.VIOLATED


def _redefined(statement: lm.Statement, letter: str, value: Quantity) -> lm.Statement:
    assert letter in [d.name for d in statement.definitions]
    return dataclasses.replace(
        statement,
        definitions=tuple(
            dataclasses.replace(d, value=value) if d.name == letter else d
            for d in statement.definitions
        ),
    )
