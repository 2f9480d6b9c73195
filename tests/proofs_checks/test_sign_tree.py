"""Bounds on sums of ReLUs: the kernel accepts them at their maximum, and not below it."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from numerics.arrangements import enumerate_patterns
from numerics.arrangements_leaves import shortest
from numerics.pricing import Pricing
from proofs_checks.audit.core import Clock
from proofs_checks.audit.sign_tree import check_bound
from proofs_checks.sign_tree import bound_witness, pricing_bound
from proofs_checks.sign_tree_branches import branches, conic_support
from theory.errors import LemmataError


def rational(x: Any) -> fmpq:
    return fmpq(*Fraction(x).as_integer_ratio())


def audit(X: Any, nu: Any, R: Any, witness: Any) -> None:
    """The kernel on the witness as it is read back from JSON."""
    points = [[rational(x) for x in row] for row in X]
    data = json.loads(json.dumps(witness))
    check_bound(points, [rational(v) for v in nu], rational(R) ** 2, data, Clock(60))


def over_all_cells(X: Any, nu: Any) -> float:
    """The maximum over |u| <= 1 by a least squares problem in every cell of all rows."""
    X, nu = np.array(X, dtype=float), np.array(nu, dtype=float)
    best = 0.0
    for pattern in enumerate_patterns(X).patterns:
        cone = (np.where(pattern, 1.0, -1.0)[:, None] * X).T
        for sign in (1, -1):
            best = max(best, nnls(cone, -sign * (nu * pattern) @ X)[1])
    return best


def cases(entries: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[Any, Any]]:
    def of(d: int) -> st.SearchStrategy[tuple[Any, Any]]:
        row = st.tuples(st.lists(entries, min_size=d, max_size=d), entries)
        return st.lists(row, min_size=1, max_size=7).map(lambda r: tuple(zip(*r, strict=True)))

    return st.integers(1, 4).flatmap(of)


coarse = st.integers(-2, 2).map(float)
fine = st.sampled_from([0.0, 1.0, 0.1, 0.1 + 0.2, 0.3, -1.0, 1 / 3, -2.5, 1e-3, 30.0])


@given(cases(coarse) | cases(fine))
def test_the_maximum_is_found_and_proved(case: tuple[Any, Any]) -> None:
    X, nu = case
    M, u = pricing_bound(X, nu)
    assert pytest.approx(over_all_cells(X, nu), rel=1e-9, abs=1e-12) == M
    assert np.linalg.norm(u) == pytest.approx(1.0)
    value = abs(np.array(nu) @ np.maximum(np.array(X) @ u, 0.0))
    assert value == pytest.approx(M, rel=1e-12, abs=1e-14)
    R = M * (1 + 1e-12)
    audit(X, nu, R, bound_witness(X, nu, R))
    if M > 0:
        assert bound_witness(X, nu, M * (1 - 1e-10)) is None


@given(cases(fine), st.integers(-20, 20), st.integers(-20, 20))
def test_scaled_data_have_scaled_bounds(case: tuple[Any, Any], a: int, b: int) -> None:
    X, nu = np.array(case[0]), np.array(case[1])
    M, u = pricing_bound(X, nu)
    scaled, v = pricing_bound(X * 2.0**a, nu * 2.0**b)
    assert scaled == M * 2.0 ** (a + b) and np.array_equal(u, v)
    rows = 2.0 ** np.arange(len(X))
    assert pricing_bound(X * rows[:, None], nu / rows)[0] == pytest.approx(M, rel=1e-13)


def test_exact_numbers_decide_at_the_maximum() -> None:
    """M = 5 for the single point (3, 4): R = 5 is proved, the next smaller rational is not."""
    X, nu = [[3, 4]], [1]
    audit(X, nu, 5, bound_witness(X, nu, 5))
    assert bound_witness(X, nu, Fraction(5) - Fraction(1, 10**30)) is None
    third = [[Fraction(3, 7), Fraction(4, 7)]]
    audit(third, nu, Fraction(5, 7), bound_witness(third, nu, Fraction(5, 7)))


def parity(d: int, k: int) -> tuple[list[Any], list[Fraction], list[list[int]]]:
    """Points of the hypercube, labels over their number, and simple reflections of their symmetries."""
    S = list(itertools.product([-1, 1], repeat=d))
    nu = [Fraction(math.prod(s[:k]), len(S)) for s in S]
    mirrors = []
    for first, last in ((0, k), (k, d)):
        for i in range(first, last):
            a = [0] * d
            a[i] = 1
            if i + 1 < last:
                a[i + 1] = -1
            mirrors.append(a)
    return S, nu, mirrors


@pytest.mark.parametrize(("d", "k"), [(2, 2), (4, 2), (4, 4), (5, 4), (6, 4)])
def test_parity_with_reflections(d: int, k: int) -> None:
    X, nu, mirrors = parity(d, k)
    closed_form = math.comb(k - 2, k // 2 - 1) / (2 ** (k - 1) * math.sqrt(k))
    M, _ = pricing_bound(X, nu, reflections=mirrors)
    assert pytest.approx(closed_form, rel=1e-13) == M
    R = M * (1 + 1e-12)
    witness = bound_witness(X, nu, R, reflections=mirrors)
    audit(X, nu, R, witness)
    assert bound_witness(X, nu, M * (1 - 1e-10), reflections=mirrors) is None
    if d < 6:
        whole = bound_witness(X, nu, R)
        audit(X, nu, R, whole)
        assert len(json.dumps(witness)) < len(json.dumps(whole)) or d == 2


def test_a_binary_column() -> None:
    rng = np.random.default_rng(5)
    X, nu = rng.standard_normal((30, 3)), rng.standard_normal(30)
    X[:, 2] = X[:, 2] > 0  # a binary column
    M, _ = pricing_bound(X, nu)
    witness = bound_witness(X, nu, M * (1 + 1e-12))
    audit(X, nu, M * (1 + 1e-12), witness)
    assert len(json.dumps(witness)) < 60_000


# -- the parts


@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=5),
    st.data(),
)
def test_conic_support(rows: list[list[int]], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    target = [sum(w * r[c] for w, r in zip(weights, rows, strict=True)) for c in range(3)]
    support = conic_support(rows, target)
    assert support is not None
    chosen = np.array([rows[k] for k in support], dtype=float).reshape(-1, 3)
    found, residual = (
        nnls(chosen.T, np.array(target, dtype=float)) if support else (np.ones(0), 0.0)
    )
    assert (found > 0).all() and residual < 1e-9 * (1 + np.abs(target).sum())
    assert np.linalg.matrix_rank(chosen) == len(support)


def test_no_conic_support() -> None:
    assert conic_support([[1, 0], [0, 1]], [-1, 1]) is None
    assert conic_support([], [1]) is None
    assert conic_support([], [0]) == []


def test_a_missing_cell_has_no_tree() -> None:
    rows = [(1, 0), (0, 1), (1, 1)]
    patterns = enumerate_patterns(rows).patterns
    with pytest.raises(LemmataError, match="incomplete"):
        branches(rows, [], patterns[1:], [0, 1, 2], [[""]] * 5)


@given(st.integers(0, 2**16))
def test_shortest_agrees_with_the_solver_for_boxes(seed: int) -> None:
    from scipy.optimize import lsq_linear

    rng = np.random.default_rng(seed)
    base, N = rng.standard_normal(3), rng.standard_normal((6, 3))
    found = shortest(base, N, rng.random(6) < 0.5)
    reference = lsq_linear(N.T, -base, (0.0, 1.0), tol=1e-14)
    assert np.linalg.norm(found.g) <= np.linalg.norm(base + N.T @ reference.x) + 1e-7
    assert (found.theta >= 0).all() and (found.theta <= 1).all()
    np.testing.assert_allclose(base + found.theta @ N, found.g, atol=1e-12)


# -- cells as narrow as rounding


@given(st.integers(0, 2**32))
def test_narrow_cells_do_not_raise_the_price(seed: int) -> None:
    """Rows that lie in a common plane but for rounding: the price over their cells is that of the tree."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((4, 3))
    copies = rows[rng.integers(0, 4, 5)] * rng.choice([1.0, -1.0, 3.0, 1e-3], (5, 1))
    X = np.hstack([np.vstack([rows, copies]), np.ones((9, 1))])
    nu = rng.standard_normal(9).round(2)
    price = Pricing(X, enumerate_patterns(X).patterns).maximum(nu)
    assert price.bound == pytest.approx(pricing_bound(X, nu)[0], rel=1e-10)
    at = abs(np.maximum(X @ price.best.direction, 0.0) @ nu)
    assert at == pytest.approx(price.bound, rel=1e-6)


