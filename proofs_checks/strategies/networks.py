"""Networks with their data: two layers of ReLU or pReLU, linear of any depth, diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proofs_checks.conjectures.samples import ALL_REALS, POSITIVE, Sample
from proofs_checks.strategies.arguments import (
    Size,
    Value,
    flag,
    one_of_names,
    sizes,
    strategy,
    values,
)
from proofs_checks.strategies.arrays import NONNEGATIVE, SMALL, free
from proofs_checks.strategies.data import data_sets
from proofs_checks.strategies.numbers import LOSSES
from proofs_checks.strategies.origin import ours
from theory.errors import LemmataError

MOST_DEPTH = 8


@ours
def relu_networks(
    *,
    balanced: bool | None = None,
    data: SearchStrategy[Any] | None = None,
    h: Size = SMALL,
    loss: str | None = None,
    eps: Value | None = None,
) -> SearchStrategy[Sample]:
    """Two-layer ReLU networks f(x) = Σ_j v_j σ(⟨w_j, x⟩) with a data set; see `proofs_checks.strategies.views`.

    Args:
        balanced: True v_j = ±‖w_j‖, False a free v, None either.
        data: a strategy of things with X (n, d) and y (n,); by default any points with any labels.
        h: number of neurons, a size, a range or a strategy.
        loss: "squared", "exponential", "logistic" or "logistic2"; None draws one of them.
        eps: with it the case is a start at scale ε: ``case.W`` and ``case.v`` are those before scaling, ``case.eps`` is
            ε, and flow, descent and ``case.network()`` have the weights ε W, ε v. A number or a strategy of numbers.

    Raises:
        LemmataError: an argument is none of these; data without X and y, when drawn.
    """
    return _two_layers(balanced, data, h, loss, eps, st.just({}))


@ours
def prelu_networks(
    p: int | float | str | Fraction | None = None,
    *,
    balanced: bool | None = None,
    data: SearchStrategy[Any] | None = None,
    h: Size = SMALL,
    loss: str | None = None,
    eps: Value | None = None,
) -> SearchStrategy[Sample]:
    """Two-layer pReLU networks f(x) = Σ_j v_j σ(⟨w_j, x⟩)^p / ‖w_j‖^{p-1}; otherwise as `relu_networks`.

    Args:
        p: a rational number >= 1; None draws 1, 2, 3, 3/2 or 4.

    Raises:
        LemmataError: p < 1, or an argument that is none of these.
    """
    try:
        exact = (
            [Fraction(p)] if p is not None else [Fraction(q) for q in ("1", "2", "3", "3/2", "4")]
        )
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise LemmataError(f"p={p!r:.40}: give a rational number such as '3/2'") from None
    if min(exact) < 1:
        raise LemmataError(f"p={p}: the activation is defined here for p >= 1")
    return _two_layers(
        balanced, data, h, loss, eps, st.sampled_from([{"p": str(q)} for q in exact])
    )


def _two_layers(
    balanced: bool | None,
    data: SearchStrategy[Any] | None,
    h: Size,
    loss: str | None,
    eps: Value | None,
    more: SearchStrategy[dict[str, str]],
) -> SearchStrategy[Sample]:
    flag(balanced, "balanced")
    names, widths = one_of_names(loss, LOSSES, "loss"), sizes(h, "h")
    points = strategy(data, "data", data_sets)
    scales = None if eps is None else values(eps, "eps", POSITIVE)

    @st.composite
    def draw(draw: Any) -> Sample:
        own, width = draw(points), draw(widths)
        d = _dimension(own)
        raw = {"data": own, "W": draw(free((width, d)))}
        # drawn in any case: a balanced network that needs fewer choices would count as simpler
        v = draw(free((width,)))
        if draw(st.booleans()) if balanced is None else balanced:
            raw["signs"] = np.where(v < 0, -1.0, 1.0)
        else:
            raw["v"] = v
        raw["loss"] = draw(names)
        if scales is not None:
            raw["eps"] = draw(scales)
        return Sample("relu_network", raw | draw(more))

    return draw()


def _dimension(data: Any) -> int:
    X, y = (np.asarray(getattr(data, name, None)) for name in ("X", "y"))
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise LemmataError(
            "data: draw something with X of shape (n, d) and y of shape (n,), such as record(X=..., y=...)"
        )
    return int(X.shape[1])


@ours
def linear_networks(
    depth: int = 2,
    *,
    shapes: Size | Sequence[Size] = (1, 3),
    data: bool = False,
    balanced: bool | None = False,
) -> SearchStrategy[Sample]:
    """Linear networks W = W1 W2 ... W_depth with the loss ½ ‖A W - B‖_F²; see `proofs_checks.strategies.views`.

    Args:
        depth: number of factors, from 1 to 8.
        shapes: one size for all of n, h_1, ..., m, or a list of depth + 1 sizes, each a number, a range (smallest,
            largest) or a strategy. ``[3, (1, 4), 2]`` is W1 (3, h), W2 (h, 2).
        data: True draws inputs A (s, n) too; otherwise A is the identity, and B (n, m) the target of W.
        balanced: True W_kᵀW_k = W_{k+1}W_{k+1}ᵀ for all k, by construction; False free factors; None either.

    Raises:
        LemmataError: an argument is none of these.
    """
    if type(depth) is not int or not 1 <= depth <= MOST_DEPTH:
        raise LemmataError(f"depth={depth!r:.40}: give an integer from 1 to {MOST_DEPTH}")
    flag(balanced, "balanced")
    if type(data) is not bool:
        raise LemmataError(f"data={data!r:.40}: give True or False")
    listed: list[Any] = list(shapes) if isinstance(shapes, list) else [shapes] * (depth + 1)
    if len(listed) != depth + 1:
        raise LemmataError(
            f"shapes: a network of depth {depth} has {depth + 1} sizes, not {len(listed)}"
        )
    dimensions = st.tuples(*(sizes(s, f"shapes[{k}]") for k, s in enumerate(listed)))

    @st.composite
    def draw(draw: Any) -> Sample:
        ends = draw(dimensions)
        raw: dict[str, Any] = {"depth": depth}
        if draw(st.booleans()) if balanced is None else balanced:
            raw["s"] = draw(free((draw(st.integers(1, min(ends))),), NONNEGATIVE))
            raw |= {f"U{k}": draw(free((n, n), scales=False)) for k, n in enumerate(ends)}
        else:
            raw |= {f"W{k + 1}": draw(free(ends[k : k + 2])) for k in range(depth)}
        rows = ends[0]
        if data:
            rows = draw(st.integers(1, 4))
            raw["A"] = draw(free((rows, ends[0])))
        return Sample("linear_network", raw | {"B": draw(free((rows, ends[-1])))})

    return draw()


@ours
def diagonal_networks(
    depth: int = 2, *, n: Size = (1, 3), d: Size = SMALL, positive: bool = False
) -> SearchStrategy[Sample]:
    """Diagonal networks β = u^depth - v^depth with the loss ½ ‖X β - y‖², y real.

    Args:
        depth: from 1 to 8. positive: u and v are not negative.

    Raises:
        LemmataError: an argument is none of these.
    """
    if type(depth) is not int or not 1 <= depth <= MOST_DEPTH:
        raise LemmataError(f"depth={depth!r:.40}: give an integer from 1 to {MOST_DEPTH}")
    where = NONNEGATIVE if positive else ALL_REALS

    def draw(shape: tuple[int, int]) -> SearchStrategy[Sample]:
        rows, columns = shape
        parts = {
            "X": free(shape),
            "y": free((rows,)),
            "u": free((columns,), where),
            "v": free((columns,), where),
            "depth": st.just(depth),
        }
        return st.fixed_dictionaries(parts).map(lambda raw: Sample("diagonal_network", raw))

    return st.tuples(sizes(n, "n"), sizes(d, "d")).flatmap(draw)


@ours
def imbalances(h: Size = (1, 3), n: Size = (1, 3), m: Size = (1, 3)) -> SearchStrategy[Sample]:
    """Imbalances D = W1ᵀW1 - W2 W2ᵀ (h, h) that two layers W1 (n, h), W2 (h, m) can have; all three are attributes.

    Raises:
        LemmataError: a size that is none.
    """
    shapes = st.tuples(sizes(n, "n"), sizes(h, "h"), sizes(m, "m"))
    return shapes.flatmap(
        lambda s: st.builds(
            lambda W1, W2: Sample("imbalance", {"W1": W1, "W2": W2}), free(s[:2]), free(s[1:])
        )
    )
