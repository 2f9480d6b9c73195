"""How well a network can separate labelled points: lower and upper bound, with a certificate.

Points x_i and labels y_i = ±1. In both spaces the margin is the largest min_i y_i f(x_i) over a unit ball:

* "f1": f(x) = ∫ (<u, x>)_+ dν(u) for signed measures ν on the unit sphere of total variation at most 1;
* "f2": f(x) = E <h(v), x> 1[<v, x> > 0] over Gaussian v with E ‖h(v)‖² <= 1, the features of a network at its
  start, of which the inner layer is trained. The kernel is K(x, z) = <x, z> (π - angle(x, z)) / 2π.

f = 0 is allowed, so a margin is never negative; it is 0 where such networks cannot separate the points, which is an
answer like any other. Both margins are proportional to the points, which need not be normalised.

Sources: Bach, Breaking the Curse of Dimensionality with Convex Neural Networks (2017); Ji & Telgarsky, Polylogarithmic
width suffices for gradient descent to achieve arbitrarily small test error with shallow ReLU networks (ICLR 2020);
Telgarsky, Feature selection and low test error in shallow low-rotation ReLU networks (ICLR 2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from proofs_checks.certificate import Certificate
from proofs_checks.exact_data import (
    Matrix,
    Row,
    exact_matrix,
    exact_text,
    exact_texts,
    exact_vector,
)
from proofs_checks.margins_numbers import Bounds, outwards
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

SPACES = ("f1", "f2")
MOST_POINTS, MOST_COORDINATES = 2000, 500


@dataclass(frozen=True)
class MarginResult:
    """Bounds on a margin.

    Attributes:
        space: "f1" or "f2".
        status: "solved" where the bounds differ by at most the gap asked for, relative to the upper one (or are both
            0), else "undecided".
        lower, upper: binary64 numbers with lower <= margin <= upper.
        rigor: `Rigor.PROVED` exactly if the audit kernel accepts the certificate.
        certificate: None where none was asked for or found.
        neurons: in "f1" pairs (c, u) of a network Σ c (<u, x>)_+ with margin lower · Σ |c| ‖u‖; empty if lower is 0.
        alpha: in "f2" coefficients (n,) of Σ α_i y_i K(x_i, ·) with margin lower times its norm; empty if lower is 0.
        q: (n,) weights on the points that prove the upper bound.
        reason: why it is undecided, and what may help; "" where it is solved.
    """

    space: str
    status: str
    lower: float
    upper: float
    rigor: Rigor
    certificate: Certificate | None = field(repr=False)
    neurons: tuple[tuple[float, tuple[float, ...]], ...] = field(repr=False)
    alpha: tuple[float, ...] = field(repr=False)
    q: tuple[float, ...] = field(repr=False)
    reason: str = ""

    @property
    def relative_gap(self) -> float:
        """(upper - lower) / upper, and 0 where both are 0."""
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``certificate`` tells whether there is one, for whoever writes it to a file."""
        return {
            "space": self.space,
            "status": self.status,
            "lower": self.lower,
            "upper": self.upper,
            "relative_gap": self.relative_gap,
            "rigor": str(self.rigor),
            "neurons": [{"c": c, "u": list(u)} for c, u in self.neurons],
            "alpha": list(self.alpha),
            "q": list(self.q),
            "reason": self.reason,
            "certificate": self.certificate is not None,
        }


def margin(
    X: Iterable[Iterable[Any]],
    y: Iterable[Any],
    *,
    space: str = "f1",
    gap: float = 1e-8,
    reflections: str | Sequence[Sequence[int]] = "auto",
    certify: bool = True,
) -> MarginResult:
    """Lower and upper bound of the margin of labelled points.

    Args:
        X: (n, d) points. y: (n,) labels 1 and -1.
        space: "f1" or "f2", see the module's docstring.
        gap: the largest (upper - lower) / upper that counts as solved.
        reflections: for "f1": integer vectors a whose reflections u -> u - 2 <a, u> a / ‖a‖² map the labelled points to
            themselves, perhaps with all labels changed; "auto" looks for changes of sign and swaps of coordinates, ()
            uses none. With them highly symmetric points are solved much faster.
        certify: whether to write a certificate and have it audited.

    Raises:
        LemmataError: an entry is no finite number, labels other than 1 and -1, or as many labels as points are missing;
            an unknown space; a gap that is not positive; a reflection that does not map the points to themselves.
    """
    if space not in SPACES:
        raise LemmataError(f"space {space!r} is unknown; give 'f1' or 'f2'")
    if not (isinstance(gap, (int, float)) and math.isfinite(gap) and gap > 0):
        raise LemmataError(f"gap = {gap!r}: give a positive number such as 1e-8")
    points, labels = _checked(X, y)
    bounds = _zero(points, labels)
    if bounds is None:
        bounds = _bounds(points, labels, space, gap, reflections, certify)
    certificate, accepted, rejection = None, False, ""
    if certify and bounds.witness is not None:
        certificate = _certificate(points, labels, space, bounds)
        audit = certificate.audit()
        accepted = audit.accepted is True
        if not accepted:
            certificate, rejection = None, f"the certificate is not accepted: {audit.reason}"
    low, high = outwards(bounds.lower, bounds.upper)
    solved = high - low <= gap * high and not rejection
    reason = "" if solved else rejection or bounds.reason or _apart(low, high)
    network = bounds.form == "network"
    return MarginResult(
        space=space,
        status="solved" if solved else "undecided",
        lower=low,
        upper=high,
        rigor=Rigor.PROVED if accepted else Rigor.NUMERICAL,
        certificate=certificate,
        neurons=tuple((float(c), tuple(map(float, u))) for c, u in bounds.function)
        if network
        else (),
        alpha=() if network else tuple(map(float, bounds.function)),
        q=tuple(map(float, bounds.q)),
        reason=reason,
    )


