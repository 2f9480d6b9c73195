"""Case sets: deterministic, within the hypotheses they are made for, and deciding."""

from __future__ import annotations

import math
from collections import Counter

import mpmath as mp
import numpy as np
import pytest

from proofs_checks import api, cases
from proofs_checks.batch import Batch
from proofs_checks.case import Case
from proofs_checks.claims.early_alignment import EarlyAlignmentClaim
from proofs_checks.data import shipped
from proofs_checks.verdict import Status
from theory import early_alignment as ea
from theory.errors import LemmataError

DECIDING = (ea.NORM_BOUND, ea.DIRECTION_BOUND, ea.PHASE_LENGTH)


@pytest.mark.parametrize("n,d,spread", [(2, 1, 1.0), (4, 2, 0.6), (20, 10, 1.0), (7, 3, 0.1)])
def test_synthetic_data_are_separable(n: int, d: int, spread: float) -> None:
    X, y = cases.orthogonally_separable(n=n, d=d, seed=3, spread=spread)
    Z = X * y[:, None]
    lengths = np.linalg.norm(Z, axis=1)
    assert (Z @ Z.T > 0).all() and (Z >= 0).all()
    assert lengths.min() >= 0.5 - 1e-12 and lengths.max() <= 1 + 1e-12
    assert Counter(y.tolist()) == {1.0: -(-n // 2), -1.0: n // 2}


def test_a_smaller_spread_puts_points_closer_together() -> None:
    def mu(spread: float) -> float:
        X, y = cases.orthogonally_separable(n=6, d=3, seed=0, spread=spread)
        U = X * y[:, None] / np.linalg.norm(X, axis=1)[:, None]
        return float((U @ U.T).min())

    assert mu(1.0) < mu(0.6) < mu(0.1) < 1


@pytest.mark.parametrize(
    "bad", [{"n": 1}, {"d": 0}, {"spread": 0.0}, {"spread": 1.5}, {"spread": math.nan}]
)
def test_bad_arguments_of_synthetic_data(bad: dict[str, float]) -> None:
    with pytest.raises(LemmataError, match="need n >= 2, d >= 1 and 0 < spread <= 1"):
        cases.orthogonally_separable(**{"n": 4, "d": 2, "seed": 0, **bad})  # type: ignore[arg-type]


def hashes(found: list[Case]) -> list[str]:
    return [c.hash for c in found]


def test_sets_are_determined_by_the_seed_and_the_count() -> None:
    first, again, other = (cases.default(count=12, seed=seed) for seed in (4, 4, 5))
    assert hashes(first) == hashes(again)
    assert not set(hashes(first)) & set(hashes(other))
    assert len(set(hashes(first))) == 12


def test_the_default_set_is_spread_evenly() -> None:
    found = cases.default(count=14, seed=0)
    assert sorted(Counter(c.name for c in found).values()) == [4, 5, 5]
    assert len({c.loss for c in found}) == 2
    losses = Counter(c.loss for c in cases.default(count=12, seed=0))
    assert losses == {"exponential": 6, "logistic2": 6}


def test_more_cases_extend_the_set() -> None:
    """On separable data the first cases do not depend on how many follow, apart from the scales drawn together."""
    X, y = cases.orthogonally_separable(n=4, d=2, seed=0)
    few, many = cases.on(X, y, count=4), cases.on(X, y, count=8)
    for a, b in zip(few, many[:4], strict=True):
        assert np.allclose(a.W0 / np.linalg.norm(a.W0), b.W0 / np.linalg.norm(b.W0))


def test_every_case_meets_the_hypotheses_of_the_norm_bound() -> None:
    for case in cases.default(count=24, seed=1):
        norms = np.linalg.norm(case.X, axis=1), np.linalg.norm(case.W0, axis=1)
        log_product = (
            math.log(4 * math.sqrt(case.h) * norms[0].max() * norms[1].max() ** 2) + case.log_eps
        )
        assert case.balanced and log_product <= 1e-12
        assert 0.5 * math.log(case.h) + case.log_eps < 0


def test_alignment_is_decided_on_every_second_network_of_separable_data() -> None:
    X, y = cases.orthogonally_separable(n=4, d=2, seed=0, spread=0.6)
    found = cases.on(X, y, count=12, seed=0)
    (row,) = api.verdicts([ea.ALIGNMENT_TIME], found)
    assert {v.status for v in row} <= {Status.HOLDS, Status.VACUOUS}
    scaled = [v.status for k, v in enumerate(row) if (k // 2) % 2 == 1]
    assert scaled == len(scaled) * [Status.HOLDS]


def test_every_case_on_the_digits_decides_what_needs_no_separability() -> None:
    data = shipped(normalise=True)
    found = cases.on_dataset(data, count=16, seed=0)
    rows = api.verdicts([*DECIDING, ea.ALIGNMENT_TIME], found)
    for row in rows[:3]:
        assert [v.status for v in row] == 16 * [Status.HOLDS], [
            v.reason for v in row if v.status is not Status.HOLDS
        ]
    for verdict in rows[3]:
        assert verdict.status is Status.VACUOUS
        assert (
            "μ-orthogonal separability fails" in verdict.reason and "have cosine" in verdict.reason
        )


def test_the_scale_of_alignment() -> None:
    X, y = cases.orthogonally_separable(n=4, d=3, seed=1, spread=0.5)
    W0, signs = cases.initialisation(h=4, d=3, seed=1)
    case = Case.create(X, y, W0=W0, signs=signs, eps=0.1)
    exact, slack = cases.alignment_scale(case, slack=1.0), cases.alignment_scale(case, slack=2.0)
    extra = 0.5 * math.log(case.h)
    assert slack.log_eps + extra == pytest.approx(2 * (exact.log_eps + extra), rel=1e-12)
    assert api.check(ea.ALIGNMENT_TIME, slack).status is Status.HOLDS
    assert (
        api.check(ea.ALIGNMENT_TIME, cases.alignment_scale(case, slack=0.9)).status
        is Status.VACUOUS
    )
    # a scale that is small enough is kept
    assert (
        cases.alignment_scale(case.replace(log10_eps=-5000.0)).log_eps
        == case.replace(log10_eps=-5000.0).log_eps
    )
    with pytest.raises(
        LemmataError, match=r"no alignment time: points \d and \d .* use data with mu > 0"
    ):
        cases.alignment_scale(case.replace(y=-case.y * np.array([1, 1, 1, -1])))


def test_bad_arguments_of_sets() -> None:
    X, y = cases.orthogonally_separable(n=4, d=2, seed=0)
    for call in (
        lambda: cases.default(count=0),
        lambda: cases.on(X, y, count=0),
        lambda: cases.on(X, y, count=1, h=0),
    ):
        with pytest.raises(LemmataError, match="at least"):
            call()
    with pytest.raises(LemmataError, match="all points are zero"):
        cases.on(np.zeros((2, 2)), [1.0, -1.0], count=1)


def test_the_three_points_of_boursier_and_flammarion() -> None:
    """The least-squares line through the three points has the mean squared error 512/2925 exactly."""
    case = cases.three_points(eps=1e-3, h=6, seed=1)
    assert case.loss == "squared" and case.reduction == "mean" and case.weight == 1 / 3
    beta, residual, *_ = np.linalg.lstsq(case.X, case.y, rcond=None)
    assert residual[0] / 3 == pytest.approx(512 / 2925, rel=1e-12)
    assert beta == pytest.approx([-0.06154, 0.64359], abs=1e-5)
    # no statement of early alignment speaks of the squared loss
    assert api.check(ea.NORM_BOUND, case).status is Status.VACUOUS


# -- the numbers of a case ------------------------------------------------------------------------------------------
def exact_numbers(case: Case) -> dict[str, mp.mpf]:
    """μ, gap and escape by their definitions, in 60 digits."""
    X, W = ([[mp.mpf(float(a)) for a in row] for row in array] for array in (case.X, case.W0))

    def dot(a: list[mp.mpf], b: list[mp.mpf]) -> mp.mpf:
        return sum((p * q for p, q in zip(a, b, strict=True)), mp.mpf(0))

    def norm(a: list[mp.mpf]) -> mp.mpf:
        return mp.sqrt(dot(a, a))

    y, points = case.y, range(case.n)
    mu = min(
        y[i] * y[k] * dot(X[i], X[k]) / (norm(X[i]) * norm(X[k])) for i in points for k in points
    )
    gap, escape = mu * min(map(norm, X)), mp.mpf(0)
    for w, v in zip(W, case.v0, strict=True):
        opposite = [X[i] for i in points if y[i] * v < 0]
        own = [X[i] for i in points if y[i] * v > 0]
        if all(dot(w, x) > 0 for x in opposite) and all(dot(w, x) <= 0 for x in own):
            total = [sum(c, mp.mpf(0)) for c in zip(*opposite, strict=True)]
            part = dot(w, total) / dot(total, total)
            sine = norm([a - part * b for a, b in zip(w, total, strict=True)]) / norm(w)
            cosine = part * norm(total) / norm(w)
            gap = min(gap, norm(total) * sine)
            escape = max(escape, mp.log((1 + cosine) / sine) / norm(total))
    return {"mu": mu, "gap": gap, "escape": escape}


@pytest.mark.parametrize("exponent", [0.5, 1, 2, 4, 6, 8, 10])
@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_numbers_lie_within_their_radii(exponent: float, spread: float) -> None:
    """Also where a neuron starts at a tiny angle φ from x_-: gap = ‖x_-‖ sin φ, escape = log cot(φ/2)/‖x_-‖."""
    angle = 10.0**-exponent
    z = np.stack([np.ones(4), spread * np.array([-0.75, -0.2, 0.3, 0.75])], axis=1)
    y = np.array([1.0, -1.0, 1.0, -1.0])
    X = y[:, None] * z
    base = X[y < 0].sum(axis=0)
    start = np.cos(angle) * base + np.sin(angle) * np.array([-base[1], base[0]])
    case = Case.create(X, y, W0=[start, [-0.3, 0.8]], signs=[1.0, -1.0], eps=0.1)
    claim = EarlyAlignmentClaim(Batch((case,)), ())
    with mp.workdps(60):
        for name, exact in exact_numbers(case).items():
            value, radius = (float(a[0]) for a in claim.lane_value(["var", name]))
            assert abs(mp.mpf(value) - exact) <= radius, name
            assert radius <= 1e-9 * abs(value) / angle, name
