"""One unit of work, in whatever process: cases are made, and statements or conjectures judged on them.

What comes in and goes out is plain data.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from proofs_checks.campaigns.models import MODELS
from proofs_checks.campaigns.rules import Draw
from proofs_checks.campaigns.targets import Group, Named, read_group
from proofs_checks.named import load
from proofs_checks.verdict import Rigor, Status, Verdict
from theory.errors import LemmataError

Row = dict[str, Any]
Job = Mapping[str, Any]
MOST_WORDS = 2000  # of a reason, in characters

_ONE_AT_A_TIME = Lock()  # the precision of ball arithmetic belongs to the process, not to a thread


def measure(job: Job) -> list[Row]:
    """The rows of a unit, target by target, in the order of the cases; axes are left to the caller.

    A case that cannot be made at a point (a parity of more coordinates than there are) is `vacuous`, one on which the
    measurement fails `undecided`; both say why.
    """
    with _ONE_AT_A_TIME:
        group = read_group(job)
        return _statements(group, job) if group.model else _conjecture(group.targets[0], job)


def failed(job: Job, reason: str) -> list[Row]:
    """The rows of a unit that could not be measured at all: undecided."""
    rows = []
    for target in read_group(job).targets:
        for k in range(len(job["items"])):
            rows.append(_row(job, k, target, _undecided(target.name, "", reason), "", 0.0))
    return rows


def version() -> str:
    """Of the package in this process."""
    from proofs_checks.api import _version

    return _version()


# -- statements -----------------------------------------------------------------------------------------------------
def _statements(group: Group, job: Job) -> list[Row]:
    from numerics.errors import NumericsError
    from proofs_checks.api import casefile

    start = time.perf_counter()
    model = MODELS[group.model]
    make = load(model.generator, "generator", "module:function")
    cases: dict[int, Any] = {}
    problems: dict[int, str] = {}
    broken: dict[int, str] = {}
    for k, (point, _, seed) in enumerate(job["items"]):
        draw = Draw(
            group.model,
            job["points"][point],
            model.axes,
            seed,
            group.losses,
            job["comparisons"],
        )
        try:
            cases[k] = make(draw)
        except (LemmataError, NumericsError) as error:
            problems[k] = f"no case at this point: {error}"
        except Exception as error:
            broken[k] = f"the generator of cases fails: {type(error).__name__}: {error}"
    found = _verdicts(group, list(cases.values()))
    seconds = (time.perf_counter() - start) / (len(job["items"]) * len(group.targets))
    rows = []
    for target, verdicts in zip(group.targets, found, strict=True):
        by_item = dict(zip(cases, verdicts, strict=True))
        by_item |= {k: _undecided(target.name, "", reason) for k, reason in broken.items()}
        own = [
            _row(job, k, target, by_item.get(k), problems.get(k, ""), seconds, cases.get(k))
            for k in range(len(job["items"]))
        ]
        statement: Any = target.find()
        for k in _kept(own):
            own[k]["case"] = json.dumps(
                casefile(cases[k], {statement.id: by_item[k]}), allow_nan=False
            )
        rows += own
    return rows


def _verdicts(group: Group, cases: Sequence[Any]) -> list[list[Verdict]]:
    """Per target, per case; where a measurement fails the cases are taken apart until the failing one is alone."""
    from proofs_checks.api import verdicts

    statements: list[Any] = [t.find() for t in group.targets]
    if not cases:
        return [[] for _ in statements]
    try:
        return verdicts(statements, cases, workers=1)
    except Exception as error:
        if len(cases) == 1:
            reason = f"the measurement fails: {type(error).__name__}: {error}"
            return [[_undecided(s.id, cases[0].hash, reason)] for s in statements]
    half = len(cases) // 2
    parts = [_verdicts(group, own) for own in (cases[:half], cases[half:])]
    return [a + b for a, b in zip(*parts, strict=True)]


def _undecided(name: str, case: str, reason: str) -> Verdict:
    return Verdict(name, case, Status.UNDECIDED, Rigor.NUMERICAL, reason=reason)


# -- conjectures ----------------------------------------------------------------------------------------------------
def _conjecture(target: Named, job: Job) -> list[Row]:
    from proofs_checks.campaigns.draws import draw_cases
    from proofs_checks.conjectures.replays import casefile, verdict_on

    conjecture = target.find()
    rows: list[Row] = []
    items = job["items"]
    blocks: dict[int, list[int]] = {}
    for k, (point, _, _) in enumerate(items):
        blocks.setdefault(point, []).append(k)
    found: dict[int, tuple[Any, Verdict]] = {}
    for point, members in blocks.items():
        _, first, seed = items[members[0]]
        try:
            strategy = target.strategy(job["points"][point])
            cases = draw_cases(strategy, len(members), seed, simplest=first == 0)
        except LemmataError as error:
            reason = f"no case at this point: {error}"
            rows += [_row(job, k, target, None, reason, 0.0) for k in members]
            continue
        for k, case in zip(members, cases, strict=True):
            start = time.perf_counter()
            try:
                verdict = verdict_on(conjecture, case)
            except Exception as error:
                words = "" if isinstance(error, LemmataError) else f"{type(error).__name__}: "
                verdict = _undecided(target.name, case.hash, f"{words}{error}")
            found[k] = case, verdict
            rows.append(_row(job, k, target, verdict, "", time.perf_counter() - start, case))
            rows[-1]["seed"] = seed  # of the block, which is drawn at once
    for k in _kept(rows):
        case, verdict = found[k]
        rows[k]["case"] = json.dumps(casefile(conjecture, case, verdict), allow_nan=False)
    return rows


# -- rows -----------------------------------------------------------------------------------------------------------
def _row(
    job: Job,
    k: int,
    target: Named,
    verdict: Verdict | None,
    reason: str,
    seconds: float,
    case: Any = None,
) -> Row:
    point, replicate, seed = job["items"][k]
    status, rigor = Status.VACUOUS, Rigor.NUMERICAL
    if verdict is not None:
        status, rigor, reason = verdict.status, verdict.rigor, verdict.reason
    return {
        "unit": job["unit"],
        "target": target.name,
        "point": point,
        "replicate": replicate,
        "seed": seed,
        "case_hash": "" if case is None else case.hash,
        "status": str(status),
        "rigor": str(rigor),
        "tightness": None if verdict is None else _number(verdict.tightness),
        "log_tightness": None if verdict is None else _number(verdict.log_tightness),
        "error": None if verdict is None else _number(verdict.error),
        "reason": reason[:MOST_WORDS],
        "seconds": seconds,
        "case": None,
    }


def _number(x: float | None) -> float | None:
    return None if x is None or math.isnan(x) else float(x)


def _kept(rows: Sequence[Row]) -> list[int]:
    """The rows of one target whose case is saved: the violated ones, and the tightest that was decided."""
    violated = [k for k, row in enumerate(rows) if row["status"] == Status.VIOLATED]
    holds = [
        k
        for k, row in enumerate(rows)
        if row["status"] == Status.HOLDS and row["log_tightness"] is not None
    ]
    tightest = max(holds, key=lambda k: rows[k]["log_tightness"], default=None)
    return violated if tightest is None else sorted({*violated, tightest})
