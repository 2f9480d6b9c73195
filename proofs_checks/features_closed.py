"""Closed forms of unconstrained features: the least value and the outputs, where a formula is known.

K classes with n_k samples, N = Σ n_k, L² = λ_W λ_H, C = I - 11ᵀ/K, e_k unit vectors, Ent the entropy in nats.  The
loss is the *mean* over samples; of a sum, every threshold on L would be N times as large.  Which branch of a formula
holds is decided exactly (L² against a rational number) except where a threshold is an eigenvalue.

Sources: W. Hong and S. Ling, "Neural collapse for unconstrained feature model under cross-entropy loss with imbalanced
data" (2023) and "Beyond unconstrained features: neural collapse for shallow neural networks with general data" (2024);
singular values of a matrix are shrunk by the proximal map of the nuclear norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

Array = NDArray[np.float64]
BITS = 256
ROUNDING = 1e-14  # relative: a singular value that is zero
NEAR = 1e-9  # relative: closer to an eigenvalue than this, a branch is left open


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The least value (in a ball, or a float), outputs without bias and bias.

    Attributes:
        value: the least value. formula: which formula.
        Z: (K, J) outputs WᵀH, one column for each class. b: (K,), zero without bias.
        alive: whether the features of a class are nonzero; None where a formula does not say so exactly.
    """

    value: float
    formula: str
    Z: Array
    b: Array
    alive: tuple[bool, ...] | None


def closed_form(
    model: str,
    loss: str,
    counts: Sequence[int],
    L2: Fraction,
    bias: bool,
    targets: Array | None = None,
) -> ClosedForm | None:
    """The closed form of this case, or None where none is known.

    Args:
        model: "ufm" or "upfm". loss: "ce" or "mse". counts: n_k. L2: λ_W λ_H > 0.
        targets: (K, J) for "mse"; None: one-hot. A closed form for general targets exists for "ufm" only.
    """
    balanced = len(set(counts)) == 1
    with ctx.workprec(BITS):
        if targets is not None:
            return _singular_values(targets, counts, L2, bias) if model == "ufm" else None
        if loss == "mse" and not bias:
            return _mse(counts, L2)
        if loss == "mse" and balanced:
            return _mse_balanced_bias(model, len(counts), counts[0], L2)
        if loss == "mse":
            identity = np.eye(len(counts))
            return _singular_values(identity, counts, L2, bias) if model == "ufm" else None
        if model == "upfm":
            return _upfm_entropy(counts, L2) if balanced or not bias else None
        return _ufm_entropy(counts, L2) if balanced else _ufm_zero(counts, L2, bias)


def _ball(value: Fraction | int) -> arb:
    value = Fraction(value)
    return arb(fmpq(value.numerator, value.denominator))


def _mse(counts: Sequence[int], L2: Fraction) -> ClosedForm:
    """Both models, any n_k: Z = Σ (1 - NL/√n_k)_+ e_k 1ᵀ, value Σ L√n_k - NL²/2, or n_k/2N where class k is zero.

    Class k is zero exactly if L >= √n_k/N.
    """
    N, value, diagonal = sum(counts), arb(0), []
    alive = tuple(n > N * N * L2 for n in counts)
    for n, live in zip(counts, alive, strict=True):
        value += _ball(L2 * n).sqrt() - N * _ball(L2) / 2 if live else _ball(Fraction(n, 2 * N))
        diagonal.append(float(1 - N * _ball(L2 / n).sqrt()) if live else 0.0)
    zero = np.zeros(len(counts))
    return ClosedForm(float(value), "mse", np.diag(diagonal), zero, alive)


def _mse_balanced_bias(model: str, K: int, n: int, L2: Fraction) -> ClosedForm:
    """Z = sC with s = (1 - g/q)_+, b = 1/K, value g - g²/2q (q/2 where s = 0), q = (K-1)/K.

    "ufm": g = (K-1)√n L, so that s = (1 - K√n L)_+.  "upfm": g = L√(K(K-1)n).
    """
    q = Fraction(K - 1, K)
    g2 = L2 * n * (K - 1) * (K if model == "upfm" else K - 1)
    live = g2 < q * q
    g = _ball(g2).sqrt()
    value = g - _ball(g2 / (2 * q)) if live else _ball(q / 2)
    s = float(1 - g / _ball(q)) if live else 0.0
    Z = s * (np.eye(K) - 1 / K)
    return ClosedForm(float(value), f"{model}, mse, bias", Z, np.full(K, 1 / K), (live,) * K)


