"""Polynomials on [0, 1] in the monomial basis, many at a time.

A polynomial a_0 + a_1 s + ... + a_p s^p is stored by its coefficients in order of degree.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


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


def first_order(a: Array, threshold: Array) -> Ints:
    """Index of the first coefficient above its threshold, p+1 where there is none.

    Args:
        a, threshold: (K, p+1).
    """
    above = np.abs(a) > threshold
    return np.where(above.any(axis=1), above.argmax(axis=1), a.shape[1]).astype(np.int64)
