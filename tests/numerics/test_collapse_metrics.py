"""Metrics of collapse: closed forms, the textbook formulas, traps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from numerics.collapse_metrics import neural_collapse_metrics
from numerics.errors import NumericsError

K, N_EACH, D = 4, 5, 6
LABELS = np.repeat(np.arange(K), N_EACH)
C = np.eye(K) - 1.0 / K


def frame(columns, rng):
    """Columns (K, K) turned into R^D, one for each point."""
    Q, _ = np.linalg.qr(rng.standard_normal((D, D)))
    return Q[:, :K] @ columns


def noisy(seed=0, counts=(5, 5, 5, 5), noise=0.3):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    means = rng.standard_normal((D, len(counts)))
    return means[:, labels] + noise * rng.standard_normal((D, len(labels))), labels


def textbook(H, labels, W, b, mean):
    """The formulas word by word, with pinv of Sigma_B."""
    names = np.unique(labels)
    mu = np.stack([H[:, labels == k].mean(axis=1) for k in names], axis=1)
    centre = mu.mean(axis=1) if mean == "class" else H.mean(axis=1)
    M = mu - centre[:, None]
    n, count = H.shape[1], len(names)
    deviations = H - mu[:, np.searchsorted(names, labels)]
    Sw, Sb = deviations @ deviations.T / n, M @ M.T / count

    def cosines(A):
        return [
            A[:, i] @ A[:, j] / np.linalg.norm(A[:, i]) / np.linalg.norm(A[:, j])
            for i, j in itertools.combinations(range(count), 2)
        ]

    def spread(A):
        norms = np.linalg.norm(A, axis=0)
        return norms.std() / norms.mean()

    v = [(deviations[:, labels == k] ** 2).sum(axis=0).mean() for k in names]
    A = W.T @ W
    G = mu.T @ mu
    centred = np.eye(count) - 1 / count
    nearest = [np.linalg.norm(h[:, None] - mu, axis=0).argmin() for h in H.T]
    pairs = list(itertools.combinations(range(count), 2))
    return {
        "nc1": np.trace(Sw @ np.linalg.pinv(Sb, rcond=1e-10)) / count,
        "nc1_ratio": np.trace(Sw) / np.trace(Sb),
        "cdnv": np.mean(
            [(v[i] + v[j]) / (2 * np.sum((mu[:, i] - mu[:, j]) ** 2)) for i, j in pairs]
        ),
        "nc2_norms": spread(M),
        "nc2_angles": np.mean(np.abs(np.array(cosines(M)) + 1 / (count - 1))),
        "nc2_w_norms": spread(W),
        "nc2_w_angles": np.mean(np.abs(np.array(cosines(W)) + 1 / (count - 1))),
        "nc2_zhu": np.linalg.norm(A / np.linalg.norm(A) - centred / np.sqrt(count - 1)),
        "frame_norms": spread(mu),
        "frame_angles": np.mean(np.abs(cosines(mu))),
        "frame_gram": np.linalg.norm(G / np.linalg.norm(G) - np.eye(count) / np.sqrt(count)),
        "nc3": np.linalg.norm(W / np.linalg.norm(W) - M / np.linalg.norm(M)) ** 2,
        "nc4": 1 - np.mean((W.T @ H + b[:, None]).argmax(axis=0) == nearest),
    }


@pytest.mark.parametrize("mean", ["class", "sample"])
@pytest.mark.parametrize("counts", [(5, 5, 5, 5), (2, 9, 4), (3, 8)])
def test_values_are_those_of_the_textbook(counts, mean):
    H, labels = noisy(1, counts)
    rng = np.random.default_rng(2)
    W, b = rng.standard_normal((D, len(counts))), rng.standard_normal(len(counts))
    found = neural_collapse_metrics(H, labels, W, b, mean=mean)
    for name, value in textbook(H, labels, W, b, mean).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9, abs=1e-12), name
    assert not found.vacuous and not found.converted and found.mean == mean


def test_the_two_global_means_differ_under_imbalance_only():
    for counts, differ in (((4, 4, 4), False), ((2, 3, 9), True)):
        H, labels = noisy(3, counts)
        a, b = (neural_collapse_metrics(H, labels, mean=m) for m in ("class", "sample"))
        assert (abs(a.nc1 - b.nc1) > 1e-6 * a.nc1) is differ
        assert (abs(a.nc2_angles - b.nc2_angles) > 1e-6) is differ


def test_collapse_to_the_simplex_frame():
    means = frame(C, np.random.default_rng(4))
    found = neural_collapse_metrics(3.0 * means[:, LABELS], LABELS, 0.7 * means)
    for name in ("nc1", "nc1_ratio", "cdnv", "nc2_norms", "nc2_angles", "nc2_w_norms"):
        assert getattr(found, name) == pytest.approx(0.0, abs=1e-12), name
    for name in ("nc2_w_angles", "nc2_zhu", "nc3", "nc4"):
        assert getattr(found, name) == pytest.approx(0.0, abs=1e-12), name
    assert found.frame_angles == pytest.approx(1 / (K - 1))
    # |C/sqrt(K-1) - I/sqrt(K)|^2 = 2 - 2 sqrt((K-1)/K)
    assert found.frame_gram**2 == pytest.approx(2 - 2 * np.sqrt((K - 1) / K))


def test_an_orthogonal_frame_is_told_apart_uncentred_only():
    means = frame(np.eye(K), np.random.default_rng(5))
    found = neural_collapse_metrics(means[:, LABELS], LABELS, means)
    assert found.nc2_angles == pytest.approx(0.0, abs=1e-12)  # centred, it is a simplex frame
    assert found.frame_angles == pytest.approx(0.0, abs=1e-12)
    assert found.frame_gram == pytest.approx(0.0, abs=1e-12)
    assert found.nc2_zhu > 0.5


def test_invariances():
    H, labels = noisy(6)
    W = np.random.default_rng(7).standard_normal((D, K))
    Q, _ = np.linalg.qr(np.random.default_rng(8).standard_normal((D, D)))
    base = neural_collapse_metrics(H, labels, W)
    for turned in (
        neural_collapse_metrics(Q @ H, labels, Q @ W),
        neural_collapse_metrics(1e-170 * H, labels, 1e-170 * W),
        neural_collapse_metrics(1e140 * H, labels, 1e140 * W),
        neural_collapse_metrics(H[:, ::-1], labels[::-1], W),
    ):
        for name in ("nc1", "cdnv", "nc2_angles", "frame_gram", "nc2_zhu", "nc3", "nc4"):
            assert getattr(turned, name) == pytest.approx(getattr(base, name), rel=1e-9), name


def test_float32_is_converted_first():
    means = frame(np.eye(K), np.random.default_rng(9))
    H = means[:, LABELS] + 0.01 * np.random.default_rng(10).standard_normal((D, len(LABELS)))
    single = neural_collapse_metrics(H.astype(np.float32), LABELS)
    double = neural_collapse_metrics(H, LABELS)
    assert single.converted and not double.converted
    assert single.nc1 == pytest.approx(double.nc1, rel=1e-4)


def test_a_large_offset_does_not_reach_the_pseudo_inverse():
    H, labels = noisy(11)
    moved = neural_collapse_metrics(H + 1e6, labels)
    assert moved.nc1 == pytest.approx(neural_collapse_metrics(H, labels).nc1, rel=1e-6)


def test_nearest_means_and_scores():
    H = np.array([[1.0, 1.2, -1.0, -1.4]])
    W = np.array([[1.0, -1.0]])
    labels = ["a", "a", "b", "b"]
    assert neural_collapse_metrics(H, labels, W).nc4 == 0.0
    assert neural_collapse_metrics(H, labels, -W).nc4 == 1.0
    # the first class wins where 2 h > 2.3, so not for h = 1
    assert neural_collapse_metrics(H, labels, W, [0.0, 2.3]).nc4 == 0.25
    assert neural_collapse_metrics(1e-170 * H, labels, 1e-170 * W, [0.0, 2.3]).nc4 == 0.5
    assert neural_collapse_metrics(H, labels, W).classes == ("a", "b")


def test_zero_features_are_vacuous():
    W = np.eye(D, K)
    zero = neural_collapse_metrics(np.zeros((D, 20)), LABELS, W)
    assert "zero threshold" in zero.vacuous
    assert zero.nc1 is None and zero.nc3 is None and zero.nc4 is None and zero.frame_gram is None
    assert zero.nc2_zhu is not None
    equal = neural_collapse_metrics(np.ones((D, 20)), LABELS)
    assert "class means are equal" in equal.vacuous and equal.nc1 is None


def test_one_dead_class_leaves_its_angles_out():
    means = frame(np.eye(K), np.random.default_rng(12))
    means[:, 0] = 0.0
    found = neural_collapse_metrics(means[:, LABELS], LABELS, np.zeros((D, K)))
    assert found.frame_angles is None and found.nc1 is not None
    assert found.nc2_zhu is None and found.nc3 is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 4)), [0] * 4), "at least two classes"),
        ((np.ones((2, 4)), [0, 1, 1]), r"labels must be \(N,\)"),
        ((np.ones((2, 4)), [0, 1, np.nan, 1]), "missing"),
        ((np.ones((2, 4)), [0, "a", None, 1]), "missing"),
        ((np.ones(4), [0, 1, 0, 1]), "must be a matrix"),
        ((np.ones((0, 4)), [0, 1, 0, 1]), "not empty"),
        ((np.array([[1.0, np.nan]]), [0, 1]), r"H\[0, 1\] is NaN"),
        ((np.array([["x", "y"]]), [0, 1]), "matrix of real numbers"),
        ((np.ones((2, 4)) * 1j, [0, 1, 0, 1]), "matrix of real numbers"),
        ((np.array([["1", "2"]]), [0, 1]), "matrix of real numbers"),
        ((np.ones((2, 4)), ["a", np.nan, "b", "a"]), "missing"),
        ((np.ones((2, 4)), [1, "1", 2, 1]), "all be numbers or all be texts"),
        ((np.ones((2, 4)), ["a", "", "a", "b"]), "missing"),
        ((np.ones((2, 4)), [0, 1, 0, 1], np.ones((2, 2)), ["a", "b"]), "b must be 2"),
        ((np.ones((2, 4)), [0, 1, 0, 1], np.ones((2, 2)), [1j, 0]), "b must be 2"),
        ((np.ones((2, 4)), [0, 1, 0, 1], np.ones((2, 2)), [[1], [0, 1]]), "b must be 2"),
        ((np.ones((2, 4)), [0, 1, 0, 1], np.ones((2, 3))), r"W must be \(d, K\) = \(2, 2\)"),
        ((np.ones((2, 4)), [0, 1, 0, 1], np.full((2, 2), np.inf)), r"W\[0, 0\]"),
        ((np.ones((2, 4)), [0, 1, 0, 1], np.ones((2, 2)), [1.0]), "b must be 2"),
        ((np.ones((2, 4)), [0, 1, 0, 1], None, [1.0, 1.0]), "bias without W"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(NumericsError, match=message):
        neural_collapse_metrics(*arguments)
    with pytest.raises(NumericsError, match="mean is 'median'"):
        neural_collapse_metrics(np.eye(2), [0, 1], mean="median")
