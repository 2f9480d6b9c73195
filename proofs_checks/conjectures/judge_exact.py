"""The verdict on one case of a traced conjecture, on exact rationals and balls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq

from proofs_checks.conjectures.ball_numbers import Number, Undefined, ball_of
from proofs_checks.conjectures.balls import broadcast, explore
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Traced
from proofs_checks.conjectures.judge_codes import HOLDS, UNDECIDED, UNDEFINED, VACUOUS, VIOLATED
from theory.errors import LemmataError
from theory.program import ArrayRelation, Program
from theory.program import broadcast as common_shape

SMALLEST = 1e-300  # positive numbers below it are told by their logarithms
PRECISIONS = (128, 512, 2048)  # bits, one after the other while the case stays open


@dataclass(frozen=True)
class ExactJudged:
    """The verdict on one case.

    Attributes:
        status: as in `proofs_checks.conjectures.judge`.
        exact: nothing but rationals and balls was used, and no equality among the hypotheses is met only numerically.
        conclusion, entry: the comparison that is closest to failing, or fails, and the flat index after broadcasting.
        lhs, rhs: its sides, rounded. error: bound on that of rhs - lhs. log_ratio: as in `Judged`.
        log_sides: natural logarithms of the sides where floats cannot hold them, and neither is negative.
        reason: what was found, in words. line: of the user's file: where UNDEFINED arises, else of the comparison.
    """

    status: int
    exact: bool
    conclusion: int
    entry: int
    lhs: float
    rhs: float
    error: float
    log_ratio: float
    reason: str
    line: int
    log_sides: tuple[float | None, float | None] | None = None


@dataclass(frozen=True)
class _Entry:
    """One entry of a comparison: True where it holds, False where it fails, None where that is not known.

    Attributes:
        numerically: an equality that holds within its error bound and resolution, and perhaps not exactly.
    """

    relation: ArrayRelation
    index: int
    lhs: Number
    rhs: Number
    met: bool | None
    numerically: bool = False

    @property
    def undefined(self) -> Undefined | None:
        """The side that is no number."""
        return next((x for x in (self.lhs, self.rhs) if isinstance(x, Undefined)), None)


def judge_exact(
    traced: Traced,
    case: ConjectureCase,
    *,
    constants: Mapping[str, Any] | None = None,
    oracles: Mapping[str, Any] | None = None,
    floats: Mapping[str, Any] | None = None,
    precisions: Sequence[int] = PRECISIONS,
) -> ExactJudged:
    """The verdict on one case, on its exact values.

    Args:
        constants: name of a free constant -> its exact value.
        oracles: kind -> measure in balls; see `proofs_checks.conjectures.balls`.
        floats: kind -> measure with error bounds, for what balls leave open; by default
            `proofs_checks.conjectures.oracles.float_oracles`. The verdict is not exact then.
        precisions: bits of the balls, one after the other while the case stays open.

    Raises:
        LemmataError: a free constant without value, an oracle that nothing measures.
    """
    program = traced.program
    values = _values(program, case, constants or {})
    result: ExactJudged | None = None
    if program.oracles <= set(oracles or {}):
        for bits in precisions:
            with ctx.workprec(bits):
                found = explore(program, values, program.sides(), bits=bits, oracles=oracles)
                result = _judged(program, found, last=bits == PRECISIONS[-1])
            if result.status != UNDECIDED or program.oracles:
                break
    if result is None or (program.oracles and result.status == UNDECIDED):
        return _by_floats(traced, values, floats)
    return result


def _values(
    program: Program, case: ConjectureCase, constants: Mapping[str, Any]
) -> dict[str, Sequence[Fraction]]:
    out: dict[str, Sequence[Fraction]] = {}
    for path in program.inputs:
        if path in case.values:
            out[path] = case.values[path]
            continue
        name = path.removeprefix("constant:")
        if name not in constants:
            raise LemmataError(
                f"the free constant {name!r} has no value: pass constants={{{name!r}: ...}}"
            )
        out[path] = (Fraction(constants[name]),)
    return out


def _judged(program: Program, found: Mapping[int, list[Number]], *, last: bool) -> ExactJudged:
    hypotheses = [e for r in program.hypotheses for e in _entries(program, r, found, last)]
    conclusions = [
        (k, e) for k, r in enumerate(program.conclusions) for e in _entries(program, r, found, last)
    ]
    exact = not any(e.numerically for e in hypotheses)
    failed = next((e for e in hypotheses if e.met is False), None)
    lost = next((e for e in hypotheses if e.undefined), None)
    unsure = next((e for e in hypotheses if e.met is None), None)
    ratios = [_log_ratio(e) for _, e in conclusions]
    order = sorted(
        range(len(conclusions)),
        key=lambda c: (conclusions[c][1].met is False, _known(ratios[c]), -c),
    )
    k, worst, ratio = (
        (*conclusions[order[-1]], ratios[order[-1]]) if order else (0, None, -math.inf)
    )

    def result(status: int, e: _Entry | None, reason: str, line: int = 0) -> ExactJudged:
        sides = (worst.lhs, worst.rhs) if worst else (fmpq(0), fmpq(0))
        gap = ball_of(sides[0]) - ball_of(sides[1])
        return ExactJudged(
            status,
            exact,
            k,
            worst.index if worst else 0,
            float(ball_of(sides[0]).mid()),
            float(ball_of(sides[1]).mid()),
            float(gap.rad()) if gap.is_finite() else math.inf,
            ratio,
            reason,
            line or (e.relation.line if e else 0),
            _log_sides(*sides),
        )

    if failed:
        return result(VACUOUS, failed, f"hypothesis {_shown(failed)} fails")
    if lost:
        return result(UNDEFINED, lost, *_gone(program, lost))
    if unsure:
        return result(UNDECIDED, unsure, f"hypothesis {_shown(unsure)} cannot be decided")
    if worst and worst.met is False:
        return result(VIOLATED, worst, f"{_shown(worst)} fails")
    lost = next((e for _, e in conclusions if e.undefined), None)
    if lost:
        return result(UNDEFINED, lost, *_gone(program, lost))
    unsure = next((e for _, e in conclusions if e.met is None), None)
    if unsure:
        return result(UNDECIDED, unsure, f"{_shown(unsure)} cannot be decided")
    return result(HOLDS, worst, "")


def _known(ratio: float) -> float:
    return -math.inf if math.isnan(ratio) else ratio


def _entries(
    program: Program, relation: ArrayRelation, found: Mapping[int, list[Number]], last: bool
) -> list[_Entry]:
    shapes = [program.instructions[k].shape for k in (relation.lhs, relation.rhs)]
    shape = common_shape(*shapes)
    sides = (
        broadcast(found[k], s, shape)
        for k, s in zip((relation.lhs, relation.rhs), shapes, strict=True)
    )
    return [_entry(relation, k, x, y, last) for k, (x, y) in enumerate(zip(*sides, strict=True))]


def _entry(relation: ArrayRelation, index: int, x: Number, y: Number, last: bool) -> _Entry:
    if isinstance(x, Undefined) or isinstance(y, Undefined):
        return _Entry(relation, index, x, y, None)
    met: bool | None
    numerically = False
    if relation.op == "<=":
        met = True if x <= y else False if x > y else None
    elif relation.op == "<":
        met = True if x < y else False if x >= y else None
    elif x == y:
        met = True
    elif x < y or x > y:
        met = False
    else:
        # whether an equality of irrational numbers is exact, no precision can tell: the last one settles it
        met = True if last and _within(relation, x, y) else None
        numerically = met is True
    return _Entry(relation, index, x, y, met, numerically)


def _within(relation: ArrayRelation, x: Number, y: Number) -> bool:
    gap = ball_of(x) - ball_of(y)
    size = max(abs(ball_of(x)).lower(), abs(ball_of(y)).lower())
    resolution = Fraction(relation.resolution)
    allowed = size * arb(fmpq(resolution.numerator, resolution.denominator))
    return bool(gap.is_finite() and gap.rad() <= allowed)


def _gone(program: Program, e: _Entry) -> tuple[str, int]:
    """What is undefined, and the line where it arises."""
    found = e.undefined
    instruction = program.instructions[found.instruction if found else 0]
    what = {
        "div": "a division by zero",
        "log": "a logarithm of a number that is not positive",
        "log1p": "log1p of a number that is at most -1",
        "sqrt": "a root of a negative number",
        "acos": "arccos of a number outside of [-1, 1]",
        "power": f"a power {instruction.attributes.get('exponent')} outside of its domain",
    }[instruction.op]
    return what, instruction.line


def _shown(e: _Entry) -> str:
    def text(x: Number) -> str:
        return "undefined" if isinstance(x, Undefined) else str(ball_of(x).str(9, radius=False))

    name = f"{e.relation.name}: " if e.relation.name else ""
    return f"{name}{text(e.lhs)} {e.relation.op} {text(e.rhs)} (entry {e.index})"


def _log_ratio(e: _Entry) -> float:
    """As `Judged.log_ratio`."""
    if e.undefined:
        return math.nan
    x, y = (ball_of(s).mid() for s in (e.lhs, e.rhs))
    if x.is_nan() or y.is_nan():
        return math.nan
    if e.relation.op == "==":
        allowed = max(abs(x), abs(y)) * arb(e.relation.resolution)
        return -math.inf if x == y else _log(abs(x - y)) - _log(allowed)
    if x > 0 and y > 0:
        return _log(x) - _log(y)
    if x < 0 and y < 0:
        return _log(-y) - _log(-x)
    return -math.inf if x <= 0 and (y > 0 or x == y or x < 0) else math.inf


def _log_sides(x: Number, y: Number) -> tuple[float | None, float | None] | None:
    mids = [ball_of(s).mid() for s in (x, y)]
    extreme = any(not SMALLEST <= abs(float(m)) < math.inf and m != 0 for m in mids)
    if not extreme or any(m.is_nan() or m < 0 for m in mids):
        return None
    first, second = (_log(m) if m > 0 else None for m in mids)
    return first, second


def _log(x: arb) -> float:
    return float(x.log()) if x > 0 else -math.inf


def _by_floats(
    traced: Traced, values: Mapping[str, Sequence[Fraction]], floats: Mapping[str, Any] | None
) -> ExactJudged:
    """The verdict in float64 with error bounds, where a measure has no balls."""
    from proofs_checks.conjectures.judge import judge

    if floats is None:
        from proofs_checks.conjectures.oracles import float_oracles

        floats = float_oracles()
    program = traced.program
    inputs, radii = {}, {}
    for path, number in program.inputs.items():
        shape = (1, *program.instructions[number].shape)
        mids = [_nearest(x) for x in values[path]]
        inputs[path] = np.array(mids).reshape(shape)
        radii[path] = np.array(list(map(_distance, values[path], mids))).reshape(shape)
    found = judge(traced, inputs, radii=radii, oracles=floats)
    k = int(found.conclusion[0])
    status = int(found.status[0])
    names = (
        "a hypothesis fails",
        "",
        "a conclusion fails",
        "the error bounds straddle",
        "no number",
    )
    return ExactJudged(
        status,
        False,
        k,
        int(found.entry[0]),
        float(found.lhs[0]),
        float(found.rhs[0]),
        float(found.error[0]),
        float(found.log_ratio[0]),
        names[status],
        program.conclusions[k].line,
    )


def _nearest(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _distance(x: Fraction, mid: float) -> float:
    """An upper bound of how far the float is."""
    if not math.isfinite(mid):
        return math.inf
    off = abs(x - Fraction(mid))
    return math.nextafter(float(off), math.inf) if off else 0.0
