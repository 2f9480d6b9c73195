"""The pricing oracle against dense directions, vertices and its own multipliers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.arrangements import enumerate_patterns
from numerics.errors import NumericsError
from numerics.pricing import Pricing


def data(seed: int, n: int, d: int, *, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (n, d)).astype(float) if whole else rng.normal(size=(n, d))
    X[0, 0] += float(not X.any())
    return X, rng.normal(size=n)


def price(X: np.ndarray, u: np.ndarray, nu: np.ndarray) -> np.ndarray:
    return np.maximum(u @ X.T, 0.0) @ nu


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_maximum_bounds_every_direction_and_is_attained(seed, n, d, whole) -> None:
    X, nu = data(seed, n, d, whole=whole)
    found = Pricing(X, enumerate_patterns(X).patterns).maximum(nu)
    u = np.random.default_rng(seed + 1).normal(size=(4000, d))
    u /= np.linalg.norm(u, axis=1)[:, None]
    scale = np.abs(nu) @ np.linalg.norm(X, axis=1)
    assert np.abs(price(X, u, nu)).max() <= found.bound + 1e-13 * scale
    if found.best.direction.any():
        at = found.best.sign * price(X, found.best.direction[None], nu)[0]
        assert at == pytest.approx(found.bound, abs=1e-12 * scale)
        assert np.linalg.norm(found.best.direction) == pytest.approx(1.0)


@pytest.mark.parametrize("small", [1e-100, 1e-160, 1e-205, 1e-310])
def test_gradients_whose_squares_underflow_are_no_prices(small) -> None:
    """The dual vector of the logistic loss has entries of every size; some cells see only the smallest."""
    X = np.array([[1.0, 1.0], [-2.0, 1.0], [-0.5, 1.0]])
    nu = np.array([0.5, small, 0.5])
    pricing = Pricing(X, enumerate_patterns(X).patterns)
    found, without = pricing.maximum(nu), pricing.maximum(nu * [1.0, 0.0, 1.0])
    assert found.bound == pytest.approx(without.bound, rel=1e-14)
    assert without.bound == pytest.approx(np.hypot(0.25, 1.0))  # both active
    assert np.linalg.norm(found.best.direction) == pytest.approx(1.0)


def test_circle_in_closed_form() -> None:
    # on the circle the maximum lies at a cell's gradient or on a ray orthogonal to a point
    X, nu = data(3, 12, 2, whole=False)
    turn = np.stack([X[:, 1], -X[:, 0]], axis=1)
    rays = np.concatenate([turn, -turn])
    patterns = enumerate_patterns(X).patterns
    gradients = patterns @ (nu[:, None] * X)
    u = np.concatenate([rays, gradients, -gradients])
    u /= np.linalg.norm(u, axis=1)[:, None]
    expected = np.abs(price(X, u, nu)).max()
    assert Pricing(X, patterns).maximum(nu).bound == pytest.approx(expected, rel=1e-14)


@given(st.integers(0, 10**6), st.booleans())
def test_search_finds_the_maximum_first_and_nothing_below_the_threshold(seed, whole) -> None:
    X, nu = data(seed, 8, 3, whole=whole)
    pricing = Pricing(X, enumerate_patterns(X).patterns)
    top = pricing.maximum(nu).bound
    found = pricing.search(nu, 0.7 * top)
    assert found[0].value == pytest.approx(top, rel=1e-13)
    assert [a.value for a in found] == sorted((a.value for a in found), reverse=True)
    for atom in found:
        assert atom.value > 0.7 * top
        assert atom.sign * price(X, atom.direction[None], nu)[0] == pytest.approx(atom.value)
    for atom in pricing.quick(nu, 0.7 * top, 5):
        assert 0.7 * top < atom.value <= top * (1 + 1e-13)


def test_a_floor_spares_work_but_keeps_the_bound() -> None:
    X, nu = data(11, 10, 3, whole=False)
    pricing = Pricing(X, enumerate_patterns(X).patterns)
    top = pricing.maximum(nu).bound
    assert pricing.maximum(nu, 0.5 * top).bound == top
    assert pricing.maximum(nu, 2 * top).bound == 2 * top


def test_fewer_cells_give_a_smaller_price() -> None:
    X, nu = data(5, 10, 3, whole=False)
    nu = np.abs(nu)  # convex in u: the maximiser is inside one cell
    patterns = enumerate_patterns(X).patterns
    top = Pricing(X, patterns).maximum(nu)
    best = X @ top.best.direction > 0
    rest = patterns[(patterns != best).any(axis=1)]
    assert len(rest) == len(patterns) - 1
    assert Pricing(X, rest).maximum(nu).bound < top.bound * (1 - 1e-6)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(NumericsError, match="patterns"):
        Pricing(np.ones((3, 2)), np.ones((4, 2), dtype=bool))
