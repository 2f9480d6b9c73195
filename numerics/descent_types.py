"""What an iteration returns, and the checks of its arguments: plain types without torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.errors import NumericsError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

LIMIT = 1e150  # a state of larger norm has diverged; squares still fit
LIMIT_SINGLE = 1e18

StepSize = float | ArrayLike | Callable[[int], float | ArrayLike]


class IterationStatus(Enum):
    """How a lane ended; the value says what it means and what to do."""

    ok = "all iterations were made"
    diverged = "an entry left the representable range; take smaller steps"
    unsolved = "an implicit step was not solved; take smaller steps or another inner solver"


@dataclass(frozen=True, eq=False)
class Evidence:
    """Values (B,) or (B, R) with bounds on their errors; the bound is inf where none is known."""

    value: Array
    error: Array


@dataclass(frozen=True, eq=False)
class Supremum:
    """The largest value over all iterates 0..k of each lane, its error, and where it is attained first."""

    value: Array
    error: Array
    iteration: Ints


@dataclass(frozen=True, eq=False)
class IterationResult:
    """Where B trajectories of a discrete dynamical system went.

    Attributes:
        status, reason: per lane; ``reason`` says when a lane stopped, and why its bound is infinite.
        iterations: (B,) updates made. A lane that diverged keeps its last iterate within range.
        iterate: the final iterate by name, (B, ...) each.
        error: by name, same shapes: |computed - exact| of every entry, where exact means the same iteration in
            exact arithmetic from the same floats; inf where the bound blew up or was not asked for.
        suprema, final: by name of the quantity.
        recorded: by name, (B, len(record_at)); nan where a lane had stopped before.
        residual: (B,) largest residual of the implicit equations solved (0 for explicit methods).
        state, state_error: (B, N) all that the iteration carries along, for ``resume``; ``next_iteration`` goes on.
        device, dtype, compiled: what was used.
    """

    status: tuple[IterationStatus, ...]
    reason: tuple[str, ...]
    iterations: Ints
    iterate: dict[str, Array]
    error: dict[str, Array]
    suprema: dict[str, Supremum]
    final: dict[str, Evidence]
    recorded: dict[str, Evidence]
    record_at: tuple[int, ...]
    residual: Array
    state: Array
    state_error: Array
    next_iteration: int
    device: str
    dtype: str
    compiled: bool

    @property
    def ok(self) -> bool:
        """Whether every lane made all its iterations."""
        return all(status is IterationStatus.ok for status in self.status)

    @property
    def radius(self) -> Array:
        """(B,) bound on the Euclidean norm of the error of the final iterate."""
        squares = [(e.reshape(len(e), -1) ** 2).sum(axis=1) for e in self.error.values()]
        total: Array = np.sqrt(np.sum(squares, axis=0))
        return total


@dataclass(frozen=True)
class RunOptions:
    """How to run an iteration, whatever it is.

    Args:
        bound: carry an error bound along; costs a linearisation and an evaluation in extended precision per iteration.
        bound_limit: largest state (all that is carried along, per trajectory) that is given a bound.
        device: "cpu", "cuda" or "auto". Without a GPU the latter two fall back to the CPU with a warning.
        dtype: "float64" or "float32". compile: run the update through torch.compile; a failure is an error.
        threads are torch's own.

    Raises:
        NumericsError: unknown device or dtype, a limit below 1.
    """

    bound: bool = True
    bound_limit: int = 96
    device: str = "cpu"
    dtype: str = "float64"
    compile: bool = False

    def __post_init__(self) -> None:
        if self.device not in {"cpu", "cuda", "auto"}:
            raise NumericsError(f"unknown device {self.device!r}; use 'cpu', 'cuda' or 'auto'")
        if self.dtype not in {"float64", "float32"}:
            raise NumericsError(f"unknown dtype {self.dtype!r}; use 'float64' or 'float32'")
        if self.bound_limit < 1:
            raise NumericsError(f"bound_limit is {self.bound_limit}; give at least 1")

    def place(self, *, quiet: bool = False) -> str:
        """The device to run on, with a visible message where a GPU is asked for and none is there."""
        import torch

        if self.device == "cpu" or torch.cuda.is_available():
            return "cpu" if self.device == "cpu" else "cuda"
        if not quiet:
            warnings.warn("no CUDA device: running on the CPU", RuntimeWarning, stacklevel=2)
        return "cpu"


@dataclass(frozen=True, eq=False)
class Dynamics:
    """One discrete dynamical system, as the loop wants it: a flat state of N numbers per lane.

    Args:
        start: (B, N). layout: names and shapes of the first entries, which are the iterate.
        step: (z, coefficients, *extra) -> next z for one lane, torch functions of flat tensors; for implicit methods
            the residual (next z, z, coefficients) -> (N,).
        coefficients: k -> (B, A), step sizes and the like, exact numbers.
        rows: k -> (B, b) indices, a further argument of ``step``, or None.
        quantities: z -> (M,) for one lane, with sizes ``parts`` by name; of a part, the largest entry is what counts.
        implicit: "" or the name of the inner solver, "newton" or "fixed-point".
    """

    start: Array
    start_error: Array | None
    layout: tuple[tuple[str, tuple[int, ...]], ...]
    step: Callable[..., Any]
    coefficients: Callable[[int], Array]
    rows: Callable[[int], Ints] | None = None
    quantities: Callable[[Any], Any] | None = None
    parts: tuple[tuple[str, int], ...] = ()
    implicit: str = ""
    first: int = 0
    iterations: int = 0
    record_at: tuple[int, ...] = ()
    options: RunOptions = field(default_factory=RunOptions)


def real_array(value: ArrayLike) -> Array:
    """A copy in float64.

    Raises:
        TypeError, ValueError: no numbers, or complex ones, whose imaginary parts numpy would drop.
    """
    if np.iscomplexobj(value):
        raise TypeError("complex numbers; give real and imaginary parts as parameters")
    return np.array(value, dtype=np.float64)


def read_start(start: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """The start as arrays (B, ...), finite, one B for all.

    Raises:
        NumericsError: not a mapping, empty, mis-shaped or non-finite.
    """
    if not isinstance(start, Mapping) or not start:
        raise NumericsError("start must map names to arrays (B, ...), with at least one name")
    arrays: dict[str, Array] = {}
    for name, value in start.items():
        try:
            array = real_array(value)
        except (TypeError, ValueError) as error:
            raise NumericsError(f"start[{name!r}] is no array of real numbers: {error}") from None
        if array.ndim == 0 or array.size == 0:
            raise NumericsError(f"start[{name!r}] has shape {array.shape}; give it (B, ...)")
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise NumericsError(f"start[{name!r}]{list(where)} is {array[where]}; repair it")
        if np.abs(array).max() > LIMIT:
            raise NumericsError(f"start[{name!r}] has an entry beyond {LIMIT:g}; rescale it")
        arrays[name] = array
    lanes = {name: len(array) for name, array in arrays.items()}
    if len(set(lanes.values())) > 1:
        raise NumericsError(f"start has different numbers of lanes {lanes}; make them equal")
    return arrays


def read_step(step: StepSize, lanes: int) -> Callable[[int], Array]:
    """k -> (B,) step sizes, positive and finite; checked when they are asked for, and at k = 0 now.

    Raises:
        NumericsError: wrong shape, not positive, not finite.
    """

    def checked(value: Any, k: int) -> Array:
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise NumericsError(f"the step size at k = {k} is {value!r}; give a number") from None
        if array.shape not in {(), (lanes,)}:
            raise NumericsError(f"step sizes have shape {array.shape}; give () or {(lanes,)}")
        if not (np.isfinite(array) & (array > 0)).all():
            raise NumericsError(f"step sizes at k = {k} must be positive and finite")
        return np.broadcast_to(array, (lanes,))

    if callable(step):
        checked(step(0), 0)
        return lambda k: checked(step(k), k)
    fixed = checked(step, 0)
    return lambda k: fixed


def read_iterations(iterations: int, record_at: Sequence[int], first: int) -> tuple[int, ...]:
    """``record_at`` as increasing numbers of iterations between ``first`` and the end.

    Raises:
        NumericsError: fewer than one iteration, or times outside of the run.
    """
    if not isinstance(iterations, (int, np.integer)) or iterations < 1:
        raise NumericsError(f"iterations is {iterations!r}; give a whole number of at least 1")
    times = tuple(int(k) for k in record_at)
    if list(times) != sorted(set(times)) or any(
        a != b for a, b in zip(times, record_at, strict=True)
    ):
        raise NumericsError("record_at must be increasing whole numbers")
    if times and not first <= times[0] <= times[-1] <= first + iterations:
        raise NumericsError(f"record_at must lie between {first} and {first + iterations}")
    return times


def flat(arrays: Mapping[str, Array]) -> tuple[Array, tuple[tuple[str, tuple[int, ...]], ...]]:
    """(B, P) and the layout."""
    lanes = len(next(iter(arrays.values())))
    layout = tuple((name, array.shape[1:]) for name, array in arrays.items())
    return np.concatenate([a.reshape(lanes, -1) for a in arrays.values()], axis=1), layout


def unflat(
    z: Any, layout: Sequence[tuple[str, tuple[int, ...]]], *, batch: bool = False
) -> dict[str, Any]:
    """The named parts of a flat vector (N,), or of a batch (B, N), of numpy or torch."""
    parts, at = {}, 0
    for name, shape in layout:
        size = math.prod(shape)
        piece = z[:, at : at + size] if batch else z[at : at + size]
        parts[name] = piece.reshape(((len(z),) if batch else ()) + shape)
        at += size
    return parts
