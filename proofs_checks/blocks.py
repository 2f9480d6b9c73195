"""Blocks of steps: rows sorted by lane and then by time, in which a lane may have several consecutive steps."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numerics

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]


def part_of(view: numerics.StepView, rows: slice) -> numerics.StepView:
    """Some consecutive rows of a view, which are a block again; nothing is copied."""

    def pick(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value[rows]
        if isinstance(value, numerics.FlowProblem) or not is_dataclass(value):
            return value
        build: Any = type(value)
        return build(**{f.name: pick(getattr(value, f.name)) for f in fields(value)})

    out: numerics.StepView = pick(view)
    return out


def firsts(lanes: Indices) -> Bools:
    """(R,) whether a row is the first of its lane."""
    out = np.ones(lanes.size, dtype=bool)
    out[1:] = lanes[1:] != lanes[:-1]
    return out


def lasts(lanes: Indices) -> Bools:
    """(R,) whether a row is the last of its lane."""
    out = np.ones(lanes.size, dtype=bool)
    out[:-1] = lanes[1:] != lanes[:-1]
    return out


def previous(lanes: Indices, values: NDArray[Any], before: NDArray[Any]) -> NDArray[Any]:
    """(R,) the value in the row before; in the first row of a lane that of ``before``, (B,)."""
    out = np.empty_like(values)
    out[1:] = values[:-1]
    first = firsts(lanes)
    out[first] = before[lanes[first]]
    return out


def highest_before(lanes: Indices, values: Float, before: Float) -> Float:
    """(R,) the largest value in earlier rows of the lane, and of ``before``, (B,); NaN counts as -inf."""
    if not lanes.size:
        return np.empty(0)
    first = firsts(lanes)
    lane = np.cumsum(first) - 1
    place = np.arange(lanes.size) - np.flatnonzero(first)[lane]
    table = np.full((lane[-1] + 1, place.max() + 2), -np.inf)
    table[:, 0] = before[lanes[first]]
    table[lane, place + 1] = np.where(np.isnan(values), -np.inf, values)
    return np.maximum.accumulate(table, axis=1)[lane, place]


def reduce_lanes(reduce: np.ufunc, lanes: Indices, values: NDArray[Any]) -> NDArray[Any]:
    """One value per lane that occurs, in the order of ``lanes[firsts(lanes)]``."""
    out: NDArray[Any] = reduce.reduceat(values, np.flatnonzero(firsts(lanes)))
    return out
