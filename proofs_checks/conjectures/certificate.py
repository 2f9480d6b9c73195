"""Certificates of counterexamples: kind "counterexample" of the audit kernel, written and audited at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from proofs_checks.certificate import Certificate, rational_text
from theory.program import Instruction, Program

if TYPE_CHECKING:
    from proofs_checks.conjectures.case import ConjectureCase
    from proofs_checks.conjectures.conjecture import Traced

KIND = "counterexample"
PRECISIONS = (128, 256, 512, 1024, 2048)
FLOW = "the flow is integrated in floating point with an error bound; there is no certificate for trajectories"
OPTIMUM = "optimum"


def certify(
    traced: Traced,
    case: ConjectureCase,
    judged: Any,
    *,
    constants: Mapping[str, Fraction] | None = None,
    name: str,
) -> tuple[Certificate | None, str]:
    """The certificate that a case refutes a conjecture.

    Args:
        traced: the conjecture for cases of this structure. case: with exact values.
        judged: has ``conclusion`` and ``entry``, the comparison that fails and the flat index after broadcasting.
        constants: exact values of free constants, by name. name: of the conjecture, for the claim in words.

    Returns:
        A certificate that the audit kernel has accepted, and its claim in words; or None and the reason why there is
        none.
    """
    values: dict[str, Sequence[Fraction]] = dict(case.values)
    values.update({f"constant:{key}": (value,) for key, value in (constants or {}).items()})
    return certify_program(
        traced.program,
        values,
        name=name,
        conclusion=int(judged.conclusion),
        entry=int(judged.entry),
    )


def certify_program(
    program: Program,
    values: Mapping[str, Sequence[Fraction]],
    *,
    name: str,
    conclusion: int,
    entry: int,
    optima: Mapping[int, Mapping[str, Any]] | None = None,
) -> tuple[Certificate | None, str]:
    """The certificate that a program's conclusion fails on exact inputs while its hypotheses hold.

    Args:
        values: input -> its entries, flat, in row-major order; inputs that are not needed are left out.
        conclusion, entry: the number of the conclusion, and the flat index of the entry after broadcasting.
        optima: number of an oracle's instruction in ``program`` -> the plain data of the certificate for it. Those
            not given are solved for.

    Returns:
        As `certify`.
    """
    reduced = replace(program, conclusions=(program.conclusions[conclusion],))
    kept = reduced.needed(reduced.sides())
    pruned = reduced.pruned()
    if pruned.oracles - {OPTIMUM}:
        return None, FLOW
    missing = [n for n in pruned.inputs if n not in values]
    if missing:
        return None, f"no exact value of {', '.join(missing)}; give one for every free constant"
    given = {old: data for old, data in (optima or {}).items() if old in kept}
    nested, reason = _optima(pruned, values, {kept.index(old): d for old, d in given.items()})
    if nested is None:
        return None, reason
    inputs = {
        key: {
            "shape": list(pruned.instructions[number].shape),
            "values": [rational_text(x) for x in values[key]],
        }
        for key, number in pruned.inputs.items()
    }
    claim = {
        "name": name,
        "program": _written(pruned),
        "inputs": inputs,
        "fails": {"conclusion": 0, "entry": entry},
    }
    for precision in PRECISIONS:
        certificate = Certificate(KIND, claim, {}, {"precision": precision, "optima": nested})
        result = certificate.audit()
        if result.accepted:
            return certificate, result.reason
        if result.accepted is None:
            break
    return None, f"the audit kernel does not accept it: {result.reason}"


def _written(program: Program) -> dict[str, Any]:
    """The program's plain data with every rational in lowest terms, as the kernel reads them."""
    instructions = tuple(
        replace(i, attributes={**i.attributes, **_lowest(i)}) for i in program.instructions
    )
    return replace(program, instructions=instructions).to_data()


def _lowest(instruction: Instruction) -> dict[str, Any]:
    if instruction.op == "constant":
        return {"values": [rational_text(x) for x in instruction.attributes["values"]]}
    if instruction.op == "power":
        return {"exponent": rational_text(instruction.attributes["exponent"])}
    return {}


def _optima(
    program: Program,
    values: Mapping[str, Sequence[Fraction]],
    given: Mapping[int, Mapping[str, Any]],
) -> tuple[dict[str, Any] | None, str]:
    """The certificates of all optima of a program, by the text of the instruction's number."""
    nested: dict[str, Any] = {str(k): dict(data) for k, data in given.items()}
    for k, instruction in enumerate(program.instructions):
        if instruction.op != "oracle" or str(k) in nested:
            continue
        data, reason = _solved(program, instruction, values)
        if data is None:
            return None, reason
        nested[str(k)] = data
    return nested, ""


def _solved(
    program: Program, instruction: Instruction, values: Mapping[str, Sequence[Fraction]]
) -> tuple[dict[str, Any] | None, str]:
    from flint import fmpq

    from proofs_checks.conjectures.balls import evaluate
    from proofs_checks.conjectures.oracles import ball_oracles

    bits, oracles = PRECISIONS[0], ball_oracles()
    found = evaluate(program, values, instruction.args, bits=bits, oracles=oracles)
    args = [found[a] for a in instruction.args]
    if not all(isinstance(x, fmpq) for arg in args for x in arg):
        return None, "an optimum has data that are no short rationals; only those have certificates"
    parameters = instruction.attributes["parameters"]
    _, data = oracles[OPTIMUM](parameters, args, bits)
    if data is None:
        return None, "an optimum was not certified, so that nothing that rests on it is"
    return data, ""
