"""What `lemmata verify -o DIR` writes: verdicts, cases, certificates and figures.

* ``verdicts.json``: the same object as ``--json`` prints;
* ``cases/HASH.json``: every case with its verdicts, for `lemmata replay`;
* ``certificates/STATEMENT/LOSS-STEP.json``: the box inequalities of the derivations, for `lemmata audit`;
* ``figures/STATEMENT.png``: the tightest trajectory against its bound, or measured against stated times;
* ``figures/STATEMENT-directions.png``: the directions of the neurons, where d is 2 or 3.
"""

from __future__ import annotations

from pathlib import Path

from proofs_checks.api import casefile
from proofs_checks.derivations import load_derivation
from proofs_checks.figures import draw_directions, draw_statement
from proofs_checks.files import write_json
from proofs_checks.measure import AnyCase, has_time
from proofs_checks.record import record
from proofs_checks.report import Report, StatementReport
from proofs_checks.verdict import Verdict


def write(report: Report, out: Path) -> None:
    """Write everything; each file appears whole or not at all."""
    write_json(out / "verdicts.json", report.to_json())
    by_case: dict[str, dict[str, Verdict]] = {}
    for s in report.statements:
        for v in s.verdicts:
            by_case.setdefault(v.case, {})[s.statement.id] = v
    cases = {c.hash: c for c in report.cases}
    for name, case in cases.items():
        write_json(out / "cases" / f"{name}.json", casefile(case, by_case[name]))
    for s in report.statements:
        _figures(s, cases, out / "figures")
        if s.derivation == "verified":
            _certificates(s, out / "certificates")


def _figures(row: StatementReport, cases: dict[str, AnyCase], folder: Path) -> None:
    name = row.statement.id.replace("/", "-")
    tightest = row.tightest
    if not all(has_time(cases[v.case]) for v in row.verdicts):
        return  # one number per case: the table says it all
    recording = record(row.statement, cases[tightest.case]) if tightest else None
    draw_statement(row.statement, recording, row.verdicts, folder / f"{name}.png")
    if recording is not None and recording.directions.shape[2] in (2, 3):
        draw_directions(recording, folder / f"{name}-directions.png")


def _certificates(row: StatementReport, folder: Path) -> None:
    """The steps of a derivation that rest on a box proof, one certificate each."""
    from proofs_checks.certificate import certificate_of_box_proof
    from theory.box_steps import box_proofs

    for loss, path in row.statement.derivations.items():
        for step, proof in box_proofs(load_derivation(path).verify()).items():
            target = folder / row.statement.id / f"{loss}-{step.replace(' ', '-')}.json"
            certificate_of_box_proof(proof).write(target)
