"""Early alignment of two-layer ReLU networks trained from a small balanced initialisation.

Setting. f(x) = Σ_j v_j σ(⟨w_j, x⟩), j = 1…h, ReLU σ with σ'(0) = 0; data x_i ∈ R^d, y_i ∈ {±1}, i = 1…n; loss
L = Σ_i ℓ(y_i, f(x_i)), a *sum*, with ℓ = e^{-yf} or ℓ = 2 log(1 + e^{-yf}) (so that -∂ℓ/∂f = y at f = 0); gradient
flow; balanced start w_j(0) = ε w_{j0}, v_j(0) = ±‖w_j(0)‖. X_max, X_min are the largest and smallest ‖x_i‖, W_max and
W_min those of ‖w_{j0}‖; μ = min over i, k of cos(y_i x_i, y_k x_k); x_± = Σ_{y_i = ±1} x_i; S_± the cones of neurons
active on all points of one class and none of the other, S_dead the neurons active on no point.

Sources: Min, Mallada & Vidal, "Early Neuron Alignment in Two-layer ReLU Networks with Small Initialization", ICLR 2024
[MMV24]. `alignment-time` is a version without n that was re-derived for this library; `low-rank` and `final-phase` use
its time t_c in place of the paper's t_1.
"""

from __future__ import annotations

from fractions import Fraction

from theory.quantity import (
    amax,
    log,
    maximum,
    minimum,
    norm,
    project_out,
    specnorm,
    sqnorm,
    sqrt,
    total,
    var,
)
from theory.quantity import qabs as absolute
from theory.quantity import quantity as number
from theory.statement import (
    Constant,
    Definition,
    Domain,
    Hypothesis,
    Kind,
    Part,
    Source,
    Statement,
    Touch,
)

PAPER = "Min, Mallada & Vidal, Early Neuron Alignment in Two-layer ReLU Networks with Small Initialization (ICLR 2024)"
CLAIM = "proofs_checks.claims.early_alignment:EarlyAlignmentClaim"

# arrays of the trajectory
w, x = var("w", "jk"), var("x", "ik")
f, gy, s = var("f", "i"), var("gy", "i"), var("s", "ji")  # outputs, -∂ℓ/∂f - y, activations
# numbers of the case
n, h, eps = var("n"), var("h"), var("eps")
X_max, X_min, W_max, W_min = var("X_max"), var("X_min"), var("W_max"), var("W_min")
mu, n_min = var("mu"), var("n_min")
t, loss, grad_sq = var("t"), var("loss"), var("grad_sq")
# times and values at events, measured on the trajectory
t_align, t2, t_grow, loss2 = var("t_align"), var("t2"), var("t_grow"), var("loss2")
a_plus, a_minus = var("a_plus"), var("a_minus")
# constants and definitions, by name
C_w, C_f, c_T, K, C_1, C_2 = map(var, ("C_w", "C_f", "c_T", "K", "C_1", "C_2"))
T, t_c, delta, alpha = var("T"), var("t_c"), var("delta"), var("alpha")

ONE = number(1)
network = absolute(f)

# -- hypotheses -----------------------------------------------------------------------------------------------------
BALANCED = Hypothesis(
    "balanced start",
    var("balanced") >= ONE,
    "v_j(0)² = ‖w_j(0)‖² for every neuron",
    "give signs instead of v0, then v_j(0) = ±‖w_j(0)‖",
)
SMALL = Hypothesis(
    "√h ε < 1",
    sqrt(h) * eps < ONE,
    "the window [0, T] is not empty",
    "the bound says nothing because T ≤ 0; take a smaller eps",
)
SMALL_K = Hypothesis(
    "small initialisation",
    K * sqrt(h) * eps * X_max * W_max**2 <= ONE,
    "ε ≤ 1/(K √h X_max W_max²)",
    "take a smaller eps, or rescale the data or the initial directions",
)
BOTH = Hypothesis(
    "both classes present",
    n_min >= ONE,
    "there is a point of each class",
    "add points of the missing class",
)
SEPARABLE = Hypothesis(
    "μ-orthogonal separability",
    number(0) < mu,
    "μ = min cos(y_i x_i, y_k x_k) > 0",
    "{worst}; drop them, centre the data, or use statements that do not need separability",
)
DELTA = Hypothesis(
    "small drift",
    number(2) * delta <= var("gap"),
    "δ = 4 ε n √h X_max² W_max² ≤ ½ min{μ X_min, ‖x_∓‖ sin φ_j}",
    "take a smaller eps",
)
WINDOW = Hypothesis(
    "T ≥ t_c",
    t_c <= T,
    "the window of the norm bound is long enough for the alignment",
    "take a smaller eps (log(1/ε) must exceed 4 n X_max t_c)",
)
A1_HYPOTHESES = (BALANCED, SMALL, SMALL_K)
NONZERO = Hypothesis(
    "non-zero start",
    number(0) < var("W_min"),
    "w_j(0) ≠ 0 for every neuron, so that it has a direction",
    "drop the neurons that start at zero",
)
A3_HYPOTHESES = (*A1_HYPOTHESES, BOTH, SEPARABLE, DELTA, WINDOW)

