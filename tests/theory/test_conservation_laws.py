"""Properties of the search for laws: symmetries, sums, planted non-laws, special points, limits."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.conservation import builders
from theory.conservation.analysis import analyse
from theory.conservation.ansatz import Ansatz
from theory.conservation.builders import change_of_variables, direct_sum
from theory.conservation.laws import find_laws, first_violation
from theory.conservation.lie import lie_rank
from theory.conservation.model import Law, Model
from theory.conservation.modular import PRIME, Echelon
from theory.conservation.polynomials import add, primitive, product, scale
from theory.conservation.special import at_point, parse_point
from theory.errors import LemmataError

SMALL: tuple[Model, ...] = (
    builders.matrix_factorisation(2, 2, 2),
    builders.matrix_factorisation(2, 1, 2),
    builders.linear((1, 2, 2)),
    builders.relu((2, 2, 1), bias=True),
    builders.nmf(2, 1, 2),
    builders.cp((2, 2, 2), 1),
)
models = st.sampled_from(SMALL)
factors = st.fractions(min_value=-3, max_value=3, max_denominator=4).filter(bool)


def spaces_equal(a: tuple[Law, ...], b: tuple[Law, ...]) -> bool:
    """Whether two lists of laws without logarithms span the same polynomials."""
    space = Echelon(PRIME)
    dimension = sum(space.add(law.polynomial) for law in a)
    return dimension == len(b) and not any(space.add(law.polynomial) for law in b)


def substituted(law: Law, forms: list[dict[tuple[int, ...], int]]) -> Law:
    terms = [scale(product(forms[i] for i in m), c) for m, c in law.polynomial.items()]
    return Law(add(*terms))


@given(models, st.randoms(use_true_random=False))
def test_permuting_parameters_maps_laws_to_laws(model: Model, rng: random.Random) -> None:
    order = list(range(model.size))
    rng.shuffle(order)

    def moved(p: dict[tuple[int, ...], int]) -> dict[tuple[int, ...], int]:
        return {tuple(sorted(order[i] for i in m)): c for m, c in p.items()}

    metric = tuple((order[a], order[b], moved(p)) for a, b, p in model.metric)
    twin = Model("permuted", model.variables, tuple(map(moved, model.phi)), metric=metric)
    k, mixed = model.default_degree, model.default_mixed
    ours = analyse(model, degree=k, mixed=mixed)
    theirs = analyse(twin, degree=k, mixed=mixed)
    assert (ours.lower, ours.upper) == (theirs.lower, theirs.upper)
    assert spaces_equal(tuple(Law(moved(law.polynomial)) for law in ours.laws), theirs.laws)


@given(models, st.data())
def test_linear_changes_of_parameters_map_laws_to_laws(model: Model, data: st.DataObject) -> None:
    size = model.size
    scales = data.draw(st.lists(factors, min_size=size, max_size=size))
    matrix = [[scales[a] if a == b else Fraction(0) for b in range(size)] for a in range(size)]
    a, b = data.draw(st.permutations(range(size)))[:2]
    matrix[a] = [x + data.draw(factors) * y for x, y in zip(matrix[a], matrix[b], strict=True)]
    twin = replace(change_of_variables(model, matrix), named_laws=())
    k, mixed = model.default_degree, model.default_mixed
    ours, theirs = analyse(model, degree=k, mixed=mixed), analyse(twin, degree=k, mixed=mixed)
    assert (ours.lower, ours.upper) == (theirs.lower, theirs.upper)
    common = 1
    for row in matrix:
        for x in row:
            common *= x.denominator
    forms = [{(j,): int(x * common) for j, x in enumerate(row) if x} for row in matrix]
    homogeneous = all(len({len(m) for m in law.polynomial}) == 1 for law in ours.laws)
    assert homogeneous  # so the common factor scales a law as a whole
    assert spaces_equal(tuple(substituted(law, forms) for law in ours.laws), theirs.laws)


@given(models, models)
def test_the_sum_of_two_models_has_the_laws_of_both(a: Model, b: Model) -> None:
    both = direct_sum(a, b)
    one, two = (analyse(m, degree=2, mixed=True) for m in (a, b))
    together = analyse(both, degree=2, mixed=True)
    assert together.lower == one.lower + two.lower
    assert together.upper == one.upper + two.upper


@given(models, st.data())
def test_planted_non_laws_are_rejected(model: Model, data: st.DataObject) -> None:
    laws = find_laws(model, degree=model.default_degree, mixed=model.default_mixed)
    law = data.draw(st.sampled_from(laws))
    m = data.draw(st.sampled_from(sorted(law.polynomial)))
    kind = data.draw(st.sampled_from(["coefficient", "index", "square"]))
    wrong = dict(law.polynomial)
    if kind == "coefficient":
        wrong[m] += data.draw(st.sampled_from([1, -1])) * wrong[m]
        wrong = {k: c for k, c in wrong.items() if c}
    elif kind == "index":
        other = data.draw(st.integers(0, model.size - 1))
        wrong = add(wrong, {m: -wrong[m]}, {tuple(sorted((*m[1:], other))): wrong[m]})
    else:
        wrong = add(wrong, {(m[0],) * 3: 1})
    space = Echelon(PRIME)
    for found in laws:
        space.add(found.polynomial)
    is_law = not wrong or not space.add(wrong)  # the complete space of its ansatz decides
    assert (first_violation(Law(wrong), model.fields) is None) == is_law


def test_all_laws_are_exact_and_primitive() -> None:
    for model in SMALL:
        for law in find_laws(replace(model, named_laws=()), degree=2, mixed=True):
            assert first_violation(law, model.fields) is None
            assert primitive(law.polynomial) == law.polynomial


def test_named_laws_are_recognised() -> None:
    found = find_laws(builders.matrix_factorisation(3, 2, 2), degree=2)
    assert [law.name for law in found] == [
        f"(UᵀU - VᵀV)[{a},{b}]" for a, b in ((1, 1), (1, 2), (2, 2))
    ]


def test_coefficients_beyond_one_prime_are_solved_over_the_integers() -> None:
    big = 2**40 + 1
    model = Model("steep", ("a", "b"), ({(0, 0): big, (1, 1): 3},))  # fields (2 big a, 6 b)
    assert find_laws(model, degree=2) == ()
    twisted = Model("twisted", ("a", "b"), ({(0,): big, (1,): 2**39 + 7},))
    (law,) = find_laws(twisted, degree=1)
    assert law.polynomial in ({(0,): 2**39 + 7, (1,): -big}, {(0,): -(2**39 + 7), (1,): big})


def test_an_unused_parameter_is_conserved() -> None:
    model = Model("idle", ("a", "b", "c"), ({(0, 1): 1},))
    found = analyse(model)
    assert found.count == 2
    assert {(2, 2): 1} in [law.polynomial for law in found.laws]


def test_rational_functions() -> None:
    # φ = a/b is constant along rotations of its gradient: ∇φ ∝ (b, -a), so a² + b² is conserved
    model = Model("quotient", ("a", "b"), ({(0,): 1},), denominators=({(1,): 1},))
    found = analyse(model)
    assert found.count == 1
    assert found.laws[0].polynomial == {(0, 0): 1, (1, 1): 1}


def test_special_points_lose_dimension() -> None:
    model = builders.matrix_factorisation(2, 2, 2)
    generic = analyse(model).lie.rank
    words = analyse(model).lie.words
    for text, dimension in (("1,1,1,1,1,1,1,1", 3), ("0,0,0,0,0,0,0,0", 0), ("1,2,3,4,5,6,7,9", 5)):
        place = parse_point(text.split(","), model)
        found = at_point(model, place, generic=generic)
        assert found == at_point(model, place, generic=generic, words=words)
        assert (found.dimension, found.complete, found.loss) == (
            dimension,
            True,
            generic - dimension,
        )
        assert ("special point" in found.text) == (dimension < generic)


@pytest.mark.parametrize(
    "bad", ["1,2", "1,1,1,1,1,1,1,x", "1,1,1,1,1,1,1,1/0", "1,1,1,1,1,1,1,nan"]
)
def test_bad_points(bad: str) -> None:
    with pytest.raises(LemmataError, match="point"):
        parse_point(bad.split(","), builders.matrix_factorisation(2, 2, 2))


def test_a_point_where_phi_is_not_defined() -> None:
    model = Model("quotient", ("a", "b"), ({(0,): 1},), denominators=({(1,): 1},))
    with pytest.raises(LemmataError, match="denominator vanishes"):
        at_point(model, (Fraction(1), Fraction(0)), generic=1)


def test_an_ansatz_beyond_memory_is_refused_before_it_is_built() -> None:
    with pytest.raises(
        LemmataError, match=r"degree 8 in 40 variables has 314,457,495 monomials.* GiB.*lower"
    ):
        analyse(builders.matrix_factorisation(5, 5, 4), degree=8)
    with pytest.raises(LemmataError, match="at least degree 1"):
        analyse(SMALL[0], degree=0)


@given(st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_sizes_of_an_ansatz_are_counted_without_building_it(n: int, k: int, mixed: bool) -> None:
    for clock in (None, n):
        ansatz = Ansatz(n, k, mixed, clock)
        assert ansatz.unknowns == len(ansatz.monomials()) == len(set(ansatz.monomials()))
        for index in range(n + (clock is not None)):
            containing = {m for m in ansatz.monomials() if index in m}
            assert {unknown for _, unknown, _ in ansatz.lowered(index)} == containing


@given(models)
def test_the_basis_as_left_factors_generates_what_all_of_v0_does(model: Model) -> None:
    found = lie_rank(model.fields, model.size)
    everything = lie_rank(tuple(reversed(model.fields)), model.size, seed=7)
    assert found.complete
    assert found.rank == everything.rank


def test_seed_and_prime_do_not_matter() -> None:
    model = builders.linear((1, 2, 2, 1))
    for seed in range(5):
        found = analyse(model, seed=seed)
        assert (found.lower, found.upper) == (6, 7)


def test_points_of_large_models_are_generic_or_undecided() -> None:
    rng = random.Random(0)
    for model in (builders.linear((21, 2, 20)), builders.linear((2, 3, 3, 2))):
        found = analyse(model)
        place = tuple(Fraction(rng.randint(1, 9)) for _ in range(model.size))
        at = at_point(model, place, generic=found.lie.rank, words=found.lie.words)
        assert (at.dimension, at.loss) == (found.lie.rank, 0)
    model = builders.linear(
        (3, 3, 3, 3)
    )  # brackets of growing degree: the algebra is not finite-dimensional
    found = analyse(model)
    at = at_point(model, (Fraction(1),) * model.size, generic=found.lie.rank, words=found.lie.words)
    assert at.loss is None
    assert "undecided" in at.text


def test_malformed_models_are_refused() -> None:
    for bad in (
        {"phi": ({(2,): 1},)},
        {"phi": ({(1, 0): 1},)},
        {"phi": ({(0,): 0},)},
        {"phi": ({(0,): 1.5},)},
        {"phi": ({(0,): 1},), "directions": (((1, 1),),)},
        {"phi": ({(0,): 1},), "metric": ((0, 2, {(): 1}),)},
        {"phi": ({(0,): 1},), "denominators": ({(): 1}, {(): 1})},
        {"phi": ({(0,): 1},), "denominators": ({},)},
        {"phi": ({(): 1},)},
    ):
        with pytest.raises(LemmataError, match="bad"):
            Model("bad", ("a", "b"), **bad)  # type: ignore[arg-type]
    for names, tau in ((("t", "b"), 0), (("s", "b"), 1), (("b", "dot_b"), 1)):
        with pytest.raises(LemmataError, match="rename"):
            Model("clash", names, ({(0, 1): 1},)).with_momentum(Fraction(tau))


def test_a_dense_block_is_solved_in_reasonable_time() -> None:
    size = 16
    form = {(i,): 1 for i in range(size)}
    model = Model("cube", tuple(f"w{i}" for i in range(size)), (product([form] * 3),))
    found = analyse(model)  # one field along (1, ..., 1): products of differences are conserved
    assert (len(found.laws), found.count) == (size * (size - 1) // 2, size - 1)


def test_scope_says_where_phi_is_the_network() -> None:
    assert "two patterns only" in builders.relu((1, 3, 1)).scope
    assert "two patterns" not in builders.relu((1, 3, 1), bias=True).scope
    assert "base point" in builders.residual(1, (1, 1)).scope
    assert builders.linear((2, 2, 2)).scope == ""
