"""Data sets: points X (n, d) with labels y (n,), each +1 or -1. Points are free, labels are held fixed."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from proofs_checks.conjectures.samples import POSITIVE, Domain, Parameter, Sample
from proofs_checks.strategies.arguments import LARGEST_SIZE, Size, Value, sizes, values
from proofs_checks.strategies.arrays import NONNEGATIVE, free
from proofs_checks.strategies.numbers import positive, reals
from proofs_checks.strategies.origin import ours
from theory.errors import LemmataError

POINTS: Size = (1, 4)
DIMENSION: Size = (1, 3)
MOST_PARITY = 6
_SPREADS = Domain(0.0)


@lru_cache(maxsize=64)
def labels(n: int) -> SearchStrategy[NDArray[np.float64]]:
    """(n,) of +1 and -1, held fixed."""
    return st.lists(st.sampled_from((1.0, -1.0)), min_size=n, max_size=n).map(np.array)


def _shapes(n: Size, d: Size) -> SearchStrategy[tuple[int, int]]:
    return st.tuples(sizes(n, "n"), sizes(d, "d"))


@ours
def data_sets(n: Size = POINTS, d: Size = DIMENSION) -> SearchStrategy[Sample]:
    """Any points with any labels.

    Args:
        n, d: sizes, ranges of sizes (smallest, largest) or strategies of sizes.

    Raises:
        LemmataError: a size that is none.
    """

    def draw(shape: tuple[int, int]) -> SearchStrategy[Sample]:
        return st.builds(
            lambda X, y: Sample("points", {"X": X, "y": y}), free(shape), labels(shape[0])
        )

    return _shapes(n, d).flatmap(draw)


@ours
def orthogonally_separable(
    mu: Value | None = None, n: Size = POINTS, d: Size = DIMENSION
) -> SearchStrategy[Sample]:
    """Orthogonally separable points: cos(y_i x_i, y_k x_k) >= mu > 0 for all i and k.

    All y_i x_i lie in the non-negative orthant, which is no loss up to a rotation for at most d <= 4 points. That the
    cosines are at least mu is met by what is drawn, and a hypothesis of conjectures (the search may leave it).

    Args:
        mu: a number, held fixed, or a strategy of numbers in (0, 1); ``case.mu`` is it. With None only mu > 0 is
            asked, and ``case.mu`` is the smallest cosine.

    Raises:
        LemmataError: mu outside of (0, 1), or a size that is none.
    """
    mus = st.none() if mu is None else values(mu, "mu", Domain(0.0, 1.0, True, True))

    @st.composite
    def draw(draw: Any) -> Sample:
        shape, value = draw(_shapes(n, d)), draw(mus)
        Z = _opened(
            np.array(draw(free(shape, NONNEGATIVE))), 0.0 if value is None else float(value)
        )
        raw = {"Z": Parameter(Z, NONNEGATIVE), "y": draw(labels(shape[0]))}
        return Sample("orthogonally_separable", raw if value is None else {**raw, "mu": value})

    _shapes(n, d)
    return draw()


def _opened(Z: NDArray[np.float64], mu: float) -> NDArray[np.float64]:
    """The points moved towards the diagonal, until all cosines exceed mu."""
    top = Z.max(axis=1, keepdims=True)
    top[top == 0.0] = 1.0
    for shift in (0.0, *(2.0**k for k in range(60))):
        moved = Z + shift * top
        unit = moved / np.sqrt((moved**2).sum(axis=1, keepdims=True)).clip(1e-300)
        if (unit @ unit.T).min() > mu + 1e-12:
            return moved
    raise LemmataError(f"mu={mu} is too close to 1; give a smaller one")


@ours
def separable(
    margin: Value | None = None, n: Size = POINTS, d: Size = DIMENSION
) -> SearchStrategy[Sample]:
    """Linearly separable points: y_i ⟨w, x_i⟩ >= margin with ``case.w`` of norm 1, by construction.

    Args:
        margin: a number > 0, held fixed, or a strategy of numbers; by default free.

    Raises:
        LemmataError: a margin that is not positive, or a size that is none.
    """
    margins = values(positive() if margin is None else margin, "margin", POSITIVE)

    def draw(shape: tuple[int, int]) -> SearchStrategy[Sample]:
        rows, columns = shape
        parts: dict[str, Any] = {
            "y": labels(rows),
            "margin": margins,
            "P": free((rows,), NONNEGATIVE),
            "U": free((1, columns), scales=False),
        }
        if columns > 1:
            parts["Q"] = free((rows, columns - 1))
        return st.fixed_dictionaries(parts).map(lambda raw: Sample("separable", raw))

    return _shapes(n, d).flatmap(draw)


@ours
def xor(d: Size = (2, 3), scale: Value | None = None) -> SearchStrategy[Sample]:
    """The four points (±1, ±1) times a scale, with labels the products of the signs; further coordinates are 0.

    Raises:
        LemmataError: d < 2, or a scale that is not positive.
    """
    return sizes(d, "d", low=2).flatmap(lambda k: _signs(2, 2, k, scale))


@ours
def parities(
    k: int = 2, d: int = 3, scale: Value | None = None, subset: bool = False
) -> SearchStrategy[Sample]:
    """The points {-1, 1}^d times a scale, with labels the products of the first k signs.

    Args:
        subset: only some of the points are there.

    Raises:
        LemmataError: not 1 <= k <= d <= 6, or a scale that is not positive.
    """
    if not (type(k) is int and type(d) is int and 1 <= k <= d <= MOST_PARITY):
        raise LemmataError(
            f"parities(k={k!r}, d={d!r}): give integers 1 <= k <= d <= {MOST_PARITY}"
        )
    every = _signs(k, d, d, scale)
    if not subset:
        return every
    some = st.lists(st.integers(0, 2**d - 1), min_size=1, max_size=LARGEST_SIZE, unique=True)

    def choose(sample: Sample, chosen: list[int]) -> Sample:
        raw = dict(sample._raw)
        return Sample("scaled_points", {**raw, **{q: raw[q][chosen] for q in ("points", "y")}})

    return st.builds(choose, every, some.map(sorted))


def _signs(k: int, signs: int, d: int, scale: Value | None) -> SearchStrategy[Sample]:
    points = np.array(list(itertools.product((1.0, -1.0), repeat=signs)))
    y = points[:, :k].prod(axis=1)
    points = np.hstack([points, np.zeros((len(points), d - signs))])
    scales = values(positive() if scale is None else scale, "scale", POSITIVE)
    return scales.map(lambda s: Sample("scaled_points", {"points": points, "y": y, "scale": s}))


@ours
def gaussian_mixtures(
    clusters: Size = (1, 3), n: Size = POINTS, d: Size = DIMENSION, sigma: Value | None = None
) -> SearchStrategy[Sample]:
    """Points c_k(i) + sigma · N_i: free centres c (K, d), free N (n, d), every cluster with one label.

    Args:
        sigma: a number >= 0, held fixed, or a strategy of numbers; by default free.

    Raises:
        LemmataError: a negative sigma, or a size that is none.
    """
    spreads = values(reals(0.0) if sigma is None else sigma, "sigma", _SPREADS)
    shapes = st.tuples(sizes(clusters, "clusters"), sizes(n, "n"), sizes(d, "d"))

    def draw(shape: tuple[int, int, int]) -> SearchStrategy[Sample]:
        K, rows, columns = shape
        chosen = st.lists(st.integers(0, K - 1), min_size=rows, max_size=rows)
        return st.builds(
            lambda c, where, kinds, N, s: Sample(
                "clusters",
                {"centres": c, "M": np.eye(K)[where], "y": kinds[where], "N": N, "spread": s},
            ),
            free((K, columns)),
            chosen,
            labels(K),
            free((rows, columns), scales=False),
            spreads,
        )

    return shapes.flatmap(draw)


@ours
def orthogonal_clusters(
    clusters: Size = (1, 3),
    points_each: Size = (1, 2),
    d: Size | None = None,
    spread: Value = 0.0,
) -> SearchStrategy[Sample]:
    """Clusters around orthonormal centres ``case.centres`` (K, d), every cluster with one label.

    Args:
        d: at least the number of clusters, which it is by default.
        spread: points are their centre plus spread · N_i, with free N; a number >= 0 or a strategy of numbers.

    Raises:
        LemmataError: a negative spread, a size that is none, or (when drawn) d below the number of clusters.
    """
    spreads = values(spread, "spread", _SPREADS)
    counts = st.tuples(sizes(clusters, "clusters"), sizes(points_each, "points_each"))
    if d is not None:
        sizes(d, "d")
    noisy = isinstance(spread, SearchStrategy) or spread != 0

    @st.composite
    def draw(draw: Any) -> Sample:
        K, each = draw(counts)
        columns = draw(sizes(K if d is None else d, "d", low=K))
        where, kinds = np.repeat(np.arange(K), each), draw(labels(K))
        raw = {
            "U": draw(free((columns, columns), scales=False)),
            "M": np.eye(K)[where],
            "y": kinds[where],
        }
        if noisy:
            raw |= {"N": draw(free((K * each, columns), scales=False)), "spread": draw(spreads)}
        return Sample("clusters", raw)

    return draw()


DEGENERATE = ("one point", "repeated points", "opposite points", "points on a line", "zero columns")


@ours
def degenerate_data(n: Size = POINTS, d: Size = DIMENSION) -> SearchStrategy[Sample]:
    """Points in no general position: one point, repeated or opposite ones, on a line, with columns of zeros.

    Repeated and opposite points may have different labels. What is degenerate stays so when a search moves the points.

    Raises:
        LemmataError: a size that is none.
    """

    @st.composite
    def draw(draw: Any) -> Sample:
        (rows, columns), kind = draw(_shapes(n, d)), draw(st.sampled_from(DEGENERATE))
        rows = 1 if kind == "one point" else rows
        mask = np.ones(columns)
        coefficients = st.lists(st.integers(-2, 2), min_size=rows, max_size=rows)
        if kind == "points on a line":
            C = np.array([[1.0, t] for t in draw(coefficients)])
        elif kind == "opposite points":
            C = draw(labels(rows)).reshape(rows, 1)
        elif kind == "repeated points":
            C = np.ones((rows, 1))
        else:
            C = np.eye(rows)
        if kind == "zero columns":
            mask[draw(st.integers(0, columns - 1)) :] = 0.0
        base = draw(free((C.shape[1], columns)))
        return Sample("degenerate", {"base": base, "C": C, "mask": mask, "y": draw(labels(rows))})

    _shapes(n, d)
    return draw()
