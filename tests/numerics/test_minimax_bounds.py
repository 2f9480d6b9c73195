"""Coverage of the error bounds of minimax iterations: against the same iterations in ball arithmetic."""

from __future__ import annotations

from typing import Any

import flint
import numpy as np
import pytest

from numerics.minimax import (
    AlternatingGradientDescentAscent,
    ExtraGradient,
    GradientDescentAscent,
    OptimisticGradient,
    ProximalPoint,
    ReflectedForwardBackward,
    Saddle,
    minimax,
)

arb = flint.arb
BITS = 1200  # the radii of the balls grow faster than the errors


def saddle(x: Any, y: Any) -> Any:
    """xy + x²/20 - (y²/2 - y⁴/4)/10."""
    return x * y + 0.05 * x * x - 0.1 * (y * y / 2 - y**4 / 4)


def exact_field(z: list[Any]) -> list[Any]:
    x, y = z
    return [y + 2 * arb(0.05) * x, -(x - arb(0.1) * (y - y**3))]


def exact_run(method: Any, z: list[Any], h: Any, k: int) -> list[Any]:
    """The same iteration in balls."""

    def move(p: list[Any], by: Any, along: list[Any]) -> list[Any]:
        return [a - by * b for a, b in zip(p, along, strict=True)]

    F, before, last = exact_field, z, exact_field(z)
    for _ in range(k):
        now = F(z)
        if isinstance(method, ProximalPoint):
            new = proximal(z, h)
        elif isinstance(method, ExtraGradient):
            new = move(z, arb(method.alpha) * h, F(move(z, h, now)))
        elif isinstance(method, OptimisticGradient):
            new = move(z, h, [2 * a - b for a, b in zip(now, last, strict=True)])
        elif isinstance(method, ReflectedForwardBackward):
            new = move(z, h, F([2 * a - b for a, b in zip(z, before, strict=True)]))
        elif isinstance(method, AlternatingGradientDescentAscent):
            x = z[0] - h * now[0]
            new = [x, z[1] - h * F([x, z[1]])[1]]
        else:
            new = move(z, h, now)
        before, last, z = z, now, new
    return z


def proximal(z: list[Any], h: Any) -> list[Any]:
    """Newton's method on midpoints; the residual is below 2^-1000."""
    x, y = z
    for _ in range(14):
        gx, gy = exact_field([x, y])
        r, s = x + h * gx - z[0], y + h * gy - z[1]
        a, b, c = 1 + h * 2 * arb(0.05), h, -h
        d = 1 + h * arb(0.1) * (1 - 3 * y * y)
        det = a * d - b * c
        x, y = (x - (d * r - b * s) / det).mid(), (y - (a * s - c * r) / det).mid()
    return [x, y]


BOUNDED = [
    GradientDescentAscent(),
    AlternatingGradientDescentAscent(),
    ProximalPoint(),
    ExtraGradient(),
    OptimisticGradient(),
    ReflectedForwardBackward(),
    ExtraGradient(0.3),
    ProximalPoint("fixed-point"),
]


@pytest.mark.parametrize("method", BOUNDED, ids=lambda m: type(m).__name__)
def test_bounds_hold_and_are_close(method: Any) -> None:
    """192 random trajectories in all."""
    rng = np.random.default_rng(2)
    start = {"x": rng.uniform(-0.7, 0.7, size=24), "y": rng.uniform(-0.7, 0.7, size=24)}
    found = minimax(Saddle(saddle), start, method=method, step=0.2, iterations=20)
    true, bound = np.zeros((24, 2)), np.zeros((24, 2))
    with flint.ctx.workprec(BITS):
        for lane in range(24):
            z = exact_run(method, [arb(start["x"][lane]), arb(start["y"][lane])], arb(0.2), 20)
            assert max(float(c.rad()) for c in z) < 1e-40
            for i, name in enumerate(("x", "y")):
                shown = float(found.iterate[name][lane])
                true[lane, i] = float(abs(z[i] - shown))
                bound[lane, i] = found.error[name][lane]
    assert found.ok and (true <= bound).all() and true.max() > 0
    size, wide = np.linalg.norm(true, axis=1), np.linalg.norm(bound, axis=1)
    assert np.median(wide[size > 0] / size[size > 0]) < 100
