"""Margins in the space of initial features: K(x, z) = <x, z> (π - angle(x, z)) / 2π, a quadratic program."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
_ROUNDS = 4


def feature_kernel(X: Float) -> Float:
    """K (n, n) for the rows of X (n, d); zero rows have zero entries."""
    sizes = np.linalg.norm(X, axis=1)
    unit = X / np.where(sizes > 0, sizes, 1.0)[:, None]
    # the angle from chords is accurate near 0 and π, where the arc cosine is not
    minus = np.array([np.linalg.norm(unit - a, axis=1) for a in unit])
    plus = np.array([np.linalg.norm(unit + a, axis=1) for a in unit])
    angle = 2.0 * np.arctan2(minus, plus)
    return (X @ X.T) * (np.pi - angle) / (2.0 * np.pi)


def smallest_mean(G: Float) -> Float:
    """q in the simplex with the smallest qᵀ G q, for a positive semi-definite G (n, n); at most n entries non-zero.

    With G = FᵀF the point F q of smallest norm in a convex hull: the non-negative least squares problem
    ‖F z‖² + σ² (1 - Σ z)² has the solution z = q up to a factor for every σ > 0; σ near the value itself keeps it well
    scaled.
    """
    from numerics.nonnegative import nonnegative_least_squares

    values, vectors = np.linalg.eigh((G + G.T) / 2)
    kept = values > values[-1] * 1e-16
    F = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    n = len(G)
    sigma = float(np.sqrt(np.mean(G))) or 1.0
    sigma = sigma if np.isfinite(sigma) and sigma > 0 else 1.0
    best, q = np.inf, np.full(n, 1.0 / n)
    for _ in range(_ROUNDS):
        target = np.r_[np.zeros(len(F)), sigma]
        stacked = np.vstack([F, np.full((1, n), sigma)])
        z = nonnegative_least_squares(stacked, target, maxiter=50 * n)
        if not z.sum() > 0:
            break
        trial = z / z.sum()
        value = float(np.linalg.norm(F @ trial))
        if not value < best * (1 - 1e-12):
            break
        best, q, sigma = value, trial, max(value, 1e-8 * sigma)
    return q
