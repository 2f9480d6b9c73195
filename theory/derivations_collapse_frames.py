"""The derivation of the optimal value of features >= 0 with cross-entropy, any imbalance, and of its dual.

As for free features (`theory.derivations_collapse_ce`), but with a probability τ_j of a wrong class for every class,
and the sums g_j of the features of a class, whose inner products are >= 0. That is what makes orthogonal frames optimal
in place of simplices.
"""

from __future__ import annotations

from functools import cache

import sympy
from sympy import Expr, Sum, exp, log

from theory.checking import Cite
from theory.collapse_derivation_setting import (
    ALL_CLASSES,
    CLASSES,
    POINTS,
    Antisymmetry,
    J,
    K,
    N,
    Y,
    all_features_steps,
    assumed,
    i,
    j,
    n,
    r,
    spread_steps,
    unconstrained_features,
    w,
    z,
)
from theory.collapse_frames_setting import (
    ENTROPY,
    FRAME_WORDS,
    HYPOTHESES,
    OWN,
    PULL,
    TOP,
    VALUE,
    T,
    bias,
    c,
    of,
    q,
    tau,
    x,
)
from theory.derivation import Derivation, Step
from theory.derivations_collapse_frames_above import collapsed_steps
from theory.derivations_collapse_frames_decay import angle_steps, coupling_steps
from theory.justifications import Cases, Identity, SumBound, combine, lib
from theory.symbols import Inner, eq, le, lt


@cache
def upfm_value() -> Derivation:
    """J = Σ_j (n_j/N) Ent(1-(K-1)τ_j, τ_j, …) with τ_j the smaller of NL/√(K(K-1)n_j) and 1/K."""
    value = Sum(n / N * (-TOP * log(TOP) - (K - 1) * tau * log(tau)), CLASSES)
    late = tuple(HYPOTHESES).index("log-sum-exp")  # logarithms need positive arguments first
    known = assumed(HYPOTHESES, FRAME_WORDS)
    steps = (
        *known[:late],
        *_sign_steps(),
        *known[late:],
        *_gibbs_steps(),
        *_loss_steps(),
        *spread_steps(),
        *all_features_steps(),
        *angle_steps(),
        *coupling_steps(),
        Step(
            "from below",
            le(VALUE, J),
            combine((1, "loss"), (1, "coupling"), (-1, "optimum")),
            "the linear part is paid by the decay",
        ),
        *collapsed_steps(),
        Step("entropy", eq(J, VALUE), Antisymmetry("from above", "from below"), "both together"),
        Step(
            "value",
            eq(J, value),
            Identity(of="entropy", using=("right class",)),
            "with q_j written out",
        ),
    )
    return Derivation(
        name="optimal value of features >= 0 with cross-entropy",
        setting=unconstrained_features(),
        hypotheses=HYPOTHESES,
        constants=(),
        steps=steps,
        concludes={"value": "value"},
    )


def _sign_steps() -> list[Step]:
    to_r = ((j, r),)
    tau_r, q_r = of(tau), of(q)
    return [
        Step(
            "q > 0",
            lt(0, q),
            combine((1, "tau <= 1/K"), (1, "tau > 0"), (-1, "right class")),
            "1 - (K-1)τ >= τ",
        ),
        Step("TOP > 0", lt(0, TOP), combine((1, "q > 0"), (1, "right class")), "the same number"),
        Step("q_r > 0", lt(0, q_r), Identity(of=Cite("q > 0", to_r)), "for class r"),
        Step("tau_r > 0", lt(0, tau_r), Identity(of=Cite("tau > 0", to_r)), "for class r"),
    ]


def _gibbs_steps() -> list[Step]:
    def term(p: Expr) -> Expr:
        return p * (1 + x - log(p))

    tau_r, q_r = of(tau), of(q)
    split = (1 - Y()) * term(tau_r) + Y() * term(q_r)
    weight = (q_r - tau_r) * (1 - c) - q_r * log(q_r) + tau_r * log(tau_r)  # of Σ_j Y_ji
    to_r = ((j, r),)
    return [
        Step(
            "wrong class",
            le(term(tau_r), exp(x)),
            combine((tau_r, lib("one_plus_le_exp", z=x - log(tau_r))), facts=("tau_r > 0",)),
            "1 + u <= e^u at u = x - log τ",
        ),
        Step(
            "own class",
            le(term(q_r), exp(x)),
            combine((q_r, lib("one_plus_le_exp", z=x - log(q_r))), facts=("q_r > 0",)),
            "the same with q",
        ),
        Step(
            "either class",
            le(split, exp(x)),
            Cases(Y(), ((0, "wrong class"), (1, "own class"))),
            "Y_ji is 0 or 1",
        ),
        Step(
            "all classes",
            le(Sum(split, CLASSES), Sum(exp(x), CLASSES)),
            SumBound("either class", j),
            "summed over the classes",
        ),
        Step(
            "one point",
            le(of(ENTROPY) + tau_r * Sum((1 - K * Y()) * (z + bias), CLASSES), OWN),
            combine(
                (1, "all classes"),
                (1, "log-sum-exp"),
                (-weight, "one class per point"),
                (c - 1 - Sum(Y() * (z + bias), CLASSES), Cite("right class", to_r)),
            ),
            "Gibbs, with the probabilities of any class r",
        ),
    ]


