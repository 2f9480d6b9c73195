"""Work and accuracy of the integrator next to scipy on the benchmark ``early-alignment-flow``.

    python benchmarks/flow_baseline.py [--batch 1 8] [--horizon 1] [--seed 0]

n = 20, d = 10, h = 50; x_i = y_i z_i with z_i = |N(0, I)| normalised and scaled by U(1/2, 1), y
alternating; w_j = 1e-4 N(0, I/d), v_j = +-|w_j|; sum of exponential losses; from 0 to ``horizon``
times T = log(1/(sqrt(h) eps)) / (4 n X_max).

Each method integrates the same initialisations in the same process. Errors of W are relative per
lane (largest entry of the difference over the largest entry) against the integrator itself at degree
30 and rtol 1e-15, whose own error bound is printed (its agreement with independent references is
tested in tests/numerics/test_radii.py). CPU seconds, so that a busy machine matters less.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from numerics import FlowOptions, FlowProblem, FlowResult, integrate

EPS = 1e-4


def benchmark_problem(lanes: int, seed: int) -> FlowProblem:
    """The benchmark's data set with ``lanes`` independent initialisations."""
    rng = np.random.default_rng(seed)
    n, d, h = 20, 10, 50
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    z = np.abs(rng.standard_normal((n, d)))
    z *= rng.uniform(0.5, 1.0, (n, 1)) / np.linalg.norm(z, axis=1, keepdims=True)
    return FlowProblem.balanced(
        X=y[:, None] * z,
        y=y,
        loss="exponential",
        weight=1.0,
        W0=rng.standard_normal((lanes, h, d)) / np.sqrt(d),
        signs=rng.choice([-1.0, 1.0], (lanes, h)),
        log_eps=np.log(EPS),
    )


def end_time(problem: FlowProblem) -> float:
    """T of the norm bound."""
    n, _, h = problem.shape
    x_max = np.linalg.norm(problem.X, axis=1).max()
    return float(np.log(1.0 / (np.sqrt(h) * EPS)) / (4 * n * x_max))


def scipy_run(problem: FlowProblem, until: float, method: str) -> tuple[Any, int]:
    """Final weights (B, h, d) by a general solver that does not know of kinks; evaluations."""
    X, y = problem.X, problem.y
    _, d, h = problem.shape
    eps = np.exp(problem.log_eps)
    final, evaluations = [], 0

    def rhs(_: float, u: Any) -> Any:
        w, v = u[: h * d].reshape(h, d), u[h * d :]
        z = w @ X.T
        active = z > 0
        g = y * np.exp(-y * (v @ (active * z)))
        G = (active * g) @ X
        return np.concatenate([(v[:, None] * G).ravel(), (G * w).sum(axis=1)])

    for lane in range(problem.lanes):
        start = np.concatenate([problem.W0[lane].ravel(), problem.v0[lane]]) * eps[lane]
        out = solve_ivp(rhs, (0, until), start, method=method, rtol=1e-8, atol=1e-12)
        final.append(out.y[: h * d, -1].reshape(h, d))
        evaluations += out.nfev
    return np.array(final), evaluations


def weights(problem: FlowProblem, result: FlowResult) -> Any:
    """True final weights (B, h, d)."""
    scale = np.ldexp(np.exp(problem.log_eps)[:, None], result.exponent.astype(int))
    return result.W * scale[:, :, None]


def main() -> None:
    """Print one table per batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--horizon", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for lanes in arguments.batch:
        problem = benchmark_problem(lanes, arguments.seed)
        until = arguments.horizon * end_time(problem)
        reference = integrate(problem, until=until, options=FlowOptions(order=30, rtol=1e-15))
        exact = weights(problem, reference)
        size = np.abs(exact).max(axis=(1, 2))
        rows: list[tuple[str, float, float, float]] = []

        def measure(
            name: str, method: Any, rows: Any = rows, exact: Any = exact, size: Any = size
        ) -> None:
            start = time.process_time()
            final, evaluations = method()
            seconds = time.process_time() - start
            error = (np.abs(final - exact).max(axis=(1, 2)) / size).max()
            rows.append((name, seconds, evaluations / len(final), float(error)))

        def ours(order: int, problem: Any = problem, until: float = until) -> Any:
            result = integrate(problem, until=until, options=FlowOptions(order=order))
            return weights(problem, result), int(result.evaluations.sum())

        for order in (FlowOptions().order, 16):
            measure(f"event-located Taylor, degree {order}", lambda p=order, run=ours: run(p))
        for method in ("RK45", "DOP853"):
            measure(
                f"scipy {method}, across the kinks",
                lambda m=method, p=problem, u=until: scipy_run(p, u, m),
            )
        norms = np.sqrt((reference.W**2).sum(axis=2) + reference.V**2)
        bound = (reference.radius / norms).max()
        print(f"B = {lanes}, t = {until:.4f}, kinks per lane {len(reference.kinks) / lanes:.0f},")
        print(f"steps {reference.steps.max()}, relative error bound of the reference {bound:.1e}")
        print(f"{'method':44}{'CPU s':>8}{'ratio':>8}{'evaluations':>13}{'error':>10}{'ratio':>10}")
        _, seconds0, _, error0 = rows[0]
        for name, seconds, evaluations, error in rows:
            print(
                f"{name:44}{seconds:8.2f}{seconds / seconds0:8.2f}{evaluations:13.0f}"
                f"{error:10.1e}{error / max(error0, 1e-17):10.1e}"
            )
        print()


if __name__ == "__main__":
    main()
