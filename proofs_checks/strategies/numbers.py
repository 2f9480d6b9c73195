"""Numbers and records: the simplest values first, and shrinking to them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proofs_checks.conjectures.samples import ALL_REALS, Domain, Real, Sample
from proofs_checks.strategies.arguments import LARGEST_SIZE, domain, sizes
from proofs_checks.strategies.origin import ours
from theory.errors import LemmataError

LOSSES = ("squared", "exponential", "logistic", "logistic2")
# in the order in which a shrunk case prefers them; sizes ascend, as Hypothesis looks for the first by bisection
SIMPLE = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, -1.0, -2.0, -3.0, -4.0, 0.5, -0.5, 1.5, -1.5, 0.25)
# from 1e-6 to 1e6; powers of two keep small integers short
_MAGNITUDES = st.builds(lambda k, j: (1 + j / 8) * 2.0**k, st.integers(-20, 20), st.integers(0, 7))


@lru_cache(maxsize=256)
def entries(where: Domain = ALL_REALS) -> SearchStrategy[float]:
    """Numbers of a domain: simple ones, its closed ends, multiples of a 1024th of it, and all scales."""
    simple = [x for x in SIMPLE if where.contains(x)]
    ends = [x for x in (where.low, where.high) if abs(x) < float("inf") and where.contains(x)]
    plain = st.sampled_from(list(dict.fromkeys(simple + ends))) if simple or ends else None
    wide = _wide(where).filter(where.contains)
    return wide if plain is None else st.one_of(plain, plain, wide)


def _wide(where: Domain) -> SearchStrategy[float]:
    low, high, infinite = where.low, where.high, float("inf")
    if low > -infinite and high < infinite:
        even = st.integers(0, 1024).map(lambda k: low + (high - low) * (k / 1024))
        if not where.log or high <= 0:
            return even
        if low > 0:
            return st.integers(0, 64).map(lambda k: high * (low / high) ** (k / 64))
        return st.one_of(even, st.integers(0, 24).map(lambda k: high * 2.0**-k))
    if low > -infinite:
        return _MAGNITUDES.map(lambda m: low + m)
    if high < infinite:
        return _MAGNITUDES.map(lambda m: high - m)
    return st.builds(lambda s, m: s * m, st.sampled_from((1.0, -1.0)), _MAGNITUDES)


def real_of(where: Domain) -> SearchStrategy[Real]:
    """Free numbers of a domain."""
    return entries(where).map(lambda x: Real(x, where))


@ours
def reals(
    low: float | None = None,
    high: float | None = None,
    *,
    exclude_low: bool = False,
    exclude_high: bool = False,
    log: bool = False,
) -> SearchStrategy[Real]:
    """Free numbers between two ends, which are included unless said otherwise; None is infinity.

    Args:
        log: all orders of magnitude are of interest.

    Raises:
        LemmataError: ends that are no finite numbers, or nothing between them.
    """
    return real_of(domain(low, high, exclude_low=exclude_low, exclude_high=exclude_high, log=log))


@ours
def positive(high: float | None = None) -> SearchStrategy[Real]:
    """Free numbers above 0, of all orders of magnitude, up to ``high`` (included).

    Raises:
        LemmataError: ``high`` is not above 0.
    """
    return real_of(domain(0.0, high, exclude_low=True, log=True))


@ours
def step_sizes(high: float = 1.0) -> SearchStrategy[Real]:
    """Step sizes in (0, high], of all orders of magnitude.

    Raises:
        LemmataError: ``high`` is not above 0.
    """
    return positive(high)


@ours
def integers(low: int, high: int) -> SearchStrategy[int]:
    """Integers from low to high; they belong to the structure of a case, and are not moved by the search.

    Raises:
        LemmataError: no integers, or low > high.
    """
    if type(low) is not int or type(high) is not int or low > high:
        raise LemmataError(
            f"integers({low!r:.40}, {high!r:.40}): give two integers, the smaller one first"
        )
    return st.integers(low, high)


@ours
def dimensions(high: int = 4, *, low: int = 1) -> SearchStrategy[int]:
    """Numbers of rows, columns, neurons or points, from ``low`` to ``high``.

    Raises:
        LemmataError: not 1 <= low <= high <= 64.
    """
    return sizes((low, high), "high", high=LARGEST_SIZE)


@ours
def losses(*, classification: bool | None = None) -> SearchStrategy[str]:
    """Names of losses of one point.

    ``squared`` (f - y)², ``exponential`` e^(-yf), ``logistic`` log(1 + e^(-yf)), ``logistic2`` twice that.

    Args:
        classification: True leaves out ``squared``, False leaves nothing else.
    """
    names = {True: LOSSES[1:], False: LOSSES[:1], None: LOSSES}
    if classification not in (True, False, None):
        raise LemmataError(f"classification={classification!r:.40}: give True, False or None")
    return st.sampled_from(names[classification])


@ours
def record(**strategies: Any) -> SearchStrategy[Sample]:
    """Several things by name: ``record(W=matrices(2, 3), eta=step_sizes())`` is seen as ``case.W`` and ``case.eta``.

    What is no strategy is taken as a constant.

    Raises:
        LemmataError: nothing, or a name that starts with an underscore.
    """
    if not strategies or any(name.startswith("_") for name in strategies):
        raise LemmataError(
            "record: give at least one strategy, by names without a leading underscore"
        )
    parts = {k: s if isinstance(s, SearchStrategy) else st.just(s) for k, s in strategies.items()}
    return st.fixed_dictionaries(parts).map(lambda drawn: Sample("record", drawn))
