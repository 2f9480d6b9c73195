"""The two sides of a part of a statement on a case, as numbers with a bound on their error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flint import arb

from proofs_checks.measure import AnyCase, has_time
from proofs_checks.named import load
from proofs_checks.static import PRECISIONS, axes_of
from proofs_checks.static_values import StaticValues, Value
from proofs_checks.verdict import Verdict
from theory.statement import Kind, Statement

Logs = tuple[float | None, float | None]


@dataclass(frozen=True)
class Sides:
    """What a counterexample shows.

    Attributes:
        lhs, rhs: rounded. error: bound on that of rhs - lhs; for a statement in time of the measured ratio lhs/rhs (of
            an equality: of its defect relative to the resolution), and for a probability the width of the interval
            around the frequency.
        logs: natural logarithms of the sides of a statement in time, which no float may hold.
    """

    lhs: float
    rhs: float
    error: float
    logs: Logs | None = None


def sides_of(statement: Statement, case: AnyCase, verdict: Verdict) -> Sides:
    """The sides of the part that a verdict names, measured again where the statement has no time."""
    logs = (verdict.log_lhs, verdict.log_rhs)
    if has_time(case):
        lhs, rhs = (math.nan if x is None else _exp(x) for x in logs)
        return Sides(lhs, rhs, math.nan if verdict.error is None else verdict.error, logs)
    part = next(p for p in statement.parts if p.name == verdict.part)
    axes = axes_of(statement)
    measured = load(statement.claim, "claim")(case).measure(frozenset(axes))
    values = StaticValues(measured.values, axes, PRECISIONS[-1])
    relation = statement.expand(part.relation)
    lhs, rhs = (_ball(values.evaluate(q.to_data())) for q in (relation.lhs, relation.rhs))
    gap = rhs - lhs
    if statement.kind is Kind.PROBABILITY and verdict.log_tightness is not None:
        # the ratio is the distance by the width
        error = abs(float(gap.mid())) * _exp(-verdict.log_tightness)
    else:
        error = float(gap.rad().upper()) if gap.is_finite() else math.inf
    return Sides(float(lhs.mid()), float(rhs.mid()), error)


def _ball(x: Value) -> arb:
    return x if isinstance(x, arb) else arb(x)


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf
