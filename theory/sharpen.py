"""How far a constant can go before its proof breaks.

`sharpen` moves one constant from its stated value in the direction in which it improves, with the others
fixed, and brackets the place where the derivation stops to verify. `pareto` does so jointly for two constants.
Both are statements about this proof, not about the theorem: beyond the bracket the statement may still be true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

from theory.derivation import Derivation, StepError, Values
from theory.errors import DerivationError

_REACH = (
    Fraction(10) ** 6
)  # a constant that moves this far from its stated value is called unlimited


@dataclass(frozen=True)
class Sharpened:
    """The best value of a constant that a proof gives, with the other constants fixed.

    Attributes:
        better: "smaller" or "larger".
        proof_sharp: the best value at which every step verifies.
        bracket: (a value at which a step fails, `proof_sharp`); the first is None where the proof never broke.
        blocked_by: the step that fails there.
        reason: why it fails.
        point: where it fails; empty where the step is only undecided.
        others: the values of the other constants.
    """

    constant: str
    better: str
    stated: Fraction
    proof_sharp: Fraction
    bracket: tuple[Fraction | None, Fraction]
    blocked_by: str | None
    reason: str
    point: dict[str, str]
    others: dict[str, Fraction]


def sharpen(
    derivation: Derivation,
    constant: str,
    *,
    others: Values | None = None,
    tolerance: Fraction = Fraction(1, 10_000),
    memo: dict[Any, Any] | None = None,
) -> Sharpened:
    """Bracket the best value of a constant, up to a relative tolerance.

    Args:
        others: values of other constants (default: stated).

    Raises:
        DerivationError: unknown constant, or the derivation does not verify at the stated value.
    """
    values = derivation.values(others)
    if constant not in values:
        raise DerivationError(
            f"{derivation.name} has no constant {constant!r}; it has: {', '.join(values)}"
        )
    better = next(c.better for c in derivation.constants if c.name == constant)
    stated = values[constant]
    failure: StepError | None = None

    def verifies(value: Fraction) -> bool:
        nonlocal failure
        try:
            derivation.verify({**values, constant: value}, memo=memo)
        except StepError as error:
            failure = error
            return False
        return True

    derivation.verify(values, memo=memo)
    factor = Fraction(1, 2) if better == "smaller" else Fraction(2)
    good, bad = stated, stated * factor
    while verifies(bad):
        good, bad = bad, bad * factor
        if max(good / stated, stated / good) > _REACH:
            return Sharpened(
                constant, better, stated, good, (None, good), None, "", {}, _rest(values, constant)
            )
    while abs(good - bad) > tolerance * max(good, bad):
        middle = simplest_between(*sorted((bad + (good - bad) / 4, bad + (good - bad) * 3 / 4)))
        if verifies(middle):
            good = middle
        else:
            bad = middle
    # the limit is often a simple number that lies between the two
    simple = simplest_between(min(good, bad), max(good, bad))
    if simple not in (good, bad):
        if verifies(simple):
            good = simple
        else:
            bad = simple
    verifies(bad)  # for the reason
    if failure is None:
        raise DerivationError(
            f"{derivation.name}: {constant} = {bad} failed before and verifies now"
        )
    return Sharpened(
        constant,
        better,
        stated,
        good,
        (bad, good),
        failure.step,
        failure.reason,
        failure.point,
        _rest(values, constant),
    )


def _rest(values: dict[str, Fraction], constant: str) -> dict[str, Fraction]:
    return {k: v for k, v in values.items() if k != constant}


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The rational with the smallest denominator in [low, high], 0 < low <= high."""
    whole = floor(low)
    if whole == low:
        return Fraction(whole)
    if whole + 1 <= high:
        return Fraction(whole + 1)
    return whole + 1 / simplest_between(1 / (high - whole), 1 / (low - whole))


def pareto(
    derivation: Derivation,
    constants: Sequence[str],
    *,
    points: int = 5,
    tolerance: Fraction = Fraction(1, 1_000),
    memo: dict[Any, Any] | None = None,
) -> list[dict[str, Fraction]]:
    """Pairs of values of two constants that verify jointly, none of which is better in both.

    The first constant takes equidistant values from its proof-sharp to its stated value (with the second as
    stated), and the second is sharpened at each.

    Raises:
        DerivationError: not exactly two different constants, fewer than two points, or see `sharpen`.
    """
    if len(constants) != 2 or constants[0] == constants[1]:
        raise DerivationError("the joint set is for two different constants; name two")
    if points < 2:
        raise DerivationError("give at least two points")
    first, second = constants
    best = sharpen(derivation, first, tolerance=tolerance, memo=memo)
    better = {c.name: c.better for c in derivation.constants}
    found: list[dict[str, Fraction]] = []
    for k in range(points):
        value = best.proof_sharp + (best.stated - best.proof_sharp) * Fraction(k, points - 1)
        other = sharpen(derivation, second, others={first: value}, tolerance=tolerance, memo=memo)
        found.append({first: value, second: other.proof_sharp})

    def beats(a: dict[str, Fraction], b: dict[str, Fraction]) -> bool:
        at_least = all(a[k] <= b[k] if better[k] == "smaller" else a[k] >= b[k] for k in constants)
        return at_least and a != b

    return [a for a in found if not any(beats(b, a) for b in found)]
