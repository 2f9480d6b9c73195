"""All conservation laws of an ansatz, each verified exactly over Q."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import gcd

from flint import fmpz_mat

from theory.conservation.ansatz import MEMORY, Ansatz, Equation, Unknown, system, too_large
from theory.conservation.lie import lie_rank
from theory.conservation.model import Law, Model
from theory.conservation.modular import PRIME, Echelon, Span, integers, kernel
from theory.conservation.polynomials import (
    Polynomial,
    VectorField,
    add,
    along,
    divide,
    evaluate,
    gradient,
    multiply,
    ordered,
    product,
    scale,
)

DENSE_BYTES = 24  # of one unknown pair in a block: three squares of words


def scaled_gradient(law: Law) -> VectorField:
    """∇h times Π q_k, which is polynomial."""
    factors = [q for _, q in law.logarithms]
    total = product(factors)
    out = {a: multiply(p, total) for a, p in gradient(law.polynomial).items()}
    for k, (c, q) in enumerate(law.logarithms):
        others = scale(product(factors[:k] + factors[k + 1 :]), c)
        for a, p in gradient(q).items():
            out[a] = add(out.get(a, {}), multiply(p, others))
    return {a: p for a, p in out.items() if p}


def first_violation(law: Law, fields: Sequence[VectorField]) -> int | None:
    """The first field along which h is not constant, or None: the exact check, (F·∇h) Π q_k ≡ 0."""
    slopes = scaled_gradient(law)
    touched = slopes.keys()
    for i, f in enumerate(fields):
        if not touched.isdisjoint(f) and along(f, slopes):
            return i
    return None


def ansatz_of(model: Model, degree: int, mixed: bool) -> Ansatz:
    """The monomials in θ, or in θ, θ' and s for the heavy ball."""
    if model.momentum is None:
        return Ansatz(model.size, degree, mixed)
    return Ansatz(2 * model.size, degree, mixed, clock=2 * model.size)


def find_laws(
    model: Model, *, degree: int, mixed: bool = False, memory: int = MEMORY
) -> tuple[Law, ...]:
    """A basis of all laws of the ansatz; every one is verified along every field of the model.

    Known laws come first, under their names; the others have primitive integer coefficients.

    Args:
        degree: K. mixed: all degrees from 1 to K, not K alone. memory: limit in bytes.

    Raises:
        LemmataError: the ansatz is too large for the memory; says the size.
    """
    ansatz = ansatz_of(model, degree, mixed)
    fields = model.fields
    # fields that span V0 over the rational functions have the same laws; the exact check below covers all
    chosen = list(lie_rank(fields, model.dimension, rounds=1, max_length=1).basis)
    while True:
        used = [fields[i] for i in chosen]
        ansatz.check_memory(used, memory)
        logs, cofactors = _cofactors(model, used)
        found = _solve(ansatz, used, logs, cofactors, memory)
        missed = {i for law in found if (i := first_violation(law, fields)) is not None}
        if not missed:
            return _readable(model, ansatz, found)
        chosen += sorted(missed)


def _cofactors(
    model: Model, used: Sequence[VectorField]
) -> tuple[list[Polynomial], list[list[Polynomial]]]:
    """The candidates q for which (F·∇q)/q is a polynomial along every field, with these polynomials."""
    logs, table = [], []
    for q in model.logarithms:
        slopes = gradient(q)
        row = [divide(along(f, slopes), q) for f in used]
        polynomials = [p for p in row if p is not None]
        if len(polynomials) == len(row):
            logs.append(q)
            table.append(polynomials)
    return logs, table


def _solve(
    ansatz: Ansatz,
    fields: Sequence[VectorField],
    logs: Sequence[Polynomial],
    cofactors: Sequence[Sequence[Polynomial]],
    memory: int,
) -> list[Law]:
    laws = []
    for unknowns, equations in system(ansatz, fields, cofactors, memory).blocks:
        need = DENSE_BYTES * len(unknowns) ** 2
        if equations and need > memory:
            raise too_large(f"{ansatz}: {len(unknowns):,} coefficients are coupled", need, memory)
        for vector in _block(unknowns, equations):
            polynomial, logarithms = {}, []
            for u, c in zip(unknowns, vector, strict=True):
                if c and u[0] < 0:
                    logarithms.append((c, logs[-1 - u[0]]))
                elif c:
                    polynomial[u] = c
            if polynomial or logarithms:
                laws.append(_oriented(Law(polynomial, tuple(logarithms))))
    return laws


