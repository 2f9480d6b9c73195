"""One relation of a conclusion followed along the trajectories of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from numerics.evaluate import Environment, freeze
from numerics.extended import ScaledArray
from numerics.supremum import Scores, compare
from proofs_checks.batch import Float, StepContext
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.sampling import Sides, log_values, suprema
from proofs_checks.verdict import Status
from theory.errors import LemmataError
from theory.quantity import Relation
from theory.statement import Part, Statement

HUGE = 1e300  # stands for the time of an event that has not happened
Bools = NDArray[np.bool_]


@dataclass
class Extremum:
    """The running supremum of the scores of one relation; all arrays are (B,)."""

    size: int
    mid: Float = field(init=False)
    low: Float = field(init=False)
    high: Float = field(init=False)
    at: Float = field(init=False)
    log_lhs: Float = field(init=False)
    log_rhs: Float = field(init=False)

    def __post_init__(self) -> None:
        self.mid, self.low, self.high = (np.full(self.size, -np.inf) for _ in range(3))
        self.at, self.log_lhs, self.log_rhs = (np.full(self.size, np.nan) for _ in range(3))

    def update(
        self, lanes: NDArray[np.intp], top: Scores, at: Float, logs: tuple[Float, Float]
    ) -> None:
        """Take one step's supremum into account."""
        self.low[lanes] = np.fmax(self.low[lanes], top.low)
        # NaN means that a side could not be evaluated: nothing is known, so nothing holds
        self.high[lanes] = np.maximum(
            self.high[lanes], np.where(np.isnan(top.high), np.inf, top.high)
        )
        better = (top.mid > self.mid[lanes]) | np.isnan(self.log_rhs[lanes])
        which = lanes[better]
        self.mid[which], self.at[which] = top.mid[better], at[better]
        self.log_lhs[which], self.log_rhs[which] = logs[0][better], logs[1][better]


@dataclass(frozen=True)
class Outcome:
    """What one part says about one lane; logarithms as in `proofs_checks.verdict.Verdict`."""

    name: str
    relation: Relation
    status: Status
    mid: float
    low: float
    high: float
    log_lhs: float
    log_rhs: float
    at: float
    horizon: tuple[float, float] | None
    complete: bool  # the trajectory was long enough
    covered: bool

    @property
    def rank(self) -> int:
        """Larger is worse."""
        return (Status.HOLDS, Status.UNDECIDED, Status.VIOLATED).index(self.status)


