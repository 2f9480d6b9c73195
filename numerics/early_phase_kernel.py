"""Compiled: one neuron after the other through the early phase, by hyperbolic functions, with an error bound.

While f hardly changes the forces are g_i = g_i(f*), f* an output in the window, and with a fixed pattern
G = sum_i s_i g_i x_i is constant: with rate = |G|, G^ = G/rate and p = <G^, w>,

    w(t) = w + G^ c(t),  c = a (e^{rate t} - 1) + b (e^{-rate t} - 1),  v(t) = a e^{rate t} - b e^{-rate t},

a = (p + v)/2, b = (p - v)/2. Hence <w(t), x_i> = 0 is a quadratic equation for e^{rate t}.

The radius r of a neuron obeys r' <= (|G| + kappa) r + |theta| kappa with kappa = sum_i s_i |x_i| |g_i(f) - g_i(f*)|.
With F = sum_j |theta_j|^2/2 and S the largest rate |f_i'| <= 2 S F |x_i|, and F grows at most like e^{2 S t}: the
time t after the start of the window |f_i - f*_i| <= |x_i| (F (e^{2 S t} - 1) + O), O the error of f and the distance
of f* at its start. At a kink the radius is multiplied by the saltation factor, its speeds taken at their worst over
the time in which the kink may lie.
"""

from __future__ import annotations

import math
from typing import Any

from numerics.compiled_types import Points
from numerics.compiling import compiled
from numerics.early_phase_outputs import show_piece
from numerics.early_phase_types import Outputs
from numerics.ensemble_suprema import ANGLE, WANTED, WEIGHT, raise_angle_on_segment, raise_weight

UNIT = 2.0**-53
# How far the speed of crossing may vary over the time in which the kink may lie.
MAX_VARIATION = 0.5
# No piece is longer than this many time constants: its exponentials stay far from overflow.
LONGEST = 200.0
# A true neuron is at most this much larger than the computed one in the bound on F.
MARGIN = 1.02

# Entries of ``window``: start, length, envelope of F at the start, rate S of the envelope, and O.
START, LENGTH, ENVELOPE, RATE, OFFSET = range(5)
# What ``move`` returns: done, trouble at a time (out[0]), a larger rate than assumed (out[1]).
DONE, TROUBLE, FASTER = range(3)


@compiled
def force_of_pattern(p: Points, g: Any, s: Any, j: int, G: Any) -> tuple[float, float, float]:
    """G of neuron j; its norm, its rounding error, and sum_i s_ij |x_i|^2 sup|g_i'| (g[1])."""
    n, d = p.X.shape
    size, slope = 0.0, 0.0
    for c in range(d):
        G[c] = 0.0
    for i in range(n):
        if s[i, j] > 0.0:
            for c in range(d):
                G[c] += g[0, i] * p.X[i, c]
            size += abs(g[0, i]) * p.norms[i]
            slope += g[1, i]
    square = 0.0
    for c in range(d):
        square += G[c] * G[c]
    return math.sqrt(square), UNIT * (12.0 + n + d) * size, slope


@compiled
def strayed(window: Any, at: float, dt: float) -> float:
    """The integral, dt long, of the bound on |f_i - f*_i|/|x_i| from the time ``at`` after the start of a window on."""
    twice = 2.0 * window[RATE]
    more = 0.0
    if twice > 0.0:
        more = max(math.exp(twice * at) * math.expm1(twice * dt) / twice - dt, 0.0)
    return window[ENVELOPE] * more * (1.0 + 32.0 * UNIT) + window[OFFSET] * dt


@compiled
def near_level(d: int, theta: float, norm: float) -> float:
    """Below this level <w, x> is not told from zero."""
    return (16.0 + 2.0 * d) * UNIT * theta * norm


@compiled
def _root(rho: float, p: float, v: float, rate: float) -> float:
    """The first t > 0 with c(t) = rho before v changes its sign, infinite where there is none.

    With q = e^{rate t} - 1: a q^2 + (v - rho) q - rho = 0, and v(t)^2 = v^2 + rho^2 + 2 p rho there.
    """
    direction = v if v != 0.0 else p
    square = v * v + rho * (rho + 2.0 * p)
    if rho * direction <= 0.0 or square < 0.0:
        return math.inf
    end = math.sqrt(square) if direction > 0.0 else -math.sqrt(square)
    b = v - rho
    if b * end > 0.0:
        q = 2.0 * rho / (b + end)
    elif p + v != 0.0:
        q = (end - b) / (p + v)
    else:
        return math.inf
    return math.log1p(q) / rate if q > 0.0 else math.inf


