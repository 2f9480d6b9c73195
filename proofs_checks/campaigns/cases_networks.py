"""Networks at a point of a design: two-layer ReLU networks and two-layer linear ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofs_checks.campaigns.rules import Draw
from proofs_checks.case import Case
from proofs_checks.cases import alignment_scale, initialisation
from proofs_checks.data import shipped
from proofs_checks.linear_case import LinearCase
from proofs_checks.linear_cases import timed
from theory.errors import LemmataError

Float = NDArray[np.float64]
MARGIN = 0.1  # of separable points
LOG10_EPS = -3.0


def two_layer(draw: Draw) -> Case:
    """A two-layer ReLU network with w_{j0} ~ N(0, I/d).

    Without ``log10_eps`` the scale is 10⁻³, and for balanced starts on orthogonally separable data the one at which
    alignment is decidable, see `proofs_checks.cases.alignment_scale`.

    Raises:
        LemmataError: axes that do not fit the data.
    """
    X, y, name = _points(draw)
    W0, signs = initialisation(h=draw["h"], d=X.shape[1], seed=[draw.seed, 2])
    start: dict[str, Any] = {"signs": signs}
    if not draw["balanced"]:
        outer = np.random.default_rng([draw.seed, 3]).standard_normal(len(W0))
        start = {"v0": outer * np.linalg.norm(W0, axis=1)}
    case = Case.create(
        X,
        y,
        W0=W0,
        log10_eps=draw.number("log10_eps", LOG10_EPS),
        loss=draw["loss"] or draw.losses[0],
        name=name,
        seed=draw.seed,
        **start,
    )
    if draw["log10_eps"] is None and draw["data"] == "orthogonal" and draw["balanced"]:
        return alignment_scale(case)
    return case


def _points(draw: Draw) -> tuple[Float, Float, str]:
    """X (n, d), y (n,), name."""
    kind, rng = draw["data"], np.random.default_rng([draw.seed, 1])
    if draw["mu"] is not None and kind != "orthogonal":
        raise LemmataError(f"mu speaks of orthogonal data, not of {kind}; leave one of them out")
    if kind == "digits":
        return *_digits(draw, rng), kind
    n, d = draw["n"] or 4, draw["d"] or 2
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    if kind == "orthogonal":
        return y[:, None] * _cone(n, d, draw["mu"], rng), y, f"orthogonal n={n} d={d}"
    X = rng.standard_normal((n, d)) / math.sqrt(d)
    if kind == "separable":
        u = rng.standard_normal(d)
        u /= np.linalg.norm(u)
        side = X @ u
        X += (y * (np.abs(side) + MARGIN) - side)[:, None] * u
    return X, y, f"{kind} n={n} d={d}"


def _digits(draw: Draw, rng: np.random.Generator) -> tuple[Float, Float]:
    data = shipped(normalise=True)
    if draw["d"] not in (None, data.d):
        raise LemmataError(
            f"data = digits has d = {data.d}, not {draw['d']}; leave one of them out"
        )
    n = draw["n"] or data.n
    if n > data.n:
        raise LemmataError(f"data = digits has {data.n} points, not {n}; give a smaller n")
    if n == data.n:
        return data.X, data.y
    classes = [rng.permutation(np.flatnonzero(data.y == label)) for label in (1.0, -1.0)]
    share = min(max((n + 1) // 2, n - len(classes[1])), len(classes[0]))
    chosen = np.concatenate([classes[0][:share], classes[1][: n - share]])
    return data.X[chosen], data.y[chosen]


def _cone(n: int, d: int, mu: float | None, rng: np.random.Generator) -> Float:
    """(n, d) points in the positive orthant, norms in [1/2, 1], whose least cosine is mu (up to rounding).

    They lie between the diagonal, where all cosines are 1, and points two of which are orthogonal; without mu a
    random share of the way.

    Raises:
        LemmataError: d = 1, where all cosines are 1, and another mu.
    """
    if d == 1:
        if mu not in (None, 1.0):
            raise LemmataError(f"mu = {mu:g} with d = 1: on a line mu is 1; give d >= 2")
        return rng.uniform(0.5, 1.0, (n, 1))
    far = np.abs(rng.standard_normal((n, d)))
    far[0], far[1] = np.eye(d)[:2]
    far /= np.linalg.norm(far, axis=1, keepdims=True)
    norms = rng.uniform(0.5, 1.0, n)

    def directions(t: float) -> Float:
        z: Float = (1.0 - t) / math.sqrt(d) + t * far
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    share = rng.uniform(0.1, 0.6)
    if mu is not None:
        low, high = 0.0, 1.0
        while True:
            share = 0.5 * (low + high)
            if share in (low, high):
                break
            z = directions(share)
            low, high = (share, high) if (z @ z.T).min() > mu else (low, share)
    return directions(share) * norms[:, None]


def linear(draw: Draw) -> LinearCase:
    """A two-layer linear network; without ``eta`` and ``horizon`` they fit the speed of its flow."""
    n, h, m = (draw[k] for k in "nhm")
    rng = np.random.default_rng([draw.seed, 4])
    s = max(n, m) + 1
    A, B = rng.standard_normal((s, n)) / math.sqrt(s), rng.standard_normal((s, m))
    if draw["start"] == "balanced":
        # W1 = U C and W2 = Cᵀ Vᵀ with orthonormal columns of U, V: W1ᵀW1 = W2W2ᵀ up to rounding
        k = min(n, h, m)
        U, V = (np.linalg.qr(rng.standard_normal((size, k)))[0] for size in (n, m))
        C = rng.standard_normal((k, h))
        W1, W2 = U @ C, C.T @ V.T
    else:
        W1 = rng.standard_normal((n, h)) / math.sqrt(h)
        W2 = rng.standard_normal((h, m)) / math.sqrt(h)
    scale = draw["scale"]
    case = timed(A, B, scale * W1, scale * W2, name=f"{n}×{h}×{m}", seed=draw.seed)
    # `timed` chooses a quarter of the inverse rate
    eta = case.eta if draw["eta_rel"] is None else 4.0 * case.eta * draw["eta_rel"]
    return case.replace(
        eta=draw.number("eta", eta),
        steps=draw["steps"],
        horizon=draw.number("horizon", case.horizon),
    )
