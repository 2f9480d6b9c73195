"""Optima of unconstrained features: closed forms against solver and certificate, shapes, tightness, bad input."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.features_programs import SolverFailure
from proofs_checks import features_search
from proofs_checks.collapse_cases import FeatureCase
from proofs_checks.features import FeatureOptimum, ufm, upfm
from proofs_checks.features_closed import closed_form
from proofs_checks.features_examples import horn_instance
from proofs_checks.static import judge
from proofs_checks.verdict import Status
from theory import collapse
from theory.errors import LemmataError

MODELS = {"ufm": ufm, "upfm": upfm}
CASES = [(m, loss, b) for m in MODELS for loss in ("ce", "mse") for b in (False, True)]


def proved(r: FeatureOptimum) -> None:
    """Solved with proved bounds that hold for the network handed out and for the closed form."""
    assert (r.status, str(r.rigor), r.tight) == ("solved", "proved", "proved"), r.reason
    assert r.certificate is not None and r.certificate.audit().accepted is True
    assert r.lower_bound is not None and r.upper_bound is not None
    assert r.lower_bound - 1e-30 <= r.solver <= r.upper_bound + 1e-30
    assert 0 <= r.relative_gap <= 1e-6
    if r.upper_bound:
        assert r.relative_gap == (r.upper_bound - r.lower_bound) / r.upper_bound
    if r.closed_form is not None:
        assert r.lower_bound - 1e-30 <= r.closed_form <= r.upper_bound * (1 + 1e-12) + 1e-30
        assert r.solver == pytest.approx(r.closed_form, rel=1e-7, abs=1e-30)


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
@pytest.mark.parametrize("per_class", [20, [30, 20, 7]])
@pytest.mark.parametrize("decay", ["1/1000000000", 1e-4, 0.02, 1e4])
def test_closed_forms_against_solver_and_certificate(model, loss, bias, per_class, decay):
    r = MODELS[model](
        classes=3, per_class=per_class, loss=loss, lambda_w=decay, lambda_h=decay, bias=bias
    )
    proved(r)
    if per_class == 20:
        assert r.closed_form is not None and r.form == "scalars"


@given(data=st.data())
def test_any_case_is_solved(data):
    model, loss, bias = data.draw(st.sampled_from(CASES))
    counts = data.draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    decays = st.floats(-4, 0).map(lambda x: 10.0**x)
    proved(
        MODELS[model](
            classes=len(counts),
            per_class=counts,
            loss=loss,
            lambda_w=data.draw(decays),
            lambda_h=data.draw(decays),
            bias=bias,
        )
    )


@pytest.mark.parametrize("ratio", [1e-6, 1.0, 1e6])
def test_only_the_product_of_the_decays_counts(ratio):
    """λ_W times 2^k and λ_H divided by it: the same value, W and H scaled against each other."""
    power = 2.0 ** round(math.log2(ratio))
    plain = upfm(classes=3, per_class=5, loss="ce", lambda_w=0.03, lambda_h=0.03)
    other = upfm(classes=3, per_class=5, loss="ce", lambda_w=0.03 * power, lambda_h=0.03 / power)
    proved(other)
    assert other.closed_form == plain.closed_form
    assert np.allclose(other.Z, plain.Z, rtol=1e-6)
    assert np.linalg.norm(other.W) * math.sqrt(power) == pytest.approx(np.linalg.norm(plain.W))


# One L on each side of the threshold, and what the features look like below it.
def threshold(model: str, loss: str, bias: bool, K: int, n: int) -> float:
    if model == "upfm" and (loss == "ce" or bias):
        return math.sqrt(n) / (K * n) * math.sqrt((K - 1) / K)
    return 1 / (K * math.sqrt(n))


SHAPES = {
    ("ufm", "ce", False): "etf",
    ("ufm", "ce", True): "etf",
    ("ufm", "mse", False): "orthogonal-frame",
    ("ufm", "mse", True): "etf",
    ("upfm", "ce", False): "orthogonal-frame",
    ("upfm", "ce", True): "orthogonal-frame",
    ("upfm", "mse", False): "orthogonal-frame",
    ("upfm", "mse", True): "orthogonal-frame",
}


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
@pytest.mark.parametrize(("K", "n"), [(2, 3), (4, 6)])
def test_zero_thresholds_and_geometry(model, loss, bias, K, n):
    L = threshold(model, loss, bias, K, n)
    case = {"classes": K, "per_class": n, "loss": loss, "bias": bias}
    for factor in (1 - 1e-3, 1 - 1e-9, 1 + 1e-9, 1.5):
        r = MODELS[model](**case, lambda_w=L * factor, lambda_h=L * factor)
        proved(r)
        assert r.geometry == (SHAPES[model, loss, bias] if factor < 1 else "zero")
        assert r.collapsed == (factor < 1) and r.alive == (factor < 1,) * K


def test_etf_and_orthogonal_frame_differ_although_they_centre_alike():
    case = {"classes": 3, "per_class": 10, "loss": "ce", "lambda_w": 0.02, "lambda_h": 0.02}
    free, positive = ufm(**case), upfm(**case)
    centred = [r.H - r.H.mean(axis=1, keepdims=True) for r in (free, positive)]
    for H in centred:
        cosines = H.T @ H / np.outer(*(np.linalg.norm(H, axis=0),) * 2)
        assert np.allclose(cosines[~np.eye(3, dtype=bool)], -0.5, atol=1e-4)
    assert (free.geometry, positive.geometry) == ("etf", "orthogonal-frame")
    assert np.allclose(positive.H.T @ positive.H, np.eye(3) * np.sum(positive.H**2) / 3, atol=1e-3)


def test_single_classes_die_first_in_imbalanced_upfm():
    """Class k is zero exactly if L >= (√n_k/N)√((K-1)/K)."""
    counts, N = (30, 20, 7), 57
    L = math.sqrt(7) / N * math.sqrt(2 / 3)
    for factor, alive in ((0.99, True), (1.01, False)):
        r = upfm(classes=3, per_class=counts, loss="ce", lambda_w=factor * L, lambda_h=factor * L)
        proved(r)
        assert r.alive == (True, True, alive)
        assert np.linalg.norm(r.H[:, 2]) == pytest.approx(0, abs=1e-6) or alive
        assert r.geometry == ("orthogonal-frame" if alive else "other")


@pytest.mark.parametrize("bias", [False, True])
def test_minority_collapse(bias):
    """Two groups of two classes: the minority's outputs coincide exactly if L >= √n_B/N."""
    counts, N = (20, 20, 3, 3), 46
    L = math.sqrt(3) / N
    for factor, merged in ((0.97, False), (1.03, True)):
        r = ufm(
            classes=4,
            per_class=counts,
            loss="ce",
            lambda_w=factor * L,
            lambda_h=factor * L,
            bias=bias,
        )
        proved(r)
        apart = np.abs(r.W[:, 2] - r.W[:, 3]).max() / np.abs(r.W).max()
        assert apart < 1e-3 if merged else apart > 1e-2


