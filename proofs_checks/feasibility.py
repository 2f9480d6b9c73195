"""Which classes of given data a ReLU network can collapse, proved class by class.

For class k of points x: is there w with x.w = c on the class for one c > 0, and x.w <= 0 on all other points? If so for
every class, a two-layer network with one neuron for each class collapses the data to class means that are orthogonal.
With the features regularised, and every class alive, this is the global optimum (the bound of unconstrained nonnegative
features is attained), and it is attained only so: where a class is infeasible no optimum collapses to *orthogonal*
means. Collapse with another geometry is not excluded: with X_1 = {(1, 0), (1, 1)} and X_2 = {(2, 0), (2, 2)} both
classes are infeasible, yet features proportional to 1, 1, 2, 2 are optimal where the regularisation is large (a little
below the threshold at which all features vanish).

Source: Hong & Ling, Beyond Unconstrained Features: Neural Collapse for Shallow Neural Networks with General
Data (2024).
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any

from proofs_checks.certificate import Certificate
from proofs_checks.exact_data import Matrix, exact_matrix, exact_texts
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

if TYPE_CHECKING:
    from proofs_checks.feasibility_exact import ExactAnswer

KIND = "linear feasibility"
WEIGHT_BITS = 20  # the random first layer is rounded to multiples of 2^-20, so that features are short and exact
_FIRST_LAYER = "the random first layer stays as drawn: another seed or width may answer otherwise"


@dataclass(frozen=True)
class CollapseFeasibility:
    """The answer for every class.

    Attributes:
        feasible: label -> True, False, or None where it is undecided.
        rigor: "proved" if the audit kernel accepts the certificate, "numerical" otherwise.
        certificate: of all decided classes; None without certification, or where it is beyond the kernel's limits.
        reason: what is undecided or not proved, and why; empty if nothing.
        hidden: D1, the width of the random first layer, or None.
        seconds: {"decide", "certify"}, wall-clock, without imports.
    """

    feasible: Mapping[str, bool | None]
    rigor: Rigor
    certificate: Certificate | None
    reason: str
    hidden: int | None
    seconds: Mapping[str, float]

    @property
    def status(self) -> str:
        """ "solved" if every class is decided ("infeasible" is a decision), else "undecided"."""
        return "undecided" if None in self.feasible.values() else "solved"

    @property
    def all(self) -> bool | None:
        """Whether every class is feasible; None where that is open."""
        answers = self.feasible.values()
        return False if False in answers else None if None in answers else True

    @property
    def remark(self) -> str:
        """What the answer means for collapse."""
        if self.all is None:
            return "whether every class is feasible is open"
        if self.all:
            text = (
                f"feasible: a layer of {len(self.feasible)} neurons collapses every class, to orthogonal class means; "
                "that is globally optimal with regularised features while every class is alive"
            )
        else:
            text = (
                "infeasible: no NC1 optimum with orthogonal class means; "
                "collapse with other geometry is not excluded"
            )
        return text if self.hidden is None else f"{text}; {_FIRST_LAYER}"

    def to_json(self, certificate: str | None = None) -> dict[str, Any]:
        """Plain data; ``certificate`` is the path to which the certificate was written, if it was."""
        return {
            "status": self.status,
            "feasible": dict(self.feasible),
            "all": self.all,
            "rigor": str(self.rigor),
            "certificate": certificate,
            "reason": self.reason,
            "remark": self.remark,
            "seconds": dict(self.seconds),
        }


def collapse_feasibility(
    X: Iterable[Iterable[Any]],
    labels: Iterable[Any],
    *,
    hidden: int | None = None,
    seed: int = 0,
    certify: bool = True,
) -> CollapseFeasibility:
    """Decide for every class whether a ReLU network can collapse it to a mean orthogonal to the others.

    Args:
        X: (N, d) points, anything that is exactly rational (floats, integers, fractions, "p/q").
        labels: (N,) of the points; they are told apart by their texts.
        hidden: D1, for a three-layer network: the points are sent through relu(x W1) first, W1 (d, D1) Gaussian with
            entries rounded to multiples of 2^-20.
        seed: of W1.
        certify: prove the answer; without, it is that of floating point.

    Raises:
        LemmataError: NaN, inf, shapes, labels missing or ambiguous, one class only, D1 < 1.
    """
    points = exact_matrix(X)
    names = _texts(labels, len(points))
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise LemmataError(f"seed is {seed!r}: give an integer that is not negative")
    weights = None if hidden is None else first_layer(len(points[0]), hidden, seed)
    from proofs_checks import audit, feasibility_exact  # noqa: F401 (here, so that the seconds are those of the work)

    start = time.perf_counter()
    features = points if weights is None else relu_features(points, weights)
    answers = _decide(features, names, certify)
    decided = time.perf_counter()
    certificate, doubt = None, ""
    if certify and any(a.feasible is not None for a in answers.values()):
        certificate, doubt = _certified(points, names, weights, answers)
    reasons = [f"class {name}: {a.reason}" for name, a in answers.items() if a.feasible is None]
    return CollapseFeasibility(
        feasible={name: a.feasible for name, a in answers.items()},
        rigor=Rigor.NUMERICAL if certificate is None else Rigor.PROVED,
        certificate=certificate,
        reason="; ".join(reasons + [doubt] * bool(doubt)),
        hidden=None if hidden is None else int(hidden),
        seconds={"decide": decided - start, "certify": time.perf_counter() - decided},
    )


def first_layer(d: int, width: int, seed: int) -> Matrix:
    """(d, width) Gaussian weights, rounded to multiples of 2^-20; the same for the same seed.

    Raises:
        LemmataError: width < 1.
    """
    import numpy as np

    if not isinstance(width, Integral) or isinstance(width, bool) or width < 1:
        raise LemmataError(f"the width of the hidden layer is {width!r}: give an integer >= 1")
    drawn = np.random.default_rng(int(seed)).standard_normal((d, int(width)))
    unit = 1 << WEIGHT_BITS
    return tuple(tuple(Fraction(round(x * unit), unit) for x in row) for row in drawn.tolist())


def relu_features(points: Matrix, weights: Matrix) -> Matrix:
    """relu(x W) of every point, exactly: (N, D1) from (N, d) and (d, D1)."""
    from flint import fmpq, fmpq_mat

    def exact(rows: Matrix) -> fmpq_mat:
        return fmpq_mat([[fmpq(x.numerator, x.denominator) for x in row] for row in rows])

    product = (exact(points) * exact(weights)).tolist()
    return tuple(
        tuple(max(Fraction(int(x.p), int(x.q)), Fraction(0)) for x in row) for row in product
    )


def _texts(labels: Iterable[Any], count: int) -> list[str]:
    """Labels as texts; two that differ may not look the same, two that are equal may not look different."""
    try:
        given = list(labels)
    except TypeError:
        raise LemmataError(
            f"labels must be a sequence, not {labels!r:.60}: one for each point"
        ) from None
    if len(given) != count:
        raise LemmataError(f"{len(given)} labels for {count} points: give one for each")
    seen: dict[str, Any] = {}
    written: dict[Any, str] = {}
    names = []
    for i, label in enumerate(given):
        if not isinstance(label, Hashable):
            raise LemmataError(f"the label of point {i} is {label!r:.60}: give a text or a number")
        name = str(label).strip()
        if label is None or not name or _differs(label):
            raise LemmataError(f"the label of point {i} is missing: complete it or drop the row")
        if seen.setdefault(name, label) != label:
            raise LemmataError(f"the labels {seen[name]!r} and {label!r} look the same: rename one")
        if written.setdefault(label, name) != name:
            raise LemmataError(
                f"the labels {written[label]} and {name} are equal and written differently: use one form"
            )
        names.append(name)
    if len(seen) < 2:
        raise LemmataError(
            f"all points have the label {names[0]!r}: collapse needs at least two classes"
        )
    return names


def _differs(label: Any) -> bool:
    """Whether a label is not itself: NaN, and what cannot be compared."""
    try:
        return bool(label != label)
    except (TypeError, ValueError):
        return True


def _decide(features: Matrix, names: Sequence[str], exact: bool) -> dict[str, ExactAnswer]:
    from numerics.collapse_feasibility import class_feasibility
    from proofs_checks.feasibility_exact import ExactAnswer, integer_columns, settle, unit_columns

    floats = None if exact else unit_columns(integer_columns(features)[0])[1]
    answers = {}
    for name in dict.fromkeys(names):
        mine = [other == name for other in names]
        if floats is None:
            own = [x for x, chosen in zip(features, mine, strict=True) if chosen]
            rest = [x for x, chosen in zip(features, mine, strict=True) if not chosen]
            answers[name] = settle(own, rest)
        else:
            theirs = [not chosen for chosen in mine]
            found = class_feasibility(floats[mine], floats[theirs])
            reason = f"{found.reason}; certify=True decides exactly" if found.reason else ""
            answers[name] = ExactAnswer(found.feasible, reason=reason)
    return answers


def _certified(
    points: Matrix,
    names: Sequence[str],
    weights: Matrix | None,
    answers: Mapping[str, ExactAnswer],
) -> tuple[Certificate | None, str]:
    """The certificate of all decided classes, if the kernel accepts it; otherwise why not."""
    decided = {name: a for name, a in answers.items() if a.feasible is not None}
    certificate = Certificate(
        KIND,
        {
            "points": exact_texts(points),
            "labels": list(names),
            "hidden": {} if weights is None else {"weights": exact_texts(weights)},
            "feasible": {name: a.feasible for name, a in decided.items()},
        },
        {},
        {name: _witness(a) for name, a in decided.items()},
    )
    from proofs_checks.audit import audit_text
    from proofs_checks.audit.core import MAX_BYTES

    text = certificate.to_json()
    if len(text) > MAX_BYTES:
        return None, f"exact, but not proved: a certificate of {len(text)} bytes is too long"
    result = audit_text(text)
    if not result.accepted:
        return None, f"exact, but not proved: the audit kernel says: {result.reason}"
    return certificate, ""


def _witness(answer: ExactAnswer) -> dict[str, list[str]]:
    """Integers in decimal; flint writes long ones, which Python refuses."""
    from flint import fmpz

    def texts(numbers: Sequence[int]) -> list[str]:
        return [str(fmpz(x)) for x in numbers]

    return (
        {"w": texts(answer.w)}
        if answer.feasible
        else {"mu": texts(answer.mu), "lambda": texts(answer.lam)}
    )
