"""What a campaign has found so far: counts, rates and tightness, in all and along every axis.

The parts are read one after the other. Counts are exact and take no memory; the tightness of every deciding verdict is
kept, eight bytes for each axis, for exact quantiles.
"""

from __future__ import annotations

import heapq
import math
import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofs_checks.campaigns.levels import Levels, levels
from proofs_checks.campaigns.store import check_part, part_files, part_rows, read_head, schema
from proofs_checks.verdict import Status
from theory.errors import LemmataError

STATUSES = tuple(str(s) for s in Status)
QUANTILES = (0.5, 0.9, 1.0)
WORST = 5  # cases that are listed per target
MOST_REASONS, DIFFERENT = 5, 1000  # reasons that are listed, and told apart
SHOWN = ("unit", "point", "replicate", "status", "case_hash", "reason")  # of the worst cases
KINDS = {"int": int, "float": float, "str": str, "bool": bool}
DECIDING = (str(Status.HOLDS), str(Status.VIOLATED))

_NUMBERS = re.compile(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?")


class Cell:
    """Some verdicts: how many of each status, and how tight the decided ones are."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.logs = array("d")  # of the tightness, of deciding verdicts
        self._sorted = False

    def add(self, status: str, log: float | None) -> None:
        """Count one verdict."""
        self.counts[status] += 1
        if status in DECIDING and log is not None:
            self.logs.append(log)
            self._sorted = False

    @property
    def total(self) -> int:
        """All verdicts."""
        return self.counts.total()

    @property
    def deciding(self) -> int:
        """Verdicts that hold or are violated."""
        return sum(self.counts[s] for s in DECIDING)

    def rate(self, status: str) -> float:
        """The share of a status among all verdicts; nan without any."""
        return self.counts[status] / self.total if self.total else math.nan

    def quantile(self, share: float) -> float:
        """log of the tightness below which that share of the deciding verdicts lies, one of theirs; nan without any."""
        if not len(self.logs):
            return math.nan
        if not self._sorted:
            self.logs, self._sorted = array("d", sorted(self.logs)), True
        return self.logs[max(math.ceil(share * len(self.logs)) - 1, 0)]

    def to_json(self) -> dict[str, Any]:
        """Plain data; quantiles of the tightness as numbers, or null where there are none."""
        quantiles = {f"{share:g}": number(self.quantile(share)) for share in QUANTILES}
        return {
            "cases": self.total,
            "deciding": self.deciding,
            **{s: self.counts[s] for s in STATUSES},
            "tightness": quantiles,
        }


@dataclass
class TargetSummary:
    """The verdicts of one target.

    Attributes:
        name: of the target. all: of it. along: axis -> level -> verdicts; over: (level of x, level of y) -> verdicts.
        worst: (log of the tightness, row) of the tightest deciding rows, the worst first.
        reasons: (status, what was said, without its numbers) -> how often, where something does not hold.
    """

    name: str
    all: Cell = field(default_factory=Cell)
    along: dict[str, dict[int, Cell]] = field(default_factory=dict)
    over: dict[tuple[int, int], Cell] = field(default_factory=dict)
    worst: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(frozen=True)
class Summary:
    """The results of a campaign.

    Attributes:
        folder: of the campaign. head: of ``campaign.json``. axes: with their levels. x, y: the axes of ``over``.
        rows: that were read. targets: by name.
    """

    folder: Path
    head: Mapping[str, Any]
    axes: Mapping[str, Levels]
    x: str
    y: str
    rows: int
    targets: Mapping[str, TargetSummary]

    @property
    def complete(self) -> bool:
        """Whether every unit is there."""
        return self.rows == self.head["rows"]

    @property
    def exit_code(self) -> int:
        """1 something is violated; 3 something is undecided, or a target has no deciding verdict; else 0."""
        cells = [t.all for t in self.targets.values()]
        if any(c.counts[Status.VIOLATED] for c in cells):
            return 1
        open_ = any(c.counts[Status.UNDECIDED] or not c.deciding for c in cells)
        return 3 if open_ or not self.complete else 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "campaign": self.head.get("name", ""),
            "folder": str(self.folder),
            "complete": self.complete,
            "rows": self.rows,
            "planned": self.head["rows"],
            "targets": {
                t.name: {
                    **t.all.to_json(),
                    "seconds": t.seconds,
                    "axes": {
                        axis: {
                            self.axes[axis].labels[k]: cell.to_json()
                            for k, cell in sorted(cells.items())
                        }
                        for axis, cells in t.along.items()
                    },
                    "reasons": [
                        {"status": status, "reason": words, "cases": count}
                        for (status, words), count in t.reasons.most_common(MOST_REASONS)
                    ],
                    "worst": [_plain(row) for _, _, row in t.worst],
                }
                for t in self.targets.values()
            },
        }


def summarise(folder: Path, *, x: str | None = None, y: str | None = None) -> Summary:
    """Read the results of a campaign, whether it is complete or not.

    Args:
        x, y: the axes of figures; by default those with most levels, numbers first.

    Raises:
        LemmataError: no campaign, a damaged or foreign part, or no such axis.
    """
    head = read_head(folder)
    axes, names, wanted = _layout(head, folder)
    x, y = _chosen(axes, x, y)
    out = {name: TargetSummary(name, along={a: {} for a in axes}) for name in names}
    rows = 0
    for unit, path in part_files(folder):
        check_part(path, head["hash"], unit, wanted, None)
        for row in part_rows(path):
            _count(out[row["target"]], row, axes, x, y, rows)
            rows += 1
    for target in out.values():
        target.worst.sort(key=lambda item: (-item[0], -item[1]))
    return Summary(folder, head, axes, x, y, rows, out)


def _layout(head: Mapping[str, Any], folder: Path) -> tuple[dict[str, Levels], list[str], Any]:
    """The axes, the names of the targets, and the columns of the parts, from ``campaign.json``.

    Raises:
        LemmataError: it is malformed.
    """
    kinds, identity = head["axes"], head["identity"]
    try:
        given = {**identity["grid"], **identity["random"]}
        axes = {a: levels(a, given[a], whole=kind == "int") for a, kind in kinds.items()}
        names = [str(name) for name, _ in identity["targets"]]
        return axes, names, schema({a: KINDS[k] for a, k in kinds.items()})
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, LemmataError):
            raise
        raise LemmataError(
            f"{folder}/campaign.json: axes or targets are missing or malformed; restore it"
        ) from error


def _count(
    target: TargetSummary,
    row: dict[str, Any],
    axes: Mapping[str, Levels],
    x: str,
    y: str,
    number: int,
) -> None:
    status, log = row["status"], row["log_tightness"]
    target.all.add(status, log)
    target.seconds += row["seconds"]
    places = {axis: own.index(row[axis]) for axis, own in axes.items()}
    for axis, place in places.items():
        target.along[axis].setdefault(place, Cell()).add(status, log)
    if status != Status.HOLDS:
        said = status, _NUMBERS.sub("…", row["reason"])[:200]
        if said in target.reasons or len(target.reasons) < DIFFERENT:
            target.reasons[said] += 1
    if x:
        key = places[x], places[y] if y else 0
        target.over.setdefault(key, Cell()).add(status, log)
    known = any(kept["case_hash"] == row["case_hash"] for _, _, kept in target.worst)
    if status in DECIDING and log is not None and not known:  # a strategy may repeat a case
        # violated ones first, whatever their ratio; of equals the first
        score = math.inf if status == Status.VIOLATED and log < 0 else log
        kept = {k: row[k] for k in (*SHOWN, *axes, "log_tightness")}
        item = (score, -number, kept)
        if len(target.worst) < WORST:
            heapq.heappush(target.worst, item)
        elif item[:2] > target.worst[0][:2]:
            heapq.heapreplace(target.worst, item)


def _chosen(axes: Mapping[str, Levels], x: str | None, y: str | None) -> tuple[str, str]:
    for axis in (x, y):
        if axis is not None and axis not in axes:
            raise LemmataError(
                f"{axis} is no axis of this campaign; it has: {', '.join(axes) or 'none'}"
            )
    if x is not None and x == y:
        raise LemmataError(f"--x and --y are both {x}; give two axes")
    several = [a for a in axes if axes[a].count > 1 and a not in (x, y)]
    several.sort(key=lambda a: (-axes[a].count, not axes[a].numeric))
    if x is None:
        x = several.pop(0) if several else ""
    if y is None:
        y = several.pop(0) if several and x else ""
    return (y, "") if y and not x else (x, y)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    log = row["log_tightness"]
    kept = {k: v for k, v in row.items() if k != "log_tightness"}
    return {**kept, "tightness": number(log)}


def number(log: float | None) -> float | str | None:
    """exp of a logarithm as plain data; a text such as "1.2e-768" or "inf" where a float cannot hold it."""
    from proofs_checks.verdict import decimal

    return decimal(log)
