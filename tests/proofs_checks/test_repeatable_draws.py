"""A seed alone determines what is drawn."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as hst

import proofs_checks.strategies as st
from proofs_checks.campaigns.draws import draw_cases
from proofs_checks.conjectures.conjecture import conjecture
from proofs_checks.conjectures.generation import draw


def test_what_else_is_loaded_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hypothesis draws numbers that it reads in the sources of loaded modules; a search must not."""

    @conjecture(case=st.record(t=hst.floats(-10, 10), k=hst.integers(10**6, 10**7)))
    def bounded(c: Any) -> Any:
        return c.t * c.k <= 10**9

    def drawn() -> list[str]:
        found = draw(bounded, count=300, seed=5).cases
        return [str(case.to_json()) for case in found] + [
            str(case.to_json()) for case in draw_cases(bounded.case, 300, 5)
        ]

    first = drawn()
    numbers = [k / 64 + 1 / 3 for k in range(-99, 99)] + list(range(10**6, 10**6 + 99))
    (tmp_path / "numbers_of_a_user.py").write_text(f"numbers = {numbers}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("numbers_of_a_user")
    assert drawn() == first
