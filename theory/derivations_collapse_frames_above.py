"""What the collapsed network pays, in the derivation of features >= 0 with cross-entropy.

The point i of class r has the logits log(q_r/τ_r) (e_r - 1/K). Sums Σ_r Y_ri x_r pick the x of the class of a point;
that logarithms are picked, too, is Jensen's inequality: exp(Σ_r Y_ri log x_r) <= Σ_r Y_ri x_r.
"""

from __future__ import annotations

from sympy import Expr, Rational, Sum, exp, log

from theory.checking import Cite
from theory.collapse_derivation_loss import collapsed_loss_steps
from theory.collapse_derivation_setting import (
    ALL_CLASSES,
    CLASSES,
    POINTS,
    J,
    K,
    N,
    Y,
    collapsed_classifier_steps,
    collapsed_feature_steps,
    i,
    j,
    lambda_H,
    lambda_W,
    n,
    r,
    z_c,
)
from theory.collapse_frames_setting import ENTROPY, LOGIT, VALUE, b, of, q, tau, theta, v
from theory.derivation import Step
from theory.justifications import Inequality, SumBound, combine, lib
from theory.symbols import eq, le


def _picked(e: Expr) -> Expr:
    """The value of a class, for the class of point i."""
    return Sum(Y(r, i) * of(e), ALL_CLASSES)


V, R = _picked(log(tau)), _picked(log(q))
WRONG, RIGHT = _picked(tau), _picked(q)


def collapsed_steps() -> list[Step]:
    """J <= VALUE."""
    return [
        *_size_steps(),
        *_logit_steps(),
        *_probability_steps("wrong", "τ", tau),
        *_probability_steps("right", "q", q),
        *_sum_steps(),
        *collapsed_loss_steps(V, R, WRONG, RIGHT),
        *_loss_steps(),
        *collapsed_classifier_steps(v**2 * (1 - 2 / K) + Sum(of(v) ** 2, ALL_CLASSES) / K**2),
        *collapsed_feature_steps(b**2),
        *_value_steps(),
    ]


def _size_steps() -> list[Step]:
    """v_j b_j = log(q_j/τ_j)."""
    return [
        Step(
            "tau <= q",
            le(tau, q),
            combine((1, "tau <= 1/K"), (-1, "right class")),
            "1 - (K-1)τ >= τ",
        ),
        Step(
            "log tau <= log q",
            le(log(tau), log(q)),
            Inequality(lib("log_mono", "tau > 0", "tau <= q", a=tau, b=q)),
            "the logarithm increases",
        ),
        Step(
            "vb >= 0",
            le(0, v * b),
            combine(remainder=v * b, facts=("v >= 0", "b >= 0")),
            "both factors are",
        ),
        Step(
            "squares of vb",
            eq((v * b) ** 2, LOGIT**2),
            combine(
                (b**2 / lambda_W, "size of v"),
                (K * theta * LOGIT / (N * lambda_W * lambda_H), "size of b"),
                (LOGIT**2 / (N**2 * lambda_W * lambda_H), "theta"),
                (LOGIT**2 / (lambda_W * lambda_H), "L"),
            ),
            "θ_j² K(K-1) n_j = N² L²",
        ),
        Step(
            "vb",
            eq(v * b, LOGIT),
            Inequality(
                lib(
                    "equal_squares",
                    "vb >= 0",
                    "log tau <= log q",
                    "squares of vb",
                    a=v * b,
                    b=LOGIT,
                )
            ),
            "both are >= 0",
        ),
    ]


def _logit_steps() -> list[Step]:
    return [
        Step(
            "vb of the class",
            eq(Y(r, i) * of(v * b), Y(r, i) * of(LOGIT)),
            combine((Y(r, i), Cite("vb", ((j, r),)))),
            "for class r",
        ),
        Step(
            "vb of the point",
            eq(_picked(v * b), R - V),
            SumBound("vb of the class", r),
            "the class of the point",
        ),
        Step(
            "collapsed logits",
            eq(z_c, (Y() - 1 / K) * (R - V)),
            combine((1, "collapsed logit"), (Y() - 1 / K, "vb of the point")),
            "the right logit is larger than the others by log(q/τ)",
        ),
    ]


