"""The derivations of the statements about margins; one function per statement.

Exclusive or. With a and b the first two coordinates of a unit vector u and r_i the product of the others with the i-th
sign vector of d - 2 entries, the uniform dual function is φ = (1/8N√D) Σ_i (|r_i+a+b| + |r_i-a-b| - |r_i+a-b| -
|r_i-a+b|): the N sign vectors come with their negatives, so that in Σ over i every point occurs once in a pair
σ(z) + σ(-z) = |z| of each of two terms, and 4N points have weight 1/4N each. With a bias only one point of each
antipodal pair is there; σ(z) = (|z| + z)/2, and the mean of label times point is zero, so that φ is the same.
"""

from __future__ import annotations

from functools import cache

import sympy
from sympy import Expr, Symbol

from theory.checking import Setting
from theory.derivation import Derivation, Step
from theory.justifications import (
    Assume,
    Cases,
    Identity,
    Inequality,
    SumBound,
    combine,
    lib,
)
from theory.margins_steps import AbsoluteValue, Sandwich
from theory.symbols import Atom, Inner, Norm, Rel, Relu, Vec, eq, index, le, size

TIME = Symbol("t", nonnegative=True)  # of the general setting; nothing moves here
ROOT_2 = sympy.sqrt(2)


def _assumed(hypotheses: dict[str, Rel], words: dict[str, str]) -> list[Step]:
    return [
        Step(name, relation, Assume(name), words[name]) for name, relation in hypotheses.items()
    ]


# -- exclusive or -----------------------------------------------------------------------------------------------------
i, N, D = index("i"), size("N"), size("D")
gamma_1 = Symbol("gamma_1", real=True)
a, b, s, s_1, s_2 = (Atom(name) for name in ("a", "b", "s", "s_1", "s_2"))
r = Atom("r", i)
PHI, F = Atom("phi"), Atom("F")
BOUND = 1 / sympy.sqrt(8 * D)
# the points with label 1, up to their sign, then those with label -1
PLUS, MINUS = (r + a + b, r - a - b), (r + a - b, r - a + b)
FOUR = sum((sympy.Abs(z) for z in PLUS), sympy.Integer(0)) - sum(
    (sympy.Abs(z) for z in MINUS), sympy.Integer(0)
)


def _pair(z: Expr) -> Expr:
    return Relu(z) + Relu(-z)


def _triangle(name: str, first: Expr, second: Expr, shift: Expr) -> Step:
    """|first| <= |second| + |shift|, where first = second + shift."""
    return Step(
        name,
        le(sympy.Abs(first), sympy.Abs(second) + sympy.Abs(shift)),
        Inequality(lib("triangle", a=second, b=first - second)),
    )


def _dual(name: str, above: tuple[Expr, Expr], below: tuple[Expr, Expr], sign: int) -> list[Step]:
    """sign φ <= 1/√(8D): each of two points is compared with both of the other label."""
    steps, used = [], []
    for k, (first, second, shift) in enumerate(
        [
            (above[0], below[0], 2 * b),
            (above[1], below[1], 2 * b),
            (above[0], below[1], 2 * a),
            (above[1], below[0], 2 * a),
        ],
        1,
    ):
        steps.append(_triangle(f"{name}, comparison {k}", first, second, shift))
        used.append(steps[-1].name)
    half = sympy.Rational(1, 2)
    steps += [
        Step(
            f"{name}, one vector",
            le(sign * FOUR, 2 * ROOT_2),
            combine(*((half, u) for u in used), (2, "two coordinates")),
            "the mean of the four comparisons, and |a| + |b| ≤ √2",
        ),
        Step(
            f"{name}, all vectors",
            le(sympy.Sum(sign * FOUR, (i, 1, N)), 2 * ROOT_2 * N),
            SumBound(f"{name}, one vector", i),
        ),
        Step(
            name,
            le(sign * PHI, BOUND),
            combine(
                (1 / (8 * N * sympy.sqrt(D)), f"{name}, all vectors"),
                (sign, "dual function"),
            ),
            "uniform weights on the points",
        ),
    ]
    return steps


