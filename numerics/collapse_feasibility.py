"""Whether a two-layer ReLU network can collapse a class: a linear feasibility problem per class, in floats.

For class k with points a_i, and points b_j of the other classes: is there w with a_i.w = c for all i, c > 0, and
b_j.w <= 0 for all j? In the unknown u = (w, c) all conditions are homogeneous, so rows and columns may be scaled. The
equalities are eliminated by QR (the subspace V), which leaves one nonnegative least-squares problem, the distance from
q, the projection of the c-axis to V, to the cone of the projected b_j:

    min over lambda >= 0 of |q/|q| - G lambda|,   G: (m, M), m = dim V.

A residual r that is not zero is a solution, u = r in V (G^T r <= 0 and q.r > 0 at the optimum). A zero residual is a
Farkas vector: sum_j lambda_j b_j = sum_i mu_i a_i with sum_i mu_i > 0. Floats cannot tell degenerate data (repeated
points, dependent rows) from nearly degenerate ones; there the answer is None, with a reason, and exact arithmetic must
decide. Source: Hong & Ling, Beyond Unconstrained Features (2024), condition for collapse; Lawson & Hanson (1974).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import nnls

from numerics.errors import NumericsError

Float = NDArray[np.float64]

# Of unit vectors: what is below TINY may be rounding, what is above CLEAR cannot be.
TINY, CLEAR = 1e-11, 1e-7
LARGE = 1e6  # a sum of multipliers of unit vectors, beyond which rounding may decide


@dataclass(frozen=True)
class ClassFeasibility:
    """The answer for one class.

    Attributes:
        feasible: None where floats cannot decide; `reason` says why.
        margin: the distance of q/|q| to the cone, in [0, 1]; 0 where infeasible.
        w: (d,) or None: a candidate with a_i.w = 1, b_j.w <= 0 up to rounding (strictly less where possible, if an
            interior point was asked for).
        multipliers: (M,) the nonnegative multipliers of the b_j, for b_j as given; a Farkas vector if infeasible.
        reason: why it is undecided; empty otherwise.
    """

    feasible: bool | None
    margin: float
    w: Float | None
    multipliers: Float
    reason: str = ""


@dataclass(frozen=True)
class _Reduced:
    """The problem without its equalities: G (m, M) with unit or zero columns, q (m,), and the way back."""

    G: Float
    q: Float
    basis: Float | tuple[Float, Float]  # of V: the columns, or reflectors (qr, tau)
    column_scale: Float  # w_scaled = w * column_scale
    row_scale: Float  # G[:, j] is the projection of b_j, divided by this; 0 where that is zero
    c_scale: float
    doubt: str

    def lift(self, r: Float) -> Float | None:
        """w with c = 1 for a point r of V; None where c is not positive."""
        if isinstance(self.basis, tuple):
            qr, tau = self.basis
            padded = np.zeros((qr.shape[0], 1), order="F")
            padded[-len(r) :, 0] = r
            u = lapack.dormqr("L", "N", qr, tau, padded, 64 * padded.size)[0][:, 0]
        else:
            u = self.basis @ r
        c = u[-1] * self.c_scale
        return u[:-1] / self.column_scale / c if c > 0 else None


def class_feasibility(own: Float, others: Float, *, interior: bool = False) -> ClassFeasibility:
    """Decide one class.

    Args:
        own: (n, d) its points. others: (M, d) the points of all other classes; both finite.
        interior: look for a w with b_j.w < 0 strictly (costs another least-squares problem).
    """
    no_multipliers = np.zeros(len(others))
    if not own.any(axis=1).all():  # 0.w = c > 0 is impossible, and this is seen exactly
        return ClassFeasibility(False, 0.0, None, no_multipliers)
    reduced = _reduce(own, others)
    length = float(np.linalg.norm(reduced.q))
    if length < CLEAR:
        sure = len(reduced.q) == 0 and not reduced.doubt
        why = "" if sure else reduced.doubt or "the equalities a_i.w = c nearly force c = 0"
        return ClassFeasibility(False if sure else None, 0.0, None, no_multipliers, why)
    q = reduced.q / length
    try:
        found, _ = nnls(reduced.G, q, maxiter=10 * sum(reduced.G.shape) + 100)
    except RuntimeError:  # the iteration limit
        return ClassFeasibility(
            None, 0.0, None, no_multipliers, "nonnegative least squares did not converge"
        )
    r = q - reduced.G @ found
    margin = float(np.linalg.norm(r))
    feasible, reason = _judge(reduced, found, r, margin)
    w = None
    if feasible is not False and margin > TINY:
        w = reduced.lift(_inside(reduced.G, q, r, found > 0) if interior else r)
    scale = reduced.row_scale
    lam = np.divide(found, scale, out=np.zeros_like(found), where=scale > 0)
    return ClassFeasibility(feasible, 0.0 if feasible is False else margin, w, lam, reason)


def feasible_classes(
    X: Float, labels: Sequence[Hashable], *, interior: bool = False
) -> dict[Hashable, ClassFeasibility]:
    """Decide all classes of labelled points, in the order in which the labels occur first.

    Args:
        X: (N, d). labels: (N,).

    Raises:
        NumericsError: shapes, NaN or inf, one class only.
    """
    points = np.asarray(X, dtype=np.float64)
    if points.ndim != 2 or 0 in points.shape or len(labels) != len(points):
        raise NumericsError(
            f"points must be (N, d) with one label each, not {points.shape} with {len(labels)} labels"
        )
    if not np.isfinite(points).all():
        bad = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise NumericsError(f"point {bad} has NaN or inf: repair it or drop its row")
    names = list(dict.fromkeys(labels))
    if len(names) < 2:
        raise NumericsError("all points have one label: collapse needs at least two classes")
    index = np.array([names.index(label) for label in labels])
    return {
        name: class_feasibility(points[index == k], points[index != k], interior=interior)
        for k, name in enumerate(names)
    }


def _reduce(own: Float, others: Float) -> _Reduced:
    """Scale, and eliminate the equalities."""
    n, d = own.shape
    column = np.maximum(np.abs(own).max(axis=0), np.abs(others).max(axis=0, initial=0.0))
    column[column == 0] = 1.0
    a, b = own / column, others / column
    lengths = np.linalg.norm(a, axis=1)
    # c has the unit of a row: with equal rows, equalities and the axis of c are well balanced
    c_scale = float(lengths.mean())
    E = np.empty((d + 1, n), order="F")
    E[:-1], E[-1] = a.T, -c_scale
    E /= np.hypot(lengths, c_scale)
    norms = np.linalg.norm(b, axis=1)
    F = np.zeros((d + 1, len(b) + 1), order="F")
    F[:-1, :-1] = np.divide(b.T, norms, out=np.zeros_like(b.T), where=norms > 0)
    F[-1, -1] = 1.0
    basis, projected, doubt = _null_space(E, F)
    G, q = projected[:, :-1], projected[:, -1]
    sizes = np.linalg.norm(G, axis=0) if len(G) else np.zeros(len(b))
    small = sizes < CLEAR
    if len(G) and (small & (norms > 0)).any():
        doubt = doubt or "a point of another class nearly depends on those of the class"
    sizes = np.where(small, 0.0, sizes)
    G = np.divide(G, sizes, out=np.zeros_like(G), where=sizes > 0)
    return _Reduced(G, q, basis, column, norms * sizes, c_scale, doubt)


def _null_space(E: Float, F: Float) -> tuple[Float | tuple[Float, Float], Float, str]:
    """A basis of the null space of E^T, the columns of F in it, and a doubt about its dimension."""
    rows, n = E.shape
    if n <= rows:
        qr, tau, _, _ = lapack.dgeqrf(E)
        if np.abs(qr.diagonal()).min() > CLEAR:  # columns of length one, so far from dependent
            turned = lapack.dormqr("L", "T", qr, tau, F, 64 * F.shape[1])[0]
            return (qr, tau), turned[n:], ""
    U, s, _ = np.linalg.svd(E, full_matrices=True)
    rank = int((s > CLEAR * s[0]).sum())
    # A point that is repeated leaves zeros up to rounding; more than that is for exact arithmetic.
    doubt = "the points of the class are nearly dependent" if rank < len(s) else ""
    return U[:, rank:], U[:, rank:].T @ F, doubt


def _judge(reduced: _Reduced, found: Float, r: Float, margin: float) -> tuple[bool | None, str]:
    """Feasible or not, where rounding cannot turn the answer."""
    if reduced.doubt:
        return None, reduced.doubt
    total = float(found.sum())
    if margin > CLEAR:
        slack = reduced.G.T @ r
        tight = (slack > -TINY * (1.0 + total)) & (reduced.row_scale > 0)
        if slack.max(initial=0.0) > TINY * (1.0 + total):
            return None, "nonnegative least squares stopped early"
        # Tight constraints with a multiplier are independent, so that r can leave them; others must allow it too.
        if (tight & (found == 0)).any():
            G = reduced.G[:, tight]
            push = np.linalg.lstsq(G.T, -np.ones(G.shape[1]), rcond=None)[0]
            if (G.T @ push).max() > -0.5 or np.linalg.norm(push) > LARGE:
                return None, "the solutions have no interior, or nearly so"
        return True, ""
    support = found[found > 0]
    if margin <= min(TINY * (1.0 + total), CLEAR) and len(support) == len(r):
        if total > LARGE:
            return None, "the multipliers are very large: close to the boundary"
        # as many independent columns as rows: a small change of the data changes lambda a little, and it stays > 0
        if support.min() > CLEAR * support.max():
            return False, ""
        return None, "a multiplier is nearly zero"
    return None, "the residual is nearly zero: close to the boundary, or degenerate data"


def _inside(G: Float, q: Float, r: Float, active: NDArray[np.bool_]) -> Float:
    """Move r off the active constraints, G^T u < 0 where they allow it, keeping half of the other slacks."""
    if not active.any():
        return r
    push = np.linalg.lstsq(G[:, active].T, -np.ones(int(active.sum())), rcond=None)[0]
    rates, slack = G.T @ push, np.maximum(-(G.T @ r), 0.0)
    rates, slack = np.append(rates, -(q @ push)), np.append(slack, q @ r)
    blocked = (rates > 0) & (np.append(~active, True))
    step = float((slack[blocked] / rates[blocked]).min(initial=np.inf)) / 2.0
    if not np.isfinite(step):
        step = float(np.linalg.norm(r) / np.linalg.norm(push))
    return r + max(step, 0.0) * push
