"""Minimax iterations: spectra of bilinear games, identities, bad input. Error bounds: test_minimax_bounds.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.descent import IterationResult, IterationStatus, RunOptions
from numerics.errors import NumericsError
from numerics.minimax import (
    AlternatingGradientDescentAscent,
    Bilinear,
    ExtraGradient,
    GradientDescentAscent,
    Linear,
    Operator,
    OptimisticGradient,
    ProximalPoint,
    ReflectedForwardBackward,
    Saddle,
    ball,
    box,
    minimax,
    squared_field_norm,
)

PLAIN = RunOptions(bound=False)
XY = Saddle(lambda x, y: x * y)
START = {"x": [1.0, 0.3, -2.0], "y": [0.0, 0.7, 0.4]}


def run(operator: Any, method: Any, **more: Any) -> IterationResult:
    settings = {"start": START, "step": 0.3, "iterations": 20, "options": PLAIN, **more}
    return minimax(operator, method=method, **settings)


def as_complex(result: IterationResult) -> Any:
    return result.iterate["x"] + 1j * result.iterate["y"]


Z0 = np.array(START["x"]) + 1j * np.array(START["y"])

# On f = xy, F(z) = -iz for z = x + iy: every method is a recurrence of complex numbers.


def complex_run(name: str, h: float, k: int, alpha: float = 1.0) -> Any:
    """z_k of the named method on xy, from its textbook formula."""

    def F(w: Any) -> Any:
        return -1j * w

    z = before = Z0
    last = F(Z0)
    for _ in range(k):
        if name == "gda":
            new = z - h * F(z)
        elif name == "ppm":
            new = z / (1 - 1j * h)
        elif name == "eg":
            new = z - alpha * h * F(z - h * F(z))
        elif name == "ogda":
            new = z - 2 * h * F(z) + h * last
        elif name == "rfbs":
            new = z - h * F(2 * z - before)
        else:
            x = z.real - h * z.imag
            new = x + 1j * (z.imag + h * x)
        before, last, z = z, F(z), new
    return z


METHODS: dict[str, Any] = {
    "gda": GradientDescentAscent(),
    "alternating": AlternatingGradientDescentAscent(),
    "ppm": ProximalPoint(),
    "eg": ExtraGradient(),
    "ogda": OptimisticGradient(),
    "rfbs": ReflectedForwardBackward(),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_on_xy_follow_their_formulas(name: str) -> None:
    found = run(XY, METHODS[name])
    assert np.abs(as_complex(found) - complex_run(name, 0.3, 20)).max() < 1e-13


def test_fixed_point_and_damped_variants_follow_their_formulas() -> None:
    fixed = run(XY, ProximalPoint(inner="fixed-point"))
    assert np.abs(as_complex(fixed) - complex_run("ppm", 0.3, 20)).max() < 1e-12
    damped = run(XY, ExtraGradient(0.4))
    assert np.abs(as_complex(damped) - complex_run("eg", 0.3, 20, 0.4)).max() < 1e-13


class Forgetful(OptimisticGradient):
    """Planted: the memory is that of two steps ago."""

    def update(self, F: Any, z: Any, memory: Any, gamma: Any, started: Any, space: Any) -> Any:
        new, _ = super().update(F, z, memory, gamma, started, space)
        return new, memory


class Simultaneous(AlternatingGradientDescentAscent):
    """Planted: y does not see the new x."""

    def update(self, F: Any, z: Any, memory: Any, gamma: Any, started: Any, space: Any) -> Any:
        return z - gamma * F(z), memory


class Halved(ExtraGradient):
    """Planted: the extrapolation is damped instead of the step."""

    def update(self, F: Any, z: Any, memory: Any, gamma: Any, started: Any, space: Any) -> Any:
        return z - gamma * F(z - self.alpha * gamma * F(z)), memory


@pytest.mark.parametrize(
    ("wrong", "name", "alpha"),
    [(Forgetful(), "ogda", 1.0), (Simultaneous(), "alternating", 1.0), (Halved(0.4), "eg", 0.4)],
    ids=["forgetful", "simultaneous", "halved"],
)
def test_planted_updates_are_told_apart(wrong: Any, name: str, alpha: float) -> None:
    assert np.abs(as_complex(run(XY, wrong)) - complex_run(name, 0.3, 20, alpha)).max() > 1e-2


@settings(max_examples=2)
@given(st.integers(0, 10**6), st.floats(0.05, 0.9))
def test_norms_on_a_bilinear_game(seed: int, h: float) -> None:
    """A = s·orthogonal: |z_k|² = ρ^k |z_0|² with the radii of the reference sheet, h -> hs."""
    rng = np.random.default_rng(seed)
    s, Q = 0.8, np.linalg.qr(rng.normal(size=(2, 2)))[0]
    start = {"x": rng.normal(size=(2, 2)), "y": rng.normal(size=(2, 2))}
    t = (h * s) ** 2
    for method, rate in (
        (GradientDescentAscent(), 1 + t),
        (ExtraGradient(), 1 - t + t * t),
        (ProximalPoint(), 1 / (1 + t)),
    ):
        found = minimax(Bilinear(s * Q), start, method=method, step=h, iterations=10, options=PLAIN)
        size = sum((part**2).sum(axis=1) for part in found.iterate.values())
        first = sum((part**2).sum(axis=1) for part in start.values())
        assert np.allclose(size, rate**10 * first, rtol=1e-11)


def test_alternation_keeps_its_invariant() -> None:
    """x² + y² - hxy is constant along the alternating iteration on xy."""
    for h in (0.3, 1.9):
        found = run(
            XY,
            AlternatingGradientDescentAscent(),
            step=h,
            iterations=50,
            quantities={"form": lambda z, h=h: z["x"] ** 2 + z["y"] ** 2 - h * z["x"] * z["y"]},
            record_at=(0, 25, 50),
        )
        value = found.recorded["form"].value
        assert np.abs(value - value[:, :1]).max() < 1e-12


@pytest.mark.parametrize("method", [OptimisticGradient(), ReflectedForwardBackward()])
def test_threshold_of_the_optimistic_gradient(method: Any) -> None:
    inside = run(XY, method, step=0.55, iterations=300)
    outside = run(XY, method, step=0.6, iterations=300)
    assert np.abs(as_complex(inside)).max() < 1e-3 * np.abs(Z0).max()
    assert np.abs(as_complex(outside)).min() > 1e3


def test_damping_widens_the_weak_minty_range() -> None:
    """F = rotation with cos θ = ρL = -0.3, γ = 1/L: EG+ contracts iff α < 1 + 2ρL = 0.4."""
    c = -0.3
    s = np.sqrt(1 - c * c)
    field = Linear([[c, s], [-s, c]])
    start = {"z": [[1.0, 0.5]]}
    for alpha, contracts in ((0.35, True), (0.45, False), (1.0, False)):
        found = run(field, ExtraGradient(alpha), start=start, step=1.0, iterations=40)
        assert (np.linalg.norm(found.iterate["z"]) < np.linalg.norm(start["z"])) == contracts


# --- identities ----------------------------------------------------------------------------------


def wavy(z: Any) -> Any:
    """A smooth operator, monotone near its zero and neither linear nor a gradient."""
    x, y = z["x"], z["y"]
    return {"x": y + 0.3 * torch.tanh(x), "y": -torch.sin(x) + 0.2 * y}


def test_the_optimistic_gradient_is_past_extragradient() -> None:
    """Popov: p_k = z_k - γF(p_{k-1}), z_{k+1} = z_k - γF(p_k), p_{-1} = z_0; then p_k is optimistic iterate k + 1."""
    h, k = 0.2, 15
    z = p = {name: torch.tensor(value, dtype=torch.float64) for name, value in START.items()}
    field = wavy(p)
    leading = []
    for _ in range(k + 1):
        p = {name: z[name] - h * field[name] for name in z}
        leading.append(p)
        field = wavy(p)
        z = {name: z[name] - h * field[name] for name in z}
    found = run(Operator(wavy), GradientDescentAscent(), step=h, iterations=1)
    assert np.abs(found.iterate["x"] - leading[0]["x"].numpy()).max() < 1e-15
    two = run(Operator(wavy), OptimisticGradient(), step=h, iterations=k + 1)
    assert np.abs(two.iterate["x"] - leading[k]["x"].numpy()).max() < 1e-14
    assert np.abs(two.iterate["y"] - leading[k]["y"].numpy()).max() < 1e-14


def test_reflection_is_the_optimistic_gradient_for_affine_fields_only() -> None:
    M, q = [[0.3, 1.0], [-1.0, 0.1]], [0.5, -0.2]
    start = {"z": [[1.0, 0.0], [0.2, -3.0]]}
    affine = [
        run(Linear(M, q), m, start=start).iterate["z"] for m in (METHODS["ogda"], METHODS["rfbs"])
    ]
    assert np.abs(affine[0] - affine[1]).max() < 1e-13
    curved = [as_complex(run(Operator(wavy), METHODS[name])) for name in ("ogda", "rfbs")]
    assert np.abs(curved[0] - curved[1]).max() > 1e-3


def test_saddle_bilinear_and_linear_are_the_same_field() -> None:
    A, b, c = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.3, 0.1]), np.array([-1.0, 0.2])
    At, bt, ct = map(torch.tensor, (A, b, c))
    start = {"x": np.ones((2, 2)), "y": np.array([[0.0, 1.0], [2.0, -1.0]])}
    zero = np.zeros((2, 2))
    whole = Linear(np.block([[zero, A], [-A.T, zero]]), np.concatenate([b, -c]))
    two = run(Bilinear(A, b, c), ExtraGradient(), start=start).iterate
    one = run(
        Saddle(lambda x, y: x @ At @ y + bt @ x + ct @ y), ExtraGradient(), start=start
    ).iterate
    flat = run(whole, ExtraGradient(), start={"z": np.concatenate([*start.values()], axis=1)})
    for name in ("x", "y"):
        assert np.abs(one[name] - two[name]).max() < 1e-13
    assert np.abs(flat.iterate["z"] - np.concatenate([*two.values()], axis=1)).max() < 1e-13


def test_quantity_of_the_field() -> None:
    found = run(XY, ExtraGradient(), quantities={"F": squared_field_norm(XY)})
    assert np.allclose(found.final["F"].value, np.abs(as_complex(found)) ** 2, rtol=1e-13)


# --- constraints and implicit steps --------------------------------------------------------------


def test_projections_find_constrained_solutions() -> None:
    shifted = Operator(lambda z: {"z": z["z"] - torch.tensor([2.0, 0.3], dtype=torch.float64)})
    start = {"z": [[0.0, 0.0], [0.5, -0.5]]}
    boxed = run(shifted, ReflectedForwardBackward(box(-1.0, 1.0)), start=start, iterations=200)
    assert np.abs(boxed.iterate["z"] - [1.0, 0.3]).max() < 1e-12
    balled = run(shifted, ReflectedForwardBackward(ball(1.0)), start=start, iterations=300)
    expected = np.array([2.0, 0.3]) / np.hypot(2.0, 0.3)
    assert np.abs(balled.iterate["z"] - expected).max() < 1e-9
    inside = run(shifted, ReflectedForwardBackward(ball(5.0)), start=start, iterations=200)
    assert np.abs(inside.iterate["z"] - [2.0, 0.3]).max() < 1e-12


def test_an_iterate_on_the_border_has_no_bound() -> None:
    constant = Operator(lambda z: {"z": 0 * z["z"] - 1})
    start = {"z": [[0.75], [0.5]]}
    found = run(
        constant,
        ReflectedForwardBackward(box(-1, 1)),
        start=start,
        step=0.25,
        iterations=1,
        options=RunOptions(),
    )
    assert np.isinf(found.radius).tolist() == [True, False]


def test_proximal_steps_of_a_curved_field() -> None:
    """z' + γ(z'³ + Rz') = z by Newton: the residual is at rounding."""
    curved = Operator(lambda z: {"x": z["x"] ** 3 + z["y"], "y": z["y"] ** 3 - z["x"]})
    found = run(curved, ProximalPoint(), step=5.0, iterations=1, options=RunOptions())
    x, y = found.iterate["x"], found.iterate["y"]
    left = np.hypot(x + 5 * (x**3 + y) - START["x"], y + 5 * (y**3 - x) - START["y"])
    assert found.ok and left.max() < 1e-14 and (found.residual < 1e-14).all()
    assert (found.radius < 1e-14).all()


