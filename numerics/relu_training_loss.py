"""Training losses with what convex training needs of them: value, dual vector, curvature, dual value.

``squared``: 1/2 ||f - y||^2.  ``logistic``: sum_i log(1 + exp(-y_i f_i)), y_i = +-1.  With
nu = -gradient at f, every network (W, v) obeys loss >= dual_value(nu) - nu^T f (Fenchel-Young).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Array = NDArray[np.float64]


class TrainingLoss(Protocol):
    """All methods take f, nu, y of shape (n,)."""

    @property
    def name(self) -> str: ...
    def value(self, f: Array, y: Array) -> float: ...
    def dual(self, f: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]: ...  # in the precision of f
    def curvature(self, f: Array, y: Array) -> Array: ...
    def dual_value(self, nu: Array, y: Array) -> float: ...
    def best_scale(self, nu: Array, y: Array, most: float) -> float: ...


@dataclass(frozen=True)
class Squared:
    """1/2 ||f - y||^2."""

    name: str = "squared"

    def value(self, f: Array, y: Array) -> float:
        return 0.5 * float(np.sum((f - y) ** 2))

    def dual(self, f: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        return y - f

    def curvature(self, f: Array, y: Array) -> Array:
        return np.ones_like(y)

    def dual_value(self, nu: Array, y: Array) -> float:
        return float(y @ nu - 0.5 * (nu @ nu))

    def best_scale(self, nu: Array, y: Array, most: float) -> float:
        """The tau in [0, most] for which dual_value(tau nu) is largest."""
        square = float(nu @ nu)
        return min(most, max(float(y @ nu) / square, 0.0)) if square > 0 else 0.0


@dataclass(frozen=True)
class Logistic:
    """sum log(1 + exp(-y f)); the dual vector has y_i nu_i in [0, 1], and its value is their entropy."""

    name: str = "logistic"

    def value(self, f: Array, y: Array) -> float:
        return float(np.logaddexp(0.0, -y * f).sum())

    def dual(self, f: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        from scipy.special import expit

        nu: NDArray[Any] = y * expit(-y * f)
        return nu

    def curvature(self, f: Array, y: Array) -> Array:
        from scipy.special import expit

        slopes: Array = expit(y * f) * expit(-y * f)
        return slopes

    def dual_value(self, nu: Array, y: Array) -> float:
        from scipy.special import entr

        q = y * nu
        return float((entr(q) + entr(1.0 - q)).sum())

    def best_scale(self, nu: Array, y: Array, most: float) -> float:
        """A tau in [0, min(most, 1)]: nu is a gradient, so that longer multiples are no better at an optimum."""
        return min(most, 1.0)


LOSSES: dict[str, TrainingLoss] = {"squared": Squared(), "logistic": Logistic()}


def training_loss(name: str) -> TrainingLoss:
    """The loss of that name; raises `NumericsError` for another."""
    if name not in LOSSES:
        raise NumericsError(f"unknown loss {name!r}: choose one of {', '.join(LOSSES)}")
    return LOSSES[name]
