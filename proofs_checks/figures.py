"""Figures: a trajectory against its bound, measured against stated times, directions, the waterfall of a profile.

All are drawn on an opaque light background with a palette that survives grey-scale printing and the common forms of
colour blindness (distinct line styles besides), so they read on paper and in dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proofs_checks.case import Case
from proofs_checks.files import replace_with
from proofs_checks.record import Recording
from proofs_checks.verdict import Status, Verdict
from theory.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

BLUE, ORANGE, GREEN, GREY = "#2f5d8a", "#c8611a", "#3c7d4f", "#6b6b6b"
_RC: dict[RcKeyType, Any] = {
    "figure.facecolor": "#fbfbf9",
    "axes.facecolor": "#fbfbf9",
    "savefig.facecolor": "#fbfbf9",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "figure.dpi": 120,
    "svg.hashsalt": "lemmata",
}


@contextmanager
def canvas(width: float, height: float, **subplots: Any) -> Iterator[tuple[Figure, Any]]:
    import matplotlib

    with matplotlib.rc_context(_RC):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Fig

        figure = Fig(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(**subplots)


def save(figure: Figure, path: Path) -> None:
    replace_with(
        path, lambda temporary: figure.savefig(temporary, format=path.suffix.lstrip(".") or "png")
    )


def draw_statement(
    statement: Statement, recording: Recording | None, verdicts: Sequence[Verdict], path: Path
) -> None:
    """One figure for a statement: its tightest trajectory against the bound, or its times against the stated ones."""
    if recording is not None and recording.curves:
        draw_trajectory(recording, path)
    else:
        draw_times(statement, verdicts, path)


def draw_trajectory(recording: Recording, path: Path) -> None:
    """Both sides of every relation along a trajectory, logarithmic; extreme scales are labelled by their exponent.

    Of an equality, whose sides are one line, the relative difference is drawn against its error bound and the declared
    resolution; a difference of exactly 0 has no logarithm and is left out.
    """
    curves = recording.curves
    with canvas(6.4, 2.8 * len(curves), nrows=len(curves), squeeze=False) as (figure, axes):
        for ax, curve in zip(axes[:, 0], curves, strict=True):
            lines = (
                (curve.log_rhs, ORANGE, "--", "bound"),
                (curve.log_lhs, BLUE, "-", "measured"),
            )
            if curve.resolution is not None:
                level = math.log(curve.resolution)
                ax.axhline(level / math.log(10.0), color=GREY, lw=1.0, ls=":", label="resolution")
                lines = (
                    (curve.log_error, ORANGE, "--", "error bound"),
                    (curve.log_gap, BLUE, "-", "relative difference"),
                )
            for values, colour, style, label in lines:
                shown = np.where(np.isfinite(values), values, np.nan) / math.log(10.0)
                mark = "." if label == "relative difference" else ""  # exact zeros isolate points
                ax.plot(
                    curve.times, shown, style, marker=mark, ms=3, color=colour, lw=1.8, label=label
                )
            ax.yaxis.set_major_formatter(lambda v, _: f"$10^{{{v:g}}}$")
            ax.set_title(f"{recording.statement.id}: {curve.part}", loc="left", fontsize=10)
            ax.legend(frameon=False)
        axes[-1, 0].set_xlabel("time t")
        save(figure, path)


def draw_times(statement: Statement, verdicts: Sequence[Verdict], path: Path) -> None:
    """Measured against stated times over all deciding cases; below the diagonal the statement holds."""
    points = [v for v in verdicts if v.deciding and v.log_lhs is not None and v.log_rhs is not None]
    with canvas(5.0, 4.4) as (figure, ax):
        for status, colour, marker in ((Status.HOLDS, BLUE, "o"), (Status.VIOLATED, ORANGE, "X")):
            chosen = [v for v in points if v.status is status and v.log_lhs > -math.inf]  # type: ignore[operator]
            if chosen:
                xs, ys = (
                    [math.exp(getattr(v, side)) for v in chosen] for side in ("log_rhs", "log_lhs")
                )
                ax.plot(xs, ys, marker, color=colour, alpha=0.6, ms=5, label=str(status))
        finite = [
            math.exp(x)
            for v in points
            for x in (v.log_lhs, v.log_rhs)
            if x is not None and x > -math.inf
        ]
        if finite:
            low, high = min(finite) / 1.3, max(finite) * 1.3
            ax.plot([low, high], [low, high], "--", color=GREY, lw=1.2, label="equality")
            ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
            ax.legend(frameon=False)
        else:
            ax.text(0.5, 0.5, "no deciding case", ha="center", transform=ax.transAxes)
        ax.set_xlabel("right-hand side")
        ax.set_ylabel("left-hand side")
        ax.set_title(statement.id, loc="left", fontsize=10)
        save(figure, path)


def draw_directions(recording: Recording, path: Path) -> None:
    """The directions w_j/‖w_j‖ and the data: angles over time for d = 2, paths on the sphere for d = 3.

    Raises:
        ValueError: d is neither 2 nor 3, or the network has no neurons.
    """
    case, d = recording.case, recording.directions.shape[2]
    if not isinstance(case, Case):
        raise ValueError(
            f"directions are those of ReLU neurons; the case is of the model {case.model}"
        )
    if d == 2:
        _draw_circle(recording, case, path)
    elif d == 3:
        _draw_sphere(recording, case, path)
    else:
        raise ValueError(f"directions can be drawn for d = 2 and 3, not {d}")


def _draw_circle(recording: Recording, case: Case, path: Path) -> None:
    angles = np.unwrap(
        np.arctan2(recording.directions[..., 1], recording.directions[..., 0]), axis=0
    )
    with canvas(9.2, 3.6, ncols=2, width_ratios=[1.6, 1]) as (figure, (ax, disc)):
        for j, sign in enumerate(recording.signs):
            style = "-" if sign > 0 else "--"
            ax.plot(
                recording.times,
                np.degrees(angles[:, j]),
                style,
                color=BLUE if sign > 0 else ORANGE,
                lw=1.2,
            )
        ax.set_xlabel("time t")
        ax.set_ylabel("angle of $w_j$ (degrees)")
        ax.set_title("— positive neurons    - - negative neurons", fontsize=9)
        turn = np.linspace(0, 2 * np.pi, 200)
        disc.plot(np.cos(turn), np.sin(turn), color=GREY, lw=0.8)
        X = case.X / np.linalg.norm(case.X, axis=1, keepdims=True)
        for label, marker in ((1.0, "o"), (-1.0, "s")):
            chosen = X[np.sign(case.y) == label]
            disc.plot(
                chosen[:, 0],
                chosen[:, 1],
                marker,
                color=BLUE if label > 0 else ORANGE,
                ms=6,
                mec="white",
            )
        for j, sign in enumerate(recording.signs):
            start, end = recording.directions[[0, -1], j]
            disc.annotate(
                "",
                xy=end,
                xytext=0.62 * start,
                arrowprops={"arrowstyle": "->", "color": GREEN if sign > 0 else GREY, "lw": 0.9},
            )
        disc.set_aspect("equal")
        disc.set_axis_off()
        disc.set_title("data (points), start → end", fontsize=9)
        save(figure, path)


def _draw_sphere(recording: Recording, case: Case, path: Path) -> None:
    with canvas(5.4, 5.0, subplot_kw={"projection": "3d"}) as (figure, ax):
        for j, sign in enumerate(recording.signs):
            p = recording.directions[:, j]
            ax.plot(*p.T, color=BLUE if sign > 0 else ORANGE, lw=1.0, ls="-" if sign > 0 else "--")
            ax.plot(*p[-1:].T, "o", color=BLUE if sign > 0 else ORANGE, ms=4)
        X = case.X / np.linalg.norm(case.X, axis=1, keepdims=True)
        for label, marker in ((1.0, "^"), (-1.0, "v")):
            chosen = X[np.sign(case.y) == label]
            ax.plot(*chosen.T, marker, color=GREEN if label > 0 else GREY, ms=6, ls="")
        ax.set_box_aspect((1, 1, 1))
        ax.set_title(recording.statement.id, fontsize=10)
        save(figure, path)


def draw_waterfall(
    title: str, panels: Sequence[tuple[str, Sequence[str], Sequence[float]]], path: Path
) -> None:
    """The factor that each step of a proof gives away, multiplying up to the whole looseness.

    Args:
        panels: (part, labels of the steps, natural logarithms of their factors).
    """
    heights = [len(labels) + 2 for _, labels, _ in panels]
    with canvas(
        7.4, 0.42 * sum(heights) + 0.8, nrows=len(panels), squeeze=False, height_ratios=heights
    ) as (figure, axes):
        for ax, (part, labels, factors) in zip(axes[:, 0], panels, strict=True):
            _waterfall(ax, part, labels, np.asarray(factors) / math.log(10.0))
        axes[-1, 0].set_xlabel("stated bound / measured value, step by step")
        figure.suptitle(title, fontsize=10)
        save(figure, path)


def _waterfall(ax: Any, part: str, labels: Sequence[str], decades: np.ndarray) -> None:
    ends = np.cumsum(decades)
    rows = np.arange(len(labels))
    ax.barh(rows, decades, left=ends - decades, color=BLUE, height=0.6)
    for row, end, value in zip(rows, ends, decades, strict=True):
        ax.text(max(end, end - value), row, f" ×{_short(10.0**value)}", va="center", fontsize=8.5)
    ax.barh([len(labels)], [ends[-1]], color=ORANGE, height=0.6)
    ax.text(ends[-1], len(labels), f" ×{_short(10.0 ** ends[-1])}", va="center", fontsize=8.5)
    ax.set_yticks([*rows, len(labels)], [*labels, "all steps together"])
    ax.invert_yaxis()
    ax.margins(x=0.14)
    ax.xaxis.set_major_formatter(lambda v, _: f"$10^{{{v:g}}}$")
    ax.set_title(part, loc="left", fontsize=10)


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1e4 else f"{value:.1e}"
