"""The pricing problem of two-layer ReLU networks: which neuron lowers the training objective most.

For a dual vector nu the oracle is

    M(nu) = max over ||u|| <= 1 of |nu^T (X u)_+|.

On the cell of an activation pattern D the function is linear with gradient s X^T D nu (s = +-1), so
that its maximum there is the length of the gradient's projection on the closed cell.  Moreau:

    max over u in the cell, ||u|| <= 1, of s nu^T D X u  =  min over lam >= 0 of ||s X^T D nu + Xs^T lam||,
    Xs = (2D - I) X,

a small non-negative least-squares problem.  It is solved only where neither lam = 0 nor a few steps of
one lam_j each show that the cell does not matter.

In a cell as narrow as rounding lam may be huge, and the length nothing but noise.  There lam_j is kept
below |nu_j| ||x_j|| (for rows of length 1): this is the maximum of the linear function minus as much
for every step beyond a side, which is at least the maximum in the cell, and at most M(nu), since
nu^T (X u)_+ bends by no more at that side.  So the maximum over all cells remains the same.

Source: Pilanci and Ergen, "Neural Networks are Convex Regularizers" (ICML 2020), the dual constraint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements_leaves import shortest
from numerics.errors import NumericsError

Array = NDArray[np.float64]
_NEAR = 0.95  # cosine of neurons of one neighbourhood
_STEPS, _FEW = 12, 50  # with one multiplier each, while more cells than these are left to be solved
_LARGE = 1e3  # multipliers of a gradient of length 1, beyond which their rounding matters


@dataclass(frozen=True)
class Atom:
    """A neuron: unit ``direction`` (d,), output ``sign``, and the ``value`` sign * nu^T (X u)_+ there."""

    direction: Array
    sign: int
    value: float


@dataclass(frozen=True)
class Price:
    """``bound`` >= M(nu) over the cells listed (up to rounding), and the best neuron found (value 0: none)."""

    bound: float
    best: Atom


class Pricing:
    """The oracle over a list of activation patterns.

    Args:
        X: data, (n, d).
        patterns: bool, (P, n); M(nu) is over the closures of these cells, hence over all u exactly
            if the list is complete.  Patterns of lower-dimensional cells do no harm.

    Raises:
        NumericsError: the shapes do not fit.
    """

    def __init__(self, X: Array, patterns: NDArray[np.bool_]) -> None:
        if X.ndim != 2 or patterns.ndim != 2 or patterns.shape[1] != len(X) or not len(patterns):
            raise NumericsError(
                f"data {X.shape} and patterns {patterns.shape} do not fit: give X (n, d) and patterns (P, n), P > 0"
            )
        self.X = X
        self.patterns = patterns
        self._active = patterns.astype(float)
        lengths = np.linalg.norm(X, axis=1)
        self._rows = X / np.where(lengths > 0, lengths, 1.0)[:, None]
        self._lengths = lengths

    def values(self, nu: Array, directions: Array) -> Array:
        """nu^T (X u)_+ for each row u of ``directions``: (k,)."""
        values: Array = np.maximum(directions @ self.X.T, 0.0) @ nu
        return values

    def quick(self, nu: Array, threshold: float, limit: int) -> list[Atom]:
        """Neurons whose value exceeds the threshold, best first, among the normalised gradients of all cells.

        A cheap search that may miss; `search` does not.
        """
        gradients = self._gradients(nu)
        lengths = np.linalg.norm(gradients, axis=1)
        kept = np.flatnonzero(lengths > threshold)
        if not len(kept):
            return []
        units = gradients[kept] / lengths[kept, None]
        found: list[Atom] = []
        for sign in (1, -1):
            values = sign * self.values(nu, sign * units)
            best = np.argsort(-values)[: 8 * limit]  # neighbouring cells may share a gradient
            found += [
                Atom(sign * units[k], sign, float(values[k]))
                for k in best[values[best] > threshold]
            ]
        return _distinct(found, limit)

    def search(self, nu: Array, threshold: float, limit: int | None = None) -> list[Atom]:
        """The maximisers of all cells whose maximum exceeds the threshold, best first, each once.

        With a limit the search may end once it has several times as many.
        """
        found = []
        for gradient, pattern, sign, _ in self._candidates(self._gradients(nu), threshold):
            atom = self._project(gradient, pattern, sign, nu)
            if atom.value > threshold and atom.direction.any():
                found.append(atom)
                if limit is not None and len(found) >= 2 * limit:
                    break
        return _distinct(found, limit)

    def maximum(self, nu: Array, floor: float = 0.0) -> Price:
        """max(M(nu), floor) as the bound; a floor spares the cells that cannot exceed it."""
        best = Atom(np.zeros(self.X.shape[1]), 1, 0.0)
        gradients = self._gradients(nu)
        lengths = np.linalg.norm(gradients, axis=1)
        longest = np.argsort(-lengths)[:_FEW]
        # squares of what is far smaller may underflow
        longest = longest[lengths[longest] > 1e-9 * lengths[longest[0]]]
        if len(longest):  # what some directions reach discards most cells
            units = gradients[longest] / lengths[longest, None]
            for sign in (1, -1):
                values = sign * self.values(nu, sign * units)
                k = int(np.argmax(values))
                if values[k] > best.value:
                    best = Atom(sign * units[k], sign, float(values[k]))
        for gradient, pattern, sign, most in self._candidates(gradients, max(floor, best.value)):
            if most <= best.value:
                break
            atom = self._project(gradient, pattern, sign, nu)
            best = atom if atom.value > best.value else best
        return Price(max(floor, best.value), best)

    def _gradients(self, nu: Array) -> Array:
        gradients: Array = self._active @ (nu[:, None] * self.X)
        return gradients

    def _candidates(
        self, gradients: Array, threshold: float
    ) -> list[tuple[Array, NDArray[np.bool_], int, float]]:
        """(s X^T D nu, pattern, s, bound on its cell), largest bound first; no other exceeds the threshold."""
        kept = np.flatnonzero(np.linalg.norm(gradients, axis=1) > threshold)
        if not len(kept):
            return []
        out = []
        for sign in (1, -1):
            g = sign * gradients[kept]
            left, bounds = self._shortened(g, 2.0 * self._active[kept] - 1.0, threshold)
            out += [
                (g[k], self.patterns[kept[k]], sign, bound)
                for k, bound in zip(left.tolist(), bounds.tolist(), strict=True)
            ]
        out.sort(key=lambda item: -item[3])
        return out

    def _shortened(
        self, gradients: Array, sides: Array, threshold: float
    ) -> tuple[NDArray[np.int_], Array]:
        """Cells whose gradients remain longer than the threshold after steps of one multiplier each, and how long.

        The multiplier that shortens most goes to its optimum: any lam >= 0 gives a bound.
        """
        left = np.arange(len(gradients))
        rest, lam = gradients.copy(), np.zeros_like(sides)
        for _ in range(_STEPS):
            want = -sides * (rest @ self._rows.T)
            step = np.maximum(want, -lam)
            best = (step * (2.0 * want - step)).argmax(axis=1)
            at = np.arange(len(rest)), best
            rest += (step[at] * sides[at])[:, None] * self._rows[best]
            lam[at] += step[at]
            long = np.linalg.norm(rest, axis=1) > threshold
            if not long.all():
                left, rest, lam, sides = left[long], rest[long], lam[long], sides[long]
            if len(left) <= _FEW or len(left) > 0.9 * len(long):
                break
        return left, np.linalg.norm(rest, axis=1)

    def _project(self, gradient: Array, pattern: NDArray[np.bool_], sign: int, nu: Array) -> Atom:
        """The maximiser of the linear function on one closed cell, or beside it if the cell is too narrow."""
        from numerics.nonnegative import nonnegative_least_squares

        size = float(np.linalg.norm(gradient))
        nowhere = np.zeros(self.X.shape[1])
        if size == 0.0:
            return Atom(nowhere, sign, 0.0)
        sides = np.where(pattern[:, None], self._rows, -self._rows)
        try:
            multipliers = nonnegative_least_squares(sides.T, -gradient / size)
            narrow = bool(multipliers.sum() > _LARGE)
        except RuntimeError:  # no convergence
            narrow = True
        if narrow:
            most = np.abs(nu) * self._lengths / size
            inside = np.zeros(len(sides), dtype=bool)
            projection = shortest(gradient / size, most[:, None] * sides, inside).g
        else:
            held = multipliers > 0
            projection = gradient / size + sides[held].T @ multipliers[held]
        length = float(np.linalg.norm(projection))
        if length <= 1e-14:  # the cell's maximum is at 0
            return Atom(nowhere, sign, size * length)
        return Atom(projection / length, sign, size * length)


def _distinct(atoms: list[Atom], limit: int | None) -> list[Atom]:
    """Best first, without those of the same sign and (to seven digits) direction.

    With a limit, also without those close to a better one: the best of every neighbourhood says more
    than many of one.
    """
    atoms = sorted(atoms, key=lambda atom: (-atom.value, atom.sign, tuple(atom.direction)))
    near = 1 - 1e-14 if limit is None else _NEAR
    kept: list[Atom] = []
    signed = np.empty((len(atoms), len(atoms[0].direction) + 1)) if atoms else np.empty((0, 1))
    for atom in atoms:
        row = np.append(atom.direction, 2.0 * atom.sign)
        # the product of two rows is the cosine + 4 for equal signs, the cosine - 4 else
        if np.any(signed[: len(kept)] @ row > 4 + near):
            continue
        signed[len(kept)] = row
        kept.append(atom)
        if limit is not None and len(kept) >= limit:
            break
    return kept
