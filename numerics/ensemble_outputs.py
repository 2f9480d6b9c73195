"""Compiled: the supremum over a step of the largest output max_i |f_i|."""

from __future__ import annotations

import math
from typing import Any

from numerics.compiled_field import pooled
from numerics.compiled_types import (
    CV,
    CW,
    GLOBAL,
    LATE,
    LENGTH,
    NEW,
    OUTPUTS,
    SCALE,
    SF,
    SHORT_STEP,
    T0,
    T1,
    TAU,
    TERMS,
    THETA,
    V1,
    WEIGHT2,
    Points,
    Step,
)
from numerics.compiling import compiled, compiled_fast
from numerics.ensemble_polynomials import largest_between, supremum_on_unit
from numerics.ensemble_suprema import LOG2, LOW, OUTPUT, UNIT, log_bounds, raise_to
from numerics.ensemble_watch import LOG_EPS, Watch


@compiled
def _output_errors(p: Points, step: Step, h: int, w: Watch, error: Any) -> None:
    """The error of every f_i, in units of the largest exponent.

    A unit of a moving neuron that is off at an end of the step, but within its error of the kink, may be on.
    A neuron without an active point rests, and its outputs are exactly 0.
    """
    together, moves = step.out[GLOBAL], w.v
    for j in range(h):
        moves[j] = 0.0
        for i in range(p.y.size):
            moves[j] = max(moves[j], w.s[i, j])
    for i in range(p.y.size):
        own, square, norm = 0.0, 0.0, p.norms[i]
        for j in range(h):
            if moves[j] == 0.0:
                continue
            theta = max(step.nh[THETA, j], step.nh[THETA + 1, j], step.nh[THETA + 2, j])
            r = step.nh[NEW, j] + step.nh[LATE, j]
            clear = 2.0 * norm * r + 1e-14 * norm * theta
            if w.s[i, j] > 0.0 or not min(-step.zn[0, i, j], -step.zn[2, i, j]) > clear:
                own += step.nh[WEIGHT2, j] * (theta * r + 0.5 * r * r)
                square += step.nh[WEIGHT2, j] * theta * theta
        pooled_error = math.sqrt(square) * together + 0.5 * together * together
        rounding = (2.0 * p.X.shape[1] + h + 16.0) * UNIT * square
        error[i] = norm * (min(own, pooled_error) + rounding)


@compiled_fast
def _product(step: Step, degree: int, m: int, out: Any) -> None:
    """out (d, H) = coefficient m <= 2 degree of weight2_j v_j w_j."""
    d, H = out.shape
    for c in range(d):
        for j in range(H):
            out[c, j] = 0.0
        for k in range(max(0, m - degree), min(m, degree) + 1):
            for j in range(H):
                out[c, j] += step.taylor[CW, k, c, j] * step.tv[CV, m - k, j]
        for j in range(H):
            out[c, j] *= step.nh[WEIGHT2, j]


@compiled
def _raise(
    w: Watch, a: Any, count: int, allowed: float, unit: float, step: Step, reached: float
) -> None:
    """Raise max |f| by the polynomial a of ``count`` coefficients; a is changed.

    Args:
        allowed: error of a, unit: the logarithm of its unit, reached: what the supremum is at least, in it.
    """
    for _ in range(2):
        low, high, where = supremum_on_unit(a, count, w.leaves)
        if high + allowed > reached and high > 0.0:
            at = step.out[T1] if where == 1.0 else step.out[T0] + where * step.out[TAU]
            value, below, _ = log_bounds(max(low, 0.0), allowed, unit, 1.0)
            _, _, above = log_bounds(high, allowed, unit, 1.0)
            raise_to(w.sup, OUTPUT, value, below, above, at)
        for k in range(count):
            a[k] = -a[k]


@compiled_fast
def _sizes(step: Step, degree: int, work: Any, sizes: Any) -> None:
    """Bounds on the step of |w|, |w'|, |w''|, |v|, |v'|, |v''| of every neuron, from the coefficients on [0, 1]."""
    d, H = step.taylor.shape[2], work.size
    for j in range(H):
        for m in range(6):
            sizes[m, j] = 0.0
    for k in range(degree + 1):
        for j in range(H):
            work[j] = 0.0
        for c in range(d):
            for j in range(H):
                work[j] += step.taylor[CW, k, c, j] * step.taylor[CW, k, c, j]
        for j in range(H):
            a, b = math.sqrt(work[j]), abs(step.tv[CV, k, j])
            sizes[0, j] += a
            sizes[1, j] += k * a
            sizes[2, j] += k * (k - 1) * a
            sizes[3, j] += b
            sizes[4, j] += k * b
            sizes[5, j] += k * (k - 1) * b


