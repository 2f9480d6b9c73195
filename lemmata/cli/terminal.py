"""What the command line prints: JSON or text on the standard output, progress on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Where lines are not shown on a terminal they are not cut to 80 columns.
_WIDTH_WITHOUT_TERMINAL = 128


def console() -> Console:
    """A console on the standard output; nothing that is printed is read as markup."""
    from rich.console import Console

    width = None
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        width = _WIDTH_WITHOUT_TERMINAL
    return Console(width=width, markup=False, highlight=False, emoji=False)


def print_page(blocks: Iterable[RenderableType]) -> None:
    """Print tables fitted to the width, and text unbroken, whatever its length."""
    from rich.text import Text

    target = console()
    for block in blocks:
        target.print(block, soft_wrap=isinstance(block, Text))


def print_json(data: Any) -> None:
    """Print plain data as strict JSON: ASCII only, and no NaN or infinity, which JSON lacks."""
    print(json.dumps(data, indent=1, allow_nan=False))


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings of ours as one line each on the standard error, without a place in the source."""
    import warnings

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"lemmata: warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def progress(title: str) -> Iterator[Callable[[int | None], Callable[[int], None]]]:
    """A progress bar on the standard error when that is a terminal, otherwise nothing.

    Yields ``start(total) -> advance``: until ``start`` is called the bar pulses (that is when the
    numerical packages load); ``advance(k)`` counts k more.
    """
    if not sys.stderr.isatty():
        yield lambda total: lambda count: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(title, total=None)

        def start(total: int | None) -> Callable[[int], None]:
            display.update(task, total=total, completed=0)
            return lambda count: display.advance(task, count)

        yield start
