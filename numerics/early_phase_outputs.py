"""Compiled: the largest output over a window of the early phase, from nodes and from bounds of slopes between.

On a piece of a neuron's path c, v^2, p = <G^, w> and z_i are monotone or have a known minimum, so that their
values at the ends of a part of the piece enclose them, and with them

    d/dt (v z_i) = rate (p z_i + v^2 <G^, x_i>).

Summed over the neurons, this encloses f_i' on the intervals between the nodes, kinks or not: where its sign is
sure, f_i is largest at a node.
"""

from __future__ import annotations

import math
from typing import Any

from numerics.compiled_types import Points
from numerics.compiling import compiled
from numerics.early_phase_types import Outputs
from numerics.ensemble_polynomials import largest_between
from numerics.ensemble_suprema import OUTPUT, log_bounds, raise_to

UNIT = 2.0**-53
# Distance of the nodes at the ends of a window, in time constants.
SPACING = 0.04
# Rounding of enclosed slopes, relative to rate |theta|^2 |x|.
ROUNDING = 1e-13


@compiled
def place_nodes(nodes: Any, length: float, rate: float) -> int:
    """Nodes from 0 to ``length``, dense at both ends, where outputs may be largest; returns their number."""
    half, count, back = 0.5 * rate * length, 1, 0.0
    nodes[0] = 0.0
    most = (nodes.size - 1) // 2
    while count < most:
        back += SPACING * math.exp(2.0 * back)
        if not back < half:
            break
        nodes[count] = back / rate
        count += 1
    last = 2 * count - 1
    for k in range(count):
        nodes[last - k] = length - nodes[k]
    return last + 1


@compiled
def clear_outputs(o: Outputs, count: int) -> None:
    """Forget the outputs at ``count`` nodes."""
    o.at[:count], o.between[:count] = 0.0, 0.0
    _clear_own(o, count)


@compiled
def _clear_own(o: Outputs, count: int) -> None:
    n = o.zs.shape[1]
    for m in range(count):
        for i in range(n):
            o.own[m, i], o.own[m, n + i] = math.inf, -math.inf
        o.own[m, 2 * n] = 0.0


@compiled
def _enclose(
    o: Outputs, s: Any, j: int, m: int, rate: float, a: float, b: float, here: Any, there: Any
) -> None:
    """Widen the neuron's bounds in interval m by a part of a piece; here, there: c, v, p, |theta|^2 at its ends."""
    n, own = o.zs.shape[1], o.own[m]
    least, most = min(here[1] ** 2, there[1] ** 2), max(here[1] ** 2, there[1] ** 2)
    if here[2] * there[2] < 0.0:
        least = min(least, max(-4.0 * a * b, 0.0))
    down, up = min(here[2], there[2]), max(here[2], there[2])
    for i in range(n):
        low, high = 0.0, 0.0
        if s[i, j] > 0.0:
            z, after = o.zs[0, i] + o.zs[1, i] * here[0], o.zs[0, i] + o.zs[1, i] * there[0]
            small, large = max(min(z, after), 0.0), max(z, after, 0.0)
            speed = o.zs[1, i]
            low = rate * (min(down * small, down * large) + min(least * speed, most * speed))
            high = rate * (max(up * small, up * large) + max(least * speed, most * speed))
        own[i], own[n + i] = min(own[i], low), max(own[n + i], high)
    own[2 * n] = max(own[2 * n], here[3], there[3])


