"""The regularisation path of convex ReLU training: the optimum as a function of beta."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.relu_training import Trained, beta_max, train
from proofs_checks.certificate import Certificate
from proofs_checks.exact_data import exact_vector
from proofs_checks.relu_bounds import enclose
from proofs_checks.relu_data import TrainingData, find_patterns, read_beta, read_training_data
from proofs_checks.relu_network import float_above, float_below
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

Array = NDArray[np.float64]
GRID = tuple(float(x) for x in np.geomspace(1.0, 1e-3, 31))


@dataclass(frozen=True)
class PathPoint:
    """The optimum at one beta; fields as in `ReluOptimum`."""

    beta: float
    objective: float
    lower_bound: float
    relative_gap: float
    rigor: Rigor
    W: Array = field(repr=False)
    v: Array = field(repr=False)
    certificate: Certificate | None = field(repr=False)
    reason: str = ""

    @property
    def neurons(self) -> int:
        """The number of neurons."""
        return len(self.v)


@dataclass(frozen=True)
class RegularisationPath:
    """Optima from the largest beta to the smallest, over all ``patterns`` activation patterns."""

    points: tuple[PathPoint, ...]
    beta_max: float
    patterns: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, one row per beta."""
        rows = [
            {
                "beta": point.beta,
                "objective": point.objective,
                "lower_bound": point.lower_bound,
                "relative_gap": point.relative_gap,
                "rigor": str(point.rigor),
                "neurons": point.neurons,
            }
            for point in self.points
        ]
        return {"beta_max": self.beta_max, "patterns": self.patterns, "path": rows}


def regularisation_path(
    X: Any,
    y: Any,
    *,
    betas: Iterable[Any] | None = None,
    relative_betas: Iterable[Any] | None = None,
    loss: str = "squared",
    bias: bool = False,
    certify: bool = False,
    limit: int = 200_000,
) -> RegularisationPath:
    """Solve for every beta, each solution starting from its neighbour's; arguments as for `convex_relu`.

    Args:
        betas: the values; or ``relative_betas``, in units of beta_max.  Default: 31 from beta_max to beta_max / 1000.
        certify: a certificate for every point; without it the lower bounds are numerical.

    Raises:
        LemmataError: bad input, both kinds of betas, or too many patterns.
    """
    data = read_training_data(X, y, loss=loss, bias=bias)
    if betas is not None and relative_betas is not None:
        raise LemmataError("give betas or relative_betas, not both")
    name = "relative_betas" if betas is None else "betas"
    values = exact_vector(
        (GRID if relative_betas is None else relative_betas) if betas is None else betas, name
    )
    values = tuple(read_beta(value, name) for value in values)
    cells = find_patterns(data, sample=None, seed=0, limit=limit).patterns
    try:
        most = beta_max(data.X_float, data.y_float, cells, loss)
        if betas is None:
            if most <= 0.0:
                raise LemmataError(
                    "beta_max is 0: the zero network is optimal throughout; give betas, or other targets"
                )
            values = tuple(Fraction(float(value * Fraction(most))) for value in values)
        points, found = [], None
        for beta in sorted(set(values), reverse=True):
            found = train(data.X_float, data.y_float, float(beta), cells, loss=loss, start=found)
            points.append(_point(data, beta, found, certify, limit))
    except NumericsError as error:
        raise LemmataError(str(error)) from None
    return RegularisationPath(tuple(points), most, len(cells))


def _point(
    data: TrainingData, beta: Fraction, found: Trained, certify: bool, limit: int
) -> PathPoint:
    W, v = found.network()
    bounds = enclose(data, beta, W, v, found, length=float(beta), certify=certify, limit=limit)
    return PathPoint(
        beta=float(beta),
        objective=float_above(bounds.upper),
        lower_bound=float_below(bounds.lower),
        relative_gap=bounds.relative_gap,
        rigor=Rigor.NUMERICAL if bounds.certificate is None else Rigor.PROVED,
        W=W,
        v=v,
        certificate=bounds.certificate,
        reason="; ".join(text for text in (bounds.reason, found.trouble) if text),
    )
