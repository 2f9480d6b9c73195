"""What the choice of a compiler rests on: the same loop in numba, in C++ through torch, and in torch.compile.

    python -m benchmarks.flows_compilers

All integrate the benchmark across its kinks by adaptive Tsit5. numba and C++ take one lane after another;
torch.compile fuses one step of a batch, and the loop around it stays in Python. Every candidate runs twice in a process
of its own with the same, at first empty, cache: "cold" compiles, "warm" is what every later start costs. Seconds are of
the processor, of the process and of the compilers that it starts, on one thread.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

CANDIDATES = {
    "numba": "numba, one lane at a time",
    "cpp": "C++ through torch.utils.cpp_extension, one lane at a time",
    "torch-1": "torch.compile, B = 1",
    "torch-64": "torch.compile, B = 64",
}
RTOL, ATOL = 1e-8, 1e-12
CPP = r"""
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

static void field(const double* X, const double* y, const double* u, double* out, double* z, int n, int d, int h) {
    const double* v = u + d * h;
    std::fill(out, out + (d + 1) * h, 0.0);
    for (int i = 0; i < n; ++i) {
        std::fill(z, z + h, 0.0);
        for (int c = 0; c < d; ++c)
            for (int j = 0; j < h; ++j) z[j] += X[i * d + c] * u[c * h + j];
        double f = 0.0;
        for (int j = 0; j < h; ++j) f += v[j] * std::max(z[j], 0.0);
        const double g = y[i] * std::exp(-y[i] * f);
        for (int j = 0; j < h; ++j) z[j] = z[j] > 0.0 ? g : 0.0;
        for (int c = 0; c < d; ++c)
            for (int j = 0; j < h; ++j) out[c * h + j] += X[i * d + c] * z[j];
    }
    for (int c = 0; c < d; ++c)
        for (int j = 0; j < h; ++j) {
            out[d * h + j] += u[c * h + j] * out[c * h + j];
            out[c * h + j] *= v[j];
        }
}

