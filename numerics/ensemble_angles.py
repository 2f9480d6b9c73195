"""Compiled: the supremum over a step of the largest angle between a neuron and its start."""

from __future__ import annotations

import math
from typing import Any

from numerics.compiled_types import CW, LATE, NEW, T0, T1, TAU, W1, Step
from numerics.compiling import compiled
from numerics.ensemble_polynomials import supremum_on_unit, to_bernstein
from numerics.ensemble_suprema import (
    ANGLE,
    LOW,
    UNIT,
    angle_error,
    angle_to,
    raise_angle,
    raise_to,
)
from numerics.ensemble_watch import Watch, crude_sizes, end_square, square_polynomial

# Nodes of a step on which an angle turns round, and the safety of second differences between them.
NODES, LEVELS, SAFETY = 17, 6, 2.0


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
    square_polynomial(step, degree, j, q)
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
def watch_angles(step: Step, h: int, degree: int, w: Watch) -> None:
    """max_j of the angle of w_j to w_j(0)."""
    d = step.taylor.shape[2]
    column = w.work[:d]
    crude_sizes(step, degree, 1, w.v, w.near)
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
            error = angle_error(math.sqrt(end_square(step, j)), r, w.start[j, d], d)
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
