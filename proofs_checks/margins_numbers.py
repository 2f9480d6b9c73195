"""What the two kinds of margin share: their bounds, and rounding in the right direction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb

from proofs_checks.exact_data import Row
from theory.errors import LemmataError

WEIGHT_BITS = 64


@dataclass(frozen=True)
class Bounds:
    """lower <= margin <= upper, and the exact numbers behind both.

    Attributes:
        q: weights on the points.
        form: "network": ``function`` is a list of neurons (c, u); "kernel": of coefficients α. Empty: the lower
            bound is 0.
        witness: of the upper bound, for the audit kernel; None where it was not certified.
        reason: what kept the bounds apart.
    """

    lower: Fraction
    upper: Fraction
    q: Row
    form: str
    function: list[Any]
    witness: Any
    reason: str = ""

    def scaled(self, factor: Fraction) -> Bounds:
        """The bounds for points times a positive factor; signs and shares, and so the witness, remain the same."""
        return Bounds(
            self.lower * factor,
            self.upper * factor,
            self.q,
            self.form,
            self.function,
            self.witness,
            self.reason,
        )


def simplex_point(weights: Iterable[Any], bits: int = WEIGHT_BITS) -> Row:
    """Non-negative numbers as exact weights with sum 1, rounded to bits; equal numbers give equal weights.

    Raises:
        LemmataError: no number is positive.
    """
    values = [max(Fraction(w), Fraction(0)) for w in weights]
    total = sum(values)
    if not total > 0:
        raise LemmataError("weights on the points must not all be zero; give a positive one")
    counts = [round(v / total * 2**bits) for v in values]
    return tuple(Fraction(c, sum(counts)) for c in counts)


def below(ball: arb) -> Fraction:
    """A binary64 number below every number of the ball, at least 0."""
    lower = ball.lower()
    if not (ball.is_finite() and lower > 0):
        return Fraction(0)
    near = float(lower)
    while not arb(near) <= lower:
        near = math.nextafter(near, 0.0)
    return Fraction(near)


def above(ball: arb) -> Fraction:
    """A binary64 number above every number of the ball."""
    upper = ball.upper()
    if not ball.is_finite():
        raise LemmataError("a bound overflows; rescale the points")
    near = max(float(upper), 0.0)
    while not arb(near) >= upper:
        near = math.nextafter(near, math.inf)
    return Fraction(near)


def outwards(lower: Fraction, upper: Fraction) -> tuple[float, float]:
    """Binary64 numbers around an interval of non-negative numbers.

    Raises:
        LemmataError: the upper end is beyond the range of binary64.
    """
    try:
        low, high = float(lower), float(upper)
    except OverflowError:
        raise LemmataError("a bound is beyond 1e308; rescale the points") from None
    return (
        low if Fraction(low) <= lower else math.nextafter(low, 0.0),
        high if Fraction(high) >= upper else math.nextafter(high, math.inf),
    )
