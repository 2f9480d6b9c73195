"""Bernstein coefficients, roots, nodes."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.compiled_events import single_root, to_bernstein
from numerics.polynomials import first_order, lobatto_nodes, powers

coefficients = st.lists(st.floats(-10, 10), min_size=3, max_size=12)


def bernstein(a: list[float]) -> np.ndarray:
    b = np.zeros(len(a))
    to_bernstein(np.array(a), len(a) - 1, b)
    return b


@given(coefficients)
def test_bernstein_coefficients_represent_the_polynomial(a: list[float]) -> None:
    p, b = len(a) - 1, bernstein(a)
    for s in (0.0, 0.3, 0.71, 1.0):
        basis = [comb(p, k) * s**k * (1 - s) ** (p - k) for k in range(p + 1)]
        value = sum(c * s**k for k, c in enumerate(a))
        assert np.dot(basis, b) == pytest.approx(value, abs=1e-10)


@given(coefficients)
def test_bernstein_coefficients_enclose_the_polynomial(a: list[float]) -> None:
    b, values = bernstein(a), np.polyval(a[::-1], np.linspace(0, 1, 201))
    assert b.min() - 1e-9 <= values.min() and values.max() <= b.max() + 1e-9


@given(st.floats(0.01, 0.99), st.integers(0, 2**31))
def test_single_roots_are_accurate(root: float, seed: int) -> None:
    """(r - s) times a polynomial that is positive on [0, 1]."""
    positive = np.random.default_rng(seed).uniform(0, 1, 5)
    positive[0] += 0.1
    a = np.zeros(6)
    a[:-1] += positive * root
    a[1:] -= positive
    assert single_root(a, 5) == pytest.approx(root, rel=1e-13)


def test_first_order_counts_the_vanishing_coefficients() -> None:
    a = np.array([[0.0, 1e-20, 3.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(first_order(a, np.full((3, 3), 1e-15)), [2, 3, 0])


def test_nodes_and_powers() -> None:
    nodes = lobatto_nodes(5)
    assert nodes[0] == 0 and nodes[-1] == 1 and np.all(np.diff(nodes) > 0)
    np.testing.assert_allclose(powers(np.array([2.0, 3.0]), 3), [[1, 2, 4, 8], [1, 3, 9, 27]])
