"""Conjectures and their cases: tracing, clear errors with lines, exact values, hostile case files."""

from __future__ import annotations

import copy
import itertools
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import ConjectureError, assume, conjecture, constant
from proofs_checks.conjectures.samples import (
    POSITIVE,
    Domain,
    Parameter,
    Real,
    Sample,
    leaves,
)
from theory.errors import LemmataError

EXAMPLE = {
    "W": Parameter([[1.0, 2.0], [3.0, 0.1]]),
    "eta": Real(0.5, POSITIVE),
    "fixed": np.array([1, -1]),
    "third": Fraction(1, 3),
    "size": 3,
    "loss": "squared",
    "more": [(Parameter(2.0), None), {"flag": True}],
}


def test_a_case_is_what_was_drawn_exactly() -> None:
    case = ConjectureCase.of(EXAMPLE)
    assert case.values["third"] == (Fraction(1, 3),)
    assert case.values["W"][3] == Fraction(0.1) != Fraction(1, 10)
    assert case.shapes == {"W": [2, 2], "eta": [], "fixed": [2], "third": [], "more.0.0": []}
    free = {path: leaf.free for path, leaf in leaves(case.structure)}
    assert free == {"W": True, "eta": True, "fixed": False, "third": False, "more.0.0": True}
    view = case.view()
    np.testing.assert_array_equal(view["W"], EXAMPLE["W"])
    assert view["loss"] == "squared" and view["more"][1] == {"flag": True} and view["eta"] == 0.5


def test_the_order_of_keys_is_no_part_of_a_case() -> None:
    backwards = dict(reversed(EXAMPLE.items()))
    cases = [
        ConjectureCase.of(value) for value in (EXAMPLE, backwards, Sample("record", backwards))
    ]
    assert cases[0].structure == cases[1].structure and cases[0].hash == cases[1].hash
    assert list(cases[0].values) == list(cases[1].values) == list(cases[2].values)
    assert cases[0].structure.items == cases[2].structure.items  # type: ignore[union-attr]


def test_cases_are_plain_data() -> None:
    case = ConjectureCase.of(EXAMPLE)
    again = ConjectureCase.from_json(json.loads(json.dumps(case.to_json())))
    assert again.structure == case.structure and again.values == case.values
    assert again.hash == case.hash
    other = ConjectureCase.of({**EXAMPLE, "eta": Real(0.25, POSITIVE)})
    assert other.hash != case.hash and other.structure == case.structure


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_floats_survive(values: list[float]) -> None:
    case = ConjectureCase.of(Parameter(values))
    again = ConjectureCase.from_json(json.loads(json.dumps(case.to_json())))
    assert again.floats()["case"].tolist() == (np.array(values) + 0.0).tolist()


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, np.array([1.0, np.nan]), {"a b": 1.0}, object(), np.array(["x"]), 1j],
)
def test_what_is_no_case_is_refused(value: Any) -> None:
    with pytest.raises(LemmataError):
        ConjectureCase.of(value)


def test_domains_are_kept() -> None:
    with pytest.raises(LemmataError, match="outside"):
        Parameter([0.0], POSITIVE)
    with pytest.raises(LemmataError, match="outside"):
        Real(2.0, Domain(0.0, 1.0))
    with pytest.raises(LemmataError, match="no domain"):
        Domain(1.0, 0.0)


def test_what_is_computed_from_free_values_is_not_free() -> None:
    parameter, real = Parameter([1.0, 2.0], POSITIVE), Real(0.5, POSITIVE)
    for derived in (parameter + 1, parameter[0], np.sqrt(parameter), parameter.sum(), real * 2):
        assert not isinstance(derived, Parameter | Real)
    with pytest.raises(ValueError, match="read-only"):
        parameter[0] = 3.0


def _mutants() -> list[tuple[tuple[Any, ...], Any]]:
    wrong: list[Any] = [None, -1, 1.5, "x", [], {}, True, 10**30, "1e999999999", "1/0", ["nan"]]
    paths: list[tuple[Any, ...]] = []

    def visit(data: Any, path: tuple[Any, ...]) -> None:
        paths.append(path)
        items = (
            data.items()
            if isinstance(data, dict)
            else enumerate(data)
            if isinstance(data, list)
            else ()
        )
        for key, child in items:
            visit(child, (*path, key))

    visit(ConjectureCase.of(EXAMPLE).to_json(), ())
    return [(p, w) for p, w in itertools.product(paths[1:], wrong)]


def test_hostile_case_files_are_refused_or_mean_something_else() -> None:
    honest = ConjectureCase.of(EXAMPLE)
    refused = 0
    for path, value in _mutants():
        data = copy.deepcopy(honest.to_json())
        at: Any = data
        for key in path[:-1]:
            at = at[key]
        if at[path[-1]] == value and type(at[path[-1]]) is type(value):
            continue
        at[path[-1]] = value
        try:
            case = ConjectureCase.from_json(data)
        except LemmataError:
            refused += 1
        else:
            assert case.to_json() == data or case.hash != honest.hash
    assert refused > 500


def test_case_files_cannot_exhaust_memory_or_name_code() -> None:
    leaf = {
        "shape": [1000, 1000, 1000],
        "free": True,
        "number": False,
        "domain": ["-inf", "inf", False, False, False],
    }
    data = {"format": "lemmata-conjecture-case/1", "structure": leaf, "values": {"case": []}}
    with pytest.raises(LemmataError):
        ConjectureCase.from_json(data)
    for kind in ("sample:os:system", "sample:", "record", "sample:record:x", 3):
        node = {"node": kind, "items": []}
        with pytest.raises(LemmataError):
            ConjectureCase.from_json({**data, "structure": node, "values": {}})
    deep: Any = {"static": 1}
    for _ in range(100):
        deep = {"node": "list", "items": [["0", deep]]}
    with pytest.raises(LemmataError):
        ConjectureCase.from_json({**data, "structure": deep, "values": {}})


