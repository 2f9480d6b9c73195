"""The flow of a two-layer ReLU network, as the derivations of early alignment use it.

f_i = Σ_j v_j relu(<w_j, x_i>), g_i = -∂ℓ(y_i, f_i)/∂f, w_j' = v_j Σ_i g_i 1[<w_j, x_i> > 0] x_i,
v_j' = Σ_i g_i relu(<w_j, x_i>), for almost every t; y_i in {-1, 1}; h, n >= 1; ε, X_max, W_max > 0.
Solutions are absolutely continuous, with σ'(0) = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import sympy
from sympy import Expr, Rational, Symbol

from theory.checking import Setting
from theory.errors import DerivationError
from theory.instances import Instance
from theory.symbols import START, Atom, Indicator, Inner, MaxOver, Norm, Relu, Vec, index, size

j, i = index("j"), index("i")
h, n = size("h"), size("n")
eps, X_max, W_max = sympy.symbols("eps X_max W_max", positive=True)
w0_sq = sympy.Symbol("w0_sq", positive=True)  # bound on the squared norm at the start of a phase
t, T = Symbol("t", nonnegative=True), Symbol("T", nonnegative=True)
C_w, C_f, c_T, K, C_1, C_2, C, c_6 = sympy.symbols("C_w C_f c_T K C_1 C_2 C c_6", positive=True)
NEURONS, POINTS = (j, 1, h), (i, 1, n)

w, x = Vec("w", j), Vec("x", i)
v, y, f, g = Atom("v", j), Atom("y", i), Atom("f", i), Atom("g", i)
w_start, v_start = Vec("w" + START, j), Atom("v" + START, j)
overlap = Inner(w, x)
relu, active = Relu(overlap), Indicator(overlap)
u = Norm(w) ** 2  # squared norm of one neuron
U = MaxOver(u, NEURONS)
F = MaxOver(sympy.Abs(f), POINTS)
G = MaxOver(sympy.Abs(g), POINTS)
root = sympy.sqrt(h) * eps  # r = sqrt(h) eps


@dataclass(frozen=True)
class Loss:
    """A loss, through g(y, f) = -∂ℓ/∂f.

    Attributes:
        name: "exponential" or "logistic2".
        slope: g as an expression in y and f.
        kappa: |g - y| <= kappa |f|, and hence |g| <= 1 + kappa |f|.
        local: the bound needs |f| <= 1.
    """

    name: str
    slope: Expr
    kappa: Expr
    local: bool


EXPONENTIAL = Loss("exponential", y * sympy.exp(-y * f), sympy.Integer(2), True)
LOGISTIC2 = Loss("logistic2", 2 * y / (1 + sympy.exp(y * f)), Rational(1, 2), False)
LOSSES = {loss.name: loss for loss in (EXPONENTIAL, LOGISTIC2)}


def _balanced_instance(instance: Instance) -> None:
    """Set sizes, a balanced network, its start, and the scales that the hypotheses speak of."""
    rng = instance.rng
    values = instance.values
    sizes = {h: rng.randint(1, 2), n: rng.randint(1, 3)}
    values.update({k: Fraction(a) for k, a in sizes.items()})
    norms = []
    for m in range(1, sizes[h] + 1):
        for suffix in ("", START):
            shrink = Fraction(1, rng.choice((1, 2, 8, 32)))
            instance.vector("w" + suffix, (m,))
            vector = tuple(c * shrink for c in values[("w" + suffix, (m,))])
            values[("w" + suffix, (m,))] = vector
            length = _exact_root(sum((c * c for c in vector), Fraction(0)))
            values[("v" + suffix, (m,))] = length * rng.choice((1, -1))
            if suffix:
                norms.append(length)
    lengths = []
    for m in range(1, sizes[n] + 1):
        instance.vector("x", (m,))
        lengths.append(_exact_root(sum((c * c for c in values[("x", (m,))]), Fraction(0))))
    values[X_max] = max(lengths)
    values[eps] = Fraction(1, rng.choice((2, 4, 16, 64, 1024)))
    values[W_max] = max(norms) / values[eps]


def _exact_root(q: Fraction) -> Fraction:
    from math import isqrt

    a, b = isqrt(q.numerator), isqrt(q.denominator)
    if a * a != q.numerator or b * b != q.denominator:
        raise DerivationError(f"{q} is no square of a rational; draw vectors with Instance.vector")
    return Fraction(a, b)


@cache
def two_layer_relu(loss: Loss) -> Setting:
    """The setting of the derivations, for one loss."""
    return Setting(
        name=f"two-layer ReLU network, {loss.name} loss",
        time=t,
        indices={j: h, i: n},
        flow={
            "w": ((j,), v * sympy.Sum(g * active * x, POINTS)),
            "v": ((j,), sympy.Sum(g * relu, POINTS)),
        },
        state=frozenset({"w", "v", "f", "g"}),
        domains={"y": (-1, 1)},
        definitions={
            "f": ((i,), sympy.Sum(v * relu, NEURONS)),
            "g": ((i,), loss.slope),
        },
        prepare=_balanced_instance,
    )
