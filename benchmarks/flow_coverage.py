"""How well the error bounds of trajectories cover the true errors, and by how much they exceed them.

    OMP_NUM_THREADS=1 python -m benchmarks.flow_coverage [--cases 10000] [--jobs 2] [-o benchmarks/results]

Random trajectories (``tests.numerics.reference_coverage.draw``: n <= 6, d <= 4, h <= 5, every loss, eps from 1e-1 to
1e-300, separable data and others, balanced starts and others, up to the late phase) against a reference in fixed point
with 128 bits (``tests.numerics.reference_flow``). In half of the cases the engine starts from weights that are off by
a known ``start_radius``: there the bound is compared with an error that the flow has carried along, not with rounding.
One case in ENSEMBLES also goes through ``numerics.ensemble``: suprema over time and final values. Another one does so
at a coarse tolerance between 1e-8 and 1e-3, where the closed form of the early phase goes far.

The reference is checked as well: one case in CHECK is repeated with 176 bits and degree 32.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

from numerics import FlowOptions
from numerics.ensemble import QUANTITIES
from proofs_checks.files import replace_with
from tests.numerics.reference_coverage import UNIT, Record, draw, judge
from tests.numerics.reference_ensembles import judge_ensemble
from tests.numerics.reference_flow import FINE, solve

FILE, FIGURE = "flow_coverage.md", "flow_coverage.png"
CHUNK, CHECK, ENSEMBLES = 25, 50, 8
ORDER = (
    "state, end",
    "state, inside",
    "state, kink",
    "all weights",
    "kink time",
    "max_weight_sq",
    "max_abs_output",
    "loss",
    "max_angle",
    "state, ensemble",
    *(f"{when} {quantity}" for when in ("sup", "final") for quantity in QUANTITIES),
)
SHOWN = 9  # of these in the figure
VARIANTS = BALANCED, OFF, COARSE = ("", " (start off)", " (coarse)")
COUNTED = ("kinks missed", "outcome")  # not numbers: events that must not happen


@dataclass
class Tally:
    """What a range of cases gave."""

    records: dict[str, list[Record]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    reference_error: float = 0.0
    checked: int = 0
    cpu: float = 0.0

    def add(self, other: Tally) -> None:
        """Take in another range."""
        for kind, records in other.records.items():
            self.records.setdefault(kind, []).extend(records)
        self.outcomes += other.outcomes
        self.reference_error = max(self.reference_error, other.reference_error)
        self.checked += other.checked
        self.cpu += other.cpu


def work(seeds: range) -> Tally:
    """Judge some cases; odd seeds start from weights that are off."""
    out, started = Tally(), time.process_time()
    for seed in seeds:
        perturbed = seed % 2 == 1
        records, outcomes = judge(draw(seed, perturbed=perturbed))
        for record in records:
            out.records.setdefault(record.kind + VARIANTS[perturbed], []).append(record)
        out.outcomes += outcomes
        if seed % ENSEMBLES == 0:
            for record in judge_ensemble(draw(seed)):
                out.records.setdefault(record.kind, []).append(record)
        elif seed % ENSEMBLES == ENSEMBLES // 2:
            coarse = FlowOptions(rtol=10.0 ** -(3.0 + 5.0 * (seed % 97) / 97.0))
            for record in judge_ensemble(draw(seed), options=coarse):
                out.records.setdefault(record.kind + COARSE, []).append(record)
        if seed % CHECK == 0:
            apart = disagreement(seed)
            if apart is not None:
                out.checked += 1
                out.reference_error = max(out.reference_error, apart)
    out.cpu = time.process_time() - started
    return out


def disagreement(seed: int) -> float | None:
    """Largest difference of two references' final states, relative to the neuron; None where one stops."""
    case = draw(seed)
    until = float(case.until[0])
    first, second = solve(case.problem, until), solve(case.problem, until, setting=FINE)
    if first.status != "ok" or second.status != "ok":
        return None
    (Wa, Va, _), (Wb, Vb, _) = first.at(until), second.at(until)
    worst = 0.0
    for j in range(len(Va)):
        size = sum((x * x for x in [*Wb[j], Vb[j]]), start=Vb[j] * 0)
        gap = [a - b for a, b in zip([*Wa[j], Va[j]], [*Wb[j], Vb[j]], strict=True)]
        square = sum((x * x for x in gap), start=Vb[j] * 0)
        if size > 0:
            worst = max(worst, float((square / size).abs_upper()) ** 0.5)
    return worst


def run(cases: int, jobs: int, first: int = 0) -> Tally:
    """Judge the cases first, ..., first + cases - 1 on some processes."""
    chunks = [range(a, min(a + CHUNK, first + cases)) for a in range(first, first + cases, CHUNK)]
    total = Tally()
    with ProcessPoolExecutor(jobs) as pool:
        for k, tally in enumerate(pool.map(work, chunks)):
            total.add(tally)
            if sys.stderr.isatty():
                print(f"\r{min((k + 1) * CHUNK, cases)} of {cases}", end="", file=sys.stderr)
    return total


def ratios(records: list[Record]) -> np.ndarray:
    """bound/error where both say something."""
    return np.array([r.bound / r.error for r in records if r.finite and r.error > 0])


