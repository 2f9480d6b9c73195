"""What an ensemble of trajectories returns, whichever device integrated it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.problem import FlowStatus

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

QUANTITIES = ("max_weight_sq", "max_abs_output", "loss", "max_angle", "imbalance")
"""Names of the quantities, in the order in which the kernels number them."""


@dataclass(frozen=True)
class Supremum:
    """The supremum over [0, t] of one quantity, lane by lane.

    Args:
        value: (B,) measured. error: (B,) the true supremum lies within ``value +- error``; infinite
            where nothing is known. time: (B,) where the value is attained.
    """

    value: Array
    error: Array
    time: Array


@dataclass(frozen=True)
class EnsembleResult:
    """The outcome, lane by lane; a lane that is not ``ok`` is valid up to ``t``.

    The true weights at time t are exp(log_eps) * 2**exponent_j * (W_j, V_j).

    Args:
        status: (B,) int8 indices into ``tuple(FlowStatus)``. t: (B,) times that were reached.
        W: (B, h, d), V: (B, h), exponent: (B, h) integers; None unless the states were kept.
        radius: (B, h) bound on the Euclidean error of (W_j, V_j) in their units, or None like them.
        steps, kinks: (B,) counts.
        suprema: by name of the quantity. final: by name, value and error (B,) at ``t``.
        recorded: by name, (B, len(record_at)) values, NaN at times that a lane did not reach; None
            without ``record_at`` or where a recorder took them.
        recorded_error: the errors of ``recorded``.
        device, dtype: what was used.
    """

    status: NDArray[np.int8]
    t: Array
    W: Array | None
    V: Array | None
    exponent: Ints | None
    radius: Array | None
    steps: Ints
    kinks: Ints
    suprema: dict[str, Supremum]
    final: dict[str, tuple[Array, Array]]
    recorded: dict[str, Array] | None
    device: str
    dtype: str
    recorded_error: dict[str, Array] | None = None

    @property
    def ok(self) -> Bools:
        """(B,) True where the lane reached its end time."""
        return np.asarray(self.status == tuple(FlowStatus).index(FlowStatus.ok))

    def summary(self) -> dict[str, object]:
        """Counts of the statuses, and the totals of steps and kinks."""
        names = [s.name for s in FlowStatus]
        counts = np.bincount(self.status, minlength=len(names))
        return {
            "status": {name: int(c) for name, c in zip(names, counts, strict=True) if c},
            "steps": int(self.steps.sum()),
            "kinks": int(self.kinks.sum()),
            "device": self.device,
            "dtype": self.dtype,
        }
