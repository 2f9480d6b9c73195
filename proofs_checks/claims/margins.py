"""How the statements about margins are measured.

Parities have ``D``, ``K``, ``odd`` = K mod 2, ``central`` = C(K-2, K/2-1) and ``power`` = 2^(K-1) (0 where K is odd),
``n`` points with labels ``chi(i)`` and means of coordinates ``t(i)``, and the certified margins ``gamma_1`` and
``gamma_2``. The perceptron has the number of its ``mistakes``, counted in rational arithmetic, ``R_sq``, the largest
‖x_i‖², and for the vector u of the case ``worst`` = min y_i <u, x_i> and ``gamma_sq`` = worst² / ‖u‖². A step has the
vectors ``w(k)``, ``w_bar(k)``, ``g(k)``, ``w_next(k)`` and the number ``eta``.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb, ctx

from proofs_checks.exact_data import Row
from proofs_checks.margin_cases import ParityCase, PerceptronCase, UpdateCase
from proofs_checks.margins import MarginResult, margin
from proofs_checks.static import Measurement, hull
from proofs_checks.verdict import Rigor

BITS = 256
GAP = 1e-9


class ParityClaim:
    """Margins of a parity."""

    def __init__(self, case: ParityCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """Counts, and those of the two margins that are wanted."""
        case = self.case
        D, K = case.dimension, case.degree
        values: dict[str, Any] = {
            "D": D,
            "K": K,
            "odd": K % 2,
            "central": math.comb(K - 2, K // 2 - 1) if K % 2 == 0 else 0,
            "power": 2 ** (K - 1) if K % 2 == 0 else 0,
            "n": len(case.points),
            "chi": case.labels,
            "t": [Fraction(sum(x), D) for x in case.points],
        }
        rigor, notes = Rigor.PROVED, []
        for name, space in (("gamma_1", "f1"), ("gamma_2", "f2")):
            if name not in wanted:
                continue
            found = solved(case, space)
            if found.status != "solved":
                return Measurement({}, found.rigor, undecided=f"{name}: {found.reason}")
            with ctx.workprec(BITS):
                # the case's points are √D times those of the statement
                values[name] = hull(Fraction(found.lower), Fraction(found.upper)) / arb(D).sqrt()
            if found.lower == 0 == found.upper:
                values[name] = 0
            rigor = rigor if found.rigor is Rigor.PROVED else found.rigor
            notes.append(f"{name} certified with relative gap {found.relative_gap:.1g}")
        return Measurement(values, rigor, note="; ".join(notes))


@lru_cache(maxsize=256)
def solved(case: ParityCase, space: str) -> MarginResult:
    """The margin of √D times the points of a parity."""
    return margin(case.points, case.labels, space=space, gap=GAP)


class PerceptronClaim:
    """The mistakes of the perceptron."""

    def __init__(self, case: PerceptronCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """Everything, exactly."""
        case = self.case
        worst = min(y * _dot(case.u, x) for x, y in zip(case.X, case.y, strict=True))
        values = {
            "mistakes": mistakes(case),
            "R_sq": max(_dot(x, x) for x in case.X),
            "worst": worst,
            "gamma_sq": worst * abs(worst) / _dot(case.u, case.u),
        }
        return Measurement(values, Rigor.PROVED, note="counted in rational arithmetic")


def mistakes(case: PerceptronCase) -> int:
    """How often y <w, x> <= 0 while w <- w + y x goes over the points, from w = 0."""
    w = [Fraction(0)] * len(case.u)
    count = 0
    for _ in range(case.passes):
        before = count
        for x, y in zip(case.X, case.y, strict=True):
            if y * _dot(tuple(w), x) <= 0:
                w = [s + y * t for s, t in zip(w, x, strict=True)]
                count += 1
        if count == before:
            break
    return count


class UpdateClaim:
    """One step."""

    def __init__(self, case: UpdateCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """Everything, exactly."""
        case = self.case
        values = {
            "w": list(case.w),
            "w_bar": list(case.w_bar),
            "g": list(case.g),
            "w_next": [s - case.eta * t for s, t in zip(case.w, case.g, strict=True)],
            "eta": case.eta,
        }
        return Measurement(values, Rigor.PROVED, note="in rational arithmetic")


def _dot(a: Row, b: Row) -> Fraction:
    return sum((s * t for s, t in zip(a, b, strict=True)), Fraction(0))
