"""Cases of the topic margins: parities, runs of the perceptron, single steps. Everything is exact."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

from proofs_checks.case import digest
from proofs_checks.exact_data import (
    Matrix,
    Row,
    exact_matrix,
    exact_number,
    exact_text,
    exact_texts,
    exact_vector,
    read_exact,
)
from theory.errors import LemmataError

PARITY_FORMAT = "lemmata-parity-case/1"
PERCEPTRON_FORMAT = "lemmata-perceptron-case/1"
UPDATE_FORMAT = "lemmata-update-case/1"
LARGEST = 7  # dimension, bias included: 128 points
GRID = 64  # default cases have entries in the integers divided by this


@dataclass(frozen=True)
class ParityCase:
    """All s ∈ {±1}^d with the labels s_1 ⋯ s_k; with a bias, points (s, 1).

    Attributes:
        d, k: 1 <= k <= d. bias: whether there is a further coordinate that is 1.
        name: for reports; seed: not used. Neither influences the result.
    """

    d: int
    k: int
    bias: bool = False
    name: str = ""
    seed: int = 0

    model: ClassVar[str] = "parity"
    loss: ClassVar[str] = "none"
    reduction: ClassVar[str] = "none"

    def __post_init__(self) -> None:
        whole = all(type(v) is int for v in (self.d, self.k)) and isinstance(self.bias, bool)
        if not whole or not 1 <= self.k <= self.d or self.dimension > LARGEST:
            raise LemmataError(
                f"parity of k = {self.k!r} of d = {self.d!r} coordinates: give whole numbers with 1 <= k <= d, and at "
                f"most {LARGEST} coordinates with the bias"
            )

    @property
    def dimension(self) -> int:
        """D: the number of coordinates with the bias."""
        return self.d + int(self.bias)

    @property
    def degree(self) -> int:
        """K: of how many coordinates the label is the product, the bias counted if that makes three or more even.

        With k = 1 it does not count: a bias adds only half of the points of the exclusive or, and they are separated by
        a linear function.
        """
        return self.k + int(self.bias and self.k % 2 == 1 and self.k > 1)

    @property
    def points(self) -> list[tuple[int, ...]]:
        """√D times the points."""
        tail = (1,) if self.bias else ()
        return [(*s, *tail) for s in itertools.product((-1, 1), repeat=self.d)]

    @property
    def labels(self) -> list[int]:
        """The products of the first k coordinates."""
        return [-1 if sum(t < 0 for t in x[: self.k]) % 2 else 1 for x in self.points]

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "format": PARITY_FORMAT,
            "model": self.model,
            "d": self.d,
            "k": self.k,
            "bias": self.bias,
            "name": self.name,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, data: Any) -> ParityCase:
        """The inverse of `to_json`; raises `LemmataError` if the data are no parity."""
        d, k, bias = _fields(data, PARITY_FORMAT, ("d", "k", "bias"))
        return cls(d, k, bias, *_labels(data))

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group may be measured together."""
        return (self.model, self.d)


@dataclass(frozen=True)
class PerceptronCase:
    """Points and labels that the perceptron runs over in their order, again and again.

    Attributes:
        X: (n, d). y: (n,) labels 1 and -1. u: (d,) non-zero: the vector whose margin bounds the mistakes.
        passes: over the points, at most; fewer if one has no mistake.
    """

    X: Matrix
    y: tuple[int, ...]
    u: Row
    passes: int = 1000
    name: str = ""
    seed: int = 0

    model: ClassVar[str] = "perceptron"
    loss: ClassVar[str] = "none"
    reduction: ClassVar[str] = "none"

    @classmethod
    def create(
        cls,
        X: Iterable[Iterable[Any]],
        y: Iterable[Any],
        u: Iterable[Any],
        *,
        passes: int = 1000,
        name: str = "",
        seed: int = 0,
    ) -> PerceptronCase:
        """Check and freeze the numbers of a case.

        Raises:
            LemmataError: an entry is no finite number, sizes that do not fit, labels other than 1 and -1, u = 0, or a
                number of passes that is not positive.
        """
        points, labels, direction = exact_matrix(X, "X"), exact_vector(y, "y"), exact_vector(u, "u")
        if len(labels) != len(points) or len(direction) != len(points[0]):
            raise LemmataError(
                f"X is {len(points)}×{len(points[0])}, y has {len(labels)} and u {len(direction)} entries: give a "
                "label to each point, and to u as many entries as a point has"
            )
        if any(label not in (1, -1) for label in labels):
            raise LemmataError("y: labels must be 1 and -1; recode them")
        if not any(direction):
            raise LemmataError("u is zero: give a vector that separates the points")
        if type(passes) is not int or passes < 1:
            raise LemmataError(f"passes = {passes!r}: give a positive whole number")
        return cls(points, tuple(map(int, labels)), direction, passes, name, seed)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain data; numbers as certificates write them."""
        return {
            "format": PERCEPTRON_FORMAT,
            "model": self.model,
            "X": exact_texts(self.X),
            "y": list(self.y),
            "u": [exact_text(t) for t in self.u],
            "passes": self.passes,
            "name": self.name,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, data: Any) -> PerceptronCase:
        """The inverse of `to_json`; raises `LemmataError` if the data are no such case."""
        X, y, u, passes = _fields(data, PERCEPTRON_FORMAT, ("X", "y", "u", "passes"))
        name, seed = _labels(data)
        return cls.create(_numbers(X), y, _numbers([u])[0], passes=passes, name=name, seed=seed)

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group may be measured together."""
        return (self.model, len(self.X), len(self.u))


