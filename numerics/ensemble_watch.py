"""Compiled: what is watched of one lane of an ensemble, and what its quantities have in common on a step."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from numerics.compiled_types import CW, W1, Step, padded
from numerics.compiling import compiled, compiled_fast
from numerics.ensemble_polynomials import LEAVES


class Watch(NamedTuple):
    """What is watched of one lane, and the workspace for it.

    sup, start: see ``numerics.ensemble_suprema``. num (2,): log eps, eps**2 without its power of four. whole (3,):
    that power, the next of ``stops``, whether there is anything to watch. exponent (H,), s (n, H): before the step.
    angle, near (H,): at its start, and the crude size of a neuron on it. stops (m,), recorded (m, quantities, 3).
    w (d, H), v (H,): a state inside the step. outputs (2 order + 1, n): coefficients of
    outputs. sizes (6, H): of neurons and of their derivatives. leaves, poly, work:
    for polynomials and ``quantities_at``.
    """

    sup: Any
    start: Any
    num: Any
    whole: Any
    exponent: Any
    s: Any
    angle: Any
    near: Any
    stops: Any
    recorded: Any
    w: Any
    v: Any
    outputs: Any
    sizes: Any
    leaves: Any
    poly: Any
    work: Any


LOG_EPS, MANTISSA = range(2)
POWER, NEXT_STOP, BUSY = range(3)


def watch_of(n: int, d: int, h: int, order: int, stops: Any, quantities: int) -> Watch:
    """Memory for watching one lane at a time."""
    z, H, most = np.zeros, padded(h), 3 * order + 12
    return Watch(
        sup=z((quantities, 5)), start=z((H, d + 1)), num=z(2), whole=z(3, dtype=np.int64),
        exponent=z(H, dtype=np.int64), s=z((n, H)), angle=z(H), near=z(H), stops=stops,
        recorded=z((stops.size, quantities, 3)), w=z((d, H)), v=z(H),
        outputs=z((2 * order + 1, n)), sizes=z((6, H)), leaves=z((LEAVES, most)), poly=z((6, most)),
        work=z(d + H + 2 * n),
    )  # fmt: skip


@compiled_fast
def crude_sizes(step: Step, degree: int, first: int, work: Any, out: Any) -> None:
    """out_j = sum over k >= first of |coefficient k of w_j|."""
    H = out.size
    d = step.taylor.shape[2]
    for j in range(H):
        out[j] = 0.0
    for k in range(first, degree + 1):
        for j in range(H):
            work[j] = 0.0
        for c in range(d):
            for j in range(H):
                work[j] += step.taylor[CW, k, c, j] * step.taylor[CW, k, c, j]
        for j in range(H):
            out[j] += math.sqrt(work[j])


@compiled
def square_polynomial(step: Step, degree: int, j: int, out: Any) -> int:
    """|w_j|^2 on the step; returns the number of coefficients."""
    d = step.taylor.shape[2]
    for m in range(2 * degree + 1):
        total = 0.0
        for k in range(max(0, m - degree), min(m, degree) + 1):
            for c in range(d):
                total += step.taylor[CW, k, c, j] * step.taylor[CW, m - k, c, j]
        out[m] = total
    return 2 * degree + 1


@compiled
def end_square(step: Step, j: int) -> float:
    total = 0.0
    for c in range(step.st.shape[1]):
        total += step.st[W1, c, j] * step.st[W1, c, j]
    return total
