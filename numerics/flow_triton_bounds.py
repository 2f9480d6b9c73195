"""Device functions of the CUDA engine: the error radii of a lane over a step and across kinks.

Every neuron carries r_j, the Euclidean error of (w_j, v_j) in its own unit, and the lane one R, the
error of all weights together in the unit of its largest neuron. Inside a pattern, with G_j, rho the
residual p' - F(p) of the dense output (at the middle and the end of the step), and Df, Dg the
errors of the outputs and forces,

* r_j' <= |G_j| r_j + |theta_j| sum_i s_ij |x_i| |Dg_i| + |rho_j|,
* R' <= max_j |G_j| R + |rho|: for a convex loss the rest of the Jacobian is negative semidefinite,
* |Df_i| <= |x_i| min(|theta|_i R + R^2/2, sum_j s_ij (|theta_j| r_j + r_j^2/2)).

A kink of (i, j) multiplies the error of neuron j by the norm max(1, |speed after|/|speed before|) of
its saltation matrix, taken at its worst over the window in which the true kink lies. Rates are
integrated by Simpson's rule with an allowance for their variation; rounding is counted. It is a
bound in floating point, tested against the CPU engine, not a proof; infinite where it fails. (The
CPU engine carries an R for each group of neurons that act on each other: its bounds are sharper on
long horizons.)
"""

from __future__ import annotations

import triton
import triton.language as tl

from numerics.flow_triton_events import NEVER, near_level
from numerics.flow_triton_series import (
    field,
    horner,
    horner_slope,
    rounding,
    slope_bound,
)

QUADRATURE = tl.constexpr(1.01)
VARIATION = tl.constexpr(0.03)
SETTLE = tl.constexpr(6)
# How far a speed may vary over the window in which the true kink lies.
MAX_VARIATION = tl.constexpr(0.5)


@triton.jit
def _simpson(a: tl.tensor, b: tl.tensor, c: tl.tensor) -> tl.tensor:
    return (a + 4.0 * b + c) * (1.0 / 6.0)


@triton.jit
def _mean_rate(a: tl.tensor, b: tl.tensor, c: tl.tensor) -> tl.tensor:
    """Upper estimate of the mean of a rate from its values at 0, 1/2, 1."""
    spread = tl.maximum(tl.maximum(a, b), c) - tl.minimum(tl.minimum(a, b), c)
    return tl.sqrt(_simpson(a * a, b * b, c * c)) + VARIATION * spread


@triton.jit
def output_error(
    s: tl.tensor,
    weight2: tl.tensor,
    norms: tl.tensor,
    theta: tl.tensor,
    radius: tl.tensor,
    top: tl.tensor,
) -> tl.tensor:
    """|Df_i| / scale: (N,)."""
    active = tl.sqrt(tl.sum((weight2 * theta * theta)[:, None] * s, axis=0))
    around = tl.where(tl.max(s, axis=0) > 0.0, top, 0.0)
    together = active * around + 0.5 * around * around
    each = weight2 * (theta * radius + 0.5 * radius * radius)
    separate = tl.sum(tl.where(s > 0.0, each[:, None], 0.0), axis=0)
    return norms * tl.where(separate < together, separate, together)


@triton.jit
def _force_noise(
    f: tl.tensor,
    fabs: tl.tensor,
    big: tl.tensor,
    g: tl.tensor,
    s: tl.tensor,
    label: tl.tensor,
    norms: tl.tensor,
    y: tl.tensor,
    weight: tl.tensor,
    counts: tl.tensor,
    LOSS: tl.constexpr,
) -> tl.tensor:
    """(H,) rounding of G_j, divided by the unit; ``counts`` = (for g, for f)."""
    slope = slope_bound(f, f, y, weight, LOSS)
    terms = counts[0] * tl.abs(g) + slope * (
        counts[1] * (tl.maximum(tl.abs(f), fabs) + label) + 4.0 * big
    )
    return tl.sum(s * (terms * norms)[None, :], axis=1)


