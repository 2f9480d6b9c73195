"""Functions of numbers for `program_values`: a number is a rational, or a ball around a real number.

Rationals stay rational as long as they have at most EXACT_BITS bits; then, and by a function that leaves
them, they become balls of ``ctx.prec`` bits.  Every ball is finite: what may be undefined raises Undefined,
also where a ball merely touches the edge of the domain.  As the value of an entry such an exception stands
for nothing known, and so does everything that is computed from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb, fmpq

EXACT_BITS = 1 << 14
EXPONENT_BITS = 62  # of the exponents of a ball: longer ones take memory that nobody counts
MAX_ROOT = 16  # roots up to this one are looked for among the rationals
LARGEST_ANGLE = 1 << 12  # bits: sin and cos of more are only known to be in [-1, 1]
Q0, Q1 = fmpq(0), fmpq(1)
Number = Any  # fmpq, arb; or Undefined, as an entry of an array


class Undefined(Exception):
    """Why there may be no number; ``where``: the instruction."""

    where = ""


def attempt(function: Callable[..., Any], *args: Any) -> Any:
    """The value, or an Undefined: one of the arguments, or why there is no value."""
    for x in args:
        if type(x) is Undefined:
            return x
    try:
        return function(*args)
    except Undefined as error:
        return Undefined(*error.args)  # without its traceback


def settled(x: Number) -> Number:
    """The number, as a ball if it has grown long; raises Undefined where it is not a finite number."""
    if type(x) is fmpq:
        if x.height_bits() <= EXACT_BITS:
            return x
        x = arb(x)
    if not x.is_finite() or any(
        end.man_exp()[1].bit_length() > EXPONENT_BITS for end in (x.mid(), x.rad())
    ):
        raise Undefined(
            "a value is undefined, may be so, or is too large for balls of this precision"
        )
    return x


def less(a: Number, b: Number) -> bool:
    """Whether a < b for certain."""
    return bool(a < b if type(a) is fmpq and type(b) is fmpq else arb(a) < arb(b))


def at_most(a: Number, b: Number) -> bool:
    """Whether a <= b for certain."""
    return bool(a <= b if type(a) is fmpq and type(b) is fmpq else arb(a) <= arb(b))


def add(a: Number, b: Number) -> Number:
    return settled(a + b)


def subtract(a: Number, b: Number) -> Number:
    return settled(a - b)


def multiply(a: Number, b: Number) -> Number:
    if any(type(x) is fmpq and x == 0 for x in (a, b)):
        return Q0
    return settled(a * b)


def divide(a: Number, b: Number) -> Number:
    if type(b) is fmpq and b == 0:
        raise Undefined("a division by zero")
    return settled(a / b)


def larger(a: Number, b: Number) -> Number:
    return b if at_most(a, b) else a if at_most(b, a) else settled(arb(a).max(arb(b)))


def smaller(a: Number, b: Number) -> Number:
    return a if at_most(a, b) else b if at_most(b, a) else settled(arb(a).min(arb(b)))


def absolute(x: Number) -> Number:
    return x if at_most(Q0, x) else -x if at_most(x, Q0) else settled(abs(x))


def relu(x: Number) -> Number:
    return x if at_most(Q0, x) else Q0 if at_most(x, Q0) else settled(arb(0).union(x.upper()))


def step(x: Number) -> Number:
    return Q1 if less(Q0, x) else Q0 if at_most(x, Q0) else arb(0).union(arb(1))


def sign(x: Number) -> Number:
    if type(x) is fmpq and x == 0:
        return Q0
    return Q1 if less(Q0, x) else -Q1 if less(x, Q0) else arb(-1).union(arb(1))


def power(x: Number, q: fmpq, nonnegative: bool = False) -> Number:
    """x**q; see `program`.  ``nonnegative``: x is not negative, though its ball may reach below zero."""
    n, d = int(q.p), int(q.q)
    if n == 0:
        return Q1
    if type(x) is fmpq:
        if x == 0 and n < 0:
            raise Undefined("a negative power of zero")
        if x < 0 and d > 1:
            raise Undefined("a power of a negative number that is not an integer")
        if x == 0 or x == 1:
            return x
        if d <= MAX_ROOT and x.height_bits() * abs(n) <= EXACT_BITS:
            root = x if d == 1 else fmpq(x.p.root(d), x.q.root(d))
            if root**d == x:
                return settled(root**n if n > 0 else 1 / root**-n)
        x = arb(x)
    if nonnegative and d > 1 and n > 0 and not x > 0:
        top = x.upper()
        return settled(arb(0).union(power(top, q) if top > 0 else arb(0)))
    if d <= 2:
        return settled((x if d == 1 else x.sqrt()) ** n)
    return settled((x.log() * arb(q)).exp())


def square_root(x: Number, nonnegative: bool = False) -> Number:
    return power(x, fmpq(1, 2), nonnegative)


def _function(name: str, at: int | None, value: int) -> Callable[[Number], Number]:
    """A function of balls, by its name there; at ``at`` it is exactly ``value``."""

    def apply(x: Number) -> Number:
        if type(x) is fmpq and x == at:
            return fmpq(value)
        ball = arb(x)
        if name in ("sin", "cos") and not abs(ball) < arb(2) ** LARGEST_ANGLE:
            return arb(-1).union(arb(1))
        return settled(getattr(ball, name)())

    return apply


UNARY: dict[str, Callable[[Number], Number]] = {
    "neg": lambda x: -x,
    "abs": absolute,
    "relu": relu,
    "step": step,
    "sign": sign,
    "exp": _function("exp", 0, 1),
    "expm1": _function("expm1", 0, 0),
    "log": _function("log", 1, 0),
    "log1p": _function("log1p", 0, 0),
    "tanh": _function("tanh", 0, 0),
    "sin": _function("sin", 0, 0),
    "cos": _function("cos", 0, 1),
    "acos": _function("acos", 1, 0),
}
BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "add": add,
    "sub": subtract,
    "mul": multiply,
    "div": divide,
    "max": larger,
    "min": smaller,
}
