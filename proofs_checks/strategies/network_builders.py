"""What networks are made of: see `proofs_checks.conjectures.samples.KINDS`; raw parts are traced or numpy arrays."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from proofs_checks.strategies.formulas import reflected, row_norms
from proofs_checks.strategies.views import (
    DiagonalNetwork,
    LinearNetwork,
    PReluNetwork,
    ReluNetwork,
    ScaledStart,
)


def relu_network(raw: SimpleNamespace) -> Any:
    """Two layers; balanced where signs are given in place of v: v_j = ±‖w_j‖."""
    v = raw.v if hasattr(raw, "v") else raw.signs * row_norms(raw.W)
    p = Fraction(getattr(raw, "p", 1))
    parts = raw.data.X, raw.data.y, raw.W, v, raw.loss, raw.data
    if hasattr(raw, "eps"):
        return ScaledStart(*parts, eps=raw.eps, p=p)
    return ReluNetwork(*parts) if p == 1 else PReluNetwork(*parts, p=p)


def linear_network(raw: SimpleNamespace) -> LinearNetwork:
    """Free factors W1, W2, ..., or balanced ones R_{k-1} diag(s) R_kᵀ with reflections R_k."""
    if hasattr(raw, "s"):
        U = [getattr(raw, f"U{k}") for k in range(raw.depth + 1)]
        weights = [_factor(raw.s, *U[k : k + 2]) for k in range(raw.depth)]
    else:
        weights = [getattr(raw, f"W{k}") for k in range(1, raw.depth + 1)]
    whitened = not hasattr(raw, "A")
    A = np.eye(weights[0].shape[0]) if whitened else raw.A
    return LinearNetwork(tuple(weights), A, raw.B, whitened)


def _factor(s: Any, U: Any, V: Any) -> Any:
    n, m, k = U.shape[0], V.shape[0], s.shape[0]
    S = np.eye(n, k) @ np.diag(s) @ np.eye(k, m)
    return reflected(V, reflected(U, S).T).T


def diagonal_network(raw: SimpleNamespace) -> DiagonalNetwork:
    """Two vectors of weights."""
    return DiagonalNetwork(raw.X, raw.y, raw.u, raw.v, raw.depth)


def imbalance(raw: SimpleNamespace) -> SimpleNamespace:
    """D = W1ᵀW1 - W2 W2ᵀ, (h, h), with its factors W1 (n, h) and W2 (h, m)."""
    return SimpleNamespace(W1=raw.W1, W2=raw.W2, D=raw.W1.T @ raw.W1 - raw.W2 @ raw.W2.T)
