"""Sums and common denominators of rationals that do not outgrow the clock.

Denominators of different numbers multiply: a certificate of a few megabytes can ask for a sum with as many
digits, and the clock does not stop one operation.  So sizes are looked at before the next operation.
"""

from __future__ import annotations

from flint import fmpq, fmpz

from proofs_checks.audit.core import Clock, Rejected

MAX_BITS = 1 << 19  # of the numerator or denominator of a sum, or of a common denominator
MAX_TOTAL = 1 << 28  # bits of all integers over one common denominator


def short(value: fmpq, clock: Clock) -> fmpq:
    """The number, if it is not too long to go on with."""
    clock.tick()
    if value.height_bits() > MAX_BITS:
        raise Rejected(f"a sum has more than {MAX_BITS} bits; give numbers with fewer digits")
    return value


def dot(a: list[fmpq], b: list[fmpq], clock: Clock) -> fmpq:
    """Σ_i a_i b_i."""
    clock.tick()
    total = fmpq(0)
    for x, y in zip(a, b, strict=True):
        if x and y:
            total = short(total + x * y, clock)
    return total


def over_common(values: list[fmpq], clock: Clock) -> tuple[list[int], int]:
    """The integers values * c, and the least c > 0 for which they are integers."""
    common = fmpz(1)
    for value in values:
        clock.tick()
        common = common.lcm(value.q)
        bits = common.bit_length()
        if bits > MAX_BITS or bits * len(values) > MAX_TOTAL:
            raise Rejected("a common denominator is too long; give numbers with fewer digits")
    out = []
    for value in values:
        clock.tick()
        out.append(int(value.p * (common // value.q)))
    return out, int(common)
