"""The benchmark ``early-alignment-flow`` and the reference that every method is held against.

n = 20, d = 10, h = 50; x_i = y_i z_i with z_i = |N(0, I)| normalised and scaled by U(1/2, 1), y_i alternating ±1;
w_j = 1e-4 N(0, I/d), v_j = ±|w_j| with random sign; sum of exponential losses; float64; from 0 to multiples of
T = log(1/(√h ε)) / (4 n X_max). On this data every kink is transversal, no pair of a neuron and a point has more than
one, and nothing slides, so a flip is an event with one root.

The reference is scipy's DOP853 between kinks at rtol 1e-13: the frozen, analytic field is integrated by
``solve_ivp`` until the terminal event "the smallest margin s_ij <w_j, x_i> vanishes", one activation flips, and it
starts again; after each restart the pattern is compared with the signs. It shares no line with our engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

EPS = 1e-4
SHAPE = (20, 10, 50)  # n, d, h
Array = NDArray[np.float64]


class WrongPattern(RuntimeError):
    """The activation pattern that is carried along is not that of the signs: a kink was missed."""


@dataclass(frozen=True)
class Task:
    """One data set and B initialisations.

    Args:
        X: (n, d). y: (n,). W0: (B, h, d) and v0: (B, h), true weights at t = 0. T: end of early alignment.
    """

    X: Array
    y: Array
    W0: Array
    v0: Array
    T: float

    @property
    def lanes(self) -> int:
        """B."""
        return int(self.W0.shape[0])

    def starts(self) -> Array:
        """(B, h (d + 1)): the state vectors that general solvers integrate, W row by row, then v."""
        return np.concatenate([self.W0.reshape(self.lanes, -1), self.v0], axis=1)

    def unpack(self, states: Any) -> Array:
        """(B, h, d) weights of state vectors (B, h (d + 1))."""
        _, h, d = self.W0.shape
        return np.asarray(states, dtype=np.float64)[:, : h * d].reshape(-1, h, d)

    def first(self, lanes: int) -> Task:
        """The first lanes alone."""
        return Task(self.X, self.y, self.W0[:lanes], self.v0[:lanes], self.T)


def benchmark_task(
    lanes: int, *, seed: int = 0, shape: tuple[int, int, int] = SHAPE, first: int = 0
) -> Task:
    """Lanes ``first`` to ``first + lanes`` of the benchmark; lane k is the same for every number of lanes."""
    n, d, h = shape
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    z = np.abs(rng.standard_normal((n, d)))
    z *= rng.uniform(0.5, 1.0, (n, 1)) / np.linalg.norm(z, axis=1, keepdims=True)
    W0, v0 = np.empty((lanes, h, d)), np.empty((lanes, h))
    for k in range(lanes):
        own = np.random.default_rng((seed, first + k))
        W0[k] = EPS * own.standard_normal((h, d)) / np.sqrt(d)
        v0[k] = own.choice([-1.0, 1.0], h) * np.linalg.norm(W0[k], axis=1)
    x_max = float(np.linalg.norm(z, axis=1).max())
    return Task(
        y[:, None] * z, y, W0, v0, float(np.log(1.0 / (np.sqrt(h) * EPS)) / (4 * n * x_max))
    )


def across(task: Task) -> Callable[[float, Array], Array]:
    """The field of one lane as a general solver sees it, with its jumps."""
    X, y = task.X, task.y
    _, h, d = task.W0.shape

    def field(_: float, u: Array) -> Array:
        w, v = u[: h * d].reshape(h, d), u[h * d :]
        z = w @ X.T
        active = z > 0
        g = y * np.exp(-y * (v @ (active * z)))
        G = (active * g) @ X
        return np.concatenate([(v[:, None] * G).ravel(), (G * w).sum(axis=1)])

    return field


@dataclass(frozen=True)
class Located:
    """One lane, with its kinks located.

    Args:
        W: (h, d). v: (h,). times: (K,) of the kinks, in order. evaluations: of the field.
    """

    W: Array
    v: Array
    times: Array
    evaluations: int


def locate(
    task: Task, lane: int, until: float, *, rtol: float, atol: float, method: str = "DOP853"
) -> Located:
    """One lane by scipy with terminal events.

    Raises:
        WrongPattern: a kink was stepped over. RuntimeError: scipy stopped early.
    """
    X, y = task.X, task.y
    _, h, d = task.W0.shape
    u = np.concatenate([task.W0[lane].ravel(), task.v0[lane]])
    mask = task.W0[lane] @ X.T > 0
    fresh = np.ones_like(mask)  # pairs that have not flipped yet: each does so at most once here

    def field(_: float, u: Array) -> Array:
        w, v = u[: h * d].reshape(h, d), u[h * d :]
        g = y * np.exp(-y * (v @ (mask * (w @ X.T))))
        G = (mask * g) @ X
        return np.concatenate([(v[:, None] * G).ravel(), (G * w).sum(axis=1)])

    def margins(u: Array) -> Array:
        z = u[: h * d].reshape(h, d) @ X.T
        return np.where(fresh, np.where(mask, z, -z), np.inf)

    def margin(_: float, u: Array) -> float:
        return float(margins(u).min())

    margin.terminal = True  # type: ignore[attr-defined]
    margin.direction = -1.0  # type: ignore[attr-defined]
    t, times, evaluations = 0.0, [], 0
    while t < until:
        out = solve_ivp(field, (t, until), u, method=method, rtol=rtol, atol=atol, events=margin)
        if out.status < 0:
            raise RuntimeError(f"lane {lane}: scipy stopped at t = {out.t[-1]}: {out.message}")
        t, u, evaluations = float(out.t[-1]), out.y[:, -1], evaluations + out.nfev
        if out.status == 1:
            crossed = np.zeros_like(mask)
            crossed.flat[int(margins(u).argmin())] = True
            crossed |= margins(u) < 0  # kinks closer to each other than the accuracy of the root
            mask ^= crossed
            fresh &= ~crossed
            times += [t] * int(crossed.sum())
        z = u[: h * d].reshape(h, d) @ X.T
        size = 1e-12 * np.linalg.norm(u[: h * d].reshape(h, d), axis=1)[:, None]
        if np.any(np.where(mask, z, -z) < -size):
            raise WrongPattern(f"lane {lane}, t = {t}: the pattern is not that of the signs")
    return Located(u[: h * d].reshape(h, d), u[h * d :], np.array(times), evaluations)


@dataclass(frozen=True)
class Reference:
    """Final weights (B, h, d) at a multiple of T, and the number of kinks (B,) up to it."""

    W: Array
    kinks: NDArray[np.int64]

    def errors(self, W: Array) -> Array:
        """(b,) relative errors of the first b lanes: largest difference over the largest entry."""
        true = self.W[: len(W)]
        difference = np.abs(np.asarray(W) - true).max(axis=(1, 2))
        return np.asarray(difference / np.abs(true).max(axis=(1, 2)))

    def wrong(self, kinks: Any) -> Any:
        """(b,) whether the number of kinks of each of the first b lanes is not the reference's."""
        return np.asarray(kinks) != self.kinks[: len(kinks)]
