"""The axes of every model, and where its cases come from; `unit` calls the generators by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proofs_checks.campaigns.rules import Rule

_NETWORKS = "proofs_checks.campaigns.cases_networks"
_STATIC = "proofs_checks.campaigns.cases_static"

DATA = ("orthogonal", "separable", "gaussian", "digits")
STARTS = ("generic", "balanced")
RELU_NETWORKS = ("less decay", "more decay", "perturbed", "random")


@dataclass(frozen=True)
class Model:
    """One kind of cases.

    Attributes:
        generator: "module:function" from a `Draw` to a case. axes: by name. exclusive: axes that exclude each other.
    """

    generator: str
    axes: Mapping[str, Rule]
    exclusive: tuple[tuple[str, str], ...] = ()


def _two_layer(balanced: bool) -> Model:
    axes = {
        "data": Rule(str, "orthogonal", choices=DATA, text="how the points are drawn"),
        "n": Rule(int, None, 2, 10**4, text="points; 4 by default, and all of digits"),
        "d": Rule(int, None, 1, 10**4, text="dimension; 2 by default"),
        "h": Rule(int, 8, 1, 10**4, text="neurons"),
        "mu": Rule(float, None, 0.0, 1.0, open_low=True, text="least cosine of orthogonal data"),
        "log10_eps": Rule(float, None, -1e5, 10.0, text="scale of the initialisation"),
        "loss": Rule(
            str, None, choices=("exponential", "logistic2", "logistic", "squared"), text="loss"
        ),
        "balanced": Rule(bool, balanced, text="v_j = ± ‖w_j‖ at the start"),
    }
    return Model(f"{_NETWORKS}:two_layer", axes)


_FEATURES = Model(
    f"{_STATIC}:features",
    {
        "K": Rule(int, 3, 2, 128, text="classes"),
        "n": Rule(int, 4, 1, 10**5, text="points of a minority class"),
        "ratio": Rule(float, 1.0, 1.0, 10**4, text="points of a majority class / of a minority"),
        "minorities": Rule(int, None, 1, 127, text="minority classes; half of K by default"),
        "lambda": Rule(float, None, 0.0, open_low=True, text="√(λ_W λ_H)"),
        "lambda_rel": Rule(float, 0.5, 0.0, open_low=True, text="the same over √n_max / N"),
        "loss": Rule(str, None, choices=("ce", "mse"), text="loss"),
        "bias": Rule(bool, False, text="whether there is a free bias"),
        "width": Rule(int, None, 1, 1000, text="coordinates of a feature; K by default"),
    },
    (("lambda", "lambda_rel"),),
)

MODELS: dict[str, Model] = {
    "two-layer-relu": _two_layer(balanced=True),
    "neurons": _two_layer(balanced=False),
    "linear": Model(
        f"{_NETWORKS}:linear",
        {
            "n": Rule(int, 2, 1, 1000, text="inputs"),
            "h": Rule(int, 2, 1, 1000, text="hidden units"),
            "m": Rule(int, 2, 1, 1000, text="outputs"),
            "scale": Rule(float, 1.0, 1e-50, 1e50, text="factor of the weights at the start"),
            "start": Rule(str, "generic", choices=STARTS, text="how the start is drawn"),
            "eta": Rule(float, None, 0.0, 1e50, open_low=True, text="step size"),
            "eta_rel": Rule(float, None, 0.0, 1e6, open_low=True, text="η times the initial rate"),
            "steps": Rule(int, 10, 1, 1000, text="steps of gradient descent"),
            "horizon": Rule(float, None, 0.0, 1e50, open_low=True, text="length of the flow"),
        },
        (("eta", "eta_rel"),),
    ),
    "ufm": _FEATURES,
    "upfm": _FEATURES,
    "gaussian-points": Model(
        f"{_STATIC}:gaussian",
        {
            "K": Rule(int, 2, 2, 1000, text="classes"),
            "n": Rule(int, 3, 1, 1000, text="points of a class"),
            "d": Rule(int, None, 1, 10**4, text="coordinates; (K+1)n/2 by default"),
            "trials": Rule(int, 2000, 1, 10**6, text="repetitions"),
        },
    ),
    "convex-relu": Model(
        f"{_STATIC}:relu",
        {
            "n": Rule(int, 5, 1, 1000, text="points"),
            "d": Rule(int, 2, 1, 100, text="dimension"),
            "beta_rel": Rule(float, 0.15, 0.0, 100.0, open_low=True, text="β / ‖Xᵀ|y|‖"),
            "network": Rule(str, "less decay", choices=RELU_NETWORKS, text="what is compared"),
            "neurons": Rule(int, 3, 1, 1000, text="of a random network"),
        },
    ),
    "parity": Model(
        f"{_STATIC}:parity",
        {
            "d": Rule(int, 3, 1, 7, text="coordinates"),
            "k": Rule(int, 2, 1, 7, text="coordinates that the label is the product of"),
            "bias": Rule(bool, False, text="a further coordinate 1"),
        },
    ),
    "perceptron": Model(
        f"{_STATIC}:perceptron",
        {
            "n": Rule(int, 8, 1, 10**4, text="points"),
            "d": Rule(int, 3, 1, 1000, text="dimension"),
            "margin": Rule(float, 0.25, 0.0, 1.0, text="least distance to the plane of u"),
            "flips": Rule(int, 0, 0, 10**4, text="labels on the wrong side"),
            "passes": Rule(int, 200, 1, 10**4, text="over the points, at most"),
        },
    ),
    "update": Model(
        f"{_STATIC}:update",
        {
            "d": Rule(int, 3, 1, 10**4, text="entries of the vectors"),
            "eta": Rule(float, None, 0.0, 1e6, open_low=True, text="step size"),
            "size": Rule(float, 4.0, 1.0, 1e6, text="largest entry"),
        },
    ),
}
