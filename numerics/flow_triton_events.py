"""Device functions of the CUDA engine: the first flip on a step, near misses, the next pattern.

The Bernstein coefficients of every <w_j, x_i> on the step say without sampling that it has no root,
or exactly one (Descartes' rule); a step on which some pair could have more is halved. The root is
polished by safeguarded Newton, all pairs at once. The pattern after a kink follows by consistency:
the bit must agree with the direction in which the flow with that bit moves <w_j, x_i>.

``order`` is 0 off the kink, 1 where <w, x> = 0 at the start of the step and leaves at once, and
``NEVER`` where it is zero for ever.
"""

# Inside device functions tuples grow by +; a starred one does not compile.
# ruff: noqa: RUF005
# mypy: disable-error-code="assignment"
from __future__ import annotations

import triton
import triton.language as tl

from numerics.flow_triton_series import (
    horner,
    horner_slope,
    inverse_binomial,
    rounding,
)

NEVER = tl.constexpr(2)
MAX_HALVINGS = tl.constexpr(48)
MAX_NEWTON = tl.constexpr(90)
SAMPLES = tl.constexpr(33)
# Codes of ``decide`` beside the indices of FlowStatus: 0 goes on, and
SLIDING = tl.constexpr(1)
NONUNIQUE = tl.constexpr(2)
GRAZING = tl.constexpr(3)
# a meeting of kinks that only a search over patterns decides.
HARD = tl.constexpr(6)


@triton.jit
def near_level(theta: tl.tensor, norms: tl.tensor, d: tl.tensor, DOUBLE: tl.constexpr) -> tl.tensor:
    """(H, N) level below which <w_j, x_i> is not distinguished from zero."""
    count = (16.0 + 2.0 * d) * rounding(DOUBLE)
    return (count * theta)[:, None] * norms[None, :]


@triton.jit
def _signed(zs: tl.tensor, s: tl.tensor, length: tl.tensor, P: tl.constexpr) -> tl.tensor:
    """Coefficients on [0, 1], positive on the pair's own side of the kink."""
    sign = 2.0 * s - 1.0
    out = (sign * zs[0],)
    power = length
    for k in tl.static_range(1, P + 1):
        out = out + ((sign * power) * zs[k],)
        power = power * length
    return out


@triton.jit
def _bernstein(a: tl.tensor, P: tl.constexpr) -> tl.tensor:
    """b_k = sum_i C(k, i) a_i / C(P, i), by P rounds of additions."""
    b = (a[0],)
    for k in tl.static_range(1, P + 1):
        b = b + (a[k] * inverse_binomial(P, k),)
    for k in tl.static_range(1, P + 1):
        following = (b[0],)
        for i in tl.static_range(1, P + 1):
            following = following + ((b[i] + b[i - 1]) if i >= k else b[i],)
        b = following
    return b


@triton.jit
def _root(a: tl.tensor, need: tl.tensor, P: tl.constexpr, DOUBLE: tl.constexpr) -> tl.tensor:
    """The root in (0, 1] where ``need``: there a(0) > 0 and the sign changes once; else 2."""
    close = 2.0 * rounding(DOUBLE)
    value1 = horner(a, 1.0, P)
    drop = a[0] - value1
    secant = a[0] / tl.where(drop > 0.0, drop, 1.0)
    t = tl.where((secant > 0.0) & (secant < 1.0) & (drop > 0.0), secant, 0.5)
    lo = t * 0.0
    hi = lo + 1.0
    done = ~need
    iteration = 0
    while (iteration < MAX_NEWTON) & (tl.min(done.to(tl.int32)) == 0):
        value = horner(a, t, P)
        slope = horner_slope(a, t, P)
        lo = tl.where(~done & (value > 0.0), t, lo)
        hi = tl.where(~done & ~(value > 0.0), t, hi)
        newton = t - value / tl.where(slope == 0.0, 1.0, slope)
        # A bracket that Newton does not close soon is closed by bisection.
        inside = (newton > lo) & (newton < hi) & (slope != 0.0) & (iteration < 20)
        settled = (slope != 0.0) & (tl.abs(newton - t) <= close * tl.abs(t))
        settled = settled | (hi - lo <= close * hi) | (value == 0.0)
        following = tl.where(inside, newton, lo + 0.5 * (hi - lo))
        t = tl.where(done | settled, t, following)
        done = done | settled
        iteration += 1
    return tl.where(need, t, 2.0)


