"""The persistent kernel: every program takes trajectories from a queue and runs each to its end.

One program is one trajectory at a time, from its start to its status, without the host: Taylor
series, earliest flip, error radii, next pattern, suprema. The choice of a Taylor method over a
Runge-Kutta pair: its polynomial is its own dense output at full order, so that a step that ends at a
kink needs neither a second integration onto it nor an interpolant of lower order, and a step needs
one pair of matrix products (H, D) x (D, N) per degree, which Triton maps to the FP64 matrix units,
and elementwise convolutions. The coefficients are values of the program, unrolled at compile time:
the compiler keeps them in registers and spills to the multiprocessor's own cache.

Statuses are indices of ``FlowStatus``; HANDOVER marks a meeting of kinks that the kernel does not
decide, and that the host gives to the CPU engine.
"""

# Inside device functions tuples grow by +; a starred one does not compile.
# mypy: disable-error-code="assignment, misc"
from __future__ import annotations

import triton
import triton.language as tl

from numerics.flow_triton_bounds import cross, propagate
from numerics.flow_triton_events import GRAZING, HARD, decide, locate, touches
from numerics.flow_triton_measure import WIDTH, measure, step_supremum
from numerics.flow_triton_series import (
    dot,
    expand,
    exponent_of,
    field,
    horner,
    power_of_two,
    rounding,
)

RUNNING = tl.constexpr(-1)
OK = tl.constexpr(0)
BUDGET = tl.constexpr(4)
DIVERGED = tl.constexpr(5)
HANDOVER = HARD
# Mantissas are renormalised when their norm leaves [2**-LIMIT, 2**LIMIT].
LIMIT = tl.constexpr(32)
# No step is longer than this many units of the series, however small the last coefficients are.
LONGEST = tl.constexpr(1024.0)
LOWEST = tl.constexpr(-(1 << 28))


