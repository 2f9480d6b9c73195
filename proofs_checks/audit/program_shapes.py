"""The instructions of a program (see `program`): attributes, and shapes of results.

Every list is read up to a limit, and no array has more than MAX_ENTRIES entries, so that hostile data end
in Rejected before they cost memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from flint import fmpq

from proofs_checks.audit.core import Clock, Rejected, exact

MAX_AXES, MAX_NAME = 16, 300
MAX_ENTRIES = 1 << 17  # of one array
Shape = tuple[int, ...]
BINARY = ("add", "sub", "mul", "div", "max", "min")
UNARY = (
    *("neg", "abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "acos"),
    *("relu", "step", "sign"),
)


def numbers(data: Any, end: int, most: int, what: str, clock: Clock) -> list[int]:
    """A list of integers from 0 to end - 1."""
    if not isinstance(data, list) or len(data) > most:
        raise Rejected(f"{what}: expected a list of at most {most} integers")
    for number in data:
        clock.tick()
        if type(number) is not int or not 0 <= number < end:
            raise Rejected(f"{what}: other than integers from 0 to {end - 1}")
    return data


def shape_of(data: Any, clock: Clock) -> Shape:
    """A shape with a bounded number of entries."""
    shape = numbers(data, MAX_ENTRIES + 1, MAX_AXES, "shape", clock)
    return _bounded(tuple(shape))


def broadcast(a: Shape, b: Shape) -> Shape:
    """The common shape of two arrays."""
    length = max(len(a), len(b))
    pairs = zip((1,) * (length - len(a)) + a, (1,) * (length - len(b)) + b, strict=True)
    out = []
    for p, q in pairs:
        if p != q and p != 1 and q != 1:
            raise Rejected(f"the shapes {a} and {b} do not fit")
        out.append(q if p == 1 else p)
    return _bounded(tuple(out))


def _bounded(shape: Shape) -> Shape:
    if math.prod(shape) > MAX_ENTRIES:
        raise Rejected(f"an array of shape {shape} has more than {MAX_ENTRIES} entries")
    return shape


Reader = Callable[[str, list[Shape], list[Any], Clock], tuple[Shape, Any]]


def _input(op: str, shapes: list[Shape], values: list[Any], clock: Clock) -> tuple[Shape, Any]:
    name = values[0]
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise Rejected(f"{op}: a name has 1 to {MAX_NAME} characters")
    return shape_of(values[-1], clock), name if op == "input" else (name, values[1])


def _constant(op: str, shapes: list[Shape], values: list[Any], clock: Clock) -> tuple[Shape, Any]:
    shape = shape_of(values[0], clock)
    return shape, entries(values[1], shape, "constant", clock)


def entries(data: Any, shape: Shape, what: str, clock: Clock) -> list[fmpq]:
    """As many exact numbers as the shape has entries."""
    if not isinstance(data, list) or len(data) != math.prod(shape):
        raise Rejected(f"{what}: expected a flat list of the {math.prod(shape)} entries")
    out = []
    for text in data:
        clock.tick()
        out.append(exact(text, what))
    return out


def _power(op: str, shapes: list[Shape], values: list[Any], clock: Clock) -> tuple[Shape, Any]:
    return shapes[0], exact(values[0], "exponent")


def _reduce(op: str, shapes: list[Shape], values: list[Any], clock: Clock) -> tuple[Shape, Any]:
    (axis,) = numbers(values, len(shapes[0]), 1, f"{op}: axis", clock)
    if op != "sum" and shapes[0][axis] == 0:
        raise Rejected(f"{op} over an axis without entries")
    return _bounded(shapes[0][:axis] + shapes[0][axis + 1 :]), axis


def _matrix(op: str, shapes: list[Shape], values: list[Any], clock: Clock) -> tuple[Shape, Any]:
    a, b = shapes[0], shapes[-1]
    if len(a) != 2 or len(b) != 2 or (op == "matmul" and a[1] != b[0]):
        raise Rejected(f"{op}: the shapes {shapes} are not those of matrices that fit")
    if op in ("matmul", "transpose"):
        return _bounded((a[0], b[1]) if op == "matmul" else a[::-1]), None
    if 0 in a or (op == "eigenvalues" and a[0] != a[1]):
        raise Rejected(f"{op}: no matrix of shape {a} has any")
    return (min(a),), None


def _shaped(op: str, shapes: list[Shape], values: list[Any], clock: Clock) -> tuple[Shape, Any]:
    shape, size = shape_of(values[0], clock), sum(map(math.prod, shapes))
    if op == "gather":
        indices = numbers(values[1], size, MAX_ENTRIES, "indices", clock)
        if len(indices) != math.prod(shape):
            raise Rejected("gather: as many indices as the shape has entries")
        return shape, indices
    if math.prod(shape) != size:
        raise Rejected(f"{op}: {size} entries do not fill the shape {shape}")
    return shape, None


def _entrywise(op: str, shapes: list[Shape], values: list[Any], clock: Clock) -> tuple[Shape, Any]:
    return (broadcast(*shapes) if len(shapes) == 2 else shapes[0] if shapes else ()), None


READERS: dict[str, tuple[int | None, tuple[str, ...], Reader]] = {
    "pi": (0, (), _entrywise),
    **{op: (2, (), _entrywise) for op in BINARY},
    **{op: (1, (), _entrywise) for op in UNARY},
    **{op: (1, ("axis",), _reduce) for op in ("sum", "amax", "amin")},
    **{op: (1, (), _matrix) for op in ("transpose", "eigenvalues", "singular_values")},
    "matmul": (2, (), _matrix),
    "power": (1, ("exponent",), _power),
    "reshape": (1, ("shape",), _shaped),
    "gather": (1, ("shape", "indices"), _shaped),
    "concatenate": (None, ("shape",), _shaped),
    "constant": (0, ("shape", "values"), _constant),
    "input": (0, ("name", "shape"), _input),
    "oracle": (None, ("kind", "parameters", "shape"), _input),
}
