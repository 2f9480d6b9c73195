"""Models from models: another metric, two side by side, new parameters."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd, lcm

from theory.conservation.model import Law, Model, diagonal_metric, entropy_metric
from theory.conservation.polynomials import (
    ONE,
    Monomial,
    Polynomial,
    add,
    multiply,
    primitive,
    scale,
    variable,
)
from theory.errors import LemmataError

MIRRORS = {
    "entropy": "diag(θ) on all parameters: exponentiated gradient",
    "burg": "diag(θ²) on all parameters: the potential -Σ log θ",
    "entropy-output": "diag(θ) on the output layer, Euclidean elsewhere",
}


def with_mirror(model: Model, name: str) -> Model:
    """The mirror flow of a model under a metric by name: see `MIRRORS`.

    Known laws that are sums of squares are carried over: c θ² becomes c θ under the entropy, c log|θ| under burg.

    Raises:
        LemmataError: unknown name, a model that has its own metric, or no output layer.
    """
    if name not in MIRRORS:
        close = difflib.get_close_matches(name, MIRRORS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise LemmataError(f"unknown mirror {name!r}: {hint}use {', '.join(MIRRORS)}")
    if model.metric:
        raise LemmataError(f"{model.spec}: the model has a metric of its own; drop --mirror {name}")
    if model.momentum is not None:
        raise LemmataError(
            f"{model.spec}: momentum needs the Euclidean metric; drop --mirror {name}"
        )
    size = model.size
    changed = list(range(size))
    if name == "entropy-output":
        if not model.blocks:
            raise LemmataError(
                f"{model.spec}: no output layer is declared; use --mirror entropy for all parameters"
            )
        changed = sorted(i for row in model.blocks[-1][1] for i in row)
    if name == "burg":
        metric = diagonal_metric({a: {(a, a): 1} for a in changed}, size)
    else:
        metric = entropy_metric(changed, size)
    laws = [_mirrored(law, set(changed), name) for law in model.named_laws]
    return replace(
        model.with_metric(metric),
        named_laws=tuple(law for law in laws if law is not None),
        logarithms=tuple(variable(a) for a in range(size)) if name == "burg" else (),
        default_degree=2 if name == "entropy-output" else 1,
        default_mixed=model.default_mixed or name == "entropy-output",
    )


def _mirrored(law: Law, changed: set[int], mirror: str) -> Law | None:
    """The law of the same cancellation under the mirror metric, where the law is a sum of squares."""
    if law.logarithms or any(len(m) != 2 or m[0] != m[1] for m in law.polynomial):
        return None
    squares = {m[0]: c for m, c in law.polynomial.items()}
    title = f"mirror image of {law.name}" if law.name else ""
    latex = rf"\text{{mirror image of }} {law.latex_name}" if law.latex_name else ""
    if mirror == "burg":
        logarithms = tuple((c, variable(a)) for a, c in squares.items())
        return Law({}, logarithms, name=title, latex_name=latex)
    if changed >= squares.keys():
        return Law({(a,): c for a, c in squares.items()}, name=title, latex_name=latex)
    moved: Polynomial = {
        ((a,) if a in changed else (a, a)): c * (1 + (a in changed)) for a, c in squares.items()
    }
    return Law(moved, name=title, latex_name=latex)


def direct_sum(first: Model, second: Model) -> Model:
    """Two independent models side by side, as if trained on one loss; the laws are those of both.

    Parameters with the same name in both become ``m1_`` and ``m2_`` + name (all of them, then).

    Raises:
        LemmataError: one of them has momentum.
    """
    if first.momentum is not None or second.momentum is not None:
        raise LemmataError("direct_sum: sum the models first, then add the momentum to the sum")
    clash = bool(set(first.variables) & set(second.variables))
    sides = ("m1_", "m2_") if clash else ("", "")
    shift, columns = first.size, len(first.phi)

    def moved(p: Mapping[Monomial, int]) -> Polynomial:
        return {tuple(i + shift for i in m): c for m, c in p.items()}

    def law(law: Law) -> Law:
        logarithms = tuple((c, moved(q)) for c, q in law.logarithms)
        return replace(law, polynomial=moved(law.polynomial), logarithms=logarithms)

    denominators: tuple[Polynomial, ...] = ()
    if first.denominators or second.denominators:
        denominators = _denominators(first) + tuple(map(moved, _denominators(second)))
    directions: tuple[tuple[tuple[int, int], ...], ...] = ()
    if first.directions or second.directions:
        directions = _directions(first) + tuple(
            tuple((i + columns, c) for i, c in row) for row in _directions(second)
        )
    metric: tuple[tuple[int, int, Polynomial], ...] = ()
    if first.metric or second.metric:
        metric = _metric(first) + tuple(
            (a + shift, b + shift, moved(entry)) for a, b, entry in _metric(second)
        )
    same = first.default_degree == second.default_degree
    return Model(
        spec=f"{first.spec} + {second.spec}",
        variables=tuple(
            side + v for side, m in zip(sides, (first, second), strict=True) for v in m.variables
        ),
        phi=first.phi + tuple(map(moved, second.phi)),
        denominators=denominators,
        directions=directions,
        metric=metric,
        groups=_groups(first)
        + tuple(tuple(i + columns for i in group) for group in _groups(second)),
        blocks=tuple((sides[0] + name, block) for name, block in first.blocks)
        + tuple(
            (sides[1] + name, tuple(tuple(i + shift for i in row) for row in block))
            for name, block in second.blocks
        ),
        logarithms=first.logarithms + tuple(map(moved, second.logarithms)),
        named_laws=first.named_laws + tuple(map(law, second.named_laws)),
        latex_names=() if clash else first.field_latex + second.field_latex,
        scope="; ".join(dict.fromkeys(filter(None, (first.scope, second.scope)))),
        default_degree=max(first.default_degree, second.default_degree),
        default_mixed=first.default_mixed or second.default_mixed or not same,
    )


def _denominators(model: Model) -> tuple[Polynomial, ...]:
    return model.denominators or (ONE,) * len(model.phi)


def _directions(model: Model) -> tuple[tuple[tuple[int, int], ...], ...]:
    return model.directions or tuple(((i, 1),) for i in range(len(model.phi)))


def _metric(model: Model) -> tuple[tuple[int, int, Polynomial], ...]:
    return model.metric or diagonal_metric({}, model.size)


def _groups(model: Model) -> tuple[tuple[int, ...], ...]:
    return model.groups or (tuple(range(len(model.phi))),)


def change_of_variables(model: Model, matrix: Sequence[Sequence[Fraction | int]]) -> Model:
    """The same flow in parameters ξ with θ = A ξ, A invertible and rational (D, D).

    φ becomes φ∘A and the metric A⁻¹ M A⁻ᵀ (the identity again if A is orthogonal), so the laws are exactly h∘A, the
    named ones among them. The variables are called ``xi_1``, ...; permutations and rescalings are special cases.

    Raises:
        LemmataError: the shape is wrong, A is singular or not rational, or the model has momentum.
    """
    if model.momentum is not None:
        raise LemmataError("change_of_variables: change the variables first, then add the momentum")
    size = model.size
    rows = [_rationals(row) for row in matrix]
    if len(rows) != size or any(len(row) != size for row in rows):
        raise LemmataError(f"change_of_variables: the matrix must be {size} × {size}")
    inverse = _inverse(rows)
    common = lcm(*(x.denominator for row in rows for x in row))
    forms: list[Polynomial] = [
        {(j,): int(x * common) for j, x in enumerate(row) if x} for row in rows
    ]
    phi, denominators = [], []
    substituted = [_substitute(p, forms, common) for p in model.phi]
    lower = [_substitute(p, forms, common) for p in _denominators(model)]
    # (top/p) / (bottom/q), in lowest terms and not scaled: drifts under gradient descent depend on the size of φ
    for (top, p), (bottom, q) in zip(substituted, lower, strict=True):
        above, below = scale(top, q), scale(bottom, p)
        content = gcd(*above.values(), *below.values())
        phi.append({m: c // content for m, c in above.items()})
        denominators.append({m: c // content for m, c in below.items()})
    return replace(
        model,
        spec=f"{model.spec} in new parameters",
        variables=tuple(f"xi_{i + 1}" for i in range(size)),
        latex_names=tuple(rf"\xi_{{{i + 1}}}" for i in range(size)),
        phi=tuple(phi),
        denominators=tuple(denominators) if any(d != ONE for d in denominators) else (),
        metric=_carried(model, forms, common, inverse),
        blocks=(),
        logarithms=tuple(_form_in(q, forms, common) for q in model.logarithms),
        named_laws=tuple(_law_in(law, forms, common) for law in model.named_laws),
    )


def _rationals(row: Sequence[Fraction | int]) -> list[Fraction]:
    if any(isinstance(x, bool) or not isinstance(x, int | Fraction) for x in row):
        raise LemmataError("change_of_variables: give the matrix in integers and Fractions")
    return [Fraction(x) for x in row]


def _inverse(rows: Sequence[Sequence[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan, over Q."""
    size = len(rows)
    work = [[*row, *(Fraction(int(i == k)) for i in range(size))] for k, row in enumerate(rows)]
    for k in range(size):
        pivot = next((i for i in range(k, size) if work[i][k]), None)
        if pivot is None:
            raise LemmataError(
                "change_of_variables: the matrix is singular; give an invertible one"
            )
        work[k], work[pivot] = work[pivot], work[k]
        head = work[k][k]
        work[k] = [x / head for x in work[k]]
        for i in range(size):
            if i != k and (factor := work[i][k]):
                work[i] = [x - factor * y for x, y in zip(work[i], work[k], strict=True)]
    return [row[size:] for row in work]


