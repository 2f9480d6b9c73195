"""Instances of unconstrained features that show something."""

from __future__ import annotations

from typing import Any

import numpy as np

# Copositive, and not the sum of a positive semidefinite and a non-negative matrix (A. Horn).
HORN = (
    (1, -1, 1, 1, -1),
    (-1, 1, -1, 1, 1),
    (1, -1, 1, -1, 1),
    (1, 1, -1, 1, -1),
    (-1, 1, 1, -1, 1),
)


def horn_instance(share: float = 0.95) -> dict[str, Any]:
    """Arguments for `upfm` with which the lift is not tight: YᵀY/N² = I - εH, L = 1, ε = share/λ_max(H).

    Here Z = 0 is optimal, as L²I - YᵀY/N² = εH is copositive; the lift has a smaller value, as H is not the sum of a
    positive semidefinite and a non-negative matrix.  With share = 0.95: 8.82153 < 8.83042.
    """
    horn = np.array(HORN, dtype=float)
    size = len(horn)
    values, vectors = np.linalg.eigh(np.eye(size) - share / np.linalg.eigvalsh(horn)[-1] * horn)
    targets = size * (vectors * np.sqrt(values)) @ vectors.T
    return {"targets": targets.tolist(), "loss": "mse", "lambda_w": 1, "lambda_h": 1}
