"""Random programs: the kernel's numbers against those of the search's own exact interpreter, written separately."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest
from flint import arb, ctx, fmpq

from proofs_checks.audit.core import Clock
from proofs_checks.audit.program import read
from proofs_checks.audit.program_functions import Undefined
from proofs_checks.audit.program_values import evaluate
from proofs_checks.conjectures import balls
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.certificate import certify_program
from proofs_checks.conjectures.conjecture import Traced
from proofs_checks.conjectures.judge import HOLDS, VIOLATED
from proofs_checks.conjectures.judge_exact import judge_exact
from theory.program import BINARY, UNARY, ArrayRelation, Program, ProgramError, broadcast
from theory.tracing import Array, Recorder

BITS = 160


def grown(rng: random.Random) -> tuple[Program, dict[str, list[F]]]:
    """A random program of matrices, vectors and numbers, and inputs with many ties and zeros."""
    values: dict[str, list[F]] = {}
    with Recorder() as recorder:
        arrays: list[Array] = []
        for name, shape in [("A", (2, 3)), ("B", (3, 3)), ("v", (3,)), ("s", ())]:
            arrays.append(recorder.input(name, shape))
            size = arrays[-1].size
            values[name] = [rng.choice([F(-1), F(0), F(1), F(2), F(1, 3)]) for _ in range(size)]
        attributes: dict[str, Any] = {
            "power": lambda a: {
                "exponent": rng.choice(["2", "-1", "1/2", "3", "2/3", "-3/2", "0"])
            },
            **{
                op: lambda a: {"axis": rng.randrange(max(a.ndim, 1))}
                for op in ("sum", "amax", "amin")
            },
            "gather": lambda a: {
                "shape": [2],
                "indices": [rng.randrange(a.size) for _ in range(2)],
            },
        }
        names = [*sorted(BINARY | UNARY), *["matmul", "matmul", "transpose", "eigenvalues"] * 3]
        names += ["singular_values", "power", "sum", "amax", "amin", "gather"] * 2
        for _ in range(14):
            op = rng.choice(names)
            args = [rng.choice(arrays) for _ in range(2 if op in BINARY or op == "matmul" else 1)]
            try:
                extra = attributes[op](args[0]) if op in attributes else {}
                arrays.append(recorder.add(op, args, extra))
            except ProgramError:
                continue
        last = arrays[-1]
        return recorder.program([("", last <= last)]).pruned(), values


@pytest.mark.parametrize("block", range(4))
def test_both_readers_enclose_the_same_numbers(block: int) -> None:
    """What the kernel finds undefined the other does, too; all other entries overlap, exact ones are equal."""
    compared = undefined = 0
    for seed in range(500):
        program, values = grown(random.Random(f"{block}-{seed}"))
        numbers = list(range(len(program.instructions)))
        other = balls.evaluate(program, values, numbers, bits=BITS)
        given = {k: [fmpq(x.numerator, x.denominator) for x in v] for k, v in values.items()}
        clock = Clock(20)
        with ctx.workprec(BITS):
            own = evaluate(read(program.to_data(), clock), given, no_oracle, clock)
        for k in numbers:
            for x, y in zip(own[k], other[k], strict=True):
                compared += 1
                if type(x) is Undefined:
                    undefined += 1
                    assert not arb(y).is_finite()
                else:
                    exact = type(x) is fmpq and type(y) is fmpq
                    assert x == y if exact else arb(x).overlaps(arb(y)), (program, values, k)
    assert compared > 5000 and undefined > 50


def test_what_is_judged_to_fail_is_certified_and_what_holds_is_not() -> None:
    """Random comparisons between the results of random programs."""
    certified = held = 0
    for seed in range(300):
        rng = random.Random(f"verdict-{seed}")
        program, values = grown(rng)
        lhs, rhs = (rng.randrange(len(program.instructions)) for _ in range(2))
        try:
            broadcast(program.instructions[lhs].shape, program.instructions[rhs].shape)
        except ProgramError:
            continue
        relation = ArrayRelation(lhs, rng.choice(["<=", "<", "=="]), rhs)
        body = replace(program, conclusions=(relation,)).pruned()
        case = ConjectureCase({}, {k: tuple(v) for k, v in values.items()})  # type: ignore[arg-type]
        traced = Traced(body, {}, {})
        judged = judge_exact(traced, case)
        certificate, reason = certify_program(
            body, values, name="random", conclusion=0, entry=max(judged.entry, 0)
        )
        assert (certificate is not None) is (judged.status == VIOLATED), (body, values, reason)
        certified += judged.status == VIOLATED
        held += judged.status == HOLDS
    assert certified > 80 and held > 40


def no_oracle(*_: Any) -> Any:
    raise AssertionError("there is no oracle in these programs")
