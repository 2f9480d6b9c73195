"""The laws of a model as text and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

    from proofs_checks.laws import LawsReport

MOST = 60  # rows; the JSON has all


def laws_page(report: LawsReport, *, out: Path | None) -> list[RenderableType]:
    """Count or interval, what it rests on, the laws, and where the certificates are."""
    a = report.analysis
    model = a.model
    found = "exactly" if a.count is not None else "between"
    number = str(a.lower) if a.count is not None else f"{a.lower} and {a.upper}"
    kind = "at most " if a.mixed else ""
    head = Text.assemble(
        (report.spec, "bold"),
        f": {model.size} parameters; near a generic point {found} ",
        (number, "bold green" if a.count is not None else "bold yellow"),
        f" functionally independent conservation law{'' if a.count == 1 else 's'}",
    )
    lower, upper = a.rests_on
    blocks: list[RenderableType] = [
        head,
        Text(f"  at least {a.lower}: {lower}"),
        Text(f"  at most {a.upper}: {upper}"),
        Text(f"  all laws of degree {kind}{a.degree}: a space of dimension {len(a.laws)}"),
    ]
    if report.remark:
        blocks.append(Text(f"  {report.remark}", style="yellow"))
    if report.special is not None:
        blocks.append(
            Text(f"  {report.special.text}", style="yellow" if report.special.loss else "")
        )
    if a.laws:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("law", overflow="fold")
        table.add_column("known as", overflow="fold")
        table.add_column("independent")
        for law, flag in list(zip(a.laws, a.independent, strict=True))[:MOST]:
            table.add_row(
                Text(law.text(model.field_variables)), Text(law.name), "yes" if flag else "no"
            )
        blocks.append(table)
        if len(a.laws) > MOST:
            blocks.append(Text(f"{len(a.laws) - MOST} more laws: see --json"))
    closing = f"rigor: {report.rigor or 'not audited'}; {report.seconds:.2f} s"
    if out is not None:
        closing += f"; {len(report.certificates)} certificates in {out}"
    blocks.append(Text(closing))
    return blocks
