"""Values of laws along an integrated trajectory, with error bounds on the whole of it.

For h = P + Σ c_k log|q_k| and a step with dense output p(s), s in [0, 1], and radius r (the distance of p(s) from the
solution), |h(θ(t)) - h(θ(0))| is at most

    |h(p(0)) - h(θ(0))| + ∫|d/ds h(p(s))| ds + sup |h(p + δ) - h(p)|, |δ| ≤ r,

where Π q_k · dh/ds is a polynomial in s, whose coefficients nearly cancel for a law: its size is bounded by their sum.
The last term is bounded monomial by monomial (``numerics.polynomial_program``). Roundings are counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.polynomial_flow import PolynomialStep, PolynomialTrajectory
from numerics.polynomial_program import SLACK, UNIT, Form
from theory.conservation.model import Law
from theory.conservation.polynomials import Polynomial
from theory.errors import LemmataError

Array = NDArray[np.float64]

LARGEST = 2**53


@dataclass(frozen=True)
class Seen:
    """One law along one trajectory; see `proofs_checks.law_drift.LawDrift` for the fields.

    alone: (parts,) how far a term of the law goes when one of its variables goes as it does and the others stay where
        they are, for the pairs in ``LawValues.parts``.
    """

    drift: float
    error: float
    at: float
    bound: float
    scale: float
    motion: float
    alone: Array

    @property
    def excess(self) -> float:
        """drift / error, which decides."""
        if self.drift == 0.0:
            return 0.0
        return self.drift / self.error if self.error > 0.0 else np.inf


@dataclass(frozen=True)
class _Curve:
    """A polynomial in s: coefficients of degree < K, and a bound on the sizes of all others and of errors, summed."""

    low: Array
    rest: float

    @property
    def size(self) -> float:
        return float(np.abs(self.low).sum()) + self.rest

    def __mul__(self, other: _Curve) -> _Curve:
        full = np.convolve(self.low, other.low)
        order = self.low.size
        a, b = self.size, other.size
        rounding = UNIT * (order + 1) * a * b
        rest = float(np.abs(full[order:]).sum()) + self.rest * b + a * other.rest + rounding
        return _Curve(full[:order], rest * SLACK)

    def __add__(self, other: _Curve) -> _Curve:
        total = self.low + other.low
        return _Curve(total, (self.rest + other.rest + UNIT * float(np.abs(total).sum())) * SLACK)

    def times(self, c: float) -> _Curve:
        return _Curve(c * self.low, abs(c) * self.rest + UNIT * abs(c) * self.size)

    def slope(self, degree: int) -> _Curve:
        """The derivative, if the degree of what ``rest`` stands for is at most ``degree``."""
        k = np.arange(self.low.size)
        low = np.append((k * self.low)[1:], 0.0)
        return _Curve(low, (degree * self.rest + UNIT * float(np.abs(low).sum())) * SLACK)


@dataclass(frozen=True)
class _Samples:
    """Rows (P and q of all laws) at T times: (rows, T); ``moved`` is the effect of the error radius.

    state: (N, T), of the variables.
    """

    t: Array
    value: Array
    size: Array
    rounding: Array
    moved: Array
    motion: Array
    state: Array


@dataclass(frozen=True)
class _Variation:
    """Rows over one step: coefficients in s (rows, K), what they leave out, and the effect of the error radius."""

    low: Array
    rest: Array
    moved: Array


class LawValues:
    """Laws of a model in ``variables`` variables, compiled."""

    def __init__(self, variables: int, laws: Sequence[Law]) -> None:
        self.laws = tuple(laws)
        # Row k of the form is P of law k; the rows of its q follow after all P.
        self.places: list[tuple[tuple[int, int], ...]] = []
        rows = [_floats(law.polynomial) for law in laws]
        for law in laws:
            places = []
            for c, q in law.logarithms:
                places.append((c, len(rows)))
                rows.append(_floats(q))
            self.places.append(tuple(places))
        self.rows = rows
        self.form = Form(variables, rows)
        self.degrees = [max((len(m) for _, m in row), default=0) for row in rows]
        # Roundings of a term and of the sum, relative to the sum of sizes.
        self.counts = UNIT * (self.form.counts + max(self.degrees))

    def parts(self, k: int) -> list[tuple[tuple[int, ...], int]]:
        """The terms of law k, those within its logarithms after the others, with each of their variables in turn."""
        rows = [self.rows[k], *(self.rows[row] for _, row in self.places[k])]
        return [(m, i) for row in rows for _, m in row for i in sorted(set(m))]

    def along(self, run: PolynomialTrajectory, until: float, *, lane: int = 0) -> list[Seen]:
        """Every law along one lane, over the steps that cover [0, until], until <= ``run.end(lane)``."""
        used = bisect_left(run.times[lane], until) + 1 if until > 0.0 else 0
        with np.errstate(all="ignore"):
            samples = self._samples(run, lane, used)
            variations = self._variations(run.steps[lane][:used])
            return [self._seen(k, samples, variations) for k in range(len(self.laws))]

    def _samples(self, run: PolynomialTrajectory, lane: int, used: int) -> _Samples:
        """Starts and middles of the first ``used`` steps in turn, and the end."""
        ends = [float(t) for t in run.times[lane][:used]]
        times = [0.0] if not ends else []
        for step, end in zip(run.steps[lane], ends, strict=False):
            times += [step.t0, step.t0 + 0.5 * (end - step.t0)]
        times += ends[-1:]
        X = run.states(lane, np.asarray(times)).T
        radius = run.errors(lane, np.asarray(times))
        program, sizes = self.form.program, self.form.sizes
        nodes = program.values(X)
        absolute = np.asarray(sizes @ np.abs(nodes))
        return _Samples(
            t=np.array(times),
            value=np.asarray(self.form.matrix @ nodes),
            size=absolute,
            rounding=self.counts[:, None] * absolute,
            moved=np.asarray(sizes @ program.perturbation(np.abs(X), radius)),
            # How far the terms would move if nothing cancelled within them either.
            motion=np.asarray(sizes @ program.perturbation(np.abs(X[:, :1]), np.abs(X - X[:, :1]))),
            state=X,
        )

    def _alone(self, k: int, samples: _Samples) -> Array:
        """See `Seen`."""
        X = samples.state
        gaps: dict[tuple[int, int], Array] = {}
        out = []
        for weight, row in ((None, k), *self.places[k]):
            size = 1.0 if weight is None else abs(weight) / np.abs(samples.value[row])
            for c, m in self.rows[row]:
                for i in sorted(set(m)):
                    power = m.count(i)
                    if (i, power) not in gaps:
                        gaps[i, power] = np.abs(X[i] ** power - X[i, 0] ** power)
                    others = [j for j in m if j != i]
                    term = abs(c) * size * gaps[i, power] * np.abs(X[others]).prod(axis=0)
                    out.append(float(np.where(np.isfinite(term), term, 0.0).max()))
        return np.array(out)

    def _variations(self, steps: Sequence[PolynomialStep]) -> list[_Variation]:
        """All rows over every step."""
        program, matrix, sizes = self.form.program, self.form.matrix, self.form.sizes
        out = []
        for step in steps:
            order = step.coefficients.shape[0] - 1
            series = program.expand(step.coefficients)
            absolute = np.abs(series)
            total = np.asarray(sizes @ absolute.sum(axis=1))
            rest = np.asarray(sizes @ program.tails(absolute, np.abs(step.coefficients[-1])))
            rest += order * np.asarray(sizes @ program.rounding(absolute.sum(axis=1)))
            rest += self.counts * total
            largest = np.abs(step.coefficients).sum(axis=0)
            moved = np.asarray(sizes @ program.perturbation(largest, step.radius))
            out.append(_Variation(np.asarray(matrix @ series), rest * SLACK, moved * SLACK))
        return out

    def _seen(self, k: int, samples: _Samples, variations: Sequence[_Variation]) -> Seen:
        """Law k from the samples and from what happens in between."""
        change = samples.value[k] - samples.value[k, 0]
        rounding = samples.rounding[k] + samples.rounding[k, 0] + UNIT * np.abs(change)
        moved, size, motion = samples.moved[k], samples.size[k], samples.motion[k]
        for c, row in self.places[k]:
            q = np.abs(samples.value[row])
            log = c * (np.log(q) - np.log(q[0]))
            change = change + log
            rounding = rounding + abs(c) * (
                _log_error(samples.rounding[row] / q)
                + _log_error(samples.rounding[row, 0] / q[0])
                + 4.0 * UNIT * (1.0 + np.abs(np.log(q)) + abs(float(np.log(q[0]))))
            )
            moved = moved + abs(c) * _log_error(samples.moved[row] / (q - samples.rounding[row]))
            size = size + abs(c) * (1.0 + np.abs(np.log(q)))
            motion = motion + abs(c) * samples.motion[row] / q
        finite = np.isfinite(change)
        drift = np.where(finite, np.abs(change), 0.0)
        error = _known(np.where(finite, rounding + moved, np.inf)) * SLACK
        at_starts = np.where(finite, drift + rounding, np.inf)[: 2 * len(variations) : 2]
        within = np.array([self._within(k, step) for step in variations])
        bound = float(_known(at_starts + within).max()) * SLACK if variations else np.inf
        worst = int(np.argmax(np.where(drift > 0.0, drift / error, 0.0)))
        return Seen(
            drift=float(drift[worst]),
            error=float(error[worst]),
            at=float(samples.t[worst]),
            bound=bound,
            scale=float(size.max()),
            motion=float(motion.max()),
            alone=self._alone(k, samples),
        )

    def _within(self, k: int, step: _Variation) -> float:
        """Bound on |h(θ(t)) - h(p(0))| within a step."""
        moved = float(step.moved[k])
        places = self.places[k]
        if not places:
            return float(np.abs(step.low[k, 1:]).sum() + step.rest[k]) + moved
        curves = {row: _Curve(step.low[row], float(step.rest[row])) for _, row in places}
        degree = max(self.degrees) * step.low.shape[1]
        # Π q · dh/ds = Π q · P' + Σ c_k q_k' Π_{j ≠ k} q_j
        parts: list[tuple[float, _Curve, int | None]] = [
            (1.0, _Curve(step.low[k], float(step.rest[k])), None)
        ]
        parts += [(float(c), curves[row], row) for c, row in places]
        total = _Curve(np.zeros(step.low.shape[1]), 0.0)
        for c, curve, own in parts:
            part = curve.slope(degree).times(c)
            for row, other in curves.items():
                part = part * other if row != own else part
            total = total + part
        smallest = 1.0
        for c, row in places:
            low = abs(step.low[row, 0]) - np.abs(step.low[row, 1:]).sum() - step.rest[row]
            if not low > step.moved[row]:
                return np.inf  # q may vanish: log|q| is not bounded here
            smallest *= low
            moved += abs(c) * float(_log_error(step.moved[row] / low))
        return total.size / float(smallest) + moved


def _log_error(relative: Array) -> Array:
    """Bound on the change of log|q| under a relative change of q: |log(1 - x)| ≤ 2x for x ≤ 1/2."""
    return np.where(relative <= 0.5, 2.0 * relative, np.inf)


def _known(bound: Array) -> Array:
    """A bound that could not be computed is no bound."""
    return np.where(np.isnan(bound), np.inf, bound)


def _floats(p: Polynomial) -> tuple[tuple[float, tuple[int, ...]], ...]:
    if any(abs(c) > LARGEST for c in p.values()):
        raise LemmataError(
            "a coefficient of the law has more than 53 bits; divide the law by a factor"
        )
    return tuple((float(c), m) for m, c in p.items())
