"""Values of strategies for the tests of them."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

QUICK = settings(database=None, deadline=None, max_examples=300, phases=[Phase.generate])


def drawn(strategy: SearchStrategy[Any], count: int = 40) -> list[Any]:
    """Some values, always the same ones."""
    out: list[Any] = []

    @settings(QUICK, max_examples=count, derandomize=True)
    @given(strategy)
    def collect(value: Any) -> None:
        out.append(value)

    collect()
    return out
