"""The derivation of the explicit dual of features >= 0 with cross-entropy: ΓᵀΓ + B is diagonal, class by class."""

from __future__ import annotations

from functools import cache

from sympy import Abs, Symbol

from theory.checking import Cite, Setting
from theory.collapse_derivation_setting import K, N, assumed, lambda_H, lambda_W, n
from theory.derivation import Derivation, Step
from theory.justifications import Identity, Sup, combine
from theory.symbols import Atom, Inner, MaxOver, Norm, Rel, Vec, eq, index, le

j, i = index("j"), index("i")
CLASSES = (j, 1, K)
BOTH = ((i, 1, K), (j, 1, K))  # innermost first, as in the statement

e, one = Vec("e", j), Vec("one")
gamma, gamma_i, gamma_sq = Atom("gamma", j), Atom("gamma", i), Atom("gamma_sq", j)
Gamma, Gamma_i = gamma * (one / K - e), gamma_i * (one / K - Vec("e", i))
same, B, R = Atom("same", j, i), Atom("B", j, i), Atom("R", j, i)
DIAGONAL = same * (gamma_sq * (K - 1) / K)

_HYPOTHESES: dict[str, Rel] = {
    "classes": le(1, K),
    "same class": eq(Inner(e, Vec("e", i)), same),
    "one class": eq(same * gamma_i, same * gamma),
    "ones": eq(Norm(one) ** 2, K),
    "one entry": eq(Inner(one, e), 1),
    "squares": eq(gamma**2, gamma_sq),
    "B": eq(B, gamma * gamma_i / K * (1 - same)),
    "R": eq(R, Inner(Gamma, Gamma_i) + B - DIAGONAL),
    "size of gamma": le(gamma_sq * (K - 1) * n, K * lambda_W * lambda_H),
}
_WORDS = {
    "classes": "there is a class",
    "same class": "1 for j = i, else 0",
    "one class": "γ_i = γ_j where i = j",
    "ones": "K coordinates",
    "one entry": "e_j has one entry 1",
    "squares": "definition of γ_j",
    "B": "definition of B",
    "R": "definition of R",
    "size of gamma": "definition of γ_j² as the smaller of 1/N² and Kλ_Wλ_H/((K-1)n_j)",
}


@cache
def classes_alone() -> Setting:
    """Pairs of classes; nothing moves."""
    return Setting(
        name="pairs of classes", time=Symbol("t", nonnegative=True), indices={j: K, i: K}
    )


@cache
def upfm_dual() -> Derivation:
    """⟨Γ_j, Γ_i⟩ = γ_jγ_i (δ_ji - 1/K), and B removes what is outside the diagonal."""
    product = gamma * gamma_i * (same - 1 / K)
    steps = (
        *assumed(_HYPOTHESES, _WORDS),
        Step(
            "other entry",
            eq(Inner(one, Vec("e", i)), 1),
            Identity(of=Cite("one entry", ((j, i),))),
            "for e_i",
        ),
        Step(
            "products",
            eq(Inner(Gamma, Gamma_i), product),
            combine(
                (gamma * gamma_i / K**2, "ones"),
                (-gamma * gamma_i / K, "one entry"),
                (-gamma * gamma_i / K, "other entry"),
                (gamma * gamma_i, "same class"),
            ),
            "columns 1/K - e_j have the products δ_ji - 1/K",
        ),
        Step(
            "entry",
            eq(R, 0),
            combine(
                (1, "R"),
                (1, "products"),
                (1, "B"),
                (gamma * (K - 1) / K, "one class"),
                (same * (K - 1) / K, "squares"),
            ),
            "outside the diagonal -γ_jγ_i/K + B_ji = 0",
        ),
        Step(
            "identity",
            eq(1 + N**2 * MaxOver(Abs(R), *BOTH), 1),
            Identity(using=("entry",)),
            "every entry is 0",
        ),
        Step(
            "one class feasible",
            le(n * gamma_sq * (K - 1) / K, lambda_W * lambda_H),
            combine((1 / K, "size of gamma")),
            "the block γ_j² (K-1)/K 11ᵀ of n_j points has this eigenvalue",
        ),
        Step(
            "feasible",
            le(MaxOver(n * gamma_sq * (K - 1) / K, CLASSES), lambda_W * lambda_H),
            Sup("bound", j, "one class feasible"),
            "for every class",
        ),
    )
    return Derivation(
        name="explicit dual of features >= 0 with cross-entropy",
        setting=classes_alone(),
        hypotheses=_HYPOTHESES,
        constants=(),
        steps=steps,
        concludes={"identity": "identity", "feasible": "feasible"},
    )
