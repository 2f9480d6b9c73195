"""Proofs of |sum_i nu_i max(x_i . u, 0)| <= R |u| for all u, by trees of signs (see `audit.sign_tree`).

Only rows with nu_i > 0 are split on: the others are concave, and each is bounded from above by a
linear function.  The cells of those rows are enumerated exactly, each split of the tree cuts a cell, and
where the sign of a row follows from the signs so far, the rows that force it are named.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements import LIMIT, Arrangement, enumerate_patterns
from numerics.arrangements_exact import integer_rows
from numerics.arrangements_leaves import Shortest, shortest
from numerics.errors import NumericsError
from proofs_checks.exact_data import Matrix, Row, exact_matrix, exact_text, exact_vector
from proofs_checks.sign_tree_branches import branches
from theory.errors import LemmataError

Array = NDArray[np.float64]
ROUNDING = (
    1e-14  # relative to the sizes that are added: nearer to the radius, a leaf is decided exactly
)


def bound_witness(
    X: Any, nu: Any, radius: Any, *, reflections: Sequence[Sequence[int]] = (), limit: int = LIMIT
) -> dict[str, Any] | None:
    """The witness of |sum_i nu_i max(x_i . u, 0)| <= radius |u| for all u that the audit kernel checks.

    Args:
        X: (n, d), nu: (n,), radius: exact numbers, or floats, which are taken exactly.
        reflections: integer vectors a; each u -> u - 2 (a.u) a / |a|^2 must map the weighted points to
            themselves, or to themselves with -nu (the kernel checks that).  They cut the work by the
            size of the group that they generate.
        limit: the greatest number of cells of the rows with nu_i of one sign.

    Returns:
        Plain data, or None if the bound does not hold (`pricing_bound` says what does).

    Raises:
        LemmataError: mis-shaped or non-finite data, reflections without a common positive side, or more
            than ``limit`` cells.
    """
    problem = _Problem.of(X, nu, reflections)
    R = exact_vector([radius], "radius")[0]
    witness: dict[str, Any] = {
        "reflections": [list(a) for a in problem.mirrors],
        "inside": list(problem.inside()),
    }
    for name, sign in (("plus", 1), ("minus", -1)):
        side = _Side.of(problem, sign, limit)
        leaves = side.witnesses(R)
        if leaves is None:
            return None
        names = [*side.names, *range(len(problem.X), len(problem.X) + len(problem.mirrors))]
        rows = integer_rows([problem.X[i] for i in side.names]) if side.names else []
        witness[name] = branches(rows, problem.mirrors, side.patterns, names, leaves)
    return witness


def pricing_bound(
    X: Any, nu: Any, *, reflections: Sequence[Sequence[int]] = (), limit: int = LIMIT
) -> tuple[float, Array]:
    """max over |u| <= 1 of |sum_i nu_i max(x_i . u, 0)|, up to rounding, and a unit vector that attains it.

    Arguments and errors as for `bound_witness`.  The value is a numerical one; `bound_witness` at a
    slightly greater radius proves it.
    """
    problem = _Problem.of(X, nu, reflections)
    sides = [_Side.of(problem, sign, limit) for sign in (1, -1)]
    # what some directions reach discards most leaves
    reached = max(float(side.values.max(initial=0.0)) for side in sides)
    best, at = 0.0, np.eye(len(problem.X[0]))[0]
    for side in sides:
        for k in np.argsort(-side.lengths).tolist():
            if side.lengths[k] <= max(best, reached * (1 - 1e-12)):
                break
            g = side.solve(k).g
            length = float(np.linalg.norm(g))
            if length > best:
                best, at = length, g / length
    try:
        return math.ldexp(best, problem.unit), at
    except OverflowError:
        raise LemmataError(
            "the bound exceeds the range of floats: divide nu or X by a power of two"
        ) from None


@dataclass(frozen=True)
class _Problem:
    """The data, exact and as floats: row i is floats[i] 2^e, nu_i is weights[i] 2^(unit - e), e by row."""

    X: Matrix
    nu: Row
    mirrors: tuple[tuple[int, ...], ...]
    floats: Array
    weights: Array
    unit: int

    @classmethod
    def of(cls, X: Any, nu: Any, reflections: Sequence[Sequence[int]]) -> _Problem:
        X, nu = exact_matrix(X), exact_vector(nu, "nu")
        if len(nu) != len(X):
            raise LemmataError(f"nu has {len(nu)} entries where X has {len(X)} rows")
        mirrors = tuple(tuple(a) for a in reflections)
        for a in mirrors:
            if len(a) != len(X[0]) or not any(a) or any(type(x) is not int for x in a):
                raise LemmataError(f"reflection {a}: give {len(X[0])} ints, not all zero")
        exponents = [max(_exponent(x) for x in row if x) if any(row) else 0 for row in X]
        floats = [[_float(x, e) for x in row] for row, e in zip(X, exponents, strict=True)]
        # a zero point weighs nothing
        heavy = [bool(v and any(row)) for v, row in zip(nu, X, strict=True)]
        terms = list(zip(nu, exponents, heavy, strict=True))
        unit = max((_exponent(v) + e for v, e, some in terms if some), default=0)
        weights = [_float(v, unit - e) if some else 0.0 for v, e, some in terms]
        return cls(X, nu, mirrors, np.array(floats), np.array(weights), unit)

    def inside(self) -> tuple[int, ...]:
        """A point strictly on the positive side of all mirrors; () if there are none."""
        if not self.mirrors:
            return ()
        rows = tuple(tuple(map(Fraction, a)) for a in self.mirrors)
        points = _cells(rows, self.mirrors, LIMIT).points
        if not points:
            raise LemmataError(
                "the reflection vectors have no common positive side: replace some by their negatives"
            )
        return points[0]


def _exponent(value: Fraction) -> int:
    """|value| < 2^exponent, and nearly so, for a value that is not zero."""
    return value.numerator.bit_length() - value.denominator.bit_length() + 1


def _float(value: Fraction, exponent: int) -> float:
    """value / 2^exponent, rounded."""
    return float(value / Fraction(2) ** exponent) if value else 0.0


@functools.lru_cache(
    maxsize=8
)  # a bound is first computed, then proved; a solver asks again and again
def _cells(rows: Matrix, mirrors: tuple[tuple[int, ...], ...], limit: int) -> Arrangement:
    """The cells of the rows, within the cone of the mirrors if there are any."""
    try:
        return enumerate_patterns(rows, cone=mirrors or None, limit=limit)
    except NumericsError as error:
        raise LemmataError(str(error)) from None


@dataclass(frozen=True)
class _Side:
    """One sign of nu: the cells of the rows with positive weight, and a first bound on each."""

    problem: _Problem
    names: list[int]
    negative: list[int]
    sign: int
    patterns: NDArray[np.bool_]
    bits: NDArray[np.bool_]
    bases: Array
    lengths: Array
    values: Array

    @classmethod
    def of(cls, problem: _Problem, sign: int, limit: int) -> _Side:
        weights, X = sign * problem.weights, problem.X
        names = [i for i, v in enumerate(problem.nu) if sign * v > 0 and any(X[i])]
        negative = [i for i, v in enumerate(problem.nu) if sign * v < 0]
        start = problem.inside() or (1,) + (0,) * (len(X[0]) - 1)
        patterns = np.ones((1, 0), dtype=bool)
        directions = np.array([start], dtype=float) / math.hypot(*start)
        if names:
            cells = _cells(tuple(X[i] for i in names), problem.mirrors, limit)
            patterns, directions = cells.patterns, cells.directions
        terms = weights[:, None] * problem.floats
        bases = patterns @ terms[names]
        bits = directions @ terms[negative].T < 0
        lengths = np.linalg.norm(bases + bits @ terms[negative], axis=1)
        values = np.maximum(directions @ problem.floats.T, 0.0) @ weights
        return cls(problem, names, negative, sign, patterns, bits, bases, lengths, values)

    def solve(self, k: int) -> Shortest:
        """The least bound on cell k for which theta is enough.

        It is the maximum over all u of the sum with nu_i (x_i . u) or 0, as in the cell, for the rows with nu_i > 0:
        at most the whole sum, beyond the cell too.  So multipliers of the cell's sides would prove nothing more.
        """
        terms = (self.sign * self.problem.weights)[:, None] * self.problem.floats
        return shortest(self.bases[k], terms[self.negative], self.bits[k])

    def witnesses(self, R: Fraction) -> list[list[Any]] | None:
        """The leaf of every cell, or None if one of them exceeds R."""
        # no leaf is as long as a radius beyond the range of floats
        radius = float(min(R / Fraction(2) ** self.problem.unit, Fraction(10**30)))
        size = len(self.problem.X[0]) * (np.abs(self.problem.weights).sum() + radius)
        out = []
        for k, (length, bits) in enumerate(zip(self.lengths.tolist(), self.bits, strict=True)):
            theta = bits.astype(float)
            if length > radius - ROUNDING * size:
                found = self.solve(k)
                theta, length = found.theta, float(np.linalg.norm(found.g))
                if length > radius + ROUNDING * size:
                    return None
                if length > radius - ROUNDING * size and not self._holds(k, theta, R):
                    return None
            out.append(self._text(theta))
        return out

    def _holds(self, k: int, theta: Array, R: Fraction) -> bool:
        """|g| <= R in exact numbers."""
        X, nu = self.problem.X, self.problem.nu
        parts = [
            (i, self.sign * nu[i]) for i, on in zip(self.names, self.patterns[k], strict=True) if on
        ]
        parts += [
            (i, self.sign * nu[i] * Fraction(t))
            for i, t in zip(self.negative, theta.tolist(), strict=True)
        ]
        g = [sum((c * X[i][j] for i, c in parts), Fraction(0)) for j in range(len(X[0]))]
        return sum((x * x for x in g), Fraction(0)) <= R * R

    def _text(self, theta: Array) -> list[Any]:
        """The leaf as the kernel reads it."""
        bits = "".join("1" if t >= 0.5 else "0" for t in theta.tolist())
        digits = f"{int(bits, 2):0{(len(bits) + 3) // 4}x}" if bits else ""
        leaf: list[Any] = [digits]
        for i, t in zip(self.negative, theta.tolist(), strict=True):
            if 0.0 < t < 1.0:
                leaf += [i, exact_text(t)]
        return leaf
