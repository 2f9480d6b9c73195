"""Descent over a few neurons: weights on fixed directions, and Newton steps within their cells.

The convex training problem min loss(sum_k s_k D_k X p_k) + beta sum_k ||p_k||, each p_k in the closed
cell of its pattern D_k, restricted to the neurons at hand.  Three moves, none of which raises the
objective:

* `reweigh`: p_k = c_k u_k with u_k fixed, c >= 0 optimal (an active-set Newton method);
* `merge`: two neurons of equal sign in one closed cell become their sum (the norm is strictly convex);
* `slide`: Newton on the p_k, each in the face of the arrangement in which it lies, with steps cut
  where a p_k would leave its cell (it then stays on the wall it met).

`settle` takes them in turn.  At a point where nothing moves and no cell's price exceeds beta the
objective is the global minimum; the Newton steps make the dual vector accurate to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.relu_training_loss import TrainingLoss

Array = NDArray[np.float64]
_ON_FACE = 1e-10  # |x_j . u| over sum_k |x_jk u_k| below which u lies on the plane of row j
_FLAT = 1e-13  # eigenvalues of the Hessian below this part of the largest count as zero


@dataclass(frozen=True)
class Problem:
    """X (n, d) and y (n,) of moderate size (scaled by powers of two), loss and beta > 0."""

    X: Array
    y: Array
    loss: TrainingLoss
    beta: float

    @property
    def rows(self) -> Array:
        """The rows of X with length 1 (zero rows stay)."""
        lengths = np.linalg.norm(self.X, axis=1)
        rows: Array = self.X / np.where(lengths > 0, lengths, 1.0)[:, None]
        return rows


@dataclass(frozen=True)
class Neurons:
    """k neurons: ``p`` (k, d), ``signs`` (k,) of the output weights, ``sides`` (k, n) in {-1, 0, 1}.

    sides[k, j] is the sign of x_j . p_k, and 0 where p_k is held on the plane of row j.
    """

    p: Array
    signs: Array
    sides: NDArray[np.int8]

    @staticmethod
    def none(n: int, d: int) -> Neurons:
        return Neurons(np.zeros((0, d)), np.zeros(0), np.zeros((0, n), np.int8))

    @staticmethod
    def at(directions: Array, signs: Array, rows: Array) -> Neurons:
        """Neurons at given directions; those within rounding of a plane are put on its face."""
        return Neurons(directions, signs.astype(float), _sides(directions, rows))

    def __len__(self) -> int:
        return len(self.p)

    def pick(self, kept: NDArray[np.bool_] | NDArray[np.int_]) -> Neurons:
        return Neurons(self.p[kept], self.signs[kept], self.sides[kept])

    def join(self, other: Neurons) -> Neurons:
        return Neurons(
            np.concatenate([self.p, other.p]),
            np.concatenate([self.signs, other.signs]),
            np.concatenate([self.sides, other.sides]),
        )

    def features(self, X: Array) -> Array:
        """s_k D_k X p_k as columns: (n, k)."""
        columns: Array = ((self.p @ X.T) * (self.sides > 0) * self.signs[:, None]).T
        return columns

    def output(self, X: Array) -> Array:
        """f: (n,)."""
        total: Array = self.features(X).sum(axis=1)
        return total

    def objective(self, problem: Problem) -> float:
        size = float(np.linalg.norm(self.p, axis=1).sum())
        return problem.loss.value(self.output(problem.X), problem.y) + problem.beta * size


def settle(
    neurons: Neurons, problem: Problem, weights: Array | None = None, *, steps: int = 60
) -> Neurons:
    """Weights, merging and at most so many Newton steps in turn, until none of them helps."""
    before = np.inf
    for _ in range(8):
        neurons = reweigh(neurons, problem, weights)
        weights, count = None, len(neurons)
        neurons = merge(neurons)
        faces = neurons.sides
        neurons = slide(neurons, problem, steps)
        now = neurons.objective(problem)
        same = len(neurons) == count and np.array_equal(faces, neurons.sides)
        if same and now >= before * (1 - 1e-12):
            break
        before = now
    return neurons


def reweigh(
    neurons: Neurons, problem: Problem, weights: Array | None = None, rounds: int = 400
) -> Neurons:
    """Optimal multiples of the given p_k, from ``weights`` >= 0 (default 1); those of multiple 0 are dropped."""
    if not len(neurons):
        return neurons
    X, y, loss, beta = problem.X, problem.y, problem.loss, problem.beta
    A, costs = neurons.features(X), beta * np.linalg.norm(neurons.p, axis=1)
    scale = float(np.abs(costs).max())
    c = np.ones(len(neurons)) if weights is None else weights
    passive = c > 0

    def objective(weights: Array) -> float:
        return loss.value(A @ weights, y) + float(costs @ weights)

    now = objective(c)
    for _ in range(rounds):
        f = A @ c
        gradient = costs - A.T @ loss.dual(f, y)
        chosen = np.flatnonzero(passive)
        if not len(chosen) or np.abs(gradient[chosen]).max() <= 1e-14 * scale:
            slack = np.where(passive, 0.0, gradient)
            entering = int(np.argmin(slack))
            if slack[entering] >= -1e-13 * scale:
                break
            passive[entering] = True
            continue
        B = A[:, chosen]
        H = (B.T * loss.curvature(f, y)) @ B
        H[np.diag_indices_from(H)] += 1e-13 * max(float(np.trace(H)), 1e-300)
        step = -np.linalg.solve(H, gradient[chosen])
        shrinking = step < 0
        limits = np.where(shrinking, c[chosen] / np.where(shrinking, -step, 1.0), np.inf)
        full = min(1.0, float(limits.min()))
        t, trial, value = full, c, now
        while t > 1e-12:
            trial = c.copy()
            trial[chosen] = np.maximum(c[chosen] + t * step, 0.0)
            if t == full and full < 1.0:
                trial[chosen[int(np.argmin(limits))]] = 0.0
            value = objective(trial)
            if value <= now:
                break
            t *= 0.5
        else:
            trial, value = c, now
        stuck = full == 1.0 and not value < now
        c, now = trial, min(now, value)
        passive &= c > 0
        if stuck:
            slack = np.where(passive, 0.0, costs - A.T @ loss.dual(A @ c, y))
            entering = int(np.argmin(slack))
            if slack[entering] >= -1e-13 * scale:
                break
            passive[entering] = True
    kept = c > 0
    return Neurons(c[kept, None] * neurons.p[kept], neurons.signs[kept], neurons.sides[kept])


def merge(neurons: Neurons) -> Neurons:
    """Sums of neurons that share the sign and a closed cell, until no two do."""
    p, signs, sides = neurons.p.copy(), neurons.signs, neurons.sides.copy()
    alive = list(range(len(p)))
    k = 0
    while k < len(alive):
        i = alive[k]
        for j in alive[k + 1 :]:
            if signs[i] == signs[j] and not np.any(sides[i] * sides[j] < 0):
                p[i] += p[j]
                sides[i] = np.where(sides[i] != 0, sides[i], sides[j])
                alive.remove(j)
                break
        else:
            k += 1
    return neurons if len(alive) == len(p) else Neurons(p[alive], signs[alive], sides[alive])


def slide(neurons: Neurons, problem: Problem, rounds: int = 60) -> Neurons:
    """Newton steps within the faces until they stop; see the module's docstring."""
    rows = problem.rows
    bases = [_basis(neurons.sides[k] == 0, rows) for k in range(len(neurons))]
    kept = np.array([b.shape[1] > 0 for b in bases], dtype=bool)
    if not kept.all():
        neurons, bases = neurons.pick(kept), [b for b in bases if b.shape[1]]
    now, steepest = neurons.objective(problem), np.inf
    for _ in range(rounds):
        if not len(neurons):
            break
        gradient, H, z = _quadratic(neurons, bases, problem)
        step = _newton(H, gradient)
        ends = np.cumsum([b.shape[1] for b in bases])[:-1]
        moves = np.array([b @ m for b, m in zip(bases, np.split(step, ends), strict=True)])
        full, walls = _room(neurons, moves, rows)
        slope = float(gradient @ step)
        # the objective cannot see steps this small: Newton goes on as long as the gradient falls
        last = -slope <= 1e-11 * now
        if last and np.linalg.norm(gradient) >= 0.5 * steepest:
            break
        steepest = float(np.linalg.norm(gradient)) if last else np.inf
        t = full
        while True:
            trial = Neurons(neurons.p + t * moves, neurons.signs, neurons.sides)
            value = trial.objective(problem)
            if last or value <= now + 1e-4 * t * slope:
                break
            t *= 0.5
            if t < 1e-10:
                return neurons
        neurons, now = trial, value
        if t == full and full < 1.0:
            neurons, bases = _meet(neurons, bases, walls, rows)
            now, steepest = neurons.objective(problem), np.inf
        elif np.abs(step).max() <= 1e-16 * np.abs(z).max():
            break
    return neurons


