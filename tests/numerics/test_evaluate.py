"""Quantities evaluated on arrays agree with numpy and carry an error that contains the truth."""

from __future__ import annotations

import numpy as np
import pytest

from numerics.errors import NumericsError
from numerics.evaluate import Environment, lane_scalar
from numerics.extended import scaled
from numerics.supremum import compare, step_supremum
from theory.quantity import (
    Quantity,
    QuantityError,
    amax,
    amin,
    from_data,
    inner,
    log,
    maximum,
    norm,
    project_out,
    quantity,
    relu,
    specnorm,
    sqnorm,
    sqrt,
    total,
    var,
)

w, v, x, y = var("w", "jk"), var("v", "j"), var("x", "ik"), var("y", "i")
RNG = np.random.default_rng(0)
W, V, X, Y = (
    RNG.standard_normal((2, 3, 4, 3)),
    RNG.standard_normal((2, 3, 4)),
    RNG.standard_normal((5, 3)),
    np.ones(5),
)


def env() -> Environment:
    return Environment(
        {
            "w": scaled(W[:, :, :, None, :]),
            "v": scaled(V[:, :, :, None, None]),
            "x": scaled(X[None, None, None]),
            "y": scaled(Y[None, None, None, :, None]),
            "a": lane_scalar(np.array([0.5, 2.0])),
        }
    )


def value(q: Quantity) -> np.ndarray:
    out = env().evaluate(q.to_data())
    number, radius = out.to_float()
    assert (radius <= 1e-12 * (1 + np.abs(number))).all()
    return number


Z = W @ X.T  # (2, 3, 4, 5)
CASES = [
    (amax(sqnorm(w), "j"), (W**2).sum(-1).max(-1)),
    (amin(norm(w), "j"), np.linalg.norm(W, axis=-1).min(-1)),
    (
        amax(total(v * relu(inner(w, x)), "j"), "i"),
        np.einsum("abj,abji->abi", V, np.maximum(Z, 0)).max(-1),
    ),
    (specnorm(w), np.linalg.norm(W, ord=2, axis=(2, 3))),
    (total(total(inner(w, x), "i"), "j"), Z.sum((2, 3))),
    (sqrt(total(v**2, "j")), np.linalg.norm(V, axis=-1)),
    (amax(norm(project_out(total(x, "i"), w)), "j"), None),
    (maximum(var("a"), 1) * quantity(3) - 1, np.broadcast_to(np.array([[2.0], [5.0]]), (2, 1))),
    (log(var("a")), np.log(np.array([[0.5], [2.0]]))),
]


@pytest.mark.parametrize(
    "q,expected", CASES, ids=lambda c: str(c) if isinstance(c, Quantity) else ""
)
def test_values_agree_with_numpy(q: Quantity, expected: np.ndarray | None) -> None:
    if expected is None:
        s = X.sum(0)
        unit = W / np.linalg.norm(W, axis=-1, keepdims=True)
        expected = np.linalg.norm(s - unit * (unit @ s)[..., None], axis=-1).max(-1)
    np.testing.assert_allclose(value(q)[:, :, 0, 0, 0], expected, rtol=1e-12, atol=1e-13)
    assert from_data(q.to_data()) == q


def test_unknown_variables_and_operators_are_named() -> None:
    with pytest.raises(NumericsError, match="'u' is not measured here; known: a, v, w, x, y"):
        env().evaluate(["var", "u"])
    with pytest.raises(NumericsError, match="'wobble'"):
        env().evaluate(["wobble", ["var", "a"]])


@pytest.mark.parametrize(
    "build,message",
    [
        (lambda: w * x, "use inner"),
        (lambda: amax(v, "i"), "one of its axes"),
        (lambda: relu(w), "norm or inner"),
        (lambda: v + w, "cannot be added"),
        (lambda: specnorm(x), "axes j and k"),
        (lambda: sqnorm(v), "axis k"),
        (lambda: 0.1 * v, "not exact"),
        (lambda: v <= 1, "still depends"),
        (lambda: from_data(["rat", "1/0"]), "malformed"),
        (lambda: from_data(["frob", ["rat", "1"]]), "unknown operator"),
        (lambda: from_data(["div", ["rat", "1"]]), "takes 2"),
        (lambda: from_data("x"), "no quantity"),
    ],
)
def test_ill_typed_quantities_are_refused(build, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(QuantityError, match=message):
        build()


def numbers(*values: float) -> np.ndarray:
    return np.array(values).reshape(1, -1, 1, 1, 1)


def test_scores_have_the_sign_of_the_comparison() -> None:
    lhs = scaled(numbers(1, 2, -5, -3, 0, 1, 0, 0))
    rhs = scaled(numbers(2, 1, -3, -5, 0, 0, 1, -1))
    s = compare(lhs, rhs, (1, 8))
    assert (np.sign(s.mid[0]) == [-1, 1, -1, 1, -1, 1, -1, 1]).all()
    strict = compare(lhs, rhs, (1, 8), strict=True)
    assert strict.mid[0, 4] == 0
    touching = compare(scaled(numbers(3.0)), scaled(numbers(3.0)), (1, 1))
    assert touching.low.item() == touching.high.item() == 0


def test_error_bounds_straddle() -> None:
    s = compare(scaled(numbers(1.0), numbers(0.1)), scaled(numbers(1.05)), (1, 1))
    assert s.low.item() < 0 < s.high.item()


@pytest.mark.parametrize("peak", [0.3, 0.47, 0.5, 0.99])
def test_the_supremum_between_samples_is_bounded(peak: float) -> None:
    t = np.linspace(0, 1, 6)
    q = np.exp(-3 * (t - peak) ** 2)
    s = compare(scaled(numbers(*q)), scaled(numbers(1.0)), (1, 6))
    top, where, _ = step_supremum(s)
    assert top.high[0] >= -1e-15  # the true supremum is 1
    assert top.high[0] <= 0.1  # and the bound is of use
    assert abs(t[where[0]] - peak) <= 0.1


def test_monotone_samples_cost_nothing() -> None:
    q = np.exp(2 * np.linspace(0, 1, 6))
    top, where, _ = step_supremum(compare(scaled(numbers(*q)), scaled(numbers(1.0)), (1, 6)))
    assert where[0] == 5
    assert top.high[0] == pytest.approx(2.0, abs=1e-12)
