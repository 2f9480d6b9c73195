"""Evaluation of plain-data quantities on batched arrays, in floating point with an error radius.

Arrays have the axes ``(lane, node, j, i, k)``: trajectory, instant, neuron, data point, coordinate; an axis that a
variable does not have has length 1. Common subexpressions are evaluated once per environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.extended import Float, ScaledArray, constant, maximum, scaled
from numerics.scaled_functions import inner, project_out, spectral_norm, weighted_sum

NDIM = 5
AXIS = {"j": 2, "i": 3, "k": 4}

Key = tuple[Any, ...]


def freeze(data: Sequence[Any]) -> Key:
    """Plain data as nested tuples, so that it can be a dictionary key."""
    return tuple(freeze(x) if isinstance(x, (list, tuple)) else x for x in data)


def lane_scalar(values: Float, radius: Float | float = 0.0, exponent: Any = 0) -> ScaledArray:
    """A number per lane, shape (L,), as an array with axes (L, 1, 1, 1, 1)."""
    shape = (-1, 1, 1, 1, 1)
    v = np.asarray(values, dtype=np.float64).reshape(shape)
    r = np.broadcast_to(np.asarray(radius, dtype=np.float64), v.shape[:1]).reshape(shape).copy()
    e = np.broadcast_to(np.asarray(exponent, dtype=np.int64), v.shape[:1]).reshape(shape)
    return scaled(v, r, e)


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """One operation of a quantity; equal quantities are the same node, so that nodes are quick dictionary keys."""

    op: str
    label: Any  # the name of a variable, the text of a rational, the exponent of a power, the axis of a reduction
    args: tuple[_Node, ...]
    names: frozenset[str]  # of the variables that occur


@lru_cache(maxsize=1 << 14)
def _node(key: Key) -> _Node:
    op, *rest = key
    label: Any = None
    if op in ("var", "rat"):
        label, rest = rest[0], []
    elif op == "pow":
        label, rest = float(Fraction(rest[1][1])), rest[:1]
    elif op in _REDUCTIONS:
        label, rest = AXIS[rest[0]], rest[1:]
    # the axes that a variable's data may carry say nothing here
    args = tuple(_node(a if a[0] != "var" else a[:2]) for a in rest)
    names = frozenset((label,)) if op == "var" else frozenset().union(*(a.names for a in args))
    return _Node(op, label, args, names)


class Environment:
    """Variables by name, and the values of every subexpression evaluated so far.

    Args:
        variables: name -> array with axes (lane, node, j, i, k).
        derived: name -> frozen plain data over other variables, evaluated on first use.
        outer: numbers of more lanes, of which this environment has those at ``rows``. What depends on them alone is
            evaluated there, once for all environments inside; its variables come before those given here.
    """

    def __init__(
        self,
        variables: Mapping[str, ScaledArray],
        derived: Mapping[str, Key] | None = None,
        *,
        outer: Environment | None = None,
        rows: NDArray[np.intp] | None = None,
    ) -> None:
        self._variables = variables
        self._derived = derived or {}
        self._outer, self._rows = outer, rows
        self._cache: dict[_Node, ScaledArray] = {}

    def evaluate(self, data: Sequence[Any]) -> ScaledArray:
        """The value of a quantity.

        Raises:
            NumericsError: an unknown variable or operator.
        """
        key = data if isinstance(data, tuple) else freeze(data)
        return self._eval(_node(key[:2] if key[0] == "var" else key))

    def forget(self, names: Iterable[str]) -> None:
        """Drop the values that depend on these variables: they have changed."""
        stale = set(names)
        while True:
            more = {n for n, key in self._derived.items() if _node(key).names & stale} - stale
            if not more:
                break
            stale |= more
        for node in [node for node in self._cache if node.names & stale]:
            del self._cache[node]

    def _eval(self, node: _Node) -> ScaledArray:
        found = self._cache.get(node)
        if found is None:
            found = self._cache[node] = self._value(node)
        return found

    def _value(self, node: _Node) -> ScaledArray:
        outer = self._outer
        if outer is not None and node.names and all(n in outer._variables for n in node.names):
            with np.errstate(all="ignore"):  # of lanes that nobody may have asked for
                value = outer._eval(node)
            return value if self._rows is None else value.take(self._rows)
        return self._apply(node)

    def _apply(self, node: _Node) -> ScaledArray:
        op = node.op
        if op == "var":
            return self._variable(node.label)
        if op == "rat":
            return _rational(node.label)
        if op == "pi":
            return constant(np.pi, NDIM, 2.0**-52)
        if op == "sum" and node.label == AXIS["i"] and node.args[0].op == "mul":
            *factors, last = [self._eval(a) for a in node.args[0].args]
            if _are_weights(factors, last):
                return weighted_sum(_fold("mul", factors), last)
        args = [self._eval(a) for a in node.args]
        if op == "pow":
            return args[0].power(node.label)
        if op in _REDUCTIONS:
            return _REDUCTIONS[op](args[0], node.label)
        if op in _FOLD:
            return _fold(op, args)
        if op in _FUNCTIONS:
            return _FUNCTIONS[op](*args)
        raise NumericsError(f"operator {op!r} has no floating-point evaluation")

    def _variable(self, name: str) -> ScaledArray:
        if name in self._variables:
            return self._variables[name]
        if name not in self._derived:
            outside = self._outer._variables if self._outer is not None else {}
            known = ", ".join(sorted({*self._variables, *self._derived, *outside}))
            raise NumericsError(f"variable {name!r} is not measured here; known: {known}")
        return self._eval(_node(self._derived[name]))


def _fold(op: str, args: Sequence[ScaledArray]) -> ScaledArray:
    out = args[0]
    for a in args[1:]:
        out = _FOLD[op](out, a)
    return out


def _are_weights(factors: Sequence[ScaledArray], last: ScaledArray) -> bool:
    """Whether Σ_i of this product is `weighted_sum` of the numbers before the last factor, a vector."""
    points = last.m.shape[:3] == (1, 1, 1) and last.m.shape[3] > 1 and last.m.shape[4] > 1
    return points and bool(factors) and all(a.m.shape[4] == 1 for a in factors)


@lru_cache(maxsize=1024)
def _rational(text: str) -> ScaledArray:
    exact = Fraction(text)
    value = float(exact)
    return constant(value, NDIM, 0.0 if Fraction(value) == exact else 2.0**-53 * abs(value))


def _minimum(a: ScaledArray, b: ScaledArray) -> ScaledArray:
    return -maximum(-a, -b)


def _log1p(a: ScaledArray) -> ScaledArray:
    out = a.unary(np.log1p, lambda v, r: 1.0 / np.maximum(1.0 + v - r, 0.0))
    x, radius = a.to_float()
    tiny = np.abs(x) + radius < 2.0**-60  # log1p(z) = z within z^2
    if not tiny.any():
        return out
    return ScaledArray(
        np.where(tiny, a.m, out.m),
        np.where(tiny, a.r + 2.0**-52 * np.abs(a.m), out.r),
        np.where(tiny, a.e, out.e),
    )


def _acos(a: ScaledArray) -> ScaledArray:
    def slope(v: Float, r: Float) -> Float:
        edge = np.minimum(np.abs(v) + r, 1.0)
        with np.errstate(divide="ignore"):
            return 1.0 / np.sqrt(1.0 - edge * edge)

    return a.unary(lambda v: np.arccos(np.clip(v, -1.0, 1.0)), slope)


def _ones(v: Float, r: Float) -> Float:
    return np.ones_like(v)


_REDUCTIONS: dict[str, Callable[[ScaledArray, int], ScaledArray]] = {
    "sum": ScaledArray.sum,
    "amax": ScaledArray.max,
    "amin": ScaledArray.min,
}
_FOLD = {
    "add": ScaledArray.__add__,
    "mul": ScaledArray.__mul__,
    "max": maximum,
    "min": _minimum,
}
_FUNCTIONS: dict[str, Callable[..., ScaledArray]] = {
    "neg": ScaledArray.__neg__,
    "div": ScaledArray.__truediv__,
    "abs": ScaledArray.abs,
    "sqrt": ScaledArray.sqrt,
    "exp": ScaledArray.exp,
    "expm1": ScaledArray.expm1,
    "log": ScaledArray.log,
    "log1p": _log1p,
    "relu": ScaledArray.relu,
    "sign": ScaledArray.sign,
    "step": ScaledArray.step,
    "tanh": lambda a: a.unary(np.tanh, _ones),
    "cos": lambda a: a.unary(np.cos, _ones),
    "acos": _acos,
    "inner": inner,
    "norm": ScaledArray.norm,
    "sqnorm": ScaledArray.sqnorm,
    "project_out": project_out,
    "specnorm": lambda a: spectral_norm(a, AXIS["j"]),
}
