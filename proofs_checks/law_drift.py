"""Conservation laws on trajectories: the drift along integrated flows, and along gradient descent.

The flow conserves a law; a computed trajectory conserves it up to its error bound, and a polynomial that is no law is
caught by drifting further than that. Gradient descent does not conserve laws: its drift per step is compared, in exact
rational arithmetic, with the polynomial that `theory.conservation.descent` derives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from numerics.polynomial_flow import (
    PolynomialField,
    PolynomialStatus,
    PolynomialTrajectory,
    integrate_polynomial,
)
from proofs_checks.law_values import LawValues
from proofs_checks.verdict import Status
from theory.conservation.descent import DescentDrift, descent_drift, evaluate
from theory.conservation.losses import RationalPolynomial, polynomial_functions, squared_loss_flow
from theory.conservation.model import Law, Model
from theory.errors import LemmataError

Array = NDArray[np.float64]
Rows = tuple[tuple[Fraction, ...], ...]

RESOLUTION = 1e-9
# Relative to the scale of the law: flows on which its terms could not have moved more than this have tested nothing.
STILL = 1e-3
SAMPLES, ENTRIES = 3, 6


@dataclass(frozen=True, kw_only=True)
class LawDrift:
    """What trajectories say about one law h.

    Attributes:
        law, text: h. status: `holds` if h(θ(t)) = h(θ(0)) within the error bounds at all ends of steps, and within
            ``resolution`` · ``scale`` on whole trajectories; `violated` if it drifts by more than its error bound.
        drift, error: |h(θ(t)) - h(θ(0))| where it exceeds its error bound most (or comes closest to it), and that
            bound; case, at: the number of that trajectory, and t.
        bound: on |h(θ(t)) - h(θ(0))| over whole trajectories, not at samples only.
        scale: the largest sum of |terms| of h along the trajectories. motion: how far its terms could have moved.
        cases, horizon: number of trajectories, and the time up to which all of them were judged; one that ends early (a
            blow-up) is judged on its first half.
        reason: diagnosis and remedy where the status is not `holds`; which trajectories end early.
    """

    law: Law
    text: str
    status: Status
    drift: float
    error: float
    case: int
    at: float
    bound: float
    scale: float
    motion: float
    resolution: float
    cases: int
    horizon: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DescentCheck:
    """Gradient-descent steps against a derived drift, in exact rational arithmetic.

    Attributes:
        drift: what was derived. status: `holds` if every step drifts by exactly the derived polynomial's value.
        steps: how many were compared. moved: in how many of them the law changed.
        largest: the largest drift of a step. reason: the first disagreement, if there is one.
    """

    drift: DescentDrift
    status: Status
    steps: int
    moved: int
    largest: float
    reason: str = ""


def check_laws(
    model: Model,
    laws: Sequence[Law],
    *,
    cases: int = 8,
    until: float = 1.0,
    seed: int = 0,
    resolution: float = RESOLUTION,
) -> list[LawDrift]:
    """Every law along flows of the model from random starts under squared losses with random data.

    Args:
        cases: number of trajectories. until: their length.
        seed: of starts and data. resolution: relative to the scale of a law.

    Raises:
        LemmataError: no law, a law with variables that the model does not have, a φ that is not polynomial, fewer than
            one case, a horizon that is not positive.
    """
    if not laws:
        raise LemmataError("there is no law to check; find some first")
    _check_counts(cases=cases)
    if not (0.0 < until < float("inf")):
        raise LemmataError(f"until = {until}; give a finite time > 0")
    for law in laws:
        used = [law.polynomial, *(q for _, q in law.logarithms)]
        if any(i >= model.dimension for p in used for m in p for i in m):
            raise LemmataError(f"{model.spec}: a law has variables that the model does not have")
    values = LawValues(model.dimension, laws)
    made = [_trajectory(model, until, np.random.default_rng([seed, c])) for c in range(cases)]
    runs, units = [run for run, _ in made], [unit for _, unit in made]
    # Where a lane is lost, its error bound is as large as the state: it is judged on the first half.
    ends = [run.end(0) * (1.0 if run.status[0] is PolynomialStatus.ok else 0.5) for run in runs]
    observed = [values.along(run, end) for run, end in zip(runs, ends, strict=True)]
    horizon = min(end * unit for end, unit in zip(ends, units, strict=True))
    early = [run.reason[0] for run in runs if run.status[0] is not PolynomialStatus.ok]
    out = []
    for k, law in enumerate(laws):
        seen = [each[k] for each in observed]
        case = max(range(cases), key=lambda c: seen[c].excess)
        worst, at = seen[case], seen[case].at * units[case]
        scale, motion = max(each.scale for each in seen), max(each.motion for each in seen)
        bound = max(each.bound for each in seen)
        status, reason = Status.HOLDS, ""
        if worst.drift > worst.error:
            status = Status.VIOLATED
            reason = f"trajectory {case}: drift {worst.drift:.3g} at t = {at:.6g}, error bound {worst.error:.2g}"
        elif motion < STILL * scale or horizon == 0.0:
            status, reason = Status.UNDECIDED, "the trajectories hardly move; integrate further"
        elif not bound <= resolution * scale:
            status = Status.UNDECIDED
            reason = (
                f"drift and error are at most {bound:.2g}, more than {resolution:g} of the scale {scale:.3g}; "
                "integrate to an earlier time"
            )
        if early:
            ended = f"{len(early)} of {cases} trajectories end early, {early[0]}"
            reason = f"{reason}; {ended}" if reason else ended
        out.append(
            LawDrift(
                law=law,
                text=law.text(model.field_variables),
                status=status,
                drift=worst.drift,
                error=worst.error,
                case=case,
                at=at,
                bound=bound,
                scale=scale,
                motion=motion,
                resolution=resolution,
                cases=cases,
                horizon=horizon,
                reason=reason,
            )
        )
    return out


def descent_check(
    model: Model,
    law: Law,
    *,
    cases: int = 4,
    steps: int = 2,
    eta: Fraction = Fraction(1, 16),
    seed: int = 0,
) -> DescentCheck:
    """Compare h(θ⁺) - h(θ) along gradient-descent iterates with the derived drift, over the rationals.

    Every case has a random start and random data; the iterates are θ⁺ = θ + η F(θ), F the field of the squared loss.

    Raises:
        DerivationError: h is not a law of the model. LemmataError: see `descent_drift`; fewer than one case or step.
    """
    _check_counts(cases=cases, steps=steps)
    return compare_descent(
        model, descent_drift(model, law), cases=cases, steps=steps, eta=eta, seed=seed
    )


def compare_descent(
    model: Model, drift: DescentDrift, *, cases: int, steps: int, eta: Fraction, seed: int
) -> DescentCheck:
    """`descent_check` for a drift that is given."""
    functions = polynomial_functions(model)
    law = drift.law.polynomial
    done = moved = 0
    largest = 0.0
    for c in range(cases):
        rng = np.random.default_rng([seed, c])
        A, b = _data(len(functions), rng)
        field = squared_loss_flow(model, A, b)
        theta = _start(model, rng)
        for _ in range(steps):
            psi = [evaluate(p, theta) / d for p, d in functions]
            miss = [
                sum(x * y for x, y in zip(row, psi, strict=True)) - t
                for row, t in zip(A, b, strict=True)
            ]
            g = [
                sum((row[i] * r for row, r in zip(A, miss, strict=True)), Fraction(0))
                for i in range(len(psi))
            ]
            new = [x + eta * _at(f, theta) for x, f in zip(theta, field, strict=True)]
            actual = evaluate(law, new) - evaluate(law, theta)
            derived = drift.value(theta, g, eta)
            done += 1
            moved += actual != 0
            largest = max(largest, abs(float(actual)))
            if actual != derived:
                reason = f"case {c}: the law moves by {float(actual):.6g}, the derivation says {float(derived):.6g}"
                return DescentCheck(
                    drift=drift,
                    status=Status.VIOLATED,
                    steps=done,
                    moved=moved,
                    largest=largest,
                    reason=reason,
                )
            theta = new
    status, reason = Status.HOLDS, ""
    if moved == 0 and drift.numerators:
        status, reason = Status.UNDECIDED, "no step moved the law; use more cases or another seed"
    return DescentCheck(
        drift=drift, status=status, steps=done, moved=moved, largest=largest, reason=reason
    )


def polynomial_field(components: Sequence[RationalPolynomial]) -> tuple[PolynomialField, int]:
    """(F, q): the components times the odd number q that makes all coefficients dyadic, exactly, as floats.

    The factor rescales time and leaves trajectories, hence laws, unchanged.

    Raises:
        LemmataError: a coefficient needs more than 53 bits.
    """
    q = lcm(*(c.denominator for p in components for c in p.values()))
    while q % 2 == 0:
        q //= 2
    terms = []
    for p in components:
        row = tuple((float(c * q), m) for m, c in p.items())
        if any(Fraction(x) != c * q for (x, _), c in zip(row, p.values(), strict=True)):
            raise LemmataError(
                "a coefficient of the flow has more than 53 bits; scale φ to smaller coefficients"
            )
        terms.append(row)
    return PolynomialField(len(terms), tuple(terms)), q


def _trajectory(
    model: Model, until: float, rng: np.random.Generator
) -> tuple[PolynomialTrajectory, int]:
    """A trajectory, and the unit of its time."""
    A, b = _data(len(polynomial_functions(model)), rng)
    field, q = polynomial_field(squared_loss_flow(model, A, b))
    start = np.array([[float(x) for x in _start(model, rng)]])
    return integrate_polynomial(field, start, until / q), q


def _data(functions: int, rng: np.random.Generator) -> tuple[Rows, tuple[Fraction, ...]]:
    """Sparse rows of eighths, and targets: few terms in the flow, and exact in float64."""
    rows = []
    for _ in range(min(functions, SAMPLES)):
        row = [Fraction(0)] * functions
        for i in rng.choice(functions, size=min(functions, ENTRIES), replace=False):
            row[int(i)] = _eighths(rng)
        rows.append(tuple(row))
    return tuple(rows), tuple(_eighths(rng) for _ in rows)


def _eighths(rng: np.random.Generator) -> Fraction:
    return Fraction(int(rng.integers(1, 9)) * int(rng.choice((-1, 1))), 8)


def _start(model: Model, rng: np.random.Generator) -> list[Fraction]:
    """Parameters in [-1, 1], or [1/4, 5/4] under a metric (mirror flows live on θ > 0); then velocities and s = 1."""
    size = model.size if model.momentum is None else 2 * model.size
    if model.metric:
        return [Fraction(int(k), 64) for k in rng.integers(16, 81, size=size)]
    start = [Fraction(int(k), 64) for k in rng.integers(-64, 65, size=size)]
    if model.momentum is not None:
        start.append(Fraction(1 if model.momentum else 0))
    return start


def _at(p: RationalPolynomial, point: Sequence[Fraction]) -> Fraction:
    total = Fraction(0)
    for m, c in p.items():
        for i in m:
            c = c * point[i]
        total += c
    return total


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise LemmataError(f"{name} = {value}; give at least 1")
