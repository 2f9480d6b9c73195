"""The margin in the space of initial features: approximate, then solve on the support with many bits, then bound."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from flint import arb, arb_mat, ctx, fmpq

from proofs_checks.exact_data import Matrix, Row
from proofs_checks.margins_numbers import WEIGHT_BITS, Bounds, above, below, simplex_point

BITS = 256
MOST_CHANGES = 200  # of the support, which is nearly right at the start


def bounds_f2(points: Matrix, labels: Sequence[int]) -> Bounds:
    """Lower and upper bound of the margin in the space "f2", and what proves them."""
    import numpy as np

    from numerics.margins_kernel import feature_kernel, smallest_mean

    X = np.array([[float(t) for t in x] for x in points])
    y = np.array(labels, dtype=float)
    approximate = smallest_mean(feature_kernel(X) * np.outer(y, y))
    with ctx.workprec(BITS):
        game = _Game(points, labels)
        weights = _polished(game, approximate.tolist())
        found = _bounds(game, simplex_point(weights))
        if found.upper - found.lower > Fraction(1, 10**12) * found.upper:
            found = _bounds(game, simplex_point(weights, BITS - WEIGHT_BITS))  # much cancels
    return found


def _bounds(game: _Game, q: Row) -> Bounds:
    """q bounds the margin from above by the norm of its function, and this function has a margin."""
    used = [i for i, a in enumerate(q) if a]
    outputs = [game.output(i, used, [_ball(q[j]) for j in used]) for i in range(len(q))]
    square = sum((_ball(q[i]) * outputs[i] for i in used), arb(0))
    upper = above(square.max(arb(0)).sqrt())
    lower = Fraction(0)
    if square > 0:
        norm = square.sqrt()
        lower = min(below(f / norm) for f in outputs)
    return Bounds(lower, upper, q, "kernel", [] if lower == 0 else list(q), {})


class _Game:
    """The entries y_i K(x_i, x_j) y_j as balls, each computed once."""

    def __init__(self, points: Matrix, labels: Sequence[int]) -> None:
        self.points = [[_exact(t) for t in x] for x in points]
        self.squares = [sum((t * t for t in x), fmpq(0)) for x in self.points]
        self.labels, self.known = labels, dict[tuple[int, int], arb]()

    def entry(self, i: int, j: int) -> arb:
        """y_i K(x_i, x_j) y_j, exact where the angle is 0 or π."""
        key = (min(i, j), max(i, j))
        if key not in self.known:
            product = sum(
                (s * t for s, t in zip(self.points[i], self.points[j], strict=True)), fmpq(0)
            )
            squares = self.squares[i] * self.squares[j]
            if product * product == squares:
                value = arb(max(product, fmpq(0))) / 2
            else:
                angle = (arb(product) / arb(squares).sqrt()).acos()
                value = arb(product) * (1 - angle / arb.pi()) / 2
            self.known[key] = value * (self.labels[i] * self.labels[j])
        return self.known[key]

    def output(self, i: int, used: Sequence[int], z: Sequence[arb]) -> arb:
        """Σ_j of the entries (i, j) times z_j."""
        return sum((self.entry(i, j) * t for j, t in zip(used, z, strict=True)), arb(0))

    def equal_margins(self, used: Sequence[int]) -> list[arb] | None:
        """z for which the outputs at the points used are 1; None where they do not determine it."""
        size = len(used)
        entries = [self.entry(i, j) for i in used for j in used]
        try:
            z = arb_mat(size, size, entries).solve(arb_mat(size, 1, [arb(1)] * size))
        except ZeroDivisionError:
            return None
        return [z[k, 0].mid() for k in range(size)]


def _polished(game: _Game, approximate: Sequence[float]) -> Sequence[Any]:
    """Non-negative z with all outputs at least 1, equal to 1 where z > 0: the active set method of Lawson and Hanson.

    z is the optimal q up to its scale. The start is the approximate support; without progress from there, approximate
    weights are returned.
    """
    n = len(approximate)
    top = max(approximate)
    used = [i for i in range(n) if approximate[i] > 1e-10 * top]
    z: dict[int, arb] = {}
    for _ in range(MOST_CHANGES):
        solved = game.equal_margins(used)
        if solved is None:
            return approximate
        aimed = dict(zip(used, solved, strict=True))
        if z and not all(t > 0 for t in solved):
            # from z towards the aim until an entry vanishes, which then leaves
            ratios = {i: z[i] / (z[i] - t) for i, t in aimed.items() if not t > 0}
            leaving = min(ratios, key=lambda i: float(ratios[i].mid()))
            step = ratios[leaving].mid()
            z = {i: (z[i] + step * (t - z[i])).mid() for i, t in aimed.items() if i != leaving}
            used = list(z)
            continue
        if not all(t > 0 for t in solved):  # at the start there is no z to come from
            used = [i for i, t in aimed.items() if t > 0]
            continue
        z = aimed
        lacking = {i: 1 - game.output(i, used, solved) for i in range(n) if i not in z}
        worst = max(lacking, key=lambda i: float(lacking[i].mid()), default=None)
        if worst is None or not lacking[worst] > arb(2) ** -(BITS // 4):
            return [Fraction(*_ratio(z[i])) if i in z else 0 for i in range(n)]
        z[worst] = arb(0)
        used = list(z)
    return approximate


def _ratio(middle: arb) -> tuple[int, int]:
    exact = middle.fmpq()
    return int(exact.p), int(exact.q)


def _exact(value: Fraction) -> Any:
    return fmpq(value.numerator, value.denominator)


def _ball(value: Fraction) -> arb:
    return arb(_exact(value))
