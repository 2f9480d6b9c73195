"""Functions on traced arrays, with numpy's names and meanings; ``lemmata.ops``.

Each takes traced arrays, numbers, or nested lists and numpy arrays of numbers. Inside a conjecture numpy's own
functions of the same name do the same: ``np.exp(case.x)`` builds the same instruction as ``ops.exp(case.x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from theory.tracing import (
    Array,
    Comparison,
    Operand,
    TraceError,
    active,
    array,
    reduce,
    user_line,
)


def _unary(op: str, words: str) -> Callable[[Operand], Array]:
    def apply(a: Operand) -> Array:
        x = array(a)
        return x.recorder.add(op, (x,))

    apply.__name__ = apply.__qualname__ = op
    apply.__doc__ = f"{words}, entry by entry."
    return apply


absolute = _unary("abs", "The absolute value")
sqrt = _unary("sqrt", "The square root (undefined below 0)")
exp = _unary("exp", "The exponential")
expm1 = _unary("expm1", "e^x - 1")
log = _unary("log", "The natural logarithm (undefined at and below 0)")
log1p = _unary("log1p", "log(1 + x)")
tanh = _unary("tanh", "The hyperbolic tangent")
sin = _unary("sin", "The sine")
cos = _unary("cos", "The cosine")
arccos = _unary("acos", "The angle in [0, π] (undefined outside of [-1, 1])")
relu = _unary("relu", "max(x, 0)")
step = _unary("step", "1 where x > 0, else 0: the derivative of the ReLU with σ'(0) = 0")
sign = _unary("sign", "-1, 0 or 1")


def pi() -> Array:
    """π."""
    return active().add("pi")


def maximum(a: Operand, b: Operand, *more: Operand) -> Array:
    """The larger one, entry by entry."""
    return _fold("max", (a, b, *more))


def minimum(a: Operand, b: Operand, *more: Operand) -> Array:
    """The smaller one, entry by entry."""
    return _fold("min", (a, b, *more))


def _fold(op: str, operands: Sequence[Operand]) -> Array:
    arrays = [array(a) for a in operands]
    out = arrays[0]
    for a in arrays[1:]:
        out = out.recorder.add(op, (out, a))
    return out


def total(a: Operand, axis: int | None = None) -> Array:
    """The sum over one axis, or of all entries."""
    return reduce("sum", array(a), axis)


def amax(a: Operand, axis: int | None = None) -> Array:
    """The largest entry, along one axis or of all."""
    return reduce("amax", array(a), axis)


def amin(a: Operand, axis: int | None = None) -> Array:
    """The smallest entry, along one axis or of all."""
    return reduce("amin", array(a), axis)


def mean(a: Operand, axis: int | None = None) -> Array:
    """The mean over one axis, or of all entries."""
    return array(a).mean(axis)


def matmul(a: Operand, b: Operand) -> Array:
    """``a @ b``."""
    return array(a) @ b


def inner(a: Operand, b: Operand) -> Array:
    """The sum of products over the last axis of two arrays of the same shape."""
    x = array(a) * b
    return x.sum(x.ndim - 1) if x.ndim else x


def outer(a: Operand, b: Operand) -> Array:
    """The matrix of products of two vectors."""
    x, y = array(a).ravel(), array(b).ravel()
    return x.reshape(x.size, 1) * y.reshape(1, y.size)


def trace(a: Operand) -> Array:
    """The sum of the diagonal of a matrix."""
    return array(a).trace()


def diag(a: Operand) -> Array:
    """The diagonal of a matrix, or the diagonal matrix of a vector."""
    x = array(a)
    if x.ndim != 1:
        return x.diagonal()
    identity = [[int(i == j) for j in range(x.size)] for i in range(x.size)]
    return x.reshape(x.size, 1) * array(identity, x.recorder)


def concatenate(arrays: Sequence[Operand], axis: int = 0) -> Array:
    """Arrays joined along an axis, 0 or (for matrices) 1."""
    parts = [array(a) for a in arrays]
    if not parts or any(p.ndim != parts[0].ndim or not p.ndim for p in parts):
        raise TraceError("concatenate takes arrays with the same number of axes, at least one")
    if axis in (1, -1) and parts[0].ndim == 2:
        return concatenate([p.T for p in parts]).T
    if axis not in (0, -parts[0].ndim) or len({p.shape[1:] for p in parts}) != 1:
        raise TraceError("concatenate: shapes do not fit along this axis")
    shape = [sum(p.shape[0] for p in parts), *parts[0].shape[1:]]
    return parts[0].recorder.add("concatenate", parts, {"shape": shape})


def stack(arrays: Sequence[Operand]) -> Array:
    """Arrays of one shape along a new first axis."""
    return array([array(a) for a in arrays])


def norm(a: Operand, ord: int | float | str | None = None, axis: int | None = None) -> Array:
    """Norms of vectors, and of matrices.

    Args:
        ord: vectors: 2 (default), 1 or inf. Matrices without axis: None or "fro" Frobenius, 2 the largest
            singular value, "nuc" the sum of them.
        axis: of a matrix: the Euclidean norms of its rows (1) or columns (0).
    """
    x = array(a)
    if axis is None and x.ndim == 2 and ord in (2, "nuc", -2):
        values = singular_values(x)
        return values[0] if ord == 2 else values[-1] if ord == -2 else values.sum()
    if axis is None and x.ndim > 1 and ord not in (None, "fro"):
        raise TraceError(f"norm of a matrix with ord={ord!r}: use None, 'fro', 2, -2 or 'nuc'")
    if ord in (None, 2, "fro"):
        return sqrt((x * x).sum(axis))
    if ord == 1:
        return abs(x).sum(axis)
    if ord == math.inf:
        return abs(x).max(axis)
    raise TraceError(f"norm with ord={ord!r}: use 2, 1 or inf")


def eigenvalues(a: Operand) -> Array:
    """Of a symmetric matrix, ascending; the symmetric part (a + aᵀ)/2 is taken."""
    x = array(a)
    return x.recorder.add("eigenvalues", (x,))


def singular_values(a: Operand) -> Array:
    """Of an (n, m) matrix, descending, min(n, m) of them."""
    x = array(a)
    return x.recorder.add("singular_values", (x,))


def equal(a: Operand, b: Operand, *, resolution: float = 1e-9) -> Comparison:
    """The equality of two arrays.

    Args:
        resolution: the largest error bound, relative to the size of the sides, with which it counts as checked.
    """
    if not 0 < resolution < 1:
        raise TraceError(f"resolution {resolution!r}: give a number between 0 and 1")
    x = array(a)
    return Comparison(x, "==", x.recorder_array(b), resolution, user_line())


def oracle(
    kind: str, args: Sequence[Operand], parameters: Mapping[str, Any], shape: Sequence[int] = ()
) -> Array:
    """What is measured elsewhere, from the values of ``args``: an optimum, a supremum along a flow."""
    recorder = active()
    attributes = {"kind": kind, "parameters": dict(parameters), "shape": list(shape)}
    return recorder.add("oracle", [array(a, recorder) for a in args], attributes)


# -- numpy's names ----------------------------------------------------------------------------------------------------
_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: array(a) + b,
    "subtract": lambda a, b: array(a) - b,
    "multiply": lambda a, b: array(a) * b,
    "divide": lambda a, b: array(a) / b,
    "true_divide": lambda a, b: array(a) / b,
    "matmul": matmul,
    "power": lambda a, b: array(a) ** b if not isinstance(b, Array) else exp(b * log(a)),
    "float_power": lambda a, b: array(a) ** b,
    "negative": lambda a: -a,
    "positive": lambda a: a,
    "absolute": absolute,
    "fabs": absolute,
    "sqrt": sqrt,
    "square": lambda a: a * a,
    "reciprocal": lambda a: 1 / a,
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "tanh": tanh,
    "sin": sin,
    "cos": cos,
    "arccos": arccos,
    "sign": sign,
    "maximum": maximum,
    "minimum": minimum,
    "less_equal": lambda a, b: array(a) <= b,
    "less": lambda a, b: array(a) < b,
    "greater_equal": lambda a, b: array(a) >= b,
    "greater": lambda a, b: array(a) > b,
    "equal": lambda a, b: array(a) == b,  # refused, and so is the next one
    "not_equal": lambda a, b: array(a) != b,
}


def numpy_ufunc(name: str, method: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """numpy's universal function of this name on traced arrays."""
    if method != "__call__" or options or name not in _UFUNCS:
        raise TraceError(f"numpy.{name} is not among the operations of a program; see lemmata.ops")
    return _UFUNCS[name](*inputs)


