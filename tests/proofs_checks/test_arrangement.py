"""Certified activation patterns: reports, certificates, what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.arrangement import KIND, arrangement
from proofs_checks.audit import KINDS
from proofs_checks.audit import arrangement as kernel
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError


@pytest.fixture(autouse=True, scope="module")
def kind_is_known() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, KIND, kernel.check)
        yield


def test_the_kernel_knows_the_kind_by_this_name() -> None:
    assert f'Kind "{KIND}"' in (kernel.__doc__ or "")


@given(
    st.integers(1, 4).flatmap(
        lambda d: st.lists(
            st.lists(
                st.integers(-2, 2) | st.sampled_from([0.1 + 0.2, 0.3]), min_size=d, max_size=d
            ),
            min_size=1,
            max_size=7,
        )
    ),
    st.sampled_from(["count", "tree"]),
    st.booleans(),
)
def test_degenerate_data_are_certified(X: list[list[float]], certify: Any, listed: bool) -> None:
    report = arrangement(X, certify=certify, listed=listed)
    assert report.rigor is Rigor.PROVED and report.reason == ""
    assert report.complete and report.count == len(report.patterns) == len(report.directions)
    assert report.certificate is not None
    claim = report.certificate.claim
    assert claim["count"] == report.count
    assert len(claim["patterns"]) == (report.count if listed else 0)


@pytest.mark.parametrize("certify", ["count", "tree"])
@pytest.mark.parametrize(("n", "d"), [(9, 2), (20, 3), (12, 4), (8, 6)])
def test_general_position_is_certified(n: int, d: int, certify: Any) -> None:
    X = np.random.default_rng(n * d).standard_normal((n, d))
    report = arrangement(X, certify=certify)
    assert report.rigor is Rigor.PROVED
    assert report.count == 2 * sum(math.comb(n - 1, k) for k in range(d))


def test_the_audit_says_what_is_proved() -> None:
    report = arrangement(list(itertools.product([-1, 1], repeat=3)), listed=True)
    assert report.certificate is not None
    reason = report.certificate.audit().reason
    assert reason == "proved: 8 points in R^3 have exactly 14 activation patterns: those listed"


def test_samples_prove_nothing() -> None:
    X = np.random.default_rng(0).standard_normal((15, 3))
    report = arrangement(X, sample=5, seed=2)
    assert not report.complete and report.count is None and report.certificate is None
    assert report.rigor is Rigor.NUMERICAL and "samples" in report.reason
    assert 1 <= len(report.patterns) <= 10


def test_no_certificate_no_proof() -> None:
    report = arrangement([[1.0, 2.0]], certify=None)
    assert report.complete and report.certificate is None and report.rigor is Rigor.NUMERICAL


def test_a_certificate_that_is_refused_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(KINDS, KIND)
    report = arrangement([[1.0, 2.0]])
    assert report.rigor is Rigor.NUMERICAL and "unknown kind" in report.reason


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        ([], {}, "empty"),
        ([[1.0], [math.nan]], {}, r"X\[1\]\[0\] is nan"),
        ([[1.0], [1.0, 2.0]], {}, "complete the rows"),
        ([[1.0]], {"certify": "all"}, "give 'count', 'tree' or None"),
        ([[1.0]], {"sample": 0}, "at least one direction"),
        (np.eye(20), {}, "more than 200000 activation patterns"),
    ],
)
def test_bad_input(X: Any, options: Any, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        arrangement(X, **options)
