"""A reference for two-layer ReLU gradient flow: fixed point of 128 bits and more, kinks by interval Newton.

``solve`` follows one lane of a ``FlowProblem``. Its error is that of its truncation (``Setting.tolerance``)
and of its digits, carried along like any other error; two settings tell how large it is. What is not a simple
transversal kink (several at once, a contact, a start on a kink) ends the trajectory as "unknown"; two patterns
that face each other end it as "sliding". Shares no code with the engine, and none of its decisions in float64
other than bounds with wide margins.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from flint import arb, arb_poly, ctx

from numerics import FlowProblem
from tests.numerics.reference_roots import Unresolved, enclose, first_below
from tests.numerics.reference_series import Fixed, Points, Series, expand, fixed, nearest, start

# Two roots closer than this, in units of the step, are not told apart.
APART = 2.0**-60
# A crossing slower than this, relative to the force on the neuron, is not told from a contact.
SLOW = 2.0**-50


@dataclass(frozen=True)
class Setting:
    """Digits after the point, degree, and the size of the last terms of a step."""

    bits: int = 128
    order: int = 24
    tolerance: float = 2.0**-92
    max_steps: int = 20_000


FINE = Setting(bits=176, order=32, tolerance=2.0**-124)


@dataclass(frozen=True)
class Flip:
    """A kink: its time (exact to the reference's digits), and the activation after it."""

    t: arb
    neuron: int
    point: int
    active: bool


@dataclass(frozen=True)
class Piece:
    """One step: from ``begin`` on, mantissas are polynomials in (t - begin) 2**rate.

    Args:
        begin: fixed point with 2 bits digits. series. exponent: (h,). mask: (h, n).
    """

    begin: int
    series: Series
    exponent: np.ndarray
    mask: np.ndarray


@dataclass
class Trajectory:
    """The outcome: ``status`` is "ok", "sliding", "unknown" or "budget", up to the time ``end``."""

    problem: FlowProblem
    lane: int
    setting: Setting
    pieces: list[Piece] = field(default_factory=list)
    flips: list[Flip] = field(default_factory=list)
    status: str = "ok"
    reason: str = ""
    end: float = 0.0

    def at(self, t: float) -> tuple[list[list[arb]], list[arb], np.ndarray]:
        """W (h, d) and V (h,) divided by eps, and the activations (h, n), at a time up to ``end``."""
        return self.at_fixed(int(fixed(t, 2 * self.setting.bits)))

    def at_fixed(self, now: int) -> tuple[list[list[arb]], list[arb], np.ndarray]:
        """The same at a time with 2 bits digits after the point."""
        bits = self.setting.bits
        index = bisect_right(self.pieces, now, key=lambda piece: piece.begin) - 1
        piece = self.pieces[max(index, 0)]
        s = _shift(now - piece.begin, piece.series.rate - bits)
        w, v = _value(piece.series.w, s, bits), _value(piece.series.v, s, bits)
        scales = [int(k) - bits for k in piece.exponent]
        W = [[arb((int(x), e)) for x in row] for row, e in zip(w, scales, strict=True)]
        return W, [arb((int(x), e)) for x, e in zip(v, scales, strict=True)], piece.mask


def _shift(value: int, by: int) -> int:
    return value << by if by >= 0 else value >> -by


def _value(series: Fixed, s: int, bits: int) -> Fixed:
    """The polynomials at s (fixed point)."""
    out = series[-1]
    for coefficient in series[-2::-1]:
        out = ((out * s) >> bits) + coefficient
    return out


def solve(
    problem: FlowProblem, until: float, *, lane: int = 0, setting: Setting | None = None
) -> Trajectory:
    """Follow one lane from 0 to ``until``."""
    return _Solver(problem, until, lane, setting or Setting()).run()


class _Solver:
    def __init__(self, problem: FlowProblem, until: float, lane: int, setting: Setting) -> None:
        self.p, self.setting = Points.of(problem, setting.bits), setting
        self.out = Trajectory(problem, lane, setting)
        self.until = until
        self.stop = int(fixed(until, 2 * setting.bits))
        self.now = 0
        self.w, self.v, self.exponent = start(problem, lane, setting.bits)
        with ctx.workprec(4 * setting.bits):
            self.eps2 = (2 * arb(float(problem.log_eps[lane]))).exp()
        X = self.p.X
        z = self.w @ X.T
        self.mask = z > 0
        self.just: tuple[int, int] | None = None
        self.rate: int | None = None
        if (abs(z) < ((abs(self.w) @ abs(X).T) >> 40)).any():
            self._end("unknown", "the start lies on a kink, or nearly so")

    def _end(self, status: str, reason: str) -> None:
        self.out.status, self.out.reason = status, reason

    def run(self) -> Trajectory:
        while self.out.status == "ok":
            if len(self.out.pieces) >= self.setting.max_steps:
                self._end("budget", "too many steps")
                break
            try:
                if self._step():
                    break
            except Unresolved as error:
                self._end("unknown", str(error))
        self.out.end = (
            self.until
            if self.out.status == "ok"
            else float(arb((self.now, -2 * self.setting.bits)))
        )
        return self.out

    def _normalise(self) -> None:
        bits = self.setting.bits
        for j in range(len(self.v)):
            size = max(abs(int(self.v[j])), *(abs(int(x)) for x in self.w[j])).bit_length()
            if size:
                by = bits - size
                self.v[j] = _shift(int(self.v[j]), by)
                self.w[j] = [_shift(int(x), by) for x in self.w[j]]
                self.exponent[j] -= by

    def _step(self) -> bool:
        """One step; True when it reached the end."""
        bits = self.setting.bits
        self._normalise()
        s = self._expand(self.setting.order, self.rate)
        self.out.pieces.append(Piece(self.now, s, self.exponent.copy(), self.mask.copy()))
        rest = _shift(self.stop - self.now, s.rate - bits)
        allowed = self._allowed(s)
        self.rate = s.rate - int(np.floor(np.log2(allowed)))
        length, hit = self._cut(s, min(int(allowed * 2.0**60) << (bits - 60), rest))
        self.w, self.v = _value(s.w, length, bits), _value(s.v, length, bits)
        self.now += _shift(length, bits - s.rate)
        self.just = None
        if hit is not None:
            self._flip(s, length, *hit)
        return hit is None and length == rest

    def _expand(self, order: int, rate: int | None) -> Series:
        """The series from the current state."""
        top = int(self.exponent.max())
        with ctx.workprec(4 * self.setting.bits):
            scale = nearest(self.eps2 * arb(4) ** top, self.setting.bits)
        return expand(self.p, self.w, self.v, self.mask, scale, top - self.exponent, order, rate)

    def _allowed(self, s: Series) -> float:
        """Length of a step in the series' unit: the last two terms are below the tolerance."""
        # a longer one would magnify the last digits of the coefficients
        step, one = 2.0, 2.0**self.setting.bits
        for k in (self.setting.order - 1, self.setting.order):
            last = max(np.abs(s.w[k]).max(), np.abs(s.v[k]).max()) / one
            if last > 0:
                step = min(step, float((self.setting.tolerance / last) ** (1.0 / k)))
        return step

    def _cut(self, s: Series, length: int) -> tuple[int, tuple[int, int] | None]:
        """The length of the step, and the pair (neuron, point) whose kink ends it."""
        for _ in range(3):
            try:
                hit = self._crossing(s, length)
                return (length, None) if hit is None else (hit[0], hit[1:])
            except Unresolved:
                length = length * 5 // 8  # the kink may lie at the very end
        hit = self._crossing(s, length)
        return (length, None) if hit is None else (hit[0], hit[1:])

    def _crossing(self, s: Series, length: int) -> tuple[int, int, int] | None:
        """(length, neuron, point) of the first kink within the step."""
        bits, X = self.setting.bits, self.p.X
        unit = 2.0**-bits
        step = length * unit
        coefficients = (s.w.astype(float) * unit) @ (X.T.astype(float) * unit)
        coefficients *= step ** np.arange(len(coefficients))[:, None, None]
        coefficients *= np.where(self.mask, 1.0, -1.0)
        found: list[tuple[float, float, int, int]] = []
        for j in np.flatnonzero(self.mask.any(axis=1)):
            for i in np.flatnonzero(self.p.size > 0):
                a = coefficients[:, j, i]
                if self.just == (j, i):
                    a = np.append(a[1:], 0.0)
                elif a[0] > 1.0001 * np.abs(a[1:]).sum() + 1e-12 * np.abs(a).sum():
                    continue
                place = first_below(a)
                if place is not None:
                    found.append((*place, int(j), int(i)))
        if not found:
            return None
        first = min(high for _, high, _, _ in found)
        exact: list[tuple[arb, int, int]] = []
        for low, high, j, i in found:
            if low <= first:
                z = (s.w[:, j] @ X[i]) * (1 if self.mask[j, i] else -1)
                if self.just == (j, i):
                    z = z[1:]
                with ctx.workprec(2 * bits):
                    polynomial = arb_poly([arb((int(c), -2 * bits)) for c in z])
                    exact.append((enclose(polynomial, low * step, high * step, bits), j, i))
        exact.sort(key=lambda e: float(e[0].mid()))
        for a_root, b_root in pairwise(exact):
            if not a_root[0] < b_root[0]:
                raise Unresolved("two kinks at once")
        if len(exact) > 1 and float((exact[1][0] - exact[0][0]).mid()) < APART:
            raise Unresolved("two kinks at once")
        root, j, i = exact[0]
        with ctx.workprec(2 * bits):
            return nearest(root, bits), j, i

    def _flip(self, s: Series, length: int, j: int, i: int) -> None:
        """Turn the activation of the pair whose kink ends the step."""
        bits, X = self.setting.bits, self.p.X
        slopes = s.w[1:] * np.arange(1, len(s.w))[:, None, None]
        motion = _value(slopes, length, bits)[j]  # v G in units of the step
        before = float((motion @ X[i]) >> bits)
        own = self._own_force(j, i, s.rate)
        after = before + own if not self.mask[j, i] else before - own
        stops = self.mask[j, i] and self.mask[j].sum() == 1
        speed = np.linalg.norm(motion.astype(float)) * self.p.size[i]
        self.out.flips.append(Flip(arb((self.now, -2 * bits)), j, i, not bool(self.mask[j, i])))
        if not stops:
            if min(abs(before), abs(after)) < SLOW * max(speed, abs(own)):
                raise Unresolved("a kink is crossed too slowly")
            if before * after < 0:
                self.out.flips.pop()
                self._end("sliding", f"neuron {j} at point {i}")
                return
        self.mask[j, i] = not self.mask[j, i]
        self.just = (j, i)

    def _own_force(self, j: int, i: int, rate: int) -> float:
        """v_j g_i |x_i|^2 in the units of ``_flip``."""
        bits, x = self.setting.bits, self.p.X[i]
        force = self.v[j] * self._expand(1, None).g[i] * ((x * x).sum() >> bits)
        return float(_shift(int(force) >> (2 * bits), -rate))
