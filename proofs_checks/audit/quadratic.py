"""Signs of quadratic forms with rational matrices: positive definite, and copositive.

A symmetric A is copositive if x·Ax >= 0 for all x >= 0.  It is *not* copositive exactly if, for some
nonempty set S of indices, the principal submatrix A_S is invertible and all entries of A_S⁻¹1 are
negative.  Proof.  If A_S y = -1 with y > 0, then y·A_S y = -Σy < 0.  Conversely, let the least value
μ of x·Ax on the simplex be negative, and among the points that attain it let x have the smallest
support S.  As x_S > 0 is critical on the simplex, A_S x_S = μ1, so y = x_S/|μ| > 0 solves A_S y = -1.
Were A_S v = 0 for some v ≠ 0, then Σv = -v·A_S y = 0, and A_S (y + tv) = -1 for all t: all the
y + tv that are >= 0 give, divided by their common sum, the value -1/Σy = μ, and on the boundary one
of them has smaller support.  So A_S is invertible, and A_S⁻¹1 = -y < 0.
"""

from __future__ import annotations

from typing import Any

from flint import arb, fmpq, fmpq_mat

from proofs_checks.audit.core import Clock, Rejected

MAX_ORDER = 10  # 2^10 - 1 principal submatrices
MAX_BITS = 1 << 14  # of an entry: the clock does not stop an elimination in exact numbers
Rows = list[list[fmpq]]


def check_symmetric(rows: Rows, what: str) -> None:
    """A square matrix is symmetric."""
    if any(rows[i][j] != rows[j][i] for i in range(len(rows)) for j in range(i)):
        raise Rejected(f"{what} is not symmetric")


def check_nonnegative(rows: Rows, what: str) -> None:
    """A square matrix is symmetric, and no entry is negative."""
    check_symmetric(rows, what)
    if any(x < 0 for row in rows for x in row):
        raise Rejected(f"{what} has a negative entry")


def check_definite(rows: Rows, what: str, clock: Clock) -> None:
    """A symmetric matrix is positive definite: every pivot of L·D·Lᵀ, in balls, is positive.

    Dividing by pivots that are shown to be positive, elimination is a congruence, whatever the
    rounding: the balls contain the exact pivots.
    """
    a = [[arb(x) for x in row] for row in rows]
    for k in range(len(a)):
        pivot = a[k][k]
        if not pivot > 0:
            raise Rejected(f"{what} is not shown to be positive definite (pivot {k + 1})")
        for i in range(k + 1, len(a)):
            clock.tick()
            ratio = a[i][k] / pivot
            for j in range(k + 1, i + 1):
                a[i][j] -= ratio * a[j][k]
            # the lower triangle is enough: a[j][k] for j <= i has not been overwritten


def check_copositive(rows: Rows, what: str, clock: Clock) -> None:
    """A symmetric matrix is copositive, decided exactly over all principal submatrices."""
    order = len(rows)
    if order > MAX_ORDER:
        raise Rejected(f"{what}: copositivity is decided up to order {MAX_ORDER}, not {order}")
    if any(x.height_bits() > MAX_BITS for row in rows for x in row):
        raise Rejected(f"{what}: its entries are too long to decide copositivity")
    for mask in range(1, 1 << order):
        clock.tick()
        chosen = [i for i in range(order) if mask >> i & 1]
        part = fmpq_mat([[rows[i][j] for j in chosen] for i in chosen])
        ones = fmpq_mat([[fmpq(1)]] * len(chosen))
        try:
            solution: Any = part.solve(ones)
        except ZeroDivisionError:
            continue
        if all(solution[i, 0] < 0 for i in range(len(chosen))):
            raise Rejected(f"{what} is not copositive: negative on the indices {chosen}")
