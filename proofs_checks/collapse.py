"""Collapse measured and counted, for users: bad input is a LemmataError."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from numerics import collapse_metrics, collapse_phase
from numerics.collapse_metrics import CollapseMetrics
from numerics.collapse_phase import PhaseDiagram
from numerics.errors import NumericsError
from theory.errors import LemmataError


def neural_collapse_metrics(
    H: Any,
    labels: Sequence[Hashable],
    W: Any = None,
    b: Any = None,
    *,
    mean: str = "class",
) -> CollapseMetrics:
    """NC1 to NC4 of features H (d, N) with labels (N,) and a classifier W (d, K), b (K,).

    Definitions, arguments and what the numbers mean: `numerics.collapse_metrics`.

    Raises:
        LemmataError: shapes, NaN or inf, one class only, labels missing, or an unknown ``mean``.
    """
    try:
        return collapse_metrics.neural_collapse_metrics(H, labels, W, b, mean=mean)
    except NumericsError as error:
        raise LemmataError(str(error)) from None


def phase_diagram(
    K: int,
    n: int,
    d_values: Sequence[int],
    sigma_values: Sequence[float],
    samples: int,
    *,
    seed: int = 0,
    jobs: int = 1,
) -> PhaseDiagram:
    """How often a class, and all classes, of K·n random points in R^d can collapse, over a grid of d and sigma.

    Arguments: `numerics.collapse_phase.phase_diagram`.

    Raises:
        LemmataError: an argument out of range.
    """
    try:
        return collapse_phase.phase_diagram(
            K, n, d_values, sigma_values, samples, seed=seed, jobs=jobs
        )
    except NumericsError as error:
        raise LemmataError(str(error)) from None
