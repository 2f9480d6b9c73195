"""Points for a search stay in their spans, and the ascent raises what it is asked to raise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.errors import NumericsError
from numerics.program_sampling import Space
from numerics.program_search import climb, objective, one_thread, single_thread


@dataclass(frozen=True)
class Span:
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    log: bool = False


@dataclass(frozen=True)
class Instruction:
    op: str
    args: tuple[int, ...]
    attributes: dict[str, object]
    shape: tuple[int, ...]
    line: int = 0


@dataclass(frozen=True)
class Relation:
    lhs: int
    op: str
    rhs: int
    resolution: float = 0.0


LINE = Span()
POSITIVE = Span(0.0, open_low=True, log=True)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    low, high = sorted(draw(st.tuples(*[st.floats(-100, 100)] * 2)))
    infinite_low, infinite_high = draw(st.booleans()), draw(st.booleans())
    wide = high - low > 1e-6
    return Span(
        -math.inf if infinite_low else low,
        math.inf if infinite_high else high,
        not infinite_low and wide and draw(st.booleans()),
        not infinite_high and wide and draw(st.booleans()),
        draw(st.booleans()),
    )


@given(st.lists(st.tuples(st.sampled_from([(), (3,), (2, 3), (1, 1)]), spans()), min_size=1))
def test_every_point_lies_within_its_spans(arrays: list[tuple[tuple[int, ...], Span]]) -> None:
    names = tuple(f"a{k}" for k in range(len(arrays)))
    space = Space(names, tuple(s for s, _ in arrays), tuple(span for _, span in arrays))
    rng = np.random.default_rng(0)
    sampled = space.sample(rng, 40)
    children, of = space.moves(rng, sampled, 60)
    assert ((of >= 0) & (of < 40)).all()
    for points in (sampled, space.simple(rng, 50), children):
        for name, values in space.arrays(points).items():
            span = arrays[names.index(name)][1]
            assert np.isfinite(values).all()
            above = values > span.low if span.open_low else values >= span.low
            below = values < span.high if span.open_high else values <= span.high
            assert above.all() and below.all()


def test_points_and_arrays_are_inverse() -> None:
    space = Space(("a", "b", "c"), ((2, 3), (), (0,)), (LINE, POSITIVE, LINE))
    points = space.sample(np.random.default_rng(1), 7)
    assert points.shape == (7, 7)
    assert np.array_equal(space.flat(space.arrays(points)), points)


def test_few_simple_points_are_all_of_a_grid() -> None:
    space = Space(("a",), ((2,),), (LINE,))
    found = {tuple(p) for p in space.simple(np.random.default_rng(0), 100).tolist()}
    assert found == {(x, y) for x in (0, 1, -1, 2) for y in (0, 1, -1, 2)}


def test_sampling_is_varied() -> None:
    space = Space(("A",), ((3, 3),), (LINE,))
    points = space.arrays(space.sample(np.random.default_rng(0), 2000))["A"]
    ranks = np.array([np.linalg.matrix_rank(a) for a in points])
    assert set(ranks) == {0, 1, 2, 3}
    assert (points == np.round(points)).all(axis=(1, 2)).mean() > 0.1
    assert (np.abs(points).max(axis=(1, 2)) > 1e3).any()
    assert (points[:, 0] == points[:, 1]).all(axis=1).mean() > 0.05


def test_the_same_generator_gives_the_same_points() -> None:
    space = Space(("A",), ((2, 2),), (LINE,))
    first, again = (space.sample(np.random.default_rng(5), 10) for _ in range(2))
    assert np.array_equal(first, again)


def test_a_space_needs_all_its_parts() -> None:
    with pytest.raises(NumericsError, match="one shape and one span"):
        Space(("a",), (), (LINE,))


# x*y <= c under x + y <= 2: the product is largest at x = y = 1
PROGRAM = (
    Instruction("input", (), {"name": "x", "shape": []}, ()),
    Instruction("input", (), {"name": "y", "shape": []}, ()),
    Instruction("mul", (0, 1), {}, ()),
    Instruction("constant", (), {"shape": [], "values": ["3/2"]}, ()),
    Instruction("add", (0, 1), {}, ()),
    Instruction("constant", (), {"shape": [], "values": ["2"]}, ()),
)


def test_the_ascent_finds_the_constrained_maximum() -> None:
    space = Space(("x", "y"), ((), ()), (POSITIVE, POSITIVE))
    start = space.sample(np.random.default_rng(0), 16)
    with one_thread():
        found = climb(
            PROGRAM, [Relation(4, "<=", 5)], [Relation(2, "<=", 3)], space, start, {}, steps=200
        )
    best = found[np.argmax(np.where(found.sum(1) <= 2, found.prod(1), -1))]
    assert best == pytest.approx([1, 1], abs=2e-2)


def test_the_ascent_never_makes_a_point_worse() -> None:
    import torch

    space = Space(("x", "y"), ((), ()), (POSITIVE, POSITIVE))
    start = space.project(space.sample(np.random.default_rng(3), 32))
    relations = [Relation(4, "<=", 5)], [Relation(2, "<=", 3)]
    found = climb(PROGRAM, *relations, space, start, {}, steps=5)

    def value(points: np.ndarray) -> np.ndarray:
        inputs = {k: torch.as_tensor(v.copy()) for k, v in space.arrays(points).items()}
        return objective(PROGRAM, *relations, inputs).numpy()

    assert (value(found) >= value(start)).all()
    assert (value(found) > value(start) + 1e-6).any()


def test_what_is_held_does_not_move() -> None:
    space = Space(("x",), ((),), (POSITIVE,))
    start = np.ones((4, 1))
    held = {"y": np.array([0.0, 1.0, -1.0, 2.0])}
    found = climb(PROGRAM, [], [Relation(2, "<=", 3)], space, start, held, steps=10)
    assert found[0, 0] == 1.0  # a product with zero has no slope
    assert found[1, 0] > 1.0 and found[3, 0] > 1.0 and found[2, 0] < 1.0


def test_one_thread_is_given_back() -> None:
    import torch

    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    single_thread()
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
