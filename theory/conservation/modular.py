"""Linear algebra modulo a 61-bit prime, and back to the rationals."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from math import gcd, isqrt, lcm

from flint import fmpz, nmod_mat

PRIME = 2**61 - 1
Sparse = Mapping[int, int]


def random_prime(rng: random.Random) -> int:
    """A prime between 2^60 and 2^61."""
    while True:
        candidate = rng.randrange(2**60 + 1, 2**61, 2)
        if fmpz(candidate).is_prime():
            return candidate


class Span:
    """A growing span of vectors modulo p, with a test for membership that costs one dot product.

    A random functional that vanishes on the span is kept. Where it does not vanish on a vector, that vector is
    certainly independent; where it does, the vector is in the span but for a probability of 1/p (and then the rank
    comes out too small, which is the safe side: ranks here are lower bounds).
    """

    def __init__(self, size: int, prime: int, rng: random.Random) -> None:
        self.size, self.prime, self.rng = size, prime, rng
        self.rank = 0
        diagonal = [0] * (size * size)
        diagonal[:: size + 1] = [1] * size
        self._complement = nmod_mat(size, size, diagonal, prime)
        self._draw()

    def _draw(self) -> None:
        weights = [self.rng.randrange(self.prime) for _ in range(self.size)]
        row = nmod_mat(1, self.size, weights, self.prime) * self._complement
        self.probe: list[int] = [int(x) for x in row.entries()]

    def contains(self, vector: Sparse) -> bool:
        """Whether the random functional vanishes on the vector."""
        probe = self.probe
        return sum(probe[i] * x for i, x in vector.items()) % self.prime == 0

    def add(self, vector: Sparse) -> bool:
        """Add the vector; whether it was independent."""
        if self.contains(vector):
            return False
        column = [0] * self.size
        for i, x in vector.items():
            column[i] = x
        image = self._complement * nmod_mat(self.size, 1, column, self.prime)
        entries = [int(x) for x in image.entries()]
        pivot = next(i for i, x in enumerate(entries) if x)
        unit = [0] * self.size
        unit[pivot] = pow(entries[pivot], -1, self.prime)
        row = nmod_mat(1, self.size, unit, self.prime) * self._complement
        self._complement -= image * row
        self.rank += 1
        self._draw()
        return True


class Echelon:
    """A growing space of sparse vectors with any sortable keys, modulo p or (``modulus`` 0) over Q."""

    def __init__(self, modulus: int) -> None:
        self.modulus = modulus
        self._rows: dict[Hashable, dict[Hashable, int | Fraction]] = {}

    def add(self, vector: Mapping[Hashable, int]) -> bool:
        """Add a vector; whether it was independent."""
        p = self.modulus
        rest: dict[Hashable, int | Fraction] = {
            k: y for k, x in vector.items() if (y := x % p if p else Fraction(x))
        }
        # a stored row has keys from its pivot upwards only, so the smallest pivot that occurs grows with every sweep
        while pivots := [k for k in rest if k in self._rows]:
            for k in pivots:
                factor = rest.get(k)
                if not factor:
                    continue
                for key, x in self._rows[k].items():
                    value = rest.get(key, 0) - factor * x
                    if p:
                        value %= p
                    if value:
                        rest[key] = value
                    else:
                        rest.pop(key, None)
        if not rest:
            return False
        pivot = min(rest)  # type: ignore[type-var]
        lead = rest[pivot]
        inverse = pow(int(lead), -1, p) if p else 1 / Fraction(lead)
        self._rows[pivot] = {k: x * inverse % p if p else x * inverse for k, x in rest.items()}
        return True


def kernel(rows: Sequence[Sparse], columns: int, prime: int) -> list[list[int]]:
    """A basis of the null space of sparse rows modulo p in reduced echelon form, (dimension, columns)."""
    reduced: list[list[int]] = []
    block = max(2 * columns, 64)
    for start in range(0, len(rows), block):  # in blocks: the memory stays at three squares
        chunk = rows[start : start + block]
        flat = [x for row in reduced for x in row]
        for sparse in chunk:
            line = [0] * columns
            for i, x in sparse.items():
                line[i] = x % prime
            flat += line
        matrix, rank = nmod_mat(len(reduced) + len(chunk), columns, flat, prime).rref()
        reduced = [[int(x) for x in line] for line in matrix.tolist()[:rank]]
    pivots = [next(i for i, x in enumerate(row) if x) for row in reduced]
    taken = set(pivots)
    basis = []
    for free in range(columns):
        if free not in taken:
            vector = [0] * columns
            vector[free] = 1
            for pivot, row in zip(pivots, reduced, strict=True):
                vector[pivot] = -row[free] % prime
            basis.append(vector)
    return basis


def rational(value: int, prime: int) -> Fraction | None:
    """The p/q with |p|, q <= √(prime/2) that is congruent to the value, if there is one (it is then unique)."""
    bound = isqrt(prime // 2)
    r0, r1, t0, t1 = prime, value % prime, 0, 1
    while r1 > bound:
        quotient = r0 // r1
        r0, r1, t0, t1 = r1, r0 - quotient * r1, t1, t0 - quotient * t1
    if abs(t1) > bound or t1 == 0 or gcd(r1, t1) != 1:
        return None
    return Fraction(r1, t1)


def integers(vector: Sequence[int], prime: int) -> list[int] | None:
    """The primitive integer vector that is congruent to a multiple of this one, if it is small enough."""
    found = [Fraction(x) if x in (0, 1) else rational(x, prime) for x in vector]
    numbers = [x for x in found if x is not None]
    if len(numbers) < len(found):
        return None
    common = lcm(*(x.denominator for x in numbers))
    whole = [int(x * common) for x in numbers]
    content = gcd(*whole)
    return [x // content for x in whole]
