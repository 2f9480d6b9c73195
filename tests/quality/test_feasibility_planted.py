"""The kernel on certificates of feasibility: planted wrong ones, every single mutation, hostile input."""

from __future__ import annotations

import copy
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.audit import audit_text
from proofs_checks.audit.feasibility import MAX_LONG
from proofs_checks.feasibility import collapse_feasibility

POINTS = [[1, 0, 0], [1, 1, 0], [-1, 0, 1], [0, 0, 2], [2, 0, 0], [2, 2, 0]]
LABELS = ["a", "a", "b", "b", "c", "c"]  # b is feasible; a and c are not, with one another


def certificate(points=POINTS, labels=LABELS, **options):
    report = collapse_feasibility(points, labels, **options)
    return json.loads(report.certificate.to_json())


def audit(data):
    return audit_text(json.dumps(data))


def changed(path, value, base=None):
    data = copy.deepcopy(base or certificate())
    *front, last = path
    node = data
    for key in front:
        node = node[key]
    node[last] = value
    return data


def refused(data, *words):
    result = audit(data)
    assert result.accepted is False, result
    assert all(word in result.reason for word in words), result.reason


def test_the_certificate_is_right():
    data = certificate()
    assert data["claim"]["feasible"] == {"a": False, "b": True, "c": False}
    assert audit(data).accepted is True


# -- planted wrong ones


def test_a_point_with_one_positive_value_off_the_class():
    data = certificate(np.eye(3).tolist(), ["a", "b", "c"])
    refused(changed(["witness", "a", "w"], ["1", "0", "1"], data), "positive on point 1")
    assert audit(changed(["witness", "a", "w"], ["1", "0", "-1"], data)).accepted


def test_a_point_whose_values_differ_on_the_class():
    refused(changed(["witness", "b", "w"], ["0", "0", "1"]), "differs on points 0 and 1")


def test_a_point_whose_value_is_zero_or_negative():
    for w in (["0", "0", "0"], ["-1", "0", "-1"]):
        refused(changed(["witness", "b", "w"], w), "not positive")


def test_a_farkas_vector_with_a_negative_lambda():
    data = certificate([[1, 0], [0, 1], [1, 1]], ["a", "b", "c"])
    assert data["claim"]["feasible"]["c"] is False
    # (1, 0) = -(0, 1) + (1, 1) is an identity, and no proof that a is infeasible
    data["claim"]["feasible"]["a"] = False
    data["witness"]["a"] = {"mu": ["1"], "lambda": ["-1", "1"]}
    refused(data, "negative")


def test_a_farkas_vector_of_sum_zero():
    zeros = {"mu": ["0", "0"], "lambda": ["0", "0", "0", "0"]}
    refused(changed(["witness", "a"], zeros), "sum of mu")
    opposite = {"mu": ["-1", "-1"], "lambda": ["0"] * 4}
    refused(changed(["witness", "a"], opposite), "sum of mu")


def test_swapped_labels():
    data = certificate()
    answers, proofs = data["claim"]["feasible"], data["witness"]
    answers["a"], answers["b"] = answers["b"], answers["a"]
    refused(data)
    proofs["a"], proofs["b"] = proofs["b"], proofs["a"]
    refused(data)
    for other in (["b", "a", "a", "b", "c", "c"], ["b", "b", "a", "a", "c", "c"]):
        refused(changed(["claim", "labels"], other))


def test_a_claim_turned_around():
    for name, answer in certificate()["claim"]["feasible"].items():
        refused(changed(["claim", "feasible", name], not answer), "expected an object")


def test_a_bias_taken_for_granted():
    """Feasible with a bias (a constant coordinate), infeasible without."""
    points, labels = [[1], [2]], ["low", "high"]
    assert collapse_feasibility([[x, 1] for (x,) in points], labels).all is True
    data = certificate(points, labels)
    assert data["claim"]["feasible"] == {"low": False, "high": False}
    with_bias = certificate([[x, 1] for (x,) in points], labels)
    with_bias["claim"]["points"] = data["claim"]["points"]
    refused(with_bias)


def test_other_weights_of_the_first_layer():
    X = np.random.default_rng(0).standard_normal((6, 2)).tolist()
    data = certificate(X, LABELS, hidden=8)
    assert audit(data).accepted and True in data["claim"]["feasible"].values()
    weights = data["claim"]["hidden"]["weights"]
    for k in range(8):
        other = copy.deepcopy(data)
        other["claim"]["hidden"]["weights"] = [row[k:] + row[:k] for row in weights]
        assert audit(other).accepted is (k == 0)
    refused(changed(["claim", "hidden"], {}, data))
    refused(changed(["claim", "hidden", "weights"], weights[:1], data), "weights: 1 rows")


