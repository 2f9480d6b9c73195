"""Trajectories of polynomial ODEs theta' = F(theta) by Taylor series, with an error bound.

On a step the dense output is p(s) = sum_k c_k s^k, s = (t - t0)/tau in [0, 1], with tau a power of
two times a power of two, so that rescaling the series is exact. The bound on |theta(t) - p(s)| is

    e^{g(s)} E + D e^{g_+},    g' <= tau mu_2(DF),    D >= integral of |p' - tau F(p)|.

* D: the defect is a polynomial in s. Below the degree K its coefficients vanish up to rounding,
  which is counted; above, they are bounded by coefficient sums (``Program.tails``).
* mu_2 is the largest eigenvalue of the symmetric part, a convex function: along a chord the
  trapezoidal rule is an upper bound. The distance of DF(p(s)) from its chord is at most h^2/8 times
  its second derivative; its change over the ball of radius |theta - p| is bounded as well. The
  number of chords adapts, so that their allowance stays below a set fraction of an e-fold.

Bounds hold over the whole step, not at samples (Hairer, Norsett & Wanner, Solving ODEs I, I.10,
Theorem 10.6), and imply that the solution exists. They are evaluated in float64 with roundings
counted to first order: an error bound in floating point, not a proof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from numerics.errors import NumericsError
from numerics.polynomial_program import SLACK, UNIT, Array, PolynomialField
from numerics.state import two_sum

__all__ = [
    "PolynomialField",
    "PolynomialOptions",
    "PolynomialStatus",
    "PolynomialStep",
    "PolynomialTrajectory",
    "integrate_polynomial",
]

# No step is longer than 2**LONGEST units of the series, however small the last coefficients are.
LONGEST = 10
# The chords of the Jacobian may cost this much of an e-fold of the error per step.
ALLOWANCE = 2.0**-8
MOST_CHORDS = 64
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
class PolynomialStep:
    """A step [t0, t0 + tau] of a lane: the dense output and what bounds its error.

    Args:
        coefficients: (K+1, N) of p(s). start: error bound at s = 0.
        defect: D e^{g_+}. growth: (m+1,) bounds on g at s = j/m. rates: (m,) on g' in between.
    """

    t0: float
    tau: float
    coefficients: Array
    start: float
    defect: float
    growth: Array
    rates: Array

    def state(self, s: float) -> Array:
        """p(s): (N,)."""
        value = self.coefficients[-1].copy()
        for c in self.coefficients[-2::-1]:
            value = value * s + c
        return value

    def error(self, s: float) -> float:
        """Bound on the distance of the computed ``state(s)`` from the solution."""
        m = self.rates.size
        j = min(int(s * m), m - 1)
        growth = float(self.growth[j] + max(0.0, s - j / m) * self.rates[j])
        k = np.arange(self.coefficients.shape[0])
        # Horner's rule, and the rounding of s itself.
        weights = (3.0 * k + 1.0) * s**k
        evaluation = UNIT * float(np.sqrt(((weights @ np.abs(self.coefficients)) ** 2).sum()))
        return (math.exp(growth) * self.start + self.defect + evaluation) * SLACK

    @property
    def radius(self) -> float:
        """Bound on the distance of the exact p(s) from the solution over the whole step."""
        growth = self.growth[:-1] + np.maximum(self.rates, 0.0) / self.rates.size
        return (math.exp(float(growth.max())) * self.start + self.defect) * SLACK


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

    def state(self, lane: int, t: float) -> Array:
        """(N,) the computed state at time t.

        Raises:
            NumericsError: t is outside of what was integrated.
        """
        step, s = self._locate(lane, t)
        return self.theta0[lane].copy() if step is None else step.state(s)

    def error(self, lane: int, t: float) -> float:
        """Bound on the Euclidean distance of ``state(lane, t)`` from the solution."""
        step, s = self._locate(lane, t)
        return 0.0 if step is None else step.error(s)

    def _locate(self, lane: int, t: float) -> tuple[PolynomialStep | None, float]:
        if not 0 <= lane < self.lanes:
            raise NumericsError(f"there is no lane {lane}; lanes are 0..{self.lanes - 1}")
        end = self.end(lane)
        if not 0.0 <= t <= end:
            why = self.reason[lane] or "integrate further"
            raise NumericsError(f"t = {t:.17g} is outside of [0, {end:.17g}] in lane {lane}: {why}")
        if t == 0.0 or not self.steps[lane]:
            return None, 0.0
        index = min(
            int(np.searchsorted(self.times[lane], t, side="right")), len(self.steps[lane]) - 1
        )
        step = self.steps[lane][index]
        return step, min((t - step.t0) / step.tau, 1.0)


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
        step = _attempt(field, theta, t, error, until - t, options)
        if step is None or t + step.tau <= t:
            tau = math.inf if step is None else step.tau
            last = min(tau, steps[-1].tau if steps else math.inf)
            blow_up = last < BLOW_UP * t or step is not None or not steps
            status = PolynomialStatus.diverged if blow_up else PolynomialStatus.lost
            break
        steps.append(step)
        theta, error = _finish(step)
        t, lag = (float(x) for x in two_sum(np.float64(t), np.float64(step.tau)))
        if lag != 0.0:
            # The solution at the rounded time differs from that at the end of the step.
            speed = np.arange(options.order + 1) @ np.abs(step.coefficients) / step.tau
            error += abs(lag) * float(np.sqrt((speed**2).sum())) * SLACK
    ends = np.array([*(step.t0 for step in steps[1:]), min(t, until)] if steps else [])
    reason = "" if status is PolynomialStatus.ok else f"at t = {t:.9g}: {_ADVICE[status]}"
    return tuple(steps), ends, status, reason


def _finish(step: PolynomialStep) -> tuple[Array, float]:
    """The state at the end of a step and its error bound."""
    partial = np.cumsum(step.coefficients[::-1], axis=0)
    rounding = UNIT * np.abs(partial[1:]).sum(axis=0)
    error = math.exp(float(step.growth[-1])) * step.start + step.defect
    return partial[-1], (error + float(np.sqrt((rounding**2).sum()))) * SLACK


def _attempt(
    field: PolynomialField,
    theta: Array,
    t: float,
    error: float,
    remaining: float,
    options: PolynomialOptions,
) -> PolynomialStep | None:
    """The step from (t, theta), or None where there is none with finite bounds."""
    found = _series(field, theta, options.order)
    if found is None:
        return None
    series, last, unit = found
    order = options.order
    state = np.column_stack((series[1 : field.variables + 1], last))  # (N, K+1)
    norms = np.sqrt((state**2).sum(axis=0))
    # The largest power of two for which the last two terms meet the tolerance.
    exponent = min(LONGEST, math.ceil(math.log2(remaining) - math.log2(unit)))
    for k in (order - 1, order):
        if norms[k] > 0.0:
            goal = options.tolerance * max(norms[0], norms[1]) / norms[k]
            exponent = min(exponent, math.floor(math.log2(goal) / k) if goal > 0.0 else -60)
    program, form = field.form.program, field.form
    for exponent in range(exponent, exponent - 8, -1):
        scale = np.ldexp(1.0, exponent * np.arange(order + 1))
        tau = math.ldexp(unit, exponent)
        scaled = np.abs(series * scale[:order])
        coefficients = (state * scale).T
        tails = program.tails(scaled, np.abs(coefficients[-1]))
        truncation = tau * (form.sizes @ tails) / (order + 1)
        size = np.sqrt((np.abs(coefficients).sum(axis=0) ** 2).sum())
        if np.sqrt((truncation**2).sum()) <= 4.0 * options.tolerance * size:
            break
    total = scaled.sum(axis=1)
    mean = (scaled / np.arange(1, order + 1)).sum(axis=1)
    rounding = form.sizes @ program.rounding(total)
    rounding += UNIT * form.counts * (form.sizes @ mean)
    rounding = tau * rounding + 2.0 * UNIT * np.abs(coefficients[1:]).sum(axis=0)
    # What underflow in the series may have lost.
    lost = math.ldexp(float(order * program.size), -1074 + order * max(exponent, 0))
    lost *= 1.0 + tau * float(form.sizes.sum())
    defect = (float(np.sqrt(((truncation + rounding) ** 2).sum())) + lost) * SLACK
    return _bound(field, coefficients, t, tau, error, defect)


def _series(field: PolynomialField, theta: Array, order: int) -> tuple[Array, Array, float] | None:
    """Series of the nodes in t/unit: (nodes, K), and the coefficient K of theta: (N,)."""
    form, n = field.form, field.variables
    jacobian = field.jacobian.form.values(theta[:, None])
    rate = float(np.sqrt((jacobian**2).sum()))
    size = float(np.sqrt((theta**2).sum()))
    speed = float(np.sqrt((form.values(theta[:, None]) ** 2).sum()))
    if size > 0.0:
        rate = max(rate, speed / size)
    if not math.isfinite(rate) or not math.isfinite(speed):
        return None
    unit = math.ldexp(1.0, -max(-900, min(900, math.frexp(rate)[1]))) if rate > 0.0 else 1.0
    for _ in range(12):
        series = form.program.start(0.0, np.zeros((n, order)))
        series[0, 0] = 1.0
        state = theta
        for k in range(order):
            series[1 : n + 1, k] = state
            form.program.extend(series, k)
            state = (form.matrix @ series[:, k]) * (unit / (k + 1))
        if np.isfinite(series).all() and np.isfinite(state).all():
            return series, state, unit
        # Far from an equilibrium the Jacobian may not know the time scale.
        unit = math.ldexp(unit, -40)
    return None


def _bound(
    field: PolynomialField,
    coefficients: Array,
    t: float,
    tau: float,
    error: float,
    defect: float,
) -> PolynomialStep | None:
    """Propagate the error over a step; None where no ball around it can be closed."""
    jacobian, order = field.jacobian, coefficients.shape[0] - 1
    sizes = np.abs(coefficients).sum(axis=0)
    second = jacobian.form.sizes @ jacobian.form.program.second_derivatives(coefficients)
    bend = tau * jacobian.norm(second) / 8.0
    if not math.isfinite(bend) or not math.isfinite(defect):
        return None
    chords = 1
    while bend > ALLOWANCE * chords**2 and chords < MOST_CHORDS:
        chords *= 2
    points = (np.arange(chords + 1) / chords)[:, None] ** np.arange(order + 1) @ coefficients
    entries = jacobian.form.values(points.T)
    bounds = jacobian.form.absolute(points.T).max(axis=1)
    mu = np.linalg.eigvalsh(jacobian.symmetric(entries))[:, -1]
    # Roundings of the entries and of the eigenvalues.
    backward = UNIT * (jacobian.roundings + 8.0 * field.variables) * jacobian.norm(bounds)
    step = None
    radius = 2.0 * (error + defect) + 4.0 * UNIT * order * float(np.sqrt((sizes**2).sum()))
    for _ in range(6):
        ball = jacobian.form.sizes @ jacobian.form.program.perturbation(sizes, radius)
        extra = bend / chords**2 + tau * (jacobian.norm(ball) + backward)
        rates = tau * np.maximum(mu[:-1], mu[1:]) + extra
        mean = (0.5 * tau * (mu[:-1] + mu[1:]) + extra) / chords
        growth = np.concatenate(([0.0], np.cumsum(mean))) * SLACK
        worst = float(np.maximum(rates, 0.0).sum()) / chords
        if not worst < 700.0:
            return None
        step = PolynomialStep(t, tau, coefficients, error, defect * math.exp(worst), growth, rates)
        if step.radius < radius:
            break
        radius = 4.0 * step.radius
    else:
        return None
    # An error bound that is larger than the state says nothing about it.
    largest = max(float(np.sqrt((sizes**2).sum())), 2.0**-500)
    return step if step.radius <= largest else None
