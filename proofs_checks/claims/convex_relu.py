"""How the statements on convex ReLU training are measured: exact networks against certified optima."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb, ctx, fmpq

from proofs_checks.audit.core import Clock, Rejected, exact
from proofs_checks.exact_data import Row
from proofs_checks.relu_cases import ReluCase
from proofs_checks.static import Measurement, hull
from proofs_checks.static_values import relative_length
from proofs_checks.verdict import Rigor

GAP = 1e-8
# how far above the numerical maximum M is proved; the first of these that the kernel accepts
SLACKS = tuple(Fraction(1, 10**k) for k in (11, 9, 7, 5))
SECONDS = 30.0  # for the kernel's check of M


class NetworkClaim:
    """F, f, ν, the weights, the certified optimum F' and the certified price M of the residual."""

    def __init__(self, case: ReluCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """Everything exact, and F' and M where they are wanted, as balls around certified intervals."""
        case = self.case
        values: dict[str, Any] = {
            "w": [list(row) for row in case.W],
            "v": list(case.v),
            "y": list(case.y),
            "f": list(case.outputs),
            "nu": list(case.residual),
            "beta": case.beta,
            "F": case.objective,
        }
        rigor, notes = Rigor.PROVED, []
        if "M" in wanted:
            interval = price(case)
            if interval is None:
                return Measurement(
                    {}, Rigor.NUMERICAL, undecided="the price M of the residual is not certified"
                )
            values["M"] = interval
        if "F_best" in wanted:
            found = optimum(case.X, case.y, case.beta)
            if found.undecided:
                return found
            values |= found.values
            rigor = found.rigor
            notes.append(found.note)
        return Measurement(values, rigor, "; ".join(notes))


@lru_cache(maxsize=64)
def optimum(X: tuple[Row, ...], y: Row, beta: Fraction) -> Measurement:
    """F' as a ball around the interval between a network's objective and a dual bound."""
    from proofs_checks.relu_training import convex_relu

    found = convex_relu(X, y, beta=beta, gap=GAP)
    if found.certificate is None:
        return Measurement(
            {}, Rigor.NUMERICAL, undecided=f"the optimum is not certified: {found.reason}"
        )
    lower, upper = (exact(found.certificate.claim[end], end) for end in ("lower", "upper"))
    note = f"optimum in an interval of relative length {relative_length(lower, upper):.1e}"
    return Measurement({"F_best": hull(lower, upper)}, found.rigor, note)


def price(case: ReluCase) -> arb | None:
    """M: from below at the best direction found, from above by a sign tree that the audit kernel accepts."""
    from proofs_checks.audit.sign_tree import check_bound
    from proofs_checks.sign_tree import bound_witness, pricing_bound

    if not any(case.residual):
        return arb(0)
    best, direction = pricing_bound(case.X, case.residual)
    u = [Fraction(float(c)) for c in direction]
    reached = sum(
        (
            nu * max(sum((a * b for a, b in zip(x, u, strict=True)), Fraction(0)), Fraction(0))
            for nu, x in zip(case.residual, case.X, strict=True)
        ),
        Fraction(0),
    )
    with ctx.workprec(128):
        length = _ball(sum((c * c for c in u), Fraction(0))).sqrt()
        lower = abs(_ball(reached)) / length
    points = [[_exact(a) for a in row] for row in case.X]
    residual = [_exact(a) for a in case.residual]
    for slack in SLACKS:
        radius = Fraction(best) * (1 + slack)
        witness = bound_witness(case.X, case.residual, radius)
        if witness is None:
            continue
        try:
            check_bound(points, residual, _exact(radius**2), witness, Clock(SECONDS))
        except Rejected:
            continue
        return hull(lower.lower(), _ball(radius))
    return None


def _exact(value: Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)


def _ball(value: Fraction) -> arb:
    return arb(_exact(value))
