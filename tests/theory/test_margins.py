"""The statements about margins, their derivations, and that wrong steps are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy

from theory import derivations_margins as dm
from theory import margins
from theory.checking import StepError
from theory.derivation import Derivation, Step
from theory.margins_steps import AbsoluteValue, Sandwich
from theory.quantity import from_data
from theory.statement import Kind
from theory.symbols import Rel, Relu, eq, le

DERIVATIONS = {
    "margins/xor-f1": dm.xor_f1,
    "margins/perceptron-mistakes": dm.perceptron_mistakes,
    "margins/telescoping": dm.telescoping,
}


def test_ids_are_unique_and_derivations_are_named() -> None:
    assert len({s.id for s in margins.STATEMENTS}) == len(margins.STATEMENTS)
    named = {s.id for s in margins.STATEMENTS if s.derivations}
    assert named == set(DERIVATIONS)
    for s in margins.STATEMENTS:
        for path in s.derivations.values():
            assert path.split(":")[1] == s.id.split("/")[1].replace("-", "_")


@pytest.mark.parametrize("id", DERIVATIONS)
def test_the_derivation_verifies_and_concludes_the_statement(id: str) -> None:
    verified = DERIVATIONS[id]().verify()
    statement = next(s for s in margins.STATEMENTS if s.id == id)
    assert set(verified.derivation.concludes) == {p.name for p in statement.parts}
    for part in statement.parts:
        op, lhs, rhs = verified.conclusion_data(part.name)
        assert {"=": "=="}.get(op, op) == part.relation.op
        assert from_data(lhs).variables() == part.relation.lhs.variables()
        assert from_data(rhs).variables() == part.relation.rhs.variables()


def test_equalities_declare_their_resolution() -> None:
    for s in margins.STATEMENTS:
        assert all((p.resolution is not None) == (s.kind is Kind.EQUALITY) for p in s.parts)
        assert all(p.domain is None for p in s.parts)
        assert s.text and s.latex


def altered(derivation: Derivation, name: str, relation: Rel) -> Derivation:
    steps = tuple(replace(s, relation=relation) if s.name == name else s for s in derivation.steps)
    assert steps != derivation.steps
    return replace(derivation, steps=steps)


WRONG = [
    (dm.xor_f1, "one vector in absolute values", eq(0, dm.FOUR)),
    (dm.xor_f1, "square of the sum", le((sympy.Abs(dm.a) + sympy.Abs(dm.b)) ** 2, 1)),
    (dm.xor_f1, "two coordinates", le(sympy.Abs(dm.a) + sympy.Abs(dm.b), 1)),
    (dm.xor_f1, "positive sign, one vector", le(dm.FOUR, sympy.sqrt(2))),
    (dm.xor_f1, "positive sign", le(dm.PHI, dm.BOUND / 2)),
    (dm.xor_f1, "at least", le(2 * dm.BOUND, dm.gamma_1)),
    (dm.xor_f1, "at most", le(dm.gamma_1, 1 / (8 * dm.D))),
    (dm.xor_f1, "margin", eq(dm.gamma_1, 1 / sympy.sqrt(4 * dm.D))),
    (
        dm.perceptron_mistakes,
        "mistakes",
        le(dm.mistakes * dm.gamma_sq, sympy.sqrt(dm.R_sq)),
    ),
    (dm.perceptron_mistakes, "mistakes", le(2 * dm.mistakes * dm.gamma_sq, dm.R_sq)),
    (dm.perceptron_mistakes, "norm", le(dm.mistakes**2 * dm.gamma, dm.Norm(dm.w_end))),
]


@pytest.mark.parametrize("build,name,relation", WRONG, ids=lambda a: str(a)[:40])
def test_wrong_steps_are_refused(build: object, name: str, relation: Rel) -> None:
    derivation = build()  # type: ignore[operator]
    with pytest.raises(StepError, match=name):
        altered(derivation, name, relation).verify(memo={})


def test_wrong_identities_of_a_step_of_descent_are_refused() -> None:
    right = dm.telescoping()
    stated = next(s.relation for s in right.steps if s.name == "distance")
    for wrong in (
        Rel(stated.lhs, "=", stated.rhs + dm.eta**2 * dm.Norm(dm.g) ** 2),
        Rel(stated.lhs, "=", stated.rhs.subs(dm.eta, -dm.eta)),
        Rel(stated.lhs, "=", stated.rhs - dm.eta * dm.Inner(dm.g, dm.v)),
    ):
        with pytest.raises(StepError):
            altered(right, "distance", wrong).verify(memo={})


# -- the two justifications ------------------------------------------------------------------------------------------
def with_step(step: Step) -> Derivation:
    base = dm.xor_f1()
    return replace(base, steps=(*base.steps, step))


def test_an_absolute_value_is_two_relus_and_not_one() -> None:
    z = dm.a + dm.b
    with_step(Step("more", eq(Relu(z) + Relu(-z), sympy.Abs(z)), AbsoluteValue(z))).verify(memo={})
    for wrong in (
        eq(Relu(z), sympy.Abs(z)),
        eq(Relu(z) - Relu(-z), sympy.Abs(z)),
        eq(Relu(z) + Relu(-z), 2 * sympy.Abs(z)),
        eq(Relu(z) + Relu(-z), z),
    ):
        with pytest.raises(StepError, match="more"):
            with_step(Step("more", wrong, AbsoluteValue(z))).verify(memo={})


def test_a_sandwich_needs_both_sides_of_the_same_difference() -> None:
    relation = eq(dm.gamma_1, dm.BOUND)
    for first, second in (
        ("at most", "at most"),
        ("at most", "two coordinates"),
        ("unit vector", "at least"),
    ):
        with pytest.raises(StepError, match="both sides"):
            with_step(Step("more", relation, Sandwich(first, second))).verify(memo={})
    with pytest.raises(StepError, match="opposite"):
        with_step(
            Step("more", eq(dm.gamma_1, 2 * dm.BOUND), Sandwich("at most", "at least"))
        ).verify(memo={})
