"""Kind "counterexample": exact inputs on which a program's hypotheses hold and a conclusion fails.

    claim    {"name": text, "program": PROGRAM (see `program`),
              "inputs": {name: {"shape": [...], "values": numbers, flat}} for exactly its inputs,
              "fails": {"conclusion": k, "entry": flat index after broadcasting}}
    inputs   {}
    witness  {"precision": bits of the balls, "optima": {"instruction": CERTIFICATE} for its oracles}

The program is evaluated on the inputs, in rationals as far as they go and in balls.  The claim holds if
every hypothesis holds for certain, entry by entry, and the conclusion certainly fails at the entry.
All these entries must be defined; what they do not depend on need not be.

An instruction ``oracle`` has {"kind": "optimum", "parameters": {"certificate": kind, "arguments": [field,
...], "fixed": {field: value}}, "shape": []}.  CERTIFICATE is a whole certificate of that kind, one of
NESTED, with a claim lower <= value <= upper.  Its claim must consist of "lower", "upper", the fixed fields
as they stand, and the argument fields, whose numbers must be those that the program computes.  The
instruction then stands for a number between the two bounds.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

from flint import arb, ctx, fmpq

from proofs_checks.audit.core import FIELDS, FORMAT, KINDS, Clock, Rejected, exact, fields
from proofs_checks.audit.program import Program, Relation, Step, read
from proofs_checks.audit.program_functions import Number, Undefined, at_most, less
from proofs_checks.audit.program_shapes import MAX_NAME, Shape, entries, numbers, shape_of
from proofs_checks.audit.program_values import Values, evaluate, positions

MIN_PRECISION, MAX_PRECISION = 32, 4096
NESTED = ("convex optimum: ReLU network", "convex optimum: unconstrained features", "margin")


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected where it does not follow."""
    name, data, values, fails = fields(claim, ("name", "program", "inputs", "fails"), "claim")
    fields(inputs, (), "inputs")
    precision, optima = fields(witness, ("precision", "optima"), "witness")
    number, entry = fields(fails, ("conclusion", "entry"), "fails")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise Rejected(f"name: expected 1 to {MAX_NAME} characters")
    if type(precision) is not int or not MIN_PRECISION <= precision <= MAX_PRECISION:
        raise Rejected(f"precision: an integer from {MIN_PRECISION} to {MAX_PRECISION}")
    program = read(data, clock)
    given = _inputs(values, program, clock)
    asked = {str(k) for k, it in enumerate(program.steps) if it.op == "oracle"}
    if not isinstance(optima, dict) or set(optima) != asked:
        raise Rejected("optima: expected a certificate for every oracle, and no other")
    numbers([number], len(program.conclusions), 1, "conclusion", clock)
    failing = program.conclusions[number]
    numbers([entry], math.prod(failing.shape), 1, "entry", clock)
    with ctx.workprec(precision):
        results = evaluate(program, given, partial(_optimum, optima, clock), clock)
        for k, relation in enumerate(program.hypotheses):
            for a, b in _sides(relation, program, results, clock):
                clock.tick()
                if not _holds(a, relation.op, b):
                    raise Rejected(
                        f"hypothesis {k} is not certain: {shown(a)} {relation.op} {shown(b)}"
                    )
        lhs, rhs = _sides(failing, program, results, clock)[entry]
        if not _fails(lhs, failing.op, rhs):
            raise Rejected(
                f"conclusion {number} is not certain to fail: {shown(lhs)} {failing.op} {shown(rhs)}"
            )
        missed = abs(arb(lhs) - arb(rhs)) if lhs != rhs else fmpq(0)
        return (
            f"proved: a counterexample to {name!a}: with the inputs given, "
            f"{_counted(len(program.hypotheses))} and {shown(lhs)} {failing.op} {shown(rhs)}, "
            f"of conclusion {number} at entry {entry}, fails by {shown(missed)}"
        )


def _counted(hypotheses: int) -> str:
    return {0: "nothing is assumed", 1: "the hypothesis holds"}.get(
        hypotheses, f"all {hypotheses} hypotheses hold"
    )


