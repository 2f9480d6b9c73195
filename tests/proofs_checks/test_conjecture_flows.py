"""Gradient flows inside conjectures, against closed forms and another integrator."""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import expi

from numerics.program_bounds import bounds
from proofs_checks.conjectures import dynamics
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import conjecture
from proofs_checks.conjectures.flow import Flow
from proofs_checks.conjectures.oracles import ORACLES, float_oracles
from proofs_checks.conjectures.samples import Parameter, Real
from proofs_checks.strategies.views import LinearNetwork
from theory.errors import LemmataError
from theory.quantity import Quantity, amax, norm, qabs, sqnorm, total, var
from theory.quantity import log as qlog
from theory.quantity import sign as qsign

RNG = np.random.default_rng(5)


def relu(**changes: Any) -> SimpleNamespace:
    """Two points, two neurons."""
    base: dict[str, Any] = {
        "X": np.array([[1.0, 0.0], [-0.5, 1.0]]),
        "y": np.array([1.0, -1.0]),
        "W": np.array([[1.0, 0.25], [0.5, -1.0]]),
        "v": np.array([1.0, -0.5]),
        "loss": "exponential",
    }
    return SimpleNamespace(**{**base, **changes})


# -- flows: values ---------------------------------------------------------------------------------
def growth_of_one_neuron(u0: float, T: float) -> float:
    """u = w² = v² of one balanced neuron on one point x = 1: u' = 2 u e^{-u}, so that Ei(u) - Ei(u0) = 2 T."""
    low, high = u0, u0 + 2 * u0 * T + 1
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if expi(middle) - expi(u0) < 2 * T else (low, middle)
    return low


@pytest.mark.parametrize("T", [0.5, 4.0, 30.0])
def test_one_neuron_has_a_closed_form(T: float) -> None:
    view = relu(X=np.array([[1.0]]), y=np.array([1.0]), W=np.array([[0.5]]), v=np.array([0.5]))
    flow = dynamics.flow(view, T)
    u = growth_of_one_neuron(0.25, T)
    top = flow.sup(amax(sqnorm(flow.w), "j"))
    assert abs(top - u) <= top.error + 1e-12 * u and top.error < 1e-10
    for loss in (flow.inf(flow.loss), flow.at(flow.loss, T)):
        assert abs(loss - math.exp(-u)) <= loss.error + 1e-12 and loss.error < 1e-10
    assert flow.sup(flow.loss) == pytest.approx(math.exp(-0.25))
    assert flow.sup(flow.t) == T and flow.inf(flow.t) == 0


def test_the_scale_of_the_start_is_that_of_the_weights() -> None:
    flows = [
        dynamics.flow(relu(W=0.125 * relu().W, v=0.125 * relu().v), 2.0),
        dynamics.flow(relu(), 2.0, eps=0.125),
        dynamics.flow(relu(eps=0.125), 2.0),
        dynamics.flow(relu(), 2.0, log_eps=math.log(0.125)),
    ]
    tops = [f.sup(amax(sqnorm(f.w), "j")) for f in flows]
    assert max(tops) - min(tops) <= 1e-14


def test_scales_below_all_floats() -> None:
    flow = dynamics.flow(relu(), 3.0, log_eps=-2000.0)
    top = flow.sup(qlog(amax(norm(flow.w), "j")))
    assert -2000 < top < -1990 and top.error < 1e-9


def crossing() -> tuple[SimpleNamespace, float]:
    """A neuron that leaves the half-space of a point, and a time after that."""
    view = relu(
        X=np.array([[1.0, 0.0], [-0.5, 1.0]]),
        y=np.array([1.0, -1.0]),
        W=np.array([[0.25, 0.75]]),
        v=np.array([1.0]),
    )
    return view, 3.0


