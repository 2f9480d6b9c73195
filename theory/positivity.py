"""Structural proofs that an expression is non-negative or positive.

The rules are the elementary ones (sums, products, powers, sums over an index, maxima of non-negative
terms, exponentials) plus *facts*: expressions that earlier steps have shown to be non-negative or
positive. ``False`` means "not shown".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import sympy
from sympy import Expr

from theory.normal_form import expand, normal
from theory.symbols import Indicator, MaxOver, Norm, Rel, Relu

_MOST = 1 << 14  # results that are kept


@lru_cache(maxsize=_MOST)
def _canonical(e: Expr) -> Expr:
    """The same for expressions whose normal forms agree after an expansion."""
    return expand(normal(e))


@lru_cache(maxsize=_MOST)
def _fact(relation: Rel) -> Expr:
    return _canonical(relation.gap)


@lru_cache(maxsize=_MOST)
def _factored(e: Expr) -> tuple[Expr, ...]:
    """Other forms of a sum that may show its sign."""
    return tuple(f for f in (sympy.factor_terms(e), sympy.factor(e)) if f != e)


@dataclass(frozen=True, eq=False)
class Facts:
    """Expressions known to be non-negative (strict: positive).

    Attributes:
        known: canonical form -> whether it is positive.
        needed: those that proofs have called upon so far.
    """

    known: Mapping[Expr, bool] = field(default_factory=dict)
    needed: set[Expr] = field(default_factory=set)
    _proved: dict[tuple[Expr, bool, bool], bool] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, relations: Iterable[Rel]) -> Facts:
        """Every relation a <= b says that b - a is non-negative; a = b says nothing here."""
        known: dict[Expr, bool] = {}
        for r in relations:
            if r.op != "=":
                gap = _fact(r)
                known[gap] = known.get(gap, False) or r.op == "<"
        return cls(known)

    def called_upon(self, relation: Rel) -> bool:
        """Whether a proof may have needed what this relation says."""
        return relation.op != "=" and _fact(relation) in self.needed

    def holds(self, e: Expr, *, strict: bool) -> bool:
        """Whether a fact says that e is non-negative (positive)."""
        if not self.known:
            return False
        d = _canonical(e)
        found = self.known.get(d)
        if found is None or (strict and not found):
            return False
        self.needed.add(d)
        return True


NONE = Facts()


def is_nonnegative(e: Expr, facts: Facts = NONE) -> bool:
    """Whether ``e >= 0`` follows structurally or is a fact."""
    return _prove(sympy.sympify(e), facts, strict=False)


def is_positive(e: Expr, facts: Facts = NONE) -> bool:
    """Whether ``e > 0`` follows structurally or is a fact."""
    return _prove(sympy.sympify(e), facts, strict=True)


def _prove(e: Expr, facts: Facts, *, strict: bool, factor: bool = True) -> bool:
    key = (e, strict, factor)
    known = facts._proved
    if key not in known:
        if len(known) >= _MOST:
            known.clear()
        known[key] = _search(e, facts, strict=strict, factor=factor)
    return known[key]


def _search(e: Expr, facts: Facts, *, strict: bool, factor: bool) -> bool:
    if _structural(e, facts, strict=strict, factor=factor):
        return True
    if facts.holds(e, strict=strict):
        return True
    # a factored form is tried once: its factors are not factored again
    forms = _factored(e) if factor and isinstance(e, sympy.Add) else ()
    return any(_structural(form, facts, strict=strict, factor=False) for form in forms)


def _structural(e: Expr, facts: Facts, *, strict: bool, factor: bool) -> bool:
    if e.is_number:
        value = e.is_positive if strict else e.is_nonnegative
        return bool(value)
    if isinstance(e, sympy.Symbol):
        return bool(e.is_positive if strict else e.is_nonnegative)
    if isinstance(e, sympy.exp):
        return True
    if isinstance(e, (Norm, sympy.Abs, Relu, Indicator)):
        return not strict or facts.holds(e, strict=True)
    if isinstance(e, sympy.Add):
        return all(_prove(a, facts, strict=False, factor=factor) for a in e.args) and (
            not strict or any(_prove(a, facts, strict=True, factor=factor) for a in e.args)
        )
    if isinstance(e, sympy.Mul):
        return _product(e, facts, strict=strict, factor=factor)
    if isinstance(e, sympy.Pow):
        return _power(e, facts, strict=strict, factor=factor)
    if isinstance(e, (sympy.Sum, MaxOver)):  # sizes are at least 1
        return _prove(e.function, facts, strict=strict, factor=factor)
    return False


def _product(e: sympy.Mul, facts: Facts, *, strict: bool, factor: bool) -> bool:
    flips = 0
    for a in e.args:
        if _prove(a, facts, strict=strict, factor=factor):
            continue
        if a.is_number or isinstance(a, sympy.Add):  # else -a is a product with the factor a again
            negative = _prove(-a, facts, strict=strict, factor=False)
        else:
            negative = facts.holds(-a, strict=strict)
        if not negative:
            return False
        flips += 1
    return flips % 2 == 0


def _power(e: sympy.Pow, facts: Facts, *, strict: bool, factor: bool) -> bool:
    base, exponent = e.base, e.exp
    if _prove(base, facts, strict=True, factor=factor):
        return True
    if exponent.could_extract_minus_sign() and facts.holds(1 / e, strict=True):
        return True
    if strict:
        return False
    if exponent.is_Integer and exponent >= 0 and exponent % 2 == 0:
        return True
    # a negative power of something that may vanish is not defined, so it is not accepted
    return bool(exponent.is_nonnegative) and _prove(base, facts, strict=False, factor=factor)


def undefined_part(e: Expr, facts: Facts = NONE) -> Expr | None:
    """The first denominator, root or logarithm in e that is not shown to be defined, or None."""
    for a in sympy.preorder_traversal(e):
        if isinstance(a, sympy.Pow) and not (a.exp.is_Integer and a.exp >= 0):
            if a.exp.is_Rational and a.exp > 0:
                fine = is_nonnegative(a.base, facts)
            else:
                below = a.exp.is_Integer and is_positive(-a.base, facts)
                fine = is_positive(a.base, facts) or is_positive(1 / a, facts) or below
            if not fine:
                return a.base
        if isinstance(a, sympy.log) and not is_positive(a.args[0], facts):
            return a.args[0]
    return None
