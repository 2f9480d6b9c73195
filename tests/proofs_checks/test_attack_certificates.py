"""Statements as programs: they compute what the claims measure, and nothing true is certified as false."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb

from proofs_checks.conjectures.attack_models import adaptor
from proofs_checks.conjectures.balls import evaluate
from proofs_checks.conjectures.statement_certificate import certify_statement, statement_program
from proofs_checks.conjectures.statement_programs import MAKERS, NoProgram, Violation
from proofs_checks.linear_cases import numbered
from proofs_checks.margin_cases import PerceptronCase, perceptrons
from proofs_checks.measure import has_time
from proofs_checks.named import load
from proofs_checks.registry import all_statements
from proofs_checks.static import judge
from proofs_checks.static_values import StaticValues
from proofs_checks.verdict import Rigor, Status, Verdict
from theory import convex_relu, early_alignment, linear_networks, margins
from theory.quantity import Quantity, Relation
from theory.statement import Kind, Statement

STATIC = [
    s
    for s in all_statements().values()
    if s.claim in MAKERS and s.kind is not Kind.PROBABILITY and s.setting.model != "linear"
]
# of the others a side is an optimum, whose program has no value without its certificate
EXACT = [
    s
    for s in STATIC
    if s.id in ("margins/perceptron-mistakes", "margins/telescoping", "collapse/upfm-ce-dual")
]


def drawn(statement: Statement, count: int) -> list[Any]:
    """Small cases on which the statement is decided."""
    own, rng, out = adaptor(statement), np.random.default_rng(1), []
    for level in range(12):
        for case in own.draw(rng, level % 4):
            if len(out) < count and judge([statement], case)[0].status is Status.HOLDS:
                out.append(case)
        if len(out) == count:
            break
    return out


def as_if_violated(statement: Statement, case: Any, part: str, **more: Any) -> Verdict:
    return Verdict(statement.id, case.hash, Status.VIOLATED, Rigor.PROVED, part=part, **more)


@pytest.mark.parametrize("statement", STATIC, ids=lambda s: s.id)
def test_what_holds_is_not_certified_as_violated(statement: Statement) -> None:
    cases = drawn(statement, 1 if statement.id == "margins/xor-f1" else 3)
    assert cases
    for case in cases:
        for part in statement.parts:
            verdict = as_if_violated(statement, case, part.name)
            certificate, reason = certify_statement(statement, case, verdict)
            assert certificate is None and reason


def sides(relation: Relation, case: Any, statement: Statement) -> list[Any]:
    """Both sides as the judge measures them."""
    axes: dict[str, str] = {}

    def visit(q: Quantity) -> None:
        if q.op == "var":
            axes[q.label] = "".join(a for a in "jik" if a in q.axes)
        for a in q.args:
            visit(a)

    visit(relation.lhs)
    visit(relation.rhs)
    measured = load(statement.claim, "claim")(case).measure(frozenset(axes))
    values = StaticValues(measured.values, axes)
    return [values.evaluate(q.to_data()) for q in (relation.lhs, relation.rhs)]


@pytest.mark.parametrize("statement", EXACT, ids=lambda s: s.id)
def test_programs_compute_what_claims_measure(statement: Statement) -> None:
    for case in drawn(statement, 6):
        for part in statement.parts:
            verdict = as_if_violated(statement, case, part.name)
            program, raw = statement_program(Violation(statement, part, case, verdict))
            (conclusion,) = program.conclusions
            wanted = [conclusion.lhs, conclusion.rhs]
            found = evaluate(program, raw.values, wanted, bits=256)
            for k, expected in zip(
                wanted, sides(statement.expand(part.relation), case, statement), strict=True
            ):
                (value,) = found[k]
                assert arb(value).overlaps(arb(expected))
                assert abs(float(arb(value)) - float(arb(expected))) <= 1e-12 * abs(
                    float(arb(expected))
                )


def test_numbers_of_a_network_are_those_of_its_case() -> None:
    """F, ⟨ν, f⟩ and Ω in a program, against the exact numbers of the case."""
    own, rng = adaptor(convex_relu.EULER_DEFECT), np.random.default_rng(0)
    for case in own.draw(rng, 2):
        part = convex_relu.EULER_DEFECT.parts[0]
        violation = Violation(
            convex_relu.EULER_DEFECT,
            part,
            case,
            as_if_violated(convex_relu.EULER_DEFECT, case, "distance"),
        )
        program, raw = statement_program(violation)
        scaling = next(h for h in program.hypotheses if h.name == "scaling stays a network")
        found = evaluate(program, raw.values, [scaling.lhs, scaling.rhs], bits=128)
        squares = sum((a * a for row in (*case.W, case.v) for a in row), Fraction(0))
        gain = sum((a * b for a, b in zip(case.residual, case.outputs, strict=True)), Fraction(0))
        assert [Fraction(str(x)) for (x,) in (found[scaling.lhs], found[scaling.rhs])] == [
            case.beta * squares / 2 - gain,
            sum((f * f for f in case.outputs), Fraction(0)),
        ]


@pytest.mark.parametrize("index", range(0, 9))
@pytest.mark.parametrize("step", [0, 1])
def test_a_step_of_descent_is_written_out_exactly(index: int, step: int) -> None:
    """The true law holds exactly in the program, so both sides are the same rational number."""
    case = numbered(index)
    statement = linear_networks.IMBALANCE_DESCENT
    verdict = as_if_violated(statement, case, "imbalance", at=float(step))
    program, raw = statement_program(Violation(statement, statement.parts[0], case, verdict))
    (conclusion,) = program.conclusions
    found = evaluate(program, raw.values, [conclusion.lhs, conclusion.rhs], bits=4096)
    lhs, rhs = (arb(found[k][0]) for k in (conclusion.lhs, conclusion.rhs))
    assert (lhs - rhs).contains(0) and lhs > 0
    certificate, _ = certify_statement(statement, case, verdict)
    assert certificate is None


def test_the_perceptron_that_is_written_out_makes_the_same_mistakes() -> None:
    from proofs_checks.claims.margins import mistakes

    for case in perceptrons(count=24):
        statement = margins.PERCEPTRON_MISTAKES
        verdict = as_if_violated(statement, case, "mistakes")
        try:
            program, raw = statement_program(
                Violation(statement, statement.parts[0], case, verdict)
            )
        except NoProgram as reason:
            assert "too long" in str(reason)
            continue
        (conclusion,) = program.conclusions
        lhs = evaluate(program, raw.values, [conclusion.lhs], bits=128)[conclusion.lhs][0]
        worst = min(
            y * sum(a * b for a, b in zip(case.u, x, strict=True))
            for x, y in zip(case.X, case.y, strict=True)
        )
        length = sum(a * a for a in case.u)
        assert Fraction(str(lhs)) == mistakes(case) * worst * abs(worst) / length


# -- why there is none ------------------------------------------------------------------------------------------------
def test_trajectories_and_samples_have_no_certificate() -> None:
    from tests.quality.planted import FAST

    assert has_time(FAST)
    verdict = as_if_violated(
        early_alignment.NORM_BOUND, FAST, early_alignment.NORM_BOUND.parts[0].name
    )
    certificate, reason = certify_statement(early_alignment.NORM_BOUND, FAST, verdict)
    assert certificate is None and "floating point" in reason
    law = all_statements()["collapse/cover-wendel"]
    case = adaptor(law).draw(np.random.default_rng(0), 0)[0]
    certificate, reason = certify_statement(law, case, as_if_violated(law, case, "frequency"))
    assert certificate is None and "samples" in reason


def test_a_claim_that_is_not_ours_has_no_certificate() -> None:
    from dataclasses import replace

    case = PerceptronCase.create([[1]], [1], [1])
    statement = replace(margins.PERCEPTRON_MISTAKES, claim="elsewhere:Claim")
    certificate, reason = certify_statement(
        statement, case, as_if_violated(statement, case, "mistakes")
    )
    assert certificate is None and "elsewhere:Claim" in reason


def test_a_bound_of_a_restricted_optimum_is_used_in_the_registered_relations_only() -> None:
    from dataclasses import replace

    from theory.collapse_thresholds import UPFM_CE_ZERO, J, V
    from theory.quantity import amax

    case = drawn(UPFM_CE_ZERO, 1)[0]
    # true, but a bound of V from above says nothing about it
    part = replace(UPFM_CE_ZERO.parts[1], relation=amax(V - 100 * J, "j") <= 0)
    statement = replace(UPFM_CE_ZERO, parts=(part,))
    verdict = as_if_violated(statement, case, part.name)
    certificate, reason = certify_statement(statement, case, verdict)
    assert certificate is None and "registered" in reason