@compiled
def _speeds(p: Points, g: Any, s: Any, j: int, i: int, v: float) -> tuple[float, float, float, int]:
    """dz_i/dt with the bit of i off and on, their rounding level, and the number of other active points."""
    n, d = p.X.shape
    total, size, others = 0.0, abs(g[0, i]) * p.norms[i] ** 2, 0
    for k in range(n):
        if k != i and s[k, j] > 0.0:
            term = g[0, k] * p.gram[i, k]
            total += term
            size += abs(term)
            others += 1
    noise = (16.0 + n + d) * UNIT * abs(v) * size
    return v * total, v * (total + g[0, i] * p.norms[i] ** 2), noise, others


@compiled
def clear_of_kinks(p: Points, s: Any, j: int, w: Any, v: float, r: float, skip: int) -> bool:
    """Is every pair of neuron j but ``skip`` on its pattern's side, by more than thrice its error?"""
    n, d = p.X.shape
    square = v * v
    for c in range(d):
        square += w[c] * w[c]
    theta = math.sqrt(square)
    for i in range(n):
        if i == skip or p.norms[i] == 0.0:
            continue
        z = 0.0
        for c in range(d):
            z += p.X[i, c] * w[c]
        margin = z if s[i, j] > 0.0 else -z
        if not margin > 3.0 * p.norms[i] * r + near_level(d, theta, p.norms[i]):
            return False
    return True


@compiled
def _cross(
    p: Points,
    g: Any,
    s: Any,
    j: int,
    i: int,
    w: Any,
    v: float,
    r: float,
    force: float,
    kappa: float,
    kink: Any,
) -> float:
    """Flip the bit (i, j); returns the radius behind the kink, or -1 where it is not a sure crossing.

    Fills columns 3 to 6 of ``kink``.
    """
    d = w.size
    off, on, noise, others = _speeds(p, g, s, j, i, v)
    active = s[i, j] > 0.0
    before, after = (on, off) if active else (off, on)
    stops = others == 0
    if not abs(on) > noise or (stops and not (active and on < 0.0)):
        return -1.0
    if not stops and not (abs(off) > noise and (on > 0.0) == (off > 0.0) and (on > 0.0) != active):
        return -1.0
    z, square = 0.0, v * v
    for c in range(d):
        z += p.X[i, c] * w[c]
        square += w[c] * w[c]
    theta, norm = math.sqrt(square), p.norms[i]
    slow = abs(before)
    smallest = slow if stops else min(slow, abs(after))
    location = abs(z) + 0.25 * near_level(d, theta, norm)
    delay = (norm * r + location) / smallest
    total = force + abs(g[0, i]) * norm
    error = norm * (
        total * r + kappa * theta + theta * total * total * delay + 64.0 * UNIT * total * theta
    )
    if not error <= MAX_VARIATION * smallest:
        return -1.0
    worst = max(1.0, abs(after) / slow * (1.0 + error / slow) / (1.0 - error / slow))
    s[i, j] = 0.0 if active else 1.0
    kink[3], kink[4], kink[5], kink[6] = s[i, j], before / theta, after / theta, delay
    return worst * r + abs(after - before) / norm * location / smallest


@compiled
def _largest_turn(r: float, square: float, push: float, a: float, b: float, grown: float) -> float:
    """The maximum of r(t)/|w(t)| over a piece on which r(t) = r e^{rate t} and e^{rate t} ends at ``grown``.

    With y = e^{-2 rate t}, |w(t)|^2 y = (|w|^2 - p^2) y + (a + b y)^2 is a convex parabola.
    """
    across = max(square - push * push - 8.0 * UNIT * square, 0.0)
    lowest = 1.0 / (grown * grown)
    y = 1.0 if b == 0.0 else min(max(-(across + 2.0 * a * b) / (2.0 * b * b), lowest), 1.0)
    if b == 0.0 and across > 0.0:
        y = lowest
    size = across * y + (a + b * y) ** 2
    return r / math.sqrt(size) if size > 0.0 else math.inf


