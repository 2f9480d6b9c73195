"""Which classes can be collapsed: answers, certificates, wording, bad input."""

from __future__ import annotations

import json
from fractions import Fraction as F

import numpy as np
import pytest

from proofs_checks.audit import KINDS, audit_text
from proofs_checks.feasibility import (
    KIND,
    collapse_feasibility,
    first_layer,
    relu_features,
)
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError


def accepted(report):
    result = audit_text(report.certificate.to_json())
    assert result.accepted, result.reason
    return result.reason


def test_infeasible_for_both_classes_excludes_orthogonal_means_only():
    report = collapse_feasibility([(1, 0), (1, 1), (2, 0), (2, 2)], [1, 1, 2, 2])
    assert report.feasible == {"1": False, "2": False}
    assert (report.status, report.all, report.rigor) == ("solved", False, Rigor.PROVED)
    assert report.remark == (
        "infeasible: no NC1 optimum with orthogonal class means; "
        "collapse with other geometry is not excluded"
    )
    assert "for no class; none has for '1', '2'" in accepted(report)


def test_collapse_to_means_that_are_not_orthogonal_can_be_optimal():
    """The dual certificate of features 1, 1, 2, 2 (squared loss, 1/(2N)): |G h| <= L |h| for all h = relu(X w)."""
    X, Y = np.array([(1, 0), (1, 1), (2, 0), (2, 2)]), np.repeat(np.eye(2), 2, axis=1)
    L = 0.95 * np.sqrt(2) / 4  # the zero network is optimal from sqrt(2)/4 on
    h = np.array([1, 1, 2, 2]) / np.sqrt(10)
    v = Y @ h
    Z = (np.linalg.norm(v) - 4 * L) * np.outer(v / np.linalg.norm(v), h)
    G = (Y - Z) / 4
    assert np.linalg.norm(Z) > 0.05 and np.linalg.norm(G @ h) == pytest.approx(L)
    turn = np.linspace(0, 2 * np.pi, 20001)
    reachable = np.maximum(X @ np.stack([np.cos(turn), np.sin(turn)]), 0.0)
    assert (
        np.linalg.norm(G @ reachable, axis=0) <= L * np.linalg.norm(reachable, axis=0) + 1e-12
    ).all()
    # a neuron for one class alone would do better, if there were one
    assert np.linalg.norm(G @ [1, 1, 0, 0]) > L * np.sqrt(2)


def test_independent_points_are_feasible():
    report = collapse_feasibility(np.eye(5), ["a", "a", "b", "c", "c"])
    assert report.all is True and report.rigor is Rigor.PROVED and not report.reason
    assert "orthogonal class means" in report.remark
    assert "for 'a', 'b', 'c'; none has for no class" in accepted(report)


@pytest.mark.parametrize("d", [14, 15, 17])
def test_random_points_are_proved_and_agree_with_floats(d):
    rng = np.random.default_rng(d)
    labels = np.repeat(["x", "y"], 10)
    for _ in range(3):
        X = rng.standard_normal((20, d))
        report = collapse_feasibility(X, labels)
        assert report.status == "solved" and report.rigor is Rigor.PROVED
        accepted(report)
        floats = collapse_feasibility(X, labels, certify=False)
        assert floats.feasible == report.feasible
        assert floats.rigor is Rigor.NUMERICAL and floats.certificate is None


@pytest.mark.parametrize("scale", [1e-6, 1e6, 1e-300, 1e300])
def test_scaling_changes_no_answer(scale):
    X = np.random.default_rng(2).standard_normal((12, 8))
    labels = [0, 1, 2] * 4
    expected = collapse_feasibility(X, labels).feasible
    assert set(expected.values()) == {True, False}
    columns = np.where(np.arange(8) % 2, scale, 1.0)
    for scaled in (X * scale, X * columns):
        report = collapse_feasibility(scaled, labels)
        assert report.feasible == expected and report.rigor is Rigor.PROVED
        assert collapse_feasibility(scaled, labels, certify=False).feasible == expected


def test_degenerate_points():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((6, 12))
    X[3] = X[0]  # in both classes
    assert collapse_feasibility(X, "aaabbb").feasible == {"a": False, "b": False}
    X[3] = X[4]  # twice in one class
    report = collapse_feasibility(X, "aaabbb")
    assert report.all is True and report.rigor is Rigor.PROVED
    X[3] = 0.0
    report = collapse_feasibility(X, "aaabbb")
    assert report.feasible == {"a": True, "b": False} and report.rigor is Rigor.PROVED
    assert collapse_feasibility(X, "aaabbb", certify=False).feasible == report.feasible


def test_what_floats_cannot_tell_is_open_without_certification_and_decided_with():
    # w = (1, t) with gap <= t <= 0
    for gap, answer in ((F(0), True), (F(1, 10**40), False), (F(-1, 10**40), True)):
        X = [(F(1), F(0)), (F(0), F(1)), (gap, F(-1))]
        labels = ["own", "other", "other"]
        exact = collapse_feasibility(X, labels)
        assert exact.feasible["own"] is answer
        assert exact.rigor is Rigor.PROVED
        floats = collapse_feasibility(X, labels, certify=False)
        assert floats.feasible["own"] is None and floats.status == "undecided"
        assert "class own" in floats.reason and "certify=True" in floats.reason


def test_rational_points():
    report = collapse_feasibility([["1/3", "1/7"], ["2/3", "1/5"], ["1", "0"]], ["a", "a", "b"])
    assert report.feasible["a"] is True
    accepted(report)


