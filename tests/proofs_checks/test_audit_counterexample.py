"""The kind "counterexample": every operator against other arithmetic, and hostile programs."""

from __future__ import annotations

import json
import time
from fractions import Fraction as F
from typing import Any

import mpmath
import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.audit import audit_text
from proofs_checks.audit.core import Clock
from proofs_checks.audit.program import read
from proofs_checks.audit.program_functions import Undefined
from proofs_checks.audit.program_signs import nonnegative
from proofs_checks.audit.program_spectrum import eigenvalues, singular_values
from proofs_checks.audit.program_values import evaluate
from tests.quality.counterexample_examples import EXAMPLES, data
from tests.quality.counterexample_oracle import values

SECONDS = 2.0
Step = list[Any]


def constant(entries: Any, shape: list[int] | None = None) -> Step:
    flat = [str(F(x)) for x in np.asarray(entries, dtype=object).ravel()]
    own = list(np.shape(entries)) if shape is None else shape
    return ["constant", [], {"shape": own, "values": flat}]


def program(*steps: Step, conclusion: Any = (0, "<=", 0), hypotheses: Any = ()) -> dict[str, Any]:
    return {
        "instructions": list(steps),
        "hypotheses": [list(h) for h in hypotheses],
        "conclusions": [list(conclusion)],
    }


def certificate(body: Any, *, inputs: Any = None, precision: Any = 128, entry: Any = 0) -> Any:
    return {
        "format": "lemmata-certificate/1",
        "kind": "counterexample",
        "claim": {
            "name": "a claim",
            "program": body,
            "inputs": inputs or {},
            "fails": {"conclusion": 0, "entry": entry},
        },
        "inputs": {},
        "witness": {"precision": precision, "optima": {}},
    }


def refused(certificate: Any, because: str = "") -> None:
    """Not accepted, for this reason, within the time that the kernel was given."""
    text = certificate if isinstance(certificate, str) else json.dumps(certificate)
    start = time.process_time()
    result = audit_text(text, seconds=SECONDS)
    assert not result.accepted
    assert because in result.reason, result.reason
    assert time.process_time() - start < SECONDS + 1.5


def kernel_values(body: dict[str, Any], bits: int = 256) -> list[list[Any]]:
    def oracle(*_: Any) -> Any:
        raise AssertionError

    clock = Clock(20)
    with ctx.workprec(bits):
        return evaluate(read(body, clock), {}, oracle, clock)


def near(x: Any, want: Any) -> bool:
    """The number is exactly the fraction, or all of its ball is close to the digits."""
    if type(x) is fmpq and isinstance(want, F):
        return fmpq(want.numerator, want.denominator) == x
    with ctx.workprec(256), mpmath.workdps(60):
        want = mpmath.mpf(want.numerator) / want.denominator if isinstance(want, F) else want
        digits = arb(mpmath.nstr(want, 50, strip_zeros=False))
        return bool(abs(arb(x) - digits) < 1e-38 * (1 + abs(digits)))


# -- values ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [n for n in EXAMPLES if n != "least loss"])
def test_every_result_of_the_examples(name: str) -> None:
    claim = data(name)["claim"]
    body, inputs = claim["program"], claim["inputs"]
    steps = [
        ["constant", [], inputs[step[2]["name"]]] if step[0] == "input" else step
        for step in body["instructions"]
    ]
    got = kernel_values({**body, "instructions": steps})
    wanted = values(body, inputs)
    for mine, theirs in zip(got, wanted, strict=True):
        assert all(map(near, mine, theirs.ravel())), (mine, theirs)


ROUND = [
    ("relu", [-2, 0, 3], ["0", "0", "3"]),
    ("step", [-2, 0, 3], ["0", "0", "1"]),
    ("sign", [-2, 0, 3], ["-1", "0", "1"]),
    ("abs", [-2, 0, 3], ["2", "0", "3"]),
    ("sqrt", [0, 1, F(9, 4)], ["0", "1", "3/2"]),
    ("exp", [0], ["1"]),
    ("log", [1], ["0"]),
    ("cos", [0], ["1"]),
    ("acos", [1], ["0"]),
]


