"""Time and memory of conservation laws as the number of parameters D grows, for `benchmarks.conservation_laws`.

φ = U Vᵀ from D = 8 to D = 280, and a deep ReLU network with D = 306 and 47,385 path products. Each model is
measured in a process of its own: everything with certificates and audit first, whose peak memory is that of the process
so far; then the count alone (the closure, which is not told where to stop) and the laws of degree 2 alone. Wall-clock
seconds from the widths to the answer; best of five where that is quick.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from proofs_checks.figures import BLUE, GREEN, ORANGE, canvas, save
from proofs_checks.laws import laws
from theory.conservation import builders
from theory.conservation.laws import find_laws
from theory.conservation.lie import lie_rank
from theory.conservation.model import Model

FIGURE = "conservation_growth.png"
SHAPES = ((2, 2, 2), (3, 3, 2), (4, 4, 3), (5, 5, 4), (8, 8, 6), (10, 10, 8), (14, 14, 10))
WIDTHS = (8, 8, 8, 9, 9)
FIT_FROM = 24  # parameters; below, fixed costs dominate
SIZES = {"all": 7, "count": 8, "laws": 5}  # of marks: later ones lie on earlier ones
QUICK = 0.5  # seconds; what is quicker is measured five times
# Seconds in all (with audit) and GiB that a model may take.
LIMITS = {
    "U Vᵀ (10,10,8)": (15.0, math.inf),
    "U Vᵀ (14,14,10)": (180.0, 4.0),
    "ReLU [8,8,8,9,9], biases": (60.0, math.inf),
}


@dataclass(frozen=True)
class Measurement:
    """One model.

    Attributes:
        case: its name. parameters: D. terms: of φ. found: laws that were found; upper: how many there can be.
        rigor: as reported. count, laws, all: seconds. complete: the closure came to its end, not to a limit.
        peak: GiB, or None where the system does not tell.
    """

    case: str
    parameters: int
    terms: int
    found: int
    upper: int
    rigor: str | None
    count: float
    laws: float
    all: float
    complete: bool
    peak: float | None


def make_model(widths: tuple[int, ...]) -> tuple[str, Model]:
    """The factorisation of three widths, or the ReLU network with biases of more."""
    text = ",".join(map(str, widths))
    if len(widths) == 3:
        return f"U Vᵀ ({text})", builders.matrix_factorisation(*widths)
    return f"ReLU [{text}], biases", builders.relu(widths, bias=True)


def measure(widths: tuple[int, ...]) -> Measurement:
    """Measure one model in this process, which should be a fresh one."""

    def closure() -> Any:
        _, model = make_model(widths)
        return lie_rank(model.fields, model.dimension)

    report, everything = _timed(lambda: laws(make_model(widths)[1]))
    peak = peak_memory()
    rank, count = _timed(closure)
    _, seconds = _timed(lambda: find_laws(make_model(widths)[1], degree=2))
    case, model = make_model(widths)
    a = report.analysis
    return Measurement(
        case=case,
        parameters=model.size,
        terms=sum(map(len, model.phi)),
        found=a.lower,
        upper=model.dimension - rank.rank,
        rigor=report.rigor,
        count=count,
        laws=seconds,
        all=everything,
        complete=rank.complete,
        peak=peak,
    )


def peak_memory() -> float | None:
    """Largest resident size of this process so far, in GiB.

    Not that of `resource.getrusage`, which a child inherits from the process that started it.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    return None


def _timed(task: Callable[[], Any]) -> tuple[Any, float]:
    best, runs = math.inf, 0
    while not runs or (runs < 5 and best < QUICK):
        start = time.perf_counter()
        result = task()
        best, runs = min(best, time.perf_counter() - start), runs + 1
    return result, best


def in_fresh_processes(models: Sequence[tuple[int, ...]]) -> list[Measurement]:
    """One measurement for each model, one after the other."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        return list(pool.map(measure, models))


def seconds_text(seconds: float) -> str:
    """Two digits, or all before the point."""
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:,.0f}"


def slope(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(s, c) of the least-squares line log t = s log D + c."""
    x, y = np.log(np.array(points)).T
    s, c = np.polyfit(x, y, 1)
    return float(s), float(c)


