"""Cases per second of the search for counterexamples, next to plain Hypothesis with numpy.

    OMP_NUM_THREADS=1 python -m benchmarks.conjectures [-o benchmarks/results]

The conjecture is the bound on the Polyak-Lojasiewicz constant of two-layer linear networks (Min et al. 2021): two
symmetric eigenvalue problems and the singular values of a product, for n × n matrices. CPU seconds on one thread; two
processes do twice as much. The peer draws matrices of the same shapes with Hypothesis (small integers, its cheapest
elements) and evaluates both sides with numpy, one case at a time, without any error bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as hst
from hypothesis.extra import numpy as hnp

import proofs_checks.strategies as st
from numerics.program_search import one_thread
from proofs_checks.conjectures.batches import Task, explore
from proofs_checks.conjectures.conjecture import Conjecture, conjecture
from proofs_checks.conjectures.generation import draw
from proofs_checks.conjectures.search import search
from proofs_checks.files import replace_with

FILE = "conjectures.md"
SIZES = (2, 3, 4, 6, 8, 12)
CASES = 16_384
PEER_CASES = 600
FLOOR = 10_000  # deciding cases per CPU second at 4 x 4: 20,000 on two cores
WHOLE = 10.0  # CPU seconds for refuting, shrinking and certifying a wrong version


def pl_bound(W1: Any, W2: Any, half: float = 0.5, swapped: bool = False) -> tuple[Any, Any]:
    """Both sides of the bound for W1 (n, h) and W2 (h, m), as a user writes them."""
    (n, h), m = W1.shape, W2.shape[1]
    up = np.linalg.eigvalsh(W1.T @ W1 - W2 @ W2.T)
    down = np.linalg.eigvalsh(W2 @ W2.T - W1.T @ W1)
    values = np.linalg.svd(W1 @ W2, compute_uv=False)

    def largest(spectrum: Any, k: int) -> Any:
        """The positive part of the k-th largest eigenvalue, 0 beyond the last."""
        return np.maximum(spectrum[h - k], 0) if k <= h else 0 * spectrum[0]

    def sigma(k: int) -> Any:
        return values[k - 1] if k <= min(n, m) else 0 * values[0]

    d = largest(up, n) + largest(down, m)
    d_plus, d_minus = largest(up, 1) - largest(up, n), largest(down, 1) - largest(down, m)
    first, second = (m, n) if swapped else (n, m)
    rhs = half * (np.sqrt((d_minus + d) ** 2 + 4 * sigma(first) ** 2) - d_minus)
    rhs = rhs + half * (np.sqrt((d_plus + d) ** 2 + 4 * sigma(second) ** 2) - d_plus)
    lhs = np.linalg.eigvalsh(W1 @ W1.T)[0] + np.linalg.eigvalsh(W2.T @ W2)[0]
    return rhs, lhs


def bound_of(n: int) -> Conjecture:
    """The true bound at n x n."""

    @conjecture(case=st.record(W1=st.matrices(n, n), W2=st.matrices(n, n)))
    def pl_constant(case: Any) -> Any:
        rhs, lhs = pl_bound(case.W1, case.W2)
        return rhs <= lhs

    return pl_constant


NETWORKS = hst.tuples(*[hst.integers(1, 4)] * 3).flatmap(
    lambda sizes: st.record(W1=st.matrices(*sizes[:2]), W2=st.matrices(*sizes[1:]))
)


@conjecture(case=NETWORKS)
def lost_factor(case: Any) -> Any:
    """The factor ½ is lost."""
    rhs, lhs = pl_bound(case.W1, case.W2, half=1)
    return rhs <= lhs


@conjecture(case=NETWORKS)
def wrong_index(case: Any) -> Any:
    """σ_n and σ_m in each other's place."""
    rhs, lhs = pl_bound(case.W1, case.W2, swapped=True)
    return rhs <= lhs


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def batched(n: int) -> tuple[float, float]:
    """Judged and deciding cases per CPU second of the batched search."""
    bound = bound_of(n)
    drawn = draw(bound, count=50, seed=0)
    task = Task(bound.trace(drawn.cases[0]), tuple(drawn.cases), CASES, (n,))
    explore(task)  # imports and first allocations
    seconds, found = timed(lambda: explore(task))
    if found.violated:
        raise SystemExit(f"the bound is violated at n = {n}")
    return found.cases / seconds, found.deciding / seconds


