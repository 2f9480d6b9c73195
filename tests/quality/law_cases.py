"""Small models with all their laws, by hand, and their certificates: what the mutation tests start from."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from proofs_checks.law_certificates import count_certificate, law_certificate
from theory.conservation.laws import independent
from theory.conservation.lie import lie_rank
from theory.conservation.model import Law, Model
from theory.conservation.modular import PRIME, Span


@dataclass(frozen=True)
class Small:
    """A model and as many independent laws as there are."""

    model: Model
    laws: tuple[Law, ...]


def _squares(*signed: tuple[int, int]) -> Law:
    return Law({(i, i): c for i, c in signed})


CASES = {
    # (u1, u2; u3, u4) between two inputs and two hidden units, (v1, v2) to the output
    "matrix": Small(
        Model("matrix", ("u1", "u2", "u3", "u4", "v1", "v2"), ({(0, 4): 1, (2, 5): 1}, {(1, 4): 1, (3, 5): 1})),
        (
            _squares((0, 1), (1, 1), (4, -1)),
            _squares((2, 1), (3, 1), (5, -1)),
            Law({(0, 2): 1, (1, 3): 1, (4, 5): -1}),
        ),
    ),
    "paths": Small(
        Model("paths", ("w1", "w2", "b", "v"), ({(0, 3): 1}, {(1, 3): 1}, {(2, 3): 1}, {(0, 3): 1}, {(): 5})),
        (_squares((0, 1), (1, 1), (2, 1), (3, -1)),),
    ),
    # homogeneous of degree 0, so that the flow keeps |θ|
    "fraction": Small(
        Model("fraction", ("x", "y"), ({(0, 1): 1},), ({(0, 0): 1, (1, 1): 1},)), (_squares((0, 1), (1, 1)),)
    ),
    "sum of fractions": Small(
        Model(
            "sum of fractions", ("x", "y", "z"), ({(0,): 1}, {(2,): 3}, {(1,): 2}), ({(1,): 1}, {(1,): 1}, {(0,): 1}),
            (((0, 1), (2, 1)), ((0, 1), (1, -2), (2, 5))),
        ),
        (_squares((0, 1), (1, 1), (2, 1)),),
    ),
    "metric": Small(
        Model("metric", ("u", "v"), ({(0, 1): 1},), metric=((0, 0, {(0,): 1}), (1, 1, {(1,): 1}))),
        (Law({(0,): 1, (1,): -1}),),
    ),
    # M = (2 1; 1 1): M ∇φ = 2 (2u - 2v, u - 2v), a linear field without divergence
    "full metric": Small(
        Model(
            "full metric", ("u", "v"), ({(0, 0): 1, (1, 1): -2},),
            metric=((0, 0, {(): 2}), (0, 1, {(): 1}), (1, 0, {(): 1}), (1, 1, {(): 1})),
        ),
        (Law({(0, 0): 1, (0, 1): -4, (1, 1): 2}),),
    ),
    # not symmetric: u' = ∂φ/∂v, v' = 0
    "lopsided metric": Small(
        Model("lopsided metric", ("u", "v"), ({(0, 1, 1): 1},), metric=((0, 1, {(): 1}),)), (Law({(1,): 1}),)
    ),
    "logarithm": Small(
        Model("logarithm", ("x", "y"), ({(0,): 2, (1, 1): 1},)), (Law({(0,): 1}, ((-1, {(1,): 1}),)),)
    ),
    # u' = v, v' = u: (u + v)(u - v) is constant, and so is the sum of their logarithms
    "logarithms": Small(
        Model("logarithms", ("u", "v", "w"), ({(0, 1): 1, (2,): 1},)),
        (
            Law({}, ((1, {(0,): 1, (1,): 1}), (1, {(0,): 1, (1,): -1}))),
            Law({(2,): -2}, ((1, {(0,): 1, (1,): 1}), (-1, {(0,): 1, (1,): -1}))),
        ),
    ),
    "heavy ball": Small(
        Model("heavy ball", ("x", "y"), ({(0, 0): 1, (1, 1): 1},), momentum=Fraction(1, 2)),
        (Law({(0, 3, 4): 1, (1, 2, 4): -1}),),
    ),
    "no friction": Small(
        Model("no friction", ("x", "y"), ({(0, 0): 1, (1, 1): 1},), momentum=Fraction(0)),
        (Law({(0, 3): 1, (1, 2): -1}),),
    ),
    "directions": Small(
        Model("directions", ("u", "v", "w"), ({(0, 1): 1}, {(0, 2): 1}), directions=(((0, 1), (1, -1)),)),
        (Law({(1,): 1, (2,): 1}), Law({(0, 0): 1, (1, 2): 2})),
    ),
}  # fmt: skip


def law_data(name: str) -> dict[str, Any]:
    """JSON data of the certificate of the laws."""
    case = CASES[name]
    return json.loads(law_certificate(case.model, case.laws).to_json())


def count_data(name: str) -> dict[str, Any]:
    """JSON data of the certificate of their number."""
    return json.loads(_count_text(name))


@cache
def _count_text(name: str) -> str:
    case, rng = CASES[name], random.Random(1)
    n = case.model.dimension
    point = tuple(rng.randrange(1, PRIME) for _ in range(n))
    assert all(independent(case.laws, Span(n, PRIME, rng), point))
    found = lie_rank(case.model.fields, n)
    return count_certificate(
        case.model,
        lower_laws=case.laws,
        law_rank=(PRIME, point),
        words=found.words,
        lie_rank=(found.prime, found.point),
        upper=n - found.rank,
    ).to_json()