@pytest.mark.parametrize("bias", [False, True])
def test_the_zero_threshold_of_imbalanced_ufm_is_an_eigenvalue(bias):
    n = np.array([9.0, 4.0, 2.0])
    M = np.diag(n) - (np.outer(n, n) / 15 if bias else np.sqrt(np.outer(n, n)) / 3)
    L = math.sqrt(np.linalg.eigvalsh(M)[-1]) / 15
    for factor in (0.98, 1.02):
        r = ufm(
            classes=3,
            per_class=[9, 4, 2],
            loss="ce",
            lambda_w=L * factor,
            lambda_h=L * factor,
            bias=bias,
        )
        proved(r)
        assert (r.geometry == "zero") == (factor > 1) == (r.closed_form is not None)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("loss", ["ce", "mse"])
def test_the_full_lift_gives_the_same(model, loss):
    case = {"classes": 3, "per_class": 6, "loss": loss, "lambda_w": 0.04, "lambda_h": 0.04}
    full = MODELS[model](**case, full=True)
    proved(full)
    assert full.form == "full" and full.collapsed
    assert full.solver == pytest.approx(MODELS[model](**case).solver, rel=1e-7)


def test_speed_of_the_large_cases():
    """Ten classes of a hundred: closed form, program and certificate within a second; the full lift of 60 in two."""
    import time

    import cvxpy  # noqa: F401  (the import is not what is measured)

    start = time.process_time()
    proved(upfm(classes=10, per_class=100, loss="ce", lambda_w=0.003, lambda_h=0.003))
    assert time.process_time() - start < 1.0
    start = time.process_time()
    proved(upfm(classes=3, per_class=20, loss="ce", lambda_w=0.03, lambda_h=0.03, full=True))
    assert time.process_time() - start < 2.0


