"""Margins of two-layer ReLU networks on parities, and two classical facts about linear updates.

Parities. The points are x = s/√d for all s ∈ {±1}^d, their labels y = s_1 ⋯ s_k; with a bias, x = (s, 1)/√(d + 1). In
dimension D = d or d + 1 the labels are then the product of K coordinates, K = k or, for odd k ≥ 3, k + 1, the bias
being one of them; these are half of the points of K-parity in dimension D, with the same margin. gamma_1 is the largest
min_i y_i f(x_i) over f(x) = ∫ (<u, x>)_+ dν(u), signed measures ν of total variation at most 1 on the unit sphere;
gamma_2 the same over the unit ball of the space with the kernel κ(x, z) = <x, z> (π - angle(x, z)) / 2π, the features
of the inner layer at the start.

* gamma_1 = C(K-2, K/2-1) / (2^(K-1) √(K D)) for even K. For K = 2 that is 1/√(8 D): four ReLUs attain it and uniform
  weights on the points bound it, derived here for all D. For larger K it is stated, and confirmed by certified optima.
* gamma_1 = gamma_2 = 0 for odd K ≥ 3: on antipodal points ReLU networks are even functions up to linear ones.
* gamma_2² = E_s[s_1 ⋯ s_K κ_1(mean of s)] with κ_1(t) = t (π - arccos t) / 2π, by symmetry of the weights.

All dual statements rest on: gamma_1 is at most the maximum over unit u of |Σ_i q_i y_i (<u, x_i>)_+| for any weights q.

Updates. The perceptron w ← w + y x at every mistake y <w, x> ≤ 0, from w = 0, makes at most (R/γ)² mistakes, if all
points have norm at most R and some unit vector u has y <u, x> ≥ γ > 0. It is tight on orthonormal points. And one step
w⁺ = w - η g changes the square of the distance to any w̄ by -2η <g, w - w̄> + η² ‖g‖².

Sources: Bach (JMLR 2017); Telgarsky (ICLR 2023); Novikoff (1962).
"""

from __future__ import annotations

from theory.quantity import PI, Quantity, acos, equals, inner, sqnorm, sqrt, total, var
from theory.quantity import quantity as number
from theory.statement import Definition, Hypothesis, Kind, Part, Setting, Source, Statement

PAPER_F1 = "Bach, Breaking the Curse of Dimensionality with Convex Neural Networks (JMLR 2017)"
PAPER_F2 = "Telgarsky, Feature selection and low test error in shallow low-rotation ReLU networks (ICLR 2023)"
PAPER_PERCEPTRON = "Novikoff, On convergence proofs for perceptrons (1962)"
_CLAIMS = "proofs_checks.claims.margins"
_DERIVATIONS = "theory.derivations_margins"
NONE = "none"  # the loss and reduction of models that have none

PARITY = Setting(model="parity", losses=(NONE,), reduction=NONE)
PERCEPTRON = Setting(model="perceptron", losses=(NONE,), reduction=NONE)
STEP = Setting(model="update", losses=(NONE,), reduction=NONE)

F1_RESOLUTION, F2_RESOLUTION, EXACT_RESOLUTION = 1e-8, 1e-7, 1e-15

# -- parities ---------------------------------------------------------------------------------------------------------
gamma_1, gamma_2, D, K = var("gamma_1"), var("gamma_2"), var("D"), var("K")
chi, t = var("chi", "i"), var("t", "i")
central = var("central")
EVEN = Hypothesis(
    "even parity",
    equals(var("odd"), 0),
    "odd = K mod 2 = 0: the labels are the product of an even number of coordinates",
    "choose an even k, or an odd k ≥ 3 with a bias",
)
ODD = Hypothesis(
    "odd parity of three or more",
    number(3) <= K * var("odd"),
    "K is odd, at least 3, and without bias",
    "choose an odd k ≥ 3 and no bias",
)
SEPARABLE = Hypothesis(
    "separable parity",
    K * var("odd") <= 1,
    "K is 1 or even: the margin is not 0",
    "choose an even k, k = 1, or a bias",
)
TWO = Hypothesis("two coordinates", equals(K, 2), "K = 2: the exclusive or", "choose k = 2")


def kappa_1(cosine: Quantity) -> Quantity:
    """t (π - arccos t) / 2π, the kernel on the unit sphere."""
    return cosine * (PI - acos(cosine)) / (2 * PI)


