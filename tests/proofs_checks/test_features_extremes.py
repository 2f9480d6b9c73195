"""Unconstrained features where numbers are very large, very small, or cancel."""

from __future__ import annotations

import json
import math
import warnings

import pytest

from proofs_checks.features import ufm, upfm
from theory.errors import LemmataError

MODELS = {"ufm": ufm, "upfm": upfm}
CASES = [(m, loss, b) for m in MODELS for loss in ("ce", "mse") for b in (False, True)]


@pytest.fixture(autouse=True)
def no_overflow():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def closed_form_is_proved(r):
    assert r.lower_bound <= r.closed_form * (1 + 1e-12)
    assert r.closed_form <= r.upper_bound * (1 + 1e-12)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("decay", [1e-20, 1e-100, 1e-300])
def test_small_entropies_do_not_cancel(model, decay, capfd):
    r = MODELS[model](classes=3, per_class=3, loss="ce", lambda_w=decay, lambda_h=decay)
    t = math.sqrt(3) * decay / (1 if model == "ufm" else math.sqrt(2 / 3))
    # to first order in t = (probability of a wrong class): Ent = 2t(1 - log t)
    assert r.closed_form == pytest.approx(2 * t * (1 - math.log(t)), rel=1e-9)
    assert r.status == "solved"
    closed_form_is_proved(r)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
@pytest.mark.parametrize("per_class", [3, [5, 2, 1]])
@pytest.mark.parametrize("decay", [1e3, 1e12, 1e200])
def test_far_above_the_threshold_all_is_zero(model, loss, bias, per_class, decay, capfd):
    r = MODELS[model](
        classes=3, per_class=per_class, loss=loss, lambda_w=decay, lambda_h=decay, bias=bias
    )
    assert (r.status, r.geometry, r.tight) == ("solved", "zero", "proved"), r.reason
    assert not r.H.any()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
@pytest.mark.parametrize("per_class", [3, [5, 2, 1]])
@pytest.mark.parametrize("decay", [1e-30, 1e-100, 1e-300])
def test_tiny_decays_are_answered_or_left_open(model, loss, bias, per_class, decay, capfd):
    r = MODELS[model](
        classes=3, per_class=per_class, loss=loss, lambda_w=decay, lambda_h=decay, bias=bias
    )
    assert r.status == "solved" or r.reason
    if r.status == "solved" and r.closed_form is not None:
        closed_form_is_proved(r)
    if per_class == 3:
        assert r.geometry == (
            "etf" if model == "ufm" and (bias or loss == "ce") else "orthogonal-frame"
        )
    json.dumps(r.to_json(), allow_nan=False)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("apart", [1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("share", [0.01, 100])
def test_targets_that_nearly_agree_with_a_bias(model, apart, share):
    """Only their distance counts, which is lost where 1 is not taken off exactly."""
    decay = apart * share
    case = {"loss": "mse", "bias": True, "lambda_w": decay, "lambda_h": decay}
    near = MODELS[model](targets=[[1, 1 + apart]], **case)
    plain = MODELS[model](targets=[[0, (1 + apart) - 1]], **case)
    assert (near.status, plain.status) == ("solved", "solved"), near.reason
    assert near.geometry == plain.geometry
    assert near.upper_bound == pytest.approx(plain.upper_bound, rel=1e-9)
    assert near.certificate.audit().accepted
    assert near.b[0] == pytest.approx(1 + plain.b[0])
    if model == "ufm":
        closed_form_is_proved(near)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("size", "decay"), [(1e300, 0.1), (1e-300, 0.1), (1e160, 0.1), (1e-160, 1e-160), (1, "1e-320")]
)
def test_numbers_beyond_floats_are_refused(model, size, decay, capfd):
    with pytest.raises(LemmataError, match="rescale"):
        MODELS[model](targets=[[size, -size]], loss="mse", lambda_w=decay, lambda_h=decay)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
@pytest.mark.parametrize("per_class", [[3, 3], [5, 2, 1]])
@pytest.mark.parametrize("decay", [0.02, 10])
def test_no_width_is_claimed_that_is_not_needed(model, loss, bias, per_class, decay):
    K = len(per_class)
    case = {"classes": K, "per_class": per_class, "lambda_w": decay, "lambda_h": decay}
    r = MODELS[model](**case, loss=loss, bias=bias)
    width = r.certificate.claim["width"]
    assert r.status == "solved" and width == len(r.W) == len(r.H) <= K
    if decay == 10:
        assert width == 1


def test_a_steep_loss_is_left_by_steps_that_first_fail():
    """L is 1e-7 of the threshold: the program's solution is good in value, but not in its gradient."""
    r = upfm(
        classes=3,
        per_class=[9, 3, 6],
        loss="mse",
        lambda_w=6.681837397185181e-07,
        lambda_h=8.656063226053215e-11,
        bias=True,
    )
    assert (r.status, r.tight) == ("solved", "proved"), r.reason
    assert r.relative_gap < 1e-7