def refine(neurons: Neurons, problem: Problem, rounds: int = 12) -> Array:
    """The dual vector at the stationary point next to the neurons, as float64: (n,).

    Outputs of large neurons cancel; where numpy has an extended type, Newton's residuals are taken in
    it, so that nu (of size beta when the fit is close) keeps its relative accuracy.
    """
    y = problem.y.astype(np.longdouble)
    if not len(neurons):
        return problem.loss.dual(np.zeros_like(problem.y), problem.y)
    rows = problem.rows
    bases = [_basis(side == 0, rows) for side in neurons.sides]
    _, H, z0 = _quadratic(neurons, bases, problem)
    inverse, z, A = _inverse(H), z0.astype(np.longdouble), _design(neurons, bases, problem)
    wide = A.astype(np.longdouble)
    ends = np.cumsum([b.shape[1] for b in bases])[:-1]
    steepest, best = np.inf, problem.loss.dual(A @ z0, problem.y)
    for _ in range(rounds):
        nu = problem.loss.dual(wide @ z, y)
        parts = [part / np.sqrt((part**2).sum()) for part in np.split(z, ends)]
        gradient = problem.beta * np.concatenate(parts) - nu @ wide
        size = float(np.sqrt((gradient**2).sum()))
        if size > 0.5 * steepest:
            break
        steepest, best = size, nu.astype(float)
        z = z - inverse @ gradient
    return best


