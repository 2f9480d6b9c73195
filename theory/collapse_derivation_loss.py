"""The loss of a collapsed network with cross-entropy, from its inner products <w_j, h_i> = (Y_ji - 1/K)(R - V).

Such a point gives its class the probability e^R and every other class e^V, where e^R + (K-1) e^V <= 1, so that it pays
-R at most. R and V may be different for every point.
"""

from __future__ import annotations

from sympy import Expr, Sum, exp

from theory.collapse_derivation_setting import CLASSES, POINTS, K, Y, c_c, i, j, z_c
from theory.derivation import Step
from theory.justifications import Cases, Identity, SumBound, combine, lib
from theory.symbols import eq, le


def collapsed_loss_steps(V: Expr, R: Expr, wrong: Expr, right: Expr) -> list[Step]:
    """Σ_i (c_i - Σ_j Y_ji <w_j, h_i>) <= Σ_i -R.

    Args:
        V, R: logarithms of the probabilities of a wrong class and of the right one.
        wrong, right: what e^V and e^R are at most, by the steps "wrong probability" and "right probability". Their sum
            over the classes is 1, by the step "all probabilities". "collapsed logits" gives the inner products.
    """
    logit = (Y() - 1 / K) * (R - V)
    above = c_c + R - (1 - 1 / K) * (R - V)  # by how much c_i is too large
    paid = (1 - Y()) * wrong + Y() * right
    reached = exp(V + Y() * (R - V))
    own = c_c - Sum(Y() * z_c, CLASSES)
    return [
        Step(
            "collapsed probability",
            le(reached, paid),
            Cases(Y(), ((0, "wrong probability"), (1, "right probability"))),
            "Y_ji is 0 or 1",
        ),
        Step(
            "collapsed exponential",
            le(exp(logit - c_c) * (1 + above), reached),
            combine((exp(logit - c_c), lib("one_plus_le_exp", z=above))),
            "1 + u <= e^u at the excess u of c_i",
        ),
        Step(
            "collapsed exponential of a class",
            le(exp(logit - c_c) * (1 + above), paid),
            combine((1, "collapsed exponential"), (1, "collapsed probability")),
            "both together",
        ),
        Step(
            "collapsed exponentials",
            le(Sum(exp(logit - c_c) * (1 + above), CLASSES), Sum(paid, CLASSES)),
            SumBound("collapsed exponential of a class", j),
            "summed over the classes",
        ),
        Step(
            "collapsed sum",
            eq(Sum(exp(logit - c_c), CLASSES), 1),
            Identity(of="collapsed log-sum-exp", using=("collapsed logits",)),
            "with the logits of the collapsed network",
        ),
        Step(
            "no excess",
            le(above, 0),
            combine(
                (1, "collapsed exponentials"),
                (-1 - above, "collapsed sum"),
                (right - wrong, "one class per point"),
                (1, "all probabilities"),
            ),
            "the probabilities add up to 1",
        ),
        Step(
            "logit of the own class",
            eq(Y() * z_c, Y() * (1 - 1 / K) * (R - V)),
            combine((Y(), "collapsed logits"), (R - V, "one-hot")),
            "Y_ji² = Y_ji",
        ),
        Step(
            "logits of the own class",
            eq(Sum(Y() * z_c, CLASSES), Sum(Y() * (1 - 1 / K) * (R - V), CLASSES)),
            SumBound("logit of the own class", j),
            "summed over the classes",
        ),
        Step(
            "collapsed point",
            le(own, -R),
            combine(
                (1, "no excess"),
                (-1, "logits of the own class"),
                (-(1 - 1 / K) * (R - V), "one class per point"),
            ),
            "the loss of a point is at most -R",
        ),
        Step(
            "collapsed points",
            le(Sum(own, POINTS), Sum(-R, POINTS)),
            SumBound("collapsed point", i),
            "summed over the points",
        ),
    ]
