"""Compile the engine, so that parallel workers, which start together, do not all do so: ``python -m tests.warm_up``."""

from __future__ import annotations

import numpy as np

from numerics import FlowProblem, integrate
from numerics.ensemble import ensemble


def main() -> None:
    rng = np.random.default_rng(0)
    problem = FlowProblem.balanced(
        X=rng.standard_normal((3, 2)),
        y=np.array([1.0, -1.0, 1.0]),
        loss="exponential",
        weight=1.0,
        W0=rng.standard_normal((2, 3, 2)),
        signs=np.ones((2, 3)),
        log_eps=np.array([-1.0, -30.0]),
    )
    integrate(problem, until=2.0)
    ensemble(problem, until=2.0)


if __name__ == "__main__":
    main()
