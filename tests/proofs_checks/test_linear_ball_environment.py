"""Quantities in ball arithmetic: the same values as in floating point, and far more bits of a difference."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
from flint import arb

from numerics.errors import NumericsError
from numerics.evaluate import Environment
from numerics.extended import ScaledArray, scaled
from proofs_checks.linear_ball_environment import BallEnvironment
from proofs_checks.linear_balls import balls, rounded
from theory.quantity import (
    PI,
    Quantity,
    amax,
    amin,
    cos,
    exp,
    inner,
    log,
    maximum,
    minimum,
    norm,
    project_out,
    qabs,
    specnorm,
    sqnorm,
    sqrt,
    step,
    total,
    var,
)

RNG = np.random.default_rng(6)
w, u, D, c = var("w", "jk"), var("u", "ik"), var("D", "ji"), var("c")
ARRAYS: dict[str, ScaledArray] = {
    "w": scaled(RNG.standard_normal((1, 1, 3, 1, 4)), 1e-14, 7),
    "u": scaled(RNG.standard_normal((1, 1, 1, 3, 4)), 0.0, -2),
    "D": scaled(RNG.standard_normal((1, 1, 3, 3, 1))),
    "c": scaled(np.full((1, 1, 1, 1, 1), 0.75)),
}
QUANTITIES: list[Quantity] = [
    amax(amax(qabs(inner(w, u) - D), "i"), "j"),
    amin(amin(D, "i"), "j"),
    total(sqnorm(w), "j") / total(sqnorm(u), "i"),
    total(step(amax(D, "i")), "j") + step(-c) + step(c - c),
    maximum(c, minimum(Fraction(1, 3), PI), c**3),
    total(norm(w), "j") - sqrt(c),
    exp(c) + log(c) + cos(c) + c ** Fraction(3, 2),
    specnorm(w),
    amax(amax(norm(project_out(w, u)), "i"), "j"),
]


@pytest.mark.parametrize("quantity", QUANTITIES, ids=str)
def test_values_agree_with_floating_point(quantity: Quantity) -> None:
    data = quantity.to_data()
    precise, plain = (e.evaluate(data) for e in (BallEnvironment(ARRAYS, 128), Environment(ARRAYS)))
    gap = precise - plain
    assert (np.abs(gap.m) <= gap.r).all()
    (value, _), (_, radius) = plain.to_float(), precise.to_float()
    assert radius.max() <= 1e-9 * np.abs(value).max()


def test_a_difference_keeps_its_bits() -> None:
    with flint.ctx.workprec(400):
        small = balls(scaled(np.ones((1, 1, 1, 1, 1)), 0.0, -300))
    near: dict[str, Any] = {"c": ARRAYS["c"], "d": small}
    found = BallEnvironment(near, 400).evaluate(((c + var("d")) - c).to_data())
    assert float(found.m[0, 0, 0, 0, 0]) * 2.0 ** int(found.e[0, 0, 0, 0, 0]) == 2.0**-300
    assert found.r.max() < 1e-15


def test_floats_and_balls_convert_into_each_other() -> None:
    for a in ARRAYS.values():
        with flint.ctx.workprec(128):
            again = rounded(balls(a))
        assert again.m.shape == a.m.shape
        value, (expected, _) = again.to_float()[0], a.to_float()
        np.testing.assert_allclose(value, expected, rtol=1e-13)
        assert (again.to_float()[1] >= a.to_float()[1]).all()


def test_what_is_not_finite_is_not_known() -> None:
    found = BallEnvironment(ARRAYS, 128).evaluate((c / (c - c)).to_data())
    assert np.isnan(found.m).all() and np.isinf(found.r).all()


def test_unknown_names_and_operators() -> None:
    with pytest.raises(NumericsError, match="'nothing' is not measured here; known: D, c, u, w"):
        BallEnvironment(ARRAYS, 128).evaluate(var("nothing").to_data())
    data: Any = ["gamma", ["var", "c"]]
    with pytest.raises(NumericsError, match="no floating-point evaluation"):
        BallEnvironment(ARRAYS, 128).evaluate(data)


def test_a_sign_that_is_not_known_is_a_ball() -> None:
    with flint.ctx.workprec(128):
        unsure = balls(scaled(np.zeros((1, 1, 1, 1, 1)), 1e-3))
    found = BallEnvironment({"c": unsure}, 128).evaluate(step(c).to_data())
    assert float(found.m[0, 0, 0, 0, 0]) == 0.5 * 2.0 ** -int(found.e[0, 0, 0, 0, 0])
    assert (found.r >= found.m).all() and arb(0) in unsure.ravel()[0]
