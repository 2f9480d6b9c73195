"""Arguments of strategies: checked when a strategy is made, so that a mistake is named where it is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proofs_checks.conjectures.samples import Domain, Real
from theory.errors import LemmataError

Size: TypeAlias = "int | tuple[int, int] | SearchStrategy[int]"
Value: TypeAlias = "int | float | Fraction | SearchStrategy[Any]"

LARGEST_SIZE = 64  # of one axis: cases are kept small enough to be shrunk and certified


def sizes(value: Size, name: str, *, low: int = 1, high: int = LARGEST_SIZE) -> SearchStrategy[int]:
    """The strategy of a number of rows, columns or points: an integer, a range (both ends included) or a strategy.

    Raises:
        LemmataError: none of these, or not within [low, high]. A strategy is checked when it draws.
    """
    if isinstance(value, SearchStrategy):
        return value.map(lambda k: _size(k, name, low, high))
    if isinstance(value, tuple):
        if len(value) != 2:
            raise LemmataError(f"{name}={value!r}: a range is a pair (smallest, largest)")
        first, last = (_size(k, name, low, high) for k in value)
        if first > last:
            raise LemmataError(f"{name}={value!r}: an empty range; give the smallest size first")
        return st.integers(first, last)
    return st.just(_size(value, name, low, high))


def _size(k: Any, name: str, low: int, high: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int):
        raise LemmataError(
            f"{name}={k!r:.60}: give an integer, a range (smallest, largest) or a strategy of integers"
        )
    if not low <= k <= high:
        raise LemmataError(f"{name}={k}: sizes lie between {low} and {high}")
    return k


def domain(
    low: float | None,
    high: float | None,
    *,
    exclude_low: bool = False,
    exclude_high: bool = False,
    log: bool = False,
) -> Domain:
    """The domain between two ends, where None is infinity.

    Raises:
        LemmataError: ends that are no finite numbers, or nothing between them.
    """
    for name, end in (("low", low), ("high", high)):
        if end is not None:
            number(end, name)
    ends = -math.inf if low is None else float(low), math.inf if high is None else float(high)
    if ends[0] > ends[1] or (ends[0] == ends[1] and (exclude_low or exclude_high)):
        raise LemmataError(f"low={low}, high={high}: no number lies between them")
    return Domain(*ends, exclude_low, exclude_high, log)


def number(value: Any, name: str) -> float:
    """A finite number.

    Raises:
        LemmataError: it is none.
    """
    plain = isinstance(value, int | float | Fraction) and not isinstance(value, bool)
    if not plain or not math.isfinite(value):
        raise LemmataError(f"{name}={value!r:.60} is no finite number")
    return float(value)


def values(value: Value, name: str, where: Domain) -> SearchStrategy[Any]:
    """A parameter of a family: a number is held fixed, a strategy of numbers is drawn.

    Raises:
        LemmataError: not a number or a strategy, or outside of its domain; a strategy is checked when it draws.
    """

    def check(x: Any) -> Any:
        if not where.contains(number(x, name)):
            left, right = "(["[not where.open_low], ")]"[not where.open_high]
            raise LemmataError(
                f"{name}={x}: give a number in {left}{where.low}, {where.high}{right}"
            )
        return x if isinstance(x, Real) else float(x)

    if isinstance(value, SearchStrategy):
        return value.map(check)
    return st.just(check(value))


def one_of_names(value: str | None, names: tuple[str, ...], name: str) -> SearchStrategy[str]:
    """One of several names, or with None any of them.

    Raises:
        LemmataError: an unknown name.
    """
    if value is not None and value not in names:
        raise LemmataError(f"{name}={value!r:.60} is unknown; known: {', '.join(names)}")
    return st.sampled_from(names if value is None else (value,))


def flag(value: Any, name: str) -> None:
    """Refuse what is not True, False or None.

    Raises:
        LemmataError: it is something else.
    """
    if value not in (True, False, None) or isinstance(value, int | float) != isinstance(
        value, bool
    ):
        raise LemmataError(f"{name}={value!r:.60}: give True, False or None (either)")


def strategy(
    value: Any, name: str, default: Callable[[], SearchStrategy[Any]]
) -> SearchStrategy[Any]:
    """A strategy that the user gave, or the default one.

    Raises:
        LemmataError: it is no strategy.
    """
    if value is None:
        return default()
    if not isinstance(value, SearchStrategy):
        raise LemmataError(f"{name}={value!r:.60} is no strategy; use one of lemmata.strategies")
    return value
