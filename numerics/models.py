"""Models in torch for ``numerics.generic_flow``: network, data, loss and reduction in one object.

Each model is a frozen dataclass with

* ``shapes``: the shapes of its parameters, by name;
* ``loss(params, pattern=None)``: the training loss of one trajectory, a scalar;
* ``switches(params, pattern=None)``: (S,) the functions at whose zeros the gradient jumps, or
  ``None`` in place of the method where the loss is smooth;
* ``output(params, pattern=None)``: the outputs on the data points, (n,) or (n, k).

Use them as ``generic_flow(model.loss, start, switches=model.switches, until=...)``.

``pattern`` holds the activations (S,) in the order of ``switches``; None means the true ones. The
losses keep the conventions of ``numerics.losses`` (l(y, f), g = -dl/df; "logistic2" is twice the
logistic loss; "squared" is (f - y)^2 without 1/2), with "hinge", max(0, 1 - y f), beside them.
``reduction`` has no default: "sum" or "mean" over the data points.

All of these need torch, which this module imports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from numerics.errors import NumericsError
from numerics.models_base import LOSSES, REDUCTIONS, Model, Network, Params, Supervised, gate

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "MLP",
    "REDUCTIONS",
    "DeepLinear",
    "DiagonalLinear",
    "Model",
    "NormalisedTwoLayer",
    "PowerReLU",
    "TwoLayerReLU",
]


def _width(h: int) -> None:
    if h < 1:
        raise NumericsError(f"the width h is {h}; give at least 1")


def _scalar_labels(model: Supervised) -> None:
    if model.y.ndim != 1:
        raise NumericsError(f"y has shape {model.y.shape}; this model has one output, give (n,)")


@dataclass(frozen=True, kw_only=True)
class TwoLayerReLU(Network):
    """f(x) = sum_j v_j relu(<W_j, x> + b_j) with W: (h, d), v: (h,) and, with ``bias``, b: (h,).

    Switches: z_ij = <W_j, x_i> + b_j, point by point: S = n h.
    """

    h: int
    bias: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        _width(self.h)
        _scalar_labels(self)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """W: (h, d), v: (h,) and b: (h,)."""
        bias = {"b": (self.h,)} if self.bias else {}
        return {"W": (self.h, self.X.shape[1]), "v": (self.h,), **bias}

    @property
    def _kinked(self) -> bool:
        return True

    def _forward(self, params: Params, pattern: Tensor | None) -> tuple[Tensor, Tensor]:
        X, _ = self._data(params["W"])
        z = X @ params["W"].T
        if self.bias:
            z = z + params["b"]
        active = None if pattern is None else pattern[: z.numel()]
        return gate(z, active) @ params["v"], z.reshape(-1)


@dataclass(frozen=True, kw_only=True)
class PowerReLU(Network):
    """f(x) = sum_j v_j max(<W_j, x>, 0)^p / |W_j|^(p-1) with W: (h, d), v: (h,); p >= 1.

    Homogeneous of degree 1 in W_j; with ``normalised=False`` the division is left out and the
    degree is p. Switches: <W_j, x_i>, S = n h. For p that are no integers the model has no smooth
    continuation beyond a switch; the power of |z| stands in for it.
    """

    h: int
    p: float
    normalised: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _width(self.h)
        _scalar_labels(self)
        if not (np.isfinite(self.p) and self.p >= 1):
            raise NumericsError(f"the power p is {self.p}; use a finite number of at least 1")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """W: (h, d) and v: (h,)."""
        return {"W": (self.h, self.X.shape[1]), "v": (self.h,)}

    @property
    def _kinked(self) -> bool:
        return True

    def _forward(self, params: Params, pattern: Tensor | None) -> tuple[Tensor, Tensor]:
        W = params["W"]
        X, _ = self._data(W)
        z = X @ W.T
        gated = gate(z, None if pattern is None else pattern[: z.numel()])
        whole = float(self.p).is_integer()
        power = gated ** int(self.p) if whole else torch.sign(gated) * torch.abs(gated) ** self.p
        if self.normalised and self.p > 1:
            power = power / (W * W).sum(dim=1) ** (0.5 * (self.p - 1.0))
        return power @ params["v"], z.reshape(-1)


@dataclass(frozen=True, kw_only=True)
class NormalisedTwoLayer(Network):
    """f(x) = sum_j a_j b_j relu(<V_j / |V_j|, x>) with V: (h, d), a, b: (h,).

    Switches: <V_j, x_i>, S = n h.
    """

    h: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _width(self.h)
        _scalar_labels(self)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """V: (h, d), a: (h,) and b: (h,)."""
        return {"V": (self.h, self.X.shape[1]), "a": (self.h,), "b": (self.h,)}

    @property
    def _kinked(self) -> bool:
        return True

    def _forward(self, params: Params, pattern: Tensor | None) -> tuple[Tensor, Tensor]:
        V = params["V"]
        X, _ = self._data(V)
        z = X @ V.T
        gated = gate(z, None if pattern is None else pattern[: z.numel()])
        weights = params["a"] * params["b"] / torch.sqrt((V * V).sum(dim=1))
        return gated @ weights, z.reshape(-1)


@dataclass(frozen=True, kw_only=True)
class DeepLinear(Network):
    """f(x) = W_L ... W_1 x with W_k: (widths[k], widths[k-1]), ``widths`` = (d, ..., outputs).

    The parameters are called W1 to WL. With one output and labels (n,), f is (n,); with the loss
    "squared" and labels (n, k) it is (n, k), and the loss of a point is summed over the outputs.
    """

    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "widths", tuple(self.widths))
        _check_widths(self, self.widths)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Wk: (widths[k], widths[k-1])."""
        return {f"W{k}": (b, a) for k, (a, b) in enumerate(pairwise(self.widths), start=1)}

    def _forward(self, params: Params, pattern: Tensor | None) -> tuple[Tensor, Tensor]:
        layer, _ = self._data(params["W1"])
        for name in self.shapes:
            layer = layer @ params[name].T
        return (layer[:, 0] if self.y.ndim == 1 else layer), layer.new_zeros(0)


