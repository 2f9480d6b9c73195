"""Proof-sharp constants: brackets, directions, the joint trade-off."""

from __future__ import annotations

from fractions import Fraction

import pytest

from theory.derivations_early_alignment import (
    direction_bound_exponential,
    direction_bound_logistic2,
    norm_bound_exponential,
    norm_bound_logistic2,
    phase_length_exponential,
)
from theory.errors import DerivationError
from theory.sharpen import pareto, sharpen, simplest_between

TOLERANCE = Fraction(1, 5_000)
NORM, NORM2 = norm_bound_exponential, norm_bound_logistic2
DIRECTION, DIRECTION2 = direction_bound_exponential, direction_bound_logistic2


@pytest.mark.parametrize(
    ("derivation", "constant", "sharp", "step"),
    [
        (NORM, "C_w", 1.0, "norms at the end at T"),
        (NORM, "C_f", 1.0, "outputs at the end at T"),
        (NORM, "c_T", 2.0, "no blow-up at T"),
        # m r^q + 2 m (r^q - r) < 1 with q = 1/2: the maximum of 3s - 2s² is 9/8
        (NORM, "K", 9 / 8, "stays small at T"),
        (NORM2, "C_w", 1.0, "norms at the end at T"),
        # (1 + c)² <= 8c with c = 1/K: c = 3 + 2√2
        (NORM2, "K", 3 - 8**0.5, "norms at the end at T"),
        # (e^a - 1)/a at a = C_f/K = 1/2
        (DIRECTION, "C_1", 2 * (1.6487212707 - 1), "constant C_1"),
        (DIRECTION, "C_2", 2 * (1.6487212707 - 1), "gaps at the end at T"),
        (DIRECTION2, "C_1", 0.5, "constant C_1"),
        (DIRECTION2, "C_2", 0.5, "gaps at the end at T"),
        (phase_length_exponential, "c_6", 1.0, "length"),
    ],
)
def test_proof_sharp(derivation, constant, sharp, step) -> None:  # type: ignore[no-untyped-def]
    found = sharpen(derivation(), constant, tolerance=TOLERANCE)
    fails, verifies = found.bracket
    assert fails is not None
    assert verifies == found.proof_sharp
    assert float(found.proof_sharp) == pytest.approx(sharp, rel=2.5e-4)
    assert abs(fails - verifies) <= TOLERANCE * max(fails, verifies)
    assert found.blocked_by == step
    assert found.reason
    # the bracket is what it says: one end verifies, the other does not
    derivation().verify({constant: verifies})
    with pytest.raises(DerivationError):
        derivation().verify({constant: fails})


def test_direction_of_improvement() -> None:
    smaller = sharpen(norm_bound_exponential(), "C_w", tolerance=TOLERANCE)
    assert smaller.better == "smaller"
    assert smaller.bracket[0] < smaller.proof_sharp < smaller.stated
    larger = sharpen(phase_length_exponential(), "c_6", tolerance=TOLERANCE)
    assert larger.better == "larger"
    assert larger.proof_sharp == larger.stated == 1
    assert larger.bracket[0] > 1


def test_a_verified_derivation_sharpens_around_its_own_constants() -> None:
    verified = norm_bound_exponential().verify({"c_T": 3})
    found = verified.sharpen("C_w", tolerance=TOLERANCE)
    assert found.others["c_T"] == 3
    assert float(found.proof_sharp) == pytest.approx(1, rel=2.5e-4)


def test_others_fixed_elsewhere() -> None:
    """With C_f = 1, |f| <= 1/4 is known, so C_1 may be (e^a - 1)/a at a = 1/4."""
    found = sharpen(direction_bound_exponential(), "C_1", others={"C_f": 1}, tolerance=TOLERANCE)
    assert float(found.proof_sharp) == pytest.approx(4 * (1.2840254167 - 1), rel=2.5e-4)
    assert found.others["C_f"] == 1


def test_pareto() -> None:
    front = pareto(norm_bound_exponential(), ("C_w", "c_T"), points=3, tolerance=Fraction(1, 500))
    ends = [(float(p["C_w"]), float(p["c_T"])) for p in front]
    # C_w = 1 needs r^q <= 1 - (r^q - r)/2, that is c_T >= 3 (AM-GM); C_w = 2 needs c_T >= 2
    assert ends[0] == pytest.approx((1, 3), rel=1e-2)
    assert ends[-1] == pytest.approx((2, 2), rel=1e-2)
    assert [p["C_w"] for p in front] == sorted(p["C_w"] for p in front)
    assert [p["c_T"] for p in front] == sorted((p["c_T"] for p in front), reverse=True)
    for p in front:
        norm_bound_exponential().verify(p)


def test_joint_sharp_values_do_not_verify() -> None:
    with pytest.raises(DerivationError):
        norm_bound_exponential().verify({"C_w": Fraction(1), "c_T": Fraction(2)})


def test_refusals() -> None:
    with pytest.raises(DerivationError, match="no constant 'C_x'"):
        sharpen(norm_bound_exponential(), "C_x")
    with pytest.raises(DerivationError, match="two different"):
        pareto(norm_bound_exponential(), ("C_w",))
    with pytest.raises(DerivationError, match="two points"):
        pareto(norm_bound_exponential(), ("C_w", "c_T"), points=1)
    with pytest.raises(DerivationError, match="does not verify"):
        sharpen(norm_bound_exponential(), "C_w", others={"c_T": Fraction(3, 2)})


@pytest.mark.parametrize(
    ("low", "high", "simple"),
    [
        ("1/3", "1/2", "1/2"),
        ("7/5", "29/20", "7/5"),
        ("0.9999", "1.0001", "1"),
        ("3.1415", "3.1416", "333/106"),
    ],
)
def test_simplest_between(low: str, high: str, simple: str) -> None:
    found = simplest_between(Fraction(low), Fraction(high))
    assert Fraction(low) <= found <= Fraction(high)
    smaller = [
        Fraction(p, q)
        for q in range(1, found.denominator)
        for p in range(1, 4 * q + 1)
        if Fraction(low) <= Fraction(p, q) <= Fraction(high)
    ]
    assert not smaller
    assert found.denominator <= Fraction(simple).denominator
