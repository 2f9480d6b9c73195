"""The models against plain numpy, against the ReLU engine, and against their own twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from numerics import FlowProblem, integrate
from numerics.generic_flow import generic_flow
from numerics.losses import loss as loss_of
from numerics.models import (
    LOSSES,
    MLP,
    DeepLinear,
    DiagonalLinear,
    NormalisedTwoLayer,
    PowerReLU,
    TwoLayerReLU,
)

RNG = np.random.default_rng(11)
X = RNG.normal(size=(4, 3))
Y = np.array([1.0, -1.0, -1.0, 1.0])


def data(**changes: Any) -> dict[str, Any]:
    return {"X": X, "y": Y, "loss_name": "logistic", "reduction": "sum", **changes}


def relu(z: Any) -> Any:
    return np.maximum(z, 0.0)


CASES: list[tuple[Any, Any]] = [
    (TwoLayerReLU(**data(), h=2, bias=False), lambda p: relu(X @ p["W"].T) @ p["v"]),
    (TwoLayerReLU(**data(), h=2, bias=True), lambda p: relu(X @ p["W"].T + p["b"]) @ p["v"]),
    (
        PowerReLU(**data(), h=2, p=3),
        lambda p: relu(X @ p["W"].T) ** 3 @ (p["v"] / np.linalg.norm(p["W"], axis=1) ** 2),
    ),
    (
        PowerReLU(**data(), h=2, p=1.5, normalised=False),
        lambda p: relu(X @ p["W"].T) ** 1.5 @ p["v"],
    ),
    (
        NormalisedTwoLayer(**data(), h=2),
        lambda p: relu(X @ p["V"].T) @ (p["a"] * p["b"] / np.linalg.norm(p["V"], axis=1)),
    ),
    (
        DeepLinear(**data(), widths=(3, 2, 2, 1)),
        lambda p: (X @ (p["W3"] @ p["W2"] @ p["W1"]).T)[:, 0],
    ),
    (DiagonalLinear(**data(), depth=3), lambda p: X @ (p["u"] ** 3 - p["v"] ** 3)),
    (
        MLP(**data(), widths=(3, 4, 2, 1), activation="relu"),
        lambda p: (relu(relu(X @ p["W1"].T + p["b1"]) @ p["W2"].T + p["b2"]) @ p["W3"].T + p["b3"])[
            :, 0
        ],
    ),
    (
        MLP(**data(), widths=(3, 4, 1), activation="tanh"),
        lambda p: (np.tanh(X @ p["W1"].T + p["b1"]) @ p["W2"].T + p["b2"])[:, 0],
    ),
]
IDS = [type(m).__name__ + str(k) for k, (m, _) in enumerate(CASES)]


def draw(model: Any, lanes: int = 1, scale: float = 0.7, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {k: scale * rng.normal(size=(lanes, *shape)) for k, shape in model.shapes.items()}


def tensors(start: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {k: torch.tensor(a[0]) for k, a in start.items()}


@pytest.mark.parametrize(("model", "formula"), CASES, ids=IDS)
def test_output_loss_and_frozen_pattern(model: Any, formula: Any) -> None:
    start = draw(model)
    p = tensors(start)
    f = formula({k: a[0] for k, a in start.items()})
    np.testing.assert_allclose(model.output(p).numpy(), f, rtol=1e-12)
    value = model.loss(p)
    assert value.shape == ()
    assert float(value) == pytest.approx(np.log1p(np.exp(-Y * f)).sum(), rel=1e-12)
    if model.switches is None:
        return
    pattern = model.switches(p, None) > 0
    np.testing.assert_array_equal(model.switches(p, pattern) > 0, pattern)
    assert model.loss(p, pattern) == value
    other = pattern.clone()
    other[0] = ~other[0]
    # The first switch is a hidden activation of point 0: frozen the wrong way, it changes f.
    assert model.loss(p, other) != value


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_losses_keep_the_conventions_of_the_room(name: str, reduction: str) -> None:
    model = DiagonalLinear(**data(loss_name=name, reduction=reduction), depth=1)
    p = tensors(draw(model))
    f = model.output(p).numpy()
    values = np.maximum(1 - Y * f, 0) if name == "hinge" else loss_of(name).value(f, Y)
    expected = values.sum() / (1 if reduction == "sum" else 4)
    assert float(model.loss(p)) == pytest.approx(expected, rel=1e-14)
    assert (model.switches is not None) == (name == "hinge")


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_the_normalised_power_is_homogeneous_of_degree_one(p: float) -> None:
    model = PowerReLU(**data(), h=2, p=p)
    params = tensors(draw(model))
    twice = {**params, "W": 2 * params["W"]}
    np.testing.assert_allclose(model.output(twice), 2 * model.output(params), rtol=1e-13)


@pytest.mark.parametrize("loss", ["exponential", "squared"])
def test_two_layer_relu_agrees_with_the_relu_engine(loss: str) -> None:
    model = TwoLayerReLU(**data(loss_name=loss), h=3, bias=False)
    start = draw(model, lanes=3, scale=0.5, seed=4)
    result = generic_flow(model.loss, start, until=0.6, switches=model.switches)
    reference = integrate(
        FlowProblem(
            X=X, y=Y, loss=loss, weight=1.0, W0=start["W"], v0=start["v"], log_eps=np.zeros(3)
        ),
        until=0.6,
    )
    assert result.status == reference.status
    np.testing.assert_allclose(result.t, reference.t, rtol=1e-8)
    for lane in range(3):
        mine, theirs = result.events_of(lane), reference.kinks_of(lane)
        # Switches are counted point by point, so neuron j on point i is 3 i + j.
        assert [e.switch for e in mine] == [3 * k.point + k.neuron for k in theirs]
        assert all(
            abs(e.t - k.t) <= e.t_error + k.t_error for e, k in zip(mine, theirs, strict=True)
        )
        if not result.ok[lane]:
            continue
        scale = 2.0 ** reference.exponent[lane]
        gap = np.hypot(
            np.linalg.norm(result.params["W"][lane] - scale[:, None] * reference.W[lane]),
            np.linalg.norm(result.params["v"][lane] - scale * reference.V[lane]),
        )
        allowed = result.radius[lane] + np.linalg.norm(scale * reference.radius[lane])
        assert gap <= allowed < 1e-5
    assert result.ok.any() and result.kinks.any()


def test_twins_permuted_rotated_and_rescaled_in_time() -> None:
    model = TwoLayerReLU(**data(loss_name="logistic2"), h=3, bias=False)
    start = draw(model, lanes=2, scale=0.5, seed=9)
    base = generic_flow(model.loss, start, until=0.5, switches=model.switches)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turned = TwoLayerReLU(
        **data(X=X @ rotation.T, loss_name="logistic2", reduction="mean"), h=3, bias=False
    )
    order = [2, 0, 1]
    twin = generic_flow(
        turned.loss,
        {"W": (start["W"] @ rotation.T)[:, order], "v": start["v"][:, order]},
        until=2.0,  # four points: the mean is four times slower
        switches=turned.switches,
    )
    assert base.ok.all() and twin.status == base.status
    np.testing.assert_array_equal(base.kinks, twin.kinks)
    back = twin.params["W"][:, np.argsort(order)] @ rotation
    gap = np.sqrt(
        ((base.params["W"] - back) ** 2).sum(axis=(1, 2))
        + ((base.params["v"] - twin.params["v"][:, np.argsort(order)]) ** 2).sum(axis=1)
    )
    assert (gap <= base.radius + twin.radius).all()


@pytest.mark.parametrize(
    "model",
    [
        PowerReLU(**data(), h=2, p=2),
        NormalisedTwoLayer(**data(loss_name="exponential"), h=2),
        MLP(**data(loss_name="hinge", reduction="mean"), widths=(3, 3, 1), activation="tanh"),
        MLP(**data(), widths=(3, 3, 2, 1), activation="relu"),
    ],
    ids=lambda m: type(m).__name__ + m.loss_name,
)
def test_two_tolerances_agree_within_the_bounds(model: Any) -> None:
    start = draw(model, lanes=3, seed=6)
    runs = [
        generic_flow(model.loss, start, until=0.5, switches=model.switches, rtol=rtol)
        for rtol in (1e-7, 1e-11)
    ]
    assert runs[0].status == runs[1].status and runs[0].ok.any()
    np.testing.assert_array_equal(runs[0].kinks, runs[1].kinks)
    gap = np.sqrt(
        sum(
            ((runs[0].params[k] - runs[1].params[k]).reshape(3, -1) ** 2).sum(axis=1) for k in start
        )
    )
    ok = runs[0].ok
    assert (gap <= runs[0].radius + runs[1].radius)[ok].all()
    assert (runs[1].radius < 1e-6)[ok].all()
