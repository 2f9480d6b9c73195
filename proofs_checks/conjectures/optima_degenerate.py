"""ReLU training where all points are the same, or zero: one number decides, and `lemmata.convex_relu` refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from proofs_checks.batch import Float
from proofs_checks.relu_certificates import CertifiedGap, certify

HALVINGS = 200


def equal_points(X: Sequence[Sequence[Fraction]]) -> bool:
    """Whether all rows are the same, and there are several of them, or all are zero."""
    return not any(any(row) for row in X) or (len(X) > 1 and all(row == X[0] for row in X))


def train_on_equal_points(
    X: Sequence[Sequence[Fraction]], y: Sequence[Fraction], beta: Fraction, loss: str
) -> CertifiedGap:
    """Bounds of the optimum; all outputs are one number c, and Σ_j |v_j| ‖w_j‖ >= |c|/‖x‖.

    So min over c of loss(c, ..., c) + beta |c|/‖x‖ is attained by one neuron along x, and where x = 0 by none.
    """
    targets = np.array([float(t) for t in y])
    x = np.array([float(t) for t in X[0]])
    length = float(np.linalg.norm(x))
    if length == 0 or not math.isfinite(length):
        W, v, c = np.zeros((0, len(x))), np.zeros(0), 0.0
    else:
        c = _output(targets, float(beta) / length, loss)
        size = math.sqrt(abs(c) / length)
        W, v = (size * x / length)[None], np.array([math.copysign(size, c)])
    dual = _force(targets, c, loss)
    return certify(tuple(map(tuple, X)), tuple(y), beta, loss, W, v, dual)


def _output(y: Float, price: float, loss: str) -> float:
    """argmin over c of loss(c) + price |c|: where the force balances the price, and 0 where it does not reach it."""
    at_zero = float(_force(y, 0.0, loss).sum())
    if abs(at_zero) <= price:
        return 0.0
    sign, low, high = math.copysign(1.0, at_zero), 0.0, 1.0
    while sign * float(_force(y, sign * high, loss).sum()) > price and high < 1e300:
        high *= 2.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        pulled = sign * float(_force(y, sign * middle, loss).sum()) > price
        low, high = (middle, high) if pulled else (low, middle)
    return sign * low


def _force(y: Float, c: float, loss: str) -> Float:
    """-∂loss/∂f_i where all outputs are c, (n,)."""
    if loss == "squared":
        return y - c
    out: Float = y * 0.5 * (1.0 - np.tanh(0.5 * y * c))
    return out