def other_integrator(view: SimpleNamespace, T: float) -> tuple[np.ndarray, int]:
    """(h (d+1), many) states by DOP853, restarted at every kink, and the number of kinks."""
    h, d = view.W.shape
    theta, t, states, kinks = np.concatenate([view.W.ravel(), view.v]), 0.0, [], 0
    mask = view.X @ view.W.T > 0
    while t < T:

        def field(_: float, theta: np.ndarray, mask: np.ndarray = mask) -> np.ndarray:
            W, v = theta[: h * d].reshape(h, d), theta[h * d :]
            Z = (view.X @ W.T) * mask
            g = view.y * np.exp(-view.y * (Z @ v))
            return np.concatenate([((mask * g[:, None] * v).T @ view.X).ravel(), g @ Z])

        events = []
        for i, j in np.ndindex(*mask.shape):

            def event(_: float, theta: np.ndarray, i: int = i, j: int = j) -> float:
                return float(view.X[i] @ theta[: h * d].reshape(h, d)[j])

            event.terminal = True  # type: ignore[attr-defined]
            event.direction = -1.0 if mask[i, j] else 1.0  # type: ignore[attr-defined]
            events.append(event)
        found = solve_ivp(
            field,
            (t, T),
            theta,
            "DOP853",
            events=events,
            rtol=1e-12,
            atol=1e-14,
            max_step=0.02,
            dense_output=True,
        )
        states.append(found.sol(np.linspace(t, found.t[-1], 20_001)))
        theta, t = found.y[:, -1], found.t[-1]
        if found.status == 1:
            k = next(k for k, times in enumerate(found.t_events) if times.size)
            mask = mask.copy()
            mask[np.unravel_index(k, mask.shape)] ^= True
            kinks += 1
    return np.concatenate(states, axis=1), kinks


def test_suprema_across_kinks_agree_with_another_integrator() -> None:
    view, T = crossing()
    states, kinks = other_integrator(view, T)
    assert kinks > 0
    flow = dynamics.flow(view, T)
    first, second = (states[k] for k in (0, 1))
    wanted: list[tuple[Quantity, np.ndarray]] = [
        (amax(sqnorm(flow.w), "j"), first**2 + second**2),
        (total(flow.v, "j"), states[2]),
        (total(flow.f * flow.y, "i"), None),  # type: ignore[list-item]
    ]
    outputs = np.maximum(view.X @ states[:2], 0) * states[2]
    wanted[2] = (wanted[2][0], view.y @ outputs)
    for q, path in wanted:
        top, bottom = flow.sup(q), flow.inf(q)
        assert abs(top - path.max()) < 1e-7 and top.error < 1e-9
        assert abs(bottom - path.min()) < 1e-7 and bottom.error < 1e-9
        assert flow.at(q, T) == pytest.approx(path[-1], abs=1e-9)


def test_a_supremum_inside_a_step_is_found() -> None:
    flow = dynamics.flow(relu(), 1.0)
    top = flow.sup(flow.t * (1 - flow.t))
    assert abs(top - 0.25) <= top.error and top.error < 1e-8
    shifted = flow.sup(flow.t * (var("c") - flow.t), c=0.5)
    assert abs(shifted - 0.0625) <= shifted.error


# -- flows: linear networks ------------------------------------------------------------------------
def scalar(a: float, b: float) -> LinearNetwork:
    one = np.array([[0.5]])
    return LinearNetwork((one, one), np.array([[a]]), np.array([[b]]), False)


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (1.0, 1 / 3), (0.1, 1.7)])
def test_the_flow_of_a_scalar_linear_network_is_logistic(a: float, b: float) -> None:
    T = 1.5
    flow = dynamics.flow(scalar(a, b), T)
    # p' = 2 p a (b - a p) for p = w², from p = 1/4
    end = b / a
    p = end / (1 + (end / 0.25 - 1) * math.exp(-2 * a * b * T))
    losses = [(a * q - b) ** 2 / 2 for q in (0.25, p)]
    for measured, true in (
        (flow.at(amax(sqnorm(flow.W1), "j"), T), p),
        (flow.sup(flow.loss), max(losses)),
        (flow.inf(flow.loss), min(losses)),
    ):
        assert abs(measured - true) <= measured.error + 1e-14 and measured.error < 1e-9


def test_the_loss_of_a_linear_network_agrees_with_small_steps_of_descent() -> None:
    weights = RNG.integers(-2, 3, size=(3, 2)).astype(float), np.array([[1.0], [0.5]])
    net = LinearNetwork(weights, RNG.normal(size=(4, 3)), RNG.normal(size=(4, 1)), False)
    flow, T = dynamics.flow(net, 0.1), 0.1
    first = [float(net.descent(T / n, n)[-1].loss_value()) for n in (250, 500, 1000)]
    extrapolated = (first[0] - 6 * first[1] + 8 * first[2]) / 3
    measured = flow.at(flow.loss, T)
    assert abs(measured - extrapolated) < 1e-6 and measured.error < 1e-10


# -- flows: errors ---------------------------------------------------------------------------------
def parameters(**changes: Any) -> dict[str, Any]:
    q = amax(sqnorm(Flow.w), "j").to_data()
    base = {"model": "two-layer-relu", "loss": "exponential", "reduction": "sum"}
    return {**base, "what": "sup", "quantity": q, "numbers": [], **changes}


