"""Margin 0, decided exactly: weights q for which Σ q_i y_i (<u, x_i>)_+ vanishes for every u.

On the line through e the points are a e; the weighted sum has no kink there if Σ q y |a| = 0, and what is left is
linear, Σ q y (a)_+ <e, u>. ReLUs of different lines are independent up to linear functions, so the margin is 0 if and
only if such weights exist: repeated points with both labels, a zero point, or an odd function on antipodal points.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from proofs_checks.exact_data import Matrix, Row


def vanishing_weights(points: Matrix, labels: Sequence[int]) -> Row | None:
    """q in the simplex as above; None if there is none, or none was found."""
    n = len(points)
    lines: dict[Row, list[tuple[int, Fraction]]] = {}
    for i, x in enumerate(points):
        size = next((t for t in x if t), None)
        if size is None:
            return tuple(Fraction(int(j == i)) for j in range(n))
        lines.setdefault(tuple(t / size for t in x), []).append((i, size))
    # a line with one label carries no weight: its kink could not vanish
    mixed = {e: on for e, on in lines.items() if len({labels[i] for i, _ in on}) == 2}
    if not mixed:
        return None
    members = [i for on in mixed.values() for i, _ in on]
    rows: list[list[Fraction]] = []
    linear = [[Fraction(0)] * len(members) for _ in points[0]]
    place = {i: k for k, i in enumerate(members)}
    for e, on in mixed.items():
        kink = [Fraction(0)] * len(members)
        largest = max(abs(a) for _, a in on)
        for i, a in on:
            kink[place[i]] = labels[i] * abs(a) / largest
            if a > 0:
                for k, t in enumerate(e):
                    linear[k][place[i]] = labels[i] * a * t
        rows.append(kink)
    rows += [row for row in linear if any(row)]
    found = _feasible(rows, len(members))
    if found is None:
        return None
    q = [Fraction(0)] * n
    for i, a in zip(members, found, strict=True):
        q[i] = a
    return tuple(q)


def _feasible(rows: list[list[Fraction]], size: int) -> Row | None:
    """q >= 0 with sum 1 and rows·q = 0: a basic solution in floating point, then its support exactly."""
    import numpy as np
    from scipy.optimize import linprog

    scaled = [[float(t / max(map(abs, row))) for t in row] for row in rows]
    answer = linprog(
        np.zeros(size),
        A_eq=np.vstack([np.array(scaled), np.ones((1, size))]),
        b_eq=np.r_[np.zeros(len(rows)), 1.0],
        bounds=(0, None),
        method="highs",
    )
    if answer.x is None:
        return None
    support = [k for k in range(size) if answer.x[k] > 1e-9]
    return _solve([[row[k] for k in support] for row in rows], support, size)


def _solve(rows: list[list[Fraction]], support: list[int], size: int) -> Row | None:
    from flint import fmpq, fmpq_mat

    count = len(support)
    system = [*rows, [Fraction(1)] * count]
    right = [0] * len(rows) + [1]
    entries = [
        fmpq(t.numerator, t.denominator)
        for row, b in zip(system, right, strict=True)
        for t in (*row, Fraction(b))
    ]
    reduced, rank = fmpq_mat(len(system), count + 1, entries).rref()
    out = [Fraction(0)] * size
    for r in range(rank):
        pivot = next(k for k in range(count + 1) if reduced[r, k] != 0)
        if pivot == count:
            return None
        value = reduced[r, count]
        if value < 0:
            return None
        out[support[pivot]] = Fraction(int(value.p), int(value.q))
    return tuple(out)
