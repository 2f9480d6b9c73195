"""The bound |sum_i nu_i max(x_i . u, 0)| <= R |u| for all u in R^d, from a tree of signs.

    WITNESS {"reflections": [[int, ...], ...], "inside": [int, ...], "plus": TREE, "minus": TREE}
    TREE    see `branches`: "plus" proves phi <= R |u|, "minus" -phi <= R |u|, for u in C, where
            phi(u) = sum_i nu_i max(x_i . u, 0), with -nu in place of nu for "minus"; rows with
            nu_i > 0 are split on, row n + k is reflection k, with sign +
    LEAF    [bits, i, c, ...]: bits: theta of the rows with nu_i < 0, most significant first, in
            hexadecimal; c replaces theta_i

Leaf.  All non-zero rows with nu_i > 0 have signs s_i.  For 0 <= theta_i <= 1 let
g = sum_{nu_i > 0, s_i > 0} nu_i x_i + sum_{nu_i < 0} theta_i nu_i x_i.  Since nu_i max(z, 0) <= theta_i nu_i z
for nu_i < 0, phi(u) <= g . u <= |g| |u| for the u with these signs; and |g|^2 <= R^2 is decided exactly.

Cover.  C is the set {u: a_k . u >= 0 for all k} of the reflection vectors, the whole space if there
is none, and the "inside" point u0 has a_k . u0 > 0.  The u in its interior with x_i . u != 0 for all
non-zero rows are dense in C; each of them goes down to a leaf; by continuity phi <= R |u| on C.

Reflections.  Each u -> u - 2 (a.u) a / |a|^2 maps the weighted points (x_i, nu_i) to themselves, or to
themselves with -nu: so |phi| is invariant under the closed group that they generate, which is compact.
For any u take g in it with <gu, u0> greatest; if a . gu < 0, then reflecting gu in a would add
-2 (a.gu)(a.u0)/|a|^2 > 0; so gu is in C, where |phi| <= R |u| has been proved.
"""

from __future__ import annotations

import re
from typing import Any

from flint import fmpq

from proofs_checks.audit.branches import MAX_COLUMNS, walk
from proofs_checks.audit.core import Clock, Rejected, exact, fields
from proofs_checks.audit.rationals import dot, over_common, short

Vector = list[fmpq]


def check_bound(
    points: list[Vector], nu: Vector, radius_squared: fmpq, witness: Any, clock: Clock
) -> None:
    """Raises Rejected unless the witness proves |sum nu_i max(x_i . u, 0)| <= R |u| for all u, R >= 0."""
    if not points or len(nu) != len(points) or len({len(x) for x in points}) != 1 or not points[0]:
        raise Rejected("the points must be a non-empty matrix, with a number nu for each row")
    if radius_squared < 0:
        raise Rejected("the square of the radius is negative")
    if len(points[0]) > MAX_COLUMNS:
        raise Rejected(
            f"more than {MAX_COLUMNS} columns: leave some out, or rotate the points into fewer"
        )
    reflections, inside, plus, minus = fields(
        witness, ("reflections", "inside", "plus", "minus"), "sign tree"
    )
    mirrors = _mirrors(points, nu, reflections, inside, clock)
    rows = [*(over_common(x, clock)[0] for x in points), *mirrors]
    for what, sign, tree in (("plus", 1, plus), ("minus", -1, minus)):
        leaves = _Leaves(points, [sign * v for v in nu], clock)
        _tree(rows, leaves, radius_squared, tree, what, clock)


