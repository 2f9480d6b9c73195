"""Compiled: the supremum of one polynomial on [0, 1], from both sides; bounds of functions by their slopes."""

from __future__ import annotations

from typing import Any

from numerics.compiled_events import to_bernstein as coefficients
from numerics.compiling import compiled

UNIT = 2.0**-53
LEAVES = 24


@compiled
def to_bernstein(a: Any, size: int, b: Any) -> float:
    """Fill b with the Bernstein coefficients on [0, 1] of sum_k a_k s^k, k < size; returns their rounding error."""
    coefficients(a, size - 1, b)
    total = 0.0
    for k in range(size):
        total += abs(a[k])
    return 4.0 * size * UNIT * total


@compiled
def supremum_on_unit(a: Any, size: int, leaves: Any) -> tuple[float, float, float]:
    """A value that is attained on [0, 1], an upper bound, and where the value is attained.

    Bernstein coefficients bound the polynomial, their ends are values; the interval with the largest
    coefficient is halved until its bound is a value, or the workspace (LEAVES, >= size + 2) is full.
    """
    noise = to_bernstein(a, size, leaves[0])
    p = size - 1
    leaves[0, size], leaves[0, size + 1] = 0.0, 1.0
    low, where = leaves[0, 0], 0.0
    if leaves[0, p] > low:
        low, where = leaves[0, p], 1.0
    count = 1
    while True:
        worst, high = 0, low
        for k in range(count):
            for m in range(size):
                if leaves[k, m] > high:
                    worst, high = k, leaves[k, m]
        if high <= low + noise or count == leaves.shape[0]:
            return low, high + noise, where
        # de Casteljau: the left half stays, the right half is new
        left, right = leaves[worst], leaves[count]
        for k in range(size):
            right[p - k] = left[p]
            for m in range(p, k, -1):
                left[m] = 0.5 * (left[m] + left[m - 1])
        half = 0.5 * left[size + 1]
        left[size + 1], right[size], right[size + 1] = half, left[size] + half, half
        if left[p] > low:
            low, where = left[p], right[size]
        count += 1


@compiled
def largest_between(f: float, g: float, low: float, high: float, step: float) -> float:
    """The largest |value| between f and g, ``step`` apart, of a function with slopes in [low, high]."""
    ends = max(abs(f), abs(g))
    if low >= 0.0 or high <= 0.0:
        return ends
    a, b = -low, high
    above = (a * f + b * g + a * b * step) / (a + b)
    below = (b * f + a * g - a * b * step) / (a + b)
    return max(ends, above, -below)
