"""Eigenvalues and singular values in ball arithmetic.

Small rational matrices: the characteristic polynomial is factored, so that rational and multiple eigenvalues are exact.
Else eigenvectors of floats, refined to the working precision, and Jacobi's rotations for what that leaves give a nearly
orthogonal Q and a diagonal Λ, and the k-th eigenvalue lies within ``(‖QᵀAQ - Λ‖ + δ|Λ_k|) / (1 - δ)`` of the k-th
smallest entry of Λ for ``δ = ‖QᵀQ - I‖ < 1`` (Ostrowski and Weyl; see `numerics.program_bounds_spectra`), however close
the eigenvalues are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from flint import arb, arb_mat, ctx, fmpq, fmpq_mat

from proofs_checks.conjectures.ball_numbers import UNKNOWN, ball_of

Ball: TypeAlias = "fmpq | arb"
LARGEST = 12  # side up to which characteristic polynomials are factored
LONGEST = 6000  # bits of their entries, times the side
SWEEPS = 60
SMALL = 2.0**-20  # corrections of eigenvectors, to be so in first order


def eigenvalues(entries: Sequence[Ball], n: int) -> list[Ball]:
    """Of the symmetric part of an (n, n) matrix given row by row, ascending."""
    half = fmpq(1, 2)
    flat = [
        x if i == j else (x + entries[j * n + i]) * half
        for i in range(n)
        for j, x in enumerate(entries[i * n : i * n + n])
    ]
    if all(isinstance(x, fmpq) for x in flat):
        if all(flat[i * n + j] == 0 for i in range(n) for j in range(n) if i != j):
            return sorted(flat[:: n + 1])
        if n <= LARGEST and n * max(x.height_bits() for x in flat) <= LONGEST:
            return _roots(fmpq_mat(n, n, flat))
    if not all(ball_of(x).is_finite() for x in flat):
        return [UNKNOWN] * n
    return _jacobi(arb_mat(n, n, [ball_of(x) for x in flat]))


def singular_values(entries: Sequence[Ball], n: int, m: int) -> list[Ball]:
    """Of an (n, m) matrix given row by row, descending, from the smaller Gram matrix; squares, not yet the roots."""
    exact = all(isinstance(x, fmpq) for x in entries)
    A = fmpq_mat(n, m, list(entries)) if exact else arb_mat(n, m, [ball_of(x) for x in entries])
    gram = A * A.transpose() if n <= m else A.transpose() * A
    return eigenvalues(gram.entries(), min(n, m))[::-1]


def _roots(A: fmpq_mat) -> list[Ball]:
    """The eigenvalues of a symmetric rational matrix."""
    _, factors = A.charpoly().numer().factor()
    found: list[Ball] = []
    for factor, multiplicity in factors:
        if factor.degree() == 1:
            own: list[Ball] = [fmpq(-factor[0], factor[1])]
        else:
            own = [root.real for root, _ in factor.complex_roots()]
        found.extend(x for x in own for _ in range(multiplicity))
    found.sort(key=lambda x: ball_of(x).mid())
    if all(x <= y or x is y for x, y in pairwise(found)):
        return found
    # balls overlap: the k-th smallest lies between the k-th smallest of the lower and of the upper ends
    balls = [ball_of(x) for x in found]
    ends = (sorted(x.lower() for x in balls), sorted(x.upper() for x in balls))
    return [low.union(high) for low, high in zip(*ends, strict=True)]


def _jacobi(A: arb_mat) -> list[Ball]:
    n = A.nrows()
    with ctx.workprec(ctx.prec + 32):
        near = arb_mat([[x.mid() for x in row] for row in A.tolist()])
        Q = _refined(near)
        Q = _middles(Q * _rotations(_middles(Q.transpose() * near * Q).tolist()))
        rotated = (Q.transpose() * A * Q).tolist()
        delta = _norm(Q.transpose() * Q - _identity(n))
        centres = [rotated[k][k].mid() for k in range(n)]
        for k in range(n):
            rotated[k][k] -= centres[k]
        epsilon = _norm(arb_mat(rotated))
        if not delta < 0.5 or not epsilon.is_finite():
            return [UNKNOWN] * n
        out: list[Ball] = []
        for c in sorted(centres):
            reach = ((epsilon + delta * abs(c)) / (1 - delta)).upper()
            out.append((c - reach).union(c + reach))
        return out


def _refined(A: arb_mat) -> arb_mat:
    """Nearly orthogonal eigenvectors of a symmetric matrix without radii; nothing is certain about them.

    From those of floats, by the quadratically convergent iteration of Ogita and Aishima (Iterative refinement for
    symmetric eigenvalue decomposition, Algorithm 1, 2018): matrix products, where rotations would cost n times as much.
    """
    n = A.nrows()
    size = max((abs(x) for x in A.entries()), default=arb(0))
    if n < 2 or size == 0:
        return _identity(n)
    scaled = A * arb(2) ** -math.ceil(float((size.log() / arb(2).log()).mid()))
    floats = np.array([float(x) for x in scaled.entries()]).reshape(n, n)
    try:
        _, vectors = np.linalg.eigh((floats + floats.T) / 2)
    except np.linalg.LinAlgError:  # then rotations do all
        return _identity(n)
    X = arb_mat(n, n, [arb(float(x)) for x in vectors.ravel()])
    steps = math.ceil(math.log2(ctx.prec / 40)) + 1
    for _ in range(steps):
        R = (_identity(n) - X.transpose() * X).tolist()
        S = (X.transpose() * scaled * X).tolist()
        values = [S[k][k] / (1 - R[k][k]) for k in range(n)]
        E = [
            [_correction(S[i][j], R[i][j], values[i], values[j]) for j in range(n)]
            for i in range(n)
        ]
        X = _orthogonal(_middles(X + X * arb_mat(E)))
    for _ in range(steps):
        X = _orthogonal(X)
    return X


def _correction(s: arb, r: arb, own: arb, other: arb) -> arb:
    """Of an eigenvector by another one; where their eigenvalues are too close for it, rotations do the rest."""
    half = r / 2
    if not abs(other - own) > 0:
        return half
    found = (s + other * r) / (other - own)
    return found if abs(found) < SMALL else half


def _orthogonal(X: arb_mat) -> arb_mat:
    """A step of the iteration of Newton and Schulz towards the nearest orthogonal matrix."""
    return _middles(X + X * (_identity(X.nrows()) - X.transpose() * X) * arb(0.5))


def _identity(n: int) -> arb_mat:
    return arb_mat([[arb(int(i == j)) for j in range(n)] for i in range(n)])


def _middles(A: arb_mat) -> arb_mat:
    return arb_mat([[x.mid() for x in row] for row in A.tolist()])


def _norm(A: arb_mat) -> arb:
    """An upper bound of the Frobenius norm."""
    return sum((abs(x).upper() ** 2 for x in A.entries()), arb(0)).sqrt().upper()


def _rotations(A: list[list[arb]]) -> arb_mat:
    """A nearly orthogonal matrix of eigenvectors; nothing is certain about it."""
    n = len(A)
    Q = [[arb(int(i == j)) for j in range(n)] for i in range(n)]
    size = max((abs(x) for row in A for x in row), default=arb(0))
    small = size * arb(2) ** (8 - ctx.prec)
    for _ in range(SWEEPS):
        largest = max((abs(A[p][q]) for p in range(n) for q in range(p)), default=arb(0))
        if largest <= small:
            break
        for p in range(n):
            for q in range(p + 1, n):
                if abs(A[p][q]) <= small:
                    continue
                theta = (A[q][q] - A[p][p]) / (2 * A[p][q])
                root = (theta * theta + 1).sqrt()
                t = (1 / (theta + root if theta >= 0 else theta - root)).mid()
                c = (1 / (t * t + 1).sqrt()).mid()
                s = (t * c).mid()
                _turn(A, p, q, c, s)
                for row in A:
                    row[p], row[q] = (
                        (c * row[p] - s * row[q]).mid(),
                        (s * row[p] + c * row[q]).mid(),
                    )
                _turn(Q, p, q, c, s)
    return arb_mat(Q).transpose()


def _turn(rows: list[list[arb]], p: int, q: int, c: arb, s: arb) -> None:
    first, second = rows[p], rows[q]
    rows[p] = [(c * x - s * y).mid() for x, y in zip(first, second, strict=True)]
    rows[q] = [(s * x + c * y).mid() for x, y in zip(first, second, strict=True)]
