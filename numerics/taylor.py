"""Taylor series of the gradient flow inside one activation pattern, for a batch of lanes.

With the mask s fixed the flow is analytic:
z_ij = <w_j, x_i>, f_i = sum_j v_j s_ij z_ij, g_i = -weight l'(f_i), G_j = sum_i s_ij g_i x_i,
w_j' = v_j G_j, v_j' = <G_j, w_j>. Each product becomes a convolution of coefficients.

Arrays are lane-first, and every operation is either elementwise, or a matrix product or a sum
*within* a lane: a lane's numbers do not depend on which other lanes are in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.losses import Loss

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Data:
    """The data set as the integrator uses it.

    Args:
        X: (n, d). XT: (d, n). y: (n,). gram: (n, n). norms: (n,) of the points.
    """

    X: Array
    XT: Array
    y: Array
    gram: Array
    norms: Array
    loss: Loss
    weight: float

    @classmethod
    def of(cls, X: Array, y: Array, loss: Loss, weight: float) -> Data:
        """Precompute what depends on the data alone."""
        return cls(
            X=np.ascontiguousarray(X),
            XT=np.ascontiguousarray(X.T),
            y=np.ascontiguousarray(y),
            gram=np.ascontiguousarray(X @ X.T),
            norms=np.sqrt((X * X).sum(axis=1)),
            loss=loss,
            weight=weight,
        )


@dataclass(frozen=True)
class Frame:
    """Relation of the scaled to the true weights: true_j = unit * 2**(k_j - K) * scaled_j.

    Args:
        scale: (L,) unit**2, possibly underflowed to 0 (then f is 0 to 300 digits).
        relative: (L, h) 2**(k_j - K), K the largest exponent of the lane.
    """

    scale: Array
    relative: Array

    @property
    def weight2(self) -> Array:
        """(L, h) 4**(k_j - K)."""
        return self.relative * self.relative


def frame_of(mantissa2: Array, exponent0: Ints, exponent: Ints) -> Frame:
    """The frame of lanes whose eps**2 is mantissa2 * 4**exponent0 and whose neurons have k_j."""
    top = exponent.max(axis=1)
    with np.errstate(over="ignore", under="ignore"):
        scale = np.ldexp(mantissa2, np.clip(2 * (exponent0 + top), -5000, 5000).astype(np.int32))
        relative = np.ldexp(1.0, np.maximum(exponent - top[:, None], -5000).astype(np.int32))
    return Frame(scale=scale, relative=relative)


@dataclass(frozen=True)
class Series:
    """Taylor coefficients in the time t/unit (p+1 of them, on axis 1).

    Args:
        unit: (L,) powers of two. w: (L, p+1, h, d). v: (L, p+1, h). z: (L, p+1, h, n).
        f, g: (L, p+1, n) in true units. G: (L, p, h, d).
    """

    unit: Array
    w: Array
    v: Array
    z: Array
    f: Array
    g: Array
    G: Array


# Below this bound on |f| the forces g are constant to far more digits than float64 has.
NEGLIGIBLE = 1e-30


def expand(data: Data, w: Array, v: Array, mask: Bools, frame: Frame, order: int) -> Series:
    """Taylor coefficients up to ``order`` from the state w: (L, h, d), v: (L, h).

    In the early phase, |f| < 1e-30, the forces are constant and the recurrence is linear; each lane
    takes the branch that its own state asks for.
    """
    size = np.sqrt((w * w).sum(axis=2)) * np.abs(v)
    outputs = frame.scale * (frame.weight2 * size).sum(axis=1) * data.norms.max()
    linear = outputs < NEGLIGIBLE
    if linear.all():
        return _expand_linear(data, w, v, mask, frame, order)
    if not linear.any():
        return _expand_general(data, w, v, mask, frame, order)
    rows = (np.flatnonzero(linear), np.flatnonzero(~linear))
    parts = [
        method(data, w[r], v[r], mask[r], Frame(frame.scale[r], frame.relative[r]), order)
        for method, r in zip((_expand_linear, _expand_general), rows, strict=True)
    ]
    merged = {}
    for name, first in vars(parts[0]).items():
        whole = np.empty((w.shape[0], *first.shape[1:]))
        whole[rows[0]], whole[rows[1]] = first, getattr(parts[1], name)
        merged[name] = whole
    return Series(**merged)


def _expand_linear(data: Data, w: Array, v: Array, mask: Bools, frame: Frame, order: int) -> Series:
    """The series with g frozen at its value for f = 0."""
    lanes, h, d = w.shape
    n = data.y.size
    s = mask.astype(np.float64)
    W = np.zeros((lanes, order + 1, h, d))
    V = np.zeros((lanes, order + 1, h))
    F = np.zeros((lanes, order + 1, n))
    g = np.zeros((lanes, order + 1, n))
    G = np.zeros((lanes, order, h, d))
    W[:, 0], V[:, 0] = w, v
    z = np.matmul(w, data.XT)
    F[:, 0] = np.matmul((v * frame.weight2)[:, None], s * z)[:, 0] * frame.scale[:, None]
    g[:, 0] = data.weight * data.loss.g(F[:, 0], data.y)
    G[:, 0] = force = np.matmul(s * g[:, 0, None, :], data.X)
    unit = _time_unit(data, w, v, s, frame, F[:, 0], force)
    for k in range(order):
        factor = (unit / (k + 1))[:, None]
        W[:, k + 1] = (factor * V[:, k])[:, :, None] * force
        V[:, k + 1] = factor * (force * W[:, k]).sum(axis=2)
    Z = np.matmul(W.reshape(lanes, (order + 1) * h, d), data.XT).reshape(lanes, order + 1, h, n)
    return Series(unit=unit, w=W, v=V, z=Z, f=F, g=g, G=G)


def _expand_general(
    data: Data, w: Array, v: Array, mask: Bools, frame: Frame, order: int
) -> Series:
    """The series by convolutions."""
    lanes, h, d = w.shape
    n = data.y.size
    s = mask.astype(np.float64)
    W = np.zeros((lanes, order + 1, h, d))
    V = np.zeros((lanes, order + 1, h))
    Z = np.zeros((lanes, order + 1, h, n))
    F = np.zeros((lanes, order + 1, n))
    g = np.zeros((lanes, order + 1, n))
    G = np.zeros((lanes, order, h, d))
    # f is one matrix product per order when v runs forwards and s z backwards in memory.
    weighted = np.zeros((lanes, order + 1, h))
    active = np.zeros((lanes, order + 1, h, n))
    series = data.loss.series(data.y, lanes, order)
    unit = np.ones(lanes)
    W[:, 0], V[:, 0] = w, v
    for k in range(order + 1):
        Z[:, k] = np.matmul(np.ascontiguousarray(W[:, k]), data.XT)
        active[:, order - k] = s * Z[:, k]
        weighted[:, k] = V[:, k] * frame.weight2
        left = weighted[:, : k + 1].reshape(lanes, 1, (k + 1) * h)
        right = active[:, order - k :].reshape(lanes, (k + 1) * h, n)
        F[:, k] = np.matmul(left, right)[:, 0] * frame.scale[:, None]
        g[:, k] = data.weight * series.extend(k, F)
        if k == order:
            break
        G[:, k] = np.matmul(s * g[:, k, None, :], data.X)
        if k == 0:
            unit = _time_unit(data, w, v, s, frame, F[:, 0], G[:, 0])
        factor = unit / (k + 1)
        reverse = G[:, k::-1]
        W[:, k + 1] = factor[:, None, None] * (V[:, : k + 1, :, None] * reverse).sum(axis=1)
        inner = (W[:, : k + 1] * reverse).sum(axis=3)
        V[:, k + 1] = factor[:, None] * inner.sum(axis=1)
    return Series(unit=unit, w=W, v=V, z=Z, f=F, g=g, G=G)


def _time_unit(data: Data, w: Array, v: Array, s: Array, frame: Frame, f: Array, G: Array) -> Array:
    """A power of two near 1/(norm of the Jacobian), so that coefficients stay moderate.

    The Jacobian consists of the G_j and of what acts through the outputs, at most
    |dg/df| |x|^2 sum_j s_ij |theta_j|^2 for point i.
    """
    size = frame.weight2 * ((w * w).sum(axis=2) + v * v)
    curvature = data.weight * data.loss.slope_bound(f, f, data.y) * data.norms**2
    outputs = frame.scale[:, None] * curvature * np.matmul(size[:, None], s)[:, 0]
    rate = np.sqrt((G * G).sum(axis=2)).max(axis=1) + outputs.max(axis=1)
    usable = np.isfinite(rate) & (rate > 0)
    _, exponent = np.frexp(np.where(usable, rate, 1.0))
    return np.ldexp(1.0, -np.clip(exponent, -1000, 1000))


@dataclass(frozen=True)
class Field:
    """The frozen vector field and its ingredients at states with the axes (L, m).

    Args:
        z: (L, m, h, n). f, fabs, g: (L, m, n), fabs = sum_j |v_j s_ij z_ij| in true units.
        G: (L, m, h, d). dw: (L, m, h, d). dv: (L, m, h).
    """

    z: Array
    f: Array
    fabs: Array
    g: Array
    G: Array
    dw: Array
    dv: Array


def evaluate_field(data: Data, w: Array, v: Array, mask: Bools, frame: Frame) -> Field:
    """The field at states w: (L, m, h, d), v: (L, m, h) with one mask (L, h, n) per lane."""
    s = mask.astype(np.float64)[:, None]
    z = np.matmul(w, data.XT)
    active = s * z
    weighted = (v * frame.weight2[:, None])[:, :, None, :]
    scale = frame.scale[:, None, None]
    f = np.matmul(weighted, active)[:, :, 0] * scale
    fabs = np.matmul(np.abs(weighted), np.abs(active))[:, :, 0] * scale
    g = data.weight * data.loss.g(f, data.y)
    G = np.matmul(s * g[:, :, None, :], data.X)
    return Field(z=z, f=f, fabs=fabs, g=g, G=G, dw=v[..., None] * G, dv=(G * w).sum(axis=3))
