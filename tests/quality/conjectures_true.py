"""True statements, written as a user writes a conjecture: the search must not refute them.

``TRUE`` lists all; sources are in the docstrings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as hs

import lemmata as lm
from lemmata import ops
from lemmata import strategies as st
from tests.quality.conjectures_terms import (
    greatest,
    least,
    mistakes,
    network_outputs,
    root,
    smallest,
    spread,
    square,
)

PAIR = st.record(A=st.matrices((1, 3), 2), B=st.matrices(2, (1, 3)))
EQUAL_SHAPES = st.integers(1, 3).flatmap(
    lambda n: st.record(A=st.symmetric_matrices(n), B=st.symmetric_matrices(n))
)
TIGHT = st.integers(1, 3).flatmap(
    lambda n: st.record(
        Q=st.orthogonal_matrices(n),
        R=st.orthogonal_matrices(n),
        P=st.orthogonal_matrices(n),
        t=st.vectors(n, low=0.5, high=4),
        d=st.reals(0, 4, exclude_low=True),
    )
)
DESCENT = st.record(net=st.linear_networks(2), eta=st.step_sizes())
LIPSCHITZ = hs.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda s: st.record(W=st.matrices(*s), v=st.vectors(s[0]), X=st.matrices(2, s[1]))
)
EXTRAGRADIENT = st.record(
    op=st.minimax_operators(L=2), alpha=st.reals(0, 1, exclude_low=True, exclude_high=True)
)
WEAK_MINTY = st.record(
    op=st.minimax_operators(L=1, weak_minty=True),
    alpha=st.reals(0, 1, exclude_low=True, exclude_high=True),
)
RELU_STEP = st.record(net=st.relu_networks(loss="squared"), eta=st.step_sizes())


@lm.conjecture(case=st.linear_networks(2))
def pl_constant(net: Any) -> Any:
    """Min, Vidal and Mallada (ICML 2023), in the form in which Δ_- goes with σ_n and Δ_+ with σ_m."""
    s = spread(net)
    first = -s.minus + root(s.minus + s.common, s.sigma_n)
    return (first - s.plus + root(s.plus + s.common, s.sigma_m)) / 2 <= smallest(net)


def tight(case: Any) -> tuple[Any, Any]:
    """Factors Q diag((t + d/t)/2) Rᵀ and R diag((d/t - t)/2) P: their imbalance is d·I."""
    W1 = case.Q @ np.diag((case.t + case.d / case.t) / 2) @ case.R.T
    W2 = case.R @ np.diag((case.d / case.t - case.t) / 2) @ case.P
    return W1, W2


@lm.conjecture(case=TIGHT)
def tight_case(case: Any) -> Any:
    """Equality in the bound above for D = d·I and n = m = h."""
    W1, W2 = tight(case)
    sigma = np.linalg.svd(W1 @ W2, compute_uv=False)[-1]
    lhs = least(W1 @ W1.T) + least(W2.T @ W2)
    return ops.equal(lhs, root(case.d, sigma), resolution=1e-6)


@lm.conjecture(case=DESCENT)
def descent_lemma(case: Any) -> Any:
    """Xu et al. (TMLR 2025) for ½‖W - B‖_F², K = 1."""
    net, eta = case.net, case.eta
    after = net.descent(eta, 1)[1]
    L, g = net.loss_value(), sum(square(v) for v in net.gradient().values())
    top = greatest(net.W1 @ net.W1.T) + greatest(net.W2.T @ net.W2)
    sigma, slope = np.linalg.norm(net.product(), 2), np.sqrt(2 * L)
    K = top + slope + 6 * sigma * L * eta**2 + 3 * top * slope * eta
    return after.loss_value() <= L - (eta - K * eta**2 / 2) * g


@lm.conjecture(case=DESCENT)
def imbalance_descent(case: Any) -> Any:
    """Under gradient descent D changes by exactly η² (W2 ∇ᵀ∇ W2ᵀ - W1ᵀ ∇∇ᵀ W1)."""
    net, eta = case.net, case.eta
    a, b = net.W2 @ net.end_gradient().T, net.W1.T @ net.end_gradient()
    after = net.descent(eta, 1)[1].imbalance()
    return ops.equal(after, net.imbalance() + eta**2 * (a @ a.T - b @ b.T))


@lm.conjecture(case=st.linear_networks(2))
def pl_inequality(net: Any) -> Any:
    """‖∇L‖² >= 2 α L with α = λ_n(W1W1ᵀ) + λ_m(W2ᵀW2), for L = ½‖W - B‖_F²."""
    g = sum(square(v) for v in net.gradient().values())
    return 2 * smallest(net) * net.loss_value() <= g


@lm.conjecture(case=PAIR)
def nuclear_norm(case: Any) -> Any:
    """‖AB‖_* <= (‖A‖_F² + ‖B‖_F²)/2."""
    product = np.linalg.svd(case.A @ case.B, compute_uv=False)
    return np.sum(product) <= (square(case.A) + square(case.B)) / 2


@lm.conjecture(case=PAIR)
def mixed_norms(case: Any) -> Any:
    """‖AB‖_F <= ‖A‖₂ ‖B‖_F."""
    return np.linalg.norm(case.A @ case.B) <= np.linalg.norm(case.A, 2) * np.linalg.norm(case.B)


@lm.conjecture(case=EQUAL_SHAPES)
def weyl(case: Any) -> Any:
    """|λ_k(A + B) - λ_k(A)| <= ‖B‖₂ for all k."""
    moved = np.linalg.eigvalsh(case.A + case.B) - np.linalg.eigvalsh(case.A)
    return abs(moved) <= np.linalg.norm(case.B, 2)


@lm.conjecture(case=st.symmetric_matrices((1, 3)))
def gershgorin(A: Any) -> Any:
    """λ_min(A) >= min_i (a_ii - Σ_{k≠i} |a_ik|)."""
    diagonal = np.diag(A)
    radius = np.sum(abs(A), axis=1) - abs(diagonal)
    return np.min(diagonal - radius) <= least(A)


@lm.conjecture(case=st.separable(n=(1, 3)))
def novikoff(data: Any) -> Any:
    """The perceptron makes at most (X_max/margin)² mistakes (Novikoff 1962); two passes."""
    return mistakes(data.X, data.y, 2) * data.margin**2 <= np.max(np.sum(data.X**2, axis=1))


@lm.conjecture(case=EXTRAGRADIENT)
def extragradient(case: Any) -> Any:
    """EG+ on a monotone operator, γ = 1/L, K steps (Diakonikolas, Daskalakis and Jordan 2021)."""
    K, gamma = 2, 1 / case.op.L
    _, middle = case.op.extragradient(gamma, case.alpha, K)
    least_norm = np.min(np.stack([square(case.op.F(z)) for z in middle]))
    distance = square(case.op.z0 - case.op.z_star)
    return K * case.alpha * gamma**2 * (1 - case.alpha) * least_norm <= distance


@lm.conjecture(case=WEAK_MINTY)
def extragradient_weak_minty(case: Any) -> Any:
    """EG+ under the weak Minty inequality with ρ > -1/(2L), γ = 1/L, α < 1 + 2ρ/γ (Pethick et al. 2022)."""
    op, alpha = case.op, case.alpha
    rho = np.minimum(op.rho, 0)
    lm.assume(alpha < 1 + 2 * rho * op.L)
    _, middle = op.extragradient(1 / op.L, alpha, 1)
    rate = alpha * (1 + 2 * rho * op.L - alpha) / op.L**2
    return rate * square(op.F(middle[0])) <= square(op.z0 - op.z_star)


@lm.conjecture(case=LIPSCHITZ)
def relu_lipschitz(case: Any) -> Any:
    """|f(x) - f(x')| <= Σ_j |v_j| ‖w_j‖ ‖x - x'‖."""
    f = network_outputs(case.X, case.W, case.v)
    constant = np.sum(abs(case.v) * np.linalg.norm(case.W, axis=1))
    return abs(f[0] - f[1]) <= constant * np.linalg.norm(case.X[0] - case.X[1])


@lm.conjecture(case=RELU_STEP)
def relu_imbalance(case: Any) -> Any:
    """One step of descent changes ‖w_j‖² - v_j² by exactly η² (‖∇_{w_j}‖² - (∂_{v_j})²)."""
    net, eta, g = case.net, case.eta, case.net.gradient()
    change = eta**2 * (np.sum(g["W"] ** 2, axis=1) - g["v"] ** 2)
    after = net.descent(eta, 1)[1].imbalance()
    return ops.equal(after, net.imbalance() + change)


@lm.conjecture(case=st.orthogonally_separable(mu=st.reals(0.125, 0.875), n=(1, 3)))
def orthogonal_separability(data: Any) -> Any:
    """‖Σ_i y_i x_i‖² >= μ (Σ_i ‖x_i‖)²."""
    total = data.y @ data.X
    return data.mu * np.sum(np.linalg.norm(data.X, axis=1)) ** 2 <= square(total)


@lm.conjecture(case=st.vectors((2, 3), low=-8, high=8))
def log_sum_exp(x: Any) -> Any:
    """log Σ e^{x_i} <= max x + log n; log n is traced: math.log(n) is another number."""
    return ops.log(np.sum(np.exp(x))) <= np.max(x) + ops.log(len(x))


@lm.conjecture(case=st.kernel_matrices("ntk", (2, 3), sphere=True))
def ntk_entries(K: Any) -> Any:
    """On the unit sphere every entry of the two-layer NTK is at most 1, the value on the diagonal."""
    n = K.shape[0]
    return [np.sum(K) <= n * n, ops.equal(np.diag(K), np.ones(n))]


@lm.conjecture(case=st.gram_matrices((1, 3), unit_diagonal=True))
def unit_gram(G: Any) -> Any:
    """1 <= λ_max <= n for the cosines of n points."""
    n = G.shape[0]
    return [greatest(G) >= 1, greatest(G) <= n]


@lm.conjecture(case=st.record(G=st.gram_matrices((1, 3)), eta=st.step_sizes(2.0)))
def linear_rate(case: Any) -> Any:
    """Descent on ½ xᵀGx with ηλ_max <= 2 does not expand: |1 - ηλ| <= 1 for all eigenvalues."""
    lm.assume(case.eta * greatest(case.G) <= 2)
    return abs(1 - case.eta * np.linalg.eigvalsh(case.G)) <= 1


TRUE = (
    pl_constant,
    tight_case,
    descent_lemma,
    imbalance_descent,
    pl_inequality,
    nuclear_norm,
    mixed_norms,
    weyl,
    gershgorin,
    novikoff,
    extragradient,
    extragradient_weak_minty,
    relu_lipschitz,
    relu_imbalance,
    orthogonal_separability,
    log_sum_exp,
    ntk_entries,
    unit_gram,
    linear_rate,
)
