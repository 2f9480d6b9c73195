"""From the arrays that the CUDA engine's kernel writes to the result of an ensemble."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.ensemble_result import QUANTITIES, EnsembleResult, Supremum
from numerics.problem import FlowOptions, FlowProblem

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# The kernel's status beside the indices of FlowStatus: the CPU engine decides this lane.
HANDOVER = 6
_LOGARITHMIC = ("max_weight_sq", "max_abs_output")
UNIT = 2.0**-53


@dataclass(frozen=True)
class KernelOutput:
    """What the kernel writes, as numpy arrays; see ``numerics.flow_triton_kernel.flow``.

    Args:
        W: (B, h, d). V, exponent, radius: (B, h). t: (B,). status, steps, kinks: (B,), status -1
            for no result. measured: (B, 7, 8). recorded: (B, records, 3, 8). device: what ran it.
    """

    W: Array
    V: Array
    exponent: Ints
    radius: Array
    t: Array
    status: Ints
    steps: Ints
    kinks: Ints
    measured: Array
    recorded: Array
    device: str


def result_of(
    problem: FlowProblem,
    out: KernelOutput,
    names: list[str],
    times: Array,
    dtype: str,
    recording: bool,
) -> EnsembleResult:
    """Values with errors, in the units that users see; lanes to hand over keep that status."""
    suprema: dict[str, Supremum] = {}
    final: dict[str, tuple[Array, Array]] = {}
    recorded: dict[str, Array] = {}
    recorded_error: dict[str, Array] = {}
    for name in names:
        q = QUANTITIES.index(name)
        shift = 2.0 * problem.log_eps
        value, error = _interval(name, out.measured[:, :3, q], shift)
        suprema[name] = Supremum(value=value, error=error, time=out.measured[:, 3, q])
        final[name] = _interval(name, out.measured[:, 4:, q], shift)
        if recording:
            taken = out.recorded[:, :, :, q]
            # A lane that never moved has its start at time 0.
            still = np.isnan(taken[:, :, 0]) & (times <= out.t[:, None])
            taken = np.where(still[:, :, None], out.measured[:, None, 4:, q], taken)
            recorded[name], recorded_error[name] = _interval(name, taken, shift[:, None])
    return EnsembleResult(
        status=out.status.astype(np.int8),
        t=out.t,
        W=out.W,
        V=out.V,
        exponent=out.exponent,
        radius=out.radius,
        steps=out.steps,
        kinks=out.kinks,
        suprema=suprema,
        final=final,
        recorded=recorded if recording else None,
        device=out.device,
        dtype=dtype,
        recorded_error=recorded_error if recording else None,
    )


def _interval(name: str, entries: Array, shift: Array) -> tuple[Array, Array]:
    """Value and error from (..., 3) value, low, high as the kernel keeps them."""
    value, low, high = entries[..., 0], entries[..., 1], entries[..., 2]
    with np.errstate(all="ignore"):
        if name in _LOGARITHMIC or name == "imbalance":
            value, low, high = value + shift, low + shift, high + shift
            slack = (
                4.0
                * UNIT
                * (1.0 + np.abs(shift) + np.where(np.isfinite(value), np.abs(value), 0.0))
            )
            low, high = low - slack, high + slack
        if name == "imbalance":
            value, low, high = np.exp(value), np.exp(low), np.exp(high)
        if name == "max_angle":
            value, low, high = (
                2.0 * np.arcsin(np.clip(0.5 * c, 0.0, 1.0)) for c in (value, low, high)
            )
            low, high = low - 8.0 * UNIT, high + 8.0 * UNIT
        error = np.maximum(high - value, value - low)
    # Both ends at -inf: the quantity is exactly 0.
    error = np.where((value == high) & (value == low), 0.0, error)
    error = np.where(np.isnan(value), np.nan, np.where(np.isnan(error), np.inf, error))
    return value, error


def hand_over(
    problem: FlowProblem,
    result: EnsembleResult,
    hard: Ints,
    end: Array,
    names: list[str],
    record_at: ArrayLike | None,
    options: FlowOptions | None,
) -> EnsembleResult:
    """Replace the lanes ``hard`` by the CPU engine's."""
    from numerics.ensemble import ensemble

    warnings.warn(
        f"{hard.size} of {problem.lanes} lanes meet several kinks at once, or start at one, "
        "and are integrated on the CPU",
        stacklevel=3,
    )
    slow = ensemble(
        problem.select(hard),
        until=end[hard],
        quantities=tuple(names),
        record_at=record_at,
        device="cpu",
        options=options or FlowOptions(),
    )
    merged: dict[str, Any] = {}
    for name in ("status", "t", "W", "V", "exponent", "radius", "steps", "kinks"):
        merged[name] = _merge(getattr(result, name), getattr(slow, name), hard)
    merged["suprema"] = {
        q: Supremum(
            *(
                _merge(getattr(a, part), getattr(slow.suprema[q], part), hard)
                for part in ("value", "error", "time")
            )
        )
        for q, a in result.suprema.items()
    }
    merged["final"] = {
        q: tuple(_merge(a, b, hard) for a, b in zip(pair, slow.final[q], strict=True))
        for q, pair in result.final.items()
    }
    for name in ("recorded", "recorded_error"):
        whole, part = getattr(result, name), getattr(slow, name)
        if whole is not None and part is not None:
            merged[name] = {q: _merge(a, part[q], hard) for q, a in whole.items()}
    return replace(result, **merged)


def _merge(whole: Any, part: Any, rows: Ints) -> Any:
    out = np.array(whole)
    out[rows] = part
    return out
