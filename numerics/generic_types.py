"""What the generic path takes and gives: options, results and the checks of its input.

Nothing here needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.descent_types import real_array
from numerics.errors import NumericsError
from numerics.problem import FlowStatus

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

BOUNDS = ("auto", "dense", "lanczos", "none")
# The smallest relative tolerance that the arithmetic can follow.
FINEST = {"float64": 1e-14, "float32": 1e-6}


@dataclass(frozen=True, kw_only=True)
class GenericOptions:
    """Options of ``generic_flow``.

    Args:
        bound: how the extreme eigenvalues of the Hessian are found: "dense" forms it,
            "lanczos" needs products with it only, "auto" chooses by the number of parameters;
            "none" gives infinite bounds and saves their cost.
        max_steps: budget of attempted steps per lane. max_kinks: budget of switches per lane.
        first_step: length of the first attempt; None chooses it.
        fixed_step: length of every step, without error control (they still end at switches); for
            measurements of the order.
        chunk: number of lanes that are integrated together; it bounds the memory.
    """

    bound: str = "auto"
    max_steps: int = 20_000
    max_kinks: int = 20_000
    first_step: float | None = None
    fixed_step: float | None = None
    chunk: int = 1024

    def __post_init__(self) -> None:
        if self.bound not in BOUNDS:
            raise NumericsError(f"unknown bound {self.bound!r}; use one of: {', '.join(BOUNDS)}")
        if min(self.max_steps, self.max_kinks, self.chunk) < 1:
            raise NumericsError("max_steps, max_kinks and chunk must be at least 1")
        for name in ("first_step", "fixed_step"):
            length = getattr(self, name)
            if length is not None and not (math.isfinite(length) and length > 0):
                raise NumericsError(f"{name} is {length}; give a positive length or None")


@dataclass(frozen=True, slots=True)
class SwitchEvent:
    """One switch function changes its sign along the trajectory of a lane.

    Args:
        lane, switch: where. t: when, with ``t_error`` bounding the error of t.
        active: whether the function is positive from here on.
        speed_before, speed_after: its time derivative on both sides.
    """

    lane: int
    t: float
    switch: int
    active: bool
    speed_before: float
    speed_after: float
    t_error: float


@dataclass(frozen=True)
class Measured:
    """Values of one quantity with bounds on their errors, both of one shape.

    ``time`` is where a supremum is attained, and None for values at given times.
    """

    value: Array
    error: Array
    time: Array | None = None


@dataclass(frozen=True)
class GenericResult:
    """The outcome, lane by lane. A lane that is not ``ok`` is valid up to its ``t``.

    Args:
        status: (B,) of ``FlowStatus``. reason: (B,) text, empty for ``ok``. t: (B,).
        params: the final state, name by name, each (B, ...).
        radius: (B,) estimated bound on the Euclidean error of a lane's whole state at ``t``;
            infinite where there is none, and everywhere if the loss may jump without a declared
            switch. See ``numerics.generic_flow`` for what it rests on.
        loss: (B,) at ``t``.
        events: the switches, ordered by lane and time. kinks: (B,) how many.
        steps: (B,) accepted steps. rejected: (B,) attempts that were not.
        final: each quantity at ``t``, (B,). suprema: its maximum over [0, t], (B,).
        recorded: each quantity at ``record_at``, (B, K); NaN at times that a lane did not reach.
        path: the states at ``record_at``, each (B, K, ...), where they were asked for.
        device, dtype: what was used. compiled: whether a compiled step was used.
    """

    status: tuple[FlowStatus, ...]
    reason: tuple[str, ...]
    t: Array
    params: dict[str, Array]
    radius: Array
    loss: Array
    events: tuple[SwitchEvent, ...]
    kinks: Ints
    steps: Ints
    rejected: Ints
    final: dict[str, Measured]
    suprema: dict[str, Measured]
    recorded: dict[str, Measured]
    path: dict[str, Array] | None
    device: str
    dtype: str
    compiled: bool

    @property
    def ok(self) -> Bools:
        """(B,) True where the lane reached its end time."""
        return np.array([s is FlowStatus.ok for s in self.status])

    def events_of(self, lane: int) -> tuple[SwitchEvent, ...]:
        """The switches of one lane, in order of time."""
        return tuple(e for e in self.events if e.lane == lane)


def checked_start(start: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """The start as finite float64 arrays with one leading axis B in common.

    Raises:
        NumericsError: no arrays, other names than strings, shapes that do not fit, NaN or inf.
    """
    if not isinstance(start, Mapping) or not start:
        raise NumericsError("start must map the name of each parameter to an array (B, ...)")
    arrays: dict[str, Array] = {}
    for name, value in start.items():
        if not isinstance(name, str):
            raise NumericsError(f"the parameter name {name!r} is no string; name each by a string")
        try:
            array = real_array(value)
        except (TypeError, ValueError) as error:
            raise NumericsError(f"start[{name!r}] is no array of real numbers: {error}") from None
        if array.ndim == 0 or array.size == 0:
            raise NumericsError(
                f"start[{name!r}] has shape {array.shape}; give it a leading axis with one entry "
                "per trajectory, and no empty axis"
            )
        if not np.isfinite(array).all():
            raise NumericsError(f"start[{name!r}] has entries that are not finite; repair them")
        arrays[name] = array
    sizes = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise NumericsError(
            f"the leading axes of start differ: {sizes}; each parameter needs one entry per trajectory"
        )
    return arrays


def _numbers(name: str, value: ArrayLike) -> Array:
    try:
        return real_array(value)
    except (TypeError, ValueError) as error:
        raise NumericsError(f"{name} is no array of real numbers: {error}") from None


def checked_until(until: float | ArrayLike, lanes: int) -> Array:
    """(B,) positive end times."""
    end = _numbers("until", until)
    if end.ndim == 0:
        end = np.full(lanes, float(end))
    if end.shape != (lanes,):
        raise NumericsError(f"until has shape {end.shape}; give a number or {(lanes,)}")
    if not np.all(np.isfinite(end) & (end > 0)):
        raise NumericsError("until must be finite and positive in every lane")
    return end


def checked_tolerances(rtol: float, atol: float, dtype: str) -> None:
    """Positive tolerances that the arithmetic can follow."""
    if dtype not in FINEST:
        raise NumericsError(f"unknown dtype {dtype!r}; use one of: {', '.join(FINEST)}")
    if not (isinstance(rtol, Real) and isinstance(atol, Real)):
        raise NumericsError(f"rtol = {rtol!r} and atol = {atol!r}: both must be numbers")
    if not (math.isfinite(rtol) and math.isfinite(atol) and rtol > 0 and atol > 0):
        raise NumericsError(
            f"rtol = {rtol} and atol = {atol}: both must be positive; use rtol=1e-9, atol=1e-16"
        )
    if not FINEST[dtype] <= rtol <= 1e-2:
        raise NumericsError(f"rtol is {rtol}; with {dtype} use {FINEST[dtype]:g} to 1e-2")


def checked_times(record_at: ArrayLike | None, end: Array) -> Array:
    """(K,) increasing times in [0, the latest end]."""
    if record_at is None:
        return np.zeros(0)
    times = _numbers("record_at", record_at)
    if times.ndim != 1 or times.size == 0:
        raise NumericsError(f"record_at has shape {times.shape}; give a list of times, or None")
    if not np.all(np.isfinite(times) & (times >= 0)) or np.any(np.diff(times) <= 0):
        raise NumericsError("record_at must be finite, >= 0 and strictly increasing")
    if times[-1] > end.max():
        raise NumericsError(
            f"record_at ends at {times[-1]} after the latest until = {end.max()}; raise until"
        )
    return times