def _entropy(K: int, t: arb) -> arb:
    """Ent(1 - (K-1)t, t, ..., t), to all digits however small t is."""
    others = (K - 1) * t
    return -((1 - others) * (-others).log1p() + others * t.log())


def _ufm_entropy(counts: Sequence[int], L2: Fraction) -> ClosedForm:
    """Balanced: t = min(L√n, 1/K), Z = aC with a = log(1/t - (K-1)), value Ent(1 - (K-1)t, t, ..., t)."""
    K, n = len(counts), counts[0]
    live = L2 * n * K * K < 1
    t = _ball(L2 * n).sqrt() if live else _ball(Fraction(1, K))
    a = float((1 / t - (K - 1)).log()) if live else 0.0
    value = _entropy(K, t) if live else arb(K).log()
    Z = a * (np.eye(K) - 1 / K)
    return ClosedForm(float(value), "ufm, ce", Z, np.zeros(K), (live,) * K)


def _upfm_entropy(counts: Sequence[int], L2: Fraction) -> ClosedForm:
    """Any n_k without bias, balanced with: τ_k = min(1/K, NL/√(K(K-1)n_k)), z_k = a_k(e_k - 1/K).

    a_k = log(1/τ_k - (K-1)); value Σ (n_k/N) Ent(1 - (K-1)τ_k, τ_k, ...); class k is zero exactly if
    L >= (√n_k/N)√((K-1)/K).
    """
    K, N, value = len(counts), sum(counts), arb(0)
    alive = tuple(n * (K - 1) > N * N * L2 * K for n in counts)
    slopes = []
    for n, live in zip(counts, alive, strict=True):
        tau = N * _ball(L2 / (K * (K - 1) * n)).sqrt()
        value += _ball(Fraction(n, N)) * (_entropy(K, tau) if live else arb(K).log())
        slopes.append(float((1 / tau - (K - 1)).log()) if live else 0.0)
    Z = (np.eye(K) - 1 / K) * np.array(slopes)
    return ClosedForm(float(value), "upfm, ce", Z, np.zeros(K), alive)


def _ufm_zero(counts: Sequence[int], L2: Fraction, bias: bool) -> ClosedForm | None:
    """Imbalanced: Z = 0 exactly if NL >= √λ_max(M), M = diag n - √n√nᵀ/K, or diag n - nnᵀ/N with a free bias.

    The value is then log K, or Ent(n/N) with b = log(n/N).  There is no formula below the threshold.
    """
    n = np.array(counts, dtype=float)
    K, N = len(counts), sum(counts)
    M = np.diag(n) - (np.outer(n, n) / N if bias else np.sqrt(np.outer(n, n)) / K)
    threshold = Fraction(float(np.linalg.eigvalsh(M)[-1]) * (1 + NEAR))
    if threshold > N * N * L2:
        return None
    share = n / N
    value = -float(share @ np.log(share)) if bias else float(np.log(K))
    b = np.log(share) if bias else np.zeros(K)
    return ClosedForm(value, "ufm, ce, zero", np.zeros((K, K)), b, (False,) * K)


def _singular_values(Y: Array, counts: Sequence[int], L2: Fraction, bias: bool) -> ClosedForm:
    """ "ufm", "mse", any targets: the singular values σ of Y D^{1/2} (centred, with a free bias) shrink by NL.

    Value Σ Lσ - NL²/2 where σ > NL, else σ²/2N; b = mean(Y - Z).
    """
    n = np.array(counts, dtype=float)
    N, L = float(n.sum()), float(_ball(L2).sqrt())
    mean = Y @ n / N if bias else np.zeros(len(Y))
    P, sigma, Qt = np.linalg.svd((Y - mean[:, None]) * np.sqrt(n), full_matrices=False)
    sigma[sigma < ROUNDING * float(np.abs(Y * np.sqrt(n)).max())] = 0.0  # all columns alike
    alive = sigma > N * L
    kept = np.where(alive, sigma - N * L, 0.0)
    value = (L * (sigma[alive] - N * L / 2)).sum() + (sigma[~alive] ** 2).sum() / (2 * N)
    Z = (P * kept) @ Qt / np.sqrt(n)
    b = (Y - Z) @ n / N if bias else np.zeros(len(Y))
    return ClosedForm(float(value), "ufm, mse, singular values", Z, b, None)
