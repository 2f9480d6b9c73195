"""Independent witnesses: the two sides of a planted wrong statement without the library's engine.

Closed forms and scipy's DOP853, restarted at every kink; nothing of ``numerics`` or ``proofs_checks`` is used.

Notation: g is minus the slope of the loss in f at the label y = +1, u = ‖w‖² of one balanced neuron.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import expi

Array = np.ndarray

SLOPES: dict[str, Callable[[Array], Array]] = {  # -dl/df at y = +1, as a function of the margin y f
    "exponential": lambda m: np.exp(-m),
    "logistic2": lambda m: 2.0 / (1.0 + np.exp(m)),
    "logistic": lambda m: 1.0 / (1.0 + np.exp(m)),
}


def outputs(X: Array, W: Array, v: Array) -> Array:
    """(n,) outputs of the network."""
    return np.maximum(X @ W.T, 0.0) @ v


def deviation(
    X: Array, y: Array, W: Array, v: Array, *, loss: str, weight: float = 1.0, sign: float = 1.0
) -> float:
    """max_j ‖d/dt (w_j/‖w_j‖)/sign(v_j) - sign·P⊥ x_a(w_j)‖ of a balanced network, by its definition.

    For a balanced network d/dt (w_j/‖w_j‖) = sign(v_j) P⊥ Σ_i g_i s_ij x_i.
    """
    g = weight * y * SLOPES[loss](y * outputs(X, W, v))
    worst = 0.0
    for w in W:
        active = X @ w > 0
        unit = w / np.linalg.norm(w)
        gap = ((g - sign * y) * active) @ X
        worst = max(worst, float(np.linalg.norm(gap - unit * (unit @ gap))))
    return worst


def parallel_time(u: float, u0: float, *, n: int, h: int, X: float, loss: str) -> float:
    """Time in which u grows from u0, for h neurons along one point x, ‖x‖ = X, that occurs n times.

    u' = 2 n X u g(h X u), so that with s = h X u, t = ∫ ds / (2 n X s g(s)); the integral of e^s/s is Ei(s).
    """
    s, s0 = h * X * u, h * X * u0
    grown = float(expi(s) - expi(s0))
    if loss == "exponential":
        return grown / (2 * n * X)
    return (math.log(u / u0) + grown) / (4 * n * X)


def frozen(w0: Array, v0: float, field: Array, t: float) -> Array:
    """w(t) of w' = v field, v' = ⟨field, w⟩: the limit ε → 0 inside one activation pattern."""
    s = float(np.linalg.norm(field))
    unit = field / s
    p = float(unit @ w0)
    return w0 + unit * (p * (math.cosh(s * t) - 1.0) + v0 * math.sinh(s * t))


def turned(angle: float, rate: float, t: float) -> float:
    """The angle from x_∓ after a time t of a neuron that leaves it: ψ' = rate sin ψ."""
    return 2.0 * math.atan(math.tan(angle / 2) * math.exp(rate * t))


def flow(
    X: Array,
    y: Array,
    W0: Array,
    v0: Array,
    *,
    eps: float,
    until: float,
    loss: str = "exponential",
    weight: float = 1.0,
    rtol: float = 1e-11,
) -> tuple[Array, Array]:
    """(W, v)/ε at the time ``until``: DOP853 with a frozen activation pattern, restarted at every kink."""
    h, d = W0.shape

    def split(z: Array) -> tuple[Array, Array]:
        return z[: h * d].reshape(h, d), z[h * d :]

    def make(mask: Array) -> Callable[[float, Array], Array]:
        def field(_: float, z: Array) -> Array:
            W, v = split(z)
            active = mask * (W @ X.T)
            g = weight * y * SLOPES[loss](y * (eps**2 * (v @ active)))
            return np.concatenate([(v[:, None] * ((mask * g) @ X)).ravel(), active @ g])

        return field

    def leaving(j: int, i: int, side: float) -> Callable[[float, Array], float]:
        # positive while the pattern agrees, so that only leaving it counts
        def crossing(_: float, z: Array) -> float:
            return float(side * (split(z)[0][j] @ X[i]))

        crossing.terminal, crossing.direction = True, -1  # type: ignore[attr-defined]
        return crossing

    z, t = np.concatenate([W0.ravel(), v0]), 0.0
    mask = (W0 @ X.T > 0).astype(float)
    for _ in range(10 * mask.size):
        # a neuron that is active on no point rests, and may rest exactly on a kink
        pairs = [(j, i) for j, i in np.ndindex(*mask.shape) if mask[j].any()]
        events = [leaving(j, i, 2 * mask[j, i] - 1) for j, i in pairs]
        with np.errstate(over="ignore", invalid="ignore"):  # in trial steps that are then refused
            run = solve_ivp(
                make(mask),
                (t, until),
                z,
                method="DOP853",
                rtol=rtol,
                atol=1e-14,
                events=events or None,
            )
        t, z = float(run.t[-1]), run.y[:, -1]
        if run.status == 0:
            return split(z)
        hit = next(pair for pair, times in zip(pairs, run.t_events, strict=True) if times.size)
        mask = mask.copy()
        mask[hit] = 1.0 - mask[hit]
    raise RuntimeError("too many kinks")
