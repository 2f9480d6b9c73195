"""Compiled: components of neurons that act on each other, and one error radius for each of them.

Neurons interact only through outputs of points on which both are active. Those connected by a chain of
common active points form a component; different components are decoupled, so that a class which has been
fitted does not inherit the growth rate of one that is still at the scale of eps. For orthogonally separable
data the components after alignment are the two classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.compiled_field import (
    clipped_ldexp,
)
from numerics.compiled_types import (
    LABEL,
    PART,
    PART_EXPONENT,
    TOP,
    TOP_EXPONENT,
    Lane,
    Step,
)
from numerics.compiling import internal


@internal
def connect(s: Any, label: Any) -> None:
    """label_j = smallest index in the component of neuron j, for the activation pattern s (n, H)."""
    n, H = s.shape
    for j in range(H):
        label[j] = j
    for i in range(n):
        first = -1
        for j in range(H):
            if s[i, j] > 0.0:
                a = j
                while label[a] != a:
                    label[a] = label[label[a]]
                    a = label[a]
                if first < 0:
                    first = a
                elif a < first:
                    label[first] = a
                    first = a
                else:
                    label[a] = first
    for j in range(H):
        a = j
        while label[a] != a:
            a = label[a]
        label[j] = a


@internal
def units_of_parts(exponent: Any, label: Any, top: Any, unit: Any) -> None:
    """top_j = largest exponent in the neuron's component, unit_j = 2**(exponent_j - top_j)."""
    H = label.size
    for j in range(H):
        top[j] = exponent[j]
    for j in range(H):
        top[label[j]] = max(top[label[j]], exponent[j])
    for j in range(H):
        top[j] = top[label[j]]
        unit[j] = 1.0 if top[j] == exponent[j] else clipped_ldexp(1.0, exponent[j] - top[j])


@internal
def norm_of_parts(label: Any, unit: Any, values: Any, work: Any, out: Any) -> None:
    """out_j = Euclidean norm, over the neuron's component, of unit * values."""
    H = label.size
    for j in range(H):
        work[j] = 0.0
    for j in range(H):
        x = unit[j] * values[j]
        work[label[j]] += x * x
    for j in range(H):
        out[j] = math.sqrt(work[label[j]])


@internal
def largest_of_parts(label: Any, values: Any, work: Any, out: Any) -> None:
    """out_j = maximum over the neuron's component of values >= 0."""
    H = label.size
    for j in range(H):
        work[j] = 0.0
    for j in range(H):
        work[label[j]] = max(work[label[j]], values[j])
    for j in range(H):
        out[j] = work[label[j]]


@internal
def regroup(lane: Lane, step: Step, out: Any) -> None:
    """out: the radii of the new components (step.ih[PART]) from those of the earlier ones (lane.il[LABEL]).

    The error of a new component is at most that of all old components that it meets.
    """
    H = lane.il[LABEL].size
    changed = False
    for j in range(H):
        out[j] = lane.fl[TOP, j]
        if lane.il[TOP_EXPONENT, j] != step.ih[PART_EXPONENT, j]:
            out[j] = clipped_ldexp(
                lane.fl[TOP, j], lane.il[TOP_EXPONENT, j] - step.ih[PART_EXPONENT, j]
            )
        changed = changed or lane.il[LABEL, j] != step.ih[PART, j]
    if not changed:
        return
    squares = np.zeros(H)
    for j in range(H):
        first = True
        for m in range(j):
            if lane.il[LABEL, m] == lane.il[LABEL, j] and step.ih[PART, m] == step.ih[PART, j]:
                first = False
                break
        if first:
            squares[step.ih[PART, j]] += out[j] * out[j]
    for j in range(H):
        out[j] = math.sqrt(squares[step.ih[PART, j]])
