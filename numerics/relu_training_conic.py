"""The convex ReLU program as one conic program over given patterns, in cvxpy, compiled once.

One matrix variable holds the p of all patterns and another the q; beta is a parameter, so that a
regularisation path compiles once.  Used where the active-set search stalls, and as an independent
check of it.  A solver's status is not evidence: callers evaluate the point that comes back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.conic import attempt
from numerics.errors import NumericsError
from numerics.pricing import Pricing
from numerics.relu_training_active import Neurons, Problem, refine, settle
from numerics.relu_training_loss import training_loss

Array = NDArray[np.float64]
_SMALL = 1e-7  # weights below this part of the largest are taken for the solver's zeros
_ROUNDS, _MOST = 30, 40


class ConicProgram:
    """min loss(sum_i D_i X (p_i - q_i)) + beta sum_i (||p_i|| + ||q_i||) on the cells of the patterns.

    Args:
        X, y: (n, d) and (n,).
        patterns: bool (P, n).
        loss: "squared" or "logistic".
    """

    def __init__(
        self, X: Array, y: Array, patterns: NDArray[np.bool_], loss: str = "squared"
    ) -> None:
        import cvxpy as cp

        training_loss(loss)
        n, d = X.shape
        count = len(patterns)
        self.X, self.patterns = X, patterns
        self._p, self._q = cp.Variable((count, d)), cp.Variable((count, d))
        self._beta = cp.Parameter(nonneg=True)
        active, sides = patterns.astype(float), 2.0 * patterns - 1.0
        stacked = (active.T[:, :, None] * X[:, None, :]).reshape(n, count * d)
        f = stacked @ cp.vec(self._p - self._q, order="C")
        fit = (
            0.5 * cp.sum_squares(f - y)
            if loss == "squared"
            else cp.sum(cp.logistic(-cp.multiply(y, f)))
        )
        size = cp.sum(cp.norm(self._p, 2, axis=1)) + cp.sum(cp.norm(self._q, 2, axis=1))
        cells = [cp.multiply(sides, v @ X.T) >= 0 for v in (self._p, self._q)]
        self.problem = cp.Problem(cp.Minimize(fit + self._beta * size), cells)

    def solve(self, beta: float, *, solver: str | None = None) -> Neurons:
        """The point a solver returns, as neurons; Clarabel first, SCS if it fails.

        Raises:
            NumericsError: no solver returned a point.
        """
        self._beta.value = beta
        for name in [solver] if solver else ["CLARABEL", "SCS"]:
            options: dict[str, Any] = {"eps": 1e-8} if name == "SCS" else {}
            if self._attempt(name, options):
                return self._neurons()
        raise NumericsError(
            f"no solver returned a point (last status {self.problem.status}): rescale the data or raise beta"
        )

    def _attempt(self, name: str, options: dict[str, Any]) -> bool:
        self._p.value = self._q.value = None  # what an earlier beta left is no answer
        attempt(self.problem, name, **options)  # whatever the status: the point is evaluated anyway
        values = (self._p.value, self._q.value)
        return all(v is not None and np.isfinite(v).all() for v in values)

    def _neurons(self) -> Neurons:
        values = np.concatenate([self._p.value, self._q.value])
        signs = np.repeat([1.0, -1.0], len(self.patterns))
        sizes = np.linalg.norm(values, axis=1)
        kept = sizes > _SMALL * max(float(sizes.max()), 1e-300)
        lengths = np.linalg.norm(self.X, axis=1)
        rows = self.X / np.where(lengths > 0, lengths, 1.0)[:, None]
        return _near_faces(values[kept], signs[kept], rows)


def _near_faces(p: Array, signs: Array, rows: Array) -> Neurons:
    """Neurons put on the planes that they all but lie on: an interior-point solution stops short of walls."""
    p = p.copy()
    for k, row in enumerate(p):
        held = rows[np.abs(rows @ row) <= 1e-5 * np.linalg.norm(row)]
        if len(held):
            _, singular, vt = np.linalg.svd(held)
            basis = vt[int((singular > 1e-9).sum()) :]
            p[k] = basis.T @ (basis @ row)
    kept = np.linalg.norm(p, axis=1) > 0
    return Neurons.at(p[kept], signs[kept], rows)


def conic_rounds(problem: Problem, pricing: Pricing, neurons: Neurons) -> tuple[Neurons, int, str]:
    """Column generation whose master is the conic program; (neurons, rounds, trouble or empty)."""
    patterns = np.unique(neurons.sides > 0, axis=0)
    best = neurons
    excess = np.inf
    for k in range(_ROUNDS):
        nu = refine(best, problem)
        found = pricing.search(nu, problem.beta * (1 + 1e-10), _MOST)
        if not found:
            return best, k, ""
        excess = found[0].value / problem.beta - 1.0
        new = np.array([problem.X @ atom.direction > 0 for atom in found])
        wider = np.unique(np.concatenate([patterns, new]), axis=0)
        try:
            point = ConicProgram(problem.X, problem.y, wider, problem.loss.name).solve(problem.beta)
        except NumericsError as error:
            return best, k + 1, str(error)
        settled = settle(point, problem)
        if len(wider) == len(patterns) and not settled.objective(problem) < best.objective(problem):
            break
        patterns = wider
        if settled.objective(problem) <= best.objective(problem):
            best = settled
    return (
        best,
        _ROUNDS,
        f"the conic rounds ended with a neuron that pays {excess:.1e} more than beta",
    )
