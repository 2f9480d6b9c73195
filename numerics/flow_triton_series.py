"""Device functions of the CUDA engine: losses, powers of two, and the Taylor series of a lane.

One program holds one trajectory. Shapes are padded to powers of two of at least 16 (what a matrix
unit takes): w: (H, D), v: (H,), z: (H, N), data x: (N, D) and its transpose xt: (D, N). Padding is
zero, so that padded neurons never move and padded points never act. The series is a tuple of
tensors that is unrolled at compile time; the recurrence is that of gradient flow with the pattern
frozen: z = W x, f = sum_j v_j s_j z_j, g = -weight l'(f), G = sum_i s_i g_i x_i, w' = v G,
v' = <G, w>, each product a convolution of coefficients.

Losses are numbered as in ``LOSSES``. Importing this module imports triton.
"""

# Inside device functions tuples grow by +; a starred one does not compile.
# ruff: noqa: RUF005
# mypy: disable-error-code="assignment"
from __future__ import annotations

import math

import triton
import triton.language as tl

# The number of a logistic loss is its factor.
LOSSES = ("exponential", "logistic", "logistic2", "squared")


@triton.constexpr_function
def rounding(double: bool) -> float:
    """Half a unit in the last place."""
    return 2.0**-53 if double else 2.0**-24


@triton.constexpr_function
def inverse_binomial(order: int, k: int) -> float:
    """1 / C(order, k)."""
    return 1.0 / math.comb(order, k)


@triton.jit
def power_of_two(k: tl.tensor, DOUBLE: tl.constexpr) -> tl.tensor:
    """2**k for integers k, from the bits: 0 below and inf above the normal numbers."""
    if DOUBLE:
        bits = (tl.minimum(tl.maximum(k, -1023), 1024) + 1023).to(tl.int64) << 52
        return bits.to(tl.float64, bitcast=True)
    else:
        bits = (tl.minimum(tl.maximum(k, -127), 128) + 127).to(tl.int32) << 23
        return bits.to(tl.float32, bitcast=True)


@triton.jit
def exponent_of(a: tl.tensor, DOUBLE: tl.constexpr) -> tl.tensor:
    """floor(log2 |a|) as int32; -1023 (-127 in float32) for 0 and subnormal numbers."""
    if DOUBLE:
        bits = a.to(tl.int64, bitcast=True) >> 52
        return (bits & 0x7FF).to(tl.int32) - 1023
    else:
        bits = a.to(tl.int32, bitcast=True) >> 23
        return (bits & 0xFF) - 127


@triton.jit
def dot(a: tl.tensor, b: tl.tensor, DOUBLE: tl.constexpr) -> tl.tensor:
    """Matrix product in the full precision of its operands (never tf32)."""
    if DOUBLE:
        return tl.dot(a, b, out_dtype=tl.float64)
    else:
        return tl.dot(a, b, input_precision="ieee")


@triton.jit
def force(f: tl.tensor, y: tl.tensor, weight: tl.tensor, LOSS: tl.constexpr) -> tl.tensor:
    """g = -weight dl/df."""
    if LOSS == 0:
        return weight * y * tl.exp(-y * f)
    elif LOSS == 3:
        return weight * 2.0 * (y - f)
    else:
        small = tl.exp(-tl.abs(f))
        q = tl.where(y * f <= 0.0, 1.0, small) / (1.0 + small)
        return (1.0 * LOSS) * weight * y * q


@triton.jit
def slope_bound(
    lo: tl.tensor, hi: tl.tensor, y: tl.tensor, weight: tl.tensor, LOSS: tl.constexpr
) -> tl.tensor:
    """The maximum of |dg/df| over lo <= f <= hi."""
    if LOSS == 0:
        return weight * tl.exp(-tl.minimum(y * lo, y * hi))
    elif LOSS == 3:
        return weight * 2.0 + 0.0 * y
    else:
        nearest = tl.where((lo <= 0.0) & (hi >= 0.0), 0.0, tl.minimum(tl.abs(lo), tl.abs(hi)))
        small = tl.exp(-nearest)
        return (1.0 * LOSS) * weight * small / ((1.0 + small) * (1.0 + small))


@triton.jit
def loss_value(f: tl.tensor, y: tl.tensor, LOSS: tl.constexpr) -> tl.tensor:
    """l(y, f) in float64 per point."""
    if LOSS == 0:
        return tl.exp(-y * f)
    elif LOSS == 3:
        return (f - y) * (f - y)
    else:
        small = tl.exp(-tl.abs(f))
        # log1p from log: the quotient undoes the rounding of 1 + small.
        one = 1.0 + small
        tail = tl.log(one) * small / tl.where(one == 1.0, 1.0, one - 1.0)
        return (1.0 * LOSS) * (tl.maximum(-y * f, 0.0) + tl.where(one == 1.0, small, tail))


