"""The typed language: what has a type round-trips through plain data, what has none is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import early_alignment as ea
from theory import quantity as q
from theory.errors import LemmataError
from theory.quantity import Quantity, QuantityError, Relation, from_data, quantity, var

w, x, v, f, a = var("w", "jk"), var("x", "ik"), var("v", "j"), var("f", "i"), var("a")


# -- types ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "expression,axes",
    [
        (w, "jk"),
        (q.inner(w, x), "ji"),
        (q.sqnorm(w), "j"),
        (q.total(q.relu(q.inner(w, x)), "i"), "j"),
        (q.total(v * q.relu(q.inner(w, x)), "j"), "i"),
        (q.total(f * x, "i"), "k"),
        (q.project_out(q.total(f * x, "i"), w), "jk"),
        (q.specnorm(w), ""),
        (q.amax(q.amin(q.inner(w, x), "i"), "j"), ""),
        (v + f + a, "ji"),
        (-w / v, "jk"),
        (a * w + w, "jk"),
        (q.maximum(v, f), "ji"),
    ],
    ids=str,
)
def test_axes(expression: Quantity, axes: str) -> None:
    assert expression.axes == frozenset(axes)


@pytest.mark.parametrize(
    "build,message",
    [
        (lambda: w * x, "use inner"),
        (lambda: w + v, "vector and a scalar"),
        (lambda: a / w, "division by a vector"),
        (lambda: w**2, "pow of a vector"),
        (lambda: q.exp(w), "exp of a vector"),
        (lambda: q.maximum(w, w), "max of a vector"),
        (lambda: q.amax(w, "j"), "take norm first"),
        (lambda: q.total(f, "j"), "name one of its axes"),
        (lambda: q.total(w, "k"), "name one of its axes"),
        (lambda: q.amin(a, "i"), "name one of its axes"),
        (lambda: q.norm(v), "takes vectors"),
        (lambda: q.inner(w, v), "takes vectors"),
        (lambda: q.project_out(a, w), "takes vectors"),
        (lambda: q.specnorm(x), "axes j and k"),
        (lambda: q.specnorm(v * x), "axes j and k"),
        (lambda: quantity(0.5), "is not exact; write a Fraction"),
        (lambda: quantity(True), "is not exact"),
        (lambda: a + "b", "is not exact"),
        (lambda: var("two words"), "a name and a subset"),
        (lambda: var("w", "jz"), "a name and a subset"),
        (lambda: v <= 1, r"still depends on \['j'\]; reduce it"),
        (lambda: Relation(a, "!=", a), "'!=' is unknown; use '<=', '<' or '=='"),
    ],
)
def test_what_has_no_type_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(QuantityError, match=message):
        build()


def test_specnorm_needs_the_matrix_itself() -> None:
    """The axes j, k must be those of one array; (v_j x_k summed over i) has them too and is fine."""
    assert q.specnorm(v * q.total(x, "i")).axes == frozenset()


def test_errors_are_value_errors_of_the_library() -> None:
    assert issubclass(QuantityError, LemmataError) and issubclass(LemmataError, ValueError)


# -- relations ------------------------------------------------------------------------------------------------------
def test_comparisons_build_relations() -> None:
    assert (a <= 1) == Relation(a, "<=", quantity(1))
    assert (a >= 1) == Relation(quantity(1), "<=", a)
    assert (a < 1) == Relation(a, "<", quantity(1))
    assert (a > 1) == Relation(quantity(1), "<", a)
    assert quantity(1).__le__(a) == (a >= 1)
    assert (a <= 1).to_data() == ["<=", ["var", "a", []], ["rat", "1"]]


def test_chained_comparisons_are_refused() -> None:
    with pytest.raises(QuantityError, match="no truth value; give each comparison by itself"):
        0 <= a <= 1  # noqa: B015


# -- plain data -----------------------------------------------------------------------------------------------------
NUMBERS = st.one_of(
    st.fractions(-5, 5, max_denominator=7).map(quantity),
    st.sampled_from([a, var("eps"), q.PI, q.total(v, "j"), q.amax(f, "i"), q.amin(q.norm(w), "j")]),
)
UNARY = [
    q.qabs,
    q.sqrt,
    q.exp,
    q.expm1,
    q.log,
    q.log1p,
    q.tanh,
    q.cos,
    q.acos,
    q.sign,
    q.relu,
    q.step,
]


def _grow(inside: st.SearchStrategy[Quantity]) -> st.SearchStrategy[Quantity]:
    return st.one_of(
        st.tuples(st.sampled_from(UNARY), inside).map(lambda p: p[0](p[1])),
        st.tuples(inside, inside).map(lambda p: p[0] + p[1]),
        st.tuples(inside, inside).map(lambda p: p[0] - p[1]),
        st.tuples(inside, inside).map(lambda p: p[0] * p[1]),
        st.tuples(inside, inside).map(lambda p: p[0] / p[1]),
        st.tuples(inside, st.fractions(-3, 3, max_denominator=4)).map(lambda p: p[0] ** p[1]),
        st.lists(inside, min_size=2, max_size=4).map(lambda p: q.maximum(*p)),
        st.lists(inside, min_size=2, max_size=4).map(lambda p: q.minimum(*p)),
    )


@given(st.recursive(NUMBERS, _grow, max_leaves=12))
def test_plain_data_round_trip(expression: Quantity) -> None:
    data = json.loads(json.dumps(expression.to_data()))
    assert from_data(data) == expression
    assert from_data(data).to_data() == expression.to_data()


@pytest.mark.parametrize("s", ea.STATEMENTS, ids=lambda s: s.id)
def test_the_quantities_of_early_alignment_round_trip(s: Any) -> None:
    for relation in [p.relation for p in s.parts] + [h.relation for h in s.hypotheses]:
        for side in (s.expand(relation).lhs, s.expand(relation).rhs):
            assert from_data(side.to_data()) == side


@pytest.mark.parametrize(
    "data,message",
    [
        ("a", "expected a list with the operator's name first"),
        ([], "expected a list with the operator's name first"),
        ([3], "expected a list with the operator's name first"),
        (None, "expected a list with the operator's name first"),
        (["rat"], "malformed 'rat'"),
        (["rat", "x"], "malformed 'rat'"),
        (["rat", "1/0"], "malformed 'rat'"),
        (["var"], "malformed 'var'"),
        (["var", 3], "malformed 'var'"),
        (["var", "w", "q"], "a name and a subset"),
        (["pow", ["rat", "2"]], "malformed 'pow'"),
        (["pow", ["rat", "2"], 2], "malformed 'pow'"),
        (["sum", "j"], "malformed 'sum'"),
        (["sum", "j", ["rat", "1"]], "name one of its axes"),
        (["div", ["rat", "1"]], "div takes 2 argument"),
        (["neg", ["rat", "1"], ["rat", "1"]], "neg takes 1 argument"),
        (["inner", ["rat", "1"]], "inner takes 2 argument"),
        (["frobnicate", ["rat", "1"]], "unknown operator 'frobnicate'"),
        (["add", ["rat", "1"], "oops"], "'oops' is no quantity"),
        (["add"], "add takes at least one argument"),
        (["max"], "max takes at least one argument"),
        (["rat", 0.1], "malformed 'rat'.* written as text"),
    ],
)
def test_data_that_are_no_quantity_are_refused(data: Any, message: str) -> None:
    with pytest.raises(QuantityError, match=message):
        from_data(data)


# -- substitution ---------------------------------------------------------------------------------------------------
def test_substitution() -> None:
    body = q.sqrt(a + 1) * q.amax(v, "j")
    assert body.substitute({"a": quantity(3)}) == q.sqrt(quantity(3) + 1) * q.amax(v, "j")
    assert body.substitute({"nothing": quantity(3)}) == body
    assert (a <= body).substitute({"a": var("b")}) == (
        var("b") <= q.sqrt(var("b") + 1) * q.amax(v, "j")
    )
    assert body.variables() == {"a", "v"} and quantity(1).variables() == frozenset()
    with pytest.raises(QuantityError, match="same type"):
        body.substitute({"v": a})


def test_substitution_is_simultaneous() -> None:
    b = var("b")
    assert (a - b).substitute({"a": b, "b": a}) == b - a


def test_rationals_are_kept_exactly() -> None:
    assert quantity(Fraction(2, 6)).to_data() == ["rat", "1/3"]
    assert (a ** Fraction(2, 4)).to_data() == ["pow", ["var", "a", []], ["rat", "1/2"]]
    assert quantity(10**40).to_data() == ["rat", str(10**40)]