@cache
def xor_f1() -> Derivation:
    """Four ReLUs from below, uniform weights from above."""
    network = (_pair(s_1 + s_2) - _pair(s_1 - s_2)) / (4 * ROOT_2 * sympy.sqrt(D))
    plain = (sympy.Abs(s_1 + s_2) - sympy.Abs(s_1 - s_2)) / (4 * ROOT_2 * sympy.sqrt(D))
    features = sum((_pair(z) for z in PLUS), sympy.Integer(0)) - sum(
        (_pair(z) for z in MINUS), sympy.Integer(0)
    )
    hypotheses = {
        "output": eq(F, network),
        "network": le(s_1 * s_2 * F, gamma_1),
        "features": eq(PHI, sympy.Sum(features, (i, 1, N)) / (8 * N * sympy.sqrt(D))),
        "unit vector": le(a**2 + b**2, 1),
        "weights": le(gamma_1, s * PHI),
    }
    words = {
        "output": "f at a point: inner weights (±1, ±1, 0, …)/√2, outer weights ±1/4, so that the variation is 1",
        "network": "gamma_1 is at least the margin of any network; s_1, s_2 are the signs at the worst point",
        "features": "φ: the mean over all points of label times feature of a neuron u",
        "unit vector": "a and b are two coordinates of the unit vector u",
        "weights": "gamma_1 is at most the maximum of |φ|; u is a maximiser, s the sign there",
    }
    pairs = [
        Step(f"pair {k}", eq(_pair(z), sympy.Abs(z)), AbsoluteValue(z))
        for k, z in enumerate((*PLUS, *MINUS), 1)
    ]
    outer = [
        Step(f"output pair {k}", eq(_pair(z), sympy.Abs(z)), AbsoluteValue(z))
        for k, z in enumerate((s_1 + s_2, s_1 - s_2), 1)
    ]
    scale = 1 / (4 * ROOT_2 * sympy.sqrt(D))
    goal = eq(s_1 * s_2 * plain, BOUND)
    branches = [
        Step(
            f"signs {p:+d}, {q:+d}",
            goal.at({s_1: sympy.Integer(p), s_2: sympy.Integer(q)}),
            Identity(),
        )
        for p in (1, -1)
        for q in (1, -1)
    ]
    steps = (
        *_assumed(hypotheses, words),
        *outer,
        Step(
            "output in absolute values",
            eq(F, plain),
            combine((1, "output"), (scale, "output pair 1"), (-scale, "output pair 2")),
        ),
        *branches,
        *(
            Step(
                f"sign {p:+d}",
                goal.at({s_1: sympy.Integer(p)}),
                Cases(s_2, tuple((q, f"signs {p:+d}, {q:+d}") for q in (1, -1))),
            )
            for p in (1, -1)
        ),
        Step(
            "every point",
            goal,
            Cases(s_1, tuple((p, f"sign {p:+d}") for p in (1, -1))),
            "the network has the same margin at every point",
        ),
        Step(
            "at least",
            le(BOUND, gamma_1),
            combine((1, "network"), (-s_1 * s_2, "output in absolute values"), (-1, "every point")),
            "four ReLUs attain it",
        ),
        *pairs,
        Step(
            "one vector in absolute values",
            eq(features, FOUR),
            combine((1, "pair 1"), (1, "pair 2"), (-1, "pair 3"), (-1, "pair 4")),
        ),
        Step(
            "all vectors in absolute values",
            eq(sympy.Sum(features, (i, 1, N)), sympy.Sum(FOUR, (i, 1, N))),
            SumBound("one vector in absolute values", i),
        ),
        Step(
            "dual function",
            eq(PHI, sympy.Sum(FOUR, (i, 1, N)) / (8 * N * sympy.sqrt(D))),
            combine(
                (1, "features"), (1 / (8 * N * sympy.sqrt(D)), "all vectors in absolute values")
            ),
            "σ(z) + σ(-z) = |z|",
        ),
        Step(
            "mean of squares",
            le(2 * sympy.Abs(a) * sympy.Abs(b), a**2 + b**2),
            Inequality(lib("am_gm", a=sympy.Abs(a), b=sympy.Abs(b))),
        ),
        Step(
            "square of the sum",
            le((sympy.Abs(a) + sympy.Abs(b)) ** 2, ROOT_2**2),
            combine((1, "mean of squares"), (2, "unit vector")),
            "(|a| + |b|)² ≤ 2 (a² + b²) ≤ 2",
        ),
        Step(
            "two coordinates",
            le(sympy.Abs(a) + sympy.Abs(b), ROOT_2),
            Inequality(
                lib("ordered_squares", "square of the sum", a=sympy.Abs(a) + sympy.Abs(b), b=ROOT_2)
            ),
            "the diagonal is the best direction",
        ),
        *_dual("positive sign", PLUS, MINUS, 1),
        *_dual("negative sign", MINUS, PLUS, -1),
        Step(
            "either sign",
            le(s * PHI, BOUND),
            Cases(s, ((1, "positive sign"), (-1, "negative sign"))),
        ),
        Step(
            "at most",
            le(gamma_1, BOUND),
            combine((1, "weights"), (1, "either sign")),
            "uniform weights bound it",
        ),
        Step("margin", eq(gamma_1, BOUND), Sandwich("at most", "at least")),
    )
    return Derivation(
        name="margin of the exclusive or",
        setting=Setting(
            name="exclusive or in dimension D",
            time=TIME,
            indices={i: N},
            domains={"s": (1, -1), "s_1": (1, -1), "s_2": (1, -1)},
        ),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"margin": "margin"},
    )


