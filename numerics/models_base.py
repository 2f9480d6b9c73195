"""What the models of ``numerics.models`` share: data, losses, reductions, activation patterns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from numerics.descent_types import real_array
from numerics.errors import NumericsError

Array = NDArray[np.float64]
Params = Mapping[str, Tensor]

REDUCTIONS = ("sum", "mean")
_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exponential": lambda f, y: torch.exp(-y * f),
    "logistic": lambda f, y: torch.logaddexp(torch.zeros_like(f), -y * f),
    "logistic2": lambda f, y: 2.0 * torch.logaddexp(torch.zeros_like(f), -y * f),
    "squared": lambda f, y: (f - y) ** 2,
}
LOSSES = (*_LOSSES, "hinge")


class Model(Protocol):
    """What the models of this module have in common."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]: ...
    @property
    def switches(self) -> Callable[..., Tensor] | None: ...
    def loss(self, params: Params, pattern: Tensor | None = None) -> Tensor: ...
    def output(self, params: Params, pattern: Tensor | None = None) -> Tensor: ...


def _finite(name: str, value: ArrayLike, dimensions: tuple[int, ...]) -> Array:
    try:
        array = real_array(value)
    except (TypeError, ValueError) as error:
        raise NumericsError(f"{name} is not an array of real numbers: {error}") from None
    if array.ndim not in dimensions or array.size == 0 or not np.isfinite(array).all():
        raise NumericsError(
            f"{name} has shape {array.shape}; give finite numbers with "
            f"{' or '.join(map(str, dimensions))} axes, none of them empty"
        )
    return array


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """Data, loss and reduction.

    Args:
        X: (n, d). y: (n,) labels, +-1 except for "squared"; (n, k) for "squared" with k outputs.
        loss_name: one of ``LOSSES``. reduction: "sum" or "mean" over the data points.

    Raises:
        NumericsError: arrays, labels, a loss or a reduction that cannot be used.
    """

    X: Array
    y: Array
    loss_name: str
    reduction: str
    _placed: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", _finite("X", self.X, (2,)))
        object.__setattr__(self, "y", _finite("y", self.y, (1, 2)))
        if self.y.shape[0] != self.X.shape[0]:
            raise NumericsError(
                f"y has {self.y.shape[0]} labels for {self.X.shape[0]} points; give one per point"
            )
        if self.loss_name not in LOSSES:
            raise NumericsError(f"unknown loss {self.loss_name!r}; use one of: {', '.join(LOSSES)}")
        if self.reduction not in REDUCTIONS:
            raise NumericsError(f"unknown reduction {self.reduction!r}; use 'sum' or 'mean'")
        if self.loss_name != "squared" and not (self.y.ndim == 1 and np.all(np.abs(self.y) == 1.0)):
            raise NumericsError(
                f"the loss {self.loss_name!r} needs labels (n,) that are -1 or 1; "
                "use these, or the loss 'squared'"
            )

    def _data(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """X and y with the device and the type of a parameter."""
        key = (like.device, like.dtype)
        if key not in self._placed:
            self._placed[key] = (
                torch.tensor(self.X, dtype=like.dtype, device=like.device),
                torch.tensor(self.y, dtype=like.dtype, device=like.device),
            )
        return self._placed[key]

    def _total(self, f: Tensor, y: Tensor, above: Tensor | None) -> Tensor:
        """The reduced loss of outputs f; ``above`` holds 1[y f < 1] for the hinge loss."""
        if self.loss_name == "hinge":
            short = 1.0 - y * f
            losses = torch.where(short > 0 if above is None else above, short, 0.0)
        else:
            losses = _LOSSES[self.loss_name](f, y)
        return losses.sum() if self.reduction == "sum" else losses.sum() / self.X.shape[0]


def gate(z: Tensor, active: Tensor | None) -> Tensor:
    """relu(z), with the activations given."""
    return torch.where(z > 0 if active is None else active.reshape(z.shape), z, 0.0)


@dataclass(frozen=True, kw_only=True)
class Network(Supervised):
    """A model whose hidden activations switch (``_hidden`` of them), and the hinge's after these."""

    def output(self, params: Params, pattern: Tensor | None = None) -> Tensor:
        """Outputs on the data points."""
        return self._forward(params, pattern)[0]

    def loss(self, params: Params, pattern: Tensor | None = None) -> Tensor:
        """The training loss of one trajectory."""
        f, hidden = self._forward(params, pattern)
        _, y = self._data(f)
        return self._total(f, y, None if pattern is None else pattern[hidden.shape[0] :])

    @property
    def switches(self) -> Callable[..., Tensor] | None:
        """The switch functions (S,), or None where the loss is smooth."""
        return self._switches if self._kinked or self.loss_name == "hinge" else None

    def _switches(self, params: Params, pattern: Tensor | None = None) -> Tensor:
        f, hidden = self._forward(params, pattern)
        if self.loss_name != "hinge":
            return hidden
        _, y = self._data(f)
        return torch.cat((hidden, 1.0 - y * f))

    @property
    def _kinked(self) -> bool:
        return False

    def _forward(self, params: Params, pattern: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs and the hidden switch functions (flat)."""
        raise NotImplementedError

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters of one trajectory."""
        raise NotImplementedError
