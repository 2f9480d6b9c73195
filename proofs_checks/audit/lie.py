"""Kind "law count": how many conservation laws a MODEL has near a generic point.

    claim    {"model": MODEL, "lower": count, "upper": count}: near a generic point at least ``lower``
             functionally independent laws exist, and at most ``upper``
    inputs   {}
    witness  {"laws": [LAW, ...], "law_rank": AT, "brackets": [[i1, ..., ik], ...], "lie_rank": AT}
    AT       {"prime": "p", "point": ["x", ...]}: one integer for each of the N variables of the fields

There are ``lower`` laws and N - ``upper`` brackets; [i1, ..., ik] stands for [f_i1, [f_i2, [..., f_ik]]],
in the indices of the fields of `model`.  Why this suffices: take a matrix of integer polynomials.  Its
values modulo p at an integer point have at most the rank of its values over Q there (a minor that is not
0 modulo p is not 0), and this is at most the rank over the rational functions, which is that of the
values at every point of an open dense set.  So if the gradients of the laws (times the factor of `laws`)
have rank ``lower``, the laws are independent near every point of such a set; each is a law by an exact
identity.  And if the brackets have rank N - ``upper``, so they have near every point of such a set; a law
that is constant along the fields is constant along their brackets, so its gradient there lies in a space
of dimension ``upper``.  Reducing the integer fields modulo p commutes with brackets and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import fmpz, nmod_mat

from proofs_checks.audit.core import Clock, Rejected, fields
from proofs_checks.audit.laws import check_laws, flow, read_laws, several
from proofs_checks.audit.model import Model, index_below, read_model
from proofs_checks.audit.polynomials import (
    Field,
    Meter,
    accumulate,
    clean,
    evaluate,
    gradient,
    rational,
)

SMALLEST, LARGEST, MAX_WORD, MAX_TERMS = 1 << 30, 1 << 63, 64, 1 << 20


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if a bound does not follow from its witness."""
    data, lower, upper = fields(claim, ("model", "lower", "upper"), "claim")
    fields(inputs, (), "inputs")
    parts = fields(witness, ("laws", "law_rank", "brackets", "lie_rank"), "witness")
    meter = Meter(clock)
    model = read_model(data, meter)
    n = len(model.names)
    if not index_below(upper, n + 1) or not index_below(lower, upper + 1):
        raise Rejected(f"lower and upper must be integers, 0 <= lower <= upper <= {n}")
    laws, brackets = read_laws(parts[0], model, meter), parts[2]
    if len(laws) != lower:
        raise Rejected(f"{len(laws)} laws do not show that there are exactly {lower} or more")
    if not isinstance(brackets, list) or len(brackets) != n - upper:
        raise Rejected(f"the bound {upper} of {n} variables needs a list of {n - upper} brackets")
    prime, point = _place(parts[1], n, "law_rank")
    for k, law in enumerate(laws, 1):
        if not all(evaluate(q, point, prime, meter) for q in law.factors):
            raise Rejected(f"a logarithm of law {k} is not defined at the point, modulo {prime}")
    rows = [evaluate(law.slopes, point, prime, meter) for law in laws]
    _full_rank(rows, n, prime, "gradients of the laws", meter)
    check_laws(laws, model, meter)
    prime, point = _place(parts[3], n, "lie_rank")
    known, rows = _Brackets(model, prime, meter), []
    for word in brackets:
        if not isinstance(word, list) or not 0 < len(word) <= MAX_WORD:
            raise Rejected(f"a bracket must be a list of 1 to {MAX_WORD} indices of fields")
        if not all(index_below(i, model.count) for i in word):
            raise Rejected(f"a bracket names a field that is none of the {model.count}")
        rows.append(evaluate(known.of(tuple(word)), point, prime, meter))
    _full_rank(rows, n, prime, "brackets", meter)
    number = f"exactly {lower}" if lower == upper else f"at least {lower} and at most {upper}"
    shown = f", among them {several(laws)}" if laws else ""
    return (
        f"proved: near a generic point {number} functionally independent laws{shown}; a law is constant along "
        f"{flow(data)}"
    )


def _place(data: Any, n: int, what: str) -> tuple[int, list[int]]:
    """A prime, and a point modulo it."""
    prime, point = fields(data, ("prime", "point"), what)
    p = rational(prime, what)
    if p.denominator != 1 or not SMALLEST <= p < LARGEST or not fmpz(int(p)).is_prime():
        raise Rejected(f"{what}: {prime!a:.60} is no prime from 2^30 to 2^63")
    if not isinstance(point, list) or len(point) != n:
        raise Rejected(f"{what}: the point must be a list of {n} integers")
    numbers = [rational(x, what) for x in point]
    if any(x.denominator != 1 for x in numbers):
        raise Rejected(f"{what}: the point is not integer")
    return int(p), [int(x) % int(p) for x in numbers]


class _Brackets:
    """Brackets modulo a prime; inner ones, which return in other words, are kept while they are few."""

    def __init__(self, model: Model, prime: int, meter: Meter) -> None:
        self.model, self.prime, self.meter = model, prime, meter
        self.known: dict[tuple[int, ...], Field] = {}
        self.terms = 0

    def of(self, word: tuple[int, ...]) -> Field:
        """[f_i1, [..., f_ik]]."""
        if word not in self.known:
            field = self._derive(word)
            self.terms += sum(map(len, field.values())) + 1
            if self.terms > MAX_TERMS:
                self.known.clear()
                self.terms = 0
            self.known[word] = field
        return self.known[word]

    def _derive(self, word: tuple[int, ...]) -> Field:
        if len(word) == 1:
            total = self.model.field(word[0], self.meter)
        else:
            f, g = self.of(word[:1]), self.of(word[1:])
            self.meter.fresh()
            total = {}
            for sign, left, right in ((1, f, g), (-1, g, f)):
                for a, p in right.items():
                    for b, slope in gradient(p, self.meter).items():
                        if b in left:
                            accumulate(total.setdefault(a, {}), left[b], slope, self.meter, sign)
        return {a: q for a, p in total.items() if (q := clean(p, self.prime))}


def _full_rank(rows: Sequence[dict[int, int]], n: int, prime: int, what: str, meter: Meter) -> None:
    """The rows are linearly independent modulo the prime."""
    if not rows:
        return
    matrix = nmod_mat(len(rows), n, prime)
    for i, row in enumerate(rows):
        meter.clock.tick()
        for a, value in row.items():
            matrix[i, a] = value
    rank = matrix.rank()
    meter.clock.tick()
    if rank < len(rows):
        raise Rejected(f"the {len(rows)} {what} have rank {rank} at the point, modulo {prime}")
