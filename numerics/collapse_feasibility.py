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

from numerics.errors import NumericsError
from numerics.nonnegative import nonnegative_least_squares

Float = NDArray[np.float64]

CLEAR = 1e-7  # of unit vectors: what is shorter may be rounding, magnified
EPS = 32 * float(np.finfo(float).eps)  # rounding in the elimination, next to columns of length one
DIM = 1e-290  # a row this small next to its columns has lost digits
NEAR = 1e-5  # constraints that near to being tight, relative to the margin, count as tight


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
    noise: float  # the error of the columns of G and of q/|q|, at most
    doubt: str

    def lift(self, r: Float) -> Float | None:
        """w with c = 1 for a point r of V; None where c is not positive, or w beyond the range of floats."""
        if isinstance(self.basis, tuple):
            qr, tau = self.basis
            padded = np.zeros((qr.shape[0], 1), order="F")
            padded[-len(r) :, 0] = r
            u = lapack.dormqr("L", "N", qr, tau, padded, 64 * padded.size)[0][:, 0]
        else:
            u = self.basis @ r
        c = u[-1] * self.c_scale
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            w = u[:-1] / self.column_scale / c
        return w if c > 0 and np.isfinite(w).all() else None


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
        most = 10 * sum(reduced.G.shape) + 100
        found = nonnegative_least_squares(reduced.G, q, maxiter=most)
    except RuntimeError:  # the iteration limit
        return ClassFeasibility(
            None, 0.0, None, no_multipliers, "nonnegative least squares did not converge"
        )
    r = q - reduced.G @ found
    margin = float(np.linalg.norm(r))
    feasible, reason = _judge(reduced, found, r, margin)
    w = None
    if feasible is not False and margin > reduced.noise:
        w = reduced.lift(_inside(reduced.G, q, r, found > 0) if interior else r)
    scale = reduced.row_scale
    with np.errstate(over="ignore"):  # of a point that is nearly zero
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
    a, lengths, dim = _unit_rows(own / column)
    b, norms, also_dim = _unit_rows(others / column)
    doubt = ""
    if (dim & own.any(axis=1)).any() or (also_dim & others.any(axis=1)).any():
        doubt = "a point is nearly zero next to the others"
    # c has the unit of a row: with equal rows, equalities and the axis of c are well balanced
    lengths = np.maximum(lengths, DIM)
    c_scale = float(lengths.mean())
    E = np.empty((d + 1, n), order="F")
    share = lengths / np.hypot(lengths, c_scale)
    E[:-1], E[-1] = a.T * share, -c_scale / np.hypot(lengths, c_scale)
    F = np.zeros((d + 1, len(b) + 1), order="F")
    F[:-1, :-1] = b.T
    F[-1, -1] = 1.0
    basis, projected, least = _null_space(E, F)
    G, q = projected[:, :-1], projected[:, -1]
    sizes = np.linalg.norm(G, axis=0) if len(G) else np.zeros(len(b))
    small = sizes < CLEAR
    if least < CLEAR:
        doubt = doubt or "the points of the class are nearly dependent"
    elif len(G) and (small & (norms > 0)).any():
        doubt = doubt or "a point of another class nearly depends on those of the class"
    sizes = np.where(small, 0.0, sizes)
    G = np.divide(G, sizes, out=np.zeros_like(G), where=sizes > 0)
    shortest = min(float(sizes[sizes > 0].min(initial=1.0)), float(np.linalg.norm(q)))
    noise = EPS / max(least * shortest, EPS)
    return _Reduced(G, q, basis, column, norms * sizes, c_scale, noise, doubt)


def _unit_rows(A: Float) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Rows of length one (or zero), their lengths, and which are so short that digits were lost."""
    peaks = np.abs(A).max(axis=1)
    A = A / np.where(peaks > 0, peaks, 1.0)[:, None]  # before squares can vanish
    lengths = np.linalg.norm(A, axis=1)
    A /= np.where(lengths > 0, lengths, 1.0)[:, None]
    return A, lengths * peaks, peaks < DIM


def _null_space(E: Float, F: Float) -> tuple[Float | tuple[Float, Float], Float, float]:
    """A basis of the null space of E^T, the columns of F in it, and the size of E's least singular value."""
    rows, n = E.shape
    if n <= rows:
        qr, tau, _, _ = lapack.dgeqrf(E)
        # reciprocal of |R| |R^-1| in the 1-norm; |R| >= 1, as its columns have length one
        least = float(lapack.dtrcon(qr[:n])[0])
        if least > CLEAR:
            turned = lapack.dormqr("L", "T", qr, tau, F, 64 * F.shape[1])[0]
            return (qr, tau), turned[n:], least
    U, s, _ = np.linalg.svd(E, full_matrices=True)
    rank = int((s > CLEAR * s[0]).sum())
    # A point that is repeated leaves zeros up to rounding; more than that is for exact arithmetic.
    least = float(s[-1]) if rank == len(s) else 0.0
    return U[:, rank:], U[:, rank:].T @ F, least


def _judge(reduced: _Reduced, found: Float, r: Float, margin: float) -> tuple[bool | None, str]:
    """Feasible or not, where the error of G and q cannot turn the answer."""
    error = reduced.noise * (1.0 + float(found.sum()))
    if reduced.doubt or error > CLEAR:
        return None, reduced.doubt or "rounding is magnified: close to the boundary"
    if margin > CLEAR:
        slack = reduced.G.T @ r
        near = NEAR * margin
        tight = (slack > -near) & (reduced.row_scale > 0)
        if not tight.any():
            return True, ""
        # r leaves the constraints that may be tight for the inside, along a push that all of them allow
        push = _push(reduced.G[:, tight])
        if push is None:
            return None, "the solutions have no interior, or nearly so"
        step = 2.0 * (max(float(slack.max()), 0.0) + error)
        moved = 2.0 * step * float(np.linalg.norm(push)) + error
        if moved < near and moved < margin**2:
            return True, ""
        return None, "the solutions have hardly an interior"
    support = found > 0
    if margin <= error and support.sum() == len(r):
        # as many independent columns as rows: the error changes lambda by so little that it stays positive
        lu, _, info = lapack.dgetrf(reduced.G[:, support])
        rcond = float(lapack.dgecon(lu, 1.0)[0]) if info == 0 else 0.0
        if error * len(r) < rcond * found[support].min():
            return False, ""
        return None, "a multiplier is nearly zero"
    return None, "the residual is nearly zero: close to the boundary, or degenerate data"


def _push(G: Float) -> Float | None:
    """A vector u with G^T u = -1, or nearly so; None where there is none."""
    count = G.shape[1]
    factor, info = lapack.dpotrf(G.T @ G, lower=1)
    if info == 0 and factor.diagonal().min() > CLEAR:
        weights, info = lapack.dpotrs(factor, -np.ones(count), lower=1)
        push = G @ weights
    else:
        push = np.linalg.lstsq(G.T, -np.ones(count), rcond=None)[0]
    return push if float((G.T @ push).max()) <= -0.5 else None


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
