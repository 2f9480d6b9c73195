"""What is kept of earlier proofs of signs speaks for the same facts only."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from theory.derivation import Derivation, Setting, Step, StepError
from theory.justifications import Assume, Identity
from theory.positivity import NONE, Facts, is_nonnegative, is_positive, undefined_part
from theory.symbols import Atom, Rel, eq, le, lt

x, y, z = (sympy.Symbol(name, real=True) for name in "xyz")
a, b = Atom("a"), Atom("b")
TIME = sympy.Symbol("t", nonnegative=True)
NUMBERS = Setting(name="numbers", time=TIME, indices={})


def test_facts_speak_for_themselves_only() -> None:
    gap = (y - x) * (1 + z**2)
    for _ in range(2):  # the second time from what is kept
        assert not is_nonnegative(gap) and not is_nonnegative(gap, NONE)
        assert is_nonnegative(gap, Facts.of([le(x, y)]))
        assert not is_positive(gap, Facts.of([le(x, y)]))
        assert is_positive(gap, Facts.of([lt(x, y)]))
        assert not is_nonnegative(gap, Facts.of([le(y, x)]))


def test_a_fact_is_found_however_it_is_written() -> None:
    facts = Facts.of([lt(x * (x + 1), y**2 + x)])
    assert is_positive(y**2 - x**2, facts)
    assert is_nonnegative((y - x) * (y + x), facts)
    assert not is_nonnegative(y**2 - x**2 - 1, facts)
    for relations in ([le(x, y), lt(x, y)], [lt(x, y), le(x, y)]):
        assert is_positive(y - x, Facts.of(relations))  # the stronger one counts


def test_what_a_proof_called_upon_is_told() -> None:
    useful, idle, equation = lt(0, x), lt(0, y), eq(z, 1)
    facts = Facts.of([useful, idle, equation])
    assert not any(map(facts.called_upon, (useful, idle, equation)))
    assert undefined_part(1 / (1 + z**2) + sympy.exp(y), facts) is None
    assert not any(map(facts.called_upon, (useful, idle, equation)))  # the structure was enough
    for _ in range(2):
        assert undefined_part(sympy.log(x), facts) is None
        assert [facts.called_upon(r) for r in (useful, idle, equation)] == [True, False, False]


def chain(*facts: Rel) -> Derivation:
    hypotheses = {f"fact {k}": r for k, r in enumerate(facts)}
    steps = [Step(name, r, Assume(name)) for name, r in hypotheses.items()]
    last = Step("quotient", eq(a / b, a * b / b**2), Identity())
    return Derivation("q", NUMBERS, hypotheses, (), (*steps, last), {"all": "quotient"})


def test_a_step_depends_on_the_facts_that_define_it() -> None:
    verified = chain(lt(0, a), lt(0, b), le(b, 7)).verify()
    assert verified.steps["quotient"].depends == ("fact 1",)
    with pytest.raises(StepError, match="b must be shown to be positive"):
        chain(lt(0, a), le(0, b)).verify()
    with pytest.raises(StepError, match="b must be shown to be positive"):
        chain(lt(0, a)).verify(memo={})


def test_numbers_are_no_facts_of_others() -> None:
    third = sympy.Rational(1, 3)
    assert is_positive(x - third, Facts.of([lt(third, x)]))
    assert not is_nonnegative(x - Fraction(1, 2), Facts.of([lt(third, x)]))
