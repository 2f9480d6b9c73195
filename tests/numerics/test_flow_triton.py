"""The kernel of the CUDA engine, in Triton's interpreter, against the CPU engine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics import FlowOptions, FlowProblem, FlowResult, FlowStatus, NumericsError, integrate
from numerics.ensemble_result import QUANTITIES
from numerics.flow_triton import _mantissas, _starts_near_kink, kernel_signature, run_cuda

pytest.importorskip("triton", reason="triton exists for Linux only")

STATUSES = tuple(FlowStatus)
COARSE = FlowOptions(order=6, rtol=1e-7)
RECORD = [0.0, 0.4, 0.7]


def small(
    seed: int,
    loss: str,
    *,
    n: int = 4,
    lanes: int = 1,
    log_eps: float = -1.0,
    separable: bool = True,
    h: int = 4,
) -> FlowProblem:
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    X = rng.standard_normal((n, 3))
    if separable:
        X = y[:, None] * np.abs(X)
    if loss == "squared":
        y = y * rng.uniform(0.5, 2.0, n)
    return FlowProblem.balanced(
        X=X,
        y=y,
        loss=loss,
        weight=1.0 / n,
        W0=rng.standard_normal((lanes, h, 3)),
        signs=rng.choice([-1.0, 1.0], (lanes, h)),
        log_eps=log_eps,
    )


def with_scales(problem: FlowProblem, log_eps: list[float]) -> FlowProblem:
    return FlowProblem(
        problem.X, problem.y, problem.loss, problem.weight, problem.W0, problem.v0, log_eps
    )


def parallel_points() -> FlowProblem:
    """Two equal points: their activations flip together, which the kernel does not decide."""
    one = small(5, "exponential")
    X = np.array(one.X)
    X[2] = X[0]
    return FlowProblem(X, one.y, one.loss, one.weight, one.W0, one.v0, one.log_eps)


def on_the_kink() -> FlowProblem:
    """The first neuron starts orthogonal to the first point and is moved off by the second one."""
    return FlowProblem.balanced(
        X=[[1.0, 0.0], [-0.5, -1.0]],
        y=[1.0, -1.0],
        loss="logistic2",
        weight=1.0,
        W0=[[[0.0, -1.0], [0.3, 0.4]]],
        signs=[-1.0, 1.0],
        log_eps=-1.0,
    )


MIXED = with_scales(small(20, "exponential", lanes=3), [-1.0, 400.0, -1.5])

CASES: dict[str, tuple[FlowProblem, dict[str, Any]]] = {
    "exponential": (small(0, "exponential"), {"until": 1.2, "options": COARSE}),
    "logistic": (small(1, "logistic", separable=False), {"until": 1.2, "options": COARSE}),
    "logistic2": (small(2, "logistic2"), {"until": 0.6, "options": COARSE}),
    "squared": (small(7, "squared"), {"until": 0.5, "options": COARSE}),
    "float32": (small(9, "exponential"), {"until": 1.0, "dtype": "float32"}),
    "tiny": (small(4, "exponential", log_eps=-900.0), {"until": 1.5, "options": COARSE}),
    "mixed": (
        MIXED,
        {
            "until": [0.7, 0.7, 0.9],
            "options": COARSE,
            "quantities": QUANTITIES,
            "record_at": RECORD,
        },
    ),
    "alone": (
        MIXED.select([2]),
        {"until": [0.9], "options": COARSE, "quantities": QUANTITIES, "record_at": RECORD},
    ),
    "budget": (
        small(0, "exponential"),
        {
            "until": 1.2,
            "options": FlowOptions(order=6, rtol=1e-7, max_steps=2),
            "keep_state": False,
        },
    ),
    "sliding": (
        small(3, "squared", separable=False, lanes=2).select([0]),
        {"until": 2.0, "options": COARSE},
    ),
    "handed over": (parallel_points(), {"until": 1.5, "options": COARSE}),
    "on the kink": (on_the_kink(), {"until": 0.5, "options": COARSE}),
    "at rest": (
        small(0, "exponential"),
        {"until": 0.0, "quantities": ["loss"], "record_at": [0.0]},
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, list[str]]]:
    """Results and warnings of all cases, from one process with the interpreter."""
    folder = tmp_path_factory.mktemp("interpreter")
    (folder / "in").write_bytes(pickle.dumps(list(CASES.values())))
    root = Path(__file__).parents[2]
    worker = Path(__file__).with_name("flow_triton_worker.py")
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    subprocess.run(
        [sys.executable, str(worker), str(folder / "in"), str(folder / "out")],
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    return dict(zip(CASES, pickle.loads((folder / "out").read_bytes()), strict=True))


def gap_and_bound(result: Any, reference: FlowResult, lanes: Any) -> tuple[Any, Any, Any]:
    """Per neuron: distance of the two engines' states, the sum of their bounds, and the size."""
    shift = (reference.exponent[lanes] - result.exponent[lanes]).astype(np.int32)
    dw = np.ldexp(reference.W[lanes], shift[:, :, None]) - result.W[lanes]
    dv = np.ldexp(reference.V[lanes], shift) - result.V[lanes]
    bound = result.radius[lanes] + np.ldexp(reference.radius[lanes], shift)
    size = np.sqrt((result.W[lanes] ** 2).sum(axis=2) + result.V[lanes] ** 2)
    return np.sqrt((dw**2).sum(axis=2) + dv**2), bound, size


