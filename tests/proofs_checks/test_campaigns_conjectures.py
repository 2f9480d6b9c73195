"""Campaigns of conjectures: axes, replays, and mistakes that show before the work starts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import strategies as st

from proofs_checks.campaigns.draws import draw_cases
from proofs_checks.campaigns.replays import write_cases
from proofs_checks.campaigns.run import CampaignRun, campaign
from proofs_checks.campaigns.summary import summarise
from proofs_checks.conjectures.replays import replay
from proofs_checks.conjectures.targets import find
from tests.proofs_checks.campaign_tools import part, rows
from theory.errors import LemmataError

CONJECTURES = """
import multiprocessing, os
import numpy as np
from hypothesis import strategies as st
from proofs_checks.conjectures.conjecture import assume, conjecture, constant

def pairs(n=2):
    if n > 3:
        raise ValueError("too long")
    if n == 3 and multiprocessing.parent_process() is not None:
        os._exit(1)
    numbers = st.lists(st.integers(-4, 4).map(float), min_size=n, max_size=n).map(np.array)
    return st.fixed_dictionaries({"a": numbers, "b": numbers})

@conjecture(case=pairs())
def cauchy(case):
    a, b = case["a"], case["b"]
    return (a * b).sum() ** 2 <= (a * a).sum() * (b * b).sum()

@conjecture(case=pairs())
def halved(case):
    a, b = case["a"], case["b"]
    assume(0 < (a * a).sum())
    return 2 * (a * b).sum() ** 2 <= (a * a).sum() * (b * b).sum()

@conjecture(case=pairs())
def free(case):
    return (case["a"] ** 2).sum() <= constant("c")

CASES = {"cauchy": pairs, "halved": pairs}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    return path


@pytest.fixture
def conjectures(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CONJECTURES)
    return path


def test_conjectures_of_a_file_have_axes_and_can_be_replayed(
    conjectures: Path, spec: Path, go: Callable[..., CampaignRun], tmp_path: Path
) -> None:
    spec.write_text(
        '[campaign]\ntarget = ["mine.py::cauchy", "mine.py::halved"]\nreplicates = 12\nchunk = 8\n'
        "[grid]\nn = [1, 2, 4]\n"
    )
    go()
    found = rows(tmp_path / "out")
    assert Counter(r["target"] for r in found) == {"mine.py::cauchy": 36, "mine.py::halved": 36}
    assert Counter(r["n"] for r in found) == {1: 24, 2: 24, 4: 24}
    for row in found:
        if row["n"] == 4:  # the factory has no such cases
            assert row["status"] == "vacuous" and "too long" in row["reason"]
        elif row["target"] == "mine.py::cauchy":
            assert row["status"] == "holds"
    violated = [r for r in found if r["status"] == "violated"]
    assert violated and all(r["case"] for r in violated)
    assert any(r["status"] == "vacuous" and r["n"] < 4 for r in found)
    results = summarise(tmp_path / "out")
    assert results.exit_code == 1
    files = write_cases(results, tmp_path / "cases")
    halved = [f for f in files if "halved" in f.name]
    assert halved
    target = find(f"{conjectures}::halved")
    assert all(replay(json.loads(f.read_text()), target).identical for f in halved)
    part(tmp_path / "out", 3).unlink()
    go()
    assert rows(tmp_path / "out") == found
    conjectures.write_text(CONJECTURES + "\n# edited\n")
    with pytest.raises(LemmataError, match=r"targets: .*use a new folder"):
        go()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('target = "mine.py::nothing"', "mine.py has no conjecture or statement 'nothing'"),
        ('target = "mine.py::cauchy"\n[grid]\nm = [1]', "m is no axis of the conjecture"),
        ('target = "mine.py::free"\n[grid]\nm = [1]', "CASES = {'free': function}"),
        ('target = "mine.py::free"', "free constant 'c'"),
        ('target = "mine.py::cauchy"\n[grid]\nn = [9]', "too long"),
    ],
)
def test_conjectures_are_tried_before_the_work_starts(
    conjectures: Path,
    spec: Path,
    go: Callable[..., CampaignRun],
    tmp_path: Path,
    text: str,
    words: str,
) -> None:
    spec.write_text(f"[campaign]\n{text}")
    with pytest.raises(LemmataError, match=words):
        go()
    assert not (tmp_path / "out").exists()


def test_a_unit_that_kills_its_process_is_undecided_and_the_others_are_measured(
    conjectures: Path, spec: Path, tmp_path: Path
) -> None:
    spec.write_text(
        '[campaign]\ntarget = "mine.py::cauchy"\nreplicates = 3\nchunk = 3\n[grid]\nn = [1, 3, 2]\n'
    )
    campaign(spec, tmp_path / "out", jobs=1)
    found = rows(tmp_path / "out")
    assert Counter((r["n"], r["status"]) for r in found) == {
        (1, "holds"): 3,
        (2, "holds"): 3,
        (3, "undecided"): 3,
    }
    assert all("died" in r["reason"] for r in found if r["n"] == 3)
    assert summarise(tmp_path / "out").exit_code == 3


def test_a_strategy_neither_ends_a_campaign_nor_speaks_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def shown(value: int) -> int:
        print("drawing")
        return value

    def leave(value: int) -> int:
        raise SystemExit(0)

    assert len(draw_cases(st.integers().map(shown).map(float), 3, 0)) == 3
    seen = capsys.readouterr()
    assert seen.out == "" and "drawing" in seen.err
    with pytest.raises(LemmataError, match="the strategy does not run: SystemExit"):
        draw_cases(st.integers().map(leave), 3, 0)


def test_a_case_that_is_drawn_again_is_shown_once(tmp_path: Path) -> None:
    (tmp_path / "few.py").write_text(
        "from hypothesis import strategies as st\n"
        "from proofs_checks.conjectures.conjecture import conjecture\n"
        "@conjecture(case=st.sampled_from([1.0, 2.0, 3.0]))\n"
        "def few(x):\n    return x <= 2.5\n"
    )
    (tmp_path / "spec.toml").write_text(
        '[campaign]\ntarget = "few.py::few"\nreplicates = 12\nchunk = 4\n'
    )
    with ThreadPoolExecutor(1) as pool:
        campaign(tmp_path / "spec.toml", tmp_path / "out", executor=pool)
    (target,) = (found := summarise(tmp_path / "out")).targets.values()
    assert len(target.worst) == 3
    files = write_cases(found, tmp_path / "cases")
    assert len(set(files)) == len(files) >= 1
