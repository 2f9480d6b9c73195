"""Compiled: one step of one lane, and blocks of steps.

The recipe: carry the activation pattern as state, expand the frozen analytic field, take the earliest root
on the dense output, land on it, flip one bit by consistency, and compare the pattern with sign(z) after
every step. Whatever is not a plain kink is handed back (HARD) with the step's workspace intact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.compiled_bounds import UNIT, defects, fields, propagate
from numerics.compiled_events import locate, touching
from numerics.compiled_field import (
    clipped_ldexp,
    force_of_neuron,
)
from numerics.compiled_kinks import pattern, saltation, settle
from numerics.compiled_parts import connect, regroup, units_of_parts
from numerics.compiled_series import expand, frame, rescale
from numerics.compiled_types import (
    ABSOLUTE,
    ABSOLUTES,
    ACTIVE,
    AFTER,
    ARRIVED,
    BALANCE,
    BEFORE,
    CARRY,
    CV,
    CW,
    DEGREE,
    DRIFT,
    END,
    EVALUATIONS,
    EXPONENT,
    EXPONENT_START,
    FLIP,
    FORCE,
    FORCES,
    GAP,
    GLOBAL,
    HARD,
    INFINITE,
    INNER,
    KINKS,
    LABEL,
    LATE,
    LENGTH,
    MOVED,
    NEW,
    NEW_TOP,
    OUTER,
    OUTPUT,
    OUTPUTS,
    PAIR,
    PART,
    PART_EXPONENT,
    PATTERN,
    PULL,
    PULLS,
    RADIUS,
    RATE,
    SCALE,
    SF,
    SHORT_STEP,
    SINCE,
    SPENT_KINKS,
    SPENT_STEPS,
    STEPS,
    STUCK,
    T0,
    T1,
    T_ERROR,
    TAU,
    THETA,
    TIME,
    TOP,
    TOP_EXPONENT,
    TOUCHING,
    TRAVEL,
    UNDERFLOW,
    UNIT_OF_PART,
    V1,
    VALID,
    W1,
    WEIGHT,
    WEIGHT2,
    WHERE,
    Lane,
    Points,
    Rows,
    Settings,
    Step,
)
from numerics.compiling import compiled, internal, internal_fast

# Mantissas are renormalised when their norm leaves [2**-LIMIT, 2**LIMIT].
LIMIT = 32


@internal_fast
def _finite(step: Step, degree: int) -> bool:
    """Whether all coefficients are finite: the sum of absolute values is."""
    total = 0.0
    for k in range(degree + 1):
        for c in range(step.taylor[CW].shape[1]):
            for j in range(step.taylor[CW].shape[2]):
                total += abs(step.taylor[CW, k, c, j])
        for j in range(step.taylor[CW].shape[2]):
            total += abs(step.tv[CV, k, j])
        for i in range(step.series[SF].shape[1]):
            total += 0.0 * step.series[SF, min(k, 1), i]
    return total < np.inf


@internal
def attempt(p: Points, lane: Lane, step: Step, options: Settings) -> int:
    """Choose the step, cut it at the first kink, and bound its error; the lane does not move yet.

    Returns MOVED, or why there is no step: INFINITE, STUCK, UNDERFLOW, TOUCHING (with lane.cnt[WHERE]).
    """
    scale = frame(lane, step)
    step.out[SCALE] = scale
    unit, allowed, degree = expand(p, lane, step, options, scale)
    step.flag[DEGREE] = degree
    lane.cnt[EVALUATIONS] += degree + 2
    if not (_finite(step, degree) and np.isfinite(scale)):
        return INFINITE
    remaining = (lane.num[END] - lane.num[TIME]) - lane.num[CARRY]
    length = min(allowed, remaining / unit)
    if length > 0.0:
        rescale(step, degree, length)
        fraction, pair, stuck = locate(p, lane, step, degree)
        if fraction < 1.0:
            rescale(step, degree, fraction)
            length *= fraction
            for j in range(lane.fl.shape[1]):
                step.nh[TRAVEL, j] *= fraction  # every term shrinks by at least that
    else:
        rescale(step, degree, 0.0)
        pair, stuck = -1, -1
        step.nh[TRAVEL, :] = 0.0
    lane.cnt[PAIR] = pair
    tau = length * unit
    step.out[TAU] = tau
    step.out[LENGTH] = length
    if stuck >= 0:
        lane.cnt[WHERE] = stuck
        return STUCK
    if tau <= 0.0 and remaining > 0.0:
        return UNDERFLOW
    short = fields(p, lane, step, degree, length, scale)
    connect(lane.pz[PATTERN], step.ih[PART])
    units_of_parts(lane.il[EXPONENT], step.ih[PART], step.ih[PART_EXPONENT], step.nh[UNIT_OF_PART])
    step.flag[SHORT_STEP] = 1 if short else 0
    defects(p, lane, step, degree, tau, short)
    regroup(lane, step, step.nh[LATE])
    propagate(p, lane, step, tau, scale, short, step.nh[LATE])
    where = touching(p, lane, step, degree, step.nh[NEW])
    if where >= 0:
        lane.cnt[WHERE] = where
        return TOUCHING
    return MOVED


@internal
def clock(lane: Lane, step: Step) -> None:
    """Times at the end of the step, compensated."""
    t, carry, tau = lane.num[TIME], lane.num[CARRY], step.out[TAU]
    step.out[T0] = t
    arrives = tau >= (lane.num[END] - t) - carry
    if arrives:
        step.out[T1] = lane.num[END]
        lane.num[CARRY] = 0.0
    else:
        more = tau + carry
        total = t + more
        part = total - t
        step.out[T1] = total
        lane.num[CARRY] = (t - (total - part)) + (more - part)
    lane.num[TIME] = step.out[T1]


@compiled
def lateness(lane: Lane, step: Step) -> None:
    """step.late_j: the state at the rounded time differs from that at the true time by one unit of it.

    Also the bound on all weights together, in units of the lane's largest exponent.
    """
    H = lane.fl[OUTER].size
    highest = lane.il[EXPONENT, 0]
    for j in range(H):
        highest = max(highest, lane.il[EXPONENT, j])
    total, extra = 0.0, 0.0
    for j in range(H):
        force = max(step.nh[RATE + 0, j], step.nh[RATE + 1, j], step.nh[RATE + 2, j])
        theta = max(step.nh[THETA + 0, j], step.nh[THETA + 1, j], step.nh[THETA + 2, j])
        step.nh[LATE, j] = UNIT * step.out[T1] * force * theta
        extra += step.nh[WEIGHT2, j] * step.nh[LATE, j] * step.nh[LATE, j]
        if step.ih[PART, j] == j:
            x = clipped_ldexp(step.nh[NEW_TOP, j], step.ih[PART_EXPONENT, j] - highest)
            total += x * x
    step.out[GLOBAL] = math.sqrt(total) + math.sqrt(extra)


@compiled
def move(p: Points, lane: Lane, step: Step) -> None:
    """Make the end of the step the lane's state; flips and radii are settled."""
    n = p.y.size
    d, H = lane.wg[WEIGHT].shape
    flip = step.flag[FLIP]
    lane.wg[WEIGHT, :, :] = step.st[W1]
    lane.fl[OUTER, :] = step.nh[V1]
    lane.fl[RADIUS, :] = step.nh[NEW]
    lane.fl[TOP, :] = step.nh[NEW_TOP]
    lane.il[LABEL, :] = step.ih[PART]
    lane.il[TOP_EXPONENT, :] = step.ih[PART_EXPONENT]
    lane.pz[INNER, :, :] = step.zn[2]
    lane.pt[OUTPUT, :] = step.pn[OUTPUTS, 2]
    lane.pt[ABSOLUTE, :] = step.pn[ABSOLUTES, 2]
    lane.pt[PULL, :] = step.pn[PULLS, 2]
    lane.wg[FORCE, :, :] = step.st[FORCES + 2]
    lane.cnt[STEPS] += 1
    lane.num[SINCE] += step.out[TAU]
    if flip >= 0:
        lane.cnt[KINKS] += 1
        # The usual distance of kinks, as it was lately.
        gap = lane.num[GAP]
        lane.num[GAP] = 0.75 * gap + 0.25 * lane.num[SINCE] if gap > 0.0 else lane.num[SINCE]
        lane.num[SINCE] = 0.0
        force_of_neuron(p.X, lane.pz[PATTERN], lane.pt[PULL], lane.wg[FORCE], flip // n)
    elif lane.num[SINCE] > 4.0 * lane.num[GAP]:
        lane.num[GAP] = lane.num[SINCE]
    worst = 0.0
    for j in range(H):
        square = 0.0
        for c in range(d):
            square += lane.wg[WEIGHT, c, j] * lane.wg[WEIGHT, c, j]
        now = lane.fl[OUTER, j] * lane.fl[OUTER, j] - square
        start = clipped_ldexp(
            lane.fl[BALANCE, j], 2 * (lane.il[EXPONENT_START, j] - lane.il[EXPONENT, j])
        )
        worst = max(worst, abs(now - start) / (square if square > 0.0 else 1.0))
    lane.num[DRIFT] = max(lane.num[DRIFT], worst)
    for j in range(H):
        if step.nh[THETA + 2, j] > 0.0 and np.isfinite(step.nh[THETA + 2, j]):
            _, shift = math.frexp(step.nh[THETA + 2, j])
            if abs(shift) > LIMIT:
                lane.il[EXPONENT, j] += shift
                for c in range(d):
                    lane.wg[WEIGHT, c, j] = math.ldexp(lane.wg[WEIGHT, c, j], -shift)
                lane.fl[OUTER, j] = math.ldexp(lane.fl[OUTER, j], -shift)
                lane.fl[RADIUS, j] = math.ldexp(lane.fl[RADIUS, j], -shift)
                lane.cnt[VALID] = 0


@compiled
def ended(lane: Lane, options: Settings, code: int) -> int:
    """What to say of a step that has been made, with code what its end brought."""
    if lane.num[TIME] >= lane.num[END]:
        return ARRIVED
    if code != MOVED:
        return code
    if lane.cnt[STEPS] >= options.max_steps:
        return SPENT_STEPS
    if lane.cnt[KINKS] > options.max_kinks:
        return SPENT_KINKS
    return MOVED


@internal
def land(p: Points, lane: Lane, step: Step) -> int:
    """Settle the pattern at the end of the step; HARD, or MOVED, CONTRADICTION, REVERSED, UNSURE."""
    step.flag[FLIP] = -1
    code = pattern(p, lane, step)
    if code != HARD and step.flag[FLIP] >= 0:
        code = saltation(p, lane, step)
    lateness(lane, step)
    return code


@compiled
def advance(p: Points, lane: Lane, step: Step, options: Settings) -> int:
    """One step of a lane. Afterwards ``step`` holds its dense output, ``step.out`` and ``step.flag`` the rest.

    The pattern and the exponents of the dense output are those of the lane *before* the call.

    Returns:
        MOVED or ARRIVED; SPENT_STEPS, SPENT_KINKS, CONTRADICTION, REVERSED or UNSURE after a step that is
        valid and the last one; HARD where the end of the step needs ``numerics.kinks`` (the clock has moved,
        the state not); otherwise why there is no step.
    """
    code = attempt(p, lane, step, options)
    if code != MOVED:
        return code
    clock(lane, step)
    code = land(p, lane, step)
    if code == HARD:
        return HARD
    settle(p, lane, step)
    move(p, lane, step)
    return ended(lane, options, code)


@compiled
def block(
    p: Points, lane: Lane, step: Step, options: Settings, rows: Rows, first: int, most: int, h: int
) -> tuple[int, int]:
    """Up to ``most`` recorded steps of a lane into the rows from ``first`` on.

    Returns:
        The code of the last one as ``advance`` says it, and the number of rows that are complete; after HARD
        the row behind them still lacks ``record_end``.
    """
    k = first
    while k < most:
        code = attempt(p, lane, step, options)
        if code != MOVED:
            return code, k
        clock(lane, step)
        record(step, lane.il[EXPONENT], lane.pz[PATTERN], rows, k, h)
        code = land(p, lane, step)
        if code == HARD:
            return HARD, k
        record_end(step, rows, k, h)
        settle(p, lane, step)
        move(p, lane, step)
        record_counts(lane, rows, k)
        k += 1
        code = ended(lane, options, code)
        if code != MOVED:
            return code, k
    return MOVED, k


@compiled
def record_counts(lane: Lane, rows: Rows, k: int) -> None:
    """Write what has accumulated up to the end of a step."""
    rows.drift[k] = lane.num[DRIFT]
    rows.evaluations[k] = lane.cnt[EVALUATIONS]


@internal
def record(step: Step, lane_exponent: Any, s: Any, rows: Rows, k: int, h: int) -> None:
    """Write a step, except what its end adds (``record_end``), into row k; coefficients up to its degree."""
    d = step.st[W1].shape[0]
    n = s.shape[0]
    degree = step.flag[DEGREE]
    rows.order[k] = degree
    rows.t0[k] = step.out[T0]
    rows.t1[k] = step.out[T1]
    rows.tau[k] = step.out[TAU]
    for m in range(degree + 1):
        for j in range(h):
            for c in range(d):
                rows.w[k, m, j, c] = step.taylor[CW, m, c, j]
            rows.v[k, m, j] = step.tv[CV, m, j]
    for j in range(h):
        rows.exponent[k, j] = lane_exponent[j]
        rows.v1[k, j] = step.nh[V1, j]
        for c in range(d):
            rows.w1[k, j, c] = step.st[W1, c, j]
        for i in range(n):
            rows.mask[k, j, i] = s[i, j] > 0.0


@compiled
def record_end(step: Step, rows: Rows, k: int, h: int) -> None:
    """Write the radii and the flip at the end of a step."""
    for j in range(h):
        rows.radius[k, j] = step.nh[NEW, j] + step.nh[LATE, j]
    rows.global_radius[k] = step.out[GLOBAL]
    rows.pair[k] = step.flag[FLIP]
    rows.active[k] = step.flag[ACTIVE]
    rows.before[k] = 0.0
    rows.after[k] = 0.0
    rows.t_error[k] = 0.0
    if step.flag[FLIP] >= 0:
        size = step.nh[THETA + 2, step.flag[FLIP] // step.series[SF].shape[1]]
        rows.before[k] = step.out[BEFORE] / size
        rows.after[k] = step.out[AFTER] / size
        rows.t_error[k] = step.out[T_ERROR]
