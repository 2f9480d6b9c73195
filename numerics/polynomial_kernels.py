"""Compiled: the recurrences of Taylor series of polynomial fields.

One coefficient after the other is needed, so that numpy would be called for a few numbers at a time; numba compiles the
loops once and keeps them on disk. The order of summation is fixed, hence the numbers do not depend on anything else.
"""

from __future__ import annotations

from typing import Any

from numerics.compiling import compiled


@compiled
def extend(left: Any, right: Any, out: Any, series: Any, k: int) -> None:
    """The coefficients k of all products, in order; series: (nodes, > k)."""
    for p in range(left.size):
        a, b = series[left[p]], series[right[p]]
        total = 0.0
        for i in range(k + 1):
            total += a[i] * b[k - i]
        series[out[p], k] = total


@compiled
def expand(left: Any, right: Any, out: Any, series: Any) -> None:
    """All coefficients of all products; the constant and the variables are filled in: (nodes, K)."""
    for k in range(series.shape[1]):
        extend(left, right, out, series, k)


@compiled
def grow(
    left: Any,
    right: Any,
    out: Any,
    indptr: Any,
    indices: Any,
    data: Any,
    theta: Any,
    unit: float,
    series: Any,
) -> Any:
    """The series of the nodes along theta' = F(theta), in t / unit, from the constant: (nodes, K).

    Args:
        left, right, out: the products. indptr, indices, data: F as sparse rows over the nodes.
        theta: (N,) the start. series: (nodes, K), all zero but the constant; is filled in.

    Returns:
        (N,) the coefficients K of theta.
    """
    state = theta.copy()
    for k in range(series.shape[1]):
        series[1 : theta.size + 1, k] = state
        extend(left, right, out, series, k)
        scale = unit / (k + 1)
        for row in range(theta.size):
            total = 0.0
            for entry in range(indptr[row], indptr[row + 1]):
                total += data[entry] * series[indices[entry], k]
            state[row] = total * scale
    return state


__all__ = ["expand", "grow"]
