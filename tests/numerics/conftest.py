"""An independent reference for trajectories: extended precision (80 bit), one lane, plain loops.

It shares no code with the engine: Taylor series from product lists, kinks found by sampling signs
and bisection. Slow and trusting (it takes every sign change of <w, x> as a transversal crossing),
and not for parallel points, which flip together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from numerics import FlowProblem

Real = np.longdouble


@dataclass
class Reference:
    """State at the end time in true units (extended precision) and the kink times."""

    w: Any
    v: Any
    kinks: list[tuple[Any, int, int]]


def _g_series(loss: str, y: Any, f: list[Any], state: dict[str, list[Any]], k: int) -> Any:
    """Coefficient k of -dl/df along f; ``state`` carries the auxiliary series."""
    if loss == "squared":
        return 2 * (y - f[0]) if k == 0 else -2 * f[k]
    factor = {"exponential": 1, "logistic": 1, "logistic2": 2}[loss]
    u = state.setdefault("u", [])  # exp(-y f), u' = -y f' u
    if k == 0:
        u.append(np.exp(-y * f[0]))
    else:
        u.append(-y * sum(m * f[m] * u[k - m] for m in range(1, k + 1)) / Real(k))
    if loss == "exponential":
        return y * u[k]
    q = state.setdefault("q", [])  # q (1 + u) = u
    known = sum((q[m] * u[k - m] for m in range(k)), start=np.zeros_like(y))
    q.append((u[k] - known) / (1 + u[0]))
    return factor * y * q[k]


def _expand(p: FlowProblem, X: Any, y: Any, w0: Any, v0: Any, s: Any, order: int) -> Any:
    w, v, sz, f, G = [w0], [v0], [], [], []
    state: dict[str, list[Any]] = {}
    for k in range(order):
        sz.append(s * (w[k] @ X.T))
        f.append(sum((v[m][:, None] * sz[k - m]).sum(0) for m in range(k + 1)))
        g = Real(p.weight) * _g_series(p.loss, y, f, state, k)
        G.append((s * g) @ X)
        w.append(sum(v[m][:, None] * G[k - m] for m in range(k + 1)) / Real(k + 1))
        v.append(sum((w[m] * G[k - m]).sum(1) for m in range(k + 1)) / Real(k + 1))
    return np.array(w), np.array(v)


def _value(a: Any, t: Any) -> Any:
    out = a[-1]
    for c in a[-2::-1]:
        out = out * t + c
    return out


def solve(problem: FlowProblem, until: float, *, lane: int = 0, order: int = 18) -> Reference:
    """Integrate one lane to ``until``; eps must be representable (log_eps > -5000)."""
    X, y = problem.X.astype(Real), problem.y.astype(Real)
    eps = np.exp(Real(problem.log_eps[lane]))
    w = problem.W0[lane].astype(Real) * eps
    v = problem.v0[lane].astype(Real) * eps
    norm = np.sqrt((w * w).sum(1))
    balanced = np.abs(np.abs(v) - norm) <= 1e-14 * norm
    v = np.where(balanced, np.sign(v) * norm, v)
    s = (w @ X.T > 0).astype(Real)
    t, end = Real(0), Real(until)
    kinks: list[tuple[Any, int, int]] = []
    samples = np.linspace(0, 1, 129).astype(Real)[1:]
    guard: tuple[int, int] | None = None
    for _ in range(3000):
        if t >= end:
            return Reference(w, v, kinks)
        cw, cv = _expand(problem, X, y, w, v, s, order)
        size = np.sqrt((w * w).sum(1) + v * v)
        last = np.sqrt((cw[-1] ** 2).sum(1) + cv[-1] ** 2)
        with np.errstate(divide="ignore"):
            step = min(end - t, ((Real(1e-20) * size / last) ** (Real(1) / order)).min())
        z = cw @ X.T
        sign = 2 * s - 1
        path = np.array([_value(z, step * c) for c in samples]) * sign
        if guard is not None:
            # z(0) is a rounding error for the pair that has just flipped
            z[(0, *guard)] = 0
            reduced = [_value(z[1:, guard[0], guard[1]], step * c) for c in samples]
            path[:, guard[0], guard[1]] = np.array(reduced) * sign[guard]
        path[:, s.sum(1) == 0] = 1  # such a neuron does not move
        best: tuple[Any, int, int] | None = None
        for j, i in np.argwhere((path < 0).any(0)):
            k = int(np.argmax(path[:, j, i] < 0))
            lo, hi = (samples[k - 1] if k else Real(0)) * step, samples[k] * step
            first = 1 if guard == (j, i) else 0
            for _ in range(70):
                mid = (lo + hi) / 2
                up = _value(z[first:, j, i], mid) * sign[j, i] > 0
                lo, hi = (mid, hi) if up else (lo, mid)
            if best is None or hi < best[0]:
                best = (hi, int(j), int(i))
        guard = None
        if best is not None:
            step = best[0]
            guard = best[1:]
        t = end if step == end - t else t + step
        w, v = _value(cw, step), _value(cv, step)
        if best is not None:
            s[guard] = 1 - s[guard]
            kinks.append((t, *best[1:]))
    raise RuntimeError("the reference did not finish")


@pytest.fixture(scope="session")
def reference() -> Any:
    """The function ``solve``; skips where the platform has no 80-bit floats."""
    if np.finfo(np.longdouble).eps > 2e-19:
        pytest.skip("no extended precision on this platform")
    return solve
