"""The states of all lanes in compiled layout, and how they start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.compiled_bounds import UNIT
from numerics.compiled_types import (
    BALANCE,
    DEAD,
    END,
    EXPONENT,
    EXPONENT0,
    EXPONENT_START,
    LABEL,
    MANTISSA2,
    NEVER,
    OUTER,
    RADIUS,
    TIME,
    TOP,
    TOP_EXPONENT,
    WEIGHT,
    Array,
    Ints,
    Lane,
    padded,
)
from numerics.errors import NumericsError
from numerics.losses import loss
from numerics.problem import FlowProblem
from numerics.state import LIMIT, eps_squared

# Exponent of padding neurons: below every other, so that it is never the largest of a lane.
LOW = -(1 << 40)


@dataclass
class Lanes:
    """B lanes; ``arrays`` holds the fields of ``Lane`` with the lane as first axis.

    ``turned`` (B, h), in the units of the lane at t = 0, is ``FlowProblem.turned``; ``exact``: the start has no error
    beyond the rounding of v.
    """

    arrays: Lane
    h: int
    turned: Array
    exact: bool

    @classmethod
    def of(cls, problem: FlowProblem, until: Array) -> Lanes:
        """All lanes at t = 0, with empty activation patterns.

        Args:
            until: (B,) end times.
        """
        _require_finite_loss(problem)
        n, d, h = problem.shape
        B, H = problem.lanes, padded(h)
        scales = [eps_squared(float(x)) for x in problem.log_eps]
        num, cnt = np.zeros((B, 8)), np.zeros((B, 8), dtype=np.int64)
        num[:, END] = until
        num[:, MANTISSA2] = [m for m, _ in scales]
        cnt[:, EXPONENT0] = [e for _, e in scales]
        w, v = np.zeros((B, d, H)), np.zeros((B, H))
        w[:, :, :h], v[:, :h] = np.swapaxes(problem.W0, 1, 2), problem.v0
        radius = np.zeros((B, H))
        # A balanced start has v = |w| rounded; eps**2 is rounded once.
        radius[:, :h] = 2.0 * UNIT * np.abs(problem.v0)
        if problem.start_radius is not None:
            radius[:, :h] += problem.start_radius
        dead = np.ones((B, n, H), dtype=bool)
        zero = (problem.W0 == 0).all(axis=2) & (problem.v0 == 0)
        dead[:, :, :h] = zero[:, None] | ~(problem.X != 0).any(axis=1)[:, None]
        exponent = np.full((B, H), LOW, dtype=np.int64)
        exponent[:, :h] = 0
        # of the largest entry: squares of very large or small ones are not representable
        _, size = np.frexp(np.maximum(np.abs(w).max(axis=1), np.abs(v)))
        shift = np.where(np.abs(size) > LIMIT, size, 0).astype(np.int64)
        exponent += shift
        back = (-shift).astype(np.int32)
        w, v, radius = np.ldexp(w, back[:, None]), np.ldexp(v, back), np.ldexp(radius, back)
        fl, il = np.zeros((B, 4, H)), np.zeros((B, 4, H), dtype=np.int64)
        # Every neuron is a component of its own until the first pattern connects them.
        fl[:, OUTER], fl[:, RADIUS], fl[:, TOP] = v, radius, radius
        fl[:, BALANCE] = v * v - (w * w).sum(axis=1)
        for which in (EXPONENT, TOP_EXPONENT, EXPONENT_START):
            il[:, which] = exponent
        il[:, LABEL] = np.arange(H)
        bits, wg = np.zeros((B, 2, n, H), dtype=bool), np.zeros((B, 2, d, H))
        bits[:, DEAD], wg[:, WEIGHT] = dead, w
        order = np.where(dead, NEVER, 0).astype(np.int64)
        pz, pt = np.zeros((B, 2, n, H)), np.zeros((B, 3, n))
        lanes = Lane(num, cnt, wg, fl, il, pz, order, bits, pt)
        turned = np.ldexp(problem.turned, back[:, :h])
        return cls(lanes, h, turned, problem.start_radius is None)

    def lane(self, b: int) -> Lane:
        """One lane, sharing memory."""
        return Lane(*(a[b] for a in self.arrays))

    @property
    def t(self) -> Array:
        """(B,) times."""
        return np.array(self.arrays.num[:, TIME])

    def count(self, which: int) -> Ints:
        """(B,) one of the entries of cnt."""
        return np.array(self.arrays.cnt[:, which])

    def weights(self) -> tuple[Array, Array, Ints, Array]:
        """W (B, h, d), V (B, h), exponent (B, h), radius (B, h)."""
        a, h = self.arrays, self.h
        W = np.ascontiguousarray(np.swapaxes(a.wg[:, WEIGHT, :, :h], 1, 2))
        return (
            W,
            a.fl[:, OUTER, :h].copy(),
            a.il[:, EXPONENT, :h].copy(),
            a.fl[:, RADIUS, :h].copy(),
        )


def _require_finite_loss(problem: FlowProblem) -> None:
    """Refuse a start at which the loss overflows.

    Raises:
        NumericsError: the lane, and what to do.
    """
    with np.errstate(divide="ignore", over="ignore"):
        w, v = np.abs(problem.W0).max(axis=2), np.abs(problem.v0)
        log_size = 2.0 * problem.log_eps + (np.log(w) + np.log(v)).max(axis=1)
    _, d, h = problem.shape
    most = log_size + np.log(h * d * np.abs(problem.X).max(initial=1e-300))
    for b in np.flatnonzero(most > np.log(100.0)):
        with np.errstate(all="ignore"):
            scale = np.exp(problem.log_eps[b])
            z = np.maximum((problem.W0[b] * scale) @ problem.X.T, 0.0)
            values = loss(problem.loss).value((problem.v0[b] * scale) @ z, problem.y)
            finite = np.isfinite(problem.weight * values.sum())
        if not finite:
            raise NumericsError(
                f"the loss of lane {b} is not finite at the start; take a smaller log_eps than {problem.log_eps[b]:.6g}"
            )
