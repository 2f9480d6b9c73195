"""Sums of rationals in the audit kernel: exact, and never so long that the clock cannot stop them."""

from __future__ import annotations

import json
import math
import time
from fractions import Fraction
from typing import Any

import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.audit import audit_text
from proofs_checks.audit.core import Clock, Rejected
from proofs_checks.audit.rationals import MAX_BITS, dot, over_common

numbers = st.fractions(min_value=-10, max_value=10, max_denominator=60)


def rational(x: Fraction) -> fmpq:
    return fmpq(x.numerator, x.denominator)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6))
def test_sums_and_common_denominators_are_exact(pairs: list[tuple[Fraction, Fraction]]) -> None:
    a, b = ([rational(x) for x in side] for side in zip(*pairs, strict=True))
    assert dot(a, b, Clock(9)) == rational(sum((x * y for x, y in pairs), Fraction(0)))
    integers, common = over_common(a, Clock(9))
    assert common == math.lcm(*(x.denominator for x, _ in pairs))
    assert integers == [int(x * common) for x, _ in pairs]


def test_long_sums_are_refused() -> None:
    primes = [fmpq(1, (1 << 10_000) + k) for k in range(MAX_BITS // 5000)]
    for build in (lambda: dot(primes, primes, Clock(60)), lambda: over_common(primes, Clock(60))):
        with pytest.raises(Rejected, match="fewer digits"):
            build()
    with pytest.raises(Rejected, match="within 0 seconds"):
        dot([fmpq(0)], [fmpq(0)], Clock(0))


def long_numbers(count: int, digits: int = 1990) -> list[str]:
    """Rationals without common factors in their denominators."""
    start = 10 ** (digits - 1)
    return [f"{start + 2 * k}/{start + 2 * k + 1}" for k in range(count)]


def relu_data(points: list[list[str]], nu: list[str]) -> dict[str, Any]:
    tree = {"reflections": [], "inside": [], "plus": [["0"]], "minus": [["0"]]}
    zeros = ["0"] * len(points)
    claim = {"loss": "squared", "X": points, "y": zeros, "beta": "1", "lower": "0", "upper": "0"}
    witness = {"W": [], "v": [], "nu": nu, "bound": tree}
    return {"kind": "convex optimum: ReLU network", "claim": claim, "witness": witness}


def margin_data(points: list[list[str]], q: list[str], space: str) -> dict[str, Any]:
    tree = {"reflections": [], "inside": [], "plus": [["0"]], "minus": [["0"]]}
    labels = [1] * len(points)
    claim = {"space": space, "points": points, "labels": labels, "lower": "1", "upper": "1"}
    network: list[Any] = [["1", points[0]]] * 3 if space == "f1" else q
    witness = {"network": network, "q": q, "bound": tree if space == "f1" else {}}
    return {"kind": "margin", "claim": claim, "witness": witness}


def cells_data(points: list[list[str]]) -> dict[str, Any]:
    witness = {"cells": [[1] * len(points[0])], "tree": []}
    claim = {"points": points, "count": 2, "patterns": []}
    return {"kind": "activation patterns", "claim": claim, "witness": witness}


def hostile() -> list[dict[str, Any]]:
    long = long_numbers(300)
    column = [[x] for x in long]
    table = [long[20 * k : 20 * k + 20] for k in range(15)]
    zeros = ["0"] * 300
    sharing = ["1", *zeros[1:]]
    return [
        relu_data(column, zeros),
        relu_data(column, long),
        relu_data(table, zeros[:15]),
        margin_data(column, sharing, "f1"),
        margin_data(column, ["1/300"] * 300, "f1"),
        margin_data(column, long, "f2"),
        margin_data(table, sharing[:15], "f2"),
        cells_data(table),
        cells_data([*table, *([["1"] * 20] * 2000)]),
    ]


@pytest.mark.parametrize("k", range(9))
def test_the_clock_stops_the_kernel(k: int) -> None:
    data = {"format": "lemmata-certificate/1", "inputs": {}, **hostile()[k]}
    start = time.process_time()
    result = audit_text(json.dumps(data), seconds=1)
    assert time.process_time() - start < 5
    assert result.accepted is False, result.reason
