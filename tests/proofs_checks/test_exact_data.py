"""Numbers of every sort as the rationals that they are, and as certificates write them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.audit.core import exact
from proofs_checks.exact_data import (
    exact_matrix,
    exact_number,
    exact_text,
    exact_vector,
    read_exact,
)
from theory.errors import LemmataError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, Fraction(3)),
        (0.1, Fraction(0.1)),
        ("1/3", Fraction(1, 3)),
        (Fraction(2, 7), Fraction(2, 7)),
        (np.float32(0.1), Fraction(float(np.float32(0.1)))),
        (np.float64(0.1), Fraction(0.1)),
        (np.int64(2**62 + 1), Fraction(2**62 + 1)),
        (2**80 + 1, Fraction(2**80 + 1)),
    ],
)
def test_numbers_are_taken_as_they_are(value: Any, expected: Fraction) -> None:
    assert exact_number(value, "x") == expected


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), None, "one", True, "1/0", 1j, [1.0], np.datetime64("2020")],
)
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(LemmataError, match=r"^x is "):
        exact_number(value, "x")


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([], "X is empty"),
        ([[]], r"X\[0\] is empty"),
        ([[1, 2], [3]], r"X\[1\] has 1 entries"),
        ([1, 2], r"X\[0\] must be a sequence"),
        (3, "X must be a matrix"),
        ([[1, float("nan")]], r"X\[0\]\[1\] is nan"),
    ],
)
def test_bad_matrices(rows: Any, match: str) -> None:
    with pytest.raises(LemmataError, match=match):
        exact_matrix(rows)


def test_arrays_and_lists_agree() -> None:
    X = np.array([[0.1, 2.0], [3.0, -4.5]])
    assert exact_matrix(X) == exact_matrix(X.tolist())
    assert exact_vector(X[0], "y") == exact_matrix(X)[0]


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.fractions(), st.integers()))
def test_certificates_write_what_the_kernel_reads_back(value: Any) -> None:
    written = exact_text(value)
    back = exact(written, "value")
    assert Fraction(int(back.p), int(back.q)) == Fraction(value) == read_exact(written, "value")


def test_numbers_as_text() -> None:
    assert exact_number("0.1", "x") == Fraction(1, 10) and exact_number("-2/6", "x") == -Fraction(
        1, 3
    )
    for text in ("2/6", "0.1", None, "1e999999999"):
        with pytest.raises(LemmataError, match="neither"):
            read_exact(text, "x")
