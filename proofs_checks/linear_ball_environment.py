"""Evaluation of plain-data quantities in ball arithmetic.

Why: D_next - D is a difference of numbers of the size of the weights. With a small step η it is far below their
rounding in float64, and so is whatever a wrong law says about it. Sums, products and the like are evaluated with as
many bits as the iterates have, and only the two sides of a relation are rounded; elementary functions use floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import flint
import numpy as np
from flint import arb, fmpq

from numerics.errors import NumericsError
from numerics.evaluate import AXIS, NDIM, Environment, Key, freeze
from numerics.extended import ScaledArray
from proofs_checks.linear_balls import Balls, balls, rounded

_larger = np.frompyfunc(lambda x, y: x.max(y), 2, 1)
_smaller = np.frompyfunc(lambda x, y: x.min(y), 2, 1)


class BallEnvironment(Environment):
    """Variables by name, as balls or as scaled floats, and the values of every subexpression evaluated so far.

    Args:
        bits: the precision.
    """

    def __init__(self, variables: Mapping[str, ScaledArray | Balls], bits: int) -> None:
        super().__init__({})
        self._given = dict(variables)
        self._bits = bits
        self._found: dict[Key, Balls] = {}

    def evaluate(self, data: Sequence[Any]) -> ScaledArray:
        """The value of a quantity, rounded once.

        Raises:
            NumericsError: an unknown variable or operator.
        """
        with flint.ctx.workprec(self._bits):
            return rounded(self._ball(freeze(data)))

    def _ball(self, key: Key) -> Balls:
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._compute(key)
        return found

    def _compute(self, key: Key) -> Balls:
        op, *rest = key
        if op == "var":
            return self._named(rest[0])
        if op == "rat":
            exact = Fraction(rest[0])
            return _single(arb(fmpq(exact.numerator, exact.denominator)))
        if op == "pi":
            return _single(arb.pi())
        if op in _REDUCTIONS:
            return _REDUCTIONS[op](self._ball(rest[1]), AXIS[rest[0]])
        if op == "pow":
            base, exponent = self._ball(rest[0]), Fraction(rest[1][1])
            whole = exponent.denominator == 1 and exponent > 0
            return base ** int(exponent) if whole else _in_floats(op, [base], rest[1])
        args = [self._ball(a) for a in rest]
        if op in _FOLD:
            return reduce(_FOLD[op], args)
        return _EXACT[op](*args) if op in _EXACT else _in_floats(op, args)

    def _named(self, name: str) -> Balls:
        if name not in self._given:
            known = ", ".join(sorted(self._given))
            raise NumericsError(f"variable {name!r} is not measured here; known: {known}")
        value = self._given[name]
        return balls(value) if isinstance(value, ScaledArray) else value


def _in_floats(op: str, args: list[Balls], *rest: Key) -> Balls:
    names = [f"x{k}" for k in range(len(args))]
    environment = Environment({n: rounded(a) for n, a in zip(names, args, strict=True)})
    return balls(environment.evaluate((op, *(("var", n) for n in names), *rest)))


def _single(x: arb) -> Balls:
    out = np.empty((1,) * NDIM, dtype=object)
    out[...] = x
    return out


def _sum(a: Balls, axis: int) -> Balls:
    return np.add.reduce(a, axis=axis, keepdims=True)


def _inner(a: Balls, b: Balls) -> Balls:
    return _sum(a * b, AXIS["k"])


def _positive(x: arb) -> arb:
    """1 where positive, else 0; between them where that is not known."""
    if x > 0:
        return arb(1)
    return arb(0) if x <= 0 else arb(0.5, 0.5)


_REDUCTIONS: dict[str, Callable[[Balls, int], Balls]] = {
    "sum": _sum,
    "amax": lambda a, axis: _larger.reduce(a, axis=axis, keepdims=True),
    "amin": lambda a, axis: _smaller.reduce(a, axis=axis, keepdims=True),
}
_FOLD: dict[str, Callable[[Balls, Balls], Balls]] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "max": _larger,
    "min": _smaller,
}
_EXACT: dict[str, Callable[..., Balls]] = {
    "neg": lambda a: -a,
    "div": lambda a, b: a / b,
    "abs": np.abs,
    "step": np.frompyfunc(_positive, 1, 1),
    "inner": _inner,
    "sqnorm": lambda a: _inner(a, a),
}
