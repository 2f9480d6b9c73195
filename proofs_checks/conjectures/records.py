"""What `assert_holds` has checked, for whoever reports it; imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Checked:
    """One call of `assert_holds`.

    Attributes:
        target: name of the conjecture or id of the statement. status: of the verdict. log_ratio: log(lhs/rhs), None
            where nothing was decided. casefile: makes the plain data that `lemmata replay` reads.
        allowed: it is vacuous or undecided, and the caller accepts that.
    """

    target: str
    status: str
    rigor: str
    log_ratio: float | None
    reason: str
    casefile: Callable[[], Mapping[str, Any]] = field(repr=False)
    allowed: bool = False

    @property
    def deciding(self) -> bool:
        """Whether the case decided anything."""
        return self.status in ("holds", "violated")


# Called with every check; the pytest plugin puts itself here.
LISTENERS: list[Callable[[Checked], None]] = []


@dataclass
class Tally:
    """Counts per target, which can be added up over processes.

    Attributes:
        counts: status -> number of checks. log_ratio: of the tightest deciding case; casefile: its plain data.
    """

    counts: dict[str, int] = field(default_factory=dict)
    log_ratio: float | None = None
    casefile: Mapping[str, Any] | None = None

    def add(self, checked: Checked) -> None:
        """Count one check."""
        self.counts[checked.status] = self.counts.get(checked.status, 0) + 1
        if checked.deciding and checked.log_ratio is not None:
            self._tighter(checked.log_ratio, checked.casefile)

    def merge(self, other: Mapping[str, Any]) -> None:
        """Count what another process has counted, as `to_json` wrote it."""
        for status, count in other["counts"].items():
            self.counts[status] = self.counts.get(status, 0) + count
        if other["log_ratio"] is not None:
            self._tighter(float(other["log_ratio"]), lambda: other["casefile"])

    def _tighter(self, log_ratio: float, casefile: Callable[[], Mapping[str, Any]]) -> None:
        if self.log_ratio is None or log_ratio > self.log_ratio:
            self.log_ratio, self.casefile = log_ratio, casefile()

    @property
    def checks(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    @property
    def vacuous_rate(self) -> float:
        """The share of vacuous ones."""
        return self.counts.get("vacuous", 0) / self.checks if self.checks else 0.0

    @property
    def tightest(self) -> float | None:
        """The largest ratio lhs/rhs."""
        if self.log_ratio is None:
            return None
        return math.exp(self.log_ratio) if self.log_ratio < 709 else math.inf

    def to_json(self) -> dict[str, Any]:
        """Plain data; the logarithm as text, for it may be infinite."""
        return {
            "counts": dict(self.counts),
            "vacuous_rate": self.vacuous_rate,
            "log_ratio": None if self.log_ratio is None else repr(self.log_ratio),
            "casefile": self.casefile,
        }
