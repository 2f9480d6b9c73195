"""Figures of campaigns: a heat map over two axes, or curves along one; what was not decided is shown as such."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from proofs_checks.campaigns.levels import Levels
from proofs_checks.campaigns.replays import file_stem
from proofs_checks.campaigns.summary import STATUSES, Cell, Summary, TargetSummary
from proofs_checks.figures import BLUE, GREEN, GREY, ORANGE, canvas, save
from proofs_checks.verdict import Status
from theory.errors import LemmataError

TIGHTNESS = "tightness"
VALUES = (*STATUSES, TIGHTNESS)
MOST_TICKS, MOST_NUMBERS = 12, 14
EMPTY, OPEN = "#ffffff", "#d8d8d4"
SPAN = 100.0  # between the largest and the smallest tightness, above which colours are logarithmic
LINES = {
    Status.HOLDS: (BLUE, "-", "o"),
    Status.VIOLATED: (ORANGE, "--", "X"),
    Status.VACUOUS: (GREY, ":", "s"),
    Status.UNDECIDED: (GREEN, "-.", "D"),
}


def draw(summary: Summary, folder: Path, *, value: str | None = None) -> list[Path]:
    """Draw every target, and return the files; without an axis of two values there is nothing to draw.

    Args:
        value: a status, for its share among all verdicts, or "tightness"; by default the share of the first of
            violated, undecided, vacuous, holds that occurs, and the tightness.

    Raises:
        LemmataError: an unknown value.
    """
    if value is not None and value not in VALUES:
        raise LemmataError(f"--value {value!r:.60}: use one of {', '.join(VALUES)}")
    files: list[Path] = []
    for target in summary.targets.values():
        if not summary.x or not target.all.total:
            continue
        stem = file_stem(target.name)
        if not summary.y:
            files.append(folder / f"{stem}-{summary.x}.png")
            _draw_lines(target, summary.axes[summary.x], files[-1])
            continue
        for shown in [value] if value else [_default(target.all), TIGHTNESS]:
            files.append(folder / f"{stem}-{shown}.png")
            _draw_map(target, summary, shown, files[-1])
    return files


def _default(cell: Cell) -> str:
    order = (Status.VIOLATED, Status.UNDECIDED, Status.VACUOUS, Status.HOLDS)
    return str(next(s for s in order if cell.counts[s]))


def _draw_map(target: TargetSummary, summary: Summary, value: str, path: Path) -> None:
    """One field per pair of levels. Fields without a deciding verdict are hatched, whatever the value."""
    across, up = summary.axes[summary.x], summary.axes[summary.y]
    shape = (up.count, across.count)
    logs = np.full(shape, np.nan)
    for (i, j), cell in target.over.items():
        if i >= 0 and j >= 0:
            logs[j, i] = cell.quantile(1.0) if value == TIGHTNESS else cell.rate(value)
    field, label, scale = _colours(logs, value)
    width = min(3.2 + 0.55 * across.count, 11.0)
    with canvas(width, min(2.2 + 0.42 * up.count, 9.0)) as (figure, ax):
        ax.grid(False)
        shown = ax.imshow(
            np.ma.masked_invalid(field), origin="lower", aspect="auto", cmap="cividis", **scale
        )
        figure.colorbar(shown, ax=ax, label=label)
        small = across.count <= MOST_NUMBERS and up.count <= MOST_NUMBERS
        for j in range(up.count):
            for i in range(across.count):
                _field(ax, target.over.get((i, j)), i, j, logs[j, i], shown, value, small)
        _ticks(ax.xaxis, across)
        _ticks(ax.yaxis, up)
        ax.set_title(target.name, loc="left", fontsize=10)
        figure.supxlabel("hatched: no deciding verdict", fontsize=8, color=GREY)
        save(figure, path)


def _colours(logs: np.ndarray, value: str) -> tuple[np.ndarray, str, dict[str, Any]]:
    """What is coloured, its label, and the ends of the scale; sizes beyond floats are kept as exponents."""
    if value != TIGHTNESS:
        return logs, f"share of verdicts: {value}", {"vmin": 0.0, "vmax": 1.0}
    finite = logs[np.isfinite(logs)]
    if finite.size and (finite.max() > 700 or finite.max() - finite.min() > math.log(SPAN)):
        decades = logs / math.log(10.0)
        low, high = (e / math.log(10.0) for e in (finite.min(), finite.max()))
        # an exact 0 has no exponent: it takes the lowest colour, and its field says 0
        clipped = np.where(np.isnan(logs), np.nan, np.clip(decades, low, high))
        return clipped, "log₁₀ of the largest lhs / rhs", {"vmin": low, "vmax": max(high, low + 1)}
    with np.errstate(over="ignore"):
        ratios = np.exp(logs)
    top = float(np.exp(finite.max())) if finite.size else 1.0
    return np.minimum(ratios, top), "largest lhs / rhs", {"vmin": 0.0, "vmax": max(top, 1.0)}


def _field(
    ax: Any, cell: Cell | None, i: int, j: int, entry: float, shown: Any, value: str, small: bool
) -> None:
    from matplotlib.patches import Rectangle

    words, colour = "", "black"
    if cell is None or not cell.deciding:
        face = EMPTY if cell is None else OPEN
        box = Rectangle((i - 0.5, j - 0.5), 1, 1, fc=face, ec=GREY, hatch="///", lw=0)
        ax.add_patch(box)
        if cell is not None:
            words = max(STATUSES, key=lambda s: cell.counts[s])
    elif not math.isnan(entry):
        words = _ratio(entry) if value == TIGHTNESS else f"{entry:.2g}"
        if small:
            red, green, blue, _ = shown.to_rgba(shown.get_array()[j, i])
            colour = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"
    if small and words:
        ax.text(i, j, words, ha="center", va="center", fontsize=7, color=colour)


def _ratio(log: float) -> str:
    if log == math.inf:
        return "∞"
    if abs(log) < 600 or log == -math.inf:
        return f"{math.exp(log):.2g}"
    return f"1e{log / math.log(10.0):.0f}"


def _ticks(side: Any, own: Levels) -> None:
    step = -(-own.count // MOST_TICKS)
    places = list(range(0, own.count, step))
    labels = [own.labels[k] for k in places]
    rotated = {"rotation": 45, "ha": "right"} if max(map(len, labels)) > 6 else {}
    side.set_ticks(places, labels, **(rotated if side.axis_name == "x" else {}))
    side.set_label_text(own.axis)


def _draw_lines(target: TargetSummary, own: Levels, path: Path) -> None:
    """Shares of all statuses, and below them the tightness of the deciding verdicts: median and largest."""
    cells = target.along[own.axis]
    order = [k for k in range(own.count) if k in cells]
    xs = [own.centres[k] for k in order]
    with canvas(6.0, 5.2, nrows=2, sharex=True) as (figure, (top, bottom)):
        for status, (colour, style, marker) in LINES.items():
            shares = [cells[k].rate(status) for k in order]
            if any(shares):
                top.plot(
                    xs, shares, style, marker=marker, ms=4, color=colour, lw=1.6, label=str(status)
                )
        top.set(ylabel="share of verdicts", ylim=(-0.03, 1.03))
        top.set_title(target.name, loc="left", fontsize=10)
        top.legend(frameon=False)
        for share, colour, style, label in (
            (1.0, BLUE, "-", "largest"),
            (0.5, ORANGE, "--", "median"),
        ):
            logs = np.array([cells[k].quantile(share) for k in order]) / math.log(10.0)
            kept = np.where(np.isfinite(logs), logs, np.nan)
            bottom.plot(xs, kept, style, marker="o", ms=3.5, color=colour, lw=1.6, label=label)
        bottom.yaxis.set_major_formatter(lambda v, _: f"$10^{{{v:g}}}$")
        bottom.set(ylabel="lhs / rhs", xlabel=own.axis)
        if own.log:
            bottom.set_xscale("log")
        if not own.numeric:
            bottom.set_xticks(xs, [own.labels[k] for k in order])
        bottom.legend(frameon=False)
        save(figure, path)
