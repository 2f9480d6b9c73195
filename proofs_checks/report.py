"""The outcome of a campaign: verdicts by statement, their summary as plain data, and the exit code."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proofs_checks.measure import AnyCase
from proofs_checks.verdict import Rigor, Status, Verdict
from theory.printing import text
from theory.statement import Statement

OK, VIOLATION, UNFINISHED = 0, 1, 3


@dataclass(frozen=True)
class StatementReport:
    """All verdicts on one statement.

    Attributes:
        derivation: "verified" or "stated". derivation_error: why a chain that exists does not verify, or "".
        seconds: time spent on its derivation and its measurement; the integration is shared evenly.
    """

    statement: Statement
    verdicts: tuple[Verdict, ...]
    derivation: str
    derivation_error: str
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Number of verdicts of each status."""
        found = Counter(v.status for v in self.verdicts)
        return {str(s): found[s] for s in Status}

    @property
    def deciding(self) -> list[Verdict]:
        """The verdicts that decide."""
        return [v for v in self.verdicts if v.deciding]

    @property
    def tightest(self) -> Verdict | None:
        """The deciding verdict with the largest ratio."""
        return max(
            self.deciding,
            key=lambda v: -math.inf if v.log_tightness is None else v.log_tightness,
            default=None,
        )

    @property
    def rigor(self) -> Rigor | None:
        """The weakest rigour among the deciding verdicts."""
        order = (Rigor.STATISTICAL, Rigor.NUMERICAL, Rigor.PROVED)
        return min((v.rigor for v in self.deciding), key=order.index, default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain data with the keys of `lemmata verify --json`."""
        s, tightest = self.statement, self.tightest
        # beyond its error bound an equality fails by an unknown multiple of its resolution: no finite error
        errors = [v.error for v in self.deciding if v.error is not None and math.isfinite(v.error)]
        constants: dict[str, Any] = {c.name: _number(c.value) for c in s.constants}
        constants.update({d.name: text(d.value) for d in s.definitions})
        return {
            "id": s.id,
            "kind": str(s.kind),
            "source": str(s.source),
            "derivation": self.derivation,
            **({"derivation_error": self.derivation_error} if self.derivation_error else {}),
            "constants": constants,
            "counts": self.counts,
            "rigor": str(self.rigor) if self.rigor else None,
            "tightness": tightest.tightness if tightest else None,
            "error": max(errors, default=None),
            "seconds": round(self.seconds, 3),
            "verdicts": [v.to_json() for v in self.verdicts],
        }


def _number(value: Any) -> int | float:
    return int(value) if value == int(value) else float(value)


@dataclass(frozen=True)
class Report:
    """All statements of one run."""

    version: str
    seed: int
    statements: tuple[StatementReport, ...]
    cases: tuple[AnyCase, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data with the keys of `lemmata verify --json`."""
        return {
            "lemmata": self.version,
            "seed": self.seed,
            "statements": [s.to_json() for s in self.statements],
        }

    def exit_code(self, *, allow_vacuous: bool = False) -> int:
        """0 all is well, 1 something is violated, 3 undecided, without a deciding case, or a derivation that fails."""
        verdicts = [v for s in self.statements for v in s.verdicts]
        if any(v.status is Status.VIOLATED for v in verdicts):
            return VIOLATION
        undecided = any(v.status is Status.UNDECIDED for v in verdicts)
        unchecked = any(not s.deciding for s in self.statements) and not allow_vacuous
        broken = any(s.derivation_error for s in self.statements)
        return UNFINISHED if undecided or unchecked or broken else OK

    def complaints(self, limit: int = 5) -> Sequence[str]:
        """A line for the first verdicts that need attention, distinct reasons only."""
        lines: dict[str, str] = {}
        for s in self.statements:
            if s.derivation_error:
                lines[s.derivation_error] = (
                    f"{s.statement.id}: derivation fails: {s.derivation_error}"
                )
            for v in s.verdicts:
                if v.status in (Status.VIOLATED, Status.UNDECIDED) or (
                    v.status is Status.VACUOUS and not s.deciding
                ):
                    lines.setdefault(
                        s.statement.id + v.reason,
                        f"{s.statement.id} [{v.status}] case {v.case}: {v.reason}",
                    )
        shown = list(lines.values())
        return shown[:limit] + (
            [f"... and {len(shown) - limit} more"] if len(shown) > limit else []
        )
