"""Compiled: what a step of the engine adds to the suprema of an ensemble.

The loss never increases along the flow: its supremum is its value at the start. The other quantities are
bounded on the whole step by their polynomials. A neuron, or a point, whose crude bound (the sum of the sizes
of its coefficients) stays below what has been reached is not looked at.
"""

from __future__ import annotations

import math
from typing import Any

from numerics.compiled_field import clipped_ldexp
from numerics.compiled_types import DEGREE, LATE, NEW, T0, T1, TAU, V1, WEIGHT2, Points, Step
from numerics.compiling import compiled
from numerics.ensemble_angles import watch_angles
from numerics.ensemble_outputs import watch_outputs
from numerics.ensemble_polynomials import supremum_on_unit
from numerics.ensemble_suprema import (
    ANGLE,
    IMBALANCE,
    LOG2,
    LOW,
    OUTPUT,
    UNIT,
    WANTED,
    WEIGHT,
    log_bounds,
    raise_to,
    raise_weight,
)
from numerics.ensemble_watch import (
    LOG_EPS,
    MANTISSA,
    POWER,
    Watch,
    crude_sizes,
    end_square,
    square_polynomial,
)


@compiled
def _watch_weights(step: Step, h: int, degree: int, w: Watch, top: int) -> None:
    """max_j |w_j|^2."""
    t0, tau, t1 = step.out[T0], step.out[TAU], step.out[T1]
    best, largest = -1, -1.0
    for j in range(h):
        square = step.nh[WEIGHT2, j] * end_square(step, j)
        if square > largest:
            best, largest = j, square
    unit = 2.0 * (w.num[LOG_EPS] + w.exponent[best] * LOG2)
    raise_weight(w.sup, end_square(step, best), step.nh[NEW, best] + step.nh[LATE, best], unit, t1)
    crude_sizes(step, degree, 0, w.v, w.near)
    reached = math.exp(min(w.sup[WEIGHT, LOW] - 2.0 * (w.num[LOG_EPS] + top * LOG2), 700.0)) * (
        1.0 - 1e-9
    )
    for j in range(h):
        r = step.nh[NEW, j] + step.nh[LATE, j]
        size = w.near[j] + r
        if step.nh[WEIGHT2, j] * size * size <= reached:
            continue
        count = square_polynomial(step, degree, j, w.poly[0])
        low, high, where = supremum_on_unit(w.poly[0], count, w.leaves)
        unit = 2.0 * (w.num[LOG_EPS] + w.exponent[j] * LOG2)
        size, above = math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
        value, low, _ = log_bounds(size, r + 8.0 * UNIT * size, unit, 2.0)
        _, _, high = log_bounds(above, r + 8.0 * UNIT * above, unit, 2.0)
        raise_to(w.sup, WEIGHT, value, low, high, t1 if where == 1.0 else t0 + where * tau)


@compiled
def _watch_imbalance(step: Step, h: int, balance: Any, exponent_start: Any, w: Watch) -> None:
    """max_j |v_j^2 - |w_j|^2 - (start)| at the end of the step: 0 for the exact flow, hence nothing in between."""
    d = step.taylor.shape[2]
    value, error = 0.0, 0.0
    for j in range(h):
        square, v = end_square(step, j), step.nh[V1, j]
        unit2 = clipped_ldexp(w.num[MANTISSA], 2 * (w.whole[POWER] + w.exponent[j]))
        start = clipped_ldexp(balance[j], 2 * (exponent_start[j] - w.exponent[j]))
        value = max(value, unit2 * abs(v * v - square - start))
        r, theta = step.nh[NEW, j] + step.nh[LATE, j], math.sqrt(square + v * v)
        allowed = r * (2.0 * theta + r) + (d + 8.0) * UNIT * (theta * theta + abs(start))
        error = max(error, unit2 * allowed + 1e-300)
    raise_to(w.sup, IMBALANCE, value, max(value - error, 0.0), value + error, step.out[T1])


@compiled
def watch_step(p: Points, step: Step, h: int, balance: Any, exponent_start: Any, w: Watch) -> None:
    """Raise the suprema by the step in the workspace; w.exponent and w.s are those before it."""
    degree, top = step.flag[DEGREE], w.exponent[0]
    for j in range(h):
        top = max(top, w.exponent[j])
    if w.sup[WEIGHT, WANTED] > 0.0:
        _watch_weights(step, h, degree, w, top)
    if w.sup[OUTPUT, WANTED] > 0.0:
        watch_outputs(p, step, h, degree, w, top)
    if w.sup[ANGLE, WANTED] > 0.0:
        watch_angles(step, h, degree, w)
    if w.sup[IMBALANCE, WANTED] > 0.0:
        _watch_imbalance(step, h, balance, exponent_start, w)
