"""Gradient flow of two-layer ReLU networks: an event-located Taylor method, batched over lanes.

This is the reference engine: numpy, float64, on the CPU. It is accurate rather than fast; compiled
engines stand behind the same interface (``numerics.interface.Integrator``).

Inside an activation pattern the flow is analytic and its Taylor series is computed exactly up to
rounding (``numerics.taylor``); the polynomial is the dense output. A step ends at the first flip of
an activation (``numerics.events``), where the next pattern is decided by consistency
(``numerics.kinks``), never by continuing across. Every neuron carries an error radius
(``numerics.radii``, ``numerics.saltation``). Weights are held as mantissas with an integer exponent
per neuron next to log eps, so that nothing depends on the size of eps. A lane's numbers are the
same, bit for bit, whatever other lanes are integrated with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from numerics.components import Components
from numerics.errors import NumericsError
from numerics.interface import Horizon, Observer
from numerics.kinks import UNIT, Assignment, assign
from numerics.losses import loss as loss_of
from numerics.problem import FlowOptions, FlowProblem, FlowResult, FlowStatus, Kink
from numerics.saltation import ambiguous_pairs, cross
from numerics.state import State, eps_squared, norms, two_sum
from numerics.taylor import Data, Field, Frame, evaluate_field, expand, frame_of
from numerics.trial import Trial, attempt
from numerics.views import Step, StepView

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


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
        observers: called with every accepted step. horizon: may move the end times.
        options: defaults to ``FlowOptions()``.

    Returns:
        The final states, their error radii, all kinks, and a status per lane. A lane whose status
        is not ``ok`` was integrated, and shown to the observers, up to ``FlowResult.t``.

    Raises:
        NumericsError: ``until`` is negative, not finite or mis-shaped.
    """
    end = np.array(until, dtype=np.float64)
    if end.ndim == 0:
        end = np.full(problem.lanes, float(end))
    if end.shape != (problem.lanes,):
        raise NumericsError(f"until has shape {end.shape}; give a number or {(problem.lanes,)}")
    if not np.all(np.isfinite(end) & (end >= 0)):
        raise NumericsError("until must be finite and >= 0 in every lane")
    return _Run(problem, end, tuple(observers), horizon, options or FlowOptions()).run()


