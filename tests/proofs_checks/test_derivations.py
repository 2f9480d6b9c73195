"""A derivation proves what its statement says: the two conclusions are the same number on random cases."""

from __future__ import annotations

import numpy as np
import pytest

from numerics.evaluate import Environment
from proofs_checks import cases, linear_cases
from proofs_checks.batch import StepContext
from proofs_checks.derivations import derivation_status, load_derivation
from proofs_checks.measure import batch_of, measure_batch
from proofs_checks.registry import all_statements
from proofs_checks.static_models import MODELS
from theory.statement import Statement

DERIVED = [(s, loss) for s in all_statements().values() for loss in s.derivations]

# Those without time are compared where their numbers are at hand: tests/theory, a file for each topic.
TIMED = [(s, loss) for s, loss in DERIVED if s.setting.model not in MODELS]


@pytest.mark.parametrize("statement,loss", TIMED, ids=lambda p: getattr(p, "id", p))
def test_the_derived_conclusion_is_the_stated_one(statement: Statement, loss: str) -> None:
    verified = load_derivation(statement.derivations[loss]).verify()
    if statement.setting.model == "linear":
        (case,) = linear_cases.linear(count=1, seed=5)
    else:
        X, y = cases.orthogonally_separable(n=4, d=3, seed=5)
        (case,) = cases.on(X, y, count=1, seed=5, losses=(loss,))
    checked = 0

    def compare(context: StepContext) -> None:
        nonlocal checked
        env = context.environment(np.array([0]), context.start[:, None])
        for part in statement.parts:
            if part.domain is None:  # an order: its left side is compared, the right side is a time
                op, lhs, _ = verified.conclusion_data(part.name)
                pairs = [(lhs, statement.expand(part.relation).lhs.to_data())]
            else:
                op, lhs, rhs = verified.conclusion_data(part.name)
                own = statement.expand(part.relation)
                pairs = [(lhs, own.lhs.to_data()), (rhs, own.rhs.to_data())]
            assert part.relation.op == {"=": "=="}.get(op, op)
            for derived, stated in pairs:
                values = [
                    env.evaluate(_with_constants(data, statement)) for data in (derived, stated)
                ]
                a, b = (v.max(2).to_float()[0].ravel()[0] for v in values)
                assert a == pytest.approx(b, rel=1e-9, abs=1e-300)
                checked += 1

    measure_batch([statement], batch_of([case]), listeners=[compare])
    assert checked >= 2


def _with_constants(data: object, statement: Statement) -> object:
    """Replace the names of constants and definitions by their values."""
    values = statement.bindings()
    if isinstance(data, list) and data and data[0] == "var" and data[1] in values:
        return values[data[1]].to_data()
    return [_with_constants(d, statement) for d in data] if isinstance(data, list) else data


@pytest.mark.parametrize("statement,loss", DERIVED, ids=lambda p: getattr(p, "id", p))
def test_the_derivation_assumes_nothing_that_the_statement_does_not(
    statement: Statement, loss: str
) -> None:
    derivation = load_derivation(statement.derivations[loss])
    stated = {c.name: c.value for c in statement.constants}
    for c in derivation.constants:
        if c.name in stated:
            assert c.stated == stated[c.name]
            assert c.better == statement.constant(c.name).better
    assert derivation_status(statement) == ("verified", "")


def test_unknown_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not measured"):
        Environment({}).evaluate(["var", "C_w"])
