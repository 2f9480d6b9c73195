"""The derivations of the optimal values of unconstrained features with squares, and of the explicit dual.

From below: every network pays at least the value of a dual, from above: the collapsed network pays no more. The steps
hold for features of any sign and the collapsed features are >= 0, so one derivation serves both models.
"""

from __future__ import annotations

from functools import cache

from sympy import Rational, Sum, sqrt

from theory.collapse_derivation_setting import (
    CLASSES,
    COLLAPSED_DECAY,
    DATA,
    DECAY,
    OF_CLASS,
    POINTS,
    SUM_OF_CLASS,
    WORDS,
    Antisymmetry,
    J,
    L,
    N,
    Y,
    all_features_steps,
    assumed,
    collapsed_classifier_steps,
    collapsed_feature_steps,
    h_c,
    i,
    j,
    lambda_H,
    lambda_W,
    n,
    spread_steps,
    unconstrained_features,
    w,
    w_c,
    z,
    z_c,
)
from theory.derivation import Derivation, Step
from theory.justifications import Inequality, SumBound, combine, lib
from theory.symbols import Atom, Inner, Norm, eq, le

HALF = Rational(1, 2)
m = Atom("m", j)
a, b, s = Atom("a", j), Atom("b", j), Atom("s", j)
gamma = m / sqrt(n)
VALUE = Sum(m * sqrt(n) - N * m**2 / 2, CLASSES)
PRICE = n * (a * b - 1) ** 2 / (2 * N) + lambda_W / 2 * a**2 + lambda_H / 2 * n * b**2


@cache
def mse_value() -> Derivation:
    """J = Σ_j (m_j √n_j - N m_j²/2) with m_j the smaller of L and √n_j/N."""
    hypotheses = DATA | {
        "m >= 0": le(0, m),
        "m <= L": le(m, L),
        "m <= √n/N": le(N * m, sqrt(n)),
        "m is one of the two": eq((L - m) * (sqrt(n) - N * m), 0),
        "optimum": eq(J, Sum(Sum((z - Y()) ** 2, CLASSES), POINTS) / (2 * N) + DECAY),
        "shrinkage": eq(s, 1 - N * gamma),
        "a >= 0": le(0, a),
        "b >= 0": le(0, b),
        "size of a": eq(lambda_W * a**2, L * sqrt(n) * s),
        "size of b": eq(lambda_H * n * b**2, L * sqrt(n) * s),
        "collapsed classifier": eq(Norm(w_c) ** 2, a**2),
        "collapsed feature": eq(Norm(h_c) ** 2, Sum(Y() * b**2, CLASSES)),
        "collapsed logit": eq(z_c, a * b * Y()),
        "collapsed network": le(
            J, Sum(Sum((z_c - Y()) ** 2, CLASSES), POINTS) / (2 * N) + COLLAPSED_DECAY
        ),
    }
    words = WORDS | {
        "m >= 0": "definition of m_j as the smaller of L and √n_j/N",
        "m <= L": "definition of m_j",
        "m <= √n/N": "definition of m_j",
        "m is one of the two": "definition of m_j",
        "optimum": "the network attains J",
        "shrinkage": "definition of s_j",
        "a >= 0": "definition of a_j = √(L √n_j s_j/λ_W)",
        "b >= 0": "definition of b_j = √(L √n_j s_j/(λ_H n_j))",
        "size of a": "definition of a_j",
        "size of b": "definition of b_j",
        "collapsed classifier": "the collapsed network: w_j = a_j e_j in an orthonormal frame, which needs d >= K",
        "collapsed feature": "and h_i = b_j e_j for the points of class j; frames are >= 0 where e_j are unit vectors",
        "collapsed logit": "inner products of the same vectors",
        "collapsed network": "J is a minimum",
    }
    steps = (
        *assumed(hypotheses, words),
        *_loss_steps(),
        *spread_steps(),
        *all_features_steps(),
        *_coupling_steps(),
        Step(
            "from below",
            le(VALUE, J),
            combine((1, "loss"), (1, "coupling"), (-1, "optimum"), (lambda_H / 2, "all features")),
            "the gain <w_j, sum of class j> is paid by the decay",
        ),
        *_collapsed_steps(),
        Step("value", eq(J, VALUE), Antisymmetry("from above", "from below"), "both together"),
    )
    return Derivation(
        name="optimal value of unconstrained features with squares",
        setting=unconstrained_features(),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"value": "value"},
    )


def _loss_steps() -> list[Step]:
    below = (gamma - N * gamma**2 / 2) * Y() - gamma * Y() * z
    slope = N * gamma - N**2 * gamma**2 / 2
    return [
        Step(
            "one logit",
            le(below, (z - Y()) ** 2 / (2 * N)),
            combine(
                (-slope / N, "one-hot"),
                remainder=(z - Y() + N * gamma * Y()) ** 2 / (2 * N),
            ),
            "(z - Y + N γ_j Y)² >= 0",
        ),
        Step(
            "one class",
            le(Sum(below, POINTS), Sum((z - Y()) ** 2 / (2 * N), POINTS)),
            SumBound("one logit", i),
            "summed over the points",
        ),
        Step(
            "one class, counted",
            le(
                (gamma - N * gamma**2 / 2) * n - gamma * Inner(w, SUM_OF_CLASS),
                Sum((z - Y()) ** 2 / (2 * N), POINTS),
            ),
            combine((1, "one class"), (-(gamma - N * gamma**2 / 2), "class sizes")),
            "n_j points are of class j",
        ),
        Step(
            "loss",
            le(
                Sum((gamma - N * gamma**2 / 2) * n - gamma * Inner(w, SUM_OF_CLASS), CLASSES),
                Sum(Sum((z - Y()) ** 2 / (2 * N), POINTS), CLASSES),
            ),
            SumBound("one class, counted", j),
            "summed over the classes",
        ),
    ]


