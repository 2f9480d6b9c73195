"""Starts of extreme size, and starts within an error of a kink."""

from __future__ import annotations

import numpy as np
import pytest

from numerics import FlowProblem, FlowStatus, NumericsError, StepView, integrate
from numerics.ensemble import ensemble


def balanced(scale: float) -> FlowProblem:
    """The same weights, split differently between W0 and log eps."""
    rng = np.random.default_rng(0)
    X, W0 = np.abs(rng.standard_normal((3, 2))), rng.standard_normal((1, 3, 2))
    return FlowProblem.balanced(
        X=X, y=np.ones(3), loss="exponential", weight=1.0, W0=W0 * scale, signs=np.ones(3),
        log_eps=-700.0 - np.log(scale),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1e-300, 1e-165, 1e-20, 1e155, 1e300])
def test_the_size_of_mantissas_does_not_matter(scale: float) -> None:
    plain, scaled = integrate(balanced(1.0), until=4), integrate(balanced(scale), until=4)
    assert plain.ok.all() and scaled.ok.all()
    shift = np.exp2(scaled.exponent - plain.exponent) / scale
    gap = np.abs(scaled.V * shift - plain.V)
    assert (gap <= scaled.radius * shift + plain.radius + 1e-10 * np.abs(plain.V)).all()
    assert np.isfinite(scaled.radius).all() and (scaled.radius > 0).all()


def slow_kink(z: float, radius: float | None = None) -> FlowProblem:
    """A neuron whose second point is entered 10,000 times faster than it is approached."""
    return FlowProblem(
        X=np.array([[1.0, 1e-4], [0.0, 1.0]]), y=np.ones(2), loss="exponential", weight=1.0,
        W0=np.array([[[1.0, z]]]), v0=np.array([[1.5]]), log_eps=np.array([-300.0]),
        start_radius=None if radius is None else np.array([[radius]]),
    )  # fmt: skip


def distance(a: FlowProblem, b: FlowProblem) -> tuple[float, float]:
    """Distance of the final states, and the sum of the error bounds; infinite where nothing is claimed."""
    first, second = integrate(a, until=1.0), integrate(b, until=1.0)
    assert second.ok.all()
    if not first.ok.all():
        assert first.status[0] is FlowStatus.grazing
        return 0.0, np.inf
    assert first.exponent[0, 0] == second.exponent[0, 0]
    gap = np.hypot(np.linalg.norm(first.W - second.W), abs(first.V - second.V).item())
    return float(gap), float(first.radius.sum() + second.radius.sum())


@pytest.mark.parametrize("radius", [1e-12, 1e-9, 1e-7])
@pytest.mark.parametrize("true", [-1.0, -0.4, 0.3, 1.0])
@pytest.mark.parametrize("centre", [0.0, 0.5, -0.5])
def test_the_true_start_may_lie_behind_the_kink(radius: float, true: float, centre: float) -> None:
    if abs(true - centre) > 1:
        pytest.skip("not a start within the radius")
    gap, bound = distance(slow_kink(centre * radius, radius), slow_kink(true * radius))
    assert gap <= bound
    assert (
        bound < np.inf or radius > 1e-10
    )  # the speed there is 1.5e-4: only small errors are resolved


@pytest.mark.parametrize("z", [-1e-16, -1e-15, -3e-15, -5e-15, -1e-14, -1e-13])
def test_exact_starts_close_to_a_kink(z: float) -> None:
    """From z on, the kink comes at |z|/1.5e-4; from 0 the neuron leaves at once."""
    gap, bound = distance(slow_kink(z), slow_kink(0.0))
    assert gap <= bound + 1.1e4 * abs(z) * np.e**2
    late = integrate(slow_kink(z), until=1.0)
    exact = integrate(slow_kink(10 * z), until=1.0)
    # linear in the delay: ten times the distance behind the kink is ten times the gap
    far = np.hypot(
        np.linalg.norm(exact.W - integrate(slow_kink(0.0), until=1.0).W),
        abs(exact.V - integrate(slow_kink(0.0), until=1.0).V).item(),
    )
    assert abs(gap - far / 10) <= bound + exact.radius.sum() + 1e-3 * far
    assert late.ok.all()


