"""Wrong statements, written as a user writes a conjecture, each with a witness that was found without the library.

``PLANTED`` lists all. A witness is a case, and the two sides of the failing comparison on it as numpy or rational
arithmetic give them (`tests.quality.conjectures_witness`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import lemmata as lm
from lemmata import ops
from lemmata import strategies as st
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.samples import POSITIVE, Domain, Parameter, Real, Sample
from tests.quality import conjectures_true as true
from tests.quality.conjectures_planted_linear import PLANTED_LINEAR, Planted
from tests.quality.conjectures_terms import greatest, least, mistakes, network_outputs, square
from tests.quality.conjectures_witness import Sides, extragradient_sides, perceptron

__all__ = ["PLANTED", "Planted"]
P = Parameter


@lm.conjecture(case=true.PAIR)
def nuclear_norm_quarter(case: Any) -> Any:
    """‖AB‖_* <= (‖A‖_F² + ‖B‖_F²)/4: half of the true one."""
    product = np.linalg.svd(case.A @ case.B, compute_uv=False)
    return np.sum(product) <= (square(case.A) + square(case.B)) / 4


@lm.conjecture(case=true.PAIR)
def spectral_norms(case: Any) -> Any:
    """‖AB‖_F <= ‖A‖₂ ‖B‖₂: one of the norms must be Frobenius'."""
    product = np.linalg.norm(case.A, 2) * np.linalg.norm(case.B, 2)
    return np.linalg.norm(case.A @ case.B) <= product


@lm.conjecture(case=true.EQUAL_SHAPES)
def weyl_half(case: Any) -> Any:
    """|λ_k(A + B) - λ_k(A)| <= ‖B‖₂/2: a lost factor 2."""
    moved = np.linalg.eigvalsh(case.A + case.B) - np.linalg.eigvalsh(case.A)
    return abs(moved) <= np.linalg.norm(case.B, 2) / 2


@lm.conjecture(case=st.symmetric_matrices((1, 3)))
def gershgorin_largest(A: Any) -> Any:
    """The largest entry of a row in place of the sum of the row."""
    off = abs(A) * (1 - np.eye(A.shape[0]))
    return np.min(np.diag(A) - np.max(off, axis=1)) <= least(A)


@lm.conjecture(case=st.separable(n=(1, 3)))
def novikoff_first_power(data: Any) -> Any:
    """mistakes <= X_max/margin: the squares are lost."""
    top = np.max(np.linalg.norm(data.X, axis=1))
    return mistakes(data.X, data.y, 2) * data.margin <= top


@lm.conjecture(case=true.EXTRAGRADIENT)
def extragradient_without_alpha(case: Any) -> Any:
    """The rate of EG+ without the factor 1 - α."""
    K, gamma = 2, 1 / case.op.L
    _, middle = case.op.extragradient(gamma, case.alpha, K)
    least_norm = np.min(np.stack([square(case.op.F(z)) for z in middle]))
    distance = square(case.op.z0 - case.op.z_star)
    return K * case.alpha * gamma**2 * least_norm <= distance


@lm.conjecture(case=true.WEAK_MINTY)
def weak_minty_without_alpha(case: Any) -> Any:
    """The rate of EG+ under the weak Minty inequality with 1 + 2ρ/γ in place of 1 + 2ρ/γ - α."""
    op, alpha = case.op, case.alpha
    rho = np.minimum(op.rho, 0)
    lm.assume(alpha < 1 + 2 * rho * op.L)
    _, middle = op.extragradient(1 / op.L, alpha, 1)
    rate = alpha * (1 + 2 * rho * op.L) / op.L**2
    return rate * square(op.F(middle[0])) <= square(op.z0 - op.z_star)


@lm.conjecture(case=true.LIPSCHITZ)
def relu_lipschitz_largest(case: Any) -> Any:
    """The largest neuron in place of the sum over neurons."""
    f = network_outputs(case.X, case.W, case.v)
    constant = np.max(abs(case.v) * np.linalg.norm(case.W, axis=1))
    return abs(f[0] - f[1]) <= constant * np.linalg.norm(case.X[0] - case.X[1])


