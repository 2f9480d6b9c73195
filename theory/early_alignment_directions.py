"""The steps of the direction bound of early alignment (A2), on top of those of the norm bound (A1).

With P = projection orthogonal to w_j and x_a = Σ_i 1[<w_j,x_i> > 0] y_i x_i:

    d/dt (w_j/|w_j|) - sign(v_j) P x_a = sign(v_j) P Σ_i 1[<w_j,x_i> > 0] (g_i - y_i) x_i,

whose norm is at most n X_max max_i |g_i - y_i|, and |g_i - y_i| <= κ' |f_i| with κ' = (e^a - 1)/a on
|f| <= a = C_f/K (exponential) or κ' = 1/2 (2·logistic).
"""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Abs, Expr, exp

from theory.derivation import Constant, Step
from theory.early_alignment_norms import (
    CONSTANTS as NORM_CONSTANTS,
)
from theory.early_alignment_norms import (
    POWER,
    assumption,
    below_steps,
    closed_form,
    closed_form_steps,
    output_end_steps,
    scale,
    size_w,
    with_label,
)
from theory.early_alignment_setting import (
    C_1,
    C_2,
    POINTS,
    C_f,
    F,
    K,
    Loss,
    X_max,
    active,
    f,
    g,
    h,
    i,
    n,
    overlap,
    relu,
    t,
    u,
    v,
    w,
    w_start,
    x,
    y,
)
from theory.gronwall import Gronwall
from theory.justifications import Cases, Identity, Inequality, OnBox, SumBound, Sup, combine, lib
from theory.justifications_flow import AlmostEverywhere, AlongFlow
from theory.symbols import Inner, MaxOver, Norm, Rate, eq, le, lt

CONSTANTS = (
    Constant("C_1", Fraction(2)),
    Constant("C_2", Fraction(4)),
    *(c for c in NORM_CONSTANTS if c.name != "C_w"),
)
NONZERO_START = lt(0, Norm(w_start))

drive = sympy.Sum(g * active * x, POINTS)
field = sympy.Sum(active * y * x, POINTS)  # x_a(w_j)
error = sympy.Sum(active * (g - y) * x, POINTS)
gap = Abs(g - y)
E = MaxOver(gap, POINTS)
turning = Rate(w / size_w)


def projected(a: Expr) -> Expr:
    """The part of a vector orthogonal to w_j."""
    return a - Inner(a, w) / size_w**2 * w


deviation = Norm(turning - sympy.sign(v) * projected(field))


def alive_steps(loss: Loss) -> list[Step]:
    """|w_j| > 0 on [0, T], so that its direction exists."""
    rate = 2 * n * X_max * (1 + loss.kappa * C_f * scale)
    slowest = exp(-rate * t)
    return [
        Step(
            "decay signs: one point",
            le(-v * g * relu, size_w * Abs(g) * relu),
            combine((relu, lib("le_abs", a=-v * g)), (Abs(g) * relu, "balance")),
        ),
        Step(
            "decay signs: all points",
            le(-v * sympy.Sum(g * relu, POINTS), size_w * sympy.Sum(Abs(g) * relu, POINTS)),
            SumBound("decay signs: one point", i),
        ),
        Step(
            "decay",
            le(Rate(-u), 2 * size_w * sympy.Sum(Abs(g) * relu, POINTS)),
            combine((-1, "growth"), (2, "decay signs: all points")),
            "a norm decays at most as fast as it may grow",
        ),
        Step(
            "decay rate",
            le(Rate(-u), rate * u),
            combine(
                (1, "decay"),
                (2 * size_w, "angles: all points"),
                (2 * u, "lengths: all points"),
                (2 * X_max * u, "all points: sum"),
                (2 * n * X_max * u, "slopes"),
                (2 * n * X_max * u * loss.kappa, "output bound"),
            ),
        ),
        Step("decay closed form", le(-u, -(Norm(w_start) ** 2) * slowest), Gronwall("decay rate")),
        assumption("non-zero start", NONZERO_START, "the neuron has a direction at t = 0"),
        Step(
            "alive squared",
            lt(0, u),
            combine(
                (1, "decay closed form"),
                remainder=Norm(w_start) ** 2 * slowest,
                facts=("non-zero start",),
            ),
        ),
        Step(
            "alive",
            lt(0, size_w),
            Inequality(lib("positive_root", "alive squared", a=size_w)),
            "so it has one on [0, T]",
        ),
    ]


def turning_steps() -> list[Step]:
    """d/dt (w_j/|w_j|) = sign(v_j) P (x_a + error)."""
    flow = v / size_w * projected(drive)
    return [
        Step("turning off kinks", eq(turning, flow), AlongFlow(("alive",)), "gradient flow"),
        Step("turning", eq(turning, flow), AlmostEverywhere("turning off kinks", ("alive",))),
        Step("sign of v", eq(v, sympy.sign(v) * Abs(v)), Inequality(lib("signed_abs", a=v))),
        Step(
            "sign and size of v",
            eq(v, sympy.sign(v) * size_w),
            combine((1, "sign of v"), (sympy.sign(v), "balance")),
        ),
        Step(
            "direction",
            eq(turning, sympy.sign(v) * projected(field) + sympy.sign(v) * projected(error)),
            combine((1, "turning"), (projected(drive) / size_w, "sign and size of v")),
            "the field of the aligned direction, and an error",
        ),
        Step(
            "size of the error",
            eq(deviation, Abs(sympy.sign(v)) * Norm(projected(error))),
            Identity(using=("direction",)),
        ),
        Step(
            "error",
            le(deviation, Norm(projected(error))),
            combine((1, "size of the error"), (Norm(projected(error)), lib("sign_le_one", a=v))),
            "the part of the error orthogonal to w_j",
        ),
    ]


