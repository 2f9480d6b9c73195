"""Cases of the topic margins: what they check, that they survive being written, what is measured on them."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest

from proofs_checks.audit import KINDS
from proofs_checks.claims.margins import ParityClaim, PerceptronClaim, mistakes
from proofs_checks.margin_cases import (
    ParityCase,
    PerceptronCase,
    UpdateCase,
    parities,
    perceptrons,
    updates,
)
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

DEFAULT = [*parities(), *perceptrons(), *updates()]


def test_cases_survive_being_written() -> None:
    for case in DEFAULT:
        data = json.loads(json.dumps(case.to_json()))
        again = type(case).from_json(data)
        assert again == case and again.hash == case.hash
        assert case.loss == case.reduction == "none" and hash(case.group()) == hash(again.group())
    assert len({c.hash for c in DEFAULT}) == len(DEFAULT)


def test_names_and_seeds_do_not_change_the_hash() -> None:
    assert ParityCase(3, 2, name="a").hash == ParityCase(3, 2, name="b", seed=4).hash
    assert ParityCase(3, 2).hash != ParityCase(3, 2, bias=True).hash


def test_default_cases_are_drawn_by_seed() -> None:
    assert perceptrons(count=5, seed=1) == perceptrons(count=9, seed=1)[:5]
    assert perceptrons(count=5, seed=1) != perceptrons(count=5, seed=2)
    assert updates(count=3, seed=7) == updates(count=3, seed=7)
    assert len(parities()) == 36 and len(parities(count=4)) == 4


def test_a_parity_and_its_degree() -> None:
    case = ParityCase(3, 2)
    assert len(case.points) == 8 and case.dimension == 3 and case.degree == 2
    assert all(s == x[0] * x[1] for s, x in zip(case.labels, case.points, strict=True))
    biased = ParityCase(3, 3, bias=True)
    assert biased.dimension == 4 == biased.degree and {x[-1] for x in biased.points} == {1}
    assert ParityCase(2, 1, bias=True).degree == 1


BAD: list[tuple[Any, str]] = [
    (lambda: ParityCase(3, 4), "1 <= k <= d"),
    (lambda: ParityCase(3, 0), "1 <= k <= d"),
    (lambda: ParityCase(9, 2), "at most 7"),
    (lambda: ParityCase(2.0, 2), "whole numbers"),  # type: ignore[arg-type]
    (lambda: ParityCase(3, 2, bias=1), "whole numbers"),  # type: ignore[arg-type]
    (lambda: PerceptronCase.create([[1, 2]], [1, 1], [1, 2]), "label to each"),
    (lambda: PerceptronCase.create([[1, 2]], [1], [1]), "as many entries"),
    (lambda: PerceptronCase.create([[1, 2]], [0], [1, 1]), "1 and -1"),
    (lambda: PerceptronCase.create([[1, 2]], [1], [0, 0]), "zero"),
    (lambda: PerceptronCase.create([[1, math.nan]], [1], [0, 1]), "nan"),
    (lambda: PerceptronCase.create([[1, 2]], [1], [0, 1], passes=0), "passes"),
    (lambda: UpdateCase.create([1], [1, 2], [1], 1), "as many entries"),
    (lambda: UpdateCase.create([1], [1], [1], 0), "positive"),
    (lambda: UpdateCase.create([math.inf], [1], [1], 1), "inf"),
    (lambda: ParityCase.from_json({}), "expected an object"),
    (lambda: ParityCase.from_json({"format": "lemmata-parity-case/1", "d": 2}), "is missing"),
    (lambda: UpdateCase.from_json(updates(count=1)[0].to_json() | {"w": ["x"]}), "malformed"),
    (lambda: UpdateCase.from_json(updates(count=1)[0].to_json() | {"w": None}), "malformed"),
    (
        lambda: UpdateCase.from_json(updates(count=1)[0].to_json() | {"eta": "1e999999999"}),
        "lowest",
    ),
    (lambda: UpdateCase.from_json(updates(count=1)[0].to_json() | {"g": ["2/4"]}), "lowest"),
    (lambda: UpdateCase.from_json(updates(count=1)[0].to_json() | {"g": "12"}), "in lists"),
    (lambda: PerceptronCase.from_json(perceptrons(count=1)[0].to_json() | {"y": 3}), "sequence"),
]


@pytest.mark.parametrize("build,message", BAD, ids=lambda a: a if isinstance(a, str) else "")
def test_bad_cases(build: Any, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        build()


def test_mistakes_are_counted_as_by_hand() -> None:
    # w = 0: mistake at (1, 0); then (-1, 1) with label -1 has -<(1, 0), (-1, 1)> = 1 > 0; no further mistake
    case = PerceptronCase.create([[1, 0], [-1, 1]], [1, -1], [1, 0])
    assert mistakes(case) == 1
    # contradicting points: a mistake at every visit but none is ever the last
    endless = PerceptronCase.create([[1], [1]], [1, -1], [1], passes=7)
    assert mistakes(endless) == 14


def test_measured_numbers_of_a_perceptron() -> None:
    case = PerceptronCase.create([[3, 4], [1, 0]], [1, 1], [2, 0])
    values = PerceptronClaim(case).measure(frozenset()).values
    assert values["R_sq"] == 25 and values["worst"] == 2 and values["gamma_sq"] == 1
    assert values["gamma_sq"] == Fraction(2) ** 2 / 4
    away = PerceptronCase.create([[3, 4]], [-1], [2, 0])
    assert PerceptronClaim(away).measure(frozenset()).values["gamma_sq"] < 0


def test_only_what_is_wanted_is_solved() -> None:
    claim = ParityClaim(ParityCase(2, 2))
    assert "gamma_1" not in claim.measure(frozenset({"D"})).values
    found = claim.measure(frozenset({"gamma_1", "gamma_2"}))
    assert found.rigor is Rigor.PROVED
    assert abs(float(found.values["gamma_1"].mid()) - 0.25) < 1e-12


def test_a_certificate_that_is_not_accepted_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from proofs_checks.audit.core import Rejected
    from proofs_checks.claims import margins as claims

    def refuse(*_: Any) -> str:
        raise Rejected("no")

    monkeypatch.setitem(KINDS, "margin", refuse)
    claims.solved.cache_clear()
    found = ParityClaim(ParityCase(2, 2)).measure(frozenset({"gamma_1"}))
    claims.solved.cache_clear()
    assert found.undecided and "not accepted" in found.undecided
