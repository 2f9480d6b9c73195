"""Coverage of the error bounds of descent: against the same iterations in ball arithmetic with 1200 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np
import pytest
import torch

from numerics.descent import (
    GradientDescent,
    HeavyBall,
    Method,
    Nesterov,
    NormalizedGradientDescent,
    RunOptions,
    Sampling,
    SignDescent,
    descend,
)

arb = flint.arb
Vector = list[Any]
BITS = 1200  # the radii of the balls grow faster than the errors


@contextmanager
def precise() -> Iterator[None]:
    with flint.ctx.workprec(BITS):
        yield


def exact(values: Any) -> Any:
    """Nested lists of balls from floats, which are exact."""
    if np.ndim(values) == 0:
        return arb(float(values))
    return [exact(value) for value in values]


def dot(a: Vector, b: Vector) -> Any:
    return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))


@dataclass(frozen=True)
class Model:
    """A loss in torch and its gradient in balls, of flat parameters; ``rows`` selects data."""

    start: dict[str, Any]
    loss: Callable[..., Any]
    gradient: Callable[..., Vector]
    n: int = 1


def quadratic(rng: np.random.Generator, lanes: int) -> Model:
    """(1/2) xᵀHx - bᵀx, N = 4, eigenvalues of H from 0.02 to 1."""
    Q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    H = (Q * np.array([0.02, 0.1, 0.5, 1.0])) @ Q.T
    b = rng.normal(size=4)
    Ht, bt = torch.tensor(H), torch.tensor(b)
    He, be = exact(H), exact(b)
    # autograd differentiates x·(Hx)/2, so the exact gradient is that of the symmetric part
    with precise():
        S = [[(He[i][j] + He[j][i]) / 2 for j in range(4)] for i in range(4)]
    return Model(
        {"x": rng.normal(size=(lanes, 4))},
        lambda p: 0.5 * p["x"] @ (Ht @ p["x"]) - bt @ p["x"],
        lambda x: [dot(row, x) - c for row, c in zip(S, be, strict=True)],
    )


def logistic(rng: np.random.Generator, lanes: int) -> Model:
    """Sum over rows of log(1 + e^{-y <x, a>}), n = 6, N = 3."""
    # exact in single precision too
    A = rng.normal(size=(6, 3)).astype(np.float32).astype(np.float64)
    At, Ae = torch.tensor(A), exact(A)

    def loss(p: Any, rows: Any = None) -> Any:
        data = At.to(p["x"].dtype)
        m = (data if rows is None else data[rows]) @ p["x"]
        return torch.logaddexp(torch.zeros_like(m), -m).sum()

    def gradient(x: Vector, rows: Any = range(6)) -> Vector:
        out = [arb(0)] * 3
        for i in rows:
            q = 1 / (1 + dot(Ae[i], x).exp())
            out = [o - q * a for o, a in zip(out, Ae[i], strict=True)]
        return out

    return Model({"x": rng.normal(size=(lanes, 3))}, loss, gradient, 6)


def relu_net(rng: np.random.Generator, lanes: int) -> Model:
    """Sum over rows of (sum_j v_j relu(<w_j, x_i>) - y_i)^2 / 2, n = 5, d = 2, h = 3."""
    n, d, h = 5, 2, 3
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    Xt, yt = torch.tensor(X), torch.tensor(y)
    Xe, ye = exact(X), exact(y)

    def loss(p: Any, rows: Any = None) -> Any:
        x, t = (Xt, yt) if rows is None else (Xt[rows], yt[rows])
        return 0.5 * ((torch.relu(x @ p["W"].T) @ p["v"] - t) ** 2).sum()

    def gradient(z: Vector, rows: Any = range(n)) -> Vector:
        W, v = [z[j * d : j * d + d] for j in range(h)], z[h * d :]
        gW, gv = [[arb(0)] * d for _ in range(h)], [arb(0)] * h
        for i in rows:
            a = [dot(w, Xe[i]) for w in W]
            r = sum((v[j] * a[j] for j in range(h) if a[j] > 0), arb(0)) - ye[i]
            for j in range(h):
                if a[j] > 0:
                    gW[j] = [g + r * v[j] * x for g, x in zip(gW[j], Xe[i], strict=True)]
                    gv[j] = gv[j] + r * a[j]
        return [g for row in gW for g in row] + gv

    start = {"W": rng.normal(size=(lanes, h, d)), "v": rng.normal(size=(lanes, h))}
    return Model(start, loss, gradient, n)


def product(rng: np.random.Generator, lanes: int) -> Model:
    """(abc - 1)^2 / 2: a deep linear network of scalars."""

    def gradient(z: Vector) -> Vector:
        a, b, c = z
        r = a * b * c - 1
        return [r * b * c, r * a * c, r * a * b]

    return Model(
        {"a": rng.normal(size=lanes), "bc": rng.normal(size=(lanes, 2))},
        lambda p: 0.5 * (p["a"] * p["bc"][0] * p["bc"][1] - 1) ** 2,
        gradient,
    )


def sign(x: Any) -> Any:
    return arb(1) if x > 0 else (arb(-1) if x < 0 else arb(0))


def exact_run(
    model: Model, method: Method, z: Vector, eta: float, steps: int, rows: Any = None
) -> Vector:
    """The iterate after ``steps`` updates, by the formulas of the module's docstring."""
    step = arb(eta)
    previous = z
    for k in range(steps):
        beta = arb(method.momentum_at(k))
        extra = () if rows is None else (rows(k),)
        ahead = z
        if isinstance(method, Nesterov):
            ahead = [a + beta * (a - p) for a, p in zip(z, previous, strict=True)]
        g = model.gradient(ahead, *extra)
        if isinstance(method, NormalizedGradientDescent):
            size = dot(g, g).sqrt()
            g = [c / size for c in g]
        if isinstance(method, SignDescent):
            g = [sign(c) for c in g]
        new = [a - step * c for a, c in zip(ahead, g, strict=True)]
        if isinstance(method, HeavyBall):
            new = [a + beta * (c - p) for a, c, p in zip(new, z, previous, strict=True)]
        previous, z = z, new
    if max(float(c.rad()) for c in z) > 1e-40:
        raise ArithmeticError("the reference is not accurate enough; use more bits")
    return z


