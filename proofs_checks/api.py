"""What the command line and `import lemmata` offer: verify, check, constants, profile, replay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from proofs_checks import cases as case_sets
from proofs_checks.constants import constants, sharpen
from proofs_checks.data import Dataset
from proofs_checks.derivations import load_derivation
from proofs_checks.measure import AnyCase
from proofs_checks.profile import profile
from proofs_checks.registry import origin
from proofs_checks.registry import statement as find
from proofs_checks.report import Report, StatementReport
from proofs_checks.static_models import read_case
from proofs_checks.verdict import Verdict
from proofs_checks.verify_jobs import Derivations, Progress, Table, run
from theory.errors import LemmataError
from theory.statement import Statement

__all__ = [
    "ReplayReport",
    "case_count",
    "casefile",
    "check",
    "constants",
    "load_derivation",
    "profile",
    "replay",
    "sharpen",
    "verdicts",
    "verify",
]

CASEFILE = "lemmata-casefile/1"
MOST_BYTES = 64 << 20  # of a case file


def _version() -> str:
    try:
        return version("lemmata")
    except PackageNotFoundError:  # running from a source tree that is not installed
        return "0+unknown"


def check(statement: Statement | str, case: AnyCase) -> Verdict:
    """The verdict of one statement (or its id) on one case."""
    s = find(statement) if isinstance(statement, str) else statement
    return verdicts([s], [case])[0][0]


def verdicts(
    statements: Sequence[Statement],
    cases: Sequence[AnyCase],
    *,
    progress: Progress | None = None,
    workers: int | None = None,
) -> list[list[Verdict]]:
    """Verdicts, one list per statement in the order of the cases; vacuous on cases of another model.

    Args:
        progress: called with the number of cases that were finished since the last call.
        workers: processes; by default one per core when there is more than one batch.
    """
    return _campaign(statements, cases, progress=progress, workers=workers)[0]


def _campaign(
    statements: Sequence[Statement],
    cases: Sequence[AnyCase],
    *,
    progress: Progress | None = None,
    workers: int | None = None,
) -> tuple[list[list[Verdict]], list[float]]:
    """Verdicts and seconds, per statement."""
    table = Table(statements, len(cases), progress)
    run(table.jobs(cases), workers)
    return table.rows(), table.seconds


def verify(
    statements: Sequence[Statement],
    *,
    dataset: Dataset | None = None,
    cases: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    out: Path | None = None,
) -> Report:
    """Check the derivations of statements, and the statements on the default cases or on a data set.

    Args:
        cases: number of cases of each model (default: 384 two-layer ReLU networks without data, 128 with; 64
            for statements on single ReLU neurons, 48 linear networks).
        out: a directory for ``verdicts.json``, the cases, the certificates and one figure per statement.

    Raises:
        LemmataError: bad input, before any heavy work.
    """
    if not statements:
        raise LemmataError("no statement to verify; see `lemmata list`")
    if cases is not None and cases < 1:
        raise LemmataError(f"--cases {cases}: at least one case is needed")
    if seed < 0:
        raise LemmataError(f"--seed {seed}: a seed is a nonnegative integer")
    if out is not None and out.exists() and not out.is_dir():
        raise LemmataError(f"{out} exists and is no directory; choose another place for the output")
    own_cases = [
        (members, case_sets.for_group(kind, own, dataset, count=cases, seed=seed))
        for kind, members in case_sets.groups(statements).items()
        for own in [[statements[k] for k in members]]
    ]
    checks = Derivations(statements)
    jobs = checks.jobs()
    tables = []
    for members, case_list in own_cases:
        table = Table([statements[k] for k in members], len(case_list), progress)
        tables.append((members, table))
        jobs += table.jobs(case_list)
    run(jobs)
    rows: dict[int, StatementReport] = {}
    for members, table in tables:
        for k, row, spent in zip(members, table.rows(), table.seconds, strict=True):
            (status, error), seconds = checks.found[k]
            rows[k] = StatementReport(statements[k], tuple(row), status, error, spent + seconds)
    everything = tuple(case for _, case_list in own_cases for case in case_list)
    report = Report(_version(), seed, tuple(rows[k] for k in range(len(statements))), everything)
    if out is not None:
        from proofs_checks.output import write

        write(report, out)
    return report


def case_count(statements: Sequence[Statement], dataset: Dataset | None, cases: int | None) -> int:
    """How many cases `verify` will use; the total of its progress."""
    kinds = case_sets.groups(statements)
    return sum(case_sets.group_size(kind, dataset, cases) for kind in kinds)


# -- replay -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ReplayReport:
    """A saved case, measured again.

    Attributes:
        identical: every verdict came out the same, bit for bit. saved, now: the verdicts as plain data by statement.
    """

    case: Any
    identical: bool
    saved: dict[str, Any]
    now: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "case": self.case.hash,
            "identical": self.identical,
            "saved": self.saved,
            "now": self.now,
        }


def casefile(case: AnyCase, verdicts_by_id: dict[str, Verdict]) -> dict[str, Any]:
    """A case with the verdicts on it, as plain data that `replay` reads."""
    return {
        "format": CASEFILE,
        "lemmata": _version(),
        "case": case.to_json(),
        "statements": {id: origin(id) for id in verdicts_by_id},
        "verdicts": {id: v.to_json() for id, v in verdicts_by_id.items()},
    }


def replay(path: Path | str, *, target: str | None = None) -> ReplayReport:
    """Measure a saved case again and compare with the saved verdicts.

    Args:
        target: ``FILE.py::NAME``, the statement or conjecture of the case where it is not registered. A case file is
            data: it cannot name a file that is executed.

    Raises:
        LemmataError: the file is missing, too large, no case file, or names an unknown statement.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise LemmataError(f"{path} is longer than {MOST_BYTES} bytes; no case file is")
        data = json.loads(raw.decode("utf-8"))
    except OSError as error:
        raise LemmataError(
            f"{path} cannot be read: {error.strerror}; give a file that `lemmata verify -o` wrote"
        ) from error
    except LemmataError:
        raise
    except (ValueError, RecursionError) as error:
        raise LemmataError(
            f"{path} is no JSON ({error}); give a file that `lemmata verify -o` wrote"
        ) from error
    named = None
    if target is not None:
        from proofs_checks.conjectures.targets import find as find_target

        named = find_target(target)
    if isinstance(data, dict) and str(data.get("format")) == "lemmata-conjecture-casefile/1":
        from proofs_checks.conjectures import replays

        return replays.replay(data, named)
    if not isinstance(data, dict) or data.get("format") != CASEFILE:
        raise LemmataError(f"{path} is no case file; expected an object with format {CASEFILE!r}")
    saved = data.get("verdicts")
    if not isinstance(saved, dict) or not saved:
        raise LemmataError(
            f"{path} has no verdicts to compare with; write it with `lemmata verify -o`"
        )
    case = read_case(data.get("case"))
    origins = data.get("statements")
    origins = origins if isinstance(origins, dict) else {}
    statements = [_saved(str(id), named, origins.get(id)) for id in saved]
    now = {
        s.id: row[0].to_json()
        for s, row in zip(statements, verdicts(statements, [case]), strict=True)
    }
    # through JSON, so that both sides have the same number formats
    now = json.loads(json.dumps(now))
    return ReplayReport(case, now == saved, saved, now)


def _saved(id: str, named: Any, saved_from: Any) -> Statement:
    """The statement of a saved verdict: the one that the user named, or a registered one."""
    if isinstance(named, Statement) and named.id == id:
        return named
    elsewhere = isinstance(saved_from, str) and "::" in saved_from
    if "::" not in id and not elsewhere:
        return find(id)  # by its name alone: nothing is executed
    place = saved_from if elsewhere else id
    raise LemmataError(
        f"the statement {id!r:.80} of the case is not registered; a case does not execute files: if you trust the one "
        f"that holds it, name it: --target {place:.200}"
    )
