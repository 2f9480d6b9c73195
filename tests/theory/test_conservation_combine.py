"""Models from models: other metrics, sums, new parameters; laws go with them exactly."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.conservation import builders
from theory.conservation.analysis import analyse
from theory.conservation.laws import first_violation
from theory.conservation.model import Model
from theory.conservation.polynomials import scale
from theory.errors import LemmataError


def assert_laws_hold(model: Model) -> None:
    """Named laws hold along every field, have names and lie in the default ansatz."""
    degrees = range(1 if model.default_mixed else model.default_degree, model.default_degree + 1)
    for law in model.named_laws:
        assert law.name and law.latex_name
        assert {len(m) for m in law.polynomial} <= set(degrees)
        assert first_violation(law, model.fields) is None, law.name


@pytest.mark.parametrize("mirror", builders.MIRRORS)
@given(ws=st.lists(st.integers(1, 3), min_size=3, max_size=4), bias=st.booleans())
def test_mirrored_laws(mirror: str, ws: list[int], bias: bool) -> None:
    model = builders.with_mirror(builders.relu(ws, bias=bias), mirror)
    assert len(model.named_laws) == sum(ws[1:-1])
    assert_laws_hold(model)


def test_mirrors_make_the_nonnegative_models() -> None:
    nmf = builders.nmf(2, 2, 3)
    entropy = builders.with_mirror(replace(nmf, metric=()), "entropy")
    assert entropy.fields == nmf.fields
    icnn = builders.icnn(2, 2, 3)
    output = builders.with_mirror(replace(icnn, metric=()), "entropy-output")
    assert output.fields == icnn.fields
    assert output.default_mixed


def test_off_diagonal_laws_have_no_mirror_image() -> None:
    model = builders.with_mirror(builders.matrix_factorisation(2, 2, 2), "entropy")
    assert len(model.named_laws) == 2
    assert analyse(model).count == 2


def test_burg_has_logarithmic_laws() -> None:
    found = analyse(builders.with_mirror(builders.relu([2, 2, 2]), "burg"))
    assert found.count == 2
    assert all(law.logarithms for law in found.laws)


def test_bad_mirrors() -> None:
    model = builders.relu([2, 2, 2])
    with pytest.raises(LemmataError, match="did you mean entropy"):
        builders.with_mirror(model, "entrop")
    with pytest.raises(LemmataError, match="use entropy, burg, entropy-output"):
        builders.with_mirror(model, "natural")
    with pytest.raises(LemmataError, match="has a metric of its own"):
        builders.with_mirror(builders.nmf(1, 1, 1), "entropy")
    with pytest.raises(LemmataError, match="momentum needs the Euclidean metric"):
        builders.with_mirror(model.with_momentum(Fraction(1)), "burg")
    with pytest.raises(LemmataError, match="no output layer"):
        builders.with_mirror(replace(model, blocks=()), "entropy-output")


small = st.one_of(
    st.just(builders.matrix_factorisation(2, 1, 2)),
    st.just(builders.nmf(1, 2, 1)),
    st.just(builders.icnn(1, 1, 2)),
    st.just(builders.relu([1, 2, 1], bias=True)),
    st.just(builders.residual(1, [1, 1])),
    st.just(builders.relu([1, 1, 2]).with_cross_entropy()),
    st.just(builders.with_mirror(builders.diagonal(2, 2), "burg")),
)


@given(small, small)
def test_the_laws_of_a_sum_are_those_of_both(first: Model, second: Model) -> None:
    both = builders.direct_sum(first, second)
    assert both.size == first.size + second.size
    assert len(both.named_laws) == len(first.named_laws) + len(second.named_laws)
    assert len(both.fields) == len(first.fields) + len(second.fields)
    assert_laws_hold(both)
    assert analyse(both).upper == analyse(first).upper + analyse(second).upper


def test_a_sum_keeps_names_that_do_not_clash() -> None:
    nmf, relu = builders.nmf(1, 1, 1), builders.relu([1, 1, 1])
    assert builders.direct_sum(nmf, relu).variables == nmf.variables + relu.variables
    twice = builders.direct_sum(nmf, nmf)
    assert twice.variables == ("m1_u_1_1", "m1_v_1_1", "m2_u_1_1", "m2_v_1_1")
    with pytest.raises(LemmataError, match="sum the models first"):
        builders.direct_sum(relu, relu.with_momentum(Fraction(0)))


def random_matrix(size: int, seed: int) -> list[list[Fraction]]:
    """Unit triangular, so invertible, then permuted and rescaled."""
    rng = random.Random(seed)
    rows = [
        [
            Fraction(rng.randint(-2, 2), rng.randint(1, 2)) if j > i else Fraction(int(i == j))
            for j in range(size)
        ]
        for i in range(size)
    ]
    rng.shuffle(rows)
    return [[x * scale for x in row] for row, scale in zip(rows, _scales(size, rng), strict=True)]


def _scales(size: int, rng: random.Random) -> list[Fraction]:
    return [Fraction(rng.choice([-2, 1, 3]), rng.randint(1, 3)) for _ in range(size)]


@given(small, st.integers(0, 10**6))
def test_laws_in_new_parameters(model: Model, seed: int) -> None:
    moved = builders.change_of_variables(model, random_matrix(model.size, seed))
    assert len(moved.named_laws) == len(model.named_laws)
    for law in moved.named_laws:
        assert first_violation(law, moved.fields) is None
    before, after = analyse(model), analyse(moved)
    assert (before.lower, before.upper) == (after.lower, after.upper)
    assert before.lie.rank == after.lie.rank


@given(st.integers(0, 10**6))
def test_signed_permutations_keep_the_metric(seed: int) -> None:
    model = builders.relu([2, 2, 1], bias=True)
    rng = random.Random(seed)
    place = rng.sample(range(model.size), model.size)
    matrix = [
        [rng.choice([-1, 1]) * (j == place[i]) for j in range(model.size)]
        for i in range(model.size)
    ]
    moved = builders.change_of_variables(model, matrix)
    assert moved.metric == ()
    assert [{tuple(place[i] for i in m) for m in law.polynomial} for law in model.named_laws] == [
        set(law.polynomial) for law in moved.named_laws
    ]


def test_differences_of_outputs_survive_a_change_of_variables() -> None:
    """Entries of φ are scaled by one factor, so that 1 stays orthogonal to the loss gradients."""
    model = builders.linear([1, 2]).with_cross_entropy()
    moved = builders.change_of_variables(model, [[Fraction(1, 2), 0], [0, Fraction(1, 3)]])
    ((top, _),) = moved.functions
    assert top in ({(0,): 3, (1,): -2}, scale({(0,): 3, (1,): -2}, -1))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 2], [2, 4]], "singular"),
        ([[1, 0]], "must be 2 × 2"),
        ([[1], [2]], "must be 2 × 2"),
        ([[1, 0], [0, 0.5]], "integers and Fractions"),
    ],
)
def test_bad_matrices(matrix: list[list[Fraction]], message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        builders.change_of_variables(builders.linear([1, 2]), matrix)
    with pytest.raises(LemmataError, match="then add the momentum"):
        heavy = builders.linear([1, 2]).with_momentum(Fraction(1))
        builders.change_of_variables(heavy, [[1, 0], [0, 1]])


def test_new_parameters_keep_the_size_of_phi() -> None:
    model = Model("scaled", ("x", "y"), ({(0, 1): 1},), denominators=({(): 3},))
    a, b = Fraction(3, 5), Fraction(4, 5)
    twin = builders.change_of_variables(model, [[a, -b], [b, a]])

    def value(m: Model, point: tuple[Fraction, ...]) -> Fraction:
        ((top, bottom),) = m.functions
        above, below = (
            sum(c * prod((point[i] for i in k), start=Fraction(1)) for k, c in p.items())
            for p in (top, bottom)
        )
        return Fraction(above) / below

    xi = (Fraction(2), Fraction(7))
    assert value(twin, xi) == value(model, (a * xi[0] - b * xi[1], b * xi[0] + a * xi[1]))
