"""What the collapsed network pays, in the derivation of free features with cross-entropy: the entropy."""

from __future__ import annotations

from sympy import Sum, exp, log, sqrt

from theory.collapse_derivation_loss import collapsed_loss_steps
from theory.collapse_derivation_setting import (
    POINTS,
    J,
    K,
    L,
    N,
    Y,
    collapsed_classifier_steps,
    h_c,
    i,
    lambda_H,
    lambda_W,
    z_c,
)
from theory.collapse_simplex_setting import (
    ENTROPY,
    LOGIT,
    a,
    b,
    n,
    q,
    t,
)
from theory.derivation import Step
from theory.justifications import Identity, Inequality, SumBound, combine, lib
from theory.symbols import Norm, eq, le


def collapsed_steps() -> list[Step]:
    """J <= ENTROPY."""
    return [
        *_size_steps(),
        *_probability_steps(),
        *collapsed_loss_steps(log(t), log(q), t, q),
        *collapsed_classifier_steps(a**2 * (K - 1) / K),
        Step(
            "collapsed features",
            eq(Sum(Norm(h_c) ** 2, POINTS), Sum(b**2 * (K - 1) / K, POINTS)),
            SumBound("collapsed feature", i),
            "summed over the points",
        ),
        Step(
            "slackness",
            le((L * sqrt(n) - t) * LOGIT, 0),
            combine(
                (L * sqrt(n) - t, lib("log_one_plus_le", z=q / t - 1)),
                (1 / t, "t is one of the two"),
                ((L * sqrt(n) - t) / t, "right class"),
                facts=("t <= L√n",),
            ),
            "log(q/t) <= q/t - 1 = (1 - Kt)/t",
        ),
        Step(
            "paid",
            le(J, -log(q) + (K - 1) * L * sqrt(n) * LOGIT),
            combine(
                (1, "collapsed network"),
                (1 / N, "collapsed points"),
                (lambda_W / 2, "collapsed classifiers"),
                (lambda_H / 2, "collapsed features"),
                (lambda_H / 2 * b**2 * (K - 1) / K, "N = Kn"),
                ((K - 1) / 2, "size of a"),
                ((K - 1) / 2, "size of b"),
            ),
            "both layers pay the same",
        ),
        Step(
            "from above",
            le(J, ENTROPY),
            combine(
                (1, "paid"),
                (K - 1, "slackness"),
                (log(q), "right class"),
                facts=("classes",),
            ),
            "L√n log(q/t) <= t log(q/t)",
        ),
    ]


def _size_steps() -> list[Step]:
    """ab = log(q/t), hence the logits."""
    half = L * sqrt(n) * LOGIT
    return [
        Step(
            "t <= q",
            le(t, q),
            combine((1, "t <= 1/K"), (-1, "right class")),
            "1 - (K-1)t >= t",
        ),
        Step(
            "log t <= log q",
            le(log(t), log(q)),
            Inequality(lib("log_mono", "t <= q", a=t, b=q)),
            "the logarithm increases",
        ),
        Step(
            "squares of ab",
            eq((a * b) ** 2, LOGIT**2),
            combine(
                (b**2 / lambda_W, "size of a"),
                (half / (lambda_W * lambda_H * n), "size of b"),
                (LOGIT**2 / (lambda_W * lambda_H), "L"),
            ),
            "L² = λ_W λ_H",
        ),
        Step(
            "ab",
            eq(a * b, LOGIT),
            Inequality(lib("equal_squares", "log t <= log q", "squares of ab", a=a * b, b=LOGIT)),
            "both are >= 0",
        ),
        Step(
            "collapsed logits",
            eq(z_c, (Y() - 1 / K) * LOGIT),
            combine((1, "collapsed logit"), (Y() - 1 / K, "ab")),
            "the right logit is larger than the others by log(q/t)",
        ),
    ]


def _probability_steps() -> list[Step]:
    return [
        Step("wrong probability", eq(exp(log(t)), t), Identity(), "e^log t = t"),
        Step("right probability", eq(exp(log(q)), q), Identity(), "e^log q = q"),
        Step(
            "all probabilities",
            eq(q + (K - 1) * t, 1),
            combine((1, "right class")),
            "q is what t leaves",
        ),
    ]
