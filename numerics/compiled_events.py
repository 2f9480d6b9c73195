"""Compiled: where, inside a step, does an activation flip first, and which near misses stay undecided?

Each z_ij = <w_j, x_i> is a polynomial on the step. Its Bernstein coefficients say without sampling that
it has no root, or exactly one (Descartes' rule); a step on which some z_ij could have more than one root
is halved. Nearly all pairs are excluded before, by |z_ij(0)| > |x_i| sum_k |w_jk|.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.compiled_series import point_polynomial
from numerics.compiled_types import (
    BERN,
    CW,
    FRESH,
    INNER,
    OUTER,
    PATTERN,
    POLY,
    SCRATCH,
    TRAVEL,
    Lane,
    Points,
    Step,
)
from numerics.compiling import compiled, internal, internal_fast

MAX_HALVINGS = 48
SAMPLES = 33
# No order of vanishing is as large as this, but NEVER.
FAR = 1 << 19


@internal_fast
def travel(step: Step, degree: int, out: Any) -> None:
    """out_j >= sup over the step of |w_j(s) - w_j(0)|, from the coefficients on [0, 1]."""
    d, H = step.taylor[CW].shape[1], step.taylor[CW].shape[2]
    square = step.nh[SCRATCH + 3]
    for j in range(H):
        out[j] = 0.0
    for k in range(1, degree + 1):
        for j in range(H):
            square[j] = 0.0
        for c in range(d):
            for j in range(H):
                square[j] += step.taylor[CW, k, c, j] * step.taylor[CW, k, c, j]
        for j in range(H):
            out[j] += math.sqrt(square[j])
    for j in range(H):
        out[j] *= 1.0 + 1e-12


@internal_fast
def row_within(z: Any, norm: float, reach: Any) -> bool:
    """Whether some |z_j| <= norm * reach_j."""
    least = np.inf
    for j in range(z.size):
        least = min(least, abs(z[j]) - norm * reach[j])
    return not least > 0.0


@compiled
def to_bernstein(a: Any, degree: int, b: Any) -> None:
    """Bernstein coefficients on [0, 1]: b_k = sum_i C(k, i) a_i / C(p, i), by rounds of additions."""
    binomial = 1.0
    for i in range(degree + 1):
        b[i] = a[i] / binomial
        binomial = binomial * (degree - i) / (i + 1)
    for k in range(1, degree + 1):
        for i in range(degree, k - 1, -1):
            b[i] += b[i - 1]


@compiled
def single_root(a: Any, degree: int) -> float:
    """The root in (0, 1] of a polynomial that is positive at 0 and has one sign change.

    Newton's method inside a bracket, to within about one unit in the last place.
    """
    low, high = 0.0, 1.0
    at_end = a[degree]
    for k in range(degree - 1, -1, -1):
        at_end += a[k]
    secant = a[0] / (a[0] - at_end) if a[0] > at_end else 0.5
    x = secant if 0.0 < secant < 1.0 else 0.5
    for iteration in range(90):
        value, slope = a[degree], 0.0
        for k in range(degree - 1, -1, -1):
            slope = slope * x + value
            value = value * x + a[k]
        if value > 0.0:
            low = x
        else:
            high = x
        newton = x - value / slope
        if abs(newton - x) <= 2.3e-16 * abs(x) or high - low <= 2.3e-16 * high or value == 0.0:
            break
        # A bracket that Newton does not close soon is closed by bisection.
        x = newton if low < newton < high and iteration < 20 else low + 0.5 * (high - low)
    return x


@internal
def oriented(p: Points, lane: Lane, step: Step, degree: int, i: int, j: int, length: float) -> int:
    """step.pb[POLY] = z_ij on [0, length], positive on its own side of the kink; returns its degree.

    A pair that starts on the kink has z(0) = 0 up to rounding: its vanishing leading coefficients are
    divided out, so that the quotient tells whether it comes back without being misled by that zero.
    """
    a = step.pb[POLY]
    point_polynomial(p, step, degree, i, j, a)
    power = 1.0 if lane.pz[PATTERN, i, j] > 0.0 else -1.0
    for k in range(degree + 1):
        a[k] *= power
        power *= length
    order = lane.order[i, j]
    if order > 0:
        for k in range(degree + 1):
            a[k] = a[k + order] if k + order <= degree else 0.0
    return degree


@internal
def locate(p: Points, lane: Lane, step: Step, degree: int) -> tuple[float, int, int]:
    """The first flip on [0, 1]: (fraction of the step, flat index j n + i of the pair or -1, stuck pair or -1).

    The step is halved where some pair could have several roots; ``stuck`` is a pair for which that did not help.
    """
    n = p.y.size
    H = lane.fl[OUTER].size
    reach = step.nh[TRAVEL]
    travel(step, degree, reach)
    limit = 1.0
    stuck = -1
    for _ in range(MAX_HALVINGS):
        fraction, pair, stuck = limit, -1, -1
        for i in range(n):
            if not row_within(lane.pz[INNER, i], p.norms[i], reach):
                continue
            for j in range(H):
                if abs(lane.pz[INNER, i, j]) > p.norms[i] * reach[j] or lane.order[i, j] > degree:
                    continue
                oriented(p, lane, step, degree, i, j, fraction)
                to_bernstein(step.pb[POLY], degree, step.pb[BERN])
                changes, last, first = 0, 0.0, 0.0
                for k in range(degree + 1):
                    sign = np.sign(step.pb[BERN, k])
                    if sign * last < 0.0:
                        changes += 1
                    if sign != 0.0:
                        last = sign
                        if first == 0.0:
                            first = sign
                if changes == 0 and first >= 0.0:
                    continue
                if changes == 1 and first > 0.0:
                    fraction *= single_root(step.pb[POLY], degree)
                    pair = j * n + i
                else:
                    stuck = j * n + i
                    break
            if stuck >= 0:
                break
        if stuck < 0:
            return fraction, pair, -1
        limit *= 0.5
    return limit, -1, stuck


@internal
def touching(p: Points, lane: Lane, step: Step, degree: int, radius: Any) -> int:
    """A pair whose |z_ij| has, within its error, a minimum that is not a sure crossing, else -1.

    Where |z| <= error the trajectory must be on its way: away from a kink that it has just crossed
    (``fresh``) at the start of the step, or towards the next one at its end.
    """
    n = p.y.size
    H = lane.fl[OUTER].size
    reach = step.nh[SCRATCH + 2]
    for j in range(H):
        reach[j] = step.nh[TRAVEL, j] + radius[j]
    low = np.empty(SAMPLES, dtype=np.bool_)
    slopes = np.empty(SAMPLES)
    a = step.pb[POLY]
    for i in range(n):
        if not row_within(lane.pz[INNER, i], p.norms[i], reach):
            continue
        for j in range(H):
            if abs(lane.pz[INNER, i, j]) > p.norms[i] * reach[j] or lane.order[i, j] > degree:
                continue
            error = radius[j] * p.norms[i]
            point_polynomial(p, step, degree, i, j, a)
            sign = 1.0 if lane.pz[PATTERN, i, j] > 0.0 else -1.0
            for k in range(degree + 1):
                a[k] = 0.0 if k < lane.order[i, j] else sign * a[k]
            to_bernstein(a, degree, step.pb[BERN])
            least = step.pb[BERN, 0]
            for k in range(1, degree + 1):
                least = min(least, step.pb[BERN, k])
            if least > error:
                continue
            for m in range(SAMPLES):
                x = m / (SAMPLES - 1.0)
                value, slope = a[degree], 0.0
                for k in range(degree - 1, -1, -1):
                    slope = slope * x + value
                    value = value * x + a[k]
                low[m] = not value > error
                slopes[m] = slope
            if _unclear(low, slopes, lane.bits[FRESH, i, j]):
                return j * n + i
    return -1


@internal
def _unclear(low: Any, slopes: Any, just_left: bool) -> bool:
    """Whether a sample that is not clear of the kink belongs neither to leaving it nor to arriving at it."""
    size = low.size
    left = 0  # samples of a pair that leaves; a fresh pair starts on the kink, where its leading term counts
    if just_left:
        while left < size and low[left] and (left == 0 or slopes[left] > 0.0):
            left += 1
    arrived = size  # first sample of a pair that arrives
    while arrived > 0 and low[arrived - 1] and slopes[arrived - 1] < 0.0:
        arrived -= 1
    everywhere = True
    for m in range(size):
        if low[m]:
            if left <= m < arrived:
                return True
        else:
            everywhere = False
    # A pair that turns back before it was clear of the kink may not have crossed at all.
    return just_left and everywhere and left < size
