"""Cases drawn by Hypothesis: simple ones first, steered towards those that are closest to failing.

Hypothesis generates, targets and - for values that it alone knows how to simplify - shrinks; what is drawn is judged
one by one with error bounds. Its database is not used: a search is repeatable by its seed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings, target
from hypothesis import seed as seeded
from hypothesis.errors import HypothesisException, HypothesisWarning, Unsatisfiable

from proofs_checks.conjectures.batches import Outcome, score
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.guards import Guard
from proofs_checks.conjectures.lanes import inputs_of
from proofs_checks.conjectures.simplify import total_cost
from proofs_checks.strategies.origin import Source
from proofs_checks.strategies.repeatable import repeatable
from theory.errors import LemmataError

FIRST_DRAWN = 150  # cases that Hypothesis draws where the batched search can take over
HELD_DRAWN = 150  # cases drawn for simpler values of what is held fixed
SIMPLE_HELD = 3  # whole numbers up to it are simple enough
SHRINKS = 400  # calls of the conjecture that Hypothesis may use for shrinking
PHASES = (Phase.generate, Phase.target, Phase.shrink)


class _Stop(BaseException):
    """Leaves Hypothesis' loop at once, shrinking nothing."""

    def __init__(self, error: LemmataError | None = None) -> None:
        super().__init__()
        self.error = error


class _Violated(Exception):
    """What Hypothesis is to shrink."""


@dataclass
class Drawn:
    """What was drawn.

    Attributes:
        cases: in the order drawn, none twice. outcome: of those that were judged. violated: a case on which the
            conjecture fails, exactly judged, shrunk by Hypothesis as far as that is its business.
    """

    cases: list[ConjectureCase] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)
    violated: ConjectureCase | None = None

    def by_structure(self) -> list[list[ConjectureCase]]:
        """Cases of equal structure together, small ones first."""
        groups: dict[Any, list[ConjectureCase]] = {}
        for case in self.cases:
            groups.setdefault(case.structure, []).append(case)
        return sorted(groups.values(), key=lambda g: magnitude(g[0]))


def magnitude(case: ConjectureCase) -> tuple[int, int, str]:
    """How large the shapes of a case are; cases with smaller ones are preferred."""
    shapes = case.shapes
    longest = max((max(s, default=1) for s in shapes.values()), default=0)
    return case.size, longest, repr(case.structure)


Judge = Callable[[ConjectureCase], tuple[Outcome, float, bool]]


def draw(
    conjecture: Conjecture,
    *,
    count: int,
    seed: int,
    judge: Judge | None = None,
    deadline: float = float("inf"),
    known: Drawn | None = None,
) -> Drawn:
    """Draw cases, judge them, and stop at the first on which the conjecture fails.

    Args:
        count: at most so many. judge: what a case's outcome and score are, and whether it fails for sure; None to
            draw only. deadline: of `time.monotonic`. known: what was drawn before; it is not judged again.

    Raises:
        LemmataError: the strategy draws nothing, or raises; or what ``judge`` and the conjecture raise.
    """
    out = known if known is not None else Drawn()
    seen = {_key(case) for case in out.cases}
    shrinking = 0

    def attempt(drawn: tuple[Any, Guard | None]) -> None:
        nonlocal shrinking
        # one case at least, however short the time
        late = bool(out.cases) and time.monotonic() > deadline
        if late or (out.violated is not None and shrinking > SHRINKS):
            raise _Stop
        try:
            case = _case(conjecture, *drawn)
            key = _key(case)
            fresh = key not in seen
            seen.add(key)
            if out.violated is not None:
                shrinking += 1
            if judge is None or not (fresh or out.violated is not None):
                if fresh:
                    out.cases.append(case)
                return
            found, value, fails = judge(case)
        except LemmataError as error:
            raise _Stop(error) from error
        if fresh and out.violated is None:
            out.cases.append(case)
            out.outcome = out.outcome.plus(found)
        if fails:
            out.violated = case
            if all(leaf.free for leaf in case.leaves.values()):
                raise _Stop  # we move what is free further than Hypothesis does
            raise _Violated
        if out.violated is None:
            target(value, label="slack")

    bounds = settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=PHASES,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    try:
        with repeatable(), warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            run = given(Source(conjecture.case).strategy)(attempt)
            seeded(seed)(bounds(run))()
    except _Stop as stop:
        if stop.error is not None:
            raise stop.error from stop.error.__cause__
    except Unsatisfiable as error:
        raise LemmataError(
            f"{conjecture.name}: its strategy draws no case; loosen its filters and bounds"
        ) from error
    except _Violated:
        pass
    except Exception as error:
        if out.violated is not None and isinstance(error, HypothesisException):
            return out  # it would not shrink what it draws differently each time; we hold the case itself
        raise LemmataError(
            f"{conjecture.name}: its strategy fails with {type(error).__name__}: {error}; repair case="
        ) from error
    return out


