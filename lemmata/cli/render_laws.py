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
    blocks: list[RenderableType] = [Text(line) for line in report.text.split("\n")]
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
