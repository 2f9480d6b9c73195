"""Certificates of counterexamples to conjectures: written only where the kernel accepts."""

from __future__ import annotations

from fractions import Fraction as F
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from proofs_checks.certificate import Certificate
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.certificate import certify, certify_program
from proofs_checks.conjectures.conjecture import conjecture, constant
from proofs_checks.conjectures.optima import margin, relu_optimum
from tests.quality.counterexample_examples import EXAMPLES, data, traced
from theory import array_functions as ops
from theory.program import from_data
from theory.tracing import Array, Recorder


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_examples_have_certificates(name: str) -> None:
    written = data(name)
    again = Certificate(written["kind"], written["claim"], written["inputs"], written["witness"])
    verdict = again.audit()
    assert verdict.accepted and f"a counterexample to {name!r}" in verdict.reason
    assert len(written["claim"]["program"]["conclusions"]) == 1
    body = from_data(written["claim"]["program"])
    assert body == body.pruned()
    assert set(body.inputs) == set(written["claim"]["inputs"])


def decided(conclusion: int = 0, entry: int = 0) -> Any:
    return SimpleNamespace(conclusion=conclusion, entry=entry)


def test_a_conjecture_with_a_constant() -> None:
    @conjecture(case=st.just(None))
    def lipschitz(case: Any) -> Any:
        c = constant("c", low=0)
        return {"true": ops.norm(case["A"]) >= 0, "wrong": ops.norm(case["A"], 2) <= c * case["b"]}

    case = ConjectureCase.of({"A": np.array([[3.0, 0.0], [0.0, 4.0]]), "b": F(1, 3), "unused": 5.0})
    program = lipschitz.trace(case)
    certificate, reason = certify(
        program, case, decided(1), constants={"c": F(2)}, name="lipschitz"
    )
    assert certificate is not None and "4 <= 2/3" in reason
    assert certificate.claim["inputs"]["constant:c"] == {"shape": [], "values": ["2"]}
    assert len(certificate.claim["inputs"]) == 3
    nothing, reason = certify(program, case, decided(1), name="lipschitz")
    assert nothing is None and "constant:c" in reason
    nothing, reason = certify(program, case, decided(1), constants={"c": F(12)}, name="lipschitz")
    assert nothing is None and "not certain to fail: 4 <= 4" in reason
    nothing, reason = certify(program, case, decided(0), constants={"c": F(2)}, name="lipschitz")
    assert nothing is None and "not certain to fail" in reason


def test_what_is_judged_to_fail_has_a_certificate() -> None:
    """The verdict on exact numbers and the kernel agree, here where a root of zero is taken."""
    from proofs_checks.conjectures.judge import VIOLATED
    from proofs_checks.conjectures.judge_exact import judge_exact

    @conjecture(case=st.just(None))
    def rank_one(case: Any) -> Any:
        gram = (case["A"] * ops.exp(case["A"])).T @ (case["A"] * ops.exp(case["A"]))
        return ops.sqrt(ops.eigenvalues(gram)).sum() <= 2 * ops.norm(case["A"])

    case = ConjectureCase.of({"A": np.ones((2, 3))})
    program = rank_one.trace(case)
    judged = judge_exact(program, case)
    assert judged.status == VIOLATED and judged.exact
    certificate, reason = certify(program, case, judged, name="rank_one")
    assert certificate is not None, reason


def test_close_sides_need_more_precision() -> None:
    def function(r: Recorder, x: Array) -> Any:
        return ops.exp(x) <= 1 + x + x * x / 2

    program, values = traced(function, x=F(1, 10**80))
    certificate, _ = certify_program(program, values, name="taylor", conclusion=0, entry=0)
    assert certificate is not None and certificate.witness["precision"] == 1024


def test_rationals_are_written_in_lowest_terms() -> None:
    def function(r: Recorder, x: Array) -> Any:
        short = r.add("constant", (), {"shape": [], "values": ["6/4"]})
        root = r.add("power", (x,), {"exponent": "2/4"})
        return root <= short * 0.5

    program, values = traced(function, x=4)
    certificate, reason = certify_program(program, values, name="root", conclusion=0, entry=0)
    assert certificate is not None and "2 <= 3/4" in reason


@pytest.mark.parametrize(
    ("function", "inputs", "why"),
    [
        (lambda r, x: ops.sqrt(x) ** 2 <= 2, {"x": 2}, "not certain to fail"),
        (lambda r, x: ops.log(x) <= 2, {"x": 0}, "undefined"),
        (lambda r, x: r.assume(x < 1) or x <= 1, {"x": 2}, "hypothesis 0 is not certain"),
        (lambda r, x: ops.exp(x) < x, {"x": F(10**4001)}, "neither 'p/q'"),
    ],
)
def test_reasons_why_there_is_none(function: Any, inputs: dict[str, Any], why: str) -> None:
    program, values = traced(function, **inputs)
    nothing, reason = certify_program(program, values, name="none", conclusion=0, entry=0)
    assert nothing is None and why in reason


def test_flows_have_no_certificate() -> None:
    def function(r: Recorder, x: Array) -> Any:
        return [ops.oracle("flow", (x,), {"what": "sup"}) <= x, x <= 0]

    program, values = traced(function, x=1)
    nothing, reason = certify_program(program, values, name="flow", conclusion=0, entry=0)
    assert nothing is None and "no certificate for trajectories" in reason
    # the other conclusion does not rest on the flow
    certificate, reason = certify_program(program, values, name="flow", conclusion=1, entry=0)
    assert certificate is not None, reason


def test_optima_are_solved_for() -> None:
    """Two optima, of numbers that the program computes, each with its own certificate."""

    def function(r: Recorder, X: Array, y: Array, beta: Array) -> Any:
        least = relu_optimum(X * 2, y, beta)
        return least <= margin(X, y) - F(1, 4)

    program, values = traced(function, X=[[1, 0], [0, 1]], y=[1, -1], beta=F(1, 2))
    certificate, reason = certify_program(program, values, name="optima", conclusion=0, entry=0)
    assert certificate is not None, reason
    kinds = {nested["kind"] for nested in certificate.witness["optima"].values()}
    assert kinds == {"convex optimum: ReLU network", "margin"}


def test_optima_of_irrational_numbers_have_no_certificate() -> None:
    def function(r: Recorder, X: Array, y: Array) -> Any:
        return relu_optimum(ops.exp(X), y, F(1, 2)) <= 0

    program, values = traced(function, X=[[1]], y=[1])
    nothing, reason = certify_program(program, values, name="irrational", conclusion=0, entry=0)
    assert nothing is None and "no short rationals" in reason