def test_relu_is_applied():
    """With relu(x) for x both points are alike, so that no class is feasible; without it both are."""
    data = certificate([[1, 1], [1, -1]], ["a", "b"])
    assert data["claim"]["feasible"] == {"a": True, "b": True}
    refused(changed(["claim", "hidden"], {"weights": [["1", "0"], ["0", "0"]]}, data))
    same = [["1", "0"], ["0", "1"]]  # relu(1, 1) = (1, 1), relu(1, -1) = (1, 0)
    data["claim"]["hidden"] = {"weights": same}
    data["claim"]["feasible"] = {"b": False}
    data["witness"] = {"b": {"mu": ["1"], "lambda": ["1"]}}
    refused(data, "differ in coordinate 1")


# -- mutations


def leaves(node, path=()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for k, value in enumerate(node):
            yield from leaves(value, (*path, k))
    else:
        yield path


def test_every_number_of_a_witness_matters():
    rng = np.random.default_rng(5)
    data = certificate(rng.standard_normal((8, 5)).tolist(), ["a", "b"] * 4)
    assert data["claim"]["feasible"] == {"a": True, "b": False}
    for path in leaves(data["witness"]):
        node = data["witness"]
        for key in path:
            node = node[key]
        result = audit(changed(["witness", *path], str(int(node) + 1), data))
        assert result.accepted is False, path


@given(st.integers(0, 7), st.integers(0, 4), st.sampled_from([-40, -20, 3]))
def test_mutated_points_are_refused(i, k, exponent):
    rng = np.random.default_rng(5)
    base = certificate(rng.standard_normal((8, 5)).tolist(), ["a", "b"] * 4)
    # each point is in an equality: of the infeasible class with its mu, of the feasible one with c
    assert base["claim"]["feasible"] == {"a": True, "b": False}
    entry = float.fromhex(base["claim"]["points"][i][k])
    other = (entry * (1 + 2.0**exponent)).hex()
    refused(changed(["claim", "points", i, k], other, base))


BIG = "1" + "0" * MAX_LONG


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["claim", "points"], []),
        (["claim", "points"], [[]] * 6),
        (["claim", "points"], None),
        (["claim", "points"], [["1", "0", "0"]] * 5 + [["1"]]),
        (["claim", "points", 0], "100"),
        (["claim", "points", 0, 0], 1),
        (["claim", "points", 0, 0], "nan"),
        (["claim", "points", 0, 0], "1e9999"),
        (["claim", "labels"], LABELS[:5]),
        (["claim", "labels"], ["a"] * 6),
        (["claim", "labels"], "aabbcc"),
        (["claim", "labels"], [*LABELS[:5], 3]),
        (["claim", "labels"], [*LABELS[:5], ""]),
        (["claim", "labels"], [*LABELS[:5], ["c"]]),
        (["claim", "hidden"], "none"),
        (["claim", "hidden"], {"weights": []}),
        (["claim", "hidden"], {"weights": [["1"], ["1", "2"], ["3"]]}),
        (["claim", "hidden"], {"weights": [["1"]] * 3, "bias": ["1"]}),
        (["claim", "feasible"], {}),
        (["claim", "feasible"], []),
        (["claim", "feasible", "a"], 0),
        (["claim", "feasible", "a"], "false"),
        (["claim", "feasible", "z"], True),
        (["inputs"], {"trust": "me"}),
        (["witness"], {}),
        (["witness"], []),
        (["witness", "a"], None),
        (["witness", "b", "w"], ["1", "0"]),
        (["witness", "b", "w"], "101"),
        (["witness", "b", "w"], [1, 0, 1]),
        (["witness", "b", "w", 0], "1/2"),
        (["witness", "b", "w", 0], "-0"),
        (["witness", "b", "w", 0], "01"),
        (["witness", "b", "w", 0], "+1"),
        (["witness", "b", "w", 0], "1\n"),
        (["witness", "b", "w", 0], "١"),
        (["witness", "b", "w", 0], BIG),
        (["witness", "a", "mu"], ["1"] * 3),
        (["witness", "a", "lambda"], ["1"] * 3),
        (["witness", "a", "lambda"], {}),
    ],
    ids=str,
)
def test_malformed_content_is_rejected(path, value):
    assert audit(changed(path, value)).accepted is False


def test_a_part_of_the_classes_may_be_claimed():
    data = certificate()
    del data["claim"]["feasible"]["a"], data["witness"]["a"]
    result = audit(data)
    assert result.accepted and "not claimed: 1 classes" in result.reason
    assert "'a'" not in result.reason


def test_hostile_sizes_end_in_time():
    long = "1/" + "3" * 3900
    rows = [[long.replace("3", str(3 + i % 7), 1)] * 40 for i in range(40)]
    data = {
        "format": "lemmata-certificate/1",
        "kind": "linear feasibility",
        "claim": {
            "points": rows,
            "labels": ["a", "b"] * 20,
            "hidden": {"weights": rows},
            "feasible": {"a": True},
        },
        "inputs": {},
        "witness": {"a": {"w": ["1"] * 40}},
    }
    start = time.monotonic()
    assert audit_text(json.dumps(data), seconds=0.5).accepted is False
    assert time.monotonic() - start < 5
