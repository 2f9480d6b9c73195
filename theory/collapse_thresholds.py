"""Neural collapse, continued: when classes become zero or merge, the dual behind the values, feasibility at random.

"Class k is zero" is said with optimal values, which can be certified: V_k is the best value of networks whose features
of class k are zero. J = V_k means that such a network is optimal, J < V_k that none is; the latter is stated with a
margin, so that a wrong threshold can be refuted on either side. In the same way J_c is the best value of networks that
treat all classes of the minority alike: separating them by c gains (k_B-1)√n_B (L_0-L)c - k_B n_B c²/(8N) at least.
"""

from __future__ import annotations

from theory.collapse_setting import (
    BALANCED,
    CLAIMS,
    GENERAL_DATA,
    IMBALANCED,
    L_DEFINITION,
    NO_BIAS,
    PER_CLASS,
    RESOLUTION,
    UFM_CE,
    UPFM_CE,
    WIDE,
    J,
    K,
    L,
    N,
    lambda_H,
    lambda_W,
    n,
    n_min,
)
from theory.quantity import (
    Quantity,
    amax,
    amin,
    equals,
    inner,
    log,
    minimum,
    relu,
    sqrt,
    step,
    total,
    var,
)
from theory.quantity import qabs as absolute
from theory.quantity import quantity as number
from theory.statement import Definition, Hypothesis, Kind, Part, Setting, Source, Statement

EXACT = 1e-30  # the resolution of what is evaluated in ball arithmetic alone

L_0, alive = var("L_0"), var("alive")
L_0_j, alive_j, V = var("L_0", "j"), var("alive", "j"), var("V", "j")
J_c, k_B = var("J_c"), var("k_B")
_ALIVE = "1 below the threshold L_0, 0 from there on"


def _dies(without: Quantity, margin: Quantity) -> tuple[Part, ...]:
    """J = without from the threshold on, and J + margin ≤ without below it; each part is trivial on the other side."""
    return (
        Part(
            "from the threshold on",
            equals(J + (1 - alive) * (without - J), J),
            resolution=RESOLUTION,
        ),
        Part("below the threshold", J + margin <= without + (1 - alive)),
    )


def spread(ratio: Quantity) -> Quantity:
    """Σ_r (√p_r - √(1/K))² over the K - 1 wrong classes, p_r = ratio/K: less than log K minus the entropy."""
    return (K - 1) / K * (1 - sqrt(ratio)) ** 2


UFM_CE_ZERO = Statement(
    id="collapse/ufm-ce-zero-threshold",
    title="Free features, cross-entropy, balanced: the zero network is optimal if and only if L ≥ 1/(K√n)",
    kind=Kind.EQUALITY,
    source=Source(IMBALANCED, "balanced case, zero threshold", "re-derived"),
    hypotheses=(WIDE, BALANCED),
    definitions=(
        L_DEFINITION,
        PER_CLASS,
        Definition("L_0", 1 / (K * sqrt(n_min)), "the threshold"),
        Definition("alive", step(L_0 - L), _ALIVE),
    ),
    parts=_dies(log(K), spread(minimum(L / L_0, 1))),
    setting=UFM_CE,
    derivations={"ce": "theory.derivations_collapse_zero:ufm_zero"},
    claim=f"{CLAIMS}:FeatureClaim",
)

UPFM_CE_ZERO = Statement(
    id="collapse/upfm-ce-zero-threshold",
    title="Features ≥ 0, cross-entropy: class j is zero if and only if L ≥ (√n_j/N) √((K-1)/K)",
    kind=Kind.EQUALITY,
    source=Source(GENERAL_DATA, "features ≥ 0, cross-entropy", "re-derived"),
    hypotheses=(WIDE, NO_BIAS),
    definitions=(
        L_DEFINITION,
        Definition("L_0", sqrt(n) / N * sqrt((K - 1) / K), "the threshold of class j"),
        Definition("alive", step(L_0_j - L), _ALIVE),
    ),
    parts=(
        Part(
            "from the threshold on",
            equals(J + amax((1 - alive_j) * (V - J), "j"), J),
            resolution=RESOLUTION,
        ),
        Part(
            "below the threshold",
            number(0) <= amin(V - J - n / N * spread(minimum(L / L_0_j, 1)) + (1 - alive_j), "j"),
        ),
    ),
    setting=UPFM_CE,
    claim=f"{CLAIMS}:ThresholdClaim",
)

