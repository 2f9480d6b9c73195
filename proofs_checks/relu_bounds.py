"""Bounds on the optimum of convex ReLU training: certified, in floats with all patterns, or weak ones without."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from numerics.relu_training import Trained, train
from numerics.relu_training_loss import training_loss
from proofs_checks.certificate import Certificate
from proofs_checks.relu_certificates import certify as certified
from proofs_checks.relu_data import TrainingData
from proofs_checks.relu_network import float_above, objective_interval
from proofs_checks.sign_tree import pricing_bound
from theory.errors import LemmataError

Array = NDArray[np.float64]
_SLACK = 1e-12  # relative: more than the rounding of prices and of dual values
_ROUNDS = 60


@dataclass(frozen=True)
class Bounds:
    """lower <= optimum <= upper; proved where there is a certificate, else ``lower`` is a float's bound."""

    lower: Fraction
    upper: Fraction
    certificate: Certificate | None
    reason: str

    @property
    def relative_gap(self) -> float:
        """(upper - lower) / upper, rounded up; 0 where both are 0."""
        return max(float_above((self.upper - self.lower) / self.upper), 0.0) if self.upper else 0.0


def enclose(
    data: TrainingData,
    beta: Fraction,
    W: Array,
    v: Array,
    found: Trained,
    *,
    length: float | None,
    certify: bool,
    limit: int,
) -> Bounds:
    """Bounds from a network and the dual vector of ``found``; ``length`` is M(nu) over all u, if known."""
    reason = ""
    if certify:
        proof = certified(data.X, data.y, beta, data.loss, W, v, found.nu, limit=limit)
        if proof.certificate is not None:
            return Bounds(proof.lower, proof.upper, proof.certificate, "")
        reason = f"not proved: {proof.reason}"
    weights = tuple(tuple(Fraction(float(a)) for a in row) for row in W)
    outputs = tuple(Fraction(float(a)) for a in v)
    upper = objective_interval(data.X, data.y, beta, data.loss, weights, outputs)[1]
    known = _longest(data.X_float, found.nu) if length is None else length
    nu = found.nu * min(1.0, float(beta) / known if known > 0 else 1.0) * (1 - _SLACK)
    kind = training_loss(data.loss)
    nu = kind.best_scale(nu, data.y_float, 1.0) * nu
    value = kind.dual_value(nu, data.y_float)
    size = float(np.abs(nu) @ np.abs(data.y_float) + nu @ nu) + len(nu) * (data.loss == "logistic")
    lower = max(value - _SLACK * size, 0.0)
    return Bounds(min(Fraction(lower), upper), upper, None, reason)


@dataclass(frozen=True)
class Grown:
    """A solution over more patterns; ``length`` is M(nu) over *all* u where that could be computed, else None."""

    found: Trained
    cells: NDArray[np.bool_]
    length: float | None


def grow(
    data: TrainingData,
    beta: float,
    cells: NDArray[np.bool_],
    found: Trained,
    limit: int,
) -> Grown:
    """More patterns for an incomplete list, from neurons that pay more than beta, while such can be found.

    The price over all u needs the cells of the rows with nu_i of one sign only; where even those are
    more than ``limit``, the list stays as it is.
    """
    price = None
    for _ in range(_ROUNDS):
        try:
            price, direction = pricing_bound(data.X, found.nu.tolist(), limit=limit)
        except LemmataError:
            break
        new = (data.X_float @ direction > 0)[None]
        if price <= beta * (1 + 1e-12) or (cells == new).all(axis=1).any():
            break
        cells = np.concatenate([cells, new])
        found = train(data.X_float, data.y_float, beta, cells, loss=data.loss, start=found)
        price = None
    return Grown(found, cells, price)


def greatest_beta(data: TrainingData, limit: int) -> float | None:
    """beta_max without a list of patterns, or None where that has too many cells."""
    kind = training_loss(data.loss)
    nu = kind.dual(np.zeros_like(data.y_float), data.y_float)
    try:
        return pricing_bound(data.X, nu.tolist(), limit=limit)[0]
    except LemmataError:
        return None


def _longest(X: Array, nu: Array) -> float:
    """A bound on M(nu) that needs no patterns: ||X||_2 max(||nu_+||, ||nu_-||)."""
    part = max(np.linalg.norm(np.maximum(nu, 0.0)), np.linalg.norm(np.minimum(nu, 0.0)))
    return float(np.linalg.norm(X, 2) * part) * (1 + 1e-9)
