"""The reference of trajectories against closed forms in balls, against itself, and against scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from numerics import FlowProblem
from tests.numerics.reference_coverage import draw
from tests.numerics.reference_flow import FINE, Trajectory, solve
from tests.numerics.reference_quantities import NAMES, inner, suprema, values
from tests.quality.witness import flow

DIGITS = arb("1e-25")
PRECISION = 400


def problem(X: Any, y: Any, w: Any, v: Any, **changes: Any) -> FlowProblem:
    """One lane; at the default scale |f| is negligible."""
    return FlowProblem(
        X=X,
        y=y,
        loss=changes.pop("loss", "exponential"),
        weight=1.0,
        W0=np.array([w], dtype=float),
        v0=np.array([v], dtype=float),
        log_eps=np.array([changes.pop("log_eps", -400.0)]),
    )


def gap(a: Trajectory, b: Trajectory, t: float) -> arb:
    """Largest distance of a neuron's states, relative to the neuron."""
    with ctx.workprec(PRECISION):
        (Wa, Va, _), (Wb, Vb, _) = a.at(t), b.at(t)
        worst = arb(0)
        for wa, va, wb, vb in zip(Wa, Va, Wb, Vb, strict=True):
            size = inner(wb, wb) + vb * vb
            apart = [x - y for x, y in zip([*wa, va], [*wb, vb], strict=True)]
            worst = worst.max(arb((inner(apart, apart) / size).abs_upper()).sqrt())
        return worst


def test_constant_forces_give_hyperbolic_functions() -> None:
    """w = w_0 + u (p (cosh st - 1) + v_0 sinh st), with s u = y x and p = <u, w_0>."""
    x, w0, v0, t = [0.6, 0.8], [1.0, -0.25], 0.5, 7.0
    path = solve(problem([x], [1.0], [w0], [v0]), t)
    W, V, _ = path.at(t)
    with ctx.workprec(PRECISION):
        s = inner([arb(a) for a in x], [arb(a) for a in x]).sqrt()
        u = [arb(a) / s for a in x]
        p = inner(u, [arb(a) for a in w0])
        along = p * ((s * t).cosh() - 1) + v0 * (s * t).sinh()
        for value, start, direction in zip(W[0], w0, u, strict=True):
            assert abs(value - (start + direction * along)) < DIGITS * along
        assert abs(V[0] - (v0 * (s * t).cosh() + p * (s * t).sinh())) < DIGITS * along


def test_kinks_are_roots_of_a_quadratic() -> None:
    """w = (cosh t - a sinh t, 1/2) meets <w, (-1, 1)> = 0 where (1 - a) E^2 - E + (1 + a) = 0, E = e^t."""
    a = 1.25
    path = solve(
        problem([[1.0, 0.0], [-1.0, 1.0]], [1.0, -1.0], [[1.0, 0.5]], [-a], loss="logistic2"), 0.7
    )
    (flip,) = path.flips
    assert (flip.neuron, flip.point, flip.active) == (0, 1, True)
    with ctx.workprec(PRECISION):
        root = (arb(1) - (1 - 4 * (1 - arb(a)) * (1 + arb(a))).sqrt()) / (2 * (1 - arb(a)))
        assert abs(flip.t - root.log()) < DIGITS


@pytest.mark.parametrize("loss", ["squared", "exponential", "logistic2", "logistic"])
def test_one_neuron_along_one_point(loss: str) -> None:
    """f = |x| v^2 with f' = 2 |x| f g: a logistic curve, or a time that is an exponential integral."""
    x, norm, log_eps = [1.5, 2.0], 2.5, -1.0
    y, t = (0.75 if loss == "squared" else 1.0), 0.375
    path = solve(problem([x], [y], [[0.75, 1.0]], [1.25], loss=loss, log_eps=log_eps), t)
    f = values(path, t).f[0]
    with ctx.workprec(PRECISION):
        f0 = norm * 1.25**2 * (2 * arb(log_eps)).exp()
        if loss == "squared":
            time = ((f / f0) * (y - f0) / (y - f)).log() / (4 * norm * y)
        else:
            factor = {"exponential": 0, "logistic2": 2, "logistic": 1}[loss]
            time = f.ei() - f0.ei() if not factor else ((f / f0).log() + f.ei() - f0.ei()) / factor
            time /= 2 * norm
        assert abs(time - t) < DIGITS


