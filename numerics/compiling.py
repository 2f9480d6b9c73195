"""How functions are compiled, and where their machine code is kept.

The machine code is kept next to the package (or in the user's cache directory where that is read-only), in a folder
named after the sources and what they import: numba notices that a function's own file has changed, but not that a
function which it calls has. The first use on a machine compiles, which takes about half a minute.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
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
    sources = {path.stem: path.read_text(encoding="utf-8") for path in here.glob("*.py")}
    found, queue = set(), [name for name, text in sources.items() if "numerics.compiling" in text]
    while queue:
        name = queue.pop()
        if name in sources and name not in found:
            found.add(name)
            queue += re.findall(r"^\s*from numerics\.(\w+) import", sources[name], re.MULTILINE)
    digest = hashlib.sha256(numba.__version__.encode())
    for name in sorted(found | {"compiling"}):
        digest.update(f"{name}\0{sources[name]}\0".encode())
    name = f"lemmata-{digest.hexdigest()[:16]}"
    if os.environ.get("NUMBA_CACHE_DIR"):
        return str(Path(os.environ["NUMBA_CACHE_DIR"]) / name)
    beside = here / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=beside):
            _forget(beside, name)
            return str(beside / name)
    except OSError:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return str(Path(cache) / "lemmata" / name)


def _forget(beside: Path, name: str) -> None:
    """Remove machine code of other sources that has not been used for a month; another process may use the rest."""
    if (beside / name).exists():
        return
    for old in beside.glob("lemmata-*"):
        if time.time() - old.stat().st_mtime > 30 * 86400:
            shutil.rmtree(old, ignore_errors=True)


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
