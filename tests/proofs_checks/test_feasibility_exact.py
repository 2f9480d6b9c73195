"""Exact feasibility: degenerate integer data against the criss-cross method and an independent solver."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from numerics.collapse_feasibility import class_feasibility
from proofs_checks import feasibility_exact
from proofs_checks.exact_data import exact_matrix
from proofs_checks.feasibility import collapse_feasibility
from proofs_checks.feasibility_exact import ExactAnswer, settle, solve, verified


@st.composite
def small_classes(draw):
    d, n, m = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 7))
    entry = draw(st.sampled_from([st.integers(0, 1), st.integers(-1, 1), st.integers(-3, 3)]))

    def rows(count):
        return draw(
            st.lists(st.lists(entry, min_size=d, max_size=d), min_size=count, max_size=count)
        )

    return rows(n), rows(m)


def fractions(rows):
    return [[F(x) for x in row] for row in rows]


@given(small_classes())
def test_degenerate_data_are_decided_and_verified(classes):
    own, others = classes
    answer = settle(fractions(own), fractions(others))
    assert answer.feasible is not None
    assert verified(own, others, answer)
    slow = feasibility_exact._criss_cross(own, others)
    assert slow.feasible is answer.feasible and verified(own, others, slow)
    status = linprog(
        np.zeros(len(own[0])),
        A_ub=others,
        b_ub=np.zeros(len(others)),
        A_eq=own,
        b_eq=np.ones(len(own)),
        bounds=(None, None),
    ).status
    assert answer.feasible is (status == 0)


@given(small_classes(), st.integers(-12, 12), st.integers(-12, 12))
def test_scaled_data_have_the_same_answer(classes, p, q):
    own, others = classes
    answer = settle(fractions(own), fractions(others)).feasible
    scale = [F(10) ** (p if k % 2 else q) for k in range(len(own[0]))]
    scaled = [
        [[x * s for x, s in zip(row, scale, strict=True)] for row in rows] for rows in classes
    ]
    assert settle(*scaled).feasible is answer


def test_a_face_without_interior_needs_the_exact_method(monkeypatch):
    # b and -b among the others: b.w = 0 for every solution
    own = [[1, 0, 0]]
    others = [[0, 1, 0], [0, -1, 0], [-1, 2, 3]]
    answer = settle(fractions(own), fractions(others))
    assert answer.feasible is True and answer.w[1] == 0
    monkeypatch.setattr(feasibility_exact, "MAX_WORK", 0)
    assert feasibility_exact._criss_cross(own, others).reason


def test_verification_refuses_wrong_answers():
    own, others = [[1, 0], [1, 1]], [[-1, 0], [0, 5]]
    assert verified(own, others, ExactAnswer(True, w=(1, 0)))
    assert not verified(own, others, ExactAnswer(True, w=(-1, 0)))
    assert not verified(own, others, ExactAnswer(True, w=(1, 1)))
    assert not verified(own, [[1, 0]], ExactAnswer(True, w=(1, 0)))
    own, others = [[1, 0]], [[2, 0], [0, 1]]
    assert verified(own, others, ExactAnswer(False, mu=(2,), lam=(1, 0)))
    assert not verified(own, others, ExactAnswer(False, mu=(0,), lam=(0, 0)))
    assert not verified(own, others, ExactAnswer(False, mu=(2,), lam=(1, 1)))
    assert not verified(own, [[-2, 0]], ExactAnswer(False, mu=(2,), lam=(-1,)))
    assert not verified(own, others, ExactAnswer(None))


@pytest.mark.parametrize(
    ("rows", "right", "solvable"),
    [
        ([[2, 0], [0, 3]], [1, 1], True),
        ([[1, 2], [2, 4]], [1, 2], True),
        ([[1, 2], [2, 4]], [1, 3], False),
        ([[0, 0], [0, 1]], [0, 7], True),
        ([[0, 0]], [0], True),
        ([[0, 0]], [1], False),
        ([[1, 1, 1]], [5], True),
    ],
)
def test_exact_linear_systems(rows, right, solvable):
    x = solve(rows, right)
    assert (x is not None) is solvable
    if x is not None:
        assert [sum(a * b for a, b in zip(row, x, strict=True)) for row in rows] == right


def test_coordinates_beyond_the_range_of_floats():
    own = [[F(10) ** 400, F(1)]]
    others = [[F(-(10**400)), F(1)], [F(0), F(-1)]]
    answer = settle(own, others)
    assert answer.feasible is True
    w = [F(x) for x in answer.w]
    assert w[0] * own[0][0] + w[1] > 0
    assert all(w[0] * b[0] + w[1] * b[1] <= 0 for b in others)


def test_floats_never_contradict_exact_answers():
    """Degenerate integers moved a little, and rows, columns and entries of very different sizes."""
    rng = np.random.default_rng(7)
    decided = 0
    for _ in range(300):
        n, others, d = rng.integers(1, 4), rng.integers(1, 7), rng.integers(1, 5)
        X = rng.integers(-2, 3, (n + others, d)).astype(float)
        kind = rng.integers(0, 4)
        if kind == 1:
            X += 10.0 ** rng.integers(-16, -3) * rng.integers(-2, 3, X.shape)
        elif kind == 2:
            X *= 10.0 ** rng.integers(-150, 150, X.shape).astype(float)
        elif kind == 3:
            X[n:] *= 10.0 ** rng.integers(-150, 150, (others, 1)).astype(float)
        with np.errstate(all="raise", under="ignore"):
            found = class_feasibility(X[:n], X[n:]).feasible
        if found is not None:
            decided += 1
            assert found is settle(exact_matrix(X[:n]), exact_matrix(X[n:])).feasible, X
    assert decided > 150


SLIVER = [[1, -1e-12], [1, 0.999999999999], [-1, -1.000000000001]]
SIZES = [
    [0.0, 1e74, -1e-83],
    [1e-55, 0, 0],
    [0, -1e-143, 1e-22],
    [-1e126, 1e-16, -1e73],
    [1e-57, 1e-87, -1e-139],
    [1e38, 0, 0],
]


@pytest.mark.parametrize(
    ("points", "labels"),
    [
        (SLIVER, "021"),
        (SIZES, "001132"),
        ([[1e-6], [-1e300]], "ab"),
        ([[F(1, 10**400), 0], [-1, 1]], "ab"),  # not zero, although a float is
    ],
)
def test_floats_leave_open_what_rounding_may_turn(points, labels):
    exact = collapse_feasibility(points, labels)
    assert exact.status == "solved" and exact.rigor == "proved"
    with np.errstate(all="raise", under="ignore"):
        quick = collapse_feasibility(points, labels, certify=False)
    for name, answer in quick.feasible.items():
        assert answer in (None, exact.feasible[name])


def nearly_dependent(kind):
    """Floats whose columns depend on each other but for rounding, which then decides."""
    rng = np.random.default_rng(11)
    if kind == "low rank":
        return rng.standard_normal((60, 20)) @ rng.standard_normal((20, 40))
    if kind == "projected":
        X, basis = rng.standard_normal((60, 40)), np.linalg.qr(rng.standard_normal((40, 40)))[0]
        return (X - X.mean(axis=0)) @ basis[:, :15] @ basis[:, :15].T
    return np.repeat(rng.standard_normal((60, 10)), 3, axis=1)  # exactly dependent


@pytest.mark.parametrize("kind", ["low rank", "projected", "repeated columns"])
def test_nearly_dependent_columns_are_decided(kind):
    X = nearly_dependent(kind)
    report = collapse_feasibility(X, np.arange(60) % 3)
    assert report.status == "solved" and report.rigor == "proved", report.reason


def test_other_coordinates_are_those_of_the_points():
    points = exact_matrix(nearly_dependent("low rank"))
    rows, _ = feasibility_exact.integer_columns(points)
    turned, back = feasibility_exact._turned(rows)
    assert feasibility_exact.fmpq_mat(feasibility_exact.fmpz_mat(rows)) * back == (
        feasibility_exact.fmpq_mat(feasibility_exact.fmpz_mat(turned))
    )
    singular = np.linalg.svd(feasibility_exact.unit_columns(turned)[1], compute_uv=False)
    assert singular[-1] > 1e-4 * singular[0]
    assert feasibility_exact._turned(turned) is None  # and need no others
