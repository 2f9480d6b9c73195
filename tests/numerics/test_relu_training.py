"""Convex ReLU training against closed forms, the conic program, and its own optimality conditions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics import relu_training
from numerics.arrangements import enumerate_patterns
from numerics.errors import NumericsError
from numerics.relu_training import beta_max, train
from numerics.relu_training_conic import ConicProgram
from numerics.relu_training_local import local_network
from numerics.relu_training_loss import LOSSES
from numerics.relu_training_set import narrowest_network, optimal_set

DATA = Path(__file__).parents[2] / "benchmarks" / "data"
SQUARE = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])


def table(name: str) -> tuple[np.ndarray, np.ndarray]:
    values = np.loadtxt(DATA / f"diabetes_{name}.csv", delimiter=",", skiprows=1)
    return values[:, :-1].copy(), values[:, -1].copy()


def cells(X: np.ndarray) -> np.ndarray:
    return enumerate_patterns(X, improve=False).patterns


def objective(X, y, beta, W, v, loss="squared") -> float:
    f = np.maximum(X @ W.T, 0.0) @ v
    return LOSSES[loss].value(f, y) + beta / 2 * ((W**2).sum() + (v**2).sum())


@pytest.mark.parametrize(
    ("name", "count", "value"),
    [
        ("10_2", 20, 1.899341382),
        ("20_2", 40, 5.130883130),
        ("20_3", 382, 3.776394350),
        ("30_3", 872, 7.339228939),
    ],
)
def test_published_optima(name, count, value) -> None:
    X, y = table(name)
    patterns = cells(X)
    beta = 0.1 * beta_max(X, y, patterns)
    found = train(X, y, beta, patterns)
    assert len(patterns) == count
    assert found.objective == pytest.approx(value, abs=6e-10)
    assert found.gap <= 1e-12 and not found.trouble and found.method == "active set"
    assert objective(X, y, beta, *found.network()) == pytest.approx(found.objective, rel=1e-14)


@pytest.mark.parametrize("x", [[1.0, 2.0, 0.5], [1.0, -2.0, 3.0]])
def test_one_dimension_in_closed_form(x) -> None:
    # two half-lines, each a soft threshold: p = (|x.y| - beta)_+ / |x|^2 over the points it contains
    X, y, beta = np.array(x)[:, None], np.array([1.0, -0.5, 2.0]), 0.7
    expected = 0.5 * y @ y
    for side in (X[:, 0] > 0, X[:, 0] < 0):
        part = X[side, 0]
        if len(part):
            expected -= 0.5 * max(abs(part @ y[side]) - beta, 0.0) ** 2 / (part @ part)
    assert train(X, y, beta, cells(X)).objective == pytest.approx(expected, rel=1e-14)


def test_logistic_on_one_point_in_closed_form() -> None:
    # f = t costs log(1 + exp(-t)) + beta t: 1 / (1 + exp(t)) = beta
    X, y, beta = np.array([[1.0]]), np.array([1.0]), 0.2
    t = np.log(1 / beta - 1)
    found = train(X, y, beta, cells(X), loss="logistic")
    assert found.objective == pytest.approx(np.log1p(np.exp(-t)) + beta * t, rel=1e-14)
    assert beta_max(X, y, cells(X), "logistic") == 0.5


@given(
    st.integers(0, 10**6),
    st.integers(2, 9),
    st.integers(1, 4),
    st.sampled_from(["normal", "integers", "binary", "repeated"]),
    st.sampled_from(["squared", "logistic"]),
    st.floats(-3.5, 0.1),
)
def test_gap_closes_on_degenerate_data(seed, n, d, kind, loss, power) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    if kind == "integers":
        X = rng.integers(-2, 3, (n, d)).astype(float)
    elif kind == "binary":
        X = rng.integers(0, 2, (n, d)).astype(float)
        X[:, 0] = 1.0
    elif kind == "repeated":
        X[n // 2 :] = -2 * X[: n - n // 2]
    X[0, 0] += float(not X.any())
    y = rng.normal(size=n) if loss == "squared" else np.where(rng.random(n) < 0.5, 1.0, -1.0)
    patterns = cells(X)
    most = beta_max(X, y, patterns, loss)
    scale = np.abs(y) @ np.linalg.norm(X, axis=1)
    if most <= 1e-12 * scale:
        return
    beta = most * 10**power
    found = train(X, y, beta, patterns, loss=loss)
    assert found.gap <= 1e-10, found.trouble
    assert objective(X, y, beta, *found.network(), loss) == pytest.approx(
        found.objective, rel=1e-12
    )
    if power > 0:
        assert len(found.p) == 0


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_conic_program_agrees(loss) -> None:
    X, y = table("10_2")
    y = y if loss == "squared" else np.where(y > 0, 1.0, -1.0)
    patterns = cells(X)
    program = ConicProgram(X, y, patterns, loss)
    for part in (0.1, 0.4):  # one compiled program for both
        beta = part * beta_max(X, y, patterns, loss)
        program.solve(beta)
        found = train(X, y, beta, patterns, loss=loss)
        assert program.problem.value == pytest.approx(found.objective, rel=1e-6)
        second = train(X, y, beta, patterns, loss=loss, method="conic")
        assert second.method == "conic" and second.gap <= 1e-11
        assert second.objective == pytest.approx(found.objective, rel=1e-11)


def test_another_solver_takes_over() -> None:
    X, y = table("10_2")
    program = ConicProgram(X, y, cells(X))
    neurons = program.solve(0.6, solver="SCS")
    assert len(neurons) and program.problem.solver_stats.solver_name == "SCS"
    with pytest.raises(NumericsError, match="no solver"):
        program.solve(0.6, solver="NONE SUCH")


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scaled_data_have_the_scaled_optimum(factor) -> None:
    X, y = table("20_2")
    patterns = cells(X)
    base = train(X, y, 0.9, patterns)
    wide = train(X * factor, y, 0.9 * factor, patterns)
    assert wide.objective == pytest.approx(base.objective, rel=1e-12) and wide.gap <= 1e-12
    tall = train(X, y * factor, 0.9 * factor, patterns)
    assert tall.objective == pytest.approx(base.objective * factor**2, rel=1e-12)
    assert tall.gap <= 1e-12


def test_columns_of_very_different_size() -> None:
    X, y = table("20_3")
    X = X * [1e6, 1.0, 1e-6]
    patterns = cells(X)
    assert train(X, y, 0.1 * beta_max(X, y, patterns), patterns).gap <= 1e-12


def test_permuting_points_and_rotating_columns_changes_nothing() -> None:
    X, y = table("20_3")
    base = train(X, y, 0.9, cells(X)).objective
    order = np.random.default_rng(0).permutation(len(y))
    turned, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    for A, b in ((X[order], y[order]), (X @ turned, y), (X, -y)):
        assert train(A, b, 0.9, cells(A)).objective == pytest.approx(base, rel=1e-12)


def test_a_warm_start_ends_at_the_same_optimum_sooner() -> None:
    X, y = table("30_3")
    patterns = cells(X)
    near = train(X, y, 1.7, patterns)
    cold, warm = train(X, y, 1.6, patterns), train(X, y, 1.6, patterns, start=near)
    assert warm.objective == pytest.approx(cold.objective, rel=1e-13)
    assert warm.rounds < cold.rounds


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("part", [1e-7, 1e-9, 1e-12])
def test_small_beta(part, loss) -> None:
    """The optimum is nearly proportional to beta, once all targets are fitted."""
    X, y = table("10_2")
    y = y if loss == "squared" else np.where(y > 0, 1.0, -1.0)
    patterns = cells(X)
    beta = part * beta_max(X, y, patterns, loss)
    found = train(X, y, beta, patterns, loss=loss)
    # the logistic objective has an entropy of size 1e-12 as its dual value, and no scaling up
    assert found.gap <= (1e-9 if loss == "squared" else 1e-6), found.trouble
    assert objective(X, y, beta, *found.network(), loss) == pytest.approx(found.objective, rel=1e-9)


def test_the_best_network_and_the_best_dual_vector_count() -> None:
    X, y = table("10_2")
    patterns = cells(X)
    beta = 0.1 * beta_max(X, y, patterns)
    good = train(X, y, beta, patterns)
    poor = replace(good, objective=2 * good.objective, p=2 * good.p)
    low = replace(good, nu=0.5 * good.nu, lower=0.5 * good.lower, trouble="stalled")
    for pair in ((poor, low), (low, poor)):
        best = relu_training._best(*pair)
        assert (best.objective, best.lower, best.trouble) == (good.objective, good.lower, "")
        assert best.p is low.p and best.nu is poor.nu


def test_optimal_set_of_a_symmetric_problem() -> None:
    # f = 1 on the four points: two opposite diagonals, or the other two, or mixtures
    X, y = SQUARE, np.ones(4)
    patterns = cells(X)
    beta = 0.1 * beta_max(X, y, patterns)
    found = train(X, y, beta, patterns)
    optima = optimal_set(X, found, beta, patterns)
    assert len(optima.signs) == 4 and not optima.unique and not optima.necessary.any()
    assert optima.width == 2 and optima.narrowest_proved
    W, v = narrowest_network(X, y, beta, optima)
    assert len(v) == 2
    assert objective(X, y, beta, W, v) == pytest.approx(found.objective, rel=1e-12)
    assert np.allclose(optima.least, 0.0, atol=1e-9)


def test_optimal_set_of_a_unique_optimum() -> None:
    X, y = table("20_3")
    patterns = cells(X)
    found = train(X, y, 0.9, patterns)
    optima = optimal_set(X, found, 0.9, patterns)
    assert optima.unique and optima.necessary.all() and optima.width == len(found.p)
    assert np.sort(optima.most) == pytest.approx(np.sort(np.linalg.norm(found.p, axis=1)), rel=1e-6)


def test_narrower_networks_are_worse_and_better_with_every_neuron() -> None:
    X, y = table("10_2")
    patterns = cells(X)
    beta = 0.1 * beta_max(X, y, patterns)
    found = train(X, y, beta, patterns)
    values = []
    for width in (1, 2):
        W, v = local_network(X, y, beta, width, optimum=found, starts=3)
        assert len(v) <= width
        values.append(objective(X, y, beta, W, v))
    assert values[0] > values[1] > found.objective * (1 + 1e-6)


def test_bad_requests() -> None:
    X, y = table("10_2")
    patterns = cells(X)
    with pytest.raises(NumericsError, match="positive"):
        train(X, y, 0.0, patterns)
    with pytest.raises(NumericsError, match="unknown loss"):
        train(X, y, 1.0, patterns, loss="hinge")
    with pytest.raises(NumericsError, match="unknown method"):
        train(X, y, 1.0, patterns, method="adam")
    with pytest.raises(NumericsError, match="zero"):
        train(0 * X, y, 1.0, patterns)
    with pytest.raises(NumericsError, match="comparable units"):
        train(X * [1.0, 1e-200], y, 1.0, patterns)
    with pytest.raises(NumericsError, match="at least one neuron"):
        local_network(X, y, 1.0, 0, optimum=train(X, y, 1.0, patterns))


def test_the_conic_program_takes_over_where_the_search_stalls(monkeypatch) -> None:
    X, y = table("20_2")
    patterns = cells(X)
    beta = 0.1 * beta_max(X, y, patterns)
    monkeypatch.setattr(relu_training, "_ROUNDS", 1)
    assert "stalled" in train(X, y, beta, patterns, method="active set").trouble
    found = train(X, y, beta, patterns)
    assert found.method == "conic" and not found.trouble
    assert found.objective == pytest.approx(5.130883130, abs=6e-10) and found.gap <= 1e-12


def test_a_slip_of_the_least_squares_solver_does_not_hide_the_optimum() -> None:
    X = [[1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]]
    X = np.array([*X, X[3]], dtype=float)
    y = np.array([1.0, 1, -1, 1, 1, 1, 1])
    patterns = cells(X)
    found = train(X, y, 1e-2 * beta_max(X, y, patterns, "logistic"), patterns, loss="logistic")
    assert found.gap <= 1e-12 and found.objective == pytest.approx(0.46223843352794, rel=1e-10)
