"""Where a case changes from failing to holding, as a function of one free constant; many at once.

A case counts as failing where it fails by more than the error bound of floats, so rounding makes no threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Traced
from proofs_checks.conjectures.lanes import inputs_of
from theory.tracing import FreeConstant

Array = NDArray[np.float64]
HALVINGS = 64
BLOCK = 1024  # (case, value) pairs judged at once
OCTAVES = 4  # between two values of a grid
LARGEST = 2.0**40  # the largest value of interest where none is given


@dataclass(frozen=True)
class Slope:
    """How cases depend on the constant.

    Attributes:
        eased: how many cases stop failing as it grows; hurt: how many begin to.
        falls, rises: how many cases have a slack that goes down, or up, without a change from failing to holding.
    """

    eased: int = 0
    hurt: int = 0
    falls: int = 0
    rises: int = 0

    def plus(self, other: Slope) -> Slope:
        """Both together."""
        return Slope(
            self.eased + other.eased,
            self.hurt + other.hurt,
            self.falls + other.falls,
            self.rises + other.rises,
        )

    @property
    def better(self) -> str:
        """The direction in which the conjecture says more, "" where there is none."""
        if self.eased or self.hurt:
            return "" if self.eased and self.hurt else "smaller" if self.eased else "larger"
        if bool(self.falls) == bool(self.rises):
            return ""
        return "smaller" if self.falls else "larger"


def grid(constant: FreeConstant) -> Array:
    """Values of a constant from one end of its range to the other, ascending, of all orders of magnitude."""
    sizes = 2.0 ** np.arange(-20, 41, OCTAVES)
    values = np.concatenate([-sizes[::-1], [0.0], sizes, [LARGEST, -LARGEST]])
    low = -math.inf if constant.low is None else float(constant.low)
    high = math.inf if constant.high is None else float(constant.high)
    inside = values[(values > low) & (values < high)]
    ends = [x for x in (low, high) if math.isfinite(x)]
    if len(ends) == 2:
        ends += np.linspace(low, high, 17)[1:-1].tolist()
    return np.unique(np.concatenate([inside, ends]))


def fails(
    traced: Traced, name: str, cases: Sequence[ConjectureCase], c: Array
) -> tuple[NDArray[np.bool_], Array]:
    """Whether cases (B,) of one structure certainly fail with their values (B,) of the constant, and their slack (B,).

    The slack is nan where a hypothesis fails.
    """
    from proofs_checks.conjectures.judge import VACUOUS, VIOLATED, judge
    from proofs_checks.conjectures.oracles import float_oracles

    inputs, radii = inputs_of(cases)
    oracles = float_oracles() if traced.program.oracles else None
    at = {name: np.asarray(c, dtype=float)}
    judged = judge(traced, inputs, radii=radii, constants=at, oracles=oracles)
    return judged.status == VIOLATED, np.where(judged.status == VACUOUS, np.nan, judged.slack)


def table(
    traced: Traced, name: str, cases: Sequence[ConjectureCase], at: Array
) -> tuple[NDArray[np.bool_], Array]:
    """`fails` for every case (rows) and every value (columns)."""
    rows = max(BLOCK // max(len(at), 1), 1)
    failing, slack = [], []
    for start in range(0, len(cases), rows):
        part = cases[start : start + rows]
        repeated = [case for case in part for _ in at]
        found, size = fails(traced, name, repeated, np.tile(at, len(part)))
        failing.append(found.reshape(len(part), -1))
        slack.append(size.reshape(len(part), -1))
    return np.concatenate(failing), np.concatenate(slack)


def slope(traced: Traced, name: str, cases: Sequence[ConjectureCase], at: Array) -> Slope:
    """How these cases depend on the constant."""
    failing, slack = table(traced, name, cases, at)
    steps = np.diff(failing.astype(int), axis=1)
    eased, hurt = (steps < 0).any(axis=1), (steps > 0).any(axis=1)
    changes = np.nan_to_num(np.diff(slack, axis=1))
    still = ~(eased | hurt)
    falls = still & (changes < -1e-9).any(axis=1)
    rises = still & (changes > 1e-9).any(axis=1)
    return Slope(*(int(flags.sum()) for flags in (eased, hurt, falls, rises)))


def thresholds(
    traced: Traced, name: str, cases: Sequence[ConjectureCase], at: Array, better: str
) -> Array:
    """(B,) the value where each case stops failing: ±inf in the direction of ``better`` if it never fails there.

    A case that fails at every value has the threshold of the other end, ±inf the other way. Thresholds are those of
    certain failure: at the next value on the worse side a case fails for certain.
    """
    failing, _ = table(traced, name, cases, at)
    if better == "larger":
        failing, at = failing[:, ::-1], at[::-1]
    # now it fails first and then holds: the last column at which it fails, and the next one
    last = np.where(failing.any(axis=1), len(at) - 1 - np.argmax(failing[:, ::-1], axis=1), -1)
    sign = 1.0 if better == "smaller" else -1.0
    out = np.where(last < 0, -sign * np.inf, sign * np.inf)
    inner = np.flatnonzero((last >= 0) & (last < len(at) - 1))
    if len(inner):
        chosen = [cases[k] for k in inner.tolist()]
        bad, good = at[last[inner]].astype(float), at[last[inner] + 1].astype(float)
        for _ in range(HALVINGS):
            middle = bad / 2 + good / 2
            if not ((middle != bad) & (middle != good)).any():
                break
            found, _ = fails(traced, name, chosen, middle)
            bad, good = np.where(found, middle, bad), np.where(found, good, middle)
        out[inner] = good
    return out


def towards(x: float, better: str, share: float) -> Fraction:
    """A number a little better than x, by a share of its size (worse where the share is negative)."""
    step = share * max(abs(x), 1e-9)
    return Fraction(x - step if better == "smaller" else x + step)


def rounded(x: float, better: str, digits: int) -> Fraction:
    """x with so many significant digits, rounded to the better side."""
    if x == 0:
        return Fraction(0)
    unit = Fraction(10) ** (math.floor(math.log10(abs(x))) + 1 - digits)
    scaled = Fraction(x) / unit
    return (math.floor(scaled) if better == "smaller" else math.ceil(scaled)) * unit


__all__ = ["Slope", "fails", "grid", "rounded", "slope", "thresholds", "towards"]
