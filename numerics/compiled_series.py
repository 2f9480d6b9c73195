"""Compiled: the Taylor series of the flow inside one activation pattern, with as many terms as a step needs.

With the mask s fixed the flow is analytic: f_i = sum_j s_ij <v_j w_j, x_i>, g_i = -weight l'(f_i),
G_j = sum_i s_ij g_i x_i, w_j' = v_j G_j, v_j' = <G_j, w_j>; products become convolutions. Where kinks are
dense, a step is short against the radius of convergence, and few terms reach the last digit: the
degree grows until the step that is expected is resolved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.compiled_field import (
    clipped_ldexp,
    field_at,
    force_series,
    forces,
    pooled,
    slope_bound,
    square_norms,
)
from numerics.compiled_types import (
    ABSOLUTE,
    CG,
    CU,
    CV,
    CW,
    EXPONENT,
    EXPONENT0,
    FORCE,
    GAP,
    INNER,
    MANTISSA2,
    OUTER,
    OUTPUT,
    PATTERN,
    PRODUCT,
    PULL,
    RELATIVE,
    SCRATCH,
    SF,
    SG,
    SP,
    SPECIAL,
    SQ,
    SQP,
    TERMS,
    VALID,
    WEIGHT,
    WEIGHT2,
    Lane,
    Points,
    Settings,
    Step,
)
from numerics.compiling import compiled, compiled_fast, internal, internal_fast

# Below this bound on |f| the forces g are constant to far more digits than float64 has.
NEGLIGIBLE = 1e-30
# No step is longer than this many units of the series, however small the last coefficients are.
LONGEST = 1024.0
# A step should reach this many times the usual distance of two kinks.
REACH = 2.5
LOWEST = 4
# Terms of the forces below this part of the tolerance are left out of the series, not of its residual.
DROP = 0.01


@compiled
def frame(lane: Lane, step: Step) -> float:
    """Fill relative_j = 2**(k_j - K) and its square, K the lane's largest exponent; returns unit**2.

    The true weights are unit * relative_j times the mantissas; unit**2 may underflow to 0 (then f is
    0 to 300 digits).
    """
    H = lane.fl[OUTER].size
    top = lane.il[EXPONENT, 0]
    for j in range(H):
        top = max(top, lane.il[EXPONENT, j])
    for j in range(H):
        if lane.il[EXPONENT, j] == top:
            step.nh[RELATIVE, j] = 1.0
            step.nh[WEIGHT2, j] = 1.0
        else:
            step.nh[RELATIVE, j] = clipped_ldexp(1.0, lane.il[EXPONENT, j] - top)
            step.nh[WEIGHT2, j] = step.nh[RELATIVE, j] * step.nh[RELATIVE, j]
    return float(clipped_ldexp(lane.num[MANTISSA2], 2 * (lane.cnt[EXPONENT0] + top)))


@compiled
def refresh(p: Points, lane: Lane, weight2: Any, scale: float) -> None:
    """Make the field at the state valid."""
    if lane.cnt[VALID] == 0:
        field_at(
            p,
            lane.wg[WEIGHT],
            lane.fl[OUTER],
            lane.pz[PATTERN],
            weight2,
            scale,
            lane.pz[INNER],
            lane.pt[OUTPUT],
            lane.pt[ABSOLUTE],
            lane.pt[PULL],
            lane.wg[FORCE],
        )
        lane.cnt[VALID] = 1


@internal_fast
def time_unit(p: Points, lane: Lane, weight2: Any, scale: float, work: Any) -> float:
    """A power of two near 1/(norm of the Jacobian), so that coefficients stay moderate.

    The Jacobian consists of the G_j and of what acts through the outputs, at most
    |dg/df| |x|^2 sum_j s_ij |theta_j|^2 for point i.
    """
    d, H = lane.wg[WEIGHT].shape
    largest = 0.0
    for j in range(H):
        work[j] = 0.0
    for c in range(d):
        for j in range(H):
            work[j] += lane.wg[FORCE, c, j] * lane.wg[FORCE, c, j]
    for j in range(H):
        largest = max(largest, work[j])
    rate = math.sqrt(largest)
    square_norms(lane.wg[WEIGHT], lane.fl[OUTER], work)
    outward = 0.0
    for i in range(p.y.size):
        total = 0.0
        for j in range(H):
            total += lane.pz[PATTERN, i, j] * (weight2[j] * work[j])
        slope = slope_bound(p, lane.pt[OUTPUT, i], lane.pt[OUTPUT, i], p.y[i])
        outward = max(outward, scale * total * slope * p.norms[i] * p.norms[i])
    rate += outward
    if not (rate > 0.0 and rate < 1e300):
        return 1.0
    _, exponent = math.frexp(rate)
    return float(clipped_ldexp(1.0, -exponent))


@internal_fast
def _convolve(step: Step, k: int, factor: float, terms: int) -> None:
    """Coefficients k+1 of w and v from those of v, w up to k and the ``terms`` first ones of G."""
    cw, cv, Gk = step.taylor[CW], step.tv[CV], step.taylor[CG]
    d, H = cw.shape[1], cw.shape[2]
    for j in range(H):
        cv[k + 1, j] = 0.0
    first = max(0, k + 1 - terms)
    for c in range(d):
        for j in range(H):
            cw[k + 1, c, j] = cv[first, j] * Gk[k - first, c, j]
            cv[k + 1, j] += cw[first, c, j] * Gk[k - first, c, j]
        m = first + 1
        while m + 1 <= k:  # two terms at a time, so that sums are loaded and stored half as often
            for j in range(H):
                cw[k + 1, c, j] += cv[m, j] * Gk[k - m, c, j] + cv[m + 1, j] * Gk[k - m - 1, c, j]
                cv[k + 1, j] += (
                    cw[m, c, j] * Gk[k - m, c, j] + cw[m + 1, c, j] * Gk[k - m - 1, c, j]
                )
            m += 2
        if m <= k:
            for j in range(H):
                cw[k + 1, c, j] += cv[m, j] * Gk[k - m, c, j]
                cv[k + 1, j] += cw[m, c, j] * Gk[k - m, c, j]
        for j in range(H):
            cw[k + 1, c, j] *= factor
    for j in range(H):
        cv[k + 1, j] *= factor


@internal_fast
def _products(step: Step, k: int) -> None:
    """u = coefficient k of weight2 v w."""
    cw, vw, u = step.taylor[CW], step.tv[CU], step.st[PRODUCT]
    d, H = u.shape
    for c in range(d):
        for j in range(H):
            u[c, j] = vw[0, j] * cw[k, c, j]
        m = 1
        while m + 1 <= k:
            for j in range(H):
                u[c, j] += vw[m, j] * cw[k - m, c, j] + vw[m + 1, j] * cw[k - m - 1, c, j]
            m += 2
        if m <= k:
            for j in range(H):
                u[c, j] += vw[m, j] * cw[k - m, c, j]


@internal_fast
def relative_size(step: Step, k: int, size2: Any, work: Any) -> float:
    """max_j of |coefficient k of (w_j, v_j)| / |(w_j, v_j)|."""
    d, H = step.taylor[CW].shape[1], step.taylor[CW].shape[2]
    for j in range(H):
        work[j] = step.tv[CV, k, j] * step.tv[CV, k, j]
    for c in range(d):
        for j in range(H):
            work[j] += step.taylor[CW, k, c, j] * step.taylor[CW, k, c, j]
    worst = 0.0
    for j in range(H):
        if size2[j] > 0.0:
            worst = max(worst, work[j] / size2[j])
    return math.sqrt(worst)


@compiled
def expand(
    p: Points, lane: Lane, step: Step, options: Settings, scale: float
) -> tuple[float, float, int]:
    """Fill cw, cv from the lane's state.

    Returns:
        The unit of time of the coefficients, the length of step (in it) that keeps the last two terms
        below rtol relative to each neuron, and the degree.
    """
    refresh(p, lane, step.nh[WEIGHT2], scale)
    unit = time_unit(p, lane, step.nh[WEIGHT2], scale, step.st[PRODUCT, 0])
    H = lane.fl[OUTER].size
    size2, work = step.nh[SCRATCH + 0], step.nh[SCRATCH + 1]
    square_norms(lane.wg[WEIGHT], lane.fl[OUTER], size2)
    outputs = 0.0
    for j in range(H):
        w2 = max(size2[j] - lane.fl[OUTER, j] * lane.fl[OUTER, j], 0.0)
        outputs += step.nh[WEIGHT2, j] * math.sqrt(w2) * abs(lane.fl[OUTER, j])
        step.tv[CU, 0, j] = step.nh[WEIGHT2, j] * lane.fl[OUTER, j]
    growing = not scale * outputs * p.norms.max() < NEGLIGIBLE
    terms = 1
    step.taylor[CW, 0, :, :] = lane.wg[WEIGHT]
    step.tv[CV, 0, :] = lane.fl[OUTER]
    step.taylor[CG, 0, :, :] = lane.wg[FORCE]
    step.series[SF, 0, :] = lane.pt[OUTPUT]
    force_series(
        p, 0, step.series[SF], step.series[SG], step.series[SQ], step.series[SP], step.series[SQP]
    )
    highest = options.order
    lowest = highest if options.fixed > 0.0 or lane.cnt[SPECIAL] != 0 else LOWEST
    goal = LONGEST
    if lane.num[GAP] > 0.0:
        goal = min(goal, REACH * lane.num[GAP] / unit)
    before, allowed, reach = 0.0, LONGEST, np.inf
    degree = highest
    for k in range(highest):
        _convolve(step, k, unit / (k + 1), terms)
        now = relative_size(step, k + 1, size2, work)
        if k + 1 >= lowest:
            allowed = LONGEST
            if now > 0.0:
                allowed = min(allowed, (options.rtol / now) ** (1.0 / (k + 1)))
            if before > 0.0:
                allowed = min(allowed, (options.rtol / before) ** (1.0 / k))
            if allowed >= goal and lowest < highest:
                degree = k + 1
                break
        before = now
        if k + 1 == highest:
            break
        if growing:
            for j in range(H):
                step.tv[CU, k + 1, j] = step.nh[WEIGHT2, j] * step.tv[CV, k + 1, j]
            _products(step, k + 1)
            pooled(p.X, lane.pz[PATTERN], step.st[PRODUCT], scale, work, step.series[SF, k + 1])
            force_series(
                p,
                k + 1,
                step.series[SF],
                step.series[SG],
                step.series[SQ],
                step.series[SP],
                step.series[SQP],
            )
            if lowest < highest and _dropped(step, k + 1, 2.0 * goal, options.rtol):
                growing = False
                reach = 2.0 * goal
                for m in range(k + 2, highest + 1):
                    step.series[SF, m, :] = 0.0
            else:
                weighted = step.point[0]
                for i in range(p.y.size):
                    weighted[i] = p.weight * step.series[SG, k + 1, i]
                forces(p.X, lane.pz[PATTERN], weighted, step.taylor[CG, k + 1])
                terms = k + 2
    if not np.isfinite(allowed):
        allowed = LONGEST
    allowed = min(allowed, reach)
    if options.fixed > 0.0:
        allowed = options.fixed / unit
    step.flag[TERMS] = terms
    return unit, allowed, degree


@internal
def _dropped(step: Step, k: int, reach: float, rtol: float) -> bool:
    """Whether coefficient k of the forces changes no neuron by more than a small part of rtol within ``reach``."""
    first, now = 0.0, 0.0
    for i in range(step.series.shape[2]):
        first = max(first, abs(step.series[SG, 0, i]))
        now = max(now, abs(step.series[SG, k, i]))
    return now * reach ** (k + 1) <= DROP * rtol * first


@internal_fast
def rescale(step: Step, degree: int, length: float) -> None:
    """From coefficients in t/unit to coefficients in s on [0, 1]."""
    power = 1.0
    for k in range(1, degree + 1):
        power *= length
        for c in range(step.taylor[CW].shape[1]):
            for j in range(step.taylor[CW].shape[2]):
                step.taylor[CW, k, c, j] *= power
        for j in range(step.taylor[CW].shape[2]):
            step.tv[CV, k, j] *= power


@internal_fast
def state_at(step: Step, degree: int, s: float, w: Any, v: Any) -> None:
    """w (d, H), v (H,) at s of the dense output."""
    d, H = w.shape
    for c in range(d):
        for j in range(H):
            w[c, j] = step.taylor[CW, degree, c, j]
        for k in range(degree - 1, -1, -1):
            for j in range(H):
                w[c, j] = w[c, j] * s + step.taylor[CW, k, c, j]
    for j in range(H):
        v[j] = step.tv[CV, degree, j]
    for k in range(degree - 1, -1, -1):
        for j in range(H):
            v[j] = v[j] * s + step.tv[CV, k, j]


@compiled_fast
def point_polynomial(p: Points, step: Step, degree: int, i: int, j: int, out: Any) -> None:
    """out_k = coefficients of z_ij = <w_j, x_i>."""
    for k in range(degree + 1):
        total = 0.0
        for c in range(p.X.shape[1]):
            total += p.X[i, c] * step.taylor[CW, k, c, j]
        out[k] = total
