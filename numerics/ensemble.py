"""Ensembles: many trajectories of which only suprema, values at given times and final states are kept.

On the CPU every lane runs through ``numerics.early_phase`` and then the compiled Taylor engine
(``numerics.ensemble_run``), chunks of lanes on threads; on CUDA one Triton program integrates one lane
(``numerics.flow_triton``). The result of a lane depends neither on the number of threads nor on the other
lanes, bit for bit. Memory beyond the problem and the result is that of a few chunks.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.ensemble_result import QUANTITIES, EnsembleResult, Supremum
from numerics.ensemble_run import Chunk, run_chunk
from numerics.errors import NumericsError
from numerics.flow import settings_of
from numerics.problem import FlowOptions, FlowProblem

__all__ = ["QUANTITIES", "EnsembleResult", "Recorder", "Supremum", "ensemble"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

DEVICES = ("cpu", "cuda", "auto")
DTYPES = ("float64", "float32")
# Lanes of one task: enough to spread its overhead, few enough for memory and for equal shares of the cores.
LANES = 32

Recorder = Callable[[Ints, dict[str, Array]], None]
"""Takes the lanes (C,) of a chunk and, by name, their quantities (C, len(record_at)) at the recorded times."""


def ensemble(
    problem: FlowProblem,
    *,
    until: float | ArrayLike,
    quantities: Sequence[str] = QUANTITIES,
    record_at: ArrayLike | None = None,
    recorder: Recorder | None = None,
    device: str = "cpu",
    dtype: str = "float64",
    options: FlowOptions | None = None,
    keep_state: bool = True,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> EnsembleResult:
    """Integrate every lane of ``problem`` from 0 to ``until`` and keep suprema instead of trajectories.

    The quantities, of the true weights (w_j, v_j) = eps 2**exponent_j (W_j, V_j):

    * "max_weight_sq": log max_j |w_j|^2; "max_abs_output": log max_i |f(x_i)| (natural logarithms);
    * "loss": the training loss with its weight;
    * "max_angle": max_j of the angle between w_j(t) and w_j(0), over neurons with w_j(0) != 0;
    * "imbalance": max_j |v_j^2 - |w_j|^2 - (its value at 0)|, which is 0 for the exact flow.

    Args:
        until: end time, finite and >= 0; a number, or one per lane (B,).
        quantities: names of those to watch. record_at: increasing times >= 0 at which they are recorded.
        recorder: called in the order of the lanes, chunk by chunk, instead of keeping what is recorded.
        device: "cpu", "cuda", or "auto": CUDA where there is a device, otherwise the CPU with a warning (as
            for "cuda"). dtype: "float32" on CUDA only.
        keep_state: return W, V, exponent and radius. progress: called with (lanes done, lanes).
        threads: on the CPU; by default all cores that this process may use.

    Returns:
        See ``EnsembleResult``; a lane that stops early says why in ``status`` and holds up to its time.

    Raises:
        NumericsError: unknown device, dtype or quantity; times that do not increase; ``until`` negative, not
            finite or mis-shaped; a recorder without times; a loss that is not finite at the start.
    """
    end, names = problem.end_times(np.asarray(until, dtype=np.float64)), _names(quantities)
    stops = _times(record_at)
    if recorder is not None and record_at is None:
        raise NumericsError("a recorder needs record_at, the times to record")
    if record_at is not None and not names:
        raise NumericsError("record_at without quantities; name at least one")
    if threads is not None and threads < 1:
        raise NumericsError(f"threads is {threads}; give at least 1, or None for all cores")
    if dtype not in DTYPES:
        raise NumericsError(f"unknown dtype {dtype!r}; use one of: {', '.join(DTYPES)}")
    if _use_cuda(device, dtype):
        from numerics.flow_triton import run_cuda

        result = run_cuda(
            problem, until=end, quantities=names, record_at=record_at, dtype=dtype, options=options,
            keep_state=keep_state,
        )  # fmt: skip
        return _delivered(result, recorder, progress)
    collected = _Collected(problem, names, stops, recorder, keep_state, record_at is not None)
    for first, chunk in _chunks(problem, end, options or FlowOptions(), names, stops, threads):
        collected.add(first, chunk)
        if progress is not None:
            progress(min(first + LANES, problem.lanes), problem.lanes)
    return collected.result()


def _names(quantities: Sequence[str]) -> tuple[str, ...]:
    names = (quantities,) if isinstance(quantities, str) else tuple(quantities)
    unknown = [q for q in names if q not in QUANTITIES]
    if unknown:
        raise NumericsError(
            f"unknown quantity {unknown[0]!r}; use some of: {', '.join(QUANTITIES)}"
        )
    return names


def _times(record_at: ArrayLike | None) -> Array:
    times = np.zeros(0) if record_at is None else np.array(record_at, dtype=np.float64)
    if (
        times.ndim != 1
        or not np.all(np.isfinite(times) & (times >= 0))
        or not np.all(np.diff(times) > 0)
    ):
        raise NumericsError("record_at: give a list of increasing finite times >= 0")
    return times


def _use_cuda(device: str, dtype: str) -> bool:
    """Whether to use CUDA; warns where it was wished for and is not there."""
    if device not in DEVICES:
        raise NumericsError(f"unknown device {device!r}; use one of: {', '.join(DEVICES)}")
    if device == "cpu":
        if dtype != "float64":
            raise NumericsError(
                f"the CPU engine works in float64, not in {dtype}; use device='cuda'"
            )
        return False
    import torch

    if torch.cuda.is_available():
        return True
    precision = "" if dtype == "float64" else ", in float64"
    warnings.warn(
        f"no CUDA device: the ensemble runs on the CPU{precision}", RuntimeWarning, stacklevel=3
    )
    return False


def _delivered(
    result: EnsembleResult, recorder: Recorder | None, progress: Callable[[int, int], None] | None
) -> EnsembleResult:
    """Serve recorder and progress with what came back from the device in one piece."""
    from dataclasses import replace

    lanes = result.status.size
    if recorder is not None and result.recorded is not None:
        recorder(np.arange(lanes), result.recorded)
        result = replace(result, recorded=None, recorded_error=None)
    if progress is not None:
        progress(lanes, lanes)
    return result


def _chunks(
    problem: FlowProblem,
    end: Array,
    options: FlowOptions,
    names: tuple[str, ...],
    stops: Array,
    threads: int | None,
) -> Iterator[tuple[int, Chunk]]:
    """The chunks' outcomes in the order of the lanes; only a few are in flight at a time."""
    wanted = [q in names for q in QUANTITIES]
    settings = settings_of(options)

    def task(first: int) -> Chunk:
        part = np.arange(first, min(first + LANES, problem.lanes))
        return run_chunk(
            problem.select(part), end[part], settings, wanted, stops, options.fixed_step is None
        )

    count = threads or _cores()
    starts = range(0, problem.lanes, LANES)
    if count == 1 or len(starts) == 1:
        for first in starts:
            yield first, task(first)
        return
    with ThreadPoolExecutor(max_workers=min(count, len(starts))) as pool:
        running: deque[tuple[int, Future[Chunk]]] = deque()
        try:
            for first in starts:
                running.append((first, pool.submit(task, first)))
                if len(running) > 2 * count:
                    begun, future = running.popleft()
                    yield begun, future.result()
            while running:
                begun, future = running.popleft()
                yield begun, future.result()
        finally:
            for _, future in running:
                future.cancel()


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _errors(bounds: Array) -> Array:
    """The half width around the value, from (..., 3) of value, lower and upper bound."""
    value, low, high = bounds[..., 0], bounds[..., 1], bounds[..., 2]
    with np.errstate(invalid="ignore"):
        error = np.maximum(high - value, value - low)
    # log 0, known to be 0
    error = np.where((value == -np.inf) & (high == -np.inf), 0.0, error)
    return np.where(np.isnan(error), np.inf, error)


