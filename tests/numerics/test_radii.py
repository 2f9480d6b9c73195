"""The error radii: against the reference, against a finer run, and where neurons do not act on each other.

Coverage over many random trajectories, and the detection of wrong bounds, are in ``tests/quality``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from numerics import FlowOptions, FlowProblem, FlowResult, FlowStatus, StepView, integrate
from tests.numerics.reference_coverage import LOSSES, draw
from tests.numerics.reference_flow import Trajectory, solve
from tests.numerics.reference_quantities import PRECISION, inner


class Keep:
    """Keeps every block of steps."""

    def __init__(self) -> None:
        self.views: list[StepView] = []

    def on_step(self, step: StepView) -> None:
        self.views.append(step)


def errors(path: Trajectory, t: float, W: Any, V: Any, exponent: Any) -> tuple[Any, Any]:
    """(h,) true errors and sizes of the neurons, in the units of ``W``."""
    exact_w, exact_v, _ = path.at(t)
    out = []
    with ctx.workprec(PRECISION):
        for j, (w, v) in enumerate(zip(exact_w, exact_v, strict=True)):
            unit = arb((1, -int(exponent[j])))
            gap = [arb(float(a)) - b * unit for a, b in zip(W[j], w, strict=True)]
            gap.append(arb(float(V[j])) - v * unit)
            size = inner(w, w) + v * v
            out.append(
                (float(inner(gap, gap).abs_upper()) ** 0.5, float((size * unit * unit).sqrt()))
            )
    error, size = np.array(out).T
    return error, size


def final_errors(problem: FlowProblem, result: FlowResult, lane: int = 0) -> tuple[Any, Any]:
    """Errors and sizes at the end of a lane."""
    t = float(result.t[lane])
    path = solve(problem, t, lane=lane)
    assert path.end == t
    return errors(path, t, result.W[lane], result.V[lane], result.exponent[lane])


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_covered_up_to_the_fit(loss: str) -> None:
    """Two classes from eps = e^-6 until the data are fitted, through kinks: radii are small, and cover."""
    rng = np.random.default_rng(4)
    y = np.array([1.0, -1.0, 1.0, -1.0])
    problem = FlowProblem.balanced(
        X=y[:, None] * np.abs(rng.standard_normal((4, 3))),
        y=y,
        loss=loss,
        weight=1.0,
        W0=rng.standard_normal((1, 5, 3)),
        signs=[1.0, -1.0, 1.0, -1.0, 1.0],
        log_eps=-6.0,
    )
    result = integrate(problem, until=8.0)
    assert result.ok.all() and len(result.kinks) >= 5
    error, size = final_errors(problem, result)
    assert np.all(error <= result.radius[0])
    assert np.all(result.radius[0] <= 1e-8 * size)


def test_coarse_radius_is_larger_than_the_distance_to_the_fine_solution() -> None:
    compared = 0
    for seed in range(12):
        case = draw(seed, longest=30.0)
        coarse = integrate(case.problem, until=case.until, options=FlowOptions(order=8, rtol=1e-7))
        if coarse.status[0] is not FlowStatus.ok:
            continue
        fine = integrate(case.problem, until=coarse.t)
        shift = (fine.exponent - coarse.exponent).astype(int)
        dw = np.ldexp(fine.W, shift[:, :, None]) - coarse.W
        dv = np.ldexp(fine.V, shift) - coarse.V
        gap = np.sqrt((dw**2).sum(axis=2) + dv**2)
        assert np.all(gap <= coarse.radius + np.ldexp(fine.radius, shift))
        compared += 1
    assert compared >= 6


@pytest.mark.parametrize("seed", [3, 16, 25])
def test_dense_output_is_covered_inside_the_steps(seed: int) -> None:
    case = draw(seed, lanes=2, longest=15.0)
    keep = Keep()
    result = integrate(case.problem, until=case.until, observers=[keep])
    for lane in range(2):
        end = float(result.t[lane])
        path = solve(case.problem, float(case.until[lane]), lane=lane)
        rows = [(v, k) for v in keep.views for k in np.flatnonzero(v.lanes == lane)]
        for view, k in rows[:: max(1, len(rows) // 5)]:
            times, W, V = view.states(4)
            for m in range(4):
                t = float(times[k, m])
                if t > min(end, path.end):
                    continue
                error, _ = errors(path, t, W[k, m], V[k, m], view.exponent[k])
                assert np.all(error <= view.radius[k])
                relative = np.ldexp(error, (view.exponent[k] - view.exponent[k].max()).astype(int))
                assert np.sqrt((relative**2).sum()) <= view.global_radius[k]


def class_data(grown: float) -> dict[str, Any]:
    """Two classes in orthogonal planes; the neurons of the first start ``grown`` times larger."""
    rng = np.random.default_rng(8)
    first, second = (
        np.abs(rng.standard_normal((2, 2))) + 0.2,
        np.abs(rng.standard_normal((2, 2))) + 0.2,
    )
    X = np.zeros((4, 4))
    X[:2, :2], X[2:, 2:] = first, -second
    W0 = np.zeros((1, 4, 4))
    W0[0, :2, :2] = grown * np.abs(rng.standard_normal((2, 2)))
    W0[0, 2:, 2:] = -np.abs(rng.standard_normal((2, 2)))
    return {
        "X": X,
        "y": np.array([1.0, 1.0, -1.0, -1.0]),
        "loss": "exponential",
        "weight": 1.0,
        "W0": W0,
        "signs": np.array([1.0, 1.0, -1.0, -1.0]),
        "log_eps": -150.0,
    }


def test_neurons_that_do_not_act_on_each_other_have_separate_bounds() -> None:
    """A class that is fitted does not inherit the growth rate of one at the scale of eps, nor its radius."""
    data = class_data(grown=np.exp(150.0))
    alone = {
        **data,
        "X": data["X"][:2],
        "y": data["y"][:2],
        "W0": data["W0"][:, :2],
        "signs": [1, 1],
    }
    both = integrate(FlowProblem.balanced(**data), until=12.0)
    single = integrate(FlowProblem.balanced(**alone), until=12.0)
    assert both.ok.all() and single.ok.all() and both.kinks == ()

    def relative(result: FlowResult) -> Any:
        return result.radius / np.sqrt((result.W**2).sum(axis=2) + result.V**2)

    assert np.all(relative(both)[:, :2] <= 3.0 * relative(single))
    # the other class is still negligible, though its weights have grown by e^20 and more
    assert np.all(both.exponent[0, 2:] < both.exponent[0, :2] - 100)
    assert np.all(relative(both) < 1e-11)


def test_what_acts_together_shares_its_errors() -> None:
    """A start that is uncertain in one neuron makes all that share a point with it uncertain, and no others."""
    data = class_data(grown=1.0)
    # clear of the kinks of the other class, on which uncertain weights would be undecided
    data["W0"][0, :2, 2:], data["W0"][0, 2:, :2] = 0.3, -0.3
    exact = FlowProblem.balanced(**{**data, "log_eps": -1.0})
    off = np.zeros((1, 4))
    off[0, 0] = 1e-6
    moved = FlowProblem(
        exact.X, exact.y, exact.loss, exact.weight, exact.W0, exact.v0, exact.log_eps, off
    )
    plain, uncertain = integrate(exact, until=1.0), integrate(moved, until=1.0)
    assert plain.ok.all() and uncertain.ok.all()
    assert uncertain.radius[0, 0] >= 1e-6 and uncertain.radius[0, 1] > 1e-8
    # the other class at most by the square of that
    assert np.all(uncertain.radius[0, 2:] <= plain.radius[0, 2:] + 1e-11)
    np.testing.assert_array_equal(uncertain.W, plain.W)
