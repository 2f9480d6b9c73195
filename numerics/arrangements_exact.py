"""Central hyperplane arrangements over the integers: rows, restriction, counting, filtered signs.

A hyperplane {u: x . u = 0} is kept as its *canonical* row: the primitive integer vector on its
normal whose first non-zero entry is positive.  Nothing here enumerates cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
IntRow = tuple[int, ...]

UNIT = 2.0**-53
TINY = 1e-290  # covers every underflow in a sum of products of numbers of modulus at most 1


def integer_rows(X: Any, name: str = "X") -> list[IntRow]:
    """The rows of X (n, d), each multiplied by a positive number that makes it a primitive integer row.

    Entries are ints, floats (taken exactly), numpy scalars or Fractions; a zero row stays zero.

    Raises:
        NumericsError: X is empty, ragged or no matrix, or an entry is not a finite number.
    """
    if isinstance(X, np.ndarray):
        if X.ndim != 2 or X.dtype.kind not in "biufO":
            raise NumericsError(
                f"{name} has shape {X.shape} and type {X.dtype}: give a real matrix, a row per point"
            )
        X = X.tolist()
    try:
        table = [list(row) for row in X]
    except TypeError:
        raise NumericsError(f"{name} must be a matrix, a row per point, not {X!r:.60}") from None
    if not table or not table[0]:
        raise NumericsError(f"{name} is empty: give at least one row with one entry")
    for i, row in enumerate(table):
        if len(row) != len(table[0]):
            raise NumericsError(
                f"{name}[{i}] has {len(row)} entries where {name}[0] has {len(table[0])}: complete the rows"
            )
    return [_integer_row(row, f"{name}[{i}]") for i, row in enumerate(table)]


def _integer_row(row: Sequence[Any], name: str) -> IntRow:
    tops, bottoms = [], []
    for c, value in enumerate(row):
        try:
            if hasattr(value, "as_integer_ratio"):  # int, float, Fraction, Decimal, numpy's floats
                top, bottom = map(int, value.as_integer_ratio())
            elif isinstance(value, Integral):
                top, bottom = int(value), 1
            else:
                number = Fraction(value) if isinstance(value, str) else float(value)
                top, bottom = number.as_integer_ratio()
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            raise NumericsError(
                f"{name}[{c}] is {value!r:.40}: give a finite number or drop the row"
            ) from None
        tops.append(top)
        bottoms.append(bottom)
    common = math.lcm(*bottoms)
    return primitive([t * (common // b) for t, b in zip(tops, bottoms, strict=True)])


def primitive(row: Sequence[int]) -> IntRow:
    """The row divided by the greatest common divisor of its entries."""
    divisor = math.gcd(*row)
    return tuple(x // divisor for x in row) if divisor > 1 else tuple(row)


def canonical(row: IntRow) -> tuple[IntRow, int]:
    """The canonical row and the sign of ``row`` relative to it; the sign is 0 for a zero row."""
    first = next((x for x in row if x), 0)
    if first < 0:
        return tuple(-x for x in row), -1
    return row, int(first > 0)


def hyperplanes(rows: Iterable[IntRow]) -> tuple[list[IntRow], list[int], list[int]]:
    """Distinct hyperplanes (canonical rows, in order of appearance); per row its index (-1: zero row) and sign."""
    index: dict[IntRow, int] = {}
    places, signs = [], []
    for row in rows:
        plane, sign = canonical(row)
        places.append(index.setdefault(plane, len(index)) if sign else -1)
        signs.append(sign)
    return list(index), places, signs


def pivot_columns(rows: Sequence[IntRow]) -> list[int]:
    """Columns whose restriction has the rank of the matrix: the same sign vectors, full column rank."""
    work = [list(row) for row in rows]
    pivots: list[int] = []
    for c in range(len(rows[0]) if rows else 0):
        row = next((r for r in work if r[c]), None)
        if row is None:
            continue
        pivots.append(c)
        work.remove(row)
        work = [
            list(primitive([y * row[c] - r[c] * x for x, y in zip(row, r, strict=True)]))
            for r in work
        ]
    return pivots


def pivot(row: IntRow) -> int:
    """The coordinate that is eliminated on the hyperplane of a non-zero row: the smallest keeps integers small."""
    return min((abs(x), c) for c, x in enumerate(row) if x)[1]


def restrict(rows: Iterable[IntRow], row: IntRow) -> list[IntRow]:
    """The rows as functionals on the hyperplane of ``row``, in the coordinates of `lift`, primitive."""
    c = pivot(row)
    a, rest = row[c], [(k, x) for k, x in enumerate(row) if k != c]
    if a > 0:
        return [primitive([r[k] * a - r[c] * x for k, x in rest]) for r in rows]
    return [primitive([r[c] * x - r[k] * a for k, x in rest]) for r in rows]


def lift(points: Iterable[IntRow], row: IntRow) -> list[IntRow]:
    """Points of the hyperplane of ``row``, from the coordinates of `restrict` back to all coordinates."""
    c = pivot(row)
    a, rest = row[c], [x for k, x in enumerate(row) if k != c]
    if a < 0:
        a, rest = -a, [-x for x in rest]
    out = []
    for point in points:
        scaled = [a * w for w in point]
        scaled.insert(c, -sum(x * w for x, w in zip(rest, point, strict=True)))
        out.append(tuple(scaled))
    return out


def count_cells(planes: Sequence[IntRow], limit: int | None = None) -> int:
    """The number of cells of an arrangement of distinct hyperplanes (canonical rows), by deletion-restriction.

    r(A) = r(A - h) + r(A restricted to h), applied to the rows from the last to the first.  Stops
    early, with a number greater than ``limit`` and not greater than the count, once it is exceeded.
    """
    dim = len(planes[0]) if planes else 0
    if not planes:
        return 1
    if dim <= 2:
        return 2 * len(planes)
    total = 1
    for k, row in enumerate(planes):
        below = {canonical(r)[0] for r in restrict(planes[:k], row)}
        total += count_cells(list(below), None if limit is None else limit - total)
        if limit is not None and total > limit:
            break
    return total


# -- signs


@dataclass(frozen=True)
class Vectors:
    """Integer vectors with floats beside them: ints[i] = floats[i] * 2**exponents[i] up to relative UNIT per entry."""

    ints: list[IntRow]
    floats: Array
    exponents: NDArray[np.int64]

    @classmethod
    def of(cls, ints: list[IntRow], dim: int) -> Vectors:
        """Entries of ``floats`` (N, dim) have modulus at most 1."""
        exponents = [max(map(int.bit_length, v), default=0) for v in ints]
        floats = [[x / (1 << e) for x in v] for v, e in zip(ints, exponents, strict=True)]
        return cls(ints, np.array(floats).reshape(-1, dim), np.array(exponents, dtype=np.int64))

    def __getitem__(self, part: slice) -> Vectors:
        return Vectors(self.ints[part], self.floats[part], self.exponents[part])


def certain_signs(points: Array, rows: Array) -> tuple[NDArray[np.int8], Array]:
    """Signs (P, n) of products of the vectors that floats (N, d) stand for, 0 where rounding could decide.

    Entries have modulus at most 1 and relative error UNIT.  The second array is |product| less its
    error bound: two roundings of the entries, one per product, d - 1 sums in any order; doubled.
    """
    products = points @ rows.T
    bound = 2 * (points.shape[1] + 3) * UNIT * (np.abs(points) @ np.abs(rows).T) + TINY
    slack = np.abs(products) - bound
    return np.sign(products, where=slack > 0, out=np.zeros_like(products)).astype(np.int8), slack


def signs(points: Vectors, rows: Vectors) -> tuple[NDArray[np.int8], Array]:
    """Exact signs of all products point . row (P, n), and lower bounds of log2 |floats product|, -inf at zeros.

    Decided in floats where the product exceeds its forward error bound, in integers elsewhere.
    """
    found, slack = certain_signs(points.floats, rows.floats)
    doubtful = np.argwhere(found == 0)
    slack[found == 0] = 1.0
    logs = np.log2(slack)
    for i, j in doubtful:
        value = sum(a * b for a, b in zip(points.ints[i], rows.ints[j], strict=True))
        found[i, j] = (value > 0) - (value < 0)
        shift = int(points.exponents[i] + rows.exponents[j])
        logs[i, j] = value.bit_length() - 1 - shift if value else -math.inf
    return found, logs