def _probability_steps(word: str, letter: str, p: Expr) -> list[Step]:
    """e^Σ Y log p <= Σ Y p."""
    mean = _picked(log(p))
    tangent = exp(mean) * (1 + log(p) - mean)
    return [
        Step(
            f"{word} tangent",
            le(tangent, p),
            combine((exp(mean), lib("one_plus_le_exp", z=log(p) - mean))),
            f"1 + u <= e^u at u = log {letter}_j - Σ_r Y_ri log {letter}_r",
        ),
        Step(
            f"{word} tangent of the class",
            le(Y() * tangent, Y() * p),
            combine((Y() ** 2, f"{word} tangent"), (p - tangent, "one-hot")),
            "times Y_ji",
        ),
        Step(
            f"{word} tangents",
            le(Sum(Y() * tangent, CLASSES), Sum(Y() * p, CLASSES)),
            SumBound(f"{word} tangent of the class", j),
            "summed over the classes",
        ),
        Step(
            f"{word} probability",
            le(exp(mean), _picked(p)),
            combine((1, f"{word} tangents"), (-exp(mean) * (1 - mean), "one class per point")),
            "every point is of one class",
        ),
    ]


def _sum_steps() -> list[Step]:
    both = Y() * (q + (K - 1) * tau)
    return [
        Step(
            "probabilities of a class",
            eq(both, Y()),
            combine((Y(), "right class")),
            "q_j is what τ_j leaves",
        ),
        Step(
            "probabilities of a point",
            eq(Sum(both, CLASSES), Sum(Y(), CLASSES)),
            SumBound("probabilities of a class", j),
            "summed over the classes",
        ),
        Step(
            "all probabilities",
            eq(RIGHT + (K - 1) * WRONG, 1),
            combine((1, "probabilities of a point"), (1, "one class per point")),
            "every point is of one class",
        ),
    ]


def _loss_steps() -> list[Step]:
    return [
        Step(
            "log q by class",
            eq(Sum(Y() * log(q), POINTS), n * log(q)),
            combine((log(q), "class sizes")),
            "n_j points are of class j",
        ),
        Step(
            "all log q",
            eq(Sum(Sum(Y() * log(q), POINTS), CLASSES), Sum(n * log(q), CLASSES)),
            SumBound("log q by class", j),
            "summed over the classes",
        ),
    ]


def _value_steps() -> list[Step]:
    price = -n / N * log(q) + lambda_W / 2 * v**2 * (K - 1) / K + lambda_H / 2 * n * b**2
    slack = theta - tau
    return [
        Step(
            "slackness",
            le(slack * LOGIT, 0),
            combine(
                (slack, lib("one_plus_le_exp", z=LOGIT)),
                (1 / tau, "tau is one of the two"),
                (slack / tau, "right class"),
                facts=("tau <= theta",),
            ),
            "log(q/τ) <= q/τ - 1 = (1 - Kτ)/τ",
        ),
        Step(
            "collapsed class",
            le(price, n / N * ENTROPY),
            combine(
                ((K - 1) / (2 * K), "size of v"),
                (Rational(1, 2), "size of b"),
                (n / N * (K - 1), "slackness"),
                (n / N * log(q), "right class"),
                facts=("classes", "no empty class"),
            ),
            "θ_j log(q/τ) <= τ_j log(q/τ)",
        ),
        Step(
            "collapsed classes",
            le(Sum(price, CLASSES), VALUE),
            SumBound("collapsed class", j),
            "summed over the classes",
        ),
        Step(
            "from above",
            le(J, VALUE),
            combine(
                (1, "collapsed network"),
                (1 / N, "collapsed points"),
                (-1 / N, "all log q"),
                (lambda_W / 2, "collapsed classifiers"),
                (lambda_H / 2, "collapsed features"),
                (1, "collapsed classes"),
            ),
            "J is at most what the collapsed network pays",
        ),
    ]
