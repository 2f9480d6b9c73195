"""Bad input to the generic path and to the models: a clear error before anything runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from numerics.errors import NumericsError
from numerics.generic_flow import GenericOptions, generic_flow
from numerics.models import (
    MLP,
    DeepLinear,
    DiagonalLinear,
    NormalisedTwoLayer,
    PowerReLU,
    TwoLayerReLU,
)

START = {"x": [0.3, 0.1]}
NOISE = np.random.default_rng(0)


def square(p: dict[str, torch.Tensor]) -> torch.Tensor:
    return (p["x"] ** 2).sum()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"until": 0.0}, "until must be finite and positive"),
        ({"until": -1.0}, "until must be finite and positive"),
        ({"until": np.inf}, "until must be finite and positive"),
        ({"until": [1.0, 2.0, 3.0]}, "until has shape"),
        ({"rtol": 0.0}, "both must be positive"),
        ({"rtol": -1e-9}, "both must be positive"),
        ({"atol": 0.0}, "both must be positive"),
        ({"atol": np.nan}, "both must be positive"),
        ({"rtol": 1e-16}, "rtol is 1e-16; with float64 use"),
        ({"dtype": "float32"}, "rtol is 1e-09; with float32 use 1e-06"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"device": "tpu"}, "unknown device 'tpu'; use cpu, cuda or auto"),
        ({"start": {}}, "start must map"),
        ({"start": {"x": 0.3}}, "leading axis"),
        ({"start": {"x": [0.3, np.nan]}}, "not finite"),
        ({"start": {"x": ["a"]}}, "no array of real numbers"),
        ({"start": {"x": [0.3], "z": [1.0, 2.0]}}, "the leading axes of start differ"),
        ({"record_at": [0.5, 0.2]}, "strictly increasing"),
        ({"record_at": [-0.5]}, ">= 0"),
        ({"record_at": [3.0]}, "after the latest until"),
        ({"record_at": [[0.5]]}, "give a list of times"),
        ({"loss": 3}, "loss is no function"),
        ({"loss": lambda p: p["x"][None]}, r"returns the shape \(1,\).*return a scalar"),
        ({"loss": lambda p: 1.0}, "returns float; return a torch tensor"),
        ({"loss": lambda p: p["x"].float()}, "returns torch.float32"),
        ({"loss": lambda: None}, "cannot be called"),
        ({"loss": lambda p: torch.log(p["x"] - 0.2)}, "loss is not finite at the start.* 1;"),
        ({"loss": lambda p: torch.sqrt(p["x"] - 0.1)}, "gradient is not finite.*trajectory 1"),
        ({"loss": lambda p: p["x"] if p["x"] > 0.2 else -p["x"]}, "cannot be vectorised"),
        ({"loss": lambda p: p["w"]}, "the loss cannot be evaluated at the start: KeyError"),
        ({"loss": lambda p: 1 / 0}, "ZeroDivisionError"),
        ({"loss": lambda p: p["x"] ** 2 * NOISE.random()}, "other values when it is evaluated"),
        ({"until": "a"}, "until is no array of real numbers"),
        ({"record_at": "x"}, "record_at is no array of real numbers"),
        ({"rtol": "x"}, "must be numbers"),
        ({"options": 3}, "use GenericOptions"),
        ({"quantities": ["q"]}, "quantities must map"),
        ({"quantities": {"q": lambda p: p["w"]}}, "the quantity 'q' cannot be evaluated"),
        ({"start": {"x": [1j]}}, "complex numbers"),
        ({"switches": 3}, "switches is no function"),
        ({"quantities": {"q": lambda p: p["x"][None]}}, "quantity 'q' returns the shape"),
        ({"switches": lambda p, q: p["x"]}, "switches must return a tensor"),
        ({"switches": lambda p: p["x"][None]}, r"switches takes \(params, pattern\)"),
        ({"switches": lambda p, q: p["x"][None]}, "the loss takes"),  # square takes no pattern
    ],
)
def test_bad_input_is_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"loss": square, "start": START, "until": 1.0, **changes}
    with pytest.raises(NumericsError, match=message):
        generic_flow(arguments.pop("loss"), arguments.pop("start"), **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bound": "exact"}, "unknown bound 'exact'"),
        ({"max_steps": 0}, "at least 1"),
        ({"chunk": 0}, "at least 1"),
        ({"first_step": -1.0}, "first_step is -1.0"),
        ({"fixed_step": np.inf}, "fixed_step is inf"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        GenericOptions(**changes)


DATA: dict[str, Any] = {
    "X": [[1.0, 0.0], [0.0, 1.0]],
    "y": [1.0, -1.0],
    "loss_name": "logistic",
    "reduction": "sum",
}


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (TwoLayerReLU, {"h": 0, "bias": False}, "width h is 0"),
        (TwoLayerReLU, {"h": 2, "bias": False, "reduction": "half"}, "use 'sum' or 'mean'"),
        (TwoLayerReLU, {"h": 2, "bias": False, "loss_name": "log"}, "unknown loss 'log'"),
        (TwoLayerReLU, {"h": 2, "bias": False, "y": [1.0, 2.0]}, "labels .* -1 or 1"),
        (TwoLayerReLU, {"h": 2, "bias": False, "y": [1.0]}, "give one per point"),
        (TwoLayerReLU, {"h": 2, "bias": False, "X": [[np.nan, 1.0]] * 2}, "finite numbers"),
        (PowerReLU, {"h": 2, "p": 0.5}, "power p is 0.5"),
        (NormalisedTwoLayer, {"h": 0}, "width h is 0"),
        (DeepLinear, {"widths": (2,)}, "widths is"),
        (DeepLinear, {"widths": (3, 1)}, "the data need"),
        (DiagonalLinear, {"depth": 0}, "depth is 0"),
        (MLP, {"widths": (2, 3, 1), "activation": "sin"}, "unknown activation 'sin'"),
        (DiagonalLinear, {"depth": 2, "loss_name": "squared", "y": [[1.0], [2.0]]}, "one output"),
    ],
)
def test_bad_models_are_refused(model: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        model(**{**DATA, **changes})


def test_the_reduction_has_no_default() -> None:
    with pytest.raises(TypeError, match="reduction"):
        DiagonalLinear(X=DATA["X"], y=DATA["y"], loss_name="logistic", depth=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "loss",
    [
        lambda p: (p["x"] - 0.2).abs(),
        lambda p: torch.relu(p["x"]) ** 2 + p["x"],
        lambda p: torch.stack((p["x"], 0.5 - p["x"])).amax(),
    ],
)
def test_kinks_that_are_not_declared_have_no_bound(loss: Any) -> None:
    with pytest.warns(RuntimeWarning, match="declare it by switches"):
        found = generic_flow(loss, START, until=0.01)
    assert np.isinf(found.radius).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_smooth_losses_need_no_switches() -> None:
    """The derivative of a norm asks whether it is zero, which is no kink to declare."""
    found = generic_flow(
        lambda p: torch.linalg.norm(torch.stack((p["x"], p["x"] ** 2))) + torch.tanh(p["x"]),
        START,
        until=0.01,
    )
    assert found.ok.all() and np.isfinite(found.radius).all()
