"""Shrinking: the smallest shapes, then the simplest numbers, that still fail for certain."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hst

import proofs_checks.strategies as st
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.confirm import Confirm
from proofs_checks.conjectures.conjecture import ConjectureError, conjecture
from proofs_checks.conjectures.generation import Drawn, draw, magnitude
from proofs_checks.conjectures.lanes import Lanes, inputs_of
from proofs_checks.conjectures.open_cases import Asked
from proofs_checks.conjectures.restrictions import restrictions
from proofs_checks.conjectures.samples import Domain, Parameter, Real
from proofs_checks.conjectures.shrink import shrink
from proofs_checks.conjectures.simplify import cost, simplify, total_cost


def of(*values: float, domain: Domain | None = None) -> ConjectureCase:
    return ConjectureCase.of(Parameter(list(values), domain or Domain()))


def entries(case: ConjectureCase) -> list[Fraction]:
    return list(case.values["case"])


@given(hst.fractions(), hst.fractions())
def test_simple_numbers_cost_less(x: Fraction, y: Fraction) -> None:
    assert cost(x) >= 0 and (cost(x) == 0) == (x == 0)
    assert cost(abs(x)) <= cost(x)
    if x.denominator == 1 and y.denominator > 1 and abs(y.numerator) >= abs(x.numerator):
        assert cost(abs(x)) < cost(abs(y))


def test_the_order_of_simplicity() -> None:
    order = [0, 1, -1, 2, 3, Fraction(1, 2), 7, 10**6, 999_983, Fraction(123_457, 100_003)]
    costs = [cost(Fraction(x)) for x in order]
    assert costs == sorted(costs) and len(set(costs)) == len(costs)
    assert total_cost((Fraction(2), Fraction(2))) < total_cost((Fraction(2), Fraction(-2)))


@pytest.mark.parametrize(
    ("start", "fails", "smallest"),
    [
        ((3.7182, -8.25, 0.001), lambda x: sum(x) < -3, [0, -4, 0]),
        ((123.456, 7.25), lambda x: x[0] > 10 and x[1] != 0, [11, 1]),
        ((0.3333333, 12.5), lambda x: Fraction(3, 10) < x[0] < Fraction(2, 5), [Fraction(1, 3), 0]),
        ((1.4, 2.8), lambda x: x[1] == 2 * x[0] and x[0] > 0, [1, 2]),
        ((1e-9, 3e9), lambda x: x[0] != 0, [1, 0]),
    ],
)
def test_the_simplest_numbers_are_found(start: Any, fails: Any, smallest: list[Any]) -> None:
    def all_of(cases: Sequence[ConjectureCase]) -> list[bool]:
        return [bool(fails(entries(case))) for case in cases]

    found = entries(simplify(of(*start), all_of, seed=0))
    assert fails(found)
    assert total_cost(tuple(found)) <= total_cost(tuple(map(Fraction, smallest))) + 1e-9


@given(hst.lists(hst.floats(-1e6, 1e6), min_size=1, max_size=5), hst.integers(0, 3))
def test_what_comes_out_fails_and_is_no_more_complicated(values: list[float], seed: int) -> None:
    case = of(*values)
    least = abs(Fraction(values[0])) / 2

    def fails(cases: Sequence[ConjectureCase]) -> list[bool]:
        return [abs(entries(c)[0]) >= least for c in cases]

    found = simplify(case, fails, seed=seed)
    assert fails([found]) == [True]
    assert total_cost(tuple(entries(found))) <= total_cost(tuple(entries(case)))
    # the others do not matter: they are zero, or equal to the first where a tie is simpler
    assert set(entries(found)[1:]) <= {Fraction(0), entries(found)[0]}


def test_numbers_stay_in_their_domain() -> None:
    case = of(2.75, 3.5, domain=Domain(2.0, 4.0, open_low=True))
    found = simplify(case, lambda cases: [True] * len(cases), seed=0)
    assert entries(found) == [3, 3]


def test_what_is_fixed_is_left_alone() -> None:
    drawn = {"x": np.array([0.7, 0.9]), "t": Real(0.6180339)}
    case = ConjectureCase.of(drawn)
    found = simplify(case, lambda cases: [c.values["t"][0] > 0 for c in cases], seed=0)
    assert found.values == {"x": case.values["x"], "t": (Fraction(1),)}


SHAPES = st.record(A=st.matrices((1, 4), (1, 4)))


def test_smaller_shapes_come_first() -> None:
    @conjecture(case=SHAPES)
    def wide(case: Any) -> Any:
        rows, columns = case.A.shape
        if rows + columns < 5:
            return abs(case.A).sum() >= 0
        return np.linalg.norm(case.A) ** 2 <= 5

    start = ConjectureCase.of(draw_record(np.full((4, 4), 3.25)))
    drawn = draw(wide, count=60, seed=0)
    small = shrink(Confirm(wide), start, drawn, seed=0, timed=False)
    assert sum(small.shapes["A"]) == 5
    assert Confirm(wide).fails(small)
    found = sorted(map(abs, small.values["A"]))
    # 4 entries 1 x 4: one 3; 6 entries 2 x 3 are not the smallest
    assert small.size == 4 and sum(x * x for x in found) > 5


def draw_record(A: np.ndarray) -> Any:
    from proofs_checks.conjectures.samples import Sample

    return Sample("record", {"A": Parameter(A)})


def test_structures_are_tried_in_ascending_order() -> None:
    cases = [ConjectureCase.of(Parameter(np.zeros(shape))) for shape in ((3, 3), (1, 2), (2, 2))]
    groups = Drawn(cases=cases).by_structure()
    assert [g[0].shapes["case"] for g in groups] == [[1, 2], [2, 2], [3, 3]]
    assert magnitude(cases[1]) < magnitude(cases[2])


# -- lanes ------------------------------------------------------------------------------------------------------------
def test_lanes_keep_exact_values() -> None:
    drawn = {"x": np.array([0.5]), "t": Fraction(1, 3), "p": Parameter([1.0, 2.0])}
    case = ConjectureCase.of(drawn)
    lanes = Lanes([case, case])
    assert lanes.space.names == ("p",)
    of_bases = np.array([1, 0, 1])
    points = np.array([[0.1, 2.0], [3.0, 4.0], [5.0, 6.0]])
    inputs = lanes.inputs(points, of_bases)
    assert inputs["p"].shape == (3, 2) and inputs["t"].shape == (3,)
    radii = lanes.radii(of_bases)
    assert radii is not None and set(radii) == {"t"}
    assert (abs(Fraction(float(inputs["t"][0])) - Fraction(1, 3))) <= Fraction(float(radii["t"][0]))
    moved = lanes.case(points[0], 1)
    assert moved.values == {
        "x": (Fraction(1, 2),),
        "t": (Fraction(1, 3),),
        "p": (Fraction(0.1), Fraction(2)),
    }


def test_inputs_of_cases_bound_their_rounding() -> None:
    cases = [ConjectureCase.of({"t": Fraction(k, 7)}) for k in (1, 7, 14)]
    inputs, radii = inputs_of(cases)
    assert inputs["t"].tolist() == [1 / 7, 1.0, 2.0]
    assert radii is not None and radii["t"][0] > 0 and radii["t"][1:].tolist() == [0.0, 0.0]
    assert inputs_of(cases[1:])[1] is None


# -- harder ones ------------------------------------------------------------------------------------------------------
def test_entries_that_only_move_together_are_simplified() -> None:
    def fails(cases: Sequence[ConjectureCase]) -> list[bool]:
        # a step size and a scale whose product matters
        return [c.values["eta"][0] * c.values["W"][0] ** 2 > Fraction(1, 2000) for c in cases]

    start = ConjectureCase.of({"eta": Real(1e-7), "W": Parameter([100.0])})
    found = simplify(start, fails, seed=0)
    assert fails([found]) == [True]
    assert found.values == {"eta": (Fraction(1),), "W": (Fraction(1),)}


@pytest.mark.parametrize(("least", "smallest"), [(7, 8), (3, 4), (9, 10), (95, 96)])
def test_the_smallest_integer_is_found(least: int, smallest: int) -> None:
    found = simplify(of(1000.0), lambda cases: [entries(c)[0] > least for c in cases], seed=0)
    assert entries(found)[0] <= max(smallest, 100 if least > 90 else 0)


def test_what_floats_leave_open_is_asked_exactly() -> None:
    asked: list[ConjectureCase] = []

    def fails(cases: Sequence[ConjectureCase]) -> list[bool | None]:
        # below 1/10 floats cannot tell
        return [None if entries(c)[0] < Fraction(1, 10) else True for c in cases]

    def ask(case: ConjectureCase) -> bool:
        asked.append(case)
        return entries(case)[0] == 0

    assert entries(simplify(of(0.125), fails, seed=0, ask=ask)) == [0]
    assert 0 < len(asked) < 70
    assert entries(simplify(of(0.125), fails, seed=0)) == [1]


def test_a_failing_case_is_cut_down() -> None:
    case = ConjectureCase.of(
        {
            "X": Parameter(np.arange(9.0).reshape(3, 3)),
            "w": Parameter([7.0, 8.0, 9.0]),
            "y": np.ones(3),
        }
    )
    base = ConjectureCase.of(
        {"X": Parameter(np.zeros((2, 3))), "w": Parameter(np.zeros(2)), "y": -np.ones(2)}
    )
    found = restrictions(case, base)
    assert len(found) == 3
    kept = {(part.values["X"], part.values["w"]) for part in found}
    rows = [tuple(map(Fraction, range(3 * k, 3 * k + 3))) for k in range(3)]
    assert kept == {
        ((*rows[i], *rows[j]), (Fraction(7 + i), Fraction(7 + j)))
        for i, j in ((0, 1), (0, 2), (1, 2))
    }
    # what is fixed was drawn with the smaller shapes
    assert all(part.values["y"] == (-1, -1) and part.structure == base.structure for part in found)
    assert restrictions(base, case) == []


def test_simpler_cases_that_are_undefined_are_no_counterexamples_and_no_errors() -> None:
    @conjecture(case=st.reals())
    def inverse(x: Any) -> Any:
        return 1 / x <= 2

    at_zero, small = ConjectureCase.of(Real(0.0)), ConjectureCase.of(Real(0.25))
    with pytest.raises(ConjectureError, match="division by zero"):
        Confirm(inverse).fails(at_zero)
    assert not Confirm(inverse).fails_if_defined(at_zero)
    assert Confirm(inverse).fails_if_defined(small)
    assert Asked(Confirm(inverse)).look([at_zero])[0] is None
