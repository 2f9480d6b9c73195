"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proofs_checks.data import Dataset
    from theory.statement import Statement

DEFAULT_TOPIC = "early-alignment"
_DATA = "Real data"

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        help="Statement, prefix such as 'early-alignment', or FILE.py::NAME.",
        show_default=False,
    ),
]
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="Statement or FILE.py::NAME.", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE.csv", help="Labelled points.", rich_help_panel=_DATA),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label", metavar="COL", help="Column with the two classes.", rich_help_panel=_DATA
    ),
]
Center = Annotated[
    bool, typer.Option("--center", help="Subtract column means.", rich_help_panel=_DATA)
]
Normalise = Annotated[
    bool, typer.Option("--normalise", help="Then scale points to norm 1.", rich_help_panel=_DATA)
]
ExactDecimals = Annotated[
    bool,
    typer.Option(
        "--exact-decimals",
        help="Read values as rationals, not as binary64.",
        rich_help_panel=_DATA,
    ),
]
Cases = Annotated[
    int | None,
    typer.Option("--cases", metavar="N", min=1, help="Number of cases.", show_default=False),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="S", min=0, help="Seed of all that is random.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


def read_data(
    data: Path | None,
    label: str | None,
    *,
    center: bool,
    normalise: bool,
    exact_decimals: bool,
) -> Dataset | None:
    """The data set that the options name, or None without ``--data``.

    Raises LemmataError if the options do not fit together or the file is bad.
    """
    from theory.errors import LemmataError

    given = {
        "--label": label is not None,
        "--center": center,
        "--normalise": normalise,
        "--exact-decimals": exact_decimals,
    }
    if data is None:
        for option, present in given.items():
            if present:
                raise LemmataError(f"{option} speaks of a data file: add --data FILE.csv")
        return None
    if label is None:
        raise LemmataError("--data needs --label COL, the name of the column with the two classes")
    from proofs_checks.data import load_csv

    return load_csv(
        data, label=label, center=center, normalise=normalise, exact_decimals=exact_decimals
    )


def chosen(ids: Sequence[str] | None, *, everything: bool = False) -> list[Statement]:
    """The statements named, all that are registered, or those of the default topic.

    Raises LemmataError for an unknown id, or for ids beside ``--all``.
    """
    from proofs_checks.registry import all_statements, resolve
    from theory.errors import LemmataError

    if everything and ids:
        raise LemmataError("--all and an ID exclude each other: leave one of them out")
    if everything:
        return list(all_statements().values())
    return resolve(list(ids) if ids else [DEFAULT_TOPIC])


def chosen_one(id: str) -> Statement:
    """The one statement that an id or a prefix stands for.

    Raises LemmataError for an unknown id, or a prefix of several.
    """
    from theory.errors import LemmataError

    found = chosen([id])
    if len(found) > 1:
        names = ", ".join(statement.id for statement in found)
        raise LemmataError(f"'{id}' stands for {len(found)} statements: name one of {names}")
    return found[0]
