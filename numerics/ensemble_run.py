"""The lanes of a chunk, one after the other: early phase in closed form, then the compiled Taylor engine.

Nothing is recorded but the suprema, the quantities at given times and the final state. One lane's loop over
its steps is compiled and releases the interpreter's lock; only steps whose end is no plain kink come back
to Python (``numerics.compiled_hard``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics import compiled_hard as hard
from numerics.compiled_field import (
    clipped_ldexp,
)
from numerics.compiled_lanes import Lanes
from numerics.compiled_series import frame, refresh, state_at
from numerics.compiled_step import advance, ended
from numerics.compiled_types import (
    ARRIVED,
    BALANCE,
    CONTRADICTION,
    DEGREE,
    END,
    EXPONENT,
    EXPONENT0,
    EXPONENT_START,
    FORCE,
    GLOBAL,
    HARD,
    INFINITE,
    KINKS,
    LABEL,
    LATE,
    MANTISSA2,
    MOVED,
    NEW,
    OUTER,
    PATTERN,
    RADIUS,
    REVERSED,
    SLIDES,
    SPENT_KINKS,
    SPENT_STEPS,
    STEPS,
    T0,
    T1,
    TAU,
    TIME,
    TOP,
    TOP_EXPONENT,
    UNDERFLOW,
    UNSURE,
    V1,
    W1,
    WEIGHT,
    WEIGHT2,
    WHERE,
    Lane,
    Points,
    Settings,
    Step,
    points_of,
    workspace,
)
from numerics.compiling import compiled
from numerics.early_phase import admitted
from numerics.early_phase_lane import early_lane
from numerics.early_phase_types import Early, early_workspace, neurons_of
from numerics.ensemble_result import QUANTITIES
from numerics.ensemble_steps import watch_step
from numerics.ensemble_suprema import UNIT, WANTED, angle_to, reset
from numerics.ensemble_values import quantities_at, raise_all
from numerics.ensemble_watch import (
    BUSY,
    LOG_EPS,
    MANTISSA,
    NEXT_STOP,
    POWER,
    Watch,
    watch_of,
)
from numerics.problem import FlowProblem, FlowStatus

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_INDEX = {status: k for k, status in enumerate(FlowStatus)}


@dataclass(frozen=True)
class Chunk:
    """The outcome of a chunk of C lanes; bounds have the last axis (value, lower bound, upper bound).

    Args:
        status, t, steps, kinks: (C,). suprema: (C, quantities, 5) as in ``numerics.ensemble_suprema``.
        final: (C, quantities, 3). recorded: (C, m, quantities, 3). W, V, exponent, radius: final states.
    """

    status: NDArray[np.int8]
    t: Array
    steps: Ints
    kinks: Ints
    suprema: Array
    final: Array
    recorded: Array
    W: Array
    V: Array
    exponent: Ints
    radius: Array


@compiled
def _values(p: Points, lane: Lane, w: Watch, out: Any) -> None:
    """The quantities at the lane's state, whose radius is in w.near and whose pattern is in w.s."""
    top, H = lane.il[EXPONENT, 0], w.near.size
    for j in range(H):
        top = max(top, lane.il[EXPONENT, j])
    total = 0.0
    for j in range(H):
        # one radius per component, which its first neuron names; a sum, for rounding to the nearest time
        if lane.il[LABEL, j] == j:
            total += clipped_ldexp(lane.fl[TOP, j], lane.il[TOP_EXPONENT, j] - top) ** 2
        late = w.near[j] - lane.fl[RADIUS, j]
        total += clipped_ldexp(late, lane.il[EXPONENT, j] - top) ** 2
    quantities_at(
        p, lane.wg[WEIGHT], lane.fl[OUTER], w.s, lane.il[EXPONENT], w.near, math.sqrt(2.0 * total), w.num[MANTISSA],
        w.whole[POWER], w.num[LOG_EPS], w.start, lane.fl[BALANCE], lane.il[EXPONENT_START], w.sup, w.work, out,
    )  # fmt: skip


