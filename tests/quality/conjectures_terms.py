"""Terms that several worked conjectures share: of two-layer linear networks, and small formulas.

Written as a user would write them, with numpy's names on traced arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata import ops


@dataclass(frozen=True)
class Spread:
    """Of the imbalance D = W1ᵀW1 - W2W2ᵀ and the singular values σ_k of W = W1 W2; zero beyond the last one."""

    plus: Any
    minus: Any
    common: Any
    sigma_n: Any
    sigma_m: Any
    sigma_1: Any


def positive_part(D: Any, k: int) -> Any:
    """[λ_k(D)]_+, eigenvalues in descending order, 0 for k beyond the last."""
    h = D.shape[0]
    return ops.maximum(np.linalg.eigvalsh(D)[h - k], 0) if k <= h else D[0, 0] * 0


def singular(W: Any, k: int) -> Any:
    """σ_k(W), 0 for k beyond the last."""
    return np.linalg.svd(W, compute_uv=False)[k - 1] if k <= min(W.shape) else W[0, 0] * 0


def spread(net: Any) -> Spread:
    """Δ_+ = [λ_1(D)]_+ - [λ_n(D)]_+, Δ_- = [λ_1(-D)]_+ - [λ_m(-D)]_+, Δ = [λ_n(D)]_+ + [λ_m(-D)]_+."""
    (n, _), m = net.W1.shape, net.W2.shape[1]
    D, W = net.imbalance(), net.product()
    plus = positive_part(D, 1) - positive_part(D, n)
    minus = positive_part(-D, 1) - positive_part(-D, m)
    common = positive_part(D, n) + positive_part(-D, m)
    return Spread(plus, minus, common, singular(W, n), singular(W, m), singular(W, 1))


def root(a: Any, b: Any) -> Any:
    """√(a² + 4b²)."""
    return np.sqrt(a * a + 4 * b * b)


def smallest(net: Any) -> Any:
    """λ_n(W1W1ᵀ) + λ_m(W2ᵀW2)."""
    return least(net.W1 @ net.W1.T) + least(net.W2.T @ net.W2)


def least(A: Any) -> Any:
    """The smallest eigenvalue."""
    return np.linalg.eigvalsh(A)[0]


def greatest(A: Any) -> Any:
    """The largest eigenvalue."""
    return np.linalg.eigvalsh(A)[-1]


def square(a: Any) -> Any:
    """The sum of squares of all entries."""
    return np.sum(a * a)


def mistakes(X: Any, y: Any, passes: int) -> Any:
    """The number of mistakes of the perceptron, started at 0; y_i ⟨w, x_i⟩ <= 0 is one."""
    w, count = X[0] * 0, X[0, 0] * 0
    for _ in range(passes):
        for i in range(X.shape[0]):
            wrong = 1 - ops.step(y[i] * (w @ X[i]))
            w, count = w + wrong * y[i] * X[i], count + wrong
    return count


def network_outputs(X: Any, W: Any, v: Any) -> Any:
    """f(x_i) = Σ_j v_j σ(⟨w_j, x_i⟩)."""
    return ops.relu(X @ W.T) @ v
