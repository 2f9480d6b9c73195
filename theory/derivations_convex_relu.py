"""The derivations of the statements on convex ReLU training.

The network of the case enters through its outputs f_i and its Ω. Against it stands another network, with neurons u_k,
outer weights a_k and outputs g_i, that attains F' (with an infimum that is not attained, take a sequence of networks:
every relation holds for each of them). One function per statement of `theory.convex_relu`.
"""

from __future__ import annotations

from functools import cache

import sympy
from sympy import Abs, Rational, Sum, Symbol

from theory.checking import Setting
from theory.derivation import Derivation, Step
from theory.justifications import Assume, Identity, SumBound, combine, lib
from theory.symbols import Atom, Inner, Norm, Rel, Relu, Vec, eq, index, le, lt, size

i, k = index("i"), index("k")
n, h = size("n"), size("h")
POINTS, OTHERS = (i, 1, n), (k, 1, h)
HALF = Rational(1, 2)

nu, f, y, g = (Atom(name, i) for name in ("nu", "f", "y", "g"))
u, a = Vec("u", k), Atom("a", k)
active = Relu(Inner(u, Vec("x", i)))
beta, M, length = (Symbol(name, nonnegative=True) for name in ("beta", "M", "size"))
Omega, F, F_best, gain, other, s, tau = sympy.symbols(
    "Omega F F_best gain Omega_other s tau", real=True
)
overlap = Sum(nu * active, POINTS)  # what neuron k gains
cost = (Norm(u) ** 2 + a**2) / 2

WORDS = {
    "residual": "definition of ν",
    "objective": "definition of F",
    "gain": "definition of ⟨ν, f⟩",
    "price": "definition of M, which is homogeneous in u",
    "no neuron helps": "hypothesis of the statement",
    "other outputs": "another network",
    "other decay": "its Ω'",
    "other objective": "which attains F'",
}
HYPOTHESES: dict[str, Rel] = {
    "residual": eq(nu, y - f),
    "objective": eq(F, HALF * Sum(nu**2, POINTS) + beta * Omega),
    "gain": eq(gain, Sum(nu * f, POINTS)),
    "price": le(Abs(overlap), M * Norm(u)),
    "no neuron helps": le(M, beta),
    "other outputs": eq(g, Sum(a * active, OTHERS)),
    "other decay": eq(other, Sum(cost, OTHERS)),
    "other objective": eq(F_best, HALF * Sum((y - g) ** 2, POINTS) + beta * other),
}


@cache
def two_networks() -> Setting:
    """n points, and h neurons of the other network; nothing moves."""
    return Setting(
        name="two networks on the same points",
        time=Symbol("t", nonnegative=True),
        indices={i: n, k: h},
    )


def _assumed(hypotheses: dict[str, Rel], words: dict[str, str]) -> list[Step]:
    return [
        Step(name, relation, Assume(name), words[name]) for name, relation in hypotheses.items()
    ]


def _gain_of_others(factor: sympy.Expr, affordable: str) -> list[Step]:
    """``factor`` ⟨ν, g⟩ ≤ β Ω', from ``factor`` M ≤ β with ``factor`` ≥ 0."""
    return [
        Step(
            "one neuron",
            le(factor * a * overlap, beta * cost),
            combine(
                (factor, lib("le_abs", a=a * overlap)),
                (factor * Abs(a), "price"),
                (factor * M / 2, lib("am_gm", a=Abs(a), b=Norm(u))),
                (cost, affordable),
                facts=("factor",) if factor != 1 else (),
            ),
            "a_k ⟨ν, σ(X u_k)⟩ ≤ M |a_k| ‖u_k‖ ≤ M (‖u_k‖² + a_k²)/2",
        ),
        Step(
            "all neurons",
            le(Sum(factor * a * overlap, OTHERS), Sum(beta * cost, OTHERS)),
            SumBound("one neuron", k),
            "summed over the neurons of the other network",
        ),
        Step(
            "outputs",
            eq(Sum(nu * g, POINTS), Sum(a * overlap, OTHERS)),
            Identity(using=("other outputs",)),
            "⟨ν, g⟩ neuron by neuron",
        ),
    ]


