"""A small problem for descent, and a run of it without bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from numerics.descent import Method, RunOptions, descend

PLAIN = RunOptions(bound=False)
RNG = np.random.default_rng(3)
H = np.diag([0.1, 0.7, 1.0]) + 0.05 * np.ones((3, 3))
START = {"x": RNG.normal(size=(4, 3))}


def quadratic(p: Any) -> Any:
    return 0.5 * p["x"] @ (torch.tensor(H) @ p["x"])


def run(
    method: Method, *, step: Any = 0.3, iterations: int = 20, loss: Any = quadratic, **more: Any
) -> Any:
    more.setdefault("start", START)
    more.setdefault("options", PLAIN)
    return descend(loss, method=method, step=step, iterations=iterations, **more)
