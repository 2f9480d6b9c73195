"""Linear cases that are measured together, and what is known of one of them at an instant or after a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from numerics.evaluate import NDIM, Environment, lane_scalar
from numerics.extended import ScaledArray, constant
from proofs_checks.batch import Batch, Float, Indices, Numbers, StepContext, at_lanes
from proofs_checks.case import Case
from proofs_checks.linear_case import LinearCase
from theory.errors import LemmataError

Opener = Callable[[Float, Numbers], Environment]  # of times and numbers


class LinearBatch(Batch):
    """Linear cases of the same shape; B lanes, each with its own data and its own integration."""

    def __init__(self, cases: tuple[LinearCase, ...]) -> None:
        # the trackers ask a batch for its cases' hashes and settings only, which both models have
        super().__init__(cast("tuple[Case, ...]", cases))

    def __post_init__(self) -> None:
        if len({c.group() for c in self.cases}) != 1:
            raise LemmataError("a batch of linear cases needs layers of the same shape")

    @property
    def linear(self) -> tuple[LinearCase, ...]:
        """The cases, as what they are."""
        return cast("tuple[LinearCase, ...]", self.cases)

    def basic_numbers(self) -> Numbers:
        """The numbers that every statement about a linear network may use: n, h, m, eta, T, last_step."""
        n, h, m = self.linear[0].shape
        return {
            "n": constant(float(n), NDIM),
            "h": constant(float(h), NDIM),
            "m": constant(float(m), NDIM),
            "eta": lane_scalar(np.array([c.eta for c in self.linear])),
            "T": lane_scalar(np.array([c.horizon for c in self.linear])),
            "last_step": lane_scalar(np.array([c.steps - 1.0 for c in self.linear])),
        }


class LinearContext(StepContext):
    """Some steps of the integrator, or one iterate of gradient descent, in one lane.

    Attributes:
        lanes: (R,) the same lane in every row. start, end: (R,) times of the steps, one after the other; for gradient
            descent R = 1 and both are the number of the step.
    """

    def __init__(
        self,
        batch: LinearBatch,
        lane: int,
        span: tuple[ArrayLike, ArrayLike],
        numbers: Numbers,
        opener: Opener,
    ) -> None:
        self.batch = batch
        self.numbers = numbers
        self.start, self.end = (np.atleast_1d(np.asarray(t, dtype=np.float64)) for t in span)
        self.lanes = np.full(self.start.size, lane)
        self._opener = opener
        self._environments: dict[tuple[bytes, bytes], Environment] = {}

    def environment(self, rows: Indices, times: Float) -> Environment:
        """Variables at ``times``, (len(rows), m), in the rows ``rows``."""
        key = (rows.tobytes(), times.tobytes())
        found = self._environments.get(key)
        if found is None:
            numbers = at_lanes(self.numbers, self.lanes[rows])
            found = self._environments[key] = self._opener(times, numbers)
        return found

    def forget(self) -> None:
        """Drop cached environments: each holds the numbers as they were when it was opened."""
        self._environments.clear()


def stack(rows: list[ScaledArray]) -> ScaledArray:
    """One array per lane, joined along the axis of the lanes."""

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts, axis=0)

    return ScaledArray(
        joined([a.m for a in rows]), joined([a.r for a in rows]), joined([a.e for a in rows])
    )


def numbered_by_i(a: ScaledArray) -> ScaledArray:
    """The same vectors, numbered by i instead of j."""
    return ScaledArray(np.swapaxes(a.m, 2, 3), np.swapaxes(a.r, 2, 3), np.swapaxes(a.e, 2, 3))
