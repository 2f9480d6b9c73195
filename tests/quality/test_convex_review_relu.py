"""Convex ReLU training, patterns and margins against independent answers, and their certificates attacked."""

from __future__ import annotations

import copy
import itertools
import json
import math
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from proofs_checks.arrangement import arrangement
from proofs_checks.audit import audit_text
from proofs_checks.margins import margin
from proofs_checks.relu_path import regularisation_path
from proofs_checks.relu_training import convex_relu
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

# rows x, -x, 3x and x / 1000 next to a column of ones: three rows nearly in one plane leave cells of width 1e-16
SLIVERS = [
    [-0.000385041511890969, 0.00019764498553401775, 0.0006194508376124328, 1.0],
    [-0.02254173130609945, -0.15841797398704568, 0.04786785033302386, 1.0],
    [0.02254173130609945, 0.15841797398704568, -0.04786785033302386, 1.0],
    [1.0511157561771973, 0.5051066529778695, 0.22779310870757077, 1.0],
    [-0.0010511157561771973, -0.0005051066529778695, -0.00022779310870757078, 1.0],
    [3.5647584796731273, 0.7279412962074249, -2.0791387011675, 1.0],
    [-0.38504151189096897, 0.19764498553401774, 0.6194508376124328, 1.0],
    [-0.00045459994313354747, 0.0011043415046101954, -0.0016007441474459843, 1.0],
    [-1.3637998294006424, 3.3130245138305865, -4.802232442337953, 1.0],
]
TARGETS = [-0.77, 1.26, 1.65, -0.25, -0.02, -1.52, -0.31, 0.22, -0.14]


def number(text: str) -> Fraction:
    return Fraction(float.fromhex(text)) if "x" in text else Fraction(text)


def audited(data: dict[str, Any]) -> bool | None:
    return audit_text(json.dumps(data)).accepted


def plain(certificate: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(certificate.to_json())
    return data


def programs(X: np.ndarray) -> tuple[Any, Any, list[Any]]:
    """Outputs, total size and constraints of the convex program over all 2^n patterns, possible or not."""
    import cvxpy as cp

    n, d = X.shape
    outputs, size, constraints = 0, 0, []
    for bits in itertools.product((0.0, 1.0), repeat=n):
        on = np.array(bits)
        p, q = cp.Variable(d), cp.Variable(d)
        sides = (2 * on - 1)[:, None] * X
        constraints += [sides @ p >= 0, sides @ q >= 0]
        outputs = outputs + (on[:, None] * X) @ (p - q)
        size = size + cp.norm(p) + cp.norm(q)
    return outputs, size, constraints


SMALL = [
    ([[1, 1], [1, 1], [2, -1]], [1, -1, 2]),  # a repeated row with two targets
    ([[1, 0], [2, 0], [-1, 0], [0, 0]], [1, 2, 3, 4]),  # on a line, with a zero row
    ([[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1]], [1, -1, 1, 0]),  # binary columns
    ([[1, 2, 3, 4]], [2]),  # more columns than rows
    ([[3], [-1], [2]], [1, 1, 1]),  # one column, constant targets
]


@pytest.mark.parametrize(("X", "y"), SMALL)
@pytest.mark.parametrize("part", [0.9, 0.05])
def test_optimum_is_that_of_the_program_over_all_sign_patterns(
    X: list[Any], y: list[Any], part: float
) -> None:
    import cvxpy as cp

    found = convex_relu(X, y, relative_beta=part)
    outputs, size, constraints = programs(np.array(X, float))
    value = cp.sum_squares(outputs - np.array(y, float)) / 2 + found.beta * size
    answer = cp.Problem(cp.Minimize(value), constraints).solve(solver=cp.CLARABEL)
    assert found.status == "solved" and found.rigor is Rigor.PROVED
    assert found.objective == pytest.approx(answer, rel=1e-6, abs=1e-8)
    assert found.lower_bound <= found.objective


@pytest.mark.parametrize(("X", "y"), [SMALL[2], SMALL[3], ([[2, 1], [-1, 1], [0, -1]], [1, 1, -1])])
def test_f1_margin_is_that_of_the_program_over_all_sign_patterns(
    X: list[Any], y: list[Any]
) -> None:
    import cvxpy as cp

    labels = [1 if a > 0 else -1 for a in y]
    found = margin(X, labels, space="f1")
    outputs, size, constraints = programs(np.array(X, float))
    t = cp.Variable()
    constraints += [size <= 1, cp.multiply(labels, outputs) >= t]
    answer = cp.Problem(cp.Maximize(t), constraints).solve(solver=cp.CLARABEL)
    assert found.rigor is Rigor.PROVED
    assert found.lower - 1e-6 <= answer <= found.upper + 1e-6


def test_a_function_that_vanishes_proves_no_margin() -> None:
    for space, networks in (
        ("f1", ([["0", ["1", "0"]]], [["1", ["0", "0"]]], [["0", ["0", "0"]]])),
        ("f2", (["0", "0", "0"],)),
    ):
        found = margin([[1, 0], [0, 1], [-1, -1]], [1, -1, 1], space=space)
        upper = number(plain(found.certificate)["claim"]["upper"])
        for network in networks:
            for lower in (upper, upper / 2, Fraction(1000)):
                forged = plain(found.certificate)
                forged["claim"]["lower"] = str(lower)
                forged["witness"]["network"] = network
                assert audited(forged) is False


@pytest.mark.parametrize(("d", "k"), [(2, 2), (3, 2), (5, 2), (4, 4)])
def test_parities_on_points_of_the_unit_sphere(d: int, k: int) -> None:
    signs = list(itertools.product((1, -1), repeat=d))
    points = [[s / math.sqrt(d) for s in row] for row in signs]
    labels = [math.prod(row[:k]) for row in signs]
    found = margin(points, labels, space="f1")
    exact = math.comb(k - 2, k // 2 - 1) / (2 ** (k - 1) * math.sqrt(k * d))
    assert found.status == "solved" and found.rigor is Rigor.PROVED
    assert found.lower == pytest.approx(exact, rel=1e-8)
    assert found.upper == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.3, 1e6])
