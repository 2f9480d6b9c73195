"""Exact training of two-layer ReLU networks: ours against one conic program over all patterns, and against peers.

    python -m benchmarks.convex_relu [--large] [--peer NAME=PYTHON]... [-o FOLDER]

CPU seconds on one thread, imports excluded. Ours: enumeration of the activation patterns and search (best of several
runs), then the certificate with the audit of it. The conic program is cvxpy with Clarabel, built from matrices for all
patterns at once, which it is given for free (best of the same number of runs). Exits with 1 where an optimum, a pattern
count, a proved gap or a target is missed.

--large adds (80,3) and (40,4). --peer runs pyscnn or adelie with the interpreter PYTHON (see
`benchmarks.convex_relu_peer`) on all patterns, which they are given too; their networks are judged by their own
objective and by the dual bound that their residual proves. -o FOLDER writes convex_relu.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from numerics.arrangements import Arrangement, enumerate_patterns
from numerics.pricing import Pricing
from numerics.relu_training import Trained, beta_max, train
from numerics.relu_training_conic import ConicProgram
from proofs_checks.files import replace_with
from proofs_checks.relu_certificates import CertifiedGap, certify

FILE, DATA, RUNS = "convex_relu.md", Path(__file__).parent / "data", 5


@dataclass(frozen=True)
class Instance:
    """A table, what must come out, and the least ratio to the conic program (None: it is not run)."""

    name: str
    patterns: int
    optimum: float | None
    ratio: float | None
    gap: float
    seconds: float

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        values = np.loadtxt(DATA / f"diabetes_{self.name}.csv", delimiter=",", skiprows=1)
        return values[:, :-1].copy(), values[:, -1].copy()


SMALL = (
    Instance("10_2", 20, 1.899341382, 0.0, 1e-9, 1.0),
    Instance("20_2", 40, 5.130883130, 0.0, 1e-9, 1.0),
    Instance("20_3", 382, 3.776394350, 1.0, 1e-9, 1.0),
    Instance("30_3", 872, 7.339228939, 3.0, 1e-9, 1.0),
)
LARGE = (
    Instance("80_3", 6322, None, None, 1e-8, 60.0),
    Instance("40_4", 19840, None, None, 1e-8, 60.0),
)


@dataclass(frozen=True)
class Solved:
    """Ours on one instance, with CPU seconds."""

    X: np.ndarray
    y: np.ndarray
    beta: float
    arrangement: Arrangement
    found: Trained
    proof: CertifiedGap
    enumerate: float
    solve: float
    certify: float

    @property
    def gap(self) -> float:
        if self.proof.certificate is None:
            return float("inf")
        return float((self.proof.upper - self.proof.lower) / self.proof.upper)


def best(task: Callable[[], Any], runs: int) -> tuple[Any, float]:
    """The last result and the least CPU time."""
    least = float("inf")
    for _ in range(runs):
        start = time.process_time()
        result = task()
        least = min(least, time.process_time() - start)
    return result, least


def solve(instance: Instance, runs: int) -> Solved:
    """Enumerate, search, certify."""
    X, y = instance.load()
    arrangement, first = best(lambda: enumerate_patterns(X, improve=False), runs)
    cells = arrangement.patterns
    beta = 0.1 * beta_max(X, y, cells)
    found, second = best(lambda: train(X, y, beta, cells), runs)
    exact = tuple(tuple(Fraction(float(a)) for a in row) for row in X)
    targets = tuple(Fraction(float(a)) for a in y)
    W, v = found.network()
    proof, third = best(
        lambda: certify(exact, targets, Fraction(beta), "squared", W, v, found.nu), min(runs, 2)
    )
    return Solved(X, y, beta, arrangement, found, proof, first, second, third)


def table_section(instances: Sequence[Instance]) -> tuple[str, dict[str, Solved], list[str]]:
    """Ours next to the conic program, in Markdown; the solutions; what is not as it must be."""
    lines = [
        "| n,d | P | optimum | neurons | enumerate | solve | certify | proved gap | cvxpy + Clarabel | its excess | "
        "ratio |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    solutions, problems = {}, []
    for instance in instances:
        ours = solve(instance, RUNS if instance.ratio is not None else 1)
        solutions[instance.name] = ours
        total = ours.enumerate + ours.solve
        theirs = excess = ratio = "-"
        if instance.ratio is not None:

            def conic(ours: Solved = ours) -> float:
                program = ConicProgram(ours.X, ours.y, ours.arrangement.patterns)
                program.solve(ours.beta)
                return float(program.problem.value)

            value, seconds = best(conic, RUNS)
            theirs, ratio = f"{seconds:.3f}", f"{seconds / total:.1f}"
            excess = f"{abs(value / ours.found.objective - 1):.0e}"
            if seconds < instance.ratio * total:
                problems.append(f"{instance.name}: ratio {ratio}, not {instance.ratio:g}")
        cells = [
            instance.name.replace("_", ","),
            ours.arrangement.count,
            f"{ours.found.objective:.9f}",
            len(ours.found.p),
            f"{ours.enumerate:.3f}",
            f"{ours.solve:.3f}",
            f"{ours.certify:.3f}",
            f"{ours.gap:.0e}",
            theirs,
            excess,
            ratio,
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
        problems += _misses(instance, ours)
    text = (
        f"CPU seconds on one thread; ours and cvxpy: best of {RUNS} runs (large instances: one). β = 0.1 β_max, "
        "squared loss. Certify: the sign tree, the certificate and its audit by the kernel. Proved gap: "
        "(upper - lower)/upper of the accepted certificate. Ratio: cvxpy / (enumerate + solve); cvxpy is given the "
        "patterns. Excess: of the solver's own value, which nothing certifies."
    )
    return "\n".join(["## Optimum and certificate", "", *lines, "", text, ""]), solutions, problems


def _misses(instance: Instance, ours: Solved) -> list[str]:
    out = []
    if ours.arrangement.count != instance.patterns:
        out.append(f"{instance.name}: {ours.arrangement.count} patterns, not {instance.patterns}")
    if instance.optimum is not None and abs(ours.found.objective - instance.optimum) > 6e-10:
        out.append(f"{instance.name}: optimum {ours.found.objective:.10f}, not {instance.optimum}")
    if not ours.gap <= instance.gap:
        out.append(f"{instance.name}: proved gap {ours.gap:.1e} ({ours.proof.reason})")
    if ours.certify > instance.seconds or ours.enumerate + ours.solve > 60.0:
        out.append(f"{instance.name}: certified in {ours.certify:.1f} s, not {instance.seconds:g}")
    return out


def peer_section(
    peers: dict[str, str], solutions: dict[str, Solved], names: Sequence[str]
) -> tuple[str, list[str]]:
    """Each peer on each instance, judged by the gap that its own network and residual prove."""
    lines = [
        "| n,d | peer | seconds | relative excess | gap from its own dual | ours, s | ratio |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    problems = []
    for name in names:
        ours = solutions[name]
        total = ours.enumerate + ours.solve
        for peer, python in peers.items():
            row = [name.replace("_", ","), peer]
            try:
                p, signs, seconds = run_peer(peer, python, ours)
            except (subprocess.SubprocessError, OSError) as error:
                reason = getattr(error, "stderr", None) or str(error)
                lines.append(
                    f"| {' | '.join(row)} | failed: {reason.strip().splitlines()[-1]:.80} | | | | |"
                )
                continue
            excess, gap = judge(p, signs, ours)
            row += [
                f"{seconds:.3f}",
                f"{excess:.0e}",
                f"{gap:.0e}",
                f"{total:.3f}",
                f"{seconds / total:.1f}",
            ]
            lines.append(f"| {' | '.join(row)} |")
            if seconds < total and gap <= max(ours.gap, 1e-15):
                problems.append(f"{name}: {peer} is faster at no greater gap")
    text = (
        "CPU seconds of the peer's solver alone, on all patterns, in an interpreter of its own; ours: enumerate + "
        "solve. Excess: of the peer's network over the optimum. Gap: with the dual bound of the peer's residual, "
        "scaled by our pricing, so the accuracy that its answer could certify; ours is that of the table above. "
        "pyscnn: augmented Lagrangian, default tolerances, float64; Adelie: group lasso with linear constraints, "
        "tolerance 1e-12."
    )
    return "\n".join(["## Next to peers", "", *lines, "", text, ""]), problems


def run_peer(peer: str, python: str, ours: Solved) -> tuple[np.ndarray, np.ndarray, float]:
    """p, signs and CPU seconds of a peer; raises `subprocess.SubprocessError` if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "instance.npz", Path(folder) / "answer.npz"
        cells = ours.arrangement
        np.savez(
            given,
            X=ours.X,
            y=ours.y,
            beta=ours.beta,
            patterns=cells.patterns,
            directions=cells.directions,
        )
        script = str(Path(__file__).with_name("convex_relu_peer.py"))
        subprocess.run(
            [python, script, peer, str(given), str(answer)],
            check=True,
            capture_output=True,
            text=True,
            timeout=900,
        )
        with np.load(answer) as data:
            return data["p"], data["signs"], float(data["seconds"])