@compiled
def begin(
    p: Points, lane: Lane, h: int, start_radius: Any, log_eps: float, w: Watch, out: Any
) -> None:
    """Watch a lane from its start on; start_radius (h,) is the error of W0 in its own units."""
    d = p.X.shape[1]
    w.num[LOG_EPS], w.num[MANTISSA] = log_eps, lane.num[MANTISSA2]
    w.whole[POWER], w.whole[NEXT_STOP] = lane.cnt[EXPONENT0], 0
    w.recorded[:] = math.nan
    reset(w.sup)
    for j in range(w.near.size):
        w.angle[j], w.near[j] = 0.0, lane.fl[RADIUS, j]
        square = 0.0
        for c in range(d):
            square += lane.wg[WEIGHT, c, j] ** 2
        size = math.sqrt(square)
        for c in range(d):
            w.start[j, c] = lane.wg[WEIGHT, c, j] / size if size > 0.0 else 0.0
        w.start[j, d] = -1.0
        if size > 0.0 and j < h:
            r = clipped_ldexp(start_radius[j], -lane.il[EXPONENT, j])
            w.start[j, d] = math.asin(r / size) if r < size else math.pi
    w.s[:, :] = 1.0
    _values(p, lane, w, out)
    raise_all(w.sup, out, 0.0)


@compiled
def resume(lane: Lane, w: Watch, reached: int) -> None:
    """Go on from a state that the early phase has reached."""
    d = w.start.shape[1] - 1
    w.whole[NEXT_STOP] = reached
    for j in range(w.near.size):
        if w.start[j, d] >= 0.0:
            for c in range(d):
                w.work[c] = lane.wg[WEIGHT, c, j]
            w.angle[j] = angle_to(w.work[:d], w.start[j])


@compiled
def finish(p: Points, lane: Lane, step: Step, w: Watch, out: Any) -> None:
    """The quantities at the end; the radius there becomes the lane's."""
    refresh(p, lane, step.nh[WEIGHT2], frame(lane, step))
    d = p.X.shape[1]
    for j in range(w.near.size):
        rate, square = 0.0, lane.fl[OUTER, j] ** 2
        for c in range(d):
            rate += lane.wg[FORCE, c, j] ** 2
            square += lane.wg[WEIGHT, c, j] ** 2
        # the state at the rounded time differs from that at the true time by one unit of it
        late = UNIT * lane.num[TIME] * math.sqrt(rate) * math.sqrt(square)
        w.near[j] = lane.fl[RADIUS, j] + (late if late == late else math.inf)
    # a lane that has not left its start may lack a pattern
    if lane.num[TIME] > 0.0:
        w.s[:, :] = lane.pz[PATTERN]
    else:
        w.s[:, :] = 1.0
    _values(p, lane, w, out)
    lane.fl[RADIUS, :] = w.near


@compiled
def seen(p: Points, lane: Lane, step: Step, h: int, w: Watch) -> None:
    """Watch a step that has been made, and record the quantities at the times in it."""
    if w.whole[BUSY] == 0:
        return
    watch_step(p, step, h, lane.fl[BALANCE], lane.il[EXPONENT_START], w)
    while w.whole[NEXT_STOP] < w.stops.size and w.stops[w.whole[NEXT_STOP]] <= step.out[T1]:
        k = w.whole[NEXT_STOP]
        s = (w.stops[k] - step.out[T0]) / step.out[TAU] if step.out[TAU] > 0.0 else 1.0
        if w.stops[k] >= step.out[T1] or s >= 1.0:
            w.w[:, :], w.v[:] = step.st[W1], step.nh[V1]
        else:
            state_at(step, step.flag[DEGREE], max(s, 0.0), w.w, w.v)
        for j in range(w.near.size):
            w.near[j] = step.nh[NEW, j] + step.nh[LATE, j]
        quantities_at(
            p, w.w, w.v, w.s, w.exponent, w.near, step.out[GLOBAL], w.num[MANTISSA], w.whole[POWER], w.num[LOG_EPS],
            w.start, lane.fl[BALANCE], lane.il[EXPONENT_START], w.sup, w.work, w.recorded[k],
        )  # fmt: skip
        w.whole[NEXT_STOP] += 1


