"""The flow of a two-layer linear network entry by entry, and one step of gradient descent, as the derivations use them.

W = W1 W2 with W1 (n,h) and W2 (h,m); G = ∇f(W1 W2), (n,m), is an arbitrary function of the state. Indices: hidden units
j and i, rows r = 1…n, columns c = 1…m; the sizes are symbols, so nothing depends on them.
"""

from __future__ import annotations

from functools import cache

import sympy
from sympy import Expr, Symbol

from theory.checking import Setting
from theory.early_alignment_setting import POINTS, active, g, relu, v, v_start, w, w_start
from theory.early_alignment_setting import h as neurons
from theory.early_alignment_setting import i as point
from theory.early_alignment_setting import j as neuron
from theory.early_alignment_setting import n as points
from theory.symbols import START, Atom, MaxOver, Norm, Vec, index, size

j, i, r, c = index("j"), index("i"), index("r"), index("c")
h, n, m = size("h"), size("n"), size("m")
eta = Symbol("eta", positive=True)
t = Symbol("t", nonnegative=True)
ROWS, COLUMNS = (r, 1, n), (c, 1, m)
HIDDEN = ((i, 1, h), (j, 1, h))  # innermost first, as in the statements

D, D_0, D_next = (Atom(name, j, i) for name in ("D", "D_0", "D_next"))
P, Q = Atom("P", j, i), Atom("Q", j, i)
S = Atom("S")


def W1(row: Expr, unit: Expr, suffix: str = "") -> Atom:
    """Entry (row, unit) of the first layer; suffix ``START`` at t = 0, "+" after the step."""
    return Atom("W1" + suffix, row, unit)


def W2(unit: Expr, column: Expr, suffix: str = "") -> Atom:
    """Entry (unit, column) of the second layer."""
    return Atom("W2" + suffix, unit, column)


G = Atom("G", r, c)


def gradient_1(row: Expr, unit: Expr) -> Expr:
    """Entry (row, unit) of ∇W2ᵀ, the gradient of the first layer."""
    return sympy.Sum(Atom("G", row, c) * W2(unit, c), COLUMNS)


def gradient_2(unit: Expr, column: Expr) -> Expr:
    """Entry (unit, column) of W1ᵀ∇, the gradient of the second layer."""
    return sympy.Sum(W1(r, unit) * Atom("G", r, column), ROWS)


def gram_1(suffix: str = "") -> Expr:
    """Entry (j, i) of W1ᵀW1."""
    return sympy.Sum(W1(r, j, suffix) * W1(r, i, suffix), ROWS)


def gram_2(suffix: str = "") -> Expr:
    """Entry (j, i) of W2W2ᵀ."""
    return sympy.Sum(W2(j, c, suffix) * W2(i, c, suffix), COLUMNS)


def squared_gradient_1() -> Expr:
    """Entry (j, i) of W2∇ᵀ∇W2ᵀ."""
    return sympy.Sum(gradient_1(r, j) * gradient_1(r, i), ROWS)


def squared_gradient_2() -> Expr:
    """Entry (j, i) of W1ᵀ∇∇ᵀW1."""
    return sympy.Sum(gradient_2(j, c) * gradient_2(i, c), COLUMNS)


def largest(entries: Expr) -> Expr:
    """max over j and i of |entries_ji|."""
    return MaxOver(sympy.Abs(entries), *HIDDEN)


@cache
def linear_network() -> Setting:
    """Two layers, any sizes, any differentiable loss of the product."""
    after = {
        "W1+": ((r, j), W1(r, j) - eta * gradient_1(r, j)),
        "W2+": ((j, c), W2(j, c) - eta * gradient_2(j, c)),
    }
    return Setting(
        name="two-layer linear network",
        time=t,
        indices={j: h, i: h, r: n, c: m},
        flow={"W1": ((r, j), -gradient_1(r, j)), "W2": ((j, c), -gradient_2(j, c))},
        state=frozenset({"W1", "W2", "G", "D", "S"}),
        definitions={
            **after,
            "D": ((j, i), gram_1() - gram_2()),
            "D_0": ((j, i), gram_1(START) - gram_2(START)),
            "D_next": ((j, i), gram_1("+") - gram_2("+")),
            "P": ((j, i), squared_gradient_1()),
            "Q": ((j, i), squared_gradient_2()),
        },
    )


# -- one ReLU neuron --------------------------------------------------------------------------------------------------
a, b = Atom("a", neuron), Atom("b", neuron)
w_0, v_0 = Vec("w_0", neuron), Atom("v_0", neuron)
A = Norm(w) ** 2 + v_start**2
B = Norm(w_start) ** 2 + v**2


@cache
def relu_network() -> Setting:
    """Two-layer ReLU network with any loss: g_i = -∂L/∂f_i is an arbitrary function of the state."""
    return Setting(
        name="two-layer ReLU network, any loss",
        time=t,
        indices={neuron: neurons, point: points},
        flow={
            "w": ((neuron,), v * sympy.Sum(g * active * Vec("x", point), POINTS)),
            "v": ((neuron,), sympy.Sum(g * relu, POINTS)),
        },
        state=frozenset({"w", "v", "g", "a", "b"}),
        definitions={"a": ((neuron,), A), "b": ((neuron,), B)},
    )
