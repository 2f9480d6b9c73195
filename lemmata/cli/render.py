"""Reports as rich tables. Nothing from a file or a statement is read as markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from proofs_checks.report import Report, StatementReport
    from theory.statement import Statement

COLOURS = {
    "holds": "green",
    "violated": "bold red",
    "vacuous": "yellow",
    "undecided": "magenta",
    "verified": "green",
    "stated": "yellow",
}
_COUNTS = ("holds", "violated", "vacuous", "undecided")
_NUMBERS = ("tightness", "error", "time")
_FULL_WIDTH, _MEDIUM_WIDTH = 126, 110
_BAR = 24  # characters for a step that gives everything away
_CLOSING = {
    0: ("green", "Nothing violated, nothing undecided."),
    1: ("bold red", "Violated."),
    3: ("yellow", "Unfinished: undecided, unchecked or underived statements remain."),
}


def number(value: Any) -> str:
    """A number with four digits, a decimal string as it is, and a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _table(*columns: str, right: Iterable[str] = (), title: str | None = None) -> Table:
    numeric = set(right)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0))
    for column in columns:
        # Text folds where the terminal is narrow; a number that is cut would be another number.
        if column in numeric:
            table.add_column(column, justify="right", no_wrap=True)
        else:
            table.add_column(column, overflow="fold")
    return table


def _status(word: str) -> Text:
    return Text(word, style=COLOURS.get(word, ""))


def _heading(words: str) -> Text:
    return Text(f"\n{words}", style="bold")


def _indented(words: str, *, by: int = 2, style: str = "") -> Text:
    """Lines that stay whole, so that LaTeX can be copied."""
    return Text("\n".join(" " * by + line for line in words.splitlines()), style=style)


# -- list and show


def summary(statement: Statement) -> dict[str, str]:
    """One statement of ``list --json``; "derived" means that a chain exists, checked by verify."""
    return {
        "id": statement.id,
        "kind": str(statement.kind),
        "title": statement.title,
        "source": str(statement.source),
        "derivation": "derived" if statement.derivations else "stated",
    }


def statement_table(statements: Sequence[Statement]) -> Table:
    """The table of ``list``."""
    columns = ("id", "kind", "derivation", "title")
    table = _table(*columns)
    table.columns[0].no_wrap = True
    for statement in statements:
        row = summary(statement)
        table.add_row(*(Text(row[column]) for column in columns))
    return table


def statement_page(statement: Statement) -> Iterator[RenderableType]:
    """The page of ``show``; the derivations are verified while it is printed."""
    from theory.printing import relation_text, text

    yield Text(statement.id, style="bold")
    yield Text(statement.title)
    yield Text(f"{statement.kind}; source: {statement.source}")
    yield _heading("Statement")
    yield _indented(statement.text)
    yield _heading("LaTeX")
    yield _indented(statement.latex)
    if statement.hypotheses:
        yield _heading("Hypotheses")
    for hypothesis in statement.hypotheses:
        yield _indented(f"{relation_text(hypothesis.relation)}   ({hypothesis.text})")
    if statement.constants:
        yield _heading("Constants")
        for c in statement.constants:
            yield _indented(f"{c.name} = {c.value}   {c.text} ({c.better} is better)")
    if statement.definitions:
        yield _heading("Where")
        for d in statement.definitions:
            yield _indented(f"{d.name} = {text(d.value)}" + (f"   {d.text}" if d.text else ""))
    yield from _derivations(statement)


def _derivations(statement: Statement) -> Iterator[RenderableType]:
    if not statement.derivations:
        yield _heading("Derivation: stated, not derived")
        return
    from proofs_checks.api import load_derivation
    from theory.errors import DerivationError

    by_path: dict[str, list[str]] = {}
    for name, path in statement.derivations.items():
        by_path.setdefault(path, []).append(name)
    for path, losses in by_path.items():
        loss = ", ".join(losses)
        try:
            steps = load_derivation(path).verify().describe()
        except DerivationError as error:
            yield _heading(f"Derivation ({loss}): does not verify")
            yield _indented(str(error))
            continue
        yield _heading(f"Derivation ({loss}): verified, {len(steps)} steps")
        for k, step in enumerate(steps, start=1):
            words = f": {step['words']}" if step.get("words") else ""
            yield _indented(f"{k}. {step['name']} [{step['justification']}]{words}")
            yield _indented(step["text"], by=5)
            yield _indented(step["latex"], by=5, style="dim")


# -- verify


def verdict_page(
    report: Report, *, code: int, out: Path | None, width: int
) -> Iterator[RenderableType]:
    """The page of ``verify``: a row per statement, what needs attention, and the closing line."""
    yield _verdict_table(report.statements, width)
    for line in report.complaints():
        yield Text(line)
    style, words = _CLOSING[code]
    counts = (_count(len(report.statements), "statement"), _count(len(report.cases), "case"))
    yield Text(f"{words} {', '.join(counts)}, seed {report.seed}.", style=style)
    if out is not None:
        yield Text(f"Written to {out}")


def _count(k: int, noun: str) -> str:
    return f"{k} {noun}" + ("" if k == 1 else "s")


