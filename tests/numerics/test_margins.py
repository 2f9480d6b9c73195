"""The game between networks and weights, and the quadratic program of initial features, in floating point."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from numerics.errors import NumericsError
from numerics.margins import outer_weights, pattern_of, peak, peaks, restricted_game
from numerics.margins_kernel import feature_kernel, smallest_mean

Array = np.ndarray


def drawn(seed: int, n: int = 8, d: int = 2) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), rng.choice([-1.0, 1.0], n)
    q = rng.random(n)
    return X, y, q / q.sum()


def phi(X: Array, y: Array, q: Array, u: Array) -> float:
    return float((q * y) @ np.maximum(X @ u, 0))


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_peak_is_the_maximum_on_the_circle(seed: int) -> None:
    X, y, q = drawn(seed)
    angle = np.linspace(0, 2 * np.pi, 20001)
    circle = np.c_[np.cos(angle), np.sin(angle)]
    best = max(abs(phi(X, y, q, u)) for u in circle)
    found = peaks(X, y, q, starts=circle[::100])[0]
    assert found.value >= best - 1e-12
    # φ is Lipschitz, and a maximum may be at a kink
    slope = float(q @ np.linalg.norm(X, axis=1))
    assert found.value <= best + slope * (angle[1] - angle[0])
    assert found.sign * phi(X, y, q, found.direction) == pytest.approx(found.value, rel=1e-12)
    assert np.linalg.norm(found.direction) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_the_peak_of_a_pattern_is_a_lower_bound_everywhere_else(seed: int) -> None:
    """Replacing (z)_+ by z or 0 on one label bounds φ from below, so its maximum is at most that of φ."""
    X, y, q = drawn(seed, n=10, d=3)
    rng = np.random.default_rng(seed)
    for u in rng.standard_normal((20, 3)):
        for sign in (1, -1):
            found = peak(X, y, q, pattern_of(X, y, u, sign))
            if found is not None:
                assert sign * phi(X, y, q, found.direction) >= found.value - 1e-12
                start = u / np.linalg.norm(u)
                assert found.value >= sign * phi(X, y, q, start) - 1e-12


def test_a_pattern_without_points_has_no_peak() -> None:
    X, y, q = drawn(0)
    assert peak(X, y, q, (1, ())) is None


@pytest.mark.parametrize("seed", range(4))
def test_the_restricted_game_grows_with_its_patterns_to_the_margin(seed: int) -> None:
    X, y, _ = drawn(seed, n=7)
    orbits = [[i] for i in range(7)]
    angle = np.linspace(0, 2 * np.pi, 721)
    circle = np.c_[np.cos(angle), np.sin(angle)]
    patterns = list(dict.fromkeys(pattern_of(X, y, u, s) for u in circle for s in (1, -1)))
    values = [restricted_game(X, y, orbits, patterns[:k], 1.0).value for k in (1, 4, 9)]
    whole = restricted_game(X, y, orbits, patterns, 1.0)
    for before, after in zip(values, [*values[1:], whole.value], strict=False):
        assert before <= after + 1e-9
    assert whole.q.sum() == pytest.approx(1.0) and whole.q.min() >= 0
    best = max(abs(phi(X, y, whole.q, u)) for u in circle)
    assert best <= whole.value + 1e-9
    # the multipliers of the cones make a network with that margin
    c = outer_weights(X, y, orbits, whole.neurons)
    U = np.array([u for _, u in whole.neurons])
    f = np.maximum(X @ U.T, 0) @ (c * np.array([s for s, _ in whole.neurons]))
    assert (y * f).min() / c.sum() == pytest.approx(whole.value, rel=1e-6, abs=1e-9)


def test_points_that_are_not_finite_numbers_are_refused() -> None:
    X, y, _ = drawn(0)
    X[0, 0] = np.nan
    with pytest.raises((NumericsError, ValueError)):
        restricted_game(X, y, [[i] for i in range(8)], [(1, (0,))], 1.0)


# -- initial features -------------------------------------------------------------------------------------------------
def test_the_kernel_is_the_mean_of_the_features() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 3))
    V = rng.standard_normal((400_000, 3))
    active = (V @ X.T > 0).astype(float)
    sampled = (X @ X.T) * (active.T @ active) / len(V)
    assert feature_kernel(X) == pytest.approx(sampled, abs=0.02)


def test_the_kernel_at_the_angles_zero_and_pi() -> None:
    X = np.array([[1.0, 2.0], [2.0, 4.0], [-1.0, -2.0], [0.0, 0.0]])
    K = feature_kernel(X)
    assert K[0, 1] == pytest.approx(5.0, rel=1e-15)
    assert K[0, 2] == pytest.approx(0.0, abs=1e-15)
    assert not K[3].any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_the_smallest_mean_against_a_quadratic_program(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    F = rng.standard_normal((5, 9)) + 0.5
    G = scale * F.T @ F
    q = smallest_mean(G)
    assert q.sum() == pytest.approx(1.0) and q.min() >= 0
    z = cp.Variable(9)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(F @ z)), [z >= 0, cp.sum(z) == 1])
    problem.solve(solver=cp.CLARABEL)
    assert q @ G @ q <= scale * (problem.value + 1e-7)
