"""Does the estimated bound cover the error, and by how much does it over-estimate it?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from numerics.generic_cross import saltation
from numerics.generic_flow import GenericOptions, generic_flow
from numerics.models import TwoLayerReLU

Params = dict[str, torch.Tensor]


def constant(a: torch.Tensor) -> torch.Tensor:
    """A number of the problem, not a variable: it travels with the lane but does not move."""
    return a.detach()


@pytest.mark.parametrize(("bound", "rtol"), [("dense", 1e-5), ("dense", 1e-10), ("lanczos", 1e-8)])
def test_linear_flows_are_covered(bound: str, rtol: float) -> None:
    rng = np.random.default_rng(17)
    lanes, size = 300, 20
    A = rng.normal(size=(size, size)) / size**0.5
    A = A + A.T
    matrix = torch.tensor(A)
    start = rng.normal(size=(lanes, size)) * 10.0 ** rng.uniform(-9, 6, size=(lanes, 1))
    until = rng.uniform(0.01, 3.0, size=lanes)
    result = generic_flow(
        lambda p: 0.5 * p["x"] @ (matrix @ p["x"]),
        {"x": start},
        until=until,
        rtol=rtol,
        atol=1e-30,
        options=GenericOptions(bound=bound),
    )
    assert result.ok.all()
    exact = np.stack([expm(-A * t) @ x for t, x in zip(until, start, strict=True)])
    error = np.linalg.norm(result.params["x"] - exact, axis=1)
    assert (error <= result.radius).all()
    assert np.median(result.radius / error) < 300.0


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-9])
def test_nonlinear_flows_are_covered(rtol: float) -> None:
    # Independent Bernoulli equations x' = a x - b x^3 with known solutions.
    rng = np.random.default_rng(int(-np.log10(rtol)))
    lanes = 400
    a, b = rng.uniform(0.2, 3.0, size=(2, lanes, 3))
    start = rng.normal(size=(lanes, 3)) * 10.0 ** rng.uniform(-6, 0.5, size=(lanes, 1))
    until = rng.uniform(0.1, 4.0, size=lanes)

    def loss(p: Params) -> torch.Tensor:
        return (constant(p["b"]) * p["x"] ** 4 / 4 - constant(p["a"]) * p["x"] ** 2 / 2).sum()

    result = generic_flow(loss, {"x": start, "a": a, "b": b}, until=until, rtol=rtol)
    decay = np.exp(-2 * a * until[:, None])
    exact = start / np.sqrt(start**2 * (b / a) * (1 - decay) + decay)
    error = np.linalg.norm(result.params["x"] - exact, axis=1)
    assert result.ok.all()
    assert (error <= result.radius).all()


@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float64", 1e-4), ("float64", 1e-12), ("float32", 1e-5)]
)
def test_flows_with_a_switch_are_covered(dtype: str, rtol: float) -> None:
    # x' = a x below c and b x above: the state and the time of the switch are known.
    rng = np.random.default_rng(3)
    lanes = 400
    a, b = rng.uniform(0.3, 3.0, size=(2, lanes)).astype(dtype).astype(float)
    x0, c = rng.uniform([[0.05], [1.0]], [[0.9], [2.0]], (2, lanes)).astype(dtype).astype(float)
    crossing = np.log(c / x0) / a
    short = rng.random(lanes) < 0.2
    until = np.where(short, 0.7 * crossing, crossing + rng.uniform(0.01, 1.0, lanes))

    def switches(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        return (p["x"] - constant(p["c"]))[None]

    def loss(p: Params, pattern: torch.Tensor | None = None) -> torch.Tensor:
        above = (switches(p) > 0 if pattern is None else pattern)[0]
        return -torch.where(above, constant(p["b"]), constant(p["a"])) * p["x"] ** 2 / 2

    start = {"x": x0, "a": a, "b": b, "c": c}
    result = generic_flow(loss, start, until=until, switches=switches, rtol=rtol, dtype=dtype)
    assert result.ok.all()
    np.testing.assert_array_equal(result.kinks, ~short)
    assert all(abs(e.t - crossing[e.lane]) <= e.t_error for e in result.events)
    exact = np.where(short, x0 * np.exp(a * until), c * np.exp(b * (until - crossing)))
    error = np.abs(result.params["x"] - exact)
    assert (error <= result.radius).all()
    assert np.median(result.radius / error) < 100.0


def test_the_median_over_estimate_is_moderate() -> None:
    rng = np.random.default_rng(8)
    ratios = []
    for _ in range(2):
        X, y = rng.normal(size=(5, 3)), rng.choice([-1.0, 1.0], size=5)
        model = TwoLayerReLU(X=X, y=y, loss_name="logistic", reduction="sum", h=3, bias=False)
        start = {"W": 0.5 * rng.normal(size=(24, 3, 3)), "v": 0.5 * rng.normal(size=(24, 3))}
        coarse, fine = (
            generic_flow(model.loss, start, until=0.6, switches=model.switches, rtol=rtol)
            for rtol in (1e-5, 1e-12)
        )
        both = coarse.ok & fine.ok & (coarse.kinks == fine.kinks)
        gap = np.sqrt(
            ((coarse.params["W"] - fine.params["W"]) ** 2).sum(axis=(1, 2))
            + ((coarse.params["v"] - fine.params["v"]) ** 2).sum(axis=1)
        )[both]
        assert (gap <= coarse.radius[both] + fine.radius[both]).all()
        ratios += list(coarse.radius[both] / gap)
    assert len(ratios) > 10
    assert np.median(ratios) < 100.0


def test_the_bound_becomes_infinite_where_the_error_outgrows_it() -> None:
    # x' = x^3 up to just before the blow-up at 1/2, with a coarse tolerance.
    result = generic_flow(lambda p: -(p["x"] ** 4) / 4, {"x": [1.0]}, until=0.4999999999, rtol=1e-3)
    assert result.radius[0] == np.inf


def test_without_a_bound_the_radius_is_infinite_and_quantities_say_so() -> None:
    result = generic_flow(
        lambda p: p["x"] ** 2,
        {"x": [1.0]},
        until=1.0,
        quantities={"x": lambda p: p["x"]},
        options=GenericOptions(bound="none"),
    )
    assert result.radius[0] == np.inf and result.final["x"].error[0] == np.inf
    assert result.suprema["x"].error[0] == np.inf and result.suprema["x"].value[0] == 1.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_saltation_is_a_spectral_norm(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    before, after, normal = rng.normal(size=(3, size))
    speed = float(normal @ before)
    matrix = np.eye(size) + np.outer(after - before, normal) / speed
    found = saltation(
        float(np.linalg.norm(after - before)),
        float(np.linalg.norm(normal)),
        speed,
        float(normal @ after),
    )
    assert found == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-6)


def bowl(p: Params) -> torch.Tensor:
    return p["x"] ** 2


def test_rounding_of_the_start_is_part_of_the_bound() -> None:
    start = np.array([1.0 / 3.0])
    result = generic_flow(bowl, {"x": start}, until=1.0, rtol=1e-6, dtype="float32")
    error = abs(result.params["x"][0] - start[0] * np.exp(-2.0))
    assert 0 < error <= result.radius[0] < 1e-4
