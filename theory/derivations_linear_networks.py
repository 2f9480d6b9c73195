"""The derivations of the imbalance statements: entry by entry, with symbolic sizes.

One function per statement, named as the statements of `theory.linear_networks` name them. The loss enters through
G = ∇f only, so one derivation serves every differentiable loss.
"""

from __future__ import annotations

from functools import cache

import sympy

from theory.derivation import Derivation, Step
from theory.early_alignment_setting import NEURONS, v, v_start, w, w_start
from theory.gronwall import Gronwall
from theory.justifications import Assume, Identity, combine
from theory.justifications_flow import AlmostEverywhere, AlongFlow
from theory.linear_networks_setting import (
    COLUMNS,
    D_0,
    ROWS,
    W1,
    W2,
    A,
    B,
    D,
    D_next,
    G,
    P,
    Q,
    S,
    a,
    b,
    c,
    eta,
    gradient_1,
    gradient_2,
    gram_1,
    gram_2,
    i,
    j,
    largest,
    linear_network,
    r,
    relu_network,
    squared_gradient_1,
    squared_gradient_2,
)
from theory.symbols import START, MaxOver, Norm, Rate, Rel, eq, lt

# (W1ᵀ∇W2ᵀ)_ij + (W1ᵀ∇W2ᵀ)_ji, what both layers have in common
CROSS = sympy.Sum(sympy.Sum(G * (W1(r, i) * W2(j, c) + W1(r, j) * W2(i, c)), COLUMNS), ROWS)


def _assumed(hypotheses: dict[str, Rel], words: dict[str, str]) -> list[Step]:
    return [
        Step(name, relation, Assume(name), words[name]) for name, relation in hypotheses.items()
    ]


@cache
def imbalance_flow() -> Derivation:
    """D' = 0: both layers' Gram matrices change by the same symmetric matrix."""
    gap, start = gram_1() - gram_2(), gram_1(START) - gram_2(START)
    hypotheses = {"imbalance": eq(D, gap), "imbalance at the start": eq(D_0, start)}
    words = {"imbalance": "definition of D", "imbalance at the start": "definition of D_0"}
    steps = (
        Step("first layer", eq(Rate(gram_1()), -CROSS), AlongFlow(), "W1' = -∇W2ᵀ"),
        Step("second layer", eq(Rate(gram_2()), -CROSS), AlongFlow(), "W2' = -W1ᵀ∇"),
        Step(
            "no change",
            eq(Rate(gap), 0),
            combine((1, "first layer"), (-1, "second layer")),
            "the two rates are equal",
        ),
        Step(
            "conserved", eq(gap, start), Gronwall("no change"), "so the difference keeps its value"
        ),
        *_assumed(hypotheses, words),
        Step(
            "entry",
            eq(D, D_0),
            combine((1, "conserved"), (1, "imbalance"), (-1, "imbalance at the start")),
            "every entry of D is constant",
        ),
        Step(
            "largest deviation",
            eq(S + largest(D - D_0), S),
            Identity(using=("entry",)),
            "the largest deviation is 0",
        ),
    )
    return Derivation(
        name="imbalance under gradient flow",
        setting=linear_network(),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"imbalance": "largest deviation"},
    )


