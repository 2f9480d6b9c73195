"""The shortest vector base + theta N over 0 <= theta <= 1: bounds on a cell.

Its length is the maximum over |u| <= 1 of base . u - sum_i max(-N_i . u, 0), and the vector itself
points to the maximiser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.arrangements_exact import Array, Bools

ROUNDS = 30


@dataclass(frozen=True)
class Shortest:
    """g = base + theta N, of the least length up to rounding."""

    g: Array
    theta: Array


def shortest(base: Array, N: Array, theta: Bools) -> Shortest:
    """The box-constrained least squares problem, as a few non-negative ones.

    From a vertex theta of the box, each coordinate may move inwards, without its other bound; where
    the other bound is passed, the vertex is changed and the problem solved again.

    Args:
        base: (d,). N: (m, d).
        theta: (m,) the vertex to start from, best N u < 0 for a u near the maximiser.
    """
    from numerics.nonnegative import nonnegative_least_squares

    vertex = theta.copy()
    seen: set[bytes] = set()
    for _ in range(ROUNDS):
        if vertex.tobytes() in seen:
            break
        seen.add(vertex.tobytes())
        start = base + vertex @ N
        inwards = np.where(vertex, -1.0, 1.0)[:, None] * N
        if not len(N):
            return Shortest(start, vertex.astype(float))
        try:
            x = nonnegative_least_squares(inwards.T, -start)
        except RuntimeError:  # too many iterations
            break
        beyond = x > 1.0
        if not beyond.any():
            theta_there = np.where(vertex, 1.0 - x, x)
            # theta as it is written decides, not the x that it was computed from
            return Shortest(base + theta_there @ N, theta_there)
        vertex = vertex ^ beyond
    return _by_bounds(base, N)


def _by_bounds(base: Array, N: Array) -> Shortest:
    """The same by an active-set method for boxes, slower, for vertices that come in circles."""
    from scipy.optimize import lsq_linear

    theta = np.clip(lsq_linear(N.T, -base, (0.0, 1.0), method="bvls", tol=1e-15).x, 0.0, 1.0)
    return Shortest(base + theta @ N, theta)