@pytest.mark.parametrize(("op", "at", "want"), ROUND)
def test_exact_values_stay_exact(op: str, at: list[Any], want: list[str]) -> None:
    got = kernel_values(program(constant(at), [op, [0], {}]))[1]
    assert [str(x) for x in got] == want and all(type(x) is fmpq for x in got)


def test_functions_of_a_ball_at_their_kinks_enclose_all_values() -> None:
    """sqrt(2)**2 - 2 is zero, but its ball does not tell."""
    zero: list[Step] = [constant(2), ["sqrt", [0], {}], ["mul", [1, 1], {}], ["sub", [2, 0], {}]]
    ops = ["relu", "step", "sign", "abs", "neg"]
    got = kernel_values(program(*zero, *([op, [3], {}] for op in ops)))
    for (ball,) in got[3:]:
        assert type(ball) is arb and ball.contains(0)
    step, sign = got[5][0], got[6][0]
    assert step.contains(1) and sign.contains(1) and sign.contains(-1)
    for op in ("<=", "<", "=="):
        refused(certificate(program(*zero, constant(0), conclusion=(3, op, 4))), "not certain")
    assumed = program(*zero, constant(0), conclusion=(0, "<", 0), hypotheses=[(3, "==", 4)])
    refused(certificate(assumed), "hypothesis 0 is not certain")
    for undefined in (["log", [3], {}], ["div", [0, 3], {}], ["power", [3], {"exponent": "-1/3"}]):
        refused(certificate(program(*zero, undefined, conclusion=(4, "<", 4))), "undefined")


matrices = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=1, max_size=4)
)


@given(matrices, st.booleans())
def test_singular_values_with_ties(rows: list[list[int]], rational: bool) -> None:
    """Against numpy, with its own accuracy: also for balls, repeated values and deficient ranks."""
    with ctx.workprec(128):
        scale = fmpq(1) if rational else arb(2).sqrt()
        flat = [scale * fmpq(x) for row in rows for x in row]
        got = singular_values(flat, len(rows), len(rows[0]), Clock(20))
    want = np.linalg.svd(np.array(rows, dtype=float), compute_uv=False) * float(arb(scale))
    assert len(got) == len(want)
    for x, y in zip(got, want, strict=True):
        assert abs(float(arb(x).mid()) - y) < 1e-7
        assert float(arb(x).rad()) < (1e-30 if rational else 1e-15)


@given(st.integers(1, 4), st.data())
def test_eigenvalues_of_known_spectra(n: int, draw: Any) -> None:
    """Q diag(d) Qᵀ with a rational reflection Q: rational eigenvalues are found exactly, with multiplicity."""
    d = sorted(draw.draw(st.lists(st.fractions(-3, 3, max_denominator=3), min_size=n, max_size=n)))
    v = draw.draw(st.lists(st.integers(-2, 2), min_size=n, max_size=n).filter(any))
    square = sum(x * x for x in v)
    Q = [[F(int(i == j)) - F(2 * v[i] * v[j], square) for j in range(n)] for i in range(n)]
    S = [[sum(Q[i][k] * d[k] * Q[j][k] for k in range(n)) for j in range(n)] for i in range(n)]
    skew = [[S[i][j] + (i - j) * F(1, 3) for j in range(n)] for i in range(n)]
    flat = [fmpq(x.numerator, x.denominator) for row in skew for x in row]
    with ctx.workprec(128):
        got = eigenvalues(flat, n, Clock(20))
        balls = eigenvalues([x * arb.pi() for x in flat], n, Clock(20))
        assert got == [fmpq(x.numerator, x.denominator) for x in d]
        for x, ball in zip(got, balls, strict=True):
            assert ball.contains(arb.pi() * x) or ball.overlaps(arb.pi() * x)
            assert ball.rad() < 1e-30


