"""The interface of an integration engine; ``numerics.flow.integrate`` is one implementation.

A faster engine (compiled, or on a GPU) stands behind the same protocol: it takes a
``FlowProblem``, calls observers with ``StepView``s and returns a ``FlowResult``. Consumers must not
rely on how lanes are grouped into views, only on the order of the steps within a lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from numerics.problem import FlowOptions, FlowProblem, FlowResult
from numerics.views import StepView

Array = NDArray[np.float64]


class Observer(Protocol):
    """Sees every accepted step, exactly once, in order of time within each lane."""

    def on_step(self, step: StepView) -> None:
        """Look at the step; its arrays must not be written to."""
        ...


class Horizon(Protocol):
    """Moves the end times while the integration runs."""

    def __call__(self, step: StepView) -> Array:
        """End times (L,) for ``step.lanes``; a time before the end of the step means "stop now".

        Called after the observers have seen the step.
        """
        ...


class Integrator(Protocol):
    """Integrates the gradient flow of a batch of lanes with an error bound per neuron."""

    def __call__(
        self,
        problem: FlowProblem,
        *,
        until: float | Array,
        observers: Sequence[Observer] = (),
        horizon: Horizon | None = None,
        options: FlowOptions = ...,
    ) -> FlowResult:
        """Integrate from 0 to ``until`` (a number, or one per lane)."""
        ...
