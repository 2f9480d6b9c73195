"""Device functions of the CUDA engine: user quantities and their suprema over time.

Each quantity is an entry of a vector of 8 in the order of ``QUANTITIES``: its value and an interval
that contains the true one. The largest squared weight, the largest output and the imbalance are
natural logarithms without the contribution of eps, in which nothing underflows; the angle is carried
as its chord 2 sin(angle/2).
"""

from __future__ import annotations

import triton
import triton.language as tl

from numerics.flow_triton_bounds import output_error
from numerics.flow_triton_series import force, loss_value, power_of_two, rounding, slope_bound

QUANTITIES = ("max_weight_sq", "max_abs_output", "loss", "max_angle", "imbalance")
WIDTH = tl.constexpr(8)
LOG2 = tl.constexpr(0.6931471805599453)
# What equidistant nodes may miss: SAFETY/8 times the second difference.
SAFETY = tl.constexpr(4.0)


@triton.jit
def _put(
    out: tl.tensor, number: tl.constexpr, mid: tl.tensor, low: tl.tensor, high: tl.tensor
) -> tl.tensor:
    here = tl.arange(0, WIDTH) == number
    # NaN stands for an interval about which nothing is known.
    low = tl.where(low == low, low, -float("inf"))
    high = tl.where(high == high, high, float("inf"))
    return (
        tl.where(here, mid, out[0]),
        tl.where(here, low, out[1]),
        tl.where(here, high, out[2]),
    )


@triton.jit
def _known(slop: tl.tensor) -> tl.tensor:
    """Infinite where nothing is known: maxima pass over NaN."""
    return tl.where(slop == slop, slop, float("inf"))


@triton.jit
def _log(a: tl.tensor) -> tl.tensor:
    return tl.log(tl.maximum(a, 0.0))


