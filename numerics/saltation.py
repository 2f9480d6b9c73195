"""What kinks do to the error radii where several of them meet; see ``numerics.compiled_kinks``."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from numerics.compiled_types import NEVER, Points
from numerics.kinks import UNIT, Assignment, near_threshold

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MAX_AMBIGUOUS = 4
# How far zdot may vary over the window in which the true kink lies.
MAX_VARIATION = 0.5


@dataclass(frozen=True)
class StepBounds:
    """Radii at the end of a step, and the rates behind them.

    Args:
        radius, top: (L, h) of the neurons, and of their components. force, theta: (L, h) suprema of
            |G_j| and |theta_j|. force_error: (L, h) bound on the error of G_j.
    """

    radius: Array
    top: Array
    force: Array
    theta: Array
    force_error: Array


@dataclass(frozen=True)
class Parts:
    """Components of neurons: unit (L, h) of a neuron relative to its component, same (L, h, h)."""

    unit: Array
    same: Bools


@dataclass
class KinkBounds:
    """Radii after the kinks, and per flip the bound on the error of its time.

    Args:
        radius, top: (L, h). t_error: (K,). undecided: row -> (neuron, point).
    """

    radius: Array
    top: Array
    t_error: Array
    undecided: dict[int, tuple[int, int]] = field(default_factory=dict)


def _parallel(data: Points, i: int, others: Ints) -> Bools:
    """Which points are parallel to point i."""
    u = data.X[i] / data.norms[i]
    unit = data.X[others] / data.norms[others][:, None]
    gap = np.minimum(np.abs(unit - u).max(axis=1), np.abs(unit + u).max(axis=1))
    return np.asarray(gap <= 8 * UNIT)


def _speeds(data: Points, v: float, g: Array, bits: Array, i: int) -> Array:
    """dz_i/dt for several patterns bits: (C, n)."""
    return v * (bits * (g * data.gram[i])).sum(axis=1)


def _range_of_speeds(
    data: Points, v: float, g: Array, old: Bools, new: Bools, i: int, ambiguous: Ints
) -> tuple[float, float, float]:
    """Largest |after|/|before|, smallest speed, over the bits of points that may flip meanwhile.

    Returns a smallest speed of 0 when a pattern reverses the direction.
    """
    own = np.zeros(old.size, dtype=bool)
    own[old != new] = _parallel(data, i, np.flatnonzero(old != new))
    base = old.astype(np.float64)
    base[own] = 0.0
    free = np.array(list(product((0.0, 1.0), repeat=ambiguous.size)))
    bits = np.repeat(base[None], len(free), axis=0)
    bits[:, ambiguous] = free
    before, after = bits.copy(), bits.copy()
    before[:, own], after[:, own] = old[own], new[own]
    slow, fast = _speeds(data, v, g, before, i), _speeds(data, v, g, after, i)
    direction = np.sign(slow[0])
    if not (np.all(slow * direction > 0) and np.all(fast * direction > 0)):
        return np.inf, 0.0, 0.0
    smallest = float(np.minimum(np.abs(slow), np.abs(fast)).min())
    return float(np.max(fast / slow)), smallest, float(np.abs(slow).min())


def cross(
    data: Points,
    assignment: Assignment,
    old_mask: Bools,
    w: Array,
    v: Array,
    z: Array,
    g: Array,
    turn: Array,
    bounds: StepBounds,
    parts: Parts,
) -> KinkBounds:
    """Apply the saltation factors of all flips of ``assignment``.

    With x the point and rho = |x| r_j the error of z, the true flip lies within
    (rho + |z|)/|zdot| of the computed one; speeds are taken at their worst over that window.

    Args:
        old_mask: (L, h, n) before the kinks. w: (L, h, d), v: (L, h), z: (L, h, n), g: (L, n).
        turn: (L, h) bound on |dG_j/dt|. bounds: radii before the kinks.
        parts: components before the kinks.
    """
    result = KinkBounds(bounds.radius.copy(), bounds.top.copy(), np.zeros(assignment.row.size))
    row, j, i = assignment.row, assignment.neuron, assignment.point
    if row.size == 0:
        return result
    r = bounds.radius[row, j]
    norm = data.norms[i]
    with np.errstate(all="ignore"):
        before, after = np.abs(assignment.before), np.abs(assignment.after)
        # A neuron whose last active point goes off stops on the kink: z stays 0 exactly, for the
        # computed trajectory as for the true one, and only the speed of arrival matters.
        stops = (assignment.after == 0.0) & (assignment.order[row, j, i] == NEVER)
        smallest = np.where(stops, before, np.minimum(before, after))
        ratio, slow = after / before, before
        jump = np.abs(assignment.after - assignment.before) / norm
        level = near_threshold(data.norms, w, v)
        location = np.abs(z[row, j, i]) + level[row, j, i] / 4.0
        # Other points of the same neuron whose flip falls into the same window.
        window = 3.0 * data.norms * r[:, None] + level[row, j]
        close = np.abs(z[row, j]) <= window
        close[np.arange(row.size), i] = False
        close &= (data.norms > 0) & (assignment.order[row, j] != NEVER)
        handled: set[tuple[int, int, int]] = set()
        repeated = np.zeros(row.size, dtype=bool)
        for k in np.flatnonzero(close.any(axis=1)):
            a, b, c = int(row[k]), int(j[k]), int(i[k])
            repeated[k] = (a, b, c) in handled
            near = np.flatnonzero(close[k])
            parallel = _parallel(data, c, near)
            handled |= {(a, b, int(point)) for point in near[parallel]}
            free = near[~parallel]
            if free.size > MAX_AMBIGUOUS:
                result.undecided.setdefault(a, (b, c))
                continue
            if free.size:
                ratio[k], smallest[k], slow[k] = _range_of_speeds(
                    data, float(v[a, b]), g[a], old_mask[a, b], assignment.mask[a, b], c, free
                )
        force = bounds.force[row, j] + np.abs(g[row, i]) * norm
        delay = (norm * r + location) / smallest
        bend = norm * bounds.theta[row, j] * (force * force + turn[row, j])
        speed_error = (
            norm * (force * r + bounds.force_error[row, j] * bounds.theta[row, j])
            + bend * delay
            + 64.0 * UNIT * norm * force * bounds.theta[row, j]
        )
        sure = speed_error <= MAX_VARIATION * smallest
        worst = np.maximum(1.0, ratio * (1.0 + speed_error / slow) / (1.0 - speed_error / slow))
        worst = np.where(sure, worst, np.inf)
        shift = np.where(sure, jump * location / smallest, np.inf)
    result.t_error = np.where(smallest > 0, delay, np.inf)
    for k in np.flatnonzero(~sure):
        result.undecided.setdefault(int(row[k]), (int(j[k]), int(i[k])))
    with np.errstate(all="ignore"):
        for k in np.flatnonzero(~repeated):
            a, b = row[k], j[k]
            old, unit = result.radius[a, b], parts.unit[a, b]
            result.radius[a, b] = worst[k] * old + shift[k]
            gain = (worst[k] ** 2 - 1.0) * (unit * old) ** 2
            members = parts.same[a, b]
            combined = np.sqrt(((parts.unit[a] * result.radius[a])[members] ** 2).sum())
            together = np.sqrt(result.top[a, b] ** 2 + gain) + unit * shift[k]
            result.top[a, members] = np.fmin(together, combined)
    return result
