"""Balls, and pairs of a ball and its time derivative: the numbers that instances compute with."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy
from flint import arb, fmpq


@dataclass(frozen=True)
class Dual:
    """A value and its time derivative."""

    value: arb
    slope: arb


Number = Any  # arb or Dual
ZERO = arb(0)


def parts(a: Number) -> tuple[arb, arb]:
    """Value and derivative."""
    return (a.value, a.slope) if isinstance(a, Dual) else (a, ZERO)


def lift(a: Number, value: arb, derivative: arb) -> Number:
    """f(a) from f and f' at the value of a: the chain rule."""
    return Dual(value, derivative * a.slope) if isinstance(a, Dual) else value


def add(a: Number, b: Number) -> Number:
    """a + b."""
    if not (isinstance(a, Dual) or isinstance(b, Dual)):
        return a + b
    (u, p), (v, q) = parts(a), parts(b)
    return Dual(u + v, p + q)


def mul(a: Number, b: Number) -> Number:
    """a b."""
    if not (isinstance(a, Dual) or isinstance(b, Dual)):
        return a * b
    (u, p), (v, q) = parts(a), parts(b)
    return Dual(u * v, u * q + p * v)


def power(a: Number, exponent: Fraction) -> Number:
    """A rational power; nan where it is not defined."""
    u, _ = parts(a)

    def raised(base: arb, k: Fraction) -> arb:
        if k.denominator == 1:
            return base ** int(k)
        if base > 0 or k > 0:
            return (
                base.sqrt() ** int(2 * k)
                if k.denominator == 2
                else base ** arb(fmpq(k.numerator, k.denominator))
            )
        return arb("nan")

    if not isinstance(a, Dual):
        return raised(u, exponent)
    if exponent == 1:
        return a
    return lift(
        a,
        raised(u, exponent),
        arb(fmpq(exponent.numerator, exponent.denominator)) * raised(u, exponent - 1),
    )


@lru_cache(maxsize=1 << 14)
def _rational(value: sympy.Rational) -> fmpq:
    return fmpq(int(value.p), int(value.q))


def exact(value: Any) -> arb:
    """A ball around an int, a Fraction or a sympy Rational."""
    if isinstance(value, sympy.Rational):
        return arb(_rational(value))
    q = value if isinstance(value, Fraction) else Fraction(value)
    return arb(fmpq(q.numerator, q.denominator))