@pytest.mark.parametrize("seed", [3, 6, 10, 16, 20])
def test_more_digits_and_a_higher_degree_agree(seed: int) -> None:
    case = draw(seed)
    until = float(case.until[0])
    coarse, fine = solve(case.problem, until), solve(case.problem, until, setting=FINE)
    assert coarse.status == fine.status
    assert gap(coarse, fine, min(coarse.end, fine.end) * 0.999) < DIGITS
    assert [(k.neuron, k.point) for k in coarse.flips] == [(k.neuron, k.point) for k in fine.flips]
    for a, b in zip(coarse.flips, fine.flips, strict=True):
        assert abs(a.t - b.t) < DIGITS * max(until, 1.0)


@pytest.mark.parametrize("loss", ["exponential", "logistic", "logistic2"])
def test_scipy_restarted_at_every_kink_agrees(loss: str) -> None:
    rng = np.random.default_rng(11)
    y = np.array([1.0, -1.0, 1.0, -1.0])
    X = y[:, None] * (np.abs(rng.standard_normal((4, 3))) + 0.1)
    W0, v0 = rng.standard_normal((5, 3)), rng.standard_normal(5)
    path = solve(problem(X, y, W0, v0, loss=loss, log_eps=-2.0), 2.0)
    assert path.status == "ok" and len(path.flips) >= 5
    W, v = flow(X, y, W0, v0, eps=np.exp(-2.0), until=2.0, loss=loss)
    exact_w, exact_v, _ = path.at(2.0)
    np.testing.assert_allclose(W, [[float(x) for x in w] for w in exact_w], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(v, [float(x) for x in exact_v], rtol=1e-7, atol=1e-8)


def test_what_is_not_a_simple_kink_is_named() -> None:
    slides = solve(problem([[1.0, 0.3], [0.0, 1.0]], [1.0, -1.0], [[1.0, -0.5]], [2.0]), 5.0)
    assert slides.status == "sliding" and 0 < slides.end < 5
    # 5 cosh t - 3 sinh t touches 4; a hair above it comes near, a hair below crosses
    X, y = [[1.0, 0.0], [-1.0, 1.0]], [1.0, -1.0]
    touches = solve(problem(X, y, [[5.0, 4.0]], [-3.0]), 2.0)
    assert touches.status == "unknown" and abs(touches.end - np.arctanh(0.6)) < 0.5
    apart = solve(problem(X, y, [[5.0, 4.0 - 1e-6]], [-3.0]), 2.0)
    assert apart.status == "ok" and apart.flips == []
    starts = solve(problem([[1.0, 0.3], [0.0, 0.1]], [1.0, 1.0], [[1.0, 0.0]], [1.0]), 1.0)
    assert starts.status == "unknown" and starts.end == 0.0
    twins = [[1.0, 0.0], [-1.0, 1.0], [-2.0, 2.0]]
    together = solve(problem(twins, [1.0, -1.0, -1.0], [[1.0, 0.5]], [-1.25]), 0.9)
    assert together.status == "unknown" and "two kinks" in together.reason


@pytest.mark.parametrize("seed", [3, 10, 25])
def test_suprema_are_reached_and_not_exceeded(seed: int) -> None:
    case = draw(seed)
    path = solve(case.problem, float(case.until[0]))
    found = suprema(path)
    assert set(found) == set(NAMES)
    for name, (value, time) in found.items():
        assert abs(values(path, time).of(name) - value) < arb("1e-10") * value
        for t in np.linspace(0.0, path.end, 40):
            assert not values(path, float(t)).of(name) > value * (1 + arb("1e-18"))
