"""The search: refutes what is false with a certificate, leaves alone what is true, and says what it cannot decide."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as hst
from hypothesis.extra import numpy as hnp

import proofs_checks.strategies as st
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Conjecture, assume, conjecture, constant
from proofs_checks.conjectures.report import SearchStatus
from proofs_checks.conjectures.search import search
from proofs_checks.verdict import Rigor
from theory import array_functions as ops
from theory.errors import LemmataError

PAIR = st.record(a=st.positive(), b=st.positive())
MATRIX = st.record(A=st.matrices((1, 3), (1, 3)))


@conjecture(case=PAIR)
def amgm(case: Any) -> Any:
    return np.sqrt(case.a * case.b) <= (case.a + case.b) / 2


@conjecture(case=MATRIX)
def nuclear(case: Any) -> Any:
    """A factor √rank is lost."""
    return np.linalg.norm(case.A, "nuc") <= np.linalg.norm(case.A)


@conjecture(case=MATRIX)
def frobenius(case: Any) -> Any:
    return np.linalg.norm(case.A, 2) <= np.linalg.norm(case.A)


def values(report: Any) -> dict[str, list[str]]:
    return dict(report.counterexample.case["values"])


def plain(report: Any) -> dict[str, Any]:
    """Everything but the time."""
    return {k: v for k, v in report.to_json().items() if k != "seconds"}


def test_a_lost_factor_is_refuted_with_a_certificate() -> None:
    report = search(nuclear, cases=4000)
    assert report.status is SearchStatus.REFUTED and report.exit_code == 1
    found = report.counterexample
    assert found is not None and found.rigor is Rigor.PROVED and found.certificate is not None
    found.certificate.audit()
    # the smallest matrix of rank two, and the simplest one
    assert found.shapes == {"A": [2, 2]}
    assert sorted(values(report)["A"]) == ["0", "0", "1", "1"]
    assert found.lhs == pytest.approx(2) and found.rhs == pytest.approx(math.sqrt(2))
    case = ConjectureCase.from_json(found.case)
    assert not (np.linalg.norm(case.view().A, "nuc") <= np.linalg.norm(case.view().A))


@pytest.mark.parametrize("true", [amgm, frobenius])
def test_true_conjectures_survive_although_they_touch(true: Conjecture) -> None:
    report = search(true, cases=6000)
    assert report.status is SearchStatus.SURVIVED and report.exit_code == 0
    assert report.cases == 6000 and report.deciding > 1000 and report.vacuous == 0
    assert report.counterexample is None
    assert report.tightest is not None and report.tightest[0] == pytest.approx(1, abs=1e-6)
    assert report.tightest[0] <= 1 + 1e-9


def test_an_interior_maximum_is_found_by_the_ascent() -> None:
    @conjecture(case=st.record(x=st.reals(-50, 50), y=st.reals(-50, 50)))
    def narrow(case: Any) -> Any:
        # fails only near (17.3, -21.7), which no simple value is close to
        distance = (case.x - 17.3) ** 2 + (case.y + 21.7) ** 2
        return 10 * distance + 0.999 >= 1

    report = search(narrow, cases=40_000)
    assert report.status is SearchStatus.REFUTED
    x, y = (float(Fraction(values(report)[k][0])) for k in "xy")
    assert (x - 17.3) ** 2 + (y + 21.7) ** 2 < 1e-4


def test_the_same_seed_gives_the_same_report_whatever_the_jobs() -> None:
    first = search(frobenius, cases=5000, seed=3)
    assert plain(search(frobenius, cases=5000, seed=3)) == plain(first)
    assert plain(search(frobenius, cases=5000, seed=3, jobs=2)) == plain(first)
    assert plain(search(frobenius, cases=5000, seed=4)) != plain(first)
    refuted = search(nuclear, cases=5000, seed=1)
    assert plain(search(nuclear, cases=5000, seed=1)) == plain(refuted)


TRIPLE = st.record(a=st.positive(), b=st.positive(), d=st.positive())
TOUCHED = {
    "Young": lambda c: c.a * c.b < c.a**3 / 3 + 2 * c.b**1.5 / 3,
    "means": lambda c: (c.a * c.b * c.d) ** Fraction(1, 3) < (c.a + c.b + c.d) / 3,
    "powers": lambda c: c.a ** Fraction(2, 3) * c.a ** Fraction(1, 3) < c.a,
    "pi": lambda c: ops.pi() * c.a <= np.pi * c.a,
    "beyond floats": lambda c: np.exp(1000 * c.a) <= 10**400,
}


@pytest.mark.parametrize("name", TOUCHED)
@pytest.mark.parametrize("drawn", [1, 150])
def test_what_fails_within_the_error_bounds_of_floats_is_asked_exactly(
    name: str, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # by the cases that Hypothesis draws, or by the batches alone
    monkeypatch.setattr("proofs_checks.conjectures.search.FIRST_DRAWN", drawn)
    monkeypatch.setattr("proofs_checks.conjectures.search.DRAWN", 0 if drawn == 1 else 48)
    report = search(conjecture(case=TRIPLE)(TOUCHED[name]), cases=6000)
    assert report.status is SearchStatus.REFUTED
    assert report.counterexample is not None and report.counterexample.certificate is not None
    assert all(entries in (["1"], ["0"]) for entries in values(report).values())


def test_hypotheses_make_cases_vacuous() -> None:
    @conjecture(case=PAIR)
    def ordered(case: Any) -> Any:
        assume(2 * case.a <= case.b)
        return case.a <= 0.5 * case.b

    report = search(ordered, cases=3000)
    assert report.status is SearchStatus.SURVIVED
    assert 0 < report.vacuous < report.cases
    assert report.deciding <= report.cases - report.vacuous


def test_a_hypothesis_that_excludes_the_failures_is_respected() -> None:
    @conjecture(case=PAIR)
    def apart(case: Any) -> Any:
        assume(case.b <= 3 * case.a)
        return case.b <= 2.5 * case.a

    found = search(apart, cases=5000).counterexample
    assert found is not None
    a, b = (Fraction(found.case["values"][k][0]) for k in "ab")
    assert Fraction(5, 2) * a < b <= 3 * a
    assert (a, b) == (1, 3)


def test_vacuous_everywhere_is_not_survived() -> None:
    @conjecture(case=PAIR)
    def nowhere(case: Any) -> Any:
        assume(case.a + case.b < 0)
        return case.a <= case.b

    report = search(nowhere, cases=1000)
    assert report.status is SearchStatus.VACUOUS and report.exit_code == 3
    assert report.vacuous == 1000 and "hypothesis" in report.reason


def test_equality_everywhere_is_undecided() -> None:
    @conjecture(case=st.record(x=st.reals(2, 3)))
    def equal(case: Any) -> Any:
        return np.exp(np.log(case.x)) <= case.x

    report = search(equal, cases=1000)
    assert report.status is SearchStatus.UNDECIDED and report.exit_code == 3
    assert report.deciding == 0 and "error bound" in report.reason


# -- what others draw -------------------------------------------------------------------------------------------------
def test_floats_of_hypothesis_are_shrunk_by_hypothesis() -> None:
    @conjecture(case=hst.floats(0, 1e6))
    def small(x: Any) -> Any:
        return x <= 1000

    report = search(small, cases=2000)
    assert report.status is SearchStatus.REFUTED
    assert report.counterexample is not None
    assert report.counterexample.case["values"] == {"case": ["1001"]}
    assert report.counterexample.rigor is Rigor.PROVED


def test_arrays_and_dictionaries_of_hypothesis() -> None:
    arrays = hnp.arrays(np.float64, hnp.array_shapes(max_dims=1), elements=hst.integers(-3, 3))
    both = hst.fixed_dictionaries({"x": arrays, "k": hst.sampled_from([1, 2])})

    @conjecture(case=both)
    def sums(case: Any) -> Any:
        return np.sum(case["x"]) <= 2 * case["k"]

    report = search(sums, cases=2000)
    assert report.status is SearchStatus.REFUTED
    assert values(report) == {"x": ["3"]}

    @conjecture(case=both)
    def squares(case: Any) -> Any:
        return case["x"] <= case["x"] * case["x"] * case["k"]

    report = search(squares, cases=300)
    assert report.status is SearchStatus.SURVIVED and 100 < report.cases <= 300


def test_a_strategy_with_few_values_is_exhausted() -> None:
    @conjecture(case=hst.sampled_from([0.25, 0.5, Fraction(1, 3)]))
    def below(x: Any) -> Any:
        return x < 1

    report = search(below, cases=100_000)
    assert report.status is SearchStatus.SURVIVED and report.cases == 3


def test_fixed_labels_beside_free_points() -> None:
    @conjecture(case=hst.tuples(hst.sampled_from([1.0, -1.0]), st.vectors(2)))
    def signed(case: Any) -> Any:
        y, x = case
        return y * x[0] <= 1 + abs(x[1])

    found = search(signed, cases=4000).counterexample
    assert found is not None
    assert found.case["values"] in (
        {"0": ["1"], "1": ["2", "0"]},
        {"0": ["-1"], "1": ["-2", "0"]},
    )


# -- bad input --------------------------------------------------------------------------------------------------------
def test_not_a_number_names_the_line_and_the_remedy() -> None:
    @conjecture(case=st.record(x=st.reals(-1, 1)))
    def root(case: Any) -> Any:
        return ops.log(case.x) <= case.x

    with pytest.raises(LemmataError, match=r"line \d+ .*ops.log.*assume") as error:
        search(root, cases=500)
    assert "'x': [" in str(error.value)


def test_hidden_randomness_is_flaky() -> None:
    @conjecture(case=PAIR)
    def random(case: Any) -> Any:
        return case.a <= case.b + np.random.default_rng().random()

    with pytest.raises(LemmataError, match=r"line \d+.*flaky"):
        search(random, cases=100)


def test_errors_of_the_function_name_the_line() -> None:
    @conjecture(case=PAIR)
    def broken(case: Any) -> Any:
        return case.missing <= 1

    with pytest.raises(LemmataError, match=r"test_conjecture_search.py, line \d+.*missing"):
        search(broken, cases=100)

    @conjecture(case=PAIR)
    def nothing(case: Any) -> Any:
        return None

    with pytest.raises(LemmataError, match="returns nothing"):
        search(nothing, cases=100)


def test_strategies_that_fail() -> None:
    @conjecture(case=hst.floats(0, 1).filter(lambda x: False))
    def empty(x: Any) -> Any:
        return x <= 1

    with pytest.raises(LemmataError, match="draws no case"):
        search(empty, cases=100)

    def explode(x: float) -> float:
        raise RuntimeError("no such thing")

    @conjecture(case=hst.floats(0, 1).map(explode))
    def raises(x: Any) -> Any:
        return x <= 1

    with pytest.raises(LemmataError, match=r"strategy fails with RuntimeError: no such thing"):
        search(raises, cases=100)

    @conjecture(case=hst.just(object()))
    def strange(x: Any) -> Any:
        return x <= 1

    with pytest.raises(LemmataError, match="object cannot be part of a case"):
        search(strange, cases=100)


@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 0},
        {"seconds": math.nan},
        {"cases": 0},
        {"cases": 1.5},
        {"seed": -1},
        {"jobs": 0},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(LemmataError, match=f"{next(iter(options))} = "):
        search(amgm, **options)


def test_seconds_are_a_budget_and_progress_is_told() -> None:
    shares: list[float] = []
    report = search(amgm, seconds=2.0, progress=shares.append)
    assert report.status is SearchStatus.SURVIVED and report.deciding > 0
    assert report.seconds >= 2.0
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 1


# -- free constants ---------------------------------------------------------------------------------------------------
def test_the_best_constant_of_a_norm() -> None:
    @conjecture(case=st.record(A=st.matrices(2, 2)))
    def norms(case: Any) -> Any:
        return np.linalg.norm(case.A) <= constant("c") * np.linalg.norm(case.A, 2)

    report = search(norms, cases=12_000)
    assert report.status is SearchStatus.SURVIVED
    c = report.constants["c"]
    assert c.better == "smaller" and c.supported is not None and c.refuted is not None
    assert c.refuted < math.sqrt(2) < c.supported
    assert c.supported - c.refuted < 1e-9
    assert c.counterexample is not None and c.counterexample.certificate is not None
    c.counterexample.certificate.audit()
    assert c.counterexample.case["values"]["A"] in (["1", "0", "0", "1"], ["0", "1", "1", "0"])


def test_a_constant_that_should_be_large_and_one_that_is_rational() -> None:
    @conjecture(case=PAIR)
    def lower(case: Any) -> Any:
        return constant("c") * np.sqrt(case.a * case.b) <= case.a + case.b

    c = search(lower, cases=6000).constants["c"]
    assert c.better == "larger" and c.supported == 2.0
    assert c.refuted is not None and 2 < c.refuted < 2 + 1e-9


@pytest.mark.parametrize("swapped", [False, True])
def test_rounding_makes_no_constant(swapped: bool) -> None:
    # in floats (1 + x) - 1 is 0 or twice as large as it should be where x is small
    @conjecture(case=st.positive())
    def same(x: Any) -> Any:
        sides = (x, (1 + x) - 1)
        lhs, rhs = sides[::-1] if swapped else sides
        return lhs <= constant("c", low=0) * rhs

    report = search(same, cases=3000)
    c = report.constants["c"]
    assert report.status is SearchStatus.SURVIVED and c.supported == 1.0
    assert c.refuted is not None and 1 - 1e-9 < c.refuted < 1


def test_constants_that_no_value_saves() -> None:
    @conjecture(case=PAIR)
    def capped(case: Any) -> Any:
        return case.a <= constant("c", low=1, high=10) * case.b

    report = search(capped, cases=2000)
    assert report.status is SearchStatus.REFUTED and "every value" in report.reason
    assert values(report) == {"a": ["11"], "b": ["1"]}

    @conjecture(case=PAIR)
    def growing(case: Any) -> Any:
        return case.a * case.b <= constant("c") * (case.a + case.b)

    report = search(growing, cases=20_000)
    # every single case has a value that saves it, so nothing is refuted
    assert report.status is not SearchStatus.REFUTED
    supported = report.constants["c"].supported
    assert supported is None or supported > 1e3


def test_a_constant_that_only_some_shapes_use() -> None:
    @conjecture(case=MATRIX)
    def nuclear_norm(case: Any) -> Any:
        A = case.A
        factor = constant("c") if A.shape[0] > 1 else 5
        return np.linalg.norm(A, "nuc") <= factor * np.linalg.norm(A)

    c = search(nuclear_norm, cases=6000).constants["c"]
    assert c.supported is not None and c.refuted is not None
    assert c.refuted < math.sqrt(3) < c.supported < c.refuted + 1e-9


def test_a_constant_for_what_hypothesis_draws() -> None:
    @conjecture(case=hst.floats(-1, 1))
    def squares(x: Any) -> Any:
        return x * x <= constant("c")

    report = search(squares, cases=400)
    assert report.status is SearchStatus.SURVIVED and report.deciding == report.cases > 48
    assert report.constants["c"].supported == 1.0


def test_a_conclusion_without_the_constant_that_fails() -> None:
    @conjecture(case=st.reals())
    def partly(x: Any) -> Any:
        return [x * x <= constant("c") * x * x, x * x >= 1]

    report = search(partly, cases=400)
    assert report.status is SearchStatus.REFUTED and values(report) == {"case": ["0"]}


def test_a_constant_in_a_hypothesis() -> None:
    @conjecture(case=st.vectors(2))
    def inside(v: Any) -> Any:
        assume(np.linalg.norm(v) <= constant("r", low=0))
        return v[0] ** 2 <= 4

    report = search(inside, cases=30_000)
    r = report.constants["r"]
    assert r.better == "larger" and r.supported is not None and 2 - 1e-9 < r.supported < 2.3
    assert report.tightest is None or report.tightest[0] <= 1


def test_constants_without_a_direction() -> None:
    @conjecture(case=PAIR)
    def between(case: Any) -> Any:
        c = constant("c")
        return [case.a * c <= case.b, case.b <= c * case.a]

    report = search(between, cases=2000)
    assert report.status is SearchStatus.UNDECIDED and "no best value" in report.reason

    @conjecture(case=PAIR)
    def two(case: Any) -> Any:
        return case.a <= constant("c") * case.b + constant("e")

    with pytest.raises(LemmataError, match="2 free constants"):
        search(two, cases=2000)
