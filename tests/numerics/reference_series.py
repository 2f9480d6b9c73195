"""Taylor series of two-layer ReLU gradient flow in fixed point, for the reference of ``reference_flow``.

Numbers are Python integers a that stand for a / 2**bits, so that nothing rounds but a shift; losses start
from balls of python-flint. Inside an activation pattern s, with u = exp(-y f):

* exponential: g = y u; logistic: g = c y q with q (1 + u) = u; squared: g = 2 (y - f);
* f_i = scale sum_j 4**(k_j - K) s_ij <v_j w_j, x_i>, G_j = sum_i s_ij g_i x_i, w_j' = v_j G_j, v_j' = <w_j, G_j>.

Nothing of ``numerics`` is used but the plain types, and no step of the engine's is repeated: products are
convolutions of integers, the force is that of exact data.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, ctx

from numerics import FlowProblem

# Arrays of Python integers (dtype object).
Fixed = np.ndarray
FACTORS = {"exponential": 1, "logistic": 1, "logistic2": 2}


def fixed(values: Any, bits: int) -> Fixed:
    """Floats as fixed-point integers, exactly.

    Raises:
        ValueError: a value has digits below 2**-bits.
    """
    out = np.empty(np.shape(values), dtype=object)
    for index, value in np.ndenumerate(np.asarray(values, dtype=np.float64)):
        exact = Fraction(float(value)) * 2**bits
        if exact.denominator != 1:
            raise ValueError(f"{value!r} has digits below 2**-{bits}; give more bits")
        out[index] = exact.numerator
    return out


def nearest(ball: arb, bits: int) -> int:
    """The fixed-point integer next to the middle of a ball."""
    return int((ball.mid() * arb(2) ** bits + arb(0.5)).floor().unique_fmpz())


def real(value: int, bits: int) -> arb:
    """The number that a fixed-point integer stands for."""
    return arb((int(value), -bits))


def convolve(a: Fixed, b: Fixed, k: int) -> Fixed:
    """Coefficient k of a product, with twice the digits; the order is on the first axis."""
    return (a[k::-1] * b[: k + 1]).sum(axis=0)


@dataclass(frozen=True)
class Points:
    """The data set in fixed point.

    Args:
        X: (n, d). y: (n,). weight: fixed point. loss: name. bits: digits after the point.
        size: (n,) floats, the norms of the points.
    """

    X: Fixed
    y: Fixed
    weight: int
    loss: str
    bits: int
    size: np.ndarray

    @classmethod
    def of(cls, problem: FlowProblem, bits: int) -> Points:
        """The data of a problem, exactly."""
        return cls(
            X=fixed(problem.X, bits),
            y=fixed(problem.y, bits),
            weight=int(fixed(problem.weight, bits)),
            loss=problem.loss,
            bits=bits,
            size=np.linalg.norm(problem.X, axis=1),
        )


class _Force:
    """Taylor coefficients of g = -weight dl/df along f, one by one."""

    def __init__(self, points: Points) -> None:
        self._p, self._slopes = points, points.y >> points.bits  # +-1 unless squared
        self._u: list[Fixed] = []
        self._q: list[Fixed] = []

    def _exponential(self, f: list[Fixed], k: int) -> Fixed:
        """Coefficient k of u = exp(-y f): u' = -y f' u."""
        p = self._p
        if k:
            total = sum(m * f[m] * self._u[k - m] for m in range(1, k + 1))
            return (-self._slopes * total // k) >> p.bits
        with ctx.workprec(2 * p.bits + 64):
            start = [(-real(y * a, p.bits)).exp() for y, a in zip(self._slopes, f[0], strict=True)]
            return np.array([*(nearest(x, p.bits) for x in start), None], dtype=object)[:-1]

    def extend(self, f: list[Fixed], k: int) -> Fixed:
        """Coefficient k: (n,), from those of f up to k."""
        p = self._p
        if p.loss == "squared":
            raw = 2 * (p.y - f[0]) if k == 0 else -2 * f[k]
            return (p.weight * raw) >> p.bits
        self._u.append(self._exponential(f, k))
        raw = self._u[k]
        if p.loss != "exponential":
            known = sum((self._q[m] * self._u[k - m] for m in range(k)), start=0 * self._u[k])
            one = (1 << p.bits) + self._u[0]
            self._q.append(((self._u[k] << p.bits) - known) // one)
            raw = self._q[k]
        return (p.weight * FACTORS[p.loss] * self._slopes * raw) >> p.bits


@dataclass(frozen=True)
class Series:
    """Coefficients in s = (t - t0) 2**rate, p + 1 of them on the first axis.

    Args:
        w: (p+1, h, d). v: (p+1, h). rate: exponent of the unit of time. g: (n,) forces at the start.
    """

    w: Fixed
    v: Fixed
    rate: int
    g: Fixed


def expand(
    points: Points,
    w: Fixed,
    v: Fixed,
    mask: np.ndarray,
    scale: int,
    shift: np.ndarray,
    order: int,
    rate: int | None = None,
) -> Series:
    """The series from the state w: (h, d), v: (h,) with the activations mask: (h, n).

    Args:
        scale: fixed-point eps**2 4**K. shift: (h,) K - k_j >= 0.
        rate: the unit of time is 2**-rate; by default it is chosen near the inverse of the Jacobian's norm.
    """
    bits, (h, d) = points.bits, w.shape
    W = np.full((order + 1, h, d), 0, dtype=object)
    V = np.full((order + 1, h), 0, dtype=object)
    W[0], V[0] = w, v
    rows = np.flatnonzero(mask.any(axis=1))
    s = mask[rows].astype(int).astype(object)
    X, lower = points.X, 2 * shift[rows].astype(object)
    # |f| < 2**-bits counts as zero: then the forces are constant
    orders = 1 if scale == 0 else order
    a, b = np.full((order + 1, rows.size, d), 0, dtype=object), V[:, rows]
    a[0] = w[rows]
    G = np.full((orders, rows.size, d), 0, dtype=object)
    force, f = _Force(points), []
    g0 = points.y
    for k in range(order):
        if k < orders:  # otherwise the forces stay as they are
            outputs = convolve(b[..., None], a, k) >> (bits + lower[:, None])
            outputs = (X * (s.T @ outputs)).sum(axis=1) >> bits
            f.append((scale * outputs) >> bits)
            g = force.extend(f, k)
            G[k] = ((s * g) @ X) >> bits
        if k == 0:
            g0 = g
            rate = _rate(points, a[0], b[0], s, G[0], scale, lower) if rate is None else rate
        m = min(k + 1, orders)
        dw = (b[k - m + 1 : k + 1][::-1, :, None] * G[:m]).sum(axis=0)
        dv = (a[k - m + 1 : k + 1][::-1] * G[:m]).sum(axis=(0, 2))
        divisor = (k + 1) << (bits + max(rate, 0))
        a[k + 1] = (dw << max(-rate, 0)) // divisor
        b[k + 1] = (dv << max(-rate, 0)) // divisor
    W[:, rows], V[:, rows] = a, b
    return Series(w=W, v=V, rate=rate or 0, g=g0)


def _rate(
    points: Points, w: Fixed, v: Fixed, s: Fixed, G: Fixed, scale: int, lower: np.ndarray
) -> int:
    """Exponent of a power of two near the norm of the Jacobian."""
    one = 2.0**points.bits
    if not len(w):
        return 0
    force = np.sqrt((G.astype(float) ** 2).sum(axis=1)).max() / one
    size = ((w * w).sum(axis=1) + v * v) >> lower
    inside = (s * size[:, None]).sum(axis=0).astype(float) / one**2
    slope = 2.0 * points.weight / one + float(abs(G).sum()) / one if scale else 0.0
    total = force + min(float(scale) / one, 1e300) * slope * (inside * points.size**2).max()
    return int(np.frexp(total)[1]) if total > 0 else 0


def start(problem: FlowProblem, lane: int, bits: int) -> tuple[Fixed, Fixed, np.ndarray]:
    """Mantissas w: (h, d), v: (h,) and exponents (h,) of the start, divided by eps.

    A start that is balanced up to rounding is taken as balanced: v_j = +-|w_j| exactly.
    """
    W0, v0 = problem.W0[lane], problem.v0[lane]
    size = np.sqrt((W0**2).sum(axis=1) + v0**2)
    exponent = np.frexp(size)[1].astype(int)
    w = fixed(np.ldexp(W0, -exponent[:, None]), bits)
    v = fixed(np.ldexp(v0, -exponent), bits)
    squares = (w * w).sum(axis=1)
    for j in range(len(v)):
        with ctx.workprec(3 * bits):
            norm = nearest(arb((int(squares[j]), -2 * bits)).sqrt(), bits)
        if abs(abs(v[j]) - norm) << 46 <= norm:
            v[j] = norm if v[j] >= 0 else -norm
    return w, v, exponent
