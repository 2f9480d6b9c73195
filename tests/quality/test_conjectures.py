"""Worked conjectures: every wrong one is refuted with a certificate, no true one is.

Budgets are counted in cases, so that the outcome does not depend on the machine.
"""

from __future__ import annotations

import pytest

from proofs_checks.audit import audit_text
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.judge import VIOLATED, judge_exact
from proofs_checks.conjectures.report import SearchStatus
from proofs_checks.conjectures.search import search
from proofs_checks.verdict import Rigor
from tests.quality.conjectures_planted import PLANTED, Planted
from tests.quality.conjectures_true import TRUE

CASES, TRUE_CASES = 100_000, 2_000
MOST_DIMENSION = 3


def test_there_are_enough() -> None:
    assert len(PLANTED) >= 30 and len(TRUE) >= 12
    names = [p.conjecture.name for p in PLANTED] + [c.name for c in TRUE]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.conjecture.name)
def test_the_witness_is_independent_and_agrees(planted: Planted) -> None:
    lhs, rhs = planted.sides()
    case = ConjectureCase.of(planted.case)
    traced = planted.conjecture.trace(case)
    (conclusion,) = traced.program.conclusions
    assert (lhs != rhs) if conclusion.op == "==" else (lhs > rhs * (1 + 1e-3 * (rhs > 0)))
    judged = judge_exact(traced, case)
    assert judged.status == VIOLATED and judged.exact
    assert (float(judged.lhs), float(judged.rhs)) == pytest.approx((lhs, rhs), rel=1e-12)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.conjecture.name)
def test_wrong_conjectures_are_refuted(planted: Planted) -> None:
    report = search(planted.conjecture, cases=CASES, seed=0)
    assert report.status is SearchStatus.REFUTED
    found = report.counterexample
    assert found is not None and found.rigor is Rigor.PROVED and found.certificate is not None
    assert max((n for shape in found.shapes.values() for n in shape), default=1) <= MOST_DIMENSION
    assert audit_text(found.certificate.to_json()).accepted
    again = ConjectureCase.from_json(found.case)
    assert judge_exact(planted.conjecture.trace(again), again).status == VIOLATED


@pytest.mark.parametrize("conjecture", TRUE, ids=lambda c: c.name)
def test_true_conjectures_survive(conjecture: Conjecture) -> None:
    report = search(conjecture, cases=TRUE_CASES, seed=0)
    assert report.status is SearchStatus.SURVIVED
    assert report.deciding > 50 and report.counterexample is None
