"""Claims with events at given times, for the tests of blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from proofs_checks.batch import Batch, Float, StepContext
from proofs_checks.claims.trajectory import TrajectoryClaim


class BellClaim(TrajectoryClaim):
    """``bell`` rings at BELL in every lane; nobody waits for it longer than DEADLINE.

    ``later`` is EARLY until the step with BELL in it, and LATE from then on.
    """

    BELL, DEADLINE = 0.7, 5.0
    EARLY, LATE = 0.25, 2.0

    def __init__(self, batch: Batch, wanted: Iterable[str]) -> None:
        super().__init__(batch, wanted)
        self.declare("bell", "later")
        self.open_events = {"bell": np.ones(batch.size, dtype=bool)}
        self.set("later", np.arange(batch.size), np.full(batch.size, self.EARLY))

    def on_step(self, context: StepContext) -> None:
        now = (context.start <= self.BELL) & (context.end >= self.BELL)
        lanes = np.unique(context.lanes[now])
        if lanes.size:
            self.set("bell", lanes, np.full(lanes.size, self.BELL))
            self.set("later", lanes, np.full(lanes.size, self.LATE))
            self.open_events["bell"][lanes] = False
            context.forget()

    def deadline(self, name: str) -> Float:
        return np.full(self.batch.size, self.DEADLINE)


class ImpatientClaim(BellClaim):
    """Nobody waits for the bell."""

    DEADLINE = 0.3


class SoonClaim(BellClaim):
    """The bell rings soon."""

    BELL = 0.125
