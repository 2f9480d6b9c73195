"""Feasibility of collapse in floats: known answers, an independent solver, scaling, degenerate data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from numerics.collapse_feasibility import class_feasibility, feasible_classes
from numerics.collapse_phase import gaussian_points
from numerics.errors import NumericsError


def by_highs(own, others):
    status = linprog(
        np.zeros(own.shape[1]),
        A_ub=others,
        b_ub=np.zeros(len(others)),
        A_eq=own,
        b_eq=np.ones(len(own)),
        bounds=(None, None),
    ).status
    return {0: True, 2: False}.get(status)


def split(X):
    return X[0], X[1:].reshape(-1, X.shape[2])


def check_candidate(own, others, found):
    """The answer is that of its own witness, up to rounding."""
    if found.feasible:
        assert np.abs(own @ found.w - 1).max() < 1e-8
        assert (others @ found.w).max() < 1e-8
        return
    target = others.T @ found.multipliers
    mu, *_ = np.linalg.lstsq(own.T, target, rcond=None)
    assert found.multipliers.min() >= 0
    assert np.abs(own.T @ mu - target).max() < 1e-8 * (1 + np.abs(target).max())
    assert len(own) > own.shape[1] or mu.sum() > 0


@pytest.mark.parametrize("sigma", [0.1, 0.5, np.inf])
@pytest.mark.parametrize("shape", [(2, 10, 15), (3, 8, 16), (4, 6, 15)])
def test_answers_are_those_of_highs(shape, sigma):
    K, n, d = shape
    rng = np.random.default_rng(K)
    answers = []
    for dimension in (d - 1, d, d + 1):
        for _ in range(15):
            own, others = split(gaussian_points(K, n, dimension, sigma, rng))
            found = class_feasibility(own, others)
            assert found.feasible is by_highs(own, others)
            check_candidate(own, others, found)
            answers.append(found.feasible)
    if sigma == np.inf:  # at the transition both answers occur
        assert {True, False} == set(answers)


def test_more_points_than_dimensions_are_infeasible():
    own, others = split(np.random.default_rng(0).standard_normal((2, 9, 8)))
    found = class_feasibility(own, others)
    assert found.feasible is False and found.w is None


def test_an_interior_point_is_strictly_inside():
    rng = np.random.default_rng(2)
    for _ in range(20):
        own, others = split(gaussian_points(2, 8, 13, np.inf, rng))
        found = class_feasibility(own, others, interior=True)
        if found.feasible:
            assert (others @ found.w).max() < 0
            assert np.abs(own @ found.w - 1).max() < 1e-9
            assert (others @ class_feasibility(own, others).w).max() > -1e-9  # a face, without


@pytest.mark.parametrize("scale", [1e-6, 1e6, 1e-150, 1e150])
def test_scaling_changes_no_answer(scale):
    rng = np.random.default_rng(3)
    for _ in range(10):
        own, others = split(gaussian_points(3, 10, 20, np.inf, rng))
        answer = class_feasibility(own, others).feasible
        assert answer is not None
        assert class_feasibility(own * scale, others * scale).feasible is answer
        rows = scale ** rng.choice([-1.0, 1.0], (len(others), 1)) if abs(np.log(scale)) < 20 else 1
        assert class_feasibility(own, others * rows).feasible is answer
        columns = np.where(np.arange(20) % 2, scale, 1.0)
        assert class_feasibility(own * columns, others * columns).feasible is answer


def test_permutations_change_no_answer():
    rng = np.random.default_rng(4)
    own, others = split(gaussian_points(3, 10, 20, np.inf, rng))
    found = class_feasibility(own, others)
    axes, mine, theirs = rng.permutation(20), rng.permutation(10), rng.permutation(20)
    turned = class_feasibility(own[mine][:, axes], others[theirs][:, axes])
    assert turned.feasible is found.feasible
    assert turned.margin == pytest.approx(found.margin, abs=1e-12)


def test_a_zero_point():
    eye = np.eye(3)
    assert class_feasibility(np.vstack([eye[:1], np.zeros((1, 3))]), eye[1:]).feasible is False
    assert class_feasibility(eye[:1], np.vstack([eye[1:], np.zeros((1, 3))])).feasible is True


def test_degenerate_data_are_left_open_or_right():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((2, 4, 9))
    shared = X.copy()
    shared[1, 0] = shared[0, 0]  # a point in two classes: infeasible
    assert class_feasibility(*split(shared)).feasible is not True
    repeated = X.copy()
    repeated[0, 1] = repeated[0, 0]  # a point twice in its class: as without it
    assert class_feasibility(*split(repeated)).feasible is not False
    nearly = X.copy()
    nearly[1, 0] = nearly[0, 0] * (1 + 1e-15)
    assert class_feasibility(*split(nearly)).feasible is not True
    own = np.array([[1.0, 0.0], [1.0, 1.0]])
    found = class_feasibility(own, np.array([[0.0, 0.0], [-2.0, 1e-14]]))
    assert found.feasible is None or found.feasible


def test_close_to_the_boundary_is_undecided_with_a_reason():
    # w = (1, t), t <= 0 <= t - 1e-13: infeasible by a hair
    own = np.array([[1.0, 0.0]])
    others = np.array([[0.0, 1.0], [1e-13, -1.0]])
    found = class_feasibility(own, others)
    assert found.feasible is None and found.reason


def test_all_classes_in_the_order_of_the_labels():
    X = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]])
    found = feasible_classes(X, ["b", "a", "b"])
    assert list(found) == ["b", "a"]
    assert found["a"].feasible is True
    assert found["b"].feasible is not True  # (0, 1) and (0, 2) cannot have the same value


def test_bad_input():
    X = np.eye(3)
    with pytest.raises(NumericsError, match="one label each"):
        feasible_classes(X, ["a", "b"])
    with pytest.raises(NumericsError, match="at least two classes"):
        feasible_classes(X, ["a"] * 3)
    X[1, 1] = np.nan
    with pytest.raises(NumericsError, match="point 1 has NaN"):
        feasible_classes(X, ["a", "b", "b"])
    with pytest.raises(NumericsError, match=r"\(N, d\)"):
        feasible_classes(X[0], ["a", "b", "b"])
