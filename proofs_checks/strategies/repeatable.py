"""Draws that a seed alone determines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

_NONE = Constants()


@contextmanager
def repeatable() -> Iterator[None]:
    """Hypothesis draws nothing, for as long as this lasts, from the sources of modules that happen to be loaded.

    It collects the numbers in all of them that are no installed packages and draws one now and then: with the same
    seed other cases in a test than on the command line, and others again once one more module is imported.
    """
    before = providers._get_local_constants, providers.CONSTANTS_CACHE
    providers._get_local_constants = lambda: _NONE
    providers.CONSTANTS_CACHE = LRUCache(1024)  # what it has does not name the modules it came from
    try:
        yield
    finally:
        providers._get_local_constants, providers.CONSTANTS_CACHE = before
