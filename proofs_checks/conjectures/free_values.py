"""Numbers and arrays that a search may move within a domain, as long as they are what a strategy of ours has drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from theory.errors import LemmataError


@dataclass(frozen=True)
class Domain:
    """Where a free value may lie: between two ends, which may be infinite, and excluded.

    Attributes:
        log: sizes of all orders of magnitude are of interest (scales, step sizes).
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high or math.inf == self.low or -math.inf == self.high:
            raise LemmataError(f"no domain: from {self.low} to {self.high}")

    def contains(self, x: Fraction | float) -> bool:
        """Whether a number lies in the domain."""
        above = x > self.low if self.open_low else x >= self.low
        below = x < self.high if self.open_high else x <= self.high
        return bool(above and below)


ALL_REALS = Domain()
POSITIVE = Domain(0.0, math.inf, open_low=True, log=True)


class Parameter(np.ndarray):
    """A float64 array that a search may change within its domain.

    What is computed from it, or copied, is not free, of whatever class it is.
    """

    domain: Domain
    _made: bool

    def __new__(cls, values: Any, domain: Domain = ALL_REALS) -> Parameter:
        """Copies the values.

        Raises:
            LemmataError: a value that is not finite or outside of the domain.
        """
        out = np.array(values, dtype=np.float64).view(cls)
        if not all(math.isfinite(x) and domain.contains(x) for x in out.ravel().tolist()):
            raise LemmataError(f"a value outside of [{domain.low}, {domain.high}]")
        out.domain, out._made = domain, True
        out.setflags(write=False)
        return out

    @property
    def free(self) -> bool:
        """Whether it was made here, and not by numpy from another one; and nobody could write into it."""
        return self._made and not self.flags.writeable

    def __array_finalize__(self, obj: Any) -> None:
        # views and copies come by here
        self.domain, self._made = ALL_REALS, False

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]


class Real(float):
    """A float that a search may change within its domain; what is computed from it is a plain float."""

    domain: Domain

    def __new__(cls, value: float, domain: Domain = ALL_REALS) -> Real:
        out = super().__new__(cls, value)
        if not (math.isfinite(out) and domain.contains(out)):
            raise LemmataError(f"{value} is outside of [{domain.low}, {domain.high}]")
        out.domain = domain
        return out


def is_free(value: Any) -> bool:
    """Whether a search may move this value, as far as the value itself can tell."""
    return value.free if isinstance(value, Parameter) else isinstance(value, Real)


def plain(value: Any) -> Any:
    """The value as a plain array or float, which nothing moves."""
    if isinstance(value, Parameter):
        return np.asarray(value)
    return float(value) if isinstance(value, Real) else value


__all__ = ["ALL_REALS", "POSITIVE", "Domain", "Parameter", "Real", "is_free", "plain"]
