"""The margin over networks of total variation 1: approximate the game, then bound the network and the weights exactly.

The game restricted to the patterns found so far gives weights q and, through the peaks of the dual function at q,
neurons (`numerics.margins`). When no new pattern is found uphill, all of them are priced by the sign tree, which either
confirms the value or names a pattern that was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flint import arb, ctx, fmpq

from numerics.errors import NumericsError
from proofs_checks.exact_data import Matrix, Row
from proofs_checks.margins_numbers import Bounds, above, below, simplex_point
from proofs_checks.margins_symmetry import Reflection, images, orbits, permutation, snapped
from theory.errors import LemmataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from numerics.margins import Pattern, Peak, Restricted

    Float = NDArray[np.float64]
    Neuron = tuple[int, Float]

BITS = 256
MOST_ROUNDS, MOST_NEW, MOST_IMAGES = 60, 12, 4096
STARTS = 400
LIMIT = 50_000  # patterns of one label that are priced; a certificate that speaks of more is too long to be audited
FEW = 5_000  # of a subset whose margin bounds that of all points, where those have too many
TOO_MANY = (
    f"the points of one label have more than {LIMIT} patterns, too many to price them all; give fewer points or "
    "coordinates (the margin of some of the points is at least as large)"
)
SLACKS = tuple(Fraction(1, 10**k) for k in (13, 12, 11, 10, 9))  # of the radius that is proved


@dataclass(frozen=True)
class Game:
    """Points, labels and symmetries, exact and as floats."""

    points: Matrix
    labels: tuple[int, ...]
    reflections: tuple[Reflection, ...]
    orbits: list[list[int]]
    X: Float
    y: Float

    @classmethod
    def of(cls, points: Matrix, labels: Sequence[int], reflections: tuple[Reflection, ...]) -> Game:
        """With the orbits of the points under the reflections."""
        import numpy as np

        X = np.array([[float(t) for t in x] for x in points])
        y = np.array(labels, dtype=float)
        groups = orbits(reflections, points, labels)
        return cls(points, tuple(labels), reflections, groups, X, y)

    def weights(self, q: Float) -> Row:
        """Exact weights, constant on orbits."""
        out = list(q)
        for orbit in self.orbits:
            mean = float(sum(q[i] for i in orbit)) / len(orbit)
            for i in orbit:
                out[i] = mean
        return simplex_point(out)

    def weighted(self, q: Row) -> tuple[Matrix, Row]:
        """The points with q_i > 0, and their q_i y_i."""
        used = [i for i, a in enumerate(q) if a]
        return tuple(self.points[i] for i in used), tuple(q[i] * self.labels[i] for i in used)


def bounds_f1(
    points: Matrix,
    labels: Sequence[int],
    *,
    reflections: tuple[Reflection, ...],
    gap: float,
    certify: bool,
) -> Bounds:
    """Lower and upper bound of the margin in the space "f1", and what proves them."""
    game = Game.of(points, labels, reflections)
    played = _play(game, gap)
    best = _network(game, played, gap / 64)
    q, reason = played.q, played.reason
    if not reason and not certify:
        return Bounds(best[0], Fraction(played.priced), q, "network", best[1], None)
    if not reason:
        upper, witness = _certified(game, q, Fraction(played.priced))
        if witness is not None and upper**2 <= min(_dot(x, x) for x in points):
            return Bounds(best[0], upper, q, "network", best[1], witness)
        reason = f"the weights that were found prove no more than {float(upper):.9g}; scale the points alike"
    upper, q, witness = _unsolved(game, played, gap, certify)
    return Bounds(best[0], upper, q, "network", best[1], witness, reason)


@dataclass(frozen=True)
class _Played:
    """Weights, neurons for a network, the price of the weights, and why the search ended early, or "".

    ``last``: the restricted game that was solved last. ``too_many``: the weights cannot be priced.
    """

    q: Row
    neurons: list[Neuron]
    last: Restricted | None
    priced: float = 0.0
    reason: str = ""
    too_many: bool = False


def _play(game: Game, gap: float) -> _Played:
    """The game on more and more patterns, until none is missing."""
    import numpy as np

    from numerics.margins import pattern_of, peak, peaks, restricted_game

    X, y = game.X, game.y
    starts = _starts(X)
    weights = game.weights(np.full(len(X), 1.0 / len(X)))
    q = np.array([float(a) for a in weights])
    patterns: dict[Pattern, None] = {}
    value, slack = 0.0, gap / 64
    last: Restricted | None = None
    neurons: list[Neuron] = []
    for _ in range(MOST_ROUNDS):
        known = [p for p in (peak(X, y, q, pattern) for pattern in patterns) if p is not None]
        lively = np.vstack([starts, *(p.direction[None] for p in known)])
        found = [*known, *peaks(X, y, q, starts=lively, known=patterns)]
        found.sort(key=lambda p: -p.value)
        top = found[0].value if found else 0.0
        neurons = [(p.sign, p.direction) for p in found if p.value > 0.5 * top]
        new = [p for p in found if p.value > value * (1 + slack) and p.pattern not in patterns]
        if not new:
            if found:
                q, last = _refined(game, q, found, list(patterns), last)
            weights = game.weights(q)
            try:
                priced, u = _priced(game, weights)
            except (LemmataError, NumericsError):
                return _Played(weights, neurons, last, reason=TOO_MANY, too_many=True)
            if priced > value * (1 + slack):
                fresh = (peak(X, y, q, pattern_of(X, y, u, s)) for s in (1, -1))
                new = [p for p in fresh if p is not None and p.pattern not in patterns]
            if not new:
                reason = "" if found else "the weighted features cancel in floating point"
                return _Played(weights, neurons, last, priced, reason)
            top = priced
        patterns |= dict.fromkeys(p.pattern for p in new[:MOST_NEW])
        # the restricted game may have the value 0 at first
        scale = max(value, 1e-3 * top)
        try:
            last = restricted_game(X, y, game.orbits, list(patterns), scale)
        except NumericsError as error:
            return _Played(game.weights(q), neurons, last, reason=str(error))
        q, value = last.q, last.value
    reason = f"the search ended after {MOST_ROUNDS} rounds; ask for a larger gap"
    return _Played(game.weights(q), neurons, last, reason=reason)


def _starts(X: Float) -> Float:
    """Unit vectors from which to look for peaks: random ones, random ones after whitening, and the points."""
    import numpy as np

    rng = np.random.default_rng(0)
    plain = rng.standard_normal((STARTS, X.shape[1]))
    _, sizes, axes = np.linalg.svd(X, full_matrices=False)
    kept = sizes > 1e-13 * sizes[0]
    # the signs at the points are then as random as for points without a scale or direction of their own
    white = (rng.standard_normal((STARTS, int(kept.sum()))) / sizes[kept]) @ axes[kept]
    starts = np.vstack([plain, white, X, -X])
    sizes = np.linalg.norm(starts, axis=1)
    found: Float = starts[sizes > 0] / sizes[sizes > 0, None]
    return found


def _refined(
    game: Game,
    q: Float,
    found: Sequence[Peak],
    patterns: Sequence[Pattern],
    last: Restricted | None,
) -> tuple[Float, Restricted | None]:
    """The game on the patterns that matter, solved once more: fewer cones give better numbers, where they do.

    The better weights, and the game that gave them.
    """
    from numerics.margins import peak, restricted_game

    best = found[0].value
    high = [p.pattern for p in found if p.value > best * (1 - 1e-4) and p.pattern in patterns]
    try:
        again = restricted_game(game.X, game.y, game.orbits, high, best)
    except NumericsError:
        return q, last
    after = (peak(game.X, game.y, again.q, pattern) for pattern in patterns)
    better = max((p.value for p in after if p is not None), default=best) < best
    return (again.q, again) if better else (q, last)


def _priced(game: Game, q: Row) -> tuple[float, Float]:
    """The maximum of |Σ q_i y_i (<u, x_i>)_+| over unit u in floating point, and a maximiser."""
    from proofs_checks.sign_tree import pricing_bound

    return pricing_bound(*game.weighted(q), reflections=game.reflections, limit=LIMIT)


def _certified(game: Game, q: Row, value: Fraction) -> tuple[Fraction, Any]:
    """A bound a little above the price of the weights and its witness for the audit kernel, or None."""
    from proofs_checks.sign_tree import bound_witness

    # what rounding may have added to the price of weights whose features cancel
    noise = Fraction(1, 10**14) * max(abs(t) for x in game.points for t in x)
    for slack in SLACKS:
        radius = Fraction(float(value * (1 + slack)))
        witness = bound_witness(*game.weighted(q), radius, reflections=game.reflections)
        if witness is not None:
            return radius, witness
    radius = Fraction(float(value + noise))
    return radius, bound_witness(*game.weighted(q), radius, reflections=game.reflections)


def _unsolved(game: Game, played: _Played, gap: float, certify: bool) -> tuple[Fraction, Row, Any]:
    """The upper bound that the weights give, where it can be proved, or that of fewer points; at most ‖x_i‖ of each."""
    from proofs_checks.sign_tree import bound_witness

    n = len(game.points)
    squares = [_dot(x, x) for x in game.points]
    least = squares.index(min(squares))
    try:
        if played.too_many:
            kept = _heaviest(game, played.q)
            some, labels = (
                tuple(game.points[i] for i in kept),
                [game.labels[i] for i in kept],
            )
            found = bounds_f1(some, labels, reflections=(), gap=gap, certify=certify)
            q = [Fraction(0)] * n
            for i, a in zip(kept, found.q, strict=True):
                q[i] = a
            upper, weights, witness = found.upper, tuple(q), found.witness
        else:
            upper, weights, witness = Fraction(_priced(game, played.q)[0]), played.q, None
            if certify:
                upper, witness = _certified(game, played.q, upper)
        if upper**2 <= squares[least] and (witness is not None or not certify):
            return upper, weights, witness
    except (LemmataError, NumericsError):
        pass  # the smallest point bounds the margin all the same
    alone = tuple(Fraction(int(i == least)) for i in range(n))
    with ctx.workprec(BITS):
        upper = above(arb(_exact(squares[least])).sqrt())
    return upper, alone, bound_witness(*game.weighted(alone), upper) if certify else None


def _heaviest(game: Game, q: Row) -> list[int]:
    """As many points of each label as can be priced, those with the largest weights."""
    from numerics.arrangements import count_bound

    d = len(game.points[0])
    many = 1
    while count_bound(many + 1, d) <= min(FEW, LIMIT) and many < len(q):
        many += 1
    kept: list[int] = []
    for label in (1, -1):
        members = [i for i, a in enumerate(game.labels) if a == label]
        kept += sorted(members, key=lambda i: -q[i])[:many]
    return sorted(kept)


# -- the network ----------------------------------------------------------------------------------------------------
def _network(game: Game, played: _Played, slack: float) -> tuple[Fraction, list[Any]]:
    """The best network that the neurons and their images make, with the lower bound that it proves."""
    import numpy as np

    from numerics.margins import outer_weights

    found, guess = list(played.neurons), [0.0] * len(played.neurons)
    if played.last is not None:
        found += played.last.neurons
        guess += played.last.outer
    if not found:
        return Fraction(0), []
    if game.reflections:
        sums: dict[tuple[int, tuple[float, ...]], float] = {}
        for (sign, u), weight in zip(found, guess, strict=True):
            key = (sign, snapped(u.tolist()))
            sums[key] = sums.get(key, 0.0) + weight
        found, guess = [(sign, np.array(u)) for sign, u in sums], list(sums.values())
    try:
        c = outer_weights(game.X, game.y, game.orbits, found, np.array(guess), slack)
    except NumericsError:
        return Fraction(0), []
    moves = [
        (a, (permutation(a, game.points, game.labels) or (1, []))[0]) for a in game.reflections
    ]
    neurons: list[Any] = []
    for (sign, direction), outer in zip(found, c, strict=True):
        if outer <= 1e-14 * c.max():
            continue
        copies = images(moves, [Fraction(t) for t in direction.tolist()], MOST_IMAGES)
        if copies is None:
            return Fraction(0), []
        neurons += [(Fraction(float(outer)) * sign * s / len(copies), u) for s, u in copies]
    lower = margin_of(game.points, game.labels, neurons)
    return (lower, neurons) if lower > 0 else (Fraction(0), [])


def margin_of(
    points: Matrix, labels: Sequence[int], neurons: Sequence[tuple[Fraction, Row]]
) -> Fraction:
    """A binary64 number below min_i y_i f(x_i) / Σ_j |c_j| ‖u_j‖, at least 0."""
    outputs = [Fraction(0)] * len(points)
    with ctx.workprec(BITS):
        variation = arb(0)
        for c, u in neurons:
            variation += arb(_exact(abs(c))) * arb(_exact(_dot(u, u))).sqrt()
            for i, x in enumerate(points):
                outputs[i] += c * max(_dot(x, u), Fraction(0))
        worst = min(f * s for f, s in zip(outputs, labels, strict=True))
        return below(arb(_exact(worst)) / variation) if worst > 0 else Fraction(0)


def _dot(a: Row, b: Row) -> Fraction:
    return sum((s * t for s, t in zip(a, b, strict=True)), Fraction(0))


def _exact(value: Fraction) -> Any:
    return fmpq(value.numerator, value.denominator)
