"""Compiled: a bound on the distance between the computed and the exact trajectory.

Each neuron carries a radius r_j (Euclidean, of (w_j, v_j), in the neuron's scaled units), each component
of interacting neurons a radius R of its weights together (``top``, in units of its largest exponent).
Inside an activation pattern, with G_j = sum_i s_ij g_i x_i, rho the residual p' - F(p) of the dense
output, Df_i and Dg_i the errors of f_i and g_i:

* r_j' <= |G_j| r_j + |theta_j| sum_i s_ij |x_i| |Dg_i| + |rho_j|: the block [[0, G], [G^T, 0]] has norm
  |G|, and the rest of the Jacobian acts through f alone;
* R' <= max_j |G_j| R + |rho|, j in the component: minus the Hessian is the block matrix of the G_j minus
  a positive semidefinite matrix (convex loss), which does not count in a logarithmic norm;
* |Df_i| <= |x_i| min(|theta|_i R + R^2/2, sum_j s_ij (|theta_j| r_j + r_j^2/2)), |theta|_i over the
  neurons active on i.

Components are those of ``numerics.compiled_parts``.

Rounding is added with counts of operations. The residual is sampled (middle and end of the step, where
it is largest), and rates are integrated by Simpson's rule: this is an error bound in floating point,
validated against ball arithmetic (``benchmarks/results/flow_coverage.md``), not a proof.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.compiled_field import (
    clipped_ldexp,
    field_at,
    slope_bound,
)
from numerics.compiled_parts import largest_of_parts, norm_of_parts
from numerics.compiled_series import state_at
from numerics.compiled_types import (
    ABSOLUTE,
    ABSOLUTES,
    CV,
    CW,
    DEFECT,
    ERROR,
    EXPONENT,
    FORCE,
    FORCES,
    GUESS,
    GUESS_TOP,
    INNER,
    LARGEST,
    LATE,
    NEW,
    NEW_TOP,
    OUTER,
    OUTPUT,
    OUTPUTS,
    OWN,
    PART,
    PART_EXPONENT,
    PATTERN,
    PULL,
    PULLS,
    RADIUS,
    RATE,
    SCRATCH,
    SQUARED,
    THETA,
    UNIT_OF_PART,
    V1,
    VM,
    W1,
    WEIGHT,
    WEIGHT2,
    WM,
    Lane,
    Points,
    Step,
)
from numerics.compiling import internal, internal_fast

UNIT = 2.0**-53
# Simpson's rule on a step where rates vary by a moderate factor is good to a few 1e-3.
QUADRATURE = 1.01
# The allowance for rates is relative to their *variation*: the early phase lasts for thousands of time
# constants at a constant rate, where one per cent of the exponent would be a factor 1e7.
VARIATION = 0.03
# A step of at most this part of the fastest time constant, and of less than this degree, is short.
SHORT, LONG = 0.0625, 12
ROUNDS = 6


@internal
def fields(p: Points, lane: Lane, step: Step, degree: int, length: float, scale: float) -> bool:
    """The end and the middle of the step, with the field there; |G_j| and |theta_j| at 0, 1/2, 1.

    A step that is short against the fastest rate needs no look at its middle: there the larger of the values
    at both ends is taken.

    Args:
        length: of the step, in the unit of ``time_unit``, which is about 1/(norm of the Jacobian).

    Returns:
        Whether the step is short.
    """
    zn, outputs, absolutes = step.zn, step.pn[OUTPUTS], step.pn[ABSOLUTES]
    pulls, theta, rate = step.pn[PULLS], step.nh[THETA : THETA + 3], step.nh[RATE : RATE + 3]
    forces = step.st[FORCES : FORCES + 3]
    weight2 = step.nh[WEIGHT2]
    zn[0], outputs[0], absolutes[0], pulls[0], forces[0] = (
        lane.pz[INNER], lane.pt[OUTPUT], lane.pt[ABSOLUTE], lane.pt[PULL], lane.wg[FORCE],
    )  # fmt: skip
    s = lane.pz[PATTERN]
    state_at(step, degree, 1.0, step.st[W1], step.nh[V1])
    field_at(
        p, step.st[W1], step.nh[V1], s, weight2, scale, zn[2], outputs[2], absolutes[2], pulls[2], forces[2]
    )  # fmt: skip
    _sizes(lane.wg[WEIGHT], lane.fl[OUTER], forces[0], theta[0], rate[0])
    _sizes(step.st[W1], step.nh[V1], forces[2], theta[2], rate[2])
    if length <= SHORT and degree < LONG:
        H = lane.fl[OUTER].size
        for j in range(H):
            theta[1, j] = max(theta[0, j], theta[2, j])
            rate[1, j] = max(rate[0, j], rate[2, j])
        for i in range(p.y.size):
            outputs[1, i], absolutes[1, i], pulls[1, i] = (
                outputs[2, i],
                absolutes[2, i],
                pulls[2, i],
            )
        return True
    state_at(step, degree, 0.5, step.st[WM], step.nh[VM])
    field_at(
        p, step.st[WM], step.nh[VM], s, weight2, scale, zn[1], outputs[1], absolutes[1], pulls[1], forces[1]
    )  # fmt: skip
    _sizes(step.st[WM], step.nh[VM], forces[1], theta[1], rate[1])
    return False


@internal_fast
def _sizes(w: Any, v: Any, G: Any, theta: Any, force: Any) -> None:
    d, H = w.shape
    for j in range(H):
        theta[j] = v[j] * v[j]
        force[j] = 0.0
    for c in range(d):
        for j in range(H):
            theta[j] += w[c, j] * w[c, j]
            force[j] += G[c, j] * G[c, j]
    for j in range(H):
        theta[j] = math.sqrt(theta[j])
        force[j] = math.sqrt(force[j])


@internal_fast
def _residual(
    step: Step, degree: int, s: float, tau: float, w: Any, v: Any, G: Any, work: Any, out: Any
) -> None:
    """out_j = |dp/ds - tau F(p)| at s."""
    cw, cv = step.taylor[CW], step.tv[CV]
    d, H = w.shape
    for j in range(H):
        out[j] = 0.0
        work[j] = degree * cv[degree, j]
    for k in range(degree - 1, 0, -1):
        for j in range(H):
            work[j] = work[j] * s + k * cv[k, j]
    for c in range(d):
        for j in range(H):
            work[j] -= tau * (G[c, j] * w[c, j])
    for j in range(H):
        out[j] = work[j] * work[j]
    for c in range(d):
        for j in range(H):
            work[j] = degree * cw[degree, c, j]
        for k in range(degree - 1, 0, -1):
            for j in range(H):
                work[j] = work[j] * s + k * cw[k, c, j]
        for j in range(H):
            work[j] -= tau * (v[j] * G[c, j])
            out[j] += work[j] * work[j]
    for j in range(H):
        out[j] = math.sqrt(out[j])


@internal_fast
def _rounding(step: Step, degree: int, work: Any, out: Any) -> None:
    """out_j += rounding of the polynomial and of the new state."""
    d, H = step.st[W1].shape
    for j in range(H):
        # of the state at the end, and of states that are evaluated inside
        out[j] += (
            2.0 * UNIT * max(step.nh[THETA + 0, j], step.nh[THETA + 1, j], step.nh[THETA + 2, j])
        )
    for k in range(1, degree + 1):
        for j in range(H):
            work[j] = 0.0
        for c in range(d):
            for j in range(H):
                work[j] += step.taylor[CW, k, c, j] * step.taylor[CW, k, c, j]
        for j in range(H):
            out[j] += UNIT * (2.0 * k + 2.0) * (math.sqrt(work[j]) + abs(step.tv[CV, k, j]))


@internal_fast
def _spread(s: Any, per_point: Any, out: Any) -> None:
    """out_j = sum_i s_ij per_point_i."""
    n, H = s.shape
    for j in range(H):
        out[j] = 0.0
    for i in range(n):
        a = per_point[i]
        for j in range(H):
            out[j] += a * s[i, j]


@internal_fast
def _gather(s: Any, per_neuron: Any, out: Any) -> None:
    """out_i = sum_j s_ij per_neuron_j."""
    n, H = s.shape
    for i in range(n):
        total = 0.0
        for j in range(H):
            total += s[i, j] * per_neuron[j]
        out[i] = total


@internal_fast
def _top_around(s: Any, per_neuron: Any, out: Any) -> None:
    """out_i = max_j s_ij per_neuron_j, at least 0."""
    n, H = s.shape
    for i in range(n):
        most = 0.0
        for j in range(H):
            most = max(most, s[i, j] * per_neuron[j])
        out[i] = most


@internal
def defects(p: Points, lane: Lane, step: Step, degree: int, tau: float, short: bool) -> None:
    """step.defect_j: what residual and rounding add to the error of neuron j over the step."""
    n, d = p.X.shape
    H = lane.fl[OUTER].size
    middle, end, work = step.nh[SCRATCH + 0], step.nh[SCRATCH + 1], step.nh[SCRATCH + 2]
    if not short:
        _residual(
            step, degree, 0.5, tau, step.st[WM], step.nh[VM], step.st[FORCES + 1], work, middle
        )
    _residual(step, degree, 1.0, tau, step.st[W1], step.nh[V1], step.st[FORCES + 2], work, end)
    # Rounding of G, relative to its terms.
    terms = step.point[0]
    for i in range(n):
        label = abs(p.y[i]) if p.loss == SQUARED else 0.0
        terms[i] = 0.0
        for m in range(3):
            slope = slope_bound(p, step.pn[OUTPUTS, m, i], step.pn[OUTPUTS, m, i], p.y[i])
            size = max(abs(step.pn[OUTPUTS, m, i]), step.pn[ABSOLUTES, m, i]) + label
            term = (12.0 + n + d) * abs(step.pn[PULLS, m, i]) + (12.0 + d + H) * slope * size
            terms[i] = max(terms[i], UNIT * term * p.norms[i])
    noise = step.nh[SCRATCH + 3]
    _spread(lane.pz[PATTERN], terms, noise)
    for j in range(H):
        sup = max(step.nh[THETA + 0, j], step.nh[THETA + 1, j], step.nh[THETA + 2, j])
        # The residual starts with s**p: its integral is rho(1)/(p+1), taken with a factor of 2;
        # rho(1/2) covers a slower start and the rounding of the difference. On a short step later terms of
        # the residual are smaller than its first by the length over the time constant: rho(1) is its
        # supremum, and more than twice its integral.
        step.nh[DEFECT, j] = (
            end[j] if short else 2.0 * end[j] / (degree + 1) + middle[j]
        ) + tau * noise[j] * sup
    _rounding(step, degree, work, step.nh[DEFECT])


@internal_fast
def _mean_rate(a: float, b: float, c: float) -> float:
    """Upper estimate of the mean over a step of a rate given at 0, 1/2, 1."""
    return math.sqrt((a * a + 4.0 * b * b + c * c) / 6.0) + VARIATION * (
        max(a, b, c) - min(a, b, c)
    )


@internal
def propagate(
    p: Points, lane: Lane, step: Step, tau: float, scale: float, short: bool, top: Any
) -> bool:
    """Carry the radii over one step; fills NEW, NEW_TOP and ERROR, and says whether they are finite.

    The comparison system is solved by a fixed point for its suprema.

    Args:
        short: as ``fields`` says. top: (H,) radii of the components at the start, as ``regroup`` gives them.
    """
    n = p.y.size
    H = lane.fl[OUTER].size
    work, part = step.nh[SCRATCH + 0], step.nh[SCRATCH + 1]
    sup, in_lane = step.nh[SCRATCH + 2], step.nh[SCRATCH + 3]
    new, new_top, guess, guess_top = (
        step.nh[NEW],
        step.nh[NEW_TOP],
        step.nh[GUESS],
        step.nh[GUESS_TOP],
    )
    active, around, separate, output, weighted = (
        step.point[0], step.point[1], step.point[2], step.point[3], step.point[4],
    )  # fmt: skip
    highest = lane.il[EXPONENT, 0]
    for j in range(H):
        highest = max(highest, lane.il[EXPONENT, j])
        step.nh[OWN, j] = tau * _mean_rate(
            step.nh[RATE + 0, j], step.nh[RATE + 1, j], step.nh[RATE + 2, j]
        )
        sup[j] = max(step.nh[THETA + 0, j], step.nh[THETA + 1, j], step.nh[THETA + 2, j])
        part[j] = step.nh[WEIGHT2, j] * (sup[j] * sup[j])
    _gather(lane.pz[PATTERN], part, active)
    for m in range(3):
        largest_of_parts(step.ih[PART], step.nh[RATE + m], work, step.nh[ERROR + m])
    for j in range(H):
        step.nh[LARGEST, j] = tau * _mean_rate(
            step.nh[ERROR + 0, j], step.nh[ERROR + 1, j], step.nh[ERROR + 2, j]
        )
    norm_of_parts(step.ih[PART], step.nh[UNIT_OF_PART], step.nh[DEFECT], work, part)
    for j in range(H):
        # Coupling seldom adds as much as this, so that one round settles most steps.
        guess[j] = 1.125 * math.exp(step.nh[OWN, j]) * (lane.fl[RADIUS, j] + step.nh[DEFECT, j])
        guess_top[j] = 1.125 * math.exp(step.nh[LARGEST, j]) * (top[j] + part[j])
        step.nh[DEFECT, j] += lane.fl[RADIUS, j]
        part[j] += top[j]
    for _ in range(ROUNDS):
        for j in range(H):
            in_lane[j] = guess_top[j]
            if step.ih[PART_EXPONENT, j] != highest:
                in_lane[j] = clipped_ldexp(guess_top[j], step.ih[PART_EXPONENT, j] - highest)
            work[j] = step.nh[WEIGHT2, j] * (sup[j] * guess[j] + 0.5 * guess[j] * guess[j])
        _gather(lane.pz[PATTERN], work, separate)
        # All neurons that are active on a point belong to one component.
        _top_around(lane.pz[PATTERN], in_lane, around)
        for i in range(n):
            together = math.sqrt(active[i]) * around[i] + 0.5 * around[i] * around[i]
            output[i] = scale * p.norms[i] * min(together, separate[i])
        for m in range(3):
            if short and m == 1:
                continue
            for i in range(n):
                f = step.pn[OUTPUTS, m, i]
                slope = slope_bound(p, f - output[i], f + output[i], p.y[i])
                weighted[i] = slope * output[i] * p.norms[i]
            _spread(lane.pz[PATTERN], weighted, step.nh[ERROR + m])
        if short:
            for j in range(H):
                step.nh[ERROR + 1, j] = max(step.nh[ERROR + 0, j], step.nh[ERROR + 2, j])
        settled = True
        for j in range(H):
            a, b, c = step.nh[ERROR + 0, j], step.nh[ERROR + 1, j], step.nh[ERROR + 2, j]
            driven = QUADRATURE * tau * (
                a * step.nh[THETA + 0, j] + 4.0 * b * step.nh[THETA + 1, j] + c * step.nh[THETA + 2, j]
            ) / 6.0  # fmt: skip
            most = max(a, b, c)
            new[j] = math.exp(step.nh[OWN, j] + tau * most) * (step.nh[DEFECT, j] + driven)
            step.nh[LATE, j] = most
        largest_of_parts(step.ih[PART], step.nh[LATE], work, new_top)
        for j in range(H):
            new_top[j] = math.exp(step.nh[LARGEST, j] + tau * new_top[j]) * part[j]
        norm_of_parts(step.ih[PART], step.nh[UNIT_OF_PART], new, work, in_lane)
        for j in range(H):
            new_top[j] = min(new_top[j], in_lane[j])
            if step.nh[UNIT_OF_PART, j] > 0.0:
                new[j] = min(new[j], new_top[j] / step.nh[UNIT_OF_PART, j])
            settled = settled and new[j] <= guess[j] and new_top[j] <= guess_top[j]
        if settled:
            return True
        for j in range(H):
            guess[j] = 2.0 * max(new[j], guess[j])
            guess_top[j] = 2.0 * max(new_top[j], guess_top[j])
    for j in range(H):
        new[j] = np.inf
        new_top[j] = np.inf
    return False
