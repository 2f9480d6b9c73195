"""Verdicts of conjectures: on batches, and exactly."""

from __future__ import annotations

import math
import random
import time
from fractions import Fraction

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.conjectures import judge as judging
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Traced, assume, conjecture, constant
from proofs_checks.conjectures.judge import HOLDS, UNDECIDED, UNDEFINED, VACUOUS, VIOLATED, judge
from proofs_checks.conjectures.judge_exact import judge_exact
from tests.proofs_checks.conjecture_programs import inputs, program
from theory import array_functions as ops
from theory.errors import LemmataError
from theory.program import ArrayRelation, Program, ProgramError, broadcast


def _conjecture(function):
    return conjecture(case=st.nothing())(function)


def _judged(function, constants=None, **drawn: list) -> judging.Judged:
    """Lanes as given; every decided one must be what the exact verdict says."""
    own = _conjecture(function)
    cases = [
        ConjectureCase.of(dict(zip(drawn, row, strict=True)))
        for row in zip(*drawn.values(), strict=True)
    ]
    traced = own.trace(cases[0])
    batch = {k: np.stack([c.floats()[k] for c in cases]) for k in drawn}
    found = judge(traced, batch, constants=constants)
    for k, case in enumerate(cases):
        exact = judge_exact(traced, case, constants=constants)
        assert exact.exact
        assert found.status[k] in (UNDECIDED, exact.status)
    return found


def test_inequalities() -> None:
    x = [1.0, 2.0, 3.0]
    weak = _judged(lambda case: case["x"] * case["x"] <= 4, x=x)
    assert weak.status.tolist() == [HOLDS, HOLDS, VIOLATED]
    np.testing.assert_allclose(np.exp(weak.log_ratio), [1 / 4, 1, 9 / 4])
    assert (np.sign(weak.slack) == [-1, 0, 1]).all()
    assert weak.lhs.tolist() == [1, 4, 9] and (weak.rhs == 4).all() and not weak.error.any()
    strict = _judged(lambda case: case["x"] * case["x"] < 4, x=x)
    assert strict.status.tolist() == [HOLDS, VIOLATED, VIOLATED]


def test_both_sides_negative_and_of_other_signs() -> None:
    found = _judged(
        lambda case: case["x"] <= case["y"],
        x=[-4.0, -1.0, -1.0, 1.0, 0.0, 0.0],
        y=[-2.0, -2.0, 1.0, -1.0, 0.0, -1.0],
    )
    assert found.status.tolist() == [HOLDS, VIOLATED, HOLDS, VIOLATED, HOLDS, VIOLATED]
    want = [math.log(0.5), math.log(2), -math.inf, math.inf, -math.inf, math.inf]
    np.testing.assert_allclose(found.log_ratio, want)


def test_equalities_need_their_resolution() -> None:
    def claim(case):
        return ops.equal(ops.sqrt(case["x"]) ** 2, case["y"], resolution=1e-12)

    own = _conjecture(claim)
    case = ConjectureCase.of({"x": 2.0, "y": 2.0})
    traced = own.trace(case)
    batch = {"x": np.array([2.0, 2.0, 4.0]), "y": np.array([2.0, 2.0000001, 4.0])}
    assert judge(traced, batch).status.tolist() == [HOLDS, VIOLATED, HOLDS]
    radii = {"x": np.full(3, 1e-9)}
    assert judge(traced, batch, radii=radii).status.tolist() == [UNDECIDED, VIOLATED, UNDECIDED]
    assert judge_exact(traced, case).status == HOLDS


def test_hypotheses() -> None:
    def claim(case):
        assume(case["x"] > 0)
        return ops.log(case["x"]) <= 0

    found = _judged(claim, x=[-1.0, 0.0, 0.5, 2.0])
    assert found.status.tolist() == [VACUOUS, VACUOUS, HOLDS, VIOLATED]


