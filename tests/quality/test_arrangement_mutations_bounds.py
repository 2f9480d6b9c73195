"""Planted wrong witnesses of bounds by sign trees: the kernel refuses each, and never crashes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.audit.core import Clock, Rejected
from proofs_checks.audit.sign_tree import check_bound
from proofs_checks.sign_tree import bound_witness, pricing_bound

X = [[1, 0, 1], [0, 1, 1], [1, 1, 1], [-1, 2, 1], [0, 0, 0], [2, -1, 1], [1, -2, 1], [-1, -1, 1]]
NU = [2, -1, 3, -5, 5, 4, 3, -2]
M = pricing_bound(X, NU)[0]
R = Fraction(M * (1 + 1e-12))
WITNESS = json.loads(json.dumps(bound_witness(X, NU, R)))
SQUARE = [[1, 1], [1, -1], [-1, 1], [-1, -1]]
MIRRORS = [[1, -1], [0, 1]]


def refuse_or_accept(witness: Any, *, points: Any = X, nu: Any = NU, radius: Any = R) -> bool:
    """Whether the kernel accepts; any other exception than Rejected is a failure."""
    rows = [[fmpq(x) for x in row] for row in points]
    square = fmpq(*(Fraction(radius) ** 2).as_integer_ratio())
    try:
        check_bound(rows, [fmpq(v) for v in nu], square, witness, Clock(20))
    except Rejected:
        return False
    return True


def leaves(tree: list[Any]) -> list[Any]:
    return [n for n in tree if isinstance(n, list) and isinstance(n[0], str)]


def leaf_of(w: Any) -> list[Any]:
    """A leaf with a theta between 0 and 1."""
    return next(n for name in ("plus", "minus") for n in leaves(w[name]) if len(n) > 2)


def forced(tree: list[Any]) -> list[Any]:
    return next(n for n in tree if isinstance(n, list) and type(n[0]) is int and len(n) > 2)


def theta_above_one(w: Any) -> None:
    for leaf in leaves(w["plus"]):
        leaf[1:] = [1, "3/2"]


def negative_theta(w: Any) -> None:
    leaf = leaf_of(w)
    leaf[-1] = f"-{leaf[-1]}"


def theta_left_out(w: Any) -> None:
    for name in ("plus", "minus"):
        for leaf in leaves(w[name]):
            del leaf[1:]


def theta_of_a_row_that_is_split(w: Any) -> None:
    for name, sign in (("plus", 1), ("minus", -1)):
        for leaf in leaves(w[name]):
            leaf[1:] = [next(i for i, v in enumerate(NU) if sign * v > 0), "1/2"]


def coefficient_named_twice(w: Any) -> None:
    leaf = leaf_of(w)
    leaf += leaf[-2:]


def coefficient_of_no_row(w: Any) -> None:
    leaf_of(w)[-2] = len(X)


def coefficient_without_row(w: Any) -> None:
    leaf_of(w).append(0)


def bits_too_long(w: Any) -> None:
    leaves(w["plus"])[0][0] += "0"


def bits_too_many(w: Any) -> None:
    leaves(w["plus"])[0][0] = "f"


def drop_last_leaf(w: Any) -> None:
    w["minus"].pop()


def one_leaf_more(w: Any) -> None:
    w["plus"].append(copy.deepcopy(w["plus"][-1]))


def no_tree(w: Any) -> None:
    w["plus"] = []


def tree_is_text(w: Any) -> None:
    w["plus"] = "0"


def split_hidden(w: Any) -> None:
    """A split becomes a forced sign, and its second branch is left out."""
    row = w["plus"][0]
    w["plus"][0] = [row + 1]


def forced_by_others(w: Any) -> None:
    node = forced(w["plus"])
    node[1:] = node[1:-1]


def forced_the_other_way(w: Any) -> None:
    node = forced(w["plus"])
    node[0] = -node[0]


def forced_by_itself(w: Any) -> None:
    node = forced(w["plus"])
    node[1:] = [abs(node[0]) - 1]


def leaf_too_early(w: Any) -> None:
    w["plus"] = [leaves(w["plus"])[0]]


def split_on_a_zero_row(w: Any) -> None:
    w["plus"] = [4, *w["plus"], *w["plus"]]


def split_on_a_negative_row(w: Any) -> None:
    w["plus"] = [1, *w["plus"], *w["plus"]]


def split_twice(w: Any) -> None:
    w["plus"] = [w["plus"][0], *w["plus"], *w["plus"]]


def sides_exchanged(w: Any) -> None:
    w["plus"], w["minus"] = w["minus"], w["plus"]


def inside_without_reflections(w: Any) -> None:
    w["inside"] = [1, 1, 1]


def no_symmetry(w: Any) -> None:
    w.update(reflections=[[1, 0, 0]], inside=[1, 0, 0])


def a_field_less(w: Any) -> None:
    del w["inside"]


WRONG_BOUNDS = [
    theta_above_one,
    negative_theta,
    theta_left_out,
    theta_of_a_row_that_is_split,
    coefficient_named_twice,
    coefficient_of_no_row,
    coefficient_without_row,
    bits_too_long,
    bits_too_many,
    drop_last_leaf,
    one_leaf_more,
    no_tree,
    tree_is_text,
    split_hidden,
    forced_by_others,
    forced_the_other_way,
    forced_by_itself,
    leaf_too_early,
    split_on_a_zero_row,
    split_on_a_negative_row,
    split_twice,
    sides_exchanged,
    inside_without_reflections,
    no_symmetry,
    a_field_less,
]


@pytest.mark.parametrize("spoil", WRONG_BOUNDS)
def test_wrong_bounds_are_refused(spoil: Callable[[Any], None]) -> None:
    assert refuse_or_accept(WITNESS)
    witness = copy.deepcopy(WITNESS)
    spoil(witness)
    assert witness != WITNESS and not refuse_or_accept(witness)


def test_a_smaller_radius_is_refused() -> None:
    assert not refuse_or_accept(WITNESS, radius=R * Fraction(999_999_999, 1_000_000_000))
    assert not refuse_or_accept(WITNESS, radius=0)


@pytest.mark.parametrize("k", range(len(X)))
def test_greater_weights_are_refused(k: int) -> None:
    """phi of the maximiser grows with every weight of its sign; zero rows have no weight."""
    u = pricing_bound(X, NU)[1]
    sign = 1 if np.array(NU) @ np.maximum(np.array(X) @ u, 0.0) > 0 else -1
    nu = [v + (sign if j == k else 0) for j, v in enumerate(NU)]
    grows = np.dot(X[k], u) > 1e-9
    assert refuse_or_accept(WITNESS, nu=nu) <= (not grows)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"reflections": [[1, -1]]}, False),  # the tree was written for a smaller cone
        ({"reflections": [[1, -1], [1, 2]]}, False),
        ({"reflections": [[1, -1], [0, 0]]}, False),
        ({"reflections": [[1, -1], [0, 1, 0]]}, False),
        ({"reflections": [[1, -1], [0, True]]}, False),
        ({"inside": [1, 2]}, False),
        ({"inside": [1, 1]}, False),
        ({"inside": [2]}, False),
        ({"inside": []}, False),
        ({"reflections": [], "inside": []}, False),
        ({"reflections": {}}, False),
    ],
)
def test_reflections_must_be_symmetries(change: Any, right: bool) -> None:
    nu = [1, -1, -1, 1]
    top = pricing_bound(SQUARE, nu, reflections=MIRRORS)[0] * (1 + 1e-12)
    witness = bound_witness(SQUARE, nu, top, reflections=MIRRORS)
    spoiled = json.loads(json.dumps(witness)) | change
    assert refuse_or_accept(spoiled, points=SQUARE, nu=nu, radius=top) is right


def test_reflections_that_are_no_symmetries_find_no_proof() -> None:
    """The maximum inside the cone is smaller than the maximum: the kernel must not believe the cone."""
    nu = [1, -1, -1, 4]
    cone, whole = (pricing_bound(SQUARE, nu, reflections=m)[0] for m in (MIRRORS, ()))
    assert cone < whole * 0.9
    witness = bound_witness(SQUARE, nu, cone * (1 + 1e-12), reflections=MIRRORS)
    assert not refuse_or_accept(witness, points=SQUARE, nu=nu, radius=cone * (1 + 1e-12))


VALUES = st.sampled_from(
    [0, 1, -1, 7, 8, True, None, "", "0", "1", "-1", "1/2", "0x1.0p+0", [], [""], ["0"], [1], {}]
)


@given(st.data())
def test_no_change_of_the_witness_proves_a_false_bound(data: st.DataObject) -> None:
    """Entries replaced, removed, repeated, exchanged: Rejected every time, and nothing but Rejected."""
    witness = copy.deepcopy(WITNESS)
    for _ in range(data.draw(st.integers(1, 3))):
        tree = witness[data.draw(st.sampled_from(["plus", "minus"]))]
        if not tree:
            continue
        at = data.draw(st.integers(0, len(tree) - 1))
        target, k = tree, at
        if isinstance(tree[at], list) and tree[at] and data.draw(st.booleans()):
            target, k = tree[at], data.draw(st.integers(0, len(tree[at]) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                target[k] = data.draw(VALUES)
            case 1:
                del target[k]
            case 2:
                target.insert(k, copy.deepcopy(target[k]))
            case 3:
                target[k], target[0] = target[0], target[k]
    assert not refuse_or_accept(witness, radius=R * Fraction(99, 100))
    refuse_or_accept(witness)


# Each forgery proves max |phi| <= 0 for a phi that is not zero, but for the one check that stops it.
ZERO = [[""]]
FORGERIES = {
    "theta greater than 1": ([[1], [1]], [2, -1], [0, ["1", 1, "2"], ["0"]], "between 0 and 1"),
    "negative theta": ([[-1], [1]], [2, -1], [0, ["1", 1, "-2"], ["0"]], "between 0 and 1"),
    "theta of a row with nu > 0": ([[1]], [1], [0, ["", 0, "0"], [""]], "no row with nu < 0"),
    "theta of a row with nu = 0": ([[1], [-1]], [1, 0], [0, ["", 1, "1"], [""]], "nu < 0"),
    "theta twice": ([[1], [1]], [2, -1], [0, ["0", 1, "1", 1, "1"], ["0"]], "named twice"),
    "a sign without reason": ([[1]], [1], [[-1], [""]], "do not contradict"),
    "a sign for its own reason": ([[1]], [1], [[-1, 0], [""]], "do not contradict"),
    "a reason of two signs": (
        [[1, 0], [1, 1], [0, 1]],
        [1, 1, 1],
        [0, 2, [-2, 0, 2], [""], [""], [""]],
        "do not contradict",
    ),
    "a reason without a sign": ([[1], [-1]], [1, 1], [[-1, 1], [-2, 0], [""]], "without a sign"),
    "no split": ([[1]], [1], ZERO, "before all rows"),
    "more bits than rows": ([[1], [1]], [2, -1], [0, ["3"], ["0"]], "too many bits"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_are_refused_for_the_right_reason(name: str) -> None:
    points, nu, tree, reason = FORGERIES[name]
    rows = [[fmpq(x) for x in row] for row in points]
    witness = {"reflections": [], "inside": [], "plus": tree, "minus": tree}
    with pytest.raises(Rejected, match=reason):
        check_bound(rows, [fmpq(v) for v in nu], fmpq(0), witness, Clock(5))


@pytest.mark.parametrize(
    ("points", "nu", "reflections", "inside", "reason"),
    [
        ([[1]], [1], [[-1]], [-1], "does not map"),
        ([[1, 0], [-1, 0]], [1, 1], [[1, 0], [-1, 0]], [1, 0], "strictly on the positive side"),
        ([[1, 0], [-1, 0]], [1, 1], [[1, 0], [-1, 0]], [0, 1], "strictly on the positive side"),
    ],
)
def test_forged_cones_are_refused(
    points: Any, nu: Any, reflections: Any, inside: Any, reason: str
) -> None:
    """On these cones phi is zero, or there is only the origin: trees that the kernel would accept."""
    rows = [[fmpq(x) for x in row] for row in points]
    first = len(points)  # the name of the first reflection
    plus = [[-1, first], *([[-2, first, first + 1]] if len(points) > 1 else []), [""]]
    witness = {"reflections": reflections, "inside": inside, "plus": plus, "minus": ZERO}
    with pytest.raises(Rejected, match=reason):
        check_bound(rows, [fmpq(v) for v in nu], fmpq(0), witness, Clock(5))
