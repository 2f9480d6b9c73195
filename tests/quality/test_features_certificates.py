"""Certificates of unconstrained features under mutation, and planted wrong values: nothing false is accepted."""

from __future__ import annotations

import copy
import json
import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.audit import audit_text
from proofs_checks.audit.core import Clock, Rejected
from proofs_checks.audit.quadratic import check_copositive, check_definite
from proofs_checks.exact_data import exact_text
from proofs_checks.features import ufm, upfm
from proofs_checks.features_examples import HORN, horn_instance

MODELS = {"ufm": ufm, "upfm": upfm}


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "positive entropy": ("upfm", {"classes": 3, "per_class": 4, "loss": "ce"}),
    "positive entropy, imbalanced": ("upfm", {"classes": 3, "per_class": [5, 3, 2], "loss": "ce"}),
    "positive entropy, bias": (
        "upfm",
        {"classes": 3, "per_class": [5, 3, 2], "loss": "ce", "bias": True},
    ),
    "free entropy": ("ufm", {"classes": 3, "per_class": [5, 3, 2], "loss": "ce"}),
    "free squares, bias": ("ufm", {"classes": 2, "per_class": 3, "loss": "mse", "bias": True}),
    "positive squares": ("upfm", {"classes": 2, "per_class": [3, 1], "loss": "mse"}),
    "targets": ("upfm", {"targets": [[1, -0.5, 0.25], [0.5, 1, -1]], "loss": "mse"}),
}
_cache: dict[str, dict[str, Any]] = {}


def certificate(name: str) -> dict[str, Any]:
    """The certificate of a case as plain data, to be changed."""
    if name not in _cache:
        if name == "gap":
            found = upfm(**horn_instance()).gap_certificate
        else:
            model, case = CASES[name]
            found = MODELS[model](**case, lambda_w=0.05, lambda_h="1/25").certificate
        assert found is not None
        _cache[name] = json.loads(found.to_json())
    return copy.deepcopy(_cache[name])


def audit(data: dict[str, Any]) -> Any:
    return audit_text(json.dumps(data))


