"""10,000 cases as a campaign, next to a plain loop over the same cases, and what a resumption and a summary cost.

    OMP_NUM_THREADS=1 python -m benchmarks.campaigns [-o benchmarks/results]

CPU seconds, of all processes. The loop makes the same cases and judges them one by one, and keeps the verdicts in
memory: what one writes for oneself, which forgets everything when it is stopped. The statement is exact and takes less
than a millisecond per case, so that the rest shows.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from proofs_checks.api import check
from proofs_checks.campaigns.cases_static import update
from proofs_checks.campaigns.models import MODELS
from proofs_checks.campaigns.plan import plan
from proofs_checks.campaigns.rules import Draw
from proofs_checks.campaigns.run import campaign
from proofs_checks.campaigns.spec import Spec, parse
from proofs_checks.campaigns.summary import summarise
from proofs_checks.files import replace_with
from proofs_checks.registry import statement

FILE = "campaigns.md"
TARGET = "margins/telescoping"
SPEC: dict[str, Any] = {
    "campaign": {"target": TARGET, "replicates": 25},
    "grid": {
        "d": [1, 2, 4, 8],
        "size": {"from": 1.0, "to": 100.0, "steps": 10, "scale": "log"},
        "eta": {"from": 0.01, "to": 2.0, "steps": 10, "scale": "log"},
    },
}
JOBS = 2


def cpu() -> float:
    """CPU seconds of this process and of all that have ended."""
    own, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = cpu()
    found = run()
    return cpu() - start, found


def loop(spec: Spec) -> list[Any]:
    """The same cases, one by one."""
    ready, claim = plan(spec), statement(TARGET)
    rules, out = MODELS["update"].axes, []
    for point in range(ready.points):
        values = ready.point(point)
        for replicate in range(spec.replicates):
            seed = ready.seed(point, replicate)
            case = update(Draw("update", values, rules, seed, claim.setting.losses, ready.rows))
            out.append(check(claim, case))
    return out


def inline(spec: Spec, folder: Path) -> Any:
    """The campaign in one thread of this process."""
    with ThreadPoolExecutor(1) as pool:
        return campaign(spec, folder, executor=pool)


def table() -> tuple[list[str], list[str]]:
    """Lines of the report, and what is not as it must be."""
    spec, problems = parse(SPEC, Path("campaign.toml")), []
    warm = parse({"campaign": {"target": TARGET}}, Path("warm.toml"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inline(warm, folder / "warm")
        summarise(folder / "warm")
        plain, verdicts = timed(lambda: loop(spec))
        one, run = timed(lambda: inline(spec, folder / "one"))
        start = time.perf_counter()
        many, _ = timed(lambda: campaign(spec, folder / "many", jobs=JOBS))
        wall = time.perf_counter() - start
        again, resumed = timed(lambda: inline(spec, folder / "one"))
        reading, found = timed(lambda: summarise(folder / "one"))
        size = sum(p.stat().st_size for p in (folder / "one" / "parts").iterdir())
        if resumed.found != run.units or found.rows != len(verdicts) == run.rows:
            problems.append(f"{found.rows} rows, {len(verdicts)} verdicts, {run.rows} planned")
        other = summarise(folder / "many").to_json()["targets"][TARGET]
        ours = found.to_json()["targets"][TARGET]
        if {k: v for k, v in other.items() if k != "seconds"} != {
            k: v for k, v in ours.items() if k != "seconds"
        }:
            problems.append("two runs of one campaign differ")
        if found.targets[TARGET].all.counts["holds"] != sum(v.status == "holds" for v in verdicts):
            problems.append("campaign and loop disagree")
    rows = found.rows
    lines = [
        f"| {rows:,} cases of `{TARGET}` | CPU s | rows per CPU s | against the loop |",
        "|---|---:|---:|---:|",
    ]
    for label, seconds in (
        ("plain loop", plain),
        ("campaign, one thread", one),
        (f"campaign, {JOBS} processes (their start included)", many),
        ("run again, nothing to do", again),
        ("summary", reading),
    ):
        lines.append(
            f"| {label} | {seconds:.2f} | {rows / seconds:,.0f} | ×{seconds / plain:.2f} |"
        )
    lines += [
        "",
        f"{run.units} parts, {size / rows:.0f} bytes per row; {JOBS} processes took {wall:.1f} s by the clock.",
    ]
    return lines, problems


def main() -> int:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, help="folder for the report")
    out = parser.parse_args().out
    lines, problems = table()
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyarrow", "python-flint"))
    where = f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    text = "\n".join(["# Campaigns", "", f"{where}, {packages}.", "", *lines, ""])
    print(text)
    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    if out is not None and not problems:
        replace_with(out / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
