"""A yardstick of our own: Tsit5 across the kinks in numba, one lane after another, with no events and no bounds.

It shows what compilation alone gives. The loop is as plain as that of `benchmarks.flows_compilers`, in C++: states are
kept coordinate by coordinate, u[c h + j] for coordinate c of neuron j and u[d h + j] for v_j, so that the innermost
loop runs over the neurons and is vectorised.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from benchmarks.flows_methods import ATOL, Method, Outcome, Run
from benchmarks.flows_problem import Array, Task

# Tsitouras (2011): rows of a_ij, then b, then b minus the weights of the embedded formula.
_ROWS = (
    (),
    (0.161,),
    (-0.008480655492356989, 0.335480655492357),
    (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
    (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
    (
        5.86145544294642,
        -12.92096931784711,
        8.159367898576159,
        -0.071584973281401,
        -0.028269050394068383,
    ),
    (
        0.09646076681806523,
        0.01,
        0.4798896504144996,
        1.379008574103742,
        -3.290069515436081,
        2.324710524099774,
    ),
    (
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        0.015151515151515152,
    ),
)
TABLEAU = np.array([row + (0.0,) * (7 - len(row)) for row in _ROWS])


@numba.njit(cache=True, fastmath=True)
def field(X: Array, y: Array, u: Array, out: Array, z: Array, h: int) -> None:
    """The field of one lane at u (h (d + 1),) into out; z: (n, h) scratch."""
    n, d = X.shape
    v = u[d * h :]
    out[:] = 0.0
    for i in range(n):
        zi = z[i]
        zi[:] = 0.0
        for c in range(d):
            w = u[c * h : (c + 1) * h]
            x = X[i, c]
            for j in range(h):
                zi[j] += x * w[j]
        f = 0.0
        for j in range(h):
            f += v[j] * max(zi[j], 0.0)
        g = y[i] * np.exp(-y[i] * f)
        for j in range(h):
            zi[j] = g if zi[j] > 0.0 else 0.0
        for c in range(d):
            G = out[c * h : (c + 1) * h]
            x = X[i, c]
            for j in range(h):
                G[j] += x * zi[j]
    speed = out[d * h :]
    for c in range(d):
        w, G = u[c * h : (c + 1) * h], out[c * h : (c + 1) * h]
        for j in range(h):
            speed[j] += w[j] * G[j]
            G[j] *= v[j]


@numba.njit(cache=True, fastmath=True)
def tsit5(
    X: Array, y: Array, u: Array, until: float, rtol: float, atol: float, tableau: Array
) -> int:
    """Carry u from 0 to ``until`` in place; returns the evaluations."""
    n, d = X.shape
    size = u.size
    h = size // (d + 1)
    k, z, stage = np.empty((7, size)), np.empty((n, h)), np.empty(size)
    field(X, y, u, k[0], z, h)
    evaluations, t, step = 1, 0.0, 1e-3 * until
    while t < until:
        tau = min(step, until - t)
        for s in range(1, 7):
            stage[:] = u
            for r in range(s):
                a = tau * tableau[s, r]
                for q in range(size):
                    stage[q] += a * k[r, q]
            field(X, y, stage, k[s], z, h)
        evaluations += 6
        total = 0.0
        for q in range(size):
            e = 0.0
            for r in range(7):
                e += tableau[7, r] * k[r, q]
            e *= tau / (atol + rtol * max(abs(u[q]), abs(stage[q])))
            total += e * e
        error = np.sqrt(total / size)
        if error <= 1.0:  # the seventh stage is the new state, its slope the next first one
            t = until if tau == until - t else t + tau
            u[:] = stage
            k[0, :] = k[6]
        step = tau * min(10.0, max(0.2, 0.9 * max(error, 1e-10) ** -0.2))
    return evaluations


def pack(task: Task) -> Array:
    """(B, h (d + 1)) states in the layout of ``field``."""
    W = task.W0.transpose(0, 2, 1).reshape(task.lanes, -1)
    return np.ascontiguousarray(np.concatenate([W, task.v0], axis=1))


def unpack(task: Task, states: Any) -> Array:
    """(B, h, d) weights of such states."""
    _, h, d = task.W0.shape
    return np.asarray(states)[:, : h * d].reshape(-1, d, h).transpose(0, 2, 1)


def prepare(task: Task, until: float) -> Run:
    """Compiles on the first lane, over a hundredth of the time."""
    tsit5(task.X, task.y, pack(task)[0], until / 100, 1e-8, 1e-12, TABLEAU)

    def run(task: Task, rtol: float) -> Outcome:
        states = pack(task)
        evaluations = [tsit5(task.X, task.y, u, until, rtol, ATOL * rtol, TABLEAU) for u in states]
        return Outcome(unpack(task, states), float(np.mean(evaluations)))

    return run


METHODS = (
    Method(
        "numba-tsit5",
        "numba Tsit5, no events (yardstick)",
        "yardstick",
        prepare,
        single=True,
    ),
)
