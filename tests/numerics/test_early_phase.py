"""The early phase in closed form, against the engine, a reference in fixed point, and formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from numerics import FlowProblem, NumericsError, integrate
from numerics.early_phase import EarlyPhase, early_phase
from tests.numerics.reference_flow import solve


def problem_of(
    seed: int, *, n: int = 5, d: int = 3, h: int = 4, lanes: int = 3, **changes: Any
) -> FlowProblem:
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    arguments: dict[str, Any] = {
        "X": rng.standard_normal((n, d)),
        "y": y,
        "loss": "exponential",
        "weight": 1.0,
        "W0": rng.standard_normal((lanes, h, d)),
        "signs": rng.choice([-1.0, 1.0], (lanes, h)),
        "log_eps": -80.0,
    }
    return FlowProblem.balanced(**{**arguments, **changes})


def separable(seed: int, **changes: Any) -> FlowProblem:
    """Points y_i x_i in the positive orthant: no kink slides."""
    plain = problem_of(seed, **changes)
    return problem_of(seed, **{**changes, "X": plain.y[:, None] * np.abs(plain.X)})


def distance(a: Any, b: Any) -> tuple[Any, Any]:
    """Distances (B, h) of two results in the units of the first, and the sum of their radii."""
    scale = np.ldexp(1.0, (b.exponent - a.exponent).astype(int))
    apart = np.sqrt(((b.W * scale[:, :, None] - a.W) ** 2).sum(axis=2) + (b.V * scale - a.V) ** 2)
    return apart, a.radius + b.radius * scale


@pytest.mark.parametrize("loss", ["exponential", "logistic", "logistic2", "squared"])
@pytest.mark.parametrize("log_eps", [-25.0, -80.0])
def test_agrees_with_the_engine_and_finds_the_same_kinks(loss: str, log_eps: float) -> None:
    problem = problem_of(3, lanes=4, loss=loss, log_eps=log_eps)
    early = early_phase(problem, until=3.0)
    assert (early.t > 0).all()
    engine = integrate(problem, until=early.t)
    apart, allowed = distance(early, engine)
    assert (apart <= allowed).all()
    size = np.sqrt((early.W**2).sum(axis=2) + early.V**2)
    assert (early.radius <= 1e-9 * size).all()
    assert [(k.lane, k.neuron, k.point, k.active) for k in early.kinks] == [
        (k.lane, k.neuron, k.point, k.active) for k in engine.kinks
    ]
    for a, b in zip(early.kinks, engine.kinks, strict=True):
        assert abs(a.t - b.t) <= a.t_error + b.t_error
        assert a.zdot_after == pytest.approx(b.zdot_after, rel=1e-6)
    signs = np.matmul(early.W, problem.X.T) > 0
    moving = early.mask.any(axis=2)
    assert (early.mask == signs)[moving].all()


def errors(problem: FlowProblem, early: EarlyPhase, lane: int) -> Any:
    """(h,) true errors of the states, from a reference with 128 bits."""
    path = solve(problem, float(early.t[lane]), lane=lane)
    assert path.status == "ok"
    W, V, _ = path.at(path.end)
    out = np.zeros(problem.shape[2])
    with ctx.workprec(192):
        for j, (w, v) in enumerate(zip(W, V, strict=True)):
            unit = arb((1, int(early.exponent[lane, j])))
            gaps = [arb(float(a)) - b / unit for a, b in zip(early.W[lane, j], w, strict=True)]
            gaps.append(arb(float(early.V[lane, j])) - v / unit)
            out[j] = float(sum((g * g for g in gaps), arb(0)).sqrt().abs_upper())
    flips = [(f.neuron, f.point) for f in path.flips]
    assert flips == [(k.neuron, k.point) for k in early.kinks if k.lane == lane]
    return out


def test_error_bound_holds_and_is_not_vacuous() -> None:
    ratios: list[float] = []
    for seed, log_eps, tolerance in (
        (0, -30.0, 1e-13),
        (1, -34.0, 1e-10),
        (2, -15.0, 1e-6),
        (3, -400.0, 1e-13),
    ):
        problem = problem_of(seed, log_eps=log_eps, n=4, d=2)
        early = early_phase(problem, until=2.0, tolerance=tolerance)
        assert (early.t > 0).any()
        for lane in np.flatnonzero(early.t > 0):
            true = errors(problem, early, int(lane))
            assert (true <= early.radius[lane]).all()
            ratios += list((early.radius[lane] / true)[true > 0])
    assert len(ratios) >= 20
    assert np.median(ratios) < 300.0


@given(
    seed=st.integers(0, 10**6),
    log_eps=st.floats(-600.0, -20.0),
    until=st.floats(0.01, 6.0),
    lean=st.floats(-2, 2),
)
def test_stays_within_its_bound_from_unbalanced_starts(
    seed: int, log_eps: float, until: float, lean: float
) -> None:
    """|v| < |w| as well: v changes its sign, and a neuron turns back to the kink that it has crossed."""
    rng = np.random.default_rng(seed)
    W0 = rng.standard_normal((2, 3, 2))
    v0 = lean * rng.standard_normal((2, 3))
    problem = FlowProblem(
        X=rng.standard_normal((4, 2)), y=np.array([1.0, -1.0, 1.0, 1.0]), loss="logistic2", weight=0.5,
        W0=W0, v0=v0, log_eps=np.full(2, log_eps),
    )  # fmt: skip
    early = early_phase(problem, until=until)
    engine = integrate(problem, until=early.t)
    apart, allowed = distance(early, engine)
    assert (apart <= allowed)[engine.ok].all()
    for lane in np.flatnonzero(engine.ok):
        # a kink at the very end may belong to either side
        own = [k for k in early.kinks if k.lane == lane]
        assert len(own) == len(engine.kinks_of(int(lane)))


@given(
    seed=st.integers(0, 10**6),
    log_eps=st.floats(-12.0, -1.0),
    until=st.floats(0.05, 3.0),
    tolerance=st.floats(-9.0, -3.0),
    loss=st.sampled_from(["exponential", "logistic", "logistic2", "squared"]),
)
def test_outputs_that_are_not_negligible_are_followed_within_the_bound(
    seed: int, log_eps: float, until: float, tolerance: float, loss: str
) -> None:
    problem = problem_of(seed, h=6, loss=loss, log_eps=log_eps)
    early = early_phase(problem, until=until, tolerance=10.0**tolerance)
    engine = integrate(problem, until=early.t)
    apart, allowed = distance(early, engine)
    assert (apart <= allowed)[engine.ok].all()
    for lane in np.flatnonzero(engine.ok):
        own = [(k.neuron, k.point) for k in early.kinks if k.lane == lane]
        assert own == [(k.neuron, k.point) for k in engine.kinks_of(int(lane))]


def test_errors_are_of_second_order_in_the_length_of_windows() -> None:
    """A tenth of the tolerance: windows a tenth as long, and errors of about a hundredth."""
    problem = separable(5, n=12, d=6, h=30, lanes=3, log_eps=-10.5)
    errors, windows = [], []
    for tolerance in (1e-7, 1e-8):
        early = early_phase(problem, until=0.05, tolerance=tolerance)
        assert (early.t == 0.05).all() and len(early.kinks) > 300
        apart, allowed = distance(early, integrate(problem, until=early.t))
        assert (apart <= allowed).all()
        errors.append(float(np.median(apart)))
        windows.append(int(early.windows.sum()))
    assert 3 < windows[1] / windows[0] < 30
    assert errors[1] < errors[0] / 20


def test_kink_time_is_the_root_of_a_quadratic() -> None:
    """w = (cosh t - a sinh t, 1/2) meets <w, (-1, 1)> = 0."""
    problem = FlowProblem.balanced(
        X=[[1.0, 0.0], [-1.0, 1.0]], y=[1.0, -1.0], loss="logistic2", weight=1.0, W0=[[[1.0, 0.5]]],
        signs=[-1.0], log_eps=-4e5,
    )  # fmt: skip
    early = early_phase(problem, until=0.7)
    a = np.sqrt(1.25)
    exact = np.log((1 - np.sqrt(1 + 4 * (a * a - 1))) / (2 * (1 - a)))
    (kink,) = early.kinks
    assert (kink.neuron, kink.point, kink.active) == (0, 1, True)
    assert abs(kink.t - exact) <= kink.t_error < 1e-13
    assert early.t[0] == 0.7


def test_nothing_depends_on_the_size_of_eps() -> None:
    W0 = np.repeat(problem_of(1, lanes=1).W0, 2, axis=0)
    problem = separable(
        1, lanes=2, W0=W0, signs=[1.0, -1.0, 1.0, 1.0], log_eps=np.array([-1e6, -9e5])
    )
    early = early_phase(problem, until=40.0)
    np.testing.assert_array_equal(early.t, 40.0)
    np.testing.assert_array_equal(early.W[0], early.W[1])
    np.testing.assert_array_equal(early.exponent[0], early.exponent[1])
    np.testing.assert_array_equal(early.radius[0], early.radius[1])
    # 4e4 time units at a rate of order one: exponents leave the range of float64 many times over
    later = early_phase(problem, until=1e4)
    assert later.exponent.max() > 5000
    assert np.isfinite(later.W).all()


def test_goes_further_when_more_error_is_allowed_and_never_beyond_the_end() -> None:
    problem = separable(2, log_eps=-20.0)
    strict, loose = (early_phase(problem, until=50.0, tolerance=tol) for tol in (1e-13, 1e-6))
    assert (strict.t < loose.t).all() and (loose.t < 50.0).all()
    engine = integrate(problem, until=loose.t)
    apart, allowed = distance(loose, engine)
    assert (apart <= allowed).all()
    # the neglected forces are there to be seen
    assert (apart > engine.radius).any()


def test_what_is_no_early_phase_is_left_to_the_engine() -> None:
    large = problem_of(0, log_eps=0.0)
    assert (early_phase(large, until=1.0).t == 0).all()
    on_kink = problem_of(
        0, lanes=1, X=[[1.0, 0.0], [0.0, 1.0]], y=[1.0, -1.0], W0=[[[1.0, 0.0]]], signs=[1.0]
    )
    early = early_phase(on_kink, until=1.0)
    assert early.t[0] == 0 and not early.mask.any()
    # both sides of the kink push back: the early phase ends before it, as the engine says
    sliding = problem_of(
        0,
        lanes=1,
        X=[[1.0, 0.2], [0.0, 1.0]],
        y=[1.0, -1.0],
        W0=[[[0.5, -0.1]]],
        signs=[1.0],
        log_eps=-50.0,
    )
    engine = integrate(sliding, until=5.0)
    early = early_phase(sliding, until=5.0)
    assert engine.status[0].name == "sliding"
    assert 0 < early.t[0] < engine.t[0]


def test_neurons_at_rest_stay() -> None:
    """A neuron without active points does not move; one that loses its last point stops on the kink."""
    problem = problem_of(
        0,
        lanes=1,
        X=[[1.0, 0.0]],
        y=[1.0],
        W0=[[[-1.0, 0.3], [0.2, 1.0]]],
        signs=[1.0, -1.0],
        log_eps=-90.0,
    )
    early = early_phase(problem, until=5.0)
    assert early.t[0] == 5.0
    np.testing.assert_array_equal(early.W[0, 0], [-1.0, 0.3])
    (kink,) = early.kinks
    assert (kink.neuron, kink.active) == (1, False)
    assert abs(early.W[0, 1, 0]) <= early.radius[0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"until": -1.0}, "until must be"),
        ({"until": [1.0, 2.0]}, "until has shape"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": 0.1}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
    ],
)
def test_bad_input(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        early_phase(problem_of(0), **{"until": 1.0, **changes})
