"""Quantities of a reference trajectory in balls: weights, outputs, loss, angles, and their suprema over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx

from tests.numerics.reference_flow import Trajectory

NAMES = ("max_weight_sq", "max_abs_output", "loss", "max_angle")
PRECISION = 320
NODES = 5
REFINEMENTS = 24

Vector = list[arb]


def inner(a: Vector, b: Vector) -> arb:
    """Inner product."""
    return sum((x * y for x, y in zip(a, b, strict=True)), start=arb(0))


def largest(values: list[arb]) -> arb:
    """The largest of some numbers."""
    out = values[0]
    for value in values[1:]:
        out = out.max(value)
    return out


def angle(a: Vector, b: Vector) -> arb:
    """The angle between two vectors, accurate also when it is small."""
    dot, square = inner(a, b), inner(b, b)
    across = [x - y * dot / square for x, y in zip(a, b, strict=True)]
    rest = inner(across, across) * square
    # of parallel vectors the ball around 0 has no square root
    return arb.atan2((arb(rest.abs_upper()) if rest.contains(0) else rest).sqrt(), dot)


@dataclass(frozen=True)
class Values:
    """Everything at one instant, in true units.

    Args:
        W: (h, d), V: (h,). f: (n,). loss. angles: (h,) to the start.
    """

    W: list[Vector]
    V: Vector
    f: Vector
    loss: arb
    angles: Vector

    def of(self, name: str) -> arb:
        """A quantity of ``NAMES``."""
        if name == "max_weight_sq":
            return largest([inner(w, w) for w in self.W])
        if name == "max_abs_output":
            return largest([abs(f) for f in self.f])
        return self.loss if name == "loss" else largest(self.angles)


def values(path: Trajectory, t: float | int, *, W0: np.ndarray | None = None) -> Values:
    """The quantities at a time: a float, or an integer in the trajectory's fixed point.

    Args:
        W0: (h, d) what angles are measured from, by default the trajectory's start.
    """
    problem, lane = path.problem, path.lane
    with ctx.workprec(PRECISION):
        W, V, mask = path.at_fixed(t) if isinstance(t, int) else path.at(t)
        eps = arb(float(problem.log_eps[lane])).exp()
        W, V = [[eps * x for x in w] for w in W], [eps * x for x in V]
        X = [[arb(float(x)) for x in row] for row in problem.X]
        f = [
            sum(
                (v * inner(w, x) for w, v, s in zip(W, V, mask[:, i], strict=True) if s),
                start=arb(0),
            )
            for i, x in enumerate(X)
        ]
        y = [arb(float(label)) for label in problem.y]
        total = sum((_loss(problem.loss, a, b) for a, b in zip(f, y, strict=True)), start=arb(0))
        first = [[arb(float(x)) for x in w] for w in (problem.W0[lane] if W0 is None else W0)]
        angles = [angle(w, u) for w, u in zip(W, first, strict=True)]
        return Values(W, V, f, arb(float(problem.weight)) * total, angles)


def _loss(name: str, f: arb, y: arb) -> arb:
    if name == "squared":
        return (f - y) ** 2
    if name == "exponential":
        return (-y * f).exp()
    return (2 if name == "logistic2" else 1) * (-y * f).exp().log1p()


def suprema(path: Trajectory, names: Sequence[str] = NAMES) -> dict[str, tuple[arb, float]]:
    """(value, time) of suprema over [0, end], from samples refined by parabolas.

    Quantities are smooth inside the pieces but for upward cusps (a maximum over neurons), so that a supremum
    is at an end of a piece, or at a smooth maximum, where an error of the time counts by its square.
    """
    stop = _fixed_end(path)
    begins = [piece.begin for piece in path.pieces]
    grid: list[int] = []
    for a, b in zip(begins, [*begins[1:], stop], strict=True):
        grid += [a + (b - a) * k // NODES for k in range(NODES)]
    grid.append(stop)
    found = [values(path, t) for t in grid]
    return {name: _refined(path, name, grid, [x.of(name) for x in found]) for name in names}


def _refined(path: Trajectory, name: str, grid: list[int], found: list[arb]) -> tuple[arb, float]:
    best = int(np.argmax([_key(x) for x in found]))
    place, value = grid[best], found[best]
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    for _ in range(REFINEMENTS):
        left, right = (place + low) // 2, (place + high) // 2
        for t in (_vertex(path, name, low, place, high), left, right):
            other = values(path, t).of(name)
            if other.mid() > value.mid():
                place, value = t, other
        width = max(high - low, 8) // 8
        low, high = max(low, place - width), min(high, place + width)
    return value, float(arb((place, -2 * path.setting.bits)))


def _fixed_end(path: Trajectory) -> int:
    mantissa, exponent = arb(path.end).man_exp()
    shift = int(exponent) + 2 * path.setting.bits
    return int(mantissa) << shift if shift >= 0 else int(mantissa) >> -shift


def _key(x: arb) -> float:
    """Comparable also where floats underflow."""
    return float(x.log().mid()) if x > 0 else -np.inf


def _vertex(path: Trajectory, name: str, a: int, b: int, c: int) -> int:
    """The time at which the parabola through three instants is largest, kept between them."""
    if not a < b < c:
        return b
    with ctx.workprec(PRECISION):
        fa, fb, fc = (values(path, t).of(name) for t in (a, b, c))
        p, q = (b - a) * (fb - fc), (b - c) * (fb - fa)
        bottom = 2 * (p - q)
        if bottom.contains(0):
            return b
        moved = b - ((b - a) * p - (b - c) * q) / bottom
        return min(max(int(moved.mid().floor().unique_fmpz()), a), c)
