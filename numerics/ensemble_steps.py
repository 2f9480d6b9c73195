"""Compiled: what a step of the engine adds to the suprema of an ensemble.

The loss never increases along the flow: its supremum is its value at the start. The other quantities are
bounded on the whole step by their polynomials. A neuron, or a point, whose crude bound (the sum of the sizes
of its coefficients) stays below what has been reached is not looked at.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from numerics.compiled_field import (
    clipped_ldexp,
)
from numerics.compiled_types import (
    CW,
    DEGREE,
    GLOBAL,
    LATE,
    NEW,
    OUTPUTS,
    SCALE,
    SF,
    T0,
    T1,
    TAU,
    THETA,
    V1,
    W1,
    WEIGHT2,
    Points,
    Step,
    padded,
)
from numerics.compiling import compiled, compiled_fast
from numerics.ensemble_polynomials import LEAVES, supremum_on_unit, to_bernstein
from numerics.ensemble_suprema import (
    ANGLE,
    IMBALANCE,
    LOG2,
    LOW,
    OUTPUT,
    UNIT,
    WANTED,
    WEIGHT,
    angle_error,
    angle_to,
    log_bounds,
    raise_angle,
    raise_to,
    raise_weight,
)

# Nodes of a step on which an angle turns round, and the safety of second differences between them.
NODES, LEVELS, SAFETY = 17, 6, 2.0


class Watch(NamedTuple):
    """What is watched of one lane, and the workspace for it.

    sup, start: see ``numerics.ensemble_suprema``. num (4,): log eps, eps**2 without its power of four, the unit
    of time of the series. whole (4,): that power, the next of ``stops``. exponent (H,), s (n, H): before the step.
    angle, near (H,): at its start, and the crude size of a neuron on it. stops (m,), recorded (m, quantities, 3).
    w (d, H), v (H,): a state inside the step. leaves, poly, work: for polynomials and ``quantities_at``.
    """

    sup: Any
    start: Any
    num: Any
    whole: Any
    exponent: Any
    s: Any
    angle: Any
    near: Any
    stops: Any
    recorded: Any
    w: Any
    v: Any
    leaves: Any
    poly: Any
    work: Any


LOG_EPS, MANTISSA, SERIES_UNIT = range(3)
POWER, NEXT_STOP = range(2)


def watch_of(n: int, d: int, h: int, order: int, stops: Any, quantities: int) -> Watch:
    """Memory for watching one lane at a time."""
    z, H, most = np.zeros, padded(h), 3 * order + 12
    return Watch(
        sup=z((quantities, 5)), start=z((H, d + 1)), num=z(4), whole=z(4, dtype=np.int64),
        exponent=z(H, dtype=np.int64), s=z((n, H)), angle=z(H), near=z(H), stops=stops,
        recorded=z((stops.size, quantities, 3)), w=z((d, H)), v=z(H), leaves=z((LEAVES, most)),
        poly=z((6, most)), work=z(d + H + 2 * n),
    )  # fmt: skip


@compiled_fast
def _crude_sizes(step: Step, degree: int, first: int, work: Any, out: Any) -> None:
    """out_j = sum over k >= first of |coefficient k of w_j|."""
    H = out.size
    d = step.taylor.shape[2]
    for j in range(H):
        out[j] = 0.0
    for k in range(first, degree + 1):
        for j in range(H):
            work[j] = 0.0
        for c in range(d):
            for j in range(H):
                work[j] += step.taylor[CW, k, c, j] * step.taylor[CW, k, c, j]
        for j in range(H):
            out[j] += math.sqrt(work[j])


@compiled
def _square_polynomial(step: Step, degree: int, j: int, out: Any) -> int:
    """|w_j|^2 on the step; returns the number of coefficients."""
    d = step.taylor.shape[2]
    for m in range(2 * degree + 1):
        total = 0.0
        for k in range(max(0, m - degree), min(m, degree) + 1):
            for c in range(d):
                total += step.taylor[CW, k, c, j] * step.taylor[CW, m - k, c, j]
        out[m] = total
    return 2 * degree + 1


@compiled
def _end_square(step: Step, j: int) -> float:
    total = 0.0
    for c in range(step.st.shape[1]):
        total += step.st[W1, c, j] * step.st[W1, c, j]
    return total


@compiled
def _watch_weights(step: Step, h: int, degree: int, w: Watch, top: int) -> None:
    """max_j |w_j|^2."""
    t0, tau, t1 = step.out[T0], step.out[TAU], step.out[T1]
    best, largest = -1, -1.0
    for j in range(h):
        square = step.nh[WEIGHT2, j] * _end_square(step, j)
        if square > largest:
            best, largest = j, square
    unit = 2.0 * (w.num[LOG_EPS] + w.exponent[best] * LOG2)
    raise_weight(w.sup, _end_square(step, best), step.nh[NEW, best] + step.nh[LATE, best], unit, t1)
    _crude_sizes(step, degree, 0, w.v, w.near)
    reached = math.exp(min(w.sup[WEIGHT, LOW] - 2.0 * (w.num[LOG_EPS] + top * LOG2), 700.0)) * (
        1.0 - 1e-9
    )
    for j in range(h):
        r = step.nh[NEW, j] + step.nh[LATE, j]
        size = w.near[j] + r
        if step.nh[WEIGHT2, j] * size * size <= reached:
            continue
        count = _square_polynomial(step, degree, j, w.poly[0])
        low, high, where = supremum_on_unit(w.poly[0], count, w.leaves)
        unit = 2.0 * (w.num[LOG_EPS] + w.exponent[j] * LOG2)
        size, above = math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
        value, low, _ = log_bounds(size, r + 8.0 * UNIT * size, unit, 2.0)
        _, _, high = log_bounds(above, r + 8.0 * UNIT * above, unit, 2.0)
        raise_to(w.sup, WEIGHT, value, low, high, t1 if where == 1.0 else t0 + where * tau)


@compiled
def _output_errors(p: Points, step: Step, h: int, w: Watch, error: Any, size: Any) -> None:
    """Per point, in units of the largest exponent: the error of f, and the bound sum_j |theta_j|^2 |x|/2 of |f|."""
    together = step.out[GLOBAL]
    for i in range(p.y.size):
        own, square = 0.0, 0.0
        for j in range(h):
            if w.s[i, j] > 0.0:
                theta = max(step.nh[THETA, j], step.nh[THETA + 1, j], step.nh[THETA + 2, j])
                r = step.nh[NEW, j] + step.nh[LATE, j]
                own += step.nh[WEIGHT2, j] * (theta * r + 0.5 * r * r)
                square += step.nh[WEIGHT2, j] * theta * theta
        pooled = math.sqrt(square) * together + 0.5 * together * together
        rounding = (2.0 * p.X.shape[1] + h + 16.0) * UNIT * square
        error[i] = p.norms[i] * (min(own, pooled) + rounding)
        size[i] = 0.5 * p.norms[i] * square


@compiled
def _watch_outputs(p: Points, step: Step, h: int, degree: int, w: Watch, top: int) -> None:
    """max_i |f_i|, from the series of f, whose last term is missing: its size is seen at the end of the step."""
    n = p.y.size
    t0, tau, t1, scale = step.out[T0], step.out[TAU], step.out[T1], step.out[SCALE]
    error, size = w.work[:n], w.work[n : 2 * n]
    _output_errors(p, step, h, w, error, size)
    if math.isnan(step.series[SF, 2, 0]):
        # the early phase: the series has not been computed, outputs are measured at the end alone
        unit = 2.0 * (w.num[LOG_EPS] + top * LOG2)
        best, low, high = 0.0, 0.0, 0.0
        for i in range(n):
            f = 0.0
            for j in range(h):
                if w.s[i, j] > 0.0:
                    z = 0.0
                    for c in range(p.X.shape[1]):
                        z += p.X[i, c] * step.st[W1, c, j]
                    f += step.nh[WEIGHT2, j] * step.nh[V1, j] * z
            best, low = max(best, abs(f)), max(low, abs(f) - error[i])
            # |theta|^2 is convex while the forces are constant
            high = max(high, size[i] * (1.0 + 1e-9) + error[i])
        value, _, _ = log_bounds(best, 0.0, unit, 1.0)
        _, low, _ = log_bounds(low, 0.0, unit, 1.0)
        _, _, high = log_bounds(high, 0.0, unit, 1.0)
        raise_to(w.sup, OUTPUT, value, low, high, t1)
        return
    length = tau / w.num[SERIES_UNIT]
    a = w.poly[0]
    reached = math.exp(min(w.sup[OUTPUT, LOW], 700.0)) * (1.0 - 1e-9)
    for i in range(n):
        power, crude, middle, end = 1.0, 0.0, 0.0, 0.0
        for k in range(degree):
            a[k] = step.series[SF, k, i] * power
            power *= length
            crude += abs(a[k])
        for k in range(degree - 1, -1, -1):
            middle, end = 0.5 * middle + a[k], end + a[k]
        # the missing term grows like a power of the time
        missing = 2.0 * (abs(end - step.pn[OUTPUTS, 2, i]) + abs(middle - step.pn[OUTPUTS, 1, i]))
        allowed = scale * error[i] + missing + 1e-300
        if crude + allowed <= reached:
            continue
        for _ in range(2):
            low, high, where = supremum_on_unit(a, degree, w.leaves)
            if high + allowed > reached and high > 0.0:
                value, below, _ = log_bounds(max(low, 0.0), allowed, 0.0, 1.0)
                _, _, above = log_bounds(high, allowed, 0.0, 1.0)
                raise_to(
                    w.sup, OUTPUT, value, below, above, t1 if where == 1.0 else t0 + where * tau
                )
            for k in range(degree):
                a[k] = -a[k]


@compiled
def _turns(step: Step, degree: int, j: int, u: Any, w: Watch) -> tuple[bool, float]:
    """Whether the angle of w_j to u may have an extremum inside the step, and what rounding may hide.

    With n = <w, u> and q = |w|^2 the cosine n q^{-1/2} has the derivative (n' q - n q'/2) q^{-3/2}.
    """
    n, q, P, bern = w.poly[0], w.poly[1], w.poly[2], w.poly[3]
    d = step.taylor.shape[2]
    for k in range(degree + 1):
        total = 0.0
        for c in range(d):
            total += step.taylor[CW, k, c, j] * u[c]
        n[k] = total
    _square_polynomial(step, degree, j, q)
    size = 3 * degree
    for m in range(size):
        total = 0.0
        for k in range(max(0, m - 2 * degree), min(m + 1, degree) + 1):
            if k >= 1 and m + 1 - k <= 2 * degree:
                total += k * n[k] * q[m + 1 - k]
            if k <= degree and 1 <= m + 1 - k <= 2 * degree:
                total -= 0.5 * (m + 1 - k) * n[k] * q[m + 1 - k]
        P[m] = total
    to_bernstein(P, size, bern)
    sizes = w.poly[5]
    for m in range(size):
        P[m] = abs(P[m])
    to_bernstein(P, size, sizes)
    up, down, hidden = False, False, 0.0
    for m in range(size):
        # a coefficient is as uncertain as the sizes of its terms, which are small where the neuron is
        noise = 64.0 * size * UNIT * sizes[m]
        up, down = up or bern[m] > noise, down or bern[m] < -noise
        square, at = 0.0, m / (size - 1.0)
        for k in range(2 * degree, -1, -1):
            square = square * at + q[k]
        if square > 0.0:
            hidden = max(hidden, noise / (square * math.sqrt(square)))
    return up and down, hidden


@compiled
def _watch_angle(step: Step, degree: int, j: int, w: Watch, before: float, r: float) -> None:
    """The angle of a neuron whose crude bound exceeds what has been reached."""
    d = step.taylor.shape[2]
    t0, tau, u = step.out[T0], step.out[TAU], w.start[j]
    turns, hidden = _turns(step, degree, j, u, w)
    q = w.poly[1]
    for k in range(2 * degree + 1):
        q[k] = -q[k]
    _, negative, _ = supremum_on_unit(q, 2 * degree + 1, w.leaves)
    smallest = math.sqrt(max(-negative, 0.0))
    error = angle_error(smallest, r, u[d], d)
    if not turns:
        largest = max(before, w.angle[j])
        hidden = min(hidden / max(math.sin(largest), 1e-300), math.sqrt(2.0 * hidden))
        raise_to(
            w.sup,
            ANGLE,
            largest,
            largest - error,
            min(largest + error + hidden, math.pi),
            step.out[T1],
        )
        return
    # towards the largest node, level by level; second differences bound what lies between nodes
    column, angles = w.poly[0][:d], w.poly[1]
    begin, width, best, where, high = 0.0, 1.0, 0.0, 0.0, 0.0
    for level in range(LEVELS):
        peak = 0
        for m in range(NODES):
            s = begin + width * m / (NODES - 1.0)
            for c in range(d):
                value = 0.0
                for k in range(degree, -1, -1):
                    value = value * s + step.taylor[CW, k, c, j]
                column[c] = value
            angles[m] = angle_to(column, u)
            if angles[m] > angles[peak]:
                peak = m
            if angles[m] > best:
                best, where = angles[m], s
        for m in range(NODES - 1):
            if level + 1 < LEVELS and abs(m + 0.5 - peak) < 1.0:
                continue
            bend = 0.0
            for k in range(max(m - 1, 0), min(m + 1, NODES - 3) + 1):
                bend = max(bend, abs(angles[k] - 2.0 * angles[k + 1] + angles[k + 2]))
            high = max(high, max(angles[m], angles[m + 1]) + SAFETY * bend / 8.0)
        begin = max(begin + width * (peak - 1) / (NODES - 1.0), 0.0)
        width = min(2.0 * width / (NODES - 1.0), 1.0 - begin)
    high = min(max(high, best) + error, math.pi)
    raise_to(w.sup, ANGLE, best, best - error, high, t0 + where * tau)


@compiled
def _watch_angles(step: Step, h: int, degree: int, w: Watch) -> None:
    """max_j of the angle of w_j to w_j(0)."""
    d = step.taylor.shape[2]
    column = w.work[:d]
    _crude_sizes(step, degree, 1, w.v, w.near)
    largest = 0.0
    before = w.poly[4]
    for j in range(h):
        if w.start[j, d] < 0.0:
            continue
        for c in range(d):
            column[c] = step.st[W1, c, j]
        before[j], w.angle[j] = w.angle[j], angle_to(column, w.start[j])
        r = step.nh[NEW, j] + step.nh[LATE, j]
        if w.angle[j] > largest:
            largest = w.angle[j]
            error = angle_error(math.sqrt(_end_square(step, j)), r, w.start[j, d], d)
            raise_angle(w.sup, largest, error, step.out[T1])
    for j in range(h):
        if w.start[j, d] < 0.0:
            continue
        square = 0.0
        for c in range(d):
            square += step.taylor[CW, 0, c, j] * step.taylor[CW, 0, c, j]
        r, size = step.nh[NEW, j] + step.nh[LATE, j], math.sqrt(square)
        smallest = size - w.near[j]
        bound = before[j] + angle_error(smallest, r, w.start[j, d], d)
        if smallest > 0.0:
            bound += math.asin(w.near[j] / size)
        else:
            bound = math.pi
        if bound > w.sup[ANGLE, LOW]:
            _watch_angle(step, degree, j, w, before[j], r)


@compiled
def _watch_imbalance(step: Step, h: int, balance: Any, exponent_start: Any, w: Watch) -> None:
    """max_j |v_j^2 - |w_j|^2 - (start)| at the end of the step: 0 for the exact flow, hence nothing in between."""
    d = step.taylor.shape[2]
    value, error = 0.0, 0.0
    for j in range(h):
        square, v = _end_square(step, j), step.nh[V1, j]
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
        _watch_outputs(p, step, h, degree, w, top)
    if w.sup[ANGLE, WANTED] > 0.0:
        _watch_angles(step, h, degree, w)
    if w.sup[IMBALANCE, WANTED] > 0.0:
        _watch_imbalance(step, h, balance, exponent_start, w)
