"""How far one step of gradient descent moves a conservation law, exactly.

A step is θ⁺ = θ - η Σ_i g_i M ∇ψ_i(θ), g = ∂ℓ/∂ψ the loss gradient at the current point, M the model's metric (the
identity for gradient descent; otherwise this is the explicit Euler step of the flow). For a polynomial h,

    h(θ⁺) - h(θ) = Σ_k η^k D_k(θ, g),

with D_1 = -Σ_i g_i ⟨∇h, M ∇ψ_i⟩ identically zero because h is a law: the drift starts at η².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

from theory.conservation.losses import polynomial_functions
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import (
    ONE,
    Polynomial,
    VectorField,
    add,
    gradient,
    multiply,
    scale,
    to_latex,
    to_text,
    value,
    variable,
)
from theory.errors import DerivationError, LemmataError

PREFIXES = ("g", "G", "slope", "lossgradient")


@dataclass(frozen=True)
class DescentDrift:
    """h(θ⁺) - h(θ) = Σ_{k ≥ 2} η^k D_k(θ, g).

    Attributes:
        spec: of the model. law: h.
        parameters, slopes: names of θ and of g; the variables of D_k are θ, then g.
        parameters_latex, slopes_latex: the same in LaTeX.
        numerators: of D_2, D_3, …, without trailing zeros. denominator: q, D_k = numerators[k-2] / q^k.
    """

    spec: str
    law: Law
    parameters: tuple[str, ...]
    slopes: tuple[str, ...]
    parameters_latex: tuple[str, ...]
    slopes_latex: tuple[str, ...]
    numerators: tuple[Polynomial, ...]
    denominator: int

    @property
    def order(self) -> int:
        """The largest k with D_k ≠ 0, or 1 if the step conserves the law."""
        return len(self.numerators) + 1

    def coefficient(self, k: int = 2) -> dict[tuple[int, ...], Fraction]:
        """D_k over the variables (θ, g)."""
        return {m: Fraction(c, self.denominator**k) for m, c in self._numerator(k).items()}

    def text(self, k: int = 2) -> str:
        """D_k as text."""
        body = to_text(self._numerator(k), (*self.parameters, *self.slopes))
        return body if self.denominator == 1 else f"({body})/{self.denominator**k}"

    def latex(self, k: int = 2) -> str:
        """D_k in LaTeX."""
        body = to_latex(self._numerator(k), (*self.parameters_latex, *self.slopes_latex))
        return body if self.denominator == 1 else rf"\frac{{{body}}}{{{self.denominator**k}}}"

    def sympy(self, k: int = 2) -> Any:
        """D_k as a sympy expression in real symbols of the variables' names."""
        import sympy

        symbols = sympy.symbols((*self.parameters, *self.slopes), real=True)
        return sympy.Add(
            *(
                sympy.Rational(c.numerator, c.denominator) * sympy.Mul(*(symbols[i] for i in m))
                for m, c in self.coefficient(k).items()
            )
        )

    def value(
        self, theta: Sequence[Fraction | int], g: Sequence[Fraction | int], eta: Fraction | int
    ) -> Fraction:
        """The drift of a step of size ``eta`` from ``theta``: (D,) with loss gradient ``g``: (d,), exactly."""
        if len(theta) != len(self.parameters) or len(g) != len(self.slopes):
            raise LemmataError(
                f"{self.spec}: give {len(self.parameters)} parameters and {len(self.slopes)} loss gradients, "
                f"not {len(theta)} and {len(g)}"
            )
        point = (*theta, *g)
        step, total = Fraction(eta) / self.denominator, Fraction(0)
        for k, p in enumerate(self.numerators, start=2):
            total += step**k * value(p, point)
        return total

    def _numerator(self, k: int) -> Polynomial:
        if k < 1:
            raise LemmataError("the drift has the orders 1, 2, …: the constant term is h(θ) - h(θ)")
        return self.numerators[k - 2] if 2 <= k <= self.order else {}


