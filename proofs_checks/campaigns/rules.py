"""What the axes of a campaign may be: their kinds, ranges and defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proofs_checks.campaigns.spec import Range, Value, nearest
from theory.errors import LemmataError


@dataclass(frozen=True)
class Rule:
    """One axis.

    Attributes:
        kind: int, float, str or bool; None for anything (parameters of a user's function).
        default: what a case has without the axis; None where the generator derives it.
        low, high: the range of numbers, ends included; open_low: the lower end excluded. choices: of texts.
        text: what it is.
    """

    kind: type | None
    default: Value | None = None
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    choices: tuple[str, ...] = ()
    text: str = ""

    def check(self, axis: str, value: Any) -> Value:
        """The value in the kind of the axis.

        Raises:
            LemmataError: another kind, or outside of the range.
        """
        checked: Value = value
        if self.kind is None:
            return checked
        if self.kind is float and type(value) is int:
            value = checked = float(value)
        if type(value) is not self.kind:
            words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
            raise LemmataError(f"axis {axis}: {value!r:.60} is not {words[self.kind]}")
        if self.choices and isinstance(checked, str) and checked not in self.choices:
            raise LemmataError(
                f"axis {axis}: unknown value {checked!r:.60}; {nearest(checked, self.choices)}"
            )
        if isinstance(checked, int | float) and self.kind is not bool:
            outside = checked <= self.low if self.open_low else checked < self.low
            if outside or checked > self.high:
                bracket = "(" if self.open_low else "["
                raise LemmataError(
                    f"axis {axis}: {checked:g} is outside of {bracket}{self.low:g}, {self.high:g}]"
                )
        return checked

    def grid(self, axis: str, given: tuple[Value, ...] | Range) -> tuple[Value, ...]:
        """The values of an axis of a grid, in their order.

        Raises:
            LemmataError: see `check`; a value that is repeated, or values of several kinds.
        """
        raw = given if isinstance(given, tuple) else _steps(given, self.kind)
        values = tuple(self.check(axis, v) for v in raw)
        if {type(v) for v in values} == {int, float}:
            values = tuple(float(v) for v in values)
        if len({type(v) for v in values}) > 1:
            raise LemmataError(f"axis {axis} has values of several kinds; give all of one kind")
        if len(set(values)) < len(values):
            seen = next(v for k, v in enumerate(values) if v in values[:k])
            raise LemmataError(
                f"axis {axis} has the value {seen!r} twice; leave it out, or give fewer steps"
            )
        return values

    def random(self, axis: str, given: tuple[Value, ...] | Range) -> tuple[Value, ...] | Range:
        """A random axis, checked.

        Raises:
            LemmataError: see `grid`; a range of something that is no number.
        """
        if isinstance(given, tuple):
            return self.grid(axis, given)
        if self.kind in (str, bool):
            raise LemmataError(f"axis {axis} is no number: give {{choices = [...]}}")
        for end in (given.low, given.high):
            if self.kind is int and end != int(end):
                raise LemmataError(f"axis {axis}: {end:g} is not a whole number")
            self.check(axis, int(end) if self.kind is int else end)
        return given

    def pick(self, given: tuple[Value, ...] | Range, share: float) -> Value:
        """The value at a share from 0 to 1 (excluded) of a random axis."""
        if isinstance(given, tuple):
            return given[int(share * len(given))]
        whole = self.kind is int
        # whole numbers are as likely as their interval is long, from half below to half above
        low, high = (given.low - 0.5, given.high + 0.5) if whole else (given.low, given.high)
        if given.scale == "log":
            low = max(low, 0.5 * given.low)
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        value = min(max(value, given.low), given.high)
        return (
            min(max(math.floor(value + 0.5), int(given.low)), int(given.high)) if whole else value
        )


def _steps(r: Range, kind: type | None) -> tuple[Value, ...]:
    """The values of a range with steps, its ends exactly; whole numbers are rounded."""
    if r.steps == 1:
        raise LemmataError("one step has no two ends: give steps = 2 or more, or a list")
    out: list[Value] = []
    for k in range(r.steps):
        t = k / (r.steps - 1)
        if r.scale == "log":
            value = math.exp((1 - t) * math.log(r.low) + t * math.log(r.high))
        else:
            value = (1 - t) * r.low + t * r.high
        value = r.low if k == 0 else r.high if k == r.steps - 1 else value
        out.append(math.floor(value + 0.5) if kind is int else value)
    return tuple(out)


@dataclass(frozen=True)
class Draw:
    """What a generator makes a case of.

    Attributes:
        model: of the case. values: of the axes that the campaign has. rules: of all axes, for the defaults.
        seed: draws everything random. losses: of the statements that will be measured.
        comparisons: verdicts of the campaign, over which a statistical error is shared.
    """

    model: str
    values: Mapping[str, Value]
    rules: Mapping[str, Rule]
    seed: int
    losses: tuple[str, ...]
    comparisons: int

    def __getitem__(self, axis: str) -> Any:
        """The value of an axis, or its default."""
        return self.values[axis] if axis in self.values else self.rules[axis].default

    def number(self, axis: str, derived: float) -> float:
        """The value of an axis, or what the generator derives."""
        value = self[axis]
        return derived if value is None else float(value)
