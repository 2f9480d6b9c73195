"""Trajectories that are recorded once, and looked at by several quantities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from types import SimpleNamespace
from typing import cast

import numpy as np
from numpy.typing import NDArray

import numerics
from numerics.evaluate import Environment, lane_scalar
from numerics.extended import ScaledArray, scaled
from numerics.kinks import near_threshold
from numerics.polynomial_flow import (
    PolynomialOptions,
    PolynomialTrajectory,
    integrate_polynomial,
)
from numerics.problem import FlowOptions
from proofs_checks.batch import Batch, Float, Numbers, StepContext
from proofs_checks.case import Case
from proofs_checks.claims.linear_networks import gradient_field
from proofs_checks.linear_batch import LinearBatch, LinearContext, numbered_by_i
from proofs_checks.linear_case import LinearCase
from theory.errors import LemmataError

UNIT = 2.0**-52
ROUNDING = 8 * UNIT  # relative error of weights up to which neurons may start on a kink
FLOW = FlowOptions(max_steps=500, max_kinks=500)  # beyond them a case is undecided
LINEAR = PolynomialOptions(max_steps=150)


@dataclass(frozen=True)
class Trajectory:
    """A trajectory of one case.

    Attributes:
        reached: the time up to which it is known. reason: why it ends there, "" where that is what was asked for.
        contexts: blocks of its steps in order, with these numbers as further variables.
    """

    reached: float
    reason: str
    contexts: Callable[[Numbers], list[StepContext]]


@dataclass(frozen=True)
class Start:
    """A start of gradient flow known within error bounds: W (h, d), v (h,), log ε, and their radii."""

    W: Float
    v: Float
    log_eps: float
    W_error: Float
    v_error: Float
    log_eps_error: float

    @property
    def own(self) -> Float:
        """(h,) bound on the Euclidean error of (w_j, v_j)/ε, the one of ε left aside."""
        error: Float = np.sqrt((self.W_error**2).sum(axis=1) + self.v_error**2)
        return error * (1 + 16 * UNIT)

    @property
    def radius(self) -> Float:
        """(h,) the same, with the error of log ε counted as one of the weights."""
        size = np.sqrt((self.W**2).sum(axis=1) + self.v**2)
        grown = math.expm1(self.log_eps_error) if self.log_eps_error < 1 else math.inf
        return (self.own + grown * (size + self.own)) * (1 + 16 * UNIT)

    @property
    def turned(self) -> Float:
        """(h,) bound on the Euclidean error of w_j/ε, which turns it; that of ε does not."""
        error: Float = np.sqrt((self.W_error**2).sum(axis=1))
        return error * (1 + 16 * UNIT)


def relu_trajectory(
    X: Float, y: Float, start: Start, until: float, *, loss: str, reduction: str
) -> Trajectory:
    """The gradient flow of a two-layer ReLU network on exact data.

    Raises:
        LemmataError, numerics.NumericsError: arrays that are no case; a start whose pattern its error leaves open.
    """
    case = replace(
        Case.create(X, y, W0=start.W, v0=start.v, eps=1.0, loss=loss, reduction=reduction),
        log_eps=start.log_eps,
    )
    batch = Batch((case,))
    radius = start.radius
    _require_pattern(case, start.own, loss)
    problem = replace(
        batch.problem(), start_radius=radius[None], direction_radius=start.turned[None]
    )
    steps: list[numerics.StepView] = []

    class Record:
        def on_step(self, step: numerics.StepView) -> None:
            steps.append(step)

    result = numerics.integrate(problem, until=until, observers=[Record()], options=FLOW)
    basic = batch.basic_numbers()
    eps, error = case.eps, float(radius.max())
    relative = 2.0**-53 + (math.expm1(start.log_eps_error) if start.log_eps_error else 0.0)
    basic["eps"] = lane_scalar(np.array([eps[0]]), 2 * relative * eps[0], np.array([eps[1]]))
    for name in ("W_max", "W_min"):
        a = basic[name]
        basic[name] = ScaledArray(a.m, a.r + error, a.e)

    def contexts(numbers: Numbers) -> list[StepContext]:
        return [StepContext(batch, step, {**basic, **numbers}) for step in steps]

    return Trajectory(float(result.t[0]), result.reason[0], contexts)


def _require_pattern(case: Case, radius: Float, loss: str) -> None:
    """Refuse a start on a kink, or within its error of one, unless the error is that of rounding.

    Raises:
        LemmataError: a neuron and a point for which this is so.
    """
    norms = np.linalg.norm(case.X, axis=1)
    level = near_threshold(norms, case.W0[None], case.v0[None])[0]
    z = np.abs(case.W0 @ case.X.T)
    size = np.sqrt((case.W0**2).sum(axis=1) + case.v0**2)
    uncertain = radius > ROUNDING * size
    near = (z <= 2 * radius[:, None] * norms + level) & uncertain[:, None]
    if near.any():
        j, i = (int(k) for k in np.argwhere(near)[0])
        raise LemmataError(
            f"whether neuron {j} starts active on point {i} is not decided: its weights are known up to {radius[j]:.2g}"
        )


@dataclass(frozen=True)
class Quadratic:
    """The loss ½ ‖A W - B‖² as the flow sees it: M = AᵀA (n, n), N = AᵀB (n, m), rounded.

    Attributes:
        M_error, N_error: by how much the entries may be off; zero where they are binary64 numbers.
    """

    M: Float
    N: Float
    M_error: Float
    N_error: Float

    @classmethod
    def of(cls, A: Float, B: Float, A_error: Float, B_error: Float) -> Quadratic:
        """Of data known within an error, entry by entry."""
        size, A_size, B_size = (np.abs(a) for a in (A, A, B))
        (M, M_exact), (N, N_exact) = _product(A, A), _product(A, B)
        mixed = A_error.T @ size
        M_error = mixed + mixed.T + A_error.T @ A_error + np.where(M_exact, 0.0, UNIT * np.abs(M))
        N_error = A_error.T @ (B_size + B_error) + A_size.T @ B_error
        N_error = N_error + np.where(N_exact, 0.0, UNIT * np.abs(N))
        return cls(M, N, M_error * (1 + 64 * UNIT), N_error * (1 + 64 * UNIT))


def _product(a: Float, b: Float) -> tuple[Float, NDArray[np.bool_]]:
    """aᵀb, every entry correctly rounded, and whether that changes nothing."""
    left, right = ([[Fraction(x) for x in row] for row in c.T.tolist()] for c in (a, b))
    exact = [[sum(x * y for x, y in zip(p, q, strict=True)) for q in right] for p in left]
    out = np.array([[float(x) for x in row] for row in exact])
    same = [[Fraction(float(x)) == x for x in row] for row in exact]
    return out, np.array(same)


def linear_trajectory(
    A: Float,
    B: Float,
    W1: Float,
    W2: Float,
    quadratic: tuple[Float, Float],
    until: float,
) -> Trajectory:
    """The gradient flow of W1 W2 with the loss ½ ‖A W1 W2 - B‖², for exactly these (M, N).

    Raises:
        LemmataError, numerics.NumericsError: arrays that are no case.
    """
    case = LinearCase.create(A, B, W1=W1, W2=W2, eta=1.0, horizon=until)
    # the field asks for nothing else of a case
    field = gradient_field(cast(LinearCase, SimpleNamespace(shape=case.shape, quadratic=quadratic)))
    theta = np.concatenate([case.W1.ravel(), case.W2.ravel()])
    path = integrate_polynomial(field, theta[None], until, options=LINEAR)
    batch = LinearBatch((case,))
    basic = {k: batch.basic_numbers()[k] for k in ("n", "h", "m")}
    ends = path.times[0] if path.times[0].size else np.zeros(1)

    def opened(times: Float, numbers: Numbers) -> Environment:
        return Environment({**numbers, **_linear_variables(path, case, times)})

    def contexts(numbers: Numbers) -> list[StepContext]:
        spans = zip([0.0, *ends[:-1]], ends, strict=True)
        return [LinearContext(batch, 0, span, {**basic, **numbers}, opened) for span in spans]

    return Trajectory(path.end(0), path.reason[0], contexts)


def _linear_variables(
    path: PolynomialTrajectory, case: LinearCase, times: Float
) -> dict[str, ScaledArray]:
    """The variables at times (1, m); the error of the whole state bounds that of each vector."""
    n, h, m = case.shape
    states = np.stack([path.state(0, float(t)) for t in times[0]])
    errors = np.array([path.error(0, float(t)) for t in times[0]])
    W1, W2 = states[:, : n * h].reshape(-1, n, h), states[:, n * h :].reshape(-1, h, m)
    radius = errors[None, :, None, None, None]
    first = scaled(np.swapaxes(W1, 1, 2)[None, :, :, None, :], radius)
    second = scaled(W2[None, :, :, None, :], radius)

    def size(a: Float) -> Float:
        return np.sqrt((a**2).sum(axis=(-2, -1)))

    # the residual and its error: of the product, mapped by A, and rounded
    residual = case.A @ W1 @ W2 - case.B
    moved = (size(W1) + size(W2) + errors) * errors + (n + h + 4) * UNIT * size(W1) * size(W2)
    error = size(case.A) * moved + 4 * UNIT * size(case.B)
    length = size(residual)
    loss = 0.5 * length**2
    loss_error = (length + error) * error + (residual[0].size + 4) * UNIT * loss
    return {
        "W1": first,
        "W2": second,
        "W1_": numbered_by_i(first),
        "W2_": numbered_by_i(second),
        "t": scaled(times[:, :, None, None, None]),
        "loss": scaled(loss[None, :, None, None, None], loss_error[None, :, None, None, None]),
    }
