"""Intervals with rational end-points, each end closed or open, and outward rounding.

Why not bare balls: a ball cannot hold [0, 7/10] without reaching below zero, so square roots,
logarithms and rational powers on boxes that touch zero would be lost, and an inequality that
touches (equality at a corner of the box) could never be decided.  End-points here are exact
rationals; only transcendental functions go through ball arithmetic (python-flint's ``arb``), at an
exact point, and both ends of that ball are taken back as rationals. An end-point whose numerator
or denominator grows beyond ``4 * precision`` bits is rounded outwards.

``lo is None`` means minus infinity, ``hi is None`` plus infinity.  ``lo_open`` says that every
value is strictly greater than ``lo``; closed is the safe default.  A domain error gives
`UNDEFINED`, which poisons all that uses it. The working precision is python-flint's ``ctx.prec``;
set it with ``ctx.workprec``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from flint import arb, ctx, fmpq, fmpz

#: A nonzero end-point lies between 2**-EXPONENT_CAP and 2**EXPONENT_CAP in absolute value;
#: beyond, it becomes 0 or infinite.
EXPONENT_CAP = 1 << 16
_EXACT_ROOTS = 16
End: TypeAlias = "tuple[fmpq | None, bool]"
_ZERO, _ONE = fmpq(0), fmpq(1)
_HUGE, _TINY = fmpq(fmpz(1) << EXPONENT_CAP), fmpq(1, fmpz(1) << EXPONENT_CAP)


@dataclass(frozen=True, slots=True)
class Interval:
    """The set of reals between ``lo`` and ``hi``; see the module's docstring for open ends,
    infinities, undefined.
    """

    lo: fmpq | None
    hi: fmpq | None
    lo_open: bool = False
    hi_open: bool = False
    defined: bool = True

    @property
    def is_positive(self) -> bool:
        """Certainly greater than zero."""
        return self.lo is not None and (self.lo > 0 or (self.lo_open and self.lo == 0))

    @property
    def is_nonnegative(self) -> bool:
        """Certainly at least zero."""
        return self.lo is not None and self.lo >= 0

    @property
    def is_negative(self) -> bool:
        """Certainly less than zero."""
        return self.hi is not None and (self.hi < 0 or (self.hi_open and self.hi == 0))

    @property
    def is_nonpositive(self) -> bool:
        """Certainly at most zero."""
        return self.hi is not None and self.hi <= 0

    @property
    def is_point(self) -> bool:
        """One exact rational number."""
        return self.defined and self.lo is not None and self.lo == self.hi

    @property
    def ends(self) -> tuple[fmpq, fmpq]:
        """Both ends; raises `ValueError` if it is unbounded."""
        if self.lo is None or self.hi is None:
            raise ValueError("an unbounded interval has no two ends")
        return self.lo, self.hi

    def to_arb(self) -> arb:
        """The smallest ball around it at the working precision; indeterminate (nan) if undefined
        or unbounded.
        """
        if not self.defined or self.lo is None or self.hi is None:
            return arb.nan()
        return arb(self.lo) if self.lo == self.hi else arb(self.lo).union(arb(self.hi))


UNDEFINED = Interval(None, None, True, True, False)
UNBOUNDED = Interval(None, None, True, True)
ZERO = Interval(_ZERO, _ZERO)
ONE = Interval(_ONE, _ONE)


def point(value: fmpq) -> Interval:
    """The interval that holds one rational."""
    return Interval(value, value)


def from_arb(ball: arb) -> Interval:
    """The interval of a ball; undefined if the ball is not a number."""
    if ball.is_nan():
        return UNDEFINED
    lo, hi = below(ball), above(ball)
    return Interval(lo, hi, lo is None, hi is None)


def _rational(bound: arb, up: bool) -> fmpq | None:
    if not bound.is_finite():
        return None
    man, exp = bound.man_exp()
    top = int(exp) + man.bit_length()
    if man == 0 or -EXPONENT_CAP < top <= EXPONENT_CAP:
        return fmpq(man << int(exp)) if exp >= 0 else fmpq(man, fmpz(1) << int(-exp))
    if top > 0:
        return (None if up else _HUGE) if man > 0 else (-_HUGE if up else None)
    return (_TINY if up else _ZERO) if man > 0 else (_ZERO if up else -_TINY)


def below(ball: arb) -> fmpq | None:
    """A rational at most every number of the ball; None if there is none below the cap."""
    return _rational(ball.lower(), up=False)


def above(ball: arb) -> fmpq | None:
    """A rational at least every number of the ball; None if there is none below the cap."""
    return _rational(ball.upper(), up=True)


def _make(lo: fmpq | None, hi: fmpq | None, lo_open: bool, hi_open: bool) -> Interval:
    limit = 4 * ctx.prec
    if lo is not None and lo.height_bits() > limit:
        rounded = below(arb(lo))
        lo_open, lo = lo_open or rounded != lo, rounded
    if hi is not None and hi.height_bits() > limit:
        rounded = above(arb(hi))
        hi_open, hi = hi_open or rounded != hi, rounded
    return Interval(lo, hi, lo_open or lo is None, hi_open or hi is None)


def neg(a: Interval) -> Interval:
    """-a."""
    if not a.defined:
        return UNDEFINED
    lo = None if a.hi is None else -a.hi
    return Interval(lo, None if a.lo is None else -a.lo, a.hi_open, a.lo_open)


def add(a: Interval, b: Interval) -> Interval:
    """a + b."""
    if not (a.defined and b.defined):
        return UNDEFINED
    lo = None if a.lo is None or b.lo is None else a.lo + b.lo
    hi = None if a.hi is None or b.hi is None else a.hi + b.hi
    return _make(lo, hi, a.lo_open or b.lo_open, a.hi_open or b.hi_open)


def _end(x: fmpq | None, x_open: bool, y: fmpq | None, y_open: bool) -> End:
    """Product of two end-points; 0 times infinity is 0, because the factors are real numbers."""
    if x is not None and x == 0:
        return _ZERO, x_open and not (y is not None and y == 0 and not y_open)
    if y is not None and y == 0:
        return _ZERO, y_open
    return (None, True) if x is None or y is None else (x * y, x_open or y_open)


def mul(a: Interval, b: Interval) -> Interval:
    """a * b, for independent factors."""
    if not (a.defined and b.defined):
        return UNDEFINED
    if a.is_nonpositive and not a.is_nonnegative:
        return neg(mul(neg(a), b))
    if not a.is_nonnegative and (b.is_nonnegative or b.is_nonpositive):
        return mul(b, a)
    a_lo, a_hi = (a.lo, a.lo_open), (a.hi, a.hi_open)
    b_lo, b_hi = (b.lo, b.lo_open), (b.hi, b.hi_open)
    if not a.is_nonnegative:  # both straddle zero
        parts = [_end(*a_lo, *b_hi), _end(*a_hi, *b_lo), _end(*a_lo, *b_lo), _end(*a_hi, *b_hi)]
        lo, lo_open = min_end(parts[0], parts[1])
        hi, hi_open = max_end(parts[2], parts[3])
    else:
        lo, lo_open = _end(*(a_lo if b.is_nonnegative else a_hi), *b_lo)
        hi, hi_open = _end(*(a_lo if b.is_nonpositive else a_hi), *b_hi)
    return _make(lo, hi, lo_open, hi_open)


def min_end(p: End, q: End) -> End:
    """The smaller of two lower ends, each (value, open); None is minus infinity; closed wins a
    tie.
    """
    if p[0] is None or q[0] is None:
        return None, True
    return (p[0], p[1] and q[1]) if p[0] == q[0] else p if p[0] < q[0] else q


def max_end(p: End, q: End) -> End:
    """The larger of two upper ends (value, open); None is plus infinity; closed wins a tie."""
    if p[0] is None or q[0] is None:
        return None, True
    return (p[0], p[1] and q[1]) if p[0] == q[0] else p if p[0] > q[0] else q


def hull(a: Interval, b: Interval) -> Interval:
    """The smallest interval that holds both."""
    if not (a.defined and b.defined):
        return UNDEFINED
    lo, lo_open = min_end((a.lo, a.lo_open), (b.lo, b.lo_open))
    hi, hi_open = max_end((a.hi, a.hi_open), (b.hi, b.hi_open))
    return Interval(lo, hi, lo_open, hi_open)


def inverse(a: Interval) -> Interval:
    """1 / a; undefined when a may be zero."""
    if a.is_negative:
        return neg(inverse(neg(a)))
    if not (a.defined and a.is_positive):
        return UNDEFINED
    lo, lo_open = (_ZERO, True) if a.hi is None else (1 / a.hi, a.hi_open)
    hi, hi_open = (None, True) if a.lo is None or a.lo == 0 else (1 / a.lo, a.lo_open)
    return _make(lo, hi, lo_open, hi_open)


def maximum(a: Interval, b: Interval) -> Interval:
    """max(a, b)."""
    if not (a.defined and b.defined):
        return UNDEFINED
    hi, hi_open = max_end((a.hi, a.hi_open), (b.hi, b.hi_open))
    if a.lo is None or b.lo is None:
        lo, lo_open = (b.lo, b.lo_open) if a.lo is None else (a.lo, a.lo_open)
    elif a.lo == b.lo:  # strictly above as soon as one of the two is
        lo, lo_open = a.lo, a.lo_open or b.lo_open
    else:
        lo, lo_open = (a.lo, a.lo_open) if a.lo > b.lo else (b.lo, b.lo_open)
    return Interval(lo, hi, lo_open, hi_open)


def minimum(a: Interval, b: Interval) -> Interval:
    """min(a, b)."""
    return neg(maximum(neg(a), neg(b)))


def absolute(a: Interval) -> Interval:
    """abs(a)."""
    if not a.defined or a.is_nonnegative:
        return a
    if a.is_nonpositive:
        return neg(a)
    hi, hi_open = max_end((None if a.lo is None else -a.lo, a.lo_open), (a.hi, a.hi_open))
    return Interval(_ZERO, hi, False, hi_open)


def step(a: Interval) -> Interval:
    """1 if a > 0 else 0."""
    if not a.defined:
        return UNDEFINED
    return ONE if a.is_positive else ZERO if a.is_nonpositive else Interval(_ZERO, _ONE)


def sign(a: Interval) -> Interval:
    """-1, 0 or 1."""
    if not a.defined:
        return UNDEFINED
    lo = _ONE if a.is_positive else _ZERO if a.is_nonnegative else -_ONE
    return Interval(lo, -_ONE if a.is_negative else _ZERO if a.is_nonpositive else _ONE)


def _integer_power(a: Interval, n: int) -> Interval:
    if n == 0:
        return ONE
    if n < 0:
        return inverse(_integer_power(a, -n))
    if a.is_nonnegative:
        return increasing(a, lambda x: _exact_power(x, n), lambda x: arb(x) ** n, floor=_ZERO)
    if a.is_nonpositive:
        power = _integer_power(neg(a), n)
        return power if n % 2 == 0 else neg(power)
    if n % 2 == 0:
        return _integer_power(absolute(a), n)
    lower = neg(
        _integer_power(Interval(_ZERO, None if a.lo is None else -a.lo, False, a.lo_open), n)
    )
    upper = _integer_power(Interval(_ZERO, a.hi, False, a.hi_open), n)
    return Interval(lower.lo, upper.hi, lower.lo_open, upper.hi_open)


def _exact_power(x: fmpq, n: int) -> fmpq | None:
    return x**n if x.height_bits() * n <= 4 * ctx.prec or x in (0, 1) else None


def _exact_root(x: fmpq, p: int, q: int) -> fmpq | None:
    """x**(p/q) if that is a rational of moderate size."""
    if x in (0, 1):
        return x
    if q > _EXACT_ROOTS or x.height_bits() * p > 4 * ctx.prec:
        return None
    num, den = x.p.root(q), x.q.root(q)
    return fmpq(num, den) ** p if num**q == x.p and den**q == x.q else None


def increasing(
    a: Interval,
    exact: Callable[[fmpq], fmpq | None],
    ball: Callable[[fmpq], arb],
    *,
    floor: fmpq | None = None,
    limits: tuple[fmpq | None, fmpq | None] = (None, None),
) -> Interval:
    """A strictly increasing function of a: ``exact`` at an end-point if it knows, else ``ball``
    there.

    ``floor`` is a value that the function reaches at most at zero, and never below for a >= 0;
    ``limits`` are its limits at minus and plus infinity (never attained).
    """
    lo, lo_open = limits[0], True
    if a.lo is not None:
        value = exact(a.lo)
        lo, lo_open = (below(ball(a.lo)) if value is None else value), a.lo_open
        if floor is not None and value is None and (lo is None or lo <= floor):
            lo, lo_open = (
                floor,
                True,
            )  # the function is above its floor at a.lo != 0, rounding hid it
    hi, hi_open = limits[1], True
    if a.hi is not None:
        value = exact(a.hi)
        hi, hi_open = (above(ball(a.hi)) if value is None else value), a.hi_open
    return _make(lo, hi, lo_open, hi_open)


def power(a: Interval, q: fmpq) -> Interval:
    """a**q; for q that is no integer, undefined unless a >= 0 (a > 0 for q < 0); 0**q = 0 for q >
    0.
    """
    if not a.defined:
        return UNDEFINED
    if q.q == 1:
        return _integer_power(a, int(q.p))
    if not a.is_nonnegative:
        return UNDEFINED
    if q < 0:
        return inverse(power(a, -q))
    num, den = int(q.p), int(q.q)

    def ball(x: fmpq) -> arb:
        return arb(x).sqrt() ** num if den == 2 else (arb(x).log() * arb(q)).exp()

    return increasing(a, lambda x: _exact_root(x, num, den), ball, floor=_ZERO)
