"""`convex_relu`: certified optima, given networks, limited widths, sampled patterns, paths, bad input."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from proofs_checks.audit import relu
from proofs_checks.audit.core import KINDS
from proofs_checks.relu_certificates import KIND
from proofs_checks.relu_figures import draw_neurons, draw_path
from proofs_checks.relu_path import regularisation_path
from proofs_checks.relu_training import convex_relu
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

DATA = Path(__file__).parents[2] / "benchmarks" / "data"


@pytest.fixture(autouse=True)
def kernel(monkeypatch) -> None:
    monkeypatch.setitem(KINDS, KIND, relu.check)


def table(name: str) -> tuple[np.ndarray, np.ndarray]:
    values = np.loadtxt(DATA / f"diabetes_{name}.csv", delimiter=",", skiprows=1)
    return values[:, :-1].copy(), values[:, -1].copy()


def signs(y: np.ndarray) -> np.ndarray:
    return np.where(y > 0, 1, -1)


@pytest.mark.parametrize(
    ("name", "patterns", "optimum"),
    [
        ("10_2", 20, 1.899341382),
        ("20_2", 40, 5.130883130),
        ("20_3", 382, 3.776394350),
        ("30_3", 872, 7.339228939),
    ],
)
def test_published_instances_are_proved(name, patterns, optimum) -> None:
    found = convex_relu(*table(name), relative_beta="1/10")
    assert (found.status, found.rigor, found.reason) == ("solved", Rigor.PROVED, "")
    assert (found.patterns, found.patterns_complete) == (patterns, True)
    assert found.lower_bound <= found.objective
    assert found.objective == pytest.approx(optimum, abs=6e-10)
    assert found.relative_gap <= 1e-12
    assert found.certificate.audit().accepted


def test_json_has_the_keys_of_the_command_line() -> None:
    found = convex_relu(*table("10_2"), relative_beta=0.1)
    data = json.loads(json.dumps(found.to_json()))
    assert list(data) == [
        "status",
        "objective",
        "lower_bound",
        "relative_gap",
        "rigor",
        "patterns",
        "patterns_complete",
        "neurons",
        "beta",
        "beta_max",
        "seconds",
        "certificate",
    ]
    assert list(data["seconds"]) == ["enumerate", "solve", "certify"]
    assert data["certificate"] is None and data["neurons"] == len(found.v)


@pytest.mark.parametrize("bias", [False, True])
def test_logistic_loss_is_proved(bias) -> None:
    X, y = table("20_2")
    found = convex_relu(X, signs(y), relative_beta=0.2, loss="logistic", bias=bias)
    assert found.status == "solved" and found.rigor is Rigor.PROVED
    assert found.relative_gap <= 1e-11
    assert found.W.shape[1] == 2 + bias


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_from_beta_max_on_the_zero_network_is_optimal(loss) -> None:
    X, y = table("20_2")
    y = y if loss == "squared" else signs(y)
    found = convex_relu(X, y, relative_beta=1.01, loss=loss)
    assert found.neurons == 0 and found.W.shape == (0, 2) and found.rigor is Rigor.PROVED
    zero = 0.5 * y @ y if loss == "squared" else len(y) * np.log(2)
    assert found.objective == pytest.approx(zero) and found.relative_gap <= 1e-12
    below = convex_relu(X, y, relative_beta=0.99, loss=loss)
    assert below.neurons > 0 and below.objective < zero


def test_exact_decimals_are_the_data_of_the_certificate() -> None:
    X = [["1/10", "3/10"], ["-1/5", "7/10"], ["3/10", "-1/2"], ["1/10", "3/10"]]
    found = convex_relu(X, [1, "1/3", 2, -1], beta="1/50")
    assert found.rigor is Rigor.PROVED and found.status == "solved"
    assert found.certificate.claim["X"][0] == ["1/10", "3/10"]
    assert found.certificate.claim["beta"] == "1/50"
    assert found.data.X[1][0] == Fraction(-1, 5)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scaled_data_give_the_scaled_certified_answer(factor) -> None:
    X, y = table("20_2")
    base = convex_relu(X, y, relative_beta=0.1)
    for scaled in (
        convex_relu(X * factor, y, relative_beta=0.1),
        convex_relu(X, y * factor, relative_beta=0.1),
    ):
        unit = (scaled.data.y_float[0] / y[0]) ** 2
        assert scaled.rigor is Rigor.PROVED and scaled.relative_gap <= 1e-12
        assert scaled.objective == pytest.approx(base.objective * unit, rel=1e-12)
    column = convex_relu(X * [factor, 1.0], y, relative_beta=0.1)
    assert column.rigor is Rigor.PROVED and column.relative_gap <= 1e-12


def test_without_a_certificate_the_bounds_are_numerical_and_hold() -> None:
    X, y = table("20_3")
    proved = convex_relu(X, y, relative_beta=0.1)
    plain = convex_relu(X, y, relative_beta=0.1, certify=False)
    assert plain.rigor is Rigor.NUMERICAL and plain.certificate is None
    assert plain.status == "solved"
    assert plain.lower_bound <= proved.objective and proved.lower_bound <= plain.objective


def test_a_given_network_is_certified_next_to_the_optimum() -> None:
    X, y = table("20_3")
    best = convex_relu(X, y, relative_beta=0.1)
    W, v = best.W[1:], best.v[1:]
    found = convex_relu(X, y, beta=best.beta, network=(W, v)).network
    f = np.maximum(X @ W.T, 0) @ v
    objective = 0.5 * ((f - y) ** 2).sum() + best.beta / 2 * ((W**2).sum() + (v**2).sum())
    assert found.proved and found.objective == pytest.approx(objective, rel=1e-14)
    assert found.distance == pytest.approx(objective - best.objective, rel=1e-9)
    # a small neuron along the direction lowers the objective at the promised rate
    size = 1e-7
    more = f + found.sign * size * np.maximum(X @ found.direction, 0)
    gained = 0.5 * ((f - y) ** 2).sum() - 0.5 * ((more - y) ** 2).sum() - best.beta * size
    assert gained / size == pytest.approx(found.rate, rel=1e-4)
    assert "add a neuron" in str(found) and "proved" in str(found)
    data = convex_relu(X, y, beta=best.beta, network=(W, v)).to_json()["network"]
    assert data["distance"] == found.distance and len(data["direction"]) == 3


def test_the_optimum_handed_back_is_within_rounding_of_itself() -> None:
    X, y = table("20_3")
    best = convex_relu(X, y, relative_beta=0.1)
    report = convex_relu(X, y, beta=best.beta, network=(best.W, best.v)).network
    assert report.relative <= 1e-12 and report.direction is None and abs(report.rate) <= 1e-12
    assert report.euler_defect == pytest.approx(0.0, abs=1e-12)
    assert "no neuron" in str(report)


def test_width_picks_the_narrow_optimum() -> None:
    X, y = [[1, 0], [-1, 0], [0, 1], [0, -1]], [1, 1, 1, 1]
    found = convex_relu(X, y, relative_beta=0.1, width=2)
    assert found.neurons == 2 and found.status == "solved" and found.relative_gap <= 1e-11
    assert found.optimal_set().width == 2
    assert not found.optimal_set().necessary.any()


def test_width_below_the_narrowest_optimum_is_said() -> None:
    X, y = table("10_2")
    found = convex_relu(X, y, relative_beta=0.1, width=2)
    assert found.neurons <= 2 and found.status == "undecided"
    assert found.relative_gap > 1e-6 and found.rigor is Rigor.PROVED
    assert "the narrowest optimum found has 3" in found.reason


@pytest.mark.parametrize(("seed", "width"), [(3, 2), (1, 3)])
def test_a_narrow_network_is_as_good_as_plain_restarts(seed, width) -> None:
    """L-BFGS from thirty random networks finds nothing better than what `width` returns."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((10, 2)), rng.standard_normal(10)
    found = convex_relu(X, y, relative_beta=0.05, width=width)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W, v = flat[: 2 * width].reshape(width, 2), flat[2 * width :]
        hidden = np.maximum(X @ W.T, 0)
        rest = hidden @ v - y
        slope = ((hidden > 0) * rest[:, None] * v).T @ X + found.beta * W
        value = rest @ rest / 2 + found.beta / 2 * (flat @ flat)
        return value, np.concatenate([slope.ravel(), hidden.T @ rest + found.beta * v])

    starts = rng.standard_normal((30, 3 * width))
    plain = min(minimize(objective, z, jac=True, method="L-BFGS-B").fun for z in starts)
    assert found.objective <= plain * (1 + 1e-4)


