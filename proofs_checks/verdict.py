"""One verdict per statement and case, never two flags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# logarithms beyond it are rounded by more than 1e-7: the digits of the number are lost
LOG_KNOWN = 1e9


class Status(StrEnum):
    """What is concluded; see the design: exactly one of four."""

    HOLDS = "holds"
    VIOLATED = "violated"
    VACUOUS = "vacuous"
    UNDECIDED = "undecided"


class Rigor(StrEnum):
    """What stands behind a verdict: exact arithmetic, floats with an error bound, or samples."""

    PROVED = "proved"
    NUMERICAL = "numerical"
    STATISTICAL = "statistical"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A measured positive quantity with a bound on its error, in logarithms so that no scale underflows.

    Attributes:
        log: natural logarithm of the value (-inf for an exact zero).
        low, high: ends of the interval of the logarithm that contains the true value.
    """

    log: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Bound on |true - measured| relative to a value of size exp(log), or absolute where the value is 0."""
        if self.log == -math.inf:
            return _exp(self.high)
        above, below = (min(end - self.log, 700.0) for end in (self.high, self.low))
        return max(math.expm1(above), -math.expm1(below))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is concluded about one statement on one case.

    Attributes:
        statement: id.
        case: hash of the case.
        status, rigor: see `Status`, `Rigor`.
        tightness: sup lhs/rhs over the domain (points where the two touch by construction excluded); None when vacuous.
        log_tightness: its natural logarithm, which does not underflow.
        error: bound on the error of ``tightness``.
        log_lhs, log_rhs: logarithms of the two sides where the ratio is largest.
        horizon: the interval of time that was checked.
        domain_covered: whether that is the whole domain of the statement.
        part: the name of the deciding part of the conclusion.
        at: the time at which the ratio is largest.
        reason: diagnosis and remedy where the status is not `holds`; the margins of the hypotheses where it is.
    """

    statement: str
    case: str
    status: Status
    rigor: Rigor
    tightness: float | None = None
    log_tightness: float | None = None
    error: float | None = None
    log_lhs: float | None = None
    log_rhs: float | None = None
    horizon: tuple[float, float] | None = None
    domain_covered: bool = False
    part: str = ""
    at: float | None = None
    reason: str = ""

    @property
    def deciding(self) -> bool:
        """Whether the statement was decided on this case."""
        return self.status in (Status.HOLDS, Status.VIOLATED)

    def to_json(self) -> dict[str, Any]:
        """Plain data; numbers outside the range of float64 are strings, see `decimal`."""
        return {
            "case": self.case,
            "status": str(self.status),
            "rigor": str(self.rigor),
            "tightness": finite(self.tightness),
            "log_tightness": finite(self.log_tightness),
            "lhs": decimal(self.log_lhs),
            "rhs": decimal(self.log_rhs),
            "error": finite(self.error),
            "horizon": None if self.horizon is None else list(self.horizon),
            "domain_covered": self.domain_covered,
            "part": self.part,
            "at": finite(self.at),
            "reason": self.reason,
        }


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def finite(x: float | None) -> float | None:
    """The number where JSON can hold it, else None."""
    return x if x is not None and math.isfinite(x) else None


def decimal(log_value: float | None) -> float | str | None:
    """exp(log_value) as a float where float64 can hold it, else as a decimal string such as "1.3e-768".

    An infinite value is the string "inf"; where the logarithm itself is too large for a single digit of the value to
    be known, that logarithm is written, as in "exp(1e+20)".
    """
    if log_value is None or math.isnan(log_value):
        return None
    if log_value == -math.inf:
        return 0.0
    if log_value == math.inf:
        return "inf"
    if -700 < log_value < 700:
        return math.exp(log_value)
    if abs(log_value) > LOG_KNOWN:
        return f"exp({log_value:.9g})"
    exponent = math.floor(log_value / math.log(10))
    mantissa = f"{math.exp(log_value - exponent * math.log(10)):.6f}"
    if mantissa.startswith("10."):  # rounded up to the next power
        mantissa, exponent = "1.000000", exponent + 1
    return f"{mantissa}e{exponent:+d}"
