"""Compile the engine, so that parallel workers, which start together, do not all do so: ``python -m tests.warm_up``."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from numerics import FlowProblem, integrate
from numerics.ensemble import ensemble

RNG = np.random.default_rng(0)
PROBLEM = FlowProblem.balanced(
    X=RNG.standard_normal((3, 2)),
    y=np.array([1.0, -1.0, 1.0]),
    loss="exponential",
    weight=1.0,
    W0=RNG.standard_normal((2, 3, 2)),
    signs=np.ones((2, 3)),
    log_eps=np.array([-1.0, -30.0]),
)
EARLY = """
from numerics.early_phase import early_phase
from tests.warm_up import PROBLEM
early_phase(PROBLEM, until=2.0)
"""


def main() -> None:
    """Two processes compile what does not depend on each other; ensembles need both."""
    with subprocess.Popen([sys.executable, "-c", EARLY]) as early:
        integrate(PROBLEM, until=2.0)
    if early.returncode != 0:
        raise SystemExit(early.returncode)
    ensemble(PROBLEM, until=2.0)


if __name__ == "__main__":
    main()
