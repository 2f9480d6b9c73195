"""The values of an axis in tables and figures: as they are, or in intervals where there are many."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from proofs_checks.campaigns.spec import Value
from theory.errors import LemmataError

MOST = 24  # values of an axis that are shown one by one
BINS = 10


@dataclass(frozen=True)
class Levels:
    """The rows of a table, or the ticks of a figure, along one axis.

    Attributes:
        axis: its name. values: one per level, or empty where the levels are intervals. edges: of the intervals.
        log: the axis is logarithmic.
    """

    axis: str
    values: tuple[Value, ...]
    edges: tuple[float, ...] = ()
    log: bool = False

    @property
    def count(self) -> int:
        """How many levels there are."""
        return len(self.values) or len(self.edges) - 1

    @property
    def numeric(self) -> bool:
        """Whether the axis has numbers."""
        return bool(self.edges) or all(type(v) in (int, float) for v in self.values)

    @cached_property
    def labels(self) -> list[str]:
        """A short text for each level."""
        if self.values:
            return [_text(v) for v in self.values]
        return [f"{low:.3g} … {high:.3g}" for low, high in pairwise(self.edges)]

    @cached_property
    def centres(self) -> list[float]:
        """Where each level lies on the axis: its value, the middle of its interval, or its number."""
        if not self.numeric:
            return [float(k) for k in range(self.count)]
        if self.values:
            return [float(v) for v in self.values]
        return [math.sqrt(a * b) if self.log else 0.5 * (a + b) for a, b in pairwise(self.edges)]

    @cached_property
    def _places(self) -> dict[Value, int]:
        return {v: k for k, v in enumerate(self.values)}

    def index(self, value: Any) -> int:
        """The level of a value; -1 for what the axis does not have."""
        if self.values:
            return self._places.get(value, -1)
        if not self.edges[0] <= value <= self.edges[-1]:
            return -1
        return min(bisect.bisect_right(self.edges, value), self.count) - 1


def levels(axis: str, given: Any, *, whole: bool = False) -> Levels:
    """The levels of an axis from ``campaign.json``: a list of values, or the range of a random axis.

    Args:
        whole: the axis has whole numbers, which are shown one by one while they are few.

    Raises:
        LemmataError: the data are no axis.
    """
    try:
        if isinstance(given, Mapping):
            low, high, log = float(given["low"]), float(given["high"]), given["scale"] == "log"
            if whole and high - low < MOST:
                return Levels(axis, tuple(range(int(low), int(high) + 1)), log=log)
            return Levels(axis, (), _edges(low, high, log), log)
        numbers = all(type(v) in (int, float) for v in given)
        ordered = sorted(given) if numbers else list(given)
        log = numbers and len(ordered) > 2 and ordered[0] > 0 and _geometric(ordered)
        if numbers and len(ordered) > MOST:
            return Levels(axis, (), _edges(float(ordered[0]), float(ordered[-1]), log), log)
        return Levels(axis, tuple(ordered), log=log)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise LemmataError(
            f"campaign.json: the axis {axis} is malformed; restore the file"
        ) from error


def _edges(low: float, high: float, log: bool) -> tuple[float, ...]:
    shares = [k / BINS for k in range(1, BINS)]
    if log:
        inner = [math.exp((1 - t) * math.log(low) + t * math.log(high)) for t in shares]
    else:
        inner = [(1 - t) * low + t * high for t in shares]
    return (low, *inner, high)


def _geometric(values: list[Any]) -> bool:
    """Whether values spread more evenly on a logarithmic axis than on a linear one."""
    steps = [b - a for a, b in pairwise(values)]
    return bool(values[-1] >= 10 * values[0] and steps[-1] >= 3 * steps[0])


def _text(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