@compiled
def run_lane(p: Points, lane: Lane, step: Step, options: Settings, h: int, w: Watch) -> int:
    """Steps until one is not MOVED; returns its code. After HARD the step has not been watched."""
    while True:
        if w.whole[BUSY] != 0:
            w.exponent[:], w.s[:, :] = lane.il[EXPONENT], lane.pz[PATTERN]
        code = advance(p, lane, step, options)
        if code <= ARRIVED or code in (SPENT_STEPS, SPENT_KINKS, CONTRADICTION, REVERSED, UNSURE):
            seen(p, lane, step, h, w)
        if code != MOVED:
            return int(code)


def status_of(code: int, lane: Lane) -> FlowStatus:
    """What compiled code reports, by name."""
    if code == ARRIVED:
        return FlowStatus.ok
    if code in (INFINITE, UNDERFLOW):
        return FlowStatus.diverged
    if code in (SPENT_STEPS, SPENT_KINKS):
        return FlowStatus.budget
    if code == REVERSED:
        return FlowStatus.sliding if lane.cnt[WHERE] % 2 == SLIDES else FlowStatus.nonunique
    return FlowStatus.grazing


def _one(
    p: Points,
    lanes: Lanes,
    b: int,
    step: Step,
    options: Settings,
    early: Early | None,
    log_eps: float,
    w: Watch,
) -> FlowStatus:
    """Integrate one lane to its end."""
    lane, h = lanes.lane(b), lanes.h
    if early is not None and lane.num[END] > 0.0:
        reached = early_lane(
            p,
            neurons_of(lane),
            h,
            early,
            options.rtol,
            log_eps,
            w.sup,
            w.start,
            w.stops,
            w.recorded,
            w.work,
        )
        resume(lane, w, reached)
        if lane.num[TIME] >= lane.num[END]:
            return FlowStatus.ok
    if lane.num[TIME] == 0.0:
        failure = hard.start(p, lanes, b, step, options)
        if failure is not None:
            return failure[0]
    while True:
        code = run_lane(p, lane, step, options, h, w)
        if code != HARD:
            return status_of(code, lane)
        failure, _ = hard.end(p, lanes, b, step, options)
        seen(p, lane, step, h, w)
        code = ended(lane, options, MOVED)
        if code != ARRIVED and failure is not None:
            return failure[0]
        if code != MOVED:
            return status_of(code, lane)


def run_chunk(
    problem: FlowProblem,
    until: Array,
    options: Settings,
    wanted: list[bool],
    stops: Array,
    closed_form: bool,
) -> Chunk:
    """Integrate all lanes of a (small) problem.

    Args:
        until: (C,). wanted: which quantities. stops: (m,) increasing. closed_form: use the early phase.
    """
    n, d, h = problem.shape
    C, Q = problem.lanes, len(QUANTITIES)
    points, lanes = points_of(problem), Lanes.of(problem, until)
    step, w = workspace(n, d, h, options.order), watch_of(n, d, h, options.order, stops, Q)
    early = early_workspace(n, d, h) if closed_form and admitted(points) else None
    w.sup[:, WANTED], w.whole[BUSY] = wanted, any(wanted)
    radius = np.zeros((C, h)) if problem.start_radius is None else problem.start_radius
    status = np.zeros(C, dtype=np.int8)
    suprema, final = np.zeros((C, Q, 5)), np.full((C, Q, 3), np.nan)
    recorded = np.full((C, stops.size, Q, 3), np.nan)
    with np.errstate(all="ignore"):
        for b in range(C):
            log_eps = float(problem.log_eps[b])
            begin(points, lanes.lane(b), h, radius[b], log_eps, w, final[b])
            status[b] = _INDEX[_one(points, lanes, b, step, options, early, log_eps, w)]
            finish(points, lanes.lane(b), step, w, final[b])
            suprema[b], recorded[b] = w.sup, w.recorded
    W, V, exponent, radii = lanes.weights()
    return Chunk(
        status,
        lanes.t,
        lanes.count(STEPS),
        lanes.count(KINKS),
        suprema,
        final,
        recorded,
        W,
        V,
        exponent,
        radii,
    )
