"""The integrator against closed forms in balls, its order, and what must come out the same.

Values are compared with their own error bounds, so that the bounds are part of what is tested.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from numerics import FlowOptions, FlowProblem, FlowResult, StepView, integrate
from tests.numerics.reference_coverage import draw
from tests.numerics.reference_quantities import PRECISION, inner

Vector = list[arb]


def vector(values: Any) -> Vector:
    """Floats as exact balls."""
    return [arb(float(x)) for x in values]


def frozen(start: Any, v0: float, force: Vector, t: arb) -> tuple[Vector, arb]:
    """w' = v G, v' = <G, w> with a constant G: hyperbolic functions of |G| t."""
    s = inner(force, force).sqrt()
    unit = [x / s for x in force]
    w0 = vector(start)
    p = inner(unit, w0)
    along = p * ((s * t).cosh() - 1) + v0 * (s * t).sinh()
    return [a + along * u for a, u in zip(w0, unit, strict=True)], v0 * (s * t).cosh() + p * (
        s * t
    ).sinh()


def assert_within(result: FlowResult, lane: int, j: int, w: Vector, v: arb, most: float) -> None:
    """A neuron's state (divided by eps) is within its radius, which is at most ``most`` of the neuron."""
    unit = arb((1, -int(result.exponent[lane, j])))
    gap = [arb(float(a)) - b * unit for a, b in zip(result.W[lane, j], w, strict=True)]
    gap.append(arb(float(result.V[lane, j])) - v * unit)
    size = (inner(w, w) + v * v).sqrt() * unit
    radius = float(result.radius[lane, j])
    assert arb(inner(gap, gap).abs_upper()).sqrt() <= radius
    assert radius <= most * size