@pytest.mark.parametrize("name", ["exponential", "logistic", "logistic2", "squared", "tiny"])
def test_agrees_with_the_cpu_within_the_bounds(name: str, runs: Any) -> None:
    problem, arguments = CASES[name]
    result, warnings = runs[name]
    reference = integrate(problem, until=arguments["until"])
    assert result.device == "interpreter" and not warnings
    assert [STATUSES[s] for s in result.status] == list(reference.status)
    assert result.ok.all() and np.array_equal(result.t, reference.t)
    assert result.kinks[0] == len(reference.kinks)
    gap, bound, size = gap_and_bound(result, reference, slice(None))
    assert np.all(gap <= bound)
    assert np.all(bound <= 1e-5 * size)


def test_the_cases_have_kinks(runs: Any) -> None:
    assert sum(int(runs[name][0].kinks.sum()) for name in CASES) >= 10


def test_float32_agrees_within_its_bounds(runs: Any) -> None:
    problem, arguments = CASES["float32"]
    result, _ = runs["float32"]
    reference = integrate(problem, until=arguments["until"])
    assert result.dtype == "float32" and result.ok.all()
    assert result.kinks[0] == len(reference.kinks)
    gap, bound, size = gap_and_bound(result, reference, slice(None))
    assert np.all(gap <= bound) and gap.max() > 1e-9
    assert np.all(bound <= 1e-2 * size)


def test_a_diverging_lane_stops_and_the_others_go_on(runs: Any) -> None:
    problem, _ = CASES["mixed"]
    result, _ = runs["mixed"]
    assert [STATUSES[s] for s in result.status] == [
        FlowStatus.ok,
        FlowStatus.diverged,
        FlowStatus.ok,
    ]
    assert result.t[1] == 0.0 and result.t[2] == 0.9
    others = [0, 2]
    reference = integrate(problem.select(others), until=[0.7, 0.9])
    part, bound, _ = gap_and_bound(_rows(result, others), reference, slice(None))
    assert np.all(part <= bound)


def _rows(result: Any, rows: list[int]) -> Any:
    from dataclasses import replace

    changed = {name: getattr(result, name)[rows] for name in ("W", "V", "exponent", "radius")}
    return replace(result, **changed)


def test_a_lane_does_not_depend_on_its_neighbours(runs: Any) -> None:
    batch, alone = runs["mixed"][0], runs["alone"][0]
    for name in ("W", "V", "exponent", "radius", "t", "steps", "kinks"):
        assert np.array_equal(getattr(batch, name)[2], getattr(alone, name)[0]), name
    for q in QUANTITIES:
        assert batch.suprema[q].value[2] == alone.suprema[q].value[0]
        assert batch.suprema[q].error[2] == alone.suprema[q].error[0]
        assert np.array_equal(batch.recorded[q][2], alone.recorded[q][0])


