"""Detection power: planted wrong statements are refuted, with witnesses that owe nothing to the engine.

The true statements are never violated on the same cases, and where a hypothesis fails they are vacuous and say which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from proofs_checks import api
from proofs_checks.case import Case
from proofs_checks.verdict import Status
from tests.quality.planted import (
    ALL,
    BOTH_ACTIVE,
    DYING,
    FAST,
    GENERIC,
    LARGE,
    LINE,
    OPPOSITE,
    SPLIT,
    UNBALANCED,
    Planted,
)
from tests.quality.witness import flow, frozen, outputs
from theory import derivations_early_alignment as derivations
from theory import early_alignment as ea
from theory.derivation import Derivation, StepError
from theory.errors import LemmataError
from theory.statement import Statement

MARGIN = 1e-3  # a witness fails by more than that, far beyond what either computation can err


@pytest.mark.parametrize("p", ALL, ids=lambda p: p.statement.id)
def test_the_witness_refutes_it_without_the_engine(p: Planted) -> None:
    lhs, rhs = p.witness()
    assert lhs > (1 + MARGIN) * rhs > 0


@pytest.mark.parametrize("p", ALL, ids=lambda p: p.statement.id)
def test_the_engine_refutes_it_and_not_the_true_one(p: Planted) -> None:
    wrong, true = (row[0] for row in api.verdicts([p.statement, p.true], [p.case]))
    assert wrong.status is Status.VIOLATED, wrong.reason
    assert wrong.log_tightness is not None and wrong.log_tightness > MARGIN
    assert "fails with lhs" in wrong.reason
    if p.vacuous:
        assert true.status is Status.VACUOUS and p.vacuous in true.reason, true.reason
    else:
        assert true.status is Status.HOLDS, true.reason


def test_every_statement_has_a_planted_version() -> None:
    assert {p.true.id for p in ALL} == {s.id for s in ea.STATEMENTS}
    assert len({p.statement.id for p in ALL}) == len(ALL) >= 16


# -- the engine measures what the witness measures ------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    ["c_T-just-below-2", "T-without-n", "large-initialisation", "C_1", "C_2", "rank-one", "c_6"],
)
def test_ratio_at_the_end_agrees_with_the_witness(name: str) -> None:
    """Where the ratio is largest at the very instant of the witness, both give the same number."""
    p = next(p for p in ALL if p.statement.id == f"planted/{name}")
    lhs, rhs = p.witness()
    found = api.check(p.statement, p.case)
    assert found.tightness is not None and found.error is not None
    if name in ("rank-one",):  # the supremum is later than the witness
        assert found.tightness > lhs / rhs
    else:
        assert found.tightness == pytest.approx(lhs / rhs, rel=1e-8, abs=found.error)


def test_the_witness_integrator_agrees_with_the_closed_form() -> None:
    """The oracle itself: DOP853 across a kink against cosh and sinh on both sides of it."""
    case, s = BOTH_ACTIVE, BOTH_ACTIVE.X[0] - BOTH_ACTIVE.X[1]
    W, _ = flow(case.X, case.y, case.W0, case.v0, eps=1e-100, until=0.6)
    np.testing.assert_allclose(W[0], frozen(case.W0[0], float(case.v0[0]), s, 0.6), rtol=1e-9)
    late, v = flow(case.X, case.y, case.W0, case.v0, eps=1e-100, until=4.0)
    assert (case.X @ late.T > 0).tolist() == [[True, False], [False, True]]
    np.testing.assert_allclose(v**2, (late**2).sum(axis=1), rtol=1e-8)
    assert (outputs(case.X, late, v) * case.y > 0).all()


# -- hypotheses -----------------------------------------------------------------------------------------------------
ONE_CLASS = Case.create(
    [[1.0, 0.1], [0.9, 0.2]], [1.0, 1.0], W0=[[1.0, 0.3]], signs=[1.0], log10_eps=-60.0
)
LONG = LINE.replace(eps=2.0)
EDGE = GENERIC.replace(W0=20 * GENERIC.W0)
A1, A2, A3, A4, A4_SHARP, A5, A6 = ea.STATEMENTS
ALIGNMENT = (A3, A4, A4_SHARP, A5)
FAILING: list[tuple[str, tuple[Statement, ...], Case, str]] = [
    ("balanced start", ea.STATEMENTS, UNBALANCED, "give signs"),
    ("√h ε < 1", ea.STATEMENTS, LONG, "smaller eps"),
    ("small initialisation", (A1, A2, *ALIGNMENT), EDGE, "smaller eps, or rescale"),
    ("both classes present", ALIGNMENT, ONE_CLASS, "add points of the missing class"),
    (
        "μ-orthogonal separability",
        ALIGNMENT,
        SPLIT,
        "points 0 and 1 (same class) have cosine -0.8575; drop them",
    ),
    ("small drift", ALIGNMENT, BOTH_ACTIVE.replace(eps=0.05), "smaller eps"),
    ("T ≥ t_c", ALIGNMENT, BOTH_ACTIVE.replace(log10_eps=-8.0), "smaller eps"),
    ("survivors", (A4, A4_SHARP), DYING, "use more neurons"),
    ("growth rate", (A6,), LARGE, "smaller eps"),
]


@pytest.mark.parametrize("name,statements,case,remedy", FAILING, ids=[f[0] for f in FAILING])
def test_a_failing_hypothesis_is_named(
    name: str, statements: tuple[Statement, ...], case: Case, remedy: str
) -> None:
    for (verdict,) in api.verdicts(statements, [case]):
        assert verdict.status is Status.VACUOUS, (verdict.statement, verdict.reason)
        assert verdict.reason.startswith(f"hypothesis {name} fails: ")
        assert remedy in verdict.reason
        assert verdict.tightness is None and not verdict.deciding


def test_alignment_after_t2_is_named() -> None:
    """With A3's hypotheses the hypothesis cannot fail (that is A3); without them it is seen to fail."""
    # large neurons along the points grow at once, while the opposite one still has to turn round
    case = OPPOSITE.replace(
        W0=np.vstack([OPPOSITE.W0[:1], OPPOSITE.X]), signs=[1.0, 1.0, -1.0], eps=0.3
    )
    alone = replace(
        A4,
        id="planted/alone",
        hypotheses=(ea.ALIGNED,),
        parts=A4.parts[:1],
        derivations={},
        horizon=ea.t2 + 1,
    )
    verdict = api.check(alone, case)
    assert verdict.status is Status.VACUOUS, verdict.reason
    assert verdict.reason.startswith("hypothesis aligned before t2 fails: t_align ≤ t2")


