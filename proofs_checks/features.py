"""Optima of unconstrained features: a network, a proved lower bound, the closed form, and whether the lift is tight.

    (1/N) Σ_j n_j l_j(Wᵀh_j + b) + (λ_W/2)‖W‖² + (λ_H/2) Σ_j n_j ‖h_j‖²,  over W: (d, K), h_j in R^d, and b if "bias",

l the cross-entropy or ‖z - y‖²/2, `ufm` with H free, `upfm` with H >= 0.  The convex program (nuclear norm, or doubly
non-negative lift) is solved in the smallest form that the symmetry of the targets allows; its solution is factored into
a network, whose value is an upper bound, and the gradient there, scaled, is a dual point, whose value is a lower bound.
Both are proved by the audit kernel.  Source: the convex forms of Hong & Ling (2023, 2024).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from numerics import conic
from numerics.features import Array, FeatureProblem
from numerics.features_descent import Network
from numerics.features_dual import copositive_dual
from proofs_checks.certificate import Certificate
from proofs_checks.features_certificate import (
    Audited,
    ExactInstance,
    Units,
    gap_certificate,
    network_units,
    optimum_certificate,
)
from proofs_checks.features_closed import closed_form
from proofs_checks.features_input import read_gap, read_instance, read_problem, read_switch
from proofs_checks.features_search import COPOSITIVE, Found, closed_network, search
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

MOST_FULL = 400  # order of the largest full lift
SHAPE, SMALL = 1e-3, 1e-5  # tolerances: of cosines, norms and spreads; of features that are zero
FORMULA = 1e-9  # relative: by how much a formula may be rounded
WEAK = 1e-2  # norm of features whose directions are not to be trusted


@dataclass(frozen=True, eq=False)
class FeatureOptimum:
    """What was found and what was proved.

    Attributes:
        status: "solved" if the optimum is proved to lie within the relative gap asked for, else "undecided".
        reason: what stands in the way, or what else should be known; empty if nothing.
        closed_form: the least value by formula, None where there is none.
        solver: the value of the network below, found from the solver's solution; None if no solver succeeded.
        lower_bound: proved, for networks of every width; None if nothing was proved.
        upper_bound: proved, attained at width d.
        relative_gap: (upper_bound - lower_bound)/upper_bound.
        collapsed: all samples of a column share one feature, and not all features are zero.
        alive: for each column, whether its feature is nonzero.
        geometry: of the uncentred features of the columns: "etf", "orthogonal-frame" (norms may differ), "zero" or
            "other".
        tight: "proved" if the lift has the same value as networks, up to the gap; "gap" if it is proved to lie below.
        rigor: "proved" if the kernel accepted the certificate. certificate: of the bounds.
        gap_certificate: that the lift lies below all networks, where ``tight`` is "gap".
        W: (d, K), H: (d, J), one column for each class or target, b: (K,) or None, Z = WᵀH + b: (K, J).
        multiplicities: how many samples share each column. form: of the program: "scalars", "classes", "full".
        seconds: wall-clock time, without imports.
    """

    status: str
    reason: str
    closed_form: float | None
    solver: float | None
    lower_bound: float | None
    upper_bound: float | None
    relative_gap: float | None
    collapsed: bool
    alive: tuple[bool, ...]
    geometry: str
    tight: str
    rigor: Rigor
    certificate: Certificate | None
    gap_certificate: Certificate | None
    W: Array
    H: Array
    b: Array | None
    Z: Array
    multiplicities: tuple[int, ...]
    form: str
    seconds: float

    def to_json(self, certificate: Path | None = None) -> dict[str, Any]:
        """Plain data; ``certificate`` is where the certificate lies, if it was written."""
        return {
            "status": self.status,
            "closed_form": self.closed_form,
            "solver": self.solver,
            "lower_bound": self.lower_bound,
            "relative_gap": self.relative_gap,
            "collapsed": self.collapsed,
            "geometry": self.geometry,
            "tight": self.tight,
            "rigor": str(self.rigor),
            "seconds": self.seconds,
            "certificate": None if certificate is None else str(certificate),
            **({"reason": self.reason} if self.reason else {}),
        }


def ufm(
    *,
    classes: int | None = None,
    per_class: int | Sequence[int] = 1,
    loss: str,
    lambda_w: Any,
    lambda_h: Any,
    bias: bool = False,
    full: bool = False,
    gap: float = 1e-6,
    targets: Any = None,
) -> FeatureOptimum:
    """The least value of unconstrained features, H free.

    Args:
        classes: K >= 2; may be left out where ``targets`` are given.
        per_class: samples of each class, one number or a list; with ``targets``, multiplicities of the columns.
        loss: "ce" or "mse" (mean over samples). lambda_w, lambda_h: weight decays > 0, numbers or "p/q".
        bias: whether to add a free bias. full: solve the lift of all N samples instead of the reduced program.
        gap: the relative gap to be proved. targets: (K, J) target matrix by rows, for "mse" only.

    Raises:
        LemmataError: invalid input; the message names the remedy.
    """
    options = (classes, per_class, loss, lambda_w, lambda_h, bias, targets)
    return _solve(read_instance("ufm", *options), full, gap)


def upfm(
    *,
    classes: int | None = None,
    per_class: int | Sequence[int] = 1,
    loss: str,
    lambda_w: Any,
    lambda_h: Any,
    bias: bool = False,
    full: bool = False,
    gap: float = 1e-6,
    targets: Any = None,
) -> FeatureOptimum:
    """The least value of non-negative features, H >= 0; see `ufm` for arguments and errors."""
    options = (classes, per_class, loss, lambda_w, lambda_h, bias, targets)
    return _solve(read_instance("upfm", *options), full, gap)


def _solve(instance: ExactInstance, full: bool, gap: float) -> FeatureOptimum:
    gap, full = read_gap(gap), read_switch(full, "full")
    conic.load()
    start = time.perf_counter()
    problem, units = read_problem(instance)
    if full and problem.K + problem.N > MOST_FULL:
        raise LemmataError(
            f"the full lift has order {problem.K + int(problem.N)}, more than {MOST_FULL}: leave out 'full', the "
            "reduced program has the same optimum"
        )
    closed = closed_form(
        instance.model,
        instance.loss,
        instance.counts,
        instance.L2 / Fraction(units.scale) ** 2,
        instance.bias,
        None if instance.targets is None else problem.Y,
    )
    found = search(problem, closed, "full" if full else None, gap)
    proof = _prove(instance, problem, units, found, gap)
    formula, doubt = _stated(None if closed is None else units.value * closed.value, proof.audited)
    alive, shown = _alive(found.best), found.best
    weak = float(np.sqrt((shown.H**2).sum())) < WEAK
    if (
        closed is not None
        and closed.alive is not None
        and (weak or alive != closed.alive or not proof.within)
    ):
        # so near a threshold, or so small a weight decay, that only the formula tells
        alive, shown = closed.alive, closed_network(problem, closed)
    geometry = _geometry(problem, shown, alive)
    W, H, exact_b = network_units(instance, problem, units, found.best)
    b = np.array([float(x) for x in exact_b])
    audited, solution = proof.audited, found.solution
    return FeatureOptimum(
        status="solved" if proof.within else "undecided",
        reason="; ".join(filter(None, (found.remark, proof.reason, doubt))),
        closed_form=formula,
        solver=None if solution is None else units.value * found.best.value,
        lower_bound=None if audited is None else audited.lower,
        upper_bound=None if audited is None else audited.upper,
        relative_gap=None if audited is None else audited.relative_gap,
        collapsed=geometry != "zero" and (solution is None or solution.spread <= SHAPE),
        alive=alive,
        geometry=geometry,
        tight=proof.tight,
        rigor=Rigor.NUMERICAL if audited is None else Rigor.PROVED,
        certificate=None if audited is None else audited.certificate,
        gap_certificate=None if proof.separated is None else proof.separated.certificate,
        W=W,
        H=H,
        b=b if instance.bias else None,
        Z=W.T @ H + b[:, None],
        multiplicities=instance.counts,
        form="none" if solution is None else solution.form,
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True, eq=False)
class _Proof:
    """What the kernel accepted: the bounds, whether they are as close as asked for, and what that says of the lift."""

    audited: Audited | None
    within: bool
    tight: str
    separated: Audited | None
    reason: str


def _prove(
    instance: ExactInstance, problem: FeatureProblem, units: Units, found: Found, gap: float
) -> _Proof:
    """Certificates for what was found.  A dual of the lift that meets the network proves that the lift is tight."""
    audited, reason = optimum_certificate(instance, problem, units, found.best, found.dual)
    if audited is not None and audited.relative_gap <= gap:
        return _Proof(audited, True, "proved", None, "")
    short = reason or (
        f"the lift is at least {audited.lower if audited else None}, and the best network found gives "
        f"{units.value * found.best.value}"
    )
    if instance.model == "ufm":
        return _Proof(audited, False, "undecided", None, f"{short}: ask for a larger gap")
    if problem.J > COPOSITIVE:
        reason = f"{short}: whether the lift is tight is decided for up to {COPOSITIVE} targets"
        return _Proof(audited, False, "undecided", None, reason)
    dual = copositive_dual(problem, found.best)
    other, reason = optimum_certificate(instance, problem, units, found.best, dual, copositive=True)
    if other is None or other.relative_gap > gap:
        beyond = reason or f"a bound for networks alone is {other.lower if other else None}"
        return _Proof(audited, False, "undecided", None, f"{short}; {beyond}")
    separated, reason = None, "no solution of the program to compare with"
    if found.solution is not None:
        separated, reason = gap_certificate(instance, problem, units, found.solution, dual)
    if separated is None:
        return _Proof(other, True, "undecided", None, f"tightness: {reason}")
    return _Proof(other, True, "gap", separated, "the lift lies below all networks")


def _stated(formula: float | None, audited: Audited | None) -> tuple[float | None, str]:
    """The value by formula; none where rounding took it out of the proved bounds, and then why."""
    if formula is None or audited is None:
        return formula, ""
    slack = FORMULA * audited.upper
    if audited.lower - slack <= formula <= audited.upper + slack:
        return formula, ""
    return None, f"the formula evaluates to {formula}, outside the proved bounds: it is left out"


def _alive(network: Network) -> tuple[bool, ...]:
    """Which columns have a nonzero feature, as far as float64 can tell."""
    norms = np.sqrt((network.H * network.H).sum(axis=0))
    return tuple(bool(x) for x in norms > SMALL * max(1.0, float(norms.max())))


def _geometry(problem: FeatureProblem, network: Network, alive: tuple[bool, ...]) -> str:
    """Of the uncentred features: a *centred* orthogonal frame is an ETF, too."""
    if not any(alive):
        return "zero"
    H = network.H / problem.roots
    norms = np.sqrt((H * H).sum(axis=0))
    if not all(alive) or problem.J < 2 or norms.min() == 0:
        return "other"
    off = ~np.eye(problem.J, dtype=bool)
    cosines = (H.T @ H / np.outer(norms, norms))[off]
    if np.abs(cosines).max() <= SHAPE:
        return "orthogonal-frame"
    equal = norms.max() - norms.min() <= SHAPE * norms.max()
    return "etf" if equal and np.abs(cosines + 1 / (problem.J - 1)).max() <= SHAPE else "other"
