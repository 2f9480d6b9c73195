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


@dataclass(frozen=True)
class Domain:
    """Where a free value may lie: between two ends, which may be infinite, and excluded.

    Attributes:
        log: sizes of all orders of magnitude are of interest (scales, step sizes).
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high or math.inf == self.low or -math.inf == self.high:
            raise LemmataError(f"no domain: from {self.low} to {self.high}")

    def contains(self, x: Fraction | float) -> bool:
        """Whether a number lies in the domain."""
        above = x > self.low if self.open_low else x >= self.low
        below = x < self.high if self.open_high else x <= self.high
        return bool(above and below)


ALL_REALS = Domain()
POSITIVE = Domain(0.0, math.inf, open_low=True, log=True)


class Parameter(np.ndarray):
    """A float64 array that a search may change within its domain; what is computed from it is a plain array."""

    domain: Domain

    def __new__(cls, values: Any, domain: Domain = ALL_REALS) -> Parameter:
        """Copies the values.

        Raises:
            LemmataError: a value that is not finite or outside of the domain.
        """
        out = np.array(values, dtype=np.float64).view(cls)
        if not all(math.isfinite(x) and domain.contains(x) for x in out.ravel().tolist()):
            raise LemmataError(f"a value outside of [{domain.low}, {domain.high}]")
        out.domain = domain
        out.setflags(write=False)
        return out

    def __array_finalize__(self, obj: Any) -> None:
        self.domain = ALL_REALS

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]


class Real(float):
    """A float that a search may change within its domain; what is computed from it is a plain float."""

    domain: Domain

    def __new__(cls, value: float, domain: Domain = ALL_REALS) -> Real:
        out = super().__new__(cls, value)
        if not (math.isfinite(out) and domain.contains(out)):
            raise LemmataError(f"{value} is outside of [{domain.low}, {domain.high}]")
        out.domain = domain
        return out


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
            plain = {k: _plain(v) for k, v in self._raw.items()}
            self._view = builder(self._kind)(SimpleNamespace(**plain))
        return getattr(self._view, name)

    def __repr__(self) -> str:
        parts = ", ".join(f"{k}={_shown(v)}" for k, v in self._raw.items())
        return f"{self._kind}({parts})"


def _plain(value: Any) -> Any:
    if isinstance(value, Parameter):
        return np.asarray(value)
    return float(value) if isinstance(value, Real) else value


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


@dataclass(frozen=True)
class Static:
    """A value that belongs to the structure."""

    value: int | str | bool | None


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
        if isinstance(v, Parameter | Real):
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
        try:
            values[where] = tuple(Fraction(x) for x in a.ravel().tolist())
        except (TypeError, ValueError, OverflowError) as error:
            raise LemmataError(f"{where}: an entry is no finite real number ({error})") from error
        return Leaf(tuple(int(s) for s in a.shape), free, domain, number)

    return visit(value, "", 0), values


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