// The state of one lane from 0 to `until`, in place; returns the evaluations.
int64_t tsit5(at::Tensor data, at::Tensor labels, at::Tensor state, double until, double rtol, double atol,
              at::Tensor tableau) {
    const int n = data.size(0), d = data.size(1), size = state.numel(), h = size / (d + 1);
    const double *X = data.const_data_ptr<double>(), *y = labels.const_data_ptr<double>();
    const double* a = tableau.const_data_ptr<double>();
    double* u = state.data_ptr<double>();
    std::vector<double> k(7 * size), z(h), stage(size);
    field(X, y, u, k.data(), z.data(), n, d, h);
    int64_t evaluations = 1;
    double t = 0.0, step = 1e-3 * until;
    while (t < until) {
        const double tau = std::min(step, until - t);
        for (int s = 1; s < 7; ++s) {
            std::copy(u, u + size, stage.data());
            for (int r = 0; r < s; ++r)
                for (int q = 0; q < size; ++q) stage[q] += tau * a[7 * s + r] * k[r * size + q];
            field(X, y, stage.data(), &k[s * size], z.data(), n, d, h);
        }
        evaluations += 6;
        double total = 0.0;
        for (int q = 0; q < size; ++q) {
            double e = 0.0;
            for (int r = 0; r < 7; ++r) e += a[49 + r] * k[r * size + q];
            e *= tau / (atol + rtol * std::max(std::abs(u[q]), std::abs(stage[q])));
            total += e * e;
        }
        const double error = std::sqrt(total / size);
        if (error <= 1.0) {
            t = tau == until - t ? until : t + tau;
            std::copy(stage.begin(), stage.end(), u);
            std::copy(k.begin() + 6 * size, k.end(), k.begin());
        }
        step = tau * std::min(10.0, std::max(0.2, 0.9 * std::pow(std::max(error, 1e-10), -0.2)));
    }
    return evaluations;
}
"""

# To a given time: evaluations of one lane, added up over the lanes, and W (b, h, d).
Integrate = Callable[[float], tuple[int, Any]]


def with_numba(task: Any) -> Integrate:
    """`benchmarks.flows_numba`."""
    from benchmarks import flows_numba as compiled

    def integrate(until: float) -> tuple[int, Any]:
        states = compiled.pack(task)
        constants = (until, RTOL, ATOL, compiled.TABLEAU)
        count = sum(compiled.tsit5(task.X, task.y, u, *constants) for u in states)
        return count, compiled.unpack(task, states)

    return integrate


def with_cpp(task: Any) -> Integrate:
    """The same loop in C++; the compiler sees it as it would be shipped, for the machine at hand."""
    import torch
    from torch.utils.cpp_extension import load_inline

    module = load_inline(
        "lemmata_benchmark_tsit5",
        CPP,
        functions=["tsit5"],
        extra_cflags=["-O3", "-march=native", "-ffast-math"],
    )
    from benchmarks.flows_numba import TABLEAU, pack, unpack

    def integrate(until: float) -> tuple[int, Any]:
        X, y, tableau = (torch.from_numpy(array) for array in (task.X, task.y, TABLEAU))
        states = torch.from_numpy(pack(task))
        count = sum(module.tsit5(X, y, u, until, RTOL, ATOL, tableau) for u in states)
        return count, unpack(task, states.numpy())

    return integrate


def with_torch(task: Any) -> Integrate:
    """One step of all lanes, compiled; each lane has its own step size and waits when it is done."""
    import torch

    from benchmarks.flows_numba import TABLEAU
    from benchmarks.flows_torch import Field

    a, field = TABLEAU.tolist(), Field(task).slope

    def step(u: Any, first: Any, t: Any, size: Any, end: Any) -> tuple[Any, Any, Any, Any]:
        tau = torch.minimum(size, end - t)
        k = [first]
        for row in a[1:7]:
            stage = u + tau[:, None] * sum(c * slope for c, slope in zip(row, k, strict=False))
            k.append(field(stage))
        e = tau[:, None] * sum(c * slope for c, slope in zip(a[7], k, strict=True))
        error = (e / (ATOL + RTOL * torch.maximum(u.abs(), stage.abs()))).square().mean(1).sqrt()
        take = error <= 1.0
        t = torch.where(take, torch.where(tau == end - t, end, t + tau), t)
        u, first = torch.where(take[:, None], stage, u), torch.where(take[:, None], k[6], first)
        return u, first, t, tau * (0.9 * error.clamp_min(1e-10) ** -0.2).clamp(0.2, 10.0)

    fused = torch.compile(step)

    def integrate(until: float) -> tuple[int, Any]:
        with torch.no_grad():
            u = torch.from_numpy(task.starts())
            t = torch.zeros(task.lanes, dtype=torch.float64)
            end = t + until
            slope, size, steps = field(u), 1e-3 * end, 0
            while bool((t < end).any()):
                u, slope, t, size = fused(u, slope, t, size, end)
                steps += 1
        return (6 * steps + 1) * task.lanes, task.unpack(u.numpy())

    return integrate


def spent() -> float:
    """CPU seconds so far, of this process since it began and of those that it has waited for."""
    return sum(os.times()[:4])


def run_candidate(name: str) -> dict[str, Any]:
    """Seconds until the candidate has integrated a first, short piece, and then per evaluation."""
    from benchmarks.flows_problem import benchmark_task

    batch = int(name.split("-")[1]) if "-" in name else 4
    task = benchmark_task(batch)
    base = spent()
    integrate = {"numba": with_numba, "cpp": with_cpp}.get(name, with_torch)(task)
    until = task.T / 8 if name.startswith("torch") else task.T
    integrate(until / 1000)
    start = spent() - base
    before = spent()
    evaluations, W = integrate(until)
    return {
        "name": name,
        "start": start,
        "per_evaluation": (spent() - before) / evaluations,
        "norm": float((W**2).sum()),
    }


def measure() -> list[dict[str, Any]]:
    """A record for every candidate: label, cold and warm start, seconds per evaluation; or why it failed."""
    from benchmarks.flows_run import process

    records = []
    for name, label in CANDIDATES.items():
        with tempfile.TemporaryDirectory() as folder:
            caches = {
                variable: str(Path(folder) / variable)
                for variable in (
                    "NUMBA_CACHE_DIR",
                    "TORCH_EXTENSIONS_DIR",
                    "TORCHINDUCTOR_CACHE_DIR",
                )
            }
            runs = []
            for _ in ("cold", "warm"):
                code, out, errors = process(
                    ["-m", "benchmarks.flows_compilers", name],
                    timeout=600,
                    TORCHINDUCTOR_COMPILE_THREADS="1",
                    MAX_JOBS="1",
                    **caches,
                )
                if code:
                    break
                runs.append(json.loads(out.strip().splitlines()[-1]))
        if len(runs) < 2:
            records.append({"name": name, "label": label, "failed": errors or f"exit code {code}"})
            continue
        cold, warm = runs
        records.append(
            {
                "name": name,
                "label": label,
                "cold": cold["start"],
                "warm": warm["start"],
                "per_evaluation": min(cold["per_evaluation"], warm["per_evaluation"]),
            }
        )
    return records


if __name__ == "__main__":
    found = run_candidate(sys.argv[1]) if len(sys.argv) > 1 else measure()
    print(json.dumps(found, indent=None if len(sys.argv) > 1 else 2))
