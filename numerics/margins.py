"""Margins of two-layer ReLU networks in total variation: the game between a network and weights on the points.

Points X (n, d), labels y (n,). The margin is the value of

    max over Σ_j |c_j| ‖u_j‖ <= 1 of min_i y_i Σ_j c_j (<u_j, x_i>)_+
        = min over q in the simplex of max over unit u and signs s of φ(u) = s Σ_i q_i y_i (<u, x_i>)_+.

φ is convex in the points with y_i = s and concave in the others. With P the points of label s where <u, x_i> > 0,
replacing (z)_+ by z on P and by 0 on the rest of label s bounds φ from below, and is exact at u. What remains is
concave, so that its maximum over the unit ball is the distance between a point and a zonotope,

    min over 0 <= w_i <= q_i of ‖Σ_P q_i x_i - Σ_{y_i = -s} w_i x_i‖,

attained at the residual's direction. It is jointly convex in (q, w): the game restricted to finitely many (s, P) is a
second-order cone program, there are finitely many P, and a new one is found by following these maxima uphill. Nothing
here is a bound; whoever needs one re-evaluates the network and the weights that are returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements_leaves import shortest
from numerics.conic import attempt
from numerics.errors import NumericsError

Float = NDArray[np.float64]
Pattern = tuple[
    int, tuple[int, ...]
]  # the sign s, the points of label s where the neuron is active

_UPHILL = 30  # steps from one start; each of them changes the pattern
_TOLERANCES = (
    1e-13,
    1e-11,
    1e-9,
)  # of the cone solver, which calls hard programs infeasible when asked for too much
_KEPT = 24  # starts that are followed


@dataclass(frozen=True)
class Peak:
    """A local maximum of φ on the unit sphere: its value, direction u (d,), sign and pattern."""

    value: float
    direction: Float
    pattern: Pattern

    @property
    def sign(self) -> int:
        """The sign of the neuron's outer weight."""
        return self.pattern[0]


def peak(X: Float, y: Float, q: Float, pattern: Pattern, near: Float | None = None) -> Peak | None:
    """The maximum over the unit ball of φ with (z)_+ replaced as the pattern says; None where it is 0.

    Args:
        near: (d,) a direction near the maximiser, if one is known.
    """
    sign, active = pattern
    chosen = list(active)
    a = q[chosen] @ X[chosen]
    against = np.flatnonzero((y == -sign) & (q > 0))
    terms = q[against, None] * X[against]
    start = terms @ (a if near is None else near) > 0
    residual = shortest(a, -terms, start).g
    value = float(np.linalg.norm(residual))
    if not value > 1e-14 * float(q @ np.linalg.norm(X, axis=1)):
        return None
    return Peak(value, residual / value, pattern)


def pattern_of(X: Float, y: Float, u: Float, sign: int) -> Pattern:
    """The points of label ``sign`` at which a neuron is active."""
    return sign, tuple(int(i) for i in np.flatnonzero((X @ u > 0) & (y == sign)))


def peaks(
    X: Float, y: Float, q: Float, *, starts: Float, known: Iterable[Pattern] = ()
) -> list[Peak]:
    """Local maxima of φ, the largest first: uphill from the best of the starts (m, d) and from known patterns."""
    seen: dict[Pattern, Peak | None] = {}

    def at(pattern: Pattern, near: Float | None = None) -> Peak | None:
        if pattern not in seen:
            seen[pattern] = peak(X, y, q, pattern, near)
        return seen[pattern]

    activations = np.maximum(starts @ X.T, 0.0) @ (q * y)
    todo: list[tuple[Pattern, Float | None]] = [(pattern, None) for pattern in known]
    for sign in (1, -1):
        best = np.argsort(-sign * activations, kind="stable")[:_KEPT]
        todo += [(pattern_of(X, y, starts[i], sign), starts[i]) for i in best]
    for pattern, near in todo:
        here = at(pattern, near)
        for _ in range(_UPHILL):
            if here is None:
                break
            after = at(pattern_of(X, y, here.direction, here.sign), here.direction)
            if after is None or not after.value > here.value * (1 + 1e-15):
                break
            here = after
    found = [p for p in seen.values() if p is not None]
    return sorted(found, key=lambda p: -p.value)


@dataclass(frozen=True)
class Restricted:
    """The game restricted to some patterns: weights q (n,), its value, which is at most the margin, and a network.

    The neurons are the multipliers of the cones; they fit each other better than the peaks at q, which is determined by
    fewer equations than it has entries when few neurons are needed.
    """

    q: Float
    value: float
    neurons: tuple[tuple[int, Float], ...]
    outer: tuple[float, ...]