def _block(unknowns: Sequence[Unknown], equations: Sequence[Equation]) -> list[list[int]]:
    """Primitive integer vectors that span the solutions of one block."""
    size = len(unknowns)
    if not equations:
        return [[int(i == k) for i in range(size)] for k in range(size)]
    place = {u: i for i, u in enumerate(unknowns)}
    rows = [{place[u]: c for u, c in equation} for equation in equations]
    vectors = []
    for vector in kernel(rows, size, PRIME):
        whole = integers(vector, PRIME)
        if whole is None or any(sum(c * whole[i] for i, c in row.items()) for row in rows):
            return _short(_exact_kernel(rows, size))  # too large to be read off modulo one prime
        vectors.append(whole)
    return _short(vectors)


def _exact_kernel(rows: Sequence[Mapping[int, int]], size: int) -> list[list[int]]:
    matrix = fmpz_mat(len(rows), size)
    for k, row in enumerate(rows):
        for i, c in row.items():
            matrix[k, i] = c
    basis, rank = matrix.nullspace()
    columns = [[int(basis[i, k]) for i in range(size)] for k in range(rank)]
    return [[c // gcd(*column) for c in column] for column in columns]


def _short(vectors: list[list[int]]) -> list[list[int]]:
    """The same rational span with small coefficients (LLL), if that makes them smaller."""
    if len(vectors) < 2 or max(abs(c) for v in vectors for c in v) <= 2:
        return vectors
    reduced = fmpz_mat(len(vectors), len(vectors[0]), [c for v in vectors for c in v]).lll()
    short = [[int(c) for c in row] for row in reduced.tolist()]
    short = [[c // gcd(*row) for c in row] for row in short]

    def weight(rows: list[list[int]]) -> int:
        return sum(abs(c) for row in rows for c in row)

    return short if weight(short) < weight(vectors) else vectors


def _oriented(law: Law) -> Law:
    """With a positive leading coefficient."""
    if law.polynomial and law.polynomial[ordered(law.polynomial)[0]] < 0:
        return Law(scale(law.polynomial, -1), tuple((-c, q) for c, q in law.logarithms))
    return law


def _readable(model: Model, ansatz: Ansatz, found: Sequence[Law]) -> tuple[Law, ...]:
    """Named laws of the ansatz first, then as many of the found ones as the basis needs."""
    named = [
        law
        for law in model.named_laws
        if {len(m) for m in law.polynomial} <= set(ansatz.degrees)
        and all(q in model.logarithms for _, q in law.logarithms)
        and first_violation(law, model.fields) is None
    ]
    candidates = (*named, *sorted(found, key=_complexity))
    for modulus in (PRIME, 0):  # over Q if the prime happened to make two laws look dependent
        basis = _basis(model, candidates, modulus)
        if len(basis) == len(found):
            break
    return tuple(basis)


def _basis(model: Model, candidates: Sequence[Law], modulus: int) -> list[Law]:
    """The candidates that are linearly independent of the earlier ones."""
    space, basis = Echelon(modulus), []
    for law in candidates:
        vector: dict[Hashable, int] = {m: c for m, c in law.polynomial.items()}
        vector.update({(-1 - model.logarithms.index(q),): c for c, q in law.logarithms})
        if space.add(vector):
            basis.append(law)
    return basis


def _complexity(law: Law) -> tuple[int, int, int, list[tuple[int, ...]]]:
    coefficients = [*law.polynomial.values(), *(c for c, _ in law.logarithms)]
    return (
        len(law.logarithms),
        law.degree,
        sum(abs(c) for c in coefficients),
        ordered(law.polynomial),
    )


def independent(laws: Sequence[Law], span: Span, point: Sequence[int]) -> tuple[bool, ...]:
    """Which laws, in this order, have a gradient at the point that the earlier ones do not span.

    Their number is a lower bound of the number of functionally independent laws.
    """
    p = span.prime
    out = []
    for law in laws:
        slope = {a: evaluate(part, point, p) for a, part in gradient(law.polynomial).items()}
        for c, q in law.logarithms:
            inverse = pow(evaluate(q, point, p), -1, p)
            for a, part in gradient(q).items():
                slope[a] = (slope.get(a, 0) + c * evaluate(part, point, p) * inverse) % p
        out.append(span.add(slope))
    return tuple(out)