@compiled
def show_piece(
    p: Points, o: Outputs, nodes: Any, s: Any, j: int, w: Any, unit: Any, rate: float, a: float, b: float,
    r: float, weight2: float, begin: float, end: float, last: bool,
) -> None:  # fmt: skip
    """Add a piece of the path of neuron j, from w in the direction ``unit``, to the nodes in [begin, end).

    Args:
        r: radius at ``begin``, with all that the piece adds to it but the growth by e^{rate t}.
    """
    n, d = p.X.shape
    count, active = nodes.size, 0.0
    for i in range(n):
        o.zs[0, i], o.zs[1, i] = 0.0, 0.0
        active += s[i, j]
        for k in range(d):
            o.zs[0, i] += p.X[i, k] * w[k]
            o.zs[1, i] += p.X[i, k] * unit[k]
    square = 0.0
    for k in range(d):
        square += w[k] * w[k]
    here, there = o.ends[0], o.ends[1]
    here[0], here[1], here[2], here[3] = 0.0, a - b, a + b, square + (a - b) ** 2
    # z is computed from its value at the begin of the piece
    r += 2.0 * (d + 4.0) * UNIT * math.sqrt(here[3])
    noise = (4.0 * d + s.shape[1] + 24.0) * UNIT
    m = 0
    while m + 2 < count and nodes[m + 1] <= begin:
        m += 1
    if nodes[m] == begin and begin < end:
        _at_node(o, s, j, m, weight2, r, noise, here, active)
    while True:
        stop = min(nodes[m + 1], end)
        up, down = math.expm1(rate * (stop - begin)), math.expm1(-rate * (stop - begin))
        c = a * up + b * down
        there[0], there[1], there[2] = (
            c,
            a * (up + 1.0) - b * (down + 1.0),
            a * (up + 1.0) + b * (down + 1.0),
        )
        there[3] = max(square + c * (2.0 * (a + b) + c), 0.0) + there[1] ** 2
        _enclose(o, s, j, m, rate, a, b, here, there)
        grown = (up + 1.0) * r
        if active > 0.0:
            largest = max(here[3], there[3])
            o.between[m, 2 * n + 1] += weight2 * (
                math.sqrt(largest) * grown + 0.5 * grown * grown + noise * largest
            )
        if stop == nodes[m + 1] and (stop < end or last):
            _at_node(o, s, j, m + 1, weight2, grown, noise, there, active)
        if nodes[m + 1] >= end or m + 2 == count:
            return
        here[:] = there
        m += 1


@compiled
def _at_node(
    o: Outputs, s: Any, j: int, m: int, weight2: float, r: float, noise: float, state: Any, active: float
) -> None:  # fmt: skip
    """Add the neuron's outputs at node m; one without an active point rests, and its outputs are exactly 0."""
    n = o.zs.shape[1]
    if active == 0.0:
        return
    for i in range(n):
        if s[i, j] > 0.0:
            o.at[m, i] += weight2 * state[1] * max(o.zs[0, i] + o.zs[1, i] * state[0], 0.0)
    theta = math.sqrt(state[3])
    o.at[m, n] += weight2 * (theta * r + 0.5 * r * r + noise * state[3])


@compiled
def end_neuron(o: Outputs, count: int, weight2: float) -> None:
    """Add the neuron's bounds to those of all, and make room for the next."""
    n = o.zs.shape[1]
    for m in range(count - 1):
        for i in range(n):
            if o.own[m, i] <= o.own[m, n + i]:
                o.between[m, i] += weight2 * o.own[m, i]
                o.between[m, n + i] += weight2 * o.own[m, n + i]
        o.between[m, 2 * n] += 0.5 * weight2 * o.own[m, 2 * n]
    _clear_own(o, count)


@compiled
def raise_outputs(
    p: Points, sup: Any, o: Outputs, nodes: Any, begin: float, rate: float, log_scale: float
) -> None:
    """Raise max_i |f_i| by the window; ``begin`` is the time of its first node, log_scale that of the unit of f."""
    n, count = p.y.size, nodes.size
    top, low, high, time = -1.0, 0.0, 0.0, begin
    for m in range(count):
        here = o.at[m]
        for i in range(n):
            size, error = abs(here[i]), p.norms[i] * here[n]
            low, high = max(low, size - error), max(high, size + error)
            if size > top:
                top, time = size, begin + nodes[m]
        if m + 1 == count:
            break
        between, step = o.between[m], nodes[m + 1] - nodes[m]
        for i in range(n):
            norm = p.norms[i]
            hidden = ROUNDING * rate * norm * between[2 * n]
            bound = largest_between(
                here[i], o.at[m + 1, i], between[i] - hidden, between[n + i] + hidden, step
            )
            high = max(
                high, min(bound, norm * between[2 * n] * 1.000001) + norm * between[2 * n + 1]
            )
    value, _, _ = log_bounds(top, 0.0, log_scale, 1.0)
    _, low, _ = log_bounds(low, 0.0, log_scale, 1.0)
    _, _, high = log_bounds(high, 0.0, log_scale, 1.0)
    raise_to(sup, OUTPUT, value, low, high, time)
