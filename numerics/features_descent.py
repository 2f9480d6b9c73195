"""Networks (W, H, b) from the solution of a convex program: factor it, then descend.

The objective is not convex in (W, H), and descent proves nothing by itself: what it finds is an upper bound, which a
dual point shows to be near the optimum or not.  Units are those of `numerics.features`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from numerics.features import Array, FeatureProblem
from numerics.features_programs import LiftSolution

ENUMERATED = 10  # 2^10 supports
POWER_STARTS, POWER_STEPS = 64, 300
FAINT = 1e-100  # features that are zero, and that nothing is to be divided by
GROWTH = 1e-7  # relative excess of a rate over L that is worth a new direction


@dataclass(frozen=True, eq=False)
class Network:
    """W: (d, K), H: (d, J), b: (K,) in normalised units, and the objective there."""

    W: Array
    H: Array
    b: Array
    value: float


def network_of(problem: FeatureProblem, W: Array, H: Array, b: Array) -> Network:
    """The network with its value; negative features are cut off for "upfm"."""
    H = np.maximum(H, 0.0) if problem.model == "upfm" else H
    return Network(W, H, b, problem.value(W, H, b))


def zero_network(problem: FeatureProblem) -> Network:
    """No weights and no features, and the best bias."""
    d = problem.width
    return network_of(
        problem, np.zeros((d, problem.K)), np.zeros((d, problem.J)), problem.best_bias()
    )


def factored(problem: FeatureProblem, solution: LiftSolution) -> Network:
    """A network from the solution of a program.

    "ufm": W and H' are square roots of Z' = PΣQᵀ.  "upfm": H' is the symmetric square root of V, negative entries cut
    off, and W the smallest weights with W'ᵀH' = Z' in the least-squares sense.
    """
    d, K, J = problem.width, problem.K, problem.J
    W, H = np.zeros((d, K)), np.zeros((d, J))
    if solution.V is None:
        P, sigma, Qt = np.linalg.svd(solution.Z, full_matrices=False)
        root = np.sqrt(sigma)[:, None]
        W[: len(sigma)], H[: len(sigma)] = root * P.T, root * Qt
    else:
        values, vectors = np.linalg.eigh(solution.V)
        H[:J] = np.maximum((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T, 0.0)
        if H.max() > FAINT:
            # a floor well above the solver's noise: tiny features would need huge weights
            W[:] = np.linalg.pinv(H, rcond=1e-5).T @ solution.Z.T
    return network_of(problem, W, H, solution.b)


def descend(problem: FeatureProblem, start: Network, iterations: int = 4000) -> Network:
    """The best network that a projected quasi-Newton descent from ``start`` finds; never worse than it."""
    from scipy.optimize import minimize

    d, K, J = start.W.shape[0], problem.K, problem.J
    sizes = np.cumsum([d * K, d * J])
    mask = 1.0 if problem.bias else 0.0

    def unpack(x: Array) -> tuple[Array, Array, Array]:
        w, h, b = np.split(x, sizes)
        return w.reshape(d, K), h.reshape(d, J), b

    # The value is divided by its size at the start, so that the tolerances are relative.
    size = max(start.value, np.finfo(float).tiny)

    def both(x: Array) -> tuple[float, Array]:
        W, H, b = unpack(x)
        G = problem.slopes(problem.outputs(W, H, b)) * problem.roots
        slope_w, slope_h = H @ G.T + problem.L * W, W @ G + problem.L * H
        slope_b = mask * (G @ problem.roots)
        slope = np.concatenate([slope_w.ravel(), slope_h.ravel(), slope_b])
        return problem.value(W, H, b) / size, slope / size

    x = np.concatenate([start.W.ravel(), start.H.ravel(), start.b])
    bounds = None
    if problem.model == "upfm":
        bounds = [(None, None)] * (d * K) + [(0.0, None)] * (d * J) + [(None, None)] * K
    options = {
        "maxiter": iterations,
        "maxfun": 2 * iterations,
        "ftol": 0.0,
        "gtol": 1e-13,
        "maxcor": 30,
    }
    found = minimize(both, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    end = network_of(problem, *unpack(found.x))
    return end if end.value < start.value else start


def steepest(problem: FeatureProblem, gamma: Array) -> tuple[float, Array]:
    """max ‖Γ'h‖/‖h‖ over h (over h >= 0 for "upfm") and where: (J,), |h| = 1.

    For "upfm" and J > `ENUMERATED` this is a search that may fall short of the maximum.
    """
    G = gamma * problem.roots
    gram = G.T @ G
    if problem.model == "ufm":
        values, vectors = np.linalg.eigh(gram)
        return float(np.sqrt(max(values[-1], 0.0))), vectors[:, -1]
    h = _all_supports(gram) if problem.J <= ENUMERATED else _power(gram)
    rates = np.sqrt(((G @ h) ** 2).sum(axis=0))
    k = int(np.argmax(rates))
    return float(rates[k]), h[:, k]


def _all_supports(gram: Array) -> Array:
    """Candidates for the maximum of h·Ah over h >= 0, |h| = 1: on its support it is an eigenvector of the block.

    Of each principal block, the top eigenvector, where it has one sign; (J, candidates).
    """
    J = len(gram)
    found = [np.eye(J)]
    for size in range(2, J + 1):
        chosen = np.array(list(combinations(range(J), size)))
        _, vectors = np.linalg.eigh(gram[chosen[:, :, None], chosen[:, None, :]])
        top = vectors[:, :, -1]
        top *= np.sign(top.sum(axis=1, keepdims=True))
        good = top.min(axis=1) >= 0
        h = np.zeros((J, int(good.sum())))
        h[chosen[good].T, np.arange(h.shape[1])] = top[good].T
        found.append(h)
    return np.hstack(found)


def _power(gram: Array) -> Array:
    """Projected power iteration from many starts: (J, starts)."""
    J = len(gram)
    rng = np.random.default_rng(0)
    h = np.hstack([np.eye(J), np.abs(rng.normal(size=(J, POWER_STARTS)))])
    for _ in range(POWER_STEPS):
        h = np.maximum(gram @ h, 0.0)
        h /= np.maximum(np.sqrt((h * h).sum(axis=0)), np.finfo(float).tiny)
    return h


def grown(problem: FeatureProblem, network: Network) -> Network | None:
    """The network with one more latent direction along which the objective falls; None if none was found.

    A direction h with ‖Γ'h‖ > L‖h‖ lowers the objective when w = -Γ'h/‖Γ'h‖ is added with it; at an optimum of large
    enough width there is none.
    """
    gamma = problem.slopes(problem.outputs(network.W, network.H, network.b))
    rate, h = steepest(problem, gamma)
    if rate <= problem.L * (1 + GROWTH):
        return None
    w = -((gamma * problem.roots) @ h) / rate
    size = max(1.0, float(np.sqrt((network.H**2).sum())))
    tries = []
    for step in size * 2.0 ** np.arange(-20, 2):
        W, H = np.vstack([network.W, step * w]), np.vstack([network.H, step * h])
        tries.append(network_of(problem, W, H, network.b))
    best = min(tries, key=lambda one: one.value)
    return best if best.value < network.value else None


def random_network(problem: FeatureProblem, rng: np.random.Generator, scale: float) -> Network:
    """A start with Gaussian weights, and features that are their absolute values for "upfm"."""
    d = problem.width
    W, H = rng.normal(size=(d, problem.K)), rng.normal(size=(d, problem.J))
    H = np.abs(H) if problem.model == "upfm" else H
    return network_of(problem, scale * W, scale * H, problem.best_bias())
