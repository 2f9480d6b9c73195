"""One Taylor step of a polynomial ODE, and the bound on its error.

On a step the dense output is p(s) = sum_k c_k s^k, s = (t - t0)/tau in [0, 1], with tau a power of
two, so that rescaling the series is exact. The bound on |theta(t) - p(s)| is

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
from functools import cached_property

import numpy as np

from numerics.polynomial_program import SLACK, UNIT, Array, PolynomialField, norm, norms
from numerics.state import two_sum

# No step is longer than 2**LONGEST units of the series, nor so long that what underflows in the series
# matters (2**UNDERFLOW in the last coefficient), nor than FOLDS / mu_2(DF): errors grow by a
# moderate factor per step.
LONGEST = 20
UNDERFLOW = 400
FOLDS = 4.0
# The chords of the Jacobian may cost this much of an e-fold of the error per step.
ALLOWANCE = 2.0**-9
MOST_CHORDS = 64


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

    def states(self, s: Array) -> Array:
        """p(s): (M,) -> (M, N)."""
        s = np.minimum(s, 1.0)[:, None]
        value = np.repeat(self.coefficients[-1:], s.size, axis=0)
        for c in self.coefficients[-2::-1]:
            value *= s
            value += c
        return value

    def errors(self, s: Array) -> Array:
        """Bounds on the distances of the computed ``states(s)`` from the solution: (M,) -> (M,)."""
        # The label of the end of the step may lie beyond its end by a rounding of the time.
        beyond, s = np.maximum(0.0, s - 1.0), np.minimum(s, 1.0)
        m = self.rates.size
        j = np.minimum((s * m).astype(np.int64), m - 1)
        growth = self.growth[j] + np.maximum(0.0, s - j / m) * self.rates[j]
        k = np.arange(self.coefficients.shape[0], dtype=np.float64)
        # Horner's rule, and the rounding of s itself.
        sizes = ((3.0 * k + 1.0) * s[:, None] ** k) @ np.abs(self.coefficients)
        evaluation = UNIT * norms(sizes.T)
        late = beyond * self.speed * self.tau
        return (np.exp(growth) * self.start + self.defect + evaluation + late) * SLACK

    @cached_property
    def speed(self) -> float:
        """Bound on |p'| over the step, per unit of time."""
        k = np.arange(self.coefficients.shape[0], dtype=np.float64)
        return norm(k @ np.abs(self.coefficients)) / self.tau

    @property
    def radius(self) -> float:
        """Bound on the distance of the exact p(s) from the solution over the whole step."""
        growth = self.growth[:-1] + np.maximum(self.rates, 0.0) / self.rates.size
        return (math.exp(float(growth.max())) * self.start + self.defect) * SLACK


def finish(step: PolynomialStep) -> tuple[Array, float]:
    """The state at the end of a step and its error bound."""
    state = np.zeros(step.coefficients.shape[1])
    rounding = np.zeros_like(state)
    for c in step.coefficients[::-1]:
        state, lost = two_sum(state, c)
        rounding += np.abs(lost)
    error = math.exp(float(step.growth[-1])) * step.start + step.defect
    return state, (error + norm(rounding)) * SLACK


