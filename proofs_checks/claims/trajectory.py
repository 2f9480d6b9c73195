"""What every statement about a trajectory of a two-layer network shares: its numbers and its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.evaluate import Environment, lane_scalar
from numerics.extended import ScaledArray
from numerics.supremum import Scores, compare
from proofs_checks.batch import Batch, Float, Indices, Numbers, StepContext, per_lane, uniform_nodes
from proofs_checks.blocks import firsts
from proofs_checks.sampling import sides_of
from theory.quantity import Relation

SECTIONS, CUTS = 11, 32  # an interval is cut into so many, so often: 2^-55 of it is left


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
        # the numbers as variables; evaluated quantities are kept until a number changes
        self.environment = Environment(self.numbers)
        self._lane_values: dict[int, tuple[ScaledArray, tuple[Float, Float]]] = {}

    def lane_value(self, data: Sequence[Any]) -> tuple[Float, Float]:
        """(value, radius) per lane, (B,), of a quantity of numbers; NaN where an event is not known yet.

        The arrays are kept until a number changes: they must not be written to.
        """
        with np.errstate(all="ignore"):
            array = self.environment.evaluate(data)
            known = self._lane_values.get(id(array))
            if known is None or known[0] is not array:
                known = self._lane_values[id(array)] = array, per_lane(array, self.batch.size)
        return known[1]

    def on_step(self, context: StepContext) -> None:
        """Look for events on a block of steps; called before the parts of the conclusion see it.

        How the steps of a trajectory are grouped into blocks must not matter: an event is known from its own time on,
        and it may extend the time that a statement needs (`deadline`, horizons), or shorten it, but not to before
        itself. Steps that begin after the time that is needed in the end may be shown too; see `finish`.
        """

    def deadline(self, name: str) -> Float:
        """(B,) time after which there is no point in waiting for an event."""
        return np.full(self.batch.size, np.inf)

    def finish(self, reached: Float) -> None:
        """The trajectory is needed, and known, up to ``reached``, (B,): events that did not happen become lower bounds.

        Derived classes forget what they have seen later than that.
        """
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
        self.environment.forget((name,))
        self._lane_values.clear()

    def known(self, name: str) -> NDArray[np.bool_]:
        """(B,) whether a number is known."""
        return ~np.isnan(self.numbers[name].m[:, 0, 0, 0, 0])

    def first_time(
        self, context: StepContext, rows: Indices, relation: Relation
    ) -> tuple[Indices, Float, Float]:
        """The first instants at which a relation holds in some rows of a block.

        Returns:
            The rows where it comes to hold, at most one per lane, the times and bounds on their errors.
        """
        none = np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)
        if not rows.size:
            return none
        sides = sides_of(relation)

        def score(which: Indices, times: Float) -> Scores:
            env = context.environment(which, times)
            return compare(env.evaluate(sides[0]), env.evaluate(sides[1]), times.shape)

        times = context.times[rows]
        lhs, rhs = context.sample(rows, *sides)
        true = compare(lhs, rhs, times.shape).mid <= 0
        hit = np.flatnonzero(true.any(axis=1))
        if not hit.size:
            return none
        hit = hit[firsts(context.lanes[rows[hit]])]
        which, index = rows[hit], np.argmax(true[hit], axis=1)
        lanes = np.arange(which.size)
        high = times[hit, index]
        low = times[hit, np.maximum(index - 1, 0)]
        start, stop = low.copy(), high.copy()
        for _ in range(SECTIONS):
            cuts = uniform_nodes(low, high, CUTS + 1)
            inside = score(which, cuts[:, 1:-1]).mid <= 0
            # the first cut at which it holds, or the end; and the cut before that
            place = np.where(inside.any(axis=1), np.argmax(inside, axis=1), CUTS - 1)
            low, high = cuts[lanes, place], cuts[lanes, place + 1]
        ends = score(which, np.stack([start, stop], axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            width = (ends.high - ends.low).max(axis=1)
            slope = np.abs(ends.mid[:, 1] - ends.mid[:, 0]) / (stop - start)
            error = np.where(stop > start, width / slope, 0.0)
        return (
            which,
            high,
            np.where(np.isfinite(error), error, stop - start) + (high - low) + 2.0**-50 * high,
        )