@pytest.mark.parametrize("space", ["f1", "f2"])
def test_margins_scale_with_the_points(scale: float, space: str) -> None:
    points, labels = [[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], [1, -1, -1]
    base = margin(points, labels, space=space)
    found = margin([[scale * t for t in x] for x in points], labels, space=space)
    assert base.rigor is Rigor.PROVED and found.rigor is Rigor.PROVED
    assert found.status == "solved"
    assert found.upper == pytest.approx(scale * base.upper, rel=1e-7)
    assert audited(plain(found.certificate)) is True


def test_no_stronger_claim_is_accepted() -> None:
    X, y = [[1.0, 0.5], [-1.0, 2.0], [0.5, -1.0], [1.0, 0.5]], [1.0, -1.0, 2.0, 0.0]
    certificates = [
        convex_relu(X, y, relative_beta=0.1).certificate,
        convex_relu(X, [1, -1, 1, 1], relative_beta=0.1, loss="logistic").certificate,
        margin(X[:3], [1, -1, 1], space="f1").certificate,
        margin(X[:3], [1, -1, 1], space="f2").certificate,
    ]
    for certificate in certificates:
        data = plain(certificate)
        assert audited(data) is True
        for end, factor in (("lower", 1 + Fraction(1, 10**8)), ("upper", 1 - Fraction(1, 10**8))):
            forged = copy.deepcopy(data)
            forged["claim"][end] = str(number(data["claim"][end]) * factor)
            assert audited(forged) is False


def test_claims_on_other_data_are_not_accepted() -> None:
    """One point left out, one added, a target or beta changed: the witness speaks of other data."""
    X, y = [[1.0, 0.5], [-1.0, 2.0], [0.5, -1.0]], [1.0, -1.0, 2.0]
    data = plain(convex_relu(X, y, relative_beta=0.1).certificate)
    changes = (
        lambda c: (c["X"].append(["5", "5"]), c["y"].append("9")),
        lambda c: (c["X"].pop(), c["y"].pop()),
        lambda c: c["y"].reverse(),
        lambda c: c.update(beta=str(number(c["beta"]) / 2)),
        lambda c: c.update(beta=str(number(c["beta"]) * 2)),
        lambda c: c.update(loss="logistic"),
    )
    for change in changes:
        forged = copy.deepcopy(data)
        change(forged["claim"])
        assert audited(forged) is False


def test_a_reflection_that_is_no_symmetry_is_refused() -> None:
    data = plain(convex_relu([[1, 0], [0, 2]], [1, -3], relative_beta=0.2).certificate)
    for mirror, inside in (([1, 0], [1, 0]), ([1, 1], [1, 1]), ([1, -1], [1, 0]), ([0, 0], [0, 0])):
        forged = copy.deepcopy(data)
        forged["witness"]["bound"]["reflections"] = [mirror]
        forged["witness"]["bound"]["inside"] = inside
        assert audited(forged) is False


def test_beta_max_next_to_slivers() -> None:
    """beta_max = M(y) is reached by a direction, and no direction exceeds it."""
    X, y = np.array(SLIVERS), np.array(TARGETS)
    found = convex_relu(X, y, relative_beta=0.3)
    draws = np.random.default_rng(0).standard_normal((100_000, 4))
    draws /= np.linalg.norm(draws, axis=1)[:, None]
    drawn = float(np.abs(np.maximum(draws @ X.T, 0.0) @ y).max())
    assert drawn <= found.beta_max <= 1.01 * drawn
    assert found.status == "solved" and found.relative_gap <= 1e-8


def test_networks_next_to_slivers_get_a_true_direction() -> None:
    X, y = np.array(SLIVERS), np.array(TARGETS)
    W, v = np.zeros((1, 4)), np.zeros(1)
    report = convex_relu(X, y, beta=0.5, network=(W, v)).network
    assert report is not None and report.direction is not None
    gained = report.sign * float(np.maximum(X @ report.direction, 0.0) @ y) - 0.5
    assert gained == pytest.approx(report.rate, rel=1e-9)


def test_a_report_over_some_patterns_does_not_speak_of_all_neurons() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    exact = convex_relu(X, y, relative_beta=0.1)
    some = convex_relu(X, y, beta=exact.beta, sample=1, limit=5)
    assert some.objective > 1.01 * exact.objective  # so there is a neuron that lowers it
    report = convex_relu(X, y, beta=exact.beta, sample=1, limit=5, network=(some.W, some.v)).network
    assert report is not None
    assert "no neuron lowers" not in str(report)


@pytest.mark.parametrize("power", [-6, -7, -8])
def test_small_beta_is_solved(power: int) -> None:
    X = [[1.0, 0.5], [-1.0, 2.0], [0.5, -1.0], [1.5, 0.7], [-0.3, -0.4]]
    found = convex_relu(X, [1.0, -1.0, 2.0, 0.3, 0.1], relative_beta=10.0**power)
    assert found.status == "solved" and found.rigor is Rigor.PROVED


def test_a_path_agrees_with_single_solutions() -> None:
    X, y = SMALL[2]
    path = regularisation_path(X, y, relative_betas=[1.5, 0.5, 0.01], certify=True)
    assert path.points[0].neurons == 0
    for point in path.points:
        alone = convex_relu(X, y, beta=point.beta)
        assert point.objective == pytest.approx(alone.objective, rel=1e-9)
        assert point.rigor is Rigor.PROVED


def test_zero_targets_have_the_objective_zero() -> None:
    found = convex_relu([[1, 2], [3, 4]], [0, 0], beta=1)
    assert found.objective == 0.0 and math.copysign(1.0, found.objective) == 1.0
    assert found.relative_gap == 0.0 and found.neurons == 0


def test_points_of_incomparable_sizes_are_answered_or_refused() -> None:
    try:
        found = margin([[1e-300, 0], [0, 1e300]], [1, -1], space="f1")
    except LemmataError:
        return
    assert found.lower <= 1e-300 and found.upper >= 0.999e-300


def test_complex_data_are_refused() -> None:
    with pytest.raises(LemmataError):
        convex_relu((1 + 1j) * np.array([[1, 2], [3, 4]]), [1, -1], beta=1)


@pytest.mark.parametrize("tree", ["count", "tree"])
def test_patterns_of_degenerate_points_are_those_that_directions_find(tree: Any) -> None:
    for X in (
        [[1, 0, 1], [1, 1, 1], [1, 0, 1], [0, 0, 0], [-2, 0, -2]],
        [[1, 1], [2, 2], [-1, -1]],
        [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0]],
    ):
        found = arrangement(X, certify=tree, listed=True)
        A = np.array(X)
        signs = np.random.default_rng(0).standard_normal((5000, A.shape[1])) @ A.T >= 0
        signs[:, ~A.any(axis=1)] = True
        assert {tuple(p) for p in found.patterns.tolist()} == {tuple(p) for p in signs.tolist()}
        assert found.rigor is Rigor.PROVED and found.count == len(found.patterns)
        data = plain(found.certificate)
        data["claim"]["patterns"][0] = data["claim"]["patterns"][-1]
        assert audited(data) is False


def test_the_kernel_keeps_to_its_time() -> None:
    """Long rationals with many denominators: rejected, not computed for minutes."""
    rng = np.random.default_rng(0)

    def long() -> str:
        digits = ["".join(map(str, rng.integers(1, 10, 1900))) for _ in range(2)]
        return str(Fraction(int(digits[0]), int(digits[1])))

    n = 300
    claim = {"loss": "squared", "X": [[long()] for _ in range(n)], "y": ["0"] * n}
    claim |= {"beta": "1", "lower": "-" + "9" * 3000, "upper": "1"}
    bound = {"reflections": [], "inside": [], "plus": [["0"]], "minus": [["0"]]}
    witness = {"W": [], "v": [], "nu": [long() for _ in range(n)], "bound": bound}
    data = {"format": "lemmata-certificate/1", "kind": "convex optimum: ReLU network"}
    text = json.dumps(data | {"claim": claim, "inputs": {}, "witness": witness})
    started = time.process_time()
    assert audit_text(text, seconds=10.0).accepted is False
    assert time.process_time() - started < 12.0
