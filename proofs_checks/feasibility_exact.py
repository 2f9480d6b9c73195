"""Feasibility for collapse, decided over the rationals: the float answer says where to look, exact algebra decides.

A = own (n, d) and B = others (M, d) are integer matrices; is there w with A w = c 1, c > 0, B w <= 0? Three ways, the
cheap ones first:

1. a float w strictly inside: round all coordinates but as many as there are equalities, solve for those exactly;
2. a float Farkas vector: its support says which columns count, solve for their multipliers exactly;
3. where floats cannot tell: the same in other coordinates, X T with T rational, in which the columns are far from
   dependent, whatever they are in X (T from the singular vectors of X in floats; the product is exact);
4. degenerate data: the criss-cross method (Terlaky 1985), exact and finite, on the slacks s = -B w.

Whatever comes out is verified exactly before it is returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np
from flint import fmpq, fmpq_mat, fmpz, fmpz_mat, nmod_mat
from numpy.typing import NDArray
from scipy.linalg import qr

from numerics.collapse_feasibility import class_feasibility

Float = NDArray[np.float64]
Integers = list[int]
PRIME = (1 << 61) - 1  # ranks modulo this prime are guesses; what is solved with them is verified
ROUNDINGS = (24, 40, 53)  # bits kept of a float w
FLAT, TURNS = 1e-4, 6  # a ratio of singular values that is small; each turn gains some 10^-12
MAX_BITS = 20_000  # of an entry that is still turned
MAX_WORK = 20_000_000  # words of numbers that the criss-cross method may touch


@dataclass(frozen=True)
class ExactAnswer:
    """One class: ``feasible`` with ``w``, infeasible with ``mu`` and ``lam`` (integers), or None with a reason."""

    feasible: bool | None
    w: tuple[int, ...] = ()
    mu: tuple[int, ...] = ()
    lam: tuple[int, ...] = ()
    reason: str = ""


def settle(own: Sequence[Sequence[Fraction]], others: Sequence[Sequence[Fraction]]) -> ExactAnswer:
    """Decide one class exactly.

    Args:
        own: (n, d) its points. others: (M, d) the other points.
    """
    n = len(own)
    integer, units = integer_columns([*own, *others])
    A, B = integer[:n], integer[n:]
    answer = _guided(A, B)
    if answer is None and (turned := _turned(integer)) is not None:
        rows, back = turned
        found = _guided(rows[:n], rows[n:])
        if found is not None and found.feasible:
            found = ExactAnswer(True, w=_primitive((back * _column(found.w)).entries()))
        answer = found if found is not None and verified(A, B, found) else None
    if answer is None:
        answer = _criss_cross(A, B)
    if answer.feasible:
        return ExactAnswer(
            True, w=_primitive([x / u for x, u in zip(answer.w, units, strict=True)])
        )
    return answer


def _guided(A: list[Integers], B: list[Integers]) -> ExactAnswer | None:
    """The answer that the float answer leads to; None where it leads to none."""
    peaks, floats = unit_columns([*A, *B])
    guess = class_feasibility(floats[: len(A)], floats[len(A) :], interior=True)
    answer = None
    if guess.feasible is not False and guess.w is not None:
        w = [Fraction(x) / p for x, p in zip(guess.w, peaks, strict=True)]
        answer = _near_point(A, B, w, peaks, floats[: len(A)])
    if answer is None and guess.feasible is not True:
        support = [j for j, value in enumerate(guess.multipliers) if value > 0]
        answer = _from_support(A, B, support)
    return answer


def _turned(rows: list[Integers]) -> tuple[list[Integers], fmpq_mat] | None:
    """Integers X T whose columns are far from dependent, and T (d, r), r the rank; None where X is like that itself."""
    kept = _pivots(rows)
    start = fmpq_mat(fmpz_mat([[int(j == k) for k in kept] for j in range(len(rows[0]))]))
    X, T, done = fmpq_mat(fmpz_mat(rows)), start, len(kept) == len(rows[0])
    for _ in range(TURNS):
        if not kept:
            return None
        turned, units = integer_columns(_fractions(X * T))
        T = T * _diagonal([1 / u for u in units])
        peaks, floats = unit_columns(turned)
        # powers of two for the peaks: other denominators would multiply from turn to turn
        nearly = [p / (1 << p.bit_length()) for p in peaks]
        _, s, Vt = np.linalg.svd(floats * np.array(nearly), full_matrices=False)
        if len(s) < len(kept) or s[-1] > FLAT * s[0]:
            return None if done else (turned, T)
        done = False
        if max(x.bit_length() for row in turned for x in row) > MAX_BITS:
            return None
        T = T * _diagonal([Fraction(1, 1 << p.bit_length()) for p in peaks]) * _exact(Vt.T)
    return None


def _exact(A: Float) -> fmpq_mat:
    return fmpq_mat([[fmpq(*x.as_integer_ratio()) for x in row] for row in A.tolist()])


def _diagonal(entries: Sequence[Fraction]) -> fmpq_mat:
    size = len(entries)
    zero = fmpq(0)
    return fmpq_mat(
        [
            [fmpq(x.numerator, x.denominator) if j == k else zero for k in range(size)]
            for j, x in enumerate(entries)
        ]
    )


def _column(numbers: Sequence[int]) -> fmpq_mat:
    return fmpq_mat(fmpz_mat([[x] for x in numbers]))


def _fractions(M: fmpq_mat) -> list[list[Fraction]]:
    return [[Fraction(int(x.p), int(x.q)) for x in row] for row in M.tolist()]


def unit_columns(rows: Sequence[Integers]) -> tuple[Integers, Float]:
    """The largest absolute value of every column (1 for zeros), and the matrix divided by these, in floats.

    What is not zero stays so: the float test tells a zero point, which decides, from one that is nearly zero.
    """
    peaks = [max(map(abs, column)) or 1 for column in zip(*rows, strict=True)]
    scaled = np.array([[x / p for x, p in zip(row, peaks, strict=True)] for row in rows])
    vanished = (scaled == 0) & np.array([[x != 0 for x in row] for row in rows])
    return peaks, np.where(vanished, np.finfo(float).smallest_subnormal, scaled)


def verified(A: Sequence[Integers], B: Sequence[Integers], answer: ExactAnswer) -> bool:
    """Whether an answer is right for integer points A and B."""
    if answer.feasible:
        (c, *rest), signs = _times(A, answer.w), _times(B, answer.w)
        return c > 0 and all(x == c for x in rest) and all(x <= 0 for x in signs)
    if answer.feasible is False:
        left = _times(list(zip(*A, strict=True)), answer.mu)
        right = _times(list(zip(*B, strict=True)), answer.lam) if B else [0] * len(left)
        return left == right and sum(answer.mu) > 0 and all(x >= 0 for x in answer.lam)
    return False


def integer_columns(rows: Sequence[Sequence[Fraction]]) -> tuple[list[Integers], list[Fraction]]:
    """Columns made integer and primitive, and the value of one unit of each."""
    columns, units = [], []
    for column in zip(*rows, strict=True):
        L = lcm(*(x.denominator for x in column))
        numbers = [x.numerator * (L // x.denominator) for x in column]
        g = gcd(*numbers) or 1
        columns.append([x // g for x in numbers])
        units.append(Fraction(g, L))
    return [list(row) for row in zip(*columns, strict=True)], units


def _times(rows: Sequence[Sequence[int]], vector: Sequence[int]) -> list[fmpz]:
    if not rows:
        return []
    product = fmpz_mat([list(row) for row in rows]) * fmpz_mat([[x] for x in vector])
    return list(product.entries())


def _primitive(numbers: Sequence[Fraction | fmpq]) -> tuple[int, ...]:
    """The positive multiple that is an integer vector without a common factor."""
    exact = [x if isinstance(x, Fraction) else Fraction(int(x.p), int(x.q)) for x in numbers]
    L = lcm(*(x.denominator for x in exact))
    whole = [x.numerator * (L // x.denominator) for x in exact]
    g = gcd(*whole) or 1
    return tuple(x // g for x in whole)


def solve(rows: Sequence[Sequence[int]], right: Sequence[int]) -> list[fmpq] | None:
    """One solution of M x = b over the rationals, zero off the pivot columns; None where none was found.

    The pivots are guessed modulo a prime; whether the solution is one of all equations is checked.
    """
    pivots = _pivots(rows)
    chosen = _pivots(list(zip(*(([row[j] for j in pivots]) for row in rows), strict=True)))
    x = [fmpq(0)] * len(rows[0])
    if not pivots:
        return x if not any(right) else None
    square = fmpz_mat([[rows[i][j] for j in pivots] for i in chosen])
    try:
        found = square.solve(fmpz_mat([[right[i]] for i in chosen]))
    except ZeroDivisionError:  # singular: the prime was a bad one
        return None
    numbers, denominator = found.numer_denom()
    if fmpz_mat([[row[j] for j in pivots] for row in rows]) * numbers != fmpz_mat(
        [[b * int(denominator)] for b in right]
    ):
        return None
    for j, value in zip(pivots, found.entries(), strict=True):
        x[j] = value
    return x


def _pivots(rows: Sequence[Sequence[int]]) -> list[int]:
    """The first independent columns, modulo the prime."""
    if not rows or not len(rows[0]):
        return []
    reduced, rank = nmod_mat(
        len(rows), len(rows[0]), [x % PRIME for row in rows for x in row], PRIME
    ).rref()
    found: list[int] = []
    for i in range(rank):
        start = found[-1] + 1 if found else 0
        found.append(next(j for j in range(start, len(rows[0])) if int(reduced[i, j])))
    return found


def _near_point(
    A: list[Integers],
    B: list[Integers],
    w: Sequence[Fraction],
    peaks: Integers,
    floats: Float,
) -> ExactAnswer | None:
    """An exact solution near an approximate one that satisfies the inequalities with room to spare.

    Args:
        w: (d,) the approximate solution. peaks: (d,) of the columns; floats: A, divided by them.
    """
    # what the column k adds to A w has the size peaks[k] w[k]; of that, so many bits are kept
    size = max(abs(x) * p for x, p in zip(w, peaks, strict=True))
    if not size:
        return None
    # columns far from dependent, so that the errors of rounding stay small when the rest is solved for
    _, R, order = qr(floats, mode="economic", pivoting=True)
    pivots = np.abs(np.diag(R))
    head = sorted(int(j) for j in order[: int((pivots > 1e-10 * pivots[0]).sum())])
    tail = [j for j in range(len(w)) if j not in set(head)]
    for bits in ROUNDINGS:
        rounded = {j: _rounded(w[j], size / peaks[j], bits) for j in tail}
        L = lcm(*(x.denominator for x in rounded.values()))
        whole = {j: int(x * L) for j, x in rounded.items()}
        found = solve(
            [[row[j] for j in head] for row in A],
            [L - sum(row[j] * whole[j] for j in tail) for row in A],
        )
        if found is None:
            return None
        exact = {j: fmpq(x) for j, x in whole.items()} | dict(zip(head, found, strict=True))
        answer = ExactAnswer(True, w=_primitive([exact[j] for j in range(len(w))]))
        if verified(A, B, answer):
            return answer
    return None


def _rounded(x: Fraction, size: Fraction, bits: int) -> Fraction:
    """x to a multiple of 2^-bits of about the given size."""
    unit = Fraction(2) ** (size.numerator.bit_length() - size.denominator.bit_length() - bits)
    return round(x / unit) * unit


def _from_support(A: list[Integers], B: list[Integers], support: list[int]) -> ExactAnswer | None:
    """The Farkas vector whose lambda lives on a support: A^T mu = B^T lambda, 1^T mu = 1."""
    n, d = len(A), len(A[0])
    rows = [[row[k] for row in A] + [-B[j][k] for j in support] for k in range(d)]
    rows.append([1] * n + [0] * len(support))
    found = solve(rows, [0] * d + [1])
    if found is None:
        return None
    lam = [fmpq(0)] * len(B)
    for j, value in zip(support, found[n:], strict=True):
        lam[j] = value
    return _farkas(A, B, found[:n], lam)


def _farkas(
    A: list[Integers], B: list[Integers], mu: Sequence[fmpq], lam: Sequence[fmpq]
) -> ExactAnswer | None:
    numbers = _primitive([*mu, *lam])
    answer = ExactAnswer(False, mu=numbers[: len(A)], lam=numbers[len(A) :])
    return answer if verified(A, B, answer) else None


def _criss_cross(A: list[Integers], B: list[Integers]) -> ExactAnswer:
    """Least-index criss-cross on s = -B w >= 0, A w = 1: exact, finite, whatever the data."""
    n, d = len(A), len(A[0])
    # numbers grow to minors of the data: so many words of 64 bits, and so many entries in a dictionary
    words = 1 + d * max(abs(x).bit_length() for row in [*A, *B] for x in row) // 64
    work, each = 0, words * len(B) * d
    # w = start + N z; the columns of N span the null space of A
    reduced, rank = fmpq_mat(fmpz_mat([[*row, 1] for row in A])).rref()
    pivots = [next(j for j in range(d + 1) if reduced[i, j] != 0) for i in range(rank)]
    if d in pivots:  # A w = 1 has no solution
        return _from_support(A, B, []) or _failed("the equalities contradict each other")
    free = [j for j in range(d) if j not in set(pivots)]
    fixed = [reduced[i, d] for i in range(rank)]
    start = [-sum((b[p] * v for p, v in zip(pivots, fixed, strict=True)), fmpq(0)) for b in B]
    slopes = [
        [sum((b[p] * reduced[i, j] for i, p in enumerate(pivots)), fmpq(-b[j])) for b in B]
        for j in free
    ]
    # slack i = value + sum over nonbasic slacks j of T[i][j] s_j
    outside, T = _dictionary(slopes, len(B))
    table = {
        i: [
            start[i] - sum((t * start[j] for t, j in zip(row, outside, strict=True)), fmpq(0)),
            *row,
        ]
        for i, row in T.items()
    }
    while True:
        work += each
        if work > MAX_WORK:
            return _failed(
                "degenerate or close to the boundary, and too large for the exact method: round the data, or "
                "leave out columns that depend on others"
            )
        bad = min((i for i, row in table.items() if row[0] < 0), default=None)
        if bad is None:
            rows, right = [*A, *(B[j] for j in outside)], [1] * n + [0] * len(outside)
            w = solve(rows, right)
            answer = ExactAnswer(True, w=_primitive(w)) if w is not None else None
            return answer if answer and verified(A, B, answer) else _failed("a bad prime")
        row = table[bad]
        entering = min((outside[k] for k in range(len(outside)) if row[k + 1] > 0), default=None)
        if entering is None:
            lam = [fmpq(0)] * len(B)
            lam[bad] = fmpq(1)
            for k, j in enumerate(outside):
                lam[j] = -row[k + 1]
            return _with_mu(A, B, lam) or _failed("a bad prime")
        _pivot(table, outside, bad, outside.index(entering))


def _dictionary(slopes: list[list[fmpq]], count: int) -> tuple[list[int], dict[int, list[fmpq]]]:
    """Independent slacks, and the slopes of the others in terms of them."""
    if not slopes or not count:
        return [], {i: [] for i in range(count)}
    reduced, rank = fmpq_mat(slopes).rref()
    outside = [next(j for j in range(count) if reduced[i, j] != 0) for i in range(rank)]
    inside = [i for i in range(count) if i not in set(outside)]
    return outside, {i: [reduced[k, i] for k in range(rank)] for i in inside}


def _pivot(table: dict[int, list[fmpq]], outside: list[int], leaving: int, k: int) -> None:
    """Exchange a slack of the table with the nonbasic slack number k."""
    row = table.pop(leaving)
    pivot = row[k + 1]
    entering = [-x / pivot for x in row]
    entering[k + 1] = 1 / pivot
    for other in table.values():
        factor = other[k + 1]
        if factor:
            for j, value in enumerate(entering):
                other[j] = factor * value if j == k + 1 else other[j] + factor * value
    table[outside[k]], outside[k] = entering, leaving


def _with_mu(A: list[Integers], B: list[Integers], lam: Sequence[fmpq]) -> ExactAnswer | None:
    whole = _primitive(lam)
    right = _times(list(zip(*B, strict=True)), whole)
    mu = solve([list(column) for column in zip(*A, strict=True)], [int(x) for x in right])
    if mu is None:
        return None
    return _farkas(A, B, mu, [fmpq(x) for x in whole])


def _failed(reason: str) -> ExactAnswer:
    return ExactAnswer(None, reason=reason)
