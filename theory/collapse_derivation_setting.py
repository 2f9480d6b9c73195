"""Classes, points and networks of unconstrained features, as the derivations of collapse use them.

Classes j and r = 1…K, points i and k = 1…N with one-hot targets Y_ji, classifier w_j, features h_i; all sizes are
symbols. The network (w, h) attains the optimum J (with an infimum that is not attained, take a sequence of networks:
every relation holds for each of them). Nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import sympy
from sympy import Expr, Sum, Symbol

from theory.checking import Context, Setting
from theory.derivation import Step
from theory.justifications import Assume, SumBound, combine
from theory.symbols import Atom, Inner, Norm, Rel, Vec, eq, index, le, lt, size

j, r, i, k = index("j"), index("r"), index("i"), index("k")
K, N = size("K"), size("N")
CLASSES, ALL_CLASSES = (j, 1, K), (r, 1, K)
POINTS, ALL_POINTS = (i, 1, N), (k, 1, N)

w, h = Vec("w", j), Vec("h", i)
z = Inner(w, h)
w_c, h_c = Vec("w_c", j), Vec("h_c", i)  # the collapsed network
z_c, c_c = Inner(w_c, h_c), Atom("c_c", i)
lambda_W, lambda_H, L = sympy.symbols("lambda_W lambda_H L", positive=True)
J = Symbol("J", real=True)
n = Atom("n", j)


def Y(of: Expr = j, at: Expr = i) -> Atom:
    """1 where a point is of a class, else 0."""
    return Atom("Y", of, at)


def in_class(of: Expr = j) -> Expr:
    """The sum of the features of a class."""
    return Sum(Y(of, k) * Vec("h", k), ALL_POINTS)


SUM_OF_CLASS = in_class()
OF_CLASS = Sum(Y() ** 2 * Norm(h) ** 2, POINTS)  # Σ ‖h_i‖² over a class
DECAY = lambda_W / 2 * Sum(Norm(w) ** 2, CLASSES) + lambda_H / 2 * Sum(Norm(h) ** 2, POINTS)
COLLAPSED_DECAY = lambda_W / 2 * Sum(Norm(w_c) ** 2, CLASSES) + lambda_H / 2 * Sum(
    Norm(h_c) ** 2, POINTS
)

DATA: dict[str, Rel] = {
    "one-hot": eq(Y() ** 2, Y()),
    "one class per point": eq(Sum(Y(), CLASSES), 1),
    "class sizes": eq(Sum(Y(), POINTS), n),
    "no empty class": lt(0, n),
    "L": eq(L**2, lambda_W * lambda_H),
}
WORDS = {
    "one-hot": "Y_ji is 0 or 1",
    "one class per point": "every point is of one class",
    "class sizes": "definition of n_j",
    "no empty class": "every class has a point",
    "L": "definition of L",
}


@cache
def unconstrained_features() -> Setting:
    """K classes, N points, any network."""
    return Setting(
        name="unconstrained features",
        time=Symbol("t", nonnegative=True),
        indices={j: K, r: K, i: N, k: N},
        domains={"Y": (0, 1)},
    )


@dataclass(frozen=True)
class Antisymmetry:
    """a = b from two earlier steps that say a <= b and b <= a."""

    below: str
    above: str
    kind: ClassVar[str] = "antisymmetry"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Both inequalities between exactly the two sides; an equation does for either."""
        if stated.op != "=":
            raise ctx.fail("two inequalities in opposite directions give an equation")
        for name, wanted in ((self.below, stated.gap), (self.above, -stated.gap)):
            cited = ctx.cite(name)
            if cited.op not in ("<=", "="):
                raise ctx.fail(f"{cited} is no inequality of the form <=")
            ctx.require_zero(cited.gap - wanted, f"{name!r} says {cited}")


def assumed(hypotheses: dict[str, Rel], words: dict[str, str]) -> list[Step]:
    """One step for every hypothesis."""
    return [
        Step(name, relation, Assume(name), words[name]) for name, relation in hypotheses.items()
    ]


