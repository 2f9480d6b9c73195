"""How functions are compiled: once on a machine, which takes a minute or two; see ``numerics.machine_code``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba
from numba import njit
from numba.core import event

from numerics.machine_code import Locator, folder

FAST = {"reassoc", "contract", "nsz", "arcp"}

Decorator = Callable[[Callable[..., Any]], Any]


def _compiler(**options: Any) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Any:
        before = numba.config.CACHE_LOCATOR_CLASSES
        numba.config.CACHE_LOCATOR_CLASSES = f"{Locator.__module__}.{Locator.__qualname__}"
        try:
            kept = folder() is not None
            return njit(cache=kept, nogil=True, error_model="numpy", **options)(function)
        finally:
            numba.config.CACHE_LOCATOR_CLASSES = before

    return decorate


compiled = _compiler()
compiled_fast = _compiler(fastmath=FAST)
inlined = _compiler(inline="always")
# Called from compiled code alone: without the entry from Python, which costs time to compile.
internal = _compiler(no_cpython_wrapper=True, no_cfunc_wrapper=True)
internal_fast = _compiler(no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath=FAST)


class _Announcement(event.Listener):
    """Says once, on a terminal, that code is being compiled."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: event.Event) -> None:
        if not self.said and sys.stderr.isatty():
            words = "lemmata: compiling for this processor; once, a minute or two"
            print(words, file=sys.stderr, flush=True)
        self.said = True

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


event.register("numba:compile", _Announcement())
