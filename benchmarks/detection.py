"""Detection: planted wrong statements are searched for counterexamples, and so are the true ones.

    OMP_NUM_THREADS=1 python -m benchmarks.detection [--seconds 60] [--true-seconds 60] [--only TOPIC] [--jobs J]
        [-o benchmarks/results]

Wrong statements come from ``tests/quality``, where each has a witness that was found without the library; the search
knows nothing of it. A statement counts as refuted when the search reports a counterexample within the time, and as
certified when the audit kernel accepts a certificate of kind "counterexample" for it, checked here once more from the
text of its file. Statements without time are *static*: each of them must be certified. Sizes are entries of all arrays
of the counterexample. Seconds are wall-clock seconds of one search, including shrinking and the certificate.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from proofs_checks.audit import audit_text
from proofs_checks.conjectures.report import RefuteReport, SearchStatus
from proofs_checks.conjectures.statement_programs import MAKERS
from proofs_checks.conjectures.targets import Target, refute
from proofs_checks.files import replace_with, write_json
from proofs_checks.registry import all_statements
from theory.statement import Kind, Statement

NAME = "detection"
TRACED = "conjectures"
REFUTED_SHARE = 0.95


@dataclass(frozen=True)
class Subject:
    """A statement or conjecture that is searched.

    Attributes:
        static: it speaks of no trajectory and of no probability, so that its counterexamples have certificates.
    """

    topic: str
    name: str
    target: Target
    static: bool
    wrong: bool


@dataclass(frozen=True)
class Row:
    """What a search found out."""

    topic: str
    name: str
    wrong: bool
    static: bool
    status: str
    certified: bool
    rigor: str
    seconds: float
    cases: int
    deciding: int
    entries: int | None
    shapes: str
    tightest: float | None
    reason: str

    @property
    def as_it_must_be(self) -> bool:
        """Wrong ones are refuted, static ones with a certificate; true ones are not refuted."""
        refuted = self.status == SearchStatus.REFUTED
        return refuted and (self.certified or not self.static) if self.wrong else not refuted


def is_static(statement: Statement) -> bool:
    """Whether all that a statement speaks of can be derived again from the numbers of a case."""
    return statement.kind is not Kind.PROBABILITY and statement.claim in MAKERS


def _statement(statement: Statement, topic: str, wrong: bool) -> Subject:
    return Subject(topic, statement.id, statement, is_static(statement), wrong)


def planted() -> list[Subject]:
    """All wrong statements of ``tests/quality``."""
    from tests.quality import planted as early
    from tests.quality import planted_linear as linear
    from tests.quality import test_margins_planted as margins
    from tests.quality import test_planted_collapse as collapse
    from tests.quality import test_planted_convex_relu as relu
    from tests.quality.conjectures_planted import PLANTED

    pairs: list[tuple[str, Statement]] = []
    for group in (early.ALL, linear.ALL, margins.ALL):
        pairs += [(p.true.topic, p.statement) for p in cast("Sequence[Any]", group)]
    pairs += [(true.topic, wrong) for true, wrong in (*collapse.WRONG, *relu.WRONG)]
    found = [_statement(s, topic, True) for topic, s in pairs]
    found += [Subject(TRACED, p.conjecture.name, p.conjecture, True, True) for p in PLANTED]
    return found


def true() -> list[Subject]:
    """All registered statements, and the true worked conjectures."""
    from tests.quality.conjectures_true import TRUE

    found = [_statement(s, s.topic, False) for s in all_statements().values()]
    found += [Subject(TRACED, c.name, c, True, False) for c in TRUE]
    return found


def search(subject: Subject, *, seconds: float, jobs: int = 1, seed: int = 0) -> Row:
    """One search, and its certificate audited from its text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of cases at extreme scales
        report = refute(subject.target, seconds=seconds, jobs=jobs, seed=seed)
    return row(subject, report)


def row(subject: Subject, report: RefuteReport) -> Row:
    """What is kept of a report."""
    found = report.counterexample
    shapes = found.shapes if found is not None else {}
    certified = False
    if found is not None and found.certificate is not None:
        certified = audit_text(found.certificate.to_json()).accepted is True
    tightest = report.tightest[0] if report.tightest is not None else None
    return Row(
        subject.topic,
        subject.name,
        subject.wrong,
        subject.static,
        str(report.status),
        certified,
        str(found.rigor) if found is not None else "",
        report.seconds,
        report.cases,
        report.deciding,
        sum(math.prod(s) for s in shapes.values()) if found is not None else None,
        ", ".join(f"{k} {'×'.join(map(str, s)) or 1}" for k, s in shapes.items()),
        tightest if tightest is not None and math.isfinite(tightest) else None,
        found.reason if found is not None else report.reason,
    )


# -- tables -----------------------------------------------------------------------------------------------------------
def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2g}" if values else "-"


