"""Polynomials on [0, 1] in the monomial and in the Bernstein basis, many at a time.

A polynomial a_0 + a_1 s + ... + a_p s^p is stored by its coefficients in order of degree.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@lru_cache(maxsize=64)
def bernstein_matrix(order: int) -> Array:
    """M, (p+1, p+1), with M a the Bernstein coefficients on [0, 1] of the polynomial a.

    M[k, i] = C(k, i) / C(p, i) lies in [0, 1], so that the change of basis is well conditioned.
    """
    size = order + 1
    matrix = np.array([[comb(k, i) / comb(order, i) for i in range(size)] for k in range(size)])
    matrix.setflags(write=False)
    return matrix


def powers(s: Array, order: int) -> Array:
    """(..., p+1) array of s^0, ..., s^p, by repeated multiplication."""
    out = np.ones((*np.shape(s), order + 1))
    for k in range(1, order + 1):
        np.multiply(out[..., k - 1], s, out=out[..., k])
    return out


@lru_cache(maxsize=64)
def lobatto_nodes(count: int) -> Array:
    """``count`` >= 2 Chebyshev-Lobatto nodes on [0, 1], both ends included, increasing."""
    nodes = 0.5 * (1.0 - np.cos(np.pi * np.arange(count) / (count - 1)))
    nodes[0], nodes[-1] = 0.0, 1.0
    nodes.setflags(write=False)
    return nodes


def sign_changes(b: Array) -> tuple[Ints, Array]:
    """Number of sign changes along the last axis, zeros skipped, and the first non-zero sign.

    By Descartes' rule in the Bernstein basis the number of roots in (0, 1) is at most the number of
    sign changes of the Bernstein coefficients, and equal to it when that is 0 or 1.

    Args:
        b: (K, p+1).

    Returns:
        (K,) counts and (K,) signs in {-1., 0., 1.}.
    """
    last = np.zeros(b.shape[0])
    first = np.zeros(b.shape[0])
    count = np.zeros(b.shape[0], dtype=np.int64)
    for k in range(b.shape[1]):
        sign = np.sign(b[:, k])
        count += (sign * last) < 0
        last = np.where(sign != 0, sign, last)
        first = np.where(first == 0, sign, first)
    return count, first


def first_order(a: Array, threshold: Array) -> Ints:
    """Index of the first coefficient above its threshold, p+1 where there is none.

    Args:
        a, threshold: (K, p+1).
    """
    above = np.abs(a) > threshold
    return np.where(above.any(axis=1), above.argmax(axis=1), a.shape[1]).astype(np.int64)


def single_roots(a: Array) -> Array:
    """The root in (0, 1] of polynomials that are positive at 0 and have one sign change.

    Newton's method inside a bracket, each polynomial for itself (the result does not depend on
    its neighbours), to within about one unit in the last place of the root.

    Args:
        a: (K, p+1).
    """
    columns = np.ascontiguousarray(a.T)
    lo, hi = np.zeros(a.shape[0]), np.ones(a.shape[0])
    value0, value1 = columns[0], columns.sum(axis=0)
    secant = value0 / np.where(value0 > value1, value0 - value1, 1.0)
    x = np.where((secant > 0) & (secant < 1), secant, 0.5)
    done = np.zeros(a.shape[0], dtype=bool)
    for iteration in range(90):
        value, slope = columns[-1].copy(), np.zeros_like(x)
        for coefficient in columns[-2::-1]:
            slope = slope * x + value
            value = value * x + coefficient
        positive = value > 0
        lo = np.where(~done & positive, x, lo)
        hi = np.where(~done & ~positive, x, hi)
        middle = lo + 0.5 * (hi - lo)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - value / slope
        # A bracket that Newton does not close soon is closed by bisection.
        inside = (newton > lo) & (newton < hi) & (iteration < 20)
        following = np.where(inside, newton, middle)
        finished = (
            (np.abs(newton - x) <= 2.3e-16 * np.abs(x)) | (hi - lo <= 2.3e-16 * hi) | (value == 0)
        )
        x = np.where(done | finished, x, following)
        done |= finished
        if done.all():
            break
    return x
