"""Which activation pattern continues the trajectory from a state on one or several kinks?

A pair (neuron j, point i) is *on the kink* when |<w_j, x_i>| is at rounding level. Its bit is not
read off the sign of that number, it is decided by consistency: the pattern must move z_ij to the
side that the pattern claims, i.e. the leading Taylor coefficient of z_ij along the frozen flow is
positive where the bit is on and negative where it is off; z_ij = 0 identically is consistent with
off, because relu'(0) = 0. Exactly one consistent pattern: the trajectory goes on. None: the two
sides face each other (sliding), and no solution exists. Several: the solution is not unique.

At z_ij = 0 the outputs f are continuous, so that the first derivatives of z for different neurons
do not depend on each other's bits: neurons are decided one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from numerics.compiled_types import NEVER, Points
from numerics.polynomials import first_order
from numerics.problem import FlowStatus

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

UNIT = 2.0**-53
MAX_GROUPS = 6

# Given (row of the batch, mask (h, n)): Taylor coefficients of z, and their rounding level, both
# (p+1, h, n).
Probe = Callable[[int, Bools], tuple[Array, Array]]


def near_threshold(point_norms: Array, w: Array, v: Array) -> Array:
    """(L, h, n) level below which <w_j, x_i> is not distinguished from zero.

    Relative to |(w_j, v_j)| and not to |w_j|: from an unbalanced start w_j may pass through zero.
    """
    norms = np.sqrt((w * w).sum(axis=2) + v * v)
    count = 16.0 + 2.0 * w.shape[2]
    return count * UNIT * norms[:, :, None] * point_norms


@dataclass
class Assignment:
    """Patterns at the start of the next step.

    Args:
        mask, order: (L, h, n) as for ``numerics.compiled_events``.
        failure: row of the batch -> (status, neuron, point, explanation).
        row, neuron, point: (K,) the flips. before, after: (K,) dz/dt on both sides.
    """

    mask: Bools
    order: Ints
    failure: dict[int, tuple[FlowStatus, int, int, str]] = field(default_factory=dict)
    row: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    neuron: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    point: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    before: Array = field(default_factory=lambda: np.zeros(0))
    after: Array = field(default_factory=lambda: np.zeros(0))


def drift_of(data: Points, v: Array, g: Array, bits: Array, points: Ints) -> tuple[Array, Array]:
    """dz/dt of pairs and its rounding level: v sum_i' bits_i' g_i' <x_i', x_i>.

    Args:
        v: (K,). g, bits: (K, n). points: (K,).
    """
    terms = bits * g * data.gram[points]
    count = 16.0 + data.X.shape[0] + data.X.shape[1]
    own = np.abs(np.take_along_axis(g, points[:, None], axis=1)[:, 0]) * data.norms[points] ** 2
    noise = count * UNIT * np.abs(v) * (np.abs(terms).sum(axis=1) + own)
    return v * terms.sum(axis=1), noise


def assign(
    data: Points,
    w: Array,
    v: Array,
    z: Array,
    g: Array,
    mask: Bools,
    forced: Bools,
    dead: Bools,
    probe: Probe,
) -> Assignment:
    """Decide the bits of all pairs on a kink; the others keep theirs, which must agree with z.

    Args:
        w: (L, h, d). v: (L, h). z: (L, h, n). g: (L, n). mask: (L, h, n) before the state.
        forced: (L, h, n) pairs that are on the kink whatever their z (an event ended here).
        dead: (L, h, n) pairs with z = 0 for ever.
    """
    near = (forced | (np.abs(z) <= near_threshold(data.norms, w, v))) & ~dead
    kink_order = np.where(dead, NEVER, 0).astype(np.int64)
    result = Assignment(mask=mask.copy(), order=kink_order)
    wrong = (mask != (z > 0)) & ~near & ~dead
    for row, j, i in np.argwhere(wrong):
        text = "the sign of <w, x> contradicts the activation pattern"
        result.failure.setdefault(int(row), (FlowStatus.grazing, int(j), int(i), text))
    row, j, i = np.nonzero(near)
    if row.size == 0:
        return result
    crowd = near.sum(axis=2)[row, j]
    bits = mask[row, j].astype(np.float64)
    bits[np.arange(row.size), i] = 0.0
    off, noise = drift_of(data, v[row, j], g[row], bits, i)
    on = off + v[row, j] * g[row, i] * data.norms[i] ** 2
    # A neuron without any other active point does not move when this one is off: z = 0 for ever.
    rests = (bits.sum(axis=1) == 0) & (np.abs(on) > noise) & (crowd == 1)
    clear = (np.abs(off) > noise) & (np.abs(on) > noise) & (crowd == 1)
    new = on > 0
    decided = (clear & ((on > 0) == (off > 0))) | (rests & (on < 0))
    result.order[row[clear], j[clear], i[clear]] = 1
    result.order[row[rests], j[rests], i[rests]] = NEVER
    result.mask[row[decided], j[decided], i[decided]] = new[decided]
    clear |= rests
    for k in np.flatnonzero(clear & ~decided):
        slides = off[k] > 0
        status = FlowStatus.sliding if slides else FlowStatus.nonunique
        text = f"d<w,x>/dt is {off[k]:.3g} off and {on[k]:.3g} on"
        result.failure.setdefault(int(row[k]), (status, int(j[k]), int(i[k]), text))
    hard = {(int(a), int(b)) for a, b in zip(row[~clear], j[~clear], strict=True)}
    for a, b in sorted(hard):
        _assign_neuron(data, v, g, near[a, b], result, a, b, probe)
    flips = (result.mask != mask) & near
    result.row, result.neuron, result.point = (x.astype(np.int64) for x in np.nonzero(flips))
    rows, neurons, points = result.row, result.neuron, result.point
    velocity, force = v[rows, neurons], g[rows]
    old, following = (m[rows, neurons].astype(np.float64) for m in (mask, result.mask))
    result.before, _ = drift_of(data, velocity, force, old, points)
    result.after, _ = drift_of(data, velocity, force, following, points)
    return result


def _groups(data: Points, points: Ints) -> list[list[tuple[int, bool]]]:
    """Points grouped by parallelism, with True where the point is oriented as the group's first."""
    groups: list[list[tuple[int, bool]]] = []
    for i in points:
        u = data.X[i] / data.norms[i]
        for group in groups:
            first = data.X[group[0][0]] / data.norms[group[0][0]]
            aligned = bool(u @ first > 0)
            if np.abs(u - first if aligned else u + first).max() <= 8 * UNIT:
                group.append((int(i), aligned))
                break
        else:
            groups.append([(int(i), True)])
    return groups


