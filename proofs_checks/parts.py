"""One relation of a conclusion followed along the trajectories of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from numerics.evaluate import Environment, freeze
from numerics.extended import ScaledArray
from numerics.supremum import Scores, compare
from proofs_checks.batch import Float, Indices, StepContext
from proofs_checks.blocks import firsts, lasts
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.sampling import Sides, Supremum, log_values, sides_of, suprema
from proofs_checks.verdict import Status
from theory.errors import LemmataError
from theory.quantity import Relation
from theory.statement import Part, Statement

HUGE = 1e300  # stands for the time of an event that has not happened
Bools = NDArray[np.bool_]


@dataclass
class Extremum:
    """The running supremum of the scores of one relation; all arrays are (B,).

    ``coarse`` is that at the first nodes of every step, see `proofs_checks.sampling.suprema`.
    """

    size: int
    mid: Float = field(init=False)
    low: Float = field(init=False)
    high: Float = field(init=False)
    coarse: Float = field(init=False)
    at: Float = field(init=False)
    log_lhs: Float = field(init=False)
    log_rhs: Float = field(init=False)

    def __post_init__(self) -> None:
        self.mid, self.low, self.high, self.coarse = (np.full(self.size, -np.inf) for _ in range(4))
        self.at, self.log_lhs, self.log_rhs = (np.full(self.size, np.nan) for _ in range(3))

    def update(self, found: Supremum) -> None:
        """Take the suprema over some steps into account."""
        top = found.top
        starts = np.flatnonzero(firsts(found.lanes))
        if not starts.size:
            return
        lanes = found.lanes[starts]
        self.low[lanes] = np.fmax(self.low[lanes], np.fmax.reduceat(top.low, starts))
        # NaN means that a side could not be evaluated: nothing is known, so nothing holds
        high = np.where(np.isnan(top.high), np.inf, top.high)
        self.high[lanes] = np.maximum(self.high[lanes], np.maximum.reduceat(high, starts))
        mid = np.where(np.isnan(top.mid), -np.inf, top.mid)
        best = np.maximum.reduceat(mid, starts)
        counts = np.diff(np.append(starts, mid.size))
        # the first row at which the largest is attained
        reaching = np.flatnonzero(mid == np.repeat(best, counts))
        rows = reaching[firsts(found.lanes[reaching])]
        better = (best > self.mid[lanes]) | np.isnan(self.log_rhs[lanes])
        which, rows = lanes[better], rows[better]
        self.mid[which], self.at[which] = top.mid[rows], found.at[rows]
        self.log_lhs[which], self.log_rhs[which] = found.log_lhs[rows], found.log_rhs[rows]


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
        # the domain has been checked up to here; whether a later part of the trajectory was left out
        self.seen = np.full(claim.batch.size, -np.inf)
        self.left: Bools = np.zeros(claim.batch.size, dtype=bool)

        def data(q):  # type: ignore[no-untyped-def]
            return None if q is None else freeze(statement.expand(q).to_data())

        self.start = data(part.domain.start) if part.domain else None
        self.end = data(part.domain.end) if part.domain else None
        self.window = data(part.touch.window) if part.touch else None
        self.sides = sides_of(self.relation)
        self.differential = (
            sides_of(statement.expand(part.touch.differential)) if part.touch else None
        )

    def on_step(self, context: StepContext, active: Bools, last: Float) -> None:
        """Sample the relation where its domain, cut at ``last``, meets these steps."""
        if self.start is None:
            return
        lanes = context.lanes
        start, end = self.interval(last)
        free = start if self.window is None else start + self.claim.lane_value(self.window)[0]
        if self.differential is not None:
            near = np.minimum(free, end)
            self._sample(context, active, start, start, near, self.near, self.differential)
        self._sample(context, active, start, free, end, self.main, self.sides)
        over = lasts(lanes) & active[lanes] & (last[lanes] < context.end)
        self.left[lanes[over]] = True

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
        begin: Float,
        start: Float,
        end: Float,
        into: Extremum,
        sides: Sides,
    ) -> None:
        """Sample from ``start`` to ``end`` in a domain that begins at ``begin``, each (B,)."""
        low = np.maximum(context.start, start[context.lanes])
        high = np.minimum(context.end, end[context.lanes])
        rows = np.flatnonzero(
            active[context.lanes] & (low <= high)
        )  # false where an end is still NaN
        if not rows.size:
            return
        self._extend(context.lanes[rows], low[rows], high[rows], begin)
        found = suprema(
            context,
            rows,
            low,
            high,
            sides,
            into.coarse,
            strict=self.strict,
            vanishing=self.part.vanishing,
            resolution=self.part.resolution,
        )
        into.update(found)

    def _extend(self, lanes: Indices, low: Float, high: Float, begin: Float) -> None:
        """Move ``seen``, unless something before these steps was left out because nobody needed it then.

        Args:
            lanes, low, high: of the rows. begin: (B,) start of the domain.
        """
        first, final = firsts(lanes), lasts(lanes)
        which = lanes[first]
        joined = ~self.left[which] | (low[first] <= np.fmax(self.seen[which], begin[which]))
        self.seen[which] = np.where(
            joined, np.maximum(self.seen[which], high[final]), self.seen[which]
        )

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
        top = Scores(mid[lanes], low[lanes], high[lanes])
        self.main.update(Supremum(lanes, top, np.full(lanes.size, np.nan), *logs))

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


def _postponed(claim: TrajectoryClaim) -> dict[str, ScaledArray]:
    out = {}
    for name, missing in claim.open_events.items():
        a, where = claim.numbers[name], missing[:, None, None, None, None]
        out[name] = ScaledArray(np.where(where, HUGE, a.m), np.where(where, 0.0, a.r), a.e)
    return out
