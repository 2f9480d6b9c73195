"""Blocks of steps: verdicts are those of one step at a time, and nothing beyond the end is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import numerics
from proofs_checks.blocks import (
    firsts,
    highest_before,
    lasts,
    part_of,
    previous,
    reduce_lanes,
)
from proofs_checks.case import Case
from proofs_checks.cases import default
from proofs_checks.measure import Measured, batch_of, measure_batch
from proofs_checks.observed import observe
from proofs_checks.profile import profile
from proofs_checks.record import record
from proofs_checks.verdict import Status
from tests.proofs_checks.blocks_claims import BellClaim, ImpatientClaim, SoonClaim
from tests.proofs_checks.blocks_of_steps import grouped
from theory import early_alignment as ea
from theory.linear_networks import IMBALANCE_FLOW_RELU
from theory.quantity import amax, quantity, sqnorm, var
from theory.statement import Domain, Kind, Part, Source, Statement

SIZES = (1, 3, 16)
FAR = 30_000.0
LANES = np.array([0, 0, 0, 2, 5, 5])
t = var("t")


@pytest.fixture(scope="module")
def separable() -> list[Case]:
    """Both kinds of scales of the first data set: with the shortest phases, and where alignment is decided."""
    return [c for c in default(count=24) if c.n == 4 and c.loss == "exponential"][:3]


@pytest.fixture(scope="module")
def digits() -> list[Case]:
    return [c for c in default(count=6) if c.n > 8 and c.loss == "exponential"]


# neuron 0 slides, see test_measure.py
SLIDING = Case.create(
    [[0.5, 1.0], [1.0, 0.0]], [1.0, -1.0], W0=[[-0.2, 1.0], [0.3, 1.0]], signs=[1.0, -1.0], eps=1e-4
)


def each_size(
    monkeypatch: pytest.MonkeyPatch,
    statements: Sequence[Statement],
    cases: Sequence[Case],
    far: float = FAR,
    sizes: Sequence[int] = SIZES,
) -> list[Measured]:
    """The same trajectories, shown in blocks of every size."""
    batch, recorded, out = batch_of(cases), {}, []  # type: ignore[var-annotated]
    for size in sizes:
        with monkeypatch.context() as patch:
            patch.setattr(numerics, "integrate", grouped(size, far, recorded))
            out.append(measure_batch(statements, batch))
    return out


def texts(measured: Measured) -> list[str]:
    return [json.dumps(v.to_json()) for row in measured.verdicts for v in row]


def statement(*parts: Part, claim: type | None = None, horizon: Any = None) -> Statement:
    made = Statement("toy/one", "toy", Kind.INEQUALITY, Source("toy", "1"), (), parts)
    path = made.claim if claim is None else f"{claim.__module__}:{claim.__name__}"
    return replace(made, claim=path, horizon=horizon)


# -- rows -----------------------------------------------------------------------------------------------------------
def test_rows_of_lanes() -> None:
    assert firsts(LANES).tolist() == [True, False, False, True, True, False]
    assert lasts(LANES).tolist() == [False, False, True, True, False, True]
    before = np.array([9.0, 0.0, 8.0, 0.0, 0.0, 7.0])
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert previous(LANES, values, before).tolist() == [9, 1, 2, 8, 7, 5]
    assert reduce_lanes(np.maximum, LANES, values).tolist() == [3, 4, 6]


def test_the_highest_before_leaves_out_the_row_itself_and_what_is_no_number() -> None:
    before = np.full(6, -np.inf)
    before[5] = 2.0
    values = np.array([3.0, np.nan, 1.0, 4.0, 1.0, 6.0])
    found = highest_before(LANES, values, before)
    assert found.tolist() == [-np.inf, 3.0, 3.0, -np.inf, 2.0, 2.0]
    assert highest_before(LANES[:0], values[:0], before).size == 0


def test_parts_of_a_block_copy_nothing(separable: list[Case]) -> None:
    views: list[numerics.StepView] = []

    class Keep:
        def on_step(self, step: numerics.StepView) -> None:
            views.append(step)

    numerics.integrate(batch_of(separable).problem(), until=0.5, observers=[Keep()])
    view = max(views, key=lambda v: len(v.lanes))
    part = part_of(view, slice(1, 3))
    assert part.problem is view.problem
    assert part.t1.tolist() == view.t1[1:3].tolist()
    assert np.shares_memory(part.step.w, view.step.w) and part.step.w.shape[0] == 2


# -- verdicts -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def measured(separable: list[Case]) -> list[Measured]:
    with pytest.MonkeyPatch.context() as patch:
        return each_size(patch, ea.STATEMENTS, separable)


def test_verdicts_do_not_depend_on_the_size_of_blocks(measured: list[Measured]) -> None:
    one, *others = measured
    assert {v.status for row in one.verdicts for v in row} >= {Status.HOLDS, Status.VACUOUS}
    for other in others:
        assert texts(other) == texts(one)


def test_events_in_the_middle_of_a_block_have_the_same_times(measured: list[Measured]) -> None:
    names = ("t_align", "t2", "t_grow", "loss2", "survivors_plus", "rate_max")
    found = []
    for one in measured:
        claim = one.trackers[0].claim
        found.append([claim.numbers[name].m.ravel() for name in names])
        assert all(claim.known(name).any() for name in names)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_neurons_that_are_not_separable(
    monkeypatch: pytest.MonkeyPatch, digits: list[Case]
) -> None:
    one, *others = each_size(monkeypatch, [*ea.STATEMENTS, IMBALANCE_FLOW_RELU], digits)
    for other in others:
        assert texts(other) == texts(one)


def test_a_lane_that_slides_in_the_middle_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    small = SLIDING.replace(W0=0.5 * SLIDING.W0[::-1], signs=[1.0, 1.0])
    one, *others = each_size(monkeypatch, [ea.NORM_BOUND, ea.PHASE_LENGTH], [SLIDING, small], 8.0)
    assert one.verdicts[0][0].status is Status.UNDECIDED
    assert "neuron 0, point 1" in one.verdicts[0][0].reason
    for other in others:
        assert texts(other) == texts(one)


# -- the end --------------------------------------------------------------------------------------------------------
def bounded(end: float) -> Part:
    """t <= 4 from 0 on: the ratio says how far one has looked."""
    return Part("clock", t <= quantity(4), Domain(quantity(0), None, "always"))


@pytest.mark.parametrize("size", SIZES)
def test_nothing_after_an_end_that_moves_back_is_used(
    monkeypatch: pytest.MonkeyPatch, separable: list[Case], size: int
) -> None:
    # the bell shortens what is needed from 5 to 0.7, while a block of steps reaches beyond it
    until_bell = statement(bounded(4), claim=BellClaim, horizon=var("bell"))
    (measured,) = each_size(monkeypatch, [until_bell], separable[:2], 40.0, (size,))
    for verdict in measured.verdicts[0]:
        assert verdict.status is Status.HOLDS
        assert verdict.horizon == (0.0, BellClaim.BELL)
        assert verdict.tightness == pytest.approx(BellClaim.BELL / 4, rel=1e-15)


def test_a_failure_after_the_end_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    # the neuron slides after the bell, in the same block
    until_bell = statement(bounded(4), claim=SoonClaim, horizon=var("bell"))
    for measured in each_size(monkeypatch, [until_bell], [SLIDING], 8.0):
        (verdict,) = measured.verdicts[0]
        assert (verdict.status, verdict.horizon) == (Status.HOLDS, (0.0, SoonClaim.BELL))


def test_an_event_after_its_deadline_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, separable: list[Case]
) -> None:
    impatient = statement(bounded(4), claim=ImpatientClaim, horizon=var("bell"))
    patient = statement(
        Part("clock", t <= quantity(4), Domain(quantity(0), quantity(3), "for t <= 3")),
        claim=ImpatientClaim,
    )
    for measured in each_size(monkeypatch, [impatient, patient], separable[:1], 40.0):
        (first,), (second,) = measured.verdicts
        assert first.horizon == (0.0, ImpatientClaim.DEADLINE)
        assert second.horizon == (0.0, 3.0) and second.status is Status.HOLDS


def test_a_domain_with_a_gap_is_not_covered(
    monkeypatch: pytest.MonkeyPatch, separable: list[Case]
) -> None:
    # up to 0.25 first; after 0.7, long passed, suddenly up to 2: what lies between has not been looked at
    growing = statement(bounded(4), claim=BellClaim, horizon=var("later"))
    other = statement(
        Part("clock", t <= quantity(4), Domain(quantity(0), quantity(3), "for t <= 3")),
        claim=BellClaim,
    )
    (measured,) = each_size(monkeypatch, [growing, other], separable[:1], 40.0, (1,))
    (verdict,), (covered,) = measured.verdicts
    assert verdict.status is Status.UNDECIDED and not verdict.domain_covered
    assert verdict.horizon is not None and verdict.horizon[1] == BellClaim.EARLY
    assert covered.status is Status.HOLDS


def test_a_violation_in_the_middle_of_a_block_is_found(
    monkeypatch: pytest.MonkeyPatch, separable: list[Case]
) -> None:
    grown = amax(sqnorm(var("w", "jk")), "j") <= quantity(1) / 10
    wrong = statement(Part("small", grown, Domain(quantity(0), quantity(60), "for t <= 60")))
    found = each_size(monkeypatch, [wrong], separable[:1], 400.0)
    assert [m.verdicts[0][0].status for m in found] == [Status.VIOLATED] * 3
    assert len({v for m in found for v in texts(m)}) == 1


# -- what listens ---------------------------------------------------------------------------------------------------
def test_profiles_recordings_and_observed_constants(
    monkeypatch: pytest.MonkeyPatch, separable: list[Case]
) -> None:
    case = separable[0]
    profiles, recordings, constants = [], [], []
    for size in (1, 16):
        with monkeypatch.context() as patch:
            patch.setattr(numerics, "integrate", grouped(size, 400.0))
            profiles.append(profile(ea.NORM_BOUND, case=case))
        with monkeypatch.context() as patch:
            patch.setattr(numerics, "integrate", grouped(size, 400.0))
            recordings.append(record(ea.NORM_BOUND, case))
        with monkeypatch.context() as patch:
            patch.setattr(numerics, "integrate", fresh(size))
            constants.append(observe(ea.NORM_BOUND, separable[:1]))
    for other in profiles[1:]:
        for a, b in zip(profiles[0].spines, other.spines, strict=True):
            factors = [[s.log_factor for s in spine.steps] for spine in (a, b)]
            assert factors[1] == pytest.approx(factors[0], rel=1e-12, abs=1e-14)
    for again in recordings[1:]:
        assert again.times.tolist() == recordings[0].times.tolist()
        assert np.array_equal(again.directions, recordings[0].directions)
        for x, y in zip(again.curves, recordings[0].curves, strict=True):
            assert np.array_equal(x.log_lhs, y.log_lhs) and np.array_equal(x.times, y.times)
    assert constants[1] == constants[0]
    assert constants[0]["C_w"].value is not None and constants[0]["c_T"].value is not None


def fresh(size: int) -> Any:
    """Every integration is recorded anew."""
    original = numerics.integrate

    def integrate(*args: Any, **kwargs: Any) -> numerics.FlowResult:
        numerics.integrate, own = original, grouped(size, 400.0)
        try:
            result: numerics.FlowResult = own(*args, **kwargs)
        finally:
            numerics.integrate = integrate
        return result

    return integrate
