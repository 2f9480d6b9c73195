"""SPEC.toml: what a campaign measures, and on which designs.

::

    [campaign]
    target = "margins/telescoping"         # or a list; statements by id or prefix, or FILE.py::NAME
    name = "steps"                         # by default the name of the file
    seed = 0
    replicates = 4                         # cases per point
    chunk = 64                             # cases per unit of work, and rows per part and target

    [grid]                                 # every combination
    d = [1, 2, 4]
    eta = {from = 0.01, to = 1.0, steps = 5, scale = "log"}

    [random]                               # drawn for every point of the grid
    samples = 100
    eta = {low = 0.01, high = 1.0, scale = "log"}
    loss = {choices = ["exponential", "logistic2"]}

Every key is checked; unknown ones are refused with the nearest name.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from theory.errors import LemmataError

Value: TypeAlias = int | float | str | bool

SCALES = ("linear", "log")
LARGEST = 10**8  # cases
MOST_VALUES = 10**5  # of one axis
MOST_BYTES = 10**6
RESERVED = (
    "unit",
    "target",
    "point",
    "replicate",
    "seed",
    "case_hash",
    "status",
    "rigor",
    "tightness",
    "log_tightness",
    "error",
    "reason",
    "seconds",
    "case",
    "samples",
)


@dataclass(frozen=True)
class Range:
    """``steps`` numbers from ``low`` to ``high``, or all numbers between them; linear or logarithmic."""

    low: float
    high: float
    scale: str
    steps: int = 0


@dataclass(frozen=True)
class Spec:
    """A campaign as it is written in its file.

    Attributes:
        path: of the file. targets: as written. grid: name -> values, or a range with steps. random: name -> choices, or
            a range. samples: draws for every point of the grid.
    """

    path: Path
    name: str
    seed: int
    targets: tuple[str, ...]
    replicates: int
    chunk: int
    grid: Mapping[str, tuple[Value, ...] | Range]
    random: Mapping[str, tuple[Value, ...] | Range]
    samples: int


def read(path: Path) -> Spec:
    """The campaign in a file.

    Raises:
        LemmataError: no such file, no TOML, an unknown key, or a value that is none; the message names the key.
    """
    if path.is_dir():
        raise LemmataError(
            f"{path} is a folder: give a SPEC.toml, or --summary to see the results of a campaign"
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LemmataError(f"{path} cannot be read: {error.strerror}; give a SPEC.toml") from error
    if len(raw) > MOST_BYTES:
        raise LemmataError(
            f"{path} has more than {MOST_BYTES} bytes; write ranges instead of lists"
        )
    try:
        data = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LemmataError(f"{path} is no TOML: {error}; see the documentation") from error
    return parse(data, path)


def parse(data: Mapping[str, Any], path: Path) -> Spec:
    """The campaign that plain data stand for; targets in files are relative to ``path``.

    Raises:
        LemmataError: see `read`.
    """
    _known(data, ("campaign", "grid", "random"), "the file")
    head, grid, random = (_table(data, k) for k in ("campaign", "grid", "random"))
    _known(head, ("name", "seed", "target", "replicates", "chunk"), "[campaign]")
    if "target" not in head:
        raise LemmataError(
            '[campaign] needs target = "ID", or a list of ids and FILE.py::NAME; see `lemmata list`'
        )
    given = head["target"]
    targets = tuple([given] if isinstance(given, str) else given if _is_list(given) else [None])
    if not targets or not all(isinstance(t, str) and t for t in targets):
        raise LemmataError(f"target = {given!r:.60}: give an id, FILE.py::NAME, or a list of them")
    if len(set(targets)) < len(targets):
        raise LemmataError("target names something twice; leave one of them out")
    name = head.get("name", path.stem)
    if not isinstance(name, str) or not name:
        raise LemmataError(f"name = {name!r:.60}: give a text")
    samples = _whole(random, "samples", 1, 1, LARGEST) if random else 1
    drawn = {k: v for k, v in random.items() if k != "samples"}
    if random and not drawn:
        raise LemmataError("[random] has no axis; for more cases of every point use replicates")
    both = sorted(set(grid) & set(drawn))
    if both:
        raise LemmataError(f"{both[0]} is an axis of [grid] and of [random]; leave one of them out")
    return Spec(
        path=path,
        name=name,
        seed=_whole(head, "seed", 0, 0, 2**63 - 1),
        targets=targets,
        replicates=_whole(head, "replicates", 1, 1, LARGEST),
        chunk=_whole(head, "chunk", 64, 1, 10**5),
        grid={k: _values(k, v) for k, v in grid.items()},
        random={k: _random(k, v) for k, v in drawn.items()},
        samples=samples,
    )


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint for an unknown name: the nearest known one, and all of them."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    start = f"did you mean {close[0]}? " if close else ""
    return f"{start}known: {', '.join(known) or 'none'}"


def _known(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise LemmataError(f"unknown key {key!r:.60} in {where}; {nearest(key, known)}")


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, Mapping):
        raise LemmataError(f"{key} = {table!r:.60}: write it as a table, [{key}]")
    if key != "campaign":
        for axis in table:
            if axis in RESERVED and (key, axis) != ("random", "samples"):
                raise LemmataError(
                    f"[{key}]: {axis} is a column of the results; no axis is called so"
                )
    return table


def _whole(table: Mapping[str, Any], key: str, default: int, low: int, high: int) -> int:
    value = table.get(key, default)
    if type(value) is not int or not low <= value <= high:
        raise LemmataError(f"{key} = {value!r:.60}: give a whole number from {low} to {high}")
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _values(axis: str, given: Any) -> tuple[Value, ...] | Range:
    if isinstance(given, Mapping):
        _known(given, ("from", "to", "steps", "scale"), f"the axis {axis}")
        steps = _whole(given, "steps", 0, 1, MOST_VALUES)
        return _range(axis, given, "from", "to", steps)
    if not _is_list(given):
        given = [given]
    return _listed(axis, given)


def _random(axis: str, given: Any) -> tuple[Value, ...] | Range:
    if not isinstance(given, Mapping):
        raise LemmataError(
            f'random axis {axis} = {given!r:.60}: write {{low = 0.1, high = 10, scale = "log"}} or {{choices = [...]}}'
        )
    if "choices" in given:
        _known(given, ("choices",), f"the axis {axis}")
        choices = given["choices"]
        if not _is_list(choices):
            raise LemmataError(f"axis {axis}: choices = {choices!r:.60}: give a list")
        return _listed(axis, choices)
    _known(given, ("low", "high", "scale", "choices"), f"the axis {axis}")
    return _range(axis, given, "low", "high", 0)


def _listed(axis: str, values: Sequence[Any]) -> tuple[Value, ...]:
    if not values or len(values) > MOST_VALUES:
        raise LemmataError(f"axis {axis} has {len(values)} values: give 1 to {MOST_VALUES}")
    for value in values:
        if type(value) not in (int, float, str, bool) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise LemmataError(
                f"axis {axis}: {value!r:.60} is no finite number, text or true/false"
            )
    return tuple(values)


def _range(axis: str, given: Mapping[str, Any], first: str, last: str, steps: int) -> Range:
    ends = []
    for key in (first, last):
        value: Any = given.get(key)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise LemmataError(f"axis {axis}: {key} = {value!r:.60}: give a finite number")
        ends.append(float(value))
    low, high = ends
    scale = given.get("scale", "linear")
    if scale not in SCALES:
        raise LemmataError(f"axis {axis}: scale = {scale!r:.60}: use linear or log")
    if not low < high:
        raise LemmataError(f"axis {axis}: {first} = {low:g} is not below {last} = {high:g}")
    if scale == "log" and low <= 0:
        raise LemmataError(f"axis {axis}: a logarithmic scale needs {first} > 0, not {low:g}")
    if not math.isfinite(high - low):
        raise LemmataError(f"axis {axis}: the range is too long; give its logarithm as an axis")
    return Range(low, high, scale, steps)
