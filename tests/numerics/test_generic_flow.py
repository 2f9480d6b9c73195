"""The generic path against closed forms: order, dense output, kinks, suprema, error bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from numerics.generic_flow import GenericOptions, GenericResult, generic_flow
from numerics.models import DeepLinear, DiagonalLinear, TwoLayerReLU
from numerics.problem import FlowStatus

Params = dict[str, torch.Tensor]


def bernoulli(p: Params) -> torch.Tensor:
    """x' = x - x^3."""
    return p["x"] ** 4 / 4 - p["x"] ** 2 / 2


def bernoulli_at(x0: Any, t: Any) -> Any:
    return x0 / np.sqrt(x0**2 + (1.0 - x0**2) * np.exp(-2.0 * np.asarray(t)))


def distance(result: GenericResult, exact: dict[str, Any]) -> Any:
    """(B,) Euclidean distance of the final state from the exact one."""
    lanes = result.t.size
    parts = [(result.params[k] - exact[k]).reshape(lanes, -1) for k in exact]
    return np.linalg.norm(np.concatenate(parts, axis=1), axis=1)


# --- order -------------------------------------------------------------------------------------


def test_fixed_steps_converge_with_order_eight() -> None:
    errors = []
    for steps in (4, 8, 16):
        options = GenericOptions(fixed_step=2.0 / steps, bound="none")
        result = generic_flow(bernoulli, {"x": [0.3]}, until=2.0, options=options)
        errors.append(abs(result.params["x"][0] - bernoulli_at(0.3, 2.0)))
    assert errors[-1] > 1e-15  # not yet rounding
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 7.5).all()


def test_the_dense_output_converges_with_order_seven_or_more() -> None:
    times = np.linspace(0.03, 1.97, 24)
    errors = []
    for steps in (4, 8):
        options = GenericOptions(fixed_step=2.0 / steps, bound="none")
        result = generic_flow(
            bernoulli,
            {"x": [0.3]},
            until=2.0,
            record_at=times,
            record_states=True,
            options=options,
        )
        assert result.path is not None
        errors.append(np.abs(result.path["x"][0] - bernoulli_at(0.3, times)).max())
    assert math.log2(errors[0] / errors[1]) > 6.5


