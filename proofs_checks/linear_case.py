"""Cases of two-layer linear networks: W = W1 W2 trained on least squares, by gradient flow or gradient descent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proofs_checks.case import digest, finite_array
from theory.errors import LemmataError

Float = NDArray[np.float64]
FORMAT = "lemmata-linear-case/1"
MOST_STEPS = 1000
SMALLEST, LARGEST = 1e-100, 1e100  # sizes of non-zero entries; their products fit into float64


@dataclass(frozen=True, eq=False)
class LinearCase:
    """One two-layer linear network W = W1 W2 with the loss f(W) = ½ ‖A W - B‖².

    The gradient is ∇f(W) = M W - N with M = AᵀA and N = AᵀB, computed exactly and rounded to binary64 once; the case is
    the loss with these rounded M and N, which is a loss of the same kind.

    Attributes:
        A: (s, n) inputs, one per row. B: (s, m) targets.
        W1: (n, h), W2: (h, m) the start.
        eta: step size of gradient descent. steps: number of its steps. horizon: length of the gradient flow.
        name: where the data come from; seed: what drew the start. Neither influences the result.
    """

    A: Float
    B: Float
    W1: Float
    W2: Float
    eta: float
    steps: int
    horizon: float
    name: str = ""
    seed: int = 0

    model: ClassVar[str] = "linear"
    loss: ClassVar[str] = "least-squares"
    reduction: ClassVar[str] = "sum"

    @classmethod
    def create(
        cls,
        A: ArrayLike,
        B: ArrayLike,
        *,
        W1: ArrayLike,
        W2: ArrayLike,
        eta: float,
        steps: int = 10,
        horizon: float = 1.0,
        name: str = "",
        seed: int = 0,
    ) -> LinearCase:
        """Check and freeze the arrays of a case.

        Raises:
            LemmataError: NaN, inf, empty or mis-shaped arrays, entries beyond 1e±100, both layers or all inputs zero,
                a step size or horizon that is not positive, a number of steps outside 1…1000.
        """
        arrays = {k: _array(k, a) for k, a in (("A", A), ("B", B), ("W1", W1), ("W2", W2))}
        a, b, w1, w2 = arrays.values()
        for left, axis, right, other, words in (
            ("A", 0, "B", 0, "one target per input"),
            ("A", 1, "W1", 0, "one row of W1 per input coordinate"),
            ("W1", 1, "W2", 0, "one row of W2 per column of W1"),
            ("B", 1, "W2", 1, "one column of W2 per target coordinate"),
        ):
            if arrays[left].shape[axis] != arrays[right].shape[other]:
                raise LemmataError(
                    f"{left} has shape {arrays[left].shape} and {right} {arrays[right].shape}; give {words}"
                )
        if not w1.any() and not w2.any():
            raise LemmataError("both layers are zero: nothing would move; give a start")
        if not a.any():
            raise LemmataError("all inputs are zero: nothing would move; give data")
        for label, value in (("eta", eta), ("horizon", horizon)):
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise LemmataError(f"{label} = {value!r}: give a positive number")
        whole = isinstance(steps, int) and not isinstance(steps, bool)
        if not (whole and 1 <= steps <= MOST_STEPS):
            raise LemmataError(f"steps = {steps!r}: give a whole number from 1 to {MOST_STEPS}")
        return cls(a, b, w1, w2, float(eta), steps, float(horizon), name, seed)

    # -- numbers ------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, h, m)."""
        return int(self.W1.shape[0]), int(self.W1.shape[1]), int(self.W2.shape[1])

    @cached_property
    def quadratic(self) -> tuple[Float, Float]:
        """M = AᵀA (n, n), symmetric, and N = AᵀB (n, m), each entry correctly rounded."""
        return _product(self.A, self.A), _product(self.A, self.B)

    def replace(self, **changes: Any) -> LinearCase:
        """A case with other arrays or numbers, checked again."""
        base = {f.name: getattr(self, f.name) for f in fields(self)}
        base |= changes
        a, b = base.pop("A"), base.pop("B")
        return LinearCase.create(a, b, **base)

    # -- plain data ---------------------------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """Plain data; floats are hexadecimal, so that nothing is rounded."""
        arrays = {k: _hex(getattr(self, k)) for k in ("A", "B", "W1", "W2")}
        return {
            "format": FORMAT,
            "model": self.model,
            **arrays,
            "eta": self.eta.hex(),
            "steps": self.steps,
            "horizon": self.horizon.hex(),
            "name": self.name,
            "seed": self.seed,
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    @classmethod
    def from_json(cls, data: Any) -> LinearCase:
        """The inverse of `to_json`.

        Raises:
            LemmataError: the data are no case; the message names the field.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise LemmataError(f"not a linear case: expected an object with format {FORMAT!r}")
        try:
            arrays = {k: _unhex(data[k]) for k in ("A", "B", "W1", "W2")}
            return cls.create(
                arrays["A"],
                arrays["B"],
                W1=arrays["W1"],
                W2=arrays["W2"],
                eta=float.fromhex(data["eta"]),
                steps=data["steps"],
                horizon=float.fromhex(data["horizon"]),
                name=str(data.get("name", "")),
                seed=int(data.get("seed", 0)),
            )
        except LemmataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise LemmataError(
                f"malformed linear case: {type(error).__name__}: {error}; write it with LinearCase.to_json"
            ) from error

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group are measured together."""
        return (self.model, *self.shape)


def _array(name: str, value: ArrayLike) -> Float:
    a = finite_array(name, value, 2)
    size = np.abs(a)
    bad = (size > 0) & ~((size > SMALLEST) & (size < LARGEST))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise LemmataError(
            f"{name}{list(where)} is {a[where]:.3g}, beyond {SMALLEST:g} or {LARGEST:g}; rescale it, or set it to zero"
        )
    a.setflags(write=False)
    return a


def _product(a: Float, b: Float) -> Float:
    """aᵀb, every entry exact up to one rounding."""
    exact_a, exact_b = ([[Fraction(x) for x in row] for row in c.T.tolist()] for c in (a, b))
    out = np.array(
        [[float(sum(x * y for x, y in zip(p, q, strict=True))) for q in exact_b] for p in exact_a]
    )
    out.setflags(write=False)
    return out


def _hex(a: Float) -> list[list[str]]:
    return [[x.hex() for x in row] for row in a.tolist()]


def _unhex(rows: Sequence[Sequence[str]]) -> list[list[float]]:
    return [[float.fromhex(x) for x in row] for row in rows]
