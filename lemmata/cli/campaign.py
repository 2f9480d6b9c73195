"""``lemmata campaign``: statements and conjectures over grids and random designs, and what came out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemmata.cli import options as opt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from proofs_checks.campaigns.summary import Summary

INTERRUPTED = 130
_RESULTS = "Results"


def campaign(
    place: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC.toml|DIR",
            help="The design, or with --summary the folder of a campaign.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="DIR", help="The folder for the results; goes on where it was."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            min=1,
            help="Processes; one per core by default.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="tcp://HOST:PORT", help="Run on a cluster of dask.distributed."
        ),
    ] = None,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Tables, figures, and the worst cases for `lemmata replay`.",
            rich_help_panel=_RESULTS,
        ),
    ] = False,
    x: Annotated[
        str | None,
        typer.Option("--x", metavar="AXIS", help="Of the figures.", rich_help_panel=_RESULTS),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option("--y", metavar="AXIS", help="Of the figures.", rich_help_panel=_RESULTS),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(
            "--value",
            metavar="NAME",
            help="What the heat map shows: holds, violated, vacuous, undecided or tightness.",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    json: opt.Json = False,
) -> None:
    """Measure statements or conjectures on many cases; run again to go on after any interruption.

    Exit codes: 0 nothing violated or undecided, 1 violated, 3 undecided or unfinished, 2 bad usage or input, 130
    stopped by Ctrl-C.
    """
    from theory.errors import LemmataError

    if summary:
        if out is not None or jobs is not None or scheduler is not None:
            raise LemmataError("--summary only reads: leave -o, --jobs and --scheduler out")
        raise typer.Exit(_show(place, x=x, y=y, value=value, json=json))
    if x is not None or y is not None or value is not None:
        raise LemmataError("--x, --y and --value speak of figures: add --summary")
    if out is None:
        raise LemmataError("name the folder for the results: -o DIR")
    raise typer.Exit(_run(place, out, jobs=jobs, scheduler=scheduler, json=json))


def _run(spec: Path, out: Path, *, jobs: int | None, scheduler: str | None, json: bool) -> int:
    from lemmata.cli import terminal

    try:
        with _progress() as start, terminal.plain_warnings():
            from proofs_checks.campaigns import run, summary

            found = run.campaign(spec, out, jobs=jobs, scheduler=scheduler, start=start)
            results = summary.summarise(out)
    except KeyboardInterrupt as stop:
        done = getattr(stop, "done", None)
        words = (
            "" if done is None else f": {done} of {getattr(stop, 'units', '?')} units are written"
        )
        print(f"lemmata: stopped{words}; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    if json:
        terminal.print_json({**found.to_json(), "summary": results.to_json()})
    else:
        terminal.print_page(_counts(results))
        from rich.text import Text

        terminal.print_page([Text(f"\nTables and figures: lemmata campaign {out} --summary")])
    return results.exit_code


def _show(folder: Path, *, x: str | None, y: str | None, value: str | None, json: bool) -> int:
    from lemmata.cli import terminal

    with terminal.progress("Reading"):
        from proofs_checks.campaigns.figures import draw
        from proofs_checks.campaigns.replays import write_cases
        from proofs_checks.campaigns.summary import summarise

        results = summarise(folder, x=x, y=y)
        figures = draw(results, folder / "figures", value=value)
        cases = write_cases(results, folder / "cases")
    if json:
        files = {"figures": list(map(str, figures)), "cases": list(map(str, cases))}
        terminal.print_json({**results.to_json(), **files})
    else:
        terminal.print_page(_page(results, figures, cases))
    return results.exit_code


# -- what is printed --------------------------------------------------------------------------------------------------
def _counts(results: Summary) -> Iterator[RenderableType]:
    """How many verdicts of each status, per target."""
    from rich.text import Text

    table = _table("target", "cases")
    for target in results.targets.values():
        table.add_row(Text(target.name), *_cells(target.all))
    yield table
    if not results.complete:
        planned = results.head["rows"]
        yield Text(f"{results.rows} of {planned} verdicts so far; run the campaign again to go on")


def _page(results: Summary, figures: list[Path], cases: list[Path]) -> Iterator[RenderableType]:
    from rich.text import Text

    yield from _counts(results)
    for target in results.targets.values():
        for axis, cells in target.along.items():
            yield Text(f"\n{target.name} along {axis}", style="bold")
            table = _table(axis, "cases")
            for level, cell in sorted(cells.items()):
                table.add_row(Text(results.axes[axis].labels[level]), *_cells(cell))
            yield table
        if target.reasons:
            yield Text(f"\n{target.name}: why not", style="bold")
        for (status, words), count in target.reasons.most_common(3):
            yield Text(f"  {count} {status}: {words}")
        if target.worst:
            yield Text(f"\n{target.name}: tightest cases", style="bold")
        for log, _, row in target.worst:
            where = ", ".join(f"{axis} = {_word(row[axis])}" for axis in results.axes)
            ratio = _ratio(row["log_tightness"] if log == float("inf") else log)
            yield Text(f"  {ratio}  {row['status']}  {row['case_hash']}  {where}")
    written = [*figures, *cases]
    if written:
        yield Text("\nWritten: " + ", ".join(map(str, written)))


def _table(*first: str) -> Any:
    from rich import box
    from rich.table import Table

    from proofs_checks.campaigns.summary import STATUSES

    table = Table(box=box.SIMPLE)
    for k, column in enumerate((*first, *STATUSES, "median", "90 %", "tightest")):
        table.add_column(column, justify="right" if k else "left", no_wrap=k > 0)
    return table


def _cells(cell: Any) -> list[RenderableType]:
    """Numbers of verdicts, and quantiles of the tightness of those that were decided."""
    from rich.text import Text

    from proofs_checks.campaigns.summary import QUANTILES, STATUSES

    counts = [Text(str(cell.total)), *(Text(str(cell.counts[s] or "")) for s in STATUSES)]
    return [*counts, *(Text(_ratio(cell.quantile(q))) for q in QUANTILES)]


def _ratio(log: float) -> str:
    from proofs_checks.campaigns.summary import number

    value = number(log)
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _word(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], Callable[[int], None]]]:
    """A bar with the rate and the time left on the standard error when that is a terminal, otherwise nothing.

    Yields ``start(total, there) -> advance``; verdicts that were there before do not count for the rate.
    """
    if not sys.stderr.isatty():
        yield lambda total, there: lambda count: None
        return
    from rich import progress as bars
    from rich.console import Console
    from rich.text import Text

    class Rate(bars.ProgressColumn):
        """Verdicts per second, over the last half minute."""

        def render(self, task: bars.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.1f}/s", style="progress.data.speed")

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        Rate(),
        bars.TimeElapsedColumn(),
        bars.TextColumn("left"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task("Campaign", total=None)

        def start(total: int, there: int) -> Callable[[int], None]:
            display.update(task, total=total, completed=there)
            return lambda count: display.advance(task, count)

        yield start