class _Run:
    """One integration: the loop over steps and its book-keeping."""

    def __init__(
        self,
        problem: FlowProblem,
        end: Array,
        observers: tuple[Observer, ...],
        horizon: Horizon | None,
        options: FlowOptions,
    ) -> None:
        self.problem, self.end, self.observers = problem, end, observers
        self.horizon, self.options = horizon, options
        # Halving a low degree, or with a prescribed step, would spoil the accuracy.
        self.adaptive_order = options.order >= 16 and options.fixed_step is None
        self.data = Data.of(problem.X, problem.y, loss_of(problem.loss), problem.weight)
        n, _, h = problem.shape
        lanes = problem.lanes
        scales = [eps_squared(float(x)) for x in problem.log_eps]
        self.mantissa2 = np.array([m for m, _ in scales])
        self.exponent0 = np.array([e for _, e in scales], dtype=np.int64)
        zero = (problem.W0 == 0).all(axis=2) & (problem.v0 == 0)
        self.dead = zero[:, :, None] | (self.data.norms == 0)
        self.state = State(
            t=np.zeros(lanes),
            carry=np.zeros(lanes),
            w=problem.W0.copy(),
            v=problem.v0.copy(),
            exponent=np.zeros((lanes, h), dtype=np.int64),
            mask=np.zeros((lanes, h, n), dtype=bool),
            order=np.zeros((lanes, h, n), dtype=np.int64),
            fresh=np.zeros((lanes, h, n), dtype=bool),
            # A balanced start has v = |w| rounded; eps**2 is rounded once.
            radius=2.0 * UNIT * np.abs(problem.v0)
            + (0.0 if problem.start_radius is None else problem.start_radius),
            top=np.zeros((lanes, h)),
            label=np.zeros((lanes, h), dtype=np.int64),
            top_exponent=np.zeros((lanes, h), dtype=np.int64),
            dense=np.zeros(lanes, dtype=bool),
        )
        self.status: list[FlowStatus | None] = [None] * lanes
        self.reason = [""] * lanes
        self.steps = np.zeros(lanes, dtype=np.int64)
        self.kink_count = np.zeros(lanes, dtype=np.int64)
        self.evaluations = np.zeros(lanes, dtype=np.int64)
        self.drift = np.zeros(lanes)
        self.kinks: list[Kink] = []
        self.state.normalise()
        self.exponent_start = self.state.exponent.copy()
        self.balance = (self.state.v**2) - (self.state.w**2).sum(axis=2)
        parts = Components.of(self.state.label, self.state.exponent)
        self.state.top = parts.norm(self.state.radius)
        self.state.top_exponent = parts.exponent

    def run(self) -> FlowResult:
        self._start()
        while True:
            rows = np.array([b for b, s in enumerate(self.status) if s is None], dtype=np.int64)
            if rows.size == 0:
                break
            dense = self.state.dense[rows] & self.adaptive_order
            for group, few in ((rows[~dense], False), (rows[dense], True)):
                if group.size:
                    self._advance(group, dense=few)
        state = self.state
        statuses = tuple(s for s in self.status if s is not None)
        with np.errstate(all="ignore"):
            late = UNIT * state.t[:, None] * self._rate() * norms(state.w, state.v)
        late = np.where(np.isnan(late), np.inf, late)
        return FlowResult(
            status=statuses,
            reason=tuple(self.reason),
            t=state.t,
            W=state.w,
            V=state.v,
            exponent=state.exponent,
            radius=state.radius + late,
            kinks=tuple(sorted(self.kinks, key=lambda k: (k.lane, k.t))),
            drift=self.drift,
            steps=self.steps,
            evaluations=self.evaluations,
        )

    # --- steps -----------------------------------------------------------------------------

    def _start(self) -> None:
        """Decide the patterns at t = 0, where a neuron may lie on a kink already."""
        rows = np.arange(self.problem.lanes)
        state = self.state
        z = np.matmul(state.w, self.data.XT)
        state.mask = (z > 0) & ~self.dead
        forced = np.zeros_like(state.mask)
        frame = self._frame(rows, state)
        with np.errstate(all="ignore"):
            field = evaluate_field(self.data, state.w[:, None], state.v[:, None], state.mask, frame)
        found = self._assign(rows, state, frame, field, 0, forced)
        state.mask, state.order = found.mask, found.order
        state.fresh = found.order > 0
        for row, failure in found.failure.items():
            self._fail(int(row), *failure)

    def _advance(self, rows: Ints, *, dense: bool) -> None:
        """One step in each of the lanes ``rows``, of half the degree where kinks are dense."""
        state = self.state.take(rows)
        frame = self._frame(rows, state)
        order = self.options.order // 2 if dense else self.options.order
        with np.errstate(all="ignore"):
            series = expand(self.data, state.w, state.v, state.mask, frame, order)
            finite = np.isfinite(series.w).all(axis=(1, 2, 3)) & np.isfinite(series.v).all(
                axis=(1, 2)
            )
            finite &= np.isfinite(series.f).all(axis=(1, 2)) & np.isfinite(frame.scale)
        if not finite.all():
            for row in rows[~finite]:
                self._finish(int(row), FlowStatus.diverged, f"at t = {self.state.t[row]:.6g}")
            if finite.any():
                self._advance(rows[finite], dense=dense)
            return
        remaining = (self.end[rows] - state.t) - state.carry
        trial = attempt(self.data, state, frame, series, remaining, self.options, dense=dense)
        self.evaluations[rows] += order + 3
        accepted = np.ones(rows.size, dtype=bool)
        n = self.data.y.size
        for stuck in np.flatnonzero(trial.crossing.stuck >= 0):
            j, i = divmod(int(trial.crossing.stuck[stuck]), n)
            self._fail(int(rows[stuck]), FlowStatus.grazing, j, i, "a double root is not resolved")
            accepted[stuck] = False
        for row in np.flatnonzero((trial.tau <= 0) & (remaining > 0)):
            text = f"at t = {self.state.t[rows[row]]:.6g}: the step underflows"
            self._finish(int(rows[row]), FlowStatus.diverged, text)
            accepted[row] = False
        touching = ambiguous_pairs(
            self.data,
            series.z,
            trial.crossing.step,
            state.mask,
            state.order,
            state.fresh,
            trial.bounds.radius,
        )
        for k, (j, i) in touching.items():
            if accepted[k]:
                bound = float(trial.bounds.radius[k, j])
                text = f"|<w, x>| has a minimum below its error (radius {bound:.2g})"
                self._fail(int(rows[k]), FlowStatus.grazing, j, i, text)
                accepted[k] = False
        if accepted.any():
            keep = np.flatnonzero(accepted)
            self._accept(rows[keep], trial.take(keep) if keep.size < rows.size else trial)

    def _accept(self, rows: Ints, trial: Trial) -> None:
        """Move to the end of the step, cross its kinks, show it, and test for the end."""
        old, crossing = trial.state, trial.crossing
        lanes = rows.size
        n = self.data.y.size
        whole = (self.end[rows] - old.t) - old.carry
        reaches = trial.tau >= whole
        t1, carry = two_sum(old.t, trial.tau + old.carry)
        t1, carry = np.where(reaches, self.end[rows], t1), np.where(reaches, 0.0, carry)
        new = State(
            t=t1,
            carry=carry,
            w=trial.w1,
            v=trial.v1,
            exponent=old.exponent.copy(),
            mask=old.mask,
            order=old.order,
            fresh=old.fresh,
            radius=trial.bounds.radius,
            top=trial.bounds.top,
            label=trial.parts.label,
            top_exponent=trial.parts.exponent,
            dense=trial.dense,
        )
        forced = np.zeros_like(old.mask)
        hit = np.flatnonzero(crossing.pair >= 0)
        forced[hit, crossing.pair[hit] // n, crossing.pair[hit] % n] = True
        found = self._assign(rows, new, trial.frame, trial.fields, 1, forced)
        z, g = trial.fields.z[:, 1], trial.fields.g[:, 1]
        change = trial.fields.G[:, 1] - trial.series.G[:, 0]
        with np.errstate(all="ignore"):
            turn = np.sqrt((change**2).sum(axis=2)) / trial.tau[:, None]
            turn = np.where(np.isfinite(turn), turn, 0.0)
        after = cross(
            self.data,
            found,
            old.mask,
            new.w,
            new.v,
            z,
            g,
            2.0 * turn,
            trial.bounds,
            trial.parts,
        )
        for row, (j, i) in after.undecided.items():
            text = "the kink's place in time is uncertain by more than the speed of crossing allows"
            found.failure.setdefault(row, (FlowStatus.grazing, j, i, text))
        self._record(rows, found, norms(new.w, new.v), t1, after.t_error)
        # The state at the rounded time t1 differs from that at the true time by one unit of t1.
        late = UNIT * t1[:, None] * trial.bounds.force * trial.bounds.theta
        view = StepView(
            problem=self.problem,
            lanes=rows,
            t0=old.t,
            t1=t1,
            tau=trial.tau,
            mask=old.mask,
            exponent=old.exponent,
            log_eps=self.problem.log_eps[rows],
            radius=after.radius + late,
            global_radius=trial.parts.total(after.top)
            + np.sqrt((trial.frame.weight2 * late**2).sum(axis=1)),
            unit=trial.series.unit,
            series_w=trial.series.w,
            series_v=trial.series.v,
            step=Step(trial.unit_w, trial.unit_v, trial.w1, trial.v1),
        )
        new.mask, new.order = found.mask, found.order
        new.radius, new.top = after.radius, after.top
        far = np.abs(z) > 2.0 * new.radius[:, :, None] * self.data.norms
        new.fresh = (old.fresh & ~far) | (found.order > 0)
        self._watch_balance(rows, new)
        new.normalise()
        self.state.put(rows, new)
        self.steps[rows] += 1
        for observer in self.observers:
            observer.on_step(view)
        if self.horizon is not None:
            moved = np.asarray(self.horizon(view), dtype=np.float64)
            if moved.shape != (lanes,) or not np.all(np.isfinite(moved)):
                raise NumericsError(f"a horizon must return {(lanes,)} finite end times")
            self.end[rows] = np.maximum(moved, t1)
        for k, row in enumerate(rows):
            self._test_end(int(row), found.failure.get(k))

    def _test_end(self, row: int, failure: tuple[FlowStatus, int, int, str] | None) -> None:
        if self.state.t[row] >= self.end[row]:
            self._finish(row, FlowStatus.ok, "")
        elif failure is not None:
            self._fail(row, *failure)
        elif self.steps[row] >= self.options.max_steps:
            self._finish(row, FlowStatus.budget, f"after {self.steps[row]} steps")
        elif self.kink_count[row] > self.options.max_kinks:
            self._finish(row, FlowStatus.budget, f"after {self.kink_count[row]} kinks")

    # --- helpers ---------------------------------------------------------------------------

    def _frame(self, rows: Ints, state: State) -> Frame:
        return frame_of(self.mantissa2[rows], self.exponent0[rows], state.exponent)

    def _rate(self) -> Array:
        """(B, h) norms of G_j at the current states."""
        rows = np.arange(self.problem.lanes)
        state = self.state
        with np.errstate(all="ignore"):
            field = evaluate_field(
                self.data, state.w[:, None], state.v[:, None], state.mask, self._frame(rows, state)
            )
            rate = np.sqrt((field.G[:, 0] ** 2).sum(axis=2))
        return np.where(np.isfinite(rate), rate, np.inf)

    def _assign(
        self, rows: Ints, state: State, frame: Frame, field: Field, node: int, forced: Bools
    ) -> Assignment:
        order = self.options.order

        def probe(row: int, mask: Bools) -> tuple[Array, Array]:
            one = slice(row, row + 1)
            local = Frame(frame.scale[one], frame.relative[one])
            series = expand(self.data, state.w[one], state.v[one], mask[None], local, order)
            sizes = np.sqrt((series.w[0] ** 2).sum(axis=2)) + np.abs(series.v[0])  # (p+1, h)
            factorial = np.array([1.0 / math.factorial(k) for k in range(order + 1)])
            level = 64.0 * UNIT * (sizes + factorial[:, None] * sizes[:1])
            return series.z[0], level[:, :, None] * self.data.norms

        return assign(
            self.data,
            state.w,
            state.v,
            field.z[:, node],
            field.g[:, node],
            state.mask,
            forced,
            self.dead[rows],
            probe,
        )

    def _record(
        self, rows: Ints, found: Assignment, size: Array, t1: Array, t_error: Array
    ) -> None:
        for k in range(found.row.size):
            row, j, i = int(found.row[k]), int(found.neuron[k]), int(found.point[k])
            lane = int(rows[row])
            self.kink_count[lane] += 1
            self.kinks.append(
                Kink(
                    lane=lane,
                    t=float(t1[row]),
                    neuron=j,
                    point=i,
                    active=bool(found.mask[row, j, i]),
                    zdot_before=float(found.before[k] / size[row, j]),
                    zdot_after=float(found.after[k] / size[row, j]),
                    t_error=float(t_error[k] + 2.0 * UNIT * t1[row]),
                )
            )

    def _watch_balance(self, rows: Ints, state: State) -> None:
        shift = np.clip(2 * (self.exponent_start[rows] - state.exponent), -5000, 5000)
        with np.errstate(all="ignore"):
            start = np.ldexp(self.balance[rows], shift.astype(np.int32))
            squares = (state.w**2).sum(axis=2)
            now = state.v**2 - squares
            drift = np.abs(now - start) / np.where(squares > 0, squares, 1.0)
        self.drift[rows] = np.maximum(self.drift[rows], drift.max(axis=1))

    def _fail(self, lane: int, status: FlowStatus, j: int, i: int, text: str) -> None:
        where = f"neuron {j}, point {i}, t = {self.state.t[lane]:.17g}"
        self._finish(lane, status, f"{where}: {text}")

    def _finish(self, lane: int, status: FlowStatus, text: str) -> None:
        self.status[lane] = status
        self.reason[lane] = "" if status is FlowStatus.ok else f"{status.value} ({text})"
