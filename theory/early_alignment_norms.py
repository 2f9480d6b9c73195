"""The steps of the norm bound of early alignment (A1).

Letters: u_j = |w_j|², U = max_j u_j, F = max_i |f_i|, G = max_i |g_i|, r = √h ε, m = ε √h X_max W_max²,
q = 1 - 2/c_T, and |g| <= 1 + κ|f| with κ = 2 (exponential, for |f| <= 1) or 1/2 (2·logistic).

Skeleton of A1: u_j' <= 2 n X_max G u_j (balance, Cauchy-Schwarz), G <= 1 + κ F, F <= h X_max U, so
U' <= a U + b U² with a = 2 n X_max, b = κ a h X_max; Bernoulli's closed form at T is at most the claim
because r^q + C κ m (r^q - r) <= C for r in (0, 1), m in (0, 1/K].
"""

from __future__ import annotations

import sympy
from sympy import Expr, Symbol, exp, log, sqrt

from theory.derivation import Step
from theory.early_alignment_rates import (
    CONSTANTS,
    HYPOTHESES,
    assumption,
    balance_steps,
    hypotheses,
    output_steps,
    rate_steps,
    scale,
    size_w,
    slope_steps,
    with_label,
)
from theory.early_alignment_setting import (
    NEURONS,
    C_f,
    C_w,
    F,
    K,
    Loss,
    U,
    W_max,
    X_max,
    c_T,
    eps,
    h,
    j,
    n,
    root,
    t,
    u,
    w_start,
)
from theory.gronwall import Gronwall, bernoulli
from theory.justifications import (
    Inequality,
    OnBox,
    Sup,
    combine,
    lib,
)
from theory.justifications_flow import Continuation
from theory.symbols import MaxOver, Norm, Rate, Rel, le, lt

__all__ = [
    "CONSTANTS",
    "POWER",
    "assumption",
    "below_steps",
    "closed_form",
    "closed_form_steps",
    "hypotheses",
    "norm_end_steps",
    "norm_target",
    "output_end_steps",
    "output_target",
    "scale",
    "size_w",
    "with_label",
]

norm_target = C_w * eps * W_max**2 / sqrt(h)
output_target = C_f * scale


# -- the closed form and its value at T -------------------------------------------------------------------------------
def closed_form(loss: Loss) -> Expr:
    """Bernoulli's solution with z(0) = ε² W_max²."""
    a = 2 * n * X_max
    return bernoulli(eps**2 * W_max**2, a, loss.kappa * h * X_max * a, sympy.Integer(2), t)


GROWTH = exp(2 * n * X_max * t)
GROWTH_AT_T = root ** (-2 / c_T)
r, m = Symbol("r", positive=True), Symbol("m", positive=True)
POWER = r ** (1 - 2 / c_T)


def denominator(loss: Loss, growth: Expr) -> Expr:
    """Denominator of the closed form."""
    return 1 - loss.kappa * h * X_max * eps**2 * W_max**2 * (growth - 1)


def at_T(name: str, relation: Rel, reduced: Rel, factor: Expr, text: str) -> Step:
    """An inequality at t = T, in r = √h ε in (0, 1) and m = ε √h X_max W_max² in (0, 1/K]."""
    zero, one = sympy.Integer(0), sympy.Integer(1)
    box = ((r, root, zero, one, "()"), (m, scale, zero, 1 / K, "(]"))
    return Step(name, relation, OnBox(box, reduced, factor, ("√h ε < 1", "size of m")), text)


def below_steps(
    loss: Loss, name: str, factor: Expr, target: Expr, size: Expr, op: str, text: str
) -> list[Step]:
    """``factor * z(t) op target`` on [0, T], through r^q size <= 1 - κ m (r^q - r) at T.

    ``size`` is factor ε² W_max² (growth at T) / target, in the box variables.
    """
    relation = le if op == "<=" else lt
    numerator = factor * eps**2 * W_max**2

    def at(growth: Expr) -> Rel:
        return relation(numerator * growth, target * denominator(loss, growth))

    reduced = relation(size, 1 - loss.kappa * m * (POWER - r))
    multiplier = numerator + target * loss.kappa * h * X_max * eps**2 * W_max**2
    return [
        at_T(f"{name} at T", at(GROWTH_AT_T), reduced, target, f"{text}, at T"),
        Step(
            f"{name} at t", at(GROWTH), combine((1, f"{name} at T"), (multiplier, "growth factor"))
        ),
        Step(
            name,
            relation(factor * closed_form(loss), target),
            combine((1 / denominator(loss, GROWTH), f"{name} at t"), facts=("no blow-up",)),
            text,
        ),
    ]


