"""Compiled: the quantities of an ensemble at one state, with error bounds."""

from __future__ import annotations

import math
from typing import Any

from numerics.compiled_field import (
    clipped_ldexp,
    force_of_output,
    loss_value,
)
from numerics.compiled_types import Points
from numerics.compiling import compiled
from numerics.ensemble_suprema import (
    ANGLE,
    HIGH,
    IMBALANCE,
    LOG2,
    LOSS,
    LOW,
    OUTPUT,
    UNIT,
    VALUE,
    WANTED,
    WEIGHT,
    angle_error,
    angle_to,
    log_bounds,
    raise_to,
)

# Smaller numbers are replaced by it in error bounds: products of true weights may underflow.
TINY = 1e-300


@compiled
def _outputs(
    p: Points,
    w: Any,
    v: Any,
    s: Any,
    weight2: Any,
    radius: Any,
    together: float,
    f: Any,
    error: Any,
) -> None:
    """f_i and its error bound in units of the largest exponent, for w (d, h) and weight2_j = 4**(k_j - K).

    Not s z: within the error of a kink, a unit of a moving neuron that is off may be on. A neuron without an
    active point rests, on its last kink as elsewhere, and its outputs are exactly 0: its weight2 becomes 0.
    """
    d, h = w.shape
    n = p.y.size
    for j in range(h):
        moves = 0.0
        for i in range(n):
            moves = max(moves, s[i, j])
        weight2[j] *= moves
    for i in range(n):
        f[i], error[i] = 0.0, 0.0
        norm = p.norms[i]
        own, rounding, active2 = 0.0, 0.0, 0.0
        for j in range(h):
            z, square = 0.0, v[j] * v[j]
            for c in range(d):
                z += p.X[i, c] * w[c, j]
                square += w[c, j] * w[c, j]
            if (
                weight2[j] == 0.0
                or z + 2.0 * norm * radius[j] + 1e-14 * norm * math.sqrt(square) <= 0.0
            ):
                continue
            theta = math.sqrt(square)
            f[i] += weight2[j] * v[j] * max(z, 0.0)
            own += weight2[j] * (theta * radius[j] + 0.5 * radius[j] * radius[j])
            active2 += weight2[j] * square
            rounding += weight2[j] * square
        pooled = math.sqrt(active2) * together + 0.5 * together * together
        error[i] = norm * (min(own, pooled) + (2.0 * d + h + 8.0) * UNIT * rounding)


@compiled
def quantities_at(
    p: Points, w: Any, v: Any, s: Any, exponent: Any, radius: Any, together: float,
    mantissa2: float, exponent0: int, log_eps: float, start: Any, balance: Any, exponent_start: Any,
    sup: Any, work: Any, out: Any,
) -> None:  # fmt: skip
    """out[q] = measured value, lower and upper bound of the wanted quantities, for w (d, h) in mantissas.

    Args:
        s: (n, h) pattern, 1 where it is not known. radius: (h,) per neuron. together: of all weights in units of
            the largest exponent, or inf.
        mantissa2, exponent0: eps**2 = mantissa2 4**exponent0. start, balance, exponent_start: unit vectors
            (h, d+1), v_j^2 - |w_j|^2 (h,) and exponents (h,) at the start. sup: for what is wanted.
        work: (d + h + 2 n,).
    """
    d, h = w.shape
    n = p.y.size
    top = exponent[0]
    for j in range(h):
        top = max(top, exponent[j])
    column, weight2 = work[:d], work[d : d + h]
    f, error = work[d + h : d + h + n], work[d + h + n : d + h + 2 * n]
    best, low, high = -math.inf, -math.inf, -math.inf
    angle, angle_low, angle_high = 0.0, 0.0, 0.0
    drift, drift_error = 0.0, 0.0
    for j in range(h):
        weight2[j] = clipped_ldexp(1.0, 2 * (exponent[j] - top))
        square = 0.0
        for c in range(d):
            column[c] = w[c, j]
            square += w[c, j] * w[c, j]
        size = math.sqrt(square)
        if sup[WEIGHT, WANTED] > 0.0:
            a, b, e = log_bounds(
                size, radius[j] + 8.0 * UNIT * size, 2.0 * (log_eps + exponent[j] * LOG2), 2.0
            )
            best, low, high = max(best, a), max(low, b), max(high, e)
        if sup[ANGLE, WANTED] > 0.0 and start[j, d] >= 0.0:
            now = angle_to(column, start[j])
            near = angle_error(size, radius[j], start[j, d], d)
            angle, angle_low = max(angle, now), max(angle_low, now - near)
            angle_high = max(angle_high, min(now + near, math.pi))
        if sup[IMBALANCE, WANTED] > 0.0:
            unit2 = clipped_ldexp(mantissa2, 2 * (exponent0 + exponent[j]))
            before = clipped_ldexp(balance[j], 2 * (exponent_start[j] - exponent[j]))
            theta = math.sqrt(square + v[j] * v[j])
            drift = max(drift, unit2 * abs(v[j] * v[j] - square - before))
            allowed = radius[j] * (2.0 * theta + radius[j]) + (d + 8.0) * UNIT * (
                theta * theta + abs(before)
            )
            drift_error = max(drift_error, unit2 * allowed + TINY)
    _put(out, WEIGHT, best, low, high)
    _put(out, ANGLE, angle, angle_low, angle_high)
    _put(out, IMBALANCE, drift, max(drift - drift_error, 0.0), drift + drift_error)
    if sup[OUTPUT, WANTED] == 0.0 and sup[LOSS, WANTED] == 0.0:
        return
    _outputs(p, w, v, s, weight2, radius, together, f, error)
    _from_outputs(
        p,
        f,
        error,
        clipped_ldexp(mantissa2, 2 * (exponent0 + top)),
        2.0 * (log_eps + top * LOG2),
        out,
    )


@compiled
def _from_outputs(p: Points, f: Any, error: Any, scale: float, log_scale: float, out: Any) -> None:
    """max_i |f_i| as a logarithm, and the loss, from outputs in units of ``scale``."""
    best, low, high = 0.0, 0.0, 0.0
    loss, loss_error = 0.0, 0.0
    for i in range(f.size):
        best = max(best, abs(f[i]))
        low = max(low, abs(f[i]) - error[i])
        high = max(high, abs(f[i]) + error[i])
        y, center, away = p.y[i], scale * f[i], scale * error[i] + TINY
        value = loss_value(p, center, y)
        # convex: the largest slope is at an end
        slope = max(
            abs(force_of_output(p, center - away, y)), abs(force_of_output(p, center + away, y))
        )
        loss += value
        loss_error += away * slope + 8.0 * UNIT * (abs(value) + abs(center) * slope)
    value, _, _ = log_bounds(best, 0.0, log_scale, 1.0)
    _, below, _ = log_bounds(low, 0.0, log_scale, 1.0)
    _, _, above = log_bounds(high, 0.0, log_scale, 1.0)
    _put(out, OUTPUT, value, below, above)
    loss_error += f.size * UNIT * abs(loss)
    _put(out, LOSS, loss, loss - loss_error, loss + loss_error)


@compiled
def _put(out: Any, q: int, value: float, low: float, high: float) -> None:
    out[q, VALUE], out[q, LOW], out[q, HIGH] = value, low, high


@compiled
def raise_all(sup: Any, values: Any, time: float) -> None:
    """Let all wanted quantities have been ``values`` at ``time``."""
    for q in range(sup.shape[0]):
        if sup[q, WANTED] > 0.0:
            raise_to(sup, q, values[q, VALUE], values[q, LOW], values[q, HIGH], time)
