"""Products and norms of vectors and matrices of scaled arrays, with the error radius of each.

Axes and radii are those of `numerics.extended`: the last axis holds the coordinates, and a result that has none keeps
it with length 1.
"""

from __future__ import annotations

import numpy as np

from numerics.extended import (
    UNIT,
    UP,
    Float,
    ScaledArray,
    bound,
    length,
    one_exponent,
    radius_shape,
)


def inner(a: ScaledArray, b: ScaledArray) -> ScaledArray:
    """Inner product over the last axis."""
    na, nb = length(a.m), length(b.m)
    m = _contract(a.m, b.m)
    r = bound(lambda: na * b.r + nb * a.r + a.r * b.r + a.m.shape[-1] * UNIT * na * nb)
    return ScaledArray(m, UP * r, a.e + b.e)


def project_out(a: ScaledArray, b: ScaledArray) -> ScaledArray:
    """``a - b <a,b>/|b|^2`` over the last axis.

    A projection does not enlarge errors of ``a``; an error of ``b`` turns the projector by at most
    ``2 |db| / (|b| - |db|)``.
    """
    nb2 = np.sum(b.m * b.m, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        m = a.m - b.m * (_contract_same(a.m, b.m) / nb2)
        nb, na = np.sqrt(nb2), length(a.m)
        turn = np.where(nb > b.r, 2.0 * b.r / np.where(nb > b.r, nb - b.r, 1.0), np.inf)
    r = bound(lambda: a.r + turn * (na + a.r) + (a.m.shape[-1] + 4) * UNIT * na)
    return ScaledArray(m, UP * r, a.e + np.zeros_like(b.e))


def spectral_norm(a: ScaledArray, rows: int) -> ScaledArray:
    """Largest singular value of the matrix with axes ``rows`` and last.

    Its error is at most the Frobenius norm of the error.
    """
    c = one_exponent(a, rows)
    matrix = np.moveaxis(c.m, rows, -2)
    value = np.asarray(np.linalg.svd(matrix, compute_uv=False)[..., :1, None], dtype=np.float64)
    m = np.moveaxis(value, -2, rows)
    r2 = np.sum(np.broadcast_to(c.r, radius_shape(c.m.shape, c.r)) ** 2, axis=rows, keepdims=True)
    size = sum(matrix.shape[-2:])
    return ScaledArray(m, np.sqrt(r2) * (1 + UNIT * size) + 4 * size * UNIT * m, c.e)


# -- internals ----------------------------------------------------------------------------------------------------
def _contract_same(a: Float, b: Float) -> Float:
    return np.sum(a * b, axis=-1, keepdims=True)


def _contract(a: Float, b: Float) -> Float:
    """<a, b> over the last axis; axes (j, 1, k) against (1, i, k) go through one matrix product per batch entry."""
    if a.shape[-2] == 1 and b.shape[-3] == 1 and a.shape[-3] > 1 and b.shape[-2] > 1:
        return np.matmul(a[..., :, 0, :], np.swapaxes(b[..., 0, :, :], -1, -2))[..., None]
    if b.shape[-2] == 1 and a.shape[-3] == 1 and b.shape[-3] > 1 and a.shape[-2] > 1:
        return _contract(b, a)
    return _contract_same(a, b)
