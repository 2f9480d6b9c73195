"""The arrays that the early phase works on: the neurons of one lane, and workspace."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numerics.compiled_types import (
    BALANCE,
    DEAD,
    EXPONENT,
    EXPONENT_START,
    LABEL,
    OUTER,
    PATTERN,
    RADIUS,
    TOP,
    TOP_EXPONENT,
    WEIGHT,
    Lane,
    padded,
)

# Most nodes for outputs in a window, and the columns of a kink: time, neuron, point, active, speeds before and
# after relative to |(w_j, v_j)|, error of the time.
NODES = 40
KINK = 7


class Neurons(NamedTuple):
    """The neurons of one lane, sharing memory with the engine's ``Lane``; names and shapes as there."""

    num: Any
    cnt: Any
    w: Any
    v: Any
    exponent: Any
    s: Any
    order: Any
    dead: Any
    radius: Any
    top: Any
    label: Any
    top_exponent: Any
    exponent_start: Any
    balance: Any


def neurons_of(lane: Lane) -> Neurons:
    """Views of the arrays of a lane."""
    return Neurons(
        num=lane.num, cnt=lane.cnt, w=lane.wg[WEIGHT], v=lane.fl[OUTER], exponent=lane.il[EXPONENT],
        s=lane.pz[PATTERN], order=lane.order, dead=lane.bits[DEAD], radius=lane.fl[RADIUS], top=lane.fl[TOP],
        label=lane.il[LABEL], top_exponent=lane.il[TOP_EXPONENT], exponent_start=lane.il[EXPONENT_START],
        balance=lane.fl[BALANCE],
    )  # fmt: skip


class Outputs(NamedTuple):
    """Outputs over one window, see ``numerics.early_phase_outputs``; units: that of the largest exponent.

    at (m, n+1): f, and the error of f/|x|, at the nodes. between (m, 2 n + 2): on the intervals behind them the
    least and the largest f', a bound on |f|/|x|, the error of f/|x|. own (m, 2 n + 1): least and largest slope
    and |theta|^2 of one neuron. zs (2, n): z at the begin of its piece, and <G^, x>. ends (2, 4): its states.
    """

    at: Any
    between: Any
    own: Any
    zs: Any
    ends: Any


class Early(NamedTuple):
    """Workspace for the early phase of one lane at a time.

    g (2, n), f (2, n): see ``first_forces``, ``_census``. nodes (m,), outputs: see ``Outputs``. kinks (most, KINK),
    count (1,): those found. rows (4, d), window (5,), out (2,), keep (d + 2, H), keep_s (n, H).
    """

    g: Any
    f: Any
    nodes: Any
    outputs: Outputs
    kinks: Any
    count: Any
    rows: Any
    window: Any
    out: Any
    keep: Any
    keep_s: Any


def early_workspace(n: int, d: int, h: int) -> Early:
    """Memory for the early phase of one lane at a time."""
    z, H = np.zeros, padded(h)
    outputs = Outputs(
        at=z((NODES, n + 1)), between=z((NODES, 2 * n + 2)), own=z((NODES, 2 * n + 1)), zs=z((2, n)), ends=z((2, 4))
    )  # fmt: skip
    return Early(
        g=z((2, n)), f=z((2, n)), nodes=z(NODES), outputs=outputs, kinks=z((4 * n * h + 16, KINK)),
        count=z(1, dtype=np.int64), rows=z((4, d)), window=z(5), out=z(2), keep=z((d + 2, H)), keep_s=z((n, H)),
    )  # fmt: skip
