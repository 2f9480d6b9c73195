"""Straight-line programs on arrays, read again: the claims of kind "counterexample" are about them.

A program is {"instructions": [[op, [numbers of earlier instructions], attributes], ...], "hypotheses":
[RELATION, ...], "conclusions": [RELATION, ...]}, RELATION = [lhs, "<=", "<" or "==", rhs] with the
numbers of two instructions.  A relation of arrays holds when it holds entry by entry, after
broadcasting as numpy does.  Arrays are row-major.  Operators:

    input {name, shape}                an array of the claim
    constant {shape, values}           exact numbers, flat
    pi                                 π
    add sub mul div max min (a, b)     entry by entry, broadcasting
    neg abs sqrt exp expm1 log log1p tanh sin cos acos relu step sign (a)
                                       entry by entry; sign(0) = step(0) = 0, step(x) = 1 for x > 0
    power (a) {exponent}               x**q; x**0 = 1; 0**q = 0 for q > 0; else 0**q is undefined, and so
                                       is x**q of a negative x unless q is an integer
    sum amax amin (a) {axis}           over one axis, which disappears
    matmul (a, b)                      of two matrices
    reshape (a) {shape}, transpose (a)
    gather (a) {shape, indices}        entries of the flat array a
    concatenate (a, ...) {shape}       the flat arrays one after the other
    eigenvalues (a)                    of (a + aᵀ)/2, ascending
    singular_values (a)                descending, min(rows, columns) of them
    oracle (...) {kind, parameters, shape}   what another certificate bounds; see `counterexample`
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from proofs_checks.audit.core import Clock, Rejected, fields
from proofs_checks.audit.program_shapes import MAX_ENTRIES, READERS, Shape, broadcast, numbers

MAX_INSTRUCTIONS, MAX_RELATIONS = 50_000, 1000
MAX_TOTAL = 1 << 21  # entries of all arrays
RELATIONS = ("<=", "<", "==")


@dataclass(frozen=True)
class Step:
    """One instruction: ``data`` is what its attributes say besides the shape of the result."""

    op: str
    args: tuple[int, ...]
    shape: Shape
    data: Any


@dataclass(frozen=True)
class Relation:
    """``lhs op rhs``; ``shape`` after broadcasting."""

    lhs: int
    op: str
    rhs: int
    shape: Shape


@dataclass(frozen=True)
class Program:
    """Steps in order, and the relations between their results."""

    steps: list[Step]
    hypotheses: list[Relation]
    conclusions: list[Relation]


def read(data: Any, clock: Clock) -> Program:
    """A program; raises Rejected where the data are none, or too large."""
    listed, *groups = fields(data, ("instructions", "hypotheses", "conclusions"), "program")
    if not isinstance(listed, list) or len(listed) > MAX_INSTRUCTIONS:
        raise Rejected(f"program: expected a list of at most {MAX_INSTRUCTIONS} instructions")
    steps: list[Step] = []
    total = 0
    for k, item in enumerate(listed):
        clock.tick()
        try:
            steps.append(_step(item, steps, clock))
        except Rejected as error:
            raise Rejected(f"instruction {k}: {error}") from None
        total += math.prod(steps[-1].shape)
        if total > MAX_TOTAL:
            raise Rejected(f"the arrays of the program have more than {MAX_TOTAL} entries")
    names = [step.data for step in steps if step.op == "input"]
    if len(set(names)) < len(names):
        raise Rejected("two instructions are the same input")
    return Program(steps, *(_relations(group, steps, clock) for group in groups))


def _relations(data: Any, steps: list[Step], clock: Clock) -> list[Relation]:
    if not isinstance(data, list) or len(data) > MAX_RELATIONS:
        raise Rejected(f"expected a list of at most {MAX_RELATIONS} relations")
    out = []
    for item in data:
        clock.tick()
        if not isinstance(item, list) or len(item) != 3 or item[1] not in RELATIONS:
            raise Rejected("a relation is [lhs, '<=', '<' or '==', rhs]")
        lhs, rhs = numbers([item[0], item[2]], len(steps), 2, "sides of a relation", clock)
        shape = broadcast(steps[lhs].shape, steps[rhs].shape)
        out.append(Relation(lhs, item[1], rhs, shape))
    return out


def _step(item: Any, steps: list[Step], clock: Clock) -> Step:
    if not isinstance(item, list) or len(item) != 3:
        raise Rejected("expected [op, [args], attributes]")
    op, listed, attributes = item
    args = numbers(listed, len(steps), MAX_ENTRIES, "arguments", clock)
    shapes = [steps[k].shape for k in args]
    if not isinstance(op, str) or op not in READERS:
        raise Rejected(f"unknown operator {op!a:.60}")
    count, names, reader = READERS[op]
    if count is not None and len(args) != count:
        raise Rejected(f"{op} takes {count} argument(s)")
    shape, data = reader(op, shapes, fields(attributes, names, op), clock)
    return Step(op, tuple(args), shape, data)
