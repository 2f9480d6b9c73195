"""The work-precision diagram of `benchmarks.flows`: error against CPU seconds, each method labelled at its line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

CARD, INK, FAINT = "#fcfcfa", "#2b2f36", "#d9dadb"
COLOURS = {"across": "#a0673a", "yardstick": "#8b8f96", "events": "#3a6ea5", "ours": "#b3243f"}
KINDS = {
    "across": "steps over kinks",
    "events": "stops at kinks",
    "ours": "stops at kinks, with error bounds",
}
MARKERS = ("o", "s", "D", "^", "v", "P")
GAP = 0.42  # least distance of two labels, in decades of error


def spread(heights: list[float], gap: float) -> list[float]:
    """Heights moved apart, in their order, so that neighbours differ by at least the gap."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    placed = [heights[k] for k in order]
    for _ in range(200):
        moved = False
        for a in range(len(placed) - 1):
            overlap = gap - (placed[a + 1] - placed[a])
            if overlap > 1e-9:
                placed[a], placed[a + 1] = placed[a] - overlap / 2, placed[a + 1] + overlap / 2
                moved = True
        if not moved:
            break
    result = [0.0] * len(heights)
    for place, k in enumerate(order):
        result[k] = placed[place]
    return result


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Write the figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = [record for record in records if "failed" not in record]
    figure, axes = plt.subplots(figsize=(8.6, 5.2), dpi=160, facecolor=CARD)
    axes.set_facecolor(CARD)
    seen: dict[str, int] = {}
    ends = []
    for record in lines:
        kind = record["kind"]
        marker = MARKERS[seen.get(kind, 0) % len(MARKERS)]
        seen[kind] = seen.get(kind, 0) + 1
        points = [
            (p["seconds"], max(p["error"], 1e-16)) for p in record["points"] if p["error"] > 0
        ]
        if not points:
            continue
        x, y = zip(*points, strict=True)
        bold = kind == "ours"
        axes.plot(
            x,
            y,
            color=COLOURS[kind],
            marker=marker,
            markersize=5.5 if bold else 4.5,
            linewidth=2.4 if bold else 1.3,
            zorder=3 if bold else 2,
        )
        text = {"color": COLOURS[kind], "fontsize": 8, "fontweight": "bold" if bold else "normal"}
        if kind in {"events", "ours"}:  # these stand apart: labelled where they begin
            axes.annotate(record["label"], (x[0], y[0]), (7, 5), textcoords="offset points", **text)
        else:
            ends.append((x[-1], y[-1], record["label"], text))
    axes.set_xscale("log")
    axes.set_yscale("log")
    right = max((x for x, *_ in ends), default=1.0)
    # Where lines end at the same height, the leader of the one further right is the lower one.
    places = spread([math.log10(y) - 1e-3 * math.log10(x) for x, y, *_ in ends], GAP)
    for (x, y, label, text), place in zip(ends, places, strict=True):
        axes.annotate(
            label,
            (x, y),
            xytext=(right * 1.8, 10**place),
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": text["color"], "linewidth": 0.5, "alpha": 0.5},
            **text,
        )
    axes.set_xlabel("CPU seconds for 64 trajectories, one thread", color=INK)
    axes.set_ylabel("largest relative error at T", color=INK)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(INK)
    legend = [
        plt.Line2D([], [], color=COLOURS[kind], linewidth=2, label=text)
        for kind, text in KINDS.items()
        if kind in seen
    ]
    axes.legend(handles=legend, loc="lower left", fontsize=8, frameon=False, labelcolor=INK)
    figure.savefig(path, facecolor=CARD, bbox_inches="tight")
    plt.close(figure)
