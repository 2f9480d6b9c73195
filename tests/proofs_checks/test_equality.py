"""Equalities: confirmed within a declared resolution, violated beyond the error bound, undecided between."""

from __future__ import annotations

import pytest

from proofs_checks import api, cases
from proofs_checks.verdict import Status, Verdict
from theory.errors import LemmataError
from theory.quantity import Relation, equals, quantity, sqnorm, total, var
from theory.statement import Domain, Kind, Part, Source, Statement

w, v = var("w", "jk"), var("v", "j")
NORMS, OUTER = total(sqnorm(w), "j"), total(v**2, "j")
EARLY = Domain(quantity(0), quantity(2), "for t ≤ 2")


def statement(
    relation: Relation, resolution: float | None, kind: Kind = Kind.EQUALITY
) -> Statement:
    return Statement(
        id="test/equality",
        title="balance",
        kind=kind,
        source=Source("none", "none"),
        hypotheses=(),
        parts=(Part("balance", relation, EARLY, resolution=resolution),),
    )


def check(relation: Relation, resolution: float) -> Verdict:
    X, y = cases.orthogonally_separable(n=4, d=2, seed=1)
    (case,) = cases.on(X, y, count=1, seed=1)
    return api.check(statement(relation, resolution), case)


def test_a_conserved_balance_holds_within_its_resolution() -> None:
    verdict = check(equals(NORMS, OUTER), 1e-9)
    assert verdict.status is Status.HOLDS, verdict
    assert verdict.tightness is not None and verdict.tightness < 1


def test_a_planted_factor_is_violated() -> None:
    verdict = check(equals(NORMS * quantity(10**9 + 1) / 10**9, OUTER), 1e-6)
    assert verdict.status is Status.VIOLATED
    assert "balance" in verdict.reason


def test_a_resolution_below_the_error_is_undecided() -> None:
    assert check(equals(NORMS, OUTER), 1e-30).status is Status.UNDECIDED


def test_what_is_no_equality_is_refused() -> None:
    with pytest.raises(LemmataError, match="declares the resolution"):
        statement(NORMS <= OUTER, 1e-9)
    with pytest.raises(LemmataError, match="declares the resolution"):
        statement(equals(NORMS, OUTER), None)
    assert str(equals(NORMS, OUTER)) == "Σ_j ‖w_j‖² = Σ_j v_j²"


def test_probabilities_are_not_read_off_single_trajectories() -> None:
    X, y = cases.orthogonally_separable(n=4, d=2, seed=1)
    (case,) = cases.on(X, y, count=1, seed=1)
    with pytest.raises(LemmataError, match="probability statement"):
        api.check(statement(equals(NORMS, OUTER), 1e-9, Kind.PROBABILITY), case)
