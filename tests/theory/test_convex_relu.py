"""The derivations on convex ReLU training: complete, about the stated relations, and broken by wrong steps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
import sympy
from sympy import Abs, Rational, Sum

from proofs_checks.static_values import StaticValues
from theory import convex_relu as cr
from theory import derivations_convex_relu as d
from theory.derivation import Derivation, Step, StepError
from theory.derivations_convex_relu import (
    POINTS,
    F,
    F_best,
    M,
    Omega,
    beta,
    f,
    g,
    gain,
    nu,
    overlap,
    s,
    u,
    y,
)
from theory.justifications import Assume
from theory.statement import Statement
from theory.symbols import Norm, Rel, eq, le

CHAINS: list[tuple[Statement, Callable[[], Derivation]]] = [
    (cr.GLOBAL_CERTIFICATE, d.global_certificate),
    (cr.EULER_DEFECT, d.euler_defect),
    (cr.LOWER_BOUND, d.lower_bound),
]


@pytest.mark.parametrize("statement,build", CHAINS, ids=[s.id for s, _ in CHAINS])
def test_every_part_is_derived(statement: Statement, build: Callable[[], Derivation]) -> None:
    verified = build().verify(memo={})
    assert set(verified.derivation.concludes) == {p.name for p in statement.parts}
    assumed = {s.name for s in verified.steps.values() if s.kind == "assume"}
    assert assumed == set(verified.derivation.hypotheses)
    assert statement.derivations == {"squared": f"{build.__module__}:{build.__name__}"}


@pytest.mark.parametrize("statement,build", CHAINS, ids=[s.id for s, _ in CHAINS])
def test_what_is_proved_is_what_is_stated(
    statement: Statement, build: Callable[[], Derivation]
) -> None:
    verified = build().verify()
    rng = random.Random(0)
    for part, _ in product(statement.parts, range(4)):
        op, lhs, rhs = verified.conclusion_data(part.name)
        names = part.relation.variables() | {"size"}
        numbers = {
            name: [Fraction(rng.randint(-9, 9), 4) for _ in range(3)]
            if name in ("nu", "f", "y")
            else Fraction(rng.randint(1, 9), 4)
            for name in sorted(names)
        }
        values = StaticValues(numbers, dict.fromkeys(("nu", "f", "y"), "i"))
        stated = [values.evaluate(q.to_data()) for q in (part.relation.lhs, part.relation.rhs)]
        assert part.relation.op == op
        assert [values.evaluate(lhs), values.evaluate(rhs)] == stated


WRONG: list[tuple[str, Callable[[], Derivation], str, Rel]] = [
    (
        "a residual of the other sign",
        d.global_certificate,
        "residual",
        eq(nu, f - y),
    ),
    (
        "no half in the loss",
        d.global_certificate,
        "objective",
        eq(F, Sum(nu**2, POINTS) + beta * Omega),
    ),
    (
        "no half in the decay",
        d.global_certificate,
        "other decay",
        eq(d.other, Sum((Norm(u) ** 2 + d.a**2) / 4, d.OTHERS)),
    ),
    ("a price up to 2β", d.global_certificate, "no neuron helps", le(M, 2 * beta)),
    (
        "a price that does not grow with the neuron",
        d.global_certificate,
        "price",
        le(Abs(overlap), M),
    ),
    (
        "half of the gain",
        d.global_certificate,
        "distance",
        le(F - F_best, beta * Omega - gain * 2),
    ),
    (
        "convexity beyond the square",
        d.global_certificate,
        "convexity",
        le(nu**2 - 2 * nu * (g - f), (y - g) ** 2 / 2),
    ),
    (
        "an infeasible multiple",
        d.lower_bound,
        "feasible",
        le(sympy.Symbol("tau", real=True) * M, 2 * beta),
    ),
    (
        "the dual without its half",
        d.lower_bound,
        "bound",
        le(
            sympy.Symbol("tau", real=True) * Sum(nu * y, POINTS)
            - sympy.Symbol("tau", real=True) ** 2 * Sum(nu**2, POINTS) / 4,
            F_best,
        ),
    ),
    ("a factor of any sign", d.lower_bound, "factor", le(-1, sympy.Symbol("tau", real=True))),
    (
        "twice the defect",
        d.euler_defect,
        "distance",
        le((beta * Omega - gain) ** 2 / d.length, F - F_best),
    ),
    (
        "a scaled network that keeps its decay",
        d.euler_defect,
        "scaled network",
        le(F_best, Rational(1, 2) * Sum((y - s * f) ** 2, POINTS) + beta * Omega),
    ),
]


@pytest.mark.parametrize("words,build,name,relation", WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_step_does_not_verify(
    words: str, build: Callable[[], Derivation], name: str, relation: Rel
) -> None:
    derivation = build()
    assert name in {s.name for s in derivation.steps}
    steps = tuple(
        Step(s.name, relation, s.by, s.text) if s.name == name else s for s in derivation.steps
    )
    hypotheses = dict(derivation.hypotheses)
    if any(s.name == name and isinstance(s.by, Assume) for s in steps):
        hypotheses[name] = relation
    with pytest.raises(StepError):
        replace(derivation, steps=steps, hypotheses=hypotheses).verify(memo={})
