"""Losses l(y, f) of one data point, with everything an integrator needs of them.

For each loss, with g = -dl/df:

* ``value(f, y)``: l itself;
* ``g(f, y)``: the force on the output;
* ``deviation(f, y)``: g(f) - g(0) to full *relative* accuracy, also for f = 1e-300. For
  ``exponential`` and ``logistic2`` g(0) = y, so that this is the g - y of the early phase;
* ``slope_bound(lo, hi, y)``: the maximum of |dg/df| over lo <= f <= hi;
* ``series(y, order)``: the recurrence for the Taylor coefficients of g(f(t)).

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


class LossSeries(Protocol):
    """Taylor coefficients of g(f(t)), one order at a time, for a batch of lanes."""

    def extend(self, k: int, f: Array) -> Array:
        """Coefficient k of g, shape (L, n), given f: (L, >k, n). Call with k = 0, 1, 2, ..."""
        ...


class Loss(Protocol):
    """What an integrator asks of a loss; see the module's docstring."""

    @property
    def name(self) -> str: ...
    @property
    def signed_labels(self) -> bool: ...
    def value(self, f: Array, y: Array) -> Array: ...
    def g(self, f: Array, y: Array) -> Array: ...
    def deviation(self, f: Array, y: Array) -> Array: ...
    def slope_bound(self, lo: Array, hi: Array, y: Array) -> Array: ...
    def series(self, y: Array, lanes: int, order: int) -> LossSeries: ...


def _convolve(a: Array, b: Array, k: int, start: int = 0) -> Array:
    """sum_{m=start..k} a_m b_{k-m} for a, b: (L, >k, n); shape (L, n)."""
    product: Array = a[:, start : k + 1] * b[:, k - start :: -1]
    return product.sum(axis=1)


class _ExponentialSeries:
    """g = y e^{-yf} solves g' = -y f' g."""

    def __init__(self, y: Array, lanes: int, order: int) -> None:
        self._y = y
        self._mf = np.zeros((lanes, order + 1, y.size))
        self._g = np.zeros((lanes, order + 1, y.size))

    def extend(self, k: int, f: Array) -> Array:
        if k == 0:
            self._g[:, 0] = self._y * np.exp(-self._y * f[:, 0])
        else:
            self._mf[:, k] = k * f[:, k]
            self._g[:, k] = (-self._y / k) * _convolve(self._mf, self._g, k, 1)
        return self._g[:, k]


class _LogisticSeries:
    """g = c y q with q = 1/(1+e^{yf}) and q' = -y f' q (1-q)."""

    def __init__(self, y: Array, lanes: int, order: int, factor: float) -> None:
        self._y = y
        self._factor = factor
        shape = (lanes, order + 1, y.size)
        self._mf, self._q, self._p, self._qp = (np.zeros(shape) for _ in range(4))

    def extend(self, k: int, f: Array) -> Array:
        if k == 0:
            self._q[:, 0] = _sigmoid(-self._y * f[:, 0])
            self._p[:, 0] = _sigmoid(self._y * f[:, 0])
        else:
            self._mf[:, k] = k * f[:, k]
            self._q[:, k] = (-self._y / k) * _convolve(self._mf, self._qp, k, 1)
            self._p[:, k] = -self._q[:, k]
        self._qp[:, k] = _convolve(self._q, self._p, k)
        return self._factor * self._y * self._q[:, k]


class _SquaredSeries:
    """g = 2 (y - f) is affine in f."""

    def __init__(self, y: Array) -> None:
        self._y = y

    def extend(self, k: int, f: Array) -> Array:
        if k == 0:
            return 2.0 * (self._y - f[:, 0])
        return -2.0 * f[:, k]


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

    def deviation(self, f: Array, y: Array) -> Array:
        return y * np.expm1(-y * f)

    def slope_bound(self, lo: Array, hi: Array, y: Array) -> Array:
        return np.exp(-np.minimum(y * lo, y * hi))

    def series(self, y: Array, lanes: int, order: int) -> LossSeries:
        return _ExponentialSeries(y, lanes, order)


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

    def deviation(self, f: Array, y: Array) -> Array:
        # 1/(1+e^a) - 1/2 = -tanh(a/2)/2
        return -0.5 * self.factor * y * np.tanh(0.5 * y * f)

    def slope_bound(self, lo: Array, hi: Array, y: Array) -> Array:
        # |dg/df| = c q (1-q) decreases with |f|, so the point nearest to zero decides.
        nearest = np.where((lo <= 0) & (hi >= 0), 0.0, np.minimum(np.abs(lo), np.abs(hi)))
        small = np.exp(-nearest)
        return self.factor * small / (1.0 + small) ** 2

    def series(self, y: Array, lanes: int, order: int) -> LossSeries:
        return _LogisticSeries(y, lanes, order, self.factor)


@dataclass(frozen=True)
class Squared:
    """l = (f-y)^2, g = 2 (y-f), for real labels."""

    name: str = "squared"
    signed_labels: bool = False

    def value(self, f: Array, y: Array) -> Array:
        return (f - y) ** 2

    def g(self, f: Array, y: Array) -> Array:
        return 2.0 * (y - f)

    def deviation(self, f: Array, y: Array) -> Array:
        return -2.0 * f + 0.0 * y

    def slope_bound(self, lo: Array, hi: Array, y: Array) -> Array:
        return np.full(np.broadcast_shapes(lo.shape, hi.shape, y.shape), 2.0)

    def series(self, y: Array, lanes: int, order: int) -> LossSeries:
        return _SquaredSeries(y)


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
