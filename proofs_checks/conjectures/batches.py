"""One unit of the batched search: many cases of one structure, judged by the thousand.

A unit is plain data in and plain data out, and its outcome depends on nothing but its task: units run in any process
and in any order. Every generation of a unit is judged with error bounds; moved and sampled cases, and now and then
cases that climbed along gradients, replace the ones that are furthest from failing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Traced
from proofs_checks.conjectures.lanes import Lanes
from proofs_checks.conjectures.pools import Pool

Array = NDArray[np.float64]
WIDEST, NARROWEST = 1024, 16  # lanes of a batch
ASKING = {"flow": 64, "optimum": 8}  # of one that asks such oracles
ENTRIES = 1 << 21  # of all intermediate results of a batch
ELITES = 48
ALIKE = 6  # elites with the same score
OPEN = 8  # elites that are undecided: near them there is little to decide
CLIMBERS, STEPS = 24, 12
CLIMB_EVERY = 4  # generations
KEPT = 4  # violating cases of a unit


@dataclass(frozen=True)
class Task:
    """What a unit is asked.

    Attributes:
        bases: drawn cases of one structure; what is not free is taken from them. count: how many cases to judge.
        seed: of everything random. constants: exact values of the free constants. simple: begin with small integers,
            and come back to them.
        deadline: of `time.monotonic`, when to stop in any case; None for reproducible searches.
    """

    traced: Traced
    bases: tuple[ConjectureCase, ...]
    count: int
    seed: tuple[int, ...]
    constants: Mapping[str, Fraction] = field(default_factory=dict)
    simple: bool = False
    deadline: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a unit found.

    Attributes:
        cases, deciding, vacuous: counts of judged cases. violated: worst first. undefined: a case on which the
            hypotheses hold and a side is not a number. tightest: (log of lhs/rhs, case) among those that hold.
        elites: the cases closest to failing, for the next unit of this structure. refused: how many cases the filters
            of the strategy did not let pass; they are not judged. undecided: the simplest ones of those.
    """

    cases: int = 0
    deciding: int = 0
    vacuous: int = 0
    violated: tuple[ConjectureCase, ...] = ()
    undefined: ConjectureCase | None = None
    tightest: tuple[float, ConjectureCase] | None = None
    elites: tuple[ConjectureCase, ...] = ()
    refused: int = 0
    undecided: tuple[ConjectureCase, ...] = ()

    def plus(self, other: Outcome) -> Outcome:
        """Both together; the elites and what is undecided are those of the other one."""
        tightest = [t for t in (self.tightest, other.tightest) if t is not None]
        return Outcome(
            self.cases + other.cases,
            self.deciding + other.deciding,
            self.vacuous + other.vacuous,
            (*self.violated, *other.violated),
            self.undefined or other.undefined,
            max(tightest, key=lambda t: t[0]) if tightest else None,
            other.elites,
            self.refused + other.refused,
            other.undecided,
        )


@dataclass
class _Herd:
    """Lanes that survive from one generation to the next, best first."""

    points: Array
    of: NDArray[np.intp]
    scores: Array
    open: NDArray[np.bool_]  # undecided

    def __len__(self) -> int:
        return len(self.scores)

    def join(self, new: _Herd) -> _Herd:
        """The best of both, not too many alike: what touches by construction must not crowd out the rest."""
        points = np.concatenate([self.points, new.points])
        of = np.concatenate([self.of, new.of])
        scores = np.concatenate([self.scores, new.scores])
        undecided = np.concatenate([self.open, new.open])
        order = np.argsort(-scores, kind="stable")
        seen: dict[float, int] = {}
        kept = []
        room = OPEN
        for k in order.tolist():
            score = round(float(scores[k]), 9)
            seen[score] = seen.get(score, 0) + 1
            if seen[score] > ALIKE or (undecided[k] and not room):
                continue
            room -= bool(undecided[k])
            kept.append(k)
            if len(kept) == ELITES:
                break
        return _Herd(points[kept], of[kept], scores[kept], undecided[kept])


