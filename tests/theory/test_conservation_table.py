"""The published numbers of conservation laws (Marcotte, Gribonval & Peyré 2023, 2024, 2025), recomputed."""

from __future__ import annotations

from fractions import Fraction

import pytest

from theory.conservation import builders
from theory.conservation.analysis import analyse
from theory.conservation.model import Model

HALF = Fraction(1, 2)
factorisation = builders.matrix_factorisation


def upper_formula(n: int, m: int, r: int) -> int:
    """k(2r+1-k)/2 with k = min(n+m, r)."""
    k = min(n + m, r)
    return k * (2 * r + 1 - k) // 2


@pytest.mark.parametrize(
    "shape", [(2, 2, 2), (3, 3, 2), (4, 4, 3), (5, 5, 4), (2, 2, 6), (1, 1, 3), (2, 1, 4)]
)
def test_factorisations(shape: tuple[int, int, int]) -> None:
    n, m, r = shape
    found = analyse(factorisation(n, m, r))
    assert found.count == upper_formula(n, m, r)
    assert found.lie.rank == (n + m) * r - upper_formula(n, m, r)


ROWS: list[tuple[str, Model, int, int]] = [
    ("deep linear 2222", builders.linear((2, 2, 2, 2)), 6, 6),
    ("deep linear 3333", builders.linear((3, 3, 3, 3)), 12, 15),
    ("deep linear 2332", builders.linear((2, 3, 3, 2)), 12, 9),
    ("linear 555", builders.linear((5, 5, 5)), 15, 35),
    ("relu h2 d2", builders.relu((2, 2, 2), bias=True), 2, 8),
    ("relu h2 d3", builders.relu((3, 2, 3), bias=True), 2, 12),
    ("relu h3 d2", builders.relu((2, 3, 2), bias=True), 3, 12),
    ("relu h3 d3", builders.relu((3, 3, 3), bias=True), 3, 18),
    ("relu h3 d3, no bias", builders.relu((3, 3, 3)), 3, 15),
    ("deep relu 2322", builders.relu((2, 3, 2, 2)), 5, 11),
    ("deep relu 2253", builders.relu((2, 2, 5, 3)), 7, 22),
    ("nmf 323", builders.nmf(3, 2, 3), 2, 10),
    ("nmf 434", builders.nmf(4, 3, 4), 3, 21),
    ("icnn h2", builders.icnn(3, 2, 1), 2, 6),
    ("icnn h3", builders.icnn(2, 3, 2), 3, 9),
    ("momentum 222", builders.linear((2, 2, 2)).with_momentum(HALF), 1, 16),
    ("momentum 333", builders.linear((3, 3, 3)).with_momentum(HALF), 3, 34),
    ("momentum 2222", builders.linear((2, 2, 2, 2)).with_momentum(HALF), 2, 23),
    ("momentum 121", builders.linear((1, 2, 1)).with_momentum(HALF), 2, 7),
    ("momentum 131", builders.linear((1, 3, 1)).with_momentum(HALF), 6, 7),
    ("no friction 222", builders.linear((2, 2, 2)).with_momentum(Fraction(0)), 1, 16),
    ("momentum relu", builders.relu((2, 2, 2)).with_momentum(HALF), 0, 17),
    ("cross-entropy 222", factorisation(2, 2, 2).with_cross_entropy(), 5, 3),
    ("cross-entropy 332", factorisation(3, 3, 2).with_cross_entropy(), 5, 7),
    ("cross-entropy 443", factorisation(4, 4, 3).with_cross_entropy(), 9, 15),
    ("attention 4, 2", builders.attention(4, 2), 6, 26),
    ("conv, 2 channels", builders.conv(3, 8, 2), 2, 16),
]


@pytest.mark.parametrize(
    ("model", "count", "dimension"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_counts(model: Model, count: int, dimension: int) -> None:
    found = analyse(model)
    assert (found.count, found.lie.rank) == (count, dimension)
    assert found.upper == model.dimension - dimension


@pytest.mark.parametrize(
    ("model", "interval"),
    [(builders.linear((1, 2, 2, 1)), (6, 7)), (builders.nmf(1, 2, 1), (2, 3))],
    ids=["linear 1221", "nmf 121"],
)
def test_exceptional_shapes_are_intervals(model: Model, interval: tuple[int, int]) -> None:
    for degree in range(1, 5):
        found = analyse(model, degree=degree, mixed=True)
        assert found.upper == interval[1]
        assert found.lower <= interval[0]
        assert found.count is None
    assert (found.lower, found.upper) == interval
    assert found.lie.complete
    assert "all brackets looked at" in found.rests_on[1]


def test_linear_and_functional_independence_differ() -> None:
    found = analyse(factorisation(2, 2, 6))
    assert (len(found.laws), found.lower) == (21, 18)
    found = analyse(factorisation(1, 1, 3))  # u_i u_j - v_i v_j and u_i v_j - u_j v_i
    assert (len(found.laws), found.lower) == (9, 5)


@pytest.mark.parametrize(("shape", "linear", "functional"), [((2, 2, 2), 6, 3), ((4, 4, 3), 21, 6)])
def test_degree_four_has_the_products(
    shape: tuple[int, int, int], linear: int, functional: int
) -> None:
    found = analyse(factorisation(*shape), degree=4)
    assert (len(found.laws), found.lower, found.count) == (linear, functional, functional)


def test_pruned_brackets_give_an_interval() -> None:
    model = factorisation(2, 2, 2)
    for limits in ({"max_length": 1}, {"max_brackets": 1}):
        found = analyse(model, **limits)  # type: ignore[arg-type]
        if found.count is None:
            assert (found.lower, found.upper) == (3, 4)
            assert "not looked at" in found.rests_on[1] or "only 1 brackets" in found.rests_on[1]
            break
    else:
        pytest.fail("no limit pruned anything")
    pruned = analyse(model, max_length=1)
    assert (pruned.lower, pruned.upper, pruned.count, pruned.lie.complete) == (3, 4, None, False)


def test_homogeneous_ansatz_misses_what_mixed_degrees_find() -> None:
    model = builders.icnn(3, 2, 1)
    assert analyse(model, degree=2, mixed=False).lower == 0
    assert analyse(model, degree=2, mixed=True).count == 2
