"""An ensemble of gradient-flow trajectories on one data set, with an error bound on every number that is reported."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from proofs_checks.data import Dataset
from theory.errors import LemmataError

if TYPE_CHECKING:
    from numerics.ensemble_result import EnsembleResult
    from numerics.problem import FlowProblem

REDUCTIONS = ("sum", "mean")
LOGARITHMIC = ("max_weight_sq", "max_abs_output")


@dataclass(frozen=True)
class FlowEnsemble:
    """What an ensemble did.

    Attributes:
        dataset: the points, with a last coordinate 1 if there is a hidden bias. until: end time. result: lane by lane.
    """

    dataset: Dataset
    problem: FlowProblem
    reduction: str
    bias: bool
    until: float
    seed: int
    result: EnsembleResult
    seconds: float

    @cached_property
    def statuses(self) -> dict[str, int]:
        """How many trajectories ended how; those that are not ``ok`` stopped early."""
        from numerics.problem import FlowStatus

        counts = np.bincount(self.result.status, minlength=len(FlowStatus))
        return {s.name: int(k) for s, k in zip(FlowStatus, counts, strict=True) if k}

    def quantities(self) -> dict[str, dict[str, Any]]:
        """By name: the largest supremum over trajectories that reached the end, with its run, time and error bound.

        ``error`` bounds the error of the value, ``unbounded`` counts trajectories whose bound is infinite.
        """
        out = {}
        ok = self.result.ok
        for name, found in self.result.suprema.items():
            row: dict[str, Any] = {"logarithm": name in LOGARITHMIC, "supremum": None}
            if ok.any():
                run = int(np.argmax(np.where(ok, found.value, -np.inf)))
                row |= {
                    "supremum": _finite(found.value[run]),
                    "error": _finite(found.error[run]),
                    "run": run,
                    "time": float(found.time[run]),
                    "largest_error": _finite(found.error[ok].max()),
                    "unbounded": int((~np.isfinite(found.error[ok])).sum()),
                }
            out[name] = row
        return out

    @property
    def exit_code(self) -> int:
        """0 if every trajectory reached the end with finite bounds, otherwise 3."""
        bounded = all(row.get("unbounded", 1) == 0 for row in self.quantities().values())
        return 0 if bool(self.result.ok.all()) and bounded else 3

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        from numerics.problem import FlowStatus

        n, d, h = self.problem.shape
        return {
            "data": self.dataset.name,
            "n": n,
            "d": d,
            "h": h,
            "hidden_bias": self.bias,
            "loss": self.problem.loss,
            "reduction": self.reduction,
            "weight": self.problem.weight,
            "log_eps": float(self.problem.log_eps[0]),
            "runs": self.problem.lanes,
            "seed": self.seed,
            "until": self.until,
            "device": self.result.device,
            "dtype": self.result.dtype,
            "status": self.statuses,
            "reasons": {name: FlowStatus[name].value for name in self.statuses if name != "ok"},
            "quantities": self.quantities(),
            "steps": int(self.result.steps.sum()),
            "kinks": int(self.result.kinks.sum()),
            "seconds": self.seconds,
        }

    def write(self, folder: Path) -> None:
        """``report.json``, and ``runs.npz`` with every run: w_j = exp(log_eps) 2**exponent_j W_j, suprema, errors."""
        r = self.result
        out: dict[str, NDArray[Any]] = {"X": self.problem.X, "y": self.problem.y}
        out |= {"log_eps": self.problem.log_eps, "status": r.status, "t": r.t}
        out |= {"steps": r.steps, "kinks": r.kinks}
        states = {"W": r.W, "V": r.V, "exponent": r.exponent, "radius": r.radius}
        out |= {name: a for name, a in states.items() if a is not None}
        for name, found in r.suprema.items():
            out |= {name: found.value, f"{name}_error": found.error, f"{name}_time": found.time}
        (folder / "report.json").write_text(json.dumps(self.to_json(), indent=1) + "\n")
        np.savez_compressed(folder / "runs.npz", allow_pickle=False, **out)


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _memory() -> int:
    """Bytes of memory of this machine; more than any has where the system does not say."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2**47