# -- constants and definitions --------------------------------------------------------------------------------------
K_CONSTANT = Constant("K", Fraction(4), "smaller", "in the hypothesis ε ≤ 1/(K √h X_max W_max²)")
T_CONSTANT = Constant("c_T", Fraction(4), "smaller", "in T = log(1/(√h ε)) / (c_T n X_max)")
T_DEFINITION = Definition(
    "T", log(ONE / (sqrt(h) * eps)) / (c_T * n * X_max), "length of the early phase"
)
DELTA_DEFINITION = Definition(
    "delta", number(4) * eps * n * sqrt(h) * X_max**2 * W_max**2, "drift of the directions"
)
C_ALIGN = Constant("c_a", Fraction(2), "smaller", "of the escape from the opposite cone in t_c")
C_ZERO = Constant("c_0", Fraction(6), "smaller", "additive, in t_c")
C_MU = Constant("c_mu", Fraction(4), "smaller", "of log(1 + 1/μ) in t_c")
TC_DEFINITION = Definition(
    "t_c",
    var("c_a") * var("escape") + (var("c_0") + var("c_mu") * log(ONE + ONE / mu)) / X_min,
    "time by which every neuron is aligned or dead; escape = max_j log cot(φ_j/2)/‖x_∓‖ over the neurons that start in "
    "the opposite cone",
)
A3_CONSTANTS = (K_CONSTANT, T_CONSTANT, C_ALIGN, C_ZERO, C_MU)
A3_DEFINITIONS = (T_DEFINITION, DELTA_DEFINITION, TC_DEFINITION)

EARLY = Domain(number(0), T, "for 0 ≤ t ≤ T")
_DERIVATIONS = "theory.derivations_early_alignment"
TAIL = t2 + number(100) / X_max  # how far unbounded domains are followed


def _derived(name: str) -> dict[str, str]:
    return {
        loss_name: f"{_DERIVATIONS}:{name}_{loss_name}"
        for loss_name in ("exponential", "logistic2")
    }


NORM_BOUND = Statement(
    id="early-alignment/norm-bound",
    title="Norms and outputs stay small during the early phase (A1)",
    kind=Kind.INEQUALITY,
    source=Source(PAPER, "Lemma 1", "constants re-derived"),
    hypotheses=A1_HYPOTHESES,
    constants=(
        Constant("C_w", Fraction(2), "smaller", "of the bound on ‖w_j‖²"),
        Constant("C_f", Fraction(2), "smaller", "of the bound on |f|"),
        T_CONSTANT,
        K_CONSTANT,
    ),
    definitions=(T_DEFINITION,),
    parts=(
        Part("norms", amax(sqnorm(w), "j") <= C_w * eps * W_max**2 / sqrt(h), EARLY),
        Part("outputs", amax(network, "i") <= C_f * eps * sqrt(h) * X_max * W_max**2, EARLY),
    ),
    derivations=_derived("norm_bound"),
    claim=CLAIM,
)

_deviation = amax(norm(project_out(total(s * gy * x, "i"), w)), "j")
DIRECTION_BOUND = Statement(
    id="early-alignment/direction-bound",
    title="Directions follow the aligned field up to a small error (A2)",
    kind=Kind.INEQUALITY,
    source=Source(PAPER, "Lemma 2", "constants re-derived"),
    hypotheses=(*A1_HYPOTHESES, NONZERO),
    constants=(
        Constant("C_1", Fraction(2), "smaller", "of n X_max max|f|"),
        Constant("C_2", Fraction(4), "smaller", "of ε n √h X_max² W_max²"),
        T_CONSTANT,
        K_CONSTANT,
    ),
    definitions=(T_DEFINITION,),
    # The left side is ‖d/dt (w_j/‖w_j‖) - sign(v_j) P⊥ x_a(w_j)‖, written without its cancellation: the derivation's
    # step "direction" proves that the two are equal.
    parts=(
        Part(
            "by outputs", _deviation <= C_1 * n * X_max * amax(network, "i"), EARLY, vanishing=True
        ),
        Part("end to end", _deviation <= C_2 * eps * n * sqrt(h) * X_max**2 * W_max**2, EARLY),
    ),
    derivations=_derived("direction_bound"),
    claim=CLAIM,
)

ALIGNMENT_TIME = Statement(
    id="early-alignment/alignment-time",
    title="Every neuron is aligned with one class, or dead, at t_c (A3)",
    kind=Kind.ORDER,
    source=Source(PAPER, "Theorem 1 (first part)", "re-derived without n"),
    hypotheses=A3_HYPOTHESES,
    constants=A3_CONSTANTS,
    definitions=A3_DEFINITIONS,
    parts=(Part("aligned by t_c", t_align <= t_c),),
    claim=CLAIM,
    horizon=Fraction(3, 2) * t_c,
)

