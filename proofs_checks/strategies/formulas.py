"""Formulas that are the same on traced arrays and on numpy arrays."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from theory import array_functions as ops
from theory.errors import LemmataError
from theory.tracing import Array, Comparison, active


def relu(z: Any) -> Any:
    """max(z, 0)."""
    return np.maximum(z, 0)


def step(z: Any) -> Any:
    """1 where z > 0, else 0: the derivative of the ReLU with σ'(0) = 0."""
    return ops.step(z) if isinstance(z, Array) else np.heaviside(z, 0.0)


def power(z: Any, p: Fraction) -> Any:
    """z^p for z >= 0."""
    if p == 0:
        return z * 0 + 1
    return z if p == 1 else z**p if isinstance(z, Array) else np.asarray(z) ** float(p)


def pi(like: Any) -> Any:
    """π, traced where ``like`` is."""
    return ops.pi() if isinstance(like, Array) else np.pi


def safe(denominator: Any) -> Any:
    """A number that is not negative, with 1 in place of 0."""
    return denominator + (1 - np.sign(denominator))


def row_norms(a: Any) -> Any:
    """Euclidean norms of the rows of a matrix (n, d), shape (n,)."""
    return np.sqrt(np.sum(a * a, axis=1))


def assume(comparison: Any) -> None:
    """A hypothesis of the conjecture that is being traced; for numpy arrays it was met when they were drawn."""
    if isinstance(comparison, Comparison):
        active().assume(comparison)


def reflected(U: Any, A: Any) -> Any:
    """H_1 H_2 ... A with the reflections H_k = I - 2 u_k u_kᵀ/‖u_k‖² of the rows of U; a zero row is the identity."""
    for k in reversed(range(U.shape[0])):
        u = U[k]
        A = A - np.outer(u, (2 / safe(u @ u)) * (u @ A))
    return A


def loss_values(name: str, y: Any, f: Any) -> Any:
    """l(y_i, f_i) for every point; names as in `proofs_checks.strategies.losses`."""
    if name == "squared":
        return (f - y) * (f - y)
    if name == "exponential":
        return np.exp(-y * f)
    if name in ("logistic", "logistic2"):
        m = y * f
        return _factor(name) * (relu(-m) + np.log1p(np.exp(-np.abs(m))))
    raise LemmataError(
        f"unknown loss {name!r:.40}; known: squared, exponential, logistic, logistic2"
    )


def loss_slopes(name: str, y: Any, f: Any) -> Any:
    """∂l/∂f at every point."""
    if name == "squared":
        return 2 * (f - y)
    if name == "exponential":
        return -y * np.exp(-y * f)
    if name in ("logistic", "logistic2"):
        m = y * f  # 1/(1 + e^m), without overflow
        return -_factor(name) * y * np.exp(-relu(m)) / (1 + np.exp(-np.abs(m)))
    raise LemmataError(
        f"unknown loss {name!r:.40}; known: squared, exponential, logistic, logistic2"
    )


def _factor(name: str) -> int:
    return 2 if name == "logistic2" else 1
