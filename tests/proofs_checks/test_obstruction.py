"""The demonstration: its verdict is computed, its floor exact, and a wrong number changes it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import proofs_checks.obstruction as module
from proofs_checks.obstruction import Demonstration, demonstrate
from proofs_checks.verdict import Status
from theory.errors import LemmataError


@pytest.fixture(scope="module")
def shown() -> Demonstration:
    return demonstrate()


@pytest.mark.parametrize("seed", range(6))
def test_the_network_cannot_fit_and_its_twin_does(seed: int) -> None:
    result = demonstrate(seed=seed)
    assert result.status is Status.HOLDS, result.text
    assert result.floor == 2
    assert all(c < 0 for c in result.obstructed.reachable.invariants)
    assert all(c > 0 for c in result.free.reachable.invariants)
    assert result.obstructed.reachable.components == 2**module.NEURONS
    assert result.free.reachable.components == 1


def test_the_floor_is_a_bound_and_is_far_from_the_twin(shown: Demonstration) -> None:
    bad, good = shown.obstructed, shown.free
    assert bad.loss[0] == pytest.approx(good.loss[0], rel=1e-14)
    assert (bad.loss + bad.loss_error >= float(shown.floor)).all()
    assert good.loss[-1] + good.loss_error[-1] < 1e-3 * float(shown.floor)
    assert bad.times[0] == 0 and bad.times[-1] == good.times[-1] == module.END


def test_locked_signs_and_quadrics_along_the_way(shown: Demonstration) -> None:
    for course in (shown.obstructed, shown.free):
        c = np.array([float(x) for x in course.reachable.invariants])
        np.testing.assert_allclose(
            course.norms**2 - course.v**2, np.broadcast_to(c, course.v.shape), atol=1e-11
        )
        assert (np.abs(course.drift) <= course.drift_error).all()
    locked = [n.locked_v for n in shown.obstructed.reachable.neurons]
    assert locked == [1] * module.NEURONS
    assert (shown.obstructed.v - shown.obstructed.v_error > 0).all()
    assert [n.locked_v for n in shown.free.reachable.neurons] == [None] * module.NEURONS
    assert (shown.free.v.min(axis=0) < 0).any()


def test_a_seed_whose_trajectory_slides_is_refused() -> None:
    with pytest.raises(
        LemmataError, match=r"seed 78 a trajectory ends at t = .*choose another seed"
    ):
        demonstrate(seed=78)


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("TARGETS", (1.5, 1.0, 1.0), "free: the loss falls below"),  # nothing negative: no floor
        ("RESCALING", 1.0, "out of reach of the one network only"),  # the twin is locked too
        ("END", 0.01, "free: the loss falls below"),  # too early
    ],
)
def test_other_settings_are_not_reported_as_holding(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, check: str
) -> None:
    monkeypatch.setattr(module, name, value)
    result = demonstrate()
    assert result.status is Status.VIOLATED
    assert any(check in c.name and c.status is Status.VIOLATED for c in result.checks)


def test_wrong_measurements_are_seen(shown: Demonstration) -> None:
    course, floor = shown.obstructed, shown.floor
    flipped = module._keeps_signs(replace(course, v=-course.v))
    assert flipped.status is Status.VIOLATED
    kept = module._keeps_signs(course)
    low = replace(course, loss=course.loss - 1e-6)
    assert module._above(low, floor, kept).status is Status.VIOLATED
    assert module._above(course, floor, flipped).status is Status.UNDECIDED
    coarse = replace(course, loss_error=course.loss_error + 1e-3)
    assert module._above(coarse, floor, kept).status is Status.UNDECIDED
    moved = replace(course, drift=course.drift + 1e-9)
    assert module._conserved("moved", moved).status is Status.VIOLATED
    vague = replace(course, drift_error=course.drift_error + 1e-3)
    assert module._conserved("vague", vague).status is Status.UNDECIDED
    rescaled = replace(course.case, v0=1.5 * course.case.v0)
    assert module._same_start(course, replace(course, case=rescaled)).status is Status.VIOLATED
    assert module._fits(course, Fraction(300)).status is Status.HOLDS
    assert module._changes_sign(course).status is Status.VIOLATED


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_figure_is_written(shown: Demonstration, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"obstruction.{suffix}"
    shown.figure(path)
    assert path.stat().st_size > 10_000
