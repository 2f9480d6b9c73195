"""Exact simplification of expressions with sums, vectors and activations.

`normal` rewrites with identities only (bilinearity and symmetry of the inner product, linearity of
sums and rates, ``relu(z) = 1[z>0] z``, ``1[z>0]² = 1[z>0]``, ``|ab| = |a||b|``), so two expressions
with the same normal form are equal wherever both are defined. `is_zero` decides, when it says yes.
"""

from __future__ import annotations

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


def normal(e: Expr) -> Expr:
    """The normal form of an expression; vectors become sums of coefficient times vector."""
    e = sympy.sympify(e)
    if not e.args or isinstance(e, (Vec, Atom)):
        return e
    if isinstance(e, (sympy.Sum, MaxOver)):
        return _normal_limits(e)
    args = [normal(a) for a in e.args]
    if isinstance(e, Inner):
        return sympy.expand(_inner(args[0], args[1]))
    if isinstance(e, Norm):
        return _norm(args[0])
    if isinstance(e, Relu):
        return sympy.expand(Indicator(args[0]) * args[0])
    if isinstance(e, sympy.Abs):
        return _absolute(args[0])
    if isinstance(e, Rate):
        return _rate(args[0])
    if isinstance(e, sympy.Pow):
        return _power(args[0], args[1])
    if isinstance(e, sympy.Mul):
        return _tidy(sympy.expand(sympy.Mul(*args)))
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
    return sympy.expand(e.replace(applies, fix))


def _power(base: Expr, exponent: Expr) -> Expr:
    if exponent.is_Integer and exponent > 1:
        k = int(exponent)
        if isinstance(base, Indicator):
            return base
        if isinstance(base, sympy.Abs) and k % 2 == 0:
            return _tidy(sympy.expand(base.args[0] ** k))
        if isinstance(base, Norm) and not isinstance(base.args[0], Vec):
            square = _inner(base.args[0], base.args[0])
            return sympy.expand(square ** (k // 2) * base ** (k % 2))
    return _tidy(sympy.expand(sympy.Pow(base, exponent)))


def _normal_limits(e: ExprWithLimits) -> Expr:
    body = normal(e.function)
    for limit in e.limits:  # innermost first; sympy merges nested sums into one with several limits
        if len(limit) != 3 or limit[1] != 1:
            raise DerivationError(f"{e}: write sums and maxima as (index, 1, size)")
        variable, _, upper = limit
        kind = MaxOver if isinstance(e, MaxOver) else sympy.Sum
        body = (
            _bind(MaxOver, body, variable, upper)
            if kind is MaxOver
            else _sum(body, variable, upper)
        )
    return body


def _sum(body: Expr, variable: Symbol, upper: Expr) -> Expr:
    """A sum whose body is in normal form: linear, constant factors outside."""
    total: Expr = sympy.Integer(0)
    for term in sympy.Add.make_args(sympy.expand(body)):
        inside: list[Expr] = []
        outside: list[Expr] = []
        for factor in sympy.Mul.make_args(term):
            (inside if variable in factor.free_symbols else outside).append(factor)
        if not inside:
            total += upper * term
        elif is_vector(sympy.Mul(*outside)):
            raise DerivationError(f"{term} under a sum over {variable}: move the vector out of it")
        else:
            total += sympy.Mul(*outside) * _bind(sympy.Sum, sympy.Mul(*inside), variable, upper)
    return sympy.expand(total)


def _bind(kind: type, body: Expr, variable: Symbol, upper: Expr) -> Expr:
    """A sum or maximum whose bound index has a name that depends on its nesting depth only."""
    depth = 1 + max((_depth(s) for s in body.atoms(ExprWithLimits)), default=0)
    canonical = Symbol(f"_{upper}{depth}", integer=True, positive=True)
    return kind(instantiate(body, {variable: canonical}), (canonical, 1, upper))


def _depth(s: ExprWithLimits) -> int:
    names = [v.name for v in s.variables if v.name.startswith("_")]
    digits = [name[len(name.rstrip("0123456789")) :] for name in names]
    return max((int(d) for d in digits if d), default=0)


def _split(vector: Expr) -> list[tuple[Expr, Expr]]:
    """(coefficient, Vec or Sum or Rate) for every term of a vector in normal form."""
    terms = []
    for term in sympy.Add.make_args(sympy.expand(vector)):
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
                result = _sum(sympy.expand(result), fresh[variable], upper)
            return result
    return Norm(a) ** 2 if a == b else Inner(a, b)


def _norm(vector: Expr) -> Expr:
    terms = list(_collected(vector).items())
    if not terms:
        return sympy.Integer(0)
    if len(terms) == 1:
        base, coefficient = terms[0]
        return sympy.expand(_absolute(coefficient) * Norm(base))
    shared = set.intersection(*(set(sympy.Mul.make_args(sympy.factor_terms(c))) for _, c in terms))
    common = sympy.Mul(*(a for a in shared if not a.is_Number))
    rest = sympy.expand(sympy.Add(*(c / common * base for base, c in terms)))
    rest = -rest if rest.could_extract_minus_sign() else rest
    return sympy.expand(_absolute(common) * Norm(rest))


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
            out *= sympy.Abs(sympy.expand(-factor))
        else:
            out *= sympy.Abs(factor)
    return sympy.expand(out)


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
    d = normal(e)
    if d == 0:
        return True
    if is_vector(d):
        return all(is_zero(c) for c in _collected(d).values())
    d = elementary(d)
    d = sympy.expand(sympy.powsimp(sympy.expand(d, power_base=True, force=False)))
    if d == 0:
        return True
    numerator = sympy.expand(sympy.numer(sympy.together(d)))
    if numerator == 0 or sympy.expand(sympy.powsimp(numerator)) == 0:
        return True
    return bool(sympy.simplify(numerator) == 0)


def _collected(vector: Expr) -> dict[Expr, Expr]:
    """Base -> coefficient of a vector in normal form, like terms collected."""
    table: dict[Expr, Expr] = {}
    for c, base in _split(vector):
        table[base] = table.get(base, sympy.Integer(0)) + c
    return table
