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

from numerics.polynomial_flow import (
    PolynomialField,
    PolynomialStatus,
    integrate_polynomial,
)
from proofs_checks.law_data import Sampler, variables_of
from proofs_checks.law_values import LawValues, Seen
from proofs_checks.verdict import Status
from theory.conservation.descent import DescentDrift, descent_drift
from theory.conservation.losses import RationalPolynomial, squared_loss_flow
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import to_text, value
from theory.errors import LemmataError

RESOLUTION = 1e-9
# Relative to the scale of the law: flows on which its terms could not have moved more than this have tested nothing.
STILL = 1e-3
# A term that could move this often the bound on the drift would have been seen.
RESOLVED = 100.0


@dataclass(frozen=True, kw_only=True)
class LawDrift:
    """What trajectories say about one law h.

    Attributes:
        law, text: h. status: `holds` if h(θ(t)) = h(θ(0)) within the error bounds at all ends of steps, and within
            ``resolution`` · ``scale`` on whole trajectories, where everything in h was put to the test: every function
            of the model that acts on a variable of h was in the data, and every variable moved every term of h that
            it is in by at least 100 times the bound; `violated` if h drifts by more than its error bound.
        drift, error: |h(θ(t)) - h(θ(0))| where it exceeds its error bound most (or comes closest to it), and that
            bound; case, at: the number of that trajectory, and t.
        bound: on |h(θ(t)) - h(θ(0))| over whole trajectories, not at samples only.
        scale: the largest sum of |terms| of h along the trajectories. motion: how far its terms could have moved.
        resolved: how often the bound a variable alone moves a term of h, each in the trajectory that shows it best; of
            all of them, the least.
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
    resolved: float
    resolution: float
    cases: int
    horizon: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DescentCheck:
    """Gradient-descent steps against a derived drift, in exact rational arithmetic.

    Attributes:
        drift: what was derived. status: `holds` if every step drifts by exactly the derived polynomial's value, and at
            one of them every parameter and loss gradient that matters was non-zero.
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

    The data of all trajectories together contain the functions that act on the variables of the laws.

    Args:
        cases: number of trajectories; a model of very many functions needs more of them. until: their length.
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
    if any(i >= model.dimension for law in laws for i in variables_of(law)):
        raise LemmataError(f"{model.spec}: a law has variables that the model does not have")
    sampler, values = Sampler(model), LawValues(model.dimension, laws)
    acting = [sampler.acting_on(variables_of(law)) for law in laws]
    data = sampler.trajectories(frozenset().union(*acting), cases, seed)
    tested = frozenset().union(*(d.functions for d in data))
    runs, units = [], []
    for c, sample in enumerate(data):
        field, unit = polynomial_field(squared_loss_flow(model, sample.rows, sample.targets))
        start = [float(x) for x in sampler.start(np.random.default_rng([seed, c, 1]))]
        runs.append(integrate_polynomial(field, np.array([start]), until / unit))
        units.append(unit)
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
        resolved, weakest = _resolved(seen)
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
        elif missing := acting[k] - tested:
            status = Status.UNDECIDED
            needed = -(-cases * len(acting[k]) // (len(acting[k]) - len(missing)))
            reason = (
                f"{len(missing)} of the {len(acting[k])} functions that act on the law were in no data; "
                f"use cases={needed} or more"
            )
        elif resolved < RESOLVED:
            status, reason = Status.UNDECIDED, _unresolved(model, values, k, weakest, resolved)
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
                resolved=resolved,
                resolution=resolution,
                cases=cases,
                horizon=horizon,
                reason=reason,
            )
        )
    return out


def _resolved(seen: Sequence[Seen]) -> tuple[float, int]:
    """The least, over the parts of a law, of how often the bound they move; and which part that is."""
    ratios = np.array([each.alone / max(each.bound, np.finfo(float).tiny) for each in seen])
    if ratios.shape[1] == 0:
        return 0.0, -1
    best = ratios.max(axis=0)
    weakest = int(np.argmin(best))
    return float(best[weakest]), weakest


def _unresolved(model: Model, values: LawValues, k: int, weakest: int, resolved: float) -> str:
    if weakest < 0:
        return "the law is a constant, which every flow conserves; give one with variables"
    monomial, i = values.parts(k)[weakest]
    names = model.field_variables
    term = to_text({monomial: 1}, names)
    if resolved == 0.0:
        return f"{names[i]} never moved, and so {term} was not tested; use more cases, or drop it if φ does not have it"
    return (
        f"{names[i]} moves {term} by {resolved:.2g} times the bound on the drift, which tests too little; integrate "
        "further, or check the parts of the law one by one"
    )


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

    Every case has a random start and random data with every function that acts on the law; the iterates are
    θ⁺ = θ + η F(θ), F the field of the squared loss. Step number k of all has the size η/k, so that the orders of the
    drift are told apart.

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
    sampler, law = Sampler(model), drift.law.polynomial
    functions, size = sampler.functions, model.size
    used = variables_of(drift.law) | {i for p in drift.numerators for m in p for i in m}
    needed = sampler.acting_on(variables_of(drift.law)) | {i - size for i in used if i >= size}
    done = moved = 0
    largest, tested, silent = 0.0, False, ""
    for c in range(cases):
        rng = np.random.default_rng([seed, c])
        data = sampler.complete(needed, rng)
        field = squared_loss_flow(model, data.rows, data.targets)
        theta = sampler.start(rng)
        for _ in range(steps):
            g = [Fraction(0)] * len(functions)
            for row, target in zip(data.rows, data.targets, strict=True):
                miss = (
                    sum(x * value(functions[i][0], theta) / functions[i][1] for i, x in row.items())
                    - target
                )
                for i, x in row.items():
                    g[i] += x * miss
            zero = [i for i in used | {size + i for i in needed} if not (*theta, *g)[i]]
            tested = tested or not zero
            silent = (*drift.parameters, *drift.slopes)[zero[0]] if zero else silent
            done += 1
            step = eta / done
            new = [x + step * value(f, theta) for x, f in zip(theta, field, strict=True)]
            actual = value(law, new) - value(law, theta)
            derived = drift.value(theta, g, step)
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
    elif not tested:
        status = Status.UNDECIDED
        reason = f"{silent} was zero, and its terms not tested; use more cases or another seed"
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


def _check_counts(**counts: int) -> None:
    for name, number in counts.items():
        if number < 1:
            raise LemmataError(f"{name} = {number}; give at least 1")
