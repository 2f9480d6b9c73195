"""Inequalities on boxes: proofs, refutations, honest indecision."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory.balls import evaluate_sympy
from theory.boxes import BoxProof, BoxRefutation, BoxUndecided, Range, prove_on_box
from theory.errors import LemmataError

r, m, z = sp.Symbol("r", positive=True), sp.Symbol("m", positive=True), sp.Symbol("z", real=True)
x, y = sp.symbols("x y", real=True)
half, OPEN_UNIT = sp.Rational(1, 2), Range(F(0), F(1), True, True)


def a1_bound(q, C, kappa=2):
    """The scalar inequality behind the norm bound: r^q + C kappa m (r^q - r) <= C."""
    return r**q + C * kappa * m * (r**q - r)


TRUE = [
    (a1_bound(half, 2), "<=", 2, {r: OPEN_UNIT, m: (0, F(1, 4))}),
    (a1_bound(half, 1), "<=", 1, {r: OPEN_UNIT, m: Range(F(0), F(1, 4), True, False)}),
    (a1_bound(half, 1), "<", 1, {r: OPEN_UNIT, m: (0, F(1, 4))}),
    (a1_bound(sp.Rational(1, 3), 1), "<=", 1, {r: OPEN_UNIT, m: (0, F(1, 4))}),
    (sp.Abs(sp.exp(-z) - 1), "<=", 2 * sp.Abs(z), {z: (-1, 1)}),
    (sp.log(1 + z), "<=", z, {z: (F(-1, 2), 1)}),
    (1 + z, "<=", sp.exp(z), {z: (-3, 3)}),
    (sp.Abs(sp.tanh(z / 2)), "<=", sp.Abs(z) / 2, {z: (-3, 3)}),
    (sp.exp(z) - 1, "<=", sp.Rational(1298, 1000) * z, {z: (0, F(1, 2))}),
    (sp.sqrt(6), "<", sp.sqrt(6) + sp.Rational(1, 10**60), {}),
    (x * (1 - x), "<=", sp.Rational(1, 4), {x: (0, 1)}),
    (x * (1 - x), "<", sp.Rational(1, 4), {x: Range(F(1, 2), F(1), True, False)}),
    (sp.log(r), "<", 0, {r: OPEN_UNIT}),
    (sp.log(r), "<=", 0, {r: Range(F(0), F(1), True, False)}),
    (sp.sqrt(r), ">", r, {r: OPEN_UNIT}),
    (1 / r, ">", 1, {r: OPEN_UNIT}),
    (sp.cos(x), "<=", 1, {x: (-10, 10)}),
    (sp.cos(x), ">=", sp.Rational(1, 2), {x: (-1, 1)}),
    (sp.acos(x), "<", sp.Rational(315, 100), {x: (-1, 1)}),
    (sp.Max(x, y), "<=", sp.Abs(x) + sp.Abs(y), {x: (-1, 1), y: (-1, 1)}),
    (sp.Abs(x + y), "<=", 2, {x: (-1, 1), y: (-1, 1)}),
    (x, ">=", -1, {x: (-1, 1), y: (5, 5)}),
]  # fmt: skip
FALSE = [
    (x + 5 * sp.Heaviside(1 - x, 0), "<=", 1, {x: Range(F(0), F(1), False, True)}),
    (a1_bound(half, sp.Rational(99, 100)), "<=", sp.Rational(99, 100), {r: OPEN_UNIT, m: (0, F(1, 4))}),
    (a1_bound(1 - 2 / sp.Rational(29, 10), 1), "<=", 1, {r: OPEN_UNIT, m: (0, F(1, 4))}),
    (a1_bound(1 - 2 / sp.Rational(199, 100), 2), "<=", 2, {r: OPEN_UNIT, m: (0, F(1, 4))}),
    (sp.exp(z) - 1, "<=", sp.Rational(1297, 1000) * z, {z: (0, F(1, 2))}),
    (x * (1 - x), "<", sp.Rational(1, 4), {x: (0, 1)}),
    (x * (1 - x), "<=", sp.Rational(2499, 10000), {x: (0, 1)}),
    (x**2 + y**2, ">=", sp.Rational(1, 10**6), {x: (-1, 2), y: (-2, 1)}),
    (x, "<", 1, {x: (0, 1)}),
    (sp.Integer(3), "<", 3, {}),
    (sp.log(r), "<=", -sp.Rational(1, 10**9), {r: OPEN_UNIT}),
    (sp.cos(x), "<=", sp.Rational(999, 1000), {x: (-1, 1)}),
]  # fmt: skip


@pytest.mark.parametrize(("lhs", "relation", "rhs", "box"), TRUE)
def test_true_inequalities_are_proved(lhs, relation, rhs, box):
    result = prove_on_box(lhs, relation, rhs, box)
    assert isinstance(result, BoxProof) and result.proved, str(result)
    assert result.relation == relation.replace(">", "<")
    leaves = sum(token[0] in ("value", "mean value") for token in result.tree)
    assert leaves == 1 + sum(token[0] == "split" for token in result.tree)


@pytest.mark.parametrize(("lhs", "relation", "rhs", "box"), FALSE)
def test_false_inequalities_are_refuted_by_a_point_of_the_box(lhs, relation, rhs, box):
    result = prove_on_box(lhs, relation, rhs, box)
    assert isinstance(result, BoxRefutation) and not result.proved
    for symbol, side in box.items():
        lo, hi, lo_open, hi_open = (
            (side.lo, side.hi, side.lo_open, side.hi_open)
            if isinstance(side, Range)
            else (*side, False, False)
        )
        at = result.point[str(symbol)]
        assert (lo < at or (lo == at and not lo_open)) and (at < hi or (at == hi and not hi_open))
    gap = evaluate_sympy(sp.sympify(lhs) - rhs, result.point)
    fails = {"<=": gap > 0, "<": gap >= 0, ">=": gap < 0, ">": gap <= 0}[relation]
    assert fails
    assert "fails at" in str(result)


def test_undecided_says_how_many_boxes_are_left_and_where():
    touching = prove_on_box(2 * x * y, "<=", x**2 + y**2, {x: (-1, 1), y: (-1, 1)}, max_boxes=200)
    assert isinstance(touching, BoxUndecided) and not touching.proved
    assert touching.boxes == 200 and touching.pending > 1 and "raise max_boxes" in str(touching)
    assert all(set(box) == {"x", "y"} for box in touching.examples)
    equal = prove_on_box(
        sp.sqrt(2) * sp.sqrt(3) - sp.sqrt(6) + (sp.sqrt(2) + 1) ** 2, "<=", 3 + 2 * sp.sqrt(2), {}
    )
    assert isinstance(equal, BoxUndecided) and "too close to equality" in str(equal)
    undefined = prove_on_box(sp.log(z), "<=", 5, {z: (-1, 1)})
    assert isinstance(undefined, BoxUndecided)
    closed_at_a_pole = prove_on_box(sp.log(z), "<=", 5, {z: (0, 1)})
    assert isinstance(closed_at_a_pole, BoxUndecided)


def test_a_touching_point_that_is_no_binary_fraction_needs_the_hint():
    claim = (3 * x * (sp.Rational(2, 3) - x), "<=", sp.Rational(1, 3), {x: (0, 1)})
    assert isinstance(prove_on_box(*claim), BoxUndecided)
    assert isinstance(prove_on_box(*claim, split_at={x: ["1/3"]}), BoxProof)


def test_ranges_over_many_scales():
    result = prove_on_box(r * sp.log(1 / r), "<=", half, {r: (F(1, 10**300), 1)})
    assert isinstance(result, BoxProof) and result.boxes < 4000


def test_precision_is_raised_for_single_points():
    claim = sp.exp(sp.Rational(1, 10**40)) - 1
    result = prove_on_box(claim, ">", sp.Rational(1, 10**40), {})
    assert isinstance(result, BoxProof) and result.precision > 64


def test_results_are_deterministic():
    claim = (sp.exp(x * y), "<=", 3 + x, {x: (-1, F(1, 2)), y: (-1, 1)})
    assert prove_on_box(*claim) == prove_on_box(*claim)


def test_numbers_plain_data_and_names_are_accepted():
    assert prove_on_box(["var", "a", []], "<=", F(1, 2), {"a": (0, "1/2")}).proved
    assert prove_on_box(1, "<", 2, {}).proved


@pytest.mark.parametrize(
    ("lhs", "relation", "box", "options", "message"),
    [
        (x, "==", {x: (0, 1)}, {}, "relation"),
        (x, "<=", {}, {}, "no range for x"),
        (x, "<=", {x: (1, 0)}, {}, "empty"),
        (x, "<=", {x: Range(F(1), F(1), True, False)}, {}, "empty"),
        (x, "<=", {x: (0.0, 1)}, {}, "exact rational"),
        (x, "<=", {x: (float("nan"), 1)}, {}, "exact rational"),
        (x, "<=", {x: 3}, {}, "pair"),
        (x, "<=", {x: (0, 1)}, {"max_boxes": 0}, "max_boxes"),
        (x, "<=", {x: (0, 1)}, {"precision": 10**9}, "precision"),
        (sp.Float("0.5") * x, "<=", {x: (0, 1)}, {}, "not exact"),
        (sp.gamma(x), "<=", {x: (0, 1)}, {}, "closed form"),
    ],
)
def test_bad_input_is_refused(lhs, relation, box, options, message):
    with pytest.raises(LemmataError, match=message):
        prove_on_box(lhs, relation, 1, box, **options)


@given(
    st.tuples(*[st.fractions(-3, 3, max_denominator=8)] * 3),
    st.fractions(-2, 1, max_denominator=8), st.fractions(0, 2, max_denominator=8).filter(bool),
    st.fractions(-9, 9, max_denominator=64),
)  # fmt: skip
def test_quadratics_are_decided_rightly(coefficients, lo, width, bound):
    a, b, c = coefficients
    hi = lo + width
    candidates = [lo, hi] + ([-b / (2 * a)] if a and lo < -b / (2 * a) < hi else [])
    top = max(a * t * t + b * t + c for t in candidates)
    expr = sp.Rational(a) * x**2 + sp.Rational(b) * x + sp.Rational(c)
    result = prove_on_box(expr, "<=", sp.Rational(bound), {x: (lo, hi)})
    if isinstance(result, BoxUndecided):
        assert top == bound  # it may only hesitate where the two sides touch
    else:
        assert result.proved == (top <= bound)
    strict = prove_on_box(expr, "<", sp.Rational(top), {x: (lo, hi)}, split_at={x: candidates})
    assert isinstance(strict, BoxRefutation)