def test_a_neuron_without_direction_is_refused_before_any_statement() -> None:
    """The hypothesis "non-zero start" of A2 can fail only on a case that cannot be made."""
    with pytest.raises(LemmataError, match="the neuron has no direction; drop it"):
        OPPOSITE.replace(
            W0=np.vstack([OPPOSITE.W0[:1], np.zeros((1, OPPOSITE.W0.shape[1]))]), signs=[1, 1]
        )


def test_every_hypothesis_of_every_statement_is_tested() -> None:
    tested = {(name, s.id) for name, statements, *_ in FAILING for s in statements}
    tested |= {("aligned before t2", s.id) for s in (A4, A4_SHARP)}
    tested |= {("non-zero start", ea.DIRECTION_BOUND.id)}
    assert tested == {(h.name, s.id) for s in ea.STATEMENTS for h in s.hypotheses}


def test_the_growth_of_a_squared_norm_is_the_exact_one() -> None:
    """FAST grows along one point: the rate of A6 is 2 n X_max at the start, half of the C that is stated."""
    verdict = api.check(A6, FAST)
    assert verdict.status is Status.HOLDS
    assert "growth rate: 6 ≤ 12" in verdict.reason


# -- derivations ----------------------------------------------------------------------------------------------------
WRONG: list[tuple[str, Callable[[], Derivation], dict[str, Fraction]]] = [
    ("A1 C_w exponential", derivations.norm_bound_exponential, {"C_w": Fraction(9, 10)}),
    ("A1 C_w logistic", derivations.norm_bound_logistic2, {"C_w": Fraction(9, 10)}),
    ("A1 C_f", derivations.norm_bound_exponential, {"C_f": Fraction(9, 10)}),
    ("A1 c_T", derivations.norm_bound_exponential, {"c_T": Fraction(3, 2)}),
    ("A2 C_1", derivations.direction_bound_exponential, {"C_1": Fraction(1)}),
    ("A2 C_1 logistic", derivations.direction_bound_logistic2, {"C_1": Fraction(49, 100)}),
    ("A2 C_2", derivations.direction_bound_exponential, {"C_2": Fraction(9, 10)}),
    ("A6 c_6 exponential", derivations.phase_length_exponential, {"c_6": Fraction(5, 4)}),
    ("A6 c_6 logistic", derivations.phase_length_logistic2, {"c_6": Fraction(5, 4)}),
]


@pytest.mark.parametrize("build,values", [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_the_derivation_of_a_wrong_constant_fails(
    build: Callable[[], Derivation], values: dict[str, Fraction]
) -> None:
    with pytest.raises(StepError) as caught:
        build().verify(values)
    assert caught.value.point or "remainder" in str(caught.value) or "premise" in str(caught.value)
