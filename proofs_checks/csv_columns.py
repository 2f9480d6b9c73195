"""The columns of a table: features as numbers, labels as classes, refused with one clear line when they are bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path

from proofs_checks.csv_table import (
    Table,
    is_missing,
    listing,
    parse_table,
    read_bytes,
    refusal,
    to_float,
    to_fraction,
)
from proofs_checks.exact_data import Matrix, Row
from theory.errors import LemmataError


@dataclass(frozen=True)
class Regression:
    """Points with real targets, exact. X: n rows of d; y: n; features: d names."""

    name: str
    X: Matrix
    y: Row
    features: tuple[str, ...]


@dataclass(frozen=True)
class Labelled:
    """Points with class labels, exact. X: n rows of d; labels: n; classes: their names in order; features: d names."""

    name: str
    X: Matrix
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    features: tuple[str, ...]

    @property
    def signs(self) -> Row:
        """Labels -1 and +1 of two classes, the first class -1.

        Raises:
            LemmataError: there are more than two.
        """
        if len(self.classes) != 2:
            raise LemmataError(
                f"{self.name} has {len(self.classes)} classes, {listing(self.classes)}: keep the rows of two of them"
            )
        return tuple(Fraction(-1 if label == self.classes[0] else 1) for label in self.labels)


def read_regression(path: str | Path, *, target: str, exact_decimals: bool = False) -> Regression:
    """Read a CSV file with a header, numeric features and one numeric target column.

    Values are binary64, or with ``exact_decimals`` the rationals that are written.

    Raises:
        LemmataError: see `proofs_checks.data.load_csv`; or the target column is missing or not numeric.
    """
    source = Path(path)
    table = parse_table(read_bytes(source), source)
    _require(table, target, "target")
    columns = feature_columns(table, besides=target, exact=exact_decimals)
    y = _numbers(checked_column(table, target), exact_decimals)
    X = tuple(zip(*(_numbers(c, exact_decimals) for c in columns.values()), strict=True))
    return Regression(source.stem, X, y, tuple(columns))


def read_labelled(path: str | Path, *, label: str, exact_decimals: bool = False) -> Labelled:
    """Read a CSV file with a header, numeric features and one column of class labels, at least two classes.

    Raises:
        LemmataError: see `proofs_checks.data.load_csv`.
    """
    source = Path(path)
    table = parse_table(read_bytes(source), source)
    labels, classes = class_labels(table, label)
    columns = feature_columns(table, besides=label, exact=exact_decimals)
    X = tuple(zip(*(_numbers(c, exact_decimals) for c in columns.values()), strict=True))
    return Labelled(source.stem, X, tuple(labels), tuple(classes), tuple(columns))


def class_labels(table: Table, label: str) -> tuple[list[str], list[str]]:
    """The class of every row, and the classes in order: as numbers when all are numbers, as text otherwise.

    Raises:
        LemmataError: no such column, a missing label, or a single class.
    """
    _require(table, label, "label")
    column = table.column(label)
    for text, place in zip(column, _places(table), strict=True):
        if is_missing(text):
            raise LemmataError(
                f"{place}, column '{label}': the label is missing: fill it in or drop the row"
            )
    keys: Sequence[Fraction | str] = column
    # Fractions, so that "0" and "0.0" are one class and "0.1" and "0.10000000000000001" are two.
    if all(refusal(text) is None for text in column):
        keys = [to_fraction(text) for text in column]
    name_of: dict[Fraction | str, str] = {}
    for key, text in zip(keys, column, strict=True):
        name_of.setdefault(key, text)
    order = [name_of[key] for key in sorted(name_of)]
    if len(order) == 1:
        raise LemmataError(
            f"{table.source}: the label column '{label}' has one class, '{order[0]}': "
            "add points of a second class"
        )
    return [name_of[key] for key in keys], order


def feature_columns(table: Table, *, besides: str, exact: bool) -> dict[str, list[str]]:
    """The cells of all other columns, each a number in range and no column constant.

    Raises:
        LemmataError: there is none, a cell is bad, or a column does not vary.
    """
    columns = {name: checked_column(table, name) for name in table.header if name != besides}
    if not columns:
        raise LemmataError(f"{table.source} has no feature columns beside '{besides}': add some")
    read = to_fraction if exact else to_float
    constant = [name for name, column in columns.items() if len({read(t) for t in column}) == 1]
    if constant:
        noun = "features are" if len(constant) > 1 else "feature is"
        raise LemmataError(
            f"{table.source}: {len(constant)} {noun} constant ({listing(constant)}): "
            "drop columns that do not vary"
        )
    return columns


def checked_column(table: Table, name: str) -> list[str]:
    """The cells of a column, each a number in range.

    Raises:
        LemmataError: one is not; the message names line and column.
    """
    column = table.column(name)
    for text, place in zip(column, _places(table), strict=True):
        reason = refusal(text)
        if reason is not None:
            raise LemmataError(f"{place}, column '{name}': {reason}")
    return column


def _require(table: Table, name: str, what: str) -> None:
    if name in table.header:
        return
    near = get_close_matches(name.casefold(), [n.casefold() for n in table.header], n=1)
    hint = f"its columns are {listing(table.header)}"
    if near:
        found = next(n for n in table.header if n.casefold() == near[0])
        hint = f"did you mean '{found}'?"
    raise LemmataError(f"{table.source} has no {what} column '{name}': {hint}")


def _places(table: Table) -> list[str]:
    return [f"{table.source}, line {line}" for line in table.lines]


def _numbers(column: Sequence[str], exact: bool) -> Row:
    return tuple(to_fraction(t) if exact else Fraction(to_float(t)) for t in column)
