"""Gradient flow of two-layer ReLU networks: a compiled, event-located Taylor method with error bounds.

Inside an activation pattern the flow is analytic; its Taylor polynomial is the dense output
(``numerics.compiled_series``). A step ends at the first flip of an activation
(``numerics.compiled_events``), where the next pattern is decided by consistency
(``numerics.compiled_kinks``, ``numerics.kinks``), never by continuing across. Every neuron carries an error
radius (``numerics.compiled_bounds``). Weights are held as mantissas with an integer exponent per neuron next
to log eps, so that nothing depends on the size of eps. A lane's numbers are the same, bit for bit, whatever
other lanes are integrated with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numerics import compiled_hard as hard
from numerics.compiled_bounds import UNIT
from numerics.compiled_lanes import Lanes
from numerics.compiled_step import block, ended, record_counts, record_end
from numerics.compiled_types import (
    ARRIVED,
    CONTRADICTION,
    DRIFT,
    END,
    EVALUATIONS,
    FORCE,
    HARD,
    INFINITE,
    KINKS,
    MOVED,
    REVERSED,
    SLIDES,
    SPENT_KINKS,
    SPENT_STEPS,
    STEPS,
    STUCK,
    TIME,
    TOUCHING,
    UNDERFLOW,
    UNSURE,
    VALID,
    WHERE,
    Array,
    Ints,
    Rows,
    Settings,
    points_of,
    workspace,
)
from numerics.errors import NumericsError
from numerics.interface import Horizon, Observer
from numerics.problem import FlowOptions, FlowProblem, FlowResult, FlowStatus, KinkTable
from numerics.views import Step as DenseOutput
from numerics.views import StepView

# Steps of a lane in one view: enough to spread the cost of a call, few enough for the memory of a block.
MOST_ROWS, NUMBERS = 16, 1 << 13


def integrate(
    problem: FlowProblem,
    *,
    until: float | Array,
    observers: Sequence[Observer] = (),
    horizon: Horizon | None = None,
    options: FlowOptions | None = None,
) -> FlowResult:
    """Integrate every lane of ``problem`` from 0 to ``until``; see ``numerics.interface``.

    Args:
        until: end time, finite and >= 0; a number, or one per lane (B,).
        observers: called with blocks of accepted steps. horizon: may move the end times.
        options: defaults to ``FlowOptions()``.

    Returns:
        The final states, their error radii, all kinks, and a status per lane. A lane whose status
        is not ``ok`` was integrated, and shown to the observers, up to ``FlowResult.t``.

    Raises:
        NumericsError: ``until`` is negative, not finite or mis-shaped.
    """
    end = problem.end_times(until)
    return _Run(problem, end, tuple(observers), horizon, options or FlowOptions()).run()


def settings_of(options: FlowOptions) -> Settings:
    """The options for compiled code."""
    fixed = 0.0 if options.fixed_step is None else float(options.fixed_step)
    return Settings(options.order, float(options.rtol), fixed, options.max_steps, options.max_kinks)


KinkRow = tuple[int, float, int, int, bool, float, float, float]


class _Run:
    """One integration: blocks of steps, their views, and the book-keeping of what ends where."""

    def __init__(
        self,
        problem: FlowProblem,
        end: Array,
        observers: tuple[Observer, ...],
        horizon: Horizon | None,
        options: FlowOptions,
    ) -> None:
        self.problem, self.observers, self.horizon = problem, observers, horizon
        self.settings = settings_of(options)
        self.points = points_of(problem)
        self.lanes = Lanes.of(problem, end)
        n, d, h = problem.shape
        self.step = workspace(n, d, h, options.order)
        self.size = int(np.clip(NUMBERS // (h * max(n, d)), 1, MOST_ROWS))
        self.status: list[FlowStatus | None] = [None] * problem.lanes
        self.reason = [""] * problem.lanes
        self.kinks: list[list[KinkRow]] = [[] for _ in range(problem.lanes)]
        # A lane that the horizon has ended inside a block it had already passed.
        self.cut: dict[int, tuple[Rows, int, int]] = {}

    def run(self) -> FlowResult:
        for b in range(self.problem.lanes):
            failure = hard.start(self.points, self.lanes, b, self.step, self.settings)
            if failure is not None:
                self._fail(b, *failure)
        while True:
            running = [b for b, s in enumerate(self.status) if s is None]
            if not running:
                return self._result()
            self._blocks(running)

    def _blocks(self, running: list[int]) -> None:
        """One block of each running lane: integrate, show, and test for the end."""
        n, d, h = self.problem.shape
        K, P = self.size, self.settings.order + 1
        size = len(running)
        rows = _rows(size, K, P, n, d, h)
        counts = np.zeros(size, dtype=np.int64)
        outcome: list[tuple[int, hard.Failure | None]] = []
        extra: list[dict[int, list[hard.Flip]]] = []
        with np.errstate(all="ignore"):
            for k, b in enumerate(running):
                counts[k], code, failure, flips = self._block(b, _row(rows, k), K)
                outcome.append((code, failure))
                extra.append(flips)
        if counts.any():
            view = self._view(running, rows, counts)
            for observer in self.observers:
                observer.on_step(view)
            self._move_ends(running, view, counts)
        for k, b in enumerate(running):
            self._close(b, _row(rows, k), int(counts[k]), *outcome[k], extra[k])

    def _block(
        self, b: int, rows: Rows, K: int
    ) -> tuple[int, int, hard.Failure | None, dict[int, list[hard.Flip]]]:
        """Up to K steps of lane b: how many, the code of the last, a failure, and flips decided in Python."""
        lane, step = self.lanes.lane(b), self.step
        h = self.lanes.h
        flips: dict[int, list[hard.Flip]] = {}
        done = 0
        while True:
            code, done = block(self.points, lane, step, self.settings, rows, done, K, h)
            if code != HARD:
                return done, code, None, flips
            failure, found = hard.end(self.points, self.lanes, b, step, self.settings)
            record_end(step, rows, done, h)
            record_counts(lane, rows, done)
            flips[done] = found
            done += 1
            code = ended(lane, self.settings, MOVED)
            if code == ARRIVED or failure is not None:
                return done, code, None if code == ARRIVED else failure, flips
            if code != MOVED or done == K:
                return done, code, None, flips

    def _view(self, running: list[int], rows: Rows, counts: Ints) -> StepView:
        """The block as observers see it."""
        taken = np.arange(self.size) < counts[:, None]
        lanes = np.repeat(np.array(running, dtype=np.int64), counts)
        degree = int(rows.order[taken].max()) + 1
        for k in range(int(rows.order[taken].min()) + 1, degree):
            shorter = rows.order < k
            rows.w[shorter, k], rows.v[shorter, k] = 0.0, 0.0
        full = bool(taken.all())

        def flat(a: Any) -> Any:
            return a.reshape(-1, *a.shape[2:]) if full else a[taken]

        return StepView(
            problem=self.problem,
            lanes=lanes,
            t0=flat(rows.t0),
            t1=flat(rows.t1),
            tau=flat(rows.tau),
            mask=flat(rows.mask),
            exponent=flat(rows.exponent),
            log_eps=self.problem.log_eps[lanes],
            radius=flat(rows.radius),
            global_radius=flat(rows.global_radius),
            step=DenseOutput(
                flat(rows.w)[:, :degree], flat(rows.v)[:, :degree], flat(rows.w1), flat(rows.v1)
            ),
        )

    def _move_ends(self, running: list[int], view: StepView, counts: Ints) -> None:
        if self.horizon is None:
            return
        moved = np.asarray(self.horizon(view), dtype=np.float64)
        if moved.shape != view.lanes.shape or not np.all(np.isfinite(moved)):
            raise NumericsError(f"a horizon must return {view.lanes.shape} finite end times")
        last = np.cumsum(counts) - 1
        for k, b in enumerate(running):
            if counts[k]:
                self.lanes.arrays.num[b, END] = moved[last[k]]

    def _close(
        self,
        b: int,
        rows: Rows,
        count: int,
        code: int,
        failure: hard.Failure | None,
        flips: dict[int, list[hard.Flip]],
    ) -> None:
        """Keep the steps of a block up to the end time, with their kinks, and settle how the lane goes on."""
        end = self.lanes.arrays.num[b, END]
        t1 = rows.t1[:count]
        late = np.flatnonzero(t1 >= end)
        kept = int(late[0]) + 1 if late.size else count
        if kept and t1[kept - 1] > end:
            self.lanes.arrays.num[b, END] = t1[kept - 1]
        for k in range(kept):
            self.kinks[b] += self._kinks(b, rows, k, flips.get(k))
        if kept < count:
            self.cut[b] = (rows, kept, count)
        if late.size:
            self._finish(b, FlowStatus.ok, "")
        elif failure is not None:
            self._fail(b, *failure)
        elif code not in (MOVED, ARRIVED):
            self._stop(b, code)

    def _kinks(self, b: int, rows: Rows, k: int, flips: list[hard.Flip] | None) -> list[KinkRow]:
        t = float(rows.t1[k])
        if flips is not None:
            return [
                (b, t, f.neuron, f.point, f.active, f.before, f.after, f.t_error) for f in flips
            ]
        pair = int(rows.pair[k])
        if pair < 0:
            return []
        j, i = divmod(pair, self.points.y.size)
        numbers = (float(a[k]) for a in (rows.before, rows.after, rows.t_error))
        before, after, error = numbers
        return [(b, t, j, i, bool(rows.active[k]), before, after, error)]

    # --- why a lane ends ---------------------------------------------------------------------

    def _stop(self, b: int, code: int) -> None:
        """Name what compiled code reports."""
        a = self.lanes.arrays
        where, n = int(a.cnt[b, WHERE]), self.points.y.size
        if code == INFINITE:
            self._finish(b, FlowStatus.diverged, f"at t = {a.num[b, TIME]:.6g}")
        elif code == UNDERFLOW:
            text = f"at t = {a.num[b, TIME]:.6g}: the step underflows"
            self._finish(b, FlowStatus.diverged, text)
        elif code == SPENT_STEPS:
            self._finish(b, FlowStatus.budget, f"after {a.cnt[b, STEPS]} steps")
        elif code == SPENT_KINKS:
            self._finish(b, FlowStatus.budget, f"after {a.cnt[b, KINKS]} kinks")
        elif code == REVERSED:
            pair, kind = divmod(where, 2)
            status = FlowStatus.sliding if kind == SLIDES else FlowStatus.nonunique
            j, i = divmod(pair, n)
            self._fail(b, status, j, i, "both sides of the kink disagree on d<w,x>/dt")
        else:
            texts = {
                STUCK: "a double root is not resolved",
                TOUCHING: "|<w, x>| has a minimum below its error",
                CONTRADICTION: "the sign of <w, x> contradicts the activation pattern",
                UNSURE: "the kink's place in time is uncertain by more than the speed of crossing allows",
            }
            j, i = divmod(where, n)
            self._fail(b, FlowStatus.grazing, j, i, texts[code])

    def _fail(self, b: int, status: FlowStatus, j: int, i: int, text: str) -> None:
        t = self.lanes.arrays.num[b, TIME]
        self._finish(b, status, f"neuron {j}, point {i}, t = {t:.17g}: {text}")

    def _finish(self, b: int, status: FlowStatus, text: str) -> None:
        self.status[b] = status
        self.reason[b] = "" if status is FlowStatus.ok else f"{status.value} ({text})"

    # --- the outcome --------------------------------------------------------------------------

    def _result(self) -> FlowResult:
        a = self.lanes.arrays
        h = self.lanes.h
        W, V, exponent, radius = self.lanes.weights()
        t, steps = self.lanes.t, self.lanes.count(STEPS)
        drift, evaluations = a.num[:, DRIFT].copy(), self.lanes.count(EVALUATIONS)
        rate = np.zeros((self.problem.lanes, h))
        for b in range(self.problem.lanes):
            if b in self.cut:
                rows, kept, count = self.cut[b]
                W[b], V[b], exponent[b] = (
                    rows.w1[kept - 1],
                    rows.v1[kept - 1],
                    rows.exponent[kept - 1],
                )
                radius[b], t[b] = rows.radius[kept - 1], rows.t1[kept - 1]
                drift[b], evaluations[b] = rows.drift[kept - 1], rows.evaluations[kept - 1]
                steps[b] -= count - kept
            else:
                rate[b] = self._rate(b)
        with np.errstate(all="ignore"):
            # The state at the rounded time differs from that at the true time by one unit of it.
            late = UNIT * t[:, None] * rate * np.sqrt((W * W).sum(axis=2) + V * V)
        return FlowResult(
            status=tuple(s for s in self.status if s is not None),
            reason=tuple(self.reason),
            t=t,
            W=W,
            V=V,
            exponent=exponent,
            radius=radius + np.where(np.isnan(late), np.inf, late),
            kink_table=KinkTable.of([k for lane in self.kinks for k in lane]),
            drift=drift,
            steps=steps,
            evaluations=evaluations,
        )

    def _rate(self, b: int) -> Array:
        """(h,) norms of G_j at the lane's state."""
        lane = self.lanes.lane(b)
        with np.errstate(all="ignore"):
            if lane.cnt[VALID] == 0:
                hard.evaluate(self.points, lane, self.step)
            rate = np.sqrt((lane.wg[FORCE, :, : self.lanes.h] ** 2).sum(axis=0))
        return np.where(np.isfinite(rate), rate, np.inf)


def _rows(size: int, K: int, P: int, n: int, d: int, h: int) -> Rows:
    empty, ints = np.empty, np.int64
    one = (size, K)
    return Rows(
        t0=empty(one), t1=empty(one), tau=empty(one), order=np.full(one, P, ints),
        mask=empty((*one, h, n), np.bool_), exponent=empty((*one, h), ints), radius=empty((*one, h)),
        global_radius=empty(one), w=empty((*one, P, h, d)), v=empty((*one, P, h)),
        w1=empty((*one, h, d)), v1=empty((*one, h)), pair=empty(one, ints), active=empty(one, ints),
        before=empty(one), after=empty(one), t_error=empty(one), drift=empty(one),
        evaluations=empty(one, ints),
    )  # fmt: skip


def _row(rows: Rows, k: int) -> Rows:
    return Rows(*(a[k] for a in rows))
