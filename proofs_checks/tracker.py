"""One statement followed along the trajectories of a batch, from hypotheses to verdicts."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from numerics.evaluate import freeze
from numerics.extended import LOG2, ScaledArray
from numerics.supremum import compare
from proofs_checks.batch import Float, StepContext
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.parts import Outcome, PartTracker
from proofs_checks.verdict import Evidence, Rigor, Status, Verdict, decimal
from theory.errors import LemmataError
from theory.printing import relation_text
from theory.statement import Hypothesis, Kind, Statement

Bools = NDArray[np.bool_]


class Tracker:
    """A statement on a batch.

    Attributes:
        active: (B,) lanes on which the statement is not settled by its hypotheses.
        last: (B,) time up to which the trajectory is needed, as known at the last step.
        seconds: time spent here.
    """

    def __init__(self, statement: Statement, claim: TrajectoryClaim) -> None:
        if statement.kind is Kind.PROBABILITY:
            raise LemmataError(
                f"{statement.id} is a probability statement, which single trajectories cannot check; "
                "state what happens on one case, or sample with a claim of your own"
            )
        self.statement = statement
        self.claim = claim
        self.seconds = 0.0
        self.size = claim.batch.size
        self.parts = [PartTracker(statement, p, claim) for p in statement.parts]
        self.settled: dict[int, tuple[Status, str]] = {}
        self.margins: list[list[str]] = [[] for _ in range(self.size)]
        self.active: Bools = np.ones(self.size, dtype=bool)
        self._check_setting()
        self._decide([h for h in statement.hypotheses if not h.eventual])
        horizons = [p.domain.end or p.domain.start for p in statement.parts if p.domain]
        if statement.horizon is not None:
            horizons.append(statement.horizon)
        waits = [
            q
            for p in statement.parts
            if p.domain
            for q in (p.domain.start, p.domain.end)
            if q is not None
        ]
        # ends of what is followed, each with the events on which it depends
        self._ends = [
            (freeze(statement.expand(q).to_data()), sorted(self._events_in(q))) for q in horizons
        ]
        self._relates = {p.name: sorted(self._events_in(p.relation)) for p in statement.parts}
        self._waits = sorted(self._events_in(*waits, statement.horizon))
        self.last = self.needed()

    def _events_in(self, *quantities: object) -> set[str]:
        names: set[str] = set()
        for q in quantities:
            if q is not None:
                names |= self.statement.expand(q).variables()
        return names & set(self.claim.open_events)

    # -- hypotheses ---------------------------------------------------------------------------------------------
    def _settle(self, lane: int, status: Status, reason: str) -> None:
        self.settled[lane] = (status, reason)
        self.active[lane] = False

    def _check_setting(self) -> None:
        setting, case = self.statement.setting, self.claim.batch.cases[0]
        if case.loss not in setting.losses:
            reason = (
                f"the statement speaks of the losses {', '.join(setting.losses)}, the case uses {case.loss}; "
                "choose one of these"
            )
        elif case.reduction != setting.reduction:
            reason = (
                f"the statement speaks of the {setting.reduction} of the losses, the case uses the {case.reduction}; "
                "change the reduction"
            )
        else:
            return
        for lane in range(self.size):
            self._settle(lane, Status.VACUOUS, reason)

    def _decide(self, hypotheses: list[Hypothesis]) -> None:
        for hypothesis in hypotheses:
            relation = self.statement.expand(hypothesis.relation)
            strict = relation.op == "<"
            with np.errstate(all="ignore"):
                env = self.claim.environment
                lhs, rhs = (env.evaluate(q.to_data()) for q in (relation.lhs, relation.rhs))
                scores = compare(lhs, rhs, (self.size, 1), strict=strict)
            low, high = scores.low[:, 0], scores.high[:, 0]
            met = high < 0 if strict else high <= 0
            fails = low >= 0 if strict else low > 0
            for lane in np.flatnonzero(self.active):
                left, right = (_shown(a, int(lane)) for a in (lhs, rhs))
                if met[lane]:
                    self.margins[lane].append(
                        f"{hypothesis.name}: {left} {'<' if strict else '≤'} {right}"
                    )
                elif fails[lane]:
                    remedy = hypothesis.remedy.replace(
                        "{worst}", self.claim.explain(hypothesis.name, int(lane))
                    )
                    self._settle(
                        int(lane),
                        Status.VACUOUS,
                        f"hypothesis {hypothesis.name} fails: {relation_text(hypothesis.relation)} with {left} against "
                        f"{right}; {remedy}",
                    )
                else:
                    self._settle(
                        int(lane),
                        Status.UNDECIDED,
                        f"hypothesis {hypothesis.name} cannot be decided in floating point: {left} against {right}; "
                        "move the case away from equality",
                    )

    # -- during the integration ---------------------------------------------------------------------------------
    def needed(self) -> Float:
        """(B,) time up to which the trajectory is needed; -inf where the statement is settled."""
        until = np.zeros(self.size)
        waiting = np.zeros(self.size, dtype=bool)
        deadlines = {name: self.claim.deadline(name) for name in self._waits}
        # an event that comes after its deadline is not waited for, even where others still look at the trajectory
        late = {name: self.claim.lane_value(["var", name])[0] > t for name, t in deadlines.items()}
        for data, events in self._ends:
            value, _ = self.claim.lane_value(data)
            for name in events:
                value = np.where(late[name], np.nan, value)
            waiting |= np.isnan(value)
            until = np.fmax(until, value)
        if waiting.any():
            limit = np.full(self.size, np.inf)
            for name, t in deadlines.items():
                limit = np.minimum(limit, np.where(self.claim.known(name) & ~late[name], np.inf, t))
            until = np.where(waiting, np.maximum(until, limit), until)
        return np.where(self.active, until, -np.inf)

    def on_step(self, context: StepContext) -> None:
        """Let every part see a block of steps."""
        start = time.perf_counter()
        self.last = self.needed()
        if self.active[context.lanes].any():
            for part in self.parts:
                part.on_step(context, self.active, self.last)
        self.seconds += time.perf_counter() - start

    # -- the end ------------------------------------------------------------------------------------------------
    def finish(self, reached: Float, stopped: tuple[str, ...]) -> list[Verdict]:
        """Verdicts, one per lane.

        Args:
            reached: (B,) end of the trajectory. stopped: for each lane why it ended early, or "".
        """
        eventual = [h for h in self.statement.hypotheses if h.eventual]
        watched = self._events_in(*(h.relation for h in eventual))
        for lane in np.flatnonzero(self.active):
            # an event that an early end hides must not look like a failed hypothesis
            if stopped[lane] and any(self.claim.open_events[name][lane] for name in watched):
                self._settle(int(lane), Status.UNDECIDED, stopped[lane])
        self._decide(eventual)
        for part in self.parts:
            part.score_once(self.active)
        return [
            self._verdict(lane, float(reached[lane]), stopped[lane]) for lane in range(self.size)
        ]

    def _verdict(self, lane: int, reached: float, stopped: str) -> Verdict:
        case = self.claim.batch.cases[lane].hash
        if lane in self.settled:
            status, reason = self.settled[lane]
            return Verdict(self.statement.id, case, status, Rigor.NUMERICAL, reason=reason)
        outcomes = [p.outcome(lane, self.last) for p in self.parts]
        chosen = max(outcomes, key=lambda o: (o.rank, o.mid))
        # a domain that was never reached has no span
        spans = [
            o.horizon
            for o in outcomes
            if o.horizon is not None and all(map(math.isfinite, o.horizon))
        ]
        tightness = math.exp(chosen.mid) if chosen.mid < 709 else math.inf
        evidence = Evidence(chosen.mid, chosen.low, chosen.high)
        return Verdict(
            self.statement.id,
            case,
            chosen.status,
            Rigor.NUMERICAL,
            tightness=tightness,
            log_tightness=chosen.mid,
            error=evidence.error * (tightness if tightness > 0 else 1.0),
            log_lhs=chosen.log_lhs,
            log_rhs=chosen.log_rhs,
            horizon=(min(s[0] for s in spans), max(s[1] for s in spans))
            if spans
            else (0.0, reached),
            domain_covered=all(o.covered for o in outcomes),
            part=chosen.name,
            at=None if math.isnan(chosen.at) else chosen.at,
            reason=self._reason(chosen, lane, stopped),
        )

    def _reason(self, chosen: Outcome, lane: int, stopped: str) -> str:
        if chosen.status is Status.HOLDS:
            names = self._relates[chosen.name]
            waiting = [name for name in names if self.claim.open_events[name][lane]]
            late = [
                f"{name} lies beyond the horizon: the ratio is an upper bound" for name in waiting
            ]
            return "; ".join(self.margins[lane] + late)
        if chosen.status is Status.VIOLATED:
            return (
                f"{chosen.name}: {relation_text(chosen.relation)} fails with lhs = {decimal(chosen.log_lhs)}, "
                f"rhs = {decimal(chosen.log_rhs)}"
            )
        if stopped:
            return stopped
        if not chosen.complete:
            return (
                f"{chosen.name}: the trajectory ends before the domain does; use a longer horizon"
            )
        return f"{chosen.name}: the error bound straddles the relation; use a smaller rtol or a shorter horizon"


def _shown(a: ScaledArray, lane: int) -> str:
    """The measured value on one lane, for messages."""
    at = lane if a.m.shape[0] > 1 else 0
    m, e = float(a.m[at].ravel()[0]), int(a.e[at if a.e.shape[0] > 1 else 0].ravel()[0])
    if m == 0 or not math.isfinite(m):
        return f"{m:.4g}"
    value = decimal(math.log(abs(m)) + e * LOG2)
    return ("-" if m < 0 else "") + (f"{value:.4g}" if isinstance(value, float) else str(value))
