"""What matrices with structure are made of: see `proofs_checks.conjectures.samples.KINDS`.

Each function takes the raw parts, traced or numpy arrays, and gives the matrix.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from proofs_checks.strategies.formulas import pi, reflected, row_norms, safe
from theory.errors import LemmataError


def symmetric(raw: SimpleNamespace) -> Any:
    """(A + Aᵀ)/2."""
    return (raw.A + raw.A.T) / 2


def gram(raw: SimpleNamespace) -> Any:
    """A Aᵀ."""
    return raw.A @ raw.A.T


def unit_vectors(raw: SimpleNamespace) -> Any:
    """Rows s (2t, ‖t‖² - 1)/(‖t‖² + 1) with s = ±1; without T: ±1."""
    if not hasattr(raw, "T"):
        return raw.signs
    q = np.sum(raw.T * raw.T, axis=1).reshape(-1, 1)
    return raw.signs * np.concatenate([2 * raw.T, q - 1], axis=1) / (q + 1)


def gram_of_unit_vectors(raw: SimpleNamespace) -> Any:
    """Cosines between unit vectors."""
    X = unit_vectors(raw)
    return X @ X.T


def orthogonal(raw: SimpleNamespace) -> Any:
    """A product of reflections."""
    return reflected(raw.U, np.eye(raw.U.shape[0]))


def with_singular_values(raw: SimpleNamespace) -> Any:
    """Q diag(s) P of shape (n, m), s padded by zeros."""
    n, m, k = raw.U.shape[0], raw.V.shape[0], raw.s.shape[0]
    S = np.eye(n, k) @ np.diag(raw.s) @ np.eye(k, m)
    return reflected(raw.V, reflected(raw.U, S).T).T


def with_eigenvalues(raw: SimpleNamespace) -> Any:
    """Q diag(s) Qᵀ."""
    A = reflected(raw.U, np.diag(raw.s))
    return reflected(raw.U, A.T)


def kernel_matrix(raw: SimpleNamespace) -> Any:
    """The kernel at all pairs of rows of X; see `proofs_checks.strategies.kernel_matrices`."""
    X = raw.X
    G = X @ X.T
    if raw.kernel == "linear":
        return G
    n = X.shape[0]
    if raw.kernel == "gaussian":
        sq = np.sum(X * X, axis=1)
        return np.exp(-(sq.reshape(n, 1) + sq.reshape(1, n) - 2 * G) / 2)
    if raw.kernel not in ("arc-cosine", "ntk"):
        raise LemmataError(f"unknown kernel {raw.kernel!r:.40}")
    norms = row_norms(X)
    scale = np.outer(norms, norms)
    # the angle of a point with itself is 0 exactly, and a zero point has the kernel 0
    same, other = np.eye(n), 1 - np.eye(n)
    between = np.clip(G / safe(scale), -1, 1) * other
    theta = np.arccos(between) * other
    sine = np.sqrt(np.maximum(1 - between * between, 0)) * other
    cosine = between + same
    half_turn = pi(theta)
    layers = 2 if raw.kernel == "ntk" else 1
    return scale * (sine + layers * (half_turn - theta) * cosine) / (2 * half_turn)
