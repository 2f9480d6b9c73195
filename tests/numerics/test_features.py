"""Unconstrained features in float64: objective, programs in all their forms, descent, dual points."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import logsumexp

from numerics import features_programs
from numerics.errors import NumericsError
from numerics.features import FeatureProblem
from numerics.features_descent import (
    Network,
    descend,
    factored,
    grown,
    network_of,
    random_network,
    steepest,
    zero_network,
)
from numerics.features_dual import (
    best_dual,
    copositive_dual,
    dual_value,
    refined_dual,
    scaled_dual,
    simple_slack,
)
from numerics.features_newton import sharpened
from numerics.features_programs import (
    LargeProgramWarning,
    SolverFailure,
    solve_program,
)

CASES = [(m, loss, b) for m in ("ufm", "upfm") for loss in ("ce", "mse") for b in (False, True)]


def problem_of(model="upfm", loss="ce", bias=False, counts=(4, 3, 2), L=0.05, Y=None):
    Y = np.eye(len(counts)) if Y is None else np.asarray(Y, dtype=float)
    return FeatureProblem(model, loss, Y, np.array(counts, dtype=float), L, bias)


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
def test_the_objective_is_that_of_all_samples(model, loss, bias):
    problem = problem_of(model, loss, bias)
    rng = np.random.default_rng(1)
    network = random_network(problem, rng, 1.0)
    b = rng.normal(size=3) if bias else np.zeros(3)
    lambda_w, lambda_h = 0.2, 0.05**2 / 0.2
    rho = (lambda_h / lambda_w) ** 0.25
    W, H = rho * network.W, network.H / rho / problem.roots
    columns = np.repeat(np.arange(3), [4, 3, 2])
    H_all = H[:, columns]
    Z = W.T @ H_all + b[:, None]
    if loss == "ce":
        value = np.mean(logsumexp(Z, axis=0) - Z[columns, np.arange(9)])
    else:
        value = np.sum((Z - np.eye(3)[:, columns]) ** 2) / 18
    value += lambda_w / 2 * np.sum(W**2) + lambda_h / 2 * np.sum(H_all**2)
    assert problem.value(network.W, network.H, b) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("loss", ["ce", "mse"])
def test_slopes_are_the_gradient(loss):
    problem = problem_of(loss=loss)
    rng = np.random.default_rng(2)
    Z, D = rng.normal(size=(2, 3, 3))
    eps = 1e-6
    change = (problem.loss_value(Z + eps * D) - problem.loss_value(Z - eps * D)) / (2 * eps)
    assert np.sum(problem.slopes(Z) * problem.counts * D) == pytest.approx(change, rel=1e-8)


def test_small_cross_entropies_are_not_rounded_away():
    problem = problem_of(counts=(1, 1))
    Z = np.array([[40.0, 0.0], [0.0, 40.0]])
    assert problem.loss_value(Z) == pytest.approx(np.exp(-40.0), rel=1e-12)
    assert problem.loss_value(-20 * Z) == pytest.approx(800.0, rel=1e-12)


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
@pytest.mark.parametrize("counts", [(3, 3, 3), (5, 3, 2)])
def test_all_forms_of_the_program_have_one_optimum(model, loss, bias, counts):
    problem = problem_of(model, loss, bias, counts)
    forms = ["full", "classes", *(["scalars"] if problem.balanced else [])]
    for form in forms:
        solution = solve_program(problem, form)
        network = descend(problem, factored(problem, solution))
        dual = best_dual(problem, [network], solution)
        assert solution.form == form and solution.spread < 1e-4
        assert solution.objective == pytest.approx(network.value, rel=1e-6)
        assert 0 <= network.value - dual.bound < 1e-7 * network.value
        assert np.all(network.H >= 0) or model == "ufm"
    chosen = solve_program(problem).form
    assert chosen == ("scalars" if problem.balanced else "classes")


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
def test_dual_points_are_feasible_and_below_every_network(model, loss, bias):
    problem = problem_of(model, loss, bias)
    rng = np.random.default_rng(3)
    for _ in range(5):
        network = random_network(problem, rng, 1.0)
        gamma = problem.slopes(problem.outputs(network.W, network.H, network.b))
        dual = scaled_dual(problem, gamma, simple_slack(problem, gamma))
        G = dual.gamma * problem.roots
        slack = problem.L**2 * np.eye(3) - G.T @ G - dual.B
        assert np.linalg.eigvalsh(slack)[0] > 0 and np.all(dual.B >= 0)
        assert dual.bound <= min(network.value, zero_network(problem).value)
        if bias:
            assert np.abs(dual.gamma @ problem.counts).max() < 1e-15
        assert refined_dual(problem, gamma).bound >= dual.bound - 1e-6


def test_the_entropy_is_the_dual_value():
    problem = problem_of(counts=(2, 5))
    P = np.array([[0.75, 0.5], [0.25, 0.5]])
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    value = dual_value(problem, (P - np.eye(2)) / 7)
    assert value == pytest.approx((2 * entropy + 5 * np.log(2)) / 7, rel=1e-14)
    assert dual_value(problem, np.array([[0.1, -0.1], [-0.1, 0.1]])) == -np.inf


@pytest.mark.parametrize(("model", "loss", "bias"), CASES)
def test_newton_goes_where_descent_stops(model, loss, bias):
    problem = problem_of(model, loss, bias, counts=(30, 20, 7), L=1e-4)
    end = descend(problem, factored(problem, solve_program(problem)))
    sharp = sharpened(problem, end)
    dual = best_dual(problem, [end, *sharp], None)
    assert min(network.value for network in sharp) <= end.value * (1 + 1e-12)
    assert 0 < end.value - dual.bound < 1e-11 * end.value


def test_newton_leaves_large_networks_alone():
    problem = problem_of(counts=(2,) * 30)
    assert sharpened(problem, zero_network(problem)) == []


def test_a_network_that_is_stuck_grows():
    """Without features the gradient of W and H is zero, but a new direction lowers the objective."""
    problem = problem_of(L=0.02)
    stuck = zero_network(problem)
    assert descend(problem, stuck).value == stuck.value
    bigger = grown(problem, stuck)
    assert bigger is not None and bigger.value < stuck.value and len(bigger.W) == len(stuck.W) + 1
    free = grown(problem_of("ufm", L=0.02), stuck)
    assert free is not None and free.value < stuck.value
    assert grown(problem_of(L=1.0), stuck) is None


@pytest.mark.parametrize("size", [4, 7, 12])
def test_the_steepest_direction_is_found(size):
    """Both searches, against random directions polished by nothing but their number."""
    rng = np.random.default_rng(size)
    problem = problem_of(loss="mse", counts=(1,) * size, Y=rng.normal(size=(3, size)))
    gamma = problem.slopes(np.zeros((3, size)))
    rate, h = steepest(problem, gamma)
    assert np.all(h >= 0) and np.linalg.norm(gamma @ h) == pytest.approx(rate)
    tries = np.abs(rng.normal(size=(size, 4000))) * (rng.random((size, 4000)) < 0.5)
    norms = np.maximum(np.linalg.norm(tries, axis=0), 1e-9)
    assert rate >= (np.linalg.norm(gamma @ tries, axis=0) / norms).max()
    assert rate <= np.linalg.norm(gamma, 2)
    dual = copositive_dual(problem, zero_network(problem))
    assert steepest(problem, dual.gamma)[0] <= problem.L


def test_the_full_lift_measures_the_spread_within_columns():
    problem = problem_of("upfm", "mse", counts=(2, 2))
    solution = solve_program(problem, "full")
    assert solution.V is not None and solution.V.shape == (2, 2)
    assert np.trace(solution.V) == pytest.approx(
        np.trace(solve_program(problem, "classes").V), rel=1e-5
    )


def test_inaccurate_results_are_not_taken_for_optima(monkeypatch):
    import cvxpy as cp

    calls = []

    def inaccurate(self, solver=None, **options):
        calls.append(solver)
        self._status = cp.OPTIMAL_INACCURATE

    monkeypatch.setattr(cp.Problem, "solve", inaccurate)
    with pytest.raises(SolverFailure, match=r"CLARABEL: optimal_inaccurate.*SCS: optimal_inacc"):
        solve_program(problem_of())
    assert set(calls) == {"CLARABEL", "SCS"}


def test_the_second_solver_steps_in(monkeypatch):
    import cvxpy as cp

    solve = cp.Problem.solve

    def one_fails(self, solver=None, **options):
        if solver == "CLARABEL":
            raise cp.error.SolverError("no luck")
        return solve(self, solver=solver, **options)

    monkeypatch.setattr(cp.Problem, "solve", one_fails)
    solution = solve_program(problem_of(loss="mse"))
    assert solution.solver == "SCS"


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_both_solvers_find_the_optimum(solver):
    problem = problem_of()
    solution = solve_program(problem, "full", solver=solver)
    assert solution.solver == solver
    end = descend(problem, factored(problem, solution))
    assert solution.objective == pytest.approx(end.value, rel=1e-5)


def test_large_programs_warn(monkeypatch):
    monkeypatch.setattr(features_programs, "LARGE", 10)
    with pytest.warns(LargeProgramWarning, match="order 12"):
        solve_program(problem_of(counts=(3, 3, 3)), "full")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solve_program(problem_of(counts=(3, 3, 3)), "classes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nfm"}, "the model is one of"),
        ({"loss": "hinge"}, "the loss one of"),
        ({"L": 0.0}, "weight decays must be positive"),
        ({"L": np.inf}, "weight decays must be positive"),
        ({"counts": (1, 0, 1)}, "multiplicities at least 1"),
        ({"Y": np.full((3, 3), np.nan), "loss": "mse"}, "finite"),
        ({"Y": np.ones((3, 2)), "loss": "mse"}, "one multiplicity for each column"),
        ({"Y": np.ones((3, 3))}, "needs one-hot targets"),
    ],
)
def test_bad_problems(change, message):
    with pytest.raises(NumericsError, match=message):
        problem_of(**change)


def test_bad_forms():
    with pytest.raises(NumericsError, match="balanced one-hot targets"):
        solve_program(problem_of(), "scalars")
    with pytest.raises(NumericsError, match="one of full, classes, scalars"):
        solve_program(problem_of(), "lifted")
    with pytest.raises(NumericsError, match="one of CLARABEL, SCS"):
        solve_program(problem_of(), solver="MOSEK")


def test_negative_features_are_cut_off():
    problem = problem_of()
    network = network_of(problem, np.ones((4, 3)), -np.ones((4, 3)), np.zeros(3))
    assert isinstance(network, Network) and not network.H.any()
