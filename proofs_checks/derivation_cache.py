"""Which derivations were verified before, by the same sources: kept in the user's cache directory.

An entry says that all derivations of a statement were checked step by step, and succeeded. It counts for nothing but
the same check: its key is a SHA-256 of every source and compiled file of `theory`, of the statement as plain data, and
of the versions of Python, sympy, mpmath and python-flint. An entry that is broken, or that was written for anything
else, is not there. Failures are never kept.

Only registered statements whose derivations live in `theory` itself are kept, and only where its files are older than
this process: what is loaded is then what is on the disk. Functions that are replaced in memory are not seen; set
``LEMMATA_CACHE=off`` where that is done.

The directory is ``LEMMATA_CACHE`` where that is set (``off``: nothing is read or written), else ``lemmata`` in the
cache directory of the user: ``$XDG_CACHE_HOME`` or ``~/.cache``, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on
Windows. There is one small file for each statement, and it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import theory
from numerics.user_directory import user_cache
from proofs_checks.files import replace_with
from proofs_checks.registry import all_statements, origin
from theory.errors import LemmataError
from theory.quantity import Quantity, Relation
from theory.statement import Statement

FORMAT = "lemmata-verified-derivation/1"
VARIABLE, OFF = "LEMMATA_CACHE", "off"
CHECKERS = ("sympy", "mpmath", "python-flint")
HEADER = 16  # bytes of a compiled file before its code: what source it was made from
MOST_BYTES = 1 << 16  # of an entry


def directory() -> Path | None:
    """Where entries are kept; None where the cache is off, or the user has no cache directory."""
    named = os.environ.get(VARIABLE, "")
    if named.lower() == OFF:
        return None
    if named:
        return Path(named) / "derivations"
    base = user_cache()
    return None if base is None else base / "derivations"


def is_known(statement: Statement) -> bool:
    """Whether the derivations of this statement were verified before, by the same sources."""
    expected, path = _entry(statement), _path(statement)
    if expected is None or path is None:
        return False
    try:
        if not _ours(path):
            return False
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
        return len(raw) <= MOST_BYTES and bool(json.loads(raw.decode("utf-8")) == expected)
    except (OSError, ValueError, RecursionError):  # not there, no JSON, no text
        return False


def remember(statement: Statement) -> None:
    """Keep that the derivations of this statement were verified in this process; it may not be possible."""
    entry, path = _entry(statement), _path(statement)
    if entry is None or path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps(entry, indent=1) + "\n"
        replace_with(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except (OSError, LemmataError):
        return  # a cache that cannot be written is no reason to fail: the next run checks again


def _entry(statement: Statement) -> dict[str, Any] | None:
    """What is kept of a statement; None where nothing may be."""
    if directory() is None or not statement.derivations:
        return None
    if origin(statement.id) != statement.id or all_statements().get(statement.id) != statement:
        return None
    if not all(_is_source(path.partition(":")[0]) for path in statement.derivations.values()):
        return None
    sources, versions = _sources(), _versions()
    if sources is None:
        return None
    try:
        plain = _plain(statement)
    except TypeError:
        return None
    keyed = {"sources": sources, "statement": plain, "versions": versions}
    key = hashlib.sha256(json.dumps(keyed, sort_keys=True).encode()).hexdigest()
    return {
        "format": FORMAT,
        "statement": statement.id,
        "derivations": dict(statement.derivations),
        "versions": versions,
        "key": key,
    }


def _path(statement: Statement) -> Path | None:
    folder = directory()
    name = hashlib.sha256(statement.id.encode()).hexdigest()[:32]
    return None if folder is None else folder / f"{name}.json"


def _ours(path: Path) -> bool:
    """Whether the user wrote a file: others have no say in what is verified."""
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def _sources() -> str | None:
    """SHA-256 of all sources of `theory`, names and bytes; None where they may differ from what is loaded.

    Python loads a compiled file where that has the size and the second of the source, whatever is in it: so the
    compiled files belong to what is hashed.
    They are looked at every time: some are loaded late, and may have been changed until then.
    """
    root = Path(theory.__file__ or "").parent
    try:
        found = [(file, file.stat()) for file in sorted(root.rglob("*.py"))]
        # the change time as well: the other one can be set, and copies keep it
        if any(max(s.st_mtime, s.st_ctime) >= theory.LOADED_AT for _, s in found):
            return None
        made = [Path(cache_from_source(str(file))) for file, _ in found]
        found += [(file, file.stat()) for file in made if file.is_file()]
        seen = tuple((f, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for f, s in found)
        return _digest(root, seen) if seen else None
    except (OSError, ValueError):
        return None  # inside an archive


@cache
def _digest(root: Path, seen: tuple[tuple[Path, int, int, int], ...]) -> str:
    total = hashlib.sha256()
    for file, *_ in seen:
        content = file.read_bytes()
        if file.suffix != ".py":
            content = content[HEADER:]
        name = file.relative_to(root) if file.is_relative_to(root) else file
        total.update(f"{name.as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _is_source(module: str) -> bool:
    """Whether a module is one of the files that `_sources` speaks of."""
    package, _, rest = module.partition(".")
    file = Path(theory.__file__ or "").parent.joinpath(*rest.split(".")).with_suffix(".py")
    loaded = getattr(sys.modules.get(module), "__file__", str(file))
    return package == "theory" and bool(rest) and file.is_file() and loaded == str(file)


@cache
def _versions() -> dict[str, str]:
    """Of the programs that a check rests on."""
    found = {"python": sys.version}
    for name in CHECKERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _plain(value: Any) -> Any:
    """A statement as plain data, class names included.

    Raises:
        TypeError: it holds something that is no data.
    """
    if isinstance(value, Quantity | Relation):
        return [type(value).__name__, value.to_data()]
    if isinstance(value, Enum):
        return [type(value).__name__, value.value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Fraction):
        return [str(value.numerator), str(value.denominator)]
    if isinstance(value, Mapping):
        return [[_plain(k), _plain(v)] for k, v in sorted(value.items())]
    if isinstance(value, Sequence):
        return [_plain(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        return [
            type(value).__name__,
            *([f.name, _plain(getattr(value, f.name))] for f in fields(value)),
        ]
    raise TypeError(f"{value!r:.80} is no plain data")
