"""What strategies draw: values with a domain, and their structure.

A drawn value is a tree: dictionaries, lists, tuples and `Sample` objects, with leaves. `Parameter` arrays and `Real`
numbers are *free*: they come with the domain within which a search may move them. Plain arrays, floats and Fractions
are held fixed by the search. Integers, strings, booleans and None are *static*: they belong to the structure. Values of
equal structure share one trace, and are evaluated together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from proofs_checks.conjectures.free_values import (
    ALL_REALS,
    POSITIVE,
    Domain,
    Parameter,
    Real,
    is_free,
    plain,
)
from theory.errors import LemmataError

# kind of a sample -> what makes the object that a conjecture sees out of its raw parts; nothing else is ever called
# on behalf of a file
KINDS: dict[str, str] = {
    "record": "proofs_checks.conjectures.samples:_record",
    "symmetric": "proofs_checks.strategies.array_builders:symmetric",
    "gram": "proofs_checks.strategies.array_builders:gram",
    "gram_of_unit_vectors": "proofs_checks.strategies.array_builders:gram_of_unit_vectors",
    "unit_vectors": "proofs_checks.strategies.array_builders:unit_vectors",
    "orthogonal": "proofs_checks.strategies.array_builders:orthogonal",
    "with_singular_values": "proofs_checks.strategies.array_builders:with_singular_values",
    "with_eigenvalues": "proofs_checks.strategies.array_builders:with_eigenvalues",
    "kernel_matrix": "proofs_checks.strategies.array_builders:kernel_matrix",
    "points": "proofs_checks.strategies.data_builders:points",
    "orthogonally_separable": "proofs_checks.strategies.data_builders:orthogonally_separable",
    "separable": "proofs_checks.strategies.data_builders:separable",
    "scaled_points": "proofs_checks.strategies.data_builders:scaled_points",
    "clusters": "proofs_checks.strategies.data_builders:clusters",
    "degenerate": "proofs_checks.strategies.data_builders:degenerate",
    "relu_network": "proofs_checks.strategies.network_builders:relu_network",
    "linear_network": "proofs_checks.strategies.network_builders:linear_network",
    "diagonal_network": "proofs_checks.strategies.network_builders:diagonal_network",
    "imbalance": "proofs_checks.strategies.network_builders:imbalance",
    "minimax_operator": "proofs_checks.strategies.minimax:minimax_operator",
}
STATIC = (int, str, bool, type(None))
MAX_DEPTH, MAX_LEAVES, MAX_ENTRIES = 16, 4096, 1_000_000


class Sample:
    """An instance made of raw parts: a network, a data set, a matrix with structure.

    Attributes of the object that its kind makes of the raw parts are its own: ``sample.W``, ``sample.flow(...)``.
    """

    def __init__(self, kind: str, raw: Mapping[str, Any]) -> None:
        self._kind, self._raw = kind, dict(raw)
        self._view: Any = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._view is None:
            # plain arrays: what is computed from free values is not free
            raw = {k: plain(v) for k, v in self._raw.items()}
            self._view = builder(self._kind)(SimpleNamespace(**raw))
        return getattr(self._view, name)

    def __repr__(self) -> str:
        parts = ", ".join(f"{k}={_shown(v)}" for k, v in self._raw.items())
        return f"{self._kind}({parts})"


def _shown(value: Any) -> str:
    return repr(np.asarray(value).tolist()) if isinstance(value, np.ndarray) else repr(value)


def builder(kind: str) -> Any:
    """What makes the object that a conjecture sees.

    Raises:
        LemmataError: the kind is unknown.
    """
    if kind not in KINDS:
        raise LemmataError(f"unknown kind of sample {kind!r:.60}; known: {', '.join(KINDS)}")
    module, _, name = KINDS[kind].partition(":")
    return getattr(import_module(module), name)


def _record(raw: SimpleNamespace) -> SimpleNamespace:
    return raw


# -- structure --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Leaf:
    """An array of the case.

    Attributes:
        shape: () for a number. free: whether the search may change it, within ``domain``.
        number: it is a plain number, not an array, in the tree.
    """

    shape: tuple[int, ...]
    free: bool
    domain: Domain = ALL_REALS
    number: bool = False

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Static:
    """A value that belongs to the structure."""

    value: int | str | bool | None

    def __eq__(self, other: object) -> bool:
        # 1 is not True
        return (
            isinstance(other, Static)
            and type(self.value) is type(other.value)
            and self.value == other.value
        )

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True)
class Node:
    """A container.

    Attributes:
        kind: "dict", "list", "tuple" or "sample:KIND". items: (key, structure), keys of lists are "0", "1", ...
    """

    kind: str
    items: tuple[tuple[str, Structure], ...]


Structure: TypeAlias = "Leaf | Static | Node"


def leaves(structure: Structure, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """All leaves with their paths, such as "net.W1"."""
    if isinstance(structure, Leaf):
        yield path or "case", structure
    elif isinstance(structure, Node):
        for key, child in structure.items:
            yield from leaves(child, f"{path}.{key}" if path else key)


def take_apart(value: Any) -> tuple[Structure, dict[str, tuple[Fraction, ...]]]:
    """The structure of a drawn value, and the exact values of its leaves by path, flat.

    Raises:
        LemmataError: something that is none of the things that a case may consist of, or not finite.
    """
    values: dict[str, tuple[Fraction, ...]] = {}

    def visit(v: Any, path: str, depth: int) -> Structure:
        where = path or "case"
        if depth > MAX_DEPTH:
            raise LemmataError(f"{where}: a case nested more than {MAX_DEPTH} levels deep")
        if isinstance(v, Sample):
            return node(f"sample:{v._kind}", v._raw.items(), path, depth)
        if isinstance(v, Mapping):
            if not all(isinstance(k, str) and k.isidentifier() for k in v):
                raise LemmataError(f"{where}: keys of a dictionary in a case are identifiers")
            return node("dict", v.items(), path, depth)
        if isinstance(v, list | tuple):
            kind = "list" if isinstance(v, list) else "tuple"
            return node(kind, ((str(k), x) for k, x in enumerate(v)), path, depth)
        if is_free(v):
            return leaf(np.asarray(v), path, True, v.domain, isinstance(v, Real))
        if isinstance(v, np.ndarray):
            return leaf(v, path, False, ALL_REALS, False)
        if isinstance(v, np.generic):
            v = v.item()
        if isinstance(v, float | Fraction):
            return leaf(np.array(v, dtype=object), path, False, ALL_REALS, True)
        if isinstance(v, STATIC):
            return Static(v)
        raise LemmataError(
            f"{where}: {type(v).__name__} cannot be part of a case; draw arrays, numbers, strings, "
            "dictionaries or lists of them"
        )

    def node(kind: str, items: Any, path: str, depth: int) -> Node:
        # by name: Hypothesis draws the keys of dictionaries in any order, and equal cases are to have one structure
        named = [(str(k), x) for k, x in items]
        named = named if kind in ("list", "tuple") else sorted(named, key=lambda item: item[0])
        return Node(
            kind,
            tuple((k, visit(x, f"{path}.{k}" if path else k, depth + 1)) for k, x in named),
        )

    def leaf(a: NDArray[Any], path: str, free: bool, domain: Domain, number: bool) -> Leaf:
        where = path or "case"
        flat = a.ravel().tolist()
        wrong = next((x for x in flat if not _rational(x)), None)
        if wrong is not None:
            raise LemmataError(f"{where}: {wrong!r:.60} is no finite real number; {_remedy(wrong)}")
        values[where] = tuple(map(Fraction, flat))
        return Leaf(tuple(int(s) for s in a.shape), free, domain, number)

    return visit(value, "", 0), values


def _rational(x: Any) -> bool:
    return isinstance(x, int | Fraction) or (isinstance(x, float) and math.isfinite(x))


def _remedy(x: Any) -> str:
    if isinstance(x, float):
        return "give st.floats (or hypothesis.extra.numpy.from_dtype) allow_nan=False and allow_infinity=False"
    if isinstance(x, complex):
        return "draw the real and the imaginary part as two arrays"
    return "draw arrays of floats or integers"


def put_together(structure: Structure, at: Mapping[str, Any]) -> Any:
    """The tree with the given objects as leaves, as a conjecture sees it: samples are built by their kind."""

    def visit(s: Structure, path: str) -> Any:
        if isinstance(s, Leaf):
            return at[path or "case"]
        if isinstance(s, Static):
            return s.value
        parts = {k: visit(c, f"{path}.{k}" if path else k) for k, c in s.items}
        if s.kind == "dict":
            return parts
        if s.kind in ("list", "tuple"):
            return list(parts.values()) if s.kind == "list" else tuple(parts.values())
        return builder(s.kind.partition(":")[2])(SimpleNamespace(**parts))

    return visit(structure, "")


__all__ = [
    "ALL_REALS",
    "KINDS",
    "MAX_DEPTH",
    "MAX_ENTRIES",
    "MAX_LEAVES",
    "POSITIVE",
    "STATIC",
    "Domain",
    "Leaf",
    "Node",
    "Parameter",
    "Real",
    "Sample",
    "Static",
    "Structure",
    "builder",
    "leaves",
    "put_together",
    "take_apart",
]
