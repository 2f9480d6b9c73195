"""Conservation laws of φ = U Vᵀ in sympy: what `benchmarks.conservation_laws` is measured against.

Both peers follow the algorithm of `theory.conservation`, with its pruning and its ansatz; only the algebra differs.

Counting: the gradients of φ are the generators. Every field that raised the rank at a random rational point is
bracketed with every generator, [f, g] = (Dg) f - (Df) g, and the result is kept if it raises the rank in turn, until
none does. Jacobians are computed once for each field that is kept.

Finding: an ansatz h of degree 2 with unknown coefficients is differentiated along every generator; all coefficients of
the results vanish, which is a linear system over Q. Its null space are the laws.

`Plain` is the textbook in sympy's own words: symbols, `Matrix`, `jacobian`, `expand`, `Poly`, `linear_eq_to_matrix`,
`rank` and `nullspace`. `Tuned` gives up readability for sympy's fast insides: polynomials of `sympy.polys.rings`,
fields and Jacobians without their zeros, one column for each monomial of the ansatz, `DomainMatrix` over QQ. That alone
is most of the difference in the count: `Matrix.rank` is slow on rational numbers of many digits. These are, in both,
those of gmpy2 or python-flint where one is installed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

from sympy import QQ, Add, Matrix, Poly, Rational, expand, linear_eq_to_matrix, ring, symbols
from sympy.polys.matrices import DomainMatrix

HEIGHT = 50  # numerators and denominators of the coordinates of a point
Quadratic = dict[
    tuple[int, int], Any
]  # coefficients by the indices of the two variables, U row by row, then V


class Plain:
    """Gradient flow of φ = U Vᵀ, U (n, r) and V (m, r), as sympy expressions."""

    def __init__(self, n: int, m: int, r: int) -> None:
        u, v = Matrix(n, r, symbols(f"u:{n * r}")), Matrix(m, r, symbols(f"v:{m * r}"))
        self.theta = [*u, *v]
        self.fields = [Matrix([p.diff(x) for x in self.theta]) for p in u * v.T]

    def count(self, seed: int = 0) -> int:
        """Number of laws at a generic point: D minus the dimension of the generated Lie algebra."""
        pairs = _point(len(self.theta), seed)
        at = {x: Rational(*pair) for x, pair in zip(self.theta, pairs, strict=True)}
        kept: list[tuple[Matrix, Matrix]] = []
        values: list[Matrix] = []

        def add(field: Matrix) -> None:
            value = field.subs(at).T
            if Matrix.vstack(*values, value).rank() > len(values):
                values.append(value)
                kept.append((field, field.jacobian(self.theta)))

        for field in self.fields:
            add(field)
        generators = list(kept)
        for g, jacobian_g in kept:  # grows while it is walked
            for f, jacobian_f in generators:
                add((jacobian_g * f - jacobian_f * g).expand())
        return len(self.theta) - len(kept)

    def laws(self) -> list[Quadratic]:
        """A basis of the laws of degree 2."""
        pairs = list(combinations_with_replacement(range(len(self.theta)), 2))
        monomials = [self.theta[i] * self.theta[j] for i, j in pairs]
        unknowns = symbols(f"c:{len(pairs)}")
        h = Add(*(c * m for c, m in zip(unknowns, monomials, strict=True)))
        slope = Matrix([h.diff(x) for x in self.theta])
        equations: set[Any] = set()
        for field in self.fields:
            equations.update(Poly(expand(field.dot(slope)), *self.theta).coeffs())
        system, _ = linear_eq_to_matrix(list(equations), unknowns)
        return [
            {pair: c for pair, c in zip(pairs, v, strict=True) if c} for v in system.nullspace()
        ]


class Tuned:
    """The same in a ring of sparse polynomials over QQ; a field is a dictionary of its non-zero components."""

    def __init__(self, n: int, m: int, r: int) -> None:
        size = (n + m) * r
        _, *self.theta = ring([f"x{i}" for i in range(size)], QQ)
        u, v = self.theta[: n * r], self.theta[n * r :]
        self.fields = [
            _gradient(sum(u[i * r + k] * v[j * r + k] for k in range(r)), self.theta)
            for i in range(n)
            for j in range(m)
        ]

    def count(self, seed: int = 0) -> int:
        """Number of laws at a generic point."""
        size = len(self.theta)
        point = [QQ(*pair) for pair in _point(size, seed)]
        values: list[list[Any]] = []
        kept: list[tuple[dict[int, Any], dict[int, dict[int, Any]]]] = []

        def add(field: dict[int, Any]) -> None:
            value = [_evaluate(field[a], point) if a in field else QQ(0) for a in range(size)]
            rows = [*values, value]
            if DomainMatrix(rows, (len(rows), size), QQ).rank() > len(values):
                values.append(value)
                kept.append((field, {a: _gradient(p, self.theta) for a, p in field.items()}))

        for field in self.fields:
            add(field)
        generators = list(kept)
        for g, jacobian_g in kept:  # grows while it is walked
            for f, jacobian_f in generators:
                out: dict[int, Any] = {}
                for sign, jacobian, left in ((1, jacobian_g, f), (-1, jacobian_f, g)):
                    for a, slopes in jacobian.items():
                        for b, slope in slopes.items():
                            if b in left:
                                out[a] = out.get(a, 0) + sign * slope * left[b]
                add({a: p for a, p in out.items() if p})
        return size - len(kept)

    def laws(self) -> list[Quadratic]:
        """A basis of the laws of degree 2."""
        pairs = list(combinations_with_replacement(range(len(self.theta)), 2))
        slopes = [_gradient(self.theta[i] * self.theta[j], self.theta) for i, j in pairs]
        rows: dict[tuple[int, tuple[int, ...]], dict[int, Any]] = {}
        for number, field in enumerate(self.fields):
            for column, slope in enumerate(slopes):
                along = sum(field[a] * s for a, s in slope.items() if a in field)
                if along:
                    for exponents, c in along.terms():
                        rows.setdefault((number, exponents), {})[column] = c
        shape = (len(rows), len(pairs))
        basis = DomainMatrix(dict(enumerate(rows.values())), shape, QQ).nullspace()
        return [
            {pairs[column]: c for column, c in vector.items()}
            for vector in basis.to_sparse().rep.to_sdm().values()
        ]


def _point(size: int, seed: int) -> list[tuple[int, int]]:
    """Numerators and denominators of random positive coordinates."""
    rng = random.Random(seed)
    return [(rng.randint(1, HEIGHT), rng.randint(1, HEIGHT)) for _ in range(size)]


def _gradient(p: Any, theta: Sequence[Any]) -> dict[int, Any]:
    """All non-zero partial derivatives, by variable."""
    used = {a for exponents in p.monoms() for a, power in enumerate(exponents) if power}
    return {a: p.diff(theta[a]) for a in sorted(used)}


def _evaluate(p: Any, point: Sequence[Any]) -> Any:
    total = QQ(0)
    for exponents, c in p.terms():
        for x, power in zip(point, exponents, strict=True):
            if power:
                c *= x**power
        total += c
    return total
