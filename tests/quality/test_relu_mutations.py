"""Certificates of convex ReLU training: whatever is changed, the kernel must not accept a false claim."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from numerics.pricing import Pricing
from numerics.relu_training import train
from proofs_checks.audit import audit_text, relu
from proofs_checks.audit.core import KINDS
from proofs_checks.exact_data import exact_text
from proofs_checks.relu_certificates import KIND, certify
from proofs_checks.relu_training import ReluOptimum, convex_relu
from proofs_checks.sign_tree import bound_witness

DATA = Path(__file__).parents[2] / "benchmarks" / "data"


@pytest.fixture(autouse=True)
def kernel(monkeypatch) -> None:
    monkeypatch.setitem(KINDS, KIND, relu.check)


@pytest.fixture(scope="module", params=["squared", "logistic"])
def solved(request) -> tuple[ReluOptimum, dict]:
    values = np.loadtxt(DATA / "diabetes_10_2.csv", delimiter=",", skiprows=1)
    y = values[:, -1] if request.param == "squared" else np.where(values[:, -1] > 0, 1, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, KIND, relu.check)
        found = convex_relu(values[:, :-1], y, relative_beta=0.1, loss=request.param)
    return found, json.loads(found.certificate.to_json())


def times(text: str, factor: Fraction) -> str:
    number = Fraction(*float.fromhex(text).as_integer_ratio()) if "x" in text else Fraction(text)
    return exact_text(number * factor)


def verdict(data: dict) -> bool | None:
    return audit_text(json.dumps(data)).accepted


def test_untouched_it_is_accepted_and_says_what_it_proves(solved) -> None:
    found, data = solved
    answer = audit_text(json.dumps(data))
    assert answer.accepted
    assert "any width" in answer.reason and f"width {found.neurons}" in answer.reason
    assert found.data.loss in answer.reason


BIT = Fraction(1, 2**30)
FALSE = {
    "lower bound too high": lambda d: d["claim"].update(lower=times(d["claim"]["lower"], 1 + BIT)),
    "objective understated": lambda d: d["claim"].update(upper=times(d["claim"]["upper"], 1 - BIT)),
    "beta understated": lambda d: d["claim"].update(beta=times(d["claim"]["beta"], 1 - BIT)),
    "beta overstated": lambda d: d["claim"].update(beta=times(d["claim"]["beta"], 1 + BIT)),
    "dual vector scaled up": lambda d: d["witness"].update(
        nu=[times(x, 1 + BIT) for x in d["witness"]["nu"]]
    ),
    "dual vector scaled down": lambda d: d["witness"].update(
        nu=[times(x, 1 - BIT) for x in d["witness"]["nu"]]
    ),
    "another point": lambda d: d["claim"]["X"][3].__setitem__(
        0, times(d["claim"]["X"][3][0], Fraction(3, 2))
    ),
    "another weight": lambda d: d["witness"]["v"].__setitem__(
        0, times(d["witness"]["v"][0], Fraction(9, 8))
    ),
    "a neuron dropped": lambda d: (d["witness"]["W"].pop(), d["witness"]["v"].pop()),
    "the sides of the tree exchanged": lambda d: d["witness"]["bound"].update(
        plus=d["witness"]["bound"]["minus"], minus=d["witness"]["bound"]["plus"]
    ),
    "rows exchanged": lambda d: d["claim"]["X"].reverse(),
}


@pytest.mark.parametrize("name", FALSE)
def test_false_or_unproved_claims_are_rejected(solved, name) -> None:
    data = copy.deepcopy(solved[1])
    FALSE[name](data)
    assert verdict(data) is False


def test_another_target_is_rejected(solved) -> None:
    data = copy.deepcopy(solved[1])
    data["claim"]["y"][0] = times(data["claim"]["y"][0], Fraction(-1))
    assert verdict(data) is False


def test_weaker_claims_are_accepted(solved) -> None:
    data = copy.deepcopy(solved[1])
    data["claim"]["lower"] = times(data["claim"]["lower"], Fraction(1, 2))
    data["claim"]["upper"] = times(data["claim"]["upper"], Fraction(2))
    assert verdict(data) is True


SHAPES = {
    "claim": [
        ("loss", "hinge"),
        ("loss", None),
        ("X", []),
        ("X", [[]]),
        ("X", [["1"], ["1", "2"]]),
        ("X", "1"),
        ("X", [["1.5"]]),
        ("X", {"0": ["1"]}),
        ("y", []),
        ("y", ["1"]),
        ("y", [1] * 10),
        ("beta", "0"),
        ("beta", "-1"),
        ("beta", "nan"),
        ("beta", 1),
        ("lower", "inf"),
        ("upper", "2/4"),
    ],
    "witness": [
        ("W", []),
        ("W", [["1"]]),
        ("W", [[["1", "2"]]]),
        ("v", []),
        ("v", ["1"] * 50),
        ("nu", []),
        ("nu", ["0x1p0"] * 10),
        ("nu", "0"),
        ("bound", {}),
        ("bound", []),
        ("bound", {"reflections": [], "inside": [], "plus": [], "minus": []}),
    ],
}


@pytest.mark.parametrize(
    ("part", "key", "value"), [(p, k, v) for p, pairs in SHAPES.items() for k, v in pairs]
)
def test_malformed_fields_are_rejected(solved, part, key, value) -> None:
    data = copy.deepcopy(solved[1])
    data[part][key] = value
    assert verdict(data) is False
    extra = copy.deepcopy(solved[1])
    extra[part]["more"] = "1"
    assert verdict(extra) is False
    missing = copy.deepcopy(solved[1])
    del missing[part][key]
    assert verdict(missing) is False


def test_entropies_outside_the_unit_interval_are_rejected() -> None:
    # n = 1, x = 1, y = 1: nu = -1/8 obeys |nu max(u, 0)| <= |u|, but has no entropy
    tree = convex_relu([[1], [2]], [1, 1], beta=5, loss="logistic").certificate.witness["bound"]
    data = {
        "format": "lemmata-certificate/1",
        "kind": KIND,
        "claim": {"loss": "logistic", "X": [["1"], ["2"]], "y": ["1", "1"]}
        | {"beta": "5", "lower": "-9", "upper": "2"},
        "inputs": {},
        "witness": {"W": [], "v": [], "nu": ["1/2", "1/2"], "bound": tree},
    }
    assert verdict(data) is True
    data["claim"]["lower"] = "2"  # above 2 log 2
    assert verdict(data) is False
    data["claim"]["lower"] = "-9"
    for wrong in ("-1/8", "9/8"):
        data["witness"]["nu"] = [wrong, "1/2"]
        answer = audit_text(json.dumps(data))
        assert answer.accepted is False and "[0, 1]" in answer.reason


def test_zero_and_one_have_entropy_zero() -> None:
    found = convex_relu([[1], [2]], [1, 1], beta=9, loss="logistic")
    data = json.loads(found.certificate.to_json())
    data["witness"] |= {"nu": ["0", "1"], "bound": bound_witness([[1], [2]], [0, 1], 9)}
    data["claim"]["lower"] = "0"
    assert verdict(data) is True
    data["claim"]["lower"] = "1/1000000"
    assert verdict(data) is False


def test_an_incomplete_list_of_patterns_claimed_complete_proves_nothing() -> None:
    # planted: training over an incomplete list, its dual vector claimed to be feasible
    values = np.loadtxt(DATA / "diabetes_20_3.csv", delimiter=",", skiprows=1)
    X, y = values[:, :-1], values[:, -1]
    full = convex_relu(X, y, relative_beta=0.1)
    kept = full.cells[:12]
    wrong = train(X, y, full.beta, kept)
    assert wrong.lower > full.objective * (1 + 1e-6)  # what the incomplete list "proves" is false
    assert Pricing(X, full.cells).maximum(wrong.nu).bound > full.beta * (1 + 1e-6)
    exact_X = tuple(tuple(Fraction(float(a)) for a in row) for row in X)
    exact_y = tuple(Fraction(float(a)) for a in y)
    W, v = wrong.network()
    proof = certify(exact_X, exact_y, Fraction(full.beta), "squared", W, v, wrong.nu)
    assert proof.lower <= Fraction(full.objective) <= proof.upper


def test_certificates_of_hostile_size_are_refused_in_time(solved) -> None:
    data = copy.deepcopy(solved[1])
    data["claim"]["X"] = [["1"] * 50] * 2100
    data["claim"]["y"] = ["1"] * 2100
    data["witness"]["nu"] = ["1"] * 2100
    assert audit_text(json.dumps(data), seconds=5).accepted is False
