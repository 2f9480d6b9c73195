"""Margins: the table of parities, exact zeros, degenerate data, scaling, bad input."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from proofs_checks import margins_f1
from proofs_checks.margin_cases import ParityCase
from proofs_checks.margins import MarginResult, margin
from proofs_checks.margins_symmetry import find_reflections, image, images, orbits, snapped
from proofs_checks.margins_zero import vanishing_weights
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

SPACES = ("f1", "f2")


def assert_solved(result: MarginResult, gap: float = 1e-8) -> None:
    assert result.status == "solved", result.reason
    assert result.rigor is Rigor.PROVED and result.certificate is not None
    assert 0 <= result.lower <= result.upper and result.relative_gap <= gap
    assert result.reason == ""


# -- parities ---------------------------------------------------------------------------------------------------------
def closed_form(d: int, k: int) -> float:
    return math.comb(k - 2, k // 2 - 1) / 2 ** (k - 1) / math.sqrt(k * d)


@pytest.mark.parametrize(
    "d,k", [(2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (4, 4), (5, 4), (6, 4), (6, 6)]
)
def test_networks_on_even_parities(d: int, k: int) -> None:
    case = ParityCase(d, k)
    result = margin(case.points, case.labels)
    assert_solved(result)
    assert result.lower / math.sqrt(d) <= closed_form(d, k) * (1 + 1e-15)
    assert result.upper / math.sqrt(d) >= closed_form(d, k) * (1 - 1e-15)
    assert result.relative_gap <= 1e-12
    assert len(result.neurons) == 2**k


@pytest.mark.parametrize(
    "d,k,value",
    [
        (2, 2, 0.353553),
        (3, 2, 0.240817),
        (4, 2, 0.176777),
        (5, 2, 0.136618),
        (6, 2, 0.109947),
        (4, 4, 0.102062),
        (5, 4, 0.070031),
        (6, 4, 0.049091),
    ],
)
def test_initial_features_on_parities(d: int, k: int, value: float) -> None:
    case = ParityCase(d, k)
    result = margin(case.points, case.labels, space="f2")
    assert_solved(result, 1e-12)
    assert result.lower / math.sqrt(d) == pytest.approx(value, abs=5e-7)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("d,k", [(3, 3), (4, 3), (5, 5), (6, 3)])
def test_odd_parities_have_margin_zero_without_bias(d: int, k: int, space: str) -> None:
    case = ParityCase(d, k)
    result = margin(case.points, case.labels, space=space)
    assert_solved(result)
    assert result.lower == 0.0 == result.upper
    assert result.neurons == () == result.alpha


@pytest.mark.parametrize("d,k", [(3, 3), (4, 3), (3, 2), (4, 2)])
def test_a_bias_makes_an_odd_parity_the_next_even_one(d: int, k: int) -> None:
    biased = ParityCase(d, k, bias=True)
    result = margin(biased.points, biased.labels)
    assert_solved(result)
    assert result.lower / math.sqrt(d + 1) == pytest.approx(
        closed_form(d + 1, 2 * -(-k // 2)), rel=1e-11
    )


def test_a_bias_does_not_make_one_coordinate_an_exclusive_or() -> None:
    biased = ParityCase(1, 1, bias=True)
    result = margin(biased.points, biased.labels)
    assert_solved(result)
    assert result.lower / math.sqrt(2) == pytest.approx(0.5, rel=1e-11)
    assert closed_form(2, 2) == 0.25


def test_symmetries_do_not_change_the_value() -> None:
    case = ParityCase(4, 2)
    one, other = (margin(case.points, case.labels, reflections=r) for r in ("auto", ()))
    assert_solved(one)
    assert_solved(other)
    assert one.lower <= other.upper and other.lower <= one.upper


# -- an independent value ---------------------------------------------------------------------------------------------
def on_a_grid(X: np.ndarray, y: np.ndarray, directions: int = 4000) -> float:
    """The margin of networks with neurons on a grid of the circle: at most the margin, and close to it."""
    angle = np.linspace(0, 2 * np.pi, directions, endpoint=False)
    phi = np.maximum(X @ np.array([np.cos(angle), np.sin(angle)]), 0) * y[:, None]
    A = np.hstack([-phi, phi, np.ones((len(X), 1))])
    budget = np.r_[np.ones(2 * directions), 0.0]
    objective = np.r_[np.zeros(2 * directions), -1.0]
    found = linprog(
        objective,
        A_ub=np.vstack([A, budget]),
        b_ub=np.r_[np.zeros(len(X)), 1.0],
        bounds=[(0, None)] * (2 * directions) + [(None, None)],
    )
    return -float(found.fun)


@pytest.mark.parametrize("seed", range(6))
def test_against_neurons_on_a_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((6, 2)), rng.choice([-1, 1], 6)
    result = margin(X, y)
    assert_solved(result)
    value = on_a_grid(X, y)
    assert value <= result.upper * (1 + 1e-7)
    assert value >= result.lower - 2e-3 * max(result.lower, 0.01)


def test_one_class_and_one_point() -> None:
    assert_solved(margin([[3.0, 4.0]], [-1]))
    assert margin([[3.0, 4.0]], [-1]).lower == pytest.approx(5.0, rel=1e-12)
    # f2: K(x, x) = |x|²/2
    assert margin([[3, 4]], [1], space="f2").lower == pytest.approx(5 / math.sqrt(2), rel=1e-14)


# -- margin zero, exactly ---------------------------------------------------------------------------------------------
ZERO: list[tuple[Any, Any]] = [
    ([[1, 2], [2, 4], [3, 1]], [1, -1, 1]),  # both labels on a ray
    ([[0, 0], [1, 2]], [1, 1]),  # the origin
    ([["1/3", "1/7"], ["1/3", "1/7"]], [1, -1]),  # a repeated point
    ([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]], [1, -1, 1, -1, -1, 1]),  # odd
]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("X,y", ZERO)
def test_zero_is_a_decided_answer(X: Any, y: Any, space: str) -> None:
    result = margin(X, y, space=space)
    assert_solved(result)
    assert result.upper == 0.0


@pytest.mark.parametrize("space", SPACES)
def test_nearly_equal_points_are_not_equal(space: str) -> None:
    """0.1 + 0.2 is not 0.3, and the margin is not 0."""
    X, y = [[0.1 + 0.2, 1], [0.3, 1], [0.5, 1]], [1, -1, 1]
    assert vanishing_weights(tuple(tuple(map(Fraction, x)) for x in X), y) is None
    result = margin(X, y, space=space)
    assert result.rigor is Rigor.PROVED and 0 < result.upper < 1e-8
    if space == "f2":
        assert_solved(result)
        assert result.lower > 1e-9


@given(st.lists(st.tuples(*[st.integers(-2, 2)] * 2, st.booleans()), min_size=1, max_size=7))
def test_small_integer_points(rows: list[tuple[int, int, bool]]) -> None:
    """Repeated, collinear, antipodal and zero points: proved, and zero together in both spaces."""
    X, y = [row[:2] for row in rows], [1 if row[2] else -1 for row in rows]
    first, second = (margin(X, y, space=space) for space in SPACES)
    assert_solved(first)
    assert_solved(second)
    assert (first.upper == 0) == (second.upper == 0)
    assert first.upper <= min(math.hypot(*x) for x in X) * (1 + 1e-9)


# -- twins ------------------------------------------------------------------------------------------------------------
DATA = np.array([[1.0, 0.5], [-0.25, 1.0], [0.75, -1.5], [2.0, 1.0], [-1.0, -1.0]])
LABELS = np.array([1, -1, -1, 1, 1])


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("factor", [1e-6, 1e6, 2.0**-300, 2.0**300, 3.0])
def test_scaling_the_points_scales_the_margin(space: str, factor: float) -> None:
    plain, scaled = margin(DATA, LABELS, space=space), margin(DATA * factor, LABELS, space=space)
    assert_solved(scaled)
    assert scaled.lower == pytest.approx(plain.lower * factor, rel=1e-8)


@pytest.mark.parametrize("d,k", [(2, 2), (3, 2), (4, 2), (5, 4), (4, 4)])
def test_parities_as_unit_vectors(d: int, k: int) -> None:
    case = ParityCase(d, k)
    result = margin(np.array(case.points) / math.sqrt(d), case.labels)
    assert_solved(result)
    assert result.lower == pytest.approx(closed_form(d, k), rel=1e-12)


@pytest.mark.parametrize("factor", [1e-300, 1e-6, 0.1, 0.7, 3.0, 1e6, 1e300])
def test_scaling_symmetric_points_scales_the_margin(factor: float) -> None:
    """The reflections of a certificate are integer vectors, which do not scale with the points."""
    result = margin(np.array([[1, 1], [-1, 1]]) * factor, [1, -1])
    assert_solved(result)
    assert result.lower == pytest.approx(factor / math.sqrt(2), rel=1e-12)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("columns", [(1.0, 1e2, 1e4), (1.0, 1.0, 1e6)])
def test_columns_of_different_units(space: str, columns: tuple[float, ...]) -> None:
    rng = np.random.default_rng(1)
    X, y = (rng.standard_normal((12, 3)) + 3) * np.array(columns), rng.choice([-1, 1], 12)
    result = margin(X, y, space=space, gap=1e-6)
    assert_solved(result, 1e-6)
    assert result.lower > 0


def test_a_small_point_bounds_the_margin() -> None:
    result = margin([[1e-12, 0], [1, 1], [1e12, -1]], [1, -1, 1])
    assert result.rigor is Rigor.PROVED and result.upper <= 1e-12 * (1 + 1e-12)


@pytest.mark.parametrize("space", SPACES)
def test_points_of_incomparable_sizes_have_bounds_all_the_same(space: str) -> None:
    result = margin([[1e-300, 0], [0, 1e300]], [1, -1], space=space)
    assert result.rigor is Rigor.PROVED and 0 <= result.lower <= 1e-300 <= result.upper


def test_nearly_equal_points_with_both_labels_have_a_small_upper_bound() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 3)), rng.choice([-1, 1], 8)
    near = np.vstack([X, X[:3] + 1e-9 * rng.standard_normal((3, 3))])
    result = margin(near, np.r_[y, -y[:3]])
    assert result.rigor is Rigor.PROVED and 0 <= result.lower <= result.upper < 1e-9


@pytest.mark.parametrize("space", SPACES)
def test_twins_have_the_same_margin(space: str) -> None:
    plain = margin(DATA, LABELS, space=space)
    c, s = 0.6, 0.8
    twins = [
        (DATA[::-1], LABELS[::-1]),
        (DATA, -LABELS),
        (DATA[:, ::-1], LABELS),
        (DATA @ np.array([[c, s], [-s, c]]), LABELS),
        (np.vstack([DATA, DATA[:2]]), np.r_[LABELS, LABELS[:2]]),
        (np.hstack([DATA, np.zeros((5, 1))]), LABELS),
    ]
    for X, y in twins:
        result = margin(X, y, space=space)
        assert_solved(result)
        assert result.lower == pytest.approx(plain.lower, rel=3e-8)


@pytest.mark.parametrize("space", SPACES)
def test_fewer_points_have_a_larger_margin(space: str) -> None:
    whole, part = margin(DATA, LABELS, space=space), margin(DATA[:4], LABELS[:4], space=space)
    assert part.upper >= whole.lower


def test_without_a_certificate_nothing_is_proved() -> None:
    result = margin(DATA, LABELS, certify=False)
    assert result.status == "solved" and result.certificate is None
    assert result.rigor is Rigor.NUMERICAL


def test_too_many_patterns_is_undecided_with_proved_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(margins_f1, "LIMIT", 100)
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((24, 5)), rng.choice([-1, 1], 24)
    result = margin(X, y)
    assert result.status == "undecided" and "too many" in result.reason
    assert result.rigor is Rigor.PROVED and 0 < result.lower < result.upper
    # there is no such option, and some of the points bound the margin better than one
    assert "limit" not in result.reason and "sample" not in result.reason
    assert result.upper < 0.5 * np.linalg.norm(X, axis=1).min()


@pytest.mark.parametrize("space", SPACES)
def test_plain_data(space: str) -> None:
    data = json.loads(json.dumps(margin(DATA, LABELS, space=space).to_json()))
    assert {"status", "lower", "upper", "rigor", "certificate"} <= set(data)
    assert data["status"] == "solved" and data["rigor"] == "proved"


# -- bad input --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "X,y,options,message",
    [
        ([[1, 2]], [2], {}, "labels must be 1 and -1"),
        ([[1, 2]], [0.5], {}, "labels must be 1 and -1"),
        ([[1, math.nan]], [1], {}, r"X\[0\]\[1\] is nan"),
        ([[1, math.inf]], [1], {}, "is inf"),
        ([[1, 2], [1]], [1, 1], {}, "complete the rows"),
        ([], [], {}, "empty"),
        ([[1, 2]], [1, 1], {}, "a label to each"),
        ([[1, 2]], ["a"], {}, "finite number"),
        ([[1, 2]], [1], {"space": "f3"}, "'f1' or 'f2'"),
        ([[1, 2]], [1], {"gap": 0}, "positive number"),
        ([[1, 2]], [1], {"gap": math.nan}, "positive number"),
        ([[1, 0], [0, 1]], [1, -1], {"reflections": "all"}, "'auto'"),
        ([[1, 0], [0, 1]], [1, -1], {"reflections": [(1, 1)]}, "does not map"),
        ([[1, 0], [0, 1]], [1, -1], {"reflections": [(0, 0)]}, "non-zero"),
        ([[1, 0], [0, 1]], [1, -1], {"reflections": [(1,)]}, "2 entries"),
        ([[1, 0], [0, 1]], [1, -1], {"reflections": [["x", 1]]}, "integer vectors"),
        ([[1]] * 2001, [1] * 2001, {}, "too many"),
    ],
)
def test_bad_input(X: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        margin(X, y, **options)


# -- symmetries -------------------------------------------------------------------------------------------------------
def test_reflections_of_a_parity_generate_all_signs_and_swaps() -> None:
    case = ParityCase(4, 2)
    points = tuple(tuple(map(Fraction, x)) for x in case.points)
    found = find_reflections(points, case.labels)
    assert len(found) == 4  # two for the exclusive or, two for the free coordinates
    assert len(orbits(found, points, case.labels)) == 1
    group = {tuple(image(a, image(b, u))) for a in found for b in found for u in points[:1]}
    assert len(group) > 1
    moves = [(a, 1) for a in found]
    everything = images(moves, tuple(map(Fraction, (1, 2, 3, 4))), 1000)
    assert everything is not None and len(everything) == 8 * 8
    assert images(moves, tuple(map(Fraction, (1, 2, 3, 4))), 63) is None


def test_asymmetric_points_have_no_reflection() -> None:
    points = tuple(tuple(map(Fraction, x)) for x in DATA.tolist())
    assert find_reflections(points, LABELS.tolist()) == ()
    assert len(orbits((), points, LABELS.tolist())) == 5


def test_snapping_makes_equal_sizes_equal() -> None:
    u = (0.5, -0.5 - 1e-15, 1e-17, 0.25)
    assert snapped(u)[0] == -snapped(u)[1] and snapped(u)[2] == 0.0 and snapped(u)[3] == 0.25


@given(st.integers(0, 10**6))
def test_vanishing_weights_make_the_features_vanish(seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = rng.integers(-2, 3, (3, 2))
    X = np.vstack([half, -half, rng.integers(1, 3) * half])
    y = rng.choice([-1, 1], 9)
    points = tuple(tuple(Fraction(int(t)) for t in x) for x in X)
    q = vanishing_weights(points, y.tolist())
    directions = list(itertools.product((-3, -2, -1, 1, 2, 3), (-7, -5, 5, 7)))
    if q is None:
        return
    assert sum(q) == 1 and min(q) >= 0
    for u in directions:
        total = sum(
            a * int(s) * max(Fraction(int(x @ np.array(u))), 0)
            for a, s, x in zip(q, y, X, strict=True)
        )
        assert total == 0