def descent_drift(
    model: Model, law: Law, *, slopes: Sequence[str] = (), slopes_latex: Sequence[str] = ()
) -> DescentDrift:
    """The drift of a law in one step of gradient descent, or in an Euler step of the model's flow.

    Args:
        slopes: names of the loss gradients g_i, by default g1, g2, …; slopes_latex: in LaTeX.

    Raises:
        LemmataError: the drift is not polynomial (a rational φ, logarithms in the law), or the model has momentum,
            whose discretisation is a choice.
        DerivationError: the drift has a term of first order: h is not a law of the model.
    """
    if model.momentum is not None:
        raise LemmataError(
            f"{model.spec}: a heavy ball has many discretisations; ask for the model without momentum"
        )
    if law.logarithms:
        raise LemmataError(
            "the law contains logarithms, its drift is no polynomial in the step; ask for polynomial laws"
        )
    functions = polynomial_functions(model)
    q = lcm(*(d for _, d in functions))
    size = model.size
    if any(i >= size for m in law.polynomial for i in m):
        raise LemmataError(f"{model.spec}: the law has variables that the model does not have")
    move: VectorField = {}
    for i, (p, d) in enumerate(functions):
        factor = scale(variable(size + i), -(q // d))
        for a, part in gradient(p).items():
            move[a] = add(move.get(a, {}), multiply(factor, part))
    orders = _expansion(law.polynomial, model.raised(move))
    names, latex = _names(model, len(functions), slopes, slopes_latex)
    if orders and orders[0]:
        monomial = min(orders[0], key=lambda m: (len(m), m))
        term = to_text({monomial: orders[0][monomial]}, (*model.variables, *names))
        raise DerivationError(
            f"{model.spec}: {law.text(model.variables)} is not conserved: its drift has the term η·({term}) of first "
            "order; check the law against the model"
        )
    numerators = list(orders[1:])
    while numerators and not numerators[-1]:
        numerators.pop()
    return DescentDrift(
        spec=model.spec,
        law=law,
        parameters=model.variables,
        slopes=names,
        parameters_latex=model.field_latex,
        slopes_latex=latex,
        numerators=tuple(numerators),
        denominator=q,
    )


def _expansion(h: Polynomial, move: VectorField) -> list[Polynomial]:
    """Coefficients of η, η², … in h(x + η·move); by common prefixes of the monomials."""
    known: dict[tuple[int, ...], list[Polynomial]] = {(): [ONE]}

    def moved(monomial: tuple[int, ...]) -> list[Polynomial]:
        if monomial not in known:
            before, x = moved(monomial[:-1]), variable(monomial[-1])
            shift = move.get(monomial[-1], {})
            out = [multiply(part, x) for part in before] + [{}]
            for k, part in enumerate(before):
                out[k + 1] = add(out[k + 1], multiply(part, shift))
            known[monomial] = out
        return known[monomial]

    orders: list[list[Polynomial]] = []
    for m, c in h.items():
        for k, part in enumerate(moved(m)):
            while len(orders) <= k:
                orders.append([])
            orders[k].append(scale(part, c))
    return [add(*parts) for parts in orders[1:]]


def _names(
    model: Model, count: int, slopes: Sequence[str], slopes_latex: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if slopes:
        if len(slopes) != count or len({*slopes, *model.variables}) < count + model.size:
            raise LemmataError(
                f"{model.spec}: give {count} names of loss gradients, distinct and different from the parameters"
            )
        names, latex = tuple(slopes), tuple(slopes_latex) or tuple(slopes)
    else:
        taken = set(model.variables)
        free = (
            made
            for prefix in PREFIXES
            if not taken & {*(made := tuple(f"{prefix}{i + 1}" for i in range(count)))}
        )
        found = next(free, None)
        if found is None:
            raise LemmataError(f"{model.spec}: name the loss gradients: slopes=(…)")
        names, latex = found, tuple(f"g_{{{i + 1}}}" for i in range(count))
    if len(latex) != count:
        raise LemmataError(f"{model.spec}: give {count} LaTeX names of loss gradients")
    return names, latex