@lm.conjecture(case=true.RELU_STEP)
def relu_imbalance_conserved(case: Any) -> Any:
    """‖w_j‖² - v_j² is conserved by descent: it is by gradient flow only."""
    after = case.net.descent(case.eta, 1)[1].imbalance()
    return ops.equal(after, case.net.imbalance())


@lm.conjecture(case=true.RELU_STEP)
def relu_imbalance_sign(case: Any) -> Any:
    """The change of ‖w_j‖² - v_j² under descent with the wrong sign."""
    net, eta, g = case.net, case.eta, case.net.gradient()
    change = eta**2 * (np.sum(g["W"] ** 2, axis=1) - g["v"] ** 2)
    return ops.equal(net.descent(eta, 1)[1].imbalance(), net.imbalance() - change)


@lm.conjecture(case=st.orthogonally_separable(mu=st.reals(0.125, 0.875), n=(1, 3)))
def orthogonal_separability_root(data: Any) -> Any:
    """‖Σ_i y_i x_i‖² >= √μ (Σ_i ‖x_i‖)²: true for two points, false for three."""
    norms = np.sum(np.linalg.norm(data.X, axis=1))
    return np.sqrt(data.mu) * norms**2 <= square(data.y @ data.X)


@lm.conjecture(case=st.vectors((2, 3), low=-8, high=8))
def log_sum_exp_half(x: Any) -> Any:
    """log Σ e^{x_i} <= max x + log(n)/2."""
    return ops.log(np.sum(np.exp(x))) <= np.max(x) + ops.log(len(x)) / 2


@lm.conjecture(case=st.kernel_matrices("ntk", (1, 3), sphere=True))
def ntk_one_layer(K: Any) -> Any:
    """The diagonal of the NTK of one trained layer, 1/2, for two trained layers."""
    return ops.equal(np.diag(K), np.ones(K.shape[0]) / 2)


@lm.conjecture(case=st.record(G=st.gram_matrices((1, 3)), eta=st.step_sizes(2.0)))
def linear_rate_twice(case: Any) -> Any:
    """Descent on ½ xᵀGx does not expand up to ηλ_max <= 4: twice the true range."""
    lm.assume(case.eta * greatest(case.G) <= 4)
    return abs(1 - case.eta * np.linalg.eigvalsh(case.G)) <= 1


@lm.conjecture(case=st.imbalances())
def imbalance_rank(case: Any) -> Any:
    """‖W1‖_F² <= ‖D‖_*: true only where W2 = 0 or the signs do not cancel."""
    return square(case.W1) <= np.sum(abs(np.linalg.eigvalsh(case.D)))


# -- witnesses --------------------------------------------------------------------------------------------------------
def _record(**raw: Any) -> Sample:
    return Sample("record", raw)


def _symmetric(A: Any) -> Sample:
    return Sample("symmetric", {"A": P(A)})


def _operator(angle: str, alpha: float) -> Sample:
    weak = angle == "weak"
    raw = {
        "kind": "rotation",
        "L": 1.0 if weak else 2.0,
        "r": P([1.0], Domain(0, 1, weak)),
        "t": P([1.0], Domain() if weak else Domain(-1, 1)),
        "weak_minty": weak,
        "z_star": P([0, 0]),
        "z0": P([1, 0]),
    }
    open_unit = Domain(0, 1, True, True)
    return _record(op=Sample("minimax_operator", raw), alpha=Real(alpha, open_unit))


def _relu_step() -> Sample:
    data = Sample("points", {"X": P([[1]]), "y": np.array([1.0])})
    net = Sample("relu_network", {"data": data, "W": P([[1]]), "v": P([0]), "loss": "squared"})
    return _record(net=net, eta=Real(1.0, Domain(0, 1, True, log=True)))


def _relu_after(sign: int) -> Sides:
    """x = y = w = 1, v = 0, η = 1: f = 0, ∂_w = 0, ∂_v = -2; the step leads to w = 1, v = 2."""
    return 1.0 - 4.0, 1.0 + sign * (0.0 - 4.0)


