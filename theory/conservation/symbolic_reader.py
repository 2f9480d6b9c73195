"""Reads sympy expressions as fractions of sparse polynomials over Z; every refusal says where and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import comb, gcd, lcm

import sympy

from theory.conservation.builders_layout import MAX_DEGREE as UNREDUCED_DEGREE
from theory.conservation.builders_layout import MAX_TERMS
from theory.conservation.polynomials import ONE, Polynomial, add, degree, multiply, scale
from theory.errors import LemmataError

Rational = tuple[Polynomial, Polynomial]  # numerator, denominator
KINKS = (sympy.Abs, sympy.Max, sympy.Min, sympy.Heaviside, sympy.sign, sympy.Piecewise)
MAX_DEGREE = 64  # what certificates may state
MAX_DIGITS = (
    1000  # of a coefficient; certificates may state 4000, and laws multiply coefficients of φ
)
MAX_BITS = 3322  # of 10^MAX_DIGITS
SHOWN = 200  # characters of an expression in a message


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
        value = sympy.Integer(value)
    if not isinstance(value, sympy.Expr):
        shown = _shown(repr(value))
        raise LemmataError(f"{where}: {shown} is no sympy expression; write it in sympy symbols")
    # Before anything is printed or expanded: Python does not print integers of more than 4300 digits.
    for number in value.atoms(sympy.Rational):
        if max(int(number.p).bit_length(), int(number.q).bit_length()) > MAX_BITS:
            raise LemmataError(f"{where}: {_too_long('a number')}")
    if value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise LemmataError(f"{where}: {_shown(value)} is not finite; look for a division by zero")
    return value


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _too_long(what: str) -> str:
    return f"{what} has more than {MAX_DIGITS} digits; rescale φ or the parameters to smaller coefficients"


def _float_message(value: object) -> str:
    exact = "a rational number"
    if 1e-300 < abs(float(value)) < 1e300:  # type: ignore[arg-type]
        number = sympy.nsimplify(value, rational=True)
        exact = f"Rational({number.p}, {number.q})"
    return f"{_shown(value)} is a float; write {exact}"


def reduced(e: sympy.Expr, reader: Reader) -> Rational:
    """Numerator and denominator without common factors."""
    n, d = reader.read(e)
    if set(d) != {()}:
        top, bottom = sympy.fraction(sympy.cancel(e))
        (n, a), (d, b) = reader.polynomial(top), reader.polynomial(bottom)
        n, d = scale(n, b), scale(d, a)
    reader.check_degree(max(degree(n), degree(d)))
    common = gcd(*n.values(), *d.values())
    if set(d) == {()} and d[()] < 0:
        common = -common
    return {m: c // common for m, c in n.items()}, {m: c // common for m, c in d.items()}


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
            raise self.error(f"{_shown(e)} is not polynomial; multiply by the denominator")
        self.check_degree(degree(n))
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
                    raise self.error(
                        f"{_shown(e)} divides by zero; simplify the denominator, it vanishes"
                    )
                n, d = (scale(d, -1), scale(n, -1)) if n.get((), 0) < 0 and len(n) == 1 else (d, n)
            return self.power(n, abs(k)), self.power(d, abs(k))
        raise self.error(_reason(e))

    def error(self, text: str) -> LemmataError:
        """To be raised; names the place."""
        return LemmataError(f"{self.where}: {text}")

    def total(self, terms: Sequence[Rational]) -> Rational:
        """The sum; terms with the same denominator are added first."""
        constant = lcm(*(d[()] for _, d in terms if set(d) == {()}))
        self.check_bits(constant.bit_length() + max((_bits(n) for n, _ in terms), default=0))
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
        # At most min(len(p), len(q)) products meet in one term.
        self.check_bits(_bits(p) + _bits(q) + min(len(p), len(q)).bit_length() - 1)
        return multiply(p, q)

    def power(self, p: Polynomial, k: int) -> Polynomial:
        """p^k, if its size is reasonable."""
        if not p:
            return {} if k else dict(ONE)
        if len(p) == 1:
            ((m, c),) = p.items()
            self.check(1, len(m) * k)
            self.check_bits((c.bit_length() - 1) * k)
            return {tuple(sorted(m * k)): c**k}
        self.check(comb(len(p) + min(k, MAX_DEGREE) - 1, min(k, MAX_DEGREE)), degree(p) * k)
        out = dict(ONE)
        for _ in range(k):
            out = self.times(out, p)
        return out

    def check(self, terms: int, total: int) -> None:
        """Refuses too many terms or too high a degree, before they are made and fractions reduced."""
        if total > UNREDUCED_DEGREE:
            self.check_degree(total)
        if terms > MAX_TERMS:
            raise self.error(
                f"about {terms:.2g} terms when expanded; at most {MAX_TERMS:,}: give a smaller model"
            )

    def check_degree(self, total: int) -> None:
        """Refuses too high a degree."""
        if total > MAX_DEGREE:
            raise self.error(
                f"degree {_shown(f'{total:,}')} in the parameters; at most {MAX_DEGREE}: give a model of lower degree"
            )

    def check_bits(self, bits: int) -> None:
        """Refuses coefficients that are too long."""
        if bits > MAX_BITS:
            raise self.error(_too_long("a coefficient"))


def _bits(p: Polynomial) -> int:
    return max((c.bit_length() for c in p.values()), default=0)


def _reason(e: sympy.Basic) -> str:
    """Why an expression is not rational over Q in the parameters, and what to do."""
    shown = _shown(e)
    if e.is_Float:
        return _float_message(e)
    if e.is_Symbol:
        return (
            f"{shown} is not among the parameters; add it to symbols, or give it a rational value"
        )
    if isinstance(e, KINKS) or str(e.func).lower() in ("relu", "leakyrelu"):
        return f"{shown} has kinks; use path products, the polynomials where no unit changes sign (see relu:3,3,3)"
    if not e.free_symbols:
        return (
            f"the constant {shown} is not rational; rescale the parameters so that it drops out, or write a rational "
            "number close to it"
        )
    if e.is_Pow and e.exp.free_symbols:
        return f"{shown} has a parameter in the exponent; give it a fixed integer value"
    if e.is_Pow:
        return f"{shown} has the exponent {e.exp}; write the base as a power of a new parameter"
    return (
        f"{shown} is not polynomial or rational in the parameters; make it a parameter of its own, f, with the metric "
        "entry (df/dθ)² written in f (1 - f² for f = sin θ), or replace it by a polynomial"
    )
