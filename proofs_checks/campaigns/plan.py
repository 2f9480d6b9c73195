"""A campaign made ready: its targets, its points, and its units of work, each computed from its number alone.

Point p of the design is the combination p // samples of the grid with a draw of the random axes; case c of a group of
targets is replicate c % replicates at point c // replicates; unit u holds the cases u·chunk, ..., (u+1)·chunk - 1.
Everything random derives from hashes of (seed, point, replicate), so that a unit is the same whenever it is measured.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from proofs_checks.campaigns.rules import Rule
from proofs_checks.campaigns.spec import LARGEST, Range, Spec, Value
from proofs_checks.campaigns.targets import Group, resolve, rules_of
from theory.errors import LemmataError

FORMAT = "lemmata-campaign/1"
SEED_BITS = 63


@dataclass(frozen=True)
class Plan:
    """What will be measured.

    Attributes:
        groups: of targets that share cases. grid, random: the checked axes. rules: of all axes.
    """

    spec: Spec
    groups: tuple[Group, ...]
    grid: Mapping[str, tuple[Value, ...]]
    random: Mapping[str, tuple[Value, ...] | Range]
    rules: Mapping[str, Rule]

    # -- points ---------------------------------------------------------------------------------------------------
    @cached_property
    def axes(self) -> dict[str, type]:
        """Name -> kind of the values, in the order of the file."""
        out: dict[str, type] = {k: type(v[0]) for k, v in self.grid.items()}
        for k, v in self.random.items():
            out[k] = type(v[0]) if isinstance(v, tuple) else self.rules[k].kind or float
        return out

    @cached_property
    def points(self) -> int:
        """How many points the design has."""
        return math.prod(len(v) for v in self.grid.values()) * self.spec.samples

    def point(self, index: int) -> dict[str, Value]:
        """The values of all axes at a point."""
        rest, out = index // self.spec.samples, dict[str, Value]()
        for axis, values in reversed(list(self.grid.items())):
            rest, which = divmod(rest, len(values))
            out[axis] = values[which]
        out = {axis: out[axis] for axis in self.grid}
        for axis, given in self.random.items():
            share = _hash(self.spec.seed, "point", index, axis) / 2**SEED_BITS
            out[axis] = self.rules[axis].pick(given, share)
        return out

    def seed(self, point: int, replicate: int) -> int:
        """The seed of one case, below 2⁶³."""
        return _hash(self.spec.seed, "case", point, replicate)

    # -- units ----------------------------------------------------------------------------------------------------
    @property
    def cases(self) -> int:
        """Cases of one group."""
        return self.points * self.spec.replicates

    @property
    def _units_per_group(self) -> int:
        return -(-self.cases // self.spec.chunk)

    @property
    def units(self) -> int:
        """How many units of work there are."""
        return self._units_per_group * len(self.groups)

    @property
    def rows(self) -> int:
        """How many verdicts there will be."""
        return self.cases * sum(len(g.targets) for g in self.groups)

    def _span(self, unit: int) -> tuple[Group, range]:
        group, own = divmod(unit, self._units_per_group)
        start = own * self.spec.chunk
        return self.groups[group], range(start, min(start + self.spec.chunk, self.cases))

    def rows_of(self, unit: int) -> int:
        """How many verdicts a unit has."""
        group, span = self._span(unit)
        return len(group.targets) * len(span)

    def job(self, unit: int) -> dict[str, Any]:
        """A unit as plain data for `proofs_checks.campaigns.work.measure`."""
        group, span = self._span(unit)
        items, points = [], {}
        for c in span:
            point, replicate = divmod(c, self.spec.replicates)
            if point not in points:
                points[point] = self.point(point)
            items.append([point, replicate, self.seed(point, replicate)])
        return {
            "unit": unit,
            **group.to_data(),
            "items": items,
            "points": points,
            "comparisons": self.rows,
        }

    # -- identity -------------------------------------------------------------------------------------------------
    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that influences the rows, as plain data."""
        return {
            "targets": [[t.name, t.digest] for g in self.groups for t in g.targets],
            "seed": self.spec.seed,
            "replicates": self.spec.replicates,
            "chunk": self.spec.chunk,
            "samples": self.spec.samples,
            "grid": {k: list(v) for k, v in self.grid.items()},
            "random": {k: _plain(v) for k, v in self.random.items()},
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the identity, first 16 hexadecimal digits."""
        # orders of axes count: they number the points
        text = json.dumps(self.identity, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan(spec: Spec) -> Plan:
    """Find the targets of a campaign and check its axes against them.

    Raises:
        LemmataError: an unknown target or axis, a value that an axis cannot have, or too many cases; before any
            measurement.
    """
    groups = resolve(spec.targets, spec.path.parent)
    rules = rules_of(groups, (*spec.grid, *spec.random))
    out = Plan(
        spec=spec,
        groups=groups,
        grid={k: rules[k].grid(k, v) for k, v in spec.grid.items()},
        random={k: rules[k].random(k, v) for k, v in spec.random.items()},
        rules=rules,
    )
    if out.rows > LARGEST:
        raise LemmataError(
            f"the design has {out.rows} cases: give at most {LARGEST}, with fewer values, samples or replicates"
        )
    for group in groups:
        group.try_out(out.point(0), out.seed(0, 0))
    return out


def _plain(given: tuple[Value, ...] | Range) -> Any:
    if isinstance(given, tuple):
        return list(given)
    return {"low": given.low, "high": given.high, "scale": given.scale}


def _hash(*parts: object) -> int:
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - SEED_BITS)
