"""The early phase in closed form: neurons that hardly feel each other yet, moved by hyperbolic functions.

From a start of size eps the outputs stay small for a time of order log(1/eps). In a window of time the forces are taken
as constant, and each neuron moves on its own from kink to kink (``numerics.early_phase_kernel``). That costs a few
exponentials per kink instead of a Taylor series of the whole network, for every eps, e.g. exp(-1e6). With forces of the
middle of each window errors are of second order in its length, and the bound is of first order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.compiled_lanes import Lanes
from numerics.compiled_types import PATTERN, STEPS, Lane, Points, padded, points_of
from numerics.early_phase_lane import early_lane
from numerics.early_phase_types import Early, early_workspace, neurons_of
from numerics.ensemble_result import QUANTITIES
from numerics.ensemble_suprema import reset
from numerics.errors import NumericsError
from numerics.problem import FlowProblem, Kink

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# The bounds need neglected forces that are small against 1.
LARGEST_TOLERANCE = 1e-3


@dataclass(frozen=True)
class EarlyPhase:
    """States at the end of the early phase, lane by lane; see ``FlowResult`` for the units.

    Args:
        t: (B,) times reached; 0 where a lane has no early phase (outputs that are not small, a start on a kink).
        W: (B, h, d). V, exponent, radius: (B, h). mask: (B, h, n).
        kinks: those passed, by lane and time. windows: (B,) how often all neurons met.
    """

    t: Array
    W: Array
    V: Array
    exponent: Ints
    radius: Array
    mask: Bools
    kinks: tuple[Kink, ...]
    windows: Ints


def early_phase(
    problem: FlowProblem, *, until: float | Array, tolerance: float = 1e-13
) -> EarlyPhase:
    """Carry every lane as far as the closed form is good to ``tolerance``, at most to ``until``.

    Windows are so short that the integral over time of the variation of the forces, on which a neuron's relative error
    depends before kinks and unstable directions magnify it, stays below ``tolerance``. It stops where they would be so
    short that the Taylor engine is faster, and shortly before anything that is no plain crossing of one kink.
    ``radius`` bounds the error that was made.

    Args:
        until: end times, finite and >= 0; a number, or (B,). tolerance: > 0, at most 1e-3.

    Raises:
        NumericsError: ``until`` or ``tolerance`` are out of range, or the loss has no early phase.
    """
    end = problem.end_times(until)
    if not 0.0 < tolerance <= LARGEST_TOLERANCE:
        raise NumericsError(f"tolerance is {tolerance}; give a number in (0, {LARGEST_TOLERANCE}]")
    points = points_of(problem)
    n, d, h = problem.shape
    lanes = Lanes.of(problem, end)
    space, nothing = early_workspace(n, d, h), np.zeros((len(QUANTITIES), 5))
    reset(nothing)
    start = np.zeros((padded(h), d + 1))
    kinks: list[Kink] = []
    if admitted(points):
        for b in range(problem.lanes):
            run_early(
                points,
                lanes.lane(b),
                h,
                space,
                tolerance,
                float(problem.log_eps[b]),
                nothing,
                start,
            )
            kinks += kinks_of(space, b)
    W, V, exponent, radius = lanes.weights()
    mask = np.ascontiguousarray(np.swapaxes(lanes.arrays.pz[:, PATTERN, :, :h] > 0, 1, 2))
    return EarlyPhase(lanes.t, W, V, exponent, radius, mask, tuple(kinks), lanes.count(STEPS))


def admitted(points: Points) -> bool:
    """Whether norms of the points, and the forces at f = 0, are far from underflow and overflow."""
    size = points.norms[(points.X != 0).any(axis=1)]
    return (
        bool(size.size)
        and bool(size.min() > 1e-100 and size.max() < 1e100)
        and 1e-100 < points.weight < 1e100
    )


def run_early(
    points: Points,
    lane: Lane,
    h: int,
    space: Early,
    tolerance: float,
    log_eps: float,
    sup: Array,
    start: Array,
) -> None:
    """``early_lane`` without recorded times."""
    n, d = points.X.shape
    none = np.zeros((0, len(QUANTITIES), 3))
    work = np.zeros(d + padded(h) + 2 * n)
    early_lane(
        points, neurons_of(lane), h, space, tolerance, log_eps, sup, start, np.zeros(0), none, work
    )


def kinks_of(space: Early, lane: int) -> list[Kink]:
    """The kinks that the last lane left in the workspace, in order of time."""
    found = space.kinks[: space.count[0]]
    return [
        Kink(
            lane=lane, t=float(k[0]), neuron=int(k[1]), point=int(k[2]), active=bool(k[3]),
            zdot_before=float(k[4]), zdot_after=float(k[5]), t_error=float(k[6]),
        )
        for k in found[np.argsort(found[:, 0], kind="stable")]
    ]  # fmt: skip
