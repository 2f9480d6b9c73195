"""All activation patterns, exactly: against elimination, known counts, and degenerate data."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.arrangements import (
    Arrangement,
    count_bound,
    count_patterns,
    enumerate_patterns,
    sample_patterns,
)
from numerics.errors import NumericsError


def feasible(system: list[tuple[Fraction, ...]]) -> bool:
    """Whether some u has row . u > 0 for all rows: Fourier-Motzkin elimination."""
    if any(not any(row) for row in system):
        return False
    if not system or not system[0]:
        return True
    up = [r for r in system if r[0] > 0]
    down = [r for r in system if r[0] < 0]
    mixed = [
        tuple(a / p[0] - b / q[0] for a, b in zip(p[1:], q[1:], strict=True))
        for p in up
        for q in down
    ]
    return feasible(list({*mixed, *(r[1:] for r in system if not r[0])}))


def oracle(X: list[list[Any]]) -> set[tuple[bool, ...]]:
    """Every sign vector of the non-zero rows that elimination allows."""
    rows = [tuple(map(Fraction, row)) for row in X]
    found: list[tuple[int, ...]] = [()]
    for row in rows:
        if not any(row):
            found = [(*s, 0) for s in found]
            continue
        found = [
            (*s, sign)
            for s in found
            for sign in (1, -1)
            if feasible(
                [tuple(e * x for x in r) for e, r in zip((*s, sign), rows, strict=False) if e]
            )
        ]
    return {tuple(e >= 0 for e in s) for s in found}


def check(X: Any, A: Arrangement) -> None:
    """Every point lies strictly inside the cell of its pattern; patterns are distinct."""
    rows = [[Fraction(float(x)) if not isinstance(x, Fraction) else x for x in row] for row in X]
    for point, pattern in zip(A.points, A.patterns, strict=True):
        for row, bit in zip(rows, pattern, strict=True):
            value = sum(a * b for a, b in zip(row, point, strict=True))
            assert not any(row) or value
            assert (value >= 0) == bit
    assert len({tuple(p) for p in A.patterns.tolist()}) == len(A.patterns) == len(A.points)
    np.testing.assert_allclose(np.linalg.norm(A.directions, axis=1), 1.0)


small = st.integers(-2, 2)
near = st.sampled_from([0.0, 1.0, 0.1, 0.2, 0.1 + 0.2, 0.3, 1 / 3, 2 / 3, -0.3, 1e-17, -1.0, 1e6])


def matrices(entries: st.SearchStrategy[Any], most: int = 6) -> st.SearchStrategy[list[list[Any]]]:
    return st.integers(1, 4).flatmap(
        lambda d: st.lists(st.lists(entries, min_size=d, max_size=d), min_size=1, max_size=most)
    )


@given(matrices(small) | matrices(near))
def test_all_patterns_of_degenerate_data(X: list[list[Any]]) -> None:
    A = enumerate_patterns(X)
    check(X, A)
    assert {tuple(p) for p in A.patterns.tolist()} == oracle(X)
    assert A.complete and A.count == len(A.patterns) == count_patterns(X)


@pytest.mark.parametrize(("D", "count"), [(2, 4), (3, 14), (4, 104), (5, 1882)])
def test_hypercube(D: int, count: int) -> None:
    X = list(itertools.product([-1, 1], repeat=D))
    assert count_patterns(X) == count
    assert len(enumerate_patterns(X).patterns) == count


@pytest.mark.parametrize(("n", "d"), [(7, 1), (12, 2), (14, 3), (11, 4), (9, 6)])
def test_general_position_gives_the_bound_of_cover(n: int, d: int) -> None:
    X = np.random.default_rng(n).standard_normal((n, d))
    A = enumerate_patterns(X)
    check(X, A)
    assert len(A.patterns) == count_bound(n, d) == 2 * sum(math.comb(n - 1, k) for k in range(d))


@given(matrices(small, 5), st.integers(0, 2**16))
def test_twins(X: list[list[int]], seed: int) -> None:
    """Permuted and scaled rows, scaled columns and negated rows have the same cells."""
    rng = np.random.default_rng(seed)
    X = np.array(X, dtype=float)
    before = {tuple(p) for p in enumerate_patterns(X).patterns.tolist()}
    order = rng.permutation(len(X))
    rows, columns = rng.uniform(0.1, 3.0, len(X)), 10.0 ** rng.integers(-6, 7, X.shape[1])
    after = enumerate_patterns(X[order] * columns).patterns[:, np.argsort(order)]
    assert {tuple(p) for p in after.tolist()} == before
    integer_scale = np.rint(rows * 8) + 1  # a product that is not rounded
    assert {
        tuple(p) for p in enumerate_patterns(X * integer_scale[:, None]).patterns.tolist()
    } == before
    flip = rng.random(len(X)) < 0.5
    zero = ~X.any(axis=1)
    negated = enumerate_patterns(np.where(flip[:, None], -X, X)).patterns
    assert {tuple(p) for p in (negated ^ (flip & ~zero)).tolist()} == before


@given(matrices(small, 5), st.data())
def test_cells_inside_a_cone(X: list[list[int]], data: st.DataObject) -> None:
    d = len(X[0])
    cone = data.draw(
        st.lists(st.lists(small, min_size=d, max_size=d).filter(any), min_size=1, max_size=3)
    )
    A = enumerate_patterns(X, cone=cone)
    check(X, A)
    everywhere = oracle([*X, *cone])
    wanted = {s[: len(X)] for s in everywhere if all(s[len(X) :])}
    assert {tuple(p) for p in A.patterns.tolist()} == wanted
    assert all(np.dot(row, p) > 0 for p in A.points for row in cone)
    assert A.count is None


def test_thin_cells_have_exact_points() -> None:
    """Rows that differ in the last bit: the cells between them hold no short vector."""
    X = [[0.1 + 0.2, 1.0, 0.0], [0.3, 1.0, 0.0], [0.3, 1.0, 2.0**-54], [0.0, 0.0, 1.0]]
    A = enumerate_patterns(X)
    check(X, A)
    assert {tuple(p) for p in A.patterns.tolist()} == oracle(X)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_lines_whose_angles_round_to_one_float(order: tuple[int, ...]) -> None:
    rows = [[1.0, 3e-17], [1.0, 1e-17], [1.0, 2e-17], [0.0, 1.0]]
    X = [rows[k] for k in order]
    A = enumerate_patterns(X)
    check(X, A)
    assert {tuple(p) for p in A.patterns.tolist()} == oracle(X)


def test_decimals_and_their_floats_are_different_data() -> None:
    decimals = [[Fraction(3, 10), Fraction(1)], [Fraction(1, 10) + Fraction(2, 10), Fraction(1)]]
    assert count_patterns(decimals) == 2
    assert count_patterns([[0.3, 1.0], [0.1 + 0.2, 1.0]]) == 4


@pytest.mark.parametrize(
    "entry",
    [np.int64(2**62 + 1), 2**62 + 1, Decimal(2**62 + 1), str(2**62 + 1), Fraction(2**62 + 1)],
)
def test_every_exact_number_is_taken_exactly(entry: Any) -> None:
    assert count_patterns([[entry, 1], [2**62, 1]]) == 4
    assert count_patterns([[entry, 1], [2**62 + 1, 1]]) == 2


def test_numpy_integers_stay_exact() -> None:
    assert count_patterns(np.array([[2**62 + 1, 1], [2**62, 1]])) == 4
    assert count_patterns([*np.float32([[0.1, 1.0]]).tolist(), [0.1, 1.0]]) == 4
    assert count_patterns([[np.float32(0.5), np.bool_(True)], [0.5, 1]]) == 2


# Body mass index and blood pressure of 20 people, sex and age of 14 (the diabetes data of Efron et al., 2004).
BMI_BP = [
    "32.1 101",
    "21.6 87",
    "30.5 93",
    "25.3 84",
    "23 101",
    "22.6 89",
    "22 90",
    "26.2 114",
    "32.1 83",
    "30 85",
    "18.6 97",
    "28 85",
    "23.7 92",
    "26.2 97",
    "24 91",
    "24.7 118",
    "30.3 109",
    "27.5 111",
    "25.4 84",
    "24.7 83",
]
SEX_AGE = [
    (2, 59),
    (1, 48),
    (2, 72),
    (1, 24),
    (1, 50),
    (1, 23),
    (2, 36),
    (2, 66),
    (2, 60),
    (1, 29),
    (1, 22),
    (2, 56),
    (1, 53),
    (2, 50),
]


def test_counts_on_real_data_with_a_bias() -> None:
    """Decimals and their binary64 values differ; only the latter are in general position."""
    decimals = [[Fraction(1), *map(Fraction, row.split())] for row in BMI_BP]
    binary = [[1.0, *map(float, row.split())] for row in BMI_BP]
    assert count_bound(20, 3) == 382
    assert len(enumerate_patterns(decimals).patterns) == 380
    assert len(enumerate_patterns(binary).patterns) == 382
    assert len(enumerate_patterns([(1, *row) for row in SEX_AGE]).patterns) == 124


def test_a_zero_matrix_has_one_cell() -> None:
    A = enumerate_patterns(np.zeros((3, 2)))
    assert A.patterns.tolist() == [[True, True, True]]
    assert A.points == ((1, 0),)


def test_samples_are_cells_and_not_called_complete() -> None:
    X = np.random.default_rng(3).standard_normal((12, 3)) * [1.0, 1e6, 1e-6]
    A = sample_patterns(X, samples=40, seed=1)
    check(X, A)
    assert not A.complete and A.count is None and 2 <= len(A.patterns) <= 80
    everything = {tuple(p) for p in enumerate_patterns(X).patterns.tolist()}
    assert {tuple(p) for p in A.patterns.tolist()} < everything
    again = sample_patterns(X, samples=40, seed=1)
    assert np.array_equal(again.patterns, A.patterns) and again.points == A.points


def test_too_many_patterns_are_refused_before_any_work() -> None:
    X = np.random.default_rng(0).standard_normal((442, 10))
    with pytest.raises(NumericsError, match=r"more than 200000 .*sample"):
        enumerate_patterns(X)
    with pytest.raises(NumericsError, match=r"more than 50 .*exactly 872"):
        enumerate_patterns(X[:30, :3], limit=50)
    with pytest.raises(NumericsError, match="inside the cone"):
        enumerate_patterns(X[:30, :3], cone=[[1.0, 0.0, 0.0]], limit=50)
    # Cover's bound is above the limit, the exact count is not
    assert len(enumerate_patterns(np.repeat(X[:5, :3], 9, axis=0), limit=60).patterns) == 22


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "empty"),
        ([[]], "empty"),
        ([[1.0, 2.0], [3.0]], r"X\[1\] has 1 entries"),
        ([[1.0, math.nan]], r"X\[0\]\[1\] is nan"),
        ([[math.inf]], "inf"),
        ([["a"]], "finite number"),
        (np.zeros(3), "shape"),
        ([1.0, 2.0], "must be a matrix"),
        (np.zeros((1, 2), dtype=complex), "real matrix"),
    ],
)
def test_bad_input(X: Any, message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        enumerate_patterns(X)


def test_bad_options() -> None:
    with pytest.raises(NumericsError, match="samples = 0"):
        sample_patterns([[1.0]], samples=0)
    with pytest.raises(NumericsError, match="seed = -1"):
        sample_patterns([[1.0]], samples=2, seed=-1)
    with pytest.raises(NumericsError, match="cone has 1 columns"):
        enumerate_patterns([[1.0, 2.0]], cone=[[1.0]])
    with pytest.raises(NumericsError, match="cone is zero"):
        enumerate_patterns([[1.0, 2.0]], cone=[[0.0, 0.0]])
