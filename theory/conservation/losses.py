"""The gradient flow of a model under a squared loss, as an exact polynomial field.

L(θ) = ½ Σ_s (⟨a_s, ψ(θ)⟩ - b_s)², ψ the functions of the model through which its loss acts (φ itself, or the
combinations that its loss gradients span). The flow is θ' = -M ∇L with the model's metric M, or the heavy ball
θ' = u, u' = -τ u - ∇L, with the clock s' = τ s (t' = 1 if τ = 0) as the last variable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm

from theory.conservation.model import Model
from theory.conservation.polynomials import (
    Monomial,
    Polynomial,
    VectorField,
    add,
    gradient,
    multiply,
    scale,
)
from theory.errors import LemmataError

RationalPolynomial = dict[Monomial, Fraction]
Rational = Fraction | int
Row = Sequence[Rational] | Mapping[int, Rational]

MOST_TERMS = 1_000_000


def squared_loss_flow(
    model: Model, A: Sequence[Row], b: Sequence[Rational]
) -> tuple[RationalPolynomial, ...]:
    """The components of the flow's field over ``model.field_variables``.

    Args:
        A: (samples, len(model.functions)) rows a_s, or mappings of indices to their non-zero entries. b: (samples,).

    Raises:
        LemmataError: the shapes do not match, an entry is not rational, φ is not polynomial, or the field would have
            more than a million terms.
    """
    functions = polynomial_functions(model)
    rows = [_entries(row, len(functions), model.spec) for row in A]
    targets = [_rational(x) for x in b]
    if len(rows) != len(targets) or not rows:
        raise LemmataError(
            f"A has {len(rows)} rows and b has {len(targets)} entries: one of each per sample"
        )
    slope: VectorField = {}
    # One denominator for all: the algebra is over Z.
    q = lcm(
        *(x.denominator for row in rows for x in row.values()), *(x.denominator for x in targets)
    )
    common = lcm(*(d for _, d in functions))
    for row, target in zip(rows, targets, strict=True):
        residual = add(
            *(
                scale(functions[i][0], int(x * q) * (common // functions[i][1]))
                for i, x in row.items()
            ),
            {(): -int(target * q) * common},
        )
        partial = gradient(residual)
        if len(residual) * sum(map(len, partial.values())) > MOST_TERMS:
            raise LemmataError(
                f"{model.spec}: the flow has more than {MOST_TERMS} terms; use rows of A with fewer non-zero entries, "
                "or a smaller model"
            )
        for a, part in partial.items():
            slope[a] = add(slope.get(a, {}), multiply(residual, part))
    slope = model.raised(slope)
    force = [_divided(slope.get(a, {}), -((q * common) ** 2)) for a in range(model.size)]
    return tuple(force) if model.momentum is None else _heavy_ball(force, model.momentum)


def polynomial_functions(model: Model) -> tuple[tuple[Polynomial, int], ...]:
    """Pairs (p, d), d > 0 an integer, of the model's functions p/d.

    Raises:
        LemmataError: a function has a denominator that depends on θ.
    """
    out = []
    for number, (p, d) in enumerate(model.functions):
        if set(d) != {()}:
            raise LemmataError(
                f"{model.spec}: φ_{number + 1} is not a polynomial; flows and descent steps need a polynomial φ"
            )
        out.append((p, d[()]) if d[()] > 0 else (scale(p, -1), -d[()]))
    return tuple(out)


def _heavy_ball(force: list[RationalPolynomial], tau: Fraction) -> tuple[RationalPolynomial, ...]:
    size = len(force)
    moved: list[RationalPolynomial] = [{(size + a,): Fraction(1)} for a in range(size)]
    for a, part in enumerate(force):
        moved.append({**part, (size + a,): -tau} if tau else part)
    moved.append({(2 * size,): tau} if tau else {(): Fraction(1)})
    return tuple(moved)


def _divided(p: Polynomial, q: int) -> RationalPolynomial:
    return {m: Fraction(c, q) for m, c in p.items()}


def _entries(row: Row, size: int, spec: str) -> dict[int, Fraction]:
    """The non-zero entries of a row of A."""
    if isinstance(row, Mapping):
        if any(not 0 <= i < size for i in row):
            raise LemmataError(f"{spec}: rows of A have indices 0 to {size - 1}, one per function")
        pairs = list(row.items())
    else:
        if len(row) != size:
            raise LemmataError(
                f"{spec}: every row of A needs {size} entries, one per function of the model"
            )
        pairs = list(enumerate(row))
    entries = {i: _rational(x) for i, x in pairs}
    return {i: x for i, x in entries.items() if x}


def _rational(x: Rational) -> Fraction:
    if isinstance(x, bool) or not isinstance(x, int | Fraction):
        raise LemmataError(f"{x!r} is not rational: give integers or fractions")
    return Fraction(x)