def _check_widths(model: Supervised, widths: tuple[int, ...]) -> None:
    outputs = 1 if model.y.ndim == 1 else model.y.shape[1]
    if len(widths) < 2 or min(widths) < 1:
        raise NumericsError(f"widths is {widths}; give (d, ..., outputs), each at least 1")
    if (widths[0], widths[-1]) != (model.X.shape[1], outputs):
        raise NumericsError(
            f"widths is {widths}; the data need ({model.X.shape[1]}, ..., {outputs})"
        )


@dataclass(frozen=True, kw_only=True)
class DiagonalLinear(Network):
    """f(x) = <u^L - v^L, x> with entrywise powers; u, v: (d,), depth L >= 1."""

    depth: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _scalar_labels(self)
        if self.depth < 1:
            raise NumericsError(f"depth is {self.depth}; give an integer of at least 1")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """u: (d,) and v: (d,)."""
        return {"u": (self.X.shape[1],), "v": (self.X.shape[1],)}

    def _forward(self, params: Params, pattern: Tensor | None) -> tuple[Tensor, Tensor]:
        X, _ = self._data(params["u"])
        return X @ (params["u"] ** self.depth - params["v"] ** self.depth), X.new_zeros(0)


_SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
}
ACTIVATIONS = ("relu", *_SMOOTH)


@dataclass(frozen=True, kw_only=True)
class MLP(Network):
    """A fully connected network with biases and an activation after each layer but the last.

    ``widths`` = (d, ..., outputs); parameters Wk: (widths[k], widths[k-1]), bk: (widths[k],).
    Switches, for "relu": the pre-activations of all hidden layers, layer by layer, point by point.
    """

    widths: tuple[int, ...]
    activation: str

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "widths", tuple(self.widths))
        _check_widths(self, self.widths)
        if self.activation not in ACTIVATIONS:
            raise NumericsError(
                f"unknown activation {self.activation!r}; use one of: {', '.join(ACTIVATIONS)}"
            )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Wk: (widths[k], widths[k-1]) and bk: (widths[k],)."""
        shapes: dict[str, tuple[int, ...]] = {}
        for k, (a, b) in enumerate(pairwise(self.widths), start=1):
            shapes |= {f"W{k}": (b, a), f"b{k}": (b,)}
        return shapes

    @property
    def _kinked(self) -> bool:
        return self.activation == "relu"

    def _forward(self, params: Params, pattern: Tensor | None) -> tuple[Tensor, Tensor]:
        layer, _ = self._data(params["W1"])
        last = len(self.widths) - 1
        hidden: list[Tensor] = [layer.new_zeros(0)]
        seen = 0
        for k in range(1, last + 1):
            z = layer @ params[f"W{k}"].T + params[f"b{k}"]
            if k == last:
                return (z[:, 0] if self.y.ndim == 1 else z), torch.cat(hidden)
            if self._kinked:
                active = None if pattern is None else pattern[seen : seen + z.numel()]
                hidden.append(z.reshape(-1))
                seen += z.numel()
                layer = gate(z, active)
            else:
                layer = _SMOOTH[self.activation](z)
        raise NumericsError("widths needs an input and an output; give at least two")