@triton.jit
def field(
    w: tl.tensor,
    v: tl.tensor,
    s: tl.tensor,
    weight2: tl.tensor,
    scale: tl.tensor,
    x: tl.tensor,
    xt: tl.tensor,
    y: tl.tensor,
    weight: tl.tensor,
    LOSS: tl.constexpr,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """z (H, N), f, sum_j |v_j s_ij z_ij| and g (N,), G (H, D) of the frozen field."""
    z = dot(w, xt, DOUBLE)
    terms = (v * weight2)[:, None] * (s * z)
    f = scale * tl.sum(terms, axis=0)
    fabs = scale * tl.sum(tl.abs(terms), axis=0)
    g = force(f, y, weight, LOSS)
    return z, f, fabs, g, dot(s * g[None, :], x, DOUBLE)


@triton.jit
def time_unit(
    w: tl.tensor,
    v: tl.tensor,
    s: tl.tensor,
    weight2: tl.tensor,
    scale: tl.tensor,
    norms: tl.tensor,
    slope: tl.tensor,
    G: tl.tensor,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """A power of two near 1/(norm of the Jacobian), so that coefficients stay moderate."""
    size = weight2 * (tl.sum(w * w, axis=1) + v * v)
    outputs = scale * slope * norms * norms * tl.sum(size[:, None] * s, axis=0)
    rate = tl.sqrt(tl.max(tl.sum(G * G, axis=1))) + tl.max(outputs)
    usable = (rate > 0.0) & (rate < float("inf"))
    exponent = exponent_of(tl.where(usable, rate, 0.5), DOUBLE) + 1
    limit = 1000 if DOUBLE else 120
    return power_of_two(-tl.minimum(tl.maximum(exponent, -limit), limit), DOUBLE)


@triton.jit
def _convolve(a: tl.tensor, b: tl.tensor, K: tl.constexpr, START: tl.constexpr) -> tl.tensor:
    """sum_{m=START..K} a_m b_{K-m}."""
    out = a[START] * b[K - START]
    for m in tl.static_range(START + 1, K + 1):
        out += a[m] * b[K - m]
    return out


@triton.jit
def expand(
    w: tl.tensor,
    v: tl.tensor,
    s: tl.tensor,
    weight2: tl.tensor,
    scale: tl.tensor,
    x: tl.tensor,
    xt: tl.tensor,
    norms: tl.tensor,
    y: tl.tensor,
    weight: tl.tensor,
    P: tl.constexpr,
    LOSS: tl.constexpr,
    DOUBLE: tl.constexpr,
) -> tl.tensor:
    """Taylor coefficients in t/unit: unit, (w_k), (v_k), (z_k) for k <= P, and f, fabs, g, G at 0.

    The auxiliary series: for the exponential g' = -y f' g; for the logistic losses g = c y q,
    q' = -y f' q (1 - q); for the squared loss g is affine in f. ``mf`` holds k f_k.
    """
    z, f, fabs, g, G = field(w, v, s, weight2, scale, x, xt, y, weight, LOSS, DOUBLE)
    slope = slope_bound(f, f, y, weight, LOSS)
    unit = time_unit(w, v, s, weight2, scale, norms, slope, G, DOUBLE)
    ws = (w,)
    vs = (v,)
    us = (v * weight2,)
    zs = (z,)
    Gs = (G,)
    gs = (g,)
    mf = (f * 0.0,)
    factor = weight * y
    if LOSS == 2:
        factor = 2.0 * factor
    small = tl.exp(-tl.abs(f))
    # q and 1 - q, each without cancellation; idle for the other losses.
    q0 = tl.where(y * f <= 0.0, 1.0, small) / (1.0 + small)
    r0 = tl.where(y * f <= 0.0, small, 1.0) / (1.0 + small)
    qs = (q0,)
    rs = (r0,)
    qr = (q0 * r0,)
    for k in tl.static_range(1, P + 1):
        step = unit * (1.0 / k)
        wk = vs[0][:, None] * Gs[k - 1]
        vk = ws[0] * Gs[k - 1]
        for m in tl.static_range(1, k):
            wk += vs[m][:, None] * Gs[k - 1 - m]
            vk += ws[m] * Gs[k - 1 - m]
        ws = ws + (step * wk,)
        vs = vs + (step * tl.sum(vk, axis=1),)
        us = us + (vs[k] * weight2,)
        zs = zs + (dot(ws[k], xt, DOUBLE),)
        if k < P:
            terms = us[0][:, None] * zs[k]
            for m in tl.static_range(1, k + 1):
                terms += us[m][:, None] * zs[k - m]
            fk = scale * tl.sum(terms * s, axis=0)
            mf = mf + (fk * k,)
            if LOSS == 0:
                gs = gs + (_convolve(mf, gs, k, 1) * (-y * (1.0 / k)),)
            elif LOSS == 3:
                gs = gs + (-2.0 * weight * fk,)
            else:
                qs = qs + (_convolve(mf, qr, k, 1) * (-y * (1.0 / k)),)
                rs = rs + (-qs[k],)
                qr = qr + (_convolve(qs, rs, k, 0),)
                gs = gs + (factor * qs[k],)
            Gs = Gs + (dot(s * gs[k][None, :], x, DOUBLE),)
    return unit, ws, vs, zs, f, fabs, g, G


@triton.jit
def horner(a: tl.tensor, t: tl.tensor, P: tl.constexpr) -> tl.tensor:
    """Value at t of the polynomial with the coefficients a_0, ..., a_P."""
    out = a[P]
    for k in tl.static_range(1, P + 1):
        out = out * t + a[P - k]
    return out


@triton.jit
def horner_slope(a: tl.tensor, t: tl.tensor, P: tl.constexpr) -> tl.tensor:
    """Derivative at t of the same polynomial."""
    out = a[P] * (1.0 * P)
    for k in tl.static_range(1, P):
        out = out * t + a[P - k] * (1.0 * (P - k))
    return out
