"""Networks of a limited width: local search from several starts.

Below the width of the narrowest optimum the problem is not convex, and the best of several local
optima is what this gives.  L-BFGS on the weights moves neurons between cells; the moves of
`relu_training_active` then finish within the cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.relu_training import Trained, scaling_of
from numerics.relu_training_active import Neurons, Problem, settle
from numerics.relu_training_loss import training_loss

Array = NDArray[np.float64]
_RANDOM = 4  # random starts for each that is made of the optimum's neurons


def local_network(
    X: Array,
    y: Array,
    beta: float,
    width: int,
    *,
    optimum: Trained,
    loss: str = "squared",
    starts: int = 8,
    seed: int = 0,
) -> tuple[Array, Array]:
    """W (m, d), v (m,) with m <= width: the best local optimum from many starts.

    The first start takes the longest neurons of the optimum, the next ``starts`` - 1 random subsets of them, filled up
    with random ones where there are not enough, and four times as many take random neurons of the same sizes.

    Raises:
        NumericsError: width < 1.
    """
    from scipy.optimize import minimize

    if width < 1:
        raise NumericsError(f"width is {width}: give at least one neuron")
    kind = training_loss(loss)
    scale = scaling_of(X, y, kind)
    problem = Problem(
        np.ldexp(X, -scale.x),
        np.ldexp(y, -scale.y),
        kind,
        float(np.ldexp(beta, -scale.x - scale.y)),
    )
    d = X.shape[1]
    known = np.ldexp(optimum.p, scale.x - scale.y)
    rng = np.random.default_rng(seed)
    order = np.argsort(-np.linalg.norm(known, axis=1))
    best, least = Neurons.none(*X.shape), kind.value(np.zeros(len(y)), problem.y)

    def objective(flat: Array) -> tuple[float, Array]:
        W, v = flat[:-width].reshape(width, d), flat[-width:]
        hidden = np.maximum(problem.X @ W.T, 0.0)
        f = hidden @ v
        nu = kind.dual(f, problem.y)
        value = kind.value(f, problem.y) + 0.5 * problem.beta * float(flat @ flat)
        rates = -((hidden > 0) * nu[:, None] * v).T @ problem.X + problem.beta * W
        return value, np.concatenate([rates.ravel(), -hidden.T @ nu + problem.beta * v])

    typical = float(np.sqrt(np.linalg.norm(known, axis=1).mean())) if len(known) else 0.1
    for k in range((1 + _RANDOM) * starts):
        chosen = (order if k == 0 else rng.permutation(len(known)))[:width]
        if k >= starts:
            chosen = chosen[:0]
        sizes = np.sqrt(np.linalg.norm(known[chosen], axis=1))
        missing = width - len(chosen)
        drawn = typical * (0.1 if len(chosen) else 1.0)
        W = np.concatenate(
            [known[chosen] / sizes[:, None], drawn * rng.standard_normal((missing, d))]
        )
        v = np.concatenate([optimum.signs[chosen] * sizes, drawn * rng.standard_normal(missing)])
        flat = minimize(
            objective,
            np.concatenate([W.ravel(), v]),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-12},
        ).x
        W, v = flat[:-width].reshape(width, d), flat[-width:]
        p = np.abs(v)[:, None] * W
        alive = np.linalg.norm(p, axis=1) > 1e-9 * max(float(np.abs(p).max()), 1e-300)
        neurons = settle(Neurons.at(p[alive], np.sign(v[alive]), problem.rows), problem)
        value = neurons.objective(problem)
        if value < least:
            best, least = neurons, value
    p = scale.neurons(best.p)
    sizes = np.sqrt(np.linalg.norm(p, axis=1))
    return p / sizes[:, None], best.signs * sizes