@dataclass(frozen=True)
class UpdateCase:
    """One step w - η g, seen from w̄; all vectors (d,)."""

    w: Row
    w_bar: Row
    g: Row
    eta: Fraction
    name: str = ""
    seed: int = 0

    model: ClassVar[str] = "update"
    loss: ClassVar[str] = "none"
    reduction: ClassVar[str] = "none"

    @classmethod
    def create(
        cls,
        w: Iterable[Any],
        w_bar: Iterable[Any],
        g: Iterable[Any],
        eta: Any,
        *,
        name: str = "",
        seed: int = 0,
    ) -> UpdateCase:
        """Check and freeze the numbers of a case.

        Raises:
            LemmataError: an entry is no finite number, vectors of different lengths, a step size that is not positive.
        """
        here, there, slope = (
            exact_vector(w, "w"),
            exact_vector(w_bar, "w_bar"),
            exact_vector(g, "g"),
        )
        step = exact_number(eta, "eta")
        if not len(here) == len(there) == len(slope):
            raise LemmataError("w, w_bar and g must have as many entries as each other")
        if step <= 0:
            raise LemmataError(f"eta = {eta!r}: give a positive number")
        return cls(here, there, slope, step, name, seed)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain data; numbers as certificates write them."""
        return {
            "format": UPDATE_FORMAT,
            "model": self.model,
            **{k: [exact_text(t) for t in getattr(self, k)] for k in ("w", "w_bar", "g")},
            "eta": exact_text(self.eta),
            "name": self.name,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, data: Any) -> UpdateCase:
        """The inverse of `to_json`; raises `LemmataError` if the data are no such case."""
        w, w_bar, g, eta = _fields(data, UPDATE_FORMAT, ("w", "w_bar", "g", "eta"))
        here, there, slope, (step,) = _numbers([w, w_bar, g, [eta]])
        name, seed = _labels(data)
        return cls.create(here, there, slope, step, name=name, seed=seed)

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group may be measured together."""
        return (self.model, len(self.w))


# -- default cases ----------------------------------------------------------------------------------------------------
def parities(*, count: int = 36, seed: int = 0) -> list[ParityCase]:
    """All parities of up to 6 coordinates with the bias, the smallest first; at most ``count``."""
    found = [
        ParityCase(D - bias, k, bool(bias), name=f"d={D - bias},k={k}" + ",bias" * bias, seed=seed)
        for D in range(1, 7)
        for bias in (0, 1)
        for k in range(1, D - bias + 1)
    ]
    return found[:count]


def perceptrons(*, count: int = 48, seed: int = 0) -> list[PerceptronCase]:
    """Orthonormal points, where the bound is attained; separable points; every twelfth case is not separable by u."""
    return [_perceptron(i, seed) for i in range(count)]


def _perceptron(i: int, seed: int) -> PerceptronCase:
    rng = random.Random(f"perceptron {seed} {i}")
    d = rng.randint(2, 6)
    if i % 6 == 0:
        X = [[Fraction(int(a == b)) for b in range(d)] for a in range(d)]
        signs = [rng.choice((-1, 1)) for _ in range(d)]
        return PerceptronCase.create(X, signs, signs, name=f"orthonormal {i}", seed=seed)
    u = [_draw(rng, 1) or Fraction(1) for _ in range(d)]
    points: list[list[Fraction]] = []
    y: list[int] = []
    for _ in range(rng.randint(4, 16)):
        x = [_draw(rng, 2) for _ in range(d)]
        side = sum((s * t for s, t in zip(u, x, strict=True)), Fraction(0))
        if 16 * side * side >= sum((t * t for t in u), Fraction(0)) or i % 12 == 11:
            points.append(x)
            y.append(1 if (side > 0) != (i % 12 == 11) else -1)
    if not points:
        points, y = [u], [1]
    return PerceptronCase.create(points, y, u, passes=200, name=f"drawn {i}", seed=seed)


def updates(*, count: int = 48, seed: int = 0) -> list[UpdateCase]:
    """Random vectors of up to eight entries and step sizes between 1/64 and 2."""
    out = []
    for i in range(count):
        rng = random.Random(f"update {seed} {i}")
        d = rng.randint(1, 8)
        w, w_bar, g = ([_draw(rng, 4) for _ in range(d)] for _ in range(3))
        eta = Fraction(rng.randint(1, 2 * GRID), GRID)
        out.append(UpdateCase.create(w, w_bar, g, eta, name=f"drawn {i}", seed=seed))
    return out


def _draw(rng: random.Random, size: int) -> Fraction:
    return Fraction(rng.randint(-size * GRID, size * GRID), GRID)


# -- plain data -------------------------------------------------------------------------------------------------------
def _fields(data: Any, form: str, names: Sequence[str]) -> list[Any]:
    if not isinstance(data, Mapping) or data.get("format") != form:
        raise LemmataError(f"not a case of this model: expected an object with format {form!r}")
    missing = [name for name in names if name not in data]
    if missing:
        raise LemmataError(f"malformed case: {missing[0]} is missing; write it with to_json")
    return [data[name] for name in names]


def _labels(data: Mapping[str, Any]) -> tuple[str, int]:
    seed = data.get("seed", 0)
    return str(data.get("name", "")), seed if type(seed) is int else 0


def _numbers(rows: Any) -> list[list[Fraction]]:
    """Numbers as certificates write them: "p/q" or hexadecimal floats."""
    if not isinstance(rows, Sequence) or any(
        isinstance(row, str) or not isinstance(row, Sequence) for row in rows
    ):
        raise LemmataError("malformed case: numbers must be in lists; write it with to_json")
    return [[read_exact(text, "malformed case") for text in row] for row in rows]