def _assign_neuron(
    data: Points,
    v: Array,
    g: Array,
    near: Bools,
    result: Assignment,
    row: int,
    j: int,
    probe: Probe,
) -> None:
    """Try all patterns of one neuron's points on kinks; parallel points share one sign."""
    points = np.flatnonzero(near)
    groups = _groups(data, points)
    if len(groups) > MAX_GROUPS:
        text = f"{len(groups)} kinks meet, more than the {MAX_GROUPS} that are searched"
        result.failure.setdefault(row, (FlowStatus.nonunique, j, int(points[0]), text))
        return
    # State of a group: the sign of <w, x> for its first point right after the kink.
    states = np.array(list(product((1, -1, 0), repeat=len(groups))), dtype=np.int64)
    bits = np.repeat(result.mask[row, j][None].astype(np.float64), len(states), axis=0)
    for c, group in enumerate(groups):
        for i, aligned in group:
            bits[:, i] = states[:, c] == (1 if aligned else -1)
    fits = np.ones(len(states), dtype=bool)
    unsure = np.zeros(len(states), dtype=bool)
    for c, group in enumerate(groups):
        where = np.full(len(states), group[0][0])
        speed, noise = drift_of(
            data,
            np.full(len(states), v[row, j]),
            np.repeat(g[row][None], len(states), axis=0),
            bits,
            where,
        )
        small = np.abs(speed) <= noise
        fits &= small | ((np.sign(speed) == states[:, c]) & (states[:, c] != 0))
        unsure |= small
    survivors: list[tuple[int, list[int]]] = []
    for index in np.flatnonzero(fits):
        orders = [1] * len(groups)
        if unsure[index]:
            candidate = result.mask[row].copy()
            candidate[j] = bits[index] > 0
            found = _probe_orders(probe(row, candidate), j, groups, states[index])
            if found is None:
                continue
            orders = found
        survivors.append((int(index), orders))
    if len(survivors) != 1:
        status = FlowStatus.nonunique if survivors else FlowStatus.sliding
        text = f"{len(survivors)} of {len(states)} patterns of {len(points)} points are consistent"
        result.failure.setdefault(row, (status, j, int(points[0]), text))
        return
    chosen, orders = survivors[0]
    result.mask[row, j] = bits[chosen] > 0
    for c, group in enumerate(groups):
        for i, _ in group:
            result.order[row, j, i] = orders[c]


def _probe_orders(
    coefficients: tuple[Array, Array],
    j: int,
    groups: list[list[tuple[int, bool]]],
    states: Ints,
) -> list[int] | None:
    """Order of vanishing per group when the series moves as ``states`` says, else None."""
    z, level = coefficients
    orders = []
    for c, group in enumerate(groups):
        i = group[0][0]
        series, threshold = z[:, j, i].copy(), level[:, j, i]
        series[0] = 0.0
        leading = int(first_order(series[None], threshold[None])[0])
        vanishes = leading == series.size
        sign = 0 if vanishes else int(np.sign(series[leading]))
        if sign != states[c]:
            return None
        orders.append(NEVER if vanishes else leading)
    return orders