def _mirrors(
    points: list[Vector], nu: Vector, reflections: Any, inside: Any, clock: Clock
) -> list[list[int]]:
    """The reflection vectors, once they are symmetries of |phi| and positive at the inside point."""
    width = len(points[0])
    if not isinstance(reflections, list) or len(reflections) > width * width:
        raise Rejected("reflections must be a list, of at most d^2 vectors")
    for vector in [*reflections, *([inside] if reflections else [])]:
        if (
            not isinstance(vector, list)
            or len(vector) != width
            or any(type(x) is not int or abs(x) >= 1 << 256 for x in vector)
        ):
            raise Rejected("a reflection or the inside point is no vector of d small integers")
    if not reflections and inside != []:
        raise Rejected("an inside point without reflections")
    weights = _weights(points, nu, clock)
    opposite = {x: -v for x, v in weights.items()}
    for k, a in enumerate(reflections):
        clock.tick()
        if sum(x * y for x, y in zip(a, inside, strict=True)) <= 0:
            raise Rejected(
                f"the inside point is not strictly on the positive side of reflection {k}"
            )
        normal, square = [fmpq(x) for x in a], sum(x * x for x in a)
        image = []
        for x in points:
            factor = 2 * dot(x, normal, clock) / square
            image.append([p - factor * q for p, q in zip(x, normal, strict=True)])
        if _weights(image, nu, clock) not in (weights, opposite):
            raise Rejected(
                f"reflection {k} does not map the weighted points to themselves, up to sign"
            )
    return reflections


def _weights(points: list[Vector], nu: Vector, clock: Clock) -> dict[tuple[fmpq, ...], fmpq]:
    """The total weight of each point, zeros left out: phi depends on nothing else."""
    total: dict[tuple[fmpq, ...], fmpq] = {}
    for x, v in zip(points, nu, strict=True):
        total[tuple(x)] = short(total.get(tuple(x), fmpq(0)) + v, clock)
    return {x: v for x, v in total.items() if v and any(x)}


class _Leaves:
    """The bound at the end of a branch; vectors are integers over one common denominator."""

    def __init__(self, points: list[Vector], nu: Vector, clock: Clock) -> None:
        self.points, self.nu, self.clock = points, nu, clock
        self.negative = [i for i, v in enumerate(nu) if v < 0]
        flat = [v * x for v, row in zip(nu, points, strict=True) for x in row]
        scaled, self.common = over_common(flat, clock)
        width = len(points[0])
        self.terms = [scaled[k : k + width] for k in range(0, len(flat), width)]
        self.digits = (len(self.negative) + 3) // 4

    def check(self, node: list[Any], positive: list[int], radius_squared: fmpq) -> None:
        """|g| <= R, given the rows with nu_i > 0 that have the sign +."""
        bits, *rest = node
        if len(bits) != self.digits or not re.fullmatch("[0-9a-f]*", bits):
            raise Rejected(f"the bits of theta must be {self.digits} hexadecimal digits")
        theta, count = int(bits or "0", 16), len(self.negative)
        if theta >> count or len(rest) % 2:
            raise Rejected("a leaf has too many bits of theta, or a row without a coefficient")
        full = {i: theta >> (count - 1 - k) & 1 for k, i in enumerate(self.negative)}
        chosen = [*positive, *(i for i, on in full.items() if on)]
        g = [fmpq(sum(c), self.common) for c in zip(*(self.terms[i] for i in chosen), strict=True)]
        g = g or [fmpq(0)] * len(self.points[0])
        seen = set()
        for i, text in zip(rest[::2], rest[1::2], strict=True):
            value = exact(text, "coefficient")
            if type(i) is not int or i not in full or i in seen or not 0 <= value <= 1:
                raise Rejected(
                    f"theta {text:.40} of row {i!a:.20}: no row with nu < 0, named twice, or not between 0 and 1"
                )
            seen.add(i)
            factor = self.nu[i] * (value - full[i])
            g = [short(p + factor * x, self.clock) for p, x in zip(g, self.points[i], strict=True)]
        if dot(g, g, self.clock) > radius_squared:
            raise Rejected("the vector of a leaf is longer than the radius")


def _tree(
    rows: list[list[int]], leaves: _Leaves, limit: fmpq, tree: Any, what: str, clock: Clock
) -> None:
    needed = {i for i, v in enumerate(leaves.nu) if v > 0 and any(rows[i])}
    mirrors = range(len(leaves.nu), len(rows))

    def leaf(node: Any, signs: dict[int, int]) -> None:
        if len(signs) < len(needed) + len(mirrors):
            raise Rejected(f"{what}: a branch ends before all rows with nu > 0 have signs")
        leaves.check(node, [i for i in needed if signs[i] > 0], limit)

    walk(rows, needed, dict.fromkeys(mirrors, 1), tree, leaf, what, clock)
