"""A point given by the user: the dimension of the Lie algebra there may be smaller than at a generic one.

The brackets that are independent at generic points are looked at first: where they are at this one too, it is generic.
Otherwise brackets may not be reduced to a basis over the rational functions: the Lie algebra is generated as a vector
space over Q, exactly, and evaluated there. Where it does not close within the limits, nothing is said.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from flint import fmpz_mat

from theory.conservation.model import Law, Model
from theory.conservation.modular import PRIME, Echelon, Span
from theory.conservation.polynomials import VectorField, bracket, evaluate, value
from theory.errors import LemmataError

MAX_FIELDS, MAX_TERMS, MAX_WORK = 400, 20_000, 3_000_000
RATIONAL = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300}|/0*[1-9][0-9]{0,299})?", re.ASCII)


@dataclass(frozen=True)
class SpecialPoint:
    """The Lie algebra at one point.

    Attributes:
        point: (N,). dimension: of the Lie algebra evaluated there. generic: the bound at generic points.
        complete: all brackets were looked at; otherwise ``dimension`` is a lower bound.
        laws_rank: rank of the gradients of the laws that are defined there.
    """

    point: tuple[Fraction, ...]
    dimension: int
    generic: int
    complete: bool
    laws_rank: int

    @property
    def loss(self) -> int | None:
        """How much of the generic dimension is lost at this point; None where that is not decided."""
        return self.generic - self.dimension if self.complete else None

    @property
    def text(self) -> str:
        """In words."""
        rank = f"the gradients of the laws span {self.laws_rank} dimensions there"
        if self.loss is None:
            return (
                f"undecided at this point: the Lie algebra has dimension {self.dimension} or more, against "
                f"{self.generic} at a generic point; its brackets outgrow the limits; {rank}"
            )
        if self.loss <= 0:
            return (
                f"the Lie algebra has dimension {self.dimension} at this point, as at a generic one"
            )
        return (
            f"special point: the Lie algebra has dimension {self.dimension} there, against {self.generic} at a "
            f"generic point; {rank}"
        )


def read_rational(value: str | int | Fraction) -> Fraction | None:
    """A rational number such as 0, -3, 2/3 or 0.25 with at most 300 digits; None for anything else."""
    if isinstance(value, str):
        return Fraction(value.strip()) if RATIONAL.fullmatch(value.strip()) else None
    return Fraction(value) if isinstance(value, int | Fraction) else None


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
    out = []
    for name, text in zip(names, texts, strict=True):
        number = read_rational(text)
        if number is None:
            raise LemmataError(
                f"coordinate {name} of the point: {str(text)[:40]!r} is not rational; write a number such as "
                "0, -3 or 2/3"
            )
        out.append(number)
    return tuple(out)


def at_point(
    model: Model,
    point: Sequence[Fraction],
    *,
    generic: int,
    words: Sequence[tuple[int, ...]] = (),
    gradients: Sequence[VectorField] = (),
) -> SpecialPoint:
    """The dimension of the generated Lie algebra at a rational point, and the rank of the laws' gradients there.

    Args:
        generic: the generic dimension, to compare with. words: brackets that reach it at generic points, as in
            `LieRank`. gradients: of the laws.

    Raises:
        LemmataError: a denominator of φ vanishes at the point.
    """
    if any(not value(d, point) for _, d in model.functions):
        raise LemmataError("φ is not defined at this point: a denominator vanishes; choose another")
    dimension, complete = generic, _reaches(model, point, words, generic)
    if not complete:
        kept, complete = _generated(model)
        dimension = _rank(kept, point)
    return SpecialPoint(
        tuple(point), dimension, generic, complete or dimension >= generic, _rank(gradients, point)
    )


def _reaches(
    model: Model, point: Sequence[Fraction], words: Sequence[tuple[int, ...]], generic: int
) -> bool:
    """Whether these brackets have the generic rank at the point (modulo a prime, which can only lower it)."""
    if any(x.denominator % PRIME == 0 for x in point):
        return False
    place = [x.numerator * pow(x.denominator, -1, PRIME) % PRIME for x in point]
    known: dict[tuple[int, ...], VectorField] = {}

    def derive(word: tuple[int, ...]) -> VectorField:
        if word not in known:
            first = model.fields[word[0]]
            known[word] = bracket(first, derive(word[1:]), PRIME) if len(word) > 1 else first
        return known[word]

    span = Span(len(place), PRIME, random.Random(0))
    for word in words:
        span.add({a: evaluate(p, place, PRIME) for a, p in derive(word).items()})
    return span.rank >= generic


def _generated(model: Model) -> tuple[list[VectorField], bool]:
    """A basis over Q of the generated Lie algebra, and whether it is all of it."""
    space = Echelon(0)
    kept = [f for f in model.fields if space.add(_flat(f))]
    left, work, seen = tuple(kept), 0, 0
    while seen < len(kept):
        for f in left:
            work += _terms(f) * _terms(kept[seen])
            if len(kept) > MAX_FIELDS or sum(map(_terms, kept)) > MAX_TERMS or work > MAX_WORK:
                return kept, False
            new = bracket(f, kept[seen])
            if new and space.add(_flat(new)):
                kept.append(new)
        seen += 1
    return kept, True


def _terms(vector_field: VectorField) -> int:
    return sum(map(len, vector_field.values()))


def is_defined(law: Law, point: Sequence[Fraction]) -> bool:
    """Whether no logarithm of the law is that of 0 at the point."""
    return all(value(q, point) for _, q in law.logarithms)


def _flat(vector_field: VectorField) -> dict[object, int]:
    return {(a, m): c for a, p in vector_field.items() for m, c in p.items()}


def _rank(fields: Sequence[VectorField], point: Sequence[Fraction]) -> int:
    """Exact rank over Q of the fields' values."""
    rows: list[int] = []
    for f in fields:
        values = {a: value(p, point) for a, p in f.items()}
        common = lcm(*(x.denominator for x in values.values())) if values else 1
        rows += [int(values.get(a, Fraction(0)) * common) for a in range(len(point))]
    return int(fmpz_mat(len(fields), len(point), rows).rank()) if fields else 0
