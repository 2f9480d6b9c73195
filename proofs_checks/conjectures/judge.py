"""The verdicts of a traced conjecture: on batches of floats with error bounds, and exactly on single cases.

A lane is

- VACUOUS where some entry of a hypothesis fails by more than the error bound;
- UNDECIDED where a hypothesis, or a conclusion that is not violated, is within its error bound or has no finite bound
  (overflow);
- VIOLATED where all hypotheses hold and some entry of a conclusion fails by more than the error bound;
- UNDEFINED where nothing fails, nothing is open, and a side is certainly no number (a logarithm of 0, a root of -1, a
  division by 0);
- HOLDS otherwise.

An equality holds where its two sides differ by no more than the error bound and that bound is at most its resolution,
relative to the larger side; it is met *numerically* then, also as a hypothesis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from numerics.program_bounds import bounds
from proofs_checks.conjectures.conjecture import Traced
from proofs_checks.conjectures.judge_codes import HOLDS, UNDECIDED, UNDEFINED, VACUOUS, VIOLATED
from proofs_checks.conjectures.judge_exact import ExactJudged, judge_exact
from theory.errors import LemmataError
from theory.program import ArrayRelation, Program

Float: TypeAlias = NDArray[np.float64]
UP = (
    1.0 + 2.0**-50
)  # sums of two errors are rounded, and so is the difference that is compared with them


@dataclass(frozen=True)
class Judged:
    """Verdicts on a batch; arrays (B,).

    Attributes:
        status: int8; see the module's docstring.
        log_ratio: log(lhs / rhs) at the entry that is closest to failing (a failing one where there is one); with both
            sides negative log(rhs / lhs); -inf where it is far from failing, inf where no factor would mend it. For an
            equality the distance against what its resolution allows.
        slack: (lhs - rhs) / (|lhs| + |rhs|), the largest of all entries; > 0 where one fails, as floats see it.
        conclusion, entry: which conclusion that entry belongs to, and its flat index after broadcasting.
        lhs, rhs: its sides. error: bound on that of rhs - lhs.
    """

    status: NDArray[np.int8]
    log_ratio: Float
    slack: Float
    conclusion: NDArray[np.int64]
    entry: NDArray[np.int64]
    lhs: Float
    rhs: Float
    error: Float


@dataclass(frozen=True)
class _Entries:
    """A relation entry by entry, (B, E)."""

    lhs: Float
    rhs: Float
    error: Float
    holds: NDArray[np.bool_]
    fails: NDArray[np.bool_]
    undefined: NDArray[np.bool_]


def judge(
    traced: Traced,
    inputs: Mapping[str, Float],
    *,
    radii: Mapping[str, Float] | None = None,
    constants: Mapping[str, Any] | None = None,
    oracles: Mapping[str, Any] | None = None,
) -> Judged:
    """The verdicts on a batch of cases of one structure, in float64 with error bounds.

    Args:
        inputs: path of a leaf -> (B, *shape). radii: path -> how far the true inputs may be from these.
        constants: name of a free constant -> a number (a Fraction is taken exactly), or numbers (B,).
        oracles: kind -> measure with error bounds; see `numerics.program_bounds`.

    Raises:
        NumericsError: a missing or mis-shaped input, a missing oracle. LemmataError: a free constant without value.
    """
    program = traced.program
    given, off = dict(inputs), dict(radii or {})
    count = next((len(a) for a in given.values()), 1)
    _fill_constants(program, count, constants or {}, given, off)
    found = bounds(program.instructions, given, off, program.sides(), oracles=oracles)
    with np.errstate(all="ignore"):
        assumed, concluded, best = _Tally(count), _Tally(count), _Best(count)
        for relation in program.hypotheses:
            assumed.look(_entries(relation, found))
        for k, relation in enumerate(program.conclusions):
            e = _entries(relation, found)
            concluded.look(e)
            best.look(k, relation, e)
    status = np.full(count, UNDECIDED, dtype=np.int8)
    sure = assumed.decided & ~assumed.undefined
    status[sure & concluded.decided] = HOLDS
    # nothing else is open that could turn out to be violated, or a hypothesis to fail
    status[sure & concluded.decided & concluded.undefined] = UNDEFINED
    status[assumed.decided & assumed.undefined] = UNDEFINED
    status[sure & concluded.fails] = VIOLATED
    status[assumed.fails] = VACUOUS
    return best.judged(status)


class _Tally:
    """Of all entries in a lane: whether one fails, whether one is undefined, and whether all others hold."""

    def __init__(self, count: int) -> None:
        self.fails, self.undefined = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        self.decided = np.ones(count, dtype=bool)

    def look(self, e: _Entries) -> None:
        self.fails |= e.fails.any(axis=1)
        self.undefined |= e.undefined.any(axis=1)
        self.decided &= (e.holds | e.undefined).all(axis=1)


def _fill_constants(
    program: Program,
    count: int,
    constants: Mapping[str, Any],
    given: dict[str, Float],
    off: dict[str, Float],
) -> None:
    for path in program.inputs:
        prefix, _, name = path.partition(":")
        if prefix != "constant" or not name or path in given:
            continue
        if name not in constants:
            raise LemmataError(
                f"the free constant {name!r} has no value: pass constants={{{name!r}: ...}}"
            )
        value = constants[name]
        mid = np.asarray(value if isinstance(value, np.ndarray) else float(value), dtype=np.float64)
        given[path] = np.broadcast_to(mid, (count,))
        if isinstance(value, Fraction) and Fraction(float(value)) != value:
            off[path] = np.broadcast_to(np.spacing(abs(mid)), (count,))


def _entries(relation: ArrayRelation, found: Mapping[int, tuple[Float, Float]]) -> _Entries:
    found_sides = (*found[relation.lhs], *found[relation.rhs])
    depth = max(a.ndim for a in found_sides)
    sides = [_flat(a, depth) for a in found_sides]
    shape = np.broadcast_shapes(*(a.shape for a in sides))
    lhs, lhs_error, rhs, rhs_error = (
        np.broadcast_to(a, shape).reshape(shape[0], -1) for a in sides
    )
    gap, error = lhs - rhs, lhs_error + rhs_error
    beyond = error * UP
    if relation.op == "<=":
        holds, fails = -gap >= beyond, gap > beyond
    elif relation.op == "<":
        holds, fails = -gap > beyond, gap >= beyond
    else:
        fails = np.abs(gap) > beyond
        allowed = relation.resolution * np.maximum(np.abs(lhs), np.abs(rhs))
        holds = (np.abs(gap) <= beyond) & (error <= allowed)
    return _Entries(lhs, rhs, error, holds, fails, np.isnan(error))


def _flat(a: Float, depth: int) -> Float:
    """With as many axes as the other side, after the batch."""
    return a.reshape(a.shape[:1] + (1,) * (depth - a.ndim) + a.shape[1:])


class _Best:
    """The entry that is closest to failing, lane by lane; among those that fail, if there are any."""

    def __init__(self, count: int) -> None:
        self.log_ratio = np.full(count, -np.inf)
        self.slack = np.full(count, np.nan)
        self.conclusion, self.entry = (np.zeros(count, dtype=np.int64) for _ in range(2))
        self.lhs, self.rhs, self.error = (np.full(count, np.nan) for _ in range(3))
        self._key = np.full(count, -np.inf)
        self._seen = np.zeros(count, dtype=bool)

    def look(self, k: int, relation: ArrayRelation, e: _Entries) -> None:
        if not e.lhs.shape[1]:
            return
        ratios = _log_ratio(relation, e)
        # failing entries first, then by the ratio; a slack breaks ties of infinite ratios
        own = _slack(relation, e)
        key = np.where(np.isnan(ratios), -1e3, np.clip(ratios, -800.0, 800.0)) + e.fails * 1e4
        key = key + np.nan_to_num(own, nan=0.0) * 1e-9
        at = key.argmax(axis=1)
        rows = np.arange(len(at))
        better = ~self._seen | (key[rows, at] > self._key)
        self._seen[:] = True
        self._key = np.where(better, key[rows, at], self._key)
        self.conclusion = np.where(better, k, self.conclusion)
        self.entry = np.where(better, at, self.entry)
        for name, array in (
            ("log_ratio", ratios),
            ("lhs", e.lhs),
            ("rhs", e.rhs),
            ("error", e.error),
        ):
            setattr(self, name, np.where(better, array[rows, at], getattr(self, name)))
        self.slack = np.fmax(self.slack, np.fmax.reduce(own, axis=1))

    def judged(self, status: NDArray[np.int8]) -> Judged:
        return Judged(
            status,
            self.log_ratio,
            self.slack,
            self.conclusion,
            self.entry,
            self.lhs,
            self.rhs,
            self.error,
        )


def _log_ratio(relation: ArrayRelation, e: _Entries) -> Float:
    a, b = e.lhs, e.rhs
    if relation.op == "==":
        allowed = relation.resolution * np.maximum(np.abs(a), np.abs(b))
        distance = np.abs(a - b)
        return np.where(distance == 0, -np.inf, np.log(distance) - np.log(allowed))
    size = np.log(np.abs(a)) - np.log(np.abs(b))
    same = np.where((a > 0) & (b > 0), size, np.where((a < 0) & (b < 0), -size, np.nan))
    apart = np.where((a <= 0) & ((b > 0) | (a == b) | (a < 0)), -np.inf, np.inf)
    out = np.where(np.isnan(same), apart, same)
    return np.where(np.isnan(a) | np.isnan(b), np.nan, out)


def _slack(relation: ArrayRelation, e: _Entries) -> Float:
    scale = np.maximum(np.abs(e.lhs), np.abs(e.rhs))
    scale = np.where(scale == 0, 1.0, scale)
    a, b = e.lhs / scale, e.rhs / scale
    size = np.abs(a) + np.abs(b)
    size = np.where(size == 0, 1.0, size)
    if relation.op == "==":
        return (np.abs(a - b) - e.error / scale) / size
    return (a - b) / size


__all__ = [
    "HOLDS",
    "UNDECIDED",
    "UNDEFINED",
    "VACUOUS",
    "VIOLATED",
    "ExactJudged",
    "Judged",
    "judge",
    "judge_exact",
]
