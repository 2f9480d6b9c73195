"""Trajectories per second on a CUDA machine, against the machine's own FP64 rate, the CPU engine and torch.compile.

    python -m benchmarks.gpu [--lanes 1000 10000 100000] [--dtype float64] [-o benchmarks/results]
    python -m benchmarks.gpu --compile [--warps 8] [--order 8]

The problem is ``early-alignment-flow`` (n = 20, d = 10, h = 50), from 0 to T. Times are by the clock, after a warm-up
that compiles, and include the transfer of the starts and of the results; the median of the repetitions. The
fraction of the roofline is the arithmetic that the method needs (``work``; masked and padded entries, root finding
and bounds do not count) over the rate of a large float64 matrix product measured in the same run.

Without a CUDA device the exit code is 2, except with --compile: it compiles the kernel for compute capability 9.0
with the shape of the benchmark, and prints registers, spills and instructions; nothing is run.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.flows_problem import EPS, SHAPE, Task, benchmark_task
from numerics import FlowOptions, FlowProblem, NumericsError

OPTIONS = FlowOptions(order=8, rtol=1e-12)
CPU_LANES = 64
GENERIC_LANES = 256


def problem_of(task: Task) -> FlowProblem:
    """The task with eps taken out of the weights."""
    return FlowProblem(
        X=task.X,
        y=task.y,
        loss="exponential",
        weight=1.0,
        W0=task.W0 / EPS,
        v0=task.v0 / EPS,
        log_eps=np.full(task.lanes, np.log(EPS)),
    )


def work(steps: float, order: int) -> float:
    """Floating point operations of accepted steps: the products of the series and its convolutions."""
    n, d, h = SHAPE
    products = (order + 3) * 4 * h * n * d
    convolutions = order * (order + 1) / 2 * (2 * h * n + 4 * h * d)
    return steps * (products + convolutions)


def median_seconds(function: Callable[[], Any], repetitions: int) -> tuple[float, Any]:
    """Median by the clock, and the last result; the function must wait for the device."""
    seconds, result = [], None
    for _ in range(repetitions):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), result


def roofline(torch: Any) -> float:
    """Operations per second of a float64 matrix product on random data, the best of ten."""
    size = 8192
    a, b = (torch.randn(size, size, dtype=torch.float64, device="cuda") for _ in range(2))
    best = np.inf
    for _ in range(10):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        torch.matmul(a, b)
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) * 1e-3)
    return float(2 * size**3 / best)


def ours(lanes: list[int], dtype: str, repetitions: int, peak: float) -> list[str]:
    """One row per batch size."""
    from numerics.flow_triton import run_cuda

    options = OPTIONS if dtype == "float64" else None
    order = OPTIONS.order if dtype == "float64" else 6
    warm = benchmark_task(2)
    run_cuda(problem_of(warm), until=warm.T, dtype=dtype, options=options)
    rows = []
    for count in lanes:
        task = benchmark_task(count)
        problem = problem_of(task)
        run = partial(
            run_cuda, problem, until=task.T, dtype=dtype, options=options, keep_state=False
        )
        seconds, result = median_seconds(run, repetitions)
        rate = work(float(result.steps.sum()), order) / seconds
        share = f"{100 * rate / peak:.1f} %" if dtype == "float64" else ""
        rows.append(
            f"| Triton kernel, {dtype} | {count:,} | {seconds:.3g} | {count / seconds:,.0f} | {share} "
            f"| {result.ok.mean():.2%} | {result.steps.mean():.0f} |"
        )
    return rows


def cpu_engine() -> str:
    """The CPU engine on all cores of this machine."""
    from numerics.ensemble import ensemble

    task = benchmark_task(CPU_LANES)
    problem = problem_of(task)
    ensemble(problem.select([0]), until=task.T, quantities=())
    seconds, result = median_seconds(lambda: ensemble(problem, until=task.T, quantities=()), 3)
    return (
        f"| CPU engine, all cores | {CPU_LANES} | {seconds:.3g} | {CPU_LANES / seconds:,.0f} | "
        f"| {result.ok.mean():.2%} | {result.steps.mean():.0f} |"
    )


def generic() -> str:
    """The generic path with torch.compile on the same device."""
    try:
        from numerics.generic_flow import generic_flow
        from numerics.models import TwoLayerReLU
    except ImportError as error:
        return f"| torch.compile, generic path | | skipped: {error} | | | | |"
    task = benchmark_task(GENERIC_LANES)
    model = TwoLayerReLU(
        X=task.X, y=task.y, loss_name="exponential", reduction="sum", h=SHAPE[2], bias=False
    )

    def run() -> Any:
        return generic_flow(
            model.loss,
            {"W": task.W0, "v": task.v0},
            switches=model.switches,
            until=task.T,
            device="cuda",
            compile=True,
        )

    run()
    seconds, result = median_seconds(run, 1)
    ok = np.mean([s.name == "ok" for s in result.status])
    return (
        f"| torch.compile, generic path | {GENERIC_LANES} | {seconds:.3g} | "
        f"{GENERIC_LANES / seconds:,.0f} | | {ok:.2%} | {result.steps.mean():.0f} |"
    )


def agreement(lanes: int = 32) -> str:
    """Largest distance between the devices' final states, over the sum of their bounds."""
    from numerics import integrate
    from numerics.flow_triton import run_cuda

    task = benchmark_task(lanes)
    problem = problem_of(task)
    device: Any = run_cuda(problem, until=task.T, options=OPTIONS)
    host = integrate(problem, until=task.T)
    shift = (host.exponent - device.exponent).astype(np.int32)
    dw = np.ldexp(host.W, shift[:, :, None]) - device.W
    dv = np.ldexp(host.V, shift) - device.V
    ratio = np.sqrt((dw**2).sum(axis=2) + dv**2) / (device.radius + np.ldexp(host.radius, shift))
    same = np.array([len(host.kinks_of(b)) for b in range(lanes)]) == device.kinks
    return (
        f"CPU and CUDA on {lanes} lanes: distance of the final states at most {ratio.max():.2g} of the sum of their "
        f"bounds (at most 1 is agreement); the same number of kinks in {same.sum()} lanes."
    )


