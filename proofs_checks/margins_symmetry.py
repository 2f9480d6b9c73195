"""Reflections that map labelled points to themselves, and what they generate.

Looked for are u -> u - 2 <a, u> a / ‖a‖² with a = e_i (a change of sign), e_i - e_j (a swap) and e_i + e_j (both),
under which the points with their labels go to themselves, or to themselves with all labels changed. Then a margin is
attained by weights q that are constant on the orbits of the points, and by networks that contain with a neuron all its
images, with the sign changed where the labels change. Such reflections permute coordinates and change signs, and are
exact on binary64 numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from proofs_checks.exact_data import Matrix
from theory.errors import LemmataError

Reflection = tuple[int, ...]
ROUNDING = 1e-11  # of the entries of unit vectors that solvers return


def image(a: Reflection, u: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The reflection of u in the hyperplane orthogonal to a."""
    size = sum(t * t for t in a)
    factor = 2 * sum((s * t for s, t in zip(a, u, strict=True) if s), Fraction(0)) / size
    return tuple(t - factor * s if s else t for s, t in zip(a, u, strict=True))


def permutation(
    a: Reflection, points: Matrix, labels: Sequence[int]
) -> tuple[int, list[int]] | None:
    """(1 or -1, where each point goes) if the points go to themselves, labels times this sign; else None."""
    place = {x: i for i, x in enumerate(points)}
    sign, goes = 0, []
    for x, label in zip(points, labels, strict=True):
        i = place.get(image(a, x))
        if i is None or sign not in (0, label * labels[i]):
            return None
        sign = label * labels[i]
        goes.append(i)
    return sign, goes


def find_reflections(points: Matrix, labels: Sequence[int]) -> tuple[Reflection, ...]:
    """Reflections of the module's docstring that generate all those that the distinct points have."""
    d = len(points[0])
    columns = [sorted(x[k] for x in points) for k in range(d)]
    mirrored = [sorted(-t for t in column) for column in columns]
    found: list[Reflection] = []
    for i in range(d):
        if columns[i] == mirrored[i]:
            found.append(_unit(d, i, 0, 0))
        for j in range(i + 1, d):
            if columns[i] == columns[j]:
                found.append(_unit(d, i, j, -1))
            if columns[i] == mirrored[j]:
                found.append(_unit(d, i, j, 1))
    return _simple([a for a in found if permutation(a, points, labels) is not None])


def _simple(roots: list[Reflection]) -> tuple[Reflection, ...]:
    """The roots that are no sum of multiples of two others; all have a positive product with (d, …, 2, 1)."""
    sums = {
        tuple(p * s + q * t for s, t in zip(b, c, strict=True))
        for b in roots
        for c in roots
        if b != c
        for p in (1, 2)
        for q in (1, 2)
    }
    return tuple(a for a in roots if a not in sums)


def _unit(d: int, i: int, j: int, sign: int) -> Reflection:
    a = [0] * d
    a[j] = sign
    a[i] = 1
    return tuple(a)


def orbits(
    reflections: Sequence[Reflection], points: Matrix, labels: Sequence[int]
) -> list[list[int]]:
    """The points that the reflections map to each other.

    Raises:
        LemmataError: a reflection does not map the labelled points to themselves.
    """
    parent = list(range(len(points)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a in reflections:
        if len(a) != len(points[0]) or not any(a):
            raise LemmataError(
                f"reflection {a}: give a non-zero vector with {len(points[0])} entries"
            )
        found = permutation(a, points, labels)
        if found is None:
            raise LemmataError(
                f"the reflection at the hyperplane orthogonal to {a} does not map the labelled points to themselves "
                'or to themselves with all labels changed; leave it out, or give reflections="auto"'
            )
        for i, j in enumerate(found[1]):
            parent[root(i)] = root(j)
    groups: dict[int, list[int]] = {}
    for i in range(len(points)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())


def snapped(u: Sequence[float]) -> tuple[float, ...]:
    """u with sizes of entries that differ by rounding made equal, so that reflections that fix u fix it exactly."""
    order = sorted(range(len(u)), key=lambda k: abs(u[k]))
    groups: list[list[int]] = []
    for k in order:
        if groups and abs(u[k]) - abs(u[groups[-1][-1]]) <= ROUNDING:
            groups[-1].append(k)
        else:
            groups.append([k])
    out = list(u)
    for group in groups:
        mean = sum(abs(u[k]) for k in group) / len(group)
        for k in group:
            out[k] = math.copysign(mean, u[k]) if mean > ROUNDING else 0.0
    return tuple(out)


def images(
    reflections: Sequence[tuple[Reflection, int]], u: Sequence[Fraction], most: int
) -> list[tuple[int, tuple[Fraction, ...]]] | None:
    """All (sign, image of u) under the group of the reflections with their signs; None if more than ``most``."""
    start = (1, tuple(u))
    found, todo = {start}, [start]
    while todo:
        sign, v = todo.pop()
        for a, change in reflections:
            new = (sign * change, image(a, v))
            if new not in found:
                if len(found) >= most:
                    return None
                found.add(new)
                todo.append(new)
    return sorted(found)