# -- two groups -----------------------------------------------------------------------------------------------------
_SMALL = 1 - step(n - amin(n, "j"))
MINORITY = Statement(
    id="collapse/ufm-ce-minority-collapse",
    title="Free features, cross-entropy, two group sizes: the minority classes merge if and only if L ≥ √n_B/N",
    kind=Kind.EQUALITY,
    source=Source(IMBALANCED, "minority collapse", "N counts all points; re-derived"),
    hypotheses=(
        WIDE,
        NO_BIAS,
        Hypothesis(
            "two groups",
            amax((n - amin(n, "j")) * (amax(n, "j") - n), "j") <= 0,
            "every class has n_A or n_B points",
            "use two sizes of classes",
        ),
        Hypothesis(
            "a minority",
            amin(n, "j") < amax(n, "j"),
            "n_B < n_A",
            "use two different sizes of classes",
        ),
        Hypothesis(
            "at least two minority classes",
            number(2) <= total(_SMALL, "j"),
            "there are two classes that can merge",
            "add a class of the smaller size",
        ),
    ),
    definitions=(
        L_DEFINITION,
        Definition("n_B", amin(n, "j"), "points of a minority class"),
        Definition("k_B", total(_SMALL, "j"), "the number of these classes"),
        Definition("L_0", sqrt(var("n_B")) / N, "the threshold"),
        Definition("alive", step(L_0 - L), _ALIVE),
    ),
    parts=_dies(J_c, 2 * N * (k_B - 1) ** 2 / k_B * relu(L_0 - L) ** 2),
    setting=UFM_CE,
    claim=f"{CLAIMS}:ThresholdClaim",
)

# -- the dual -------------------------------------------------------------------------------------------------------
gamma_sq, gamma, gamma_i = var("gamma_sq", "j"), var("gamma", "j"), var("gamma_", "i")
one, e, e_i, n_i = var("one", "k"), var("e", "jk"), var("e_", "ik"), var("n_", "i")
Gamma, Gamma_i = var("Gamma", "jk"), var("Gamma_", "ik")
B, R, same = var("B", "ji"), var("R", "ji"), var("same", "ji")


def _gamma_sq(sizes: Quantity) -> Quantity:
    return minimum(1 / N**2, K * lambda_W * lambda_H / ((K - 1) * sizes))


UPFM_CE_DUAL = Statement(
    id="collapse/upfm-ce-dual",
    title="Features ≥ 0, cross-entropy: an explicit dual, ΓᵀΓ + B = diag(γ_j² (K-1)/K) and at most L² on every class",
    kind=Kind.EQUALITY,
    source=Source(GENERAL_DATA, "features ≥ 0, cross-entropy", "the dual behind the value"),
    hypotheses=(),
    definitions=(
        Definition("gamma_sq", _gamma_sq(n), "γ_j = Kτ_j/N, squared"),
        Definition("gamma", sqrt(var("gamma_sq", "j"))),
        Definition("gamma_", sqrt(_gamma_sq(n_i)), "the same numbers, numbered by i"),
        Definition("Gamma", gamma * (one / K - e), "a column of Γ for every class"),
        Definition("Gamma_", gamma_i * (one / K - e_i)),
        Definition("same", inner(e, e_i), "1 for j = i, else 0"),
        Definition("B", gamma * gamma_i / K * (1 - same), "≥ 0, and 0 within a class"),
        Definition(
            "R",
            inner(Gamma, Gamma_i) + B - same * (gamma_sq * (K - 1) / K),
            "what ΓᵀΓ + B has besides the diagonal",
        ),
    ),
    parts=(
        Part(
            "identity",
            equals(number(1) + N**2 * amax(amax(absolute(R), "i"), "j"), 1),
            resolution=EXACT,
        ),
        Part("feasible", amax(n * gamma_sq * (K - 1) / K, "j") <= lambda_W * lambda_H),
    ),
    setting=UPFM_CE,
    derivations={"ce": "theory.derivations_collapse_dual:upfm_dual"},
    claim=f"{CLAIMS}:DualClaim",
)

# -- random points --------------------------------------------------------------------------------------------------
r, binomial, frequency = var("r", "j"), var("C", "j"), var("p_hat")
COVER_WENDEL = Statement(
    id="collapse/cover-wendel",
    title="Gaussian points: P(class k can collapse) = P(Bin((K-1)n, 1/2) ≤ d - n)",
    kind=Kind.PROBABILITY,
    source=Source(
        "Cover, Geometrical and statistical properties of systems of linear inequalities (1965)",
        "counting theorem",
        "also Wendel (1962); exact for every size",
    ),
    hypotheses=(
        Hypothesis(
            "enough coordinates",
            var("n") <= var("d"),
            "n equations in general position have a solution",
            "take d ≥ n; below, no class of n points in general position is feasible",
        ),
    ),
    definitions=(
        Definition(
            "P",
            total(binomial * step(var("d") - var("n") + 1 - r), "j") / total(binomial, "j"),
            "r_j = 0, …, (K-1)n and C_j the binomial coefficients of (K-1)n",
        ),
    ),
    parts=(Part("frequency", equals(frequency, var("P")), resolution=0.06),),
    setting=Setting("gaussian-points", ("none",), "none"),
    claim=f"{CLAIMS}:FeasibilityClaim",
)

STATEMENTS: tuple[Statement, ...] = (
    UFM_CE_ZERO,
    UPFM_CE_ZERO,
    MINORITY,
    UPFM_CE_DUAL,
    COVER_WENDEL,
)
