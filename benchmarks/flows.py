"""Flows: cost and accuracy of our engine and of its peers, in one run on one machine.

    python -m benchmarks.flows [--quick] [--only SECTION ...] [--seconds 60] [--memory] [-o benchmarks/results]

Sections: `table` (all methods at B = 1, 64 and 1024 to T, the fastest ones to 20 T), `diagram` (error against CPU
seconds over tolerances, B = 64, as a figure), `growth` (with B, n, d, h), `cores` (B = 1024 on all cores),
`start` (seconds of commands), `compilers` (numba, C++ and torch.compile on the same loop), and with `--memory`
the peak memory of 10^5 trajectories.

Every method runs in a process of its own on one thread, bound to one core; the seconds are CPU seconds without
imports and without compiling. What is expected to take longer than `--seconds` is measured on fewer lanes and
multiplied, and marked. The reference is computed once and kept in the user's cache folder.

Results go to flows.json, flows.md and flows_work_precision.png. With `--only` the other sections stay as they were,
each with its date. The exit code is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import flows_compilers, flows_growth, flows_run
from benchmarks.flows_figure import draw
from benchmarks.flows_methods import NAMES
from benchmarks.flows_report import report, targets

SECTIONS = ("table", "diagram", "growth", "cores", "start", "compilers", "memory")
LONG = (
    "diffrax-tsit5-lanes",
    "scipy-events",
    "diffrax-events-lanes",
    "lemmata-integrate",
    "lemmata-ensemble",
)
DIAGRAM = tuple(name for name in NAMES if name not in {"diffrax-tsit5", "diffrax-events"})
PACKAGES = ("numpy", "scipy", "numba", "torch", "torchdiffeq", "torchode", "jax", "diffrax")


def machine() -> dict[str, Any]:
    """Processor, cores and versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


def told(records: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records, each announced when it is there."""
    kept = []
    for record in records:
        kept.append(record)
        name = record.get("method") or f"{record.get('axis')} = {record.get('value')}"
        if "failed" in record:
            outcome = record["failed"]
        else:
            seconds = [point["seconds"] for point in record.get("points", [record])]
            outcome = ", ".join(f"{s:.3g}" for s in seconds) + " s"
        print(f"  {name}, B = {record.get('lanes', '')}: {outcome}", file=sys.stderr, flush=True)
    return kept


def engines() -> list[str]:
    """Our engines that are there."""
    there = importlib.util.find_spec("numerics.ensemble") is not None
    return [name for name in flows_growth.ENGINES if there or name != "ensemble"]


def section_table(asked: argparse.Namespace) -> dict[str, Any]:
    """All methods to T at all batches, and the fastest ones to 20 T at B = 64."""
    batches = [1, 64] if asked.quick else [1, 64, 1024]
    jobs = os.cpu_count() or 1
    records = []
    for horizon, names, sizes in ((1.0, NAMES, batches), (20.0, LONG, [64])):
        names = tuple(name for name in names if asked.method is None or name in asked.method)
        file = flows_run.reference_file(max(sizes), seed=asked.seed, horizon=horizon, jobs=jobs)
        try:
            records += told(
                flows_run.table(
                    names,
                    sizes,
                    horizon=horizon,
                    seconds=asked.seconds,
                    seed=asked.seed,
                    reference=file,
                )
            )
        finally:
            file.unlink()
    return {"records": records}


def section_diagram(asked: argparse.Namespace) -> dict[str, Any]:
    """All methods at all of their tolerances."""
    file = flows_run.reference_file(64, seed=asked.seed, horizon=1.0, jobs=os.cpu_count() or 1)
    names = tuple(name for name in DIAGRAM if asked.method is None or name in asked.method)
    try:
        records = told(
            flows_run.work_precision(
                names,
                lanes=64,
                seconds=asked.seconds / 15,
                seed=asked.seed,
                reference=file,
            )
        )
    finally:
        file.unlink()
    return {"records": records}


def section_growth(asked: argparse.Namespace) -> dict[str, Any]:
    """Our faster engine at growing shapes."""
    points = told(flows_growth.growth(engines()[-1]))
    return {"engine": engines()[-1], "points": points, "exponents": flows_growth.exponents(points)}


def section_cores(asked: argparse.Namespace) -> dict[str, Any]:
    """Our engines at B = 1024 (quick: 64) with every core."""
    lanes = 64 if asked.quick else 1024
    return {"records": [flows_growth.all_cores(name, lanes) for name in engines()]}


def section_start(asked: argparse.Namespace) -> dict[str, Any]:
    """Commands from start to end."""
    return {"records": flows_growth.start_up()}


def section_compilers(asked: argparse.Namespace) -> dict[str, Any]:
    """One loop, three compilers."""
    return {"records": flows_compilers.measure()}


def section_memory(asked: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of 10^5 trajectories over a part of T."""
    return flows_growth.memory(engines()[-1], asked.memory_horizon)


RUN: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "table": section_table,
    "diagram": section_diagram,
    "growth": section_growth,
    "cores": section_cores,
    "start": section_start,
    "compilers": section_compilers,
    "memory": section_memory,
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="B = 1 and 64 only")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="run these sections")
    parser.add_argument("--method", nargs="+", choices=NAMES, help="run these methods")
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of a row of the table")
    parser.add_argument("--memory", action="store_true", help="10^5 trajectories as well")
    parser.add_argument("--memory-horizon", type=float, default=0.05, help="of these, times T")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the sections, write the results; 1 where a target is missed."""
    asked = parse(arguments)
    store = asked.out / "flows.json"
    data: dict[str, Any] = json.loads(store.read_text()) if asked.only and store.exists() else {}
    data["machine"] = machine()
    command = "python -m benchmarks.flows " + " ".join(arguments or sys.argv[1:])
    sections = asked.only or [s for s in SECTIONS if s != "memory" or asked.memory]
    for name in sections:
        print(name, file=sys.stderr, flush=True)
        found = RUN[name](asked)
        data[name] = {"date": date.today().isoformat(), "command": command.strip(), **found}
    asked.out.mkdir(parents=True, exist_ok=True)
    store.write_text(json.dumps(data, indent=1) + "\n")
    (asked.out / "flows.md").write_text(report(data))
    if "diagram" in data:
        draw(data["diagram"]["records"], asked.out / "flows_work_precision.png")
    met = targets(data)
    for target in met:
        print(target)
    return 0 if all(target.met for target in met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
