"""Groups of neurons that act on each other, and one error radius for each group.

Neurons interact only through the outputs f_i of points on which both are active. Neurons connected
by a chain of common active points form a component; different components are decoupled, so that a
class which has been fitted does not inherit the growth rate of one that is still at the scale of
eps. For orthogonally separable data the components after alignment are the two classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Components:
    """A partition of the neurons of each lane.

    Args:
        label: (L, h) smallest index in the neuron's component.
        exponent: (L, h) largest exponent in it. unit: (L, h) 2**(k_j - exponent).
        same: (L, h, h) 1.0 where two neurons share a component.
    """

    label: Ints
    exponent: Ints
    unit: Array
    same: Array

    @classmethod
    def of(cls, label: Ints, exponent: Ints) -> Components:
        """The partition with these labels, scaled by the largest exponent of each part."""
        same = label[:, :, None] == label[:, None, :]
        lowest = int(exponent.min())
        top = np.where(same, exponent[:, None, :], lowest).max(axis=2)
        with np.errstate(under="ignore"):
            unit = np.ldexp(1.0, np.maximum(exponent - top, -5000).astype(np.int32))
        return cls(label, top, unit, same.astype(np.float64))

    def norm(self, radius: Array) -> Array:
        """(L, h) Euclidean norm, over each neuron's component, of per-neuron radii (L, h)."""
        squares = (self.unit * radius) ** 2
        return np.sqrt(np.matmul(self.same, squares[:, :, None])[:, :, 0])

    def largest(self, values: Array) -> Array:
        """Maximum over the neuron's component of values >= 0: (L, h) or (L, m, h)."""
        same = self.same > 0
        if values.ndim == 3:
            same = same[:, None]
        return np.where(same, values[..., None, :], 0.0).max(axis=-1)

    def in_lane_units(self, top: Array) -> Array:
        """(L, h) radii of parts in units of the lane's largest exponent."""
        shift = self.exponent - self.exponent.max(axis=1, keepdims=True)
        with np.errstate(under="ignore", invalid="ignore"):
            return np.ldexp(top, np.maximum(shift, -5000).astype(np.int32))

    def total(self, top: Array) -> Array:
        """(L,) norm over all parts, in units of the lane's largest exponent."""
        heads = self.label == np.arange(self.label.shape[1])
        return np.sqrt((np.where(heads, self.in_lane_units(top), 0.0) ** 2).sum(axis=1))


def regroup(label: Ints, exponent: Ints, top: Array, parts: Components) -> Array:
    """The radii of ``parts`` from the radii ``top`` of an earlier partition.

    The error of a new part is at most that of all old parts that it meets.

    Args:
        label, exponent, top: (L, h) names, units and radii of the earlier partition.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        shift = np.clip(exponent - parts.exponent, -5000, 5000).astype(np.int32)
        scaled = np.ldexp(top, shift)
        changed = (label != parts.label).any(axis=1)
        if not changed.any():
            return scaled
        both = (label[:, :, None] == label[:, None, :]) & (parts.same > 0)
        first = both.argmax(axis=2) == np.arange(label.shape[1])
        squares = np.where(first, scaled, 0.0) ** 2
        merged = np.sqrt(np.matmul(parts.same, squares[:, :, None])[:, :, 0])
    return np.where(changed[:, None], merged, scaled)


def connect(mask: Bools) -> Ints:
    """(L, h) labels of the components of the activation pattern mask: (L, h, n)."""
    lanes, h, _ = mask.shape
    label = np.tile(np.arange(h, dtype=np.int64), (lanes, 1))
    while True:
        points = np.where(mask, label[:, :, None], h).min(axis=1)
        lower = np.minimum(label, np.where(mask, points[:, None, :], h).min(axis=2))
        if np.array_equal(lower, label):
            return label
        label = lower
