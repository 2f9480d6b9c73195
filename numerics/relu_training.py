"""Exact convex training of two-layer ReLU networks by column generation on the pricing oracle.

    min over W (m, d), v (m,), any m, of  loss(sum_j v_j (X w_j)_+) + (beta/2) sum_j (||w_j||^2 + v_j^2)

has the optimal value of the convex program over all activation patterns D_i of X

    min loss(sum_i D_i X (p_i - q_i)) + beta sum_i (||p_i|| + ||q_i||),  p_i, q_i in the closed cell of D_i,

with w = p/sqrt||p||, v = +-sqrt||p||.  Its dual asks for nu with M(nu) <= beta (see `pricing`), so a
point is optimal exactly if its dual vector nu = -loss'(f) obeys that and Euler's relation.  `train`
keeps a few neurons, prices all cells, adds those that violate M(nu) <= beta, and re-optimises
(`relu_training_active`).  Where that leaves a gap, it starts again from the optima of greater betas,
and then a conic program over the patterns met so far takes over (`relu_training_conic`); the best
network and the best dual vector of all count.  What is reported is evaluated afresh at the end: the
objective of the neurons, and the dual value of nu scaled so that M <= beta over the cells listed.

Sources: Pilanci and Ergen, "Neural Networks are Convex Regularizers" (ICML 2020); Mishkin, Sahiner
and Pilanci, "Fast Convex Optimization for Two-Layer ReLU Networks" (ICML 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.pricing import Atom, Pricing
from numerics.relu_training_active import Neurons, Problem, refine, settle
from numerics.relu_training_conic import conic_rounds
from numerics.relu_training_loss import TrainingLoss, training_loss

Array = NDArray[np.float64]
_TIGHT = 1e-13  # relative excess of M(nu) over beta at which the search ends
_CLOSE = 1e-2  # at a greater excess a few Newton steps a round are enough
_ROUNDS, _HASTY, _STALL, _MOST = 150, 30, 6, 48
_LOST = 1e-3  # a gap on the way to a small beta from which the next step would gain nothing
_CLOSED = 1e-9  # relative gap from which on nothing else is tried
_STEP, _EASY = 0.1, 1e-2  # from one beta to the next, down from this part of beta_max
_SMALL = 1e-6  # of a bound on beta_max


@dataclass(frozen=True)
class Trained:
    """An optimum, or the best point found.

    Attributes:
        p: (k, d); neuron j is s_j (X p_j)_+ at cost beta ||p_j||.
        signs: (k,), +-1.
        f: outputs, (n,).
        nu: dual vector, scaled so that M(nu) <= beta over the cells listed, up to rounding, (n,).
        objective, lower: primal and dual value in floats (``lower`` bounds the optimum if the cells are complete).
        rounds: rounds of pricing.
        method: "active set" or "conic".
        trouble: empty, or what went wrong.
    """

    p: Array
    signs: Array
    f: Array
    nu: Array
    objective: float
    lower: float
    rounds: int
    method: str
    trouble: str = ""

    @property
    def gap(self) -> float:
        """(objective - lower) / max(objective, tiny), over the patterns listed: a network beside them may be better."""
        return max(self.objective - self.lower, 0.0) / max(self.objective, 1e-300)

    def network(self) -> tuple[Array, Array]:
        """Balanced weights W (k, d) and v (k,), ||w_j|| = |v_j|."""
        sizes = np.sqrt(np.linalg.norm(self.p, axis=1))
        return self.p / np.where(sizes > 0, sizes, 1.0)[:, None], self.signs * sizes


@dataclass(frozen=True)
class Scaling:
    """Powers of two that bring data to moderate size: X = 2^x X', y = 2^y y', beta = 2^(x+y) beta'.

    Multiplication by them is exact, so that the scaled problem is the given one.
    """

    x: int
    y: int

    def neurons(self, p: Array) -> Array:
        """p of the scaled problem for the given one, or, with the negative scaling, back."""
        return np.ldexp(p, self.y - self.x)


def scaling_of(X: Array, y: Array, loss: TrainingLoss) -> Scaling:
    """The scaling of the largest entries to [1/2, 1); labels of the logistic loss stay as they are.

    Raises:
        NumericsError: X is zero, or its entries span more than float64 can hold after scaling.
    """
    largest = float(np.abs(X).max())
    if largest == 0.0:
        raise NumericsError(
            "all data are zero: no network output depends on its weights; give other data"
        )
    smallest = float(np.abs(X[X != 0]).min())
    if np.log2(largest) - np.log2(smallest) > 500:
        raise NumericsError(
            f"the data span {smallest:.3g} to {largest:.3g}: rescale the columns to comparable units"
        )
    top = float(np.abs(y).max())
    return Scaling(
        int(np.frexp(largest)[1]),
        int(np.frexp(top)[1]) if loss.name == "squared" and top > 0 else 0,
    )


def beta_max(X: Array, y: Array, patterns: NDArray[np.bool_], loss: str = "squared") -> float:
    """M(y), or M(y/2) for the logistic loss: from here on the zero network is optimal."""
    kind = training_loss(loss)
    return Pricing(X, patterns).maximum(kind.dual(np.zeros(len(y)), y)).bound


def train(
    X: Array,
    y: Array,
    beta: float,
    patterns: NDArray[np.bool_],
    *,
    loss: str = "squared",
    start: Trained | None = None,
    method: str = "auto",
    enough: float = _CLOSED,
) -> Trained:
    """Minimise over all networks; the optimum is global if the cells are complete.

    With an incomplete list neurons are looked for in its cells (and now and then beside them), and
    ``lower`` is no bound on the global optimum.

    Args:
        X, y: data (n, d) and targets (n,), finite.
        beta: weight decay, > 0.
        patterns: bool (P, n).
        loss: "squared" or "logistic".
        start: the optimum of a similar problem on the same X (another beta), as a warm start.
        method: "active set", "conic" (cvxpy), or "auto": the first, then from greater betas, then the second, as
            long as a gap is left.
        enough: a relative gap at which "auto" tries nothing further.

    Raises:
        NumericsError: beta is not positive, the data cannot be scaled, or an unknown loss or method.
    """
    if not (np.isfinite(beta) and beta > 0):
        raise NumericsError(f"beta is {beta}: give a positive number")
    if method not in ("auto", "active set", "conic"):
        raise NumericsError(f"unknown method {method!r}: choose auto, active set or conic")
    kind = training_loss(loss)
    scale = scaling_of(X, y, kind)
    small = float(np.ldexp(beta, -scale.x - scale.y))
    problem = Problem(np.ldexp(X, -scale.x), np.ldexp(y, -scale.y), kind, small)
    if small == 0.0 or not np.isfinite(small):
        raise NumericsError(f"beta = {beta} is out of range for these data: rescale X, y and beta")
    task = _Task(problem, Pricing(problem.X, patterns), scale)
    if method == "conic":
        return task.attempt(start, method)
    # where beta is small, a search from nowhere ends soon or not at all
    hasty = method == "auto" and start is None and task.small_beta()
    found = task.attempt(start, "active set", _HASTY if hasty else _ROUNDS)
    if method == "auto" and found.gap > enough:
        found = task.from_greater_betas(found)
    if hasty and found.gap > enough:
        found = _best(found, task.attempt(None, "active set"))
    if method == "auto" and found.gap > enough:
        found = _best(found, task.attempt(found, "conic"))
    return found


@dataclass(frozen=True)
class _Task:
    """A problem in scaled units, its oracle, and the scaling."""

    problem: Problem
    pricing: Pricing
    scale: Scaling

    def attempt(self, start: Trained | None, method: str, most: int = _ROUNDS) -> Trained:
        """One method from one start, whose dual vector counts too: it changes little from one beta to the next."""
        problem, scale = self.problem, self.scale
        neurons = Neurons.none(*problem.X.shape)
        duals = []
        if start is not None and len(start.p):
            neurons = Neurons.at(np.ldexp(start.p, scale.x - scale.y), start.signs, problem.rows)
            duals = [np.ldexp(start.nu, -scale.y)]
        if method == "conic":
            neurons, rounds, trouble = conic_rounds(problem, self.pricing, neurons)
        else:
            neurons, rounds, trouble = _active_rounds(problem, self.pricing, neurons, most)
        duals.append(refine(neurons, problem))
        found = _result(problem, self.pricing, neurons, duals, rounds, method, trouble, scale)
        return replace(found, trouble="") if found.gap <= _CLOSED else found

    def small_beta(self) -> bool:
        """Whether beta is so small that a search from nowhere takes long: most data are fitted, at little gain."""
        nu = self.problem.loss.dual(np.zeros_like(self.problem.y), self.problem.y)
        most = float(np.abs(nu) @ np.linalg.norm(self.problem.X, axis=1))  # at least beta_max
        return self.problem.beta < _SMALL * most

    def from_greater_betas(self, found: Trained) -> Trained:
        """The optima for smaller and smaller beta, each from the one before; the best of the last and ``found``."""
        problem = self.problem
        nu = problem.loss.dual(np.zeros_like(problem.y), problem.y)
        beta = _EASY * self.pricing.maximum(nu).bound
        near: Trained | None = None
        while beta > problem.beta:
            there = replace(self, problem=replace(problem, beta=beta))
            near = there.attempt(near, "active set", _HASTY)
            if near.gap > _LOST:
                break
            beta *= _STEP
        return found if near is None else _best(found, self.attempt(near, "active set"))


def _best(one: Trained, other: Trained) -> Trained:
    """The network of the one, the dual vector of the other, whichever are better."""
    primal, dual = (other if other.objective < one.objective else one), one
    if other.lower > one.lower:
        dual = other
    rounds = one.rounds + other.rounds
    found = replace(primal, nu=dual.nu, lower=dual.lower, rounds=rounds)
    return replace(found, trouble="") if found.gap <= _CLOSED else found


def _active_rounds(
    problem: Problem, pricing: Pricing, neurons: Neurons, most: int
) -> tuple[Neurons, int, str]:
    best, stalled, excess = np.inf, 0, np.inf
    neurons = settle(neurons, problem)
    for k in range(most):
        found = _violators(problem, pricing, refine(neurons, problem))
        if not found:
            return neurons, k + 1, ""
        excess = found[0].value / problem.beta - 1.0
        now = neurons.objective(problem)
        stalled = 0 if now < best * (1 - 1e-13) else stalled + 1
        if stalled >= _STALL:
            break
        best = min(best, now)
        directions, signs = (
            np.array([a.direction for a in found]),
            np.array([a.sign for a in found]),
        )
        joined = neurons.join(Neurons.at(directions, signs, problem.rows))
        weights = np.concatenate([np.ones(len(neurons)), np.zeros(len(found))])
        trial = settle(joined, problem, weights, steps=60 if excess < _CLOSE else 4)
        neurons = trial if trial.objective(problem) <= now else neurons
    trouble = f"the search stalled with a neuron that pays {excess:.1e} more than beta"
    return neurons, k + 1, "" if excess <= 1e-10 else trouble


def scaled_dual(problem: Problem, pricing: Pricing, nu: Array) -> tuple[Array, float]:
    """The multiple of nu with M <= beta over the cells that has the largest dual value, and that value."""
    most = problem.beta / pricing.maximum(nu, problem.beta).bound
    nu = problem.loss.best_scale(nu, problem.y, most) * nu
    return nu, problem.loss.dual_value(nu, problem.y)


def _violators(problem: Problem, pricing: Pricing, nu: Array) -> list[Atom]:
    threshold = problem.beta * (1 + _TIGHT)
    found = pricing.quick(nu, problem.beta * (1 + 1e-6), _MOST)
    return found or pricing.search(nu, threshold, _MOST)


def _result(
    problem: Problem,
    pricing: Pricing,
    neurons: Neurons,
    duals: Sequence[Array],
    rounds: int,
    method: str,
    trouble: str,
    scale: Scaling,
) -> Trained:
    """The point in the units of the caller; objective and dual value are evaluated afresh."""
    X, y, loss, beta = problem.X, problem.y, problem.loss, problem.beta
    f = (neurons.signs[:, None] * np.maximum(neurons.p @ X.T, 0.0)).sum(axis=0)
    objective = loss.value(f, y) + beta * float(np.linalg.norm(neurons.p, axis=1).sum())
    nu, lower = max((scaled_dual(problem, pricing, d) for d in duals), key=lambda pair: pair[1])
    unit = np.ldexp(1.0, 2 * scale.y)
    return Trained(
        np.ldexp(neurons.p, scale.y - scale.x),
        neurons.signs,
        np.ldexp(f, scale.y),
        np.ldexp(nu, scale.y),
        float(objective * unit),
        float(lower * unit),
        rounds,
        method,
        trouble,
    )
