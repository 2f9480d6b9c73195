"""The CUDA engine: whole trajectories of two-layer ReLU networks inside one Triton kernel.

The kernel (``numerics.flow_triton_kernel``) is persistent: a grid of a few programs per
multiprocessor takes trajectories from an atomic queue, and each program runs its trajectory to the
end without the host: Taylor steps of a fixed degree, activation mask as state, every step ended at
the earliest flip, the next pattern decided by consistency and asserted against sign(<w, x>), error
radii, suprema. Same problem, same statuses and, within the reported bounds, same numbers as on the
CPU. A lane's numbers do not depend on the other lanes nor on the order of the queue.

What it leaves to the CPU engine, visibly: a lane on which several kinks of one neuron meet and their
speeds do not decide the next pattern one by one. Its bounds carry one radius per neuron and one for
the lane, not one per group of interacting neurons, and are wider on long horizons.

Measured so far, through Triton's interpreter: agreement with the CPU engine; one lane of the
benchmark ``early-alignment-flow`` to T takes 354 steps through 353 kinks and ends 3e-15 (relative)
from the CPU engine, with a bound of 2e-13. Compiled for compute capability 9.0 at that shape, degree
8 and 8 warps, a thread has 255 registers and 4.4 kB of spills, and products run on the FP64 matrix
units. Unmeasured: everything about speed on a device, and with it the choice of ``WARPS`` and of the
degree; ``benchmarks/gpu.py`` measures them on a CUDA machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.ensemble_result import QUANTITIES, EnsembleResult
from numerics.errors import NumericsError
from numerics.flow_triton_result import HANDOVER, KernelOutput, hand_over, result_of
from numerics.kinks import near_threshold
from numerics.problem import FlowOptions, FlowProblem
from numerics.state import eps_squared

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DTYPES = {
    "float64": FlowOptions(order=8, rtol=1e-13),
    "float32": FlowOptions(order=6, rtol=1e-6),
}
"""The defaults per precision; a step between kinks rarely needs a higher degree."""

WARPS = 8
REGISTERS = 255
# Padded (neurons) x (points); beyond, the tiles of one program no longer fit its multiprocessor.
LARGEST_TILE = 8192
LIMIT = 32


def run_cuda(
    problem: FlowProblem,
    *,
    until: float | ArrayLike,
    quantities: Sequence[str] = (),
    record_at: ArrayLike | None = None,
    dtype: str = "float64",
    options: FlowOptions | None = None,
    keep_state: bool = True,
) -> EnsembleResult:
    """Integrate every lane of ``problem`` from 0 to ``until`` on a CUDA device.

    Without one, the same kernel runs in Triton's interpreter (slow, for tests) when the environment
    variable TRITON_INTERPRET is 1 before triton is imported.

    Args:
        until: end time, finite and >= 0; a number, or one per lane (B,).
        quantities: names of ``QUANTITIES``; their suprema over time and final values are returned.
            "max_weight_sq" and "max_abs_output" are natural logarithms.
        record_at: increasing times >= 0 at which the quantities are recorded.
        dtype: "float64" or "float32"; the error bounds count the rounding of either, and in float32
            that of the data. options: by default ``DTYPES[dtype]``; ``order`` is the degree of the
            kernel, which is compiled anew for each. keep_state: return W, V, exponent, radius.

    Raises:
        NumericsError: no CUDA device and no interpreter, no triton, mis-shaped or non-finite input,
            an unknown name, a network too large for one program.
    """
    end = problem.end_times(np.asarray(until, dtype=np.float64))
    wanted = _wanted(quantities)
    times = _record_times(record_at)
    if times.size and not wanted:
        raise NumericsError("record_at has times, but quantities is empty; name what to record")
    out = launch(problem, end=end, wanted=wanted, record=times, dtype=dtype, options=options)
    result = result_of(problem, out, list(quantities), times, dtype, record_at is not None)
    hard = np.flatnonzero((out.status == HANDOVER) | _starts_near_kink(problem))
    if hard.size:
        result = hand_over(problem, result, hard, end, list(quantities), record_at, options)
    if not keep_state:
        result = replace(result, W=None, V=None, exponent=None, radius=None)
    return result


def _starts_near_kink(problem: FlowProblem) -> Bools:
    """(B,) lanes with a start within its error of a kink: what that does to the radii is the CPU engine's business."""
    W0, v0, X = problem.W0, problem.v0, problem.X
    top = np.maximum(np.abs(W0).max(axis=2), np.abs(v0))
    unit = np.where(top > 0, top, 1.0)
    w, v = W0 / unit[:, :, None], v0 / unit
    norms = np.linalg.norm(X, axis=1)
    level = near_threshold(norms, w, v)
    near = np.abs(w @ X.T) <= level + (problem.turned / unit)[:, :, None] * norms
    return np.asarray((near & (top > 0)[:, :, None] & (norms > 0)).any(axis=(1, 2)))


