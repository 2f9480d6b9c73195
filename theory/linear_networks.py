"""Imbalance of two-layer networks under gradient flow and gradient descent.

Setting. W = W1 W2 with W1 ∈ R^{n×h} and W2 ∈ R^{h×m}, loss L = f(W) with f differentiable, ∇ = ∇f(W) ∈ R^{n×m}. The
imbalance is D = W1ᵀW1 - W2W2ᵀ ∈ R^{h×h}. Entry by entry, with W1_j the j-th column of W1 and W2_j the j-th row of W2,
D_ji = ⟨W1_j, W1_i⟩ - ⟨W2_j, W2_i⟩; j and i number hidden units. The gradients of the layers are G1 = ∇W2ᵀ (columns
G1_j) and G2 = W1ᵀ∇ (rows G2_j).

* Gradient flow W1' = -G1, W2' = -G2 keeps D.
* Gradient descent with step η does not: exactly D⁺ = D + η² (G1ᵀG1 - G2G2ᵀ)
  = D + η² (W2∇ᵀ∇W2ᵀ - W1ᵀ∇∇ᵀW1).
* ∇ enters as an arbitrary matrix that may depend on the state. So the same holds for consecutive layers W_l, W_{l+1}
  of a deep network W = X W_l W_{l+1} Z, with Xᵀ∇Zᵀ in its place.
* The ReLU network f(x) = Σ_j v_j σ(⟨w_j, x⟩) keeps ‖w_j‖² - v_j² for every neuron, with any loss.

All are equalities between quantities that may vanish, so they are stated with a scale: a largest deviation is 0 if and
only if S plus it is S, and the error bound is compared with S. Nearly everything is constant where nearly nothing
moves, so S is not the size of the weights but that of the motion: for the flow, how far W1ᵀW1 gets up to the horizon;
for descent, η² ‖·‖² of the smaller of the two gradients (of the other where one is 0). Thus neither a short horizon nor
a small step confirms a wrong law. For neurons the ratio of two sides that are sums of squares is 1, and a hypothesis
asks for a motion far beyond the resolution. Where nothing moves, nothing is checked.

Sources: Min, Tarmoun, Vidal & Mallada (ICML 2021; ICML 2023).
"""

from __future__ import annotations

from fractions import Fraction

from theory.quantity import (
    Quantity,
    amax,
    equals,
    inner,
    log,
    maximum,
    minimum,
    sqnorm,
    step,
    total,
    var,
)
from theory.quantity import qabs as absolute
from theory.quantity import quantity as number
from theory.statement import (
    Definition,
    Domain,
    Hypothesis,
    Kind,
    Part,
    Setting,
    Source,
    Statement,
)

AUTHORS = "Min, Tarmoun, Vidal & Mallada"
FLOW_PAPER = (
    f"{AUTHORS}, On the Explicit Role of Initialization on the Convergence and Implicit Bias of Overparametrized "
    "Linear Networks (ICML 2021)"
)
DESCENT_PAPER = (
    f"{AUTHORS}, On the Convergence of Gradient Flow on Multi-layer Linear Models (ICML 2023)"
)
_CLAIMS = "proofs_checks.claims.linear_networks"
_DERIVATIONS = "theory.derivations_linear_networks"

LINEAR = Setting(model="linear", losses=("least-squares",), reduction="sum")
ANY_LOSS = Setting(losses=("exponential", "logistic2", "logistic", "squared"), reduction="sum")

# Columns of W1, rows of W2 and the gradients; the names with an underscore are the same arrays, numbered by i.
W1, W2, G1, G2 = (var(name, "jk") for name in ("W1", "W2", "G1", "G2"))
W1_i, W2_i, G1_i, G2_i = (var(name + "_", "ik") for name in ("W1", "W2", "G1", "G2"))
D, D_0, D_next = (var(name, "ji") for name in ("D", "D_0", "D_next"))
P, Q, S = var("P", "ji"), var("Q", "ji"), var("S")
A_0, A_far, eta = var("A_0", "ji"), var("A_far", "ji"), var("eta")
FLOW_RESOLUTION, DESCENT_RESOLUTION, NEURON_RESOLUTION = 1e-9, 1e-12, 1e-9


def largest(entries: Quantity) -> Quantity:
    """max over j and i of |entries_ji|."""
    return amax(amax(absolute(entries), "i"), "j")


IMBALANCE = Definition(
    "D",
    inner(W1, W1_i) - inner(W2, W2_i),
    "the imbalance W1ᵀW1 - W2W2ᵀ; D_0 is its value at the start, D_next that after the step",
)
FORCE_1, FORCE_2 = total(sqnorm(G1), "j"), total(sqnorm(G2), "j")
# the smaller of two numbers >= 0, or the other where one is 0
SMALLER_FORCE = minimum(FORCE_1, FORCE_2) + (1 - step(FORCE_1 * FORCE_2)) * maximum(
    FORCE_1, FORCE_2
)
MOVES = Hypothesis(
    "no critical point",
    number(0) < var("R_0"),
    "R_0 = ‖∇W2ᵀ‖² + ‖W1ᵀ∇‖² at the start: at a critical point nothing moves, and every law holds",
    "start away from critical points",
)

