"""Instances of unconstrained features that show something."""

from __future__ import annotations

from typing import Any

import numpy as np

from proofs_checks.exact_data import exact_number
from theory.errors import LemmataError

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

    Raises:
        LemmataError: a share outside (0, 1], for which there are no such targets, or no gap.
    """
    if not 0 < (exact := exact_number(share, "share")) <= 1:
        raise LemmataError(f"share = {share!r}: give a number > 0 and at most 1")
    horn = np.array(HORN, dtype=float)
    size = len(horn)
    values, vectors = np.linalg.eigh(
        np.eye(size) - float(exact) / np.linalg.eigvalsh(horn)[-1] * horn
    )
    targets = size * (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return {"targets": targets.tolist(), "loss": "mse", "lambda_w": 1, "lambda_h": 1}
