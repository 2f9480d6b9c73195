"""Descent methods inside conjectures, against loops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from numerics.program_values import values
from proofs_checks.conjectures import dynamics
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import conjecture
from proofs_checks.conjectures.samples import Parameter
from proofs_checks.strategies.views import LinearNetwork, ReluNetwork
from theory.errors import LemmataError

RNG = np.random.default_rng(5)


@dataclass(frozen=True)
class Bowl:
    """½ Σ a θ², with its gradient."""

    a: Any
    theta: Any

    def gradient(self) -> dict[str, Any]:
        return {"theta": self.a * self.theta}

    def with_weights(self, **new: Any) -> Bowl:
        return replace(self, **new)


Rows = list[list[Any]]
BOWL = Bowl(np.array([1.0, 3.0]), np.array([2.0, -1.0]))


def test_gradient_descent_of_a_linear_network_is_exact_in_fractions() -> None:
    W1: Rows = [[1, 0], [2, -1]]
    W2: Rows = [[1, 1], [0, Fraction(1, 3)]]
    B, eta = [[1, 2], [0, 1]], Fraction(1, 7)

    def product(a: Rows, b: Rows) -> Rows:
        return [
            [sum(x * y for x, y in zip(r, c, strict=True)) for c in zip(*b, strict=True)] for r in a
        ]

    def turned(a: Rows) -> Rows:
        return [list(c) for c in zip(*a, strict=True)]

    def minus(a: Rows, b: Rows, c: Any) -> Rows:
        return [[x - c * y for x, y in zip(r, s, strict=True)] for r, s in zip(a, b, strict=True)]

    def exact(a: Rows) -> Any:
        return np.array([[Fraction(x) for x in r] for r in a], dtype=object)

    view = LinearNetwork((exact(W1), exact(W2)), np.eye(2), exact(B), True)
    iterates = dynamics.descend(view, eta, 4)
    assert len(iterates) == 5 and iterates[0] is view
    a, b = W1, W2
    for step in iterates[1:]:
        R = minus(product(a, b), B, 1)
        a, b = minus(a, product(R, turned(b)), eta), minus(b, product(turned(a), R), eta)
        assert step.W1.tolist() == a and step.W2.tolist() == b


def test_gradient_descent_of_a_relu_network_is_the_loop() -> None:
    X, y = RNG.normal(size=(4, 2)), np.array([1.0, -1.0, 1.0, -1.0])
    W, v = RNG.normal(size=(3, 2)), RNG.normal(size=3)
    last = dynamics.descend(ReluNetwork(X, y, W, v, "exponential"), 0.01, 5)[-1]
    for _ in range(5):
        Z = X @ W.T
        g = y * np.exp(-y * (np.maximum(Z, 0) @ v))
        W, v = (
            W + 0.01 * ((Z > 0) * g[:, None] * v).T @ X,
            v + 0.01 * g @ np.maximum(Z, 0),
        )
    np.testing.assert_allclose(last.W, W, rtol=1e-12)
    np.testing.assert_allclose(last.v, v, rtol=1e-12)


def test_momentum_methods_are_their_recursions() -> None:
    a, eta, beta = BOWL.a, 0.1, 0.7
    ball, nesterov = dynamics.heavy_ball(BOWL, eta, beta, 4), dynamics.nesterov(BOWL, eta, beta, 4)
    before = now = BOWL.theta
    for k in range(1, 5):
        before, now = now, now - eta * a * now + beta * (now - before)
        np.testing.assert_allclose(ball[k].theta, now, rtol=1e-14)
    before = now = BOWL.theta
    for k in range(1, 5):
        ahead = now + beta * (now - before)
        before, now = now, ahead - eta * a * ahead
        np.testing.assert_allclose(nesterov[k].theta, now, rtol=1e-14)


def test_sign_and_normalised_descent_have_steps_of_known_length() -> None:
    signs = dynamics.sign_descent(BOWL, 0.25, 3)
    assert signs[3].theta.tolist() == [2.0 - 0.75, -1.0 + 0.75]
    lengths = dynamics.normalised_descent(BOWL, 0.25, 3)
    for a, b in pairwise(lengths):
        assert np.linalg.norm(a.theta - b.theta) == pytest.approx(0.25)


METHODS = {
    "descend": lambda v: dynamics.descend(v, 0.1, 3),
    "sign": lambda v: dynamics.sign_descent(v, 0.1, 3),
    "normalised": lambda v: dynamics.normalised_descent(v, 0.1, 3),
    "heavy ball": lambda v: dynamics.heavy_ball(v, 0.1, 0.5, 3),
    "nesterov": lambda v: dynamics.nesterov(v, 0.1, 0.5, 3),
}


@pytest.mark.parametrize("method", METHODS)
def test_traced_iterates_are_those_of_numpy(method: str) -> None:
    run = METHODS[method]

    @conjecture(case=st.nothing())
    def claim(case: Any) -> Any:
        return run(Bowl(case["a"], case["theta"]))[-1].theta <= 0

    case = ConjectureCase.of({"a": Parameter(BOWL.a), "theta": Parameter(BOWL.theta)})
    program = claim.trace(case).program
    at = values(
        program.instructions, {k: a[None] for k, a in case.floats().items()}, program.sides()
    )
    np.testing.assert_allclose(at[program.conclusions[0].lhs][0], run(BOWL)[-1].theta, rtol=1e-13)


@pytest.mark.parametrize("steps", [-1, 1001, 2.0, True, "3"])
def test_a_number_of_steps_is_a_whole_number(steps: Any) -> None:
    with pytest.raises(LemmataError, match="whole number from 0 to 1000"):
        dynamics.descend(BOWL, 0.1, steps)


def test_a_view_needs_a_gradient() -> None:
    with pytest.raises(LemmataError, match=r"has no gradient\(\)"):
        dynamics.descend(SimpleNamespace(theta=1.0), 0.1, 1)
