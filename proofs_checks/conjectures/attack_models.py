"""Which cases an attack on a statement may use: one adaptor per model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from proofs_checks import cases as case_sets
from proofs_checks.measure import AnyCase
from proofs_checks.named import load
from theory.statement import Statement

Random = np.random.Generator
C = TypeVar("C")  # the class of the cases
Cost = tuple[int, int]  # entries, and how long their numbers are
LARGE_LEVEL = 8  # from this level on draws do not grow any further


class Adaptor(Protocol):
    """Cases of one model for the attack on a statement.

    Everything is drawn from the generator that is passed, so that the same seed gives the same cases.
    """

    def __init__(self, statement: Statement) -> None: ...

    def draw(self, rng: Random, level: int) -> Sequence[AnyCase]:
        """A few new cases that are measured together; larger ones at higher levels. None at all: no more exist."""
        ...

    def mutate(self, case: Any, rng: Random, scale: float) -> Sequence[AnyCase]:
        """A few cases of the same shapes whose continuous parameters are off by about ``scale``, relatively."""
        ...

    def simpler(self, case: Any) -> Iterator[AnyCase]:
        """Cases that are smaller, or have simpler numbers."""
        ...

    def prepare(self, case: Any) -> Any:
        """A default case as the attack measures it."""
        ...

    def again(self, case: Any) -> Any:
        """What is measured to confirm a violation: the case itself, or fresh samples."""
        ...

    def shapes(self, case: Any) -> dict[str, list[int]]:
        """Name -> shape of the arrays of a case."""
        ...

    def cost(self, case: Any) -> Cost:
        """What shrinking makes small: first the number of entries, then the length of the numbers."""
        ...


class PlainAdaptor(Generic[C]):
    """What most adaptors share; by itself it knows the default cases only.

    Attributes:
        statement: what is attacked. loss, losses: of its setting.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.losses = statement.setting.losses
        self.hypotheses = {h.name for h in statement.hypotheses}

    def draw(self, rng: Random, level: int) -> Sequence[C]:
        """None: nothing is known about how to draw cases."""
        return ()

    def mutate(self, case: C, rng: Random, scale: float) -> Sequence[C]:
        """None."""
        return ()

    def simpler(self, case: C) -> Iterator[C]:
        """None."""
        return iter(())

    def prepare(self, case: C) -> C:
        """The case as it is."""
        return case

    def again(self, case: C) -> C:
        """The case itself."""
        return case

    def shapes(self, case: C) -> dict[str, list[int]]:
        """Unknown."""
        return {}

    def cost(self, case: C) -> Cost:
        """The same for all."""
        return 0, 0


_HERE = "proofs_checks.conjectures"
ADAPTORS: dict[str, str] = {
    "two-layer-relu": f"{_HERE}.attack_flows:FlowAdaptor",
    "linear": f"{_HERE}.attack_linear:LinearAdaptor",
    "ufm": f"{_HERE}.attack_collapse:FeatureAdaptor",
    "upfm": f"{_HERE}.attack_collapse:FeatureAdaptor",
    "gaussian-points": f"{_HERE}.attack_collapse:GaussianAdaptor",
    "convex-relu": f"{_HERE}.attack_relu:ReluAdaptor",
    "parity": f"{_HERE}.attack_margins:ParityAdaptor",
    "perceptron": f"{_HERE}.attack_margins:PerceptronAdaptor",
    "update": f"{_HERE}.attack_margins:UpdateAdaptor",
}


def adaptor(statement: Statement) -> Adaptor:
    """The adaptor of a statement's model; the default cases alone for models of plugins.

    Raises:
        LemmataError: the model is unknown and has no default cases.
    """
    path = ADAPTORS.get(statement.setting.model)
    if path is not None:
        found: Adaptor = load(path, "adaptor")(statement)
        return found
    case_sets.groups([statement])  # raises where there is no case set
    return PlainAdaptor[Any](statement)


# -- numbers ----------------------------------------------------------------------------------------------------------
def length(x: float | Fraction) -> int:
    """How long a number is to write: 0 for 0, 1 for ±1, 2 for ±2."""
    exact = Fraction(repr(x)) if isinstance(x, float) else Fraction(x)
    p, q = abs(exact.numerator), exact.denominator
    if q == 1 and p <= 2:
        return p
    return 2 + len(str(p)) + (2 * len(str(q)) if q != 1 else 0)


def lengths(arrays: Iterable[Any]) -> int:
    """Of all numbers of nested arrays."""
    return sum(length(x) for a in arrays for x in entries(a))


def entries(a: Any) -> Iterator[Any]:
    """The numbers of a nested array."""
    if isinstance(a, np.ndarray):
        a = a.tolist()
    if isinstance(a, list | tuple):
        for part in a:
            yield from entries(part)
    else:
        yield a


def nearby(x: float | Fraction) -> list[Fraction]:
    """Simpler numbers in place of one, the simplest first."""
    exact = Fraction(x)
    wanted = [Fraction(0), Fraction(1 if exact > 0 else -1)]
    wanted += [
        Fraction(2 if exact > 0 else -2),
        Fraction(abs(exact.numerator) // (2 * exact.denominator) * (1 if exact > 0 else -1)),
    ]
    wanted += [exact.limit_denominator(q) for q in (1, 2, 4, 10, 100)]
    return [c for c in dict.fromkeys(wanted) if length(c) < length(x)]


def simpler_rows(rows: Sequence[Sequence[Any]]) -> Iterator[list[list[Fraction]]]:
    """A matrix with simpler numbers: first all of them changed at once, then one by one."""
    exact = [[Fraction(x) for x in row] for row in rows]
    top = max((abs(x) for row in exact for x in row), default=Fraction(0))
    if not top:
        return
    yield [[Fraction((x > 0) - (x < 0)) for x in row] for row in exact]
    for scale in (Fraction(1), 1 / top):
        for q in (1, 2, 4, 10, 100):
            yield [[(x * scale).limit_denominator(q) for x in row] for row in exact]
    for a, row in enumerate(rows):
        for b, x in enumerate(row):
            for other in nearby(x):
                yield [
                    [other if (i, k) == (a, b) else y for k, y in enumerate(r)]
                    for i, r in enumerate(exact)
                ]


def without(rows: Sequence[Any], k: int) -> list[Any]:
    """A list without its entry k."""
    return [row for i, row in enumerate(rows) if i != k]


def columns_without(rows: Sequence[Sequence[Any]], k: int) -> list[list[Any]]:
    """A matrix without its column k."""
    return [without(row, k) for row in rows]


def integers(rng: Random, rows: int, columns: int, size: int) -> list[list[Fraction]]:
    """A matrix of integers from -size to size."""
    drawn = rng.integers(-size, size + 1, (rows, columns))
    return [[Fraction(int(x)) for x in row] for row in drawn]


def moved(rows: Sequence[Sequence[Any]], rng: Random, scale: float) -> list[list[Fraction]]:
    """Every number off by about ``scale``, relative to the larger of itself and a tenth of the largest; 12 bits."""
    a = np.array([[float(x) for x in row] for row in rows])
    top = float(np.abs(a).max()) or 1.0
    new = a + scale * np.maximum(np.abs(a), 0.1 * top) * rng.standard_normal(a.shape)
    grid = 2.0 ** (np.floor(np.log2(top)) - 12)
    return [[Fraction(float(x)) for x in row] for row in np.round(new / grid) * grid]