def test_json_has_the_keys_of_the_contract():
    report = collapse_feasibility(np.eye(2), [0, 1])
    data = json.loads(json.dumps(report.to_json("out/certificate.json")))
    assert {"status", "feasible", "all", "rigor", "certificate"} <= set(data)
    assert data["feasible"] == {"0": True, "1": True}
    assert (data["status"], data["all"], data["rigor"]) == ("solved", True, "proved")
    assert data["certificate"] == "out/certificate.json"


def test_three_layers():
    rng = np.random.default_rng(3)
    X, labels = rng.standard_normal((18, 3)), np.repeat([0, 1, 2], 6)
    assert collapse_feasibility(X, labels).all is False  # six points in R^3
    narrow = collapse_feasibility(X, labels, hidden=5)
    wide = collapse_feasibility(X, labels, hidden=40, seed=1)
    assert narrow.all is False and wide.all is True
    assert narrow.rigor is wide.rigor is Rigor.PROVED
    assert "relu(x W) with the stated W, 3 by 40" in accepted(wide)
    assert "first layer stays as drawn" in narrow.remark
    again = collapse_feasibility(X, labels, hidden=40, seed=1)
    assert again.certificate == wide.certificate
    other = collapse_feasibility(X, labels, hidden=40, seed=2)
    assert other.certificate != wide.certificate


def test_the_first_layer_is_gaussian_in_multiples_of_a_power_of_two():
    W = first_layer(50, 60, 0)
    numbers = np.array([[float(x) for x in row] for row in W])
    assert numbers.shape == (50, 60)
    assert all((x * 2**20).denominator == 1 for row in W for x in row)
    assert abs(numbers.mean()) < 0.1 and numbers.std() == pytest.approx(1.0, abs=0.05)


def test_features_are_exact():
    X = ((F(1, 3), F(-2)), (F(0), F(1, 2**60)))
    W = ((F(3), F(-1)), (F(1, 4), F(-1, 2)))
    assert relu_features(X, W) == ((F(1, 2), F(2, 3)), (F(1, 2**62), F(0)))


def test_a_rejected_certificate_proves_nothing(monkeypatch):
    monkeypatch.setitem(KINDS, KIND, refuse)
    report = collapse_feasibility(np.eye(2), [0, 1])
    assert report.certificate is None and report.rigor is Rigor.NUMERICAL
    assert "not proved: the audit kernel says: no" in report.reason


def refuse(claim, inputs, witness, clock):
    from proofs_checks.audit.core import Rejected

    raise Rejected("no")


def test_a_certificate_that_is_too_long_proves_nothing(monkeypatch):
    monkeypatch.setattr("proofs_checks.audit.core.MAX_BYTES", 100)
    report = collapse_feasibility(np.eye(2), [0, 1])
    assert report.certificate is None and report.rigor is Rigor.NUMERICAL
    assert report.all is True and "too long" in report.reason


@pytest.mark.parametrize(
    ("X", "labels", "options", "message"),
    [
        (np.eye(2), [0, 0], {}, "at least two classes"),
        (np.eye(2), [0], {}, "1 labels for 2 points"),
        (np.eye(2), 7, {}, "must be a sequence"),
        (np.eye(2), [0, None], {}, "label of point 1 is missing"),
        (np.eye(2), [0.0, np.nan], {}, "label of point 1 is missing"),
        (np.eye(2), ["a", "  "], {}, "label of point 1 is missing"),
        (np.eye(2), [1, "1"], {}, "look the same"),
        (np.eye(3), [1, 1.0, 2], {}, "1 and 1.0 are equal and written differently"),
        (np.eye(3), [1, True, 2], {}, "1 and True are equal and written differently"),
        (np.eye(2), [[1], [2]], {}, "a text or a number"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), [0, 1], {}, "nan"),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), [0, 1], {}, "inf"),
        ([[1.0], [1.0, 2.0]], [0, 1], {}, "entries where"),
        ([], [], {}, "empty"),
        (np.ones(3), [0, 1, 1], {}, "matrix|sequence"),
        (np.eye(2), [0, 1], {"hidden": 0}, "width of the hidden layer is 0"),
        (np.eye(2), [0, 1], {"hidden": 2.5}, "width of the hidden layer"),
        (np.eye(2), [0, 1], {"hidden": True}, "width of the hidden layer"),
        (np.eye(2), [0, 1], {"seed": -1}, "seed is -1"),
    ],
)
def test_bad_input(X, labels, options, message):
    with pytest.raises(LemmataError, match=message):
        collapse_feasibility(X, labels, **options)


def test_integers_of_numpy_are_integers():
    X = np.random.default_rng(5).standard_normal((4, 3))
    plain = collapse_feasibility(X, [0, 0, 1, 1], hidden=5, seed=3)
    other = collapse_feasibility(X, np.array([0, 0, 1, 1]), hidden=np.int64(5), seed=np.int64(3))
    assert other.feasible == plain.feasible and other.hidden == 5
    assert other.certificate.to_json() == plain.certificate.to_json()


@pytest.mark.parametrize("seed", [0, 3])
def test_columns_of_very_different_sizes_are_decided_at_once(seed: int) -> None:
    """Their denominators must not multiply from turn to turn: this took minutes once."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((6, 6)) * 10.0 ** rng.uniform(-300, 300, (6, 6))
    found = collapse_feasibility(X, [0, 0, 0, 1, 1, 1])
    assert found.status == "solved" and found.all is not None
