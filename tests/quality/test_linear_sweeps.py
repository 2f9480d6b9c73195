"""Wrong laws where nearly nothing moves: small steps, short horizons, extreme weights, fitted or dead networks.

There every law is nearly satisfied, so a wrong one must come out violated, undecided or vacuous, never as `holds`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numerics.polynomial_flow import integrate_polynomial
from proofs_checks import api, linear_cases
from proofs_checks.case import LOSSES, Case
from proofs_checks.claims.linear_networks import gradient_field
from proofs_checks.linear_balls import PRECISION, descend
from proofs_checks.linear_case import LinearCase
from proofs_checks.verdict import Status
from tests.quality.planted_linear import ALL, RELU, WIDE, PlantedLaw
from theory import linear_networks as ln

DESCENT, FLOW, NEURON = (
    [p for p in ALL if p.true is s]
    for s in (ln.IMBALANCE_DESCENT, ln.IMBALANCE_FLOW, ln.IMBALANCE_FLOW_RELU)
)
SILENT = {Status.UNDECIDED, Status.VACUOUS}
STEPS = (1e-300, 1e-100, 1e-30, 1e-12, 1e-8, 1e-4, 1e-2, 1.0)
HORIZONS = (1e-15, 1e-12, 1e-9, 1e-7, 1e-6, 1e-4, 1e-2, 1.0)
SCALES = (1e-6, 1.0, 1e6)


def statuses(laws: list[PlantedLaw], **changes: Any) -> set[Status]:
    return {api.check(p.statement, p.case.replace(**changes)).status for p in laws}


def scaled(case: LinearCase, first: float, second: float, **changes: Any) -> LinearCase:
    return case.replace(W1=first * case.W1, W2=second * case.W2, **changes)


# -- gradient descent -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("eta", STEPS)
def test_a_small_step_hides_no_wrong_law(eta: float) -> None:
    # with η = 1 the lost square is none
    laws = [p for p in DESCENT if eta != 1.0 or p.statement.id != "planted/lost-square"]
    assert statuses(laws, eta=eta) == {Status.VIOLATED}
    for p in DESCENT:
        true = api.check(ln.IMBALANCE_DESCENT, p.case.replace(eta=eta))
        assert true.status is Status.HOLDS, true.reason


@pytest.mark.parametrize("first", SCALES)
@pytest.mark.parametrize("second", SCALES)
def test_layers_of_any_size_hide_no_wrong_law(first: float, second: float) -> None:
    """The smaller gradient is the scale: what is said of it is seen next to one that is 10²⁴ times as large."""
    for p in DESCENT:
        assert isinstance(p.case, LinearCase)
        for eta in (1e-3 / (first + second) ** 2, 1e-12):
            case = scaled(p.case, first, second, eta=eta)
            assert api.check(p.statement, case).status is Status.VIOLATED
            assert api.check(p.true, case).status is Status.HOLDS


def test_a_start_next_to_a_minimum_hides_no_wrong_law() -> None:
    A, B = np.eye(2), np.array([[2.0, 1.0], [1.0, 3.0]])
    near = LinearCase.create(
        A, B, W1=np.eye(2), W2=B + 1e-15 * np.array([[4.0, 1.0], [-2.0, 5.0]]), eta=0.1, steps=5
    )
    assert near.W2.tolist() != B.tolist()
    for p in DESCENT:
        assert api.check(p.statement, near).status is Status.VIOLATED
    assert api.check(ln.IMBALANCE_DESCENT, near).status is Status.HOLDS


def test_one_gradient_may_be_zero() -> None:
    for zero in ("W1", "W2"):
        case = WIDE.replace(**{zero: np.zeros_like(getattr(WIDE, zero))}, eta=1e-9)
        assert api.check(ln.IMBALANCE_DESCENT, case).status is Status.HOLDS
        assert api.check(DESCENT[0].statement, case).status is Status.VIOLATED


def test_the_precision_follows_the_step() -> None:
    bits = {eta: descend(WIDE.replace(eta=eta))[1] for eta in (2.0**-6, 1e-100)}
    assert bits[2.0**-6] == PRECISION < bits[1e-100]


# -- gradient flow ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("horizon", HORIZONS)
def test_a_short_horizon_hides_no_wrong_law(horizon: float) -> None:
    assert statuses(FLOW, horizon=horizon) <= {Status.VIOLATED, Status.UNDECIDED}
    true = api.check(ln.IMBALANCE_FLOW, WIDE.replace(horizon=horizon))
    if horizon >= 1e-4:
        assert true.status is Status.HOLDS, true.reason
        assert statuses(FLOW, horizon=horizon) == {Status.VIOLATED}
    elif 1e-12 <= horizon <= 1e-7:
        assert true.status is Status.UNDECIDED
        assert "the weights hardly move" in true.reason and "use a longer horizon" in true.reason
    else:
        assert true.status in {Status.HOLDS, Status.UNDECIDED}


@pytest.mark.parametrize("first", SCALES)
@pytest.mark.parametrize("second", SCALES)
def test_flows_of_any_size_hide_no_wrong_law(first: float, second: float) -> None:
    for horizon in (1e-9, 0.25 / (1 + first**2 + second**2)):
        case = scaled(WIDE, first, second, horizon=horizon)
        assert {api.check(p.statement, case).status for p in FLOW} <= {
            Status.VIOLATED,
            Status.UNDECIDED,
        }
        assert api.check(ln.IMBALANCE_FLOW, case).status in {Status.HOLDS, Status.UNDECIDED}


# -- nothing moves ----------------------------------------------------------------------------------------------------
def test_a_critical_point_is_no_support() -> None:
    fitted = LinearCase.create(
        np.eye(2), [[2.0, 1.0], [1.0, 3.0]], W1=np.eye(2), W2=[[2.0, 1.0], [1.0, 3.0]], eta=0.1
    )
    for statement in [ln.IMBALANCE_FLOW, ln.IMBALANCE_DESCENT] + [
        p.statement for p in FLOW + DESCENT
    ]:
        verdict = api.check(statement, fitted)
        assert verdict.status is Status.VACUOUS and "no critical point fails" in verdict.reason


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("eps", [1e-60, 1e-9, 1e-3, 0.1, 1.0, 10.0, 100.0])
def test_neurons_of_any_size_hide_no_wrong_law(loss: str, eps: float) -> None:
    case = RELU.replace(loss=loss, eps=eps)
    assert {api.check(p.statement, case).status for p in NEURON} <= {Status.VIOLATED, *SILENT}
    assert api.check(ln.IMBALANCE_FLOW_RELU, case).status in {Status.HOLDS, *SILENT}


def test_saturated_and_dead_networks_are_no_support() -> None:
    W0 = [[-1.0, -0.5], [-1.0, -0.25]]
    dead = Case.create(np.abs(RELU.X), RELU.y, W0=W0, v0=[1.0, -2.0], eps=0.5, loss="logistic")
    saturated = RELU.replace(loss="exponential", eps=100.0)
    for case in (dead, saturated):
        for statement in [ln.IMBALANCE_FLOW_RELU] + [p.statement for p in NEURON]:
            verdict = api.check(statement, case)
            assert verdict.status is Status.VACUOUS, verdict.reason
            assert "hypothesis the neurons move fails" in verdict.reason


def test_a_flow_that_comes_back_has_moved() -> None:
    """W1ᵀW1 ends nearly where it started; it was a thousand times as far away in between."""
    case = linear_cases.numbered(11, seed=54419)
    n, h, _ = case.shape
    theta = np.concatenate([case.W1.ravel(), case.W2.ravel()])
    path = integrate_polynomial(gradient_field(case), theta[None], case.horizon)
    squares = [
        float(np.sum(path.state(0, t)[: n * h] ** 2)) for t in (0.0, case.horizon / 6, case.horizon)
    ]
    assert h == 1 and abs(squares[2] - squares[0]) < 1e-2 * abs(squares[1] - squares[0])
    assert api.check(ln.IMBALANCE_FLOW, case).status is Status.HOLDS
    for p in FLOW:
        assert api.check(p.statement, case).status is Status.VIOLATED
