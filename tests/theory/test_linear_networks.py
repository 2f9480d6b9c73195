"""The derivations of the imbalance statements, wrong versions of them, and the normal form of nested sums."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from sympy import Expr, Sum

from theory import derivations_linear_networks as derivations
from theory import linear_networks as ln
from theory.derivation import Derivation, Step, StepError
from theory.instances import Instance
from theory.justifications import Identity, combine
from theory.linear_networks_setting import (
    COLUMNS,
    D_0,
    ROWS,
    W1,
    W2,
    D,
    D_next,
    P,
    Q,
    S,
    c,
    eta,
    gradient_1,
    gradient_2,
    gram_1,
    gram_2,
    i,
    j,
    largest,
    linear_network,
    r,
    squared_gradient_1,
    squared_gradient_2,
)
from theory.normal_form import is_zero, normal
from theory.statement import Statement
from theory.symbols import Atom, MaxOver, Rate, Rel, eq, index, size

CHAINS: list[tuple[Statement, Callable[[], Derivation]]] = [
    (ln.IMBALANCE_FLOW, derivations.imbalance_flow),
    (ln.IMBALANCE_DESCENT, derivations.imbalance_descent),
    (ln.IMBALANCE_FLOW_RELU, derivations.imbalance_flow_relu),
]


@pytest.mark.parametrize("statement,build", CHAINS, ids=[s.id for s, _ in CHAINS])
def test_every_part_is_derived(statement: Statement, build: Callable[[], Derivation]) -> None:
    verified = build().verify(memo={})
    assert set(verified.derivation.concludes) == {p.name for p in statement.parts}
    for part in statement.parts:
        assert not verified.steps[verified.derivation.concludes[part.name]].premises
    # what is assumed are definitions and the statement's hypotheses, nothing else
    assumed = {s.name for s in verified.steps.values() if s.kind == "assume"}
    assert assumed == set(verified.derivation.hypotheses)


def test_the_law_itself_is_a_step() -> None:
    flow = derivations.imbalance_flow().verify()
    assert flow.steps["entry"].relation == eq(D, D_0)
    descent = derivations.imbalance_descent().verify()
    assert descent.steps["entry"].relation == eq(D_next, D + eta**2 * (P - Q))


# -- wrong steps ----------------------------------------------------------------------------------------------------
def changed(
    build: Callable[[], Derivation], name: str, relation: Rel, by: object = None
) -> StepError:
    """The error of a chain in which one step says something else."""
    derivation = build()
    assert name in {s.name for s in derivation.steps}
    steps = tuple(
        Step(s.name, relation, by or s.by, s.text) if s.name == name else s
        for s in derivation.steps
    )
    with pytest.raises(StepError) as caught:
        replace(derivation, steps=steps).verify(memo={})
    return caught.value


TRANSPOSED = Sum(
    Sum(Atom("G", c, r) * W2(j, c), COLUMNS) * Sum(Atom("G", c, r) * W2(i, c), COLUMNS), ROWS
)
WRONG: list[tuple[str, Callable[[], Derivation], str, Rel]] = [
    (
        "sum instead of difference",
        derivations.imbalance_flow,
        "no change",
        eq(Rate(gram_1() + gram_2()), 0),
    ),
    (
        "sign of a rate",
        derivations.imbalance_flow,
        "second layer",
        eq(Rate(gram_2()), derivations.CROSS),
    ),
    (
        "half of a rate",
        derivations.imbalance_flow,
        "first layer",
        eq(Rate(gram_1()), -derivations.CROSS / 2),
    ),
    (
        "only one of two terms",
        derivations.imbalance_flow,
        "first layer",
        eq(Rate(gram_1()), -2 * Sum(Sum(Atom("G", r, c) * W1(r, i) * W2(j, c), COLUMNS), ROWS)),
    ),
    (
        "zero instead of constant",
        derivations.imbalance_flow,
        "conserved",
        eq(gram_1() - gram_2(), 0),
    ),
    ("conserved by descent", derivations.imbalance_descent, "entry", eq(D_next, D)),
    ("lost square", derivations.imbalance_descent, "entry", eq(D_next, D + eta * (P - Q))),
    ("sign", derivations.imbalance_descent, "entry", eq(D_next, D - eta**2 * (P - Q))),
    (
        "lost square in a layer",
        derivations.imbalance_descent,
        "first layer",
        eq(gram_1("+"), gram_1() - eta * derivations.CROSS + eta * squared_gradient_1()),
    ),
    (
        "first order",
        derivations.imbalance_descent,
        "second layer",
        eq(gram_2("+"), gram_2() + eta**2 * squared_gradient_2()),
    ),
    (
        "transposed gradient",
        derivations.imbalance_descent,
        "first layer",
        eq(gram_1("+"), gram_1() - eta * derivations.CROSS + eta**2 * TRANSPOSED),
    ),
    (
        "ascent",
        derivations.imbalance_descent,
        "step of W1",
        eq(W1(r, j, "+"), W1(r, j) + eta * gradient_1(r, j)),
    ),
]


@pytest.mark.parametrize("build,name,relation", [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_step_raises(build: Callable[[], Derivation], name: str, relation: Rel) -> None:
    error = changed(build, name, relation)
    assert error.step == name
    assert error.point or "says" in error.reason


def test_a_wrong_flow_is_noticed() -> None:
    """W2' = +W1ᵀ∇ conserves the sum of the Gram matrices, not their difference."""
    setting = linear_network()
    wrong = replace(setting, flow={**setting.flow, "W2": ((j, c), gradient_2(j, c))})
    with pytest.raises(StepError) as caught:
        replace(derivations.imbalance_flow(), setting=wrong).verify(memo={})
    assert caught.value.step == "second layer"
    right = Step("sum", eq(Rate(gram_1() + gram_2()), 0), combine((1, "first"), (1, "second")))
    steps = (
        Step(
            "first",
            eq(Rate(gram_1()), -derivations.CROSS),
            derivations.imbalance_flow().steps[0].by,
        ),
        Step(
            "second",
            eq(Rate(gram_2()), derivations.CROSS),
            derivations.imbalance_flow().steps[0].by,
        ),
        right,
    )
    Derivation("sum", wrong, {}, (), steps, {"sum": "sum"}).verify(memo={})


