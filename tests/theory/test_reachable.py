"""Reachable sets: counts against sampled quadrics, obstruction against all assignments, invariances, bad input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from theory.conservation.reachable import ReachableSet, invariants, reachable_set
from theory.conservation.reachable_targets import Demand, demands_of, match
from theory.conservation.reachable_weights import read_weights
from theory.errors import LemmataError

SMALL = st.fractions(min_value=-3, max_value=3, max_denominator=4)


def network(d: int, m: int, neurons: list[str]) -> tuple[list[list[int]], list[list[int]]]:
    """One neuron per letter: f has c > 0, n has c < 0 (N with v < 0), z has c = 0 (Z with v < 0), r rests at 0."""
    sizes = {"f": (2, 1), "n": (1, 2), "N": (1, -2), "z": (1, 1), "Z": (1, -1), "r": (0, 0)}
    W = [[sizes[k][0]] + [0] * (d - 1) for k in neurons]
    V = [[sizes[k][1]] + [0] * (m - 1) for k in neurons]
    return W, V


# -- counts


def components_on_a_grid(kind: str, p: int, q: int, *, apex: bool) -> int:
    """Components of a solid in R^(p+q) that retracts onto the quadric, on a grid, neighbours sharing a face.

    c > 0: ‖w‖² - ‖v‖² ≥ 3. c < 0: ≤ -3. c = 0: a cone 1/5 ≤ ‖w‖²/‖v‖² ≤ 5 outside a ball; ``apex`` adds the ball.
    """
    axis = np.arange(-4, 5)
    squares = np.meshgrid(*[axis**2] * (p + q), indexing="ij")
    w, v = sum(squares[:p]), sum(squares[p:])
    ball = w + v <= 3
    if kind == "z":
        solid = (w <= 5 * v) & (v <= 5 * w) & ~ball
        solid = solid | ball if apex else solid
    else:
        solid = w - v >= 3 if kind == "f" else v - w >= 3
    return int(ndimage.label(solid)[1])


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("kind", ["f", "n", "z"])
def test_counts_of_one_neuron_are_those_of_its_quadric(p: int, q: int, kind: str) -> None:
    result = reachable_set(*network(p, q, [kind]))
    assert result.components == components_on_a_grid(kind, p, q, apex=True)
    assert result.reachable_components == components_on_a_grid(kind, p, q, apex=False)


@pytest.mark.parametrize(
    ("d", "m", "neurons", "closed", "reached", "effective"),
    [
        (2, 1, "nn", 4, 4, 3),  # the example of the paper
        (2, 1, "nNf", 4, 4, 3),
        (2, 1, "zzf", 1, 4, 1),
        (1, 1, "z", 1, 4, 1),
        (1, 1, "fnz", 4, 16, 4),
        (1, 1, "fff", 8, 8, 4),
        (1, 2, "fnz", 2, 4, 2),
        (3, 2, "fnz", 1, 1, 1),
        (2, 1, "rrn", 2, 2, 2),
    ],
)
def test_counts_of_networks(
    d: int, m: int, neurons: str, closed: int, reached: int, effective: int
) -> None:
    result = reachable_set(*network(d, m, list(neurons)))
    found = (result.components, result.reachable_components, result.effective_components)
    assert found == (closed, reached, effective)


@pytest.mark.parametrize("d", [1, 2])
@given(neurons=st.lists(st.sampled_from("fnN"), min_size=1, max_size=5))
def test_effective_components_are_orbits(d: int, neurons: list[str]) -> None:
    """Label every component by its signs; permute neurons of equal sign of c; count the orbits."""
    result = reachable_set(*network(d, 1, neurons))
    choices = [range(n.components) for n in result.neurons]
    orbits = {
        tuple(sorted((n.invariant > 0, s) for n, s in zip(result.neurons, label, strict=True)))
        for label in product(*choices)
    }
    assert result.effective_components == len(orbits)


def test_a_bias_adds_a_dimension() -> None:
    assert reachable_set([[2]], [1]).components == 2
    assert reachable_set([[2]], [1], [0]).components == 1
    assert invariants([[1, 2]], [3], [2]) == (Fraction(0),)


def test_invariants_are_exact() -> None:
    tiny = 2.0**-60
    assert invariants([[1.0, tiny]], [1.0]) == (Fraction(1, 2**120),)
    assert invariants([[1e-300]], [[0.0]])[0] == Fraction(1e-300) ** 2
    assert invariants(np.float32([[0.1]]), np.array([1])) == (
        Fraction(float(np.float32(0.1))) ** 2 - 1,
    )
    assert "e-6" in reachable_set([[1e-300]], [0.0]).text


def test_balanced_starts_are_not_decided_by_rounding() -> None:
    W, V = [[0.1, 0.7]], [math.hypot(0.1, 0.7)]
    assert reachable_set(W, V).invariants != (0,)
    assert reachable_set(W, V, balanced=True).invariants == (0,)
    assert reachable_set(W, V, balanced=True).neurons[0].locked_v == 1


@given(
    W=st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=4),
    data=st.data(),
)
def test_symmetries_keep_everything(
    W: list[tuple[Fraction, Fraction]], data: st.DataObject
) -> None:
    """Permutation, rotation by a rational angle and a common scale change no count and no obstruction."""
    h = len(W)
    V = data.draw(st.lists(SMALL, min_size=h, max_size=h))
    order = data.draw(st.permutations(range(h)))
    scale = data.draw(st.sampled_from([Fraction(1, 3), Fraction(2), Fraction(7, 5)]))
    turned = [
        (Fraction(3, 5) * x - Fraction(4, 5) * y, Fraction(4, 5) * x + Fraction(3, 5) * y)
        for x, y in W
    ]
    before = reachable_set(W, V)
    after = reachable_set(
        [[scale * x for x in turned[k]] for k in order], [scale * V[k] for k in order]
    )
    assert after.invariants == tuple(scale**2 * before.invariants[k] for k in order)
    for name in ("components", "reachable_components", "effective_components"):
        assert getattr(before, name) == getattr(after, name)
    for signs in ((1,), (-1,), (1, -1), (1, 1, -1)):
        assert before.can_reach(signs).obstructed == after.can_reach(signs).obstructed


# -- targets


def obstructed_by_enumeration(neurons: list[str], signs: tuple[int, ...]) -> bool:
    """No choice of distinct neurons can take the signs, by the definition of the letters."""
    allowed = {"f": {1, -1}, "n": {1}, "N": {-1}, "z": {1}, "Z": {-1}, "r": set()}
    wanted = [s for s in signs if s]
    return not any(
        all(s in allowed[neurons[k]] for s, k in zip(wanted, chosen, strict=True))
        for chosen in permutations(range(len(neurons)), len(wanted))
    )


@given(
    neurons=st.lists(st.sampled_from("fnNzZr"), min_size=1, max_size=5),
    signs=st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=5),
)
def test_obstruction_is_decided_as_by_enumeration(neurons: list[str], signs: list[int]) -> None:
    reach = reachable_set(*network(2, 1, neurons)).can_reach(signs)
    assert reach.obstructed == obstructed_by_enumeration(neurons, tuple(signs))
    if reach.assignment is not None:
        assert len(set(reach.assignment)) == len(reach.demands) == sum(map(abs, signs))


@given(table=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4))
def test_matching_is_maximal(table: list[list[bool]]) -> None:
    """Any compatibility of demands and neurons, against all permutations."""
    demands = [Demand(side=k) for k in range(len(table))]
    found = match(demands, range(4), lambda k, demand: table[demand.side or 0][k])
    possible = any(
        all(row[k] for row, k in zip(table, chosen, strict=True))
        for chosen in permutations(range(4), len(table))
    )
    assert (found is not None) == possible
    if found is not None:
        assert len(set(found)) == len(table)
        assert all(row[k] for row, k in zip(table, found, strict=True))


def wanted(W: Any, V: Any, b: Any = None) -> list[int | None]:
    demands = demands_of(read_weights(W, V, b), bias=b is not None)
    return sorted(d.sign or 0 for d in demands)


def test_the_function_decides_what_is_needed() -> None:
    assert wanted([[1, 0], [0, 1]], [1, -1]) == [-1, 1]
    assert wanted([[1, 0], [2, 0]], [3, -1]) == [1]  # one hyperplane, total 3 - 2
    assert wanted([[1, 0], [-1, 0]], [1, -1]) == [-1, 1]  # linear: no kink, both signs
    assert wanted([[1, 0], [-1, 0], [0, 1]], [1, -1, 1]) == [-1, 1]  # a kink and a slope
    assert wanted([[-1, 0]], [1]) == [1]
    assert wanted([[1, 0], [2, 0]], [2, -1]) == []  # the zero function
    assert wanted([[1], [1], [1]], [1, 1, -1], [0, -1, -2]) == [-1, 1, 1]
    assert wanted([[0], [0]], [1, -3], [2, 1]) == [-1]  # the constant -1
    assert wanted([[1], [-1]], [1, -1], [9, -9]) == [-1, 1]  # affine, negative only far away


def test_targets_of_one_input_have_sides() -> None:
    right_only = reachable_set([[2], [3]], [1, 1])  # c > 0: w stays positive
    assert right_only.can_reach_network([[1]], [-5]).obstructed is False
    assert right_only.can_reach_network([[-1]], [1]).obstructed is True
    both = reachable_set([[1]], [2])  # c < 0: v stays positive, w may change sides
    assert both.can_reach_network([[-1]], [1]).obstructed is False
    assert both.can_reach_network([[1], [-1]], [1, 1]).obstructed is True


def test_several_outputs() -> None:
    two = reachable_set([[1, 0], [0, 1]], [[3, 0], [0, 3]])
    assert "no obstruction from the signs of v" in two.text
    assert two.can_reach_network([[1, 1], [0, 1]], [[-1, 2], [5, -5]]).obstructed is False
    assert two.can_reach_network([[1, 1], [0, 1], [1, 0]], [[1, 0]] * 3).obstructed is True
    assert two.can_reach_network([[-1, 0]], [[1, 1]]).demands == (Demand(),)
    assert len(two.can_reach_network([[1, 0], [-1, 0]], [[1, 0], [-1, 0]]).demands) == 2
    resting = reachable_set([[1, 0], [0, 0]], [[3, 0], [0, 0]])
    assert resting.can_reach_network([[1, 1], [0, 1]], [[1, 0]] * 2).obstructed is True
    with pytest.raises(LemmataError, match="use can_reach_network"):
        two.can_reach([1])


def test_who_cannot_fall_silent() -> None:
    cone = reachable_set([[1, 0], [2, 0]], [1, 3])
    assert [n.silent for n in cone.neurons] == [False, True]
    assert cone.can_reach([0]).loud == (0,)
    assert cone.can_reach([1]).loud == ()
    assert reachable_set([[1, 0]], [1], [0]).neurons[0].silent  # w = 0, b < 0


def test_texts_name_the_counts() -> None:
    result = reachable_set(*network(1, 1, list("fnNr")))
    assert "rests at 0" in result.text and "v < 0 for ever" in result.text
    reason = result.can_reach((-1, -1, -1)).reason
    assert "3 with v < 0" in reason and "1 to v < 0" in reason and "1 are free" in reason
    assert "no assignment" in reason and "1 rest at 0" in reason


# -- bad input


def bad_weights() -> Iterator[tuple[Any, Any, Any, str]]:
    yield [[1.0, math.nan]], [1], None, r"W\[0, 1\] is nan; remove or repair"
    yield [[1.0]], [math.inf], None, r"V\[0, 0\] is inf|V\[0\] is inf"
    yield [[1.0]], [1], [-math.inf], r"b\[0\] is -inf"
    yield [], [1], None, "W is empty"
    yield [[]], [1], None, r"W\[0\] is empty"
    yield [[1, 2], [3]], [1, 1], None, "rows of W differ in length"
    yield [1, 2], [1, 1], None, "give W as"
    yield [[1], [2]], [1], None, "V has 1 rows and W has 2"
    yield [[1], [2]], [1, 1], [0], "b has 1 rows and W has 2"
    yield [[1], [2]], [[1, 2], [1]], None, "rows of V differ"
    yield [["1"]], [1], None, r"W\[0, 0\] is '1'; give ints"
    yield [[True]], [1], None, "give ints, Fractions or floats"
    yield "ab", [1], None, "W is of type str"
    yield [[1]], None, None, "V is of type NoneType"
    yield np.array([[[1.0]]]), [1], None, "give ints, Fractions or floats"


@pytest.mark.parametrize(("W", "V", "b", "message"), list(bad_weights()))
def test_bad_weights(W: Any, V: Any, b: Any, message: str) -> None:
    for call in (invariants, reachable_set):
        with pytest.raises(LemmataError, match=message):
            call(W, V, b)


@pytest.fixture
def plain() -> ReachableSet:
    return reachable_set([[1, 0]], [2])


@pytest.mark.parametrize("signs", [[], [2], [True], "11", None, ["+"], [math.nan]])
def test_bad_signs(plain: ReachableSet, signs: Any) -> None:
    with pytest.raises(LemmataError, match="signs"):
        plain.can_reach(signs)


def test_bad_targets(plain: ReachableSet) -> None:
    with pytest.raises(LemmataError, match="3 inputs to 1 outputs and the network 2 to 1"):
        plain.can_reach_network([[1, 0, 0]], [1])
    with pytest.raises(LemmataError, match="train biases, or drop them"):
        plain.can_reach_network([[1, 0]], [1], [1])
    with pytest.raises(LemmataError, match="drop balanced=True"):
        reachable_set([[1, 0]], [0], balanced=True)