def sampled(problem: FlowProblem, lane: int, times: Any) -> dict[str, Any]:
    """The quantities of one lane at given times, from the CPU engine's states at these times."""
    one = problem.select([lane] * len(times))
    result = integrate(one, until=np.asarray(times))
    scale = np.exp(one.log_eps)[:, None] * np.exp2(result.exponent)
    w, v = result.W * scale[:, :, None], result.V * scale
    start = np.exp(one.log_eps)[:, None, None] * one.W0
    v0 = np.exp(one.log_eps)[:, None] * one.v0
    f = (v[:, :, None] * np.maximum(w @ problem.X.T, 0.0)).sum(axis=1)
    cosine = (w * start).sum(axis=2) / np.linalg.norm(w, axis=2) / np.linalg.norm(start, axis=2)
    balance = v**2 - (w**2).sum(axis=2) - v0**2 + (start**2).sum(axis=2)
    with np.errstate(divide="ignore"):
        return {
            "max_weight_sq": np.log((w**2).sum(axis=2).max(axis=1)),
            "max_abs_output": np.log(np.abs(f).max(axis=1)),
            "loss": problem.weight * np.exp(-problem.y * f).sum(axis=1),
            "max_angle": np.arccos(np.clip(cosine, -1, 1)).max(axis=1),
            "imbalance": np.abs(balance).max(axis=1),
        }


@pytest.mark.parametrize("name", QUANTITIES)
def test_quantities_against_samples(name: str, runs: Any) -> None:
    problem, _ = CASES["mixed"]
    result, _ = runs["mixed"]
    times = np.linspace(0.0, 0.9, 91)
    values = sampled(problem, 2, times)[name]
    supremum = result.suprema[name]
    value, error = supremum.value[2], supremum.error[2]
    # arccos near 1 loses half the digits of the samples.
    slack = 1e-7 if name == "max_angle" else 1e-11
    assert value + error >= values.max() - slack
    # The samples are 0.01 apart: the true supremum is near the largest of them.
    assert value - error <= values.max() + 1e-3
    assert error <= (1e-6 if name == "imbalance" else 3e-2)
    assert 0.0 <= supremum.time[2] <= 0.9
    final, final_error = result.final[name]
    assert abs(final[2] - values[-1]) <= final_error[2] + slack
    assert final_error[2] <= 1e-5
    recorded = sampled(problem, 2, RECORD)[name]
    errors = result.recorded_error[name][2]
    with np.errstate(invalid="ignore"):
        near = np.abs(result.recorded[name][2] - recorded) <= errors + slack
    assert np.all(near | (result.recorded[name][2] == recorded))
    assert np.all(np.isnan(result.recorded[name][1, 1:]))


def test_statuses_of_the_cpu(runs: Any) -> None:
    sliding, _ = runs["sliding"]
    reference = integrate(CASES["sliding"][0], until=2.0)
    assert reference.status[0] is FlowStatus.sliding
    assert STATUSES[sliding.status[0]] is FlowStatus.sliding
    assert abs(sliding.t[0] - reference.t[0]) < 1e-6
    assert sliding.kinks[0] == len(reference.kinks)
    budget, _ = runs["budget"]
    assert STATUSES[budget.status[0]] is FlowStatus.budget
    assert budget.steps[0] == 2 and budget.W is None and budget.radius is None


def test_a_start_on_a_kink_is_decided_as_on_the_cpu(runs: Any) -> None:
    result, _ = runs["on the kink"]
    reference = integrate(CASES["on the kink"][0], until=0.5)
    assert STATUSES[result.status[0]] is reference.status[0]
    assert result.kinks[0] == len(reference.kinks)
    gap, bound, _ = gap_and_bound(result, reference, slice(None))
    assert np.all(gap <= bound)


def test_meetings_of_kinks_are_handed_to_the_cpu_visibly(runs: Any) -> None:
    result, warnings = runs["handed over"]
    assert len(warnings) == 1 and "1 of 1 lanes" in warnings[0] and "CPU" in warnings[0]
    reference = integrate(CASES["handed over"][0], until=1.5)
    assert STATUSES[result.status[0]] is reference.status[0] is FlowStatus.ok
    gap, bound, _ = gap_and_bound(result, reference, slice(None))
    assert np.all(gap <= bound)


