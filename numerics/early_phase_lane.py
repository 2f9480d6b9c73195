"""Compiled: one lane through the early phase, in windows at whose ends all neurons meet.

In a window the forces are those of the outputs that are expected in its middle; it is as long as the bound on their
variation allows (see ``numerics.early_phase_kernel``). At its end every pair of a moving neuron is clear of its kink
by thrice its error, so that any engine can go on from there. Whatever is not a plain crossing ends the early phase
shortly before it.
"""

from __future__ import annotations

import math
from typing import Any

from numerics.compiled_field import (
    clipped_ldexp,
    force_of_output,
    slope_bound,
)
from numerics.compiled_types import (
    END,
    EXPONENT0,
    KINKS,
    MANTISSA2,
    NEVER,
    STEPS,
    TIME,
    VALID,
    Points,
)
from numerics.compiling import compiled
from numerics.early_phase_kernel import (
    ENVELOPE,
    FASTER,
    LENGTH,
    LONGEST,
    MARGIN,
    OFFSET,
    RATE,
    START,
    TROUBLE,
    UNIT,
    clear_of_kinks,
    force_of_pattern,
    move,
    near_level,
    strayed,
)
from numerics.early_phase_outputs import clear_outputs, end_neuron, place_nodes, raise_outputs
from numerics.early_phase_types import Early, Neurons
from numerics.ensemble_suprema import LOG2, OUTPUT, WANTED
from numerics.ensemble_values import quantities_at

# The bounds on |g'| hold for |f| up to this.
LARGEST_OUTPUT = 0.05
# The rate of the envelope may be exceeded by this factor before a window is done anew.
RESERVE = 1.25
# A window costs about as much as a step of the Taylor engine, which makes so many in a time constant and one for each
# kink. Nothing is known of kinks at first: a window of so many time constants is tried.
STEPS_BETWEEN_KINKS, FIRST = 4.0, 0.002
ATTEMPTS = 12
HALVINGS = 40
LIMIT = 32
TINY = 1e-300


@compiled
def first_forces(p: Points, g: Any) -> None:
    """g[0] = g_i(0), g[1] = |x_i|^2 sup|g_i'| over the outputs that are admitted."""
    for i in range(p.y.size):
        g[0, i] = force_of_output(p, 0.0, p.y[i])
        g[1, i] = slope_bound(p, -LARGEST_OUTPUT, LARGEST_OUTPUT, p.y[i]) * p.norms[i] ** 2


@compiled
def begin(p: Points, lane: Neurons, h: int, row: Any) -> bool:
    """Read the pattern off the signs at t = 0; False, and no pattern, where a pair is too close to its kink."""
    n, d = p.X.shape
    for j in range(h):
        for c in range(d):
            row[c] = lane.w[c, j]
        for i in range(n):
            z = 0.0
            for c in range(d):
                z += p.X[i, c] * row[c]
            lane.s[i, j] = 1.0 if z > 0.0 else 0.0
        if not _zero(lane, j) and not clear_of_kinks(
            p, lane.s, j, row, lane.v[j], lane.radius[j], -1
        ):
            lane.s[:, :] = 0.0
            return False
    return True


@compiled
def _zero(lane: Neurons, j: int) -> bool:
    total = abs(lane.v[j])
    for c in range(lane.w.shape[0]):
        total += abs(lane.w[c, j])
    return total == 0.0


@compiled
def _census(
    p: Points, lane: Neurons, h: int, g: Any, G: Any, f: Any
) -> tuple[float, float, float, int, float]:
    """The largest rate, F, the largest error of f_i/|x_i|, the largest exponent, and the unit of outputs it gives.

    F, the error and f are in that unit. Sets the forces g to those of the outputs, and fills f (2, n): the outputs and
    their derivatives.
    """
    n, d = p.X.shape
    top = lane.exponent[0]
    for j in range(h):
        top = max(top, lane.exponent[j])
    total, error = 0.0, 0.0
    f[:, :] = 0.0
    for j in range(h):
        v, r = lane.v[j], lane.radius[j]
        square = v * v
        for c in range(d):
            square += lane.w[c, j] * lane.w[c, j]
        weight2 = clipped_ldexp(1.0, 2 * (lane.exponent[j] - top))
        stray = r * (math.sqrt(square) + 0.5 * r)
        total += weight2 * (0.5 * square + stray)
        error += weight2 * (stray + (2.0 * d + h + 24.0) * UNIT * square)
        for i in range(n):
            if lane.s[i, j] > 0.0:
                f[0, i] += weight2 * v * _product(p.X[i], lane.w, j)
    scale = clipped_ldexp(lane.num[MANTISSA2], 2 * (lane.cnt[EXPONENT0] + top))
    for i in range(n):
        near = min(max(scale * f[0, i], -LARGEST_OUTPUT), LARGEST_OUTPUT)
        g[0, i] = force_of_output(p, near, p.y[i])
    fastest = 0.0
    for j in range(h):
        rate, _, _ = force_of_pattern(p, g, lane.s, j, G)
        fastest = max(fastest, rate)
        weight2 = clipped_ldexp(1.0, 2 * (lane.exponent[j] - top))
        v, push = lane.v[j], _product(G, lane.w, j)
        for i in range(n):
            if lane.s[i, j] > 0.0:
                speed = 0.0
                for c in range(d):
                    speed += p.X[i, c] * G[c]
                z = _product(p.X[i], lane.w, j)
                f[1, i] += weight2 * (push * z + v * v * speed)
    return fastest, MARGIN * total, error, top, scale


