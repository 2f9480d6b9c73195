"""Evaluation of plain-data quantities on batched arrays, in floating point with an error radius.

Arrays have the axes ``(lane, node, j, i, k)``: trajectory, instant, neuron, data point, coordinate; an axis that a
variable does not have has length 1. Common subexpressions are evaluated once per environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from numerics.errors import NumericsError
from numerics.extended import Float, ScaledArray, constant, maximum, scaled
from numerics.scaled_functions import inner, project_out, spectral_norm

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


class Environment:
    """Variables by name, and the values of every subexpression evaluated so far.

    Args:
        variables: name -> array with axes (lane, node, j, i, k).
        derived: name -> frozen plain data over other variables, evaluated on first use.
    """

    def __init__(
        self, variables: Mapping[str, ScaledArray], derived: Mapping[str, Key] | None = None
    ) -> None:
        self._variables = dict(variables)
        self._derived = dict(derived or {})
        self._cache: dict[Key, ScaledArray] = {}

    def evaluate(self, data: Sequence[Any]) -> ScaledArray:
        """The value of a quantity.

        Raises:
            NumericsError: an unknown variable or operator.
        """
        return self._eval(data if isinstance(data, tuple) else freeze(data))

    def _eval(self, key: Key) -> ScaledArray:
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._apply(key)
        return found

    def _apply(self, key: Key) -> ScaledArray:
        op, *rest = key
        if op == "var":
            return self._variable(rest[0])
        if op == "rat":
            return _rational(rest[0])
        if op == "pi":
            return constant(np.pi, NDIM, 2.0**-52)
        if op == "pow":
            return self._eval(rest[0]).power(float(Fraction(rest[1][1])))
        if op in ("sum", "amax", "amin"):
            value, axis = self._eval(rest[1]), AXIS[rest[0]]
            return {"sum": value.sum, "amax": value.max, "amin": value.min}[op](axis)
        args = [self._eval(a) for a in rest]
        if op in _FOLD:
            out = args[0]
            for a in args[1:]:
                out = _FOLD[op](out, a)
            return out
        if op in _FUNCTIONS:
            return _FUNCTIONS[op](*args)
        raise NumericsError(f"operator {op!r} has no floating-point evaluation")

    def _variable(self, name: str) -> ScaledArray:
        if name in self._variables:
            return self._variables[name]
        if name not in self._derived:
            known = ", ".join(sorted({*self._variables, *self._derived}))
            raise NumericsError(f"variable {name!r} is not measured here; known: {known}")
        value = self._variables[name] = self._eval(self._derived[name])
        return value


def _rational(text: str) -> ScaledArray:
    exact = Fraction(text)
    value = float(exact)
    return constant(value, NDIM, 0.0 if Fraction(value) == exact else 2.0**-53 * abs(value))


def _minimum(a: ScaledArray, b: ScaledArray) -> ScaledArray:
    return -maximum(-a, -b)


def _log1p(a: ScaledArray) -> ScaledArray:
    x, radius = a.to_float()
    if np.all(np.abs(x) + radius < 2.0**-60):  # log1p(z) = z within z^2
        return ScaledArray(a.m, a.r + 2.0**-52 * np.abs(a.m), a.e)
    return a.unary(np.log1p, lambda v, r: 1.0 / np.maximum(1.0 + v - r, 0.0))


def _acos(a: ScaledArray) -> ScaledArray:
    def slope(v: Float, r: Float) -> Float:
        edge = np.minimum(np.abs(v) + r, 1.0)
        with np.errstate(divide="ignore"):
            return 1.0 / np.sqrt(1.0 - edge * edge)

    return a.unary(lambda v: np.arccos(np.clip(v, -1.0, 1.0)), slope)


def _ones(v: Float, r: Float) -> Float:
    return np.ones_like(v)


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
