"""Certified margins: parities next to the closed form, and drawn and real data next to random neurons.

    OMP_NUM_THREADS=1 python -m benchmarks.margins [-o benchmarks/results]

CPU seconds, one thread. Every interval is proved: the audit kernel accepts its certificate, and the time of that audit
is included in the seconds and also given by itself. "Random neurons" is the linear program over 4000 unit vectors,
solved by HiGHS: what one does without a pricing step; it has no upper bound.
"""

from __future__ import annotations

import argparse
import math
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
from scipy.optimize import linprog
from sklearn.datasets import load_diabetes

from proofs_checks.files import replace_with
from proofs_checks.margin_cases import ParityCase
from proofs_checks.margins import MarginResult, margin
from proofs_checks.verdict import Rigor

FILE = "margins.md"
PARITIES = ((2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (4, 4), (5, 4), (6, 4), (6, 6))
GAP = 1e-8
NEURONS = 4000


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def digits(low: float, high: float) -> str:
    """An interval with as many digits as tell its ends apart."""
    places = min(16, max(6, 2 - math.floor(math.log10(high - low)))) if high > low else 6
    return f"[{low:.{places}f}, {high:.{places}f}]"


def problem(name: str, result: MarginResult) -> list[str]:
    """What is not as it must be."""
    if result.status != "solved" or result.rigor is not Rigor.PROVED:
        return [f"{name}: {result.status}, {result.rigor}, {result.reason}"]
    return []


def parity_section() -> tuple[list[str], list[str]]:
    """γ1 against the closed form C(k-2, k/2-1) / (2^(k-1) √(k d)), and γ2 against the finite sum."""
    lines = [
        "| d, k | γ1 proved | closed form | neurons | seconds | audit | γ2 proved | finite sum | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    problems: list[str] = []
    for d, k in PARITIES:
        case = ParityCase(d, k)
        root = math.sqrt(d)
        cells = [f"{d}, {k}"]
        taken, found = timed(lambda case=case: margin(case.points, case.labels, gap=GAP))
        problems += problem(f"γ1({d}, {k})", found)
        closed = math.comb(k - 2, k // 2 - 1) / 2 ** (k - 1) / math.sqrt(k * d)
        if max(abs(found.lower / root - closed), abs(found.upper / root - closed)) > GAP:
            problems.append(f"γ1({d}, {k}) is not {closed}")
        audit, _ = timed(found.certificate.audit)
        cells += [digits(found.lower / root, found.upper / root), f"{closed:.12f}"]
        cells += [str(len(found.neurons)), f"{taken:.2f}", f"{audit:.2f}"]
        taken, found = timed(lambda case=case: margin(case.points, case.labels, space="f2"))
        problems += problem(f"γ2({d}, {k})", found)
        t = np.array([sum(x) / d for x in case.points])
        mean = np.mean(np.array(case.labels) * t * (np.pi - np.arccos(t)) / (2 * np.pi))
        if abs(found.lower / root - math.sqrt(mean)) > 1e-7:
            problems.append(f"γ2({d}, {k}) is not {math.sqrt(mean)}")
        cells += [f"{found.lower / root:.12f}", f"{math.sqrt(mean):.12f}", f"{taken:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines, problems


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Drawn points with random labels, and diabetes data labelled by the median of the target."""
    found = {}
    for n, d in ((20, 3), (20, 4), (40, 3), (30, 4), (60, 3)):
        rng = np.random.default_rng(n + d)
        found[f"drawn ({n}, {d})"] = (rng.standard_normal((n, d)), rng.choice([-1, 1], n))
    table = load_diabetes()
    columns = [table.feature_names.index(name) for name in ("bmi", "s5", "bp")]
    for n in (20, 30):
        X = np.column_stack([table.data[:n, columns], np.full(n, 0.05)])
        found[f"diabetes ({n}, 3), bias"] = (
            X,
            np.where(table.target[:n] > np.median(table.target[:n]), 1, -1),
        )
    return found


def random_neurons(X: np.ndarray, y: np.ndarray) -> float:
    """The margin of networks whose neurons are among random unit vectors."""
    rng = np.random.default_rng(0)
    U = rng.standard_normal((NEURONS, X.shape[1]))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    features = y[:, None] * np.maximum(X @ U.T, 0)
    found = linprog(
        np.r_[np.zeros(2 * NEURONS), -1.0],
        A_ub=np.vstack(
            [
                np.hstack([-features, features, np.ones((len(X), 1))]),
                np.r_[np.ones(2 * NEURONS), 0.0],
            ]
        ),
        b_ub=np.r_[np.zeros(len(X)), 1.0],
        bounds=[(0, None)] * (2 * NEURONS) + [(None, None)],
    )
    return -float(found.fun)


def data_section() -> tuple[list[str], list[str]]:
    """Proved intervals next to the linear program over random neurons."""
    lines = [
        "| data (n, d) | γ1 lower, proved | relative gap | neurons | seconds | audit | KiB | "
        "random neurons: share of γ1 | their seconds | γ2, proved | gap | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    problems: list[str] = []
    for name, (X, y) in data_sets().items():
        taken, found = timed(lambda X=X, y=y: margin(X, y, gap=GAP))
        problems += problem(name, found)
        audit, _ = timed(found.certificate.audit)
        size = len(found.certificate.to_json()) / 1024
        slow, share = timed(lambda X=X, y=y: random_neurons(X, y))
        cells = [name, f"{found.lower:.10g}", f"{found.relative_gap:.0e}", str(len(found.neurons))]
        cells += [f"{taken:.2f}", f"{audit:.2f}", f"{size:.0f}"]
        cells += [f"{share / found.upper:.4f}", f"{slow:.2f}"]
        taken, found = timed(lambda X=X, y=y: margin(X, y, space="f2", gap=GAP))
        problems += problem(f"{name}, f2", found)
        cells += [f"{found.lower:.10g}", f"{found.relative_gap:.0e}", f"{taken:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines, problems


def main() -> int:
    """Print (and write) the tables; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", dest="folder", type=Path, help="write the results to this folder")
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("set OMP_NUM_THREADS=1: one thread for all", file=sys.stderr)
        return 2
    margin([[1, 2], [2, 1]], [1, -1])  # imports and first compilation
    margin([[1, 2], [2, 1]], [1, -1], space="f2")
    parities, problems = parity_section()
    data, more = data_section()
    machine = f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    names = ("cvxpy", "clarabel", "scipy", "numpy", "python-flint")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    text = "\n".join(
        [
            "# Margins: benchmark",
            "",
            f"{machine}, {packages}.",
            "",
            "    OMP_NUM_THREADS=1 python -m benchmarks.margins -o benchmarks/results",
            "",
            "CPU seconds on one thread; the seconds of a margin include its certificate and one audit of it. All",
            "intervals are proved.",
            "",
            "## Parities of k of d coordinates, x = s/√d",
            "",
            *parities,
            "",
            "## Data",
            "",
            f"Random neurons: the linear program over {NEURONS} random unit vectors, which has no upper bound.",
            "",
            *data,
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
