"""Metrics and phase diagrams as users call them: the same answers, and one kind of error."""

from __future__ import annotations

import numpy as np
import pytest

from numerics import collapse_metrics, collapse_phase
from proofs_checks.collapse import neural_collapse_metrics, phase_diagram
from proofs_checks.feasibility_law import cover_wendel_probability, sample_feasible
from proofs_checks.features_examples import horn_instance
from theory.errors import LemmataError

H = np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 3.0]])
LABELS = [0, 0, 1, 1]


def test_the_answers_are_those_of_the_numerics():
    W, b = np.eye(2), [0.5, 0.0]
    assert neural_collapse_metrics(H, LABELS, W, b, mean="sample") == (
        collapse_metrics.neural_collapse_metrics(H, LABELS, W, b, mean="sample")
    )
    found = phase_diagram(2, 4, [3, 5], [0.1, np.inf], 20, seed=2)
    other = collapse_phase.phase_diagram(2, 4, [3, 5], [0.1, np.inf], 20, seed=2)
    assert np.array_equal(found.one, other.one) and np.array_equal(found.all, other.all)


@pytest.mark.parametrize(
    "change",
    [
        {"K": 1},
        {"K": "a"},
        {"n": 2.5},
        {"n": np.nan},
        {"d_values": ["a"]},
        {"d_values": [np.inf]},
        {"d_values": 3},
        {"d_values": []},
        {"d_values": [1]},
        {"sigma_values": ["a"]},
        {"sigma_values": [0.0]},
        {"sigma_values": [np.nan]},
        {"samples": None},
        {"jobs": 0},
    ],
)
def test_bad_grids(change):
    good = {"K": 2, "n": 3, "d_values": [3], "sigma_values": [0.1], "samples": 5}
    with pytest.raises(LemmataError):
        phase_diagram(**{**good, **change})
    whole = phase_diagram(**{**good, "K": 2.0, "samples": np.int64(5), "d_values": np.array([3])})
    assert np.array_equal(whole.one, phase_diagram(**good).one)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((H, [0] * 4), "at least two classes"),
        ((H, [0, 1, 1]), "labels must be"),
        ((H * np.nan, LABELS), "NaN"),
        ((H, LABELS, np.eye(2), ["a", "b"]), "b must be 2"),
    ],
)
def test_bad_features(arguments, message):
    with pytest.raises(LemmataError, match=message):
        neural_collapse_metrics(*arguments)


@pytest.mark.parametrize("share", [0, -1, 1.5, "a", np.nan])
def test_targets_without_a_gap_are_refused(share):
    with pytest.raises(LemmataError, match="share"):
        horn_instance(share)


def test_integers_of_numpy_are_integers():
    K, n, d = np.array([3, 4, 8])
    assert cover_wendel_probability(K, n, d) == cover_wendel_probability(3, 4, 8)
    assert sample_feasible(K, n, d, np.int64(20), np.int64(1)) == sample_feasible(3, 4, 8, 20, 1)
    with pytest.raises(LemmataError, match="K is True"):
        cover_wendel_probability(True, 4, 8)