def test_a_sampled_list_is_completed_by_the_oracle_that_needs_no_list() -> None:
    X, y = table("20_3")
    full = convex_relu(X, y, relative_beta=0.1)
    found = convex_relu(X, y, relative_beta=0.1, sample=5, seed=3)
    assert not found.patterns_complete and found.patterns < 60
    assert found.rigor is Rigor.PROVED and found.status == "solved"
    assert found.beta == pytest.approx(full.beta, rel=1e-13)
    assert found.objective == pytest.approx(full.objective, rel=1e-11)
    with pytest.raises(LemmataError, match="leave out sample"):
        found.optimal_set()


def test_a_sampled_list_alone_gives_a_valid_bound_and_no_decision() -> None:
    X, y = table("20_3")
    full = convex_relu(X, y, relative_beta=0.1)
    found = convex_relu(X, y, beta=full.beta, sample=5, seed=3, limit=10)
    assert found.status == "undecided" and found.rigor is Rigor.NUMERICAL
    assert 0 <= found.lower_bound <= full.objective <= found.objective
    assert "sample more" in found.reason


def test_a_network_is_priced_over_all_neurons_where_that_is_possible() -> None:
    X, y = table("20_3")
    W, v = np.array([[0.1, 0.2, 0.3]]), np.array([0.1])
    whole = convex_relu(X, y, relative_beta=0.1, network=(W, v)).network
    drawn = convex_relu(X, y, relative_beta=0.1, sample=1, network=(W, v)).network
    few = convex_relu(X, y, relative_beta=0.1, sample=1, limit=5, network=(W, v)).network
    assert whole.everywhere and drawn.everywhere and not few.everywhere
    assert drawn.rate == pytest.approx(whole.rate, rel=1e-9)
    assert few.rate <= whole.rate * (1 + 1e-9)
    assert few.to_json()["price_everywhere"] is False