def _wanted(quantities: Sequence[str]) -> int:
    unknown = [q for q in quantities if q not in QUANTITIES]
    if unknown:
        raise NumericsError(
            f"unknown quantity {unknown[0]!r}; use some of: {', '.join(QUANTITIES)}"
        )
    return sum(1 << QUANTITIES.index(q) for q in set(quantities))


def _record_times(record_at: ArrayLike | None) -> Array:
    if record_at is None:
        return np.zeros(0)
    times = np.array(record_at, dtype=np.float64)
    if times.ndim != 1 or not np.all(np.isfinite(times) & (times >= 0)):
        raise NumericsError("record_at must be a list of finite times >= 0")
    if np.any(np.diff(times) <= 0):
        raise NumericsError("record_at must increase; sort it and drop what is double")
    return times


def launch(
    problem: FlowProblem,
    *,
    end: Array,
    wanted: int = 0,
    record: Array | None = None,
    dtype: str = "float64",
    options: FlowOptions | None = None,
) -> KernelOutput:
    """Run the kernel; lanes that it does not decide keep the status ``HANDOVER``.

    Args:
        end: (B,). wanted: bits of ``QUANTITIES``. record: increasing times. The rest: ``run_cuda``.
    """
    if dtype not in DTYPES:
        raise NumericsError(f"unknown dtype {dtype!r}; use one of: {', '.join(DTYPES)}")
    chosen = options or DTYPES[dtype]
    n, d, h = problem.shape
    H, N, D = (max(16, 1 << (size - 1).bit_length()) for size in (h, n, d))
    if H * max(N, D) > LARGEST_TILE:
        raise NumericsError(
            f"h = {h}, n = {n}, d = {d} is too large for one program of the CUDA engine;"
            " use device='cpu'"
        )
    torch, flow, losses, interpreted = _backend()
    device = torch.device("cpu" if interpreted else "cuda")
    real = torch.float64 if dtype == "float64" else torch.float32
    lanes = problem.lanes

    def put(array: ArrayLike, kind: Any = real) -> Any:
        return torch.tensor(np.ascontiguousarray(array), dtype=kind, device=device)

    def make(*shape: int, kind: Any = torch.float64) -> Any:
        # Poisoned, so that a lane that was not written cannot pass for one that was.
        return torch.full(shape, -1 if kind is torch.int32 else math.nan, dtype=kind, device=device)

    W, v, exponent, radius = _mantissas(problem)
    eps = [eps_squared(float(x)) for x in problem.log_eps]
    times = np.zeros(0) if record is None else record
    outputs = [
        make(lanes, h, d, kind=real),
        make(lanes, h, kind=real),
        make(lanes, h, kind=torch.int32),
        make(lanes, h),
        make(lanes),
        make(lanes, 3, kind=torch.int32),
        make(lanes if wanted else 1, 7, 8),
        make(lanes, max(times.size, 1), 3, 8),
    ]
    arguments = [
        put(problem.X),
        put(problem.y),
        put(np.sqrt((problem.X**2).sum(axis=1))),
        put(W),
        put(v),
        put(exponent, torch.int32),
        put(radius, torch.float64),
        put([m for m, _ in eps], torch.float64),
        put([e for _, e in eps], torch.int32),
        put(end, torch.float64),
        put([problem.weight, math.log(chosen.rtol), chosen.fixed_step or 0.0], torch.float64),
        put(times if times.size else [0.0], torch.float64),
        torch.zeros(1, dtype=torch.int32, device=device),
        *outputs,
        *(lanes, n, d, h, times.size, chosen.max_steps, chosen.max_kinks),
        *(H, N, D, chosen.order, losses.index(problem.loss), wanted, dtype == "float64"),
    ]
    if interpreted:
        with np.errstate(all="ignore"):
            flow[(1,)](*arguments)
    else:
        properties = torch.cuda.get_device_properties(device)
        programs = min(lanes, properties.multi_processor_count)
        flow[(programs,)](
            *arguments, num_warps=WARPS, maxnreg=REGISTERS, enable_fp_fusion=True, num_stages=1
        )
    arrays = [a.cpu().numpy() for a in outputs]
    counts = arrays[5].astype(np.int64)
    if (counts[:, 0] < 0).any():
        raise NumericsError("the CUDA kernel ended without a status in some lane; use device='cpu'")
    return KernelOutput(
        W=arrays[0].astype(np.float64),
        V=arrays[1].astype(np.float64),
        exponent=arrays[2].astype(np.int64),
        radius=arrays[3],
        t=arrays[4],
        status=counts[:, 0],
        steps=counts[:, 1],
        kinks=counts[:, 2],
        measured=arrays[6],
        recorded=arrays[7][:, : times.size],
        device="interpreter" if interpreted else "cuda",
    )


