"""The linear system for all laws up to a degree, solved block by block.

h = Σ_m c_m m over the monomials of the ansatz is a law exactly if the coefficients of every F·∇h vanish. Most equations
have one unknown and kill it; what is left falls apart into blocks that share no unknown (a torus of sign changes acts
on path products and factorisations). Each block is solved modulo a prime.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from math import comb, gcd

from theory.conservation.polynomials import Monomial, Polynomial, VectorField
from theory.errors import LemmataError

Unknown = Monomial  # negative entries (-1 - k,) stand for the coefficient of the k-th logarithm
Equation = tuple[tuple[Unknown, int], ...]
BYTES = 260  # of one coefficient of the system, measured
MEMORY = 3 * 2**30
MAX_DEGREE = 64


@dataclass(frozen=True)
class Ansatz:
    """The monomials of a law.

    Attributes:
        variables: number of algebraic variables. degree: K. mixed: degrees 1 to K, not K alone.
        clock: index of s = e^{τt} (or t), which may occur with every power up to K besides; or None.
    """

    variables: int
    degree: int
    mixed: bool
    clock: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.degree <= MAX_DEGREE:
            raise LemmataError(
                f"degree {self.degree:.3g}: a law has at least degree 1, and here at most {MAX_DEGREE}"
            )

    @property
    def degrees(self) -> range:
        """Degrees in the algebraic variables."""
        return range(1 if self.mixed else self.degree, self.degree + 1)

    @property
    def _clocks(self) -> int:
        return 1 if self.clock is None else self.degree + 1

    @property
    def unknowns(self) -> int:
        """How many monomials there are."""
        return self._clocks * sum(comb(self.variables + k - 1, k) for k in self.degrees)

    def _powers(self, degrees: Iterable[int], clocks: Iterable[int]) -> list[Monomial]:
        tails = [(self.clock,) * e if self.clock is not None else () for e in clocks]
        return [
            m + tail
            for k in degrees
            for m in combinations_with_replacement(range(self.variables), k)
            for tail in tails
        ]

    def monomials(self) -> list[Monomial]:
        """All of them."""
        return self._powers(self.degrees, range(self._clocks))

    def lowered(self, index: int) -> list[tuple[Monomial, Monomial, int]]:
        """(rest, monomial, k) for every monomial that contains the variable: ∂_index monomial = k rest."""
        if index == self.clock:
            rests = self._powers(self.degrees, range(self._clocks - 1))
        else:
            rests = self._powers((k - 1 for k in self.degrees), range(self._clocks))
        own = (index,)
        return [(r, tuple(sorted(r + own)), r.count(index) + 1) for r in rests]

    def check_memory(self, fields: Sequence[VectorField], limit: int) -> None:
        """Refuse a system that would not fit.

        Raises:
            LemmataError: says the size.
        """
        rests = self._clocks * sum(comb(self.variables + k - 2, k - 1) for k in self.degrees)
        largest = max(sum(map(len, f.values())) for f in fields)
        need = BYTES * (self.unknowns + rests * (self.variables + largest))
        if need > limit:
            raise too_large(f"{self} has {self.unknowns:,} monomials", need, limit)

    def __str__(self) -> str:
        below = " and below" if self.mixed else ""
        return f"degree {self.degree}{below} in {self.variables} variables"


def too_large(what: str, need: int, limit: int) -> LemmataError:
    """The error for a system beyond the memory."""
    return LemmataError(
        f"{what}: about {need / 2**30:,.1f} GiB of memory; the limit is {limit / 2**30:.1f} GiB: lower the "
        f"degree, or take a smaller model of the same family"
    )


@dataclass(frozen=True)
class System:
    """What is left of the equations: blocks of coupled unknowns; all other unknowns are zero."""

    blocks: tuple[tuple[tuple[Unknown, ...], tuple[Equation, ...]], ...]


def system(
    ansatz: Ansatz,
    fields: Sequence[VectorField],
    cofactors: Sequence[Sequence[Polynomial]] = (),
    memory: int = MEMORY,
) -> System:
    """The equations of F·∇h = 0 for all fields, reduced and split.

    Args:
        cofactors: for each logarithm log|q_k|, the polynomials (F·∇q_k)/q_k, one per field. memory: limit in bytes.

    Raises:
        LemmataError: the equations that are left do not fit.
    """
    zero: set[Unknown] = set()
    stored = 0
    equations: set[Equation] = set()
    lowered = cache(ansatz.lowered)
    for number, vector_field in enumerate(fields):
        table: dict[Monomial, dict[Unknown, int]] = {}
        for index, part in vector_field.items():
            for rest, unknown, k in lowered(index):
                if unknown not in zero:
                    for m, c in part.items():
                        row = table.setdefault(tuple(sorted(m + rest)) if m else rest, {})
                        row[unknown] = row.get(unknown, 0) + k * c
        for k, of_fields in enumerate(cofactors):
            for m, c in of_fields[number].items():
                row = table.setdefault(m, {})
                row[(-1 - k,)] = row.get((-1 - k,), 0) + c
        new = _reduce(table.values(), zero) - equations
        equations |= new
        stored += sum(map(len, new))
        if BYTES * stored > memory:
            need = BYTES * stored * len(fields) // (number + 1)
            raise too_large(f"{ansatz}: the equations are coupled", need, memory)
    size = -1
    while size != len(zero):
        size = len(zero)
        equations = _reduce((dict(e) for e in equations), zero)
    unknowns = [m for m in ansatz.monomials() if m not in zero]
    unknowns += [(-1 - k,) for k in range(len(cofactors)) if (-1 - k,) not in zero]
    return System(tuple(_split(unknowns, equations)))


def _reduce(rows: Iterable[dict[Unknown, int]], zero: set[Unknown]) -> set[Equation]:
    """Equations without known zeros, in a normal form; those with one unknown make it zero."""
    kept = [row for row in rows if len(row) > 1 or not _kill(row, zero)]
    out: set[Equation] = set()
    for row in kept:
        terms = sorted((u, c) for u, c in row.items() if c and u not in zero)
        if len(terms) == 1:
            zero.add(terms[0][0])
        elif terms:
            content = gcd(*(c for _, c in terms)) * (1 if terms[0][1] > 0 else -1)
            out.add(tuple((u, c // content) for u, c in terms))
    return out


def _kill(row: dict[Unknown, int], zero: set[Unknown]) -> bool:
    """An equation with a single unknown makes it zero."""
    for unknown, c in row.items():
        if c:
            zero.add(unknown)
    return True


def _split(
    unknowns: Sequence[Unknown], equations: Iterable[Equation]
) -> list[tuple[tuple[Unknown, ...], tuple[Equation, ...]]]:
    """Connected components of unknowns that share an equation."""
    parent = {u: u for u in unknowns}

    def root(u: Unknown) -> Unknown:
        while parent[u] != u:
            parent[u] = parent[parent[u]]
            u = parent[u]
        return u

    ordered = sorted(equations)
    for equation in ordered:
        first = root(equation[0][0])
        for u, _ in equation[1:]:
            parent[root(u)] = first
    members: dict[Unknown, list[Unknown]] = {}
    for u in unknowns:
        members.setdefault(root(u), []).append(u)
    rows: dict[Unknown, list[Equation]] = {}
    for equation in ordered:
        rows.setdefault(root(equation[0][0]), []).append(equation)
    return [(tuple(us), tuple(rows.get(r, ()))) for r, us in members.items()]
