"""Planted wrong versions of A1 to A6, each with a case that refutes it and both sides found independently."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from scipy.optimize import brentq

from proofs_checks.case import Case
from tests.quality.witness import (
    deviation,
    flow,
    frozen,
    outputs,
    parallel_time,
    turned,
)
from theory import early_alignment as ea
from theory.quantity import (
    Quantity,
    amax,
    log,
    norm,
    project_out,
    quantity,
    specnorm,
    sqnorm,
    sqrt,
    total,
    var,
)
from theory.quantity import qabs as absolute
from theory.statement import Definition, Domain, Hypothesis, Part, Setting, Statement

Sides = tuple[float, float]


@dataclass(frozen=True)
class Planted:
    """A wrong statement, the true one that it perverts, a case, and (lhs, rhs) at an instant of the domain.

    Attributes:
        vacuous: why the true statement does not speak of the case, or "" where it does (and holds).
    """

    statement: Statement
    true: Statement
    case: Case
    witness: Callable[[], Sides]
    vacuous: str = ""


def drop(statement: Statement, *names: str) -> tuple[Hypothesis, ...]:
    """The hypotheses without those of these names."""
    kept = tuple(h for h in statement.hypotheses if h.name not in names)
    assert len(kept) == len(statement.hypotheses) - len(names)
    return kept


def redefine(statement: Statement, name: str, value: Quantity) -> tuple[Definition, ...]:
    """The definitions with another value of one of them."""
    assert name in {d.name for d in statement.definitions}
    return tuple(replace(d, value=value) if d.name == name else d for d in statement.definitions)


def planted(true: Statement, name: str, **changes: object) -> Statement:
    """A perverted copy with its own id, without the derivation."""
    return replace(true, id=f"planted/{name}", derivations={}, **changes)  # type: ignore[arg-type]


def constants(true: Statement, name: str, **values: Fraction | int) -> Statement:
    """A copy with other constants."""
    return planted(true.with_constants(**values), name)


def scale(case: Case) -> float:
    """ε of a case as a float."""
    return math.exp(case.log_eps)


def sizes(case: Case) -> tuple[int, int, float, float]:
    """(n, h, X_max, W_max)."""
    return (
        case.n,
        case.h,
        float(np.linalg.norm(case.X, axis=1).max()),
        float(np.linalg.norm(case.W0, axis=1).max()),
    )


def window(case: Case, c_T: float = 4.0) -> float:
    """T."""
    n, h, X, _ = sizes(case)
    return -(0.5 * math.log(h) + case.log_eps) / (c_T * n * X)


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

ALL: tuple[Planted, ...] = (*A1, *A2, *A3, *A4, *A5, *A6)
