"""From the gradient flow to a differential inequality for one neuron: first steps of the norm bound (A1).

Letters: u_j = |w_j|², U = max_j u_j, F = max_i |f_i|, G = max_i |g_i|. Balance and Cauchy-Schwarz give
u_j' <= 2 n X_max G u_j; F <= h X_max U; G <= 1 + κ F.
"""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Abs, Expr, log, sqrt

from theory.derivation import Constant, Step
from theory.early_alignment_setting import (
    NEURONS,
    POINTS,
    F,
    G,
    K,
    Loss,
    T,
    U,
    W_max,
    X_max,
    active,
    c_T,
    eps,
    f,
    g,
    h,
    i,
    j,
    n,
    overlap,
    relu,
    root,
    t,
    u,
    v,
    v_start,
    w,
    w_start,
    x,
    y,
)
from theory.gronwall import Gronwall
from theory.justifications import (
    Assume,
    Cases,
    Identity,
    Inequality,
    SumBound,
    Sup,
    combine,
    lib,
)
from theory.justifications_flow import AlmostEverywhere, AlongFlow, While
from theory.symbols import Norm, Rate, Rel, eq, le, lt

size_w = Norm(w)
scale = eps * sqrt(h) * X_max * W_max**2  # m
HYPOTHESES = {
    "balanced start": eq(v_start**2, Norm(w_start) ** 2),
    "scale of the start": le(Norm(w_start), eps * W_max),
    "size of the data": le(Norm(x), X_max),
    "early phase": le(t, T),
    "length of the early phase": eq(T, log(1 / root) / (c_T * n * X_max)),
    "√h ε < 1": lt(root, 1),
    "small initialisation": le(K * scale, 1),
    "network": eq(f, sympy.Sum(v * relu, NEURONS)),
}
CONSTANTS = (
    Constant("C_w", Fraction(2)),
    Constant("C_f", Fraction(2)),
    Constant("c_T", Fraction(4)),
    Constant("K", Fraction(4)),
)


def hypotheses(loss: Loss) -> dict[str, Rel]:
    """Hypotheses and definitions of A1."""
    return {**HYPOTHESES, "slope of the loss": eq(g, loss.slope)}


def assumption(name: str, relation: Rel, text: str) -> Step:
    """A step that repeats a hypothesis under its own name."""
    return Step(name, relation, Assume(name), text)


def with_label(e: Expr, label: int) -> Expr:
    """An expression at y_i = ±1."""
    return e.xreplace({y: sympy.Integer(label)})


# -- one neuron -------------------------------------------------------------------------------------------------------
def balance_steps() -> list[Step]:
    """|v_j| = |w_j| for all t."""
    gap = v**2 - size_w**2
    start = v_start**2 - Norm(w_start) ** 2
    return [
        Step(
            "gap off kinks", eq(Rate(gap), 0), AlongFlow(), "v_j² and |w_j|² grow at the same rate"
        ),
        Step(
            "gap",
            eq(Rate(gap), 0),
            AlmostEverywhere("gap off kinks"),
            "squares are locally Lipschitz",
        ),
        Step("conserved", eq(gap, start), Gronwall("gap"), "v_j² - |w_j|² is conserved"),
        assumption("balanced start", HYPOTHESES["balanced start"], "the start is balanced"),
        Step(
            "balance of squares",
            eq(v**2, size_w**2),
            combine((1, "conserved"), (1, "balanced start")),
        ),
        Step(
            "balance",
            eq(Abs(v), size_w),
            Inequality(lib("equal_squares", "balance of squares", a=Abs(v), b=size_w)),
            "the network stays balanced",
        ),
    ]


def rate_steps() -> list[Step]:
    """u_j' <= 2 n X_max G u_j, link by link."""
    total = sympy.Sum
    rate = Rate(u)
    return [
        Step(
            "growth off kinks",
            eq(rate, 2 * v * total(g * relu, POINTS)),
            AlongFlow(),
            "gradient flow",
        ),
        Step(
            "growth",
            eq(rate, 2 * v * total(g * relu, POINTS)),
            AlmostEverywhere("growth off kinks"),
        ),
        Step(
            "signs: one point",
            le(v * g * relu, size_w * Abs(g) * relu),
            combine((relu, lib("le_abs", a=v * g)), (Abs(g) * relu, "balance")),
            "drop the signs of v_j and g_i",
        ),
        Step(
            "signs: all points",
            le(total(v * g * relu, POINTS), total(size_w * Abs(g) * relu, POINTS)),
            SumBound("signs: one point", i),
        ),
        Step(
            "signs",
            le(rate, 2 * size_w * total(Abs(g) * relu, POINTS)),
            combine((1, "growth"), (2, "signs: all points")),
            "the signs of v_j g_i are dropped",
        ),
        Step(
            "angles: one point",
            le(Abs(g) * relu, active * Abs(g) * size_w * Norm(x)),
            combine((active * Abs(g), lib("cauchy_schwarz", a=w, b=x))),
        ),
        Step(
            "angles: all points",
            le(total(Abs(g) * relu, POINTS), size_w * total(active * Abs(g) * Norm(x), POINTS)),
            SumBound("angles: one point", i),
        ),
        Step(
            "angles",
            le(rate, 2 * u * total(active * Abs(g) * Norm(x), POINTS)),
            combine((1, "signs"), (2 * size_w, "angles: all points")),
            "Cauchy-Schwarz: the cosines of w_j and x_i are dropped",
        ),
        assumption("size of the data", HYPOTHESES["size of the data"], "X_max = max |x_i|"),
        Step(
            "lengths: one point",
            le(active * Abs(g) * Norm(x), X_max * active * Abs(g)),
            combine((active * Abs(g), "size of the data")),
        ),
        Step(
            "lengths: all points",
            le(total(active * Abs(g) * Norm(x), POINTS), X_max * total(active * Abs(g), POINTS)),
            SumBound("lengths: one point", i),
        ),
        Step(
            "lengths",
            le(rate, 2 * X_max * u * total(active * Abs(g), POINTS)),
            combine((1, "angles"), (2 * u, "lengths: all points")),
            "every |x_i| is replaced by X_max",
        ),
        Step("largest slope", le(Abs(g), G), Sup("element", i)),
        Step(
            "all points: one point",
            le(active * Abs(g), G),
            combine((active, "largest slope"), (G, lib("indicator_le_one", z=overlap))),
        ),
        Step(
            "all points: sum",
            le(total(active * Abs(g), POINTS), n * G),
            SumBound("all points: one point", i),
        ),
        Step(
            "all points",
            le(rate, 2 * n * X_max * G * u),
            combine((1, "lengths"), (2 * X_max * u, "all points: sum")),
            "every point counts as active, with the largest slope",
        ),
    ]


