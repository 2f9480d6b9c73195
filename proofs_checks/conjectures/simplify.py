"""The simplest numbers with which a case still fails: 0 before 1, integers before fractions, short before long."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from typing import TypeAlias

import numpy as np

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.lanes import Lanes

Point: TypeAlias = tuple[Fraction, ...]
Fails: TypeAlias = Callable[[Sequence[ConjectureCase]], Sequence[bool | None]]

SWEEPS = 60
CANDIDATES = 1500  # of one sweep
MISSES = 3  # sweeps in a row without success, after which it is simple enough
ANEW, FRESH_SWEEPS = 600, 5  # simple points that have nothing to do with the case
COMBINED = 300  # of them: several entries at once
ASKED, MOST_ASKED = 16, 64  # undecided candidates that are judged exactly, at a time and in all
ENTRIES = 60  # changed one by one in a sweep
GRIDS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64, 100, 1000)
SMALL = tuple(map(Fraction, (0, 1, -1, 2, -2, 3, -3)))
OTHERS = (*range(4, 11), *range(-10, -3), *(Fraction(s, q) for q in range(2, 11) for s in (1, -1)))
PALETTE = (*SMALL, *map(Fraction, OTHERS))
MOST_ARRAYS = 5
FACTORS = (2, 10, 100, 1000, 10**6)
DENOMINATORS = (1, 2, 3, 4, 6, 8, 10, 12, 16, *(10**k for k in range(2, 15)))


def cost(x: Fraction) -> float:
    """How far a number is from being simple; 0 for 0."""
    if x == 0:
        return 0.0
    return (
        1.0
        + 2 * _length(abs(x.numerator))
        + 3 * _length(x.denominator)
        + (x.denominator > 1)
        + 0.4 * (x < 0)
    )


def _length(n: int) -> float:
    """log2, but a final zero costs a little less: a million is simpler than 999983, and no simpler than 9."""
    zeros = 0
    while n % 10 == 0:
        n, zeros = n // 10, zeros + 1
    return math.log2(n) + 3.2 * zeros


def total_cost(point: Point) -> float:
    """The sum over the entries, with a little for every two that differ: ties are simple."""
    return sum(map(cost, point)) + 0.1 * len(set(point))


def simplify(
    case: ConjectureCase,
    fails: Fails,
    *,
    seed: int,
    stop: Callable[[], bool] | None = None,
    ask: Callable[[ConjectureCase], bool] | None = None,
    most: int = CANDIDATES,
    sweeps: int = SWEEPS,
) -> ConjectureCase:
    """A case with the same shapes and simpler free values on which the conjecture still fails.

    Args:
        fails: for cases of one structure, which of them fail by more than the error bound; None where that is open.
        stop: asked between sweeps. ask: whether an open case fails, exactly.
        most: candidates of a sweep, and sweeps: fewer where a single case takes long.
    """
    free = [(path, leaf) for path, leaf in case.leaves.items() if leaf.free and leaf.size]
    domains = [leaf.domain for _, leaf in free for _ in range(leaf.size)]
    sizes = [leaf.size for _, leaf in free]
    rng = np.random.default_rng(seed)

    def build(point: Point) -> ConjectureCase:
        moved, start = {}, 0
        for (path, _), size in zip(free, sizes, strict=True):
            moved[path] = point[start : start + size]
            start += size
        return case.moved(moved)

    best: Point = tuple(x for path, _ in free for x in case.values[path])
    if not best:
        return case
    tried: set[Point] = {best}
    space = Lanes([case]).space
    misses, asked = 0, 0
    undecided: dict[Point, float] = {}
    for sweep in range(sweeps):
        if stop is not None and stop():
            break
        limit = total_cost(best)
        candidates: dict[Point, float] = {}
        anew = space.simple(rng, ANEW).tolist() if sweep < FRESH_SWEEPS or misses else []
        fresh = (tuple(map(Fraction, point)) for point in anew)
        for point in chain(fresh, _candidates(best, sizes, rng)):
            if point in tried or point in candidates:
                continue
            price = total_cost(point)
            if price < limit and all(map(_contains, domains, point)):
                candidates[point] = price
            if len(candidates) >= CANDIDATES:
                break
        points = list(candidates)
        if len(points) > most:
            points = [
                points[k] for k in sorted(rng.choice(len(points), most, replace=False).tolist())
            ]
        tried.update(points)
        verdicts = fails([build(point) for point in points]) if points else []
        failing = [p for p, failed in zip(points, verdicts, strict=True) if failed]
        open_ones = (p for p, failed in zip(points, verdicts, strict=True) if failed is None)
        undecided |= {p: candidates[p] for p in open_ones}
        if failing:
            best = min(failing, key=lambda p: (candidates[p], p))
        misses = 0 if failing else misses + 1
        if misses < MISSES and points:
            continue
        # nothing simpler fails as far as floats can tell
        limit = total_cost(best)
        listed = sorted((price, p) for p, price in undecided.items() if price < limit)[:ASKED]
        listed = listed[: MOST_ASKED - asked] if ask is not None else []
        asked += len(listed)
        for _, p in listed:
            del undecided[p]
        found = next((p for _, p in listed if ask is not None and ask(build(p))), None)
        if found is None:
            break
        best, misses = found, 0
    return build(best)


def _contains(domain: object, x: Fraction) -> bool:
    return bool(domain.contains(x))  # type: ignore[attr-defined]


def _candidates(best: Point, sizes: Sequence[int], rng: np.random.Generator) -> Iterator[Point]:
    """Points that may be simpler: all entries at once, one array at once, one entry, several entries."""
    yield from _whole(best)
    yield from _by_array(best, sizes)
    yield from _balanced(best, sizes)
    yield from _combined(best, rng)
    n = len(best)
    order = range(n) if n <= ENTRIES else rng.permutation(n)[:ENTRIES].tolist()
    others = sorted(set(best), key=cost)[:6]
    for k in order:
        for value in (*_simpler(best[k]), *others):
            yield (*best[:k], value, *best[k + 1 :])


def _simpler(x: Fraction) -> Iterator[Fraction]:
    yield from PALETTE
    yield abs(x)
    for q in DENOMINATORS:
        yield Fraction(math.floor(x * q), q)
        yield Fraction(math.ceil(x * q), q)
    for share in (Fraction(1, 2), Fraction(3, 4), Fraction(7, 8)):
        yield x * share
        yield Fraction(round(x * share))
    yield x - 1 if x > 0 else x + 1
    for most in (5, 20, 100, 10**4, 10**8):
        yield x.limit_denominator(most)
    if x:
        yield Fraction(10) ** round(math.log10(abs(x))) * (1 if x > 0 else -1)
        yield _digits(x, 1)
        yield _digits(x, 2)
        yield _digits(x, 4)


def _digits(x: Fraction, count: int) -> Fraction:
    """So many decimal digits."""
    unit = Fraction(10) ** (math.floor(math.log10(abs(x))) + 1 - count)
    return round(x / unit) * unit


def _whole(best: Point) -> Iterator[Point]:
    """All entries on one grid, as they are or scaled by a common factor."""
    largest = max(map(abs, best))
    smallest = min((abs(x) for x in best if x), default=Fraction(1))
    for q in GRIDS:
        yield tuple(Fraction(round(x * q), q) for x in best)
    if largest:
        for q in GRIDS:
            yield tuple(Fraction(round(x / largest * q)) for x in best)
            yield tuple(Fraction(round(x / smallest * q)) for x in best) if q <= 4 else best
        yield tuple(x / largest for x in best)
    for count in (1, 2, 4):
        yield tuple(_digits(x, count) if x else x for x in best)


def _by_array(best: Point, sizes: Sequence[int]) -> Iterator[Point]:
    """One of the arrays on a grid, scaled, zero, or with equal entries."""
    start = 0
    for size in sizes:
        part = best[start : start + size]
        head, tail = best[:start], best[start + size :]
        start += size
        for value in SMALL[:4]:
            yield (*head, *([value] * size), *tail)
        largest = max(map(abs, part))
        for q in GRIDS[:9]:
            yield (*head, *(Fraction(round(x * q), q) for x in part), *tail)
            if largest:
                yield (*head, *(Fraction(round(x / largest * q)) for x in part), *tail)
        for factor in (Fraction(1, 2), Fraction(1, 10)):
            yield (*head, *(x * factor for x in part), *tail)
        identity = math.isqrt(size)
        if identity * identity == size and size > 1:
            eye = [Fraction(int(k % (identity + 1) == 0)) for k in range(size)]
            yield (*head, *eye, *tail)


def _balanced(best: Point, sizes: Sequence[int]) -> Iterator[Point]:
    """Two arrays scaled against each other, so that a product of their powers stays."""
    ends = list(itertools.accumulate(sizes))
    owner = [k for k, size in enumerate(sizes) for _ in range(size)]
    if not 1 < len(ends) <= MOST_ARRAYS:
        return
    for i, j in itertools.permutations(range(len(ends)), 2):
        for factor, (p, q) in itertools.product(FACTORS, ((1, 1), (2, 1))):
            scale = {i: Fraction(factor) ** p, j: Fraction(1, factor**q)}
            yield tuple(x * scale.get(k, 1) for x, k in zip(best, owner, strict=True))


def _combined(best: Point, rng: np.random.Generator) -> Iterator[Point]:
    """Several entries at once, at random."""
    n = len(best)
    for _ in range(COMBINED):
        chosen = rng.random(n) < rng.choice([0.15, 0.4, 0.8])
        how = int(rng.integers(7))
        values = rng.integers(-1, 3, n).tolist()
        others = rng.integers(len(PALETTE), size=n).tolist()
        yield tuple(
            x if not c else PALETTE[o] if how > 4 else _replacement(x, how, v)
            for x, c, v, o in zip(best, chosen, values, others, strict=True)
        )


def _replacement(x: Fraction, how: int, value: int) -> Fraction:
    if how == 0:
        return Fraction(0)
    if how == 1:
        return Fraction(value)
    if how == 2:
        return Fraction((x > 0) - (x < 0))
    return Fraction(round(x)) if how == 3 else Fraction(round(2 * x), 2)


__all__ = ["cost", "simplify", "total_cost"]
