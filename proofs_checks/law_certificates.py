"""Certificates for conservation laws and for their number.

The audit kernel derives the fields of the model itself from φ (see `proofs_checks.audit.model`), and so these
certificates restate the model, not the fields; nothing is checked here that the kernel checks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any

from proofs_checks.certificate import Certificate, rational_text
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import (
    Polynomial,
    VectorField,
    add,
    gradient,
    multiply,
    scale,
    to_text,
)
from theory.errors import LemmataError


def law_certificate(model: Model, laws: Sequence[Law]) -> Certificate:
    """The certificate that every one of the laws is constant along every flow of the model.

    Raises `LemmataError` if there is no law.
    """
    if not laws:
        raise LemmataError("a certificate of laws needs at least one; write one for their number")
    claim = {"model": model_data(model), "laws": [_law_data(law, model) for law in laws]}
    return Certificate("conservation law", claim, {}, {})


def count_certificate(
    model: Model,
    *,
    lower_laws: Sequence[Law],
    law_rank: tuple[int, Sequence[int]],
    words: Sequence[tuple[int, ...]],
    lie_rank: tuple[int, Sequence[int]],
    upper: int,
) -> Certificate:
    """The certificate that there are from ``len(lower_laws)`` to ``upper`` independent laws at generic points.

    Args:
        lower_laws: laws whose gradients are independent at the point of ``law_rank``, modulo its prime.
        words: brackets that are independent at the point of ``lie_rank``: (i, j, k) stands for [f_i, [f_j, f_k]], with
            indices into ``model.fields``; as many as the dimension minus ``upper``.
        law_rank, lie_rank: (prime, point), an integer for each variable of the fields. Without laws the former may
            have an empty point.

    Raises:
        LemmataError: numbers that do not fit each other, or an index that is none of a field.
    """
    if len(words) != model.dimension - upper:
        raise LemmataError(
            f"{len(words)} brackets do not bound the laws in {model.dimension} variables by {upper}: give "
            f"{model.dimension - upper}"
        )
    if not lower_laws and not law_rank[1]:
        law_rank = lie_rank  # nothing is evaluated there, but the kernel wants a place all the same
    sources = _sources(model, {i for word in words for i in word})
    witness = {
        "laws": [_law_data(law, model) for law in lower_laws],
        "law_rank": _place_data(*law_rank, model),
        "brackets": [[sources[i] for i in word] for word in words],
        "lie_rank": _place_data(*lie_rank, model),
    }
    claim = {"model": model_data(model), "lower": len(lower_laws), "upper": upper}
    return Certificate("law count", claim, {}, witness)


def model_data(model: Model) -> dict[str, Any]:
    """The model as the kernel reads it."""
    names = model.variables
    return {
        "variables": list(names),
        "phi": [to_text(p, names) for p in model.phi],
        "denominators": [to_text(p, names) for p in model.denominators],
        "directions": [[[i, rational_text(c)] for i, c in row] for row in model.directions],
        "metric": [[a, b, to_text(p, names)] for a, b, p in model.metric],
        "momentum": "" if model.momentum is None else rational_text(Fraction(model.momentum)),
    }


def _law_data(law: Law, model: Model) -> dict[str, Any]:
    names = model.field_variables
    logarithms = [[rational_text(c), to_text(q, names)] for c, q in law.logarithms]
    return {"polynomial": to_text(law.polynomial, names), "logarithms": logarithms}


def _place_data(prime: int, point: Sequence[int], model: Model) -> dict[str, Any]:
    if len(point) != model.dimension:
        raise LemmataError(f"the point has {len(point)} coordinates, not {model.dimension}")
    return {"prime": str(int(prime)), "point": [str(int(x)) for x in point]}


def _sources(model: Model, wanted: Collection[int]) -> dict[int, int]:
    """For indices into ``model.fields``, those in the kernel's list, which keeps zero and repeated fields."""
    drift = model.momentum is not None
    out = {0: 0} if drift else {}
    numbers = {
        _key(model.fields[i]): i for i in wanted if i not in out and 0 <= i < len(model.fields)
    }
    for number, (n, d) in enumerate(model.functions, int(drift)):
        if not numbers:
            break
        i = numbers.pop(_key(_field(model, n, d)), None)
        if i is not None:
            out[i] = number
    if missing := sorted(set(wanted) - set(out)):
        raise LemmataError(f"a bracket names field {missing[0]}, which is none of the model's")
    return out


def _field(model: Model, n: Polynomial, d: Polynomial) -> VectorField:
    """The field of n/d in the model's metric, on the velocities with momentum."""
    slope = gradient(n)
    if len(d) > 1 or () not in d:
        parts = gradient(d)
        slope = {
            a: add(multiply(d, slope.get(a, {})), scale(multiply(n, parts.get(a, {})), -1))
            for a in {*slope, *parts}
        }
    if model.metric:
        raised: VectorField = {}
        for a, b, entry in model.metric:
            raised[a] = add(raised.get(a, {}), multiply(entry, slope.get(b, {})))
        slope = raised
    shift = 0 if model.momentum is None else model.size
    return {a + shift: p for a, p in slope.items() if p}


def _key(field: VectorField) -> object:
    return frozenset((a, frozenset(p.items())) for a, p in field.items())
