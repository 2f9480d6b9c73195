"""Two-layer ReLU networks with weight decay, squared loss: how far a network is from the global optimum.

    F = ½ Σ_i (f_i - y_i)² + β Ω,   f_i = Σ_j v_j σ(⟨w_j, x_i⟩),   Ω = ½ Σ_j (‖w_j‖² + v_j²),

F' is the infimum of F over networks of every width (the value of the convex program of Pilanci & Ergen), ν = y - f the
residual and M = max over ‖u‖ ≤ 1 of |Σ_i ν_i σ(⟨u, x_i⟩)|, what the best single neuron gains per unit of its size.
A network is a global optimum if and only if M ≤ β and βΩ = ⟨ν, f⟩ (Euler's relation, which every stationary point
satisfies): the statements say what is left where this holds in part.

Sources: Haeffele & Vidal (2017); Pilanci & Ergen (ICML 2020). All three statements are derived.
"""

from __future__ import annotations

from theory.quantity import minimum, sqnorm, total, var
from theory.quantity import quantity as number
from theory.statement import Definition, Hypothesis, Kind, Part, Setting, Source, Statement

HAEFFELE_VIDAL = "Haeffele & Vidal, Global Optimality in Neural Network Training (CVPR 2017)"
PILANCI_ERGEN = "Pilanci & Ergen, Neural Networks are Convex Regularizers (ICML 2020)"
CLAIM = "proofs_checks.claims.convex_relu:NetworkClaim"
_DERIVATIONS = "theory.derivations_convex_relu"
SETTING = Setting("convex-relu", ("squared",), "half-sum")

w, v, nu, f, y = var("w", "jk"), var("v", "j"), var("nu", "i"), var("f", "i"), var("y", "i")
beta, F, F_best, M = var("beta"), var("F"), var("F_best"), var("M")
Omega, gain, size, tau = var("Omega"), var("gain"), var("size"), var("tau")

OMEGA = Definition("Omega", (total(sqnorm(w), "j") + total(v**2, "j")) / 2, "half the weight decay")
GAIN = Definition("gain", total(nu * f, "i"), "⟨ν, f⟩")
NO_NEURON_HELPS = Hypothesis(
    "no neuron helps",
    beta >= M,
    "M ≤ β: no single neuron gains more than it costs",
    "add the neuron that attains M (`lemmata solve convex-relu --network` names its direction), or train on",
)

GLOBAL_CERTIFICATE = Statement(
    id="convex-relu/global-certificate",
    title="Where no neuron helps, the distance to the global optimum is at most βΩ - ⟨ν, f⟩",
    kind=Kind.INEQUALITY,
    source=Source(HAEFFELE_VIDAL, "global optimality", "with the distance made explicit"),
    hypotheses=(NO_NEURON_HELPS,),
    definitions=(OMEGA, GAIN),
    parts=(Part("distance", F - F_best <= beta * Omega - gain),),
    setting=SETTING,
    derivations={"squared": f"{_DERIVATIONS}:global_certificate"},
    claim=CLAIM,
)

EULER_DEFECT = Statement(
    id="convex-relu/euler-defect",
    title="A network that violates Euler's relation is not optimal: (βΩ - ⟨ν, f⟩)²/(2‖f‖²) ≤ F - F'",
    kind=Kind.INEQUALITY,
    source=Source(HAEFFELE_VIDAL, "stationarity along scalings", "with the distance made explicit"),
    hypotheses=(
        Hypothesis(
            "an output",
            number(0) < var("size"),
            "f is not zero at every point",
            "a network without output has nothing to be scaled; give one that has",
        ),
        Hypothesis(
            "scaling stays a network",
            beta * Omega - gain <= size,
            "the best factor 1 - (βΩ - ⟨ν, f⟩)/‖f‖² for the output is ≥ 0",
            "the network is so far off that the zero network is better; compare with that",
        ),
    ),
    definitions=(OMEGA, GAIN, Definition("size", total(f**2, "i"), "‖f‖²")),
    parts=(Part("distance", (beta * Omega - gain) ** 2 / (2 * size) <= F - F_best),),
    setting=SETTING,
    derivations={"squared": f"{_DERIVATIONS}:euler_defect"},
    claim=CLAIM,
)

LOWER_BOUND = Statement(
    id="convex-relu/lower-bound",
    title="A residual, scaled until no neuron helps, bounds the global optimum from below",
    kind=Kind.INEQUALITY,
    source=Source(PILANCI_ERGEN, "dual program", "at a multiple of a network's residual"),
    hypotheses=(
        Hypothesis(
            "a price",
            number(0) < M,
            "some neuron changes the loss",
            "the residual is orthogonal to every neuron: the network is a global optimum of the loss alone",
        ),
        Hypothesis(
            "the residual points to the targets",
            number(0) <= total(nu * y, "i"),
            "⟨ν, y⟩ ≥ 0",
            "use a network that is no worse than the zero network",
        ),
    ),
    definitions=(
        Definition(
            "tau",
            minimum(beta / M, total(nu * y, "i") / total(nu**2, "i")),
            "the best multiple of ν that is feasible",
        ),
    ),
    parts=(
        Part(
            "bound",
            tau * total(nu * y, "i") - tau**2 * total(nu**2, "i") / 2 <= F_best,
        ),
    ),
    setting=SETTING,
    derivations={"squared": f"{_DERIVATIONS}:lower_bound"},
    claim=CLAIM,
)

STATEMENTS: tuple[Statement, ...] = (GLOBAL_CERTIFICATE, EULER_DEFECT, LOWER_BOUND)
