"""Independent evaluations of planted wrong conjectures, with numpy and Fractions alone: nothing of the library."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Sides = tuple[float, float]


def positive_eigenvalue(D: Float, k: int) -> float:
    """[λ_k(D)]_+ in descending order."""
    values = np.linalg.eigvalsh(D)[::-1]
    return max(float(values[k - 1]), 0.0) if k <= values.size else 0.0


def pl_sides(W1: Any, W2: Any, version: str) -> Sides:
    """A version of the bound on λ_n(W1W1ᵀ) + λ_m(W2ᵀW2), and the value itself."""
    W1, W2 = np.array(W1, float), np.array(W2, float)
    n, m = W1.shape[0], W2.shape[1]
    D = W1.T @ W1 - W2 @ W2.T
    plus = positive_eigenvalue(D, 1) - positive_eigenvalue(D, n)
    minus = positive_eigenvalue(-D, 1) - positive_eigenvalue(-D, m)
    common = positive_eigenvalue(D, n) + positive_eigenvalue(-D, m)
    sigma = [*np.linalg.svd(W1 @ W2, compute_uv=False), 0.0, 0.0, 0.0]
    a, b, half, four = sigma[n - 1], sigma[m - 1], 0.5, 4.0
    if version == "pairing":
        plus, minus = minus, plus
    if version == "index":
        a = b = sigma[0]
    if version == "factor 2":
        four = 8.0
    if version == "half":
        half = 1.0
    if version == "no spread":
        plus = minus = 0.0
    if version == "indices of Δ":
        common = positive_eigenvalue(D, m) + positive_eigenvalue(-D, n)
    if version == "sign of D":
        plus = positive_eigenvalue(-D, 1) - positive_eigenvalue(-D, n)
        minus = positive_eigenvalue(D, 1) - positive_eigenvalue(D, m)
    first = math.hypot(minus + common, math.sqrt(four) * a)
    second = math.hypot(plus + common, math.sqrt(four) * b)
    if version == "root":
        first, second = minus + common + 2 * a, plus + common + 2 * b
    sign = 1 if version == "sign of Δ" else -1
    left = half * (sign * minus + first) + half * (-plus + second)
    right = np.linalg.eigvalsh(W1 @ W1.T)[0] + np.linalg.eigvalsh(W2.T @ W2)[0]
    return left, float(right)


def descent_sides(w1: str, w2: str, b: str, eta: str, version: str) -> Sides:
    """A version of the descent lemma for the scalar network w1 w2: the loss after one step, and the bound."""
    a, c, t, e = map(Fraction, (w1, w2, b, eta))
    G = a * c - t
    L, g = G * G / 2, (G * c) ** 2 + (a * G) ** 2
    after = ((a - e * G * c) * (c - e * a * G) - t) ** 2 / 2
    slope, sigma = abs(G), abs(a * c)
    top = max(a * a, c * c) if version == "largest" else a * a + c * c
    K = top + slope + 6 * sigma * L * e**2 + 3 * top * slope * e
    if version == "no slope":
        K -= slope
    if version == "first order":
        K = top + slope
    return float(after), float(L - (e - K * e**2 / (4 if version == "quarter" else 2)) * g)


def extragradient_sides(r: float, angle: float, L: float, alpha: float, steps: int) -> Sides:
    """Without 1 - α: K α γ² min ‖F(z̄_k)‖² and ‖z_0‖², for F(z) = r e^{i angle} z on the complex plane."""
    F = r * complex(math.cos(angle), math.sin(angle))
    z, norms = 1 + 0j, []
    for _ in range(steps):
        middle = z - F * z / L
        norms.append(abs(F * middle) ** 2)
        z = z - alpha / L * F * middle
    return steps * alpha / L**2 * min(norms), 1.0


def perceptron(X: Any, y: Any) -> int:
    """Mistakes in two passes from 0."""
    X, w, count = np.array(X, float), np.zeros(len(X[0])), 0
    for i in [*range(len(X)), *range(len(X))]:
        if y[i] * float(w @ X[i]) <= 0:
            w, count = w + y[i] * X[i], count + 1
    return count