def test_an_undeclared_jump_costs_the_order_and_a_declared_one_does_not() -> None:
    # x' = 1 until x = 0, then 2; the switch of the second run is met exactly.
    def hidden(p: Params) -> torch.Tensor:
        return -torch.where(p["x"] > 0, 2.0 * p["x"], p["x"])

    def declared(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        active = p["x"] > 0 if pattern is None else pattern[0]
        return -torch.where(active, 2.0 * p["x"], p["x"])

    def switches(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        return p["x"][None]

    options = GenericOptions(fixed_step=0.3)
    start = {"x": [-1.0]}
    without = generic_flow(hidden, start, until=2.1, options=options)
    result = generic_flow(declared, start, until=2.1, switches=switches, options=options)
    assert distance(without, {"x": [2.2]})[0] > 1e-3
    assert distance(result, {"x": [2.2]})[0] < 1e-14
    (event,) = result.events
    assert (event.switch, event.active) == (0, True)
    assert (event.t, event.speed_before, event.speed_after) == pytest.approx((1.0, 1.0, 2.0))


# --- closed forms ------------------------------------------------------------------------------


def test_deep_linear_network_with_spectral_start() -> None:
    # Saxe, McClelland and Ganguli 2014: every mode follows s' = 4 s (sigma - s) for sum |f - y|^2.
    rng = np.random.default_rng(3)
    U, V = (np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2))
    sigma, a = np.array([1.5, 0.8, 0.3]), np.array([0.05, 0.1, 0.02])
    model = DeepLinear(
        X=np.eye(3),
        y=(U * sigma @ V.T).T,
        loss_name="squared",
        reduction="sum",
        widths=(3, 3, 3),
    )
    start = {"W1": (a[:, None] * V.T)[None], "W2": (U * a)[None]}
    result = generic_flow(model.loss, start, until=1.7, switches=model.switches, rtol=1e-11)
    mode = a**2 / (a**2 / sigma + (1 - a**2 / sigma) * np.exp(-4 * sigma * 1.7))
    root = np.sqrt(mode)
    error = distance(result, {"W1": (root[:, None] * V.T)[None], "W2": (U * root)[None]})
    assert error[0] < 1e-10
    assert error[0] <= result.radius[0] < 1e-7


@pytest.mark.parametrize("depth", [1, 2])
def test_diagonal_linear_network(depth: int) -> None:
    # X = I, squared: u' = 2 (y - u) for depth 1; beta = u^2 has beta' = 8 beta (y - beta) for depth 2.
    y, start = np.array([1.0, 0.4]), np.array([[0.3, 0.2]])
    model = DiagonalLinear(X=np.eye(2), y=y, loss_name="squared", reduction="sum", depth=depth)
    result = generic_flow(model.loss, {"u": start, "v": np.zeros((1, 2))}, until=1.3)
    if depth == 1:
        # v moves too: u + v is constant and u - v has twice the rate.
        gap = y + (start - y) * np.exp(-4 * 1.3)
        exact = {"u": (start + gap) / 2, "v": (start - gap) / 2}
    else:
        beta = start**2 * y / (start**2 + (y - start**2) * np.exp(-8 * y * 1.3))
        exact = {"u": np.sqrt(beta), "v": np.zeros((1, 2))}
    error = distance(result, exact)
    assert error[0] < 1e-9 and error[0] <= result.radius[0] < 1e-6


def test_kink_time_and_state_of_a_neuron_under_a_constant_force() -> None:
    # With the loss -sum f every force is constant; <w, x> is a quadratic in exp(s t).
    X = torch.tensor([[0.6, 0.8], [1.0, -0.5]], dtype=torch.float64)

    def output(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        z = X @ p["w"]
        return p["v"] * torch.where(z > 0 if pattern is None else pattern, z, 0.0)

    def loss(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        return -output(p, pattern).sum()

    def switches(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        return X @ p["w"]

    w0, v0 = np.array([0.1, 0.9]), 1.0  # active on the first point only
    end = 2.0
    result = generic_flow(
        loss, {"w": w0[None], "v": np.array([v0])}, until=end, switches=switches, rtol=1e-12
    )
    x0, x1 = X.numpy()

    def flow(force: Any, w: Any, v: float, t: float) -> tuple[Any, float]:
        s = np.linalg.norm(force)
        unit = force / s
        p = unit @ w
        along = p * (np.cosh(s * t) - 1) + v * np.sinh(s * t)
        return w + along * unit, v * np.cosh(s * t) + p * np.sinh(s * t)

    # <w, x1> = c + m (p (cosh - 1) + v sinh) with m = <x0, x1>, |x0| = 1: a quadratic in e^t.
    c, m, p = w0 @ x1, x0 @ x1, x0 @ w0
    a, b, d = m * (p + v0) / 2, c - m * p, m * (p - v0) / 2
    crossing = np.log(max(np.roots([a, b, d]).real))
    (event,) = result.events
    assert event.active and event.switch == 1
    assert event.t == pytest.approx(crossing, abs=1e-13)
    exact = flow(x0 + x1, *flow(x0, w0, v0, crossing), end - crossing)
    error = distance(result, {"w": exact[0][None], "v": np.array([exact[1]])})
    assert error[0] <= result.radius[0] < 1e-9


# --- quantities --------------------------------------------------------------------------------


def test_suprema_and_records_of_a_spiral_of_modes() -> None:
    # q = x - y with x = e^-t, y = e^-3t: largest at t = log(3)/2.
    def loss(p: Params) -> torch.Tensor:
        return 0.5 * (p["x"] ** 2 + 3.0 * p["y"] ** 2)

    times = np.array([0.0, 0.4, 1.1, 2.0])
    result = generic_flow(
        loss,
        {"x": [1.0, 2.0], "y": [1.0, 2.0]},
        until=[2.0, 1.0],
        quantities={"gap": lambda p: p["x"] - p["y"]},
        record_at=times,
    )
    top, gap = result.suprema["gap"], result.recorded["gap"]
    scale = np.array([1.0, 2.0])
    exact = scale * (3**-0.5 - 3**-1.5)
    assert (np.abs(top.value - exact) <= top.error).all()
    assert (top.error < 3e-2).all()
    assert top.time is not None and np.abs(top.time - np.log(3) / 2).max() < 0.2
    expected = scale[:, None] * (np.exp(-times) - np.exp(-3 * times))
    assert np.isnan(gap.value[1, 2:]).all()  # the second lane ends at 1
    known = ~np.isnan(gap.value)
    assert known.sum() == 6
    assert (np.abs(gap.value - expected)[known] <= gap.error[known]).all()
    assert gap.error[known].max() < 1e-7
    final = result.final["gap"]
    ends = scale * (np.exp([-2.0, -1.0]) - np.exp([-6.0, -3.0]))
    assert (np.abs(final.value - ends) <= final.error).all()


def test_imbalance_is_conserved_within_its_bound() -> None:
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(5, 3)), np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    model = TwoLayerReLU(X=X, y=y, loss_name="logistic", reduction="mean", h=3, bias=True)
    start = {
        "W": rng.normal(size=(4, 3, 3)),
        "v": rng.normal(size=(4, 3)),
        "b": rng.normal(size=(4, 3)),
    }

    def imbalance(p: Params) -> torch.Tensor:
        return p["v"][0] ** 2 - (p["W"][0] ** 2).sum() - p["b"][0] ** 2

    result = generic_flow(
        model.loss,
        start,
        until=1.0,
        switches=model.switches,
        quantities={"imbalance": imbalance},
    )
    before = start["v"][:, 0] ** 2 - (start["W"][:, 0] ** 2).sum(axis=1) - start["b"][:, 0] ** 2
    after = result.final["imbalance"]
    assert (np.abs(after.value - before) <= after.error).all()
    assert (after.error < 1e-5).all()


# --- how lanes end -----------------------------------------------------------------------------


def gate(p: Params, pattern: torch.Tensor | None) -> torch.Tensor:
    return p["x"] > 0 if pattern is None else pattern[0]


def sign_of_x(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
    return p["x"][None]


def test_sliding_and_nonuniqueness_are_named() -> None:
    def towards(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        return torch.where(gate(p, pattern), p["x"], -p["x"])

    result = generic_flow(towards, {"x": [1.0, -2.0, 9.0]}, until=5.0, switches=sign_of_x)
    assert result.status == (FlowStatus.sliding, FlowStatus.sliding, FlowStatus.ok)
    np.testing.assert_allclose(result.t, [1.0, 2.0, 5.0], rtol=1e-14)

    result = generic_flow(
        lambda p, q=None: -towards(p, q), {"x": [0.0, 1.0]}, until=5.0, switches=sign_of_x
    )
    assert result.status == (FlowStatus.nonunique, FlowStatus.ok)
    assert "several patterns of the switches 0" in result.reason[0]


@pytest.mark.parametrize(
    ("offset", "status", "kinks"),
    [(0.0, FlowStatus.grazing, 0), (1e-6, FlowStatus.ok, 0), (-1e-6, FlowStatus.ok, 2)],
)
def test_a_switch_that_touches_zero(offset: float, status: FlowStatus, kinks: int) -> None:
    def loss(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        active = (p["x"] - 1) ** 2 + offset > 0 if pattern is None else pattern[0]
        return -p["x"] + torch.where(active, p["y"], -p["y"])

    result = generic_flow(
        loss,
        {"x": [0.0], "y": [0.0]},
        until=2.0,
        switches=lambda p, q: ((p["x"] - 1) ** 2 + offset)[None],
    )
    assert result.status == (status,) and result.kinks[0] == kinks
    if status is FlowStatus.ok:
        inside = 2e-3 if offset < 0 else 0.0  # time below zero, in which y moves the other way
        assert result.params["y"][0] == pytest.approx(2 * inside - 2.0, abs=1e-9)
    else:
        assert result.t[0] == pytest.approx(1.0)


def test_switches_that_vanish_together() -> None:
    def loss(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        active = p["x"] > 0 if pattern is None else pattern
        return -torch.where(active, 2.0 * p["x"], p["x"]).sum()

    def switches(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        return p["x"]

    start = {"x": [[-1.0, -1.0, 3.0], [-1.0, -1.0 - 1e-13, 3.0]]}
    result = generic_flow(loss, start, until=2.0, switches=switches)
    assert result.status == (FlowStatus.ok, FlowStatus.ok)
    assert list(result.kinks) == [2, 2]
    error = distance(result, {"x": np.array([[2.0, 2.0, 7.0], [2.0, 2.0 - 2e-13, 7.0]])})
    assert (error <= result.radius).all() and (result.radius < 1e-11).all()


def test_a_switch_that_never_moves_stays_off() -> None:
    model = TwoLayerReLU(
        X=np.eye(2),
        y=np.ones(2),
        loss_name="exponential",
        reduction="sum",
        h=2,
        bias=False,
    )
    start = {"W": np.array([[[0.0, 0.0], [0.5, 0.2]]]), "v": np.array([[0.0, 0.3]])}
    result = generic_flow(model.loss, start, until=1.0, switches=model.switches)
    assert result.ok.all()
    assert (result.params["W"][0, 0] == 0).all() and result.params["v"][0, 0] == 0


def test_a_lane_that_blows_up_stops_and_the_others_go_on() -> None:
    result = generic_flow(
        lambda p: -(p["x"] ** 4) / 4, {"x": [1.0, 0.1]}, until=2.0, rtol=1e-7, atol=1e-9
    )  # x' = x^3 ends at 1 / (2 x0^2)
    assert result.status == (FlowStatus.diverged, FlowStatus.ok)
    assert result.t[0] == pytest.approx(0.5, rel=1e-6) and result.t[1] == 2.0
    assert result.radius[0] == np.inf
    assert result.reason[0].startswith("at t = 0.5")
    assert abs(result.params["x"][1] - 0.1 / math.sqrt(1 - 0.02 * 2)) <= result.radius[1]


def test_budgets_are_named() -> None:
    few = GenericOptions(max_steps=3)
    result = generic_flow(bernoulli, {"x": [0.3]}, until=9.0, options=few)
    assert result.status == (FlowStatus.budget,) and 0 < result.t[0] < 9
    assert abs(result.params["x"][0] - bernoulli_at(0.3, result.t[0])) <= result.radius[0]


# --- lanes, types, compilation -----------------------------------------------------------------


def test_lanes_do_not_depend_on_each_other() -> None:
    start = np.array([0.2, 0.9, 1.7, -0.4, 0.01])
    options = GenericOptions(chunk=2)
    together = generic_flow(bernoulli, {"x": start}, until=3.0)
    chunked = generic_flow(
        bernoulli, {"x": start}, until=3.0, options=options, quantities={"x": lambda p: p["x"]}
    )
    again = generic_flow(bernoulli, {"x": start}, until=3.0)
    np.testing.assert_array_equal(together.params["x"], again.params["x"])
    np.testing.assert_allclose(together.params["x"], chunked.params["x"], rtol=1e-14)
    np.testing.assert_array_equal(together.steps, chunked.steps)
    assert chunked.final["x"].value.shape == (5,) and chunked.status == together.status
    assert (np.abs(together.params["x"] - bernoulli_at(start, 3.0)) <= together.radius).all()


def test_single_precision_agrees_within_its_bound() -> None:
    result = generic_flow(bernoulli, {"x": [0.3, 0.1]}, until=2.0, dtype="float32", rtol=1e-5)
    error = np.abs(result.params["x"] - bernoulli_at(np.array([0.3, 0.1]), 2.0))
    assert result.dtype == "float32"
    assert (error <= result.radius).all() and (result.radius < 1e-3).all()


def test_the_compiled_step_gives_the_same_numbers() -> None:
    compiled = generic_flow(bernoulli, {"x": [0.3]}, until=1.0, compile=True)
    eager = generic_flow(bernoulli, {"x": [0.3]}, until=1.0)
    assert compiled.compiled and not eager.compiled
    np.testing.assert_allclose(compiled.params["x"], eager.params["x"], rtol=1e-13)


def test_a_step_that_does_not_compile_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        def call(*_: Any) -> Any:
            raise RuntimeError("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(RuntimeWarning, match="torch.compile failed.*no compiler"):
        result = generic_flow(bernoulli, {"x": [0.3]}, until=1.0, compile=True)
    assert not result.compiled and result.ok.all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_without_a_gpu_the_cpu_is_used_and_a_warning_says_so(device: str) -> None:
    with pytest.warns(RuntimeWarning, match="no CUDA GPU.*runs on the CPU"):
        result = generic_flow(bernoulli, {"x": [0.3]}, until=1.0, device=device)
    assert result.device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_cpu_and_cuda_agree_within_the_bounds() -> None:
    start = {"x": np.linspace(0.1, 0.9, 7)}
    here, there = (generic_flow(bernoulli, start, until=2.0, device=d) for d in ("cpu", "cuda"))
    assert there.device == "cuda"
    assert (np.abs(here.params["x"] - there.params["x"]) <= here.radius + there.radius).all()
