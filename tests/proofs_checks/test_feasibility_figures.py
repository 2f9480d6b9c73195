"""Figures on collapse: that they are drawn, what they show, what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numerics.collapse_phase import phase_diagram
from proofs_checks import collapse_figures
from proofs_checks.collapse_figures import draw_class_means, draw_phase_diagram
from theory.errors import LemmataError


@pytest.fixture
def drawn(monkeypatch):
    """The figures as they are saved."""
    figures = []
    save = collapse_figures.save

    def keep(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(collapse_figures, "save", keep)
    return figures


def test_a_phase_diagram_with_the_law_drawn_in(tmp_path, drawn):
    grid = phase_diagram(2, 6, [6, 8, 9, 11], [1.0, math.inf, 0.1], 12)
    draw_phase_diagram(grid, tmp_path / "phase.png")
    assert (tmp_path / "phase.png").read_bytes().startswith(b"\x89PNG")
    top, below, *_ = drawn[0].axes
    law = next(line for line in top.lines if line.get_label() == "exact law")
    assert list(law.get_xdata() * 6) == pytest.approx(range(6, 12))
    assert law.get_ydata()[0] == pytest.approx(2.0**-6)
    crossings = [line for line in below.lines if line.get_label().startswith("50%")]
    assert [list(line.get_ydata()) for line in crossings] == [[0.1, 1.0]] * 2
    with pytest.raises(LemmataError, match="two dimensions and two finite sigma"):
        draw_phase_diagram(phase_diagram(2, 3, [4], [1.0, 2.0], 1), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_three_class_means(tmp_path, drawn):
    labels = np.repeat(["a", "b", "c"], 4)
    H = np.repeat(np.eye(3), 4, axis=1)
    draw_class_means([("frame", H, labels), ("zero", 0 * H, labels)], tmp_path / "means.pdf")
    assert (tmp_path / "means.pdf").read_bytes().startswith(b"%PDF")
    assert [ax.get_title() for ax in drawn[0].axes] == ["frame", "zero"]
    for wrong in ((H[:2], labels), (H, labels[:-1]), (H, ["a", "b"] * 6)):
        with pytest.raises(LemmataError, match="three classes"):
            draw_class_means([("wrong", *wrong)], tmp_path / "none.png")
    with pytest.raises(LemmataError, match="at least one panel"):
        draw_class_means([], tmp_path / "none.png")
