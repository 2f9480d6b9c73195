"""A bound on the rounding error of an iteration, carried along with it.

The exact iteration from the same floats is z*_{k+1} = Φ_k(z*_k); the computed one is z_{k+1} = Φ_k(z_k) + δ_k.
The error e = z - z* obeys e_{k+1} = DΦ_k(z_k) e_k + δ_k + O(|e_k|²), and

* δ_k, the *local rounding*, is measured with its sign: what came out, less the same operations in extended precision
  (``numerics.descent_wide``). It is known to 2^-11 of what is typical; 2^-5 of its recent size and 2^-60 of the iterate
  are charged as its uncertainty d_k;
* a centre c_{k+1} = DΦ_k c_k + δ_k follows the error itself, and what is uncertain about it is enclosed in a turning
  frame (R. Lohner's QR method): e_k - c_k = Q_k u with |u_j| <= r_j, Q_k orthogonal, and
  r_{k+1} = |Q_{k+1}ᵀ DΦ_k Q_k| r_k + |Q_{k+1}ᵀ| d_k. A product of norms would grow for every momentum method, whose
  companion matrix has norm above 1 and spectral radius below; the frame grows as the product of the matrices does;
* the second-order term is probed: |Φ(z+s) - Φ(z) - DΦ s| at a length |s| well above |e|, scaled by (|e|/|s|)² and by 4N
  for the directions that were not probed;
* where a switch (an activation, a sign, a projection's border) is within its own error of zero, the branch that exact
  arithmetic takes is not known, and the bound is inf from there on.

The bound is |c| + |Q| r. A contraction keeps it at δ/(1 - |DΦ|); an expansion makes it grow, and once it exceeds 1e-3
of the iterate's size, linearisation is no evidence any more and the bound is inf: "undecided". The arithmetic of the
bound itself is float64; it is an estimate of a bound, not an enclosure, and never a proof.
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
PROBE = 1e-5  # likewise, the length at which the second-order term is probed
FADE = 0.5  # how fast the recent size of δ forgets
DOUBT = 2.0**-5  # of δ, and
FLOOR = 2.0**-60  # of the iterate: what extended precision may be wrong by
OWN = 1e-15  # rounding of the frame's own products


@dataclass(frozen=True, eq=False)
class Linearised:
    """A function of the state, linearised along the columns of a frame, for every lane.

    Attributes:
        image: (B, M, N) derivative times frame. wide: (B, M) values in extended precision.
        second: (B, M) second-order term within the radii.
        turn: (B, m, N) derivative of the switches times frame. gap: (B, m) their sizes, less their own rounding.
    """

    image: Array
    wide: Any
    second: Array
    turn: Array
    gap: Array

    def clear(self, r: Array) -> Bools:
        """(B,) lanes in which no switch can change sign within radii r (B, N) along the frame."""
        with np.errstate(invalid="ignore"):
            reach = 2.0 * np.einsum("bij,bj->bi", np.abs(self.turn), r)
            return np.asarray((self.gap > reach).all(axis=1), dtype=np.bool_)


def linearise(
    traced: Traced, z: Tensor, rest: tuple[Tensor, ...], Q: Array, r: Array, scale: Array, seed: int
) -> Linearised:
    """``traced`` at z (B, N), with further arguments ``rest``, along Q (B, N, N) with radii r (B, N).

    Args:
        scale: (B,) size of the iterates; the second-order term is probed at 1e-5 of it, or at four times the radii.
        seed: of the direction that is probed; the lanes share its signs, so that none depends on the others.
    """
    if traced.push is None:
        raise RuntimeError("a function without derivatives has no linearisation")
    size = r.shape[1]
    r = np.where(np.isfinite(r), r, 0.0)
    total = np.sqrt((r**2).sum(axis=1))
    with torch.no_grad(), np.errstate(all="ignore"):
        along = torch.as_tensor(Q.transpose(2, 0, 1).copy(), dtype=z.dtype, device=z.device)
        pushed, switching = traced.push(z, along, *rest)
        plain, plain_switch = (as_array(a) for a in traced.full(z, *rest))
        image = as_array(pushed).transpose(1, 2, 0)
        exact, exact_switch = wide.evaluate(traced.full, z, *rest)
        signs = np.where(np.random.Generator(np.random.Philox(seed)).random(size) < 0.5, -1.0, 1.0)
        c = np.where((total > 0)[:, None], r, 1.0) * signs
        length = np.maximum(4.0 * total, PROBE * scale)
        length = np.where(length > 0, length, 1.0)
        c *= (length / np.sqrt((c**2).sum(axis=1)))[:, None]
        shift = np.einsum("bij,bj->bi", Q, c)
        moved = as_array(
            traced.value(z + torch.as_tensor(shift, dtype=z.dtype, device=z.device), *rest)
        )
        second = np.abs(moved - plain - np.einsum("bij,bj->bi", image, c))
        second *= (4.0 * size * (total / length) ** 2)[:, None]
        rounding = 2.0 * np.abs(plain_switch - exact_switch)
        gap = (np.abs(exact_switch) - rounding).astype(np.float64)
    return Linearised(image, exact, second, as_array(switching).transpose(1, 2, 0), gap)


class Frame:
    """The error of the state: |Qᵀ(computed - exact) - p| <= r, lane by lane.

    Attributes:
        Q: (B, N, N). p: (B, N) the centre. r: (B, N), inf where there is no bound. reason: why, per lane.
        scale: (B,) largest norm of the iterates so far.
    """

    def __init__(self, start: Array, start_error: Array | None) -> None:
        lanes, size = start.shape
        self.Q = np.broadcast_to(np.eye(size), (lanes, size, size)).copy()
        self.p = np.zeros((lanes, size))
        self.r = np.zeros((lanes, size)) if start_error is None else start_error.copy()
        self.reason = [""] * lanes
        self.scale = np.sqrt((start**2).sum(axis=1))
        self._recent = np.zeros((lanes, size))
        lost = np.flatnonzero(~np.isfinite(self.r).all(axis=1))
        self._lose(lost, "there was no bound at the start")

    @property
    def extent(self) -> Array:
        """(B, N) bounds on the error along the frame."""
        return np.abs(self.p) + self.r

    @property
    def error(self) -> Array:
        """(B, N) bounds on the error of every entry of the state."""
        with np.errstate(invalid="ignore"):
            error = np.abs(np.einsum("bij,bj->bi", self.Q, self.p))
            error += np.einsum("bij,bj->bi", np.abs(self.Q), self.r)
        return np.where(np.isnan(error) | ~self.known[:, None], np.inf, error)

    @property
    def known(self) -> Bools:
        """(B,) lanes with a bound."""
        return np.asarray(np.isfinite(self.r).all(axis=1), dtype=np.bool_)

    def _lose(self, lanes: NDArray[np.intp], why: str) -> None:
        for lane in lanes:
            self.reason[lane] = self.reason[lane] or why
        self.p[lanes], self.r[lanes] = 0.0, np.inf

    def linearise(self, traced: Traced, z: Tensor, *rest: Tensor, seed: int) -> Linearised:
        """``traced`` at z (B, N) along the frame; ``rest`` are its further arguments."""
        return linearise(traced, z, rest, self.Q, self.extent, self.scale, seed)

    def read(self, value: Linearised, shown: Array) -> Array:
        """(B, M) bounds on the error of ``shown``, computed values of the function that was linearised."""
        with np.errstate(all="ignore"):
            rounding = (shown - value.wide).astype(np.float64)
            error = np.abs(np.einsum("bij,bj->bi", value.image, self.p) + rounding)
            error += np.einsum("bij,bj->bi", np.abs(value.image), self.r)
            error = error * (1.0 + 1e-12) + value.second + DOUBT * np.abs(rounding)
            error += FLOOR * np.abs(shown)
        fine = np.isfinite(error) & (value.clear(self.extent) & self.known)[:, None]
        return np.where(fine, error, np.inf)

    def advance(
        self,
        image: Array,
        local: Array,
        second: Array,
        clear: Bools,
        z: Array,
        new: Array,
        moving: Bools,
        k: int,
    ) -> None:
        """From the frame at z to that at ``new``.

        Args:
            image: (B, N, N) DΦ Q. local: (B, N) δ. second: (B, N). clear, moving: (B,); lanes that do not move keep
                what they have. k: the iteration, for the reasons.
        """
        unclear = moving & self.known & ~clear
        self._lose(np.flatnonzero(unclear), f"a switch is undecided in iteration {k}")
        rows = np.flatnonzero(moving & self.known)
        lost = rows[~(np.isfinite(image[rows]).all(axis=(1, 2)) & np.isfinite(local[rows]).all(1))]
        self._lose(lost, f"the derivative is not finite in iteration {k}")
        rows = np.setdiff1d(rows, lost)
        if rows.size == 0:
            return
        J, p, r, delta = image[rows], self.p[rows], self.r[rows], local[rows]
        with np.errstate(all="ignore"):
            recent = np.maximum(np.abs(delta), FADE * self._recent[rows])
            self._recent[rows] = recent
            d = DOUBT * recent + second[rows] + FLOOR * (np.abs(z[rows]) + np.abs(new[rows]))
            # Long columns first: what is large is then not turned into what is small.
            lengths = np.sqrt((J**2).sum(axis=1))
            weight = np.where((r > 0).any(axis=1, keepdims=True), lengths * r, lengths)
            order = np.argsort(-weight, axis=1, kind="stable")
            Q = np.linalg.qr(np.take_along_axis(J, order[:, None, :], axis=2))[0]
            B = np.matmul(Q.transpose(0, 2, 1), J)
            centre = np.einsum("bij,bj->bi", B, p) + np.einsum("bji,bj->bi", Q, delta)
            size = np.sqrt((lengths**2).sum(axis=1) * ((np.abs(p) + r) ** 2).sum(axis=1))
            size += np.sqrt((delta**2).sum(axis=1))
            out = np.einsum("bij,bj->bi", np.abs(B), r)
            out += np.einsum("bji,bj->bi", np.abs(Q), d) + (OWN * r.shape[1] * size)[:, None]
            out *= 1.0 + 1e-13 * r.shape[1]
            self.Q[rows], self.p[rows], self.r[rows] = Q, centre, out
            self.scale[rows] = np.maximum(self.scale[rows], np.sqrt((new[rows] ** 2).sum(axis=1)))
            extent = ((np.abs(centre) + out) ** 2).sum(axis=1)
            big = ~(extent <= (BLOWN * self.scale[rows]) ** 2)
        self._lose(rows[big], f"the bound blew up in iteration {k}")


def as_array(tensor: Tensor) -> Array:
    """A tensor as float64."""
    return tensor.detach().cpu().numpy().astype(np.float64)
