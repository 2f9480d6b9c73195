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


def weighted_sum(c: ScaledArray, x: ScaledArray) -> ScaledArray:
    """Σ_i c_i x_i for numbers c and vectors x that are the same in all lanes, at all instants and for all neurons.

    One matrix product per lane and instant, which spares the array of all c_i x_i.
    """
    c, x = one_exponent(c, 3), one_exponent(x, 3)
    n = x.m.shape[3]
    points, size, error = x.m[0, 0, 0], length(x.m)[0, 0, 0], x.r[0, 0, 0]
    shape = (*c.m.shape[:3], n)
    m = np.matmul(np.broadcast_to(c.m[..., 0], shape), points)
    magnitude = np.broadcast_to(np.abs(c.m[..., 0]), shape)
    radius = np.broadcast_to(c.r[..., 0], shape)
    r = bound(
        lambda: (
            np.matmul(magnitude, error + (n + 2) * UNIT * size) + np.matmul(radius, size + error)
        )
    )
    return ScaledArray(m[:, :, :, None], UP * r[:, :, :, None], c.e + x.e)


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
    # LAPACK fails on all matrices of a stack when one is not finite
    known = np.isfinite(matrix).all(axis=(-2, -1), keepdims=True)
    values = np.linalg.svd(np.where(known, matrix, 0.0), compute_uv=False)[..., :1, None]
    m = np.moveaxis(np.where(known, values, np.nan), -2, rows)
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
