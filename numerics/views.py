"""What an observer sees of an accepted step: dense output a block of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.polynomials import lobatto_nodes, powers
from numerics.problem import FlowProblem

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """The dense output of one step: polynomials in s = (t - t0)/tau on [0, 1].

    Args:
        w: (R, p+1, h, d). v: (R, p+1, h). w1: (R, h, d), v1: (R, h) the state that the next step
        starts from (the polynomial at s = 1, rounded once).
    """

    w: Array
    v: Array
    w1: Array
    v1: Array


@dataclass(frozen=True)
class StepView:
    """A block of accepted steps, one per row, inside one activation pattern each.

    Rows are sorted by lane, then by time: a lane may have several, which follow each other.

    The true weights are exp(log_eps) * 2**exponent_j * (W_j, V_j). In every lane the steps cover
    [0, t] without gaps and in order; a lane whose end time is 0 has one step of length 0.

    Args:
        problem: the problem. lanes: (R,) indices into its lanes, which may repeat.
        t0, tau: (R,) start and length of the step. mask: (R, h, n) activations on its interior.
        exponent: (R, h). log_eps: (R,).
        radius: (R, h) bound, for the whole step, on the Euclidean error of (W_j, V_j).
        global_radius: (R,) the same for all weights of the lane together, in units of
            exp(log_eps) * 2**max_j(exponent_j).
    """

    problem: FlowProblem
    lanes: Ints
    t0: Array
    t1: Array
    tau: Array
    mask: Bools
    exponent: Ints
    log_eps: Array
    radius: Array
    global_radius: Array
    step: Step

    @property
    def order(self) -> int:
        """Degree p of the dense output."""
        return int(self.step.v.shape[1]) - 1

    @property
    def coef_w(self) -> Array:
        """(p+1, L, h, d) Taylor coefficients of W in t - t0."""
        scale = powers(self._rate, self.order)
        return np.moveaxis(self.step.w * scale[:, :, None, None], 1, 0)

    @property
    def coef_v(self) -> Array:
        """(p+1, L, h) Taylor coefficients of V in t - t0."""
        scale = powers(self._rate, self.order)
        return np.moveaxis(self.step.v * scale[:, :, None], 1, 0)

    @property
    def _rate(self) -> Array:
        """(R,) 1/tau, and 0 on a step of length 0, of which only the state is known."""
        return np.where(self.tau > 0, 1.0 / np.where(self.tau > 0, self.tau, 1.0), 0.0)

    def states(self, m: int) -> tuple[Array, Array, Array]:
        """Times (R, m), W (R, m, h, d), V (R, m, h) at m >= 2 Chebyshev-Lobatto nodes.

        Both ends of the step are nodes: the first node of a lane's first step is t = 0, and the
        last node of a step is the state from which the next one starts (up to its exponents).
        """
        if m < 2:
            raise NumericsError(f"m is {m}; ask for at least 2 nodes, the two ends")
        nodes = lobatto_nodes(m)
        W, V = self._combine(powers(nodes, self.order))
        W[:, -1], V[:, -1] = self.step.w1, self.step.v1
        W[:, 0], V[:, 0] = self.step.w[:, 0], self.step.v[:, 0]
        times = self.t0[:, None] + self.tau[:, None] * nodes
        times[:, -1] = self.t1
        return times, W, V

    def derivative_states(self, m: int) -> tuple[Array, Array]:
        """dW/dt (R, m, h, d) and dV/dt (R, m, h) of the dense output at the nodes of ``states``.

        Undefined (NaN) on a step of length 0.
        """
        if m < 2:
            raise NumericsError(f"m is {m}; ask for at least 2 nodes, the two ends")
        table = powers(lobatto_nodes(m), self.order)
        slope = np.zeros_like(table)
        slope[:, 1:] = table[:, :-1] * np.arange(1, self.order + 1)
        W, V = self._combine(slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            return W / self.tau[:, None, None, None], V / self.tau[:, None, None]

    def outputs(self, m: int) -> tuple[Array, Array, Array]:
        """Times (R, m), F (R, m, n) and log_scale (R,) with f(x_i; t) = F * exp(log_scale).

        F is of the size of the scaled weights squared, so that nothing underflows.
        """
        times, W, V = self.states(m)
        top = self.exponent.max(axis=1)
        relative = np.ldexp(
            1.0, np.maximum(2 * (self.exponent - top[:, None]), -5000).astype(np.int32)
        )
        z = np.matmul(W, np.ascontiguousarray(self.problem.X.T)) * self.mask[:, None]
        F = np.matmul((V * relative[:, None])[:, :, None, :], z)[:, :, 0]
        return times, F, 2.0 * (self.log_eps + np.log(2.0) * top)

    def _combine(self, table: Array) -> tuple[Array, Array]:
        """Polynomials at the rows of ``table``; the largest term, that of degree 0, is added last."""
        lanes, size, h, d = self.step.w.shape
        w = self.step.w.reshape(lanes, size, h * d)
        W = np.matmul(table[:, 1:], w[:, 1:]) + table[:, :1] * w[:, :1]
        v = self.step.v
        V = np.matmul(table[:, 1:], v[:, 1:]) + table[:, :1] * v[:, :1]
        return W.reshape(lanes, -1, h, d), V