def _newton(H: Array, gradient: Array) -> Array:
    """-H^-1 gradient; on the complement of the kernel where H is singular."""
    scale = np.sqrt(np.maximum(np.diag(H), 1e-300))
    try:
        lower = np.linalg.cholesky(H / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return -_inverse(H) @ gradient
    if np.diag(lower).min() < 1e-5:
        return -_inverse(H) @ gradient
    half = np.linalg.solve(lower, gradient / scale)
    step: Array = -np.linalg.solve(lower.T, half) / scale
    return step


def _inverse(H: Array) -> Array:
    """The inverse of a positive semidefinite matrix on the complement of its (numerical) kernel."""
    scale = np.sqrt(np.maximum(np.diag(H), 1e-300))
    values, vectors = np.linalg.eigh(H / np.outer(scale, scale))
    firm = values > _FLAT * values[-1]
    inverse: Array = (vectors[:, firm] / values[firm]) @ vectors[:, firm].T / np.outer(scale, scale)
    return inverse


def _design(neurons: Neurons, bases: list[Array], problem: Problem) -> Array:
    """f as a linear map of the coordinates z of all faces."""
    parts = zip(neurons.signs, neurons.sides, bases, strict=True)
    return np.concatenate(
        [s * ((side > 0)[:, None] * (problem.X @ b)) for s, side, b in parts], axis=1
    )


def _quadratic(
    neurons: Neurons, bases: list[Array], problem: Problem
) -> tuple[Array, Array, Array]:
    """Gradient and Hessian in the coordinates z of the faces, and z."""
    loss, y, A = problem.loss, problem.y, _design(neurons, bases, problem)
    z = np.concatenate([b.T @ p for b, p in zip(bases, neurons.p, strict=True)])
    f = A @ z
    gradient = -A.T @ loss.dual(f, y)
    H = (A.T * loss.curvature(f, y)) @ A
    start = 0
    for b in bases:
        part = slice(start, start := start + b.shape[1])
        size = float(np.linalg.norm(z[part]))
        unit = z[part] / size
        gradient[part] += problem.beta * unit
        H[part, part] += problem.beta / size * (np.eye(len(unit)) - np.outer(unit, unit))
    return gradient, H, z


def _sides(p: Array, rows: Array) -> NDArray[np.int8]:
    """The signs of x_j . p, 0 where it is nothing but cancellation; p (..., d) -> (..., n)."""
    products, sizes = p @ rows.T, np.abs(p) @ np.abs(rows).T
    signs: NDArray[np.int8] = (np.sign(products) * (np.abs(products) > _ON_FACE * sizes)).astype(
        np.int8
    )
    return signs


def _basis(held: NDArray[np.bool_], rows: Array) -> Array:
    """An orthonormal basis (d, r) of the vectors orthogonal to the rows that are held."""
    planes = rows[held]
    if not len(planes):
        return np.eye(rows.shape[1])
    _, singular, vt = np.linalg.svd(planes)
    basis: Array = vt[int((singular > 1e-9).sum()) :].T
    return basis


def _room(neurons: Neurons, moves: Array, rows: Array) -> tuple[float, NDArray[np.bool_]]:
    """The longest step <= 1 that leaves no cell, and (k, n): which planes it meets."""
    slack = np.maximum((neurons.p @ rows.T) * neurons.sides, 0.0)
    approach = -(moves @ rows.T) * neurons.sides
    closing = approach > 0
    limits = np.where(closing, slack / np.where(closing, approach, 1.0), np.inf)
    full = float(limits.min(initial=np.inf))
    if full >= 1.0:
        return 1.0, np.zeros_like(closing)
    return full, limits <= full * (1 + 1e-12)


def _meet(
    neurons: Neurons, bases: list[Array], walls: NDArray[np.bool_], rows: Array
) -> tuple[Neurons, list[Array]]:
    """Put the neurons that met a wall on it; those that are left with no direction vanish."""
    p, sides, bases = neurons.p.copy(), neurons.sides.copy(), list(bases)
    kept = np.ones(len(p), dtype=bool)
    for k in np.flatnonzero(walls.any(axis=1)):
        sides[k, walls[k]] = 0
        # also the planes through the new face: parallel rows, and rows in the span of those held
        for _ in range(2):
            bases[k] = _basis(sides[k] == 0, rows)
            p[k] = bases[k] @ (bases[k].T @ p[k])
            sides[k, _sides(p[k], rows) == 0] = 0
        kept[k] = bool(p[k].any())
    left = Neurons(p, neurons.signs, sides).pick(kept)
    return left, [b for b, ok in zip(bases, kept, strict=True) if ok]
