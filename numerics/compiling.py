"""How functions are compiled, and where their machine code is kept.

The machine code is kept next to the package (or in the user's cache directory where that is read-only),
in a folder named after the sources: numba notices that a function's own file has changed, but not that a
function which it calls has. The first use on a machine compiles, which takes about half a minute.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core import event

FAST = {"reassoc", "contract", "nsz", "arcp"}

Decorator = Callable[[Callable[..., Any]], Any]


def _folder() -> str:
    """Where the machine code of these sources lives; NUMBA_CACHE_DIR decides if it is set."""
    here = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(here.glob("*.py")):
        source = path.read_bytes()
        if b"compil" in source:
            digest.update(path.name.encode() + b"\0" + source)
    name = f"lemmata-{digest.hexdigest()[:16]}"
    if os.environ.get("NUMBA_CACHE_DIR"):
        return str(Path(os.environ["NUMBA_CACHE_DIR"]) / name)
    beside = here / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=beside):
            return str(beside / name)
    except OSError:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return str(Path(cache) / "lemmata" / name)


_FOLDER = _folder()


def _compiler(**options: Any) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Any:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = _FOLDER
        try:
            return njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        finally:
            numba.config.CACHE_DIR = before

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
            words = "lemmata: compiling for this processor; once, about half a minute"
            print(words, file=sys.stderr, flush=True)
        self.said = True

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


event.register("numba:compile", _Announcement())