# -- general targets


def test_horn_has_a_gap():
    r = upfm(**horn_instance())
    assert (r.status, r.tight, r.geometry, str(r.rigor)) == ("solved", "gap", "zero", "proved")
    assert r.lower_bound == pytest.approx(8.83042, abs=1e-5)
    assert r.gap_certificate is not None and r.gap_certificate.audit().accepted is True
    claim = r.gap_certificate.claim
    assert float.fromhex(claim["relaxation"]) == pytest.approx(8.82153, abs=1e-5)
    assert r.certificate is not None and r.certificate.audit().accepted is True


@given(seed=st.integers(0, 10**6), size=st.integers(1, 4), bias=st.booleans())
def test_four_columns_are_always_tight(seed, size, bias):
    """A doubly non-negative matrix of order at most 4 is completely positive."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(rng.integers(1, 4), size))
    r = upfm(targets=targets, loss="mse", lambda_w=0.05, lambda_h=0.05, bias=bias)
    proved(r)


@pytest.mark.parametrize("size", [6, 9])
def test_general_targets_are_decided(size):
    """Tight or not, a network and a bound within the gap; where there is a gap, a certificate of it."""
    for seed in range(3):
        targets = np.random.default_rng(seed).normal(size=(4, size))
        r = upfm(targets=targets, per_class=2, loss="mse", lambda_w=0.1, lambda_h=0.1)
        assert r.status == "solved" and r.relative_gap <= 1e-6
        assert r.tight in ("proved", "gap") and (r.gap_certificate is None) == (r.tight != "gap")
        free = ufm(targets=targets, per_class=2, loss="mse", lambda_w=0.1, lambda_h=0.1)
        proved(free)
        assert free.closed_form is not None and free.lower_bound <= r.upper_bound


def test_one_output():
    """K = 1, Y = (1, -1): the lift is tight although one feature would not do."""
    r = upfm(targets=[[1, -1]], loss="mse", lambda_w=0.1, lambda_h=0.1)
    proved(r)
    assert r.solver == pytest.approx(0.18, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scaled_targets(scale):
    """Y and λ times s: the value times s²."""
    Y = np.array([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0]])
    plain = upfm(targets=Y, loss="mse", lambda_w=0.1, lambda_h=0.1)
    other = upfm(targets=scale * Y, loss="mse", lambda_w=0.1 * scale, lambda_h=0.1 * scale)
    proved(plain)
    proved(other)
    assert other.solver == pytest.approx(scale**2 * plain.solver, rel=1e-6)


def test_targets_that_are_one_hot_are_the_classes():
    case = {"loss": "mse", "lambda_w": "1/50", "lambda_h": Fraction(1, 50), "per_class": [5, 3]}
    a, b = upfm(classes=2, **case), upfm(targets=[[1, 0], [0, 1]], **case)
    assert a.solver == pytest.approx(b.solver, rel=1e-9) and a.geometry == b.geometry


@pytest.mark.parametrize(
    ("targets", "bias"),
    [
        ([[0, 0]], False),
        ([[0.1, 0.1], [7, 7]], True),
        ([[-735.0], [-561.0], [-399.0], [1137.0]], True),
    ],
)
def test_targets_that_cost_nothing(targets, bias):
    for model in (ufm, upfm):
        r = model(targets=targets, loss="mse", lambda_w=1, lambda_h=1, bias=bias)
        proved(r)
        assert (r.status, r.lower_bound, r.upper_bound, r.relative_gap) == ("solved", 0.0, 0.0, 0.0)


# -- what is said, and what is refused


def test_json_has_the_keys_of_the_contract(tmp_path):
    r = upfm(classes=3, per_class=4, loss="ce", lambda_w=0.05, lambda_h=0.05)
    path = r.certificate.write(tmp_path / "c.json")
    data = json.loads(json.dumps(r.to_json(path)))
    names = (
        "status, closed_form, solver, lower_bound, relative_gap, collapsed, geometry, tight, rigor, seconds, "
        "certificate"
    )
    assert set(data) == set(names.split(", "))
    assert data["certificate"] == str(path) and data["collapsed"] is True


def test_without_a_solver_the_closed_form_is_still_proved(monkeypatch):
    def fails(*args):
        raise SolverFailure("no solver ended with 'optimal'")

    monkeypatch.setattr(features_search, "solve_program", fails)
    r = upfm(classes=3, per_class=4, loss="ce", lambda_w=0.05, lambda_h=0.05)
    assert r.solver is None and "no solver" in r.reason and str(r.rigor) == "proved"
    assert r.status == "solved" and r.lower_bound <= r.closed_form <= r.upper_bound


def test_a_gap_that_is_not_reached_is_undecided():
    r = ufm(classes=3, per_class=4, loss="ce", lambda_w=0.05, lambda_h=0.05, gap=1e-15)
    assert r.status == "undecided" and "larger gap" in r.reason and r.lower_bound is not None
    assert r.to_json()["reason"] == r.reason


GOOD = {"classes": 3, "per_class": 4, "loss": "ce", "lambda_w": 0.1, "lambda_h": 0.1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lambda_w": 0}, "lambda_w = 0: without weight decay"),
        ({"lambda_h": -1.0}, "lambda_h = -1.0"),
        ({"lambda_h": float("nan")}, "lambda_h is nan"),
        ({"lambda_w": "1/0"}, "lambda_w is '1/0'"),
        ({"lambda_w": 1e-320, "lambda_h": "1/1" + "0" * 400}, "range of float64"),
        ({"classes": 1}, "at least 2"),
        ({"classes": None}, "at least 2"),
        ({"classes": True}, "at least 2"),
        ({"classes": 2.0}, "at least 2"),
        ({"classes": 500}, "at most 128"),
        ({"per_class": 0}, "per_class = 0"),
        ({"per_class": [3, 0, 1]}, r"per_class\[1\] = 0"),
        ({"per_class": [3, 1]}, "2 numbers for 3 classes"),
        ({"per_class": 2.5}, "a number or a list"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"targets": [[1, 0], [0, 1]]}, "one-hot"),
        ({"targets": [[1, 0], [0, 1]], "loss": "mse"}, "2 rows: leave out classes"),
        ({"targets": [[1, float("inf")]], "loss": "mse", "classes": None}, "is inf"),
        ({"targets": [[1, 0], [1]], "loss": "mse", "classes": None}, "complete the rows"),
        ({"targets": [], "loss": "mse", "classes": None}, "empty"),
        ({"per_class": 10**13}, "at most 1,000,000,000,000"),
        ({"gap": 0}, "relative gap"),
        ({"gap": float("nan")}, "gap is nan"),
        ({"gap": "a"}, "gap is 'a'"),
        ({"bias": "no"}, "bias = 'no': give True or False"),
        ({"full": 1}, "full = 1: give True or False"),
        ({"per_class": 1000, "full": True}, "leave out 'full'"),
    ],
)
def test_bad_input(change, message):
    for solve in (ufm, upfm):
        with pytest.raises(LemmataError, match=message):
            solve(**{**GOOD, **change})


def test_no_closed_form_is_made_up():
    quarter = Fraction(1, 10**4)
    assert closed_form("ufm", "ce", (3, 2), quarter, False) is None
    assert closed_form("upfm", "ce", (3, 2), quarter, True) is None
    assert closed_form("upfm", "mse", (3, 2), quarter, True) is None
    assert closed_form("upfm", "mse", (1, 1), quarter, False, np.ones((2, 2))) is None


# -- the same closed forms, said as statements


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
@pytest.mark.parametrize("counts", [(4, 4, 4), (6, 3, 2)])
def test_the_statements_say_the_same(model, loss, bias, counts):
    """Where a statement gives a value, so does `closed_form`, and both are in the proved interval."""
    values = [s for s in collapse.STATEMENTS if s.id.startswith(f"collapse/{model}-{loss}-")]
    values = [s for s in values if s.id.endswith("-value")]
    for L in (Fraction(1, 50), Fraction(1, 6)):
        case = FeatureCase.create(model, loss, counts, lambda_W=L, lambda_H=L, bias=bias)
        held = [v for v in judge(values, case) if v.status is not Status.VACUOUS]
        assert {v.status for v in held} <= {Status.HOLDS}, held
        formula = closed_form(model, loss, counts, L * L, bias)
        assert formula is not None or not held
        if counts == (4, 4, 4) or not bias:
            assert held or (model, loss, counts) == ("ufm", "ce", (6, 3, 2))
