"""Networks as a conjecture sees them: weights and data as attributes, explicit formulas, iterates, flows and optima.

The formulas are the same for traced arrays and for numpy arrays. Losses are *sums* over the points. ``gradient()`` is
by the names of the weights, and ``with_weights(**new)`` is the same network elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from proofs_checks.strategies.formulas import (
    loss_slopes,
    loss_values,
    power,
    relu,
    row_norms,
    safe,
    step,
)
from theory.errors import LemmataError


class _Trained:
    """What all networks have: the dynamics of their weights."""

    def descent(self, eta: Any, steps: int) -> list[Any]:
        """Gradient descent with step size eta: the networks at steps 0, ..., ``steps``."""
        from proofs_checks.conjectures.dynamics import descend

        return descend(self, eta, steps)

    def flow(self, until: Any) -> Any:
        """Gradient flow up to the time ``until``; see `proofs_checks.conjectures.dynamics.flow`."""
        from proofs_checks.conjectures.dynamics import flow

        return flow(self, until)


@dataclass(frozen=True, eq=False)
class ReluNetwork(_Trained):
    """f(x) = Σ_j v_j σ(⟨w_j, x⟩) with the ReLU σ, σ'(0) = 0, and the loss L = Σ_i l(y_i, f(x_i)).

    Attributes:
        X: (n, d). y: (n,). W: (h, d), rows w_j. v: (h,). loss: name of l.
        data: what the data set knows about itself, such as ``data.mu``.
    """

    X: Any
    y: Any
    W: Any
    v: Any
    loss: str
    data: Any = None

    def outputs(self) -> Any:
        """f(x_i), (n,)."""
        return relu(self.X @ self.W.T) @ self.v

    def loss_value(self) -> Any:
        """L."""
        return np.sum(loss_values(self.loss, self.y, self.outputs()))

    def gradient(self) -> dict[str, Any]:
        """∇L by W and v."""
        z = self.X @ self.W.T
        slopes = loss_slopes(self.loss, self.y, relu(z) @ self.v)
        through = step(z) * np.outer(slopes, self.v)
        return {"W": through.T @ self.X, "v": slopes @ relu(z)}

    def imbalance(self) -> Any:
        """‖w_j‖² - v_j², (h,): constant along gradient flow."""
        return np.sum(self.W * self.W, axis=1) - self.v * self.v

    def with_weights(self, **new: Any) -> Any:
        """The same network with other weights W, v."""
        return replace(self, **new)

    def optimum(self, beta: Any) -> Any:
        """The least value of L + (β/2)(‖W‖_F² + ‖v‖²) over networks of any width; see `optima.relu_optimum`.

        Raises:
            LemmataError: the exponential loss, for which there is no convex program here.
        """
        from proofs_checks.conjectures.optima import relu_optimum

        if self.loss == "exponential":
            raise LemmataError(
                "the optimum is known here for the losses squared, logistic and logistic2"
            )
        if self.loss == "logistic":
            return relu_optimum(self.X, self.y, beta, loss="logistic")
        # the convex programs have ½ (f - y)² and log(1 + e^(-yf)), half of these losses
        return 2 * relu_optimum(self.X, self.y, beta / 2, loss=self.loss.rstrip("2"))


@dataclass(frozen=True, eq=False)
class PReluNetwork(ReluNetwork):
    """f(x) = Σ_j v_j σ(⟨w_j, x⟩)^p / ‖w_j‖^{p-1}; a neuron w_j = 0 gives 0, and its gradient is taken as 0.

    Attributes:
        p: at least 1; with p = 1 the ReLU network.
    """

    p: Fraction = Fraction(1)

    def _norms(self) -> Any:
        return safe(row_norms(self.W))

    def outputs(self) -> Any:
        """f(x_i), (n,)."""
        phi = power(relu(self.X @ self.W.T), self.p) / power(self._norms(), self.p - 1)
        return phi @ self.v

    def gradient(self) -> dict[str, Any]:
        """∇L by W and v."""
        p, norms, z = self.p, self._norms(), self.X @ self.W.T
        phi = power(relu(z), p) / power(norms, p - 1)
        slopes = loss_slopes(self.loss, self.y, phi @ self.v)
        inside = step(z) if p == 1 else power(relu(z), p - 1)
        through = np.outer(slopes, self.v) * inside * float_of(p) / power(norms, p - 1)
        # the derivative of 1/‖w‖^{p-1}
        shrink = float_of(p - 1) * self.v * (slopes @ phi) / (norms * norms)
        return {"W": through.T @ self.X - shrink.reshape(-1, 1) * self.W, "v": slopes @ phi}

    def optimum(self, beta: Any) -> Any:
        """That of the ReLU network, for p = 1 only.

        Raises:
            LemmataError: p > 1.
        """
        if self.p != 1:
            raise LemmataError(f"no convex program is known for p = {self.p}; use p = 1")
        return super().optimum(beta)


def float_of(p: Fraction) -> Any:
    """An integer, or a Fraction as the nearest float where that is exact; the exponents in use are such."""
    return p.numerator if p.denominator == 1 else float(p)


@dataclass(frozen=True, eq=False)
class ScaledStart:
    """A network at a small initialisation: weights ε W, ε v, as in statements about early training.

    Attributes:
        X, y, W, v, loss, data: as of the network; W and v before scaling, ``w_{j0}``. eps: ε > 0.
    """

    X: Any
    y: Any
    W: Any
    v: Any
    loss: str
    data: Any
    eps: Any
    p: Fraction

    @property
    def W_max(self) -> Any:
        """max_j ‖w_{j0}‖."""
        return np.max(row_norms(self.W))

    def network(self) -> Any:
        """The network with the weights ε W and ε v."""
        scaled = self.X, self.y, self.eps * self.W, self.eps * self.v, self.loss, self.data
        return ReluNetwork(*scaled) if self.p == 1 else PReluNetwork(*scaled, p=self.p)

    def descent(self, eta: Any, steps: int) -> list[Any]:
        """Gradient descent from the scaled weights."""
        return self.network().descent(eta, steps)

    def flow(self, until: Any) -> Any:
        """Gradient flow from the scaled weights; ε may be so small that no float holds the weights."""
        from proofs_checks.conjectures.dynamics import flow

        return flow(self, until)


@dataclass(frozen=True, eq=False)
class LinearNetwork(_Trained):
    """W = W1 W2 ... W_depth with the loss ½ ‖A W - B‖_F².

    Attributes:
        weights: (n, h_1), (h_1, h_2), ..., (h_{depth-1}, m); also as W1, W2, ...
        A: (s, n), the identity where there are no inputs. B: (s, m). whitened: whether A is the identity.
    """

    weights: tuple[Any, ...]
    A: Any
    B: Any
    whitened: bool

    def __getattr__(self, name: str) -> Any:
        index = name[1:]
        if name.startswith("W") and index.isdigit() and 1 <= int(index) <= len(self.weights):
            return self.weights[int(index) - 1]
        raise AttributeError(f"a linear network of depth {len(self.weights)} has no {name!r}")

    @property
    def depth(self) -> int:
        """Number of factors."""
        return len(self.weights)

    def product(self, start: int = 1, end: int | None = None) -> Any:
        """W_start ... W_end, by default all of W."""
        chosen = self.weights[start - 1 : end]
        out = chosen[0]
        for W in chosen[1:]:
            out = out @ W
        return out

    def outputs(self) -> Any:
        """A W, (s, m)."""
        return self.product() if self.whitened else self.A @ self.product()

    def residual(self) -> Any:
        """A W - B."""
        return self.outputs() - self.B

    def loss_value(self) -> Any:
        """½ ‖A W - B‖_F²."""
        r = self.residual()
        return np.sum(r * r) / 2

    def end_gradient(self) -> Any:
        """∇f(W) = Aᵀ(A W - B), (n, m)."""
        r = self.residual()
        return r if self.whitened else self.A.T @ r

    def gradient(self) -> dict[str, Any]:
        """∇L by W1, W2, ..."""
        G, out = self.end_gradient(), {}
        for k in range(1, self.depth + 1):
            g = G if k == 1 else self.product(1, k - 1).T @ G
            out[f"W{k}"] = g if k == self.depth else g @ self.product(k + 1).T
        return out

    def imbalance(self, k: int = 1) -> Any:
        """W_kᵀ W_k - W_{k+1} W_{k+1}ᵀ: constant along gradient flow."""
        a, b = self.weights[k - 1 : k + 1]
        return a.T @ a - b @ b.T

    def with_weights(self, **new: Any) -> LinearNetwork:
        """The same network with other weights W1, W2, ..."""
        changed = [new.pop(f"W{k}", W) for k, W in enumerate(self.weights, 1)]
        if new:
            raise TypeError(f"a linear network has no weights {', '.join(new)}")
        return replace(self, weights=tuple(changed))


@dataclass(frozen=True, eq=False)
class DiagonalNetwork(_Trained):
    """f(x) = ⟨β, x⟩ with β = u^depth - v^depth entry by entry, and the loss ½ ‖X β - y‖².

    Attributes:
        X: (n, d). y: (n,). u, v: (d,). depth: at least 1.
    """

    X: Any
    y: Any
    u: Any
    v: Any
    depth: int

    @property
    def beta(self) -> Any:
        """(d,)."""
        return power(self.u, Fraction(self.depth)) - power(self.v, Fraction(self.depth))

    def outputs(self) -> Any:
        """X β, (n,)."""
        return self.X @ self.beta

    def loss_value(self) -> Any:
        """½ ‖X β - y‖²."""
        r = self.outputs() - self.y
        return r @ r / 2

    def gradient(self) -> dict[str, Any]:
        """∇L by u and v."""
        g, L = self.X.T @ (self.outputs() - self.y), self.depth
        du, dv = (L * power(a, Fraction(L - 1)) for a in (self.u, self.v))
        return {"u": du * g, "v": -dv * g}

    def with_weights(self, **new: Any) -> DiagonalNetwork:
        """The same network with other weights u, v."""
        return replace(self, **new)
