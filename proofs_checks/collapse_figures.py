"""Figures on collapse: when it is feasible, over sigma and d/n, and the geometry of three class means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.collapse_phase import PhaseDiagram
from proofs_checks.feasibility_law import cover_wendel_probability
from proofs_checks.figures import BLUE, GREEN, GREY, ORANGE, canvas, save
from theory.errors import LemmataError

Float = NDArray[np.float64]
PAPER = "#fbfbf9"


def draw_phase_diagram(diagram: PhaseDiagram, path: Path) -> None:
    """The frequency with which a class is feasible, sigma against d/n, with the exact law of pure noise drawn in.

    Below, the grid with the 50% crossings, of one class and of all classes, and the median of the law. Above, pure
    noise: the law as a curve and, where the diagram has sigma = inf, its frequencies with two standard errors.

    Raises:
        LemmataError: fewer than two dimensions or two finite values of sigma.
    """
    finite = [s for s, sigma in enumerate(diagram.sigma_values) if math.isfinite(sigma)]
    if len(diagram.d_values) < 2 or len(finite) < 2:
        raise LemmataError("a phase diagram needs two dimensions and two finite sigma at least")
    heights = {"height_ratios": [1.0, 1.9]}
    with canvas(6.8, 6.4, nrows=2, sharex=True, gridspec_kw=heights) as (figure, (top, ax)):
        _draw_law(top, diagram)
        _draw_grid(figure, ax, diagram, sorted(finite, key=lambda s: diagram.sigma_values[s]))
        top.set_title(f"{diagram.K} classes of {diagram.n} points", loc="left", fontsize=10)
        ax.set_xlabel("d / n")
        save(figure, path)


def _draw_law(ax: Any, diagram: PhaseDiagram) -> None:
    K, n = diagram.K, diagram.n
    dims = range(min(diagram.d_values), max(diagram.d_values) + 1)
    law = [float(cover_wendel_probability(K, n, d)) for d in dims]
    ax.plot(np.array(dims) / n, law, "-", color=ORANGE, lw=1.8, label="exact law")
    if math.inf in diagram.sigma_values:
        row = diagram.sigma_values.index(math.inf)
        p, trials = (
            diagram.p_one[row],
            diagram.samples,
        )  # classes of one instance are not independent
        ax.errorbar(
            np.array(diagram.d_values) / n,
            p,
            yerr=2.0 * np.sqrt(np.maximum(p * (1.0 - p), 1.0 / trials) / trials),
            fmt="o",
            color=BLUE,
            ms=4,
            capsize=2,
            label="measured",
        )
    ax.axvline((K + 1) / 2, color=GREY, ls=":", lw=1.2)
    ax.set_ylabel("pure noise: P(feasible)")
    ax.legend(frameon=False)


def _draw_grid(figure: Any, ax: Any, diagram: PhaseDiagram, rows: Sequence[int]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    sigma = np.array([diagram.sigma_values[s] for s in rows])
    ratios = np.array(diagram.d_values) / diagram.n
    shades = LinearSegmentedColormap.from_list("feasible", [PAPER, BLUE])
    mesh = ax.pcolormesh(
        _edges(ratios),
        np.exp(_edges(np.log(sigma))),
        diagram.p_one[rows],
        cmap=shades,
        vmin=0,
        vmax=1,
    )
    for values, colour, style, label in (
        (diagram.p_one, ORANGE, "o-", "50%, one class"),
        (diagram.p_all, GREEN, "s--", "50%, all classes"),
    ):
        ax.plot(
            diagram.crossing(values)[rows], sigma, style, color=colour, mec=PAPER, ms=5, label=label
        )
    median = (diagram.K + 1) / 2
    ax.axvline(median, color=GREY, ls=":", lw=1.4, label=f"median of the law, {median:g}")
    ax.set_yscale("log")
    ax.set_ylabel("σ, per coordinate")
    ax.grid(False)
    ax.legend(loc="upper left", fontsize=8.5)
    figure.colorbar(mesh, ax=ax, label="P(a class is feasible)")


def _edges(centres: Float) -> Float:
    middle = (centres[1:] + centres[:-1]) / 2.0
    return np.concatenate(
        [[2.0 * centres[0] - middle[0]], middle, [2.0 * centres[-1] - middle[-1]]]
    )


def draw_class_means(panels: Sequence[tuple[str, Any, Any]], path: Path) -> None:
    """Three classes in R^3: points, class means and their origin, side by side.

    Args:
        panels: (title, H (3, N) features, labels (N,) of three classes).

    Raises:
        LemmataError: no panel, other dimensions or another number of classes.
    """
    if not panels:
        raise LemmataError("nothing to draw: give at least one panel")
    colours, markers = (BLUE, ORANGE, GREEN), ("o", "^", "s")
    with canvas(
        3.6 * len(panels),
        3.9,
        ncols=len(panels),
        squeeze=False,
        subplot_kw={"projection": "3d"},
    ) as (figure, axes):
        for ax, (title, features, labels) in zip(axes[0], panels, strict=True):
            H, names = np.asarray(features, dtype=np.float64), np.asarray(labels)
            classes = np.unique(names)
            if H.ndim != 2 or len(H) != 3 or names.shape != H.shape[1:] or len(classes) != 3:
                raise LemmataError(
                    f"panel {title!r}: needs features (3, N) with labels (N,) of three classes"
                )
            for label, colour, marker in zip(classes, colours, markers, strict=True):
                own = H[:, names == label]
                mu = own.mean(axis=1)
                ax.plot(*own, marker, color=colour, ms=3, alpha=0.45, ls="")
                ax.plot(*np.stack([np.zeros(3), mu], axis=1), "-", color=colour, lw=1.6)
                ax.plot(*mu[:, None], marker, color=colour, ms=8, mec=PAPER, label=str(label))
            ax.plot([0], [0], [0], "k+", ms=7)
            reach = float(np.abs(H).max()) or 1.0
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
            ax.set_box_aspect((1, 1, 1))
            ax.view_init(elev=24, azim=65)
            ax.locator_params(nbins=5)
            ax.tick_params(labelsize=7)
            ax.set_title(title, fontsize=10)
            ax.legend(frameon=False, fontsize=8)
        save(figure, path)