def judge(p: np.ndarray, signs: np.ndarray, ours: Solved) -> tuple[float, float]:
    """Relative excess of the objective over the optimum, and the gap to the bound from the residual."""
    f = (signs[:, None] * np.maximum(p @ ours.X.T, 0.0)).sum(axis=0)
    nu = ours.y - f
    value = 0.5 * nu @ nu + ours.beta * np.linalg.norm(p, axis=1).sum()
    longest = Pricing(ours.X, ours.arrangement.patterns).maximum(nu).bound
    tau = min(ours.beta / longest, max(float(ours.y @ nu) / float(nu @ nu), 0.0))
    lower = tau * ours.y @ nu - 0.5 * tau**2 * nu @ nu
    return float(value / ours.found.objective - 1), float((value - lower) / value)


def header(command: str) -> str:
    """When, on what and with what this was run."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    cpu = names[0] if names else platform.processor() or platform.machine()
    packages = ", ".join(
        f"{name} {version(name)}"
        for name in ("lemmata", "numpy", "scipy", "cvxpy", "clarabel", "python-flint")
    )
    where = f"{date.today()}, {os.cpu_count()} cores, {cpu}, Python {platform.python_version()}, {packages}."
    return "\n".join(
        ["# Exact convex ReLU training: benchmark", "", where, "", f"    {command}", ""]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print (and write) what was asked for; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="also (80,3) and (40,4)")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="pyscnn or adelie, and its interpreter",
    )
    parser.add_argument("-o", dest="folder", type=Path, help="write the results to this folder")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    peers = dict(entry.partition("=")[::2] for entry in options.peer)
    if set(peers) - {"pyscnn", "adelie"} or not all(peers.values()):
        parser.error("--peer takes pyscnn=PYTHON or adelie=PYTHON")
    shown = [f"{a.partition('=')[0]}=python" if "=" in a else a for a in given]
    sections = [header(" ".join(["python -m benchmarks.convex_relu", *shown]))]
    solve(SMALL[0], 1)  # imports, outside the measurements
    ConicProgram(*SMALL[0].load(), np.ones((1, 10), dtype=bool)).solve(1.0)
    instances = SMALL + (LARGE if options.large else ())
    text, solutions, problems = table_section(instances)
    sections.append(text)
    if peers:
        text, more = peer_section(peers, solutions, [instance.name for instance in SMALL])
        sections.append(text)
        problems += more
    print("\n".join(sections))
    if options.folder is not None:
        whole = "\n".join(sections)
        replace_with(options.folder / FILE, lambda path: path.write_text(whole, encoding="utf-8"))
    for problem in problems:
        print(f"not as expected: {problem}", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