def test_an_equation_without_a_solution_is_unsolved() -> None:
    flip = Linear([[-1.0]])
    found = run(flip, ProximalPoint(), start={"z": [[1.0]]}, step=1.0, iterations=3)
    assert found.status == (IterationStatus.unsolved,)
    assert found.iterations.tolist() == [0] and "iteration 0 was not solved" in found.reason[0]
    slow = run(XY, ProximalPoint("fixed-point"), step=2.0, iterations=2)
    assert {status.name for status in slow.status} == {"unsolved"}


def test_divergence_is_reported() -> None:
    found = run(XY, GradientDescentAscent(), step=[0.1, 1e60, 0.1], iterations=10)
    assert [s.name for s in found.status] == ["ok", "diverged", "ok"]
    assert found.iterations.tolist() == [10, 2, 10]


@pytest.mark.parametrize("name", ["ppm", "ogda", "rfbs"])
def test_a_pause_changes_nothing(name: str) -> None:
    whole = run(Operator(wavy), METHODS[name])
    half = run(Operator(wavy), METHODS[name], iterations=9)
    rest = run(Operator(wavy), METHODS[name], iterations=11, start=None, resume=half)
    assert (rest.state == whole.state).all()


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "method", "more", "match"),
    [
        (XY, GradientDescentAscent(), {"step": 0.0}, "positive and finite"),
        (XY, GradientDescentAscent(), {"start": {"x": [1.0]}}, "has x and y"),
        (XY, GradientDescentAscent(), {"start": {"x": [np.inf], "y": [0.0]}}, "is inf"),
        (XY, GradientDescentAscent(), {"iterations": 0}, "at least 1"),
        (
            Linear([[0.0, 1.0], [-1.0, 0.0]]),
            AlternatingGradientDescentAscent(),
            {"start": {"z": [[1.0, 1.0]]}},
            "two blocks",
        ),
        (
            Operator(lambda z: {"x": z["x"].sum()}),
            GradientDescentAscent(),
            {"start": {"x": [[1.0, 2.0]]}},
            "not of shape",
        ),
        (
            Operator(lambda z: {"x": 1 / z["x"]}),
            GradientDescentAscent(),
            {"start": {"x": [0.0, 1.0]}},
            r"not finite at the start in lanes \[0\]",
        ),
        (XY, ProximalPoint(), {"options": RunOptions(compile=True)}, "not compiled"),
    ],
)
def test_bad_input(operator: Any, method: Any, more: dict[str, Any], match: str) -> None:
    with pytest.raises(NumericsError, match=match):
        run(operator, method, **more)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: ExtraGradient(0.0), r"\(0, 1\]"),
        (lambda: ProximalPoint("bisection"), "newton"),
        (lambda: Bilinear([[np.nan]]), "finite numbers"),
        (lambda: Bilinear([[1.0]], b=[1.0, 2.0]), "A asks for"),
        (lambda: Linear([[1.0, 2.0]]), r"\(N, N\)"),
        (lambda: Linear([["a"]]), "no array of real numbers"),
        (lambda: box(1.0, 1.0), "empty"),
        (lambda: ball(-1.0), "positive"),
    ],
)
def test_bad_options(build: Callable[[], Any], match: str) -> None:
    with pytest.raises(NumericsError, match=match):
        build()