def width(traced: Traced) -> int:
    """How many cases of this program to judge at once."""
    if traced.program.oracles:
        return min(ASKING.get(kind, NARROWEST) for kind in traced.program.oracles)
    entries = sum(math.prod(i.shape) for i in traced.program.instructions)
    return int(np.clip(ENTRIES // max(entries, 1), NARROWEST, WIDEST))


def explore(task: Task) -> Outcome:
    """Judge ``task.count`` cases of one structure, or fewer where one is violated or time is over."""
    from proofs_checks.conjectures.judge import UNDECIDED, UNDEFINED, VIOLATED, judge
    from proofs_checks.conjectures.oracles import float_oracles

    deadline = math.inf if task.deadline is None else task.deadline
    lanes = Lanes(task.bases)
    rng = np.random.default_rng(task.seed)
    oracles = float_oracles() if task.traced.program.oracles else None
    herd = _Herd(lanes.points[:0], np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0, dtype=bool))
    total, pool = Outcome(), Pool()
    size, generation = width(task.traced), 0
    while total.cases + total.refused < task.count and time.monotonic() < deadline:
        count = min(size, task.count - total.cases - total.refused)
        points, of = _next(task, lanes, herd, rng, count, generation, deadline)
        passed = lanes.admitted(points, of)
        total = replace(total, refused=total.refused + int((~passed).sum()))
        points, of = points[passed], of[passed]
        generation += 1
        if not len(of):
            continue
        judged = judge(
            task.traced,
            lanes.inputs(points, of),
            radii=lanes.radii(of),
            constants=task.constants,
            oracles=oracles,
        )
        scores = score(judged)
        total = replace(total.plus(_counted(judged, lanes, points, of)), elites=())
        if (judged.status == UNDEFINED).any():
            k = int(np.flatnonzero(judged.status == UNDEFINED)[0])
            return replace(total, undefined=lanes.case(points[k], int(of[k])))
        bad = np.flatnonzero(judged.status == VIOLATED)
        if len(bad):
            worst = bad[np.argsort(-scores[bad], kind="stable")][:KEPT]
            found = tuple(lanes.case(points[k], int(of[k])) for k in worst)
            return replace(total, violated=found, elites=found)
        pool.look(judged, points, of)
        herd = herd.join(_Herd(points, of, scores, judged.status == UNDECIDED))
    elites = tuple(
        lanes.case(p, int(o)) for p, o in zip(herd.points[:KEPT], herd.of[:KEPT], strict=True)
    )
    return replace(total, elites=elites, undecided=tuple(lanes.case(*lane) for lane in pool.lanes))


def score(judged: object) -> Array:
    """(B,) how nearly cases fail; vacuous ones, and those that compare 0 with 0, come last."""
    from proofs_checks.conjectures.judge import UNDEFINED, VACUOUS

    status, slack = judged.status, judged.slack  # type: ignore[attr-defined]
    empty = (judged.lhs == 0) & (judged.rhs == 0)  # type: ignore[attr-defined]
    out = np.where(empty, -1.0, np.nan_to_num(slack, nan=-1.5, posinf=-1.5, neginf=-1.5))
    return np.where(status == VACUOUS, -2.0, np.where(status == UNDEFINED, -3.0, out))


def _counted(judged: object, lanes: Lanes, points: Array, of: NDArray[np.intp]) -> Outcome:
    from proofs_checks.conjectures.judge import HOLDS, VACUOUS, VIOLATED

    status = judged.status  # type: ignore[attr-defined]
    holds = status == HOLDS
    ratios = np.where(holds, judged.log_ratio, np.nan)  # type: ignore[attr-defined]
    tightest = None
    if np.isfinite(ratios).any():
        k = int(np.nanargmax(np.where(np.isfinite(ratios), ratios, np.nan)))
        tightest = (float(ratios[k]), lanes.case(points[k], int(of[k])))
    deciding = int(holds.sum() + (status == VIOLATED).sum())
    return Outcome(len(status), deciding, int((status == VACUOUS).sum()), tightest=tightest)


def _next(
    task: Task,
    lanes: Lanes,
    herd: _Herd,
    rng: np.random.Generator,
    count: int,
    generation: int,
    deadline: float,
) -> tuple[Array, NDArray[np.intp]]:
    """The cases of one generation."""
    space = lanes.space
    if generation == 0 and task.simple:
        points = space.simple(rng, count)
        return points, rng.integers(len(lanes.bases), size=len(points))
    if not len(herd):
        points = np.concatenate([lanes.points[:count], space.sample(rng, count)])[:count]
        of = np.arange(count) if count < len(lanes.bases) else None
        rest = rng.integers(len(lanes.bases), size=max(count - len(lanes.bases), 0))
        return points, of if of is not None else np.r_[np.arange(len(lanes.bases)), rest]
    fresh = max(count // 4, 1)
    few = space.simple(rng, max(fresh // 4, 1)) if task.simple else space.simple(rng, 1)
    new_points = np.concatenate([few, space.sample(rng, fresh)])[:fresh]
    new_of = rng.integers(len(lanes.bases), size=fresh)
    children, parents = space.moves(rng, herd.points, count - fresh)
    children_of = herd.of[parents]
    if generation % CLIMB_EVERY == 1 and not task.traced.program.oracles:
        half = CLIMBERS // 2
        start = np.concatenate([herd.points[:half], new_points[:half]])
        start_of = np.concatenate([herd.of[:half], new_of[:half]])
        climbed = _climb(task, lanes, start, start_of, lambda: time.monotonic() > deadline)
        number = min(len(climbed), len(children))
        children[:number], children_of[:number] = climbed[:number], start_of[:number]
    return np.concatenate([new_points, children]), np.concatenate([new_of, children_of])


def _climb(
    task: Task, lanes: Lanes, points: Array, of: NDArray[np.intp], stop: Callable[[], bool]
) -> Array:
    from numerics.program_search import climb

    program = task.traced.program
    constants = {
        f"constant:{name}": np.full(len(points), float(value))
        for name, value in task.constants.items()
    }
    return climb(
        program.instructions,
        program.hypotheses,
        program.conclusions,
        lanes.space,
        points,
        {**lanes.held(of), **constants},
        steps=STEPS,
        stop=stop,
    )


__all__ = ["Outcome", "Task", "explore", "score", "width"]