def _coupling_steps() -> list[Step]:
    paid = lambda_W / 2 * Norm(w) ** 2
    return [
        Step(
            "pairing",
            le(
                gamma * Inner(w, SUM_OF_CLASS),
                paid + gamma**2 / (2 * lambda_W) * Norm(SUM_OF_CLASS) ** 2,
            ),
            combine(remainder=Norm(lambda_W * w - gamma * SUM_OF_CLASS) ** 2 / (2 * lambda_W)),
            "‖λ_W w_j - γ_j Σ h_i‖² >= 0",
        ),
        Step(
            "m² <= L²",
            le(m**2, lambda_W * lambda_H),
            combine((m + L, "m <= L"), (1, "L"), facts=("m >= 0",)),
            "0 <= m_j <= L",
        ),
        Step(
            "one class pays",
            le(gamma * Inner(w, SUM_OF_CLASS), paid + lambda_H / 2 * OF_CLASS),
            combine(
                (1, "pairing"),
                (m**2 / (2 * lambda_W), "spread"),
                (OF_CLASS / (2 * lambda_W), "m² <= L²"),
            ),
            "γ_j² n_j = m_j²",
        ),
        Step(
            "coupling",
            le(
                Sum(gamma * Inner(w, SUM_OF_CLASS), CLASSES),
                Sum(paid + lambda_H / 2 * OF_CLASS, CLASSES),
            ),
            SumBound("one class pays", j),
            "summed over the classes",
        ),
    ]


def _collapsed_steps() -> list[Step]:
    return [
        *_size_steps(),
        *_network_steps(),
        Step(
            "one collapsed class",
            eq(PRICE, m * sqrt(n) - N * m**2 / 2),
            combine(
                (HALF, "size of a"),
                (HALF, "size of b"),
                (n / (2 * N) * (a * b + s - 2), "logit"),
                (L * sqrt(n) - n / (2 * N) * (1 + N * gamma - s), "shrinkage"),
                (1, "m is one of the two"),
            ),
            "N m_j²/2 + L √n_j s_j, and (L - m_j)(√n_j - N m_j) = 0",
        ),
        Step(
            "collapsed classes",
            eq(Sum(PRICE, CLASSES), VALUE),
            SumBound("one collapsed class", j),
            "summed over the classes",
        ),
        Step(
            "from above",
            le(J, VALUE),
            combine(
                (1, "collapsed network"),
                (1 / (2 * N), "collapsed loss"),
                (lambda_W / 2, "collapsed classifiers"),
                (lambda_H / 2, "collapsed features"),
                (1, "collapsed classes"),
            ),
            "J is at most what the collapsed network pays",
        ),
    ]


def _size_steps() -> list[Step]:
    """a_j b_j = s_j."""
    half = L * sqrt(n) * s
    return [
        Step(
            "s >= 0",
            le(0, s),
            combine((-1, "shrinkage"), (1 / sqrt(n), "m <= √n/N"), facts=("no empty class",)),
            "m_j <= √n_j/N",
        ),
        Step(
            "ab >= 0",
            le(0, a * b),
            combine(remainder=a * b, facts=("a >= 0", "b >= 0")),
            "both factors are",
        ),
        Step(
            "squares of ab",
            eq((a * b) ** 2, s**2),
            combine(
                (b**2 / lambda_W, "size of a"),
                (half / (lambda_W * lambda_H * n), "size of b"),
                (s**2 / (lambda_W * lambda_H), "L"),
            ),
            "L² = λ_W λ_H",
        ),
        Step(
            "logit",
            eq(a * b, s),
            Inequality(lib("equal_squares", "ab >= 0", "s >= 0", "squares of ab", a=a * b, b=s)),
            "both are >= 0",
        ),
    ]


def _network_steps() -> list[Step]:
    """Loss and squared norms of the collapsed network, class by class."""
    residual = (a * b - 1) ** 2
    return [
        Step(
            "collapsed residual",
            eq((z_c - Y()) ** 2, residual * Y()),
            combine((z_c + a * b * Y() - 2 * Y(), "collapsed logit"), (residual, "one-hot")),
            "0 but for the own class",
        ),
        Step(
            "collapsed residuals of a class",
            eq(Sum((z_c - Y()) ** 2, POINTS), Sum(residual * Y(), POINTS)),
            SumBound("collapsed residual", i),
            "summed over the points",
        ),
        Step(
            "collapsed residuals, counted",
            eq(Sum((z_c - Y()) ** 2, POINTS), n * residual),
            combine((1, "collapsed residuals of a class"), (residual, "class sizes")),
            "n_j points are of class j",
        ),
        Step(
            "collapsed loss",
            eq(Sum(Sum((z_c - Y()) ** 2, POINTS), CLASSES), Sum(n * residual, CLASSES)),
            SumBound("collapsed residuals, counted", j),
            "summed over the classes",
        ),
        *collapsed_classifier_steps(a**2),
        *collapsed_feature_steps(b**2),
    ]
