"""Planted wrong versions of the statements on collapse: a default case refutes each, and not the true one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest

from proofs_checks import collapse_cases as cases
from proofs_checks.collapse_cases import FeatureCase, GaussianCase
from proofs_checks.static import judge
from proofs_checks.verdict import Status
from tests.quality.planted_tools import planted, redefine
from theory import collapse as c
from theory import collapse_thresholds as th
from theory.collapse_setting import K, L, N, entropy, lambda_H, lambda_W, n, n_min, t, tau
from theory.quantity import amax, amin, equals, log, minimum, sqrt, step, total, var
from theory.quantity import quantity as number
from theory.statement import Statement


def redefined(true: Statement, words: str, name: str, value: object) -> Statement:
    return planted(true, words, definitions=redefine(true, name, value))  # type: ignore[arg-type]


def restated(true: Statement, words: str, value: object) -> Statement:
    """A value statement with another right side."""
    (part,) = true.parts
    relation = equals(part.relation.lhs, value)  # type: ignore[arg-type]
    return planted(true, words, parts=(replace(part, relation=relation),))


WRONG: list[tuple[Statement, Statement]] = [
    # the value of squares
    (
        c.UFM_MSE_VALUE,
        redefined(c.UFM_MSE_VALUE, "threshold-without-root", "m", minimum(L, 1 / (K * n))),
    ),
    (c.UFM_MSE_VALUE, redefined(c.UFM_MSE_VALUE, "sum-not-mean", "m", minimum(L / N, sqrt(n) / N))),
    (c.UFM_MSE_VALUE, redefined(c.UFM_MSE_VALUE, "lambda-not-root", "L", lambda_W * lambda_H)),
    (c.UFM_MSE_VALUE, restated(c.UFM_MSE_VALUE, "no-half", total(c.m * sqrt(n) - N * c.m**2, "j"))),
    (c.UFM_MSE_VALUE, redefined(c.UFM_MSE_VALUE, "always-alive", "m", L + 0 * n)),
    (
        c.UPFM_MSE_VALUE,
        redefined(
            c.UPFM_MSE_VALUE, "frame-threshold", "m", minimum(L, sqrt(n) / N * sqrt((K - 1) / K))
        ),
    ),
    # free biases
    (
        c.UFM_MSE_BIAS_VALUE,
        restated(
            c.UFM_MSE_BIAS_VALUE, "all-directions", K * (c.m_1 * sqrt(n_min) - N * c.m_1**2 / 2)
        ),
    ),
    (
        c.UPFM_MSE_BIAS_VALUE,
        redefined(
            c.UPFM_MSE_BIAS_VALUE, "simplex-energy", "g", minimum((K - 1) * L * sqrt(n_min), c.q)
        ),
    ),
    (
        c.UPFM_MSE_BIAS_VALUE,
        redefined(c.UPFM_MSE_BIAS_VALUE, "no-root", "g", minimum(L * (K * (K - 1) * n_min), c.q)),
    ),
    # entropies
    (
        c.UFM_CE_VALUE,
        redefined(c.UFM_CE_VALUE, "sum-not-mean-ce", "t", minimum(L * sqrt(n_min) / N, 1 / K)),
    ),
    (
        c.UFM_CE_VALUE,
        redefined(
            c.UFM_CE_VALUE, "frame-energy", "t", minimum(L * sqrt(n_min) * sqrt(K / (K - 1)), 1 / K)
        ),
    ),
    (c.UFM_CE_VALUE, restated(c.UFM_CE_VALUE, "bits", entropy(t) / log(number(2)))),
    (
        c.UFM_CE_VALUE,
        restated(c.UFM_CE_VALUE, "one-wrong-class", entropy(t) + (K - 2) * (t * log(t))),
    ),
    (
        c.UPFM_CE_VALUE,
        redefined(
            c.UPFM_CE_VALUE, "simplex-energy-ce", "tau", minimum(1 / K, N * L / (K * sqrt(n)))
        ),
    ),
    (
        c.UPFM_CE_VALUE,
        redefined(
            c.UPFM_CE_VALUE,
            "balanced-threshold",
            "tau",
            minimum(1 / K, N * L / sqrt(K * (K - 1) * (N / K)) + 0 * n),
        ),
    ),
    (
        c.UPFM_CE_VALUE,
        restated(c.UPFM_CE_VALUE, "classes-weigh-alike", total(entropy(tau), "j") / K),
    ),
    # thresholds
    (th.UFM_CE_ZERO, redefined(th.UFM_CE_ZERO, "zero-without-root", "L_0", 1 / (K * n_min))),
    (th.UFM_CE_ZERO, redefined(th.UFM_CE_ZERO, "zero-sum-loss", "L_0", 1 / sqrt(n_min))),
    (
        th.UFM_CE_ZERO,
        redefined(th.UFM_CE_ZERO, "zero-swapped", "L_0", 1 / (K * sqrt(n_min)) * sqrt((K - 1) / K)),
    ),
    (th.UFM_CE_ZERO, planted(th.UFM_CE_ZERO, "log-missing", parts=th._dies(number(1), number(0)))),
    (th.UFM_CE_ZERO, redefined(th.UFM_CE_ZERO, "wrong-way", "alive", step(L - th.L_0))),
    (th.UPFM_CE_ZERO, redefined(th.UPFM_CE_ZERO, "class-zero-swapped", "L_0", sqrt(n) / N)),
    (
        th.UPFM_CE_ZERO,
        redefined(th.UPFM_CE_ZERO, "class-zero-without-root", "L_0", n / N * sqrt((K - 1) / K)),
    ),
    (
        th.UPFM_CE_ZERO,
        redefined(
            th.UPFM_CE_ZERO,
            "all-die-together",
            "L_0",
            amax(sqrt(n) / N * sqrt((K - 1) / K), "j") + 0 * n,
        ),
    ),
    (th.MINORITY, redefined(th.MINORITY, "majority-threshold", "L_0", sqrt(amax(n, "j")) / N)),
    (th.MINORITY, redefined(th.MINORITY, "minority-without-root", "L_0", amin(n, "j") / N)),
    (th.MINORITY, redefined(th.MINORITY, "balanced-formula", "L_0", 1 / (K * sqrt(var("n_B"))))),
    (th.MINORITY, redefined(th.MINORITY, "frame-minority", "L_0", sqrt(var("n_B")) / N / 2)),
    # the dual
    (
        th.UPFM_CE_DUAL,
        redefined(
            th.UPFM_CE_DUAL, "within-classes-too", "B", th.gamma * th.gamma_i / K + 0 * th.same
        ),
    ),
    (
        th.UPFM_CE_DUAL,
        redefined(
            th.UPFM_CE_DUAL, "off-class-too-large", "B", th.gamma * th.gamma_i * (1 - th.same)
        ),
    ),
    (
        th.UPFM_CE_DUAL,
        redefined(
            th.UPFM_CE_DUAL,
            "infeasible",
            "gamma_sq",
            minimum(1 / N**2, K**2 * lambda_W * lambda_H / ((K - 1) * n)),
        ),
    ),
]
P_AT: list[tuple[str, object]] = [
    ("one-coordinate-less", step(var("d") - var("n") - th.r)),
    ("all-points-of-all-classes", step(var("d") + 1 - th.r)),
    ("k-for-k-minus-one", step(var("d") - 2 * var("n") + 1 - th.r)),
]
for words, inside in P_AT:
    wrong = total(th.binomial * inside, "j") / total(th.binomial, "j")  # type: ignore[operator]
    WRONG.append((th.COVER_WENDEL, redefined(th.COVER_WENDEL, words, "P", wrong)))


MAKERS: dict[str, Callable[[], list[FeatureCase] | list[GaussianCase]]] = {
    "ufm": cases.ufm,
    "upfm": cases.upfm,
    "gaussian-points": cases.gaussian,
}


@cache
def statuses(model: str) -> list[dict[str, Status]]:
    """For every default case of a model the status of each statement, true or wrong, by id."""
    every = {s.id: s for pair in WRONG for s in pair if s.setting.model == model}
    return [
        {v.statement: v.status for v in judge(list(every.values()), case)}
        for case in MAKERS[model]()
    ]


@pytest.mark.parametrize("true,wrong", WRONG, ids=[w.id for _, w in WRONG])
def test_a_default_case_refutes_it(true: Statement, wrong: Statement) -> None:
    refuted = 0
    for found in statuses(true.setting.model):
        assert found[true.id] in (Status.HOLDS, Status.VACUOUS)
        if found[wrong.id] is Status.VIOLATED:
            assert found[true.id] is Status.HOLDS
            refuted += 1
    assert refuted


def test_every_statement_has_planted_versions() -> None:
    assert {true.id for true, _ in WRONG} == {s.id for s in c.STATEMENTS}
    assert len({wrong.id for _, wrong in WRONG}) == len(WRONG)


# -- refuted by hand, without certificates, solvers or the judge ----------------------------------------------------
@dataclass(frozen=True)
class Pair:
    """Free features for three classes of four points: a network's objective and a dual bound, by one logit each."""

    L: float

    def objective(self, a: float) -> float:
        return math.log(1 + 2 * math.exp(-a)) + self.L * 2 * a * 2

    def bound(self, p: float) -> float:
        assert p <= self.L * 2 and p <= 1 / 3
        return -(1 - 2 * p) * math.log(1 - 2 * p) - 2 * p * math.log(p)


@pytest.mark.parametrize("true,wrong", [w for w in WRONG if w[0] is c.UFM_CE_VALUE])
def test_entropies_are_refuted_by_a_network_or_a_dual(true: Statement, wrong: Statement) -> None:
    from flint import arb

    from proofs_checks.claims.collapse import sizes
    from proofs_checks.static_values import StaticValues

    case = FeatureCase.create("ufm", "ce", (4, 4, 4), lambda_W="1/10", lambda_H="1/10")
    pair = Pair(0.1)
    above = min(pair.objective(k / 1000) for k in range(1, 4000))
    below = pair.bound(0.2)

    def value(s: Statement) -> float:
        (part,) = s.parts
        data = s.expand(part.relation).rhs.to_data()
        return float(arb(StaticValues(sizes(case), {"n": "j"}).evaluate(data)).mid())

    assert below - 1e-9 <= value(true) <= above + 1e-9
    assert not below - 1e-4 <= value(wrong) <= above + 1e-4
