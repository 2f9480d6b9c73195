"""Implicit steps: G(z', z) = 0 solved for z', lane by lane, and linearised for the error bound.

For a proximal point step G = z' + γF(z') - z. Newton's method solves it, in one step where F is affine (with one more
as iterative refinement); a fixed-point iteration contracts where γL < 1. Neither is trusted: the residual
G(z', z) is evaluated, in extended precision for the bound, and |DG⁻¹ G| is charged as local error, so that an
inexact inner solution is covered like rounding. For monotone F, |DG⁻¹| <= 1 and the residual itself bounds it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.descent_bounds import Enclosure, along, linearise, rows
from numerics.descent_graph import Traced, trace
from numerics.descent_types import Array

MOST = 60  # Newton steps
MOST_FIXED = 20_000
HALVINGS = 12


class Implicit:
    """Solves G(z', z, *rest) = 0 for a batch; ``inner`` is "newton" or "fixed-point"."""

    def __init__(self, residual: Traced, inner: str) -> None:
        self._graph, self._inner = residual.value, inner
        self._jacobian: Any = None

    def __call__(self, z: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        """z' (B, N), and where it solves the equation up to rounding (B,)."""
        solve = self._newton if self._inner == "newton" else self._fixed
        with torch.no_grad():
            new, left = solve(z, rest)
        return new, left <= self._tolerance(new, z, rest)

    def _tolerance(self, new: Tensor, z: Tensor, rest: tuple[Tensor, ...]) -> Tensor:
        """64 √N rounding units of what the residual is a sum of: z', z and γF = G - z' + z."""
        applied = self._graph(new, z, *rest) - new + z
        size = new.norm(dim=1) + z.norm(dim=1) + applied.norm(dim=1)
        return 64.0 * float(torch.finfo(z.dtype).eps) * z.shape[1] ** 0.5 * size

    def _newton(self, z: Tensor, rest: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        if self._jacobian is None:
            self._jacobian = trace(self._columns, z, z, *rest)
        new, value = z, self._graph(z, z, *rest)
        left = value.norm(dim=1)
        for _ in range(MOST):
            slope = self._jacobian(new, z, *rest)
            step = torch.linalg.solve_ex(slope, value)[0]
            better = torch.zeros_like(left, dtype=torch.bool)
            settled = torch.zeros_like(better)
            length = torch.ones_like(left)
            for _ in range(HALVINGS):
                candidate = new - length[:, None] * step
                at = self._graph(candidate, z, *rest)
                size = at.norm(dim=1)
                take = ~better & ~settled & (size < left)
                new = torch.where(take[:, None], candidate, new)
                value = torch.where(take[:, None], at, value)
                left = torch.where(take, size, left)
                better |= take
                # A residual of the size of rounding is not worth a shorter step.
                settled = left <= self._tolerance(new, z, rest)
                if bool((better | settled).all()):
                    break
                length = torch.where(better, length, 0.5 * length)
            if not bool(better.any()):
                break
        return new, left

    def _columns(self, new: Tensor, z: Tensor, *rest: Tensor) -> Tensor:
        """The Jacobian in its first argument, (B, N, N)."""
        basis = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)

        def one(direction: Tensor) -> Any:
            along = direction.expand_as(new)
            return torch.func.jvp(lambda q: self._graph(q, z, *rest), (new,), (along,))[1]

        return torch.func.vmap(one)(basis).permute(1, 2, 0)

    def _fixed(self, z: Tensor, rest: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        new = z
        value = self._graph(new, z, *rest)
        left = value.norm(dim=1)
        for _ in range(MOST_FIXED):
            candidate = new - value
            at = self._graph(candidate, z, *rest)
            size = at.norm(dim=1)
            take = size < left
            new = torch.where(take[:, None], candidate, new)
            value = torch.where(take[:, None], at, value)
            left = torch.where(take, size, left)
            if not bool(take.any()):
                break
        return new, left

    @staticmethod
    def linearise(
        enclosure: Enclosure,
        residual: Traced,
        new: Tensor,
        z: Tensor,
        rest: tuple[Tensor, ...],
        k: int,
    ) -> tuple[Array, Array, Array, Any]:
        """DΦ, δ, the second-order term and whether no switch is undecided, at z' = ``new``."""
        # The error of z' is not known yet; that of z stands in for it, which is right for monotone F, and is corrected.
        guess = np.where(enclosure.known[:, None], enclosure.error, 0.0)
        guess += 2.0**-56 * enclosure.scale[:, None]
        found = linearise(residual, new, (z, *rest), guess, k)
        size = guess.shape[1]
        with np.errstate(all="ignore"):
            fine = np.asarray(np.isfinite(found.J).all(axis=(1, 2)), dtype=np.bool_)
            A = np.where(fine[:, None, None], found.J, np.eye(size))
            fine &= np.linalg.cond(A) < 1e12
            inverse = np.linalg.inv(np.where(fine[:, None, None], A, np.eye(size)))
            local = along(inverse, found.wide.astype(np.float64))
            centre = along(inverse, enclosure.centre) + local
            L = np.matmul(inverse, enclosure.L)
            reach = np.abs(centre) + rows(L)
            longer = np.linalg.norm(reach, axis=1) / np.linalg.norm(guess, axis=1)
            longer = np.where(longer > 1.0, longer, 1.0) ** 2  # also where both are zero
            second = along(np.abs(inverse), found.second) * longer[:, None]
            found = replace(found, bend=found.bend * longer[:, None])
        return inverse, local, second, found.clear(centre, L) & fine
