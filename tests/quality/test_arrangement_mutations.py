"""Planted wrong certificates of activation patterns: the kernel refuses each, and never crashes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from numerics import arrangements
from numerics.errors import NumericsError
from proofs_checks.arrangement import arrangement
from proofs_checks.audit import arrangement as patterns_kind
from proofs_checks.audit.core import Clock, Rejected

POINTS = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [-2, -2, -2], [0, 0, 0], [1, 2, 3]]


def patterns_data(certify: Any) -> dict[str, Any]:
    certificate = arrangement(POINTS, certify=certify, listed=True).certificate
    assert certificate is not None
    data = json.loads(certificate.to_json())
    return {name: data[name] for name in ("claim", "inputs", "witness")}


def accept(data: dict[str, Any]) -> str:
    return patterns_kind.check(data["claim"], data["inputs"], data["witness"], Clock(20))


def drop_cell(data: dict[str, Any]) -> None:
    data["witness"]["cells"].pop()
    data["claim"]["patterns"] = []


def drop_cell_and_claim_less(data: dict[str, Any]) -> None:
    data["witness"]["cells"].pop()
    data["claim"].update(count=data["claim"]["count"] - 2, patterns=[])


def repeat_cell(data: dict[str, Any]) -> None:
    data["witness"]["cells"].append([2 * x for x in data["witness"]["cells"][0]])


def repeat_opposite_cell(data: dict[str, Any]) -> None:
    data["witness"]["cells"].append([-x for x in data["witness"]["cells"][0]])


def cell_on_a_hyperplane(data: dict[str, Any]) -> None:
    data["witness"]["cells"][0][0] = 0


def cell_with_a_float(data: dict[str, Any]) -> None:
    data["witness"]["cells"][0][0] = "0x1.0p+0"


def short_cell(data: dict[str, Any]) -> None:
    data["witness"]["cells"][0].pop()


def count_too_great(data: dict[str, Any]) -> None:
    data["claim"]["count"] += 2


def count_is_true(data: dict[str, Any]) -> None:
    data["claim"]["count"] = True


def list_misses_one(data: dict[str, Any]) -> None:
    data["claim"]["patterns"].pop()


def list_repeats_one(data: dict[str, Any]) -> None:
    data["claim"]["patterns"][0] = data["claim"]["patterns"][1]


def list_has_a_wrong_one(data: dict[str, Any]) -> None:
    data["claim"]["patterns"][0] = "1000011"


def list_of_lists(data: dict[str, Any]) -> None:
    data["claim"]["patterns"][0] = ["1"]


def another_point(data: dict[str, Any]) -> None:
    data["claim"]["points"][3] = ["1", "1", "2"]


def a_point_more(data: dict[str, Any]) -> None:
    data["claim"]["points"].append(["5", "-1", "1"])


def ragged_points(data: dict[str, Any]) -> None:
    data["claim"]["points"][2].pop()


def no_points(data: dict[str, Any]) -> None:
    data["claim"]["points"] = []


def points_of_no_columns(data: dict[str, Any]) -> None:
    data["claim"]["points"] = [[]]


def a_field_more(data: dict[str, Any]) -> None:
    data["witness"]["note"] = ""


WRONG_PATTERNS = [
    drop_cell,
    drop_cell_and_claim_less,
    repeat_cell,
    repeat_opposite_cell,
    cell_on_a_hyperplane,
    cell_with_a_float,
    short_cell,
    count_too_great,
    count_is_true,
    list_misses_one,
    list_repeats_one,
    list_has_a_wrong_one,
    list_of_lists,
    another_point,
    a_point_more,
    ragged_points,
    no_points,
    points_of_no_columns,
    a_field_more,
]


@pytest.mark.parametrize("certify", ["count", "tree"])
@pytest.mark.parametrize("spoil", WRONG_PATTERNS)
def test_wrong_patterns_are_refused(spoil: Callable[[Any], None], certify: str) -> None:
    data = patterns_data(certify)
    assert accept(data)
    spoil(data)
    with pytest.raises(Rejected):
        accept(data)


def test_a_tree_without_a_branch_is_refused() -> None:
    """The cell is left out of the list, its leaf out of the tree, with whatever could hide the gap."""
    data = patterns_data("tree")
    tree = data["witness"]["tree"]
    split = next(k for k, node in enumerate(tree) if type(node) is int)
    for hidden in ([tree[split] + 1], [-tree[split] - 1, 0], [tree[split] + 1, 0, 0]):
        spoiled = copy.deepcopy(data)
        spoiled["witness"]["tree"][split] = hidden
        with pytest.raises(Rejected, match="contradict"):
            accept(spoiled)


@pytest.mark.parametrize(
    ("count", "cells", "tree", "reason"),
    [
        (4, [[1, 1], [0, -1]], [], "lies on the hyperplane"),
        (4, [[1, 1]], [], "the cells have 2 patterns"),
        (2, [[1, 1]], [], "up to 4 patterns"),
        (2, [[1, 1]], [[""]], "below signs for all rows"),
        (2, [[1, 1]], [[2], [""]], "do not contradict"),
        (4, [[1, 1], [1, -1]], [0, [""], [""]], "cannot be split on"),
        (4, [[1, 1], [1, -1]], [1, [""], ["1"]], "leaf must be"),
        (4, [[1, 1], [1, -1]], "", "ends before"),
    ],
)
def test_forged_counts_are_refused_for_the_right_reason(
    count: int, cells: Any, tree: Any, reason: str
) -> None:
    claim = {"points": [["1", "0"], ["0", "1"]], "count": count, "patterns": []}
    with pytest.raises(Rejected, match=reason):
        patterns_kind.check(claim, {}, {"cells": cells, "tree": tree}, Clock(5))


def test_a_wide_certificate_is_refused_in_time() -> None:
    points = [["1"] * 300 for _ in range(300)]
    for i in range(300):
        points[i][i] = "2"
    data = {"points": points, "count": 2, "patterns": []}
    with pytest.raises(Rejected, match="not re-derived within 1 seconds"):
        patterns_kind.check(data, {}, {"cells": [[1] * 300], "tree": []}, Clock(1))
    with pytest.raises(Rejected, match="more than 64 columns"):
        patterns_kind.check(data, {}, {"cells": [[1] * 300], "tree": [[""]]}, Clock(60))
    long = {"points": [["9" * 4000] * 8 for _ in range(8)], "count": 2, "patterns": []}
    long["points"][0][0] = "1"
    with pytest.raises(Rejected, match="bits"):
        patterns_kind.check(long, {}, {"cells": [[1] * 8], "tree": [[""]]}, Clock(1))


def one_less(points: list[Any]) -> list[Any]:
    return points[:-1]


def one_twice(points: list[Any]) -> list[Any]:
    return [*points[:-1], points[0]]


def one_on_a_hyperplane(points: list[Any]) -> list[Any]:
    return [*points[:-1], (0, *points[-1][1:])]


@pytest.mark.parametrize("spoil", [one_less, one_twice, one_on_a_hyperplane])
def test_a_wrong_enumeration_is_noticed(
    spoil: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enumeration that loses or repeats a cell is no list that is silently incomplete."""
    right = arrangements.cell_points
    monkeypatch.setattr(arrangements, "cell_points", lambda *a, **k: spoil(right(*a, **k)))
    with pytest.raises(NumericsError, match="internal error"):
        arrangements.enumerate_patterns(POINTS)
