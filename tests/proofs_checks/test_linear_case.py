"""Linear cases: validation, plain data, exact quadratic form; iterates in balls and the polynomial field."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks import linear_cases
from proofs_checks.case import Case
from proofs_checks.claims.linear_networks import gradient_field
from proofs_checks.data import Dataset
from proofs_checks.linear_balls import ball_vectors, descend, exact, matrix, rounded
from proofs_checks.linear_case import LinearCase
from proofs_checks.static_models import read_case
from theory.errors import LemmataError

GOOD: dict[str, Any] = {
    "A": [[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]],
    "B": [[1.0], [0.0], [-2.0]],
    "W1": [[1.0, 0.0, 2.0], [0.5, -1.0, 0.25]],
    "W2": [[1.0], [2.0], [-1.0]],
    "eta": 0.1,
    "steps": 4,
    "horizon": 2.0,
}


def make(**changes: Any) -> LinearCase:
    arguments = GOOD | changes
    return LinearCase.create(arguments.pop("A"), arguments.pop("B"), **arguments)


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"A": [[1.0, float("nan")]] * 3}, r"A\[0, 1\] is nan; remove or replace"),
        ({"W2": [[float("inf")], [0.0], [0.0]]}, r"W2\[0, 0\] is inf"),
        ({"A": []}, "A has 1 dimensions, expected 2"),
        ({"A": np.zeros((0, 2))}, r"A is empty \(shape \(0, 2\)\)"),
        ({"A": [[1.0], [1.0, 2.0]]}, "A is not a rectangular array"),
        ({"B": [[1.0]]}, "give one target per input"),
        ({"W1": [[1.0, 0.0, 2.0]]}, "give one row of W1 per input coordinate"),
        ({"W2": [[1.0], [2.0]]}, "give one row of W2 per column of W1"),
        ({"W2": [[1.0, 1.0]] * 3}, "give one column of W2 per target coordinate"),
        ({"A": np.zeros((3, 2))}, "all inputs are zero: nothing would move"),
        ({"W1": np.zeros((2, 3)), "W2": np.zeros((3, 1))}, "both layers are zero"),
        ({"W1": [[1e-200, 0.0, 2.0], [0.5, -1.0, 0.25]]}, r"W1\[0, 0\] is 1e-200, beyond"),
        ({"W1": [[1e200, 0.0, 2.0], [0.5, -1.0, 0.25]]}, r"W1\[0, 0\] is 1e\+200, beyond"),
        ({"eta": 0.0}, "eta = 0.0: give a positive number"),
        ({"eta": float("nan")}, "eta = nan"),
        ({"horizon": -1.0}, "horizon = -1.0: give a positive number"),
        ({"steps": 0}, "steps = 0: give a whole number from 1 to 1000"),
        ({"steps": 2.5}, "steps = 2.5"),
        ({"steps": 10**6}, "steps = 1000000"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        make(**changes)


def test_plain_data_round_trip_bit_for_bit() -> None:
    case = make(name="here", seed=3, eta=0.1)
    data = json.loads(json.dumps(case.to_json()))
    again = read_case(data)
    assert isinstance(again, LinearCase)
    assert again.to_json() == case.to_json() and again.hash == case.hash
    assert make(name="there", seed=4).hash == case.hash  # names do not influence the result
    assert make(steps=5).hash != case.hash and make(horizon=3.0).hash != case.hash
    assert case.replace(eta=0.2).hash == make(eta=0.2).hash
    with pytest.raises(ValueError, match="read-only"):
        case.W1[0, 0] = 5.0


def test_each_model_reads_its_own_format() -> None:
    relu = Case.create([[1.0]], [1.0], W0=[[1.0]], signs=[1.0], eps=0.1)
    assert isinstance(read_case(relu.to_json()), Case)
    with pytest.raises(LemmataError, match="not a linear case"):
        LinearCase.from_json(relu.to_json())
    with pytest.raises(LemmataError, match="not a case"):
        read_case({"format": "other"})
    with pytest.raises(LemmataError, match="not a case"):
        read_case(None)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("W1"),
        lambda d: d.update(W1=[["x"]]),
        lambda d: d.update(W1=3),
        lambda d: d.update(eta=0.5),
        lambda d: d.update(eta="0x1p99999"),
        lambda d: d.update(W1=[["nan"]]),
        lambda d: d.update(steps="4"),
        lambda d: d.update(steps=True),
        lambda d: d.update(B=[]),
    ],
)
def test_malformed_data_are_refused(change: Any) -> None:
    data = make().to_json()
    change(data)
    with pytest.raises(LemmataError):
        LinearCase.from_json(data)


# -- the numbers of a case ------------------------------------------------------------------------------------------
def test_the_quadratic_form_is_exact_up_to_one_rounding() -> None:
    case = linear_cases.numbered(0, seed=3)
    M, N = case.quadratic
    assert np.array_equal(M, M.T)
    n, _, m = case.shape
    for got, right in ((M, case.A), (N, case.B)):
        for p in range(n):
            for q in range(right.shape[1]):
                pairs = zip(case.A[:, p].tolist(), right[:, q].tolist(), strict=True)
                true = sum(Fraction(x) * Fraction(y) for x, y in pairs)
                assert got[p, q] == float(true)
    assert N.shape == (n, m)


Rational = list[list[Fraction]]


def product(a: Rational, b: Rational) -> Rational:
    return [
        [sum(x * y for x, y in zip(row, col, strict=True)) for col in zip(*b, strict=True)]
        for row in a
    ]


def rational(a: Any) -> Rational:
    return [[Fraction(x) for x in row] for row in np.asarray(a).tolist()]


def transposed(a: Rational) -> Rational:
    return [list(row) for row in zip(*a, strict=True)]


def combined(a: Rational, factor: Fraction, b: Rational) -> Rational:
    return [[x + factor * y for x, y in zip(p, q, strict=True)] for p, q in zip(a, b, strict=True)]


def step(case: LinearCase, W1: Rational, W2: Rational) -> tuple[Rational, Rational, Rational]:
    """One exact step of gradient descent, and ∇."""
    M, N = map(rational, case.quadratic)
    G = combined(product(M, product(W1, W2)), Fraction(-1), N)
    eta = -Fraction(case.eta)
    first = combined(W1, eta, product(G, transposed(W2)))
    return first, combined(W2, eta, product(transposed(W1), G)), G


def imbalance(W1: Rational, W2: Rational) -> Rational:
    return combined(product(transposed(W1), W1), Fraction(-1), product(W2, transposed(W2)))


@given(st.integers(0, 10**6))
def test_balls_contain_the_exact_iterates_and_the_law_is_exact(seed: int) -> None:
    """Against rational arithmetic: three steps, every entry, and D⁺ - D = η² (P - Q) as an identity."""
    case = linear_cases.numbered(seed % 9, seed=seed).replace(steps=3)
    iterates, _ = descend(case)
    W1, W2 = rational(case.W1), rational(case.W2)
    assert len(iterates) == 4
    with flint.ctx.workprec(20_000):  # enough to write the iterates, which are dyadic, exactly
        for iterate in iterates[:3]:
            after1, after2, G = step(case, W1, W2)
            G1, G2 = product(G, transposed(W2)), product(transposed(W1), G)
            for balls, true in (
                (iterate.W1, W1),
                (iterate.W2, W2),
                (iterate.G1, G1),
                (iterate.G2, G2),
            ):
                for row, exact_row in zip(balls.tolist(), true, strict=True):
                    for ball, x in zip(row, exact_row, strict=True):
                        assert ball.contains(flint.fmpq(x.numerator, x.denominator))
            change = combined(
                product(transposed(G1), G1), Fraction(-1), product(G2, transposed(G2))
            )
            expected = combined(imbalance(W1, W2), Fraction(case.eta) ** 2, change)
            assert imbalance(after1, after2) == expected
            W1, W2 = after1, after2


@given(
    st.lists(
        st.lists(
            st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_balls_as_floats_contain_their_balls(rows: list[list[float]]) -> None:
    with flint.ctx.workprec(200):
        third = exact(np.array(rows)) * flint.arb(1) / 3
        as_vectors, entries = rounded(ball_vectors(third)), matrix(third)
        for r, row in enumerate(rows):
            scale = Fraction(2) ** int(as_vectors.e[0, 0, r, 0, 0])
            squares = Fraction(0)
            for k, x in enumerate(row):
                true = Fraction(x) / 3
                squares += (Fraction(float(as_vectors.m[0, 0, r, 0, k])) * scale - true) ** 2
                cell = Fraction(2) ** int(entries.e[0, 0, r, k, 0])
                error = abs(Fraction(float(entries.m[0, 0, r, k, 0])) * cell - true)
                assert (
                    error <= Fraction(float(entries.r[0, 0, r, k, 0])) * cell <= abs(true) / 2**48
                )
            assert squares <= (Fraction(float(as_vectors.r[0, 0, r, 0, 0])) * scale) ** 2


def test_diverging_descent_is_followed_far_beyond_float64() -> None:
    iterates, _ = descend(make(eta=30.0, steps=12))
    assert len(iterates) == 13
    assert iterates[-1].force > flint.arb(10) ** 100_000


@pytest.mark.parametrize("index", range(9))
def test_the_polynomial_field_is_the_gradient(index: int) -> None:
    case = linear_cases.numbered(index, seed=2).replace(
        W1=np.random.default_rng(index).standard_normal(linear_cases.SHAPES[index % 8][:2]),
    )
    field = gradient_field(case)
    theta = np.concatenate([case.W1.ravel(), case.W2.ravel()])
    M, N = case.quadratic
    G = M @ case.W1 @ case.W2 - N
    expected = -np.concatenate([(G @ case.W2.T).ravel(), (case.W1.T @ G).ravel()])
    found = [sum(c * np.prod(theta[list(m)]) for c, m in terms) for terms in field.terms]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


# -- case sets ------------------------------------------------------------------------------------------------------
def test_the_default_set_is_mixed_and_reproducible() -> None:
    cases = linear_cases.linear(seed=1)
    assert len(cases) == linear_cases.LINEAR_CASES
    assert [c.hash for c in cases] == [c.hash for c in linear_cases.linear(seed=1)]
    assert {c.shape for c in cases} == set(linear_cases.SHAPES)
    assert {c.name.rsplit(" ", 1)[0] for c in cases} == set(linear_cases.KINDS)
    shapes = {(h < min(n, m), h > max(n, m), n != m) for n, h, m in linear_cases.SHAPES}
    assert (
        {s[0] for s in shapes} == {s[1] for s in shapes} == {s[2] for s in shapes} == {True, False}
    )
    by_kind = {c.name.rsplit(" ", 1)[0]: c for c in cases}
    gap = {k: c.W1.T @ c.W1 - c.W2 @ c.W2.T for k, c in by_kind.items()}
    assert np.abs(gap["balanced"]).max() < 1e-12 < np.abs(gap["generic"]).max()
    assert np.abs(by_kind["tiny"].W1).max() < 1e-6 and np.abs(by_kind["huge"].W1).max() > 1e3
    assert not by_kind["zero layer"].W1.any() and by_kind["zero layer"].W2.any()
    assert np.linalg.matrix_rank(by_kind["degenerate data"].A) == 1


def test_neurons_start_unbalanced_with_every_loss() -> None:
    X, y = np.array([[1.0, 0.2], [0.3, 1.0], [-1.0, -0.4]]), np.array([1.0, 1.0, -1.0])
    cases = linear_cases.neurons([(X, y, "three")], count=16, seed=1)
    assert {c.loss for c in cases} == {"exponential", "logistic2", "logistic", "squared"}
    assert sum(c.balanced for c in cases) == 4
    sizes = [
        np.median(np.abs(c.v0) / np.linalg.norm(c.W0, axis=1)) for c in cases if not c.balanced
    ]
    assert min(sizes) < 0.3 and max(sizes) > 3.0


def test_large_data_are_refused_for_the_flow_only() -> None:
    rng = np.random.default_rng(0)
    wide = Dataset("wide", rng.standard_normal((6, 60)), np.array([1.0, -1.0] * 3))
    with pytest.raises(
        LemmataError,
        match="use fewer columns or hidden units, or linear-networks/imbalance-descent",
    ):
        linear_cases.require_flow(wide)
    linear_cases.require_flow(Dataset("narrow", wide.X[:, :5], wide.y))
    with pytest.raises(LemmataError, match="at least one case"):
        linear_cases.linear_on(wide, count=0)
