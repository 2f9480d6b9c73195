"""Events of early alignment: DOP853 agrees that they happen when the engine says so."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from proofs_checks import api
from proofs_checks.case import Case
from proofs_checks.cases import initialisation, orthogonally_separable
from proofs_checks.verdict import Status
from tests.quality.witness import SLOPES, flow, outputs
from theory import early_alignment as ea
from theory.quantity import Quantity, quantity, var
from theory.statement import Domain, Kind, Part, Source, Statement

EPS = 1e-2


def make(loss: str) -> Case:
    X, y = orthogonally_separable(n=4, d=2, seed=3, spread=0.8)
    W0, signs = initialisation(h=6, d=2, seed=[3, 9])
    return Case.create(X, y, W0=W0, signs=signs, eps=EPS, loss=loss)


def measured(case: Case, *events: Quantity) -> list[float]:
    """What the engine measures, from the left sides of ``event <= 10**6``."""
    toy = Statement(
        "toy/x", "toy", Kind.ORDER, Source("toy", "1"), (), (), claim=ea.CLAIM, horizon=ea.t2 + 1
    )
    rows = api.verdicts(
        [replace(toy, id=f"toy/{k}", parts=(Part("x", e <= 10**6),)) for k, e in enumerate(events)],
        [case],
    )
    assert all(v.status is Status.HOLDS and v.log_lhs is not None for (v,) in rows)
    return [math.exp(v.log_lhs) for (v,) in rows]  # type: ignore[arg-type]


def state(case: Case, t: float) -> tuple[np.ndarray, np.ndarray]:
    """(W, v) at the time t by DOP853."""
    W, v = flow(case.X, case.y, case.W0, case.v0, eps=EPS, until=t, loss=case.loss)
    return EPS * W, EPS * v


def activity(case: Case, W: np.ndarray) -> np.ndarray:
    """(n, h) activations; a neuron that died rests on the kink where it died, hence the threshold."""
    return (case.X @ W.T) / np.linalg.norm(W, axis=1) > 1e-9


def aligned(case: Case, t: float) -> bool:
    """Whether every neuron is active on all points of its own class and no other, or on no point."""
    W, v = state(case, t)
    active = activity(case, W)
    own = (case.y[:, None] * v) > 0
    return bool(np.all((active == own).all(axis=0) | ~active.any(axis=0)))


@pytest.mark.parametrize("loss", ["exponential", "logistic2"])
def test_events_happen_when_the_engine_says_so(loss: str) -> None:
    case = make(loss)
    t2, t_align, t_grow, loss2, a_plus, a_minus = measured(
        case, ea.t2, ea.t_align, ea.t_grow, ea.loss2, ea.a_plus, ea.a_minus
    )
    W, v = state(case, t2)
    f = outputs(case.X, W, v)
    reached = min(np.abs(f[case.y > 0]).max(), np.abs(f[case.y < 0]).max())
    assert reached == pytest.approx(0.25, rel=1e-7)
    margins = case.y * f
    losses = np.exp(-margins) if loss == "exponential" else 2 * np.log1p(np.exp(-margins))
    assert loss2 == pytest.approx(losses.sum(), rel=1e-8)
    active = activity(case, W)
    plus = (active == (case.y > 0)[:, None]).all(axis=0) & (v > 0)
    minus = (active == (case.y < 0)[:, None]).all(axis=0) & (v < 0)
    assert a_plus == pytest.approx((v[plus] ** 2).sum(), rel=1e-8)
    assert a_minus == pytest.approx((v[minus] ** 2).sum(), rel=1e-8)

    assert 0 < t_align < t2
    assert not aligned(case, t_align * (1 - 1e-4))
    assert all(aligned(case, t) for t in np.linspace(t_align * (1 + 1e-4), t2, 4))

    grown, _ = state(case, t_grow)
    growth = (grown**2).sum(axis=1) / (EPS**2 * (case.W0**2).sum(axis=1))
    assert growth.max() * EPS == pytest.approx(1.0, rel=1e-7)


@pytest.mark.parametrize("loss", ["exponential", "logistic2"])
def test_the_gradient_and_the_loss_agree_with_finite_differences(loss: str) -> None:
    """dL/dt = -‖∇L‖² along the flow, by central differences of DOP853's loss."""
    case = make(loss)
    (t2,) = measured(case, ea.t2)
    step = 1e-4
    around = []
    for t in (t2 - step, t2 + step):
        margins = case.y * outputs(case.X, *state(case, t))
        values = np.exp(-margins) if loss == "exponential" else 2 * np.log1p(np.exp(-margins))
        around.append(float(values.sum()))
    W, v = state(case, t2)
    g = case.y * SLOPES[loss](case.y * outputs(case.X, W, v))
    active = activity(case, W)
    forces = (active * g[:, None]).T @ case.X
    square = float((v**2 * (forces**2).sum(axis=1)).sum() + ((forces * W).sum(axis=1) ** 2).sum())
    assert (around[1] - around[0]) / (2 * step) == pytest.approx(-square, rel=1e-5)
    # the engine's ‖∇L‖² at t_2
    toy = Statement(
        "toy/g",
        "toy",
        Kind.INEQUALITY,
        Source("toy", "1"),
        (),
        (Part("gradient", var("grad_sq") <= quantity(10**6), Domain(ea.t2, ea.t2, "at t2")),),
        claim=ea.CLAIM,
    )
    verdict = api.check(toy, case)
    assert verdict.log_lhs is not None
    assert math.exp(verdict.log_lhs) == pytest.approx(square, rel=1e-7)