METHODS: tuple[tuple[Method, float], ...] = (
    (GradientDescent(), 0.1),
    (HeavyBall(0.8), 0.05),
    (Nesterov(0.7), 0.05),
    (Nesterov("convex"), 0.05),
    (NormalizedGradientDescent(), 0.01),
    (SignDescent(), 0.01),
)
MODELS = (quadratic, logistic, relu_net, product)


def flatten(parts: dict[str, Any]) -> Any:
    first = next(iter(parts.values()))
    return np.concatenate([part.reshape(len(first), -1) for part in parts.values()], axis=1)


def errors(
    model: Model,
    method: Method,
    eta: float,
    steps: int,
    *,
    dtype: str = "float64",
    rows: Any = None,
    **more: Any,
) -> tuple[Any, Any]:
    """(true errors, bounds), (B, N) each, of the lanes that have a bound."""
    found = descend(
        model.loss,
        model.start,
        method=method,
        step=eta,
        iterations=steps,
        options=RunOptions(dtype=dtype),
        **more,
    )
    start = flatten(model.start)
    shown, bound = flatten(found.iterate), flatten(found.error)
    kept = np.flatnonzero(np.isfinite(bound).all(axis=1) & (found.iterations == steps))
    if dtype == "float32":
        start = start.astype(np.float32).astype(np.float64)
        eta = float(np.float32(eta))
    true = np.zeros((len(kept), start.shape[1]))
    with precise():
        for row, lane in enumerate(kept):
            seen = None if rows is None else (lambda k, lane=lane: rows(int(lane), k))
            z = exact_run(model, method, exact(start[lane]), eta, steps, seen)
            true[row] = [float(abs(a - arb(float(b)))) for a, b in zip(z, shown[lane], strict=True)]
    return true, bound[kept]


PAIRS = [
    (quadratic, METHODS[1]),
    (quadratic, METHODS[3]),
    (logistic, METHODS[0]),
    (logistic, METHODS[4]),
    (relu_net, METHODS[0]),
    (relu_net, METHODS[2]),
    (relu_net, METHODS[5]),
    (product, METHODS[1]),
]


@pytest.mark.parametrize(("build", "run"), PAIRS, ids=lambda x: getattr(x, "__name__", ""))
def test_bounds_hold_and_are_close(build: Any, run: tuple[Method, float]) -> None:
    """240 random trajectories in all."""
    true, bound = errors(build(np.random.default_rng(7), 30), *run, 20)
    assert len(true) >= 15
    assert (true <= bound).all()
    size, wide = np.linalg.norm(true, axis=1), np.linalg.norm(bound, axis=1)
    assert np.median(wide[size > 0] / size[size > 0]) < 100


def test_bounds_of_single_precision() -> None:
    true, bound = errors(
        logistic(np.random.default_rng(1), 16), HeavyBall(0.5), 0.25, 20, dtype="float32"
    )
    assert len(true) == 16 and (true <= bound).all()
    assert true.max() > 1e-9 and bound.max() < 1e-4


