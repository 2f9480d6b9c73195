"""Numbers that an oracle measures: traced inside a conjecture, floats with a bound on their error elsewhere."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from theory.array_functions import oracle
from theory.errors import LemmataError
from theory.tracing import Array, array

Value = TypeVar("Value")


class Measured(float):
    """A float with a bound on its error.

    Attributes:
        error: |true value - self| <= error.
    """

    error: float

    def __new__(cls, value: float, error: float = 0.0) -> Measured:
        out = super().__new__(cls, value)
        out.error = float(error)
        return out


class Recent(Generic[Value]):
    """The values asked for last, by content: searches and shrinking ask for the same ones again and again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        """What was put there, unless it was long ago."""
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        """Remember a value, and return it."""
        self._known[key] = value
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return value


def ask(kind: str, args: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """The oracle's answer: an `Array` of the traced program where an argument is traced, else a `Measured` number.

    Args:
        args: traced arrays, or arrays of numbers, which are rounded to float64.

    Raises:
        LemmataError: numbers for which the oracle finds no value with a bound.
    """
    if any(map(is_traced, args)):
        return oracle(kind, [array(a) for a in args], parameters)
    from proofs_checks.conjectures.oracles import ORACLES

    plain = [np.asarray(a, dtype=np.float64)[None] for a in args]
    found = ORACLES[kind]
    mid, rad = found.floats(parameters, [(a, np.zeros_like(a)) for a in plain])
    value, error = float(mid[0]), float(rad[0])
    if not (math.isfinite(value) and math.isfinite(error)):
        raise LemmataError(
            f"undecided: {found.reason(parameters, plain)}; discard such cases with hypothesis.assume, or check with "
            "lemmata.assert_holds, which counts them as undecided"
        )
    return Measured(value, error)


def is_traced(value: Any) -> bool:
    """Whether a number or array, or a part of nested lists, is traced."""
    if isinstance(value, list | tuple):
        return any(map(is_traced, value))
    return isinstance(value, Array)
