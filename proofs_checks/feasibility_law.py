"""The exact law of feasibility for pure Gaussian noise (Cover 1965, Wendel 1962), and a sampler to check it by.

Given the n points of the class, the vectors u = (w, c) with x.w = c on them form a space of dimension m = d + 1 - n.
The N = (K-1) n other points, projected to it, and the axis of c are in general position almost surely, and the signs of
the former are symmetric and independent. Of the C(N+1, m) regions (Cover's function counting) each sign pattern owns as
many on average, so that

    P(class k feasible) = sum_{i <= d-n} C(N, i) / 2^N = P(Bin((K-1) n, 1/2) <= d - n).
"""

from __future__ import annotations

from fractions import Fraction
from math import inf
from numbers import Integral

import numpy as np

from theory.errors import LemmataError


def cover_wendel_probability(K: int, n: int, d: int) -> Fraction:
    """P(Bin((K-1) n, 1/2) <= d - n): the probability that a class of pure Gaussian noise is feasible.

    Args:
        K: classes, at least 2. n: points in each. d: dimension.

    Raises:
        LemmataError: an argument out of range.
    """
    _validate(K=(K, 2), n=(n, 1), d=(d, 1))
    N = (int(K) - 1) * int(n)
    # C(N, i) one from the other: each alone would cost as much as all
    term, found = 1, 0
    for i in range(min(int(d) - int(n), N) + 1):
        found += term
        term = term * (N - i) // (i + 1)
    return Fraction(found, 1 << N)


def sample_feasible(K: int, n: int, d: int, samples: int, seed: int) -> int:
    """How many of so many instances of pure Gaussian noise have their first class feasible.

    Each instance is decided by the feasibility test, not by the law; what floats do not decide is settled exactly.

    Args:
        K, n, d: see `cover_wendel_probability`. samples: instances. seed: the count is a function of it.

    Raises:
        LemmataError: an argument out of range, or an instance that exact arithmetic does not decide either.
    """
    from numerics.collapse_feasibility import class_feasibility
    from numerics.collapse_phase import blocks, gaussian_points

    _validate(K=(K, 2), n=(n, 1), d=(d, 1), samples=(samples, 1), seed=(seed, 0))
    successes = 0
    for rng, size in blocks(samples, (seed,)):
        for _ in range(size):
            X = gaussian_points(K, n, d, inf, rng)
            own, others = X[0], X[1:].reshape(-1, d)
            answer = class_feasibility(own, others).feasible
            successes += _settled(own, others) if answer is None else answer
    return successes


def _settled(own: np.ndarray, others: np.ndarray) -> bool:
    from proofs_checks.exact_data import exact_matrix
    from proofs_checks.feasibility_exact import settle

    answer = settle(exact_matrix(own), exact_matrix(others))
    if answer.feasible is None:
        raise LemmataError(f"an instance stays undecided ({answer.reason}): take another seed")
    return answer.feasible


def _validate(**values: tuple[int, int]) -> None:
    for name, (value, low) in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
            raise LemmataError(f"{name} is {value!r}: give an integer >= {low}")