def test_close_eigenvalues_that_differ_are_told_apart() -> None:
    tiny = F(1, 10**30)
    steps = [constant([[1, tiny], [0, 1]]), ["eigenvalues", [0], {}]]
    steps += [["gather", [1], {"shape": [], "indices": [k]}] for k in (0, 1)]
    result = audit_text(json.dumps(certificate(program(*steps, conclusion=(3, "<=", 2)))))
    assert result.accepted and "fails by 1.000000e-30" in result.reason


# -- relations ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("a", "op", "b", "fails"),
    [
        (2, "<=", 1, True),
        (1, "<=", 1, False),
        (1, "<", 1, True),
        (1, "<", 2, False),
        (1, "==", 2, True),
        (1, "==", 1, False),
    ],
)
def test_relations(a: int, op: str, b: int, fails: bool) -> None:
    body = program(constant(a), constant(b), conclusion=(0, op, 1))
    assert audit_text(json.dumps(certificate(body))).accepted is fails
    assumed = program(constant(a), constant(b), conclusion=(0, "<", 0), hypotheses=[(0, op, 1)])
    assert audit_text(json.dumps(certificate(assumed))).accepted is not fails


def test_only_the_entry_that_fails() -> None:
    body = program(constant([1, 5]), constant([[3], [9]]), conclusion=(0, "<=", 1))
    for entry in range(4):
        result = audit_text(json.dumps(certificate(body, entry=entry)))
        assert result.accepted is (entry == 1)
    refused(certificate(body, entry=4), "entry")
    refused(certificate(body, entry=-1), "entry")
    refused(certificate(body, entry=True), "entry")


def test_a_hypothesis_fails_if_one_entry_does() -> None:
    body = program(constant(2), constant(1), constant([0, 2]), hypotheses=[(2, "<=", 1)])
    refused(certificate({**body, "conclusions": [[0, "<=", 1]]}), "hypothesis 0 is not certain")


# -- hostile --------------------------------------------------------------------------------------------------------
ONE = constant(1)
DEEP: Any = "1"
for _ in range(600):
    DEEP = [DEEP]
