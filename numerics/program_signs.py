"""What the structure of a program says about signs: squares, norms and Gram matrices are not negative.

Interval arithmetic forgets this: where a Gram matrix is singular, the computed bound of its smallest eigenvalue reaches
below zero, and its square root would be undefined. The facts here hold for all values of the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol


class Instruction(Protocol):
    """What the interpreters need of an instruction; see `theory.program.Instruction`."""

    @property
    def op(self) -> str: ...
    @property
    def args(self) -> tuple[int, ...]: ...
    @property
    def attributes(self) -> Any: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


_ALWAYS = frozenset({"abs", "sqrt", "exp", "acos", "relu", "step", "singular_values", "pi"})
_INHERIT = frozenset(
    {"expm1", "log1p", "tanh", "sign", "sum", "amax", "amin", "reshape", "transpose", "gather"}
    | {"concatenate", "add", "div", "min", "matmul"}
)


@dataclass(frozen=True, slots=True)
class Signs:
    """Per instruction.

    Attributes:
        nonnegative: no entry is ever negative. positive_semidefinite: the value is such a symmetric matrix.
    """

    nonnegative: list[bool]
    positive_semidefinite: list[bool]


def signs(instructions: Sequence[Instruction]) -> Signs:
    """The facts about all instructions of a program."""
    out = Signs([], [])
    for i in instructions:
        out.nonnegative.append(_nonnegative(i, instructions, out))
        out.positive_semidefinite.append(_semidefinite(i, instructions, out))
    return out


def _nonnegative(i: Instruction, instructions: Sequence[Instruction], known: Signs) -> bool:
    if i.op in _ALWAYS:
        return True
    if i.op == "constant":
        return all(not str(v).startswith("-") for v in i.attributes["values"])
    if i.op == "power":
        q = Fraction(i.attributes["exponent"])
        # a fractional power is undefined below zero
        return q.denominator != 1 or q.numerator % 2 == 0 or known.nonnegative[i.args[0]]
    if i.op == "eigenvalues":
        return known.positive_semidefinite[i.args[0]]
    if i.op == "max":
        return any(known.nonnegative[a] for a in i.args)
    if i.op == "mul":
        return i.args[0] == i.args[1] or all(known.nonnegative[a] for a in i.args)
    return i.op in _INHERIT and all(known.nonnegative[a] for a in i.args)


def _semidefinite(i: Instruction, instructions: Sequence[Instruction], known: Signs) -> bool:
    if len(i.shape) != 2:
        return False
    if i.op == "matmul":
        a, b = i.args
        return _transposed(instructions, a, b) or _transposed(instructions, b, a)
    if i.op == "transpose":
        return known.positive_semidefinite[i.args[0]]
    if i.op == "add":
        return all(known.positive_semidefinite[a] for a in i.args)
    if i.op in ("mul", "div"):
        matrices = [a for a in i.args if instructions[a].shape == i.shape]
        numbers = [a for a in i.args if instructions[a].shape in ((), (1,), (1, 1))]
        one = len(matrices) == len(numbers) == 1
        own = one and known.positive_semidefinite[matrices[0]] and known.nonnegative[numbers[0]]
        return own and (i.op == "mul" or i.args[1] == numbers[0])
    return False


def _transposed(instructions: Sequence[Instruction], a: int, b: int) -> bool:
    """Whether b is the transpose of a."""
    return instructions[b].op == "transpose" and instructions[b].args == (a,)
