"""How many conservation laws a model has, and which: bounds from both sides."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from theory.conservation.ansatz import MEMORY
from theory.conservation.laws import find_laws, independent
from theory.conservation.lie import MAX_TESTS, LieRank, lie_rank
from theory.conservation.model import Law, Model
from theory.conservation.modular import PRIME, Span

Progress = Callable[[str], None]
STAGES = ("generating the fields", "solving for laws", "bounding their number")


@dataclass(frozen=True)
class Analysis:
    """The laws of a model up to a degree, and bounds on the number of independent ones, for generic θ.

    Attributes:
        degree, mixed: the ansatz.
        laws: basis of all laws of the ansatz, verified over Q. independent: per law, whether its gradient is
            independent of the earlier ones' (at ``law_point`` modulo ``law_prime``).
        lie: the bound from above.
        seconds: wall-clock time.
    """

    model: Model
    degree: int
    mixed: bool
    laws: tuple[Law, ...]
    independent: tuple[bool, ...]
    law_prime: int
    law_point: tuple[int, ...]
    lie: LieRank
    seconds: float

    @property
    def lower(self) -> int:
        """Number of functionally independent laws that were found."""
        return sum(self.independent)

    @property
    def upper(self) -> int:
        """N - dim Lie: no more can exist near a generic point."""
        return self.model.dimension - self.lie.rank

    @property
    def count(self) -> int | None:
        """The number of laws, where both bounds meet."""
        return self.lower if self.lower == self.upper else None

    @property
    def text(self) -> str:
        """The answer in one sentence."""
        exact = self.count is not None
        number = f"exactly {self.lower}" if exact else f"between {self.lower} and {self.upper}"
        return (
            f"{plural(self.model.size, 'parameter')}; near a generic point {number} functionally independent "
            f"conservation law{'' if self.count == 1 else 's'}"
        )

    @property
    def remark(self) -> str:
        """What is known beyond the bounds, or what could close the interval, or ""."""
        if self.count is None and len(self.model.fields) == 1:
            return (
                f"the fields span one direction, so by rectification (flow box) exactly {self.upper} independent "
                f"smooth laws exist near a generic point; {self.upper - self.lower} of them outside the ansatz"
            )
        if self.count is None:
            more = f"--degree {self.degree + 1}" if self.mixed else "a higher --degree or --mixed"
            pruned = "; brackets were left out" if self.lie.stopped else ""
            return f"laws outside the ansatz may close the interval: try {more}{pruned}"
        return ""

    @property
    def rests_on(self) -> tuple[str, str]:
        """What the lower and the upper bound rest on, in words."""
        kind = f"degree {'at most ' if self.mixed else ''}{self.degree}"
        lower = (
            f"{plural(len(self.laws), 'law')} of {kind}, each an exact identity; "
            f"{plural(self.lower, 'independent gradient')} at a point modulo {_prime(self.law_prime)}"
        )
        total = self.model.dimension
        upper = (
            f"{plural(total, 'variable')} minus {plural(self.lie.rank, 'independent bracket')} at a point modulo "
            f"{_prime(self.lie.prime)}"
        )
        if self.lie.stopped:
            upper += f"; {self.lie.stopped}"
        elif self.count is None:
            upper += f"; all brackets looked at ({self.lie.tested})"
        return lower, upper


def analyse(
    model: Model,
    *,
    degree: int | None = None,
    mixed: bool | None = None,
    rounds: int = 3,
    seed: int = 0,
    max_brackets: int = MAX_TESTS,
    max_length: int = 24,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Analysis:
    """Find all laws of an ansatz and bound their number.

    Args:
        degree: K; mixed: degrees 1 to K instead of K alone. By default where the model's known laws lie.
        rounds: points and primes for the bound from above, while it is open.
        max_brackets, max_length: limits of the search for brackets; where they bite, the answer is an interval.
        memory: limit in bytes.
        progress: called with the name of every stage of `STAGES`.

    Raises:
        LemmataError: bad degree, or an ansatz beyond the memory.
    """
    start = time.perf_counter()
    tell = progress or (lambda _: None)
    tell(STAGES[0])
    k = model.default_degree if degree is None else degree
    if mixed is None:
        mixed = model.default_mixed if degree is None else model.default_mixed and degree > 1
    fields = model.fields
    tell(STAGES[1])
    laws = find_laws(model, degree=k, mixed=mixed, memory=memory)
    rng = random.Random(seed + 1)
    point = tuple(rng.randrange(1, PRIME) for _ in range(model.dimension))
    flags = independent(laws, Span(model.dimension, PRIME, rng), point)
    tell(STAGES[2])
    lie = lie_rank(
        fields,
        model.dimension,
        goal=model.dimension - sum(flags),
        rounds=rounds,
        seed=seed,
        max_tests=max_brackets,
        max_length=max_length,
    )
    return Analysis(model, k, mixed, laws, flags, PRIME, point, lie, time.perf_counter() - start)


def plural(number: int, noun: str) -> str:
    """ "1 law", "2 laws"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _prime(p: int) -> str:
    return "2^61 - 1" if p == PRIME else str(p)
