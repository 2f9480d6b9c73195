"""Wrong statements about two-layer linear networks, each with a witness that was found without the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import lemmata as lm
from lemmata import ops
from lemmata import strategies as st
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.samples import Domain, Parameter, Real, Sample
from tests.quality import conjectures_true as true
from tests.quality.conjectures_terms import (
    greatest,
    least,
    positive_part,
    root,
    smallest,
    spread,
    square,
)
from tests.quality.conjectures_witness import Sides, descent_sides, pl_sides

P = Parameter
NETWORKS = st.linear_networks(2)
STEPS = st.record(net=NETWORKS, eta=st.step_sizes(4.0))


@dataclass(frozen=True, eq=False)
class Planted:
    """A wrong conjecture, a case on which it fails, and the sides there: lhs > rhs, or unequal, by far."""

    conjecture: Conjecture
    case: Any
    sides: Callable[[], Sides]


@lm.conjecture(case=NETWORKS)
def pl_pairing(net: Any) -> Any:
    """Δ_+ with σ_n and Δ_- with σ_m, as some printed versions have it."""
    s = spread(net)
    first = -s.plus + root(s.plus + s.common, s.sigma_n)
    return (first - s.minus + root(s.minus + s.common, s.sigma_m)) / 2 <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_index(net: Any) -> Any:
    """σ_1 in place of σ_n and σ_m."""
    s = spread(net)
    first = -s.minus + root(s.minus + s.common, s.sigma_1)
    return (first - s.plus + root(s.plus + s.common, s.sigma_1)) / 2 <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_factor(net: Any) -> Any:
    """8σ² in place of 4σ²."""
    s, q = spread(net), 2**0.5
    first = -s.minus + root(s.minus + s.common, q * s.sigma_n)
    return (first - s.plus + root(s.plus + s.common, q * s.sigma_m)) / 2 <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_half(net: Any) -> Any:
    """The factors 1/2 are lost."""
    s = spread(net)
    first = -s.minus + root(s.minus + s.common, s.sigma_n)
    return first - s.plus + root(s.plus + s.common, s.sigma_m) <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_root(net: Any) -> Any:
    """a + 2σ in place of √(a² + 4σ²)."""
    s = spread(net)
    return s.common + s.sigma_n + s.sigma_m <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_sign(net: Any) -> Any:
    """+Δ_- in place of -Δ_-."""
    s = spread(net)
    first = s.minus + root(s.minus + s.common, s.sigma_n)
    return (first - s.plus + root(s.plus + s.common, s.sigma_m)) / 2 <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_no_spread(net: Any) -> Any:
    """The bound for Δ_+ = Δ_- = 0, used everywhere."""
    s = spread(net)
    return (root(s.common, s.sigma_n) + root(s.common, s.sigma_m)) / 2 <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_indices_of_common(net: Any) -> Any:
    """Δ = [λ_m(D)]_+ + [λ_n(-D)]_+: n and m swapped."""
    s, D = spread(net), net.imbalance()
    n, m = net.W1.shape[0], net.W2.shape[1]
    common = positive_part(D, m) + positive_part(-D, n)
    first = -s.minus + root(s.minus + common, s.sigma_n)
    return (first - s.plus + root(s.plus + common, s.sigma_m)) / 2 <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_sign_of_imbalance(net: Any) -> Any:
    """D = W2W2ᵀ - W1ᵀW1 in Δ_±, with the indices of the other sign."""
    s, D = spread(net), -net.imbalance()
    n, m = net.W1.shape[0], net.W2.shape[1]
    plus = positive_part(D, 1) - positive_part(D, n)
    minus = positive_part(-D, 1) - positive_part(-D, m)
    first = -minus + root(minus + s.common, s.sigma_n)
    return (first - plus + root(plus + s.common, s.sigma_m)) / 2 <= smallest(net)


@lm.conjecture(case=NETWORKS)
def pl_inequality_twice(net: Any) -> Any:
    """‖∇L‖² >= 4 α L: a factor 2 too much."""
    g = sum(square(v) for v in net.gradient().values())
    return 4 * smallest(net) * net.loss_value() <= g


@lm.conjecture(case=true.TIGHT)
def tight_half(case: Any) -> Any:
    """√(d² + 2σ²) in the case of equality."""
    W1, W2 = true.tight(case)
    sigma = np.linalg.svd(W1 @ W2, compute_uv=False)[-1]
    value = np.sqrt(case.d**2 + 2 * sigma**2)
    return ops.equal(least(W1 @ W1.T) + least(W2.T @ W2), value, resolution=1e-6)


def _terms(case: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Loss after a step, loss, ‖∇L‖², √(2L) and σ_max(W)."""
    net = case.net
    after, L = net.descent(case.eta, 1)[1].loss_value(), net.loss_value()
    g = sum(square(v) for v in net.gradient().values())
    return after, L, g, np.sqrt(2 * L), np.linalg.norm(net.product(), 2)


def _tops(net: Any) -> tuple[Any, Any]:
    return greatest(net.W1 @ net.W1.T), greatest(net.W2.T @ net.W2)


@lm.conjecture(case=STEPS)
def descent_largest(case: Any) -> Any:
    """λ_max the larger of the two layers in place of their sum."""
    (after, L, g, slope, sigma), eta = _terms(case), case.eta
    top = ops.maximum(*_tops(case.net))
    K = top + slope + 6 * sigma * L * eta**2 + 3 * top * slope * eta
    return after <= L - (eta - K * eta**2 / 2) * g