def test_an_equality_that_is_met_numerically_is_not_exact() -> None:
    @conjecture(case=st.nothing())
    def claim(case):
        assume(ops.equal(ops.sqrt(case["x"]) * ops.sqrt(case["x"]), 2))
        return case["x"] <= 1

    case = ConjectureCase.of({"x": 2.0})
    traced = claim.trace(case)
    assert judge(traced, {"x": np.array([2.0])}).status.tolist() == [VIOLATED]
    found = judge_exact(traced, case)
    assert (found.status, found.exact) == (VIOLATED, False)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda case: ops.log(case["x"]) <= 1, "logarithm"),
        (lambda case: ops.sqrt(case["x"] - 1) <= 1, "root"),
        (lambda case: ops.maximum(1 / case["x"], 0) <= 1, "division"),
        (lambda case: ops.arccos(case["x"] - 2) <= 1, "arccos"),
        (lambda case: case["x"] ** Fraction(-1, 3) <= 1, "power"),
        (lambda case: [case["x"] <= 1, ops.log1p(case["x"] - 1) <= 1], "log1p"),
    ],
)
def test_undefined_names_the_line(function, words: str) -> None:
    assert _judged(function, x=[0.0]).status.tolist() == [UNDEFINED]
    case = ConjectureCase.of({"x": 0.0})
    found = judge_exact(_conjecture(function).trace(case), case)
    assert found.status == UNDEFINED and words in found.reason
    assert found.line == function.__code__.co_firstlineno


def test_an_undefined_hypothesis_and_a_violation_elsewhere() -> None:
    def claim(case):
        assume(ops.log(case["x"]) <= 1)
        return case["x"] <= -1

    assert _judged(claim, x=[0.0]).status.tolist() == [UNDEFINED]
    found = _judged(lambda case: [case["x"] <= -1, ops.log(case["x"]) <= 1], x=[0.0])
    assert found.status.tolist() == [VIOLATED] and found.conclusion.tolist() == [0]


def test_overflow_is_undecided_and_exactly_decided() -> None:
    case = ConjectureCase.of({"x": 1e200})
    claim = _conjecture(lambda case: case["x"] ** 2 - case["x"] ** 3 >= 0)
    traced = claim.trace(case)
    assert judge(traced, {"x": np.array([1e200])}).status.tolist() == [UNDECIDED]
    found = judge_exact(traced, case)
    assert (found.status, found.exact) == (VIOLATED, True)
    claim = _conjecture(lambda case: case["x"] ** 3 <= case["x"])
    found = judge_exact(claim.trace(case), case)
    assert found.status == VIOLATED and found.log_sides is not None
    assert found.log_sides[0] == pytest.approx(600 * math.log(10))


def test_the_worst_entry_is_told() -> None:
    claim = _conjecture(lambda case: [case["a"] <= 10, case["a"] * [[1], [2]] <= [3, 4]])
    case = ConjectureCase.of({"a": np.array([1.0, 4.0])})
    traced = claim.trace(case)
    found = judge(traced, {"a": np.array([[1.0, 4.0], [1.0, 1.0]])})
    assert found.conclusion[0] == 1 and found.entry[0] == 3
    assert (found.lhs[0], found.rhs[0]) == (8.0, 4.0)
    exact = judge_exact(traced, case)
    assert (exact.conclusion, exact.entry, exact.lhs, exact.rhs) == (1, 3, 8.0, 4.0)


def test_free_constants() -> None:
    def claim(case):
        return case["x"] <= constant("c")

    assert _judged(claim, {"c": Fraction(1, 3)}, x=[0.25, 0.5]).status.tolist() == [HOLDS, VIOLATED]
    own = _conjecture(claim)
    case = ConjectureCase.of({"x": Fraction(1, 3)})
    traced = own.trace(case)
    third = judge_exact(traced, case, constants={"c": Fraction(1, 3)})
    assert third.status == HOLDS and third.log_ratio == 0
    batch = {"x": np.array([1 / 3, 1.0])}
    found = judge(traced, batch, constants={"c": Fraction(1, 3)})
    assert found.status.tolist() == [UNDECIDED, VIOLATED]
    each = judge(traced, batch, constants={"c": np.array([1.0, 0.5])})
    assert each.status.tolist() == [HOLDS, VIOLATED]
    for call in (lambda: judge(traced, batch), lambda: judge_exact(traced, case)):
        with pytest.raises(LemmataError, match="constants="):
            call()


