"""Justifications that the derivations about margins need besides the general ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import sympy
from sympy import Expr

from theory.checking import Context
from theory.justifications import Reference
from theory.normal_form import is_zero
from theory.symbols import Rel, Relu, eq


@dataclass(frozen=True)
class AbsoluteValue:
    """σ(z) + σ(-z) = |z|: one of the two is |z|, the other 0."""

    z: Expr
    kind: ClassVar[str] = "identity"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The stated equation must be that of z."""
        relation = eq(Relu(self.z) + Relu(-self.z), sympy.Abs(self.z))
        ctx.require_implied(relation, "the absolute value as two ReLUs")


@dataclass(frozen=True)
class Sandwich:
    """From a <= b and b <= a follows a = b; both are cited."""

    below: Reference
    above: Reference
    kind: ClassVar[str] = "inequality"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Two cited relations whose gaps are the stated one and its negative."""
        first, second = ctx.cite(self.below), ctx.cite(self.above)
        if "<" in (first.op, second.op):
            raise ctx.fail(f"{first} and {second} contradict each other if one is strict")
        if not is_zero(first.gap + second.gap):
            raise ctx.fail(f"{first} and {second} do not bound the same difference from both sides")
        ctx.require_implied(eq(first.lhs, first.rhs), "two opposite inequalities")
