"""Elementary functions of intervals, and enclosures of their slopes.

The *slope* of phi between x != y is (phi(y) - phi(x)) / (y - x).  An enclosure of all slopes over
an interval needs no differentiability (abs, max, sqrt at 0 all have one), obeys the chain rule,
and gives what box proofs use: monotonicity and the mean-value form.  By the mean value theorem the
range of the derivative encloses the slopes.
"""

from __future__ import annotations

from flint import arb, fmpq

from theory.intervals import (
    ONE,
    UNBOUNDED,
    UNDEFINED,
    ZERO,
    Interval,
    absolute,
    add,
    from_arb,
    increasing,
    inverse,
    maximum,
    minimum,
    mul,
    neg,
    point,
    power,
)

_HALF = fmpq(1, 2)
_PI_BELOW = fmpq(314159, 100000)


def _zero_at_zero(x: fmpq) -> fmpq | None:
    return x if x == 0 else None


def _clip(a: Interval, *, above_: fmpq, below_: fmpq | None = None) -> Interval:
    """a, of which it is known that above_ < a < below_: rounding may have hidden it."""
    lo, lo_open, hi, hi_open = a.lo, a.lo_open, a.hi, a.hi_open
    if lo is None or lo <= above_:
        lo, lo_open = above_, True
    if below_ is not None and (hi is None or hi >= below_):
        hi, hi_open = below_, True
    return Interval(lo, hi, lo_open, hi_open)


def exp(a: Interval) -> Interval:
    """e**a."""
    if not a.defined:
        return UNDEFINED
    out = increasing(
        a, lambda x: fmpq(1) if x == 0 else None, lambda x: arb(x).exp(), limits=(fmpq(0), None)
    )
    return _clip(out, above_=fmpq(0))


def expm1(a: Interval) -> Interval:
    """e**a - 1."""
    if not a.defined:
        return UNDEFINED
    out = increasing(a, _zero_at_zero, lambda x: arb(x).expm1(), limits=(fmpq(-1), None))
    return _clip(out, above_=fmpq(-1))


def log(a: Interval) -> Interval:
    """Natural logarithm; undefined unless a > 0."""
    if not (a.defined and a.is_positive):
        return UNDEFINED
    source = Interval(None, a.hi, True, a.hi_open) if a.lo == 0 else a
    return increasing(source, lambda x: fmpq(0) if x == 1 else None, lambda x: arb(x).log())


def log1p(a: Interval) -> Interval:
    """log(1 + a); undefined unless a > -1."""
    if not (a.defined and add(a, ONE).is_positive):
        return UNDEFINED
    source = Interval(None, a.hi, True, a.hi_open) if a.lo == -1 else a
    return increasing(source, _zero_at_zero, lambda x: arb(x).log1p())


def tanh(a: Interval) -> Interval:
    """Hyperbolic tangent."""
    if not a.defined:
        return UNDEFINED
    out = increasing(a, _zero_at_zero, lambda x: arb(x).tanh(), limits=(fmpq(-1), fmpq(1)))
    return _clip(out, above_=fmpq(-1), below_=fmpq(1))


def acos(a: Interval) -> Interval:
    """Arc cosine; undefined unless -1 <= a <= 1."""
    if not a.defined or a.lo is None or a.hi is None or a.lo < -1 or a.hi > 1:
        return UNDEFINED

    def minus_acos(x: fmpq) -> arb:
        return -arb(x).acos()

    return neg(increasing(a, lambda x: fmpq(0) if x == 1 else None, minus_acos))


def cos(a: Interval) -> Interval:
    """Cosine; sharp on [-pi, pi], where it falls with abs(a)."""
    if not a.defined:
        return UNDEFINED
    size = absolute(a)
    if size.hi is not None and size.hi <= _PI_BELOW:
        out = increasing(size, lambda x: fmpq(-1) if x == 0 else None, lambda x: -arb(x).cos())
        return maximum(neg(ONE), minimum(ONE, neg(out)))
    if a.lo is None or a.hi is None:
        return Interval(fmpq(-1), fmpq(1))
    return maximum(neg(ONE), minimum(ONE, from_arb(arb(a.lo).union(arb(a.hi)).cos())))


def _pole_at_zero(a: Interval, q: fmpq) -> Interval:
    """Range of x**q, q < 0, for the slopes of a function defined on a >= 0: unbounded next to
    zero.
    """
    if not a.is_nonnegative or (a.hi is not None and a.hi == 0):
        return UNBOUNDED
    return power(Interval(a.lo, a.hi, a.lo_open or a.lo == 0, a.hi_open), q)


def slope_power(a: Interval, q: fmpq) -> Interval:
    """Slopes of x**q on a, where x**q is defined."""
    if q == 0:
        return ZERO
    lowered = q - 1
    inner = _pole_at_zero(a, lowered) if lowered < 0 and not a.is_negative else power(a, lowered)
    return mul(point(q), inner)


def slope_tanh(value: Interval) -> Interval:
    """Slopes of tanh, from its value: 1 - tanh**2, kept nonnegative."""
    return maximum(ZERO, add(ONE, neg(power(value, fmpq(2)))))


def slope_cos(a: Interval) -> Interval:
    """Slopes of cos: -sin, at most 0 on [0, pi]."""
    if a.lo is None or a.hi is None:
        return Interval(fmpq(-1), fmpq(1))
    falls = a.lo >= 0 and a.hi <= _PI_BELOW
    ball = -arb(a.lo).union(arb(a.hi)).sin()
    return maximum(neg(ONE), minimum(ZERO if falls else ONE, from_arb(ball)))


def slope_acos(a: Interval) -> Interval:
    """Slopes of acos on [-1, 1]: -(1 - x**2)**(-1/2), unbounded next to the ends."""
    inside = maximum(ZERO, add(ONE, neg(power(a, fmpq(2)))))
    return neg(_pole_at_zero(inside, -_HALF))


def slope_abs(a: Interval) -> Interval:
    """Slopes of abs."""
    if a.is_nonnegative:
        return ONE
    return neg(ONE) if a.is_nonpositive else Interval(fmpq(-1), fmpq(1))


def slope_step(a: Interval, value: Interval) -> Interval:
    """Slopes of a nondecreasing jump function (step, sign): 0 where it is constant, else anything
    >= 0.
    """
    return ZERO if value.is_point and a.defined else Interval(fmpq(0), None, False, True)


def slope_log(a: Interval) -> Interval:
    """Slopes of log on a > 0."""
    return inverse(a)
