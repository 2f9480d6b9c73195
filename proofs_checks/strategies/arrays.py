"""Vectors and matrices with free entries: simple ones first, ties, zeros, deficient ranks and extreme scales."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from proofs_checks.conjectures.samples import ALL_REALS, Domain, Parameter, Sample
from proofs_checks.strategies.arguments import Size, domain, flag, one_of_names, sizes
from proofs_checks.strategies.numbers import SIMPLE, entries
from proofs_checks.strategies.origin import ours
from theory.errors import LemmataError

Float = NDArray[np.float64]
SMALL: Size = (1, 4)
SCALES = (0, 0, 0, 0, -10, 10, -20, 20)  # exponents of 2
_VECTORS = ("plain", "plain", "gaussian")
_MATRICES = (*_VECTORS, "equal rows", "equal columns", "rank one", "zero row", "scaled rows")
_PATTERNS = {1: st.sampled_from(_VECTORS), 2: st.sampled_from(_MATRICES)}
_SCALES = st.sampled_from(SCALES)
GAUSSIANS = 4096  # different normal numbers
NONNEGATIVE = Domain(0.0, math.inf)


@lru_cache(maxsize=1024)
def free(
    shape: tuple[int, ...], where: Domain = ALL_REALS, *, scales: bool = True
) -> SearchStrategy[Parameter]:
    """Free arrays of one shape; all entries lie in one domain.

    Args:
        scales: also far from 1, up to 2^20 in either direction, where the domain is all numbers of one or both signs.
    """
    return _free(shape, where, scales)


@lru_cache(maxsize=1024)
def _flat(size: int, where: Domain) -> SearchStrategy[list[float]]:
    return st.lists(entries(where), min_size=size, max_size=size)


@st.composite
def _free(draw: Any, shape: tuple[int, ...], where: Domain, scales: bool) -> Parameter:
    pattern = draw(_PATTERNS[len(shape)])
    cone = where.low in (0.0, -math.inf) and where.high in (0.0, math.inf)
    recipe = _gaussian if pattern == "gaussian" else _flat
    a = np.array(draw(recipe(math.prod(shape), where)), dtype=np.float64).reshape(shape)
    a = _arranged(pattern, a, cone, where, draw)
    if scales and cone:
        a = a * 2.0 ** draw(_SCALES)
    return Parameter(a + 0.0, where)


@lru_cache(maxsize=1024)
def _gaussian(size: int, where: Domain) -> SearchStrategy[list[float]]:
    """Normal numbers, or uniform ones of a bounded domain; every single one shrinks to a simple number."""
    simple = [x for x in SIMPLE if where.contains(x)]
    bounded = math.isfinite(where.low) and math.isfinite(where.high)

    def number(k: int) -> float:
        if k < len(simple):
            return simple[k]
        share = (k - len(simple) + 1) / (GAUSSIANS + 1)
        if bounded:
            return where.low + (where.high - where.low) * share
        z = round(NormalDist().inv_cdf(share) * 1024) / 1024
        if math.isfinite(where.low):
            return where.low + abs(z) + where.open_low / 1024
        return where.high - abs(z) - where.open_high / 1024 if math.isfinite(where.high) else z

    last = len(simple) + GAUSSIANS - 1
    return st.lists(st.integers(0, last).map(number), min_size=size, max_size=size)


def _arranged(pattern: str, a: Float, cone: bool, where: Domain, draw: Any) -> Float:
    if pattern == "equal rows":
        return np.repeat(a[:1], a.shape[0], axis=0)
    if pattern == "equal columns":
        return np.repeat(a[:, :1], a.shape[1], axis=1)
    if pattern == "zero row" and where.contains(0.0):
        a[-1] = 0.0
    if pattern == "rank one" and cone and where.high > 0:
        return np.outer(a[:, 0], a[0])
    if pattern == "scaled rows" and cone:
        return a * 2.0 ** draw(_SCALES) ** (np.arange(len(a)) % 2)[:, None]
    return a


class ArraySample(np.lib.mixins.NDArrayOperatorsMixin, Sample):
    """A sample that is itself an array: numpy's operators and functions take it as one."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self.shape  # noqa: B018 - asking for any attribute builds the array
        return np.array(self._view, dtype=dtype) if copy else np.asarray(self._view, dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, ArraySample) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **options)

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]

    def __len__(self) -> int:
        return len(np.asarray(self))


