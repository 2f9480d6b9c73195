"""Measurement: trajectories of two-layer ReLU networks with error bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numerics.errors import NumericsError
from numerics.interface import Horizon, Integrator, Observer
from numerics.losses import Loss, loss, loss_names
from numerics.problem import FlowOptions, FlowProblem, FlowResult, FlowStatus, Kink
from numerics.views import StepView

if TYPE_CHECKING:
    from numerics.flow import integrate

__all__ = [
    "FlowOptions",
    "FlowProblem",
    "FlowResult",
    "FlowStatus",
    "Horizon",
    "Integrator",
    "Kink",
    "Loss",
    "NumericsError",
    "Observer",
    "StepView",
    "integrate",
    "loss",
    "loss_names",
]


def __getattr__(name: str) -> Any:
    """The engine loads on first use: numba takes as long as everything else together."""
    if name != "integrate":
        raise AttributeError(f"module 'numerics' has no attribute {name!r}")
    from numerics.flow import integrate

    globals()[name] = integrate  # the next access does not come here
    return integrate
