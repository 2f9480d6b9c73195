"""Parametrised models as the theory of conservation laws sees them: the vector fields of their gradient flows.

A model is a vector φ(θ), a metric and what the loss may be; L(θ) = ℓ(φ(θ)) for any data. Its flow moves along
Σ_i c_i M ∇φ_i with c = -∇ℓ arbitrary, so h is conserved for every loss exactly if it is constant along each of the
*fields* M ∇φ_i (Marcotte, Gribonval & Peyré, NeurIPS 2023, Proposition 2.10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import lcm

from theory.conservation.polynomials import (
    ONE,
    Polynomial,
    VectorField,
    add,
    degree,
    gradient,
    multiply,
    scale,
    to_latex,
    to_text,
    variable,
)
from theory.errors import LemmataError

NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Law:
    """h = P(θ) + Σ_k c_k log|q_k(θ)|.

    Attributes:
        polynomial: P. logarithms: pairs (c_k, q_k).
        name: what it is, where it is recognised: "(UᵀU - VᵀV)[1,2]". latex_name: the same in LaTeX.
    """

    polynomial: Polynomial
    logarithms: tuple[tuple[int, Polynomial], ...] = ()
    name: str = ""
    latex_name: str = ""

    @property
    def degree(self) -> int:
        """Degree of the polynomial part."""
        return degree(self.polynomial)

    def text(self, names: Sequence[str]) -> str:
        """In the given names of the variables."""
        return self._written(to_text(self.polynomial, names), "log|{}|", names, to_text, "*")

    def latex(self, names: Sequence[str]) -> str:
        """In the given LaTeX names of the variables."""
        return self._written(
            to_latex(self.polynomial, names), r"\log\lvert {} \rvert", names, to_latex, " "
        )

    def _written(
        self, start: str, form: str, names: Sequence[str], write: object, times: str
    ) -> str:
        text = start if self.polynomial or not self.logarithms else ""
        for c, q in self.logarithms:
            sign = (" - " if c < 0 else " + ") if text else ("-" if c < 0 else "")
            size = "" if abs(c) == 1 else f"{abs(c)}{times}"
            text += sign + size + form.format(write(q, names))  # type: ignore[operator]
        return text


@dataclass(frozen=True)
class Model:
    """φ, the metric and the loss; rational coefficients, scaled to integers where that changes no field's span.

    Attributes:
        spec: how the user named it.
        variables: names of θ, (D,): letters, digits and underscores.
        phi: numerators of φ_i, over the variables' indices. denominators: of φ_i, or empty where all are 1.
        directions: sparse rows ((i, c_i), ...) that span the loss gradients; empty means all of R^d.
        metric: entries (a, b, M_ab) of the metric, both triangles; empty means the identity.
        momentum: friction τ of the heavy ball θ'' + τ θ' = -∇L, or None for the first-order flow. Then the variables
            are θ, the velocities and s = e^{τt} (t itself if τ = 0).
        groups: indices of φ that differ in the output only, in the order of the outputs; for `with_cross_entropy`.
        blocks: named matrices of variable indices, ("U", ((0, 1), (2, 3))); the last is the output layer.
        logarithms: candidates q for terms log|q| of a law.
        named_laws: expected laws, by which found ones are recognised; they are checked like any other.
        default_degree, default_mixed: the ansatz in which this model's known laws lie.
        latex_names: of θ; by default made from ``variables``.
        scope: for which parameters and data the fields of φ are those of the network, where not for all.
    """

    spec: str
    variables: tuple[str, ...]
    phi: tuple[Polynomial, ...]
    denominators: tuple[Polynomial, ...] = ()
    directions: tuple[tuple[tuple[int, int], ...], ...] = ()
    metric: tuple[tuple[int, int, Polynomial], ...] = ()
    momentum: Fraction | None = None
    groups: tuple[tuple[int, ...], ...] = ()
    blocks: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()
    logarithms: tuple[Polynomial, ...] = ()
    named_laws: tuple[Law, ...] = ()
    default_degree: int = 2
    default_mixed: bool = False
    latex_names: tuple[str, ...] = ()
    scope: str = ""

    def __post_init__(self) -> None:
        if not self.variables:
            raise LemmataError(f"{self.spec}: the model has no parameter")
        if len(set(self.variables)) < len(self.variables):
            raise LemmataError(f"{self.spec}: two parameters have the same name")
        for name in self.variables:
            if not NAME.fullmatch(name):
                raise LemmataError(
                    f"{self.spec}: rename the parameter {name!r}: a letter, then letters, digits, underscores"
                )
        self._check_shapes()
        if not any(degree(p) or degree(q) for p, q in self._fractions):
            raise LemmataError(f"{self.spec}: φ does not depend on any parameter")
        if self.denominators and not all(self.denominators):
            raise LemmataError(f"{self.spec}: a denominator of φ is zero")
        if self.momentum is not None and (self.momentum < 0 or self.metric):
            raise LemmataError(
                f"{self.spec}: momentum needs τ >= 0 and the Euclidean metric; drop --mirror or --momentum"
            )

        if self.momentum is not None:
            self._check_names()

    def _check_shapes(self) -> None:
        """Well-formed polynomials over the variables; rows and entries within range."""
        size, count = len(self.variables), len(self.phi)
        if self.denominators and len(self.denominators) != count:
            raise LemmataError(
                f"{self.spec}: {len(self.denominators)} denominators for {count} entries of φ; give one for each"
            )
        entries = [p for _, _, p in self.metric]
        for p in (*self.phi, *self.denominators, *entries, *self.logarithms):
            for m, c in p.items():
                if type(c) is not int or not c:
                    raise LemmataError(
                        f"{self.spec}: coefficient {c!r}: polynomials have non-zero integer coefficients; scale them"
                    )
                if m and not (m[0] >= 0 and m[-1] < size and list(m) == sorted(m)):
                    raise LemmataError(
                        f"{self.spec}: the monomial {m} is no sorted tuple of indices below {size}"
                    )
        indices = [i for row in self.directions for i, _ in row]
        if not all(0 <= i < count for i in (*indices, *(i for g in self.groups for i in g))):
            raise LemmataError(
                f"{self.spec}: directions and groups name entries of φ, 0 to {count - 1}"
            )
        if not all(0 <= i < size for a, b, _ in self.metric for i in (a, b)):
            raise LemmataError(f"{self.spec}: the metric has rows and columns 0 to {size - 1}")

    # -- variations -----------------------------------------------------------------------------------------------
    def with_momentum(self, tau: Fraction) -> Model:
        """Heavy ball with friction τ; the known laws of the first-order flow are no longer expected."""
        return replace(self, momentum=tau, named_laws=(), logarithms=(), default_mixed=False)

    def with_metric(self, metric: tuple[tuple[int, int, Polynomial], ...]) -> Model:
        """Natural or mirror flow θ' = -M(θ) ∇L."""
        return replace(self, metric=metric, named_laws=(), logarithms=())

    def with_cross_entropy(self) -> Model:
        """Loss gradients on logits sum to 0 over the outputs, so only differences of outputs act."""
        groups = self.groups or (tuple(range(len(self.phi))),)
        rows = tuple(((g[k], 1), (g[k + 1], -1)) for g in groups for k in range(len(g) - 1))
        if not rows:
            raise LemmataError(
                f"{self.spec}: no two entries of φ are logits of one example; cross-entropy needs at least two outputs"
            )
        return replace(self, directions=rows, default_mixed=True)

    def degree_of(self, law: Law) -> int:
        """Degree of a law in θ (and θ'), not counting the clock s = e^{τt} or t."""
        clock = 2 * self.size if self.momentum is not None else -1
        return max((len(m) - m.count(clock) for m in law.polynomial), default=0)

    # -- what follows ---------------------------------------------------------------------------------------------
    @property
    def size(self) -> int:
        """D, the number of parameters."""
        return len(self.variables)

    @property
    def dimension(self) -> int:
        """Number of variables of the fields: D, or 2D + 1 with momentum."""
        return self.size if self.momentum is None else 2 * self.size + 1

    @property
    def field_variables(self) -> tuple[str, ...]:
        """Names of all variables of the fields; velocities are ``dot_`` + name."""
        if self.momentum is None:
            return self.variables
        clock = "s" if self.momentum else "t"
        return (*self.variables, *(f"dot_{v}" for v in self.variables), clock)

    def _check_names(self) -> None:
        names = self.field_variables
        if len(set(names)) < len(names):
            raise LemmataError(
                f"{self.spec}: momentum needs the name {names[-1]!r} and dot_ + every name; rename the parameters"
            )

    @cached_property
    def field_latex(self) -> tuple[str, ...]:
        """LaTeX names of all variables of the fields."""
        names = self.latex_names or tuple(_latex(v) for v in self.variables)
        if self.momentum is None:
            return names
        return (*names, *(rf"\dot{{{v}}}" for v in names), "s" if self.momentum else "t")

    @cached_property
    def _fractions(self) -> tuple[tuple[Polynomial, Polynomial], ...]:
        denominators = self.denominators or (ONE,) * len(self.phi)
        return tuple(zip(self.phi, denominators, strict=True))

    @cached_property
    def functions(self) -> tuple[tuple[Polynomial, Polynomial], ...]:
        """Numerators and denominators of the functions whose gradients span: φ_i, or combinations of them."""
        if not self.directions:
            return self._fractions
        out = []
        for row in self.directions:
            top: Polynomial = {}
            bottom = dict(ONE)
            for i, c in row:
                n, d = self._fractions[i]
                if d == bottom:
                    top = add(top, scale(n, c))
                else:
                    top = add(multiply(top, d), multiply(scale(n, c), bottom))
                    bottom = multiply(bottom, d)
            out.append((top, bottom))
        return tuple(out)

    @cached_property
    def fields(self) -> tuple[VectorField, ...]:
        """V0: the fields that generate the flow, over Z; each up to a non-zero factor (a function of θ).

        The factor (a constant, or a squared denominator) changes neither the laws nor, at a generic point, the
        dimension of the generated Lie algebra. Zero and repeated fields are dropped.
        """
        out: list[VectorField] = []
        if self.momentum is not None:
            out.append(self._drift(self.momentum))
        shift = 0 if self.momentum is None else self.size
        seen: set[object] = set()
        for n, d in self.functions:
            slope = gradient(n)
            if len(d) > 1 or () not in d:
                slopes = gradient(d)
                slope = {
                    a: part
                    for a in {*slope, *slopes}
                    if (
                        part := add(
                            multiply(d, slope.get(a, {})), scale(multiply(n, slopes.get(a, {})), -1)
                        )
                    )
                }
            slope = self.raised(slope)
            field = {a + shift: p for a, p in slope.items()}
            key = frozenset((a, frozenset(p.items())) for a, p in field.items())
            if field and key not in seen:
                seen.add(key)
                out.append(field)
        return tuple(out)

    def raised(self, slope: VectorField) -> VectorField:
        """M times a gradient."""
        if not self.metric:
            return slope
        out: VectorField = {}
        for a, b, entry in self.metric:
            if b in slope:
                out[a] = add(out.get(a, {}), multiply(entry, slope[b]))
        return {a: p for a, p in out.items() if p}

    def _drift(self, tau: Fraction) -> VectorField:
        """q (∂_t + θ' ∂_θ - τ θ' ∂_θ') for τ = p/q."""
        p, q, size = tau.numerator, tau.denominator, self.size
        field: VectorField = {a: {(size + a,): q} for a in range(size)}
        if p:
            field |= {size + a: {(size + a,): -p} for a in range(size)}
        field[2 * size] = {(2 * size,): p} if p else {(): q}
        return field


def diagonal_metric(
    entries: Mapping[int, Polynomial], size: int
) -> tuple[tuple[int, int, Polynomial], ...]:
    """The metric with these diagonal entries, 1 elsewhere."""
    return tuple((a, a, entries.get(a, ONE)) for a in range(size))


def entropy_metric(indices: Sequence[int], size: int) -> tuple[tuple[int, int, Polynomial], ...]:
    """M = diag(θ) on some parameters: the mirror flow of the potential Σ θ log θ there, Euclidean elsewhere."""
    return diagonal_metric({a: variable(a) for a in indices}, size)


def integral(coefficients: Mapping[tuple[int, ...], Fraction]) -> tuple[Polynomial, int]:
    """(P, q) with P integer and P / q the given polynomial with rational coefficients."""
    q = lcm(*(c.denominator for c in coefficients.values())) if coefficients else 1
    return {m: int(c * q) for m, c in coefficients.items() if c}, q


def _latex(name: str) -> str:
    head, *rest = name.split("_")
    return f"{head}_{{{','.join(rest)}}}" if rest else head