@compiled
def _product(x: Any, w: Any, j: int) -> float:
    """<x, w_j>."""
    total = 0.0
    for c in range(x.size):
        total += x[c] * w[c, j]
    return total


@compiled
def _foresee(p: Points, e: Early, length: float, scale: float) -> float:
    """Set the forces to those of the outputs in the middle of a window; returns how far these are, over |x_i|."""
    far = 0.0
    for i in range(p.y.size):
        change = 0.5 * length * scale * e.f[1, i]
        f = scale * e.f[0, i] + change
        if not abs(f) < LARGEST_OUTPUT:
            return math.inf
        e.g[0, i] = force_of_output(p, f, p.y[i])
        if p.norms[i] > 0.0:
            far = max(far, abs(change) / p.norms[i])
    return far


@compiled
def _all_neurons(
    p: Points,
    lane: Neurons,
    h: int,
    e: Early,
    m: int,
    top: int,
    log_eps: float,
    sup: Any,
    start: Any,
) -> int:
    """Move all neurons through the window; stops at the first that cannot."""
    d = p.X.shape[1]
    w = e.rows[3]
    for j in range(h):
        for c in range(d):
            w[c] = lane.w[c, j]
        weight2 = clipped_ldexp(1.0, 2 * (lane.exponent[j] - top))
        log_unit = 2.0 * (log_eps + lane.exponent[j] * LOG2)
        code, v, r = move(
            p, e.g, lane.s, j, w, lane.v[j], lane.radius[j], e.window, weight2, log_unit, e.nodes[:m], e.outputs,
            e.kinks, e.count, sup, start[j], e.rows, e.out,
        )  # fmt: skip
        if code != 0:
            return code
        if m > 0:
            end_neuron(e.outputs, m, weight2)
        for c in range(d):
            lane.w[c, j] = w[c]
        lane.v[j], lane.radius[j] = v, r
    return 0


@compiled
def _normalise(lane: Neurons, h: int) -> None:
    d = lane.w.shape[0]
    for j in range(h):
        square = lane.v[j] * lane.v[j]
        for c in range(d):
            square += lane.w[c, j] * lane.w[c, j]
        if square > 0.0:
            _, shift = math.frexp(math.sqrt(square))
            if abs(shift) > LIMIT:
                lane.exponent[j] += shift
                for c in range(d):
                    lane.w[c, j] = math.ldexp(lane.w[c, j], -shift)
                lane.v[j] = math.ldexp(lane.v[j], -shift)
                lane.radius[j] = math.ldexp(lane.radius[j], -shift)


@compiled
def hand_over(p: Points, lane: Neurons, h: int) -> None:
    """What the general engine asks of a state that it did not reach itself."""
    n, d = p.X.shape
    for j in range(h):
        active, square = 0.0, lane.v[j] * lane.v[j]
        for i in range(n):
            active += lane.s[i, j]
        for c in range(d):
            square += lane.w[c, j] * lane.w[c, j]
        for i in range(n):
            if active == 0.0 and not lane.dead[i, j]:
                # a neuron that has come to rest on a kink stays there
                z = 0.0
                for c in range(d):
                    z += p.X[i, c] * lane.w[c, j]
                level = 3.0 * p.norms[i] * lane.radius[j] + near_level(
                    d, math.sqrt(square), p.norms[i]
                )
                if abs(z) <= level:
                    lane.order[i, j] = NEVER
    # every neuron is a component of its own: their scales may be worlds apart
    for j in range(lane.v.size):
        lane.label[j], lane.top[j], lane.top_exponent[j] = j, lane.radius[j], lane.exponent[j]
    lane.cnt[VALID] = 0


@compiled
def _keep(lane: Neurons, e: Early, back: bool) -> None:
    """Remember the lane's state and pattern, or go back to what was remembered."""
    d = lane.w.shape[0]
    if back:
        lane.w[:, :], lane.v[:], lane.radius[:] = e.keep[:d], e.keep[d], e.keep[d + 1]
        lane.s[:, :] = e.keep_s
    else:
        e.keep[:d], e.keep[d], e.keep[d + 1] = lane.w, lane.v, lane.radius
        e.keep_s[:, :] = lane.s