def on_a_kink(v: float = 1.5, grown: float = 1.0, **radii: np.ndarray) -> FlowProblem:
    """<w, x_2> = 0 exactly: where v > 0 the neuron becomes active on it at once, where v < 0 it never is."""
    return FlowProblem(
        X=np.array([[2.0, 1.0], [1.0, -1.0]]), y=np.array([1.0, 0.5]), loss="squared", weight=1.0,
        W0=np.array([[[1.0, 1.0]]]) * grown, v0=np.array([[v]]), log_eps=np.array([-3.0]), **radii,
    )  # fmt: skip


@pytest.mark.parametrize("error", [1e-12, 1e-4])
def test_an_error_that_does_not_turn_a_neuron_leaves_it_on_its_kink(error: float) -> None:
    radius = np.array([[3 * error]])
    first = on_a_kink(start_radius=radius, direction_radius=np.zeros((1, 1)))
    for v, grown in [(1.5, 1.0 + error), (1.5 + error, 1.0 - error), (1.5 - error, 1.0)]:
        gap, bound = distance(first, on_a_kink(v, grown))
        assert error / 10 < gap <= bound < 1e3 * error
    turned = integrate(on_a_kink(start_radius=np.array([[0.1]])), until=1.0)
    assert turned.status[0] is FlowStatus.grazing


def test_a_speed_whose_sign_is_unknown_decides_nothing() -> None:
    """v = 0.01 or v = -0.01: the neuron enters the point, or it does not."""
    problem = on_a_kink(0.01, start_radius=np.array([[0.02]]), direction_radius=np.zeros((1, 1)))
    assert integrate(problem, until=1.0).status[0] is FlowStatus.grazing
    assert integrate(on_a_kink(0.01), until=1.0).ok.all()


def resting(w: float, v: float, log_eps: float = -5.0, **radii: float) -> FlowProblem:
    """One point, and a neuron at or near its kink: with v < 0 it rests, with v > 0 it leaves."""
    return FlowProblem(
        X=np.array([[1.0, 0.0]]), y=np.ones(1), loss="exponential", weight=1.0,
        W0=np.array([[[w, 1.0]]]), v0=np.array([[v]]), log_eps=np.array([log_eps]),
        **{name: np.array([[r]]) for name, r in radii.items()},
    )  # fmt: skip


@pytest.mark.parametrize("radius", [1e-12, 1e-3])
def test_a_neuron_that_rests_may_have_started_beside_its_kink(radius: float) -> None:
    found = resting(0.0, -1.0, start_radius=radius)
    for w, v in [(0.9, 0.0), (-0.9, 0.0), (0.6, 0.6), (0.6, -0.6), (-0.6, 0.6)]:
        gap, bound = distance(found, resting(w * radius, -1.0 + v * radius))
        assert gap <= bound < 5 * radius
        assert gap > radius / 2 or w > 0  # from there it goes to the kink, and rests


@pytest.mark.parametrize("exact", [True, False])
def test_whether_a_neuron_rests_is_undecided_where_the_sign_of_v_is(exact: bool) -> None:
    """The true v may be positive, and the neuron grow like e^t."""
    radii = {"start_radius": 1e-3, **({"direction_radius": 0.0} if exact else {})}
    found = integrate(resting(0.0, -1e-4, **radii), until=4.0)
    assert found.status[0] is FlowStatus.grazing
    assert integrate(resting(5e-4, 5e-4), until=4.0).ok.all()


