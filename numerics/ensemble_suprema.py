"""Compiled: running suprema of the quantities of an ensemble, each with the interval in which it lies.

``sup`` (quantities, 5) holds per quantity, in the order of ``numerics.ensemble_result.QUANTITIES``: the
measured supremum, a lower and an upper bound of the true one, the time where the measured one is
attained, and whether the quantity is asked for. ``start`` (h, d+1) holds the unit vectors w_j(0)/|w_j(0)|
and the error of their direction, negative where w_j(0) = 0 and there is no angle.
"""

from __future__ import annotations

import math
from typing import Any

from numerics.compiling import compiled

WEIGHT, OUTPUT, LOSS, ANGLE, IMBALANCE = range(5)
VALUE, LOW, HIGH, TIME, WANTED = range(5)
UNIT = 2.0**-53
LOG2 = math.log(2.0)


@compiled
def reset(sup: Any) -> None:
    """Forget everything but which quantities are wanted."""
    for q in range(sup.shape[0]):
        sup[q, VALUE] = sup[q, LOW] = sup[q, HIGH] = -math.inf
        sup[q, TIME] = 0.0


@compiled
def raise_to(sup: Any, q: int, value: float, low: float, high: float, time: float) -> None:
    """The quantity q took ``value`` at ``time``, and the truth is between ``low`` and ``high``."""
    if not (value <= sup[q, VALUE]):
        sup[q, VALUE], sup[q, TIME] = value, time
    if low > sup[q, LOW]:
        sup[q, LOW] = low
    # not (a <= b) lets NaN through to the bound, where it means that nothing is known
    if not (high <= sup[q, HIGH]):
        sup[q, HIGH] = high if high == high else math.inf


@compiled
def log_bounds(size: float, error: float, scale: float, power: float) -> tuple[float, float, float]:
    """power log(size +- error) + scale: measured, lower and upper bound with the rounding of logarithms."""
    value = power * math.log(size) + scale if size > 0.0 else -math.inf
    low = power * math.log(size - error) + scale if size > error else -math.inf
    high = power * math.log(size + error) + scale if size + error > 0.0 else -math.inf
    slack = 4.0 * UNIT * (1.0 + abs(scale))
    return value, low - slack, high + slack


@compiled
def raise_weight(sup: Any, square: float, r: float, scale: float, time: float) -> None:
    """|w_j|^2 = square in mantissas, ``scale`` the logarithm of the square of their unit."""
    size = math.sqrt(square)
    value, low, high = log_bounds(size, r + 8.0 * UNIT * size, scale, 2.0)
    raise_to(sup, WEIGHT, value, low, high, time)


@compiled
def angle_to(w: Any, u: Any) -> float:
    """The angle of w (d,) to the unit vector u (d+1,), accurate near 0 and pi; 0 for w = 0."""
    d = w.size
    square = 0.0
    for c in range(d):
        square += w[c] * w[c]
    if square == 0.0:
        return 0.0
    size = math.sqrt(square)
    minus, plus = 0.0, 0.0
    for c in range(d):
        a = w[c] / size
        minus += (a - u[c]) * (a - u[c])
        plus += (a + u[c]) * (a + u[c])
    return 2.0 * math.atan2(math.sqrt(minus), math.sqrt(plus))


@compiled
def angle_error(smallest: float, r: float, start_error: float, d: int) -> float:
    """Error of an angle to w(0) of a vector that is at least ``smallest`` long and known up to r."""
    if not r < smallest:
        return math.pi
    return min(math.pi, math.asin(r / smallest) + start_error + 4.0 * (d + 4.0) * UNIT)


@compiled
def raise_angle(sup: Any, angle: float, error: float, time: float) -> None:
    """The angle of some neuron to its start; the true one is at most pi."""
    raise_to(sup, ANGLE, angle, max(angle - error, 0.0), min(angle + error, math.pi), time)


@compiled
def raise_angle_on_segment(
    sup: Any, a: Any, b: Any, work: Any, u: Any, turn: float, time_a: float, time_b: float
) -> None:
    """The angle to u (d+1,) along the segment from a to b; an interior extremum is dated ``time_b``.

    cos is (affine)/(root of a quadratic) on the segment: its derivative has at most one zero. ``turn``
    bounds the error of the direction, as radius/length.
    """
    d = a.size
    if u[d] < 0.0:
        return
    A, B, C, alpha, beta = 0.0, 0.0, 0.0, 0.0, 0.0
    for c in range(d):
        step = b[c] - a[c]
        A += a[c] * a[c]
        B += a[c] * step
        C += step * step
        alpha += a[c] * u[c]
        beta += step * u[c]
    error = angle_error(1.0, turn, u[d], d)
    raise_angle(sup, angle_to(a, u), error, time_a)
    raise_angle(sup, angle_to(b, u), error, time_b)
    slope = beta * B - alpha * C
    x = (alpha * B - beta * A) / slope if slope != 0.0 else -1.0
    if 0.0 < x < 1.0:
        for c in range(d):
            work[c] = a[c] + x * (b[c] - a[c])
        raise_angle(sup, angle_to(work, u), error, time_b)
