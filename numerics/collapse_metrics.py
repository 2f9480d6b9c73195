"""Neural collapse, measured: NC1 to NC4 and their variants, in float64.

Features H (d, N), labels (N,), classifier W (d, K), scores W^T h + b. With mu_k the class means, mu_G the global mean
(of the class means, or of the samples: they differ under imbalance), M = [mu_k - mu_G] (d, K), C = I - 11^T/K:

    Sigma_W = (1/N) sum_i (h_i - mu_k(i)) (h_i - mu_k(i))^T,    Sigma_B = (1/K) M M^T.

Sources: Papyan, Han & Donoho (2020); Zhu et al. (2021); Galanti, Gyorgy & Hutter (2022) for the class-distance
normalised variance. A *centred* orthogonal frame is an equiangular tight frame, so the two geometries are told apart by
the uncentred means.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Float = NDArray[np.float64]
MEANS = ("class", "sample")
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class CollapseMetrics:
    """All are 0 at collapse to the simplex frame, except ``frame_*``, which are 0 at an orthogonal frame.

    None stands for what does not exist: nc2_w, nc2_zhu, nc3, nc4 without W or with W = 0; angles to a mean that is
    zero; and all but those of W alone where ``vacuous`` says why.

    Attributes:
        classes: the labels, in the order of the columns of W (sorted).
        nc1: tr(Sigma_W Sigma_B^+) / K. nc1_ratio: tr Sigma_W / tr Sigma_B.
        cdnv: mean over pairs of (v_i + v_j) / (2 |mu_i - mu_j|^2), v_k = mean |h - mu_k|^2.
        nc2_norms: std/mean of the norms of M. nc2_angles: mean over pairs |cos + 1/(K-1)|.
        nc2_w_norms, nc2_w_angles: the same of the columns of W. nc2_zhu: |A/|A|_F - C/sqrt(K-1)|_F, A = W^T W.
        frame_norms, frame_angles: std/mean of the norms and mean |cos| of the *uncentred* class means.
        frame_gram: |A/|A|_F - I/sqrt(K)|_F, A the Gram matrix of the uncentred class means.
        nc3: |W/|W|_F - M/|M|_F|_F^2.
        nc4: share of points whose largest score is not that of the nearest class mean (ties: the first).
        mean: which mu_G. converted: H or W was of another type and was converted to float64 first.
        vacuous: empty, or why collapse means nothing here (zero features, equal class means).
    """

    classes: tuple[Hashable, ...]
    nc1: float | None
    nc1_ratio: float | None
    cdnv: float | None
    nc2_norms: float | None
    nc2_angles: float | None
    nc2_w_norms: float | None
    nc2_w_angles: float | None
    nc2_zhu: float | None
    frame_norms: float | None
    frame_angles: float | None
    frame_gram: float | None
    nc3: float | None
    nc4: float | None
    mean: str
    converted: bool
    vacuous: str


def neural_collapse_metrics(
    H: Any,
    labels: Sequence[Hashable],
    W: Any = None,
    b: Any = None,
    *,
    mean: str = "class",
) -> CollapseMetrics:
    """Measure neural collapse.

    The pseudo-inverse of Sigma_B is taken on the singular vectors of M: at most K-1 of them (M has no larger rank),
    with singular values above max(d, K) 2^-52 times the largest norm of a class mean, which is the rounding error of M.

    Args:
        H: (d, N) features. labels: (N,). W: (d, K) classifier, columns in the sorted order of the labels. b: (K,) or
            None, a bias of the scores.
        mean: "class": mu_G is the mean of the class means; "sample": the mean of the samples.

    Raises:
        NumericsError: shapes, NaN or inf, one class only, or an unknown ``mean``.
    """
    if not isinstance(mean, str) or mean not in MEANS:
        raise NumericsError(f"mean is {mean!r}: choose one of {', '.join(MEANS)}")
    features, converted = _matrix(H, "H")
    classes, index = _classes(labels, features.shape[1])
    K = len(classes)
    weights = None
    if W is not None:
        weights, also = _matrix(W, "W")
        converted = converted or also
        if weights.shape != (len(features), K):
            raise NumericsError(f"W must be (d, K) = {(len(features), K)}, not {weights.shape}")
    bias = _bias(b, K, weights)

    # A power of two: metrics do not depend on the scale, and squares neither overflow nor vanish.
    features, size = _unit(features)
    means = np.stack([features[:, index == k].mean(axis=1) for k in range(K)], axis=1)
    centre = (means if mean == "class" else features).mean(axis=1, keepdims=True)
    M = means - centre
    deviations = features - means[:, index]
    rounding = max(means.shape) * EPS * float(np.linalg.norm(means, axis=0).max())
    found: dict[str, float | None] = {
        **dict.fromkeys(("nc1", "nc1_ratio", "cdnv", "nc2_norms", "nc2_angles", "nc3"), None),
        **dict.fromkeys(("nc2_w_norms", "nc2_w_angles", "nc2_zhu", "nc4"), None),
        **dict.fromkeys(("frame_norms", "frame_angles", "frame_gram"), None),
    }
    vacuous = ""
    if not features.any():
        vacuous = "all features are zero: above the zero threshold collapse is vacuous"
    elif float(np.linalg.norm(M)) <= rounding:
        vacuous = "all class means are equal: there is no geometry between classes"
    else:
        found |= _within(M, means, deviations, index, rounding)
        found |= _frame(M, "nc2", -1.0 / (K - 1))
        if np.linalg.norm(means, axis=0).min() > rounding:
            found |= _frame(means, "frame", 0.0)
            found["frame_gram"] = _gram_distance(means, np.eye(K))
    if weights is not None and weights.any():
        unit, exponent = _unit(weights)
        found |= _frame(unit, "nc2_w", -1.0 / (K - 1))
        found["nc2_zhu"] = _gram_distance(unit, np.eye(K) - 1.0 / K)
        if not vacuous:
            found["nc3"] = float(
                np.linalg.norm(unit / np.linalg.norm(unit) - M / np.linalg.norm(M)) ** 2
            )
            found["nc4"] = _disagreement(
                _scores(unit.T @ features, size + exponent, bias), M, features - centre
            )
    return CollapseMetrics(
        classes=classes, mean=mean, converted=converted, vacuous=vacuous, **found
    )


def _within(
    M: Float, means: Float, deviations: Float, index: NDArray[np.intp], rounding: float
) -> dict[str, float | None]:
    """NC1 and its variants."""
    K, N = M.shape[1], deviations.shape[1]
    U, s, _ = np.linalg.svd(M, full_matrices=False)
    kept = s[: K - 1] > rounding
    along = U[:, : len(kept)][:, kept].T @ deviations / s[: K - 1][kept, None]
    square = (deviations**2).sum(axis=0)
    v = np.array([square[index == k].mean() for k in range(K)])
    i, j = np.triu_indices(K, 1)
    distances = ((means[:, i] - means[:, j]) ** 2).sum(axis=0)
    apart = bool((np.sqrt(distances) > rounding).all())
    return {
        # Sigma_B^+ = K U s^-2 U^T, and the K cancels
        "nc1": float((along**2).sum() / N),
        "nc1_ratio": float(square.sum() / N / ((M**2).sum() / K)),
        "cdnv": float(((v[i] + v[j]) / (2.0 * distances)).mean()) if apart else None,
    }


def _frame(columns: Float, name: str, cosine: float) -> dict[str, float | None]:
    """std/mean of the norms, and the mean distance of the cosines of pairs from the right one."""
    norms = np.linalg.norm(columns, axis=0)
    angles = None
    if norms.all():
        unit = columns / norms
        i, j = np.triu_indices(len(norms), 1)
        angles = float(np.abs((unit.T @ unit)[i, j] - cosine).mean())
    return {f"{name}_norms": float(norms.std() / norms.mean()), f"{name}_angles": angles}


def _gram_distance(columns: Float, target: Float) -> float:
    gram = columns.T @ columns
    return float(np.linalg.norm(gram / np.linalg.norm(gram) - target / np.linalg.norm(target)))


def _disagreement(scores: Float, M: Float, centred: Float) -> float:
    """NC4; distances without their part common to all classes."""
    distances = (M**2).sum(axis=0)[:, None] - 2.0 * M.T @ centred
    return float((scores.argmax(axis=0) != distances.argmin(axis=0)).mean())


def _scores(products: Float, exponent: int, b: Float) -> Float:
    """products 2^exponent + b, up to a power of two."""
    bias, other = _unit(b)
    most = max(exponent, other)
    return np.ldexp(products, exponent - most) + np.ldexp(bias, other - most)[:, None]


def _unit(A: Float) -> tuple[Float, int]:
    """A as B 2^e with the largest entry of B in [1/2, 1)."""
    peak = float(np.abs(A).max())
    e = int(np.frexp(peak)[1]) if peak else -5000  # of zero, less than any exponent
    return (np.ldexp(A, -e) if peak else A), e


def _matrix(values: Any, name: str) -> tuple[Float, bool]:
    """As float64, and whether it was of another type."""
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biufO":
            raise TypeError("texts, or numbers that are not real")
        A = given.astype(np.float64)
    except (TypeError, ValueError):
        raise NumericsError(f"{name} must be a matrix of real numbers") from None
    if A.ndim != 2 or 0 in A.shape:
        raise NumericsError(f"{name} must be a matrix that is not empty, not of shape {A.shape}")
    if not np.isfinite(A).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(A))[0])
        raise NumericsError(f"{name}{list(place)} is NaN or inf: repair it or drop the point")
    return A, given.dtype != np.float64


def _classes(labels: Sequence[Hashable], N: int) -> tuple[tuple[Hashable, ...], NDArray[np.intp]]:
    given = np.asarray(labels)
    if given.shape != (N,):
        raise NumericsError(f"labels must be (N,) = ({N},), not {given.shape}: H is (d, N)")
    # numpy writes numbers as texts where both occur; a list still tells
    whole = given.dtype.kind in "SU" and all(isinstance(x, str | bytes) and x for x in labels)
    whole = whole or (given.dtype.kind in "biuf" and bool(np.isfinite(given).all()))
    if not whole:
        raise NumericsError("labels must all be numbers or all be texts, and none may be missing")
    names, index = np.unique(given, return_inverse=True)
    if len(names) < 2:
        raise NumericsError("all points have one label: collapse needs at least two classes")
    return tuple(names.tolist()), index


def _bias(b: Any, K: int, W: Float | None) -> Float:
    if b is None:
        return np.zeros(K)
    if W is None:
        raise NumericsError("a bias without W: give the classifier W (d, K) too")
    try:
        bias = np.asarray(b)
        bias = bias.astype(np.float64) if bias.dtype.kind in "biuf" else np.zeros(0)
    except (TypeError, ValueError):
        bias = np.zeros(0)
    if bias.shape != (K,) or not np.isfinite(bias).all():
        raise NumericsError(f"b must be {K} finite numbers, one for each class")
    return bias
