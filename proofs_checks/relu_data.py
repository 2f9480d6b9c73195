"""What convex ReLU training is asked: data, targets, loss and beta, checked before any work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements import Arrangement, enumerate_patterns, sample_patterns
from numerics.errors import NumericsError
from proofs_checks.exact_data import Matrix, Row, exact_matrix, exact_number, exact_vector
from theory.errors import LemmataError

Array = NDArray[np.float64]
_RANGE = 1e140  # squares of data, and their sums, stay inside float64


@dataclass(frozen=True)
class TrainingData:
    """X (n, d) and y (n,) as rationals and, rounded, as float64; the name of the loss."""

    X: Matrix
    y: Row
    loss: str
    X_float: Array
    y_float: Array


def read_training_data(X: Any, y: Any, *, loss: str, bias: bool) -> TrainingData:
    """Checked data; with ``bias`` a column of ones is appended.

    Raises:
        LemmataError: not finite, mis-shaped, all rows zero or the same, out of float64's range, an unknown loss, or
            labels other than +-1 for the logistic loss.
    """
    if loss not in ("squared", "logistic"):
        raise LemmataError(f"unknown loss {loss!r}: choose squared or logistic")
    rows, targets = exact_matrix(X, "X"), exact_vector(y, "y")
    if len(rows) != len(targets):
        raise LemmataError(
            f"X has {len(rows)} rows and y {len(targets)} entries: give one target per row"
        )
    if not any(any(row) for row in rows):
        raise LemmataError(
            "X is zero in every entry, so no network depends on its weights: give other data"
        )
    if len(rows) > 1 and all(row == rows[0] for row in rows):
        raise LemmataError(
            "all rows of X are the same, so the outputs are too: give data that vary"
        )
    if bias:
        rows = tuple((*row, Fraction(1)) for row in rows)
    wrong = [k for k, label in enumerate(targets) if label not in (-1, 1)]
    if loss == "logistic" and wrong:
        raise LemmataError(
            f"y[{wrong[0]}] is {float(targets[wrong[0]]):g}: the logistic loss needs labels 1 and -1; recode them, "
            "or use loss='squared'"
        )
    flat = [entry for row in rows for entry in row]
    return TrainingData(
        rows,
        targets,
        loss,
        _floats(flat, "X").reshape(len(rows), -1),
        _floats(list(targets), "y"),
    )


def read_beta(value: Any, name: str) -> Fraction:
    """A positive number; raises `LemmataError` for any other."""
    beta = exact_number(value, name)
    if beta <= 0:
        raise LemmataError(
            f"{name} is {value!s:.40}: give a positive number (without regularisation no optimum exists)"
        )
    _floats([beta], name)
    return beta


def find_patterns(data: TrainingData, *, sample: int | None, seed: int, limit: int) -> Arrangement:
    """All activation patterns, or with ``sample`` those of random directions.

    Raises:
        LemmataError: more than ``limit`` patterns; the message gives their number.
    """
    try:
        if sample is not None:
            found = sample_patterns(data.X, samples=sample, seed=seed)
            if not len(found.patterns):
                raise LemmataError(
                    "no random direction fell inside a cell: raise sample, or leave it out"
                )
            return found
        return enumerate_patterns(data.X, limit=limit, improve=False)
    except NumericsError as error:
        hint = (
            "; sample=N trains on the patterns of N random directions, with a weaker bound"
            if sample is None
            else ""
        )
        raise LemmataError(f"{error}{hint}") from None


def _floats(entries: list[Fraction], name: str) -> Array:
    """Float64 values of rationals, all of them inside the range in which sums of squares do not overflow."""
    try:
        values = np.array([float(entry) for entry in entries])
    except OverflowError:
        values = np.array([math.inf])
    size = float(np.abs(values).max())
    lost = any(entry and value == 0.0 for entry, value in zip(entries, values, strict=False))
    if not (1 / _RANGE < size < _RANGE or size == 0.0) or lost:
        raise LemmataError(
            f"{name} has entries outside float64's safe range (largest {size:.3g}): rescale {name}, and beta with it"
        )
    return values
