"""Observed constants against cases whose worst value is known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import expi

from proofs_checks.case import Case
from proofs_checks.observed import LONGER, observe
from theory import early_alignment as ea
from theory.quantity import quantity
from theory.statement import Constant, Part

# one point, one neuron along it: C_w is worst at the start, where it is √h ε
LOOSE = Case.create(
    [[1.0, 0.0]], [1.0], W0=np.tile([[0.45, 0.0]], (4, 1)), signs=np.ones(4), eps=0.475
)
SMALL = LOOSE.replace(W0=[[0.2, 0.1]], signs=[1.0], eps=0.5)
# two equal points: norms grow like e^{4t}, and leave the bound at a known time
TWICE = Case.create([[1.0], [1.0]], [1.0, 1.0], W0=[[0.5]], signs=[1.0], eps=1e-3)


def test_the_factor_of_the_norms_is_the_ratio_at_the_start() -> None:
    found = observe(ea.NORM_BOUND, [LOOSE])
    assert found["C_w"].relation == "=" and found["C_w"].cases == 1
    at_start = 2 * 0.475
    growing = found["C_w"].value
    # within T = log(1/0.95)/4 the squared norm still grows, by e^{2 T} at most
    T = -math.log(at_start) / 4
    assert growing is not None and at_start <= growing <= at_start * math.exp(2 * T) * (1 + 1e-12)
    assert growing == pytest.approx(
        grown(4, T, (0.475 * 0.45) ** 2) / (0.475 * 0.45**2 / 2), rel=1e-9
    )


def grown(h: int, T: float, u: float) -> float:
    """u(T) of u' = 2 u e^{-h u}: Ei(h u) grows by 2 T."""
    low, high = math.log(u), math.log(u) + 2 * T
    for _ in range(200):
        middle = (low + high) / 2
        if expi(h * math.exp(middle)) - expi(h * u) < 2 * T:
            low = middle
        else:
            high = middle
    return math.exp(low)


def test_the_worst_of_several_cases_is_observed() -> None:
    one, other, both = (
        observe(ea.NORM_BOUND, cases) for cases in ([LOOSE], [SMALL], [SMALL, LOOSE])
    )
    for name in ("C_w", "C_f"):
        values = [found[name].value for found in (one, other, both)]
        assert None not in values
        assert values[2] == max(values[:2])  # type: ignore[type-var]
        assert both[name].cases == 2


def test_the_length_of_the_phase_ends_where_the_norm_leaves_the_bound() -> None:
    """c_T from the first time at which ‖w‖² = 2 ε W_max², by the exponential integral."""
    found = observe(ea.NORM_BOUND, [TWICE])["c_T"]
    u0, u1 = (1e-3 * 0.5) ** 2, 2 * 1e-3 * 0.25
    exit_time = float(expi(u1) - expi(u0)) / 4
    expected = math.log(1e3) / (2 * exit_time)
    assert found.relation == "=" and found.cases == 1
    assert found.value == pytest.approx(expected, rel=2e-2)  # found on the nodes of the steps
    assert found.value is not None and found.value <= expected * (1 + 1e-9)


def test_a_phase_that_nobody_leaves_gives_a_bound() -> None:
    dying = Case.create([[1.0]], [1.0], W0=[[0.5]], signs=[-1.0], eps=1e-2)
    found = observe(ea.NORM_BOUND, [dying])["c_T"]
    assert found.relation == "≤" and found.value == float(Fraction(4) / LONGER)


def test_a_constant_of_a_hypothesis_is_not_observed() -> None:
    found = observe(ea.NORM_BOUND, [LOOSE])["K"]
    assert found.value is None and found.relation == "it enters hypotheses only"


def test_a_lower_bound_that_improves_upwards() -> None:
    """c_6: the phase lasts log(1/ε)/(2 n X_max) and a little more, so 2 and a little more."""
    case = TWICE.replace(eps=1e-6, W0=[[1.0]])
    found = observe(ea.PHASE_LENGTH, [case])["c_6"]
    exact = float(expi(1e-6) - expi(1e-12)) / 4 * 8 / math.log(1e6)
    assert found.relation == "=" and found.value == pytest.approx(exact, rel=1e-9)
    assert found.value is not None and found.value > 2


def test_nothing_is_observed_where_nothing_decides() -> None:
    vacuous = LOOSE.replace(eps=2.0)
    for name in ("C_w", "C_f", "c_T"):
        found = observe(ea.NORM_BOUND, [vacuous])[name]
        assert (
            found.value is None
            and found.relation == "no case decides the statement"
            and found.cases == 0
        )


def test_a_constant_without_a_single_root_is_not_observed() -> None:
    c = ea.var("c_q")
    part = Part("norms", ea.amax(ea.sqnorm(ea.w), "j") <= c**2 * ea.eps, ea.EARLY)
    squared = replace(
        ea.NORM_BOUND,
        id="toy/squared",
        constants=(
            Constant("c_q", Fraction(1), "smaller", "squared"),
            ea.T_CONSTANT,
            ea.K_CONSTANT,
        ),
        parts=(part,),
        derivations={},
    )
    found = observe(squared, [LOOSE])["c_q"]
    assert found.value is None and "no single root" in found.relation


def test_an_additive_constant_has_its_own_root() -> None:
    """ε² W² ≤ q ε W² + 1/100 - ...: the root is affine in q, not a ratio of the two sides."""
    q = ea.var("q")
    shift = quantity(Fraction(1, 100))
    part = Part(
        "norms", ea.amax(ea.sqnorm(ea.w), "j") <= q * ea.eps * ea.W_max**2 - shift, ea.EARLY
    )
    shifted = replace(
        ea.NORM_BOUND,
        id="toy/shifted",
        constants=(
            Constant("q", Fraction(5), "smaller", "of ε W_max²"),
            ea.T_CONSTANT,
            ea.K_CONSTANT,
        ),
        parts=(part,),
        derivations={},
    )
    T = -math.log(2 * 0.475) / 4
    u = grown(4, T, (0.475 * 0.45) ** 2)
    expected = (u + 0.01) / (0.475 * 0.45**2)
    assert observe(shifted, [LOOSE])["q"].value == pytest.approx(expected, rel=1e-9)
