"""A bound on the distance between the computed and the exact trajectory.

Each neuron carries a radius r_j (Euclidean, of (w_j, v_j), in the neuron's scaled units), each lane
a radius R of all weights together (in units of the largest exponent). Inside an activation pattern,
with G_j = sum_i s_ij g_i x_i, rho the residual p' - F(p) of the dense output, Df_i and Dg_i the
errors of f_i and g_i:

* r_j' <= |G_j| r_j + |theta_j| sum_i s_ij |x_i| |Dg_i| + |rho_j|: the block [[0, G], [G^T, 0]] has
  norm |G|, and the rest of the Jacobian acts through f alone;
* R' <= max_j |G_j| R + |rho|: minus the Hessian is the block matrix of the G_j minus a positive
  semidefinite matrix (convex loss), and the latter does not count in a logarithmic norm;
* |Df_i| <= |x_i| min(|theta|_i R + R^2/2, sum_j s_ij (|theta_j| r_j + r_j^2/2)), |theta|_i over
  the neurons active on i.

At a kink of (i, j) the error is multiplied by the saltation matrix I + a x x^T/|x|^2, where
1 + a = zdot_after/zdot_before; it acts on neuron j alone.

Rounding is added with counts of operations. The residual is sampled (middle and end of the step,
where it is largest), and rates are integrated by Simpson's rule: this is an error bound in floating
point, validated against references in the tests, not a proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.taylor import Data, Field, Frame, Series

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNIT = 2.0**-53
# Simpson's rule on rates that vary by a moderate factor inside a step is good to a few 1e-3.
QUADRATURE = 1.01


def _simpson(values: Array) -> Array:
    """Mean over [0, 1] from the values at 0, 1/2, 1 on axis 1."""
    return (values[:, 0] + 4.0 * values[:, 1] + values[:, 2]) / 6.0


@dataclass(frozen=True)
class StepBounds:
    """Radii at the end of a step (they bound the whole step), and the rates behind them.

    Args:
        radius: (L, h). top: (L,) R. force: (L, h) sup |G_j|. theta: (L, h) sup |theta_j|.
        force_error: (L, h) bound on the error of G_j.
    """

    radius: Array
    top: Array
    force: Array
    theta: Array
    force_error: Array


def propagate(
    data: Data,
    series: Series,
    tau: Array,
    unit_w: Array,
    unit_v: Array,
    nodes_w: Array,
    nodes_v: Array,
    fields: Field,
    mask: Bools,
    frame: Frame,
    radius: Array,
    top: Array,
) -> StepBounds:
    """Carry the radii over one step of length ``tau``: (L,).

    Args:
        unit_w: (L, p+1, h, d), unit_v: (L, p+1, h) dense output in s = (t-t0)/tau.
        nodes_w: (L, 2, h, d), nodes_v: (L, 2, h) states at s = 1/2 and s = 1.
        fields: the field at these two. radius: (L, h). top: (L,).
    """
    order = unit_v.shape[1] - 1
    n, d = data.X.shape
    h = radius.shape[1]
    s = mask.astype(np.float64)
    weight2 = frame.weight2
    length = tau[:, None]
    with np.errstate(all="ignore"):
        w0, v0 = unit_w[:, :1], unit_v[:, :1]
        all_w, all_v = np.concatenate((w0, nodes_w), axis=1), np.concatenate((v0, nodes_v), axis=1)
        theta = np.sqrt((all_w * all_w).sum(axis=3) + all_v * all_v)  # (L, 3, h)
        all_G = np.concatenate((series.G[:, :1], fields.G), axis=1)
        force = np.sqrt((all_G * all_G).sum(axis=3))  # (L, 3, h)
        f = np.concatenate((series.f[:, :1], fields.f), axis=1)
        g = np.concatenate((series.g[:, :1], fields.g), axis=1)
        fabs = np.maximum(np.abs(f), np.concatenate((fields.fabs[:, :1], fields.fabs), axis=1))
        sup_theta = theta.max(axis=1)

        # Residual rho * tau = dp/ds - tau F(p) at s = 1/2 and 1.
        degree = np.arange(1, order + 1)
        table = np.stack((degree * 0.5 ** (degree - 1.0), degree.astype(np.float64)))
        lanes = tau.size
        dw = np.matmul(table, unit_w[:, 1:].reshape(lanes, order, h * d)).reshape(lanes, 2, h, d)
        dv = np.matmul(table, unit_v[:, 1:])
        dw -= tau[:, None, None, None] * fields.dw
        dv -= tau[:, None, None] * fields.dv
        residual = np.sqrt((dw * dw).sum(axis=3) + dv * dv)
        # The residual starts with s**p: its integral is rho(1)/(p+1), taken with a factor of 2;
        # rho(1/2) covers a slower start and the rounding of the difference.
        truncation = 2.0 * residual[:, 1] / (order + 1) + residual[:, 0]

        # Rounding: of G (relative to its terms), of the polynomial, and of the new state.
        slope0 = data.weight * data.loss.slope_bound(f, f, data.y)
        label = 0.0 if data.loss.signed_labels else np.abs(data.y)
        terms = (np.abs(g) + slope0 * (fabs + label)) * data.norms
        count = 16.0 + n + d + h
        noise = count * UNIT * np.matmul(terms, np.swapaxes(s, 1, 2))  # (L, 3, h)
        weights = 2.0 * degree + 2.0
        sizes = np.sqrt((unit_w[:, 1:] ** 2).sum(axis=3)) + np.abs(unit_v[:, 1:])
        rounding = UNIT * (theta[:, 2] + (weights[:, None] * sizes).sum(axis=1))
        defect = truncation + rounding + length * noise.max(axis=1) * sup_theta

        bounds = _compare(
            data, s, weight2, frame.scale, f, theta, force, length, defect, radius, top
        )
    return bounds


def _compare(
    data: Data,
    s: Array,
    weight2: Array,
    scale: Array,
    f: Array,
    theta: Array,
    force: Array,
    length: Array,
    defect: Array,
    radius: Array,
    top: Array,
) -> StepBounds:
    """Solve the comparison system over the step by a fixed point for its suprema."""
    sup_theta = theta.max(axis=1)
    own = QUADRATURE * length * np.sqrt(_simpson(force**2))  # integral of |G_j|
    largest = QUADRATURE * length[:, 0] * np.sqrt(_simpson(force.max(axis=2) ** 2))
    defect_all = np.sqrt((weight2 * defect**2).sum(axis=1))
    active_theta = np.sqrt(np.matmul((weight2 * sup_theta**2)[:, None, :], s)[:, 0])  # (L, n)

    guess = np.exp(own) * (radius + defect)
    guess_top = np.exp(largest) * (top + defect_all)
    new, new_top = guess, guess_top
    settled = np.zeros(top.shape, dtype=bool)
    force_error = np.zeros_like(radius)
    for _ in range(6):
        together = active_theta * guess_top[:, None] + 0.5 * guess_top[:, None] ** 2
        each = weight2 * (sup_theta * guess + 0.5 * guess**2)
        separate = np.matmul(each[:, None, :], s)[:, 0]
        output = scale[:, None] * data.norms * np.minimum(together, separate)  # |Df|: (L, n)
        slope = data.weight * data.loss.slope_bound(
            f - output[:, None], f + output[:, None], data.y
        )
        # (L, 3, n) -> error of G_j at the nodes.
        error = np.matmul(slope * (output * data.norms)[:, None], np.swapaxes(s, 1, 2))
        force_error = error.max(axis=1)
        driven = QUADRATURE * length * _simpson(error * theta)
        growth = own + length * force_error
        new = np.exp(growth) * (radius + defect + driven)
        new_top = np.exp(largest + length[:, 0] * force_error.max(axis=1)) * (top + defect_all)
        combined = np.sqrt((weight2 * new**2).sum(axis=1))
        new_top = np.minimum(new_top, combined)
        new = np.minimum(new, new_top[:, None] / np.sqrt(weight2))
        settled = np.all(new <= guess, axis=1) & (new_top <= guess_top)
        if settled.all():
            break
        # Once settled, a lane keeps its numbers whatever its neighbours still need.
        guess = np.where(settled[:, None], guess, 2.0 * np.maximum(new, guess))
        guess_top = np.where(settled, guess_top, 2.0 * np.maximum(new_top, guess_top))
    new = np.where(settled[:, None] & ~np.isnan(new), new, np.inf)
    new_top = np.where(settled & ~np.isnan(new_top), new_top, np.inf)
    return StepBounds(new, new_top, force.max(axis=1), sup_theta, force_error)
