"""Planted wrong versions of A1 and A2: norms, outputs and directions in the early phase."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
from scipy.optimize import brentq

from proofs_checks.case import Case
from tests.quality.planted_tools import (
    Planted,
    Sides,
    constants,
    drop,
    planted,
    redefine,
    scale,
    sizes,
    window,
)
from tests.quality.witness import (
    deviation,
    flow,
    outputs,
    parallel_time,
)
from theory import early_alignment as ea
from theory.quantity import (
    Quantity,
    amax,
    log,
    norm,
    project_out,
    quantity,
    sqrt,
    total,
    var,
)
from theory.statement import Setting, Statement


# -- A1: norms and outputs ------------------------------------------------------------------------------------------
def along(
    n: int, h: int, *, X: float = 1.0, W: float = 0.5, loss: str = "exponential", **scales: float
) -> Case:
    """h equal positive neurons along one point that occurs n times."""
    return Case.create(
        np.tile([[X, 0.0]], (n, 1)),
        np.ones(n),
        W0=np.tile([[W, 0.0]], (h, 1)),
        signs=np.ones(h),
        loss=loss,
        **scales,
    )


def _norms_at_the_start(case: Case, C_w: float) -> Sides:
    _, h, _, W = sizes(case)
    return (scale(case) * W) ** 2, C_w * scale(case) * W**2 / math.sqrt(h)


def _outputs_at_the_start(case: Case, C_f: float) -> Sides:
    _, h, X, W = sizes(case)
    f = outputs(case.X, scale(case) * case.W0, scale(case) * case.v0)
    return float(np.abs(f).max()), C_f * scale(case) * math.sqrt(h) * X * W**2


def _norms_at(case: Case, T: float) -> Sides:
    """‖w(T)‖² of parallel neurons from the exponential integral, against the stated bound."""
    n, h, X, W = sizes(case)
    eps = scale(case)

    def late(log_u: float) -> float:
        return parallel_time(math.exp(log_u), (eps * W) ** 2, n=n, h=h, X=X, loss=case.loss) - T

    u = math.exp(brentq(late, 2 * math.log(eps * W), math.log(100.0), xtol=1e-13))
    return u, 2 * eps * W**2 / math.sqrt(h)


def _norms_by_flow(case: Case) -> Sides:
    _, h, _, W = sizes(case)
    end, _ = flow(case.X, case.y, case.W0, case.v0, eps=scale(case), until=window(case))
    return scale(case) ** 2 * float((end**2).sum(axis=1).max()), 2 * scale(case) * W**2 / math.sqrt(
        h
    )


_T_WITHOUT_N = log(quantity(1) / (sqrt(ea.h) * ea.eps)) / (ea.c_T * ea.X_max)
LOOSE = along(1, 4, X=0.8, eps=0.475)  # √h ε = 0.95
SHORT = along(2, 2, eps=1e-3)
SLOW = along(2, 2, eps=1e-12, loss="logistic2")
EIGHT = along(8, 2, eps=1e-4)
UNBALANCED = Case.create([[1.0, 0.0]], [1.0], W0=[[0.5, 0.1]], v0=[60.0], eps=1e-3)
# fifteen large neurons of the wrong sign: the slope of the loss starts at e^9, and one neuron grows fourfold at once
LARGE = Case.create(
    [[1.0, 0.0]], [1.0], W0=np.tile([[4.0, 0.0]], (16, 1)), signs=[1.0] + 15 * [-1.0], eps=0.2
)

A1 = [
    Planted(
        constants(ea.NORM_BOUND, "C_w", C_w=Fraction(9, 10)),
        ea.NORM_BOUND,
        LOOSE,
        lambda: _norms_at_the_start(LOOSE, 0.9),
    ),
    Planted(
        constants(ea.NORM_BOUND, "C_f", C_f=Fraction(9, 10)),
        ea.NORM_BOUND,
        LOOSE,
        lambda: _outputs_at_the_start(LOOSE, 0.9),
    ),
    Planted(
        constants(ea.NORM_BOUND, "c_T", c_T=1),
        ea.NORM_BOUND,
        SHORT,
        lambda: _norms_at(SHORT, window(SHORT, 1.0)),
    ),
    # ½ (√h ε)^{1 - 2/c_T} exceeds 1 as ε → 0 for every c_T < 2
    Planted(
        constants(ea.NORM_BOUND, "c_T-just-below-2", c_T=Fraction(19, 10)),
        ea.NORM_BOUND,
        SLOW,
        lambda: _norms_at(SLOW, window(SLOW, 1.9)),
    ),
    Planted(
        planted(
            ea.NORM_BOUND, "T-without-n", definitions=redefine(ea.NORM_BOUND, "T", _T_WITHOUT_N)
        ),
        ea.NORM_BOUND,
        EIGHT,
        lambda: _norms_at(EIGHT, 8 * window(EIGHT)),
    ),
    Planted(
        planted(ea.NORM_BOUND, "unbalanced", hypotheses=drop(ea.NORM_BOUND, "balanced start")),
        ea.NORM_BOUND,
        UNBALANCED,
        lambda: _norms_by_flow(UNBALANCED),
        "balanced start",
    ),
    Planted(
        planted(
            ea.NORM_BOUND,
            "large-initialisation",
            hypotheses=drop(ea.NORM_BOUND, "small initialisation"),
        ),
        ea.NORM_BOUND,
        LARGE,
        lambda: _norms_by_flow(LARGE),
        "small initialisation",
    ),
]


# -- A2: directions -------------------------------------------------------------------------------------------------
def _directions(case: Case, factor: float, *, end_to_end: bool = False, sign: float = 1.0) -> Sides:
    """Both sides of A2 at the start."""
    n, h, X, W = sizes(case)
    eps = scale(case)
    lhs = deviation(
        case.X, case.y, eps * case.W0, eps * case.v0, loss=case.loss, weight=case.weight, sign=sign
    )
    f = float(np.abs(outputs(case.X, eps * case.W0, eps * case.v0)).max())
    return lhs, factor * n * X * (eps * math.sqrt(h) * X * W**2 if end_to_end else f)


def _with_deviation(name: str, force: Quantity) -> Statement:
    """A2 with another force in place of -∂ℓ/∂f - y."""
    wrong = amax(norm(project_out(total(ea.s * force * ea.x, "i"), ea.w)), "j")
    parts = tuple(replace(p, relation=wrong <= p.relation.rhs) for p in ea.DIRECTION_BOUND.parts)
    return planted(ea.DIRECTION_BOUND, name, parts=parts)


GENERIC = Case.create(
    [[1.0, 0.3], [0.2, 0.9], [-0.4, 0.7]],
    [1.0, -1.0, 1.0],
    W0=[[0.5, 0.2], [-0.3, 0.4], [0.1, -0.5]],
    signs=[1, -1, 1],
    eps=1e-2,
)
# a neuron almost orthogonal to its point: what the loss changes is almost all seen by the direction
STEEP = Case.create([[1.0, 0.0]], [1.0], W0=[[0.05, 0.5]], signs=[-1.0], eps=0.95)
STEEP_LOGISTIC = STEEP.replace(loss="logistic2", eps=0.1)
# fifteen neurons along the point make a large output, the sixteenth is almost orthogonal to it
CROWD = Case.create(
    [[1.0, 0.0]], [1.0], W0=[[0.02, 0.5]] + 15 * [[0.5, 0.02]], signs=16 * [-1.0], eps=0.2375
)
A2 = [
    Planted(
        _with_deviation("sign-of-the-field", ea.gy + 2 * var("y", "i")),
        ea.DIRECTION_BOUND,
        GENERIC,
        lambda: _directions(GENERIC, 2.0, sign=-1.0),
    ),
    Planted(
        planted(ea.DIRECTION_BOUND, "plain-logistic", setting=Setting(losses=("logistic",))),
        ea.DIRECTION_BOUND,
        GENERIC.replace(loss="logistic"),
        lambda: _directions(GENERIC.replace(loss="logistic"), 2.0),
        "the losses exponential, logistic2",
    ),
    Planted(
        planted(ea.DIRECTION_BOUND, "mean-loss", setting=Setting(reduction="mean")),
        ea.DIRECTION_BOUND,
        GENERIC.replace(reduction="mean"),
        lambda: _directions(GENERIC.replace(reduction="mean"), 2.0),
        "the sum of the losses",
    ),
    Planted(
        constants(ea.DIRECTION_BOUND, "C_1", C_1=1),
        ea.DIRECTION_BOUND,
        STEEP,
        lambda: _directions(STEEP, 1.0),
    ),
    Planted(
        constants(ea.DIRECTION_BOUND, "C_1-logistic", C_1=Fraction(49, 100)),
        ea.DIRECTION_BOUND,
        STEEP_LOGISTIC,
        lambda: _directions(STEEP_LOGISTIC, 0.49),
    ),
    Planted(
        constants(ea.DIRECTION_BOUND, "C_2", C_2=Fraction(9, 10)),
        ea.DIRECTION_BOUND,
        CROWD,
        lambda: _directions(CROWD, 0.9, end_to_end=True),
    ),
]
