"""Points and numbers as exact rationals, whatever they were given as, and how certificates write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Complex, Rational, Real
from typing import Any

from proofs_checks.csv_table import refusal, to_fraction
from theory.errors import LemmataError

Row = tuple[Fraction, ...]
Matrix = tuple[Row, ...]


def exact_number(value: Any, name: str) -> Fraction:
    """A finite real number as the rational that it is: int, float, numpy scalar, Fraction, or "p/q" as text.

    Raises:
        LemmataError: NaN, inf, or no number; the message names the place.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool):
        raise LemmataError(f"{name} is {value!r}: give a number")
    if isinstance(value, Rational):  # numpy's integers too, which a float would round
        return Fraction(int(value.numerator), int(value.denominator))
    try:
        if isinstance(value, str):
            return _written(value)
        if isinstance(value, Complex) and not isinstance(value, Real):
            raise TypeError(value)  # numpy would drop the imaginary part
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise LemmataError(f"{name} is {value!r}: give a finite number") from None
    if not math.isfinite(number):
        raise LemmataError(f"{name} is {number}: repair the value or drop its row")
    return Fraction(number)


def _written(text: str) -> Fraction:
    """The rational that a text denotes: "p/q", or a number in the range of binary64, whose exponent is short."""
    if re.fullmatch(r"[+-]?[0-9]{1,4000}/[0-9]{1,4000}", text):
        return Fraction(text)
    if refusal(text) is not None:
        raise ValueError(text)
    return to_fraction(text)


def exact_vector(values: Iterable[Any], name: str) -> Row:
    """A non-empty vector; see `exact_number`."""
    try:
        row = tuple(exact_number(v, f"{name}[{k}]") for k, v in enumerate(values))
    except TypeError:
        raise LemmataError(f"{name} must be a sequence of numbers, not {values!r:.60}") from None
    if not row:
        raise LemmataError(f"{name} is empty: give at least one number")
    return row


def exact_matrix(values: Iterable[Iterable[Any]], name: str = "X") -> Matrix:
    """A non-empty rectangular matrix, rows of equal length; see `exact_number`.

    Raises:
        LemmataError: empty, ragged, not two-dimensional, or an entry that is no finite number.
    """
    try:
        rows = tuple(exact_vector(row, f"{name}[{i}]") for i, row in enumerate(values))
    except TypeError:
        raise LemmataError(f"{name} must be a matrix of numbers, not {values!r:.60}") from None
    if not rows:
        raise LemmataError(f"{name} is empty: give at least one row")
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise LemmataError(
                f"{name}[{i}] has {len(row)} entries where {name}[0] has {len(rows[0])}: complete the rows"
            )
    return rows


def exact_text(value: Fraction | int | float) -> str:
    """A number as certificates write it: a binary64 number as a hexadecimal literal, any other as "p/q"."""
    exact = Fraction(value)
    if exact.denominator == 1 and abs(exact.numerator) < 10**6:
        return str(exact)
    try:
        rounded = float(exact)
    except OverflowError:
        return str(exact)
    # the kernel reads normal numbers only
    normal = math.isfinite(rounded) and abs(rounded) >= 2.0**-1022
    return rounded.hex() if normal and Fraction(rounded) == exact else str(exact)


def exact_texts(rows: Sequence[Sequence[Fraction]]) -> list[list[str]]:
    """A matrix as certificates write it."""
    return [[exact_text(x) for x in row] for row in rows]


def read_exact(text: Any, name: str) -> Fraction:
    """The inverse of `exact_text`.

    Raises:
        LemmataError: neither "p/q" in lowest terms nor a hexadecimal float.
    """
    from proofs_checks.audit.core import Rejected, exact

    try:
        number = exact(text, name)
    except Rejected as error:
        raise LemmataError(str(error)) from error
    return Fraction(int(number.p), int(number.q))
