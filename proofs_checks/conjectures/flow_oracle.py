"""The oracle "flow": suprema, infima and values of quantities along gradient flow, with a bound on their error.

Parameters: {"model": "two-layer-relu" | "linear", "loss", "reduction" (ReLU only), "what": "sup" | "inf" | "at",
"quantity": plain data, "numbers": names}. Arguments: X (n, d), y (n,), W (h, d), v (h,), log ε, T for ReLU networks,
A, B, W1, W2, T for linear ones; then t for "at"; then the numbers in the order of their names.

What cannot be bounded (a trajectory that slides or touches a kink within its error, T <= 0) has an infinite radius. The
bounds are numerical: between the nodes of a step quantities are smooth, and what the nodes miss is bounded by second
differences, as everywhere in this library. The integrator takes the data, and the start of a linear network, as exact;
where they are known up to rounding only, how far that moves the answer is seen from data that are moved farther.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numerics.errors import NumericsError
from numerics.evaluate import Key, freeze, lane_scalar
from numerics.supremum import SAFETY, STEEP
from proofs_checks.batch import Float, Indices, StepContext, uniform_nodes
from proofs_checks.conjectures.flow import LINEAR_VARIABLES, RELU_VARIABLES, check_variables
from proofs_checks.conjectures.measured import Recent
from proofs_checks.conjectures.trajectories import (
    Quadratic,
    Start,
    Trajectory,
    linear_trajectory,
    relu_trajectory,
)
from proofs_checks.sampling import NODES, RESOLVED
from theory.errors import LemmataError
from theory.quantity import from_data

Pair = tuple[Float, Float]  # values and error radii
ROW = np.array([0])
ANSWERS, TRAJECTORIES = 16_384, 16  # how many are remembered
# how often a piece of a step is cut into smaller ones where its nodes do not resolve it, and how many at most at a time
DEPTH, PIECES = 10, 4000
ROUNDED = 2.0**-40  # relative error of data up to which it counts as rounding
TRIALS, FARTHER = (
    4,
    1024.0,
)  # rounded data are moved so often, and so much farther than their errors


class FlowOracle:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._answers: Recent[tuple[float, float, str]] = Recent(ANSWERS)
        self._trajectories: Recent[Trajectory] = Recent(TRAJECTORIES)

    def floats(self, parameters: Mapping[str, Any], args: Sequence[Pair]) -> Pair:
        """(mid, rad), each (B,), for arguments (mid, rad) of shapes (B, ...)."""
        found = self._all(parameters, args)
        return np.array([a[0] for a in found]), np.array([a[1] for a in found])

    def reason(self, parameters: Mapping[str, Any], args: Sequence[Float]) -> str:
        """Why the first of exact arguments (1, ...) has no bound; "" if it has one."""
        return self._all(parameters, [(a, np.zeros_like(a)) for a in args])[0][2]

    def _all(
        self, parameters: Mapping[str, Any], args: Sequence[Pair]
    ) -> list[tuple[float, float, str]]:
        lanes = max(len(mid) for mid, _ in args)
        name = json.dumps(parameters, sort_keys=True)
        out = []
        for lane in range(lanes):
            own = [tuple(_lane(a, lane) for a in pair) for pair in args]
            key = (name, *(a.tobytes() for pair in own for a in pair), *(a.shape for a, _ in own))
            known = self._answers.get(key)
            out.append(known or self._answers.put(key, self._one(parameters, own)))
        return out

    def _one(self, parameters: Mapping[str, Any], args: Sequence[Any]) -> tuple[float, float, str]:
        try:
            with np.errstate(all="ignore"):
                low, high, reason = self._measure(parameters, args)
        except (LemmataError, NumericsError, ArithmeticError) as error:
            return 0.0, math.inf, str(error)
        if not (math.isfinite(low) and math.isfinite(high)):
            seen = low if math.isfinite(low) else high if math.isfinite(high) else 0.0
            return seen, math.inf, reason or "the quantity is not resolved along the trajectory"
        if low == high:  # an exact zero, say, has no error
            return low, 0.0, ""
        mid = 0.5 * low + 0.5 * high
        return mid, float(np.nextafter(max(high - mid, mid - low), math.inf)), ""

    def _measure(
        self, parameters: Mapping[str, Any], args: Sequence[Any]
    ) -> tuple[float, float, str]:
        """The ends of an interval that contains the answer, and why one of them is infinite."""
        relu = parameters["model"] == "two-layer-relu"
        count = 5 if relu else 4
        state, rest = list(args[:count]), args[count:]
        if not all(np.isfinite(a).all() for pair in state for a in pair):
            raise LemmataError("the data or the weights at the start are not finite")
        if not relu:
            (A, A_error), (B, B_error) = state[:2]
            q = Quadratic.of(A, B, A_error, B_error)
            state += [(q.M, q.M_error), (q.N, q.N_error)]
        exact = range(2) if relu else range(6)  # what the integrator takes as exact
        low, high, reason = self._answer(parameters, state, rest)
        if not any(state[k][1].any() for k in exact) or not math.isfinite(high - low):
            return low, high, reason
        moved = 0.0
        size = sum(int(np.count_nonzero(state[k][1])) for k in exact)
        draw = np.random.default_rng(0)
        for _ in range(TRIALS):
            other = _moved(state, exact, draw)
            ends = self._answer(parameters, other, rest)
            if not math.isfinite(ends[1] - ends[0]):
                return low, math.inf, f"near the data, which are rounded: {ends[2]}"
            moved = max(moved, abs(ends[0] - low), abs(ends[1] - high))
        # in the worst direction it moves by at most sqrt(size) times as much as in random ones
        moved *= SAFETY * math.sqrt(size) / FARTHER
        return low - moved, high + moved, reason

    def _answer(
        self, parameters: Mapping[str, Any], state: Sequence[Any], rest: Sequence[Any]
    ) -> tuple[float, float, str]:
        """The same, for a state of which the data are exact."""
        what, names, rest = parameters["what"], parameters["numbers"], list(rest)
        quantity = from_data(parameters["quantity"])
        relu = parameters["model"] == "two-layer-relu"
        check_variables(
            quantity, RELU_VARIABLES if relu else LINEAR_VARIABLES, dict.fromkeys(names)
        )
        end = _interval(rest.pop(0), "until")
        if end[0] <= 0:
            raise LemmataError(f"until = {end[0]:.6g}: a flow is followed for a positive time")
        at = _interval(rest.pop(0), "t") if what == "at" else end
        if at[0] < 0 or at[1] > end[1]:
            raise LemmataError(f"t = {at[0]:.6g} lies outside of 0 <= t <= until = {end[1]:.6g}")
        path = self._trajectory(parameters, state, end[1])
        numbers = {
            name: lane_scalar(np.array([float(mid)]), float(rad))
            for name, (mid, rad) in zip(names, rest, strict=True)
        }
        contexts = path.contexts(numbers)
        data = freeze(quantity.to_data())
        if what == "at":
            if at[1] > path.reached:
                return -math.inf, math.inf, path.reason
            return -_extreme(contexts, data, at, -1)[1], _extreme(contexts, data, at, 1)[1], ""
        sign = 1 if what == "sup" else -1
        whole = _extreme(contexts, data, (0.0, min(end[0], path.reached)), sign)
        if end[1] > path.reached:
            whole = whole[0], math.inf
        elif end[1] > end[0]:
            whole = whole[0], max(whole[1], _extreme(contexts, data, end, sign)[1])
        return (*(whole if sign > 0 else (-whole[1], -whole[0])), path.reason)

    def _trajectory(
        self, parameters: Mapping[str, Any], state: Sequence[Any], until: float
    ) -> Trajectory:
        key = (
            *(parameters.get(k) for k in ("model", "loss", "reduction")),
            *(a.tobytes() for pair in state for a in pair),
            *(pair[0].shape for pair in state),
            until,
        )
        known = self._trajectories.get(key)
        return known or self._trajectories.put(key, _integrated(parameters, state, until))


def _integrated(parameters: Mapping[str, Any], state: Sequence[Any], until: float) -> Trajectory:
    if parameters["model"] == "linear":
        A, B, W1, W2, M, N = (mid for mid, _ in state)
        return linear_trajectory(A, B, W1, W2, (M, N), until)
    (X, _), (y, _), (W, W_error), (v, v_error), (log_eps, log_eps_error) = state
    start = Start(W, v, float(log_eps), W_error, v_error, float(log_eps_error))
    return relu_trajectory(
        X, y, start, until, loss=parameters["loss"], reduction=parameters["reduction"]
    )


def _moved(state: Sequence[Any], which: Sequence[int], draw: np.random.Generator) -> list[Any]:
    """The state with some of its arrays moved in a random direction, farther than their errors.

    Raises:
        LemmataError: an error that is more than rounding.
    """
    out = list(state)
    for k in which:
        mid, rad = state[k]
        if rad.max(initial=0.0) > ROUNDED * np.abs(mid).max(initial=0.0):
            raise LemmataError(
                f"the data of the flow are known up to {rad.max():.2g} only: a flow needs them up to rounding"
            )
        step = FARTHER * rad * draw.choice([-1.0, 1.0], size=mid.shape)
        # M = AᵀA stays symmetric
        symmetric = k == 4 and mid.ndim == 2
        out[k] = (mid + (np.tril(step) + np.tril(step, -1).T if symmetric else step), rad)
    return out


def _lane(a: Float, lane: int) -> Float:
    return np.array(a[min(lane, len(a) - 1)], dtype=np.float64)


def _interval(pair: Any, name: str) -> tuple[float, float]:
    """The ends of a time."""
    mid, rad = float(pair[0]), float(pair[1])
    if not (math.isfinite(mid) and math.isfinite(rad)):
        raise LemmataError(f"{name} is not known: {mid} within {rad}")
    if rad == 0:
        return mid, mid
    return float(np.nextafter(mid - rad, -math.inf)), float(np.nextafter(mid + rad, math.inf))


@dataclass(frozen=True)
class _Pieces:
    """Parts of steps: the rows of a context in which they lie, their ends, each (P,)."""

    context: StepContext
    rows: Indices
    start: Float
    end: Float

    def cut(self, which: Indices) -> _Pieces:
        """Some of them, each in equal parts."""
        cuts = uniform_nodes(self.start[which], self.end[which])
        rows = np.repeat(self.rows[which], cuts.shape[1] - 1)
        return _Pieces(self.context, rows, cuts[:, :-1].ravel(), cuts[:, 1:].ravel())

    def bounds(self, data: Key, sign: int) -> tuple[Float, Float, Float]:
        """The largest lower end at nodes, the largest upper end, and what lies between nodes at most above that."""
        times = uniform_nodes(self.start, self.end)
        if self.context.lanes.size == 1:
            env = self.context.environment(ROW, times.reshape(1, -1))
            shape = (1, times.size, 1, 1, 1)
        else:
            env = self.context.environment(self.rows, times)
            shape = (*times.shape, 1, 1, 1)
        value, radius = env.evaluate(data).to_float()
        q, r = (np.broadcast_to(a, shape).reshape(times.shape) for a in (value, radius))
        known = np.asarray((np.isfinite(q) & np.isfinite(r)).all(axis=1))
        q, r = (np.where(known[:, None], a, 0.0) for a in (sign * q, r))
        return (
            np.where(known, (q - r).max(axis=1), -np.inf),
            np.where(known, (q + r).max(axis=1), np.inf),
            np.where(known, _between(q, r), 0.0),
        )


def _extreme(
    contexts: Sequence[StepContext], data: Key, span: tuple[float, float], sign: int
) -> tuple[float, float]:
    """An interval that contains the supremum of sign·quantity over a span of time."""
    groups = []
    for c in contexts:
        start, end = np.maximum(c.start, span[0]), np.minimum(c.end, span[1])
        rows = np.flatnonzero(start <= end)
        groups.append(_Pieces(c, rows, start[rows], end[rows]))
    low, high = -math.inf, -math.inf
    for depth in range(DEPTH + 1):
        groups = [g for g in groups if g.rows.size]
        found = [(g, *g.bounds(data, sign)) for g in groups]
        low = max([low, *(float(below.max()) for _, below, _, _ in found)])
        groups, count = [], 0
        for pieces, below, above, missed in found:
            # a closer look is worth it where it could exclude a supremum, beyond the error of the nodes
            matters = (above + missed > low) & (
                missed > np.maximum(RESOLVED * abs(low), above - below)
            )
            closer = np.flatnonzero(matters)
            room = -(-(PIECES - count) // (NODES[0] - 1)) if depth < DEPTH else 0
            closer = closer[: max(room, 0)]
            rest = np.ones(matters.size, dtype=bool)
            rest[closer] = False
            high = max(high, float((above + missed)[rest].max(initial=-math.inf)))
            groups.append(pieces.cut(closer))
            count += groups[-1].rows.size
    return low, high


def _between(q: Float, r: Float) -> Float:
    """By how much smooth functions can exceed their values at equidistant nodes; infinite where these resolve nothing.

    The bound of `numerics.supremum` for differences in place of quotients: a parabola with second difference S exceeds
    the higher end of its interval by (S/8) (1 - 2 slope/S)².

    Args:
        q, r: (P, m) values and error bounds of P functions.
    """
    slope = np.abs(np.diff(q, axis=1))
    certain = slope - r[:, :-1] - r[:, 1:]
    top = q.max(axis=1)
    bend = np.abs(q[:, :-2] - 2.0 * q[:, 1:-1] + q[:, 2:])
    left, right = (
        np.concatenate(pair, axis=1) for pair in ((bend[:, :1], bend), (bend, bend[:, -1:]))
    )
    S = SAFETY * np.maximum(left, right)
    inside = np.maximum(1.0 - 2.0 * slope / np.where(S > 0, S, 1.0), 0.0)
    peaks = np.maximum(q[:, :-1], q[:, 1:]) + np.where(S > 0, S / 8.0 * inside**2, 0.0)
    missed = np.maximum(peaks.max(axis=1) - top, 0.0)
    return np.where(certain.max(axis=1) > STEEP * (top - q.min(axis=1)), np.inf, missed)
