"""Regression and multi-class tables: exact values, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from proofs_checks.csv_columns import read_labelled, read_regression
from theory.errors import LemmataError


@pytest.fixture
def table(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str) -> Path:
        path = tmp_path / "data.csv"
        path.write_text(text)
        return path

    return write


def test_values_are_binary64_or_decimals(table) -> None:  # type: ignore[no-untyped-def]
    path = table("a,y,b\n0.1,0.3,1\n0.2,-2,2\n")
    binary = read_regression(path, target="y")
    assert ((Fraction(0.1), 1), (Fraction(0.2), 2)) == binary.X and binary.features == ("a", "b")
    assert binary.y == (Fraction(0.3), -2)
    exact = read_regression(path, target="y", exact_decimals=True)
    assert exact.X[0][0] == Fraction(1, 10) and exact.y[0] == Fraction(3, 10)


def test_classes_in_order(table) -> None:  # type: ignore[no-untyped-def]
    found = read_labelled(table("a,c\n1,10\n2,9\n3,10.0\n4,-1\n"), label="c")
    assert found.classes == ("-1", "9", "10") and found.labels == ("10", "9", "10", "-1")
    with pytest.raises(LemmataError, match="has 3 classes"):
        _ = found.signs
    two = read_labelled(table("a,c\n1,yes\n2,no\n"), label="c")
    assert two.signs == (1, -1)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,z\n1,2\n2,3\n", "no target column 'y'"),
        ("a,Y\n1,2\n2,3\n", "did you mean 'Y'"),
        ("a,y\n1,2\n2,nan\n", "line 3, column 'y': the value is missing"),
        ("a,y\n1,2\ninf,3\n", "line 3, column 'a'"),
        ("a,y\n1,2\n1,3\n", "1 feature is constant"),
        ("y\n1\n2\n", "no feature columns"),
        ("a,y\n1,2\n3,big\n", "not a number"),
    ],
)
def test_bad_regression_tables(table, text: str, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LemmataError, match=match):
        read_regression(table(text), target="y")


def test_missing_labels(table) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LemmataError, match="the label is missing"):
        read_labelled(table("a,c\n1,x\n2,\n"), label="c")
    with pytest.raises(LemmataError, match="has one class"):
        read_labelled(table("a,c\n1,x\n2,x\n"), label="c")
