"""Strategies compose, keep to their domains, and refuse bad arguments when they are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs

from lemmata import strategies as st
from proofs_checks.conjectures.samples import Domain
from proofs_checks.strategies.numbers import LOSSES
from tests.proofs_checks.strategies_drawn import drawn
from theory.errors import LemmataError


@hs.composite
def pairs(draw: Any) -> tuple[Any, Any]:
    n = draw(st.dimensions(3))
    return draw(st.matrices(n, n)), draw(st.orthogonal_matrices(n))


@given(
    pairs(),
    st.record(A=st.gram_matrices(2), eta=st.step_sizes(0.5), k=7),
    st.vectors(3).map(lambda x: x / 2),
    st.losses(classification=True),
)
def test_composition(pair: Any, case: Any, half: Any, name: str) -> None:
    A, Q = pair
    assert (A @ Q).shape == A.shape and np.asarray(Q + A).shape == A.shape
    assert case.A.shape == (2, 2) and 0 < case.eta <= 0.5 and case.k == 7
    assert np.linalg.eigvalsh(case.A)[0] >= -1e-9 * (1 + np.abs(case.A).max())
    assert half.shape == (3,) and name in LOSSES and name != "squared"


BAD: list[Callable[[], Any]] = [
    lambda: st.reals(1, 0),
    lambda: st.reals(0, 0, exclude_low=True),
    lambda: st.reals(float("nan")),
    lambda: st.reals("0"),  # type: ignore[arg-type]
    lambda: st.positive(0),
    lambda: st.step_sizes(-1),
    lambda: st.integers(2, 1),
    lambda: st.integers(0, 1.5),  # type: ignore[arg-type]
    lambda: st.dimensions(0),
    lambda: st.dimensions(100),
    lambda: st.vectors(0),
    lambda: st.vectors(True),
    lambda: st.vectors((3, 2)),
    lambda: st.vectors((1, 2, 3)),  # type: ignore[arg-type]
    lambda: st.matrices(2.0, 2),  # type: ignore[arg-type]
    lambda: st.matrices(2, 2, low=1, high=0),
    lambda: st.matrices(2, 2, scales="yes"),  # type: ignore[arg-type]
    lambda: st.gram_matrices(3, rank=0),
    lambda: st.kernel_matrices("cubic"),
    lambda: st.matrices_with_spectrum([1, -1]),
    lambda: st.matrices_with_spectrum([]),
    lambda: st.matrices_with_spectrum([1, 2], rows=1),
    lambda: st.matrices_with_spectrum([1, 2], rows=2, symmetric=True),
    lambda: st.record(),
    lambda: st.record(_a=st.reals()),
    lambda: st.losses(classification=3),  # type: ignore[arg-type]
    lambda: st.orthogonally_separable(mu=0),
    lambda: st.orthogonally_separable(mu=1.0),
    lambda: st.separable(margin=-1),
    lambda: st.xor(d=1),
    lambda: st.parities(3, 2),
    lambda: st.parities(2, 60),
    lambda: st.gaussian_mixtures(sigma=-0.5),
    lambda: st.orthogonal_clusters(spread=float("inf")),
    lambda: st.relu_networks(balanced="yes"),  # type: ignore[arg-type]
    lambda: st.relu_networks(loss="hinge"),
    lambda: st.relu_networks(data=3),  # type: ignore[arg-type]
    lambda: st.relu_networks(eps=0),
    lambda: st.prelu_networks("1/2"),
    lambda: st.prelu_networks("1/0"),
    lambda: st.linear_networks(0),
    lambda: st.linear_networks(2, shapes=[1, 2]),
    lambda: st.diagonal_networks(9),
    lambda: st.minimax_operators(L=0),
    lambda: st.minimax_operators(kind="cubic"),
    lambda: st.minimax_operators(kind="bilinear", weak_minty=True),
]


@pytest.mark.parametrize("make", BAD, ids=range(len(BAD)))
def test_bad_arguments_are_refused_when_the_strategy_is_made(make: Callable[[], Any]) -> None:
    with pytest.raises(LemmataError, match=r"\w"):
        make()


@pytest.mark.parametrize(
    ("strategy", "match"),
    [
        (st.vectors(hs.just(0)), "sizes lie between"),
        (st.orthogonally_separable(mu=hs.just(2.0)), "mu=2.0"),
        (st.relu_networks(data=st.vectors()), "X of shape"),
        (st.orthogonal_clusters(3, d=2), "sizes lie between"),
        (st.matrices_with_spectrum(hs.just([-1.0])), "not negative"),
    ],
)
def test_bad_draws_are_refused(strategy: Any, match: str) -> None:
    with pytest.raises(LemmataError, match=match):
        drawn(strategy)


def test_domains_are_kept() -> None:
    for x in drawn(st.reals(0.1, 0.3, exclude_low=True, exclude_high=True), 100):
        assert 0.1 < x < 0.3
    for x in drawn(st.positive(), 100):
        assert x > 0 and x.domain == Domain(0.0, open_low=True, log=True)
    for A in drawn(st.matrices(2, 2, low=-0.25, high=0.5), 100):
        assert A.min() >= -0.25 and A.max() <= 0.5 and A.domain.high == 0.5
