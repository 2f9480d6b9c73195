"""Newton's method for networks near an optimum, where descent has run into rounding.

Descent compares values, and stops where they agree to 16 digits; the gradients that duals are made of are then good to
8.  Newton's method compares gradients.  Rotations of the latent directions leave the objective unchanged, so that the
Hessian is singular: a shift as large as the gradient keeps the step bounded and convergence superlinear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numerics.features import Array, FeatureProblem
from numerics.features_descent import Network, network_of

MOST_UNKNOWNS, STEPS = 900, 12
WEAK = 1e-6  # squared size of a latent direction, relative to the largest
LENGTHS = (1.0, 0.5, 0.1, 0.01)


def sharpened(problem: FeatureProblem, network: Network) -> list[Network]:
    """Networks near ``network`` with a smaller gradient: with and without its weak latent directions.

    A direction that is zero at the optimum decays slowly where its rate just fails to grow, and is better cut off.
    Nothing is returned for a network that is too large, or where no step helps.
    """
    if network.W.size + network.H.size + problem.K > MOST_UNKNOWNS:
        return []
    starts = [network]
    sizes = (network.W**2).sum(axis=1) + (network.H**2).sum(axis=1)
    strong = (sizes > WEAK * sizes.max())[:, None]
    if not strong.all():
        W, H = np.where(strong, network.W, 0.0), np.where(strong, network.H, 0.0)
        starts.append(network_of(problem, W, H, network.b))
    return [end for start in starts if (end := _newton(problem, start)) is not None]


def _newton(problem: FeatureProblem, network: Network) -> Network | None:
    """Steps as long as the gradient gets smaller; None if the first does not help.

    Where the loss is much steeper than the penalties, a step along its valley leaves the valley by what is curved in
    it, and the gradient grows, until the next step is back: two steps are tried before a shorter one.
    """
    best = None
    point = _Point.at(problem, network)
    for _ in range(STEPS):
        ahead = point.stepped(problem, LENGTHS[:1])
        if not ahead.norm < point.norm:
            twice = ahead.stepped(problem, LENGTHS[:1])
            ahead = twice if twice.norm < point.norm else point.stepped(problem, LENGTHS[1:])
        if not ahead.norm < point.norm:
            break
        best, point = ahead.network, ahead
    return best


@dataclass(frozen=True, eq=False)
class _Point:
    """A network, its gradient, which unknowns are free, and the gradient's norm."""

    network: Network
    slope: Array
    free: Array
    norm: float

    @classmethod
    def at(cls, problem: FeatureProblem, network: Network) -> _Point:
        slope, free = _projected(problem, network)
        return cls(network, slope, free, float(np.linalg.norm(slope)))

    def stepped(self, problem: FeatureProblem, lengths: Sequence[float]) -> _Point:
        """The first of the steps that lowers the gradient, else the last of them; this point if there is no step."""
        if not np.isfinite(self.norm):
            return self
        hessian = _hessian(problem, self.network)[np.ix_(self.free, self.free)]
        hessian[np.diag_indices_from(hessian)] += self.norm
        step = np.zeros(len(self.free))
        try:
            step[self.free] = np.linalg.solve(hessian, -self.slope[self.free])
        except np.linalg.LinAlgError:
            return self
        for length in lengths:
            with np.errstate(over="ignore", invalid="ignore"):  # a wild step fails the comparison
                moved = _Point.at(problem, _moved(problem, self.network, length * step))
            if moved.norm < self.norm:
                break
        return moved


def _moved(problem: FeatureProblem, network: Network, step: Array) -> Network:
    W, H, b = np.split(step, np.cumsum([network.W.size, network.H.size]))
    d, K = network.W.shape
    return network_of(
        problem,
        network.W + W.reshape(d, K),
        network.H + H.reshape(d, problem.J),
        network.b + b,
    )


def _projected(problem: FeatureProblem, network: Network) -> tuple[Array, Array]:
    """The gradient in (W, H, b) without what the bounds H >= 0 hold back, and which unknowns are free."""
    W, H = network.W, network.H
    G = problem.slopes(problem.outputs(W, H, network.b)) * problem.roots
    slope_h = W @ G + problem.L * H
    held = (H <= 0) & (slope_h >= 0) if problem.model == "upfm" else np.zeros(H.shape, dtype=bool)
    slope_b = G @ problem.roots if problem.bias else np.zeros(problem.K)
    slope = np.concatenate([(H @ G.T + problem.L * W).ravel(), slope_h.ravel(), slope_b])
    biases = np.full(problem.K, problem.bias)
    free = np.concatenate([np.ones(W.size, dtype=bool), ~held.ravel(), biases])
    return np.where(free, slope, 0.0), free


def _hessian(problem: FeatureProblem, network: Network) -> Array:
    """The Hessian in (W, H, b): Σ_j (n_j/N) A_jᵀ ∇²l_j A_j, A_j the Jacobian of z_j, and what is bilinear."""
    W, H = network.W, network.H
    (d, K), J, roots = W.shape, problem.J, problem.roots
    Z = problem.outputs(W, H, network.b)
    jacobian = np.zeros((J, K, d * K + d * J + K))
    to_W = jacobian[:, :, : d * K].reshape(J, K, d, K)
    to_H = jacobian[:, :, d * K : -K].reshape(J, K, d, J)
    for k in range(K):
        to_W[:, k, :, k] = (H / roots).T
    for j in range(J):
        to_H[j, :, :, j] = W.T / roots[j]
    jacobian[:, :, -K:] = np.eye(K)
    jacobian[:, :, : d * K], jacobian[:, :, d * K : -K] = (
        to_W.reshape(J, K, -1),
        to_H.reshape(J, K, -1),
    )
    weighted = jacobian
    if problem.loss == "ce":
        P = np.exp(Z - Z.max(axis=0))
        P = (P / P.sum(axis=0)).T
        mean = np.einsum("jk,jkx->jx", P, jacobian)
        weighted = P[:, :, None] * (jacobian - mean[:, None, :])
    share = (problem.counts / problem.N)[:, None, None]
    flat = (J * K, jacobian.shape[2])
    hessian = jacobian.reshape(flat).T @ (share * weighted).reshape(flat)
    G = problem.slopes(Z) * roots
    cross = np.einsum("rs,kj->rksj", np.eye(d), G).reshape(d * K, d * J)
    hessian[: d * K, d * K : -K] += cross
    hessian[d * K : -K, : d * K] += cross.T
    diagonal = np.arange(d * (K + J))
    hessian[diagonal, diagonal] += problem.L
    return hessian
