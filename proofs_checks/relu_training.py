"""Exact training of two-layer ReLU networks: the global optimum, and a proof of the gap.

    min over W (m, d), v (m,), any m, of  loss(f) + (beta/2) sum_j (|w_j|^2 + v_j^2),
    f = sum_j v_j max(X w_j, 0),

with loss |f - y|^2 / 2 ("squared") or sum_i log(1 + exp(-y_i f_i)), y_i = +-1 ("logistic").  Search is
floating point (`numerics.relu_training`); the bounds that are called proved come from a certificate
that the audit kernel has accepted (`proofs_checks.audit.relu`), and hold for the exact data.

Sources: Pilanci and Ergen (ICML 2020), the convex form and its dual; Mishkin and Pilanci (ICML 2023),
optimal sets; Haeffele and Vidal (2017), the certificate for a given network.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.relu_training import Trained, beta_max, train
from numerics.relu_training_set import OptimalSet, narrowest_network, optimal_set
from proofs_checks.certificate import Certificate
from proofs_checks.exact_data import exact_number
from proofs_checks.relu_bounds import Bounds, enclose, greatest_beta, grow
from proofs_checks.relu_data import TrainingData, find_patterns, read_beta, read_training_data
from proofs_checks.relu_network import (
    NetworkReport,
    float_above,
    float_below,
    read_weights,
    report_network,
)
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

Array = NDArray[np.float64]
LIMIT = 200_000


@dataclass(frozen=True)
class ReluOptimum:
    """The optimum, or what is known of it.

    Attributes:
        status: "solved" (the gap asked for is reached) or "undecided"; ``reason`` says why, and remarks on widths.
        objective: of the network (W, v), rounded up; an upper bound on the optimum.
        lower_bound: rounded down; ``rigor`` says whether both bounds are proved.
        relative_gap: (objective - lower_bound) / objective, rounded up.
        W, v: (m, d) and (m,), balanced: |w_j| = |v_j|.
        patterns, patterns_complete: how many activation patterns were priced, and whether those are all.
        beta, beta_max: from beta_max on the zero network is optimal.  With samples and more than ``limit`` cells it is
            the value over the patterns listed, which may be too small; ``reason`` says so.
        seconds: "enumerate", "solve", "certify".
        certificate: accepted by the audit kernel, or None.
        network: the report on the network handed in, if any.
        nu: the dual vector, |nu . max(X u, 0)| <= beta |u|.
        data, found, cells: exact data, floating-point solution and patterns, for `optimal_set`.
    """

    status: str
    reason: str
    objective: float
    lower_bound: float
    relative_gap: float
    rigor: Rigor
    W: Array = field(repr=False)
    v: Array = field(repr=False)
    nu: Array = field(repr=False)
    patterns: int
    patterns_complete: bool
    beta: float
    beta_max: float
    seconds: dict[str, float]
    certificate: Certificate | None = field(repr=False)
    network: NetworkReport | None
    data: TrainingData = field(repr=False)
    found: Trained = field(repr=False)
    cells: NDArray[np.bool_] = field(repr=False)

    @property
    def neurons(self) -> int:
        """The number of neurons."""
        return len(self.v)

    def optimal_set(self) -> OptimalSet:
        """All optima: possible neurons, which of them every optimum has, and the least width.

        Raises:
            LemmataError: the problem is not solved, or its list of patterns is not complete.
        """
        if not self.patterns_complete or self.found.gap > 1e-6:
            raise LemmataError(
                "the optimal set needs a solved problem with all patterns: leave out sample"
            )
        return optimal_set(self.data.X_float, self.found, self.beta, self.cells)

    def to_json(self) -> dict[str, Any]:
        """Plain data; "reason" and "network" only where there is one, "certificate" is left to the writer of files."""
        data = {
            "status": self.status,
            "objective": self.objective,
            "lower_bound": self.lower_bound,
            "relative_gap": self.relative_gap,
            "rigor": str(self.rigor),
            "patterns": self.patterns,
            "patterns_complete": self.patterns_complete,
            "neurons": self.neurons,
            "beta": self.beta,
            "beta_max": self.beta_max,
            "seconds": dict(self.seconds),
            "certificate": None,
        }
        if self.reason:
            data["reason"] = self.reason
        if self.network is not None:
            data["network"] = self.network.to_json() | {"summary": str(self.network)}
        return data


def convex_relu(
    X: Any,
    y: Any,
    *,
    beta: Any = None,
    relative_beta: Any = None,
    loss: str = "squared",
    bias: bool = False,
    gap: float = 1e-6,
    width: int | None = None,
    network: Any = None,
    sample: int | None = None,
    seed: int = 0,
    certify: bool = True,
    limit: int = LIMIT,
) -> ReluOptimum:
    """Train to the global optimum and prove the gap.

    Args:
        X, y: (n, d) and (n,): floats (taken exactly), ints, Fractions or "p/q".
        beta: weight decay; or ``relative_beta``, in units of beta_max.  Exactly one of them.
        loss: "squared" or "logistic" (labels 1 and -1).
        bias: append a column of ones to X (regularised like the others).
        gap: the relative gap from which on the problem counts as solved.
        width: at most so many neurons: an optimum of least width if it is as narrow, else the best local optimum.
        network: a pair (W, v), reported next to the optimum.
        sample: that many random directions in place of all activation patterns.
        seed: of the sampled directions and of local searches.
        certify: write and audit the certificate; without it ``rigor`` is numerical.
        limit: the greatest number of patterns that is enumerated.

    Raises:
        LemmataError: bad input (see `read_training_data`, `read_beta`), or too many patterns.
    """
    data = read_training_data(X, y, loss=loss, bias=bias)
    _check_request(beta, relative_beta, gap, width, sample, seed)
    chosen = (
        read_beta(beta, "beta") if beta is not None else read_beta(relative_beta, "relative_beta")
    )
    if network is not None:
        network = read_weights(network, len(data.X[0]))
    try:
        return _solve(data, chosen, beta is None, gap, width, network, sample, seed, certify, limit)
    except NumericsError as error:
        raise LemmataError(str(error)) from None


def _check_request(beta: Any, relative: Any, gap: Any, width: Any, sample: Any, seed: Any) -> None:
    if (beta is None) == (relative is None):
        raise LemmataError("give exactly one of beta and relative_beta")
    if not 0 < exact_number(gap, "gap") < 1:
        raise LemmataError(f"gap is {gap}: give a number between 0 and 1, such as 1e-6")
    for name, value in (("width", width), ("sample", sample)):
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, Integral) or value < 1
        ):
            raise LemmataError(f"{name} is {value!r}: give a positive integer, or leave it out")
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise LemmataError(f"seed is {seed!r}: give a whole number of at least 0")


def _solve(
    data: TrainingData,
    beta: Fraction,
    relative: bool,
    gap: float,
    width: int | None,
    network: Any,
    sample: int | None,
    seed: int,
    certify: bool,
    limit: int,
) -> ReluOptimum:
    import scipy.optimize
    import scipy.special  # noqa: F401 (loaded here, so that the seconds are those of the work)

    X, y = data.X_float, data.y_float
    started = time.perf_counter()
    arrangement = find_patterns(data, sample=sample, seed=seed, limit=limit)
    cells = arrangement.patterns
    enumerated = time.perf_counter()
    everywhere = None if arrangement.complete else greatest_beta(data, limit)
    most = beta_max(X, y, cells, data.loss) if everywhere is None else everywhere
    if relative:
        beta = _relative(beta, most)
    # a tenth of the gap asked for leaves room for the proof
    enough = max(1e-9, float(gap) / 10)
    found = train(X, y, float(beta), cells, loss=data.loss, enough=enough)
    length: float | None = float(beta)
    if not arrangement.complete:
        grown = grow(data, float(beta), cells, found, limit)
        found, cells, length = grown.found, grown.cells, grown.length
    W, v, remark = _of_width(data, float(beta), found, cells, arrangement.complete, width, seed)
    remarks = [remark]
    if not arrangement.complete and everywhere is None:
        remarks.append(
            f"beta_max = {most:.10g} is over the patterns listed only, and may be too small"
        )
    solved = time.perf_counter()
    bounds = enclose(data, beta, W, v, found, length=length, certify=certify, limit=limit)
    report = None
    if network is not None:
        report = report_network(
            data.X,
            data.y,
            beta,
            data.loss,
            network,
            patterns=cells,
            complete=arrangement.complete,
            limit=limit,
            lower=bounds.lower,
            proved=bounds.certificate is not None,
        )
    seconds = {
        "enumerate": enumerated - started,
        "solve": solved - enumerated,
        "certify": time.perf_counter() - solved,
    }
    status, reason = _judge(bounds, gap, found, length is not None, remarks)
    return ReluOptimum(
        status=status,
        reason=reason,
        objective=float_above(bounds.upper),
        lower_bound=float_below(bounds.lower),
        relative_gap=bounds.relative_gap,
        rigor=Rigor.NUMERICAL if bounds.certificate is None else Rigor.PROVED,
        W=W,
        v=v,
        nu=found.nu,
        patterns=len(cells),
        patterns_complete=arrangement.complete,
        beta=float(beta),
        beta_max=most,
        seconds=seconds,
        certificate=bounds.certificate,
        network=report,
        data=data,
        found=found,
        cells=cells,
    )


def _relative(part: Fraction, most: float) -> Fraction:
    if most <= 0.0:
        raise LemmataError(
            "beta_max is 0: the zero network is optimal for every beta > 0; give beta itself, or other targets"
        )
    return read_beta(float(part * Fraction(most)), "relative_beta * beta_max")


def _of_width(
    data: TrainingData,
    beta: float,
    found: Trained,
    cells: NDArray[np.bool_],
    complete: bool,
    width: int | None,
    seed: int,
) -> tuple[Array, Array, str]:
    """The network of at most the width asked for, and a remark where that costs something."""
    from numerics.relu_training_local import local_network

    W, v = found.network()
    if width is None or len(v) <= width:
        return W, v, ""
    least = ""
    if complete:
        optima = optimal_set(data.X_float, found, beta, cells)
        if optima.width <= width:
            return *narrowest_network(data.X_float, data.y_float, beta, optima, loss=data.loss), ""
        least = f" (the narrowest optimum found has {optima.width})"
    W, v = local_network(
        data.X_float, data.y_float, beta, width, optimum=found, loss=data.loss, seed=seed
    )
    return (
        W,
        v,
        f"width {width}{least}: the best of several local searches, not proved to be the best of its width",
    )


def _judge(
    bounds: Bounds, gap: float, found: Trained, priced: bool, remarks: Sequence[str]
) -> tuple[str, str]:
    """Status and reason; ``priced``: whether M(nu) is known over all u."""
    words = [text for text in (*remarks, bounds.reason) if text]
    if bounds.relative_gap <= gap:
        return "solved", "; ".join(words)
    words.insert(
        0, f"the relative gap {bounds.relative_gap:.2g} is more than the {gap:g} asked for"
    )
    if found.trouble:
        words.append(found.trouble)
    if not priced:
        words.append(
            "the list of patterns is not complete, and the bound that needs no list is weak: sample more"
        )
    return "undecided", "; ".join(words)
