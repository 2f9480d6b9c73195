"""Measurement: sliding is undecided, extreme scales keep their digits, the company of a batch changes nothing."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from proofs_checks import api
from proofs_checks.batch import Batch
from proofs_checks.case import Case
from proofs_checks.cases import alignment_scale, initialisation, orthogonally_separable
from proofs_checks.measure import batches, measure_batch
from proofs_checks.verdict import Evidence, Rigor, Status, Verdict, decimal
from theory import early_alignment as ea
from theory.errors import LemmataError
from theory.quantity import amax, exp, quantity, sqnorm
from theory.statement import Domain, Kind, Part, Source, Statement, Touch

EARLY = [ea.NORM_BOUND, ea.DIRECTION_BOUND, ea.PHASE_LENGTH]
ZERO = quantity(0)


def statement(*parts: Part, **changes: object) -> Statement:
    """A statement of a user, without hypotheses."""
    return replace(
        Statement("toy/one", "toy", Kind.INEQUALITY, Source("toy", "1"), (), parts),
        **changes,  # type: ignore[arg-type]
    )


# -- sliding --------------------------------------------------------------------------------------------------------
# While the neuron sees only the first point it moves towards seeing the second, of the other class; as soon as it sees
# that one, it is driven back.
SLIDING = Case.create(
    [[0.5, 1.0], [1.0, 0.0]], [1.0, -1.0], W0=[[-0.2, 1.0], [0.3, 1.0]], signs=[1.0, -1.0], eps=1e-4
)


def meeting_time() -> float:
    """When the first neuron reaches the kink of the second point, in closed form for ε → 0.

    Along x_1: w = w_0 + x̂ [p (cosh st - 1) + v_0 sinh st], with s = ‖x_1‖, p = ⟨x̂, w_0⟩; bisection for ⟨w, x_2⟩ = 0.
    """
    w, (x, other) = SLIDING.W0[0], SLIDING.X
    s = float(np.linalg.norm(x))
    unit, v = x / s, float(np.linalg.norm(w))
    low, high = 0.0, 2.0
    for _ in range(60):
        t = (low + high) / 2
        at = w + unit * (unit @ w * (math.cosh(s * t) - 1) + v * math.sinh(s * t))
        low, high = (t, high) if at @ other < 0 else (low, t)
    return low


def test_sliding_is_undecided_and_says_where() -> None:
    for verdict in (row[0] for row in api.verdicts(EARLY, [SLIDING])):
        assert verdict.status is Status.UNDECIDED
        assert "neuron 0, point 1" in verdict.reason
        time = float(verdict.reason.partition("t = ")[2].partition(":")[0].partition(")")[0])
        assert time == pytest.approx(meeting_time(), rel=1e-6)
        if verdict.statement != ea.PHASE_LENGTH.id:  # A6 speaks of times only
            assert verdict.horizon is not None and verdict.horizon[1] <= time * (1 + 1e-12)
        assert not verdict.domain_covered and not verdict.deciding


def test_sliding_does_not_chatter() -> None:
    measured = measure_batch([ea.NORM_BOUND], Batch((SLIDING,)))
    assert measured.result.t[0] == pytest.approx(meeting_time(), rel=1e-6)
    assert len(measured.result.kinks) <= SLIDING.W0.shape[0] * SLIDING.n
    assert measured.result.steps[0] < 100


def test_what_is_refuted_before_the_sliding_is_refuted() -> None:
    # at t = 0 the largest squared norm is ε² W_max²
    wrong = statement(
        Part("norms", amax(sqnorm(ea.w), "j") <= ea.eps**2 * ea.W_max**2 / 2, ea.EARLY)
    )
    wrong = replace(wrong, constants=(ea.T_CONSTANT,), definitions=(ea.T_DEFINITION,))
    assert api.check(wrong, SLIDING).status is Status.VIOLATED


def test_hypotheses_that_fail_come_before_the_sliding() -> None:
    assert api.check(ea.ALIGNMENT_TIME, SLIDING).status is Status.VACUOUS


def test_a_neighbour_that_slides_does_not_stop_the_others() -> None:
    safe = SLIDING.replace(W0=[[0.3, 1.0], [-0.2, -1.0]], signs=[-1.0, -1.0])
    alone = api.check(ea.NORM_BOUND, safe)
    together = api.verdicts([ea.NORM_BOUND], [SLIDING, safe])[0]
    assert [v.status for v in together] == [Status.UNDECIDED, Status.HOLDS]
    assert together[1].to_json() == alone.to_json()


# -- extreme scales -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def extreme() -> list[Verdict]:
    """A1 and A3 at log10 ε = -768 with 20 points."""
    X, y = orthogonally_separable(n=20, d=4, seed=1, spread=0.5)
    W0, signs = initialisation(h=6, d=4, seed=[1, 1])
    case = Case.create(X, y, W0=W0, signs=signs, log10_eps=-768.0)
    assert alignment_scale(case, slack=1.0).log_eps == case.log_eps  # small enough for T ≥ t_c
    return [row[0] for row in api.verdicts([ea.NORM_BOUND, ea.ALIGNMENT_TIME], [case])]


def test_alignment_is_decided_at_extreme_scales(extreme: list[Verdict]) -> None:
    norms, alignment = extreme
    assert norms.status is alignment.status is Status.HOLDS
    assert alignment.tightness is not None and 0.001 < alignment.tightness < 1
    assert alignment.error is not None and alignment.error < 1e-6


def test_sides_that_no_float_holds_are_decimal_strings(extreme: list[Verdict]) -> None:
    data = json.loads(json.dumps(extreme[0].to_json(), allow_nan=False))
    # at the start ‖w‖² = ε² W_max² against 2 ε W_max²/√h; later the ratio falls, then grows again
    assert isinstance(data["lhs"], str) and isinstance(data["rhs"], str)
    mantissa, exponent = data["rhs"].split("e")
    assert 1 <= float(mantissa) < 10 and -770 <= int(exponent) <= -766
    assert math.isfinite(data["log_tightness"]) and data["log_tightness"] < 0
    assert extreme[0].log_lhs is not None and extreme[0].log_rhs is not None
    assert data["log_tightness"] == pytest.approx(
        extreme[0].log_lhs - extreme[0].log_rhs, rel=1e-12
    )
    assert isinstance(extreme[1].to_json()["rhs"], float)


@pytest.mark.parametrize(
    "log_value,expected",
    [
        (None, None),
        (math.nan, None),
        (-math.inf, 0.0),
        (0.0, 1.0),
        (math.log(2.5), pytest.approx(2.5, rel=1e-15)),
        (-768 * math.log(10), "1.000000e-768"),
        (math.log(2) + 500 * math.log(10), "2.000000e+500"),
        (math.inf, "inf"),
        (1e20, "exp(1e+20)"),
        (-1e300, "exp(-1e+300)"),
    ],
)
def test_decimal(log_value: float | None, expected: object) -> None:
    assert decimal(log_value) == expected


@pytest.mark.parametrize("exponent", [-1000, -700, -305, 305, 700, 1000])
def test_decimal_strings_have_a_mantissa_below_ten(exponent: int) -> None:
    for shift in np.linspace(-1e-9, 1e-9, 11):
        found = decimal((exponent + shift) * math.log(10))
        if isinstance(found, str):
            assert 1 <= float(found.partition("e")[0]) < 10


def test_evidence_bounds_the_relative_error() -> None:
    assert Evidence(0.0, math.log(0.9), math.log(1.2)).error == pytest.approx(0.2)
    assert Evidence(0.0, math.log(0.7), math.log(1.2)).error == pytest.approx(0.3)
    assert Evidence(-math.inf, -math.inf, math.log(1e-9)).error == pytest.approx(1e-9)
    assert Evidence(-1e4, -1e4, -1e4).error == 0
    # a failing equality, whose lower end is that of the defect relative to its error
    assert Evidence(0.0, 2000.0, math.log(1.5)).error == pytest.approx(0.5)


# -- batches --------------------------------------------------------------------------------------------------------
def some_cases() -> list[Case]:
    X, y = orthogonally_separable(n=3, d=2, seed=4)
    out = []
    for seed in range(6):
        W0, signs = initialisation(h=3, d=2, seed=[seed, 5])
        out.append(
            Case.create(
                X,
                y,
                W0=0.3 * W0,
                signs=signs,
                eps=10.0 ** -(1 + seed / 3),
                name=str(seed),
                seed=seed,
            )
        )
    return out


def test_the_composition_of_a_batch_changes_no_verdict() -> None:
    cases = some_cases()
    alone = [[v.to_json() for (v,) in api.verdicts(EARLY, [c])] for c in cases]
    together = [[v.to_json() for v in row] for row in api.verdicts(EARLY, cases, workers=1)]
    backwards = [
        [v.to_json() for v in row[::-1]] for row in api.verdicts(EARLY, cases[::-1], workers=1)
    ]
    assert [list(row) for row in zip(*alone, strict=True)] == together == backwards


def test_a_statement_is_not_changed_by_those_measured_with_it() -> None:
    """Others may need a longer trajectory, and so other steps; the verdict speaks of its own domain only."""
    case = some_cases()[0]
    (first,), *_ = api.verdicts([ea.NORM_BOUND, ea.PHASE_LENGTH], [case])
    alone = api.check(ea.NORM_BOUND, case)
    assert first.tightness == pytest.approx(alone.tightness, rel=1e-13)
    assert (first.status, first.part, first.horizon) == (alone.status, alone.part, alone.horizon)


def test_verdicts_come_in_the_order_of_the_cases_from_any_number_of_workers() -> None:
    cases = [c for case in some_cases()[:3] for c in (case, case.replace(loss="logistic2"))]
    seen: list[int] = []
    rows = api.verdicts(EARLY, cases, workers=2, progress=seen.append)
    assert sum(seen) == len(cases)
    assert [[v.case for v in row] for row in rows] == len(EARLY) * [[c.hash for c in cases]]
    assert rows == api.verdicts(EARLY, cases, workers=1)


def test_batches_group_what_is_integrated_together() -> None:
    cases = [c for case in some_cases() for c in (case, case.replace(loss="logistic2"))]
    parts = batches(cases, 4)
    assert [members for members, _ in parts] == [[0, 2, 4, 6], [8, 10], [1, 3, 5, 7], [9, 11]]
    assert all(
        cases[i] is case
        for members, batch in parts
        for i, case in zip(members, batch.cases, strict=True)
    )
    with pytest.raises(LemmataError, match="same data, loss, reduction and width"):
        Batch((cases[0], cases[1]))


# -- domains --------------------------------------------------------------------------------------------------------
# one neuron along one point: u = ‖w‖² has u' = 2 u e^{-u}, so that f = u and the loss is e^{-u}
RAY = Case.create([[1.0]], [1.0], W0=[[1.0]], signs=[1.0], eps=0.1)
FOREVER = Domain(ZERO, None, "for t ≥ 0")


def test_an_unbounded_domain_is_followed_to_the_horizon_and_says_so() -> None:
    falling = statement(Part("loss", ea.loss <= 1, FOREVER), horizon=quantity(3))
    verdict = api.check(falling, RAY)
    assert verdict.status is Status.HOLDS and verdict.rigor is Rigor.NUMERICAL
    assert verdict.horizon == (0.0, 3.0) and not verdict.domain_covered
    assert verdict.tightness == pytest.approx(math.exp(-0.01), rel=1e-12) and verdict.at == 0.0


def test_a_bounded_domain_is_covered() -> None:
    falling = statement(Part("loss", ea.loss <= 1, Domain(ZERO, quantity(2), "for t ≤ 2")))
    verdict = api.check(falling, RAY)
    assert verdict.horizon == (0.0, 2.0) and verdict.domain_covered


def test_the_supremum_is_found_inside_the_domain() -> None:
    """t (2 - t) is largest at t = 1, between whatever nodes are used."""
    bump = statement(
        Part("bump", ea.t * (quantity(2) - ea.t) <= 1, Domain(ZERO, quantity(2), "for t ≤ 2"))
    )
    verdict = api.check(bump, RAY)
    assert verdict.tightness == pytest.approx(1.0, abs=1e-4) and verdict.at == pytest.approx(
        1.0, abs=1e-2
    )
    # it touches: floating point cannot decide it
    assert verdict.status is Status.UNDECIDED
    above = replace(bump.parts[0], relation=ea.t * (quantity(2) - ea.t) <= Fraction(9999, 10000))
    below = replace(bump.parts[0], relation=ea.t * (quantity(2) - ea.t) <= Fraction(10001, 10000))
    assert api.check(statement(above), RAY).status is Status.VIOLATED
    assert api.check(statement(below), RAY).status is Status.HOLDS


def test_the_worst_part_decides() -> None:
    good = Part("good", ea.loss <= 2, FOREVER)
    bad = Part("bad", ea.loss <= Fraction(1, 2), FOREVER)
    verdict = api.check(statement(good, bad, horizon=quantity(1)), RAY)
    assert verdict.status is Status.VIOLATED and verdict.part == "bad"
    assert verdict.tightness == pytest.approx(2 * math.exp(-0.01), rel=1e-12)
    assert verdict.to_json()["lhs"] == pytest.approx(math.exp(-0.01), rel=1e-12)


def test_a_touching_start_is_decided_by_the_differential_form() -> None:
    """L ≤ L(0) with equality at 0; what decides there is that the gradient does not vanish."""
    start = quantity(
        Fraction(float(np.exp(-np.float64(0.01))))
    )  # not exactly L(0): replaced by a bound from above
    touch = Touch(quantity(Fraction(1, 4)), ea.grad_sq > ZERO)
    verdict = api.check(
        statement(Part("loss", ea.loss <= start, FOREVER, touch), horizon=quantity(2)), RAY
    )
    assert verdict.status is Status.HOLDS
    assert (
        verdict.at == pytest.approx(0.25)
        and verdict.tightness is not None
        and verdict.tightness < 1
    )
    wrong = Touch(quantity(Fraction(1, 4)), ea.grad_sq < ZERO)
    refuted = api.check(
        statement(Part("loss", ea.loss <= start, FOREVER, wrong), horizon=quantity(2)), RAY
    )
    assert refuted.status is Status.VIOLATED


def test_exact_zeros_satisfy_a_weak_inequality_but_not_a_strict_one() -> None:
    dead = Case.create([[1.0]], [1.0], W0=[[-1.0]], signs=[1.0], eps=0.1)
    output = amax(ea.network, "i")
    domain = Domain(ZERO, quantity(1), "for t ≤ 1")
    assert api.check(statement(Part("weak", output <= 0, domain)), dead).status is Status.HOLDS
    assert api.check(statement(Part("strict", output < 0, domain)), dead).status is Status.VIOLATED


def test_a_domain_that_is_never_reached_is_undecided() -> None:
    """Without survivors t_2 is infinite; the verdict is plain JSON all the same."""
    dying = Case.create(
        [[1.0, 0.3], [-0.3, -1.0]],
        [1.0, -1.0],
        W0=[[-0.6, -1.0], [1.0, 0.6]],
        signs=[1.0, -1.0],
        eps=1e-30,
    )
    late = statement(
        Part("loss", ea.loss <= 3, Domain(ea.t2, None, "for t ≥ t2")),
        claim=ea.CLAIM,
        horizon=ea.t2 + 1,
    )
    verdict = api.check(late, dying)
    assert verdict.status is Status.UNDECIDED and not verdict.domain_covered
    data = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert data["horizon"][0] == 0.0 and data["tightness"] == 0.0


def test_a_late_domain_on_data_that_are_not_separable() -> None:
    split = Case.create(
        [[1.0, 0.0], [-0.5, 0.3], [-0.2, -1.0]],
        [1.0, 1.0, -1.0],
        W0=[[1.0, 0.0], [-0.2, -1.0]],
        signs=[1.0, -1.0],
        eps=1e-20,
    )
    late = statement(
        Part("loss", ea.loss <= 3, Domain(ea.t2, None, "for t ≥ t2")),
        claim=ea.CLAIM,
        horizon=ea.t2 + 1,
    )
    verdict = api.check(late, split)
    assert verdict.status is Status.UNDECIDED
    assert "the trajectory ends before the domain does" in verdict.reason


def test_a_narrow_peak_is_not_missed() -> None:
    """exp(-1000 (t - p)²) reaches 1 at p, whatever the nodes see of it."""
    peak = exp(-1000 * (ea.t - Fraction(11043, 10000)) ** 2) <= Fraction(1, 2)
    verdict = api.check(statement(Part("peak", peak, Domain(ZERO, quantity(2), "for t ≤ 2"))), RAY)
    assert verdict.status is not Status.HOLDS


def test_an_unknown_claim_is_named() -> None:
    with pytest.raises(
        LemmataError, match=r"claim 'nowhere:Claim' cannot be loaded: .*; give 'module:class'"
    ):
        api.check(
            statement(Part("loss", ea.loss <= 1, FOREVER), claim="nowhere:Claim", horizon=ZERO), RAY
        )


def test_an_unknown_variable_is_named() -> None:
    from theory.quantity import var

    with pytest.raises(ValueError, match=r"'wobble' is not measured here; known: .*loss"):
        api.check(
            statement(Part("loss", ea.loss <= var("wobble"), FOREVER), horizon=quantity(1)), RAY
        )