@compiled
def move(
    p: Points, g: Any, s: Any, j: int, w: Any, v: float, r: float, window: Any, weight2: float, log_unit: float,
    nodes: Any, outputs: Outputs, kinks: Any, count: Any, sup: Any, start: Any, work: Any, out: Any,
) -> tuple[int, float, float]:  # fmt: skip
    """Carry neuron j through a window, kink by kink; w, s, kinks, count, sup are changed in place.

    Args:
        g: (2, n) forces g_i(f*), and sup|g_i'| |x_i|^2. s: (n, h). w: (d,). window: see START. weight2: 4**(k_j - K)
        and log_unit: 2 log of the unit of w, for the quantities. work: (3, d).

    Returns:
        One of DONE, TROUBLE, FASTER, then v and the radius at the end.
    """
    n, d = p.X.shape
    G, unit, old = work[0], work[1], work[2]
    length, largest = window[LENGTH], window[RATE]
    most = window[ENVELOPE] * math.expm1(2.0 * largest * length) + window[OFFSET]
    at, fresh = 0.0, -1
    for _ in range(20 * n + 100):
        rate, noise, slope = force_of_pattern(p, g, s, j, G)
        true = rate + noise + slope * most  # at most, anywhere in the window
        if true > largest:
            out[1] = true
            return FASTER, v, r
        push, square = 0.0, v * v
        for c in range(d):
            unit[c] = G[c] / rate if rate > 0.0 else 0.0
            push += unit[c] * w[c]
            square += w[c] * w[c]
            old[c] = w[c]
        square_before = square - v * v
        theta, a, b = math.sqrt(square), 0.5 * (push + v), 0.5 * (push - v)
        dt, hit, turns = length - at, -1, False
        if rate > 0.0:
            dt = min(dt, LONGEST / rate)
            if push * v < 0.0 and abs(v) < abs(push):
                turn = math.atanh(-v / push) / rate
                if turn < dt:
                    dt, turns = turn, True
            for i in range(n):
                if i == fresh or p.norms[i] == 0.0:
                    continue
                z, speed = 0.0, 0.0
                for c in range(d):
                    z += p.X[i, c] * w[c]
                    speed += p.X[i, c] * unit[c]
                if speed == 0.0:
                    continue
                t = _root(-z / speed, push, v, rate)
                if t < dt:
                    dt, hit, turns = t, i, False
        up, down = math.expm1(rate * dt), math.expm1(-rate * dt)
        moved = a * up + b * down
        v = 0.0 if turns else a * (up + 1.0) - b * (down + 1.0)
        square = 0.0
        for c in range(d):
            w[c] += unit[c] * moved
            square += w[c] * w[c]
        neglected = slope * strayed(window, at, dt)
        rounding = UNIT * (2.0 * d + 16.0 + 3.0 * rate * (at + 2.0 * dt)) + dt * noise
        r = math.exp(neglected) * (r + (rounding + neglected) * theta)
        ends = hit < 0 and not turns and at + dt >= length
        if nodes.size:
            show_piece(
                p, outputs, nodes, s, j, old, unit, rate, a, b, r, weight2, at, at + dt, ends
            )
        r *= up + 1.0
        begin = window[START] + at
        at += dt
        if sup[WEIGHT, WANTED] > 0.0:
            # |w|^2 is convex in a piece: its maximum is at an end
            raise_weight(sup, max(square_before, 0.0), r, log_unit, begin)
            raise_weight(sup, square, r, log_unit, window[START] + at)
        if sup[ANGLE, WANTED] > 0.0:
            turn = _largest_turn(r / (up + 1.0), square_before, push, a, b, up + 1.0)
            raise_angle_on_segment(sup, old, w, G, start, turn, begin, window[START] + at)
        out[0] = at
        if slope > 0.0 and not clear_of_kinks(p, s, j, w, v, r, hit):
            return TROUBLE, v, r
        if hit >= 0:
            if count[0] == kinks.shape[0]:
                return TROUBLE, v, r
            kink = kinks[count[0]]
            felt = slope if s[hit, j] > 0.0 else slope + g[1, hit]
            r = _cross(p, g, s, j, hit, w, v, r, rate, felt * most, kink)
            if r < 0.0:
                return TROUBLE, v, r
            kink[0], kink[1], kink[2] = window[START] + at, j, hit
            kink[6] += 4.0 * UNIT * (window[START] + at)
            count[0] += 1
            fresh = hit
        elif turns:
            fresh = -1
        if ends:
            return DONE, v, r
    return TROUBLE, v, r
