"""The arrays that compiled code works on: the data set, the state of one lane, its workspace, its rows.

Layout: the neuron j is the fastest axis and padded to a multiple of 8 (``padded``), so that every inner
loop runs over neurons in whole vector registers: w[c, j], z[i, j]. Padding neurons are zero, inactive
and dead, hence stay so. Named tuples of arrays are what numba compiles and caches without boxing.

Why numba: importing it and loading the cached machine code takes .3 s, a C++ extension through torch or
``torch.compile`` first import torch (1 to 3 s) and the former needs a compiler on the user's machine; the
right-hand side runs at the same speed in numba and in C++ (``benchmarks/results/flows.md``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.problem import FlowProblem

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# Order of vanishing of a pair whose z is zero identically: beyond every degree.
NEVER = 1 << 20

# Losses in compiled code; the numbers enter the cached machine code.
EXPONENTIAL, LOGISTIC, SQUARED = 0, 1, 2
_LOSSES = {
    "exponential": (EXPONENTIAL, 1.0),
    "logistic": (LOGISTIC, 1.0),
    "logistic2": (LOGISTIC, 2.0),
    "squared": (SQUARED, 1.0),
}

# Entries of Lane.num, and of Lane.cnt.
TIME, CARRY, END, GAP, DRIFT, MANTISSA2, SINCE = range(7)
EXPONENT0, STEPS, KINKS, EVALUATIONS, VALID, PAIR, SPECIAL, WHERE = range(8)

# What ``advance`` says of a step.
MOVED, ARRIVED, HARD, STUCK, TOUCHING, UNDERFLOW, INFINITE = range(7)
CONTRADICTION, REVERSED, SPENT_STEPS, SPENT_KINKS, UNSURE = range(7, 12)
# The kinds of REVERSED.
SLIDES, SPLITS = 0, 1


class Points(NamedTuple):
    """The data set: X (n, d), y (n,), gram (n, n), norms (n,), the loss with its factor, the weight."""

    X: Any
    y: Any
    gram: Any
    norms: Any
    loss: int
    factor: float
    weight: float


class Settings(NamedTuple):
    """``FlowOptions`` for compiled code; ``fixed`` is 0 where the step adapts."""

    order: int
    rtol: float
    fixed: float
    max_steps: int
    max_kinks: int


class Lane(NamedTuple):
    """The state of one lane; the arrays are rows of ``Lanes``, few of them, since compiled calls pass each.

    num, cnt: see TIME and EXPONENT0 above. wg (2, d, H): WEIGHT the mantissas of w, FORCE the G_j.
    fl (4, H): OUTER the mantissas of v, RADIUS and TOP of ``numerics.compiled_bounds``, BALANCE for the drift.
    il (4, H): EXPONENT of the mantissas, LABEL and TOP_EXPONENT of the components, EXPONENT_START.
    pz (2, n, H): PATTERN s_ij, 0. or 1., INNER z_ij. order (n, H): order of vanishing of z at the state
    (``NEVER``: for ever). bits (2, n, H): DEAD, zero for ever; FRESH, crossed and not yet clear.
    pt (3, n): OUTPUT f, the sum ABSOLUTE of the sizes of its terms, PULL g. INNER, FORCE and pt are valid where
    cnt[VALID].
    """

    num: Any
    cnt: Any
    wg: Any
    fl: Any
    il: Any
    pz: Any
    order: Any
    bits: Any
    pt: Any


WEIGHT, FORCE = range(2)
OUTER, RADIUS, TOP, BALANCE = range(4)
EXPONENT, LABEL, TOP_EXPONENT, EXPONENT_START = range(4)
PATTERN, INNER = range(2)
DEAD, FRESH = range(2)
OUTPUT, ABSOLUTE, PULL = range(3)


class Step(NamedTuple):
    """Workspace for one step of one lane, and what it leaves behind.

    taylor (2, P+1, d, H): CW the coefficients of w, CG of G; tv (2, P+1, H): CV of v, CU of v weighted. After a
    step CW and CV are the dense output, polynomials in s = (t - t0)/tau. series (5, P+1, n): of f and g.
    st (6, d, H): PRODUCT, W1 and WM (w at the end and in the middle), FORCES + node. zn (3, n, H), pn (3, 3, n):
    z, and OUTPUTS, ABSOLUTES, PULLS at the nodes 0, 1/2, 1. nh (27, H): numbers per neuron. point (6, n).
    ih (2, H): PART, PART_EXPONENT of the components. pb (2, P+1): one polynomial.
    out, flag: see TAU and DEGREE below.
    """

    taylor: Any
    tv: Any
    series: Any
    st: Any
    zn: Any
    pn: Any
    nh: Any
    point: Any
    ih: Any
    pb: Any
    out: Any
    flag: Any


CW, CG = range(2)
CV, CU = range(2)
SF, SG, SQ, SP, SQP = range(5)
PRODUCT, W1, WM, FORCES = range(4)  # three of FORCES
OUTPUTS, ABSOLUTES, PULLS = range(3)
(
    V1,
    VM,
    RELATIVE,
    WEIGHT2,
    UNIT_OF_PART,
    NEW,
    NEW_TOP,
    GUESS,
    GUESS_TOP,
    DEFECT,
    OWN,
    LARGEST,
    LATE,
) = range(13)
ERROR, RATE, THETA, SCRATCH, TRAVEL = 13, 16, 19, 22, 26  # three, three, three, four rows and one
PART, PART_EXPONENT = range(2)
POLY, BERN = range(2)


class Rows(NamedTuple):
    """What a block records, (lanes, K, ...); see ``numerics.views.StepView``. ``order`` is the degree used."""

    t0: Any
    t1: Any
    tau: Any
    order: Any
    mask: Any
    exponent: Any
    radius: Any
    global_radius: Any
    w: Any
    v: Any
    w1: Any
    v1: Any
    pair: Any
    active: Any
    before: Any
    after: Any
    t_error: Any
    drift: Any
    evaluations: Any


# Entries of Step.out: what a step leaves besides arrays.
TAU, T0, T1, GLOBAL, BEFORE, AFTER, T_ERROR, SCALE, LENGTH = range(9)
# Entries of Step.flag: degree, flipped pair or -1, its new activation, whether the middle was left out, and how
# many coefficients of f, g and G the series has (later ones are negligible).
DEGREE, FLIP, ACTIVE, SHORT_STEP, TERMS = range(5)


def padded(h: int) -> int:
    """h rounded up to a multiple of 8."""
    return -(-h // 8) * 8


def points_of(problem: FlowProblem) -> Points:
    """The data set of a problem for compiled code.

    Raises:
        NumericsError: the engine does not integrate this loss.
    """
    X = np.ascontiguousarray(problem.X)
    try:
        loss, factor = _LOSSES[problem.loss]
    except KeyError:
        known = ", ".join(_LOSSES)
        raise NumericsError(
            f"the flow engine does not know the loss {problem.loss!r}; use one of: {known}"
        ) from None
    norms = np.sqrt((X * X).sum(axis=1))
    gram = np.ascontiguousarray(X @ X.T)
    return Points(X, np.ascontiguousarray(problem.y), gram, norms, loss, factor, problem.weight)


def workspace(n: int, d: int, h: int, order: int) -> Step:
    """Memory for the steps of one lane at a time."""
    H, P = padded(h), order + 1
    zeros = np.zeros
    return Step(
        taylor=zeros((2, P, d, H)),
        tv=zeros((2, P, H)),
        series=zeros((5, P, n)),
        st=zeros((6, d, H)),
        zn=zeros((3, n, H)),
        pn=zeros((3, 3, n)),
        nh=zeros((27, H)),
        point=zeros((6, n)),
        ih=zeros((2, H), dtype=np.int64),
        pb=zeros((2, P)),
        out=zeros(9),
        flag=zeros(5, dtype=np.int64),
    )
