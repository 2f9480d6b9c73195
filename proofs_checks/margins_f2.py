"""The margin in the space of initial features: approximate, then solve on the support with many bits, then bound."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from flint import arb, arb_mat, ctx, fmpq

from proofs_checks.exact_data import Matrix, Row
from proofs_checks.margins_numbers import Bounds, above, below, simplex_point

BITS = 256
MOST_ENTRIES = 4_000_000  # of the kernel matrix; more of them take minutes


def bounds_f2(points: Matrix, labels: Sequence[int]) -> Bounds:
    """Lower and upper bound of the margin in the space "f2", and what proves them."""
    import numpy as np

    from numerics.margins_kernel import feature_kernel, smallest_mean

    X = np.array([[float(t) for t in x] for x in points])
    y = np.array(labels, dtype=float)
    approximate = smallest_mean(feature_kernel(X) * np.outer(y, y))
    with ctx.workprec(BITS):
        q = _polished(points, labels, simplex_point(approximate))
        nu = [a * s for a, s in zip(q, labels, strict=True)]
        used = [i for i, a in enumerate(nu) if a]
        outputs = [
            sum((_ball(nu[j]) * kernel(points[i], points[j]) for j in used), arb(0)) * labels[i]
            for i in range(len(points))
        ]
        square = sum((_ball(q[i]) * outputs[i] for i in used), arb(0))
        upper = above(square.sqrt() if square > 0 else abs(square).sqrt())
        worst = min(outputs, key=lambda f: float(f.mid()))
        lower = below(worst / square.sqrt()) if square > 0 else Fraction(0)
    return Bounds(lower, upper, q, "kernel", [] if lower == 0 else list(q), {})


def kernel(x: Row, z: Row) -> arb:
    """K(x, z), exact where the angle is 0 or π."""
    product = _exact(sum((s * t for s, t in zip(x, z, strict=True)), Fraction(0)))
    squares = _exact(sum((s * s for s in x), Fraction(0)) * sum((t * t for t in z), Fraction(0)))
    if product * product == squares:
        return arb(max(product, fmpq(0))) / 2
    angle = (arb(product) / arb(squares).sqrt()).acos()
    return arb(product) * (1 - angle / arb.pi()) / 2


def _polished(points: Matrix, labels: Sequence[int], q: Row) -> Row:
    """The weights on the support of q for which all its margins are equal; q itself where that has no such solution."""
    used = [i for i, a in enumerate(q) if a > Fraction(1, 10**10)]
    size = len(used)
    entries = [kernel(points[i], points[j]) * (labels[i] * labels[j]) for i in used for j in used]
    try:
        z = arb_mat(size, size, entries).solve(arb_mat(size, 1, [arb(1)] * size))
    except ZeroDivisionError:
        return q
    middles = [Fraction(*_ratio(z[k, 0])) for k in range(size)]
    if min(middles) <= 0:
        return q
    out = [Fraction(0)] * len(q)
    for i, a in zip(used, simplex_point(middles), strict=True):
        out[i] = a
    return tuple(out)


def _ratio(ball: arb) -> tuple[int, int]:
    middle = ball.mid().fmpq()
    return int(middle.p), int(middle.q)


def _exact(value: Fraction) -> Any:
    return fmpq(value.numerator, value.denominator)


def _ball(value: Fraction) -> arb:
    return arb(_exact(value))
