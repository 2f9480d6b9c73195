"""The error bounds of trajectories cover the true errors, and wrong bounds would be seen.

``benchmarks.flow_coverage`` is the long version. In every second trajectory the engine starts from weights that are
off by a known radius, so that what is bounded has been carried along by the flow and its kinks.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics import FlowOptions, FlowResult
from tests.numerics.reference_coverage import Record, Tamper, draw, judge
from tests.numerics.reference_ensembles import judge_ensemble

EVENTS = ("outcome", "kinks missed")
CASES = range(12)
LONGEST = 40.0


@given(seed=st.integers(0, 2**31), perturbed=st.booleans())
def test_bounds_cover_the_errors(seed: int, perturbed: bool) -> None:
    records, _ = judge(draw(seed, perturbed=perturbed, longest=LONGEST))
    assert [r for r in records if not r.covered] == []


@given(seed=st.integers(0, 2**31))
def test_bounds_cover_the_errors_of_several_lanes(seed: int) -> None:
    records, outcomes = judge(draw(seed, lanes=2, longest=LONGEST))
    assert outcomes.total() == 2
    assert [r for r in records if not r.covered] == []


def gathered(
    tamper: Tamper | None = None, *, perturbed: bool, options: FlowOptions | None = None
) -> list[Record]:
    """All records of some cases."""
    found: list[Record] = []
    for seed in CASES:
        records, _ = judge(
            draw(seed, perturbed=perturbed, longest=LONGEST), options=options, tamper=tamper
        )
        found += records
    return found


def states(records: list[Record]) -> list[Record]:
    """Those of neurons' states whose bound says something, and whose error is not zero."""
    return [r for r in records if r.kind.startswith("state") and r.finite and r.error > 0]


def test_bounds_are_not_absurdly_large() -> None:
    for perturbed, most in ((False, 150.0), (True, 5.0)):
        found = states(gathered(perturbed=perturbed))
        assert len(found) > 100
        assert 1.0 < np.median([r.bound / r.error for r in found]) < most
        assert np.median([r.bound for r in found]) < 1e-8


@pytest.mark.parametrize("options", [FlowOptions(rtol=1e-6), FlowOptions(order=8, rtol=1e-8)])
def test_bounds_cover_the_errors_of_coarse_tolerances(options: FlowOptions) -> None:
    """Here the truncation error dominates the rounding error."""
    records = gathered(perturbed=False, options=options)
    assert [r for r in records if not r.covered] == []
    assert np.quantile([r.error for r in states(records)], 0.9) > 1e-11


def hundredth(_: FlowResult, __: int, ___: float, radius: np.ndarray) -> np.ndarray:
    """Bounds that are too small by a factor of 100."""
    return radius / 100.0


def without_saltation(result: FlowResult, lane: int, t: float, radius: np.ndarray) -> np.ndarray:
    """Bounds as if kinks did not magnify errors."""
    out = radius.copy()
    for kink in result.kinks_of(lane):
        if kink.t <= t and kink.zdot_after != 0:
            out[kink.neuron] /= max(1.0, kink.zdot_after / kink.zdot_before)
    return out


@pytest.mark.parametrize(
    ("tamper", "perturbed", "least"), [(hundredth, False, 8), (without_saltation, True, 3)]
)
def test_wrong_bounds_are_seen(tamper: Tamper, perturbed: bool, least: int) -> None:
    missed = [r for r in gathered(tamper, perturbed=perturbed) if not r.covered]
    assert {r.kind for r in missed}.isdisjoint(EVENTS)
    cases = Counter(r.case for r in missed)
    assert len(cases) >= least, cases
    # the quantities that are computed from the states see it, too
    assert not all(r.kind.startswith("state") for r in missed)


@given(seed=st.integers(0, 2**31))
def test_bounds_of_ensembles_cover_the_errors(seed: int) -> None:
    assert [r for r in judge_ensemble(draw(seed, longest=LONGEST)) if not r.covered] == []


@given(seed=st.integers(0, 2**31), digits=st.floats(3.0, 8.0))
def test_bounds_of_ensembles_cover_the_errors_of_coarse_tolerances(
    seed: int, digits: float
) -> None:
    """The closed form of the early phase goes far, and its forces are those of the middle of windows."""
    options = FlowOptions(rtol=10.0**-digits)
    records = judge_ensemble(draw(seed, longest=LONGEST), options=options)
    assert [r for r in records if not r.covered] == []


def test_wrong_bounds_of_ensembles_are_seen() -> None:
    """Which quantities are seen to be bounded too closely, when all bounds are divided by 1000."""
    missed = Counter[str]()
    for seed in CASES:
        records = judge_ensemble(draw(seed, longest=LONGEST), shrink=1000.0)
        missed.update(r.kind for r in records if not r.covered)
    assert missed["state, ensemble"] and missed["final max_weight_sq"] and missed["final loss"]
    assert missed["sup max_weight_sq"] and missed["sup max_abs_output"]
