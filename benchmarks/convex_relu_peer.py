"""One peer on one instance, in its own interpreter: the peers pin versions that exclude each other and ours.

    PYTHON -m benchmarks.convex_relu_peer NAME INSTANCE.npz ANSWER.npz       (NAME: pyscnn or adelie)

Needs numpy and the peer only.  INSTANCE holds X, y, beta, patterns and a direction inside each cell; ANSWER the p of
every neuron (its output is sign (X p)_+, its cost beta |p|), the signs, and the CPU seconds of the solver alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np


def pyscnn(data: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """pyscnn's augmented Lagrangian with its default tolerances, in float64, on all patterns."""
    import torch
    from scnn.metrics import Metrics
    from scnn.models import ConvexReLU
    from scnn.optimize import optimize_model
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import AL

    torch.set_num_threads(1)
    X, y = data["X"], data["y"]
    start = time.process_time()
    model = ConvexReLU(data["directions"].T)
    found, _ = optimize_model(
        model,
        AL(model),
        Metrics(),
        X,
        y,
        regularizer=NeuronGL1(float(data["beta"]) / len(y)),  # its loss is the mean over 2 n
        unitize_data=False,
        dtype="float64",
    )
    seconds = time.process_time() - start
    W, v = (np.asarray(part, dtype=float) for part in found.parameters[:2])
    W, v = W.reshape(-1, X.shape[1]), v.reshape(-1)
    return W * np.abs(v)[:, None], np.sign(v), seconds


def adelie(data: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Adelie's group lasso with linear constraints, tolerance 1e-12, on all patterns and both signs."""
    import adelie as ad

    X, y, patterns = data["X"], data["y"], data["patterns"]
    n, d = X.shape
    start = time.process_time()
    sides = np.where(patterns[:, :, None], X, -X)
    positive = (patterns[:, :, None] * X).transpose(1, 0, 2).reshape(n, -1)
    design = np.asfortranarray(np.concatenate([positive, -positive], axis=1))
    cells = [
        ad.constraint.linear(np.ascontiguousarray(A), np.zeros(n), np.full(n, np.inf), copy=True)
        for A in (*sides, *sides)
    ]
    state = ad.grpnet(
        design,
        ad.glm.gaussian(y),
        constraints=cells,
        groups=np.arange(0, design.shape[1], d),
        penalty=np.ones(2 * len(patterns)),
        lmda_path=np.array([float(data["beta"]) / n]),
        intercept=False,
        tol=1e-12,
        early_exit=False,
        progress_bar=False,
    )
    seconds = time.process_time() - start
    p = np.asarray(state.betas.todense())[-1].reshape(-1, d)
    return p, np.repeat([1.0, -1.0], len(patterns)), seconds


if __name__ == "__main__":
    solver = {"pyscnn": pyscnn, "adelie": adelie}[sys.argv[1]]
    with np.load(sys.argv[2]) as given:
        weights, outputs, cpu = solver(given)
    np.savez(sys.argv[3], p=weights, signs=outputs, seconds=cpu)
