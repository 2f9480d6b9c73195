"""The derivation of the optimal value of free features with cross-entropy, balanced classes.

From below: Gibbs' inequality for the probabilities t of a wrong class and q of the right one, point by point; what is
linear in the logits is paid by the decay. From above: the collapsed network has these probabilities.
"""

from __future__ import annotations

from functools import cache

import sympy
from sympy import Expr, Sum, exp, log, sqrt

from theory.collapse_derivation_setting import (
    CLASSES,
    DECAY,
    OF_CLASS,
    POINTS,
    SUM_OF_CLASS,
    Antisymmetry,
    J,
    K,
    L,
    N,
    Y,
    all_features_steps,
    assumed,
    h,
    i,
    j,
    k,
    lambda_H,
    lambda_W,
    spread_steps,
    unconstrained_features,
    w,
    z,
)
from theory.collapse_simplex_setting import (
    ALL_FEATURES,
    ENTROPY,
    HYPOTHESES,
    PULL,
    SIMPLEX_WORDS,
    TOP,
    bias,
    c,
    n,
    q,
    t,
    x,
)
from theory.derivation import Derivation, Step
from theory.derivations_collapse_ce_above import collapsed_steps
from theory.justifications import Cases, Identity, SumBound, combine, lib
from theory.symbols import Inner, Norm, eq, le, lt


@cache
def ufm_value() -> Derivation:
    """J = -(1-(K-1)t) log(1-(K-1)t) - (K-1) t log t with t the smaller of L√n and 1/K."""
    value = -TOP * log(TOP) - (K - 1) * t * log(t)
    steps = (
        *assumed(HYPOTHESES, SIMPLEX_WORDS),
        *_gibbs_steps(),
        *_loss_steps(),
        *spread_steps(n),
        *all_features_steps(),
        *_coupling_steps(),
        Step(
            "from below",
            le(ENTROPY, J),
            combine((1, "loss"), (1, "coupling"), (-1, "optimum")),
            "the linear part is paid by the decay",
        ),
        *collapsed_steps(),
        Step("entropy", eq(J, ENTROPY), Antisymmetry("from above", "from below"), "both together"),
        Step(
            "value",
            eq(J, value),
            Identity(of="entropy", using=("right class",)),
            "with q written out",
        ),
    )
    return Derivation(
        name="optimal value of free features with cross-entropy",
        setting=unconstrained_features(),
        hypotheses=HYPOTHESES,
        constants=(),
        steps=steps,
        concludes={"value": "value"},
    )


def _gibbs_steps() -> list[Step]:
    def term(p: Expr) -> Expr:
        return p * (1 + x - log(p))

    split = (1 - Y()) * term(t) + Y() * term(q)
    weight = (q - t) * (1 - c) - q * log(q) + t * log(t)  # of Σ_j Y_ji
    return [
        Step("q > 0", lt(0, TOP), combine((1, "t <= 1/K"), remainder=t), "1 - (K-1)t >= t"),
        Step(
            "wrong class",
            le(term(t), exp(x)),
            combine((t, lib("one_plus_le_exp", z=x - log(t)))),
            "1 + u <= e^u at u = x - log t",
        ),
        Step(
            "own class",
            le(term(q), exp(x)),
            combine((q, lib("one_plus_le_exp", z=x - log(q)))),
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
            le(
                ENTROPY + t * Sum((1 - K * Y()) * (z + bias), CLASSES),
                c - Sum(Y() * (z + bias), CLASSES),
            ),
            combine(
                (1, "all classes"),
                (1, "log-sum-exp"),
                (-weight, "one class per point"),
                (c - 1 - Sum(Y() * (z + bias), CLASSES), "right class"),
            ),
            "Gibbs: the loss is at least the entropy and a linear function of the logits",
        ),
    ]


