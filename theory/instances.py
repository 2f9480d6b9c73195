"""Concrete instances: a small network with rational numbers, on which relations are evaluated.

Simplification can hide a mistake; a number cannot. Every symbolic check is repeated on instances in
ball arithmetic, and rates are computed a second time by propagating (value, derivative) pairs along
the flow, independently of the symbolic differentiation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import flint
import sympy
from flint import arb
from sympy import Expr, Symbol

from theory.errors import DerivationError
from theory.instance_numbers import ZERO, Dual, Number, add, exact, lift, mul, parts, power
from theory.normal_form import normal
from theory.symbols import (
    START,
    Atom,
    Indicator,
    Inner,
    MaxOver,
    Norm,
    Rate,
    Rel,
    Relu,
    Vec,
    is_vector,
)

PRECISION = 200
DIMENSION = 2


def _sign(a: arb, e: Expr) -> int:
    if a > 0:
        return 1
    if a < 0:
        return -1
    if a.is_zero():
        return 0
    raise Undetermined(f"the sign of {e} is not determined on this instance")


class Undetermined(Exception):
    """A sign could not be decided on this instance; another instance is drawn."""


@dataclass
class Instance:
    """Values for every symbol, atom and vector, drawn when first needed.

    Attributes:
        rng: source of the values.
        definitions: label -> (indices, expression): atoms that are computed, not drawn.
        domains: label -> the finite set of values of an atom.
        flow: label -> (indices, right-hand side): how state variables move; without it rates are drawn.
        values: what was drawn or set so far; keys are symbols, or (label, indices).
    """

    rng: random.Random
    definitions: Mapping[str, tuple[tuple[Symbol, ...], Expr]] = field(default_factory=dict)
    domains: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    flow: Mapping[str, tuple[tuple[Symbol, ...], Expr]] = field(default_factory=dict)
    values: dict[Any, Any] = field(default_factory=dict)

    # -- drawing --------------------------------------------------------------------------------------------------
    def rational(self, *, positive: bool = False) -> Fraction:
        """A small random rational."""
        q = Fraction(self.rng.randint(1, 40), self.rng.choice((4, 8, 10)))
        return q if positive or self.rng.random() < 0.5 else -q

    def symbol(self, s: Symbol) -> arb:
        """The value of a plain symbol, drawn according to its assumptions."""
        if s not in self.values:
            if s.is_integer:
                self.values[s] = Fraction(self.rng.randint(1, 3))
            else:
                self.values[s] = self.rational(positive=bool(s.is_nonnegative))
        return exact(self.values[s])

    def size(self, s: Expr) -> int:
        """The value of a size."""
        if isinstance(s, Symbol):
            self.symbol(s)
            return int(self.values[s])
        return int(s)

    def vector(self, label: str, where: tuple[int, ...]) -> list[arb]:
        """Coordinates of a vector; drawn vectors have a rational norm."""
        key = (label, where)
        if key not in self.values:
            a, r = self.rational(), self.rational(positive=True)
            scale = r / (1 + a * a)
            self.values[key] = (scale * (1 - a * a), scale * 2 * a)
        return [exact(c) for c in self.values[key]]

    def atom(self, label: str, where: tuple[int, ...]) -> arb:
        """The value of an indexed number: computed where it has a definition, else drawn."""
        if label in self.definitions:
            indices, body = self.definitions[label]
            return self.evaluate(body, dict(zip(indices, where, strict=True)))
        key = (label, where)
        if key not in self.values:
            choices = self.domains.get(label.removesuffix(START))
            self.values[key] = Fraction(self.rng.choice(choices)) if choices else self.rational()
        return exact(self.values[key])

    def point(self) -> dict[str, str]:
        """What was drawn, as exact rationals, for messages and certificates."""
        out = {}
        for key, value in self.values.items():
            name = str(key) if isinstance(key, Expr) else f"{key[0]}{list(key[1])}"
            out[name] = (
                "(" + ", ".join(map(str, value)) + ")" if isinstance(value, tuple) else str(value)
            )
        return out

    # -- evaluation -----------------------------------------------------------------------------------------------
    def evaluate(
        self, e: Expr, where: Mapping[Symbol, int] | None = None, *, moving: bool = False
    ) -> Any:
        """The value of an expression: a ball, a pair (value, derivative) if ``moving``, or a list for a vector.

        Raises:
            Undetermined: a sign or a domain is not decided at the precision in use.
            DerivationError: the expression has an operator that instances do not know.
        """
        with flint.ctx.workprec(PRECISION):
            return _Evaluator(self, moving).run(e, dict(where or {}))

    def compare(self, relation: Rel, where: Mapping[Symbol, int] | None = None) -> bool | None:
        """Whether a relation certainly holds (True), certainly fails (False), or is too close to tell."""
        a, b = self.evaluate(relation.lhs, where), self.evaluate(relation.rhs, where)
        if isinstance(a, list) or isinstance(b, list):
            a = a if isinstance(a, list) else [a] * DIMENSION  # a zero written as a number
            b = b if isinstance(b, list) else [b] * DIMENSION
            same = [_certain(p, "=", q) for p, q in zip(a, b, strict=True)]
            return False if False in same else (None if None in same else True)
        return _certain(a, relation.op, b)


def _certain(a: arb, op: str, b: arb) -> bool | None:
    if not (a.is_finite() and b.is_finite()):
        return None
    d = b - a
    if op == "=":
        return (
            False
            if d > 0 or d < 0
            else (True if d.is_zero() or abs(d) < arb(2) ** (-PRECISION // 2) else None)
        )
    if op == "<=":
        return True if d >= 0 else (False if d < 0 else None)
    return True if d > 0 else (False if d <= 0 else None)


class _Evaluator:
    def __init__(self, instance: Instance, moving: bool) -> None:
        self.instance = instance
        self.moving = moving

    def run(self, e: Expr, where: dict[Symbol, int]) -> Any:
        return getattr(self, _rule(e.__class__))(e, where)

    def _rational(self, e: Any, where: dict[Symbol, int]) -> arb:
        return exact(e)

    def _symbol(self, e: Any, where: dict[Symbol, int]) -> arb:
        return arb(where[e]) if e in where else self.instance.symbol(e)

    def _number(self, e: Any, where: dict[Symbol, int]) -> arb:
        return {sympy.pi: arb.pi, sympy.E: arb.const_e}[e]()

    def _add(self, e: Any, where: dict[Symbol, int]) -> Any:
        return self._total([self.run(a, where) for a in e.args])

    def _mul(self, e: Any, where: dict[Symbol, int]) -> Any:
        return self._product([self.run(a, where) for a in e.args])

    def _pow(self, e: Any, where: dict[Symbol, int]) -> Number:
        base, exponent = e.args
        if isinstance(exponent, sympy.Rational):
            return power(self.run(base, where), Fraction(int(exponent.p), int(exponent.q)))
        logarithm = self._function(sympy.log, self.run(base, where), e)
        return self._function(sympy.exp, mul(self.run(exponent, where), logarithm), e)

    def _inner(self, e: Any, where: dict[Symbol, int]) -> Number:
        a, b = (self.run(c, where) for c in e.args)
        return self._total([mul(p, q) for p, q in zip(a, b, strict=True)])

    def _norm(self, e: Any, where: dict[Symbol, int]) -> Number:
        a = self.run(e.args[0], where)
        if not isinstance(a, list):
            a = [a]  # the zero vector
        square = self._total([mul(p, p) for p in a])
        if isinstance(square, arb) and square.contains(0):
            return arb(0, square.upper().sqrt())  # a ball around a sum of squares may reach below 0
        return power(square, Fraction(1, 2))

    def _other(self, e: Any, where: dict[Symbol, int]) -> Any:
        if len(e.args) == 1:
            return self._function(e.func, self.run(e.args[0], where), e)
        raise DerivationError(f"{e}: instances cannot evaluate {type(e).__name__}")

    def _indexed(self, e: Any, where: dict[Symbol, int]) -> Any:
        position = tuple(where[i] if i in where else self.instance.size(i) for i in e.indices)
        draw = self.instance.vector if isinstance(e, Vec) else self.instance.atom
        value = draw(e.label, position)
        if not self.moving:
            return value
        if e.label in self.instance.definitions:
            raise DerivationError(
                f"the derivative of {e} is not declared; write its definition out first"
            )
        if e.label not in self.instance.flow:
            return value
        indices, rhs = self.instance.flow[e.label]
        slope = _Evaluator(self.instance, False).run(rhs, dict(zip(indices, position, strict=True)))
        if isinstance(e, Vec):
            return [Dual(a, b) for a, b in zip(value, slope, strict=True)]
        return Dual(value, slope)

    def _over(self, e: Any, where: dict[Symbol, int]) -> Any:
        *inner, (variable, _, upper) = e.limits
        body = e.func(e.function, *inner) if inner else e.function
        terms = [
            self.run(body, {**where, variable: k}) for k in range(1, self.instance.size(upper) + 1)
        ]
        if isinstance(e, sympy.Sum):
            return self._total(terms)
        best = terms[0]
        for term in terms[1:]:
            best = term if _sign(parts(term)[0] - parts(best)[0], e) > 0 else best
        return best

    def _total(self, terms: list[Any]) -> Any:
        vectors = [a for a in terms if isinstance(a, list)]
        if vectors:
            return [self._total(list(c)) for c in zip(*vectors, strict=True)]
        out: Number = ZERO
        for a in terms:
            out = add(out, a)
        return out

    def _product(self, factors: list[Any]) -> Any:
        scalar: Number = arb(1)
        vector = None
        for a in factors:
            if isinstance(a, list):
                vector = a
            else:
                scalar = mul(scalar, a)
        return scalar if vector is None else [mul(scalar, c) for c in vector]

    def _function(self, kind: Any, a: Number, e: Expr) -> Number:
        u, _ = parts(a)
        if kind is sympy.exp:
            return lift(a, u.exp(), u.exp())
        if kind is sympy.log:
            if not u > 0:
                raise Undetermined(f"{e}: logarithm of a number that is not positive")
            return lift(a, u.log(), 1 / u)
        if kind is sympy.tanh:
            return lift(a, u.tanh(), 1 - u.tanh() ** 2)
        if kind is sympy.Abs:
            return mul(a, arb(_sign(u, e)))
        if kind is sympy.sign:
            return arb(_sign(u, e))
        if kind in (Relu, Indicator):
            on = _sign(u, e) > 0
            if kind is Relu:
                return a if on else ZERO
            return arb(1 if on else 0)
        raise DerivationError(f"{e}: instances cannot evaluate {kind}")

    def _rate(self, e: Rate, where: dict[Symbol, int]) -> Any:
        if self.instance.flow:
            moved = _Evaluator(self.instance, True).run(e.args[0], where)
            if isinstance(moved, list):
                return [parts(c)[1] for c in moved]
            return parts(moved)[1]
        terms = []
        for term in sympy.Add.make_args(normal(e)):
            c, rate = term.as_coeff_Mul()
            at = {k: sympy.Integer(m) for k, m in where.items()}
            key = ("rate of " + str(rate.xreplace(at)), ())
            if is_vector(rate):
                terms.append([exact(c) * a for a in self.instance.vector(*key)])
                continue
            if key not in self.instance.values:
                self.instance.values[key] = self.instance.rational()
            terms.append(exact(c) * exact(self.instance.values[key]))
        return self._total(terms)


_KINDS: tuple[tuple[Any, str], ...] = (
    (sympy.Rational, "_rational"),
    (Symbol, "_symbol"),
    (sympy.NumberSymbol, "_number"),
    ((Vec, Atom), "_indexed"),
    ((sympy.Sum, MaxOver), "_over"),
    (sympy.Add, "_add"),
    (sympy.Mul, "_mul"),
    (sympy.Pow, "_pow"),
    (Inner, "_inner"),
    (Norm, "_norm"),
    (Rate, "_rate"),
)


@cache
def _rule(kind: Any) -> str:
    """The method that evaluates expressions of a kind."""
    return next((name for base, name in _KINDS if issubclass(kind, base)), "_other")


def free_indices(relation: Rel) -> list[Symbol]:
    """Free index symbols of a relation that are used as indices (not sizes), in a fixed order."""
    return list(_free_indices(relation))


@lru_cache(maxsize=1 << 12)
def _free_indices(relation: Rel) -> tuple[Symbol, ...]:
    used: set[Symbol] = set()
    for side in (relation.lhs, relation.rhs):
        for a in sympy.preorder_traversal(side):
            if isinstance(a, (Vec, Atom)):
                used |= {i for i in a.indices if isinstance(i, Symbol)}
    free = relation.lhs.free_symbols | relation.rhs.free_symbols
    return tuple(sorted(used & free, key=str))
