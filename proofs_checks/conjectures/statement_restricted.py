"""Optima of restricted problems in certificates: the thresholds at which classes become zero or merge.

V_k and J_c (see `theory.collapse_thresholds`) are infima over some networks. A certificate does not contain them but a
number that bounds them: the objective of an explicit network of that sort from above, or the value of an explicit dual
vector from below. In the relations of the registered statements the bound says enough: what fails with the bound fails
with the infimum,

* ``J + margin <= V + ...`` with an upper bound of V, because V is alone on the right side;
* ``J + (1 - alive)(V - J) == J`` with a lower bound V' of V that is at least J, if the left side is shown to be the
  larger one: then 1 - alive > 0 and V >= V' > J.

So these are used for the relations of the registered statements only, whatever the definitions in them say.

Upper bounds are computed from the matrices of the network. Lower bounds rest on weak duality, cross-entropy without
bias: for probabilities p_i and Γ = (p_i - e_{y_i})/N the mean entropy of the p_i bounds the infimum from below, if
<-Γ, Z> is at most the decay for all networks that are allowed. The kernel evaluates the condition that
`proofs_checks.claims.collapse_bounds` derives for Γ of the form used here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from proofs_checks.claims.collapse_bounds import Groups, nearly_optimal
from proofs_checks.collapse_cases import FeatureCase
from proofs_checks.conjectures.statement_programs import NoProgram, Raw
from theory import array_functions as ops
from theory.collapse_thresholds import MINORITY, UPFM_CE_ZERO
from theory.quantity import Relation
from theory.statement import Part, Statement
from theory.tracing import Array, array

BITS = 40  # of the entries of networks, relative to the largest
CLOSER = 1 - Fraction(
    1, 2**40
)  # a step towards the one-hot vectors, until a dual vector is feasible
_KNOWN: dict[str, tuple[Relation, ...]] = {
    "V": tuple(p.relation for p in UPFM_CE_ZERO.parts),
    "J_c": tuple(p.relation for p in MINORITY.parts),
}


def restricted(
    name: str, statement: Statement, part: Part, case: FeatureCase, raw: Raw, J: Callable[[], Array]
) -> Array:
    """A bound of V (for every class) or of J_c on the side that a part of a statement needs.

    Raises:
        NoProgram: another relation than in the registered statement, where a bound might not say enough.
    """
    inside = any(name in d.value.variables() for d in statement.definitions)
    if part.relation not in _KNOWN[name] or inside:
        raise NoProgram(
            f"{name} enters a certificate by a bound, which says enough in the relations of the registered "
            "statements only: no certificate"
        )
    if case.loss != "ce" or case.bias:
        raise NoProgram(f"{name} is bounded for the cross-entropy without bias only")
    below = part.relation.op == "=="
    if name == "V":
        bound = _value_without if not below else _dual_without
        out = array([bound(case, raw, k) for k in range(case.K)])
    else:
        out = (_dual_merged if below else _value_merged)(case, raw)
    if below:
        raw.one_sided = True
        return ops.maximum(out, J())
    return out


# -- networks ---------------------------------------------------------------------------------------------------------
def _short(a: Any) -> list[list[Fraction]]:
    """Floats, rounded to BITS bits relative to the largest."""
    a = np.asarray(a, dtype=float)
    grid = Fraction(2) ** (math.frexp(float(np.abs(a).max()) or 1.0)[1] - BITS)
    return [[round(Fraction(x) / grid) * grid for x in row] for row in a.tolist()]


def _objective(case: FeatureCase, raw: Raw, W: Array, H: Array) -> Array:
    """The objective of the network with W (d, K) and features H (d, K), one column for every class."""
    n = raw.again("n")
    N = n.sum()
    Z = H.T @ W  # logits by rows
    own = (Z * array(np.eye(case.K, dtype=int).tolist())).sum(1)
    loss = (n / N * (ops.log(ops.exp(Z).sum(1)) - own)).sum()
    decay = raw.again("lambda_W") * (W * W).sum() / 2
    return loss + decay + raw.again("lambda_H") * (n * (H * H).sum(0)).sum() / 2


def _tau(case: FeatureCase, n: int) -> float:
    """The optimal probability of each wrong class, for a class with n points by itself."""
    K = case.K
    return min(1 / K, case.N * case.L / math.sqrt(K * (K - 1) * n))


def _value_without(case: FeatureCase, raw: Raw, dead: int) -> Array:
    """The objective of a network with zero features for one class, features in an orthogonal frame."""
    K, root = case.K, math.sqrt(1 - 1 / case.K)
    W, H = np.zeros((K, K)), np.zeros((K, K))
    for j, n in enumerate(case.per_class):
        tau = _tau(case, n)
        a = math.log((1 - (K - 1) * tau) / tau)
        if j == dead or a <= 0:
            continue
        c = math.sqrt(a * root * math.sqrt(float(case.lambda_W) / (n * float(case.lambda_H))))
        H[j, j], W[j] = c, a / c * (np.eye(K)[j] - 1 / K)
    first, second = (
        raw.input(f"{name} without class {dead}", _short(m)) for name, m in (("W", W), ("H", H))
    )
    raw.facts.append((f"features without class {dead} are not negative", second >= 0))
    raw.facts.append((f"class {dead} has zero features", ops.equal(second[:, dead], 0)))
    return _objective(case, raw, first, second)


def _value_merged(case: FeatureCase, raw: Raw) -> Array:
    """The objective of a network with equal weights for all classes of the smaller size."""
    small = min(case.per_class)
    minority = [k for k, n in enumerate(case.per_class) if n == small]
    groups, p, x = _merged(case)
    K, large = case.K, [k for k in range(case.K) if k not in minority]
    u = np.array([groups.k[1] if k in large else -groups.k[0] for k in range(K)], dtype=float)
    mean = np.array([float(k in large) for k in range(K)]) / len(large)
    Z = np.array(
        [
            float(p[0]) * u + float(x) * (np.eye(K)[k] - mean) if k in large else float(p[1]) * u
            for k in range(K)
        ]
    )
    root = np.sqrt(np.array(case.per_class, dtype=float))
    left, sizes, right = np.linalg.svd((Z * root[:, None]).T)
    ratio = (float(case.lambda_H) / float(case.lambda_W)) ** 0.25
    W = ratio * np.sqrt(sizes)[:, None] * left.T
    H = np.sqrt(sizes)[:, None] * right / root / ratio
    # one column for all of the minority: that is what makes the network treat them alike
    kept = [*large, minority[0]]
    columns = raw.input("W merged", _short(W[:, kept]))
    order = [kept.index(k) if k in large else len(large) for k in range(K)]
    return _objective(case, raw, columns[:, order], raw.input("H merged", _short(H)))


def _merged(case: FeatureCase) -> tuple[Groups, tuple[Fraction, Fraction], Fraction]:
    """The two groups and the logits of a nearly optimal network, see `collapse_bounds`."""
    small, large = min(case.per_class), max(case.per_class)
    k_B = case.per_class.count(small)
    groups = Groups((case.K - k_B, k_B), (large, small), case.L_squared, case.L)
    return groups, *nearly_optimal(groups)


# -- dual vectors -----------------------------------------------------------------------------------------------------
def _entropy(terms: list[tuple[int | Fraction, Array]]) -> Array:
    """-Σ m p log p over multiplicities m and probabilities p."""
    out = array(0)
    for count, p in terms:
        if count:
            out = out - count * p * ops.log(p)
    return out


def _dual_without(case: FeatureCase, raw: Raw, dead: int) -> Array:
    """The value of a dual vector for networks with zero features for one class."""
    K, N = case.K, case.N
    L_squared = raw.again("lambda_W") * raw.again("lambda_H")
    out = array(Fraction(case.per_class[dead], N)) * ops.log(array(K))
    for j, n in enumerate(case.per_class):
        if j == dead:
            continue
        exact = Fraction(_tau(case, n)).limit_denominator(10**9)
        while exact * K > 1 or n * exact**2 * K * (K - 1) > N**2 * case.L_squared:
            exact *= CLOSER
        tau = raw.input(f"tau {dead} {j}", exact)
        raw.facts.append(
            (f"dual feasible {dead} {j}", n * tau**2 * K * (K - 1) <= N**2 * L_squared)
        )
        out = out + Fraction(n, N) * _entropy([(1, 1 - (K - 1) * tau), (K - 1, tau)])
    return out


def _dual_merged(case: FeatureCase, raw: Raw) -> Array:
    """The value of a dual vector for networks that treat all classes of the smaller size alike.

    A point of group s gives each wrong class of its group the probability q_s1, each class of the other group q_s2.
    """
    g, p, x = _merged(case)
    L_squared = raw.again("lambda_W") * raw.again("lambda_H")
    K, N = case.K, case.N
    wrong = []
    for s in (0, 1):
        along, apart = g.directions(s)
        z = [float(p[s] * e + x * f) for e, f in zip(along, apart, strict=True)]
        mass = sum(c * math.exp(a - max(z)) for c, a in zip(g.counts(s), z, strict=True))
        wrong.append([Fraction(math.exp(a - max(z)) / mass) for a in z[1:]])

    def sizes(q: Any) -> tuple[Any, Any]:
        """The squares of Γ along u, and on the majority; both at most L²."""
        first = sum(g.k[s] * g.n[s] * (K * g.k[1 - s] * q[s][1]) ** 2 for s in (0, 1))
        second = g.n[0] * (g.k[0] * q[0][0] + g.k[1] * q[0][1]) ** 2
        return first / (g.u_squared * N**2), second / Fraction(N**2)

    largest = max(sizes(wrong)[: 2 if g.k[0] > 1 else 1])
    theta = Fraction(1)
    if largest > case.L_squared:
        theta = Fraction(math.sqrt(case.L_squared / largest))
        while theta**2 * largest > case.L_squared:
            theta *= CLOSER
    q = [
        [raw.input(f"q {s} {k}", theta * value) for k, value in enumerate(wrong[s])] for s in (0, 1)
    ]
    for label, size in zip(("along", "majority"), sizes(q), strict=True):
        if label == "along" or g.k[0] > 1:
            raw.facts.append((f"dual feasible {label}", size <= L_squared))
    out = array(0)
    for s in (0, 1):
        _, k_1, k_2 = g.counts(s)
        top = 1 - k_1 * q[s][0] - k_2 * q[s][1]
        out = out + Fraction(g.k[s] * g.n[s], N) * _entropy(
            [(1, top), (k_1, q[s][0]), (k_2, q[s][1])]
        )
    return out
