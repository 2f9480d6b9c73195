"""Attacks on statements about the gradient flow of two-layer ReLU networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofs_checks.case import Case
from proofs_checks.cases import alignment_scale, orthogonally_separable
from proofs_checks.conjectures.attack_models import (
    LARGE_LEVEL,
    Cost,
    PlainAdaptor,
    Random,
    columns_without,
    length,
    lengths,
    simpler_rows,
    without,
)
from theory.errors import LemmataError
from theory.statement import Statement

Float = NDArray[np.float64]
LANES = 16  # networks on one data set, which are integrated together
EDGES = (0.99, 0.95, 0.7, 0.5, 0.25)  # √h ε close to 1
DECADES = (-20.0, -40.0, -60.0, -120.0, -200.0, -300.0, -700.0)
LIMITS = (0.249999, 0.2, 0.05, 0.01)  # ε √h X_max W_max², which statements want to be at most 1/4
BEYOND = (1.0, 4.0, 16.0)
LARGEST_WEIGHT = 1e100


class FlowAdaptor(PlainAdaptor[Case]):
    """Few points and few neurons, in special positions to one another, at scales from 1 to 1e-700."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(statement)
        self.balanced = "balanced start" in self.hypotheses
        self.aligning = "T ≥ t_c" in self.hypotheses
        self.limits = LIMITS if "small initialisation" in self.hypotheses else (*LIMITS, *BEYOND)
        self.reduction = statement.setting.reduction

    # -- drawing ------------------------------------------------------------------------------------------------
    def draw(self, rng: Random, level: int) -> Sequence[Case]:
        """One data set with many networks."""
        level = min(level, LARGE_LEVEL)
        loss = str(rng.choice(self.losses))
        if not self.aligning and rng.random() < 0.2:
            return [c for c in self._tight(rng, loss) if c is not None]
        X, y = self._data(rng, level)
        h = int(rng.choice([1, 2, 3, 4, 8, 16], p=[0.3, 0.25, 0.2, 0.05, 0.1, 0.1]))
        drawn = [self._network(rng, X, y, h, loss) for _ in range(LANES)]
        return [c for c in drawn if c is not None]

    def _data(self, rng: Random, level: int) -> tuple[Float, Float]:
        n, d = int(rng.integers(1, 4 + level // 2)), int(rng.integers(1, 3 + level // 4))
        kinds = ["separable", "fan", "gaussian", "integers"]
        kinds += ["separable", "fan"] * 2 if self.aligning else ["along", "along"]
        kind = rng.choice(kinds)
        y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
        if kind == "separable":
            spread = float(rng.choice([0.1, 0.6, 1.0]))
            X, y = orthogonally_separable(
                n=max(n, 2), d=max(d, 1), seed=int(rng.integers(2**31)), spread=spread
            )
        elif kind == "fan":
            n = max(n, 2)
            y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
            tilt = float(rng.choice([0.05, 0.3, 0.7])) * (np.arange(n) - (n - 1) / 2) * 2 / n
            X = y[:, None] * np.stack([np.ones(n), tilt], axis=1)
        elif kind == "along":
            X, y = np.tile(np.eye(d)[:1], (n, 1)), np.ones(n)
        elif kind == "integers":
            X = rng.integers(-2, 3, (n, d)).astype(float)
        else:
            X = rng.standard_normal((n, d))
            y = rng.choice([-1.0, 1.0], n)
        if not X.any():
            X[0, 0] = 1.0
        return X * float(rng.choice([1.0, 1.0, 0.8, 4.0, 0.25])), y

    def _directions(self, rng: Random, X: Float, y: Float, h: int) -> Float:
        """(h, d), the largest of length 1."""
        d = X.shape[1]
        points = X[np.linalg.norm(X, axis=1) > 0]
        chosen = points[rng.integers(len(points), size=h)]
        kind = rng.choice(["gaussian", "points", "crowd", "crowd", "opposite", "equal", "integers"])
        if kind == "points":
            W = chosen + float(rng.choice([0.0, 1e-2, 1e-4])) * rng.standard_normal((h, d))
        elif kind == "crowd":
            # all but the first along one point, the first almost orthogonal to it
            x = points[0] / np.linalg.norm(points[0])
            other = rng.standard_normal(d)
            other -= (other @ x) * x
            size = np.linalg.norm(other)
            other = other / size if size > 1e-9 else -x
            slope = float(rng.choice([0.02, 0.04, 0.1, 0.3]))
            W = np.tile(x + slope * other, (h, 1))
            W[0] = slope * x + other
        elif kind == "opposite":
            # inside the cone of the points of one class, by a small angle
            sign = float(rng.choice([-1.0, 1.0]))
            centre = X[y == sign].sum(axis=0) if (y == sign).any() else chosen[0]
            angle = 10.0 ** -rng.uniform(1.0, 5.0)
            W = centre + angle * np.linalg.norm(centre) * rng.standard_normal((h, d))
            W[1:] = chosen[1:]
        elif kind == "equal":
            W = np.tile(chosen[:1], (h, 1))
        elif kind == "integers":
            W = rng.integers(-2, 3, (h, d)).astype(float)
        else:
            W = rng.standard_normal((h, d))
        lengths_ = np.linalg.norm(W, axis=1)
        W[lengths_ == 0] = points[0]
        out: Float = W / np.linalg.norm(W, axis=1).max()
        return out

    def _tight(self, rng: Random, loss: str) -> list[Case | None]:
        """Networks on one point at the largest scale that statements allow: one neuron apart from many equal ones."""
        X, y = np.array([[1.0, 0.0]]), np.array([1.0])
        h = int(rng.choice([1, 2, 8, 16], p=[0.2, 0.1, 0.2, 0.5]))
        out = []
        for _ in range(LANES):
            log_eps = math.log(float(rng.choice(EDGES))) - 0.5 * math.log(h)
            slope = float(rng.choice([0.0, 0.02, 0.04, 0.1]))
            W0 = np.tile([1.0, slope], (h, 1))
            signs = np.full(h, -1.0)
            if rng.random() < 0.5:
                W0[0] = slope, 1.0
            else:
                signs[0] = 1.0
            limit = float(rng.choice(self.limits))
            size = math.sqrt(limit / math.exp(log_eps + 0.5 * math.log(h)))
            out.append(self._made(X, y, size * W0, {"signs": signs}, log_eps, loss))
        return out

    def _network(self, rng: Random, X: Float, y: Float, h: int, loss: str) -> Case | None:
        W0 = self._directions(rng, X, y, h)
        kind = rng.choice(["edge", "edge", "moderate", "small", "tiny"])
        if self.aligning and rng.random() < 0.8:
            kind = "tiny"
        root = 0.5 * math.log(h)
        if kind == "edge":
            log_eps = math.log(float(rng.choice(EDGES))) - root
        elif kind == "moderate":
            log_eps = -math.log(10.0) * float(rng.uniform(0.3, 6.0))
        elif kind == "small":
            log_eps = -math.log(10.0) * float(rng.uniform(6.0, 20.0))
        else:
            log_eps = math.log(10.0) * float(rng.choice(DECADES))
        size = float(rng.choice([1.0, 0.5, 2.0, 4.0]))
        if rng.random() < 0.6 and kind != "tiny":
            X_max = float(np.linalg.norm(X, axis=1).max())
            limit = float(rng.choice(self.limits))
            size = min(math.sqrt(limit / (math.exp(log_eps + root) * X_max)), LARGEST_WEIGHT)
        signs = rng.choice([-1.0, 1.0], h)
        pattern = rng.choice(["random", "random", "one", "minus", "first"])
        if pattern in ("one", "minus"):
            signs = np.full(h, 1.0 if pattern == "one" else -1.0)
        elif pattern == "first":
            signs = np.array([1.0] + (h - 1) * [-1.0])
        start: dict[str, Any] = {"signs": signs}
        if not self.balanced and rng.random() < 0.5:
            factor = float(rng.choice([0.125, 1.0, 8.0, 100.0]))
            start = {"v0": signs * factor * size * np.abs(rng.standard_normal(h))}
        case = self._made(X, y, size * W0, start, log_eps, loss)
        if case is not None and self.aligning and rng.random() < 0.5:
            try:
                return alignment_scale(case)
            except LemmataError:
                return case
        return case

    def _made(
        self, X: Any, y: Any, W0: Any, start: dict[str, Any], log_eps: float, loss: str
    ) -> Case | None:
        try:
            return Case.create(
                X,
                y,
                W0=W0,
                log10_eps=_round(log_eps / math.log(10.0)),
                loss=loss,
                reduction=self.reduction,
                **start,
            )
        except LemmataError:
            return None

    # -- moving -------------------------------------------------------------------------------------------------
    def mutate(self, case: Case, rng: Random, scale: float) -> Sequence[Case]:
        """Weights and scale moved on the same data, or the data moved under the same weights."""
        out = []
        kind = rng.choice(["weights", "moves", "data"])
        if kind == "data":
            X = _noise(case.X, rng, scale)
            for k in range(LANES // 2):
                W0 = case.W0 if k == 0 else _noise(case.W0, rng, scale)
                out.append(
                    self._made(X, case.y, W0, _start(case, case.v0), case.log_eps, case.loss)
                )
        for _ in range(0 if kind == "data" else LANES):
            W0, v0, log_eps = case.W0, case.v0, case.log_eps
            if kind == "weights":
                W0, v0 = _noise(W0, rng, scale), _noise(v0[None], rng, scale)[0]
                noise = min(abs(log_eps), 1.0 + 0.3 * abs(log_eps))
                log_eps += scale * noise * rng.standard_normal()
            else:
                for _ in range(int(rng.integers(1, 3))):
                    W0, v0, log_eps = self._move(case, rng, W0, v0, log_eps)
            out.append(self._made(case.X, case.y, W0, _start(case, v0), log_eps, case.loss))
        return [c for c in out if c is not None]

    def _move(
        self, case: Case, rng: Random, W0: Float, v0: Float, log_eps: float
    ) -> tuple[Float, Float, float]:
        """One move that is not small: a sign, a neuron, or the scale put where statements are tight."""
        W0, v0 = W0.copy(), v0.copy()
        j, other = rng.integers(case.h, size=2)
        kind = rng.choice(["flip", "copy", "same signs", "orthogonal", "edge", "limit"])
        if kind == "flip":
            v0[j] = -v0[j]
        elif kind == "copy":
            W0[j], v0[j] = W0[other], v0[other]
        elif kind == "same signs":
            v0 = np.abs(v0) * float(rng.choice([-1.0, 1.0]))
        elif kind == "orthogonal":
            x = case.X[rng.integers(case.n)]
            size = float(x @ x)
            if size > 0:
                part = (W0[j] @ x) / size * x
                W0[j] = W0[j] - (1.0 - float(rng.choice([0.0, 0.03, 0.1]))) * part
        elif kind == "edge":
            log_eps = math.log(float(rng.choice(EDGES))) - 0.5 * math.log(case.h)
        elif (top := float(np.linalg.norm(W0, axis=1).max())) > 0:
            longest = float(np.linalg.norm(case.X, axis=1).max())
            limit = math.log(float(rng.choice(self.limits))) - log_eps
            size = 0.5 * (limit - 0.5 * math.log(case.h) - math.log(longest))
            factor = math.exp(min(size, math.log(LARGEST_WEIGHT))) / top
            W0, v0 = factor * W0, factor * v0
        return W0, v0, log_eps

    # -- simplifying --------------------------------------------------------------------------------------------
    def simpler(self, case: Case) -> Iterator[Case]:
        """Fewer points, neurons and coordinates, simpler numbers, ε a power of ten."""
        X, y, W0 = case.X.tolist(), case.y.tolist(), case.W0.tolist()
        n, h, d = case.n, case.h, len(X[0])
        v0 = case.v0
        options: list[tuple[Any, Any, Any, Any, float]] = []
        if n > 1:
            options += [(X[k:], y[k:], W0, v0, case.log_eps) for k in range(n // 2, n)]
            options += [(without(X, k), without(y, k), W0, v0, case.log_eps) for k in range(n)]
        if h > 1:
            halves = [list(range(h // 2)), list(range(h // 2, h))]
            kept = halves + [without(range(h), k) for k in range(h)]
            for ks in kept:
                same = case.log_eps + 0.5 * math.log(h / len(ks))  # the same √h ε
                options += [(X, y, [W0[k] for k in ks], v0[ks], e) for e in (case.log_eps, same)]
        if d > 1:
            options += [
                (columns_without(X, k), y, columns_without(W0, k), v0, case.log_eps)
                for k in range(d)
            ]
        decimal = case.log_eps / math.log(10.0)
        larger = [e for e in (-1.0, -2.0, -3.0, -6.0, -12.0, -30.0, -100.0) if e > decimal]
        for other in (*larger, round(decimal), math.ceil(decimal), round(decimal, 1)):
            options.append((X, y, W0, v0, other * math.log(10.0)))
        options += [(rows, y, W0, v0, case.log_eps) for rows in simpler_rows(X)]
        options += [(X, y, rows, v0, case.log_eps) for rows in simpler_rows(W0)]
        if not case.balanced:
            options += [(X, y, W0, rows[0], case.log_eps) for rows in simpler_rows([v0.tolist()])]
        for points, labels, weights, outer, log_eps in options:
            made = self._made(
                _floats(points),
                labels,
                _floats(weights),
                _start(case, _floats([list(outer)])[0]),
                log_eps,
                case.loss,
            )
            if made is not None:
                yield made

    def shapes(self, case: Case) -> dict[str, list[int]]:
        """X, y, W0, v0."""
        return {k: list(getattr(case, k).shape) for k in ("X", "y", "W0", "v0")}

    def cost(self, case: Case) -> Cost:
        """Entries of all arrays; a very small ε counts too, as its trajectories are long."""
        decimal = _round(case.log_eps / math.log(10.0))
        outer = () if case.balanced else (case.v0,)
        numbers = lengths((case.X, case.W0, *outer)) + length(decimal)
        entries = case.X.size + case.n + case.W0.size + case.h
        return entries + int(abs(decimal) / 10), numbers


def _round(decimal: float) -> float:
    """A decimal logarithm without the noise of its last digits."""
    return float(f"{decimal:.12g}")


def _noise(a: Float, rng: Random, scale: float) -> Float:
    """Every row off by ``scale`` of its length."""
    size = np.linalg.norm(a, axis=1, keepdims=True)
    moved: Float = a + scale * size * rng.standard_normal(a.shape) / math.sqrt(a.shape[1])
    return moved


def _start(case: Case, v0: Any) -> dict[str, Any]:
    """The outer weights: their signs in a balanced case."""
    if case.balanced:
        return {"signs": np.where(np.asarray(v0, dtype=float) < 0, -1.0, 1.0)}
    return {"v0": np.asarray(v0, dtype=float)}


def _floats(rows: Any) -> list[list[float]]:
    return [[float(Fraction(x)) for x in row] for row in rows]
