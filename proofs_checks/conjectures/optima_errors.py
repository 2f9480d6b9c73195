"""How far optima move when their data are known within an error only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from proofs_checks.batch import Float
from proofs_checks.conjectures.optima import FEATURES, RELU

UP, DOWN = 1.0 + 2.0**-40, 1.0 - 2.0**-40  # more than the rounding of the formulas below


class Interval(Protocol):
    """Two ends."""

    @property
    def lower(self) -> Fraction: ...

    @property
    def upper(self) -> Fraction: ...


def perturbed(
    parameters: Mapping[str, Any], bounds: Interval, args: Sequence[tuple[Float, Float]]
) -> tuple[float, float]:
    """Bounds of the optimum for all arguments (mid, rad), from bounds for the mid ones; infinite where none is known.

    With U an upper bound: a network attains it with Σ_j |v_j| ‖w_j‖ <= U/beta, so that moving the points by E (in the
    Frobenius norm) moves its outputs by E U/beta at most; a weight decay that grows by a factor grows an optimum by
    that factor at most; and ½ ‖f - y‖² = ℓ grows by √(2ℓ) δ + δ²/2 when f - y moves by δ. Margins: functions of a unit
    ball are Lipschitz ("f1"), and |f(x) - f(z)|² <= ‖K_x - K_z‖² <= δ²/2 + δ max(‖x‖, ‖z‖)/2 ("f2").
    """
    low, high = _outwards(bounds.lower, bounds.upper)
    if not any(rad.any() for _, rad in args):
        return low, high
    if not all(np.isfinite(rad).all() for _, rad in args):
        return -math.inf, math.inf
    mid = dict(zip(parameters["arguments"], (a for a, _ in args), strict=True))
    rad = dict(zip(parameters["arguments"], (r for _, r in args), strict=True))
    fixed = parameters["fixed"]
    if parameters["certificate"] == RELU:
        return _relu(fixed["loss"], low, high, mid, rad)
    if parameters["certificate"] == FEATURES:
        return _features(fixed["multiplicities"], low, high, mid, rad)
    return _margin(fixed["space"], low, high, mid, rad)


def _relu(
    loss: str, low: float, high: float, mid: Mapping[str, Float], rad: Mapping[str, Float]
) -> tuple[float, float]:
    beta, change = float(mid["beta"]), float(rad["beta"])
    least = (beta - change) * DOWN
    if least <= 0 or (loss == "logistic" and rad["y"].any()):
        return -math.inf, math.inf
    moved, targets = float(np.linalg.norm(rad["X"])) * UP, float(np.linalg.norm(rad["y"])) * UP
    grown = (1 + change / least) * UP

    def gain(value: float, decay: float) -> float:
        """By how much the loss of a network of this value grows."""
        delta = value / decay * moved
        if loss == "logistic":
            return math.sqrt(len(mid["y"])) * delta * UP
        delta += targets
        return (math.sqrt(2 * value) * delta + delta * delta / 2) * UP

    upper = grown * (high + gain(high, beta)) * UP
    return low / grown * DOWN - gain(upper, least), upper


def _features(
    counts: Sequence[int],
    low: float,
    high: float,
    mid: Mapping[str, Float],
    rad: Mapping[str, Float],
) -> tuple[float, float]:
    relative = max(float(rad[k]) / float(mid[k]) for k in ("lambda_w", "lambda_h")) * UP
    if relative >= 1:
        return -math.inf, math.inf
    delta = 0.0
    if "targets" in rad:
        squares = (rad["targets"] ** 2).sum(axis=1)
        delta = math.sqrt(float(np.dot(squares, counts)) / sum(counts)) * UP

    def gain(value: float) -> float:
        return (math.sqrt(2 * value) * delta + delta * delta / 2) * UP

    upper = (1 + relative) * (high + gain(high)) * UP
    return (1 - relative) * low * DOWN - gain(upper), upper


def _margin(
    space: str, low: float, high: float, mid: Mapping[str, Float], rad: Mapping[str, Float]
) -> tuple[float, float]:
    if rad["labels"].any():
        return -math.inf, math.inf
    delta = np.linalg.norm(rad["points"], axis=1) * UP
    if space == "f2":
        length = np.linalg.norm(mid["points"], axis=1) * UP + delta
        delta = np.sqrt(delta**2 / 2 + delta * length / 2) * UP
    moved = float(delta.max())
    return max((low - moved) * (DOWN if low > moved else UP), 0.0), (high + moved) * UP


def _outwards(low: Fraction, high: Fraction) -> tuple[float, float]:
    below, above = float(low), float(high)
    if Fraction(below) > low:
        below = float(np.nextafter(below, -math.inf))
    if Fraction(above) < high:
        above = float(np.nextafter(above, math.inf))
    return below, above
