"""Attacks on statements about convex ReLU training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

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
from proofs_checks.relu_cases import ReluCase
from theory.errors import LemmataError

FEW = 4
GRID = 2.0**-8


class ReluAdaptor(PlainAdaptor[ReluCase]):
    """Small data, with networks that are optimal, nearly optimal, or anything."""

    def draw(self, rng: Random, level: int) -> Sequence[ReluCase]:
        """Data sets of integers or on a grid, one network each."""
        out = [self._one(rng, min(level, LARGE_LEVEL)) for _ in range(FEW)]
        return [c for c in out if c is not None]

    def _one(self, rng: Random, level: int) -> ReluCase | None:
        n, d = int(rng.integers(2, 4 + level // 2)), int(rng.integers(1, 3))
        if rng.random() < 0.5:
            X, (y,) = integers(rng, n, d, 2), integers(rng, 1, n, 2)
        else:
            X, (y,) = _grid(rng.standard_normal((n, d))), _grid(rng.standard_normal((1, n)))
        most = float(
            np.linalg.norm(np.abs(np.array(X, dtype=float).T) @ np.abs(np.array(y, dtype=float)))
        )
        part = float(rng.choice([0.05, 0.15, 0.3, 0.6]))
        beta = Fraction(max(most * part, 0.05)).limit_denominator(16) or Fraction(1, 16)
        W, (v,) = integers(rng, 1 + level // 3, d, 2), integers(rng, 1, 1 + level // 3, 2)
        kind = rng.choice(["optimum", "perturbed", "zero", "integers", "grid"])
        if kind in ("optimum", "perturbed") and len({tuple(row) for row in X}) > 1:
            factor = Fraction(str(rng.choice(["1/2", "9/10", "1", "6/5", "2"])))
            W, v = _optimum(X, y, beta * factor)
            if kind == "perturbed":
                W, (v,) = moved(W, rng, 0.1), moved([v], rng, 0.1)
        elif kind == "zero":
            W, v = [[Fraction(0)] * d], [Fraction(0)]
        elif kind == "grid":
            W, (v,) = _grid(rng.standard_normal((2, d))), _grid(rng.standard_normal((1, 2)))
        return _made(X, y, beta, W, v)

    def mutate(self, case: ReluCase, rng: Random, scale: float) -> Sequence[ReluCase]:
        """The network moved, and the data or β as well."""
        out = []
        for k in range(FEW):
            X, (y,) = (
                (moved(case.X, rng, scale), moved([case.y], rng, scale))
                if k % 2
                else (
                    case.X,
                    [case.y],
                )
            )
            W, (v,) = moved(case.W, rng, scale), moved([case.v], rng, scale)
            beta = case.beta
            if k > 1:
                beta = abs(moved([[beta]], rng, scale)[0][0])
            out.append(_made(X, y, beta, W, v))
        return [c for c in out if c is not None]

    def simpler(self, case: ReluCase) -> Iterator[ReluCase]:
        """Fewer points, coordinates and neurons, simpler numbers."""
        X, y, beta, W, v = case.X, case.y, case.beta, case.W, case.v
        options: list[tuple[Any, ...]] = []
        if len(X) > 2:
            options += [(without(X, k), without(y, k), beta, W, v) for k in range(len(X))]
        if len(X[0]) > 1:
            options += [
                (columns_without(X, k), y, beta, columns_without(W, k), v) for k in range(len(X[0]))
            ]
        if len(v) > 1:
            options += [(X, y, beta, without(W, k), without(v, k)) for k in range(len(v))]
        options.append((X, y, beta, [[0] * len(X[0])], [0]))
        options += [(rows, y, beta, W, v) for rows in simpler_rows(X)]
        options += [(X, rows[0], beta, W, v) for rows in simpler_rows([y])]
        options += [(X, y, b, W, v) for b in nearby(beta)]
        options += [(X, y, beta, rows, v) for rows in simpler_rows(W)]
        options += [(X, y, beta, W, rows[0]) for rows in simpler_rows([v])]
        for option in options:
            made = _made(*option)
            if made is not None:
                yield made

    def shapes(self, case: ReluCase) -> dict[str, list[int]]:
        """X, y, β, W, v."""
        n, d, m = len(case.X), len(case.X[0]), len(case.v)
        return {"X": [n, d], "y": [n], "beta": [], "W": [m, d], "v": [m]}

    def cost(self, case: ReluCase) -> Cost:
        """Entries of all arrays."""
        n, d, m = len(case.X), len(case.X[0]), len(case.v)
        return n * d + n + 1 + m * d + m, lengths((case.X, case.y, [case.beta], case.W, case.v))


def _grid(a: np.ndarray) -> list[list[Fraction]]:
    return [[Fraction(float(x)) for x in row] for row in np.round(a / GRID) * GRID]


def _optimum(X: Any, y: Any, beta: Fraction) -> tuple[list[list[Fraction]], list[Fraction]]:
    """The weights of an optimal network for another β, on a grid; one zero neuron where that is the optimum."""
    from proofs_checks.relu_training import convex_relu

    found = convex_relu(X, y, beta=beta, certify=False)
    if not len(found.v):
        return [[Fraction(0)] * len(X[0])], [Fraction(0)]
    return _grid(np.asarray(found.W, dtype=float)), _grid(np.asarray([found.v], dtype=float))[0]


def _made(X: Any, y: Any, beta: Any, W: Any, v: Any) -> ReluCase | None:
    # the optimum wants data that vary, and is 0 without targets
    if len({tuple(row) for row in X}) < 2 or not any(y):
        return None
    try:
        return ReluCase.create(X, y, beta=beta, W=W, v=v)
    except LemmataError:
        return None
