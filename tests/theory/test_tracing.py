"""Traced arrays: numpy's meaning, instruction by instruction, and clear refusals."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import array_functions as ops
from theory.errors import LemmataError
from theory.indexing import positions
from theory.program import Instruction, Program
from theory.tracing import Array, Recorder, TraceError, array

Float = np.ndarray


def value(i: Instruction, a: list[Any], inputs: Mapping[str, Float]) -> Any:
    """The result of one instruction."""
    at = i.attributes
    table: dict[str, Callable[[], Any]] = {
        "input": lambda: inputs[at["name"]],
        "constant": lambda: np.reshape([float(Fraction(v)) for v in at["values"]], at["shape"]),
        "pi": lambda: np.pi,
        "add": lambda: a[0] + a[1],
        "sub": lambda: a[0] - a[1],
        "mul": lambda: a[0] * a[1],
        "div": lambda: a[0] / a[1],
        "max": lambda: np.maximum(*a),
        "min": lambda: np.minimum(*a),
        "neg": lambda: -a[0],
        "acos": lambda: np.arccos(a[0]),
        "relu": lambda: np.maximum(a[0], 0),
        "step": lambda: (a[0] > 0) * 1.0,
        "power": lambda: a[0] ** float(Fraction(at["exponent"])),
        "sum": lambda: np.sum(a[0], axis=at["axis"]),
        "amax": lambda: np.max(a[0], axis=at["axis"]),
        "amin": lambda: np.min(a[0], axis=at["axis"]),
        "matmul": lambda: a[0] @ a[1],
        "reshape": lambda: np.reshape(a[0], at["shape"]),
        "transpose": lambda: a[0].T,
        "gather": lambda: np.reshape(np.ravel(a[0])[list(at["indices"])], at["shape"]),
        "concatenate": lambda: np.reshape(np.concatenate([np.ravel(x) for x in a]), at["shape"]),
        "eigenvalues": lambda: np.linalg.eigvalsh((a[0] + a[0].T) / 2),
        "singular_values": lambda: np.linalg.svd(a[0], compute_uv=False),
    }
    return table[i.op]() if i.op in table else getattr(np, i.op)(a[0])


def run(program: Program, inputs: Mapping[str, Float], wanted: int) -> Float:
    """A plain interpreter in numpy, written for these tests."""
    done: list[Any] = []
    for i in program.instructions[: wanted + 1]:
        done.append(value(i, [done[k] for k in i.args], inputs))
        assert np.shape(done[-1]) == i.shape
    return np.asarray(done[wanted])


A = np.array([[0.5, -1.25, 2.0], [3.0, 0.0, -0.75]])
S = np.array([[2.0, 1.0, 0.5], [1.0, -1.0, 0.25], [0.5, 0.25, 3.0]])
V = np.array([0.25, -0.5, 0.75])

EXPRESSIONS: list[Callable[[Any, Any, Any], Any]] = [
    lambda A, S, V: A + 1,
    lambda A, S, V: 2 - A * V,
    lambda A, S, V: A / 3 - V / 7,
    lambda A, S, V: (A @ S) @ V,
    lambda A, S, V: V @ S,
    lambda A, S, V: V @ V,
    lambda A, S, V: A.T @ A - S,
    lambda A, S, V: -A,
    lambda A, S, V: abs(A) ** 3,
    lambda A, S, V: np.abs(V) ** 0.5,
    lambda A, S, V: 2**V,
    lambda A, S, V: np.exp(A) + np.expm1(A) + np.tanh(A) + np.sin(A) * np.cos(A),
    lambda A, S, V: np.log(np.abs(S)) + np.log1p(S * S) + np.sqrt(np.abs(S)),
    lambda A, S, V: np.arccos(V),
    lambda A, S, V: np.sign(A),
    lambda A, S, V: np.square(A) + np.reciprocal(S[0, 0]),
    lambda A, S, V: np.maximum(A, V) - np.minimum(A, 0),
    lambda A, S, V: np.clip(A, -1, 1),
    lambda A, S, V: np.sum(A) + A.sum(axis=1).sum(),
    lambda A, S, V: np.sum(A, axis=0) - A.mean(axis=0) + np.mean(A),
    lambda A, S, V: A.max(axis=1) - A.min(axis=-1) + np.max(A) + np.min(S, axis=0)[0],
    lambda A, S, V: np.trace(S) + np.diag(S) + S.diagonal(),
    lambda A, S, V: np.diag(V) @ S,
    lambda A, S, V: np.linalg.norm(V) + np.linalg.norm(A) + np.linalg.norm(V, 1),
    lambda A, S, V: np.linalg.norm(V, np.inf) + np.linalg.norm(A, 2) + np.linalg.norm(A, "nuc"),
    lambda A, S, V: np.linalg.norm(A, axis=1),
    lambda A, S, V: np.linalg.eigvalsh(S),
    lambda A, S, V: np.linalg.svd(A, compute_uv=False),
    lambda A, S, V: np.linalg.eigvalsh(S)[-1] + np.linalg.svdvals(A)[0],
    lambda A, S, V: np.outer(V, V) + np.dot(S, S) + np.inner(S, S),
    lambda A, S, V: np.concatenate([A, S]) @ V,
    lambda A, S, V: np.concatenate([A, A], axis=1),
    lambda A, S, V: np.hstack([V, V]),
    lambda A, S, V: np.stack([V, V * 2]),
    lambda A, S, V: np.vstack([V, A, A[1]]),
    lambda A, S, V: np.vstack([V, V]),
    lambda A, S, V: A[1],
    lambda A, S, V: A[:, 1:] + A[0, None, 2],
    lambda A, S, V: A[..., -1] * A[::-1, 0],
    lambda A, S, V: A[:, [2, 0]],
    lambda A, S, V: A[1][::2],
    lambda A, S, V: A.reshape(3, -1) @ A,
    lambda A, S, V: np.ravel(A)[4:],
    lambda A, S, V: np.eye(3) @ V - np.ones((3, 3)) @ V,
    lambda A, S, V: np.vdot(A, A),
    lambda A, S, V: sum(row @ V for row in A),
    lambda A, S, V: np.float64(2.0) * V,
]


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)))
def test_an_expression_means_what_it_means_in_numpy(number: int) -> None:
    expression = EXPRESSIONS[number]
    with Recorder() as recorder:
        traced = expression(
            recorder.input("A", (2, 3)), recorder.input("S", (3, 3)), recorder.input("V", (3,))
        )
        program = recorder.program([("", traced <= 0)])
    expected = expression(A, S, V)
    assert traced.shape == np.shape(expected)
    found = run(program, {"A": A, "S": S, "V": V}, traced.number)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


def test_our_own_names() -> None:
    with Recorder() as recorder:
        v = recorder.input("V", (3,))
        out = ops.stack([ops.relu(v), ops.step(v), v * ops.pi()])
        program = recorder.program([("", out <= 0)])
    found = run(program, {"V": V}, out.number)
    np.testing.assert_allclose(found, [np.maximum(V, 0), (V > 0) * 1.0, V * np.pi], rtol=1e-15)


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    data=st.data(),
)
def test_indexing_means_what_it_means_in_numpy(shape: tuple[int, ...], data: st.DataObject) -> None:
    from hypothesis.extra import numpy as hnp

    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    values = np.arange(math.prod(shape), dtype=float).reshape(shape)
    out, indices = positions(shape, key)
    expected = values[key]
    assert out == expected.shape
    assert [values.ravel()[i] for i in indices] == np.ravel(expected).tolist()


@given(shape=st.tuples(*[st.integers(1, 3)] * 3), data=st.data())
def test_lists_of_indices_are_taken_together_as_in_numpy(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    from hypothesis.extra import numpy as hnp

    lengths = data.draw(st.sampled_from([(), (1,), (2,), (3,), (2, 1), (2, 3)]))
    common = st.sampled_from([s for s in [(), (1,), lengths] if len(s) <= len(lengths)])
    keys: list[Any] = []
    for length in shape[: data.draw(st.integers(1, 3))]:
        entries = st.integers(-length, length - 1)
        lists = common.flatmap(lambda s, e=entries: hnp.arrays(np.int64, s, elements=e))
        as_lists = lists.map(lambda a: a.tolist())
        keys.append(data.draw(st.one_of(lists, as_lists, st.just(slice(None)), entries)))
    if data.draw(st.booleans()):
        more = (
            [None, ...] if len(keys) == len(shape) else [None]
        )  # ... would move the keys to other axes
        keys.insert(data.draw(st.integers(0, len(keys))), data.draw(st.sampled_from(more)))
    values = np.arange(math.prod(shape), dtype=float).reshape(shape)
    out, indices = positions(shape, tuple(keys))
    expected = values[tuple(keys)]
    assert out == expected.shape
    assert [values.ravel()[i] for i in indices] == np.ravel(expected).tolist()


def test_pairs_of_indices_are_a_diagonal() -> None:
    assert positions((3, 3), (np.arange(3), np.arange(3))) == ((3,), [0, 4, 8])
    assert positions((3, 3), np.triu_indices(3)) == ((6,), [0, 1, 2, 4, 5, 8])
    with pytest.raises(TraceError, match="entry by entry"):
        positions((3, 3), ([0, 1], [0, 1, 2]))
    with pytest.raises(TraceError, match="different lengths"):
        positions((3, 3), [[0, 1], [2]])


def test_equal_expressions_are_recorded_once() -> None:
    with Recorder() as recorder:
        x = recorder.input("x", (2,))
        assert (x * x + 1).number == (x * x + 1).number
        assert recorder.input("x", (2,)).number == x.number


def test_floats_are_the_binary_numbers_that_they_are() -> None:
    with Recorder() as recorder:
        a = array(0.1, recorder)
        b = array([[1, 2.5], [True, Fraction(1, 3)]], recorder)
        program = recorder.program([("", a <= b)])
    texts = [i.attributes["values"] for i in program.instructions]
    assert texts == [[str(Fraction(0.1))], ["1", "5/2", "1", "1/3"]]


def test_comparisons_go_both_ways() -> None:
    with Recorder() as recorder:
        x = recorder.input("x", ())
        program = recorder.program(
            [("a", x <= 1), ("b", x >= 1), ("c", x < 1), ("d", x > 1), ("e", ops.equal(x, 1))]
        )
    shown = [(r.name, r.lhs, r.op, r.rhs) for r in program.conclusions]
    assert shown == [
        ("a", 0, "<=", 1),
        ("b", 1, "<=", 0),
        ("c", 0, "<", 1),
        ("d", 1, "<", 0),
        ("e", 0, "==", 1),
    ]


REFUSED: list[tuple[Callable[[Array], Any], str]] = [
    (lambda x: bool(x), "branch"),
    (lambda x: bool(x[0] <= 1), "truth value"),
    (lambda x: max(x[0], x[1]), "maximum"),
    (lambda x: operator.iadd(x, 1), "a = a [+] b"),
    (lambda x: operator.imatmul(x, x), "a = a [+] b"),
    (lambda x: operator.setitem(x, 0, 1), "never changed"),
    (lambda x: x**1e300, "at most 1,000,000"),
    (lambda x: x ** -(10**30), "at most 1,000,000"),
    (lambda x: x[0] == 0, "ops.equal"),
    (lambda x: x != np.zeros(2), "ops.equal"),
    (lambda x: np.zeros(2) == x, "ops.equal"),
    (lambda x: x[0] in [1, 2], "ops.equal"),
    (lambda x: (x <= 1) == True, "lemmata.assume"),  # noqa: E712
    (lambda x: float(x[0]), "no value"),
    (lambda x: np.asarray(x), "no value"),
    (lambda x: x.item(), "no value"),
    (lambda x: x[0] // 2, "no value"),
    (lambda x: x**x, "exponent"),
    (lambda x: x[x], "by their values"),
    (lambda x: x[5], "axis of length 2"),
    (lambda x: x[0, 0], "too many indices"),
    (lambda x: x["a"], "no index"),
    (lambda x: x - [1, 2, 3], "do not fit"),
    (lambda x: x + "a", "no number"),
    (lambda x: x + float("nan"), "not finite"),
    (lambda x: x + np.inf, "not finite"),
    (lambda x: np.linalg.inv(x), "error bound"),
    (lambda x: np.sort(x), "error bound"),
    (lambda x: np.arctan(x), "lemmata.ops"),
    (lambda x: np.linalg.svd(x.reshape(1, 2)), "compute_uv=False"),
    (lambda x: np.add.reduce(x), "lemmata.ops"),
    (lambda x: np.sum(x, keepdims=True), "keepdims"),
    (lambda x: x.sum(3), "axis 3"),
    (lambda x: x[0] @ x, "vectors and matrices"),
    (lambda x: ops.norm(x, 3), "2, 1 or inf"),
    (lambda x: ops.eigenvalues(x), "square matrix"),
    (lambda x: len(x[0]), "no length"),
    (lambda x: ops.equal(x, 1, resolution=2.0), "between 0 and 1"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_a_program_cannot_express_is_refused(number: int) -> None:
    action, words = REFUSED[number]
    with Recorder() as recorder, pytest.raises(LemmataError, match=words):
        action(recorder.input("x", (2,)))


def test_numbers_are_replaced_and_not_changed() -> None:
    with Recorder() as recorder:
        x = recorder.input("x", (2,))
        first = total = x[0]
        total += x[1]
        total -= 1
        total *= 3
        total /= 2
        assert first.number == x[0].number != total.number
        program = recorder.program([("", total <= 0)])
    found = run(program, {"x": np.array([4.0, 5.0])}, total.number)
    assert found == 12.0


def test_programs_have_a_limit() -> None:
    with Recorder() as recorder, pytest.raises(TraceError, match="fewer steps"):
        x = recorder.input("x", ())
        while True:
            x = x + 1
    with Recorder() as recorder, pytest.raises(TraceError, match="smaller shapes"):
        x = recorder.input("x", (1_000_000,))
        while True:
            x = x + 1


def test_arrays_of_another_case_are_refused() -> None:
    with Recorder() as recorder:
        old = recorder.input("x", ())
    with Recorder() as recorder, pytest.raises(TraceError, match="another case"):
        _ = recorder.input("x", ()) + old
    with pytest.raises(TraceError, match="decorated"):
        ops.pi()


def test_lines_are_those_of_the_user() -> None:
    with Recorder() as recorder:
        x = recorder.input("x", (2,))
        y = np.exp(x)
        program = recorder.program([("", y <= np.linalg.norm(y))])
    import inspect

    source, first = inspect.getsourcelines(test_lines_are_those_of_the_user)
    line = first + next(k for k, text in enumerate(source) if "np.exp" in text)
    assert [i.line for i in program.instructions if i.op == "exp"] == [line]
    assert {i.line for i in program.instructions if i.op == "sqrt"} == {line + 1}
