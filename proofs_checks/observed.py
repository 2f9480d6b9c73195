"""The best value of a constant that a set of cases supports.

Three roles of a constant are told apart:

* it enters a relation affinely (as a factor of a bound, say): on every instant and case the relation holds exactly for
  the values on one side of a number; the observed value is the worst of these numbers;
* it enters the end of a domain, T = τ/c: the observed value is the one whose domain ends where the relation first
  fails;
* it enters a hypothesis only: cases outside the hypothesis would be needed, so nothing is observed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from numerics.evaluate import Environment, Key, freeze
from numerics.supremum import compare
from proofs_checks.batch import Batch, Float, StepContext, uniform_nodes
from proofs_checks.blocks import firsts, highest_before, reduce_lanes
from proofs_checks.measure import AnyCase, batches, measure_batch
from proofs_checks.parts import PartTracker
from proofs_checks.tracker import Tracker
from theory.quantity import Quantity
from theory.statement import Constant, Part, Statement

LONGER = 8  # a domain T = τ/c is followed to c/LONGER


@dataclass(frozen=True)
class Observed:
    """The observed value of one constant.

    Attributes:
        value: None where nothing is observed; ``relation`` then says why, and otherwise it is "=" or "≤" ("≥"): the
            worst value seen, or a bound because no case reaches its own.
        cases: number of cases that contributed. horizon: the largest time that was used.
    """

    value: float | None
    relation: str
    cases: int
    horizon: float | None


def observe(statement: Statement, cases: Sequence[AnyCase]) -> dict[str, Observed]:
    """The best value of every constant that the cases support, the others at their stated values."""
    out: dict[str, Observed] = {}
    affine: list[Constant] = []
    for constant in statement.constants:
        roles = {_role(statement, constant, p) for p in statement.parts} - {""}
        if roles == {"relation"}:
            affine.append(constant)
        elif roles == {"domain"}:
            out[constant.name] = _domain(statement, constant, cases)
        elif roles:
            out[constant.name] = Observed(
                None, "it enters the conclusion in a way that has no single root", 0, None
            )
        else:
            out[constant.name] = Observed(None, "it enters hypotheses only", 0, None)
    if affine:
        out.update(_affine(statement, affine, cases))
    return out


def _role(statement: Statement, constant: Constant, part: Part) -> str:
    name = constant.name
    relation = statement.expand(part.relation, keep=name)
    if name in relation.variables():
        return (
            "relation"
            if max(_degree(q, name) for q in (relation.lhs, relation.rhs)) == 1
            else "other"
        )
    ends = () if part.domain is None else (part.domain.start, part.domain.end)
    inside = [q is not None and name in statement.expand(q, keep=name).variables() for q in ends]
    if any(inside):
        return "domain" if inside == [False, True] else "other"
    return ""


def _degree(q: Quantity, name: str) -> float:
    """The degree of a quantity as a polynomial in a variable; infinite where it is none."""
    if name not in q.variables():
        return 0
    parts = [_degree(a, name) for a in q.args]
    if q.op == "var":
        return 1
    if q.op in ("add", "neg", "sum"):
        return max(parts)
    if q.op == "mul":
        return sum(parts)
    if q.op == "div" and parts[1] == 0:
        return parts[0]
    return math.inf


# -- a factor of a relation ---------------------------------------------------------------------------------------
class _Roots:
    """The worst root of rhs - lhs in the constant, per lane."""

    def __init__(self, statement: Statement, constant: Constant, tracker: Tracker) -> None:
        self.better = constant.better
        self.tracker = tracker
        values = [statement.with_constants(**{constant.name: k}) for k in (0, 1)]
        self.parts: list[tuple[PartTracker, list[Key]]] = []
        for index, part in enumerate(statement.parts):
            if _role(statement, constant, part) == "relation":
                relations = [s.expand(part.relation) for s in values]
                gaps = [freeze((r.rhs - r.lhs).to_data()) for r in relations]
                self.parts.append((tracker.parts[index], gaps))
        self.worst = np.full(tracker.size, np.nan)
        self.horizon = np.zeros(tracker.size)

    def on_step(self, context: StepContext) -> None:
        last = self.tracker.last
        for part, gaps in self.parts:
            if part.start is None:
                continue
            start, end = (a[context.lanes] for a in part.interval(last))
            if part.window is not None:
                start = start + self.tracker.claim.lane_value(part.window)[0][context.lanes]
            low, high = np.maximum(context.start, start), np.minimum(context.end, end)
            rows = np.flatnonzero(self.tracker.active[context.lanes] & (low <= high))
            if rows.size:
                times = uniform_nodes(low[rows], high[rows])
                self._take(context.lanes[rows], context.environment(rows, times), gaps, times.shape)
                lanes = context.lanes[rows]
                np.maximum.at(self.horizon, lanes, high[rows])

    def finish(self) -> None:
        lanes = np.flatnonzero(self.tracker.active)
        for part, gaps in self.parts:
            if part.start is None:
                with np.errstate(all="ignore"):
                    everything = np.arange(self.tracker.size)
                    keep = self.worst.copy()
                    self._take(
                        everything, self.tracker.claim.environment, gaps, (everything.size, 1)
                    )
                    idle = np.setdiff1d(everything, lanes)
                    self.worst[idle] = keep[idle]

    def _take(
        self, lanes: np.ndarray, env: Environment, gaps: list[Key], shape: tuple[int, ...]
    ) -> None:
        with np.errstate(all="ignore"):
            zero, one = (env.evaluate(g) for g in gaps)
            root = np.broadcast_to((-zero / (one - zero)).to_float()[0], (*shape, 1, 1, 1))[
                :, :, 0, 0, 0
            ]
        # outputs that are exactly zero leave both sides 0: any value will do
        root = np.where(np.isfinite(root), root, np.nan)
        pick = np.fmax if self.better == "smaller" else np.fmin
        which = lanes[firsts(lanes)]
        found = reduce_lanes(pick, lanes, pick.reduce(root, axis=1))
        self.worst[which] = pick(self.worst[which], found)


def _affine(
    statement: Statement, constants: Sequence[Constant], cases: Sequence[AnyCase]
) -> dict[str, Observed]:
    worst: dict[str, list[float]] = {c.name: [] for c in constants}
    horizon = 0.0
    for _, batch in batches(cases):
        roots: list[_Roots] = []
        measured = measure_batch(
            [statement],
            batch,
            listeners=[partial(_tell, roots)],
            on_start=partial(_start_roots, roots, statement, constants),
        )
        decided = np.array([v.deciding for v in measured.verdicts[0]])
        for constant, found in zip(constants, roots, strict=True):
            found.finish()
            worst[constant.name] += [float(v) for v in found.worst[decided] if not math.isnan(v)]
            horizon = max(horizon, float(found.horizon.max(initial=0.0)))
    out = {}
    for c in constants:
        values = worst[c.name]
        value = max(values, default=None) if c.better == "smaller" else min(values, default=None)
        if value is None:
            out[c.name] = Observed(None, "no case decides the statement", 0, None)
        else:
            # below 0 the other terms suffice by themselves
            out[c.name] = Observed(max(value, 0.0), "=", len(values), horizon or None)
    return out


def _start_roots(
    roots: list[_Roots],
    statement: Statement,
    constants: Sequence[Constant],
    trackers: Sequence[Tracker],
) -> None:
    roots.extend(_Roots(statement, c, trackers[0]) for c in constants)


def _start_exit(exits: list[_Exit], trackers: Sequence[Tracker]) -> None:
    exits.append(_Exit(trackers[0]))


def _tell(listeners: Sequence[_Roots | _Exit], context: StepContext) -> None:
    for listener in listeners:
        listener.on_step(context)


# -- the length of a domain ---------------------------------------------------------------------------------------
class _Exit:
    """The first time at which a relation fails, per lane."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.time = np.full(tracker.size, np.nan)
        self.seen = np.zeros(tracker.size)

    def on_step(self, context: StepContext) -> None:
        failing = np.full(context.lanes.size, np.nan)  # when, in every row
        looked = np.full(context.lanes.size, -np.inf)  # up to when
        for part in self.tracker.parts:
            if part.start is None:
                continue
            start, end = (a[context.lanes] for a in part.interval(self.tracker.last))
            low, high = np.maximum(context.start, start), np.minimum(context.end, end)
            rows = np.flatnonzero(
                self.tracker.active[context.lanes]
                & (low <= high)
                & np.isnan(self.time[context.lanes])
                & np.isnan(failing)
            )
            if not rows.size:
                continue
            times = uniform_nodes(low[rows], high[rows], 31)
            env = context.environment(rows, times)
            scores = compare(env.evaluate(part.sides[0]), env.evaluate(part.sides[1]), times.shape)
            fails = scores.mid > 0
            hit = fails.any(axis=1)
            failing[rows[hit]] = times[hit, np.argmax(fails[hit], axis=1)]
            looked[rows] = np.maximum(looked[rows], high[rows])
        # nothing is looked at after the first failure
        fails_at_all = ~np.isnan(failing)
        earlier = highest_before(
            context.lanes, fails_at_all.astype(float), np.zeros(self.seen.size)
        )
        np.maximum.at(self.seen, context.lanes[earlier == 0], looked[earlier == 0])
        rows = np.flatnonzero(fails_at_all & (earlier == 0))
        self.time[context.lanes[rows]] = failing[rows]


