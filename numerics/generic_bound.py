"""How far the computed state may be from the solution: an estimate of a bound, step by step.

Let u be the dense output on a step of length h, with u(0) the computed state. Picard's iteration
v_0 = u, v_{k+1}(s) = u(0) + h int_0^s F(v_k) brings it nearer to the solution that starts in u(0).
The last iterate v_K has the defect h (F(v_{K-1}) - F(v_K)), at most h |H| |v_{K-1} - v_K| with the Hessian H of the
loss, and ends at a distance |u(1) - v_K(1)| from the computed state. With the logarithmic norm
mu = lambda_max(-H) = -lambda_min(H) of a gradient flow,

    r(1) <= e^{h mu} r(0) + h |H| max|v_{K-1} - v_K| e^{h max(mu, 0)} + |u(1) - v_K(1)|,

to which rounding is added, and, as mu is taken on the computed path, the change of H within the
distance r (a quadratic term: when it dominates, r grows beyond all bounds and becomes infinite).
The iteration sees signs, which the triangle inequality would lose: K = 0 gives radii that are
thousands of times too large.

There is one radius for the whole state. Where errors shrink in most directions but not in all (near
a valley of minima, in deep linear networks say) it does not see the shrinking, and is large.

It is an *estimate* of a bound, in floating point: F(v) is integrated by its interpolant in nine
nodes, H is sampled in three of them, by dense eigenvalues or by Lanczos iterations with their
residuals, and the change of H is measured along the path. Safety factors stand for what lies between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.generic_field import Fields, host
from numerics.generic_step import Attempt
from numerics.generic_tableau import CUMULATE, NODE_WEIGHTS, TO_LEGENDRE

Array = NDArray[np.float64]

MOST_DENSE = 128  # parameters up to which Hessians are formed
LANCZOS = 12  # iterations
SWEEPS = 3  # of Picard's iteration
SAFETY = 2.0
SAMPLED = (0, 4, 8)  # nodes in which the Hessian is sampled
ROUNDING = 8.0  # units in the last place that an evaluation of the field may lose


@dataclass(frozen=True)
class StepBound:
    """What a step adds to the bound; all (R,) except ``rate``.

    Args:
        stray: max |v_{K-1} - v_K|. jump: |u(1) - v_K(1)|. strayed: max |u - v_K|. stiffness: |H|.
        rate: (R, 3) mu in the sampled nodes. change: change of H along the step per length of its path; NaN where
            the path is too short to tell. force: max |F|. size: max |u|.
    """

    stray: Array
    jump: Array
    strayed: Array
    stiffness: Array
    rate: Array
    change: Array
    force: Array
    size: Array


def step_bound(
    fields: Fields, y: Tensor, h: Tensor, tried: Attempt, pattern: Tensor, *, dense: bool
) -> StepBound:
    """The bound's ingredients on accepted steps from y: (R, N) of lengths h: (R,)."""
    low, high, change = (_dense if dense else _lanczos)(fields, tried.nodes[list(SAMPLED)], pattern)
    stiff = torch.maximum(low.abs(), high.abs()).amax(dim=0)
    # Distances from u(0) come from the slopes, not from the nodes, where u(0) has rounded them.
    first = last = h[:, None] * _apply(NODE_WEIGHTS, tried.slopes)
    force = torch.zeros_like(h)
    for _ in range(SWEEPS):
        field = _field(fields, y + last, tried.slopes[0], pattern)
        force = torch.maximum(force, torch.linalg.vector_norm(field, dim=2).amax(dim=0))
        before, last = last, h[:, None] * _apply(CUMULATE, field)
        stray = torch.linalg.vector_norm(before - last, dim=2).amax(dim=0) + h * _tail(field) / 16.0
        jump = torch.linalg.vector_norm(first[-1] - last[-1], dim=1)
        if bool((h * stiff * stray <= 0.25 * jump).all()):
            break
    strayed = torch.linalg.vector_norm(first - last, dim=2).amax(dim=0)
    path = torch.linalg.vector_norm(tried.end - y, dim=1)
    largest = torch.linalg.vector_norm(tried.nodes, dim=2).amax(dim=0)
    unit = torch.finfo(y.dtype).eps
    told = path > 64.0 * unit**0.5 * largest
    change = torch.where(told, change / path, torch.nan)
    return StepBound(
        stray=host(stray),
        jump=host(jump),
        strayed=host(strayed),
        stiffness=host(stiff),
        rate=host(-low.T),
        change=host(change),
        force=host(force),
        size=host(largest),
    )


def _field(fields: Fields, at: Tensor, first: Tensor, pattern: Tensor) -> Tensor:
    """F: (9, R, N) in nodes at: (9, R, N) of which the first is the start, where F is known."""
    m, rows, size = at.shape
    inside = fields.slope(at[1:].reshape((m - 1) * rows, size), pattern.repeat(m - 1, 1))
    return torch.cat((first[None], inside.reshape(m - 1, rows, size)), dim=0)


def _tail(field: Tensor) -> Tensor:
    """(R,) size of the first Legendre coefficient that the interpolant does not hold."""
    c = torch.linalg.vector_norm(_apply(TO_LEGENDRE[-2:], field), dim=2)
    return c[1] * torch.where(c[0] > c[1], c[1] / c[0], 1.0)


