"""Unconstrained features in normalised units: the objective, its gradient, and the dual bound, in float64.

J distinct columns, column j with multiplicity n_j, N = Σ n_j.  The two weight decays λ_W, λ_H enter the optimum only
through L = √(λ_W λ_H): with W = ρ W', h_j = h'_j/(ρ√n_j) and ρ = (λ_H/λ_W)^{1/4}, the objective is

    (1/N) Σ_j n_j l_j(z_j) + (L/2)(‖W'‖² + ‖H'‖²),    z_j = W'ᵀh'_j/√n_j + b.

Everything in `numerics.features*` is in these units.  Samples with the same target share one column: replacing
their features by the mean lowers a convex loss and the norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Array = NDArray[np.float64]
MODELS, LOSSES = ("ufm", "upfm"), ("ce", "mse")


@dataclass(frozen=True, eq=False)
class FeatureProblem:
    """One problem.

    Attributes:
        model: "ufm" (H free) or "upfm" (H >= 0 entrywise). loss: "ce" or "mse" (‖z - y‖²/2).
        Y: (K, J) targets by columns; the identity for "ce".
        counts: (J,) multiplicities n_j >= 1.
        L: √(λ_W λ_H) > 0.
        bias: whether an unregularised b in R^K is added.

    Raises:
        NumericsError: unknown model or loss, wrong shapes, non-finite targets, L not positive and finite.
    """

    model: str
    loss: str
    Y: Array
    counts: Array
    L: float
    bias: bool = False

    def __post_init__(self) -> None:
        if self.model not in MODELS or self.loss not in LOSSES:
            raise NumericsError(
                f"model {self.model!r}, loss {self.loss!r}: the model is one of {MODELS}, the loss one of {LOSSES}"
            )
        if self.Y.ndim != 2 or self.counts.shape != self.Y.shape[1:] or not self.Y.size:
            raise NumericsError(
                f"targets of shape {self.Y.shape} with multiplicities of shape {self.counts.shape}: "
                "give one multiplicity for each column"
            )
        if not np.isfinite(self.Y).all() or not np.all(self.counts >= 1):
            raise NumericsError("targets must be finite, multiplicities at least 1")
        if not (np.isfinite(self.L) and self.L > 0):
            raise NumericsError(f"L = {self.L}: both weight decays must be positive")
        if self.loss == "ce" and not self.one_hot:
            raise NumericsError("cross-entropy needs one-hot targets: give classes, or use 'mse'")

    @property
    def K(self) -> int:
        """The number of outputs."""
        return self.Y.shape[0]

    @property
    def J(self) -> int:
        """The number of distinct columns."""
        return self.Y.shape[1]

    @cached_property
    def N(self) -> float:
        """The number of samples."""
        return float(self.counts.sum())

    @cached_property
    def roots(self) -> Array:
        """√n_j: (J,)."""
        return np.sqrt(self.counts)

    @cached_property
    def one_hot(self) -> bool:
        """Whether column j is the j-th unit vector."""
        return self.K == self.J and bool(np.all(np.eye(self.K) == self.Y))

    @cached_property
    def balanced(self) -> bool:
        """Whether the targets are one-hot with equal multiplicities."""
        return self.one_hot and bool(np.all(self.counts == self.counts[0]))

    @property
    def width(self) -> int:
        """A width that is enough for one-hot targets, and for any J <= 4, where cp-ranks are at most J."""
        return max(self.K, self.J)

    def loss_value(self, Z: Array) -> float:
        """(1/N) Σ n_j l_j(z_j); ``Z``: (K, J), bias included."""
        if self.loss == "mse":
            return float((self.counts * ((Z - self.Y) ** 2).sum(axis=0)).sum() / (2 * self.N))
        # log Σ exp(z_i - z_j) = log1p(Σ_{i≠j} exp(z_i - z_j)), which keeps small losses
        margins = Z - np.diag(Z)
        np.fill_diagonal(margins, -np.inf)
        top = np.maximum(margins.max(axis=0), 0.0)
        rest = np.exp(margins - top).sum(axis=0)
        return float(
            (
                self.counts * np.where(top > 0, top + np.log(np.exp(-top) + rest), np.log1p(rest))
            ).sum()
            / self.N
        )

    def slopes(self, Z: Array) -> Array:
        """γ_j = ∇l_j(z_j)/N, for one sample of each column: (K, J)."""
        if self.loss == "mse":
            return (Z - self.Y) / self.N
        P = np.exp(Z - Z.max(axis=0))
        P /= P.sum(axis=0)
        np.fill_diagonal(P, 0.0)
        return (P - np.diag(P.sum(axis=0))) / self.N

    def outputs(self, W: Array, H: Array, b: Array) -> Array:
        """z_j: (K, J), from W': (d, K), H': (d, J), b: (K,)."""
        return W.T @ H / self.roots + b[:, None]

    def value(self, W: Array, H: Array, b: Array) -> float:
        """The objective."""
        penalty = self.L / 2 * float((W * W).sum() + (H * H).sum())
        return self.loss_value(self.outputs(W, H, b)) + penalty

    def best_bias(self) -> Array:
        """The best b where all features are zero: (K,); zero without bias."""
        share = self.counts / self.N
        if not self.bias:
            return np.zeros(self.K)
        return np.log(share) if self.loss == "ce" else self.Y @ share
