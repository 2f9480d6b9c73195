"""Objectives of two-layer ReLU networks and values of dual vectors, exactly or in balls.

Conventions as in `numerics.relu_training`; X, y, beta, W, v, nu are rationals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.pricing import Pricing
from numerics.relu_training_loss import training_loss
from proofs_checks.exact_data import Matrix, Row, exact_matrix, exact_vector
from proofs_checks.sign_tree import pricing_bound
from theory.errors import LemmataError

Array = NDArray[np.float64]
_PRECISION = 160


@dataclass(frozen=True)
class NetworkReport:
    """A given network next to the optimum (the certificate of Haeffele and Vidal).

    Attributes:
        objective: of the network, rounded up from its exact value (or ball).
        distance: at most this far above the global optimum; proved if the optimum's lower bound is.
        relative: distance / objective.
        price: M(nu) at the network's dual vector nu = -loss'(f).
        everywhere: whether the price is over all directions; if not, over the patterns listed: M(nu) may be greater.
        direction: (d,), unit vector of the neuron to add, with output sign ``sign``; None if the price is at most beta.
        rate: M(nu) - beta, the decrease of the objective for each unit of that neuron's |w| |v|; at most 0 where no
            neuron helps.
        euler_defect: beta Omega - <nu, f>, Omega = (1/2) sum(|w_j|^2 + v_j^2); 0 at every stationary network.
    """

    objective: float
    distance: float
    relative: float
    price: float
    everywhere: bool
    direction: Array | None
    sign: int
    rate: float
    euler_defect: float
    proved: bool

    def __str__(self) -> str:
        head = f"within {self.distance:.2g} of the global optimum ({'proved' if self.proved else 'numerical'})"
        if self.direction is None:
            if not self.everywhere:
                return f"{head}; no neuron that lowers it was found among the patterns listed"
            return f"{head}; no neuron lowers the objective to first order"
        toward = ", ".join(f"{u:.4g}" for u in self.direction)
        return (
            f"{head}; add a neuron along ({toward}) with {'positive' if self.sign > 0 else 'negative'} output: "
            f"the objective falls by {self.rate:.3g} per unit of |w||v|"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "objective": self.objective,
            "distance": self.distance,
            "relative_distance": self.relative,
            "rigor": "proved" if self.proved else "numerical",
            "price": self.price,
            "price_everywhere": self.everywhere,
            "direction": None if self.direction is None else self.direction.tolist(),
            "sign": self.sign,
            "rate": self.rate,
            "euler_defect": self.euler_defect,
        }


def objective_interval(
    X: Matrix, y: Row, beta: Fraction, loss: str, W: Matrix, v: Row
) -> tuple[Fraction, Fraction]:
    """Lower and upper end of loss(f) + (beta/2) sum_j (|w_j|^2 + v_j^2); equal for the squared loss."""
    from flint import fmpq

    def rational(x: Fraction) -> Any:
        return fmpq(x.numerator, x.denominator)

    rows = [[rational(a) for a in x] for x in X]
    neurons = [([rational(a) for a in w], rational(b)) for w, b in zip(W, v, strict=True)]
    f = []
    for x in rows:
        total = fmpq(0)
        for w, factor in neurons:
            z = sum((a * b for a, b in zip(x, w, strict=True)), fmpq(0))
            total += factor * z if z > 0 else 0
        f.append(total)
    size = sum((a * a for w, b in neurons for a in (*w, b)), fmpq(0)) * rational(beta) / 2
    targets = [rational(b) for b in y]
    if loss == "squared":
        exact = sum(((a - b) ** 2 for a, b in zip(f, targets, strict=True)), fmpq(0)) / 2 + size
        value = Fraction(int(exact.p), int(exact.q))
        return value, value
    from flint import arb, ctx

    with ctx.workprec(_PRECISION):
        ball = arb(size)
        for a, b in zip(f, targets, strict=True):
            t = a * b
            ball += arb(-abs(t)).exp().log1p() + (arb(-t) if t < 0 else 0)
        return _ends(ball)


def dual_lower(y: Row, nu: Row, loss: str) -> Fraction:
    """A lower end of the dual value of nu (exact for the squared loss); see `audit.relu` for the formulas.

    Raises:
        LemmataError: logistic loss and a product y_i nu_i outside [0, 1].
    """
    if loss == "squared":
        return sum((a * b - a * a / 2 for a, b in zip(nu, y, strict=True)), Fraction(0))
    from flint import arb, ctx, fmpq

    with ctx.workprec(_PRECISION):
        total = arb(0)
        for a, b in zip(nu, y, strict=True):
            q = a * b
            if not 0 <= q <= 1:
                raise LemmataError(
                    "a product y_i nu_i is outside [0, 1]: scale the dual vector down"
                )
            for part in (q, 1 - q):
                x = arb(fmpq(part.numerator, part.denominator))
                total -= x * x.log() if part else 0
        return _ends(total)[0]


def _ends(ball: Any) -> tuple[Fraction, Fraction]:
    out = []
    for end in (ball.lower(), ball.upper()):
        man, exp = end.man_exp()
        out.append(Fraction(int(man)) * Fraction(2) ** int(exp))
    return out[0], out[1]


def float_below(value: Fraction) -> float:
    """The greatest float64 that is at most the value."""
    rounded = float(value)
    return rounded if Fraction(rounded) <= value else math.nextafter(rounded, -math.inf)


def float_above(value: Fraction) -> float:
    """The least float64 that is at least the value."""
    rounded = float(value)
    return rounded if Fraction(rounded) >= value else math.nextafter(rounded, math.inf)


def read_weights(network: Any, d: int) -> tuple[Matrix, Row]:
    """W (m, d) and v (m,) of a pair, as rationals.

    Raises:
        LemmataError: no pair, weights that are not finite, or shapes that do not fit.
    """
    try:
        W, v = network
    except (TypeError, ValueError):
        raise LemmataError("network must be a pair (W, v): W (m, d), v (m,)") from None
    weights, outputs = exact_matrix(W, "W"), exact_vector(v, "v")
    if len(weights) != len(outputs) or len(weights[0]) != d:
        raise LemmataError(
            f"W is {len(weights)} x {len(weights[0])} and v has {len(outputs)} entries where the data have {d} "
            "columns (the bias is one): give W (m, d) and v (m,)"
        )
    return weights, outputs


def report_network(
    X: Matrix,
    y: Row,
    beta: Fraction,
    loss: str,
    network: Any,
    *,
    patterns: NDArray[np.bool_],
    complete: bool,
    limit: int,
    lower: Fraction,
    proved: bool,
) -> NetworkReport:
    """What is known of a given network; ``lower`` is a lower bound on the global optimum.

    Where the list of patterns is not complete, the price needs the cells of the rows with nu_i of one sign; where those
    are more than ``limit``, it is taken over the patterns listed.
    """
    weights, outputs = read_weights(network, len(X[0]))
    _, upper = objective_interval(X, y, beta, loss, weights, outputs)
    data, targets = np.array(X, dtype=float), np.array(y, dtype=float)
    W, v = np.array(weights, dtype=float), np.array(outputs, dtype=float)
    f = np.maximum(data @ W.T, 0.0) @ v
    nu = training_loss(loss).dual(f, targets)
    price, direction, sign, everywhere = _priced(X, data, nu, patterns, complete, limit)
    weight = float(beta)
    rate = price - weight
    helps = rate > 1e-9 * weight
    return NetworkReport(
        objective=float_above(upper),
        distance=max(float_above(upper - lower), 0.0),
        relative=max(float_above((upper - lower) / upper), 0.0) if upper else 0.0,
        price=price,
        everywhere=everywhere,
        direction=direction if helps else None,
        sign=sign if helps else 0,
        rate=rate,
        euler_defect=float(0.5 * weight * ((W**2).sum() + (v**2).sum()) - nu @ f),
        proved=proved,
    )


def _priced(
    X: Matrix, data: Array, nu: Array, patterns: NDArray[np.bool_], complete: bool, limit: int
) -> tuple[float, Array, int, bool]:
    """M(nu), the direction that attains it, the sign there, and whether no other direction can pay more."""
    if not complete:
        try:
            value, u = pricing_bound(X, nu.tolist(), limit=limit)
            sign = 1 if np.maximum(data @ u, 0.0) @ nu >= 0 else -1
            return value, u, sign, True
        except LemmataError:
            pass  # too many cells
    try:
        price = Pricing(data, patterns).maximum(nu)
    except NumericsError as error:
        raise LemmataError(str(error)) from None
    return price.bound, price.best.direction, price.best.sign, complete