def take_step(
    field: PolynomialField,
    theta: Array,
    t: float,
    error: float,
    remaining: float,
    order: int,
    tolerance: float,
) -> PolynomialStep | None:
    """The step from (t, theta), or None where there is none with finite bounds.

    Args:
        theta: (N,). error: bound on its distance from the solution. remaining: time to go.
        order, tolerance: see ``PolynomialOptions``.
    """
    found = _series(field, theta, order)
    if found is None:
        return None
    series, last, unit, mu = found
    state = np.column_stack((series[1 : field.variables + 1], last))  # (N, K+1)
    exponent = _exponent(norms(state).tolist(), unit, mu, remaining, tolerance)
    if exponent is None:
        return None
    program, form = field.form.program, field.form
    for _ in range(8):
        scale = np.ldexp(1.0, exponent * np.arange(order + 1))
        tau = math.ldexp(unit, exponent)
        scaled = np.abs(series * scale[:order])
        coefficients = (state * scale).T
        tails = program.tails(scaled, np.abs(coefficients[-1]))
        truncation = tau * (form.sizes @ tails) / (order + 1)
        size = norm(np.abs(coefficients).sum(axis=0))
        if norm(truncation) <= 4.0 * tolerance * size:
            break
        exponent -= 1
    total = scaled.sum(axis=1)
    mean = (scaled / np.arange(1, order + 1)).sum(axis=1)
    rounding = form.sizes @ program.rounding(total)
    rounding += UNIT * form.counts * (form.sizes @ mean)
    rounding = tau * rounding + 2.0 * UNIT * np.abs(coefficients[1:]).sum(axis=0)
    # What underflow in the series may have lost.
    lost = math.ldexp(float(order * program.size), -1074 + order * max(exponent, 0))
    lost *= 1.0 + tau * float(form.sizes.sum())
    defect = (norm(truncation + rounding) + lost) * SLACK
    return _bound(field, coefficients, t, tau, error, defect)


def _exponent(
    norms: list[float], unit: float, mu: float, remaining: float, tolerance: float
) -> int | None:
    """log2(tau/unit): the largest for which the last two terms meet the tolerance."""
    order = len(norms) - 1
    if not all(map(math.isfinite, norms)):
        return None
    most = UNDERFLOW // order
    exponent = min(LONGEST, most, math.ceil(math.log2(remaining) - math.log2(unit)))
    if mu > 0.0:
        exponent = min(exponent, math.floor(math.log2(FOLDS) - math.log2(mu) - math.log2(unit)))
    largest = max(norms[:2])
    for k in (order - 1, order):
        if norms[k] > 0.0:
            if largest == 0.0:
                return None
            goal = math.log2(tolerance) + math.log2(largest) - math.log2(norms[k])
            exponent = min(exponent, math.floor(goal / k))
    return exponent if exponent >= -2 * most else None


def _series(
    field: PolynomialField, theta: Array, order: int
) -> tuple[Array, Array, float, float] | None:
    """Series of the nodes in t/unit: (nodes, K), the coefficient K of theta: (N,), unit, mu_2(DF)."""
    form = field.form
    jacobian = field.jacobian.form.values(theta[:, None])
    size, speed = norm(theta), norm(form.values(theta[:, None]))
    fastest = max(norm(jacobian), speed / size) if size > 0.0 else norm(jacobian)
    if not math.isfinite(fastest) or not math.isfinite(speed):
        return None
    mu = float(np.linalg.eigvalsh(field.jacobian.symmetric(jacobian[:, 0]))[-1])
    unit = math.ldexp(1.0, -max(-900, min(900, math.frexp(fastest)[1]))) if fastest > 0.0 else 1.0
    for _ in range(12):
        series, state = form.solve(theta, unit, order)
        if np.isfinite(series).all() and np.isfinite(state).all():
            return series, state, unit, mu
        # Far from an equilibrium the Jacobian may not know the time scale.
        unit = math.ldexp(unit, -40)
        if unit == 0.0:
            break
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
    # The points at which the Jacobian is computed are rounded.
    blur = 4.0 * UNIT * order * norm(sizes)
    radius = 2.0 * (error + defect) + 2.0 * blur
    for _ in range(6):
        ball = jacobian.form.sizes @ jacobian.form.program.perturbation(sizes, radius)
        extra = bend / chords**2 + tau * (jacobian.norm(ball) + backward)
        rates = tau * np.maximum(mu[:-1], mu[1:]) + extra
        mean = (0.5 * tau * (mu[:-1] + mu[1:]) + extra) / chords
        growth = np.concatenate(([0.0], np.cumsum(mean)))
        worst = float(np.maximum(rates, 0.0).sum()) / chords
        if not worst < 700.0:
            return None
        step = PolynomialStep(t, tau, coefficients, error, defect * math.exp(worst), growth, rates)
        if step.radius + blur < radius:
            break
        radius = 4.0 * (step.radius + blur)
    else:
        return None
    # An error bound that is larger than the state says nothing about it.
    largest = max(norm(sizes), 2.0**-500)
    return step if step.radius <= largest else None
