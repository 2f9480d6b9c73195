"""Quantities along the way: suprema, values at given times, final values, with error bounds.

A quantity q is evaluated on the dense output. Its error is |grad q| r, with r the radius of the
state and the gradient also at the distance r, plus rounding. A supremum over a step is the largest
value in nine nodes; what lies between is bounded by the Bernstein coefficients of the interpolant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.generic_field import Fields, host
from numerics.generic_step import Attempt
from numerics.generic_tableau import BERNSTEIN, NODES, dense_weights
from numerics.generic_types import Measured

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Accepted:
    """Steps that were taken: R lanes.

    Args:
        lanes: (R,). t0, t1: (R,) times. y: (R, N) at t0. h: (R,) on the device.
        tried: the steps. radius: (R,) largest on the step.
    """

    lanes: Ints
    t0: Array
    t1: Array
    y: Tensor
    h: Tensor
    tried: Attempt
    radius: Array


class Watch:
    """Follows the quantities of B lanes."""

    def __init__(self, fields: Fields, start: Tensor, times: Array, *, states: bool) -> None:
        lanes, size = start.shape
        self.fields, self.times = fields, times
        self.names = tuple(fields.quantities)
        self.best = {name: np.full(lanes, -np.inf) for name in self.names}
        self.low = {name: np.full(lanes, -np.inf) for name in self.names}
        self.high = {name: np.full(lanes, -np.inf) for name in self.names}
        self.when = {name: np.zeros(lanes) for name in self.names}
        shape = (lanes, times.size)
        self.values = {name: np.full(shape, np.nan) for name in self.names}
        self.errors = {name: np.full(shape, np.nan) for name in self.names}
        self.path = np.full((*shape, size), np.nan) if states else None

    def at_start(self, y: Tensor, radius: Array) -> None:
        """The states at t = 0."""
        lanes = np.arange(y.shape[0])
        for name in self.names:
            value, error = self._measure(name, y, radius)
            self._raise_to(name, lanes, value, value - error, value + error, np.zeros(lanes.size))
        if self.times.size and self.times[0] == 0.0:
            self._write(lanes, np.zeros(lanes.size, dtype=np.int64), y, radius)

    def on_step(self, step: Accepted) -> None:
        """Look at steps that were accepted."""
        if self.names:
            self._suprema(step)
        if self.times.size:
            self._record(step)

    def recorded(self) -> dict[str, Measured]:
        """Values at the given times."""
        if not self.times.size:
            return {}
        return {name: Measured(self.values[name], self.errors[name]) for name in self.names}

    def suprema(self) -> dict[str, Measured]:
        """Maxima over [0, t]."""
        found = {}
        for name in self.names:
            best = self.best[name]
            error = np.maximum(self.high[name] - best, best - self.low[name])
            error = np.where(np.isnan(error), np.inf, error)
            found[name] = Measured(best, error, self.when[name])
        return found

    def final(self, y: Tensor, radius: Array) -> dict[str, Measured]:
        """Values at the final states."""
        return {name: Measured(*self._measure(name, y, radius)) for name in self.names}

    def _measure(self, name: str, theta: Tensor, radius: Array) -> tuple[Array, Array]:
        """Values and errors (R,) of a quantity at theta: (R, N) with errors radius: (R,)."""
        function = self.fields.quantities[name]
        slope, value = function(theta)
        far = torch.as_tensor(radius, dtype=theta.dtype, device=theta.device)[:, None]
        length = torch.linalg.vector_norm(slope, dim=1, keepdim=True)
        flat = torch.full_like(slope, theta.shape[1] ** -0.5)
        way = torch.where(length > 0, slope / length, flat)
        beyond, _ = function(theta + torch.where(torch.isfinite(far), far, 0.0) * way)
        size = torch.linalg.vector_norm(theta, dim=1)
        unit = torch.finfo(theta.dtype).eps
        rounding = 8.0 * unit * (value.abs() + length[:, 0] * size)
        steep = length[:, 0] + torch.linalg.vector_norm(beyond - slope, dim=1)
        found = [host(a) for a in (value, steep, rounding)]
        with np.errstate(all="ignore"):
            error = found[1] * radius + found[2]
        return found[0], np.where(np.isnan(error) | ~np.isfinite(radius), np.inf, error)

    def _raise_to(
        self, name: str, lanes: Ints, value: Array, low: Array, high: Array, time: Array
    ) -> None:
        higher = value > self.best[name][lanes]
        self.when[name][lanes[higher]] = time[higher]
        for store, new in ((self.best, value), (self.low, low), (self.high, high)):
            store[name][lanes] = np.maximum(store[name][lanes], new)

    def _suprema(self, step: Accepted) -> None:
        m, rows, size = step.tried.nodes.shape
        for name in self.names:
            values, errors = (
                a.reshape(m, rows)
                for a in self._measure(
                    name, step.tried.nodes.reshape(m * rows, size), np.tile(step.radius, m)
                )
            )
            place = values.argmax(axis=0)
            top = values.max(axis=0)
            between = np.maximum((BERNSTEIN @ values).max(axis=0) - top, 0.0)
            time = step.t0 + NODES[place] * (step.t1 - step.t0)
            low, high = (values - errors).max(axis=0), (values + errors).max(axis=0) + between
            self._raise_to(name, step.lanes, top, low, high, time)

    def _record(self, step: Accepted) -> None:
        first = np.searchsorted(self.times, step.t0, side="right")
        last = np.searchsorted(self.times, step.t1, side="right")
        counts = last - first
        if not counts.any():
            return
        row = np.repeat(np.arange(counts.size), counts)
        index = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        place = (self.times[index] - step.t0[row]) / (step.t1 - step.t0)[row]
        y, tried = step.y, step.tried
        weights = torch.as_tensor(dense_weights(place), dtype=y.dtype, device=y.device)
        chosen = torch.as_tensor(row, device=y.device)
        moved = torch.einsum("qk,kqn->qn", weights, tried.slopes[:, chosen])
        states = y[chosen] + step.h[chosen][:, None] * moved
        self._write(step.lanes[row], index, states, step.radius[row])

    def _write(self, lanes: Ints, index: Ints, states: Tensor, radius: Array) -> None:
        if self.path is not None:
            self.path[lanes, index] = host(states)
        for name in self.names:
            value, error = self._measure(name, states, radius)
            self.values[name][lanes, index] = value
            self.errors[name][lanes, index] = error