def peer(n: int) -> float:
    """Cases per CPU second of Hypothesis with numpy."""
    elements = hst.integers(-3, 3).map(float)
    matrices = hnp.arrays(np.float64, (n, n), elements=elements)
    count = 0

    @settings(
        max_examples=PEER_CASES,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(matrices, matrices)
    def run(W1: np.ndarray, W2: np.ndarray) -> None:
        nonlocal count
        count += 1
        rhs, lhs = pl_bound(W1, W2)
        if not rhs <= lhs + 1e-9 * (1 + abs(lhs)):
            raise AssertionError

    seconds, _ = timed(run)
    return count / seconds


def speeds() -> tuple[list[str], list[str]]:
    """The table of speeds, and what is not as it must be."""
    lines = [
        "| n × n | judged/s | deciding/s | Hypothesis + numpy/s | deciding : peer |",
        "|---|---|---|---|---|",
    ]
    problems = []
    for n in SIZES:
        judged, deciding = batched(n)
        other = peer(n)
        lines.append(
            f"| {n} | {judged:,.0f} | {deciding:,.0f} | {other:,.0f} | {deciding / other:.0f} |"
        )
        if n == 4 and deciding < FLOOR:
            problems.append(f"{deciding:.0f} deciding cases per second at 4 x 4, below {FLOOR}")
    return lines, problems


def refutations() -> tuple[list[str], list[str]]:
    """Wrong versions, from generation to certificate."""
    lines = [
        "| wrong version | cases | CPU seconds | rigour | shapes | case |",
        "|---|---|---|---|---|---|",
    ]
    problems = []
    for wrong in (lost_factor, wrong_index):
        seconds, report = timed(lambda wrong=wrong: search(wrong, cases=100_000))
        found = report.counterexample
        if found is None or found.certificate is None or seconds > WHOLE:
            problems.append(f"{wrong.name}: {report.status} in {seconds:.1f} s")
            continue
        shapes = ", ".join(f"{k} {tuple(v)}" for k, v in found.shapes.items())
        values = "; ".join(f"{k} = {' '.join(v)}" for k, v in found.case["values"].items())
        lines.append(
            f"| {wrong.__doc__} | {report.cases} | {seconds:.1f} | {found.rigor} | {shapes} | {values} |"
        )
    return lines, problems


def main() -> int:
    """Print (and write) the tables; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", dest="folder", type=Path, help="write the results to this folder")
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("set OMP_NUM_THREADS=1: one thread for all", file=sys.stderr)
        return 2
    with one_thread():
        table, problems = speeds()
        wrong, more = refutations()
    machine = f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "hypothesis"))
    text = "\n".join(
        [
            "# Search for counterexamples: benchmark",
            "",
            f"{machine}, {packages}.",
            "",
            "    OMP_NUM_THREADS=1 python -m benchmarks.conjectures -o benchmarks/results",
            "",
            "CPU seconds on one thread. Every judged case has an error bound on both sides; deciding ones are those",
            "that the bound decides. The peer has no error bound, and draws and evaluates one case at a time.",
            "",
            *table,
            "",
            "## Wrong versions: generated, shrunk, certified",
            "",
            *wrong,
            "",
        ]
    )
    print(text)
    if options.folder is not None:
        replace_with(options.folder / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for line in problems + more:
        print(f"not as expected: {line}", file=sys.stderr)
    return int(bool(problems + more))


if __name__ == "__main__":
    sys.exit(main())
