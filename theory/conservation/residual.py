"""Residual ReLU networks: the fields that data generate at a base point.

With a skip connection the path products of the blocks no longer span what data can do: the mask of a block depends on
the data through the weights of the blocks before it. The masks that are reached near a base point θ0 are found with
rational inputs and exact arithmetic; with the masks frozen the network is a matrix product, and its entries are φ
(Marcotte, Gribonval & Peyré, "Transformative or Conservative?", 2025).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from theory.conservation.builders_layout import (
    Block,
    Layout,
    Matrix,
    check_widths,
    columns_of,
    difference,
    entries,
    latex_block,
    matrix_product,
    norm_law,
    spelled,
    squares,
)
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import ONE, Polynomial, add
from theory.errors import LemmataError

Mask = tuple[bool, ...]
Pattern = tuple[Mask, ...]
MAX_PART = 20  # numerators and denominators of random rationals


def residual(
    d: int,
    hidden: Sequence[int],
    *,
    base_point: Sequence[Fraction | int] | None = None,
    inputs: int = 256,
    seed: int = 0,
) -> Model:
    """f(x) = (I + V_B σ(U_B ·)) ∘ ⋯ ∘ (I + V_1 σ(U_1 ·)) (x), σ = ReLU, U_b (h_b, d) and V_b (d, h_b).

    φ: the entries of Π_b (I + V_b D_b U_b), (d, d), for every pattern (D_1, …, D_B) of masks that the inputs reach at
    the base point without a zero pre-activation; such a pattern is reached on an open set of data and of θ near it.
    Laws: ‖U_b[k,:]‖² - ‖V_b[:,k]‖²; for d = 1 also laws with log|u + v|, which are candidates here. The answer is for
    data in these patterns: a pattern that no input reaches could only remove laws. For d = 1 all are reached.

    Args:
        hidden: h_1, ..., h_B. base_point: θ0 (D,), U_1, V_1, U_2, ... row by row; by default random positive
            rationals (all parameters of one sign). inputs: number of random rational inputs x. seed: of both.

    Raises:
        LemmataError: a width below 1, no block, a base point of the wrong size, or none but dead patterns.
    """
    hidden = tuple(hidden)
    check_widths("residual", d=d, hidden=hidden, inputs=inputs)
    if not hidden:
        raise LemmataError("residual: no block; give residual:d,h_1,h_2,...")
    layout = Layout()
    blocks = [
        (layout.matrix(f"U{b}", h, d), layout.matrix(f"V{b}", d, h))
        for b, h in enumerate(hidden, start=1)
    ]
    rng = random.Random(seed)
    point = _base_point(base_point, len(layout.names), rng)
    patterns = _patterns(blocks, point, _inputs(d, inputs, rng))
    phi: list[Polynomial] = []
    groups = []
    for pattern in patterns:
        total = _frozen(blocks, pattern, d)
        for i in range(d):
            groups.append(tuple(range(len(phi), len(phi) + d)))
            phi += [total[o][i] for o in range(d)]
    if not phi:
        raise LemmataError(
            "residual: no input activates a hidden neuron at the base point; give another one"
        )
    laws = [
        norm_law(
            row,
            column,
            f"‖U{b}[{k},:]‖² - ‖V{b}[:,{k}]‖²",
            rf"\lVert {latex_block(f'U{b}')}_{{{k},:}} \rVert^2"
            rf" - \lVert {latex_block(f'V{b}')}_{{:,{k}}} \rVert^2",
        )
        for b, (u, v) in enumerate(blocks, start=1)
        for k, (row, column) in enumerate(zip(u, columns_of(v), strict=True), start=1)
    ]
    if d == 1 and len(patterns) == 1 and all(map(all, patterns[0])):
        laws += _logarithmic_laws(blocks)
    return layout.model(
        spelled("residual", d, *hidden),
        phi,
        groups=tuple(groups),
        logarithms=_candidates(blocks) if d == 1 else (),
        named_laws=laws,
        scope=f"parameters near the base point ({'all positive' if base_point is None else 'as given'}) and data "
        f"in the {len(patterns)} activation patterns found there; elsewhere the count may differ",
    )


def _base_point(
    given: Sequence[Fraction | int] | None, size: int, rng: random.Random
) -> list[Fraction]:
    if given is None:
        return [Fraction(rng.randint(1, MAX_PART), rng.randint(1, MAX_PART)) for _ in range(size)]
    if len(given) != size:
        raise LemmataError(f"residual: the base point has {len(given)} coordinates; give {size}")
    if any(isinstance(x, bool) or not isinstance(x, int | Fraction) for x in given):
        raise LemmataError("residual: give the base point in integers and Fractions")
    return [Fraction(x) for x in given]


def _inputs(d: int, number: int, rng: random.Random) -> list[list[Fraction]]:
    """Random rational x; the units of both signs come first, which for d = 1 reach everything."""
    units = [[Fraction(sign * (i == k)) for i in range(d)] for k in range(d) for sign in (1, -1)]
    if d == 1:
        return units
    return units + [
        [Fraction(rng.randint(-MAX_PART, MAX_PART), rng.randint(1, MAX_PART)) for _ in range(d)]
        for _ in range(number)
    ]


def _patterns(
    blocks: Sequence[tuple[Block, Block]],
    point: Sequence[Fraction],
    inputs: Sequence[Sequence[Fraction]],
) -> list[Pattern]:
    """The patterns reached with non-zero pre-activations only, without the one that is all off."""
    found: dict[Pattern, None] = {}
    for x in inputs:
        pattern: list[Mask] = []
        state = list(x)
        for u, v in blocks:
            before = [_dot(row, state, point) for row in u]
            if not all(before):
                break
            pattern.append(tuple(z > 0 for z in before))
            after = [max(z, Fraction(0)) for z in before]
            state = [s + _dot(row, after, point) for s, row in zip(state, v, strict=True)]
        else:
            if any(map(any, pattern)):
                found[tuple(pattern)] = None
    return list(found)


def _dot(row: Sequence[int], vector: Sequence[Fraction], point: Sequence[Fraction]) -> Fraction:
    return sum((point[i] * x for i, x in zip(row, vector, strict=True)), Fraction(0))


def _frozen(blocks: Sequence[tuple[Block, Block]], pattern: Pattern, d: int) -> Matrix:
    """Π_b (I + V_b D_b U_b)."""
    identity: Matrix = tuple(tuple(dict(ONE) if i == j else {} for j in range(d)) for i in range(d))
    total = identity
    for (u, v), mask in zip(blocks, pattern, strict=True):
        active = [k for k, on in enumerate(mask) if on]
        if active:
            inner = tuple(entries(u)[k] for k in active)
            outer = tuple(tuple(row[k] for k in active) for row in entries(v))
            block = matrix_product(outer, inner)
            step = tuple(
                tuple(add(p, q) for p, q in zip(row, unit, strict=True))
                for row, unit in zip(block, identity, strict=True)
            )
            total = matrix_product(step, total)
    return total


def _candidates(blocks: Sequence[tuple[Block, Block]]) -> tuple[Polynomial, ...]:
    """u + v of every scalar neuron: its derivative along the flow is a multiple of itself.

    u - v would add nothing: (u + v)(u - v) is a law already.
    """
    return tuple({(u[k][0],): 1, (v[0][k],): 1} for u, v in blocks for k in range(len(u)))


def _logarithmic_laws(blocks: Sequence[tuple[Block, Block]]) -> list[Law]:
    """Σ(u² + v²) + 4 log|u + v|, the sum over a block and u, v of its first neuron, agrees between blocks.

    Along f = Π_b (1 + Σ_k u_k v_k) its derivative is 4 f for every block.
    """
    out = []
    for b, ((u, v), (s, t)) in enumerate(pairwise(blocks), start=1):
        one, two = ({i for m in pair for row in m for i in row} for pair in ((u, v), (s, t)))
        out.append(
            Law(
                difference(squares(sorted(one)), squares(sorted(two))),
                (
                    (4, {(u[0][0],): 1, (v[0][0],): 1}),
                    (-4, {(s[0][0],): 1, (t[0][0],): 1}),
                ),
                name=f"logarithmic balance of blocks {b} and {b + 1}",
                latex_name=rf"\text{{logarithmic balance of blocks }} {b} \text{{ and }} {b + 1}",
            )
        )
    return out
