"""Lower bounds for unconstrained features: dual points, in float64, before they are re-evaluated exactly.

For columns γ_j with Γ = [γ_j], Γ' = Γ D^{1/2} and B >= 0 such that L²I - Γ'ᵀΓ' - B is positive (B = 0 for "ufm"; and
Σ n_j γ_j = 0 if there is a free bias), the objective is nowhere less than -(1/N) Σ n_j l_j*(N γ_j).  At an optimum, the
γ_j = ∇l_j(z_j)/N are such a point if a suitable B exists; near it, they are after being scaled by some θ < 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from numerics.features import Array, FeatureProblem
from numerics.features_descent import FAINT, Network, steepest
from numerics.features_programs import LiftSolution, SolverFailure, minimise

MOST = 1e6  # of ‖Γ'‖²/L², beyond which scaling it to 1 leaves nothing of the bound
MARGIN = 2.0**-40  # kept from the boundary, so that rounding does not make a dual point infeasible


@dataclass(frozen=True, eq=False)
class Dual:
    """A dual point and the bound it gives.

    Attributes:
        gamma: (K, J) columns γ_j. B: (J, J) >= 0 with L²I - D^{1/2}(ΓᵀΓ)D^{1/2} - B positive (zero for "ufm").
        bound: the value of the dual, a lower bound on the optimum if the point is feasible.
    """

    gamma: Array
    B: Array
    bound: float


def scaled_dual(problem: FeatureProblem, gamma: Array, B: Array) -> Dual:
    """The dual point θ(Γ, B), θ as good as feasibility allows, less `MARGIN`; θ <= 1 for "ce".

    Args:
        gamma: (K, J), near a subgradient of the loss. B: (J, J) >= 0, in normalised units, for "upfm".
    """
    gamma = centred(problem, gamma)
    G = gamma * problem.roots
    B = np.maximum((B + B.T) / 2, 0.0)
    norm = float(np.linalg.eigvalsh(G.T @ G + B)[-1])
    most = problem.L / np.sqrt(norm) * (1.0 - MARGIN) if norm > 0 else np.inf
    theta = min(1.0, most)
    if problem.loss == "mse" and norm > 0:  # the bound is -pull θ - bend θ²/2
        pull = float((problem.counts * (gamma * problem.Y).sum(axis=0)).sum())
        bend = problem.N * float((problem.counts * (gamma**2).sum(axis=0)).sum())
        if bend > 0:  # not so where it is too small for a float
            theta = min(max(-pull / bend, 0.0), most)
    return Dual(theta * gamma, theta**2 * B, dual_value(problem, theta * gamma))


def centred(problem: FeatureProblem, gamma: Array) -> Array:
    """Γ with Σ n_j γ_j = 0 where there is a free bias."""
    if not problem.bias:
        return gamma
    return gamma - (gamma @ problem.counts / problem.N)[:, None]


def zero_dual(problem: FeatureProblem) -> Dual:
    """Γ = 0: feasible always, with the bound 0."""
    return Dual(np.zeros((problem.K, problem.J)), np.zeros((problem.J, problem.J)), 0.0)


def dual_value(problem: FeatureProblem, gamma: Array) -> float:
    """-(1/N) Σ n_j l_j*(N γ_j): an entropy for "ce"; -inf where p_j = e_j + N γ_j is no probability vector."""
    if problem.loss == "mse":
        terms = (gamma * problem.Y).sum(axis=0) + problem.N / 2 * (gamma**2).sum(axis=0)
        return -float((problem.counts * terms).sum())
    P = problem.N * gamma
    np.fill_diagonal(P, 0.0)
    off = P.sum(axis=0)
    if P.min() < 0 or off.max() > 1:
        return -np.inf
    logs = np.where(P > 0, P * np.log(np.where(P > 0, P, 1.0)), 0.0).sum(axis=0)
    kept = np.where(off < 1, (1 - off) * np.log1p(-np.minimum(off, 1 - 2.0**-53)), 0.0)
    return -float((problem.counts * (logs + kept)).sum() / problem.N)


def simple_slack(problem: FeatureProblem, gamma: Array) -> Array:
    """B in normalised units that cancels the negative entries of ΓᵀΓ: the choice of all closed forms."""
    G = gamma * problem.roots
    B = np.maximum(-(G.T @ G), 0.0)
    np.fill_diagonal(B, 0.0)
    return B if problem.model == "upfm" else np.zeros_like(B)


def best_dual(
    problem: FeatureProblem, networks: Sequence[Network], solution: LiftSolution | None
) -> Dual:
    """The best of the cheap dual points: gradients at the networks and at the solution of the program.

    Args:
        networks: at least one. solution: of the program, with its multipliers.
    """
    multipliers = [] if solution is None or solution.B is None else [solution.B]
    gammas = [g for network in networks for g in _gammas(problem, network)]
    if solution is not None:
        gammas.append(problem.slopes(outputs_of(problem, solution)))
    duals = [
        scaled_dual(problem, gamma, B)
        for gamma in gammas
        for B in (simple_slack(problem, gamma), *multipliers)
    ]
    return max([zero_dual(problem), *duals], key=lambda dual: dual.bound)


def outputs_of(problem: FeatureProblem, solution: LiftSolution) -> Array:
    """The outputs z_j of a solution, bias included: (K, J)."""
    return solution.Z / problem.roots + solution.b[:, None]


def _gammas(problem: FeatureProblem, network: Network) -> Iterator[Array]:
    """Gradients at a network; for "mse" also corrected, as Z - Y cancels where L is small."""
    gamma = problem.slopes(problem.outputs(network.W, network.H, network.b))
    yield gamma
    if problem.loss == "mse" and np.abs(network.H).max() > FAINT:
        # stationarity in W: Γ' H'ᵀ = -L Wᵀ; and balance: the rows of W and H' have equal lengths
        G = gamma * problem.roots
        W, H = network.W, network.H
        lengths = [np.sqrt((x * x).sum(axis=1, keepdims=True)) for x in (W, H)]
        ratio = np.divide(
            lengths[1], lengths[0], out=np.zeros_like(lengths[0]), where=lengths[0] > 0
        )
        defect = problem.L * (ratio * W).T + G @ H.T
        yield (G - defect @ np.linalg.pinv(H.T, rcond=1e-6)) / problem.roots


def refined_dual(problem: FeatureProblem, gamma: Array) -> Dual:
    """The dual point with the best B for a given Γ: the least λ_max(Γ'ᵀΓ' + B), a semidefinite program.

    Raises:
        SolverFailure: no solver returned "optimal", or Γ is far too large for a dual point.
    """
    import cvxpy as cp

    if problem.model == "ufm":
        return scaled_dual(problem, gamma, np.zeros((problem.J, problem.J)))
    gamma = centred(problem, gamma)
    with np.errstate(over="ignore", invalid="ignore"):
        G = gamma * problem.roots / problem.L
        gram = G.T @ G
    if not np.trace(gram) <= MOST:
        raise SolverFailure("a gradient that is far from a dual point")
    B = cp.Variable((problem.J, problem.J), symmetric=True)
    minimise(cp.lambda_max(gram + B), [B >= 0])
    return scaled_dual(problem, gamma, problem.L**2 * np.asarray(B.value, dtype=float))


def copositive_dual(problem: FeatureProblem, network: Network) -> Dual:
    """The gradients at a network, scaled until ‖Γ'h‖ <= L‖h‖ for all h >= 0 that were tried; B = 0.

    For networks that are optimal but whose value the relaxation does not attain: there L²I - Γ'ᵀΓ' may be copositive,
    which is for others to decide.
    """
    gamma = problem.slopes(problem.outputs(network.W, network.H, network.b))
    gamma = centred(problem, gamma)
    rate, _ = steepest(problem, gamma)
    gamma = min(1.0, problem.L / rate * (1 - MARGIN) if rate > 0 else 1.0) * gamma
    return Dual(gamma, np.zeros((problem.J, problem.J)), dual_value(problem, gamma))
