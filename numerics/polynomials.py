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


def to_bernstein(a: Array) -> Array:
    """Bernstein coefficients on [0, 1] of polynomials, elementwise over them.

    b_k = sum_i C(k, i) a_i / C(p, i): a well conditioned change of basis (its weights lie in
    [0, 1]), done by p rounds of additions so that no polynomial influences another.

    Args:
        a: (p+1, K), one polynomial per column. Returns: (p+1, K).
    """
    order = a.shape[0] - 1
    b = a / _binomials(order)[:, None]
    for k in range(1, order + 1):
        b[k:] += b[k - 1 : -1].copy()
    return b


@lru_cache(maxsize=64)
def _binomials(order: int) -> Array:
    return np.array([float(comb(order, i)) for i in range(order + 1)])


def clearance(a: Array, s: Array) -> Array:
    """|a_0| - sum_{k>=1} |a_k| s**k, up to rounding: a lower bound of |a| on [0, s].

    Args:
        a: (L, p+1, M) with one s: (L,) per row. Returns: (L, M).
    """
    table = powers(s, a.shape[1] - 1)[:, None, 1:]
    rest = np.matmul(table, np.abs(a[:, 1:]))[:, 0]
    return np.abs(a[:, 0]) - (1.0 + 1e-12) * rest


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
    """Number of sign changes along the first axis, zeros skipped, and the first non-zero sign.

    By Descartes' rule in the Bernstein basis the number of roots in (0, 1) is at most the number of
    sign changes of the Bernstein coefficients, and equal to it when that is 0 or 1.

    Args:
        b: (p+1, K).

    Returns:
        (K,) counts and (K,) signs in {-1., 0., 1.}.
    """
    last = np.zeros(b.shape[1])
    first = np.zeros(b.shape[1])
    count = np.zeros(b.shape[1], dtype=np.int64)
    for sign in np.sign(b):
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


def single_roots(columns: Array) -> Array:
    """The root in (0, 1] of polynomials that are positive at 0 and have one sign change.

    Newton's method inside a bracket, each polynomial for itself (the result does not depend on
    its neighbours), to within about one unit in the last place of the root.

    Args:
        columns: (p+1, K).
    """
    size = columns.shape[1]
    lo, hi = np.zeros(size), np.ones(size)
    value0, value1 = columns[0], columns[-1]
    for coefficient in columns[-2::-1]:  # not columns.sum: its order of addition depends on K
        value1 = value1 + coefficient
    secant = value0 / np.where(value0 > value1, value0 - value1, 1.0)
    x = np.where((secant > 0) & (secant < 1), secant, 0.5)
    done = np.zeros(size, dtype=bool)
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
