"""Profiles: the factors of the steps multiply up to stated/measured, and no step gains."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from proofs_checks.case import Case
from proofs_checks.cases import initialisation, orthogonally_separable
from proofs_checks.profile import ProfileReport, profile
from theory import early_alignment as ea
from theory.errors import LemmataError
from theory.statement import Statement

STATEMENTS = [ea.NORM_BOUND, ea.DIRECTION_BOUND, ea.PHASE_LENGTH]
SLACK = 1e-9


def case(loss: str) -> Case:
    X, y = orthogonally_separable(n=4, d=2, seed=2)
    W0, signs = initialisation(h=4, d=2, seed=[2, 2])
    return Case.create(X, y, W0=0.4 * W0, signs=signs, eps=1e-2, loss=loss)


@pytest.fixture(
    scope="module",
    params=[(s, loss) for s in STATEMENTS for loss in ("exponential", "logistic2")],
    ids=lambda p: f"{p[0].id}-{p[1]}",
)
def report(request: pytest.FixtureRequest) -> ProfileReport:
    statement, loss = request.param
    return profile(statement, case=case(loss))


def test_the_factors_multiply_up_to_the_whole(report: ProfileReport) -> None:
    for spine in report.spines:
        total = sum(step.log_factor for step in spine.steps)
        assert total == pytest.approx(spine.log_stated - spine.log_measured, abs=1e-9)


def test_no_step_gains(report: ProfileReport) -> None:
    for spine in report.spines:
        for step in spine.steps:
            assert step.log_factor >= -SLACK, (spine.part, step)
        # the first link restates the measured quantity
        assert abs(spine.steps[0].log_factor) <= 1e-6, spine.steps[0]


def test_every_part_of_the_conclusion_has_its_steps(report: ProfileReport) -> None:
    assert {s.part for s in report.spines} == {p.name for p in report.statement.parts}
    for spine in report.spines:
        assert 0 <= spine.neuron < report.case.h and spine.time >= 0
        assert len({s.step for s in spine.steps}) == len(spine.steps)


def test_plain_data(report: ProfileReport) -> None:
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["statement"] == report.statement.id and data["case"] == report.case.hash
    for part in data["parts"]:
        product = math.prod(step["factor"] for step in part["steps"])
        assert product == pytest.approx(part["total"], rel=1e-6)


def test_the_whole_is_the_inverse_of_the_tightness() -> None:
    """Where the ratio is largest, stated/measured is 1/tightness of that part."""
    from proofs_checks import api

    chosen = case("exponential")
    verdict = api.check(ea.NORM_BOUND, chosen)
    (spine,) = [s for s in profile(ea.NORM_BOUND, case=chosen).spines if s.part == verdict.part]
    assert verdict.log_tightness is not None
    assert spine.log_stated - spine.log_measured == pytest.approx(-verdict.log_tightness, abs=1e-9)
    assert spine.time == verdict.at


def test_the_figure_is_written(tmp_path: Path) -> None:
    found = profile(ea.PHASE_LENGTH, case=case("exponential"))
    found.figure(tmp_path / "waterfall.png")
    assert (tmp_path / "waterfall.png").read_bytes().startswith(b"\x89PNG")
    found.figure(tmp_path / "waterfall.svg")
    assert "<svg" in (tmp_path / "waterfall.svg").read_text(encoding="utf-8")


def test_extreme_scales_are_profiled() -> None:
    """Factors of e^{1000} have finite logarithms; what no float holds is None."""
    found = profile(ea.NORM_BOUND, case=case("exponential").replace(log10_eps=-700.0))
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    for part, spine in zip(data["parts"], found.spines, strict=True):
        assert all(math.isfinite(s.log_factor) and s.log_factor >= -1e-6 for s in spine.steps)
        assert part["total"] is None or part["total"] > 1


@pytest.mark.parametrize("statement", [ea.ALIGNMENT_TIME, ea.LOW_RANK], ids=lambda s: s.id)
def test_what_is_only_stated_has_no_profile(statement: Statement) -> None:
    with pytest.raises(LemmataError, match="is stated, not derived: it has no proof to profile"):
        profile(statement, case=case("exponential"))


def test_a_case_that_does_not_decide_is_refused() -> None:
    with pytest.raises(
        LemmataError,
        match="early-alignment/norm-bound is vacuous on this case: hypothesis √h ε < 1 fails",
    ):
        profile(ea.NORM_BOUND, case=case("exponential").replace(eps=5.0))


def test_a_loss_without_a_derivation_is_refused() -> None:
    with pytest.raises(
        LemmataError, match="no derivation for the loss logistic; it has: exponential, logistic2"
    ):
        profile(ea.NORM_BOUND, case=case("logistic"))