def _loss_steps() -> list[Step]:
    linear = Sum((1 - K * Y()) * (z + bias), CLASSES)
    picked = Y(r, i) * (of(ENTROPY) + of(tau) * linear)
    to_r = ((j, r),)
    return [
        Step(
            "class of the point",
            le(picked, Y(r, i) * OWN),
            combine(
                (Y(r, i) ** 2, "one point"),
                (
                    OWN - of(ENTROPY) - of(tau) * linear,
                    Cite("one-hot", to_r),
                ),
            ),
            "times Y_ri",
        ),
        Step(
            "own class of a point",
            le(Sum(picked, ALL_CLASSES), Sum(Y(r, i) * OWN, ALL_CLASSES)),
            SumBound("class of the point", r),
            "summed over r",
        ),
        Step(
            "point",
            le(Sum(picked, ALL_CLASSES), OWN),
            combine((1, "own class of a point"), (OWN, "one class per point")),
            "a point is of one class",
        ),
        Step(
            "all points",
            le(Sum(Sum(picked, ALL_CLASSES), POINTS), Sum(OWN, POINTS)),
            SumBound("point", i),
            "summed over the points",
        ),
        Step(
            "entropy of a class",
            eq(ENTROPY * Sum(Y(), POINTS), n * ENTROPY),
            combine((ENTROPY, "class sizes")),
            "n_j points are of class j",
        ),
        Step(
            "entropies",
            eq(Sum(ENTROPY * Sum(Y(), POINTS), CLASSES), Sum(n * ENTROPY, CLASSES)),
            SumBound("entropy of a class", j),
            "summed over the classes",
        ),
        Step(
            "slope at a logit",
            eq(T * (1 - K * Y()) * (z + bias), (T - K * tau * Y()) * (z + bias)),
            combine((-K * (z + bias), "class of a point")),
            "a point has one class",
        ),
        Step(
            "slopes of a class",
            eq(
                Sum(T * (1 - K * Y()) * (z + bias), POINTS),
                Sum((T - K * tau * Y()) * (z + bias), POINTS),
            ),
            SumBound("slope at a logit", i),
            "summed over the points",
        ),
        Step(
            "slopes",
            eq(
                Sum(Sum(T * (1 - K * Y()) * (z + bias), POINTS), CLASSES),
                Sum(Sum((T - K * tau * Y()) * (z + bias), POINTS), CLASSES),
            ),
            SumBound("slopes of a class", j),
            "summed over the classes",
        ),
        *_bias_steps(),
        Step(
            "loss",
            le(VALUE - Sum(Inner(w, PULL), CLASSES) / N, Sum(OWN, POINTS) / N),
            combine(
                (1 / N, "all points"),
                (-1 / N, "entropies"),
                (-1 / N, "slopes"),
                (-1 / N, "all biases"),
            ),
            "the linear part, class by class",
        ),
    ]


def _bias_steps() -> list[Step]:
    pull = Sum((T - K * tau * Y()) * bias, POINTS)
    return [
        Step(
            "tau by class",
            eq(tau * Sum(Y(), POINTS), tau * n),
            combine((tau, "class sizes")),
            "n_j points are of class j",
        ),
        Step(
            "tau of all points",
            eq(Sum(tau * Sum(Y(), POINTS), CLASSES), Sum(tau * n, CLASSES)),
            SumBound("tau by class", j),
            "summed over the classes",
        ),
        Step(
            "pull on a bias",
            eq(pull, 0),
            combine((1, "biases"), (bias, "tau of all points"), (-bias * K * tau, "class sizes")),
            "a free bias gains nothing",
        ),
        Step(
            "all biases",
            eq(Sum(pull, CLASSES), Sum(sympy.S.Zero, CLASSES)),
            SumBound("pull on a bias", j),
            "summed over the classes",
        ),
    ]
