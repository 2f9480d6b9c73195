"""`assert_holds`: one verdict as a test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.records import LISTENERS, Checked
from proofs_checks.conjectures.replays import casefile, verdict_on
from proofs_checks.conjectures.targets import find
from proofs_checks.verdict import Status, Verdict
from theory.errors import LemmataError
from theory.statement import Statement


class Violated(AssertionError):
    """The statement or conjecture fails on the case by more than the error bound."""


class Undecided(AssertionError):
    """The error bound straddles: neither holds nor violated."""


class Vacuous(AssertionError):
    """A hypothesis fails on the case, so that nothing was checked."""


def assert_holds(
    target: Conjecture | Statement | str,
    case: Any,
    *,
    allow_vacuous: bool = False,
    allow_undecided: bool = False,
) -> Verdict:
    """Assert that a statement or conjecture holds on a case, by more than the error bound.

    Args:
        target: a conjecture, a statement, its id, or ``FILE.py::NAME``.
        case: for a statement a case of its model; for a conjecture what its strategy draws.
        allow_vacuous: accept a case on which a hypothesis fails.
        allow_undecided: accept a case on which the error bound straddles, for instance because the sides are equal.

    Within a pytest test such cases are counted and do not fail by themselves, as a property meets some of them nearly
    always; a test without a single deciding case fails, unless all of them are allowed.

    Returns:
        the verdict.

    Raises:
        Violated, Undecided, Vacuous: AssertionErrors, each with diagnosis and remedy.
        LemmataError: the case is none, or the conjecture cannot be evaluated.
    """
    found = find(target) if isinstance(target, str) else target
    if isinstance(found, Conjecture):
        case = case if isinstance(case, ConjectureCase) else ConjectureCase.of(case)
    elif not isinstance(found, Statement):
        raise LemmataError(f"{found!r:.60} is neither a conjecture nor a statement")
    elif isinstance(case, Mapping) or not hasattr(case, "hash"):
        raise LemmataError(
            f"{type(case).__name__} is no case of a statement: make one, for instance with lemmata.Case.create"
        )
    verdict = verdict_on(found, case)
    checked = Checked(
        target=verdict.statement,
        status=str(verdict.status),
        rigor=str(verdict.rigor),
        log_ratio=verdict.log_tightness,
        reason=verdict.reason,
        casefile=lambda: casefile(found, case, verdict),
        allowed=(verdict.status is Status.VACUOUS and allow_vacuous)
        or (verdict.status is Status.UNDECIDED and allow_undecided),
    )
    for listener in LISTENERS:
        listener(checked)
    if verdict.status is Status.VIOLATED:
        raise Violated(f"{verdict.statement} is violated: {verdict.reason}")
    if verdict.status is Status.HOLDS or checked.allowed:
        return verdict
    if LISTENERS and "PYTEST_CURRENT_TEST" in os.environ:
        return verdict
    kind = Vacuous if verdict.status is Status.VACUOUS else Undecided
    raise kind(f"{verdict.statement} is {verdict.status} on this case: {verdict.reason}")
