"""Ends of steps that are no plain kink: decided by ``numerics.kinks`` and ``numerics.saltation``, in Python.

Several points of one neuron on a kink, tangential contacts, several flips at the same time, starts on a
kink: rare, so that a search over patterns may take its time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from numerics.compiled_bounds import UNIT
from numerics.compiled_field import field_at, slope_bound
from numerics.compiled_kinks import settle
from numerics.compiled_lanes import Lanes
from numerics.compiled_series import expand, frame, refresh
from numerics.compiled_step import lateness, move
from numerics.compiled_types import (
    ABSOLUTE,
    CV,
    CW,
    DEAD,
    ERROR,
    FLIP,
    FORCE,
    FORCES,
    FRESH,
    GAP,
    INNER,
    KINKS,
    NEVER,
    NEW,
    NEW_TOP,
    OUTER,
    OUTPUT,
    PAIR,
    PART,
    PATTERN,
    PULL,
    PULLS,
    RADIUS,
    RATE,
    SPECIAL,
    SQUARED,
    T1,
    TAU,
    THETA,
    TOP,
    UNIT_OF_PART,
    V1,
    VALID,
    W1,
    WEIGHT,
    WEIGHT2,
    Array,
    Bools,
    Lane,
    Points,
    Settings,
    Step,
    workspace,
)
from numerics.kinks import Assignment, assign, drift_of, near_threshold
from numerics.problem import FlowStatus
from numerics.saltation import Parts, StepBounds, cross

Failure = tuple[FlowStatus, int, int, str]


@dataclass(frozen=True)
class Flip:
    """A flip decided here: as ``problem.Kink`` has it, without lane and time."""

    neuron: int
    point: int
    active: bool
    before: float
    after: float
    t_error: float


def start(p: Points, lanes: Lanes, b: int, step: Step, options: Settings) -> Failure | None:
    """Decide the pattern of a lane at t = 0, where a neuron may lie on a kink already."""
    lane = lanes.lane(b)
    np.matmul(p.X, lane.wg[WEIGHT], out=lane.pz[INNER])
    lane.pz[PATTERN, :] = (lane.pz[INNER] > 0) & ~lane.bits[DEAD]
    scale = frame(lane, step)
    field_at(
        p,
        lane.wg[WEIGHT],
        lane.fl[OUTER],
        lane.pz[PATTERN],
        step.nh[WEIGHT2],
        scale,
        lane.pz[INNER],
        lane.pt[OUTPUT],
        lane.pt[ABSOLUTE],
        lane.pt[PULL],
        lane.wg[FORCE],
    )
    none = np.zeros((1, lanes.h, p.y.size), dtype=bool)
    dead = lane.bits[DEAD, :, : lanes.h].copy()
    found = _assign(
        p,
        lanes,
        lane,
        lane.wg[WEIGHT],
        lane.fl[OUTER],
        lane.pz[INNER],
        lane.pt[PULL],
        none,
        options,
    )
    _adopt(p, lanes, lane, found)
    lane.bits[FRESH, :] = (lane.order > 0) & ~lane.bits[DEAD]
    lane.cnt[VALID] = 0
    lane.cnt[SPECIAL] = _special(lane, options)
    return found.failure.get(0) or _uncertain_start(p, lanes, b, step, found, dead)


def _uncertain_start(
    p: Points, lanes: Lanes, b: int, step: Step, found: Assignment, dead: Bools
) -> Failure | None:
    """Enlarge the radii of neurons that start so close to a kink that the true one may start behind it.

    Where the direction of w is exact, and <w_j, x_i> vanishes exactly, there is nothing to enlarge. Elsewhere the true
    trajectory may have the other speed until it reaches the kink; see ``numerics.compiled_kinks.saltation``. A neuron
    without another active point that is pushed back rests: the true one may have to get to the kink first.

    Args:
        dead: (n, h) pairs with z = 0 for ever, whatever the error.
    """
    lane, h, turned = lanes.lane(b), lanes.h, lanes.turned[b]
    w, v, r = lane.wg[WEIGHT, :, :h], lane.fl[OUTER, :h], lane.fl[RADIUS, :h]
    theta = np.sqrt((w * w).sum(axis=0) + v * v)
    z = np.abs(lane.pz[INNER, :, :h])
    level = near_threshold(p.norms, w.T[None], v[None])[0].T
    window = level + p.norms[:, None] * turned
    text = "it starts within its error of a kink, and what it does there is not decided"
    close: dict[int, int] = {}
    for i, j in np.argwhere((z <= window) & ~dead):
        bits = found.mask[0, j].astype(np.float64)[None]
        bits[0, i] = 0.0
        off, noise = drift_of(p, v[j : j + 1], lane.pt[PULL][None], bits, np.array([i]))
        on = off + v[j] * lane.pt[PULL, i] * p.norms[i] ** 2
        on_kink = turned[j] == 0 and _vanishes(p.X[i], w[:, j])
        if on_kink and lanes.exact:
            continue
        if on_kink or (lane.bits[DEAD, i, j] and j not in close):
            if not _steady(p, lane, step, int(i), int(j), bits[0], float(noise[0])):
                return FlowStatus.grazing, int(j), int(i), text
            if not on_kink:
                close[int(j)] = int(i)
                # on the way to the kink v changes by |g_i| z dt, less than w does where |v| > r, z <= |x_i| r
                way = (z[i, j] + level[i, j] / 4.0) / p.norms[i] + turned[j]
                lane.fl[RADIUS, j] = lane.fl[TOP, j] = r[j] + 2.0 * way
            continue
        arrives = z[i, j] > level[i, j] and (on[0] > 0) != (lane.pz[INNER, i, j] > 0)
        if arrives and on[0] * off[0] > 0:
            continue  # the error is multiplied when it gets there
        slow, fast = sorted((abs(float(on[0])), abs(float(off[0]))))
        force = (
            float(np.sqrt((lane.wg[FORCE, :, j] ** 2).sum())) + abs(lane.pt[PULL, i]) * p.norms[i]
        )
        location = z[i, j] + level[i, j] / 4.0
        reach = p.norms[i] * r[j] + location
        bend = 2.0 * p.norms[i] * theta[j] * force * force * reach
        if j in close or not (
            on[0] * off[0] > 0 and slow > 2.0 * noise[0] and bend < slow * slow / 4.0
        ):
            return FlowStatus.grazing, int(j), int(i), text
        close[int(j)] = int(i)
        lane.bits[FRESH, i, j] = True
        error = (bend / slow + float(noise[0])) / slow
        worst = fast / slow * (1.0 + error) / (1.0 - error)
        grown = worst * r[j] + (fast - slow) / p.norms[i] * location / slow
        lane.fl[RADIUS, j] = lane.fl[TOP, j] = grown
    return None


def _steady(
    p: Points,
    lane: Lane,
    step: Step,
    i: int,
    j: int,
    bits: Array,
    noise: float,
) -> bool:
    """Whether a start on a kink has there, within its radii, the signs of d<w_j, x_i>/dt that were computed.

    Args:
        bits: (n,) of the neuron, i off. noise: rounding level of the derivatives.
    """
    w, v, r = lane.wg[WEIGHT], lane.fl[OUTER], lane.fl[RADIUS]
    theta = np.sqrt((w * w).sum(axis=0) + v * v)
    moved = frame(lane, step) * float((step.nh[WEIGHT2] * r * (1.5 * theta + r)).sum()) * p.norms
    f = lane.pt[OUTPUT]
    force = np.array(
        [slope_bound(p, f[k] - moved[k], f[k] + moved[k], p.y[k]) * moved[k] for k in range(f.size)]
    )
    for active in (bits, np.where(np.arange(bits.size) == i, 1.0, bits)):
        if not (active * np.abs(p.gram[i])).any():
            continue  # z does not move, whatever v and the forces are
        pull = float(active @ (lane.pt[PULL] * p.gram[i]))
        error = (abs(v[j]) + r[j]) * float(active @ (force * np.abs(p.gram[i]))) + r[j] * abs(pull)
        if not abs(v[j] * pull) > error * (1.0 + 2.0**-20) + 2.0 * noise:
            return False
    return True


def _vanishes(x: Array, w: Array) -> bool:
    """Whether <w, x> is 0 in exact arithmetic."""
    return sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, w, strict=True)) == 0


def end(
    p: Points, lanes: Lanes, b: int, step: Step, options: Settings
) -> tuple[Failure | None, list[Flip]]:
    """Complete a step that ``advance`` or ``block`` returned as HARD: pattern, radii, and the move."""
    lane, h = lanes.lane(b), lanes.h
    n = p.y.size
    forced = np.zeros((1, h, n), dtype=bool)
    if lane.cnt[PAIR] >= 0:
        forced[0, lane.cnt[PAIR] // n, lane.cnt[PAIR] % n] = True
    old_mask = _mask(lane, h)
    found = _assign(
        p, lanes, lane, step.st[W1], step.nh[V1], step.zn[2], step.pn[PULLS, 2], forced, options
    )
    with np.errstate(all="ignore"):
        turn = (
            np.sqrt(((step.st[FORCES + 2] - step.st[FORCES + 0]) ** 2).sum(axis=0)) / step.out[TAU]
        )
    turn = np.where(np.isfinite(turn), turn, 0.0)
    bounds = StepBounds(
        step.nh[NEW, None, :h].copy(), step.nh[NEW_TOP, None, :h].copy(),
        step.nh[RATE : RATE + 3, :h].max(axis=0)[None],
        step.nh[THETA : THETA + 3, :h].max(axis=0)[None], step.nh[ERROR : ERROR + 3, :h].max(axis=0)[None],
    )  # fmt: skip
    label = step.ih[PART, None, :h]
    parts = Parts(step.nh[UNIT_OF_PART, None, :h], label[:, :, None] == label[:, None, :])
    w1, v1 = np.ascontiguousarray(step.st[W1, :, :h].T)[None], step.nh[V1, None, :h]
    z, g = np.ascontiguousarray(step.zn[2, :, :h].T)[None], step.pn[PULLS, 2][None]
    after = cross(p, found, old_mask, w1, v1, z, g, 2.0 * turn[None, :h], bounds, parts)
    for row, (j, i) in after.undecided.items():
        text = "the kink's place in time is uncertain by more than the speed of crossing allows"
        found.failure.setdefault(row, (FlowStatus.grazing, j, i, text))
    step.nh[NEW, :h], step.nh[NEW_TOP, :h] = after.radius[0], after.top[0]
    size = step.nh[THETA + 2]
    flips = [
        Flip(
            int(j), int(i), bool(found.mask[0, j, i]), float(before / size[j]), float(behind / size[j]),
            float(error + 2.0 * UNIT * step.out[T1]),
        )
        for j, i, before, behind, error in zip(
            found.neuron, found.point, found.before, found.after, after.t_error, strict=True
        )
    ]  # fmt: skip
    _adopt(p, lanes, lane, found)
    lateness(lane, step)
    step.flag[FLIP] = -1
    settle(p, lane, step)
    lane.cnt[SPECIAL] = _special(lane, options)
    move(p, lane, step)
    lane.cnt[VALID] = 0
    lane.cnt[KINKS] += len(flips)
    return found.failure.get(0), flips


def evaluate(p: Points, lane: Lane, step: Step) -> None:
    """Make the field at the lane's state valid."""
    refresh(p, lane, step.nh[WEIGHT2], frame(lane, step))