def spread_steps(n: Expr = n) -> list[Step]:
    """‖Σ h_i‖²/n_j <= Σ ‖h_i‖², sums over a class: the features of a class are spread least where they agree.

    Sums over a class are written with Y², which is non-negative on its face. The argument is the size of a class.
    """
    mean = SUM_OF_CLASS / n
    cross = 2 * Inner(h, mean) - Norm(mean) ** 2
    return [
        Step(
            "spread of a point",
            le(Y() * cross, Y() ** 2 * Norm(h) ** 2),
            combine((-cross, "one-hot"), remainder=Y() ** 2 * Norm(h - mean) ** 2),
            "Y² ‖h - mean of the class‖² >= 0",
        ),
        Step(
            "spread of a class",
            le(Sum(Y() * cross, POINTS), Sum(Y() ** 2 * Norm(h) ** 2, POINTS)),
            SumBound("spread of a point", i),
            "summed over the points",
        ),
        Step(
            "spread",
            le(Norm(SUM_OF_CLASS) ** 2 / n, OF_CLASS),
            combine((1, "spread of a class"), (Norm(mean) ** 2, "class sizes")),
            "n_j of the points are of class j",
        ),
    ]


def all_features_steps() -> list[Step]:
    """Σ_j Σ_i Y_ji² ‖h_i‖² = Σ_i ‖h_i‖²."""
    return [
        Step(
            "squares",
            eq(Sum(Y() ** 2, CLASSES), Sum(Y(), CLASSES)),
            SumBound("one-hot", j),
            "summed over the classes",
        ),
        Step(
            "feature of a point",
            eq(Sum(Y() ** 2 * Norm(h) ** 2, CLASSES), Norm(h) ** 2),
            combine((Norm(h) ** 2, "one class per point"), (Norm(h) ** 2, "squares")),
            "every point counts once",
        ),
        Step(
            "all features",
            eq(Sum(Sum(Y() ** 2 * Norm(h) ** 2, CLASSES), POINTS), Sum(Norm(h) ** 2, POINTS)),
            SumBound("feature of a point", i),
            "summed over the points",
        ),
    ]


def collapsed_classifier_steps(of_class: Expr) -> list[Step]:
    """Σ ‖w_j‖² for the collapsed network, from "collapsed classifier", ‖w_j‖² = of_class."""
    return [
        Step(
            "collapsed classifiers",
            eq(Sum(Norm(w_c) ** 2, CLASSES), Sum(of_class, CLASSES)),
            SumBound("collapsed classifier", j),
            "summed over the classes",
        ),
    ]


def collapsed_feature_steps(of_feature: Expr) -> list[Step]:
    """Σ ‖h_i‖² = Σ_j n_j of_feature for the collapsed network, from "collapsed feature": it is Σ_j Y_ji of_feature."""
    return [
        Step(
            "collapsed features, point by point",
            eq(Sum(Norm(h_c) ** 2, POINTS), Sum(Sum(Y() * of_feature, CLASSES), POINTS)),
            SumBound("collapsed feature", i),
            "summed over the points",
        ),
        Step(
            "collapsed features of a class",
            eq(Sum(Y() * of_feature, POINTS), n * of_feature),
            combine((of_feature, "class sizes")),
            "n_j points are of class j",
        ),
        Step(
            "collapsed features, class by class",
            eq(Sum(Sum(Y() * of_feature, POINTS), CLASSES), Sum(n * of_feature, CLASSES)),
            SumBound("collapsed features of a class", j),
            "summed over the classes",
        ),
        Step(
            "collapsed features",
            eq(Sum(Norm(h_c) ** 2, POINTS), Sum(n * of_feature, CLASSES)),
            combine(
                (1, "collapsed features, point by point"),
                (1, "collapsed features, class by class"),
            ),
            "both orders of summation",
        ),
    ]
