"""How the statements on collapse are measured: certified optima, exact sizes, counted instances."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import TYPE_CHECKING, Any

from proofs_checks.audit.core import exact
from proofs_checks.claims.collapse_bounds import merged_minority, without_class
from proofs_checks.collapse_cases import FeatureCase, GaussianCase
from proofs_checks.static import Measurement, Trials, hull
from proofs_checks.static_values import relative_length
from proofs_checks.verdict import Rigor

if TYPE_CHECKING:
    from proofs_checks.features import FeatureOptimum

GAP = 1e-8  # relative, ten times below the resolution of the statements


@lru_cache(maxsize=256)
def solved(case: FeatureCase) -> FeatureOptimum:
    """The optimum over features, with a certificate where there is one; for measurements and certificates alike."""
    from proofs_checks.features import ufm, upfm

    solve = ufm if case.model == "ufm" else upfm
    return solve(
        classes=case.K,
        per_class=list(case.per_class),
        loss=case.loss,
        lambda_w=case.lambda_W,
        lambda_h=case.lambda_H,
        bias=case.bias,
        gap=GAP,
    )


def optimum(case: FeatureCase) -> Measurement:
    """J as a ball around the interval between a network's objective and a dual bound."""
    found = solved(case)
    if found.certificate is None:
        return Measurement(
            {}, Rigor.NUMERICAL, undecided=f"the optimum is not certified: {found.reason}"
        )
    claim = found.certificate.claim
    lower, upper = (exact(claim[end], end) for end in ("lower", "upper"))
    note = f"optimum in an interval of relative length {relative_length(lower, upper):.1e}"
    if claim["width"] > case.width:
        wider = f"{note}, for features of {claim['width']} coordinates"
        return Measurement({"J": hull(lower, upper)}, Rigor.NUMERICAL, wider)
    return Measurement({"J": hull(lower, upper)}, found.rigor, note)


class FeatureClaim:
    """The optimum J of unconstrained features, and the sizes and decays of the problem.

    J is that of features with at least K coordinates; where the case has fewer, no statement here speaks of it and
    nothing is solved.
    """

    def __init__(self, case: FeatureCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """The sizes, and J with the rigor of its certificate."""
        values = sizes(self.case)
        if "J" not in wanted or self.case.width < self.case.K:
            return Measurement(values, Rigor.NUMERICAL)
        found = optimum(self.case)
        return found if found.undecided else replace(found, values=values | dict(found.values))


class ThresholdClaim(FeatureClaim):
    """Besides J the optima with which it is compared: V, class by class, and J_c; see `theory.collapse_thresholds`.

    These are enclosed in balls, but no certificate is written for them.
    """

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """J, and V and J_c where they are wanted and the hypotheses of their statements hold."""
        measured = super().measure(wanted)
        case = self.case
        if measured.undecided or case.loss != "ce" or case.bias or "J" not in measured.values:
            return measured
        values = dict(measured.values)
        if "V" in wanted and case.model == "upfm":
            by_size = {n: without_class(case, case.per_class.index(n)) for n in set(case.per_class)}
            values["V"] = [by_size[n] for n in case.per_class]
        two_groups = len(set(case.per_class)) == 2
        if "J_c" in wanted and two_groups and case.per_class.count(min(case.per_class)) >= 2:
            values["J_c"] = merged_minority(case)
        return replace(measured, values=values, rigor=Rigor.NUMERICAL)


class DualClaim:
    """Sizes and decays alone, exact: what is said of an explicit dual needs no optimum."""

    def __init__(self, case: FeatureCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """The sizes of the case."""
        return Measurement(sizes(self.case), Rigor.NUMERICAL, "evaluated in ball arithmetic")


def sizes(case: FeatureCase) -> dict[str, Any]:
    """K, N, d, n_j, the decays, and the vectors e_j and 1; names with an underscore are numbered by i."""
    identity = [[int(j == k) for k in range(case.K)] for j in range(case.K)]
    counts = list(case.per_class)
    return {
        "K": case.K,
        "N": case.N,
        "d": case.width,
        "bias": int(case.bias),
        "n": counts,
        "n_": counts,
        "lambda_W": case.lambda_W,
        "lambda_H": case.lambda_H,
        "one": [1] * case.K,
        "e": identity,
        "e_": identity,
    }


class FeasibilityClaim:
    """How often a class of Gaussian points can collapse, counted by the feasibility test."""

    def __init__(self, case: GaussianCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """Counts where a class can be feasible at all, and the binomial coefficients of (K-1)n."""
        case = self.case
        others = (case.K - 1) * case.n
        values: dict[str, Any] = {
            "K": case.K,
            "n": case.n,
            "d": case.d,
            "r": list(range(others + 1)),
            "C": [comb(others, r) for r in range(others + 1)],
        }
        if case.d < case.n:
            return Measurement(values, Rigor.STATISTICAL)
        from proofs_checks.feasibility_law import sample_feasible

        hits = int(sample_feasible(case.K, case.n, case.d, case.samples, case.draw))
        values["p_hat"] = Fraction(hits, case.samples)
        trials = Trials(hits, case.samples, case.comparisons)
        return Measurement(values, Rigor.STATISTICAL, trials=trials)
