"""Programs as plain data: shapes, limits, hostile data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from theory.program import MAX_ENTRIES, Program, ProgramError, broadcast, from_data, infer


def honest() -> dict[str, Any]:
    """max(|x|) <= 2, x of shape (2, 3), if x sums to something positive."""
    return {
        "instructions": [
            ["input", [], {"name": "x", "shape": [2, 3]}],
            ["constant", [], {"shape": [], "values": ["0"]}],
            ["constant", [], {"shape": [], "values": ["2"]}],
            ["abs", [0], {}],
            ["reshape", [3], {"shape": [6]}],
            ["amax", [4], {"axis": 0}],
            ["reshape", [0], {"shape": [6]}],
            ["sum", [6], {"axis": 0}],
            ["exp", [0], {}],
        ],
        "hypotheses": [[1, "<", 7]],
        "conclusions": [[5, "<=", 2]],
    }


def test_data_make_a_round_trip() -> None:
    data = honest()
    program = from_data(json.loads(json.dumps(data)))
    assert program.to_data() == data
    assert program.inputs == {"x": 0} and program.oracles == frozenset()
    assert program.instructions[5].shape == () and program.sides() == [1, 7, 5, 2]


def test_pruning_drops_what_nothing_needs_and_keeps_the_relations() -> None:
    program = from_data(honest())
    pruned = program.pruned()
    assert len(pruned.instructions) == 8 and "exp" not in {i.op for i in pruned.instructions}
    assert pruned.pruned() == pruned
    shown = [pruned.instructions[r.lhs].op for r in (*pruned.hypotheses, *pruned.conclusions)]
    assert shown == ["constant", "amax"]


@pytest.mark.parametrize(
    ("a", "b", "out"), [((), (3,), (3,)), ((2, 1), (4,), (2, 4)), ((0,), (1,), (0,))]
)
def test_broadcasting(a: tuple[int, ...], b: tuple[int, ...], out: tuple[int, ...]) -> None:
    assert broadcast(a, b) == broadcast(b, a) == out


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ProgramError, match=r"\(2,\) and \(3,\) do not fit"):
        broadcast((2,), (3,))
    with pytest.raises(ProgramError, match="matmul of shapes"):
        infer("matmul", [(2, 3), (2, 3)], {})
    with pytest.raises(ProgramError, match="square"):
        infer("eigenvalues", [(2, 3)], {})


def _changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    data = honest()
    at: Any = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return data


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"instructions": []},
        {**honest(), "more": 1},
        _changed(("instructions", 3, 1), [3]),  # its own number
        _changed(("instructions", 3, 1), [-1]),
        _changed(("instructions", 3, 1), [True]),
        _changed(("instructions", 3, 1), [0, 0]),
        _changed(("instructions", 3, 0), "eval"),
        _changed(("instructions", 3, 0), ["abs"]),
        _changed(("instructions", 3, 2), {"axis": 0}),
        _changed(("instructions", 4, 2), {"shape": [7]}),
        _changed(("instructions", 4, 2), {"shape": [-6]}),
        _changed(("instructions", 4, 2), {"shape": [True, 6]}),
        _changed(("instructions", 5, 2), {"axis": 1}),
        _changed(("instructions", 5, 2), {"axis": 0.0}),
        _changed(("instructions", 0, 2), {"name": "x", "shape": [MAX_ENTRIES, 2]}),
        _changed(("instructions", 0, 2), {"name": "", "shape": [2, 3]}),
        _changed(("instructions", 1, 2), {"shape": [], "values": ["1/0"]}),
        _changed(("instructions", 1, 2), {"shape": [], "values": ["nan"]}),
        _changed(("instructions", 1, 2), {"shape": [], "values": [0]}),
        _changed(("instructions", 1, 2), {"shape": [2], "values": ["0"]}),
        _changed(("conclusions", 0), [5, ">", 2]),
        _changed(("conclusions", 0), [5, "<=", 99]),
        _changed(("hypotheses", 0), [1, "<"]),
    ],
)
def test_what_is_no_program_is_refused(data: Any) -> None:
    with pytest.raises(ProgramError):
        from_data(data)


def test_a_program_has_a_limit_of_size() -> None:
    grow = [["input", [], {"name": "x", "shape": [1000, 1000]}]]
    grow += [["exp", [k], {}] for k in range(25)]
    with pytest.raises(ProgramError, match="entries"):
        from_data({"instructions": grow, "hypotheses": [], "conclusions": []})


def test_programs_compare_by_content() -> None:
    assert from_data(honest()) == from_data(honest())
    assert from_data(honest()) != from_data(_changed(("conclusions", 0), [5, "<", 2]))
    assert isinstance(from_data(honest()), Program)
