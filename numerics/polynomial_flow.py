"""Trajectories of polynomial ODEs theta' = F(theta) by Taylor series, with an error bound.

The steps and the mathematics of the bound are in ``numerics.polynomial_steps``, the arithmetic of
polynomials in ``numerics.polynomial_program``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from numerics.errors import NumericsError
from numerics.polynomial_program import SLACK, Array, Ints, PolynomialField
from numerics.polynomial_steps import PolynomialStep, finish, take_step
from numerics.state import two_sum

__all__ = [
    "PolynomialField",
    "PolynomialOptions",
    "PolynomialStatus",
    "PolynomialStep",
    "PolynomialTrajectory",
    "integrate_polynomial",
]

# A step this much shorter than the elapsed time, with no way to continue, is a blow-up.
BLOW_UP = 1e-5


class PolynomialStatus(StrEnum):
    """How the integration of a lane ended."""

    ok = "ok"
    diverged = "diverged"
    lost = "lost"
    budget = "budget"


_ADVICE = {
    PolynomialStatus.ok: "",
    PolynomialStatus.diverged: "the solution leaves every bounded set in finite time, or float64; "
    "integrate up to an earlier time",
    PolynomialStatus.lost: "the error bound has outgrown the state; integrate up to an earlier time",
    PolynomialStatus.budget: "the step budget is spent; raise PolynomialOptions.max_steps or stop earlier",
}


@dataclass(frozen=True, kw_only=True)
class PolynomialOptions:
    """Options of ``integrate_polynomial``.

    Args:
        order: degree K of the Taylor polynomials, >= 2.
        tolerance: truncation error per step, relative to the norm of the state.
        max_steps: budget of steps of a lane.
    """

    order: int = 20
    tolerance: float = 2.0**-54
    max_steps: int = 5000

    def __post_init__(self) -> None:
        if not 2 <= self.order <= 60:
            raise NumericsError("order must be between 2 and 60; 20 suits float64")
        if not 0.0 < self.tolerance < 1.0:
            raise NumericsError("tolerance must be between 0 and 1; it is relative to the state")
        if self.max_steps < 1:
            raise NumericsError("max_steps must be at least 1")


@dataclass(frozen=True)
class PolynomialTrajectory:
    """Trajectories of a field from B starts.

    Args:
        theta0: (B, N). steps: per lane. times: per lane the ends of the steps, the last one cut to
            the time that was asked for. status, reason: per lane; the reason is "" where it is ok.
    """

    field: PolynomialField
    theta0: Array
    steps: tuple[tuple[PolynomialStep, ...], ...]
    times: tuple[Array, ...]
    status: tuple[PolynomialStatus, ...]
    reason: tuple[str, ...]

    @property
    def lanes(self) -> int:
        """B."""
        return len(self.steps)

    def end(self, lane: int) -> float:
        """The time that the lane has reached."""
        times = self.times[lane]
        return float(times[-1]) if times.size else 0.0

    def states(self, lane: int, times: Array) -> Array:
        """The computed states at times (M,): (M, N).

        Raises:
            NumericsError: a time is outside of what was integrated.
        """
        out = np.repeat(self.theta0[lane : lane + 1], times.size, axis=0)
        for step, which, s in self._located(lane, times):
            out[which] = step.states(s)
        return out

    def errors(self, lane: int, times: Array) -> Array:
        """Bounds on the Euclidean distances of ``states(lane, times)`` from the solution: (M,)."""
        out = np.zeros(times.size)
        for step, which, s in self._located(lane, times):
            out[which] = step.errors(s)
        return out

    def state(self, lane: int, t: float) -> Array:
        """(N,) the computed state at time t; see `states`."""
        return self.states(lane, np.array([t]))[0]

    def error(self, lane: int, t: float) -> float:
        """Bound on the Euclidean distance of ``state(lane, t)`` from the solution."""
        return float(self.errors(lane, np.array([t]))[0])

    def _located(self, lane: int, times: Array) -> Iterator[tuple[PolynomialStep, Ints, Array]]:
        """Steps with the positions of the times in them, and where in the step these are."""
        if not 0 <= lane < self.lanes:
            raise NumericsError(f"there is no lane {lane}; lanes are 0..{self.lanes - 1}")
        end = self.end(lane)
        outside = ~((times >= 0.0) & (times <= end))
        if outside.any():
            why = self.reason[lane] or "integrate further"
            t = times[outside][0]
            raise NumericsError(f"t = {t:.17g} is outside of [0, {end:.17g}] in lane {lane}: {why}")
        steps = self.steps[lane]
        if not steps:
            return
        index = np.searchsorted(self.times[lane], times, side="right")
        index = np.where(times == 0.0, -1, np.minimum(index, len(steps) - 1))
        for k in np.unique(index[index >= 0]):
            which = np.flatnonzero(index == k)
            yield steps[k], which, (times[which] - steps[k].t0) / steps[k].tau


def integrate_polynomial(
    field: PolynomialField,
    theta0: Array,
    until: float,
    *,
    options: PolynomialOptions | None = None,
) -> PolynomialTrajectory:
    """Integrate theta' = F(theta) from every row of theta0: (B, N) over [0, until].

    Lanes are independent: a lane's numbers do not depend on which others there are. A lane that
    cannot be continued (blow-up, budget) ends early and says so; its trajectory up to there, with
    its bounds, is valid.

    Raises:
        NumericsError: theta0 is not a finite (B, N) array, until is not finite and >= 0.
    """
    start = np.array(theta0, dtype=np.float64)
    if start.ndim != 2 or start.shape[1] != field.variables or start.shape[0] == 0:
        raise NumericsError(
            f"theta0 has shape {start.shape}; give (B, {field.variables}) with one start per row"
        )
    if not np.isfinite(start).all():
        raise NumericsError("theta0 has entries that are not finite; give finite starts")
    if not (math.isfinite(until) and until >= 0):
        raise NumericsError(f"until = {until}; give a finite end time >= 0")
    options = options or PolynomialOptions()
    with np.errstate(all="ignore"):
        lanes = [_lane(field, row, float(until), options) for row in start]
    steps, times, status, reason = zip(*lanes, strict=True)
    return PolynomialTrajectory(field, start, steps, times, status, reason)


_Lane = tuple[tuple[PolynomialStep, ...], Array, PolynomialStatus, str]


def _lane(field: PolynomialField, theta: Array, until: float, options: PolynomialOptions) -> _Lane:
    """Integrate one lane."""
    steps: list[PolynomialStep] = []
    t, error, status = 0.0, 0.0, PolynomialStatus.ok
    while t < until:
        if len(steps) >= options.max_steps:
            status = PolynomialStatus.budget
            break
        step = take_step(field, theta, t, error, until - t, options.order, options.tolerance)
        if step is None or t + step.tau <= t:
            tau = math.inf if step is None else step.tau
            last = min(tau, steps[-1].tau if steps else math.inf)
            blow_up = last < BLOW_UP * t or step is not None or not steps
            status = PolynomialStatus.diverged if blow_up else PolynomialStatus.lost
            break
        steps.append(step)
        theta, error = finish(step)
        sums = two_sum(np.array([t]), np.array([step.tau]))
        t, lag = float(sums[0][0]), float(sums[1][0])
        if lag != 0.0:
            # The solution at the rounded time differs from that at the end of the step.
            error += abs(lag) * step.speed * SLACK
    ends = np.array([*(step.t0 for step in steps[1:]), min(t, until)] if steps else [])
    reason = "" if status is PolynomialStatus.ok else f"at t = {t:.9g}: {_ADVICE[status]}"
    return tuple(steps), ends, status, reason
