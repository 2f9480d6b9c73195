"""The values of a program (see `program`) on exact inputs: flat lists of rationals, balls and Undefined.

Every operation yields its entries one by one and is charged for them: what is kept has at most MAX_BITS
bits, and the clock is looked at for every entry and every product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flint import arb, ctx, fmpq

from proofs_checks.audit.core import Clock, Rejected
from proofs_checks.audit.program import Program, Step
from proofs_checks.audit.program_functions import (
    BINARY,
    UNARY,
    Number,
    Undefined,
    add,
    attempt,
    larger,
    multiply,
    power,
    smaller,
)
from proofs_checks.audit.program_shapes import Shape
from proofs_checks.audit.program_signs import nonnegative
from proofs_checks.audit.program_spectrum import eigenvalues, singular_values

MAX_BITS = 1 << 31
OVERHEAD, UNDEFINED = 512, 1 << 13  # bits of an object
Values = list[Number]
# (number of the instruction, instruction, values of its arguments, their shapes) -> the value
Oracle = Callable[[int, Step, list[Values], list[Shape]], Number]


def evaluate(
    program: Program, inputs: Mapping[str, list[fmpq]], oracle: Oracle, clock: Clock
) -> list[Values]:
    """The results of all instructions, with balls of ``ctx.prec`` bits."""
    signs = nonnegative(program, clock)
    results: list[Values] = []
    bits = 0
    for k, it in enumerate(program.steps):
        args = [results[a] for a in it.args]
        shapes = [program.steps[a].shape for a in it.args]
        out: Values = []
        try:
            if it.op == "input":
                found: Iterable[Number] = inputs[it.data]
            elif it.op == "oracle":
                found = [oracle(k, it, args, shapes)]
            elif it.op in ("sqrt", "power"):
                q = it.data if it.op == "power" else fmpq(1, 2)
                found = (attempt(power, x, q, signs[it.args[0]]) for x in args[0])
            else:
                found = _entries(it, args, shapes, clock)
            for x in found:
                clock.tick()
                bits += OVERHEAD + (2 * x.height_bits() if type(x) is fmpq else ctx.prec)
                if type(x) is Undefined and not x.where:
                    bits += UNDEFINED
                    x.where = f"instruction {k}, {it.op}"
                if bits > MAX_BITS:
                    raise Rejected("the values of the program need too much memory")
                out.append(x)
        except Rejected as error:
            raise Rejected(f"instruction {k}, {it.op}: {error}") from None
        results.append(out)
    return results


def _entries(it: Step, args: list[Values], shapes: list[Shape], clock: Clock) -> Iterable[Number]:
    if it.op in UNARY:
        return (attempt(UNARY[it.op], x) for x in args[0])
    if it.op in BINARY:
        places = (positions(shape, it.shape, clock) for shape in shapes)
        function, (a, b) = BINARY[it.op], args
        return (attempt(function, a[i], b[j]) for i, j in zip(*places, strict=True))
    return _OPERATIONS[it.op](it, args, shapes, clock)


def positions(shape: Shape, wide: Shape, clock: Clock) -> list[int]:
    """For every entry of the broadcast shape, the flat index of the entry that stands there."""
    if 0 in wide:
        return []
    out = [0]
    for length, copies in zip((1,) * (len(wide) - len(shape)) + shape, wide, strict=True):
        clock.tick()
        out = [k * length + (i if length > 1 else 0) for k in out for i in range(copies)]
    return out


def _constant(it: Step, *_: Any) -> Values:
    return it.data


def _pi(it: Step, *_: Any) -> Values:
    return [arb.pi()]


def _reduce(it: Step, args: list[Values], shapes: list[Shape], clock: Clock) -> Iterator[Number]:
    ((a,), (shape,)), axis = (args, shapes), it.data
    length, inner = shape[axis], math.prod(shape[axis + 1 :])
    function = {"sum": add, "amax": larger, "amin": smaller}[it.op]
    for outer in range(math.prod(shape[:axis]) if inner else 0):
        for i in range(inner):
            start = outer * length * inner + i
            total = fmpq(0) if it.op == "sum" else a[start]
            for k in range(0 if it.op == "sum" else 1, length):
                clock.tick()
                total = attempt(function, total, a[start + k * inner])
            yield total


def _matmul(it: Step, args: list[Values], shapes: list[Shape], clock: Clock) -> Iterator[Number]:
    ((a, b), ((rows, inner), (_, columns))) = args, shapes
    for i in range(rows):
        for j in range(columns):
            total = fmpq(0)
            for k in range(inner):
                clock.tick()
                term = attempt(multiply, a[i * inner + k], b[k * columns + j])
                total = attempt(add, total, term)
            yield total


def _transpose(it: Step, args: list[Values], shapes: list[Shape], _: Clock) -> Iterable[Number]:
    rows, columns = shapes[0]
    return (args[0][i * columns + j] for j in range(columns) for i in range(rows))


def _gather(it: Step, args: list[Values], *_: Any) -> Iterable[Number]:
    return (args[0][i] for i in it.data)


def _joined(it: Step, args: list[Values], *_: Any) -> Iterable[Number]:
    return (x for a in args for x in a)


def _spectrum(it: Step, args: list[Values], shapes: list[Shape], clock: Clock) -> Values:
    rows, columns = shapes[0]
    nothing = next((x for x in args[0] if type(x) is Undefined), None)
    found: Any
    if it.op == "eigenvalues":
        found = nothing or attempt(eigenvalues, args[0], rows, clock)
    else:
        found = nothing or attempt(singular_values, args[0], rows, columns, clock)
    return [found] * it.shape[0] if type(found) is Undefined else found


_OPERATIONS: dict[str, Callable[[Step, list[Values], list[Shape], Clock], Iterable[Number]]] = {
    "constant": _constant,
    "pi": _pi,
    "sum": _reduce,
    "amax": _reduce,
    "amin": _reduce,
    "matmul": _matmul,
    "transpose": _transpose,
    "gather": _gather,
    "reshape": _joined,
    "concatenate": _joined,
    "eigenvalues": _spectrum,
    "singular_values": _spectrum,
}