MALFORMED: dict[str, Any] = {
    "no list": {**program(ONE), "instructions": {}},
    "no triple": program(ONE, ["neg", [0]]),
    "unknown operator": program(ONE, ["eval", [0], {}]),
    "operator that cannot be looked up": program(ONE, [["neg"], [0], {}]),
    "own argument": program(ONE, ["neg", [1], {}]),
    "later argument": program(["neg", [1], {}], ONE),
    "negative argument": program(ONE, ["neg", [-1], {}]),
    "argument is true": program(ONE, ONE, ["neg", [True], {}]),
    "argument is text": program(ONE, ["neg", ["0"], {}]),
    "two arguments": program(ONE, ["neg", [0, 0], {}]),
    "no argument": program(ONE, ["sum", [], {"axis": 0}]),
    "unknown attribute": program(ONE, ["neg", [0], {"axis": 0}]),
    "missing attribute": program(constant([1]), ["sum", [0], {}]),
    "axis too great": program(constant([1]), ["sum", [0], {"axis": 1}]),
    "axis is negative": program(constant([1]), ["sum", [0], {"axis": -1}]),
    "axis is false": program(constant([1]), ["sum", [0], {"axis": False}]),
    "maximum of nothing": program(constant([]), ["amax", [0], {"axis": 0}]),
    "too few values": program(constant([1], [2])),
    "value is a number": program(["constant", [], {"shape": [], "values": [1]}]),
    "value is nan": program(["constant", [], {"shape": [], "values": ["nan"]}]),
    "value is not in lowest terms": program(["constant", [], {"shape": [], "values": ["2/4"]}]),
    "value is deep": program(["constant", [], {"shape": [], "values": [DEEP]}]),
    "shape is negative": program(constant([1], [-1])),
    "shape is true": program(constant([1], [True])),  # type: ignore[list-item]
    "shape has many axes": program(constant([1], [1] * 17)),
    "shapes do not fit": program(constant([1, 2]), constant([1, 2, 3]), ["add", [0, 1], {}]),
    "matmul of vectors": program(constant([1, 2]), ["matmul", [0, 0], {}]),
    "eigenvalues of what is not square": program(constant([[1, 2]]), ["eigenvalues", [0], {}]),
    "index too great": program(ONE, ["gather", [0], {"shape": [], "indices": [1]}]),
    "index is negative": program(ONE, ["gather", [0], {"shape": [], "indices": [-1]}]),
    "too many indices": program(ONE, ["gather", [0], {"shape": [], "indices": [0, 0]}]),
    "reshaped to another size": program(ONE, ["reshape", [0], {"shape": [2]}]),
    "unknown relation": program(ONE, conclusion=(0, ">=", 0)),
    "relation is a list": program(ONE, conclusion=(0, ["<="], 0)),
    "sides that do not exist": program(ONE, conclusion=(0, "<=", 1)),
    "no conclusion": {**program(ONE), "conclusions": []},
    "nothing": {"instructions": [], "hypotheses": [], "conclusions": []},
    "another field": {**program(ONE), "more": 0},
    "deep": DEEP,
    "an oracle without certificate": program(
        ["oracle", [], {"kind": "optimum", "parameters": {}, "shape": []}]
    ),
    "division by zero": program(ONE, constant(0), ["div", [0, 1], {}], conclusion=(2, "<", 2)),
    "root of -1": program(constant(-1), ["sqrt", [0], {}], conclusion=(1, "<", 1)),
    "log of 0": program(constant(0), ["log", [0], {}], conclusion=(1, "<", 1)),
    "angle of 2": program(constant(2), ["acos", [0], {}], conclusion=(1, "<", 1)),
    "0 ** -1": program(constant(0), ["power", [0], {"exponent": "-1"}], conclusion=(1, "<", 1)),
    "-8 ** 1/3": program(constant(-8), ["power", [0], {"exponent": "1/3"}], conclusion=(1, "<", 1)),
}


@pytest.mark.parametrize("what", list(MALFORMED))
def test_malformed_programs_are_refused(what: str) -> None:
    """In each the conclusion 1 < 1 would fail, were the rest of the program what it should be."""
    refused(certificate(MALFORMED[what]))


def test_malformed_certificates_are_refused() -> None:
    good = certificate(program(ONE, conclusion=(0, "<", 0)))
    assert audit_text(json.dumps(good)).accepted
    for precision in (True, 0, 31, 4097, 10**9, "128", None, 128.0):
        refused(json.dumps({**good, "witness": {"precision": precision, "optima": {}}}))
    for optima in ([], {"0": {}}, None):
        refused({**good, "witness": {"precision": 128, "optima": optima}}, "optima")
    refused({**good, "inputs": {"x": 0}}, "inputs")
    for name in ("", 1, None, "x" * 301, ["x"]):
        refused({**good, "claim": {**good["claim"], "name": name}}, "name")
    refused(json.dumps(good)[:-1] + ', "kind": "margin"}', "twice")
    refused(json.dumps(good).replace('"instructions"', '"hypotheses": [], "instructions"'), "twice")


def test_inputs_are_exactly_those_that_are_read() -> None:
    read_x = ["input", [], {"name": "x", "shape": [1]}]
    body = program(read_x, conclusion=(0, "<", 0))
    own = {"shape": [1], "values": ["1"]}
    assert audit_text(json.dumps(certificate(body, inputs={"x": own}))).accepted
    for inputs in [
        {},
        {"x": own, "y": own},
        {"x": {"shape": [], "values": ["1"]}},
        {"x": {"shape": [1], "values": []}},
        {"x": {"shape": [1], "values": ["0x1p0"]}},
        {"x": ["1"]},
        [],
    ]:
        refused(certificate(body, inputs=inputs or {"other": own}))
    refused(certificate(program(read_x, read_x), inputs={"x": own}), "same input")


