"""The derivation of the zero threshold of free features with cross-entropy, from the optimal value.

log K - J is the divergence of the optimal probabilities from the uniform ones. It is 0 where t = 1/K, and elsewhere at
least the sum of the squares (√p - √(1/K))², of which the wrong classes are kept.
"""

from __future__ import annotations

from functools import cache

import sympy
from sympy import Symbol, log, sqrt

from theory.collapse_derivation_setting import (
    Antisymmetry,
    J,
    K,
    assumed,
    unconstrained_features,
)
from theory.collapse_simplex_setting import q, t
from theory.derivation import Derivation, Step
from theory.derivations_collapse_ce import ufm_value
from theory.justifications import combine, lib
from theory.symbols import Rel, eq, le

alive, rho = Symbol("alive", real=True), Symbol("rho", nonnegative=True)
SPREAD = (K - 1) / K * (1 - sqrt(rho)) ** 2

_HYPOTHESES: dict[str, Rel] = {
    "alive <= 1": le(alive, 1),
    "dead": eq((1 - alive) * (1 - K * t), 0),
    "ratio": eq(rho, K * t),
}
_WORDS = {
    "alive <= 1": "alive is 0 or 1",
    "dead": "alive = 0 means L >= L_0 = 1/(K√n), so that t = 1/K",
    "ratio": "min(L/L_0, 1) = K min(L√n, 1/K)",
}


@cache
def ufm_zero() -> Derivation:
    """J = log K from the threshold on, and J <= log K - (K-1)/K (1 - √min(L/L_0, 1))²."""
    value = ufm_value()
    steps = (
        *value.steps,
        *assumed(_HYPOTHESES, _WORDS),
        *_divergence_steps(),
        *_dead_steps(),
    )
    return Derivation(
        name="zero threshold of free features with cross-entropy",
        setting=unconstrained_features(),
        hypotheses={**value.hypotheses, **_HYPOTHESES},
        constants=(),
        steps=steps,
        concludes={
            "from the threshold on": "from the threshold on",
            "below the threshold": "below the threshold",
        },
    )


def _divergence_steps() -> list[Step]:
    def part(p: sympy.Expr) -> Rel:
        return le(2 * p - p * (log(p) + log(K)), 2 * sqrt(p) / sqrt(K))

    def why(p: sympy.Expr) -> object:
        return combine((2 * p, lib("one_plus_le_exp", z=-(log(p) + log(K)) / 2)))

    root = sqrt(rho)
    return [
        Step("wrong part", part(t), why(t), "1 + u <= e^u at u = -log(Kt)/2"),
        Step("right part", part(q), why(q), "the same with q"),
        Step(
            "divergence",
            le(J + (K - 1) * (sqrt(t) - 1 / sqrt(K)) ** 2, log(K)),
            combine(
                (K - 1, "wrong part"),
                (1, "right part"),
                (1, "entropy"),
                (log(K) - 1, "right class"),
                remainder=(sqrt(q) - 1 / sqrt(K)) ** 2,
                facts=("classes",),
            ),
            "Σ (√p - √(1/K))² <= Σ p log(Kp)",
        ),
        Step(
            "margin",
            le(J + SPREAD, log(K)),
            combine((1, "divergence"), ((K - 1) / K * (1 - 2 / (root + sqrt(K * t))), "ratio")),
            "√(Kt) = √min(L/L_0, 1)",
        ),
        Step(
            "below the threshold",
            le(J + SPREAD, log(K) + (1 - alive)),
            combine((1, "margin"), (1, "alive <= 1")),
            "with room to spare where the class is dead",
        ),
    ]


def _dead_steps() -> list[Step]:
    rest = 1 - alive
    stated = eq(J + rest * (log(K) - J), J)
    return [
        Step(
            "not more",
            le(stated.rhs, stated.lhs),
            combine(
                (rest, "margin"),
                remainder=rest * SPREAD,
                facts=("alive <= 1", "classes"),
            ),
            "log K >= J",
        ),
        Step(
            "not less",
            le(stated.lhs, stated.rhs),
            combine(
                (rest * (K - 1) * t, lib("log_one_plus_le", z=K * t - 1)),
                (rest * q, lib("log_one_plus_le", z=K * q - 1)),
                (-rest, "entropy"),
                ((K - 1) * (q - t), "dead"),
                (rest * (K * q - log(K)), "right class"),
                facts=("alive <= 1", "classes"),
            ),
            "log(Kp) <= Kp - 1 = 0 for both probabilities",
        ),
        Step(
            "from the threshold on",
            stated,
            Antisymmetry("not less", "not more"),
            "both together",
        ),
    ]