def test_the_price_of_a_sliver_is_not_noise() -> None:
    """Non-negative least squares returns multipliers of size 1e14 here, and a residual that is noise."""
    rows = [
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
    nu = [-0.77, 1.26, 1.65, -0.25, -0.02, -1.52, -0.31, 0.22, -0.14]
    price = Pricing(np.array(rows), enumerate_patterns(rows).patterns).maximum(np.array(nu)).bound
    assert price == pytest.approx(6.786178, rel=1e-7)
    assert price == pytest.approx(pricing_bound(rows, nu)[0], rel=1e-12)


# -- what is refused

X0 = [[1, 0], [0, 1], [1, 1], [-1, 2], [0, 0]]
NU0 = [1, -2, 3, 1, 5]


@pytest.mark.parametrize(
    ("X", "nu", "options", "message"),
    [
        ([[1.0, math.nan]], [1.0], {}, "is nan"),
        ([[1.0]], [1.0, 2.0], {}, "2 entries"),
        ([[1.0, 2.0]], [1.0], {"reflections": [[1]]}, "reflection"),
        ([[1.0, 2.0]], [1.0], {"reflections": [[0, 0]]}, "reflection"),
        ([[1.0, 2.0]], [1.0], {"reflections": [[1, 0], [-1, 0]]}, "no common positive side"),
        (np.eye(9), np.ones(9), {"limit": 100}, "more than 100"),
    ],
)
def test_bad_input(X: Any, nu: Any, options: Any, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        pricing_bound(X, nu, **options)
    with pytest.raises(LemmataError, match=message):
        bound_witness(X, nu, 1.0, **options)