@ours
def vectors(
    n: Size = SMALL, *, low: float | None = None, high: float | None = None, scales: bool = True
) -> SearchStrategy[Parameter]:
    """Free vectors (n,).

    Args:
        n: a size, a range of sizes (smallest, largest) or a strategy of sizes.
        low, high: ends of the entries, included; None is infinity.
        scales: also tiny and huge ones, where the entries are not bounded.

    Raises:
        LemmataError: an argument is none of these.
    """
    where = domain(low, high)
    flag(scales, "scales")
    return sizes(n, "n").flatmap(lambda k: free((k,), where, scales=scales))


@ours
def matrices(
    rows: Size = SMALL,
    columns: Size = SMALL,
    *,
    low: float | None = None,
    high: float | None = None,
    scales: bool = True,
) -> SearchStrategy[Parameter]:
    """Free matrices (rows, columns), among them such with equal rows, zero rows and deficient rank.

    Args:
        rows, columns: sizes, ranges of sizes (smallest, largest) or strategies of sizes.
        low, high: ends of the entries, included; None is infinity.
        scales: also tiny and huge ones, and rows of different scales, where the entries are not bounded.

    Raises:
        LemmataError: an argument is none of these.
    """
    where = domain(low, high)
    flag(scales, "scales")
    shapes = st.tuples(sizes(rows, "rows"), sizes(columns, "columns"))
    return shapes.flatmap(lambda shape: free(shape, where, scales=scales))


def _sample(kind: str, **parts: SearchStrategy[Any]) -> SearchStrategy[ArraySample]:
    return st.fixed_dictionaries(parts).map(lambda raw: ArraySample(kind, raw))


@ours
def symmetric_matrices(
    n: Size = SMALL, *, low: float | None = None, high: float | None = None, scales: bool = True
) -> SearchStrategy[ArraySample]:
    """Symmetric matrices (n, n): (A + Aᵀ)/2 of a free matrix A with entries between low and high.

    Raises:
        LemmataError: as `matrices`.
    """
    where = domain(low, high)
    flag(scales, "scales")
    return sizes(n, "n").flatmap(
        lambda k: _sample("symmetric", A=free((k, k), where, scales=scales))
    )


@ours
def gram_matrices(
    n: Size = SMALL, *, rank: Size | None = None, unit_diagonal: bool = False
) -> SearchStrategy[ArraySample]:
    """Positive semidefinite matrices (n, n): A Aᵀ of a free (n, rank) matrix A.

    Args:
        rank: of A at most this; by default any from 1 to n.
        unit_diagonal: the rows of A are unit vectors, rational functions of free parameters; the entries are cosines.

    Raises:
        LemmataError: a size that is none.
    """
    if rank is not None:
        sizes(rank, "rank")
    flag(unit_diagonal, "unit_diagonal")

    def gram(k: int) -> SearchStrategy[ArraySample]:
        ranks = sizes((1, k) if rank is None else rank, "rank")
        if unit_diagonal:
            return ranks.flatmap(lambda r: _sample("gram_of_unit_vectors", **_unit(k, r)))
        return ranks.flatmap(lambda r: _sample("gram", A=free((k, r))))

    return sizes(n, "n").flatmap(gram)


def _unit(n: int, d: int) -> dict[str, SearchStrategy[Any]]:
    """The raw parts of n unit vectors in d dimensions, by stereographic projection; signs in one dimension."""
    signs = st.lists(st.sampled_from((1.0, -1.0)), min_size=n, max_size=n).map(
        lambda s: np.array(s).reshape(n, 1)
    )
    return {"signs": signs} | ({"T": free((n, d - 1), scales=False)} if d > 1 else {})


@ours
def unit_vectors(n: Size = SMALL, d: Size = (1, 3)) -> SearchStrategy[ArraySample]:
    """Points (n, d) on the unit sphere, rational functions of free parameters (stereographic projection).

    Raises:
        LemmataError: a size that is none.
    """
    shapes = st.tuples(sizes(n, "n"), sizes(d, "d"))
    return shapes.flatmap(lambda s: _sample("unit_vectors", **_unit(*s)))


KERNELS = ("linear", "gaussian", "arc-cosine", "ntk")


