"""Quantities evaluated on exact rationals and balls: exact as long as the operations are rational.

Arrays have the axes ``(j, i, k)`` of `theory.quantity`; an axis that a variable does not have has length 1. An entry is
an fmpq, or an arb once something irrational or uncertain has entered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from flint import arb, fmpq, fmpz
from numpy.typing import NDArray

from theory.errors import LemmataError

Values = NDArray[np.object_]
Value: TypeAlias = Any  # arb, fmpq, fmpz, int or Fraction; nested lists of them for arrays
AXES = "jik"
INDEX = {axis: position for position, axis in enumerate(AXES)}


def entry(value: Any) -> Any:
    """A number as fmpq where it is rational, else as the ball that it is.

    Raises:
        LemmataError: floats and everything else that is neither exact nor a ball.
    """
    if isinstance(value, arb | fmpq):
        return value
    if isinstance(value, Fraction):
        return fmpq(value.numerator, value.denominator)
    if isinstance(value, int | fmpz) and not isinstance(value, bool):
        return fmpq(fmpz(value))
    raise LemmataError(
        f"{value!r} is neither exact nor a ball: measure with int, Fraction, fmpq or arb"
    )


def hull(lower: Any, upper: Any) -> arb:
    """A ball that contains everything between two numbers."""
    low, high = (x if isinstance(x, arb) else arb(entry(x)) for x in (lower, upper))
    return low.union(high)


def relative_length(lower: fmpq, upper: fmpq) -> float:
    """The length of an interval of numbers ≥ 0 relative to its upper end; 0 for the interval that holds only 0."""
    return float((upper - lower) / upper) if upper else 0.0


class StaticValues:
    """Variables by name, and the values of quantities over them.

    Args:
        variables: name -> a number, or nested lists for an array whose axes are given in ``axes``.
        axes: name -> its axes in the order of the nesting, as in ``theory.quantity.var``.
        bits: the precision of balls.
    """

    def __init__(
        self, variables: Mapping[str, Value], axes: Mapping[str, str], bits: int = 256
    ) -> None:
        self._variables = variables
        self._axes = axes
        self.bits = bits

    def evaluate(self, data: Sequence[Any]) -> Any:
        """The value of a quantity without free axes: an fmpq or an arb.

        Raises:
            LemmataError: a variable that is not measured, or an unknown operator.
        """
        from flint import ctx

        with ctx.workprec(self.bits):
            found = self._value(data)
        if found.size != 1:
            raise LemmataError("a side of a relation still depends on an axis; reduce it")
        return found.reshape(-1)[0]

    def _value(self, data: Sequence[Any]) -> Values:
        op, *rest = data
        if op == "var":
            return self._variable(rest[0])
        if op == "rat":
            exact = Fraction(rest[0])
            return _single(fmpq(exact.numerator, exact.denominator))
        if op == "pi":
            return _single(arb.pi())
        if op in _REDUCTIONS:
            return _REDUCTIONS[op](self._value(rest[1]), INDEX[rest[0]])
        if op == "pow":
            exponent = Fraction(rest[1][1])
            return np.frompyfunc(lambda x: _power(x, exponent), 1, 1)(self._value(rest[0]))
        args = [self._value(a) for a in rest]
        if op in _FOLD:
            return reduce(_FOLD[op], args)
        if op in _FUNCTIONS:
            return _FUNCTIONS[op](*args)
        raise LemmataError(f"operator {op!r} is not evaluated where there is no time")

    def _variable(self, name: str) -> Values:
        if name not in self._variables:
            known = ", ".join(sorted(self._variables))
            raise LemmataError(f"variable {name!r} is not measured here; known: {known}")
        axes = self._axes.get(name, "")
        value = _array(self._variables[name], len(axes), name)
        order = sorted(range(len(axes)), key=lambda p: INDEX[axes[p]])
        value = value.transpose(order)
        return value.reshape(
            [value.shape[order.index(axes.index(a))] if a in axes else 1 for a in AXES]
        )


def _array(value: Any, depth: int, name: str) -> Values:
    """Nested lists of the given depth as an array of entries."""
    if depth == 0:
        out = np.empty((), dtype=object)
        out[()] = entry(value)
        return out
    if not isinstance(value, list | tuple) or not value:
        raise LemmataError(f"variable {name!r} is measured as {value!r:.60}, not as a list")
    parts = [_array(v, depth - 1, name) for v in value]
    if len({p.shape for p in parts}) != 1:
        raise LemmataError(f"variable {name!r} is measured with rows of different lengths")
    return np.stack(parts)


def _single(x: Any) -> Values:
    out = np.empty((1, 1, 1), dtype=object)
    out[...] = x
    return out


def _ball(x: Any) -> arb:
    return x if isinstance(x, arb) else arb(x)


def _larger(x: Any, y: Any) -> Any:
    if isinstance(x, fmpq) and isinstance(y, fmpq):
        return max(x, y)
    return _ball(x).max(_ball(y))


def _smaller(x: Any, y: Any) -> Any:
    return -_larger(-x, -y)


def _absolute(x: Any) -> Any:
    return abs(x)


def _divide(x: Any, y: Any) -> Any:
    if isinstance(y, fmpq) and y == 0:
        return arb("nan")
    return x / y


def _power(x: Any, q: Fraction) -> Any:
    if isinstance(x, fmpq) and q.denominator == 1:
        n = q.numerator
        if n >= 0:
            return x**n
        return arb("nan") if x == 0 else (1 / x) ** (-n)
    if q == Fraction(1, 2):
        return _root(x)
    x = _ball(x)
    if q.denominator == 1:
        return x ** int(q)
    return x ** arb(fmpq(q.numerator, q.denominator))


def _root(x: Any) -> Any:
    """Exact for squares of rationals."""
    if isinstance(x, fmpq):
        if x < 0:
            return arb("nan")
        p, q = x.p.isqrt(), x.q.isqrt()
        if p * p == x.p and q * q == x.q:
            return fmpq(p, q)
    return _ball(x).sqrt()


def _log(x: Any) -> Any:
    return fmpq(0) if isinstance(x, fmpq) and x == 1 else _ball(x).log()


def _exp(x: Any) -> Any:
    return fmpq(1) if isinstance(x, fmpq) and x == 0 else _ball(x).exp()


def _step(x: Any) -> Any:
    """1 where positive, else 0; between them where that is not known."""
    if x > 0:
        return fmpq(1)
    return fmpq(0) if x <= 0 else arb(0.5, 0.5)


def _sign(x: Any) -> Any:
    if isinstance(x, fmpq):
        return fmpq((x > 0) - (x < 0))
    return x.sgn()


def _elementwise(f: Callable[[Any], Any]) -> Callable[[Values], Values]:
    ufunc = np.frompyfunc(f, 1, 1)

    def apply(a: Values) -> Values:
        out: Values = np.asarray(ufunc(a), dtype=object)
        return out

    return apply


def _sum(a: Values, axis: int) -> Values:
    return np.add.reduce(a, axis=axis, keepdims=True)


def _inner(a: Values, b: Values) -> Values:
    return _sum(a * b, INDEX["k"])


_max, _min = np.frompyfunc(_larger, 2, 1), np.frompyfunc(_smaller, 2, 1)
_REDUCTIONS: dict[str, Callable[[Values, int], Values]] = {
    "sum": _sum,
    "amax": lambda a, axis: _max.reduce(a, axis=axis, keepdims=True),
    "amin": lambda a, axis: _min.reduce(a, axis=axis, keepdims=True),
}
_FOLD: dict[str, Callable[[Values, Values], Values]] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "max": _max,
    "min": _min,
}
_FUNCTIONS: dict[str, Callable[..., Values]] = {
    "neg": lambda a: -a,
    "div": np.frompyfunc(_divide, 2, 1),
    "abs": _elementwise(_absolute),
    "sqrt": _elementwise(_root),
    "exp": _elementwise(_exp),
    "expm1": _elementwise(lambda x: _ball(x).expm1()),
    "log": _elementwise(_log),
    "log1p": _elementwise(lambda x: _ball(x).log1p()),
    "tanh": _elementwise(lambda x: _ball(x).tanh()),
    "cos": _elementwise(lambda x: _ball(x).cos()),
    "acos": _elementwise(lambda x: _ball(x).acos()),
    "relu": _elementwise(lambda x: _larger(x, fmpq(0))),
    "step": _elementwise(_step),
    "sign": _elementwise(_sign),
    "inner": _inner,
    "sqnorm": lambda a: _inner(a, a),
    "norm": lambda a: _elementwise(_root)(_inner(a, a)),
}
