"""Real input: labelled points read from a CSV file, refused with one clear line when they are bad.

A value is read as binary64 (the nearest double to the decimal that is written). With
``exact_decimals=True`` the decimals are kept as rationals beside the doubles: the two readings are
different data sets, and a combinatorial statement can tell them apart.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np

from proofs_checks.csv_columns import class_labels, feature_columns
from proofs_checks.csv_table import (
    Table,
    listing,
    parse_table,
    read_bytes,
    to_float,
    to_fraction,
)
from theory.errors import LemmataError

Number = TypeVar("Number", float, Fraction)

SHIPPED = "digits_0_1.csv"
SHIPPED_LABEL = "digit"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled points, checked when they are made.

    X: (n, d) float64, read-only; y: (n,) float64 in {-1, +1}, both present; classes: the names of
    the classes -1 and +1; features: d names; sha256: of the file's bytes, empty if there was no
    file; transforms: what was done to the values after reading, in order; exact: the same n by d
    values as rationals when the file was read with ``exact_decimals``, otherwise None.

    Raises LemmataError on non-finite or empty X, mismatched shapes, labels other than -1 and +1.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, str] = ("-1", "+1")
    features: tuple[str, ...] = ()
    sha256: str = ""
    transforms: tuple[str, ...] = ()
    exact: tuple[tuple[Fraction, ...], ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            X = np.array(self.X, dtype=np.float64)
            y = np.array(self.y, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise LemmataError(f"X and y must be arrays of real numbers: {error}") from None
        if X.ndim != 2 or 0 in X.shape:
            raise LemmataError(f"X has shape {X.shape}: give a non-empty array of shape (n, d)")
        if y.shape != X.shape[:1]:
            raise LemmataError(f"y has shape {y.shape}: give one label per point, {X.shape[:1]}")
        if not np.isfinite(X).all():
            i, k = np.argwhere(~np.isfinite(X))[0]
            raise LemmataError(f"X[{i}, {k}] is {X[i, k]}: remove or repair points that have it")
        if not np.isin(y, (-1.0, 1.0)).all():
            raise LemmataError("labels must be -1 and +1: map the two classes to them")
        if len(set(y.tolist())) != 2:
            raise LemmataError("only one class is present: give at least one point of each")
        features = self.features or tuple(f"x{k}" for k in range(X.shape[1]))
        if len(features) != X.shape[1]:
            raise LemmataError(
                f"{len(features)} feature names for {X.shape[1]} columns: match them"
            )
        X.setflags(write=False)
        y.setflags(write=False)
        for attribute, value in (("X", X), ("y", y), ("features", features)):
            object.__setattr__(self, attribute, value)

    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.X.shape[0])

    @property
    def d(self) -> int:
        """Number of features."""
        return int(self.X.shape[1])


def shipped(*, center: bool = False, normalise: bool = False) -> Dataset:
    """The real data set of the default run: digits 0 (label -1) and 1 (label +1), 8 by 8 pixels.

    From the UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, CC BY 4.0); the
    README beside the file says which rows and columns. Options as in `load_csv`.
    """
    source = resources.files("proofs_checks").joinpath("datasets").joinpath(SHIPPED)
    with resources.as_file(source) as path:
        return load_csv(path, label=SHIPPED_LABEL, center=center, normalise=normalise)


def load_csv(
    path: str | Path,
    *,
    label: str,
    center: bool = False,
    normalise: bool = False,
    exact_decimals: bool = False,
) -> Dataset:
    """Read a CSV file with a header, one label column of exactly two classes, numeric features.

    The classes are sorted, as numbers when both are numbers and as text otherwise; the first
    becomes -1, the second +1, so that -1 and +1 keep their values. ``center`` subtracts each
    column's mean, then ``normalise`` divides each row by its Euclidean norm. ``exact_decimals``
    also keeps the values as rationals (centred exactly; not with ``normalise``, since norms are
    irrational).

    Raises LemmataError, naming the remedy and where it applies the line and the column: a file
    that is missing, a folder, not text or not CSV, empty or with a header only; repeated or
    missing column names; no label column; ragged rows; cells that are empty, not numbers, not
    finite, or outside of the range of binary64; constant features; not exactly two classes; a
    zero row under ``normalise``.
    """
    if exact_decimals and normalise:
        raise LemmataError(
            "rows cannot be normalised as exact rationals: drop normalise or exact-decimals"
        )
    source = Path(path)
    raw = read_bytes(source)
    table = parse_table(raw, source)
    labels, classes = _classes(table, label)
    columns = feature_columns(table, besides=label, exact=exact_decimals)
    names = tuple(columns)
    exact: list[list[Fraction]] | None = None
    try:
        if exact_decimals:
            exact = _rows([_exact_column(columns[name], center) for name in names])
            values = [[float(value) for value in row] for row in exact]
        else:
            values = _rows([_float_column(columns[name], center) for name in names])
        if normalise:
            values = _normalised(values, table)
        overflows = not all(math.isfinite(value) for row in values for value in row)
    except OverflowError:
        overflows = True
    if overflows:
        raise LemmataError(f"{source}: values overflow when transformed: rescale the columns")
    applied = (("center", center), ("normalise", normalise), ("exact-decimals", exact_decimals))
    return Dataset(
        name=source.stem,
        X=np.array(values),
        y=np.array(labels),
        classes=classes,
        features=names,
        sha256=hashlib.sha256(raw).hexdigest(),
        transforms=tuple(name for name, on in applied if on),
        exact=None if exact is None else tuple(tuple(row) for row in exact),
    )


def _classes(table: Table, label: str) -> tuple[list[float], tuple[str, str]]:
    """Labels in {-1, +1} and the names of the two classes, that of -1 first."""
    labels, order = class_labels(table, label)
    if len(order) > 2:
        raise LemmataError(
            f"{table.source}: the label column '{label}' has {len(order)} classes, "
            f"{listing(order)}: keep the rows of two of them or name another column"
        )
    return [-1.0 if name == order[0] else 1.0 for name in labels], (order[0], order[1])


def _float_column(column: list[str], center: bool) -> list[float]:
    values = [to_float(text) for text in column]
    if not center:
        return values
    # fsum rounds once, so the mean does not depend on the order of the points.
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]


def _exact_column(column: list[str], center: bool) -> list[Fraction]:
    values = [to_fraction(text) for text in column]
    mean = sum(values, Fraction(0)) / len(values) if center else Fraction(0)
    return [value - mean for value in values]


def _rows(columns: list[list[Number]]) -> list[list[Number]]:
    return [list(row) for row in zip(*columns, strict=True)]


def _normalised(rows: list[list[float]], table: Table) -> list[list[float]]:
    """Each row divided by its norm; `hypot` neither overflows nor underflows on the way."""
    norms = [math.hypot(*row) for row in rows]
    zero = [str(line) for line, norm in zip(table.lines, norms, strict=True) if norm == 0.0]
    if zero:
        raise LemmataError(
            f"{table.source}: zero points cannot be normalised (at lines {', '.join(zero)}): "
            "drop these rows or do not normalise"
        )
    return [[value / norm for value in row] for row, norm in zip(rows, norms, strict=True)]
