"""Letters, hypotheses and their words for the derivation of free features with cross-entropy, balanced classes."""

from __future__ import annotations

import sympy
from sympy import Sum, Symbol, exp, log, sqrt

from theory.collapse_derivation_setting import (
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
    lambda_H,
    lambda_W,
    w_c,
    z,
    z_c,
)
from theory.symbols import Atom, Norm, Rel, eq, le

n = Symbol("n_min", positive=True)
t, q = sympy.symbols("t q", positive=True)
a, b = sympy.symbols("a b", nonnegative=True)
bias, c = Atom("bias", j), Atom("c", i)
x = z + bias - c  # the logarithm of the network's probability
ENTROPY = -q * log(q) - (K - 1) * t * log(t)
TOP = 1 - (K - 1) * t
LOGIT = log(q) - log(t)
ALL_FEATURES = Sum(h, POINTS)
PULL = K * SUM_OF_CLASS - ALL_FEATURES

HYPOTHESES: dict[str, Rel] = {
    name: DATA[name] for name in ("one-hot", "one class per point", "L")
} | {
    "class sizes": eq(Sum(Y(), POINTS), n),
    "classes": le(1, K),
    "t <= 1/K": le(K * t, 1),
    "t <= L√n": le(t, L * sqrt(n)),
    "t is one of the two": eq((L * sqrt(n) - t) * (1 - K * t), 0),
    "right class": eq(q, TOP),
    "log-sum-exp": eq(Sum(exp(x), CLASSES), 1),
    "optimum": eq(J, Sum(c - Sum(Y() * (z + bias), CLASSES), POINTS) / N + DECAY),
    "size of a": eq(lambda_W * a**2, L * sqrt(n) * LOGIT),
    "size of b": eq(lambda_H * n * b**2, L * sqrt(n) * LOGIT),
    "collapsed classifier": eq(Norm(w_c) ** 2, a**2 * (K - 1) / K),
    "collapsed feature": eq(Norm(h_c) ** 2, b**2 * (K - 1) / K),
    "collapsed logit": eq(z_c, a * b * (Y() - 1 / K)),
    "collapsed log-sum-exp": eq(Sum(exp(z_c - c_c), CLASSES), 1),
    "collapsed network": le(J, Sum(c_c - Sum(Y() * z_c, CLASSES), POINTS) / N + COLLAPSED_DECAY),
}
SIMPLEX_WORDS = WORDS | {
    "class sizes": "balanced: every class has n points",
    "classes": "there is a class",
    "t <= 1/K": "definition of t as the smaller of L√n and 1/K",
    "t <= L√n": "definition of t",
    "t is one of the two": "definition of t",
    "right class": "what t leaves",
    "log-sum-exp": "definition of c_i = log Σ_j exp z_ji",
    "optimum": "the network attains J; without a bias it is 0",
    "size of a": "definition of a = √(L√n log(q/t)/λ_W)",
    "size of b": "definition of b = √(L√n log(q/t)/(λ_H n))",
    "collapsed classifier": "the collapsed network: w_j = a (e_j - 1/K), which needs d >= K; ‖e_j - 1/K‖² = (K-1)/K",
    "collapsed feature": "and h_i = b (e_j - 1/K) for the points of class j",
    "collapsed logit": "inner products of the same vectors: <e_j - 1/K, e_r - 1/K> = 1[j = r] - 1/K",
    "collapsed log-sum-exp": "definition of its c_i, with the bias 0",
    "collapsed network": "J is a minimum",
}
