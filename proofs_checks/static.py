"""Statements without time: measured once per case, on exact rationals and balls.

A *static* case is any immutable object with the attributes of `StaticCase`; the claim of a statement measures it. An
optimum enters as a ball around its certified interval, so that a verdict is as rigorous as what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flint import arb, ctx, fmpq

from proofs_checks.named import load
from proofs_checks.static_values import StaticValues, Value, hull
from proofs_checks.verdict import Evidence, Rigor, Status, Verdict
from theory.errors import LemmataError
from theory.printing import relation_text
from theory.quantity import Quantity, Relation
from theory.statement import Kind, Part, Statement

ALPHA = (
    1e-3  # the probability with which a campaign of true probability statements reports a violation
)
PRECISIONS = (256, 1024, 4096)  # bits, one after the other while a verdict stays open


class StaticCase(Protocol):
    """What every case without time has.

    Attributes:
        model, loss, reduction: as in the statement's setting. hash: of everything that influences the result.
    """

    @property
    def model(self) -> str: ...
    @property
    def loss(self) -> str: ...
    @property
    def reduction(self) -> str: ...
    @property
    def hash(self) -> str: ...

    def to_json(self) -> dict[str, Any]:
        """Plain data with a "format"."""
        ...

    def group(self) -> Hashable:
        """Cases of equal group may be measured together."""
        ...


@dataclass(frozen=True)
class Trials:
    """Independent repetitions behind a measured frequency; comparisons: over how many cases the error is shared."""

    successes: int
    trials: int
    comparisons: int = 1


@dataclass(frozen=True)
class Measurement:
    """What a claim has measured on a case.

    Attributes:
        values: name -> int, Fraction, fmpq or arb; lists of them for variables with axes.
        rigor: of the values: `proved` only where certificates that the audit kernel accepts stand behind them.
        note: what the numbers rest on; becomes part of the verdict's reason.
        explain: name of a hypothesis -> what to put for ``{worst}`` in its remedy.
        trials: for probability statements.
        undecided: why nothing could be measured, with the remedy; the verdict is then `undecided`.
    """

    values: Mapping[str, Value]
    rigor: Rigor
    note: str = ""
    explain: Mapping[str, str] = field(default_factory=dict)
    trials: Trials | None = None
    undecided: str = ""


class StaticClaim(Protocol):
    """How statements of one sort are measured."""

    def __init__(self, case: Any) -> None: ...

    def measure(self, wanted: frozenset[str]) -> Measurement:
        """The variables ``wanted``, and others if that costs nothing."""
        ...


def judge(statements: Sequence[Statement], case: StaticCase) -> list[Verdict]:
    """The verdicts of statements on one case; statements with the same claim share one measurement.

    Raises:
        LemmataError: a claim that cannot be loaded, or that does not measure what its statement speaks of.
    """
    out: dict[int, Verdict] = {}
    by_claim: dict[str, list[int]] = {}
    for k, s in enumerate(statements):
        reason = _other_setting(s, case)
        if reason:
            out[k] = Verdict(s.id, case.hash, Status.VACUOUS, Rigor.PROVED, reason=reason)
        else:
            by_claim.setdefault(s.claim, []).append(k)
    for path, members in by_claim.items():
        axes: dict[str, str] = {}
        for k in members:
            axes |= axes_of(statements[k])
        measured = load(path, "claim")(case).measure(frozenset(axes))
        for k in members:
            for bits in PRECISIONS:
                values = StaticValues(measured.values, axes, bits)
                out[k] = _verdict(statements[k], case, measured, values)
                if out[k].status is not Status.UNDECIDED or measured.undecided:
                    break
    return [out[k] for k in range(len(statements))]


def _other_setting(statement: Statement, case: StaticCase) -> str:
    setting = statement.setting
    for word, own, allowed in (
        ("model", case.model, (setting.model,)),
        ("loss", case.loss, setting.losses),
        ("reduction", case.reduction, (setting.reduction,)),
    ):
        if own not in allowed:
            return f"the statement speaks of the {word} {', '.join(allowed)}, the case of {own}; choose one of these"
    return ""


def axes_of(statement: Statement) -> dict[str, str]:
    """The variables that a statement needs, with their axes in the order j, i, k."""
    found: dict[str, str] = {}

    def visit(q: Quantity) -> None:
        if q.op == "var":
            found[q.label] = "".join(a for a in "jik" if a in q.axes)
        for a in q.args:
            visit(a)

    relations = [h.relation for h in statement.hypotheses] + [p.relation for p in statement.parts]
    for relation in map(statement.expand, relations):
        visit(relation.lhs)
        visit(relation.rhs)
    return found


@dataclass(frozen=True)
class _Outcome:
    """A part decided: ratio and its interval; see `Verdict`."""

    part: Part
    status: Status
    mid: float
    low: float
    high: float
    sides: tuple[Any, Any]
    words: str = ""
    rigor: Rigor | None = None


def _verdict(
    statement: Statement, case: StaticCase, measured: Measurement, values: StaticValues
) -> Verdict:
    def early(status: Status, reason: str) -> Verdict:
        return Verdict(
            statement.id, case.hash, status, _rigor(status, measured.rigor), reason=reason
        )

    if measured.undecided:
        return early(Status.UNDECIDED, measured.undecided)
    margins: list[str] = []
    for hypothesis in statement.hypotheses:
        relation = statement.expand(hypothesis.relation)
        lhs, rhs = (values.evaluate(q.to_data()) for q in (relation.lhs, relation.rhs))
        met = _holds(lhs, relation.op, rhs)
        shown = f"{_shown(lhs)} against {_shown(rhs)}"
        if met is None:
            return early(
                Status.UNDECIDED,
                f"hypothesis {hypothesis.name} cannot be decided: {shown}; move the case away from equality",
            )
        if not met:
            remedy = hypothesis.remedy.replace("{worst}", measured.explain.get(hypothesis.name, ""))
            return early(
                Status.VACUOUS,
                f"hypothesis {hypothesis.name} fails: {relation_text(hypothesis.relation)} with {shown}; {remedy}",
            )
        margins.append(f"{hypothesis.name}: {_shown(lhs)} {relation.op} {_shown(rhs)}")
    outcomes = [_outcome(statement, part, measured, values) for part in statement.parts]
    order = (Status.HOLDS, Status.UNDECIDED, Status.VIOLATED)
    chosen = max(outcomes, key=lambda o: (order.index(o.status), o.mid))
    evidence = Evidence(chosen.mid, chosen.low, chosen.high)
    ratio = math.exp(chosen.mid) if chosen.mid < 709 else math.inf
    lhs, rhs = chosen.sides
    reason = [chosen.words, measured.note]
    if chosen.status is Status.HOLDS:
        reason = [*margins, *reason]
    elif chosen.status is Status.VIOLATED:
        reason[0] = chosen.words or (
            f"{chosen.part.name}: {relation_text(chosen.part.relation)} fails with lhs = {_shown(lhs)}, "
            f"rhs = {_shown(rhs)}"
        )
    else:
        reason[0] = chosen.words or (
            f"{chosen.part.name}: the interval straddles: {_shown(lhs)} against {_shown(rhs)}; ask for a smaller gap"
        )
    return Verdict(
        statement.id,
        case.hash,
        chosen.status,
        _rigor(chosen.status, chosen.rigor or measured.rigor),
        tightness=ratio,
        log_tightness=chosen.mid,
        error=evidence.error * (ratio if ratio > 0 else 1.0),
        log_lhs=_log(abs(lhs)),
        log_rhs=_log(abs(rhs)),
        domain_covered=True,
        part=chosen.part.name,
        reason="; ".join(filter(None, reason)),
    )


def _rigor(status: Status, rigor: Rigor) -> Rigor:
    """What is left open is not proved, however exact the numbers are."""
    return Rigor.NUMERICAL if status is Status.UNDECIDED and rigor is Rigor.PROVED else rigor


def _outcome(
    statement: Statement, part: Part, measured: Measurement, values: StaticValues
) -> _Outcome:
    if part.domain is not None:
        raise LemmataError(
            f"{statement.id}, part {part.name!r}: its domain is a span of time, which this model has not; leave it out"
        )
    relation: Relation = statement.expand(part.relation)
    lhs, rhs = (values.evaluate(q.to_data()) for q in (relation.lhs, relation.rhs))
    if statement.kind is Kind.PROBABILITY:
        return _probability(part, measured, lhs, rhs)
    if part.resolution is not None:
        return _equality(part, lhs, rhs)
    met = _holds(lhs, relation.op, rhs)
    status = {True: Status.HOLDS, False: Status.VIOLATED, None: Status.UNDECIDED}[met]
    return _Outcome(part, status, *_score(lhs, rhs), (lhs, rhs))


def _holds(lhs: Any, op: str, rhs: Any) -> bool | None:
    """Whether a relation is true, False if it certainly is not, None if that is not known."""
    gap = rhs - lhs
    if isinstance(gap, arb) and not gap.is_finite():
        return None
    if op == "==":
        return True if gap == 0 else None if _may_vanish(gap) else False
    if op == "<":
        return True if gap > 0 else False if gap <= 0 else None
    return True if gap >= 0 else False if gap < 0 else None


def _may_vanish(gap: Any) -> bool:
    return gap.contains(0) if isinstance(gap, arb) else gap == 0


def _equality(part: Part, lhs: Any, rhs: Any) -> _Outcome:
    """As in the design: beyond its error the equality fails; within it, the error must be below the resolution."""
    gap = lhs - rhs
    size = max(_logarithm(abs(_middle(x))) for x in (lhs, rhs))
    allowed = size + math.log(part.resolution) if part.resolution else -math.inf
    known = not isinstance(gap, arb) or gap.is_finite()
    error = _logarithm(gap.rad()) if isinstance(gap, arb) else -math.inf
    apart = not _may_vanish(gap)
    distance = _logarithm(abs(_middle(gap))) if known else math.inf
    mid = distance - allowed if distance > -math.inf else -math.inf
    if apart and known:
        status, low, high = Status.VIOLATED, max(mid, 2.0**-40), math.inf
    else:
        high = error - allowed if error > -math.inf else -math.inf
        status, low = (Status.HOLDS if known and high <= 0 else Status.UNDECIDED), -math.inf
    words = ""
    if status is Status.UNDECIDED:
        words = (
            f"{part.name}: the error {_digits(gap.rad(), 2)}, of {_shown(lhs)} against {_shown(rhs)}, is above the "
            f"resolution {part.resolution:.2g}; ask for a smaller gap"
            if known
            else f"{part.name}: a side has no finite value"
        )
    return _Outcome(part, status, mid, low, max(high, mid), (lhs, rhs), words)


def _probability(part: Part, measured: Measurement, lhs: Any, rhs: Any) -> _Outcome:
    """An exact binomial test of the frequency on the left against the probability on the right.

    `violated` where the test rejects at ALPHA / comparisons, two-sided; `holds` where the exact (Clopper-Pearson)
    interval of that confidence contains the probability and is no wider than the resolution to either side.
    """
    from scipy.stats import binomtest

    if measured.trials is None or part.resolution is None:
        raise LemmataError(
            f"part {part.name!r}: a probability statement needs trials from its claim, and a resolution"
        )
    t = measured.trials
    alpha = ALPHA / t.comparisons
    p = min(max(float(_middle(rhs)), 0.0), 1.0)
    test = binomtest(t.successes, t.trials, p)
    interval = test.proportion_ci(confidence_level=1 - alpha, method="exact")
    frequency = t.successes / t.trials
    width = max(interval.high - frequency, frequency - interval.low)
    if test.pvalue < alpha:
        status = Status.VIOLATED
    elif interval.low <= p <= interval.high and width <= part.resolution:
        status = Status.HOLDS
    else:
        status = Status.UNDECIDED
    words = (
        f"{t.successes} of {t.trials} samples, probability {p:.6g}, p-value {test.pvalue:.3g}, confidence "
        f"{1 - alpha:.6g} ({t.comparisons} comparisons)"
    )
    if status is Status.UNDECIDED:
        words += f"; the interval is ±{width:.2g}, above ±{part.resolution:g}: take more samples"
    distance = abs(frequency - p)
    mid = _logarithm(arb(distance)) - _logarithm(arb(width))
    return _Outcome(part, status, mid, mid, mid, (lhs, rhs), words, Rigor.STATISTICAL)


def _score(lhs: Any, rhs: Any) -> tuple[float, float, float]:
    """log(lhs/rhs), with both sides negative log(rhs/lhs), and the ends of its interval; see numerics.supremum."""
    low_l, high_l, low_r, high_r = (*_ends(lhs), *_ends(rhs))

    def one(a: arb, b: arb) -> float:
        if a.is_nan() or b.is_nan():
            return math.nan
        if b > 0:
            return _logarithm(a) - _logarithm(b) if a > 0 else -math.inf
        if a < 0:
            return _logarithm(-b) - _logarithm(-a) if b < 0 else -math.inf
        return -math.inf if a == 0 == b else math.inf

    return one(_middle(lhs), _middle(rhs)), one(low_l, high_r), one(high_l, low_r)


def _ends(x: Any) -> tuple[arb, arb]:
    if not isinstance(x, arb):
        return _middle(x), _middle(x)
    if not x.is_finite():
        return arb("-inf"), arb("inf")
    return x.lower().mid(), x.upper().mid()


def _middle(x: Any) -> arb:
    """The number, rounded, or the middle of its ball, without radius: of any size; nan for what is not finite."""
    x = arb(x) if isinstance(x, fmpq) else x
    return x.mid() if x.is_finite() else arb("nan")


def _logarithm(x: arb) -> float:
    """Of a number without radius that is not negative; -inf for 0, and for what is not known."""
    with ctx.workprec(96):
        return float(x.log()) if x > 0 else -math.inf


def _log(x: Any) -> float | None:
    value = _middle(x)
    return None if value.is_nan() else _logarithm(value)


def _shown(x: Any) -> str:
    if isinstance(x, arb) and x.is_finite() and x.rad() > abs(x.mid()) * arb(10) ** -9:
        return f"[{_digits(x.lower())}, {_digits(x.upper())}]"
    return _digits(_middle(x))


def _digits(x: arb, count: int = 9) -> str:
    """A few digits, of a number of any size."""
    number = float(x)
    in_range = math.isnan(number) or x == 0 or 1e-300 < abs(number) < math.inf
    return f"{number:.{count}g}" if in_range else str(x.mid().str(count, radius=False))


__all__ = ["Measurement", "StaticCase", "StaticClaim", "Trials", "axes_of", "hull", "judge"]
