"""Neural collapse as statements: optimal values of unconstrained features, thresholds, a dual, feasibility at random.

K classes with n_j points (N in all), features H (d × N), classifier W (d × K), logits Z = WᵀH + b 1ᵀ, where a bias b is
free of charge or absent, and

    J = min  ℓ(Z) + (λ_W/2) ‖W‖² + (λ_H/2) ‖H‖²,   ℓ = (1/N) Σ cross-entropy   or   (1/2N) ‖Z - Y‖², Y one-hot.

The model `ufm` leaves H free, `upfm` wants H ≥ 0 (features behind a ReLU). L = √(λ_W λ_H) is all that J depends on.
With the sum over points in place of the mean, every threshold on λ is N times as large; λ/2 ‖·‖² is PyTorch's decay.

An optimum is measured as an interval between a network's objective and a dual bound, so values are equalities with a
resolution. Entropies are in nats.

Sources: Hong & Ling (2023, 2024); every constant was re-derived.
"""

from __future__ import annotations

from theory import collapse_thresholds
from theory.collapse_setting import (
    BALANCED,
    BALANCED_OR_NO_BIAS,
    BIAS,
    CLAIMS,
    GENERAL_DATA,
    IMBALANCED,
    L_DEFINITION,
    NO_BIAS,
    PER_CLASS,
    RESOLUTION,
    T_DEFINITION,
    TAU_DEFINITION,
    UFM_CE,
    UFM_MSE,
    UPFM_CE,
    UPFM_MSE,
    WIDE,
    J,
    K,
    L,
    N,
    entropy,
    n,
    n_min,
    t,
    tau,
)
from theory.quantity import Quantity, equals, minimum, sqrt, total, var
from theory.statement import Definition, Kind, Part, Source, Statement

DERIVATIONS = "theory.derivations_collapse"


def _value(form: Quantity) -> tuple[Part, ...]:
    return (Part("value", equals(J, form), resolution=RESOLUTION),)


# -- squares --------------------------------------------------------------------------------------------------------
m = var("m", "j")
_SQUARES = total(m * sqrt(n) - N * m**2 / 2, "j")
_PER_DIRECTION = Definition(
    "m",
    minimum(L, sqrt(n) / N),
    "the price L of a unit of singular value, while the class is alive",
)

UFM_MSE_VALUE = Statement(
    id="collapse/ufm-mse-value",
    title="Free features, squares, no bias: each class by itself, zero when L ≥ √n_j/N",
    kind=Kind.EQUALITY,
    source=Source(GENERAL_DATA, "unconstrained features, squared loss", "any n_j; re-derived"),
    hypotheses=(WIDE, NO_BIAS),
    definitions=(L_DEFINITION, _PER_DIRECTION),
    parts=_value(_SQUARES),
    setting=UFM_MSE,
    derivations={"mse": f"{DERIVATIONS}:mse_value"},
    claim=f"{CLAIMS}:FeatureClaim",
)

UPFM_MSE_VALUE = Statement(
    id="collapse/upfm-mse-value",
    title="Features ≥ 0, squares, no bias: the same value as with free features",
    kind=Kind.EQUALITY,
    source=Source(GENERAL_DATA, "features ≥ 0, squared loss", "any n_j; re-derived"),
    hypotheses=(WIDE, NO_BIAS),
    definitions=(L_DEFINITION, _PER_DIRECTION),
    parts=_value(_SQUARES),
    setting=UPFM_MSE,
    derivations={"mse": f"{DERIVATIONS}:mse_value"},
    claim=f"{CLAIMS}:FeatureClaim",
)

m_1, g, q = var("m_1"), var("g"), var("q")
UFM_MSE_BIAS_VALUE = Statement(
    id="collapse/ufm-mse-bias-value",
    title="Free features, squares, free bias, balanced: K - 1 equal singular values √n",
    kind=Kind.EQUALITY,
    source=Source(GENERAL_DATA, "unconstrained features, squared loss, free bias", "re-derived"),
    hypotheses=(WIDE, BIAS, BALANCED),
    definitions=(
        L_DEFINITION,
        PER_CLASS,
        Definition("m_1", minimum(L, sqrt(n_min) / N), "the price of a unit of singular value"),
    ),
    parts=_value((K - 1) * (m_1 * sqrt(n_min) - N * m_1**2 / 2)),
    setting=UFM_MSE,
    claim=f"{CLAIMS}:FeatureClaim",
)

UPFM_MSE_BIAS_VALUE = Statement(
    id="collapse/upfm-mse-bias-value",
    title="Features ≥ 0, squares, free bias, balanced: an orthogonal frame that pays g = L √(K(K-1)n)",
    kind=Kind.EQUALITY,
    source=Source(GENERAL_DATA, "features ≥ 0, squared loss, free bias", "re-derived"),
    hypotheses=(WIDE, BIAS, BALANCED),
    definitions=(
        L_DEFINITION,
        PER_CLASS,
        Definition("q", (K - 1) / K, "twice the value of the zero network"),
        Definition("g", minimum(L * sqrt(K * (K - 1) * n_min), q), "the price of s in Z = sC⊗1ᵀ"),
    ),
    parts=_value(g - g**2 / (2 * q)),
    setting=UPFM_MSE,
    claim=f"{CLAIMS}:FeatureClaim",
)

# -- cross-entropy --------------------------------------------------------------------------------------------------
UFM_CE_VALUE = Statement(
    id="collapse/ufm-ce-value",
    title="Free features, cross-entropy, balanced: the entropy of the optimal probabilities",
    kind=Kind.EQUALITY,
    source=Source(IMBALANCED, "balanced case", "with or without a free bias; re-derived"),
    hypotheses=(WIDE, BALANCED),
    definitions=(L_DEFINITION, PER_CLASS, T_DEFINITION),
    parts=_value(entropy(t)),
    setting=UFM_CE,
    derivations={"ce": f"{DERIVATIONS}_ce:ufm_value"},
    claim=f"{CLAIMS}:FeatureClaim",
)

UPFM_CE_VALUE = Statement(
    id="collapse/upfm-ce-value",
    title="Features ≥ 0, cross-entropy, any imbalance: the mean entropy of the optimal probabilities",
    kind=Kind.EQUALITY,
    source=Source(GENERAL_DATA, "features ≥ 0, cross-entropy", "any n_j; re-derived"),
    hypotheses=(WIDE, BALANCED_OR_NO_BIAS),
    definitions=(L_DEFINITION, TAU_DEFINITION),
    parts=_value(total(n / N * entropy(tau), "j")),
    setting=UPFM_CE,
    derivations={"ce": f"{DERIVATIONS}_frames:upfm_value"},
    claim=f"{CLAIMS}:FeatureClaim",
)

STATEMENTS: tuple[Statement, ...] = (
    UFM_MSE_VALUE,
    UFM_MSE_BIAS_VALUE,
    UFM_CE_VALUE,
    UPFM_MSE_VALUE,
    UPFM_MSE_BIAS_VALUE,
    UPFM_CE_VALUE,
    *collapse_thresholds.STATEMENTS,
)