IMBALANCE_FLOW = Statement(
    id="linear-networks/imbalance-flow",
    title="Gradient flow keeps the imbalance W1ᵀW1 - W2W2ᵀ",
    kind=Kind.EQUALITY,
    source=Source(FLOW_PAPER, "conservation of the imbalance"),
    hypotheses=(MOVES,),
    definitions=(
        IMBALANCE,
        Definition(
            "S",
            largest(A_far - A_0),
            "how far A = W1ᵀW1 gets from its start up to the horizon (W2W2ᵀ moves alike): the scale",
        ),
    ),
    parts=(
        Part(
            "imbalance",
            equals(S + largest(D - D_0), S),
            Domain(number(0), None, "for t ≥ 0"),
            resolution=FLOW_RESOLUTION,
        ),
    ),
    setting=LINEAR,
    derivations={"least-squares": f"{_DERIVATIONS}:imbalance_flow"},
    claim=f"{_CLAIMS}:FlowClaim",
    horizon=var("T"),
)

IMBALANCE_DESCENT = Statement(
    id="linear-networks/imbalance-descent",
    title="A step of gradient descent changes the imbalance by η² (W2∇ᵀ∇W2ᵀ - W1ᵀ∇∇ᵀW1)",
    kind=Kind.EQUALITY,
    source=Source(DESCENT_PAPER, "imbalance", "its change under a discrete step, re-derived"),
    hypotheses=(MOVES,),
    definitions=(
        IMBALANCE,
        Definition("P", inner(G1, G1_i), "W2∇ᵀ∇W2ᵀ, from G1 = ∇W2ᵀ"),
        Definition("Q", inner(G2, G2_i), "W1ᵀ∇∇ᵀW1, from G2 = W1ᵀ∇"),
        Definition(
            "S",
            eta**2 * SMALLER_FORCE,
            "η² ‖G1‖² or η² ‖G2‖², whichever is smaller and not 0: the scale",
        ),
    ),
    parts=(
        Part(
            "imbalance",
            equals(S + largest(D_next - D - eta**2 * (P - Q)), S),
            Domain(number(0), var("last_step"), "for every step"),
            resolution=DESCENT_RESOLUTION,
        ),
    ),
    setting=LINEAR,
    derivations={"least-squares": f"{_DERIVATIONS}:imbalance_descent"},
    claim=f"{_CLAIMS}:DescentClaim",
)

# -- one neuron -----------------------------------------------------------------------------------------------------
w, v, w_0, v_0 = var("w", "jk"), var("v", "j"), var("w_0", "jk"), var("v_0", "j")
a, b = var("a", "j"), var("b", "j")
MOTION = amax(absolute(v**2 - v_0**2) / (sqnorm(w_0) + v**2), "j")
MOVED = Fraction(1, 10**6)  # a thousand times the resolution
NONZERO = Hypothesis(
    "non-zero start",
    number(0) < var("W_min"),
    "w_j(0) ≠ 0 for every neuron, so that the ratio is defined",
    "drop the neurons that start at zero",
)
MOVING = Hypothesis(
    "the neurons move",
    number(MOVED) < var("moved"),
    "moved is the largest |v_j² - v_0j²|/(‖w_0j‖² + v_j²) on the way: without motion every law holds",
    "use a start with a larger gradient, whose neurons are active and whose data are not fitted yet",
    eventual=True,
)
# as long as neurons of scale ε need to reach the scale 1 if every point pulls them the same way
NEURON_HORIZON = log(number(1) + number(1) / (var("eps") * var("W_max"))) / (
    var("n") * var("X_max")
)
_ALWAYS = Domain(number(0), None, "for t ≥ 0")

IMBALANCE_FLOW_RELU = Statement(
    id="linear-networks/imbalance-flow-relu",
    title="Gradient flow keeps ‖w_j‖² - v_j² for every ReLU neuron",
    kind=Kind.EQUALITY,
    source=Source(
        FLOW_PAPER, "conservation of the imbalance", "per neuron, for the ReLU and any loss"
    ),
    hypotheses=(NONZERO, MOVING),
    definitions=(
        Definition("a", sqnorm(w) + v_0**2, "v_0 is v at the start"),
        Definition("b", sqnorm(w_0) + v**2, "w_0 is w at the start; a = b is the conservation law"),
    ),
    parts=(
        Part("from above", equals(amax(a / b, "j"), 1), _ALWAYS, resolution=NEURON_RESOLUTION),
        Part("from below", equals(amax(b / a, "j"), 1), _ALWAYS, resolution=NEURON_RESOLUTION),
    ),
    setting=ANY_LOSS,
    derivations={loss: f"{_DERIVATIONS}:imbalance_flow_relu" for loss in ANY_LOSS.losses},
    claim=f"{_CLAIMS}:NeuronClaim",
    horizon=NEURON_HORIZON,
)

STATEMENTS: tuple[Statement, ...] = (IMBALANCE_FLOW, IMBALANCE_FLOW_RELU, IMBALANCE_DESCENT)