@pytest.mark.parametrize("log_eps", [-50.0, -400.0])
def test_an_error_of_v_decides_nothing_at_any_scale(log_eps: float) -> None:
    """v = 0: the second derivative leads off the kink, but the first one does where v is not exactly 0."""
    problem = FlowProblem(
        X=np.array([[100.0, 0.0], [-0.5, 1.0]]), y=np.array([-1.0, 1.0]), loss="exponential", weight=1.0,
        W0=np.array([[[0.0, 1.0]]]), v0=np.zeros((1, 1)), log_eps=np.array([log_eps]),
        start_radius=np.array([[0.02]]), direction_radius=np.zeros((1, 1)),
    )  # fmt: skip
    assert integrate(problem, until=0.15).status[0] is FlowStatus.grazing


@pytest.mark.parametrize("radii", [{}, {"start_radius": 1e-4}])
def test_the_error_of_a_direction_is_a_part_of_that_of_the_start(radii: dict[str, float]) -> None:
    with pytest.raises(NumericsError, match="a part of start_radius"):
        resting(0.0, 1.0, direction_radius=1e-3, **radii)


def test_an_undecided_start_is_named() -> None:
    """Opposite directions on both sides, within the error: which holds is not known."""
    problem = FlowProblem(
        X=np.array([[1.0, -1e-9], [0.0, 1.0]]), y=np.ones(2), loss="exponential", weight=1.0,
        W0=np.array([[[1.0, 1e-9]]]), v0=np.array([[1.5]]), log_eps=np.array([-300.0]),
        start_radius=np.array([[1e-6]]),
    )  # fmt: skip
    result = integrate(problem, until=1.0)
    assert result.status[0] is FlowStatus.grazing and result.t[0] == 0.0


@pytest.mark.parametrize(
    ("X", "weight", "words"),
    [
        (1e200, 1.0, "divide X"),
        (1e-200, 1.0, "divide X"),
        (1.0, 1e200, "weight"),
        (1.0, 1e-200, "weight"),
    ],
)
def test_data_that_would_overflow_are_refused(X: float, weight: float, words: str) -> None:
    one = np.ones((1, 1, 1))
    with pytest.raises(NumericsError, match=words):
        FlowProblem(X * one[0], np.ones(1), "exponential", weight, one, one[0], np.zeros(1))


@pytest.mark.parametrize("log_eps", [4.0, 300.0, 1e5])
def test_a_loss_that_is_not_finite_at_the_start_is_refused(log_eps: float) -> None:
    X, W0 = np.ones((2, 1)), np.ones((2, 3, 1))
    problem = FlowProblem(
        X=X, y=np.array([1.0, -1.0]), loss="exponential", weight=1.0, W0=W0, v0=np.ones((2, 3)),
        log_eps=np.array([-1.0, log_eps]),
    )  # fmt: skip
    for run in (integrate, ensemble):
        with pytest.raises(NumericsError, match=r"lane 1.*smaller log_eps"):
            run(problem, until=0.1)


def test_a_lane_that_is_cut_short_says_nothing_of_later_steps() -> None:
    """The horizon is known late: what the engine had seen beyond it does not count."""
    problem = balanced(1.0)
    plain = integrate(problem, until=4)
    steps: list[tuple[float, float]] = []

    class Watch:
        def on_step(self, step: StepView) -> None:
            steps.extend(zip(step.t0.tolist(), step.t1.tolist(), strict=True))

    def horizon(step: StepView) -> np.ndarray:
        return np.full(step.lanes.size, steps[0][1])

    cut = integrate(problem, until=4, observers=[Watch()], horizon=horizon)
    assert len(steps) > 1 and cut.t[0] == steps[0][1] < plain.t[0]
    assert cut.steps[0] == 1 and cut.evaluations[0] < plain.evaluations[0]
    short = integrate(problem, until=cut.t[0])
    assert cut.drift[0] <= short.drift[0] + 1e-15
    gap = np.linalg.norm(cut.W - short.W, axis=2)
    assert (gap <= cut.radius + short.radius).all()