def test_beta_max_over_samples_is_said_to_be_that() -> None:
    X, y = table("20_3")
    whole, few = (
        convex_relu(X, y, relative_beta=0.1, **o) for o in ({}, {"sample": 1, "limit": 5})
    )
    assert few.beta_max < whole.beta_max and "beta_max" in few.reason
    drawn = convex_relu(X, y, relative_beta=0.1, sample=1)
    assert drawn.beta_max == pytest.approx(whole.beta_max, rel=1e-12)
    assert "beta_max" not in drawn.reason


def test_numbers_of_numpy_are_numbers() -> None:
    X, y = table("10_2")
    found = convex_relu(X, y, relative_beta=0.1, width=np.int64(1), seed=np.int64(0))
    assert found.neurons == 1


def test_zero_targets_cost_nothing() -> None:
    found = convex_relu(table("10_2")[0], np.zeros(10), beta=1)
    assert str(found.objective) == "0.0" == str(found.lower_bound)


def test_too_many_patterns_are_counted_first() -> None:
    X = np.random.default_rng(0).normal(size=(60, 8))
    with pytest.raises(LemmataError, match=r"activation patterns .*sample=N"):
        convex_relu(X, X[:, 0], beta=1.0)


def test_regularisation_path() -> None:
    X, y = table("20_3")
    path = regularisation_path(X, y, relative_betas=[0.1, 1, 0.3], certify=True)
    assert [round(p.beta / path.beta_max, 12) for p in path.points] == [1.0, 0.3, 0.1]
    assert all(p.rigor is Rigor.PROVED and p.relative_gap <= 1e-12 for p in path.points)
    assert path.points[-1].objective == pytest.approx(3.776394350, abs=6e-10)
    assert path.patterns == 382 and path.points[0].neurons == 0
    plain = regularisation_path(X, y, betas=[p.beta for p in path.points])
    for point, proved in zip(plain.points, path.points, strict=True):
        assert point.rigor is Rigor.NUMERICAL
        assert point.lower_bound <= proved.objective and proved.lower_bound <= point.objective
    assert json.loads(json.dumps(path.to_json()))["path"][1]["neurons"] == path.points[1].neurons