@compiled
def _room(p: Points, e: Early, slopes: float, budget: float, left: float, scale: float) -> float:
    """How long a window may be, at most ``left``: its share of the budget, and the largest output.

    Its share is that of the time that is left.
    """
    window = e.window
    envelope, twice, error = window[ENVELOPE], 2.0 * window[RATE], window[OFFSET]
    far = 0.0
    for i in range(p.y.size):
        if p.norms[i] > 0.0:
            far = max(far, 0.5 * scale * abs(e.f[1, i]) / p.norms[i])
    longest = min(left, LONGEST / window[RATE])
    if slopes > 0.0:
        room = LARGEST_OUTPUT / (envelope * p.norms.max())
        longest = min(longest, math.log(room) / twice if room > 1.0 else 0.0)
    low, high = 0.0, longest
    for k in range(HALVINGS):
        middle = high if k == 0 else 0.5 * (low + high)
        window[OFFSET] = error + far * middle
        if slopes * strayed(window, 0.0, middle) <= budget * (middle / left):
            low = middle
        else:
            high = middle
        if high - low <= 0.01 * high:
            break
    window[OFFSET] = error
    return low


@compiled
def early_window(
    p: Points,
    lane: Neurons,
    h: int,
    e: Early,
    goal: float,
    budget: float,
    log_eps: float,
    sup: Any,
    start: Any,
) -> tuple[bool, float]:
    """One window towards ``goal``. Returns whether the early phase goes on, and what it used of ``budget``.

    Args:
        budget: what the integral of the neglected forces may still reach, relative to a neuron.
        sup, start: see ``numerics.ensemble_suprema``.
    """
    fastest, F, error, top, scale = _census(p, lane, h, e.g, e.rows[0], e.f)
    t, window, wanted = lane.num[TIME], e.window, sup[OUTPUT, WANTED] > 0.0
    slopes = e.g[1].sum()
    window[START], window[ENVELOPE] = t, max(scale * F, TINY)
    S = max(RESERVE * fastest, TINY)
    _keep(lane, e, False)
    kept_sup, kept_count = sup.copy(), e.count[0]
    left, cut = goal - t, math.inf
    usual = lane.cnt[KINKS] / t if t > 0.0 else 0.0
    for _ in range(ATTEMPTS):
        window[RATE], window[OFFSET] = S, scale * error
        room = _room(p, e, slopes, budget, lane.num[END] - t, scale)
        length = min(left, min(room, cut))
        shortest = 1.0 / (STEPS_BETWEEN_KINKS * S + usual) if t > 0.0 else FIRST / S
        if not length > 0.0 or (length < left and length < shortest):
            return False, 0.0
        end = goal if length == left else t + length
        window[LENGTH] = end - t
        window[OFFSET] += _foresee(p, e, window[LENGTH], scale)
        if not window[OFFSET] < math.inf:
            return False, 0.0
        m = place_nodes(e.nodes, window[LENGTH], S) if wanted else 0
        clear_outputs(e.outputs, m)
        code = _all_neurons(p, lane, h, e, m, top, log_eps, sup, start)
        if code == 0:
            if wanted:
                raise_outputs(p, sup, e.outputs, e.nodes[:m], t, S, 2.0 * (log_eps + top * LOG2))
            lane.num[TIME] = end
            lane.cnt[STEPS] += 1
            lane.cnt[KINKS] += e.count[0] - kept_count
            _normalise(lane, h)
            return cut == math.inf, slopes * strayed(window, 0.0, window[LENGTH])
        _keep(lane, e, True)
        sup[:, :] = kept_sup
        e.count[0] = kept_count
        if code == FASTER:
            S = RESERVE * e.out[1]
        elif code == TROUBLE:
            cut = 0.9 * e.out[0]
    return False, 0.0


@compiled
def early_lane(
    p: Points, lane: Neurons, h: int, e: Early, tolerance: float, log_eps: float, sup: Any, start: Any,
    stops: Any, recorded: Any, work: Any,
) -> int:  # fmt: skip
    """Carry a lane from t = 0 as far as the early phase goes; its time stays 0 where there is none.

    Args:
        stops (m,): increasing times at which the quantities are written to recorded (m, quantities, 3).
        work: for ``quantities_at``.

    Returns:
        The number of stops that were reached.
    """
    e.count[0], k, budget = 0, 0, tolerance
    if not begin(p, lane, h, e.rows[0]):
        return 0
    first_forces(p, e.g)
    goes_on = True
    while goes_on and budget > 0.0 and lane.num[TIME] < lane.num[END]:
        goal = lane.num[END]
        if k < stops.size and stops[k] < goal:
            goal = stops[k]
        if goal > lane.num[TIME]:
            goes_on, used = early_window(p, lane, h, e, goal, budget, log_eps, sup, start)
            budget -= used
        while k < stops.size and stops[k] <= lane.num[TIME]:
            quantities_at(
                p, lane.w, lane.v, lane.s, lane.exponent, lane.radius, math.inf, lane.num[MANTISSA2],
                lane.cnt[EXPONENT0], log_eps, start, lane.balance, lane.exponent_start, sup, work, recorded[k],
            )  # fmt: skip
            k += 1
    if lane.num[TIME] > 0.0:
        hand_over(p, lane, h)
        return k
    lane.s[:, :] = 0.0
    return 0
