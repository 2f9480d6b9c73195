"""Starts and data with which laws are tested: every function that acts on the variables of a law takes part.

A polynomial that is no law is conserved all the same by flows in which the fields that do not conserve it are silent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from theory.conservation.losses import polynomial_functions
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import Polynomial

Row = dict[int, Fraction]

SAMPLES, ENTRIES = 3, 6
ROW_TERMS, CASE_TERMS = (
    10_000,
    200_000,
)  # of the flow, from one row of data and from those of one trajectory


@dataclass(frozen=True)
class Data:
    """Rows a_s of a squared loss ½ Σ_s (⟨a_s, ψ⟩ - b_s)², non-zero entries only, and targets b."""

    rows: tuple[Row, ...]
    targets: tuple[Fraction, ...]

    @property
    def functions(self) -> frozenset[int]:
        """Indices of the functions that take part."""
        return frozenset(i for row in self.rows for i in row)


class Sampler:
    """Random data and starts of a model with a polynomial φ; weights undo the constant denominators of φ.

    Raises:
        LemmataError: φ is not polynomial.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.functions = polynomial_functions(model)
        self.used = [frozenset(i for m in p for i in m) for p, _ in self.functions]
        self.lengths = [(len(p), sum(len(set(m)) for m in p)) for p, _ in self.functions]

    def acting_on(self, variables: Collection[int]) -> frozenset[int]:
        """Indices of the functions whose fields move one of these variables of the flow (or its velocity)."""
        size = self.model.size
        moved = {i % size for i in variables if i < 2 * size}
        if self.model.metric:
            moved = {b for a, b, entry in self.model.metric if a in moved and entry}
        return frozenset(i for i, used in enumerate(self.used) if used & moved)

    def trajectories(self, wanted: Collection[int], cases: int, seed: int) -> list[Data]:
        """One sample of data per trajectory, which together contain the wanted functions as far as the size allows."""
        size = len(self.functions)
        left = [int(i) for i in np.random.default_rng([seed, cases]).permutation(sorted(wanted))]
        out = []
        for c in range(cases):
            rng = np.random.default_rng([seed, c])
            rows = []
            for _ in range(min(SAMPLES, size)):
                few = rng.choice(size, size=min(ENTRIES, size), replace=False)
                rows.append(self._rows([int(i) for i in few])[0])
            done = {i for row in rows for i in row}
            left = [i for i in left if i not in done]
            share, total = -(-len(left) // (cases - c)), 0
            for row in self._rows(left[:share]):
                total += self._terms(row)
                if total > CASE_TERMS:
                    break
                rows.append(row)
                done.update(row)
            left = [i for i in left if i not in done]
            out.append(self._filled(rows, rng))
        return out

    def complete(self, wanted: Collection[int], rng: np.random.Generator) -> Data:
        """Data that contain all the wanted functions."""
        order = [int(i) for i in rng.permutation(sorted(wanted or range(len(self.functions))))]
        return self._filled(self._rows(order), rng)

    def start(self, rng: np.random.Generator) -> list[Fraction]:
        """Parameters in [-1, 1], or [1/4, 5/4] under a metric (mirror flows live on θ > 0); then velocities and s = 1.

        None of them is zero, as terms of a law vanish there.
        """
        model = self.model
        size = model.size if model.momentum is None else 2 * model.size
        if model.metric:
            return [Fraction(int(k), 64) for k in rng.integers(16, 81, size=size)]
        signs = rng.choice((-1, 1), size=size)
        start = [Fraction(int(k), 64) for k in rng.integers(1, 65, size=size) * signs]
        if model.momentum is not None:
            start.append(Fraction(1 if model.momentum else 0))
        return start

    def _rows(self, order: Sequence[int]) -> list[list[int]]:
        """The functions in rows of at most `ENTRIES`, fewer where the flow would have many terms."""
        rows: list[list[int]] = []
        for i in order:
            longer = [*rows[-1], i] if rows else [i]
            if not rows or len(longer) > ENTRIES or self._terms(longer) > ROW_TERMS:
                rows.append([i])
            else:
                rows[-1] = longer
        return rows

    def _terms(self, row: Sequence[int]) -> int:
        """Residual times gradient."""
        lengths = [self.lengths[i] for i in row]
        return (1 + sum(n for n, _ in lengths)) * sum(n for _, n in lengths)

    def _filled(self, rows: Sequence[Sequence[int]], rng: np.random.Generator) -> Data:
        filled = tuple({i: _eighths(rng) * self.functions[i][1] for i in row} for row in rows)
        return Data(filled, tuple(_eighths(rng) for _ in rows))


def variables_of(law: Law) -> frozenset[int]:
    """Indices of the variables of a law."""
    parts: list[Polynomial] = [law.polynomial, *(q for _, q in law.logarithms)]
    return frozenset(i for p in parts for m in p for i in m)


def _eighths(rng: np.random.Generator) -> Fraction:
    return Fraction(int(rng.integers(1, 9)) * int(rng.choice((-1, 1))), 8)
