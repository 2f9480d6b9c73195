"""Eigenvalues of symmetric matrices and singular values, in order and with their multiplicities.

Rotations (Jacobi's method) give numbers d_1 <= ... <= d_n and a matrix Q that is nearly orthogonal; nothing
is assumed about either.  With δ = ‖QᵀQ - I‖_F < 1 and E = S - Q diag(d) Qᵀ in balls: the eigenvalues of
Q diag(d) Qᵀ are θ_k d_k in their order, |θ_k - 1| <= δ (Ostrowski), and those of S differ from them by at
most ‖E‖_F (Weyl).  So the k-th eigenvalue of S lies within δ |d_k| + ‖E‖_F of d_k, ties or not.

A rational S over the common denominator c has c S integer, so that a rational eigenvalue of c S is an
integer m, of multiplicity n - rank(c S - m I).  Where as many enclosures contain m, they are all exactly m.
"""

from __future__ import annotations

from typing import Any

from flint import arb, ctx, fmpq, fmpz, fmpz_mat

from proofs_checks.audit.core import Clock
from proofs_checks.audit.program_functions import (
    EXACT_BITS,
    Number,
    Undefined,
    add,
    divide,
    multiply,
    settled,
    square_root,
)

MAX_SWEEPS = 60
MAX_EXACT = (
    1 << 18
)  # of n² * bits of c S, up to which ranks are computed: nothing stops them midway
Square = list[list[Any]]


def eigenvalues(a: list[Number], n: int, clock: Clock) -> list[Number]:
    """Of (a + aᵀ)/2 for the flat (n, n) matrix a, ascending."""
    S: Square = [[fmpq(0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            clock.tick()
            both = a[i * n + i] if i == j else divide(add(a[i * n + j], a[j * n + i]), fmpq(2))
            S[i][j] = S[j][i] = both
    if n == 1:
        return [S[0][0]]
    d, Q = _rotated([[arb(x).mid() for x in row] for row in S], clock)
    out = _enclosed(S, d, Q, clock)
    if all(type(x) is fmpq for row in S for x in row):
        out = _rational(S, out, clock)
    return out


def singular_values(a: list[Number], rows: int, columns: int, clock: Clock) -> list[Number]:
    """Of the flat (rows, columns) matrix a, descending: roots of the eigenvalues of the smaller Gram matrix."""
    vectors = [a[i * columns : (i + 1) * columns] for i in range(rows)]
    if rows > columns:
        vectors = [a[j::columns] for j in range(columns)]
    gram = [_dot(x, y, clock) for x in vectors for y in vectors]
    squares = reversed(eigenvalues(gram, len(vectors), clock))
    return [square_root(x, nonnegative=True) for x in squares]


def _dot(x: list[Number], y: list[Number], clock: Clock) -> Number:
    total = fmpq(0)
    for u, v in zip(x, y, strict=True):
        clock.tick()
        total = add(total, multiply(u, v))
    return total


def _rotated(A: Square, clock: Clock) -> tuple[list[arb], Square]:
    """Approximate eigenvalues, ascending, and eigenvectors as columns; all numbers without radius."""
    n = len(A)
    V: Square = [[arb(int(i == j)) for j in range(n)] for i in range(n)]
    size = arb(0)
    for row in A:
        for x in row:
            size = max(size, abs(x))
    tiny = (size * arb(2) ** -ctx.prec).mid()
    for _ in range(MAX_SWEEPS):
        pairs = [(p, q) for q in range(n) for p in range(q) if abs(A[p][q]) > tiny]
        if not pairs:
            break
        for p, q in pairs:
            if not abs(A[p][q]) > tiny:
                continue
            angle = (A[q][q] - A[p][p]) / (2 * A[p][q])  # its cotangent, of twice the angle
            tangent = (1 / (abs(angle) + (angle * angle + 1).sqrt())).mid()
            tangent = tangent if angle >= 0 else -tangent
            c = (1 / (tangent * tangent + 1).sqrt()).mid()
            s = (tangent * c).mid()
            for k in range(n):
                clock.tick()
                x, y = A[k][p], A[k][q]
                A[k][p], A[k][q] = (c * x - s * y).mid(), (s * x + c * y).mid()
                x, y = V[k][p], V[k][q]
                V[k][p], V[k][q] = (c * x - s * y).mid(), (s * x + c * y).mid()
            for k in range(n):
                clock.tick()
                x, y = A[p][k], A[q][k]
                A[p][k], A[q][k] = (c * x - s * y).mid(), (s * x + c * y).mid()
    order = sorted(range(n), key=lambda k: A[k][k])
    return [A[k][k] for k in order], [[row[k] for k in order] for row in V]


def _enclosed(S: Square, d: list[arb], Q: Square, clock: Clock) -> list[Number]:
    """Balls around the eigenvalues of S, by the argument above."""
    n = len(d)
    error, defect = arb(0), arb(0)
    columns = [list(column) for column in zip(*Q, strict=True)]
    scaled = [[x * v for x, v in zip(row, d, strict=True)] for row in Q]
    for i in range(n):
        for j in range(i + 1):
            weight = 1 if i == j else 2
            rest = arb(S[i][j]) - _dot(scaled[i], Q[j], clock)
            error += weight * rest * rest
            rest = _dot(columns[i], columns[j], clock) - int(i == j)
            defect += weight * rest * rest
    norm, delta = settled(error).abs_upper().sqrt(), settled(defect).abs_upper().sqrt()
    if not delta < 1:
        raise Undefined("no approximate eigenvectors were found at this precision")
    return [settled(v + (delta * abs(v) + norm) * arb(0, 1)) for v in d]


def _rational(S: Square, balls: list[Number], clock: Clock) -> list[Number]:
    """The balls, with those replaced that are shown to be rational numbers."""
    n, common = len(balls), fmpz(1)
    for row in S:
        for x in row:
            clock.tick()
            common = common.lcm(x.q)
            if common.bit_length() > EXACT_BITS:
                return balls
    M = [[x.p * (common // x.q) for x in row] for row in S]
    if n * n * max(x.bit_length() for row in M for x in row) > MAX_EXACT:
        return balls
    scaled = [common * ball for ball in balls]
    out = list(balls)
    for m in {int(found) for ball in scaled if (found := ball.unique_fmpz()) is not None}:
        clock.tick()
        shifted = [[x - m if i == j else x for j, x in enumerate(row)] for i, row in enumerate(M)]
        near = [k for k, ball in enumerate(scaled) if ball.contains(m)]
        if n - fmpz_mat(shifted).rank() == len(near):
            for k in near:
                out[k] = fmpq(m, common)
    return out
