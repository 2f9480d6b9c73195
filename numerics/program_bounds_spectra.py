"""Eigenvalues and singular values with a posteriori error bounds.

LAPACK's vectors are a guess; what is certain follows from residuals that are computed with them. For any square Q with
``‖QᵀQ - I‖ <= δ < 1`` the k-th eigenvalue of QᵀAQ is the k-th one of A times a number in [1 - δ, 1 + δ] (Ostrowski;
Horn and Johnson, Matrix Analysis, theorem 4.5.9), and differs from the k-th entry of a sorted diagonal Λ by at most
``‖QᵀAQ - Λ‖`` (Weyl). The same holds for singular values, with the roots of these numbers. The error of the matrix
itself enters by its norm (Weyl).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from numerics.program_bounds_core import ETA, UP, Bounded, Float, Mask, U, grid


def eigenvalues(a: Bounded, semidefinite: bool) -> Bounded:
    """Of the symmetric part of a matrix (n, n, B), ascending (n, B); not negative where ``semidefinite``."""
    m, r = _spectrum(a, _symmetric)
    if semidefinite:
        m, r = np.maximum(m, 0.0), np.where(m < 0, np.maximum(m + r, 0.0) * UP, r)
    return _finished(m, r)


def singular_values(a: Bounded) -> Bounded:
    """Of a matrix (n, m, B), descending (min(n, m), B)."""
    if a.m.shape[0] < a.m.shape[1]:
        r = None if a.r is None else a.r.swapaxes(0, 1)
        a = Bounded(a.m.swapaxes(0, 1), r, a.g)
    return _finished(*_spectrum(a, _singular))


def _finished(m: Float, r: Float) -> Bounded:
    if not r.any():
        return Bounded(m, None, grid(m))
    return Bounded(m, r, None if (r > 0).all() else np.where(r.max(axis=0) == 0, grid(m), 0.0))


def _spectrum(
    a: Bounded, values: Callable[[Float], tuple[Float, Float, Mask]]
) -> tuple[Float, Float]:
    """Values and error bounds (k, B), of matrices that are scaled to entries of size 1."""
    M = np.ascontiguousarray(np.moveaxis(a.m, -1, 0))
    B, n, m = M.shape
    fine: Mask = np.asarray(np.isfinite(M).all(axis=(1, 2)))
    R = None
    undefined: Mask = np.zeros(B, dtype=bool)
    if a.r is not None:
        R = np.moveaxis(np.broadcast_to(a.r, np.broadcast(a.r, a.m).shape), -1, 0)
        if len(R) != B:
            M = np.broadcast_to(M, R.shape)
            fine, B = np.broadcast_to(fine, len(R)), len(R)
        fine = fine & np.isfinite(R).all(axis=(1, 2))
        undefined = np.asarray(np.isnan(R).any(axis=(1, 2)))
    if not fine.all():
        M = np.where(fine[:, None, None], M, 0.0)
        R = None if R is None else np.where(fine[:, None, None], R, 0.0)
    _, e = np.frexp(np.abs(M).max(axis=(1, 2)))
    S = np.ldexp(M, -e[:, None, None])
    found, error, floor = values(S)
    # scaling down may lose what is below the smallest float
    floor = floor | (np.ldexp(S, e[:, None, None]) != M).any(axis=(1, 2))
    error = error + np.where(floor, 4 * n * m * ETA, 0.0)[:, None]
    m_, r = np.ldexp(found, e[:, None]), np.ldexp(error * UP, e[:, None])
    r = r + np.where(floor, ETA, 0.0)[:, None]
    if R is not None:
        scale = np.maximum(R.max(axis=(1, 2)), ETA)
        relative = R / scale[:, None, None]
        norm = np.sqrt(np.einsum("bij,bij->b", relative, relative))
        sums = relative.sum(axis=1).max(axis=1) * relative.sum(axis=2).max(axis=1)
        own = np.minimum(norm, np.sqrt(sums)) * scale * (1 + (n * m + 8) * 2 * U)
        r = r + np.where(R.any(axis=(1, 2)), own + ETA, 0.0)[:, None]
    lost = ~fine[:, None] | ~np.isfinite(m_) | ~np.isfinite(r)
    if lost.any():
        m_, r = np.where(lost, np.nan, m_), np.where(lost, np.inf, r)
        r = np.where(undefined[:, None], np.nan, r)
    return np.ascontiguousarray(m_.T), np.ascontiguousarray(r.T * UP)


def _symmetric(S: Float) -> tuple[Float, Float, Mask]:
    """Eigenvalues (B, n), error bounds (B, n) of scaled matrices, and where they are not exact."""
    n = S.shape[1]
    T = S.swapaxes(1, 2)
    uneven = (S != T).any(axis=(1, 2))
    A = (S + T) / 2  # a rounding per entry, none where they are equal
    norm = np.sqrt(np.einsum("bij,bij->b", A, A)) * (1 + n * n * U)
    (L, Q), converged = _decomposed(np.linalg.eigh, A)
    Qt = Q.swapaxes(1, 2)
    E = Qt @ (A @ Q)
    D = Qt @ Q
    at = np.arange(n)
    E[:, at, at] -= L
    D[:, at, at] -= 1.0
    delta = _frobenius(D) + (n + 2) * U * n * 2
    size = np.einsum("bij,bij->b", Q, Q)  # ‖|Q|‖² <= ‖Q‖_F²
    epsilon = _frobenius(E) + ((2 * n + 4) * size + 2 * uneven) * U * norm
    error = (epsilon[:, None] + np.abs(L) * delta[:, None]) / (1 - delta[:, None])
    error = np.where((converged & (delta < 0.5))[:, None], error * (1 + n * n * 4 * U), np.inf)
    off = A.copy()
    off[:, at, at] = 0.0
    plain = ~off.any(axis=(1, 2)) & ~uneven
    L = np.where(plain[:, None], np.sort(A[:, at, at], axis=1), L)
    return L, np.where(plain[:, None], 0.0, error), ~plain


def _singular(S: Float) -> tuple[Float, Float, Mask]:
    """Singular values (B, m), error bounds (B, m) of scaled matrices (B, n >= m, m), and where they are not exact."""
    n, m = S.shape[1:]
    norm = np.sqrt(np.einsum("bij,bij->b", S, S)) * (1 + n * m * U)
    (W, s, Vt), converged = _decomposed(partial(np.linalg.svd, full_matrices=False), S)
    at = np.arange(m)
    R = S @ Vt.swapaxes(1, 2) - W * s[:, None]
    D, F = Vt @ Vt.swapaxes(1, 2), W.swapaxes(1, 2) @ W
    D[:, at, at] -= 1.0
    F[:, at, at] -= 1.0
    delta = _frobenius(D) + (m + 2) * U * m * 2
    gamma = _frobenius(F) + (n + 2) * U * m * 2
    # ‖|S| |V|‖ <= ‖S‖_F ‖V‖_F, and the entries of W s are rounded once
    epsilon = _frobenius(R) + (m + 4) * U * 2 * norm * np.sqrt(m)
    total = delta + gamma
    error = (epsilon[:, None] + s * total[:, None]) / (1 - delta[:, None])
    error = np.where((converged & (total < 0.5))[:, None], error * (1 + n * m * 4 * U), np.inf)
    filled = S != 0
    plain = (filled.sum(axis=1) <= 1).all(axis=1) & (filled.sum(axis=2) <= 1).all(axis=1)
    entries = -np.sort(-np.abs(S).max(axis=1), axis=1)  # at most one entry per row and column
    return np.where(plain[:, None], entries, s), np.where(plain[:, None], 0.0, error), ~plain


def _frobenius(A: Float) -> Float:
    n, m = A.shape[1:]
    out: Float = np.sqrt(np.einsum("bij,bij->b", A, A)) * (1 + n * m * 2 * U) + n * m * 2.0**-500
    return out


def _decomposed(f: Callable[[Float], Any], A: Float) -> tuple[list[Float], Mask]:
    """The factors of all matrices, and where LAPACK has converged."""
    try:
        return list(f(A)), np.ones(len(A), dtype=bool)
    except np.linalg.LinAlgError:
        pass
    lanes: list[Any] = []
    for M in A:
        try:
            lanes.append(f(M))
        except np.linalg.LinAlgError:
            lanes.append(None)
    blank = f(np.zeros(A.shape[1:]))
    parts = [np.stack(p) for p in zip(*(blank if x is None else x for x in lanes), strict=True)]
    return parts, np.array([x is not None for x in lanes])
