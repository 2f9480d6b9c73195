"""The measurements of `benchmarks.flows` as tables, and its targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COLUMNS = (
    "method",
    "rtol",
    "CPU s",
    "lanes run",
    "evaluations",
    "largest error",
    "error bound",
    "wrong lanes",
    "warm-up s",
)


@dataclass(frozen=True)
class Target:
    """A number, the goal that it is held against, and whether it is met.

    Args:
        at_least: the number is to be at least the goal; otherwise below it. note: what it is made of.
    """

    text: str
    value: float
    goal: float
    at_least: bool
    note: str

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.value >= self.goal if self.at_least else self.value < self.goal

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "<"
        verdict = "met" if self.met else "MISSED"
        return f"{verdict}: {self.text}: {self.value:.3g}, goal {sign} {self.goal:g} ({self.note})"


def ended(data: dict[str, Any], section: str) -> list[dict[str, Any]]:
    """Records of a section that did not fail."""
    records = data.get(section, {}).get("records", ())
    return [record for record in records if "failed" not in record]


def rows_of(data: dict[str, Any], lanes: int, kind: str, horizon: float = 1.0) -> Iterator[Any]:
    """(label, point) of the table's rows of one kind."""
    for record in ended(data, "table"):
        if (record["lanes"], record["horizon"], record["kind"]) == (lanes, horizon, kind):
            for point in record["points"]:
                yield f"{record['label']}, rtol {point['rtol']:.0e}", point


def fastest(rows: Any) -> Any:
    """The row of the fewest seconds; None without rows."""
    return min(rows, key=lambda row: row[1]["seconds"], default=None)


def how(label: str, point: dict[str, Any], lanes: int) -> str:
    """A row in a few words, which say where its seconds were extrapolated."""
    part = f", from {point['lanes_run']} lanes" if point["lanes_run"] < lanes else ""
    return f"{label}: {point['seconds']:.3g} s at {point['error']:.0e}{part}"


def ratios(data: dict[str, Any], lanes: int) -> Iterator[Target]:
    """How much faster ours is, at an accuracy no worse, than the fastest peers across kinks and at kinks."""
    for kind, goal, text in (
        ("across", 8.0, "times the fastest peer that steps over kinks"),
        ("events", 5.0, "times the fastest peer that stops at kinks"),
    ):
        peer = fastest(rows_of(data, lanes, kind))
        if peer is None:
            continue
        enough = [
            row for row in rows_of(data, lanes, "ours") if row[1]["error"] <= peer[1]["error"]
        ]
        ours = fastest(enough)
        note = how(*peer, lanes) + "; " + (how(*ours, lanes) if ours else "none of ours")
        ratio = peer[1]["seconds"] / ours[1]["seconds"] if ours else 0.0
        yield Target(f"B = {lanes}, CPU, {text}", ratio, goal, True, note)


def targets(data: dict[str, Any]) -> list[Target]:
    """Of what was measured."""
    found: list[Target] = []
    for lanes in (64, 1024):
        found += ratios(data, lanes)
        rows = list(rows_of(data, lanes, "ours"))
        if rows:
            bad = sum(point["wrong_lanes"] + point["undecided"] for _, point in rows)
            note = f"of {sum(point['lanes_run'] for _, point in rows)} in {len(rows)} rows"
            found.append(Target(f"B = {lanes}, our lanes that are not right", bad, 1, False, note))
    missed = [
        record["label"]
        for record in ended(data, "table") + ended(data, "diagram")
        for point in record["points"]
        if point["bound"] is not None and point["error"] > point["bound"] + 1e-14
    ]
    if any(record["kind"] == "ours" for record in ended(data, "table")):
        text = "our error bounds below the error"
        found.append(Target(text, len(missed), 1, False, ", ".join(missed) or "none"))
    for record in ended(data, "cores"):
        # observers of `integrate` see one step after the other: it is no engine for all cores
        if record["lanes"] == 1024 and record["engine"] == "ensemble":
            text = f"B = 1024 to T, all cores, {record['engine']}, wall s"
            note = f"{data['machine']['cores']} cores, {record['cpu']:.3g} CPU s"
            found.append(Target(text, record["wall"], 12.0, False, note))
    for record in ended(data, "start"):
        goal = 1.5 if record["name"] == "one case" else 20.0
        text = f"`{record['command']}`, warm, wall s"
        found.append(Target(text, record["warm"], goal, False, f"first {record['first']:.3g} s"))
    if "peak_gb" in data.get("memory", {}):
        record = data["memory"]
        note = f"to {record['horizon']:g} T in {record['wall']:.3g} s wall"
        text = f"{record['lanes']} trajectories, peak GB"
        found.append(Target(text, record["peak_gb"], 4.0, False, note))
    return found


def table_rows(record: dict[str, Any]) -> Iterator[str]:
    """The rows of a record, one for each tolerance."""
    if "failed" in record:
        yield f"| {record['method']} | | did not run: {record['failed']} |" + " |" * (
            len(COLUMNS) - 3
        )
    else:
        for point in record["points"]:
            yield table_row(record, point)


