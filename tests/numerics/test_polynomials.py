"""Bernstein coefficients, sign changes, roots."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.polynomials import (
    clearance,
    first_order,
    lobatto_nodes,
    powers,
    sign_changes,
    single_roots,
    to_bernstein,
)

coefficients = st.lists(st.floats(-10, 10), min_size=3, max_size=12)


@given(coefficients)
def test_bernstein_coefficients_represent_the_polynomial(a: list[float]) -> None:
    p = len(a) - 1
    b = to_bernstein(np.array(a)[:, None])[:, 0]
    for s in (0.0, 0.3, 0.71, 1.0):
        basis = [comb(p, k) * s**k * (1 - s) ** (p - k) for k in range(p + 1)]
        value = sum(c * s**k for k, c in enumerate(a))
        assert np.dot(basis, b) == pytest.approx(value, abs=1e-10)


@given(coefficients)
def test_no_sign_change_means_no_root(a: list[float]) -> None:
    count, first = sign_changes(to_bernstein(np.array(a)[:, None]))
    values = np.polyval(a[::-1], np.linspace(0, 1, 201))
    crossings = int((np.sign(values[1:]) * np.sign(values[:-1]) < 0).sum())
    assert count[0] >= crossings
    if count[0] == 1 and abs(values[0]) > 1e-6 and abs(values[-1]) > 1e-6:
        assert crossings == 1
    if count[0] == 0 and first[0] > 0:
        assert values.min() >= -1e-9


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=30), st.integers(0, 2**31))
def test_single_roots_are_accurate(roots: list[float], seed: int) -> None:
    """(r - s) times a polynomial that is positive on [0, 1]."""
    rng = np.random.default_rng(seed)
    positive = rng.uniform(0, 1, (5, len(roots)))
    positive[0] += 0.1
    columns = np.zeros((6, len(roots)))
    columns[:-1] += positive * np.array(roots)
    columns[1:] -= positive
    found = single_roots(columns)
    np.testing.assert_allclose(found, roots, rtol=1e-13)
    alone = [single_roots(columns[:, [k]])[0] for k in range(len(roots))]
    np.testing.assert_array_equal(found, alone)


@given(coefficients, st.floats(0, 1))
def test_clearance_is_a_lower_bound(a: list[float], s: float) -> None:
    bound = clearance(np.array(a)[None, :, None], np.array([s]))[0, 0]
    values = np.polyval(a[::-1], np.linspace(0, s, 50))
    assert np.abs(values).min() >= bound - 1e-12


def test_first_order_counts_the_vanishing_coefficients() -> None:
    a = np.array([[0.0, 1e-20, 3.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(first_order(a, np.full((3, 3), 1e-15)), [2, 3, 0])


def test_nodes_and_powers() -> None:
    nodes = lobatto_nodes(5)
    assert nodes[0] == 0 and nodes[-1] == 1 and np.all(np.diff(nodes) > 0)
    np.testing.assert_allclose(powers(np.array([2.0, 3.0]), 3), [[1, 2, 4, 8], [1, 3, 9, 27]])
