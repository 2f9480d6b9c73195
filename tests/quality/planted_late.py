"""Planted wrong versions of A3 to A6: alignment, the final phase, rank, and the length of a phase."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from proofs_checks.case import Case
from tests.quality.planted_early import along
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
    flow,
    frozen,
    outputs,
    parallel_time,
    turned,
)
from theory import early_alignment as ea
from theory.quantity import (
    log,
    quantity,
    specnorm,
    sqnorm,
    sqrt,
    total,
    var,
)
from theory.quantity import qabs as absolute
from theory.statement import Domain, Part, Setting


# -- A3: the time of alignment --------------------------------------------------------------------------------------
def stated_time(
    case: Case, *, c_a: float, c_0: float, c_mu: float, angle: float | None = None
) -> float:
    """t_c from its definition; ``angle`` is φ of the only neuron that starts in the opposite cone."""
    Z = case.X * case.y[:, None]
    lengths = np.linalg.norm(Z, axis=1)
    mu = float(((Z @ Z.T) / np.outer(lengths, lengths)).min())
    escape = 0.0
    if angle is not None:
        opposite = case.X[case.y < 0].sum(axis=0)
        escape = math.log(1.0 / math.tan(angle / 2)) / float(np.linalg.norm(opposite))
    return c_a * escape + (c_0 + c_mu * math.log(1 + 1 / abs(mu))) / float(lengths.min())


def fan(n: int, spread: float, angle: float, *, reduction: str = "sum", log10_eps: float) -> Case:
    """n points ±(1, ·), and a positive neuron at a small angle from x_-, inside the opposite cone."""
    z = np.stack([np.ones(n), spread * (np.arange(n) - (n - 1) / 2) * 2 / n], axis=1)
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    X = y[:, None] * z
    base = X[y < 0].sum(axis=0)
    start = (
        base
        / np.linalg.norm(base)
        @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    )
    return Case.create(
        X, y, W0=[start, [-1.0, 0.1]], signs=[1.0, -1.0], reduction=reduction, log10_eps=log10_eps
    )


def _still_opposite(case: Case, angle: float, **values: float) -> Sides:
    """The neuron is active on points of the opposite class at the stated time: its alignment comes later.

    (lhs, rhs) are the time at which it has turned by half a radian, still inside the opposite cone,
    and the stated time.
    """
    opposite = case.X[case.y < 0]
    rate = case.weight * float(np.linalg.norm(opposite.sum(axis=0)))
    later = math.log(math.tan(0.25) / math.tan(angle / 2)) / rate
    assert abs(turned(angle, rate, later) - 0.5) < 1e-12
    half = case.W0[0] / np.linalg.norm(case.W0[0])
    turn = 0.5 - angle
    for side in (turn, -turn):  # away from x_- in one of the two directions; both stay inside
        moved = (
            np.array([[math.cos(side), -math.sin(side)], [math.sin(side), math.cos(side)]]) @ half
        )
        assert (opposite @ moved > 0).all() and (case.X[case.y > 0] @ moved < 0).all()
    return later, stated_time(case, angle=angle, **values)


ANGLE = 1e-4
OPPOSITE = fan(2, 0.05, ANGLE, log10_eps=-200.0)
OPPOSITE_MEAN = fan(8, 0.05, ANGLE, reduction="mean", log10_eps=-300.0)
# the positive neuron is active on both points and must leave x_2 by a kink
BOTH_ACTIVE = Case.create(
    [[1.0, 0.1], [-0.1, -1.0]],
    [1.0, -1.0],
    W0=[[0.12, -1.0], [-0.2, -1.0]],
    signs=[1.0, -1.0],
    log10_eps=-120.0,
)
# μ < 0: a positive neuron along x_1 never sees x_2 of its own class
SPLIT = Case.create(
    [[1.0, 0.0], [-0.5, 0.3], [-0.2, -1.0]],
    [1.0, 1.0, -1.0],
    W0=[[1.0, 0.0], [-0.2, -1.0]],
    signs=[1.0, -1.0],
    log10_eps=-150.0,
)


def _still_both() -> Sides:
    """At t = 0.6 the pattern of the start still holds, so alignment is later than 0.6."""
    moved = frozen(
        BOTH_ACTIVE.W0[0], float(BOTH_ACTIVE.v0[0]), BOTH_ACTIVE.X[0] - BOTH_ACTIVE.X[1], 0.6
    )
    assert (BOTH_ACTIVE.X @ moved > 0).all()
    return 0.6, stated_time(BOTH_ACTIVE, c_a=2.0, c_0=0.25, c_mu=0.0)


def _never() -> Sides:
    """The field of the first neuron is a multiple of x_1, on which its direction lies: it stays there for ever."""
    active = SPLIT.X @ SPLIT.W0[0] > 0
    assert active.tolist() == [True, False, False]
    assert np.array_equal(SPLIT.W0[0], SPLIT.X[0])
    return math.inf, stated_time(SPLIT, c_a=2.0, c_0=6.0, c_mu=4.0)


_T_C_ABS = (
    var("c_a") * var("escape")
    + (var("c_0") + var("c_mu") * log(1 + quantity(1) / absolute(ea.mu))) / ea.X_min
)
A3 = [
    Planted(
        constants(ea.ALIGNMENT_TIME, "no-time-to-turn", c_0=Fraction(1, 4), c_mu=0),
        ea.ALIGNMENT_TIME,
        BOTH_ACTIVE,
        _still_both,
    ),
    Planted(
        constants(ea.ALIGNMENT_TIME, "half-an-escape", c_a=Fraction(1, 2), c_0=0, c_mu=0),
        ea.ALIGNMENT_TIME,
        OPPOSITE,
        lambda: _still_opposite(OPPOSITE, ANGLE, c_a=0.5, c_0=0.0, c_mu=0.0),
    ),
    Planted(
        planted(ea.ALIGNMENT_TIME, "mean-loss-time", setting=Setting(reduction="mean")),
        ea.ALIGNMENT_TIME,
        OPPOSITE_MEAN,
        lambda: _still_opposite(OPPOSITE_MEAN, ANGLE, c_a=2.0, c_0=6.0, c_mu=4.0),
        "the sum of the losses",
    ),
    Planted(
        planted(
            ea.ALIGNMENT_TIME,
            "not-separable",
            # δ ≤ ½ μ X_min cannot hold either with μ < 0
            hypotheses=drop(ea.ALIGNMENT_TIME, "μ-orthogonal separability", "small drift"),
            definitions=redefine(ea.ALIGNMENT_TIME, "t_c", _T_C_ABS),
        ),
        ea.ALIGNMENT_TIME,
        SPLIT,
        _never,
        "μ-orthogonal separability",
    ),
]


# -- A4: the decay of the loss --------------------------------------------------------------------------------------
# d = 1: one point and one neuron of each sign; both outputs are u with u' = 2 u e^{-u}, the loss is 2 e^{-u}
LINE = Case.create(
    [[1.0], [-1.0]], [1.0, -1.0], W0=[[1.0], [-1.0]], signs=[1.0, -1.0], log10_eps=-40.0
)
# every neuron starts opposite and dies: the loss stays 2
DYING = Case.create(
    [[1.0, 0.3], [-0.3, -1.0]],
    [1.0, -1.0],
    W0=[[-0.6, -1.0], [1.0, 0.6]],
    signs=[1.0, -1.0],
    log10_eps=-60.0,
)


def _decay(alpha: float) -> Sides:
    """L (1 + α L_2 (t - t_2)) against L_2 when u has grown from 1/4 to 1/2."""
    late = parallel_time(0.5, 0.25, n=1, h=1, X=1.0, loss="exponential")
    assert late > 1 / 8  # past the window in which both sides touch
    L2 = 2 * math.exp(-0.25)
    return 2 * math.exp(-0.5) * (1 + alpha * L2 * late), L2


def _dead() -> Sides:
    """At T no neuron sees a point, so nothing moves any more and the loss is 2; the planted bound at T + 90."""
    T = window(DYING)
    W, v = flow(DYING.X, DYING.y, DYING.W0, DYING.v0, eps=scale(DYING), until=min(T, 20.0))
    assert (DYING.X @ W.T < 1e-9).all()
    mu = float((DYING.X[0] @ -DYING.X[1]) / np.prod(np.linalg.norm(DYING.X, axis=1)))
    X = float(np.linalg.norm(DYING.X[0]))
    alpha = (mu * X) ** 2 / (32 * X)
    loss = float(np.exp(-DYING.y * outputs(DYING.X, W, v)).sum())
    return loss * (1 + alpha * 2 * 90), 2.0


def _start_of_the_final_phase() -> Sides:
    """t_2 from the exponential integral, against a bound with a quarter of the stated growth time."""
    t2 = parallel_time(0.25, scale(LINE) ** 2, n=1, h=1, X=1.0, loss="exponential")
    t_c = 6 + 4 * math.log(2)
    return t2, t_c + 6 + 0.25 * (math.log(2) - 2 * LINE.log_eps)


_from_T = Part(
    "loss", ea.loss * (1 + ea.alpha * ea.n * (ea.t - ea.T)) <= ea.n, Domain(ea.T, None, "for t ≥ T")
)
_quick = (
    ea.t_c
    + quantity(6) / (sqrt(ea.mu) * ea.n_min * ea.X_min)
    + quantity(Fraction(1, 4))
    / (sqrt(ea.mu) * ea.n_min * ea.X_min)
    * log(quantity(2) / (ea.eps**2 * sqrt(ea.mu) * ea.X_min * ea.W_min**2))
)
A4 = [
    Planted(
        constants(ea.FINAL_PHASE, "rate-of-decay", c_alpha=1),
        ea.FINAL_PHASE,
        LINE,
        lambda: _decay(1.0),
    ),
    Planted(
        planted(
            ea.FINAL_PHASE_SHARP,
            "rate-without-harmonic-mean",
            definitions=redefine(
                ea.FINAL_PHASE_SHARP, "alpha", ea.mu * ea.X_min**2 * 2 * (ea.a_plus + ea.a_minus)
            ),
        ),
        ea.FINAL_PHASE_SHARP,
        LINE,
        lambda: _decay(1.0),
    ),
    Planted(
        planted(
            ea.FINAL_PHASE,
            "nobody-survives",
            hypotheses=drop(ea.FINAL_PHASE, "survivors", "aligned before t2"),
            parts=(_from_T,),
            horizon=ea.T + 100,
        ),
        ea.FINAL_PHASE,
        DYING,
        _dead,
        "survivors",
    ),
    Planted(
        planted(
            ea.FINAL_PHASE,
            "growth-time",
            parts=(replace(ea.FINAL_PHASE.parts[1], relation=ea.t2 <= _quick),),
        ),
        ea.FINAL_PHASE,
        LINE,
        _start_of_the_final_phase,
    ),
]

# -- A5: low rank ---------------------------------------------------------------------------------------------------
# one point and one neuron along it in each class; the other class's neuron does not see it
PAIR = Case.create(
    [[1.0, 0.2], [-0.2, -1.0]],
    [1.0, -1.0],
    W0=[[1.0, 0.2], [-0.2, -1.0]],
    signs=[1.0, -1.0],
    log10_eps=-60.0,
)


def _rank_two() -> Sides:
    """When both squared norms are 1/4: ‖W‖_F² = 1/2, ‖W‖_2² = (1 + |cos|)/4."""
    X = float(np.linalg.norm(PAIR.X[0]))
    u0 = (scale(PAIR) * X) ** 2
    assert parallel_time(0.25, u0, n=1, h=1, X=X, loss="exponential") > stated_time(
        PAIR, c_a=2, c_0=6, c_mu=4
    )
    W = 0.5 * PAIR.X / X
    assert (PAIR.X @ W.T > 0).tolist() == [[True, False], [False, True]]
    return float((W**2).sum()), float(np.linalg.svd(W)[1][0] ** 2) + 4 * math.sqrt(2) * scale(
        PAIR
    ) * X**2


A5 = [
    Planted(
        planted(
            ea.LOW_RANK,
            "rank-one",
            parts=(
                replace(
                    ea.LOW_RANK.parts[0],
                    relation=total(sqnorm(ea.w), "j")
                    <= specnorm(ea.w) ** 2 + var("c_r") * sqrt(ea.h) * ea.eps * ea.W_max**2,
                ),
            ),
        ),
        ea.LOW_RANK,
        PAIR,
        _rank_two,
    )
]

# -- A6: the length of the phase ------------------------------------------------------------------------------------
FAST = along(3, 2, W=1.0, eps=1e-6)


def _length(factor: float, C: float) -> Sides:
    """A lower bound that is planted, against the time in which a squared norm grows by 1/ε."""
    n, h, X, W = sizes(FAST)
    eps = scale(FAST)
    grown = parallel_time(eps * W**2, (eps * W) ** 2, n=n, h=h, X=X, loss="exponential")
    return factor * -FAST.log_eps / (C * n * X), grown


A6 = [
    Planted(
        constants(ea.PHASE_LENGTH, "c_6", c_6=Fraction(5, 2)),
        ea.PHASE_LENGTH,
        FAST,
        lambda: _length(2.5, 4.0),
    ),
    Planted(
        planted(
            ea.PHASE_LENGTH,
            "growth-rate-too-small",
            hypotheses=drop(ea.PHASE_LENGTH, "growth rate"),
            definitions=redefine(ea.PHASE_LENGTH, "C", ea.n * ea.X_max),
        ),
        ea.PHASE_LENGTH,
        FAST,
        lambda: _length(1.0, 1.0),
    ),
]