# -- perceptron -------------------------------------------------------------------------------------------------------
m, mistakes = index("m"), size("mistakes")
gamma_sq, R_sq = sympy.symbols("gamma_sq R_sq", positive=True)
gamma = sympy.sqrt(gamma_sq)
w, w_after, x, u, w_end = (
    Vec("w", m),
    Vec("w+", m),
    Vec("x", m),
    Vec("u"),
    Vec("w_end"),
)
y = Atom("y", m)


@cache
def perceptron_mistakes() -> Derivation:
    """M γ ≤ <w, u> ≤ ‖w‖ and ‖w‖² ≤ M R² after M ≥ 1 mistakes; without a mistake there is nothing to prove."""
    over = (m, 1, mistakes)
    hypotheses = {
        "update": eq(w_after, w + y * x),
        "label": eq(y**2, 1),
        "mistake": le(y * Inner(w, x), 0),
        "radius": le(Norm(x) ** 2, R_sq),
        "margin": le(gamma, y * Inner(u, x)),
        "unit vector": eq(Norm(u), 1),
        "sum of the updates": eq(w_end, sympy.Sum(y * x, over)),
        "telescoped": eq(Norm(w_end) ** 2, sympy.Sum(Norm(w_after) ** 2 - Norm(w) ** 2, over)),
    }
    words = {
        "update": "the weights after the m-th mistake",
        "label": "labels are 1 and -1",
        "mistake": "what the update is made at",
        "radius": "all points have norm at most R",
        "margin": "u separates with margin γ",
        "unit vector": "u is a unit vector",
        "sum of the updates": "the weights at the end, from w = 0",
        "telescoped": "w before the first mistake is 0, and before any other that after the one before",
    }
    steps = (
        *_assumed(hypotheses, words),
        Step(
            "one update",
            eq(Norm(w_after) ** 2 - Norm(w) ** 2, 2 * y * Inner(w, x) + y**2 * Norm(x) ** 2),
            Identity(using=("update",)),
        ),
        Step(
            "its growth",
            le(Norm(w_after) ** 2 - Norm(w) ** 2, R_sq),
            combine((1, "one update"), (Norm(x) ** 2, "label"), (2, "mistake"), (1, "radius")),
            "the cross term is not positive at a mistake",
        ),
        Step(
            "growth",
            le(sympy.Sum(Norm(w_after) ** 2 - Norm(w) ** 2, over), mistakes * R_sq),
            SumBound("its growth", m),
        ),
        Step(
            "square of the norm",
            le(Norm(w_end) ** 2, mistakes * R_sq),
            combine((1, "growth"), (1, "telescoped")),
        ),
        Step(
            "correlation",
            le(mistakes * gamma, sympy.Sum(y * Inner(u, x), over)),
            SumBound("margin", m),
        ),
        Step(
            "correlation at the end",
            eq(Inner(w_end, u), sympy.Sum(y * Inner(u, x), over)),
            Identity(using=("sum of the updates",)),
        ),
        Step(
            "norm",
            le(mistakes * gamma, Norm(w_end)),
            combine(
                (1, "correlation"),
                (-1, "correlation at the end"),
                (1, lib("cauchy_schwarz", a=w_end, b=u)),
                (Norm(w_end), "unit vector"),
            ),
            "Cauchy-Schwarz with the unit vector u",
        ),
        Step(
            "squares",
            le(mistakes**2 * gamma_sq, Norm(w_end) ** 2),
            combine((Norm(w_end) + mistakes * gamma, "norm")),
        ),
        Step(
            "mistakes",
            le(mistakes * gamma_sq, R_sq),
            combine((1 / mistakes, "squares"), (1 / mistakes, "square of the norm")),
            "divide by the number of mistakes",
        ),
    )
    return Derivation(
        name="mistakes of the perceptron",
        setting=Setting(
            name="perceptron", time=TIME, indices={m: mistakes}, domains={"y": (1, -1)}
        ),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"mistakes": "mistakes"},
    )


# -- one step ---------------------------------------------------------------------------------------------------------
v, v_next, v_bar, g = Vec("w"), Vec("w_next"), Vec("w_bar"), Vec("g")
eta = Symbol("eta", positive=True)


@cache
def telescoping() -> Derivation:
    """Expand the square of w - ηg - w̄."""
    hypotheses = {"step": eq(v_next, v - eta * g)}
    steps = (
        *_assumed(hypotheses, {"step": "w⁺ = w - η g"}),
        Step(
            "distance",
            eq(
                Norm(v_next - v_bar) ** 2,
                Norm(v - v_bar) ** 2 - 2 * eta * Inner(g, v - v_bar) + eta**2 * Norm(g) ** 2,
            ),
            Identity(using=("step",)),
            "the square expanded",
        ),
    )
    return Derivation(
        name="one step telescopes",
        setting=Setting(name="one step", time=TIME, indices={}),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"distance": "distance"},
    )
