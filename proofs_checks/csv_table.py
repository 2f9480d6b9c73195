"""A CSV file as a rectangular table of text cells, and the exact reading of a numeric cell.

Stricter than the usual readers on purpose: nothing is guessed, padded, coerced or dropped.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path

from theory.errors import LemmataError

# Python's float() also takes "1_000", "infinity" and digits of other scripts; a data file may not.
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+"
)
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
_INFINITE = frozenset({"inf", "infinity"})
# Far beyond what a binary64 needs (767 digits), short enough to convert in no time.
_LONGEST_NUMBER = 1200


@dataclass(frozen=True)
class Table:
    """Non-blank rows, all as long as the header; lines: where each row ends.

    Cells are stripped and white space inside of them (a quoted line end, say) is one blank.
    """

    source: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> list[str]:
        """The cells of one column, in file order."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]


def listing(names: Iterable[str], *, most: int = 6) -> str:
    """The first few names in quotation marks, then how many more there are."""
    every = list(names)
    shown = ", ".join(f"'{name}'" for name in every[:most])
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")


def is_missing(text: str) -> bool:
    """Whether a cell is empty or one of the usual signs for a missing value."""
    return text.casefold() in _MISSING


def is_number(text: str) -> bool:
    """Whether a cell is a finite decimal or hexadecimal number of reasonable length."""
    if len(text) > _LONGEST_NUMBER:
        return False
    return bool(_DECIMAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text))


def to_float(text: str) -> float:
    """The nearest binary64 to a number that `is_number` accepts; inf when it is out of range."""
    if _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            return math.inf
    return float(text)


def to_fraction(text: str) -> Fraction:
    """The rational that the text denotes, for text that `refusal` lets pass."""
    if to_float(text) == 0.0:
        return Fraction(0)  # the exponent of "0e999999" must not be expanded
    if _HEXADECIMAL.fullmatch(text):
        return Fraction(float.fromhex(text))
    return Fraction(text)


def refusal(text: str) -> str | None:
    """Why a feature cell is refused, with the remedy; None if it is a number in range."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    if is_missing(text):
        return "the value is missing: fill it in, or drop the row or the column"
    if text.casefold().lstrip("+-") in _INFINITE:
        return f"'{shown}' is not finite: drop the row or repair the value"
    if not is_number(text):
        return f"'{shown}' is not a number: encode the column as numbers or drop it"
    value = to_float(text)
    if math.isinf(value):
        return f"'{shown}' is too large for binary64: rescale the column"
    significand = re.split("[pP]" if "x" in text.casefold() else "[eE]", text)[0]
    if value == 0.0 and re.search(r"[1-9a-fA-F]", significand.casefold().replace("0x", "")):
        return f"'{shown}' is too small for binary64: rescale the column"
    return None


def read_bytes(source: Path) -> bytes:
    """The file's bytes. Raises LemmataError if it is missing, a folder or unreadable."""
    try:
        return source.read_bytes()
    except FileNotFoundError:
        folder = source.parent
        siblings = [entry.name for entry in folder.glob("*.csv")] if folder.is_dir() else []
        near = get_close_matches(source.name, siblings, n=1)
        hint = f"did you mean '{folder / near[0]}'?" if near else "check the path"
        raise LemmataError(f"file not found: {source}: {hint}") from None
    except IsADirectoryError:
        raise LemmataError(f"{source} is a folder: name a CSV file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LemmataError(f"cannot read {source}: {reason}: name a readable CSV file") from None


def parse_table(raw: bytes, source: Path) -> Table:
    """Parse UTF-8 CSV (with or without a byte-order mark, any line ends; blank lines are skipped).

    Raises LemmataError on anything that is not a rectangular table with uniquely named columns
    and at least one row below the header.
    """
    if b"\0" in raw:
        raise LemmataError(f"{source} is not CSV (it has NUL bytes): export it as UTF-8 CSV text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LemmataError(f"{source} is not UTF-8 text: export it as UTF-8 CSV") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                rows.append(tuple(" ".join(cell.split()) for cell in row))
                lines.append(reader.line_num)
    except csv.Error as error:
        raise LemmataError(
            f"{source} is not CSV (line {reader.line_num}: {error}): check its quoting"
        ) from None
    if not rows:
        raise LemmataError(f"{source} is empty: give a header and one row per point")
    header = rows[0]
    _check_header(header, source)
    if len(rows) == 1:
        raise LemmataError(f"{source} has a header but no rows: add one row per point")
    for cells, line in zip(rows[1:], lines[1:], strict=True):
        if len(cells) != len(header):
            raise LemmataError(
                f"{source}, line {line}: {len(cells)} cells where the header has {len(header)}: "
                "complete the row or drop it"
            )
    return Table(source, header, tuple(rows[1:]), tuple(lines[1:]))


def _check_header(header: tuple[str, ...], source: Path) -> None:
    if len(header) == 1:
        for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if mark in header[0]:
                raise LemmataError(f"{source} is separated by {word}: separate it by commas")
    if all(is_number(name) for name in header):
        raise LemmataError(f"{source} seems to have no header: add a first line of column names")
    for position, name in enumerate(header, start=1):
        if not name:
            raise LemmataError(
                f"{source}: column {position} has no name (a row index?): name it or drop it"
            )
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise LemmataError(f"{source} has repeated column names {listing(repeated)}: rename them")