# -- conjectures ------------------------------------------------------------------------------------------------------
CASE = ConjectureCase.of(
    Sample("record", {"W": Parameter([[1.0, 2.0], [3.0, 4.0]]), "eta": Real(0.5)})
)


@conjecture(case=st.none())
def fine(case: Any) -> Any:
    """Frobenius against a constant."""
    assume(case.eta > 0, "step size")
    return {"norm": np.linalg.norm(case.W) * constant("c", low=0) <= 10, "eta": case.eta <= 1}


def test_a_conjecture_becomes_a_program() -> None:
    traced = fine.trace(CASE)
    assert set(traced.program.inputs) == {"W", "eta", "constant:c"}
    assert [r.name for r in traced.program.conclusions] == ["norm", "eta"]
    assert [r.name for r in traced.program.hypotheses] == ["step size"]
    assert traced.constants["c"].low == 0 and traced.constants["c"].high is None
    assert fine.trace(CASE) is traced
    assert fine.name == "fine" and fine.__doc__ == "Frobenius against a constant."


def _raises(case: Any) -> Any:
    return case.eta <= {}["missing"]


def _nothing(case: Any) -> None:
    _ = case.eta <= 1


def _boolean(case: Any) -> Any:
    return 1 <= 2


def _array(case: Any) -> Any:
    return case.eta


def _empty(case: Any) -> Any:
    return []


def _random(case: Any) -> Any:
    return case.eta * np.random.default_rng().standard_normal() <= 1


def _inverse(case: Any) -> Any:
    return np.linalg.inv(case.W)[0, 0] <= 1


def _branch(case: Any) -> Any:
    if case.eta > 0:
        return case.eta <= 1
    return case.eta <= 2


def _twice(case: Any) -> Any:
    return constant("c", low=0) * constant("c", low=1) <= case.eta


def _attribute(case: Any) -> Any:
    return case.missing <= 1


@pytest.mark.parametrize(
    ("function", "words", "offset"),
    [
        (_raises, "KeyError: 'missing'", 1),
        (_nothing, "returns nothing", 0),
        (_boolean, "do not depend on the case", 0),
        (_array, "compare it", 0),
        (_empty, "no comparison", 0),
        (_random, "flaky", 1),
        (_inverse, "error bound", 1),
        (_branch, "truth value", 1),
        (_twice, "different ranges", 1),
        (_attribute, "missing", 1),
    ],
)
def test_bad_conjectures_are_named_with_the_line(function: Any, words: str, offset: int) -> None:
    line = function.__code__.co_firstlineno + offset
    with pytest.raises(ConjectureError, match=words) as found:
        conjecture(case=st.none())(function).trace(CASE)
    assert str(found.value).startswith(f"{Path(__file__).name}, line {line}: ")


def test_bad_arguments() -> None:
    with pytest.raises(LemmataError, match="no strategy"):
        conjecture(case=3)  # type: ignore[arg-type]
    with pytest.raises(LemmataError, match="comparison"):
        assume(True)  # type: ignore[arg-type]
    with pytest.raises(LemmataError, match="decorated"):
        constant("c")
    with pytest.raises(LemmataError, match="name"):
        constant("a b")


@pytest.mark.parametrize("ends", [(2, 1), (1, 1), (0, math.inf), (math.nan, None), ("a", None)])
def test_a_constant_has_a_range(ends: Any) -> None:
    @conjecture(case=st.just(Parameter(1.0)))
    def ranged(x: Any) -> Any:
        return x <= constant("c", low=ends[0], high=ends[1])

    with pytest.raises(ConjectureError, match="the smaller one as low"):
        ranged.trace(ConjectureCase.of(Parameter(1.0)))


def test_none_among_comparisons_and_arrays_of_another_call() -> None:
    kept: list[Any] = []

    @conjecture(case=st.just(Parameter(1.0)))
    def partly(x: Any) -> Any:
        return (x <= 1, None)

    @conjecture(case=st.just(Parameter(1.0)))
    def keeps(x: Any) -> Any:
        kept.append(x)
        return kept[0] <= 1

    for claim, words in ((partly, "returns None"), (keeps, "another case")):
        with pytest.raises(ConjectureError, match=rf"test_conjecture.py, line \d+.*{words}"):
            claim.trace(ConjectureCase.of(Parameter(1.0)))


def test_what_changes_later_is_flaky_too() -> None:
    calls = itertools.count()

    @conjecture(case=st.just(Parameter(1.0)))
    def changing(x: Any) -> Any:
        return x <= (1 if next(calls) < 2 else 2)

    changing.trace(ConjectureCase.of(Parameter(1.0)))
    with pytest.raises(ConjectureError, match="flaky"):
        changing.again()


def test_lines_are_those_of_the_function_wherever_it_is_traced_from() -> None:
    import proofs_checks.strategies as ours

    @conjecture(case=ours.orthogonally_separable(mu=0.5))
    def norms(data: Any) -> Any:
        return np.linalg.norm(data.X) >= 0

    def lines(claim: Any) -> list[int]:
        case = ConjectureCase.of(find(claim.case, lambda _: True))
        return [i.line for i in claim.trace(case).program.instructions]

    first = lines(norms)
    norms.again()  # from another line: what samples are made of is no line of ours
    assert 0 in first and set(first) == {0, norms.line + 2}
