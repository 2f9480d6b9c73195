"""Where drawn values come from: strategies of ours, and what is understood of the strategies around them.

Free values may be moved by a search only if they reach the case through strategies that do nothing but pass them on:
ours, Hypothesis' tuples, lists, fixed dictionaries and unions of such, filters (whose conditions are asked again), and
``flatmap``, which is given held values. Everything else - ``map``, ``builds``, ``composite``, ``shared``, lists of
unique elements, ... - may do with the values what we cannot know, so what comes out of it is held fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from hypothesis.strategies._internal.collections import ListStrategy, TupleStrategy
from hypothesis.strategies._internal.flatmapped import FlatMapStrategy
from hypothesis.strategies._internal.lazy import LazyStrategy
from hypothesis.strategies._internal.strategies import FilteredStrategy, OneOfStrategy

from proofs_checks.conjectures.guards import Condition, Guard, freeze, guarded

P = ParamSpec("P")
T = TypeVar("T")
Read = Callable[[SearchStrategy[Any]], SearchStrategy[Any]]


class Ours(SearchStrategy[T]):
    """A public strategy of ours: draws as the plain one that ``make`` makes, and knows what it was made of."""

    def __init__(self, make: Callable[..., SearchStrategy[T]], *args: Any, **options: Any) -> None:
        super().__init__()
        self._make, self._args, self._options = make, args, options
        self._plain = make(*args, **options)

    def __repr__(self) -> str:
        named = [f"{k}={v!r}" for k, v in self._options.items()]
        return f"{self._make.__name__}({', '.join([*map(repr, self._args), *named])})"

    def calc_is_empty(self, recur: Any) -> bool:
        return bool(recur(self._plain))

    def calc_has_reusable_values(self, recur: Any) -> bool:
        return bool(recur(self._plain))

    def calc_label(self) -> int:
        return int(self._plain.label)

    def do_validate(self) -> None:
        self._plain.validate()

    def do_draw(self, data: Any) -> T:
        drawn: T = data.draw(self._plain)
        return drawn

    def made_of(self, read: Read) -> SearchStrategy[T]:
        """The plain strategy, with every strategy among the arguments replaced by ``read`` of it, and constants
        held fixed."""
        args = tuple(_replaced(a, read) for a in self._args)
        options = {k: _replaced(v, read) for k, v in self._options.items()}
        same = all(a is b for a, b in zip(self._args, args, strict=True)) and all(
            self._options[k] is v for k, v in options.items()
        )
        return self._plain if same else self._make(*args, **options)


def ours(make: Callable[P, SearchStrategy[T]]) -> Callable[P, SearchStrategy[T]]:
    """Decorator of our public strategies.

    What the strategy draws may depend on its arguments in any way, but free values that strategies among the arguments
    draw are passed on as they are or not at all.
    """

    @wraps(make)
    def public(*args: P.args, **options: P.kwargs) -> SearchStrategy[T]:
        return Ours(make, *args, **options)

    return public


def _replaced(argument: Any, read: Read) -> Any:
    if isinstance(argument, SearchStrategy):
        return read(argument)
    if type(argument) in (list, tuple):
        parts = [_replaced(a, read) for a in argument]
        same = all(a is b for a, b in zip(argument, parts, strict=True))
        return argument if same else type(argument)(parts)
    return freeze(argument)


class Source:
    """A user's strategy, read so that nothing is free that must not be moved.

    Attributes:
        strategy: draws pairs of what the user's strategy draws and the `Guard` of it, or None.
    """

    def __init__(self, strategy: SearchStrategy[Any]) -> None:
        self._seen: list[tuple[Any, tuple[Condition, ...]]] = []
        self._reading: list[SearchStrategy[Any]] = []
        inner = self._read(strategy)

        @st.composite
        def draw(draw: Any) -> tuple[Any, Guard | None]:
            self._seen.clear()
            value = draw(inner)
            return guarded(value, self._seen)

        self.strategy: SearchStrategy[tuple[Any, Guard | None]] = draw()

    def _read(self, strategy: SearchStrategy[Any]) -> SearchStrategy[Any]:
        if any(strategy is s for s in self._reading):
            return strategy.map(freeze)  # it contains itself
        self._reading.append(strategy)
        try:
            return self._understood(strategy)
        finally:
            self._reading.pop()

    def _understood(self, strategy: Any) -> SearchStrategy[Any]:
        if isinstance(strategy, Ours):
            return strategy.made_of(self._read)
        if isinstance(strategy, LazyStrategy):
            return self._read(strategy.wrapped_strategy)
        # exactly these classes: others that are made of them do more
        kind = type(strategy)
        if kind is TupleStrategy:
            return st.tuples(*map(self._read, strategy.element_strategies))
        if kind is ListStrategy:
            return self._list(strategy)
        if kind is OneOfStrategy:
            return st.one_of(*map(self._read, strategy.original_strategies))
        if kind is FilteredStrategy:
            return self._filtered(self._read(strategy.filtered_strategy), strategy.flat_conditions)
        if kind is FlatMapStrategy and hasattr(strategy, "base"):
            expand = strategy.expand
            # what is known of the first value is true of this value only
            return strategy.base.map(freeze).flatmap(lambda x: self._read(expand(x)))
        if kind.__name__ == "FixedDictStrategy" and hasattr(strategy, "mapping"):
            optional = strategy.optional
            return st.fixed_dictionaries(
                {k: self._read(s) for k, s in strategy.mapping.items()},
                optional=optional and {k: self._read(s) for k, s in optional.items()},
            )
        frozen: SearchStrategy[Any] = strategy.map(freeze)
        return frozen

    def _list(self, strategy: ListStrategy[Any]) -> SearchStrategy[Any]:
        most = strategy.max_size
        return st.lists(
            self._read(strategy.element_strategy),
            min_size=strategy.min_size,
            max_size=None if most == float("inf") else int(most),
        )

    def _filtered(
        self, inner: SearchStrategy[Any], conditions: tuple[Condition, ...]
    ) -> SearchStrategy[Any]:
        if not conditions:
            return inner

        @st.composite
        def attempt(draw: Any) -> tuple[Any, int]:
            before = len(self._seen)
            return draw(inner), before

        def holds(attempted: tuple[Any, int]) -> bool:
            value, before = attempted
            if all(condition(value) for condition in conditions):
                return True
            del self._seen[before:]  # what was refused is drawn again
            return False

        def noted(attempted: tuple[Any, int]) -> Any:
            self._seen.append((attempted[0], conditions))
            return attempted[0]

        return attempt().filter(holds).map(noted)


__all__ = ["Ours", "Source", "ours"]
