"""Operators of minimax problems: F(z) = A (z - z*) with ‖A‖₂ <= L, monotone or only weak Minty."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proofs_checks.conjectures.samples import ALL_REALS, POSITIVE, Domain, Sample
from proofs_checks.strategies.arguments import Size, Value, flag, one_of_names, sizes, values
from proofs_checks.strategies.arrays import free
from proofs_checks.strategies.formulas import reflected
from proofs_checks.strategies.origin import ours
from theory.errors import LemmataError

OPERATORS = ("bilinear", "rotation", "general")
_UNIT, _UNIT_OPEN, _SLOPES = Domain(0.0, 1.0), Domain(0.0, 1.0, open_low=True), Domain(-1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Operator:
    """F(z) = A (z - z_star), Lipschitz with a constant of at most L.

    Attributes:
        A: (k, k). z_star: (k,), where F vanishes. z0: (k,), a start. L: number.
        rho: ⟨F(z), z - z_star⟩ >= rho ‖F(z)‖² for all z: 0 where F is only known to be monotone.
    """

    A: Any
    z_star: Any
    z0: Any
    L: Any
    rho: Any

    def F(self, z: Any) -> Any:
        """The operator at z (k,)."""
        return self.A @ (z - self.z_star)

    def extragradient(
        self, gamma: Any, alpha: Any = 1, steps: int = 1
    ) -> tuple[list[Any], list[Any]]:
        """EG+ from z0: z̄_k = z_k - γ F(z_k), z_{k+1} = z_k - α γ F(z̄_k); gives z_0, ..., and z̄_0, ..., z̄_{steps-1}."""
        z, middle = [self.z0], []
        for _ in range(steps):
            middle.append(z[-1] - gamma * self.F(z[-1]))
            z.append(z[-1] - (alpha * gamma) * self.F(middle[-1]))
        return z, middle


@ours
def minimax_operators(
    L: Value = 1.0, *, kind: str | None = None, size: Size = (1, 2), weak_minty: bool = False
) -> SearchStrategy[Sample]:
    """Affine operators with a Lipschitz constant of at most L, by construction.

    ``bilinear``: F(x, y) = (B y, -Bᵀ x) around its zero, B (n, m) with singular values up to L.
    ``rotation``: plane rotations times scales up to L, one for every two coordinates.
    ``general``: a positive semidefinite and a skew matrix, scaled.

    Args:
        L: a number > 0, held fixed, or a strategy of numbers.
        kind: one of these names; None draws any of them.
        size: of n and m, and number of the rotations; general operators have twice as many coordinates.
        weak_minty: rotations by any angle: monotone or not, with ``case.rho`` = min cos(angle)/scale, maybe negative.

    Raises:
        LemmataError: L that is not positive, an unknown kind, or one that is always monotone with ``weak_minty``.
    """
    flag(weak_minty, "weak_minty")
    if weak_minty and kind not in (None, "rotation"):
        raise LemmataError(f"kind={kind!r} is monotone; weak_minty=True draws rotations")
    kinds = one_of_names("rotation" if weak_minty else kind, OPERATORS, "kind")
    bounds, number = values(L, "L", POSITIVE), sizes(size, "size")

    @st.composite
    def draw(draw: Any) -> Sample:
        own, n = draw(kinds), draw(number)
        raw: dict[str, Any] = {"kind": own, "L": draw(bounds)}
        if own == "bilinear":
            m = draw(number)
            raw |= {"s": draw(free((min(n, m),), _UNIT))}
            raw |= {"U": draw(free((n, n), scales=False)), "V": draw(free((m, m), scales=False))}
            k = n + m
        else:
            k = 2 * n
        if own == "rotation":
            turns = ALL_REALS if weak_minty else _SLOPES
            scales = _UNIT_OPEN if weak_minty else _UNIT
            raw |= {"r": draw(free((n,), scales)), "t": draw(free((n,), turns, scales=False))}
            raw["weak_minty"] = bool(weak_minty)
        if own == "general":
            raw |= {"P": draw(free((k, k), scales=False)), "K": draw(free((k, k), scales=False))}
        return Sample("minimax_operator", raw | {q: draw(free((k,))) for q in ("z_star", "z0")})

    return draw()


def minimax_operator(raw: SimpleNamespace) -> Operator:
    """The operator of raw parts; see `minimax_operators`."""
    rho: Any = 0
    if raw.kind == "bilinear":
        n, m, k = raw.U.shape[0], raw.V.shape[0], raw.s.shape[0]
        S = np.eye(n, k) @ np.diag(raw.L * raw.s) @ np.eye(k, m)
        B = reflected(raw.V, reflected(raw.U, S).T).T
        top = np.concatenate([np.zeros((n, n)) * raw.L, B], axis=1)
        A = np.concatenate([top, np.concatenate([-B.T, np.zeros((m, m)) * raw.L], axis=1)])
    elif raw.kind == "rotation":
        # angle 2 arctan t: its cosine and sine are rational in t
        square = raw.t * raw.t
        c, s = (1 - square) / (1 + square), 2 * raw.t / (1 + square)
        count = raw.r.shape[0]
        A = sum(
            raw.L
            * raw.r[k]
            * (
                c[k] * _block(count, k, [[1, 0], [0, 1]])
                + s[k] * _block(count, k, [[0, -1], [1, 0]])
            )
            for k in range(count)
        )
        if raw.weak_minty:
            rho = np.min(c / (raw.L * raw.r))
    elif raw.kind == "general":
        M = raw.P @ raw.P.T + (raw.K - raw.K.T)
        # 2x/(1 + x²) <= 1 with x the Frobenius norm, which is at least ‖M‖₂
        A = (2 * raw.L) * M / (1 + np.sum(M * M))
    else:
        raise LemmataError(f"unknown kind of operator {raw.kind!r:.40}")
    return Operator(A, raw.z_star, raw.z0, raw.L, rho)


def _block(count: int, k: int, block: list[list[int]]) -> Any:
    E = np.zeros((2 * count, 2 * count))
    E[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = block
    return E