def arguments(view: SimpleNamespace, until: float, **radii: Any) -> list[Any]:
    given = {"X": view.X, "y": view.y, "W": view.W, "v": view.v, "log_eps": 0.0, "T": until}
    pairs = []
    for name, value in given.items():
        mid = np.asarray(value, dtype=float)[None]
        pairs.append((mid, np.broadcast_to(radii.get(name, 0.0), mid.shape).copy()))
    return pairs


@pytest.mark.parametrize(
    "radii",
    [
        {"v": 1e-6},
        {"W": 1e-6, "v": 1e-7},
        {"log_eps": 1e-5},
        {"T": 1e-4},
        {"W": 1e-9, "log_eps": 1e-8, "T": 1e-7},
        {"X": 1e-13},
    ],
)
def test_the_bound_covers_all_arguments_within_their_errors(radii: dict[str, float]) -> None:
    view, T = crossing()
    oracle = ORACLES["flow"]
    mid, rad = oracle.floats(parameters(), arguments(view, T, **radii))
    assert np.isfinite(rad[0]) and rad[0] < 1e3 * max(radii.values())
    for _ in range(6):
        moved = [
            (m + RNG.uniform(-1, 1, m.shape) * r, np.zeros_like(r))
            for m, r in arguments(view, T, **radii)
        ]
        value, error = oracle.floats(parameters(), moved)
        assert abs(value[0] - mid[0]) <= rad[0] + error[0]
    if "T" not in radii:
        assert rad[0] > oracle.floats(parameters(), arguments(view, T))[1][0]


def test_a_batch_is_its_lanes() -> None:
    one, two = (arguments(relu(v=np.array([s, -0.5])), 1.0) for s in (1.0, 0.25))
    both: list[Any] = [
        tuple(np.concatenate(ab) for ab in zip(*p, strict=True)) for p in zip(one, two, strict=True)
    ]
    oracle = ORACLES["flow"]
    mid, rad = oracle.floats(parameters(), both)
    for lane, args in enumerate((one, two)):
        single = oracle.floats(parameters(), args)
        assert (mid[lane], rad[lane]) == (single[0][0], single[1][0])


