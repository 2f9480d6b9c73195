"""The words of the statements on collapse: sources, settings, letters and hypotheses.

The model is described in `theory.collapse`.
"""

from __future__ import annotations

from theory.quantity import Quantity, amax, amin, log, minimum, sqrt, var
from theory.quantity import quantity as number
from theory.statement import Definition, Hypothesis, Setting

GENERAL_DATA = (
    "Hong & Ling, Beyond Unconstrained Features: Neural Collapse for Shallow Neural Networks with "
    "General Data (2024)"
)
IMBALANCED = (
    "Hong & Ling, Neural collapse for unconstrained feature model under cross-entropy loss with "
    "imbalanced data (2023)"
)
CLAIMS = "proofs_checks.claims.collapse"

RESOLUTION = 1e-7  # of an optimal value; certified gaps are at least ten times smaller

K, N, d, bias, J = (var(name) for name in ("K", "N", "d", "bias", "J"))
n = var("n", "j")
lambda_W, lambda_H, L = var("lambda_W"), var("lambda_H"), var("L")
n_min, L_0 = var("n_min"), var("L_0")
L_DEFINITION = Definition("L", sqrt(lambda_W * lambda_H))
PER_CLASS = Definition("n_min", amin(n, "j"), "the number of points of every class")

UFM_MSE, UFM_CE = Setting("ufm", ("mse",), "half-mean"), Setting("ufm", ("ce",), "mean")
UPFM_MSE, UPFM_CE = Setting("upfm", ("mse",), "half-mean"), Setting("upfm", ("ce",), "mean")

WIDE = Hypothesis(
    "wide enough",
    d >= K,
    "features have at least as many coordinates as there are classes",
    "take d ≥ K",
)
NO_BIAS = Hypothesis("no bias", bias <= 0, "there is no free bias", "leave the bias out")
BIAS = Hypothesis("free bias", number(1) <= bias, "a bias is free of charge", "add a free bias")
BALANCED = Hypothesis(
    "balanced",
    amax(n, "j") <= amin(n, "j"),
    "every class has the same number of points",
    "use classes of equal size",
)
BALANCED_OR_NO_BIAS = Hypothesis(
    "balanced where the bias is free",
    bias * (amax(n, "j") - amin(n, "j")) <= 0,
    "there is no free bias, or every class has the same number of points",
    "leave the bias out, or use classes of equal size",
)


t, tau = var("t"), var("tau", "j")
T_DEFINITION = Definition(
    "t", minimum(L * sqrt(n_min), 1 / K), "the probability of each wrong class at the optimum"
)
TAU_DEFINITION = Definition(
    "tau",
    minimum(1 / K, N * L / sqrt(K * (K - 1) * n)),
    "the probability of each wrong class for the points of class j",
)


def entropy(t: Quantity) -> Quantity:
    """-Σ p log p of the K probabilities 1 - (K-1)t, t, …, t."""
    top = number(1) - (K - 1) * t
    return -(top * log(top)) - (K - 1) * (t * log(t))
