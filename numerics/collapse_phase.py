"""Random labelled data, and how often they can be collapsed: phase diagrams over (sigma, d/n).

K classes of n points in R^d: x = mu_k + sigma g with the orthonormal means mu_k = e_k and g standard Gaussian (sigma is
per coordinate), or x = g for sigma = inf, pure noise. All counts are determined by the seed: every block of samples of
every cell has its own stream, whichever process draws it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.collapse_feasibility import class_feasibility
from numerics.errors import NumericsError

Float = NDArray[np.float64]
Counts = NDArray[np.int64]
BLOCK = 25  # samples to a stream of random numbers, and to a task


@dataclass(frozen=True)
class PhaseDiagram:
    """Counts over a grid; S values of sigma by D values of d.

    Attributes:
        K, n: classes, points in each. d_values: (D,). sigma_values: (S,), inf for pure noise.
        samples: instances in each cell; seed.
        one: (S, D) feasible classes, out of K * samples. all: (S, D) instances all of whose classes are feasible.
        undecided: (S, D) classes that floats did not decide; they count as feasible in neither.
    """

    K: int
    n: int
    d_values: tuple[int, ...]
    sigma_values: tuple[float, ...]
    samples: int
    seed: int
    one: Counts
    all: Counts
    undecided: Counts

    @property
    def p_one(self) -> Float:
        """(S, D) frequency with which a class is feasible."""
        return self.one / (self.K * self.samples)

    @property
    def p_all(self) -> Float:
        """(S, D) frequency with which all classes are."""
        return self.all / self.samples

    def crossing(self, frequencies: Float) -> Float:
        """(S,) the d/n at which frequencies (S, D) first pass 1/2, by linear interpolation; nan where they do not."""
        ratios = np.array(self.d_values) / self.n
        found = np.full(len(self.sigma_values), np.nan)
        for s, row in enumerate(frequencies):
            above = np.flatnonzero(row >= 0.5)
            if len(above) and above[0] > 0:
                k = above[0]
                t = (0.5 - row[k - 1]) / (row[k] - row[k - 1])
                found[s] = ratios[k - 1] + t * (ratios[k] - ratios[k - 1])
        return found


def gaussian_points(K: int, n: int, d: int, sigma: float, rng: np.random.Generator) -> Float:
    """(K, n, d): K classes of n points; see the module."""
    X = rng.standard_normal((K, n, d))
    if math.isfinite(sigma):
        X *= sigma
        X[np.arange(K), :, np.arange(K)] += 1.0
    return X


def blocks(samples: int, key: Sequence[int]) -> Iterator[tuple[np.random.Generator, int]]:
    """Streams of random numbers, and how many samples to draw from each."""
    for number, start in enumerate(range(0, samples, BLOCK)):
        yield np.random.default_rng([*key, number]), min(BLOCK, samples - start)


def phase_diagram(
    K: int,
    n: int,
    d_values: Sequence[int],
    sigma_values: Sequence[float],
    samples: int,
    *,
    seed: int = 0,
    jobs: int = 1,
) -> PhaseDiagram:
    """Count feasible classes and instances on a grid.

    Args:
        K: classes, at least 2. n: points in each. d_values: dimensions, each at least K where sigma is finite.
        sigma_values: positive; inf is pure noise. samples: instances in each cell.
        seed: the counts are a function of it. jobs: processes (spawned: a script needs its `__main__` guard).

    Raises:
        NumericsError: an argument out of range.
    """
    _validate(K, n, d_values, sigma_values, samples, seed, jobs)
    K, n, samples, seed, jobs = (int(x) for x in (K, n, samples, seed, jobs))
    cells = [(s, c) for s in range(len(sigma_values)) for c in range(len(d_values))]
    tasks = [
        (K, n, int(d_values[c]), float(sigma_values[s]), samples, (seed, s, c)) for s, c in cells
    ]
    if jobs == 1:
        counts = list(map(_count, tasks))
    else:
        # spawned, because a fork of a process with threads (BLAS, torch) may hang
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            counts = list(pool.map(_count, tasks))
    table = np.array(counts, dtype=np.int64).reshape(len(sigma_values), len(d_values), 3)
    return PhaseDiagram(
        K=K,
        n=n,
        d_values=tuple(int(d) for d in d_values),
        sigma_values=tuple(float(s) for s in sigma_values),
        samples=samples,
        seed=seed,
        one=table[:, :, 0],
        all=table[:, :, 1],
        undecided=table[:, :, 2],
    )


def _count(task: tuple[int, int, int, float, int, tuple[int, int, int]]) -> tuple[int, int, int]:
    """Feasible classes, instances with all of them, undecided classes."""
    K, n, d, sigma, samples, key = task
    one = every = undecided = 0
    for rng, size in blocks(samples, key):
        for _ in range(size):
            X = gaussian_points(K, n, d, sigma, rng)
            answers = [
                class_feasibility(X[k], np.delete(X, k, axis=0).reshape(-1, d)).feasible
                for k in range(K)
            ]
            one += answers.count(True)
            every += answers.count(True) == K
            undecided += answers.count(None)
    return one, every, undecided


def _whole(value: Any) -> bool:
    """An integer, or a float that is one."""
    return isinstance(value, Real) and not isinstance(value, bool) and value == value // 1


def _validate(
    K: int,
    n: int,
    d_values: Sequence[int],
    sigma_values: Sequence[float],
    samples: int,
    seed: int,
    jobs: int,
) -> None:
    least = {
        "K": (K, 2),
        "n": (n, 1),
        "samples": (samples, 1),
        "seed": (seed, 0),
        "jobs": (jobs, 1),
    }
    for name, (value, low) in least.items():
        if not _whole(value) or value < low:
            raise NumericsError(f"{name} is {value!r}: give an integer >= {low}")
    try:
        empty = not len(d_values) or not len(sigma_values)
    except TypeError:
        raise NumericsError("d_values and sigma_values must be lists") from None
    if empty:
        raise NumericsError("the grid is empty: give at least one d and one sigma")
    if not all(isinstance(sigma, Real) and sigma > 0 for sigma in sigma_values):
        raise NumericsError("every sigma must be positive, a number; inf stands for pure noise")
    low = K if any(math.isfinite(sigma) for sigma in sigma_values) else 1
    if not all(_whole(d) and d >= low for d in d_values):
        raise NumericsError(f"every d must be an integer >= {low}: {K} orthogonal means need room")
