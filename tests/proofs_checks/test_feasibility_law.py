"""The exact law of feasibility, by counting regions and by simulation."""

from __future__ import annotations

import itertools
from fractions import Fraction as F

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from proofs_checks import feasibility_law
from proofs_checks.feasibility_law import cover_wendel_probability, sample_feasible
from theory.errors import LemmataError


@pytest.mark.parametrize(("K", "n", "d"), [(2, 3, 4), (3, 4, 7), (4, 40, 100), (2, 5, 30)])
def test_the_law_is_the_binomial_distribution_function(K, n, d):
    exact = cover_wendel_probability(K, n, d)
    assert isinstance(exact, F)
    assert float(exact) == pytest.approx(binom.cdf(d - n, (K - 1) * n, 0.5), rel=1e-12)


def test_known_values():
    assert cover_wendel_probability(2, 1, 1) == F(1, 2)  # one number against another
    assert cover_wendel_probability(2, 4, 3) == 0  # d < n
    assert cover_wendel_probability(2, 4, 8) == 1  # d = K n
    assert cover_wendel_probability(2, 4, 100) == 1
    for n in (3, 5, 7, 9):  # the median at d/n = (K + 1)/2 where (K - 1) n is odd
        assert cover_wendel_probability(2, n, n + (n - 1) // 2) == F(1, 2)


def test_the_law_counts_sign_patterns():
    """Over all signs of the other points, the feasible patterns are as many as the law says."""
    from numerics.collapse_feasibility import class_feasibility

    rng = np.random.default_rng(0)
    for K, n, d in ((2, 3, 4), (2, 4, 6), (3, 2, 3), (3, 2, 4)):
        own, others = rng.standard_normal((n, d)), rng.standard_normal(((K - 1) * n, d))
        counted = [
            class_feasibility(own, np.array(signs)[:, None] * others).feasible
            for signs in itertools.product((-1.0, 1.0), repeat=len(others))
        ]
        assert F(counted.count(True), len(counted)) == cover_wendel_probability(K, n, d)


@pytest.mark.parametrize(("K", "n", "d"), [(2, 4, 6), (3, 3, 6), (2, 10, 14)])
def test_the_sampler_follows_the_law(K, n, d):
    count = sample_feasible(K, n, d, 400, 1)
    assert count == sample_feasible(K, n, d, 400, 1)
    # a fixed seed: this is a check of the code, not a test that fails now and then
    assert binomtest(count, 400, float(cover_wendel_probability(K, n, d))).pvalue > 1e-3
    wrong = float(cover_wendel_probability(K, n, d + 1))
    assert binomtest(count, 400, wrong).pvalue < 1e-3


def test_what_floats_leave_open_is_settled(monkeypatch):
    from numerics import collapse_feasibility as floats

    expected = sample_feasible(2, 4, 6, 30, 3)
    decide = floats.class_feasibility

    def open_ended(own, others, *, interior=False):
        found = decide(own, others, interior=interior)
        return found if interior else floats.ClassFeasibility(None, 0.0, None, found.multipliers)

    monkeypatch.setattr(floats, "class_feasibility", open_ended)
    assert sample_feasible(2, 4, 6, 30, 3) == expected


@pytest.mark.parametrize("change", [{"K": 1}, {"n": 0}, {"d": 0}, {"d": 2.0}, {"n": True}])
def test_bad_input(change):
    (name,) = change
    with pytest.raises(LemmataError, match=f"{name} is"):
        cover_wendel_probability(**({"K": 2, "n": 3, "d": 4} | change))
    for extra in ({"samples": 0}, {"seed": -1}):
        with pytest.raises(LemmataError, match=next(iter(extra))):
            feasibility_law.sample_feasible(
                **({"K": 2, "n": 3, "d": 4, "samples": 1, "seed": 0} | extra)
            )
