"""Weights of two-layer networks as exact rationals, read from lists or arrays and refused where malformed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

from theory.errors import LemmataError


@dataclass(frozen=True)
class Weights:
    """f(x) = Σ_k v_k relu(⟨w_k, x⟩ + b_k).

    Attributes:
        W: (h, d). V: (h, m). b: (h,) or None.
    """

    W: tuple[tuple[Fraction, ...], ...]
    V: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...] | None

    @property
    def h(self) -> int:
        """Number of neurons."""
        return len(self.W)

    @property
    def d(self) -> int:
        """Number of inputs."""
        return len(self.W[0])

    @property
    def m(self) -> int:
        """Number of outputs."""
        return len(self.V[0])

    @property
    def inner(self) -> tuple[tuple[Fraction, ...], ...]:
        """(h, p): w_k, followed by b_k where there is a bias."""
        if self.b is None:
            return self.W
        return tuple((*w, b) for w, b in zip(self.W, self.b, strict=True))


def read_weights(W: Any, V: Any, b: Any = None) -> Weights:
    """Exact weights; floats are taken as the binary64 numbers that they are.

    Args:
        W: (h, d). V: (h,) or (h, m). b: (h,) or None. Sequences, or arrays with ``tolist``.

    Raises:
        LemmataError: empty, ragged, mis-shaped, non-numeric or non-finite weights.
    """
    inner = _matrix("W", W)
    rows = items("V", V)
    flat = all(not _nested(row) for row in rows)
    outer = tuple((_number("V", (k,), x),) for k, x in enumerate(rows)) if flat else _matrix("V", V)
    biases = (
        None if b is None else tuple(_number("b", (k,), x) for k, x in enumerate(items("b", b)))
    )
    for name, size in (("V", len(outer)), ("b", len(inner) if biases is None else len(biases))):
        if size != len(inner):
            raise LemmataError(
                f"{name} has {size} rows and W has {len(inner)}; give one per hidden neuron"
            )
    return Weights(inner, outer, biases)


def _matrix(name: str, value: Any) -> tuple[tuple[Fraction, ...], ...]:
    rows = [items(f"{name}[{k}]", row) for k, row in enumerate(items(name, value))]
    if len({len(row) for row in rows}) != 1:
        raise LemmataError(f"the rows of {name} differ in length; give a rectangular array")
    return tuple(
        tuple(_number(name, (k, i), x) for i, x in enumerate(row)) for k, row in enumerate(rows)
    )


def _nested(value: Any) -> bool:
    is_array = hasattr(value, "tolist") and bool(getattr(value, "shape", ()))
    return is_array or isinstance(value, Sequence)


def items(name: str, value: Any) -> list[Any]:
    """The entries of a nonempty sequence or array along its first axis."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, (str, bytes)) or not isinstance(plain, Sequence):
        raise LemmataError(
            f"{name} is of type {type(value).__name__} where a list is expected; "
            "give W as (h, d), V as (h,) or (h, m), b as (h,)"
        )
    if len(plain) == 0:
        raise LemmataError(f"{name} is empty; give at least one entry along every axis")
    return list(plain)


def _number(name: str, index: tuple[int, ...], value: Any) -> Fraction:
    where = f"{name}[{', '.join(map(str, index))}]"
    x = value.item() if hasattr(value, "item") else value
    if isinstance(x, Rational) and not isinstance(x, bool):
        return Fraction(int(x.numerator), int(x.denominator))
    if isinstance(x, float):
        if not math.isfinite(x):
            raise LemmataError(f"{where} is {x}; remove or repair it")
        return Fraction(x)
    raise LemmataError(f"{where} is {x!r}; give ints, Fractions or floats")
