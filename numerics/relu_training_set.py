"""All optima of convex ReLU training, and the narrowest of them.

At the optimum the outputs f and the dual vector nu are unique (the losses are strictly convex), and
every neuron of every optimum maximises its cell's price at M = beta; these maximisers u_k are unique
on their cells.  So the optima are the weights a of the polytope

    {a >= 0: sum_k a_k s_k (X u_k)_+ = f},

neuron k being a_k u_k in the convex program.  A neuron is necessary if its least weight there is
positive.  Source: Mishkin and Pilanci, "Optimal Sets and Solution Paths of ReLU Networks" (ICML 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.pricing import Atom, Pricing
from numerics.relu_training import Trained, scaling_of
from numerics.relu_training_active import Neurons, Problem, settle
from numerics.relu_training_loss import training_loss

Array = NDArray[np.float64]
_TIGHT = 1e-8  # relative distance of a price from beta at which a neuron counts as possible
_SAME = 1e-7  # distance of unit vectors that are taken for one
_RANK = 1e-9  # singular values below this part of the largest count as zero
_SECONDS = 20.0


@dataclass(frozen=True)
class OptimalSet:
    """The polytope of optima.

    Attributes:
        directions: (K, d) unit vectors, the neurons that can be active.
        signs: (K,), +-1, of their output weights.
        least, most: (K,), the range of ||p_k|| = ||w_k|| |v_k| over all optima.
        unique: whether there is one optimum only (up to splitting neurons).
        narrowest: (K,), weights of an optimum with as few neurons as possible.
        narrowest_proved: whether the integer program ended (else a narrow one).
    """

    directions: Array
    signs: Array
    least: Array
    most: Array
    unique: bool
    narrowest: Array
    narrowest_proved: bool

    @property
    def necessary(self) -> NDArray[np.bool_]:
        """(K,): the neurons that every optimum has."""
        held: NDArray[np.bool_] = self.least > 1e-7 * max(float(self.most.max(initial=0.0)), 1e-300)
        return held

    @property
    def width(self) -> int:
        """The number of neurons of the narrowest optimum."""
        return int((self.narrowest > 0).sum())


def optimal_set(X: Array, found: Trained, beta: float, patterns: NDArray[np.bool_]) -> OptimalSet:
    """The optima of the problem that ``found`` solves; ``found.nu`` must be tight (a solved problem).

    Tightness is decided to eight digits, weights to about seven: this is a numerical statement.
    """
    pricing = Pricing(X, patterns)
    top = pricing.maximum(found.nu).bound
    tight = pricing.search(found.nu, top * (1 - _TIGHT)) if top >= beta * (1 - _TIGHT) else []
    atoms: list[Atom] = []
    for atom in tight:  # neighbouring cells share maximisers, up to rounding
        same = (a for a in atoms if a.sign == atom.sign)
        if all(np.abs(a.direction - atom.direction).max() > _SAME for a in same):
            atoms.append(atom)
    directions = np.array([a.direction for a in atoms]).reshape(-1, X.shape[1])
    signs = np.array([float(a.sign) for a in atoms])
    features = (signs[:, None] * np.maximum(directions @ X.T, 0.0)).T
    count = len(atoms)
    if not count:
        none = np.zeros(0)
        return OptimalSet(directions, signs, none, none, True, none, True)
    singular = np.linalg.svd(features, compute_uv=False)
    if int((singular > _RANK * singular[0]).sum()) == count:
        weights = np.maximum(np.linalg.lstsq(features, found.f, rcond=None)[0], 0.0)
        weights[weights <= 1e-9 * weights.max()] = 0.0
        return OptimalSet(directions, signs, weights, weights, True, weights, True)
    scale = float(np.abs(found.f).max())
    target, unit = found.f / scale, float(singular[0])
    least, most = _ranges(features / unit, target)
    narrowest, proved = _narrowest(features / unit, target, most)
    factor = scale / unit
    unique = bool(np.all(most - least <= 1e-6 * most.max()))
    return OptimalSet(
        directions, signs, least * factor, most * factor, unique, narrowest * factor, proved
    )


def narrowest_network(
    X: Array, y: Array, beta: float, optima: OptimalSet, *, loss: str = "squared"
) -> tuple[Array, Array]:
    """W (m, d), v (m,) of the narrowest optimum, balanced."""
    kind = training_loss(loss)
    scale = scaling_of(X, y, kind)
    problem = Problem(
        np.ldexp(X, -scale.x),
        np.ldexp(y, -scale.y),
        kind,
        float(np.ldexp(beta, -scale.x - scale.y)),
    )
    on = optima.narrowest > 0
    p = np.ldexp(optima.narrowest[on, None] * optima.directions[on], scale.x - scale.y)
    neurons = settle(Neurons.at(p, optima.signs[on], problem.rows), problem)
    p = scale.neurons(neurons.p)
    sizes = np.sqrt(np.linalg.norm(p, axis=1))
    return p / sizes[:, None], neurons.signs * sizes


def _ranges(features: Array, target: Array) -> tuple[Array, Array]:
    """The least and the greatest of each weight on the polytope."""
    from scipy.optimize import linprog

    rows, values = _independent(features, target)
    ends = []
    for k in range(features.shape[1]):
        for sign in (1.0, -1.0):
            cost = np.zeros(features.shape[1])
            cost[k] = sign
            answer = linprog(cost, A_eq=rows, b_eq=values, bounds=(0, None), method="highs")
            ends.append(sign * answer.fun if answer.status == 0 else (0.0 if sign > 0 else np.inf))
    least, most = np.array(ends).reshape(-1, 2).T
    return np.maximum(least, 0.0), most


def _narrowest(features: Array, target: Array, most: Array) -> tuple[Array, bool]:
    """Weights with as few positive ones as possible, by an integer program."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    rows, values = _independent(features, target)
    count = features.shape[1]
    caps = np.where(np.isfinite(most), most, 1e6) * (1 + 1e-6) + 1e-12
    equal = LinearConstraint(np.hstack([rows, np.zeros_like(rows)]), values, values)
    switched = LinearConstraint(np.hstack([np.eye(count), -np.diag(caps)]), -np.inf, 0.0)
    answer = milp(
        np.concatenate([np.zeros(count), np.ones(count)]),
        constraints=[equal, switched],
        integrality=np.concatenate([np.zeros(count), np.ones(count)]),
        bounds=Bounds(0.0, np.concatenate([caps, np.ones(count)])),
        options={"time_limit": _SECONDS},
    )
    if answer.x is None:
        from numerics.nonnegative import nonnegative_least_squares

        weights = nonnegative_least_squares(features, target)
        return weights, False
    on = answer.x[count:] > 0.5
    weights = np.zeros(count)
    weights[on] = np.maximum(np.linalg.lstsq(features[:, on], target, rcond=None)[0], 0.0)
    return weights, answer.status == 0


def _independent(features: Array, target: Array) -> tuple[Array, Array]:
    """The equations in an orthonormal basis of the range of the features: full row rank, no rounding left."""
    u, singular, _ = np.linalg.svd(features, full_matrices=False)
    basis = u[:, singular > _RANK * singular[0]]
    return basis.T @ features, basis.T @ target
