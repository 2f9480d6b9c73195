"""What earlier mends broke: sizes of certificates, digits that multiply, searches left out at small beta."""

from __future__ import annotations

import random
import time
from fractions import Fraction

import numpy as np
import pytest

import lemmata as lm
from proofs_checks.audit import audit_file
from proofs_checks.audit.core import MAX_BYTES

# rows from 1e-5 to 1e5, with a beta far below the greatest one
ROWS = (
    (-0.0013535538214952383, 0.0004248735516127132, 0.001805111791414765),
    (-108214.87041635018, 22286.374130433844, -91512.09914301918),
    (-24164.292834126078, 38880.19298496046, -132723.7195368983),
    (0.004081791735863821, 0.06452695365517681, -0.08436065134546578),
    (0.898940389777361, -0.39154724658109114, -1.1449494292063058),
    (59.6396974835768, -83.52858737850323, 181.07086565244907),
    (0.40853701977355933, 0.3837763713533915, -1.896957580757857),
    (1.6191496548832367e-05, -1.9886792764112115e-06, 2.4811581287216926e-06),
    (3544.4552427354647, 4809.762233206951, -15140.342335749718),
    (-447.12324089666384, 684.8041806322345, 541.6513248563566),
    (-4.341885047484184e-05, 1.3916669795753193e-05, 1.8088886642387233e-05),
    (1.0293213214646588e-05, -6.994109760301678e-06, -9.922042713185124e-06),
)
TARGETS = (1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.0, -1.0)  # fmt: skip
BETA = 0.0005076515112182538


def test_a_margin_with_a_certificate_too_long_to_be_audited_is_not_proved(tmp_path):
    draw = random.Random(1)
    q = 10**1900 + 7
    X = [[Fraction(draw.randrange(1, q), q) for _ in range(2)] for _ in range(1150)]
    X[1] = X[0]  # with both labels: the margin is 0
    found = lm.margin(X, [1, -1] * 575)
    assert (found.lower, found.upper) == (0.0, 0.0)
    if found.certificate is None:
        assert found.rigor == lm.Rigor.NUMERICAL and found.reason
    else:
        found.certificate.write(tmp_path / "certificate.json")
        assert audit_file(tmp_path / "certificate.json").accepted


def test_the_audit_of_a_certificate_is_that_of_its_file(tmp_path):
    certificate = lm.margin([[1, 0], [-1, 0]], [1, -1]).certificate
    padded = type(certificate)(
        certificate.kind, certificate.claim, certificate.inputs, {"padding": "0" * MAX_BYTES}
    )
    padded.write(tmp_path / "long.json")
    assert audit_file(tmp_path / "long.json").accepted is None
    assert padded.audit().accepted is None


@pytest.mark.parametrize("span", [100, 300])
def test_entries_of_any_size_are_decided_without_numbers_that_outgrow_memory(span):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((6, 6)) * 10.0 ** rng.uniform(-span, span, (6, 6))
        start = time.process_time()
        lm.collapse_feasibility(X, ["0", "1"] * 3)
        assert time.process_time() - start < 4.0


def test_small_beta_is_solved_where_a_search_from_nothing_solves_it():
    start = time.process_time()
    found = lm.convex_relu(ROWS, TARGETS, beta=BETA, bias=True)
    assert (found.status, found.rigor) == ("solved", lm.Rigor.PROVED), found.reason
    assert found.objective == pytest.approx(1.2989170107403818, rel=1e-6)
    assert time.process_time() - start < 15.0
