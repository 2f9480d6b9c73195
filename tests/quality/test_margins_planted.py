"""Detection power: wrong versions of the statements about margins are violated, the true ones hold on the same case.

Each wrong version comes with both sides of its relation on its case, computed here without the library.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest

from proofs_checks.margin_cases import (
    ParityCase,
    PerceptronCase,
    UpdateCase,
    parities,
    perceptrons,
    updates,
)
from proofs_checks.static import StaticCase, judge
from proofs_checks.verdict import Rigor, Status
from tests.quality.planted_tools import drop, planted, redefine
from theory import margins as tm
from theory.quantity import PI, Quantity, Relation, acos, equals, inner, sqnorm, sqrt, total, var
from theory.statement import Statement

Sides = tuple[float, float]


@dataclass(frozen=True)
class Wrong:
    """A wrong version, the true statement, a case, and the two sides on it."""

    statement: Statement
    true: Statement
    case: StaticCase
    sides: Callable[[], Sides]


def other(true: Statement, name: str, relation: Relation) -> Statement:
    """The statement with another relation in its only part."""
    (part,) = true.parts
    return planted(true, name, parts=(replace(part, relation=relation),))


XOR, FOUR, FREE = ParityCase(3, 2), ParityCase(4, 4), ParityCase(5, 4)
D, K, gamma_1, gamma_2 = tm.D, tm.K, tm.gamma_1, tm.gamma_2
central, power = tm.central, var("power")


def gamma_f1(d: int, k: int) -> float:
    return math.comb(k - 2, k // 2 - 1) / 2 ** (k - 1) / math.sqrt(k * d)


def mean_f2(d: int, k: int, kappa: Callable[[float], float], *, labels: bool = True) -> float:
    """The mean over all sign vectors of label times κ(mean)."""
    total = 0.0
    for s in itertools.product((-1, 1), repeat=d):
        total += (math.prod(s[:k]) if labels else 1) * kappa(sum(s) / d)
    return total / 2**d


def kappa_1(t: float) -> float:
    return t * (math.pi - math.acos(t)) / (2 * math.pi)


def parity(name: str, true: Statement, case: ParityCase, rhs: Quantity, value: float) -> Wrong:
    wrong = other(true, name, equals(gamma_1, rhs))
    return Wrong(wrong, true, case, lambda: (gamma_f1(case.d, case.k), value))


PARITIES = [
    parity("factor-two", tm.XOR_F1, XOR, 2 / sqrt(8 * D), 2 / math.sqrt(24)),
    parity("no-root", tm.XOR_F1, XOR, 1 / (8 * D), 1 / 24),
    parity("four", tm.XOR_F1, XOR, 1 / sqrt(4 * D), 1 / math.sqrt(12)),
    parity("no-dimension", tm.XOR_F1, XOR, 1 / sqrt(var("central") * 8), 1 / math.sqrt(8)),
    parity(
        "binomial",
        tm.PARITY_F1,
        FOUR,
        central * (K - 1) / (K / 2) / (power * sqrt(K * D)),
        math.comb(3, 1) / 8 / 4,
    ),
    parity(
        "power", tm.PARITY_F1, FREE, central / (2 * power * sqrt(K * D)), 2 / 16 / math.sqrt(20)
    ),
    parity("no-degree", tm.PARITY_F1, FREE, central / (power * sqrt(D)), 2 / 8 / math.sqrt(5)),
    parity("no-roots", tm.PARITY_F1, FREE, central / (power * K * D), 2 / 8 / 20),
    parity("xor-for-all", tm.PARITY_F1, FREE, 1 / sqrt(8 * D), 1 / math.sqrt(40)),
]


def features(name: str, mean: Quantity, value: Callable[[], float]) -> Wrong:
    wrong = planted(tm.PARITY_F2, name, definitions=redefine(tm.PARITY_F2, "kappa_mean", mean))
    return Wrong(wrong, tm.PARITY_F2, FREE, lambda: (mean_f2(5, 4, kappa_1), value()))


t, chi, n = tm.t, tm.chi, var("n")
FEATURES = [
    features(
        "kernel-of-both-layers",
        total(chi * t * (PI - acos(t)) / PI, "i") / n,
        lambda: 2 * mean_f2(5, 4, kappa_1),
    ),
    features(
        "without-labels",
        total(tm.kappa_1(t), "i") / n,
        lambda: mean_f2(5, 4, kappa_1, labels=False),
    ),
    features(
        "sum",
        total(chi * tm.kappa_1(t), "i"),
        lambda: 32 * mean_f2(5, 4, kappa_1),
    ),
    features(
        "zeroth-kernel",
        total(chi * (PI - acos(t)) / (2 * PI), "i") / n,
        lambda: mean_f2(5, 4, lambda c: (math.pi - math.acos(c)) / (2 * math.pi)),
    ),
    Wrong(
        other(tm.PARITY_F2, "margin-not-squared", equals(gamma_2, var("kappa_mean"))),
        tm.PARITY_F2,
        FREE,
        lambda: (math.sqrt(mean_f2(5, 4, kappa_1)), mean_f2(5, 4, kappa_1)),
    ),
]
# on an even parity the statement about odd ones is vacuous; what holds instead is the closed form
ODD = [
    Wrong(
        planted(tm.PARITY_ODD, "any-parity", hypotheses=drop(tm.PARITY_ODD, tm.ODD.name)),
        tm.PARITY_F1,
        FOUR,
        lambda: (gamma_f1(4, 4), 0.0),
    )
]

# orthonormal points times 2: every point is a mistake once, R² = 4, γ² = 4/n
SIGNS = (1, -1, 1)
ORTHOGONAL = PerceptronCase.create(
    [[2 if a == b else 0 for b in range(3)] for a in range(3)], SIGNS, SIGNS
)
mistakes, gamma_sq, R_sq = var("mistakes"), var("gamma_sq"), var("R_sq")
PERCEPTRON = [
    Wrong(other(tm.PERCEPTRON_MISTAKES, name, relation), tm.PERCEPTRON_MISTAKES, ORTHOGONAL, sides)
    for name, relation, sides in (
        ("twice", 2 * mistakes * gamma_sq <= R_sq, lambda: (2 * 3 * 4 / 3, 4.0)),
        ("radius", mistakes * gamma_sq <= sqrt(R_sq), lambda: (3 * 4 / 3, 2.0)),
        ("not-squared", mistakes * sqrt(gamma_sq) <= sqrt(R_sq), lambda: (3 * 2 / 3**0.5, 2.0)),
        ("strict", mistakes * gamma_sq < R_sq, lambda: (3 * 4 / 3, 4.0)),
        (
            "square-of-mistakes",
            mistakes**2 * gamma_sq <= R_sq,
            lambda: (9 * 4 / 3, 4.0),
        ),
    )
]

UPDATE = UpdateCase.create([1, "1/2"], [0, 2], ["1/3", -1], "1/4")
w, w_bar, g, eta = tm.w, tm.w_bar, tm.g, tm.eta
AFTER = sqnorm(tm.w_next - w_bar)


def expanded(linear: float, quadratic: float) -> Callable[[], Sides]:
    """Both sides for other factors of the linear and of the quadratic term."""
    a, b, slope, step = (1.0, 0.5), (0.0, 2.0), (1 / 3, -1.0), 0.25
    left = sum((p - step * r - q) ** 2 for p, q, r in zip(a, b, slope, strict=True))
    right = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
    right += linear * sum(r * (p - q) for p, q, r in zip(a, b, slope, strict=True))
    return lambda: (left, right + quadratic * sum(r * r for r in slope))


def step(name: str, linear: Quantity, quadratic: Quantity, sides: Callable[[], Sides]) -> Wrong:
    rhs = sqnorm(w - w_bar) + linear * inner(g, w - w_bar) + quadratic * sqnorm(g)
    return Wrong(other(tm.TELESCOPING, name, equals(AFTER, rhs)), tm.TELESCOPING, UPDATE, sides)


STEPS = [
    step("no-two", -eta, eta**2, expanded(-0.25, 0.0625)),
    step("sign", 2 * eta, eta**2, expanded(0.5, 0.0625)),
    step("step-not-squared", -2 * eta, eta, expanded(-0.5, 0.25)),
    step("half-square", -2 * eta, eta**2 / 2, expanded(-0.5, 0.03125)),
]

ALL = [*PARITIES, *FEATURES, *ODD, *PERCEPTRON, *STEPS]


@pytest.mark.parametrize("p", ALL, ids=lambda p: p.statement.id)
def test_it_is_violated_and_the_true_one_holds(p: Wrong) -> None:
    wrong, true = judge([p.statement], p.case)[0], judge([p.true], p.case)[0]
    assert wrong.status is Status.VIOLATED, wrong.reason
    assert true.status is Status.HOLDS, true.reason
    assert wrong.rigor is true.rigor is Rigor.PROVED
    assert "fails with lhs" in wrong.reason


@pytest.mark.parametrize("p", ALL, ids=lambda p: p.statement.id)
def test_the_sides_say_so_without_the_library(p: Wrong) -> None:
    lhs, rhs = p.sides()
    op = p.statement.parts[0].relation.op
    if op == "==":
        assert abs(lhs - rhs) > 1e-3 * max(abs(lhs), abs(rhs))
    else:
        assert lhs > rhs or (op == "<" and lhs == rhs)
    verdict = judge([p.statement], p.case)[0]
    assert verdict.log_lhs is not None
    assert math.exp(verdict.log_lhs) == pytest.approx(lhs, rel=1e-7)


def test_every_statement_has_wrong_versions() -> None:
    covered = {p.true.id for p in ALL} | {tm.PARITY_ODD.id}
    assert covered == {s.id for s in tm.STATEMENTS}
    assert len({p.statement.id for p in ALL}) == len(ALL) >= 20


# -- the default cases ------------------------------------------------------------------------------------------------
SMALL = [c for c in parities() if c.dimension <= 4]


@pytest.mark.parametrize(
    "cases", [SMALL, perceptrons(count=24), updates(count=12)], ids=["parity", "perceptron", "step"]
)
def test_no_default_case_refutes_a_true_statement(cases: list[StaticCase]) -> None:
    statements = [s for s in tm.STATEMENTS if s.setting.model == cases[0].model]
    held = set()
    for case in cases:
        for verdict in judge(statements, case):
            assert verdict.status in (Status.HOLDS, Status.VACUOUS), verdict.reason
            assert verdict.rigor is Rigor.PROVED
            if verdict.status is Status.HOLDS:
                held.add(verdict.statement)
    assert held == {s.id for s in statements}


def test_the_perceptron_attains_its_bound_on_orthonormal_points() -> None:
    verdict = judge([tm.PERCEPTRON_MISTAKES], ORTHOGONAL)[0]
    assert verdict.tightness == 1.0 and verdict.error == 0.0


def test_the_perceptron_bound_is_vacuous_without_a_separating_vector() -> None:
    case = PerceptronCase.create([[1, 0], [-1, 0]], [1, 1], [1, 1], passes=5)
    verdict = judge([tm.PERCEPTRON_MISTAKES], case)[0]
    assert verdict.status is Status.VACUOUS and "separable" in verdict.reason


def test_rescaled_and_permuted_runs_have_the_same_tightness() -> None:
    for case in perceptrons(count=6):
        twin = PerceptronCase.create(
            [[Fraction(7, 3) * a for a in x[::-1]] for x in case.X],
            case.y,
            [5 * a for a in case.u[::-1]],
            passes=case.passes,
        )
        one, two = (judge([tm.PERCEPTRON_MISTAKES], c)[0] for c in (case, twin))
        assert one.tightness == pytest.approx(two.tightness, rel=1e-12)
