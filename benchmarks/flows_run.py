"""Orders for `benchmarks.flows_worker`, each in a process of its own, and the reference that they are held against."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from benchmarks import flows_problem
from benchmarks.flows_problem import benchmark_task, locate

ROOT = Path(__file__).parents[1]
ONE_THREAD = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")},
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
CHUNK = 32  # lanes of one file of the reference
RTOL = 1e-13


def cache_folder() -> Path:
    """Where references are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lemmata" / "benchmarks"


def compute_chunk(seed: int, horizon: float, first: int) -> tuple[Any, Any]:
    """W (b, h, d) and numbers of kinks (b,) of one chunk of lanes."""
    task = benchmark_task(CHUNK, seed=seed, first=first)
    until = horizon * task.T
    found = [locate(task, k, until, rtol=RTOL, atol=1e-4 * RTOL) for k in range(CHUNK)]
    return np.array([lane.W for lane in found]), np.array([lane.times.size for lane in found])


def reference_file(lanes: int, *, seed: int, horizon: float, jobs: int) -> Path:
    """A file with the reference of at least so many lanes; chunks that are missing in the cache are computed."""
    source = Path(flows_problem.__file__).read_bytes() + scipy.__version__.encode()
    key = f"{hashlib.sha256(source).hexdigest()[:12]}-{seed}-{horizon:g}"
    folder = cache_folder() / key
    folder.mkdir(parents=True, exist_ok=True)
    firsts = list(range(0, lanes, CHUNK))
    missing = [first for first in firsts if not (folder / f"{first}.npz").exists()]
    if missing:
        print(f"reference to {horizon:g} T: {len(missing) * CHUNK} lanes", file=sys.stderr)
        with ProcessPoolExecutor(jobs) as pool:
            calls = [pool.submit(compute_chunk, seed, horizon, first) for first in missing]
            for first, call in zip(missing, calls, strict=True):
                W, kinks = call.result()
                part = folder / f".{first}.{os.getpid()}.npz"
                np.savez(part, W=W, kinks=kinks)
                part.replace(folder / f"{first}.npz")
    chunks = []
    for first in firsts:
        with np.load(folder / f"{first}.npz") as stored:
            chunks.append((stored["W"], stored["kinks"]))
    whole = folder / f"first-{lanes}-{os.getpid()}.npz"
    W, kinks = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    np.savez(whole, W=W, kinks=kinks)
    return whole


def process(
    arguments: list[str], *, one_thread: bool = True, timeout: float | None = None, **env: str
) -> tuple[int, str, str]:
    """Exit code, output and the last lines of errors of a Python process in the project's folder."""
    environment = {**os.environ, **(ONE_THREAD if one_thread else {}), **env}
    try:
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"not finished after {timeout:.0f} s"
    return ran.returncode, ran.stdout, "\n".join(ran.stderr.strip().splitlines()[-1:])


def ordered(module: str, order: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What a module prints for an order, or ``{"failed": why}`` together with the order."""
    code, out, errors = process(["-m", module, json.dumps(order)], **options)
    if code:
        return {**order, "failed": errors or f"exit code {code}"}
    return dict(json.loads(out.strip().splitlines()[-1]))


def extrapolated(record: dict[str, Any], lanes: int) -> dict[str, Any]:
    """A record of fewer lanes as one of ``lanes``: seconds in proportion, lanes that ran as they were."""
    points = [
        {**point, "seconds": point["seconds"] * lanes / record["lanes"]}
        for point in record["points"]
    ]
    return {**record, "lanes": lanes, "points": points}


def table(
    names: tuple[str, ...],
    batches: list[int],
    *,
    horizon: float,
    seconds: float,
    seed: int,
    reference: Path,
) -> Iterator[dict[str, Any]]:
    """Records of all methods at all batches; what took too long at a smaller batch is not run again."""
    last: dict[str, dict[str, Any]] = {}
    for lanes in sorted(batches):
        for name in names:
            before = last.get(name)
            if before is not None and "failed" in before:
                continue
            if before is not None and lanes > before["lanes"] >= 64:
                enlarged = extrapolated(before, lanes)
                if max(point["seconds"] for point in enlarged["points"]) > seconds:
                    yield enlarged
                    continue
            record = ordered(
                "benchmarks.flows_worker",
                {
                    "method": name,
                    "lanes": lanes,
                    "horizon": horizon,
                    "rtols": "table",
                    "budget": seconds,
                    "seed": seed,
                    "reference": str(reference),
                },
                timeout=20 * seconds + 300,
            )
            last[name] = record
            yield record


def work_precision(
    names: tuple[str, ...], *, lanes: int, seconds: float, seed: int, reference: Path
) -> Iterator[dict[str, Any]]:
    """Records of all methods at all of their tolerances."""
    for name in names:
        order = {
            "method": name,
            "lanes": lanes,
            "horizon": 1.0,
            "rtols": "diagram",
            "budget": seconds,
            "seed": seed,
            "reference": str(reference),
        }
        yield ordered("benchmarks.flows_worker", order, timeout=60 * seconds + 300)
