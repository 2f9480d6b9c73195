"""What every statement about a trajectory of a two-layer network shares: its numbers and its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.evaluate import Environment, freeze, lane_scalar
from numerics.supremum import compare
from proofs_checks.batch import Batch, Float, Indices, Numbers, StepContext, per_lane
from proofs_checks.sampling import uniform_nodes
from theory.quantity import Relation

BISECTIONS = 52


class TrajectoryClaim:
    """Numbers of a batch, known before (``numbers``) and found during (``events``) the integration.

    A claim of a topic derives from this class and adds numbers and events; a user's statement that needs neither uses
    it as it is.

    Attributes:
        batch: the cases. numbers: name -> number per lane; events start as NaN.
        open_events: name -> (B,) bool: the event has not happened by the end; its number is then a lower bound.
    """

    def __init__(self, batch: Batch, wanted: Iterable[str]) -> None:
        self.batch = batch
        self.wanted = frozenset(wanted)
        self.numbers: Numbers = batch.basic_numbers()
        self.open_events: dict[str, NDArray[np.bool_]] = {}
        self._environment: Environment | None = None

    def lane_value(self, data: Sequence[Any]) -> tuple[Float, Float]:
        """(value, radius) per lane, (B,), of a quantity of numbers; NaN where an event is not known yet."""
        with np.errstate(all="ignore"):
            return per_lane(self.environment.evaluate(data), self.batch.size)

    @property
    def environment(self) -> Environment:
        """The numbers as variables; evaluated quantities are kept until a number changes."""
        if self._environment is None:
            self._environment = Environment(self.numbers)
        return self._environment

    def on_step(self, context: StepContext) -> None:
        """Look for events on one step; called before the parts of the conclusion see it."""

    def deadline(self, name: str) -> Float:
        """(B,) time after which there is no point in waiting for an event."""
        return np.full(self.batch.size, np.inf)

    def finish(self, reached: Float) -> None:
        """The integration has ended at ``reached``, (B,): events that did not happen become lower bounds."""
        for name, missing in self.open_events.items():
            self.set(name, np.flatnonzero(missing), reached[missing])

    def explain(self, hypothesis: str, lane: int) -> str:
        """What is wrong with a case on which this hypothesis fails; replaces ``{worst}`` in its remedy."""
        return ""

    # -- for derived classes ------------------------------------------------------------------------------------
    def declare(self, *names: str) -> None:
        """Declare events whose times or values are not known yet."""
        for name in names:
            self.numbers[name] = lane_scalar(np.full(self.batch.size, np.nan))

    def set(self, name: str, lanes: Indices, value: Float, radius: Float | float = 0.0) -> None:
        """Fill in a number for some lanes."""
        a = self.numbers[name]
        a.m[lanes, 0, 0, 0, 0] = value
        a.r[lanes, 0, 0, 0, 0] = radius
        self._environment = None

    def known(self, name: str) -> NDArray[np.bool_]:
        """(B,) whether a number is known."""
        return ~np.isnan(self.numbers[name].m[:, 0, 0, 0, 0])

    def first_time(
        self, context: StepContext, rows: Indices, relation: Relation
    ) -> tuple[Indices, Float, Float]:
        """The first instants of this step at which a relation holds.

        Returns:
            The rows where it comes to hold, the times and bounds on their errors.
        """
        none = np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)
        if not rows.size:
            return none
        lhs, rhs = freeze(relation.lhs.to_data()), freeze(relation.rhs.to_data())

        def score(which: Indices, times: Float) -> tuple[Float, Float]:
            env = context.environment(which, times)
            s = compare(env.evaluate(lhs), env.evaluate(rhs), (times.shape[0], times.shape[1]))
            with np.errstate(invalid="ignore"):  # both ends infinite: 0 against a positive number
                return s.mid, s.high - s.low

        times = uniform_nodes(context.start[rows], context.end[rows])
        mid, _ = score(rows, times)
        true = mid <= 0
        hit = true.any(axis=1)
        if not hit.any():
            return none
        which, index = rows[hit], np.argmax(true[hit], axis=1)
        lanes = np.arange(which.size)
        high = times[hit][lanes, index]
        low = np.where(index > 0, times[hit][lanes, np.maximum(index - 1, 0)], high)
        start, stop = low.copy(), high.copy()
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            m, _ = score(which, middle[:, None])
            inside = m[:, 0] <= 0
            high, low = np.where(inside, middle, high), np.where(inside, low, middle)
        at_ends, width = score(which, np.stack([start, stop], axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.abs(at_ends[:, 1] - at_ends[:, 0]) / (stop - start)
            error = np.where(stop > start, width.max(axis=1) / slope, 0.0)
        return (
            which,
            high,
            np.where(np.isfinite(error), error, stop - start) + (high - low) + 2.0**-50 * high,
        )