def kernel_signature(dtype: str) -> dict[str, str]:
    """Types of the kernel's arguments for Triton's ahead-of-time compiler, which needs no device."""
    from numerics.flow_triton_kernel import flow

    real = {"float64": "*fp64", "float32": "*fp32"}[dtype]
    inputs = ("radius", "mantissa", "end", "parameter", "record")
    double = (*inputs, "out_radius", "out_t", "out_measure", "out_record")
    integer = ("exponent", "eps", "queue", "out_exponent", "out_count")
    types = dict.fromkeys(("H", "N", "D", "P", "LOSS", "WANTED", "DOUBLE"), "constexpr")
    types |= {f"{name}_pointer": "*fp64" for name in double}
    types |= {f"{name}_pointer": "*i32" for name in integer}
    missing = {q: real if q.endswith("_pointer") else "i32" for q in flow.arg_names}
    return {name: types.get(name, missing[name]) for name in flow.arg_names}


def _backend() -> tuple[Any, Any, tuple[str, ...], bool]:
    """torch, the kernel, its losses, and whether it runs in the interpreter."""
    try:
        import torch
        import triton

        from numerics.flow_triton_kernel import flow
        from numerics.flow_triton_series import LOSSES
    except ImportError as error:
        raise NumericsError(
            f"the CUDA engine needs triton ({error}): install it, or use device='cpu'"
        ) from None
    interpreted = not isinstance(flow, triton.JITFunction)
    if not interpreted and not torch.cuda.is_available():
        raise NumericsError(
            "no CUDA device is available: use device='cpu'; or set TRITON_INTERPRET=1 before triton"
            " is imported, which runs the kernel in Triton's interpreter (slow, for tests)"
        )
    return torch, flow, LOSSES, interpreted


def _mantissas(problem: FlowProblem) -> tuple[Array, Array, Ints, Array]:
    """W0, v0, exponents and start radii, with powers of two moved out of extreme numbers."""
    # of the largest entry: squares of very large or small ones are not representable
    largest = np.maximum(np.abs(problem.W0).max(axis=2), np.abs(problem.v0))
    _, size = np.frexp(largest)
    exponent = np.where(np.abs(size) > LIMIT, size, 0).astype(np.int64)
    back = (-exponent).astype(np.int32)
    radius = np.zeros_like(largest) if problem.start_radius is None else problem.start_radius
    return (
        np.ldexp(problem.W0, back[:, :, None]),
        np.ldexp(problem.v0, back),
        exponent,
        np.ldexp(radius, back),
    )