def restricted_game(
    X: Float, y: Float, orbits: Sequence[Sequence[int]], patterns: Sequence[Pattern], scale: float
) -> Restricted:
    """The second-order cone program of the module's docstring, q constant on each orbit.

    Args:
        scale: a guess of the value, so that the program is well scaled.

    Raises:
        NumericsError: the solver returns no numbers.
    """
    import cvxpy as cp

    n, d = X.shape
    spread = np.zeros((n, len(orbits)))
    for k, orbit in enumerate(orbits):
        spread[list(orbit), k] = 1.0 / len(orbit)
    weights, t = cp.Variable(len(orbits)), cp.Variable()
    constraints = [weights >= 0, cp.sum(weights) == 1]
    cones: dict[int, Any] = {}
    members = {sign: [p for s, p in patterns if s == sign] for sign in (1, -1)}
    for sign, chosen in members.items():
        if not chosen:
            continue
        active = np.zeros((len(chosen), n))
        for k, rows in enumerate(chosen):
            active[k, list(rows)] = 1.0
        # (patterns, d, orbits): the sum over the active points as a function of the weights
        forward = np.einsum("pi,id,io->pdo", active, X / scale, spread)
        gradient = cp.reshape(forward.reshape(-1, len(orbits)) @ weights, (len(chosen), d), "C")
        against = np.flatnonzero(y == -sign)
        if against.size:
            w = cp.Variable((len(chosen), against.size))
            most = cp.reshape(spread[against] @ weights, (1, against.size), "C")
            constraints += [w >= 0, w <= np.ones((len(chosen), 1)) @ most]
            gradient = gradient - w @ (X[against] / scale)
        cones[sign] = cp.SOC(t * np.ones(len(chosen)), gradient, axis=1)
    problem = cp.Problem(cp.Minimize(t), constraints + list(cones.values()))
    for tolerance in _TOLERANCES:
        tight = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)
        attempt(problem, "CLARABEL", **tight)  # whatever the status: the answer is re-evaluated
        if weights.value is not None and np.isfinite(weights.value).all():
            break
    else:
        raise NumericsError(
            f"the cone solver finds no weights for {len(patterns)} patterns; scale the points alike"
        )
    q = spread @ np.maximum(weights.value, 0.0)
    neurons, outer = [], []
    for sign, cone in cones.items():
        for u in -np.asarray(cone.dual_value[1], dtype=float):
            size = float(np.linalg.norm(u))
            if np.isfinite(size) and size > 1e-12:
                neurons.append((sign, u / size))
                outer.append(size)
    return Restricted(q / q.sum(), scale * float(t.value), tuple(neurons), tuple(outer))


def outer_weights(
    X: Float,
    y: Float,
    orbits: Sequence[Sequence[int]],
    neurons: Sequence[tuple[int, Float]],
    guess: Float | None = None,
    slack: float = 0.0,
) -> Float:
    """c >= 0 with sum 1 that maximises the smallest margin of Σ_j c_j s_j (<u_j, x>)_+, averaged over orbits.

    Args:
        neurons: pairs (s_j, u_j) of a sign and a unit vector.
        guess: (m,) weights that may be better than those of the linear program, which has an absolute error.
        slack: the share of the margin that those of the linear program, which are sparse, may lose to the guess.

    Raises:
        NumericsError: the linear program is not solved.
    """
    from scipy.optimize import linprog

    signs = np.array([s for s, _ in neurons], dtype=float)
    U = np.array([u for _, u in neurons])
    features = y[:, None] * signs * np.maximum(X @ U.T, 0.0)
    rows = np.array([features[list(orbit)].mean(axis=0) for orbit in orbits])
    scale = float(np.abs(rows).max()) or 1.0
    m = len(neurons)
    found = linprog(
        np.r_[np.zeros(m), -1.0],
        A_ub=np.c_[-rows / scale, np.ones(len(rows))],
        b_ub=np.zeros(len(rows)),
        A_eq=np.r_[np.ones(m), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * m + [(None, None)],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        raise NumericsError(
            f"the linear program of the outer weights is not solved: {found.message}"
        )
    few = _tightened(rows / scale, np.maximum(found.x[:m], 0.0))
    if guess is None or not guess.sum() > 0:
        return few
    many = _tightened(rows / scale, guess)
    return few if (rows @ few).min() >= (1 - slack) * (rows @ many).min() else many


def _tightened(rows: Float, c: Float) -> Float:
    """Outer weights with sum 1 and the margins that are nearly smallest made equal, where that raises the smallest."""
    c = c / c.sum()
    for width in 10.0 ** -np.arange(2.0, 12.0):
        margins = rows @ c
        least = margins.min()
        low = np.flatnonzero(margins <= least + width * abs(least))
        used = np.flatnonzero(c > 1e-9 * c.max())
        system = np.block(
            [[rows[np.ix_(low, used)], -np.ones((low.size, 1))], [np.ones(used.size), 0.0]]
        )
        target = np.r_[least - margins[low], 0.0]
        step = np.linalg.lstsq(system, target, rcond=1e-13)[0][:-1]
        trial = c.copy()
        trial[used] = np.maximum(trial[used] + step, 0.0)
        trial /= trial.sum()
        if (rows @ trial).min() > least:
            c = trial
    return c
