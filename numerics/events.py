"""Where, inside a step, does an activation flip first?

Each z_ij = <w_j, x_i> is a polynomial on the step. Its Bernstein coefficients say without sampling
that it has no root, or exactly one (``numerics.polynomials.sign_changes``). A step on which some
z_ij could have more than one root is halved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.polynomials import (
    clearance,
    powers,
    sign_changes,
    single_roots,
    to_bernstein,
)

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MAX_HALVINGS = 48
# Order of vanishing of a pair whose z is zero identically: beyond every degree.
NEVER = 1 << 20


@dataclass(frozen=True)
class Crossing:
    """First flip in each lane.

    Args:
        step: (L,) length of the step, cut at the first flip or shortened.
        pair: (L,) flat index j * n + i of the pair that flips at the end of the step, else -1.
        stuck: (L,) a pair that could not be separated from a double root, else -1.
    """

    step: Array
    pair: Ints
    stuck: Ints


def reduce_order(a: Array, order: Ints) -> Array:
    """a(s) / s**order for polynomials a: (K, p+1) whose first ``order`` coefficients are dropped.

    A pair that starts on the kink has z(0) = 0 up to rounding; the quotient tells whether it comes
    back without being misled by that zero.
    """
    index = np.arange(a.shape[1])[None, :] + order[:, None]
    inside = index < a.shape[1]
    taken = np.take_along_axis(a, np.where(inside, index, 0), axis=1)
    return np.where(inside, taken, 0.0)


def locate(z: Array, mask: Bools, kink_order: Ints, step: Array) -> Crossing:
    """The first flip on [0, step].

    Args:
        z: (L, p+1, h, n) coefficients. mask: (L, h, n).
        kink_order: (L, h, n) 0 off the kink; m where the first m coefficients vanish; ``NEVER``
            where z is identically zero.
        step: (L,) positive lengths in the unit of the coefficients.
    """
    lanes, size, h, n = z.shape
    flat = z.reshape(lanes, size, h * n)
    sign = np.where(mask.reshape(lanes, h * n), 1.0, -1.0)
    orders = kink_order.reshape(lanes, h * n)
    length = step.copy()
    pair = np.full(lanes, -1, dtype=np.int64)
    stuck = np.full(lanes, -1, dtype=np.int64)
    todo = np.arange(lanes)
    for _ in range(MAX_HALVINGS):
        found = _scan(flat[todo], sign[todo], orders[todo], length[todo])
        length[todo], pair[todo] = found.step, found.pair
        stuck[todo] = found.stuck
        again = found.stuck >= 0
        if not again.any():
            break
        todo = todo[again]
        length[todo] *= 0.5
    return Crossing(step=length, pair=pair, stuck=stuck)


def _scan(z: Array, sign: Array, orders: Ints, step: Array) -> Crossing:
    """One pass of ``locate``; ``stuck`` names a pair with several sign changes."""
    lanes, size, _ = z.shape
    first = np.full(lanes, -1, dtype=np.int64)
    stuck = np.full(lanes, -1, dtype=np.int64)
    length = step.copy()
    nothing = Crossing(step=length, pair=first, stuck=stuck)
    lane, pair = np.nonzero((clearance(z, step) <= 0) & (orders < size))
    if lane.size == 0:
        return nothing
    a = unit_columns(z, sign, orders, step, lane, pair)
    bernstein = to_bernstein(a)
    reaching = (bernstein < 0).any(axis=0)
    lane, pair, a = lane[reaching], pair[reaching], a[:, reaching]
    if lane.size == 0:
        return nothing
    changes, start = sign_changes(bernstein[:, reaching])
    single = (changes == 1) & (start > 0)
    stuck[lane[~single]] = pair[~single]
    usable = single & (stuck[lane] < 0)
    lane, pair = lane[usable], pair[usable]
    if lane.size:
        roots = single_roots(np.ascontiguousarray(a[:, usable]))
        # Lexicographic order makes the choice among equal roots independent of the batch.
        ranking = np.lexsort((pair, roots, lane))
        lane, pair, roots = lane[ranking], pair[ranking], roots[ranking]
        leading = np.concatenate(([True], lane[1:] != lane[:-1]))
        lane, pair, roots = lane[leading], pair[leading], roots[leading]
        first[lane] = pair
        length[lane] = step[lane] * roots
    return Crossing(step=length, pair=first, stuck=stuck)


def unit_columns(z: Array, sign: Array, orders: Ints, step: Array, lane: Ints, pair: Ints) -> Array:
    """(p+1, K) polynomials of selected pairs on [0, 1], positive on their own side of the kink.

    Leading coefficients that vanish at a kink are divided out.

    Args:
        z: (L, p+1, h n). sign, orders: (L, h n). step: (L,). lane, pair: (K,).
    """
    table = powers(step, z.shape[1] - 1)
    a = z[lane, :, pair] * table[lane] * sign[lane, pair][:, None]
    order = orders[lane, pair]
    kink = np.flatnonzero(order)
    if kink.size:
        a[kink] = reduce_order(a[kink], order[kink])
    return np.ascontiguousarray(a.T)
