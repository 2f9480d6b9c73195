"""Graphs of ``aten`` operations evaluated in extended precision (80-bit floats, 11 bits more than float64).

The local rounding error of an update is measured, not counted: the same operations on the same floats in a wider
format, minus what came out. It is known up to 2^-11 of itself, and 2^-9 of its recent size is charged for that.

Every operation here has a meaning of its own in numpy; an operation without one has no error bound, and
``missing`` names it. Where an operation is not smooth, ``numerics.descent_graph`` lists its switch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import getitem
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

Wide = np.longdouble
Array = NDArray[Any]


def available() -> bool:
    """Whether this platform has floats of at least 64 significant bits."""
    return bool(np.finfo(Wide).eps < 2e-19)


def widen(value: Any) -> Any:
    """A tensor as an array, floats as wide floats."""
    array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    return array.astype(Wide) if array.dtype.kind == "f" else array


def _axes(dim: Any) -> Any:
    if dim is None or (isinstance(dim, Sequence) and not dim):
        return None
    return tuple(dim) if isinstance(dim, Sequence) else dim


def _sum(a: Array, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
    return a.sum(axis=_axes(dim), keepdims=keepdim)


def _mean(a: Array, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
    total = a.sum(axis=_axes(dim), keepdims=keepdim)
    return total / Wide(a.size // max(1, np.size(total)))


def _norm(a: Array, order: Any = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
    if order != 2:
        raise NotImplementedError(f"a vector norm of order {order}")
    return np.sqrt((a * a).sum(axis=_axes(dim), keepdims=keepdim))


def _logsumexp(a: Array, dim: Any, keepdim: bool = False) -> Array:
    axes = _axes(dim)
    top = a.max(axis=axes, keepdims=True)
    total: Array = np.log(np.exp(a - top).sum(axis=axes, keepdims=True)) + top
    return total if keepdim else np.squeeze(total, axis=axes)


def _log_softmax(a: Array, dim: int, *_: Any) -> Array:
    return a - _logsumexp(a, dim, True)


def _sigmoid(a: Array) -> Array:
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, Wide(1), small) / (1 + small)


def _softplus(a: Array, beta: float = 1, threshold: float = 20) -> Array:
    return np.where(a * beta > threshold, a, np.logaddexp(Wide(0), a * beta) / beta)


def _softplus_backward(g: Array, a: Array, beta: float, threshold: float) -> Array:
    return np.where(a * beta > threshold, g, g * _sigmoid(a * beta))


def _leaky(a: Array, slope: float = 0.01) -> Array:
    return np.where(a > 0, a, a * slope)


def _clamp(a: Array, low: Any = None, high: Any = None, **kw: Any) -> Array:
    low, high = kw.get("min", low), kw.get("max", high)
    a = a if low is None else np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


def _slice(a: Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Array:
    return a[(slice(None),) * (dim % a.ndim) + (slice(start, end, step),)]


def _slice_backward(g: Array, sizes: Any, dim: int, start: Any, end: Any, step: int) -> Array:
    out = np.zeros(sizes, dtype=g.dtype)
    _slice(out, dim, start, end, step)[...] = g
    return out


def _select_backward(g: Array, sizes: Any, dim: int, index: int) -> Array:
    out = np.zeros(sizes, dtype=g.dtype)
    np.moveaxis(out, dim, 0)[index] = g
    return out


def _squeeze(a: Array, dim: Any = None) -> Array:
    axes = range(a.ndim) if dim is None else ([dim] if isinstance(dim, int) else dim)
    return np.squeeze(a, axis=tuple(k for k in axes if a.shape[k] == 1))


def _expand(a: Array, sizes: Any, **_: Any) -> Array:
    missing = len(sizes) - a.ndim
    shape = [a.shape[k - missing] if n == -1 else n for k, n in enumerate(sizes)]
    return np.broadcast_to(a, shape)


def _index(a: Array, indices: Any) -> Array:
    """Advanced indexing; None stands for a whole axis, as in torch."""
    return a[tuple(slice(None) if k is None else k for k in indices)]


def _index_put(a: Array, indices: Any, values: Array, accumulate: bool = False) -> Array:
    out = a.copy()
    where: Any = tuple(slice(None) if k is None else k for k in indices)
    if accumulate:
        np.add.at(out, where, values)
    else:
        out[where] = values
    return out


def _full(value: Any) -> Callable[..., Array]:
    return lambda size, *_, **kw: np.full(size, Wide(value))


def _like(value: Any) -> Callable[..., Array]:
    return lambda a, *_, **kw: np.full_like(a, value)


def _combine(sign: int) -> Callable[..., Array]:
    return lambda a, b, alpha=1: a + sign * alpha * b


def _converted(a: Array, **kw: Any) -> Array:
    """A conversion between formats; to a narrower float it rounds, which is measured like any rounding."""
    floating = getattr(kw.get("dtype"), "is_floating_point", False)
    return np.asarray(a).astype(Wide) if floating else a


def _same(a: Array, *_: Any, **kw: Any) -> Array:
    return a


TABLE: dict[str, Callable[..., Any]] = {
    "add": _combine(1),
    "sub": _combine(-1),
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "reciprocal": lambda a: 1 / a,
    "pow": np.power,
    "square": np.square,
    "sqrt": np.sqrt,
    "rsqrt": lambda a: 1 / np.sqrt(a),
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "tanh_backward": lambda g, out: g * (1 - out * out),
    "sigmoid": _sigmoid,
    "sigmoid_backward": lambda g, out: g * (1 - out) * out,
    "logaddexp": np.logaddexp,
    "log_sigmoid_forward": lambda a: (-np.logaddexp(Wide(0), -a), a),
    "log_sigmoid_backward": lambda g, a, _: g * _sigmoid(-a),
    "softplus": _softplus,
    "softplus_backward": _softplus_backward,
    "logsumexp": _logsumexp,
    "_log_softmax": _log_softmax,
    "_softmax": lambda a, dim, *_: np.exp(_log_softmax(a, dim)),
    "_log_softmax_backward_data": lambda g, out, dim, *_: (
        g - np.exp(out) * g.sum(axis=dim, keepdims=True)
    ),
    "_softmax_backward_data": lambda g, out, dim, *_: (
        out * (g - (g * out).sum(axis=dim, keepdims=True))
    ),
    "sum": _sum,
    "mean": _mean,
    "linalg_vector_norm": _norm,
    "dot": np.dot,
    "mv": np.matmul,
    "mm": np.matmul,
    "bmm": np.matmul,
    "addmm": lambda c, a, b: c + a @ b,
    "baddbmm": lambda c, a, b: c + a @ b,
    # switches
    "relu": lambda a: np.maximum(a, 0),
    "leaky_relu": _leaky,
    "leaky_relu_backward": lambda g, a, slope, _: np.where(a > 0, g, g * slope),
    "threshold_backward": lambda g, a, level: np.where(a > level, g, 0),
    "abs": np.abs,
    "sgn": np.sign,
    "sign": np.sign,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "clamp": _clamp,
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "where": np.where,
    "masked_fill": lambda a, mask, value: np.where(mask, value, a),
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_not": np.bitwise_not,
    # shapes
    "reshape": lambda a, shape: np.reshape(a, shape),
    "permute": np.transpose,
    "transpose": np.swapaxes,
    "t": np.transpose,
    "expand": _expand,
    "unsqueeze": lambda a, dim: np.expand_dims(a, dim),
    "squeeze": _squeeze,
    "select": lambda a, dim, index: np.take(a, index, axis=dim),
    "select_backward": _select_backward,
    "slice": _slice,
    "slice_backward": _slice_backward,
    "cat": lambda parts, dim=0: np.concatenate(parts, axis=dim),
    "stack": lambda parts, dim=0: np.stack(parts, axis=dim),
    "flip": lambda a, dims: np.flip(a, axis=tuple(dims)),
    "index": _index,
    "index_select": lambda a, dim, index: np.take(a, index, axis=dim),
    "index_put": _index_put,
    "clone": _same,
    "detach": _same,
    "_to_copy": _converted,
    "alias": _same,
    "contiguous": _same,
    "lift_fresh_copy": _same,
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "new_zeros": lambda a, size, **_: np.zeros(size, dtype=a.dtype),
    "full_like": lambda a, value, **_: np.full_like(a, value),
    "full": lambda size, value, **_: np.full(size, Wide(value)),
    "zeros": _full(0),
    "ones": _full(1),
    "scalar_tensor": lambda value, **_: Wide(value),
}


def _name(node: Node) -> str:
    return str(node.target).removeprefix("aten.").split(".")[0].rstrip("_")


def _has_meaning(node: Node) -> bool:
    if node.kwargs.get("rounding_mode") is not None:
        return False
    if _name(node) == "_to_copy" and node.kwargs.get("dtype") is not None:
        # Numbers that are cut to whole ones, or to truth values, jump.
        operand: Any = node.args[0]
        if not hasattr(operand, "meta"):
            return True  # a number
        to = node.kwargs["dtype"].is_floating_point  # type: ignore[union-attr]
        source = operand.meta.get("tensor_meta")
        return bool(to or (source is not None and not source.dtype.is_floating_point))
    return _name(node) in TABLE


def missing(graph: GraphModule) -> tuple[str, ...]:
    """Operations of the graph that have no wide meaning."""
    called = [n for n in graph.graph.nodes if n.op == "call_function" and n.target is not getitem]
    return tuple(sorted({_name(n) for n in called if not _has_meaning(n)}))


def evaluate(graph: GraphModule, *arguments: Any) -> Any:
    """The outputs of the graph in wide floats; ``arguments`` are tensors or arrays."""
    values: dict[Node, Any] = {}
    given = iter(arguments)

    def read(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return [read(item) for item in x]
        return values[x] if hasattr(x, "op") else x

    result: Any = None
    with np.errstate(all="ignore"):
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                values[node] = widen(next(given))
            elif node.op == "get_attr":
                values[node] = widen(getattr(graph, str(node.target)))
            elif node.op == "output":
                result = read(node.args[0])
            elif node.target is getitem:
                values[node] = read(node.args[0])[node.args[1]]
            else:
                kwargs = {k: read(v) for k, v in node.kwargs.items()}
                values[node] = TABLE[_name(node)](*read(node.args), **kwargs)
    return result
