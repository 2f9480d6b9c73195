"""Unconstrained features: the lift in all its forms, the closed form and the certificate, in seconds.

    OMP_NUM_THREADS=1 python -m benchmarks.unconstrained_features [--clarabel] [-o FOLDER]

The model with H >= 0 and cross-entropy.  K = 3, N = 60: the lift of all samples (SCS, and with --clarabel the
interior-point solver, which takes long), the lift of class averages, the program in seven scalars, the same root by
scalar minimisation, and the closed form; every row with the relative error of its objective.  Then whole answers of
`proofs_checks.features.upfm`: program, network, dual point, certificate, audit.  CPU seconds, best of a few runs,
cvxpy imported before.  Exits with 1 if a value is wrong, an answer is not proved, K = 10, n = 100 takes over a second,
or the full lift over two.
-o FOLDER writes unconstrained_features.md.
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
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from numerics.features import FeatureProblem
from numerics.features_programs import solve_program
from proofs_checks.features import FeatureOptimum, upfm
from proofs_checks.features_closed import closed_form
from proofs_checks.files import replace_with

FILE = "unconstrained_features.md"
L = Fraction(3, 100)
RUNS = 5
ERROR = 1e-4  # of a solver's objective; the certificates prove 1e-6
LIMITS = {"K = 10, n = 100": 1.0, "K = 3, N = 60, full lift": 2.0}


def seconds(task: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """CPU seconds of the best of a few runs, and what the task returns."""
    best, found = math.inf, None
    for _ in range(runs):
        start = time.process_time()
        found = task()
        best = min(best, time.process_time() - start)
    return best, found


def scalar_root(K: int, n: int, L: float) -> float:
    """The least value over a in Z = aC⊗1ᵀ: log(1 + (K-1)e^{-a}) + L√(K(K-1)n) a."""
    from scipy.optimize import minimize_scalar

    price = L * math.sqrt(K * (K - 1) * n)
    found = minimize_scalar(
        lambda a: math.log1p((K - 1) * math.exp(-a)) + price * a, bounds=(0, 60), method="bounded"
    )
    return float(found.fun)


def forms_section(clarabel: bool) -> tuple[str, list[str]]:
    """The forms of the program at K = 3, n = 20, in Markdown, and what is wrong."""
    K, n = 3, 20
    problem = FeatureProblem("upfm", "ce", np.eye(K), np.full(K, float(n)), float(L))
    tasks: list[tuple[str, Callable[[], float], int]] = [
        ("closed form", lambda: closed().value, RUNS),
        ("scalar minimisation", lambda: scalar_root(K, n, float(L)), RUNS),
        ("seven scalars, Clarabel", lambda: solve_program(problem, "scalars").objective, RUNS),
        ("class averages, Clarabel", lambda: solve_program(problem, "classes").objective, RUNS),
        ("full lift, SCS", lambda: solve_program(problem, "full", solver="SCS").objective, 2),
    ]
    if clarabel:
        tasks.append(
            (
                "full lift, Clarabel",
                lambda: solve_program(problem, "full", solver="CLARABEL").objective,
                1,
            )
        )

    def closed() -> Any:
        return closed_form("upfm", "ce", (n,) * K, L * L, False)

    truth, lines, problems, first = closed().value, [], [], math.nan
    for name, task, runs in tasks:
        taken, value = seconds(task, runs)
        first = taken if math.isnan(first) else first
        error = abs(value - truth) / truth
        lines.append(f"| {name} | {taken * 1e3:.3f} | {taken / first:.0f} | {error:.0e} |")
        if not error <= ERROR:
            problems.append(f"{name}: {value} instead of {truth}")
    head = ["| K = 3, N = 60 | ms | times the closed form | relative error |", "|---|--:|--:|--:|"]
    return "\n".join([*head, *lines]), problems


def answers_section() -> tuple[str, list[str]]:
    """Whole answers in Markdown, and what is wrong or too slow."""
    decays = {"loss": "ce", "lambda_w": L, "lambda_h": L}
    small = {"loss": "ce", "lambda_w": "3/1000", "lambda_h": "3/1000"}
    cases: dict[str, dict[str, Any]] = {
        "K = 3, N = 60": {"classes": 3, "per_class": 20, **decays},
        "K = 3, N = 60, full lift": {"classes": 3, "per_class": 20, "full": True, **decays},
        "K = 3, n = (30, 20, 10)": {"classes": 3, "per_class": [30, 20, 10], **decays},
        "K = 3, n = (30, 20, 10), bias": {
            "classes": 3,
            "per_class": [30, 20, 10],
            "bias": True,
            **decays,
        },
        "K = 10, n = 100": {"classes": 10, "per_class": 100, **small},
        "K = 50, n = 100": {"classes": 50, "per_class": 100, **small},
    }
    lines = [
        "| answer, proved | ms | of which the audit | proved relative gap | form |",
        "|---|--:|--:|--:|---|",
    ]
    problems = []
    for name, case in cases.items():
        found: FeatureOptimum
        taken, found = seconds(lambda case=case: upfm(**case), 3)
        if found.status != "solved" or found.certificate is None or found.relative_gap is None:
            problems.append(f"{name}: {found.status}, {found.reason}")
            continue
        certificate = found.certificate
        audit, result = seconds(certificate.audit, 3)
        if not result.accepted or found.rigor != "proved":
            problems.append(f"{name}: {result.reason}")
        if taken > LIMITS.get(name, math.inf):
            problems.append(f"{name}: {taken:.2f} s instead of {LIMITS[name]:g} s")
        cells = [name, f"{taken * 1e3:.1f}", f"{audit * 1e3:.1f}", f"{found.relative_gap:.0e}"]
        lines.append(f"| {' | '.join([*cells, found.form])} |")
    return "\n".join(lines), problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clarabel", action="store_true", help="the full lift with Clarabel, too")
    parser.add_argument("-o", type=Path, default=None)
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("set OMP_NUM_THREADS=1: one thread for all", file=sys.stderr)
        return 2
    upfm(classes=2, per_class=1, loss="ce", lambda_w=1, lambda_h=1)  # imports, compiles
    forms, problems = forms_section(options.clarabel)
    answers, more = answers_section()
    machine = f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    names = ("cvxpy", "clarabel", "scs", "numpy", "python-flint")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    flag = " --clarabel" * options.clarabel
    text = "\n".join(
        [
            "# Unconstrained features: benchmark",
            "",
            f"{machine}, {packages}.",
            "",
            f"    OMP_NUM_THREADS=1 python -m benchmarks.unconstrained_features{flag} -o benchmarks/results",
            "",
            "Features >= 0, cross-entropy. CPU milliseconds, one thread, best of a few; programs with their",
            "compilation by cvxpy.",
            "",
            forms,
            "",
            answers,
            "",
        ]
    )
    print(text)
    if options.o is not None:
        replace_with(options.o / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for problem in problems + more:
        print(problem, file=sys.stderr)
    return 1 if problems or more else 0


if __name__ == "__main__":
    sys.exit(main())
