"""The command line: commands in `app`, what they print in `render` and `terminal`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

_DEFECT = 70


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line on ``arguments`` (default: those of the process); always exits.

    Bad input, which the packages report as LemmataError or NumericsError, becomes one line on the
    standard error and exit code 2. Any other exception is a defect: it keeps its traceback, and the
    exit code is 70, as 1 would say that something was violated or refuted.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot print a Greek letter is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    from lemmata.cli.app import app

    try:
        app(args=None if arguments is None else list(arguments), prog_name="lemmata")
    except Exception as error:
        if isinstance(error, ValueError) and _is_bad_input(error):
            print(f"lemmata: {_one_line(str(error))}", file=sys.stderr)
            sys.exit(2)
        traceback.print_exc()
        print("lemmata: this is a defect of lemmata: please report it", file=sys.stderr)
        sys.exit(_DEFECT)


def _is_bad_input(error: ValueError) -> bool:
    from theory.errors import LemmataError

    # A NumericsError can only have been raised once its module is loaded, which costs numpy.
    numerics = sys.modules.get("numerics.errors")
    own = (LemmataError, numerics.NumericsError) if numerics else (LemmataError,)
    return isinstance(error, own)


def _one_line(text: str) -> str:
    """Text without line ends and without control characters that a file or a path smuggled in."""
    spaced = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in spaced)