def test_starts_within_an_error_of_a_kink_are_handed_over() -> None:
    """The kernel decides a start by its pattern alone, the CPU engine enlarges its radii."""
    X, W0 = np.array([[1.0, 1e-4], [0.0, 1.0]]), np.array([[[1.0, -3e-15]], [[1.0, 0.5]]])
    problem = FlowProblem(
        X, np.ones(2), "exponential", 1.0, W0, np.full((2, 1), 1.5), np.full(2, -300.0)
    )
    np.testing.assert_array_equal(_starts_near_kink(problem), [True, False])
    wide = FlowProblem(
        X, np.ones(2), "exponential", 1.0, W0, np.full((2, 1), 1.5), np.full(2, -300.0),
        np.array([[0.0], [0.6]]),
    )  # fmt: skip
    np.testing.assert_array_equal(_starts_near_kink(wide), [True, True])


def test_an_end_at_the_start(runs: Any) -> None:
    result, _ = runs["at rest"]
    assert result.ok.all() and result.steps[0] == 0
    expected = sampled(CASES["at rest"][0], 0, [0.0])["loss"][0]
    assert abs(result.final["loss"][0][0] - expected) <= 1e-12
    assert result.recorded["loss"][0, 0] == result.final["loss"][0][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"until": -1.0}, "until"),
        ({"until": np.nan}, "until"),
        ({"until": [1.0, 2.0]}, "shape"),
        ({"quantities": ["norm"]}, "max_weight_sq"),
        ({"record_at": [0.1]}, "quantities"),
        ({"record_at": [0.2, 0.1], "quantities": ["loss"]}, "increase"),
        ({"record_at": [[0.1]], "quantities": ["loss"]}, "record_at"),
        ({"dtype": "float16"}, "float32"),
    ],
)
def test_bad_input(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        run_cuda(small(0, "exponential"), **{"until": 1.0, **arguments})


@pytest.mark.parametrize("shift", [-1000, -660, 600, 1000])
def test_the_scale_of_a_start_goes_to_the_exponents(shift: int) -> None:
    """Where the squares of the weights leave the range as well."""
    plain = small(0, "exponential")
    moved = replace(plain, W0=np.ldexp(plain.W0, shift), v0=np.ldexp(plain.v0, shift))
    w, v, exponent, _ = _mantissas(moved)
    np.testing.assert_array_equal(np.ldexp(w, exponent[:, :, None] - shift), plain.W0)
    np.testing.assert_array_equal(np.ldexp(v, exponent - shift), plain.v0)
    assert (np.maximum(np.abs(w).max(axis=2), np.abs(v)) < 1.0).all()


def test_a_network_that_does_not_fit_is_refused() -> None:
    with pytest.raises(NumericsError, match="device='cpu'"):
        run_cuda(small(0, "exponential", h=600), until=1.0)


def test_without_a_device_the_error_names_the_remedy() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(NumericsError, match=r"device='cpu'.*TRITON_INTERPRET"):
        run_cuda(small(0, "exponential"), until=1.0)


@pytest.mark.parametrize("loss", [0, 1, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_kernel_has_consistent_types(loss: int, dtype: str) -> None:
    """Triton's front end for compute capability 9.0, which needs no device.

    The interpreter knows no types: it accepts branches that disagree.
    """
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler.compiler import ASTSource, make_backend

    from numerics.flow_triton_kernel import flow

    shape = {"H": 16, "N": 16, "D": 16, "P": 4}
    constants = {**shape, "LOSS": loss, "WANTED": 31, "DOUBLE": dtype == "float64"}
    source = ASTSource(fn=flow, signature=kernel_signature(dtype), constexprs=constants)
    backend = make_backend(GPUTarget("cuda", 90, 32))
    options = backend.parse_options({"num_warps": 4, "enable_fp_fusion": True})
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    code = source.make_ir(
        GPUTarget("cuda", 90, 32),
        options,
        backend.get_codegen_implementation(options),
        backend.get_module_map(),
        context,
    )
    assert code.verify()
    assert ("f64" in str(code)) and ("tt.dot" in str(code))
