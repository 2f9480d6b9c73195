"""``lemmata refute``: search for a counterexample to a conjecture or a statement."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemmata.cli import options as opt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from proofs_checks.conjectures.report import RefuteReport


INTERRUPTED = 130


def refute(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="FILE.py::NAME, FILE.py with one conjecture, or the ID of a statement.",
            show_default=False,
        ),
    ],
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="S",
            help="A budget: 60 unless --cases is given.",
            show_default=False,
        ),
    ] = None,
    cases: Annotated[
        int | None,
        typer.Option(
            "--cases",
            metavar="N",
            min=1,
            help="How many cases to judge; the answer is then reproducible.",
            show_default=False,
        ),
    ] = None,
    seed: opt.Seed = 0,
    jobs: Annotated[int, typer.Option("--jobs", metavar="J", min=1, help="Processes.")] = 1,
    json: opt.Json = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="DIR", help="Write report.json, the case and the certificate."
        ),
    ] = None,
) -> None:
    """Search for a counterexample, shrink it, and certify it.

    Exit codes: 0 survived with deciding cases, 1 refuted, 3 undecided or vacuous, 2 bad usage or input, 130 stopped
    by Ctrl-C.
    """
    from lemmata.cli import staging, terminal

    with (
        staging.staged_directory(out, stale=("counterexample.json", "certificate.json")) as folder,
        terminal.progress("Searching") as start,
        terminal.plain_warnings(),
    ):
        from proofs_checks.conjectures import targets

        try:
            report = targets.refute(
                target,
                seconds=seconds,
                cases=cases,
                seed=seed,
                jobs=jobs,
                progress=_percent(start(100)),
            )
        except KeyboardInterrupt:
            print(
                "lemmata: stopped, and nothing is written; --seconds S ends the search with an answer",
                file=sys.stderr,
            )
            raise typer.Exit(INTERRUPTED) from None
        if folder is not None:
            report.write(folder, out)
    if json:
        terminal.print_json(report.to_json(out))
    else:
        terminal.print_page(_page(report, target, out))
    raise typer.Exit(report.exit_code)


def _percent(advance: Callable[[int], None]) -> Callable[[float], None]:
    """From shares of the budget to whole per cents."""
    done = 0

    def show(share: float) -> None:
        nonlocal done
        now = min(100, max(done, int(100 * share)))
        if now > done:
            advance(now - done)
            done = now

    return show


def _page(report: RefuteReport, target: str, out: Path | None) -> list[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    grid.add_row("status", Text(str(report.status)))
    grid.add_row("cases", Text(f"{report.cases}, {report.deciding} deciding"))
    grid.add_row("vacuous rate", Text(f"{report.vacuous_rate:.3g}"))
    if report.tightest is not None:
        grid.add_row("tightest ratio", Text(f"{report.tightest[0]:.10g}"))
    for name, c in report.constants.items():
        words = f"{c.better} is better; best value supported {_number(c.supported)}"
        grid.add_row(f"constant {name}", Text(f"{words}, refuted {_number(c.refuted)}"))
    found = report.counterexample
    if found is not None:
        answer = found.to_json()
        grid.add_row("fails", Text(found.conclusion or "the conclusion"))
        grid.add_row("lhs, rhs", Text(f"{_number(answer['lhs'])}, {_number(answer['rhs'])}"))
        grid.add_row("error", Text(f"{found.error:.3g}"))
        grid.add_row("rigor", Text(str(found.rigor)))
        grid.add_row("seconds", Text(f"{report.seconds:.3g}"))
    blocks: list[RenderableType] = [Text(report.conjecture), grid]
    if found is not None:
        blocks += [Text(line) for line in _values(found.case, found.shapes)]
        if found.reason:
            blocks.append(Text(found.reason))
        if found.certificate is None:
            blocks.append(Text("no certificate"))
        elif out is not None:
            blocks.append(Text(f"re-check it: lemmata audit {out / 'certificate.json'}"))
        else:
            blocks.append(Text("-o DIR writes the case and its certificate"))
        if out is not None:
            option = f" --target {target}" if ".py" in target else ""
            blocks.append(
                Text(f"judge it again: lemmata replay {out / 'counterexample.json'}{option}")
            )
    if report.reason:
        blocks.append(Text(report.reason))
    return blocks


def _values(case: Any, shapes: Any, most: int = 12) -> list[str]:
    """The arrays of a case of a conjecture, a line each; long ones are cut."""
    values = case.get("values") if isinstance(case, dict) else None
    if not isinstance(values, dict):
        return []
    lines = [
        f"  {name} = {_nested(entries, shapes.get(name, []))}" for name, entries in values.items()
    ]
    lines = [line if len(line) <= 100 else line[:97] + "..." for line in lines]
    return lines[:most] + ([f"  ... {len(lines) - most} more"] if len(lines) > most else [])


def _nested(entries: Any, shape: Any) -> str:
    """Flat entries in row-major order as nested lists."""
    if not shape:
        return str(entries[0])
    size = len(entries) // shape[0] if shape[0] else 0
    rows = (entries[k * size : (k + 1) * size] for k in range(shape[0]))
    return "[" + ", ".join(_nested(row, shape[1:]) for row in rows) + "]"


def _number(x: Any) -> str:
    return f"{x:.10g}" if isinstance(x, float) else "–" if x is None else str(x)
