"""Statements: their parts are checked when they are made, constants and definitions expand in order."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import pytest

from theory import early_alignment as ea
from theory.errors import LemmataError
from theory.quantity import QuantityError, log, quantity, sqrt, var
from theory.statement import Constant, Definition, Source, Statement

c, T, S = var("c"), var("T"), var("S")
TOY: Statement = replace(
    ea.ALIGNMENT_TIME,
    id="toy/times",
    constants=(Constant("c", Fraction(3, 2), "smaller", "of T"),),
    definitions=(Definition("T", c * ea.n), Definition("S", T + 1)),
    parts=(replace(ea.ALIGNMENT_TIME.parts[0], relation=ea.t_align <= c * S),),
)


def test_definitions_may_use_constants_and_earlier_definitions() -> None:
    expected = quantity(Fraction(3, 2)) * ea.n
    assert TOY.bindings()["T"] == expected
    assert TOY.bindings()["S"] == expected + 1
    assert TOY.expand(S) == expected + 1
    assert TOY.expand(TOY.parts[0].relation).rhs == quantity(Fraction(3, 2)) * (expected + 1)


def test_one_constant_may_stay_a_variable() -> None:
    kept = TOY.expand(TOY.parts[0].relation, keep="c")
    assert kept.variables() == {"t_align", "c", "n"}
    assert TOY.expand(TOY.parts[0].relation).variables() == {"t_align", "n"}


def test_other_constants_make_another_statement_without_a_derivation() -> None:
    other = ea.NORM_BOUND.with_constants(C_w=Fraction(9, 10), c_T=1)
    assert other.constant("C_w").value == Fraction(9, 10) and other.constant("c_T").value == 1
    assert other.constant("C_f") == ea.NORM_BOUND.constant("C_f")
    assert other.derivations == {} and ea.NORM_BOUND.derivations
    assert other.parts == ea.NORM_BOUND.parts
    assert ea.NORM_BOUND.constant("C_w").value == 2


def test_unknown_constants_are_answered_with_the_known_ones() -> None:
    for call in (lambda: TOY.constant("d"), lambda: TOY.with_constants(d=1)):
        with pytest.raises(LemmataError, match="toy/times has no constant 'd'; it has: c"):
            call()
    with pytest.raises(LemmataError, match="it has: none"):
        replace(TOY, constants=()).constant("c")


@pytest.mark.parametrize("id", ["name", "/name", "topic/", ""])
def test_an_id_has_a_topic_and_a_name(id: str) -> None:
    with pytest.raises(LemmataError, match="must have the form 'topic/name'"):
        replace(TOY, id=id)


def test_a_name_stands_for_one_thing() -> None:
    with pytest.raises(LemmataError, match="toy/times: a constant or definition is named twice"):
        replace(TOY, definitions=(*TOY.definitions, Definition("c", ea.n)))


def test_a_constant_improves_in_one_of_two_directions() -> None:
    with pytest.raises(
        LemmataError, match="constant c: better must be 'smaller' or 'larger', not 'lower'"
    ):
        Constant("c", Fraction(1), "lower", "")


def test_a_definition_of_another_type_is_refused_where_it_is_used() -> None:
    wrong = replace(TOY, definitions=(Definition("T", var("v", "j")), Definition("S", T + 1)))
    with pytest.raises(QuantityError, match="give a quantity of the same type"):
        wrong.bindings()


def test_statements_are_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        TOY.id = "toy/other"  # type: ignore[misc]


def test_topic_text_and_source() -> None:
    assert TOY.topic == "toy"
    assert TOY.text == "t_align ≤ c·S"
    assert TOY.latex == r"t_{align} \le c\,S"
    assert str(Source("P", "Lemma 1")) == "P, Lemma 1"
    assert str(Source("P", "Lemma 1", "n = 2")) == "P, Lemma 1 (n = 2)"
    assert ea.NORM_BOUND.text.splitlines()[0].endswith("for 0 ≤ t ≤ T")


@pytest.mark.parametrize("s", ea.STATEMENTS, ids=lambda s: s.id)
def test_the_statements_of_early_alignment_are_complete(s: Statement) -> None:
    """Every name that a statement uses is a constant, a definition, or something that is measured."""
    names = {c.name for c in s.constants} | {d.name for d in s.definitions}
    relations = [p.relation for p in s.parts] + [h.relation for h in s.hypotheses]
    used = {name for r in relations for name in r.variables()}
    used |= {name for d in s.definitions for name in d.value.variables()}
    left = {name for r in relations for name in s.expand(r).variables()}
    assert not left & names
    assert names <= used | {"t_c", "T"}  # t_c and T also end domains
    assert all(h.remedy and h.text for h in s.hypotheses)
    assert s.latex.count(r"\le") >= len(s.parts)


def test_the_stated_length_of_the_early_phase() -> None:
    expected = log(quantity(1) / (sqrt(ea.h) * ea.eps)) / (quantity(4) * ea.n * ea.X_max)
    assert ea.NORM_BOUND.bindings()["T"] == expected
