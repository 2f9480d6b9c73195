"""Measurement: trajectories of two-layer ReLU networks with error bounds."""

from __future__ import annotations

from numerics.errors import NumericsError
from numerics.flow import integrate
from numerics.interface import Horizon, Integrator, Observer
from numerics.losses import Loss, loss, loss_names
from numerics.problem import FlowOptions, FlowProblem, FlowResult, FlowStatus, Kink
from numerics.views import StepView

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
