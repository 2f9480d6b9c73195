"""Ensembles: suprema and recorded values against what an observer of the engine sees; calling protocol."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics import FlowOptions, FlowProblem, FlowStatus, NumericsError, StepView, integrate
from numerics.ensemble import QUANTITIES, ensemble
from numerics.ensemble_polynomials import LEAVES, supremum_on_unit
from tests.numerics.reference_coverage import draw
from tests.numerics.reference_ensembles import judge_ensemble


def problem_of(
    seed: int, *, n: int = 5, d: int = 3, h: int = 4, lanes: int = 6, **changes: Any
) -> FlowProblem:
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    arguments: dict[str, Any] = {
        "X": y[:, None] * np.abs(rng.standard_normal((n, d))),
        "y": y,
        "loss": "exponential",
        "weight": 1.0,
        "W0": rng.standard_normal((lanes, h, d)),
        "signs": rng.choice([-1.0, 1.0], (lanes, h)),
        "log_eps": -np.linspace(1.0, 40.0, lanes),
    }
    return FlowProblem.balanced(**{**arguments, **changes})


def angle(a: Any, b: Any) -> Any:
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    return 2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))


def quantities(problem: FlowProblem, lane: int, W: Any, V: Any) -> dict[str, Any]:
    """All quantities of states W (m, h, d), V (m, h) divided by eps."""
    log_eps = problem.log_eps[lane]
    f = np.einsum("mj,mjn->mn", V, np.maximum(W @ problem.X.T, 0.0))
    true = np.exp(2 * log_eps) * f
    margin = problem.y * true
    loss = {
        "exponential": lambda: np.exp(-margin),
        "squared": lambda: (true - problem.y) ** 2,
        "logistic": lambda: np.logaddexp(0, -margin),
    }[problem.loss]()
    balance = V**2 - (W**2).sum(axis=2)
    with np.errstate(divide="ignore"):
        return {
            "max_weight_sq": np.log((W**2).sum(axis=2).max(axis=1)) + 2 * log_eps,
            "max_abs_output": np.log(np.abs(f).max(axis=1)) + 2 * log_eps,
            "loss": problem.weight * loss.sum(axis=1),
            "max_angle": angle(W, problem.W0[lane]).max(axis=1),
            "imbalance": np.exp(2 * log_eps) * np.abs(balance - balance[:1]).max(axis=1),
        }


class Sampler:
    """The largest value of every quantity over many nodes of every step."""

    def __init__(self, problem: FlowProblem) -> None:
        self.best = {q: np.full(problem.lanes, -np.inf) for q in QUANTITIES}

    def on_step(self, step: StepView) -> None:
        _, W, V = step.states(41)
        for k, lane in enumerate(step.lanes):
            shift = step.exponent[k].astype(int)
            found = quantities(
                step.problem, lane, np.ldexp(W[k], shift[:, None]), np.ldexp(V[k], shift)
            )
            for q in QUANTITIES:
                self.best[q][lane] = max(self.best[q][lane], found[q].max())


@pytest.mark.parametrize(
    ("loss", "seed", "until"), [("exponential", 0, 4.0), ("logistic", 1, 7.0), ("squared", 2, 2.0)]
)
def test_suprema_against_dense_sampling(loss: str, seed: int, until: float) -> None:
    weight, smallest = (0.25, 10.0) if loss == "squared" else (1.0, 40.0)
    log_eps = -np.linspace(1.0, smallest, 6)
    problem = problem_of(seed, loss=loss, weight=weight, log_eps=log_eps)
    result = ensemble(problem, until=until)
    sampler = Sampler(problem)
    engine = integrate(problem, until=until, observers=[sampler])
    done = result.ok
    assert (done == engine.ok).all() and done.sum() >= 4
    for q in set(QUANTITIES) - {"imbalance"}:
        found = result.suprema[q]
        # rounding of the sample
        slack = 1e-12 * (1 + np.abs(found.value))
        assert (sampler.best[q] <= found.value + found.error + slack)[done].all(), q
        assert (np.abs(sampler.best[q] - found.value) <= 2e-3)[done].all(), q
        assert np.median((found.error / (1 + np.abs(found.value)))[done]) < 1e-8, q
        assert (found.time >= 0).all() and (found.time <= until).all()
    drift = result.suprema["imbalance"]
    assert (drift.value <= drift.error)[done].all() and (drift.error < 1e-9)[done].all()
    assert (result.suprema["loss"].time == 0).all()


def test_final_states_and_values_are_those_of_the_engine() -> None:
    problem = problem_of(4)
    result, engine = ensemble(problem, until=5.0), integrate(problem, until=5.0)
    assert (
        result.W is not None
        and result.V is not None
        and result.exponent is not None
        and result.radius is not None
    )
    scale = np.ldexp(1.0, (engine.exponent - result.exponent).astype(int))
    apart = np.sqrt(
        ((engine.W * scale[:, :, None] - result.W) ** 2).sum(axis=2)
        + (engine.V * scale - result.V) ** 2
    )
    assert (apart <= result.radius + engine.radius * scale).all()
    assert result.kinks.tolist() == [len(engine.kinks_of(b)) for b in range(problem.lanes)]
    for b in range(problem.lanes):
        shift = engine.exponent[b].astype(int)
        W, V = np.ldexp(engine.W[b], shift[:, None])[None], np.ldexp(engine.V[b], shift)[None]
        for q, true in quantities(problem, b, W, V).items():
            value, error = result.final[q]
            allowed = 20 * error[b] + 1e-12 * (1 + abs(value[b]))
            assert abs(value[b] - true[0]) <= (allowed if q != "imbalance" else error[b]), q


def test_a_supremum_in_the_middle_of_a_step_is_found() -> None:
    """A neuron that turns away from its start and back again: the angle peaks inside a step."""
    problem = problem_of(0, lanes=16, log_eps=-6.0)
    sampler = Sampler(problem)
    engine = integrate(problem, until=4.0, observers=[sampler])
    result = ensemble(problem, until=4.0)
    done = engine.ok & result.ok
    inside = 0
    for q in ("max_angle", "max_abs_output", "max_weight_sq"):
        found = result.suprema[q]
        assert (sampler.best[q] <= found.value + found.error + 1e-12)[done].all()
        assert (np.abs(sampler.best[q] - found.value) <= 1e-3)[done].all()
        inside += int(((found.time > 0) & (found.time < 4.0) & done).sum())
    assert inside >= 3


def test_recorded_values() -> None:
    problem = problem_of(5, log_eps=-np.array([1.0, 3.0, 20.0, 60.0, 200.0, 500.0]))
    times = np.array([0.0, 0.4, 1.1, 2.5, 3.0])
    result = ensemble(problem, until=np.array([3.0, 3.0, 3.0, 3.0, 3.0, 2.0]), record_at=times)
    assert result.recorded is not None and result.recorded_error is not None
    for m, t in enumerate(times):
        engine = integrate(problem, until=float(t))
        for b in range(problem.lanes):
            shift = engine.exponent[b].astype(int)
            W, V = np.ldexp(engine.W[b], shift[:, None])[None], np.ldexp(engine.V[b], shift)[None]
            for q, true in quantities(problem, b, W, V).items():
                value, error = result.recorded[q][b, m], result.recorded_error[q][b, m]
                if b == 5 and t > 2.0:
                    assert np.isnan(value)
                else:
                    allowed = 20 * error + 1e-12 * (1 + abs(value)) if q != "imbalance" else error
                    assert abs(value - true[0]) <= allowed, (q, t, b)
    # what is asked for does not change what comes out
    plain = ensemble(problem, until=3.0)
    assert plain.final["loss"][0][:5] == pytest.approx(result.final["loss"][0][:5], rel=1e-11)


def test_a_recorder_gets_the_chunks_in_order_and_nothing_is_kept() -> None:
    problem = problem_of(6, lanes=70, log_eps=-5.0)
    seen: list[Any] = []
    calls: list[tuple[int, int]] = []
    result = ensemble(
        problem, until=0.5, quantities=["loss"], record_at=[0.25, 0.5], threads=2,
        recorder=lambda lanes, values: seen.append((lanes, values["loss"])),
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert result.recorded is None
    assert np.concatenate([lanes for lanes, _ in seen]).tolist() == list(range(70))
    kept = ensemble(problem, until=0.5, quantities=["loss"], record_at=[0.25, 0.5])
    assert kept.recorded is not None
    np.testing.assert_array_equal(
        np.concatenate([values for _, values in seen]), kept.recorded["loss"]
    )
    assert calls == [(32, 70), (64, 70), (70, 70)]


def test_threads_and_neighbours_change_nothing() -> None:
    problem = problem_of(8, lanes=80, log_eps=-np.linspace(2.0, 300.0, 80))
    one, three = (ensemble(problem, until=3.0, threads=k) for k in (1, 3))
    order = np.arange(79, -1, -1)
    turned = ensemble(problem.select(order), until=3.0, threads=2)
    for name in ("status", "t", "W", "V", "exponent", "radius", "steps", "kinks"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))
        np.testing.assert_array_equal(getattr(one, name), getattr(turned, name)[order])
    for q in QUANTITIES:
        for field in ("value", "error", "time"):
            mine = getattr(one.suprema[q], field)
            np.testing.assert_array_equal(mine, getattr(three.suprema[q], field))
            np.testing.assert_array_equal(mine, getattr(turned.suprema[q], field)[order])


def test_a_lane_that_stops_does_not_stop_the_others() -> None:
    problem = problem_of(9, lanes=3, loss="logistic", log_eps=np.array([-3.0, 300.0, -3.0]))
    result = ensemble(problem, until=1.0)
    statuses = [tuple(FlowStatus)[k] for k in result.status]
    assert statuses[0] is statuses[2] is FlowStatus.ok is not statuses[1]
    assert result.t[1] < 1.0 and result.t[0] == result.t[2] == 1.0
    assert not result.ok[1]
    short = ensemble(problem_of(9), until=4.0, options=FlowOptions(max_steps=3))
    assert FlowStatus.budget in {tuple(FlowStatus)[k] for k in short.status}
    assert short.summary()["status"] != {"ok": 6}


def test_sliding_is_named() -> None:
    problem = problem_of(
        0,
        lanes=1,
        X=[[1.0, 0.2], [0.0, 1.0]],
        y=[1.0, -1.0],
        W0=[[[0.5, -0.1]]],
        signs=[1.0],
        log_eps=-50.0,
    )
    result = ensemble(problem, until=5.0)
    assert tuple(FlowStatus)[result.status[0]] is FlowStatus.sliding
    assert result.t[0] == pytest.approx(integrate(problem, until=5.0).t[0], rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "tpu"}, "unknown device"),
        ({"dtype": "float16"}, "unknown dtype"),
        ({"dtype": "float32"}, "float64"),
        ({"quantities": ["norm"]}, "unknown quantity"),
        ({"until": -1.0}, "until must be"),
        ({"until": float("nan")}, "until must be"),
        ({"until": [1.0, 2.0]}, "until has shape"),
        ({"record_at": [1.0, 0.5]}, "increasing"),
        ({"record_at": [-1.0]}, "increasing"),
        ({"record_at": [[0.5]]}, "increasing"),
        ({"record_at": [0.5], "quantities": []}, "without quantities"),
        ({"recorder": lambda lanes, values: None}, "record_at"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_input(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        ensemble(problem_of(0), **{"until": 1.0, **changes})


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_without_a_gpu_the_cpu_is_used_visibly(device: str) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    problem = problem_of(0, lanes=2)
    with pytest.warns(RuntimeWarning, match="no CUDA device"):
        result = ensemble(problem, until=0.5, device=device, dtype="float32")
    assert (result.device, result.dtype) == ("cpu", "float64")
    np.testing.assert_array_equal(result.V, ensemble(problem, until=0.5).V)


def test_memory_of_a_hundred_thousand_trajectories() -> None:
    """At the size n = 20, d = 10, h = 50, from what 640 more lanes need."""
    peaks = []
    for lanes in (320, 960):
        problem = problem_of(0, n=20, d=10, h=50, lanes=lanes, log_eps=-9.0)
        tracemalloc.start()
        ensemble(problem, until=1e-6, threads=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        own = problem.W0.nbytes + problem.v0.nbytes
    per_lane = (peaks[1] - peaks[0]) / 640
    assert 1e5 * (per_lane + own / 960) < 2e9
    assert peaks[0] < 2e8


@pytest.mark.parametrize("seed", [3, 27, 34, 47])
def test_suprema_of_outputs_are_tight_wherever_they_peak(seed: int) -> None:
    """At the start of the early phase, at its end, beside a network that has died; eps down to 1e-274."""
    case = draw(seed, longest=40.0)
    result = ensemble(case.problem, until=case.until)
    assert result.suprema["max_abs_output"].error[0] < 1e-9
    assert result.final["max_abs_output"][1][0] < 1e-9
    assert [r for r in judge_ensemble(case) if not r.covered] == []


@pytest.mark.parametrize("log_eps", [-9.0, -30.0, -460.0])
def test_outputs_in_the_engine_are_tight_however_small(log_eps: float) -> None:
    """A fixed step keeps the closed form away; the two ways bound the same supremum."""
    problem = problem_of(11, log_eps=log_eps)
    slow = ensemble(problem, until=1.5, options=FlowOptions(fixed_step=0.02))
    fast = ensemble(problem, until=1.5)
    a, b = slow.suprema["max_abs_output"], fast.suprema["max_abs_output"]
    done = slow.ok & fast.ok
    assert done.sum() >= 4
    assert (a.error[done] < 1e-9).all() and (b.error[done] < 1e-9).all()
    assert (abs(a.value - b.value) <= a.error + b.error)[done].all()


def test_a_network_at_rest_has_the_output_zero() -> None:
    """The neuron loses its last point and stays on the kink, where rounding leaves <w, x> of either sign."""
    problem = FlowProblem.balanced(
        X=[[1.0, 0.0]], y=[1.0], loss="exponential", weight=1.0, W0=[[[0.2, 1.0]]], signs=[-1.0], log_eps=-5.0
    )  # fmt: skip
    for options in (FlowOptions(), FlowOptions(fixed_step=0.1)):
        result = ensemble(problem, until=5.0, options=options, record_at=[0.1, 4.0])
        assert result.ok[0] and result.kinks[0] == 1
        value, error = result.final["max_abs_output"]
        assert value[0] == -np.inf and error[0] == 0.0
        assert result.recorded is not None and np.isfinite(result.recorded["max_abs_output"][0, 0])
        assert result.recorded["max_abs_output"][0, 1] == -np.inf
        assert result.suprema["max_abs_output"].error[0] < 1e-9
        assert result.final["loss"][0][0] == 1.0


@given(
    st.lists(st.floats(-2.0, 2.0), min_size=2, max_size=24),
    st.floats(0.2, 1.5),
)
def test_supremum_of_a_polynomial(coefficients: list[float], decay: float) -> None:
    a = np.array(coefficients) * decay ** np.arange(len(coefficients))
    leaves = np.zeros((LEAVES, a.size + 2))
    low, high, where = supremum_on_unit(a, a.size, leaves)
    scale = np.abs(a).sum() + 1e-300
    sampled = np.polynomial.polynomial.polyval(np.linspace(0, 1, 2001), a).max()
    assert sampled <= high + 1e-14 * scale
    assert abs(np.polynomial.polynomial.polyval(where, a) - low) <= 1e-13 * scale
    assert low <= high <= low + 1e-4 * scale
