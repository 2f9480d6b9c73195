"""Losses l(y, f) of one data point, by name.

``value(f, y)`` is l itself, ``g(f, y)`` = -dl/df the force on the output. The flow engine has its own compiled
versions, with bounds and series (``numerics.compiled_field``).

All losses are convex in f. That is used: the part of the Hessian of the training loss that comes
from l'' is positive semidefinite, and drops out of the one-sided Lipschitz bound in
``numerics.compiled_bounds``.

All functions act elementwise on float64 arrays that broadcast; y is +-1 except for ``squared``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Array = NDArray[np.float64]


class Loss(Protocol):
    """A loss and its derivative; see the module's docstring."""

    @property
    def name(self) -> str: ...
    @property
    def signed_labels(self) -> bool: ...
    def value(self, f: Array, y: Array) -> Array: ...
    def g(self, f: Array, y: Array) -> Array: ...


def _sigmoid(a: Array) -> Array:
    """1/(1+e^{-a}) without overflow and with full relative accuracy on both tails."""
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, small) / (1.0 + small)


@dataclass(frozen=True)
class Exponential:
    """l = e^{-yf}, g = y e^{-yf}."""

    name: str = "exponential"
    signed_labels: bool = True

    def value(self, f: Array, y: Array) -> Array:
        return np.exp(-y * f)

    def g(self, f: Array, y: Array) -> Array:
        return y * np.exp(-y * f)


@dataclass(frozen=True)
class Logistic:
    """l = c log(1+e^{-yf}), g = c y/(1+e^{yf}); c = 2 makes g(0) = y."""

    name: str
    factor: float
    signed_labels: bool = True

    def value(self, f: Array, y: Array) -> Array:
        return self.factor * np.logaddexp(0.0, -y * f)

    def g(self, f: Array, y: Array) -> Array:
        return self.factor * y * _sigmoid(-y * f)


@dataclass(frozen=True)
class Squared:
    """l = (f-y)^2, g = 2 (y-f), for real labels."""

    name: str = "squared"
    signed_labels: bool = False

    def value(self, f: Array, y: Array) -> Array:
        return (f - y) ** 2

    def g(self, f: Array, y: Array) -> Array:
        return 2.0 * (y - f)


_REGISTRY: dict[str, Loss] = {
    loss.name: loss
    for loss in (Exponential(), Logistic("logistic2", 2.0), Logistic("logistic", 1.0), Squared())
}


def loss_names() -> tuple[str, ...]:
    """The names that ``loss(name)`` knows."""
    return tuple(_REGISTRY)


def loss(name: str) -> Loss:
    """The loss called ``name``.

    Raises:
        NumericsError: unknown name; the message lists the known ones.
    """
    try:
        return _REGISTRY[name]
    except (KeyError, TypeError):
        known = ", ".join(_REGISTRY)
        raise NumericsError(f"unknown loss {name!r}; use one of: {known}") from None