def test_equality_touching_bounds_are_decided_exactly() -> None:
    """D = dI, n = m = h: the smallest eigenvalue of the Gram sum is √(d² + 4σ²)."""

    def claim(factor):
        @conjecture(case=st.nothing())
        def tight(case):
            W1, W2 = case["W1"], case["W2"]
            d = (W1.T @ W1 - W2 @ W2.T)[0, 0]
            s = ops.singular_values(W1 @ W2)[-1]
            lhs = ops.eigenvalues(W1 @ W1.T + W2.T @ W2)[0]
            return lhs <= factor * ops.sqrt(d * d + 4 * s * s)

        return tight

    case = ConjectureCase.of(
        {"W1": np.array([[3.0, 0], [0, 3]]), "W2": np.array([[0.0, 1], [1, 0]])}
    )
    for factor, status in ((1, HOLDS), (1 - Fraction(1, 2**300), VIOLATED)):
        found = judge_exact(claim(factor).trace(case), case)
        assert (found.status, found.exact) == (status, True)


def test_float_oracles_make_verdicts_numerical() -> None:
    @conjecture(case=st.nothing())
    def claim(case):
        return ops.oracle("o", [case["x"]], {}, ()) <= 1

    case = ConjectureCase.of({"x": Fraction(1, 3)})
    traced = claim.trace(case)

    def floats(parameters, args):
        ((mid, rad),) = args
        return 2 * mid, 2 * rad + 1e-12

    found = judge_exact(traced, case, floats={"o": floats})
    assert (found.status, found.exact) == (HOLDS, False)
    assert found.lhs == pytest.approx(2 / 3)
    sharp = judge_exact(traced, case, oracles={"o": lambda p, a, bits: [3 * a[0][0]]})
    assert (sharp.status, sharp.exact) == (HOLDS, True)

    def vague(parameters, args, bits):
        return [arb(0, math.inf)], None

    found = judge_exact(traced, case, oracles={"o": vague}, floats={"o": floats})
    assert (found.status, found.exact) == (HOLDS, False)


@given(st.integers(0, 10**6))
def test_batches_agree_with_exact_verdicts(seed: int) -> None:
    rnd = random.Random(seed)
    instructions = program(seed, 12)
    relations: list[ArrayRelation] = []
    while len(relations) < 3:
        i, j = (rnd.randrange(len(instructions)) for _ in range(2))
        try:
            broadcast(instructions[i].shape, instructions[j].shape)
        except ProgramError:
            continue
        relations.append(ArrayRelation(i, rnd.choice(["<=", "<", "=="]), j, "", 1e-9))
    hypotheses = [r for r in relations[: rnd.randrange(2)] if r.op != "=="]
    own = Program(instructions, tuple(hypotheses), tuple(relations[1:])).pruned()
    traced, batch = Traced(own, {}, {}), inputs(seed)
    found = judge(traced, batch)
    for lane in range(len(batch["c"])):
        case = ConjectureCase.of({k: a[lane] for k, a in batch.items()})
        exact = judge_exact(traced, case)
        numerically = exact.status != UNDECIDED and any(r.op == "==" for r in relations)
        if found.status[lane] != UNDECIDED and not (numerically and found.status[lane] == HOLDS):
            assert found.status[lane] == exact.status, exact.reason


def test_thousands_of_linear_networks_per_second() -> None:
    """The bound of `pl-constant` on 4 x 4 weights, with error bounds, per second of one core."""

    @conjecture(case=st.nothing())
    def claim(case):
        W1, W2 = case["W1"], case["W2"]
        D = W1.T @ W1 - W2 @ W2.T
        up, down = ops.relu(ops.eigenvalues(D)), ops.relu(ops.eigenvalues(-D))
        s = ops.singular_values(W1 @ W2)[3]
        both = up[0] + down[0]
        first = ops.sqrt((down[3] - down[0] + both) ** 2 + 4 * s**2) - (down[3] - down[0])
        second = ops.sqrt((up[3] - up[0] + both) ** 2 + 4 * s**2) - (up[3] - up[0])
        grams = ops.eigenvalues(W1 @ W1.T)[0] + ops.eigenvalues(W2.T @ W2)[0]
        return first / 2 + second / 2 <= grams

    rng = np.random.default_rng(3)
    batch = {k: rng.standard_normal((4096, 4, 4)) for k in ("W1", "W2")}
    traced = claim.trace(ConjectureCase.of({k: a[0] for k, a in batch.items()}))
    found = judge(traced, batch)
    assert (found.status == HOLDS).all()
    assert (found.error < 1e-10).all()
    start = time.process_time()
    judge(traced, batch)
    assert 4096 / (time.process_time() - start) > 12_000