def test_a_definition_cannot_be_skipped() -> None:
    """Without the step that the entries agree, the largest deviation is not 0."""
    error = changed(
        derivations.imbalance_flow, "largest deviation", eq(S + largest(D - D_0), S), Identity()
    )
    assert "not identical" in error.reason and error.point


# -- nested sums ----------------------------------------------------------------------------------------------------
a, b, k, q = map(index, ("a", "b", "k", "q"))
n, m = size("n"), size("m")


def u(x: Expr) -> Atom:
    return Atom("u", x)


def v(x: Expr) -> Atom:
    return Atom("v", x)


def F(x: Expr, y: Expr) -> Atom:
    return Atom("F", x, y)


SAME: list[tuple[str, Expr, Expr]] = [
    (
        "order of two sums",
        Sum(u(a) * Sum(F(a, b) * v(b), (b, 1, m)), (a, 1, n)),
        Sum(v(b) * Sum(F(a, b) * u(a), (a, 1, n)), (b, 1, m)),
    ),
    (
        "a square inside a sum",
        Sum(Sum(F(a, b) * v(b), (b, 1, m)) ** 2, (a, 1, n)),
        Sum(Sum(F(q, k) * F(q, b) * v(k) * v(b), (q, 1, n)), (k, 1, m), (b, 1, m)),
    ),
    (
        "three factors",
        Sum(Sum(F(a, b), (b, 1, m)) ** 3, (a, 1, n)),
        Sum(F(k, a) * F(k, b) * F(k, q), (k, 1, n), (q, 1, m), (a, 1, m), (b, 1, m)),
    ),
    (
        "names of indices",
        Sum(F(a, b) * F(b, a) * u(a), (a, 1, n), (b, 1, n)),
        Sum(F(q, k) * F(k, q) * u(k), (q, 1, n), (k, 1, n)),
    ),
    (
        "independent sums are a product",
        Sum(u(a) * v(b), (a, 1, n), (b, 1, m)),
        Sum(u(a), (a, 1, n)) * Sum(v(q), (q, 1, m)),
    ),
    (
        "a product of equal sums",
        Sum(u(a) * u(b), (a, 1, n), (b, 1, n)),
        Sum(u(a), (a, 1, n)) ** 2,
    ),
    (
        "an index that does not occur",
        Sum(u(a), (a, 1, n), (b, 1, m)),
        m * Sum(u(q), (q, 1, n)),
    ),
    (
        "the trace of a product",
        Sum(
            F(a, b) * Sum(F(b, k) * Sum(F(k, q) * F(q, a), (q, 1, n)), (k, 1, n)),
            (a, 1, n),
            (b, 1, n),
        ),
        Sum(F(a, b) * F(b, k) * F(k, q) * F(q, a), (k, 1, n), (a, 1, n), (q, 1, n), (b, 1, n)),
    ),
    ("the maximum of what does not depend on the index", MaxOver(u(b), (a, 1, n)), u(b)),
]


