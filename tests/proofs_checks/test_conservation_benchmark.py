"""The benchmark of conservation laws: its table, its judgement, and the sympy code it is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sympy import Matrix, Rational

from benchmarks import conservation_growth, conservation_laws
from benchmarks.conservation_growth import Measurement, misses, slope
from benchmarks.conservation_laws import judge, main, our_count, our_laws, peer_section
from benchmarks.conservation_peer import Plain, Quadratic, Tuned
from benchmarks.conservation_rows import ROWS, Row, factorisation_laws
from theory.conservation.builders import linear, matrix_factorisation, relu
from theory.conservation.laws import find_laws

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / conservation_laws.FILE
FIRST = ROWS[0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_every_row_comes_out(row: Row) -> None:
    assert judge(row).mismatches == ()


@pytest.mark.parametrize(
    ("shape", "laws"),
    [((2, 2, 2), 3), ((4, 4, 3), 6), ((5, 5, 4), 10), ((2, 2, 6), 18), ((1, 1, 7), 13)],
)
def test_the_formula_gives_the_published_numbers(shape: tuple[int, int, int], laws: int) -> None:
    assert factorisation_laws(*shape) == laws


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"laws": 4}, "laws: (3, 3) instead of (4, 4)"),
        ({"laws": (3, 4)}, "laws: (3, 3) instead of (3, 4)"),
        ({"lie": 6}, "dim Lie: 5 instead of 6"),
        ({"linear": 2}, "linearly independent laws: 3 instead of 2"),
        ({"like": lambda: relu((2, 2, 2))}, "laws, as polynomials"),
    ],
)
def test_a_wrong_expectation_is_a_mismatch(wrong: dict[str, Any], text: str) -> None:
    assert text in "; ".join(judge(replace(FIRST, **wrong)).mismatches)


def test_an_interval_is_no_number() -> None:
    row = replace(FIRST, model=lambda: linear((1, 2, 2, 1)), laws=7, lie=None)
    assert any("laws: (6, 7)" in text for text in judge(row).mismatches)


def test_mismatches_make_it_exit_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(conservation_laws, "ROWS", ROWS[:2])
    assert main(["-o", str(tmp_path)]) == 0
    assert f"| {FIRST.case} |" in (tmp_path / conservation_laws.FILE).read_text(encoding="utf-8")
    monkeypatch.setattr(conservation_laws, "ROWS", (FIRST, replace(FIRST, laws=2)))
    assert main([]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("MISMATCH") == 1
    assert "not as expected" in captured.err


@pytest.mark.parametrize("peer", [Plain, Tuned])
@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 2, 3)])
def test_the_peers_find_the_same_laws(
    peer: type[Plain] | type[Tuned], shape: tuple[int, int, int]
) -> None:
    model = matrix_factorisation(*shape)
    ours = [law.polynomial for law in find_laws(model, degree=2)]
    theirs = peer(*shape).laws()
    assert len(ours) == len(theirs) == _rank(ours) == _rank([*ours, *theirs]) == our_laws(shape)


@pytest.mark.parametrize("peer", [Plain, Tuned])
@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 2, 3), (2, 1, 1)])
def test_the_peers_count_the_same(
    peer: type[Plain] | type[Tuned], shape: tuple[int, int, int]
) -> None:
    assert peer(*shape).count() == our_count(shape) == factorisation_laws(*shape)


def test_a_disagreement_and_a_missed_target_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (2, 1, 1)
    monkeypatch.setattr(conservation_laws, "SHAPES", (shape,))
    monkeypatch.setattr(conservation_laws, "TARGETS", {"count": 10**9, "laws": 0})
    tasks = {"count": (our_count, our_count, lambda _: 7), "laws": (our_laws, our_laws, our_laws)}
    monkeypatch.setattr(conservation_laws, "TASKS", tasks)
    section, problems = peer_section((shape,))
    assert section.count("(2,1,1)") == 3
    assert problems[0] == "count at (2,1,1): 1, sympy says 7"
    assert "times faster, not 1000000000" in problems[1] and len(problems) == 2


def test_growth_measures_in_a_fresh_process_and_fits_lines() -> None:
    (small,) = conservation_growth.in_fresh_processes([(2, 2, 2)])
    assert (small.parameters, small.terms, small.found, small.upper) == (8, 8, 3, 3)
    assert small.complete and small.rigor == "proved" and misses([small]) == []
    assert slope([(d, 0.5 * d**3) for d in (8, 20, 90)])[0] == pytest.approx(3)


def test_growth_reports_what_is_missed() -> None:
    good = Measurement("U Vᵀ (14,14,10)", 280, 1960, 55, 55, "proved", 1, 1, 179, True, 3.9)
    assert misses([good]) == []
    bad = [
        replace(good, all=181),
        replace(good, peak=4.1),
        replace(good, rigor=None),
        replace(good, found=54),
    ]
    assert [len(misses([m])) for m in bad] == [1, 1, 1, 1]


def test_the_recorded_table_has_every_row() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    assert [row.case for row in ROWS if f"| {row.case} |" not in text] == []
    assert "MISMATCH" not in text and f"({conservation_growth.FIGURE})" in text
    assert (RESULTS.parent / conservation_growth.FIGURE).is_file()


def _rank(vectors: Sequence[Quadratic | dict[tuple[int, ...], int]]) -> int:
    keys = sorted({m for v in vectors for m in v})
    return int(Matrix([[Rational(str(v.get(m, 0))) for m in keys] for v in vectors]).rank())