def _domain(statement: Statement, constant: Constant, cases: Sequence[AnyCase]) -> Observed:
    """T = τ/c: follow the relation to c/LONGER and see where it fails first."""
    short = constant.value / LONGER if constant.better == "smaller" else constant.value * LONGER
    longer = statement.with_constants(**{constant.name: Fraction(short)})
    values: list[float] = []
    horizon, used = 0.0, 0
    for _, batch in batches(cases):
        exits: list[_Exit] = []
        measured = measure_batch(
            [longer],
            batch,
            listeners=[partial(_tell, exits)],
            on_start=partial(_start_exit, exits),
        )
        (tracker,) = measured.trackers
        found = exits[0]
        length = _lengths(longer, tracker, batch)
        with np.errstate(all="ignore"):
            at = np.where(np.isnan(found.time), np.nan, float(short) * length / found.time)
        used += int(tracker.active.sum())
        values += [float(v) for v in at if math.isfinite(v)]
        horizon = max(horizon, float(found.seen.max(initial=0.0)))
    if values:
        return Observed(
            max(values) if constant.better == "smaller" else min(values), "=", used, horizon
        )
    if not used:
        return Observed(None, "no case decides the statement", 0, None)
    return Observed(float(short), "≤" if constant.better == "smaller" else "≥", used, horizon)


def _lengths(statement: Statement, tracker: Tracker, batch: Batch) -> Float:
    ends = [p.end for p in tracker.parts if p.end is not None]
    return (
        np.max([tracker.claim.lane_value(e)[0] for e in ends], axis=0)
        if ends
        else np.full(batch.size, np.nan)
    )