@lm.conjecture(case=STEPS)
def descent_no_slope(case: Any) -> Any:
    """Without √(2KL)."""
    (after, L, g, slope, sigma), eta = _terms(case), case.eta
    top = sum(_tops(case.net))
    K = top + 6 * sigma * L * eta**2 + 3 * top * slope * eta
    return after <= L - (eta - K * eta**2 / 2) * g


@lm.conjecture(case=STEPS)
def descent_first_order(case: Any) -> Any:
    """Without the terms in η."""
    (after, L, g, slope, _), eta = _terms(case), case.eta
    K = sum(_tops(case.net)) + slope
    return after <= L - (eta - K * eta**2 / 2) * g


@lm.conjecture(case=STEPS)
def descent_quarter(case: Any) -> Any:
    """K_t η²/4 in place of K_t η²/2."""
    (after, L, g, slope, sigma), eta = _terms(case), case.eta
    top = sum(_tops(case.net))
    K = top + slope + 6 * sigma * L * eta**2 + 3 * top * slope * eta
    return after <= L - (eta - K * eta**2 / 4) * g


@lm.conjecture(case=STEPS)
def imbalance_first_power(case: Any) -> Any:
    """η in place of η² in the change of the imbalance."""
    net, eta = case.net, case.eta
    a, b = net.W2 @ net.end_gradient().T, net.W1.T @ net.end_gradient()
    after = net.descent(eta, 1)[1].imbalance()
    return ops.equal(after, net.imbalance() + eta * (a @ a.T - b @ b.T))


@lm.conjecture(case=STEPS)
def imbalance_conserved(case: Any) -> Any:
    """The imbalance is conserved by descent: it is by gradient flow only."""
    return ops.equal(case.net.descent(case.eta, 1)[1].imbalance(), case.net.imbalance())


# -- witnesses --------------------------------------------------------------------------------------------------------
def _net(W1: Any, W2: Any, B: Any = None) -> Sample:
    W1, W2 = P(W1), P(W2)
    target = np.zeros((W1.shape[0], W2.shape[1])) if B is None else B
    return Sample("linear_network", {"depth": 2, "W1": W1, "W2": W2, "B": P(target)})


def _step(*numbers: str) -> Sample:
    w1, w2, b, eta = (float(Fraction(q)) for q in numbers)
    step = Real(eta, Domain(0, 4, True, log=True))
    return Sample("record", {"net": _net([[w1]], [[w2]], [[b]]), "eta": step})


def _pl(conjecture: Conjecture, version: str, W1: Any, W2: Any) -> Planted:
    return Planted(conjecture, _net(W1, W2), lambda: pl_sides(W1, W2, version))


def _descent(conjecture: Conjecture, version: str, *numbers: str) -> Planted:
    return Planted(conjecture, _step(*numbers), lambda: descent_sides(*numbers, version))


def _tight() -> Sample:
    one = Sample("orthogonal", {"U": P([[0]])})
    raw = {
        "Q": one,
        "R": one,
        "P": one,
        "t": P([2], Domain(0.5, 4)),
        "d": Real(1, Domain(0, 4, True)),
    }
    return Sample("record", raw)


PLANTED_LINEAR: tuple[Planted, ...] = (
    _pl(pl_pairing, "pairing", [[-1], [1]], [[-1]]),
    _pl(pl_index, "index", [[0], [1]], [[-1]]),
    _pl(pl_factor, "factor 2", [[-1]], [[-1]]),
    _pl(pl_half, "half", [[-1]], [[0]]),
    _pl(pl_root, "root", [[1]], [[2]]),
    _pl(pl_sign, "sign of Δ", [[0]], [[0, -1]]),
    _pl(pl_no_spread, "no spread", [[-1], [1]], [[-1]]),
    _pl(pl_indices_of_common, "indices of Δ", [[0]], [[0, -1]]),
    _pl(pl_sign_of_imbalance, "sign of D", [[-1], [1]], [[-1]]),
    # w1 = w2 = 1, b = 0: α = 2, L = 1/2, ‖∇L‖² = 2
    Planted(pl_inequality_twice, _net([[1]], [[1]]), lambda: (4 * 2 * 0.5, 2.0)),
    # (t + 1/t)/2 = 5/4 and (1/t - t)/2 = -3/4 for t = 2: 25/16 + 9/16, and σ = 15/16
    Planted(tight_half, _tight(), lambda: (34 / 16, (1 + 2 * (15 / 16) ** 2) ** 0.5)),
    _descent(descent_largest, "largest", "1/4", "1/4", "0", "2"),
    _descent(descent_no_slope, "no slope", "-1/4", "-1/4", "-1/2", "1"),
    _descent(descent_first_order, "first order", "-1/2", "1", "-3/4", "2"),
    _descent(descent_quarter, "quarter", "1/4", "1/4", "0", "2"),
    # w1 = 1, w2 = 0, b = 1, η = 1/2: w1 stays, w2 becomes 1/2; D goes from 1 to 3/4
    Planted(imbalance_first_power, _step("1", "0", "1", "1/2"), lambda: (0.75, 1 - 0.5)),
    Planted(imbalance_conserved, _step("1", "0", "1", "1/2"), lambda: (0.75, 1.0)),
)
