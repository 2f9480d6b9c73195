"""Tracing: arrays that record what is done with them, so that a function of a case becomes a program.

Inside ``with Recorder() as recorder:`` the arrays of a case are `Array` objects; arithmetic, indexing, methods, the
functions of `theory.array_functions` and numpy's functions of the same names build instructions. A traced array has no
value: it cannot be printed as a number, branched on, or converted. Comparisons give a `Comparison`, which has no truth
value either.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from theory.program import (
    MAX_INSTRUCTIONS,
    MAX_TOTAL,
    ArrayRelation,
    Instruction,
    Program,
    ProgramError,
    Shape,
    broadcast,
    infer,
)
from theory.tracing_shapes import Shaped, TraceError, frozen, reduce

LARGEST_EXPONENT = 1_000_000
Number: TypeAlias = int | float | Fraction
Operand: TypeAlias = "Array | Number | Sequence[Any]"

_ROOMS = tuple(
    str(Path(__file__).parents[1] / room)
    for room in ("theory", "proofs_checks", "numerics", "lemmata")
)
_active: ContextVar[Recorder | None] = ContextVar("lemmata_recorder", default=None)


@dataclass(frozen=True)
class FreeConstant:
    """A constant whose best value is asked for; see `Recorder.constant`."""

    name: str
    low: Fraction | None
    high: Fraction | None


class Recorder:
    """Builds a program; a context within which arrays of the case may be combined."""

    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        self._known: dict[Any, int] = {}
        self._hypotheses: list[ArrayRelation] = []
        self._token: Any = None
        self._entries = 0
        self.home: FrameType | None = None
        self.constants: dict[str, FreeConstant] = {}

    def __enter__(self) -> Recorder:
        self._token = _active.set(self)
        self.home = sys._getframe(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.home = None  # it holds all that is known there
        _active.reset(self._token)

    def add(
        self, op: str, args: Sequence[Array] = (), attributes: Mapping[str, Any] | None = None
    ) -> Array:
        """The result of one more instruction; an equal one is not repeated.

        Raises:
            ProgramError: operands that do not fit.
        """
        attributes = attributes or {}
        if any(a.recorder is not self for a in args):
            raise TraceError(
                "an array of another case, kept from an earlier call: use the argument of the function alone"
            )
        numbers = tuple(a.number for a in args)
        key = (op, numbers, frozen(attributes))
        if key not in self._known:
            shape = infer(op, [a.shape for a in args], attributes)
            self._entries += math.prod(shape)
            if len(self._instructions) == MAX_INSTRUCTIONS or self._entries > MAX_TOTAL:
                raise TraceError(
                    f"more than {MAX_INSTRUCTIONS} operations or {MAX_TOTAL} entries of intermediate results; take "
                    "fewer steps, or smaller shapes"
                )
            self._known[key] = len(self._instructions)
            self._instructions.append(Instruction(op, numbers, attributes, shape, user_line()))
        number = self._known[key]
        return Array(self, number, self._instructions[number].shape)

    def input(self, name: str, shape: Shape) -> Array:
        """An array of the case."""
        return self.add("input", (), {"name": name, "shape": list(shape)})

    def constant(self, name: str, low: Number | None, high: Number | None) -> Array:
        """A free constant: the input ``constant:NAME``."""
        ends = [None if x is None else Fraction(x) for x in (low, high)]
        own = FreeConstant(name, *ends)
        if self.constants.setdefault(name, own) != own:
            raise TraceError(f"the constant {name!r} is declared twice with different ranges")
        return self.input(f"constant:{name}", ())

    def assume(self, comparison: Comparison, name: str = "") -> None:
        """A hypothesis."""
        self._hypotheses.append(comparison.relation(self, name))

    def program(self, conclusions: Sequence[tuple[str, Comparison]]) -> Program:
        """The program whose conclusions are the named comparisons."""
        relations = tuple(c.relation(self, name) for name, c in conclusions)
        return Program(tuple(self._instructions), tuple(self._hypotheses), relations)


def active() -> Recorder:
    """The recorder of the function that is being traced.

    Raises:
        TraceError: none is.
    """
    found = _active.get()
    if found is None:
        raise TraceError("this belongs inside a function decorated with lemmata.conjecture")
    return found


def is_tracing() -> bool:
    """Whether a function is being traced."""
    return _active.get() is not None


def user_line() -> int:
    """The line outside of this package from which we were called, 0 if there is none in what is being traced."""
    recorder = _active.get()
    home = None if recorder is None else recorder.home
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_ROOMS) and "/numpy/" not in name:
            return frame.f_lineno
        frame = None if frame is home else frame.f_back
    return 0


@dataclass(frozen=True, eq=False)
class Comparison:
    """``lhs op rhs`` between arrays, entry by entry.

    Attributes:
        resolution: of an equality: the largest error, relative to its scale, with which it counts as checked.
    """

    lhs: Array
    op: str
    rhs: Array
    resolution: float = 0.0
    line: int = 0

    def __post_init__(self) -> None:
        broadcast(self.lhs.shape, self.rhs.shape)

    def relation(self, recorder: Recorder, name: str) -> ArrayRelation:
        """The relation between the numbers of instructions."""
        if self.lhs.recorder is not recorder or self.rhs.recorder is not recorder:
            raise TraceError("a comparison of another case: compare what depends on the argument")
        return ArrayRelation(
            self.lhs.number, self.op, self.rhs.number, name, self.resolution, self.line
        )

    def _no_truth(self, *_: object) -> Any:
        raise TraceError(
            "a comparison of traced arrays has no truth value: return it, or give it to lemmata.assume; "
            "for max and min use lemmata.ops.maximum and minimum, and give chained comparisons one by one"
        )

    __bool__ = __eq__ = __ne__ = _no_truth
    __hash__ = None  # type: ignore[assignment]


# -- arrays ---------------------------------------------------------------------------------------------------------
class Array(Shaped):
    """A traced array of known shape.

    Attributes:
        recorder: what it belongs to. number: of its instruction. shape: of its value.
    """

    __slots__ = ("number", "recorder", "shape")
    recorder: Recorder
    number: int
    shape: Shape
    __array_priority__ = 1000.0

    def __init__(self, recorder: Recorder, number: int, shape: Shape) -> None:
        self.recorder, self.number, self.shape = recorder, number, shape

    # numpy's own functions of the same name; see theory.array_functions
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from theory.array_functions import numpy_ufunc

        return numpy_ufunc(ufunc.__name__, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from theory.array_functions import numpy_function

        return numpy_function(function, args, kwargs)

    # arithmetic
    def _with(self, op: str, other: Any, swap: bool = False) -> Array:
        b = self.recorder_array(other)
        return self.recorder.add(op, (b, self) if swap else (self, b))

    def recorder_array(self, other: Any) -> Array:
        """Another operand as an array of the same recorder."""
        return array(other, self.recorder)

    def __add__(self, other: Operand) -> Array:
        return self._with("add", other)

    def __radd__(self, other: Operand) -> Array:
        return self._with("add", other, swap=True)

    def __sub__(self, other: Operand) -> Array:
        return self._with("sub", other)

    def __rsub__(self, other: Operand) -> Array:
        return self._with("sub", other, swap=True)

    def __mul__(self, other: Operand) -> Array:
        return self._with("mul", other)

    def __rmul__(self, other: Operand) -> Array:
        return self._with("mul", other, swap=True)

    def __truediv__(self, other: Operand) -> Array:
        return self._with("div", other)

    def __rtruediv__(self, other: Operand) -> Array:
        return self._with("div", other, swap=True)

    def __matmul__(self, other: Operand) -> Array:
        return _matmul(self, self.recorder_array(other))

    def __rmatmul__(self, other: Operand) -> Array:
        return _matmul(self.recorder_array(other), self)

    def dot(self, other: Operand) -> Array:
        """As ``@``."""
        return self @ other

    def __neg__(self) -> Array:
        return self.recorder.add("neg", (self,))

    def __pos__(self) -> Array:
        return self

    def __abs__(self) -> Array:
        return self.recorder.add("abs", (self,))

    def __pow__(self, exponent: Number) -> Array:
        if isinstance(exponent, Array | bool):
            raise TraceError("an exponent is a number: write exp(b * log(a)) for a variable one")
        q = Fraction(exponent)
        if abs(q) > LARGEST_EXPONENT:
            raise TraceError(
                f"the exponent {float(q):.3g}: give one of at most {LARGEST_EXPONENT:,}; larger powers are 0, 1 or "
                "beyond every number"
            )
        return self.recorder.add("power", (self,), {"exponent": str(q)})

    def __rpow__(self, base: Number) -> Array:
        return self.recorder.add(
            "exp", (self * self.recorder.add("log", (self.recorder_array(base),)),)
        )

    # comparisons
    def __le__(self, other: Operand) -> Comparison:
        return Comparison(self, "<=", self.recorder_array(other), line=user_line())

    def __ge__(self, other: Operand) -> Comparison:
        return Comparison(self.recorder_array(other), "<=", self, line=user_line())

    def __lt__(self, other: Operand) -> Comparison:
        return Comparison(self, "<", self.recorder_array(other), line=user_line())

    def __gt__(self, other: Operand) -> Comparison:
        return Comparison(self.recorder_array(other), "<", self, line=user_line())

    def __eq__(self, other: object) -> Any:
        raise TraceError(
            "== and != of traced arrays would have to be True or False here: write lemmata.ops.equal(a, b) for an "
            "equality that is to hold; a program cannot branch on the values of a case"
        )

    __ne__ = __eq__
    __hash__ = None  # type: ignore[assignment]

    # what a value would be needed for
    def __bool__(self) -> bool:
        raise TraceError("a traced array has no truth value: a program cannot branch on it")

    def _no_value(self, *_: object) -> Any:
        raise TraceError(
            "a traced array has no value and no error bound as a plain number: stay with the operations of "
            "lemmata.ops, or numpy's of the same names"
        )

    __float__ = __int__ = __complex__ = __index__ = __array__ = tolist = item = _no_value
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __round__ = _no_value

    def __repr__(self) -> str:
        return f"<traced array of shape {self.shape}>"


def array(value: Any, recorder: Recorder | None = None) -> Array:
    """A number, nested lists or a numpy array as a constant; a traced array as it is.

    Floats are the binary64 numbers that they are.

    Raises:
        TraceError: not numbers, or not finite.
    """
    if isinstance(value, Array):
        return value
    recorder = recorder or active()
    flat: list[str] = []
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple) and _any_array(value):
        parts = [array(v, recorder) for v in value]
        if len({p.shape for p in parts}) != 1:
            raise TraceError("rows of different shapes")
        shape = [len(parts), *parts[0].shape]
        return recorder.add("concatenate", parts, {"shape": shape})
    shape_ = _flatten(value, flat)
    return recorder.add("constant", (), {"shape": list(shape_), "values": flat})


def _any_array(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_any_array, value))
    return isinstance(value, Array)


def _flatten(value: Any, out: list[str]) -> Shape:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        shapes = {_flatten(v, out) for v in value}
        if len(shapes) > 1:
            raise TraceError("rows of different shapes")
        return (len(value), *(shapes.pop() if shapes else ()))
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise TraceError(f"the constant {value} is not finite")
    if not isinstance(value, int | float | Fraction):
        raise TraceError(f"{type(value).__name__} is no number that a program can hold")
    out.append(str(Fraction(value)))
    return ()


def _matmul(a: Array, b: Array) -> Array:
    """As numpy: vectors are rows on the left and columns on the right."""
    if not a.ndim or not b.ndim or a.ndim > 2 or b.ndim > 2:
        raise ProgramError(f"@ takes vectors and matrices, not shapes {a.shape} and {b.shape}")
    left = a if a.ndim == 2 else a.reshape(1, a.shape[0])
    right = b if b.ndim == 2 else b.reshape(b.shape[0], 1)
    out = a.recorder.add("matmul", (left, right))
    shape = (out.shape[:1] if a.ndim == 2 else ()) + (out.shape[1:] if b.ndim == 2 else ())
    return out.reshape(*shape) if shape != out.shape else out


__all__ = [
    "Array",
    "Comparison",
    "FreeConstant",
    "Number",
    "Operand",
    "Recorder",
    "TraceError",
    "active",
    "array",
    "is_tracing",
    "reduce",
    "user_line",
]
