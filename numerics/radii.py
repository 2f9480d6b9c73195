"""A bound on the distance between the computed and the exact trajectory.

Each neuron carries a radius r_j (Euclidean, of (w_j, v_j), in the neuron's scaled units), each
component of interacting neurons (``numerics.components``) a radius R of its weights together (in
units of its largest exponent). Inside an activation pattern, with G_j = sum_i s_ij g_i x_i,
rho the residual p' - F(p) of the dense output, Df_i and Dg_i the errors of f_i and g_i:

* r_j' <= |G_j| r_j + |theta_j| sum_i s_ij |x_i| |Dg_i| + |rho_j|: the block [[0, G], [G^T, 0]] has
  norm |G|, and the rest of the Jacobian acts through f alone;
* R' <= max_j |G_j| R + |rho|, j in the component: minus the Hessian is the block matrix of the G_j
  minus a positive semidefinite matrix (convex loss), and the latter does not count in a
  logarithmic norm;
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

from numerics.components import Components
from numerics.taylor import Data, Field, Frame, Series

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNIT = 2.0**-53
# Simpson's rule on a step where rates vary by a moderate factor is good to a few 1e-3.
QUADRATURE = 1.01
VARIATION = 0.03


def _simpson(values: Array) -> Array:
    """Mean over [0, 1] from the values at 0, 1/2, 1 on axis 1."""
    return (values[:, 0] + 4.0 * values[:, 1] + values[:, 2]) / 6.0


def _mean_rate(force: Array) -> Array:
    """Upper estimate of the mean over a step of rates given at 0, 1/2, 1 on axis 1.

    The allowance is relative to the *variation* of the rate: the early phase lasts for thousands of
    time constants at a constant rate, where one per cent of the exponent would be a factor 1e7.
    """
    spread = force.max(axis=1) - force.min(axis=1)
    return np.sqrt(_simpson(force**2)) + VARIATION * spread


@dataclass(frozen=True)
class StepBounds:
    """Radii at the end of a step (they bound the whole step), and the rates behind them.

    Args:
        radius, top: (L, h) r_j, and the R of the neuron's component.
        force, theta: (L, h) suprema of |G_j| and |theta_j|.
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
    parts: Components,
    radius: Array,
    top: Array,
) -> StepBounds:
    """Carry the radii over one step of length ``tau``: (L,).

    Args:
        unit_w: (L, p+1, h, d), unit_v: (L, p+1, h) dense output in s = (t-t0)/tau.
        nodes_w: (L, 2, h, d), nodes_v: (L, 2, h) states at s = 1/2 and s = 1.
        fields: the field at these two. parts: components of ``mask``.
        radius, top: (L, h) at the start.
    """
    order = unit_v.shape[1] - 1
    n, d = data.X.shape
    h = radius.shape[1]
    s = mask.astype(np.float64)
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
        terms = (12.0 + n + d) * np.abs(g) + (12.0 + d + h) * slope0 * (fabs + label)
        noise = UNIT * np.matmul(terms * data.norms, np.swapaxes(s, 1, 2))  # (L, 3, h)
        weights = 2.0 * degree + 2.0
        sizes = np.sqrt((unit_w[:, 1:] ** 2).sum(axis=3)) + np.abs(unit_v[:, 1:])
        rounding = UNIT * (theta[:, 2] + (weights[:, None] * sizes).sum(axis=1))
        defect = truncation + rounding + length * noise.max(axis=1) * sup_theta

        bounds = _compare(data, s, frame, parts, f, theta, force, length, defect, radius, top)
    return bounds


def _compare(
    data: Data,
    s: Array,
    frame: Frame,
    parts: Components,
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
    own = length * _mean_rate(force)
    largest = length * _mean_rate(parts.largest(force))
    defect_all = parts.norm(defect)
    weight2 = frame.weight2
    active_theta = np.sqrt(np.matmul((weight2 * sup_theta**2)[:, None, :], s)[:, 0])  # (L, n)

    guess = np.exp(own) * (radius + defect)
    guess_top = np.exp(largest) * (top + defect_all)
    new, new_top = guess, guess_top
    settled = np.zeros(top.shape[0], dtype=bool)
    force_error = np.zeros_like(radius)
    for _ in range(6):
        # All neurons that are active on a point belong to one component.
        around = (s * parts.in_lane_units(guess_top)[:, :, None]).max(axis=1)  # (L, n)
        together = active_theta * around + 0.5 * around**2
        each = weight2 * (sup_theta * guess + 0.5 * guess**2)
        separate = np.matmul(each[:, None, :], s)[:, 0]
        output = frame.scale[:, None] * data.norms * np.minimum(together, separate)  # |Df|: (L, n)
        slope = data.weight * data.loss.slope_bound(
            f - output[:, None], f + output[:, None], data.y
        )
        # (L, 3, n) -> error of G_j at the nodes.
        error = np.matmul(slope * (output * data.norms)[:, None], np.swapaxes(s, 1, 2))
        force_error = error.max(axis=1)
        driven = QUADRATURE * length * _simpson(error * theta)
        growth = own + length * force_error
        new = np.exp(growth) * (radius + defect + driven)
        new_top = np.exp(largest + length * parts.largest(force_error)) * (top + defect_all)
        new_top = np.minimum(new_top, parts.norm(new))
        new = np.fmin(new, new_top / parts.unit)
        settled = np.all((new <= guess) & (new_top <= guess_top), axis=1)
        if settled.all():
            break
        # Once settled, a lane keeps its numbers whatever its neighbours still need.
        guess = np.where(settled[:, None], guess, 2.0 * np.maximum(new, guess))
        guess_top = np.where(settled[:, None], guess_top, 2.0 * np.maximum(new_top, guess_top))
    new = np.where(settled[:, None] & ~np.isnan(new), new, np.inf)
    new_top = np.where(settled[:, None] & ~np.isnan(new_top), new_top, np.inf)
    return StepBounds(new, new_top, force.max(axis=1), sup_theta, force_error)