def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Array:
    if compute_uv:
        raise TraceError("numpy.linalg.svd gives values only: write compute_uv=False")
    return singular_values(a)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": total,
    "mean": mean,
    "max": amax,
    "amax": amax,
    "min": amin,
    "amin": amin,
    "trace": trace,
    "transpose": lambda a: array(a).T,
    "reshape": lambda a, shape: array(a).reshape(shape),
    "ravel": lambda a: array(a).ravel(),
    "diag": diag,
    "diagonal": lambda a: array(a).diagonal(),
    "dot": matmul,
    "vdot": lambda a, b: array(a).ravel() @ array(b).ravel(),
    "inner": lambda a, b: array(a) @ array(b).T,
    "outer": outer,
    "concatenate": concatenate,
    "stack": stack,
    "vstack": lambda arrays: concatenate(
        [a.reshape(1, a.size) if a.ndim < 2 else a for a in map(array, arrays)]
    ),
    "hstack": lambda arrays: concatenate(arrays, axis=1 if array(arrays[0]).ndim > 1 else 0),
    "linalg.norm": norm,
    "linalg.eigvalsh": eigenvalues,
    "linalg.svdvals": singular_values,
    "linalg.svd": _svd,
    "linalg.trace": trace,
    "clip": lambda a, low, high: minimum(maximum(a, low), high),
    "shape": lambda a: a.shape,
    "ndim": lambda a: a.ndim,
    "size": lambda a: a.size,
    "zeros_like": lambda a: array(a) * 0,
    "ones_like": lambda a: array(a) * 0 + 1,
}


def numpy_function(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """numpy's function on traced arrays."""
    prefix = "linalg." if "linalg" in (function.__module__ or "") else ""
    name = prefix + function.__name__
    if name not in _FUNCTIONS:
        raise TraceError(
            f"numpy.{name} has no error bound here: it is not among the operations of lemmata.ops"
        )
    try:
        return _FUNCTIONS[name](*args, **kwargs)
    except TypeError as error:
        raise TraceError(f"numpy.{name}: {error}") from error


__all__ = [
    "absolute",
    "amax",
    "amin",
    "arccos",
    "concatenate",
    "cos",
    "diag",
    "eigenvalues",
    "equal",
    "exp",
    "expm1",
    "inner",
    "log",
    "log1p",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "norm",
    "outer",
    "pi",
    "relu",
    "sign",
    "sin",
    "singular_values",
    "sqrt",
    "stack",
    "step",
    "tanh",
    "total",
    "trace",
]