# --- the early phase -------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31))
def test_the_frozen_phase_is_hyperbolic_and_its_kinks_are_roots(seed: int) -> None:
    """One neuron on x_1 alone reaches <w, x_2> = 0 where a e^{st} + b e^{-st} + c = 0."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 5))
    X, w0 = rng.standard_normal((2, d)), rng.standard_normal(d)
    X[0] *= np.sign(X[0] @ w0)
    X[1] *= -np.sign(X[1] @ w0)
    v0 = float(rng.standard_normal())
    problem = FlowProblem(
        X,
        rng.choice([-1.0, 1.0], 2),
        "logistic2",
        1.0,
        w0[None, None],
        np.array([[v0]]),
        np.array([-500.0]),
    )
    with ctx.workprec(PRECISION):
        force = [x * float(problem.y[0]) for x in vector(X[0])]
        s = inner(force, force).sqrt()
        roots: list[arb] = []
        for x in X:  # both kinks: the first of them changes the pattern
            u = inner(force, vector(x)) / s
            p, q = inner(force, vector(w0)) / s, inner(vector(x), vector(w0))
            # <w, x> = q + u (p (cosh - 1) + v0 sinh) = a E + b / E + c
            a, b, c = u * (p + v0) / 2, u * (p - v0) / 2, q - u * p
            root = c * c - 4 * a * b
            if root > 0:
                for sign in (-1, 1):
                    grown = (-c + sign * root.sqrt()) / (2 * a)
                    if grown > 1:
                        roots.append(grown.log() / s)
        first = min(roots, key=lambda x: float(x.mid())) if roots else None
        until = 4.0 / float(s) if first is None else float(first.mid()) * (1 + 2.0**-30)
        if first is not None and (
            sum(abs(r - first) < 1e-3 for r in roots) > 1 or until > 30.0 / float(s)
        ):
            return
        result = integrate(problem, until=until)
        if first is None:
            assert result.ok.all() and result.kinks == ()
            w, v = frozen(w0, v0, force, arb(until))
            assert_within(result, 0, 0, w, v, 1e-10)
        elif result.kinks:
            assert abs(result.kinks[0].t - first) <= result.kinks[0].t_error
            assert result.kinks[0].t_error < 1e-6
        else:  # the kink slides, and says where
            assert abs(float(result.t[0]) - first) <= 1e-10 * until and not result.ok[0]


@pytest.mark.parametrize("log_eps", [-60.0, -690.0, -1e5])
def test_several_neurons_in_the_early_phase(log_eps: float) -> None:
    """Neurons do not act on each other yet: each has its own force, the sum of its active points."""
    rng = np.random.default_rng(3)
    y = np.array([1.0, -1.0, 1.0])
    X = y[:, None] * (np.abs(rng.standard_normal((3, 3))) + 0.1)
    # inside the cones where all points of one label are active: no kinks ahead
    W0 = np.abs(rng.standard_normal((1, 4, 3))) * np.array([1.0, -1.0, 1.0, -1.0])[:, None]
    v0 = np.array([[0.5, -0.75, 1.25, -0.25]])
    problem = FlowProblem(X, y, "exponential", 0.5, W0, v0, np.array([log_eps]))
    result = integrate(problem, until=6.0)
    assert result.ok.all() and result.kinks == ()
    with ctx.workprec(PRECISION):
        for j, label in enumerate((1.0, -1.0, 1.0, -1.0)):
            rows = [vector(0.5 * label * x) for x in X[y == label]]
            force = [sum(column, start=arb(0)) for column in zip(*rows, strict=True)]
            w, v = frozen(W0[0, j], float(v0[0, j]), force, arb(6))
            assert_within(result, 0, j, w, v, 1e-12)


# --- beyond the early phase -------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared", "exponential", "logistic2", "logistic"])
@pytest.mark.parametrize("log_eps", [-1.0, -80.0])
def test_one_neuron_along_one_point(loss: str, log_eps: float) -> None:
    """f = |x| v^2, f' = 2 |x| f g: a logistic curve, or a time that is an exponential integral of f."""
    norm, v0, weight = 2.5, 1.25, 0.5
    y = 0.75 if loss == "squared" else 1.0
    problem = FlowProblem(
        np.array([[1.5, 2.0]]), np.array([y]), loss, weight, np.array([[[0.75, 1.0]]]), np.array([[v0]]),
        np.array([log_eps]),
    )  # fmt: skip
    until = 1.0 - log_eps * {"logistic": 1.6, "squared": 0.53}.get(loss, 0.8)
    result = integrate(problem, until=until)
    assert result.ok.all()
    with ctx.workprec(PRECISION):
        eps2 = (2 * arb(log_eps)).exp()
        f0 = norm * arb(v0) ** 2 * eps2
        unit = arb((1, int(result.exponent[0, 0])))
        low, high = (
            (arb(float(result.V[0, 0])) + s * arb(float(result.radius[0, 0]))) * unit
            for s in (-1, 1)
        )
        times = []
        for v in (low, high):
            f = norm * v * v * eps2
            if loss == "squared":
                time = ((f / f0) * (y - f0) / (y - f)).log() / (2 * y)
            else:
                factor = {"exponential": 0, "logistic2": 2, "logistic": 1}[loss]
                time = (
                    f.ei() - f0.ei() if not factor else ((f / f0).log() + f.ei() - f0.ei()) / factor
                )
            times.append(time / (2 * norm * weight))
        # f grows, so that the ends of the bound are reached before and after the end time
        assert times[0] <= until <= times[1]
        assert high - low <= 1e-10 * high


