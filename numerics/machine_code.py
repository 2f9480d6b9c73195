"""Where machine code is kept, and what it is the machine code of.

It is kept in a folder that is named after all sources behind it: numba notices that a function's own file has changed,
but not that a function which it calls has. What is installed twice from the same sources is compiled once.

The folder lies in ``NUMBA_CACHE_DIR`` where that is set, else in the user's cache directory, else next to the package:
the first of them that can be written, and that nobody else can write, as machine code is run unseen.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

from numerics.user_directory import user_cache

MONTH = 30 * 86400


@cache
def digest() -> str:
    """Of everything that is compiled, and of what it imports."""
    sources = {p.stem: p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("*.py")}
    found, queue = set(), [name for name, text in sources.items() if "numerics.compiling" in text]
    while queue:
        name = queue.pop()
        if name in sources and name not in found:
            found.add(name)
            queue += re.findall(r"^\s*from numerics\.(\w+) import", sources[name], re.MULTILINE)
    out = hashlib.sha256(f"{numba.__version__}\0{np.__version__}".encode())
    for name in sorted(found):
        out.update(f"{name}\0{sources[name]}\0".encode())
    return out.hexdigest()[:16]


@cache
def folder() -> Path | None:
    """Where the machine code of these sources lives; None, with a warning, where it cannot be kept."""
    here = Path(__file__).parent / "__pycache__"
    own = user_cache()
    named = Path(os.environ["NUMBA_CACHE_DIR"]) if os.environ.get("NUMBA_CACHE_DIR") else None
    first = named or (own / "compiled" if own else None)
    for place in filter(None, (first, here)):
        found = place / f"lemmata-{digest()}"
        try:
            if place is not named:
                _forget(place, found)
            found.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _private(found):
                with tempfile.TemporaryFile(dir=found):
                    os.utime(found)  # used today
                return found.resolve()
        except OSError:
            continue
    warnings.warn(
        "machine code cannot be kept: it is compiled anew in each process, which takes a minute or two;"
        " name a folder of yours in NUMBA_CACHE_DIR",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def _private(path: Path) -> bool:
    """Whether it is a folder of the user, and nobody else can write in it, or put another one in its place."""
    if not hasattr(os, "getuid"):
        return True
    found, above = path.lstat(), path.parent.stat()
    others = stat.S_IWGRP | stat.S_IWOTH
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not found.st_mode & others
        and above.st_uid in (0, os.getuid())
        and (not above.st_mode & others or bool(above.st_mode & stat.S_ISVTX))
    )


def _forget(place: Path, kept: Path) -> None:
    """Remove machine code of other sources that has not been used for a month; another process may use the rest."""
    if kept.exists():
        return
    for old in place.glob("lemmata-*"):
        ours = re.fullmatch(r"lemmata-[0-9a-f]{16}", old.name) and _private(old)
        if ours and time.time() - old.stat().st_mtime > MONTH:
            with suppress(OSError):  # another process is faster, or there is something else in it
                for file in (*old.glob("*.nbi"), *old.glob("*.nbc")):
                    file.unlink(missing_ok=True)
                old.rmdir()


class Locator:
    """Tells numba where to keep the machine code of a function; named in ``numba.config.CACHE_LOCATOR_CLASSES``."""

    def __init__(self, line: int) -> None:
        self.line = line

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Locator:
        """The locator of a function."""
        return cls(py_func.__code__.co_firstlineno)

    def ensure_cache_path(self) -> None:
        """Make the folder, which may have been removed meanwhile."""
        Path(self.get_cache_path()).mkdir(mode=0o700, parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(folder())

    def get_source_stamp(self) -> str:
        """What the sources are."""
        return digest()

    def get_disambiguator(self) -> str:
        """What tells functions of the same name in one file apart."""
        return str(self.line)