@pytest.mark.parametrize("left,right", [s[1:] for s in SAME], ids=[s[0] for s in SAME])
def test_sums_commute(left: Expr, right: Expr) -> None:
    assert normal(left) == normal(right)
    assert normal(normal(left)) == normal(left)


DIFFERENT: list[tuple[str, Expr, Expr]] = [
    (
        "transposed",
        Sum(F(a, b) * F(b, k) * F(k, a), (a, 1, n), (b, 1, n), (k, 1, n)),
        Sum(F(a, b) * F(b, k) * F(a, k), (a, 1, n), (b, 1, n), (k, 1, n)),
    ),
    (
        "the square of a sum is no sum of squares",
        Sum(Sum(F(a, b), (b, 1, m)) ** 2, (a, 1, n)),
        Sum(Sum(F(a, b) ** 2, (b, 1, m)), (a, 1, n)),
    ),
    ("another size", Sum(u(a), (a, 1, n)), Sum(u(a), (a, 1, m))),
    ("a maximum that depends on its index", MaxOver(u(a), (a, 1, n)), u(a)),
]


@pytest.mark.parametrize("left,right", [s[1:] for s in DIFFERENT], ids=[s[0] for s in DIFFERENT])
def test_different_sums_stay_different(left: Expr, right: Expr) -> None:
    assert normal(left) != normal(right)
    assert not is_zero(left - right)


def test_a_sum_with_a_free_canonical_name_is_not_captured() -> None:
    inner = normal(Sum(F(a, b), (a, 1, n)))
    (name,) = inner.variables
    free = F(name, b) * u(a)  # a free index that happens to be called like a bound one
    assert normal(Sum(free, (a, 1, n))) == F(name, b) * normal(Sum(u(a), (a, 1, n)))
    mixed = normal(Sum(F(a, name), (a, 1, n)))
    assert mixed.free_symbols == {name, n} and name not in mixed.variables


def test_a_triangular_sum_keeps_its_order() -> None:
    """Σ_a Σ_{b <= a} does not commute: the inner sum stays inside."""
    found = normal(Sum(u(a) * Sum(F(a, b), (b, 1, a)), (a, 1, n)))
    assert isinstance(found, Sum) and len(found.limits) == 1
    assert found.function.atoms(Sum) and a not in found.free_symbols


# a random product of entries under three sums, summed in two random orders
ENTRIES = st.lists(st.sampled_from("abk"), min_size=2, max_size=2)


@given(
    st.lists(ENTRIES, min_size=1, max_size=4),
    st.permutations("abk"),
    st.permutations("abk"),
    st.randoms(),
)
def test_any_order_has_the_same_normal_form_and_value(
    pairs: list[list[str]], one: list[str], other: list[str], rng: random.Random
) -> None:
    indices = {"a": (a, n), "b": (b, n), "k": (k, m)}
    factors = [F(indices[x][0], indices[y][0]) for x, y in pairs]

    def summed(order: list[str]) -> Expr:
        e = sympy.Mul(*rng.sample(factors, len(factors)))
        for letter in order:
            variable, upper = indices[letter]
            e = Sum(e, (variable, 1, upper))
        return e

    left, right = summed(one), summed(other)
    assert normal(left) == normal(right)
    values = {n: Fraction(2), m: Fraction(3)}
    instance = Instance(random.Random(1), values=dict(values))
    assert instance.compare(eq(left, normal(right)), {}) is True