@compiled
def _by_slopes(p: Points, step: Step, degree: int, w: Watch, unit: float, reached: float) -> bool:
    """Whether every |f_i| is seen to be largest at an end of the step, or at most ``reached``; raises the supremum.

    f_i' is known at the start of the step, |f_i''| bounded by sum_j s_ij |x_i| (|w''||v| + 2 |w'||v'| + |w||v''|).
    """
    q, weight2 = w.sizes, step.nh[WEIGHT2]
    d, H = step.taylor.shape[2], w.v.size
    _sizes(step, degree, w.v, q)
    for j in range(H):
        rounding = 1e-13 * (q[1, j] * q[3, j] + q[0, j] * q[4, j])
        bend = q[2, j] * q[3, j] + 2.0 * q[1, j] * q[4, j] + q[0, j] * q[5, j]
        w.v[j] = weight2[j] * (bend + rounding)
    for i in range(p.y.size):
        before, after, slope, bend = 0.0, 0.0, 0.0, 0.0
        for j in range(H):
            if w.s[i, j] > 0.0:
                speed = 0.0
                for c in range(d):
                    speed += p.X[i, c] * step.taylor[CW, 1, c, j]
                z, v = step.zn[0, i, j], step.tv[CV, 0, j]
                before += weight2[j] * v * z
                after += weight2[j] * step.nh[V1, j] * step.zn[2, i, j]
                slope += weight2[j] * (step.tv[CV, 1, j] * z + v * speed)
                bend += w.v[j]
        bend *= p.norms[i]
        allowed = w.work[i]
        bound = largest_between(before, after, slope - bend, slope + bend, 1.0)
        if bound + allowed <= reached:
            continue
        if not abs(slope) >= bend:
            return False
        time = step.out[T1] if abs(after) >= abs(before) else step.out[T0]
        value, low, high = log_bounds(bound, allowed, unit, 1.0)
        raise_to(w.sup, OUTPUT, value, low, high, time)
    return True


@compiled
def _watch_products(p: Points, step: Step, degree: int, w: Watch, top: int) -> None:
    """By slopes, or from the products of the dense output, in units of the largest exponent: nothing underflows."""
    n, count = p.y.size, 2 * degree + 1
    unit = 2.0 * (w.num[LOG_EPS] + top * LOG2)
    reached = math.exp(min(w.sup[OUTPUT, LOW] - unit, 700.0)) * (1.0 - 1e-9)
    if _by_slopes(p, step, degree, w, unit, reached):
        return
    for m in range(count):
        _product(step, degree, m, w.w)
        pooled(p.X, w.s, w.w, 1.0, w.v, w.outputs[m])
    a = w.poly[0]
    for i in range(n):
        crude = w.work[i]
        for m in range(count):
            a[m] = w.outputs[m, i]
            crude += abs(a[m])
        if crude > reached:
            _raise(w, a, count, w.work[i], unit, step, reached)


@compiled
def watch_outputs(p: Points, step: Step, h: int, degree: int, w: Watch, top: int) -> None:
    """max_i |f_i|, from the series of f where the engine has it; its last term is missing."""
    n, error = p.y.size, w.work
    _output_errors(p, step, h, w, error)
    if step.flag[TERMS] < degree:
        # outputs hardly matter, and the engine has not computed all of their series
        _watch_products(p, step, degree, w, top)
        return
    length, a = step.out[LENGTH], w.poly[0]
    reached = math.exp(min(w.sup[OUTPUT, LOW], 700.0)) * (1.0 - 1e-9)
    for i in range(n):
        power, crude, middle, end = 1.0, 0.0, 0.0, 0.0
        for k in range(degree):
            a[k] = step.series[SF, k, i] * power
            power *= length
            crude += abs(a[k])
        for k in range(degree - 1, -1, -1):
            middle, end = 0.5 * middle + a[k], end + a[k]
        # the missing term grows like a power of the time; short steps have not seen their middle
        missing = 2.0 * abs(end - step.pn[OUTPUTS, 2, i])
        if step.flag[SHORT_STEP] == 0:
            missing += 2.0 * abs(middle - step.pn[OUTPUTS, 1, i])
        allowed = step.out[SCALE] * error[i] + missing
        if crude + allowed > reached:
            _raise(w, a, degree, allowed, 0.0, step, reached)
