"""What the user names: a registered statement, or a statement or conjecture in a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from proofs_checks import registry
from proofs_checks.conjectures.budget import check_budget
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.replays import casefile, verdict_on
from proofs_checks.conjectures.report import Progress, RefuteReport
from theory.errors import LemmataError
from theory.statement import Statement
from theory.user_file import load, quietly

Target: TypeAlias = Statement | Conjecture
USAGE = "FILE.py::NAME"


def find(spec: str) -> Target:
    """The statement with this id, or the statement or conjecture of ``FILE.py::NAME``; the file is executed.

    ``FILE.py`` alone stands for the only conjecture, or else the only statement, in it.

    Raises:
        LemmataError: unknown, ambiguous, or the file does not run.
    """
    path, separator, name = spec.rpartition("::")
    if not separator:
        if not spec.endswith(".py"):
            return _registered(spec)
        path = spec
    module = load(path, USAGE)
    known = {
        k: v
        for k, v in vars(module).items()
        # what a file imports from elsewhere is not its own
        if isinstance(v, Statement) or (isinstance(v, Conjecture) and v.file == module.__file__)
    }
    if separator:
        found = getattr(module, name, None)
        if not isinstance(found, Statement | Conjecture):
            raise LemmataError(
                f"{path} has no conjecture or statement {name!r}; it has: {', '.join(known) or 'none'}"
            )
    else:
        name = _only(path, known)
        found = known[name]
    if isinstance(found, Conjecture):
        return found
    return registry.adopt(found, f"{path}::{name}")


def _registered(spec: str) -> Statement:
    found = registry.resolve([spec])
    if len(found) > 1:
        names = ", ".join(s.id for s in found)
        raise LemmataError(f"{spec!r} stands for {len(found)} statements: name one of {names}")
    return found[0]


def _only(path: str, known: dict[str, Target]) -> str:
    """The name of the only conjecture, or of the only statement where there is no conjecture."""
    conjectures = [k for k, v in known.items() if isinstance(v, Conjecture)]
    names = conjectures or list(known)
    if len(names) == 1:
        return names[0]
    if not names:
        raise LemmataError(f"{path} has no conjecture; decorate a function with lemmata.conjecture")
    raise LemmataError(
        f"{path} has {len(names)} conjectures: name one of "
        + ", ".join(f"{path}::{name}" for name in names)
    )


def refute(
    target: Target | str,
    *,
    seconds: float | None = None,
    cases: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> RefuteReport:
    """Search for a counterexample to a conjecture or a statement.

    Args:
        target: a `Conjecture`, a `Statement`, its id, or ``FILE.py::NAME``.
        seconds: how long to search, 60 by default unless ``cases`` is given; a budget, not a promise.
        cases: how many cases to judge. With the same seed and number of cases the answer is the same.
        jobs: processes.
        progress: called with the share of the budget that is spent, from 0 to 1.

    Raises:
        LemmataError: bad arguments, or a conjecture that cannot be evaluated, with the line.
    """
    from proofs_checks.conjectures.attack import attack
    from proofs_checks.conjectures.search import search

    check_budget(seconds, cases, seed, jobs)  # before a file is executed
    found = find(target) if isinstance(target, str) else target
    if isinstance(found, Conjecture):
        try:
            # strategies are a user's code, too
            report = quietly(
                lambda: search(
                    found, seconds=seconds, cases=cases, seed=seed, jobs=jobs, progress=progress
                )
            )
        except SystemExit as error:
            raise LemmataError(
                f"{found.name}: its strategy exits ({error}); draw cases without that"
            ) from error
        return _replayable(report, found)
    if isinstance(found, Statement):
        own = registry.told_apart(found, f"{found.id}, changed")
        return attack(own, seconds=seconds, cases=cases, seed=seed, jobs=jobs, progress=progress)
    raise LemmataError(f"{found!r:.60} is neither a conjecture nor a statement")


def _replayable(report: RefuteReport, conjecture: Conjecture) -> RefuteReport:
    """The report with its counterexample as a case file."""
    if report.counterexample is None or report.constants:
        return report
    case = ConjectureCase.from_json(report.counterexample.case)
    verdict = verdict_on(conjecture, case)
    return replace(report, casefile=casefile(conjecture, case, verdict))


__all__ = ["Target", "find", "refute"]
