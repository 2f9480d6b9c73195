"""Planted wrong versions of the statements on convex ReLU training: a default case refutes each."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from proofs_checks import relu_cases
from proofs_checks.static import judge
from proofs_checks.verdict import Status
from tests.quality.planted_tools import drop, planted, redefine
from theory import convex_relu as cr
from theory.convex_relu import M, Omega, beta, gain, nu, size, tau, v, w, y
from theory.quantity import Quantity, Relation, minimum, sqnorm, total
from theory.statement import Statement


def claimed(true: Statement, words: str, lhs: Quantity, rhs: Quantity) -> Statement:
    """The same statement with another relation."""
    (part,) = true.parts
    return planted(true, words, parts=(replace(part, relation=lhs <= rhs),))


def helped(limit: Quantity) -> Statement:
    """The certificate with a weaker hypothesis M ≤ limit."""
    (h,) = cr.GLOBAL_CERTIFICATE.hypotheses
    return planted(
        cr.GLOBAL_CERTIFICATE, "price-up-to-2-beta", hypotheses=(replace(h, relation=limit >= M),)
    )


def _distance(true: Statement) -> Relation:
    return true.parts[0].relation


NORMS = total(sqnorm(w), "j") + total(v**2, "j")
GLOBAL, EULER, LOWER = cr.GLOBAL_CERTIFICATE, cr.EULER_DEFECT, cr.LOWER_BOUND
GAP = _distance(GLOBAL).lhs
DUAL, OPTIMUM = _distance(LOWER).lhs, _distance(LOWER).rhs
WRONG: list[tuple[Statement, Statement]] = [
    (GLOBAL, helped(2 * beta)),
    (GLOBAL, planted(GLOBAL, "no-hypothesis", hypotheses=drop(GLOBAL, "no neuron helps"))),
    (GLOBAL, planted(GLOBAL, "quarter", definitions=redefine(GLOBAL, "Omega", NORMS / 4))),
    (GLOBAL, claimed(GLOBAL, "double-gain", GAP, beta * Omega - 2 * gain)),
    (GLOBAL, claimed(GLOBAL, "tenth-of-it", GAP, (beta * Omega - gain) / 10)),
    (EULER, planted(EULER, "half-missing", definitions=redefine(EULER, "Omega", NORMS))),
    (EULER, claimed(EULER, "linear", beta * Omega - gain, GAP)),
    (EULER, claimed(EULER, "sum", (beta * Omega + gain) ** 2 / (2 * size), GAP)),
    (EULER, claimed(EULER, "size-not-squared", (beta * Omega - gain) ** 2 * 100 / size, GAP)),
    (
        LOWER,
        planted(
            LOWER,
            "twice-beta",
            definitions=redefine(
                LOWER, "tau", minimum(2 * beta / M, total(nu * y, "i") / total(nu**2, "i"))
            ),
        ),
    ),
    (LOWER, claimed(LOWER, "half-missing-dual", DUAL + tau**2 * total(nu**2, "i") / 2, OPTIMUM)),
    (LOWER, claimed(LOWER, "the-zero-network", total(y * y, "i") / 2, OPTIMUM)),
]


@cache
def statuses() -> list[dict[str, Status]]:
    """For every default case the status of each statement, true or wrong, by id."""
    every = {s.id: s for pair in WRONG for s in pair}
    return [
        {v.statement: v.status for v in judge(list(every.values()), case)}
        for case in relu_cases.relu()
    ]


@pytest.mark.parametrize("true,wrong", WRONG, ids=[w.id for _, w in WRONG])
def test_a_default_case_refutes_it(true: Statement, wrong: Statement) -> None:
    refuted = 0
    for found in statuses():
        assert found[true.id] in (Status.HOLDS, Status.VACUOUS)
        refuted += found[wrong.id] is Status.VIOLATED
    assert refuted


def test_every_statement_has_planted_versions() -> None:
    assert {true.id for true, _ in WRONG} == {s.id for s in cr.STATEMENTS}
    assert len({wrong.id for _, wrong in WRONG}) == len(WRONG)


def test_the_hypothesis_is_what_makes_the_certificate_true() -> None:
    """A network with M > β whose distance exceeds the bound, found with floats alone: the zero network."""
    X, y_ = np.array([[1.0], [-1.0]]), np.array([1.0, 0.0])
    b = 0.6
    # one neuron w = v = √a on the first point: ½(1 - a)² + b a, least at a = 1 - b
    best = 0.5 * b**2 + b * (1 - b)
    zero = 0.5 * float(y_ @ y_)
    assert np.abs(y_ @ np.maximum(X, 0)).max() > b  # M = 1
    assert zero - best > 0.05  # while βΩ - ⟨ν, f⟩ = 0
    case = relu_cases.ReluCase.create(X, y_, beta=b, W=[[0]], v=[0])
    wrong, true = helped(2 * beta), GLOBAL
    assert [v.status for v in judge([true, wrong], case)] == [Status.VACUOUS, Status.VIOLATED]
