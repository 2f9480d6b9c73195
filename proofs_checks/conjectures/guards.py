"""Values that are held fixed, and conditions of filters on values that a search moves.

A search moves what our strategies draw within its domain. That is sound only where nothing else depends on the values:
what passed through code that we do not understand is *frozen*, and a filter's conditions are asked again, of every
case, on the value that the strategy would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from proofs_checks.conjectures.free_values import Parameter, Real, is_free, plain
from proofs_checks.conjectures.samples import Sample

Condition: TypeAlias = Callable[[Any], Any]


def freeze(value: Any) -> Any:
    """The same tree with nothing free in it; itself where nothing is."""
    return _replaced(value, plain) if holds_free(value) else value


def holds_free(value: Any) -> bool:
    """Whether anything in a tree is free."""
    return is_free(value) or any(map(holds_free, _parts(value).values()))


def _parts(value: Any) -> dict[str, Any]:
    if isinstance(value, Sample):
        return value._raw
    if isinstance(value, Mapping):
        return {str(k): v for k, v in value.items()}
    if isinstance(value, list | tuple):
        return {str(k): v for k, v in enumerate(value)}
    return {}


def _replaced(value: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(value, Sample):
        return type(value)(value._kind, {k: _replaced(v, leaf) for k, v in value._raw.items()})
    if isinstance(value, Mapping):
        return {k: _replaced(v, leaf) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return _sequence(value, [_replaced(v, leaf) for v in value])
    return leaf(value)


def _sequence(like: Any, items: list[Any]) -> Any:
    if isinstance(like, list):
        return items
    return type(like)(*items) if hasattr(like, "_fields") else tuple(items)


class _Refused(Exception):
    """A condition does not hold."""


@dataclass(frozen=True, eq=False)
class Guard:
    """What filters ask of a drawn value.

    Attributes:
        drawn: as the strategy drew it. conditions: identity of a part of it -> what a filter asks of this part.
    """

    drawn: Any
    conditions: Mapping[int, tuple[Condition, ...]]

    def admits(self, values: Mapping[str, Sequence[float]]) -> bool:
        """Whether the strategy could have drawn these values (path of a free leaf -> its entries, flat) in place of
        its own; not where a condition raises."""
        try:
            with np.errstate(all="ignore"):
                self._rebuilt(self.drawn, "", values)
        except Exception:
            return False
        return True

    def _rebuilt(self, value: Any, path: str, values: Mapping[str, Sequence[float]]) -> Any:
        new: Any
        if is_free(value):
            own = values.get(path or "case", np.asarray(value).ravel())
            if isinstance(value, Real):
                new = Real(float(own[0]), value.domain)
            else:
                new = Parameter(np.reshape(own, value.shape), value.domain)
        else:
            prefix = f"{path}." if path else ""
            new = {k: self._rebuilt(v, prefix + k, values) for k, v in _parts(value).items()}
            if isinstance(value, Sample):
                new = type(value)(value._kind, new)
            elif isinstance(value, list | tuple):
                new = _sequence(value, list(new.values()))
            elif not isinstance(value, Mapping):
                new = value
        if not all(condition(new) for condition in self.conditions.get(id(value), ())):
            raise _Refused
        return new


def guarded(
    drawn: Any, seen: Sequence[tuple[Any, tuple[Condition, ...]]]
) -> tuple[Any, Guard | None]:
    """What was drawn, with what filters ask of it.

    Args:
        seen: the values that filters let pass on the way, with their conditions. Where such a value is free and no
            part of what was drawn, nobody could ask again: then everything is frozen.
    """
    asked = [(value, conditions) for value, conditions in seen if holds_free(value)]
    if not asked:
        return drawn, None
    present: set[int] = set()

    def visit(value: Any) -> None:
        present.add(id(value))
        for part in _parts(value).values():
            visit(part)

    visit(drawn)
    if not all(id(value) in present for value, _ in asked):
        return freeze(drawn), None
    conditions: dict[int, tuple[Condition, ...]] = {}
    for value, own in asked:
        conditions[id(value)] = (*conditions.get(id(value), ()), *own)
    return drawn, Guard(drawn, conditions)


__all__ = ["Condition", "Guard", "freeze", "guarded", "holds_free"]
