"""Letters, hypotheses and their words for the derivation of features >= 0 with cross-entropy."""

from __future__ import annotations

from sympy import Expr, Sum, exp, log

from theory.collapse_derivation_setting import (
    ALL_CLASSES,
    CLASSES,
    COLLAPSED_DECAY,
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
    c_c,
    h,
    h_c,
    i,
    j,
    k,
    lambda_H,
    lambda_W,
    n,
    r,
    w_c,
    z,
    z_c,
)
from theory.symbols import Atom, Inner, Norm, Rel, Vec, eq, le, lt

tau, q, theta = Atom("tau", j), Atom("q", j), Atom("theta", j)
v, b = Atom("v", j), Atom("b", j)
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
    "v >= 0": le(0, v),
    "b >= 0": le(0, b),
    "size of v": eq(lambda_W * v**2, n / N * K * theta * LOGIT),
    "size of b": eq(lambda_H * n * b**2, n / N * (K - 1) * theta * LOGIT),
    "collapsed classifier": eq(
        Norm(w_c) ** 2, v**2 * (1 - 2 / K) + Sum(of(v) ** 2, ALL_CLASSES) / K**2
    ),
    "collapsed feature": eq(Norm(h_c) ** 2, Sum(Y() * b**2, CLASSES)),
    "collapsed logit": eq(z_c, (Y() - 1 / K) * Sum(Y(r, i) * of(v * b), ALL_CLASSES)),
    "collapsed log-sum-exp": eq(Sum(exp(z_c - c_c), CLASSES), 1),
    "collapsed network": le(J, Sum(c_c - Sum(Y() * z_c, CLASSES), POINTS) / N + COLLAPSED_DECAY),
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
    "v >= 0": "definition of v_j = √(n_j K θ_j log(q_j/τ_j)/(N λ_W))",
    "b >= 0": "definition of b_j = √((K-1) θ_j log(q_j/τ_j)/(N λ_H))",
    "size of v": "definition of v_j",
    "size of b": "definition of b_j",
    "collapsed classifier": "the collapsed network: w_j = Σ_r v_r (1[j = r] - 1/K) e_r in an orthonormal frame, d >= K",
    "collapsed feature": "and h_i = b_j e_j for the points of class j; frames are >= 0 where e_j are unit vectors",
    "collapsed logit": "inner products of the same vectors: v_r b_r (1[j = r] - 1/K) for a point of class r",
    "collapsed log-sum-exp": "definition of its c_i, with the bias 0",
    "collapsed network": "J is a minimum",
}
