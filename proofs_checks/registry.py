"""All statements by id: ours, those of installed packages, and those in a user's file.

A package registers through the entry-point group ``lemmata.statements``; the entry point is an iterable of statements.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from theory.errors import LemmataError
from theory.statement import Statement
from theory.user_file import load

TOPICS = (
    "theory.early_alignment",
    "theory.linear_networks",
    "theory.convex_relu",
    "theory.collapse",
    "theory.margins",
)
GROUP = "lemmata.statements"

_origins: dict[str, str] = {}  # id -> FILE.py::NAME, for statements that came from a file


@cache
def all_statements() -> dict[str, Statement]:
    """Every registered statement by id.

    Raises:
        LemmataError: two statements have the same id, or a plugin does not load.
    """
    found: dict[str, Statement] = {}
    for topic in TOPICS:
        _add(found, importlib.import_module(topic).STATEMENTS, topic)
    for point in entry_points(group=GROUP):
        try:
            statements = point.load()
        except Exception as error:
            raise LemmataError(
                f"plugin {point.name} ({point.value}) does not load: {error}; repair or uninstall it"
            ) from error
        _add(found, statements, point.value)
    return found


def _add(found: dict[str, Statement], statements: Iterable[Statement], origin: str) -> None:
    for s in statements:
        if not isinstance(s, Statement):
            raise LemmataError(f"{origin} registers {s!r}, which is no Statement")
        if s.id in found:
            raise LemmataError(f"{origin} registers {s.id} a second time; choose another id")
        found[s.id] = s


def statement(id: str) -> Statement:
    """The statement with this id, or in ``FILE.py::NAME``.

    Raises:
        LemmataError: unknown; the nearest id is suggested.
    """
    if "::" in id:
        return from_file(id)
    known = all_statements()
    if id in known:
        return known[id]
    raise LemmataError(_unknown(id, known))


def resolve(ids: Sequence[str]) -> list[Statement]:
    """The statements that ids, prefixes (``early-alignment``) and ``FILE.py::NAME`` stand for, without repetition."""
    known = all_statements()
    out: dict[str, Statement] = {}
    for id in ids:
        if "::" in id:
            s = from_file(id)
            out[s.id] = s
            continue
        hits = [s for key, s in known.items() if key == id or key.startswith(id.rstrip("/") + "/")]
        if not hits:
            raise LemmataError(_unknown(id, known))
        out.update((s.id, s) for s in hits)
    return list(out.values())


def from_file(spec: str) -> Statement:
    """The statement called NAME in a Python file, from ``FILE.py::NAME``; the file is executed.

    Raises:
        LemmataError: no such file or name, or the file does not run.
    """
    path_text, _, name = spec.rpartition("::")
    module = load(path_text, "FILE.py::NAME")
    found = getattr(module, name, None)
    if not isinstance(found, Statement):
        names = [k for k, v in vars(module).items() if isinstance(v, Statement)]
        raise LemmataError(
            f"{path_text} has no statement {name!r}; it has: {', '.join(names) or 'none'}"
        )
    return adopt(found, spec)


def adopt(found: Statement, spec: str) -> Statement:
    """The statement, remembered as the one that ``FILE.py::NAME`` stands for unless it is a registered one."""
    path, _, name = spec.rpartition("::")
    found = told_apart(found, f"{Path(path).name}/{name}")
    if found.id not in all_statements():
        _origins[found.id] = spec
    return found


def told_apart(found: Statement, name: str) -> Statement:
    """The statement, under another name if it has the id of a registered one and says something else."""
    known = all_statements().get(found.id)
    return found if known is None or known == found else replace(found, id=name)


def origin(id: str) -> str:
    """What to pass to `statement` to find this statement again: its id, or ``FILE.py::NAME``."""
    return _origins.get(id, id)


def _unknown(id: str, known: dict[str, Statement]) -> str:
    names = {*known, *(s.topic for s in known.values())}
    close = difflib.get_close_matches(id, sorted(names), n=1, cutoff=0.3)
    hint = f"did you mean {close[0]}?" if close else "see `lemmata list`"
    return f"unknown statement {id!r}; {hint}"
