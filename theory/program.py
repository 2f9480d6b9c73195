"""Straight-line programs on arrays: what a conjecture's function becomes when it is traced.

A program is a list of *instructions*, each an operator, the numbers of earlier instructions, and attributes. The shape
of every result is known. A program is plain data: ``numerics`` evaluates it on batches of floats, with and without a
bound on the error, ``proofs_checks`` in ball arithmetic, and the audit kernel has its own reader of the same format.

Plain data: ``{"instructions": [[op, [args], attributes], ...], "hypotheses": [RELATION, ...], "conclusions":
[RELATION, ...]}`` with ``RELATION = [lhs, "<=" | "<" | "==", rhs]``, lhs and rhs numbers of instructions. A relation
between arrays (of one shape, after broadcasting) holds when it holds entry by entry. Operators:

=========================================  ============================================================
``input`` {name, shape}                    an array of the case
``constant`` {shape, values}               rationals "p/q", flat, in row-major order
``pi``                                     π
``add sub mul div max min`` (a, b)         entry by entry, broadcasting as numpy does
``neg abs sqrt exp expm1 log log1p tanh    entry by entry; sign(0) = step(0) = 0, step(x) = 1 for x > 0
sin cos acos relu step sign`` (a)
``power`` (a) {exponent}                   a rational exponent "p/q"
``sum amax amin`` (a) {axis}               over one axis, which disappears
``matmul`` (a, b)                          of two matrices
``reshape`` (a) {shape}                    row-major
``transpose`` (a)                          of a matrix
``gather`` (a) {shape, indices}            entries of the flat array a
``concatenate`` (a, b, ...) {shape}        the flat arrays one after the other, reshaped
``eigenvalues`` (a)                        of the symmetric matrix (a + aᵀ)/2, ascending
``singular_values`` (a)                    of a matrix, descending, min(n, m) of them
``oracle`` (...) {kind, parameters, shape} measured elsewhere: an optimum, a supremum along a flow
=========================================  ============================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeAlias

from theory.errors import LemmataError

Shape: TypeAlias = tuple[int, ...]

BINARY = frozenset({"add", "sub", "mul", "div", "max", "min"})
UNARY = frozenset(
    {"neg", "abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "acos"}
    | {"relu", "step", "sign"}
)
REDUCTIONS = frozenset({"sum", "amax", "amin"})
RELATIONS = ("<=", "<", "==")
MAX_INSTRUCTIONS = 50_000
MAX_ENTRIES = 1_000_000  # of one array
MAX_TOTAL = 20_000_000  # of all arrays together


class ProgramError(LemmataError):
    """Operands that do not fit, or plain data that are no program."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One step of a program.

    Attributes:
        op: the operator. args: numbers of earlier instructions. attributes: plain data; see the module's docstring.
        shape: of the result. line: of the user's file, 0 where unknown; not part of the plain data.
    """

    op: str
    args: tuple[int, ...]
    attributes: Mapping[str, Any]
    shape: Shape
    line: int = field(default=0, compare=False)

    def to_data(self) -> list[Any]:
        """``[op, [args], attributes]``."""
        return [self.op, list(self.args), dict(self.attributes)]


@dataclass(frozen=True, slots=True)
class ArrayRelation:
    """``lhs op rhs`` between the results of two instructions.

    Attributes:
        name: what messages call it. resolution: for "==": the largest relative error with which it counts as checked.
        line: of the user's file.
    """

    lhs: int
    op: str
    rhs: int
    name: str = ""
    resolution: float = 0.0
    line: int = 0

    def to_data(self) -> list[Any]:
        """``[lhs, op, rhs]``."""
        return [self.lhs, self.op, self.rhs]


@dataclass(frozen=True, slots=True)
class Program:
    """A traced function: instructions, what it assumes and what it concludes."""

    instructions: tuple[Instruction, ...]
    hypotheses: tuple[ArrayRelation, ...]
    conclusions: tuple[ArrayRelation, ...]

    @property
    def inputs(self) -> dict[str, int]:
        """Name -> number of the instruction, for every input."""
        return {i.attributes["name"]: k for k, i in enumerate(self.instructions) if i.op == "input"}

    @property
    def oracles(self) -> frozenset[str]:
        """The kinds of oracles that are asked."""
        return frozenset(i.attributes["kind"] for i in self.instructions if i.op == "oracle")

    def sides(self) -> list[int]:
        """The numbers of all instructions that a relation compares, each once."""
        relations = (*self.hypotheses, *self.conclusions)
        return list(dict.fromkeys(k for r in relations for k in (r.lhs, r.rhs)))

    def to_data(self) -> dict[str, Any]:
        """Plain data; see the module's docstring."""
        return {
            "instructions": [i.to_data() for i in self.instructions],
            "hypotheses": [r.to_data() for r in self.hypotheses],
            "conclusions": [r.to_data() for r in self.conclusions],
        }

    def pruned(self) -> Program:
        """The same relations, without the instructions on which none of them depends."""
        kept = self.needed(self.sides())
        new = {old: k for k, old in enumerate(kept)}
        return Program(
            tuple(
                replace(i, args=tuple(new[a] for a in i.args))
                for i in map(self.instructions.__getitem__, kept)
            ),
            *(
                tuple(replace(r, lhs=new[r.lhs], rhs=new[r.rhs]) for r in group)
                for group in (self.hypotheses, self.conclusions)
            ),
        )

    def needed(self, wanted: Sequence[int]) -> list[int]:
        """The instructions on which those wanted depend, themselves included, in order."""
        seen: set[int] = set()
        stack = list(wanted)
        while stack:
            k = stack.pop()
            if k not in seen:
                seen.add(k)
                stack.extend(self.instructions[k].args)
        return sorted(seen)


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of an operation entry by entry.

    Raises:
        ProgramError: the shapes do not fit.
    """
    length = max(len(a), len(b))
    padded = [(1,) * (length - len(s)) + s for s in (a, b)]
    out = []
    for p, q in zip(*padded, strict=True):
        if p != q and 1 not in (p, q):
            raise ProgramError(
                f"shapes {_shown(a)} and {_shown(b)} do not fit; reshape or transpose one of them"
            )
        out.append(q if p == 1 else p)
    return tuple(out)


def infer(op: str, shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> Shape:
    """The shape of the result of an instruction, whose attributes are checked.

    Raises:
        ProgramError: an unknown operator, operands that do not fit, or malformed attributes.
    """
    if op in BINARY:
        _arity(op, shapes, 2, attributes)
        return broadcast(*shapes)
    if op in UNARY:
        _arity(op, shapes, 1, attributes)
        return shapes[0]
    if op == "pi":
        _arity(op, shapes, 0, attributes)
        return ()
    if op == "power":
        _arity(op, shapes, 1, attributes, "exponent")
        _rational(attributes["exponent"])
        return shapes[0]
    if op in REDUCTIONS:
        _arity(op, shapes, 1, attributes, "axis")
        axis = attributes["axis"]
        if type(axis) is not int or not 0 <= axis < len(shapes[0]):
            raise ProgramError(f"{op} over axis {axis!r} of an array of shape {_shown(shapes[0])}")
        if op != "sum" and shapes[0][axis] == 0:
            raise ProgramError(f"{op} over an axis without entries")
        return shapes[0][:axis] + shapes[0][axis + 1 :]
    if op == "matmul":
        _arity(op, shapes, 2, attributes)
        a, b = shapes
        if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
            raise ProgramError(f"matmul of shapes {_shown(a)} and {_shown(b)} does not fit")
        return a[0], b[1]
    if op == "transpose":
        _arity(op, shapes, 1, attributes)
        if len(shapes[0]) != 2:
            raise ProgramError(f"transpose takes a matrix, not shape {_shown(shapes[0])}")
        return shapes[0][::-1]
    if op in ("eigenvalues", "singular_values"):
        _arity(op, shapes, 1, attributes)
        (a,) = shapes
        if len(a) != 2 or 0 in a or (op == "eigenvalues" and a[0] != a[1]):
            kind = "a square matrix" if op == "eigenvalues" else "a matrix"
            raise ProgramError(f"{op} takes {kind}, not shape {_shown(a)}")
        return (min(a),)
    if op in ("input", "constant", "reshape", "gather", "concatenate", "oracle"):
        return _shaped(op, shapes, attributes)
    raise ProgramError(f"unknown operator {op!r}")


def _shaped(op: str, shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> Shape:
    """The operators that carry their own shape."""
    extra = {
        "input": ("name",),
        "constant": ("values",),
        "reshape": (),
        "gather": ("indices",),
        "concatenate": (),
        "oracle": ("kind", "parameters"),
    }[op]
    count = {"input": 0, "constant": 0, "reshape": 1, "gather": 1}.get(op, len(shapes))
    _arity(op, shapes, count, attributes, "shape", *extra)
    shape = attributes["shape"]
    if not isinstance(shape, list | tuple) or not all(type(s) is int and s >= 0 for s in shape):
        raise ProgramError(f"{op}: {shape!r:.60} is no shape")
    size = math.prod(shape)
    if size > MAX_ENTRIES:
        raise ProgramError(f"{op}: {size} entries, more than {MAX_ENTRIES}")
    if op in ("reshape", "concatenate") and size != sum(map(math.prod, shapes)):
        raise ProgramError(
            f"{op}: {sum(map(math.prod, shapes))} entries do not fill {_shown(shape)}"
        )
    if op == "gather":
        indices, source = attributes["indices"], math.prod(shapes[0])
        if not isinstance(indices, list | tuple) or len(indices) != size:
            raise ProgramError(f"gather: as many indices as the shape {_shown(shape)} has entries")
        if not all(type(i) is int and 0 <= i < source for i in indices):
            raise ProgramError(f"gather: an index outside 0...{source - 1}")
    if op == "constant":
        values = attributes["values"]
        if not isinstance(values, list | tuple) or len(values) != size:
            raise ProgramError(f"constant: as many values as the shape {_shown(shape)} has entries")
        for value in values:
            _rational(value)
    if op in ("input", "oracle"):
        word = attributes["name" if op == "input" else "kind"]
        if not isinstance(word, str) or not word:
            raise ProgramError(f"{op}: {word!r:.60} is no name")
    return tuple(shape)


def from_data(data: Any) -> Program:
    """The inverse of `Program.to_data`.

    Raises:
        ProgramError: the data are no program, or one beyond the limits of size.
    """
    keys = ("instructions", "hypotheses", "conclusions")
    if not isinstance(data, Mapping) or set(data) != set(keys):
        raise ProgramError(f"no program: expected an object with exactly {', '.join(keys)}")
    listed, *groups = (data[key] for key in keys)
    if not all(isinstance(group, list) for group in (listed, *groups)):
        raise ProgramError(f"no program: {', '.join(keys)} are lists")
    if len(listed) > MAX_INSTRUCTIONS:
        raise ProgramError(f"a program of more than {MAX_INSTRUCTIONS} instructions")
    instructions: list[Instruction] = []
    total = 0
    for k, item in enumerate(listed):
        if not (isinstance(item, list) and len(item) == 3 and isinstance(item[2], dict)):
            raise ProgramError(f"instruction {k}: expected [op, [args], attributes]")
        op, args, attributes = item
        known = isinstance(op, str) and isinstance(args, list)
        if not known or not all(type(a) is int and 0 <= a < k for a in args):
            raise ProgramError(f"instruction {k}: arguments are numbers of earlier instructions")
        shape = infer(op, [instructions[a].shape for a in args], attributes)
        total += math.prod(shape)
        if total > MAX_TOTAL:
            raise ProgramError(f"a program with more than {MAX_TOTAL} entries")
        instructions.append(Instruction(op, tuple(args), attributes, shape))
    relations = [tuple(_relation(item, instructions) for item in group) for group in groups]
    return Program(tuple(instructions), *relations)


def _relation(item: Any, instructions: Sequence[Instruction]) -> ArrayRelation:
    if not (isinstance(item, list) and len(item) == 3 and item[1] in RELATIONS):
        raise ProgramError(f"{item!r:.60} is no relation; expected [lhs, op, rhs]")
    lhs, op, rhs = item
    if not all(type(k) is int and 0 <= k < len(instructions) for k in (lhs, rhs)):
        raise ProgramError(f"{item!r:.60}: the sides are numbers of instructions")
    broadcast(instructions[lhs].shape, instructions[rhs].shape)
    return ArrayRelation(lhs, op, rhs)


def _arity(
    op: str, shapes: Sequence[Shape], count: int, attributes: Mapping[str, Any], *names: str
) -> None:
    if len(shapes) != count:
        raise ProgramError(f"{op} takes {count} argument(s), not {len(shapes)}")
    if set(attributes) != set(names):
        raise ProgramError(f"{op} has the attributes {', '.join(names) or 'none'}")


def _rational(text: Any) -> Fraction:
    try:
        if isinstance(text, str):
            return Fraction(text)
    except (ValueError, ZeroDivisionError):
        pass
    raise ProgramError(f"{text!r:.60} is no rational; write 'p/q'")


def _shown(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