def test_linear_networks_with_spectral_initialisation() -> None:
    """Two classes in orthogonal planes, whitened, all neurons along X^T y: each class is a logistic curve.

    With X_c^T X_c = 2 I, unit b along X_c^T y and w_j = |v_j| b the class is the linear network f = a <b, x>,
    a = sum_j v_j^2, a' = 2 a (2 weight) (|X^T y| - 2 a): every neuron grows by the same factor, however many there are.
    """
    r = 1.0
    X = np.array([[r, r, 0, 0], [r, -r, 0, 0], [0, 0, -r, r], [0, 0, -r, -r]])
    y = np.array([1.5, 1.5, -0.5, -0.5])
    sizes, weight, log_eps, until = np.array([0.5, 1.25, 0.75, 1.0]), 0.25, -4.0, 14.0
    W0 = np.zeros((1, 4, 4))
    W0[0, :2, 0], W0[0, 2:, 2] = sizes[:2], -sizes[2:]
    v0 = sizes * np.array([1.0, 1.0, -1.0, -1.0])
    # <w_j, x> > 0 on the own class, and 0 on the other, where the point is orthogonal for ever
    problem = FlowProblem(X, y, "squared", weight, W0, v0[None], np.array([log_eps]))
    keep: list[StepView] = []

    class Keep:
        def on_step(self, step: StepView) -> None:
            keep.append(step)

    result = integrate(problem, until=until, observers=[Keep()])
    assert result.ok.all() and result.kinks == ()
    assert all(bool(step.mask[:, :2, :2].all() and step.mask[:, 2:, 2:].all()) for step in keep)
    with ctx.workprec(PRECISION):
        eps2 = (2 * arb(log_eps)).exp()
        for rows, label in (((0, 1), 1.5), ((2, 3), 0.5)):
            start = eps2 * sum((arb(float(sizes[j])) ** 2 for j in rows), start=arb(0))
            # |X^T y| = 2 label, and a -> label
            top, rate = arb(label), arb(2 * 2 * weight * 2 * label)
            a = top / (1 + (top / start - 1) * (-rate * until).exp())
            growth = (a / start).sqrt()
            for j in rows:
                w = [growth * x for x in vector(W0[0, j])]
                assert_within(result, 0, j, w, growth * float(v0[j]), 1e-11)
        f = values_at_end(problem, result)
        np.testing.assert_allclose(f, y, rtol=0.05)


def values_at_end(problem: FlowProblem, result: FlowResult) -> Any:
    """(n,) outputs at the end of lane 0."""
    scale = np.exp(problem.log_eps[0]) * 2.0 ** result.exponent[0]
    return np.maximum(problem.X @ (result.W[0] * scale[:, None]).T, 0.0) @ (result.V[0] * scale)


@pytest.mark.parametrize("order", [4, 6, 8])
def test_order_of_the_method_on_a_logistic_curve(order: int) -> None:
    """f runs through the middle of the curve, where the forces change most."""
    problem = FlowProblem(
        np.array([[0.6, 0.8]]), np.array([1.0]), "squared", 1.0, np.array([[[0.6, 0.8]]]), np.array([[1.0]]),
        np.array([-1.0]),
    )  # fmt: skip
    start = np.exp(-2.0)
    exact = 1.0 / (1.0 + (1.0 / start - 1.0) * np.exp(-4.0))
    errors = []
    for step in (0.125, 0.0625):
        result = integrate(problem, until=1.0, options=FlowOptions(order=order, fixed_step=step))
        assert result.steps[0] == 1.0 / step
        errors.append(abs(values_at_end(problem, result)[0] - exact))
    assert errors[1] > 1e-15
    assert order - 0.3 < np.log2(errors[0] / errors[1]) < order + 0.9


# --- what must come out the same ----------------------------------------------------------------


