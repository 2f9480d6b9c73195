"""What planted wrong statements are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from proofs_checks.case import Case
from theory.quantity import (
    Quantity,
)
from theory.statement import Definition, Hypothesis, Statement

Sides = tuple[float, float]


@dataclass(frozen=True)
class Planted:
    """A wrong statement, the true one that it perverts, a case, and (lhs, rhs) at an instant of the domain.

    Attributes:
        vacuous: why the true statement does not speak of the case, or "" where it does (and holds).
    """

    statement: Statement
    true: Statement
    case: Case
    witness: Callable[[], Sides]
    vacuous: str = ""


def drop(statement: Statement, *names: str) -> tuple[Hypothesis, ...]:
    """The hypotheses without those of these names."""
    kept = tuple(h for h in statement.hypotheses if h.name not in names)
    assert len(kept) == len(statement.hypotheses) - len(names)
    return kept


def redefine(statement: Statement, name: str, value: Quantity) -> tuple[Definition, ...]:
    """The definitions with another value of one of them."""
    assert name in {d.name for d in statement.definitions}
    return tuple(replace(d, value=value) if d.name == name else d for d in statement.definitions)


def planted(true: Statement, name: str, **changes: object) -> Statement:
    """A perverted copy with its own id, without the derivation."""
    return replace(true, id=f"planted/{name}", derivations={}, **changes)  # type: ignore[arg-type]


def constants(true: Statement, name: str, **values: Fraction | int) -> Statement:
    """A copy with other constants."""
    return planted(true.with_constants(**values), name)


def scale(case: Case) -> float:
    """ε of a case as a float."""
    return math.exp(case.log_eps)


def sizes(case: Case) -> tuple[int, int, float, float]:
    """(n, h, X_max, W_max)."""
    return (
        case.n,
        case.h,
        float(np.linalg.norm(case.X, axis=1).max()),
        float(np.linalg.norm(case.W0, axis=1).max()),
    )


def window(case: Case, c_T: float = 4.0) -> float:
    """T."""
    n, h, X, _ = sizes(case)
    return -(0.5 * math.log(h) + case.log_eps) / (c_T * n * X)