LONG = "1" + "0" * 3900


def squarings(count: int, start: str = "3/2") -> list[Step]:
    first: Step = ["constant", [], {"shape": [], "values": [start]}]
    return [first, *(["mul", [k, k], {}] for k in range(count))]


def row(size: int, shape: list[int]) -> Step:
    return ["constant", [], {"shape": shape, "values": ["1"] * size}]


BOMBS: dict[str, list[Step]] = {
    "a product of broadcasts": [
        row(10**5, [10**5, 1]),
        row(10**5, [1, 10**5]),
        ["add", [0, 1], {}],
    ],
    "outer product": [row(10**5, [10**5, 1]), row(10**5, [1, 10**5]), ["matmul", [0, 1], {}]],
    "a sum of nothing": [row(0, [10**5, 10**5, 0]), ["sum", [0], {"axis": 2}]],
    "a huge shape": [row(1, [10**18])],
    "many large arrays": [row(10**5, [10**5]), *([["neg", [0], {}]] * 40)],
    "squared 20000 times": squarings(20_000),
    "products of long numbers": squarings(20_000, f"{LONG}1/{LONG}3"),
    "a great power": [constant(F(3, 2)), ["power", [0], {"exponent": "1000000000"}]],
    "a long power": [constant(F(3, 2)), ["power", [0], {"exponent": LONG}]],
    "a power of great height": [constant(F(3, 2)), ["power", [0], {"exponent": f"1/{LONG}"}]],
    "towers": [constant(10**9), *(["exp", [k], {}] for k in range(5))],
    "sine of a great number": [
        constant(3),
        ["power", [0], {"exponent": "999999999"}],
        ["sin", [1], {}],
    ],
    "a great matrix": [
        ["constant", [], {"shape": [300, 300], "values": [str(k % 17) for k in range(90_000)]}],
        ["singular_values", [0], {}],
    ],
    "long eigenvalues": [
        [
            "constant",
            [],
            {"shape": [6, 6], "values": [f"{LONG}{k}/{k + 7}1" for k in range(1, 37)]},
        ],
        ["eigenvalues", [0], {}],
    ],
    "a product of matrices": [row(90_000, [300, 300]), ["matmul", [0, 0], {}]],
}


@pytest.mark.parametrize("what", list(BOMBS))
@pytest.mark.parametrize("precision", [128, 4096])
def test_bombs_end_by_the_clock(what: str, precision: int) -> None:
    """Either the bomb is refused, or it is harmless; in each case soon (the conclusion never fails)."""
    refused(certificate(program(*BOMBS[what], conclusion=(0, "<=", 0)), precision=precision))


