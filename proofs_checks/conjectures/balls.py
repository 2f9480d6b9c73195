"""Programs on exact rationals: exact as long as the operations are rational and the numbers short, balls beyond."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from itertools import product
from typing import Any, TypeAlias

from flint import arb, arb_mat, ctx, fmpq, fmpq_mat

from numerics.program_signs import Signs, signs
from proofs_checks.conjectures import ball_spectra
from proofs_checks.conjectures.ball_numbers import (
    UNKNOWN,
    Arithmetic,
    Number,
    Undefined,
    ball_of,
    cap,
    exact_at_zero,
    larger,
    rational,
    sign,
    smaller,
    step,
    tanh,
)
from theory.errors import LemmataError
from theory.program import Instruction, Program, Shape

Ball: TypeAlias = "fmpq | arb"
# (parameters, arguments as flat lists, bits) -> the flat list of the result, or a pair of it and of data to keep
BallOracle: TypeAlias = Callable[[Mapping[str, Any], list[list[Any]], int], Any]


def evaluate(
    program: Program,
    values: Mapping[str, Sequence[Fraction]],
    wanted: Sequence[int],
    *,
    bits: int,
    oracles: Mapping[str, BallOracle] | None = None,
) -> dict[int, list[Ball]]:
    """The values of some instructions, enclosed.

    Args:
        values: name of an input -> its entries, flat, in row-major order.
        wanted: numbers of instructions.
        bits: the precision of balls.
        oracles: kind -> function of parameters, arguments (flat lists) and bits, that returns a flat list, or a pair of
            such a list and anything else.

    Returns:
        Number -> flat list of fmpq (exact) and arb; a ball that is not finite where a number is, or may be, undefined.

    Raises:
        LemmataError: a missing or mis-shaped input, or an oracle without balls.
    """
    found = explore(program, values, wanted, bits=bits, oracles=oracles)
    return {
        k: [UNKNOWN if isinstance(x, Undefined) else x for x in numbers]
        for k, numbers in found.items()
    }


def explore(
    program: Program,
    values: Mapping[str, Sequence[Fraction]],
    wanted: Sequence[int],
    *,
    bits: int,
    oracles: Mapping[str, BallOracle] | None = None,
) -> dict[int, list[Number]]:
    """As `evaluate`, with `Undefined` where a number is undefined for certain: it says which instruction was first."""
    facts = signs(program.instructions)
    arithmetic = Arithmetic(cap(bits))
    at: dict[int, list[Number]] = {}
    with ctx.workprec(bits):
        for k in program.needed(wanted):
            i = program.instructions[k]
            arithmetic.instruction = k
            args = [at[a] for a in i.args]
            if i.op == "input":
                at[k] = _input(i, values)
            elif i.op == "oracle":
                at[k] = _ask(i, args, bits, oracles or {})
            else:
                shapes = [program.instructions[a].shape for a in i.args]
                at[k] = _apply(i, args, shapes, arithmetic, facts)
    return {k: at[k] for k in wanted}


def _input(i: Instruction, values: Mapping[str, Sequence[Fraction]]) -> list[Number]:
    name = i.attributes["name"]
    if name not in values:
        raise LemmataError(f"the input {name!r} is missing: give its values")
    out: list[Number] = [rational(Fraction(x)) for x in values[name]]
    if len(out) != _size(i.shape):
        raise LemmataError(f"the input {name!r} has {len(out)} values for the shape {i.shape}")
    return out


def _ask(
    i: Instruction, args: list[list[Number]], bits: int, oracles: Mapping[str, BallOracle]
) -> list[Number]:
    kind = i.attributes["kind"]
    if kind not in oracles:
        raise LemmataError(
            f"the oracle {kind!r} has no balls: judge the case with its error bounds"
        )
    for x in (x for a in args for x in a):
        if isinstance(x, Undefined):
            return [x] * _size(i.shape)
    found = oracles[kind](i.attributes["parameters"], args, bits)
    if isinstance(found, tuple):
        found = found[0]
    if len(found) != _size(i.shape):
        raise LemmataError(f"the oracle {kind!r} gives {len(found)} numbers for {i.shape}")
    return list(found)


def _apply(
    i: Instruction,
    args: list[list[Number]],
    shapes: list[Shape],
    arithmetic: Arithmetic,
    facts: Signs,
) -> list[Number]:
    op, attributes = i.op, i.attributes
    if op == "constant":
        return [rational(Fraction(text)) for text in attributes["values"]]
    if op == "pi":
        return [arb.pi()]
    if op in _BINARY or op == "div":
        f = arithmetic.lift(arithmetic.divide if op == "div" else _BINARY[op])
        first, second = (broadcast(a, s, i.shape) for a, s in zip(args, shapes, strict=True))
        return [f(x, y) for x, y in zip(first, second, strict=True)]
    if op == "reshape":
        return args[0]
    if op == "concatenate":
        return [x for a in args for x in a]
    if op == "gather":
        return [args[0][k] for k in attributes["indices"]]
    if op == "transpose":
        n, m = shapes[0]
        return [args[0][r * m + c] for c in range(m) for r in range(n)]
    if op in _FOLDS:
        return _fold(arithmetic.lift(_FOLDS[op]), args[0], shapes[0], attributes["axis"])
    if op == "matmul":
        return _matmul(args, shapes, arithmetic)
    if op in ("eigenvalues", "singular_values"):
        return _spectrum(op, args[0], shapes[0], arithmetic)
    nonnegative = facts.nonnegative[i.args[0]]
    if op == "power":
        q = Fraction(attributes["exponent"])
        return list(map(arithmetic.lift(lambda x: arithmetic.power(x, q, nonnegative)), args[0]))
    if op == "sqrt":
        return list(map(arithmetic.lift(lambda x: arithmetic.root(x, nonnegative)), args[0]))
    if op in ("log", "log1p", "acos"):
        return list(map(arithmetic.lift(getattr(arithmetic, op)), args[0]))
    return list(map(arithmetic.lift(_UNARY[op]), args[0]))


def _size(shape: Shape) -> int:
    return reduce(lambda x, y: x * y, shape, 1)


def _strides(shape: Shape) -> list[int]:
    return [_size(shape[a + 1 :]) for a in range(len(shape))]


def broadcast(a: list[Number], shape: Shape, to: Shape) -> list[Number]:
    if shape == to:
        return a
    if len(a) == 1:
        return a * _size(to)
    padded = (1,) * (len(to) - len(shape)) + shape
    strides = [s if n > 1 else 0 for n, s in zip(padded, _strides(padded), strict=True)]
    return [
        a[sum(p * s for p, s in zip(where, strides, strict=True))]
        for where in product(*map(range, to))
    ]


def _fold(f: Callable[..., Number], a: list[Number], shape: Shape, axis: int) -> list[Number]:
    length, inner = shape[axis], _size(shape[axis + 1 :])
    out: list[Number] = []
    for outer in range(_size(shape[:axis])):
        for k in range(inner):
            start = outer * length * inner + k
            row = a[start : start + length * inner : inner] if length else []
            out.append(reduce(f, row) if row else fmpq(0))
    return out


def _matmul(args: list[list[Number]], shapes: list[Shape], arithmetic: Arithmetic) -> list[Number]:
    (n, k), (_, m) = shapes
    a, b = args
    if any(isinstance(x, Undefined) for x in (*a, *b)):
        add, mul = arithmetic.lift(_BINARY["add"]), arithmetic.lift(_BINARY["mul"])
        return [
            reduce(add, (mul(a[r * k + j], b[j * m + c]) for j in range(k)), fmpq(0))
            for r in range(n)
            for c in range(m)
        ]
    if n * m * k == 0:
        return [fmpq(0)] * (n * m)
    if all(isinstance(x, fmpq) for x in (*a, *b)):
        exact = fmpq_mat(n, k, a) * fmpq_mat(k, m, b)
        return list(map(arithmetic.short, exact.entries()))
    mixed = arb_mat(n, k, list(map(ball_of, a))) * arb_mat(k, m, list(map(ball_of, b)))
    return list(mixed.entries())


def _spectrum(op: str, a: list[Number], shape: Shape, arithmetic: Arithmetic) -> list[Number]:
    for x in a:
        if isinstance(x, Undefined):
            return [x] * min(shape)
    if op == "eigenvalues":
        return ball_spectra.eigenvalues(a, shape[0])
    return [arithmetic.root(x, True) for x in ball_spectra.singular_values(a, *shape)]


_BINARY: dict[str, Callable[..., Number]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "max": larger,
    "min": smaller,
}
_FOLDS: dict[str, Callable[..., Number]] = {
    "sum": lambda x, y: x + y,
    "amax": larger,
    "amin": smaller,
}
_UNARY: dict[str, Callable[[Number], Number]] = {
    "neg": lambda x: -x,
    "abs": lambda x: abs(x),
    "exp": exact_at_zero("exp", 1),
    "expm1": exact_at_zero("expm1", 0),
    "tanh": tanh,
    "sin": exact_at_zero("sin", 0),
    "cos": exact_at_zero("cos", 1),
    "relu": lambda x: larger(x, fmpq(0)),
    "step": step,
    "sign": sign,
}
