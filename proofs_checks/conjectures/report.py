"""What a search says about a conjecture or a statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from proofs_checks.certificate import Certificate
from proofs_checks.files import write_json
from proofs_checks.verdict import Rigor, decimal, finite

# A conjecture that is vacuous on a larger share of the cases has not been searched.
ALMOST_ALL = 0.99
Progress = Callable[[float], None]  # called with the share of the budget that is spent, from 0 to 1


class SearchStatus(StrEnum):
    """What is concluded from a search: exactly one of four."""

    REFUTED = "refuted"
    SURVIVED = "survived"
    UNDECIDED = "undecided"
    VACUOUS = "vacuous"


EXIT_CODES = {
    SearchStatus.SURVIVED: 0,
    SearchStatus.REFUTED: 1,
    SearchStatus.UNDECIDED: 3,
    SearchStatus.VACUOUS: 3,
}


@dataclass(frozen=True)
class Counterexample:
    """A case on which a conclusion fails by more than the error bound.

    Attributes:
        case: plain data of the case. conclusion: the name of the failing one. lhs, rhs: the sides at the failing entry
            (floats, or their natural logarithms in ``log_sides`` where floats cannot hold them). error: bound on the
            error of rhs - lhs (for statements see `statement_sides.Sides`). rigor: `proved` only with a certificate
            that the audit kernel accepts.
        certificate: of kind "counterexample", or None. shapes: of the arrays of the case.
        reason: why there is no certificate, and what the numbers rest on.
    """

    case: Mapping[str, Any]
    conclusion: str
    lhs: float
    rhs: float
    error: float
    rigor: Rigor
    certificate: Certificate | None
    shapes: Mapping[str, list[int]]
    reason: str = ""
    log_sides: tuple[float | None, float | None] | None = None

    def to_json(self, path: Path | None = None) -> dict[str, Any]:
        """Plain data; ``certificate`` is the path where it was written, or the certificate itself."""
        logs = self.log_sides
        certificate: Any = None
        if self.certificate is not None:
            certificate = str(path) if path is not None else self.certificate.to_data()
        return {
            "case": dict(self.case),
            "conclusion": self.conclusion,
            "lhs": decimal(logs[0]) if logs else finite(self.lhs),
            "rhs": decimal(logs[1]) if logs else finite(self.rhs),
            "error": finite(self.error),
            "rigor": str(self.rigor),
            "certificate": certificate,
            "shapes": dict(self.shapes),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class ConstantRange:
    """What is known about a free constant.

    Attributes:
        better: "smaller" or "larger": the direction in which the conjecture says more.
        supported: the best value for which no case was found to violate the conjecture.
        refuted: the best value that is shown to fail, with its counterexample; None if none is known.
        tightest: plain data of the case that decides it.
    """

    name: str
    better: str
    supported: float | None
    refuted: float | None
    tightest: Mapping[str, Any] | None = None
    counterexample: Counterexample | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "better": self.better,
            "supported": finite(self.supported),
            "refuted": finite(self.refuted),
            "tightest": None if self.tightest is None else dict(self.tightest),
            "counterexample": None
            if self.counterexample is None
            else self.counterexample.to_json(),
        }


@dataclass(frozen=True)
class RefuteReport:
    """The outcome of a search.

    Attributes:
        conjecture: its name, or a statement's id. cases: how many were judged; deciding: on how many of them the
            hypotheses hold and the conclusions are decided. vacuous: on how many a hypothesis fails.
        tightest: (ratio lhs/rhs, plain data of the case) of the deciding case that is closest to failing.
        casefile: plain data of the counterexample with its verdict, for `lemmata replay`.
        constants: of the free constants. reason: diagnosis and remedy where the status is undecided or vacuous.
        structures: how many structures (shapes, names) cases were drawn of; None where that says nothing.
    """

    conjecture: str
    status: SearchStatus
    cases: int
    deciding: int
    vacuous: int
    tightest: tuple[float, Mapping[str, Any]] | None
    counterexample: Counterexample | None
    seconds: float
    seed: int = 0
    constants: Mapping[str, ConstantRange] = field(default_factory=dict)
    reason: str = ""
    casefile: Mapping[str, Any] | None = None
    structures: int | None = None

    @property
    def vacuous_rate(self) -> float:
        """The share of cases on which a hypothesis fails; 0 where there are none."""
        return self.vacuous / self.cases if self.cases else 0.0

    @property
    def exit_code(self) -> int:
        """0 survived with deciding cases, 1 refuted, 3 undecided or vacuous."""
        return EXIT_CODES[self.status]

    def to_json(self, out: Path | None = None) -> dict[str, Any]:
        """Plain data.

        Args:
            out: the directory to which `write` wrote the report.
        """
        tightest = None
        if self.tightest is not None:
            tightest = {"ratio": finite(self.tightest[0]), "case": dict(self.tightest[1])}
        path = out / "certificate.json" if out is not None else None
        found = self.counterexample
        return {
            "conjecture": self.conjecture,
            "status": str(self.status),
            "cases": self.cases,
            "deciding": self.deciding,
            "structures": self.structures,
            "vacuous_rate": self.vacuous_rate,
            "tightest": tightest,
            "counterexample": None if found is None else found.to_json(path),
            "constants": {name: c.to_json() for name, c in self.constants.items()},
            "reason": self.reason,
            "seed": self.seed,
            "seconds": self.seconds,
        }

    def write(self, folder: Path, shown: Path | None = None) -> None:
        """Write ``report.json``, and where there is a counterexample ``counterexample.json`` and ``certificate.json``.

        Args:
            shown: the place to which the folder will be moved; paths in the report name it.
        """
        write_json(folder / "report.json", self.to_json(shown or folder))
        if self.counterexample is not None:
            case = self.counterexample.case if self.casefile is None else self.casefile
            write_json(folder / "counterexample.json", dict(case))
            if self.counterexample.certificate is not None:
                self.counterexample.certificate.write(folder / "certificate.json")


def conclude(*, refuted: bool, cases: int, deciding: int, vacuous: int) -> tuple[SearchStatus, str]:
    """The status of a search, and the reason where nothing was learnt."""
    if refuted:
        return SearchStatus.REFUTED, ""
    if cases and vacuous > ALMOST_ALL * cases:
        return SearchStatus.VACUOUS, (
            f"a hypothesis fails on {vacuous} of {cases} cases; draw cases that satisfy the hypotheses"
        )
    if deciding == 0:
        return SearchStatus.UNDECIDED, (
            f"none of {cases} cases was decided; the two sides are closer than the error bound, or infinite"
        )
    return SearchStatus.SURVIVED, ""
