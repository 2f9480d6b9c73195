"""Cases that are integrated together, and what is known of each at an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numerics
from numerics.evaluate import NDIM, Environment, lane_scalar
from numerics.extended import ScaledArray, constant
from numerics.observables import environment
from proofs_checks.case import Case
from theory.errors import LemmataError

Float = NDArray[np.float64]
Indices = NDArray[np.intp]
Numbers = dict[str, ScaledArray]


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
    return {name: _take(a, lanes) for name, a in numbers.items()}


def _take(a: ScaledArray, lanes: Indices) -> ScaledArray:
    def pick(x: Any) -> Any:
        return x if x.shape[0] == 1 else x[lanes]

    return ScaledArray(pick(a.m), pick(a.r), pick(a.e))


def per_lane(a: ScaledArray, size: int) -> tuple[Float, Float]:
    """(value, radius) of a number per lane, each (B,), in plain floats."""
    value, radius = a.to_float()
    return (
        np.broadcast_to(value.reshape(value.shape[0], -1)[:, 0], (size,)),
        np.broadcast_to(radius.reshape(radius.shape[0], -1)[:, 0], (size,)),
    )


class StepContext:
    """One step of the integrator, with environments at any instants inside it.

    Attributes:
        step: the integrator's view. lanes: (L,) indices into the batch. start, end: (L,) times of the step's ends.
    """

    def __init__(self, batch: Batch, step: numerics.StepView, numbers: Numbers) -> None:
        self.batch = batch
        self.step = step
        self.numbers = numbers
        self.lanes: Indices = np.asarray(step.lanes)
        self.start: Float = step.t0
        self.end: Float = step.t1
        self._environments: dict[tuple[bytes, bytes], Environment] = {}

    def environment(self, rows: Indices, times: Float) -> Environment:
        """Variables at ``times``, (len(rows), m), for the lanes ``self.lanes[rows]``."""
        key = (rows.tobytes(), times.tobytes())
        found = self._environments.get(key)
        if found is None:
            W, V = _states(self.step, rows, times)
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
                mask=self.step.mask[rows],
                exponent=self.step.exponent[rows],
                radius=self.step.radius[rows],
                eps_mantissa=mantissa[lanes],
                eps_exponent=exponent[lanes],
                numbers=at_lanes(self.numbers, lanes),
            )
        return found

    def forget(self) -> None:
        """Drop cached environments (the numbers of an event have changed)."""
        self._environments.clear()


def _states(step: numerics.StepView, rows: Indices, times: Float) -> tuple[Float, Float]:
    """W (L, m, h, d) and V (L, m, h) at ``times``, (L, m), from the dense output; exact at the ends of the step."""
    tau = step.tau[rows, None]
    s = np.where(tau > 0, (times - step.t0[rows, None]) / np.where(tau > 0, tau, 1.0), 0.0)
    s = np.where(times == step.t1[rows, None], 1.0, np.clip(s, 0.0, 1.0))
    w, v = step.step.w[rows], step.step.v[rows]
    W = np.broadcast_to(w[:, None, -1], (*times.shape, *w.shape[2:])).copy()
    V = np.broadcast_to(v[:, None, -1], (*times.shape, *v.shape[2:])).copy()
    for k in range(w.shape[1] - 2, -1, -1):
        W *= s[:, :, None, None]
        W += w[:, None, k]
        V *= s[:, :, None]
        V += v[:, None, k]
    return W, V
