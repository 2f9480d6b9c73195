"""Enclosures of numbers, for the kernel alone.

An *end* is (class, value, shift): class -1 or 1 is an infinity, class 0 the rational ``value``;
shift 1 means "just above" it, -1 "just below": (0, 1] has the ends (0, 0, 1) and (0, 1, 0).  Ends
compare as tuples.  An enclosure is a pair (lower end, upper end) around all values of an expression
on a box; what may be undefined there raises Rejected.  Ends are exact until they grow long; then,
and by a transcendental function, they are rounded outwards: ball arithmetic, ``ctx.prec`` bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb, ctx, fmpq, fmpz

from proofs_checks.audit.core import Rejected

CAP = 1 << 16  # a nonzero end is between 2**-CAP and 2**CAP in absolute value
End = tuple[int, Any, int]
Pair = tuple[End, End]
Q0, Q1 = fmpq(0), fmpq(1)
MINUS_INF, PLUS_INF = (-1, Q0, 0), (1, Q0, 0)
ZERO, ABOVE_ZERO, ONE, MINUS_ONE = (0, Q0, 0), (0, Q0, 1), (0, Q1, 0), (0, -Q1, 0)


def constant(value: Any) -> Pair:
    return (0, fmpq(value), 0), (0, fmpq(value), 0)


def bound(ball: arb, role: int, shift: int = 0) -> End:
    """An end below (role 1) or above (role -1) every number of the ball."""
    edge = ball.lower() if role > 0 else ball.upper()
    if not edge.is_finite():
        return -role, Q0, 0
    man, exp = edge.man_exp()
    size = int(exp) + man.bit_length()
    if man == 0 or abs(size) < CAP:
        return 0, fmpq(man << int(exp)) if exp >= 0 else fmpq(man, fmpz(1) << int(-exp)), shift
    if (man > 0) == (role > 0):  # rounded towards zero
        return (0, fmpq(role), 0) if size > 0 else (0, Q0, role)
    return (-role, Q0, 0) if size > 0 else (0, fmpq(-role, fmpz(1) << CAP), 0)


def tidy(end: End, role: int) -> End:
    """The end, rounded outwards once it has grown long."""
    if end[0] or end[1].height_bits() <= 4 * ctx.prec:
        return end
    rounded = bound(arb(end[1]), role, end[2])
    return rounded if rounded[1] == end[1] else (*rounded[:2], role)


def neg(x: Pair) -> Pair:
    (a, u, s), (b, v, t) = x
    return (-b, -v, -t), (-a, -u, -s)


def add(x: Pair, y: Pair) -> Pair:
    def plus(a: End, b: End, role: int) -> End:
        infinite = a[0] or b[0]
        return (infinite, Q0, 0) if infinite else tidy((0, a[1] + b[1], a[2] or b[2]), role)

    return plus(x[0], y[0], 1), plus(x[1], y[1], -1)


def mul(x: Pair, y: Pair) -> Pair:
    def times(a: End, b: End, role: int) -> End:
        zero_a, zero_b = a[0] == 0 == a[1], b[0] == 0 == b[1]
        if zero_a or zero_b:  # the factors are real; zero is attained if one of them attains it
            return 0, Q0, 0 if (zero_a and not a[2]) or (zero_b and not b[2]) else role
        if a[0] or b[0]:
            return PLUS_INF if (a > ZERO) == (b > ZERO) else MINUS_INF
        return 0, a[1] * b[1], role if a[2] or b[2] else 0

    low = min(times(a, b, 1) for a in x for b in y)
    return tidy(low, 1), tidy(max(times(a, b, -1) for a in x for b in y), -1)


def inverse(x: Pair) -> Pair:
    if x[1] < ZERO:
        return neg(inverse(neg(x)))
    if x[0] <= ZERO:
        raise Rejected("a division by what may be zero")
    (_, u, s), (infinite, v, t) = x
    low = ABOVE_ZERO if infinite else tidy((0, 1 / v, -t), 1)
    return low, PLUS_INF if u == 0 else tidy((0, 1 / u, -s), -1)


def maximum(x: Pair, y: Pair) -> Pair:
    return max(x[0], y[0]), max(x[1], y[1])


def absolute(x: Pair) -> Pair:
    return max(x[0], neg(x)[0], ZERO), max(x[1], neg(x)[1])


def step(x: Pair) -> Pair:
    return ONE if x[0] > ZERO else ZERO, ZERO if x[1] <= ZERO else ONE


def increasing(
    x: Pair, f: Callable[[Any], arb], known: Callable[[Any], Any], low: End, high: End
) -> Pair:
    """A strictly increasing f with values in (low, high); known: exact values of f, or None."""

    def image(end: End, role: int) -> End:
        if end[0]:
            return low if end[0] < 0 else high
        value = known(end[1])
        return bound(f(arb(end[1])), role, end[2]) if value is None else (0, fmpq(value), end[2])

    return tidy(max(low, image(x[0], 1)), 1), tidy(min(high, image(x[1], -1)), -1)


def power(x: Pair, q: fmpq) -> Pair:
    """x**q; 0**0 = 1, and 0**q = 0 for q > 0."""
    n, d = int(q.p), int(q.q)
    if n <= 0:
        return inverse(power(x, -q)) if n else constant(1)
    if d > 1 and x[0] < ZERO:
        raise Rejected("a root of what may be negative")

    def known(v: Any) -> Any:
        if v == 0 or v == 1 or d > 16 or v.height_bits() * n > 4 * ctx.prec:
            return v if v == 0 or v == 1 else None
        root = v if d == 1 else fmpq(v.p.root(d), v.q.root(d))
        return root**n if root**d == v else None

    def ball(v: arb) -> arb:
        return v**n if d == 1 else v.sqrt() ** n if d == 2 else (v.log() * arb(q)).exp()

    x = absolute(x) if d == 1 and n % 2 == 0 else x
    low = MINUS_INF if x[0] < ZERO else ABOVE_ZERO if x[0] > ZERO else ZERO
    return increasing(x, ball, known, low, PLUS_INF)