def window_steps(loss: Loss) -> list[Step]:
    """The exponential at T, the ranges of r and m, and no blow-up before T."""
    kappa = loss.kappa
    return [
        assumption("early phase", HYPOTHESES["early phase"], "t <= T"),
        assumption(
            "length of the early phase", HYPOTHESES["length of the early phase"], "definition of T"
        ),
        assumption("√h ε < 1", HYPOTHESES["√h ε < 1"], "so that T > 0"),
        assumption(
            "small initialisation", HYPOTHESES["small initialisation"], "ε <= 1/(K √h X_max W_max²)"
        ),
        Step("size of m", le(scale, 1 / K), combine((1 / K, "small initialisation"))),
        Step(
            "exponent",
            le(2 * n * X_max * t, 2 / c_T * log(1 / root)),
            combine((2 * n * X_max, "early phase"), (2 * n * X_max, "length of the early phase")),
        ),
        Step(
            "growth factor",
            le(GROWTH, GROWTH_AT_T),
            Inequality(lib("exp_mono", "exponent", a=2 * n * X_max * t, b=2 / c_T * log(1 / root))),
            "exp(2 n X_max T) = r^(-2/c_T)",
        ),
        at_T(
            "no blow-up at T",
            lt(0, denominator(loss, GROWTH_AT_T)),
            lt(0, 1 - kappa * m * (POWER - r)),
            sympy.Integer(1),
            "the closed form is finite at T",
        ),
        Step(
            "no blow-up",
            lt(0, denominator(loss, GROWTH)),
            combine(
                (1, "no blow-up at T"), (kappa * h * X_max * eps**2 * W_max**2, "growth factor")
            ),
            "the closed form is finite on [0, T]",
        ),
    ]


def growth_steps(loss: Loss) -> list[Step]:
    """From the rate of one neuron to Bernoulli's inequality for U and its closed form."""
    rate, kappa = Rate(u), loss.kappa
    start = eps**2 * W_max**2
    return [
        Step(
            "slope near zero",
            le(rate, 2 * n * X_max * (1 + kappa * F) * u),
            combine((1, "all points"), (2 * n * X_max * u, "slopes")),
            "the slope of the loss is at most 1 + κ F",
        ),
        Step(
            "outputs by norms",
            le(rate, 2 * n * X_max * (1 + kappa * h * X_max * U) * u),
            combine((1, "slope near zero"), (2 * n * X_max * u * kappa, "outputs")),
            "F <= h X_max U",
        ),
        Step(
            "rate of the largest neuron",
            le(Rate(U), 2 * n * X_max * (1 + kappa * h * X_max * U) * U),
            Sup("rate", j, "outputs by norms"),
            "the maximum over neurons obeys the same inequality",
        ),
        assumption(
            "scale of the start", HYPOTHESES["scale of the start"], "W_max = max |w_j(0)|/ε"
        ),
        Step(
            "start: one neuron",
            le(Norm(w_start) ** 2, start),
            combine((Norm(w_start) + eps * W_max, "scale of the start")),
        ),
        Step(
            "start",
            le(MaxOver(Norm(w_start) ** 2, NEURONS), start),
            Sup("bound", j, "start: one neuron"),
        ),
        Step(
            "closed form",
            le(U, closed_form(loss)),
            Gronwall("rate of the largest neuron", "start", ("no blow-up",)),
            "Bernoulli's differential inequality",
        ),
    ]


def closed_form_steps(loss: Loss) -> list[Step]:
    """U <= z(t) on [0, T], all premises closed."""
    steps = balance_steps() + rate_steps() + output_steps() + slope_steps(loss)
    steps += window_steps(loss) + growth_steps(loss)
    m_power = m * POWER
    if loss.local:
        steps += below_steps(
            loss,
            "stays small",
            sympy.Integer(1),
            1 / (h * X_max),
            m_power,
            "<",
            "the closed form stays below 1/(h X_max)",
        )
        steps.append(
            Step(
                "network stays small",
                le(U, 1 / (h * X_max)),
                Continuation("small network", "closed form", "stays small", "start"),
                "first exit time: the premise never fails on [0, T]",
            )
        )
    return steps


def norm_end_steps(loss: Loss) -> list[Step]:
    """U <= C_w ε W_max²/√h."""
    steps = below_steps(
        loss,
        "norms at the end",
        sympy.Integer(1),
        norm_target,
        POWER / C_w,
        "<=",
        "the closed form against the claim on U",
    )
    steps.append(
        Step(
            "norms",
            le(U, norm_target),
            combine((1, "closed form"), (1, "norms at the end")),
            "the claim",
        )
    )
    return steps


def output_end_steps(loss: Loss) -> list[Step]:
    """F <= C_f ε √h X_max W_max²."""
    steps = below_steps(
        loss,
        "outputs at the end",
        h * X_max,
        output_target,
        POWER / C_f,
        "<=",
        "the closed form against the claim on F",
    )
    return [
        *steps,
        Step(
            "outputs by the closed form",
            le(F, h * X_max * closed_form(loss)),
            combine((1, "outputs"), (h * X_max, "closed form")),
        ),
        Step(
            "output bound",
            le(F, output_target),
            combine((1, "outputs by the closed form"), (1, "outputs at the end")),
            "the claim",
        ),
    ]