ALIGNED = Hypothesis(
    "aligned before t2",
    t_align <= t2,
    "all neurons are in S_+ ∪ S_- ∪ S_dead by t2",
    "take a smaller eps",
    eventual=True,
)
SURVIVORS = Hypothesis(
    "survivors",
    minimum(var("survivors_plus"), var("survivors_minus")) >= ONE,
    "a neuron survives in each of S_+ and S_-",
    "use more neurons or another initialisation; without survivors t2 is infinite",
    eventual=True,
)
_FINAL = Domain(t2, None, "for t ≥ t2")
_ALPHA = Constant("c_alpha", Fraction(1, 32), "larger", "in α = c_α (μ X_min)² / X_max")


def _loss_part() -> Part:
    return Part(
        "loss",
        loss * (ONE + alpha * loss2 * (t - t2)) <= loss2,
        _FINAL,
        Touch(window=ONE / (number(4) * n * X_max), differential=alpha * loss**2 <= grad_sq),
    )


_t2_bound = (
    t_c
    + number(6) / (sqrt(mu) * n_min * X_min)
    + number(4)
    / (sqrt(mu) * n_min * X_min)
    * (log(number(2) / (eps**2 * sqrt(mu) * X_min * W_min**2)) + number(4) * n * X_max * t_c)
)
FINAL_PHASE = Statement(
    id="early-alignment/final-phase",
    title="After both classes have grown the loss decays like 1/t (A4)",
    kind=Kind.INEQUALITY,
    source=Source(PAPER, "Theorem 1 (second part)", "with t_1 := t_c"),
    hypotheses=(*A3_HYPOTHESES, SURVIVORS, ALIGNED),
    constants=(*A3_CONSTANTS, _ALPHA),
    definitions=(
        *A3_DEFINITIONS,
        Definition("alpha", var("c_alpha") * (mu * X_min) ** 2 / X_max, "rate of the decay"),
    ),
    parts=(_loss_part(), Part("start of the final phase", t2 <= _t2_bound)),
    claim=CLAIM,
    horizon=TAIL,
)

FINAL_PHASE_SHARP = Statement(
    id="early-alignment/final-phase-sharp",
    title="The decay of the loss with the rate of the surviving neurons (A4, sharper)",
    kind=Kind.INEQUALITY,
    source=Source(
        PAPER, "Theorem 1 (second part)", "rate re-derived from the sizes a_± = Σ_{S_±} v_j² at t2"
    ),
    hypotheses=(*A3_HYPOTHESES, SURVIVORS, ALIGNED),
    constants=A3_CONSTANTS,
    definitions=(
        *A3_DEFINITIONS,
        Definition(
            "alpha",
            var("c_loss") * mu * X_min**2 * a_plus * a_minus / (a_plus + a_minus),
            "rate of the decay; c_loss = 1 (exponential) or 1/(4 log² 2) (2·logistic)",
        ),
    ),
    parts=(_loss_part(),),
    claim=CLAIM,
    horizon=TAIL,
)

LOW_RANK = Statement(
    id="early-alignment/low-rank",
    title="The first layer has stable rank at most 2 up to the initial scale (A5)",
    kind=Kind.INEQUALITY,
    source=Source(PAPER, "Theorem 1 (low rank)", "with t_1 := t_c"),
    hypotheses=A3_HYPOTHESES,
    constants=(*A3_CONSTANTS, Constant("c_r", Fraction(4), "smaller", "of √h ε W_max²")),
    definitions=A3_DEFINITIONS,
    parts=(
        Part(
            "stable rank",
            total(sqnorm(w), "j")
            <= number(2) * specnorm(w) ** 2 + var("c_r") * sqrt(h) * eps * W_max**2,
            Domain(t_c, None, "for t ≥ t_c"),
        ),
    ),
    claim=CLAIM,
    horizon=maximum(TAIL, number(2) * T),
)

GROWTH = Hypothesis(
    "growth rate",
    var("rate_max") <= var("C"),
    "d‖w_j‖²/dt ≤ C ‖w_j‖² for every neuron up to the time log(1/ε)/C",
    "take a smaller eps",
    eventual=True,
)
PHASE_LENGTH = Statement(
    id="early-alignment/phase-length",
    title="A squared norm needs at least log(1/ε)/C to grow from ε² to ε (A6)",
    kind=Kind.ORDER,
    source=Source(PAPER, "Section 3 (Grönwall)", "with C = 4 n X_max"),
    hypotheses=(BALANCED, SMALL, GROWTH),
    constants=(Constant("c_6", Fraction(1), "larger", "of log(1/ε)/C"),),
    definitions=(Definition("C", number(4) * n * X_max, "growth rate of a squared norm"),),
    parts=(Part("length", var("c_6") * log(ONE / eps) / var("C") <= t_grow),),
    derivations=_derived("phase_length"),
    claim=CLAIM,
    horizon=number(12) * log(ONE / eps) / var("C"),  # long enough to see the growth itself
)

STATEMENTS: tuple[Statement, ...] = (
    NORM_BOUND,
    DIRECTION_BOUND,
    ALIGNMENT_TIME,
    FINAL_PHASE,
    FINAL_PHASE_SHARP,
    LOW_RANK,
    PHASE_LENGTH,
)
