"""The interface of the integration engine: ``numerics.flow.integrate`` implements ``Integrator``.

The engine takes a ``FlowProblem``, calls observers with ``StepView``s and returns a ``FlowResult``. A view
is a block of steps: rows sorted by lane, then by time, up to as many consecutive steps of each running lane
as fit (a number that depends on the shape of the problem alone). Consumers must not rely on how steps are
grouped into views, only on their order within a lane.
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
        """Look at the steps; their arrays must not be written to."""
        ...


class Horizon(Protocol):
    """Moves the end times while the integration runs."""

    def __call__(self, step: StepView) -> Array:
        """End times (R,) for ``step.lanes``; the one in a lane's last row counts.

        Called after the observers have seen the block. The lane ends with the first of its steps that
        reaches its end time; steps behind that one have been seen, but the result does not contain them.
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
