"""Certificates for unconstrained features: float64 networks and dual points made exact.

The units of `numerics.features` are undone here: the targets were moved and divided, weights and features balanced.
What rounding breaks is repaired in rational arithmetic (probabilities that sum to 1, gammas that sum to 0); what it
could break is kept away from the boundary.  The audit kernel evaluates everything again, and alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from numerics.features import Array, FeatureProblem
from numerics.features_descent import Network
from numerics.features_dual import Dual, dual_value, zero_dual
from numerics.features_programs import LiftSolution
from proofs_checks.certificate import Certificate
from proofs_checks.exact_data import Matrix, exact_text, exact_texts

OPTIMUM, GAP = "convex optimum: unconstrained features", "relaxation gap"
# By how much bounds are rounded outwards, and duals shrunk, until the kernel accepts: (bounds, duals).
STEPS = ((1e-13, 0.0), (1e-12, 2.0**-36), (1e-10, 2.0**-30))


@dataclass(frozen=True)
class ExactInstance:
    """The instance as it was given.

    Attributes:
        targets: (K, J) exact, or None for one-hot. counts: n_j. lambda_w, lambda_h: exact, > 0.
    """

    model: str
    loss: str
    targets: Matrix | None
    counts: tuple[int, ...]
    lambda_w: Fraction
    lambda_h: Fraction
    bias: bool

    def claim(self) -> dict[str, Any]:
        """The fields that every claim restates."""
        columns = []
        if self.targets is not None:
            columns = exact_texts(list(zip(*self.targets, strict=True)))
        return {
            "model": self.model,
            "loss": self.loss,
            "targets": columns,
            "multiplicities": list(self.counts),
            "lambda_w": exact_text(self.lambda_w),
            "lambda_h": exact_text(self.lambda_h),
            "bias": self.bias,
        }

    @property
    def L2(self) -> Fraction:
        """λ_W λ_H."""
        return self.lambda_w * self.lambda_h

    @property
    def L(self) -> float:
        """√(λ_W λ_H)."""
        return math.sqrt(self.lambda_w) * math.sqrt(self.lambda_h)

    @property
    def rho(self) -> float:
        """(λ_H/λ_W)^{1/4}."""
        return (math.sqrt(self.lambda_h) / math.sqrt(self.lambda_w)) ** 0.5


@dataclass(frozen=True)
class Units:
    """How the targets of a problem came about: Y = (targets - centre)/scale, by columns.

    Attributes:
        scale: > 0; its square and the value of the optimum are in the range of float64. centre: (K,), zero without
            bias, which takes it up.
    """

    scale: float
    centre: tuple[Fraction, ...]

    @property
    def value(self) -> float:
        """What a value in normalised units is multiplied by."""
        return self.scale * self.scale

    def bias(self, b: Array) -> list[Fraction]:
        """A bias in the units of the instance, exactly."""
        return [c + Fraction(self.scale * float(x)) for c, x in zip(self.centre, b, strict=True)]


@dataclass(frozen=True, eq=False)
class Audited:
    """A certificate that the kernel has accepted, and the two numbers that it claims."""

    certificate: Certificate
    lower: float
    upper: float

    @property
    def relative_gap(self) -> float:
        """(upper - lower)/upper; 0 where both are 0."""
        return (self.upper - self.lower) / self.upper if self.upper else 0.0


def network_units(
    instance: ExactInstance, problem: FeatureProblem, units: Units, network: Network
) -> tuple[Array, Array, list[Fraction]]:
    """(W, H, b) in the units of the instance, without latent directions that are zero."""
    root = math.sqrt(units.scale)
    W = root * instance.rho * network.W
    H = root / instance.rho * network.H / problem.roots
    used = np.flatnonzero(W.any(axis=1) | H.any(axis=1))
    used = used if len(used) else np.zeros(1, dtype=np.intp)
    return W[used], H[used], units.bias(network.b)


def optimum_certificate(
    instance: ExactInstance,
    problem: FeatureProblem,
    units: Units,
    network: Network,
    dual: Dual,
    *,
    copositive: bool = False,
) -> tuple[Audited | None, str]:
    """The certificate of lower <= optimum <= upper, if the kernel accepts it, and else its reason.

    Args:
        copositive: leave the matrix of the dual to the kernel's exact test (model "upfm", at most 10 columns).
    """
    W, H, b = network_units(instance, problem, units, network)
    value = units.value * network.value
    if instance.loss == "mse" and not H.any():
        # the value may be zero, which rounding would hide
        b, exact_value = _without_features(instance)
        value = float(exact_value)
        dual = dual if exact_value else zero_dual(problem)
    reason = ""
    for pad, shrink in STEPS:
        shrunk, bound = _shrunk(problem, dual, shrink)
        if not math.isfinite(bound):
            return None, "the dual point found lies outside the domain of the loss"
        lower, upper = _down(units.value * bound, pad), _up(value, pad)
        gammas = _exact_dual(instance, units.scale, shrunk)
        certificate = Certificate(
            OPTIMUM,
            {
                **instance.claim(),
                "width": len(W),
                "lower": exact_text(Fraction(lower)),
                "upper": exact_text(Fraction(upper)),
            },
            {},
            {
                "W": _texts(W),
                "H": _texts(H.T),
                "b": exact_texts([b])[0] if instance.bias else [],
                "dual": exact_texts(gammas),
                "B": []
                if copositive or instance.model == "ufm"
                else _texts(units.value * shrunk.B / np.outer(problem.roots, problem.roots)),
            },
        )
        result = certificate.audit()
        if result.accepted:
            return Audited(certificate, lower, upper), ""
        reason = result.reason
    return None, reason


def gap_certificate(
    instance: ExactInstance,
    problem: FeatureProblem,
    units: Units,
    solution: LiftSolution,
    dual: Dual,
) -> tuple[Audited | None, str]:
    """The certificate that the relaxation lies below all networks, if the kernel accepts it, and else its reason.

    The solver's point is moved inside the cone: V + δI, and U = Z (V + δI)⁻¹ Zᵀ + δI.
    """
    if solution.V is None:
        return None, "the nuclear norm is no relaxation: nothing to separate"
    V = np.maximum(solution.V, 0.0)
    size = float(np.trace(V)) + float(np.abs(solution.Z).sum())
    delta = 1e-9 * size if size > 0 else 1e-9
    V = V + delta * np.eye(problem.J)
    inner = solution.Z @ np.linalg.solve(V, solution.Z.T)
    U = (inner + inner.T) / 2 + delta * np.eye(problem.K)
    outputs = solution.Z / problem.roots + solution.b[:, None]
    trace = float(np.trace(U) + np.trace(V))
    relaxation = _up(units.value * (problem.loss_value(outputs) + problem.L / 2 * trace), 1e-9)
    scale, rho, roots, reason = units.scale, instance.rho, problem.roots, ""
    for pad, shrink in STEPS:
        shrunk, bound = _shrunk(problem, dual, shrink)
        network = _down(units.value * bound, pad)  # -inf where the point gives no bound
        if not relaxation < network:
            return None, "the relaxation and the bound for networks do not lie apart"
        certificate = Certificate(
            GAP,
            {
                **instance.claim(),
                "relaxation": exact_text(Fraction(relaxation)),
                "network": exact_text(Fraction(network)),
            },
            {},
            {
                "U": _texts(scale * rho**2 * U),
                "V": _texts(_mirrored(scale / rho**2 * V / np.outer(roots, roots))),
                "Z": _texts(scale * solution.Z / roots),
                "b": exact_texts([units.bias(solution.b)])[0] if instance.bias else [],
                "dual": exact_texts(_exact_dual(instance, units.scale, shrunk)),
            },
        )
        result = certificate.audit()
        if result.accepted:
            return Audited(certificate, relaxation, network), ""
        reason = result.reason
    return None, reason


def _without_features(instance: ExactInstance) -> tuple[list[Fraction], Fraction]:
    """The best bias (0 without bias) and the exact value where W and H are zero, for "mse"."""
    counts, N = instance.counts, sum(instance.counts)
    rows: Sequence[Sequence[Fraction]] = instance.targets or [
        [Fraction(int(i == j)) for j in range(len(counts))] for i in range(len(counts))
    ]
    b, value = [], Fraction(0)
    for row in rows:
        mean = sum((n * y for n, y in zip(counts, row, strict=True)), Fraction(0)) / N
        b.append(mean if instance.bias else Fraction(0))
        value += sum((n * (y - b[-1]) ** 2 for n, y in zip(counts, row, strict=True)), Fraction(0))
    return b, value / (2 * N)


def _shrunk(problem: FeatureProblem, dual: Dual, shrink: float) -> tuple[Dual, float]:
    """The dual point scaled by 1 - shrink, and its value."""
    gamma, B = (1 - shrink) * dual.gamma, (1 - shrink) ** 2 * dual.B
    bound = dual_value(problem, gamma)
    return Dual(gamma, _mirrored(B), bound), bound


def _mirrored(matrix: Array) -> Array:
    """Exactly symmetric."""
    return np.tril(matrix) + np.tril(matrix, -1).T


def _exact_dual(instance: ExactInstance, scale: float, dual: Dual) -> list[list[Fraction]]:
    """The columns p_j ("ce") or γ_j ("mse") of the witness, exactly feasible for a free bias."""
    counts, N = instance.counts, sum(instance.counts)
    columns = [[Fraction(float(x)) for x in column] for column in (scale * dual.gamma).T]
    if instance.loss == "mse":
        if instance.bias:
            means = [
                sum((n * x for n, x in zip(counts, row, strict=True)), Fraction(0)) / N
                for row in zip(*columns, strict=True)
            ]
            columns = [[x - m for x, m in zip(c, means, strict=True)] for c in columns]
        return columns
    for j, column in enumerate(columns):
        for i, x in enumerate(column):
            column[i] = N * max(x, Fraction(0))
        column[j] = 1 - (sum(column, Fraction(0)) - column[j])
    if instance.bias:
        _balance(columns, counts)
    return columns


def _balance(columns: list[list[Fraction]], counts: Sequence[int]) -> None:
    """Make Σ_j n_j p_j = (n_k)_k exact: mass moves from p_ii, which is not small, to where it is missing."""
    missing = [
        n - sum((m * c[k] for m, c in zip(counts, columns, strict=True)), Fraction(0))
        for k, n in enumerate(counts)
    ]
    takers = [k for k, r in enumerate(missing) if r > 0]
    for i, r in enumerate(missing):
        while r < 0:
            k = takers[-1]
            amount = min(-r, missing[k])
            columns[i][i] -= amount / counts[i]
            columns[i][k] += amount / counts[i]
            missing[k] -= amount
            r += amount
            if missing[k] == 0:
                takers.pop()


def _texts(rows: Any) -> list[list[str]]:
    return exact_texts([[Fraction(float(x)) for x in row] for row in rows])


def _down(value: float, pad: float) -> float:
    return value - pad * abs(value) + 0.0  # no -0.0


def _up(value: float, pad: float) -> float:
    return value + pad * abs(value)