def output_steps() -> list[Step]:
    """F <= h X_max U."""
    return [
        assumption("network", HYPOTHESES["network"], "definition of the outputs"),
        Step(
            "outputs: triangle",
            le(Abs(sympy.Sum(v * relu, NEURONS)), sympy.Sum(Abs(v * relu), NEURONS)),
            Inequality(lib("triangle_sum", a=v * relu, over=NEURONS)),
        ),
        Step("largest neuron", le(u, U), Sup("element", j)),
        Step(
            "outputs: one neuron",
            le(Abs(v * relu), X_max * U),
            combine(
                (relu, "balance"),
                (active * size_w, lib("cauchy_schwarz", a=w, b=x)),
                (u * Norm(x), lib("indicator_le_one", z=overlap)),
                (u, "size of the data"),
                (X_max, "largest neuron"),
            ),
        ),
        Step(
            "outputs: all neurons",
            le(sympy.Sum(Abs(v * relu), NEURONS), h * X_max * U),
            SumBound("outputs: one neuron", j),
        ),
        Step(
            "outputs: one point",
            le(Abs(f), sympy.Sum(Abs(v * relu), NEURONS)),
            Identity("outputs: triangle", ("network",)),
        ),
        Step(
            "outputs: bound",
            le(Abs(f), h * X_max * U),
            combine((1, "outputs: one point"), (1, "outputs: all neurons")),
        ),
        Step(
            "outputs",
            le(F, h * X_max * U),
            Sup("bound", i, "outputs: bound"),
            "every neuron is as large as the largest",
        ),
        Step("largest output", le(Abs(f), F), Sup("element", i)),
    ]


# -- the loss ---------------------------------------------------------------------------------------------------------
def slope_steps(loss: Loss) -> list[Step]:
    """|g_i| <= 1 + κ |f_i|; for the exponential loss while U <= 1/(h X_max)."""
    steps = []
    given: tuple[str, ...] = ()
    if loss.local:
        steps = [
            Step("small network", le(U, 1 / (h * X_max)), While(), "as long as U <= 1/(h X_max)"),
            Step(
                "small outputs",
                le(Abs(f), 1),
                combine((1, "outputs: bound"), (h * X_max, "small network")),
                "then |f_i| <= 1",
            ),
        ]
        given = ("small outputs",)
    entry = "exp_lipschitz" if loss.local else "logistic_slope"
    for label in (1, -1):
        value = label * with_label(loss.slope, label)  # g/y at y = ±1, positive
        steps += [
            Step(
                f"deviation, y = {label}",
                le(Abs(value - 1), loss.kappa * Abs(f)),
                Inequality(lib(entry, *given, z=label * f)),
            ),
            Step(
                f"slope, y = {label}",
                le(value, 1 + loss.kappa * Abs(f)),
                combine((1, lib("le_abs", a=value - 1)), (1, f"deviation, y = {label}")),
            ),
        ]
    return [
        *steps,
        Step(
            "slope by label",
            le(Abs(loss.slope), 1 + loss.kappa * Abs(f)),
            Cases(y, ((1, "slope, y = 1"), (-1, "slope, y = -1"))),
        ),
        assumption("slope of the loss", eq(g, loss.slope), "g_i = -∂ℓ/∂f"),
        Step(
            "slope",
            le(Abs(g), 1 + loss.kappa * Abs(f)),
            Identity("slope by label", ("slope of the loss",)),
        ),
        Step(
            "slope by F",
            le(Abs(g), 1 + loss.kappa * F),
            combine((1, "slope"), (loss.kappa, "largest output")),
        ),
        Step(
            "slopes",
            le(G, 1 + loss.kappa * F),
            Sup("bound", i, "slope by F"),
            "the slope of the loss near 0",
        ),
    ]
