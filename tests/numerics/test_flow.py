"""The integrator against closed forms: order, kink times, extreme scales, the calling protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numerics import FlowOptions, FlowProblem, FlowStatus, NumericsError, StepView, integrate


class Recorder:
    """Keeps every step that it is shown."""

    def __init__(self) -> None:
        self.steps: list[StepView] = []

    def on_step(self, step: StepView) -> None:
        self.steps.append(step)

    def path(self, lane: int, m: int = 5) -> tuple[Any, Any, Any]:
        """Times, W, V of one lane at all nodes, with exponents applied (scaled units)."""
        times, ws, vs = [], [], []
        for step in self.steps:
            for k in np.flatnonzero(step.lanes == lane):
                t, w, v = step.states(m)
                times.append(t[k])
                ws.append(np.ldexp(w[k], step.exponent[k][:, None].astype(int)))
                vs.append(np.ldexp(v[k], step.exponent[k].astype(int)))
        return np.concatenate(times), np.concatenate(ws), np.concatenate(vs)


def early(loss: str = "exponential", **changes: Any) -> FlowProblem:
    """One neuron, one active point: w grows towards x as long as |f| is negligible."""
    arguments = {
        "X": np.array([[0.6, 0.8]]),
        "y": np.array([1.0]),
        "loss": loss,
        "weight": 1.0,
        "W0": np.array([[[1.0, -0.2]]]),
        "signs": np.array([1.0]),
        "log_eps": -300.0,
    }
    return FlowProblem.balanced(**{**arguments, **changes})


def closed_form(x: Any, y: float, w0: Any, v0: float, t: Any) -> tuple[Any, Any]:
    """w and v for a constant force G = y x: hyperbolic functions of |G| t."""
    s = np.linalg.norm(x)
    unit = y * x / s
    p = unit @ w0
    t = np.asarray(t)
    along = p * (np.cosh(s * t) - 1) + v0 * np.sinh(s * t)
    return w0 + along[..., None] * unit, v0 * np.cosh(s * t) + p * np.sinh(s * t)


def true_states(result: Any, lane: int = 0) -> tuple[Any, Any]:
    shift = result.exponent[lane].astype(int)
    return np.ldexp(result.W[lane], shift[:, None]), np.ldexp(result.V[lane], shift)


@pytest.mark.parametrize("loss", ["exponential", "logistic2"])
def test_frozen_early_phase_matches_hyperbolic_functions(loss: str) -> None:
    problem = early(loss)
    recorder = Recorder()
    result = integrate(problem, until=20.0, observers=[recorder])
    t, w, v = recorder.path(0, 7)
    exact_w, exact_v = closed_form(problem.X[0], 1.0, problem.W0[0, 0], problem.v0[0, 0], t)
    np.testing.assert_allclose(w[:, 0], exact_w, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(v[:, 0], exact_v, rtol=1e-13)
    assert result.status == (FlowStatus.ok,) and result.t[0] == 20.0
    assert result.drift[0] < 1e-14


@pytest.mark.parametrize("order", [4, 5, 6, 7])
def test_global_error_has_the_order_of_the_method(order: int) -> None:
    problem = early()
    exact, _ = closed_form(problem.X[0], 1.0, problem.W0[0, 0], problem.v0[0, 0], 4.0)
    errors = []
    for step in (0.5, 0.25):
        result = integrate(problem, until=4.0, options=FlowOptions(order=order, fixed_step=step))
        errors.append(np.linalg.norm(true_states(result)[0][0] - exact))
        assert result.steps[0] == 4.0 / step
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def test_order_is_kept_across_kinks() -> None:
    """Without locating kinks the order would be one; the steps end at them, so it stays high."""
    rng = np.random.default_rng(5)
    X = np.abs(rng.standard_normal((4, 3))) * np.array([1, -1, 1, -1])[:, None]
    problem = FlowProblem.balanced(
        X=X,
        y=[1, -1, 1, -1],
        loss="exponential",
        weight=1.0,
        W0=rng.standard_normal((1, 6, 3)),
        signs=[1, -1, 1, -1, 1, -1],
        log_eps=-3.0,
    )
    best = integrate(problem, until=1.5)
    assert len(best.kinks) >= 6
    errors = []
    for step in (0.1, 0.05):
        coarse = integrate(problem, until=1.5, options=FlowOptions(order=4, fixed_step=step))
        errors.append(np.abs(true_states(coarse)[0] - true_states(best)[0]).max())
    assert np.log2(errors[0] / errors[1]) > 3.0


def test_kink_time_matches_the_closed_form() -> None:
    """w = (cosh t - a sinh t, 1/2) meets <w, (-1, 1)> = 0 at a root of a quadratic in e^t."""
    problem = FlowProblem.balanced(
        X=[[1.0, 0.0], [-1.0, 1.0]],
        y=[1.0, -1.0],
        loss="logistic2",
        weight=1.0,
        W0=[[[1.0, 0.5]]],
        signs=[-1.0],
        log_eps=-400.0,
    )
    result = integrate(problem, until=0.7)
    a = np.sqrt(1.25)
    exact = np.log((1 - np.sqrt(1 + 4 * (a * a - 1))) / (2 * (1 - a)))
    (kink,) = result.kinks
    assert (kink.lane, kink.neuron, kink.point, kink.active) == (0, 0, 1, True)
    assert abs(kink.t - exact) <= kink.t_error < 1e-13
    # d<w, x_2>/dt = -w_1' = -v before, and the force of x_2 is added after
    v = a * np.cosh(exact) - np.sinh(exact)
    size = np.sqrt((np.cosh(exact) - a * np.sinh(exact)) ** 2 + 0.25 + v * v)
    assert kink.zdot_before == pytest.approx(v / size, rel=1e-12)
    assert kink.zdot_after == pytest.approx(3 * v / size, rel=1e-12)


def two_classes(lanes: int = 5, seed: int = 0, **changes: Any) -> FlowProblem:
    """Orthogonally separable data; at log_eps = -8 every neuron has kinks and f becomes O(1)."""
    rng = np.random.default_rng(seed)
    y = np.array([1.0, -1.0, 1.0, -1.0, 1.0])
    arguments = {
        "X": y[:, None] * np.abs(rng.standard_normal((5, 4))),
        "y": y,
        "loss": "exponential",
        "weight": 1.0,
        "W0": rng.standard_normal((lanes, 6, 4)),
        "signs": rng.choice([-1.0, 1.0], (lanes, 6)),
        "log_eps": -np.linspace(3.0, 60.0, lanes),
    }
    return FlowProblem.balanced(**{**arguments, **changes})


def test_lanes_do_not_depend_on_the_batch() -> None:
    """Bit for bit: alone, in a batch, in another order; also at sizes where sums could be paired."""
    for problem in (
        two_classes(),
        two_classes(lanes=4, loss="logistic2"),
        two_classes(lanes=3, W0=np.random.default_rng(1).standard_normal((3, 1, 4)), signs=[1.0]),
        early(W0=[[[1.0]], [[2.0]], [[0.3]]], X=[[0.7]], log_eps=np.array([-1.0, -9.0, -70.0])),
    ):
        together = integrate(problem, until=6.0)
        shuffled = integrate(problem.select(range(problem.lanes - 1, -1, -1)), until=6.0)
        for lane in range(problem.lanes):
            alone = integrate(problem.select([lane]), until=6.0)
            for other, k in ((together, lane), (shuffled, problem.lanes - 1 - lane)):
                np.testing.assert_array_equal(alone.W[0], other.W[k])
                np.testing.assert_array_equal(alone.V[0], other.V[k])
                np.testing.assert_array_equal(alone.radius[0], other.radius[k])
                assert alone.steps[0] == other.steps[k]
                assert [(q.t, q.t_error) for q in alone.kinks] == [
                    (q.t, q.t_error) for q in other.kinks_of(k)
                ]


def test_early_phase_does_not_depend_on_eps_at_all() -> None:
    """State is kept divided by eps: at 1e-100 and at 1e-768 the same bits come out."""
    outcomes = [
        integrate(two_classes(lanes=2, log_eps=-log10 * np.log(10)), until=8.0)
        for log10 in (100, 768)
    ]
    assert outcomes[0].ok.all() and len(outcomes[0].kinks) > 10
    np.testing.assert_array_equal(outcomes[0].W, outcomes[1].W)
    assert [k.t for k in outcomes[0].kinks] == [k.t for k in outcomes[1].kinks]


def test_growth_from_the_smallest_scale_to_order_one() -> None:
    """From eps = 1e-768 until the data are fitted; f is exposed before it is representable."""
    recorder = Recorder()
    problem = two_classes(lanes=2, log_eps=-768 * np.log(10))
    result = integrate(problem, until=1500.0, observers=[recorder])
    assert result.ok.all()
    first, last = recorder.steps[0], recorder.steps[-1]
    _, F, log_scale = first.outputs(2)
    assert np.all(log_scale < -3000) and np.abs(F[:, 0]).max() > 1e-3
    _, F, log_scale = last.outputs(2)
    f = F[:, -1] * np.exp(log_scale)[:, None]
    assert np.all(f * problem.y > 2.0)
    size = np.sqrt((result.W**2).sum(axis=2) + result.V**2)
    assert (result.radius / size).max() < 1e-4


def test_observers_see_every_lane_from_zero_to_its_end_without_gaps() -> None:
    recorder = Recorder()
    problem = two_classes()
    until = np.array([0.0, 0.5, 1.0, 3.0, 6.0])
    result = integrate(problem, until=until, observers=[recorder])
    for lane in range(5):
        t, _, _ = recorder.path(lane, 3)
        assert t[0] == 0.0 and t[-1] == until[lane] == result.t[lane]
        starts, ends = t[::3], t[2::3]
        np.testing.assert_array_equal(starts[1:], ends[:-1])
    for step in recorder.steps:
        times, W, V = step.states(4)
        powers = (times - step.t0[:, None])[None] ** np.arange(step.order + 1)[:, None, None]
        np.testing.assert_allclose(
            np.einsum("plm,plhd->lmhd", powers, step.coef_w), W, rtol=1e-11, atol=1e-12
        )
        np.testing.assert_allclose(
            np.einsum("plm,plh->lmh", powers, step.coef_v), V, rtol=1e-11, atol=1e-12
        )
        z = np.einsum("lmhd,nd->lmhn", W[:, 1:-1], problem.X)
        inside = np.abs(z) > 1e-12
        np.testing.assert_array_equal(
            (z > 0)[inside], np.broadcast_to(step.mask[:, None], z.shape)[inside]
        )


def test_derivative_states_solve_the_equation() -> None:
    recorder = Recorder()
    problem = two_classes(log_eps=-2.0)
    integrate(problem, until=2.0, observers=[recorder])
    for step in recorder.steps:
        _, W, V = step.states(4)
        dW, dV = step.derivative_states(4)
        _, F, log_scale = step.outputs(4)
        g = problem.y * np.exp(-problem.y * F * np.exp(log_scale)[:, None, None])
        G = np.einsum("lhn,lmn,nd->lmhd", step.mask, g, problem.X)
        np.testing.assert_allclose(dW, V[..., None] * G, atol=1e-9)
        np.testing.assert_allclose(dV, (W * G).sum(axis=3), atol=1e-9)


def test_horizon_extends_and_shortens() -> None:
    problem = two_classes(lanes=2, log_eps=-8.0)

    def horizon(step: StepView) -> Any:
        return np.where(step.lanes == 0, 4.0, np.minimum(2.0, step.t0 * 0))

    result = integrate(problem, until=1.0, horizon=horizon)
    assert result.t[0] == 4.0 and 0 < result.t[1] <= 1.0
    assert result.ok.all()
    np.testing.assert_allclose(result.W[0], integrate(problem, until=4.0).W[0], rtol=1e-10)


def test_budgets_end_a_lane_with_a_remedy() -> None:
    problem = two_classes(lanes=2, log_eps=-8.0)
    few_steps = integrate(problem, until=50.0, options=FlowOptions(max_steps=3))
    assert set(few_steps.status) == {FlowStatus.budget}
    assert "max_steps" in few_steps.reason[0] and np.all(few_steps.t < 50)
    few_kinks = integrate(problem, until=50.0, options=FlowOptions(max_kinks=1))
    assert FlowStatus.budget in few_kinks.status


def test_overflow_is_reported_as_diverged() -> None:
    """Labels 1e100 and a weight of 1e59: the weights grow beyond float64 at once."""
    X, y = np.array([[6e58, 8e58]]), np.array([1e100])
    problem = early(loss="squared", X=X, weight=1e59, y=y, log_eps=-1.0)
    result = integrate(problem, until=1e30)
    assert result.status == (FlowStatus.diverged,)
    assert "shorten the horizon" in result.reason[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": [[np.nan, 1.0]]}, r"X\[0, 0\] is nan"),
        ({"X": [[np.inf, 1.0]]}, "X.*inf"),
        ({"X": np.zeros((0, 2))}, "X is empty"),
        ({"X": [1.0, 2.0]}, "axes"),
        ({"X": [[1.0, 2.0, 3.0]]}, "coordinates"),
        ({"y": [0.5]}, "label 0.5.*squared"),
        ({"y": [1.0, -1.0]}, "2 labels for 1 points"),
        ({"loss": "hinge"}, "unknown loss"),
        ({"weight": 0.0}, "weight"),
        ({"weight": np.nan}, "weight"),
        ({"signs": [0.5]}, "neither 1 nor -1"),
        ({"signs": [1.0, 1.0]}, "signs has shape"),
        ({"log_eps": [0.0, 0.0]}, "log_eps has shape"),
        ({"log_eps": -np.inf}, "log_eps"),
        ({"W0": [[[None, 1.0]]]}, "W0"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        early(**changes)


@pytest.mark.parametrize("until", [-1.0, np.inf, np.nan, np.array([1.0, 2.0])])
def test_bad_end_times_are_refused(until: Any) -> None:
    with pytest.raises(NumericsError, match="until"):
        integrate(early(), until=until)


@pytest.mark.parametrize(
    "options", [{"order": 2}, {"rtol": 0.5}, {"max_steps": 0}, {"fixed_step": -1.0}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(NumericsError):
        FlowOptions(**options)
