"""Certified intervals for optima of unconstrained features in which some classes are treated alike.

Cross-entropy without bias. Each interval lies between the objective of one network and one dual bound: for
probabilities p_i in the simplex with Γ = (p_i - e_{y_i})/N,

    Σ_i Ent(p_i)/N ≤ J   if <-Γ, Z> ≤ (λ_W/2)‖W‖² + (λ_H/2)‖H‖² for all networks that are allowed,

which is checked on exact numbers. How the network and the probabilities are found does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, ctx, fmpq

from proofs_checks.collapse_cases import FeatureCase
from proofs_checks.static import hull

BITS = 160
FAR = 1e3  # above all thresholds: the gradient at zero logits is less than √2
_CLOSER = 1 - Fraction(1, 2**48)  # a step towards the one-hot vector, until the dual is feasible


def _ball(q: Fraction | int) -> arb:
    exact = Fraction(q)
    return arb(fmpq(exact.numerator, exact.denominator))


def entropy(groups: Sequence[tuple[int, Fraction]]) -> arb:
    """-Σ m p log p over pairs (m, p) of a multiplicity and a probability ≥ 0."""
    out = arb(0)
    for count, p in groups:
        if count and p:
            out -= count * _ball(p) * _ball(p).log()
    return out


# -- features ≥ 0, one class with zero features ---------------------------------------------------------------------
def without_class(case: FeatureCase, dead: int) -> arb:
    """The best value of networks whose features of one class are zero, model `upfm`.

    The network: W and H in an orthogonal frame, with logits a_j (e_j - 1/K) for class j, whose price is at most
    L √n_j ‖z_j‖. The dual: columns γ_j (1/K - e_j) for the other classes with n_j γ_j² (K-1)/K ≤ L², for which
    Σ_j γ_j <w_j - mean, g_j> ≤ (λ_W/2)‖W‖² + (λ_H/2)‖H‖² with sums g_j ≥ 0 of the features of a class.
    """
    K, N = case.K, case.N
    with ctx.workprec(BITS):
        price = (_ball(case.L_squared) * (K - 1) / K).sqrt()
        lower = upper = _ball(Fraction(case.per_class[dead], N)) * arb(K).log()
        for j, n in enumerate(case.per_class):
            if j == dead:
                continue
            weight = _ball(Fraction(n, N))
            a, tau = _one_class(case, n)
            upper += weight * (1 + (K - 1) * (-_ball(a)).exp()).log()
            upper += price * arb(n).sqrt() * _ball(a)
            lower += weight * entropy([(1, 1 - (K - 1) * tau), (K - 1, tau)])
        return hull(lower, upper)


def _one_class(case: FeatureCase, n: int) -> tuple[Fraction, Fraction]:
    """A logit a ≥ 0 and a probability τ of each wrong class, the latter feasible, both nearly optimal."""
    from scipy.optimize import brentq

    K, N = case.K, case.N
    price = case.L * math.sqrt(n * (K - 1) / K)

    def wrong(a: float) -> float:
        return math.exp(-a) / (1 + (K - 1) * math.exp(-a))

    def slope(a: float) -> float:
        return price - n / N * (K - 1) * wrong(a)

    a = 0.0
    if slope(0.0) < 0:
        top = 1.0
        while slope(top) < 0:
            top *= 2
        a = float(brentq(slope, 0.0, top, xtol=1e-15, rtol=1e-15))
    tau = Fraction(wrong(a))
    if a == 0.0:
        tau = Fraction(1, K)
    while n * tau**2 * K * (K - 1) > N**2 * case.L_squared:
        tau *= _CLOSER
    return Fraction(a), tau


# -- features free, two groups of classes ---------------------------------------------------------------------------
@dataclass(frozen=True)
class Groups:
    """Two groups, A and B: k classes with n points each."""

    k: tuple[int, int]
    n: tuple[int, int]
    L_squared: Fraction
    L: float

    @property
    def N(self) -> int:
        return self.k[0] * self.n[0] + self.k[1] * self.n[1]

    @property
    def u_squared(self) -> int:
        """Squared length of u = (k_B on A, -k_A on B), which has mean 0."""
        return (self.k[0] + self.k[1]) * self.k[0] * self.k[1]

    def counts(self, s: int) -> tuple[int, int, int]:
        """For a point of group s: its class, the others of the group, the other group."""
        return 1, self.k[s] - 1, self.k[1 - s]

    def directions(self, s: int) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """What p_s and x add to these logits."""
        sign, (own, other) = 1 - 2 * s, (self.k[s], self.k[1 - s])
        along_u = (Fraction(sign * other), Fraction(sign * other), Fraction(-sign * own))
        apart = (1 - Fraction(1, own), -Fraction(1, own), Fraction(0))
        return along_u, apart if s == 0 else (Fraction(0),) * 3


def merged_minority(case: FeatureCase) -> arb:
    """The best value of networks whose logits treat all classes of the smaller size alike, model `ufm`.

    Averaging over permutations within the groups leaves logits p_s u for a point of group s, plus x (e_k - mean over A)
    for a point of class k in A. Their nuclear norm is ‖u‖ √(Σ_s k_s n_s p_s²) + (k_A - 1) x √n_A, and Γ needs to be
    tested on such logits only.
    """
    small, large = min(case.per_class), max(case.per_class)
    k_B = sum(n == small for n in case.per_class)
    groups = Groups((case.K - k_B, k_B), (large, small), case.L_squared, case.L)
    p, x = nearly_optimal(groups)
    nothing = Fraction(0)
    with ctx.workprec(BITS):
        lower, upper = _dual(groups, p, x), _primal(groups, p, x)
        without = _primal(groups, (nothing, nothing), nothing)
        return hull(lower, without if without < upper else upper)


def nearly_optimal(g: Groups) -> tuple[tuple[Fraction, Fraction], Fraction]:
    """Nearly optimal (p_A, p_B) and x ≥ 0, from the smooth factored problem p = a b, x = y²."""
    from scipy.optimize import minimize

    L = min(g.L, FAR)  # the search sees numbers of one size; the bounds are evaluated with L itself
    mass = np.array([g.k[s] * g.n[s] for s in (0, 1)], dtype=float)
    counts = [np.array(g.counts(s), dtype=float) for s in (0, 1)]
    ways = [np.array(g.directions(s), dtype=float) for s in (0, 1)]
    apart = (g.k[0] - 1) * math.sqrt(g.n[0])

    def objective(v: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, y = v[0], v[1:3], v[3]
        slope_p, slope_x, value = np.zeros(2), L * apart, L * apart * y**2
        for s in (0, 1):
            z = np.array([a * b[s], y**2]) @ ways[s]
            top = float(z.max())
            parts = counts[s] * np.exp(z - top)
            value += mass[s] / g.N * (top + math.log(parts.sum()) - z[0])
            pull = ways[s] @ (parts / parts.sum()) - ways[s][:, 0]
            slope_p[s] = mass[s] / g.N * pull[0]
            slope_x += mass[s] / g.N * pull[1]
        # ‖u‖ ‖p‖ with weights is the least value of (‖u‖² a² + Σ mass b²)/2 over p = a b
        value += L / 2 * (g.u_squared * a**2 + float(mass @ b**2))
        gradient = np.array(
            [
                slope_p @ b + L * g.u_squared * a,
                *(slope_p * a + L * mass * b),
                2 * y * slope_x,
            ]
        )
        return float(value), gradient

    starts = ((0.5, 0.5, -0.5, 0.7), (0.5, 0.5, 0.5, 0.7))
    found = [
        minimize(objective, np.array(v), jac=True, method="BFGS", options={"gtol": 1e-13})
        for v in starts
    ]
    a, b_A, b_B, y = (float(c) for c in min(found, key=lambda r: float(r.fun)).x)
    return (Fraction(a * b_A), Fraction(a * b_B)), Fraction(y**2)


def _primal(g: Groups, p: tuple[Fraction, Fraction], x: Fraction) -> arb:
    """The objective of the network with these logits."""
    L = _ball(g.L_squared).sqrt()
    squares = sum((g.k[s] * g.n[s] * p[s] ** 2 for s in (0, 1)), Fraction(0))
    value = L * (_ball(squares * g.u_squared).sqrt() + (g.k[0] - 1) * _ball(x) * arb(g.n[0]).sqrt())
    for s in (0, 1):
        along_u, apart = g.directions(s)
        z = [_ball(p[s] * e + x * f) for e, f in zip(along_u, apart, strict=True)]
        mass = sum((c * a.exp() for c, a in zip(g.counts(s), z, strict=True)), arb(0))
        value += _ball(Fraction(g.k[s] * g.n[s], g.N)) * (mass.log() - z[0])
    return value


def _dual(g: Groups, p: tuple[Fraction, Fraction], x: Fraction) -> arb:
    """The mean entropy of probabilities near those of the network, moved until they are feasible.

    A point of group s gives each wrong class of its group the probability q_1, each class of the other group q_2. Along
    u, Γ has the entries ± (k_A + k_B) k_A k_B q_2/(k_s ‖u‖ N); on A without its mean it is -(k_A q_1 + k_B q_2)/N.
    """
    wrong = []
    for s in (0, 1):
        along_u, apart = g.directions(s)
        z = [float(p[s] * e + x * f) for e, f in zip(along_u, apart, strict=True)]
        mass = sum(c * math.exp(a - max(z)) for c, a in zip(g.counts(s), z, strict=True))
        wrong.append(tuple(Fraction(math.exp(a - max(z)) / mass) for a in z[1:]))
    K = g.k[0] + g.k[1]
    along = sum(
        (g.k[s] * g.n[s] * (K * g.k[1 - s] * wrong[s][1]) ** 2 for s in (0, 1)), Fraction(0)
    ) / (g.u_squared * g.N**2)
    on_A = g.n[0] * (g.k[0] * wrong[0][0] + g.k[1] * wrong[0][1]) ** 2 / Fraction(g.N**2)
    largest = max(along, on_A if g.k[0] > 1 else Fraction(0))
    theta = Fraction(1)
    if largest > g.L_squared:  # all entries of Γ are proportional to θ
        theta = Fraction(math.sqrt(g.L_squared / largest))
        while theta**2 * largest > g.L_squared:
            theta *= _CLOSER
    value = arb(0)
    for s in (0, 1):
        q_1, q_2 = (theta * q for q in wrong[s])
        _, k_1, k_2 = g.counts(s)
        spread = entropy([(1, 1 - k_1 * q_1 - k_2 * q_2), (k_1, q_1), (k_2, q_2)])
        value += _ball(Fraction(g.k[s] * g.n[s], g.N)) * spread
    return value