def same(a: FlowResult, b: FlowResult) -> None:
    """Bit for bit."""
    for name in ("t", "W", "V", "exponent", "radius", "steps", "drift", "evaluations"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.status == b.status and a.reason == b.reason and a.kinks == b.kinks


@given(seed=st.integers(0, 2**31))
def test_runs_repeat_themselves_and_nobody_disturbs_them(seed: int) -> None:
    """Again, watched, and next to other lanes."""
    case = draw(seed, lanes=2, longest=20.0)

    class Watch:
        def on_step(self, step: StepView) -> None:
            step.states(3)

    first = integrate(case.problem, until=case.until)
    same(first, integrate(case.problem, until=case.until))
    same(first, integrate(case.problem, until=case.until, observers=[Watch()]))
    alone = integrate(case.problem.select([1]), until=case.until[1:])
    np.testing.assert_array_equal(alone.W[0], first.W[1])
    np.testing.assert_array_equal(alone.radius[0], first.radius[1])
    assert [replace(k, lane=1) for k in alone.kinks] == list(first.kinks_of(1))


@given(seed=st.integers(0, 2**31))
def test_the_balance_is_conserved_within_the_radius(seed: int) -> None:
    """v_j^2 - |w_j|^2 stays what it was, at every step, to within what the radius leaves open."""
    case = draw(seed, longest=30.0)
    W0, v0 = case.problem.W0[0], case.problem.v0[0]
    start = v0**2 - (W0**2).sum(axis=1)
    seen = 0

    class Watch:
        def on_step(self, step: StepView) -> None:
            nonlocal seen
            _, W, V = step.states(3)
            shift = -2.0 * step.exponent
            for m in range(3):
                squares = (W[:, m] ** 2).sum(axis=2)
                now = V[:, m] ** 2 - squares
                size = np.sqrt(squares) + np.abs(V[:, m])
                room = np.sqrt(2.0) * size * step.radius + step.radius**2
                then = np.exp2(shift) * start
                # a balanced start is balanced up to rounding only
                rounding = 2.0**-50 * (size**2 + np.exp2(shift) * (v0**2 + (W0**2).sum(axis=1)))
                assert np.all(np.abs(now - then) <= room + rounding)
            seen += len(step.lanes)

    result = integrate(case.problem, until=case.until, observers=[Watch()])
    assert seen >= result.steps[0]


def gap(a: FlowResult, b: FlowResult, move: Any = None, neurons: Any = slice(None)) -> Any:
    """Distance of the states minus the sum of the radii, in the units of a; negative where they agree."""
    shift = (b.exponent[:, neurons] - a.exponent).astype(int)
    W = np.ldexp(b.W[:, neurons], shift[:, :, None])
    W = W if move is None else W @ move
    V, r = np.ldexp(b.V[:, neurons], shift), np.ldexp(b.radius[:, neurons], shift)
    apart = np.sqrt(((a.W - W) ** 2).sum(axis=2) + (np.abs(a.V) - np.abs(V)) ** 2)
    return apart - (a.radius + r)


@given(seed=st.integers(0, 2**31))
def test_twins(seed: int) -> None:
    """Points and neurons in another order, coordinates permuted and reflected, f -> -f, units of time."""
    case = draw(seed, longest=20.0)
    p = case.problem
    n, d, h = p.shape
    rng = np.random.default_rng(seed)
    base = integrate(p, until=case.until)
    if not base.ok.all():
        return
    points, neurons = rng.permutation(n), rng.permutation(h)
    turn = np.eye(d)[rng.permutation(d)] * rng.choice([-1.0, 1.0], d)
    twin = replace(
        p, X=p.X[points] @ turn.T, y=p.y[points], W0=p.W0[:, neurons] @ turn.T, v0=p.v0[:, neurons]
    )
    other = integrate(twin, until=case.until)
    assert other.ok.all()
    assert np.all(gap(base, other, turn, np.argsort(neurons)) <= 0)
    places = np.argsort(points), np.argsort(neurons)
    assert sorted(
        (int(places[1][k.neuron]), int(places[0][k.point])) for k in base.kinks
    ) == sorted((k.neuron, k.point) for k in other.kinks)
    mirrored = integrate(replace(p, y=-p.y, v0=-p.v0), until=case.until)
    np.testing.assert_array_equal(mirrored.W, base.W)
    np.testing.assert_array_equal(mirrored.V, -base.V)
    slow = integrate(replace(p, weight=p.weight / 4), until=4 * case.until)
    np.testing.assert_array_equal(slow.W, base.W)
    assert [k.t for k in slow.kinks] == [4 * k.t for k in base.kinks]