def table(tally: Tally) -> list[str]:
    """One row per kind of number."""
    lines = [
        "| what | numbers | no bound | missed | covered | error 0 | error < 1 unit | bound/error: median | 10% | 90% "
        "| median bound |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in [k + variant for variant in VARIANTS for k in ORDER]:
        records = tally.records.get(kind, [])
        finite = [r for r in records if r.finite]
        if not finite:
            continue
        missed = sum(not r.covered for r in finite)
        zero = sum(r.error == 0 for r in finite) / len(finite)
        small = sum(r.error < UNIT for r in finite) / len(finite)
        over = ratios(finite)
        low, middle, high = np.quantile(over, [0.1, 0.5, 0.9]) if over.size else [np.nan] * 3
        lines.append(
            f"| {kind} | {len(records)} | {len(records) - len(finite)} | {missed} "
            f"| {100 * (1 - missed / len(finite)):.3f}% | {100 * zero:.1f}% | {100 * small:.0f}% "
            f"| **{middle:.3g}** | {low:.2g} | {high:.2g} | {np.median([r.bound for r in finite]):.1e} |"
        )
    return lines


def report(tally: Tally, cases: int) -> str:
    """The page of results."""
    numbers = [
        r
        for variant in VARIANTS
        for k in ORDER
        for r in tally.records.get(k + variant, [])
        if r.finite
    ]
    missed = [r for r in numbers if not r.covered]
    lanes = len({r.case for r in missed})
    events = {
        k: [r for variant in VARIANTS for r in tally.records.get(k + variant, []) if r.error > 0]
        for k in COUNTED
    }
    resolved = ratios([r for r in numbers if r.error >= UNIT])
    lines = [
        "# Error bounds of trajectories against a reference",
        "",
        f"`python -m benchmarks.flow_coverage --cases {cases}`, {date.today()}; {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}, python-flint {version('python-flint')}; "
        f"{tally.cpu:.0f} CPU seconds.",
        "",
        f"{cases} random trajectories, {len(numbers)} numbers with a bound: {len(missed)} of them outside "
        f"it, in {lanes} trajectories ({100 * (1 - lanes / cases):.3f}% of the trajectories have none). "
        f"bound/error over all: median {np.median(ratios(numbers)):.3g}; where the error is at least one "
        f"rounding unit (2^-53 of the number): median {np.median(resolved):.3g}, smallest {resolved.min():.3g}.",
        "",
        f"Kinks that one of the two does not have: {len(events['kinks missed'])}. Trajectories that go on beyond the "
        f"end of their solution, or end before it: {len(events['outcome'])}.",
        "",
        f"The reference against itself with 176 bits and degree 32, on {tally.checked} of the trajectories: largest "
        f"relative difference of a neuron's final state {tally.reference_error:.1e}.",
        "",
        "Sizes are relative: states to the norm of the neuron, times to the end time, the rest to the number itself. "
        '"no bound": infinite, as where an angle of zero is measured by its cosine. "start off": the engine starts '
        "from weights that are off by up to `start_radius`, the reference from the right ones. sup, final: of "
        '`numerics.ensemble`; there max_weight_sq and max_abs_output are logarithms, with absolute errors. "coarse": '
        "at tolerances between 1e-8 and 1e-3.",
        "",
        *table(tally),
        "",
        'How trajectories ended, for the engine / for the reference ("unknown": simultaneous kinks, contacts; up to '
        "there they are compared):",
        "",
        "| engine / reference | trajectories |",
        "|---|---|",
        *(f"| {kind} | {count} |" for kind, count in tally.outcomes.most_common()),
        "",
    ]
    for record in [*missed, *(r for found in events.values() for r in found)][:20]:
        lines.append(
            f"- outside: {record.kind}, case {record.case}: error {record.error:.3g}, bound {record.bound:.3g}"
        )
    lines += ["", f"![distribution of bound/error]({FIGURE})", ""]
    return "\n".join(lines)


def figure(tally: Tally, path: Path) -> None:
    """Distribution of bound/error per kind of number."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    for axis, variant, title in zip(
        axes, (BALANCED, OFF), ("rounding alone", "start off by a known radius"), strict=True
    ):
        for kind in ORDER[:SHOWN]:
            over = np.sort(np.minimum(ratios(tally.records.get(kind + variant, [])), 1e12))
            if over.size:
                axis.plot(over, np.linspace(0, 1, over.size), label=kind)
        axis.axvline(1.0, color="black", lw=0.8)
        axis.axvline(100.0, color="black", lw=0.8, ls=":")
        axis.set(xscale="log", xlim=(0.5, 1e6), xlabel="bound / error", title=title)
    axes[0].set_ylabel("part of the numbers")
    axes[1].legend(fontsize=7)
    panels.tight_layout()
    panels.savefig(path, dpi=120)
    plt.close(panels)


def main() -> int:
    """Run, and write the page and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    tally = run(arguments.cases, arguments.jobs, arguments.first)
    text = report(tally, arguments.cases)
    arguments.output.mkdir(parents=True, exist_ok=True)
    replace_with(arguments.output / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    figure(tally, arguments.output / FIGURE)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
