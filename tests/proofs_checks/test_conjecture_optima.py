"""Optima inside conjectures, against the solvers, closed forms, and the audit kernel."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import strategies as st

from proofs_checks.audit import audit_text
from proofs_checks.certificate import Certificate
from proofs_checks.conjectures import optima
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.certificate import certify
from proofs_checks.conjectures.conjecture import conjecture
from proofs_checks.conjectures.judge import HOLDS, UNDECIDED, VIOLATED, judge, judge_exact
from proofs_checks.conjectures.oracles import ORACLES, ball_oracles, float_oracles
from proofs_checks.conjectures.samples import Parameter, Real
from proofs_checks.features import ufm, upfm
from proofs_checks.margins import margin
from proofs_checks.relu_training import convex_relu
from theory.errors import LemmataError

RNG = np.random.default_rng(7)
X = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.5]])
y = np.array([1.0, -1.0, 2.0, 0.5])
LABELS = np.array([1.0, -1.0, 1.0, 1.0])
RELU = optima._parameters(optima.RELU, ("X", "y", "beta"), {"loss": "squared"})
LOGISTIC = optima._parameters(optima.RELU, ("X", "y", "beta"), {"loss": "logistic"})
F1, F2 = (
    optima._parameters(optima.MARGIN, ("points", "labels"), {"space": s}) for s in ("f1", "f2")
)
TARGETS = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
FEATURES = optima._parameters(
    optima.FEATURES,
    ("targets", "lambda_w", "lambda_h"),
    {
        "model": "ufm",
        "loss": "mse",
        "bias": False,
        "width": 128,
        "multiplicities": [1, 2, 1],
    },
)
QUESTIONS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "squared": (RELU, [X, y, 0.5]),
    "logistic": (LOGISTIC, [X, LABELS, 0.25]),
    "f1": (F1, [X[:3], LABELS[:3]]),
    "f2": (F2, [X[:3], LABELS[:3]]),
    "features": (FEATURES, [TARGETS.T, 0.125, 0.0625]),
}


def pairs(args: list[Any], radii: list[float] | None = None) -> list[Any]:
    mids = [np.asarray(a, dtype=float)[None] for a in args]
    return [(m, np.full_like(m, r)) for m, r in zip(mids, radii or [0.0] * len(mids), strict=True)]


def flat(args: list[Any]) -> list[list[fmpq]]:
    return [[fmpq(*x.as_integer_ratio()) for x in np.ravel(a).tolist()] for a in args]


# -- values ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("loss", "labels"), [("squared", y), ("logistic", LABELS)])
def test_relu_optima_are_those_of_convex_training(loss: str, labels: Any) -> None:
    found = optima.relu_optimum(X, labels, 0.5, loss)
    solved = convex_relu(X, labels, beta=0.5, loss=loss, certify=True)
    assert found - found.error <= solved.objective and solved.lower_bound <= found + found.error
    assert found.error < 1e-7


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_one_direction_is_soft_thresholding(beta: float) -> None:
    # outputs t and s t on points 1 and s: the best network of a line through 0
    s, target = 2.0, 2.0
    found = optima.relu_optimum([[1.0], [s]], [target, s * target], beta)
    # min over c >= 0 of (1 + s²)(c - 2)²/2 + beta c
    a = 1 + s * s
    true = beta * target - beta * beta / (2 * a) if beta < a * target else a * target**2 / 2
    assert abs(found - true) <= found.error + 1e-12


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("point", [(3.0, 4.0), (0.0, 0.0), (-1.0, 0.125)])
@pytest.mark.parametrize("beta", [0.125, 2.0, 100.0])
def test_equal_points_are_solved_and_certified(loss: str, point: Any, beta: float) -> None:
    points, labels = [list(point)] * 3, [1.0, -1.0, 1.0]
    found = optima.relu_optimum(points, labels, beta, loss)
    length = math.hypot(*point)

    def value(c: float) -> float:
        f = np.full(3, c)
        own = (f - labels) @ (f - labels) / 2
        if loss == "logistic":
            own = np.log1p(np.exp(-np.array(labels) * f)).sum()
        return float(own + (beta * abs(c) / length if length else 0.0))

    best = value(0.0) if not length else min(map(value, np.linspace(-1.0, 1.0, 40_001)))
    assert -1e-8 <= best - found <= 1e-6 and found.error < 1e-9
    parameters = RELU if loss == "squared" else LOGISTIC
    (ball,), data = ball_oracles()["optimum"](parameters, flat([points, labels, beta]), 128)
    assert data is not None and ball.overlaps(arb(float(found), found.error + 1e-9))


@pytest.mark.parametrize("space", ["f1", "f2"])
def test_margins_are_those_of_the_solver(space: str) -> None:
    found, solved = optima.margin(X[:3], LABELS[:3], space), margin(X[:3], LABELS[:3], space=space)
    assert solved.lower - 1e-12 <= found <= solved.upper + 1e-12 and found.error < 1e-8


def test_the_margin_of_one_point() -> None:
    found = optima.margin([[3.0, 4.0]], [-1])
    assert abs(found - 5.0) <= found.error + 1e-12


@pytest.mark.parametrize("solver", ["ufm", "upfm"])
@pytest.mark.parametrize("loss", ["ce", "mse"])
def test_features_are_those_of_the_solver(solver: str, loss: str) -> None:
    options: dict[str, Any] = {"loss": loss, "lambda_w": 0.125, "lambda_h": 0.0625, "bias": True}
    ask, solve = (optima.ufm, ufm) if solver == "ufm" else (optima.upfm, upfm)
    found = ask(classes=3, per_class=[1, 2, 1], **options)
    solved = solve(classes=3, per_class=[1, 2, 1], **options)
    assert solved.lower_bound is not None and solved.upper_bound is not None
    assert solved.lower_bound - 1e-12 <= found <= solved.upper_bound + 1e-12
    assert found.error < 1e-6 * abs(found)


def test_targets_are_a_matrix_with_a_column_for_each_target() -> None:
    found = optima.ufm(
        loss="mse", targets=TARGETS, per_class=[1, 2, 1], lambda_w=0.125, lambda_h=0.0625
    )
    solved = ufm(loss="mse", targets=TARGETS, per_class=[1, 2, 1], lambda_w=0.125, lambda_h=0.0625)
    assert found == pytest.approx(solved.upper_bound, rel=1e-6)


# -- errors of arguments ---------------------------------------------------------------------------
RADII = {
    "squared": [1e-3, 1e-2, 1e-2],
    "logistic": [1e-3, 0.0, 1e-2],
    "f1": [1e-2, 0.0],
    "f2": [1e-2, 0.0],
    "features": [1e-2, 1e-3, 1e-3],
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_bound_covers_all_arguments_within_their_errors(name: str) -> None:
    parameters, args = QUESTIONS[name]
    oracle = ORACLES["optimum"]
    mid, rad = oracle.floats(parameters, pairs(args, RADII[name]))
    exact, error = oracle.floats(parameters, pairs(args))
    assert error[0] < 1e-6 < rad[0] < 1.0
    seen = 0.0
    for _ in range(5):
        moved = [
            np.asarray(a) + r * RNG.choice([-1.0, 1.0], np.shape(a))
            for a, r in zip(args, RADII[name], strict=True)
        ]
        value, own = oracle.floats(parameters, pairs(moved))
        assert abs(value[0] - mid[0]) <= rad[0] + own[0]
        seen = max(seen, abs(value[0] - exact[0]))
    assert rad[0] < 200 * seen  # not empty words


@pytest.mark.parametrize("which", ["logistic", "f1", "f2"])
def test_labels_are_exact_or_nothing_is_known(which: str) -> None:
    parameters, args = QUESTIONS[which]
    radii = [0.0, 1e-16, 0.0][: len(args)]
    _, rad = ORACLES["optimum"].floats(parameters, pairs(args, radii))
    assert rad[0] == math.inf


# -- what has no bound -----------------------------------------------------------------------------
UNSOLVED: dict[str, tuple[list[Any], str]] = {
    "no decay": ([X, y, 0.0], "positive number"),
    "negative decay": ([X, y, -1.0], "positive number"),
    "infinite": ([X, y, math.inf], "not finite"),
    "huge": ([1e200 * X, y, 1.0], "1e"),
}


@pytest.mark.parametrize("name", UNSOLVED)
def test_what_is_not_solved_has_no_bound_and_a_reason(name: str) -> None:
    args, reason = UNSOLVED[name]
    mid, rad = ORACLES["optimum"].floats(RELU, pairs(args))
    assert np.isfinite(mid[0]) and rad[0] == math.inf
    with pytest.raises(LemmataError, match=f"undecided: .*{reason}"):
        optima.relu_optimum(*args)


def test_a_batch_is_its_lanes() -> None:
    args = [np.stack([X, 2 * X]), np.stack([y, y]), np.array([0.5, 0.25])]
    mid, rad = ORACLES["optimum"].floats(RELU, [(a, np.zeros_like(a)) for a in args])
    for lane in range(2):
        single = ORACLES["optimum"].floats(RELU, pairs([a[lane] for a in args]))
        assert (mid[lane], rad[lane]) == (single[0][0], single[1][0])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: optima.relu_optimum(X, y, 1.0, "hinge"), "unknown loss"),
        (lambda: optima.relu_optimum(X, y[:2], 1.0), "one number per row"),
        (lambda: optima.relu_optimum(y, y, 1.0), "one number per row"),
        (lambda: optima.margin(X, LABELS, "f3"), "unknown space"),
        (lambda: optima.ufm(classes=1, loss="ce", lambda_w=1, lambda_h=1), "classes = 1"),
        (lambda: optima.ufm(loss="ce", lambda_w=1, lambda_h=1), "classes = None"),
        (
            lambda: optima.ufm(classes=2, per_class=[1], loss="ce", lambda_w=1, lambda_h=1),
            "one for each of 2",
        ),
        (
            lambda: optima.ufm(classes=2, per_class=0, loss="ce", lambda_w=1, lambda_h=1),
            "per_class = 0",
        ),
        (
            lambda: optima.ufm(targets=TARGETS, loss="ce", lambda_w=1, lambda_h=1),
            "the loss 'mse'",
        ),
        (
            lambda: optima.ufm(classes=3, targets=TARGETS, loss="mse", lambda_w=1, lambda_h=1),
            "leave out classes",
        ),
        (lambda: optima.ufm(classes=2, loss="ce", lambda_w=1, lambda_h=1, bias=1), "True or False"),  # type: ignore[arg-type]
    ],
)
def test_questions_that_make_no_sense(ask: Any, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        ask()


# -- balls and certificates ------------------------------------------------------------------------
@pytest.mark.parametrize("name", QUESTIONS)
def test_exact_arguments_give_a_ball_and_a_certificate_that_the_kernel_accepts(name: str) -> None:
    parameters, args = QUESTIONS[name]
    (ball,), data = ball_oracles()["optimum"](parameters, flat(args), 128)
    mid, rad = ORACLES["optimum"].floats(parameters, pairs(args))
    assert ball.is_finite() and ball.overlaps(arb(float(mid[0]), 2 * float(rad[0]) + 1e-12))
    assert ball.rad() < 1e-6
    assert data is not None
    certificate = Certificate(*(data[k] for k in ("kind", "claim", "inputs", "witness")))
    assert audit_text(certificate.to_json()).accepted
    named = {*parameters["arguments"], *parameters["fixed"], "lower", "upper"}
    assert certificate.kind == parameters["certificate"]
    # a claim without targets restates that there are none
    assert named == set(certificate.claim)
    for field, value in parameters["fixed"].items():
        assert certificate.claim[field] == value


def test_arguments_that_are_no_rationals_give_no_ball() -> None:
    args = flat([X, y, 0.5])
    irrational: list[Any] = [*args[:2], [arb(2).sqrt()]]
    (ball,), data = ball_oracles()["optimum"](RELU, irrational, 128)
    assert data is None and not ball.is_finite()


def test_features_without_targets_say_so() -> None:
    fixed = {
        **{"model": "upfm", "loss": "ce", "bias": True, "width": 128},
        **{"multiplicities": [1, 1, 1], "targets": []},
    }
    parameters = optima._parameters(optima.FEATURES, ("lambda_w", "lambda_h"), fixed)
    _, data = ball_oracles()["optimum"](parameters, flat([0.125, 0.125]), 128)
    assert data is not None
    assert set(data["claim"]) == {*fixed, "lambda_w", "lambda_h", "lower", "upper"}


# -- inside a conjecture ---------------------------------------------------------------------------
def below(c: Fraction) -> Any:
    """The optimum with weight decay beta is at most c ‖y‖²; the zero network shows it for c = 1/2."""

    @conjecture(case=st.nothing())
    def claim(case: Any) -> Any:
        return optima.relu_optimum(case["X"], case["y"], case["beta"]) <= c * np.sum(
            case["y"] * case["y"]
        )

    return claim


CASE = ConjectureCase.of(
    {"X": Parameter([[1.0, 0.0], [1.0, 1.0]]), "y": Parameter([1.0, -1.0]), "beta": Real(1.0)}
)


def test_a_true_statement_about_an_optimum_holds() -> None:
    traced = below(Fraction(1, 2)).trace(CASE)
    given = {k: a[None] for k, a in CASE.floats().items()}
    assert judge(traced, given, oracles=float_oracles()).status[0] in (HOLDS, UNDECIDED)
    assert judge_exact(traced, CASE, oracles=ball_oracles()).status != VIOLATED


def test_a_wrong_statement_about_an_optimum_is_refuted_with_a_certificate() -> None:
    traced = below(Fraction(1, 8)).trace(CASE)
    given = {k: a[None] for k, a in CASE.floats().items()}
    assert judge(traced, given, oracles=float_oracles()).status[0] == VIOLATED
    found = judge_exact(traced, CASE, oracles=ball_oracles())
    assert found.status == VIOLATED and found.exact
    certificate, reason = certify(traced, CASE, found, name="below")
    assert certificate is not None, reason
    assert certificate.audit().accepted


def test_a_wrong_statement_about_features_and_margins_is_refuted_with_a_certificate() -> None:
    @conjecture(case=st.nothing())
    def claim(case: Any) -> Any:
        least = optima.ufm(
            classes=2, loss="mse", lambda_w=case["beta"] / 8, lambda_h=case["beta"] / 4
        )
        return {
            "features": least <= case["beta"] / 64,
            "margin": 4 * optima.margin(case["X"], np.array([1, -1])) <= np.max(case["X"]),
        }

    traced = claim.trace(CASE)
    for conclusion in traced.program.conclusions:
        part = replace(traced, program=replace(traced.program, conclusions=(conclusion,)).pruned())
        found = judge_exact(part, CASE, oracles=ball_oracles())
        assert found.status == VIOLATED
        certificate, reason = certify(part, CASE, found, name="claim")
        assert certificate is not None, reason
