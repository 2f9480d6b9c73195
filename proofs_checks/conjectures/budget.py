"""What a search may spend: checked in one place, before any work."""

from __future__ import annotations

import math
from typing import Any

from theory.errors import LemmataError


def check_budget(seconds: Any, cases: Any, seed: Any, jobs: Any) -> None:
    """Refuse what is no budget.

    Raises:
        LemmataError: ``seconds`` that are no positive number, or ``cases``, ``seed`` or ``jobs`` that are no whole
            numbers of at least 1, 0 and 1; seconds and cases may be None.
    """
    if seconds is not None and not (
        isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0
    ):
        raise LemmataError(f"seconds = {seconds!r}: give a positive number")
    for name, value, least in (("cases", cases, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (name == "cases" and value is None) and not (whole and value >= least):
            raise LemmataError(f"{name} = {value!r}: give a whole number of at least {least}")