def growth_section(folder: Path | None) -> tuple[str, list[str]]:
    """The table in Markdown, with the figure if there is a folder for it; what is missed."""
    found = in_fresh_processes([*SHAPES, WIDTHS])
    series, network = found[:-1], found[-1]
    lines = [
        "| case | D | terms of φ | laws | rigor | count, s | laws, s | all with audit, s | peak, MiB |",
        "|---|--:|--:|--:|---|--:|--:|--:|--:|",
    ]
    for m in found:
        peak = "-" if m.peak is None else f"{1024 * m.peak:.0f}"
        count = seconds_text(m.count) + ("" if m.complete else " (limit)")
        times = f"{count} | {seconds_text(m.laws)} | {seconds_text(m.all)}"
        lines.append(
            f"| {m.case} | {m.parameters} | {m.terms:,} | {m.found} | {m.rigor or '-'} | {times} | {peak} |"
        )
    slopes = {
        name: slope([(m.parameters, getattr(m, name)) for m in series if m.parameters >= FIT_FROM])
        for name in ("count", "laws", "all")
    }
    text = (
        f"Fitted slopes of U Vᵀ over D ≥ {FIT_FROM}: "
        + ", ".join(f"{name} D^{s:.2f}" for name, (s, _) in slopes.items())
        + ". Count: the closure without the known answer"
        + ("" if network.complete else "; of the ReLU network it is left at the limit on brackets")
        + ". All: laws, count (it ends where the laws show that no more is to come), certificates, audit; its peak "
        "memory is that of a process of its own, interpreter included."
    )
    section = ["## Growth with the number of parameters", "", *lines, "", text, ""]
    if folder is not None:
        draw(series, network, slopes, folder / FIGURE)
        section += [f"![Seconds against D, both logarithmic]({FIGURE})", ""]
    return "\n".join(section), misses(found)


def misses(found: Sequence[Measurement]) -> list[str]:
    """Counts that are open or unaudited, and limits that are exceeded."""
    out = []
    for m in found:
        if m.rigor != "proved" or m.found != m.upper:
            out.append(f"{m.case}: {m.found} to {m.upper} laws, rigor {m.rigor}")
        seconds, memory = LIMITS.get(m.case, (math.inf, math.inf))
        if m.all > seconds:
            out.append(f"{m.case}: {m.all:.0f} s in all, the limit is {seconds:.0f} s")
        if m.peak is not None and m.peak > memory:
            out.append(f"{m.case}: {m.peak:.1f} GiB, the limit is {memory:.1f} GiB")
    return out


def draw(
    series: Sequence[Measurement],
    network: Measurement,
    slopes: dict[str, tuple[float, float]],
    path: Path,
) -> None:
    """Seconds against D, both logarithmic, with the fitted lines; the ReLU network as single marks."""
    styles = {
        "all": (GREEN, "^", "-", "all, with audit"),
        "count": (BLUE, "o", "--", "count alone"),
        "laws": (ORANGE, "s", ":", "laws alone"),
    }
    with canvas(6.4, 4.2) as (figure, ax):
        for name, (colour, marker, style, label) in styles.items():
            s, c = slopes[name]
            x = np.array([m.parameters for m in series])
            ax.plot(
                x,
                [getattr(m, name) for m in series],
                marker,
                color=colour,
                ms=SIZES[name],
                mec="white",
            )
            fitted = x[x >= FIT_FROM]
            line = np.exp(c) * fitted.astype(float) ** s
            ax.plot(fitted, line, style, color=colour, lw=1.6, label=f"{label}: $D^{{{s:.2f}}}$")
            ax.plot(
                [network.parameters],
                [getattr(network, name)],
                marker,
                mfc="none",
                mec=colour,
                ms=9,
                mew=1.5,
            )
        ax.set(xscale="log", yscale="log", ylabel="seconds")
        ax.set_xlabel("number of parameters D")
        ticks = [m.parameters for m in series]
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
        ax.set_title(f"$U V^\\top$ (filled); {network.case} (open)", loc="left", fontsize=10)
        ax.legend(frameon=False)
        save(figure, path)
