"""Certificates of statements that fail: the violated relation as a program on the exact numbers of the case.

A statement without time speaks of variables that its claim measures. For the certificate they are computed anew, as
instructions of a program whose inputs are the raw numbers of the case; optima are instructions that rest on nested
certificates. The audit kernel then evaluates the hypotheses and the violated relation by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from proofs_checks.certificate import Certificate
from proofs_checks.conjectures.certificate import certify_program
from proofs_checks.conjectures.statement_programs import (
    NoProgram,
    Raw,
    Variables,
    Violation,
    variables,
)
from proofs_checks.measure import AnyCase
from proofs_checks.verdict import Verdict
from theory import array_functions as ops
from theory.program import Program
from theory.quantity import Quantity, Relation
from theory.statement import Kind, Statement
from theory.tracing import Array, Comparison, Recorder, array, reduce

AXES = {"j": 0, "i": 1, "k": 2}
_UNARY = frozenset(
    {"neg", "abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "cos", "acos"}
    | {"relu", "step", "sign"}
)
_FOLDED = frozenset({"add", "mul", "max", "min"})


def certify_statement(
    statement: Statement, case: AnyCase, verdict: Verdict
) -> tuple[Certificate | None, str]:
    """A certificate of kind "counterexample" that the audit kernel accepts, or None and why there is none.

    Args:
        verdict: on the case; names the part that is violated.
    """
    if statement.kind is Kind.PROBABILITY:
        return None, "a probability statement is tested on samples: there is no certificate"
    part = next((p for p in statement.parts if p.name == verdict.part), None)
    if part is None:
        return None, "no part of the statement was decided on the case"
    try:
        return _certify(Violation(statement, part, case, verdict))
    except NoProgram as reason:
        return None, str(reason)


def _certify(violation: Violation) -> tuple[Certificate | None, str]:
    program, raw = statement_program(violation)
    pruned, optima = _pruned(program, raw.optima)
    values = {name: raw.values[name] for name in pruned.inputs}
    name = f"{violation.statement.id}, part {violation.part.name!r}"
    return certify_program(pruned, values, name=name, conclusion=0, entry=0, optima=optima)


def statement_program(violation: Violation) -> tuple[Program, Raw]:
    """The hypotheses of a statement and the violated part as a program, not pruned, and what stands behind it.

    Raises:
        NoProgram: something that cannot be computed from the numbers of the case.
    """
    statement, part, raw = violation.statement, violation.part, Raw()
    with Recorder() as recorder:
        known = variables(violation, raw)
        translator = _Translator(known)
        for hypothesis in statement.hypotheses:
            relation = statement.expand(hypothesis.relation)
            recorder.assume(translator.comparison(relation), hypothesis.name)
        conclusion = translator.comparison(statement.expand(part.relation))
        if raw.one_sided:
            raw.facts.append(("the left side is the larger one", conclusion.rhs < conclusion.lhs))
        for name, fact in raw.facts:
            recorder.assume(fact, name)
        return recorder.program([(part.name, conclusion)]), raw


def _pruned(
    program: Program, optima: Mapping[int, Mapping[str, Any]]
) -> tuple[Program, dict[int, Mapping[str, Any]]]:
    """The program without idle instructions, and the nested certificates by their new numbers."""
    new = {old: k for k, old in enumerate(program.needed(program.sides()))}
    out = program.pruned()
    # lines of our own files are of no use to a reader
    plain = tuple(replace(i, line=0) for i in out.instructions)
    return (
        replace(out, instructions=plain),
        {new[k]: data for k, data in optima.items() if k in new},
    )


class _Translator:
    """Quantities as traced arrays with the axes (j, i, k), of length 1 where a quantity does not have one."""

    def __init__(self, known: Variables) -> None:
        self._known = known
        self._done: dict[Quantity, Array] = {}

    def comparison(self, relation: Relation) -> Comparison:
        """The relation between two numbers."""
        lhs, rhs = (self.value(q).reshape([]) for q in (relation.lhs, relation.rhs))
        return Comparison(lhs, relation.op, rhs)

    def value(self, q: Quantity) -> Array:
        """The array of a quantity."""
        if q not in self._done:
            self._done[q] = self._value(q)
        return self._done[q]

    def _value(self, q: Quantity) -> Array:
        if q.op == "var":
            return self._known.get(q.label, "".join(a for a in "jik" if a in q.axes))
        if q.op == "rat":
            return array(Fraction(q.label)).reshape(1, 1, 1)
        if q.op == "pi":
            return ops.pi().reshape(1, 1, 1)
        args = [self.value(a) for a in q.args]
        if q.op in ("sum", "amax", "amin"):
            return _over(q.op, args[0], AXES[q.label])
        if q.op == "pow":
            return args[0] ** Fraction(q.label)
        if q.op in _FOLDED:
            out = args[0]
            for a in args[1:]:
                out = out.recorder.add(q.op, (out, a))
            return out
        if q.op == "div":
            return args[0] / args[1]
        if q.op in _UNARY:
            return args[0].recorder.add(q.op, (args[0],))
        if q.op == "inner":
            return _over("sum", args[0] * args[1], 2)
        if q.op in ("sqnorm", "norm"):
            squares = _over("sum", args[0] * args[0], 2)
            return squares if q.op == "sqnorm" else ops.sqrt(squares)
        raise NoProgram(f"the quantity {q.op} has no exact counterpart for a certificate")


def _over(op: str, a: Array, axis: int) -> Array:
    """A reduction that keeps the axis."""
    shape = list(a.shape)
    shape[axis] = 1
    return reduce(op, a, axis).reshape(shape)
