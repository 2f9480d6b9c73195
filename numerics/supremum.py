"""Suprema over time of a comparison, from dense samples, with an interval that contains them.

A comparison ``lhs <= rhs`` is scored by ``log(lhs/rhs)`` (with both sides negative: ``log(rhs/lhs)``), so that a score
below zero means that it holds, whatever the scale. Within one step of the integrator the sides are smooth (the
activation pattern is frozen), and what a sample misses between its nodes is bounded through second differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.extended import Float, ScaledArray

NOISE = 8.0  # a side within this many error bounds of 0 is indistinguishable from it
SAFETY = 4.0  # on second differences: 2 for a smooth peak, 4 for a cusp (a maximum in a denominator) between two nodes
STEEP = 0.5  # a sample whose ratio changes by more than this part of its maximum between two nodes is not resolved


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores at nodes, each (L, m): measured value and the ends of the interval that contains the true one."""

    mid: Float
    low: Float
    high: Float
    zero: NDArray[np.bool_] | None = (
        None  # both sides are indistinguishable from 0 and not exactly 0
    )

    def take(self, rows: np.ndarray) -> Scores:
        """The scores of some lanes."""
        return Scores(self.mid[rows], self.low[rows], self.high[rows])


def _flat(a: ScaledArray, shape: tuple[int, ...]) -> tuple[Float, Float, Float]:
    m = np.broadcast_to(a.m, shape)[:, :, 0, 0, 0]
    r = np.broadcast_to(a.r, shape)[:, :, 0, 0, 0]
    e = np.broadcast_to(a.e, shape)[:, :, 0, 0, 0]
    return m, r, np.multiply(e, np.log(2.0), dtype=np.float64)


def compare(
    lhs: ScaledArray, rhs: ScaledArray, shape: tuple[int, ...], *, strict: bool = False
) -> Scores:
    """Score ``lhs <= rhs`` at every node of every lane.

    Args:
        lhs, rhs: numbers with axes (lane, node, 1, 1, 1). shape: (L, m).
        strict: the relation is ``<``: two exact zeros then score 0, not -inf.
    """
    full = (*shape, 1, 1, 1)
    lm, lr, le = _flat(lhs, full)
    rm, rr, re = _flat(rhs, full)
    # exactly, not only within rounding; zeros are equal whatever their exponents
    equal = (lr == 0) & (rr == 0) & (lm == rm) & ((le == re) | (lm == 0))
    rounding = np.where(equal, 0.0, 2.0**-52 * (np.abs(le) + np.abs(re) + 4.0))
    zero = 0.0 if strict else -np.inf
    with np.errstate(over="ignore"):  # of a radius that says nothing: the side is noise
        noise = (np.abs(lm) <= NOISE * lr) & (np.abs(rm) <= NOISE * rr)
    return Scores(
        _score(lm, le, rm, re, zero),
        _score(lm - lr, le, rm + rr, re, zero) - rounding,
        _score(lm + lr, le, rm - rr, re, zero) + rounding,
        noise & ((lr > 0) | (rr > 0)),
    )


def _score(a: Float, ea: Float, b: Float, eb: Float, zero: float) -> Float:
    with np.errstate(divide="ignore", invalid="ignore"):
        la, lb = np.log(np.abs(a)) + ea, np.log(np.abs(b)) + eb
        out = np.where(
            b > 0,
            np.where(a > 0, la - lb, -np.inf),
            np.where(a < 0, np.where(b < 0, lb - la, -np.inf), np.inf),
        )
    # 0 <= 0 holds although no ratio says by how much
    return np.where(np.isnan(a) | np.isnan(b), np.nan, np.where((a == 0) & (b == 0), zero, out))


def compare_equal(
    lhs: ScaledArray, rhs: ScaledArray, shape: tuple[int, ...], resolution: float
) -> Scores:
    """Score ``lhs == rhs`` at every node of every lane.

    The score is log(|lhs - rhs| / (resolution * scale)), scale being the larger side. The difference is compared with
    its error bound first: beyond it the equality fails (``low`` and ``high`` above 0, whatever the resolution); within
    it the equality is confirmed when the bound itself is below the resolution (``high`` below 0), and undecided
    otherwise.
    """
    full = (*shape, 1, 1, 1)
    gap, error, ge = _flat(lhs - rhs, full)
    (lm, lr, le), (rm, rr, re) = _flat(lhs, full), _flat(rhs, full)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.maximum(np.log(np.abs(lm)) + le, np.log(np.abs(rm)) + re) + np.log(resolution)
        sure = np.maximum(
            np.log(np.maximum(np.abs(lm) - lr, 0.0)) + le,
            np.log(np.maximum(np.abs(rm) - rr, 0.0)) + re,
        ) + np.log(resolution)
        size, bound = np.log(np.abs(gap)) + ge, np.log(error) + ge
        mid = np.where(gap == 0, -np.inf, size - scale)
        fails = np.abs(gap) > error
        low = np.where(fails, np.maximum(size - bound, 2.0**-40), -np.inf)
        most = np.maximum(np.log(np.abs(gap) + error) + ge - sure, 2.0**-40)
        high = np.where(fails, most, np.where(error == 0, -np.inf, bound - scale))
    return Scores(mid, low, high)