# -- signs ----------------------------------------------------------------------------------------------------------
def test_roots_of_what_is_zero_but_not_rational() -> None:
    """The norm of a vector of zeros and the spectrum of a Gram matrix are defined, squares known as such or not."""
    zero: list[Step] = [constant(2), ["sqrt", [0], {}], ["mul", [1, 1], {}], ["sub", [2, 0], {}]]
    squared = [*zero, ["mul", [3, 3], {}], ["sqrt", [4], {}], constant(1)]
    assert audit_text(json.dumps(certificate(program(*squared, conclusion=(6, "<=", 5))))).accepted
    refused(certificate(program(*squared, conclusion=(0, "<=", 5), hypotheses=[(5, "<", 4)])))
    bare = [*zero, ["sqrt", [3], {}], constant(1)]
    refused(certificate(program(*bare, conclusion=(5, "<=", 4))), "undefined")
    inverse = [*zero, ["mul", [3, 3], {}], ["power", [4], {"exponent": "-1/2"}]]
    refused(certificate(program(*inverse, conclusion=(5, "<", 5))), "undefined")
    gram: list[Step] = [
        constant(2),
        ["sqrt", [0], {}],
        constant([[1, 2], [2, 4]]),
        ["mul", [1, 2], {}],
    ]
    gram += [["transpose", [3], {}], ["matmul", [3, 4], {}], ["eigenvalues", [5], {}]]
    gram += [["sqrt", [6], {}], ["sum", [7], {"axis": 0}]]
    result = audit_text(json.dumps(certificate(program(*gram, conclusion=(8, "<", 0)))))
    assert result.accepted and "7.071067812 < 2" in result.reason


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ([["mul", [0, 0], {}]], True),
        ([["mul", [0, 1], {}]], False),
        ([["abs", [0], {}], ["mul", [2, 1], {}]], False),
        ([["abs", [0], {}], ["add", [2, 2], {}], ["sum", [3], {"axis": 0}]], True),
        ([["abs", [0], {}], ["sub", [2, 2], {}]], False),
        ([["abs", [0], {}], ["neg", [2], {}]], False),
        ([["abs", [0], {}], ["max", [2, 0], {}]], True),
        ([["abs", [0], {}], ["min", [2, 0], {}]], False),
        ([["power", [0], {"exponent": "2"}]], True),
        ([["power", [0], {"exponent": "3"}]], False),
        ([["power", [0], {"exponent": "-4"}]], True),
        ([["transpose", [0], {}], ["matmul", [2, 0], {}], ["eigenvalues", [3], {}]], True),
        ([["transpose", [0], {}], ["matmul", [2, 1], {}], ["eigenvalues", [3], {}]], False),
        ([["transpose", [0], {}], ["matmul", [2, 0], {}]], False),
        ([["log", [0], {}]], False),
        ([["cos", [0], {}]], False),
        ([["sin", [0], {}]], False),
        ([["eigenvalues", [0], {}]], False),
    ],
)
def test_signs_hold_for_all_inputs(steps: list[Step], shown: bool) -> None:
    read_both = [["input", [], {"name": n, "shape": [2, 2]}] for n in "xy"]
    body = read(program(*read_both, *steps), Clock(5))
    assert nonnegative(body, Clock(5))[-1] is shown


def test_only_what_a_relation_depends_on_must_be_defined() -> None:
    steps = [constant([0, 1]), ["log", [0], {}], constant(-1), ["sum", [1], {"axis": 0}]]
    steps += [["step", [1], {}], constant(0), ["mul", [1, 5], {}], ["max", [1, 5], {}]]
    steps += [["reshape", [0], {"shape": [1, 2]}], ["reshape", [1], {"shape": [2, 1]}]]
    steps += [["matmul", [8, 9], {}], ["matmul", [9, 8], {}], ["eigenvalues", [11], {}]]
    body = program(*steps, conclusion=(1, "<=", 2))
    assert audit_text(json.dumps(certificate(body, entry=1))).accepted
    refused(certificate(body, entry=0), "instruction 1, log")
    for hypothesis in [(1, "<=", 0), (2, "<=", 1)]:
        refused(certificate({**body, "hypotheses": [hypothesis]}, entry=1), "instruction 1, log")
    for number in (3, 4, 6, 7, 10, 12):  # whatever is computed from it, even times zero
        refused(certificate({**body, "conclusions": [[number, "<", number]]}), "instruction 1, log")


@pytest.mark.parametrize("start", ["3/2", "2/3"])
def test_balls_with_endless_exponents_are_not_kept(start: str) -> None:
    # memory is charged per ball, and not for the exponent of each
    steps: list[Step] = [constant(F(start)), ["sqrt", [0], {}]]
    steps += [["mul", [k, k], {}] for k in range(1, 400)]
    found = kernel_values(program(*steps), bits=64)
    assert isinstance(found[40][0], arb)
    assert type(found[-1][0]) is Undefined
