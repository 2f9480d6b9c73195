"""Cases of the topic convex-relu: a two-layer ReLU network on data, to be compared with the global optimum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from proofs_checks.case import digest
from proofs_checks.exact_data import (
    Matrix,
    Row,
    exact_matrix,
    exact_number,
    exact_text,
    exact_texts,
    exact_vector,
    read_exact,
)
from theory.errors import LemmataError

Float = NDArray[np.float64]
FORMAT = "lemmata-relu-case/1"
RELU_CASES = 16
GRID = 2.0**-12  # default cases have entries on this grid, so that exact numbers stay short


@dataclass(frozen=True)
class ReluCase:
    """A network, its data and the weight decay β; everything exact.

    Attributes:
        X: (n, d) points. y: (n,) targets. beta: > 0.
        W: (m, d) inner weights, one neuron per row. v: (m,) outer weights.
        name: where the case comes from; seed: what drew it. Neither influences the result.
    """

    X: Matrix
    y: Row
    beta: Fraction
    W: Matrix
    v: Row
    name: str = ""
    seed: int = 0

    model: ClassVar[str] = "convex-relu"
    loss: ClassVar[str] = "squared"
    reduction: ClassVar[str] = "half-sum"

    @classmethod
    def create(
        cls,
        X: Iterable[Iterable[Any]],
        y: Iterable[Any],
        *,
        beta: Any,
        W: Iterable[Iterable[Any]],
        v: Iterable[Any],
        name: str = "",
        seed: int = 0,
    ) -> ReluCase:
        """Check and freeze; numbers of any kind are taken exactly.

        Raises:
            LemmataError: NaN, inf, empty, ragged or mis-shaped data, only zero points, or β ≤ 0.
        """
        points, targets = exact_matrix(X, "X"), exact_vector(y, "y")
        inner, outer = exact_matrix(W, "W"), exact_vector(v, "v")
        decay = exact_number(beta, "beta")
        if len(targets) != len(points):
            raise LemmataError(
                f"{len(points)} points and {len(targets)} targets: give one target per point"
            )
        if len(inner[0]) != len(points[0]) or len(outer) != len(inner):
            raise LemmataError(
                f"W is {len(inner)}×{len(inner[0])} and v has {len(outer)} entries: give one row of W per neuron, as "
                f"long as a point ({len(points[0])}), and one outer weight each"
            )
        if not any(any(row) for row in points):
            raise LemmataError("all points are zero: give data")
        if decay <= 0:
            raise LemmataError(f"beta = {decay}: give a positive number")
        return cls(points, targets, decay, inner, outer, name, seed)

    # -- exact numbers --------------------------------------------------------------------------------------------
    @cached_property
    def outputs(self) -> Row:
        """f_i = Σ_j v_j σ(⟨w_j, x_i⟩)."""
        zero = Fraction(0)
        return tuple(
            sum(
                (
                    v * max(sum((a * b for a, b in zip(w, x, strict=True)), zero), zero)
                    for w, v in zip(self.W, self.v, strict=True)
                ),
                zero,
            )
            for x in self.X
        )

    @cached_property
    def residual(self) -> Row:
        """ν = y - f."""
        return tuple(a - b for a, b in zip(self.y, self.outputs, strict=True))

    @cached_property
    def objective(self) -> Fraction:
        """F = ½ ‖ν‖² + (β/2) Σ_j (‖w_j‖² + v_j²)."""
        squares = sum((a * a for row in self.W for a in row), Fraction(0))
        squares += sum((a * a for a in self.v), Fraction(0))
        return sum((a * a for a in self.residual), Fraction(0)) / 2 + self.beta * squares / 2

    # -- plain data -----------------------------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """Plain data; numbers as exact text."""
        return {
            "format": FORMAT,
            "model": self.model,
            "X": exact_texts(self.X),
            "y": exact_texts([self.y])[0],
            "beta": exact_text(self.beta),
            "W": exact_texts(self.W),
            "v": exact_texts([self.v])[0],
            "name": self.name,
            "seed": self.seed,
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    @classmethod
    def from_json(cls, data: Any) -> ReluCase:
        """The inverse of `to_json`.

        Raises:
            LemmataError: the data are no case; the message names the field.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise LemmataError(f"not a ReLU case: expected an object with format {FORMAT!r}")
        try:
            return cls.create(
                [[read_exact(a, "X") for a in row] for row in data["X"]],
                [read_exact(a, "y") for a in data["y"]],
                beta=read_exact(data["beta"], "beta"),
                W=[[read_exact(a, "W") for a in row] for row in data["W"]],
                v=[read_exact(a, "v") for a in data["v"]],
                name=str(data.get("name", "")),
                seed=int(data.get("seed", 0)),
            )
        except LemmataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise LemmataError(
                f"malformed ReLU case: {type(error).__name__}: {error}; write it with ReluCase.to_json"
            ) from error

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group are measured together."""
        return (self.model, len(self.X), len(self.X[0]))


# -- default set ------------------------------------------------------------------------------------------------------
SHAPES = ((5, 2), (7, 2), (6, 3), (9, 2))
KINDS = ("less decay", "more decay", "perturbed", "random")


def relu(*, count: int = RELU_CASES, seed: int = 0) -> list[ReluCase]:
    """``count`` networks on small random data, the shapes in turn, four kinds of network on each data set.

    The optimum for 0.9 β (no neuron helps, so the certificate speaks), the optimum for 1.2 β (some neuron helps), the
    optimum for β with weights that are 2 % off, and random networks.
    """
    if count < 1:
        raise LemmataError(f"count = {count}: at least one case is needed")
    out = []
    for index in range(count):
        n, d = SHAPES[(index // len(KINDS)) % len(SHAPES)]
        kind, draw = KINDS[index % len(KINDS)], index // len(KINDS)
        rng = np.random.default_rng([seed, 12, draw])
        X, y = _grid(rng.standard_normal((n, d))), _grid(rng.standard_normal(n))
        # well below the largest useful decay, M(y), for data of this size
        beta = float(_grid(np.array(0.15 * np.linalg.norm(X.T @ np.abs(y)))))
        if kind == "random":
            W = _grid(rng.standard_normal((3, d)) * 0.5)
            v = _grid(rng.standard_normal(3) * 0.5)
        else:
            part = {"less decay": 0.9, "more decay": 1.2, "perturbed": 1.0}[kind]
            W, v = _optimum(X, y, part * beta)
            if kind == "perturbed":
                W = W + 0.02 * rng.standard_normal(W.shape) * np.abs(W).max()
                v = v + 0.02 * rng.standard_normal(v.shape) * np.abs(v).max()
        out.append(
            ReluCase.create(X, y, beta=beta, W=W, v=v, name=f"{kind} n={n} d={d}", seed=seed)
        )
    return out


def _grid(a: Float) -> Float:
    return np.round(a / GRID) * GRID


def _optimum(X: Float, y: Float, beta: float) -> tuple[Float, Float]:
    """The weights of an optimal network, or one neuron of size zero where that is the optimum."""
    from proofs_checks.relu_training import convex_relu

    found = convex_relu(X, y, beta=beta, certify=False)
    W, v = np.asarray(found.W, dtype=float), np.asarray(found.v, dtype=float)
    return (W, v) if len(v) else (np.zeros((1, X.shape[1])), np.zeros(1))
