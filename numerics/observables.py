"""The variables that quantities may use on a step of a trajectory.

Arrays: ``w(j,k)``, ``v(j)``, ``x(i,k)``, ``y(i)``, ``s(j,i)`` activations, ``moves(j)`` whether the neuron has one,
``z(j,i)`` = ⟨w_j, x_i⟩, ``f(i)`` outputs, ``g(i)`` = -∂L/∂f_i, ``gy(i)`` = g - y without cancellation,
``G(j,k)`` = Σ_i s g x. Numbers: ``t``, ``loss``, ``grad_sq`` = ‖∇L‖², ``growth(j)`` = d‖w_j‖²/dt / ‖w_j‖², ``n``,
``h``, ``d``, ``weight``.

Derived variables are plain data over the primary ones and are evaluated on first use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numerics.evaluate import NDIM, Environment, freeze
from numerics.extended import Float, Int, ScaledArray, constant, scaled

Data = list[Any]


def _v(name: str) -> Data:
    return ["var", name]


_ONE: Data = ["rat", "1"]
# Not s z: within the error of a kink, a unit of a moving neuron that is off may be on. A neuron without any active
# point rests, on its last kink as elsewhere, and its outputs are exactly 0.
_ACTIVE: Data = ["mul", _v("moves"), ["relu", _v("z")]]
_MARGIN: Data = ["mul", _v("y"), _v("f")]  # y f
_GROWN: Data = ["expm1", _MARGIN]  # e^{yf} - 1

DERIVED: dict[str, Data] = {
    "z": ["inner", _v("w"), _v("x")],
    "f": ["sum", "j", ["mul", _v("v"), _ACTIVE]],
    # force and loss of one point, times the weight of a point
    "g": ["mul", _v("weight"), _v("g_point")],
    "gy": ["add", ["mul", _v("weight"), _v("change")], ["neg", ["mul", _v("y"), _v("lost")]]],
    "loss": ["mul", _v("weight"), ["sum", "i", _v("loss_point")]],
    "G": ["sum", "i", ["mul", _v("s"), _v("g"), _v("x")]],
    "grad_sq": [
        "sum",
        "j",
        [
            "add",
            ["mul", ["pow", _v("v"), ["rat", "2"]], ["sqnorm", _v("G")]],
            ["pow", ["inner", _v("G"), _v("w")], ["rat", "2"]],
        ],
    ],
    "growth": [
        "div",
        ["mul", ["rat", "2"], _v("v"), ["sum", "i", ["mul", _v("g"), _ACTIVE]]],
        ["sqnorm", _v("w")],
    ],
}

# g at one point, g(f) - g(0), and l; g(0) = start * y
_BY_LOSS: dict[str, tuple[float, dict[str, Data]]] = {
    "exponential": (
        1.0,
        {
            "g_point": ["mul", _v("y"), ["exp", ["neg", _MARGIN]]],
            "change": ["mul", _v("y"), ["expm1", ["neg", _MARGIN]]],
            "loss_point": ["exp", ["neg", _MARGIN]],
        },
    ),
    "squared": (
        2.0,
        {
            "g_point": ["mul", ["rat", "2"], ["add", _v("y"), ["neg", _v("f")]]],
            "change": ["mul", ["rat", "-2"], _v("f")],
            "loss_point": ["pow", ["add", _v("f"), ["neg", _v("y")]], ["rat", "2"]],
        },
    ),
}
for _name, _factor in (("logistic2", 2), ("logistic", 1)):
    _c: Data = ["rat", str(_factor)]
    _BY_LOSS[_name] = (
        _factor / 2,
        {
            "g_point": ["div", ["mul", _c, _v("y")], ["add", _ONE, ["exp", _MARGIN]]],
            # 1/(1+e^a) - 1/2 = -(e^a - 1) / (2 (e^a - 1) + 4)
            "change": [
                "neg",
                [
                    "div",
                    ["mul", _c, _v("y"), _GROWN],
                    ["add", ["mul", ["rat", "2"], _GROWN], ["rat", "4"]],
                ],
            ],
            "loss_point": ["mul", _c, ["log1p", ["exp", ["neg", _MARGIN]]]],
        },
    )
_FROZEN = {
    name: {k: freeze(data) for k, data in {**DERIVED, **by_loss}.items()}
    for name, (_, by_loss) in _BY_LOSS.items()
}


def environment(
    *,
    X: Float,
    y: Float,
    loss: str,
    weight: float,
    times: Float,
    W: Float,
    V: Float,
    mask: np.ndarray,
    exponent: Int,
    radius: Float,
    eps_mantissa: Float,
    eps_exponent: Int,
    numbers: Environment,
    lanes: np.ndarray,
) -> Environment:
    """The environment of one step at given instants.

    Args:
        X: (n, d) points. y: (n,) labels. loss: name. weight: factor of the loss of one point.
        times: (L, m). W: (L, m, h, d), V: (L, m, h): states divided by ``eps * 2**exponent``.
        mask: (L, h, n) activations during the step. exponent: (L, h).
        radius: (L, h), error of (w_j, v_j) in the units of W.
        eps_mantissa, eps_exponent: (L,), the scale of the initialisation.
        numbers: further variables, of more lanes. lanes: (L,) which of them these are.
    """
    start, _ = _BY_LOSS[loss]
    neurons = slice(None), None, slice(None), None, None
    # the mantissa of eps is rounded, and multiplies W with another rounding: both go to the radius
    factor = eps_mantissa[:, None, None, None, None]
    e = (exponent + eps_exponent[:, None])[neurons]
    r = radius[neurons] * factor
    w = W[:, :, :, None, :] * factor
    v = V[:, :, :, None, None] * factor
    size = np.sqrt(np.sum(w * w, axis=-1, keepdims=True))
    variables: dict[str, ScaledArray] = {
        "w": scaled(w, r + 2.0**-51 * size, e),
        "v": scaled(v, r + 2.0**-51 * np.abs(v), e),
        "x": scaled(X[None, None, None, :, :]),
        "y": scaled(y[None, None, None, :, None]),
        "s": scaled(mask[:, None, :, :, None].astype(np.float64)),
        "moves": scaled(
            np.any(mask, axis=2, keepdims=True)[:, None, :, :, None].astype(np.float64)
        ),
        "t": scaled(times[:, :, None, None, None]),
        "weight": constant(weight, NDIM, 0.0 if weight == 1.0 else 2.0**-52 * weight),
        "lost": constant(1.0 - weight * start, NDIM, 0.0 if weight * start == 1.0 else 2.0**-51),
        "n": constant(float(X.shape[0]), NDIM),
        "d": constant(float(X.shape[1]), NDIM),
        "h": constant(float(W.shape[2]), NDIM),
    }
    return Environment(variables, _FROZEN[loss], outer=numbers, rows=lanes)
