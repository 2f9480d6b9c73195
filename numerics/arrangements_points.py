"""Interior points of cells: moved to the middle and shortened, never at the price of exactness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numerics.arrangements_exact import Array, Bools, IntRow, Vectors, certain_signs

BLOCK = 1 << 21  # entries of a (points, rows) matrix that are worked on at a time
LENGTHS = (12, 24, 52)  # bits of an entry of a shortened point


def blocks(points: int, rows: int) -> Iterator[slice]:
    """Slices of the points whose matrix against the rows has about BLOCK entries."""
    step = max(1, BLOCK // max(rows, 1))
    return (slice(a, min(a + step, points)) for a in range(0, points, step))


def integers(u: Array) -> IntRow:
    """A positive multiple of a float vector, in integers."""
    tops = [float(x).as_integer_ratio() for x in u]
    common = max(bottom for _, bottom in tops)
    return tuple(top * (common // bottom) for top, bottom in tops)


def centred(points: Vectors, rows: Vectors, patterns: Bools) -> Vectors:
    """Points of the same cells, in the middle of them and with short entries wherever floats can prove it.

    Args:
        points: P points in d columns, on no hyperplane.
        rows: n rows, zero rows allowed.
        patterns: (P, n) signs of the non-zero rows at the points.
    """
    dim = points.floats.shape[1]
    cutting = np.flatnonzero(np.abs(rows.floats).max(axis=1, initial=0.0) > 0)
    if not cutting.size or not len(points.ints):
        return points
    floats, signed = rows.floats[cutting], patterns[:, cutting]
    back = _whitening(floats)
    white = floats @ back
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    ints, out, exponents = list(points.ints), points.floats.copy(), points.exponents.copy()
    # fixed directions: the result depends on the data alone
    moves = np.random.default_rng(0).standard_normal((2 * dim + 2, dim))
    forward = np.linalg.inv(back)
    for part in blocks(len(ints), len(cutting)):
        side = np.where(signed[part], 1.0, -1.0)
        middle = _middle(points.floats[part] @ forward.T, white, side, moves) @ back.T
        middle /= np.abs(middle).max(axis=1, keepdims=True)
        todo = np.arange(part.start, part.stop)
        for bits in LENGTHS:
            whole = np.rint(middle[todo - part.start] * 2.0**bits)
            found, _ = certain_signs(whole / 2.0**bits, floats)
            good = (found == side[todo - part.start]).all(axis=1)
            chosen = todo[good]
            for i, p in zip(chosen.tolist(), whole[good].astype(np.int64).tolist(), strict=True):
                ints[i] = tuple(p)
            out[chosen], exponents[chosen] = whole[good] / 2.0**bits, bits
            todo = todo[~good]
            if not todo.size:
                break
    return Vectors(ints, out, exponents)


def _whitening(rows: Array) -> Array:
    """A matrix B with rows @ B of well-conditioned columns; columns of any scale, near-dependent ones too."""
    scale = np.abs(rows).max(axis=0)
    scale[scale == 0] = 1.0
    _, singular, V = np.linalg.svd(rows / scale, full_matrices=False)
    size = np.maximum(singular, 1e-12 * singular[0])
    B: Array = (V.T / size) / scale[:, None]
    return B


def _middle(W: Array, rows: Array, side: Array, moves: Array) -> Array:
    """Points moved to the middle of their chord along each direction in turn; those that leave their cell stay."""
    W = W / np.linalg.norm(W, axis=1, keepdims=True)
    start = W.copy()
    slack = side * (W @ rows.T)
    for move in moves:
        slope = side * (rows @ move)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = -slack / slope
        up = np.where(slope < 0, steps, 1.0).min(axis=1)
        down = np.where(slope > 0, steps, -1.0).max(axis=1)
        W = W + np.clip((up + down) / 2, -1.0, 1.0)[:, None] * move
        W /= np.linalg.norm(W, axis=1, keepdims=True)
        slack = side * (W @ rows.T)
    lost = ~(slack > 0).all(axis=1)
    W[lost] = start[lost]
    return W
