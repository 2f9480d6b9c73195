"""The same trajectory told differently, and the three-point example of Boursier & Flammarion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numerics import FlowProblem, FlowResult, FlowStatus, integrate


def case(seed: int = 7) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    y = np.array([1.0, -1.0, 1.0, -1.0])
    return {
        "X": y[:, None] * np.abs(rng.standard_normal((4, 3))),
        "y": y,
        "loss": "logistic2",
        "weight": 0.25,
        "W0": rng.standard_normal((3, 6, 3)),
        "signs": rng.choice([-1.0, 1.0], (3, 6)),
        "log_eps": np.array([-2.0, -5.0, -20.0]),
    }


def true(result: FlowResult) -> tuple[Any, Any, Any]:
    shift = result.exponent.astype(int)
    return tuple(
        np.ldexp(a, s)
        for a, s in ((result.W, shift[..., None]), (result.V, shift), (result.radius, shift))
    )


def assert_same(a: FlowResult, b: FlowResult, turn: Any = None) -> None:
    """Equal within the sum of the two error radii, and not by much less than rounding."""
    (Wa, Va, ra), (Wb, Vb, rb) = true(a), true(b)
    assert a.ok.all() and b.ok.all()
    gap = np.hypot(np.linalg.norm(Wa - (Wb if turn is None else Wb @ turn), axis=2), Va - Vb)
    assert np.all(gap <= ra + rb)
    assert np.all(ra <= 1e-7 * np.hypot(np.linalg.norm(Wa, axis=2), Va))


@pytest.mark.parametrize("until", [3.0, 60.0])
def test_permuted_points_and_neurons(until: float) -> None:
    c = case()
    base = integrate(FlowProblem.balanced(**c), until=until)
    points, neurons = [2, 0, 3, 1], [5, 3, 0, 1, 4, 2]
    d = dict(c, X=c["X"][points], y=c["y"][points])
    assert_same(base, integrate(FlowProblem.balanced(**d), until=until))
    d = dict(c, W0=c["W0"][:, neurons], signs=c["signs"][:, neurons])
    moved = integrate(FlowProblem.balanced(**d), until=until)
    inverse = np.argsort(neurons)
    (W, V, r), (Wm, Vm, rm) = true(base), true(moved)
    gap = np.hypot(np.linalg.norm(W - Wm[:, inverse], axis=2), V - Vm[:, inverse])
    assert np.all(gap <= r + rm[:, inverse])
    assert sorted((k.lane, points[0] * 0 + k.point) for k in base.kinks) == sorted(
        (k.lane, k.point) for k in moved.kinks
    )


@pytest.mark.parametrize("until", [3.0, 60.0])
def test_rotated_space(until: float) -> None:
    c = case()
    base = integrate(FlowProblem.balanced(**c), until=until)
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    d = dict(c, X=c["X"] @ turn.T, W0=c["W0"] @ turn.T)
    turned = integrate(FlowProblem.balanced(**d), until=until)
    assert_same(base, turned, turn)
    assert [(k.lane, k.neuron, k.point) for k in base.kinks] == [
        (k.lane, k.neuron, k.point) for k in turned.kinks
    ]


def test_rescaled_data() -> None:
    """x -> 4 x, weights -> weights/2, t -> t/4 leaves f unchanged (exactly, in powers of two)."""
    c = case()
    base = integrate(FlowProblem.balanced(**c), until=8.0)
    d = dict(c, X=4 * c["X"], W0=c["W0"] / 2)
    scaled = integrate(FlowProblem.balanced(**d), until=2.0)
    np.testing.assert_array_equal(true(scaled)[0] * 2, true(base)[0])
    assert [k.t * 4 for k in scaled.kinks] == [k.t for k in base.kinks]


def test_eps_is_a_factor_of_the_weights() -> None:
    """W0 -> e W0 with log_eps -> log_eps - 1: the same true weights."""
    c = case()
    base = integrate(FlowProblem.balanced(**c), until=20.0)
    d = dict(c, W0=c["W0"] * np.e, log_eps=c["log_eps"] - 1.0)
    other = integrate(FlowProblem.balanced(**d), until=20.0)
    (W, V, r), (We, Ve, re) = true(base), true(other)
    gap = np.hypot(np.linalg.norm(W - We / np.e, axis=2), V - Ve / np.e)
    # multiplying W0 by the float nearest to e perturbs the start by one unit in the last place
    assert np.all(gap <= 10 * (r + re))


def test_weight_is_a_unit_of_time() -> None:
    c = case()
    base = integrate(FlowProblem.balanced(**c), until=8.0)
    slow = integrate(FlowProblem.balanced(**dict(c, weight=0.125)), until=16.0)
    np.testing.assert_array_equal(true(slow)[0], true(base)[0])


def test_split_neurons() -> None:
    """A neuron (w, v) and its two halves (w, v)/sqrt(2) make the same function."""
    c = case()
    base = integrate(FlowProblem.balanced(**c), until=10.0)
    half = np.repeat(c["W0"], 2, axis=1) / np.sqrt(2.0)
    d = dict(c, W0=half, signs=np.repeat(c["signs"], 2, axis=1))
    split = integrate(FlowProblem.balanced(**d), until=10.0)
    W, Ws = true(base)[0], true(split)[0]
    np.testing.assert_allclose(Ws[:, ::2] * np.sqrt(2.0), W, atol=1e-9)
    np.testing.assert_allclose(Ws[:, 1::2] * np.sqrt(2.0), W, atol=1e-9)


def test_three_point_example_stops_at_the_least_squares_line() -> None:
    """[BF24] x = (-3/4, -1/2, 1/8), y = (1.1, 0.1, 0.8): mean squared error exactly 512/2925."""
    x, y = np.array([-0.75, -0.5, 0.125]), np.array([1.1, 0.1, 0.8])
    X = np.column_stack([x, np.ones(3)])
    rng = np.random.default_rng(3)
    W0 = rng.standard_normal((12, 4, 2))
    problem = FlowProblem.balanced(
        X=X, y=y, loss="squared", weight=1 / 3, W0=W0, signs=np.ones((12, 4)), log_eps=np.log(1e-3)
    )
    result = integrate(problem, until=300.0)
    W, V, _ = true(result)
    W, V = W * 1e-3, V * 1e-3
    f = np.einsum("bh,bhn->bn", V, np.maximum(np.einsum("bhd,nd->bhn", W, X), 0))
    mse = ((f - y) ** 2).mean(axis=1)
    there = np.abs(mse - 512 / 2925) < 1e-9
    done = np.array([s is FlowStatus.ok for s in result.status])
    assert (there & done).sum() >= 4, (mse, result.reason)
    line = np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(line, [-0.06154, 0.64359], atol=1e-5)
    np.testing.assert_allclose(
        f[there & done], np.tile(X @ line, ((there & done).sum(), 1)), atol=1e-6
    )