def _apply(rows: Array, stack: Tensor) -> Tensor:
    """Rows (m, k) applied to the first axis of stack: (k, ...)."""
    table = torch.as_tensor(rows, dtype=stack.dtype, device=stack.device)
    return torch.tensordot(table, stack, dims=1)


def _dense(fields: Fields, at: Tensor, pattern: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Extreme eigenvalues (m, R) of H at (m, R, N), and |H(last) - H(first)|: (R,)."""
    matrices = [fields.hessian(theta, pattern) for theta in at]
    low, high = [], []
    for matrix in matrices:
        finite = torch.isfinite(matrix).all(dim=2).all(dim=1)[:, None]
        values = torch.linalg.eigvalsh(torch.where(finite[..., None], matrix, 0.0))
        values = torch.where(finite, values, torch.nan)
        low.append(values[:, 0])
        high.append(values[:, -1])
    return torch.stack(low), torch.stack(high), torch.linalg.matrix_norm(matrices[-1] - matrices[0])


def _lanczos(fields: Fields, at: Tensor, pattern: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As ``_dense``; the extreme Ritz values are moved outwards by their residuals.

    Products with H are differences of the field, whose own error is part of the residual.
    """
    m, rows, size = at.shape
    flat, patterns = at.reshape(m * rows, size), pattern.repeat(m, 1)
    slope = fields.slope(flat, patterns)
    info = torch.finfo(at.dtype)
    length = torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp(min=info.tiny**0.5)
    near = info.eps**0.5 * length

    def product(direction: Tensor) -> Tensor:
        return (slope - fields.slope(flat + near * direction, patterns)) / near

    generator = torch.Generator().manual_seed(size)
    q = torch.randn(size, generator=generator, dtype=torch.float64).to(at).expand(m * rows, size)
    q = q / torch.linalg.vector_norm(q, dim=1, keepdim=True)
    basis, diagonal, off = [q], [], []
    for _ in range(min(LANCZOS, size)):
        image = product(basis[-1])
        diagonal.append((image * basis[-1]).sum(dim=1))
        stacked = torch.stack(basis)
        for _ in range(2):  # once more, as the first pass loses orthogonality
            image = image - torch.einsum("kr,krn->rn", (stacked * image).sum(dim=2), stacked)
        off.append(torch.linalg.vector_norm(image, dim=1))
        basis.append(image / off[-1].clamp(min=info.tiny)[:, None])
    alpha, beta = torch.stack(diagonal, dim=1), torch.stack(off, dim=1)
    upper = torch.diag_embed(beta[:, :-1], 1)
    tridiagonal = torch.diag_embed(alpha) + upper + upper.mT
    finite = torch.isfinite(tridiagonal).all(dim=2).all(dim=1)
    values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], tridiagonal, 0.0))
    blur = torch.linalg.vector_norm(slope, dim=1) / length[:, 0] + values.abs().amax(dim=1)
    residual = (beta[:, -1:] * vectors[:, -1, :]).abs() + 4.0 * info.eps**0.5 * blur[:, None]
    low = torch.where(finite, values[:, 0] - residual[:, 0], torch.nan).reshape(m, rows)
    high = torch.where(finite, values[:, -1] + residual[:, -1], torch.nan).reshape(m, rows)
    # The matrix itself is not at hand: its action on the path stands for its change.
    way = at[-1] - at[0]
    way = way / torch.linalg.vector_norm(way, dim=1, keepdim=True).clamp(min=info.tiny)
    turned = product(way.repeat(m, 1)).reshape(m, rows, size)
    change = torch.linalg.vector_norm(turned[-1] - turned[0], dim=1)
    for ritz in (low, high):
        change = torch.maximum(change, (ritz[-1] - ritz[0]).abs())
    return low, high, change


def advance_radius(
    radius: Array, h: Array, bound: StepBound, change: Array, unit: float
) -> tuple[Array, Array]:
    """The radii (R,) after the step, and the largest within it.

    Args:
        radius: at the start of the step. change: (R,) Lipschitz constant of H in use.
        unit: the rounding unit of the states.
    """
    mu = bound.rate
    with np.errstate(all="ignore"):
        halves = np.maximum(mu[:, 0], mu[:, 1]) + np.maximum(mu[:, 1], mu[:, 2])
        between = np.abs(mu[:, 0] - 2.0 * mu[:, 1] + mu[:, 2]) / 8.0
        exponent = h * (0.5 * halves + between)
        peak = h * (np.maximum(mu.max(axis=1), 0.0) + between)
        rounding = ROUNDING * unit * (bound.size + h * (bound.stiffness * bound.size + bound.force))
        drift = SAFETY * h * bound.stiffness * bound.stray + rounding
        # The quadratic term with the radius at the end, found by a few rounds of substitution.
        after, largest = radius, radius
        for _ in range(3):
            bending = SAFETY * h * change * (np.maximum(radius, largest) + bound.strayed)
            after = np.exp(exponent + bending) * radius + np.exp(peak + bending) * drift
            largest = np.exp(peak + bending) * (radius + drift)
    after, largest = after + SAFETY * bound.jump, largest + SAFETY * bound.strayed
    settled = np.isfinite(after) & np.isfinite(largest) & (bending < 1.0)
    return np.where(settled, after, np.inf), np.where(settled, largest, np.inf)