@triton.jit
def _units(
    exponent: tl.tensor,
    live: tl.tensor,
    mantissa2: tl.tensor,
    exponent_eps: tl.tensor,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """Largest exponent of a lane, 2**(k_j - largest), and eps**2 4**largest."""
    largest = tl.max(tl.where(live, exponent, LOWEST))
    largest = tl.where(largest == LOWEST, 0, largest)
    relative = tl.where(live, power_of_two(exponent - largest, DOUBLE), 0.0)
    scale = mantissa2 * power_of_two(2 * (exponent_eps + largest), DOUBLE)
    return largest, relative, scale


@triton.jit
def _allowed(
    ws: tl.tensor,
    vs: tl.tensor,
    theta: tl.tensor,
    log_rtol: tl.tensor,
    P: tl.constexpr,
) -> tl.tensor:
    """Length at which the last two terms of every neuron are below rtol of its size."""
    length = tl.min(theta * 0.0) + LONGEST
    for k in tl.static_range(P - 1, P + 1):
        last = tl.sqrt(tl.sum(ws[k] * ws[k], axis=1) + vs[k] * vs[k])
        usable = (last > 0.0) & (theta > 0.0)
        ratio = tl.log(tl.where(usable, theta, 1.0)) - tl.log(tl.where(usable, last, 1.0))
        part = tl.exp((ratio + log_rtol) * (1.0 / k))
        length = tl.minimum(length, tl.min(tl.where(usable, part, LONGEST)))
    return length


@triton.jit
def flow(
    x_pointer: tl.tensor,
    y_pointer: tl.tensor,
    norm_pointer: tl.tensor,
    w_pointer: tl.tensor,
    v_pointer: tl.tensor,
    exponent_pointer: tl.tensor,
    radius_pointer: tl.tensor,
    mantissa_pointer: tl.tensor,
    eps_pointer: tl.tensor,
    end_pointer: tl.tensor,
    parameter_pointer: tl.tensor,
    record_pointer: tl.tensor,
    queue_pointer: tl.tensor,
    out_w_pointer: tl.tensor,
    out_v_pointer: tl.tensor,
    out_exponent_pointer: tl.tensor,
    out_radius_pointer: tl.tensor,
    out_t_pointer: tl.tensor,
    out_count_pointer: tl.tensor,
    out_measure_pointer: tl.tensor,
    out_record_pointer: tl.tensor,
    lanes: tl.tensor,
    n: tl.tensor,
    d: tl.tensor,
    h: tl.tensor,
    records: tl.tensor,
    max_steps: tl.tensor,
    max_kinks: tl.tensor,
    H: tl.constexpr,
    N: tl.constexpr,
    D: tl.constexpr,
    P: tl.constexpr,
    LOSS: tl.constexpr,
    WANTED: tl.constexpr,
    DOUBLE: tl.constexpr,
) -> None:
    """Run all lanes.

    Args (device pointers; real = the dtype of the computation):
        x, y, norm: (n, d), (n,), (n,) real. w, v: (lanes, h, d), (lanes, h) real mantissas with
        exponent: (lanes, h) int32 and radius: (lanes, h) float64 of the start.
        mantissa, eps: (lanes,) eps**2 = mantissa * 4**eps, float64 and int32. end: (lanes,) float64.
        parameter: (weight, log rtol, fixed step or 0) float64. record: (records,) float64, sorted.
        queue: one int32 zero.
        out_w, out_v, out_exponent, out_radius, out_t (float64): as the inputs.
        out_count: (lanes, 3) int32: status, steps, kinks.
        out_measure: (lanes, 7, 8) float64: supremum value, low, high, time; final value, low, high.
        out_record: (lanes, records, 3, 8) float64: value, low, high.
    """
    U = rounding(DOUBLE)
    jj = tl.arange(0, H)
    ii = tl.arange(0, N)
    cc = tl.arange(0, D)
    q8 = tl.arange(0, WIDTH)
    row8 = q8[:, None]
    index = jj[:, None] * N + ii[None, :]
    cells = (jj[:, None] < h) & (cc[None, :] < d)
    points = (ii < n)[:, None] & (cc < d)[None, :]
    valid = ii < n
    x = tl.load(x_pointer + ii[:, None] * d + cc[None, :], mask=points, other=0.0)
    xt = tl.trans(x)
    y = tl.load(y_pointer + ii, mask=valid, other=0.0)
    norms = tl.load(norm_pointer + ii, mask=valid, other=0.0)
    weight64 = tl.load(parameter_pointer)
    log_rtol = tl.load(parameter_pointer + 1).to(x.dtype)
    fixed = tl.load(parameter_pointer + 2).to(x.dtype)
    weight = weight64.to(x.dtype)

    lane = tl.atomic_add(queue_pointer, 1)
    while lane < lanes:
        row = lane.to(tl.int64) * h + jj
        place = row[:, None] * d + cc[None, :]
        mantissa2 = tl.load(mantissa_pointer + lane).to(x.dtype)
        exponent_eps = tl.load(eps_pointer + lane)
        end = tl.load(end_pointer + lane)
        w = tl.load(w_pointer + place, mask=cells, other=0.0)
        v = tl.load(v_pointer + row, mask=jj < h, other=0.0)
        exponent = tl.load(exponent_pointer + row, mask=jj < h, other=0)
        given = tl.load(radius_pointer + row, mask=jj < h, other=0.0)
        theta = tl.sqrt(tl.sum(w * w, axis=1) + v * v)
        live = theta > 0.0
        dead = ~live[:, None] | (norms == 0.0)[None, :]
        # v0 is rounded; in float32 so are all weights.
        radius = 2.0 * U * tl.abs(v) + given.to(x.dtype)
        if not DOUBLE:
            radius = 1.0001 * radius + 2.0 * U * theta
        largest, relative, scale = _units(exponent, live, mantissa2, exponent_eps, DOUBLE)
        top = tl.sqrt(tl.sum(relative * relative * radius * radius))
        w0 = w
        v0 = v
        exponent0 = exponent
        radius0 = radius.to(tl.float64)

        z = dot(w, xt, DOUBLE)
        mask = (z > 0.0) & ~dead
        s = mask.to(x.dtype)
        _, _, _, g, G = field(w, v, s, relative * relative, scale, x, xt, y, weight, LOSS, DOUBLE)
        nowhere = dead & ~dead
        drift = dot(G, xt, DOUBLE)
        mask, order, _, _, code = decide(
            z, v, theta, g, drift, mask, nowhere, dead, norms, n, d, DOUBLE
        )
        fresh = order > 0
        last = measure(
            w, v, z, mask.to(x.dtype), exponent, relative, largest, scale, radius, top,
            w0, v0, exponent0, radius0, norms, y, valid, weight64, n, d, h, WANTED, LOSS, DOUBLE,
        )  # fmt: skip
        last_mid, last_low, last_high = last
        sup_mid, sup_low, sup_high = last
        sup_time = tl.zeros((WIDTH,), tl.float64)
        t = end * 0.0
        carry = end * 0.0
        steps = 0
        kinks = 0
        recorded = 0
        status = tl.where(code > 0, code, tl.where(end > 0.0, RUNNING, OK))
        while status == RUNNING:
            s = mask.to(x.dtype)
            unit, ws, vs, zs, f0, fabs0, g0, G0 = expand(
                w, v, s, relative * relative, scale, x, xt, norms, y, weight, P, LOSS, DOUBLE
            )
            total = tl.sum(tl.abs(f0)) + tl.sum(tl.abs(g0)) + scale
            for k in tl.static_range(P + 1):
                total += tl.sum(tl.abs(ws[k])) + tl.sum(tl.abs(vs[k]))
            theta = tl.sqrt(tl.sum(w * w, axis=1) + v * v)
            whole = (end - t) - carry
            length = _allowed(ws, vs, theta, log_rtol, P)
            length = tl.where(fixed > 0.0, fixed / unit, length)
            length = tl.minimum(length, (whole / unit).to(x.dtype))
            if not ((tl.abs(total) < float("inf")) & (length > 0.0)):
                status = DIVERGED
            else:
                length, pair, stuck = locate(zs, s, order, index, length, P, DOUBLE)
                tau = length * unit
                w1, v1, z1, g1, G1, theta1, radius1, top1, force, theta, error = propagate(
                    ws, vs, length, tau, s, relative, scale, x, xt, norms, y, weight,
                    n, d, h, f0, fabs0, g0, G0, radius, top, P, LOSS, DOUBLE,
                )  # fmt: skip
                level = radius1[:, None] * norms[None, :]
                grazes = touches(zs, s, order, fresh, length, level, P)
                if stuck > 0:
                    status = GRAZING
                elif not (tau > 0.0):
                    status = DIVERGED
                elif grazes > 0:
                    status = GRAZING
                else:
                    step = tau.to(tl.float64) + carry
                    sum1 = t + step
                    part = sum1 - t
                    rest = (t - (sum1 - part)) + (step - part)
                    reaches = tau.to(tl.float64) >= whole
                    if not DOUBLE:
                        # The rest of the time was rounded to float32.
                        reaches = tau.to(tl.float64) >= (1.0 - 2.0 * U) * whole
                    t1 = tl.where(reaches, end, sum1)
                    carry = tl.where(reaches, 0.0, rest)
                    drift = dot(G1, xt, DOUBLE)
                    new, order, before, after, code = decide(
                        z1, v1, theta1, g1, drift, mask, index == pair, dead, norms, n, d, DOUBLE
                    )
                    flips = new != mask
                    count = tl.sum(flips.to(tl.int32))
                    if count > 0:
                        change = G1 - G0
                        turn = 2.0 * tl.sqrt(tl.sum(change * change, axis=1)) / tau
                        turn = tl.where(turn < float("inf"), turn, 0.0)
                        radius1, top1, unsure = cross(
                            flips, order, before, after, z1, v1, g1, turn, radius1, top1,
                            force, theta, theta1, error, relative, norms, d, DOUBLE,
                        )  # fmt: skip
                        code = tl.where((code == 0) & (unsure > 0), GRAZING, code)
                    if WANTED > 0:
                        # The state at the rounded time differs from that at the true one.
                        shown = radius1 + (2.0 * U * t1).to(x.dtype) * force * theta
                        shown_top = top1 + tl.sqrt(
                            tl.sum(relative * relative * (shown - radius1) * (shown - radius1))
                        )
                        # Four nodes of the step, then the recorded times in it: one loop, so that
                        # the quantities are compiled once.
                        nodes = tl.where(row8 == 0, last_mid[None, :], 0.0)
                        low = last_low
                        high = last_high
                        m = 1
                        while m > 0:
                            at = 0.25 * m * (t1 - t) + t
                            if m > 4:
                                at = tl.load(record_pointer + recorded)
                            part = (at - t) / tl.where(t1 > t, t1 - t, 1.0)
                            wm = w1
                            vm = v1
                            if m != 4:
                                where = (length * part).to(x.dtype)
                                wm = horner(ws, where, P)
                                vm = horner(vs, where, P)
                            zm = dot(wm, xt, DOUBLE)
                            node_mid, node_low, node_high = measure(
                                wm, vm, zm, s, exponent, relative, largest, scale, shown,
                                shown_top, w0, v0, exponent0, radius0, norms, y, valid, weight64,
                                n, d, h, WANTED, LOSS, DOUBLE,
                            )  # fmt: skip
                            if m <= 4:
                                nodes = tl.where(row8 == m, node_mid[None, :], nodes)
                                low = tl.maximum(low, node_low)
                                high = tl.maximum(high, node_high)
                                if m == 4:
                                    last_mid = node_mid
                                    last_low = node_low
                                    last_high = node_high
                            else:
                                spot = (lane.to(tl.int64) * records + recorded) * (3 * WIDTH) + q8
                                tl.store(out_record_pointer + spot, node_mid)
                                tl.store(out_record_pointer + spot + WIDTH, node_low)
                                tl.store(out_record_pointer + spot + 2 * WIDTH, node_high)
                                recorded += 1
                            m += 1
                            if m > 4:
                                due = recorded < records
                                if due:
                                    due = tl.load(record_pointer + recorded) <= t1
                                m = tl.where(due, m, 0)
                        mid, missed, node = step_supremum(nodes)
                        sup_time = tl.where(mid > sup_mid, t + node * 0.25 * (t1 - t), sup_time)
                        sup_mid = tl.maximum(sup_mid, mid)
                        sup_low = tl.maximum(sup_low, low)
                        sup_high = tl.maximum(sup_high, high + missed)
                    far = tl.abs(z1) > 2.0 * radius1[:, None] * norms[None, :]
                    fresh = (fresh & ~far) | (order > 0)
                    # Powers of two move from large or small mantissas to the exponents.
                    size = exponent_of(theta1, DOUBLE) + 1
                    shift = tl.where(live & (tl.abs(size) > LIMIT), size, 0)
                    back = power_of_two(-shift, DOUBLE)
                    w = w1 * back[:, None]
                    v = v1 * back
                    radius = radius1 * back
                    exponent = exponent + shift
                    old_largest = largest
                    largest, relative, scale = _units(
                        exponent, live, mantissa2, exponent_eps, DOUBLE
                    )
                    top = top1 * power_of_two(old_largest - largest, DOUBLE)
                    mask = new
                    t = t1
                    steps += 1
                    kinks += count
                    spent = (steps >= max_steps) | (kinks > max_kinks)
                    status = tl.where(spent, BUDGET, RUNNING)
                    status = tl.where(code > 0, code, status)
                    status = tl.where(t >= end, OK, status)

        s = mask.to(x.dtype)
        _, _, _, _, G = field(w, v, s, relative * relative, scale, x, xt, y, weight, LOSS, DOUBLE)
        theta = tl.sqrt(tl.sum(w * w, axis=1) + v * v)
        rate = tl.sqrt(tl.sum(G * G, axis=1))
        radius = radius + (2.0 * U * t).to(x.dtype) * rate * theta
        radius = tl.where(radius < float("inf"), radius, float("inf"))
        tl.store(out_w_pointer + place, w, mask=cells)
        tl.store(out_v_pointer + row, v, mask=jj < h)
        tl.store(out_exponent_pointer + row, exponent, mask=jj < h)
        tl.store(out_radius_pointer + row, radius.to(tl.float64), mask=jj < h)
        tl.store(out_t_pointer + lane, t)
        tl.store(out_count_pointer + lane * 3, status)
        tl.store(out_count_pointer + lane * 3 + 1, steps)
        tl.store(out_count_pointer + lane * 3 + 2, kinks)
        if WANTED > 0:
            # ln eps**2, which the logarithmic quantities lack, is added on the host.
            spot = lane.to(tl.int64) * (7 * WIDTH) + q8
            tl.store(out_measure_pointer + spot, sup_mid)
            tl.store(out_measure_pointer + spot + WIDTH, sup_low)
            tl.store(out_measure_pointer + spot + 2 * WIDTH, sup_high)
            tl.store(out_measure_pointer + spot + 3 * WIDTH, sup_time)
            tl.store(out_measure_pointer + spot + 4 * WIDTH, last_mid)
            tl.store(out_measure_pointer + spot + 5 * WIDTH, last_low)
            tl.store(out_measure_pointer + spot + 6 * WIDTH, last_high)
        lane = tl.atomic_add(queue_pointer, 1)
