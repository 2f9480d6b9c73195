"""From a case on which a conjecture fails to the smallest one: smallest shapes first, then simplest numbers.

Every structure that the strategy is known to draw and that is smaller is searched, in ascending order, with a bounded
number of cases; the first that fails is kept. Then the numbers are simplified. What comes out is confirmed exactly.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from proofs_checks.conjectures.batches import Task, explore
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.confirm import Confirm
from proofs_checks.conjectures.generation import Drawn, draw, magnitude, simpler_held
from proofs_checks.conjectures.restrictions import restrictions
from proofs_checks.conjectures.simplify import simplify

MORE_DRAWN = 150  # cases drawn only for their structures
STRUCTURES = 40  # smaller ones that are searched
CASES = 1500  # judged per structure
ASKED_STRUCTURES, ASKED_CASES = 8, 64  # the same where oracles are asked, which take long
ASKED_CANDIDATES, ASKED_SWEEPS = 48, 12
BASES = 8  # drawn cases whose fixed values are tried with parts of a failing case
WEIGHT = 3_000_000  # entries of intermediate results judged for one smaller structure
SECONDS = 30.0


def shrink(
    confirm: Confirm, case: ConjectureCase, drawn: Drawn, *, seed: int, timed: bool
) -> ConjectureCase:
    """The smallest and simplest case known on which the conjecture certainly fails.

    Args:
        case: certainly fails. drawn: what was drawn so far; more is drawn for its structures.
        timed: whether to give up after SECONDS; otherwise only counts bound the work, and it is reproducible.
    """
    deadline = time.monotonic() + SECONDS if timed else float("inf")

    def late() -> bool:
        return time.monotonic() > deadline

    more = Drawn(cases=list(drawn.cases))
    more = draw(confirm.conjecture, count=MORE_DRAWN, seed=seed + 1, deadline=deadline, known=more)
    limit = magnitude(case)
    smaller = [group for group in more.by_structure() if magnitude(group[0]) < limit]
    asks = bool(confirm.conjecture.trace(case).program.oracles)
    for k, group in enumerate(smaller[: ASKED_STRUCTURES if asks else STRUCTURES]):
        if late():
            break
        found = _restricted(confirm, case, group)
        if found is None:
            found = _search(confirm, group, (seed, 7919, k), deadline if timed else None)
        if found is not None:
            case = found
            break
    if not asks:
        case = simpler_held(
            confirm.conjecture,
            case,
            lambda c: confirm.failing([c])[0] and confirm.fails(c),
            seed=seed + 2,
            deadline=deadline,
        )
    effort = {"most": ASKED_CANDIDATES, "sweeps": ASKED_SWEEPS} if asks else {}
    ask = None if asks else confirm.fails_if_defined
    simple = simplify(case, confirm.verdicts, seed=seed, stop=late, ask=ask, **effort)
    return simple if confirm.fails(simple) else case


def _restricted(
    confirm: Confirm, case: ConjectureCase, group: Sequence[ConjectureCase]
) -> ConjectureCase | None:
    """A part of a failing case that has this structure, and certainly fails."""
    held = any(not leaf.free for leaf in group[0].leaves.values())
    parts = [part for base in group[: BASES if held else 1] for part in restrictions(case, base)]
    if not parts or confirm.conjecture.trace(parts[0]).program.oracles:
        return None
    failing = confirm.failing(parts)
    return next(
        (c for c, failed in zip(parts, failing, strict=True) if failed and confirm.fails(c)), None
    )


def _search(
    confirm: Confirm,
    group: Sequence[ConjectureCase],
    seed: tuple[int, ...],
    deadline: float | None,
) -> ConjectureCase | None:
    """A case of this structure that certainly fails, if one is found quickly."""
    traced = confirm.conjecture.trace(group[0])
    movable = any(leaf.free and leaf.size for leaf in group[0].leaves.values())
    if not movable:
        failing = confirm.failing(group)
        return next(
            (c for c, failed in zip(group, failing, strict=True) if failed and confirm.fails(c)),
            None,
        )
    weight = max(sum(len(i.args) + 1 for i in traced.program.instructions), 1)
    count = ASKED_CASES if traced.program.oracles else max(min(CASES, WEIGHT // weight), 64)
    bases = tuple(group[:64])
    task = Task(traced, bases, count, seed, confirm.constants, simple=True, deadline=deadline)
    return next((c for c in explore(task).violated if confirm.fails(c)), None)


__all__ = ["shrink"]
