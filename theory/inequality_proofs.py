"""Machine-checked parts of the proofs in `theory.inequalities`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr, Symbol

from theory.errors import DerivationError
from theory.normal_form import is_zero
from theory.positivity import is_nonnegative


class Check(ABC):
    """One machine-checked part of a proof."""

    @abstractmethod
    def run(self, entry: str) -> None:
        """Check it.

        Raises:
            DerivationError: it does not hold, or could not be shown.
        """


@dataclass(frozen=True)
class Zero(Check):
    """An expression is identically zero (exact algebra, vectors of any dimension)."""

    expression: Expr

    def run(self, entry: str) -> None:
        """Simplify."""
        if not is_zero(self.expression):
            raise DerivationError(f"{entry}: {self.expression} is not shown to vanish identically")


@dataclass(frozen=True)
class Squares(Check):
    """An expression is a sum of squares with non-negative weights."""

    expression: Expr
    squares: tuple[tuple[Any, Expr], ...]

    def run(self, entry: str) -> None:
        """Compare with the sum."""
        if any(sympy.sympify(weight) < 0 for weight, _ in self.squares):
            raise DerivationError(f"{entry}: a weight of the sum of squares is negative")
        total = sum((weight * a**2 for weight, a in self.squares), sympy.Integer(0))
        if not is_zero(self.expression - total):
            raise DerivationError(f"{entry}: {self.expression} is not the sum of squares {total}")


@dataclass(frozen=True)
class Increasing(Check):
    """F(z) >= 0 for z >= 0: F and its first derivatives are non-negative at 0, and the last derivative is
    non-negative by its structure for all z >= 0 (Taylor's formula with the integral remainder)."""

    what: str
    function: Expr
    variable: Symbol

    def run(self, entry: str) -> None:
        """Differentiate until the structure decides."""
        f = self.function
        for _ in range(5):
            if is_nonnegative(f) or is_nonnegative(sympy.factor(f)):
                return
            if not sympy.simplify(f.subs(self.variable, 0)).is_nonnegative:
                raise DerivationError(f"{entry}: {f} is negative at {self.variable} = 0")
            f = sympy.simplify(sympy.diff(f, self.variable))
        raise DerivationError(f"{entry}: the sign of {self.function} ({self.what}) is not decided")


@dataclass(frozen=True)
class OnRange(Check):
    """A scalar inequality on a box, by ball-arithmetic subdivision."""

    what: str
    lhs: Expr
    rhs: Expr
    box: tuple[tuple[str, Any, Any], ...]

    def run(self, entry: str) -> None:
        """Branch and bound."""
        from theory.boxes import BoxProof, prove_on_box

        result = prove_on_box(self.lhs, "<=", self.rhs, {k: (a, b) for k, a, b in self.box})
        if not isinstance(result, BoxProof):
            raise DerivationError(f"{entry}: {self.what}: {result}")


def on_range(what: str, lhs: Any, rhs: Any, box: Mapping[str, tuple[Any, Any]]) -> OnRange:
    """lhs <= rhs for all values of the variables in a box; without variables, a relation of numbers."""
    return OnRange(
        what, sympy.sympify(lhs), sympy.sympify(rhs), tuple((k, a, b) for k, (a, b) in box.items())
    )
