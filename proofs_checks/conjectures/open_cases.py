"""Exact answers for a few cases that floats leave undecided.

A strict inequality that fails by nothing but equality fails at a few simple points, and floats with error bounds leave
exactly these open. So a few undecided cases of every unit of the search are judged in rationals and balls.
"""

from __future__ import annotations

from collections.abc import Sequence

from proofs_checks.conjectures.batches import Outcome
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.confirm import Confirm
from proofs_checks.conjectures.conjecture import ConjectureError

DRAWN, MOST = 48, 128  # asked of the cases that Hypothesis draws, and in all


class Asked:
    """Asks for exact answers, as long as there are any left, and for none twice."""

    def __init__(self, confirm: Confirm) -> None:
        self._confirm = confirm
        self._left = MOST
        self._known: set[str] = set()

    def look(
        self, cases: Sequence[ConjectureCase], *, reserve: int = 0
    ) -> tuple[ConjectureCase | None, Outcome]:
        """A case that certainly fails, and how many others hold or are vacuous after all.

        Args:
            reserve: how many answers to leave for later.
        """
        from proofs_checks.conjectures.judge import HOLDS, VACUOUS, VIOLATED

        total = Outcome()
        for case in cases:
            if self._left <= reserve or self._confirm.conjecture.trace(case).program.oracles:
                break
            if case.hash in self._known:
                continue
            self._known.add(case.hash)
            self._left -= 1
            try:
                judged = self._confirm.exact(case, quick=True)
            except ConjectureError:
                continue  # a limit between what is defined and what is not: floats decide what is an error
            if judged.status == VIOLATED and self._confirm.fails(case):
                return case, total.plus(Outcome(deciding=1))
            holds = judged.status == HOLDS
            finite = holds and abs(judged.log_ratio) < float("inf")
            total = total.plus(
                Outcome(
                    deciding=int(holds),
                    vacuous=int(judged.status == VACUOUS),
                    tightest=(judged.log_ratio, case) if finite else None,
                )
            )
        return None, total


__all__ = ["DRAWN", "MOST", "Asked"]