def _substitute(
    p: Mapping[Monomial, int], forms: Sequence[Polynomial], common: int
) -> tuple[Polynomial, int]:
    """(P, q) with P / q = p(A ξ), where the rows of common · A are the given forms."""
    top = max(map(len, p), default=0)
    terms = []
    for m, c in p.items():
        term: Polynomial = {(): c * common ** (top - len(m))}
        for i in m:
            term = multiply(term, forms[i])
        terms.append(term)
    return add(*terms), common**top


def _form_in(q: Polynomial, forms: Sequence[Polynomial], common: int) -> Polynomial:
    """q∘A up to a constant factor, for log|q|."""
    return primitive(_substitute(q, forms, common)[0])


def _law_in(law: Law, forms: Sequence[Polynomial], common: int) -> Law:
    """A multiple of h∘A, up to a constant."""
    polynomial, factor = _substitute(law.polynomial, forms, common)
    logarithms = tuple((c * factor, _form_in(q, forms, common)) for c, q in law.logarithms)
    return replace(law, polynomial=polynomial, logarithms=logarithms)


def _carried(
    model: Model,
    forms: Sequence[Polynomial],
    common: int,
    inverse: Sequence[Sequence[Fraction]],
) -> tuple[tuple[int, int, Polynomial], ...]:
    """A⁻¹ M(A ξ) A⁻ᵀ, all entries times one integer; empty if it is the identity up to that factor."""
    size = len(inverse)
    substituted = [(c, d, *_substitute(entry, forms, common)) for c, d, entry in _metric(model)]
    shared = (
        lcm(*(q for *_, q in substituted)) * lcm(*(x.denominator for r in inverse for x in r)) ** 2
    )
    support = [[a for a in range(size) if inverse[a][c]] for c in range(size)]
    out: dict[tuple[int, int], list[Polynomial]] = {}
    for c, d, entry, q in substituted:
        for a in support[c]:
            for b in support[d]:
                factor = inverse[a][c] * inverse[b][d] * shared / q
                out.setdefault((a, b), []).append(scale(entry, int(factor)))
    total = {at: p for at, ps in out.items() if (p := add(*ps))}
    unit = total.get((0, 0), {})
    if set(unit) == {()} and total == {(a, a): unit for a in range(size)}:
        return ()
    content = gcd(*(c for p in total.values() for c in p.values()))
    return tuple(
        (a, b, {m: c // content for m, c in p.items()}) for (a, b), p in sorted(total.items())
    )