def compiled(order: int, warps: int, dtype: str) -> str:
    """What the compiler says of the kernel for compute capability 9.0 and the benchmark's shape."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler.compiler import ASTSource

    from numerics.flow_triton import REGISTERS, kernel_signature
    from numerics.flow_triton_kernel import flow

    n, d, h = SHAPE
    H, N, D = (max(16, 1 << (size - 1).bit_length()) for size in (h, n, d))
    constants = {"H": H, "N": N, "D": D, "P": order, "LOSS": 0, "WANTED": 31}
    source = ASTSource(
        fn=flow,
        signature=kernel_signature(dtype),
        constexprs={**constants, "DOUBLE": dtype == "float64"},
    )
    limit = min(REGISTERS, 65536 // (32 * warps) - (1 if warps <= 8 else 0))
    options = {"num_warps": warps, "maxnreg": limit, "enable_fp_fusion": True, "num_stages": 1}
    start = time.perf_counter()
    kernel = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    seconds = time.perf_counter() - start
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    tool = str(tools) if tools.exists() else shutil.which("cuobjdump")
    report = f"order {order}, {warps} warps, {dtype}: compiled in {seconds:.0f} s, {kernel.metadata.shared} B shared"
    if tool is None:
        return report + " (no cuobjdump found: registers and spills are not shown)"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(kernel.asm["cubin"])

        def dump(flag: str) -> str:
            done = subprocess.run([tool, flag, path], check=True, capture_output=True, text=True)
            return done.stdout

        usage = next(line.strip() for line in dump("-res-usage").splitlines() if "REG:" in line)
        code = dump("-sass")
    counts = ", ".join(f"{code.count(k)} {k}" for k in ("DMMA", "DFMA", "FFMA", "LDL", "STL"))
    return f"{report}; {usage}; instructions: {counts}"


def main() -> int:
    """Measure and write gpu.md, or report on compiling."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lanes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--dtype", nargs="+", default=["float64", "float32"])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--warps", type=int, default=8)
    parser.add_argument("--order", type=int, default=OPTIONS.order)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    if arguments.compile:
        for dtype in arguments.dtype:
            print(compiled(arguments.order, arguments.warps, dtype), flush=True)
        return 0
    import torch

    if not torch.cuda.is_available():
        print(
            "no CUDA device: run this on a CUDA machine, or --compile to only compile the kernel",
            file=sys.stderr,
        )
        return 2
    import triton

    peak = roofline(torch)
    n, d, h = SHAPE
    rows: list[str] = []
    for dtype in arguments.dtype:
        rows += ours(arguments.lanes, dtype, arguments.repetitions, peak)
    for other in (cpu_engine, generic):
        try:
            rows.append(other())
        except NumericsError as error:
            rows.append(f"| {other.__name__} | | failed: {error} | | | | |")
    properties = torch.cuda.get_device_properties(0)
    command = " ".join(["python -m benchmarks.gpu", *sys.argv[1:]])
    hardware = f"{properties.name}, {properties.multi_processor_count} multiprocessors"
    lines = [
        "# CUDA engine",
        "",
        f"{date.today()}, {hardware}, torch {torch.__version__}, triton {triton.__version__}. `{command}`",
        "",
        f"`early-alignment-flow` (n = {n}, d = {d}, h = {h}) to T, degree {OPTIONS.order}, rtol {OPTIONS.rtol:g}; "
        f"seconds by the clock with transfers. Float64 matrix product: {peak / 1e12:.1f} TFLOP/s.",
        "",
        "| method | B | s | trajectories/s | of the FP64 roofline | ok | steps per lane |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        agreement(),
        "",
    ]
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "gpu.md").write_text("\n".join(lines))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
