"""Exact simplification of expressions with sums, vectors and activations.

`normal` rewrites with identities only (bilinearity and symmetry of the inner product, linearity of
sums and rates, the order of finite sums, ``relu(z) = 1[z>0] z``, ``1[z>0]² = 1[z>0]``,
``|ab| = |a||b|``), so two expressions with the same normal form are equal wherever both are
defined. `is_zero` decides, when it says yes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations, product
from math import factorial, prod

import sympy
from sympy import Expr, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits

from theory.errors import DerivationError
from theory.symbols import (
    Atom,
    Indicator,
    Inner,
    MaxOver,
    Norm,
    Rate,
    Relu,
    Vec,
    instantiate,
    is_vector,
)

_OPAQUE = (Atom, Inner, Norm, Indicator, Rate, Vec, ExprWithLimits)
_POSITIVE_OPAQUE = (Norm, Indicator)
_MOST = 1 << 14  # normal forms that are kept
_ORDERS = 720  # ways of naming the indices of a nested sum that are tried for the canonical one


def expand(e: Expr) -> Expr:
    """Products and powers multiplied out, as by sympy, which goes through a sum term by term; terms are kept."""
    return sympy.Add(*map(_expanded, e.args)) if isinstance(e, sympy.Add) else _expanded(e)


@lru_cache(maxsize=_MOST)
def _expanded(e: Expr) -> Expr:
    return sympy.expand(e)


def normal(e: Expr) -> Expr:
    """The normal form of an expression; vectors become sums of coefficient times vector."""
    return _normal(e if isinstance(e, Expr) else sympy.sympify(e))


@lru_cache(maxsize=_MOST)
def _normal(e: Expr) -> Expr:
    if not e.args or isinstance(e, (Vec, Atom)):
        return e
    if isinstance(e, (sympy.Sum, MaxOver)):
        return _normal_limits(e)
    args = [normal(a) for a in e.args]
    if isinstance(e, Inner):
        return expand(_inner(args[0], args[1]))
    if isinstance(e, Norm):
        return _norm(args[0])
    if isinstance(e, Relu):
        return expand(Indicator(args[0]) * args[0])
    if isinstance(e, sympy.Abs):
        return _absolute(args[0])
    if isinstance(e, Rate):
        return _rate(args[0])
    if isinstance(e, sympy.Pow):
        return _power(args[0], args[1])
    if isinstance(e, sympy.Mul):
        return _tidy(expand(sympy.Mul(*args)))
    return e.func(*args)


def _tidy(e: Expr) -> Expr:
    """Idempotence of indicators and squares of compound norms, after an expansion."""

    def fix(p: sympy.Pow) -> Expr:
        return _power(p.base, p.exp)

    def applies(p: Expr) -> bool:
        if not isinstance(p, sympy.Pow):
            return False
        even = p.exp.is_Integer and p.exp > 1
        compound = isinstance(p.base, Norm) and not isinstance(p.base.args[0], Vec)
        return bool(
            even and (isinstance(p.base, Indicator) or compound or isinstance(p.base, sympy.Abs))
        )

    if not any(applies(p) for p in e.atoms(sympy.Pow)):
        return e
    return expand(e.replace(applies, fix))


def _power(base: Expr, exponent: Expr) -> Expr:
    if exponent.is_Integer and exponent > 1:
        k = int(exponent)
        if isinstance(base, Indicator):
            return base
        if isinstance(base, sympy.Abs) and k % 2 == 0:
            return _tidy(expand(base.args[0] ** k))
        if isinstance(base, Norm) and not isinstance(base.args[0], Vec):
            square = _inner(base.args[0], base.args[0])
            return expand(square ** (k // 2) * base ** (k % 2))
    return _tidy(expand(sympy.Pow(base, exponent)))


def _normal_limits(e: ExprWithLimits) -> Expr:
    body = normal(e.function)
    for limit in e.limits:  # innermost first; sympy merges nested sums into one with several limits
        if len(limit) != 3 or limit[1] != 1:
            raise DerivationError(f"{e}: write sums and maxima as (index, 1, size)")
        variable, _, upper = limit
        if isinstance(e, sympy.Sum):
            body = _sum(body, variable, upper)
        elif variable in body.free_symbols:
            body = _bind(MaxOver, body, ((variable, upper),))
        # the maximum of what does not depend on the index is itself: sizes are positive
    return body


def _sum(body: Expr, variable: Symbol, upper: Expr) -> Expr:
    """A sum whose body is in normal form: linear, constant factors outside, nested sums in one."""
    total: Expr = sympy.Integer(0)
    for term in sympy.Add.make_args(expand(body)):
        inside: list[Expr] = []
        outside: list[Expr] = []
        for factor in sympy.Mul.make_args(term):
            (inside if variable in factor.free_symbols else outside).append(factor)
        if not inside:
            total += upper * term
        elif is_vector(sympy.Mul(*outside)):
            raise DerivationError(f"{term} under a sum over {variable}: move the vector out of it")
        else:
            flat, limits = _flattened(inside, variable)
            total += sympy.Mul(*outside) * _bind(sympy.Sum, flat, ((variable, upper), *limits))
    return expand(total)


def _flattened(
    factors: list[Expr], variable: Symbol
) -> tuple[Expr, tuple[tuple[Symbol, Expr], ...]]:
    """Factors that depend on an index that is summed over: Σ_a f · Σ_b g becomes f g under Σ_a Σ_b, fresh indices.

    Whatever the order of summation was, the result has the same factors under the same indices.
    """
    out: list[Expr] = []
    limits: list[tuple[Symbol, Expr]] = []
    for factor in factors:
        base, exponent = factor.as_base_exp()
        power = isinstance(base, sympy.Sum) and exponent.is_Integer and exponent > 0
        # a sum whose length depends on the index does not commute with it
        power = power and all(variable not in size.free_symbols for *_, size in base.limits)
        for _ in range(int(exponent) if power else 0):
            fresh = {v: sympy.Dummy(v.name, integer=True, positive=True) for v in base.variables}
            out.append(base.function.xreplace(fresh))
            limits += [(fresh[v], size) for v, _, size in base.limits]
        if not power:
            out.append(factor)
    return sympy.Mul(*out), tuple(limits)


def _bind(kind: type, body: Expr, limits: tuple[tuple[Symbol, Expr], ...]) -> Expr:
    """A sum or maximum whose bound indices have names that depend on the nesting depth only.

    Sums commute, so of all ways to name several indices the first in sympy's order is taken; where there are too many,
    the expression stays correct without being canonical.
    """
    depth = 1 + max((_depth(s) for s in body.atoms(ExprWithLimits)), default=0)
    sizes: dict[Expr, list[Symbol]] = {}
    for variable, upper in limits:
        sizes.setdefault(upper, []).append(variable)
    taken = body.free_symbols - {variable for variable, _ in limits}
    names = {upper: _fresh(upper, depth, len(group), taken) for upper, group in sizes.items()}
    bodies = (instantiate(body, table) for table in _namings(sizes, names))
    first = next(bodies)
    if 1 < prod(factorial(len(group)) for group in sizes.values()) <= _ORDERS:
        first = min((first, *bodies), key=sympy.default_sort_key)
    return kind(first, *((v, 1, upper) for upper in sorted(names, key=str) for v in names[upper]))


def _fresh(upper: Expr, depth: int, count: int, taken: set[Symbol]) -> list[Symbol]:
    """The first ``count`` names at this depth that do not capture a free symbol."""
    found: list[Symbol] = []
    while len(found) < count:
        name = Symbol(f"_{upper}{depth}", integer=True, positive=True)
        found += [name] if name not in taken else []
        depth += 1
    return found


def _namings(
    sizes: dict[Expr, list[Symbol]], names: dict[Expr, list[Symbol]]
) -> Iterator[dict[Expr, Symbol]]:
    """All ways to give the indices of each size their canonical names."""
    for orders in product(*(permutations(names[upper]) for upper in sizes)):
        yield {
            old: new
            for group, order in zip(sizes.values(), orders, strict=True)
            for old, new in zip(group, order, strict=True)
        }


def _depth(s: ExprWithLimits) -> int:
    names = [v.name for v in s.variables if v.name.startswith("_")]
    digits = [name[len(name.rstrip("0123456789")) :] for name in names]
    return max((int(d) for d in digits if d), default=0)


def _split(vector: Expr) -> list[tuple[Expr, Expr]]:
    """(coefficient, Vec or Sum or Rate) for every term of a vector in normal form."""
    terms = []
    for term in sympy.Add.make_args(expand(vector)):
        if term == 0:
            continue
        factors = sympy.Mul.make_args(term)
        vectors = [a for a in factors if is_vector(a)]
        if len(vectors) != 1:
            raise DerivationError(f"{term} is no vector; norms and inner products take vectors")
        terms.append((sympy.Mul(*(a for a in factors if not is_vector(a))), vectors[0]))
    return terms


def _inner(a: Expr, b: Expr) -> Expr:
    total: Expr = sympy.Integer(0)
    for c1, v1 in _split(a):
        for c2, v2 in _split(b):
            total += c1 * c2 * _inner_base(v1, v2)
    return total


def _inner_base(a: Expr, b: Expr) -> Expr:
    for first, second in ((a, b), (b, a)):
        if isinstance(first, sympy.Sum):
            # fresh indices, so that the other factor's own sums cannot capture them
            fresh = {v: sympy.Dummy(v.name, integer=True, positive=True) for v in first.variables}
            result = _inner(normal(first.function.xreplace(fresh)), second)
            for variable, _, upper in first.limits:
                result = _sum(expand(result), fresh[variable], upper)
            return result
    return Norm(a) ** 2 if a == b else Inner(a, b)


def _norm(vector: Expr) -> Expr:
    terms = list(_collected(vector).items())
    if not terms:
        return sympy.Integer(0)
    if len(terms) == 1:
        base, coefficient = terms[0]
        return expand(_absolute(coefficient) * Norm(base))
    shared = set.intersection(*(set(sympy.Mul.make_args(sympy.factor_terms(c))) for _, c in terms))
    common = sympy.Mul(*(a for a in shared if not a.is_Number))
    rest = expand(sympy.Add(*(c / common * base for base, c in terms)))
    rest = -rest if rest.could_extract_minus_sign() else rest
    return expand(_absolute(common) * Norm(rest))


def _absolute(e: Expr) -> Expr:
    out: Expr = sympy.Integer(1)
    for factor in sympy.Mul.make_args(sympy.factor_terms(e)):
        if factor.is_nonnegative or (
            isinstance(factor, sympy.Pow) and factor.exp.is_Integer and factor.exp % 2 == 0
        ):
            out *= factor
        elif isinstance(factor, sympy.Pow) and factor.exp.is_Integer:
            out *= _absolute(factor.base) ** factor.exp
        elif isinstance(factor, sympy.Add) and factor.could_extract_minus_sign():
            out *= sympy.Abs(expand(-factor))
        else:
            out *= sympy.Abs(factor)
    return expand(out)


def _rate(e: Expr) -> Expr:
    total: Expr = sympy.Integer(0)
    for term in sympy.Add.make_args(e):
        c, rest = term.as_coeff_Mul()
        total += 0 if rest.is_number else c * Rate(rest)
    return total


def elementary(e: Expr) -> Expr:
    """Replace what sympy's simplifiers do not know by symbols with the same sign information."""
    table: dict[Expr, Expr] = {}

    def stand_in(a: Expr) -> Expr:
        if a not in table:
            table[a] = sympy.Dummy(
                "a", real=True, **({"nonnegative": True} if a.is_nonnegative else {})
            )
        return table[a]

    def walk(a: Expr) -> Expr:
        if isinstance(a, (*_OPAQUE, sympy.Abs, sympy.sign)):
            return stand_in(a)
        return a.func(*map(walk, a.args)) if a.args else a

    return walk(e)


def is_zero(e: Expr) -> bool:
    """Whether an expression is identically zero; ``False`` means that it could not be shown."""
    return _vanishes(normal(e))


@lru_cache(maxsize=_MOST)
def _vanishes(d: Expr) -> bool:
    if d == 0:
        return True
    if is_vector(d):
        return all(is_zero(c) for c in _collected(d).values())
    d = elementary(d)
    d = expand(sympy.powsimp(sympy.expand(d, power_base=True, force=False)))
    if d == 0:
        return True
    numerator = expand(sympy.numer(sympy.together(d)))
    if numerator == 0 or expand(sympy.powsimp(numerator)) == 0:
        return True
    return bool(sympy.simplify(numerator) == 0)


def _collected(vector: Expr) -> dict[Expr, Expr]:
    """Base -> coefficient of a vector in normal form, like terms collected."""
    table: dict[Expr, Expr] = {}
    for c, base in _split(vector):
        table[base] = table.get(base, sympy.Integer(0)) + c
    return table
