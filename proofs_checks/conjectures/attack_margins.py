"""Attacks on statements about margins: parities, runs of the perceptron, single steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from proofs_checks.conjectures.attack_models import (
    LARGE_LEVEL,
    Cost,
    PlainAdaptor,
    Random,
    columns_without,
    integers,
    lengths,
    moved,
    nearby,
    simpler_rows,
    without,
)
from proofs_checks.margin_cases import ParityCase, PerceptronCase, UpdateCase, parities
from theory.errors import LemmataError
from theory.statement import Statement

FEW = 4  # cases that are drawn at a time


class ParityAdaptor(PlainAdaptor[ParityCase]):
    """All parities, the smallest first: there are finitely many."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(statement)
        every = parities(count=1000)
        self._left = sorted(every, key=lambda c: (c.dimension, c.bias, c.k))

    def draw(self, rng: Random, level: int) -> Sequence[ParityCase]:
        """The next ones that have not been drawn."""
        now, self._left = self._left[:FEW], self._left[FEW:]
        return now

    def simpler(self, case: ParityCase) -> Iterator[ParityCase]:
        """All smaller ones."""
        for c in parities(count=1000):
            if self.cost(c) < self.cost(case):
                yield c

    def shapes(self, case: ParityCase) -> dict[str, list[int]]:
        """The points."""
        return {"points": [len(case.points), case.dimension]}

    def cost(self, case: ParityCase) -> Cost:
        """Points, then the degree."""
        return len(case.points) * case.dimension, case.k


class PerceptronAdaptor(PlainAdaptor[PerceptronCase]):
    """Small integer points, most of them on the right side of u."""

    def draw(self, rng: Random, level: int) -> Sequence[PerceptronCase]:
        """Orthogonal points (where the bound is attained), and random ones labelled by u."""
        out = []
        top = 2 + min(level, LARGE_LEVEL) // 2
        for _ in range(FEW):
            d, n = int(rng.integers(1, top + 1)), int(rng.integers(1, 2 * top + 1))
            u = integers(rng, 1, d, 3)[0]
            if rng.random() < 0.3:
                s = int(rng.integers(1, 4))
                X = [[Fraction(s * int(a == b)) for b in range(d)] for a in range(d)]
                u = [Fraction(1 if rng.random() < 0.5 else -1) for _ in range(d)]
            else:
                X = integers(rng, n, d, 1 + min(level, 4))
            y = [1 if sum(a * b for a, b in zip(u, x, strict=True)) > 0 else -1 for x in X]
            out.append(_made(PerceptronCase.create, X, y, u, passes=200))
        return [c for c in out if c is not None]

    def mutate(self, case: PerceptronCase, rng: Random, scale: float) -> Sequence[PerceptronCase]:
        """Points and u moved."""
        out = []
        for _ in range(FEW):
            X, (u,) = moved(case.X, rng, scale), moved([case.u], rng, scale)
            out.append(_made(PerceptronCase.create, X, case.y, u, passes=case.passes))
        return [c for c in out if c is not None]

    def simpler(self, case: PerceptronCase) -> Iterator[PerceptronCase]:
        """Fewer points and coordinates, simpler numbers."""
        X, y, u = case.X, case.y, case.u
        options: list[tuple[Any, Any, Any]] = []
        if len(X) > 1:
            options += [(without(X, k), without(y, k), u) for k in range(len(X))]
            options += [(X[:k], y[:k], u) for k in range(1, len(X))]
        if len(u) > 1:
            options += [(columns_without(X, k), y, without(u, k)) for k in range(len(u))]
        options += [(rows, y, u) for rows in simpler_rows(X)]
        options += [(X, y, rows[0]) for rows in simpler_rows([u])]
        for points, labels, direction in options:
            made = _made(PerceptronCase.create, points, labels, direction, passes=case.passes)
            if made is not None:
                yield made

    def shapes(self, case: PerceptronCase) -> dict[str, list[int]]:
        """X, y, u."""
        n, d = len(case.X), len(case.u)
        return {"X": [n, d], "y": [n], "u": [d]}

    def cost(self, case: PerceptronCase) -> Cost:
        """Entries of X, y and u."""
        n, d = len(case.X), len(case.u)
        return n * d + n + d, lengths((case.X, case.u))


class UpdateAdaptor(PlainAdaptor[UpdateCase]):
    """Vectors of small integers."""

    def draw(self, rng: Random, level: int) -> Sequence[UpdateCase]:
        """Vectors of up to four entries and simple step sizes."""
        out = []
        for _ in range(FEW):
            d = int(rng.integers(1, 2 + min(level, LARGE_LEVEL) // 2))
            w, w_bar, g = integers(rng, 3, d, 1 + min(level, 4))
            eta = Fraction(int(rng.integers(1, 9)), int(rng.integers(1, 9)))
            out.append(UpdateCase.create(w, w_bar, g, eta))
        return out

    def mutate(self, case: UpdateCase, rng: Random, scale: float) -> Sequence[UpdateCase]:
        """Vectors and step size moved."""
        out = []
        for _ in range(FEW):
            w, w_bar, g = moved([case.w, case.w_bar, case.g], rng, scale)
            ((eta,),) = moved([[case.eta]], rng, scale)
            out.append(_made(UpdateCase.create, w, w_bar, g, abs(eta)))
        return [c for c in out if c is not None]

    def simpler(self, case: UpdateCase) -> Iterator[UpdateCase]:
        """Fewer entries, simpler numbers."""
        rows = [case.w, case.w_bar, case.g]
        if len(case.w) > 1:
            for k in range(len(case.w)):
                yield _update(columns_without(rows, k), case.eta)
        for other in simpler_rows(rows):
            yield _update(other, case.eta)
        for eta in nearby(case.eta):
            if eta > 0:
                yield _update(rows, eta)

    def shapes(self, case: UpdateCase) -> dict[str, list[int]]:
        """The vectors and the step size."""
        return {**{k: [len(case.w)] for k in ("w", "w_bar", "g")}, "eta": []}

    def cost(self, case: UpdateCase) -> Cost:
        """Entries of the three vectors."""
        return 3 * len(case.w) + 1, lengths((case.w, case.w_bar, case.g, [case.eta]))


def _update(rows: Sequence[Sequence[Any]], eta: Fraction) -> UpdateCase:
    w, w_bar, g = rows
    return UpdateCase.create(w, w_bar, g, eta)


def _made(create: Any, *args: Any, **options: Any) -> Any:
    """The case, or None where these numbers make none."""
    try:
        return create(*args, **options)
    except LemmataError:
        return None