@cache
def global_certificate() -> Derivation:
    """Convexity of the loss in the outputs; the gain of the other network costs at least as much."""
    steps = (
        *_assumed(HYPOTHESES, WORDS),
        Step(
            "convexity",
            le(HALF * nu**2 - nu * (g - f), HALF * (y - g) ** 2),
            combine(
                (((y - g) + (nu + f - g)) / 2, "residual"),
                remainder=HALF * (f - g) ** 2,
            ),
            "the difference is the square ½(f - g)²",
        ),
        Step(
            "loss",
            le(
                Sum(HALF * nu**2 - nu * (g - f), POINTS),
                Sum(HALF * (y - g) ** 2, POINTS),
            ),
            SumBound("convexity", i),
            "summed over the points",
        ),
        *_gain_of_others(sympy.S.One, "no neuron helps"),
        Step(
            "distance",
            le(F - F_best, beta * Omega - gain),
            combine(
                (1, "loss"),
                (1, "all neurons"),
                (1, "outputs"),
                (1, "objective"),
                (-1, "other objective"),
                (-beta, "other decay"),
                (1, "gain"),
            ),
            "⟨ν, f⟩ remains, ⟨ν, g⟩ ≤ βΩ' cancels",
        ),
    )
    return Derivation(
        name="global certificate of a two-layer ReLU network",
        setting=two_networks(),
        hypotheses=HYPOTHESES,
        constants=(),
        steps=steps,
        concludes={"distance": "distance"},
    )


@cache
def lower_bound() -> Derivation:
    """The dual at τν, for any factor with τM ≤ β."""
    factor = Symbol("tau", real=True)
    hypotheses = {name: HYPOTHESES[name] for name in ("price", "other outputs", "other decay")} | {
        "other objective": HYPOTHESES["other objective"],
        "factor": le(0, factor),
        "feasible": le(factor * M, beta),
    }
    words = WORDS | {
        "factor": "⟨ν, y⟩ ≥ 0 in the definition of τ",
        "feasible": "τ ≤ β/M in the definition of τ",
    }
    steps = (
        *_assumed(hypotheses, words),
        Step(
            "square",
            le(factor * nu * (y - g) - HALF * factor**2 * nu**2, HALF * (y - g) ** 2),
            combine(remainder=HALF * (y - g - factor * nu) ** 2),
            "½(y - g - τν)² ≥ 0",
        ),
        Step(
            "loss",
            le(
                Sum(factor * nu * (y - g) - HALF * factor**2 * nu**2, POINTS),
                Sum(HALF * (y - g) ** 2, POINTS),
            ),
            SumBound("square", i),
            "summed over the points",
        ),
        *_gain_of_others(factor, "feasible"),
        Step(
            "bound",
            le(
                factor * Sum(nu * y, POINTS) - factor**2 * Sum(nu**2, POINTS) / 2,
                F_best,
            ),
            combine(
                (1, "loss"),
                (1, "all neurons"),
                (factor, "outputs"),
                (-1, "other objective"),
                (-beta, "other decay"),
            ),
            "τ⟨ν, g⟩ ≤ βΩ' cancels",
        ),
    )
    return Derivation(
        name="dual bound at a multiple of the residual",
        setting=two_networks(),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"bound": "bound"},
    )


@cache
def euler_defect() -> Derivation:
    """The network with both layers times √s has the output s f and the decay s Ω; s = 1 - defect/‖f‖² is the best."""
    defect = beta * Omega - gain
    scaled = HALF * Sum((y - s * f) ** 2, POINTS) + s * beta * Omega
    hypotheses = {name: HYPOTHESES[name] for name in ("residual", "objective", "gain")} | {
        "an output": lt(0, length),
        "size": eq(length, Sum(f**2, POINTS)),
        "best scaling": eq(s, 1 - defect / length),
        "scaled network": le(F_best, scaled),
    }
    words = WORDS | {
        "an output": "hypothesis of the statement",
        "size": "definition of ‖f‖²",
        "best scaling": "s ≥ 0 by the statement's hypothesis, so that √s exists",
        "scaled network": "F' is the infimum over all networks, this one among them",
    }
    rest = 1 - s
    steps = (
        *_assumed(hypotheses, words),
        Step(
            "loss at one point",
            eq((y - s * f) ** 2, nu**2 + 2 * rest * nu * f + rest**2 * f**2),
            combine((-((y - s * f) + (nu + rest * f)), "residual")),
            "y - sf = ν + (1-s)f",
        ),
        Step(
            "loss",
            eq(
                Sum((y - s * f) ** 2, POINTS),
                Sum(nu**2 + 2 * rest * nu * f + rest**2 * f**2, POINTS),
            ),
            SumBound("loss at one point", i),
            "summed over the points",
        ),
        Step(
            "step length",
            eq(rest * length, defect),
            combine((-length, "best scaling")),
            "the definition of s, multiplied out",
        ),
        Step(
            "quadratic",
            le(rest * defect - HALF * rest**2 * length, F - F_best),
            combine(
                (1, "scaled network"),
                (HALF, "loss"),
                (-1, "objective"),
                (-rest, "gain"),
                (-HALF * rest**2, "size"),
            ),
            "what the scaling gains",
        ),
        Step(
            "distance",
            le(defect**2 / (2 * length), F - F_best),
            combine(
                (1, "quadratic"),
                ((rest - defect / length) / 2, "step length"),
            ),
            "at 1 - s = defect/‖f‖²",
        ),
    )
    return Derivation(
        name="distance that a violation of Euler's relation leaves",
        setting=two_networks(),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"distance": "distance"},
    )
