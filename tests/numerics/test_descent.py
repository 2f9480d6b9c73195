"""Descent: closed forms, replay, equivariance, divergence. Error bounds: test_descent_bounds.py."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.descent import (
    GradientDescent,
    HeavyBall,
    IterationStatus,
    Method,
    Nesterov,
    NormalizedGradientDescent,
    RunOptions,
    Sampling,
    SignDescent,
)
from numerics.errors import NumericsError
from tests.numerics.reference_descent import RNG, START, H, quadratic, run

# --- closed forms --------------------------------------------------------------------------------


def companion(eta: float, beta: float, *, ahead: bool) -> Any:
    """The matrix of (θ, θ_previous) for heavy ball, or for Nesterov with ``ahead``."""
    one, zero = np.eye(3), np.zeros((3, 3))
    pull = one - eta * H
    top = [(1 + beta) * pull, -beta * pull] if ahead else [pull + beta * one, -beta * one]
    return np.block([top, [one, zero]])


def closed_form(method: Any, k: int, eta: float) -> Any:
    """θ_k of all lanes, from powers and products of matrices."""
    z = np.concatenate([START["x"], START["x"]], axis=1)
    for i in range(k):
        beta = method.momentum_at(i)
        z = z @ companion(eta, beta, ahead=isinstance(method, Nesterov)).T
    return z[:, :3]


MOMENTA: list[Method] = [
    GradientDescent(),
    HeavyBall(0.6),
    Nesterov(0.6),
    Nesterov("convex"),
    Nesterov.strongly_convex(0.1, 1.2),
    Nesterov(lambda k: 0.9 * k / (k + 10)),
]


@pytest.mark.parametrize("method", MOMENTA, ids=range(len(MOMENTA)))
def test_momentum_methods_are_products_of_companion_matrices(method: Method) -> None:
    assert np.abs(run(method).iterate["x"] - closed_form(method, 20, 0.3)).max() < 1e-13


class NoLookAhead(Nesterov):
    """Planted: the gradient is taken at θ."""

    def update(self, gradient: Any, theta: Any, previous: Any, eta: Any, beta: Any) -> Any:
        return theta + beta * (theta - previous) - eta * gradient(theta)


class NoMemory(HeavyBall):
    """Planted: the difference has the wrong sign."""

    def update(self, gradient: Any, theta: Any, previous: Any, eta: Any, beta: Any) -> Any:
        return theta - eta * gradient(theta) - beta * (theta - previous)


class Late(Nesterov):
    """Planted: β_{k+1} instead of β_k."""

    def momentum_at(self, k: int) -> float:
        return super().momentum_at(k + 1)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (NoLookAhead(0.6), Nesterov(0.6)),
        (NoMemory(0.6), HeavyBall(0.6)),
        (Late("convex"), Nesterov("convex")),
    ],
    ids=["no-look-ahead", "wrong-sign", "late"],
)
def test_planted_updates_are_told_apart(wrong: Method, right: Method) -> None:
    assert np.abs(run(wrong).iterate["x"] - closed_form(right, 20, 0.3)).max() > 1e-3


def test_strongly_convex_momentum() -> None:
    assert Nesterov.strongly_convex(1.0, 9.0).momentum == pytest.approx(0.5)
    assert [Nesterov("convex").momentum_at(k) for k in range(5)] == [0, 0, 0.25, 0.4, 0.5]


def test_normalised_steps_have_the_length_of_the_step_size() -> None:
    path = [START["x"]]
    for k in (1, 2):
        path.append(run(NormalizedGradientDescent(), iterations=k).iterate["x"])
    for before, after in pairwise(path):
        g = before @ H
        expected = before - 0.3 * g / np.linalg.norm(g, axis=1, keepdims=True)
        assert np.abs(after - expected).max() < 1e-15


def test_sign_descent_moves_every_entry() -> None:
    found = run(SignDescent(), iterations=1).iterate["x"]
    assert np.abs(found - (START["x"] - 0.3 * np.sign(START["x"] @ H))).max() < 1e-15


@pytest.mark.parametrize("method", [NormalizedGradientDescent(), SignDescent()])
def test_no_step_where_the_gradient_is_zero(method: Method) -> None:
    found = run(method, start={"x": np.zeros((2, 3))}, iterations=2)
    assert found.ok and (found.iterate["x"] == 0).all()


def test_imbalance_of_a_linear_network() -> None:
    """f = ab: one step with residual r multiplies a² - b² by exactly 1 - η² r²."""
    start = {"a": RNG.normal(size=6), "b": RNG.normal(size=6)}
    k = 15
    found = run(
        GradientDescent(),
        loss=lambda p: 0.5 * (p["a"] * p["b"] - 1) ** 2,
        start=start,
        step=0.2,
        iterations=k,
        quantities={
            "imbalance": lambda p: p["a"] ** 2 - p["b"] ** 2,
            "residual": lambda p: p["a"] * p["b"] - 1,
        },
        record_at=range(k + 1),
        options=RunOptions(),
    )
    shown, residual = found.recorded["imbalance"], found.recorded["residual"].value
    factor = np.cumprod(1 - 0.04 * residual[:, :-1] ** 2, axis=1)
    expected = (start["a"] ** 2 - start["b"] ** 2)[:, None] * factor
    assert np.isfinite(shown.error).all()
    assert (np.abs(shown.value[:, 1:] - expected) <= shown.error[:, 1:] + 1e-14).all()


# --- step sizes, quantities, records -------------------------------------------------------------


def test_step_sizes_of_every_kind_agree() -> None:
    sizes = np.array([0.1, 0.2, 0.3, 0.4])
    each = run(GradientDescent(), step=sizes).iterate["x"]
    called = run(GradientDescent(), step=lambda k: sizes).iterate["x"]
    assert (each == called).all()
    for lane, size in enumerate(sizes):
        one = run(GradientDescent(), step=float(size)).iterate["x"]
        assert np.abs(one[lane] - each[lane]).max() < 1e-14
    halved = run(GradientDescent(), step=lambda k: 0.3 / (k + 1), iterations=2).iterate["x"]
    expected = START["x"] @ (np.eye(3) - 0.3 * H) @ (np.eye(3) - 0.15 * H)
    assert np.abs(halved - expected).max() < 1e-14


def test_suprema_and_records_against_a_loop() -> None:
    method = HeavyBall(0.9)
    found = run(
        method,
        iterations=30,
        quantities={"loss": quadratic, "size": lambda p: p["x"].abs()},
        record_at=(0, 7, 30),
    )
    path = [closed_form(method, k, 0.3) for k in range(31)]
    loss = np.array([0.5 * np.einsum("bi,ij,bj->b", x, H, x) for x in path])
    size = np.array([np.abs(x).max(axis=1) for x in path])
    for name, truth in (("loss", loss), ("size", size)):
        assert np.allclose(found.suprema[name].value, truth.max(axis=0), atol=1e-13)
        assert (found.suprema[name].iteration == truth.argmax(axis=0)).all()
        assert np.allclose(found.recorded[name].value, truth[[0, 7, 30]].T, atol=1e-13)
        assert np.allclose(found.final[name].value, truth[-1], atol=1e-13)
        assert np.isinf(found.final[name].error).all()  # no bound was asked for


# --- divergence ----------------------------------------------------------------------------------


def test_a_lane_that_diverges_stops_and_the_others_go_on() -> None:
    found = run(
        GradientDescent(),
        loss=lambda p: 0.5 * p["x"] ** 2,
        start={"x": [1.0, 1.0, 1.0]},
        step=[0.5, 1e10, 2.5],
        iterations=40,
        quantities={"x": lambda p: p["x"]},
        record_at=(5, 40),
        options=RunOptions(),
    )
    assert [s.name for s in found.status] == ["ok", "diverged", "ok"]
    # (1 - 1e10)^15 is within the range, the next one is not
    assert found.iterations.tolist() == [40, 15, 40]
    assert "iteration 15" in found.reason[1]
    assert found.iterate["x"][0] == 0.5**40
    assert found.iterate["x"][1] == pytest.approx(-1e150, rel=1e-6)
    assert abs(found.iterate["x"][2] - 1.5**40) <= found.error["x"][2] + 1e-9
    assert np.isnan(found.recorded["x"].value).tolist() == [[False] * 2, [False, True], [False] * 2]


def test_a_loss_that_is_not_finite_on_the_way() -> None:
    found = run(
        GradientDescent(),
        loss=lambda p: -torch.log(p["x"]).sum() + 0 * p["x"].sum(),
        start={"x": [[1e-3], [1.0]]},
        step=[2.0, 0.1],
        iterations=50,
    )
    assert found.iterations[1] == 50
    quick = run(
        GradientDescent(),
        loss=lambda p: torch.sqrt(p["x"]),
        start={"x": [1e-3, 1.0]},
        step=0.1,
        iterations=3,
    )
    assert quick.status == (IterationStatus.diverged, IterationStatus.ok)
    assert quick.iterations[0] == 1 and np.isfinite(quick.iterate["x"]).all()


def test_all_lanes_may_stop() -> None:
    found = run(GradientDescent(), loss=lambda p: 0.5 * p["x"] ** 2, start={"x": [1.0]}, step=1e100)
    assert not found.ok and found.iterations.tolist() == [1]


# --- sampling ------------------------------------------------------------------------------------

POINTS = torch.tensor(RNG.normal(size=(7, 3)))


def sampled(p: Any, rows: Any) -> Any:
    return ((POINTS[rows] - p["x"]) ** 2).sum() / 2


@pytest.mark.parametrize("replace", [True, False])
def test_samples_do_not_depend_on_the_batch_or_on_pauses(replace: bool) -> None:
    def go(**more: Any) -> Any:
        sampling = Sampling(size=7, batch=3, seed=11, replace=replace)
        return run(HeavyBall(0.5), loss=sampled, step=0.1, sampling=sampling, **more)

    whole = go(iterations=40)
    alone = go(iterations=40, start={"x": START["x"][2:3]}, lane_numbers=[2])
    assert (alone.iterate["x"][0] == whole.iterate["x"][2]).all()
    resumed = go(iterations=23, start=None, resume=go(iterations=17))
    assert (resumed.iterate["x"] == whole.iterate["x"]).all()
    other = go(iterations=40, lane_numbers=[5, 6, 7, 8])
    assert (other.iterate["x"] != whole.iterate["x"]).any()


def test_stochastic_steps_against_a_loop() -> None:
    sampling = Sampling(size=7, batch=2, seed=0)
    found = run(GradientDescent(), loss=sampled, step=0.1, iterations=25, sampling=sampling)
    x = START["x"].copy()
    for k in range(25):
        for lane in range(4):
            rows = Sampling(size=7, batch=2, seed=0).rows(lane, k)
            x[lane] -= 0.1 * (x[lane] - POINTS.numpy()[rows]).sum(axis=0)
    assert np.abs(found.iterate["x"] - x).max() < 1e-14


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 2**64 - 1),
    st.integers(0, 50),
)
def test_every_epoch_is_a_permutation(size: int, batch: int, seed: int, lane: int) -> None:
    batch = min(batch, size)
    sampling = Sampling(size=size, batch=batch, seed=seed, replace=False)
    stream = np.concatenate([sampling.rows(lane, k) for k in range(size)])
    assert len(stream) == size * batch
    for epoch in stream.reshape(batch, size):
        assert sorted(epoch) == list(range(size))
    # out of order, the same rows
    assert (sampling.rows(lane, 0) == stream[:batch]).all()


def test_draws_with_replacement_are_uniform() -> None:
    sampling = Sampling(size=5, batch=8, seed=1)
    counts = np.bincount(np.concatenate([sampling.rows(0, k) for k in range(500)]), minlength=5)
    assert ((counts - 800) ** 2 / 800).sum() < 25  # χ² with 4 degrees: 5e-5


# --- equivariance --------------------------------------------------------------------------------


@settings(max_examples=3)
@given(st.permutations(range(4)), st.integers(1, 4))
def test_permuting_or_dropping_lanes(order: list[int], kept: int) -> None:
    order = order[:kept]
    whole = run(HeavyBall(0.5), iterations=8)
    part = run(HeavyBall(0.5), iterations=8, start={"x": START["x"][order]})
    assert np.abs(part.iterate["x"] - whole.iterate["x"][order]).max() < 1e-14


@settings(max_examples=4)
@given(st.integers(0, 10**6), st.sampled_from([*MOMENTA[:4], NormalizedGradientDescent()]))
def test_rigid_motions_of_the_space(seed: int, method: Method) -> None:
    rng = np.random.default_rng(seed)
    Q, shift = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(size=3)
    Qt, st_ = torch.tensor(Q), torch.tensor(shift)
    moved = run(
        method,
        loss=lambda p: quadratic({"x": Qt.T @ (p["x"] - st_)}),
        start={"x": START["x"] @ Q.T + shift},
        iterations=10,
        step=0.05,
    )
    plain = run(method, iterations=10, step=0.05).iterate["x"]
    assert np.abs(moved.iterate["x"] - (plain @ Q.T + shift)).max() < 1e-12


# --- options -------------------------------------------------------------------------------------


def test_compilation_is_used_and_its_failure_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fake(graph: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            calls.append(1)
            return graph(*args)

        return counted

    monkeypatch.setattr(torch, "compile", fake)
    options = RunOptions(bound=False, compile=True)
    found = run(GradientDescent(), options=options, iterations=6)
    assert found.compiled and len(calls) == 7  # once to compile
    assert (found.iterate["x"] == run(GradientDescent(), iterations=6).iterate["x"]).all()

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(NumericsError, match=r"no compiler here.*use compile=False"):
        run(GradientDescent(), options=options)


def test_no_gpu_falls_back_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cuda", "auto"):
        with pytest.warns(RuntimeWarning, match="no CUDA device"):
            found = run(
                GradientDescent(), iterations=1, options=RunOptions(bound=False, device=device)
            )
        assert found.device == "cpu"
