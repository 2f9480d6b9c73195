"""A failing case cut down to smaller shapes: some of its rows, points, neurons or coordinates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from proofs_checks.conjectures.case import ConjectureCase

Axis: TypeAlias = tuple[int, int]  # its length before and after
MOST = 64  # of one case and one structure
MOST_AXES = 6  # lengths that change at once


def restrictions(case: ConjectureCase, base: ConjectureCase) -> list[ConjectureCase]:
    """Cases with the structure of ``base``, and entries of ``case`` where they are free.

    Axes that shrink from one length to another are taken to belong together: if a point is left out, it is left out
    everywhere. What is held fixed is that of ``base``, which was drawn.
    """
    old = {path: leaf for path, leaf in case.leaves.items() if leaf.free}
    new = {path: leaf for path, leaf in base.leaves.items() if leaf.free}
    if set(old) != set(new) or any(len(old[p].shape) != len(new[p].shape) for p in old):
        return []
    shapes = {
        path: tuple(zip(leaf.shape, new[path].shape, strict=True)) for path, leaf in old.items()
    }
    lengths = sorted({pair for own in shapes.values() for pair in own})
    if len(lengths) > MOST_AXES or any(after > before for before, after in lengths):
        return []
    out = []
    for kept in itertools.islice(_choices(lengths), MOST):
        values: dict[str, tuple[Fraction, ...]] = {}
        for path, leaf in old.items():
            flat = np.arange(leaf.size).reshape(leaf.shape)
            at = flat[np.ix_(*(kept[pair] for pair in shapes[path]))] if leaf.shape else flat
            values[path] = tuple(case.values[path][k] for k in at.ravel().tolist())
        if all(new[path].domain.contains(x) for path, own in values.items() for x in own):
            out.append(base.moved(values))
    return out


def _choices(lengths: Sequence[Axis]) -> Iterator[dict[Axis, tuple[int, ...]]]:
    """Which indices are kept, for every pair of lengths (before, after)."""
    each = [itertools.islice(itertools.combinations(range(n), m), MOST) for n, m in lengths]
    for chosen in itertools.product(*each):
        yield dict(zip(lengths, chosen, strict=True))


__all__ = ["restrictions"]