@triton.jit
def locate(
    zs: tl.tensor,
    s: tl.tensor,
    order: tl.tensor,
    index: tl.tensor,
    length: tl.tensor,
    P: tl.constexpr,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """The first flip on [0, length]: (length of the step, flat pair or -1, 1 where unresolved).

    Args:
        zs: P + 1 coefficients (H, N). s: the pattern as numbers. index: (H, N) flat indices.
    """
    never = 1 << 30
    pair = -1
    stuck = 0
    halvings = 0
    searching = length > 0.0
    while searching:
        c = _signed(zs, s, length, P)
        # A pair that starts on the kink has z(0) = 0 up to rounding: that zero is divided out.
        a = (tl.where(order == 1, c[1], c[0]),)
        for k in tl.static_range(1, P):
            a = a + (tl.where(order == 1, c[k + 1], c[k]),)
        a = a + (tl.where(order == 1, 0.0, c[P]),)
        b = _bernstein(a, P)
        lowest = b[0]
        count = (b[0] * 0.0).to(tl.int32)
        last = tl.where(b[0] > 0.0, 1, tl.where(b[0] < 0.0, -1, 0))
        first = last
        for k in tl.static_range(1, P + 1):
            lowest = tl.minimum(lowest, b[k])
            sign = tl.where(b[k] > 0.0, 1, tl.where(b[k] < 0.0, -1, 0))
            count += (sign * last < 0).to(tl.int32)
            last = tl.where(sign != 0, sign, last)
            first = tl.where(first == 0, sign, first)
        reaching = (lowest < 0.0) & (order != NEVER)
        single = (count == 1) & (first > 0)
        stuck = tl.max((reaching & ~single).to(tl.int32))
        if stuck > 0:
            length = length * 0.5
            halvings += 1
        else:
            roots = _root(a, reaching, P, DOUBLE)
            root = tl.min(roots)
            if root <= 1.0:
                pair = tl.min(tl.where(roots == root, index, never))
                length = length * root
        searching = (stuck > 0) & (halvings < MAX_HALVINGS)
    return length, pair, stuck


@triton.jit
def touches(
    zs: tl.tensor,
    s: tl.tensor,
    order: tl.tensor,
    fresh: tl.tensor,
    length: tl.tensor,
    level: tl.tensor,
    P: tl.constexpr,
) -> tl.tensor:
    """1 where some |z_ij| has, within its error, a minimum that is not a sure crossing.

    Where |z| <= level the trajectory must be on its way: away from a kink that it has just crossed
    (``fresh``) at the start of the step, or towards the next one at its end. Pairs whose Bernstein
    coefficients are monotone are judged by them, the others on samples.
    """
    c = _signed(zs, s, length, P)
    a = (tl.where(order == 1, 0.0, c[0]),)
    for k in tl.static_range(1, P + 1):
        a = a + (c[k],)
    b = _bernstein(a, P)
    lowest = b[0]
    falls = order != NEVER
    rises = order != NEVER
    for k in tl.static_range(1, P + 1):
        lowest = tl.minimum(lowest, b[k])
        falls = falls & (b[k] < b[k - 1])
        rises = rises & (b[k] > b[k - 1])
    open_pairs = ~(lowest > level) & (order != NEVER)
    open_pairs = open_pairs & ~((falls & ~fresh) | (rises & fresh))
    found = tl.max(open_pairs.to(tl.int32))
    if found > 0:
        leaving = fresh & open_pairs
        low_always = open_pairs
        left_always = open_pairs
        waiting = open_pairs & ~open_pairs
        bad = waiting
        for m in range(SAMPLES):
            t = m * (1.0 / (SAMPLES - 1)) + 0.0 * length
            low = ~(horner(a, t, P) > level)
            slope = horner_slope(a, t, P)
            # A fresh pair starts on the kink, where only its leading term counts.
            leaving = leaving & low & ((slope > 0.0) | (m == 0))
            falling = low & (slope < 0.0)
            here = low & ~leaving
            bad = bad | (waiting & ~falling) | (here & ~falling)
            waiting = waiting | here
            low_always = low_always & low
            left_always = left_always & leaving
        # A pair that turns back before it was clear of the kink may not have crossed at all.
        bad = bad | (fresh & low_always & ~left_always)
        found = tl.max((bad & open_pairs).to(tl.int32))
    return found


@triton.jit
def decide(
    z: tl.tensor,
    v: tl.tensor,
    theta: tl.tensor,
    g: tl.tensor,
    drift: tl.tensor,
    mask: tl.tensor,
    forced: tl.tensor,
    dead: tl.tensor,
    norms: tl.tensor,
    n: tl.tensor,
    d: tl.tensor,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """Bits and orders after a state: (mask, order, speeds before and after, code).

    A pair is *near* when z is at rounding level or an event ended there. Its speed with its own bit
    off or on, whatever the bits of the neuron's other near pairs (``slack``), decides: one sign on
    both sides is a crossing; otherwise nothing or too much is consistent.

    Args:
        z, mask, forced, dead: (H, N). v, theta: (H,), theta = |(w_j, v_j)|. g, norms: (N,).
        drift: (H, N) <G_j, x_i> with the old bits.
    """
    near = (forced | (tl.abs(z) <= near_level(theta, norms, d, DOUBLE))) & ~dead
    order = tl.where(dead, NEVER, 0)
    wrong = (mask != (z > 0.0)) & ~near & ~dead
    code = tl.max(wrong.to(tl.int32)) * GRAZING
    after = v[:, None] * drift
    new = mask
    if tl.max(near.to(tl.int32)) > 0:
        count = (16.0 + n + d) * rounding(DOUBLE)
        bits = mask.to(z.dtype)
        own = (tl.abs(g) * norms)[None, :] + 0.0 * z  # |g_i| |x_i|
        total = tl.sum(bits * own, axis=1)
        size = tl.abs(v)[:, None] * norms[None, :]
        noise = count * size * (total[:, None] + own)
        meeting = tl.sum(tl.where(near, own, 0.0), axis=1)
        crowd = tl.sum(near.to(tl.int32), axis=1)
        slack = tl.where(crowd[:, None] > 1, size * meeting[:, None], 0.0)
        others = tl.sum(mask.to(tl.int32), axis=1)[:, None] - mask.to(tl.int32)
        push = v[:, None] * (g * norms * norms)[None, :]
        off = tl.where(others == 0, 0.0, after - bits * push)
        on = off + push
        margin = noise + slack
        clear = near & (tl.abs(off) > margin) & (tl.abs(on) > margin)
        # Without any other active point a neuron does not move when this one is off.
        rests = near & (others == 0) & (crowd[:, None] == 1) & (tl.abs(on) > noise)
        decided = (clear & ((on > 0.0) == (off > 0.0))) | (rests & (on < 0.0))
        order = tl.where(clear, 1, tl.where(rests, NEVER, order))
        new = tl.where(decided, on > 0.0, mask)
        after = tl.where(decided, tl.where(new, on, off), after)
        lost = (clear | rests) & ~decided
        slides = tl.max((lost & (off > 0.0)).to(tl.int32))
        parts = tl.max((lost & ~(off > 0.0)).to(tl.int32))
        hard = tl.max((near & ~(clear | rests)).to(tl.int32))
        if code == 0:
            code = hard * HARD
        if code == 0:
            code = tl.where(slides > 0, SLIDING, parts * NONUNIQUE)
    return new, order, v[:, None] * drift, after, code