@triton.jit
def measure(
    w: tl.tensor,
    v: tl.tensor,
    z: tl.tensor,
    s: tl.tensor,
    exponent: tl.tensor,
    relative: tl.tensor,
    largest: tl.tensor,
    scale: tl.tensor,
    radius: tl.tensor,
    top: tl.tensor,
    w0: tl.tensor,
    v0: tl.tensor,
    exponent0: tl.tensor,
    radius0: tl.tensor,
    norms: tl.tensor,
    y: tl.tensor,
    valid: tl.tensor,
    weight: tl.tensor,
    n: tl.tensor,
    d: tl.tensor,
    h: tl.tensor,
    WANTED: tl.constexpr,
    LOSS: tl.constexpr,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """(value, low, high), each (8,) float64, of the quantities in the bit set ``WANTED``.

    Args:
        relative: (H,) 2**(exponent - largest). scale: eps**2 4**largest. valid: (N,) real points.
        w0, v0, exponent0, radius0: the start.
    """
    U = rounding(DOUBLE)
    nothing = tl.zeros((WIDTH,), tl.float64)
    out = (nothing, nothing, nothing)
    w = w.to(tl.float64)
    v = v.to(tl.float64)
    r = radius.to(tl.float64)
    size = tl.sqrt(tl.sum(w * w, axis=1))
    theta = tl.sqrt(size * size + v * v)
    logs = (2.0 * LOG2) * exponent.to(tl.float64)
    if WANTED & 1:
        slop = _known(r + (d + 4.0) * U * size)
        out = _put(
            out,
            0,
            tl.max(2.0 * _log(size) + logs),
            tl.max(2.0 * _log(size - slop) + logs),
            tl.max(2.0 * _log(size + slop) + logs),
        )
    if WANTED & 6:
        weight2 = (relative * relative).to(tl.float64)
        active = s.to(tl.float64)
        factor = scale.to(tl.float64)
        point_norms = norms.to(tl.float64)
        terms = (weight2 * v)[:, None] * (active * z.to(tl.float64))
        f = tl.sum(terms, axis=0)
        slop = (d + h + 8.0) * U * tl.sum(tl.abs(terms), axis=0)
        # Within the error of its kink, a unit of a moving neuron that is off may be on.
        level = 2.0 * r + 2.0 * (d + 8.0) * U * theta
        near = z.to(tl.float64) > -level[:, None] * point_norms[None, :]
        moves = tl.max(active, axis=1) > 0.0
        maybe = tl.where(near & moves[:, None], 1.0, active)
        products = (weight2 * tl.abs(v) * size)[:, None]
        slop += (d + 4.0) * U * point_norms * tl.sum(maybe * products, axis=0)
        slop += output_error(maybe, weight2, point_norms, theta, r, top.to(tl.float64))
        slop = _known(slop)
        if WANTED & 2:
            unit = (2.0 * LOG2) * largest.to(tl.float64)
            out = _put(
                out,
                1,
                _log(tl.max(tl.abs(f))) + unit,
                _log(tl.max(tl.abs(f) - slop)) + unit,
                _log(tl.max(tl.abs(f) + slop)) + unit,
            )
        if WANTED & 4:
            f = factor * f
            slop = factor * slop
            label = y.to(tl.float64)
            each = tl.where(valid, weight * loss_value(f, label, LOSS), 0.0)
            slope = slope_bound(f - slop, f + slop, label, weight, LOSS)
            change = (tl.abs(force(f, label, weight, LOSS)) + slope * slop) * slop
            if LOSS == 3:
                change += 2.0 * U * tl.abs(label) * tl.abs(force(f, label, weight, LOSS))
            total = tl.sum(each)
            slop_total = tl.sum(tl.where(valid, change, 0.0)) + (n + 8.0) * U * total
            out = _put(out, 2, total, tl.maximum(total - slop_total, 0.0), total + slop_total)
    if WANTED & 8:
        first = w0.to(tl.float64)
        size0 = tl.sqrt(tl.sum(first * first, axis=1))
        moves = (size0 > 0.0) & (size > 0.0)
        u = w / tl.where(moves, size, 1.0)[:, None] - first / tl.where(moves, size0, 1.0)[:, None]
        chord = tl.where(moves, tl.sqrt(tl.sum(u * u, axis=1)), 0.0)
        known = moves & (r < size) & (radius0 < size0)
        # The direction turns by at most asin(r/|w|), whose chord is below 1.5 r/|w|.
        slop = 1.5 * (r / tl.where(moves, size, 1.0) + radius0 / tl.where(moves, size0, 1.0))
        slop = tl.where(known, slop + 2.0 * (d + 8.0) * U, 2.0)
        slop = tl.where(size0 > 0.0, slop, 0.0)
        low = tl.max(tl.maximum(chord - slop, 0.0))
        out = _put(out, 3, tl.max(chord), low, tl.max(tl.minimum(chord + slop, 2.0)))
    if WANTED & 16:
        first = w0.to(tl.float64)
        square0 = tl.sum(first * first, axis=1)
        start = v0.to(tl.float64)
        theta0 = tl.sqrt(square0 + start * start)
        shift = power_of_two(2 * (exponent0 - exponent), True)
        change = tl.abs(v * v - size * size - shift * (start * start - square0))
        slop = 2.0 * theta * r + r * r + (d + 6.0) * U * theta * theta
        slop += shift * (2.0 * theta0 * radius0 + radius0 * radius0)
        slop = _known(slop + shift * (d + 6.0) * U * theta0 * theta0)
        out = _put(
            out,
            4,
            tl.max(_log(change) + logs),
            tl.max(_log(change - slop) + logs),
            tl.max(_log(change + slop) + logs),
        )
    return out


@triton.jit
def step_supremum(nodes: tl.tensor) -> tl.tensor:
    """Over a step: the largest value at five equidistant nodes, what they miss, and its node.

    Between the nodes a smooth quantity exceeds them by at most an eighth of its second difference,
    taken ``SAFETY`` times (logarithmic quantities: of the quantity itself, relative to its maximum).

    Args:
        nodes: (8, 8) values, a row per node, of which five are used.
    """
    row = tl.arange(0, WIDTH)[:, None]
    which = tl.arange(0, WIDTH)[None, :]
    used = row < 5
    logarithmic = (which == 0) | (which == 1) | (which == 4)
    mid = tl.max(tl.where(used, nodes, -float("inf")), axis=0)
    top = tl.where(tl.abs(mid) < float("inf"), mid, 0.0)[None, :]
    q = tl.where(used, tl.where(logarithmic, tl.exp(nodes - top), nodes), 0.0)
    bend = mid * 0.0
    for m in tl.static_range(1, 4):
        weights = tl.where(row == m, -2.0, tl.where((row == m - 1) | (row == m + 1), 1.0, 0.0))
        bend = tl.maximum(bend, tl.abs(tl.sum(weights * q, axis=0)))
    bend = bend * (SAFETY / 8.0)
    missed = tl.where(tl.max(logarithmic.to(tl.int32), axis=0) > 0, tl.log(1.0 + bend), bend)
    missed = tl.where(missed == missed, missed, float("inf"))
    node = tl.min(tl.where(used & (nodes == mid[None, :]), row, WIDTH), axis=0)
    return mid, missed, node.to(tl.float64)
