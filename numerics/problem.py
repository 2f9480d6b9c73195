"""What is integrated, with which options, and what comes back: the plain types of the engine.

They are shared by every engine that implements ``numerics.interface.Integrator``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.errors import NumericsError
from numerics.losses import loss as loss_of

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


# Data and weights beyond it (or below its reciprocal) would overflow in squares of squares.
LARGEST = 1e60


def _real_array(name: str, value: ArrayLike, ndim: int, axes: str) -> Array:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise NumericsError(f"{name} is not an array of real numbers: {error}") from None
    if array.ndim != ndim:
        raise NumericsError(f"{name} has shape {array.shape}; give it the axes {axes}")
    if array.size == 0:
        raise NumericsError(f"{name} is empty (shape {array.shape}); every axis needs an entry")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        where = tuple(int(i) for i in bad[0])
        raise NumericsError(
            f"{name}[{', '.join(map(str, where))}] is {array[where]}; remove or repair it"
        )
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class FlowProblem:
    """Gradient flow of f(x) = sum_j v_j relu(<w_j, x>) from B initialisations on one data set.

    The training loss is ``weight * sum_i l(y_i, f(x_i))``: ``weight`` is 1 for a sum, 1/n for a
    mean, 1/(2n) for a half-mean. With g_i = -weight * dl/df(y_i, f(x_i)) and the activation
    s_ij = 1[<w_j, x_i> > 0] (so relu'(0) = 0), the flow is
    w_j' = v_j sum_i g_i s_ij x_i and v_j' = sum_i g_i s_ij <w_j, x_i>.

    The start is w_j(0) = eps * W0_j, v_j(0) = eps * v0_j with eps = exp(log_eps), which may be as
    small as exp(-1e6): it is never formed in floating point.

    Args:
        X: (n, d) data points. y: (n,) labels, +-1 except for the loss "squared".
        loss: a name of ``numerics.losses``. weight: positive.
        W0: (B, h, d), not multiplied by eps. v0: (B, h), not multiplied by eps.
        log_eps: (B,) natural logarithm of eps.
        start_radius: (B, h) bound on the Euclidean error of (W0_j, v0_j), >= 0; by default they are
            exact, up to the rounding of v0.
        direction_radius: (B, h) bound on the Euclidean error of W0_j alone, up to a positive factor, which moves no
            <w_j, x_i> off zero; at most ``start_radius``, which it is by default.

    Raises:
        NumericsError: NaN, inf, empty or mis-shaped arrays, labels, an unknown loss.
    """

    X: Array
    y: Array
    loss: str
    weight: float
    W0: Array
    v0: Array
    log_eps: Array
    start_radius: Array | None = None
    direction_radius: Array | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "X", _real_array("X", self.X, 2, "(n, d)"))
        put(self, "y", _real_array("y", self.y, 1, "(n,)"))
        put(self, "W0", _real_array("W0", self.W0, 3, "(B, h, d)"))
        put(self, "v0", _real_array("v0", self.v0, 2, "(B, h)"))
        put(self, "log_eps", _real_array("log_eps", self.log_eps, 1, "(B,)"))
        (n, d), (lanes, h, dim) = self.X.shape, self.W0.shape
        if dim != d:
            raise NumericsError(f"W0 has {dim} coordinates and X has {d}; make them equal")
        if self.y.shape != (n,):
            raise NumericsError(f"y has {self.y.size} labels for {n} points; give one per point")
        if self.v0.shape != (lanes, h):
            raise NumericsError(f"v0 has shape {self.v0.shape}; W0 asks for {(lanes, h)}")
        if self.log_eps.shape != (lanes,):
            raise NumericsError(f"log_eps has shape {self.log_eps.shape}; W0 asks for {(lanes,)}")
        for name in ("start_radius", "direction_radius"):
            if (radius := getattr(self, name)) is not None:
                put(self, name, _real_array(name, radius, 2, "(B, h)"))
                if getattr(self, name).shape != (lanes, h) or (getattr(self, name) < 0).any():
                    raise NumericsError(f"{name}: give {(lanes, h)} numbers of at least 0")
        if self.direction_radius is not None and (
            self.start_radius is None or (self.direction_radius > self.start_radius).any()
        ):
            raise NumericsError("direction_radius: it is a part of start_radius; give that as well")
        sizes = np.abs(self.X[self.X != 0])
        if sizes.size and (sizes.max() > LARGEST or sizes.max() < 1.0 / LARGEST):
            raise NumericsError(
                f"the largest entry of X is {sizes.max():.3g}: divide X by it, and multiply times by it"
            )
        far = np.abs(self.log_eps) > 1e6
        if far.any():
            raise NumericsError(f"log_eps = {self.log_eps[far][0]}: keep |log_eps| <= 1e6")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise NumericsError(f"weight is {self.weight}; use 1 for a sum, 1/n for a mean")
        if not 1.0 / LARGEST <= self.weight <= LARGEST:
            raise NumericsError(
                f"weight is {self.weight}: keep it within [1e-60, 1e60] and scale times instead"
            )
        if loss_of(self.loss).signed_labels and not np.all(np.abs(self.y) == 1.0):
            wrong = self.y[np.abs(self.y) != 1.0][0]
            raise NumericsError(
                f"label {wrong} with the loss {self.loss!r}: use -1 and 1, or the loss 'squared'"
            )

    @classmethod
    def balanced(
        cls,
        *,
        X: ArrayLike,
        y: ArrayLike,
        loss: str,
        weight: float,
        W0: ArrayLike,
        signs: ArrayLike,
        log_eps: ArrayLike,
    ) -> FlowProblem:
        """The start v_j(0) = signs_j * |w_j(0)|.

        Args:
            signs: (B, h) or (h,), entries +-1. log_eps: (B,) or a number. The rest as above.
        """
        directions = _real_array("W0", W0, 3, "(B, h, d)")
        lanes, h, _ = directions.shape
        sign = np.asarray(signs, dtype=np.float64)
        if sign.shape not in {(h,), (lanes, h)}:
            raise NumericsError(f"signs has shape {sign.shape}; use {(h,)} or {(lanes, h)}")
        if not np.all(np.abs(sign) == 1.0):
            raise NumericsError("signs has an entry that is neither 1 nor -1; use only these")
        # math.hypot is accurate to one unit in the last place, which the initial radius covers.
        norms = np.array([[math.hypot(*w) for w in lane] for lane in directions.tolist()])
        scale = np.asarray(log_eps, dtype=np.float64)
        if scale.ndim == 0:
            scale = np.full(lanes, float(scale))
        return cls(
            X=np.asarray(X, dtype=np.float64),
            y=np.asarray(y, dtype=np.float64),
            loss=loss,
            weight=weight,
            W0=directions,
            v0=sign * norms,
            log_eps=scale,
        )

    @property
    def lanes(self) -> int:
        """Number B of initialisations."""
        return int(self.W0.shape[0])

    @property
    def turned(self) -> Array:
        """(B, h) how far W0_j may be from a positive multiple of the true one."""
        given = self.start_radius if self.direction_radius is None else self.direction_radius
        return np.zeros(self.v0.shape) if given is None else given

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, d, h)."""
        return int(self.X.shape[0]), int(self.X.shape[1]), int(self.W0.shape[1])

    def end_times(self, until: float | Array) -> Array:
        """(B,) end times from a number or one per lane.

        Raises:
            NumericsError: negative, not finite or mis-shaped.
        """
        end = np.array(until, dtype=np.float64)
        if end.ndim == 0:
            end = np.full(self.lanes, float(end))
        if end.shape != (self.lanes,):
            raise NumericsError(f"until has shape {end.shape}; give a number or {(self.lanes,)}")
        if not np.all(np.isfinite(end) & (end >= 0)):
            raise NumericsError("until must be finite and >= 0 in every lane")
        return end

    def select(self, lanes: Sequence[int] | Ints) -> FlowProblem:
        """The same problem restricted to some lanes."""
        index = np.asarray(lanes, dtype=np.int64)
        return FlowProblem(
            X=self.X,
            y=self.y,
            loss=self.loss,
            weight=self.weight,
            W0=self.W0[index],
            v0=self.v0[index],
            log_eps=self.log_eps[index],
            start_radius=None if self.start_radius is None else self.start_radius[index],
            direction_radius=None
            if self.direction_radius is None
            else self.direction_radius[index],
        )


@dataclass(frozen=True)
class FlowOptions:
    """Options of an integration; the defaults were chosen by measurement.

    Args:
        order: degree of the Taylor polynomials, 4 to 40.
        rtol: bound on the last term of a step relative to the neuron, 1e-16 to 1e-2.
        max_steps, max_kinks: budgets per lane; a lane that exceeds one gets the status ``budget``.
        fixed_step: length of every step (steps still end at kinks); for measurements of the order.
    """

    order: int = 20
    rtol: float = 1e-13
    max_steps: int = 50_000
    max_kinks: int = 20_000
    fixed_step: float | None = None

    def __post_init__(self) -> None:
        if not 4 <= self.order <= 40:
            raise NumericsError(f"order is {self.order}; use 4 to 40")
        if not 1e-16 <= self.rtol <= 1e-2:
            raise NumericsError(f"rtol is {self.rtol}; use 1e-16 to 1e-2")
        if self.max_steps < 1 or self.max_kinks < 1:
            raise NumericsError("max_steps and max_kinks are budgets; give at least 1")
        if self.fixed_step is not None and not (
            math.isfinite(self.fixed_step) and self.fixed_step > 0
        ):
            raise NumericsError(f"fixed_step is {self.fixed_step}; give a positive length or None")


class FlowStatus(Enum):
    """Why a trajectory ended; the text is the diagnosis with its remedy."""

    ok = "reached its end time"
    sliding = "two activation patterns push the neuron back onto a kink: no solution exists beyond"
    nonunique = "several activation patterns continue the trajectory: it is not determined"
    grazing = "a neuron touches a kink within the error: whether it crosses is not decided"
    budget = "the budget of steps or kinks is spent; raise max_steps or max_kinks"
    diverged = "the state is no longer finite; shorten the horizon"


@dataclass(frozen=True, slots=True)
class Kink:
    """The activation of one neuron on one point flips.

    Args:
        lane, neuron, point: where. t: when, with ``t_error`` bounding the error of t.
        active: the activation after the kink.
        zdot_before, zdot_after: d<w_j, x_i>/dt on both sides, divided by |(w_j, v_j)|.
    """

    lane: int
    t: float
    neuron: int
    point: int
    active: bool
    zdot_before: float
    zdot_after: float
    t_error: float


@dataclass(frozen=True)
class KinkTable:
    """Many kinks as arrays (K,), one entry per kink; the names are those of ``Kink``."""

    lane: Ints
    t: Array
    neuron: Ints
    point: Ints
    active: Bools
    zdot_before: Array
    zdot_after: Array
    t_error: Array

    @classmethod
    def of(
        cls, rows: Sequence[tuple[int, float, int, int, bool, float, float, float]]
    ) -> KinkTable:
        """From tuples in the order of the fields."""
        kinds = (np.int64, np.float64, np.int64, np.int64, np.bool_, *[np.float64] * 3)
        columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
        return cls(*(np.array(c, dtype=k) for c, k in zip(columns, kinds, strict=True)))

    def kinks(self, which: slice) -> tuple[Kink, ...]:
        """Some of them, one by one."""
        columns = (
            self.lane, self.t, self.neuron, self.point, self.active,
            self.zdot_before, self.zdot_after, self.t_error,
        )  # fmt: skip
        rows = zip(*(c[which].tolist() for c in columns), strict=True)
        return tuple(
            Kink(a, t, j, i, s, before, after, e) for a, t, j, i, s, before, after, e in rows
        )


@dataclass(frozen=True)
class FlowResult:
    """The outcome, lane by lane. A lane that is not ``ok`` is valid up to ``t``.

    The true weights at time t are exp(log_eps) * 2**exponent_j * (W_j, V_j).

    Args:
        status: (B,) of ``FlowStatus``. reason: (B,) text, empty for ``ok``. t: (B,).
        W: (B, h, d). V: (B, h). exponent: (B, h) integers.
        radius: (B, h) bound on the Euclidean error of (W_j, V_j), in the units of W and V.
        kink_table: ordered by lane, then by time; see ``kinks``.
        drift: (B,) maximum over steps and neurons of |Q_j(t) - Q_j(0)| / |w_j(t)|^2 for the
            conserved Q_j = v_j^2 - |w_j|^2, which is 0 for a balanced start.
        steps: (B,) accepted steps. evaluations: (B,) series and residual evaluations of the field.
    """

    status: tuple[FlowStatus, ...]
    reason: tuple[str, ...]
    t: Array
    W: Array
    V: Array
    exponent: Ints
    radius: Array
    kink_table: KinkTable
    drift: Array
    steps: Ints
    evaluations: Ints

    @property
    def ok(self) -> Bools:
        """(B,) True where the lane reached its end time."""
        return np.array([s is FlowStatus.ok for s in self.status])

    @cached_property
    def kinks(self) -> tuple[Kink, ...]:
        """All kinks, ordered by lane, then by time."""
        return self.kink_table.kinks(slice(None))

    def kinks_of(self, lane: int) -> tuple[Kink, ...]:
        """The kinks of one lane, in order of time."""
        first, last = np.searchsorted(self.kink_table.lane, (lane, lane + 1))
        return self.kink_table.kinks(slice(int(first), int(last)))

    def summary(self) -> dict[str, Any]:
        """Counts of the statuses, and the extremes of radius, drift, steps and kinks."""
        return {
            "status": {s.name: self.status.count(s) for s in FlowStatus if s in self.status},
            "radius": float(self.radius.max()),
            "drift": float(self.drift.max()),
            "steps": int(self.steps.max()),
            "kinks": int(self.kink_table.lane.size),
        }