UNDECIDED: dict[str, tuple[SimpleNamespace, Any, str]] = {
    "no time": (relu(), 0.0, "positive time"),
    "backwards": (relu(), -1.0, "positive time"),
    "for ever": (relu(), math.inf, "not known"),
    "not a number": (relu(v=np.array([1.0, math.nan])), 1.0, "not finite"),
    "zero neuron": (relu(W=np.array([[0.0, 0.0], [1.0, 1.0]])), 1.0, "row 0 of W0 is zero"),
    "no labels": (relu(y=np.array([1.0, 0.5])), 1.0, "not ±1"),
    "zero data": (relu(X=np.zeros((2, 2))), 1.0, "all points are zero"),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_followed_has_no_bound_and_a_reason(name: str) -> None:
    view, T, reason = UNDECIDED[name]
    mid, rad = ORACLES["flow"].floats(parameters(), arguments(view, T))
    assert np.isfinite(mid[0]) and rad[0] == math.inf
    flow = dynamics.flow(view, T)
    with pytest.raises(LemmataError, match=reason):
        flow.sup(amax(sqnorm(flow.w), "j"))


def test_a_trajectory_that_slides_is_undecided_beyond_and_measured_before() -> None:
    rng = np.random.default_rng(0)
    view = relu(
        X=rng.normal(size=(4, 2)),
        y=np.array([1.0, 1.0, -1.0, -1.0]),
        W=(W := rng.normal(size=(3, 2))),
        v=np.array([1.0, -1.0, 1.0]) * np.linalg.norm(W, axis=1),
        eps=0.01,
    )
    late, early = dynamics.flow(view, 50.0), dynamics.flow(view, 3.0)
    with pytest.raises(LemmataError, match="onto a kink"):
        late.sup(late.loss)
    assert late.at(late.loss, 3.0) == pytest.approx(early.at(early.loss, 3.0), rel=1e-12)


def test_a_start_whose_pattern_is_open_is_undecided() -> None:
    view = relu(
        W=np.array([[1.0, 0.25], [0.0, -1.0]])
    )  # the second neuron is on the kink of the first point
    exact = ORACLES["flow"].floats(parameters(), arguments(view, 1.0))
    rough = ORACLES["flow"].floats(parameters(), arguments(view, 1.0, W=1e-9))
    assert np.isfinite(exact[1][0]) and rough[1][0] == math.inf


def test_data_with_more_than_rounding_errors_are_undecided() -> None:
    _, rad = ORACLES["flow"].floats(parameters(), arguments(relu(), 1.0, X=1e-6))
    assert rad[0] == math.inf


def test_a_quantity_that_jumps_inside_a_step_is_undecided() -> None:
    flow = dynamics.flow(relu(), 1.0)
    with pytest.raises(LemmataError, match="not resolved"):
        flow.sup(qsign(3 * flow.t - 1))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.sup(sqnorm(f.w)), "still depends on j"),
        (lambda f: f.sup(var("speed")), "does not know 'speed'"),
        (lambda f: f.sup(var("w")), "has the axes 'jk'"),
        (lambda f: f.sup(f.loss, loss=1.0), "choose another name"),
        (lambda f: f.sup(f.loss, c=1.0), "does not occur"),
        (lambda f: f.sup(1.0), "is no quantity"),
        (lambda f: f.at(f.loss, 2.0), "lies outside"),
    ],
)
def test_questions_that_make_no_sense(ask: Any, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        ask(dynamics.flow(relu(), 1.0))


@pytest.mark.parametrize(
    ("view", "options", "message"),
    [
        (relu(p=Fraction(3, 2)), {}, "p = 1 only"),
        (relu(loss="hinge"), {}, "unknown loss"),
        (relu(), {"eps": 1.0, "log_eps": 0.0}, "either eps or log_eps"),
        (relu(), {"eps": 0.0}, "positive number"),
        (scalar(1.0, 1.0), {"eps": 0.5}, "starts at its weights"),
        (SimpleNamespace(theta=1.0), {}, "no gradient flow"),
    ],
)
def test_flows_that_there_are_not(view: Any, options: Any, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        dynamics.flow(view, 1.0, **options)


# -- flows: inside a conjecture --------------------------------------------------------------------
def early_phase(C_w: float) -> Any:
    """The norms of early alignment (A1): ‖w_j‖² <= C_w ε W_max² / √h for t <= T = log(1/(√h ε)) / (4 n X_max)."""

    @conjecture(case=st.nothing())
    def claim(case: Any) -> Any:
        X, W, eps = case["X"], case["W"], case["eps"]
        n, h = X.shape[0], W.shape[0]
        norms = np.sqrt(np.sum(W * W, axis=1))
        X_max, W_max = np.max(np.sqrt(np.sum(X * X, axis=1))), np.max(norms)
        view = SimpleNamespace(
            X=X, y=case["y"], W=W, v=norms * case["signs"], loss="exponential", eps=eps
        )
        T = np.log(1 / (math.sqrt(h) * eps)) / (4 * n * X_max)
        flow = dynamics.flow(view, T)
        return flow.sup(amax(sqnorm(flow.w), "j")) <= C_w * eps * W_max**2 / math.sqrt(h)

    return claim


A1_CASE = ConjectureCase.of(
    {
        "X": Parameter([[1.0, 0.5], [-0.5, 1.0]]),
        "y": np.array([1, -1]),
        "W": Parameter([[1.0, 0.5], [0.5, -1.0]]),
        "signs": np.array([1, -1]),
        "eps": Real(1 / 64),
    }
)


def sides(claim: Any) -> list[tuple[float, float]]:
    program = claim.trace(A1_CASE).program
    given = {k: a[None] for k, a in A1_CASE.floats().items()}
    at = bounds(program.instructions, given, {}, program.sides(), oracles=float_oracles())
    r = program.conclusions[0]
    return [(float(at[k][0][0]), float(at[k][1][0])) for k in (r.lhs, r.rhs)]


def test_a_wrong_constant_of_early_alignment_is_violated_and_a_right_one_is_not() -> None:
    (lhs, error), (rhs, _) = sides(early_phase(2.0))
    assert error < 1e-12 * lhs and lhs < rhs
    observed = 2.0 * lhs / rhs
    assert judged(early_phase(observed / 4)) == "violated"
    assert judged(early_phase(2.0)) == "holds"


def judged(claim: Any) -> str:
    from proofs_checks.conjectures import judge

    traced = claim.trace(A1_CASE)
    given = {k: a[None] for k, a in A1_CASE.floats().items()}
    status = judge.judge(traced, given, oracles=float_oracles()).status[0]
    return {judge.VIOLATED: "violated", judge.HOLDS: "holds"}.get(status, "else")


def test_what_is_exactly_zero_along_a_flow_has_no_error() -> None:
    """No neuron is active: the outputs are 0, which is at most 0."""
    view = relu(X=np.array([[1.0]]), y=np.array([1.0]), W=np.array([[-0.5]]), v=np.array([0.5]))
    found = dynamics.flow(view, 2.0).sup(amax(qabs(var("f", "i")), "i"))
    assert found == 0 and found.error == 0
