"""Environments that share numbers, and radii that do not depend on what is evaluated beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numerics.errors import NumericsError
from numerics.evaluate import Environment, freeze, lane_scalar
from numerics.extended import ScaledArray, scaled
from numerics.scaled_functions import spectral_norm, weighted_sum
from theory.quantity import Quantity, amax, exp, quantity, total, var

RNG = np.random.default_rng(1)
LANES = np.array([2, 2, 0])
a, b, f = var("a"), var("b"), var("f", "i")


def environments() -> tuple[Environment, Environment, dict[str, ScaledArray]]:
    numbers = {"a": lane_scalar(np.array([1.0, 2.0, 3.0])), "b": lane_scalar(np.full(3, np.nan))}
    outer = Environment(numbers)
    values = scaled(np.arange(12.0).reshape(3, 2, 1, 2, 1))
    derived = {"g": freeze((2 * f).to_data())}
    return Environment({"f": values}, derived, outer=outer, rows=LANES), outer, numbers


def value(env: Environment, q: Quantity) -> np.ndarray:
    return env.evaluate(q.to_data()).to_float()[0]


def test_numbers_are_those_of_the_lanes() -> None:
    env, _, _ = environments()
    assert value(env, a + 1).ravel().tolist() == [4.0, 4.0, 2.0]
    assert value(env, a * amax(f, "i")).shape == (3, 2, 1, 1, 1)
    assert value(env, var("g", "i")).ravel().tolist() == (2 * np.arange(12.0)).tolist()


def test_a_number_that_changes_is_seen_and_the_rest_is_kept() -> None:
    env, outer, numbers = environments()
    both, other = b * total(f, "i"), amax(f, "i")
    assert np.isnan(value(env, both)).all() and np.isnan(value(env, b + 1)).all()
    kept = env.evaluate(other.to_data())
    numbers["b"].m[:] = 10.0
    outer.forget({"b"})
    env.forget({"b"})
    assert value(env, b + 1).ravel().tolist() == [11.0] * 3
    assert value(env, both).ravel().tolist() == (10 * value(env, total(f, "i"))).ravel().tolist()
    assert env.evaluate(other.to_data()) is kept


def test_what_is_derived_from_a_changed_variable_is_forgotten() -> None:
    values = {"f": scaled(np.ones((1, 1, 1, 2, 1)))}
    env = Environment(values, {"g": freeze((2 * f).to_data())})
    assert value(env, total(var("g", "i"), "i")).item() == 4.0
    values["f"] = scaled(np.full((1, 1, 1, 2, 1), 3.0))
    env.forget({"f"})
    assert value(env, total(var("g", "i"), "i")).item() == 12.0


def test_an_unknown_name_is_told_all_that_are_known() -> None:
    env, _, _ = environments()
    with pytest.raises(NumericsError, match="known: a, b, f, g"):
        env.evaluate(["var", "c"])


def test_the_sum_of_weighted_points_is_within_its_radius_and_no_wider_than_term_by_term() -> None:
    c = scaled(RNG.standard_normal((4, 3, 5, 6, 1)), 1e-6 * RNG.random((4, 3, 5, 6, 1)))
    x = scaled(RNG.standard_normal((1, 1, 1, 6, 3)), np.full((1, 1, 1, 6, 1), 1e-12))
    fast, slow = weighted_sum(c, x), (c * x).sum(3)
    assert fast.m.shape == slow.m.shape
    off = np.linalg.norm(fast.m - slow.m, axis=-1, keepdims=True)
    assert (off <= 1e-14).all()
    assert (fast.r <= slow.r * (1 + 1e-6)).all() and (fast.r >= slow.r * (1 - 1e-6)).all()
    moved = np.einsum("lmjik,nik->lmjk", c.m + c.r * RNG.choice([-1, 1], c.m.shape), x.m[0, 0])
    assert (np.linalg.norm(moved[:, :, :, None] - fast.m, axis=-1, keepdims=True) <= fast.r).all()


def test_sums_over_points_take_the_short_way() -> None:
    weights, points = RNG.standard_normal((2, 1, 4, 5, 1)), RNG.standard_normal((1, 1, 1, 5, 3))
    env = Environment({"c": scaled(weights), "x": scaled(points)})
    found = env.evaluate(total(2 * var("c", "ji") * var("x", "ik"), "i").to_data())
    expected = 2 * np.einsum("lmjik,nik->lmjk", weights, points[0, 0])
    assert found.m[:, :, :, 0] == pytest.approx(expected, rel=1e-13, abs=1e-15)


UNEQUAL = {
    "renormalised": (lambda: scaled(np.array([1.0, 2.0**-400, np.nan, 3.0]).reshape(4, 1)), "mul"),
    "exact and not": (lambda: scaled(np.ones((4, 1)), np.array([[0.0], [1e-9], [0], [1]])), "max"),
    "log1p": (lambda: scaled(np.array([1.0, 2.0**-90, 1e-3, 2.0**-80]).reshape(4, 1)), "log1p"),
}


OPERATIONS: dict[str, list[Any]] = {
    "mul": ["mul", ["var", "a"], ["var", "a"]],
    "max": ["amax", "j", ["var", "a"]],
    "log1p": ["log1p", ["var", "a"]],
}


@pytest.mark.parametrize("make, op", UNEQUAL.values(), ids=UNEQUAL.keys())
def test_no_entry_depends_on_those_beside_it(make: Callable[[], ScaledArray], op: str) -> None:
    def apply(given: ScaledArray) -> ScaledArray:
        shape = (-1, 1, 1, 1, 1)
        whole = ScaledArray(given.m.reshape(shape), given.r.reshape(shape), given.e.reshape(shape))
        return Environment({"a": whole}).evaluate(OPERATIONS[op])

    given = make()
    together = apply(given)
    for k in range(4):
        alone, one = apply(given.take(np.array([k]))), together.take(np.array([k]))
        np.testing.assert_array_equal(alone.m, one.m)
        np.testing.assert_array_equal(alone.r, one.r)
        np.testing.assert_array_equal(alone.e, one.e)


def test_a_matrix_that_is_not_finite_does_not_spoil_the_others() -> None:
    m = RNG.standard_normal((3, 1, 4, 1, 2))
    m[1, 0, 2] = np.nan
    found = spectral_norm(scaled(m, np.zeros((3, 1, 4, 1, 1))), 2).m.ravel()
    assert np.isnan(found[1]) and np.isfinite(found[[0, 2]]).all()
    assert found[0] == pytest.approx(np.linalg.norm(m[0, 0, :, 0], 2))


def test_exponentials_keep_their_own_exponents() -> None:
    env = Environment({"f": scaled(np.array([-2000.0, 3.0]).reshape(1, 1, 1, 2, 1))})
    assert value(env, total(exp(f), "i")).item() == pytest.approx(np.exp(3.0))
    logs = env.evaluate(exp(f).to_data()).log_interval()[0].ravel()
    assert logs == pytest.approx([-2000.0, 3.0])
    assert value(env, quantity(1) + amax(f, "i")).item() == 4.0