def _checked(X: Iterable[Iterable[Any]], y: Iterable[Any]) -> tuple[Matrix, tuple[int, ...]]:
    points, given = exact_matrix(X, "X"), exact_vector(y, "y")
    if len(given) != len(points):
        raise LemmataError(f"{len(points)} points and {len(given)} labels: give a label to each")
    for i, label in enumerate(given):
        if label not in (1, -1):
            raise LemmataError(f"y[{i}] is {label}: labels must be 1 and -1; recode them")
    if len(points) > MOST_POINTS or len(points[0]) > MOST_COORDINATES:
        raise LemmataError(
            f"{len(points)} points in {len(points[0])} dimensions are too many to bound their margin; give at most "
            f"{MOST_POINTS} in {MOST_COORDINATES}, for instance a subset, whose margin is at least as large"
        )
    return points, tuple(int(label) for label in given)


def _zero(points: Matrix, labels: Sequence[int]) -> Bounds | None:
    from proofs_checks.margins_zero import vanishing_weights

    q = vanishing_weights(points, labels)
    if q is None:
        return None
    return Bounds(Fraction(0), Fraction(0), q, "network", [], "zero")


def _bounds(
    points: Matrix,
    labels: tuple[int, ...],
    space: str,
    gap: float,
    reflections: str | Sequence[Sequence[int]],
    certify: bool,
) -> Bounds:
    """The bounds for points scaled by a power of two to sizes near 1, without repetitions."""
    largest = max(abs(t) for x in points for t in x)
    exponent = largest.numerator.bit_length() - largest.denominator.bit_length()
    scale = Fraction(2) ** exponent
    first = {pair: i for i, pair in reversed(list(enumerate(zip(points, labels, strict=True))))}
    kept = sorted(first.values())
    small = tuple(tuple(t / scale for t in points[i]) for i in kept)
    signs = tuple(labels[i] for i in kept)
    if space == "f2":
        from proofs_checks.margins_f2 import bounds_f2

        found = bounds_f2(small, signs)
    else:
        from proofs_checks.margins_f1 import bounds_f1

        chosen = _reflections(small, signs, reflections)
        found = bounds_f1(small, signs, reflections=chosen, gap=gap, certify=certify)
    return _spread(found.scaled(scale), kept, len(points))


def _spread(bounds: Bounds, kept: Sequence[int], n: int) -> Bounds:
    """Weights of the repeated points too, which are 0."""

    def spread(row: Sequence[Fraction]) -> Row:
        out = [Fraction(0)] * n
        for i, a in zip(kept, row, strict=True):
            out[i] = a
        return tuple(out)

    function = bounds.function
    if bounds.form == "kernel" and function:
        function = list(spread(function))
    return Bounds(
        bounds.lower,
        bounds.upper,
        spread(bounds.q),
        bounds.form,
        function,
        bounds.witness,
        bounds.reason,
    )


def _reflections(
    points: Matrix, labels: Sequence[int], given: str | Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], ...]:
    from proofs_checks.margins_symmetry import find_reflections

    if isinstance(given, str):
        if given != "auto":
            raise LemmataError(f"reflections {given!r}: give 'auto', () or integer vectors")
        return find_reflections(points, labels)
    try:
        rows = tuple(tuple(int(t) for t in a) for a in given)
    except (TypeError, ValueError):
        raise LemmataError(f"reflections {given!r:.60}: give integer vectors") from None
    return rows


def _certificate(points: Matrix, labels: Sequence[int], space: str, bounds: Bounds) -> Certificate:
    claim = {
        "space": space,
        "points": exact_texts(points),
        "labels": list(labels),
        "lower": exact_text(bounds.lower),
        "upper": exact_text(bounds.upper),
    }
    if bounds.form == "network":
        function: list[Any] = [
            [exact_text(c), [exact_text(t) for t in u]] for c, u in bounds.function
        ]
    else:
        function = [exact_text(a) for a in bounds.function]
    q = [exact_text(a) for a in bounds.q]
    return Certificate("margin", claim, {}, {"network": function, "q": q, "bound": bounds.witness})


def _apart(low: float, high: float) -> str:
    """Why the bounds are farther apart than asked for, in words."""
    return (
        f"the bounds {low:.9g} and {high:.9g} are farther apart than asked for: floating point does not find better "
        "weights and networks; allow a larger gap, or scale the points to similar sizes"
    )
