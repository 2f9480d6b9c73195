"""Cases that are integrated together, and what is known of each at an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numerics
from numerics.evaluate import NDIM, Environment, Key, lane_scalar
from numerics.extended import ScaledArray, constant
from numerics.observables import environment
from proofs_checks.case import Case
from theory.errors import LemmataError

Float = NDArray[np.float64]
Indices = NDArray[np.intp]
Numbers = dict[str, ScaledArray]
COARSE = 6  # equidistant instants at which every step is looked at first
SHARED = 4  # a sample of more than this part of the rows is taken of all of them, for others to use


@dataclass(frozen=True)
class Batch:
    """Cases with the same data, loss, reduction and width; B lanes."""

    cases: tuple[Case, ...]

    def __post_init__(self) -> None:
        if len({c.group() for c in self.cases}) != 1:
            raise LemmataError("a batch needs cases with the same data, loss, reduction and width")

    @property
    def size(self) -> int:
        """B, the number of lanes."""
        return len(self.cases)

    @property
    def X(self) -> Float:
        """(n, d) points."""
        return self.cases[0].X

    @property
    def y(self) -> Float:
        """(n,) labels."""
        return self.cases[0].y

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.cases[0].loss

    @cached_property
    def W0(self) -> Float:
        """(B, h, d) initial directions."""
        return np.stack([c.W0 for c in self.cases])

    @cached_property
    def signs(self) -> Float:
        """(B, h) signs of v."""
        return np.sign(np.stack([c.v0 for c in self.cases]))

    @cached_property
    def eps(self) -> tuple[Float, NDArray[np.int64]]:
        """Mantissas (correctly rounded) and exponents of ε, each (B,)."""
        pairs = [c.eps for c in self.cases]
        return np.array([m for m, _ in pairs]), np.array([e for _, e in pairs], dtype=np.int64)

    def problem(self) -> numerics.FlowProblem:
        """The gradient flow of all lanes."""
        return numerics.FlowProblem(
            X=self.X,
            y=self.y,
            loss=self.loss,
            weight=self.cases[0].weight,
            W0=self.W0,
            v0=np.stack([c.v0 for c in self.cases]),
            log_eps=np.array([c.log_eps for c in self.cases]),
        )

    def basic_numbers(self) -> Numbers:
        """The numbers that every statement about a two-layer network may use."""
        mantissa, exponent = self.eps
        return {
            "n": constant(float(self.X.shape[0]), NDIM),
            "d": constant(float(self.X.shape[1]), NDIM),
            "h": constant(float(self.W0.shape[1]), NDIM),
            "eps": lane_scalar(mantissa, 2.0**-53 * mantissa, exponent),
            "balanced": lane_scalar(np.array([float(c.balanced) for c in self.cases])),
            "X_max": _extreme(self.X[None], np.max),
            "X_min": _extreme(self.X[None], np.min),
            "W_max": _extreme(self.W0, np.max),
            "W_min": _extreme(self.W0, np.min),
            "n_plus": constant(float(np.sum(self.y > 0)), NDIM),
            "n_minus": constant(float(np.sum(self.y < 0)), NDIM),
            "n_min": constant(float(min(np.sum(self.y > 0), np.sum(self.y < 0))), NDIM),
        }


def _extreme(rows: Float, pick: Any) -> ScaledArray:
    """The largest or smallest row norm per lane, from (B, rows, d)."""
    norms = np.linalg.norm(rows, axis=2)
    value = pick(norms, axis=1)
    return lane_scalar(value, rows.shape[2] * 2.0**-52 * value)


def at_lanes(numbers: Mapping[str, ScaledArray], lanes: Indices) -> Numbers:
    """The numbers of some lanes."""
    return {name: a.take(lanes) for name, a in numbers.items()}


def per_lane(a: ScaledArray, size: int) -> tuple[Float, Float]:
    """(value, radius) of a number per lane, each (B,), in plain floats."""
    value, radius = a.to_float()
    return (
        np.broadcast_to(value.reshape(value.shape[0], -1)[:, 0], (size,)),
        np.broadcast_to(radius.reshape(radius.shape[0], -1)[:, 0], (size,)),
    )


def uniform_nodes(start: Float, end: Float, count: int = COARSE) -> Float:
    """(L, count) equidistant instants from start to end, both included exactly."""
    steps = np.linspace(0.0, 1.0, count)
    times = start[:, None] + (end - start)[:, None] * steps
    times[:, -1] = end
    return times


class StepContext:
    """A block of steps of the integrator, with environments at any instants inside them.

    A row is one step of one lane. Rows are sorted by lane and then by time; a lane may have several, one after the
    other without gaps (see `proofs_checks.blocks`).

    Attributes:
        step: the integrator's view. lanes: (R,) indices into the batch. start, end: (R,) times of the steps' ends.
    """

    def __init__(
        self,
        batch: Batch,
        step: numerics.StepView,
        numbers: Numbers,
        outer: Environment | None = None,
    ) -> None:
        self.batch = batch
        self.step = step
        self.numbers = numbers
        self.lanes: Indices = np.asarray(step.lanes)
        self.start: Float = step.t0
        self.end: Float = step.t1
        self._outer = Environment(numbers) if outer is None else outer
        self._environments: dict[tuple[bytes, bytes], Environment] = {}

    @cached_property
    def times(self) -> Float:
        """(R, COARSE) instants of `sample` in all rows."""
        return uniform_nodes(self.start, self.end)

    def sample(self, rows: Indices, *keys: Key) -> list[ScaledArray]:
        """Quantities at ``times[rows]``, shared by all who ask for whole steps."""
        everything = np.arange(self.lanes.size)
        if SHARED * rows.size < everything.size:
            env = self.environment(rows, self.times[rows])
            return [env.evaluate(key) for key in keys]
        env = self.environment(everything, self.times)
        with np.errstate(all="ignore"):  # of rows that were not asked for
            found = [env.evaluate(key) for key in keys]
        return found if rows.size == everything.size else [a.take(rows) for a in found]

    def environment(self, rows: Indices, times: Float) -> Environment:
        """Variables at ``times``, (len(rows), m), in the rows ``rows``."""
        key = (rows.tobytes(), times.tobytes())
        found = self._environments.get(key)
        if found is None:
            # slices of consecutive rows are not copied
            where: Any = rows
            if rows.size and (np.diff(rows) == 1).all():
                where = slice(rows[0], rows[-1] + 1)
            W, V = _states(self.step, where, times)
            mantissa, exponent = self.batch.eps
            lanes = self.lanes[rows]
            found = self._environments[key] = environment(
                X=self.batch.X,
                y=self.batch.y,
                loss=self.batch.loss,
                weight=self.batch.cases[0].weight,
                times=times,
                W=W,
                V=V,
                mask=self.step.mask[where],
                exponent=self.step.exponent[where],
                radius=self.step.radius[where],
                eps_mantissa=mantissa[lanes],
                eps_exponent=exponent[lanes],
                numbers=self._outer,
                lanes=lanes,
            )
        return found

    def forget(self) -> None:
        """Drop cached values that depend on numbers (those of an event have changed)."""
        for env in self._environments.values():
            env.forget(self.numbers)


def _states(step: numerics.StepView, rows: Any, times: Float) -> tuple[Float, Float]:
    """W (L, m, h, d) and V (L, m, h) at ``times``, (L, m), from the dense output; exact at the ends of the step."""
    tau = step.tau[rows, None]
    s = np.where(tau > 0, (times - step.t0[rows, None]) / np.where(tau > 0, tau, 1.0), 0.0)
    s = np.where(times == step.t1[rows, None], 1.0, np.clip(s, 0.0, 1.0))
    w, v = step.step.w[rows], step.step.v[rows]
    W = np.empty((*times.shape, *w.shape[2:]))
    V = np.empty((*times.shape, *v.shape[2:]))
    W[:], V[:] = w[:, None, -1], v[:, None, -1]
    sw, sv = s[:, :, None, None], s[:, :, None]
    for k in range(w.shape[1] - 2, -1, -1):
        W *= sw
        W += w[:, None, k]
        V *= sv
        V += v[:, None, k]
    return W, V