def _cones(mu: float) -> Sides:
    z = np.array([[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]])
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    if (unit @ unit.T).min() < mu:
        raise ValueError("the witness is not orthogonally separable by mu")
    return math.sqrt(mu) * np.linalg.norm(z, axis=1).sum() ** 2, float((z.sum(axis=0) ** 2).sum())


def _planted(conjecture: Conjecture, case: Any, sides: Callable[[], Sides]) -> Planted:
    return Planted(conjecture, case, sides)


_COLUMN, _ROW, _EYE = P([[1], [0]]), P([[1, 0]]), P(np.eye(2))
_NONNEGATIVE, _MU = Domain(0.0), Domain(0.125, 0.875)
_ORTHANT = {
    "Z": P([[2, 1, 1], [1, 2, 1], [1, 1, 2]], _NONNEGATIVE),
    "y": np.ones(3),
    "mu": Real(0.8125, _MU),
}
_SEPARABLE = {
    "y": np.ones(2),
    "margin": Real(1.0, POSITIVE),
    "P": P([0, 0], _NONNEGATIVE),
    "Q": P([[1], [-1]]),
    "U": P([[0, 0]]),
}

PLANTED: tuple[Planted, ...] = (
    *PLANTED_LINEAR,
    _planted(nuclear_norm_quarter, _record(A=_ROW, B=_COLUMN), lambda: (1.0, 0.5)),
    _planted(spectral_norms, _record(A=_EYE, B=_EYE), lambda: (math.sqrt(2), 1.0)),
    _planted(weyl_half, _record(A=_symmetric([[0]]), B=_symmetric([[1]])), lambda: (1.0, 0.5)),
    _planted(
        gershgorin_largest,
        _symmetric(np.eye(3) - 1),
        lambda: (-1.0, float(np.linalg.eigvalsh(np.eye(3) - 1)[0])),
    ),
    _planted(
        novikoff_first_power,
        Sample("separable", _SEPARABLE),
        lambda: (float(perceptron([[1, 1], [1, -1]], [1, 1])), math.sqrt(2)),
    ),
    _planted(
        extragradient_without_alpha,
        _operator("monotone", 0.75),
        lambda: extragradient_sides(2.0, math.pi / 2, 2.0, 0.75, 2),
    ),
    _planted(
        weak_minty_without_alpha,
        _operator("weak", 0.75),
        lambda: extragradient_sides(1.0, math.pi / 2, 1.0, 0.75, 1),
    ),
    _planted(
        relu_lipschitz_largest,
        _record(W=P([[1], [1]]), v=P([1, 1]), X=P([[0], [1]])),
        lambda: (2.0, 1.0),
    ),
    _planted(relu_imbalance_conserved, _relu_step(), lambda: _relu_after(0)),
    _planted(relu_imbalance_sign, _relu_step(), lambda: _relu_after(-1)),
    _planted(
        orthogonal_separability_root,
        Sample("orthogonally_separable", _ORTHANT),
        lambda: _cones(0.8125),
    ),
    _planted(log_sum_exp_half, P([0, 0], Domain(-8, 8)), lambda: (math.log(2), math.log(2) / 2)),
    _planted(
        ntk_one_layer,
        Sample(
            "kernel_matrix",
            {"X": Sample("unit_vectors", {"signs": np.array([[1.0]])}), "kernel": "ntk"},
        ),
        lambda: ((0 + 2 * math.pi) / (2 * math.pi), 0.5),
    ),
    _planted(
        linear_rate_twice,
        _record(G=Sample("gram", {"A": P([[1.5]])}), eta=Real(1.5, Domain(0, 2, True, log=True))),
        lambda: (abs(1 - 1.5 * 1.5**2), 1.0),
    ),
    _planted(
        imbalance_rank, Sample("imbalance", {"W1": P([[1]]), "W2": P([[1]])}), lambda: (1.0, 0.0)
    ),
)