@ours
def kernel_matrices(
    kernel: str | None = None, n: Size = SMALL, d: Size = (1, 3), *, sphere: bool = False
) -> SearchStrategy[ArraySample]:
    """Gram matrices (n, n) of a kernel at n points in d dimensions.

    ``linear`` ⟨x, x'⟩; ``gaussian`` exp(-‖x - x'‖²/2); with the angle θ between x and x': ``arc-cosine``
    ‖x‖‖x'‖ (sin θ + (π - θ) cos θ)/(2π), the mean of σ(⟨w, x⟩) σ(⟨w, x'⟩) over w ~ N(0, I) for the ReLU σ; ``ntk`` of
    two-layer ReLU networks with both layers trained, ‖x‖‖x'‖ (sin θ + 2 (π - θ) cos θ)/(2π) [Jacot et al. 2018].

    Args:
        kernel: one of these names; None draws any of them.
        sphere: the points lie on the unit sphere.

    Raises:
        LemmataError: an unknown kernel, or a size that is none.
    """
    names = one_of_names(kernel, KERNELS, "kernel")
    flag(sphere, "sphere")
    shapes = st.tuples(sizes(n, "n"), sizes(d, "d"))

    def points(shape: tuple[int, int]) -> SearchStrategy[ArraySample]:
        if sphere:
            X: SearchStrategy[Any] = _sample("unit_vectors", **_unit(*shape))
        else:
            X = free(shape, scales=False)
        return _sample("kernel_matrix", X=X, kernel=names)

    return shapes.flatmap(points)


def _reflections(n: int) -> SearchStrategy[Parameter]:
    """(n, n): every row is the normal of a reflection, and a zero row is none; together all of O(n)."""
    return free((n, n), scales=False)


@ours
def orthogonal_matrices(n: Size = SMALL) -> SearchStrategy[ArraySample]:
    """Orthogonal matrices (n, n): products of Householder reflections, exactly orthogonal at rational parameters.

    Raises:
        LemmataError: a size that is none.
    """
    return sizes(n, "n").flatmap(lambda k: _sample("orthogonal", U=_reflections(k)))


@ours
def matrices_with_spectrum(
    spectrum: Any = None,
    rows: Size | None = None,
    columns: Size | None = None,
    *,
    symmetric: bool = False,
) -> SearchStrategy[ArraySample]:
    """Matrices with prescribed singular values, or symmetric ones with prescribed eigenvalues.

    Q diag(spectrum) P with Q and P products of Householder reflections; symmetric: P = Qᵀ.

    Args:
        spectrum: a list of numbers, held fixed; or a strategy of vectors; by default one to three free numbers, not
            negative unless symmetric.
        rows, columns: at least the length of the spectrum, which they are by default; symmetric ones are square, and
            have the length of the spectrum.

    Raises:
        LemmataError: a negative singular value, or sizes below the length of the spectrum; of strategies, when drawn.
    """
    flag(symmetric, "symmetric")
    if symmetric and (rows is not None or columns is not None):
        raise LemmataError(
            "a symmetric matrix has as many rows and columns as eigenvalues: leave out the sizes"
        )
    if spectrum is None:
        values: SearchStrategy[Any] = vectors((1, 3), low=None if symmetric else 0.0)
    elif isinstance(spectrum, SearchStrategy):
        values = spectrum.map(lambda s: _spectrum(s, symmetric))
    else:
        values = st.just(_spectrum(np.array(spectrum, dtype=np.float64), symmetric))
    fixed = None if isinstance(spectrum, SearchStrategy) or spectrum is None else len(spectrum)
    for size, name in ((rows, "rows"), (columns, "columns")):
        if size is not None:
            sizes(size, name, low=fixed or 1)

    def matrix(s: Any) -> SearchStrategy[ArraySample]:
        k = len(s)
        if symmetric:
            return _sample("with_eigenvalues", s=st.just(s), U=_reflections(k))
        n, m = (sizes(k if x is None else x, "a size", low=k) for x in (rows, columns))
        both = n.flatmap(_reflections), m.flatmap(_reflections)
        return _sample("with_singular_values", s=st.just(s), U=both[0], V=both[1])

    return values.flatmap(matrix)


def _spectrum(s: Any, symmetric: bool) -> Any:
    a = np.asarray(s)
    if a.ndim != 1 or not a.size or a.dtype.kind not in "fiu" or not np.isfinite(a).all():
        raise LemmataError("spectrum: give a list of finite numbers, or a strategy of vectors")
    if not symmetric and (a < 0).any():
        raise LemmataError("singular values are not negative; give symmetric=True for eigenvalues")
    return s
