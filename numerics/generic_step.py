"""One attempted step of DOP853 in a batch of lanes, each with its own length.

``Stepper`` runs it eagerly or, with ``compiled``, as one graph made by ``torch.compile``. A graph
is made per shape, so that a compiled batch is padded to a power of four. Where compilation fails,
a warning says so and the eager step is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from numerics.generic_tableau import ESTIMATES, NODE_WEIGHTS, SLOPES, STAGE_ROWS, STAGES

Slope = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Attempt:
    """An attempted step; R lanes, N parameters.

    Args:
        end: (R, N) the state after the step. slopes: (16, R, N). nodes: (9, R, N) the dense output
            in the nodes. error: (R,) the estimated Euclidean error of the step.
    """

    end: Tensor
    slopes: Tensor
    nodes: Tensor
    error: Tensor


def attempt(
    slope: Slope, y: Tensor, first: Tensor, h: Tensor, pattern: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The fields of ``Attempt`` for states y: (R, N), slopes there, lengths h: (R,)."""
    table = torch.as_tensor(STAGE_ROWS, dtype=y.dtype, device=y.device)
    length = h[:, None]
    slopes = [first]
    end = y
    for i in range(1, SLOPES):
        at = y + length * torch.tensordot(table[i, :i], torch.stack(slopes), dims=1)
        if i == STAGES:
            end = at
        slopes.append(slope(at, pattern))
    stacked = torch.stack(slopes)
    weights = torch.as_tensor(NODE_WEIGHTS, dtype=y.dtype, device=y.device)
    nodes = y + length * torch.tensordot(weights, stacked, dims=1)
    estimates = torch.as_tensor(ESTIMATES, dtype=y.dtype, device=y.device)
    fifth, third = torch.linalg.vector_norm(torch.tensordot(estimates, stacked, dims=1), dim=2)
    # Hairer's combination: of order 8 where both estimates behave, and never 0/0.
    both = torch.sqrt(fifth**2 + 0.01 * third**2)
    error = h * torch.where(both > 0, fifth**2 / both, both)
    return end, stacked, nodes, error


def _compiled() -> Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]:
    """``attempt`` behind torch.compile, with graphs of its own.

    torch counts graphs per code object and gives up, quietly unless a full graph is asked for,
    when there are many: a copy of the code starts from zero.
    """
    copy = FunctionType(attempt.__code__.replace(co_name="attempt_compiled"), attempt.__globals__)
    return torch.compile(copy, dynamic=False, fullgraph=True)


class Stepper:
    """Attempts steps; see the module's docstring."""

    def __init__(self, slope: Slope, *, compiled: bool) -> None:
        self.slope = slope
        self.compiled = compiled
        self._graph = _compiled() if compiled else None

    def __call__(self, y: Tensor, first: Tensor, h: Tensor, pattern: Tensor) -> Attempt:
        """One attempt from y: (R, N) with slopes ``first`` and lengths h: (R,)."""
        if self._graph is not None:
            try:
                return self._padded(self._graph, y, first, h, pattern)
            except Exception as error:  # whatever a compiler or the user's code raises under it
                warnings.warn(
                    f"torch.compile failed, so the eager step is used: {type(error).__name__}: "
                    f"{str(error).splitlines()[0] if str(error) else ''}; pass compile=False to "
                    "silence this, or simplify the loss",
                    RuntimeWarning,
                    stacklevel=2,
                )
                self._graph, self.compiled = None, False
        return Attempt(*attempt(self.slope, y, first, h, pattern))

    def _padded(
        self, graph: Callable[..., Any], y: Tensor, first: Tensor, h: Tensor, pattern: Tensor
    ) -> Attempt:
        rows = y.shape[0]
        size = 1
        while size < rows:
            size *= 4
        index = torch.arange(size, device=y.device).clamp(max=rows - 1)
        padded = (a[index] for a in (y, first, h, pattern))
        end, slopes, nodes, error = graph(self.slope, *padded)
        return Attempt(end[:rows], slopes[:, :rows], nodes[:, :rows], error[:rows])
