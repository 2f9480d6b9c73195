"""Compiled: the frozen vector field, its losses, and the products over points and neurons behind it.

``compiled_fast`` allows sums to be re-associated and contracted (so that they run in vector registers); the
rounding allowances of ``numerics.compiled_bounds`` count operations and hold for every order of summation.
Infinities and NaN keep their meaning.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.compiled_types import (
    EXPONENTIAL,
    LOGISTIC,
    SQUARED,
    Points,
)
from numerics.compiling import compiled, compiled_fast, inlined


@compiled_fast
def outputs_of_neurons(X: Any, w: Any, z: Any) -> None:
    """z[i, j] = <x_i, w_j>."""
    n, d = X.shape
    H = w.shape[1]
    for i in range(n):
        for j in range(H):
            z[i, j] = X[i, 0] * w[0, j]
        c = 1
        while c + 3 < d:
            a0, a1, a2, a3 = X[i, c], X[i, c + 1], X[i, c + 2], X[i, c + 3]
            for j in range(H):
                z[i, j] += (a0 * w[c, j] + a1 * w[c + 1, j]) + (a2 * w[c + 2, j] + a3 * w[c + 3, j])
            c += 4
        while c < d:
            a0 = X[i, c]
            for j in range(H):
                z[i, j] += a0 * w[c, j]
            c += 1


@compiled_fast
def forces(X: Any, s: Any, g: Any, G: Any) -> None:
    """G[c, j] = sum_i s[i, j] g_i X[i, c]."""
    n, d = X.shape
    H = s.shape[1]
    for c in range(d):
        for j in range(H):
            G[c, j] = 0.0
        i = 0
        while i + 3 < n:
            a0, a1 = g[i] * X[i, c], g[i + 1] * X[i + 1, c]
            a2, a3 = g[i + 2] * X[i + 2, c], g[i + 3] * X[i + 3, c]
            for j in range(H):
                G[c, j] += (a0 * s[i, j] + a1 * s[i + 1, j]) + (a2 * s[i + 2, j] + a3 * s[i + 3, j])
            i += 4
        while i < n:
            a0 = g[i] * X[i, c]
            for j in range(H):
                G[c, j] += a0 * s[i, j]
            i += 1


@compiled_fast
def force_of_neuron(X: Any, s: Any, g: Any, G: Any, j: int) -> None:
    """The column j of ``forces``."""
    n, d = X.shape
    for c in range(d):
        total = 0.0
        for i in range(n):
            total += s[i, j] * (g[i] * X[i, c])
        G[c, j] = total


@compiled_fast
def pooled(X: Any, s: Any, u: Any, scale: float, work: Any, f: Any) -> None:
    """f_i = scale sum_j s[i, j] <x_i, u_j>, with work (H,)."""
    n, d = X.shape
    H = s.shape[1]
    for i in range(n):
        for j in range(H):
            work[j] = X[i, 0] * u[0, j]
        c = 1
        while c + 3 < d:
            a0, a1, a2, a3 = X[i, c], X[i, c + 1], X[i, c + 2], X[i, c + 3]
            for j in range(H):
                work[j] += (a0 * u[c, j] + a1 * u[c + 1, j]) + (a2 * u[c + 2, j] + a3 * u[c + 3, j])
            c += 4
        while c < d:
            a0 = X[i, c]
            for j in range(H):
                work[j] += a0 * u[c, j]
            c += 1
        total = 0.0
        for j in range(H):
            total += s[i, j] * work[j]
        f[i] = total * scale


@compiled_fast
def network_outputs(z: Any, s: Any, v: Any, weight2: Any, scale: float, f: Any, fabs: Any) -> None:
    """f_i = scale sum_j s_ij weight2_j v_j z_ij, and the sum of the absolute values of its terms."""
    n, H = z.shape
    for i in range(n):
        total, absolute = 0.0, 0.0
        for j in range(H):
            term = s[i, j] * (weight2[j] * v[j] * z[i, j])
            total += term
            absolute += abs(term)
        f[i] = total * scale
        fabs[i] = absolute * scale


@inlined
def sigmoid(a: float) -> float:
    """1/(1+e^{-a}) with full relative accuracy on both tails."""
    small = math.exp(-abs(a))
    return 1.0 / (1.0 + small) if a >= 0 else small / (1.0 + small)


@compiled
def force_of_output(p: Points, f: float, y: float) -> float:
    """g = -weight dl/df."""
    if p.loss == EXPONENTIAL:
        return p.weight * (y * math.exp(-y * f))
    if p.loss == LOGISTIC:
        return p.weight * (p.factor * y * sigmoid(-y * f))
    return p.weight * (2.0 * (y - f))


@compiled
def loss_value(p: Points, f: float, y: float) -> float:
    """weight l(y, f)."""
    if p.loss == EXPONENTIAL:
        return p.weight * math.exp(-y * f)
    if p.loss == LOGISTIC:
        a = -y * f
        return p.weight * p.factor * (max(a, 0.0) + math.log1p(math.exp(-abs(a))))
    return p.weight * (f - y) * (f - y)


@compiled
def slope_bound(p: Points, low: float, high: float, y: float) -> float:
    """The maximum of |dg/df| over low <= f <= high."""
    if p.loss == EXPONENTIAL:
        return p.weight * math.exp(-min(y * low, y * high))
    if p.loss == LOGISTIC:
        # c q (1-q) decreases with |f|, so the point nearest to zero decides.
        nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
        small = math.exp(-nearest)
        return p.weight * p.factor * small / ((1.0 + small) * (1.0 + small))
    return p.weight * 2.0


@compiled
def force_series(p: Points, k: int, F: Any, gk: Any, qk: Any, pk: Any, qp: Any) -> None:
    """Coefficient k of g(f(t)) from the coefficients F[0..k]; gk[k] is filled, without the weight.

    exponential: g' = -y f' g. logistic: g = c y q, q' = -y f' q (1-q). squared: g = 2 (y - f).
    """
    n = p.y.size
    for i in range(n):
        y = p.y[i]
        if p.loss == EXPONENTIAL:
            if k == 0:
                gk[0, i] = y * math.exp(-y * F[0, i])
            else:
                total = 0.0
                for m in range(1, k + 1):
                    total += m * F[m, i] * gk[k - m, i]
                gk[k, i] = (-y / k) * total
        elif p.loss == LOGISTIC:
            if k == 0:
                qk[0, i] = sigmoid(-y * F[0, i])
                pk[0, i] = sigmoid(y * F[0, i])
            else:
                total = 0.0
                for m in range(1, k + 1):
                    total += m * F[m, i] * qp[k - m, i]
                qk[k, i] = (-y / k) * total
                pk[k, i] = -qk[k, i]
            total = 0.0
            for m in range(k + 1):
                total += qk[m, i] * pk[k - m, i]
            qp[k, i] = total
            gk[k, i] = p.factor * y * qk[k, i]
        elif p.loss == SQUARED:
            gk[k, i] = 2.0 * (y - F[0, i]) if k == 0 else -2.0 * F[k, i]


@compiled
def field_at(
    p: Points,
    w: Any,
    v: Any,
    s: Any,
    weight2: Any,
    scale: float,
    z: Any,
    f: Any,
    fabs: Any,
    g: Any,
    G: Any,
) -> None:
    """z, f, the sum of absolute terms of f, g and G at a state."""
    outputs_of_neurons(p.X, w, z)
    network_outputs(z, s, v, weight2, scale, f, fabs)
    for i in range(f.size):
        g[i] = force_of_output(p, f[i], p.y[i])
    forces(p.X, s, g, G)


@compiled_fast
def square_norms(w: Any, v: Any, out: Any) -> None:
    """out_j = |w_j|^2 + v_j^2."""
    d, H = w.shape
    for j in range(H):
        out[j] = v[j] * v[j]
    for c in range(d):
        for j in range(H):
            out[j] += w[c, j] * w[c, j]


@compiled_fast
def lengths(w: Any, out: Any) -> None:
    """out_j = |w_j|."""
    d, H = w.shape
    for j in range(H):
        out[j] = 0.0
    for c in range(d):
        for j in range(H):
            out[j] += w[c, j] * w[c, j]
    for j in range(H):
        out[j] = math.sqrt(out[j])


@compiled
def clipped_ldexp(x: float, shift: int) -> float:
    """x 2**shift for shifts of any size."""
    return math.ldexp(x, int(np.int32(min(max(shift, -5000), 5000))))
