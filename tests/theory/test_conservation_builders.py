"""Builders: shapes, counts, and that every law they announce is one, exactly."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.conservation import builders
from theory.conservation.analysis import analyse
from theory.conservation.laws import first_violation
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import along, gradient
from theory.errors import LemmataError

width = st.integers(1, 3)
widths = st.lists(width, min_size=3, max_size=4)
MODELS: dict[str, st.SearchStrategy[Model]] = {
    "linear": st.lists(width, min_size=2, max_size=4).map(builders.linear),
    "factorisation": st.builds(builders.matrix_factorisation, width, width, width),
    "nmf": st.builds(builders.nmf, width, width, width),
    "attention": st.builds(builders.attention, width, width),
    "cp": st.builds(builders.cp, st.lists(width, min_size=2, max_size=4), width),
    "diagonal": st.builds(builders.diagonal, width, width),
    "hadamard": st.builds(builders.hadamard, width, st.integers(1, 4)),
    "linear_conv": st.lists(width, min_size=2, max_size=4).map(builders.linear_conv),
    "relu": st.builds(builders.relu, widths, bias=st.booleans()),
    "prelu": st.builds(builders.prelu, widths, bias=st.booleans(), learned_slopes=st.booleans()),
    "homogeneous": st.builds(
        builders.homogeneous, width, width, width, st.integers(1, 4), bias=st.booleans()
    ),
    "conv": st.builds(builders.conv, width, st.just(4), width, width, bias=st.booleans()),
    "icnn": st.builds(builders.icnn, width, width, width),
    "residual": st.builds(
        builders.residual, width, st.lists(width, min_size=1, max_size=2), inputs=st.just(20)
    ),
}


def assert_well_made(model: Model) -> None:
    """Named laws hold along every field and lie in the default ansatz; groups and blocks cover what they should."""
    degrees = range(1 if model.default_mixed else model.default_degree, model.default_degree + 1)
    for law in model.named_laws:
        assert law.name and law.latex_name
        assert {len(m) for m in law.polynomial} <= set(degrees)
        assert first_violation(law, model.fields) is None, law.name
    placed = [i for _, block in model.blocks for row in block for i in row]
    assert sorted(placed) == list(range(model.size))
    if model.groups:
        assert sorted(i for g in model.groups for i in g) == list(range(len(model.phi)))


@pytest.mark.parametrize("family", MODELS)
@given(data=st.data())
def test_announced_laws_are_laws(family: str, data: st.DataObject) -> None:
    model = data.draw(MODELS[family])
    assert_well_made(model)
    assert len({len(g) for g in model.groups}) == 1  # every group has all outputs


def test_the_check_sees_a_non_law() -> None:
    model = builders.relu([2, 2, 2], bias=True)
    law = model.named_laws[0]
    bent = Law({m: c + (k == 0) for k, (m, c) in enumerate(law.polynomial.items())})
    assert first_violation(bent, model.fields) is not None
    assert any(along(field, gradient(bent.polynomial)) for field in model.fields)


# -- shapes and numbers


def test_a_deep_network_of_the_reference_size() -> None:
    model = builders.relu([8, 8, 8, 9, 9], bias=True)
    assert (model.size, len(model.phi), len(model.named_laws)) == (306, 47_385, 25)
    assert set(map(len, (m for p in model.phi for m in p))) == {2, 3, 4}


@given(widths, st.booleans())
def test_path_products(ws: list[int], bias: bool) -> None:
    model = builders.relu(ws, bias=bias)
    partial = sum(prod(ws[k:]) for k in range(1, len(ws) - 1)) if bias else 0
    assert len(model.phi) == prod(ws) + partial
    assert len(set(map(str, model.phi))) == len(model.phi)
    assert len(model.named_laws) == sum(ws[1:-1])
    assert builders.prelu(ws, bias=bias).phi == model.phi


def test_learned_slopes() -> None:
    model = builders.prelu([2, 3, 2], learned_slopes=True)
    fixed = builders.prelu([2, 3, 2])
    assert model.size == fixed.size + 3
    assert len(model.phi) == 2 * len(fixed.phi)
    # a product without a slope, and the same with the slope of its neuron
    a = model.variables.index("a1_1")
    assert sum(a in m for p in model.phi for m in p) == 2 * 2


def test_the_linear_model_is_the_product() -> None:
    model = builders.linear([2, 1, 3])
    assert model.variables == ("w1_1_1", "w1_1_2", "w2_1_1", "w2_2_1", "w2_3_1")
    assert model.phi[1] == {(1, 2): 1}  # (W2 W1)[1,2]
    assert model.groups == ((0, 2, 4), (1, 3, 5))
    assert model.latex_names[0] == "w^{(1)}_{1,1}"
    assert model.blocks[-1] == ("W2", ((2,), (3,), (4,)))


def test_two_modes_are_a_factorisation() -> None:
    cp, uv = builders.cp([2, 3], 2), builders.matrix_factorisation(2, 3, 2)
    assert cp.phi == uv.phi
    assert [law.polynomial for law in cp.named_laws] == [law.polynomial for law in uv.named_laws]


def test_homogeneous_units_of_degree_one_are_relus() -> None:
    power, relu = builders.homogeneous(2, 3, 2, 1, bias=True), builders.relu([2, 3, 2], bias=True)
    assert sorted(map(str, power.phi)) == sorted(map(str, relu.phi))
    assert [x.polynomial for x in power.named_laws] == [x.polynomial for x in relu.named_laws]


def test_a_filter_as_long_as_the_input_is_dense() -> None:
    conv, relu = builders.conv(3, 3, 2, 2), builders.relu([3, 2, 2])
    assert set(map(str, conv.phi)) == set(map(str, relu.phi))


@pytest.mark.parametrize(
    ("make", "laws"),
    [
        (lambda: builders.conv(2, 4, 2), 2),  # one for each channel
        (lambda: builders.conv(2, 4, 2, 2, bias=True), 2),
        (lambda: builders.attention(3, 2), 6),  # QQᵀ - KKᵀ and VVᵀ - OOᵀ
        (lambda: builders.linear_conv([3, 2]), 1),
        (lambda: builders.linear_conv([2, 2, 2]), 2),
        (lambda: builders.nmf(3, 2, 3), 2),
        (lambda: builders.icnn(2, 3, 2), 3),
        (lambda: builders.cp([2, 2, 2], 2), 4),
        (lambda: builders.diagonal(2, 3), 4),
        (lambda: builders.hadamard(3, 2), 3),
        (lambda: builders.hadamard(3, 1), 3),
        (lambda: builders.homogeneous(2, 2, 2, 2), 2),
        (lambda: builders.prelu([2, 2, 2], learned_slopes=True), 2),
        (lambda: builders.residual(2, [2, 1]), 3),  # as without the skip connection
    ],
)
def test_the_announced_laws_are_all(make: Callable[[], Model], laws: int) -> None:
    model = make()
    assert len(model.named_laws) == laws
    assert analyse(model).count == laws


def test_the_law_of_higher_hadamard_powers_is_no_polynomial() -> None:
    found = analyse(builders.hadamard(1, 3), degree=3, mixed=True)
    assert (found.lower, found.upper) == (0, 1)


# -- residual networks


def test_scalar_blocks_of_one_sign_have_a_law_more() -> None:
    one_sign = analyse(builders.residual(1, [1, 1]))
    assert one_sign.count == 3
    assert any(law.logarithms for law in one_sign.laws)
    mixed = builders.residual(1, [1, 1], base_point=[1, 1, Fraction(-1, 2), 1])
    assert analyse(mixed).count == 2
    assert len(mixed.phi) == 2  # x > 0 passes the first block only, x < 0 the second only


def test_residual_patterns_are_exact() -> None:
    """One block: the masks are the sign patterns of U x, so d hyperplanes in general position give all 2^d."""
    model = builders.residual(2, [2], base_point=[1, 0, 0, 1, 1, 2, 3, 4])
    assert len(model.phi) == 4 * (2**2 - 1)  # the one that is off everywhere does not depend on θ
    assert model.groups[0] == (0, 1)


def test_residual_networks_are_deterministic() -> None:
    assert builders.residual(2, [2, 2], seed=3) == builders.residual(2, [2, 2], seed=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: builders.residual(1, []), "no block"),
        (lambda: builders.residual(1, [1], base_point=[1]), "has 1 coordinates; give 2"),
        (lambda: builders.residual(1, [1], base_point=[1.0, 2]), "integers and Fractions"),
        (lambda: builders.residual(1, [1], base_point=[0, 1]), "no input activates"),
    ],
)
def test_bad_residual_networks(call: Callable[[], Model], message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        call()


# -- cross-entropy


@pytest.mark.parametrize(
    ("make", "laws"),
    [
        (lambda: builders.matrix_factorisation(2, 2, 2), 5),
        (lambda: builders.matrix_factorisation(3, 3, 2), 5),
        (lambda: builders.linear([2, 2, 2]), 5),
    ],
)
def test_cross_entropy_has_a_law_more_for_every_hidden_unit(
    make: Callable[[], Model], laws: int
) -> None:
    assert analyse(make().with_cross_entropy()).count == laws


@pytest.mark.parametrize(
    "model",
    [
        builders.relu([2, 2, 1]),  # one output
        builders.diagonal(3, 2),  # one output ⟨β, x⟩
        builders.attention(2, 2),  # entries of QᵀK are no logits
        builders.linear_conv([2, 2]),
    ],
)
def test_cross_entropy_needs_logits(model: Model) -> None:
    with pytest.raises(LemmataError, match="cross-entropy needs"):
        model.with_cross_entropy()


# -- bad widths


@pytest.mark.parametrize(
    "call",
    [
        lambda: builders.linear([3, 0, 3]),
        lambda: builders.relu([2, -1, 2]),
        lambda: builders.matrix_factorisation(0, 1, 1),
        lambda: builders.nmf(1, True, 1),
        lambda: builders.attention(2, 1.5),  # type: ignore[arg-type]
        lambda: builders.cp([2, 0], 1),
        lambda: builders.diagonal(1, 0),
        lambda: builders.hadamard(0, 2),
        lambda: builders.hadamard(1, 0),
        lambda: builders.conv(1, 1, 0),
        lambda: builders.icnn(1, 1, 0),
        lambda: builders.homogeneous(1, 1, 1, 0),
        lambda: builders.linear_conv([1, 0]),
        lambda: builders.residual(0, [1]),
    ],
)
def test_widths_below_one(call: Callable[[], Model]) -> None:
    with pytest.raises(LemmataError, match="give integers >= 1"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: builders.linear([3]), "1 width given; give at least 2"),
        (lambda: builders.relu([3, 3]), "2 widths given; give at least 3"),
        (lambda: builders.linear_conv([3]), "at least 2"),
        (lambda: builders.cp([3], 1), "1 modes; give between 2 and 26"),
        (lambda: builders.conv(3, 2, 1), "give a shorter filter"),
        (lambda: builders.hadamard(1, 501), "at most 500"),
    ],
)
def test_other_bad_shapes(call: Callable[[], Model], message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        call()
