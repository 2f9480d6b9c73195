"""Attacks on statements about linear networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from proofs_checks.conjectures.attack_models import (
    LARGE_LEVEL,
    Cost,
    PlainAdaptor,
    Random,
    columns_without,
    lengths,
    moved,
    simpler_rows,
    without,
)
from proofs_checks.linear_case import LinearCase
from proofs_checks.linear_cases import timed
from theory.errors import LemmataError

FEW = 4
STEPS = 2  # of gradient descent; a wrong law shows at the first one that moves


class LinearAdaptor(PlainAdaptor[LinearCase]):
    """Small layers of every shape: integers, Gaussian numbers, and degenerate ones."""

    def draw(self, rng: Random, level: int) -> Sequence[LinearCase]:
        """Networks of one shape, which are followed one by one."""
        top = 2 + min(level, LARGE_LEVEL) // 2
        n, h, m = (int(x) for x in rng.integers(1, top + 1, 3))
        return [c for _ in range(FEW) if (c := self._one(rng, n, h, m)) is not None]

    def _one(self, rng: Random, n: int, h: int, m: int) -> LinearCase | None:
        def drawn(rows: int, columns: int) -> np.ndarray:
            if kind == "integers":
                return rng.integers(-2, 3, (rows, columns)).astype(float)
            return np.round(rng.standard_normal((rows, columns)) * 256) / 256

        kind = rng.choice(["integers", "integers", "gaussian"])
        A = np.eye(n) if rng.random() < 0.5 else drawn(n + 1, n)
        B, W1, W2 = drawn(len(A), m), drawn(n, h), drawn(h, m)
        scale = float(rng.choice([1.0, 1.0, 2.0**-10, 2.0**6]))
        apart = float(rng.choice([1.0, 1.0, 8.0]))
        try:
            found = timed(A, B, scale * apart * W1, scale / apart * W2, name="", seed=0)
            if kind == "integers":
                found = found.replace(eta=2.0 ** np.floor(np.log2(found.eta)))
            return found.replace(steps=STEPS)
        except (LemmataError, ZeroDivisionError):
            return None

    def mutate(self, case: LinearCase, rng: Random, scale: float) -> Sequence[LinearCase]:
        """Data, weights and times moved."""
        out = []
        for _ in range(FEW):
            arrays = {k: moved(getattr(case, k), rng, scale) for k in ("A", "B", "W1", "W2")}
            times = {
                k: float(getattr(case, k) * np.exp(scale * rng.standard_normal()))
                for k in ("eta", "horizon")
            }
            out.append(_made(case, **arrays, **times))
        return [c for c in out if c is not None]

    def simpler(self, case: LinearCase) -> Iterator[LinearCase]:
        """Fewer inputs, units and outputs, simpler numbers, one step."""
        A, B, W1, W2 = (getattr(case, k).tolist() for k in ("A", "B", "W1", "W2"))
        n, h, m = case.shape
        options: list[dict[str, Any]] = [{"steps": 1}] if case.steps > 1 else []
        if len(A) > 1:
            options += [{"A": without(A, k), "B": without(B, k)} for k in range(len(A))]
        if n > 1:
            options += [{"A": columns_without(A, k), "W1": without(W1, k)} for k in range(n)]
        if h > 1:
            options += [{"W1": columns_without(W1, k), "W2": without(W2, k)} for k in range(h)]
        if m > 1:
            options += [
                {"B": columns_without(B, k), "W2": columns_without(W2, k)} for k in range(m)
            ]
        for name, rows in (("A", A), ("B", B), ("W1", W1), ("W2", W2)):
            options += [{name: other} for other in simpler_rows(rows)]
        for name in ("eta", "horizon"):
            value = getattr(case, name)
            options += [{name: float(x)} for x in _powers(value)]
        for changes in options:
            made = _made(case, **changes)
            if made is not None:
                yield made

    def shapes(self, case: LinearCase) -> dict[str, list[int]]:
        """A, B, W1, W2."""
        return {k: list(getattr(case, k).shape) for k in ("A", "B", "W1", "W2")}

    def cost(self, case: LinearCase) -> Cost:
        """Entries of all arrays, and steps."""
        arrays = (case.A, case.B, case.W1, case.W2)
        numbers = lengths((*arrays, [case.eta, case.horizon]))
        return sum(a.size for a in arrays) + case.steps, numbers


def _powers(value: float) -> list[float]:
    """Simple times near one."""
    decade = 10.0 ** np.floor(np.log10(value))
    half = 2.0 ** np.floor(np.log2(value))
    return [1.0, float(f"{half:.12g}"), float(f"{decade:.1g}"), float(f"{value:.1g}")]


def _made(case: LinearCase, **changes: Any) -> LinearCase | None:
    arrays = {
        k: np.array([[float(x) for x in row] for row in v])
        for k, v in changes.items()
        if k in ("A", "B", "W1", "W2")
    }
    try:
        return case.replace(**(changes | arrays | {"name": "", "seed": 0}))
    except LemmataError:
        return None
