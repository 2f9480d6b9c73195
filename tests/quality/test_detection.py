"""A quick part of `benchmarks.detection`: some planted statements of every topic are found, true ones survive."""

from __future__ import annotations

import pytest

from benchmarks.detection import Subject, is_static, planted, row, true
from proofs_checks.conjectures.report import SearchStatus
from proofs_checks.conjectures.targets import refute
from proofs_checks.registry import all_statements
from proofs_checks.verdict import Rigor

WRONG = {s.name: s for s in planted()}
TRUE = {s.name: s for s in true()}
CASES = 300
QUICK = (
    "planted/C_w",
    "planted/half-an-escape",
    "planted/growth-rate-too-small",
    "planted/conserved-by-descent",
    "planted/lost-square",
    "planted/weights",
    "planted/price-up-to-2-beta",
    "planted/half-missing-dual",
    "planted/all-die-together",
    "planted/frame-minority",
    "planted/one-wrong-class",
    "planted/infeasible",
    "planted/one-coordinate-less",
    "planted/no-degree",
    "planted/zeroth-kernel",
    "planted/strict",
    "planted/half-square",
    "nuclear_norm_quarter",
    "imbalance_conserved",
)
SURVIVORS = (
    "early-alignment/norm-bound",
    "linear-networks/imbalance-descent",
    "convex-relu/lower-bound",
    "collapse/upfm-ce-zero-threshold",
    "collapse/cover-wendel",
    "margins/parity-f2",
    "margins/perceptron-mistakes",
    "log_sum_exp",
)
FEW = {"early-alignment/norm-bound": 48, "margins/parity-f2": 12, "collapse/cover-wendel": 8}


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_statement_is_refuted(name: str) -> None:
    subject = WRONG[name]
    found = row(subject, refute(subject.target, cases=CASES))
    assert found.status == SearchStatus.REFUTED, found.reason
    assert found.as_it_must_be, found.reason
    assert found.certified is (found.rigor == Rigor.PROVED)
    assert found.entries is not None and found.entries <= 12, found.shapes


@pytest.mark.parametrize("name", SURVIVORS)
def test_a_true_statement_survives(name: str) -> None:
    subject = TRUE[name]
    found = row(subject, refute(subject.target, cases=FEW.get(name, 60)))
    assert found.status == SearchStatus.SURVIVED, found.reason
    assert found.as_it_must_be and found.deciding > 0


def test_every_topic_and_every_registered_statement_has_planted_versions() -> None:
    assert {s.topic for s in WRONG.values()} == {s.topic for s in TRUE.values()}
    assert len(planted()) >= 100 and len(WRONG) >= 0.9 * len(planted())
    assert set(all_statements()) <= set(TRUE)


def test_static_is_what_can_be_derived_again() -> None:
    static = {id: is_static(s) for id, s in all_statements().items()}
    assert not any(static[id] for id in static if id.startswith("early-alignment/"))
    assert not static["collapse/cover-wendel"] and not static["linear-networks/imbalance-flow"]
    assert static["linear-networks/imbalance-descent"] and static["convex-relu/lower-bound"]


def test_a_row_that_is_not_as_it_must_be_is_noticed() -> None:
    report = refute(WRONG["planted/strict"].target, cases=20)
    subject = WRONG["planted/strict"]
    assert row(subject, report).as_it_must_be
    as_true = Subject(subject.topic, subject.name, subject.target, True, wrong=False)
    assert not row(as_true, report).as_it_must_be
