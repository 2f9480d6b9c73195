"""Indexing of traced arrays, with numpy's meaning; everything is settled while a program is recorded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from theory.program import ProgramError, Shape, broadcast
from theory.tracing import Array, Comparison, TraceError

Part: TypeAlias = tuple[Shape, list[int]]  # of the result: some of its axes, and their flat offsets


def positions(shape: Shape, key: Any) -> Part:
    """The shape and the flat positions of ``a[key]``.

    Keys are integers, slices, ``...``, None, and lists or arrays of integers. Several lists are taken together, entry
    by entry; their axes come where the first of them stands, or first of all where a slice separates them.

    Raises:
        TraceError: another key, an index out of range, or lists of different lengths.
    """
    keys = _for_every_axis(shape, key)
    lists = [k for k, own in enumerate(keys) if _is_list(own)]
    if lists:  # a number beside a list is a list of the same number
        lists = [k for k, own in enumerate(keys) if own is not None and not isinstance(own, slice)]
    parts: list[Part] = []
    together: list[tuple[Shape, list[int], int]] = []
    axis = 0
    for k, own in enumerate(keys):
        if own is None:
            parts.append(((1,), [0]))
            continue
        length, stride = shape[axis], math.prod(shape[axis + 1 :])
        axis += 1
        if isinstance(own, slice):
            chosen = range(length)[own]
            parts.append(((len(chosen),), [i * stride for i in chosen]))
        elif k in lists:
            together.append((*_chosen(own, length), stride))
        else:
            parts.append(((), [_index(own, length) * stride]))
    if together:
        apart = lists != list(range(lists[0], lists[-1] + 1))
        parts.insert(0 if apart else lists[0], _joint(together))
    offsets = [offsets for _, offsets in parts]
    return tuple(n for own, _ in parts for n in own), [sum(w) for w in itertools.product(*offsets)]


def _for_every_axis(shape: Shape, key: Any) -> list[Any]:
    """One key for every axis, and None for the new ones."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(k, Array | Comparison) for k in keys):
        raise TraceError("an index is a number: a program cannot choose entries by their values")
    used = sum(1 for k in keys if k is not None and k is not Ellipsis)
    dots = [p for p, k in enumerate(keys) if k is Ellipsis] or [len(keys)]
    if used > len(shape) or len(dots) > 1:
        raise TraceError(f"too many indices for shape {shape}")
    keys[dots[0] : dots[0] + 1] = [slice(None)] * (len(shape) - used)
    return keys


def _is_list(key: Any) -> bool:
    return isinstance(key, list | tuple) or bool(getattr(key, "shape", None))


def _joint(together: Sequence[tuple[Shape, list[int], int]]) -> Part:
    """Lists of indices of several axes, entry by entry."""
    common: Shape = ()
    for own, _, _ in together:
        try:
            common = broadcast(common, own)
        except ProgramError as error:
            raise TraceError(
                f"lists of indices are taken together, entry by entry, and have different lengths: {error}; "
                "index one axis after the other for every combination"
            ) from error
    offsets = [0] * math.prod(common)
    for own, indices, stride in together:
        padded = (1,) * (len(common) - len(own)) + own
        for flat, where in enumerate(itertools.product(*map(range, common))):
            at = 0
            for i, n in zip(where, padded, strict=True):
                at = at * n + (i if n > 1 else 0)
            offsets[flat] += indices[at] * stride
    return common, offsets


def _chosen(key: Any, length: int) -> Part:
    """The shape and the entries of a list of indices, nested or not, or of a single one."""
    if not _is_list(key):
        return (), [_index(key, length)]
    parts = [_chosen(k, length) for k in key]
    if len({own for own, _ in parts}) > 1:
        raise TraceError("rows of different lengths in a list of indices")
    inner = parts[0][0] if parts else ()
    return (len(parts), *inner), [i for _, own in parts for i in own]


def _index(k: Any, length: int) -> int:
    try:
        i = k.__index__()
    except (AttributeError, TypeError):
        raise TraceError(
            f"{k!r} is no index: use integers, slices, ... or lists of integers"
        ) from None
    if isinstance(k, bool) or not -length <= i < length:
        raise TraceError(f"index {k!r} of an axis of length {length}")
    return int(i % length)


__all__ = ["positions"]
