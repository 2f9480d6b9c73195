"""What the decay pays at least, in the derivation of features >= 0 with cross-entropy."""

from __future__ import annotations

import sympy
from sympy import Sum

from theory.checking import Cite
from theory.collapse_derivation_setting import (
    ALL_CLASSES,
    ALL_POINTS,
    CLASSES,
    DECAY,
    OF_CLASS,
    POINTS,
    SUM_OF_CLASS,
    K,
    N,
    Y,
    h,
    i,
    j,
    k,
    lambda_H,
    lambda_W,
    n,
    r,
    w,
)
from theory.collapse_frames_setting import (
    PULL,
    G,
    T,
    at,
    of,
    tau,
    theta,
)
from theory.derivation import Step
from theory.justifications import SumBound, combine
from theory.symbols import Inner, Norm, Vec, le


def angle_steps() -> list[Step]:
    """Σ_j τ_j² ‖g_j‖² <= ‖G‖² for G = Σ_j τ_j g_j, pair of points by pair of points."""
    overlap = Inner(h, Vec("h", k))
    own = tau * SUM_OF_CLASS
    return [
        Step(
            "one tau",
            le(0, of(tau) * Y(r, k)),
            combine(
                (of(tau), Cite("one-hot", ((j, r), (i, k)))),
                remainder=of(tau) * Y(r, k) ** 2,
                facts=("tau_r > 0",),
            ),
            "τ_r Y_rk² >= 0",
        ),
        Step(
            "T >= 0",
            le(Sum(sympy.S.Zero, ALL_CLASSES), at(T)),
            SumBound("one tau", r),
            "summed over the classes",
        ),
        Step(
            "two points",
            le(tau**2 * Y() * Y(j, k) * overlap, tau * Y() * at(T) * overlap),
            combine(
                (tau * Y() ** 2 * at(T) * (1 - Y(j, k)) ** 2, "features >= 0"),
                (tau * at(T) * (1 - Y(j, k)) ** 2 * overlap, "one-hot"),
                (tau * Y() * at(T) * overlap, Cite("one-hot", ((i, k),))),
                (-tau * Y() * overlap, Cite("class of a point", ((i, k),))),
                facts=("tau > 0", "T >= 0"),
            ),
            "the second point is of another class, or there is equality",
        ),
        Step(
            "a point with all",
            le(
                Sum(tau**2 * Y() * Y(j, k) * overlap, ALL_POINTS),
                Sum(tau * Y() * at(T) * overlap, ALL_POINTS),
            ),
            SumBound("two points", k),
            "summed over the second point",
        ),
        Step(
            "all with all",
            le(
                Sum(Sum(tau**2 * Y() * Y(j, k) * overlap, ALL_POINTS), POINTS),
                Sum(Sum(tau * Y() * at(T) * overlap, ALL_POINTS), POINTS),
            ),
            SumBound("a point with all", i),
            "summed over the first point",
        ),
        Step(
            "angle",
            le(Norm(own) ** 2, Inner(own, G)),
            combine((1, "all with all")),
            "⟨τ_j g_j, G⟩ >= τ_j² ‖g_j‖²",
        ),
        Step(
            "angles",
            le(Sum(Norm(own) ** 2, CLASSES), Sum(Inner(own, G), CLASSES)),
            SumBound("angle", j),
            "summed over the classes: the right side is ‖G‖²",
        ),
        Step(
            "pulls",
            le(
                Sum(Norm(PULL) ** 2, CLASSES),
                K * (K - 1) * Sum(tau**2 * Norm(SUM_OF_CLASS) ** 2, CLASSES),
            ),
            combine((K, "angles")),
            "where free features lose K ‖Σ h‖², these lose K ‖G‖²",
        ),
    ]


def coupling_steps() -> list[Step]:
    paid = lambda_W / 2 * Norm(w) ** 2 + Norm(PULL) ** 2 / (2 * N**2 * lambda_W)
    share = K * (K - 1) * tau**2 * Norm(SUM_OF_CLASS) ** 2 / (2 * N**2 * lambda_W)
    return [
        Step(
            "pairing",
            le(Inner(w, PULL) / N, paid),
            combine(remainder=Norm(lambda_W * w - PULL / N) ** 2 / (2 * lambda_W)),
            "‖λ_W w_j - pull/N‖² >= 0",
        ),
        Step(
            "all pairings",
            le(Sum(Inner(w, PULL) / N, CLASSES), Sum(paid, CLASSES)),
            SumBound("pairing", j),
            "summed over the classes",
        ),
        Step(
            "theta >= 0",
            le(0, theta),
            combine((1, "tau <= theta"), (1, "tau > 0")),
            "θ_j >= τ_j > 0",
        ),
        Step(
            "price",
            le(K * (K - 1) * tau**2 * n / N**2, lambda_W * lambda_H),
            combine(
                (K * (K - 1) * n / N**2 * (tau + theta), "tau <= theta"),
                (1 / N**2, "theta"),
                (1, "L"),
                facts=("classes", "no empty class", "tau > 0", "theta >= 0"),
            ),
            "τ_j <= θ_j",
        ),
        Step(
            "share of a class",
            le(share, lambda_H / 2 * OF_CLASS),
            combine(
                (K * (K - 1) * tau**2 * n / (2 * N**2 * lambda_W), "spread"),
                (OF_CLASS / (2 * lambda_W), "price"),
                facts=("classes", "no empty class"),
            ),
            "Cauchy-Schwarz within the class",
        ),
        Step(
            "shares",
            le(Sum(share, CLASSES), Sum(lambda_H / 2 * OF_CLASS, CLASSES)),
            SumBound("share of a class", j),
            "summed over the classes",
        ),
        Step(
            "coupling",
            le(Sum(Inner(w, PULL), CLASSES) / N, DECAY),
            combine(
                (1, "all pairings"),
                (1 / (2 * N**2 * lambda_W), "pulls"),
                (1, "shares"),
                (lambda_H / 2, "all features"),
            ),
            "both layers pay half",
        ),
    ]