XOR_F1 = Statement(
    id="margins/xor-f1",
    title="Networks of total variation 1 separate the exclusive or in dimension D with margin 1/√(8 D)",
    kind=Kind.EQUALITY,
    source=Source(PAPER_F1, "variation norm", "value on 2-parities, re-derived"),
    hypotheses=(TWO,),
    parts=(Part("margin", equals(gamma_1, 1 / sqrt(8 * D)), resolution=F1_RESOLUTION),),
    setting=PARITY,
    derivations={NONE: f"{_DERIVATIONS}:xor_f1"},
    claim=f"{_CLAIMS}:ParityClaim",
)

PARITY_F1 = Statement(
    id="margins/parity-f1",
    title="Networks of total variation 1 separate K-parity in dimension D with margin C(K-2, K/2-1)/(2^(K-1) √(K D))",
    kind=Kind.EQUALITY,
    source=Source(PAPER_F1, "variation norm", "closed form for even parities"),
    hypotheses=(EVEN,),
    parts=(
        Part(
            "margin",
            equals(gamma_1, central / (var("power") * sqrt(K * D))),
            resolution=F1_RESOLUTION,
        ),
    ),
    setting=PARITY,
    claim=f"{_CLAIMS}:ParityClaim",
)

PARITY_ODD = Statement(
    id="margins/parity-odd",
    title="Networks without bias cannot separate odd parities of three or more coordinates",
    kind=Kind.INEQUALITY,
    source=Source(PAPER_F2, "margins of parities", "odd parities, without bias"),
    hypotheses=(ODD,),
    parts=(
        Part("networks of bounded variation", gamma_1 <= 0),
        Part("initial features", gamma_2 <= 0),
    ),
    setting=PARITY,
    claim=f"{_CLAIMS}:ParityClaim",
)

PARITY_F2 = Statement(
    id="margins/parity-f2",
    title="The squared margin of the initial features on a parity is the mean of label times kernel",
    kind=Kind.EQUALITY,
    source=Source(PAPER_F2, "margins of parities", "finite sum, uniform weights"),
    hypotheses=(SEPARABLE,),
    definitions=(
        Definition(
            "kappa_mean",
            total(chi * kappa_1(t), "i") / var("n"),
            "mean over s of χ κ_1(mean of s); chi(i) is the label of point i, t(i) the mean of its coordinates",
        ),
    ),
    parts=(
        Part("squared margin", equals(gamma_2**2, var("kappa_mean")), resolution=F2_RESOLUTION),
    ),
    setting=PARITY,
    claim=f"{_CLAIMS}:ParityClaim",
)

# -- updates ----------------------------------------------------------------------------------------------------------
PERCEPTRON_MISTAKES = Statement(
    id="margins/perceptron-mistakes",
    title="The perceptron makes at most (R/γ)² mistakes",
    kind=Kind.INEQUALITY,
    source=Source(PAPER_PERCEPTRON, "theorem"),
    hypotheses=(
        Hypothesis(
            "separable",
            number(0) < var("worst"),
            "worst = min y_i <u, x_i> > 0: the vector u separates the points",
            "give a vector u that separates the points",
        ),
    ),
    parts=(
        # γ² and R² rather than γ and R: they are rational where the points are
        Part("mistakes", var("mistakes") * var("gamma_sq") <= var("R_sq")),
    ),
    setting=PERCEPTRON,
    derivations={NONE: f"{_DERIVATIONS}:perceptron_mistakes"},
    claim=f"{_CLAIMS}:PerceptronClaim",
)

w, w_next, w_bar, g = var("w", "k"), var("w_next", "k"), var("w_bar", "k"), var("g", "k")
eta = var("eta")

TELESCOPING = Statement(
    id="margins/telescoping",
    title="One step changes the square of the distance to a point by -2η <g, w - w̄> + η² ‖g‖²",
    kind=Kind.EQUALITY,
    source=Source(
        "Ji & Telgarsky, Polylogarithmic width suffices (ICLR 2020)", "proof of the regret bound"
    ),
    hypotheses=(),
    parts=(
        Part(
            "distance",
            equals(
                sqnorm(w_next - w_bar),
                sqnorm(w - w_bar) - 2 * eta * inner(g, w - w_bar) + eta**2 * sqnorm(g),
            ),
            resolution=EXACT_RESOLUTION,
        ),
    ),
    setting=STEP,
    derivations={NONE: f"{_DERIVATIONS}:telescoping"},
    claim=f"{_CLAIMS}:UpdateClaim",
)

STATEMENTS: tuple[Statement, ...] = (
    XOR_F1,
    PARITY_F1,
    PARITY_ODD,
    PARITY_F2,
    PERCEPTRON_MISTAKES,
    TELESCOPING,
)
