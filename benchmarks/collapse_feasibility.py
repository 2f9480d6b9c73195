"""Feasibility of collapse: ours next to HiGHS, speed and answers.

    OMP_NUM_THREADS=1 python -m benchmarks.collapse_feasibility [-o FOLDER]

Speed: pure Gaussian noise at d/n near the transition, CPU seconds for one class, the same instances for both in one
process. `scipy.optimize.linprog` (HiGHS) solves min 0 subject to A w = 1, B w <= 0, w free, on the same arrays. Then
1,000 random instances, half of them with d/n within 5% of the transition (K+1)/2 and the others with finite sigma: the
answers are compared. What floats leave open, ours or HiGHS (status 4), is settled exactly and counted. Exits with 1 if
an answer differs, or if HiGHS is less than 20 times slower at (4, 40, 100).
-o FOLDER writes collapse_feasibility.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

from numerics.collapse_feasibility import class_feasibility
from numerics.collapse_phase import gaussian_points
from proofs_checks.exact_data import exact_matrix
from proofs_checks.feasibility import collapse_feasibility
from proofs_checks.feasibility_exact import settle
from proofs_checks.files import replace_with

FILE = "collapse_feasibility.md"
SIZES = ((2, 20, 30), (3, 40, 80), (4, 40, 100))
TARGET = 20.0  # times faster than HiGHS at the last size
INSTANCES = 30
COMPARED = 1000
Array = np.ndarray


def highs(own: Array, others: Array) -> bool | None:
    """The answer of HiGHS; None where it gives none."""
    from scipy.optimize import linprog

    d = own.shape[1]
    found = linprog(
        np.zeros(d),
        A_ub=others,
        b_ub=np.zeros(len(others)),
        A_eq=own,
        b_eq=np.ones(len(own)),
        bounds=(None, None),
        method="highs",
    )
    return {0: True, 2: False}.get(found.status)


def ours(own: Array, others: Array) -> bool | None:
    """The answer in floats."""
    return class_feasibility(own, others).feasible


def split(X: Array) -> tuple[Array, Array]:
    """The points of the first class, and the others."""
    return X[0], X[1:].reshape(-1, X.shape[2])


def speed_section(rng: np.random.Generator) -> tuple[str, list[str]]:
    """The table, and missed targets."""
    lines = [
        "| K | n | d | ours, ms | HiGHS, ms | ratio | proved and audited, all classes, ms |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    ratio, missed = math.nan, []
    for K, n, d in SIZES:
        instances = [gaussian_points(K, n, d, math.inf, rng) for _ in range(INSTANCES)]
        fast, slow = math.inf, math.inf
        for _ in range(2):  # the best of two: the first one also warms up
            fast = min(fast, _seconds(lambda xs=instances: [ours(*split(x)) for x in xs]))
            slow = min(slow, _seconds(lambda xs=instances: [highs(*split(x)) for x in xs]))
        labels = [k for k in range(K) for _ in range(n)]
        few = [x.reshape(-1, d) for x in instances[:5]]
        start = time.process_time()
        reports = [collapse_feasibility(x, labels) for x in few]
        proved = (time.process_time() - start) / len(few)
        missed += [f"{(K, n, d)}: not proved: {r.reason}" for r in reports if r.rigor != "proved"]
        ratio = slow / fast
        cells = [K, n, d, f"{fast / INSTANCES * 1e3:.2f}", f"{slow / INSTANCES * 1e3:.1f}"]
        cells += [f"{ratio:.0f}", f"{proved * 1e3:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    if not ratio >= TARGET:
        missed.append(f"{ratio:.1f} times HiGHS instead of {TARGET:g}")
    return "\n".join(lines), missed


def agreement_section(rng: np.random.Generator) -> tuple[str, list[str]]:
    """The counts in words, and the instances that differ."""
    tally: Counter[str] = Counter()
    differing = []
    for i in range(COMPARED):
        K, n = int(rng.integers(2, 5)), int(rng.integers(10, 41))
        if i % 2:
            median = (K + 1) / 2 * n
            d = int(rng.integers(math.ceil(0.95 * median), math.floor(1.05 * median) + 1))
            sigma = math.inf
        else:
            d = int(rng.integers(max(n, K), (K + 1) * n // 2 + 3))
            sigma = float(10.0 ** rng.uniform(-2, 1))
        own, others = split(gaussian_points(K, n, d, sigma, rng))
        mine, theirs = ours(own, others), highs(own, others)
        tally["noise near the transition" if i % 2 else "finite sigma"] += 1
        tally["open in floats, ours"] += mine is None
        tally["open, HiGHS"] += theirs is None
        if mine is None or theirs is None:
            exact = settle(exact_matrix(own), exact_matrix(others)).feasible
            mine, theirs = (exact if x is None else x for x in (mine, theirs))
        tally["feasible"] += mine is True
        tally["same answer"] += mine is theirs
        if mine is not theirs:
            differing.append(f"instance {i} {(K, n, d, sigma)}: ours {mine}, HiGHS {theirs}")
    return ", ".join(f"{name}: {count}" for name, count in tally.items()), differing


def _seconds(task: Callable[[], object]) -> float:
    start = time.process_time()
    task()
    return time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", type=Path, default=None)
    folder = parser.parse_args().o
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("set OMP_NUM_THREADS=1: one thread for both", file=sys.stderr)
        return 2
    speed, missed = speed_section(np.random.default_rng(0))
    agreement, differing = agreement_section(np.random.default_rng(1))
    machine = f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "python-flint"))
    text = "\n".join(
        [
            "# Feasibility of collapse: benchmark",
            "",
            f"{machine}, {packages}.",
            "",
            "    OMP_NUM_THREADS=1 python -m benchmarks.collapse_feasibility -o benchmarks/results",
            "",
            "## Speed next to HiGHS",
            "",
            speed,
            "",
            "CPU milliseconds for one class of pure Gaussian noise, one thread, best of two. The last column: all",
            "classes decided exactly, the certificate written and audited.",
            "",
            f"## Answers of {COMPARED} random instances",
            "",
            agreement + ".",
            "",
        ]
    )
    print(text)
    if folder is not None:
        replace_with(folder / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for problem in missed + differing:
        print(problem, file=sys.stderr)
    return 1 if missed or differing else 0


if __name__ == "__main__":
    sys.exit(main())