def _summary(rows: Sequence[Row]) -> list[str]:
    """One line per topic and for all."""
    topics = [*dict.fromkeys(r.topic for r in rows), "all"]
    lines = []
    for topic in topics:
        own = [r for r in rows if topic in (r.topic, "all")]
        wrong, right = [r for r in own if r.wrong], [r for r in own if not r.wrong]
        hits = [r for r in wrong if r.status == SearchStatus.REFUTED]
        static = [r for r in wrong if r.static]
        times = [r.seconds for r in hits]
        sizes = [r.entries for r in hits if r.entries is not None]
        refuted = sum(r.status == SearchStatus.REFUTED for r in right)
        lines.append(
            [
                topic,
                str(len(wrong)),
                str(len(hits)),
                f"{sum(r.certified for r in static)} of {len(static)}",
                _median(times),
                f"{max(times):.0f}" if times else "-",
                _median(sizes),
                str(len(right)),
                str(refuted),
            ]
        )
    head = ["topic", "planted", "refuted", "certified, of the static", "median seconds"]
    head += ["longest", "median entries", "true", "of them refuted"]
    return _table(head, lines)


def _details(rows: Sequence[Row]) -> list[str]:
    head = ["topic", "wrong statement", "status", "rigor", "seconds", "cases", "counterexample"]
    wrong = [
        [r.topic, r.name, r.status, r.rigor or "-", f"{r.seconds:.1f}", str(r.cases), r.shapes]
        for r in rows
        if r.wrong
    ]
    true_head = ["topic", "true statement", "status", "cases", "deciding", "tightest", "seconds"]
    right = [
        [
            r.topic,
            r.name,
            r.status,
            str(r.cases),
            str(r.deciding),
            "-" if r.tightest is None else f"{r.tightest:.4g}",
            f"{r.seconds:.0f}",
        ]
        for r in rows
        if not r.wrong
    ]
    return [*_table(head, wrong), "", *_table(true_head, right)]


def document(rows: Sequence[Row], options: argparse.Namespace) -> str:
    """The tables as Markdown."""
    machine = f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    packages = ", ".join(f"{n} {version(n)}" for n in ("hypothesis", "numpy", "torch", "scipy"))
    return "\n".join(
        [
            "# Detection of wrong statements",
            "",
            f"{machine}, {packages}. {options.seconds:g} s for each wrong statement,",
            f"{options.true_seconds:g} s for each true one, {options.jobs} process(es).",
            "",
            "    OMP_NUM_THREADS=1 python -m benchmarks.detection -o benchmarks/results",
            "",
            "A row is one search, which does not know the witness in `tests/quality`. Certified: the audit kernel",
            "accepts the certificate; it is required of every statement without trajectories and probabilities.",
            "",
            *_summary(rows),
            "",
            *_details(rows),
            "",
        ]
    )


def problems(rows: Sequence[Row]) -> list[str]:
    """What is not as it must be."""
    out = []
    for r in rows:
        if not r.as_it_must_be and (not r.wrong or r.status == SearchStatus.REFUTED):
            out.append(f"{r.name}: {r.status}, certified: {r.certified}, {r.reason}")
    wrong = [r for r in rows if r.wrong]
    missed = [r.name for r in wrong if r.status != SearchStatus.REFUTED]
    if wrong and len(missed) > (1 - REFUTED_SHARE) * len(wrong):
        out.append(f"not refuted: {', '.join(missed)}")
    return out


def run(
    subjects: Sequence[Subject], options: argparse.Namespace, say: Callable[[str], Any]
) -> list[Row]:
    """All searches, one after the other."""
    rows = []
    for k, subject in enumerate(subjects):
        seconds = options.seconds if subject.wrong else options.true_seconds
        rows.append(search(subject, seconds=seconds, jobs=options.jobs, seed=options.seed))
        r = rows[-1]
        mark = " certified" if r.certified else ""
        flag = "" if r.as_it_must_be else "   <- not as expected"
        say(
            f"{k + 1}/{len(subjects)} {r.topic}: {'wrong' if r.wrong else 'true'} {r.name}: {r.status}{mark} after "
            f"{r.seconds:.1f} s, {r.cases} cases {r.shapes}{flag}"
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print (and write) the tables; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each wrong statement")
    parser.add_argument(
        "--true-seconds", type=float, default=60.0, help="for each true one; 0: none"
    )
    parser.add_argument("--only", help="a topic, or a part of a name")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", dest="folder", type=Path, help="write the results to this folder")
    options = parser.parse_args(arguments)
    subjects = planted() + (true() if options.true_seconds > 0 else [])
    if options.only:
        subjects = [s for s in subjects if options.only == s.topic or options.only in s.name]
    if not subjects:
        print(f"--only {options.only}: there is no such topic or name", file=sys.stderr)
        return 2
    rows = run(subjects, options, lambda line: print(line, file=sys.stderr, flush=True))
    text = document(rows, options)
    print(text)
    if options.folder is not None:
        path = options.folder / f"{NAME}.md"
        replace_with(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        write_json(options.folder / f"{NAME}.json", [asdict(r) for r in rows])
    found = problems(rows)
    for line in found:
        print(f"not as expected: {line}", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
