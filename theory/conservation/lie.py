"""The generated Lie algebra at a generic point: what bounds the number of laws from above.

The rank modulo p of brackets at one point is a lower bound of the generic dimension over Q, whichever brackets were
taken; so ``N - rank`` is an upper bound of the number of functionally independent laws, always. Which brackets are
needed for the bound to be sharp:

Let K be the field of rational functions of θ, B a subset of V0 with the same K-span, and M the smallest K-space that
contains B and is closed under ad b for b in B. Then M contains the Lie algebra that V0 generates: for f = Σ c_i b_i
and m in M, [f, m] = Σ c_i [b_i, m] - m(c_i) b_i is in M. So it is enough to bracket with B on the left and to keep,
of all brackets, a K-basis. Independence is decided at a random point modulo p. Where the count stays open the
remaining fields of V0 are used as left factors too, so that nothing rests on the choice of B.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from theory.conservation.modular import PRIME, Span, random_prime
from theory.conservation.polynomials import VectorField, bracket, evaluate, gradient

MAX_TESTS = 5_000_000  # brackets looked at; each costs microseconds


@dataclass(frozen=True)
class LieRank:
    """A lower bound of the generic dimension of the generated Lie algebra.

    Attributes:
        rank: the bound. words: the brackets that are independent at the point, left-normed: (i, j, k) stands for
            [f_i, [f_j, f_k]], with indices into V0.
        prime, point: where. basis: indices of V0 that span it there.
        complete: every bracket that could add to the rank was looked at (see the module's docstring).
        stopped: why not, if not.
        tested: number of brackets that were looked at.
    """

    rank: int
    words: tuple[tuple[int, ...], ...]
    prime: int
    point: tuple[int, ...]
    basis: tuple[int, ...]
    complete: bool
    stopped: str
    tested: int


class _Element:
    """A field with its value and its Jacobian at the point; slopes against the current functional are kept."""

    __slots__ = ("_jacobian", "_probe", "_slopes", "field", "value", "word")

    def __init__(
        self, word: tuple[int, ...], vector_field: VectorField, point: Sequence[int], prime: int
    ) -> None:
        self.word, self.field = word, vector_field
        self.value = {a: x for a, p in vector_field.items() if (x := evaluate(p, point, prime))}
        self._jacobian: list[tuple[int, int, int]] | None = None
        self._probe: list[int] | None = None
        self._slopes: dict[int, int] = {}

    def slopes(self, probe: list[int], point: Sequence[int], prime: int) -> dict[int, int]:
        """Σ_a probe_a ∂_b F_a, by b."""
        if self._probe is not probe:
            if self._jacobian is None:
                self._jacobian = [
                    (a, b, x)
                    for a, p in self.field.items()
                    for b, q in gradient(p).items()
                    if (x := evaluate(q, point, prime))
                ]
            out: dict[int, int] = {}
            for a, b, x in self._jacobian:
                out[b] = out.get(b, 0) + probe[a] * x
            self._slopes = {b: y for b, x in out.items() if (y := x % prime)}
            self._probe = probe
        return self._slopes


@dataclass
class _Closure:
    """The search for independent brackets at one point."""

    fields: Sequence[VectorField]
    size: int
    prime: int
    point: tuple[int, ...]
    span: Span
    goal: int
    max_tests: int
    max_length: int
    kept: list[_Element] = field(default_factory=list)
    tested: int = 0
    stopped: str = ""

    def start(self) -> list[_Element]:
        """V0 itself; returns its elements that are independent."""
        for index, vector_field in enumerate(self.fields):
            if self.done:
                break
            element = _Element((index,), vector_field, self.point, self.prime)
            if self.span.add(element.value):
                self.kept.append(element)
        return list(self.kept)

    @property
    def done(self) -> bool:
        """Nothing can be added, or nothing needs to be."""
        return self.span.rank >= self.goal or bool(self.stopped)

    def close(self, left: Sequence[_Element], seen: int) -> int:
        """Bracket with all of ``left`` every kept element from number ``seen`` on; the number now seen."""
        while seen < len(self.kept) and not self.done:
            right = self.kept[seen]
            if len(right.word) >= self.max_length:
                self.stopped = f"brackets of more than {self.max_length} fields were not looked at"
                break
            for f in left:
                if f is not right:
                    self._test(f, right)
                if self.done:
                    return seen
            seen += 1
        return seen

    def _test(self, f: _Element, g: _Element) -> None:
        self.tested += 1
        if self.tested > self.max_tests:
            self.stopped = f"only {self.max_tests} brackets were looked at"
            return
        probe = self.span.probe
        slopes_f = f.slopes(probe, self.point, self.prime)
        slopes_g = g.slopes(probe, self.point, self.prime)
        value = sum(x * slopes_g[b] for b, x in f.value.items() if b in slopes_g)
        value -= sum(x * slopes_f[b] for b, x in g.value.items() if b in slopes_f)
        if value % self.prime:
            new = bracket(f.field, g.field, self.prime)
            element = _Element(f.word + g.word, new, self.point, self.prime)
            if self.span.add(element.value):
                self.kept.append(element)


def lie_rank(
    fields: Sequence[VectorField],
    size: int,
    *,
    goal: int | None = None,
    rounds: int = 3,
    seed: int = 0,
    max_tests: int = MAX_TESTS,
    max_length: int = 24,
) -> LieRank:
    """The best lower bound of the dimension from several random points and primes.

    Args:
        fields: V0. size: number of variables N.
        goal: stop once this rank is reached, because it is known (from verified laws) to be the largest possible.
        rounds: points and primes to try while the goal is not reached.
        max_tests, max_length: limits on the number of brackets looked at and on the number of fields in one.
    """
    rng = random.Random(seed)
    best: LieRank | None = None
    for attempt in range(max(rounds, 1)):
        prime = PRIME if attempt == 0 else random_prime(rng)
        point = tuple(rng.randrange(1, prime) for _ in range(size))
        found = _one(fields, size, prime, point, rng, goal or size, max_tests, max_length)
        if best is None or found.rank > best.rank:
            best = found
        if best.rank >= min(goal or size, size):
            break
    return best  # type: ignore[return-value]


def _one(
    fields: Sequence[VectorField],
    size: int,
    prime: int,
    point: tuple[int, ...],
    rng: random.Random,
    goal: int,
    max_tests: int,
    max_length: int,
) -> LieRank:
    span = Span(size, prime, rng)
    closure = _Closure(fields, size, prime, point, span, min(goal, size), max_tests, max_length)
    basis = closure.start()
    indices = {e.word[0] for e in basis}
    seen = closure.close(basis, 0)
    if not closure.done and len(indices) < len(fields):
        rest = [_Element((i,), f, point, prime) for i, f in enumerate(fields) if i not in indices]
        swept = 0
        while not closure.done and swept < len(closure.kept):
            swept = closure.close(rest, swept)
            seen = closure.close(basis, seen)
    reached = span.rank >= closure.goal
    return LieRank(
        rank=span.rank,
        words=tuple(e.word for e in closure.kept),
        prime=prime,
        point=point,
        basis=tuple(sorted(indices)),
        complete=reached or not closure.stopped,
        stopped="" if reached else closure.stopped,
        tested=closure.tested,
    )
