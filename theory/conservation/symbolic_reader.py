"""Reads sympy expressions as fractions of sparse polynomials over Z; every refusal says where and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import comb, lcm

import sympy

from theory.conservation.builders_layout import MAX_DEGREE, MAX_TERMS
from theory.conservation.polynomials import ONE, Polynomial, add, degree, multiply, scale
from theory.errors import LemmataError

Rational = tuple[Polynomial, Polynomial]  # numerator, denominator
KINKS = (sympy.Abs, sympy.Max, sympy.Min, sympy.Heaviside, sympy.sign, sympy.Piecewise)


def flat(value: object) -> Iterator[object]:
    """The entries of a matrix, an array or nested sequences; anything else is its own only entry."""
    if isinstance(value, sympy.MatrixExpr) and not isinstance(value, sympy.MatrixBase):
        value = value.as_explicit()
    if isinstance(value, sympy.MatrixBase | sympy.NDimArray) or (
        isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    ):
        for item in value:
            yield from flat(item)
    else:
        yield value


def expression_of(value: object, where: str) -> sympy.Expr:
    """As a sympy expression; numbers are taken, text and floats are not."""
    if isinstance(value, float):
        raise LemmataError(f"{where}: {_float_message(value)}")
    if isinstance(value, Fraction):
        return sympy.Rational(value.numerator, value.denominator)
    if isinstance(value, int) and not isinstance(value, bool):
        return sympy.Integer(value)
    if not isinstance(value, sympy.Expr):
        raise LemmataError(f"{where}: {value!r} is no sympy expression; write it in sympy symbols")
    if value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise LemmataError(f"{where}: {value} is not finite; look for a division by zero")
    return value


def _float_message(value: object) -> str:
    number = sympy.nsimplify(value, rational=True)
    exact = f"Rational({number.p}, {number.q})" if number.is_Rational else "a rational number"
    return f"{value} is a float; write {exact}"


def reduced(e: sympy.Expr, reader: Reader) -> Rational:
    """Numerator and denominator without common factors."""
    n, d = reader.read(e)
    if set(d) == {()}:
        return n, d
    top, bottom = sympy.fraction(sympy.cancel(e))
    (n, a), (d, b) = reader.polynomial(top), reader.polynomial(bottom)
    return (scale(n, b), scale(d, a)) if set(d) != {()} else (scale(n, b), {(): a * d[()]})


class Reader:
    """Reads expressions as fractions of polynomials over Z; errors say where and why."""

    def __init__(self, place: Mapping[sympy.Symbol, int], where: str) -> None:
        self.place, self.where = place, where

    def polynomial(self, e: sympy.Expr) -> tuple[Polynomial, int]:
        """(P, q) with e = P / q.

        Raises:
            LemmataError: e is no polynomial over Q.
        """
        n, d = self.read(e)
        if set(d) != {()}:
            raise self.error(f"{e} is not polynomial; multiply by the denominator")
        return n, d[()]

    def read(self, e: sympy.Expr) -> Rational:
        """Numerator and denominator; a constant denominator is positive."""
        if e in self.place:
            return {(self.place[e],): 1}, dict(ONE)
        if e.is_Rational:
            return ({(): int(e.p)} if e.p else {}), {(): int(e.q)}
        if e.is_Add:
            return self.total([self.read(a) for a in e.args])
        if e.is_Mul:
            n, d = dict(ONE), dict(ONE)
            for a in e.args:
                p, q = self.read(a)
                n, d = self.times(n, p), self.times(d, q)
            return n, d
        if e.is_Pow and e.exp.is_Integer:
            n, d = self.read(e.base)
            k = int(e.exp)
            if k < 0:
                if not n:
                    raise self.error(f"{e} divides by zero")
                n, d = (scale(d, -1), scale(n, -1)) if n.get((), 0) < 0 and len(n) == 1 else (d, n)
            return self.power(n, abs(k)), self.power(d, abs(k))
        raise self.error(_reason(e))

    def error(self, text: str) -> LemmataError:
        """To be raised; names the place."""
        return LemmataError(f"{self.where}: {text}")

    def total(self, terms: Sequence[Rational]) -> Rational:
        """The sum; terms with the same denominator are added first."""
        constant = lcm(*(d[()] for _, d in terms if set(d) == {()}))
        groups: dict[object, tuple[Polynomial, list[Polynomial]]] = {}
        for n, d in terms:
            if set(d) == {()}:
                n, d = scale(n, constant // d[()]), {(): constant}
            groups.setdefault(frozenset(d.items()), (d, []))[1].append(n)
        top: Polynomial = {}
        bottom = dict(ONE)
        for d, numerators in groups.values():
            top = add(self.times(top, d), self.times(add(*numerators), bottom))
            bottom = self.times(bottom, d)
        return top, bottom

    def times(self, p: Polynomial, q: Polynomial) -> Polynomial:
        """p q, if its size is reasonable."""
        if p == ONE:
            return q
        if q == ONE:
            return p
        self.check(len(p) * len(q) // 10, degree(p) + degree(q))
        return multiply(p, q)

    def power(self, p: Polynomial, k: int) -> Polynomial:
        """p^k, if its size is reasonable."""
        if len(p) == 1:
            ((m, c),) = p.items()
            self.check(1, len(m) * k)
            return {tuple(sorted(m * k)): c**k}
        self.check(comb(len(p) + min(k, MAX_DEGREE) - 1, min(k, MAX_DEGREE)), degree(p) * k)
        out = dict(ONE)
        for _ in range(k):
            out = self.times(out, p)
        return out

    def check(self, terms: int, total: int) -> None:
        """Refuses too many terms or too high a degree."""
        if total > MAX_DEGREE:
            raise self.error(f"degree {total:,} in the parameters; at most {MAX_DEGREE}")
        if terms > MAX_TERMS:
            raise self.error(
                f"about {terms:.2g} terms when expanded; at most {MAX_TERMS:,}: give a smaller model"
            )


def _reason(e: sympy.Basic) -> str:
    """Why an expression is not rational over Q in the parameters, and what to do."""
    if e.is_Float:
        return _float_message(e)
    if e.is_Symbol:
        return f"{e} is not among the parameters; add it to symbols, or give it a rational value"
    if isinstance(e, KINKS) or str(e.func).lower() in ("relu", "leakyrelu"):
        return f"{e} has kinks; use path products, the polynomials where no unit changes sign (see relu:3,3,3)"
    if not e.free_symbols:
        return f"the constant {e} is not rational; coefficients are rational numbers"
    if e.is_Pow and e.exp.free_symbols:
        return f"{e} has a parameter in the exponent; φ must be polynomial or rational"
    if e.is_Pow:
        return f"{e} has the exponent {e.exp}; write the base as a power of a new parameter"
    return f"{e} is not polynomial or rational in the parameters"