def table_row(record: dict[str, Any], point: dict[str, Any]) -> str:
    """One row of the table."""
    part = point["lanes_run"] < record["lanes"]
    wrong = "–" if point["wrong_lanes"] is None else str(point["wrong_lanes"])
    if point["undecided"]:
        wrong += f", {point['undecided']} undecided"
    cells = (
        record["label"],
        f"{point['rtol']:.0e}",
        ("≈ " if part else "") + f"{point['seconds']:.3g}",
        str(point["lanes_run"]),
        "–" if point["evaluations"] is None else f"{point['evaluations']:,.0f}",
        f"{point['error']:.1e}",
        "–" if point["bound"] is None else f"{point['bound']:.1e}",
        wrong,
        f"{record['warm_up']:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def header(columns: tuple[str, ...]) -> list[str]:
    """The first two lines of a table."""
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]


def of_section(data: dict[str, Any], name: str, title: str) -> list[str]:
    """Title, date and command of a section."""
    section = data[name]
    return ["", f"## {title}", "", f"{section['date']}, `{section['command']}`", ""]


def report_table(data: dict[str, Any]) -> list[str]:
    """All methods, one table for each batch and horizon."""
    lines = of_section(data, "table", "Seconds to T")
    lines += [
        "One thread, CPU seconds of all lanes, without import and warm-up (compiling, or loading what is compiled).",
        "Error: of W, relative to the largest entry of its lane, largest over the lanes that ran, against scipy's",
        "DOP853 stopped at every kink at rtol 1e-13. Peers: atol = 1e-4 rtol. ≈: extrapolated in proportion from the",
        "lanes that ran. Wrong lanes: another number of kinks than the reference, whose own errors are near 1e-14.",
    ]
    groups: dict[tuple[float, int], list[Any]] = {}
    for record in data["table"]["records"]:
        groups.setdefault((record["horizon"], record["lanes"]), []).append(record)
    for (horizon, lanes), records in groups.items():
        until = "T" if horizon == 1 else f"{horizon:g} T"
        lines += ["", f"### To {until}, B = {lanes}", "", *header(COLUMNS)]
        lines += [row for record in records for row in table_rows(record)]
    return lines


def report_diagram(data: dict[str, Any]) -> list[str]:
    """The points of the figure."""
    lines = of_section(data, "diagram", "Work and precision, B = 64")
    lines += ["![Error against CPU seconds](flows_work_precision.png)", ""]
    lines += header(("method", "rtol", "CPU s", "lanes run", "largest error", "error bound"))
    for record in ended(data, "diagram"):
        for point in record["points"]:
            about = "≈ " if point["lanes_run"] < record["lanes"] else ""
            bound = "–" if point["bound"] is None else f"{point['bound']:.1e}"
            lines.append(
                f"| {record['label']} | {point['rtol']:.0e} | {about}{point['seconds']:.3g} "
                f"| {point['lanes_run']} | {point['error']:.1e} | {bound} |"
            )
    return lines


def report_growth(data: dict[str, Any]) -> list[str]:
    """Points and exponents."""
    section = data["growth"]
    lines = of_section(data, "growth", f"Growth ({section['engine']}, default options)")
    lines += [
        "CPU seconds per lane to T, which shrinks like 1/n; the others as in the benchmark.",
        "",
    ]
    lines += header(("", "CPU s per lane", "kinks per lane", "µs per kink"))
    for point in section["points"]:
        if "failed" not in point:
            lines.append(
                f"| {point['axis']} = {point['value']} | {point['seconds']:.3g} | {point['kinks']:.0f} "
                f"| {1e6 * point['seconds'] / max(point['kinks'], 1):.0f} |"
            )
    lines += ["", *header(("exponent in", "of s per lane", "of s per kink"))]
    for axis, (lane, kink) in section["exponents"].items():
        lines.append(f"| {axis} | {lane:.2f} | {kink:.2f} |")
    return lines


def report_compilers(data: dict[str, Any]) -> list[str]:
    """One loop, three compilers."""
    lines = of_section(data, "compilers", "The choice of a compiler")
    lines += [
        "The same adaptive Tsit5 loop across the kinks, CPU seconds on one thread. Start: imports, compiling or",
        "loading, and a first short run; cold with an empty cache, warm in the next process.",
        "",
        *header(("candidate", "cold start s", "warm start s", "µs per evaluation and lane")),
    ]
    for record in data["compilers"]["records"]:
        cells = (
            ("did not run: " + record["failed"], "", "")
            if "failed" in record
            else (
                f"{record['cold']:.1f}",
                f"{record['warm']:.2f}",
                f"{1e6 * record['per_evaluation']:.2f}",
            )
        )
        lines.append(f"| {record['label']} | " + " | ".join(cells) + " |")
    return lines


def report(data: dict[str, Any]) -> str:
    """The whole file."""
    about = data["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    lines = [
        "# Flows: benchmark",
        "",
        f"{about['processor']}, {about['cores']} cores, Python {about['python']}, {versions}.",
        "",
        "`early-alignment-flow`: n = 20, d = 10, h = 50, sum of exponential losses, ε = 1e-4, about 410 kinks up to T;",
        "`benchmarks/flows_problem.py` defines it.",
        "",
        "## Targets",
        "",
        *header(("", "measured", "goal", "", "made of")),
    ]
    for target in targets(data):
        sign, verdict = "≥" if target.at_least else "<", "met" if target.met else "**missed**"
        lines.append(
            f"| {target.text} | {target.value:.3g} | {sign} {target.goal:g} | {verdict} | {target.note} |"
        )
    parts = (
        ("table", report_table),
        ("diagram", report_diagram),
        ("growth", report_growth),
        ("compilers", report_compilers),
    )
    for name, part in parts:
        if name in data:
            lines += part(data)
    return "\n".join(lines) + "\n"