def error_steps() -> list[Step]:
    """|P Σ ...| <= n X_max max |g_i - y_i|, link by link."""
    lengths = sympy.Sum(active * gap * Norm(x), POINTS)
    return [
        Step(
            "error: projection",
            le(deviation, Norm(error)),
            combine((1, "error"), (1, lib("projection", "alive", a=error, b=w))),
            "the projection is dropped",
        ),
        Step(
            "error: triangle",
            le(deviation, lengths),
            combine(
                (1, "error: projection"),
                (1, lib("triangle_sum", a=active * (g - y) * x, over=POINTS)),
            ),
            "the points pull in different directions: dropped",
        ),
        Step(
            "error lengths: one point",
            le(active * gap * Norm(x), X_max * active * gap),
            combine((active * gap, "size of the data")),
        ),
        Step(
            "error lengths: all points",
            le(lengths, X_max * sympy.Sum(active * gap, POINTS)),
            SumBound("error lengths: one point", i),
        ),
        Step(
            "error: lengths",
            le(deviation, X_max * sympy.Sum(active * gap, POINTS)),
            combine((1, "error: triangle"), (1, "error lengths: all points")),
            "every |x_i| is replaced by X_max",
        ),
        Step("largest gap", le(gap, E), Sup("element", i)),
        Step(
            "gaps: one point",
            le(active * gap, E),
            combine((active, "largest gap"), (E, lib("indicator_le_one", z=overlap))),
        ),
        Step(
            "gaps: all points",
            le(sympy.Sum(active * gap, POINTS), n * E),
            SumBound("gaps: one point", i),
        ),
        Step(
            "error: all points",
            le(deviation, n * X_max * E),
            combine((1, "error: lengths"), (X_max, "gaps: all points")),
            "every point counts as active, with the largest gap",
        ),
    ]


def kappa_end(loss: Loss) -> Expr:
    """κ' with |g - y| <= κ' |f| for |f| <= C_f/K."""
    largest = C_f / K
    return (exp(largest) - 1) / largest if loss.local else loss.kappa


def gap_steps(loss: Loss) -> list[Step]:
    """max |g_i - y_i| <= κ' F."""
    kappa = kappa_end(loss)
    steps = []
    names = {label: f"deviation, y = {label}" for label in (1, -1)}
    if loss.local:
        names = {label: f"deviation up to C_f/K, y = {label}" for label in (1, -1)}
        steps = [
            Step(
                "outputs up to C_f/K",
                le(Abs(f), C_f / K),
                combine(
                    (1, "largest output"), (1, "output bound"), (C_f / K, "small initialisation")
                ),
            ),
            *(
                Step(
                    names[label],
                    le(Abs(label * with_label(loss.slope, label) - 1), kappa * Abs(f)),
                    Inequality(
                        lib("exp_lipschitz_on", "outputs up to C_f/K", z=label * f, m=C_f / K)
                    ),
                )
                for label in (1, -1)
            ),
        ]
    return [
        *steps,
        Step(
            "gap by label",
            le(Abs(loss.slope - y), kappa * Abs(f)),
            Cases(y, tuple(names.items())),
        ),
        Step(
            "gap of the slope",
            le(gap, kappa * Abs(f)),
            Identity("gap by label", ("slope of the loss",)),
        ),
        Step(
            "gap by F",
            le(gap, kappa * F),
            combine((1, "gap of the slope"), (kappa, "largest output")),
        ),
        Step("gaps", le(E, kappa * F), Sup("bound", i, "gap by F"), "the slope of the loss near 0"),
    ]


def direction_bound_steps(loss: Loss) -> list[Step]:
    """All steps of A2, with those of A1 that it needs."""
    kappa = kappa_end(loss)
    steps = closed_form_steps(loss) + output_end_steps(loss)
    steps += alive_steps(loss) + turning_steps() + error_steps()
    steps += gap_steps(loss)
    steps += below_steps(
        loss,
        "gaps at the end",
        kappa * h * X_max,
        C_2 * scale,
        kappa * POWER / C_2,
        "<=",
        "the closed form against the claim",
    )
    return [
        *steps,
        Step("constant C_1", le(kappa, C_1), OnBox((), le(kappa, C_1)), "κ' <= C_1"),
        Step(
            "error: outputs",
            le(deviation, n * X_max * kappa * F),
            combine((1, "error: all points"), (n * X_max, "gaps")),
        ),
        Step(
            "by outputs",
            le(deviation, C_1 * n * X_max * F),
            combine((1, "error: outputs"), (n * X_max * F, "constant C_1")),
            "the claim in terms of the outputs",
        ),
        Step(
            "error: norms",
            le(deviation, n * X_max * kappa * h * X_max * closed_form(loss)),
            combine((1, "error: outputs"), (n * X_max * kappa, "outputs by the closed form")),
        ),
        Step(
            "end to end",
            le(deviation, C_2 * n * X_max * scale),
            combine((1, "error: norms"), (n * X_max, "gaps at the end")),
            "the claim in terms of the initialisation",
        ),
    ]
