"""Sparse polynomials for the kernel: reading their text, and the little algebra that laws need.

A monomial is the sorted tuple of its variables' indices with repetition; a polynomial maps monomials
to non-zero integers or fractions; a *field* (also: a gradient) maps indices to non-zero polynomials.
Text is a sum of terms such as "2*u^2*v - 3/2*w + 7": one space on each side of + and -, coefficients
in lowest terms and 1 left out, factors in the order of the variables, no monomial twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import Any

from proofs_checks.audit.core import MAX_DIGITS, Clock, Rejected, exact

Polynomial = dict[tuple[int, ...], Any]
Field = dict[int, Polynomial]
ONE: Polynomial = {(): 1}
MAX_DEGREE, MAX_BITS, MAX_ENTRIES = 64, 1 << 15, 1 << 24
LIMITS = "not re-derived within the limits of the kernel"


class Meter:
    """The clock, and a limit on what is held in memory while one field is derived."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.entries = clock, 0

    def fresh(self) -> None:
        """A new field begins."""
        self.clock.tick()
        self.entries = 0

    def tick(self, monomial: tuple[int, ...] | None = None, coefficient: Any = 0) -> None:
        """One step; it makes a new term if a monomial is given."""
        self.clock.tick()
        bits = coefficient.numerator.bit_length() + coefficient.denominator.bit_length()
        self.entries += (0 if monomial is None else len(monomial) + 8) + bits // 256
        if self.entries > MAX_ENTRIES:
            raise Rejected(f"{LIMITS}: the polynomials of one field, or of the laws, are too large")
        if bits > MAX_BITS:
            raise Rejected(f"{LIMITS}: a coefficient has more than {MAX_BITS} bits")


def rational(text: Any, what: str) -> Fraction:
    """A rational in lowest terms."""
    if isinstance(text, str) and len(text) > MAX_DIGITS:
        raise Rejected(f"{LIMITS}: {what} has a number of more than {MAX_DIGITS} digits")
    number = exact(text, what)
    return Fraction(int(number.p), int(number.q))


def read(text: Any, names: Mapping[str, int], what: str, meter: Meter) -> Polynomial:
    """The polynomial that a text stands for."""
    if not isinstance(text, str):
        raise Rejected(f"{what}: not a text")
    if text == "0":
        return {}
    first, *tail = text.split(" ")
    terms, signs = [first.removeprefix("-"), *tail[1::2]], [first[:1], *tail[::2]]
    if len(terms) < len(signs) or not {"+", "-"}.issuperset(signs[1:]):
        raise Rejected(f"{what}: {text!a:.60} is no sum of terms")
    out: Polynomial = {}
    for sign, term in zip(signs, terms, strict=True):
        head, *factors = term.split("*")
        coefficient: int | Fraction = 1
        if re.fullmatch(r"[1-9][0-9]*(/[1-9][0-9]*)?", head) and (head != "1" or not factors):
            number = rational(head, what)
            coefficient = int(number) if number.denominator == 1 else number
        else:
            factors.insert(0, head)
        monomial = _monomial(factors, names, f"{what}: term {term!a:.60}")
        meter.tick(monomial, coefficient)
        if monomial in out:
            raise Rejected(f"{what}: {term!a:.60} stands for a monomial that occurs twice")
        out[monomial] = -coefficient if sign == "-" else coefficient
    return out


def _monomial(factors: Sequence[str], names: Mapping[str, int], what: str) -> tuple[int, ...]:
    out: list[int] = []
    for factor in factors:
        name, caret, exponent = factor.partition("^")
        if name not in names or (caret and not re.fullmatch("[2-9]|[1-9][0-9]+", exponent)):
            raise Rejected(f"{what}: {factor!a:.60} is no variable here, and no power of one")
        if len(exponent) > 2:
            raise Rejected(f"{LIMITS}: {what} has a degree above {MAX_DEGREE}")
        if out and names[name] <= out[-1]:
            raise Rejected(f"{what}: the variables are repeated, or not in their order")
        out += [names[name]] * int(exponent or 1)
        if len(out) > MAX_DEGREE:
            raise Rejected(f"{LIMITS}: {what} has a degree above {MAX_DEGREE}")
    return tuple(out)


def accumulate(
    out: Polynomial, p: Polynomial, q: Polynomial, meter: Meter, factor: int | Fraction = 1
) -> None:
    """Add factor p q to ``out``; zero coefficients stay, for `clean`."""
    for a, c in p.items():
        scaled = factor * c
        for b, d in q.items():
            monomial = tuple(sorted(a + b))
            previous = out.get(monomial)
            value = scaled * d if previous is None else previous + scaled * d
            meter.tick(monomial if previous is None else None, value)
            out[monomial] = value


def clean(p: Polynomial, modulus: int = 0) -> Polynomial:
    """Without zero coefficients; modulo ``modulus`` unless it is 0."""
    if modulus:
        return {monomial: r for monomial, c in p.items() if (r := c % modulus)}
    return {monomial: c for monomial, c in p.items() if c}


def times(p: Polynomial, q: Polynomial, meter: Meter) -> Polynomial:
    """p q."""
    out: Polynomial = {}
    accumulate(out, p, q, meter)
    return clean(out)


def gradient(p: Polynomial, meter: Meter) -> Field:
    """All non-zero partial derivatives, by variable."""
    out: Field = {}
    for monomial, c in p.items():
        previous = -1
        for at, i in enumerate(monomial):
            if i != previous:
                previous = i
                meter.tick(monomial)
                # different monomials have different derivatives, so nothing is overwritten
                rest = monomial[:at] + monomial[at + 1 :]
                out.setdefault(i, {})[rest] = c * monomial.count(i)
    return out


def integral(field: Field, meter: Meter) -> Field:
    """The field over the integers: all its components, multiplied by one non-zero number."""
    common = 1
    for p in field.values():
        for c in p.values():
            common = lcm(common, c.denominator)
            meter.tick(None, common)
    out: Field = {}
    for a, p in field.items():
        for monomial, c in p.items():
            out.setdefault(a, {})[monomial] = value = int(c * common)
            meter.tick(monomial, value)
    return out


def evaluate(field: Field, point: Sequence[int], prime: int, meter: Meter) -> dict[int, int]:
    """The non-zero components at an integer point, modulo a prime."""
    out = {}
    for a, p in field.items():
        total = 0
        for monomial, c in p.items():
            meter.clock.tick()
            for i in monomial:
                c = c * point[i] % prime
            total += c
        if total % prime:
            out[a] = total % prime
    return out