@cache
def imbalance_descent() -> Derivation:
    """D⁺ = D + η² (P - Q): the terms of first order in η cancel."""
    hypotheses = {
        "step of W1": eq(W1(r, j, "+"), W1(r, j) - eta * gradient_1(r, j)),
        "step of W2": eq(W2(j, c, "+"), W2(j, c) - eta * gradient_2(j, c)),
        "imbalance": eq(D, gram_1() - gram_2()),
        "imbalance after the step": eq(D_next, gram_1("+") - gram_2("+")),
        "square of the first gradient": eq(P, squared_gradient_1()),
        "square of the second gradient": eq(Q, squared_gradient_2()),
    }
    words = {
        "step of W1": "gradient descent: W1⁺ = W1 - η ∇W2ᵀ",
        "step of W2": "gradient descent: W2⁺ = W2 - η W1ᵀ∇",
        "imbalance": "definition of D",
        "imbalance after the step": "definition of D_next",
        "square of the first gradient": "definition of P",
        "square of the second gradient": "definition of Q",
    }
    steps = (
        *_assumed(hypotheses, words),
        Step(
            "first layer",
            eq(gram_1("+"), gram_1() - eta * CROSS + eta**2 * squared_gradient_1()),
            Identity(using=("step of W1",)),
            "W1⁺ᵀW1⁺ expanded",
        ),
        Step(
            "second layer",
            eq(gram_2("+"), gram_2() - eta * CROSS + eta**2 * squared_gradient_2()),
            Identity(using=("step of W2",)),
            "W2⁺W2⁺ᵀ expanded",
        ),
        Step(
            "difference",
            eq(
                gram_1("+") - gram_2("+"),
                gram_1() - gram_2() + eta**2 * (squared_gradient_1() - squared_gradient_2()),
            ),
            combine((1, "first layer"), (-1, "second layer")),
            "the terms of first order in η cancel",
        ),
        Step(
            "entry",
            eq(D_next, D + eta**2 * (P - Q)),
            combine(
                (1, "difference"),
                (1, "imbalance after the step"),
                (-1, "imbalance"),
                (-(eta**2), "square of the first gradient"),
                (eta**2, "square of the second gradient"),
            ),
            "every entry of D",
        ),
        Step(
            "largest deviation",
            eq(S + largest(D_next - D - eta**2 * (P - Q)), S),
            Identity(using=("entry",)),
            "the largest deviation is 0",
        ),
    )
    return Derivation(
        name="imbalance under gradient descent",
        setting=linear_network(),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"imbalance": "largest deviation"},
    )


@cache
def imbalance_flow_relu() -> Derivation:
    """‖w_j‖² - v_j² is constant: its rate vanishes off kinks, hence almost everywhere."""
    gap = Norm(w) ** 2 - v**2
    hypotheses = {
        "definition of a": eq(a, A),
        "definition of b": eq(b, B),
        "non-zero start": lt(0, Norm(w_start)),
    }
    words = {
        "definition of a": "a_j = ‖w_j‖² + v_j(0)²",
        "definition of b": "b_j = ‖w_j(0)‖² + v_j²",
        "non-zero start": "every neuron starts with a direction",
    }
    steps = (
        Step("no change off kinks", eq(Rate(gap), 0), AlongFlow(), "‖w_j‖² and v_j² grow alike"),
        Step(
            "no change",
            eq(Rate(gap), 0),
            AlmostEverywhere("no change off kinks"),
            "squares are locally Lipschitz",
        ),
        Step(
            "conserved",
            eq(gap, Norm(w_start) ** 2 - v_start**2),
            Gronwall("no change"),
            "so the difference keeps its value",
        ),
        *_assumed(hypotheses, words),
        Step(
            "equal",
            eq(a, b),
            combine((1, "conserved"), (1, "definition of a"), (-1, "definition of b")),
            "the same without differences",
        ),
        Step(
            "b > 0",
            lt(0, b),
            combine(
                (-1, "definition of b"),
                (Norm(w_start), "non-zero start"),
                remainder=v**2,
                facts=("non-zero start",),
            ),
        ),
        Step("a > 0", lt(0, a), combine((1, "b > 0"), (-1, "equal"))),
        Step(
            "from above",
            eq(MaxOver(a / b, NEURONS), 1),
            Identity(using=("equal",)),
            "the largest ratio is 1",
        ),
        Step(
            "from below",
            eq(MaxOver(b / a, NEURONS), 1),
            Identity(using=("equal",)),
            "and the largest inverse ratio",
        ),
    )
    return Derivation(
        name="imbalance of ReLU neurons",
        setting=relu_network(),
        hypotheses=hypotheses,
        constants=(),
        steps=steps,
        concludes={"from above": "from above", "from below": "from below"},
    )
