"""The search behind `theory.boxes.prove_on_box`: best-first branch and bound on f = lhs - rhs."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from flint import arb, fmpq

from theory.closed_form import ClosedForm
from theory.intervals import Interval, add, mul, neg, point

Token = tuple[str, ...]
_AFTER_STUCK = 256  # boxes still searched for a refutation once a proof has become impossible


@dataclass(slots=True)
class Node:
    """A box of the search: what was done to it (``tokens``), and the two parts if the last of that
    was a split.
    """

    env: dict[str, Interval]
    relation: str
    tokens: list[Token] = field(default_factory=list)
    children: tuple[Node, ...] = ()

    def preorder(self) -> tuple[Token, ...]:
        """All tokens of the tree below, a box before its parts, the lower part before the upper."""
        tokens: list[Token] = []
        todo = [self]
        while todo:
            node = todo.pop()
            tokens.extend(node.tokens)
            todo.extend(reversed(node.children))
        return tuple(tokens)


@dataclass(frozen=True, slots=True)
class Failure:
    """A point of the original box at which the relation certainly fails, with the enclosure of f
    there.
    """

    point: dict[str, fmpq]
    value: Interval


def settles(value: Interval, relation: str) -> bool:
    """f relation 0 holds for every f in the enclosure."""
    return value.defined and (value.is_negative if relation == "<" else value.is_nonpositive)


def fails(value: Interval, relation: str) -> bool:
    """f relation 0 fails for every f in the enclosure."""
    return value.defined and (value.is_nonnegative if relation == "<" else value.is_positive)


def _middle(side: Interval) -> fmpq:
    lo, hi = side.ends
    return (lo + hi) / 2


def _leans_up(slope: Interval) -> bool:
    """Which end of the range to try for a refutation: a guess, never part of a proof."""
    return slope.hi is None or (slope.lo is not None and slope.lo + slope.hi >= 0)


def _holds_point(side: Interval, x: fmpq) -> bool:
    lo, hi = side.ends
    return (lo < x or (x == lo and not side.lo_open)) and (x < hi or (x == hi and not side.hi_open))


class Search:
    """One search at the working precision of the caller (``bits``); the box with the largest upper
    bound comes first.

    After `run`: ``examined`` boxes, ``pending`` boxes left undecided, ``stuck`` if some of them
    are points or too small to be cut, ``short_of_precision`` if single points were too close to
    equality.
    """

    def __init__(
        self,
        form: ClosedForm,
        relation: str,
        box: dict[str, Interval],
        cuts: Mapping[str, tuple[fmpq, ...]],
        bits: int,
    ) -> None:
        self.form, self.relation, self.whole, self.cuts = form, relation, box, cuts
        self.finest = fmpq(1, 1 << bits)
        self.examined = 0
        self.pending: list[Node] = []
        self.stuck = self.short_of_precision = False
        self._order = count()
        self._heap: list[tuple[float, int, Node]] = []

    def run(self, max_boxes: int) -> Node | Failure | None:
        """The root of a finished tree, or a failure, or None when undecided."""
        root = Node(dict(self.whole), self.relation)
        self._push(root, float("inf"))
        limit = max_boxes
        while self._heap and self.examined < limit:
            node = heapq.heappop(self._heap)[2]
            self.examined += 1
            found = self._examine(node)
            if isinstance(found, Failure):
                return found
            if not found:
                self.pending.append(node)
                self.stuck = True
                limit = min(limit, self.examined + _AFTER_STUCK)
        self.pending += [entry[2] for entry in sorted(self._heap)]
        return None if self.pending else root

    def _push(self, node: Node, upper: float) -> None:
        heapq.heappush(self._heap, (-upper, next(self._order), node))

    def _examine(self, node: Node) -> Failure | bool:
        """Settle or split a box (True), refute, or give up on it (False)."""
        while True:
            active = [name for name in self.form.variables if not node.env[name].is_point]
            value, slopes = self.form.with_slopes(node.env, active)
            if settles(value, node.relation):
                node.tokens.append(("value",))
                return True
            if not active:
                self.short_of_precision |= value.defined
                return self._refute(node.env) or False
            if not self._to_faces(node, active, slopes):
                break
        centre = node.env | {name: point(_middle(node.env[name])) for name in active}
        mean = at_centre = self.form.enclose(centre)
        for name, slope in zip(active, slopes, strict=True):
            mean = add(mean, mul(slope, add(node.env[name], neg(centre[name]))))
        if settles(mean, node.relation):
            node.tokens.append(("mean value",))
            return True
        climb = dict(node.env)
        for name, slope in zip(active, slopes, strict=True):
            lo, hi = node.env[name].ends
            climb[name] = point(hi if _leans_up(slope) else lo)
        failure = self._refute(centre) if fails(at_centre, self.relation) else None
        failure = failure or self._refute(climb)
        if failure:
            return failure
        uppers = [bound.hi for bound in (value, mean) if bound.defined and bound.hi is not None]
        return self._split(
            node, active, slopes, float(arb(min(uppers))) if uppers else float("inf")
        )

    def _to_faces(self, node: Node, active: list[str], slopes: tuple[Interval, ...]) -> bool:
        """Move to the faces on which f is largest, in every variable in which f is monotone."""
        moved = False
        for name, slope in zip(active, slopes, strict=True):
            if not (slope.is_nonnegative or slope.is_nonpositive):
                continue
            up, side, relation = slope.is_nonnegative, node.env[name], node.relation
            if side.hi_open if up else side.lo_open:
                closed = replace(side, hi_open=False) if up else replace(side, lo_open=False)
                at_end = self.form.with_slopes(node.env | {name: closed}, (name,))[1][0]
                if not (at_end.is_nonnegative if up else at_end.is_nonpositive):
                    continue
                if slope.is_positive or slope.is_negative:
                    relation = "<="
                elif relation == "<" and not slope.is_point:
                    continue  # smaller boxes may be strictly monotone, this face may touch
            lo, hi = side.ends
            node.tokens.append(("monotone", name, "up" if up else "down"))
            node.env, node.relation = node.env | {name: point(hi if up else lo)}, relation
            moved = True
        return moved

    def _refute(self, env: Mapping[str, Interval]) -> Failure | None:
        """A point of the original box at ``env``, or next to it where that lies on an open end,
        where f fails.
        """
        for shift in (0, 12, 24, 48):
            at: dict[str, fmpq] = {}
            for name, side in env.items():
                lo, hi = self.whole[name].ends
                x = _middle(side)
                if shift and x == lo and self.whole[name].lo_open:
                    x += (hi - lo) / (1 << shift)
                elif shift and x == hi and self.whole[name].hi_open:
                    x -= (hi - lo) / (1 << shift)
                at[name] = x
            value = self.form.enclose({name: point(x) for name, x in at.items()})
            inside = all(_holds_point(self.whole[name], x) for name, x in at.items())
            if inside and fails(value, self.relation):
                return Failure(at, value)
            if inside and shift == 0:
                return None
        return None

    def _split(
        self, node: Node, active: list[str], slopes: tuple[Interval, ...], upper: float
    ) -> bool:
        best, heaviest = None, fmpq(-1)
        for name, slope in zip(active, slopes, strict=True):
            lo, hi = node.env[name].ends
            whole_lo, whole_hi = self.whole[name].ends
            share = (hi - lo) / (whole_hi - whole_lo)
            if share <= self.finest:
                continue
            if (
                slope.lo is None or slope.hi is None
            ):  # nothing known: before all others, widest first
                weight = (1 + share) * fmpq(10) ** 30
            else:
                weight = min(max(abs(slope.lo), abs(slope.hi)) * (hi - lo), fmpq(10) ** 30)
            if weight > heaviest:
                best, heaviest = name, weight
        if best is None:
            return False
        side = node.env[best]
        at = self._cut(best, side)
        node.tokens.append(("split", best, str(at)))
        parts = (
            Interval(side.lo, at, side.lo_open, False),
            Interval(at, side.hi, False, side.hi_open),
        )
        node.children = tuple(Node(node.env | {best: part}, node.relation) for part in parts)
        for child in node.children:
            self._push(child, upper)
        return True

    def _cut(self, name: str, side: Interval) -> fmpq:
        lo, hi = side.ends
        for x in (*self.cuts.get(name, ()), fmpq(0)):
            if lo < x < hi:
                return x
        if lo > 0 and hi > 1000 * lo:  # a range of many scales is cut between the scales
            x = fmpq(2) ** round(float((arb(lo).log() + arb(hi).log()) / (2 * arb(2).log())))
            if lo < x < hi:
                return x
        return (lo + hi) / 2
