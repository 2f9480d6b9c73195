"""Scalar inequalities proved on boxes: branch and bound with rigorous enclosures.

`prove_on_box` looks for a *tree* that a small independent program can re-check: a list of nodes in
preorder,

- ``("split", name, "p/q")``: cut the box at a rational strictly inside; the lower part follows,
  then the upper;
- ``("monotone", name, "up" | "down")``: f = lhs - rhs is nondecreasing (nonincreasing) in that
  variable on the box, so it suffices to look at the upper (lower) face; the face's box follows.
  If that end of the box is open, f must be monotone with the end included too, and if f is
  strictly monotone on the box, ``<`` becomes ``<=`` on the face;
- ``("value",)``: the natural interval extension of f settles the box;
- ``("mean value",)``: f(c) + sum_k S_k (X_k - c_k) settles it, c the mid-point and S_k the slopes
  over the box.

The search itself may be as clever as it likes: only the tree counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias

from flint import arb, ctx, fmpq

from theory.branch_and_bound import Failure, Node, Search, Token
from theory.closed_form import ClosedForm, rational
from theory.errors import LemmataError
from theory.intervals import Interval

_MAX_PRECISION = 1024


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one variable: from lo to hi, each end included unless declared open."""

    lo: Fraction
    hi: Fraction
    lo_open: bool = False
    hi_open: bool = False

    def __str__(self) -> str:
        lo, hi = _short(self.lo), _short(self.hi)
        return f"{'(' if self.lo_open else '['}{lo}, {hi}{')' if self.hi_open else ']'}"


def _short(value: Any) -> str:
    """A rational as printed in messages: rounded when its digits would fill the line."""
    exact = str(value)
    return exact if len(exact) <= 24 else f"{float(value):.12g}"


Box: TypeAlias = "Mapping[Any, Range | tuple[Any, Any]]"


@dataclass(frozen=True, slots=True)
class BoxProof:
    """The inequality holds on the whole box; ``tree`` is its witness, to be checked with
    ``precision`` bits.
    """

    lhs: list[Any]
    relation: str
    rhs: list[Any]
    box: dict[str, Range]
    tree: tuple[Token, ...]
    precision: int
    boxes: int
    proved: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class BoxRefutation:
    """The inequality certainly fails at ``point``, where lhs - rhs lies in the ball ``excess``."""

    point: dict[str, Fraction]
    excess: arb = field(compare=False)
    relation: str
    boxes: int
    proved: ClassVar[bool] = False

    def __str__(self) -> str:
        where = (
            ", ".join(f"{name} = {_short(value)}" for name, value in self.point.items())
            or "the given numbers"
        )
        return f"fails at {where}: lhs - rhs = {self.excess.str(8)}, wanted {self.relation} 0"


@dataclass(frozen=True, slots=True)
class BoxUndecided:
    """Neither proved nor refuted: ``pending`` boxes are left, some shown in ``examples``."""

    boxes: int
    pending: int
    examples: tuple[dict[str, Range], ...]
    reason: str
    proved: ClassVar[bool] = False

    def __str__(self) -> str:
        shown = "; ".join(
            ", ".join(f"{name} in {side}" for name, side in box.items()) or "the given numbers"
            for box in self.examples
        )
        return f"undecided after {self.boxes} boxes, {self.pending} left ({self.reason}): {shown}"


def prove_on_box(
    lhs: Any,
    relation: str,
    rhs: Any,
    box: Box,
    *,
    max_boxes: int = 20_000,
    precision: int = 64,
    split_at: Mapping[Any, Sequence[Any]] | None = None,
) -> BoxProof | BoxRefutation | BoxUndecided:
    """Decide ``lhs relation rhs`` for all points of a box.

    ``lhs``, ``rhs``: sympy expressions, plain data, or exact numbers.  ``relation``: "<=", "<",
    ">=" or ">" (the last two swap the sides).  ``box``: name or symbol -> `Range`, or (lo, hi) for
    a closed range, with exact rational ends; an empty box decides a statement about numbers.
    ``split_at``: points tried first as cuts (where the two sides touch, or a kink; 0 is tried
    anyway).  ``precision`` (bits) is raised when single points need more.

    The result's ``proved`` is true for `BoxProof` only.  Raises `LemmataError` on malformed input,
    for instance a variable without a range.  Deterministic.
    """
    if relation in (">=", ">"):
        lhs, rhs, relation = rhs, lhs, relation.replace(">", "<")
    if relation not in ("<=", "<"):
        raise LemmataError(f"relation {relation!r} is not one of '<=', '<', '>=', '>'")
    if max_boxes < 1 or not 24 <= precision <= _MAX_PRECISION:
        raise LemmataError(f"need max_boxes >= 1 and 24 <= precision <= {_MAX_PRECISION}")
    left, right = _as_data(lhs), _as_data(rhs)
    ranges = {str(name): _as_range(str(name), side) for name, side in box.items()}
    form = ClosedForm(["add", left, ["neg", right]])
    missing = [name for name in form.variables if name not in ranges]
    if missing:
        raise LemmataError(f"no range for {', '.join(missing)}; add to the box")
    cuts = {str(name): tuple(map(rational, points)) for name, points in (split_at or {}).items()}
    whole = {name: _interval(side) for name, side in ranges.items()}
    boxes = 0
    while True:
        search = Search(form, relation, whole, cuts, precision)
        with ctx.workprec(precision):
            found = search.run(max_boxes)
            excess = found.value.to_arb() if isinstance(found, Failure) else None
        boxes += search.examined
        if isinstance(found, Node):
            return BoxProof(left, relation, right, ranges, found.preorder(), precision, boxes)
        if isinstance(found, Failure):
            where = {name: _fraction(x) for name, x in found.point.items()}
            return BoxRefutation(where, excess, relation, boxes)
        if not search.short_of_precision or precision * 4 > _MAX_PRECISION:
            return _undecided(search, boxes)
        precision *= 4


def _undecided(search: Search, boxes: int) -> BoxUndecided:
    shown = []
    for node in search.pending[:5]:
        ends = {name: (*side.ends, side.lo_open, side.hi_open) for name, side in node.env.items()}
        shown.append(
            {n: Range(_fraction(lo), _fraction(hi), *o) for n, (lo, hi, *o) in ends.items()}
        )
    why = "too close to equality, or undefined" if search.stuck else "out of boxes; raise max_boxes"
    return BoxUndecided(boxes, len(search.pending), tuple(shown), why)


def _as_data(side: Any) -> list[Any]:
    if isinstance(side, list | tuple):
        return list(side)
    if isinstance(side, int | Fraction | fmpq):
        value = rational(side)
        return ["rat", str(value)]
    from theory.expression import to_data

    return to_data(side)


def _as_range(name: str, side: Any) -> Range:
    if not isinstance(side, Range):
        try:
            lo, hi = side
        except (TypeError, ValueError):
            raise LemmataError(
                f"the range of {name} must be a Range or a pair (lo, hi), not {side!r}"
            ) from None
        side = Range(lo, hi)
    lo, hi = rational(side.lo), rational(side.hi)
    if lo > hi or (lo == hi and (side.lo_open or side.hi_open)):
        raise LemmataError(f"the range {side} of {name} is empty; nothing would be proved")
    return Range(_fraction(lo), _fraction(hi), bool(side.lo_open), bool(side.hi_open))


def _fraction(value: fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _interval(side: Range) -> Interval:
    return Interval(rational(side.lo), rational(side.hi), side.lo_open, side.hi_open)
