"""How many conservation laws gradient flows have: what the literature says against what comes out.

    python -m benchmarks.conservation_laws [--peer] [--growth] [-o FOLDER]

Every row (see `benchmarks.conservation_rows`) states an expected number of laws, from a formula of the papers and not
from this package. It comes out right if the bounds from both sides, the dimension of the Lie algebra and the number of
linearly independent laws are the expected ones and the audit kernel has accepted every certificate. Anything else exits
with 1.

--peer compares with sympy in the same process (see `benchmarks.conservation_peer`), in CPU seconds; the count that is
timed is the full closure, which does not know the answer. Ours is the best of several runs, the peer runs once.
--growth measures from D = 8 to D = 306 (see `benchmarks.conservation_growth`). Both fail where a target is missed.
-o FOLDER writes what was run to conservation_laws.md, with the figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.conservation_growth import growth_section, seconds_text
from benchmarks.conservation_peer import Plain, Tuned
from benchmarks.conservation_rows import ROWS, Row
from proofs_checks.files import replace_with
from proofs_checks.laws import LawsReport, laws
from theory.conservation import builders
from theory.conservation.analysis import Analysis
from theory.conservation.laws import find_laws
from theory.conservation.lie import lie_rank

FILE = "conservation_laws.md"
Shape = tuple[int, int, int]
SHAPES: tuple[Shape, ...] = ((2, 2, 2), (3, 3, 2), (4, 4, 3), (5, 5, 4))
TARGETS = {"count": 1000, "laws": 200}  # times faster than `Plain` at the last of SHAPES
RUNS = 7


@dataclass(frozen=True)
class Outcome:
    """What came out for a row: the report, wall-clock seconds with audit, and what is wrong with it."""

    row: Row
    report: LawsReport
    seconds: float
    mismatches: tuple[str, ...]


def judge(row: Row) -> Outcome:
    """Compute a row and compare it with what is expected."""
    start = time.perf_counter()
    report = laws(row.model(), degree=row.degree)
    seconds = time.perf_counter() - start
    a = report.analysis
    lower, upper = row.interval
    expected: dict[str, tuple[object, object]] = {
        "laws": ((lower, upper), (a.lower, a.upper)),
        "dim Lie": (a.model.dimension - upper if row.lie is None else row.lie, a.lie.rank),
        "linearly independent laws": (lower if row.linear is None else row.linear, len(a.laws)),
        "rigor": ("proved", report.rigor),
    }
    if row.like is not None:
        other = laws(row.like(), degree=row.degree).analysis
        expected["laws, as polynomials"] = (_polynomials(other), _polynomials(a))
    mismatches = tuple(
        f"{what}: {found} instead of {wanted}"
        for what, (wanted, found) in expected.items()
        if wanted != found
    )
    return Outcome(row, report, seconds, mismatches)


def table_section(rows: Sequence[Row]) -> tuple[str, list[str]]:
    """The table in Markdown, and its mismatches."""
    lines = [
        "| case | source | D | laws expected | laws found | dim Lie | linear | degree | rigor | s | |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|--:|---|",
    ]
    problems = []
    for row in rows:
        outcome = judge(row)
        a = outcome.report.analysis
        cells = [
            row.case,
            row.formula,
            a.model.size,
            _bounds(row.interval),
            _bounds((a.lower, a.upper)),
            a.lie.rank,
            len(a.laws),
            f"{'≤ ' if a.mixed else ''}{a.degree}",
            outcome.report.rigor or "-",
            f"{outcome.seconds:.3f}",
            "MISMATCH" if outcome.mismatches else "",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
        problems += [f"{row.case}: {text}" for text in outcome.mismatches]
    exact = sum(row.interval[0] == row.interval[1] for row in rows)
    text = (
        "D parameters; laws: functionally independent ones at generic points; linear: linearly independent ones of "
        "the ansatz; degree: of the ansatz; s: seconds with certificates and audit. With momentum the fields have "
        f"2D + 1 variables. {exact} numbers, {len(rows) - exact} intervals, {len(problems)} mismatches."
    )
    return "\n".join(["## Laws and their number", "", *lines, "", text, ""]), problems


def _polynomials(analysis: Analysis) -> list[str]:
    return sorted(str(sorted(law.polynomial.items())) for law in analysis.laws)


def _bounds(interval: tuple[int, int]) -> str:
    lower, upper = interval
    return str(lower) if lower == upper else f"[{lower}, {upper}]"


def our_count(shape: Shape) -> int:
    """The number of laws from the full closure, which is not told where to stop."""
    model = builders.matrix_factorisation(*shape)
    return model.dimension - lie_rank(model.fields, model.dimension).rank


def our_laws(shape: Shape) -> int:
    """The number of linearly independent laws of degree 2."""
    return len(find_laws(builders.matrix_factorisation(*shape), degree=2))


# By task: ours, plain sympy, tuned sympy.
TASKS: dict[str, tuple[Callable[[Shape], int], ...]] = {
    "count": (our_count, lambda s: Plain(*s).count(), lambda s: Tuned(*s).count()),
    "laws": (our_laws, lambda s: len(Plain(*s).laws()), lambda s: len(Tuned(*s).laws())),
}


def peer_section(shapes: Sequence[Shape]) -> tuple[str, list[str]]:
    """Ours against both peers, in Markdown; disagreements and missed targets."""
    lines = [
        "| (n,m,r) | D | task | result | ours, s | plain sympy, s | ratio | tuned sympy, s | ratio |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    problems = []
    for shape in shapes:
        for task, (own, *peers) in TASKS.items():
            result, mine = _timed(own, shape, RUNS)
            name = f"({','.join(map(str, shape))})"
            cells: list[Any] = [
                name,
                (shape[0] + shape[1]) * shape[2],
                task,
                result,
                seconds_text(mine),
            ]
            ratios = []
            for peer in peers:
                theirs, seconds = _timed(peer, shape, 1)
                ratios.append(seconds / mine)
                cells += [seconds_text(seconds), f"{ratios[-1]:,.0f}"]
                if theirs != result:
                    problems.append(f"{task} at {name}: {result}, sympy says {theirs}")
            if shape == SHAPES[-1] and ratios[0] < TARGETS[task]:
                problems.append(
                    f"{task} at {name}: {ratios[0]:.0f} times faster, not {TARGETS[task]}"
                )
            lines.append(f"| {' | '.join(map(str, cells))} |")
    text = (
        f"CPU seconds on one thread, from the widths to the answer; ours: best of {RUNS}, sympy: one run. Count: the "
        "full closure, without the known answer. Plain sympy is the textbook in sympy's own words (symbols, "
        "`jacobian`, `expand`, `rank`, `nullspace`); tuned sympy uses its sparse polynomial rings and domain matrices. "
        "Both follow our algorithm. Most of plain sympy's time for the larger counts is that of `Matrix.rank`, which "
        f"the domain matrices replace. Targets against plain sympy at ({','.join(map(str, SHAPES[-1]))}): count "
        f"{TARGETS['count']:,}, laws {TARGETS['laws']}."
    )
    return "\n".join(["## Speed next to sympy", "", *lines, "", text, ""]), problems


def _timed(task: Callable[[Shape], int], shape: Shape, runs: int) -> tuple[int, float]:
    """The result and the best CPU time."""
    best = float("inf")
    for _ in range(runs):
        start = time.process_time()
        result = task(shape)
        best = min(best, time.process_time() - start)
    return result, best


def header(command: str) -> str:
    """When, on what and with what this was run."""
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [s for s in cpuinfo.read_text().splitlines() if "model name" in s]
        if cpuinfo.exists()
        else []
    )
    cpu = (
        names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()
    )
    packages = ", ".join(f"{p} {version(p)}" for p in ("lemmata", "python-flint", "sympy"))
    return "\n".join(
        [
            "# Conservation laws: benchmark",
            "",
            f"{date.today()}, {os.cpu_count()} cores, {cpu}, Python {platform.python_version()}, {packages}.",
            "",
            f"    {command}",
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print (and write) what was asked for; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="store_true", help="compare with sympy (minutes)")
    parser.add_argument("--growth", action="store_true", help="measure up to D = 306 (minutes)")
    parser.add_argument("-o", dest="folder", type=Path, help="write the results to this folder")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    sections = [header(" ".join(["python -m benchmarks.conservation_laws", *given]))]
    problems: list[str] = []
    makers: list[Callable[[], tuple[str, list[str]]]] = [lambda: table_section(ROWS)]
    if options.peer:
        makers.append(lambda: peer_section(SHAPES))
    if options.growth:
        makers.append(lambda: growth_section(options.folder))
    print(sections[0])
    for make in makers:
        section, found = make()
        print(section, flush=True)
        sections.append(section)
        problems += found
    if options.folder is not None:
        text = "\n".join(sections)
        replace_with(options.folder / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for problem in problems:
        print(f"not as expected: {problem}", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
