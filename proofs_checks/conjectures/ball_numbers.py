"""Numbers of the exact interpreter: rationals as long as they are short, balls, and what is undefined for certain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from flint import arb, fmpq, fmpz


@dataclass(frozen=True, slots=True)
class Undefined:
    """No number at all, whatever the precision: what an operation gives outside of its domain.

    Attributes:
        instruction: the number of the instruction that gave it first.
    """

    instruction: int


Number: TypeAlias = Any  # fmpq, arb or Undefined
UNKNOWN = arb("nan")  # a number that may or may not be defined, or of which nothing is known


class Arithmetic:
    """Operations on numbers at one precision, on behalf of one instruction after the other.

    Args:
        bits: rationals whose numerator or denominator is longer than this become balls.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.instruction = 0

    def undefined(self) -> Undefined:
        """What the present instruction gives outside of its domain."""
        return Undefined(self.instruction)

    def short(self, x: Number) -> Number:
        """The number, as a ball if it is long."""
        return arb(x) if isinstance(x, fmpq) and x.height_bits() > self.bits else x

    def lift(self, f: Callable[..., Number]) -> Callable[..., Number]:
        """The operation on numbers that may be undefined."""

        def apply(*args: Number) -> Number:
            for a in args:
                if isinstance(a, Undefined):
                    return a
            by_zero = f == self.divide and args[1] == 0
            if not by_zero and not all(isinstance(a, fmpq) or a.is_finite() for a in args):
                return UNKNOWN  # a bounded function of what may be undefined may be undefined
            return self.short(f(*args))

        return apply

    # -- of defined numbers -------------------------------------------------------------------------------------
    def divide(self, x: Number, y: Number) -> Number:
        """x / y; undefined where y is 0."""
        if y == 0:
            return self.undefined()
        return UNKNOWN if isinstance(y, arb) and y.contains(0) else x / y

    def root(self, x: Number, nonnegative: bool) -> Number:
        """√x, exact for squares of rationals."""
        if isinstance(x, fmpq):
            if x < 0:
                return self.undefined()
            p, q = x.p.isqrt(), x.q.isqrt()
            return fmpq(p, q) if p * p == x.p and q * q == x.q else arb(x).sqrt()
        if nonnegative and x.is_finite() and not x >= 0:
            top = x.upper()
            return arb(0).union(top.sqrt()) if top > 0 else fmpq(0)
        return self.undefined() if x < 0 else x.sqrt()

    def power(self, x: Number, q: Fraction, nonnegative: bool) -> Number:
        """x^q; a fractional power is undefined below 0, a negative one at 0."""
        if q.denominator == 1:
            n = q.numerator
            if n < 0:
                return self.divide(fmpq(1), self.power(x, -q, nonnegative))
            if isinstance(x, fmpq) and x.height_bits() * n > self.bits:
                x = arb(x)
            return _whole(x, n)
        if q.denominator == 2:
            return self._again(self.root(x, nonnegative), q * 2)
        if x < 0 and not nonnegative:
            return self.undefined()
        if x == 0:
            return fmpq(0) if q > 0 else self.undefined()
        if q < 0:
            return self._again(self.power(x, -q, nonnegative), Fraction(-1))
        ball = ball_of(x)
        if ball > 0:
            return ball ** arb(fmpq(q.numerator, q.denominator))
        if not nonnegative or not ball.is_finite():
            return UNKNOWN
        top = ball.upper()
        end = top ** arb(fmpq(q.numerator, q.denominator)) if top > 0 else arb(0)
        return arb(0).union(end)

    def _again(self, x: Number, q: Fraction) -> Number:
        return x if isinstance(x, Undefined) else self.power(x, q, True)

    def log(self, x: Number) -> Number:
        """The logarithm; undefined at and below 0."""
        if x <= 0:
            return self.undefined()
        return fmpq(0) if isinstance(x, fmpq) and x == 1 else ball_of(x).log()

    def log1p(self, x: Number) -> Number:
        """log(1 + x)."""
        if x <= -1:
            return self.undefined()
        return fmpq(0) if isinstance(x, fmpq) and x == 0 else ball_of(x).log1p()

    def acos(self, x: Number) -> Number:
        """The angle in [0, π]; undefined outside of [-1, 1]."""
        if x > 1 or x < -1:
            return self.undefined()
        return fmpq(0) if isinstance(x, fmpq) and x == 1 else ball_of(x).acos()


def _whole(x: Number, n: int) -> Number:
    """x^n for n >= 0; flint's own power is not finite for balls that contain 0."""
    if n == 0:
        return fmpq(1)
    if n == 1 or isinstance(x, fmpq):
        return x if n == 1 else x**n
    root = _whole(x, n // 2)
    square = root * root
    return square * x if n % 2 else square


def tanh(x: Number) -> Number:
    """The hyperbolic tangent; flint's own is not finite for wide balls."""
    if x == 0:
        return fmpq(0)
    ball = ball_of(x)
    value = ball.tanh()
    if value.is_finite():
        return value
    return ball.lower().tanh().union(ball.upper().tanh())


def ball_of(x: Number) -> arb:
    """As a ball; what is undefined is a ball without a number."""
    if isinstance(x, Undefined):
        return UNKNOWN
    return x if isinstance(x, arb) else arb(x)


def rational(x: Fraction) -> fmpq:
    """As flint's rational."""
    return fmpq(fmpz(x.numerator), fmpz(x.denominator))


def larger(x: Number, y: Number) -> Number:
    """max(x, y): a rational where it is certain which one."""
    if x >= y:
        return x
    return y if y >= x else ball_of(x).max(ball_of(y))


def smaller(x: Number, y: Number) -> Number:
    """min(x, y)."""
    return -larger(-x, -y)


def step(x: Number) -> Number:
    """1 where positive, else 0; between them where that is not known."""
    if x > 0:
        return fmpq(1)
    return fmpq(0) if x <= 0 else arb(0.5, 0.5)


def sign(x: Number) -> Number:
    """-1, 0 or 1; between them where that is not known."""
    if x == 0:
        return fmpq(0)
    if x > 0 or x < 0:
        return fmpq(1 if x > 0 else -1)
    return arb(0.5, 0.5) if x >= 0 else arb(-0.5, 0.5) if x <= 0 else arb(0, 1)


def exact_at_zero(name: str, value: int) -> Callable[[Number], Number]:
    """flint's function of this name, whose value at 0 is a rational."""

    def apply(x: Number) -> Number:
        return fmpq(value) if x == 0 else getattr(ball_of(x), name)()

    return apply


def cap(bits: int) -> int:
    """How long rationals may become before they are rounded."""
    return max(1024, 2 * bits)
