"""Compiled: which pattern continues beyond the end of a step, and what a kink does to the error radii.

A pair (neuron j, point i) is *on the kink* when |<w_j, x_i>| is at rounding level. Its bit is not read off
the sign of that number, it is decided by consistency: the pattern must move z_ij to the side that it
claims. Here are the plain cases: every neuron has at most one pair on a kink and both sides agree on the
direction, or the neuron stops there for ever. All others (several points of one neuron, tangential
contacts, several flips at once) are handed to ``numerics.kinks``, which searches the patterns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.compiled_bounds import UNIT
from numerics.compiled_types import (
    ACTIVE,
    AFTER,
    BEFORE,
    CONTRADICTION,
    DEAD,
    ERROR,
    FLIP,
    FORCES,
    FRESH,
    HARD,
    MOVED,
    NEVER,
    NEW,
    NEW_TOP,
    OUTER,
    PAIR,
    PART,
    PATTERN,
    PULLS,
    RATE,
    REVERSED,
    SCRATCH,
    SLIDES,
    SPECIAL,
    SPLITS,
    SQUARED,
    T1,
    T_ERROR,
    TAU,
    THETA,
    UNIT_OF_PART,
    UNSURE,
    V1,
    WHERE,
    Lane,
    Points,
    Step,
)
from numerics.compiling import compiled, internal, internal_fast

# How far zdot may vary over the window in which the true kink lies.
MAX_VARIATION = 0.5
MOST_NEAR = 128


@internal
def drift(p: Points, lane: Lane, g: Any, v: float, i: int, j: int) -> tuple[float, float, float]:
    """dz_ij/dt with the bit of i off, its rounding level, and the number of other active points."""
    n, d = p.X.shape
    total, absolute, others = 0.0, 0.0, 0.0
    for m in range(n):
        if m != i:
            term = lane.pz[PATTERN, m, j] * g[m] * p.gram[i, m]
            total += term
            absolute += abs(term)
            others += lane.pz[PATTERN, m, j]
    own = abs(g[i]) * p.norms[i] * p.norms[i]
    noise = (16.0 + n + d) * UNIT * abs(v) * (absolute + own)
    return v * total, noise, others


@internal_fast
def _row_suspect(z: Any, s: Any, dead: Any, level: Any, norm: float) -> bool:
    """Whether some living pair of the row is on a kink or on the wrong side of it."""
    found = False
    for j in range(z.size):
        wrong = (abs(z[j]) <= level[j] * norm) | ((z[j] > 0.0) != (s[j] > 0.0))
        found = found | (wrong & ~dead[j])
    return found


@internal
def pattern(p: Points, lane: Lane, step: Step) -> int:
    """Decide the bits at the end of the step, where the forced pair lane.cnt[PAIR] is on its kink.

    Fills step.flag[FLIP], [ACTIVE], step.out[BEFORE], [AFTER] and lane.order; the bits of lane.pz[PATTERN] are
    flipped only when nothing is HARD. Returns MOVED, HARD, CONTRADICTION or REVERSED; the last two with
    the pair in lane.cnt[WHERE].
    """
    n, d = p.X.shape
    H = lane.fl[OUTER].size
    z, g = step.zn[2], step.pn[PULLS, 2]
    level = step.nh[SCRATCH + 0]
    for j in range(H):
        level[j] = (16.0 + 2.0 * d) * UNIT * step.nh[THETA + 2, j]
    forced = lane.cnt[PAIR]
    near = np.empty(MOST_NEAR, dtype=np.int64)
    count = 0
    if forced >= 0:
        near[0] = forced
        count = 1
    contradiction = -1
    for i in range(n):
        if not _row_suspect(z[i], lane.pz[PATTERN, i], lane.bits[DEAD, i], level, p.norms[i]):
            continue
        for j in range(H):
            if lane.bits[DEAD, i, j] or j * n + i == forced:
                continue
            if abs(z[i, j]) <= level[j] * p.norms[i]:
                if count == MOST_NEAR:
                    return HARD
                near[count] = j * n + i
                count += 1
            elif (z[i, j] > 0.0) != (lane.pz[PATTERN, i, j] > 0.0) and contradiction < 0:
                contradiction = j * n + i
    for a in range(count):
        for b in range(a):
            if near[a] // n == near[b] // n:
                return HARD
    step.flag[FLIP] = -1
    orders = np.empty(MOST_NEAR, dtype=np.int64)
    reversed_pair, reversed_kind = -1, SPLITS
    for k in range(count):
        j, i = near[k] // n, near[k] % n
        v = step.nh[V1, j]
        off, noise, others = drift(p, lane, g, v, i, j)
        on = off + v * g[i] * p.norms[i] * p.norms[i]
        rests = others == 0.0 and abs(on) > noise
        if rests:
            # A neuron without any other active point does not move when this one is off.
            orders[k] = NEVER
            agreed, bit = on < 0.0, False
        elif abs(off) > noise and abs(on) > noise:
            orders[k] = 1
            agreed, bit = (on > 0.0) == (off > 0.0), on > 0.0
        else:
            return HARD
        if not agreed:
            if reversed_pair < 0:
                reversed_pair = near[k]
                reversed_kind = SLIDES if off > 0.0 else SPLITS
        elif bit != (lane.pz[PATTERN, i, j] > 0.0):
            if step.flag[FLIP] >= 0:
                return HARD
            step.flag[FLIP] = near[k]
            step.flag[ACTIVE] = 1 if bit else 0
            step.out[BEFORE] = off if bit else on
            step.out[AFTER] = on if bit else off
    if step.flag[FLIP] >= 0 and _others_close(p, lane, step, level, step.flag[FLIP]):
        return HARD
    if contradiction >= 0 or reversed_pair >= 0:
        step.flag[FLIP] = -1
        lane.cnt[WHERE] = contradiction if contradiction >= 0 else reversed_pair * 2 + reversed_kind
        return CONTRADICTION if contradiction >= 0 else REVERSED
    for i in range(n):
        for j in range(H):
            lane.order[i, j] = NEVER if lane.bits[DEAD, i, j] else 0
    for k in range(count):
        i, j = near[k] % n, near[k] // n
        lane.order[i, j] = orders[k]
        # A neuron at rest stays so while the force on it points inwards. Only squares let forces change
        # their sign; then it is looked at again, as lifting off may become consistent, too.
        lane.bits[DEAD, i, j] = lane.bits[DEAD, i, j] or (orders[k] == NEVER and p.loss != SQUARED)
    return MOVED


@internal
def _others_close(p: Points, lane: Lane, step: Step, level: Any, flip: int) -> bool:
    """Whether other points of the neuron flip within the window in which the true flip lies."""
    n = p.y.size
    j, own = flip // n, flip % n
    for i in range(n):
        if i == own or lane.bits[DEAD, i, j] or p.norms[i] == 0.0:
            continue
        window = (3.0 * step.nh[NEW, j] + level[j]) * p.norms[i]
        if abs(step.zn[2, i, j]) <= window:
            return True
    return False


@internal
def saltation(p: Points, lane: Lane, step: Step) -> int:
    """Apply the factor of the flip step.flag[FLIP] to the radii step.nh[NEW], step.nh[NEW_TOP].

    The error is multiplied by the saltation matrix I + a x x^T/|x|^2, 1 + a = zdot_after/zdot_before; it acts
    on neuron j alone. With rho = |x| r_j the error of z, the true flip lies within (rho + |z|)/|zdot| of
    the computed one; speeds are taken at their worst over that window. Returns MOVED or UNSURE.
    """
    n, d = p.X.shape
    H = lane.fl[OUTER].size
    flip = step.flag[FLIP]
    j, i = flip // n, flip % n
    norm, r = p.norms[i], step.nh[NEW, j]
    before, after = abs(step.out[BEFORE]), abs(step.out[AFTER])
    # A neuron whose last active point goes off stops on the kink: z stays 0 exactly, for the computed
    # trajectory as for the true one, and only the speed of arrival matters.
    stops = after == 0.0 and lane.order[i, j] == NEVER
    smallest = before if stops else min(before, after)
    ratio = after / before
    jump = abs(step.out[AFTER] - step.out[BEFORE]) / norm
    level = (16.0 + 2.0 * d) * UNIT * step.nh[THETA + 2, j] * norm
    location = abs(step.zn[2, i, j]) + level / 4.0
    theta = max(step.nh[THETA + 0, j], step.nh[THETA + 1, j], step.nh[THETA + 2, j])
    force = max(step.nh[RATE + 0, j], step.nh[RATE + 1, j], step.nh[RATE + 2, j])
    turn = 0.0
    for c in range(d):
        change = step.st[FORCES + 2, c, j] - step.st[FORCES + 0, c, j]
        turn += change * change
    turn = 2.0 * math.sqrt(turn) / step.out[TAU]
    if not np.isfinite(turn):
        turn = 0.0
    total = force + abs(step.pn[PULLS, 2, i]) * norm
    delay = (norm * r + location) / smallest
    bend = norm * theta * (total * total + turn)
    error = max(step.nh[ERROR + 0, j], step.nh[ERROR + 1, j], step.nh[ERROR + 2, j])
    speed_error = (
        norm * (total * r + error * theta) + bend * delay + 64.0 * UNIT * norm * total * theta
    )
    step.out[T_ERROR] = (delay if smallest > 0.0 else np.inf) + 2.0 * UNIT * step.out[T1]
    if not speed_error <= MAX_VARIATION * smallest:
        step.nh[NEW, j] = np.inf
        for m in range(H):
            if step.ih[PART, m] == step.ih[PART, j]:
                step.nh[NEW_TOP, m] = np.inf
        lane.cnt[WHERE] = flip
        return UNSURE
    worst = max(1.0, ratio * (1.0 + speed_error / before) / (1.0 - speed_error / before))
    shift = jump * location / smallest
    unit = step.nh[UNIT_OF_PART, j]
    step.nh[NEW, j] = worst * r + shift
    gain = (worst * worst - 1.0) * (unit * r) * (unit * r)
    combined = 0.0
    for m in range(H):
        if step.ih[PART, m] == step.ih[PART, j]:
            x = step.nh[UNIT_OF_PART, m] * step.nh[NEW, m]
            combined += x * x
    top = step.nh[NEW_TOP, j]
    together = min(math.sqrt(top * top + gain) + unit * shift, math.sqrt(combined))
    for m in range(H):
        if step.ih[PART, m] == step.ih[PART, j]:
            step.nh[NEW_TOP, m] = together
    return MOVED


@compiled
def settle(p: Points, lane: Lane, step: Step) -> None:
    """Move the lane to the pattern and the radii behind the kink; which pairs are fresh."""
    n = p.y.size
    H = lane.fl[OUTER].size
    flip = step.flag[FLIP]
    if flip >= 0:
        lane.pz[PATTERN, flip % n, flip // n] = float(step.flag[ACTIVE])
    for i in range(n):
        reach = 2.0 * p.norms[i]
        for j in range(H):
            clear = abs(step.zn[2, i, j]) > reach * step.nh[NEW, j]
            lane.bits[FRESH, i, j] = (lane.bits[FRESH, i, j] and not clear) or lane.order[i, j] > 0
    special = 0
    for i in range(n):
        for j in range(H):
            if 1 < lane.order[i, j] <= 64:
                special = 1
    lane.cnt[SPECIAL] = special