def flow_ensemble(
    dataset: Dataset | None = None,
    *,
    reduction: str,
    loss: str = "exponential",
    h: int = 50,
    eps: float = 1e-4,
    runs: int = 64,
    until: float | None = None,
    bias: bool = False,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    rtol: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FlowEnsemble:
    """Integrate the gradient flow of two-layer ReLU networks from small balanced initialisations.

    w_j(0) = eps N(0, I/d), v_j(0) = +-|w_j(0)|; the training loss is the sum or the mean of the losses of the points.

    Args:
        dataset: default: 20 orthogonally separable points in 10 dimensions. reduction: "sum" or "mean".
        h: neurons. runs: initialisations. until: end time; default: the window of the early phase,
            log(1/(sqrt(h) eps)) / (4 n X_max weight). bias: hidden biases (a last coordinate 1 for every point).
        device: "cpu", "cuda" or "auto". dtype: "float32" on CUDA alone. rtol: of a step; default 1e-13.
        progress: called with (runs done, runs).

    Raises:
        LemmataError, NumericsError: bad input, or more memory than there is, before any integration.
    """
    from numerics.ensemble import ensemble
    from numerics.problem import FlowOptions, FlowProblem
    from proofs_checks.cases import orthogonally_separable

    if reduction not in REDUCTIONS:
        raise LemmataError(f"reduction {reduction!r}: say sum or mean")
    if h < 1 or runs < 1 or seed < 0:
        raise LemmataError(f"h = {h}, runs = {runs}, seed = {seed}: at least 1, 1 and 0")
    if not (math.isfinite(eps) and eps > 0):
        raise LemmataError(f"eps is {eps}: give a positive number")
    if until is not None and not (math.isfinite(until) and until > 0):
        raise LemmataError(f"until is {until}: give a positive time")
    if dataset is None:
        X, y = orthogonally_separable(n=20, d=10, seed=seed, spread=1.0)
        dataset = Dataset("20 orthogonally separable points", X, y)
    X, y = dataset.X, dataset.y
    if bias:
        X = np.column_stack([X, np.ones(len(X))])
    n, d = X.shape
    weight = 1.0 if reduction == "sum" else 1.0 / n
    X_max = float(np.linalg.norm(X, axis=1).max())
    if until is None:
        window = math.log(1.0 / (math.sqrt(h) * eps))
        if window <= 0 or X_max == 0:
            raise LemmataError(
                "eps is too large for an early phase (sqrt(h) eps >= 1): give --until"
            )
        until = window / (4.0 * n * X_max * weight)
    needed = 8 * runs * h * (d + 1)
    too_large = (
        f"{runs:.3g} runs of {h:.3g} neurons in {d} dimensions need {needed / 1e9:.3g} GB for "
        "their start alone; use fewer --runs or a smaller --width"
    )
    if needed > _memory():
        raise LemmataError(too_large)
    rng = np.random.default_rng([seed, 7])
    options = FlowOptions() if rtol is None else FlowOptions(rtol=rtol)
    try:
        problem = FlowProblem.balanced(
            X=X, y=y, loss=loss, weight=weight, W0=rng.standard_normal((runs, h, d)) / math.sqrt(d),
            signs=rng.choice([-1.0, 1.0], size=(runs, h)), log_eps=math.log(eps),
        )  # fmt: skip
        start = time.perf_counter()
        result = ensemble(
            problem, until=until, device=device, dtype=dtype, options=options, progress=progress
        )
    except MemoryError as error:
        raise LemmataError(too_large) from error
    spent = time.perf_counter() - start
    return FlowEnsemble(dataset, problem, reduction, bias, until, seed, result, spent)
