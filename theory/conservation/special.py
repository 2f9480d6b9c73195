"""A point given by the user: the dimension of the Lie algebra there may be smaller than at a generic one.

At a special point brackets may not be reduced to a basis over the rational functions: the Lie algebra is generated as a
vector space over Q, exactly, and evaluated there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from flint import fmpz_mat

from theory.conservation.model import Model
from theory.conservation.modular import Echelon
from theory.conservation.polynomials import Polynomial, VectorField, bracket
from theory.errors import LemmataError

MAX_FIELDS, MAX_TESTS = 400, 40_000


@dataclass(frozen=True)
class SpecialPoint:
    """The Lie algebra at one point.

    Attributes:
        point: (N,). dimension: of the Lie algebra evaluated there. generic: the bound at generic points.
        complete: all brackets were looked at; otherwise ``dimension`` is a lower bound.
        laws_rank: rank of the gradients of the laws there.
    """

    point: tuple[Fraction, ...]
    dimension: int
    generic: int
    complete: bool
    laws_rank: int

    @property
    def loss(self) -> int:
        """How much of the generic dimension is lost at this point."""
        return self.generic - self.dimension

    @property
    def text(self) -> str:
        """In words."""
        size = f"{'' if self.complete else 'at least '}{self.dimension}"
        if self.loss <= 0:
            return f"the Lie algebra has dimension {size} at this point, as at a generic one"
        rank = f"the gradients of the laws span {self.laws_rank} dimensions there"
        return (
            f"special point: the Lie algebra has dimension {size} there, against {self.generic} at a "
            f"generic point; {rank}"
        )


def parse_point(texts: Sequence[str | int | Fraction], model: Model) -> tuple[Fraction, ...]:
    """Rational coordinates in the order of the model's variables.

    Raises:
        LemmataError: wrong number of coordinates, or one that is no rational number.
    """
    names = model.field_variables
    if len(texts) != len(names):
        raise LemmataError(
            f"a point needs {len(names)} coordinates ({names[0]}, ..., {names[-1]}), not {len(texts)}"
        )
    try:
        return tuple(Fraction(x) for x in texts)
    except (ValueError, ZeroDivisionError, TypeError, OverflowError):
        raise LemmataError(
            f"the point {', '.join(map(str, texts))[:80]} is not rational; write numbers such as 0, -3 or 2/3"
        ) from None


def at_point(
    model: Model, point: Sequence[Fraction], *, generic: int, gradients: Sequence[VectorField] = ()
) -> SpecialPoint:
    """The dimension of the generated Lie algebra at a rational point, and the rank of the laws' gradients there.

    Args:
        generic: the generic dimension, to compare with. gradients: of the laws.

    Raises:
        LemmataError: a denominator of φ vanishes at the point.
    """
    if any(d and not _value(d, point) for _, d in model.functions):
        raise LemmataError("φ is not defined at this point: a denominator vanishes; choose another")
    space = Echelon(0)
    kept = [f for f in model.fields if space.add(_flat(f))]
    complete, tested, seen = len(kept) <= MAX_FIELDS, 0, 0
    left = tuple(model.fields)
    while seen < len(kept) and complete:
        for f in left:
            tested += 1
            new = bracket(f, kept[seen])
            if new and space.add(_flat(new)):
                kept.append(new)
            if len(kept) > MAX_FIELDS or tested > MAX_TESTS:
                complete = False
                break
        seen += 1
    return SpecialPoint(
        tuple(point), _rank(kept, point), generic, complete, _rank(gradients, point)
    )


def _flat(vector_field: VectorField) -> dict[object, int]:
    return {(a, m): c for a, p in vector_field.items() for m, c in p.items()}


def _value(p: Polynomial, point: Sequence[Fraction]) -> Fraction:
    total = Fraction(0)
    for m, c in p.items():
        term = Fraction(c)
        for i in m:
            term *= point[i]
        total += term
    return total


def _rank(fields: Sequence[VectorField], point: Sequence[Fraction]) -> int:
    """Exact rank over Q of the fields' values."""
    rows: list[int] = []
    for f in fields:
        values = {a: _value(p, point) for a, p in f.items()}
        common = lcm(*(x.denominator for x in values.values())) if values else 1
        rows += [int(values.get(a, Fraction(0)) * common) for a in range(len(point))]
    return int(fmpz_mat(len(fields), len(point), rows).rank()) if fields else 0
