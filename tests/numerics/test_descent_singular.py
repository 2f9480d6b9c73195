"""Descent where a function is smooth on paper or in floats only: the bounds hold, or there are none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from numerics.descent import GradientDescent, NormalizedGradientDescent, RunOptions, descend

SIGNS: dict[str, Callable[[Any], Any]] = {
    "sqrt": lambda p: torch.sqrt((p["x"] * p["x"]).sum()),
    "power": lambda p: (p["x"] ** 2).sum() ** 0.5,
    "logarithm": lambda p: torch.exp(0.5 * torch.log((p["x"] ** 2).sum())),
}


@pytest.mark.parametrize("loss", SIGNS.values(), ids=SIGNS)
def test_a_sign_in_disguise(loss: Callable[[Any], Any]) -> None:
    """|x| without a comparison in it, against its subgradient descent in rational numbers."""
    start, eta, steps = np.arange(4, 20) / 10.0, 0.1, 14
    found = descend(
        loss, {"x": start[:, None]}, method=GradientDescent(), step=eta, iterations=steps
    )
    true = []
    for x in map(Fraction, start.tolist()):
        for _ in range(steps):
            x -= Fraction(eta) * ((x > 0) - (x < 0))
        true.append(x)
    wrong = np.array(
        [abs(float(Fraction(a) - b)) for a, b in zip(found.iterate["x"][:, 0], true, strict=True)]
    )
    bound = found.error["x"][:, 0]
    assert (wrong <= bound).all() and wrong.max() > 0.1
    assert np.isfinite(bound).sum() >= 4 and np.isinf(bound).sum() >= 5


def test_a_stopped_gradient_is_no_constant_of_the_iteration() -> None:
    """The gradient is x - 1 + 2x², so that a step is x -> 1 - 2x², which doubles errors on average."""
    start, steps = np.linspace(-0.9, 0.9, 8), 11
    found = descend(
        lambda p: p["x"] * (p["x"] - 1 + 2 * p["x"] ** 2).detach(),
        {"x": start},
        method=GradientDescent(),
        step=1.0,
        iterations=steps,
    )
    wrong = []
    for x, shown in zip(map(Fraction, start.tolist()), found.iterate["x"], strict=True):
        for _ in range(steps):
            x = 1 - 2 * x * x
        wrong.append(abs(float(Fraction(shown) - x)))
    bound = found.error["x"]
    assert (np.array(wrong) <= bound).all() and max(wrong) > 1e-14 and bound.max() < 1e-10


def test_truth_values_may_be_compared() -> None:
    def loss(p: Any) -> Any:
        same = (p["x"] > 0) == (p["x"] > 1)
        return torch.where(same, p["x"] ** 2, 2 * p["x"] ** 2).sum()

    found = descend(loss, {"x": [[0.5], [0.0]]}, method=GradientDescent(), step=0.1, iterations=1)
    assert np.isfinite(found.error["x"][:, 0]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("x", "eta", "power", "dtype"),
    [(1e60, 1e59, 4, "float64"), (1e-200, 1e-201, 2, "float64"), (1e-30, 1e-31, 2, "float32")],
)
def test_normalised_steps_have_their_length(x: float, eta: float, power: int, dtype: str) -> None:
    """Where the squares of the gradient's entries leave the range; a bound is right or infinite."""
    found = descend(
        lambda p: (p["x"] ** power).sum(),
        {"x": [[x, 0.0]]},
        method=NormalizedGradientDescent(),
        step=eta,
        iterations=5,
        options=RunOptions(dtype=dtype),
    )
    reached, bound = found.iterate["x"][0, 0], found.error["x"][0, 0]
    assert found.ok and reached == pytest.approx(
        x / 2, rel=1e-12 if dtype == "float64" else 1e-6, abs=0
    )
    if dtype == "float64":
        assert abs(Fraction(reached) - Fraction(x) + 5 * Fraction(eta)) <= bound


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        (lambda p: torch.div(p["x"], 0.3, rounding_mode="floor").sum() + p["x"].sum() ** 2, "div"),
        (lambda p: (p["x"] ** 2).sum() * p["x"].detach().long().sum(), "_to_copy"),
        (lambda p: torch.linalg.vector_norm(p["x"], 3), "order 3"),
    ],
)
def test_operations_that_jump_or_have_no_wide_meaning_have_no_bound(loss: Any, named: str) -> None:
    found = descend(loss, {"x": [[2.7]]}, method=GradientDescent(), step=0.01, iterations=2)
    assert found.ok and np.isinf(found.radius).all() and named in found.reason[0]