class PartTracker:
    """One part of a conclusion: its relation on its domain, or once at the end where it has no domain."""

    def __init__(self, statement: Statement, part: Part, claim: TrajectoryClaim) -> None:
        if part.resolution is not None and part.domain is None:
            raise LemmataError(
                f"{statement.id}, part {part.name!r}: an equality is checked along time; give a domain"
            )
        self.part = part
        self.claim = claim
        self.relation: Relation = statement.expand(part.relation)
        self.strict = part.relation.op == "<"
        self.main = Extremum(claim.batch.size)
        self.near = Extremum(
            claim.batch.size
        )  # the differential form, in the window where the relation touches
        self.seen = np.full(claim.batch.size, -np.inf)  # the domain has been checked up to here

        def data(q):  # type: ignore[no-untyped-def]
            return None if q is None else freeze(statement.expand(q).to_data())

        self.start = data(part.domain.start) if part.domain else None
        self.end = data(part.domain.end) if part.domain else None
        self.window = data(part.touch.window) if part.touch else None
        self.sides = _sides(self.relation)
        self.differential = (
            _sides(statement.expand(part.touch.differential)) if part.touch else None
        )

    def on_step(self, context: StepContext, active: Bools, last: Float) -> None:
        """Sample the relation where its domain, cut at ``last``, meets this step."""
        if self.start is None:
            return
        lanes = context.lanes
        start, end = self.interval(last)
        free = start if self.window is None else start + self.claim.lane_value(self.window)[0]
        if self.differential is not None:
            self._sample(
                context,
                active,
                start[lanes],
                np.minimum(free, end)[lanes],
                self.near,
                self.differential,
            )
        self._sample(context, active, free[lanes], end[lanes], self.main, self.sides)

    def interval(self, last: Float) -> tuple[Float, Float]:
        """(start, end) of the domain per lane, (B,), cut at ``last``; NaN while an event is not known."""
        start = self.claim.lane_value(self.start or ("rat", "0"))[0]
        return start, last if self.end is None else np.minimum(
            self.claim.lane_value(self.end)[0], last
        )

    def _sample(
        self,
        context: StepContext,
        active: Bools,
        start: Float,
        end: Float,
        into: Extremum,
        sides: Sides,
    ) -> None:
        low, high = np.maximum(context.start, start), np.minimum(context.end, end)
        rows = np.flatnonzero(
            active[context.lanes] & (low <= high)
        )  # false where an end is still NaN
        if not rows.size:
            return
        self.seen[context.lanes[rows]] = np.maximum(self.seen[context.lanes[rows]], high[rows])
        found = suprema(
            context,
            rows,
            low,
            high,
            sides,
            lambda lanes: into.mid[lanes],
            strict=self.strict,
            vanishing=self.part.vanishing,
            resolution=self.part.resolution,
        )
        for s in found:
            into.update(s.lanes, s.top, s.at, (s.log_lhs, s.log_rhs))

    def score_once(self, active: Bools) -> None:
        """A relation between times: scored on the hull of the ends of events that did not happen."""
        if self.start is not None:
            return
        early = self.claim.environment
        late = Environment({**self.claim.numbers, **_postponed(self.claim)})
        lanes = np.flatnonzero(active)
        shape, strict = (active.size, 1), self.strict
        with np.errstate(all="ignore"):
            lhs, rhs = ([env.evaluate(side) for env in (early, late)] for side in self.sides)
            mid = compare(lhs[0], rhs[0], shape, strict=strict).mid[:, 0]
            # monotone in every event, so the ends of the hull are attained at the ends of the events
            low = np.minimum(
                *(
                    compare(a, b, shape, strict=strict).low[:, 0]
                    for a, b in ((lhs[0], rhs[0]), (lhs[0], rhs[1]))
                )
            )
            high = np.maximum(
                *(
                    compare(a, b, shape, strict=strict).high[:, 0]
                    for a, b in ((lhs[0], rhs[0]), (lhs[1], rhs[0]))
                )
            )
        logs = log_values(lhs[0], shape)[lanes, 0], log_values(rhs[0], shape)[lanes, 0]
        self.main.update(
            lanes, Scores(mid[lanes], low[lanes], high[lanes]), np.full(lanes.size, np.nan), logs
        )

    def outcome(self, lane: int, last: Float) -> Outcome:
        """The result on one lane; ``last`` as in `on_step`."""
        main = self.main
        horizon, covered, complete = None, True, not math.isnan(main.log_rhs[lane])
        if self.start is not None:
            start, end = (float(a[lane]) for a in self.interval(last))
            horizon = (start, float(self.seen[lane]))
            complete = complete and horizon[1] >= end - 1e-12 * abs(end)
            covered = complete and self.end is not None
        low, high = (
            max(float(a[lane]), float(b[lane]))
            for a, b in ((main.low, self.near.low), (main.high, self.near.high))
        )
        if low >= 0 if self.strict else low > 0:
            status = Status.VIOLATED
        elif complete and (high < 0 if self.strict else high <= 0):
            status = Status.HOLDS
        else:
            status = Status.UNDECIDED
        return Outcome(
            name=self.part.name,
            relation=self.part.relation,
            status=status,
            mid=float(main.mid[lane]),
            low=float(main.low[lane]),
            high=float(main.high[lane]),
            log_lhs=float(main.log_lhs[lane]),
            log_rhs=float(main.log_rhs[lane]),
            at=float(main.at[lane]),
            horizon=horizon,
            complete=complete,
            covered=covered,
        )


def _sides(relation: Relation) -> Sides:
    return freeze(relation.lhs.to_data()), freeze(relation.rhs.to_data())


def _postponed(claim: TrajectoryClaim) -> dict[str, ScaledArray]:
    out = {}
    for name, missing in claim.open_events.items():
        a, where = claim.numbers[name], missing[:, None, None, None, None]
        out[name] = ScaledArray(np.where(where, HUGE, a.m), np.where(where, 0.0, a.r), a.e)
    return out
