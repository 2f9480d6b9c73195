"""Error bounds of programs where they matter: exact, tiny, huge, singular, outside of domains."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from numerics.errors import NumericsError
from numerics.program_bounds import bounds
from theory import array_functions as ops
from theory.tracing import Recorder

rng = np.random.default_rng(11)


def _bounds(function, radii=None, **inputs: object) -> tuple[np.ndarray, np.ndarray]:
    arrays = {k: np.asarray(v, dtype=float) for k, v in inputs.items()}
    with Recorder() as recorder:
        result = function(*(recorder.input(k, a.shape[1:]) for k, a in arrays.items()))
        instructions = recorder.program([("", result <= 0)]).instructions
    return bounds(instructions, arrays, radii or {}, [result.number])[result.number]


INTEGERS = rng.integers(-9, 10, (20, 3, 4)).astype(float)


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a @ a.T @ a,
        lambda a: (a * a - 2 * a + 7).sum(),
        lambda a: a[0] / 4 - ops.relu(a[1]) * 0.375,
        lambda a: abs(a) ** 5,
        lambda a: ops.maximum(a, 3).max(1) - a.min(),
        lambda a: (a / 8) ** 2 * ops.sign(a) + ops.step(a),
        lambda a: ops.sqrt(a * a),
        lambda a: ops.exp(a * 0) + ops.cos(a - a) + ops.log(a * 0 + 1) + ops.tanh(a * 0),
        lambda a: (a * a * 36) ** 1.5,
        lambda a: (a * 6) / 3,
    ],
)
def test_small_integers_are_exact(function) -> None:
    mid, rad = _bounds(function, a=INTEGERS)
    assert not rad.any()
    assert np.isfinite(mid).all()


def test_spectra_of_diagonal_matrices_are_exact() -> None:
    x = rng.integers(-3, 4, (10, 3)).astype(float)
    mid, rad = _bounds(lambda x: ops.eigenvalues(ops.diag(x)), x=x)
    np.testing.assert_array_equal(mid, np.sort(x))
    assert not rad.any()
    mid, rad = _bounds(lambda x: ops.singular_values(ops.diag(x)[::-1]), x=x)
    np.testing.assert_array_equal(mid, -np.sort(-abs(x)))
    assert not rad.any()


def test_a_division_is_exact_only_where_it_is() -> None:
    mid, rad = _bounds(lambda a, b: a / b, a=[6.0, 1.0], b=[3.0, 3.0])
    assert rad[0] == 0 < rad[1] < 1e-16
    assert abs(Fraction(mid[1]) - Fraction(1, 3)) <= Fraction(rad[1])


def test_spectral_bounds_are_sharp() -> None:
    a = rng.standard_normal((200, 4, 4))
    for function in (ops.singular_values, lambda a: ops.eigenvalues(a + a.T)):
        mid, rad = _bounds(function, a=a)
        assert (rad <= 1e-13 * np.abs(mid).max(axis=1, keepdims=True)).all()
    for size in (1e-290, 1e290):
        mid, rad = _bounds(ops.singular_values, a=a * size)
        assert (rad <= 1e-13 * mid.max(axis=1, keepdims=True)).all()


def test_singular_gram_matrices_have_roots() -> None:
    a = rng.standard_normal((50, 3, 1)) * rng.standard_normal((50, 1, 3))
    mid, rad = _bounds(lambda a: ops.sqrt(ops.eigenvalues(a @ a.T)), a=a)
    assert np.isfinite(mid).all() and (rad < 1e-6).all()
    assert (mid[:, :2] - rad[:, :2] <= 0).all()


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (ops.log, [-1.0, 0.0]),
        (ops.sqrt, [-1.0, -1e-300]),
        (ops.arccos, [1.0 + 2**-52, -2.0]),
        (ops.log1p, [-1.0, -3.0]),
        (lambda x: 1 / x, [0.0, -0.0]),
        (lambda x: x**-0.5, [0.0, -1.0]),
        (lambda x: x ** Fraction(1, 3), [-1.0, -1e-200]),
        (lambda x: ops.maximum(1, ops.log(x)) * 0, [0.0, -1.0]),
        (lambda x: ops.eigenvalues(ops.diag(ops.stack([1, ops.sqrt(x)])))[0], [-1.0, -2.0]),
    ],
)
def test_undefined_is_told(function, x: list[float]) -> None:
    mid, rad = _bounds(function, x=x)
    assert np.isnan(mid).all() and np.isnan(rad).all()


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: ops.sqrt(x), 1e-17),
        (lambda x: ops.log(x), 0.0),
        (lambda x: 1 / x, 0.0),
        (lambda x: ops.arccos(1 + x), 0.0),
        (lambda x: ops.tanh(ops.log(x)), 0.0),
        (lambda x: ops.step(1 / x), 0.0),
    ],
)
def test_what_may_be_undefined_is_unknown(function, x: float) -> None:
    mid, rad = _bounds(function, {"x": np.full(1, 1e-16)}, x=[x])
    assert np.isnan(mid).all() and np.isinf(rad).all()


def test_overflow_is_unknown() -> None:
    for function in (lambda x: x * x, lambda x: ops.exp(x), lambda x: ops.sign(x * x - x)):
        mid, rad = _bounds(function, x=[1e200])
        assert np.isnan(mid).all() and np.isinf(rad).all()


def test_underflow_has_a_radius() -> None:
    mid, rad = _bounds(lambda x, y: x * y, x=[1e-200, 0.0], y=[1e-200, 1e-200])
    assert rad[0] > 0 == rad[1]
    a, b = np.full((1, 1, 2), 1e300), np.full((1, 2, 1), 3e-310)
    mid, rad = _bounds(lambda a, b: a @ b, a=a, b=b)
    exact = 2 * Fraction(1e300) * Fraction(3e-310)
    assert abs(Fraction(mid.item()) - exact) <= Fraction(rad.item())
    _, rad = _bounds(lambda x: ops.exp(x), x=[-800.0])
    assert rad[0] > 0
    _, rad = _bounds(lambda x: ops.singular_values(ops.diag(x))[1], x=[[1e300, 1e-300]])
    assert rad[0] > 0


def test_weyls_inequality_for_uncertain_matrices() -> None:
    a = rng.standard_normal((1, 3, 3))
    a = a + a.swapaxes(1, 2)
    off = np.full((1, 3, 3), 0.01)
    mid, rad = _bounds(ops.eigenvalues, {"a": off}, a=a)
    moved = a + 0.01 * np.sign(rng.standard_normal((500, 3, 3)))
    moved = (moved + moved.swapaxes(1, 2)) / 2
    assert (abs(np.linalg.eigvalsh(moved) - mid) <= rad).all()
    assert (rad < 0.0301).all()


def test_constants_that_floats_do_not_hold() -> None:
    mid, rad = _bounds(lambda x: x * 0 + Fraction(1, 3) + ops.pi(), x=[0.0])
    pi = Fraction("3.14159265358979323846264338327950288")
    assert abs(Fraction(mid[0]) - Fraction(1, 3) - pi) <= Fraction(rad[0]) < Fraction(1, 10**14)


def test_oracles_need_an_error_bound() -> None:
    with Recorder() as recorder:
        y = ops.oracle("o", [recorder.input("x", ())], {}, (2,))
        instructions = recorder.program([("", y <= 0)]).instructions
    x = {"x": np.zeros(3)}

    def found(result):
        return bounds(instructions, x, {}, [1], oracles={"o": lambda p, a: result})[1]

    mid, rad = found((np.ones((3, 2)), np.full((3, 2), 0.5)))
    assert (mid == 1).all() and (rad == 0.5).all()
    mid, rad = found((np.ones((3, 2)), np.full((3, 2), math.nan)))
    assert np.isinf(rad).all() or np.isnan(rad).all()
    for wrong in (np.ones((3, 2)), (np.ones((3, 2)), None), (np.ones(7), np.ones(7))):
        with pytest.raises(NumericsError, match="error bound"):
            found(wrong)
    with pytest.raises(NumericsError, match="radius"):
        _bounds(lambda x: x, {"x": np.array([-1.0])}, x=[0.0])