@triton.jit
def propagate(
    ws: tl.tensor,
    vs: tl.tensor,
    length: tl.tensor,
    tau: tl.tensor,
    s: tl.tensor,
    relative: tl.tensor,
    scale: tl.tensor,
    x: tl.tensor,
    xt: tl.tensor,
    norms: tl.tensor,
    y: tl.tensor,
    weight: tl.tensor,
    n: tl.tensor,
    d: tl.tensor,
    h: tl.tensor,
    f0: tl.tensor,
    fabs0: tl.tensor,
    g0: tl.tensor,
    G0: tl.tensor,
    radius: tl.tensor,
    top: tl.tensor,
    P: tl.constexpr,
    LOSS: tl.constexpr,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """End state (w1, v1, z1, g1, G1), radii (r, R), and suprema (force, theta, error of G)."""
    weight2 = relative * relative
    half = 0.5 * length
    wm = horner(ws, half, P)
    vm = horner(vs, half, P)
    w1 = horner(ws, length, P)
    v1 = horner(vs, length, P)
    _, fm, fabsm, gm, Gm = field(wm, vm, s, weight2, scale, x, xt, y, weight, LOSS, DOUBLE)
    z1, f1, fabs1, g1, G1 = field(w1, v1, s, weight2, scale, x, xt, y, weight, LOSS, DOUBLE)
    w0 = ws[0]
    v0 = vs[0]
    size0 = tl.sqrt(tl.sum(w0 * w0, axis=1))
    sizem = tl.sqrt(tl.sum(wm * wm, axis=1))
    size1 = tl.sqrt(tl.sum(w1 * w1, axis=1))
    theta0 = tl.sqrt(size0 * size0 + v0 * v0)
    thetam = tl.sqrt(sizem * sizem + vm * vm)
    theta1 = tl.sqrt(size1 * size1 + v1 * v1)
    theta = tl.maximum(tl.maximum(theta0, thetam), theta1)
    force0 = tl.sqrt(tl.sum(G0 * G0, axis=1))
    forcem = tl.sqrt(tl.sum(Gm * Gm, axis=1))
    force1 = tl.sqrt(tl.sum(G1 * G1, axis=1))
    force = tl.maximum(tl.maximum(force0, forcem), force1)

    # Residual rho * tau = dp/ds - tau F(p) at s = 1/2 and 1. It starts with s**p: its integral is
    # rho(1)/(p + 1), taken twice; rho(1/2) covers a slower start and the rounding.
    dw = length * horner_slope(ws, half, P) - tau * (vm[:, None] * Gm)
    dv = length * horner_slope(vs, half, P) - tau * tl.sum(Gm * wm, axis=1)
    middle = tl.sqrt(tl.sum(dw * dw, axis=1) + dv * dv)
    dw = length * horner_slope(ws, length, P) - tau * (v1[:, None] * G1)
    dv = length * horner_slope(vs, length, P) - tau * tl.sum(G1 * w1, axis=1)
    final = tl.sqrt(tl.sum(dw * dw, axis=1) + dv * dv)
    truncation = final * (2.0 / (P + 1)) + middle

    # Rounding: of G (relative to its terms), of the polynomial, and of the new state. ``big``
    # stands for z = <w, x>, whose rounding is relative to |w| |x|.
    counts = (12.0 + n + d, 12.0 + d + h)
    label = tl.abs(y) * (LOSS == 3)
    speed = weight2 * tl.maximum(tl.maximum(tl.abs(v0), tl.abs(vm)), tl.abs(v1))
    speed = speed * tl.maximum(tl.maximum(size0, sizem), size1)
    big = scale * norms * tl.sum(s * speed[:, None], axis=0)
    noise = _force_noise(f0, fabs0, big, g0, s, label, norms, y, weight, counts, LOSS)
    also = _force_noise(fm, fabsm, big, gm, s, label, norms, y, weight, counts, LOSS)
    noise = tl.maximum(noise, also)
    also = _force_noise(f1, fabs1, big, g1, s, label, norms, y, weight, counts, LOSS)
    noise = tl.maximum(noise, also)
    rounded = theta1
    power = length
    for k in tl.static_range(1, P + 1):
        size = tl.sqrt(tl.sum(ws[k] * ws[k], axis=1)) + tl.abs(vs[k])
        rounded += (2.0 * k + 2.0) * power * size
        power = power * length
    defect = truncation + rounding(DOUBLE) * (rounded + tau * noise * theta)

    own = tau * _mean_rate(force0, forcem, force1)
    largest = tau * _mean_rate(tl.max(force0), tl.max(forcem), tl.max(force1))
    defect_all = tl.sqrt(tl.sum(relative * relative * defect * defect))
    guess = tl.exp(own) * (radius + defect)
    guess_top = tl.exp(largest) * (top + defect_all)
    new = guess
    new_top = guess_top
    error = force * 0.0
    settled = 0
    rounds = 0
    while (rounds < SETTLE) & (settled == 0):
        output = scale * output_error(s, weight2, norms, theta, guess, guess_top)
        part = slope_bound(f0 - output, f0 + output, y, weight, LOSS) * (output * norms)
        e0 = tl.sum(s * part[None, :], axis=1)
        part = slope_bound(fm - output, fm + output, y, weight, LOSS) * (output * norms)
        em = tl.sum(s * part[None, :], axis=1)
        part = slope_bound(f1 - output, f1 + output, y, weight, LOSS) * (output * norms)
        e1 = tl.sum(s * part[None, :], axis=1)
        error = tl.maximum(tl.maximum(e0, em), e1)
        driven = QUADRATURE * tau * _simpson(e0 * theta0, em * thetam, e1 * theta1)
        new = tl.exp(own + tau * error) * (radius + defect + driven)
        new_top = tl.exp(largest + tau * tl.max(error)) * (top + defect_all)
        combined = tl.sqrt(tl.sum(relative * relative * new * new))
        new_top = tl.where(combined < new_top, combined, new_top)
        alone = new_top / tl.where(relative > 0.0, relative, 1.0)
        new = tl.where((relative > 0.0) & (alone < new), alone, new)
        settled = tl.min((new <= guess).to(tl.int32)) * (new_top <= guess_top).to(tl.int32)
        if settled == 0:
            guess = 2.0 * tl.where(new > guess, new, guess)
            guess_top = 2.0 * tl.where(new_top > guess_top, new_top, guess_top)
        rounds += 1
    new = tl.where(settled > 0, new, float("inf"))
    new_top = tl.where(settled > 0, new_top, float("inf"))
    return w1, v1, z1, g1, G1, theta1, new, new_top, force, theta, error


@triton.jit
def cross(
    flips: tl.tensor,
    order: tl.tensor,
    before: tl.tensor,
    after: tl.tensor,
    z: tl.tensor,
    v: tl.tensor,
    g: tl.tensor,
    turn: tl.tensor,
    radius: tl.tensor,
    top: tl.tensor,
    force: tl.tensor,
    theta: tl.tensor,
    theta1: tl.tensor,
    error: tl.tensor,
    relative: tl.tensor,
    norms: tl.tensor,
    d: tl.tensor,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """Radii after the flips, and 1 where the window of a kink is too wide for its speed.

    The true flip lies within (|x| r_j + |z|)/speed of the computed one. Other points of the neuron
    that may flip inside the window enter through the most that their bits can change of the speed.
    """
    level = near_level(theta1, norms, d, DOUBLE)
    r = radius[:, None]
    x = norms[None, :]
    own = (tl.abs(g) * norms)[None, :]
    location = tl.abs(z) + 0.25 * level
    close = (tl.abs(z) <= 3.0 * x * r + level) & (x > 0.0) & (order != NEVER)
    meeting = tl.where(close, own + 0.0 * z, 0.0)
    slack = tl.abs(v)[:, None] * x * (tl.sum(meeting, axis=1)[:, None] - meeting)
    slack = tl.where(
        tl.sum(close.to(tl.int32), axis=1)[:, None] - close.to(tl.int32) > 0, slack, 0.0
    )
    slow = tl.abs(before) - slack
    fast = tl.abs(after) + slack
    # A neuron whose last active point goes off stops: only the speed of arrival matters.
    stops = (after == 0.0) & (order == NEVER)
    smallest = tl.where(stops, slow, tl.minimum(slow, tl.abs(after) - slack))
    moving = flips & (smallest > 0.0)
    safe = tl.where(moving, smallest, 1.0)
    force_there = force[:, None] + own
    delay = (x * r + location) / safe
    bend = x * theta[:, None] * (force_there * force_there + turn[:, None])
    wobble = x * (force_there * r + (error * theta)[:, None]) + bend * delay
    wobble += 64.0 * rounding(DOUBLE) * x * force_there * theta[:, None]
    sure = moving & (wobble <= MAX_VARIATION * safe)
    part = tl.where(sure, wobble / tl.where(sure, slow, 1.0), 0.0)
    ratio = fast / tl.where(sure, slow, 1.0) * (1.0 + part) / (1.0 - part)
    worst = tl.where(sure, tl.maximum(ratio, 1.0), 1.0)
    gap = tl.abs(after - before) / tl.where(x > 0.0, x, 1.0)
    shift = tl.where(sure, gap * location / safe, 0.0)
    # Several flips of one neuron: the factors multiply, in whatever order.
    factor = tl.exp(tl.sum(tl.log(worst), axis=1))
    factor = factor * (1.0 + 256.0 * rounding(DOUBLE))
    single = tl.sum(flips.to(tl.int32), axis=1) <= 1
    factor = tl.where(single, tl.max(worst, axis=1), factor)
    moved = factor * tl.sum(shift, axis=1)
    new = factor * radius + moved
    gain = tl.sum((factor * factor - 1.0) * relative * relative * radius * radius)
    new_top = tl.sqrt(top * top + gain) + tl.sum(relative * moved)
    combined = tl.sqrt(tl.sum(relative * relative * new * new))
    new_top = tl.where(combined < new_top, combined, new_top)
    unsure = tl.max((flips & ~sure).to(tl.int32))
    return new, new_top, unsure