def _verdict_table(rows: Sequence[StatementReport], width: int) -> Table:
    topics = {row.statement.topic for row in rows}
    # On narrow terminals a shared topic moves to the title and two columns stay in the JSON.
    topic = topics.pop() if len(topics) == 1 and width < _FULL_WIDTH else None
    columns = ["statement", "derivation", *_COUNTS, "rigor", *_NUMBERS]
    dropped = ("rigor", "error") if width < _MEDIUM_WIDTH else ()
    kept = [column for column in columns if column not in dropped]
    table = _table(*kept, right=(*_COUNTS, *_NUMBERS), title=topic)
    table.padding = (0, 0 if dropped else 1, 0, 0)
    for column in table.columns:
        column.no_wrap = True
    for row in rows:
        id = row.statement.id
        cells = _verdict_cells(row) | {"statement": Text(id.removeprefix(f"{topic}/"))}
        table.add_row(*(cells[column] for column in kept))
    return table


def _verdict_cells(row: StatementReport) -> dict[str, Text]:
    tightest = row.tightest
    errors = [v.error for v in row.deciding if v.error is not None and math.isfinite(v.error)]
    cells = {c: Text(str(row.counts[c]), COLOURS[c] if row.counts[c] else "dim") for c in _COUNTS}
    return cells | {
        "derivation": _status(row.derivation),
        "rigor": Text(str(row.rigor or "-")),
        "tightness": Text(number(tightest.tightness if tightest else None)),
        "error": Text(f"{max(errors):.1e}" if errors else "-"),
        "time": Text(f"{row.seconds:.1f}s"),
    }


# -- constants, profile, replay


def _by_statement(
    rows: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for id in dict.fromkeys(row["statement"] for row in rows):
        yield id, [row for row in rows if row["statement"] == id]


def constants_page(rows: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    """The tables of ``constants``: stated, the best of the same proof, the best observed."""
    numeric = ("stated", "proof-sharp", "observed")
    for id, own in _by_statement(rows):
        table = _table("constant", "better", *numeric, "on", "blocked by", right=numeric, title=id)
        table.columns[0].no_wrap = True
        for row in own:
            blockers = dict.fromkeys(b["blocked_by"] for b in row["by_loss"].values())
            cells = (
                row["constant"],
                row["direction"],
                number(row["stated"]),
                number(row["proof_sharp"]),
                _observed(row["observed"], row["observed_on"]),
                _observed_on(row["observed"], row["observed_on"]),
                "; ".join(str(b) for b in blockers if b),
            )
            table.add_row(*(Text(cell) for cell in cells))
        yield table


def _observed(value: object, sample: Mapping[str, Any]) -> str:
    """The value, after a sign where the evidence is a bound on it."""
    sign = sample["relation"] if value is not None else "="
    return number(value) if sign == "=" else f"{sign} {number(value)}"


def _observed_on(value: object, sample: Mapping[str, Any]) -> str:
    if value is None:
        return str(sample["relation"])
    horizon = f", t to {number(sample['horizon'])}" if sample["horizon"] is not None else ""
    return _count(sample["cases"], "case") + horizon


def pareto_page(rows: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    """The tables of ``constants --joint``: pairs of values with which a proof still verifies."""
    for id, own in _by_statement(rows):
        table = _table("loss", "constants", "values that verify together", title=id)
        for row in own:
            names = row["constants"]
            points = "  ".join(
                f"({', '.join(number(point[name]) for name in names)})" for point in row["pareto"]
            )
            cells = (row["loss"], f"({', '.join(names)})", points)
            table.add_row(*(Text(cell) for cell in cells))
        yield table


def profile_page(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The page of ``profile``: for each part the steps in order, and what each gives away."""
    yield Text(report["statement"], style="bold")
    yield Text(f"on {report['data']}, loss {report['loss']}, case {report['case']}")
    for part in report["parts"]:
        title = f"{part['part']}: neuron {part['neuron']} at t = {number(part['time'])}"
        table = _table("step", "what it does", "factor", "", right=("factor",), title=title)
        total = sum(step["log_factor"] for step in part["steps"])
        for step in part["steps"]:
            share = step["log_factor"] / total if total > 0 else 0.0
            bar = Text("\N{FULL BLOCK}" * round(_BAR * max(share, 0.0)), style="blue")
            cells = (step["step"], step["label"], _factor(step))
            table.add_row(*(Text(cell) for cell in cells), bar)
        table.add_row(Text("all steps together", style="bold"), "", _factor(part, key="total"), "")
        yield table


def _factor(row: Mapping[str, Any], *, key: str = "factor") -> str:
    """A factor, or the power of ten where float64 cannot hold it."""
    if row[key] is not None:
        return f"{row[key]:.4g}"
    size = row["log_factor"] if key == "factor" else row["log_stated"] - row["log_measured"]
    return f"1e{size / math.log(10):+.0f}"


def replay_table(report: Mapping[str, Any]) -> Table:
    """The table of ``replay``: the saved and the new verdict of every statement."""
    table = _table("statement", "saved", "now", "same", title=f"case {report['case']}")
    for id, saved in report["saved"].items():
        now = report["now"].get(id, {})
        same = Text("yes", style="green") if saved == now else Text("no", style="bold red")
        words = (f"{v.get('status')} {number(v.get('tightness'))}" for v in (saved, now))
        table.add_row(Text(id), *(Text(w) for w in words), same)
    return table
