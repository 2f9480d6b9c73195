"""Does a switch function change its sign on a step, and where first?

The switch functions are known in the nodes of the dense output. Their Bernstein coefficients say
that there is no root, or exactly one; a step on which there could be more is halved. A switch that
has just changed its sign starts at 0 up to rounding; it is taken to start at 0 exactly, until it
has left the neighbourhood of 0 (it is *fresh* until then).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.generic_tableau import BERNSTEIN, bernstein_basis

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BISECTIONS = 60


@dataclass(frozen=True)
class Scan:
    """What a step does to the switches, lane by lane: (R,), and (R, S) on the device.

    Args:
        root: place in (0, 1] of the first sign change, infinite where there is none.
        switch: which one changes there, else -1. split: more than one change is possible.
        broken: a switch that is on the wrong side from the start, else -1.
        touch: a switch that comes nearer to 0 than ``floor`` and turns round, else -1.
        value, speed: (R, S) values at the end, positive on the switch's own side, and their
            derivatives along s. near: (R, S) it approaches 0 at the end and is nearer than floor.
    """

    root: Array
    switch: Ints
    split: Bools
    broken: Ints
    touch: Ints
    value: Tensor
    speed: Tensor
    near: Tensor


def scan(
    values: Tensor, pattern: Tensor, fresh: Tensor, near: Tensor, floor: Tensor, noise: Tensor
) -> Scan:
    """Look at the switches on a step.

    Args:
        values: (9, R, S) in the nodes. pattern, fresh, near: (R, S) at the start of the step;
            ``near`` is that of the step before. floor: (R, S) the values' errors, rounding
            included. noise: (R, S) their rounding errors.
    """
    own = torch.where(pattern, values, -values)
    shifted = own - torch.where(fresh, own[0], 0.0)
    table = torch.as_tensor(BERNSTEIN, dtype=values.dtype, device=values.device)
    bernstein = torch.tensordot(table, shifted, dims=1)
    bernstein = torch.where(fresh & (bernstein.abs() <= noise), 0.0, bernstein)
    bernstein[0] = torch.where(fresh, 0.0, bernstein[0])
    positive = bernstein >= 0
    started = torch.where(fresh, positive[1], positive[0])
    changes = (positive[2:] != positive[1:-1]).sum(dim=0)
    changes = changes + (~fresh & (positive[1] != positive[0]))
    reaching = ~positive.all(dim=0)
    single = reaching & started & (changes == 1)
    lowest, place = own.min(dim=0)
    inside = (place > 0) & (place < own.shape[0] - 1)
    turned = (inside & (lowest <= floor)) | (near & (own[1] > own[0]))
    turned &= ~reaching & ~fresh
    root, switch = _first_root(bernstein, single)
    last = bernstein[-1] - bernstein[-2]
    return Scan(
        root=root,
        switch=switch,
        split=(reaching & started & (changes > 1)).any(dim=1).cpu().numpy(),
        broken=_some(reaching & ~started),
        touch=_some(turned),
        value=own[-1],
        speed=(bernstein.shape[0] - 1) * last,
        near=(own[-1] <= floor) & (own[-1] < own[-2]),
    )


def _some(marks: Tensor) -> Ints:
    """(R,) a marked column in each row of marks: (R, S), else -1."""
    if marks.shape[1] == 0:
        return np.full(marks.shape[0], -1, dtype=np.int64)
    found, index = marks.max(dim=1)
    return torch.where(found, index, -1).cpu().numpy().astype(np.int64)


def _first_root(bernstein: Tensor, single: Tensor) -> tuple[Array, Ints]:
    """The first of the roots of the marked polynomials in each lane."""
    rows = single.shape[0]
    root, switch = np.full(rows, np.inf), np.full(rows, -1, dtype=np.int64)
    if not bool(single.any()):
        return root, switch
    lane, column = (a.cpu().numpy() for a in torch.nonzero(single, as_tuple=True))
    c = bernstein[:, single].to("cpu", torch.float64).numpy().T
    low, high = np.zeros(lane.size), np.ones(lane.size)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        up = (bernstein_basis(middle) * c).sum(axis=1) > 0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    order = np.lexsort((column, high, lane))
    lane, column, high = lane[order], column[order], high[order]
    first = np.concatenate(([True], lane[1:] != lane[:-1]))
    root[lane[first]], switch[lane[first]] = high[first], column[first]
    return root, switch


def slopes_of_switches(gradients: Tensor, exact: bool) -> Tensor:
    """(R, S) norms of the switches' gradients from their derivatives (R, D, S) along D directions.

    Args:
        exact: the directions are all coordinates; otherwise they are Gaussian samples with
            covariance 1, and the norm is estimated from above.
    """
    norm = torch.linalg.vector_norm(gradients, dim=1)
    return norm if exact else 4.0 * norm / gradients.shape[1] ** 0.5
