"""Sparse polynomials over Z in many variables, and vector fields of them.

A monomial is the sorted tuple of its variables' indices with repetition, x0² x3 = (0, 0, 3); a polynomial maps
monomials to non-zero integers. Path products and factorisations touch few of many variables: flint's packed exponent
vectors cost O(D) per monomial (53 µs for one evaluation at D = 280), these cost O(degree). Products of many terms go to
flint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from math import gcd

from flint import Ordering, fmpz_mpoly, fmpz_mpoly_ctx

Monomial = tuple[int, ...]
Polynomial = dict[Monomial, int]
VectorField = dict[int, Polynomial]

ONE: Polynomial = {(): 1}
DENSE = 2000  # products of more pairs of terms than this are cheaper in flint


def variable(index: int) -> Polynomial:
    """x_index."""
    return {(index,): 1}


def add(*polynomials: Mapping[Monomial, int]) -> Polynomial:
    """Sum."""
    out: Polynomial = {}
    for p in polynomials:
        for m, c in p.items():
            out[m] = out.get(m, 0) + c
    return {m: c for m, c in out.items() if c}


def scale(p: Mapping[Monomial, int], factor: int) -> Polynomial:
    """factor · p."""
    return {m: factor * c for m, c in p.items()} if factor else {}


def multiply(p: Mapping[Monomial, int], q: Mapping[Monomial, int]) -> Polynomial:
    """p q."""
    if len(p) * len(q) > DENSE:
        return _multiply_dense(p, q)
    out: Polynomial = {}
    for a, c in p.items():
        for b, d in q.items():
            m = tuple(sorted(a + b)) if a and b else a or b
            out[m] = out.get(m, 0) + c * d
    return {m: c for m, c in out.items() if c}


def product(factors: Iterable[Mapping[Monomial, int]]) -> Polynomial:
    """Product of any number of polynomials."""
    return reduce(multiply, factors, dict(ONE))


def gradient(p: Mapping[Monomial, int]) -> VectorField:
    """All non-zero partial derivatives, by variable."""
    out: VectorField = {}
    for m, c in p.items():
        previous = -1
        for position, i in enumerate(m):
            if i != previous:
                previous = i
                rest = m[:position] + m[position + 1 :]
                part = out.setdefault(i, {})
                part[rest] = part.get(rest, 0) + c * m.count(i)
    return {i: clean for i, part in out.items() if (clean := {m: c for m, c in part.items() if c})}


def along(field: VectorField, slopes: VectorField, modulus: int = 0) -> Polynomial:
    """Σ_a F_a ∂_a p, from the gradient of p: the derivative of p along the field F."""
    small, large = (field, slopes) if len(field) < len(slopes) else (slopes, field)
    terms = [multiply(part, large[a]) for a, part in small.items() if a in large]
    total = add(*terms)
    if modulus:
        return {m: r for m, c in total.items() if (r := c % modulus)}
    return total


def bracket(f: VectorField, g: VectorField, modulus: int = 0) -> VectorField:
    """[f, g] = (Dg) f - (Df) g; coefficients modulo ``modulus`` if it is not 0."""
    out: VectorField = {}
    for sign, left, right in ((1, f, g), (-1, g, f)):
        for a, part in right.items():
            found = along(left, gradient(part))
            if found:
                out[a] = add(out.get(a, {}), scale(found, sign))
    if modulus:
        out = {a: {m: r for m, c in p.items() if (r := c % modulus)} for a, p in out.items()}
    return {a: p for a, p in out.items() if p}


def evaluate(p: Mapping[Monomial, int], point: Sequence[int], prime: int) -> int:
    """p(point) modulo a prime."""
    total = 0
    for m, c in p.items():
        for i in m:
            c = c * point[i] % prime
        total += c
    return total % prime


def value(p: Mapping[Monomial, int | Fraction], point: Sequence[int | Fraction]) -> Fraction:
    """p(point), exactly; rational coefficients are allowed."""
    total = Fraction(0)
    for m, c in p.items():
        term = Fraction(c)
        for i in m:
            term *= point[i]
        total += term
    return total


def degree(p: Mapping[Monomial, int]) -> int:
    """Total degree; 0 for constants and for zero."""
    return max(map(len, p), default=0)


def primitive(p: Mapping[Monomial, int]) -> Polynomial:
    """p divided by the gcd of its coefficients, with a positive leading one (first in `ordered`)."""
    if not p:
        return {}
    content = gcd(*p.values())
    if p[ordered(p)[0]] < 0:
        content = -content
    return {m: c // content for m, c in p.items()}


def ordered(p: Mapping[Monomial, int]) -> list[Monomial]:
    """Monomials by decreasing degree, then lexicographically."""
    return sorted(p, key=lambda m: (-len(m), m))


def divide(p: Mapping[Monomial, int], q: Mapping[Monomial, int]) -> Polynomial | None:
    """p / q over Q where it is a polynomial with integer coefficients, else None."""
    if not p:
        return {}
    (a, b), used = _to_flint(p, q)
    quotient, rest = divmod(a, b)
    return _from_flint(quotient, used) if rest == 0 else None


def to_text(p: Mapping[Monomial, int], names: Sequence[str]) -> str:
    """Text such as ``2*u^2*v - 3``; the audit kernel's parser reads it."""
    return _written(p, lambda i, k: names[i] if k == 1 else f"{names[i]}^{k}", "*")


def to_latex(p: Mapping[Monomial, int], names: Sequence[str]) -> str:
    """LaTeX, from LaTeX names of the variables."""
    return _written(p, lambda i, k: names[i] if k == 1 else f"{{{names[i]}}}^{{{k}}}", r" ")


def _written(p: Mapping[Monomial, int], power: object, times: str) -> str:
    parts: list[str] = []
    for m in ordered(p):
        c = p[m]
        factors = [power(i, k) for i, k in sorted(Counter(m).items())]  # type: ignore[operator]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("-" if c < 0 else "") if not parts else (" - " if c < 0 else " + ")
        parts.append(sign + times.join(factors))
    return "".join(parts) or "0"


def _to_flint(*polynomials: Mapping[Monomial, int]) -> tuple[list[fmpz_mpoly], list[int]]:
    """The polynomials over their common variables, and those variables."""
    used = sorted({i for p in polynomials for m in p for i in m})
    place = {i: k for k, i in enumerate(used)}
    ring = fmpz_mpoly_ctx.get([f"x{k}" for k in range(len(used))], Ordering.deglex)
    out = []
    for p in polynomials:
        terms = {}
        for m, c in p.items():
            exponents = [0] * len(used)
            for i in m:
                exponents[place[i]] += 1
            terms[tuple(exponents)] = c
        out.append(ring.from_dict(terms))
    return out, used


def _from_flint(p: fmpz_mpoly, used: Sequence[int]) -> Polynomial:
    return {
        tuple(i for i, k in zip(used, exponents, strict=True) for _ in range(int(k))): int(c)
        for exponents, c in p.to_dict().items()
    }


def _multiply_dense(p: Mapping[Monomial, int], q: Mapping[Monomial, int]) -> Polynomial:
    (a, b), used = _to_flint(p, q)
    return _from_flint(a * b, used)