def test_bounds_of_stochastic_gradients() -> None:
    model = relu_net(np.random.default_rng(5), 12)
    sampling = Sampling(size=5, batch=2, seed=3, replace=False)
    rows = Sampling(size=5, batch=2, seed=3, replace=False).rows
    true, bound = errors(
        model, GradientDescent(), 0.02, 20, rows=lambda b, k: rows(b, k).tolist(), sampling=sampling
    )
    assert len(true) >= 8 and (true <= bound).all() and true.max() > 0


def test_bounds_of_quantities() -> None:
    """The loss at the end and its supremum, against the same in balls."""
    model = product(np.random.default_rng(11), 24)
    for eta in (0.05, 0.3):
        found = descend(
            model.loss,
            model.start,
            method=GradientDescent(),
            step=eta,
            iterations=12,
            quantities={"loss": model.loss, "sizes": lambda p: p["bc"].abs()},
        )
        start, kept = flatten(model.start), np.isfinite(found.final["loss"].error)
        assert kept.sum() >= 12
        with precise():
            for lane in np.flatnonzero(kept):
                values, tops = [], []
                for k in range(13):
                    z = exact_run(model, GradientDescent(), exact(start[lane]), eta, k)
                    values.append((z[0] * z[1] * z[2] - 1) ** 2 / 2)
                    tops.append(max(abs(z[1]), abs(z[2])))
                shown = found.final["loss"]
                assert abs(values[-1] - float(shown.value[lane])) <= float(shown.error[lane])
                for name, truth in (("loss", values), ("sizes", tops)):
                    top = found.suprema[name]
                    assert abs(max(truth) - float(top.value[lane])) <= float(top.error[lane])


# --- planted errors, and where there is no bound -------------------------------------------------


def test_a_bound_without_local_rounding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from numerics.descent_bounds import Enclosure

    advance = Enclosure.advance

    def blind(self: Enclosure, J: Any, local: Any, *rest: Any) -> None:
        advance(self, J, 0.0 * local, *rest)

    monkeypatch.setattr(Enclosure, "advance", blind)
    true, bound = errors(quadratic(np.random.default_rng(7), 16), GradientDescent(), 0.1, 10)
    assert not (true <= bound).all()


def test_a_bound_without_its_derivatives_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from numerics.descent_bounds import Enclosure

    advance = Enclosure.advance

    def blind(self: Enclosure, J: Any, *rest: Any) -> None:
        advance(self, 0.5 * J, *rest)

    monkeypatch.setattr(Enclosure, "advance", blind)
    true, bound = errors(quadratic(np.random.default_rng(7), 16), HeavyBall(0.8), 0.1, 60)
    assert not (true <= bound).all()


def chaos(p: Any) -> Any:
    """With step 1 gradient descent is x -> 1 - 2x²."""
    x = p["x"]
    return x**2 / 2 - x + 2 * x**3 / 3


def test_a_chaotic_iteration_ends_undecided() -> None:
    start = {"x": np.linspace(-0.9, 0.9, 12)}
    model = Model(start, chaos, lambda z: [z[0] - 1 + 2 * z[0] ** 2])
    true, bound = errors(model, GradientDescent(), 1.0, 30)
    assert len(true) == 12 and (true <= bound).all() and true.max() > 1e-10
    found = descend(chaos, start, method=GradientDescent(), step=1.0, iterations=80)
    assert found.ok and np.isinf(found.radius).all()
    assert all("blew up" in reason for reason in found.reason)


def test_a_contraction_keeps_its_bound() -> None:
    model = quadratic(np.random.default_rng(0), 4)
    found = descend(model.loss, model.start, method=GradientDescent(), step=0.5, iterations=150)
    assert (found.radius < 1e-12).all()


def test_an_undecided_activation_has_no_bound() -> None:
    start = {"w": [[0.0, 1.0], [1e-300, 1.0], [1.0, 1.0]]}
    found = descend(
        lambda p: (torch.relu(p["w"]) ** 1.5).sum() + torch.relu(p["w"][0]),
        start,
        method=GradientDescent(),
        step=0.01,
        iterations=1,
    )
    assert np.isfinite(found.radius).tolist() == [False, True, True]
    assert "switch" in found.reason[0]


def test_an_operation_without_a_wide_meaning_has_no_bound() -> None:
    found = descend(
        lambda p: torch.special.i0(p["x"]).sum(),
        {"x": [[1.0, 2.0]]},
        method=GradientDescent(),
        step=0.1,
        iterations=2,
    )
    assert found.ok and np.isinf(found.radius).all() and "i0" in found.reason[0]


def test_a_large_state_has_no_bound() -> None:
    found = descend(
        lambda p: (p["x"] ** 2).sum(),
        {"x": np.ones((2, 7))},
        method=HeavyBall(0.5),
        step=0.1,
        iterations=2,
        options=RunOptions(bound_limit=13),
    )
    assert np.isinf(found.radius).all() and "14 numbers; raise bound_limit" in found.reason[0]
