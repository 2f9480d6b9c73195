"""How early alignment is measured: separability, opposite cones, and the events of a trajectory.

Numbers before the integration: ``mu``, ``gap`` = min{μ X_min, min_j ‖x_∓‖ sin φ_j}, ``escape`` = max_j log cot(φ_j/2) /
‖x_∓‖ over the neurons that start in the cone opposite to their sign (0 where there is none), ``c_loss``.

Events: ``t_align``, the earliest time from which on every neuron is in the cone of its sign or dead; ``t2``, the first
time at which both classes reach max|f| = 1/4, with ``loss2``, ``a_plus``, ``a_minus`` there; ``survivors_plus`` and
``survivors_minus``, numbers of neurons in S_± once all are aligned; ``t_grow``, the first time at which a squared norm
has grown by the factor 1/ε, and ``rate_max`` = sup of d‖w_j‖²/dt / ‖w_j‖² up to the stated length log(1/ε)/C of the
phase (after that length the rate does not matter).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np

from numerics.evaluate import freeze, lane_scalar
from numerics.extended import ScaledArray, scaled
from proofs_checks.batch import Batch, Float, Indices, StepContext
from proofs_checks.blocks import firsts, lasts, previous, reduce_lanes
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.sampling import suprema
from theory.early_alignment import FINAL_PHASE, PHASE_LENGTH, T_DEFINITION
from theory.quantity import (
    amax,
    amin,
    maximum,
    minimum,
    quantity,
    relu,
    sqnorm,
    step,
    total,
    var,
)
from theory.quantity import qabs as absolute

_w, _v, _f, _y, _s = var("w", "jk"), var("v", "j"), var("f", "i"), var("y", "i"), var("s", "ji")
_positive, _negative = step(_y), step(-_y)
BOTH_GROWN = quantity(1) <= quantity(4) * minimum(
    amax(absolute(_f) * _positive, "i"), amax(absolute(_f) * _negative, "i")
)
# activation on all points of one class and on none of the other, and the sign of v
_in_plus = amin(maximum(_s, _negative), "i") * (quantity(1) - amax(_s * _negative, "i")) * step(_v)
_in_minus = (
    amin(maximum(_s, _positive), "i") * (quantity(1) - amax(_s * _positive, "i")) * step(-_v)
)
A_PLUS, A_MINUS = (freeze(total(_v**2 * cone, "j").to_data()) for cone in (_in_plus, _in_minus))
GROWN = quantity(1) <= var("eps") * amax(sqnorm(_w) / var("w0_sq", "j"), "j")
_C = PHASE_LENGTH.bindings()["C"]
# shifted by C: a rate that rises from 0 within a step is resolved on the scale that decides
_RATE, _ONE = freeze((relu(amax(var("growth", "j"), "j")) + _C).to_data()), ("rat", "1")
_PHASE = freeze(PHASE_LENGTH.expand(PHASE_LENGTH.parts[0].relation).lhs.to_data())
_WHILE = freeze((quantity(2) * FINAL_PHASE.expand(T_DEFINITION.value)).to_data())
_T2_BOUND = freeze(FINAL_PHASE.expand(FINAL_PHASE.parts[1].relation).rhs.to_data())
EXACT_BELOW = 1e-9  # cosines smaller than this are decided with rational arithmetic


class _Change(NamedTuple):
    """A network comes to be aligned, or ceases to be."""

    lane: int
    time: float
    aligned: bool
    survivors: tuple[float, float]  # numbers of neurons in S_+ and S_-


class EarlyAlignmentClaim(TrajectoryClaim):
    """Numbers and events of early alignment; see the module's docstring."""

    def __init__(self, batch: Batch, wanted: Iterable[str]) -> None:
        super().__init__(batch, wanted)
        self._static()
        size = batch.size
        self.declare(
            "t_align", "t2", "loss2", "a_plus", "a_minus", "survivors_plus", "survivors_minus"
        )
        self.declare("t_grow", "rate_max")
        self.open_events = {
            name: np.ones(size, dtype=bool) for name in ("t_align", "t2", "t_grow", "rate_max")
        }
        self._aligned = np.zeros(size, dtype=bool)
        self._changes: list[_Change] = []
        self._lost = np.full(
            size, np.inf
        )  # when a network was aligned first without survivors of both signs
        self._rate = np.full((2, size), 1e-300)
        self._coarse = np.full(size, np.log(1e-300))
        self._phase = self.lane_value(_PHASE)[0]

    # -- before the integration ---------------------------------------------------------------------------------
    def _static(self) -> None:
        X, y, size = self.batch.X, self.batch.y, self.batch.size
        rounding = (X.shape[1] + 4) * 2.0**-52
        mu, mu_error = self._mu
        self.numbers["mu"] = lane_scalar(np.full(size, mu), mu_error)
        self.numbers["c_loss"] = lane_scalar(np.full(size, self._c_loss), 2.0**-51)
        X_min = float(np.linalg.norm(X, axis=1).min())
        gap = np.full(size, mu * X_min)
        escape = np.zeros(size)
        error = np.zeros(size)
        for sign in (1.0, -1.0):
            opposite = X[y == -sign].sum(axis=0)
            length = float(np.linalg.norm(opposite))
            if length == 0:
                continue
            # W0 directions in the cone opposite to the sign of v
            z = self.batch.W0 @ X.T
            active = np.where(y == -sign, z > 0, z <= 0).all(axis=2) & (self.batch.signs == sign)
            directions = self.batch.W0 / np.linalg.norm(self.batch.W0, axis=2, keepdims=True)
            axis = opposite / length
            cos = directions @ axis
            # from the rest of the projection: √(1 - cos²) would lose half of the digits of a small angle
            sin = np.linalg.norm(directions - cos[:, :, None] * axis, axis=2)
            gap = np.minimum(gap, np.where(active, length * sin, np.inf).min(axis=1))
            with np.errstate(divide="ignore", invalid="ignore"):
                slow = np.where(active, np.log((1 + cos) / sin) / length, 0.0)  # log cot(φ/2)
                escape = np.maximum(escape, slow.max(axis=1))
                error = np.maximum(
                    error, np.where(active, 4 * rounding / (sin * length), 0.0).max(axis=1)
                )
        self.numbers["gap"] = lane_scalar(gap, 8 * rounding * (np.abs(gap) + X_min + 1.0))
        self.numbers["escape"] = lane_scalar(escape, error)
        self.numbers["w0_sq"] = _neurons(np.sum(self.batch.W0**2, axis=2), self.batch)

    @cached_property
    def _mu(self) -> tuple[float, float]:
        """(μ, bound on its error); exactly 0 is recognised."""
        X, y = self.batch.X, self.batch.y
        norms = np.linalg.norm(X, axis=1)
        if (norms == 0).any():
            return 0.0, 0.0
        value, i, k = self._worst_pair
        if abs(value) < EXACT_BELOW:
            product = sum(
                Fraction(float(a)) * Fraction(float(b)) for a, b in zip(X[i], X[k], strict=True)
            )
            exact = float(product) * y[i] * y[k] / float(norms[i] * norms[k])
            # other pairs may be as close: they lie within the rounding of the worst one
            return exact, 0.0 if exact <= 0 else 2.0**-40 * exact
        return value, (X.shape[1] + 4) * 2.0**-52

    @cached_property
    def _worst_pair(self) -> tuple[float, int, int]:
        """(cosine of y_i x_i and y_k x_k, i, k), the smallest."""
        Z = self.batch.X * self.batch.y[:, None]
        norms = np.linalg.norm(Z, axis=1)
        safe = np.where(norms > 0, norms, 1.0)
        cos = (Z @ Z.T) / (safe[:, None] * safe[None, :])
        i, k = np.unravel_index(int(np.argmin(cos)), cos.shape)
        return float(cos[i, k]), int(i), int(k)

    @property
    def _c_loss(self) -> float:
        return 1.0 if self.batch.loss == "exponential" else 0.25 / float(np.log(2.0)) ** 2

    def explain(self, hypothesis: str, lane: int) -> str:
        zero = np.flatnonzero(np.linalg.norm(self.batch.X, axis=1) == 0)
        if zero.size:
            return f"point {zero[0]} is zero, so it has no direction"
        value, i, k = self._worst_pair
        same = "same class" if self.batch.y[i] == self.batch.y[k] else "opposite classes"
        cosine = value * self.batch.y[i] * self.batch.y[k]
        return f"points {i} and {k} ({same}) have cosine {cosine:.4g}"

    # -- during the integration ---------------------------------------------------------------------------------
    def on_step(self, context: StepContext) -> None:
        if self.wanted & {"t_align", "t2", "survivors_plus", "survivors_minus"}:
            self._watch_alignment(context)
        if self.wanted & {"t2", "loss2", "a_plus", "a_minus"}:
            self._watch_t2(context)
        if self.wanted & {"t_grow", "rate_max"}:
            self._watch_growth(context)

    def _watch_alignment(self, context: StepContext) -> None:
        mask, lanes = context.step.mask, context.lanes
        positive = self.batch.y > 0
        plus = (mask == positive).all(axis=2)
        minus = (mask == ~positive).all(axis=2)
        dead = ~mask.any(axis=2)
        signs = self.batch.signs[lanes]
        plus, minus = plus & (signs > 0), minus & (signs < 0)
        aligned = (plus | minus | dead).all(axis=1)
        changed = np.flatnonzero(aligned != previous(lanes, aligned, self._aligned))
        final = lasts(lanes)
        self._aligned[lanes[final]] = aligned[final]
        for row in changed.tolist():
            change = _Change(
                int(lanes[row]),
                float(context.start[row]),
                bool(aligned[row]),
                (float(plus[row].sum()), float(minus[row].sum())),
            )
            self._changes.append(change)
            if change.aligned and min(change.survivors) == 0:
                self._lost[change.lane] = min(self._lost[change.lane], change.time)
        if changed.size:
            self._apply(self._changes[-changed.size :])
            context.forget()

    def _apply(self, changes: Sequence[_Change]) -> None:
        """The numbers after these changes, which are in the order of time in each lane."""
        now = {c.lane: c for c in changes}
        lanes = np.array(list(now))
        times = np.array([c.time if c.aligned else np.nan for c in now.values()])
        self.set("t_align", lanes, times, 2.0**-50 * times)
        self.open_events["t_align"][lanes] = np.isnan(times)
        then = {c.lane: c for c in changes if c.aligned}
        lanes = np.array(list(then), dtype=np.intp)
        for k, name in enumerate(("survivors_plus", "survivors_minus")):
            self.set(name, lanes, np.array([c.survivors[k] for c in then.values()]))

    def _watch_t2(self, context: StepContext) -> None:
        rows = np.flatnonzero(self.open_events["t2"][context.lanes])
        found, times, errors = self.first_time(context, rows, BOTH_GROWN)
        if not found.size:
            return
        lanes = context.lanes[found]
        env = context.environment(found, times[:, None])
        for name, data in (("loss2", ("var", "loss")), ("a_plus", A_PLUS), ("a_minus", A_MINUS)):
            value, radius = env.evaluate(data).to_float()
            self.set(name, lanes, value.reshape(-1), radius.reshape(-1))
        self.set("t2", lanes, times, errors)
        self.open_events["t2"][lanes] = False
        context.forget()

    def _watch_growth(self, context: StepContext) -> None:
        lanes = context.lanes
        self._track_rate(context, np.flatnonzero(context.start <= self._phase[lanes]))
        rows = np.flatnonzero(self.open_events["t_grow"][lanes])
        found, times, errors = self.first_time(context, rows, GROWN)
        if found.size:
            self.set("t_grow", lanes[found], times, errors)
            self.open_events["t_grow"][lanes[found]] = False
            context.forget()

    def _track_rate(self, context: StepContext, rows: Indices) -> None:
        if not rows.size:
            return
        end = np.minimum(context.end, self._phase[context.lanes])
        s = suprema(context, rows, context.start, end, (_RATE, _ONE), self._coarse)
        first = firsts(s.lanes)
        for k, top in enumerate((s.top.mid, s.top.high)):
            so_far = self._rate[k, s.lanes[first]]
            self._rate[k, s.lanes[first]] = np.maximum(
                so_far, np.exp(reduce_lanes(np.maximum, s.lanes, top))
            )
        lanes = context.lanes[rows]
        self.open_events["rate_max"][lanes[context.end[rows] >= self._phase[lanes]]] = False

    def finish(self, reached: Float) -> None:
        self._forget_after(reached)
        super().finish(reached)
        shift, _ = self.lane_value(_C.to_data())
        rate, high = np.maximum(self._rate - shift, 0.0)
        error = high - rate + 2.0**-48 * shift
        self.set("rate_max", np.arange(self.batch.size), rate, error)

    # -- how long to wait ---------------------------------------------------------------------------------------
    def deadline(self, name: str) -> Float:
        if name != "t2":
            return super().deadline(name)
        # without survivors of both signs an aligned network never reaches t2, and without separability there is no
        # bound on t2: such networks are followed for a while only
        bound, a_while = 1.01 * self.lane_value(_T2_BOUND)[0], self.lane_value(_WHILE)[0]
        lost = np.where(np.isfinite(self._lost), np.maximum(a_while, self._lost), np.inf)
        return np.minimum(np.where(np.isnan(bound), a_while, bound), lost)

    def _forget_after(self, reached: Float) -> None:
        """Undo what was seen in steps beyond the end of the trajectory."""
        late = {c.lane for c in self._changes if c.time > reached[c.lane]}
        for lane in late:
            kept = [c for c in self._changes if c.lane == lane and c.time <= reached[lane]]
            for name in ("t_align", "survivors_plus", "survivors_minus"):
                self.set(name, np.array([lane]), np.full(1, np.nan))
            self.open_events["t_align"][lane] = True
            if kept:
                self._apply(kept)
        for name, others in (("t2", ("loss2", "a_plus", "a_minus")), ("t_grow", ())):
            lanes = np.flatnonzero(self.numbers[name].m[:, 0, 0, 0, 0] > reached)
            for number in (name, *others):
                self.set(number, lanes, np.full(lanes.size, np.nan))
            self.open_events[name][lanes] = True


def _neurons(values: Float, batch: Batch) -> ScaledArray:
    """(B, h) numbers with the scale ε² as an array over neurons."""
    mantissa, exponent = batch.eps
    m = (values * mantissa[:, None] ** 2)[:, None, :, None, None]
    return scaled(m, 8 * 2.0**-52 * m, 2 * exponent[:, None, None, None, None])
