"""Programs on batches of values, and their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from numerics.errors import NumericsError
from numerics.program_values import tensors, values
from theory import array_functions as ops
from theory.program import Program
from theory.tracing import Array, Recorder


def _traced(function, **shapes: tuple[int, ...]) -> tuple[Program, int]:
    """The program of a function of inputs, and the number of its result."""
    with Recorder() as recorder:
        result: Array = function(*(recorder.input(k, s) for k, s in shapes.items()))
        return recorder.program([("", result <= 0)]), result.number


def _value(function, **inputs: object) -> np.ndarray:
    arrays = {k: np.asarray(v, dtype=float) for k, v in inputs.items()}
    program, number = _traced(function, **{k: a.shape[1:] for k, a in arrays.items()})
    return values(program.instructions, arrays, [number])[number]


rng = np.random.default_rng(5)
A, B, X = rng.standard_normal((7, 3, 4)), rng.standard_normal((7, 4, 2)), rng.random((7, 4))

CASES = [
    (lambda a, b: a @ b, lambda a, b: a @ b),
    (lambda a, b: (a.T + b[:, :1] * 2).sum(1), lambda a, b: (a.T + b[:, :1] * 2).sum(1)),
    (lambda a, b: ops.norm(a, axis=1), lambda a, b: np.linalg.norm(a, axis=1)),
    (lambda a, b: ops.singular_values(a), lambda a, b: np.linalg.svd(a, compute_uv=False)),
    (lambda a, b: ops.eigenvalues(a @ a.T), lambda a, b: np.linalg.eigvalsh(a @ a.T)),
    (lambda a, b: ops.concatenate([a.T, b])[::-1].max(0), None),
    (lambda a, b: abs(a) ** 1.5 - ops.pi() / (b * b).sum(), None),
    (lambda a, b: ops.tanh(a) * ops.relu(a) - ops.step(a) * ops.sign(-a), None),
    (lambda a, b: np.exp(-a) + np.log1p(a * a) - np.cos(a) * np.expm1(a), None),
]
PLAIN = {
    5: lambda a, b: np.concatenate([a.T[:, :2], b])[::-1].max(0),
    6: lambda a, b: abs(a) ** 1.5 - math.pi / (b * b).sum(),
    7: lambda a, b: np.tanh(a) * np.maximum(a, 0) - (a > 0) * np.sign(-a),
    8: lambda a, b: np.exp(-a) + np.log1p(a * a) - np.cos(a) * np.expm1(a),
}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_values_are_numpys(number: int) -> None:
    function, plain = CASES[number]
    plain = plain or PLAIN[number]
    a = A[:, :2] if number == 5 else A
    got = _value(function, a=a, b=B)
    want = np.stack([plain(p, q) for p, q in zip(a, B, strict=True)])
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_wide_inner_products() -> None:
    a, b = rng.standard_normal((3, 2, 40)), rng.standard_normal((3, 40, 5))
    np.testing.assert_allclose(_value(lambda a, b: a @ b, a=a, b=b), a @ b, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (ops.log, [-1.0, 0.0]),
        (ops.sqrt, [-1.0, -1e-300]),
        (ops.arccos, [1.1, -2.0]),
        (ops.log1p, [-1.0, -3.0]),
        (lambda x: 1 / x, [0.0, -0.0]),
        (lambda x: x**-0.5, [0.0, -1.0]),
        (lambda x: x**-2, [0.0, 0.0]),
    ],
)
def test_undefined_is_nan(function, x: list[float]) -> None:
    assert np.isnan(_value(function, x=x)).all()


def test_a_spectrum_of_what_is_not_finite_is_nan_and_the_others_are_there() -> None:
    M = np.stack([np.diag([1.0, 2.0]), np.full((2, 2), np.nan)])
    got = _value(ops.eigenvalues, M=M)
    np.testing.assert_array_equal(got, [[1.0, 2.0], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (ops.norm, np.zeros((1, 3))),
        (lambda x: ops.norm(x, axis=1).sum(), np.zeros((1, 2, 2))),
        (lambda x: ops.eigenvalues(x)[0] + ops.eigenvalues(x)[1] ** 2, np.eye(3)[None]),
        (lambda x: ops.singular_values(x)[1], np.ones((1, 3, 3))),
        (lambda x: ops.singular_values(x)[0], np.zeros((1, 2, 3))),
        (lambda x: (x**0.5).sum(), np.array([[0.0, 4.0]])),
        (lambda x: (x ** (1 / 2) + ops.arccos(x)).sum(), np.array([[0.0, 1.0]])),
        (lambda x: ops.maximum(x, 0).sum() + abs(x).sum(), np.zeros((1, 2))),
        (lambda x: ops.maximum(1, 1 / x).max(), np.array([[0.0, 2.0]])),
    ],
)
def test_gradients_are_finite_at_kinks(function, x: np.ndarray) -> None:
    program, number = _traced(function, x=x.shape[1:])
    leaf = torch.tensor(x, requires_grad=True)
    tensors(program.instructions, {"x": leaf}, [number])[number].nansum().backward()
    assert torch.isfinite(leaf.grad).all()


def test_gradients_are_those_of_finite_differences() -> None:
    def function(a: Array, b: Array) -> Array:
        s = ops.singular_values(a @ b)
        return s[0] * ops.norm(a) - ops.eigenvalues(b.T @ b)[0] ** 0.5

    program, number = _traced(function, a=(3, 4), b=(4, 2))
    leaves = [torch.tensor(x[:2], requires_grad=True) for x in (A, B)]
    assert torch.autograd.gradcheck(
        lambda a, b: tensors(program.instructions, {"a": a, "b": b}, [number])[number], leaves
    )


def test_oracles_are_asked_with_batches() -> None:
    with Recorder() as recorder:
        x = recorder.input("x", (2,))
        y = ops.oracle("twice", [x * 3], {"by": 2}, (2,))
        z = y + 1
        instructions = recorder.program([("", z <= 0)]).instructions

    def twice(parameters, args):
        ((mid, rad),) = args
        assert mid.shape == rad.shape == (3, 2) and not rad.any()
        return mid * parameters["by"], rad

    x = np.arange(6.0).reshape(3, 2)
    got = values(instructions, {"x": x}, [z.number], oracles={"twice": twice})[z.number]
    np.testing.assert_array_equal(got, 6 * x + 1)
    with pytest.raises(NumericsError, match="oracles="):
        values(instructions, {"x": x}, [z.number])


def test_inputs_are_checked() -> None:
    program, number = _traced(lambda x, y: x + y, x=(2,), y=())
    for inputs in (
        {"x": np.zeros((3, 2))},
        {"x": np.zeros((3, 3)), "y": np.zeros(3)},
        {"x": np.zeros((3, 2)), "y": np.zeros(2)},
    ):
        with pytest.raises(NumericsError):
            values(program.instructions, inputs, [number])
