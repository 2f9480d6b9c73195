"""Statements without time: exact values, verdicts, probability, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks import api, static
from proofs_checks.record import record
from proofs_checks.static import Measurement, Trials, hull, judge
from proofs_checks.static_values import StaticValues
from proofs_checks.verdict import Rigor, Status
from theory.errors import LemmataError
from theory.quantity import (
    Relation,
    amax,
    amin,
    equals,
    inner,
    log,
    maximum,
    minimum,
    norm,
    qabs,
    quantity,
    relu,
    sign,
    sqnorm,
    sqrt,
    step,
    total,
    var,
)
from theory.statement import Domain, Hypothesis, Kind, Part, Setting, Source, Statement

CLAIM = f"{__name__}:SquareClaim"


@dataclass(frozen=True)
class Square:
    """A number and what is known of its square."""

    x: Fraction
    width: float = 0.0
    successes: int = 0
    trials: int = 0
    comparisons: int = 1

    model: ClassVar[str] = "square"
    loss: ClassVar[str] = "none"
    reduction: ClassVar[str] = "none"
    name: ClassVar[str] = ""

    @property
    def hash(self) -> str:
        return f"{self.x}"

    def to_json(self) -> dict[str, Any]:
        return {"format": "square/1", "x": str(self.x)}

    def group(self) -> str:
        return "square"


class SquareClaim:
    """x, its square as an exact number or a ball, and the trials of the case."""

    def __init__(self, case: Square) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        c = self.case
        square = c.x * c.x
        ball = square if not c.width else arb(float(square), c.width)
        trials = Trials(c.successes, c.trials, c.comparisons) if c.trials else None
        frequency = Fraction(c.successes, c.trials) if c.trials else Fraction(0)
        values = {"x": c.x, "s": ball, "P": frequency, "list": [c.x, square]}
        return Measurement(
            values,
            Rigor.PROVED,
            note="by squaring",
            explain={"positive": "x itself"},
            trials=trials,
            undecided="" if c.x else "x = 0 was not measured; give another x",
        )


x, s, P = var("x"), var("s"), var("P")
POSITIVE = Hypothesis("positive", quantity(0) < x, "x > 0", "take another x: {worst}")


def statement(*parts: Part, kind: Kind = Kind.INEQUALITY, **changes: Any) -> Statement:
    base = Statement(
        id="tests/square",
        title="on squares",
        kind=kind,
        source=Source("tests", "here"),
        hypotheses=(POSITIVE,),
        parts=parts,
        setting=Setting(model="square", losses=("none",), reduction="none"),
        claim=CLAIM,
    )
    return replace(base, **changes)


BOUND = statement(Part("bound", s <= 2 * x))
EQUAL = statement(Part("square", equals(s, x**2), resolution=1e-6), kind=Kind.EQUALITY)
LAW = statement(
    Part("law", equals(P, quantity(Fraction(1, 2))), resolution=0.1),
    kind=Kind.PROBABILITY,
    hypotheses=(),
)


def test_exact_numbers_decide_where_the_sides_touch() -> None:
    held = api.check(BOUND, Square(Fraction(2)))
    assert (held.status, held.rigor, held.tightness) == (Status.HOLDS, Rigor.PROVED, 1.0)
    assert held.error == 0 and "by squaring" in held.reason and "positive: 0 < 2" in held.reason
    above = api.check(BOUND, Square(2 + Fraction(1, 10**30)))
    assert above.status is Status.VIOLATED and "fails with lhs" in above.reason


def test_intervals_that_straddle_are_undecided() -> None:
    verdict = api.check(BOUND, Square(Fraction(2), width=1e-9))
    assert verdict.status is Status.UNDECIDED and "smaller gap" in verdict.reason


def test_a_failed_hypothesis_is_vacuous_and_an_open_one_undecided() -> None:
    vacuous = api.check(BOUND, Square(Fraction(-1)))
    assert vacuous.status is Status.VACUOUS and "x itself" in vacuous.reason
    open_hypothesis = replace(POSITIVE, relation=Relation(x**2, "<", s))
    case = Square(Fraction(3), width=0.5)
    undecided = api.check(replace(BOUND, hypotheses=(open_hypothesis,)), case)
    assert undecided.status is Status.UNDECIDED and "cannot be decided" in undecided.reason


def test_what_could_not_be_measured_is_undecided() -> None:
    verdict = api.check(replace(BOUND, hypotheses=()), Square(Fraction(0)))
    assert verdict.status is Status.UNDECIDED and "give another x" in verdict.reason


@pytest.mark.parametrize(
    ("width", "status"),
    [(0.0, Status.HOLDS), (1e-7, Status.HOLDS), (1e-3, Status.UNDECIDED)],
)
def test_equalities_are_confirmed_within_their_resolution_only(
    width: float, status: Status
) -> None:
    assert api.check(EQUAL, Square(Fraction(3), width=width)).status is status
    wrong = statement(
        Part("square", equals(s, x**2 + Fraction(1, 10)), resolution=1e-6), kind=Kind.EQUALITY
    )
    assert api.check(wrong, Square(Fraction(3), width=width)).status is Status.VIOLATED


@pytest.mark.parametrize(
    ("successes", "trials", "status"),
    [
        (5000, 10000, Status.HOLDS),
        (5050, 10000, Status.HOLDS),
        (6000, 10000, Status.VIOLATED),
        (5, 10, Status.UNDECIDED),
        (0, 10, Status.UNDECIDED),
        (0, 100, Status.VIOLATED),
    ],
)
def test_probability_statements(successes: int, trials: int, status: Status) -> None:
    verdict = api.check(LAW, Square(Fraction(1), successes=successes, trials=trials))
    assert verdict.status is status and verdict.rigor is Rigor.STATISTICAL
    assert f"{successes} of {trials} samples" in verdict.reason and "confidence" in verdict.reason


def test_comparisons_make_the_test_milder() -> None:
    def status(comparisons: int) -> Status:
        case = Square(Fraction(1), successes=5180, trials=10000, comparisons=comparisons)
        return api.check(LAW, case).status

    assert (status(1), status(1000)) == (Status.VIOLATED, Status.HOLDS)


def test_true_laws_are_hardly_ever_violated() -> None:
    rng = np.random.default_rng(5)
    counts = rng.binomial(2000, 0.5, size=300)
    found = [
        api.check(LAW, Square(Fraction(1), successes=int(c), trials=2000, comparisons=300)).status
        for c in counts
    ]
    assert found.count(Status.HOLDS) == 300


def test_settings_and_refusals() -> None:
    other = replace(BOUND, setting=Setting(model="square", losses=("ce",), reduction="none"))
    verdict = api.check(other, Square(Fraction(1)))
    assert verdict.status is Status.VACUOUS and "the loss ce" in verdict.reason
    foreign = replace(BOUND, setting=Setting(model="cube", losses=("none",), reduction="none"))
    assert "of the model cube" in api.check(foreign, Square(Fraction(1))).reason
    timed = Part("bound", s <= x, Domain(quantity(0), None, "for all t"))
    with pytest.raises(LemmataError, match="a span of time"):
        api.check(statement(timed), Square(Fraction(1)))
    with pytest.raises(LemmataError, match="cannot be loaded"):
        api.check(replace(BOUND, claim="nowhere:Claim"), Square(Fraction(1)))
    with pytest.raises(LemmataError, match="not measured here"):
        api.check(statement(Part("bound", var("z") <= x)), Square(Fraction(1)))
    assert judge([foreign], Square(Fraction(1)))[0].status is Status.VACUOUS
    with pytest.raises(LemmataError, match="needs trials"):
        judge([LAW], Square(Fraction(1)))
    with pytest.raises(LemmataError, match="no trajectories"):
        record(BOUND, Square(Fraction(1)))


def test_many_cases_keep_their_order() -> None:
    cases = [Square(Fraction(k)) for k in range(1, 12)]
    (row,) = api.verdicts([BOUND], cases, workers=1)
    assert [v.case for v in row] == [c.hash for c in cases]
    assert [v.status for v in row] == [Status.HOLDS] * 2 + [Status.VIOLATED] * 9


# -- the evaluator
VALUES = StaticValues(
    {
        "a": fmpq(9, 4),
        "n": [1, 2, 3],
        "w": [[3, 4], [Fraction(1, 2), 0]],
        "G": [[1, 2, 3], [4, 5, 6]],
    },
    {"n": "j", "w": "jk", "G": "ji"},
)
a, n, w, G = var("a"), var("n", "j"), var("w", "jk"), var("G", "ji")


@pytest.mark.parametrize(
    ("quantity_", "value"),
    [
        (sqrt(a), fmpq(3, 2)),
        (a**-1, fmpq(4, 9)),
        (a ** Fraction(1, 2), fmpq(3, 2)),
        (total(n, "j"), fmpq(6)),
        (amax(norm(w), "j"), fmpq(5)),
        (amin(sqnorm(w), "j"), fmpq(1, 4)),
        (total(inner(w, w), "j"), fmpq(101, 4)),
        (amax(amin(G, "j"), "i"), fmpq(3)),
        (maximum(a, 1) + minimum(a, 1) - relu(-a) + step(a) + sign(-a), fmpq(13, 4)),
        (qabs(-a) / 9, fmpq(1, 4)),
    ],
)
def test_rational_operations_are_exact(quantity_: Any, value: fmpq) -> None:
    found = VALUES.evaluate(quantity_.to_data())
    assert isinstance(found, fmpq) and found == value


@given(st.fractions(min_value=Fraction(1, 100), max_value=100))
def test_irrational_operations_contain_the_value(value: Fraction) -> None:
    found = StaticValues({"x": value}, {}).evaluate((log(x) + sqrt(x)).to_data())
    exact = math.log(value) + math.sqrt(value)
    assert abs(float(found.mid()) - exact) <= 1e-13 * (1 + abs(exact))
    assert float(found.rad()) < 1e-60


def test_values_that_are_not_exact_are_refused() -> None:
    with pytest.raises(LemmataError, match="neither exact nor a ball"):
        StaticValues({"x": 0.5}, {}).evaluate(x.to_data())
    with pytest.raises(LemmataError, match="different lengths"):
        StaticValues({"w": [[1], [1, 2]]}, {"w": "jk"}).evaluate(total(sqnorm(w), "j").to_data())
    assert not StaticValues({"x": 0}, {}).evaluate((1 / x).to_data()).is_finite()


def test_hull() -> None:
    ball = hull(Fraction(1, 3), arb(2))
    assert ball.contains(fmpq(1, 3)) and ball.contains(2) and ball.contains(1) and ball.rad() < 0.9


@pytest.mark.parametrize("size", [arb(10) ** -700, arb(1), arb(10) ** 700])
def test_numbers_beyond_floats_are_judged_alike(size: arb) -> None:
    part = Part("same", equals(x, s), resolution=1e-6)
    wide, narrow = arb(0, 0.5) * size, arb(0, 1e-9) * size
    cases = (
        (size, size + narrow, Status.HOLDS),
        (size, size + wide, Status.UNDECIDED),
        (size, 2 * size + narrow, Status.VIOLATED),
    )
    for lhs, rhs, status in cases:
        outcome = static._equality(part, lhs, rhs)
        assert outcome.status is status
        assert ("smaller gap" in outcome.words) == (status is Status.UNDECIDED)
    assert static._score(size, 2 * size)[0] == pytest.approx(-math.log(2))
    assert static._log(size) == pytest.approx(float(size.log()))
    assert arb(static._shown(size)).overlaps(size * (1 + arb(0, 1e-8)))


def test_sides_that_are_not_finite_are_undecided() -> None:
    part = Part("same", equals(x, s), resolution=1e-6)
    for lhs in (arb("nan"), arb("inf")):
        for rhs in (fmpq(0), fmpq(1), arb(1, 2), arb("inf")):
            for sides in ((lhs, rhs), (rhs, lhs)):
                outcome = static._equality(part, *sides)
                assert outcome.status is Status.UNDECIDED and "finite" in outcome.words


def test_a_verdict_that_needs_more_digits_gets_them() -> None:
    """(2 + t) - 2 against t through a root: 256 bits leave nothing of t = 2^-400."""
    tiny = quantity(Fraction(1, 2**400))
    lost = equals(sqrt(2 + tiny) ** 2 - 2, tiny)
    close = statement(Part("difference", lost, resolution=1e-6), kind=Kind.EQUALITY)
    verdict = api.check(close, Square(Fraction(2)))
    assert (verdict.status, verdict.rigor) == (Status.HOLDS, Rigor.PROVED), verdict.reason
