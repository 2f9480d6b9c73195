"""One case of a conjecture: its structure and exact values, as plain data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofs_checks.case import digest
from proofs_checks.conjectures.guards import Guard
from proofs_checks.conjectures.samples import (
    KINDS,
    MAX_DEPTH,
    MAX_ENTRIES,
    MAX_LEAVES,
    Domain,
    Leaf,
    Node,
    Static,
    Structure,
    leaves,
    put_together,
    take_apart,
)
from theory.errors import LemmataError

FORMAT = "lemmata-conjecture-case/1"
MAX_DIGITS = 4000


@dataclass(frozen=True, eq=False)
class ConjectureCase:
    """A case: what was drawn, exactly.

    Attributes:
        structure: see `proofs_checks.conjectures.samples`.
        values: path of a leaf -> its entries, flat, in row-major order.
        guard: what the filters of its strategy ask of the values; it is not saved.
    """

    structure: Structure
    values: Mapping[str, tuple[Fraction, ...]]
    guard: Guard | None = None

    @classmethod
    def of(cls, drawn: Any, guard: Guard | None = None) -> ConjectureCase:
        """The case that a drawn value stands for.

        Raises:
            LemmataError: something that no case can consist of.
        """
        return cls(*take_apart(drawn), guard)

    def moved(self, values: Mapping[str, tuple[Fraction, ...]]) -> ConjectureCase:
        """The case with other values of some of its free leaves."""
        return ConjectureCase(self.structure, {**self.values, **values}, self.guard)

    @cached_property
    def admitted(self) -> bool:
        """Whether the filters of its strategy let it pass; they can be asked about floats only."""
        if self.guard is None:
            return True
        free = {path: self.values[path] for path, leaf in self.leaves.items() if leaf.free}
        floats = {path: [_float(x) for x in entries] for path, entries in free.items()}
        exact = all(
            math.isfinite(f) and f == x
            for path, entries in free.items()
            for x, f in zip(entries, floats[path], strict=True)
        )
        return exact and self.guard.admits(floats)

    @cached_property
    def leaves(self) -> dict[str, Leaf]:
        """Path -> leaf."""
        return dict(leaves(self.structure))

    def floats(self) -> dict[str, NDArray[np.float64]]:
        """Path -> the correctly rounded array."""
        return {
            path: np.array([_float(x) for x in self.values[path]]).reshape(leaf.shape)
            for path, leaf in self.leaves.items()
        }

    def view(self) -> Any:
        """What a conjecture sees, with float64 arrays in place of traced ones."""
        arrays = self.floats()
        plain = {p: float(a) if self.leaves[p].number else a for p, a in arrays.items()}
        return put_together(self.structure, plain)

    @property
    def shapes(self) -> dict[str, list[int]]:
        """Path -> shape, of all leaves."""
        return {path: list(leaf.shape) for path, leaf in self.leaves.items()}

    @property
    def size(self) -> int:
        """Number of entries of all leaves."""
        return sum(leaf.size for leaf in self.leaves.values())

    def to_json(self) -> dict[str, Any]:
        """Plain data; rationals are "p/q"."""
        return {
            "format": FORMAT,
            "structure": _to_data(self.structure),
            "values": {path: [str(x) for x in entries] for path, entries in self.values.items()},
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything, first 16 hexadecimal digits."""
        return digest(self.to_json())

    @classmethod
    def from_json(cls, data: Any) -> ConjectureCase:
        """The inverse of `to_json`; nothing in the data is executed.

        Raises:
            LemmataError: the data are no case, or too large.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise LemmataError(
                f"no case of a conjecture: expected an object with format {FORMAT!r}"
            )
        try:
            structure = _from_data(data["structure"], 0)
            # as text: 1 is not True
            if _text(_to_data(structure)) != _text(data["structure"]):
                raise LemmataError("the structure of the case is not written as to_json writes it")
            found = dict(leaves(structure))
            if len(found) > MAX_LEAVES or sum(leaf.size for leaf in found.values()) > MAX_ENTRIES:
                raise LemmataError(f"a case of more than {MAX_ENTRIES} entries")
            given = data["values"]
            if set(given) != set(found):
                raise LemmataError("values and structure of the case do not have the same leaves")
            values = {}
            for path, leaf in found.items():
                values[path] = tuple(_rational(text) for text in given[path])
                if len(values[path]) != leaf.size:
                    raise LemmataError(
                        f"{path}: {len(values[path])} values for {leaf.size} entries"
                    )
                if leaf.free and not all(map(leaf.domain.contains, values[path])):
                    raise LemmataError(f"{path}: a value outside of its domain")
            return cls(structure, values)
        except LemmataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise LemmataError(
                f"malformed case of a conjecture: {type(error).__name__}: {error!s:.100}; write it with to_json"
            ) from error


def _float(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _rational(text: Any) -> Fraction:
    short = isinstance(text, str) and len(text) <= MAX_DIGITS
    if not short or not re.fullmatch(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?", text):
        raise LemmataError(f"{text!r:.60} is no rational; write 'p/q'")
    return Fraction(text)


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True)


def _to_data(s: Structure) -> dict[str, Any]:
    if isinstance(s, Static):
        return {"static": s.value}
    if isinstance(s, Leaf):
        out: dict[str, Any] = {"shape": list(s.shape), "free": s.free, "number": s.number}
        d = s.domain
        ends = [float(d.low).hex(), float(d.high).hex()]
        return {**out, "domain": [*ends, d.open_low, d.open_high, d.log]}
    return {"node": s.kind, "items": [[k, _to_data(c)] for k, c in s.items]}


def _from_data(data: Any, depth: int) -> Structure:
    if depth > MAX_DEPTH or not isinstance(data, Mapping):
        raise LemmataError("malformed structure of a case")
    if set(data) == {"static"}:
        value = data["static"]
        if not isinstance(value, int | str | None) or len(str(value)[:400]) > 300:
            raise LemmataError(f"a static value {value!r:.60} that no case has")
        return Static(value)
    if set(data) == {"shape", "free", "number", "domain"}:
        shape = tuple(data["shape"])
        low, high, *flags = data["domain"]
        plain = all(type(f) is bool for f in (*flags, data["free"], data["number"]))
        if not plain or not all(type(s) is int and 0 <= s <= MAX_ENTRIES for s in shape):
            raise LemmataError("malformed leaf of a case")
        if len(shape) > 8 or math.prod(shape) > MAX_ENTRIES:
            raise LemmataError(f"a case of more than {MAX_ENTRIES} entries")
        domain = Domain(float.fromhex(low), float.fromhex(high), *flags)
        return Leaf(shape, data["free"], domain, data["number"])
    if set(data) != {"node", "items"} or len(data["items"]) > MAX_LEAVES:
        raise LemmataError("malformed structure of a case")
    kind = data["node"]
    prefix, _, own = str(kind).partition(":")
    if kind not in ("dict", "list", "tuple") and (prefix != "sample" or own not in KINDS):
        raise LemmataError(f"unknown part {kind!r:.60} of a case")
    items = tuple((str(k), _from_data(c, depth + 1)) for k, c in data["items"])
    if not all(k.isidentifier() or k.isdigit() for k, _ in items):
        raise LemmataError("a name of a part that is no identifier")
    return Node(kind, items)
