"""Figures of convex ReLU training: the regularisation path, and the neurons of an optimum on the data plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofs_checks.figures import BLUE, GREEN, GREY, ORANGE, canvas, save
from proofs_checks.relu_path import RegularisationPath
from proofs_checks.relu_training import ReluOptimum
from theory.errors import LemmataError

Array = NDArray[np.float64]


def draw_path(path: RegularisationPath, file: Path) -> None:
    """Objective and number of neurons against beta / beta_max; below, the weight of every neuron's |w_j| |v_j|."""
    relative = np.array([point.beta / path.beta_max for point in path.points])
    objective = np.array([point.objective for point in path.points])
    counts = np.array([point.neurons for point in path.points])
    with canvas(6.4, 5.6, nrows=3, sharex=True, height_ratios=[1.2, 0.9, 1.5]) as (figure, axes):
        top, middle, bottom = axes
        top.plot(relative, objective, "-", color=BLUE, lw=1.8)
        top.set_ylabel("optimum")
        middle.step(relative, counts, where="mid", color=GREY, lw=1.6)
        middle.set_ylabel("neurons")
        for sign, colour, marker, label in (
            (1, BLUE, "o", "positive output"),
            (-1, ORANGE, "s", "negative output"),
        ):
            places, sizes = [], []
            for x, point in zip(relative, path.points, strict=True):
                chosen = np.sign(point.v) == sign
                sizes += (
                    np.linalg.norm(point.W[chosen], axis=1) * np.abs(point.v[chosen])
                ).tolist()
                places += [x] * int(chosen.sum())
            bottom.plot(places, sizes, marker, color=colour, ms=3.5, mfc="none", label=label)
        bottom.set_ylabel(r"$\|w_j\|\,|v_j|$")
        bottom.set_xlabel(r"$\beta/\beta_{\max}$")
        bottom.set(xscale="log", yscale="log")
        bottom.legend(frameon=False)
        save(figure, file)


def draw_neurons(optimum: ReluOptimum, file: Path) -> None:
    """The data (colour: target) in the plane, the neurons' kinks and directions, for d = 2, or d = 3 with a bias.

    Without a bias a kink is a line through the origin; with one it is any line.  Each arrow starts
    on the kink and points to where its neuron is active.

    Raises:
        LemmataError: the data are not of the plane.
    """
    X, d = optimum.data.X_float, optimum.data.X_float.shape[1]
    flat = d == 2 or (d == 3 and np.ptp(X[:, 2]) == 0.0)
    if not flat:
        raise LemmataError(
            f"neurons are drawn for d = 2, or d = 3 with a constant last column; here d = {d}"
        )
    shift = X[0, 2] if d == 3 else 0.0
    span = 1.15 * float(np.abs(X[:, :2]).max())
    with canvas(5.2, 4.6) as (figure, ax):
        shown = ax.scatter(
            X[:, 0],
            X[:, 1],
            c=optimum.data.y_float,
            cmap="cividis",
            s=42,
            edgecolors="white",
            zorder=3,
        )
        figure.colorbar(shown, ax=ax, label="target")
        sizes = np.linalg.norm(optimum.W, axis=1) * np.abs(optimum.v)
        for w, v, size in zip(optimum.W, optimum.v, sizes, strict=True):
            normal, level = w[:2], float(w[2] * shift) if d == 3 else 0.0
            length = float(np.linalg.norm(normal))
            if length <= 1e-12 * float(np.abs(w).max()):
                continue  # constant on the plane: no kink to draw
            unit = normal / length
            foot, along = -level / length * unit, np.array([-unit[1], unit[0]])
            ends = foot[:, None] + along[:, None] * np.array([-3.0, 3.0]) * span
            colour, style = (BLUE, "-") if v > 0 else (ORANGE, "--")
            ax.plot(ends[0], ends[1], style, color=colour, lw=1.4)
            reach = 0.45 * span * float(size / sizes.max())
            ax.annotate(
                "",
                xy=foot + reach * unit,
                xytext=foot,
                arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6},
            )
        ax.plot([], [], "-", color=BLUE, label="kink, positive output")
        ax.plot([], [], "--", color=ORANGE, label="kink, negative output")
        ax.plot([0], [0], "+", color=GREEN, ms=9)
        ax.set(xlim=(-span, span), ylim=(-span, span), xlabel="$x_1$", ylabel="$x_2$")
        ax.set_title(
            f"{optimum.neurons} neurons, optimum {optimum.objective:.6g}", loc="left", fontsize=10
        )
        ax.legend(fontsize=8, loc="upper left", framealpha=0.9)
        save(figure, file)