def put(data: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return data


def number(text: str) -> Fraction:
    return Fraction(float.fromhex(text)) if "0x" in text else Fraction(text)


@pytest.mark.parametrize("name", [*CASES, "gap"])
def test_true_certificates_are_accepted(name):
    result = audit(certificate(name))
    assert result.accepted is True, result.reason
    assert "proved: " in result.reason


# Each makes the claim false, or takes away what proves it.
BROKEN = [
    ("positive entropy", ("claim", "upper"), "1/2", "not shown to be at most"),
    ("positive entropy", ("claim", "lower"), "1", "give the bound lower"),
    ("positive entropy", ("claim", "lambda_w"), "1/100", "not shown to be positive definite"),
    ("positive entropy", ("claim", "lambda_w"), "1", "not shown to be at most"),
    ("positive entropy", ("claim", "lambda_w"), "0", "must be positive"),
    ("positive entropy", ("claim", "loss"), "mse", "not shown to be at most"),
    ("positive entropy", ("claim", "model"), "ufm", r"B must be \[\]"),
    ("positive entropy", ("claim", "bias"), True, "b: a row must have 3 entries"),
    ("positive entropy", ("claim", "bias"), 1, "true or false"),
    ("positive entropy", ("claim", "width"), 2, "W must be a list of 2 rows"),
    ("positive entropy", ("claim", "width"), True, "width must be an integer"),
    ("positive entropy", ("claim", "multiplicities"), [4, 4, 1], "not shown|lower"),
    ("positive entropy", ("claim", "multiplicities"), [4, 4], "must be a list of 2 rows|entries"),
    ("positive entropy", ("claim", "multiplicities"), [4, 4, 0], "integers from 1"),
    ("positive entropy", ("claim", "multiplicities"), [4, 4, True], "integers from 1"),
    ("positive entropy", ("claim", "multiplicities"), ["4", "4", "4"], "integers from 1"),
    ("positive entropy", ("claim", "multiplicities"), {"4": 4}, "must be a list"),
    ("positive entropy", ("claim", "targets"), [["1", "0", "0"]] * 3, r"must be \[\]"),
    ("positive entropy", ("witness", "H", 0, 1), "-1/1000000", "negative entry"),
    ("positive entropy", ("witness", "H", 0, 0), "9", "not shown to be at most"),
    ("positive entropy", ("witness", "W", 0, 0), "9", "not shown to be at most"),
    ("positive entropy", ("witness", "B", 0, 1), "1", "not symmetric"),
    ("positive entropy", ("witness", "B", 0, 0), "-1/1000", "negative entry"),
    ("positive entropy", ("witness", "B", 0, 0), "1", "positive definite"),
    ("positive entropy", ("witness", "B"), [["0"] * 3] * 3, "not shown to be positive definite"),
    ("positive entropy", ("witness", "dual", 0), ["1/3", "1/3", "1/3"], "positive definite"),
    ("positive entropy", ("witness", "dual", 0), ["1", "1", "-1"], "probability vector"),
    ("positive entropy", ("witness", "dual", 0), ["1/2", "1/3", "1/3"], "probability vector"),
    ("positive entropy", ("witness", "dual", 0), ["0", "1", "0"], "lower|positive definite"),
    ("positive entropy", ("witness", "b"), ["0", "0", "0"], r"b must be \[\]"),
    ("positive entropy, bias", ("witness", "b"), [], "must have 3 entries"),
    ("positive entropy, bias", ("witness", "dual", 0), ["1", "0", "0"], "sum to zero"),
    ("free entropy", ("claim", "model"), "upfm", "negative entry"),
    ("free entropy", ("witness", "B"), [["0"] * 3] * 3, r"B must be \[\]"),
    ("free squares, bias", ("witness", "dual", 0), ["0", "0"], "sum to zero"),
    ("free squares, bias", ("claim", "bias"), False, r"b must be \[\]"),
    ("positive squares", ("claim", "loss"), "ce", "probability vector|lower|at most"),
    ("targets", ("claim", "targets"), [], "entries|rows"),
    ("targets", ("claim", "targets", 0, 0), "3", "at most|lower"),
    ("gap", ("claim", "network"), "9", "give the bound network"),
    ("gap", ("claim", "relaxation"), "8", "not shown to attain 8|not shown to attain '8'"),
    ("gap", ("claim", "relaxation"), "9", "relaxation < network"),
    ("gap", ("claim", "model"), "ufm", "'upfm'"),
    ("gap", ("witness", "V", 0, 1), "-1", "not symmetric"),
    ("gap", ("witness", "U", 0, 1), "1", "not symmetric"),
    ("gap", ("witness", "U", 0, 0), "0", "positive definite"),
    ("gap", ("witness", "Z", 0, 0), "5", "positive definite"),
    ("gap", ("witness", "dual", 0, 0), "-9", "give the bound|not copositive"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "reason"), BROKEN, ids=str)
def test_broken_certificates_are_rejected(name, path, value, reason):
    result = audit(put(certificate(name), path, value))
    assert result.accepted is False, result.reason
    assert re.search(reason, result.reason), result.reason


def test_a_negative_pair_of_the_relaxation_is_rejected():
    data = certificate("gap")
    put(data, ("witness", "V", 0, 1), "-1/10")
    result = audit(put(data, ("witness", "V", 1, 0), "-1/10"))
    assert result.accepted is False and "V has a negative entry" in result.reason


def test_swapped_columns_are_rejected():
    data = certificate("positive entropy, imbalanced")
    data["witness"]["dual"] = data["witness"]["dual"][::-1]
    assert audit(data).accepted is False


JUNK = [
    None,
    0,
    7,
    True,
    "x",
    "1e3",
    "0x1p0",
    "nan",
    [],
    {},
    [[]],
    [["1"]],
    "1/0",
    "-0",
    "9" * 5000,
]


@given(data=st.data())
def test_hostile_data_is_never_accepted_nor_a_crash(data):
    """Any part of a certificate replaced by junk: rejected, or unreadable, or left as it was."""
    name = data.draw(st.sampled_from([*CASES, "gap"]))
    found = certificate(name)
    path: list[Any] = [data.draw(st.sampled_from(["claim", "witness", "inputs"]))]
    at = found[path[0]]
    while isinstance(at, dict | list) and at and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        path.append(key)
        at = at[key]
    junk = data.draw(st.sampled_from(JUNK))
    before = json.dumps(found)
    put(found, tuple(path), junk)
    if json.dumps(found) != before:
        # B may be left out where L²/n - ΓᵀΓ is copositive, and other targets or an empty field are another claim
        allowed = path == ["witness", "B"] and junk == []
        assert audit(found).accepted is not True or allowed


@given(data=st.data())
def test_what_is_accepted_is_true(data):
    """Numbers nudged at random: a claim that passes holds for the optimum that its own instance has."""
    name = data.draw(st.sampled_from(list(CASES)))
    found = certificate(name)
    claim = found["claim"]
    for _ in range(data.draw(st.integers(1, 2))):
        part = data.draw(st.sampled_from(["lower", "upper", "lambda_w", "n", "H", "dual"]))
        factor = Fraction(
            data.draw(st.sampled_from(["1/2", "99/100", "1000001/1000000", "1", "3/2"]))
        )
        if part in ("H", "dual"):
            rows = found["witness"][part]
            rows[0] = [exact_text(number(x) * factor) for x in rows[0]]
        elif part == "n":
            claim["multiplicities"][0] += data.draw(st.integers(-1, 1))
            claim["multiplicities"][0] = max(1, claim["multiplicities"][0])
        else:
            claim[part] = exact_text(number(claim[part]) * factor)
    if not audit(found).accepted:
        return
    shape = {"targets": [[number(x) for x in c] for c in claim["targets"]]}
    if shape["targets"]:
        shape["targets"] = [list(row) for row in zip(*shape["targets"], strict=True)]
    else:
        shape = {"classes": len(claim["multiplicities"])}
    truth = MODELS[claim["model"]](
        **shape,
        per_class=claim["multiplicities"],
        loss=claim["loss"],
        lambda_w=number(claim["lambda_w"]),
        lambda_h=number(claim["lambda_h"]),
        bias=claim["bias"],
    )
    assert truth.lower_bound is not None and truth.upper_bound is not None
    assert number(claim["lower"]) <= truth.upper_bound * (1 + 1e-12)
    assert number(claim["upper"]) >= truth.lower_bound * (1 - 1e-12)


def test_long_numbers_end_in_a_rejection():
    data = certificate("gap")
    data["witness"]["dual"] = [
        [f"1/{7**400 + 2 * (5 * j + i)}" for i in range(5)] for j in range(5)
    ]
    data["claim"]["network"] = "-1"
    data["claim"]["relaxation"] = "-2"
    assert audit(data).accepted is False
    rows = [[fmpq(1, 3 ** (20_000 + i + j)) for i in range(3)] for j in range(3)]
    with pytest.raises(Rejected, match="too long"):
        check_copositive(rows, "the matrix", Clock(30.0))
    data = certificate("positive entropy")
    data["witness"]["W"][0][0] = "9" * 3999
    assert audit(data).accepted is False


# -- planted wrong closed forms


def entropy(K: int, t: float) -> float:
    rest = 1 - (K - 1) * t
    return -rest * math.log(rest) - (K - 1) * t * math.log(t)


def planted() -> dict[str, tuple[str, dict[str, Any], float]]:
    """Wrong values by mistakes that are easily made: name -> model, case, the value that would follow."""
    K, n, L, counts, N = 3, 4, 0.05, (5, 3, 2), 10
    flat = {"classes": K, "per_class": n, "lambda_w": L, "lambda_h": L}
    uneven = {"classes": K, "per_class": list(counts), "lambda_w": 0.15, "lambda_h": 0.15}
    squares = {**flat, "loss": "mse"}
    # 1/(K√n_k) in place of √n_k/N for when a class is zero
    swapped = sum(
        0.15 * math.sqrt(m) - N * 0.15**2 / 2 if 1 / (K * math.sqrt(m)) > 0.15 else m / (2 * N)
        for m in counts
    )
    return {
        "swapped threshold": ("upfm", {**uneven, "loss": "mse"}, swapped),
        "ETF for orthogonal frame": ("upfm", {**flat, "loss": "ce"}, entropy(K, L * math.sqrt(n))),
        "orthogonal frame for ETF": (
            "ufm",
            {**flat, "loss": "ce"},
            entropy(K, K * n * L / math.sqrt(K * (K - 1) * n)),
        ),
        "missing root of n": ("ufm", {**flat, "loss": "ce"}, entropy(K, L * n)),
        "missing root of L": ("ufm", {**flat, "loss": "ce"}, entropy(K, L * L * math.sqrt(n))),
        "missing root of K(K-1)n": (
            "upfm",
            {**flat, "loss": "ce"},
            entropy(K, K * n * L / (K * (K - 1) * n)),
        ),
        "sum for mean": (
            "ufm",
            squares,
            sum(L / (K * n) * math.sqrt(n) - K * n * (L / (K * n)) ** 2 / 2 for _ in range(K)),
        ),
        "bias for none": (
            "upfm",
            squares,
            (g := L * math.sqrt(K * (K - 1) * n)) - g * g / (2 * (K - 1) / K),
        ),
        "none for bias": (
            "upfm",
            {**squares, "bias": True},
            K * (L * math.sqrt(n) - K * n * L * L / 2),
        ),
        "free squares with bias for positive": (
            "upfm",
            {**squares, "bias": True},
            (K - 1) * (L * math.sqrt(n) - K * n * L * L / 2),
        ),
    }


@pytest.mark.parametrize("name", planted())
def test_planted_values_are_refuted(name):
    """A wrong value lies outside the proved interval, and no certificate of the case can be made to claim it."""
    model, case, wrong = planted()[name]
    r = MODELS[model](**case)
    assert r.status == "solved" and r.certificate is not None
    assert r.closed_form is not None and abs(wrong - r.closed_form) > 1e-3 * r.closed_form
    data = json.loads(r.certificate.to_json())
    end = "lower" if wrong > r.upper_bound else "upper"
    data["claim"][end] = exact_text(Fraction(wrong))
    assert audit(data).accepted is False
    data["claim"][end] = exact_text(
        Fraction(r.closed_form * (1 + (1e-9 if end == "upper" else -1e-9)))
    )
    assert audit(data).accepted is True


def test_features_of_an_etf_are_no_point_of_the_positive_model():
    free = ufm(classes=3, per_class=4, loss="ce", lambda_w=0.05, lambda_h=0.05)
    positive = upfm(classes=3, per_class=4, loss="ce", lambda_w=0.05, lambda_h=0.05)
    data = json.loads(positive.certificate.to_json())
    data["witness"] |= {k: json.loads(free.certificate.to_json())["witness"][k] for k in "WH"}
    data["claim"]["upper"] = exact_text(Fraction(free.upper_bound))
    result = audit(data)
    assert result.accepted is False and "negative entry" in result.reason


# -- the tests for matrices


def exact_rows(matrix: Any) -> list[list[fmpq]]:
    return [
        [fmpq(*Fraction(x).as_integer_ratio()) for x in row] for row in np.array(matrix).tolist()
    ]


def passes(test: Any, matrix: Any) -> bool:
    try:
        test(exact_rows(matrix), "the matrix", Clock(30.0))
    except Rejected:
        return False
    return True


def least_on_simplex(matrix: np.ndarray) -> float:
    """min x·Ax over a fine grid of the simplex of three or four corners."""
    size, steps = len(matrix), 24
    grid = np.stack(np.meshgrid(*[np.arange(steps + 1)] * size)).reshape(size, -1)
    grid = grid[:, grid.sum(axis=0) == steps] / steps
    return float(np.einsum("ik,ij,jk->k", grid, matrix, grid).min())


@given(
    st.integers(3, 4).flatmap(
        lambda n: st.lists(st.integers(-3, 4), min_size=n * n, max_size=n * n).map(
            lambda x: np.array(x).reshape(n, n)
        )
    )
)
def test_copositivity_against_a_grid(square):
    """Where the grid finds a negative value the matrix is refused; where it passes there is none."""
    matrix = square + square.T
    found = passes(check_copositive, matrix)
    assert not (found and least_on_simplex(matrix) < 0)
    if not found:
        # continuous in x: a finer search near the best grid point must go below zero
        assert least_on_simplex(matrix) < 1.5
    if passes(check_definite, matrix) or matrix.min() >= 0:
        assert found


def test_known_copositive_matrices():
    horn = np.array(HORN)
    assert passes(check_copositive, horn) and not passes(check_definite, horn)
    assert not passes(check_copositive, horn - 1e-9 * np.eye(5))
    singular = np.ones((6, 6))
    assert passes(check_copositive, singular) and not passes(check_definite, singular)
    # negative only on the support of all of it
    edge = np.array([[1, -0.6, -0.6], [-0.6, 1, -0.6], [-0.6, -0.6, 1]])
    assert not passes(check_copositive, edge)
    assert all(passes(check_copositive, edge[np.ix_(s, s)]) for s in ([0, 1], [1, 2], [0, 2]))
    assert not passes(check_copositive, np.array([[0, -1], [-1, 0]]))
    assert not passes(check_copositive, np.eye(11))  # beyond the order that is decided
    assert passes(check_copositive, np.zeros((3, 3)))


@given(seed=st.integers(0, 10**6), size=st.integers(1, 8))
def test_definiteness_against_eigenvalues(seed, size):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(size, size))
    matrix = matrix @ matrix.T + rng.normal() * np.eye(size)
    matrix = (matrix + matrix.T) / 2
    least = np.linalg.eigvalsh(matrix)[0]
    if abs(least) > 1e-9:
        assert passes(check_definite, matrix) == (least > 0)