def test_figures(tmp_path) -> None:
    X, y = table("10_2")
    draw_path(regularisation_path(X, y, relative_betas=[1, 0.3, 0.1]), tmp_path / "path.png")
    for bias in (False, True):
        file = tmp_path / f"neurons{bias}.png"
        draw_neurons(convex_relu(X, y, relative_beta=0.1, bias=bias, certify=False), file)
        assert file.stat().st_size > 10_000
    assert (tmp_path / "path.png").stat().st_size > 10_000
    with pytest.raises(LemmataError, match="d = 2"):
        draw_neurons(convex_relu(*table("20_3"), beta=1, certify=False), tmp_path / "none.png")


GOOD = {"X": [[1.0, 2.0], [0.5, -1.0]], "y": [1.0, -1.0], "beta": 0.1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beta": 0}, "positive"),
        ({"beta": -1.0}, "positive"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"beta": None}, "exactly one"),
        ({"relative_beta": 0.1}, "exactly one"),
        ({"X": [[1.0, float("inf")], [0.0, 1.0]]}, r"X\[0\]\[1\] is inf"),
        ({"X": [[1.0, 2.0], [0.5]]}, "complete the rows"),
        ({"X": []}, "empty"),
        ({"X": [[0.0, 0.0], [0.0, 0.0]]}, "zero in every entry"),
        ({"X": [[1.0, 2.0], [1.0, 2.0]]}, "all rows of X are the same"),
        ({"X": [[Fraction(1, 10**400), 2], [1, 1]]}, "rescale X"),
        ({"X": [[1e200, 2], [1, 1]]}, "rescale X"),
        ({"y": [1.0, 2.0, 3.0]}, "one target per row"),
        ({"y": ["a", 1]}, "finite number"),
        ({"loss": "hinge"}, "unknown loss"),
        ({"loss": "logistic", "y": [0, 1]}, "labels 1 and -1"),
        ({"gap": 0}, "between 0 and 1"),
        ({"width": 0}, "positive integer"),
        ({"sample": 2.5}, "positive integer"),
        ({"sample": 3, "seed": -1}, "at least 0"),
        ({"seed": 0.5}, "whole number"),
        ({"network": ([[1.0, 1.0]], [1.0, 2.0])}, "give W"),
        ({"network": ([[1.0, 1.0, 1.0]], [1.0])}, "give W"),
        ({"network": 3}, "pair"),
        ({"beta": None, "relative_beta": 0.1, "y": [0, 0]}, "beta_max is 0"),
    ],
)
def test_bad_input_is_named(change, words) -> None:
    request = GOOD | change
    X, y = request.pop("X"), request.pop("y")
    with pytest.raises(LemmataError, match=words):
        convex_relu(X, y, **request)


def test_a_path_takes_one_kind_of_betas() -> None:
    with pytest.raises(LemmataError, match="not both"):
        regularisation_path([[1.0], [2.0]], [1, 2], betas=[1], relative_betas=[1])
