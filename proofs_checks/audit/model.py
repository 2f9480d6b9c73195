"""MODEL, the parametrised model that kinds about conservation laws speak of, and its vector fields.

    {"variables": names of θ, "phi": [polynomial, ...], "denominators": [] (all 1) or one for each phi,
     "directions": [] or [[[i, "p/q"], ...], ...], "metric": [] (identity) or [[a, b, polynomial], ...],
     "momentum": "" or "p/q"}

A law of the model is a function that is constant along θ' = -M ∇L(θ) for every loss L = ℓ(φ(θ)), any ℓ
(with directions: any ℓ whose gradients lie in the span of these rows).  That is so exactly if it is
constant along M ∇ψ for each ψ, the φ_i or the sums Σ c_i φ_i of the rows.  Sums of fractions are formed
from the left, starting with 0/1, equal denominators being kept: N/D + c n/d is (N + c n)/D if d = D,
otherwise (N d + c n D)/(D d).  Where the fields are indexed they come in the order of the ψ.

The *field* of ψ = N/D is M (D ∇N - N ∇D) over the integers: M ∇ψ times D² and a number.  A factor g
that is not identically zero changes nothing that is claimed: h is constant along gF exactly if it is
along F (both are polynomial conditions), and since [gF, H] = g [F, H] - H(g) F, brackets of the fields
with factors and without span the same space wherever the factors are not zero.

With momentum τ = p/q >= 0 the flow is θ'' + τ θ' = -∇L, in the variables θ, "dot_" + name, and "s",
standing for exp(τ t), or "t" if τ = 0.  The gradient fields act on the velocities, and before them, at
index 0, comes the drift θ' = dot_θ, dot_θ' = -τ dot_θ, s' = τ s (or t' = 1): with the loss switched off
the flow is the drift alone, so a law is constant along it, hence along each of the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from proofs_checks.audit.core import Rejected, fields
from proofs_checks.audit.polynomials import (
    LIMITS,
    ONE,
    Field,
    Meter,
    Polynomial,
    accumulate,
    clean,
    gradient,
    integral,
    rational,
    read,
    times,
)

KEYS = ("variables", "phi", "denominators", "directions", "metric", "momentum")
MAX_VARIABLES, MAX_FUNCTIONS = 2048, 1 << 18  # bound the memory that a hostile model can ask for


@dataclass(frozen=True)
class Model:
    """The data above, read; ``names`` are the variables of the fields, ``metric`` lists M_ab by b."""

    names: dict[str, int]
    size: int
    phi: list[Polynomial]
    denominators: list[Polynomial]
    directions: list[list[tuple[int, Fraction]]]
    metric: dict[int, list[tuple[int, Polynomial]]] | None
    momentum: Fraction | None

    @property
    def count(self) -> int:
        """Number of fields."""
        return len(self.directions or self.phi) + (self.momentum is not None)

    def field(self, index: int, meter: Meter) -> Field:
        """The field of this index, over the integers."""
        meter.fresh()
        if self.momentum is not None and index == 0:
            return integral(self._drift(self.momentum), meter)
        top, bottom = self._function(index - (self.momentum is not None), meter)
        out: Field = {}
        for part, other, sign in (
            (gradient(top, meter), bottom, 1),
            (gradient(bottom, meter), top, -1),
        ):
            for a, slope in part.items():
                accumulate(out.setdefault(a, {}), other, slope, meter, sign)
        if self.metric is not None:
            raised: Field = {}
            for b, slope in out.items():
                for a, entry in self.metric.get(b, []):
                    accumulate(raised.setdefault(a, {}), entry, slope, meter)
            out = raised
        shift = 0 if self.momentum is None else self.size
        return integral({a + shift: clean(p) for a, p in out.items()}, meter)

    def _function(self, index: int, meter: Meter) -> tuple[Polynomial, Polynomial]:
        """Numerator and denominator of ψ."""
        if not self.directions:
            return self.phi[index], self._denominator(index)
        top: Polynomial = {}
        bottom = ONE
        for i, c in self.directions[index]:
            meter.clock.tick()
            n, d = self.phi[i], self._denominator(i)
            if d == bottom:
                accumulate(top, ONE, n, meter, c)
            else:
                top = times(top, d, meter)
                accumulate(top, n, bottom, meter, c)
                bottom = times(bottom, d, meter)
            top = clean(top)
        return top, bottom

    def _denominator(self, index: int) -> Polynomial:
        return self.denominators[index] if self.denominators else ONE

    def _drift(self, tau: Fraction) -> Field:
        n = self.size
        out: Field = {a: {(n + a,): 1} for a in range(n)}
        if tau:
            return out | {n + a: {(n + a,): -tau} for a in range(n)} | {2 * n: {(2 * n,): tau}}
        return out | {2 * n: ONE}


def read_model(data: Any, meter: Meter) -> Model:
    """MODEL; raises Rejected with the reason if anything in it is malformed."""
    variables, phi, denominators, directions, metric, momentum = fields(data, KEYS, "model")
    for name, part in zip(KEYS, (variables, phi, denominators, directions, metric), strict=False):
        if not isinstance(part, list):
            raise Rejected(f"model: {name} must be a list")
    if not variables or not phi:
        raise Rejected("model: without variables, or without phi")
    if len(variables) > MAX_VARIABLES or len(phi) > MAX_FUNCTIONS:
        raise Rejected(f"{LIMITS}: over {MAX_VARIABLES} variables or {MAX_FUNCTIONS} functions phi")
    for name in variables:
        if not isinstance(name, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,63}", name):
            raise Rejected(f"model: {name!a:.60} is no name of a variable")
    tau = None if momentum == "" else rational(momentum, "momentum")
    if tau is not None and (tau < 0 or metric):
        raise Rejected("model: momentum must not be negative, and goes with no metric")
    every = list(variables)
    if tau is not None:
        every += [*(f"dot_{name}" for name in variables), "s" if tau else "t"]
    names = {name: i for i, name in enumerate(every)}
    if len(names) < len(every):
        raise Rejected("model: two variables of the fields have the same name")
    theta = {name: i for i, name in enumerate(variables)}
    meter.fresh()
    tops = [read(text, theta, f"phi {i}", meter) for i, text in enumerate(phi)]
    bottoms = [read(text, theta, f"denominator {i}", meter) for i, text in enumerate(denominators)]
    if (bottoms and len(bottoms) != len(tops)) or not all(bottoms):
        raise Rejected("model: denominators must be none, or one for each phi and never zero")
    rows = [_row(row, len(tops), meter) for row in directions]
    matrix = _metric(metric, theta, meter) if metric else None
    return Model(names, len(variables), tops, bottoms, rows, matrix, tau)


def _row(row: Any, count: int, meter: Meter) -> list[tuple[int, Fraction]]:
    out: dict[int, Fraction] = {}
    for entry in row if isinstance(row, list) else []:
        meter.clock.tick()
        if not isinstance(entry, list) or len(entry) != 2 or not index_below(entry[0], count):
            raise Rejected("model: a direction must be a list of pairs [index of phi, 'p/q']")
        if entry[0] in out:
            raise Rejected(f"model: a direction names phi {entry[0]} twice")
        out[entry[0]] = rational(entry[1], "direction")
    if not any(out.values()):
        raise Rejected("model: a direction has no non-zero entry")
    return list(out.items())


def _metric(
    entries: Sequence[Any], names: dict[str, int], meter: Meter
) -> dict[int, list[tuple[int, Polynomial]]]:
    out: dict[int, list[tuple[int, Polynomial]]] = {}
    seen = set()
    for entry in entries:
        if (
            not isinstance(entry, list)
            or len(entry) != 3
            or not all(index_below(i, len(names)) for i in entry[:2])
        ):
            raise Rejected("model: the metric must be a list of entries [row, column, polynomial]")
        a, b, text = entry
        if (a, b) in seen:
            raise Rejected(f"model: the metric has two entries ({a}, {b})")
        seen.add((a, b))
        out.setdefault(b, []).append((a, read(text, names, f"metric ({a}, {b})", meter)))
    return out


def index_below(value: Any, bound: int) -> bool:
    """An index, and no boolean."""
    return type(value) is int and 0 <= value < bound