def _inputs(data: Any, program: Program, clock: Clock) -> dict[str, list[fmpq]]:
    steps = [it for it in program.steps if it.op == "input"]
    if not isinstance(data, dict) or set(data) != {it.data for it in steps}:
        raise Rejected("inputs: expected the values of exactly those that the program reads")
    out = {}
    for it in steps:
        shape, listed = fields(data[it.data], ("shape", "values"), "input")
        if shape_of(shape, clock) != it.shape:
            raise Rejected(f"the input {it.data!a:.60} has another shape in the program")
        out[it.data] = entries(listed, it.shape, f"input {it.data!a:.60}", clock)
    return out


def _sides(
    relation: Relation, program: Program, results: list[Values], clock: Clock
) -> list[tuple[Number, Number]]:
    """Both sides at every entry."""
    lhs, rhs = (
        [results[k][i] for i in positions(program.steps[k].shape, relation.shape, clock)]
        for k in (relation.lhs, relation.rhs)
    )
    return list(zip(lhs, rhs, strict=True))


def _known(a: Number, b: Number) -> None:
    for x in (a, b):
        if type(x) is Undefined:
            raise Rejected(f"{x.where}: {x}")


def _holds(a: Number, op: str, b: Number) -> bool:
    """Whether a op b for certain."""
    _known(a, b)
    if op == "==":
        return at_most(a, b) and at_most(b, a)
    return less(a, b) if op == "<" else at_most(a, b)


def _fails(a: Number, op: str, b: Number) -> bool:
    """Whether a op b is false for certain."""
    _known(a, b)
    if op == "==":
        return less(a, b) or less(b, a)
    return at_most(b, a) if op == "<" else less(b, a)


def shown(x: Number) -> str:
    """About 10 digits of a number, or what is known of it."""
    if type(x) is fmpq and len(text := str(x)) <= 12:
        return text
    text = arb(x).str(10, radius=False)
    return text if len(text) <= 40 else f"{text:.30}..."


def _optimum(
    optima: Any, clock: Clock, number: int, it: Step, args: list[Values], shapes: list[Shape]
) -> Number:
    """What the certificate for an oracle says about its value."""
    kind, parameters = it.data
    if kind != "optimum" or it.shape:
        raise Rejected(
            f"the oracle {kind!a:.60} is not exact; there are certificates of optima only"
        )
    wanted, arguments, fixed = fields(
        parameters, ("certificate", "arguments", "fixed"), "parameters"
    )
    claim, text, inputs, own, witness = fields(optima[str(number)], FIELDS, "optimum")
    if text != FORMAT or own != wanted or own not in NESTED:
        raise Rejected(f"optimum: expected the kind {wanted!a:.60}, one of {', '.join(NESTED)}")
    if not isinstance(arguments, list) or not all(isinstance(field, str) for field in arguments):
        raise Rejected("optimum: the arguments are names of fields")
    if not isinstance(fixed, dict) or len(arguments) != len(args):
        raise Rejected("optimum: as many argument fields as arguments, and an object of fixed ones")
    names = (*arguments, *fixed, "lower", "upper")
    if len(set(names)) < len(names):
        raise Rejected("optimum: a field is named twice")
    fields(claim, names, "claim of the optimum")
    KINDS[own](claim, inputs, witness, clock)
    for field, value, shape in zip(arguments, args, shapes, strict=True):
        if _flat(claim[field], shape, clock) != value:
            raise Rejected(f"optimum: {field!a:.60} is not what the program computes")
    for field, literal in fixed.items():
        if json.dumps(claim[field], sort_keys=True) != json.dumps(literal, sort_keys=True):
            raise Rejected(f"optimum: {field!a:.60} is not what the program says")
    lower, upper = (exact(claim[end], end) for end in ("lower", "upper"))
    if lower > upper:
        raise Rejected("optimum: the lower bound is above the upper one")
    return lower if lower == upper else arb(lower).union(arb(upper))


def _flat(data: Any, shape: Shape, clock: Clock) -> list[fmpq]:
    """The numbers of nested lists of this shape."""
    clock.tick()
    if not shape:
        return [fmpq(data) if type(data) is int else exact(data, "optimum")]
    if not isinstance(data, list) or len(data) != shape[0]:
        raise Rejected("optimum: an argument has another shape")
    return [x for part in data for x in _flat(part, shape[1:], clock)]
