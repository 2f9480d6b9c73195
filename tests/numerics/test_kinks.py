"""Kinks that are not simple: sliding, nonunique, grazing, simultaneous, on the kink at the start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numerics import FlowProblem, FlowResult, FlowStatus, integrate

EARLY = -400.0  # |f| is negligible


def flow(
    X: Any, y: Any, w: Any, v: Any, until: float, loss: str = "exponential", **changes: Any
) -> FlowResult:
    """One lane from weights w: (h, d) and v: (h,)."""
    problem = FlowProblem(
        X=np.array(X, dtype=float),
        y=np.array(y, dtype=float),
        loss=loss,
        weight=changes.pop("weight", 1.0),
        W0=np.array([w], dtype=float),
        v0=np.array([v], dtype=float),
        log_eps=np.array([changes.pop("log_eps", EARLY)]),
    )
    return integrate(problem, until=until, **changes)


def test_kinks_facing_each_other_slide() -> None:
    """x_1 pushes w up to the kink of x_2, and x_2, once active, pushes it back down.

    Up to the hit w moves along x_1 by a combination of cosh and sinh.
    """
    x1 = np.array([1.0, 0.3])
    w, v = np.array([1.0, -0.5]), 2.0
    result = flow([x1, [0.0, 1.0]], [1.0, -1.0], [w], [v], until=5.0)
    assert result.status == (FlowStatus.sliding,)
    assert "neuron 0, point 1" in result.reason[0]
    s = np.linalg.norm(x1)
    unit = x1 / s
    p, t = unit @ w, result.t[0]
    height = w[1] + unit[1] * (p * (np.cosh(s * t) - 1) + v * np.sinh(s * t))
    assert abs(height) < 1e-14
    assert result.kinks == ()


def test_sliding_of_one_lane_leaves_the_others_alone() -> None:
    X, y = np.array([[1.0, 0.3], [0.0, 1.0]]), np.array([1.0, -1.0])
    W0 = np.array([[[1.0, -0.5]], [[1.0, -50.0]]])
    problem = FlowProblem(
        X=X,
        y=y,
        loss="exponential",
        weight=1.0,
        W0=W0,
        v0=np.array([[2.0], [2.0]]),
        log_eps=np.full(2, EARLY),
    )
    result = integrate(problem, until=1.0)
    assert result.status == (FlowStatus.sliding, FlowStatus.ok)
    assert result.t[0] < 1.0 == result.t[1]


def test_start_on_a_kink_with_two_ways_out_is_nonunique() -> None:
    result = flow([[1.0, -0.3], [0.0, 1.0]], [1.0, 1.0], [[1.0, 0.0]], [1.0], until=1.0)
    assert result.status == (FlowStatus.nonunique,) and result.t[0] == 0.0
    assert "point 1" in result.reason[0]


@pytest.mark.parametrize(("slope", "active"), [(0.3, True), (-0.3, False)])
def test_start_on_a_kink_with_one_way_out(slope: float, active: bool) -> None:
    """x_2 adds 0.01 <x_2, x_2> at most, so the direction is that of <x_1, x_2>."""
    seen: list[Any] = []

    class Look:
        def on_step(self, step: Any) -> None:
            seen.append(step.mask[0, 0, 1])

    result = flow(
        [[1.0, slope], [0.0, 0.1]], [1.0, 1.0], [[1.0, 0.0]], [1.0], until=1.0, observers=[Look()]
    )
    assert result.ok.all() and result.kinks == ()
    assert all(bool(bit) is active for bit in seen)


def test_start_on_a_kink_of_second_order() -> None:
    """<w, x_2> = 0 and its first derivative -v w'..=0 vanish (v = 0); v' > 0 decides by d^2."""
    result = flow([[1.0, 0.3], [0.0, 0.1]], [1.0, 1.0], [[1.0, 0.0]], [0.0], until=1.0)
    assert result.ok.all(), result.reason
    # both active from the start: G = x_1 + x_2, v = sinh-type, w along G
    G = np.array([1.0, 0.4])
    s = np.linalg.norm(G)
    p = G[0] / s
    exact = np.array([1.0, 0.0]) + G / s * p * (np.cosh(s) - 1)
    np.testing.assert_allclose(result.W[0, 0], exact, rtol=1e-12)


def test_a_neuron_that_loses_its_last_point_stops_there() -> None:
    """v < 0 and one positive point: w shrinks along x until <w, x> = 0, and stays."""
    x, w = np.array([1.0, 0.0]), np.array([1.0, 2.0])
    result = flow([x], [1.0], [w], [-np.sqrt(5.0)], until=50.0)
    assert result.ok.all()
    (kink,) = result.kinks
    # cosh t = sqrt(5) sinh t
    assert kink.t == pytest.approx(np.arctanh(1 / np.sqrt(5.0)), rel=1e-14)
    assert not kink.active and kink.zdot_before < 0 and kink.zdot_after == 0
    np.testing.assert_allclose(result.W[0, 0], [0.0, 2.0], atol=1e-14)
    np.testing.assert_allclose(result.V[0, 0], -2.0, rtol=1e-14)  # v^2 - w_1^2 = 5 - 1
    assert result.radius[0, 0] < 1e-13


@pytest.mark.parametrize("offset", [1e-3, 1e-7, 1e-9])
def test_touching_a_kink_closely(offset: float) -> None:
    """p(t) = 5 cosh t - 3 sinh t has the minimum 4; <w, x_2> = q - p(t) touches 0 at q = 4."""
    X, y, v = [[1.0, 0.0], [-1.0, 1.0]], [1.0, -1.0], [-3.0]
    apart = flow(X, y, [[5.0, 4.0 - offset]], v, until=2.0)
    assert apart.ok.all() and apart.kinks == ()
    crossing = flow(X, y, [[5.0, 4.0 + offset]], v, until=np.arctanh(0.6))
    (kink,) = crossing.kinks
    # 5 cosh t - 3 sinh t = 4 cosh(t - t_0) with tanh t_0 = 3/5
    exact = np.arctanh(0.6) - np.arccosh(1 + offset / 4)
    assert abs(kink.t - exact) <= kink.t_error + 1e-15 + 1e-16 / np.sqrt(offset)


def test_touching_a_kink_exactly_is_undecided() -> None:
    result = flow([[1.0, 0.0], [-1.0, 1.0]], [1.0, -1.0], [[5.0, 4.0]], [-3.0], until=2.0)
    assert result.status == (FlowStatus.grazing,)
    assert result.t[0] == pytest.approx(np.arctanh(0.6), abs=1e-6)


def separable(seed: int = 44) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    y = np.array([1.0, -1.0, 1.0])
    return {
        "X": y[:, None] * np.abs(rng.standard_normal((3, 3))),
        "y": y,
        "w": rng.standard_normal((5, 3)),
        "v": rng.standard_normal(5),
        "until": 8.0,
        "log_eps": -4.0,
    }


def test_duplicated_points_are_one_point_of_double_weight() -> None:
    case = separable()
    single = flow(**case, weight=1.0)
    case["X"], case["y"] = np.repeat(case["X"], 2, axis=0), np.repeat(case["y"], 2)
    double = flow(**case, weight=0.5)
    assert single.ok.all() and double.ok.all()
    assert len(single.kinks) > 4 and len(double.kinks) == 2 * len(single.kinks)
    bound = single.radius[0] + double.radius[0]
    gap = np.hypot(np.linalg.norm(single.W - double.W, axis=2), single.V - double.V)[0]
    assert np.all(gap <= bound)
    for first, second in zip(double.kinks[::2], double.kinks[1::2], strict=True):
        assert first.t == second.t and first.point // 2 == second.point // 2


def test_parallel_points_flip_together() -> None:
    """x, 3 x and -x/10: the kinks coincide, and the limit of nearly parallel points is the same."""
    case = separable()
    x = case["X"][0]
    case["X"] = np.vstack([case["X"], 3 * x, -0.1 * x])
    case["y"] = np.append(case["y"], [1.0, -1.0])
    exact = flow(**case)
    assert exact.ok.all(), exact.reason
    assert any(k.point == 3 for k in exact.kinks) and any(k.point == 4 for k in exact.kinks)
    times = {p: [(k.t, k.neuron) for k in exact.kinks if k.point == p] for p in (0, 3, 4)}
    assert times[0] == times[3] == times[4]
    bent = dict(case, X=case["X"] + 1e-7 * np.array([[0, 0, 0]] * 3 + [[1, 0, 0], [0, 1, 0]]))
    near = flow(**bent)
    assert near.ok.all(), near.reason
    np.testing.assert_allclose(near.W, exact.W, atol=1e-4)


def test_zero_points_do_nothing() -> None:
    case = separable()
    plain = flow(**case)
    case["X"] = np.vstack([case["X"], np.zeros(3)])
    case["y"] = np.append(case["y"], -1.0)
    padded = flow(**case)
    assert padded.ok.all() and [k.t for k in padded.kinks] == [k.t for k in plain.kinks]
    np.testing.assert_allclose(padded.W, plain.W, rtol=1e-11)


def test_zero_neurons_stay_zero() -> None:
    case = separable()
    case["w"][2], case["v"][2] = 0.0, 0.0
    result = flow(**case)
    assert result.ok.all()
    assert np.all(result.W[0, 2] == 0) and result.V[0, 2] == 0 and result.radius[0, 2] == 0


def test_many_kinks_meeting_are_refused_and_not_searched_for_ever() -> None:
    X = np.random.default_rng(0).standard_normal((9, 2))
    result = flow(X, np.ones(9), [[0.0, 0.0]], [1.0], until=1.0)
    assert result.status == (FlowStatus.nonunique,) and "kinks meet" in result.reason[0]


def test_a_point_orthogonal_to_everything_stays_off() -> None:
    """z = 0 for ever is consistent with off only; on would push (v y < 0) and is not consistent."""
    result = flow([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], [[1.0, 0.0]], [1.0], until=3.0)
    assert result.ok.all() and result.kinks == ()
    np.testing.assert_allclose(
        np.ldexp(result.W[0, 0], int(result.exponent[0, 0])), [np.exp(3.0), 0.0], rtol=1e-13
    )