def limit_at_zeros(scores: Scores) -> Scores:
    """Replace the score at an end of the step at which both sides vanish by its limit from inside.

    An output dies at a kink: both sides of ``lhs <= C |f|`` reach 0 there, their ratio has a limit, and an error
    bound of any size straddles. The ratio is analytic inside the step; its value at the end is extrapolated from the
    three nodes next to it, with SAFETY times their second difference as its error. Elsewhere, or with fewer nodes,
    nothing is replaced.
    """
    if scores.zero is None or not scores.zero.any() or scores.mid.shape[1] < 6:
        return scores
    mid, low, high = scores.mid.copy(), scores.low.copy(), scores.high.copy()
    for end, inside in ((0, (1, 2, 3)), (-1, (-2, -3, -4))):
        lost = scores.zero[:, end] & ~scores.zero[:, inside].any(axis=1)
        a, b, c = (np.exp(scores.mid[lost, i]) for i in inside)
        measured = sum(np.exp(scores.high[lost, i]) - np.exp(scores.low[lost, i]) for i in inside)
        value, error = np.maximum(2 * a - b, 0.0), SAFETY * np.abs(a - 2 * b + c) + 2 * measured
        with np.errstate(divide="ignore"):
            for out, q in ((mid, value), (low, value - error), (high, value + error)):
                out[lost, end] = np.log(np.maximum(q, 0.0))
    return Scores(mid, low, high)


def step_supremum(scores: Scores) -> tuple[Scores, np.ndarray, Float]:
    """The supremum over one step per lane, from scores at equidistant nodes that include both ends.

    Returns:
        Scores of shape (L,), the node (L,) at which the measured score is largest, and what the nodes may miss (L,),
        which is part of ``high``.
    """
    where = np.argmax(scores.mid, axis=1)
    lanes = np.arange(scores.mid.shape[0])
    mid = scores.mid[lanes, where]
    low = scores.low.max(axis=1)
    missed = _between_nodes(scores)
    return Scores(mid, low, scores.high.max(axis=1) + missed), where, missed


def _between_nodes(scores: Scores) -> Float:
    """log(1 + what an equidistant sample can miss), relative to its maximum; shape (L,).

    Infinite where neighbouring nodes differ too much for second differences to mean anything: a narrow peak then looks
    like a steep end, and only more nodes can tell. Differences within the error bounds do not count.
    """
    mid = scores.mid
    if mid.shape[1] < 3:
        return np.zeros(mid.shape[0])
    top = mid.max(axis=1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(over="ignore"):
        q, below, above = (
            np.exp(np.minimum(s - top, 600.0)) for s in (mid, scores.low, scores.high)
        )
    bend = np.abs(q[:, :-2] - 2.0 * q[:, 1:-1] + q[:, 2:])
    left = np.concatenate([bend[:, :1], bend], axis=1)
    right = np.concatenate([bend, bend[:, -1:]], axis=1)
    S = SAFETY * np.maximum(left, right)
    slope = np.abs(np.diff(q, axis=1))
    # a parabola with second difference S exceeds the higher end of its interval by (S/8) (1 - 2 slope/S)^2
    inside = np.maximum(1.0 - 2.0 * slope / np.where(S > 0, S, 1.0), 0.0)
    excess = np.maximum(q[:, :-1], q[:, 1:]) + np.where(S > 0, S / 8.0 * inside**2, 0.0) - 1.0
    missed = np.log1p(np.maximum(excess.max(axis=1), 0.0))
    with np.errstate(invalid="ignore"):  # infinite ends: everything is noise
        noise = np.fmin(above - below, 2.0)
    certain = slope - noise[:, :-1] - noise[:, 1:]
    return np.where(certain.max(axis=1) > STEEP, np.inf, missed)