Ask = Callable[[Sequence[ConjectureCase]], tuple[ConjectureCase | None, Outcome]]


def judge_drawn(
    conjecture: Conjecture, confirm: Callable[[ConjectureCase], bool], ask: Ask | None = None
) -> Judge:
    """The judge of single cases: with error bounds, a failure confirmed by ``confirm``.

    Args:
        ask: for what error bounds leave undecided.
    """
    from proofs_checks.conjectures.judge import (
        HOLDS,
        UNDECIDED,
        UNDEFINED,
        VACUOUS,
        VIOLATED,
        judge,
    )
    from proofs_checks.conjectures.oracles import float_oracles

    def decide(case: ConjectureCase) -> tuple[Outcome, float, bool]:
        traced = conjecture.trace(case)
        oracles = float_oracles() if traced.program.oracles else None
        values, radii = inputs_of([case])
        judged = judge(traced, values, radii=radii, oracles=oracles)
        status = int(judged.status[0])
        ratio = float(judged.log_ratio[0])
        fails = status in (VIOLATED, UNDEFINED) and confirm(case)
        tight = (ratio, case) if status == HOLDS and abs(ratio) < float("inf") else None
        deciding = int(status == HOLDS or fails)
        outcome = Outcome(1, deciding, int(status == VACUOUS), tightest=tight)
        if status == UNDECIDED and ask is not None:
            failing, settled = ask([case])
            outcome, fails = outcome.plus(settled), failing is not None
        return outcome, float(score(judged)[0]), fails

    return decide


def simpler_held(
    conjecture: Conjecture,
    case: ConjectureCase,
    fails: Callable[[ConjectureCase], bool],
    *,
    seed: int,
    deadline: float = float("inf"),
) -> ConjectureCase:
    """A case with the same free values on which the conjecture still fails, and simpler ones of those held fixed.

    Only Hypothesis knows how to simplify what other strategies have drawn.
    """
    leaves = case.leaves
    held = [path for path, leaf in leaves.items() if not leaf.free and leaf.size]
    free = {path: case.values[path] for path, leaf in leaves.items() if leaf.free}
    if not free or all(_simple(x) for path in held for x in case.values[path]):
        return case
    best = case

    def judge(drawn: ConjectureCase) -> tuple[Outcome, float, bool]:
        nonlocal best
        if drawn.structure != case.structure:
            return Outcome(1), 0.0, False
        both = drawn.moved(free)
        failing = both.admitted and fails(both)
        if failing and _held_cost(both, held) < _held_cost(best, held):
            best = both
        return Outcome(1), 0.0, failing

    draw(conjecture, count=HELD_DRAWN, seed=seed, judge=judge, deadline=deadline)
    return best


def _simple(x: Fraction) -> bool:
    return x.denominator == 1 and abs(x) <= SIMPLE_HELD


def _held_cost(case: ConjectureCase, held: Sequence[str]) -> float:
    return total_cost(tuple(x for path in held for x in case.values[path]))


def _case(conjecture: Conjecture, drawn: Any, guard: Guard | None) -> ConjectureCase:
    try:
        return ConjectureCase.of(drawn, guard)
    except LemmataError as error:
        raise LemmataError(
            f"{conjecture.name}: its strategy draws what no case can be: {error}"
        ) from error


def _key(case: ConjectureCase) -> Any:
    return case.structure, tuple(case.values.items())


__all__ = ["FIRST_DRAWN", "Drawn", "draw", "judge_drawn", "magnitude", "simpler_held"]
