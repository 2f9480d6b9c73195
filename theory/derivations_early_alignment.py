"""The derivations of early alignment: norm bound (A1), direction bound (A2), length of the phase (A6).

One function per statement and loss, named as the statements of `theory.early_alignment` name them; the
steps are in `theory.early_alignment_norms` and `theory.early_alignment_directions`.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import sympy
from sympy import Abs, exp, log

from theory import early_alignment_directions as directions
from theory import early_alignment_norms as norms
from theory.derivation import Constant, Derivation, Link, Spine, Step
from theory.early_alignment_setting import (
    C_1,
    C_2,
    EXPONENTIAL,
    LOGISTIC2,
    POINTS,
    C,
    F,
    G,
    Loss,
    U,
    X_max,
    active,
    c_6,
    eps,
    g,
    h,
    n,
    relu,
    t,
    two_layer_relu,
    u,
    v,
    w0_sq,
    w_start,
    x,
)
from theory.gronwall import Gronwall
from theory.justifications import Inequality, combine, lib
from theory.justifications_flow import AlmostEverywhere, AlongFlow
from theory.symbols import Norm, Rate, eq, le, lt


def norm_bound(loss: Loss) -> Derivation:
    """A1: U <= C_w ε W_max²/√h and F <= C_f ε √h X_max W_max² for t <= T."""
    total, size_w = sympy.Sum, norms.size_w
    rates = (
        Link("growth", "actual rate", "rate", 2 * v * total(g * relu, POINTS) / u),
        Link("signs", "drop signs", "rate", 2 * total(Abs(g) * relu, POINTS) / size_w),
        Link("angles", "Cauchy-Schwarz", "rate", 2 * total(active * Abs(g) * Norm(x), POINTS)),
        Link("lengths", "|x_i| to X_max", "rate", 2 * X_max * total(active * Abs(g), POINTS)),
        Link("all points", "all points active", "rate", 2 * n * X_max * G),
        Link("slope near zero", "slope of the loss", "rate", 2 * n * X_max * (1 + loss.kappa * F)),
        Link(
            "outputs by norms",
            "outputs by norms",
            "rate",
            2 * n * X_max * (1 + loss.kappa * h * X_max * U),
        ),
    )
    closed = norms.closed_form(loss)
    ends = (
        Link("closed form", "Grönwall-Bernoulli", "value", closed),
        Link("norms", "stated bound", "value", norms.norm_target),
    )
    outputs = (
        Link("largest output", "actual outputs", "value", F),
        Link("outputs", "outputs by norms", "value", h * X_max * U),
        Link("outputs by the closed form", "norms by the closed form", "value", h * X_max * closed),
        Link("output bound", "stated bound", "value", norms.output_target),
    )
    return Derivation(
        name=f"norm bound ({loss.name})",
        setting=two_layer_relu(loss),
        hypotheses=norms.hypotheses(loss),
        constants=norms.CONSTANTS,
        steps=(
            *norms.closed_form_steps(loss),
            *norms.norm_end_steps(loss),
            *norms.output_end_steps(loss),
        ),
        concludes={"norms": "norms", "outputs": "output bound"},
        spines=(Spine("norms", u, rates + ends), Spine("outputs", F, outputs)),
    )


def direction_bound(loss: Loss) -> Derivation:
    """A2: |d/dt (w_j/|w_j|) - sign(v_j) P x_a| <= C_1 n X_max F <= ... <= C_2 ε n √h X_max² W_max²."""
    d, total = directions, sympy.Sum
    kappa = d.kappa_end(loss)
    common = (
        Link("error", "actual deviation", "value", Norm(d.projected(d.error))),
        Link("error: projection", "drop the projection", "value", Norm(d.error)),
        Link(
            "error: triangle",
            "triangle inequality",
            "value",
            total(active * d.gap * Norm(x), POINTS),
        ),
        Link("error: lengths", "|x_i| to X_max", "value", X_max * total(active * d.gap, POINTS)),
        Link("error: all points", "all points active", "value", n * X_max * d.E),
    )
    outputs = Link("error: outputs", "slope of the loss", "value", n * X_max * kappa * F)
    stated = Link("by outputs", "stated bound", "value", C_1 * n * X_max * F)
    end = (
        outputs,
        Link(
            "error: norms",
            "outputs by the closed form",
            "value",
            n * X_max * kappa * h * X_max * norms.closed_form(loss),
        ),
        Link("end to end", "stated bound", "value", C_2 * n * X_max * norms.scale),
    )
    return Derivation(
        name=f"direction bound ({loss.name})",
        setting=two_layer_relu(loss),
        hypotheses={**norms.hypotheses(loss), "non-zero start": d.NONZERO_START},
        constants=d.CONSTANTS,
        steps=tuple(d.direction_bound_steps(loss)),
        concludes={"by outputs": "by outputs", "end to end": "end to end"},
        spines=(
            Spine("by outputs", d.deviation, (*common, outputs, stated)),
            Spine("end to end", d.deviation, (*common, *end)),
        ),
    )


def phase_length(loss: Loss) -> Derivation:
    """A6: if d|w_j|²/dt <= C |w_j|², then |w_j|² needs at least c_6 log(1/ε)/C to grow by the factor 1/ε.

    From w0_sq = ε² that is the way from ε² to ε.
    """
    flow = 2 * v * sympy.Sum(g * relu, POINTS)
    hypotheses = {
        "growth rate": le(Rate(u), C * u),
        "start": le(Norm(w_start) ** 2, w0_sq),
        "end of the phase": le(w0_sq / eps, u),
        "ε < 1": lt(eps, 1),
    }
    steps = (
        Step("growth off kinks", eq(Rate(u), flow), AlongFlow(), "gradient flow"),
        Step("growth", eq(Rate(u), flow), AlmostEverywhere("growth off kinks")),
        *(norms.assumption(name, relation, "") for name, relation in hypotheses.items()),
        Step(
            "exponential", le(u, w0_sq * exp(C * t)), Gronwall("growth rate", "start"), "Grönwall"
        ),
        Step(
            "at the end",
            le(1 / eps, exp(C * t)),
            combine((1 / w0_sq, "end of the phase"), (1 / w0_sq, "exponential")),
            "|w_j|² has grown by the factor 1/ε at the time t",
        ),
        Step(
            "logarithm",
            le(log(1 / eps), C * t),
            Inequality(lib("log_mono", "at the end", a=1 / eps, b=exp(C * t))),
        ),
        Step("1/ε > 1", le(1, 1 / eps), combine((1 / eps, "ε < 1"))),
        Step(
            "log(1/ε) > 0",
            le(0, log(1 / eps)),
            Inequality(lib("log_mono", "1/ε > 1", a=sympy.Integer(1), b=1 / eps)),
        ),
        Step(
            "length",
            le(c_6 * log(1 / eps) / C, t),
            combine(
                (1 / C, "logarithm"),
                remainder=(1 - c_6) / C * log(1 / eps),
                facts=("log(1/ε) > 0",),
            ),
            "the claim",
        ),
    )
    links = (
        Link("growth", "actual rate", "rate", flow / u),
        Link("growth rate", "largest rate C", "rate", C),
        Link("exponential", "Grönwall", "value", w0_sq * exp(C * t)),
    )
    return Derivation(
        name=f"phase length ({loss.name})",
        setting=two_layer_relu(loss),
        hypotheses=hypotheses,
        constants=(Constant("c_6", Fraction(1), "larger"),),
        steps=steps,
        concludes={"length": "length"},
        spines=(Spine("length", u, links),),
    )


@cache
def norm_bound_exponential() -> Derivation:
    """A1 for the exponential loss."""
    return norm_bound(EXPONENTIAL)


@cache
def norm_bound_logistic2() -> Derivation:
    """A1 for the loss 2 log(1 + e^-z)."""
    return norm_bound(LOGISTIC2)


@cache
def direction_bound_exponential() -> Derivation:
    """A2 for the exponential loss."""
    return direction_bound(EXPONENTIAL)


@cache
def direction_bound_logistic2() -> Derivation:
    """A2 for the loss 2 log(1 + e^-z)."""
    return direction_bound(LOGISTIC2)


@cache
def phase_length_exponential() -> Derivation:
    """A6 for the exponential loss."""
    return phase_length(EXPONENTIAL)


@cache
def phase_length_logistic2() -> Derivation:
    """A6 for the loss 2 log(1 + e^-z)."""
    return phase_length(LOGISTIC2)
