"""The error bound covers the true error, and is not absurdly larger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from numerics import FlowOptions, FlowProblem, FlowResult, FlowStatus, integrate
from numerics.components import Components, connect, regroup


def random_case(seed: int) -> tuple[FlowProblem, float]:
    """Small problems of every loss, balanced and not, separable and not (those may slide)."""
    rng = np.random.default_rng(seed)
    n, d, h = rng.integers(1, 7), rng.integers(2, 5), rng.integers(1, 6)
    loss = str(rng.choice(["exponential", "logistic2", "logistic", "squared"]))
    y = rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, d))
    if rng.random() < 0.6:
        X = y[:, None] * np.abs(X)
    if loss == "squared":
        y = y * rng.uniform(0.2, 2.0, n)
    until = rng.uniform(0.1, 20.0) / (np.linalg.norm(X, axis=1).max() + 0.1)
    weight = 1.0 if rng.random() < 0.5 else 1.0 / n
    W0 = rng.standard_normal((1, h, d))
    signs = rng.choice([-1.0, 1.0], (1, h))
    log_eps = np.array([-rng.uniform(0.0, 14.0)])
    if rng.random() < 0.3:
        v0 = rng.standard_normal((1, h))
        return FlowProblem(X, y, loss, weight, W0, v0, log_eps), until
    return FlowProblem.balanced(
        X=X, y=y, loss=loss, weight=weight, W0=W0, signs=signs, log_eps=log_eps
    ), until


def error_and_bound(problem: FlowProblem, result: FlowResult, ref: Any) -> tuple[Any, Any, Any]:
    """Per neuron: true error, bound, size, in true units (extended precision)."""
    scale = np.exp(np.longdouble(problem.log_eps[0])) * np.longdouble(2) ** result.exponent[0]
    dw = result.W[0].astype(np.longdouble) * scale[:, None] - ref.w
    dv = result.V[0] * scale - ref.v
    error = np.sqrt((dw * dw).sum(axis=1) + dv * dv)
    return error, result.radius[0] * scale, np.sqrt((ref.w**2).sum(axis=1) + ref.v**2)


def run(seed: int, options: FlowOptions | None = None) -> tuple[FlowProblem, FlowResult]:
    """Integrate a random case; where it slides, to shortly before."""
    problem, until = random_case(seed)
    result = integrate(problem, until=until, options=options)
    if result.status[0] is FlowStatus.sliding:
        result = integrate(problem, until=result.t[0] * (1 - 1e-4), options=options)
    return problem, result


def test_bound_covers_the_error_of_random_cases(reference: Any) -> None:
    ratios, relative = [], []
    for seed in range(40):
        problem, result = run(seed)
        ref = reference(problem, float(result.t[0]))
        error, bound, size = error_and_bound(problem, result, ref)
        assert np.all(error <= bound), seed
        assert len(ref.kinks) == len(result.kinks), seed
        for kink, (t, j, i) in zip(result.kinks, ref.kinks, strict=True):
            assert (kink.neuron, kink.point) == (j, i)
            assert abs(kink.t - t) <= kink.t_error, (seed, kink)
        ratios.append(np.median(bound / np.maximum(error, 1e-20 * size)))
        relative.append((bound / size).max())
    # The bound is worst-case rounding: about a hundred times the error, and still small.
    assert np.median(ratios) < 1e3
    assert np.median(relative) < 1e-11 and np.max(relative) < 1e-6


@given(seed=st.integers(10_000, 2**31))
def test_bound_covers_the_error(reference: Any, seed: int) -> None:
    problem, result = run(seed)
    if result.t[0] == 0.0:
        return
    error, bound, _ = error_and_bound(problem, result, reference(problem, float(result.t[0])))
    assert np.all(error <= bound)


@pytest.mark.parametrize("options", [FlowOptions(rtol=1e-6), FlowOptions(order=8, rtol=1e-8)])
def test_bound_covers_the_error_of_coarse_tolerances(reference: Any, options: FlowOptions) -> None:
    """Here the truncation error dominates the rounding error."""
    decided = 0
    for seed in range(25):
        problem, result = run(seed, options)
        if not np.isfinite(result.radius).all() or result.status[0] is not FlowStatus.ok:
            continue
        error, bound, size = error_and_bound(
            problem, result, reference(problem, float(result.t[0]))
        )
        assert np.all(error <= bound), seed
        decided += bool((bound < 1e-2 * size).all())
    assert decided >= 15


def test_coarse_radius_is_larger_than_the_distance_to_the_fine_solution() -> None:
    for seed in range(10):
        problem, coarse = run(seed, FlowOptions(order=8, rtol=1e-7))
        if coarse.status[0] is not FlowStatus.ok:
            continue
        fine = integrate(problem, until=coarse.t)
        shift = (fine.exponent - coarse.exponent).astype(int)
        dw = np.ldexp(fine.W, shift[:, :, None]) - coarse.W
        dv = np.ldexp(fine.V, shift) - coarse.V
        gap = np.sqrt((dw**2).sum(axis=2) + dv**2)
        assert np.all(gap <= coarse.radius + np.ldexp(fine.radius, shift))


def test_dense_output_is_covered_inside_the_steps(reference: Any) -> None:
    problem, until = random_case(3)
    views: list[Any] = []

    class Keep:
        def on_step(self, step: Any) -> None:
            views.append(step)

    integrate(problem, until=until, observers=[Keep()])
    for step in views[:: max(1, len(views) // 6)]:
        times, W, V = step.states(4)
        scale = np.exp(np.longdouble(problem.log_eps[0])) * np.longdouble(2) ** step.exponent[0]
        for m in range(4):
            if times[0, m] == 0:
                continue
            ref = reference(problem, float(times[0, m]))
            dw = W[0, m].astype(np.longdouble) * scale[:, None] - ref.w
            dv = V[0, m] * scale - ref.v
            error = np.sqrt((dw * dw).sum(axis=1) + dv * dv)
            assert np.all(error <= step.radius[0] * scale)
            total = np.sqrt((error**2).sum())
            top = np.longdouble(2) ** step.exponent[0].max()
            unit = np.exp(np.longdouble(problem.log_eps[0])) * top
            assert total <= step.global_radius[0] * unit


def dop853(problem: FlowProblem, until: float) -> Any:
    """scipy's DOP853, stopped at every kink by terminal events and restarted."""
    X, y = problem.X, problem.y
    n, d, h = problem.shape
    eps = np.exp(problem.log_eps[0])
    state = np.concatenate([(problem.W0[0] * eps).ravel(), problem.v0[0] * eps])
    mask = problem.W0[0] @ X.T > 0
    t, kinks = 0.0, 0

    def rhs(_: float, u: Any) -> Any:
        w, v = u[: h * d].reshape(h, d), u[h * d :]
        z = w @ X.T
        g = problem.weight * y * np.exp(-y * (v @ (mask * z)))
        G = (mask * g) @ X
        return np.concatenate([(v[:, None] * G).ravel(), (G * w).sum(axis=1)])

    while t < until:
        events = []
        for j in range(h):
            for i in range(n):

                def event(_: float, u: Any, j: int = j, i: int = i) -> float:
                    return float(u[j * d : (j + 1) * d] @ X[i])

                event.terminal = True  # type: ignore[attr-defined]
                event.direction = -1.0 if mask[j, i] else 1.0  # type: ignore[attr-defined]
                events.append(event)
        out = solve_ivp(
            rhs, (t, until), state, method="DOP853", rtol=1e-13, atol=1e-16 * eps, events=events
        )
        t, state = float(out.t[-1]), out.y[:, -1]
        hit = [k for k, times in enumerate(out.t_events) if times.size]
        if out.status == 1:
            mask[hit[0] // n, hit[0] % n] ^= True
            kinks += 1
    return state[: h * d].reshape(h, d), state[h * d :], kinks


def test_agrees_with_scipy_restarted_at_every_kink() -> None:
    rng = np.random.default_rng(11)
    y = np.array([1.0, -1.0, 1.0, -1.0])
    problem = FlowProblem.balanced(
        X=y[:, None] * (np.abs(rng.standard_normal((4, 3))) + 0.1),
        y=y,
        loss="exponential",
        weight=1.0,
        W0=rng.standard_normal((1, 5, 3)),
        signs=rng.choice([-1.0, 1.0], 5),
        log_eps=-2.0,
    )
    result = integrate(problem, until=2.0)
    w, v, kinks = dop853(problem, 2.0)
    assert kinks == len(result.kinks) >= 5
    scale = np.exp(-2.0) * 2.0 ** result.exponent[0]
    np.testing.assert_allclose(result.W[0] * scale[:, None], w, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(result.V[0] * scale, v, rtol=1e-10, atol=1e-12)


@given(st.integers(0, 2**31))
def test_components_are_connected_and_separate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lanes, h, n = 3, int(rng.integers(1, 8)), int(rng.integers(1, 8))
    mask = rng.random((lanes, h, n)) < 0.25
    label = connect(mask)
    for lane in range(lanes):
        reach = np.eye(h, dtype=bool)
        touch = (mask[lane].astype(int) @ mask[lane].T.astype(int)) > 0
        for _ in range(h):
            reach = reach | (reach.astype(int) @ touch.astype(int) > 0)
        expected = [int(np.flatnonzero(reach[j])[0]) for j in range(h)]
        assert label[lane].tolist() == expected


def test_regrouping_adds_what_merges_and_keeps_what_splits() -> None:
    exponent = np.array([[3, 3, 0]])
    apart = Components.of(np.array([[0, 1, 1]]), exponent)
    together = Components.of(np.array([[0, 0, 0]]), exponent)
    top = np.array([[3.0, 4.0, 4.0]])
    merged = regroup(apart.label, apart.exponent, top, together)
    np.testing.assert_allclose(merged, [[5.0, 5.0, 5.0]])
    assert together.total(merged)[0] == pytest.approx(5.0)
    assert apart.total(top)[0] == pytest.approx(5.0)
    split = regroup(
        together.label, together.exponent, merged, Components.of(np.array([[0, 1, 2]]), exponent)
    )
    # the third part is measured in its own unit, 2**3 smaller
    np.testing.assert_allclose(split, [[5.0, 5.0, 40.0]])
