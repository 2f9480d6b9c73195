"""A bound on the rounding error of an iteration, carried along with it.

The exact iteration from the same floats is z*_{k+1} = Φ_k(z*_k); the computed one is z_{k+1} = Φ_k(z_k) + δ_k.
The error e = z - z* obeys e_{k+1} = DΦ_k(z_k) e_k + δ_k + O(|e_k|²), and

* δ_k, the *local rounding*, is measured with its sign: what came out, less the same operations in extended precision
  (``numerics.descent_wide``). It is known to 2^-11 of what is typical; 2^-5 of its recent size and 2^-60 of the iterate
  are charged as its uncertainty d_k;
* a centre c_{k+1} = DΦ_k c_k + δ_k follows the error itself; what is uncertain about it is enclosed in an ellipsoid:
  e_k - c_k = L_k ξ with |ξ| <= 1. The sum of DΦ_k L_k ξ and of the box d_k, itself inside diag(√N d_k), lies in the
  ellipsoid of least trace around both, L_{k+1} L_{k+1}ᵀ = (1 + b/a) DΦ L Lᵀ DΦᵀ + (1 + a/b) N diag(d²), where a and b
  are the Frobenius norms of the two. |L|_F grows by sums, as the products of the matrices DΦ do; their norms multiplied
  would grow for every momentum method, whose companion matrix has norm above 1 and spectral radius below;
* the second-order term is probed in extended precision: |Φ(z±s) - Φ(z) ∓ DΦ s| at the length |s| = 4|e|, scaled by
  (|e|/|s|)² and by 4N for the directions that were not probed;
* where a switch (an activation, a sign, a projection's border, the zero of a root or a denominator) is within its own
  error of zero, to second order, the branch that exact arithmetic takes is not known: the bound is inf from there on.

The bound is |c_i| + |row i of L|. A contraction keeps it at δ/(1 - |DΦ|); an expansion makes it grow, and once it
exceeds 1e-3 of the iterate's size, linearisation is no evidence any more and the bound is inf: "undecided". The
arithmetic of the bound itself is float64; it is an estimate of a bound, not an enclosure, and never a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics import descent_wide as wide
from numerics.descent_graph import Traced
from numerics.descent_types import Array

Bools = NDArray[np.bool_]

BLOWN = 1e-3  # of the largest iterate so far
PROBE = 4.0  # of the error, the length at which the second-order term is probed
FADE = 0.5  # how fast the recent size of δ forgets
DOUBT = 2.0**-5  # of δ, and
FLOOR = 2.0**-60  # of the iterate: what extended precision may be wrong by
OWN = 1e-15  # rounding of the frame's own products


@dataclass(frozen=True, eq=False)
class Linearised:
    """A function of the state with its derivative, for every lane.

    Attributes:
        J: (B, M, N). wide: (B, M) values in extended precision. second: (B, M) second-order term within the error.
        turn: (B, m, N) derivative of the switches, bend: (B, m) their second-order term within the error.
        gap: (B, m) their sizes, less their own rounding.
    """

    J: Array
    wide: Any
    second: Array
    turn: Array
    bend: Array
    gap: Array

    def clear(self, centre: Array, L: Array) -> Bools:
        """(B,) lanes in which no switch can change sign within twice centre + L·(unit ball)."""
        with np.errstate(invalid="ignore"):
            reach = np.abs(along(self.turn, centre)) + rows(np.matmul(self.turn, L)) + self.bend
            return np.asarray((self.gap > 2.0 * reach).all(axis=1), dtype=np.bool_)


def along(J: Array, v: Array) -> Array:
    """(B, M) from (B, M, N) and (B, N)."""
    return np.einsum("bij,bj->bi", J, v)


def rows(L: Array) -> Array:
    """(B, M) Euclidean norms of the rows, scaled so that tiny ones do not underflow."""
    top = np.abs(L).max(axis=2, initial=0.0)
    unit = np.where(top > 0, top, 1.0)
    return top * np.sqrt(((L / unit[:, :, None]) ** 2).sum(axis=2))


def linearise(
    traced: Traced, z: Tensor, rest: tuple[Tensor, ...], extent: Array, seed: int
) -> Linearised:
    """``traced`` at z (B, N), with further arguments ``rest``; the error of z is at most ``extent`` (B, N).

    Args:
        seed: of the direction that is probed; the lanes share its signs, so that none depends on the others.
    """
    if traced.push is None:
        raise RuntimeError("a function without derivatives has no linearisation")
    size = extent.shape[1]
    extent = np.where(np.isfinite(extent), extent, 0.0)
    total = np.sqrt((extent**2).sum(axis=1))
    with torch.no_grad(), np.errstate(all="ignore"):
        basis = torch.eye(size, dtype=z.dtype, device=z.device)[:, None, :].expand(size, *z.shape)
        pushed, switching = traced.push(z, basis, *rest)
        plain_switch = as_array(traced.full(z, *rest)[1])
        J, turn = (as_array(a).transpose(1, 2, 0) for a in (pushed, switching))
        exact, exact_switch = wide.evaluate(traced.full, z, *rest)
        signs = np.where(np.random.Generator(np.random.Philox(seed)).random(size) < 0.5, -1.0, 1.0)
        shift = PROBE * extent * signs
        along_shift, turned = along(J, shift), along(turn, shift)
        second, bend = np.zeros_like(along_shift), np.zeros_like(turned)
        if total.any():
            middle = wide.widen(z)
            for side in (1.0, -1.0):
                value, switch = wide.evaluate(traced.full, middle + side * shift, *rest)
                second = np.maximum(second, np.abs(value - exact - side * along_shift))
                bend = np.maximum(bend, np.abs(switch - exact_switch - side * turned))
            unprobed = np.where(total > 0, 4.0 * size / PROBE**2, 0.0)[:, None]
            second, bend = second.astype(np.float64) * unprobed, bend.astype(np.float64) * unprobed
        rounding = 2.0 * np.abs(plain_switch - exact_switch)
        gap = (np.abs(exact_switch) - rounding).astype(np.float64)
    return Linearised(J, exact, second, turn, bend, gap)


class Enclosure:
    """The error of the state: computed - exact = centre + L ξ with |ξ| <= 1, lane by lane.

    Attributes:
        centre: (B, N). L: (B, N, N), inf where there is no bound. reason: why, per lane.
        scale: (B,) largest norm of the iterates so far.
    """

    def __init__(self, start: Array, start_error: Array | None) -> None:
        lanes, size = start.shape
        self.centre = np.zeros((lanes, size))
        self.L = np.zeros((lanes, size, size))
        self.known = np.ones(lanes, dtype=np.bool_)
        self.reason = [""] * lanes
        self.scale = np.sqrt((start**2).sum(axis=1))
        self._recent = np.zeros((lanes, size))
        if start_error is not None:
            fine = np.isfinite(start_error).all(axis=1)
            self.L[fine] = np.sqrt(size) * start_error[fine, :, None] * np.eye(size)
            self._lose(np.flatnonzero(~fine), "there was no bound at the start")

    @property
    def error(self) -> Array:
        """(B, N) bounds on the error of every entry of the state."""
        error = np.abs(self.centre) + rows(self.L)
        return np.where(self.known[:, None], error, np.inf)

    def _lose(self, lanes: NDArray[np.intp], why: str) -> None:
        for lane in lanes:
            self.reason[lane] = self.reason[lane] or why
        self.known[lanes] = False
        self.centre[lanes], self.L[lanes] = 0.0, 0.0

    def linearise(self, traced: Traced, z: Tensor, *rest: Tensor, seed: int) -> Linearised:
        """``traced`` at z (B, N); ``rest`` are its further arguments."""
        return linearise(traced, z, rest, self.error, seed)

    def read(self, value: Linearised, shown: Array) -> Array:
        """(B, M) bounds on the error of ``shown``, computed values of the function that was linearised."""
        with np.errstate(all="ignore"):
            rounding = (shown - value.wide).astype(np.float64)
            error = np.abs(along(value.J, self.centre) + rounding)
            error += rows(np.matmul(value.J, self.L))
            error = error * (1.0 + 1e-12) + value.second + DOUBT * np.abs(rounding)
            error += FLOOR * np.abs(shown)
        clear = value.clear(self.centre, self.L)
        return np.where(np.isfinite(error) & (clear & self.known)[:, None], error, np.inf)

    def advance(
        self,
        J: Array,
        local: Array,
        second: Array,
        clear: Bools,
        z: Array,
        new: Array,
        moving: Bools,
        k: int,
    ) -> None:
        """From the enclosure at z to that at ``new``.

        Args:
            J: (B, N, N) DΦ. local: (B, N) δ. second: (B, N). clear, moving: (B,); lanes that do not move keep
                what they have. k: the iteration, for the reasons.
        """
        unclear = moving & self.known & ~clear
        self._lose(np.flatnonzero(unclear), f"a switch is undecided in iteration {k}")
        finite = np.isfinite(J).all(axis=(1, 2)) & np.isfinite(local).all(axis=1)
        lost = np.flatnonzero(moving & self.known & ~finite)
        self._lose(lost, f"the derivative is not finite in iteration {k}")
        at = np.flatnonzero(moving & self.known)
        if at.size == 0:
            return
        size, delta = z.shape[1], local[at]
        with np.errstate(all="ignore"):
            recent = np.maximum(np.abs(delta), FADE * self._recent[at])
            self._recent[at] = recent
            d = DOUBT * recent + second[at] + FLOOR * (np.abs(z[at]) + np.abs(new[at]))
            moved = along(J[at], self.centre[at])
            # The products below are rounded themselves.
            sizes = np.matmul(
                np.abs(J[at]), (np.abs(self.centre[at]) + rows(self.L[at]))[:, :, None]
            )
            d += OWN * size * (sizes[:, :, 0] + np.abs(delta))
            JL = np.matmul(J[at], self.L[at])
            first, box = length(JL), np.sqrt(size) * d
            other = np.sqrt((box**2).sum(axis=1))
            ratio = np.where(first > 0, other / np.where(first > 0, first, 1.0), 0.0)
            back = np.where(other > 0, first / np.where(other > 0, other, 1.0), 0.0)
            stacked = np.concatenate(
                [
                    np.sqrt(1.0 + ratio)[:, None, None] * JL,
                    (np.sqrt(1.0 + back)[:, None] * box)[:, :, None] * np.eye(size),
                ],
                axis=2,
            )
            # P = S Sᵀ = Rᵀ R for Sᵀ = Q R, so that L = Rᵀ without squaring anything.
            bad = ~np.isfinite(stacked).all(axis=(1, 2))
            stacked[bad] = 0.0
            R: Array = np.linalg.qr(stacked.transpose(0, 2, 1), mode="reduced")[1]
            self.L[at] = R.transpose(0, 2, 1) * (1.0 + 1e-13 * size)
            self.centre[at] = moved + delta
            self.scale[at] = np.maximum(self.scale[at], np.sqrt((new[at] ** 2).sum(axis=1)))
            extent = np.sqrt((self.centre[at] ** 2).sum(axis=1)) + length(self.L[at])
            bad |= ~(extent <= BLOWN * self.scale[at])
        self._lose(at[bad], f"the bound blew up in iteration {k}")


def length(L: Array) -> Array:
    """(B,) Frobenius norms."""
    return rows(rows(L)[:, None, :])[:, 0]


def as_array(tensor: Tensor) -> Array:
    """A tensor as float64."""
    return tensor.detach().cpu().numpy().astype(np.float64)
