"""Letters, hypotheses and their words for the derivation of features >= 0 with cross-entropy."""

from __future__ import annotations

from sympy import Expr, Sum, exp, log

from theory.collapse_derivation_setting import (
    ALL_CLASSES,
    CLASSES,
    DATA,
    DECAY,
    POINTS,
    SUM_OF_CLASS,
    WORDS,
    J,
    K,
    L,
    N,
    Y,
    h,
    i,
    j,
    k,
    lambda_H,
    lambda_W,
    n,
    r,
    z,
)
from theory.symbols import Atom, Inner, Rel, Vec, eq, le, lt

tau, q, theta = Atom("tau", j), Atom("q", j), Atom("theta", j)
a, b, P = Atom("a", j), Atom("b", j), Atom("P", j)
bias, c = Atom("bias", j), Atom("c", i)
x = z + bias - c  # the logarithm of the network's probability
LOGIT = log(q) - log(tau)
ENTROPY = -q * log(q) - (K - 1) * tau * log(tau)
TOP = 1 - (K - 1) * tau


def of(e: Expr) -> Expr:
    """An expression about class j, said of class r."""
    return e.xreplace({j: r})


def at(e: Expr) -> Expr:
    """An expression about point i, said of point k."""
    return e.xreplace({i: k})


T = Sum(of(tau) * Y(r, i), ALL_CLASSES)  # τ of the class of point i
G = Sum(T * h, POINTS)
PULL = K * tau * SUM_OF_CLASS - G
OWN = c - Sum(Y() * (z + bias), CLASSES)
VALUE = Sum(n / N * ENTROPY, CLASSES)

HYPOTHESES: dict[str, Rel] = DATA | {
    "class of a point": eq(Y() * T, Y() * tau),
    "features >= 0": le(0, Inner(h, Vec("h", k))),
    "classes": le(1, K),
    "tau > 0": lt(0, tau),
    "tau <= 1/K": le(K * tau, 1),
    "tau <= theta": le(tau, theta),
    "tau is one of the two": eq((theta - tau) * (1 - K * tau), 0),
    "theta": eq(theta**2 * K * (K - 1) * n, N**2 * L**2),
    "right class": eq(q, TOP),
    "log-sum-exp": eq(Sum(exp(x), CLASSES), 1),
    "biases": eq(bias * (Sum(of(tau * n), ALL_CLASSES) - K * tau * n), 0),
    "optimum": eq(J, Sum(OWN, POINTS) / N + DECAY),
    "probability": eq(P * (1 + (K - 1) * exp(-LOGIT)), 1),
    "classifier": eq(lambda_W * a**2, n / N * (K - 1) * theta * LOGIT),
    "features": eq(lambda_H * n * b**2, n / N * (K - 1) * theta * LOGIT),
    "collapsed network": le(
        J, Sum(-n / N * log(P) + (lambda_W * a**2 + lambda_H * n * b**2) / 2, CLASSES)
    ),
}
FRAME_WORDS = WORDS | {
    "class of a point": "a point has one class, so Σ_r τ_r Y_ri is the τ of this class",
    "features >= 0": "coordinates are >= 0, hence inner products",
    "classes": "there is a class",
    "tau > 0": "definition of τ_j as the smaller of θ_j and 1/K",
    "tau <= 1/K": "definition of τ_j",
    "tau <= theta": "definition of τ_j",
    "tau is one of the two": "definition of τ_j",
    "theta": "θ_j = NL/√(K(K-1)n_j)",
    "right class": "what τ_j leaves",
    "log-sum-exp": "definition of c_i = log Σ_j exp z_ji",
    "biases": "there is none, or the classes are balanced and τ_j n_j is the same for all",
    "optimum": "the network attains J; without a bias it is 0",
    "probability": "of the right class where the logits of the others are lower by log(q_j/τ_j)",
    "classifier": "the collapsed network: logits log(q_j/τ_j) (e_j - 1/K) for class j, from a part of W of norm a_j",
    "features": "and h_i = b_j e_j, an orthogonal frame, which needs d >= K; λ_W a_j² = λ_H n_j b_j² = L √n_j ‖z_j‖",
    "collapsed network": "J is a minimum",
}
