"""Phase diagrams: streams of random numbers, counts, crossings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numerics.collapse_phase import BLOCK, PhaseDiagram, blocks, gaussian_points, phase_diagram
from numerics.errors import NumericsError


def test_points_have_orthonormal_means():
    rng = np.random.default_rng(0)
    X = gaussian_points(3, 4000, 5, 0.1, rng)
    assert np.abs(X.mean(axis=1) - np.eye(3, 5)).max() < 0.01
    assert X.std(axis=1) == pytest.approx(0.1, rel=0.1)
    noise = gaussian_points(3, 4000, 2, math.inf, rng)
    assert np.abs(noise.mean(axis=1)).max() < 0.1
    assert noise.std(axis=1) == pytest.approx(1.0, rel=0.1)


def test_blocks_cover_the_samples_with_streams_of_their_own():
    drawn = [(rng.standard_normal(), size) for rng, size in blocks(2 * BLOCK + 3, (7, 1))]
    assert [size for _, size in drawn] == [BLOCK, BLOCK, 3]
    assert len({x for x, _ in drawn}) == 3
    assert drawn == [(rng.standard_normal(), size) for rng, size in blocks(2 * BLOCK + 3, (7, 1))]


def test_counts_do_not_depend_on_processes():
    arguments = (2, 6, [8, 9, 10], [0.3, math.inf], 30)
    alone, apart = (phase_diagram(*arguments, seed=5, jobs=jobs) for jobs in (1, 2))
    assert (alone.one == apart.one).all() and (alone.all == apart.all).all()
    other = phase_diagram(*arguments, seed=6)
    assert (alone.one != other.one).any()


def test_frequencies_grow_with_the_dimension_and_fall_with_sigma():
    found = phase_diagram(2, 10, [9, 10, 11, 13, 15, 18, 24], [0.05, 0.5, math.inf], 60)
    assert found.undecided.sum() == 0
    assert (found.p_one[:, 0] == 0).all()  # d < n
    assert (found.p_one[:, -1] > 0.9).all()  # d > K n
    assert (found.p_all <= found.p_one + 1e-12).all()
    assert (np.diff(found.p_one, axis=1) > -0.15).all()
    middle = found.p_one[:, 3]
    assert middle[0] > middle[1] > middle[2]


def test_the_transition_of_noise():
    found = phase_diagram(2, 20, list(range(24, 38, 2)), [math.inf], 80, seed=1)
    assert found.crossing(found.p_one)[0] == pytest.approx(1.5, abs=0.06)
    assert found.crossing(found.p_all)[0] > found.crossing(found.p_one)[0]


def test_crossing_interpolates_and_is_nan_where_there_is_none():
    zeros = np.zeros((3, 3), dtype=np.int64)
    grid = PhaseDiagram(2, 10, (10, 20, 30), (1.0, 2.0, 3.0), 10, 0, zeros, zeros, zeros)
    frequencies = np.array([[0.0, 0.4, 0.8], [0.0, 0.1, 0.2], [0.9, 1.0, 1.0]])
    found = grid.crossing(frequencies)
    assert found[0] == pytest.approx(2.25)
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": 1}, "K is 1"),
        ({"n": 0}, "n is 0"),
        ({"samples": 0}, "samples is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"jobs": 0}, "jobs is 0"),
        ({"d_values": []}, "grid is empty"),
        ({"sigma_values": [0.0]}, "sigma must be positive"),
        ({"sigma_values": [math.nan]}, "sigma must be positive"),
        ({"d_values": [1]}, "d must be an integer >= 2"),
    ],
)
def test_bad_input(change, message):
    good = {"K": 2, "n": 3, "d_values": [4], "sigma_values": [1.0], "samples": 2}
    with pytest.raises(NumericsError, match=message):
        phase_diagram(**(good | change))