def _loss_steps() -> list[Step]:
    point = ENTROPY + t * Sum((1 - K * Y()) * (z + bias), CLASSES)
    own = c - Sum(Y() * (z + bias), CLASSES)
    return [
        Step(
            "all points",
            le(Sum(point, POINTS), Sum(own, POINTS)),
            SumBound("one point", i),
            "summed over the points",
        ),
        Step(
            "points by class",
            eq(Sum(Sum(Y(), POINTS), CLASSES), Sum(n, CLASSES)),
            SumBound("class sizes", j),
            "summed over the classes",
        ),
        Step(
            "points by point",
            eq(Sum(Sum(Y(), CLASSES), POINTS), Sum(sympy.S.One, POINTS)),
            SumBound("one class per point", i),
            "summed over the points",
        ),
        Step(
            "N = Kn",
            eq(N, K * n),
            combine((1, "points by class"), (-1, "points by point")),
            "counted both ways",
        ),
        Step(
            "biases",
            eq(Sum((1 - K * Y()) * bias, POINTS), 0),
            combine((-bias * K, "class sizes"), (bias, "N = Kn")),
            "a free bias gains nothing where classes are balanced",
        ),
        Step(
            "all biases",
            eq(Sum(Sum((1 - K * Y()) * bias, POINTS), CLASSES), Sum(sympy.S.Zero, CLASSES)),
            SumBound("biases", j),
            "summed over the classes",
        ),
        Step(
            "loss",
            le(
                ENTROPY - t / N * Sum(Inner(w, PULL), CLASSES),
                Sum(own, POINTS) / N,
            ),
            combine((1 / N, "all points"), (-t / N, "all biases")),
            "the linear part, class by class",
        ),
    ]


def _coupling_steps() -> list[Step]:
    cross = Inner(h, ALL_FEATURES.xreplace({i: k}))
    return [
        Step(
            "pairing",
            le(
                t / N * Inner(w, PULL),
                lambda_W / 2 * Norm(w) ** 2 + t**2 / (2 * N**2 * lambda_W) * Norm(PULL) ** 2,
            ),
            combine(remainder=Norm(lambda_W * w - t / N * PULL) ** 2 / (2 * lambda_W)),
            "‖λ_W w_j - (t/N) pull‖² >= 0",
        ),
        Step(
            "all pairings",
            le(
                Sum(t / N * Inner(w, PULL), CLASSES),
                Sum(
                    lambda_W / 2 * Norm(w) ** 2 + t**2 / (2 * N**2 * lambda_W) * Norm(PULL) ** 2,
                    CLASSES,
                ),
            ),
            SumBound("pairing", j),
            "summed over the classes",
        ),
        Step(
            "part of a point",
            eq(Sum(Y() * cross, CLASSES), cross),
            combine((cross, "one class per point")),
            "every point is of one class",
        ),
        Step(
            "sum of the parts",
            eq(Sum(Sum(Y() * cross, CLASSES), POINTS), Sum(cross, POINTS)),
            SumBound("part of a point", i),
            "the sums of the classes add up to the sum of all",
        ),
        Step(
            "pulls",
            le(Sum(Norm(PULL) ** 2, CLASSES), K**2 * Sum(Norm(SUM_OF_CLASS) ** 2, CLASSES)),
            combine((-2 * K, "sum of the parts"), remainder=K * Norm(ALL_FEATURES) ** 2),
            "the pulls add up to 0: K ‖Σ h‖² is lost",
        ),
        Step(
            "spreads",
            le(Sum(Norm(SUM_OF_CLASS) ** 2 / n, CLASSES), Sum(OF_CLASS, CLASSES)),
            SumBound("spread", j),
            "summed over the classes",
        ),
        Step(
            "t² <= n L²",
            le(t**2, n * lambda_W * lambda_H),
            combine((t + L * sqrt(n), "t <= L√n"), (n, "L")),
            "t <= L√n",
        ),
        Step(
            "price",
            le(t**2 * K**2 * n / N**2, lambda_W * lambda_H),
            combine((1 / n, "t² <= n L²"), (-(t**2) / n * (N + K * n) / N**2, "N = Kn")),
            "N = Kn",
        ),
        Step(
            "coupling",
            le(t / N * Sum(Inner(w, PULL), CLASSES), DECAY),
            combine(
                (1, "all pairings"),
                (t**2 / (2 * N**2 * lambda_W), "pulls"),
                (t**2 * K**2 * n / (2 * N**2 * lambda_W), "spreads"),
                (t**2 * K**2 * n / (2 * N**2 * lambda_W), "all features"),
                (Sum(Norm(h) ** 2, POINTS) / (2 * lambda_W), "price"),
            ),
            "Cauchy-Schwarz, class by class",
        ),
    ]