def _mask(lane: Lane, h: int) -> Bools:
    return np.ascontiguousarray(lane.pz[PATTERN, :, :h].T > 0)[None]


def _adopt(p: Points, lanes: Lanes, lane: Lane, found: Assignment) -> None:
    h = lanes.h
    lane.pz[PATTERN, :, :h] = found.mask[0].T
    lane.order[:, :h] = found.order[0].T
    if p.loss != SQUARED:  # see numerics.compiled_kinks.pattern
        lane.bits[DEAD, :, :h] |= (lane.order[:, :h] >= NEVER) & ~found.mask[0].any(axis=1)


def _special(lane: Lane, options: Settings) -> int:
    """From the vanishing of higher coefficients at a kink only the full degree tells the motion."""
    return int(((lane.order > 1) & (lane.order <= options.order)).any())


def _assign(
    p: Points,
    lanes: Lanes,
    lane: Lane,
    w: Array,
    v: Array,
    z: Array,
    g: Array,
    forced: Bools,
    options: Settings,
) -> Assignment:
    h = lanes.h
    n, d = p.X.shape

    def probe(row: int, mask: Bools) -> tuple[Array, Array]:
        """Taylor coefficients of z (p+1, h, n) for the pattern mask (h, n), and their rounding level."""
        other = Lane(*(np.array(a) for a in lane))
        other.wg[WEIGHT, :], other.fl[OUTER, :], other.pz[PATTERN, :, :h] = w, v, mask.T
        other.cnt[VALID], other.cnt[SPECIAL], other.num[GAP] = 0, 1, 0.0
        local = workspace(n, d, h, options.order)
        scale = frame(other, local)
        expand(p, other, local, options, scale)
        coefficients = np.matmul(np.swapaxes(local.taylor[CW, :, :, :h], 1, 2), p.X.T)
        sizes = np.sqrt((local.taylor[CW, :, :, :h] ** 2).sum(axis=1)) + np.abs(local.tv[CV, :, :h])
        factorial = np.array([1.0 / math.factorial(k) for k in range(options.order + 1)])
        level = 64.0 * UNIT * (sizes + factorial[:, None] * sizes[:1])
        return coefficients, level[:, :, None] * p.norms

    dead = np.ascontiguousarray(lane.bits[DEAD, :, :h].T)[None]
    return assign(
        p, np.ascontiguousarray(w[:, :h].T)[None], v[None, :h], np.ascontiguousarray(z[:, :h].T)[None],
        g[None], _mask(lane, h), forced, dead, probe,
    )  # fmt: skip