class _Collected:
    """The result, filled chunk by chunk."""

    def __init__(
        self,
        problem: FlowProblem,
        names: tuple[str, ...],
        stops: Array,
        recorder: Recorder | None,
        keep_state: bool,
        recording: bool,
    ) -> None:
        (_, d, h), B = problem.shape, problem.lanes
        self.names, self.recorder = names, recorder
        self.status, self.t = np.zeros(B, dtype=np.int8), np.zeros(B)
        self.steps, self.kinks = np.zeros(B, dtype=np.int64), np.zeros(B, dtype=np.int64)
        self.W = np.zeros((B, h, d)) if keep_state else None
        self.V = np.zeros((B, h)) if keep_state else None
        self.exponent = np.zeros((B, h), dtype=np.int64) if keep_state else None
        self.radius = np.zeros((B, h)) if keep_state else None
        self.suprema = {q: Supremum(np.zeros(B), np.zeros(B), np.zeros(B)) for q in names}
        self.final = {q: (np.zeros(B), np.zeros(B)) for q in names}
        kept = recording and recorder is None
        self.recorded = {q: np.zeros((B, stops.size)) for q in names} if kept else None
        self.recorded_error = {q: np.zeros((B, stops.size)) for q in names} if kept else None

    def add(self, first: int, chunk: Chunk) -> None:
        """Take over the lanes from ``first`` on."""
        rows = slice(first, first + chunk.t.size)
        self.status[rows], self.t[rows] = chunk.status, chunk.t
        self.steps[rows], self.kinks[rows] = chunk.steps, chunk.kinks
        if (
            self.W is not None
            and self.V is not None
            and self.exponent is not None
            and self.radius is not None
        ):
            self.W[rows], self.V[rows] = chunk.W, chunk.V
            self.exponent[rows], self.radius[rows] = chunk.exponent, chunk.radius
        values: dict[str, Array] = {}
        for name in self.names:
            q = QUANTITIES.index(name)
            supremum, (value, error) = self.suprema[name], self.final[name]
            supremum.value[rows], supremum.error[rows] = (
                chunk.suprema[:, q, 0],
                _errors(chunk.suprema[:, q, :3]),
            )
            supremum.time[rows] = chunk.suprema[:, q, 3]
            value[rows], error[rows] = chunk.final[:, q, 0], _errors(chunk.final[:, q])
            values[name] = np.ascontiguousarray(chunk.recorded[:, :, q, 0])
            if self.recorded is not None and self.recorded_error is not None:
                self.recorded[name][rows] = values[name]
                self.recorded_error[name][rows] = _errors(chunk.recorded[:, :, q])
        if self.recorder is not None:
            self.recorder(np.arange(rows.start, rows.stop), values)

    def result(self) -> EnsembleResult:
        """What has been collected."""
        return EnsembleResult(
            status=self.status, t=self.t, W=self.W, V=self.V, exponent=self.exponent, radius=self.radius,
            steps=self.steps, kinks=self.kinks, suprema=self.suprema, final=self.final, recorded=self.recorded,
            device="cpu", dtype="float64", recorded_error=self.recorded_error,
        )  # fmt: skip
