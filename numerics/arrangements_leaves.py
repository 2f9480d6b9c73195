"""The shortest vector base + theta N + lambda C over 0 <= theta <= 1, lambda >= 0: bounds on a cell.

Its length is the maximum over {u: C u >= 0, |u| <= 1} of base . u - sum_i max(-N_i . u, 0), and the
vector itself points to the maximiser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.arrangements_exact import Array, Bools

ROUNDS = 30


@dataclass(frozen=True)
class Shortest:
    """g = base + theta N + lam C, of the least length up to rounding."""

    g: Array
    theta: Array
    lam: Array


def shortest(base: Array, N: Array, C: Array, theta: Bools) -> Shortest:
    """The box-constrained least squares problem, as a few non-negative ones.

    From a vertex theta of the box, each coordinate may move inwards, without its other bound; where
    the other bound is passed, the vertex is changed and the problem solved again.

    Args:
        base: (d,). N: (m, d). C: (r, d).
        theta: (m,) the vertex to start from, best N u < 0 for a u near the maximiser.
    """
    from scipy.optimize import nnls

    m = len(N)
    vertex = theta.copy()
    seen: set[bytes] = set()
    for _ in range(ROUNDS):
        if vertex.tobytes() in seen:
            break
        seen.add(vertex.tobytes())
        start = base + vertex @ N
        inwards = np.where(vertex, -1.0, 1.0)[:, None] * N
        columns = np.concatenate([inwards, C]).T
        if not columns.size:
            return Shortest(start, vertex.astype(float), np.zeros(0))
        try:
            x, _ = nnls(columns, -start)
        except RuntimeError:  # too many iterations
            break
        beyond = x[:m] > 1.0
        if not beyond.any():
            theta_there = np.where(vertex, 1.0 - x[:m], x[:m])
            # theta as it is written decides, not the x that it was computed from
            return Shortest(base + theta_there @ N + x[m:] @ C, theta_there, x[m:])
        vertex = vertex ^ beyond
    return _by_bounds(base, N, C)


def _by_bounds(base: Array, N: Array, C: Array) -> Shortest:
    """The same by an active-set method for boxes, slower, for vertices that come in circles."""
    from scipy.optimize import lsq_linear

    A = np.concatenate([N, C]).T
    top = np.concatenate([np.ones(len(N)), np.full(len(C), np.inf)])
    found = lsq_linear(A, -base, (np.zeros(len(top)), top), method="bvls", tol=1e-15)
    x = np.clip(found.x, 0.0, top)
    return Shortest(base + A @ x, x[: len(N)], x[len(N) :])
